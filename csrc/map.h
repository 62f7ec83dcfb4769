/* Maps: out[i] = f(a[i], b[i], ...) over arrays of any strides, the frame of the elementwise kernels.
 *
 * A kernel supplies `row`, which works on n contiguous elements. The map walks the output in the
 * order of its memory, with axes merged as far as all operands allow. An operand that lies as the
 * output does is handed over in place. One that repeats itself within half a block (a scalar, a
 * bias along the contiguous axis) is laid out once in a buffer that every block reads again; other
 * strides are gathered block by block, so that `row` needs no variants. Buffers live in L1.
 *
 * Operands broadcast as in NumPy: aligned at the last axis, size 1 repeats. An operand may be the
 * output itself (same address and strides).
 */
#ifndef PYAD_MAP_H
#define PYAD_MAP_H

#include <string.h>

#include "core.h"
#include "dtypes.h"

#define MAP_BLOCK 512
#define MAP_MAX_READS 3
#define MAP_MAX_ITEM 8

typedef void (*map_row)(void *out, const void *const *in, int64_t n, const double *params);

/* How an operand is met. */
enum { MAP_FLAT, MAP_PERIODIC, MAP_STRIDED };

typedef struct {
    char *data;
    int64_t item;                  /* bytes of an element */
    int64_t stride[PYAD_MAX_DIMS]; /* in elements, along the merged axes */
    int64_t period;                /* elements after which it repeats; 0: it does not */
    int kind;
} map_operand;

/* The last operand is the output. */
typedef struct {
    int64_t n, ndim, count, block;
    int64_t shape[PYAD_MAX_DIMS];
    map_operand operand[MAP_MAX_READS + 1];
    int strided; /* operands that are */
    int all_flat, by_rows, direct;
} map_plan;

/* ---- the plan ---- */

/* One axis of every operand: the unit that is sorted and merged. */
typedef struct {
    int64_t size;
    int64_t stride[MAP_MAX_READS + 1];
} map_axis;

/* Axes larger than 1, the output's outermost first; broadcast axes have stride 0. */
static inline int64_t map_axes(const pyad_array *arrays, int64_t count, map_axis *axes) {
    const pyad_array *out = &arrays[count - 1];
    int64_t ndim = 0;
    for (int64_t d = 0; d < out->ndim; d++) {
        if (out->shape[d] == 1) continue;
        map_axis axis = {.size = out->shape[d]};
        for (int64_t k = 0; k < count; k++) {
            int64_t own = d - (out->ndim - arrays[k].ndim);
            axis.stride[k] = own < 0 || arrays[k].shape[own] == 1 ? 0 : arrays[k].stride[own];
        }
        int64_t at = ndim++, far = axis.stride[count - 1];
        far = far < 0 ? -far : far;
        for (; at > 0; at--) {
            int64_t before = axes[at - 1].stride[count - 1];
            if ((before < 0 ? -before : before) >= far) break;
            axes[at] = axes[at - 1];
        }
        axes[at] = axis;
    }
    return ndim;
}

/* Whether axis `outer` goes on where `inner` ends, for all operands. */
static inline int map_joins(const map_axis *outer, const map_axis *inner, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        if (outer->stride[k] != inner->stride[k] * inner->size) return 0;
    }
    return 1;
}

/* The axes from `first` inward hold the operand's period if it does not move along the outer ones. */
static inline void map_classify(map_operand *o, const map_plan *plan) {
    int64_t dense = 1, first = 0, size = 1;
    o->kind = MAP_FLAT;
    for (int64_t d = plan->ndim - 1; d >= 0; d--) {
        if (o->stride[d] != dense) o->kind = MAP_STRIDED;
        dense *= plan->shape[d];
    }
    if (o->kind == MAP_FLAT) return;
    while (first < plan->ndim && o->stride[first] == 0) first++;
    for (int64_t d = first; d < plan->ndim; d++) size *= plan->shape[d];
    if (first > 0 && size <= MAP_BLOCK / 2) {
        o->kind = MAP_PERIODIC;
        o->period = size;
    }
}

