/* Convolutions in channels-last memory, by implicit im2col (im2col_tpl.h) and tiles of MR x NR sums
 * as in gemm_tpl.h. All kernels take arrays (n, c, spatial...) of 3 to 5 axes.
 *
 * conv_fwd, conv_bwd_x: out[pixel, o] = bias[o] + sum over k of column[pixel, k] weight[k, o], with
 * k = (tap, channel). The weight is packed once, by the whole team, into panels of NR outputs. Each
 * thread then takes its own tiles of MR pixels: their rows of the column matrix are copied into
 * L1, CONV_DEPTH columns at a time, and meet all panels. Rows are copied as they lie, not
 * interleaved as gemm_run packs them: copies of whole runs cost next to nothing, a transposition
 * would cost a tenth of the product, and a tile reads rows a constant distance apart just as well.
 * conv_bwd_x is the same loop with the output's gradient as source, once for each phase of the
 * stride, so that no product with a zero between pixels is computed. Images of few channels have a
 * way of their own (narrow_tpl.h).
 * Small images have many zeros around them (18 % of the products of 3x3 on 7x7). There a tile takes
 * one place in MR images, and taps outside the image are left out of its sums (conv_inner).
 *
 * conv_bwd_w: dw[k, o] = sum over pixels of column[pixel, k] dy[pixel, o]. Pixels are cut into
 * slabs, as many as the shape says; slab, range of k and range of o make an item of work with sums
 * of its own, and the slabs are added in order at the end. An item goes through its slab by blocks
 * of about CONV_PIXELS rows, each summed from zero, so that rounding errors stay small.
 *
 * Tiles, blocks and slabs depend on the shape and nothing else, so the bits do too. Scratch depends
 * on channels and kernel size: neither batch nor image enters.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "im2col_tpl.h"
#include "epilogue_tpl.h"

#ifndef PYAD_CONV
#define PYAD_CONV
#define CONV_DEPTH ((int64_t)(CONV_DEPTH_BYTES / sizeof(REAL)))
#define CONV_RUNS CONV_DEPTH /* runs of so many columns, at most */
#define CONV_STEP (CONV_DEPTH + VL) /* from row to row: room for a last vector, and no two rows
                                     * whose lines fall on one set of the cache */
#define CONV_TILES 32               /* tiles of pixels that meet a block of weights in turn */
#define POINTWISE_BYTES (1 << 17)    /* of the rows of a block of tiles, for pointwise_tpl.h */
#define CONV_COLUMNS 512            /* outputs whose weights stay in L2, CONV_DEPTH of them deep */
#define CONV_HITS 0.97              /* below, zeros around the image are worth leaving out */
#define CONV_WEIGHT_COLUMNS 256     /* outputs of a block of the weight's gradient */
#define CONV_SLABS 16
#define CONV_SLAB_ELEMENTS (1 << 21) /* of all slabs' sums together, if one alone is not larger */
#define CONV_ITEM_ELEMENTS (1 << 17) /* of an item's sums, which stay in L2 */

/* All numbers of a call, with three spatial axes. */
typedef struct {
    im2col_numbers axis[3];
    int64_t kernel[3];
    int64_t images, channels, out_channels, groups; /* channels of the image, of the output */
} conv_shape;

/* `image` is what the forward convolution reads, `out` what it writes. */
static inline conv_shape conv_shape_of(const pyad_array *image, const pyad_array *weight,
                                       const pyad_array *out, const int64_t *ints) {
    conv_shape s = {.images = image->shape[0],
                    .channels = image->shape[1],
                    .out_channels = out->shape[1],
                    .groups = ints[9]};
    int64_t missing = 5 - image->ndim;
    for (int64_t i = 0; i < 3; i++) {
        int64_t from = i - missing + 2;
        int present = i >= missing;
        s.kernel[i] = present ? weight->shape[from] : 1;
        s.axis[i] = (im2col_numbers){present ? image->shape[from] : 1,
                                     present ? out->shape[from] : 1,
                                     s.kernel[i],
                                     ints[i],
                                     ints[3 + i],
                                     ints[6 + i]};
    }
    return s;
}

static inline int64_t conv_taps(const conv_shape *s) {
    return s->kernel[0] * s->kernel[1] * s->kernel[2];
}

static inline int conv_is_depthwise(const conv_shape *s) {
    return s->groups > 1 && s->groups == s->channels && s->groups == s->out_channels;
}

static inline im2col_view conv_view_forward(const conv_shape *s) {
    im2col_view v = {.images = s->images,
                     .inner = 1,
                     .channels = s->channels,
                     .group_channels = s->channels / s->groups,
                     .out_channels = s->out_channels,
                     .group_width = s->out_channels / s->groups};
    for (int64_t i = 0; i < 3; i++) v.axis[i] = im2col_forward(&s->axis[i]);
    return v;
}

/* Phases of one axis: an image shorter than the stride has no more than it has pixels. */
static inline int64_t conv_axis_phases(const im2col_numbers *a) {
    return pyad_min(a->stride, a->image);
}

static inline int64_t conv_phases(const conv_shape *s, int backward) {
    if (!backward) return 1;
    return conv_axis_phases(&s->axis[0]) * conv_axis_phases(&s->axis[1]) *
           conv_axis_phases(&s->axis[2]);
}

static inline im2col_view conv_view_backward(const conv_shape *s, int64_t phase) {
    im2col_view v = {.images = s->images,
                     .inner = 1,
                     .channels = s->out_channels,
                     .group_channels = s->out_channels / s->groups,
                     .out_channels = s->channels,
                     .group_width = s->channels / s->groups};
    for (int64_t i = 2; i >= 0; i--) {
        int64_t phases = conv_axis_phases(&s->axis[i]);
        v.axis[i] = im2col_backward(&s->axis[i], phase % phases);
        phase /= phases;
    }
    return v;
}

