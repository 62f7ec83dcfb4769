/* Losses of pairs: a value, its slope and that of the target from x and target alone, VL pairs at a time,
 * in the order of memory. Forward: blocks of elements, PAIR_RUN of them added in REAL, then in double.
 */

V_INLINE vec K(clamped_log)(vec logarithm) { return v_max(v_set1(LOWEST_LOG), logarithm); }

V_INLINE vec K(pair_value)(int kind, vec x, vec t, vec pos_weight, vec beta) {
    const vec zero = {0}, one = v_set1((REAL)1);
    vec d = x - t, a = v_abs(d);
    switch (kind) {
    case PYAD_PAIR_MSE:
        return d * d;
    case PYAD_PAIR_L1:
        return a;
    case PYAD_PAIR_HUBER:
        return v_select(a <= beta, (REAL)0.5 * d * d, beta * (a - (REAL)0.5 * beta));
    case PYAD_PAIR_SMOOTH_L1:
        return v_select(a < beta, (REAL)0.5 * d * d / beta, a - (REAL)0.5 * beta);
    case PYAD_PAIR_BCE: {
        vec yes = K(clamped_log)(v_log(x)), no = K(clamped_log)(v_log1p(-x));
        return -v_fma(t, yes, (one - t) * no);
    }
    case PYAD_PAIR_BCE_LOGITS: {
        vec of_negative = v_max(zero, -x) + K(v_log1p_unit)(K(exp_below)(-v_abs(x))); /* softplus */
        return v_fma(v_fma(pos_weight - one, t, one), of_negative, (one - t) * x);
    }
    case PYAD_PAIR_KL:
        return v_select(t == zero, zero, t * v_log(t)) - t * x;
    default:
        return v_exp(t) * (t - x);
    }
}

/* a probability; what is below the smallest normal number, 0 above all, as PyTorch's bound: a
 * few slopes near the largest number overflow when they are added up */
V_INLINE vec K(divisor)(vec p) {
    return v_select(p < v_set1(SMALLEST_NORMAL), v_set1((REAL)1e-12), p);
}

V_INLINE vec K(pair_slope)(int kind, vec x, vec t, vec pos_weight, vec beta) {
    const vec zero = {0}, one = v_set1((REAL)1);
    vec d = x - t, sign = v_select(d == zero, d, v_copysign(one, d));
    sign = v_select(v_isnan(d), d, sign);
    switch (kind) {
    case PYAD_PAIR_MSE:
        return (REAL)2 * d;
    case PYAD_PAIR_L1:
        return sign;
    case PYAD_PAIR_HUBER:
        return v_min(beta, v_max(-beta, d));
    case PYAD_PAIR_SMOOTH_L1:
        return v_select(v_abs(d) < beta, d / beta, sign);
    case PYAD_PAIR_BCE: {
        /* a target of exactly 0 or 1 leaves one of the terms, which is 0 / 0 at the other end */
        vec yes = v_select(t == zero, zero, t / K(divisor)(x));
        vec no = v_select(t == one, zero, (one - t) / K(divisor)(one - x));
        return no - yes;
    }
    case PYAD_PAIR_BCE_LOGITS:
        return v_fma(v_fma(pos_weight - one, t, one), v_sigmoid(x), -pos_weight * t);
    case PYAD_PAIR_KL:
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
    if (kind == PYAD_PAIR_BCE_LOGITS) pos_weight = K(take_or_one)(p->pos_weight, i, width, full);
    vec value = slope ? K(pair_slope)(kind, x, t, pos_weight, p->beta)
                      : K(pair_value)(kind, x, t, pos_weight, p->beta);
    return p->weight != NULL ? value * K(take)(p->weight + i, width, full) : value;
}

/* Asks for what two vectors of pairs will read that come later than those at i (stream.h). */
V_INLINE void K(pair_ask)(const K(pairs) *p, int64_t i) {
    if (i % LINE != 0) return;
    for (int64_t at = i + AHEAD; at < i + AHEAD + 2 * VL; at += LINE) {
        __builtin_prefetch(p->x + at, 0, 3);
        __builtin_prefetch(p->target + at, 0, 3);
    }
}

/* The sum over elements [begin, end). A long pass `asks`; in one loop, as one of blocks would load the
 * constants of each anew. */
V_INLINE double K(pair_sum)(int kind, const K(pairs) *p, int64_t begin, int64_t end, int asks) {
    double total = 0;
    for (int64_t run = begin; run < end; run += PAIR_RUN) {
        int64_t stop = pyad_min(run + PAIR_RUN, end), i = run;
        vec a = {0}, b = {0};
        for (; i + 2 * VL <= stop; i += 2 * VL) {
            if (asks) K(pair_ask)(p, i);
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
    if (a->reduction == PYAD_REDUCE_NONE) {
        team_range(t, n, VL, &begin, &end);
        K(pair_store)(kind, p, a->loss.data, begin, end);
        return;
    }
    double *partial = t->shared;
    int64_t first, last;
    team_range(t, LOSS_BLOCKS, 1, &first, &last);
    const int asks = streams(n / t->nth * (int64_t)sizeof(REAL));
    for (int64_t b = first; b < last; b++) {
        K(pair_block)(n, b, &begin, &end);
        partial[b] = K(pair_sum)(kind, p, begin, end, asks);
    }
    team_barrier(t);
    if (t->ith != 0) return;
    double total = 0;
    for (int64_t b = 0; b < LOSS_BLOCKS; b++) total += partial[b];
    *(REAL *)a->loss.data = (REAL)(a->reduction == PYAD_REDUCE_MEAN ? total / (double)n : total);
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
    case PYAD_PAIR_MSE: f(PYAD_PAIR_MSE); break;                                                 \
    case PYAD_PAIR_L1: f(PYAD_PAIR_L1); break;                                                   \
    case PYAD_PAIR_HUBER: f(PYAD_PAIR_HUBER); break;                                             \
    case PYAD_PAIR_SMOOTH_L1: f(PYAD_PAIR_SMOOTH_L1); break;                                     \
    case PYAD_PAIR_BCE: f(PYAD_PAIR_BCE); break;                                                 \
    case PYAD_PAIR_BCE_LOGITS: f(PYAD_PAIR_BCE_LOGITS); break;                                   \
    case PYAD_PAIR_KL: f(PYAD_PAIR_KL); break;                                                   \
    default: f(PYAD_PAIR_KL_LOG); break;                                                         \
    }

static int K(pair_loss_fwd)(const void *args, const team *t) {
    const pair_loss_fwd_args *a = args;
    K(pairs) p = {a->x.data, a->target.data, a->weight.data, a->pos_weight.data,
                  v_set1((REAL)a->beta)};
    int64_t n = pyad_numel(&a->x);
    if (a->kind == PYAD_PAIR_BCE && K(check_probabilities)(p.x, n, t)) return PYAD_ERROR_VALUE;
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
        if (kind == PYAD_PAIR_BCE) d = v_min(largest, v_max(-largest, d));
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
    if (a->reduction == PYAD_REDUCE_MEAN) factor = (REAL)((double)g[0] / (double)n);
    if (a->reduction == PYAD_REDUCE_SUM) factor = g[0];
    if (a->reduction != PYAD_REDUCE_NONE) g = NULL;
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
