/* Losses.
 *
 * Pairs (mean squared error, binary cross-entropy, ...): x and target are dense and of one layout,
 * so they are walked as they lie, VL at a time.
 *
 * Classes (cross-entropy): memory is [outer][classes][inner] (axis.h) and the row of (o, i) has
 * number o * inner + i, which is the C order of the targets both for (n, c, ...) and for
 * channels-last logits. VL rows at a time, as in softmax_tpl.h: columns if inner > 1, a transposed
 * tile if there are few classes, else row by row. Softmax, logarithm and choice of the target are
 * one pass over data in the cache; the gradient is another.
 *
 * Sums go over a fixed number of blocks, each summed in a fixed order in double, then over the
 * blocks in order: no bit depends on the number of threads.
 */
#include "axis.h"
#include "math_tpl.h"
#include "shifted_tpl.h"

#ifdef REAL

#ifndef PYAD_LOSS_CODES
#define PYAD_LOSS_CODES
enum { REDUCE_NONE, REDUCE_MEAN, REDUCE_SUM };
enum { PAIR_MSE, PAIR_L1, PAIR_HUBER, PAIR_SMOOTH_L1, PAIR_BCE, PAIR_BCE_LOGITS, PAIR_KL,
       PAIR_KL_LOG };
#define LOSS_BLOCKS 64
/* so many elements are added in REAL before the sum goes on in double */
#define PAIR_RUN 1024
#define LOWEST_LOG (-100)
/* how far before its use a unit of rows is asked for */
#define UNITS_AHEAD 4
#endif

#if DTYPE == PYAD_FLOAT32
#define SMALLEST_NORMAL 1.17549435e-38f
#define LARGEST 3.40282347e+38f
#else
#define SMALLEST_NORMAL 2.2250738585072014e-308
#define LARGEST 1.7976931348623157e+308
#endif

/* ---- pairs ---- */

V_INLINE vec K(clamped_log)(vec logarithm) { return v_max(v_set1(LOWEST_LOG), logarithm); }

V_INLINE vec K(pair_value)(int kind, vec x, vec t, vec pos_weight, vec beta) {
    const vec zero = {0}, one = v_set1((REAL)1);
    vec d = x - t, a = v_abs(d);
    switch (kind) {
    case PAIR_MSE:
        return d * d;
    case PAIR_L1:
        return a;
    case PAIR_HUBER:
        return v_select(a <= beta, (REAL)0.5 * d * d, beta * (a - (REAL)0.5 * beta));
    case PAIR_SMOOTH_L1:
        return v_select(a < beta, (REAL)0.5 * d * d / beta, a - (REAL)0.5 * beta);
    case PAIR_BCE: {
        vec yes = K(clamped_log)(v_log(x)), no = K(clamped_log)(v_log1p(-x));
        return -v_fma(t, yes, (one - t) * no);
    }
    case PAIR_BCE_LOGITS: {
        vec of_negative = v_max(zero, -x) + K(v_log1p_unit)(K(exp_below)(-v_abs(x))); /* softplus */
        return v_fma(v_fma(pos_weight - one, t, one), of_negative, (one - t) * x);
    }
    case PAIR_KL:
        return v_select(t == zero, zero, t * v_log(t)) - t * x;
    default:
        return v_exp(t) * (t - x);
    }
}

V_INLINE vec K(pair_slope)(int kind, vec x, vec t, vec pos_weight, vec beta) {
    const vec zero = {0}, one = v_set1((REAL)1), tiny = v_set1(SMALLEST_NORMAL);
    vec d = x - t, sign = v_select(d == zero, d, v_copysign(one, d));
    sign = v_select(v_isnan(d), d, sign);
    switch (kind) {
    case PAIR_MSE:
        return (REAL)2 * d;
    case PAIR_L1:
        return sign;
    case PAIR_HUBER:
        return v_min(beta, v_max(-beta, d));
    case PAIR_SMOOTH_L1:
        return v_select(v_abs(d) < beta, d / beta, sign);
    case PAIR_BCE: {
        /* a target of exactly 0 or 1 leaves one of the terms, which is 0 / 0 at the other end */
        vec yes = v_select(t == zero, zero, t / v_max(tiny, x));
        vec no = v_select(t == one, zero, (one - t) / v_max(tiny, one - x));
        return no - yes;
    }
    case PAIR_BCE_LOGITS:
        return v_fma(v_fma(pos_weight - one, t, one), v_sigmoid(x), -pos_weight * t);
    case PAIR_KL:
        return -t;
    default:
        return -v_exp(t);
    }
}

typedef struct {
    const REAL *x, *target, *weight, *pos_weight;
    vec beta;
} K(pairs);

V_INLINE vec K(take_or_one)(const REAL *p, int64_t i, int64_t width, int full) {
    return p != NULL ? K(take)(p + i, width, full) : v_set1((REAL)1);
}

