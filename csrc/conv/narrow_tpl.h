/* Few channels to write, of the output or, backward, of the image (so does the transposed
 * convolution): vectors run across strips of it, as one of three channels would fill 3 of 16 lanes.
 *
 * A strip is some rows of one image; VL strips lie side by side in the lanes. They are cut into
 * blocks of NARROW_COLUMNS pixels of each phase of the stride (forward there is one), an item of
 * work each. For NARROW_DEPTH channels of the source at a time (backward the output's gradient),
 * what a block sees of it is turned from channels side by side to strips side by side, with zeros
 * around it, into L2:
 *
 *   turned[row][column][channel][strip]
 *
 * Taps then lie whole vectors apart. Loops: taps along the depth, source channels by NARROW_DEPTH,
 * phases of height and width, rows, pixels by as many as have their sums of all channels in
 * registers, taps of height and width, source channels. Each time sums begin from zero and are
 * added to those of the block, which stay in L2 and are laid into their place at the end.
 *
 * Strips and blocks depend on the shape alone, and every pixel belongs to one of them.
 */
#ifndef PYAD_NARROW
#define PYAD_NARROW
#define NARROW_PHASES 32  /* of an axis, at most */
#define NARROW_DEPTH 16   /* source channels turned at a time: whole vectors of every ISA */
#define NARROW_ROWS 8     /* of a strip and phase, at most */
#define NARROW_COLUMNS 16
#define NARROW_TURNED ((int64_t)((1 << 18) / sizeof(REAL))) /* elements */
#define NARROW_SUMS ((int64_t)((1 << 18) / sizeof(REAL)))
#define NARROW_AHEAD 8 /* columns, fetched ahead into L2: in L1 strips may share few sets */
#define NARROW_TURN 8 /* turning an element of all strips takes as long as so many products */

/* Pixels whose sums stay in registers, beside as many weights as there are channels. */
#if VECTOR_BYTES == 64
#define NARROW_PIXELS(channels) ((channels) < 4 ? 8 : 4)
#else
#define NARROW_PIXELS(channels) ((channels) < 2 ? 8 : (channels) < 4 ? 4 : 2)
#endif

/* What each phase of an axis sees. */
typedef struct {
    im2col_axis phase[NARROW_PHASES];
    int64_t phases, taps; /* taps: of all phases together */
    int64_t count;        /* pixels of a phase, at most */
    int64_t first, reach; /* source pixels that pixel 0 sees in any phase: the first, those after it */
    int64_t step;         /* from what a pixel sees to what the next one of its phase does */
} narrow_axis;

typedef struct {
    int backward;
    int64_t channels, sources; /* to write, of the source */
    narrow_axis depth, height, width;
    int64_t rows, columns; /* of a block, in each phase */
    int64_t down, across;  /* strips of an image (or slice), blocks of a strip */
    int64_t groups;        /* of VL strips, for each phase of the depth */
    int64_t pitch, lines;  /* columns and rows of what is turned */
} narrow_cut;

/* A block: the first strip's number, the phase of its depth, the first column. */
typedef struct {
    int64_t strip, depth, column;
} narrow_block;

/* A strip: image, slice of it in the counting of its phase, first row. */
typedef struct {
    int64_t image, slice, row;
} narrow_strip;

static inline void narrow_axis_of(const im2col_numbers *a, int backward, narrow_axis *n) {
    int64_t last = INT64_MIN;
    /* of the phases only those that there are: zeros for all would take longer than the rest */
    n->phases = backward ? conv_axis_phases(a) : 1;
    n->step = backward ? 1 : a->stride;
    n->taps = n->count = 0;
    n->first = INT64_MAX;
    for (int64_t i = 0; i < n->phases; i++) {
        im2col_axis *phase = &n->phase[i];
        *phase = backward ? im2col_backward(a, i) : im2col_forward(a);
        n->taps += phase->taps;
        n->count = pyad_max(n->count, phase->count);
        if (phase->taps == 0) continue;
        n->first = pyad_min(n->first, phase->first);
        last = pyad_max(last, phase->first + (phase->taps - 1) * phase->tap_step);
    }
    if (n->taps == 0) n->first = last = 0;
    n->reach = last - n->first;
}

