/* Layer norm and RMS norm: rows of n contiguous elements, each summed and then computed from the cache.
 * Gradients of weight and bias sum over rows: of short rows in blocks of rows, of long ones by columns.
 * Of many rows the next one is asked for while a row's results are written (stream.h); few long ones are
 * shared out in parts.
 */

/* Whether a thread asks for the next row, which must stay in L2 with the one at work. */
static inline int K(next_row_asked)(int64_t rows, int64_t n, const team *t) {
    return n <= LN_SHORT && K(rows_stream)(rows, n, t);
}

/* Of few long rows each is shared out in so many parts, for as many threads; else 1. */
static inline int64_t K(ln_parts)(int64_t rows, int64_t n) {
    return rows > 0 && rows < NORM_FEW && n >= NORM_LARGE ? PYAD_NORM_BLOCKS / rows : 1;
}

static inline int64_t K(ln_shared)(int64_t all, int64_t n) {
    const int64_t rows = n > 0 ? all / n : 0, parts = K(ln_parts)(rows, n);
    return parts > 1 ? parts * rows * 2 * (int64_t)sizeof(double) : 0;
}

/* part p of a row of n */
static inline team_span K(ln_part)(int64_t n, int64_t parts, int64_t p) {
    const int64_t size = pyad_ceil_div(n, parts * VL) * VL;
    return (team_span){pyad_min(n, p * size), pyad_min(n, (p + 1) * size)};
}

/* the sums of a row's parts: two for each */
static void K(ln_total)(const double *sums, int64_t parts, double *total) {
    total[0] = total[1] = 0;
    for (int64_t p = 0; p < parts; p++) {
        total[0] += sums[2 * p];
        total[1] += sums[2 * p + 1];
    }
}

static inline const REAL *K(from)(const REAL *x, int64_t at) { return x != NULL ? x + at : NULL; }

/* The sums of the differences from `first`, and of their squares. */
static void K(row_sums)(const REAL *x, int64_t n, double first, double *sums) {
    double sum = 0, square = 0;
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
    sums[0] = sum + v_sum_f64(s0 + s1);
    sums[1] = square + v_sum_f64(q0 + q1);
}

/* By differences from the first element, which for equal elements are 0 exactly. */
static inline double K(row_first)(const layer_norm_fwd_args *a, int64_t r) {
    return a->center ? (double)((const REAL *)a->x.data)[r * a->n] : 0;
}

/* Mean and mean square deviation of a row, or without `center` 0 and its mean square, from its sums;
 * kept by who has its first element. */
static void K(row_statistics)(const layer_norm_fwd_args *a, int64_t r, int64_t rows,
                              const double *sums, int keep, double *mean, double *rstd) {
    double *stats = a->stats.data, n = (double)a->n, part = a->center ? sums[0] / n : 0;
    double squares = a->center ? sums[1] - sums[0] * part : sums[1];
    *mean = K(row_first)(a, r) + part;
    *rstd = K(rsqrt)((squares < 0 ? 0 : squares / n) + a->eps);
    if (!keep) return;
    stats[r] = *mean;
    stats[rows + r] = *rstd;
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

static void K(ln_fwd_parts)(const layer_norm_fwd_args *a, int64_t rows, int64_t parts,
                            const team *t) {
    const REAL *x = a->x.data;
    int64_t n = a->n, begin, end;
    double *sums = t->shared, total[2], mean, rstd;
    team_range(t, rows * parts, 1, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const int64_t r = p / parts;
        const team_span part = K(ln_part)(n, parts, p % parts);
        K(row_sums)(x + r * n + part.begin, part.end - part.begin, K(row_first)(a, r), sums + 2 * p);
    }
    team_barrier(t);
    for (int64_t p = begin; p < end; p++) {
        const int64_t r = p / parts;
        const team_span part = K(ln_part)(n, parts, p % parts);
        const int64_t at = r * n + part.begin;
        K(ln_total)(sums + r * parts * 2, parts, total);
        K(row_statistics)(a, r, rows, total, p % parts == 0, &mean, &rstd);
        K(norm_row)(x + at, (REAL *)a->y.data + at, part.end - part.begin, mean, rstd,
                    K(from)(a->weight.data, part.begin), K(from)(a->bias.data, part.begin), 0);
    }
}

static int K(layer_norm_fwd)(const void *args, const team *t) {
    const layer_norm_fwd_args *a = args;
    int64_t n = a->n, rows = n > 0 ? pyad_numel(&a->x) / n : 0, begin, end;
    const int64_t parts = K(ln_parts)(rows, n);
    const int far = K(next_row_asked)(rows, n, t);
    if (parts > 1) {
        K(ln_fwd_parts)(a, rows, parts, t);
        return PYAD_OK;
    }
    team_range(t, rows, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)a->x.data + r * n;
        double sums[2], mean, rstd;
        K(row_sums)(x, n, K(row_first)(a, r), sums);
        K(row_statistics)(a, r, rows, sums, 1, &mean, &rstd);
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

/* dx of elements at, at + 1, ... of row r, given the row's sums */
static void K(ln_dx)(const layer_norm_bwd_args *a, int64_t r, int64_t rows, team_span part,
                     double level, double along, int far) {
    const double n = (double)a->n, *stats = a->stats.data, rstd = stats[rows + r];
    const int64_t at = r * a->n + part.begin;
    level *= a->center ? rstd / n : 0;
    along *= rstd * rstd * rstd / n;
    K(row_gradient)((const REAL *)a->g.data + at, (const REAL *)a->x.data + at,
                    K(from)(a->weight.data, part.begin), (REAL *)a->dx.data + at,
                    part.end - part.begin, stats[r], rstd, level, along, far);
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
    K(ln_dx)(a, r, rows, (team_span){0, n}, level, along, far);
}

static void K(ln_bwd_parts)(const layer_norm_bwd_args *a, int64_t rows, int64_t parts,
                            const team *t) {
    int64_t n = a->n, begin, end;
    double *sums = t->shared, total[2];
    team_range(t, rows * parts, 1, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const int64_t r = p / parts;
        const team_span part = K(ln_part)(n, parts, p % parts);
        const int64_t at = r * n + part.begin;
        K(row_slope_sums)((const REAL *)a->g.data + at, (const REAL *)a->x.data + at,
                          K(from)(a->weight.data, part.begin), ((const double *)a->stats.data)[r],
                          part.end - part.begin, sums + 2 * p, sums + 2 * p + 1);
    }
    team_barrier(t);
    for (int64_t p = begin; p < end; p++) {
        K(ln_total)(sums + p / parts * parts * 2, parts, total);
        K(ln_dx)(a, p / parts, rows, K(ln_part)(n, parts, p % parts), total[0], total[1], 0);
    }
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
    const int64_t parts = K(ln_parts)(rows, n);
    if (parts > 1) {
        if (a->dx.data != NULL) K(ln_bwd_parts)(a, rows, parts, t);
        return PYAD_OK;
    }
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

PYAD_RECORD_MEMORY(layer_norm_fwd, layer_norm_fwd_args, 4 * pyad_numel(&a->x), 0,
            K(ln_shared)(pyad_numel(&a->x), a->n))
PYAD_RECORD_FLUSHED(layer_norm_bwd, layer_norm_bwd_args, 8 * pyad_numel(&a->x), 0,
                    a->n <= LN_SHORT ? AFFINE_SHARED(a->n)
                                      : K(ln_shared)(pyad_numel(&a->x), a->n))