V_INLINE vec K(pair_at)(int kind, int slope, const K(pairs) *p, int64_t i, int64_t width,
                        int full) {
    vec x = K(take)(p->x + i, width, full), t = K(take)(p->target + i, width, full);
    vec pos_weight = v_set1((REAL)1);
    if (kind == PAIR_BCE_LOGITS) pos_weight = K(take_or_one)(p->pos_weight, i, width, full);
    vec value = slope ? K(pair_slope)(kind, x, t, pos_weight, p->beta)
                      : K(pair_value)(kind, x, t, pos_weight, p->beta);
    return p->weight != NULL ? value * K(take)(p->weight + i, width, full) : value;
}

/* the sum over elements [begin, end) */
V_INLINE double K(pair_sum)(int kind, const K(pairs) *p, int64_t begin, int64_t end) {
    double total = 0;
    for (int64_t run = begin; run < end; run += PAIR_RUN) {
        int64_t stop = pyad_min(run + PAIR_RUN, end), i = run;
        vec a = {0}, b = {0};
        for (; i + 2 * VL <= stop; i += 2 * VL) {
            a += K(pair_at)(kind, 0, p, i, VL, 1);
            b += K(pair_at)(kind, 0, p, i + VL, VL, 1);
        }
        for (; i < stop; i += VL) {
            int64_t width = pyad_min(VL, stop - i);
            vec value = K(pair_at)(kind, 0, p, i, width, 0);
            a += v_select(K(first_lanes)(width), value, (vec){0});
        }
        total += (double)v_sum(a + b);
    }
    return total;
}

V_INLINE void K(pair_store)(int kind, const K(pairs) *p, REAL *out, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + VL <= end; i += VL) v_store(out + i, K(pair_at)(kind, 0, p, i, VL, 1));
    if (i < end) v_store_n(out + i, K(pair_at)(kind, 0, p, i, end - i, 0), end - i);
}

/* Elements [*begin, *end) of block b: whole runs. */
static inline void K(pair_block)(int64_t n, int64_t b, int64_t *begin, int64_t *end) {
    int64_t runs = pyad_ceil_div(n, PAIR_RUN);
    *begin = runs * b / LOSS_BLOCKS * PAIR_RUN;
    *end = pyad_min(n, runs * (b + 1) / LOSS_BLOCKS * PAIR_RUN);
}

V_INLINE void K(pair_fwd)(int kind, const K(pairs) *p, const pair_loss_fwd_args *a, int64_t n,
                          const team *t) {
    int64_t begin, end;
    if (a->reduction == REDUCE_NONE) {
        team_range(t, n, VL, &begin, &end);
        K(pair_store)(kind, p, a->loss.data, begin, end);
        return;
    }
    double *partial = t->shared;
    int64_t first, last;
    team_range(t, LOSS_BLOCKS, 1, &first, &last);
    for (int64_t b = first; b < last; b++) {
        K(pair_block)(n, b, &begin, &end);
        partial[b] = K(pair_sum)(kind, p, begin, end);
    }
    team_barrier(t);
    if (t->ith != 0) return;
    double total = 0;
    for (int64_t b = 0; b < LOSS_BLOCKS; b++) total += partial[b];
    *(REAL *)a->loss.data = (REAL)(a->reduction == REDUCE_MEAN ? total / (double)n : total);
}

/* What is no probability is an error before anything is written. */
static int K(check_probabilities)(const REAL *x, int64_t n, const team *t) {
    int64_t begin, end;
    team_range(t, n, VL, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (x[i] >= 0 && x[i] <= 1) continue;
        team_fail(t, PYAD_ERROR_VALUE, i, 0, 1);
        break;
    }
    team_barrier(t);
    return team_failed(t);
}

#define PAIR_SWITCH(f)                                                                           \
    switch (a->kind) {                                                                           \
    case PAIR_MSE: f(PAIR_MSE); break;                                                           \
    case PAIR_L1: f(PAIR_L1); break;                                                             \
    case PAIR_HUBER: f(PAIR_HUBER); break;                                                       \
    case PAIR_SMOOTH_L1: f(PAIR_SMOOTH_L1); break;                                               \
    case PAIR_BCE: f(PAIR_BCE); break;                                                           \
    case PAIR_BCE_LOGITS: f(PAIR_BCE_LOGITS); break;                                             \
    case PAIR_KL: f(PAIR_KL); break;                                                             \
    default: f(PAIR_KL_LOG); break;                                                              \
    }

static int K(pair_loss_fwd)(const void *args, const team *t) {
    const pair_loss_fwd_args *a = args;
    K(pairs) p = {a->x.data, a->target.data, a->weight.data, a->pos_weight.data,
                  v_set1((REAL)a->beta)};
    int64_t n = pyad_numel(&a->x);
    if (a->kind == PAIR_BCE && K(check_probabilities)(p.x, n, t)) return PYAD_ERROR_VALUE;
#define RUN(kind) K(pair_fwd)(kind, &p, a, n, t)
    PAIR_SWITCH(RUN)
#undef RUN
    return PYAD_OK;
}

/* slope * factor, or slope * g[i] where the loss was not reduced */
V_INLINE void K(pair_bwd)(int kind, const K(pairs) *p, const REAL *g, REAL factor, REAL *dx,
                          int64_t begin, int64_t end) {
    const vec largest = v_set1(LARGEST);
    for (int64_t i = begin; i < end; i += VL) {
        int64_t width = pyad_min(VL, end - i);
        int full = width == VL;
        vec d = K(pair_at)(kind, 1, p, i, width, full);
        /* of all slopes the one of a probability of 0 can overflow */
        if (kind == PAIR_BCE) d = v_min(largest, v_max(-largest, d));
        d *= g != NULL ? K(take)(g + i, width, full) : v_set1(factor);
        K(put)(dx + i, d, width, full);
    }
}

