/* Depthwise convolution of fewer channels than a vector has lanes: vectors run along the lines of
 * pixels, each lane of another channel.
 *
 * In channels-last memory a line is one row of numbers, in which a tap lies the same distance away
 * for all channels. After `phases` vectors the lanes belong to the same channels again; for as many
 * the weight is spread over the lanes.
 *
 * The output is cut into blocks of FLAT_ROWS rows and of as many columns as fit, an item of work
 * each. The lines that a block sees are copied with the zeros around them. Forward and gradient of
 * the image: phases, vectors of the block's columns, taps; the sums of all its rows stay in
 * registers. Gradient of the weight: taps of the height, phases, taps of the width by FLAT_TAPS,
 * whose sums stay in registers, then rows and columns; blocks are shared out in slabs, each with
 * sums of its own.
 *
 * Blocks and slabs depend on the shape alone.
 */
#ifndef PYAD_FLAT
#define PYAD_FLAT
#define FLAT_ROWS 8
#define FLAT_TAPS 8
#define FLAT_LINES 48  /* of a block, at most */
#define FLAT_PITCH 528 /* elements from line to line: lines of the caches, an odd number of them */
#define FLAT_SPREAD (1 << 14) /* elements of the spread weight, at most */
#define FLAT_SLABS 16

/* How the output is cut up. */
typedef struct {
    int64_t channels, phases;
    int64_t taps;         /* of height and width together */
    int64_t step;         /* from a tap of the width to the next */
    int64_t width, across; /* elements of a line of the output, of one in a block */
    int64_t down, blocks; /* blocks of an image: rows of them, all */
} flat_cut;

/* A block: its image, first row and element, how many. */
typedef struct {
    int64_t image, row, rows, first, size;
} flat_block;

static inline flat_block flat_block_at(const im2col_view *v, const flat_cut *c, int64_t i) {
    const int64_t at = i % c->blocks, row = at % c->down * FLAT_ROWS, first = at / c->down * c->across;
    return (flat_block){i / c->blocks, row, pyad_min(FLAT_ROWS, v->axis[1].count - row), first,
                        pyad_min(c->across, c->width - first)};
}
#endif

typedef struct {
    _Alignas(PYAD_LINE_BYTES) REAL lines[FLAT_LINES * FLAT_PITCH];
    REAL gradient[FLAT_ROWS * FLAT_PITCH], sums[FLAT_SPREAD];
} K(flat_scratch);

/* Cuts the output of a view up; returns whether this way is open to it. */
static PYAD_ONCE int K(flat_cut_of)(const conv_shape *s, const im2col_view *v, flat_cut *c) {
    const im2col_axis *depth = &v->axis[0], *height = &v->axis[1], *width = &v->axis[2];
    const int64_t channels = s->channels;
    if (channels < 1 || channels >= VL) return 0;
    if (s->groups != channels || s->out_channels != channels) return 0;
    if (depth->count != 1 || depth->source != 1 || depth->taps != 1 || depth->first != 0) return 0;
    if (height->step != 1 || width->step != 1) return 0;
    if (height->out_step != 1 || width->out_step != 1) return 0;
    int64_t phases = 1;
    while (phases * VL % channels != 0) phases++;
    const int64_t taps = height->taps * width->taps, round = phases * VL;
    const int64_t above = (height->taps - 1) * height->tap_step;
    const int64_t beside = (width->taps - 1) * width->tap_step * channels;
    if (taps < 1 || (taps + 2) * round > FLAT_SPREAD) return 0;
    if (above > FLAT_LINES - FLAT_ROWS || beside > FLAT_PITCH - round) return 0;
    *c = (flat_cut){channels, phases, taps, width->tap_step * channels, width->count * channels,
                    (FLAT_PITCH - beside) / round * round, pyad_ceil_div(height->count, FLAT_ROWS), 0};
    c->blocks = c->down * pyad_ceil_div(c->width, c->across);
    return 1;
}

/* `rows` rows of `size` elements from row `row` and element `first` on of an image's lines of `width`,
 * zeros where there are none. */
