/* Loops over arrays of one shape with any strides.
 *
 * The axes are put in the order of the first array's memory, those of size 1 are dropped and
 * neighbours are merged where every array allows it, so that most copies are a line or two deep.
 */
#ifndef PYAD_WALK_H
#define PYAD_WALK_H

#include "core.h"

#define WALK_ARRAYS 4

typedef struct {
    int64_t ndim;
    int64_t shape[PYAD_MAX_DIMS];
    int64_t stride[WALK_ARRAYS][PYAD_MAX_DIMS];
} walk;

static inline int64_t walk_abs(int64_t a) { return a < 0 ? -a : a; }

/* Whether axis i of the walk lies outside axis j: by the first array in which they differ. */
static inline int walk_outside(const walk *w, int64_t count, int64_t i, int64_t j) {
    for (int64_t a = 0; a < count; a++) {
        int64_t si = walk_abs(w->stride[a][i]), sj = walk_abs(w->stride[a][j]);
        if (si != sj) return si > sj;
    }
    return 0;
}

static inline void walk_swap(walk *w, int64_t count, int64_t i, int64_t j) {
    int64_t size = w->shape[i];
    w->shape[i] = w->shape[j];
    w->shape[j] = size;
    for (int64_t a = 0; a < count; a++) {
        int64_t stride = w->stride[a][i];
        w->stride[a][i] = w->stride[a][j];
        w->stride[a][j] = stride;
    }
}

static inline int walk_mergeable(const walk *w, int64_t count, int64_t outer, int64_t inner) {
    for (int64_t a = 0; a < count; a++) {
        if (w->stride[a][outer] != w->stride[a][inner] * w->shape[inner]) return 0;
    }
    return 1;
}

/* Merge neighbouring axes; they keep their order. */
static PYAD_ONCE void walk_merge(walk *w, int64_t count) {
    int64_t n = 0;
    for (int64_t i = 0; i < w->ndim; i++) {
        if (n > 0 && walk_mergeable(w, count, n - 1, i)) {
            w->shape[n - 1] *= w->shape[i];
        } else {
            w->shape[n++] = w->shape[i];
        }
        for (int64_t a = 0; a < count; a++) w->stride[a][n - 1] = w->stride[a][i];
    }
    w->ndim = n;
}

static PYAD_ONCE void walk_sort(walk *w, int64_t count) {
    for (int64_t i = 1; i < w->ndim; i++) {
        for (int64_t j = i; j > 0 && walk_outside(w, count, j, j - 1); j--) {
            walk_swap(w, count, j, j - 1);
        }
    }
}

/* Add an axis as the innermost one, unless its size is 1. */
static inline void walk_push(walk *w, int64_t size, int64_t count, const int64_t *strides) {
    if (size == 1) return;
    w->shape[w->ndim] = size;
    for (int64_t a = 0; a < count; a++) w->stride[a][w->ndim] = strides[a];
    w->ndim++;
}

/* A walk over `count` arrays that all have the shape of the first. */
static PYAD_ONCE void walk_init(walk *w, int64_t count, const pyad_array *const *arrays) {
    w->ndim = 0;
    for (int64_t i = 0; i < arrays[0]->ndim; i++) {
        int64_t strides[WALK_ARRAYS];
        for (int64_t a = 0; a < count; a++) strides[a] = arrays[a]->stride[i];
        walk_push(w, arrays[0]->shape[i], count, strides);
    }
    walk_sort(w, count);
    walk_merge(w, count);
}

/* The product of the first n sizes. */
static inline int64_t walk_outer(const walk *w, int64_t n) { return pyad_product(w->shape, n); }

/* The same with one axis at the least: a single element is a line of one. */
static inline void walk_init_lines(walk *w, int64_t count, const pyad_array *const *arrays) {
    walk_init(w, count, arrays);
    if (w->ndim == 0) *w = (walk){.ndim = 1, .shape = {1}};
}

/* The offset in array a of flat position `at` among the first n axes. */
static inline int64_t walk_offset(const walk *w, int64_t a, int64_t n, int64_t at) {
    int64_t offset = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        offset += at % w->shape[i] * w->stride[a][i];
        at /= w->shape[i];
    }
    return offset;
}

/* The lines along a walk's last axis, cut into pieces: what the threads share out. */
typedef struct {
    const walk *w;
    int64_t last, line;          /* that axis and its size */
    int64_t length, each, count; /* elements of a piece; pieces of a line and of all lines */
} walk_pieces;

static inline walk_pieces walk_cut(const walk *w, int64_t length) {
    const int64_t last = w->ndim - 1, line = w->shape[last], each = pyad_ceil_div(line, length);
    return (walk_pieces){w, last, line, length, each, walk_outer(w, last) * each};
}

/* Where piece `item` begins in array a. */
static inline int64_t pieces_offset(const walk_pieces *p, int64_t a, int64_t item) {
    return walk_offset(p->w, a, p->last, item / p->each) +
           item % p->each * p->length * p->w->stride[a][p->last];
}

/* How many elements piece `item` has: the last of a line may have fewer. */
static inline int64_t pieces_length(const walk_pieces *p, int64_t item) {
    return pyad_min(p->length, p->line - item % p->each * p->length);
}

#endif
