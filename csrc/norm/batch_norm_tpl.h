/* Batch norm: one sample of all rows. Loops: blocks of rows, shared out to the threads, for the sums; then
 * rows, backwards in memory, as the first pass has left the last ones in the caches. With given statistics
 * channels may lie apart: then planes of them.
 */

static inline int64_t K(norm_rows)(const pyad_array *x) {
    int64_t c = x->shape[1];
    return c > 0 ? pyad_numel(x) / c : 0;
}

/* the team's memory: sums of blocks [blocks][2][c], then 4 rows of constants */
#define BN_SHARED(c) ((c) * (PYAD_NORM_BLOCKS * 2 * (int64_t)sizeof(double) + 4 * 8) + 64)

typedef struct {
    double *sums;
    REAL *constants;
} K(bn_memory);

static inline K(bn_memory) K(bn_memory_of)(const team *t, int64_t c) {
    double *sums = t->shared;
    return (K(bn_memory)){sums, (REAL *)(void *)(sums + PYAD_NORM_BLOCKS * 2 * c)};
}

/* Rows that the second pass takes at a time, from the last to the first: what the first pass has read
 * last is still in the caches. */
static inline int64_t K(rows_back)(int64_t c) { return pyad_max(1, BN_BACK / c); }

/* Whether the pass of a thread over its rows leaves the caches. */
static inline int K(rows_stream)(int64_t rows, int64_t c, const team *t) {
    return streams(rows * c / t->nth * (int64_t)sizeof(REAL));
}

static inline void K(row_block)(int64_t rows, int64_t b, int64_t *begin, int64_t *end) {
    *begin = rows * b / PYAD_NORM_BLOCKS;
    *end = rows * (b + 1) / PYAD_NORM_BLOCKS;
}

static void K(total_of_blocks)(const double *sums, int64_t c, int64_t j, double *s, double *q) {
    *s = *q = 0;
    for (int64_t b = 0; b < PYAD_NORM_BLOCKS; b++) {
        *s += sums[(2 * b) * c + j];
        *q += sums[(2 * b + 1) * c + j];
    }
}

/* running = (1 - momentum) * running + momentum * value */
static inline REAL K(move)(REAL running, double value, double momentum) {
    return (REAL)((1 - momentum) * (double)running + momentum * value);
}

/* The statistics of channels [begin, end) from the blocks' sums, or the running ones. */
static void K(bn_statistics)(const batch_norm_fwd_args *a, const double *sums, int64_t begin,
                             int64_t end, double momentum) {
    int64_t c = a->x.shape[1], rows = K(norm_rows)(&a->x);
    const REAL *x = a->x.data;
    REAL *running_mean = a->running_mean.data, *running_var = a->running_var.data;
    double *stats = a->stats.data;
    for (int64_t j = begin; j < end; j++) {
        double mean, var;
        if (a->training) {
            double s, q, n = (double)rows;
            K(total_of_blocks)(sums, c, j, &s, &q);
            mean = (double)x[j] + s / n;
            double squares = q - s * (s / n);
            if (squares < 0) squares = 0;
            var = squares / n;
            if (running_mean != NULL) {
                running_mean[j] = K(move)(running_mean[j], mean, momentum);
                running_var[j] = K(move)(running_var[j], squares / (n > 1 ? n - 1 : 1), momentum);
            }
        } else {
            mean = (double)running_mean[j];
            var = (double)running_var[j];
        }
        stats[j] = mean;
        stats[c + j] = K(rsqrt)(var + a->eps);
    }
}

static int K(batch_norm_fwd)(const void *args, const team *t) {
    const batch_norm_fwd_args *a = args;
    int64_t c = a->x.shape[1], rows = K(norm_rows)(&a->x), begin, end, first, last;
    const REAL *x = a->x.data;
    if (rows == 0) {
        if (t->ith == 0) memset(a->stats.data, 0, (size_t)(2 * c) * sizeof(double));
        return PYAD_OK;
    }
    K(bn_memory) m = K(bn_memory_of)(t, c);
    const int far = K(rows_stream)(rows, c, t);
    if (a->training) {
        team_range(t, PYAD_NORM_BLOCKS, 1, &first, &last);
        for (int64_t b = first; b < last; b++) {
            double *s = m.sums + 2 * b * c;
            memset(s, 0, (size_t)(2 * c) * sizeof(double));
            K(row_block)(rows, b, &begin, &end);
            if (begin < end) K(sum_moments)(x, x, begin, end, c, far, s, s + c);
        }
    }
    int64_t *batches = a->batches.data, count = batches != NULL ? *batches + 1 : 0;
    double momentum = a->momentum;
    if (momentum < 0) momentum = count > 0 ? 1 / (double)count : 0;
    team_barrier(t); /* all have read the count, and the sums are there */
    if (t->ith == 0 && a->training && batches != NULL) *batches = count;
    team_range(t, c, 8, &first, &last);
    K(bn_statistics)(a, m.sums, first, last, momentum);
    const double *stats = a->stats.data;
    REAL *mean = m.constants, *scale = mean + c, *offset = scale + c;
    for (int64_t j = first; j < last; j++) {
        K(set_affine)(stats[j], stats[c + j], a->weight.data, a->bias.data, j, mean, scale, offset);
    }
    team_barrier(t);
    REAL low = a->relu ? 0 : -(REAL)INFINITY;
    if (planar_is(&a->x)) {
        team_range(t, rows * c, LINE, &begin, &end);
        K(apply_planes)(x, a->y.data, begin, end, rows / a->x.shape[0], c, mean, scale, offset, low,
                        far ? BN_PLANES_AHEAD : 0);
        return PYAD_OK;
    }
    team_range(t, rows, 1, &begin, &end);
    for (; begin < end; end = first) {
        first = pyad_max(begin, end - K(rows_back)(c));
        K(apply_rows)(x, a->y.data, first, end, c, mean, scale, offset, low,
                      far ? (first - end) * c : 0);
    }
    return PYAD_OK;
}

