/* Convolutions in channels-last memory, by implicit im2col (im2col_tpl.h) and the tile of sums of
 * gemm_tpl.h. All kernels take arrays (n, c, spatial...) of 3 to 5 axes.
 *
 * conv_fwd, conv_bwd_x: out[pixel, o] = bias[o] + sum over k of column[pixel, k] weight[k, o], with
 * k = (tap, channel). The weight is packed once, by the whole team, into panels of NR outputs. Each
 * thread then takes its own tiles of MR pixels: their rows of the column matrix are copied into
 * L1, CONV_DEPTH columns at a time, and meet all panels. Rows are copied as they lie, not
 * interleaved as gemm_run packs them: a copy of whole runs is an order of magnitude cheaper than
 * a transposition, and the tile reads MR rows a constant distance apart as well.
 * conv_bwd_x is the same loop with the output's gradient as source, once for each phase of the
 * stride, so that no product with a zero is computed.
 *
 * conv_bwd_w: dw[k, o] = sum over pixels of column[pixel, k] dy[pixel, o]. Pixels are cut into
 * slabs, as many as shape and nothing else says; slab, range of k and range of o make an item of
 * work with a sum of its own, and the slabs are added in order at the end. An item goes through its
 * slab by CONV_PIXELS rows, whose sum starts at zero, so that rounding errors stay small.
 *
 * Scratch depends on channels and kernel size alone: neither batch nor image enters.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "im2col_tpl.h"

#ifndef PYAD_CONV
#define PYAD_CONV
#define CONV_DEPTH ((int64_t)(CONV_DEPTH_BYTES / sizeof(REAL)))
#define CONV_STEP (CONV_DEPTH + VL) /* from row to row: room for a last vector, and no two rows
                                     * whose lines fall on one set of the cache */
#define CONV_TILES 32               /* tiles of pixels that meet a block of weights in turn */
#define CONV_COLUMNS 512            /* outputs whose weights stay in L2, CONV_DEPTH of them deep */
#define CONV_SLABS 16
#define CONV_SLAB_ELEMENTS (1 << 20) /* of all slabs' sums together, if one alone is not larger */

/* All numbers of a call, with three spatial axes. */
typedef struct {
    im2col_numbers axis[3];
    int64_t kernel[3];
    int64_t images, channels, out_channels, groups; /* channels of the image, of the output */
} conv_shape;

/* `image` is what the forward convolution reads, `out` what it writes. */
static inline conv_shape conv_shape_of(const pyad_array *image, const pyad_array *weight,
                                       const pyad_array *out, const int64_t *ints) {
    conv_shape s = {.images = image->shape[0],
                    .channels = image->shape[1],
                    .out_channels = out->shape[1],
                    .groups = ints[9]};
    int64_t missing = 5 - image->ndim;
    for (int64_t i = 0; i < 3; i++) {
        int64_t from = i - missing + 2;
        int present = i >= missing;
        s.kernel[i] = present ? weight->shape[from] : 1;
        s.axis[i] = (im2col_numbers){present ? image->shape[from] : 1,
                                     present ? out->shape[from] : 1,
                                     s.kernel[i],
                                     ints[i],
                                     ints[3 + i],
                                     ints[6 + i]};
    }
    return s;
}

static inline int64_t conv_taps(const conv_shape *s) {
    return s->kernel[0] * s->kernel[1] * s->kernel[2];
}

static inline int conv_is_depthwise(const conv_shape *s) {
    return s->groups > 1 && s->groups == s->channels && s->groups == s->out_channels;
}

static inline im2col_view conv_view_forward(const conv_shape *s) {
    im2col_view v = {.images = s->images,
                     .channels = s->channels,
                     .group_channels = s->channels / s->groups,
                     .out_channels = s->out_channels,
                     .group_width = s->out_channels / s->groups};
    for (int64_t i = 0; i < 3; i++) v.axis[i] = im2col_forward(&s->axis[i]);
    return v;
}

