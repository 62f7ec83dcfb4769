/* Reductions over any set of axes.
 *
 * The loops are those of reduction_tpl.h, fixed blocks in fixed order; here stands what one
 * step of each reduction does. Sums of floats run in vector lanes over at most 2048 elements (or
 * 64 rows) and meet in double, so that a float32 sum is good to a few units in the last place.
 */
#include "math_tpl.h"
#include "reduction.h"
#include "shifted_tpl.h"

#ifdef REAL
#define ELEM REAL
#else
#define ELEM INT
#endif

/* ---- sum ---- */

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

static inline void K(sum_run)(const void *args, int64_t *state, const INT *x, int64_t n,
                              int64_t at) {
    (void)args, (void)at;
    for (int64_t i = 0; i < n; i++) *state = K(wrapped_sum)(*state, (int64_t)x[i]);
}

static inline void K(sum_rows)(const void *args, int64_t *states, const INT *x, int64_t stride,
                               int64_t rows, int64_t columns, int64_t at) {
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
PYAD_RECORD(sum, sum_args, pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))


/* ---- prod ---- */

#ifdef REAL
typedef double K(product);
#else
typedef int64_t K(product);
#endif

static inline K(product) K(prod_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return 1;
}

static inline void K(prod_merge)(const void *args, K(product) *state, const K(product) *other) {
    (void)args;
#ifdef REAL
    *state *= *other;
#else
    *state = (int64_t)((uint64_t)*state * (uint64_t)*other);
#endif
}

static inline void K(prod_step)(const void *args, K(product) *state, ELEM v) {
    const K(product) factor = (K(product))v;
    K(prod_merge)(args, state, &factor);
}

static inline void K(prod_finish)(const void *args, const K(product) *state, int64_t o,
                                  int64_t n) {
    const reduce_args *a = args;
    (void)n;
#ifdef REAL
    ((REAL *)a->out.data)[o] = (REAL)*state;
#else
    ((int64_t *)a->out.data)[o] = *state;
#endif
}

#define OP prod
#define STATE K(product)
#define IN_ORDER 0
#define STEPWISE
#include "reduction_tpl.h"

