/* Images read at the places of a grid, in channels-last memory, over two or three spatial axes.
 *
 * A place reads up to four pixels along each axis, whose weights multiply. What a vector of places
 * reads is computed first, a place in each lane; then pixel by pixel. Forward, and the gradient of
 * the grid: output pixel, then channels, then the pixels it reads; threads split the output's pixels.
 * The gradient of the images adds to wherever the grid points: image, output pixel in order, the
 * pixels it reads, channels; threads split images and blocks of channels, so that each sum has one
 * owner and one order.
 *
 * Nothing branches by where a place is, as grids may point anywhere: a pixel outside has the address
 * of one inside and a mask that makes 0 of what is read there. Places are computed in the dtype of
 * the data, as PyTorch does, so that ties and borders fall alike.
 */
#ifdef REAL
#include "core.h"

#define SAMPLE_INLINE static inline __attribute__((always_inline))
#define SAMPLE_AXES 3
#define SAMPLE_LANES (VECTOR_BYTES / sizeof(REAL))
#define SAMPLE_SIDES 4
#define SAMPLE_SIDES_OF(mode) ((mode) == PYAD_SAMPLE_NEAREST ? 1 : 2 * (mode))
/* of the cubic mode, which is for two axes; three axes have 8 */
#define SAMPLE_TAPS 16
/* the cubic's slope at its first zero */
#define SAMPLE_BEND ((REAL)-0.75)
/* fewer channels than this are read and added one by one: a vector of them would be nearly empty, and
 * wait for the stores before */
#define SAMPLE_FEW 4

#define sample_axis K(sample_axis)
#define sample_job K(sample_job)
#define sample_sides K(sample_sides)
#define sample_taps K(sample_taps)

/* A grid's number p is the place (p + 1) * scale - shift. */
typedef struct {
    mask_item size, step;
    REAL scale, shift, low, span; /* reflections are at low and low + span */
} sample_axis;

/* axis[0] is the last one, along which the grid's first number counts. */
typedef struct {
    int64_t axes, c, image, outputs, mode, padding, align_corners;
    sample_axis axis[SAMPLE_AXES];
} sample_job;

/* What places read along one axis; slope: of the weight, by the grid's number. */
typedef struct {
    mask inside[SAMPLE_SIDES], offset[SAMPLE_SIDES];
    vec weight[SAMPLE_SIDES], slope[SAMPLE_SIDES];
} sample_sides;

/* What they read of the image. */
typedef struct {
    int64_t count;
    mask_item inside[SAMPLE_TAPS][SAMPLE_LANES];
    mask_item offset[SAMPLE_TAPS][SAMPLE_LANES];
    REAL weight[SAMPLE_TAPS][SAMPLE_LANES];
    REAL slope[SAMPLE_AXES][SAMPLE_TAPS][SAMPLE_LANES];
} sample_taps;

static sample_job K(sample_job_of)(const pyad_array *x, const pyad_array *grid, int64_t mode,
                                   int64_t padding, int64_t align_corners) {
    sample_job j = {x->ndim - 2, x->shape[1], x->shape[1], 1, mode, padding, align_corners, {{0}}};
    for (int64_t k = 0; k < j.axes; k++) {
        const int64_t size = x->shape[x->ndim - 1 - k];
        const REAL span = (REAL)(align_corners ? size - 1 : size);
        const REAL half = align_corners ? 0 : (REAL)0.5;
        j.axis[k] = (sample_axis){(mask_item)size, (mask_item)j.image, span / 2, half, -half, span};
        j.image *= size;
        j.outputs *= grid->shape[k + 1];
    }
    return j;
}

/* ---- what places read ---- */

static inline mask K(sample_choose)(mask m, mask a, mask b) { return (m & a) | (~m & b); }