static PYAD_ONCE void K(flat_copy)(const REAL *image, int64_t lines, int64_t width, int64_t row, int64_t rows,
                         int64_t first, int64_t size, REAL *to) {
    for (int64_t i = row; i < row + rows; i++, to += FLAT_PITCH) {
        K(planar_copy)(i >= 0 && i < lines ? image + i * width : NULL, width, first, size, to);
    }
}

/* The lines that a block sees. */
static void K(flat_lines)(const im2col_view *v, const flat_cut *c, const flat_block *b,
                          const REAL *source, REAL *lines) {
    const im2col_axis *h = &v->axis[1], *w = &v->axis[2];
    const int64_t width = w->source * c->channels;
    const int64_t round = c->phases * VL;
    const int64_t size = pyad_ceil_div(b->size, round) * round + (w->taps - 1) * c->step;
    K(flat_copy)(source + b->image * h->source * width, h->source, width, h->first + b->row,
                 b->rows + (h->taps - 1) * h->tap_step, w->first * c->channels + b->first, size,
                 lines);
}

/* ---- forward, gradient of the image ---- */

/* values[channel] for the lanes of a phase; zeros if there are none */
static void K(flat_values)(const flat_cut *c, const REAL *values, int64_t step, int64_t phase,
                           REAL *to) {
    for (int64_t l = 0; l < VL; l++) {
        to[l] = values == NULL ? 0 : values[(phase * VL + l) % c->channels * step];
    }
}

/* This thread's share of what the phases need: scale, bias, and the weight by tap. */
static void K(flat_spread)(const conv_shape *s, const im2col_view *v, const flat_cut *c,
                           const REAL *weight, const K(epilogue) *end, REAL *spread, const team *t) {
    const im2col_axis *h = &v->axis[1], *w = &v->axis[2];
    int64_t phase, last;
    team_range(t, c->phases, 1, &phase, &last);
    for (; phase < last; phase++) {
        REAL *to = spread + phase * (c->taps + 2) * VL;
        K(flat_values)(c, end->scale, 1, phase, to);
        K(flat_values)(c, end->bias, 1, phase, to + VL);
        to += 2 * VL;
        for (int64_t i = 0; i < c->taps; i++, to += VL) {
            const int64_t row = h->index + i / w->taps * h->index_step;
            const int64_t tap = row * s->kernel[2] + w->index + i % w->taps * w->index_step;
            K(flat_values)(c, weight + tap, c->taps, phase, to);
        }
    }
}

/* What one call reads and writes. */
typedef struct {
    const im2col_view *view;
    const flat_cut *cut;
    const REAL *spread;
    const K(epilogue) *end;
} K(flat_job);

/* Store n sums at `out`; a bias alone is what they began with. */
static PYAD_ONCE void K(flat_put)(const K(epilogue) *end, vec sum, vec scale, vec bias, REAL *out,
                                  int64_t n) {
    if (end->scale != NULL) sum = v_fma(sum, scale, bias);
    if (end->residual != NULL) sum += v_load_live(end->residual + (out - end->out), n);
    if (end->activation == PYAD_ACTIVATION_CLAMP && end->p1 == (REAL)INFINITY) {
        sum = v_max(v_set1(end->p0), sum);
    } else if (end->activation != PYAD_ACTIVATION_NONE) {
        sum = K(gemm_activate)(sum, end->activation, end->p0, end->p1);
    }
    v_store_live(out, sum, n);
}

/* n elements of `rows` rows. x: where the first one's first tap lies; spread: of its phase. */
GEMM_INLINE void K(flat_tile)(const K(flat_job) *job, const REAL *x, const REAL *spread,
                              const int64_t rows, REAL *out, int64_t n) {
    const im2col_axis *h = &job->view->axis[1], *w = &job->view->axis[2];
    const vec scale = v_load(spread), bias = v_load(spread + VL);
    const REAL *weight = spread + 2 * VL;
    vec sum[FLAT_ROWS];
    GEMM_UNROLL for (int64_t r = 0; r < rows; r++) {
        sum[r] = job->end->scale == NULL ? bias : (vec){0};
    }
    for (int64_t i = 0; i < h->taps; i++, x += h->tap_step * FLAT_PITCH) {
        const REAL *at = x;
        for (int64_t j = 0; j < w->taps; j++, at += job->cut->step, weight += VL) {
            const vec by = v_load(weight);
            GEMM_UNROLL for (int64_t r = 0; r < rows; r++) {
                sum[r] = v_fma(by, v_load(at + r * FLAT_PITCH), sum[r]);
            }
        }
    }
    GEMM_UNROLL for (int64_t r = 0; r < rows; r++, out += job->cut->width) {
        K(flat_put)(job->end, sum[r], scale, bias, out, n);
    }
}

