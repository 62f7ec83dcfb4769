/* Normalisation: batch, group (and instance) and layer norm, with their gradients.
 *
 * Channel norms see x as [samples][rows][c], channels innermost: (n, c) as it is, images and
 * volumes channels-last. Batch norm is one sample of all rows. Two passes: the first sums x - shift
 * and its square for each channel in double, where shift is the first row, so that nothing cancels
 * and a constant channel has variance 0 exactly; the second computes (x - mean) * scale + bias. The
 * mean is used as the nearest REAL, and what that leaves out goes into the bias. A ReLU behind batch
 * norm belongs to the second pass; its gradient needs no saved array, as what it let through follows
 * from x by the same arithmetic, so it costs no pass either.
 *
 * Row norms (layer, RMS) sum likewise over each contiguous row, then compute it from the cache.
 *
 * Statistics are kept as double arrays stats: mean, then 1 / sqrt(variance + eps). Sums over rows
 * go over a fixed number of blocks of rows, added up in order: no bit depends on the threads.
 */
#ifdef REAL

#ifndef PYAD_NORM_BLOCKS
#define PYAD_NORM_BLOCKS 16
/* rows up to this long have their sums over rows in blocks of rows, longer ones by columns */
#define LN_SHORT 4096
#define LN_CHUNK 128
/* elements of gradients behind a ReLU that are computed at a time; they stay in the first cache */
#define BN_GATED 2048
/* elements of the second pass at a time, enough for the memory to run along */
#define BN_BACK 8192
#endif

/* ---- vectors of double ---- */

#define DL ((int64_t)(VECTOR_BYTES / sizeof(double)))
#define dvec vec_t_f64

/* 1 / sqrt(x) */
static inline double K(rsqrt)(double x) { return 1 / sqrt(x); }

/* ---- sums for each channel over rows [begin, end) ---- */