static int K(prod)(const void *args, const team *t) {
    const reduce_args *a = args;
    K(prod_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD(prod, reduce_args, pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))

/* ---- amax, amin ---- */

#ifdef REAL
#define LOWEST ((REAL)-INFINITY)
#define HIGHEST ((REAL)INFINITY)
/* x is taken if it is better, or NaN: once there, a NaN stays */
#define BETTER(x, than, is) (((x)is(than)) | ((x) != (x)))
#else
#define LOWEST                                                                                   \
    ((INT)-1 > 0 ? (INT)0 : (INT)(-((INT)1 << (sizeof(INT) * 8 - 2)) * 2))
#define HIGHEST ((INT) ~(INT)LOWEST)
#define BETTER(x, than, is) ((x)is(than))
#endif

#define EXTREMUM(name, is, worst)                                                                \
    static inline ELEM K(name##_start)(const void *args, int64_t o) {                            \
        (void)args, (void)o;                                                                     \
        return worst;                                                                            \
    }                                                                                            \
    static inline void K(name##_step)(const void *args, ELEM *state, ELEM v) {                   \
        (void)args;                                                                              \
        *state = BETTER(v, *state, is) ? v : *state;                                             \
    }                                                                                            \
    static inline void K(name##_merge)(const void *args, ELEM *state, const ELEM *other) {       \
        K(name##_step)(args, state, *other);                                                     \
    }                                                                                            \
    static inline void K(name##_finish)(const void *args, const ELEM *state, int64_t o,          \
                                        int64_t n) {                                             \
        const reduce_args *a = args;                                                             \
        (void)n;                                                                                 \
        ((ELEM *)a->out.data)[o] = *state;                                                       \
    }
EXTREMUM(amax, >, LOWEST)
EXTREMUM(amin, <, HIGHEST)

#ifdef REAL
/* the compiler has no vectors for a comparison that lets NaN through */
#define EXTREMUM_RUN(name, is)                                                                   \
    static inline vec K(name##_lanes)(vec s, vec x) { return v_select(BETTER(x, s, is), x, s); } \
    static inline void K(name##_run)(const void *args, REAL *state, const REAL *x, int64_t n,    \
                                     int64_t at) {                                               \
        int64_t i = 0;                                                                           \
        (void)at;                                                                                \
        if (n >= 4 * VL) {                                                                       \
            vec s0 = v_load(x), s1 = v_load(x + VL), s2 = v_load(x + 2 * VL);                    \
            vec s3 = v_load(x + 3 * VL);                                                         \
            for (i = 4 * VL; i + 4 * VL <= n; i += 4 * VL) {                                     \
                s0 = K(name##_lanes)(s0, v_load(x + i));                                         \
                s1 = K(name##_lanes)(s1, v_load(x + i + VL));                                    \
                s2 = K(name##_lanes)(s2, v_load(x + i + 2 * VL));                                \
                s3 = K(name##_lanes)(s3, v_load(x + i + 3 * VL));                                \
            }                                                                                    \
            s0 = K(name##_lanes)(K(name##_lanes)(s0, s1), K(name##_lanes)(s2, s3));              \
            for (int64_t l = 0; l < VL; l++) K(name##_step)(args, state, s0[l]);                 \
        }                                                                                        \
        for (; i < n; i++) K(name##_step)(args, state, x[i]);                                    \
    }                                                                                            \
    static inline void K(name##_rows)(const void *args, REAL *states, const REAL *x,             \
                                      int64_t stride, int64_t rows, int64_t columns,             \
                                      int64_t at) {                                              \
        (void)args, (void)at;                                                                    \
        for (int64_t i = 0; i < rows; i += 4) {                                                  \
            const int64_t last = pyad_min(rows - i, 4) - 1;                                      \
            const REAL *p = x + i * stride, *q = p + pyad_min(1, last) * stride;                 \
            const REAL *r = p + pyad_min(2, last) * stride, *s = p + last * stride;              \
            for (int64_t c = 0; c < columns; c += VL) {                                          \
                const int64_t n = pyad_min(VL, columns - c);                                     \
                vec a = K(name##_lanes)(v_load_n(p + c, n), v_load_n(q + c, n));                 \
                vec b = K(name##_lanes)(v_load_n(r + c, n), v_load_n(s + c, n));                 \
                vec best = K(name##_lanes)(v_load_n(states + c, n), K(name##_lanes)(a, b));      \
                v_store_n(states + c, best, n);                                                  \
            }                                                                                    \
        }                                                                                        \
    }
EXTREMUM_RUN(amax, >)
EXTREMUM_RUN(amin, <)
#undef EXTREMUM_RUN
#endif

#define OP amax
#define STATE ELEM
#define IN_ORDER 0
#define STEPWISE
#ifdef REAL
#define OWN_RUN
#define OWN_ROWS
#endif
#include "reduction_tpl.h"
#define OP amin
#define STATE ELEM
#define IN_ORDER 0
#define STEPWISE
#ifdef REAL
#define OWN_RUN
#define OWN_ROWS
#endif
#include "reduction_tpl.h"

#define EXTREMUM_KERNEL(name)                                                                    \
    static int K(name)(const void *args, const team *t) {                                        \
        const reduce_args *a = args;                                                             \
        K(name##_reduce)(a, &a->x, &a->out, t);                                                  \
        return PYAD_OK;                                                                          \
    }                                                                                            \
    PYAD_RECORD(name, reduce_args, pyad_numel(&a->x), 0,                                         \
                reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))
EXTREMUM_KERNEL(amax)
EXTREMUM_KERNEL(amin)

/* ---- max_index, min_index: the first of the best, and where it stands ---- */

typedef struct {
    ELEM value;
    int64_t index; /* -1: none yet */
} K(place);

static inline K(place) K(place_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return (K(place)){0, -1};
}

static inline void K(place_finish)(const void *args, const K(place) *state, int64_t o,
                                   int64_t n) {
    const extremum_index_args *a = args;
    (void)n;
    if (a->values.data != NULL) ((ELEM *)a->values.data)[o] = state->value;
    ((int64_t *)a->indices.data)[o] = state->index;
}

/* A NaN is better than any number, the first NaN than another. */
#ifdef REAL
#define FIRST_BETTER(x, than, is) (((x)is(than)) | (((x) != (x)) & ((than) == (than))))
#else
#define FIRST_BETTER(x, than, is) ((x)is(than))
#endif

/* Where the value (or, if it is one, a NaN) stands first. */
static inline int64_t K(find)(const ELEM *x, int64_t n, ELEM value) {
    enum { block = 64 };
    int64_t i = 0;
#ifdef REAL
    if (value != value) {
        while (x[i] == x[i]) i++;
        return i;
    }
#endif
    for (; i + block <= n; i += block) {
        int hit = 0;
        for (int l = 0; l < block; l++) hit |= x[i + l] == value;
        if (hit) break;
    }
    while (x[i] != value) i++;
    return i;
}

/* The best of each column and its row. */
#ifdef REAL
#define PLACE_ROW mask_item
#define PLACE_SEARCH(name, is)                                                                   \
    static inline void K(name##_search)(REAL *value, mask_item *row, const REAL *x,              \
                                        int64_t stride, int64_t rows, int64_t columns) {         \
        memcpy(value, x, (size_t)columns * sizeof(REAL));                                        \
        memset(row, 0, (size_t)columns * sizeof(mask_item));                                     \
        for (int64_t begin = 1; begin < rows; begin += 4) {                                      \
            const int64_t end = pyad_min(begin + 4, rows);                                       \
            int64_t c = 0;                                                                       \
            for (; c + VL <= columns; c += VL) {                                                 \
                vec best = v_load(value + c);                                                    \
                mask place;                                                                      \
                memcpy(&place, row + c, sizeof place);                                           \
                for (int64_t i = begin; i < end; i++) {                                          \
                    const vec v = v_load(x + i * stride + c);                                    \
                    const mask better = FIRST_BETTER(v, best, is);                               \
                    best = v_select(better, v, best);                                            \
                    place = (better & ((mask){0} + (mask_item)i)) | (~better & place);           \
                }                                                                                \
                v_store(value + c, best);                                                        \
                memcpy(row + c, &place, sizeof place);                                           \
            }                                                                                    \
            for (; c < columns; c++) {                                                           \
                for (int64_t i = begin; i < end; i++) {                                          \
                    const REAL v = x[i * stride + c];                                            \
                    if (!FIRST_BETTER(v, value[c], is)) continue;                                \
                    value[c] = v;                                                                \
                    row[c] = (mask_item)i;                                                       \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
    }
#else
#define PLACE_ROW int32_t
#define PLACE_SEARCH(name, is)                                                                   \
    static inline void K(name##_search)(ELEM *value, int32_t *row, const ELEM *x,                \
                                        int64_t stride, int64_t rows, int64_t columns) {         \
        memcpy(value, x, (size_t)columns * sizeof(ELEM));                                        \
        memset(row, 0, (size_t)columns * sizeof(int32_t));                                       \
        for (int64_t i = 1; i < rows; i++) {                                                     \
            const ELEM *p = x + i * stride;                                                      \
            for (int64_t c = 0; c < columns; c++) {                                              \
                const int better = FIRST_BETTER(p[c], value[c], is);                             \
                row[c] = better ? (int32_t)i : row[c];                                           \
                value[c] = better ? p[c] : value[c];                                             \
            }                                                                                    \
        }                                                                                        \
    }
#endif
PLACE_SEARCH(max_index, >)
PLACE_SEARCH(min_index, <)

/* A line: its best value first, in lanes, then where that stands. Columns: rows are few, so a
 * column notes its row in an integer of the values' width, which keeps the loop in vectors. */
#define PLACE(name, best, is)                                                                    \
    static inline void K(name##_merge)(const void *args, K(place) *state,                        \
                                       const K(place) *other) {                                  \
        (void)args;                                                                              \
        if (other->index < 0) return;                                                            \
        if (state->index < 0 || FIRST_BETTER(other->value, state->value, is)) *state = *other;   \
    }                                                                                            \
    static inline void K(name##_run)(const void *args, K(place) *state, const ELEM *x,           \
                                     int64_t n, int64_t at) {                                    \
        ELEM value = x[0];                                                                       \
        K(best##_run)(args, &value, x, n, 0);                                                    \
        const K(place) found = {value, at + K(find)(x, n, value)};                               \
        K(name##_merge)(args, state, &found);                                                    \
    }                                                                                            \
    static inline void K(name##_rows)(const void *args, K(place) *states, const ELEM *x,         \
                                      int64_t stride, int64_t rows, int64_t columns,             \
                                      int64_t at) {                                              \
        ELEM value[REDUCE_COLUMNS];                                                              \
        PLACE_ROW row[REDUCE_COLUMNS];                                                           \
        K(name##_search)(value, row, x, stride, rows, columns);                                  \
        for (int64_t c = 0; c < columns; c++) {                                                  \
            const K(place) found = {value[c], at + row[c]};                                      \
            K(name##_merge)(args, &states[c], &found);                                           \
        }                                                                                        \
    }                                                                                            \
    static inline K(place) K(name##_start)(const void *args, int64_t o) {                        \
        return K(place_start)(args, o);                                                          \
    }                                                                                            \
    static inline void K(name##_finish)(const void *args, const K(place) *state, int64_t o,      \
                                        int64_t n) {                                             \
        K(place_finish)(args, state, o, n);                                                      \
    }
PLACE(max_index, amax, >)
PLACE(min_index, amin, <)

#define OP max_index
#define STATE K(place)
#define IN_ORDER 1
#include "reduction_tpl.h"
#define OP min_index
#define STATE K(place)
#define IN_ORDER 1
#include "reduction_tpl.h"

#define PLACE_KERNEL(name)                                                                       \
    static int K(name)(const void *args, const team *t) {                                        \
        const extremum_index_args *a = args;                                                     \
        K(name##_reduce)(a, &a->x, &a->indices, t);                                              \
        return PYAD_OK;                                                                          \
    }                                                                                            \
    PYAD_RECORD(name, extremum_index_args, pyad_numel(&a->x), 0,                                 \
                reduction_partials(&a->x, &a->indices) * (int64_t)sizeof(K(place)))
PLACE_KERNEL(max_index)
PLACE_KERNEL(min_index)

/* ---- any, all ---- */

static inline uint8_t K(any_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return 0;
}

static inline void K(any_step)(const void *args, uint8_t *state, ELEM v) {
    const any_args *a = args;
    *state |= (uint8_t)((v != 0) != a->all);
}

static inline void K(any_merge)(const void *args, uint8_t *state, const uint8_t *other) {
    (void)args;
    *state |= *other;
}

static inline void K(any_finish)(const void *args, const uint8_t *state, int64_t o, int64_t n) {
    const any_args *a = args;
    (void)n;
    ((uint8_t *)a->out.data)[o] = *state != a->all;
}

#define OP any
#define STATE uint8_t
#define IN_ORDER 0
#define STEPWISE
#include "reduction_tpl.h"

/* all: whether not any is 0 */
static int K(any)(const void *args, const team *t) {
    const any_args *a = args;
    K(any_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD(any, any_args, pyad_numel(&a->x), 0, reduction_partials(&a->x, &a->out))

/* ---- norm: the p-th root of the sum of p-th powers of sizes ---- */

#ifdef REAL
static inline double K(norm_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return 0;
}

static inline void K(norm_add)(const void *args, double *state, const double *other) {
    (void)args;
    *state += *other;
}

static inline void K(norm_write)(const void *args, double norm, int64_t o) {
    const norm_args *a = args;
    ((REAL *)a->out.data)[o] = (REAL)norm;
}

#define NORM(name, step_, finish_)                                                               \
    static inline double K(name##_start)(const void *args, int64_t o) {                          \
        return K(norm_start)(args, o);                                                           \
    }                                                                                            \
    static inline void K(name##_merge)(const void *args, double *state, const double *other) {   \
        K(norm_add)(args, state, other);                                                         \
    }                                                                                            \
    static inline void K(name##_step)(const void *args, double *state, REAL v) {                 \
        const double x = (double)v;                                                              \
        (void)args;                                                                              \
        *state += step_;                                                                         \
    }                                                                                            \
    static inline void K(name##_finish)(const void *args, const double *state, int64_t o,        \
                                        int64_t n) {                                             \
        const double total = *state;                                                             \
        (void)n;                                                                                 \
        K(norm_write)(args, finish_, o);                                                         \
    }
NORM(norm0, (x != 0), total)
NORM(norm1, fabs(x), total)
NORM(norm2, x *x, sqrt(total))

#define OP norm0
#define STATE double
#define IN_ORDER 0
#define STEPWISE
#include "reduction_tpl.h"
#define OP norm1
#define STATE double
#define IN_ORDER 0
#define STEPWISE
#include "reduction_tpl.h"
#define OP norm2
#define STATE double
#define IN_ORDER 0
#define STEPWISE
#include "reduction_tpl.h"

/* any other p, through the vector power */
static inline double K(normp_start)(const void *args, int64_t o) {
    return K(norm_start)(args, o);
}

static inline void K(normp_merge)(const void *args, double *state, const double *other) {
    K(norm_add)(args, state, other);
}

static inline void K(normp_run)(const void *args, double *state, const REAL *x, int64_t n,
                                int64_t at) {
    const norm_args *a = args;
    const vec p = v_set1((REAL)a->p);
    (void)at;
    for (int64_t i = 0; i < n; i += VL) {
        int64_t count = pyad_min(VL, n - i);
        vec power = v_pow(v_abs(v_load_n(x + i, count)), p);
        for (int64_t l = 0; l < count; l++) *state += (double)power[l];
    }
}

static inline void K(normp_rows)(const void *args, double *states, const REAL *x,
                                 int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    const norm_args *a = args;
    const vec p = v_set1((REAL)a->p);
    (void)at;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < columns; c += VL) {
            int64_t count = pyad_min(VL, columns - c);
            vec power = v_pow(v_abs(v_load_n(x + i * stride + c, count)), p);
            for (int64_t l = 0; l < count; l++) states[c + l] += (double)power[l];
        }
    }
}

static inline void K(normp_finish)(const void *args, const double *state, int64_t o, int64_t n) {
    const norm_args *a = args;
    (void)n;
    K(norm_write)(args, (double)v_pow(v_set1((REAL)*state), v_set1((REAL)(1 / a->p)))[0], o);
}

#define OP normp
#define STATE double
#define IN_ORDER 0
#include "reduction_tpl.h"

static int K(norm)(const void *args, const team *t) {
    const norm_args *a = args;
    if (a->p == 0) {
        K(norm0_reduce)(a, &a->x, &a->out, t);
    } else if (a->p == 1) {
        K(norm1_reduce)(a, &a->x, &a->out, t);
    } else if (a->p == 2) {
        K(norm2_reduce)(a, &a->x, &a->out, t);
    } else {
        K(normp_reduce)(a, &a->x, &a->out, t);
    }
    return PYAD_OK;
}
PYAD_RECORD(norm, norm_args, pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))

/* ---- var: squared distances from the mean of a run or from the first of a few rows, in double;
 * runs meet by Chan's formula ---- */

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

/* Of n numbers, from the sums of their distances from `shift` and of these squared. */
static inline K(moments) K(moments_of)(double n, double shift, double sum, double squares) {
    const double level = sum / n, around = squares - sum * level;
    return (K(moments)){n, shift + level, around > 0 || around != around ? around : 0};
}

static inline void K(var_run)(const void *args, K(moments) *state, const REAL *x, int64_t n,
                              int64_t at) {
    enum { lanes = 16 };
    double sum[lanes] = {0}, squares[lanes] = {0}, shift = 0;
    const int64_t whole = n / lanes * lanes;
    (void)at;
    for (int64_t i = 0; i < whole; i += lanes) {
        for (int l = 0; l < lanes; l++) sum[l] += (double)x[i + l];
    }
    for (int l = 0; l < lanes; l++) shift += sum[l], sum[l] = 0;
    for (int64_t i = whole; i < n; i++) shift += (double)x[i];
    shift /= (double)n;
    for (int64_t i = 0; i < whole; i += lanes) {
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
            vec_t_f64 s = v_widen_f64(sum + c) + ((d0 + d1) + (d2 + d3));
            vec_t_f64 q = v_fma_f64(d1, d1, v_fma_f64(d0, d0, v_widen_f64(squares + c)));
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

static inline void K(var_finish)(const void *args, const K(moments) *state, int64_t o,
                                 int64_t n) {
    const var_args *a = args;
    const double var = state->squares / ((double)n - a->correction);
    ((REAL *)a->out.data)[o] = (REAL)(a->root ? sqrt(var) : var);
}

#define OP var
#define STATE K(moments)
#define IN_ORDER 0
#include "reduction_tpl.h"

static int K(var)(const void *args, const team *t) {
    const var_args *a = args;
    K(var_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD(var, var_args, 2 * pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(K(moments)))

/* ---- logsumexp: log of the sum of exp(x - max), max added again ---- */

typedef struct {
    REAL max;
    double sum; /* of exp(x - max) */
} K(exponents);

static inline REAL K(exp1)(REAL x) { return v_exp(v_set1(x))[0]; }

/* what is subtracted: an infinite maximum would make NaN of itself */
static inline REAL K(finite_or_zero)(REAL x) { return x - x == 0 ? x : 0; }

static inline K(exponents) K(logsumexp_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return (K(exponents)){(REAL)-INFINITY, 0};
}

static inline void K(logsumexp_merge)(const void *args, K(exponents) *state,
                                      const K(exponents) *other) {
    (void)args;
    if (other->sum == 0) return;
    if (state->sum == 0) {
        *state = *other;
        return;
    }
    const K(exponents) *high = other->max > state->max ? other : state;
    const K(exponents) *low = high == state ? other : state;
    const REAL distance = K(finite_or_zero)(low->max) - K(finite_or_zero)(high->max);
    const double sum = high->sum + low->sum * (double)K(exp1)(distance);
    *state = (K(exponents)){high->max, sum};
}

/* An infinite x that is the largest makes the sum infinite; a NaN makes the sum, not the maximum, NaN.
 */
static inline void K(logsumexp_run)(const void *args, K(exponents) *state, const REAL *x,
                                    int64_t n, int64_t at) {
    vec best = -V_INF, other = best, sum = {0}, more = {0};
    int64_t i = 0;
    (void)at;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        best = v_max(v_load(x + i), best);
        other = v_max(v_load(x + i + VL), other);
    }
    best = v_max(best, other);
    K(exponents) part = {v_hmax(best), 0};
    for (; i < n; i++) part.max = x[i] > part.max ? x[i] : part.max;
    const vec shift = v_set1(K(finite_or_zero)(part.max));
    for (i = 0; i + 2 * VL <= n; i += 2 * VL) {
        sum += K(exp_shifted)(v_load(x + i), shift);
        more += K(exp_shifted)(v_load(x + i + VL), shift);
    }
    for (; i < n; i += VL) {
        const int64_t count = pyad_min(VL, n - i);
        const vec last = K(exp_shifted)(v_load_n(x + i, count), shift);
        sum += v_select(K(first_lanes)(count), last, (vec){0});
    }
    const REAL total = v_sum(sum + more);
    part.sum = part.max < (REAL)INFINITY || total != total ? (double)total : (double)INFINITY;
    K(logsumexp_merge)(args, state, &part);
}

/* Columns begin .. begin+n-1, n <= VL, of the sums of a few rows: as logsumexp_merge. */
static inline void K(logsumexp_meet)(K(exponents) *states, const REAL *max, const REAL *sum,
                                     int64_t n) {
    REAL old[VECTOR_BYTES / sizeof(REAL)] = {0}, shift[VECTOR_BYTES / sizeof(REAL)] = {0};
    REAL mine[VECTOR_BYTES / sizeof(REAL)] = {0}, theirs[VECTOR_BYTES / sizeof(REAL)] = {0};
    for (int64_t l = 0; l < n; l++) {
        const REAL best = BETTER(max[l], states[l].max, >) ? max[l] : states[l].max;
        old[l] = K(finite_or_zero)(states[l].max);
        shift[l] = K(finite_or_zero)(best);
        theirs[l] = K(finite_or_zero)(max[l]) - shift[l];
        states[l].max = best;
    }
    v_store(mine, v_exp(v_load(old) - v_load(shift)));
    v_store(theirs, v_exp(v_load(theirs)));
    for (int64_t l = 0; l < n; l++) {
        const double kept = states[l].sum == 0 ? 0 : states[l].sum * (double)mine[l];
        states[l].sum = kept + (sum[l] == 0 ? 0 : (double)sum[l] * (double)theirs[l]);
    }
}

static inline void K(logsumexp_rows)(const void *args, K(exponents) *states, const REAL *x,
                                     int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    REAL max[REDUCE_COLUMNS], sum[REDUCE_COLUMNS] = {0};
    for (int64_t c = 0; c < columns; c++) max[c] = (REAL)-INFINITY;
    for (int64_t i = 0; i < rows; i += RISE_ROWS) {
        const int64_t more = pyad_min(RISE_ROWS, rows - i);
        const REAL *p = x + i * stride;
        int64_t c = 0;
        for (; more == RISE_ROWS && c + VL <= columns; c += VL) {
            K(columns_rise)(p + c, stride, RISE_ROWS, VL, max + c, sum + c);
        }
        for (; c < columns; c += VL) {
            K(columns_rise)(p + c, stride, more, pyad_min(VL, columns - c), max + c, sum + c);
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        if (max[c] == (REAL)INFINITY && sum[c] == sum[c]) sum[c] = (REAL)INFINITY;
    }
    for (int64_t c = 0; c < columns; c += VL) {
        K(logsumexp_meet)(states + c, max + c, sum + c, pyad_min(VL, columns - c));
    }
    (void)args, (void)at;
}

static inline void K(logsumexp_finish)(const void *args, const K(exponents) *state, int64_t o,
                                       int64_t n) {
    const reduce_args *a = args;
    (void)n;
    const REAL log = v_log(v_set1((REAL)state->sum))[0];
    ((REAL *)a->out.data)[o] = log + K(finite_or_zero)(state->max);
}

#define OP logsumexp
#define STATE K(exponents)
#define IN_ORDER 0
#include "reduction_tpl.h"

static int K(logsumexp)(const void *args, const team *t) {
    const reduce_args *a = args;
    K(logsumexp_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD(logsumexp, reduce_args, 16 * pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(K(exponents)))
#endif

/* ---- scans along one axis ---- */

/* Lines along `axis` of arrays of one shape (out first); they lie beside each other along the
 * axis that is innermost in out, so that neighbouring lines run together. */
typedef struct {
    walk outer; /* all axes but `axis` */
    int64_t n, step[3];
} K(lines);

static inline K(lines) K(lines_of)(int64_t count, const pyad_array *const *arrays,
                                   int64_t axis) {
    K(lines) l = {.n = arrays[0]->shape[axis]};
    for (int64_t i = 0; i < arrays[0]->ndim; i++) {
        int64_t strides[3] = {0};
        for (int64_t a = 0; a < count; a++) strides[a] = arrays[a]->stride[i];
        if (i != axis) walk_push(&l.outer, arrays[0]->shape[i], count, strides);
    }
    for (int64_t a = 0; a < count; a++) l.step[a] = arrays[a]->stride[axis];
    walk_sort(&l.outer, count);
    walk_merge(&l.outer, count);
    return l;
}

#ifdef REAL
typedef double K(total);
#define SCAN_OUT REAL
#else
typedef int64_t K(total);
#define SCAN_OUT int64_t
#endif
#define SCAN_SIDE 256 /* neighbouring lines that run together */
#define SCAN_CACHE_LINE (64 / (int64_t)sizeof(ELEM))

/* A line whose elements lie side by side: total = total op x, in a register. vectors of
 * floats at once: each is combined with the one 1, 2, 4 ... places before it, then all with the
 * total. */
#ifdef REAL
#define SCAN_LANES (VECTOR_BYTES / (int)sizeof(double))
#define SCAN_STEPS (VECTOR_BYTES == 64 ? 3 : VECTOR_BYTES == 32 ? 2 : 1)
typedef REAL K(scan_part)
    __attribute__((vector_size(VECTOR_BYTES / sizeof(double) * sizeof(REAL))));

/* from[k]: where a shuffle with `first` finds lanes moved up, or down in reverse, by 2^k places */
V_INLINE void K(scan_shifts)(mask_t_f64 *from, int reverse) {
    for (int64_t by = 1; by < SCAN_LANES; by *= 2, from++) {
        int64_t index[SCAN_LANES];
        for (int64_t l = 0; l < SCAN_LANES; l++) {
            const int64_t source = reverse ? l + by : l - by;
            index[l] = source >= 0 && source < SCAN_LANES ? source : SCAN_LANES;
        }
        memcpy(from, index, sizeof *from);
    }
}

#define SCAN_LINE(name, start, combine)                                                          \
    V_INLINE void K(name##_way)(REAL *out, const REAL *x, int64_t n, int reverse) {              \
        const vec_t_f64 first = start - (vec_t_f64){0};                                          \
        const int64_t whole = n / SCAN_LANES * SCAN_LANES;                                       \
        const mask_t_f64 end = (mask_t_f64){0} + (reverse ? 0 : SCAN_LANES - 1);                 \
        mask_t_f64 from[SCAN_STEPS];                                                             \
        vec_t_f64 total = first;                                                                 \
        K(scan_shifts)(from, reverse);                                                           \
        for (int64_t i = 0; i < whole; i += SCAN_LANES) {                                        \
            const int64_t at = reverse ? n - SCAN_LANES - i : i;                                 \
            K(scan_part) part;                                                                   \
            memcpy(&part, x + at, sizeof part);                                                  \
            vec_t_f64 v = __builtin_convertvector(part, vec_t_f64);                              \
            for (int k = 0; k < SCAN_STEPS; k++) {                                               \
                v = combine(v, __builtin_shuffle(v, first, from[k]));                            \
            }                                                                                    \
            part = __builtin_convertvector(combine(total, v), K(scan_part));                     \
            memcpy(out + at, &part, sizeof part);                                                \
            total = combine(total, __builtin_shuffle(v, end));                                   \
        }                                                                                        \
        double rest = total[0];                                                                  \
        for (int64_t i = whole; i < n; i++) {                                                    \
            const int64_t at = reverse ? n - 1 - i : i;                                          \
            rest = combine(rest, (double)x[at]);                                                 \
            out[at] = (REAL)rest;                                                                \
        }                                                                                        \
    }                                                                                            \
    static void K(name##_line)(REAL *out, const REAL *x, int64_t n, int64_t reverse) {           \
        if (reverse) {                                                                           \
            K(name##_way)(out, x, n, 1);                                                         \
        } else {                                                                                 \
            K(name##_way)(out, x, n, 0);                                                         \
        }                                                                                        \
    }
#else
#define SCAN_LINE(name, start, combine)                                                          \
    static void K(name##_line)(SCAN_OUT *out, const ELEM *x, int64_t n, int64_t reverse) {       \
        K(total) total = start;                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                        \
            const int64_t at = reverse ? n - 1 - i : i;                                          \
            total = combine(total, (K(total))x[at]);                                             \
            out[at] = total;                                                                     \
        }                                                                                        \
    }
#endif

/* total[c] = total[c] op x for `side` lines at once, from the first element or from the last */
#define SCAN(name, first, combine)                                                               \
    SCAN_LINE(name, first, combine)                                                              \
    static void K(name##_side)(SCAN_OUT *restrict out, const ELEM *restrict x,                   \
                               const K(lines) *l, int64_t side, int64_t so, int64_t sx,          \
                               int64_t reverse) {                                                \
        K(total) total[SCAN_SIDE];                                                               \
        for (int64_t c = 0; c < side; c++) total[c] = first;                                     \
        for (int64_t i = 0; i < l->n; i++) {                                                     \
            const int64_t at = reverse ? l->n - 1 - i : i;                                       \
            const ELEM *restrict p = x + at * l->step[1];                                        \
            SCAN_OUT *restrict q = out + at * l->step[0];                                        \
            if (so == 1 && sx == 1) {                                                            \
                const int64_t ahead = (reverse ? -4 : 4) * (i + 4 < l->n);                       \
                for (int64_t c = 0; c < side; c += SCAN_CACHE_LINE) {                            \
                    __builtin_prefetch(p + c + ahead * l->step[1], 0, 2);                             \
                    __builtin_prefetch(q + c + ahead * l->step[0], 1, 2);                        \
                }                                                                                \
                for (int64_t c = 0; c < side; c++) {                                             \
                    total[c] = combine(total[c], (K(total))p[c]);                                \
                    q[c] = (SCAN_OUT)total[c];                                                   \
                }                                                                                \
                continue;                                                                        \
            }                                                                                    \
            for (int64_t c = 0; c < side; c++) {                                                 \
                total[c] = combine(total[c], (K(total))p[c * sx]);                               \
                q[c * so] = (SCAN_OUT)total[c];                                                  \
            }                                                                                    \
        }                                                                                        \
    }                                                                                            \
    static int K(name)(const void *args, const team *t) {                                        \
        const scan_args *a = args;                                                               \
        if (pyad_numel(&a->out) == 0) return PYAD_OK;                                            \
        const K(lines) l = K(lines_of)(2, (const pyad_array *const[]){&a->out, &a->x}, a->axis); \
        const int alone = l.step[0] == 1 && l.step[1] == 1;                                      \
        const int64_t last = l.outer.ndim - 1;                                                   \
        const int64_t wide = last >= 0 ? l.outer.shape[last] : 1;                                \
        const int64_t so = last >= 0 ? l.outer.stride[0][last] : 0;                              \
        const int64_t sx = last >= 0 ? l.outer.stride[1][last] : 0;                              \
        const int64_t group = alone ? 1 : SCAN_SIDE, blocks = pyad_ceil_div(wide, group);        \
        int64_t begin, end;                                                                      \
        team_range(t, walk_outer(&l.outer, pyad_max(last, 0)) * blocks, 1, &begin, &end);        \
        for (int64_t item = begin; item < end; item++) {                                         \
            const int64_t at = item % blocks * group;                                            \
            SCAN_OUT *out = (SCAN_OUT *)a->out.data + at * so;                                   \
            const ELEM *x = (const ELEM *)a->x.data + at * sx;                                   \
            if (last > 0) {                                                                      \
                out += walk_offset(&l.outer, 0, last, item / blocks);                            \
                x += walk_offset(&l.outer, 1, last, item / blocks);                              \
            }                                                                                    \
            if (alone) {                                                                         \
                K(name##_line)(out, x, l.n, a->reverse);                                         \
            } else {                                                                             \
                const int64_t side = pyad_min(SCAN_SIDE, wide - at);                             \
                K(name##_side)(out, x, &l, side, so, sx, a->reverse);                            \
            }                                                                                    \
        }                                                                                        \
        return PYAD_OK;                                                                          \
    }                                                                                            \
    PYAD_RECORD(name, scan_args, 2 * pyad_numel(&a->out), 0, 0)

#ifdef REAL
#define SCAN_ADD(a, b) ((a) + (b))
#define SCAN_MUL(a, b) ((a) * (b))
#else
#define SCAN_ADD(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define SCAN_MUL(a, b) ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
#endif
SCAN(cumsum, 0, SCAN_ADD)
SCAN(cumprod, 1, SCAN_MUL)

#ifdef REAL
/* out_k = b_k + a_k out_(k-1), or in reverse b_k + a_(k+1) out_(k+1): one line at a time */
static int K(linear_scan)(const void *args, const team *t) {
    const linear_scan_args *a = args;
    if (pyad_numel(&a->out) == 0) return PYAD_OK;
    const K(lines) l =
        K(lines_of)(3, (const pyad_array *const[]){&a->out, &a->a, &a->b}, a->axis);
    int64_t begin, end;
    team_range(t, walk_outer(&l.outer, l.outer.ndim), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        REAL *out = (REAL *)a->out.data + walk_offset(&l.outer, 0, l.outer.ndim, line);
        const REAL *pa = (const REAL *)a->a.data + walk_offset(&l.outer, 1, l.outer.ndim, line);
        const REAL *pb = (const REAL *)a->b.data + walk_offset(&l.outer, 2, l.outer.ndim, line);
        double carry = 0;
        for (int64_t i = 0; i < l.n; i++) {
            const int64_t at = a->reverse ? l.n - 1 - i : i;
            const int64_t from = a->reverse ? at + 1 : at;
            const double factor = i > 0 ? (double)pa[from * l.step[1]] : 0;
            carry = (double)pb[at * l.step[2]] + (i > 0 ? factor * carry : 0);
            out[at * l.step[0]] = (REAL)carry;
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(linear_scan, linear_scan_args, 2 * pyad_numel(&a->out), 0, 0)
#endif

#undef BETTER
#undef FIRST_BETTER
#undef LOWEST
#undef HIGHEST
#undef EXTREMUM
#undef EXTREMUM_KERNEL
#undef PLACE
#undef PLACE_ROW
#undef PLACE_SEARCH
#undef PLACE_KERNEL
#undef NORM
#undef SCAN
#undef SCAN_LINE
#undef SCAN_CACHE_LINE
#undef SCAN_LANES
#undef SCAN_STEPS
#undef SCAN_OUT
#undef SCAN_SIDE
#undef SCAN_ADD
#undef SCAN_MUL
#undef ELEM