static inline im2col_view conv_view(const conv_shape *s, int backward, int64_t phase) {
    return backward ? conv_view_backward(s, phase) : conv_view_forward(s);
}

/* Columns of the column matrix for one group. */
static inline int64_t conv_depth(const im2col_view *v) {
    return im2col_taps(v) * v->group_channels;
}

/* The blocks into which `depth` columns are cut: equal, so that no short rest is left. */
static inline int64_t conv_block_depth(int64_t depth, int64_t most, int64_t unit) {
    int64_t blocks = pyad_max(1, pyad_ceil_div(depth, most));
    return pyad_ceil_div(pyad_ceil_div(depth, blocks), unit) * unit;
}

/* How the sum is cut up; by shape alone. The columns are cut into units (some whole lines of taps,
 * or one), each unit into parts of `step`. Where zeros around the image are many, a part is one tap
 * or line, and pixels that do not see it are left out (`trim`). */
typedef struct {
    int64_t depth, unit, parts, step; /* columns: all, of a unit; parts of one; columns of one */
    int64_t all_parts, item_parts;    /* parts in all, of an item of work */
    int64_t width, padded;            /* outputs of a group */
    int64_t across, down;             /* items over the outputs, over the columns */
    int64_t groups, slabs;
    int64_t block, blocks; /* pixels of a block, about CONV_PIXELS; blocks, shared by the slabs */
    int64_t sum, bias; /* elements of a slab: of its sums for one group, of those of the bias */
    int trim;
} conv_cut;

static inline void conv_cut_depth(conv_cut *c, const im2col_view *v, int64_t most) {
    int64_t channels = v->group_channels, line = v->axis[2].taps * channels;
    c->depth = conv_depth(v);
    c->unit = line <= most && !c->trim ? most / pyad_max(1, line) * line : line;
    if (line <= most && !(c->trim && channels >= most / 2)) {
        c->step = c->unit;
    } else if (channels <= most) {
        int64_t taps = c->trim ? 1 : most / channels;
        int64_t pieces = pyad_ceil_div(v->axis[2].taps, taps);
        c->step = pyad_ceil_div(v->axis[2].taps, pieces) * channels;
    } else {
        c->step = pyad_ceil_div(channels, pyad_ceil_div(channels, most));
    }
    if (c->depth == 0) return;
    c->parts = pyad_ceil_div(c->unit, c->step);
    c->all_parts = c->depth / c->unit * c->parts + pyad_ceil_div(c->depth % c->unit, c->step);
}

/* Of `count` pixels in a line, the first with its first tap at source pixel `first`: those that see
 * some tap of a range. */
static inline im2col_range conv_seeing(const im2col_axis *a, const im2col_range *taps,
                                       int64_t first, int64_t count) {
    int64_t low = first + taps->begin * a->tap_step; /* where the first one's taps lie */
    int64_t high = first + (taps->end - 1) * a->tap_step;
    im2col_range r = {0, 0};
    if (high < 0) r.begin = pyad_min(count, pyad_ceil_div(-high, a->step));
    if (low < a->source) r.end = pyad_min(count, (a->source - 1 - low) / a->step + 1);
    r.end = pyad_max(r.begin, r.end);
    return r;
}

/* The taps of columns k .. k+depth-1. */
static inline void conv_column_box(const im2col_view *v, int64_t k, int64_t depth,
                                   im2col_range *box) {
    int64_t begin = k / v->group_channels, end = (k + depth - 1) / v->group_channels + 1;
    for (int64_t i = 2; i >= 0; i--) {
        int64_t taps = v->axis[i].taps;
        int64_t line = begin / taps, past = (end - 1) / taps + 1;
        int whole = past - line > 1;
        box[i] = (im2col_range){whole ? 0 : begin - line * taps, whole ? taps : end - line * taps};
        begin = line;
        end = past;
    }
}
#endif

/* Elements of a row of packed weights: whole vectors. */
static inline int64_t K(conv_padded)(int64_t width) { return pyad_ceil_div(width, VL) * VL; }

#include "depthwise_tpl.h"
#include "narrow_tpl.h"

/* ---- tiles ---- */

/* A tile of products: rows of out += sum over the spans' k of a[i, k] b[k, j]. In `a` the spans
 * follow one another, in `b` they begin at row spans[i]. */
typedef struct {
    const REAL *a, *b;
    const int64_t *spans, *depths; /* of each span: its first k in b, how many */
    int64_t count;
    int64_t b_depth;        /* from one k to the next in b */
    REAL *const *out;       /* the rows */
    int64_t column;         /* in them */
    const K(epilogue) *end; /* for sums that are complete, else NULL */
    int add;                /* to what is there */
} K(conv_product);

/* The epilogue of a whole tile whose rows and columns lie in the output. */
GEMM_INLINE void K(conv_finish)(const K(conv_product) *p, const int64_t rows, const int64_t nv,
                                vec sum[][GEMM_NV]) {
    const K(epilogue) *e = p->end;
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        int64_t column = p->column + j * VL;
        vec scale = e->scale == NULL ? v_set1(1) : v_load(e->scale + column);
        vec bias = e->bias == NULL ? (vec){0} : v_load(e->bias + column);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) sum[i][j] = sum[i][j] * scale + bias;
    }
    if (e->residual != NULL) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            const REAL *from = e->residual + (p->out[i] - e->out) + p->column;
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] += v_load(from + j * VL);
        }
    }
    if (e->activation == GEMM_LINEAR) return;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < nv; j++) {
            sum[i][j] = K(gemm_activate)(sum[i][j], e->activation, e->p0, e->p1);
        }
    }
}

/* rows x nv vectors; a[i, k] lies at a[i * a_lane + k * a_depth]. What is constant after inlining
 * keeps the sums in registers. */