/* Some rows of a block. */
GEMM_INLINE void K(flat_rows)(const K(flat_job) *job, const REAL *lines, const flat_block *b,
                              const int64_t rows, REAL *out) {
    const int64_t phases = job->cut->phases;
    for (int64_t phase = 0; phase < phases; phase++) {
        const REAL *spread = job->spread + phase * (job->cut->taps + 2) * VL;
        for (int64_t at = phase * VL; at < b->size; at += phases * VL) {
            K(flat_tile)(job, lines + at, spread, rows, out + at, pyad_min(VL, b->size - at));
        }
    }
}

static void K(flat_fill)(const K(flat_job) *job, const REAL *lines, const flat_block *b, REAL *out) {
    const int64_t width = job->cut->width;
    int64_t row = 0;
    if (b->rows == FLAT_ROWS) {
        K(flat_rows)(job, lines, b, FLAT_ROWS, out);
        return;
    }
    for (; row + 2 <= b->rows; row += 2) {
        K(flat_rows)(job, lines + row * FLAT_PITCH, b, 2, out + row * width);
    }
    if (row < b->rows) K(flat_rows)(job, lines + row * FLAT_PITCH, b, 1, out + row * width);
}

/* This thread's blocks; `shared` has room for the spread weight. */
static PYAD_ONCE void K(flat_apply)(const conv_shape *s, const im2col_view *v, const flat_cut *c,
                          const REAL *source, const REAL *weight, const K(epilogue) *end, REAL *out,
                          const team *t) {
    K(flat_scratch) *scratch = t->scratch;
    const K(flat_job) job = {v, c, t->shared, end};
    int64_t i, last;
    K(flat_spread)(s, v, c, weight, end, t->shared, t);
    team_barrier(t);
    team_range(t, v->images * c->blocks, 1, &i, &last);
    for (; i < last; i++) {
        const flat_block b = flat_block_at(v, c, i);
        K(flat_lines)(v, c, &b, source, scratch->lines);
        const int64_t row = b.image * v->axis[1].count + b.row;
        K(flat_fill)(&job, scratch->lines, &b, out + row * c->width + b.first);
    }
}

static inline int64_t K(flat_spread_bytes)(const flat_cut *c) {
    return (c->taps + 2) * c->phases * VL * (int64_t)sizeof(REAL);
}

/* ---- gradient of the weight ---- */

/* sums[u] += the block's products with tap u of a line, for the lanes of one phase. x and dy: where
 * the phase begins. */
GEMM_INLINE void K(flat_products)(const flat_cut *c, const flat_block *b, const REAL *x,
                                  const REAL *dy, int64_t size, const int64_t taps, REAL *sums) {
    vec sum[FLAT_TAPS];
    GEMM_UNROLL for (int64_t u = 0; u < taps; u++) sum[u] = v_load(sums + u * VL);
    for (int64_t r = 0; r < b->rows; r++, x += FLAT_PITCH, dy += FLAT_PITCH) {
        for (int64_t at = 0; at < size; at += c->phases * VL) {
            const vec by = v_load(dy + at);
            GEMM_UNROLL for (int64_t u = 0; u < taps; u++) {
                sum[u] = v_fma(by, v_load(x + at + u * c->step), sum[u]);
            }
        }
    }
    GEMM_UNROLL for (int64_t u = 0; u < taps; u++) v_store(sums + u * VL, sum[u]);
}