/* Phases of one axis: an image shorter than the stride has no more than it has pixels. */
static inline int64_t conv_axis_phases(const im2col_numbers *a) {
    return pyad_min(a->stride, a->image);
}

static inline int64_t conv_phases(const conv_shape *s, int backward) {
    if (!backward) return 1;
    return conv_axis_phases(&s->axis[0]) * conv_axis_phases(&s->axis[1]) *
           conv_axis_phases(&s->axis[2]);
}

static inline im2col_view conv_view_backward(const conv_shape *s, int64_t phase) {
    im2col_view v = {.images = s->images,
                     .channels = s->out_channels,
                     .group_channels = s->out_channels / s->groups,
                     .out_channels = s->channels,
                     .group_width = s->channels / s->groups};
    for (int64_t i = 2; i >= 0; i--) {
        int64_t phases = conv_axis_phases(&s->axis[i]);
        v.axis[i] = im2col_backward(&s->axis[i], phase % phases);
        phase /= phases;
    }
    return v;
}

static inline im2col_view conv_view(const conv_shape *s, int backward, int64_t phase) {
    return backward ? conv_view_backward(s, phase) : conv_view_forward(s);
}

/* Columns of the column matrix for one group. */
static inline int64_t conv_depth(const im2col_view *v) {
    return im2col_taps(v) * v->group_channels;
}

/* The blocks into which `depth` columns are cut: equal, so that no short rest is left. */
static inline int64_t conv_block_depth(int64_t depth, int64_t most, int64_t unit) {
    int64_t blocks = pyad_max(1, pyad_ceil_div(depth, most));
    return pyad_ceil_div(pyad_ceil_div(depth, blocks), unit) * unit;
}

/* How the sum is cut up; by shape alone. */
typedef struct {
    int64_t depth, step, depth_blocks; /* columns of the column matrix: all, of one block */
    int64_t width, padded, width_blocks;
    int64_t pixels, slabs;
    int64_t sum, bias; /* elements of a slab: of its sums for one group, of those of the bias */
} conv_cut;
#endif

/* Elements of a row of packed weights: whole vectors. */
static inline int64_t K(conv_padded)(int64_t width) { return pyad_ceil_div(width, VL) * VL; }

#include "depthwise_tpl.h"

/* ---- tiles ---- */

/* fwd: rows of a lie CONV_STEP apart. sum: a is read down its columns, b at b_depth. */
#define CONV_TILE(rows)                                                                          \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_tile_x1), rows)(                      \
        int64_t depth, const REAL *a, const REAL *b, REAL *tile) {                               \
        K(gemm_tile_of)(rows, 1, depth, a, CONV_STEP, 1, b, VL, tile);                           \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_tile_xv), rows)(                      \
        int64_t depth, const REAL *a, const REAL *b, REAL *tile) {                               \
        K(gemm_tile_of)(rows, GEMM_NV, depth, a, CONV_STEP, 1, b, GEMM_NR, tile);                \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_sum_x1), rows)(                       \
        int64_t depth, const REAL *a, const REAL *b, int64_t b_depth, REAL *tile) {              \
        K(gemm_tile_of)(rows, 1, depth, a, 1, CONV_STEP, b, b_depth, tile);                      \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(conv_sum_xv), rows)(                       \
        int64_t depth, const REAL *a, const REAL *b, int64_t b_depth, REAL *tile) {              \
        K(gemm_tile_of)(rows, GEMM_NV, depth, a, 1, CONV_STEP, b, b_depth, tile);                \
    }
#define CONV_PAIR(name, rows) {PYAD_JOIN(K(name##_x1), rows), PYAD_JOIN(K(name##_xv), rows)}

CONV_TILE(2)
CONV_TILE(4)
#if GEMM_MR > 4
CONV_TILE(6)
#endif
#if GEMM_MR > 6
CONV_TILE(8)
CONV_TILE(10)
CONV_TILE(12)
CONV_TILE(14)
#endif

