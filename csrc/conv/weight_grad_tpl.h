/* The gradient of the weight, and of the bias beside it:
 *
 *   dw[k, o] = sum over pixels of column[pixel, k] dy[pixel, o],   k = (tap, channel)
 *
 * Pixels are cut into slabs, as many as the shape says; slab, range of k and range of o make an
 * item of work with sums of its own, and the slabs are added in order at the end. Loops: items,
 * which the threads take in turns; blocks of about CONV_PIXELS pixels, each summed from zero, so that
 * rounding errors stay small; parts of the columns, whose rows are copied into L2; panels of NR
 * outputs; tiles of MR columns.
 */

#ifndef PYAD_CONV_WEIGHT_GRAD
#define PYAD_CONV_WEIGHT_GRAD
#define CONV_WEIGHT_COLUMNS 256      /* outputs of a block */
#define CONV_SLABS 16
#define CONV_SLAB_ELEMENTS (1 << 21) /* of all slabs' sums together, if one alone is not larger */
#define CONV_ITEM_ELEMENTS (1 << 17) /* of an item's sums, which stay in L2 */

/* How the sum is cut up; by shape alone. The columns are cut into units (some whole lines of taps,
 * or one), each unit into parts of `step`. Where zeros around the image are many, a part is one tap
 * or line, and pixels that do not see it are left out (`trim`). */
typedef struct {
    int64_t depth, unit, parts, step; /* columns: all, of a unit; parts of one; columns of one */
    int64_t all_parts, item_parts;    /* parts in all, of an item of work */
    int64_t width, padded;            /* outputs of a group */
    int64_t across, down;             /* items over the outputs, over the columns */
    int64_t groups, slabs;
    int64_t block, blocks; /* pixels of a block, about CONV_PIXELS; blocks, shared by the slabs */
    int64_t sum, bias; /* elements of a slab: of its sums for one group, of those of the bias */
    int trim;
} conv_cut;

static inline void conv_cut_depth(conv_cut *c, const im2col_view *v, int64_t most) {
    int64_t channels = v->group_channels, line = v->axis[2].taps * channels;
    c->depth = conv_depth(v);
    c->unit = line <= most && !c->trim ? most / pyad_max(1, line) * line : line;
    if (line <= most && !(c->trim && channels >= most / 2)) {
        c->step = c->unit;
    } else if (channels <= most) {
        int64_t taps = c->trim ? 1 : most / channels;
        int64_t pieces = pyad_ceil_div(v->axis[2].taps, taps);
        c->step = pyad_ceil_div(v->axis[2].taps, pieces) * channels;
    } else {
        c->step = pyad_ceil_div(channels, pyad_ceil_div(channels, most));
    }
    if (c->depth == 0) return;
    c->parts = pyad_ceil_div(c->unit, c->step);
    c->all_parts = c->depth / c->unit * c->parts + pyad_ceil_div(c->depth % c->unit, c->step);
}

/* Of `count` pixels in a line, the first with its first tap at source pixel `first`: those that see
 * some tap of a range. */
static inline im2col_range conv_seeing(const im2col_axis *a, const im2col_range *taps,
                                       int64_t first, int64_t count) {
    int64_t low = first + taps->begin * a->tap_step; /* where the first one's taps lie */
    int64_t high = first + (taps->end - 1) * a->tap_step;
    im2col_range r = {0, 0};
    if (high < 0) r.begin = pyad_min(count, pyad_ceil_div(-high, a->step));
    if (low < a->source) r.end = pyad_min(count, (a->source - 1 - low) / a->step + 1);
    r.end = pyad_max(r.begin, r.end);
    return r;
}

/* The taps of columns k .. k+depth-1. */
static inline void conv_column_box(const im2col_view *v, int64_t k, int64_t depth,
                                   im2col_range *box) {
    int64_t begin = k / v->group_channels, end = (k + depth - 1) / v->group_channels + 1;
    for (int64_t i = 2; i >= 0; i--) {
        int64_t taps = v->axis[i].taps;
        int64_t line = begin / taps, past = (end - 1) / taps + 1;
        int whole = past - line > 1;
        box[i] = (im2col_range){whole ? 0 : begin - line * taps, whole ? taps : end - line * taps};
        begin = line;
        end = past;
    }
}
#endif

