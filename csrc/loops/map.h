/* Maps: out[i] = f(a[i], b[i], ...) over arrays of any strides, the frame of the elementwise kernels.
 *
 * A kernel supplies `row`, which works on n contiguous elements. The map walks the output in the
 * order of its memory, with axes merged as far as all operands allow. An operand that lies as the
 * output does is handed over in place. One that repeats itself soon (a scalar, a bias along the
 * contiguous axis) is laid out once in a buffer that every block reads again.
 *
 * For other strides the map goes by lines, of as many inner axes as make them worth a call. An
 * operand that is contiguous within a line is read where it lies; others are gathered block by block
 * (moves.h), so that `row` needs no variants. Blocks consist of whole rows of all axes of a line but
 * its outermost. Buffers live in L1.
 *
 * Operands broadcast as in NumPy: aligned at the last axis, size 1 repeats. An operand may be the
 * output itself (same address and strides).
 */
#ifndef PYAD_MAP_H
#define PYAD_MAP_H

#include <string.h>

#include "core.h"
#include "dtypes.h"
#include "loops/moves.h"
#include "loops/past.h"
#include "loops/stream.h"

#define MAP_BLOCK 512
/* Bytes of a block of results on their way past the caches (past.h), and the additions for an element
 * up to which that pays: what computes more has its stores wait less than a detour takes, and its row may
 * store past them by itself (LONG_MAP). */
#define MAP_PAST 2048
#define MAP_PAST_COST 4
#define MAP_LINE 257 /* elements of a line at least, if the output has as many */
#define MAP_MAX_READS 3
#define MAP_MAX_ITEM 8

/* How a row meets memory: in the caches, where all may be; beyond them, where it may ask for what comes
 * later (stream.h); and with results that it may store past them. */
enum { ROW_NEAR, ROW_FAR, ROW_PAST };

typedef void (*map_row)(void *out, const void *const *in, int64_t n, const double *params, int way);

/* How an operand is met. */
enum { MAP_FLAT, MAP_PERIODIC, MAP_STRIDED };

typedef struct {
    char *data;
    int64_t item;                  /* bytes of an element */
    int64_t stride[PYAD_MAX_DIMS]; /* in elements, along the merged axes */
    int64_t period;                /* elements after which it repeats; 0: it does not */
    int kind, gathered;            /* gathered: strided and not contiguous within a line */
    /* a line of the operand, its axes merged as far as it alone allows, steps in bytes */
    int64_t axes, size[PYAD_MAX_DIMS], step[PYAD_MAX_DIMS], dense[PYAD_MAX_DIMS];
} map_operand;