#if GEMM_MR > 6
#define CONV_HEIGHTS(name)                                                                       \
    {CONV_PAIR(name, 2),  CONV_PAIR(name, 4),  CONV_PAIR(name, 6), CONV_PAIR(name, 8),           \
     CONV_PAIR(name, 10), CONV_PAIR(name, 12), CONV_PAIR(name, 14)}
#elif GEMM_MR > 4
#define CONV_HEIGHTS(name) {CONV_PAIR(name, 2), CONV_PAIR(name, 4), CONV_PAIR(name, 6)}
#else
#define CONV_HEIGHTS(name) {CONV_PAIR(name, 2), CONV_PAIR(name, 4)}
#endif

typedef void (*K(conv_tile_fn))(int64_t depth, const REAL *a, const REAL *b, REAL *tile);
typedef void (*K(conv_sum_fn))(int64_t depth, const REAL *a, const REAL *b, int64_t b_depth,
                               REAL *tile);

/* [height / 2 - 1][more than one vector] */
static const K(conv_tile_fn) K(conv_tiles)[GEMM_MR / 2][2] = CONV_HEIGHTS(conv_tile);
static const K(conv_sum_fn) K(conv_sums)[GEMM_MR / 2][2] = CONV_HEIGHTS(conv_sum);

#undef CONV_TILE
#undef CONV_PAIR
#undef CONV_HEIGHTS

/* ---- packing the weight ---- */

/* How a weight (o, i, taps) is read as a matrix (tap and source channel) x output. */
typedef struct {
    const REAL *data;
    int64_t group, channel, column; /* steps in elements */
    const int64_t *kernel;
} K(conv_weight);

static K(conv_weight) K(conv_weight_of)(const conv_shape *s, const REAL *data, int backward) {
    int64_t taps = conv_taps(s);
    int64_t row = s->channels / s->groups * taps; /* of one output channel */
    int64_t group = s->out_channels / s->groups * row;
    if (backward) return (K(conv_weight)){data, group, row, taps, s->kernel};
    return (K(conv_weight)){data, group, taps, row, s->kernel};
}

/* One panel: dst[k * width + l] for all k of a view; columns column .. column+lanes-1. */
static void K(conv_pack_panel)(const K(conv_weight) *w, const im2col_view *v, int64_t group,
                               int64_t column, int64_t lanes, int64_t width, REAL *dst) {
    const REAL *from = w->data + group * w->group + column * w->column;
    int64_t taps = im2col_taps(v);
    for (int64_t tap = 0; tap < taps; tap++) {
        const REAL *src = from + im2col_tap_index(v, w->kernel, tap);
        for (int64_t c = 0; c < v->group_channels; c++, src += w->channel, dst += width) {
            for (int64_t l = 0; l < lanes; l++) dst[l] = src[l * w->column];
            for (int64_t l = lanes; l < width; l++) dst[l] = 0;
        }
    }
}

/* Elements of the packed weight of one view, all groups. */
static int64_t K(conv_packed)(const im2col_view *v) {
    return v->channels * im2col_taps(v) * K(conv_padded)(v->group_width);
}

/* This thread's share of the panels of one view. */
static void K(conv_pack)(const conv_shape *s, const K(conv_weight) *w, const im2col_view *v,
                         REAL *packed, const team *t) {
    int64_t depth = conv_depth(v);
    int64_t panels = pyad_ceil_div(v->group_width, GEMM_NR);
    int64_t begin, end;
    team_range(t, s->groups * panels, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / panels, column = i % panels * GEMM_NR;
        int64_t lanes = pyad_min(GEMM_NR, v->group_width - column);
        REAL *dst = packed + (group * K(conv_padded)(v->group_width) + column) * depth;
        K(conv_pack_panel)(w, v, group, column, lanes, K(conv_padded)(lanes), dst);
    }
}