/* A ReLU behind the norm, as its gradient needs it, in a thread's memory: constants of its input,
 * and the gradients of the norm's output for some rows. */
typedef struct {
    const batch_norm_bwd_args *norm;
    REAL *mean, *scale, *offset, *slopes;
    int64_t rows; /* at a time, a multiple of those that sum_slopes adds at a time */
    int far;
} K(bn_gate);

static inline int64_t K(gated_rows)(int64_t c) { return pyad_max(4, BN_GATED / c / 4 * 4); }

static inline K(bn_gate) K(bn_gate_of)(const batch_norm_bwd_args *a, const team *t, int64_t all) {
    int64_t c = a->x.shape[1];
    const int far = K(rows_stream)(all, c, t);
    if (!a->relu) return (K(bn_gate)){.norm = a, .rows = all, .far = far};
    REAL *mean = t->scratch;
    const double *stats = a->stats.data;
    for (int64_t j = 0; j < c; j++) {
        K(set_affine)(stats[j], stats[c + j], a->weight.data, a->bias.data, j, mean, mean + c,
                      mean + 2 * c);
    }
    return (K(bn_gate)){a, mean, mean + c, mean + 2 * c, mean + 3 * c, K(gated_rows)(c), far};
}

/* The gradients of the norm's output, n rows from r on; behind a ReLU what it lets through. */
static inline const REAL *K(gated)(const K(bn_gate) *gate, int64_t r, int64_t n) {
    const batch_norm_bwd_args *a = gate->norm;
    int64_t c = a->x.shape[1];
    const REAL *g = (const REAL *)a->g.data + r * c, *x = (const REAL *)a->x.data + r * c;
    if (!a->relu) return g;
    K(gate_rows)(g, x, gate->slopes, n, c, gate->mean, gate->scale, gate->offset, gate->far);
    return gate->slopes;
}

/* dweight, dbias and the constants of dx for channels [begin, end) */
static void K(bn_slopes)(const batch_norm_bwd_args *a, const K(bn_memory) *m, int64_t begin,
                         int64_t end) {
    int64_t c = a->x.shape[1];
    double n = (double)K(norm_rows)(&a->x);
    const double *stats = a->stats.data;
    const REAL *weight = a->weight.data;
    REAL *dweight = a->dweight.data, *dbias = a->dbias.data, *mean = m->constants;
    for (int64_t j = begin; j < end; j++) {
        double s, q, rstd = stats[c + j];
        K(total_of_blocks)(m->sums, c, j, &s, &q);
        if (dweight != NULL) dweight[j] = (REAL)(q * rstd);
        if (dbias != NULL) dbias[j] = (REAL)s;
        double factor = weight != NULL ? rstd * (double)weight[j] : rstd;
        double along = a->training ? q / n * rstd * rstd : 0, level = a->training ? s / n : 0;
        K(set_slope)(stats[j], factor, level, along, j, mean, mean + c, mean + 2 * c,
                     mean + 3 * c);
    }
}

static int K(batch_norm_bwd)(const void *args, const team *t) {
    const batch_norm_bwd_args *a = args;
    int64_t c = a->x.shape[1], rows = K(norm_rows)(&a->x), begin, end, first, last;
    if (c == 0) return PYAD_OK;
    const REAL *x = a->x.data;
    K(bn_memory) m = K(bn_memory_of)(t, c);
    const K(bn_gate) gate = K(bn_gate_of)(a, t, rows);
    team_range(t, PYAD_NORM_BLOCKS, 1, &first, &last);
    for (int64_t b = first; b < last; b++) {
        double *s = m.sums + 2 * b * c;
        memset(s, 0, (size_t)(2 * c) * sizeof(double));
        K(row_block)(rows, b, &begin, &end);
        for (int64_t r = begin, n; r < end; r += n) {
            n = pyad_min(gate.rows, end - r);
            K(sum_slopes)(K(gated)(&gate, r, n), x + r * c, a->stats.data, 0, n, c,
                          gate.far && !a->relu, s, s + c);
        }
    }
    team_barrier(t);
    team_range(t, c, 8, &first, &last);
    K(bn_slopes)(a, &m, first, last);
    team_barrier(t);
    if (a->dx.data == NULL) return PYAD_OK;
    const REAL *mean = m.constants;
    team_range(t, rows, 1, &begin, &end);
    for (; begin < end; end = first) {
        first = pyad_max(begin, end - K(rows_back)(c));
        K(apply_slopes)(a->g.data, x, a->dx.data, first, end, c, mean, mean + c,
                        a->training ? mean + 2 * c : NULL, mean + 3 * c, gate.offset, gate.far ? (first - end) * c : 0);
    }
    return PYAD_OK;
}

static inline int64_t K(bn_scratch)(const batch_norm_bwd_args *a) {
    int64_t c = a->x.shape[1];
    return a->relu && c > 0 ? c * (3 + K(gated_rows)(c)) * (int64_t)sizeof(REAL) : 0;
}

PYAD_RECORD_MEMORY(batch_norm_fwd, batch_norm_fwd_args, 3 * pyad_numel(&a->x), 0,
            BN_SHARED(a->x.shape[1]))
PYAD_RECORD_FLUSHED(batch_norm_bwd, batch_norm_bwd_args, 6 * pyad_numel(&a->x), K(bn_scratch)(a),
                    BN_SHARED(a->x.shape[1]))
