/* The sum of elements, of floats divided by `divisor` (a mean). Floats are added in vector lanes,
 * four vectors along a line so that additions do not wait for one another, or four rows at once
 * down columns; what a run or a few rows give joins a sum in double. Integers wrap as int64.
 */

#ifdef REAL
typedef double K(sum_state);

static inline void K(sum_run)(const void *args, double *state, const REAL *x, int64_t n,
                              int64_t at) {
    (void)args, (void)at;
    if (n < 8) {
        REAL sum = 0;
        for (int64_t i = 0; i < n; i++) sum += x[i];
        *state += (double)sum;
        return;
    }
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        s0 += v_load(x + i);
        s1 += v_load(x + i + VL);
        s2 += v_load(x + i + 2 * VL);
        s3 += v_load(x + i + 3 * VL);
    }
    for (; i + VL <= n; i += VL) s0 += v_load(x + i);
    if (i < n) s1 += v_load_n(x + i, n - i);
    *state += (double)v_sum((s0 + s1) + (s2 + s3));
}

static inline void K(sum_rows)(const void *args, double *states, const REAL *x, int64_t stride,
                               int64_t rows, int64_t columns, int64_t at) {
    (void)args, (void)at;
    REAL lane[REDUCE_COLUMNS] = {0};
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        const REAL *p = x + i * stride;
        for (int64_t c = 0; c < columns; c++) {
            lane[c] += (p[c] + p[c + stride]) + (p[c + 2 * stride] + p[c + 3 * stride]);
        }
    }
    for (; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) lane[c] += x[i * stride + c];
    }
    for (int64_t c = 0; c < columns; c++) states[c] += (double)lane[c];
}

static inline void K(sum_finish)(const void *args, const double *state, int64_t o, int64_t n) {
    const sum_args *a = args;
    (void)n;
    ((REAL *)a->out.data)[o] = (REAL)(*state / a->divisor);
}
#else
typedef int64_t K(sum_state);

static inline int64_t K(wrapped_sum)(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline void K(sum_run)(const void *args, int64_t *state, const INT *x, int64_t n, int64_t at) {
    (void)args, (void)at;
    int64_t sum = *state;
    for (int64_t i = 0; i < n; i++) sum = K(wrapped_sum)(sum, (int64_t)x[i]);
    *state = sum;
}

static inline void K(sum_rows)(const void *args, int64_t *restrict states, const INT *restrict x,
                               int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    (void)args, (void)at;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) {
            states[c] = K(wrapped_sum)(states[c], (int64_t)x[i * stride + c]);
        }
    }
}

static inline void K(sum_finish)(const void *args, const int64_t *state, int64_t o, int64_t n) {
    const sum_args *a = args;
    (void)n;
    ((int64_t *)a->out.data)[o] = *state;
}
#endif

static inline K(sum_state) K(sum_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return 0;
}

static inline void K(sum_merge)(const void *args, K(sum_state) *state,
                                const K(sum_state) *other) {
    (void)args;
#ifdef REAL
    *state += *other;
#else
    *state = K(wrapped_sum)(*state, *other);
#endif
}

#define OP sum
#define STATE K(sum_state)
#define IN_ORDER 0
#include "reduction_tpl.h"

static int K(sum)(const void *args, const team *t) {
    const sum_args *a = args;
    K(sum_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(sum, sum_args, pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))