/* ---- conv_fwd, conv_bwd_x ---- */

/* A thread's own memory. */
typedef struct {
    im2col_run runs[CONV_DEPTH_BYTES / sizeof(REAL)];
    _Alignas(64) REAL rows[GEMM_MR * (CONV_DEPTH_BYTES + VECTOR_BYTES) / sizeof(REAL)];
    _Alignas(64) REAL tile[GEMM_MR * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
    REAL *out[GEMM_MR];
} K(conv_scratch);

/* One view and group: what is read, where it goes. */
typedef struct {
    const im2col_view *view;
    int64_t group;
    const REAL *source, *packed, *bias; /* bias: that of the group, or NULL */
    REAL *out;
} K(conv_job);

/* A part of the output of a job, and the block of columns being summed. */
typedef struct {
    int64_t pixel, pixels, height;      /* tiles of `height` pixels */
    int64_t column, columns;            /* outputs, from a multiple of NR on */
    int64_t k, depth, runs;
} K(conv_part);

/* Bring the sums of a tile to the output's rows. */
static void K(conv_update)(const K(conv_job) *job, const K(conv_scratch) *s, int64_t rows,
                           int64_t column, int64_t columns, int add, int last) {
    for (int64_t i = 0; i < rows; i++) {
        REAL *out = s->out[i] + column;
        for (int64_t j = 0; j < columns; j += VL) {
            int64_t n = pyad_min(VL, columns - j);
            vec v = v_load(s->tile + i * GEMM_NR + j);
            if (add) v += K(gemm_load_row)(out + j, 1, n);
            if (last && job->bias != NULL) v += K(gemm_load_row)(job->bias + column + j, 1, n);
            K(gemm_store_row)(out + j, 1, v, n);
        }
    }
}

/* The rows of one tile, and where its outputs lie. */
static void K(conv_pack_tile)(const K(conv_job) *job, const K(conv_part) *p, int64_t pixel,
                              int64_t rows, K(conv_scratch) *s) {
    const im2col_view *v = job->view;
    im2col_pixel at = im2col_at(v, pixel);
    for (int64_t i = 0; i < rows; i++) {
        s->out[i] = job->out + im2col_out_offset(v, &at) + job->group * v->group_width;
        K(im2col_row)(v, job->source, &at, s->runs, p->runs, s->rows + i * CONV_STEP);
        im2col_next(v, &at);
    }
    for (int64_t i = rows; i < p->height; i++) {
        memset(s->rows + i * CONV_STEP, 0, (size_t)p->depth * sizeof(REAL));
    }
}

/* All tiles of a part with one block of columns. */
static void K(conv_block)(const K(conv_job) *job, const K(conv_part) *p, int64_t depth,
                          K(conv_scratch) *s) {
    int last = p->k + p->depth == depth;
    for (int64_t i = 0; i < p->pixels; i += p->height) {
        int64_t rows = pyad_min(p->height, p->pixels - i);
        K(conv_pack_tile)(job, p, p->pixel + i, rows, s);
        for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
            int64_t column = p->column + j;
            int64_t lanes = pyad_min(GEMM_NR, p->columns - j);
            const REAL *b = job->packed + column * depth + p->k * K(conv_padded)(lanes);
            K(conv_tiles)[p->height / 2 - 1][lanes > VL](p->depth, s->rows, b, s->tile);
            K(conv_update)(job, s, rows, column, lanes, p->k > 0, last);
        }
    }
}