static inline narrow_strip narrow_strip_at(const narrow_cut *c, int64_t strip) {
    int64_t slice = strip / c->down;
    return (narrow_strip){slice / c->depth.count, slice % c->depth.count,
                          strip % c->down * c->rows};
}
#endif

/* ---- how an image is cut up ---- */

/* Strips of `rows` rows; returns the cost of the whole image, in products of vectors with one weight
 * and by channel of the source, or 0 if a block does not fit. */
static int64_t K(narrow_cut_rows)(const conv_shape *s, narrow_cut *c, int64_t rows) {
    c->rows = rows;
    c->lines = (rows - 1) * c->height.step + 1 + c->height.reach;
    c->down = pyad_ceil_div(c->height.count, rows);
    c->groups = pyad_ceil_div(s->images * c->depth.count * c->down, VL);
    int64_t turned = c->lines * c->pitch;
    int64_t sums = c->height.phases * c->width.phases * c->channels * rows * c->columns;
    if (turned > NARROW_TURNED / (NARROW_DEPTH * VL) || sums > NARROW_SUMS / VL) return 0;
    int64_t products = rows * c->columns * c->height.taps * c->width.taps * c->channels;
    return c->groups * c->across * c->depth.taps * (products + NARROW_TURN * turned);
}

/* Cuts up what is written; returns whether this way is open and better than one with channels as
 * lanes. */
static PYAD_ONCE int K(narrow_cut_of)(const conv_shape *s, int backward,
                                                      narrow_cut *c) {
    c->backward = backward;
    c->channels = backward ? s->channels : s->out_channels;
    c->sources = backward ? s->out_channels : s->channels;
    if (s->groups != 1 || c->channels < 1 || c->channels > PYAD_NARROW_CHANNELS) return 0;
    /* tiles read neighbouring columns; of one tap, what was turned would serve but once */
    if (!backward && (s->axis[2].stride != 1 || conv_taps(s) == 1)) return 0;
    for (int64_t i = 0; i < 3; i++) {
        int64_t phases = conv_axis_phases(&s->axis[i]);
        if (phases < 1 || phases > NARROW_PHASES) return 0;
    }
    narrow_axis_of(&s->axis[0], backward, &c->depth);
    narrow_axis_of(&s->axis[1], backward, &c->height);
    narrow_axis_of(&s->axis[2], backward, &c->width);
    c->columns = pyad_min(NARROW_COLUMNS, c->width.count);
    c->across = pyad_ceil_div(c->width.count, c->columns);
    c->pitch = c->columns + c->width.reach;
    if (c->pitch > NARROW_TURNED || c->height.reach > NARROW_TURNED) return 0;
    int64_t taps = c->depth.taps * c->height.taps * c->width.taps;
    int64_t best = 0, least = s->images * c->depth.count * c->height.count * c->width.count * taps;
    for (int64_t rows = 1; rows <= pyad_min(NARROW_ROWS, c->height.count); rows++) {
        int64_t cost = K(narrow_cut_rows)(s, c, rows);
        if (cost > 0 && cost <= least) best = rows, least = cost;
    }
    if (best > 0) K(narrow_cut_rows)(s, c, best);
    return best > 0;
}

/* ---- the weight ---- */

/* The weights of source channels channel .. channel+depth-1 for one tap of the depth, in the order
 * in which they are read: [phase of the height][of the width][tap][source channel][channel]. */
