/* The numbers of a call: tiles of 4 x 4 or 2 x 2 output pixels, and the columns (channels that are
 * written) by groups whose mapped weights fit the cache that threads share.
 */
#ifndef PYAD_WINOGRAD_SHAPE_H
#define PYAD_WINOGRAD_SHAPE_H

#include "core.h"

/* tiles of 4 x 4: the other ones have numbers of their own in the shape */
#define WINOGRAD_STEP PYAD_WINOGRAD_STEP
#define WINOGRAD_SIDE (WINOGRAD_STEP + 2)
#define WINOGRAD_POINTS (WINOGRAD_SIDE * WINOGRAD_SIDE)
#define WINOGRAD_WIDTH PYAD_WINOGRAD_WIDTH
#define WINOGRAD_SUM_TILES 128 /* for the weight's gradient, at a time; half, where sums are few */
#define WINOGRAD_FEW_SUMS (128 * 128)
#define WINOGRAD_GROUP (256 * 256) /* weights of a group, about */

typedef struct {
    int64_t step, side, points;                      /* of a tile */
    int64_t images, down, across;                    /* tiles of an image */
    int64_t height, width, out_height, out_width;    /* pixels */
    int64_t channels, columns, group;                /* group: columns of a group */
    int64_t sum_tiles; /* that the gradient of the weight takes at a time */
    int64_t pad_h, pad_w;
} winograd_shape;

static inline winograd_shape winograd_shape_of(const pyad_array *x, const pyad_array *out,
                                               const int64_t *padding, int64_t step) {
    winograd_shape s = {.step = step,
                        .side = step + 2,
                        .points = (step + 2) * (step + 2),
                        .images = x->shape[0],
                        .height = x->shape[2],
                        .width = x->shape[3],
                        .out_height = out->shape[2],
                        .out_width = out->shape[3],
                        .channels = x->shape[1],
                        .columns = out->shape[1],
                        .pad_h = padding[0],
                        .pad_w = padding[1]};
    s.down = pyad_ceil_div(s.out_height, step);
    s.across = pyad_ceil_div(s.out_width, step);
    int64_t panels = WINOGRAD_GROUP / WINOGRAD_WIDTH / pyad_max(1, s.channels);
    int64_t needed = pyad_ceil_div(s.columns, WINOGRAD_WIDTH);
    s.group = pyad_min(pyad_max(1, panels), needed) * WINOGRAD_WIDTH;
    int few = s.channels * s.group <= WINOGRAD_FEW_SUMS;
    s.sum_tiles = few ? WINOGRAD_SUM_TILES / 2 : WINOGRAD_SUM_TILES;
    return s;
}

static inline int64_t winograd_tiles(const winograd_shape *s) {
    return s->images * s->down * s->across;
}

/* Where a tile lies: image, first pixel. */
typedef struct {
    int64_t n, y, x;
} winograd_place;

static inline winograd_place winograd_place_of(const winograd_shape *s, int64_t tile) {
    winograd_place at;
    at.x = tile % s->across * s->step;
    tile /= s->across;
    at.y = tile % s->down * s->step;
    at.n = tile / s->down;
    return at;
}

#endif
