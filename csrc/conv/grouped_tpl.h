/* Convolutions in narrow groups, of as many outputs as inputs: a product by group would fill few
 * lanes. Vectors run along the channels, as in depthwise_tpl.h: output c of a group of `width`
 * channels meets the inputs c ^ 0, .., c ^ (width - 1), and those of all lanes are shuffles of one
 * vector. Weights are packed as [tap][shuffle][channel], padded to whole vectors.
 *
 * An item of work is a vector of channels of a row of output pixels, in blocks of GROUPED_COLUMNS.
 * For each line of taps, what a block sees of the source is laid aside, with zeros around the image,
 * as [pixel][shuffle], so that taps of one line share their shuffles; then the sums of
 * GROUPED_PIXELS pixels stay in registers over all taps and shuffles.
 *
 * Gradient by the weight: slabs of rows as in depthwise_tpl.h; the sums of some taps, with all
 * shuffles, stay in registers over the pixels of a block.
 */
#ifndef PYAD_GROUPED
#define PYAD_GROUPED
#define GROUPED_WIDTH 8 /* at most */
#define GROUPED_COLUMNS 32
#define GROUPED_PIXELS 8
#define GROUPED_SEEN 128 /* source pixels that a block sees, at most */
#define GROUPED_SLABS 16
#endif

typedef struct {
    vec seen[GROUPED_SEEN * GROUPED_WIDTH], sum[GROUPED_COLUMNS];
} K(grouped_scratch);

/* What the functions for one width read: a view, its line of the source for a vector of channels,
 * the pixels of a block. */
typedef struct {
    const im2col_axis *axis;        /* along the width */
    int64_t channels, padded, live; /* of all arrays, of a row of weights, of this vector */
    int64_t begin, count;           /* the block's output pixels */
    K(grouped_scratch) *scratch;
} K(grouped_block);

/* The channels of a group where this way is taken, else 0: vectors of four have little to gain. */
static inline int64_t K(grouped_width)(const conv_shape *s) {
    const im2col_numbers *a = &s->axis[2];
    if (VECTOR_BYTES < 32 || sizeof(REAL) != sizeof(float)) return 0;
    if (s->groups < 2 || s->channels != s->out_channels) return 0;
    const int64_t width = s->channels / s->groups;
    const int64_t seen = (GROUPED_COLUMNS - 1) * a->stride + (a->kernel - 1) * a->dilation + 1;
    if ((width != 2 && width != 4 && width != 8) || VL % width != 0) return 0;
    return seen <= GROUPED_SEEN ? width : 0;
}

static int64_t K(grouped_packed)(const conv_shape *s) {
    return conv_taps(s) * (s->channels / s->groups) * K(conv_padded)(s->channels);
}

/* This thread's share of the packed weight; backward, inputs and outputs change places. */
static void K(grouped_pack)(const conv_shape *s, int backward, const REAL *weight, REAL *packed,
                            const team *t) {
    const int64_t width = s->channels / s->groups, taps = conv_taps(s), channels = s->channels;
    const int64_t padded = K(conv_padded)(channels);
    int64_t begin, end;
    team_range(t, padded, VL, &begin, &end);
    for (int64_t c = begin; c < end; c++) {
        for (int64_t i = 0; i < width; i++) {
            const int64_t other = c ^ i, row = backward ? other : c, column = backward ? c : other;
            const REAL *from = weight + (row * width + column % width) * taps;
            for (int64_t tap = 0; tap < taps; tap++) {
                packed[(tap * width + i) * padded + c] = c < channels ? from[tap] : 0;
            }
        }
    }
}

/* Lay aside what the block sees of a line, whole groups of GROUPED_PIXELS. */
GEMM_INLINE void K(grouped_see)(const K(grouped_block) *b, const REAL *line, const int64_t width) {
    const im2col_axis *a = b->axis;
    const int64_t pixels = pyad_ceil_div(b->count, GROUPED_PIXELS) * GROUPED_PIXELS;
    const int64_t first = a->first + b->begin * a->step;
    const int64_t seen = (pixels - 1) * a->step + (a->taps - 1) * a->tap_step + 1;
    vec *to = b->scratch->seen;
    for (int64_t j = first; j < first + seen; j++, to += width) {
        const int there = j >= 0 && j < a->source;
        const vec x = there ? v_load_live(line + j * b->channels, b->live) : (vec){0};
        GEMM_UNROLL for (int i = 0; i < width; i++) to[i] = K(v_partners)(x, i);
    }
}