static void K(narrow_pack_block)(const conv_shape *s, const narrow_cut *c, const REAL *weight,
                                 int64_t tap_d, int64_t channel, int64_t depth, REAL *packed) {
    int64_t taps = conv_taps(s), phases = c->width.phases;
    /* the weight lies as (output, channel of the image, tap) */
    int64_t from_source = c->backward ? c->channels * taps : taps;
    int64_t from_channel = c->backward ? taps : c->sources * taps;
    for (int64_t i = 0; i < c->height.phases * phases; i++) {
        const im2col_axis *h = &c->height.phase[i / phases], *w = &c->width.phase[i % phases];
        for (int64_t j = 0; j < h->taps * w->taps; j++) {
            int64_t tap_h = h->index + j / w->taps * h->index_step;
            int64_t tap_w = w->index + j % w->taps * w->index_step;
            int64_t tap = (tap_d * s->kernel[1] + tap_h) * s->kernel[2] + tap_w;
            const REAL *from = weight + channel * from_source + tap;
            for (int64_t k = 0; k < depth; k++, from += from_source) {
                for (int64_t o = 0; o < c->channels; o++) *packed++ = from[o * from_channel];
            }
        }
    }
}

/* Packed weights of one tap of the depth. */
static inline int64_t K(narrow_packed)(const narrow_cut *c) {
    return c->sources * c->height.taps * c->width.taps * c->channels;
}

/* This thread's share of them: [phase of the depth][tap of it][source channels]. */
static void K(narrow_pack)(const conv_shape *s, const narrow_cut *c, const REAL *weight,
                           REAL *packed, const team *t) {
    int64_t begin, end, each = c->height.taps * c->width.taps * c->channels;
    team_range(t, c->sources, NARROW_DEPTH, &begin, &end);
    for (int64_t i = 0; i < c->depth.phases; i++) {
        const im2col_axis *d = &c->depth.phase[i];
        for (int64_t j = 0; j < d->taps; j++, packed += K(narrow_packed)(c)) {
            for (int64_t k = begin; k < end; k += NARROW_DEPTH) {
                K(narrow_pack_block)(s, c, weight, d->index + j * d->index_step, k,
                                     pyad_min(NARROW_DEPTH, end - k), packed + k * each);
            }
        }
    }
}

/* ---- turning ---- */

/* A thread's own memory. */
typedef struct {
    const REAL *from[VL]; /* a row of each strip, NULL outside the source */
    _Alignas(PYAD_LINE_BYTES) REAL turned[NARROW_TURNED];
    _Alignas(PYAD_LINE_BYTES) REAL sums[NARROW_SUMS];
} K(narrow_scratch);

/* What one call reads and writes. */
typedef struct {
    int64_t images;
    const narrow_cut *cut;
    const REAL *source, *packed;
    const K(epilogue) *end;
    REAL *out;
} K(narrow_job);

/* Where row `row` of what a block sees begins in each strip, in column 0 of the source; returns
 * whether it lies in the source for any of them. */
static PYAD_ONCE int K(narrow_rows)(const K(narrow_job) *job, const narrow_block *at, int64_t tap_d,
                          int64_t row, const REAL **from) {
    const narrow_cut *c = job->cut;
    const im2col_axis *d = &c->depth.phase[at->depth];
    int64_t slices = d->source, height = c->height.phase->source;
    int any = 0;
    int64_t size = c->width.phase->source * c->sources;
    for (int64_t l = 0; l < VL; l++) {
        narrow_strip strip = narrow_strip_at(c, at->strip + l);
        int64_t slice = d->first + strip.slice * d->step + tap_d * d->tap_step;
        int64_t line = strip.row * c->height.step + c->height.first + row;
        from[l] = NULL;
        if (strip.image >= job->images || slice < 0 || slice >= slices || line < 0 ||
            line >= height) {
            continue;
        }
        from[l] = job->source + ((strip.image * slices + slice) * height + line) * size;
        any = 1;
    }
    return any;
}

