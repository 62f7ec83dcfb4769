/* 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), in channels-last memory (Lavin and Gray,
 * "Fast Algorithms for Convolutional Neural Networks", 2016). All arrays have 4 axes.
 *
 * An output tile of 4 x 4 pixels sees an input window of 6 x 6. Both, and the 3 x 3 weights, are
 * mapped to 36 points, and there the convolution is one product of numbers a point:
 *
 *   output   Y = A' [(G g G') * (B' d B)] A      summed over input channels before the last map
 *   gradient of the weight   g = G' [(B' d B) * (A y A')] G      summed over tiles before it
 *
 * 36 multiplications do the work of 144; the maps cost additions, the more the fewer channels the
 * products have. The price is accuracy: sums of numbers larger than the result lose about a
 * digit against the exact algorithms (conv_tpl.h).
 *
 * winograd_fwd also computes the input gradient: a convolution of the output's gradient with the
 * weights turned around (`transposed`). Columns, here, are the channels that are written.
 *
 * Loops of winograd_fwd: columns by groups whose mapped weights fit the cache that threads share
 * (mapped by the team, one barrier; or `prepared`, by winograd_weight); each thread takes its own
 * tiles, WINOGRAD_TILES at a time, maps their windows, and then, for some columns at a time,
 * runs the 36 products (tiles x channels times channels x columns) and maps the sums to pixels.
 * The maps would wait for memory most of their time; so while products run, which need little of
 * it, the pixels of the next windows and those to be written are asked for.
 *
 * Where tiles are few (winograd_run_few), mapped weights would be written and read once or twice:
 * there all windows are mapped first, and each thread takes its own columns, WINOGRAD_WIDTH at a
 * time, maps the weights of WINOGRAD_DEPTH channels into its own cache and adds their products.
 *
 * Loops of winograd_bwd_w: columns by groups as above; the team maps some windows and gradient
 * tiles at a time into shared memory, then each thread adds products to its own sums (36
 * points x channels x columns); at the end the sums become weights.
 *
 * Every number is computed in one order that only the shape enters, so bits do not depend on
 * threads. Scratch depends on channels: neither batch nor image enters.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "epilogue_tpl.h"

#ifndef PYAD_WINOGRAD
#define PYAD_WINOGRAD
#define WINOGRAD_SIDE 6
#define WINOGRAD_STEP 4 /* pixels from tile to tile */
#define WINOGRAD_POINTS 36
#define WINOGRAD_BIAS 36 /* the point behind the last of a mapped gradient: its plain sum */
#define WINOGRAD_WIDTH 32     /* columns of a panel of mapped weights */
#define WINOGRAD_TILES 28      /* of a thread, at a time */
#define WINOGRAD_FEW_TILES 128 /* up to which mapped weights stay with the thread */
#define WINOGRAD_DEPTH 64      /* channels of them at a time */
#define WINOGRAD_SPAN 64      /* columns whose sums are mapped to pixels at a time */
#define WINOGRAD_SUM_TILES 128 /* of the team, at a time; half, where sums are few */
#define WINOGRAD_FEW_SUMS (128 * 128)
#define WINOGRAD_LINE 64 /* bytes of a cache line */
#define WINOGRAD_GROUP (WINOGRAD_POINTS * 256 * 256) /* mapped weights of a group, about */

typedef struct {
    int64_t images, down, across;                    /* tiles of an image */
    int64_t height, width, out_height, out_width;    /* pixels */
    int64_t channels, columns, group;                /* group: columns of a group */
    int64_t sum_tiles; /* that the gradient of the weight takes at a time */
    int64_t pad_h, pad_w;
} winograd_shape;

static inline winograd_shape winograd_shape_of(const pyad_array *x, const pyad_array *out,
                                               const int64_t *padding) {
    winograd_shape s = {.images = x->shape[0],
                        .height = x->shape[2],
                        .width = x->shape[3],
                        .out_height = out->shape[2],
                        .out_width = out->shape[3],
                        .channels = x->shape[1],
                        .columns = out->shape[1],
                        .pad_h = padding[0],
                        .pad_w = padding[1]};
    s.down = pyad_ceil_div(s.out_height, WINOGRAD_STEP);
    s.across = pyad_ceil_div(s.out_width, WINOGRAD_STEP);
    int64_t panels = WINOGRAD_GROUP / WINOGRAD_POINTS / WINOGRAD_WIDTH / pyad_max(1, s.channels);
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
    at.x = tile % s->across * WINOGRAD_STEP;
    tile /= s->across;
    at.y = tile % s->down * WINOGRAD_STEP;
    at.n = tile / s->down;
    return at;
}

#endif

/* elements from point to point of a thread's mapped weights: no two on one set of the cache */
#define WINOGRAD_POINT (WINOGRAD_DEPTH * WINOGRAD_WIDTH + 64 / (int64_t)sizeof(REAL))
#define WINOGRAD_HEIGHT (VL < 8 ? VL : GEMM_MR < 8 ? 4 : 8) /* of a tile of the weight's sums */

/* ---- the maps, one axis at a time ---- */

/* The polynomials behind the maps are known at 0, +-NEAR, +-FAR and infinity. With the square roots
 * of 1/2 and 2 errors are a fifth of those with the usual 1 and 2. */
#define WINOGRAD_NEAR ((REAL)0.70710678118654752440)
#define WINOGRAD_FAR ((REAL)1.41421356237309504880)

/* B': six pixels to six points. */
GEMM_INLINE void K(winograd_window_line)(const vec *d, const int from, vec *v, const int to) {
    vec d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from];
    vec two = v_set1(2), half = v_set1((REAL)0.5), sum = v_set1((REAL)2.5);
    vec near_even = v_fma(-two, d2, d4), near_odd = v_set1(WINOGRAD_NEAR) * v_fma(-two, d1, d3);
    vec far_even = v_fma(-half, d2, d4), far_odd = v_set1(WINOGRAD_FAR) * v_fma(-half, d1, d3);
    v[0] = v_fma(-sum, d2, d[0] + d4);
    v[to] = near_even + near_odd;
    v[2 * to] = near_even - near_odd;
    v[3 * to] = far_even + far_odd;
    v[4 * to] = far_even - far_odd;
    v[5 * to] = v_fma(-sum, d3, d1 + d[5 * from]);
}

