/* Reductions over any set of axes.
 *
 * The loops are those of reduction_tpl.h, fixed blocks in fixed order; here stands what one
 * step of each reduction does. Sums of floats run in vector lanes over at most 2048 elements (or
 * 64 rows) and meet in double, so that a float32 sum is good to a few units in the last place.
 */
#include "math_tpl.h"
#include "reduction.h"

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
#endif
#include "reduction_tpl.h"
#define OP amin
#define STATE ELEM
#define IN_ORDER 0
#define STEPWISE
#ifdef REAL
#define OWN_RUN
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

/* A line: its best value first, in lanes, then where that stands. Columns: rows are few, so a
 * column notes its row in 32 bits, which keeps the loop in vectors. */
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
        int32_t row[REDUCE_COLUMNS] = {0};                                                       \
        memcpy(value, x, (size_t)columns * sizeof(ELEM));                                        \
        for (int64_t i = 1; i < rows; i++) {                                                     \
            const ELEM *p = x + i * stride;                                                      \
            for (int64_t c = 0; c < columns; c++) {                                              \
                const int better = FIRST_BETTER(p[c], value[c], is);                             \
                row[c] = better ? (int32_t)i : row[c];                                           \
                value[c] = better ? p[c] : value[c];                                             \
            }                                                                                    \
        }                                                                                        \
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

/* ---- var: squared distances from the mean, which the rounded mean comes close to ---- */

typedef struct {
    double shift, sum, squares;
} K(moments);

static inline K(moments) K(var_start)(const void *args, int64_t o) {
    const var_args *a = args;
    return (K(moments)){(double)((const REAL *)a->mean.data)[o], 0, 0};
}

static inline void K(var_merge)(const void *args, K(moments) *state, const K(moments) *other) {
    (void)args;
    state->sum += other->sum;
    state->squares += other->squares;
}

static inline void K(var_run)(const void *args, K(moments) *state, const REAL *x, int64_t n,
                              int64_t at) {
    enum { lanes = 16 };
    double sum[lanes] = {0}, squares[lanes] = {0};
    const double shift = state->shift;
    int64_t i = 0;
    (void)args, (void)at;
    if (n < lanes) {
        for (; i < n; i++) {
            const double d = (double)x[i] - shift;
            state->sum += d;
            state->squares += d * d;
        }
        return;
    }
    for (; i + lanes <= n; i += lanes) {
        for (int l = 0; l < lanes; l++) {
            const double d = (double)x[i + l] - shift;
            sum[l] += d;
            squares[l] += d * d;
        }
    }
    for (int l = 0; i < n; i++, l++) {
        const double d = (double)x[i] - shift;
        sum[l] += d;
        squares[l] += d * d;
    }
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) {
            sum[l] += sum[l + half];
            squares[l] += squares[l + half];
        }
    }
    state->sum += sum[0];
    state->squares += squares[0];
}

static inline void K(var_rows)(const void *args, K(moments) *states, const REAL *x,
                               int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    double sum[REDUCE_COLUMNS] = {0}, squares[REDUCE_COLUMNS] = {0}, shift[REDUCE_COLUMNS];
    (void)args, (void)at;
    for (int64_t c = 0; c < columns; c++) shift[c] = states[c].shift;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) {
            const double d = (double)x[i * stride + c] - shift[c];
            sum[c] += d;
            squares[c] += d * d;
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        states[c].sum += sum[c];
        states[c].squares += squares[c];
    }
}

static inline void K(var_finish)(const void *args, const K(moments) *state, int64_t o,
                                 int64_t n) {
    const var_args *a = args;
    const double count = (double)n;
    double squares = state->squares - state->sum * state->sum / count;
    double var = (squares > 0 || squares != squares ? squares : 0) / (count - a->correction);
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
    const REAL max = BETTER(other->max, state->max, >) ? other->max : state->max;
    const REAL shift = K(finite_or_zero)(max);
    state->sum = state->sum * (double)K(exp1)(K(finite_or_zero)(state->max) - shift) +
                 other->sum * (double)K(exp1)(K(finite_or_zero)(other->max) - shift);
    state->max = max;
}