/* Places turned back into the image, and the slopes with them. */
static vec K(sample_reflect)(const sample_axis *a, vec place, vec *slope) {
    const REAL period = 2 * a->span;
    const vec from = place - a->low;
    const vec size = v_abs(from), turns = size / period;
    const mask known = turns < (REAL)PYAD_SAMPLE_TURNS;
    const vec whole =
        __builtin_convertvector(__builtin_convertvector(v_select(known, turns, (vec){0}), mask), vec);
    /* below 0 where the quotient was rounded up to the next whole number */
    const vec rest = v_fma(-whole, v_set1(period), size);
    const mask over = rest > a->span, back = over | (rest < 0);
    *slope = v_select((from < 0) ^ back, -*slope, *slope);
    *slope = (vec)(known & (mask)*slope);
    const vec far = v_select(over, period - rest, v_abs(rest));
    return (vec)(known & (mask)(far + a->low));
}

/* The places of a grid's numbers, near the image or in it; what isn't a number is below. */
static vec K(sample_places)(const sample_job *j, const sample_axis *a, vec numbers, vec *slope) {
    vec place = (numbers + 1) * a->scale - a->shift;
    *slope = v_set1(a->scale);
    if (j->padding == PYAD_PADDING_REFLECTION) place = K(sample_reflect)(a, place, slope);
    const int inside = j->mode != PYAD_SAMPLE_CUBIC && j->padding != PYAD_PADDING_ZEROS;
    const vec low = v_set1(inside ? 0 : -3), high = v_set1((REAL)(inside ? a->size - 1 : a->size + 2));
    *slope = (vec)((place > low) & (place < high) & (mask)*slope);
    /* of two numbers that are compared with NaN, the second */
    return v_min(v_max(place, low), high);
}

/* The pixels that stand for those outside, as far as any do. */
static mask K(sample_turn)(const sample_job *j, const sample_axis *a, mask pixel) {
    const mask_item last = a->size - 1, edge = j->align_corners ? 0 : 1;
    /* cubic weights reach two pixels out: no farther than two turns of an image of one */
    for (int turn = 0; turn < 2 && j->padding == PYAD_PADDING_REFLECTION; turn++) {
        pixel = K(sample_choose)(pixel < 0, -pixel - edge, pixel);
        pixel = K(sample_choose)(pixel > last, 2 * last + edge - pixel, pixel);
    }
    return pixel;
}

static void K(sample_cubic)(vec t, vec along, vec *weight, vec *slope) {
    const REAL b = SAMPLE_BEND;
    for (int i = 0; i < SAMPLE_SIDES; i++) {
        const vec d = i < 2 ? t + (REAL)(1 - i) : (REAL)(i - 1) - t, sign = i < 2 ? along : -along;
        if (i == 1 || i == 2) {
            weight[i] = ((b + 2) * d - (b + 3)) * d * d + 1;
            slope[i] = sign * (3 * (b + 2) * d - 2 * (b + 3)) * d;
        } else {
            weight[i] = (((d - 5) * d + 8) * d - 4) * b;
            slope[i] = sign * ((3 * d - 10) * d + 8) * b;
        }
    }
}

/* Along one axis. */
static void K(sample_sides_of)(const sample_job *j, const sample_axis *a, vec numbers,
                               sample_sides *s) {
    vec along;
    const vec place = K(sample_places)(j, a, numbers, &along);
    mask first = __builtin_convertvector(place, mask);
    first += __builtin_convertvector(first, vec) > place;
    const vec t = place - __builtin_convertvector(first, vec);
    if (j->mode == PYAD_SAMPLE_NEAREST) {
        first -= (t > (REAL)0.5) | ((t == (REAL)0.5) & ((first & 1) != 0));
        s->weight[0] = v_set1(1), s->slope[0] = v_set1(0);
    } else if (j->mode == PYAD_SAMPLE_LINEAR) {
        s->weight[0] = 1 - t, s->weight[1] = t;
        s->slope[0] = -along, s->slope[1] = along;
    } else {
        first -= 1;
        K(sample_cubic)(t, along, s->weight, s->slope);
    }
    const mask_item last = a->size - 1;
    for (int64_t i = 0; i < SAMPLE_SIDES_OF(j->mode); i++) {
        mask pixel = first + (mask_item)i;
        if (j->mode == PYAD_SAMPLE_CUBIC) pixel = K(sample_turn)(j, a, pixel);
        const mask below = pixel < 0, above = pixel > last;
        s->inside[i] = ~(below | above);
        pixel = K(sample_choose)(above, (mask){0} + last, ~below & pixel);
        /* the border is read where it goes on; other modes' places are inside then */
        if (j->padding != PYAD_PADDING_ZEROS) s->inside[i] |= -1;
        s->offset[i] = pixel * a->step;
    }
}

