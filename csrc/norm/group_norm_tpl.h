/* Group and instance norm: one sample at a time, each by one thread, both passes in its cache; of few
 * large samples the rows are shared out, in parts for the sums.
 */

/* a thread's memory: two sums and four constants for each channel */
#define GN_SCRATCH(c) ((c) * (2 * (int64_t)sizeof(double) + 4 * 8) + 64)

/* Parts of one sample's rows that are summed up each for itself: of few large samples several, for as
 * many threads; else one, a sample being the work of one thread with both passes in its cache. */
static inline int64_t K(gn_parts)(const pyad_array *x) {
    const int64_t n = x->shape[0], c = x->shape[1], all = n > 0 ? pyad_numel(x) / n : 0;
    if (n == 0 || n >= NORM_FEW || all < NORM_LARGE) return 1;
    return pyad_max(1, pyad_min(PYAD_NORM_BLOCKS / n, all / c / NORM_ROWS));
}

/* the sums of parts of samples, in the team's memory, where there is more than one for a sample */
static inline int64_t K(gn_shared)(const pyad_array *x) {
    const int64_t parts = K(gn_parts)(x);
    return parts > 1 ? parts * x->shape[0] * 2 * x->shape[1] * (int64_t)sizeof(double) : 0;
}

/* The rows of one sample that a thread's range [begin, end) of all rows has. */
static inline team_span K(gn_rows)(int64_t i, int64_t rows, int64_t begin, int64_t end) {
    return (team_span){pyad_max(begin, i * rows) - i * rows, pyad_min(end, (i + 1) * rows) - i * rows};
}

/* A sample's sums are those of its parts. */
static void K(gn_total)(const double *sums, int64_t parts, int64_t c, double *s) {
    memcpy(s, sums, (size_t)(2 * c) * sizeof(double));
    for (int64_t p = 1; p < parts; p++) {
        for (int64_t j = 0; j < 2 * c; j++) s[j] += sums[p * 2 * c + j];
    }
}

/* a thread's memory: the sums of the rows of one sample, then its constants */
typedef struct {
    double *s, *q;
    REAL *mean, *scale, *offset, *shift;
} K(gn_memory);

static inline K(gn_memory) K(gn_memory_of)(const team *t, int64_t c) {
    double *s = t->scratch;
    REAL *mean = (REAL *)(void *)(s + 2 * c);
    return (K(gn_memory)){s, s + c, mean, mean + c, mean + 2 * c, mean + 3 * c};
}

/* The sums of rows begin .. end-1 of sample i, to s and, c further, q; one shift for a group, so that
 * its channels' sums add up. */
static PYAD_SHARED void K(gn_moments)(const group_norm_fwd_args *a, int64_t i, int64_t rows, team_span part,
                          REAL *shift, double *s) {
    int64_t c = a->x.shape[1], size = c / a->groups;
    const REAL *x = (const REAL *)a->x.data + i * rows * c;
    memset(s, 0, (size_t)(2 * c) * sizeof(double));
    for (int64_t j = 0; j < c; j++) shift[j] = x[j / size * size];
    K(sum_moments)(x, shift, part.begin, part.end, c, 0, s, s + c);
}

/* Statistics and output of a sample's rows, given its sums; the statistics are written by who has its
 * first row. */