/* G: three weights to six points. */
GEMM_INLINE void K(winograd_weight_line)(const vec *g, const int from, vec *u, const int to) {
    vec g0 = g[0], g1 = g[from], g2 = g[2 * from];
    vec third = v_set1((REAL)(1.0 / 3)) * g2;
    vec near_even = v_fma(v_set1((REAL)(-2.0 / 3)), g0, -third);
    vec near_odd = v_set1(WINOGRAD_NEAR * (REAL)(-2.0 / 3)) * g1;
    vec far_even = v_fma(v_set1((REAL)(1.0 / 6)), g0, third);
    vec far_odd = v_set1(WINOGRAD_FAR / 6) * g1;
    u[0] = g0;
    u[to] = near_even + near_odd;
    u[2 * to] = near_even - near_odd;
    u[3 * to] = far_even + far_odd;
    u[4 * to] = far_even - far_odd;
    u[5 * to] = g2;
}

/* A': six points to four pixels. */
GEMM_INLINE void K(winograd_pixel_line)(const vec *m, const int from, vec *y, const int to) {
    vec m1 = m[from], m2 = m[2 * from], m3 = m[3 * from], m4 = m[4 * from];
    vec near_even = m1 + m2, near_odd = v_set1(WINOGRAD_NEAR) * (m1 - m2);
    vec far_even = m3 + m4, far_odd = v_set1(WINOGRAD_FAR) * (m3 - m4);
    vec two = v_set1(2), half = v_set1((REAL)0.5);
    y[0] = m[0] + near_even + far_even;
    y[to] = near_odd + far_odd;
    y[2 * to] = v_fma(two, far_even, half * near_even);
    y[3 * to] = v_fma(two, far_odd, v_fma(half, near_odd, m[5 * from]));
}

/* A: the gradients of four pixels to six points. */
GEMM_INLINE void K(winograd_gradient_line)(const vec *y, const int from, vec *w, const int to) {
    vec y0 = y[0], y1 = y[from], y2 = y[2 * from], y3 = y[3 * from];
    vec two = v_set1(2), half = v_set1((REAL)0.5);
    vec near_even = v_fma(half, y2, y0), near_odd = v_set1(WINOGRAD_NEAR) * v_fma(half, y3, y1);
    vec far_even = v_fma(two, y2, y0), far_odd = v_set1(WINOGRAD_FAR) * v_fma(two, y3, y1);
    w[0] = y0;
    w[to] = near_even + near_odd;
    w[2 * to] = near_even - near_odd;
    w[3 * to] = far_even + far_odd;
    w[4 * to] = far_even - far_odd;
    w[5 * to] = y3;
}

/* G': six points to the gradients of three weights. */
GEMM_INLINE void K(winograd_kernel_line)(const vec *s, const int from, vec *g, const int to) {
    vec s1 = s[from], s2 = s[2 * from], s3 = s[3 * from], s4 = s[4 * from];
    vec near_even = s1 + s2, far_even = s3 + s4;
    g[0] = v_fma(v_set1((REAL)(-2.0 / 3)), near_even,
                 v_fma(v_set1((REAL)(1.0 / 6)), far_even, s[0]));
    g[to] = v_fma(v_set1(WINOGRAD_NEAR * (REAL)(-2.0 / 3)), s1 - s2,
                  v_set1(WINOGRAD_FAR / 6) * (s3 - s4));
    g[2 * to] = v_fma(v_set1((REAL)(1.0 / 3)), far_even - near_even, s[5 * from]);
}

/* ---- blocks of tiles ---- */

/* Mapped pixels of some tiles: a vector of channels for each (point, panel of VL channels, tile).
 * Points lie an odd number of vectors apart, so that they do not share a set of the cache. */
typedef struct {
    REAL *data;
    int64_t panels, tiles;
} K(winograd_block);

static inline int64_t K(winograd_point_step)(const K(winograd_block) *b) {
    return (b->panels * b->tiles / 2 * 2 + 3) * VL;
}

static inline REAL *K(winograd_at)(const K(winograd_block) *b, int64_t point, int64_t panel,
                                   int64_t tile) {
    return b->data + point * K(winograd_point_step)(b) + (panel * b->tiles + tile) * VL;
}

static inline int64_t K(winograd_block_size)(int64_t channels, int64_t tiles) {
    K(winograd_block) b = {NULL, pyad_ceil_div(channels, VL), tiles};
    return (WINOGRAD_BIAS + 1) * K(winograd_point_step)(&b);
}

/* Pixels of an array. */
typedef struct {
    const REAL *data;
    int64_t height, width, channels;
} K(winograd_pixels);

/* ---- memory asked for while products run, so that the maps find it in the cache ---- */

/* `step` elements at a time. */
typedef struct {
    const REAL *next, *end;
    int64_t step;
} K(winograd_ahead);

GEMM_INLINE void K(winograd_fetch)(K(winograd_ahead) *a) {
    const REAL *end = a->next + pyad_min(a->step, a->end - a->next);
    for (; a->next < end; a->next += WINOGRAD_LINE / sizeof(REAL)) {
        __builtin_prefetch(a->next, 0, 2);
    }
}

/* Elements up to the last that a row of tiles reads, `below` lines from a tile's first on. */
static int64_t K(winograd_reach)(const winograd_shape *s, const K(winograd_pixels) *p,
                                 int64_t below, int64_t tile) {
    winograd_place at = winograd_place_of(s, tile);
    return (at.n * p->height + pyad_min(p->height, at.y + below)) * p->width * p->channels;
}

/* The pixels that tiles begin .. end-1 read and those before do not, to be asked for in `turns`. */
static K(winograd_ahead) K(winograd_look_ahead)(const winograd_shape *s,
                                                const K(winograd_pixels) *p, int64_t below,
                                                int64_t begin, int64_t end, int64_t turns) {
    K(winograd_ahead) a = {p->data, p->data, 0};
    end = pyad_min(end, winograd_tiles(s));
    if (begin >= end) return a;
    a.next += K(winograd_reach)(s, p, below, begin - 1);
    a.end += K(winograd_reach)(s, p, below, end - 1);
    a.step = (a.end - a.next) / turns + WINOGRAD_LINE / (int64_t)sizeof(REAL);
    return a;
}

/* A window, or a tile of gradients: its first pixel, steps between lines and between pixels. */
typedef struct {
    const REAL *first;
    int64_t line, pixel;
} K(winograd_source);

/* The side x side pixels from (y, x) on, `lanes` channels from `image` on: where they lie, or, if
 * some lie outside or have fewer channels than a vector, copied among zeros into `room`. */