/* The grid's numbers of `live` places, a vector for each axis. */
static inline void K(sample_numbers)(const REAL *grid, int64_t axes, int64_t live, vec *numbers) {
    enum { lanes = VL };
    if (axes == 2 && live == VL) {
        mask_item first[lanes];
        mask even;
        for (int l = 0; l < lanes; l++) first[l] = 2 * l;
        memcpy(&even, first, sizeof even);
        const vec low = v_load(grid), high = v_load(grid + VL);
        numbers[0] = V_SHUFFLE_TWO(low, high, even);
        numbers[1] = V_SHUFFLE_TWO(low, high, even + 1);
        return;
    }
    REAL each[SAMPLE_AXES][lanes] = {{0}};
    for (int64_t p = 0; p < live; p++) {
        for (int64_t k = 0; k < axes; k++) each[k][p] = *grid++;
    }
    for (int64_t k = 0; k < axes; k++) numbers[k] = v_load(each[k]);
}

/* What the places of `live` output pixels read. */
static void K(sample_read)(const sample_job *j, const REAL *grid, int64_t live, int slopes,
                           sample_taps *taps) {
    const int64_t sides = SAMPLE_SIDES_OF(j->mode), deep = j->axes == 3 ? sides : 1;
    sample_sides axis[SAMPLE_AXES];
    vec numbers[SAMPLE_AXES];
    K(sample_numbers)(grid, j->axes, live, numbers);
    for (int64_t k = 0; k < j->axes; k++) {
        K(sample_sides_of)(j, &j->axis[k], numbers[k], &axis[k]);
    }
    sample_sides *x = &axis[0], *y = &axis[1], *z = &axis[2];
    if (j->axes == 2) {
        z->inside[0] = ~(mask){0}, z->offset[0] = (mask){0};
        z->weight[0] = v_set1(1), z->slope[0] = v_set1(0);
    }
    int64_t n = 0;
    for (int64_t d = 0; d < deep; d++) {
        for (int64_t h = 0; h < sides; h++) {
            const mask row = z->offset[d] + y->offset[h], inside = z->inside[d] & y->inside[h];
            const vec weight = z->weight[d] * y->weight[h];
            const vec down = z->weight[d] * y->slope[h], behind = z->slope[d] * y->weight[h];
            for (int64_t w = 0; w < sides; w++, n++) {
                const mask offset = row + x->offset[w], there = inside & x->inside[w];
                memcpy(taps->offset[n], &offset, sizeof offset);
                memcpy(taps->inside[n], &there, sizeof there);
                v_store(taps->weight[n], weight * x->weight[w]);
                if (slopes) {
                    v_store(taps->slope[0][n], weight * x->slope[w]);
                    v_store(taps->slope[1][n], down * x->weight[w]);
                    v_store(taps->slope[2][n], behind * x->weight[w]);
                }
            }
        }
    }
    taps->count = n;
}

/* Element operations, for what each pixel of the result reads once. */
static int64_t K(sample_work)(const pyad_array *x, const pyad_array *grid, int64_t mode) {
    const int64_t axes = x->ndim - 2, pixels = pyad_numel(grid) / axes;
    const int64_t sides = SAMPLE_SIDES_OF(mode);
    return pixels * (4 * axes + x->shape[1] * sides * sides);
}

