/* Layer norm and RMS norm: rows of n contiguous elements, each summed and then computed from the cache.
 * Gradients of weight and bias sum over rows: of short rows in blocks of rows, of long ones by columns.
 * Of many rows the next one is asked for while a row's results are written (stream.h).
 */

/* Whether a thread asks for the next row, which must stay in L2 with the one at work. */
static inline int K(next_row_asked)(int64_t rows, int64_t n, const team *t) {
    return n <= LN_SHORT && K(rows_stream)(rows, n, t);
}

/* Mean and mean square deviation of a row, or with `center` 0 its mean square. By differences from
 * the first element, which for equal elements are 0 exactly. */
static double K(row_moments)(const REAL *x, int64_t n, int64_t center, double *mean) {
    double first = center ? (double)x[0] : 0, sum = 0, square = 0;
    dvec s0 = {0}, s1 = {0}, q0 = {0}, q1 = {0};
    int64_t i = 0;
    for (; i + 2 * DL <= n; i += 2 * DL) {
        dvec a = v_widen(x + i) - first, b = v_widen(x + i + DL) - first;
        s0 += a;
        s1 += b;
        q0 = v_fma_f64(a, a, q0);
        q1 = v_fma_f64(b, b, q1);
    }
    for (; i < n; i++) {
        double d = (double)x[i] - first;
        sum += d;
        square += d * d;
    }
    sum += v_sum_f64(s0 + s1);
    square += v_sum_f64(q0 + q1);
    if (!center) {
        *mean = 0;
        return square / (double)n;
    }
    double part = sum / (double)n, squares = square - sum * part;
    *mean = first + part;
    return squares < 0 ? 0 : squares / (double)n;
}

static void K(norm_row)(const REAL *restrict x, REAL *restrict y, int64_t n, double mean,
                        double rstd, const REAL *restrict weight, const REAL *restrict bias,
                        int far) {
    REAL near = (REAL)mean, factor = (REAL)rstd;
    vec shift = v_set1(near), rest = v_set1((REAL)((mean - (double)near) * rstd));
    for (int64_t i = 0; i < n;) {
        const int64_t end = stream_end(i, n, far);
        if (far) {
            ask_to_read_all(x + n + i, (end - i) * (int64_t)sizeof(REAL));
            ask_to_write_all(y + n + i, (end - i) * (int64_t)sizeof(REAL));
        }
        for (; i < end; i += VL) {
            int64_t left = n - i;
            vec o = v_fma(v_load_live(x + i, left) - shift, v_set1(factor), -rest);
            vec w = weight == NULL ? v_set1((REAL)1) : v_load_live(weight + i, left);
            vec b = bias == NULL ? (vec){0} : v_load_live(bias + i, left);
            v_store_live(y + i, v_fma(o, w, b), left);
        }
    }
}

static int K(layer_norm_fwd)(const void *args, const team *t) {
    const layer_norm_fwd_args *a = args;
    int64_t n = a->n, rows = n > 0 ? pyad_numel(&a->x) / n : 0, begin, end;
    double *stats = a->stats.data;
    const int far = K(next_row_asked)(rows, n, t);
    team_range(t, rows, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)a->x.data + r * n;
        double mean, var = K(row_moments)(x, n, a->center, &mean), rstd = K(rsqrt)(var + a->eps);
        stats[r] = mean;
        stats[rows + r] = rstd;
        K(norm_row)(x, (REAL *)a->y.data + r * n, n, mean, rstd, a->weight.data, a->bias.data,
                    far);
    }
    return PYAD_OK;
}

/* the sums of w g and of w g (x - mean) over a row */
static void K(row_slope_sums)(const REAL *g, const REAL *x, const REAL *weight, double mean,
                              int64_t n, double *level, double *along) {
    dvec s = {0}, q = {0};
    int64_t i = 0;
    for (; i + DL <= n; i += DL) {
        dvec wg = v_widen(g + i);
        if (weight != NULL) wg *= v_widen(weight + i);
        s += wg;
        q += wg * (v_widen(x + i) - mean);
    }
    *level = v_sum_f64(s);
    *along = v_sum_f64(q);
    for (; i < n; i++) {
        double wg = weight != NULL ? (double)g[i] * (double)weight[i] : (double)g[i];
        *level += wg;
        *along += wg * ((double)x[i] - mean);
    }
}

