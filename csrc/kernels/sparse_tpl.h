/* Product of a matrix of which some elements are held, and a dense one:
 *
 *   y[rows[i], :] += values[i] x[columns[i], :],   i in order
 *
 * Threads share the columns of y, so that each sum has one owner and one order. Loops: columns by as
 * many as have their sums in registers, elements; a sum stays there while elements of the same row
 * follow each other, as they do in a matrix whose places are in order.
 */
#ifdef REAL
#include "loops/indices.h"

#define SPARSE_VECTORS 4 /* of columns, at most, whose sums are in registers */

/* n columns from the first of x and y on. */
static inline __attribute__((always_inline)) void K(sparse_columns)(const spmm_args *a, const REAL *x,
                                                                    REAL *y, const int64_t vectors,
                                                                    int64_t n) {
    const int64_t *rows = a->rows.data, *columns = a->columns.data;
    const int64_t count = a->values.shape[0], width = a->x.shape[1], last = n - (vectors - 1) * VL;
    const REAL *values = a->values.data;
    for (int64_t i = 0; i < count;) {
        const int64_t row = rows[i];
        REAL *to = y + row * width;
        vec sum[SPARSE_VECTORS];
        for (int64_t u = 0; u < vectors; u++) {
            sum[u] = v_load_live(to + u * VL, u < vectors - 1 ? VL : last);
        }
        for (; i < count && rows[i] == row; i++) {
            const REAL *from = x + columns[i] * width;
            const vec value = v_set1(values[i]);
            for (int64_t u = 0; u < vectors; u++) {
                const int64_t live = u < vectors - 1 ? VL : last;
                sum[u] = v_fma(value, v_load_live(from + u * VL, live), sum[u]);
            }
        }
        for (int64_t u = 0; u < vectors; u++) {
            v_store_live(to + u * VL, sum[u], u < vectors - 1 ? VL : last);
        }
    }
}

static int K(spmm)(const void *args, const team *t) {
    const spmm_args *a = args;
    int status = indices_check(&a->rows, 0, a->y.shape[0], t);
    if (status == PYAD_OK) status = indices_check(&a->columns, 0, a->x.shape[0], t);
    if (status != PYAD_OK) return status;
    const int64_t width = a->y.shape[1], most = SPARSE_VECTORS * VL;
    const REAL *x = a->x.data;
    REAL *y = a->y.data;
    int64_t at, end;
    team_range(t, width, VL, &at, &end);
    for (int64_t row = 0; row < a->y.shape[0] && at < end; row++) {
        memset(y + row * width + at, 0, (size_t)(end - at) * sizeof *y);
    }
    for (; at + most <= end; at += most) K(sparse_columns)(a, x + at, y + at, SPARSE_VECTORS, most);
    for (; at < end; at += VL) K(sparse_columns)(a, x + at, y + at, 1, pyad_min(VL, end - at));
    return PYAD_OK;
}
PYAD_RECORD_FLUSHED(spmm, spmm_args, a->values.shape[0] * a->x.shape[1], 0, 0)

#undef SPARSE_VECTORS
#endif
