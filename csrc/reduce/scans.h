/* The lines that a scan goes along. */
#ifndef PYAD_SCANS_H
#define PYAD_SCANS_H

#include "loops/walk.h"

#define SCAN_ARRAYS 3

/* Lines along an axis of arrays of one shape (out first); they lie beside each other along the
 * axis that is innermost in out, so that neighbouring lines run together. */
typedef struct {
    walk outer; /* all axes but that one */
    int64_t n, step[SCAN_ARRAYS];
} scan_lines;

static inline scan_lines scan_lines_of(int64_t count, const pyad_array *const *arrays, int64_t axis) {
    scan_lines l = {.n = arrays[0]->shape[axis]};
    for (int64_t i = 0; i < arrays[0]->ndim; i++) {
        int64_t strides[SCAN_ARRAYS] = {0};
        for (int64_t a = 0; a < count; a++) strides[a] = arrays[a]->stride[i];
        if (i != axis) walk_push(&l.outer, arrays[0]->shape[i], count, strides);
    }
    for (int64_t a = 0; a < count; a++) l.step[a] = arrays[a]->stride[axis];
    walk_sort(&l.outer, count);
    walk_merge(&l.outer, count);
    return l;
}

#endif
