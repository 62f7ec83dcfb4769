/* The weight packed as the tiles read it, by the whole team: for each view and group, panels of NR
 * outputs, [tap][source channel][output]; a last panel has whole vectors, zeros behind.
 *
 * Loops: panels, shared out to the threads; taps or, where the kernel has few of them, blocks of
 * VL x VL elements that are transposed, as taps lie side by side in the weight and outputs far
 * apart.
 */

/* How a weight (o, i, taps) is read as a matrix (tap and source channel) x output. */
typedef struct {
    const REAL *data;
    int64_t group, channel, column; /* steps in elements */
    const int64_t *kernel;
} K(conv_matrix);

static K(conv_matrix) K(conv_matrix_of)(const conv_shape *s, const REAL *data, int backward) {
    int64_t taps = conv_taps(s);
    int64_t row = s->channels / s->groups * taps; /* of one output channel */
    int64_t group = s->out_channels / s->groups * row;
    if (backward) return (K(conv_matrix)){data, group, row, taps, s->kernel};
    return (K(conv_matrix)){data, group, taps, row, s->kernel};
}

/* One panel: dst[k * width + l] for all k of a view; columns column .. column+lanes-1. */
static void K(conv_pack_panel)(const K(conv_matrix) *w, const im2col_view *v, int64_t group,
                               int64_t column, int64_t lanes, int64_t width, REAL *dst) {
    const REAL *from = w->data + group * w->group + column * w->column;
    int64_t taps = im2col_taps(v);
    for (int64_t tap = 0; tap < taps; tap++) {
        const REAL *src = from + im2col_tap_index(v, w->kernel, tap);
        for (int64_t c = 0; c < v->group_channels; c++, src += w->channel, dst += width) {
            for (int64_t l = 0; l < lanes; l++) dst[l] = src[l * w->column];
            for (int64_t l = lanes; l < width; l++) dst[l] = 0;
        }
    }
}

/* The same where the kernel has few taps: what lies side by side in a lane is taken VL by VL and
 * transposed. place[t] is the view's number of the weight's tap t, -1 if it has none. */
static void K(conv_pack_turned)(const K(conv_matrix) *w, const im2col_view *v, int64_t taps,
                                const int64_t *place, int64_t group, int64_t column, int64_t lanes,
                                int64_t width, REAL *dst) {
    const REAL *from = w->data + group * w->group + column * w->column;
    /* forward a lane is (channel, tap); backward each channel has a lane of taps */
    int64_t inner = w->channel == taps ? v->group_channels : 1;
    for (int64_t outer = 0; outer < v->group_channels; outer += inner, from += w->channel) {
        for (int64_t e = 0; e < inner * taps; e += VL) {
            int64_t count = pyad_min(VL, inner * taps - e);
            for (int64_t l = 0; l < width; l += VL) {
                vec turned[VL];
                K(gemm_load_turned)(from + l * w->column + e, w->column, lanes - l, count, turned);
                int64_t c = outer + e / taps, tap = e % taps;
                for (int64_t i = 0; i < count; i++) {
                    if (place[tap] >= 0) {
                        int64_t k = place[tap] * v->group_channels + c;
                        v_store(dst + k * width + l, turned[i]);
                    }
                    if (++tap == taps) tap = 0, c++;
                }
            }
        }
    }
}

/* Elements of the packed weight of one view, all groups. */
static int64_t K(conv_packed)(const im2col_view *v) {
    return v->channels * im2col_taps(v) * K(conv_padded)(v->group_width);
}

/* A thread's own memory. */
typedef struct {
    im2col_run runs[CONV_RUNS], clipped[CONV_RUNS];
    int64_t spans[CONV_RUNS], depths[CONV_RUNS];
    _Alignas(PYAD_LINE_BYTES) REAL rows[GEMM_MR * CONV_STEP];
    _Alignas(PYAD_LINE_BYTES) REAL tile[GEMM_MR * GEMM_NV * VL];
    REAL *out[GEMM_MR], *aside[GEMM_MR]; /* rows of the output; of `tile` */
} K(conv_scratch);

/* This thread's share of the panels of one view. */
static void K(conv_pack)(const conv_shape *s, const K(conv_matrix) *w, const im2col_view *v,
                         REAL *packed, const team *t) {
    int64_t depth = conv_depth(v), taps = conv_taps(s);
    int64_t panels = pyad_ceil_div(v->group_width, GEMM_NR);
    int64_t *place = ((K(conv_scratch) *)t->scratch)->spans;
    int64_t begin, end;
    for (int64_t i = 0; i < pyad_min(taps, CONV_RUNS); i++) place[i] = -1;
    for (int64_t i = 0; i < im2col_taps(v) && taps <= CONV_RUNS; i++) {
        place[im2col_tap_index(v, s->kernel, i)] = i;
    }
    team_range(t, s->groups * panels, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / panels, column = i % panels * GEMM_NR;
        int64_t lanes = pyad_min(GEMM_NR, v->group_width - column);
        REAL *dst = packed + (group * K(conv_padded)(v->group_width) + column) * depth;
        int64_t width = K(conv_padded)(lanes);
        if (taps <= CONV_RUNS) {
            K(conv_pack_turned)(w, v, taps, place, group, column, lanes, width, dst);
        } else {
            K(conv_pack_panel)(w, v, group, column, lanes, width, dst);
        }
    }
}

/* This thread's share of the packed weights of all views. */
static void K(conv_pack_all)(const conv_shape *shape, int backward, const REAL *weight,
                             REAL *packed, const team *t) {
    K(conv_matrix) w = K(conv_matrix_of)(shape, weight, backward);
    for (int64_t i = 0; i < conv_phases(shape, backward); i++) {
        im2col_view v = conv_view(shape, backward, i);
        K(conv_pack)(shape, &w, &v, packed, t);
        packed += K(conv_packed)(&v);
    }
}