/* Outputs column .. column+columns-1 of pixels pixel .. pixel+pixels-1. */
static void K(conv_range)(const K(conv_job) *job, int64_t pixel, int64_t pixels, int64_t column,
                          int64_t columns, K(conv_scratch) *s) {
    int64_t depth = conv_depth(job->view);
    int64_t step = pyad_max(1, conv_block_depth(depth, CONV_DEPTH, 1));
    K(conv_part) p = {.height = K(gemm_height)(pyad_max(pixels, 1))};
    int64_t most = CONV_TILES * p.height;
    for (int64_t i = 0; i < pixels; i += most) {
        p.pixel = pixel + i;
        p.pixels = pyad_min(most, pixels - i);
        for (int64_t j = 0; j < columns; j += CONV_COLUMNS) {
            p.column = column + j;
            p.columns = pyad_min(CONV_COLUMNS, columns - j);
            for (p.k = 0; p.k == 0 || p.k < depth; p.k += step) {
                p.depth = pyad_min(step, depth - p.k);
                p.runs = im2col_runs(job->view, job->group, p.k, p.depth, s->runs);
                K(conv_block)(job, &p, depth, s);
            }
        }
    }
}

/* This thread's part of a job: some of the pixels, or of the outputs where pixels are few. */
static void K(conv_share)(const K(conv_job) *job, K(conv_scratch) *s, const team *t) {
    int64_t pixels = im2col_pixels(job->view), width = job->view->group_width;
    int64_t begin, end;
    if (pixels < 2 * GEMM_MR * t->nth && width >= GEMM_NR * t->nth) {
        team_range(t, width, GEMM_NR, &begin, &end);
        if (begin < end) K(conv_range)(job, 0, pixels, begin, end - begin, s);
    } else {
        team_range(t, pixels, 2, &begin, &end);
        K(conv_range)(job, begin, end - begin, 0, width, s);
    }
}

/* out = weight applied to source through all views of the shape. */
static void K(conv_gather)(const conv_shape *shape, int backward, const REAL *source,
                           const REAL *weight, const REAL *bias, REAL *out, const team *t) {
    K(conv_weight) w = K(conv_weight_of)(shape, weight, backward);
    int64_t phases = conv_phases(shape, backward);
    REAL *packed = t->shared;
    for (int64_t i = 0; i < phases; i++) {
        im2col_view v = conv_view(shape, backward, i);
        K(conv_pack)(shape, &w, &v, packed, t);
        packed += K(conv_packed)(&v);
    }
    team_barrier(t);
    packed = t->shared;
    for (int64_t i = 0; i < phases; i++) {
        im2col_view v = conv_view(shape, backward, i);
        int64_t size = K(conv_padded)(v.group_width) * conv_depth(&v);
        for (int64_t g = 0; g < shape->groups; g++) {
            const REAL *b = bias == NULL ? NULL : bias + g * v.group_width;
            K(conv_job) job = {&v, g, source, packed + g * size, b, out};
            K(conv_share)(&job, t->scratch, t);
        }
        packed += K(conv_packed)(&v);
    }
}

static int64_t K(conv_gather_shared)(const conv_shape *s, int backward) {
    int64_t width = backward ? s->channels : s->out_channels;
    int64_t channels = backward ? s->out_channels : s->channels;
    int64_t padded = conv_is_depthwise(s) ? K(conv_padded)(width)
                                          : channels * K(conv_padded)(width / s->groups);
    return conv_taps(s) * padded * (int64_t)sizeof(REAL);
}

/* Either direction; fwd and bwd_x differ in who is the source. */
static int K(conv_apply)(const conv_shape *s, int backward, const pyad_array *source,
                         const pyad_array *weight, const pyad_array *bias, const pyad_array *out,
                         const team *t) {
    if (!conv_is_depthwise(s)) {
        K(conv_gather)(s, backward, source->data, weight->data, bias->data, out->data, t);
        return 0;
    }
    K(depthwise_pack)(weight->data, s->channels, conv_taps(s), t->shared, t);
    team_barrier(t);
    for (int64_t i = 0; i < conv_phases(s, backward); i++) {
        im2col_view v = conv_view(s, backward, i);
        K(depthwise_job) job = {&v, s->kernel, source->data, t->shared, bias->data, out->data};
        K(depthwise_gather)(&job, t);
    }
    return 0;
}

