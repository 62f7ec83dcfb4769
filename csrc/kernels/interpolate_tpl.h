/* Nearest and linear interpolation over up to three spatial axes, in channels-last memory; and, one
 * axis at a time, weighted sums of any length, whose tables come from outside.
 *
 * Each axis gives every output position two neighbours and the weight of the second; nearest has
 * one neighbour. Forward: output pixel, then channels, then the neighbours. Backward: input row,
 * then the output rows that read it, then their pixels, which add to the row while it is in the
 * cache: a thread owns whole input rows, and each sum has one order.
 *
 * Positions are computed as PyTorch does: in the dtype of the data, nearest rounded to float32
 * at last.
 */
#ifdef REAL
#include "core.h"

#define LERP_INLINE static inline __attribute__((always_inline))
#define LERP_AXES 3
#define LERP_COLUMNS 64 /* whose sources are kept */
#define RESAMPLE_TURNED (1 << 20) /* bytes of turned lines, at most */

#define lerp_axis K(lerp_axis)
#define lerp_source K(lerp_source)
#define lerp_job K(lerp_job)

typedef struct {
    int64_t in, out, mode;
    REAL scale;
} lerp_axis;

/* The neighbours of one output position and the second one's weight. */
typedef struct {
    int64_t first, second;
    REAL weight;
} lerp_source;

typedef struct {
    int64_t n, c;
    lerp_axis axis[LERP_AXES];
} lerp_job;

static lerp_job K(lerp_job_of)(const pyad_array *x, const pyad_array *y, int64_t mode,
                               const double *scale) {
    lerp_job j = {.n = x->shape[0], .c = x->shape[1]};
    for (int64_t i = 0; i < LERP_AXES; i++) {
        int64_t from = i - LERP_AXES + x->ndim;
        int present = from >= 2;
        j.axis[i] = (lerp_axis){present ? x->shape[from] : 1, present ? y->shape[from] : 1, mode,
                                (REAL)scale[i]};
    }
    return j;
}

static lerp_source K(lerp_nearest)(const lerp_axis *a, int64_t o) {
    REAL shift = a->mode == PYAD_NEAREST_EXACT ? (REAL)0.5 : 0;
    REAL position = ((REAL)o + shift) * a->scale;
    int64_t at = pyad_min((int64_t)(float)position, a->in - 1);
    return (lerp_source){at, at, 0};
}

static lerp_source K(lerp_linear)(const lerp_axis *a, int64_t o) {
    if (a->in == a->out) return (lerp_source){o, o, 0};
    REAL half = a->mode == PYAD_LINEAR ? (REAL)0.5 : 0;
    REAL position = ((REAL)o + half) * a->scale - half;
    if (position < 0) position = 0;
    int64_t first = pyad_min((int64_t)position, a->in - 1);
    if (first == a->in - 1) return (lerp_source){first, first, 0};
    return (lerp_source){first, first + 1, position - (REAL)first};
}

/* Neighbours never go down as o goes up. */
static inline lerp_source K(lerp_at)(const lerp_axis *a, int64_t o) {
    return a->mode < PYAD_LINEAR ? K(lerp_nearest)(a, o) : K(lerp_linear)(a, o);
}