GEMM_INLINE void K(conv_tile_of)(const K(conv_product) *p, const int64_t rows, const int64_t nv,
                                 const int64_t a_lane, const int64_t a_depth,
                                 const int64_t b_depth, const int finishing) {
    vec sum[GEMM_MR][GEMM_NV];
    const REAL *a = p->a;
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = (vec){0};
    }
    for (int64_t s = 0; s < p->count; s++) {
        const REAL *b = p->b + p->spans[s] * b_depth;
        for (int64_t d = p->depths[s]; d > 0; d--, a += a_depth, b += b_depth) {
            vec right[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(b + j * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec left = v_set1(a[i * a_lane]);
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    sum[i][j] = v_fma(left, right[j], sum[i][j]);
                }
            }
        }
    }
    if (p->add) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            const REAL *out = p->out[i] + p->column;
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] += v_load(out + j * VL);
        }
    }
    if (finishing && p->end != NULL) K(conv_finish)(p, rows, nv, sum);
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        REAL *out = p->out[i] + p->column;
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) v_store(out + j * VL, sum[i][j]);
    }
}

/* tile: the rows of a are those of out, CONV_STEP apart; sum: its columns are. */
#define CONV_TILE(rows)                                                                          \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_tile_x1), rows)(                      \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, 1, CONV_STEP, 1, VL, 1);                                        \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_tile_xv), rows)(                      \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, GEMM_NV, CONV_STEP, 1, GEMM_NR, 1);                              \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_sum_x1), rows)(                       \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, 1, 1, CONV_STEP, p->b_depth, 0);                                \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_sum_xv), rows)(                       \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, GEMM_NV, 1, CONV_STEP, p->b_depth, 0);                          \
    }
#define CONV_PAIR(name, rows) {PYAD_JOIN(K(name##_x1), rows), PYAD_JOIN(K(name##_xv), rows)}

CONV_TILE(2)
CONV_TILE(4)
#if GEMM_MR > 4
CONV_TILE(6)
#endif
#if GEMM_MR > 6
CONV_TILE(8)
CONV_TILE(10)
CONV_TILE(12)
CONV_TILE(14)
#endif

#if GEMM_MR > 6
#define CONV_HEIGHTS(name)                                                                       \
    {CONV_PAIR(name, 2),  CONV_PAIR(name, 4),  CONV_PAIR(name, 6), CONV_PAIR(name, 8),           \
     CONV_PAIR(name, 10), CONV_PAIR(name, 12), CONV_PAIR(name, 14)}
#elif GEMM_MR > 4
#define CONV_HEIGHTS(name) {CONV_PAIR(name, 2), CONV_PAIR(name, 4), CONV_PAIR(name, 6)}
#else
#define CONV_HEIGHTS(name) {CONV_PAIR(name, 2), CONV_PAIR(name, 4)}
#endif

typedef void (*K(conv_tile_fn))(const K(conv_product) *p);

/* [height / 2 - 1][more than one vector] */
static const K(conv_tile_fn) K(conv_tiles)[GEMM_MR / 2][2] = CONV_HEIGHTS(conv_tile);
static const K(conv_tile_fn) K(conv_sums)[GEMM_MR / 2][2] = CONV_HEIGHTS(conv_sum);

#undef CONV_TILE
#undef CONV_PAIR
#undef CONV_HEIGHTS

/* ---- packing the weight ---- */

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
                vec turned[VECTOR_BYTES / sizeof(REAL)];
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

/* ---- conv_fwd, conv_bwd_x ---- */