/* A thread's own memory. */
typedef struct {
    im2col_run runs[CONV_RUNS];
    int64_t spans[CONV_PIXELS], depths[CONV_PIXELS];
    _Alignas(PYAD_LINE_BYTES) REAL rows[CONV_PIXELS * CONV_STEP];
    _Alignas(PYAD_LINE_BYTES) REAL right[CONV_PIXELS * CONV_WEIGHT_COLUMNS];
    _Alignas(PYAD_LINE_BYTES) REAL aside[CONV_WEIGHT_COLUMNS];
    REAL *out[CONV_RUNS + GEMM_MR];
} K(conv_sums_scratch);

static conv_cut K(conv_cut_of)(const im2col_view *v) {
    conv_cut c = {.groups = v->out_channels / pyad_max(1, v->group_width), .width = v->group_width};
    c.trim = conv_depth(v) >= CONV_DEPTH && K(conv_has_zeros)(v);
    conv_cut_depth(&c, v, CONV_DEPTH);
    c.padded = K(conv_padded)(c.width);
    c.across = pyad_ceil_div(c.width, CONV_WEIGHT_COLUMNS);
    int64_t columns = pyad_min(c.padded, CONV_WEIGHT_COLUMNS);
    c.item_parts = pyad_max(1, CONV_ITEM_ELEMENTS / pyad_max(1, c.step * columns));
    c.down = pyad_max(1, pyad_ceil_div(c.all_parts, c.item_parts));
    c.sum = c.depth * c.padded;
    c.bias = c.groups * c.padded;
    int64_t fit = CONV_SLAB_ELEMENTS / pyad_max(1, c.groups * c.sum + c.bias);
    /* block <= CONV_PIXELS, so (blocks - 1) block < pixels: no block is empty */
    c.blocks = pyad_max(1, pyad_ceil_div(im2col_pixels(v), CONV_PIXELS));
    c.block = pyad_max(1, pyad_ceil_div(im2col_pixels(v), c.blocks));
    int64_t most = pyad_min(fit, c.blocks);
    for (c.slabs = 1; c.slabs < CONV_SLABS && 2 * c.slabs <= most;) c.slabs *= 2;
    return c;
}

/* Elements of one slab. */
static inline int64_t K(conv_slab)(const conv_cut *c) { return c->groups * c->sum + c->bias; }

/* One item: a slab's sums for some parts of the columns and outputs column .. column+columns-1. */
typedef struct {
    const im2col_view *view;
    const conv_cut *cut;
    int64_t group, part, parts, column, columns;
    const REAL *x, *dy; /* dy: from the item's first column on */
    REAL *sums, *bias;  /* of all parts; bias: NULL if another item has it */
    int direct;         /* dy is read where it lies */
} K(conv_item);

/* Columns k .. k+depth-1 and their taps. */
typedef struct {
    int64_t k, depth, runs;
    im2col_range box[3];
} K(conv_columns);

/* The outputs of `rows` pixels, panels of NR side by side: rows of many channels would share a few
 * sets of the cache. A rest is padded with zeros. */
static void K(conv_right)(const K(conv_item) *p, const REAL *dy, int64_t rows, REAL *right) {
    int64_t whole = p->columns / VL * VL, rest = p->columns - whole;
    for (int64_t i = 0; i < rows; i++, dy += p->view->out_channels) {
        REAL *to = right + i * GEMM_NR;
        for (int64_t j = 0; j < whole; j += VL) {
            v_store(to + j / GEMM_NR * CONV_PIXELS * GEMM_NR + j % GEMM_NR, v_load(dy + j));
        }
        if (rest == 0) continue;
        v_store(to + whole / GEMM_NR * CONV_PIXELS * GEMM_NR + whole % GEMM_NR,
                v_load_n(dy + whole, rest));
    }
}

/* The sum of `rows` rows of up to NR elements. */
GEMM_INLINE void K(conv_row_sums)(const REAL *p, int64_t step, int64_t rows, int64_t lanes,
                                  vec *sum) {
    vec odd[GEMM_NV] = {{0}};
    for (int64_t i = 0; i < rows; i++, p += step) {
        vec *to = i % 2 ? odd : sum;
        for (int64_t j = 0; j < GEMM_NV; j++) {
            int64_t n = pyad_min(VL, lanes - j * VL);
            if (n > 0) to[j] += v_load_live(p + j * VL, n);
        }
    }
    for (int64_t j = 0; j < GEMM_NV; j++) sum[j] += odd[j];
}

