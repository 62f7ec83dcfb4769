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

#endif
