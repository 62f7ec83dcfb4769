/* Group and instance norm: one sample at a time, each by one thread, both passes in its cache.
 */

/* a thread's memory: two sums and four constants for each channel */
#define GN_SCRATCH(c) ((c) * (2 * (int64_t)sizeof(double) + 4 * 8) + 64)

static int K(group_norm_fwd)(const void *args, const team *t) {
    const group_norm_fwd_args *a = args;
    int64_t n = a->x.shape[0], c = a->x.shape[1], begin, end;
    int64_t rows = n > 0 ? K(norm_rows)(&a->x) / n : 0, groups = a->groups, size = c / groups;
    double *s = t->scratch, *q = s + c, *stats = a->stats.data, count = (double)(size * rows);
    REAL *mean = (REAL *)(void *)(q + c), *scale = mean + c, *offset = scale + c,
         *shift = offset + c;
    team_range(t, n, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const REAL *x = (const REAL *)a->x.data + i * rows * c;
        memset(s, 0, (size_t)(2 * c) * sizeof(double));
        /* one shift for a group, so that its channels' sums add up */
        for (int64_t j = 0; j < c; j++) shift[j] = x[j / size * size];
        K(sum_moments)(x, shift, 0, rows, c, 0, s, q);
        for (int64_t k = 0; k < groups; k++) {
            double total = 0, square = 0;
            for (int64_t j = k * size; j < (k + 1) * size; j++) {
                total += s[j];
                square += q[j];
            }
            double part = total / count, var = (square - total * part) / count;
            double *kept = stats + i * groups + k;
            kept[0] = (double)shift[k * size] + part;
            kept[n * groups] = K(rsqrt)((var < 0 ? 0 : var) + a->eps);
            for (int64_t j = k * size; j < (k + 1) * size; j++) {
                K(set_affine)(kept[0], kept[n * groups], a->weight.data, a->bias.data, j, mean,
                              scale, offset);
            }
        }
        K(apply_rows)(x, (REAL *)a->y.data + i * rows * c, 0, rows, c, mean, scale, offset,
                      -(REAL)INFINITY, 0);
    }
    return PYAD_OK;
}

/* One sample: adds to dweight's and dbias's sums in block, writes dx. */
static void K(gn_sample)(const group_norm_bwd_args *a, int64_t i, int64_t rows, double *block,
                         double *s, double *means) {
    int64_t n = a->x.shape[0], c = a->x.shape[1], groups = a->groups, size = c / groups;
    double *q = s + c, count = (double)(size * rows);
    const double *stats = a->stats.data;
    const REAL *weight = a->weight.data, *x = (const REAL *)a->x.data + i * rows * c;
    const REAL *g = (const REAL *)a->g.data + i * rows * c;
    REAL *mean = (REAL *)(void *)(means + c), *scale = mean + c, *slope = scale + c,
         *offset = slope + c;
    memset(s, 0, (size_t)(2 * c) * sizeof(double));
    for (int64_t j = 0; j < c; j++) means[j] = stats[i * groups + j / size];
    K(sum_slopes)(g, x, means, 0, rows, c, 0, s, q);
    for (int64_t k = 0; k < groups; k++) {
        double rstd = stats[(n + i) * groups + k], level = 0, along = 0;
        for (int64_t j = k * size; j < (k + 1) * size; j++) {
            double w = weight != NULL ? (double)weight[j] : 1;
            level += w * s[j];
            along += w * q[j];
            block[j] += q[j] * rstd;
            block[c + j] += s[j];
        }
        level *= rstd / count;
        along *= rstd * rstd * rstd / count;
        for (int64_t j = k * size; j < (k + 1) * size; j++) {
            /* dx = rstd w g - level - (x - mean) along */
            mean[j] = (REAL)means[j];
            scale[j] = (REAL)(weight != NULL ? rstd * (double)weight[j] : rstd);
            slope[j] = (REAL)-along;
            offset[j] = (REAL)(along * (means[j] - (double)mean[j]) - level);
        }
    }
    if (a->dx.data == NULL) return;
    REAL *dx = (REAL *)a->dx.data + i * rows * c;
    K(apply_slopes)(g, x, dx, 0, rows, c, mean, scale, slope, offset, NULL, 0);
}

/* dweight and dbias from the blocks' sums */
static void K(reduce_affine)(const double *sums, int64_t c, const team *t, REAL *dweight,
                             REAL *dbias) {
    int64_t begin, end;
    team_range(t, c, 8, &begin, &end);
    for (int64_t j = begin; j < end; j++) {
        double w, b;
        K(total_of_blocks)(sums, c, j, &w, &b);
        if (dweight != NULL) dweight[j] = (REAL)w;
        if (dbias != NULL) dbias[j] = (REAL)b;
    }
}

static int K(group_norm_bwd)(const void *args, const team *t) {
    const group_norm_bwd_args *a = args;
    int64_t n = a->x.shape[0], c = a->x.shape[1], begin, end, first, last;
    int64_t rows = n > 0 ? K(norm_rows)(&a->x) / n : 0;
    double *sums = t->shared, *s = t->scratch;
    team_range(t, PYAD_NORM_BLOCKS, 1, &first, &last);
    for (int64_t b = first; b < last; b++) {
        double *block = sums + 2 * b * c;
        memset(block, 0, (size_t)(2 * c) * sizeof(double));
        K(row_block)(n, b, &begin, &end);
        for (int64_t i = begin; i < end; i++) K(gn_sample)(a, i, rows, block, s, s + 2 * c);
    }
    team_barrier(t);
    K(reduce_affine)(sums, c, t, a->dweight.data, a->dbias.data);
    return PYAD_OK;
}

#define AFFINE_SHARED(c) ((c) * PYAD_NORM_BLOCKS * 2 * (int64_t)sizeof(double))

PYAD_RECORD(group_norm_fwd, group_norm_fwd_args, 3 * pyad_numel(&a->x),
            GN_SCRATCH(a->x.shape[1]), 0)
PYAD_RECORD_FLUSHED(group_norm_bwd, group_norm_bwd_args, 6 * pyad_numel(&a->x),
                    GN_SCRATCH(a->x.shape[1]) + a->x.shape[1] * 8, AFFINE_SHARED(a->x.shape[1]))