/* Pixels first sum from zero, then join the others. */
static void K(conv_add_bias)(const K(conv_item) *p, const REAL *dy, int64_t rows, int add) {
    int64_t step = p->view->out_channels;
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        vec sum[GEMM_NV] = {{0}};
        int64_t lanes = pyad_min(GEMM_NR, p->columns - j);
        if (lanes == GEMM_NR) {
            K(conv_row_sums)(dy + j, step, rows, GEMM_NR, sum);
        } else {
            K(conv_row_sums)(dy + j, step, rows, lanes, sum);
        }
        for (int64_t l = 0; l < lanes; l += VL) {
            if (add) sum[l / VL] += v_load(p->bias + j + l);
            v_store(p->bias + j + l, sum[l / VL]);
        }
    }
}

/* The height of the next tile over `rest` columns: MR, at the end two even halves. */
static inline int64_t K(conv_next_height)(int64_t rest) {
    if (rest >= 2 * GEMM_MR || rest == GEMM_MR) return GEMM_MR;
    return rest > GEMM_MR ? pyad_ceil_div(rest, 4) * 2 : pyad_ceil_div(rest, 2) * 2;
}

/* The columns of part number `part`. */
static K(conv_columns) K(conv_part_columns)(const K(conv_item) *p, int64_t part,
                                            K(conv_sums_scratch) *s) {
    const conv_cut *c = p->cut;
    int64_t unit = part / c->parts * c->unit, within = part % c->parts * c->step;
    K(conv_columns) columns = {.k = unit + within};
    columns.depth = pyad_min(c->step, pyad_min(c->unit, c->depth - unit) - within);
    columns.runs = im2col_runs(p->view, p->group, columns.k, columns.depth, s->runs);
    conv_column_box(p->view, columns.k, columns.depth, columns.box);
    for (int64_t i = 0; i < columns.depth; i++) {
        s->out[i] = p->sums + (columns.k + i) * c->padded;
    }
    s->out[columns.depth] = s->aside; /* a row that the last tile does not have */
    return columns;
}

/* The rows of those pixels that see a part's taps; returns how many spans of pixels they are. */
static int64_t K(conv_trimmed_rows)(const K(conv_item) *p, const K(conv_columns) *columns,
                                    im2col_pixel at, int64_t rows, K(conv_sums_scratch) *s) {
    const im2col_view *v = p->view;
    const im2col_axis *a = v->axis;
    int64_t spans = 0;
    REAL *dst = s->rows;
    for (int64_t i = 0; i < rows;) {
        int64_t count = im2col_stretch_at(v, &at, rows - i).count;
        im2col_range d = conv_seeing(&a[0], &columns->box[0], a[0].first + at.d * a[0].step, 1);
        im2col_range h = conv_seeing(&a[1], &columns->box[1], a[1].first + at.h * a[1].step, 1);
        im2col_range w =
            conv_seeing(&a[2], &columns->box[2], a[2].first + at.w * a[2].step, count);
        im2col_pixel from = at;
        int64_t n = d.end > d.begin && h.end > h.begin ? w.end - w.begin : 0;
        if (n > 0) {
            from.w += w.begin;
            K(im2col_rows)(v, p->x, from, n, columns->box, s->runs, columns->runs, dst, CONV_STEP);
            dst += n * CONV_STEP;
            if (spans > 0 && s->spans[spans - 1] + s->depths[spans - 1] == i + w.begin) {
                s->depths[spans - 1] += n;
            } else {
                s->spans[spans] = i + w.begin;
                s->depths[spans++] = n;
            }
        }
        im2col_advance(v, &at, count);
        i += count;
    }
    return spans;
}

/* The rows of one part for `rows` pixels; returns how many spans of pixels they are. */
static int64_t K(conv_part_rows)(const K(conv_item) *p, const K(conv_columns) *columns,
                                 im2col_pixel at, int64_t rows, K(conv_sums_scratch) *s) {
    if (p->cut->trim) return K(conv_trimmed_rows)(p, columns, at, rows, s);
    K(im2col_rows)(p->view, p->x, at, rows, columns->box, s->runs, columns->runs, s->rows,
                   CONV_STEP);
    s->spans[0] = 0;
    s->depths[0] = rows;
    return 1;
}