/* A thread's own memory. */
typedef struct {
    im2col_run runs[CONV_RUNS], clipped[CONV_RUNS];
    int64_t spans[CONV_RUNS], depths[CONV_RUNS];
    _Alignas(64) REAL rows[GEMM_MR * (CONV_DEPTH_BYTES + VECTOR_BYTES) / sizeof(REAL)];
    _Alignas(64) REAL tile[GEMM_MR * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
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

/* One view and group: what is read, where it goes. */
typedef struct {
    const im2col_view *view;
    int64_t group, depth, height;            /* of the sums; of the tiles */
    const REAL *source, *packed;
    K(epilogue) end;
    REAL *out;
} K(conv_job);

/* A part of the output of a job, and the block of columns being summed. */
typedef struct {
    int64_t pixel, pixels;
    int64_t column, columns; /* outputs, from a multiple of NR on */
    int64_t k, depth, runs;
} K(conv_part);

/* The rows of one tile, without the taps that miss the image for all of them; returns how many
 * spans of k they have. */
static int64_t K(conv_pack_tile)(const K(conv_job) *job, const K(conv_part) *p, im2col_pixel at,
                                 int64_t rows, K(conv_scratch) *s) {
    const im2col_view *v = job->view;
    im2col_range box[3];
    im2col_box(v, at, rows, box);
    if (im2col_is_whole(v, box)) {
        s->spans[0] = 0;
        s->depths[0] = p->depth;
        K(im2col_rows)(v, job->source, at, rows, box, s->runs, p->runs, s->rows, CONV_STEP);
        return 1;
    }
    int64_t count = im2col_clip(v, box, s->runs, p->runs, s->clipped, s->spans);
    for (int64_t i = 0; i < count; i++) s->depths[i] = s->clipped[i].length;
    K(im2col_rows)(v, job->source, at, rows, box, s->clipped, count, s->rows, CONV_STEP);
    return count;
}

/* Where the outputs of a tile lie; those past `rows` are aside. Moves on to the next tile. */
static void K(conv_place_tile)(const K(conv_job) *job, im2col_pixel *at, int64_t rows,
                               K(conv_scratch) *s) {
    int64_t i = 0;
    while (i < rows) {
        im2col_stretch stretch = im2col_stretch_at(job->view, at, rows - i);
        REAL *out = job->out + im2col_out_offset(job->view, at);
        for (int64_t j = 0; j < stretch.count; j++) s->out[i++] = out + j * stretch.out_step;
        im2col_advance(job->view, at, stretch.count);
    }
    for (; i < job->height; i++) s->out[i] = s->aside[i];
}

/* A panel that is no whole number of vectors: sum aside, then bring in what counts. */
static void K(conv_narrow)(const K(conv_job) *job, const K(conv_product) *product, int64_t rows,
                           int64_t lanes, K(conv_scratch) *s) {
    K(conv_product) p = *product;
    p.out = s->aside;
    p.column = 0;
    p.add = 0;
    p.end = NULL;
    K(conv_tiles)[job->height / 2 - 1][lanes > VL](&p);
    for (int64_t i = 0; i < rows; i++) {
        REAL *out = s->out[i] + product->column;
        for (int64_t j = 0; j < lanes; j += VL) {
            int64_t n = pyad_min(VL, lanes - j);
            vec v = v_load(s->aside[i] + j);
            if (product->add) v += K(gemm_load_row)(out + j, 1, n);
            if (product->end != NULL) {
                v = K(epilogue_apply)(product->end, v, product->column + j, out + j, n);
            }
            K(gemm_store_row)(out + j, 1, v, n);
        }
    }
}

/* One tile of pixels with one block of columns; moves `at` on to the next. */
static void K(conv_tile)(const K(conv_job) *job, const K(conv_part) *p, im2col_pixel *at,
                         int64_t rows, K(conv_scratch) *s) {
    int last = p->k + p->depth == job->depth;
    K(conv_product) product = {
        .a = s->rows, .spans = s->spans, .depths = s->depths, .out = s->out, .add = p->k > 0};
    product.count = K(conv_pack_tile)(job, p, *at, rows, s);
    K(conv_place_tile)(job, at, rows, s);
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        int64_t column = p->column + j, lanes = pyad_min(GEMM_NR, p->columns - j);
        product.b = job->packed + column * job->depth + p->k * K(conv_padded)(lanes);
        product.end = last ? &job->end : NULL;
        product.column = job->group * job->view->group_width + column;
        if (lanes % VL == 0 && rows == job->height) {
            K(conv_tiles)[job->height / 2 - 1][lanes > VL](&product);
        } else {
            K(conv_narrow)(job, &product, rows, lanes, s);
        }
    }
}

/* Outputs column .. column+columns-1 of pixels pixel .. pixel+pixels-1. */
static void K(conv_range)(const K(conv_job) *job, int64_t pixel, int64_t pixels, int64_t column,
                          int64_t columns, K(conv_scratch) *s) {
    int64_t step = pyad_max(1, conv_block_depth(job->depth, CONV_DEPTH, 1));
    int64_t most = CONV_TILES * job->height;
    K(conv_part) p;
    for (int64_t i = 0; i < GEMM_MR; i++) s->aside[i] = s->tile + i * GEMM_NR;
    for (int64_t i = 0; i < pixels; i += most) {
        p.pixel = pixel + i;
        p.pixels = pyad_min(most, pixels - i);
        for (int64_t j = 0; j < columns; j += CONV_COLUMNS) {
            p.column = column + j;
            p.columns = pyad_min(CONV_COLUMNS, columns - j);
            for (p.k = 0; p.k == 0 || p.k < job->depth; p.k += step) {
                p.depth = pyad_min(step, job->depth - p.k);
                p.runs = im2col_runs(job->view, job->group, p.k, p.depth, s->runs);
                im2col_pixel at = im2col_at(job->view, p.pixel);
                for (int64_t l = 0; l < p.pixels; l += job->height) {
                    K(conv_tile)(job, &p, &at, pyad_min(job->height, p.pixels - l), s);
                }
            }
        }
    }
}

#include "pointwise_tpl.h"

/* The same by the way that the job allows. */
static void K(conv_part_of)(const K(conv_job) *job, int64_t pixel, int64_t pixels, int64_t column,
                            int64_t columns, K(conv_scratch) *s) {
    if (K(pointwise_is)(job)) {
        int64_t whole = pixels / job->height * job->height;
        K(pointwise_range)(job, pixel, whole, column, columns);
        pixel += whole;
        pixels -= whole;
    }
    K(conv_range)(job, pixel, pixels, column, columns, s);
}

/* This thread's part of a job: some of the tiles, or of the outputs where tiles are few. */
static void K(conv_share)(const K(conv_job) *job, K(conv_scratch) *s, const team *t) {
    int64_t pixels = im2col_pixels(job->view), width = job->view->group_width;
    int64_t begin, end;
    if (pixels < 2 * GEMM_MR * t->nth && width >= GEMM_NR * t->nth) {
        team_range(t, width, GEMM_NR, &begin, &end);
        if (begin < end) K(conv_part_of)(job, 0, pixels, begin, end - begin, s);
    } else {
        team_range(t, pixels, job->height, &begin, &end);
        K(conv_part_of)(job, begin, end - begin, 0, width, s);
    }
}

/* The share of all (output, tap) pairs of a view that meet the image. */
static double K(conv_hits)(const im2col_view *v) {
    double hits = 1;
    for (int64_t i = 0; i < 3; i++) {
        const im2col_axis *a = &v->axis[i];
        int64_t met = 0;
        for (int64_t j = 0; j < a->count; j++) {
            int64_t first = a->first + j * a->step;
            im2col_range r = im2col_taps_between(a, first, first);
            met += r.end - r.begin;
        }
        hits *= (double)met / (double)pyad_max(1, a->count * a->taps);
    }
    return hits;
}

/* The images whose pixels are computed side by side: a tile's height of them if enough products
 * with the zeros around the image are saved so. */
static int64_t K(conv_inner)(const im2col_view *v) {
    if (v->images < 4 || K(conv_hits)(v) > CONV_HITS) return 1;
    return pyad_min(v->images, GEMM_MR);
}

/* What either direction reads and writes. */
typedef struct {
    const pyad_array *source, *weight, *prepared; /* prepared: NULL or maybe absent */
    K(epilogue) end;
    REAL *out;
} K(conv_call);

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

/* out = weight applied to source through all views of the shape. */
static void K(conv_gather)(const conv_shape *shape, int backward, const K(conv_call) *call,
                           const team *t) {
    int64_t phases = conv_phases(shape, backward);
    const REAL *packed = call->prepared == NULL ? NULL : call->prepared->data;
    if (packed == NULL) {
        K(conv_pack_all)(shape, backward, call->weight->data, t->shared, t);
        team_barrier(t);
        packed = t->shared;
    }
    for (int64_t i = 0; i < phases; i++) {
        im2col_view v = conv_view(shape, backward, i);
        int64_t size = K(conv_padded)(v.group_width) * conv_depth(&v);
        int64_t height = K(gemm_height)(pyad_max(1, im2col_pixels(&v)));
        v.inner = K(conv_inner)(&v);
        for (int64_t g = 0; g < shape->groups; g++) {
            K(conv_job) job = {&v, g, conv_depth(&v), height, call->source->data,
                               packed + g * size, call->end, call->out};
            K(conv_share)(&job, t->scratch, t);
        }
        packed += K(conv_packed)(&v);
    }
}

static int64_t K(conv_gather_shared)(const conv_shape *s, int backward) {
    int64_t width = backward ? s->channels : s->out_channels;
    int64_t channels = backward ? s->out_channels : s->channels;
    int64_t padded = conv_is_depthwise(s) ? K(conv_padded)(width)
                                          : channels * K(conv_padded)(width / s->groups);
    return conv_taps(s) * padded * (int64_t)sizeof(REAL);
}

/* Either direction; fwd and bwd_x differ in who is the source. */
static int K(conv_apply)(const conv_shape *s, int backward, const K(conv_call) *call,
                         const team *t) {
    if (!conv_is_depthwise(s)) {
        K(conv_gather)(s, backward, call, t);
        return 0;
    }
    const REAL *packed = call->prepared == NULL ? NULL : call->prepared->data;
    if (packed == NULL) {
        K(depthwise_pack)(call->weight->data, s->channels, conv_taps(s), t->shared, t);
        team_barrier(t);
        packed = t->shared;
    }
    for (int64_t i = 0; i < conv_phases(s, backward); i++) {
        im2col_view v = conv_view(s, backward, i);
        K(depthwise_job) job = {&v, s->kernel, call->source->data, packed, call->end, call->out};
        K(depthwise_gather)(&job, t);
    }
    return 0;
}

#include "planar_tpl.h"

static int K(conv_fwd)(const void *args, const team *t) {
    const conv_fwd_args *a = args;
    conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    int planar = planar_is(&a->x);
    if (planar || (s.channels <= PLANAR_LAST && K(planar_fits)(&s))) {
        if (!K(planar_fits)(&s)) return team_fail(t, PYAD_ERROR_VALUE, 0, s.channels, PLANAR_DEPTH);
        K(epilogue) end = {a->scale.data, a->bias.data, a->residual.data, a->out.data,
                           (int)a->activation, (REAL)a->p0, (REAL)a->p1};
        const REAL *packed = a->prepared.data;
        if (packed == NULL) {
            K(conv_pack_all)(&s, 0, a->weight.data, t->shared, t);
            team_barrier(t);
            packed = t->shared;
        }
        K(planar_apply)(&s, !planar, a->x.data, packed, &end, a->out.data, t);
        return 0;
    }
    K(conv_call) call = {&a->x, &a->weight, &a->prepared,
                         {a->scale.data, a->bias.data, a->residual.data, a->out.data,
                          (int)a->activation, (REAL)a->p0, (REAL)a->p1},
                         a->out.data};
    return K(conv_apply)(&s, 0, &call, t);
}

static int K(conv_bwd_x)(const void *args, const team *t) {
    const conv_bwd_x_args *a = args;
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    narrow_cut cut;
    if (K(narrow_cut_of)(&s, &cut)) {
        K(narrow_gather)(&s, &cut, a->dy.data, a->weight.data, a->bias.data, a->dx.data, t);
        return 0;
    }
    K(conv_call) call = {&a->dy, &a->weight, NULL,
                         {.bias = a->bias.data, .out = a->dx.data}, a->dx.data};
    return K(conv_apply)(&s, 1, &call, t);
}

/* A weight's shape with the smallest image that it fits. */
static conv_shape K(conv_weight_shape)(const conv_weight_args *a) {
    conv_shape s = {.images = 1, .out_channels = a->weight.shape[0], .groups = a->groups};
    int64_t missing = 5 - a->weight.ndim;
    s.channels = a->weight.shape[1] * a->groups;
    for (int64_t i = 0; i < 3; i++) {
        s.kernel[i] = i < missing ? 1 : a->weight.shape[i - missing + 2];
        s.axis[i] = (im2col_numbers){s.kernel[i], 1, s.kernel[i], 1, 0, 1};
    }
    return s;
}

static int K(conv_weight)(const void *args, const team *t) {
    const conv_weight_args *a = args;
    conv_shape s = K(conv_weight_shape)(a);
    if (conv_is_depthwise(&s)) {
        K(depthwise_pack)(a->weight.data, s.channels, conv_taps(&s), a->out.data, t);
    } else {
        K(conv_pack_all)(&s, 0, a->weight.data, a->out.data, t);
    }
    return 0;
}

PYAD_RECORD(conv_weight, conv_weight_args, 4 * pyad_numel(&a->weight), sizeof(K(conv_scratch)), 0)

/* Products of the convolution, in units of the work that PYAD_WORK_GRAIN counts: eight of them in
 * the time of an element operation, of short sums (depthwise) four. */
static int64_t K(conv_work)(const pyad_array *out, const pyad_array *weight) {
    int64_t row = pyad_numel(weight) / pyad_max(1, weight->shape[0]);
    return pyad_numel(out) * pyad_max(1, row < 32 ? row / 4 : row / 8);
}

static int64_t K(conv_fwd_shared_bytes)(const conv_fwd_args *a) {
    if (a->prepared.data != NULL) return 0;
    conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    return K(conv_gather_shared)(&s, 0);
}

static int64_t K(conv_bwd_x_shared_bytes)(const conv_bwd_x_args *a) {
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    return K(conv_gather_shared)(&s, 1);
}

static int64_t K(conv_bwd_x_scratch_bytes)(const conv_bwd_x_args *a) {
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    narrow_cut cut;
    return K(narrow_cut_of)(&s, &cut) ? sizeof(K(narrow_scratch)) : sizeof(K(conv_scratch));
}

PYAD_RECORD(conv_fwd, conv_fwd_args, K(conv_work)(&a->out, &a->weight),
            pyad_max(sizeof(K(conv_scratch)), sizeof(K(planar_scratch))),
            K(conv_fwd_shared_bytes)(a))
PYAD_RECORD(conv_bwd_x, conv_bwd_x_args, K(conv_work)(&a->dy, &a->weight),
            K(conv_bwd_x_scratch_bytes)(a), K(conv_bwd_x_shared_bytes)(a))

/* ---- conv_bwd_w ---- */

/* A thread's own memory. */
typedef struct {
    im2col_run runs[CONV_RUNS];
    int64_t spans[CONV_PIXELS], depths[CONV_PIXELS];
    _Alignas(64) REAL rows[CONV_PIXELS * (CONV_DEPTH_BYTES + VECTOR_BYTES) / sizeof(REAL)];
    _Alignas(64) REAL right[CONV_PIXELS * CONV_WEIGHT_COLUMNS];
    _Alignas(64) REAL aside[CONV_WEIGHT_COLUMNS];
    REAL *out[CONV_RUNS + GEMM_MR];
} K(conv_sums_scratch);

static conv_cut K(conv_cut_of)(const im2col_view *v) {
    conv_cut c = {.groups = v->out_channels / pyad_max(1, v->group_width), .width = v->group_width};
    c.trim = conv_depth(v) >= CONV_DEPTH && K(conv_hits)(v) <= CONV_HITS;
    conv_cut_depth(&c, v, CONV_DEPTH);
    c.padded = K(conv_padded)(c.width);
    c.across = pyad_ceil_div(c.width, CONV_WEIGHT_COLUMNS);
    int64_t columns = pyad_min(c.padded, CONV_WEIGHT_COLUMNS);
    c.item_parts = pyad_max(1, CONV_ITEM_ELEMENTS / pyad_max(1, c.step * columns));
    c.down = pyad_max(1, pyad_ceil_div(c.all_parts, c.item_parts));
    c.sum = c.depth * c.padded;
    c.bias = c.groups * c.padded;
    int64_t fit = CONV_SLAB_ELEMENTS / pyad_max(1, c.groups * c.sum + c.bias);
    /* block <= CONV_PIXELS, so (blocks - 1) block < pixels: no block is empty */
    c.blocks = pyad_max(1, pyad_ceil_div(im2col_pixels(v), CONV_PIXELS));
    c.block = pyad_max(1, pyad_ceil_div(im2col_pixels(v), c.blocks));
    int64_t most = pyad_min(fit, c.blocks);
    for (c.slabs = 1; c.slabs < CONV_SLABS && 2 * c.slabs <= most;) c.slabs *= 2;
    return c;
}

/* Elements of one slab. */
static inline int64_t K(conv_slab)(const conv_cut *c) { return c->groups * c->sum + c->bias; }

/* One item: a slab's sums for some parts of the columns and outputs column .. column+columns-1. */
typedef struct {
    const im2col_view *view;
    const conv_cut *cut;
    int64_t group, part, parts, column, columns;
    const REAL *x, *dy; /* dy: from the item's first column on */
    REAL *sums, *bias;  /* of all parts; bias: NULL if another item has it */
    int direct;         /* dy is read where it lies */
} K(conv_item);

/* Columns k .. k+depth-1 and their taps. */
typedef struct {
    int64_t k, depth, runs;
    im2col_range box[3];
} K(conv_columns);

/* The outputs of `rows` pixels, panels of NR side by side: rows of many channels would share a few
 * sets of the cache. A rest is padded with zeros. */
static void K(conv_right)(const K(conv_item) *p, const REAL *dy, int64_t rows, REAL *right) {
    int64_t whole = p->columns / VL * VL, rest = p->columns - whole;
    for (int64_t i = 0; i < rows; i++, dy += p->view->out_channels) {
        REAL *to = right + i * GEMM_NR;
        for (int64_t j = 0; j < whole; j += VL) {
            v_store(to + j / GEMM_NR * CONV_PIXELS * GEMM_NR + j % GEMM_NR, v_load(dy + j));
        }
        if (rest == 0) continue;
        v_store(to + whole / GEMM_NR * CONV_PIXELS * GEMM_NR + whole % GEMM_NR,
                v_load_n(dy + whole, rest));
    }
}

/* The sum of `rows` rows of up to NR elements. */
GEMM_INLINE void K(conv_row_sums)(const REAL *p, int64_t step, int64_t rows, int64_t lanes,
                                  vec *sum) {
    vec odd[GEMM_NV] = {{0}};
    for (int64_t i = 0; i < rows; i++, p += step) {
        vec *to = i % 2 ? odd : sum;
        for (int64_t j = 0; j < GEMM_NV; j++) {
            int64_t n = pyad_min(VL, lanes - j * VL);
            if (n > 0) to[j] += K(gemm_load_row)(p + j * VL, 1, n);
        }
    }
    for (int64_t j = 0; j < GEMM_NV; j++) sum[j] += odd[j];
}

/* Pixels first sum from zero, then join the others. */
static void K(conv_add_bias)(const K(conv_item) *p, const REAL *dy, int64_t rows, int add) {
    int64_t step = p->view->out_channels;
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        vec sum[GEMM_NV] = {{0}};
        int64_t lanes = pyad_min(GEMM_NR, p->columns - j);
        if (lanes == GEMM_NR) {
            K(conv_row_sums)(dy + j, step, rows, GEMM_NR, sum);
        } else {
            K(conv_row_sums)(dy + j, step, rows, lanes, sum);
        }
        for (int64_t l = 0; l < lanes; l += VL) {
            if (add) sum[l / VL] += v_load(p->bias + j + l);
            v_store(p->bias + j + l, sum[l / VL]);
        }
    }
}