GEMM_INLINE K(winograd_source) K(winograd_see)(const K(winograd_pixels) *p, const REAL *image,
                                               int64_t y, int64_t x, const int64_t side,
                                               int64_t lanes, REAL *room) {
    int64_t line = p->width * p->channels;
    const REAL *first = image + y * line + x * p->channels;
    int64_t top = pyad_max(0, -y), bottom = pyad_min(side, p->height - y);
    int64_t left = pyad_max(0, -x), right = pyad_min(side, p->width - x);
    if (lanes == VL && top == 0 && left == 0 && bottom == side && right == side) {
        return (K(winograd_source)){first, line, p->channels};
    }
    for (int64_t i = 0; i < side; i++) {
        REAL *to = room + i * side * VL;
        int64_t begin = i < top || i >= bottom ? side : left;
        int64_t end = pyad_max(begin, right);
        for (int64_t j = 0; j < begin; j++) v_store(to + j * VL, (vec){0});
        for (int64_t j = begin; j < end; j++) {
            v_store(to + j * VL, K(gemm_load_row)(first + i * line + j * p->channels, 1, lanes));
        }
        for (int64_t j = end; j < side; j++) v_store(to + j * VL, (vec){0});
    }
    return (K(winograd_source)){room, side * VL, VL};
}

/* Ask for what the window or tile of the next one adds to that of this one, `right` pixels from its
 * left: one cache line each. It may lie outside the image. */
GEMM_INLINE void K(winograd_ask)(const K(winograd_pixels) *p, const REAL *next, const int side,
                                 const int right) {
    if ((uintptr_t)next % WINOGRAD_LINE >= VECTOR_BYTES) return;
    GEMM_UNROLL for (int i = 0; i < side; i++) {
        GEMM_UNROLL for (int j = right; j < side; j++) {
            __builtin_prefetch(next + (i * p->width + j) * p->channels);
        }
    }
}

/* The first pixel of a tile or, `pad_h` and `pad_w` before it, of its window, in channel 0. */
static inline const REAL *K(winograd_first)(const K(winograd_pixels) *p, winograd_place at,
                                            int64_t pad_h, int64_t pad_w) {
    int64_t line = at.n * p->height + at.y - pad_h;
    return p->data + (line * p->width + at.x - pad_w) * p->channels;
}

/* Row 0 or 5 of the 6 x 6 points of a window, or rows `row` and row + 1, which share sums: few
 * enough vectors to stay in registers. */