/* The first output whose first neighbour is `in` or later. */
static int64_t K(lerp_reach)(const lerp_axis *a, int64_t in) {
    int64_t low = 0, high = a->out;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (K(lerp_at)(a, middle).first >= in) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* The weight of input `in` at one output position. */
static inline REAL K(lerp_weight)(lerp_source s, int64_t in) {
    REAL weight = 0;
    if (s.first == in) weight += 1 - s.weight;
    if (s.second == in) weight += s.weight;
    return weight;
}

/* ---- forward ---- */

/* The four input rows that output row (od, oh) mixes, and their weights. */
typedef struct {
    const REAL *row[4];
    REAL weight[4];
} K(lerp_rows);

/* What has weight 0 is not read: an infinite neighbour must not give NaN. */
LERP_INLINE vec K(lerp_mix)(const K(lerp_rows) *r, lerp_source s, int64_t rows, int64_t pair,
                            int64_t c, int64_t at, int64_t live) {
    vec sum = v_set1(0), right = v_set1(s.weight), left = v_set1(1 - s.weight);
    for (int64_t i = 0; i < rows; i++) {
        const REAL *first = r->row[i] + s.first * c + at, *second = r->row[i] + s.second * c + at;
        vec a = v_load_live(first, live);
        if (pair) {
            vec b = v_load_live(second, live);
            a = v_fma(right, b, left * a);
        }
        sum = v_fma(v_set1(r->weight[i]), a, sum);
    }
    return sum;
}

LERP_INLINE void K(lerp_pixel)(const K(lerp_rows) *r, lerp_source s, int64_t rows, int64_t pair,
                               int64_t c, REAL *y) {
    int64_t at = 0;
    for (; at + VL <= c; at += VL) v_store(y + at, K(lerp_mix)(r, s, rows, pair, c, at, VL));
    if (at == c) return;
    v_store_n(y + at, K(lerp_mix)(r, s, rows, pair, c, at, c - at), c - at);
}

static int64_t K(lerp_rows_of)(const lerp_job *j, const REAL *x, int64_t n, int64_t od, int64_t oh,
                               K(lerp_rows) *r) {
    const lerp_axis *a = j->axis;
    lerp_source d = K(lerp_at)(&a[0], od), h = K(lerp_at)(&a[1], oh);
    int64_t count = 0;
    for (int64_t i = 0; i < 4; i++) {
        REAL weight = (i / 2 ? d.weight : 1 - d.weight) * (i % 2 ? h.weight : 1 - h.weight);
        if (weight == 0) continue;
        int64_t at_d = i / 2 ? d.second : d.first, at_h = i % 2 ? h.second : h.first;
        int64_t row = (n * a[0].in + at_d) * a[1].in + at_h;
        r->row[count] = x + row * a[2].in * j->c;
        r->weight[count++] = weight;
    }
    return count;
}

static void K(lerp_row)(const lerp_job *j, const REAL *x, REAL *y, int64_t row) {
    const lerp_axis *a = j->axis;
    int64_t oh = row % a[1].out, od = row / a[1].out % a[0].out, n = row / a[1].out / a[0].out;
    K(lerp_rows) r;
    int64_t rows = K(lerp_rows_of)(j, x, n, od, oh, &r);
    for (int64_t o = 0; o < a[2].out; o++, y += j->c) {
        lerp_source s = K(lerp_at)(&a[2], o);
        if (rows == 1 && s.weight == 0) {
            memcpy(y, r.row[0] + s.first * j->c, (size_t)j->c * sizeof(REAL));
        } else if (s.weight == 0) {
            K(lerp_pixel)(&r, s, rows, 0, j->c, y);
        } else if (rows == 2) {
            K(lerp_pixel)(&r, s, 2, 1, j->c, y);
        } else {
            K(lerp_pixel)(&r, s, rows, 1, j->c, y);
        }
    }
}

/* ---- forward, one channel: it would fill one lane. Element by element, and the sources along the
 * width are found once for all rows of a thread. ---- */

/* `count` pixels of a row, whose sources along the width are `along`. */
static void K(lerp_single)(const K(lerp_rows) *r, int64_t rows, const lerp_source *along,
                           int64_t count, REAL *y) {
    for (int64_t o = 0; o < count; o++) {
        const lerp_source s = along[o];
        REAL sum = 0;
        for (int64_t i = 0; i < rows; i++) {
            REAL a = r->row[i][s.first];
            if (s.weight != 0) a = (1 - s.weight) * a + s.weight * r->row[i][s.second];
            if (rows > 1) a *= r->weight[i];
            sum = i == 0 ? a : sum + a;
        }
        y[o] = sum;
    }
}

/* The source of one output, not inlined: vectors of them would be much code for little. */
static PYAD_ONCE void K(lerp_find)(const lerp_axis *a, int64_t o, lerp_source *s) {
    *s = K(lerp_at)(a, o);
}

/* Rows begin .. end-1, a block of columns after the other. */
static void K(lerp_single_rows)(const lerp_job *j, const REAL *x, REAL *y, int64_t begin,
                                int64_t end) {
    const lerp_axis *a = j->axis;
    lerp_source along[LERP_COLUMNS];
    for (int64_t at = 0; at < a[2].out; at += LERP_COLUMNS) {
        const int64_t count = pyad_min(LERP_COLUMNS, a[2].out - at);
        for (int64_t o = 0; o < count; o++) K(lerp_find)(&a[2], at + o, &along[o]);
        for (int64_t row = begin; row < end; row++) {
            K(lerp_rows) r;
            const int64_t outer = row / a[1].out;
            const int64_t rows = K(lerp_rows_of)(j, x, outer / a[0].out, outer % a[0].out,
                                                 row % a[1].out, &r);
            K(lerp_single)(&r, rows, along, count, y + row * a[2].out + at);
        }
    }
}

static int K(interpolate_fwd)(const void *args, const team *t) {
    const interpolate_fwd_args *a = args;
    lerp_job j = K(lerp_job_of)(&a->x, &a->y, a->mode, a->scale);
    int64_t begin, end, row_size = j.axis[2].out * j.c;
    team_range(t, j.n * j.axis[0].out * j.axis[1].out, 1, &begin, &end);
    REAL *y = a->y.data;
    if (j.c == 1) {
        K(lerp_single_rows)(&j, a->x.data, y, begin, end);
        return PYAD_OK;
    }
    for (int64_t row = begin; row < end; row++) {
        K(lerp_row)(&j, a->x.data, y + row * row_size, row);
    }
    return PYAD_OK;
}
PYAD_RECORD(interpolate_fwd, interpolate_fwd_args, pyad_numel(&a->y))

/* ---- backward ---- */

LERP_INLINE void K(lerp_add)(REAL *to, const REAL *from, REAL weight, int64_t c) {
    int64_t at = 0;
    for (; at + VL <= c; at += VL) {
        v_store(to + at, v_fma(v_set1(weight), v_load(from + at), v_load(to + at)));
    }
    if (at == c) return;
    vec sum = v_fma(v_set1(weight), v_load_n(from + at, c - at), v_load_n(to + at, c - at));
    v_store_n(to + at, sum, c - at);
}

/* One row of gy, times `weight`, adds to one row of gx. */
static void K(lerp_spread)(const lerp_job *j, const REAL *gy, REAL *gx, REAL weight) {
    const lerp_axis *a = &j->axis[2];
    if (j->c == 1) {
        for (int64_t o = 0; o < a->out; o++) {
            const lerp_source s = K(lerp_at)(a, o);
            gx[s.first] += weight * (1 - s.weight) * gy[o];
            if (s.weight != 0) gx[s.second] += weight * s.weight * gy[o];
        }
        return;
    }
    for (int64_t o = 0; o < a->out; o++, gy += j->c) {
        lerp_source s = K(lerp_at)(a, o);
        K(lerp_add)(gx + s.first * j->c, gy, weight * (1 - s.weight), j->c);
        if (s.weight != 0) K(lerp_add)(gx + s.second * j->c, gy, weight * s.weight, j->c);
    }
}

static void K(lerp_gather_row)(const lerp_job *j, const REAL *gy, REAL *gx, int64_t row) {
    const lerp_axis *a = j->axis;
    int64_t h = row % a[1].in, d = row / a[1].in % a[0].in, n = row / a[1].in / a[0].in;
    int64_t before = a[0].mode < PYAD_LINEAR ? 0 : 1;
    memset(gx, 0, (size_t)(a[2].in * j->c) * sizeof(REAL));
    int64_t end_d = K(lerp_reach)(&a[0], d + 1), end_h = K(lerp_reach)(&a[1], h + 1);
    for (int64_t od = K(lerp_reach)(&a[0], d - before); od < end_d; od++) {
        REAL weight_d = K(lerp_weight)(K(lerp_at)(&a[0], od), d);
        if (weight_d == 0) continue;
        for (int64_t oh = K(lerp_reach)(&a[1], h - before); oh < end_h; oh++) {
            REAL weight = weight_d * K(lerp_weight)(K(lerp_at)(&a[1], oh), h);
            int64_t out = ((n * a[0].out + od) * a[1].out + oh) * a[2].out;
            if (weight != 0) K(lerp_spread)(j, gy + out * j->c, gx, weight);
        }
    }
}

static int K(interpolate_bwd)(const void *args, const team *t) {
    const interpolate_bwd_args *a = args;
    lerp_job j = K(lerp_job_of)(&a->gx, &a->gy, a->mode, a->scale);
    int64_t begin, end, row_size = j.axis[2].in * j.c;
    team_range(t, j.n * j.axis[0].in * j.axis[1].in, 1, &begin, &end);
    REAL *gx = a->gx.data;
    for (int64_t row = begin; row < end; row++) {
        K(lerp_gather_row)(&j, a->gy.data, gx + row * row_size, row);
    }
    return PYAD_OK;
}
PYAD_RECORD(interpolate_bwd, interpolate_bwd_args, pyad_numel(&a->gy))

/* ---- resample: a filter of any length along one axis ---- */

/* What has weight 0 is not read, as above. */
LERP_INLINE vec K(resample_sum)(const REAL *x, const REAL *weight, int64_t taps, int64_t inner,
                                int64_t live) {
    vec sum = v_set1(0);
    for (int64_t k = 0; k < taps; k++, x += inner) {
        if (weight[k] == 0) continue;
        sum = v_fma(v_set1(weight[k]), v_load_live(x, live), sum);
    }
    return sum;
}

/* output position, then the elements beside the axis, then taps */
static void K(resample_rows)(const resample_args *a, const team *t) {
    const int64_t positions = a->x.shape[1], outputs = a->y.shape[1], inner = a->y.shape[2];
    const int64_t taps = a->weight.shape[1], *start = a->start.data;
    int64_t begin, end;
    team_range(t, a->y.shape[0] * outputs, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const int64_t o = row % outputs, from = row / outputs * positions + start[o];
        const REAL *x = (const REAL *)a->x.data + from * inner;
        const REAL *weight = (const REAL *)a->weight.data + o * taps;
        REAL *y = (REAL *)a->y.data + row * inner;
        int64_t at = 0;
        for (; at + VL <= inner; at += VL) {
            v_store(y + at, K(resample_sum)(x + at, weight, taps, inner, VL));
        }
        if (at == inner) continue;
        v_store_n(y + at, K(resample_sum)(x + at, weight, taps, inner, inner - at), inner - at);
    }
}

/* VL lines are turned, so that each is a lane: the axis is usually that of the width, and few channels
 * beside it would fill few lanes. */

static int64_t K(resample_turned)(const resample_args *a) {
    return (a->x.shape[1] + a->y.shape[1]) * a->y.shape[2] * VL * (int64_t)sizeof(REAL);
}

static int K(resample_turns)(const resample_args *a) {
    return pyad_min(a->y.shape[0], VL) > 2 * a->y.shape[2] &&
           K(resample_turned)(a) <= RESAMPLE_TURNED;
}

/* Lines of `size` elements, of which `lines` are there, as [element][line]. */
static void K(resample_turn)(const REAL *from, int64_t size, int64_t lines, REAL *turned) {
    for (int64_t at = 0; at < size; at += VL) {
        const int64_t live = pyad_min(VL, size - at);
        vec v[VECTOR_BYTES / sizeof(REAL)];
        for (int64_t l = 0; l < VL; l++) {
            v[l] = l < lines ? v_load_live(from + l * size + at, live) : (vec){0};
        }
        K(v_transpose)(v, VL);
        for (int64_t i = 0; i < live; i++) v_store(turned + (at + i) * VL, v[i]);
    }
}

static void K(resample_turn_back)(const REAL *turned, int64_t size, int64_t lines, REAL *to) {
    for (int64_t at = 0; at < size; at += VL) {
        const int64_t live = pyad_min(VL, size - at);
        vec v[VECTOR_BYTES / sizeof(REAL)];
        for (int64_t i = 0; i < VL; i++) {
            v[i] = i < live ? v_load(turned + (at + i) * VL) : (vec){0};
        }
        K(v_transpose)(v, VL);
        for (int64_t l = 0; l < lines; l++) v_store_live(to + l * size + at, v[l], live);
    }
}

/* blocks of VL lines, output position, the elements beside the axis, then taps */
static void K(resample_lines)(const resample_args *a, const team *t) {
    const int64_t outputs = a->y.shape[1], inner = a->y.shape[2], taps = a->weight.shape[1];
    const int64_t size = a->x.shape[1] * inner, *start = a->start.data;
    REAL *turned = t->scratch, *sums = turned + size * VL;
    int64_t line, end;
    team_range(t, a->y.shape[0], VL, &line, &end);
    for (; line < end; line += VL) {
        const int64_t lines = pyad_min(VL, end - line);
        K(resample_turn)((const REAL *)a->x.data + line * size, size, lines, turned);
        for (int64_t o = 0; o < outputs; o++) {
            const REAL *weight = (const REAL *)a->weight.data + o * taps;
            for (int64_t at = 0; at < inner; at++) {
                const REAL *x = turned + (start[o] * inner + at) * VL;
                const vec sum = K(resample_sum)(x, weight, taps, inner * VL, VL);
                v_store(sums + (o * inner + at) * VL, sum);
            }
        }
        REAL *y = (REAL *)a->y.data + line * outputs * inner;
        K(resample_turn_back)(sums, outputs * inner, lines, y);
    }
}

static int K(resample)(const void *args, const team *t) {
    const resample_args *a = args;
    if (K(resample_turns)(a)) {
        K(resample_lines)(a, t);
    } else {
        K(resample_rows)(a, t);
    }
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(resample, resample_args, pyad_numel(&a->y) * a->weight.shape[1],
            K(resample_turns)(a) ? K(resample_turned)(a) : 0, 0)

#undef RESAMPLE_TURNED
#undef LERP_INLINE
#undef LERP_AXES
#undef LERP_COLUMNS
#undef lerp_axis
#undef lerp_source
#undef lerp_job
#endif
