/* Convolution of an image of few channels, the first layer of a network, whether they lie one
 * after the other (n, c, spatial... in C order) or last.
 *
 * It reads the weight of packing_tpl.h. The left matrix is never made: with one tap and channel
 * after the other, the pixels of a line lie `stride` values or pixels apart in a line of the
 * image, so that rows of a few taps and channels need not be copied for each pixel.
 *
 * Loops: lines of output pixels, shared out to the threads; pieces of a line, for which those
 * lines of the image that some tap meets are copied with the zeros around them, into L1; panels of
 * NR outputs; tiles of MR pixels (unpacked_tpl.h); taps and channels.
 */
#include "loops/planar.h"

#ifndef PYAD_PLANAR
#define PYAD_PLANAR
#define PLANAR_FEWEST 4 /* channels that lie last, at most */
#define PLANAR_FEW 16   /* the same for lines of at least so many outputs */
#define PLANAR_LONG 32
#define PLANAR_TURN 4

/* Elements of a line of the image that meet `pixels` of the output. */
static inline int64_t planar_size(const conv_shape *s, int64_t pixels) {
    const im2col_numbers *a = &s->axis[2];
    return (pixels - 1) * a->stride + (a->kernel - 1) * a->dilation + 1;
}

/* How the channels of an image lie. */
typedef struct {
    int64_t planes, side; /* channels one after the other; side by side: one of them is 1 */
    int64_t line;         /* elements from one copied line to the next */
} planar_order;

static inline planar_order planar_order_of(const conv_shape *s, int last) {
    int64_t side = last ? s->channels : 1;
    return (planar_order){last ? 1 : s->channels, side, planar_size(s, PYAD_PLANAR_PIXELS) * side};
}
#endif

typedef struct {
    int64_t offsets[PYAD_PLANAR_DEPTH]; /* where the first pixel's value for each k lies in `lines` */
    _Alignas(PYAD_LINE_BYTES) REAL lines[PYAD_PLANAR_ELEMENTS];
    _Alignas(PYAD_LINE_BYTES) REAL aside[PYAD_PLANAR_PIXELS * GEMM_NR]; /* sums of a broken panel */
} K(planar_scratch);

/* Elements first .. first+size-1 of a line of the image; zeros where there are none. */
static void K(planar_copy)(const REAL *line, int64_t source, int64_t first, int64_t size, REAL *to) {
    int64_t begin = line == NULL ? size : pyad_min(size, pyad_max(0, -first));
    int64_t end = line == NULL ? size : pyad_max(begin, pyad_min(size, source - first));
    if (begin > 0) memset(to, 0, (size_t)begin * sizeof(REAL));
    if (end > begin) memcpy(to + begin, line + first + begin, (size_t)(end - begin) * sizeof(REAL));
    if (size > end) memset(to + end, 0, (size_t)(size - end) * sizeof(REAL));
}

/* The lines of the image that meet output pixels w .. w+pixels-1 of line `at`. */
static void K(planar_lines)(const conv_shape *s, const planar_order *order, const REAL *x,
                            const im2col_pixel *at, int64_t w, int64_t pixels, REAL *lines) {
    const im2col_numbers *a = s->axis;
    int64_t side = order->side, first = (w * a[2].stride - a[2].padding) * side;
    int64_t source = a[2].image * side, size = planar_size(s, pixels) * side;
    for (int64_t c = 0; c < order->planes; c++) {
        const REAL *plane = x + (at->n * order->planes + c) * a[0].image * a[1].image * source;
        for (int64_t i = 0; i < s->kernel[0]; i++) {
            int64_t d = at->d * a[0].stride - a[0].padding + i * a[0].dilation;
            for (int64_t j = 0; j < s->kernel[1]; j++, lines += order->line) {
                int64_t h = at->h * a[1].stride - a[1].padding + j * a[1].dilation;
                int inside = d >= 0 && d < a[0].image && h >= 0 && h < a[1].image;
                const REAL *line = inside ? plane + (d * a[1].image + h) * source : NULL;
                K(planar_copy)(line, source, first, size, lines);
            }
        }
    }
}

/* offsets[k] for k = (tap, channel), as the weight is packed. */
static void K(planar_offsets)(const conv_shape *s, const planar_order *order, int64_t *offsets) {
    int64_t lines = s->kernel[0] * s->kernel[1];
    int64_t plane = order->planes > 1 ? lines * order->line : 1; /* from channel to channel */
    for (int64_t line = 0; line < lines; line++) {
        for (int64_t l = 0; l < s->kernel[2]; l++) {
            for (int64_t c = 0; c < s->channels; c++) {
                *offsets++ =
                    c * plane + line * order->line + l * s->axis[2].dilation * order->side;
            }
        }
    }
}

