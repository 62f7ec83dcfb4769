/* The p-norm: the p-th root of the sum of p-th powers of sizes, in double. p = 0, 1 and 2 are
 * steps of plain arithmetic; any other p goes through the vector power.
 */

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

static PYAD_ONCE void K(normp_rows)(const void *args, double *states, const REAL *x,
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
PYAD_RECORD_MEMORY(norm, norm_args, pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))

#undef NORM