/* `count` <= NARROW_DEPTH channels of `columns` pixels of all strips, `pixel` apart. */
static PYAD_ONCE void K(narrow_turn)(const REAL *const *from, int64_t offset, int64_t pixel,
                           int64_t columns, int64_t count, REAL *turned) {
    static const REAL zeros[NARROW_DEPTH] = {0};
    const REAL *at[VL];
    int64_t step[VL];
    vec v[VL];
    for (int64_t l = 0; l < VL; l++) {
        at[l] = from[l] == NULL ? zeros : from[l] + offset;
        step[l] = from[l] == NULL ? 0 : pixel;
    }
    for (int64_t i = 0; i < columns; i++, turned += NARROW_DEPTH * VL) {
        for (int64_t k = 0; k < count; k += VL) {
            int64_t n = pyad_min(VL, count - k);
            if (n == VL) {
                GEMM_UNROLL for (int64_t l = 0; l < VL; l++) v[l] = v_load(at[l] + k);
            } else {
                for (int64_t l = 0; l < VL; l++) v[l] = v_load_n(at[l] + k, n);
            }
            K(v_transpose)(v, (int)VL);
            GEMM_UNROLL for (int64_t l = 0; l < VL; l++) v_store(turned + (k + l) * VL, v[l]);
        }
        for (int64_t l = 0; l < VL; l++) {
            __builtin_prefetch(at[l] + NARROW_AHEAD * step[l], 0, 2);
            __builtin_prefetch(at[l] + NARROW_DEPTH, 0, 2); /* what is turned next */
            at[l] += step[l];
        }
    }
}

/* Channels channel .. channel+count-1 of all that a block sees through one tap of the depth. */
static void K(narrow_turn_rows)(const K(narrow_job) *job, const narrow_block *at, int64_t tap_d,
                                int64_t channel, int64_t count, K(narrow_scratch) *s) {
    const narrow_cut *c = job->cut;
    const int64_t unit = NARROW_DEPTH * VL;
    int64_t width = c->width.phase->source, pixel = c->sources;
    int64_t column = at->column + c->width.first;
    int64_t begin = pyad_min(c->pitch, pyad_max(0, -column));
    int64_t end = pyad_max(begin, pyad_min(c->pitch, width - column));
    REAL *turned = s->turned;
    for (int64_t i = 0; i < c->lines; i++, turned += c->pitch * unit) {
        int any = K(narrow_rows)(job, at, tap_d, i, s->from);
        int64_t from = any ? begin : c->pitch, to = any ? end : c->pitch;
        memset(turned, 0, (size_t)(from * unit) * sizeof(REAL));
        K(narrow_turn)(s->from, (column + from) * pixel + channel, pixel, to - from, count,
                       turned + from * unit);
        memset(turned + to * unit, 0, (size_t)((c->pitch - to) * unit) * sizeof(REAL));
    }
}

/* ---- the sums ---- */

/* The taps through which a row of one phase sees what is turned, and their weights
 * [tap][source channel][channel]. */
typedef struct {
    const REAL *turned, *weight;
    const im2col_axis *height, *width;
    int64_t pitch, depth; /* depth: source channels */
    REAL *sums;
    int64_t sums_step; /* from channel to channel */
} K(narrow_row);

/* `pixels` of the row from `at` on. */
GEMM_INLINE void K(narrow_tile)(const K(narrow_row) *p, int64_t at, const int64_t channels,
                                const int64_t pixels) {
    const int64_t unit = NARROW_DEPTH * VL;
    vec sum[PYAD_NARROW_CHANNELS][8];
    const REAL *w = p->weight;
    GEMM_UNROLL for (int64_t c = 0; c < channels; c++) {
        GEMM_UNROLL for (int64_t j = 0; j < pixels; j++) sum[c][j] = (vec){0};
    }
    for (int64_t h = 0; h < p->height->taps; h++) {
        const REAL *row = p->turned + (h * p->height->tap_step * p->pitch + at) * unit;
        for (int64_t l = 0; l < p->width->taps; l++, row += p->width->tap_step * unit) {
            const REAL *x = row;
            for (int64_t d = p->depth; d > 0; d--, x += VL, w += channels) {
                vec weight[PYAD_NARROW_CHANNELS];
                GEMM_UNROLL for (int64_t c = 0; c < channels; c++) weight[c] = v_set1(w[c]);
                GEMM_UNROLL for (int64_t j = 0; j < pixels; j++) {
                    vec right = v_load(x + j * unit);
                    GEMM_UNROLL for (int64_t c = 0; c < channels; c++) {
                        sum[c][j] = v_fma(weight[c], right, sum[c][j]);
                    }
                }
            }
        }
    }
    REAL *to = p->sums + at * VL;
    GEMM_UNROLL for (int64_t c = 0; c < channels; c++, to += p->sums_step) {
        GEMM_UNROLL for (int64_t j = 0; j < pixels; j++) {
            v_store(to + j * VL, v_load(to + j * VL) + sum[c][j]);
        }
    }
}

