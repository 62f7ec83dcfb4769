/* The product of elements: floats in double, as products leave the range of float32 soon; integers
 * wrap as int64.
 */

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
PYAD_RECORD_MEMORY(prod, reduce_args, pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(double))
