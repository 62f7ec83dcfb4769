/* Tiles of MR x NR sums whose left matrix is read as it lies in the image: the value of pixel i for k
 * is a[i * step + k], or a[i * step + offsets[k]]. The weight is that of packing_tpl.h.
 *
 * Loops: tiles of pixels; panels, so that what is written follows one another; columns; all sums of
 * the tile stay in registers.
 */

/* Panels side by side:
 * out[i, j] = activation(scale[j] sum over k of a[i, k] b[k, j] + bias[j] + residual[i, j]).
 * Pointers are those of the first row and of the first panel's first output. */
typedef struct {
    const REAL *a, *b, *scale, *bias, *residual;
    REAL *out;
    const int64_t *offsets; /* NULL: k itself */
    int64_t tiles, panels, depth;
    int64_t step;     /* from row to row of a */
    int64_t out_step; /* and of out and residual */
    int activation;
    REAL p0, p1;
} K(unpacked_panel);

/* Where the sums of a tile begin: at the bias where it is all that is added. */
GEMM_INLINE void K(unpacked_begin)(const K(unpacked_panel) *p, int64_t column, const int64_t rows,
                                    const int64_t nv, vec sum[][GEMM_NV]) {
    int begun = p->scale == NULL && p->bias != NULL;
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        vec start = begun ? v_load(p->bias + column + j * VL) : (vec){0};
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) sum[i][j] = start;
    }
}

/* A tile's sums become what is stored. */
GEMM_INLINE void K(unpacked_finish)(const K(unpacked_panel) *p, int64_t column, const int64_t rows,
                                     const int64_t nv, const REAL *residual,
                                     vec sum[][GEMM_NV]) {
    if (p->scale != NULL) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
            vec scale = v_load(p->scale + column + j * VL);
            vec bias = p->bias == NULL ? (vec){0} : v_load(p->bias + column + j * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                sum[i][j] = v_fma(sum[i][j], scale, bias);
            }
        }
    }
    if (residual != NULL) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++, residual += p->out_step) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] += v_load(residual + j * VL);
        }
    }
    if (p->activation == PYAD_ACTIVATION_CLAMP) {
        vec low = v_set1(p->p0), high = v_set1(p->p1);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = v_max(low, sum[i][j]);
        }
        if (p->p1 == (REAL)INFINITY) return;
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = v_min(high, sum[i][j]);
        }
    } else if (p->activation == PYAD_ACTIVATION_LEAKY) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                sum[i][j] = K(gemm_activate)(sum[i][j], PYAD_ACTIVATION_LEAKY, p->p0, p->p1);
            }
        }
    }
}

/* rows and nv are constants after inlining, which keeps the sums in registers. */
GEMM_INLINE void K(unpacked_tiles_of)(const K(unpacked_panel) *p, const int64_t rows,
                                      const int64_t nv, const int has_offsets) {
    const int64_t depth = p->depth, step = p->step, out_step = p->out_step;
    const int64_t *offsets = p->offsets;
    /* one vector is what is left behind the panels: no loop */
    const int64_t width = nv * VL, outputs = nv == 1 ? width : p->panels * width;
    const int64_t next = rows * out_step - outputs;
    const REAL *a = p->a, *residual = p->residual;
    REAL *out = p->out;
    for (int64_t t = 0; t < p->tiles; t++, a += rows * step, out += next) {
        const REAL *right = p->b;
        for (int64_t column = 0; column < outputs; column += width, out += width) {
            vec sum[GEMM_MR][GEMM_NV];
            K(unpacked_begin)(p, column, rows, nv, sum);
            for (int64_t k = 0; k < depth; k++, right += width) {
                const REAL *left = a + (has_offsets ? offsets[k] : k);
                vec weight[GEMM_NV];
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) weight[j] = v_load(right + j * VL);
                GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                    vec pixel = v_set1(left[i * step]);
                    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                        sum[i][j] = v_fma(pixel, weight[j], sum[i][j]);
                    }
                }
            }
            K(unpacked_finish)(p, column, rows, nv, residual, sum);
            if (residual != NULL) residual += width;
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    v_store(out + i * out_step + j * VL, sum[i][j]);
                }
            }
        }
        if (residual != NULL) residual += next;
    }
}

