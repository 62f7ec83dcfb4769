/* Arrays of indices (int64): they are checked, all of them, before anything is written. */
#ifndef PYAD_INDICES_H
#define PYAD_INDICES_H

#include "loops/walk.h"

/* The offset of flat position `at` (C order) in an array. */
static inline int64_t array_offset(const pyad_array *a, int64_t at) {
    int64_t offset = 0;
    for (int64_t i = a->ndim - 1; i >= 0; i--) {
        offset += at % a->shape[i] * a->stride[i];
        at /= a->shape[i];
    }
    return offset;
}

/* Whether all indices are in [low, limit), each thread checking its part; 0 or a status. */
static inline int indices_check(const pyad_array *index, int64_t low, int64_t limit,
                                const team *t) {
    const int64_t *p = index->data;
    int64_t begin, end;
    team_range(t, pyad_numel(index), 4096, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t value = p[index->ndim == 1 ? i * index->stride[0] : array_offset(index, i)];
        if (value < low || value >= limit) {
            team_fail(t, PYAD_ERROR_INDEX, i, value, limit);
            break;
        }
    }
    if (t->nth > 1) team_barrier(t);
    return team_failed(t);
}

/* An array without one axis: what the lines along that axis start from. */
static inline pyad_array array_without(const pyad_array *a, int64_t axis) {
    pyad_array rest = *a;
    rest.shape[axis] = 1;
    rest.stride[axis] = 0;
    return rest;
}

#endif