/* The height of the next tile over `rest` columns: MR, at the end two even halves. */
static inline int64_t K(conv_next_height)(int64_t rest) {
    if (rest >= 2 * GEMM_MR || rest == GEMM_MR) return GEMM_MR;
    return rest > GEMM_MR ? pyad_ceil_div(rest, 4) * 2 : pyad_ceil_div(rest, 2) * 2;
}

/* The columns of part number `part`. */
static K(conv_columns) K(conv_part_columns)(const K(conv_item) *p, int64_t part,
                                            K(conv_sums_scratch) *s) {
    const conv_cut *c = p->cut;
    int64_t unit = part / c->parts * c->unit, within = part % c->parts * c->step;
    K(conv_columns) columns = {.k = unit + within};
    columns.depth = pyad_min(c->step, pyad_min(c->unit, c->depth - unit) - within);
    columns.runs = im2col_runs(p->view, p->group, columns.k, columns.depth, s->runs);
    conv_column_box(p->view, columns.k, columns.depth, columns.box);
    for (int64_t i = 0; i < columns.depth; i++) {
        s->out[i] = p->sums + (columns.k + i) * c->padded;
    }
    s->out[columns.depth] = s->aside; /* a row that the last tile does not have */
    return columns;
}

/* The rows of those pixels that see a part's taps; returns how many spans of pixels they are. */
static int64_t K(conv_trimmed_rows)(const K(conv_item) *p, const K(conv_columns) *columns,
                                    im2col_pixel at, int64_t rows, K(conv_sums_scratch) *s) {
    const im2col_view *v = p->view;
    const im2col_axis *a = v->axis;
    int64_t spans = 0;
    REAL *dst = s->rows;
    for (int64_t i = 0; i < rows;) {
        int64_t count = im2col_stretch_at(v, &at, rows - i).count;
        im2col_range d = conv_seeing(&a[0], &columns->box[0], a[0].first + at.d * a[0].step, 1);
        im2col_range h = conv_seeing(&a[1], &columns->box[1], a[1].first + at.h * a[1].step, 1);
        im2col_range w =
            conv_seeing(&a[2], &columns->box[2], a[2].first + at.w * a[2].step, count);
        im2col_pixel from = at;
        int64_t n = d.end > d.begin && h.end > h.begin ? w.end - w.begin : 0;
        if (n > 0) {
            from.w += w.begin;
            K(im2col_rows)(v, p->x, from, n, columns->box, s->runs, columns->runs, dst, CONV_STEP);
            dst += n * CONV_STEP;
            if (spans > 0 && s->spans[spans - 1] + s->depths[spans - 1] == i + w.begin) {
                s->depths[spans - 1] += n;
            } else {
                s->spans[spans] = i + w.begin;
                s->depths[spans++] = n;
            }
        }
        im2col_advance(v, &at, count);
        i += count;
    }
    return spans;
}