GEMM_INLINE void K(winograd_window_rows)(const K(winograd_source) *d, const int row, REAL *out,
                                         int64_t step) {
    vec first[WINOGRAD_SIDE], second[WINOGRAD_SIDE], line[WINOGRAD_SIDE];
    int64_t below = d->line;
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) {
        const REAL *at = d->first + j * d->pixel;
        if (row == 0 || row == 5) {
            if (row == 5) at += below;
            first[j] = v_fma(-v_set1((REAL)2.5), v_load(at + 2 * below),
                             v_load(at) + v_load(at + 4 * below));
        } else {
            vec scale = v_set1(row == 1 ? (REAL)-2 : (REAL)-0.5);
            vec even = v_fma(scale, v_load(at + 2 * below), v_load(at + 4 * below));
            vec odd = v_fma(scale, v_load(at + below), v_load(at + 3 * below));
            odd *= v_set1(row == 1 ? WINOGRAD_NEAR : WINOGRAD_FAR);
            first[j] = even + odd;
            second[j] = even - odd;
        }
    }
    out += row * WINOGRAD_SIDE * step;
    K(winograd_window_line)(first, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
    if (row == 0 || row == 5) return;
    out += WINOGRAD_SIDE * step;
    K(winograd_window_line)(second, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
}

/* Map the windows of tiles first .. first+count-1 into tiles `to` .. of a block. */
static void K(winograd_map_windows)(const winograd_shape *s, const K(winograd_pixels) *x,
                                    int64_t first, int64_t count, const K(winograd_block) *v,
                                    int64_t to) {
    _Alignas(64) REAL room[WINOGRAD_POINTS * VECTOR_BYTES / sizeof(REAL)];
    int64_t step = K(winograd_point_step)(v);
    for (int64_t t = 0; t < count; t++) {
        winograd_place at = winograd_place_of(s, first + t);
        const REAL *image = x->data + at.n * x->height * x->width * x->channels;
        const REAL *next =
            K(winograd_first)(x, winograd_place_of(s, first + t + 1), s->pad_h, s->pad_w);
        for (int64_t p = 0; p < v->panels; p++) {
            int64_t lanes = pyad_min(VL, x->channels - p * VL);
            K(winograd_ask)(x, next + p * VL, WINOGRAD_SIDE, WINOGRAD_SIDE - WINOGRAD_STEP);
            K(winograd_source) d = K(winograd_see)(x, image + p * VL, at.y - s->pad_h,
                                                   at.x - s->pad_w, WINOGRAD_SIDE, lanes, room);
            REAL *out = K(winograd_at)(v, 0, p, to + t);
            K(winograd_window_rows)(&d, 0, out, step);
            K(winograd_window_rows)(&d, 1, out, step);
            K(winograd_window_rows)(&d, 3, out, step);
            K(winograd_window_rows)(&d, 5, out, step);
        }
    }
}

/* Rows of the 6 x 6 points of a tile of gradients, as winograd_window_rows. */
GEMM_INLINE void K(winograd_gradient_rows)(const K(winograd_source) *d, const int row, REAL *out,
                                           int64_t step) {
    vec first[WINOGRAD_STEP], second[WINOGRAD_STEP], line[WINOGRAD_SIDE];
    int64_t below = d->line;
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_STEP; j++) {
        const REAL *at = d->first + j * d->pixel;
        if (row == 0 || row == 5) {
            first[j] = v_load(row == 0 ? at : at + 3 * below);
        } else {
            vec scale = v_set1(row == 1 ? (REAL)0.5 : (REAL)2);
            vec even = v_fma(scale, v_load(at + 2 * below), v_load(at));
            vec odd = v_fma(scale, v_load(at + 3 * below), v_load(at + below));
            odd *= v_set1(row == 1 ? WINOGRAD_NEAR : WINOGRAD_FAR);
            first[j] = even + odd;
            second[j] = even - odd;
        }
    }
    out += row * WINOGRAD_SIDE * step;
    K(winograd_gradient_line)(first, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
    if (row == 0 || row == 5) return;
    out += WINOGRAD_SIDE * step;
    K(winograd_gradient_line)(second, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
}

/* The sum of a tile of gradients. */
GEMM_INLINE vec K(winograd_gradient_sum)(const K(winograd_source) *d) {
    vec sum = {0};
    GEMM_UNROLL for (int i = 0; i < WINOGRAD_STEP; i++) {
        GEMM_UNROLL for (int j = 0; j < WINOGRAD_STEP; j++) {
            sum += v_load(d->first + i * d->line + j * d->pixel);
        }
    }
    return sum;
}

/* Map the gradients of tiles first .. first+count-1, `columns` channels from `column` on. */
static void K(winograd_map_gradients)(const winograd_shape *s, const K(winograd_pixels) *dy,
                                      int64_t column, int64_t columns, int64_t first,
                                      int64_t count, const K(winograd_block) *w, int64_t to) {
    _Alignas(64) REAL room[16 * VECTOR_BYTES / sizeof(REAL)];
    int64_t step = K(winograd_point_step)(w);
    for (int64_t t = 0; t < count; t++) {
        winograd_place at = winograd_place_of(s, first + t);
        const REAL *image = dy->data + at.n * dy->height * dy->width * dy->channels + column;
        const REAL *next =
            K(winograd_first)(dy, winograd_place_of(s, first + t + 1), 0, 0) + column;
        for (int64_t p = 0; p * VL < columns; p++) {
            K(winograd_ask)(dy, next + p * VL, WINOGRAD_STEP, 0);
            K(winograd_source) d = K(winograd_see)(dy, image + p * VL, at.y, at.x, WINOGRAD_STEP,
                                                   pyad_min(VL, columns - p * VL), room);
            REAL *out = K(winograd_at)(w, 0, p, to + t);
            K(winograd_gradient_rows)(&d, 0, out, step);
            K(winograd_gradient_rows)(&d, 1, out, step);
            K(winograd_gradient_rows)(&d, 3, out, step);
            K(winograd_gradient_rows)(&d, 5, out, step);
            v_store(out + WINOGRAD_BIAS * step, K(winograd_gradient_sum)(&d));
        }
    }
}

/* ---- weights ---- */

/* Weights (o, i, 3, 3) read as channels x columns: forward i x o, transposed o x i, turned. */
typedef struct {
    const REAL *data;
    int64_t channel, column; /* steps in elements */
    int64_t channels, columns;
    int transposed;
} K(winograd_weights);

static K(winograd_weights) K(winograd_weights_of)(const pyad_array *weight, int transposed) {
    int64_t outs = weight->shape[0], ins = weight->shape[1];
    if (transposed) return (K(winograd_weights)){weight->data, 9 * ins, 9, outs, ins, 1};
    return (K(winograd_weights)){weight->data, 9, 9 * ins, ins, outs, 0};
}

/* The taps of channels channel .. channel+count-1 (at most VL) for VL columns from `column` on:
 * taps[9 * c + tap], zeros past the last column; up to VL - 1 vectors behind are overwritten. */
static void K(winograd_turn_weights)(const K(winograd_weights) *w, int64_t channel, int64_t count,
                                     int64_t column, vec *taps) {
    int64_t lanes = pyad_max(0, pyad_min(VL, w->columns - column));
    /* forward, the taps of all channels lie side by side; transposed, those of one */
    int64_t run = w->transposed ? 1 : count;
    for (int64_t c = 0; c < count; c += run) {
        const REAL *from = w->data + (channel + c) * w->channel + column * w->column;
        for (int64_t e = 0; e < 9 * run; e += VL) {
            int64_t n = pyad_min(VL, 9 * run - e);
            K(gemm_load_turned)(from + e, w->column, lanes, n, taps + 9 * c + e);
        }
    }
}

/* Row 0 or 5 of the 6 x 6 points of a kernel, or rows `row`, row + 1: as winograd_window_rows. */
GEMM_INLINE void K(winograd_weight_rows)(const vec *g, const int row, REAL *out, int64_t step) {
    vec first[3], second[3], line[WINOGRAD_SIDE];
    GEMM_UNROLL for (int j = 0; j < 3; j++) {
        if (row == 0 || row == 5) {
            first[j] = row == 0 ? g[j] : g[6 + j];
        } else {
            vec third = v_set1((REAL)(1.0 / 3)) * g[6 + j];
            vec even = row == 1 ? v_fma(v_set1((REAL)(-2.0 / 3)), g[j], -third)
                                : v_fma(v_set1((REAL)(1.0 / 6)), g[j], third);
            REAL scale = row == 1 ? WINOGRAD_NEAR * (REAL)(-2.0 / 3) : WINOGRAD_FAR / 6;
            vec odd = v_set1(scale) * g[3 + j];
            first[j] = even + odd;
            second[j] = even - odd;
        }
    }
    out += row * WINOGRAD_SIDE * step;
    K(winograd_weight_line)(first, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
    if (row == 0 || row == 5) return;
    out += WINOGRAD_SIDE * step;
    K(winograd_weight_line)(second, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
}

/* Channels channel .. channel+count-1 of panel number `panel`: [channel][WINOGRAD_WIDTH columns]
 * for each point, `step` elements apart. */
static void K(winograd_map_weights)(const K(winograd_weights) *w, int64_t panel, int64_t channel,
                                    int64_t count, REAL *mapped, int64_t step) {
    vec taps[10 * VECTOR_BYTES / sizeof(REAL)], g[9];
    for (int64_t l = 0; l < WINOGRAD_WIDTH; l += VL) {
        for (int64_t c = 0; c < count; c += VL) {
            int64_t some = pyad_min(VL, count - c);
            K(winograd_turn_weights)(w, channel + c, some, panel * WINOGRAD_WIDTH + l, taps);
            for (int64_t i = 0; i < some; i++) {
                GEMM_UNROLL for (int j = 0; j < 9; j++) {
                    g[j] = taps[9 * i + (w->transposed ? 8 - j : j)];
                }
                REAL *out = mapped + (c + i) * WINOGRAD_WIDTH + l;
                K(winograd_weight_rows)(g, 0, out, step);
                K(winograd_weight_rows)(g, 1, out, step);
                K(winograd_weight_rows)(g, 3, out, step);
                K(winograd_weight_rows)(g, 5, out, step);
            }
        }
    }
}

static inline int64_t K(winograd_panel_size)(int64_t channels) {
    return WINOGRAD_POINTS * channels * WINOGRAD_WIDTH;
}

/* This thread's panels of columns column .. column+columns-1; column is a panel's first. */
static void K(winograd_prepare)(const K(winograd_weights) *w, int64_t column, int64_t columns,
                                REAL *mapped, const team *t) {
    int64_t begin, end;
    team_range(t, pyad_ceil_div(columns, WINOGRAD_WIDTH), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        K(winograd_map_weights)(w, column / WINOGRAD_WIDTH + i, 0, w->channels,
                                mapped + i * K(winograd_panel_size)(w->channels),
                                w->channels * WINOGRAD_WIDTH);
    }
}

static int K(winograd_weight)(const void *args, const team *t) {
    const winograd_weight_args *a = args;
    K(winograd_weights) w = K(winograd_weights_of)(&a->weight, (int)a->transposed);
    K(winograd_prepare)(&w, 0, w.columns, a->out.data, t);
    return 0;
}

PYAD_RECORD(winograd_weight, winograd_weight_args, 4 * pyad_numel(&a->out), 0, 0)

/* ---- winograd_fwd ---- */

/* One of the products, a tile of it: rows x nv vectors of sums over channels; with `add`, they
 * continue those in m. */
typedef struct {
    const REAL *v, *u;
    REAL *m;
    int64_t channels, v_panel, m_panel;
    int add;
} K(winograd_product);

GEMM_INLINE void K(winograd_tile_of)(const K(winograd_product) *p, const int64_t rows,
                                     const int64_t nv) {
    vec sum[GEMM_MR][GEMM_NV];
    const REAL *u = p->u, *v = p->v;
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
            sum[i][j] = p->add ? v_load(p->m + j * p->m_panel + i * VL) : (vec){0};
        }
    }
    for (int64_t c = 0; c < p->channels; c += VL, v += p->v_panel) {
        const REAL *left = v;
        for (int64_t d = pyad_min(VL, p->channels - c); d > 0; d--, left++, u += WINOGRAD_WIDTH) {
            vec right[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(u + j * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec each = v_set1(left[i * VL]);
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    sum[i][j] = v_fma(each, right[j], sum[i][j]);
                }
            }
        }
    }
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        REAL *m = p->m + j * p->m_panel;
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) v_store(m + i * VL, sum[i][j]);
    }
}

