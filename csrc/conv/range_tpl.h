/* A range of the output, some pixels and outputs of one view and group:
 *
 *   out[pixel, o] = bias[o] + sum over k of column[pixel, k] weight[k, o],   k = (tap, channel)
 *
 * Loops: pixels, CONV_TILES tiles at a time; outputs by CONV_COLUMNS; columns by CONV_DEPTH; tiles
 * of MR pixels, whose rows of columns are copied into L1; panels of NR outputs, all of which meet
 * them.
 */

#ifndef PYAD_CONV_RANGE
#define PYAD_CONV_RANGE
#define CONV_TILES 32    /* tiles of pixels that meet a block of weights in turn */
#define CONV_COLUMNS 512 /* outputs whose weights stay in L2, CONV_DEPTH of them deep */

/* The blocks into which `depth` columns are cut: equal, so that no short rest is left. */
static inline int64_t conv_block_depth(int64_t depth, int64_t most, int64_t unit) {
    int64_t blocks = pyad_max(1, pyad_ceil_div(depth, most));
    return pyad_ceil_div(pyad_ceil_div(depth, blocks), unit) * unit;
}
#endif

/* One view and group: what is read, where it goes. */
typedef struct {
    const im2col_view *view;
    int64_t group, depth, height;            /* of the sums; of the tiles */
    const REAL *source, *packed;
    K(epilogue) end;
    REAL *out;
} K(conv_job);

/* A part of the output of a job, and the block of columns being summed. */
typedef struct {
    int64_t pixel, pixels;
    int64_t column, columns; /* outputs, from a multiple of NR on */
    int64_t k, depth, runs;
} K(conv_part);

/* The rows of one tile, without the taps that miss the image for all of them; returns how many
 * spans of k they have. */
static int64_t K(conv_pack_tile)(const K(conv_job) *job, const K(conv_part) *p, im2col_pixel at,
                                 int64_t rows, K(conv_scratch) *s) {
    const im2col_view *v = job->view;
    im2col_range box[3];
    im2col_box(v, at, rows, box);
    if (im2col_is_whole(v, box)) {
        s->spans[0] = 0;
        s->depths[0] = p->depth;
        K(im2col_rows)(v, job->source, at, rows, box, s->runs, p->runs, s->rows, CONV_STEP);
        return 1;
    }
    int64_t count = im2col_clip(v, box, s->runs, p->runs, s->clipped, s->spans);
    for (int64_t i = 0; i < count; i++) s->depths[i] = s->clipped[i].length;
    K(im2col_rows)(v, job->source, at, rows, box, s->clipped, count, s->rows, CONV_STEP);
    return count;
}

/* Where the outputs of a tile lie; those past `rows` are aside. Moves on to the next tile. */
static void K(conv_place_tile)(const K(conv_job) *job, im2col_pixel *at, int64_t rows,
                               K(conv_scratch) *s) {
    int64_t i = 0;
    while (i < rows) {
        im2col_stretch stretch = im2col_stretch_at(job->view, at, rows - i);
        REAL *out = job->out + im2col_out_offset(job->view, at);
        for (int64_t j = 0; j < stretch.count; j++) s->out[i++] = out + j * stretch.out_step;
        im2col_advance(job->view, at, stretch.count);
    }
    for (; i < job->height; i++) s->out[i] = s->aside[i];
}

/* A panel that is no whole number of vectors: sum aside, then bring in what counts. */
static void K(conv_narrow)(const K(conv_job) *job, const K(conv_product) *product, int64_t rows,
                           int64_t lanes, K(conv_scratch) *s) {
    K(conv_product) p = *product;
    p.out = s->aside;
    p.column = 0;
    p.add = 0;
    p.end = NULL;
    K(conv_tiles)[job->height / 2 - 1][lanes > VL](&p);
    for (int64_t i = 0; i < rows; i++) {
        REAL *out = s->out[i] + product->column;
        for (int64_t j = 0; j < lanes; j += VL) {
            int64_t n = pyad_min(VL, lanes - j);
            vec v = v_load(s->aside[i] + j);
            if (product->add) v += v_load_live(out + j, n);
            if (product->end != NULL) {
                v = K(epilogue_apply)(product->end, v, product->column + j, out + j, n);
            }
            v_store_live(out + j, v, n);
        }
    }
}

/* One tile of pixels with one block of columns; moves `at` on to the next. */
static void K(conv_tile)(const K(conv_job) *job, const K(conv_part) *p, im2col_pixel *at,
                         int64_t rows, K(conv_scratch) *s) {
    int last = p->k + p->depth == job->depth;
    K(conv_product) product = {
        .a = s->rows, .spans = s->spans, .depths = s->depths, .out = s->out, .add = p->k > 0};
    product.count = K(conv_pack_tile)(job, p, *at, rows, s);
    K(conv_place_tile)(job, at, rows, s);
    for (int64_t j = 0; j < p->columns; j += GEMM_NR) {
        int64_t column = p->column + j, lanes = pyad_min(GEMM_NR, p->columns - j);
        product.b = job->packed + column * job->depth + p->k * K(conv_padded)(lanes);
        product.end = last ? &job->end : NULL;
        product.column = job->group * job->view->group_width + column;
        if (lanes % VL == 0 && rows == job->height) {
            K(conv_tiles)[job->height / 2 - 1][lanes > VL](&product);
        } else {
            K(conv_narrow)(job, &product, rows, lanes, s);
        }
    }
}

/* Outputs column .. column+columns-1 of pixels pixel .. pixel+pixels-1. */
static void K(conv_range)(const K(conv_job) *job, int64_t pixel, int64_t pixels, int64_t column,
                          int64_t columns, K(conv_scratch) *s) {
    int64_t step = pyad_max(1, conv_block_depth(job->depth, CONV_DEPTH, 1));
    int64_t most = CONV_TILES * job->height;
    K(conv_part) p;
    for (int64_t i = 0; i < GEMM_MR; i++) s->aside[i] = s->tile + i * GEMM_NR;
    for (int64_t i = 0; i < pixels; i += most) {
        p.pixel = pixel + i;
        p.pixels = pyad_min(most, pixels - i);
        for (int64_t j = 0; j < columns; j += CONV_COLUMNS) {
            p.column = column + j;
            p.columns = pyad_min(CONV_COLUMNS, columns - j);
            for (p.k = 0; p.k == 0 || p.k < job->depth; p.k += step) {
                p.depth = pyad_min(step, job->depth - p.k);
                p.runs = im2col_runs(job->view, job->group, p.k, p.depth, s->runs);
                im2col_pixel at = im2col_at(job->view, p.pixel);
                for (int64_t l = 0; l < p.pixels; l += job->height) {
                    K(conv_tile)(job, &p, &at, pyad_min(job->height, p.pixels - l), s);
                }
            }
        }
    }
}
