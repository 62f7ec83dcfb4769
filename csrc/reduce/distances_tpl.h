/* Euclidean distances between all rows of two matrices, for each pair of a batch.
 *
 * Differences and sums of their squares are doubles: float32 does not overflow, and rows that lie close
 * to each other, or are equal, lose nothing, as they would in |x|^2 - 2 xy + |y|^2. A block of rows of y
 * is turned, so that its rows lie beside each other in the lanes, and met by several rows of x at once.
 * So it is in the gradient, the sums of (x - y) times a share of each row of y: as a difference of two
 * products they would lose what the rows have in common.
 */
#define DISTANCE_LANES (VECTOR_BYTES / (int)sizeof(double))
#define DISTANCE_BLOCK (2 * DISTANCE_LANES)
#define DISTANCE_ROWS 4
#define DISTANCE_CHUNK 64 /* rows of x for which a block is turned */
#define DISTANCE_SHARES 128 /* of the gradient: rows of y, columns and rows of x at a time */
#define DISTANCE_COLUMNS 32
#define DISTANCE_SUMS 256
#define DISTANCE_PAIR 2 /* of the gradient: rows of x and columns whose sums are made together */
#define DISTANCE_FOUR 4

/* Rows [j, j + width) of y, the last one again where there are no more, and of them columns
 * [k, k + depth), each column beside the one before. */