/* A block's part of the sums [phase][tap][lane], after the taps of a phase that of dy for the bias. */
static void K(flat_add)(const im2col_view *v, const flat_cut *c, const flat_block *b,
                        K(flat_scratch) *s) {
    const im2col_axis *h = &v->axis[1], *w = &v->axis[2];
    REAL *sums = s->sums;
    for (int64_t phase = 0; phase < c->phases; phase++, sums += VL) {
        const REAL *dy = s->gradient + phase * VL;
        const int64_t size = b->size - phase * VL;
        for (int64_t i = 0; i < h->taps; i++) {
            const REAL *x = s->lines + i * h->tap_step * FLAT_PITCH + phase * VL;
            int64_t j = 0;
            for (; j + FLAT_TAPS <= w->taps; j += FLAT_TAPS, sums += FLAT_TAPS * VL) {
                K(flat_products)(c, b, x + j * c->step, dy, size, FLAT_TAPS, sums);
            }
            for (; j + 3 <= w->taps; j += 3, sums += 3 * VL) {
                K(flat_products)(c, b, x + j * c->step, dy, size, 3, sums);
            }
            for (; j < w->taps; j++, sums += VL) {
                K(flat_products)(c, b, x + j * c->step, dy, size, 1, sums);
            }
        }
        vec all = v_load(sums);
        for (int64_t r = 0; r < b->rows; r++) {
            for (int64_t at = 0; at < size; at += c->phases * VL) {
                all += v_load(dy + r * FLAT_PITCH + at);
            }
        }
        v_store(sums, all);
    }
}

/* The sums of a slab's lanes: [tap][channel], after them those for the bias. */
static void K(flat_fold)(const flat_cut *c, const REAL *sums, REAL *to) {
    const int64_t each = (c->taps + 1) * VL;
    memset(to, 0, (size_t)((c->taps + 1) * c->channels) * sizeof(REAL));
    for (int64_t phase = 0; phase < c->phases; phase++, sums += each) {
        for (int64_t i = 0; i < each; i++) {
            to[i / VL * c->channels + (phase * VL + i % VL) % c->channels] += sums[i];
        }
    }
}

static inline int64_t K(flat_slabs)(const im2col_view *v, const flat_cut *c) {
    return pyad_min(FLAT_SLABS, v->images * c->blocks);
}

/* Elements of all slabs' sums. */
static inline int64_t K(flat_slab_size)(const flat_cut *c) { return (c->taps + 1) * c->channels; }

/* dw[c, tap] and db[c]. */
static PYAD_ONCE void K(flat_weight)(const im2col_view *v, const flat_cut *c, const REAL *x, const REAL *dy,
                           REAL *dw, REAL *db, const team *t) {
    const int64_t slabs = K(flat_slabs)(v, c), blocks = v->images * c->blocks;
    const int64_t size = K(flat_slab_size)(c), lines = v->axis[1].count;
    const int64_t round = c->phases * VL;
    K(flat_scratch) *s = t->scratch;
    REAL *all = t->shared;
    int64_t begin, end;
    team_range(t, slabs, 1, &begin, &end);
    for (int64_t slab = begin; slab < end; slab++) {
        memset(s->sums, 0, (size_t)((c->taps + 1) * round) * sizeof(REAL));
        for (int64_t i = blocks * slab / slabs; i < blocks * (slab + 1) / slabs; i++) {
            const flat_block b = flat_block_at(v, c, i);
            K(flat_lines)(v, c, &b, x, s->lines);
            K(flat_copy)(dy + b.image * lines * c->width, lines, c->width, b.row, b.rows, b.first,
                         pyad_ceil_div(b.size, round) * round, s->gradient);
            K(flat_add)(v, c, &b, s);
        }
        K(flat_fold)(c, s->sums, all + slab * size);
    }
    team_barrier(t);
    team_range(t, c->channels, 1, &begin, &end);
    for (int64_t k = begin; k < end; k++) {
        for (int64_t tap = 0; tap < c->taps + (db != NULL); tap++) {
            REAL sum = 0;
            for (int64_t i = 0; i < slabs; i++) sum += all[i * size + tap * c->channels + k];
            *(tap < c->taps ? &dw[k * c->taps + tap] : &db[k]) = sum;
        }
    }
}
