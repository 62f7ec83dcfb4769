/* Convolution of an image of few channels, the first layer of a network, whether they lie one
 * after the other (n, c, spatial... in C order) or last.
 *
 * It reads the weight of packing_tpl.h. The left matrix is never made: with one tap and channel
 * after the other, the pixels of a line lie `stride` values or pixels apart in a line of the
 * image, so that rows of a few taps and channels need not be copied for each pixel.
 *
 * Loops: lines of output pixels, shared out to the threads; pieces of a line, for which those
 * lines of the image that some tap meets are copied with the zeros around them, into L1; panels of
 * NR outputs; tiles of MR pixels; taps and channels.
 */
#ifndef PYAD_PLANAR
#define PYAD_PLANAR
#define PLANAR_PIXELS 112    /* output pixels of a piece, at most */
#define PLANAR_ELEMENTS 8192 /* of the lines of the image that meet a piece, at most */
#define PLANAR_DEPTH 1024    /* taps and channels, at most */
#define PLANAR_LAST 4        /* channels that lie last, at most */

/* Whether the lines of an image lie so. */
static inline int planar_is(const pyad_array *x) { return x->shape[1] > 1 && x->stride[1] != 1; }

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
    return (planar_order){last ? 1 : s->channels, side, planar_size(s, PLANAR_PIXELS) * side};
}
#endif

typedef struct {
    int64_t offsets[PLANAR_DEPTH]; /* where the first pixel's value for each k lies in `lines` */
    _Alignas(64) REAL lines[PLANAR_ELEMENTS + GEMM_MR * VECTOR_BYTES];
    _Alignas(64) REAL tile[GEMM_MR * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
} K(planar_scratch);

/* As pointwise_tiles_of, the value of pixel i for k being a[offsets[k] + i * step]. */
GEMM_INLINE void K(planar_tiles_of)(const K(pointwise_panel) *p, const int64_t *offsets,
                                    int64_t step, const int64_t rows, const int64_t nv) {
    const int64_t depth = p->depth, out_step = p->out_step;
    const REAL *a = p->a, *residual = p->residual;
    REAL *out = p->out;
    for (int64_t t = 0; t < p->tiles; t++, a += rows * step, out += rows * out_step) {
        vec sum[GEMM_MR][GEMM_NV];
        const REAL *right = p->b;
        K(pointwise_begin)(p, rows, nv, sum);
        for (int64_t k = 0; k < depth; k++, right += nv * VL) {
            const REAL *left = a + offsets[k];
            vec weight[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) weight[j] = v_load(right + j * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec pixel = v_set1(left[i * step]);
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    sum[i][j] = v_fma(pixel, weight[j], sum[i][j]);
                }
            }
        }
        K(pointwise_finish)(p, rows, nv, residual, sum);
        if (residual != NULL) residual += rows * out_step;
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                v_store(out + i * out_step + j * VL, sum[i][j]);
            }
        }
    }
}

#define PLANAR_TILE(rows)                                                                        \
    static __attribute__((noinline)) void PYAD_JOIN(K(planar_x1), rows)(                         \
        const K(pointwise_panel) *p, const int64_t *offsets, int64_t step) {                     \
        K(planar_tiles_of)(p, offsets, step, rows, 1);                                           \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(planar_xv), rows)(                         \
        const K(pointwise_panel) *p, const int64_t *offsets, int64_t step) {                     \
        K(planar_tiles_of)(p, offsets, step, rows, GEMM_NV);                                     \
    }
#define PLANAR_PAIR(rows)                                                                        \
    {PYAD_JOIN(K(planar_x1), rows), PYAD_JOIN(K(planar_xv), rows)}

PLANAR_TILE(2)
PLANAR_TILE(4)
#if GEMM_MR > 4
PLANAR_TILE(6)
#endif
#if GEMM_MR > 6
PLANAR_TILE(8)
PLANAR_TILE(10)
PLANAR_TILE(12)
PLANAR_TILE(14)
#endif

/* [height / 2 - 1][more than one vector] */
static void (*const K(planar_tiles)[GEMM_MR / 2][2])(const K(pointwise_panel) *, const int64_t *,
                                                     int64_t) = {
    PLANAR_PAIR(2),
    PLANAR_PAIR(4),
#if GEMM_MR > 4
    PLANAR_PAIR(6),
#endif
#if GEMM_MR > 6
    PLANAR_PAIR(8),
    PLANAR_PAIR(10),
    PLANAR_PAIR(12),
    PLANAR_PAIR(14),
#endif
};

#undef PLANAR_TILE
#undef PLANAR_PAIR