#define WINOGRAD_TILE(rows)                                                                      \
    static __attribute__((noinline)) void PYAD_JOIN(K(winograd_tile_x1), rows)(                  \
        const K(winograd_product) *p) {                                                          \
        K(winograd_tile_of)(p, rows, 1);                                                         \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(winograd_tile_xv), rows)(                  \
        const K(winograd_product) *p) {                                                          \
        K(winograd_tile_of)(p, rows, GEMM_NV);                                                   \
    }
#define WINOGRAD_PAIR(rows) \
    {PYAD_JOIN(K(winograd_tile_x1), rows), PYAD_JOIN(K(winograd_tile_xv), rows)}

WINOGRAD_TILE(2)
WINOGRAD_TILE(4)
#if GEMM_MR > 4
WINOGRAD_TILE(6)
#endif
#if GEMM_MR > 6
WINOGRAD_TILE(8)
WINOGRAD_TILE(10)
WINOGRAD_TILE(12)
WINOGRAD_TILE(14)
#endif

typedef void (*K(winograd_tile_fn))(const K(winograd_product) *p);

/* [rows / 2 - 1][more than one vector] */
static const K(winograd_tile_fn) K(winograd_tile_table)[GEMM_MR / 2][2] = {
    WINOGRAD_PAIR(2),  WINOGRAD_PAIR(4),
#if GEMM_MR > 4
    WINOGRAD_PAIR(6),
#endif
#if GEMM_MR > 6
    WINOGRAD_PAIR(8),  WINOGRAD_PAIR(10), WINOGRAD_PAIR(12), WINOGRAD_PAIR(14),
#endif
};

#undef WINOGRAD_TILE
#undef WINOGRAD_PAIR

/* What one thread does: tiles and columns that are its own, where all lies. */
typedef struct {
    const winograd_shape *shape;
    const REAL *x;
    REAL *out;
    K(epilogue) end;
    const REAL *mapped;      /* weights, from column `column` on */
    int64_t column, columns; /* of the group */
    K(winograd_block) v, m;
} K(winograd_job);

/* Ask for a line of a tile's pixels in the output. */
GEMM_INLINE void K(winograd_expect)(const K(winograd_job) *job, winograd_place at, int64_t line,
                                    int64_t column, int64_t columns) {
    const winograd_shape *s = job->shape;
    int64_t pixel = (at.n * s->out_height + at.y + line) * s->out_width + at.x;
    const REAL *out = job->out + pixel * s->columns + column;
    for (int64_t j = 0; j < WINOGRAD_STEP; j++, out += s->columns) {
        for (int64_t l = 0; l < columns; l += WINOGRAD_LINE / (int64_t)sizeof(REAL)) {
            __builtin_prefetch(out + l, 1, 2);
        }
    }
}

/* The 36 products of the tiles in v with columns column .. column+columns-1 of the group. */
static void K(winograd_products)(const K(winograd_job) *job, int64_t first, int64_t tiles,
                                 int64_t column, int64_t columns, K(winograd_ahead) *ahead) {
    int64_t height = K(gemm_height)(tiles);
    K(winograd_product) p = {.channels = job->shape->channels,
                             .v_panel = job->v.tiles * VL,
                             .m_panel = job->m.tiles * VL};
    for (int64_t point = 0; point < WINOGRAD_POINTS; point++) {
        winograd_place at = winograd_place_of(job->shape, first + point);
        for (int64_t j = 0, turn = 0; j < columns; j += GEMM_NR) {
            int64_t panel = (column + j) / WINOGRAD_WIDTH;
            p.u = job->mapped + panel * K(winograd_panel_size)(p.channels) +
                  point * p.channels * WINOGRAD_WIDTH + (column + j) % WINOGRAD_WIDTH;
            for (int64_t i = 0; i < tiles; i += height, turn++) {
                K(winograd_fetch)(ahead);
                if (point < tiles && turn < WINOGRAD_STEP) {
                    K(winograd_expect)(job, at, turn, job->column + column, columns);
                }
                p.v = K(winograd_at)(&job->v, point, 0, i);
                p.m = K(winograd_at)(&job->m, point, j / VL, i);
                int64_t rows = pyad_min(height, tiles - i);
                K(winograd_tile_table)[(rows - 1) / 2][columns - j > VL](&p);
            }
        }
    }
}

/* Write `lanes` channels of a tile's pixels that lie within the output, with the epilogue. */
static void K(winograd_write)(const K(winograd_job) *job, winograd_place at, int64_t column,
                              int64_t lanes, const vec *y) {
    const winograd_shape *s = job->shape;
    int64_t rows = pyad_min(WINOGRAD_STEP, s->out_height - at.y);
    int64_t cols = pyad_min(WINOGRAD_STEP, s->out_width - at.x);
    for (int64_t i = 0; i < rows; i++) {
        int64_t pixel = (at.n * s->out_height + at.y + i) * s->out_width + at.x;
        REAL *out = job->out + pixel * s->columns + column;
        for (int64_t j = 0; j < cols; j++, out += s->columns) {
            vec v = K(epilogue_apply)(&job->end, y[WINOGRAD_STEP * i + j], column, out, lanes);
            K(gemm_store_row)(out, 1, v, lanes);
        }
    }
}