/* dx = rstd w g - level - (x - mean) along */
static void K(row_gradient)(const REAL *restrict g, const REAL *restrict x,
                            const REAL *restrict weight, REAL *restrict dx, int64_t n, double mean,
                            double rstd, double level, double along, int far) {
    REAL near = (REAL)mean;
    vec shift = v_set1(near), factor = v_set1((REAL)rstd), slope = v_set1((REAL)-along);
    vec offset = v_set1((REAL)(along * (mean - (double)near) - level));
    for (int64_t i = 0; i < n;) {
        const int64_t end = stream_end(i, n, far);
        if (far) {
            ask_to_read_all(g + n + i, (end - i) * (int64_t)sizeof(REAL));
            ask_to_read_all(x + n + i, (end - i) * (int64_t)sizeof(REAL));
            ask_to_write_all(dx + n + i, (end - i) * (int64_t)sizeof(REAL));
        }
        for (; i < end; i += VL) {
            int64_t left = n - i;
            vec wg = v_load_live(g + i, left);
            if (weight != NULL) wg *= v_load_live(weight + i, left);
            vec d = v_load_live(x + i, left) - shift;
            v_store_live(dx + i, v_fma(wg, factor, v_fma(d, slope, offset)), left);
        }
    }
}

/* dweight's sums += g (x - mean) rstd, dbias's += g */
static void K(add_affine)(const REAL *restrict g, const REAL *restrict x, int64_t n, double mean,
                          double rstd, double *restrict dw, double *restrict db) {
    for (int64_t i = 0; i < n; i++) {
        dw[i] += (double)g[i] * (((double)x[i] - mean) * rstd);
        db[i] += (double)g[i];
    }
}

static void K(ln_row)(const layer_norm_bwd_args *a, int64_t r, int64_t rows, int far,
                      double *block) {
    int64_t n = a->n;
    const double *stats = a->stats.data;
    const REAL *g = (const REAL *)a->g.data + r * n, *x = (const REAL *)a->x.data + r * n;
    double mean = stats[r], rstd = stats[rows + r];
    if (block != NULL) K(add_affine)(g, x, n, mean, rstd, block, block + n);
    if (a->dx.data == NULL) return;
    double level, along;
    K(row_slope_sums)(g, x, a->weight.data, mean, n, &level, &along);
    level *= a->center ? rstd / (double)n : 0;
    along *= rstd * rstd * rstd / (double)n;
    K(row_gradient)(g, x, a->weight.data, (REAL *)a->dx.data + r * n, n, mean, rstd, level, along,
                    far);
}

/* dweight and dbias of long rows: columns are split instead of rows, so that no block of sums as
 * long as a row is needed */
static void K(ln_columns)(const layer_norm_bwd_args *a, int64_t rows, const team *t) {
    int64_t n = a->n, begin, end;
    const double *stats = a->stats.data;
    REAL *dweight = a->dweight.data, *dbias = a->dbias.data;
    team_range(t, n, LN_CHUNK, &begin, &end);
    for (int64_t j = begin; j < end; j += LN_CHUNK) {
        double dw[LN_CHUNK] = {0}, db[LN_CHUNK] = {0};
        int64_t m = pyad_min(LN_CHUNK, end - j);
        for (int64_t r = 0; r < rows; r++) {
            const REAL *g = (const REAL *)a->g.data + r * n + j;
            const REAL *x = (const REAL *)a->x.data + r * n + j;
            K(add_affine)(g, x, m, stats[r], stats[rows + r], dw, db);
        }
        for (int64_t i = 0; dweight != NULL && i < m; i++) dweight[j + i] = (REAL)dw[i];
        for (int64_t i = 0; dbias != NULL && i < m; i++) dbias[j + i] = (REAL)db[i];
    }
}

static int K(layer_norm_bwd)(const void *args, const team *t) {
    const layer_norm_bwd_args *a = args;
    int64_t n = a->n, rows = n > 0 ? pyad_numel(&a->x) / n : 0, first, last, begin, end;
    int affine = a->dweight.data != NULL || a->dbias.data != NULL;
    int blocks = affine && n <= LN_SHORT;
    const int far = K(next_row_asked)(rows, n, t);
    double *sums = t->shared;
    if (affine && !blocks) K(ln_columns)(a, rows, t);
    team_range(t, PYAD_NORM_BLOCKS, 1, &first, &last);
    for (int64_t b = first; b < last; b++) {
        double *block = blocks ? sums + 2 * b * n : NULL;
        if (blocks) memset(block, 0, (size_t)(2 * n) * sizeof(double));
        K(row_block)(rows, b, &begin, &end);
        for (int64_t r = begin; r < end; r++) K(ln_row)(a, r, rows, far, block);
    }
    if (!blocks) return PYAD_OK;
    team_barrier(t);
    K(reduce_affine)(sums, n, t, a->dweight.data, a->dbias.data);
    return PYAD_OK;
}

PYAD_RECORD(layer_norm_fwd, layer_norm_fwd_args, 4 * pyad_numel(&a->x), 0, 0)
PYAD_RECORD_FLUSHED(layer_norm_bwd, layer_norm_bwd_args, 8 * pyad_numel(&a->x), 0,
                    a->n <= LN_SHORT ? AFFINE_SHARED(a->n) : 0)
