/* How a reduction walks its input: which axes are kept, which are summed away, and into which
 * fixed pieces the work is cut. Nothing here looks at the number of threads, so the pieces, and
 * with them the bits of the result, are the same for any.
 */
#ifndef PYAD_REDUCTION_H
#define PYAD_REDUCTION_H

#include "loops/walk.h"

#define REDUCE_SEGMENT 2048 /* elements of a line that are reduced at once */
#define REDUCE_COLUMNS 1024 /* columns that are reduced side by side */
#define REDUCE_ROWS 64      /* rows before their sum leaves single precision */
#define REDUCE_LINES 64     /* neighbouring lines that one thread takes together */
#define REDUCE_CHUNK 16384  /* elements that are worth a piece of their own */
#define REDUCE_PIECES 32    /* below so many pieces the reduced axes are cut too */

typedef struct {
    walk kept;    /* arrays: 0 x, 1 out */
    walk reduced; /* array 0: x */
    int64_t outputs, inputs; /* elements of out, and elements of x for each */
    int by_columns;          /* the innermost kept axis is the innermost of x */
    int64_t side;            /* size of the innermost kept axis */
    int64_t block;           /* outputs along it that one piece of work makes */
    int64_t units;           /* blocks of lines or columns that are independent */
    int64_t chunks;          /* pieces of the reduced axes */
} reduction;

/* `in_order` keeps reduced axes in row-major order, for results that name positions. */
static PYAD_ONCE void reduction_init(reduction *r, const pyad_array *x, const pyad_array *out,
                                  int in_order) {
    r->kept.ndim = r->reduced.ndim = 0;
    for (int64_t i = 0; i < x->ndim; i++) {
        int64_t strides[2] = {x->stride[i], out->stride[i]};
        if (out->shape[i] == x->shape[i]) {
            walk_push(&r->kept, x->shape[i], 2, strides);
        } else {
            walk_push(&r->reduced, x->shape[i], 1, strides);
        }
    }
    walk_sort(&r->kept, 2);
    walk_merge(&r->kept, 2);
    if (!in_order) walk_sort(&r->reduced, 1);
    walk_merge(&r->reduced, 1);
    if (r->reduced.ndim == 0) r->reduced = (walk){.ndim = 1, .shape = {1}};
    r->outputs = walk_outer(&r->kept, r->kept.ndim);
    r->inputs = walk_outer(&r->reduced, r->reduced.ndim);
    int64_t kept = r->kept.ndim - 1, reduced = r->reduced.ndim - 1;
    r->by_columns = kept >= 0 && r->kept.stride[0][kept] == 1 && r->inputs > 1 &&
                    r->reduced.stride[0][reduced] != 1;
    r->side = kept < 0 ? 1 : r->kept.shape[kept];
    r->block = r->by_columns ? REDUCE_COLUMNS : r->inputs < REDUCE_SEGMENT ? REDUCE_LINES : 1;
    r->units = r->outputs == 0 ? 0 : r->outputs / r->side * pyad_ceil_div(r->side, r->block);
    int64_t chunks = r->units == 0 || r->units >= REDUCE_PIECES
                         ? 1
                         : r->outputs * r->inputs / (REDUCE_CHUNK * r->units);
    r->chunks = pyad_max(1, pyad_min(chunks, REDUCE_PIECES));
}

/* Where the input of the output at offset o begins: its axes by their strides, the widest first. */
static inline int64_t reduction_source(const reduction *r, int64_t o) {
    const int64_t *strides = r->kept.stride[1];
    int64_t from = 0;
    for (int64_t below = INT64_MAX;;) {
        int64_t axis = -1;
        for (int64_t i = 0; i < r->kept.ndim; i++) {
            if (strides[i] < below && (axis < 0 || strides[i] > strides[axis])) axis = i;
        }
        if (axis < 0) return from;
        below = strides[axis];
        from += o / below * r->kept.stride[0][axis];
        o %= below;
    }
}

/* How many partial results the chunks leave behind, 0 if there is one chunk. */
static PYAD_ONCE int64_t reduction_partials(const pyad_array *x, const pyad_array *out) {
    reduction r;
    reduction_init(&r, x, out, 0);
    return r.chunks > 1 ? r.chunks * r.outputs : 0;
}

#endif
