/* The largest and the smallest element (amax, amin), and where the first of them stands
 * (max_index, min_index). A NaN is taken before any number.
 *
 * Floats have loops of their own, as the compiler has no vectors for a comparison that lets NaN
 * through. Places come after values: a line is searched for its best value first, in lanes, then
 * for where that stands; down columns, rows are few, so each column notes its row in an integer of
 * the values' width, which keeps the loop in vectors.
 */

#ifdef REAL
#define LOWEST ((REAL)-INFINITY)
#define HIGHEST ((REAL)INFINITY)
#else
#define LOWEST                                                                                   \
    ((INT)-1 > 0 ? (INT)0 : (INT)(-((INT)1 << (sizeof(INT) * 8 - 2)) * 2))
#define HIGHEST ((INT) ~(INT)LOWEST)
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
        /* of 0 and -0, whose order depends on the lanes, none is left but 0 */                  \
        ((ELEM *)a->out.data)[o] = (ELEM)(*state + 0);                                           \
    }
EXTREMUM(amax, >, LOWEST)
EXTREMUM(amin, <, HIGHEST)

#ifdef REAL
/* Comparisons of single numbers would be branches, which nobody foresees, so lanes do them, too. Where a
 * line ends between two vectors, elements before it are taken a second time. */
#define EXTREMUM_RUN(name, is, best_lane)                                                        \
    static inline vec K(name##_lanes)(vec s, vec x) { return v_select(BETTER(x, s, is), x, s); } \
    static inline void K(name##_run)(const void *args, REAL *state, const REAL *x, int64_t n,    \
                                     int64_t at) {                                               \
        vec s0 = v_set1(*state), s1 = s0, s2 = s0, s3 = s0;                                      \
        int64_t i = 0;                                                                           \
        (void)args, (void)at;                                                                    \
        for (; i + 4 * VL <= n; i += 4 * VL) {                                                   \
            s0 = K(name##_lanes)(s0, v_load(x + i));                                             \
            s1 = K(name##_lanes)(s1, v_load(x + i + VL));                                        \
            s2 = K(name##_lanes)(s2, v_load(x + i + 2 * VL));                                    \
            s3 = K(name##_lanes)(s3, v_load(x + i + 3 * VL));                                    \
        }                                                                                        \
        for (; i + VL <= n; i += VL) s0 = K(name##_lanes)(s0, v_load(x + i));                    \
        if (n < VL) {                                                                            \
            for (; i < n; i++) s0 = K(name##_lanes)(s0, v_set1(x[i]));                           \
            *state = s0[0];                                                                      \
            return;                                                                              \
        }                                                                                        \
        s1 = K(name##_lanes)(s1, v_load(x + n - VL));                                            \
        s0 = K(name##_lanes)(K(name##_lanes)(s0, s1), K(name##_lanes)(s2, s3));                  \
        *state = v_any(v_isnan(s0)) ? (REAL)NAN : best_lane;                                     \
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
EXTREMUM_RUN(amax, >, v_hmax(s0))
EXTREMUM_RUN(amin, <, -v_hmax(-s0))
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
    PYAD_RECORD_MEMORY(name, reduce_args, pyad_numel(&a->x), 0,                                  \
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
    PYAD_RECORD_MEMORY(name, extremum_index_args, pyad_numel(&a->x), 0,                          \
                reduction_partials(&a->x, &a->indices) * (int64_t)sizeof(K(place)))
PLACE_KERNEL(max_index)
PLACE_KERNEL(min_index)

#undef FIRST_BETTER
#undef LOWEST
#undef HIGHEST
#undef EXTREMUM
#undef EXTREMUM_KERNEL
#undef PLACE
#undef PLACE_ROW
#undef PLACE_SEARCH
#undef PLACE_KERNEL