/* The rows of one part for `rows` pixels; returns how many spans of pixels they are. */
static int64_t K(conv_part_rows)(const K(conv_item) *p, const K(conv_columns) *columns,
                                 im2col_pixel at, int64_t rows, K(conv_sums_scratch) *s) {
    if (p->cut->trim) return K(conv_trimmed_rows)(p, columns, at, rows, s);
    K(im2col_rows)(p->view, p->x, at, rows, columns->box, s->runs, columns->runs, s->rows,
                   CONV_STEP);
    s->spans[0] = 0;
    s->depths[0] = rows;
    return 1;
}

/* Add the products of one part's rows with all outputs of the item. */
static void K(conv_part_products)(const K(conv_item) *p, int64_t depth, int64_t spans,
                                  const REAL *dy, int add, K(conv_sums_scratch) *s) {
    K(conv_product) product = {
        .spans = s->spans, .depths = s->depths, .count = spans, .add = add};
    product.b_depth = p->direct ? p->view->out_channels : GEMM_NR;
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        product.b = p->direct ? dy + j : s->right + j * CONV_PIXELS;
        product.column = j;
        for (int64_t i = 0; i < depth;) {
            int64_t height = K(conv_next_height)(depth - i);
            product.a = s->rows + i;
            product.out = s->out + i;
            K(conv_sums)[height / 2 - 1][p->columns - j > VL](&product);
            i += height;
        }
    }
}

