/* Euclidean distances between all rows of two matrices, for each pair of a batch.
 *
 * Differences and sums of their squares are doubles: float32 does not overflow, and rows that lie close
 * to each other, or are equal, lose nothing, as they would in |x|^2 - 2 xy + |y|^2. A block of rows of y
 * is turned, so that its rows lie beside each other in the lanes, and met by several rows of x at once.
 */
#define DISTANCE_LANES (VECTOR_BYTES / (int)sizeof(double))
#define DISTANCE_BLOCK (2 * DISTANCE_LANES)
#define DISTANCE_ROWS 4
#define DISTANCE_CHUNK 64 /* rows of x for which a block is turned */

/* The block of rows [j, j + DISTANCE_BLOCK) of y, the last one again where there are no more. */
static inline void K(turn_rows)(const pyad_array *y, const REAL *rows, int64_t j, double *block) {
    for (int64_t k = 0; k < y->shape[2]; k++) {
        for (int l = 0; l < DISTANCE_BLOCK; l++) {
            const int64_t row = pyad_min(j + l, y->shape[1] - 1);
            *block++ = (double)rows[row * y->stride[1] + k * y->stride[2]];
        }
    }
}

/* Distances of row[0], row[1], ... from the rows of a block. */
static inline void K(distances)(const REAL *const *row, int64_t step, const double *block,
                                int64_t depth, double (*out)[DISTANCE_BLOCK]) {
    vec_t_f64 sum[DISTANCE_ROWS][2] = {{{0}}};
    for (int64_t k = 0; k < depth; k++, block += DISTANCE_BLOCK) {
        const vec_t_f64 y0 = v_load_f64(block), y1 = v_load_f64(block + DISTANCE_LANES);
#pragma GCC unroll 4
        for (int r = 0; r < DISTANCE_ROWS; r++) {
            const vec_t_f64 x = v_set1_f64((double)row[r][k * step]);
            const vec_t_f64 d0 = x - y0, d1 = x - y1;
            sum[r][0] = v_fma_f64(d0, d0, sum[r][0]);
            sum[r][1] = v_fma_f64(d1, d1, sum[r][1]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < DISTANCE_ROWS; r++) {
        v_store_f64(out[r], v_sqrt_f64(sum[r][0]));
        v_store_f64(out[r] + DISTANCE_LANES, v_sqrt_f64(sum[r][1]));
    }
}

static int K(cdist)(const void *args, const team *t) {
    const cdist_args *a = args;
    const int64_t n = a->x.shape[1], m = a->y.shape[1], depth = a->x.shape[2];
    const int64_t chunks = pyad_ceil_div(n, DISTANCE_CHUNK), blocks = pyad_ceil_div(m, DISTANCE_BLOCK);
    double *block = t->scratch;
    int64_t begin, end;
    team_range(t, a->x.shape[0] * blocks * chunks, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        const int64_t batch = item / chunks / blocks, j = item / chunks % blocks * DISTANCE_BLOCK;
        const int64_t first = item % chunks * DISTANCE_CHUNK, count = pyad_min(DISTANCE_BLOCK, m - j);
        const REAL *x = (const REAL *)a->x.data + batch * a->x.stride[0];
        if (item == begin || first == 0) {
            K(turn_rows)(&a->y, (const REAL *)a->y.data + batch * a->y.stride[0], j, block);
        }
        const int64_t last = pyad_min(first + DISTANCE_CHUNK, n);
        for (int64_t i = first; i < last; i += DISTANCE_ROWS) {
            const REAL *row[DISTANCE_ROWS];
            double found[DISTANCE_ROWS][DISTANCE_BLOCK];
            for (int r = 0; r < DISTANCE_ROWS; r++) row[r] = x + pyad_min(i + r, n - 1) * a->x.stride[1];
            K(distances)(row, a->x.stride[2], block, depth, found);
            REAL *out = (REAL *)a->out.data + (batch * n + i) * m + j;
            for (int r = 0; r < pyad_min(DISTANCE_ROWS, last - i); r++, out += m) {
                for (int64_t l = 0; l < count; l++) out[l] = (REAL)found[r][l];
            }
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(cdist, cdist_args, 2 * pyad_numel(&a->out) * a->x.shape[2],
            a->x.shape[2] * DISTANCE_BLOCK * (int64_t)sizeof(double), 0)

#undef DISTANCE_LANES
#undef DISTANCE_BLOCK
#undef DISTANCE_ROWS
#undef DISTANCE_CHUNK