static inline void K(turn_rows)(const pyad_array *y, const REAL *rows, int64_t j, int64_t width,
                                int64_t k, int64_t depth, double *block) {
    for (int64_t end = k + depth; k < end; k++) {
        for (int64_t l = 0; l < width; l++) {
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
            const REAL *y = (const REAL *)a->y.data + batch * a->y.stride[0];
            K(turn_rows)(&a->y, y, j, DISTANCE_BLOCK, 0, depth, block);
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
PYAD_RECORD_MEMORY(cdist, cdist_args, 2 * pyad_numel(&a->out) * a->x.shape[2],
            a->x.shape[2] * DISTANCE_BLOCK * (int64_t)sizeof(double), 0)

/* sums[r][c] += the sum of shares times (x - row) over the rows of one column after the other, for
 * DISTANCE_PAIR rows of x: so many sums at once wait for none of them. */
static inline void K(pull)(double (*shares)[DISTANCE_SHARES], const REAL *const *x, int64_t step,
                           const double *block, int64_t width, int64_t columns,
                           double (*sums)[DISTANCE_COLUMNS]) {
    for (int64_t c = 0; c < columns; c += DISTANCE_FOUR, block += DISTANCE_FOUR * width) {
        vec_t_f64 here[DISTANCE_PAIR][DISTANCE_FOUR], sum[DISTANCE_PAIR][DISTANCE_FOUR] = {{{0}}};
        for (int r = 0; r < DISTANCE_PAIR; r++) {
            for (int q = 0; q < DISTANCE_FOUR; q++) {
                here[r][q] = v_set1_f64((double)x[r][pyad_min(c + q, columns - 1) * step]);
            }
        }
        for (int64_t l = 0; l < width; l += DISTANCE_LANES) {
#pragma GCC unroll 4
            for (int q = 0; q < DISTANCE_FOUR; q++) {
                const vec_t_f64 y = v_load_f64(block + q * width + l);
#pragma GCC unroll 2
                for (int r = 0; r < DISTANCE_PAIR; r++) {
                    sum[r][q] = v_fma_f64(v_load_f64(shares[r] + l), here[r][q] - y, sum[r][q]);
                }
            }
        }
        for (int r = 0; r < DISTANCE_PAIR; r++) {
            double lanes[DISTANCE_FOUR][DISTANCE_LANES];
            for (int q = 0; q < DISTANCE_FOUR; q++) v_store_f64(lanes[q], sum[r][q]);
            for (int l = 0; l < DISTANCE_LANES; l++) {
                for (int q = 0; q < DISTANCE_FOUR; q++) sums[r][c + q] += lanes[q][l];
            }
        }
    }
}

/* The shares of `count` rows of y, then 0. */
static inline void K(load_shares)(const REAL *row, int64_t step, int64_t count, int64_t width,
                                  double *shares) {
    for (int64_t l = 0; l < count; l++) shares[l] = (double)row[l * step];
    for (int64_t l = count; l < width; l++) shares[l] = 0;
}

/* The gradient of rows [i, i + rows) of x in columns [k, k + columns) of one pair of matrices. */
static void K(pull_tile)(const cdist_grad_args *a, int64_t batch, int64_t i, int64_t rows, int64_t k,
                         int64_t columns, double *scratch) {
    double *block = scratch;
    double (*sums)[DISTANCE_COLUMNS] = (void *)(block + DISTANCE_SHARES * DISTANCE_COLUMNS);
    const REAL *x = (const REAL *)a->x.data + batch * a->x.stride[0] + i * a->x.stride[1];
    const REAL *y = (const REAL *)a->y.data + batch * a->y.stride[0];
    const REAL *share = (const REAL *)a->share.data + batch * a->share.stride[0] + i * a->share.stride[1];
    REAL *out = (REAL *)a->out.data + (batch * a->x.shape[1] + i) * a->x.shape[2] + k;
    memset(sums, 0, (size_t)(rows + DISTANCE_PAIR - 1) * sizeof *sums);
    for (int64_t j = 0; j < a->y.shape[1]; j += DISTANCE_SHARES) {
        const int64_t count = pyad_min(DISTANCE_SHARES, a->y.shape[1] - j);
        const int64_t width = pyad_ceil_div(count, DISTANCE_LANES) * DISTANCE_LANES;
        K(turn_rows)(&a->y, y, j, width, k, columns, block);
        const int64_t rest = pyad_ceil_div(columns, DISTANCE_FOUR) * DISTANCE_FOUR - columns;
        memset(block + columns * width, 0, (size_t)(rest * width) * sizeof *block);
        for (int64_t first = 0; first < rows; first += DISTANCE_PAIR) {
            double shares[DISTANCE_PAIR][DISTANCE_SHARES];
            const REAL *here[DISTANCE_PAIR];
            for (int r = 0; r < DISTANCE_PAIR; r++) {
                /* the last row again where there are no more */
                const int64_t row = pyad_min(first + r, rows - 1), step = a->share.stride[2];
                K(load_shares)(share + row * a->share.stride[1] + j * step, step, count, width, shares[r]);
                here[r] = x + row * a->x.stride[1] + k * a->x.stride[2];
            }
            K(pull)(shares, here, a->x.stride[2], block, width, columns, sums + first);
        }
    }
    for (int64_t r = 0; r < rows; r++, out += a->x.shape[2]) {
        for (int64_t c = 0; c < columns; c++) out[c] = (REAL)sums[r][c];
    }
}

static int K(cdist_grad)(const void *args, const team *t) {
    const cdist_grad_args *a = args;
    const int64_t n = a->x.shape[1], depth = a->x.shape[2];
    const int64_t parts = pyad_ceil_div(depth, DISTANCE_COLUMNS);
    int64_t begin, end;
    /* rows of all matrices after each other, as many as a thread takes at once */
    team_range(t, a->x.shape[0] * n, 1, &begin, &end);
    for (int64_t row = begin, rows; row < end; row += rows) {
        const int64_t i = row % n;
        rows = pyad_min(pyad_min(DISTANCE_SUMS, end - row), n - i);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t k = part * DISTANCE_COLUMNS, columns = pyad_min(DISTANCE_COLUMNS, depth - k);
            K(pull_tile)(a, row / n, i, rows, k, columns, t->scratch);
        }
    }
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(cdist_grad, cdist_grad_args, 2 * pyad_numel(&a->out) * a->y.shape[1],
            (DISTANCE_SHARES + DISTANCE_SUMS + DISTANCE_PAIR - 1) * DISTANCE_COLUMNS * (int64_t)sizeof(double), 0)

#undef DISTANCE_SHARES
#undef DISTANCE_COLUMNS
#undef DISTANCE_SUMS
#undef DISTANCE_PAIR
#undef DISTANCE_FOUR
#undef DISTANCE_LANES
#undef DISTANCE_BLOCK
#undef DISTANCE_ROWS
#undef DISTANCE_CHUNK