static int K(conv_fwd)(const void *args, const team *t) {
    const conv_fwd_args *a = args;
    conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    return K(conv_apply)(&s, 0, &a->x, &a->weight, &a->bias, &a->out, t);
}

static int K(conv_bwd_x)(const void *args, const team *t) {
    const conv_bwd_x_args *a = args;
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    return K(conv_apply)(&s, 1, &a->dy, &a->weight, &a->bias, &a->dx, t);
}

/* Products of the convolution, in units of the work that PYAD_WORK_GRAIN counts. */
static int64_t K(conv_work)(const pyad_array *out, const pyad_array *weight) {
    int64_t row = pyad_numel(weight) / pyad_max(1, weight->shape[0]);
    return pyad_numel(out) * pyad_max(1, row / 8);
}

static int64_t K(conv_fwd_shared_bytes)(const conv_fwd_args *a) {
    conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    return K(conv_gather_shared)(&s, 0);
}

static int64_t K(conv_bwd_x_shared_bytes)(const conv_bwd_x_args *a) {
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    return K(conv_gather_shared)(&s, 1);
}

PYAD_RECORD(conv_fwd, conv_fwd_args, K(conv_work)(&a->out, &a->weight), sizeof(K(conv_scratch)),
            K(conv_fwd_shared_bytes)(a))
PYAD_RECORD(conv_bwd_x, conv_bwd_x_args, K(conv_work)(&a->dy, &a->weight),
            sizeof(K(conv_scratch)), K(conv_bwd_x_shared_bytes)(a))

/* ---- conv_bwd_w ---- */

/* A thread's own memory. */
typedef struct {
    im2col_run runs[CONV_DEPTH_BYTES / sizeof(REAL)];
    _Alignas(64) REAL rows[CONV_PIXELS * (CONV_DEPTH_BYTES + VECTOR_BYTES) / sizeof(REAL)];
    _Alignas(64) REAL right[CONV_PIXELS * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
    _Alignas(64) REAL tile[GEMM_MR * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
} K(conv_weight_scratch);

static conv_cut K(conv_cut_of)(const im2col_view *v) {
    int64_t groups = v->channels / pyad_max(1, v->group_channels);
    conv_cut c = {.depth = conv_depth(v), .width = v->group_width, .pixels = im2col_pixels(v)};
    c.step = conv_block_depth(c.depth, CONV_DEPTH / GEMM_MR * GEMM_MR, 2);
    c.depth_blocks = c.depth == 0 ? 0 : pyad_ceil_div(c.depth, c.step);
    c.padded = K(conv_padded)(c.width);
    c.width_blocks = pyad_ceil_div(c.width, CONV_COLUMNS);
    c.sum = c.depth * c.padded;
    c.bias = groups * c.padded;
    int64_t fit = CONV_SLAB_ELEMENTS / pyad_max(1, groups * c.sum + c.bias);
    int64_t blocks = pyad_ceil_div(c.pixels, CONV_PIXELS);
    c.slabs = pyad_max(1, pyad_min(pyad_min(blocks, CONV_SLABS), fit));
    return c;
}

/* One item: a slab's sums for columns k .. k+depth-1 and outputs column .. column+columns-1. */
typedef struct {
    const im2col_view *view;
    int64_t group, k, depth, height, column, columns, runs;
    const REAL *x, *dy;
    REAL *sums, *bias; /* bias: NULL if another item has it */
    int64_t step;      /* of the sums' rows */
} K(conv_item);

/* sums += tile, and the rows past `rows` are those of nothing. */
GEMM_INLINE void K(conv_add)(const REAL *tile, int64_t rows, int64_t vectors, REAL *sums,
                             int64_t step) {
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < vectors; j++) {
            REAL *at = sums + i * step + j * VL;
            v_store(at, v_load(at) + v_load(tile + i * GEMM_NR + j * VL));
        }
    }
}