static int K(pair_loss_bwd)(const void *args, const team *t) {
    const pair_loss_bwd_args *a = args;
    K(pairs) p = {a->x.data, a->target.data, a->weight.data, a->pos_weight.data,
                  v_set1((REAL)a->beta)};
    int64_t n = pyad_numel(&a->x), begin, end;
    const REAL *g = a->g.data;
    REAL *dx = a->dx.data, factor = 0;
    if (a->reduction == REDUCE_MEAN) factor = (REAL)((double)g[0] / (double)n);
    if (a->reduction == REDUCE_SUM) factor = g[0];
    if (a->reduction != REDUCE_NONE) g = NULL;
    team_range(t, n, VL, &begin, &end);
#define RUN(kind) K(pair_bwd)(kind, &p, g, factor, dx, begin, end)
    PAIR_SWITCH(RUN)
#undef RUN
    return PYAD_OK;
}

static int K(clamped_log_fwd)(const void *args, const team *t) {
    const clamped_log_fwd_args *a = args;
    const REAL *x = a->x.data;
    REAL *y = a->y.data;
    int64_t begin, end;
    team_range(t, pyad_numel(&a->x), VL, &begin, &end);
    for (int64_t i = begin; i < end; i += VL) {
        int64_t width = pyad_min(VL, end - i);
        v_store_n(y + i, K(clamped_log)(v_log(v_load_n(x + i, width))), width);
    }
    return PYAD_OK;
}

/* ---- classes ---- */

typedef struct {
    const REAL *x;
    const int64_t *labels; /* one a row, or */
    const REAL *probs;     /* as x */
    const REAL *weight;
    axis_view v;
    int64_t rows, ignore, reduction;
    /* the target distribution is weight * (keep * target + spread) */
    REAL keep, spread, spread_mass;
} K(classes);

static K(classes) K(classes_of)(const pyad_array *x, const pyad_array *target,
                                const pyad_array *weight, int64_t ignore, int64_t reduction,
                                double smoothing) {
    K(classes) e = {x->data, NULL, NULL, weight->data, axis_of(x, x->ndim > 1), 0, ignore,
                    reduction, (REAL)(1 - smoothing), 0, 0};
    e.rows = e.v.outer * e.v.inner;
    if (target->dtype == PYAD_INT64) {
        e.labels = target->data;
    } else {
        e.probs = target->data;
    }
    if (smoothing != 0) {
        double mass = (double)e.v.n;
        if (e.weight != NULL) {
            mass = 0;
            for (int64_t c = 0; c < e.v.n; c++) mass += (double)e.weight[c];
        }
        e.spread = (REAL)(smoothing / (double)e.v.n);
        e.spread_mass = (REAL)(smoothing / (double)e.v.n * mass);
    }
    return e;
}

static inline int64_t K(element)(const K(classes) *e, int64_t row, int64_t c) {
    if (e->v.inner == 1) return row * e->v.n + c; /* divisions take long */
    return (row / e->v.inner * e->v.n + c) * e->v.inner + row % e->v.inner;
}

/* from a row of a unit to the next, and from class to class */
static inline int64_t K(row_step)(const K(classes) *e) { return e->v.inner > 1 ? 1 : e->v.n; }

static inline REAL K(class_weight)(const K(classes) *e, int64_t c) {
    return e->weight != NULL ? e->weight[c] : (REAL)1;
}

static inline int K(is_live)(const K(classes) *e, int64_t row) {
    return e->labels == NULL || e->labels[row] != e->ignore;
}

/* Whether labels [begin, end) are classes or ignored; without branches, so vectors of them. */
static inline int K(labels_fit)(const K(classes) *e, int64_t begin, int64_t end) {
    uint64_t outside = 0;
    for (int64_t r = begin; r < end; r++) {
        outside |= ((uint64_t)e->labels[r] >= (uint64_t)e->v.n) & (e->labels[r] != e->ignore);
    }
    return outside == 0;
}

/* Labels outside the classes are an error before anything is written. */
static int K(check_labels)(const K(classes) *e, const team *t) {
    if (e->labels == NULL) return PYAD_OK;
    int64_t begin, end;
    team_range(t, e->rows, 64, &begin, &end);
    if (!K(labels_fit)(e, begin, end)) {
        while (K(labels_fit)(e, begin, begin + 1)) begin++;
        team_fail(t, PYAD_ERROR_INDEX, begin, e->labels[begin], e->v.n);
    }
    team_barrier(t);
    return team_failed(t);
}

/* Units are up to VL rows whose elements lie side by side, or one after the other. */
static inline int64_t K(count_units)(const K(classes) *e) {
    if (e->v.inner == 1) return pyad_ceil_div(e->v.outer, VL);
    return e->v.outer * pyad_ceil_div(e->v.inner, VL);
}

