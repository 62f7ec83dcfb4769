/* Windows that slide over up to three spatial axes, as pooling has them.
 *
 * A window is fixed (kernel, stride, padding, dilation) or adaptive: output o of `out` then covers
 * the inputs from floor(o in / out) up to ceil((o + 1) in / out). Cells are numbered in row-major
 * order of the whole window, whether they lie inside the input or not.
 */
#ifndef PYAD_WINDOW_H
#define PYAD_WINDOW_H

#include "core.h"

#define WINDOW_AXES 3

typedef struct {
    int64_t in, out;
    int64_t kernel, stride, padding, dilation;
    int64_t adaptive;
} window_axis;

/* Up to three spatial axes, the absent ones in front with size 1. */
typedef struct {
    int64_t n, c;
    window_axis axis[WINDOW_AXES];
} window_geometry;

/* The part of one window along one axis that lies inside the input. */
typedef struct {
    int64_t at;    /* input position of the first cell inside */
    int64_t cell;  /* its number in the window */
    int64_t count; /* cells inside */
} window_span;

static inline window_geometry window_geometry_of(const pyad_array *x, const pyad_array *y,
                                                 const int64_t *kernel, const int64_t *stride,
                                                 const int64_t *padding, const int64_t *dilation,
                                                 int64_t adaptive) {
    window_geometry g = {x->shape[0], x->shape[1], {{0}}};
    for (int64_t i = 0; i < WINDOW_AXES; i++) {
        int64_t from = i - WINDOW_AXES + x->ndim;
        int present = from >= 2;
        g.axis[i] = (window_axis){present ? x->shape[from] : 1, present ? y->shape[from] : 1,
                                  kernel[i], stride[i], padding[i], dilation[i], adaptive};
    }
    return g;
}

static inline window_span window_at(const window_axis *a, int64_t o) {
    if (a->adaptive) {
        int64_t at = o * a->in / a->out;
        return (window_span){at, 0, pyad_ceil_div((o + 1) * a->in, a->out) - at};
    }
    int64_t start = o * a->stride - a->padding;
    if (start >= 0 && start + (a->kernel - 1) * a->dilation < a->in) {
        return (window_span){start, 0, a->kernel}; /* most of them: no division */
    }
    int64_t cell = start >= 0 ? 0 : pyad_ceil_div(-start, a->dilation);
    int64_t at = start + cell * a->dilation;
    int64_t inside = at < a->in ? (a->in - 1 - at) / a->dilation + 1 : 0;
    return (window_span){at, cell, pyad_min(inside, a->kernel - cell)};
}

/* The outputs [*begin, *end) whose windows may hold input i: see window_cell_of. */
static inline void window_outputs_over(const window_axis *a, int64_t i, int64_t *begin,
                                       int64_t *end) {
    if (a->adaptive) {
        *begin = i * a->out / a->in;
        *end = pyad_ceil_div((i + 1) * a->out, a->in);
        return;
    }
    int64_t reach = (a->kernel - 1) * a->dilation;
    int64_t padded = i + a->padding;
    *begin = padded > reach ? pyad_ceil_div(padded - reach, a->stride) : 0;
    *end = pyad_min(padded / a->stride + 1, a->out);
}

/* Which cell of output o's window input i is, -1 if none. */
static inline int64_t window_cell_of(const window_axis *a, int64_t o, int64_t i) {
    window_span s = window_at(a, o);
    int64_t step = a->adaptive ? 1 : a->dilation;
    int64_t past = i - s.at;
    if (past < 0 || past % step != 0 || past / step >= s.count) return -1;
    return s.cell + past / step;
}

/* Whether windows lie side by side from the first input on. */
static inline int window_apart(const window_axis *a) {
    if (a->adaptive) return a->in % a->out == 0;
    return a->kernel == a->stride && a->padding == 0 && (a->dilation == 1 || a->kernel == 1);
}

/* The inputs up to the end of the last of such windows. */
static inline int64_t window_reach(const window_axis *a) {
    return a->adaptive ? a->in : pyad_min(a->in, a->out * a->kernel);
}

/* How many cells divide an average: with padding, those past its far end do not count. */
static inline int64_t window_divisor(const window_axis *a, int64_t o, int64_t with_padding) {
    if (a->adaptive || !with_padding) return window_at(a, o).count;
    int64_t start = o * a->stride - a->padding;
    return pyad_min(start + a->kernel, a->in + a->padding) - start;
}

#endif