/* Map the sums of tiles first .. first+tiles-1 to pixels. */
static void K(winograd_map_sums)(const K(winograd_job) *job, int64_t first, int64_t tiles,
                                 int64_t column, int64_t columns) {
    int64_t step = K(winograd_point_step)(&job->m);
    for (int64_t t = 0; t < tiles; t++) {
        winograd_place at = winograd_place_of(job->shape, first + t);
        for (int64_t j = 0; j < columns; j += VL) {
            vec half[24], y[16], m[WINOGRAD_SIDE];
            const REAL *from = K(winograd_at)(&job->m, 0, j / VL, t);
            for (int i = 0; i < WINOGRAD_SIDE; i++) {
                GEMM_UNROLL for (int k = 0; k < WINOGRAD_SIDE; k++) m[k] = v_load(from + k * step);
                from += WINOGRAD_SIDE * step;
                K(winograd_pixel_line)(m, 1, half + i * WINOGRAD_STEP, 1);
            }
            GEMM_UNROLL for (int k = 0; k < WINOGRAD_STEP; k++) {
                K(winograd_pixel_line)(half + k, WINOGRAD_STEP, y + k, WINOGRAD_STEP);
            }
            K(winograd_write)(job, at, column + j, pyad_min(VL, columns - j), y);
        }
    }
}

/* Tiles begin .. end-1 with the job's columns from `from` to `to`, counted in the group. */
static void K(winograd_run)(const K(winograd_job) *job, int64_t begin, int64_t end, int64_t from,
                            int64_t to) {
    const winograd_shape *s = job->shape;
    K(winograd_pixels) x = {job->x, s->height, s->width, s->channels};
    for (int64_t i = begin; i < end; i += WINOGRAD_TILES) {
        int64_t tiles = pyad_min(WINOGRAD_TILES, end - i);
        K(winograd_map_windows)(s, &x, i, tiles, &job->v, 0);
        int64_t next = i + tiles;
        int64_t turns = WINOGRAD_POINTS * pyad_ceil_div(to - from, GEMM_NR) *
                        pyad_ceil_div(tiles, GEMM_MR);
        K(winograd_ahead) ahead =
            K(winograd_look_ahead)(s, &x, WINOGRAD_SIDE - s->pad_h, next,
                                   pyad_min(end, next + WINOGRAD_TILES), turns);
        for (int64_t j = from; j < to; j += WINOGRAD_SPAN) {
            int64_t columns = pyad_min(WINOGRAD_SPAN, to - j);
            K(winograd_products)(job, i, tiles, j, columns, &ahead);
            K(winograd_map_sums)(job, i, tiles, job->column + j, columns);
        }
    }
}

/* This thread's part of a group: some of the tiles, or of the panels where tiles are few. */
static void K(winograd_share)(const K(winograd_job) *job, const team *t) {
    int64_t tiles = winograd_tiles(job->shape);
    int64_t begin, end;
    if (tiles < 2 * GEMM_MR * t->nth && job->columns >= WINOGRAD_WIDTH * t->nth) {
        team_range(t, job->columns, WINOGRAD_WIDTH, &begin, &end);
        K(winograd_run)(job, 0, tiles, begin, end);
    } else {
        team_range(t, tiles, 2, &begin, &end);
        K(winograd_run)(job, begin, end, 0, job->columns);
    }
}

/* ---- winograd_fwd where tiles are few ---- */

/* Whether mapped weights meet so few tiles that they had better not leave the thread's cache: by
 * shape alone. */
static int K(winograd_is_few)(const winograd_shape *s) {
    return winograd_tiles(s) <= WINOGRAD_FEW_TILES && s->channels >= WINOGRAD_DEPTH;
}

/* What a thread holds: sums of a panel for all tiles, a part of the panel's mapped weights. */
static int64_t K(winograd_few_scratch)(const winograd_shape *s) {
    return K(winograd_block_size)(WINOGRAD_WIDTH, winograd_tiles(s) + GEMM_MR) +
           WINOGRAD_POINTS * WINOGRAD_POINT;
}

static int64_t K(winograd_few_shared)(const winograd_shape *s) {
    return K(winograd_block_size)(s->channels, winograd_tiles(s) + GEMM_MR);
}

/* Add to the sums of a panel the products with channels channel .. channel+count-1. */
static void K(winograd_add_panel)(const K(winograd_job) *job, int64_t tiles, int64_t channel,
                                  int64_t count, int64_t columns, const REAL *mapped) {
    int64_t height = K(gemm_height)(tiles);
    K(winograd_product) p = {.u = mapped, .channels = count, .v_panel = job->v.tiles * VL,
                             .m_panel = job->m.tiles * VL, .add = channel > 0};
    for (int64_t point = 0; point < WINOGRAD_POINTS; point++) {
        for (int64_t j = 0; j < columns; j += GEMM_NR) {
            p.u = mapped + point * WINOGRAD_POINT + j;
            for (int64_t i = 0; i < tiles; i += height) {
                p.v = K(winograd_at)(&job->v, point, channel / VL, i);
                p.m = K(winograd_at)(&job->m, point, j / VL, i);
                int64_t rows = pyad_min(height, tiles - i);
                K(winograd_tile_table)[(rows - 1) / 2][columns - j > VL](&p);
            }
        }
    }
}

/* All windows are mapped first; then each thread takes its own panels of columns, and maps and
 * uses the weights of WINOGRAD_DEPTH channels at a time. */
static void K(winograd_run_few)(K(winograd_job) *job, const K(winograd_weights) *w,
                                const team *t) {
    const winograd_shape *s = job->shape;
    K(winograd_pixels) x = {job->x, s->height, s->width, s->channels};
    int64_t tiles = winograd_tiles(s), begin, end;
    job->v = (K(winograd_block)){t->shared, pyad_ceil_div(s->channels, VL), tiles + GEMM_MR};
    job->m = (K(winograd_block)){t->scratch, WINOGRAD_WIDTH / VL, tiles + GEMM_MR};
    REAL *mapped =
        (REAL *)t->scratch + K(winograd_block_size)(WINOGRAD_WIDTH, tiles + GEMM_MR);
    team_range(t, tiles, 1, &begin, &end);
    K(winograd_map_windows)(s, &x, begin, end - begin, &job->v, begin);
    team_barrier(t);
    team_range(t, pyad_ceil_div(s->columns, WINOGRAD_WIDTH), 1, &begin, &end);
    for (int64_t panel = begin; panel < end; panel++) {
        int64_t column = panel * WINOGRAD_WIDTH;
        int64_t columns = pyad_min(WINOGRAD_WIDTH, s->columns - column);
        for (int64_t c = 0; c < s->channels; c += WINOGRAD_DEPTH) {
            int64_t count = pyad_min(WINOGRAD_DEPTH, s->channels - c);
            K(winograd_map_weights)(w, panel, c, count, mapped, WINOGRAD_POINT);
            K(winograd_add_panel)(job, tiles, c, count, columns, mapped);
        }
        K(winograd_map_sums)(job, 0, tiles, column, columns);
    }
}