static inline void map_make_plan(map_plan *plan, const pyad_array *arrays, int64_t count) {
    map_axis axes[PYAD_MAX_DIMS];
    int64_t ndim = map_axes(arrays, count, axes), kept = 0;
    for (int64_t d = 1; d < ndim; d++) {
        if (map_joins(&axes[kept], &axes[d], count)) {
            axes[d].size *= axes[kept].size;
        } else {
            kept++;
        }
        axes[kept] = axes[d];
    }
    plan->ndim = ndim > 0 ? kept + 1 : 0;
    plan->count = count;
    plan->n = 1;
    for (int64_t d = 0; d < plan->ndim; d++) {
        plan->shape[d] = axes[d].size;
        plan->n *= axes[d].size;
        for (int64_t k = 0; k < count; k++) plan->operand[k].stride[d] = axes[d].stride[k];
    }
    int64_t period = 1, periodic = 0, unit = 1;
    plan->strided = 0;
    for (int64_t k = 0; k < count; k++) {
        map_operand *o = &plan->operand[k];
        o->data = arrays[k].data;
        o->item = pyad_element_bytes(arrays[k].dtype);
        o->period = 0;
        map_classify(o, plan);
        period = pyad_max(period, o->period);
        periodic += o->kind == MAP_PERIODIC;
        plan->strided += o->kind == MAP_STRIDED;
        if (o->kind == MAP_STRIDED) unit &= o->stride[plan->ndim - 1] == 1;
    }
    plan->all_flat = plan->strided + periodic == 0;
    plan->block = MAP_BLOCK / period * period;
    /* long rows are walked one by one, so that strided operands are read where they lie */
    plan->by_rows = plan->strided > 0 && plan->shape[plan->ndim - 1] >= MAP_BLOCK / 2;
    plan->direct = plan->by_rows && unit && periodic == 0;
}

/* ---- moving elements between an operand and its buffer ---- */

#define MAP_COPY_RUN(type)                                                             \
    do {                                                                               \
        type *restrict to = (type *)dst;                                               \
        const type *restrict from = (const type *)src;                                 \
        const type first = *from;                                                      \
        if (src_stride == 0 && dst_stride == 1) {                                      \
            for (int64_t i = 0; i < n; i++) to[i] = first;                             \
            break;                                                                     \
        }                                                                              \
        for (int64_t i = 0; i < n; i++) to[i * dst_stride] = from[i * src_stride];     \
    } while (0)

static inline void map_copy_run(char *dst, int64_t dst_stride, const char *src,
                                int64_t src_stride, int64_t n, int64_t item) {
    if (dst_stride == 1 && src_stride == 1 && n >= 16) {
        memcpy(dst, src, (size_t)(n * item));
        return;
    }
    switch (item) {
    case 1: MAP_COPY_RUN(uint8_t); break;
    case 2: MAP_COPY_RUN(uint16_t); break;
    case 4: MAP_COPY_RUN(uint32_t); break;
    default: MAP_COPY_RUN(uint64_t); break;
    }
}

/* Where the walk stands: an index along each axis, and each operand's offset there. */
typedef struct {
    int64_t index[PYAD_MAX_DIMS];
    int64_t offset[MAP_MAX_READS + 1];
} map_place;

static inline void map_seek(const map_plan *plan, int64_t position, map_place *at) {
    for (int64_t k = 0; k < plan->count; k++) at->offset[k] = 0;
    for (int64_t d = plan->ndim - 1; d >= 0; d--) {
        at->index[d] = position % plan->shape[d];
        position /= plan->shape[d];
        for (int64_t k = 0; k < plan->count; k++) {
            at->offset[k] += at->index[d] * plan->operand[k].stride[d];
        }
    }
}

/* n elements on, at most to the end of the innermost row */
static inline void map_advance(const map_plan *plan, int64_t n, map_place *at) {
    int64_t d = plan->ndim - 1;
    at->index[d] += n;
    for (int64_t k = 0; k < plan->count; k++) at->offset[k] += n * plan->operand[k].stride[d];
    while (d > 0 && at->index[d] == plan->shape[d]) {
        for (int64_t k = 0; k < plan->count; k++) {
            const int64_t *stride = plan->operand[k].stride;
            at->offset[k] += stride[d - 1] - plan->shape[d] * stride[d];
        }
        at->index[d] = 0;
        at->index[--d]++;
    }
}

/* Whether a block of the operand is not contiguous in memory. */
static inline int map_needs_buffer(const map_plan *plan, const map_operand *o) {
    return o->kind == MAP_STRIDED && !(plan->by_rows && o->stride[plan->ndim - 1] == 1);
}

/* Copy the n elements from `at` on between each strided operand and its buffer, row by row: the
 * inputs into their buffers, or the output out of its own. Moves `at`. */