/* ---- of few channels, one for all lanes ---- */

/* What is read at pixel number i of each lane. */
static inline vec K(sample_lanes)(const sample_taps *taps, const REAL *x, int64_t i) {
    REAL each[SAMPLE_LANES];
    mask inside;
    for (int64_t p = 0; p < VL; p++) each[p] = x[taps->offset[i][p]];
    memcpy(&inside, taps->inside[i], sizeof inside);
    return (vec)((mask)v_load(each) & inside);
}

/* Every c-th number. */
static inline vec K(sample_get)(const REAL *from, int64_t c, int64_t lanes) {
    if (c == 1) return v_load_live(from, lanes);
    REAL each[SAMPLE_LANES] = {0};
    for (int64_t p = 0; p < lanes; p++) each[p] = from[p * c];
    return v_load(each);
}

static inline void K(sample_put)(REAL *to, int64_t c, vec a, int64_t lanes) {
    if (c == 1) {
        v_store_live(to, a, lanes);
        return;
    }
    REAL each[SAMPLE_LANES];
    v_store(each, a);
    for (int64_t p = 0; p < lanes; p++) to[p * c] = each[p];
}

/* ---- forward ---- */

/* Channels of what lane p reads at its pixel number i. */
SAMPLE_INLINE vec K(sample_pixel)(const sample_taps *taps, const REAL *x, int64_t i, int64_t p,
                                  int64_t live) {
    const vec read = v_load_live(x + taps->offset[i][p], live);
    return (vec)((mask)read & taps->inside[i][p]);
}

SAMPLE_INLINE vec K(sample_mix)(const sample_taps *taps, const REAL *x, int64_t p, int64_t live) {
    vec sum = v_set1(0);
    for (int64_t i = 0; i < taps->count; i++) {
        sum = v_fma(v_set1(taps->weight[i][p]), K(sample_pixel)(taps, x, i, p, live), sum);
    }
    return sum;
}

static void K(sample_pixels)(const sample_job *j, const REAL *x, const REAL *grid, REAL *y,
                             int64_t pixels) {
    const int64_t c = j->c;
    sample_taps taps;
    for (int64_t first = 0; first < pixels; first += VL, y += VL * c) {
        const int64_t lanes = pyad_min(VL, pixels - first);
        K(sample_read)(j, grid + first * j->axes, lanes, 0, &taps);
        if (c < SAMPLE_FEW) {
            for (int64_t at = 0; at < c; at++) {
                vec sum = v_set1(0);
                for (int64_t i = 0; i < taps.count; i++) {
                    sum = v_fma(v_load(taps.weight[i]), K(sample_lanes)(&taps, x + at, i), sum);
                }
                K(sample_put)(y + at, c, sum, lanes);
            }
            continue;
        }
        for (int64_t p = 0; p < lanes; p++) {
            REAL *to = y + p * c;
            int64_t at = 0;
            for (; at + VL <= c; at += VL) v_store(to + at, K(sample_mix)(&taps, x + at, p, VL));
            if (at < c) v_store_n(to + at, K(sample_mix)(&taps, x + at, p, c - at), c - at);
        }
    }
}

static int K(grid_sample_fwd)(const void *args, const team *t) {
    const grid_sample_fwd_args *a = args;
    const sample_job j = K(sample_job_of)(&a->x, &a->grid, a->mode, a->padding, a->align_corners);
    const REAL *x = a->x.data, *grid = a->grid.data;
    REAL *y = a->y.data;
    int64_t p, end;
    team_range(t, a->x.shape[0] * j.outputs, 1, &p, &end);
    while (p < end) {
        const int64_t n = p / j.outputs, pixels = pyad_min(end, (n + 1) * j.outputs) - p;
        K(sample_pixels)(&j, x + n * j.image, grid + p * j.axes, y + p * j.c, pixels);
        p += pixels;
    }
    return PYAD_OK;
}
PYAD_RECORD(grid_sample_fwd, grid_sample_fwd_args, K(sample_work)(&a->x, &a->grid, a->mode))