/* Add the products of a line of taps to the sums of the block; w: the weights of its first tap. */
GEMM_INLINE void K(grouped_add)(const K(grouped_block) *b, const REAL *w, const int64_t width,
                                const int64_t step) {
    const im2col_axis *a = b->axis;
    const int64_t pixel = step * width;
    for (int64_t p = 0; p < b->count; p += GROUPED_PIXELS) {
        vec sum[GROUPED_PIXELS], *sums = b->scratch->sum + p;
        GEMM_UNROLL for (int64_t u = 0; u < GROUPED_PIXELS; u++) sum[u] = sums[u];
        const vec *seen = b->scratch->seen + p * pixel;
        const REAL *tap = w;
        for (int64_t l = 0; l < a->taps; l++) {
            GEMM_UNROLL for (int64_t i = 0; i < width; i++) {
                const vec weight = v_load(tap + i * b->padded);
                GEMM_UNROLL for (int64_t u = 0; u < GROUPED_PIXELS; u++) {
                    sum[u] = v_fma(seen[u * pixel + i], weight, sum[u]);
                }
            }
            seen += a->tap_step * width;
            tap += a->index_step * width * b->padded;
        }
        GEMM_UNROLL for (int64_t u = 0; u < GROUPED_PIXELS; u++) sums[u] = sum[u];
    }
}

/* Add the products of the pixels of a block with what they see to the sums of `taps` taps from
 * number `tap` on, all shuffles of each. */
GEMM_INLINE void K(grouped_multiply)(const K(grouped_block) *b, const REAL *dy, int64_t tap,
                                     const int64_t taps, REAL *sums, const int64_t width) {
    const im2col_axis *a = b->axis;
    vec sum[3][GROUPED_WIDTH];
    GEMM_UNROLL for (int64_t l = 0; l < taps; l++) {
        GEMM_UNROLL for (int64_t i = 0; i < width; i++) {
            sum[l][i] = v_load(sums + ((tap + l) * width + i) * b->padded);
        }
    }
    for (int64_t p = 0; p < b->count; p++, dy += b->channels) {
        const vec g = v_load_live(dy, b->live);
        const vec *seen = b->scratch->seen + (p * a->step + tap * a->tap_step) * width;
        GEMM_UNROLL for (int64_t l = 0; l < taps; l++) {
            GEMM_UNROLL for (int64_t i = 0; i < width; i++) {
                sum[l][i] = v_fma(g, seen[l * a->tap_step * width + i], sum[l][i]);
            }
        }
    }
    GEMM_UNROLL for (int64_t l = 0; l < taps; l++) {
        GEMM_UNROLL for (int64_t i = 0; i < width; i++) {
            v_store(sums + ((tap + l) * width + i) * b->padded, sum[l][i]);
        }
    }
}

/* The functions for one width: a line of the source, and with dy (the gradient) or without. */
#define GROUPED_LINE(width)                                                                       \
    static PYAD_ONCE void PYAD_JOIN(K(grouped_see), width)(                                       \
        const K(grouped_block) *b, const REAL *line) {                                            \
        K(grouped_see)(b, line, width);                                                           \
    }                                                                                             \
    static PYAD_ONCE void PYAD_JOIN(K(grouped_line), width)(                                      \
        const K(grouped_block) *b, const REAL *line, const REAL *w) {                             \
        PYAD_JOIN(K(grouped_see), width)(b, line);                                                \
        if (b->axis->step == 1) {                                                                 \
            K(grouped_add)(b, w, width, 1);                                                       \
        } else {                                                                                  \
            K(grouped_add)(b, w, width, b->axis->step);                                           \
        }                                                                                         \
    }                                                                                             \
    static PYAD_ONCE void PYAD_JOIN(K(grouped_products), width)(                                  \
        const K(grouped_block) *b, const REAL *line, const REAL *dy, REAL *sums) {                \
        const int64_t most = width > 4 ? 1 : 3;                                                   \
        int64_t tap = 0;                                                                          \
        PYAD_JOIN(K(grouped_see), width)(b, line);                                                \
        for (; tap + most <= b->axis->taps; tap += most) {                                        \
            K(grouped_multiply)(b, dy, tap, most, sums, width);                                   \
        }                                                                                         \
        for (; most > 1 && tap < b->axis->taps; tap++) {                                          \
            K(grouped_multiply)(b, dy, tap, 1, sums, width);                                      \
        }                                                                                         \
    }