/* The products of `rows` pixels, added to an item's sums if these are not the first. */
static void K(conv_weight_block)(const K(conv_item) *p, int64_t pixel, int64_t rows, int add,
                                 K(conv_sums_scratch) *s) {
    im2col_pixel at = im2col_at(p->view, pixel);
    const REAL *dy = p->dy + pixel * p->view->out_channels;
    if (!p->direct) K(conv_right)(p, dy, rows, s->right);
    for (int64_t i = p->part; i < p->part + p->parts; i++) {
        K(conv_columns) columns = K(conv_part_columns)(p, i, s);
        int64_t spans = K(conv_part_rows)(p, &columns, at, rows, s);
        K(conv_part_products)(p, columns.depth, spans, dy, add, s);
    }
    if (p->bias != NULL) K(conv_add_bias)(p, dy, rows, add);
}

/* Item number `item` of those of all slabs, groups and blocks. */
static void K(conv_weight_item)(const im2col_view *v, const conv_cut *c, const REAL *x,
                                const REAL *dy, REAL *all, int64_t item, int with_bias,
                                K(conv_sums_scratch) *s) {
    int64_t across = item % c->across, down = item / c->across % c->down;
    int64_t rest = item / c->across / c->down;
    int64_t group = rest % c->groups, slab = rest / c->groups;
    REAL *sums = all + slab * K(conv_slab)(c);
    K(conv_item) p = {.view = v, .cut = c, .group = group, .x = x};
    p.part = down * c->item_parts;
    p.parts = pyad_min(c->item_parts, c->all_parts - p.part);
    p.column = across * CONV_WEIGHT_COLUMNS;
    p.columns = pyad_min(CONV_WEIGHT_COLUMNS, c->width - p.column);
    p.dy = dy + group * c->width + p.column;
    p.sums = sums + group * c->sum + p.column;
    if (with_bias && down == 0) {
        p.bias = sums + c->groups * c->sum + group * c->padded + p.column;
    }
    p.direct = p.columns % VL == 0 && (c->depth < 4 * GEMM_MR || v->out_channels == GEMM_NR);
    int64_t begin = c->blocks * slab / c->slabs * c->block;
    int64_t end = pyad_min(im2col_pixels(v), c->blocks * (slab + 1) / c->slabs * c->block);
    for (int64_t i = begin; i < end; i += c->block) {
        K(conv_weight_block)(&p, i, pyad_min(c->block, end - i), i > begin, s);
    }
}