/* ---- backward ---- */

/* sum over channels of g times the slopes of y by the numbers of lane p */
static inline void K(sample_slope)(const sample_job *j, const sample_taps *taps, const REAL *g,
                                   const REAL *x, int64_t p, REAL *ggrid) {
    vec sum[SAMPLE_AXES] = {{0}};
    for (int64_t at = 0; at < j->c; at += VL) {
        const int64_t live = pyad_min(VL, j->c - at);
        const vec by = v_load_live(g + at, live);
        for (int64_t i = 0; i < taps->count; i++) {
            const vec product = by * K(sample_pixel)(taps, x + at, i, p, live);
            for (int k = 0; k < SAMPLE_AXES; k++) {
                sum[k] = v_fma(v_set1(taps->slope[k][i][p]), product, sum[k]);
            }
        }
    }
    for (int64_t k = 0; k < j->axes; k++) ggrid[k] = v_sum(sum[k]);
}

/* The same for all lanes. */
static void K(sample_slope_lanes)(const sample_job *j, const sample_taps *taps, const REAL *g,
                                  const REAL *x, int64_t lanes, REAL *ggrid) {
    vec sum[SAMPLE_AXES] = {{0}};
    for (int64_t at = 0; at < j->c; at++) {
        const vec by = K(sample_get)(g + at, j->c, lanes);
        for (int64_t i = 0; i < taps->count; i++) {
            const vec product = by * K(sample_lanes)(taps, x + at, i);
            for (int k = 0; k < SAMPLE_AXES; k++) {
                sum[k] = v_fma(v_load(taps->slope[k][i]), product, sum[k]);
            }
        }
    }
    for (int64_t k = 0; k < j->axes; k++) K(sample_put)(ggrid + k, j->axes, sum[k], lanes);
}

static void K(sample_slopes)(const sample_job *j, const REAL *g, const REAL *x, const REAL *grid,
                             REAL *ggrid, int64_t pixels) {
    sample_taps taps;
    for (int64_t first = 0; first < pixels; first += VL, g += VL * j->c, ggrid += VL * j->axes) {
        const int64_t lanes = pyad_min(VL, pixels - first);
        K(sample_read)(j, grid + first * j->axes, lanes, 1, &taps);
        if (j->c < SAMPLE_FEW) {
            K(sample_slope_lanes)(j, &taps, g, x, lanes, ggrid);
            continue;
        }
        for (int64_t p = 0; p < lanes; p++) {
            K(sample_slope)(j, &taps, g + p * j->c, x, p, ggrid + p * j->axes);
        }
    }
}

static void K(sample_grid_gradient)(const sample_job *j, const grid_sample_bwd_args *a,
                                    const team *t) {
    const REAL *g = a->g.data, *x = a->x.data, *grid = a->grid.data;
    REAL *ggrid = a->ggrid.data;
    int64_t p, end;
    team_range(t, a->x.shape[0] * j->outputs, 1, &p, &end);
    if (j->mode == PYAD_SAMPLE_NEAREST) {
        memset(ggrid + p * j->axes, 0, (size_t)((end - p) * j->axes) * sizeof *ggrid);
        return;
    }
    while (p < end) {
        const int64_t n = p / j->outputs, pixels = pyad_min(end, (n + 1) * j->outputs) - p;
        K(sample_slopes)(j, g + p * j->c, x + n * j->image, grid + p * j->axes,
                         ggrid + p * j->axes, pixels);
        p += pixels;
    }
}