/* Up to NR outputs of `rows` pixels, padded with zeros; the panel where it lies if it is whole. */
static const REAL *K(conv_right)(const REAL *dy, int64_t rows, int64_t lanes, int64_t channels,
                                 K(conv_weight_scratch) *s, int64_t *step) {
    *step = channels;
    if (lanes % VL == 0) return dy;
    *step = GEMM_NR;
    for (int64_t i = 0; i < rows; i++, dy += channels) {
        REAL *to = s->right + i * GEMM_NR;
        int64_t whole = lanes / VL * VL;
        if (whole > 0) v_store(to, v_load(dy));
        v_store(to + whole, v_load_n(dy + whole, lanes - whole));
    }
    return s->right;
}

GEMM_INLINE void K(conv_add_bias)(const REAL *b, int64_t step, int64_t rows, int64_t vectors,
                                  REAL *bias) {
    for (int64_t j = 0; j < vectors; j++) {
        vec sum = {0};
        for (int64_t i = 0; i < rows; i++) sum += v_load(b + i * step + j * VL);
        v_store(bias + j * VL, v_load(bias + j * VL) + sum);
    }
}

/* Add `rows` pixels to an item's sums. */
static void K(conv_weight_block)(const K(conv_item) *p, int64_t pixel, int64_t rows,
                                 K(conv_weight_scratch) *s) {
    const im2col_view *v = p->view;
    K(im2col_rows)(v, p->x, pixel, rows, s->runs, p->runs, s->rows, CONV_STEP);
    const REAL *dy = p->dy + pixel * v->out_channels + p->group * v->group_width + p->column;
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        int64_t lanes = pyad_min(GEMM_NR, p->columns - j), b_step;
        int64_t vectors = lanes > VL ? 2 : 1;
        const REAL *b = K(conv_right)(dy + j, rows, lanes, v->out_channels, s, &b_step);
        for (int64_t i = 0; i < p->depth; i += p->height) {
            int64_t now = pyad_min(p->height, p->depth - i);
            K(conv_sums)[p->height / 2 - 1][vectors > 1](rows, s->rows + i, b, b_step, s->tile);
            K(conv_add)(s->tile, now, vectors, p->sums + i * p->step + j, p->step);
        }
        if (p->bias != NULL) K(conv_add_bias)(b, b_step, rows, vectors, p->bias + j);
    }
}

/* Item number `item` of those of all slabs, groups and blocks. */
static void K(conv_weight_item)(const im2col_view *v, const conv_cut *c, const REAL *x,
                                const REAL *dy, REAL *all, int64_t item, int with_bias,
                                K(conv_weight_scratch) *s) {
    int64_t across = item % c->width_blocks, down = item / c->width_blocks % c->depth_blocks;
    int64_t rest = item / c->width_blocks / c->depth_blocks;
    int64_t groups = c->bias / c->padded, group = rest % groups, slab = rest / groups;
    REAL *sums = all + slab * (groups * c->sum + c->bias);
    K(conv_item) p = {.view = v, .group = group, .k = down * c->step, .x = x, .dy = dy};
    p.column = across * CONV_COLUMNS;
    p.columns = pyad_min(CONV_COLUMNS, c->width - p.column);
    p.depth = pyad_min(c->step, c->depth - p.k);
    p.height = K(gemm_height)(p.depth);
    p.step = c->padded;
    p.sums = sums + group * c->sum + p.k * c->padded + p.column;
    p.bias = with_bias && down == 0 ? sums + groups * c->sum + group * c->padded + p.column : NULL;
    p.runs = im2col_runs(v, group, p.k, p.depth, s->runs);
    /* columns that a tile reads beyond the last one: finite, and of no effect */
    memset(s->rows, 0, sizeof s->rows);
    int64_t blocks = pyad_ceil_div(c->pixels, CONV_PIXELS);
    int64_t end = pyad_min(c->pixels, blocks * (slab + 1) / c->slabs * CONV_PIXELS);
    for (int64_t i = blocks * slab / c->slabs * CONV_PIXELS; i < end; i += CONV_PIXELS) {
        K(conv_weight_block)(&p, i, pyad_min(CONV_PIXELS, end - i), s);
    }
}