/* dw of outputs o .. o+n-1 <= VL of a group, from all slabs: dw[o, channel, tap]. VL of a row's
 * elements at a time are turned from outputs side by side to elements side by side. */
static void K(conv_weight_rows)(const im2col_view *v, const conv_cut *c, const REAL *sums,
                                int64_t slab_step, int64_t n, REAL *dw) {
    int64_t taps = im2col_taps(v), channel = 0, tap = 0;
    for (int64_t e = 0; e < c->depth; e += VL) {
        int64_t count = pyad_min(VL, c->depth - e);
        vec turned[VECTOR_BYTES / sizeof(REAL)] = {{0}};
        for (int64_t i = 0; i < count; i++) {
            const REAL *at = sums + (tap * v->group_channels + channel) * c->padded;
            vec sum = v_load(at);
            for (int64_t l = 1; l < c->slabs; l++) sum += v_load(at + l * slab_step);
            turned[i] = sum;
            if (++tap == taps) tap = 0, channel++;
        }
        K(gemm_transpose)(turned);
        for (int64_t l = 0; l < n; l++) {
            K(gemm_store_row)(dw + l * c->depth + e, 1, turned[l], count);
        }
    }
}

/* This thread's rows of dw and elements of db. */
static void K(conv_weight_collect)(const im2col_view *v, const conv_cut *c, const REAL *all,
                                   REAL *dw, REAL *db, const team *t) {
    int64_t groups = c->groups, slab_step = K(conv_slab)(c);
    int64_t begin, end, panels = c->padded / VL;
    team_range(t, groups * panels, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / panels, column = i % panels * VL;
        int64_t n = pyad_min(VL, c->width - column), o = group * c->width + column;
        const REAL *sums = all + group * c->sum + column;
        K(conv_weight_rows)(v, c, sums, slab_step, n, dw + o * c->depth);
        if (db == NULL) continue;
        const REAL *bias = all + groups * c->sum + group * c->padded + column;
        for (int64_t l = 0; l < n; l++) {
            REAL sum = 0;
            for (int64_t s = 0; s < c->slabs; s++) sum += bias[s * slab_step + l];
            db[o + l] = sum;
        }
    }
}

static int K(conv_bwd_w)(const void *args, const team *t) {
    const conv_bwd_w_args *a = args;
    conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    im2col_view v = conv_view_forward(&s);
    REAL *dw = a->dw.data, *db = a->db.data, *all = t->shared;
    int64_t begin, end;
    if (conv_is_depthwise(&s)) {
        K(depthwise_weight)(&v, a->x.data, a->dy.data, dw, db, t);
        return 0;
    }
    if (im2col_pixels(&v) == 0) {
        team_range(t, pyad_numel(&a->dw), 1, &begin, &end);
        memset(dw + begin, 0, (size_t)(end - begin) * sizeof(REAL));
        if (db != NULL && t->ith == 0) memset(db, 0, (size_t)s.out_channels * sizeof(REAL));
        return 0;
    }
    if (s.out_channels == 0) return 0;
    conv_cut c = K(conv_cut_of)(&v);
    int64_t items = c.slabs * c.groups * c.down * c.across;
    K(conv_sums_scratch) *scratch = t->scratch;
    /* what tiles read beyond a part's columns, for a row that goes aside, must be finite */
    memset(scratch->rows, 0, sizeof scratch->rows);
    memset(scratch->aside, 0, sizeof scratch->aside);
    team_range(t, items, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        K(conv_weight_item)(&v, &c, a->x.data, a->dy.data, all, i, db != NULL, scratch);
    }
    team_barrier(t);
    K(conv_weight_collect)(&v, &c, all, dw, db, t);
    return 0;
}

static int64_t K(conv_bwd_w_shared_bytes)(const conv_bwd_w_args *a) {
    conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    im2col_view v = conv_view_forward(&s);
    int64_t elements;
    if (conv_is_depthwise(&s)) {
        elements = DEPTHWISE_SLABS * (conv_taps(&s) + 1) * K(conv_padded)(s.channels);
    } else {
        conv_cut c = K(conv_cut_of)(&v);
        elements = c.slabs * K(conv_slab)(&c);
    }
    return elements * (int64_t)sizeof(REAL);
}

PYAD_RECORD(conv_bwd_w, conv_bwd_w_args, K(conv_work)(&a->dy, &a->dw),
            sizeof(K(conv_sums_scratch)), K(conv_bwd_w_shared_bytes)(a))
#endif