static inline void map_move(const map_plan *plan, map_place *at, int64_t n, int reads,
                            char (*buffer)[MAP_BLOCK * MAP_MAX_ITEM]) {
    int64_t inner = plan->shape[plan->ndim - 1], last = plan->count - 1;
    for (int64_t done = 0; done < n;) {
        int64_t run = pyad_min(inner - at->index[plan->ndim - 1], n - done);
        for (int64_t k = reads ? 0 : last; k < (reads ? last : plan->count); k++) {
            const map_operand *o = &plan->operand[k];
            if (!map_needs_buffer(plan, o)) continue;
            char *memory = o->data + at->offset[k] * o->item, *mine = buffer[k] + done * o->item;
            int64_t stride = o->stride[plan->ndim - 1];
            if (reads) {
                map_copy_run(mine, 1, memory, stride, run, o->item);
            } else {
                map_copy_run(memory, stride, mine, 1, run, o->item);
            }
        }
        map_advance(plan, run, at);
        done += run;
    }
}

/* ---- the walk ---- */

/* The buffers of operands that repeat, filled once for `n` elements at most: every block starts where
 * the period does. */
static inline void map_fill_periodic(const map_plan *plan, int64_t n,
                                     char (*buffer)[MAP_BLOCK * MAP_MAX_ITEM]) {
    n = pyad_min(n, plan->block);
    for (int64_t k = 0; k < plan->count - 1; k++) {
        const map_operand *o = &plan->operand[k];
        if (o->kind != MAP_PERIODIC) continue;
        map_place at = {{0}, {0}};
        int64_t done = 0;
        for (; done < pyad_min(o->period, n); done++) {
            memcpy(buffer[k] + done * o->item, o->data + at.offset[k] * o->item, (size_t)o->item);
            map_advance(plan, 1, &at);
        }
        while (done < n) {
            int64_t more = pyad_min(done, n - done);
            memcpy(buffer[k] + done * o->item, buffer[k], (size_t)(more * o->item));
            done += more;
        }
    }
}

/* Where each operand's next n elements can be read or written; gathers what has to be gathered. */
static inline void map_point(const map_plan *plan, const map_place *at, int64_t position,
                             int64_t n, char (*buffer)[MAP_BLOCK * MAP_MAX_ITEM], char **at_data) {
    int gather = 0;
    for (int64_t k = 0; k < plan->count; k++) {
        const map_operand *o = &plan->operand[k];
        at_data[k] = buffer[k];
        if (o->kind == MAP_FLAT) {
            at_data[k] = o->data + position * o->item;
        } else if (o->kind == MAP_STRIDED) {
            if (map_needs_buffer(plan, o)) {
                gather = 1;
            } else {
                at_data[k] = o->data + at->offset[k] * o->item;
            }
        }
    }
    if (gather) {
        map_place moving = *at;
        map_move(plan, &moving, n, 1, buffer);
    }
}

static inline void map_walk(const map_plan *plan, map_row row, const double *params,
                            int64_t begin, int64_t end) {
    _Alignas(PYAD_LINE_BYTES) char buffer[MAP_MAX_READS + 1][MAP_BLOCK * MAP_MAX_ITEM];
    int64_t last = plan->count - 1, axis = plan->ndim - 1;
    const map_operand *out = &plan->operand[last];
    map_place at;
    map_seek(plan, begin, &at);
    map_fill_periodic(plan, end - begin, buffer);
    for (int64_t position = begin; position < end;) {
        int64_t n = end - position;
        if (plan->by_rows) n = pyad_min(n, plan->shape[axis] - at.index[axis]);
        if (!plan->direct) n = pyad_min(n, plan->block);
        char *data[MAP_MAX_READS + 1];
        map_point(plan, &at, position, n, buffer, data);
        row(data[last], (const void *const *)data, n, params);
        if (map_needs_buffer(plan, out)) {
            map_move(plan, &at, n, 0, buffer);
        } else if (plan->by_rows) {
            map_advance(plan, n, &at);
        } else if (plan->strided) {
            map_seek(plan, position + n, &at);
        }
        position += n;
    }
}

/* Run `row` over this thread's part of the output. args: `reads` arrays, the output, parameters. */
static inline int map_run(const void *args, int64_t reads, map_row row, const team *t) {
    const pyad_array *arrays = args;
    const double *params = (const double *)(const void *)(arrays + reads + 1);
    map_plan plan;
    int64_t begin, end;
    if (pyad_numel(&arrays[reads]) == 0) return PYAD_OK;
    map_make_plan(&plan, arrays, reads + 1);
    team_range(t, plan.n, plan.block, &begin, &end);
    if (begin == end) return PYAD_OK;
    if (!plan.all_flat) {
        map_walk(&plan, row, params, begin, end);
        return PYAD_OK;
    }
    const void *in[MAP_MAX_READS] = {NULL};
    for (int64_t k = 0; k < reads; k++) {
        in[k] = plan.operand[k].data + begin * plan.operand[k].item;
    }
    const map_operand *out = &plan.operand[reads];
    row(out->data + begin * out->item, in, end - begin, params);
    return PYAD_OK;
}

#endif