/* Add the products of one part's rows with all outputs of the item. */
static void K(conv_part_products)(const K(conv_item) *p, int64_t depth, int64_t spans,
                                  const REAL *dy, int add, K(conv_sums_scratch) *s) {
    K(conv_product) product = {
        .spans = s->spans, .depths = s->depths, .count = spans, .add = add};
    product.b_depth = p->direct ? p->view->out_channels : GEMM_NR;
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        product.b = p->direct ? dy + j : s->right + j * CONV_PIXELS;
        product.column = j;
        for (int64_t i = 0; i < depth;) {
            int64_t height = K(conv_next_height)(depth - i);
            product.a = s->rows + i;
            product.out = s->out + i;
            K(conv_sums)[height / 2 - 1][p->columns - j > VL](&product);
            i += height;
        }
    }
}

/* The products of `rows` pixels, added to an item's sums if these are not the first. */
static void K(conv_weight_block)(const K(conv_item) *p, int64_t pixel, int64_t rows, int add,
                                 K(conv_sums_scratch) *s) {
    im2col_pixel at = im2col_at(p->view, pixel);
    const REAL *dy = p->dy + pixel * p->view->out_channels;
    if (!p->direct) K(conv_right)(p, dy, rows, s->right);
    for (int64_t i = p->part; i < p->part + p->parts; i++) {
        K(conv_columns) columns = K(conv_part_columns)(p, i, s);
        int64_t spans = K(conv_part_rows)(p, &columns, at, rows, s);
        K(conv_part_products)(p, columns.depth, spans, dy, add, s);
    }
    if (p->bias != NULL) K(conv_add_bias)(p, dy, rows, add);
}

/* Item number `item` of those of all slabs, groups and blocks. */
static void K(conv_weight_item)(const im2col_view *v, const conv_cut *c, const REAL *x,
                                const REAL *dy, REAL *all, int64_t item, int with_bias,
                                K(conv_sums_scratch) *s) {
    int64_t across = item % c->across, down = item / c->across % c->down;
    int64_t rest = item / c->across / c->down;
    int64_t group = rest % c->groups, slab = rest / c->groups;
    REAL *sums = all + slab * K(conv_slab)(c);
    K(conv_item) p = {.view = v, .cut = c, .group = group, .x = x};
    p.part = down * c->item_parts;
    p.parts = pyad_min(c->item_parts, c->all_parts - p.part);
    p.column = across * CONV_WEIGHT_COLUMNS;
    p.columns = pyad_min(CONV_WEIGHT_COLUMNS, c->width - p.column);
    p.dy = dy + group * c->width + p.column;
    p.sums = sums + group * c->sum + p.column;
    if (with_bias && down == 0) {
        p.bias = sums + c->groups * c->sum + group * c->padded + p.column;
    }
    p.direct = p.columns % VL == 0 && (c->depth < 4 * GEMM_MR || v->out_channels == GEMM_NR);
    int64_t begin = c->blocks * slab / c->slabs * c->block;
    int64_t end = pyad_min(im2col_pixels(v), c->blocks * (slab + 1) / c->slabs * c->block);
    for (int64_t i = begin; i < end; i += c->block) {
        K(conv_weight_block)(&p, i, pyad_min(c->block, end - i), i > begin, s);
    }
}

/* dw of outputs o .. o+n-1 <= VL of a group, from all slabs: dw[o, channel, tap]. VL of a row's
 * elements at a time are turned from outputs side by side to elements side by side. */
static void K(conv_weight_rows)(const im2col_view *v, const conv_cut *c, const REAL *sums,
                                int64_t slab_step, int64_t n, REAL *dw) {
    int64_t taps = im2col_taps(v), channel = 0, tap = 0;
    for (int64_t e = 0; e < c->depth; e += VL) {
        int64_t count = pyad_min(VL, c->depth - e);
        vec turned[VL] = {{0}};
        for (int64_t i = 0; i < count; i++) {
            const REAL *at = sums + (tap * v->group_channels + channel) * c->padded;
            vec sum = v_load(at);
            for (int64_t l = 1; l < c->slabs; l++) sum += v_load(at + l * slab_step);
            turned[i] = sum;
            if (++tap == taps) tap = 0, channel++;
        }
        K(v_transpose)(turned, (int)VL);
        for (int64_t l = 0; l < n; l++) {
            v_store_live(dw + l * c->depth + e, turned[l], count);
        }
    }
}

/* This thread's rows of dw and elements of db. */
static void K(conv_weight_collect)(const im2col_view *v, const conv_cut *c, const REAL *all,
                                   REAL *dw, REAL *db, const team *t) {
    int64_t groups = c->groups, slab_step = K(conv_slab)(c);
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