static inline void K(logsumexp_run)(const void *args, K(exponents) *state, const REAL *x,
                                    int64_t n, int64_t at) {
    K(exponents) part = {(REAL)-INFINITY, 0};
    (void)at;
    K(amax_run)(args, &part.max, x, n, 0);
    const vec shift = v_set1(K(finite_or_zero)(part.max));
    vec sum = {0};
    int64_t i = 0;
    for (; i + VL <= n; i += VL) sum += v_exp(v_load(x + i) - shift);
    part.sum += (double)v_sum(sum);
    if (i < n) {
        const vec last = v_exp(v_load_n(x + i, n - i) - shift);
        for (int64_t l = 0; l < n - i; l++) part.sum += (double)last[l];
    }
    K(logsumexp_merge)(args, state, &part);
}

static inline void K(logsumexp_rows)(const void *args, K(exponents) *states, const REAL *x,
                                     int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    REAL max[REDUCE_COLUMNS];
    (void)at;
    memcpy(max, x, (size_t)columns * sizeof(REAL));
    for (int64_t i = 1; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) {
            const REAL v = x[i * stride + c];
            max[c] = BETTER(v, max[c], >) ? v : max[c];
        }
    }
    for (int64_t c = 0; c < columns; c += VL) {
        const int64_t count = pyad_min(VL, columns - c);
        REAL shifts[VECTOR_BYTES / sizeof(REAL)] = {0};
        for (int64_t l = 0; l < count; l++) shifts[l] = K(finite_or_zero)(max[c + l]);
        const vec shift = v_load(shifts);
        vec sum = {0};
        for (int64_t i = 0; i < rows; i++) {
            sum += v_exp(v_load_n(x + i * stride + c, count) - shift);
        }
        for (int64_t l = 0; l < count; l++) {
            const K(exponents) part = {max[c + l], (double)sum[l]};
            K(logsumexp_merge)(args, &states[c + l], &part);
        }
    }
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
#define SCAN_SIDE 64 /* neighbouring lines that run together */

/* total[c] = total[c] op x for `side` lines at once, from the first element or from the last */
#define SCAN(name, first, combine)                                                               \
    static void K(name##_side)(SCAN_OUT *out, const ELEM *x, const K(lines) *l, int64_t side,    \
                               int64_t so, int64_t sx, int64_t reverse) {                        \
        K(total) total[SCAN_SIDE];                                                               \
        for (int64_t c = 0; c < side; c++) total[c] = first;                                     \
        for (int64_t i = 0; i < l->n; i++) {                                                     \
            const int64_t at = reverse ? l->n - 1 - i : i;                                       \
            const ELEM *p = x + at * l->step[1];                                                 \
            SCAN_OUT *q = out + at * l->step[0];                                                 \
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
        const int64_t last = l.outer.ndim - 1;                                                   \
        const int64_t wide = last >= 0 ? l.outer.shape[last] : 1;                                \
        const int64_t so = last >= 0 ? l.outer.stride[0][last] : 0;                              \
        const int64_t sx = last >= 0 ? l.outer.stride[1][last] : 0;                              \
        const int64_t blocks = pyad_ceil_div(wide, SCAN_SIDE);                                   \
        int64_t begin, end;                                                                      \
        team_range(t, walk_outer(&l.outer, pyad_max(last, 0)) * blocks, 1, &begin, &end);        \
        for (int64_t item = begin; item < end; item++) {                                         \
            const int64_t at = item % blocks * SCAN_SIDE;                                        \
            SCAN_OUT *out = (SCAN_OUT *)a->out.data + at * so;                                   \
            const ELEM *x = (const ELEM *)a->x.data + at * sx;                                   \
            if (last > 0) {                                                                      \
                out += walk_offset(&l.outer, 0, last, item / blocks);                            \
                x += walk_offset(&l.outer, 1, last, item / blocks);                              \
            }                                                                                    \
            K(name##_side)(out, x, &l, pyad_min(SCAN_SIDE, wide - at), so, sx, a->reverse);      \
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
#undef PLACE_KERNEL
#undef NORM
#undef SCAN
#undef SCAN_OUT
#undef SCAN_SIDE
#undef SCAN_ADD
#undef SCAN_MUL
#undef ELEM
