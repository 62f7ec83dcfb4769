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

/* The same where elements go one by one anyway. */
static PYAD_ONCE int64_t array_place(const pyad_array *a, int64_t at) {
    return array_offset(a, at);
}

/* Whether the elements lie one behind the other in C order. */
static PYAD_ONCE int array_in_order(const pyad_array *a) {
    int64_t step = 1;
    for (int64_t i = a->ndim - 1; i >= 0; i--) {
        if (a->shape[i] != 1 && a->stride[i] != step) return 0;
        step *= a->shape[i];
    }
    return 1;
}

/* From one element to the next in C order, 0 where there is no such number. */
static PYAD_ONCE int64_t array_step(const pyad_array *a) {
    return a->ndim == 1 ? a->stride[0] : array_in_order(a);
}

/* Whether all indices are in [low, limit), each thread checking its part; 0 or a status. */
static PYAD_ONCE int indices_check(const pyad_array *index, int64_t low, int64_t limit,
                                      const team *t) {
    const int64_t *p = index->data, step = array_step(index);
    int64_t begin, end;
    team_range(t, pyad_numel(index), 4096, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t value = p[step != 0 ? i * step : array_offset(index, i)];
        if (value < low || value >= limit) {
            team_fail(t, PYAD_ERROR_INDEX, i, value, limit);
            break;
        }
    }
    if (t->nth > 1) team_barrier(t);
    return team_failed(t);
}

/* How many of n bytes are set. */
static inline int64_t mask_count(const uint8_t *set, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += set[i] != 0;
    return count;
}

/* This thread's part of a mask in order: elements begin .. end-1, of which `left` are set, behind
 * `before` that are set. Loops stop at the last one, so that what they write for an element that is
 * not set is written over by themselves. */
typedef struct {
    int64_t begin, before, left;
} mask_part;

static PYAD_ONCE mask_part mask_part_of(const pyad_array *chosen, const team *t) {
    const uint8_t *set = chosen->data;
    int64_t begin, end;
    team_range(t, pyad_numel(chosen), 64, &begin, &end);
    return (mask_part){begin, mask_count(set, begin), mask_count(set + begin, end - begin)};
}

/* An array without one axis: what the lines along that axis start from. */
static inline pyad_array array_without(const pyad_array *a, int64_t axis) {
    pyad_array rest = *a;
    rest.shape[axis] = 1;
    rest.stride[axis] = 0;
    return rest;
}

#endif