static PYAD_SHARED void K(gn_output)(const group_norm_fwd_args *a, int64_t i, int64_t rows, team_span part,
                         K(gn_memory) m) {
    int64_t n = a->x.shape[0], c = a->x.shape[1], groups = a->groups, size = c / groups;
    const REAL *x = (const REAL *)a->x.data + i * rows * c;
    double *stats = a->stats.data, count = (double)(size * rows);
    for (int64_t k = 0; k < groups; k++) {
        double total = 0, square = 0;
        for (int64_t j = k * size; j < (k + 1) * size; j++) {
            total += m.s[j];
            square += m.q[j];
        }
        double level = total / count, var = (square - total * level) / count;
        double mean = (double)x[k * size] + level, rstd = K(rsqrt)((var < 0 ? 0 : var) + a->eps);
        if (part.begin == 0) {
            stats[i * groups + k] = mean;
            stats[(n + i) * groups + k] = rstd;
        }
        for (int64_t j = k * size; j < (k + 1) * size; j++) {
            K(set_affine)(mean, rstd, a->weight.data, a->bias.data, j, m.mean, m.scale, m.offset);
        }
    }
    K(apply_rows)(x, (REAL *)a->y.data + i * rows * c, part.begin, part.end, c, m.mean, m.scale,
                  m.offset, -(REAL)INFINITY, 0);
}

static int K(group_norm_fwd)(const void *args, const team *t) {
    const group_norm_fwd_args *a = args;
    int64_t n = a->x.shape[0], c = a->x.shape[1], parts = K(gn_parts)(&a->x), begin, end;
    int64_t rows = n > 0 ? K(norm_rows)(&a->x) / n : 0;
    const K(gn_memory) m = K(gn_memory_of)(t, c);
    double *sums = t->shared;
    if (parts == 1) {
        const team_span all = {0, rows};
        team_range(t, n, 1, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            K(gn_moments)(a, i, rows, all, m.shift, m.s);
            K(gn_output)(a, i, rows, all, m);
        }
        return PYAD_OK;
    }
    team_range(t, n * parts, 1, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const team_span part = {rows * (p % parts) / parts, rows * (p % parts + 1) / parts};
        K(gn_moments)(a, p / parts, rows, part, m.shift, sums + p * 2 * c);
    }
    team_barrier(t);
    team_range(t, n * rows, 1, &begin, &end);
    for (int64_t i = begin / rows; i * rows < end; i++) {
        K(gn_total)(sums + i * parts * 2 * c, parts, c, m.s);
        K(gn_output)(a, i, rows, K(gn_rows)(i, rows, begin, end), m);
    }
    return PYAD_OK;
}

/* The sums of rows of sample i of gradients, as above. */
static PYAD_SHARED void K(gn_slopes)(const group_norm_bwd_args *a, int64_t i, int64_t rows, team_span part,
                         double *means, double *s) {
    int64_t c = a->x.shape[1], groups = a->groups, size = c / groups;
    const double *stats = a->stats.data;
    const REAL *x = (const REAL *)a->x.data + i * rows * c;
    const REAL *g = (const REAL *)a->g.data + i * rows * c;
    memset(s, 0, (size_t)(2 * c) * sizeof(double));
    for (int64_t j = 0; j < c; j++) means[j] = stats[i * groups + j / size];
    K(sum_slopes)(g, x, means, part.begin, part.end, c, 0, s, s + c);
}