GEMM_INLINE void K(narrow_row_of)(const K(narrow_row) *p, int64_t columns,
                                  const int64_t channels) {
    const int64_t most = NARROW_PIXELS(channels);
    int64_t at = 0;
    for (; at + most <= columns; at += most) K(narrow_tile)(p, at, channels, most);
    if (most > 4 && at + 4 <= columns) {
        K(narrow_tile)(p, at, channels, 4);
        at += 4;
    }
    if (most > 2 && at + 2 <= columns) {
        K(narrow_tile)(p, at, channels, 2);
        at += 2;
    }
    for (; at < columns; at++) K(narrow_tile)(p, at, channels, 1);
}

static PYAD_ONCE void K(narrow_add)(const K(narrow_row) *p, int64_t columns, int64_t channels) {
    switch (channels) {
    case 1: K(narrow_row_of)(p, columns, 1); break;
    case 2: K(narrow_row_of)(p, columns, 2); break;
    case 3: K(narrow_row_of)(p, columns, 3); break;
    default: K(narrow_row_of)(p, columns, 4); break;
    }
}

/* The products of all phases of height and width with `count` turned channels; `columns` of a phase
 * lie in the image. */
static void K(narrow_products)(const narrow_cut *c, const REAL *weight, int64_t count,
                               int64_t columns, K(narrow_scratch) *s) {
    const int64_t unit = NARROW_DEPTH * VL;
    int64_t channels = c->channels, phases = c->width.phases;
    int64_t line = c->height.step * c->pitch * unit; /* from row to row of what is turned */
    int64_t sums_row = c->columns * VL, sums_step = c->rows * sums_row;
    REAL *sums = s->sums;
    for (int64_t i = 0; i < c->height.phases * phases; i++, sums += channels * sums_step) {
        const im2col_axis *h = &c->height.phase[i / phases], *w = &c->width.phase[i % phases];
        if (h->taps == 0 || w->taps == 0) continue;
        const REAL *turned = s->turned + (h->first - c->height.first) * c->pitch * unit +
                             (w->first - c->width.first) * unit;
        for (int64_t j = 0; j < c->rows; j++) {
            K(narrow_row) row = {turned + j * line, weight, h, w, c->pitch, count,
                                 sums + j * sums_row, sums_step};
            K(narrow_add)(&row, columns, channels);
        }
        weight += h->taps * w->taps * count * channels;
    }
}

/* ---- blocks ---- */

/* `pixels` finished sums side by side become what is stored: channels that are fewer than VL, as
 * narrow_cut_of finds no more of them worth it. */
static PYAD_ONCE void K(narrow_finish)(const K(epilogue) *e, int64_t channels,
                                                       int64_t pixels, REAL *out) {
    for (int64_t i = 0; i < pixels; i++, out += channels) {
        vec sum = v_load_live(out, channels);
        v_store_live(out, K(epilogue_apply)(e, sum, 0, out, channels), channels);
    }
}

