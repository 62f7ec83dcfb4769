/* any, all: whether some element, or every one, is true. all is asked as: not any is 0.
 */

static inline uint8_t K(any_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return 0;
}

static inline void K(any_step)(const void *args, uint8_t *state, ELEM v) {
    const any_args *a = args;
    /* in a byte: compared as int64 there would be eight times the vectors */
    *state |= (uint8_t)(v != 0) ^ (uint8_t)(a->all != 0);
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
#define NO_LANES
#include "reduction_tpl.h"

static int K(any)(const void *args, const team *t) {
    const any_args *a = args;
    K(any_reduce)(a, &a->x, &a->out, t);
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(any, any_args, pyad_numel(&a->x), 0, reduction_partials(&a->x, &a->out))
