/* Tiles of MR x NR sums, as in gemm_tpl.h, over rows of columns that were copied (im2col_tpl.h).
 * Rows are copied as they lie, not interleaved as gemm_tpl.h packs them: copies of whole runs cost
 * next to nothing, a transposition would cost a tenth of the product, and a tile reads rows a
 * constant distance apart just as well.
 *
 * Loops: spans of columns, columns; all sums of the tile stay in registers.
 */

#ifndef PYAD_CONV_TILES
#define PYAD_CONV_TILES
#define CONV_STEP (CONV_DEPTH + VL) /* from row to row: room for a last vector, and no two rows
                                     * whose lines fall on one set of the cache */
#endif

/* A tile of products: rows of out += sum over the spans' k of a[i, k] b[k, j]. In `a` the spans
 * follow one another, in `b` they begin at row spans[i]. */
typedef struct {
    const REAL *a, *b;
    const int64_t *spans, *depths; /* of each span: its first k in b, how many */
    int64_t count;
    int64_t b_depth;        /* from one k to the next in b */
    REAL *const *out;       /* the rows */
    int64_t column;         /* in them */
    const K(epilogue) *end; /* for sums that are complete, else NULL */
    int add;                /* to what is there */
} K(conv_product);

/* The epilogue of a whole tile whose rows and columns lie in the output. */
GEMM_INLINE void K(conv_finish)(const K(conv_product) *p, const int64_t rows, const int64_t nv,
                                vec sum[][GEMM_NV]) {
    const K(epilogue) *e = p->end;
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        int64_t column = p->column + j * VL;
        vec scale = e->scale == NULL ? v_set1(1) : v_load(e->scale + column);
        vec bias = e->bias == NULL ? (vec){0} : v_load(e->bias + column);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) sum[i][j] = v_fma(sum[i][j], scale, bias);
    }
    if (e->residual != NULL) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            const REAL *from = e->residual + (p->out[i] - e->out) + p->column;
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] += v_load(from + j * VL);
        }
    }
    if (e->activation == PYAD_ACTIVATION_NONE) return;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < nv; j++) {
            sum[i][j] = K(gemm_activate)(sum[i][j], e->activation, e->p0, e->p1);
        }
    }
}

/* rows x nv vectors; a[i, k] lies at a[i * a_lane + k * a_depth]. What is constant after inlining
 * keeps the sums in registers. */
GEMM_INLINE void K(conv_tile_of)(const K(conv_product) *p, const int64_t rows, const int64_t nv,
                                 const int64_t a_lane, const int64_t a_depth,
                                 const int64_t b_depth, const int finishing) {
    vec sum[GEMM_MR][GEMM_NV];
    const REAL *a = p->a;
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = (vec){0};
    }
    for (int64_t s = 0; s < p->count; s++) {
        const REAL *b = p->b + p->spans[s] * b_depth;
        for (int64_t d = p->depths[s]; d > 0; d--, a += a_depth, b += b_depth) {
            vec right[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(b + j * VL);
            K(gemm_read_ahead)(b + GEMM_FAR_AHEAD * b_depth, nv * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec left = v_set1(a[i * a_lane]);
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    sum[i][j] = v_fma(left, right[j], sum[i][j]);
                }
            }
        }
    }
    if (p->add) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            const REAL *out = p->out[i] + p->column;
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] += v_load(out + j * VL);
        }
    }
    if (finishing && p->end != NULL) K(conv_finish)(p, rows, nv, sum);
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        REAL *out = p->out[i] + p->column;
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) v_store(out + j * VL, sum[i][j]);
    }
}

/* tile: the rows of a are those of out, CONV_STEP apart; sum: its columns are. */
#define CONV_TILE(none, rows)                                                                    \
    static PYAD_ONCE void PYAD_JOIN(K(conv_tile_x1), rows)(                                      \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, 1, CONV_STEP, 1, VL, 1);                                        \
    }                                                                                            \
    static PYAD_ONCE void PYAD_JOIN(K(conv_tile_xv), rows)(                                      \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, GEMM_NV, CONV_STEP, 1, GEMM_NR, 1);                              \
    }                                                                                            \
    static PYAD_ONCE void PYAD_JOIN(K(conv_sum_x1), rows)(                                       \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, 1, 1, CONV_STEP, p->b_depth, 0);                                \
    }                                                                                            \
    static PYAD_ONCE void PYAD_JOIN(K(conv_sum_xv), rows)(                                       \
        const K(conv_product) *p) {                                                              \
        K(conv_tile_of)(p, rows, GEMM_NV, 1, CONV_STEP, p->b_depth, 0);                          \
    }
#define CONV_PAIR(name, rows) {PYAD_JOIN(K(name##_x1), rows), PYAD_JOIN(K(name##_xv), rows)},

GEMM_HEIGHTS(CONV_TILE, )

typedef void (*K(conv_tile_fn))(const K(conv_product) *p);

/* [height / 2 - 1][more than one vector] */
static const K(conv_tile_fn) K(conv_tiles)[GEMM_MR / 2][2] = {
    GEMM_HEIGHTS(CONV_PAIR, conv_tile)};
static const K(conv_tile_fn) K(conv_sums)[GEMM_MR / 2][2] = {
    GEMM_HEIGHTS(CONV_PAIR, conv_sum)};

#undef CONV_TILE
#undef CONV_PAIR