/* Given a sample's sums: who has its first row adds to dweight's and dbias's sums in block; dx of rows. */
static PYAD_SHARED void K(gn_gradient)(const group_norm_bwd_args *a, int64_t i, int64_t rows, team_span part,
                           K(gn_memory) m, double *block) {
    int64_t n = a->x.shape[0], c = a->x.shape[1], groups = a->groups, size = c / groups;
    double count = (double)(size * rows);
    const double *stats = a->stats.data;
    const REAL *weight = a->weight.data;
    REAL *slope = m.shift;
    for (int64_t k = 0; k < groups; k++) {
        double mean = stats[i * groups + k], rstd = stats[(n + i) * groups + k], level = 0, along = 0;
        for (int64_t j = k * size; j < (k + 1) * size; j++) {
            double w = weight != NULL ? (double)weight[j] : 1;
            level += w * m.s[j];
            along += w * m.q[j];
            if (part.begin > 0) continue;
            block[j] += m.q[j] * rstd;
            block[c + j] += m.s[j];
        }
        level *= rstd / count;
        along *= rstd * rstd * rstd / count;
        for (int64_t j = k * size; j < (k + 1) * size; j++) {
            /* dx = rstd w g - level - (x - mean) along */
            m.mean[j] = (REAL)mean;
            m.scale[j] = (REAL)(weight != NULL ? rstd * (double)weight[j] : rstd);
            slope[j] = (REAL)-along;
            m.offset[j] = (REAL)(along * (mean - (double)m.mean[j]) - level);
        }
    }
    if (a->dx.data == NULL) return;
    const int64_t at = i * rows * c;
    K(apply_slopes)((const REAL *)a->g.data + at, (const REAL *)a->x.data + at,
                    (REAL *)a->dx.data + at, part.begin, part.end, c, m.mean, m.scale, slope,
                    m.offset, NULL, 0);
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

/* Each sample's rows in parts, as forward; each sample has a block of its own. */
static void K(gn_shared_out)(const group_norm_bwd_args *a, int64_t rows, int64_t parts,
                             K(gn_memory) m, double *means, const team *t) {
    int64_t n = a->x.shape[0], c = a->x.shape[1], begin, end;
    double *blocks = t->shared, *sums = blocks + PYAD_NORM_BLOCKS * 2 * c;
    if (t->ith == 0) memset(blocks, 0, (size_t)(PYAD_NORM_BLOCKS * 2 * c) * sizeof(double));
    team_range(t, n * parts, 1, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const team_span part = {rows * (p % parts) / parts, rows * (p % parts + 1) / parts};
        K(gn_slopes)(a, p / parts, rows, part, means, sums + p * 2 * c);
    }
    team_barrier(t);
    team_range(t, n * rows, 1, &begin, &end);
    for (int64_t i = begin / rows; i * rows < end; i++) {
        K(gn_total)(sums + i * parts * 2 * c, parts, c, m.s);
        K(gn_gradient)(a, i, rows, K(gn_rows)(i, rows, begin, end), m, blocks + i * 2 * c);
    }
}

static int K(group_norm_bwd)(const void *args, const team *t) {
    const group_norm_bwd_args *a = args;
    int64_t n = a->x.shape[0], c = a->x.shape[1], parts = K(gn_parts)(&a->x), begin, end, first, last;
    int64_t rows = n > 0 ? K(norm_rows)(&a->x) / n : 0;
    const K(gn_memory) m = K(gn_memory_of)(t, c);
    const team_span all = {0, rows};
    double *sums = t->shared, *means = (double *)(void *)((char *)t->scratch + GN_SCRATCH(c));
    if (parts > 1) K(gn_shared_out)(a, rows, parts, m, means, t);
    team_range(t, parts > 1 ? 0 : PYAD_NORM_BLOCKS, 1, &first, &last);
    for (int64_t b = first; b < last; b++) {
        double *block = sums + 2 * b * c;
        memset(block, 0, (size_t)(2 * c) * sizeof(double));
        K(row_block)(n, b, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            K(gn_slopes)(a, i, rows, all, means, m.s);
            K(gn_gradient)(a, i, rows, all, m, block);
        }
    }
    team_barrier(t);
    K(reduce_affine)(sums, c, t, a->dweight.data, a->dbias.data);
    return PYAD_OK;
}

#define AFFINE_SHARED(c) ((c) * PYAD_NORM_BLOCKS * 2 * (int64_t)sizeof(double))

PYAD_RECORD_MEMORY(group_norm_fwd, group_norm_fwd_args, 3 * pyad_numel(&a->x),
            GN_SCRATCH(a->x.shape[1]), K(gn_shared)(&a->x))
PYAD_RECORD_FLUSHED(group_norm_bwd, group_norm_bwd_args, 6 * pyad_numel(&a->x),
                    GN_SCRATCH(a->x.shape[1]) + a->x.shape[1] * 8,
                    AFFINE_SHARED(a->x.shape[1]) + K(gn_shared)(&a->x))
