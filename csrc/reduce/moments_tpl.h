/* Variance and standard deviation: squared distances from the mean of a run or from the first of a
 * few rows, in double; runs meet by Chan's formula. Where their sum is not finite, or too small to be
 * all of it, numbers are read once more, scaled.
 *
 * A run is read twice, for its mean and then for the distances: it lies in L1 by then, and nothing
 * cancels as it would in a sum of squares. Rows are read once: a mean of every column would be one
 * more pass through memory.
 */
#include <float.h>

typedef struct {
    double count, mean, squares; /* squares: of the distances from the mean */
} K(moments);

static inline K(moments) K(var_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return (K(moments)){0, 0, 0};
}

static inline void K(var_merge)(const void *args, K(moments) *state, const K(moments) *other) {
    const double count = state->count + other->count, delta = other->mean - state->mean;
    (void)args;
    if (state->count == 0) {
        *state = *other;
    } else if (other->count != 0) {
        const double part = other->count / count;
        state->squares += other->squares + delta * delta * state->count * part;
        state->mean += delta * part;
        state->count = count;
    }
}

/* Of n numbers, from the sums of their distances from `shift` and of these squared. What is left of equal
 * numbers beside the square of their common distance is rounding; a difference in the last place of one
 * of them is far more. */
static inline K(moments) K(moments_of)(double n, double shift, double sum, double squares) {
    const double level = sum / n, around = squares - sum * level;
    const int differ = around > 0x1p-44 * squares || !(squares <= DBL_MAX);
    return (K(moments)){n, shift + level, differ ? around : 0};
}

/* The mean of n numbers, about: distances from it are small, and moments_of sees to the rest. */
static inline double K(var_centre)(const REAL *x, int64_t n) {
    vec sum[4] = {{0}};
    double total = 0;
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        for (int j = 0; j < 4; j++) sum[j] += v_load(x + i + j * VL);
    }
    for (int j = 0; j < 4; j++) total += (double)v_sum(sum[j]);
    for (; i < n; i++) total += (double)x[i];
    /* sums overflow where numbers do not */
    return total - total == 0 ? total / (double)n : (double)x[0];
}

static inline void K(var_run)(const void *args, K(moments) *state, const REAL *x, int64_t n,
                              int64_t at) {
    enum { lanes = 16 };
    double sum[lanes] = {0}, squares[lanes] = {0};
    const int64_t whole = n / lanes * lanes;
    const double shift = K(var_centre)(x, n);
    (void)at;
    for (int64_t i = 0; i < whole; i += lanes) {
        /* the next run, whose mean would be found at memory's pace */
        __builtin_prefetch(x + n + i, 0, 3);
        if (lanes * sizeof(REAL) > PYAD_LINE_BYTES) __builtin_prefetch(x + n + i + lanes / 2, 0, 3);
        for (int l = 0; l < lanes; l++) {
            const double d = (double)x[i + l] - shift;
            sum[l] += d;
            squares[l] += d * d;
        }
    }
    for (int64_t i = whole; i < n; i++) {
        const double d = (double)x[i] - shift;
        sum[i - whole] += d;
        squares[i - whole] += d * d;
    }
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) {
            sum[l] += sum[l + half];
            squares[l] += squares[l + half];
        }
    }
    const K(moments) part = K(moments_of)((double)n, shift, sum[0], squares[0]);
    K(var_merge)(args, state, &part);
}

static inline void K(var_rows)(const void *args, K(moments) *states, const REAL *x,
                               int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    enum { lanes = VECTOR_BYTES / sizeof(double) };
    double sum[REDUCE_COLUMNS] = {0}, squares[REDUCE_COLUMNS] = {0};
    const int64_t whole = columns / lanes * lanes;
    int64_t i = 1;
    (void)args, (void)at;
    for (; i + 4 <= rows; i += 4) {
        const REAL *p = x + i * stride;
        for (int64_t c = 0; c < whole; c += lanes) {
            const vec_t_f64 shift = v_widen(x + c), d0 = v_widen(p + c) - shift;
            const vec_t_f64 d1 = v_widen(p + c + stride) - shift;
            const vec_t_f64 d2 = v_widen(p + c + 2 * stride) - shift;
            const vec_t_f64 d3 = v_widen(p + c + 3 * stride) - shift;
            vec_t_f64 s = v_load_f64(sum + c) + ((d0 + d1) + (d2 + d3));
            vec_t_f64 q = v_fma_f64(d1, d1, v_fma_f64(d0, d0, v_load_f64(squares + c)));
            q = v_fma_f64(d3, d3, v_fma_f64(d2, d2, q));
            memcpy(sum + c, &s, sizeof s);
            memcpy(squares + c, &q, sizeof q);
        }
        for (int64_t c = whole; c < columns; c++) {
            for (int64_t r = 0; r < 4; r++) {
                const double d = (double)p[r * stride + c] - (double)x[c];
                sum[c] += d;
                squares[c] += d * d;
            }
        }
    }
    for (; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) {
            const double d = (double)x[i * stride + c] - (double)x[c];
            sum[c] += d;
            squares[c] += d * d;
        }
    }
    /* as var_merge: all columns have had as many rows */
    const double n = (double)rows, before = states[0].count, count = before + n;
    const double share = n / count, weight = before * share, one = 1 / n;
    for (int64_t c = 0; c < columns; c++) {
        const double level = sum[c] * one, around = squares[c] - sum[c] * level;
        const double delta = (double)x[c] + level - states[c].mean;
        states[c].count = count;
        states[c].mean += before > 0 ? delta * share : delta;
        states[c].squares += (around < 0 ? 0 : around) + (before > 0 ? delta * delta * weight : 0);
    }
}