GROUPED_LINE(2)
GROUPED_LINE(4)
GROUPED_LINE(8)
#undef GROUPED_LINE

#define GROUPED_CALL(name, width, ...)                                                            \
    do {                                                                                          \
        if (width == 2) {                                                                         \
            PYAD_JOIN(K(name), 2)(__VA_ARGS__);                                                   \
        } else if (width == 4) {                                                                  \
            PYAD_JOIN(K(name), 4)(__VA_ARGS__);                                                   \
        } else {                                                                                  \
            PYAD_JOIN(K(name), 8)(__VA_ARGS__);                                                   \
        }                                                                                         \
    } while (0)

/* The line of the source that a row of output pixels sees through taps i, j; NULL: none. */
static inline const REAL *K(grouped_source)(const im2col_view *v, const im2col_pixel *at, int64_t i,
                                            int64_t j, const REAL *source) {
    const im2col_axis *a = v->axis;
    const int64_t d = a[0].first + at->d * a[0].step + i * a[0].tap_step;
    const int64_t h = a[1].first + at->h * a[1].step + j * a[1].tap_step;
    if (d < 0 || d >= a[0].source || h < 0 || h >= a[1].source) return NULL;
    return source + ((at->n * a[0].source + d) * a[1].source + h) * a[2].source * v->channels;
}

/* ---- output, and gradient by the image ---- */

typedef struct {
    const conv_shape *shape;
    const im2col_view *view;
    const REAL *source, *packed;
    K(epilogue) end;
    REAL *out;
} K(grouped_job);

static void K(grouped_sums)(const K(grouped_job) *job, const im2col_pixel *at, int64_t c,
                            const K(grouped_block) *b) {
    const im2col_view *v = job->view;
    const im2col_axis *a = v->axis;
    const int64_t *kernel = job->shape->kernel, width = v->group_width;
    memset(b->scratch->sum, 0, sizeof b->scratch->sum);
    for (int64_t i = 0; i < a[0].taps; i++) {
        for (int64_t j = 0; j < a[1].taps; j++) {
            const REAL *line = K(grouped_source)(v, at, i, j, job->source);
            if (line == NULL) continue;
            const int64_t row = (a[0].index + i * a[0].index_step) * kernel[1] + a[1].index +
                                j * a[1].index_step;
            const int64_t tap = row * kernel[2] + a[2].index;
            const REAL *w = job->packed + tap * width * b->padded + c;
            GROUPED_CALL(grouped_line, width, b, line + c, w);
        }
    }
}

/* A vector of channels of a row of output pixels. */
static void K(grouped_row)(const K(grouped_job) *job, const im2col_pixel *at, int64_t c,
                           K(grouped_scratch) *scratch) {
    const im2col_view *v = job->view;
    const im2col_axis *a = &v->axis[2];
    const int64_t live = pyad_min(VL, v->channels - c), step = a->out_step * v->channels;
    REAL *out = job->out + im2col_out_offset(v, at) + c;
    K(grouped_block) b = {a, v->channels, K(conv_padded)(v->channels), live, 0, 0, scratch};
    for (; b.begin < a->count; b.begin += GROUPED_COLUMNS) {
        b.count = pyad_min(GROUPED_COLUMNS, a->count - b.begin);
        K(grouped_sums)(job, at, c, &b);
        for (int64_t p = 0; p < b.count; p++, out += step) {
            v_store_live(out, K(epilogue_apply)(&job->end, scratch->sum[p], c, out, live), live);
        }
    }
}

/* Either direction, as conv_apply. */
static void K(grouped_apply)(const conv_shape *s, int backward, const K(conv_call) *call,
                             const team *t) {
    const int64_t vectors = K(conv_padded)(s->channels) / VL;
    K(grouped_pack)(s, backward, call->weight->data, t->shared, t);
    team_barrier(t);
    for (int64_t i = 0; i < conv_phases(s, backward); i++) {
        const im2col_view v = conv_view(s, backward, i);
        const K(grouped_job) job = {s, &v, call->source->data, t->shared, call->end, call->out};
        const int64_t pixels = im2col_pixels(&v), columns = v.axis[2].count;
        int64_t begin, end;
        if (pixels == 0) continue;
        team_range(t, pixels / columns * vectors, 1, &begin, &end);
        for (int64_t item = begin; item < end; item++) {
            const im2col_pixel at = im2col_at(&v, item / vectors * columns);
            K(grouped_row)(&job, &at, item % vectors * VL, t->scratch);
        }
    }
}

