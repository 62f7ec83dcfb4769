/* Pointwise convolution: a kernel of one tap, stride 1, no padding, one group. Pixel by pixel the
 * channels of the image times the packed weight, so that the image is the left matrix as it lies.
 *
 * It reads the weight of packing_tpl.h, for up to twice the channels of a packed tile's row:
 * copying the rows would cost as much as a tenth of so short a sum, and as they follow one another
 * without gaps, no two of them fall on one set of the cache.
 *
 * Loops: blocks of tiles whose rows stay in L2; in each panels of NR outputs, whose weights stay
 * in L1; tiles of MR pixels, one call of the micro-kernel for all tiles of a block and panel;
 * channels.
 */
#ifndef PYAD_POINTWISE
#define PYAD_POINTWISE
#define POINTWISE_BYTES (1 << 17) /* of the rows of a block of tiles */
#endif

/* `tiles` tiles of one panel: out[i, j] = activation(scale[j] sum over k of a[i, k] b[k, j] + bias[j]
 * + residual[i, j]). Pointers are those of the first row and of the panel's first output. */
typedef struct {
    const REAL *a, *b, *scale, *bias, *residual;
    REAL *out;
    int64_t tiles, depth; /* depth is also how far rows of a lie apart */
    int64_t out_step;     /* from row to row of out and residual */
    int activation;
    REAL p0, p1;
} K(pointwise_panel);

/* Where the sums of a tile begin: at the bias where it is all that is added. */
GEMM_INLINE void K(pointwise_begin)(const K(pointwise_panel) *p, const int64_t rows,
                                    const int64_t nv, vec sum[][GEMM_NV]) {
    int begun = p->scale == NULL && p->bias != NULL;
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        vec start = begun ? v_load(p->bias + j * VL) : (vec){0};
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) sum[i][j] = start;
    }
}

/* A tile's sums become what is stored. */
GEMM_INLINE void K(pointwise_finish)(const K(pointwise_panel) *p, const int64_t rows,
                                     const int64_t nv, const REAL *residual,
                                     vec sum[][GEMM_NV]) {
    if (p->scale != NULL) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
            vec scale = v_load(p->scale + j * VL);
            vec bias = p->bias == NULL ? (vec){0} : v_load(p->bias + j * VL);
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
    if (p->activation == GEMM_CLAMP) {
        vec low = v_set1(p->p0), high = v_set1(p->p1);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = v_max(low, sum[i][j]);
        }
        if (p->p1 == (REAL)INFINITY) return;
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = v_min(high, sum[i][j]);
        }
    } else if (p->activation == GEMM_LEAKY) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                sum[i][j] = K(gemm_activate)(sum[i][j], GEMM_LEAKY, p->p0, p->p1);
            }
        }
    }
}

/* rows and nv are constants after inlining, which keeps the sums in registers. */
GEMM_INLINE void K(pointwise_tiles_of)(const K(pointwise_panel) *p, const int64_t rows,
                                       const int64_t nv) {
    const int64_t depth = p->depth, out_step = p->out_step;
    const REAL *a = p->a, *residual = p->residual;
    REAL *out = p->out;
    for (int64_t t = 0; t < p->tiles; t++, a += rows * depth, out += rows * out_step) {
        vec sum[GEMM_MR][GEMM_NV];
        const REAL *left = a, *right = p->b;
        K(pointwise_begin)(p, rows, nv, sum);
        for (int64_t k = 0; k < depth; k++, left++, right += nv * VL) {
            vec weight[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) weight[j] = v_load(right + j * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec pixel = v_set1(left[i * depth]);
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

#define POINTWISE_TILE(rows)                                                                     \
    static __attribute__((noinline)) void PYAD_JOIN(K(pointwise_x1), rows)(                      \
        const K(pointwise_panel) *p) {                                                           \
        K(pointwise_tiles_of)(p, rows, 1);                                                       \
    }                                                                                            \
    static __attribute__((noinline)) void PYAD_JOIN(K(pointwise_xv), rows)(                      \
        const K(pointwise_panel) *p) {                                                           \
        K(pointwise_tiles_of)(p, rows, GEMM_NV);                                                 \
    }
#define POINTWISE_PAIR(rows)                                                                     \
    {PYAD_JOIN(K(pointwise_x1), rows), PYAD_JOIN(K(pointwise_xv), rows)}

POINTWISE_TILE(2)
POINTWISE_TILE(4)
#if GEMM_MR > 4
POINTWISE_TILE(6)
#endif
#if GEMM_MR > 6
POINTWISE_TILE(8)
POINTWISE_TILE(10)
POINTWISE_TILE(12)
POINTWISE_TILE(14)
#endif

/* [height / 2 - 1][more than one vector] */
static void (*const K(pointwise_tiles)[GEMM_MR / 2][2])(const K(pointwise_panel) *) = {
    POINTWISE_PAIR(2),
    POINTWISE_PAIR(4),
#if GEMM_MR > 4
    POINTWISE_PAIR(6),
#endif
#if GEMM_MR > 6
    POINTWISE_PAIR(8),
    POINTWISE_PAIR(10),
    POINTWISE_PAIR(12),
    POINTWISE_PAIR(14),
#endif
};

#undef POINTWISE_TILE
#undef POINTWISE_PAIR

/* Whether a job is one: every output pixel sees the source pixel of its own number, and the outputs
 * are whole vectors. */
static int K(pointwise_is)(const K(conv_job) *job) {
    const im2col_view *v = job->view;
    for (int64_t i = 0; i < 3; i++) {
        const im2col_axis *a = &v->axis[i];
        if (a->taps != 1 || a->step != 1 || a->first != 0 || a->count != a->source) return 0;
        if (a->out_step != 1 || a->out_first != 0 || a->out_size != a->count) return 0;
    }
    return v->group_channels == v->channels && v->inner == 1 && job->depth > 0 &&
           job->depth <= 2 * CONV_DEPTH && v->group_width % VL == 0;
}

/* Outputs column .. column+columns-1 of whole tiles: pixels pixel .. pixel+pixels-1. */
static void K(pointwise_range)(const K(conv_job) *job, int64_t pixel, int64_t pixels,
                               int64_t column, int64_t columns) {
    const K(epilogue) *end = &job->end;
    int64_t most = POINTWISE_BYTES / (int64_t)sizeof(REAL) / (job->depth * job->height);
    int64_t step = pyad_max(1, most) * job->height;
    int64_t width = job->view->out_channels;
    for (int64_t i = pixel; i < pixel + pixels; i += step) {
        int64_t rows = pyad_min(step, pixel + pixels - i);
        for (int64_t j = column; j < column + columns; j += GEMM_NR) {
            int64_t at = i * width + j;
            K(pointwise_panel) p = {
                .a = job->source + i * job->depth,
                .b = job->packed + j * job->depth,
                .scale = end->scale == NULL ? NULL : end->scale + j,
                .bias = end->bias == NULL ? NULL : end->bias + j,
                .residual = end->residual == NULL ? NULL : end->residual + at,
                .out = job->out + at,
                .tiles = rows / job->height,
                .depth = job->depth,
                .out_step = width,
                .activation = end->activation,
                .p0 = end->p0,
                .p1 = end->p1};
            K(pointwise_tiles)[job->height / 2 - 1][column + columns - j > VL](&p);
        }
    }
}