/* Squares of numbers so much smaller are finite, and normal where those of the numbers were not. */
#define FAR 0x1p-600
/* Squares of numbers so much larger are normal where those of the numbers are not. */
#define NEAR 0x1p600

/* By what numbers have to be scaled: 1, or FAR, or NEAR. Distances below the last place of the mean are
 * none, so that beside a mean of moderate size small squares are right. Squares of float32 always are. */
static inline double K(var_scale)(const K(moments) *state) {
    if (!(state->squares <= DBL_MAX)) return FAR;
#if DTYPE == PYAD_FLOAT64
    if (state->squares < 0x1p-900 && fabs(state->mean) < 0x1p-430) return NEAR;
#endif
    return 1;
}

/* An output of scaled numbers: of far ones, or of some that are not finite themselves, whose mean is
 * what their sum is, or of tiny ones. Line by line, for the mean and then for the distances. */
static PYAD_ONCE __attribute__((cold)) void K(var_finish_scaled)(const var_args *a, int64_t o,
                                                                 int64_t n, double scale) {
    reduction r;
    reduction_init(&r, &a->x, &a->out, 0);
    const walk *w = &r.reduced;
    const int64_t last = w->ndim - 1, lines = walk_outer(w, last);
    const REAL *x = (const REAL *)a->x.data + reduction_source(&r, o);
    double sum = 0, squares = 0;
    /* tiny numbers from the first one, so that constants have no distances at all */
    const double first = scale > 1 ? scale * (double)x[0] : 0;
    for (int64_t line = 0; line < lines; line++) {
        const REAL *p = x + walk_offset(w, 0, last, line);
        for (int64_t i = 0; i < w->shape[last]; i++) {
            sum += scale * (double)p[i * w->stride[0][last]] - first;
        }
    }
    const double mean = sum / (double)n;
    for (int64_t line = 0; line < lines && mean - mean == 0; line++) {
        const REAL *p = x + walk_offset(w, 0, last, line);
        for (int64_t i = 0; i < w->shape[last]; i++) {
            const double d = scale * (double)p[i * w->stride[0][last]] - first - mean;
            squares += d * d;
        }
    }
    const double var = (mean - mean + squares) / ((double)n - a->correction);
    ((REAL *)a->out.data)[o] = (REAL)(a->root ? sqrt(var) / scale : var / scale / scale);
    if (a->mean.data != NULL) ((REAL *)a->mean.data)[o] = (REAL)((mean + first) / scale);
}

static inline void K(var_finish_all)(const void *args, const K(moments) *states, int64_t count,
                                     int64_t o, int64_t so, int64_t n) {
    const var_args *a = args;
    const double rest = (double)n - a->correction;
    REAL *out = (REAL *)a->out.data + o, *mean = a->mean.data;
    int scaled = 0;
    for (int64_t c = 0; c < count; c++) {
        const double var = states[c].squares / rest;
        out[c * so] = (REAL)(a->root ? sqrt(var) : var);
        if (mean != NULL) mean[o + c * so] = (REAL)states[c].mean;
        scaled |= K(var_scale)(&states[c]) != 1;
    }
    if (!scaled || n == 0) return;
    for (int64_t c = 0; c < count; c++) {
        const double scale = K(var_scale)(&states[c]);
        if (scale != 1) K(var_finish_scaled)(a, o + c * so, n, scale);
    }
}

#define OP var
#define FINISH_ALL
#define STATE K(moments)
#define IN_ORDER 0
#include "reduction_tpl.h"

static int K(var)(const void *args, const team *t) {
    const var_args *a = args;
    K(var_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(var, var_args, 2 * pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(K(moments)))

#undef FAR
#undef NEAR