/* ---- winograd_fwd ---- */

/* All columns, by groups. */
static void K(winograd_run_groups)(K(winograd_job) *job, const K(winograd_weights) *w,
                                   const REAL *prepared, const team *t) {
    const winograd_shape *s = job->shape;
    int64_t tiles = WINOGRAD_TILES + GEMM_MR;
    job->v = (K(winograd_block)){t->scratch, pyad_ceil_div(s->channels, VL), tiles};
    job->m = (K(winograd_block)){
        (REAL *)t->scratch + K(winograd_block_size)(s->channels, tiles), WINOGRAD_SPAN / VL, tiles};
    for (job->column = 0; job->column < s->columns; job->column += s->group) {
        job->columns = pyad_min(s->group, s->columns - job->column);
        job->mapped = prepared;
        if (prepared != NULL) {
            job->mapped += job->column / WINOGRAD_WIDTH * K(winograd_panel_size)(s->channels);
        } else {
            if (job->column > 0) team_barrier(t);
            K(winograd_prepare)(w, job->column, job->columns, t->shared, t);
            team_barrier(t);
            job->mapped = t->shared;
        }
        K(winograd_share)(job, t);
    }
}

static int K(winograd_fwd)(const void *args, const team *t) {
    const winograd_fwd_args *a = args;
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding);
    K(winograd_weights) w = K(winograd_weights_of)(&a->weight, (int)a->transposed);
    K(winograd_job) job = {.shape = &s, .x = a->x.data, .out = a->out.data};
    job.end = (K(epilogue)){a->scale.data, a->bias.data, a->residual.data, a->out.data,
                            (int)a->activation, (REAL)a->p0, (REAL)a->p1};
    if (a->prepared.data == NULL && K(winograd_is_few)(&s)) {
        K(winograd_run_few)(&job, &w, t);
    } else {
        K(winograd_run_groups)(&job, &w, a->prepared.data, t);
    }
    return 0;
}

/* Products that are left, in units of the work that PYAD_WORK_GRAIN counts. */
static int64_t K(winograd_work)(const winograd_shape *s) {
    return winograd_tiles(s) * WINOGRAD_POINTS * (s->channels * s->columns / 8 + s->channels);
}

static int64_t K(winograd_fwd_cost)(const winograd_fwd_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding);
    return K(winograd_work)(&s);
}

static int64_t K(winograd_fwd_scratch_bytes)(const winograd_fwd_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding);
    int64_t tiles = WINOGRAD_TILES + GEMM_MR;
    int64_t size = K(winograd_block_size)(s.channels, tiles) +
                   K(winograd_block_size)(WINOGRAD_SPAN, tiles);
    if (a->prepared.data == NULL && K(winograd_is_few)(&s)) size = K(winograd_few_scratch)(&s);
    return size * (int64_t)sizeof(REAL);
}

static int64_t K(winograd_fwd_shared_bytes)(const winograd_fwd_args *a) {
    if (a->prepared.data != NULL) return 0;
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding);
    int64_t size = s.group / WINOGRAD_WIDTH * K(winograd_panel_size)(s.channels);
    if (K(winograd_is_few)(&s)) size = K(winograd_few_shared)(&s);
    return size * (int64_t)sizeof(REAL);
}

PYAD_RECORD(winograd_fwd, winograd_fwd_args, K(winograd_fwd_cost)(a),
            K(winograd_fwd_scratch_bytes)(a), K(winograd_fwd_shared_bytes)(a))

/* ---- winograd_bwd_w ---- */

/* What the team shares: mapped windows and gradients of some tiles, the sums of a group. */
typedef struct {
    K(winograd_block) v, w;
    REAL *sums; /* [point][channel][columns of a group] */
    REAL *bias; /* columns of a group */
} K(winograd_pool);

static K(winograd_pool) K(winograd_pool_of)(const winograd_shape *s, REAL *memory) {
    K(winograd_pool) p;
    p.v = (K(winograd_block)){memory, pyad_ceil_div(s->channels, VL), s->sum_tiles};
    p.w = (K(winograd_block)){memory + K(winograd_block_size)(s->channels, s->sum_tiles),
                              s->group / VL, s->sum_tiles};
    p.sums = p.w.data + K(winograd_block_size)(s->group, s->sum_tiles);
    p.bias = p.sums + WINOGRAD_POINTS * pyad_ceil_div(s->channels, VL) * VL * s->group;
    return p;
}

static int64_t K(winograd_pool_size)(const winograd_shape *s) {
    K(winograd_pool) p = K(winograd_pool_of)(s, NULL);
    return p.bias - p.v.data + s->group;
}

/* One tile of sums: rows channels x nv vectors of columns, over the tiles of a block. */
GEMM_INLINE void K(winograd_sum_of)(const REAL *v, const REAL *w, int64_t w_panel, int64_t tiles,
                                    REAL *sums, int64_t step, const int64_t rows, int add) {
    vec sum[GEMM_MR][GEMM_NV];
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) sum[i][j] = (vec){0};
    }
    for (int64_t t = 0; t < tiles; t++, v += VL, w += VL) {
        vec right[GEMM_NV];
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) right[j] = v_load(w + j * w_panel);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            vec each = v_set1(v[i]);
            GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
                sum[i][j] = v_fma(each, right[j], sum[i][j]);
            }
        }
    }
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        REAL *to = sums + i * step;
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
            v_store(to + j * VL, add ? sum[i][j] + v_load(to + j * VL) : sum[i][j]);
        }
    }
}

/* Add the products of a block's tiles to the sums of one point and GEMM_NR columns. */
static void K(winograd_add_products)(const winograd_shape *s, const K(winograd_pool) *p,
                                     int64_t point, int64_t column, int64_t tiles, int add,
                                     K(winograd_ahead) *ahead) {
    int64_t rows = p->v.panels * VL;
    const REAL *w = K(winograd_at)(&p->w, point, column / VL, 0);
    for (int64_t c = 0; c < rows; c += WINOGRAD_HEIGHT) {
        const REAL *v = K(winograd_at)(&p->v, point, c / VL, 0) + c % VL;
        REAL *sums = p->sums + (point * rows + c) * s->group + column;
        K(winograd_fetch)(ahead);
        K(winograd_fetch)(ahead + 1);
        K(winograd_sum_of)(v, w, p->w.tiles * VL, tiles, sums, s->group, WINOGRAD_HEIGHT, add);
    }
}

