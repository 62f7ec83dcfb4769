/* A dense array seen along one of its axes: memory is [outer][n][inner], whatever the order of the
 * axes, because the stride of an axis counts what lies inside it.
 */
#ifndef PYAD_AXIS_H
#define PYAD_AXIS_H

#include "core.h"

typedef struct {
    int64_t outer, n, inner;
} axis_view;

static inline axis_view axis_of(const pyad_array *a, int64_t axis) {
    int64_t total = pyad_numel(a);
    int64_t n = a->ndim > 0 ? a->shape[axis] : 1;
    if (n <= 1 || total == 0) return (axis_view){n == 1 ? total : 0, n, 1};
    int64_t inner = a->stride[axis];
    return (axis_view){total / (n * inner), n, inner};
}

/* How many of `inner` neighbouring columns, of which there are `outer` blocks, are worked on side by
 * side: up to `most`, since memory gives long parts of a row faster than short ones, but in as many
 * pieces as the threads can share evenly. In whole cache lines of `line` columns. Only for what makes
 * each column by itself: the pieces depend on the number of threads. */
static inline int64_t axis_columns(const team *t, int64_t outer, int64_t inner, int64_t most,
                                   int64_t line) {
    int64_t pieces = pyad_max(1, pyad_ceil_div(inner, most));
    if (outer % t->nth != 0) pieces = pyad_ceil_div(pieces, t->nth) * t->nth;
    return pyad_max(1, pyad_ceil_div(pyad_ceil_div(inner, pieces), line)) * line;
}

#endif