/* s[j] += x - shift, q[j] += (x - shift)^2 */
static void K(sum_moments)(const REAL *restrict x, const REAL *restrict shift, int64_t begin,
                           int64_t end, int64_t c, double *restrict s, double *restrict q) {
    int64_t r = begin;
    for (; r + 4 <= end; r += 4) {
        const REAL *p0 = x + r * c, *p1 = p0 + c, *p2 = p1 + c, *p3 = p2 + c;
        int64_t j = 0;
        for (; j + DL <= c; j += DL) {
            const dvec base = v_widen(shift + j);
            const dvec d0 = v_widen(p0 + j) - base, d1 = v_widen(p1 + j) - base;
            const dvec d2 = v_widen(p2 + j) - base, d3 = v_widen(p3 + j) - base;
            dvec square = v_fma_f64(d1, d1, v_fma_f64(d0, d0, v_load_f64(q + j)));
            v_store_f64(s + j, v_load_f64(s + j) + ((d0 + d1) + (d2 + d3)));
            v_store_f64(q + j, v_fma_f64(d3, d3, v_fma_f64(d2, d2, square)));
        }
        for (; j < c; j++) {
            double base = (double)shift[j];
            double d0 = (double)p0[j] - base, d1 = (double)p1[j] - base;
            double d2 = (double)p2[j] - base, d3 = (double)p3[j] - base;
            s[j] += (d0 + d1) + (d2 + d3);
            q[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < end; r++) {
        const REAL *p = x + r * c;
        for (int64_t j = 0; j < c; j++) {
            double d = (double)p[j] - (double)shift[j];
            s[j] += d;
            q[j] += d * d;
        }
    }
}

/* s[j] += g, q[j] += g * (x - mean) */
static void K(sum_slopes)(const REAL *restrict g, const REAL *restrict x,
                          const double *restrict mean, int64_t begin, int64_t end, int64_t c,
                          double *restrict s, double *restrict q) {
    int64_t r = begin;
    for (; r + 4 <= end; r += 4) {
        const REAL *g0 = g + r * c, *g1 = g0 + c, *g2 = g1 + c, *g3 = g2 + c;
        const REAL *x0 = x + r * c, *x1 = x0 + c, *x2 = x1 + c, *x3 = x2 + c;
        int64_t j = 0;
        for (; j + DL <= c; j += DL) {
            const dvec base = v_load_f64(mean + j), a0 = v_widen(g0 + j), a1 = v_widen(g1 + j);
            const dvec a2 = v_widen(g2 + j), a3 = v_widen(g3 + j);
            dvec slope = v_fma_f64(a0, v_widen(x0 + j) - base, v_load_f64(q + j));
            slope = v_fma_f64(a1, v_widen(x1 + j) - base, slope);
            slope = v_fma_f64(a2, v_widen(x2 + j) - base, slope);
            v_store_f64(q + j, v_fma_f64(a3, v_widen(x3 + j) - base, slope));
            v_store_f64(s + j, v_load_f64(s + j) + ((a0 + a1) + (a2 + a3)));
        }
        for (; j < c; j++) {
            double a0 = (double)g0[j], a1 = (double)g1[j], a2 = (double)g2[j], a3 = (double)g3[j];
            double base = mean[j];
            s[j] += (a0 + a1) + (a2 + a3);
            q[j] += (a0 * ((double)x0[j] - base) + a1 * ((double)x1[j] - base)) +
                    (a2 * ((double)x2[j] - base) + a3 * ((double)x3[j] - base));
        }
    }
    for (; r < end; r++) {
        const REAL *gr = g + r * c, *xr = x + r * c;
        for (int64_t j = 0; j < c; j++) {
            double a = (double)gr[j];
            s[j] += a;
            q[j] += a * ((double)xr[j] - mean[j]);
        }
    }
}

/* ---- applying: y = max((x - mean) * scale + offset, low), for each channel ---- */

static void K(apply_rows)(const REAL *restrict x, REAL *restrict y, int64_t begin, int64_t end,
                          int64_t c, const REAL *restrict mean, const REAL *restrict scale,
                          const REAL *restrict offset, REAL low) {
    const vec least = v_set1(low);
    for (int64_t r = begin; r < end; r++) {
        const REAL *p = x + r * c;
        REAL *out = y + r * c;
        int64_t j = 0;
        for (; j + VL <= c; j += VL) {
            vec d = v_load(p + j) - v_load(mean + j);
            v_store(out + j, v_max(least, v_fma(d, v_load(scale + j), v_load(offset + j))));
        }
        if (j < c) {
            vec d = v_load_n(p + j, c - j) - v_load_n(mean + j, c - j);
            vec o = v_fma(d, v_load_n(scale + j, c - j), v_load_n(offset + j, c - j));
            v_store_n(out + j, v_max(least, o), c - j);
        }
    }
}

/* out = g where y = (x - mean) * scale + offset is above 0 or no number, else 0; y as apply_rows
 * computes it, to the bit */
static void K(gate_rows)(const REAL *restrict g, const REAL *restrict x, REAL *restrict out,
                         int64_t rows, int64_t c, const REAL *restrict mean,
                         const REAL *restrict scale, const REAL *restrict offset) {
    const vec zero = {0};
    int64_t r = 0, whole = c / VL * VL;
    for (; r + 4 <= rows; r += 4) {
        for (int64_t j = 0; j < whole; j += VL) {
            const vec m = v_load(mean + j), s = v_load(scale + j), o = v_load(offset + j);
            for (int64_t i = r * c + j; i < (r + 4) * c; i += c) {
                vec y = v_fma(v_load(x + i) - m, s, o);
                v_store(out + i, v_select(y <= zero, zero, v_load(g + i)));
            }
        }
    }
    for (int64_t i = 0; i < rows; i++, g += c, x += c, out += c) {
        int64_t j = i < r ? whole : 0;
        for (; j < whole; j += VL) {
            vec d = v_load(x + j) - v_load(mean + j);
            vec y = v_fma(d, v_load(scale + j), v_load(offset + j));
            v_store(out + j, v_select(y <= zero, zero, v_load(g + j)));
        }
        if (j < c) {
            int64_t n = c - j;
            vec d = v_load_n(x + j, n) - v_load_n(mean + j, n);
            vec y = v_fma(d, v_load_n(scale + j, n), v_load_n(offset + j, n));
            v_store_n(out + j, v_select(y <= zero, zero, v_load_n(g + j, n)), n);
        }
    }
}

/* dx = g * scale + (x - mean) * slope + offset; with `gate`, g counts as in gate_rows, whose offset
 * that is */
static void K(apply_slopes)(const REAL *restrict g, const REAL *restrict x, REAL *restrict dx,
                            int64_t begin, int64_t end, int64_t c, const REAL *restrict mean,
                            const REAL *restrict scale, const REAL *restrict slope,
                            const REAL *restrict offset, const REAL *restrict gate) {
    const vec zero = {0};
    for (int64_t r = begin; r < end; r++) {
        const REAL *gr = g + r * c, *xr = x + r * c;
        REAL *out = dx + r * c;
        for (int64_t j = 0; j < c; j += VL) {
            int64_t n = pyad_min(VL, c - j);
            if (n == VL) {
                vec d = v_load(xr + j) - v_load(mean + j), s = v_load(scale + j), h = v_load(gr + j);
                if (gate != NULL) h = v_select(v_fma(d, s, v_load(gate + j)) <= zero, zero, h);
                v_store(out + j, v_fma(h, s, v_fma(d, v_load(slope + j), v_load(offset + j))));
            } else {
                vec d = v_load_n(xr + j, n) - v_load_n(mean + j, n), s = v_load_n(scale + j, n);
                vec h = v_load_n(gr + j, n), o = v_load_n(offset + j, n);
                if (gate != NULL) h = v_select(v_fma(d, s, v_load_n(gate + j, n)) <= zero, zero, h);
                v_store_n(out + j, v_fma(h, s, v_fma(d, v_load_n(slope + j, n), o)), n);
            }
        }
    }
}

/* one channel's constants of apply_rows */
static inline void K(set_affine)(double mean, double rstd, const REAL *weight, const REAL *bias,
                                 int64_t j, REAL *mean_out, REAL *scale, REAL *offset) {
    double factor = weight != NULL ? rstd * (double)weight[j] : rstd;
    mean_out[j] = (REAL)mean;
    scale[j] = (REAL)factor;
    offset[j] = (REAL)((bias != NULL ? (double)bias[j] : 0.0) -
                       (mean - (double)mean_out[j]) * factor);
}

/* one channel's constants of apply_slopes, for dx = factor * (g - a - (x - mean) * b) */
static inline void K(set_slope)(double mean, double factor, double a, double b, int64_t j,
                                REAL *mean_out, REAL *scale, REAL *slope, REAL *offset) {
    mean_out[j] = (REAL)mean;
    scale[j] = (REAL)factor;
    slope[j] = (REAL)(-factor * b);
    offset[j] = (REAL)(-factor * a + factor * b * (mean - (double)mean_out[j]));
}

/* ---- batch norm ---- */

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
    if (a->training) {
        team_range(t, PYAD_NORM_BLOCKS, 1, &first, &last);
        for (int64_t b = first; b < last; b++) {
            double *s = m.sums + 2 * b * c;
            memset(s, 0, (size_t)(2 * c) * sizeof(double));
            K(row_block)(rows, b, &begin, &end);
            if (begin < end) K(sum_moments)(x, x, begin, end, c, s, s + c);
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
    team_range(t, rows, 1, &begin, &end);
    REAL low = a->relu ? 0 : -(REAL)INFINITY;
    for (; begin < end; end = first) {
        first = pyad_max(begin, end - K(rows_back)(c));
        K(apply_rows)(x, a->y.data, first, end, c, mean, scale, offset, low);
    }
    return PYAD_OK;
}

/* A ReLU behind the norm, as its gradient needs it, in a thread's memory: constants of its input,
 * and the gradients of the norm's output for some rows. */
typedef struct {
    const batch_norm_bwd_args *norm;
    REAL *mean, *scale, *offset, *slopes;
    int64_t rows; /* at a time, a multiple of those that sum_slopes adds at a time */
} K(bn_gate);

static inline int64_t K(gated_rows)(int64_t c) { return pyad_max(4, BN_GATED / c / 4 * 4); }

static inline K(bn_gate) K(bn_gate_of)(const batch_norm_bwd_args *a, const team *t, int64_t all) {
    int64_t c = a->x.shape[1];
    if (!a->relu) return (K(bn_gate)){.norm = a, .rows = all};
    REAL *mean = t->scratch;
    const double *stats = a->stats.data;
    for (int64_t j = 0; j < c; j++) {
        K(set_affine)(stats[j], stats[c + j], a->weight.data, a->bias.data, j, mean, mean + c,
                      mean + 2 * c);
    }
    return (K(bn_gate)){a, mean, mean + c, mean + 2 * c, mean + 3 * c, K(gated_rows)(c)};
}

/* The gradients of the norm's output, n rows from r on; behind a ReLU what it lets through. */
static inline const REAL *K(gated)(const K(bn_gate) *gate, int64_t r, int64_t n) {
    const batch_norm_bwd_args *a = gate->norm;
    int64_t c = a->x.shape[1];
    const REAL *g = (const REAL *)a->g.data + r * c, *x = (const REAL *)a->x.data + r * c;
    if (!a->relu) return g;
    K(gate_rows)(g, x, gate->slopes, n, c, gate->mean, gate->scale, gate->offset);
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
            K(sum_slopes)(K(gated)(&gate, r, n), x + r * c, a->stats.data, 0, n, c, s, s + c);
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
        K(apply_slopes)(a->g.data, x, a->dx.data, first, end, c, mean, mean + c, mean + 2 * c,
                        mean + 3 * c, gate.offset);
    }
    return PYAD_OK;
}

static inline int64_t K(bn_scratch)(const batch_norm_bwd_args *a) {
    int64_t c = a->x.shape[1];
    return a->relu && c > 0 ? c * (3 + K(gated_rows)(c)) * (int64_t)sizeof(REAL) : 0;
}

PYAD_RECORD(batch_norm_fwd, batch_norm_fwd_args, 3 * pyad_numel(&a->x), 0,
            BN_SHARED(a->x.shape[1]))
PYAD_RECORD_FLUSHED(batch_norm_bwd, batch_norm_bwd_args, 6 * pyad_numel(&a->x), K(bn_scratch)(a),
                    BN_SHARED(a->x.shape[1]))

/* ---- group norm: one sample at a time, each by one thread ---- */

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
        K(sum_moments)(x, shift, 0, rows, c, s, q);
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
                      -(REAL)INFINITY);
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
    K(sum_slopes)(g, x, means, 0, rows, c, s, q);
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
    K(apply_slopes)(g, x, dx, 0, rows, c, mean, scale, slope, offset, NULL);
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

/* ---- layer norm and RMS norm: rows of n contiguous elements ---- */

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
                        double rstd, const REAL *restrict weight, const REAL *restrict bias) {
    REAL near = (REAL)mean, factor = (REAL)rstd;
    vec shift = v_set1(near), rest = v_set1((REAL)((mean - (double)near) * rstd));
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        vec o = v_fma(v_load_live(x + i, left) - shift, v_set1(factor), -rest);
        vec w = weight == NULL ? v_set1((REAL)1) : v_load_live(weight + i, left);
        vec b = bias == NULL ? (vec){0} : v_load_live(bias + i, left);
        v_store_live(y + i, v_fma(o, w, b), left);
    }
}