/* The sums of row `row` of one phase of the height into their place. */
static PYAD_ONCE void K(narrow_lay_row)(const K(narrow_job) *job, const narrow_block *at, int64_t phase,
                              int64_t row, const REAL *sums) {
    const narrow_cut *c = job->cut;
    const im2col_axis *d = c->depth.phase, *h = c->height.phase, *w = c->width.phase;
    const K(epilogue) *end = job->end;
    int64_t channels = c->channels, step = w->out_step * channels;
    int plain = end->scale == NULL && end->residual == NULL &&
                end->activation == PYAD_ACTIVATION_NONE;
    int64_t sums_step = c->rows * c->columns * VL;
    for (int64_t l = 0; l < VL; l++) {
        narrow_strip strip = narrow_strip_at(c, at->strip + l);
        int64_t slice = at->depth + strip.slice * d->out_step;
        int64_t line = phase + (strip.row + row) * h->out_step;
        if (strip.image >= job->images || slice >= d->out_size || line >= h->out_size) continue;
        int64_t above = (strip.image * d->out_size + slice) * h->out_size + line;
        REAL *out = job->out + above * w->out_size * channels + at->column * step;
        for (int64_t i = 0; i < c->width.phases * channels; i++) {
            int64_t count = c->width.phase[i / channels].count - at->column;
            const REAL *from = sums + i * sums_step + l;
            REAL bias = !plain || end->bias == NULL ? 0 : end->bias[i % channels];
            if (count >= NARROW_COLUMNS) {
                GEMM_UNROLL for (int64_t j = 0; j < NARROW_COLUMNS; j++) {
                    out[j * step + i] = from[j * VL] + bias;
                }
                continue;
            }
            for (int64_t j = 0; j < count; j++) out[j * step + i] = from[j * VL] + bias;
        }
        if (!plain) {
            /* forward: one phase */
            int64_t pixels = pyad_min(c->columns, w->count - at->column);
            K(narrow_finish)(end, channels, pixels, out);
        }
    }
}

static void K(narrow_fill_block)(const K(narrow_job) *job, const narrow_block *at,
                                 K(narrow_scratch) *s) {
    const narrow_cut *c = job->cut;
    int64_t depth = c->sources, each = K(narrow_packed)(c);
    int64_t columns = pyad_min(c->columns, c->width.count - at->column);
    int64_t phase = c->width.phases * c->channels * c->rows * c->columns * VL;
    const REAL *packed = job->packed;
    memset(s->sums, 0, (size_t)(c->height.phases * phase) * sizeof(REAL));
    for (int64_t i = 0; i < at->depth; i++) packed += c->depth.phase[i].taps * each;
    for (int64_t i = 0; i < c->depth.phase[at->depth].taps; i++, packed += each) {
        for (int64_t k = 0; k < depth; k += NARROW_DEPTH) {
            int64_t count = pyad_min(NARROW_DEPTH, depth - k);
            K(narrow_turn_rows)(job, at, i, k, count, s);
            K(narrow_products)(c, packed + each / depth * k, count, columns, s);
        }
    }
    for (int64_t i = 0; i < c->height.phases; i++) {
        for (int64_t j = 0; j < c->rows; j++) {
            K(narrow_lay_row)(job, at, i, j, s->sums + i * phase + j * c->columns * VL);
        }
    }
}

/* The output or the image's gradient; `shared` has room for the packed weight. */
static void K(narrow_gather)(const conv_shape *s, const narrow_cut *c, const REAL *source,
                             const REAL *weight, const K(epilogue) *end, REAL *out,
                             const team *t) {
    K(narrow_job) job = {s->images, c, source, t->shared, end, out};
    K(narrow_pack)(s, c, weight, t->shared, t);
    team_barrier(t);
    team_turns turns = team_take(t, c->depth.phases * c->groups * c->across, 1, 1);
    for (int64_t i; (i = team_each(&turns)) >= 0;) {
        int64_t group = i / c->across;
        narrow_block at = {group % c->groups * VL, group / c->groups, i % c->across * c->columns};
        K(narrow_fill_block)(&job, &at, t->scratch);
    }
}