static inline int64_t K(unit)(const K(classes) *e, int64_t u, int64_t *width) {
    if (e->v.inner == 1) {
        *width = pyad_min(VL, e->v.outer - u * VL);
        return u * VL;
    }
    int64_t tiles = pyad_ceil_div(e->v.inner, VL), column = u % tiles * VL;
    *width = pyad_min(VL, e->v.inner - column);
    return u / tiles * e->v.inner + column;
}

#define LANES (VL)

/* Of each row of a unit: its class, -1 where it is ignored or no row, and the weight of that class,
 * there 0. Where targets are probabilities, class 0 and weight 1. */
typedef struct {
    mask_item label[LANES];
    REAL weight[LANES];
} K(unit_targets);

V_INLINE void K(targets_of)(const K(classes) *e, int64_t first, int64_t width, K(unit_targets) *t) {
    int64_t labels[LANES] = {0};
    if (e->labels != NULL && width == VL) {
        memcpy(labels, e->labels + first, sizeof labels);
    } else if (e->labels != NULL) {
        for (int64_t i = 0; i < width; i++) labels[i] = e->labels[first + i];
    }
    for (int64_t i = 0; i < VL; i++) {
        const int live = (i < width) & ((e->labels == NULL) | (labels[i] != e->ignore));
        t->label[i] = live ? (mask_item)labels[i] : -1;
        t->weight[i] = live ? (REAL)1 : (REAL)0;
    }
    if (e->weight == NULL || e->labels == NULL) return;
    for (int64_t i = 0; i < width; i++) {
        if (t->label[i] >= 0) t->weight[i] = e->weight[t->label[i]];
    }
}

V_INLINE mask K(label_lanes)(const K(unit_targets) *t) {
    mask label;
    memcpy(&label, t->label, sizeof label);
    return label;
}

/* Of each row of a unit: its largest logit, the sum of exp(logit - largest), and of the target
 * distribution q its sum (mass) and the sum of q * (logit - largest) (dot). */
typedef struct {
    REAL largest[LANES], sum[LANES], mass[LANES], dot[LANES];
} K(unit_sums);

/* q of class c for each of the rows of a tile */
V_INLINE vec K(distribution)(const K(classes) *e, vec probs, int64_t c) {
    vec q = v_fma(v_set1(e->keep), probs, v_set1(e->spread));
    return e->weight != NULL ? q * v_set1(e->weight[c]) : q;
}

/* meanwhile asks for as much at `ahead`, if that is not NULL */
V_INLINE void K(columns_sums)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                              int64_t step, int64_t width, int full, const REAL *ahead,
                              K(unit_sums) *s) {
    int64_t n = e->v.n;
    vec largest = K(columns_max)(x, n, step, width, full), sum = {0}, mass = {0}, dot = {0};
    vec more = {0};
    for (int64_t c = 0; c < n; c++) {
        vec shifted = K(take)(x + c * step, width, full) - largest;
        if (ahead != NULL) K(fetch_ahead)(ahead + c * VL, 0, 1);
        /* two sums, each of which waits for itself alone */
        vec next = more + K(exp_below)(shifted);
        more = sum;
        sum = next;
        if (!mixed) continue;
        vec p = probs != NULL ? K(take)(probs + c * step, width, full) : (vec){0};
        vec q = K(distribution)(e, p, c);
        mass += q;
        dot = v_fma(q, shifted, dot);
    }
    v_store(s->largest, largest);
    v_store(s->sum, sum + more);
    v_store(s->mass, mass);
    v_store(s->dot, dot);
}

/* q of classes c .. c + VL of one row */
V_INLINE vec K(row_distribution)(const K(classes) *e, const REAL *probs, int64_t c, int64_t width) {
    vec p = probs != NULL ? v_load_n(probs + c, width) : (vec){0};
    vec q = v_fma(v_set1(e->keep), p, v_set1(e->spread));
    if (e->weight != NULL) q *= v_load_n(e->weight + c, width);
    return v_select(K(first_lanes)(width), q, (vec){0});
}

V_INLINE void K(row_sums)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                          int64_t i, K(unit_sums) *s) {
    int64_t n = e->v.n;
    s->largest[i] = K(row_max)(x, n);
    s->sum[i] = K(row_exp)(x, s->largest[i], NULL, 0, n);
    s->mass[i] = s->dot[i] = 0;
    if (!mixed) return;
    vec mass = {0}, dot = {0}, largest = v_set1(s->largest[i]);
    for (int64_t c = 0; c < n; c += VL) {
        int64_t width = pyad_min(VL, n - c);
        vec q = K(row_distribution)(e, probs, c, width);
        vec shifted = v_select(K(first_lanes)(width), v_load_n(x + c, width) - largest, (vec){0});
        mass += q;
        dot = v_fma(q, shifted, dot);
    }
    s->mass[i] = v_sum(mass);
    s->dot[i] = v_sum(dot);
}

/* of tiles */
TILE_CALL K(strip_sums)(const K(classes) *e, int mixed, const REAL *tx, const REAL *tp,
                        int64_t rows, const REAL *ahead, K(unit_sums) *s) {
    const int64_t size = VL * e->v.n;
    for (int64_t r = 0; r < rows; r += VL, tx += size, ahead += size, s++) {
        K(columns_sums)(e, mixed, tx, tp, VL, VL, 1, ahead, s);
        if (tp != NULL) tp += size;
    }
}