/* The last operand is the output. */
typedef struct {
    int64_t n, ndim, count, block;
    int64_t shape[PYAD_MAX_DIMS];
    int64_t outer, unit, line; /* axes outside a line; elements of a row in it, and of a line */
    map_operand operand[MAP_MAX_READS + 1];
    int strided; /* operands that are */
    int all_flat, direct;
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
static inline void map_classify(map_operand *o, const map_plan *plan, int64_t most) {
    int64_t dense = 1, first = 0, size = 1;
    o->kind = MAP_FLAT;
    o->period = 0;
    for (int64_t d = plan->ndim - 1; d >= 0; d--) {
        if (o->stride[d] != dense) o->kind = MAP_STRIDED;
        dense *= plan->shape[d];
    }
    if (o->kind == MAP_FLAT) return;
    while (first < plan->ndim && o->stride[first] == 0) first++;
    for (int64_t d = first; d < plan->ndim; d++) size *= plan->shape[d];
    if (first > 0 && size <= most) {
        o->kind = MAP_PERIODIC;
        o->period = size;
    }
}

/* The kinds of all operands, where one that repeats itself after `most` elements is periodic. */
static inline void map_classify_all(map_plan *plan, int64_t most) {
    int64_t period = 1, periodic = 0;
    plan->strided = 0;
    for (int64_t k = 0; k < plan->count; k++) {
        map_operand *o = &plan->operand[k];
        map_classify(o, plan, most);
        period = pyad_max(period, o->period);
        periodic += o->kind == MAP_PERIODIC;
        plan->strided += o->kind == MAP_STRIDED;
    }
    plan->all_flat = plan->strided + periodic == 0;
    plan->direct = periodic == 0;
    plan->block = MAP_BLOCK / period * period;
}

/* How a strided operand lies within a line. */
static inline void map_lay_line(map_plan *plan, map_operand *o) {
    int64_t at = 0, dense = o->item;
    for (int64_t d = plan->outer; d < plan->ndim; d++) {
        const int64_t size = plan->shape[d], step = o->stride[d] * o->item;
        const int joins = d > plan->outer && o->step[at] == step * size;
        if (!joins) at += d > plan->outer;
        o->size[at] = joins ? o->size[at] * size : size;
        o->step[at] = step;
    }
    o->axes = at + 1;
    for (; at >= 0; at--) {
        o->dense[at] = dense;
        dense *= o->size[at];
    }
    o->gathered = o->axes > 1 || o->step[0] != o->item;
    plan->direct &= !o->gathered;
}

/* Lines of the inner axes, and blocks of rows of them. What repeats itself does so within a row, or
 * else is read as the line has it. */
static inline void map_lay_lines(map_plan *plan) {
    plan->outer = plan->ndim - 1;
    while (plan->outer > 0 && plan->unit * plan->shape[plan->outer] < MAP_LINE) {
        plan->unit *= plan->shape[plan->outer--];
    }
    plan->line = plan->unit * plan->shape[plan->outer];
    map_classify_all(plan, plan->unit);
    plan->block = MAP_BLOCK / plan->unit * plan->unit;
    for (int64_t k = 0; k < plan->count; k++) {
        map_operand *o = &plan->operand[k];
        if (o->kind == MAP_STRIDED) map_lay_line(plan, o);
    }
}

static PYAD_SHARED void map_make_plan(map_plan *plan, const pyad_array *arrays, int64_t count) {
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
    for (int64_t k = 0; k < count; k++) {
        plan->operand[k].data = arrays[k].data;
        plan->operand[k].item = pyad_element_bytes(arrays[k].dtype);
        plan->operand[k].gathered = 0;
    }
    plan->outer = 0;
    plan->unit = 1;
    plan->line = plan->n;
    map_classify_all(plan, MAP_BLOCK / 2);
    if (plan->strided > 0) map_lay_lines(plan);
}

/* ---- the walk ---- */

/* Where the walk stands: a line's index along each outer axis, each operand's offset there, and how
 * many of the line's elements its buffer holds that will not change until the line's end. */
typedef struct {
    int64_t index[PYAD_MAX_DIMS];
    int64_t offset[MAP_MAX_READS + 1];
    int64_t kept[MAP_MAX_READS + 1];
} map_place;

static inline void map_seek(const map_plan *plan, int64_t line, map_place *at) {
    *at = (map_place){{0}, {0}, {0}};
    for (int64_t d = plan->outer - 1; d >= 0; d--) {
        at->index[d] = line % plan->shape[d];
        line /= plan->shape[d];
        for (int64_t k = 0; k < plan->count; k++) {
            at->offset[k] += at->index[d] * plan->operand[k].stride[d];
        }
    }
}

static inline void map_next_line(const map_plan *plan, map_place *at) {
    for (int64_t d = plan->outer - 1; d >= 0; d--) {
        const int64_t size = plan->shape[d], ends = ++at->index[d] == size;
        if (ends) at->index[d] = 0;
        for (int64_t k = 0; k < plan->count; k++) {
            at->kept[k] = 0;
            at->offset[k] += plan->operand[k].stride[d] * (ends ? 1 - size : 1);
        }
        if (!ends) return;
    }
}

/* The buffers of operands that repeat, filled once for `n` elements at most: every block starts where
 * the period does. */
static inline void map_fill_periodic(const map_plan *plan, int64_t n,
                                     char (*buffer)[MAP_BLOCK * MAP_MAX_ITEM]) {
    n = pyad_min(n, plan->block);
    for (int64_t k = 0; k < plan->count - 1; k++) {
        const map_operand *o = &plan->operand[k];
        if (o->kind != MAP_PERIODIC) continue;
        int64_t done = 0, index[PYAD_MAX_DIMS] = {0}, offset = 0;
        for (; done < pyad_min(o->period, n); done++) {
            memcpy(buffer[k] + done * o->item, o->data + offset * o->item, (size_t)o->item);
            for (int64_t d = plan->ndim - 1; d >= 0; d--) {
                offset += o->stride[d];
                if (++index[d] < plan->shape[d]) break;
                offset -= plan->shape[d] * o->stride[d];
                index[d] = 0;
            }
        }
        while (done < n) {
            int64_t more = pyad_min(done, n - done);
            memcpy(buffer[k] + done * o->item, buffer[k], (size_t)(more * o->item));
            done += more;
        }
    }
}

/* n elements of a line between the operand's memory and its buffer. */
static inline void map_move(const map_plan *plan, const map_operand *o, char *memory, char *buffer,
                            int64_t n, int reads) {
    int64_t size[PYAD_MAX_DIMS];
    for (int64_t i = 0; i < o->axes; i++) size[i] = o->size[i];
    size[0] = size[0] / plan->shape[plan->outer] * (n / plan->unit);
    if (reads) {
        moves_block(buffer, o->dense, memory, o->step, size, o->axes, o->item);
    } else {
        moves_block(memory, o->step, buffer, o->dense, size, o->axes, o->item);
    }
}

/* Where the n elements of strided operand k can be read or written that follow `row` rows of the line;
 * gathers those that are read and lie apart. */
static inline char *map_point(const map_plan *plan, int64_t k, map_place *at, int64_t row,
                              int64_t n, char *buffer) {
    const map_operand *o = &plan->operand[k];
    char *memory = o->data + (at->offset[k] + row * o->stride[plan->outer]) * o->item;
    if (!o->gathered) return memory;
    if (k < plan->count - 1 && n > at->kept[k]) {
        map_move(plan, o, memory, buffer, n, 1);
        if (o->stride[plan->outer] == 0) at->kept[k] = n;
    }
    return buffer;
}

/* Whether elements [begin, end) go past the caches: not where they are read, which brings them there, nor
 * where blocks do not begin where lines of the caches do. */
static inline int map_is_past(const map_plan *plan, int64_t begin, int64_t end) {
    const map_operand *out = &plan->operand[plan->count - 1];
    int past = out->kind == MAP_FLAT && plan->block * out->item % PYAD_LINE_BYTES == 0 &&
               (plan->all_flat || plan->line * out->item % PYAD_LINE_BYTES == 0) &&
               writes_past(out->data + begin * out->item, (end - begin) * out->item);
    for (int64_t k = 0; k < plan->count - 1; k++) past &= plan->operand[k].data != out->data;
    return past;
}

/* The way of rows of so many additions for an element that together are elements [begin, end). Of those
 * whose stores take a detour past the caches each goes by itself. */
static inline int map_way(const map_plan *plan, int64_t begin, int64_t end, int64_t cost) {
    if (!streams((end - begin) * plan->operand[plan->count - 1].item)) return ROW_NEAR;
    return cost > MAP_PAST_COST && map_is_past(plan, begin, end) ? ROW_PAST : ROW_FAR;
}

/* Asks for the n elements behind those of each operand that is flat. */
static inline void map_ask(const map_plan *plan, char *const *data, int64_t n) {
    for (int64_t k = 0; k < plan->count - 1; k++) {
        const int64_t bytes = n * plan->operand[k].item;
        if (plan->operand[k].kind == MAP_FLAT) ask_to_read_all(data[k] + bytes, bytes);
    }
}

static inline void map_store_past(char *to, const char *from, int64_t bytes) {
    int64_t at = 0;
    for (; at + VECTOR_BYTES <= bytes; at += VECTOR_BYTES) store_past(to + at, from + at);
    memcpy(to + at, from + at, (size_t)(bytes - at));
}

static inline void map_walk(const map_plan *plan, map_row row, const double *params,
                            int64_t begin, int64_t end, int64_t cost) {
    _Alignas(PYAD_LINE_BYTES) char buffer[MAP_MAX_READS + 1][MAP_BLOCK * MAP_MAX_ITEM];
    const int64_t last = plan->count - 1;
    const map_operand *out = &plan->operand[last];
    const int past = cost <= MAP_PAST_COST && map_is_past(plan, begin, end);
    const int way = map_way(plan, begin, end, cost);
    map_place at;
    map_seek(plan, begin / plan->line, &at);
    map_fill_periodic(plan, end - begin, buffer);
    int64_t within = begin % plan->line; /* the line's elements that are done */
    for (int64_t position = begin; position < end;) {
        int64_t n = pyad_min(end - position, plan->line - within);
        if (past || !plan->direct) n = pyad_min(n, plan->block);
        const int64_t rows = within / plan->unit;
        char *data[MAP_MAX_READS + 1] = {NULL};
        for (int64_t k = 0; k < plan->count; k++) {
            const map_operand *o = &plan->operand[k];
            data[k] = o->kind == MAP_FLAT       ? o->data + position * o->item
                      : o->kind == MAP_PERIODIC ? buffer[k]
                                                : map_point(plan, k, &at, rows, n, buffer[k]);
        }
        char *to = data[last];
        if (past) {
            map_ask(plan, data, n);
            row(buffer[last], (const void *const *)data, n, params, ROW_NEAR);
            map_store_past(to, buffer[last], n * out->item);
        } else {
            row(to, (const void *const *)data, n, params, way);
        }
        if (out->gathered) {
            char *memory = out->data + (at.offset[last] + rows * out->stride[plan->outer]) * out->item;
            map_move(plan, out, memory, buffer[last], n, 0);
        }
        position += n;
        within += n;
        if (within == plan->line) {
            within = 0;
            map_next_line(plan, &at);
        }
    }
    if (past || way == ROW_PAST) end_writes_past();
}

/* The same where all operands are flat, by blocks that are then stored past the caches; meanwhile asks
 * for what the next one will read. */
static inline void map_walk_past(const map_plan *plan, map_row row, const double *params,
                                 int64_t begin, int64_t end) {
    _Alignas(PYAD_LINE_BYTES) char block[MAP_PAST];
    const int64_t last = plan->count - 1, item = plan->operand[last].item;
    for (int64_t n; begin < end; begin += n) {
        n = pyad_min(MAP_PAST / item, end - begin);
        const char *in[MAP_MAX_READS] = {NULL};
        for (int64_t k = 0; k < last; k++) {
            in[k] = plan->operand[k].data + begin * plan->operand[k].item;
        }
        row(block, (const void *const *)in, n, params, ROW_NEAR);
        char *out = plan->operand[last].data + begin * item;
        int64_t at = 0;
        for (; at + PYAD_LINE_BYTES <= n * item; at += PYAD_LINE_BYTES) {
            for (int64_t k = 0; k < last; k++) {
                ask_to_read(in[k] + (MAP_PAST + at) / item * plan->operand[k].item);
            }
            for (int64_t i = at; i < at + PYAD_LINE_BYTES; i += VECTOR_BYTES) {
                store_past(out + i, block + i);
            }
        }
        memcpy(out + at, block + at, (size_t)(n * item - at));
    }
    end_writes_past();
}

/* Run `row`, of so many additions for an element, over this thread's part of the output. args: `reads`
 * arrays, the output, parameters. */
static inline int map_run(const void *args, int64_t reads, int64_t cost, map_row row, const team *t) {
    const pyad_array *arrays = args;
    const double *params = (const double *)(const void *)(arrays + reads + 1);
    map_plan plan;
    int64_t begin, end;
    if (pyad_numel(&arrays[reads]) == 0) return PYAD_OK;
    map_make_plan(&plan, arrays, reads + 1);
    team_range(t, plan.n, plan.block, &begin, &end);
    if (begin == end) return PYAD_OK;
    if (!plan.all_flat) {
        map_walk(&plan, row, params, begin, end, cost);
        return PYAD_OK;
    }
    if (cost <= MAP_PAST_COST && map_is_past(&plan, begin, end)) {
        map_walk_past(&plan, row, params, begin, end);
        return PYAD_OK;
    }
    const void *in[MAP_MAX_READS] = {NULL};
    for (int64_t k = 0; k < reads; k++) {
        in[k] = plan.operand[k].data + begin * plan.operand[k].item;
    }
    const map_operand *out = &plan.operand[reads];
    const int way = map_way(&plan, begin, end, cost);
    row(out->data + begin * out->item, in, end - begin, params, way);
    if (way == ROW_PAST) end_writes_past();
    return PYAD_OK;
}

#endif