/* Add the sums of a block's pixels, the gradient of the bias. */
static void K(winograd_add_bias)(const K(winograd_pool) *p, int64_t column, int64_t tiles,
                                 int add) {
    for (int64_t j = 0; j < GEMM_NR; j += VL) {
        const REAL *w = K(winograd_at)(&p->w, WINOGRAD_BIAS, (column + j) / VL, 0);
        vec sum = add ? v_load(p->bias + column + j) : (vec){0};
        vec part = {0};
        for (int64_t t = 0; t < tiles; t++) part += v_load(w + t * VL);
        v_store(p->bias + column + j, sum + part);
    }
}

/* Tiles of sums of one block that are this thread's, about. */
static int64_t K(winograd_turns)(const winograd_shape *s, int64_t columns, const team *t) {
    int64_t pairs = WINOGRAD_POINTS * pyad_ceil_div(columns, GEMM_NR) / t->nth;
    return pyad_max(1, pairs) * pyad_ceil_div(s->channels, WINOGRAD_HEIGHT);
}

/* This thread's (point, columns) pairs of one block. */
static void K(winograd_sum_block)(const winograd_shape *s, const K(winograd_pool) *p,
                                  int64_t columns, int64_t tiles, int add,
                                  K(winograd_ahead) *ahead, const team *t) {
    int64_t across = pyad_ceil_div(columns, GEMM_NR);
    int64_t begin, end;
    team_range(t, WINOGRAD_POINTS * across, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t point = i / across, column = i % across * GEMM_NR;
        K(winograd_add_products)(s, p, point, column, tiles, add, ahead);
        if (point == 0) K(winograd_add_bias)(p, column, tiles, add);
    }
}

/* dw of VL columns from `column` (of the group) on, for VL channels from `channel` on. */
static void K(winograd_collect_square)(const winograd_shape *s, const K(winograd_pool) *p,
                                       int64_t channel, int64_t column, int64_t lanes, REAL *dw) {
    vec taps[(9 + 1) * VECTOR_BYTES / sizeof(REAL)];
    int64_t rows = p->v.panels * VL, count = pyad_min(VL, s->channels - channel);
    for (int64_t c = 0; c < count; c++) {
        vec half[18], line[WINOGRAD_SIDE];
        const REAL *from = p->sums + (channel + c) * s->group + column;
        for (int i = 0; i < WINOGRAD_SIDE; i++) {
            GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++, from += rows * s->group) {
                line[j] = v_load(from);
            }
            K(winograd_kernel_line)(line, 1, half + 3 * i, 1);
        }
        GEMM_UNROLL for (int j = 0; j < 3; j++) {
            K(winograd_kernel_line)(half + j, 3, taps + 9 * c + j, 3);
        }
    }
    for (int64_t e = 0; e < 9 * count; e += VL) {
        int64_t n = pyad_min(VL, 9 * count - e);
        K(gemm_transpose)(taps + e);
        for (int64_t l = 0; l < lanes; l++) {
            K(gemm_store_row)(dw + l * s->channels * 9 + e, 1, taps[e + l], n);
        }
    }
}

/* This thread's rows of dw and elements of db of a group whose sums are complete. */
static void K(winograd_collect)(const winograd_shape *s, const K(winograd_pool) *p, int64_t first,
                                int64_t columns, REAL *dw, REAL *db, const team *t) {
    int64_t begin, end;
    team_range(t, columns, VL, &begin, &end);
    for (int64_t j = begin; j < end; j += VL) {
        int64_t lanes = pyad_min(VL, end - j);
        REAL *rows = dw + (first + j) * s->channels * 9;
        for (int64_t c = 0; c < s->channels; c += VL) {
            K(winograd_collect_square)(s, p, c, j, lanes, rows + 9 * c);
        }
        if (db != NULL) K(gemm_store_row)(db + first + j, 1, v_load(p->bias + j), lanes);
    }
}

/* Sums of a group over all tiles, then its weights. */
static void K(winograd_weight_group)(const winograd_shape *s, const K(winograd_pool) *p,
                                     const winograd_bwd_w_args *a, int64_t column, int64_t columns,
                                     const team *t) {
    K(winograd_pixels) x = {a->x.data, s->height, s->width, s->channels};
    K(winograd_pixels) dy = {a->dy.data, s->out_height, s->out_width, s->columns};
    int64_t all = winograd_tiles(s), begin, end;
    for (int64_t i = 0; i < all; i += s->sum_tiles) {
        int64_t tiles = pyad_min(s->sum_tiles, all - i);
        team_range(t, tiles, 1, &begin, &end);
        K(winograd_map_windows)(s, &x, i + begin, end - begin, &p->v, begin);
        K(winograd_map_gradients)(s, &dy, column, columns, i + begin, end - begin, &p->w, begin);
        team_barrier(t);
        int64_t next = i + tiles, turns = K(winograd_turns)(s, columns, t);
        team_range(t, pyad_max(0, pyad_min(s->sum_tiles, all - next)), 1, &begin, &end);
        K(winograd_ahead) ahead[2] = {
            K(winograd_look_ahead)(s, &x, WINOGRAD_SIDE - s->pad_h, next + begin, next + end,
                                   turns),
            K(winograd_look_ahead)(s, &dy, WINOGRAD_STEP, next + begin, next + end, turns)};
        K(winograd_sum_block)(s, p, columns, tiles, i > 0, ahead, t);
        team_barrier(t);
    }
    K(winograd_collect)(s, p, column, columns, a->dw.data, a->db.data, t);
}

static int K(winograd_bwd_w)(const void *args, const team *t) {
    const winograd_bwd_w_args *a = args;
    winograd_shape s = winograd_shape_of(&a->x, &a->dy, a->padding);
    K(winograd_pool) p = K(winograd_pool_of)(&s, t->shared);
    for (int64_t column = 0; column < s.columns; column += s.group) {
        /* the group before is collected, and the first finds columns it lacks at zero */
        if (column > 0) team_barrier(t);
        K(winograd_weight_group)(&s, &p, a, column, pyad_min(s.group, s.columns - column), t);
    }
    return 0;
}

static int64_t K(winograd_bwd_w_cost)(const winograd_bwd_w_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->dy, a->padding);
    return K(winograd_work)(&s);
}

static int64_t K(winograd_bwd_w_shared_bytes)(const winograd_bwd_w_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->dy, a->padding);
    return K(winograd_pool_size)(&s) * (int64_t)sizeof(REAL);
}

PYAD_RECORD(winograd_bwd_w, winograd_bwd_w_args, K(winograd_bwd_w_cost)(a), 0,
            K(winograd_bwd_w_shared_bytes)(a))

#undef WINOGRAD_HEIGHT
#undef WINOGRAD_POINT
#undef WINOGRAD_NEAR
#undef WINOGRAD_FAR
#endif