/* of `rows` rows from `first` on: a strip, or one unit */
V_INLINE void K(layout_sums)(const K(classes) *e, int mixed, int64_t first, int64_t rows,
                             K(unit_sums) *s) {
    int64_t at = K(element)(e, first, 0);
    const REAL *x = e->x + at, *probs = e->probs != NULL ? e->probs + at : NULL;
    if (e->v.inner > 1) {
        if (rows == VL) {
            K(columns_sums)(e, mixed, x, probs, e->v.inner, VL, 1, NULL, s);
        } else {
            K(columns_sums)(e, mixed, x, probs, e->v.inner, rows, 0, NULL, s);
        }
    } else if (e->v.n <= TILE_CLASSES) {
        const int64_t readable = (e->rows - first) * e->v.n;
        REAL tx[STRIP_SIZE], tp[STRIP_SIZE];
        K(transpose_in)(x, tx, e->v.n, rows, readable);
        if (probs != NULL) K(transpose_in)(probs, tp, e->v.n, rows, readable);
        K(strip_sums)(e, mixed, tx, probs != NULL ? tp : NULL, rows, x + rows * e->v.n, s);
    } else {
        for (int64_t i = 0; i < rows; i++) {
            int64_t from = i * e->v.n;
            K(row_sums)(e, mixed, x + from, probs != NULL ? probs + from : NULL, i, s);
        }
    }
}

static void K(sums_of_rows)(const K(classes) *e, int64_t first, int64_t rows, K(unit_sums) *s) {
    if (e->probs != NULL || e->spread != 0) {
        K(layout_sums)(e, 1, first, rows, s);
    } else {
        K(layout_sums)(e, 0, first, rows, s);
    }
}

/* the logits of the rows' own classes */
V_INLINE vec K(own_logits)(const K(classes) *e, int64_t first, int64_t width,
                           const K(unit_targets) *t) {
    const REAL *x = e->x + K(element)(e, first, 0);
    const int64_t row = K(row_step)(e), inner = e->v.inner;
    REAL own[LANES] = {0};
    for (int64_t i = 0; i < width; i++) {
        own[i] = x[i * row + (t->label[i] < 0 ? 0 : (int64_t)t->label[i]) * inner];
    }
    return v_load(own);
}

/* Losses of a unit's rows, 0 where they are ignored, and into `stats` what softmax needs again. */
V_INLINE void K(unit_losses)(const K(classes) *e, int64_t first, int64_t width,
                             const K(unit_targets) *t, const K(unit_sums) *s, REAL *stats,
                             REAL *loss) {
    const vec largest = v_load(s->largest), sum = v_load(s->sum);
    vec mass = v_load(s->mass), dot = v_load(s->dot);
    if (e->labels != NULL) {
        const vec q = v_set1(e->keep) * v_load(t->weight);
        mass += q;
        dot += q * (K(own_logits)(e, first, width, t) - largest);
    }
    v_store_n(stats + first, largest, width);
    v_store_n(stats + e->rows + first, v_set1((REAL)1) / sum, width);
    v_store(loss, v_select(K(label_lanes)(t) >= 0, v_fma(mass, v_log(sum), -dot), (vec){0}));
}

/* ---- sums over rows, for mean and sum ---- */

#define WIDE (sizeof(double) / sizeof(REAL))

/* of the rows of a block, lane by lane */
typedef struct {
    vec_t_f64 loss[WIDE], weight[WIDE];
} K(block_sums);

/* Adds a unit's losses and weights to the sums, or stores the losses in `out`. */
V_INLINE void K(add_rows)(const K(classes) *e, int64_t first, int64_t width, const REAL *loss,
                          const K(unit_targets) *t, REAL *out, K(block_sums) *sums) {
    if (e->reduction == REDUCE_NONE) {
        v_store_n(out + first, v_load(loss), width);
        return;
    }
    for (int64_t p = 0; p < (int64_t)WIDE; p++) {
        sums->loss[p] += v_widen(loss + p * (VL / (int64_t)WIDE));
        sums->weight[p] += v_widen(t->weight + p * (VL / (int64_t)WIDE));
    }
}

/* The sums of a block of rows at its place in `sums`. */
static inline void K(keep_sums)(const K(block_sums) *block, int64_t b, double *sums) {
    for (int64_t i = 0; i < VL; i++) {
        const int64_t doubles = VL / (int64_t)WIDE;
        sums[2 * b] += block->loss[i / doubles][i % doubles];
        sums[2 * b + 1] += block->weight[i / doubles][i % doubles];
    }
}

/* This thread's blocks, whose sums are 0 as yet. */
static inline void K(own_blocks)(const team *t, int64_t *first, int64_t *last) {
    double *sums = t->shared;
    team_range(t, LOSS_BLOCKS, 1, first, last);
    memset(sums + 2 * *first, 0, (size_t)(*last - *first) * 2 * sizeof *sums);
}