/* ---- gradient by the weight ---- */

/* A row of output pixels adds to a slab's sums [tap][shuffle][channel]. */
static void K(grouped_weight_row)(const im2col_view *v, const REAL *x, const REAL *dy, int64_t row,
                                  REAL *sums, K(grouped_scratch) *scratch) {
    const im2col_axis *a = v->axis;
    const int64_t channels = v->channels, width = v->group_width;
    const im2col_pixel at = im2col_at(v, row * a[2].count);
    K(grouped_block) b = {&a[2], channels, K(conv_padded)(channels), 0, 0, 0, scratch};
    dy += im2col_out_offset(v, &at);
    for (int64_t c = 0; c < channels; c += VL) {
        REAL *to = sums + c;
        b.live = pyad_min(VL, channels - c);
        for (int64_t lines = 0; lines < a[0].taps * a[1].taps; lines++) {
            const REAL *line =
                K(grouped_source)(v, &at, lines / a[1].taps, lines % a[1].taps, x);
            for (b.begin = 0; line != NULL && b.begin < a[2].count; b.begin += GROUPED_COLUMNS) {
                const REAL *g = dy + b.begin * channels + c;
                b.count = pyad_min(GROUPED_COLUMNS, a[2].count - b.begin);
                GROUPED_CALL(grouped_products, width, &b, line + c, g, to);
            }
            to += a[2].taps * width * b.padded;
        }
    }
}

/* Each has some rows, as it is set to zero and added up in the end. */
static int64_t K(grouped_slabs)(int64_t rows) {
    return pyad_min(pyad_ceil_div(rows, 4), GROUPED_SLABS);
}

static int64_t K(grouped_slab)(const conv_shape *s) {
    return K(grouped_packed)(s) + K(conv_padded)(s->channels);
}

/* dw and db (NULL: none): sums of all slabs, by all threads. */
static void K(grouped_collect)(const conv_shape *s, int64_t slabs, const REAL *all, REAL *dw,
                               REAL *db, const team *t) {
    const int64_t width = s->channels / s->groups, taps = conv_taps(s), size = K(grouped_slab)(s);
    const int64_t padded = K(conv_padded)(s->channels);
    int64_t begin, end;
    team_range(t, s->channels, 1, &begin, &end);
    for (int64_t c = begin; c < end; c++) {
        for (int64_t k = 0; k < width * taps + (db != NULL); k++) {
            const int64_t shuffle = (c ^ (k / taps)) % width;
            const int64_t row = k < width * taps ? k % taps * width + shuffle : k;
            REAL sum = 0;
            for (int64_t i = 0; i < slabs; i++) sum += all[i * size + row * padded + c];
            *(k < width * taps ? &dw[c * width * taps + k] : &db[c]) = sum;
        }
    }
}

static void K(grouped_weight)(const conv_shape *s, const im2col_view *v, const REAL *x,
                              const REAL *dy, REAL *dw, REAL *db, const team *t) {
    const int64_t pixels = im2col_pixels(v), columns = v->axis[2].count, channels = v->channels;
    const int64_t rows = pixels == 0 ? 0 : pixels / columns, size = K(grouped_slab)(s);
    const int64_t slabs = K(grouped_slabs)(rows);
    REAL *all = t->shared;
    int64_t begin, end;
    team_range(t, slabs, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        REAL *sums = all + i * size, *bias = sums + K(grouped_packed)(s);
        memset(sums, 0, (size_t)size * sizeof(REAL));
        for (int64_t r = rows * i / slabs; r < rows * (i + 1) / slabs; r++) {
            K(grouped_weight_row)(v, x, dy, r, sums, t->scratch);
            const REAL *g = dy + r * columns * channels;
            for (int64_t p = 0; db != NULL && p < columns; p++, g += channels) {
                for (int64_t c = 0; c < channels; c++) bias[c] += g[c];
            }
        }
    }
    team_barrier(t);
    K(grouped_collect)(s, slabs, all, dw, db, t);
}
#undef GROUPED_CALL