#define UNPACKED_TILE(name, rows, nv, has_offsets)                                               \
    static PYAD_ONCE void PYAD_JOIN(K(name), rows)(const K(unpacked_panel) *p) {                 \
        K(unpacked_tiles_of)(p, rows, nv, has_offsets);                                          \
    }
#define UNPACKED_TILES(none, rows)                                                               \
    UNPACKED_TILE(unpacked_x1, rows, 1, 0)                                                       \
    UNPACKED_TILE(unpacked_xv, rows, GEMM_NV, 0)                                                 \
    UNPACKED_TILE(unpacked_at_x1, rows, 1, 1)                                                    \
    UNPACKED_TILE(unpacked_at_xv, rows, GEMM_NV, 1)
#define UNPACKED_PAIR(name, rows) {PYAD_JOIN(K(name##_x1), rows), PYAD_JOIN(K(name##_xv), rows)},

GEMM_HEIGHTS(UNPACKED_TILES, )

/* [with offsets][height / 2 - 1][more than one vector] */
static void (*const K(unpacked_tiles)[2][GEMM_MR / 2][2])(const K(unpacked_panel) *) = {
    {GEMM_HEIGHTS(UNPACKED_PAIR, unpacked)}, {GEMM_HEIGHTS(UNPACKED_PAIR, unpacked_at)}};

#undef UNPACKED_TILE
#undef UNPACKED_TILES
#undef UNPACKED_PAIR

/* Outputs that one call may take of `rest`: all whole panels, or what is left behind them. */
static inline int64_t K(unpacked_lanes)(int64_t rest) {
    return rest < GEMM_NR ? rest : rest / GEMM_NR * GEMM_NR;
}

/* The next `tiles` tiles of `rows` rows; moves on behind them. */
static void K(unpacked_run)(K(unpacked_panel) *p, int64_t tiles, int64_t rows, int64_t lanes) {
    p->tiles = tiles;
    p->panels = pyad_max(1, lanes / GEMM_NR);
    K(unpacked_tiles)[p->offsets != NULL][rows / 2 - 1][lanes > VL](p);
    p->a += tiles * rows * p->step;
    p->out += tiles * rows * p->out_step;
    if (p->residual != NULL) p->residual += tiles * rows * p->out_step;
}

/* `pixels` rows with `lanes` outputs, whole vectors of one panel or whole panels, in tiles of `height`. */
static void K(unpacked_pixels)(K(unpacked_panel) p, int64_t pixels, int64_t height, int64_t lanes) {
    int64_t rest = pixels % height;
    K(unpacked_run)(&p, pixels / height, height, lanes);
    if (rest > 1) K(unpacked_run)(&p, 1, rest / 2 * 2, lanes);
    if (rest % 2 == 0) return;
    /* tiles are even: both rows are the last one */
    p.step = p.out_step = 0;
    K(unpacked_run)(&p, 1, 2, lanes);
}

/* The panels of outputs column and on, from a pixel whose outputs begin at `out`; a, b, depth, step and
 * offsets are still to be filled in. */
static K(unpacked_panel) K(unpacked_panel_of)(const K(epilogue) *end, REAL *out, int64_t out_step,
                                              int64_t column) {
    const REAL *residual = end->residual;
    return (K(unpacked_panel)){.scale = end->scale == NULL ? NULL : end->scale + column,
                               .bias = end->bias == NULL ? NULL : end->bias + column,
                               .residual = residual == NULL ? NULL : residual + (out + column - end->out),
                               .out = out + column,
                               .out_step = out_step,
                               .activation = end->activation,
                               .p0 = end->p0,
                               .p1 = end->p1};
}