/* Elements first .. first+size-1 of a line of the image; zeros where there are none. */
static void K(planar_copy)(const REAL *line, int64_t source, int64_t first, int64_t size, REAL *to) {
    int64_t begin = line == NULL ? size : pyad_min(size, pyad_max(0, -first));
    int64_t end = line == NULL ? size : pyad_max(begin, pyad_min(size, source - first));
    memset(to, 0, (size_t)begin * sizeof(REAL));
    if (end > begin) memcpy(to + begin, line + first + begin, (size_t)(end - begin) * sizeof(REAL));
    memset(to + end, 0, (size_t)(size - end) * sizeof(REAL));
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

/* The last pixels of a piece, fewer than MR; an odd one has a companion that is summed aside. */
static void K(planar_rest)(const K(pointwise_panel) *panel, const K(epilogue) *end, int64_t column,
                           int64_t pixels, int64_t step, int64_t lanes, K(planar_scratch) *s) {
    K(pointwise_panel) p = *panel;
    int64_t height = (pixels + 1) / 2;
    p.tiles = 1;
    if (pixels % 2 == 0) {
        K(planar_tiles)[height - 1][lanes > VL](&p, s->offsets, step);
        return;
    }
    p.scale = p.bias = p.residual = NULL;
    p.activation = GEMM_LINEAR;
    p.out = s->tile;
    p.out_step = lanes;
    K(planar_tiles)[height - 1][lanes > VL](&p, s->offsets, step);
    for (int64_t i = 0; i < pixels; i++) {
        REAL *to = panel->out + i * panel->out_step;
        for (int64_t l = 0; l < lanes; l += VL) {
            vec v = v_load(s->tile + i * lanes + l);
            v_store(to + l, K(epilogue_apply)(end, v, column + l, to + l, VL));
        }
    }
}

/* `pixels` output pixels whose first is number `pixel` of the output, by the copied lines. */
static void K(planar_piece)(const conv_shape *s, const planar_order *order, const REAL *packed,
                            const K(epilogue) *end, int64_t pixel, int64_t pixels, REAL *out,
                            K(planar_scratch) *scratch) {
    int64_t width = s->out_channels, step = s->axis[2].stride * order->side;
    int64_t whole = pixels / GEMM_MR * GEMM_MR;
    for (int64_t j = 0; j < width; j += GEMM_NR) {
        int64_t at = pixel * width + j, lanes = pyad_min(GEMM_NR, width - j);
        K(pointwise_panel) p = {.a = scratch->lines,
                                .b = packed + j * s->channels * conv_taps(s),
                                .scale = end->scale == NULL ? NULL : end->scale + j,
                                .bias = end->bias == NULL ? NULL : end->bias + j,
                                .residual = end->residual == NULL ? NULL : end->residual + at,
                                .out = out + at,
                                .tiles = whole / GEMM_MR,
                                .depth = s->channels * conv_taps(s),
                                .out_step = width,
                                .activation = end->activation,
                                .p0 = end->p0,
                                .p1 = end->p1};
        K(planar_tiles)[GEMM_MR / 2 - 1][lanes > VL](&p, scratch->offsets, step);
        if (whole == pixels) continue;
        p.a += whole * step;
        p.out += whole * width;
        if (p.residual != NULL) p.residual += whole * width;
        K(planar_rest)(&p, end, j, pixels - whole, step, lanes, scratch);
    }
}

/* out = activation(scale conv(x, weight) + bias + residual): this thread's pieces. */
static void K(planar_apply)(const conv_shape *s, int last, const REAL *x, const REAL *packed,
                            const K(epilogue) *end, REAL *out, const team *t) {
    K(planar_scratch) *scratch = t->scratch;
    im2col_view v = conv_view_forward(s);
    planar_order order = planar_order_of(s, last);
    int64_t width = s->axis[2].out, across = pyad_ceil_div(width, PLANAR_PIXELS), begin, past;
    if (im2col_pixels(&v) == 0) return;
    K(planar_offsets)(s, &order, scratch->offsets);
    team_range(t, im2col_pixels(&v) / width * across, 1, &begin, &past);
    for (int64_t i = begin; i < past; i++) {
        int64_t line = i / across, w = i % across * PLANAR_PIXELS;
        int64_t pixels = pyad_min(PLANAR_PIXELS, width - w);
        im2col_pixel at = im2col_at(&v, line * width);
        K(planar_lines)(s, &order, x, &at, w, pixels, scratch->lines);
        K(planar_piece)(s, &order, packed, end, line * width + w, pixels, out, scratch);
    }
}

/* Whether the kernel can read an image so. */
static int K(planar_fits)(const conv_shape *s) {
    int64_t lines = s->channels * s->kernel[0] * s->kernel[1];
    return s->groups == 1 && s->out_channels % VL == 0 && s->channels * conv_taps(s) > 0 &&
           s->channels * conv_taps(s) <= PLANAR_DEPTH &&
           lines <= PLANAR_ELEMENTS / planar_size(s, PLANAR_PIXELS);
}