/* What lane p's channels add to the pixels that it reads. */
static void K(sample_add)(const sample_taps *taps, REAL *gx, const REAL *g, int64_t p, int64_t c) {
    for (int64_t i = 0; i < taps->count; i++) {
        REAL *to = gx + taps->offset[i][p];
        const mask_item inside = taps->inside[i][p];
        const vec weight = v_set1(taps->weight[i][p]);
        int64_t at = 0;
        for (; at + VL <= c; at += VL) {
            const vec part = (vec)((mask)v_load(g + at) & inside);
            v_store(to + at, v_fma(weight, part, v_load(to + at)));
        }
        if (at < c) {
            const vec part = (vec)((mask)v_load_n(g + at, c - at) & inside);
            v_store_n(to + at, v_fma(weight, part, v_load_n(to + at, c - at)), c - at);
        }
    }
}

/* What all lanes add to channels [from, to) of c. */
static void K(sample_add_lanes)(const sample_taps *taps, REAL *gx, const REAL *g, int64_t c,
                                int64_t from, int64_t to, int64_t lanes) {
    for (int64_t at = from; at < to; at++) {
        const vec by = K(sample_get)(g + at, c, lanes);
        for (int64_t i = 0; i < taps->count; i++) {
            REAL each[SAMPLE_LANES];
            mask inside;
            memcpy(&inside, taps->inside[i], sizeof inside);
            v_store(each, v_load(taps->weight[i]) * (vec)((mask)by & inside));
            for (int64_t p = 0; p < lanes; p++) gx[taps->offset[i][p] + at] += each[p];
        }
    }
}

/* Channels [from, to) of one image. */
static void K(sample_spread)(const sample_job *j, const grid_sample_bwd_args *a, int64_t n,
                             int64_t from, int64_t to) {
    REAL *gx = (REAL *)a->gx.data + n * j->image;
    if (to - from == j->c) {
        memset(gx, 0, (size_t)j->image * sizeof *gx);
    } else {
        for (int64_t at = from; at < j->image; at += j->c) {
            memset(gx + at, 0, (size_t)(to - from) * sizeof *gx);
        }
    }
    const REAL *grid = (const REAL *)a->grid.data + n * j->outputs * j->axes;
    const REAL *g = (const REAL *)a->g.data + n * j->outputs * j->c;
    sample_taps taps;
    for (int64_t first = 0; first < j->outputs; first += VL, g += VL * j->c) {
        const int64_t lanes = pyad_min(VL, j->outputs - first);
        K(sample_read)(j, grid + first * j->axes, lanes, 0, &taps);
        if (j->c < SAMPLE_FEW) {
            K(sample_add_lanes)(&taps, gx, g, j->c, from, to, lanes);
            continue;
        }
        for (int64_t p = 0; p < lanes; p++) {
            K(sample_add)(&taps, gx + from, g + p * j->c + from, p, to - from);
        }
    }
}

static int K(grid_sample_bwd)(const void *args, const team *t) {
    const grid_sample_bwd_args *a = args;
    const sample_job j = K(sample_job_of)(&a->x, &a->grid, a->mode, a->padding, a->align_corners);
    if (a->ggrid.data != NULL) K(sample_grid_gradient)(&j, a, t);
    if (a->gx.data == NULL) return PYAD_OK;
    const int64_t blocks = pyad_ceil_div(j.c, VL);
    int64_t unit, end;
    team_range(t, a->x.shape[0] * blocks, 1, &unit, &end);
    while (unit < end) {
        const int64_t n = unit / blocks, first = unit % blocks;
        const int64_t last = pyad_min(blocks, first + end - unit);
        K(sample_spread)(&j, a, n, first * VL, pyad_min(last * VL, j.c));
        unit += last - first;
    }
    return PYAD_OK;
}
PYAD_RECORD(grid_sample_bwd, grid_sample_bwd_args,
            3 * K(sample_work)(&a->x, &a->grid, a->mode))

#undef SAMPLE_INLINE
#undef SAMPLE_AXES
#undef SAMPLE_LANES
#undef SAMPLE_SIDES
#undef SAMPLE_SIDES_OF
#undef SAMPLE_TAPS
#undef SAMPLE_BEND
#undef SAMPLE_FEW
#undef sample_axis
#undef sample_job
#undef sample_sides
#undef sample_taps
#endif