/* The blocks' sums to the loss; divisor: what a mean was divided by, else 1. */
static void K(finish_loss)(const K(classes) *e, const team *t, REAL *loss, REAL *divisor) {
    team_barrier(t);
    if (t->ith != 0) return;
    const double *sums = t->shared;
    double total = 0, weight = 0;
    for (int64_t b = 0; b < LOSS_BLOCKS; b++) {
        total += sums[2 * b];
        weight += sums[2 * b + 1];
    }
    if (e->reduction != REDUCE_MEAN) weight = 1;
    *divisor = (REAL)weight;
    if (e->reduction == REDUCE_NONE) return;
    /* every target is ignored: 0, but the mean of nothing stays 0 / 0 */
    *loss = weight == 0 && e->rows > 0 ? 0 : (REAL)(total / weight);
}

static int K(cross_entropy_fwd)(const void *args, const team *t) {
    const cross_entropy_fwd_args *a = args;
    K(classes) e = K(classes_of)(&a->x, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    if (K(check_labels)(&e, t)) return PYAD_ERROR_INDEX;
    double *sums = t->shared;
    int64_t first, last, units = K(count_units)(&e), width;
    REAL losses[LANES], *out = a->loss.data;
    K(unit_targets) targets;
    K(unit_sums) strip[STRIP_TILES];
    memset(strip, 0, sizeof *strip);
    const int tiled = e.v.inner == 1 && e.v.n <= TILE_CLASSES;
    const int64_t together = tiled ? K(strip_rows)(e.v.n) / VL : 1;
    K(own_blocks)(t, &first, &last);
    for (int64_t b = first; b < last; b++) {
        const int64_t start = units * b / LOSS_BLOCKS, stop = units * (b + 1) / LOSS_BLOCKS;
        if (start == stop) continue; /* most blocks of a small batch */
        K(block_sums) block = {0};
        for (int64_t u = start; u < stop; u += together) {
            const int64_t now = pyad_min(together, stop - u), row = K(unit)(&e, u, &width);
            const int64_t rows = tiled ? pyad_min(now * VL, e.rows - row) : width;
            K(sums_of_rows)(&e, row, rows, strip);
            for (int64_t i = 0; i < rows; i += VL) {
                width = pyad_min(VL, rows - i);
                K(targets_of)(&e, row + i, width, &targets);
                K(unit_losses)(&e, row + i, width, &targets, &strip[i / VL], a->stats.data, losses);
                K(add_rows)(&e, row + i, width, losses, &targets, out, &block);
            }
        }
        K(keep_sums)(&block, b, sums);
    }
    K(finish_loss)(&e, t, out, a->divisor.data);
    return PYAD_OK;
}

/* ---- the gradient of cross-entropy ---- */

/* what a row's gradient is multiplied by; 0 where its target is ignored */
static inline REAL K(row_factor)(const K(classes) *e, const REAL *g, REAL common, int64_t row) {
    if (!K(is_live)(e, row)) return 0;
    return e->reduction == REDUCE_NONE ? g[row] : common;
}

/* the factor that all rows share unless the loss was not reduced */
static inline REAL K(common_factor)(const K(classes) *e, const REAL *g, const REAL *divisor) {
    return e->reduction == REDUCE_NONE || *divisor == 0 ? 0 : g[0] / *divisor;
}

/* Of each row of a unit: largest logit, factor / sum of exp * mass, factor, and what is subtracted
 * at its own class; all 0 where it is ignored. */
typedef struct {
    REAL largest[LANES], scale[LANES], factor[LANES], own[LANES];
    mask label;
} K(unit_slopes);

/* factor * (mass * softmax(x) - q) */
V_INLINE void K(columns_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                                REAL *dx, int64_t step, int64_t width, int full,
                                const K(unit_slopes) *s) {
    const vec largest = v_load(s->largest), scale = v_load(s->scale), factor = v_load(s->factor);
    const vec own = v_load(s->own);
    const mask label = s->label;
    for (int64_t c = 0; c < e->v.n; c++) {
        vec d = K(exp_below)(K(take)(x + c * step, width, full) - largest) * scale;
        if (mixed) {
            vec p = probs != NULL ? K(take)(probs + c * step, width, full) : (vec){0};
            d = v_fma(-factor, K(distribution)(e, p, c), d);
        }
        d -= v_select(label == (mask_item)c, own, (vec){0});
        K(put)(dx + c * step, v_select(label >= 0, d, (vec){0}), width, full);
    }
}

/* the same but for the row's own class */
V_INLINE void K(row_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                            REAL *dx, int64_t i, const K(unit_slopes) *s) {
    int64_t n = e->v.n;
    vec largest = v_set1(s->largest[i]), scale = v_set1(s->scale[i]);
    for (int64_t c = 0; c < n; c += VL) {
        int64_t width = pyad_min(VL, n - c);
        int full = width == VL;
        vec d = K(exp_below)(K(take)(x + c, width, full) - largest) * scale;
        if (mixed) {
            d = v_fma(v_set1(-s->factor[i]), K(row_distribution)(e, probs, c, width), d);
        }
        K(put)(dx + c, d, width, full);
    }
}

TILE_CALL K(tile_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs, REAL *dx,
                         int64_t rows, const K(unit_slopes) *s) {
    REAL tx[STRIP_SIZE], tp[STRIP_SIZE];
    K(transpose_in)(x, tx, e->v.n, rows, rows * e->v.n);
    if (probs != NULL) K(transpose_in)(probs, tp, e->v.n, rows, rows * e->v.n);
    K(columns_slopes)(e, mixed, tx, probs != NULL ? tp : NULL, tx, VL, VL, 1, s);
    K(transpose_out)(tx, dx, e->v.n, rows);
}

/* Short rows as they lie, as one long row. */
TILE_CALL K(flat_slopes)(const REAL *x, REAL *dx, int64_t n, int64_t rows, const mask *row_of,
                         const K(unit_slopes) *s) {
    const vec largest = v_load(s->largest), scale = v_load(s->scale);
    const mask live = s->label >= 0;
    const int some_ignored = v_any(~live);
    for (int64_t i = 0; i < rows * n; i += VL, row_of++) {
        const int64_t width = pyad_min(VL, rows * n - i);
        const int full = width == VL;
        vec d = K(take)(x + i, width, full) - K(of_rows)(largest, *row_of);
        d = K(exp_below)(d) * K(of_rows)(scale, *row_of);
        K(fetch_ahead)(x + UNITS_AHEAD * VL * n + i, 0, 1);
        K(claim_ahead)(dx + VL * n + i);
        if (some_ignored) d = v_select((mask)K(of_rows)((vec)live, *row_of), d, (vec){0});
        K(put)(dx + i, d, width, full);
    }
    for (int64_t i = 0; i < rows; i++) {
        if (s->label[i] >= 0) dx[i * n + s->label[i]] -= s->own[i];
    }
}

TILE_CALL K(rows_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs, REAL *dx,
                         int64_t rows, const K(unit_slopes) *s) {
    const int64_t n = e->v.n;
    for (int64_t i = 0; i < rows; i++, x += n, dx += n) {
        if (s->label[i] < 0) {
            memset(dx, 0, (size_t)n * sizeof(REAL));
            continue;
        }
        K(row_slopes)(e, mixed, x, probs != NULL ? probs + i * n : NULL, dx, i, s);
        dx[s->label[i]] -= s->own[i];
    }
}

V_INLINE void K(layout_slopes)(const K(classes) *e, int mixed, int64_t first, int64_t width,
                               const mask *row_of, const K(unit_slopes) *s, REAL *out) {
    int64_t at = K(element)(e, first, 0);
    const REAL *x = e->x + at, *probs = e->probs != NULL ? e->probs + at : NULL;
    REAL *dx = out + at;
    if (e->v.inner > 1) {
        if (width == VL) {
            K(columns_slopes)(e, mixed, x, probs, dx, e->v.inner, VL, 1, s);
        } else {
            K(columns_slopes)(e, mixed, x, probs, dx, e->v.inner, width, 0, s);
        }
    } else if (e->v.n > TILE_CLASSES) {
        K(rows_slopes)(e, mixed, x, probs, dx, width, s);
    } else if (mixed) {
        K(tile_slopes)(e, mixed, x, probs, dx, width, s);
    } else {
        K(flat_slopes)(x, dx, e->v.n, width, row_of, s);
    }
}

/* the sum of a row's target distribution, of probabilities */
static REAL K(mass_of_row)(const K(classes) *e, int64_t row) {
    REAL mass = 0;
    const REAL *p = e->probs + K(element)(e, row, 0);
    for (int64_t c = 0; c < e->v.n; c++) {
        mass += (e->keep * p[c * e->v.inner] + e->spread) * K(class_weight)(e, c);
    }
    return mass;
}

static void K(unit_gradient)(const K(classes) *e, int64_t first, int64_t width, const REAL *g,
                             REAL common, const REAL *stats, const mask *row_of, REAL *dx) {
    K(unit_targets) t;
    K(targets_of)(e, first, width, &t);
    K(unit_slopes) s;
    s.label = K(label_lanes)(&t);
    const vec zero = {0}, weight = v_load(t.weight);
    vec factor = e->reduction == REDUCE_NONE ? v_load_n(g + first, width) : v_set1(common);
    factor = v_select(s.label >= 0, factor, zero);
    vec mass = v_fma(v_set1(e->keep), weight, v_set1(e->spread_mass)), own = zero;
    if (e->labels != NULL) {
        own = factor * e->keep * weight;
    } else {
        REAL each[LANES] = {0};
        for (int64_t i = 0; i < width; i++) each[i] = K(mass_of_row)(e, first + i);
        mass = v_load(each);
    }
    const vec scale = factor * v_load_n(stats + e->rows + first, width) * mass;
    v_store(s.largest, v_load_n(stats + first, width));
    v_store(s.scale, scale);
    v_store(s.factor, factor);
    v_store(s.own, own);
    if (e->probs != NULL || e->spread != 0) {
        K(layout_slopes)(e, 1, first, width, row_of, &s, dx);
    } else {
        K(layout_slopes)(e, 0, first, width, row_of, &s, dx);
    }
}

static int K(cross_entropy_bwd)(const void *args, const team *t) {
    const cross_entropy_bwd_args *a = args;
    K(classes) e = K(classes_of)(&a->x, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    int64_t begin, end, width;
    mask row_of[TILE_CLASSES];
    REAL common = K(common_factor)(&e, a->g.data, a->divisor.data);
    if (e.v.inner == 1 && e.v.n <= TILE_CLASSES) K(rows_of_elements)(e.v.n, row_of);
    team_range(t, K(count_units)(&e), 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t row = K(unit)(&e, u, &width);
        K(unit_gradient)(&e, row, width, a->g.data, common, a->stats.data, row_of, a->dx.data);
    }
    return PYAD_OK;
}

/* ---- negative log-likelihood: the same from logarithms of probabilities ---- */

static REAL K(nll_of_row)(const K(classes) *e, int64_t row) {
    if (!K(is_live)(e, row)) return 0;
    int64_t label = e->labels[row];
    REAL loss = -e->keep * K(class_weight)(e, label) * e->x[K(element)(e, row, label)];
    if (e->spread == 0) return loss;
    REAL all = 0;
    for (int64_t c = 0; c < e->v.n; c++) {
        all += K(class_weight)(e, c) * e->x[K(element)(e, row, c)];
    }
    return loss - e->spread * all;
}

static int K(nll_fwd)(const void *args, const team *t) {
    const nll_fwd_args *a = args;
    K(classes) e = K(classes_of)(&a->logp, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    if (K(check_labels)(&e, t)) return PYAD_ERROR_INDEX;
    double *sums = t->shared;
    int64_t first, last;
    REAL losses[LANES] = {0}, *out = a->loss.data;
    K(unit_targets) targets;
    const int64_t units = pyad_ceil_div(e.rows, VL);
    K(own_blocks)(t, &first, &last);
    for (int64_t b = first; b < last; b++) {
        const int64_t start = units * b / LOSS_BLOCKS, stop = units * (b + 1) / LOSS_BLOCKS;
        if (start == stop) continue;
        K(block_sums) block = {0};
        for (int64_t r = start * VL; r < pyad_min(stop * VL, e.rows); r += VL) {
            const int64_t width = pyad_min(VL, e.rows - r);
            K(targets_of)(&e, r, width, &targets);
            for (int64_t i = 0; i < VL; i++) losses[i] = i < width ? K(nll_of_row)(&e, r + i) : 0;
            K(add_rows)(&e, r, width, losses, &targets, out, &block);
        }
        K(keep_sums)(&block, b, sums);
    }
    K(finish_loss)(&e, t, out, a->divisor.data);
    return PYAD_OK;
}

static int K(nll_bwd)(const void *args, const team *t) {
    const nll_bwd_args *a = args;
    K(classes) e = K(classes_of)(&a->dx, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    if (K(check_labels)(&e, t)) return PYAD_ERROR_INDEX;
    REAL *dx = a->dx.data;
    int64_t begin, end;
    REAL common = K(common_factor)(&e, a->g.data, a->divisor.data);
    team_range(t, e.rows, VL, &begin, &end);
    for (int64_t c = 0; e.v.inner > 1 && c < e.v.n; c++) {
        for (int64_t r = begin; r < end; r++) dx[K(element)(&e, r, c)] = 0;
    }
    if (e.v.inner == 1) {
        memset(dx + begin * e.v.n, 0, (size_t)((end - begin) * e.v.n) * sizeof(REAL));
    }
    for (int64_t r = begin; r < end; r++) {
        REAL factor = K(row_factor)(&e, a->g.data, common, r);
        if (!K(is_live)(&e, r)) continue;
        for (int64_t c = 0; e.spread != 0 && c < e.v.n; c++) {
            dx[K(element)(&e, r, c)] = -factor * e.spread * K(class_weight)(&e, c);
        }
        int64_t label = e.labels[r];
        dx[K(element)(&e, r, label)] -= factor * e.keep * K(class_weight)(&e, label);
    }
    return PYAD_OK;
}

#define BLOCK_SUMS (LOSS_BLOCKS * 2 * sizeof(double))

PYAD_RECORD(pair_loss_fwd, pair_loss_fwd_args, 4 * pyad_numel(&a->x), 0, BLOCK_SUMS)
PYAD_RECORD(pair_loss_bwd, pair_loss_bwd_args, 4 * pyad_numel(&a->x), 0, 0)
PYAD_RECORD(clamped_log_fwd, clamped_log_fwd_args, 6 * pyad_numel(&a->x), 0, 0)
PYAD_RECORD(cross_entropy_fwd, cross_entropy_fwd_args, 8 * pyad_numel(&a->x), 0, BLOCK_SUMS)
PYAD_RECORD(cross_entropy_bwd, cross_entropy_bwd_args, 6 * pyad_numel(&a->x), 0, 0)
PYAD_RECORD(nll_fwd, nll_fwd_args, 8 * pyad_numel(&a->target), 0, BLOCK_SUMS)
PYAD_RECORD(nll_bwd, nll_bwd_args, pyad_numel(&a->dx), 0, 0)

#undef BLOCK_SUMS
#undef WIDE
#undef LANES
#undef PAIR_SWITCH
#undef SMALLEST_NORMAL
#undef LARGEST
#endif