/* dw of outputs o .. o+n-1 <= VL of a group, from all slabs: dw[o, channel, tap]. */
static void K(conv_weight_rows)(const im2col_view *v, const conv_cut *c, const REAL *sums,
                                int64_t slab_step, int64_t n, REAL *dw) {
    int64_t taps = im2col_taps(v), channels = v->group_channels;
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t tap = 0; tap < taps; tap++) {
            const REAL *at = sums + (tap * channels + channel) * c->padded;
            vec sum = v_load(at);
            for (int64_t i = 1; i < c->slabs; i++) sum += v_load(at + i * slab_step);
            for (int64_t l = 0; l < n; l++) dw[l * c->depth + channel * taps + tap] = sum[l];
        }
    }
}

/* This thread's rows of dw and elements of db. */
static void K(conv_weight_collect)(const im2col_view *v, const conv_cut *c, const REAL *all,
                                   REAL *dw, REAL *db, const team *t) {
    int64_t groups = c->bias / c->padded, slab_step = groups * c->sum + c->bias;
    int64_t begin, end, panels = c->padded / VL;
    team_range(t, groups * panels, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / panels, column = i % panels * VL;
        int64_t n = pyad_min(VL, c->width - column), o = group * c->width + column;
        const REAL *sums = all + group * c->sum + column;
        K(conv_weight_rows)(v, c, sums, slab_step, n, dw + o * c->depth);
        if (db == NULL) continue;
        const REAL *bias = all + groups * c->sum + group * c->padded + column;
        for (int64_t l = 0; l < n; l++) {
            REAL sum = 0;
            for (int64_t s = 0; s < c->slabs; s++) sum += bias[s * slab_step + l];
            db[o + l] = sum;
        }
    }
}

static int K(conv_bwd_w)(const void *args, const team *t) {
    const conv_bwd_w_args *a = args;
    conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    im2col_view v = conv_view_forward(&s);
    REAL *dw = a->dw.data, *db = a->db.data, *all = t->shared;
    if (conv_is_depthwise(&s)) {
        K(depthwise_weight)(&v, a->x.data, a->dy.data, dw, db, t);
        return 0;
    }
    if (s.out_channels == 0) return 0;
    conv_cut c = K(conv_cut_of)(&v);
    int64_t items = c.slabs * s.groups * c.depth_blocks * c.width_blocks, begin, end;
    /* the sums of a slab that has no pixel, or of the bias if there is no column */
    team_range(t, c.slabs * (s.groups * c.sum + c.bias), 1, &begin, &end);
    memset(all + begin, 0, (size_t)(end - begin) * sizeof(REAL));
    team_barrier(t);
    team_range(t, items, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        K(conv_weight_item)(&v, &c, a->x.data, a->dy.data, all, i, db != NULL, t->scratch);
    }
    team_barrier(t);
    K(conv_weight_collect)(&v, &c, all, dw, db, t);
    return 0;
}

static int64_t K(conv_bwd_w_shared_bytes)(const conv_bwd_w_args *a) {
    conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    im2col_view v = conv_view_forward(&s);
    int64_t elements;
    if (conv_is_depthwise(&s)) {
        elements = DEPTHWISE_SLABS * (conv_taps(&s) + 1) * K(conv_padded)(s.channels);
    } else {
        conv_cut c = K(conv_cut_of)(&v);
        elements = c.slabs * (s.groups * c.sum + c.bias);
    }
    return elements * (int64_t)sizeof(REAL);
}

PYAD_RECORD(conv_bwd_w, conv_bwd_w_args, K(conv_work)(&a->dy, &a->dw),
            sizeof(K(conv_weight_scratch)), K(conv_bwd_w_shared_bytes)(a))
#endif