static int K(layer_norm_fwd)(const void *args, const team *t) {
    const layer_norm_fwd_args *a = args;
    int64_t n = a->n, rows = n > 0 ? pyad_numel(&a->x) / n : 0, begin, end;
    double *stats = a->stats.data;
    team_range(t, rows, 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)a->x.data + r * n;
        double mean, var = K(row_moments)(x, n, a->center, &mean), rstd = K(rsqrt)(var + a->eps);
        stats[r] = mean;
        stats[rows + r] = rstd;
        K(norm_row)(x, (REAL *)a->y.data + r * n, n, mean, rstd, a->weight.data, a->bias.data);
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
                            double rstd, double level, double along) {
    REAL near = (REAL)mean;
    vec shift = v_set1(near), factor = v_set1((REAL)rstd), slope = v_set1((REAL)-along);
    vec offset = v_set1((REAL)(along * (mean - (double)near) - level));
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        vec wg = v_load_live(g + i, left);
        if (weight != NULL) wg *= v_load_live(weight + i, left);
        vec d = v_load_live(x + i, left) - shift;
        v_store_live(dx + i, v_fma(wg, factor, v_fma(d, slope, offset)), left);
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

static void K(ln_row)(const layer_norm_bwd_args *a, int64_t r, int64_t rows, double *block) {
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
    K(row_gradient)(g, x, a->weight.data, (REAL *)a->dx.data + r * n, n, mean, rstd, level, along);
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
    double *sums = t->shared;
    if (affine && !blocks) K(ln_columns)(a, rows, t);
    team_range(t, PYAD_NORM_BLOCKS, 1, &first, &last);
    for (int64_t b = first; b < last; b++) {
        double *block = blocks ? sums + 2 * b * n : NULL;
        if (blocks) memset(block, 0, (size_t)(2 * n) * sizeof(double));
        K(row_block)(rows, b, &begin, &end);
        for (int64_t r = begin; r < end; r++) K(ln_row)(a, r, rows, block);
    }
    if (!blocks) return PYAD_OK;
    team_barrier(t);
    K(reduce_affine)(sums, n, t, a->dweight.data, a->dbias.data);
    return PYAD_OK;
}

PYAD_RECORD(layer_norm_fwd, layer_norm_fwd_args, 4 * pyad_numel(&a->x), 0, 0)
PYAD_RECORD_FLUSHED(layer_norm_bwd, layer_norm_bwd_args, 8 * pyad_numel(&a->x), 0,
                    a->n <= LN_SHORT ? AFFINE_SHARED(a->n) : 0)

#undef DL
#undef dvec
#undef BN_SHARED
#undef GN_SCRATCH
#undef AFFINE_SHARED
#endif