/* What counts of sums that lie aside, `lanes` of every `padded`, outputs column and on. */
static void K(planar_finish)(const K(epilogue) *end, const REAL *aside, int64_t padded, int64_t lanes,
                             int64_t pixels, int64_t column, int64_t width, REAL *out) {
    for (int64_t i = 0; i < pixels; i++, aside += padded, out += width) {
        for (int64_t j = 0; j < lanes; j += VL) {
            int64_t n = pyad_min(VL, lanes - j);
            vec v = K(epilogue_apply)(end, v_load(aside + j), column + j, out + column + j, n);
            v_store_live(out + column + j, v, n);
        }
    }
}

/* `pixels` output pixels, the first of which is at `out`, by the copied lines. */
static void K(planar_piece)(const conv_shape *s, const planar_order *order, const REAL *packed,
                            const K(epilogue) *end, int64_t pixels, REAL *out,
                            K(planar_scratch) *scratch) {
    int64_t width = s->out_channels, depth = s->channels * conv_taps(s);
    for (int64_t j = 0, lanes; j < width; j += lanes) {
        lanes = K(unpacked_lanes)(width - j);
        int64_t padded = K(conv_padded)(lanes);
        K(unpacked_panel) p = {.out = scratch->aside, .out_step = padded};
        if (lanes == padded) p = K(unpacked_panel_of)(end, out, width, j);
        p.a = scratch->lines;
        p.b = packed + j * depth;
        p.depth = depth;
        p.step = s->axis[2].stride * order->side;
        p.offsets = scratch->offsets;
        K(unpacked_pixels)(p, pixels, GEMM_MR, padded);
        if (lanes < padded) {
            K(planar_finish)(end, scratch->aside, padded, lanes, pixels, j, width, out);
        }
    }
}

/* out = activation(scale conv(x, weight) + bias + residual), by the threads in turns, PLANAR_TURN pieces
 * or more at a time. */
static void K(planar_apply)(const conv_shape *s, int last, const REAL *x, const REAL *packed,
                            const K(epilogue) *end, REAL *out, const team *t) {
    K(planar_scratch) *scratch = t->scratch;
    im2col_view v = conv_view_forward(s);
    planar_order order = planar_order_of(s, last);
    int64_t width = s->axis[2].out, across = pyad_ceil_div(width, PYAD_PLANAR_PIXELS);
    if (im2col_pixels(&v) == 0) return;
    K(planar_offsets)(s, &order, scratch->offsets);
    team_turns turns = team_take(t, im2col_pixels(&v) / width * across, 1, PLANAR_TURN);
    for (int64_t i; (i = team_each(&turns)) >= 0;) {
        int64_t line = i / across, w = i % across * PYAD_PLANAR_PIXELS;
        int64_t pixels = pyad_min(PYAD_PLANAR_PIXELS, width - w);
        im2col_pixel at = im2col_at(&v, line * width);
        K(planar_lines)(s, &order, x, &at, w, pixels, scratch->lines);
        REAL *to = out + (line * width + w) * s->out_channels;
        K(planar_piece)(s, &order, packed, end, pixels, to, scratch);
    }
}

/* Whether the kernel can read an image so. */
static int K(planar_fits)(const conv_shape *s) {
    int64_t lines = s->channels * s->kernel[0] * s->kernel[1];
    return s->groups == 1 && s->channels * conv_taps(s) > 0 &&
           s->channels * conv_taps(s) <= PYAD_PLANAR_DEPTH &&
           lines <= PYAD_PLANAR_ELEMENTS / planar_size(s, PYAD_PLANAR_PIXELS);
}

/* Whether it takes less time than rows of columns, copied for each pixel, of an image whose
 * channels lie last: so the more the fewer channels lie side by side, and the longer lines are, as
 * tiles end with them; with a stride much is copied for few outputs. */
static int K(planar_pays)(const conv_shape *s) {
    if (!K(planar_fits)(s)) return 0;
    if (conv_taps(s) == 1) return s->channels <= PLANAR_FEWEST && s->out_channels % VL == 0;
    if (s->channels <= PLANAR_FEWEST) return 1;
    return s->channels <= PLANAR_FEW && s->axis[2].out >= PLANAR_LONG &&
           (s->axis[2].stride == 1 || s->axis[2].dilation > 1);
}
