/* log of the sum of exp(x - max), max added again. A run or a few rows sum below a maximum of
 * their own; when two sums meet, the one below the lower maximum shrinks. Of short rows VL are summed
 * at a time, as columns of a transposed tile.
 */

typedef struct {
    REAL max;
    double sum; /* of exp(x - max) */
} K(exponents);

static inline REAL K(exp1)(REAL x) { return v_exp(v_set1(x))[0]; }

static inline REAL K(finite_or_zero)(REAL x) { return x - x == 0 ? x : 0; }

static inline K(exponents) K(logsumexp_start)(const void *args, int64_t o) {
    (void)args, (void)o;
    return (K(exponents)){(REAL)-INFINITY, 0};
}

static inline void K(logsumexp_merge)(const void *args, K(exponents) *state,
                                      const K(exponents) *other) {
    (void)args;
    if (other->sum == 0) return;
    if (state->sum == 0) {
        *state = *other;
        return;
    }
    const K(exponents) *high = other->max > state->max ? other : state;
    const K(exponents) *low = high == state ? other : state;
    const REAL distance = K(finite_or_zero)(low->max) - K(finite_or_zero)(high->max);
    const double sum = high->sum + low->sum * (double)K(exp1)(distance);
    *state = (K(exponents)){high->max, sum};
}

/* An infinite x that is the largest makes the sum infinite; a NaN makes the sum, not the maximum,
 * NaN. */
static inline void K(logsumexp_run)(const void *args, K(exponents) *state, const REAL *x,
                                    int64_t n, int64_t at) {
    vec best = -V_INF, other = best, sum = {0}, more = {0};
    int64_t i = 0;
    (void)at;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        best = v_max(v_load(x + i), best);
        other = v_max(v_load(x + i + VL), other);
    }
    best = v_max(best, other);
    K(exponents) part = {v_hmax(best), 0};
    for (; i < n; i++) part.max = x[i] > part.max ? x[i] : part.max;
    const vec shift = v_set1(K(finite_or_zero)(part.max));
    for (i = 0; i + 2 * VL <= n; i += 2 * VL) {
        sum += K(exp_shifted)(v_load(x + i), shift);
        more += K(exp_shifted)(v_load(x + i + VL), shift);
        K(fetch_next)(x + i, n, 1);
        K(fetch_next)(x + i + VL, n, 1);
    }
    for (; i < n; i += VL) {
        const int64_t count = pyad_min(VL, n - i);
        const vec last = K(exp_shifted)(v_load_n(x + i, count), shift);
        sum += v_select(K(first_lanes)(count), last, (vec){0});
    }
    const REAL total = v_sum(sum + more);
    part.sum = part.max < (REAL)INFINITY || total != total ? (double)total : (double)INFINITY;
    K(logsumexp_merge)(args, state, &part);
}

#ifndef MEET_STATES
#define MEET_STATES 64 /* that others meet at once: vectors find what was stored one by one in the cache */
#endif

/* logsumexp_merge of n <= MEET_STATES states each with others. Where a maximum is infinite, a sum of 0 or
 * infinity stays what it is. */
static PYAD_ONCE void K(logsumexp_meet)(K(exponents) *states, const REAL *max, const double *sum, int64_t n) {
    REAL best[MEET_STATES], mine[MEET_STATES], theirs[MEET_STATES];
    for (int64_t i = 0; i < n; i++) best[i] = states[i].max;
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t width = pyad_min(VL, n - i);
        const vec old = v_load_n(best + i, width), new = v_load_n(max + i, width);
        const vec high = v_max(new, old), shift = K(v_finite_or_zero)(high);
        v_store_n(best + i, high, width);
        v_store_n(mine + i, K(exp_shifted)(K(v_finite_or_zero)(old), shift), width);
        v_store_n(theirs + i, K(exp_shifted)(K(v_finite_or_zero)(new), shift), width);
    }
    for (int64_t i = 0; i < n; i++) {
        const double kept = states[i].sum * (double)mine[i];
        states[i] = (K(exponents)){best[i], kept + sum[i] * (double)theirs[i]};
    }
}

static PYAD_ONCE void K(logsumexp_merge_all)(const void *args, K(exponents) *states, const K(exponents) *others,
                                 int64_t n) {
    (void)args;
    for (int64_t at = 0; at < n; at += MEET_STATES) {
        const int64_t some = pyad_min(MEET_STATES, n - at);
        REAL max[MEET_STATES];
        double sum[MEET_STATES];
        for (int64_t i = 0; i < some; i++) {
            max[i] = others[at + i].max;
            sum[i] = others[at + i].sum;
        }
        K(logsumexp_meet)(states + at, max, sum, some);
    }
}

static PYAD_ONCE void K(logsumexp_rows)(const void *args, K(exponents) *states, const REAL *x,
                                     int64_t stride, int64_t rows, int64_t columns, int64_t at) {
    REAL max[REDUCE_COLUMNS], sum[REDUCE_COLUMNS];
    K(block_rise)(x, stride, rows, columns, max, sum);
    for (int64_t from = 0; from < columns; from += MEET_STATES) {
        const int64_t some = pyad_min(MEET_STATES, columns - from);
        double part[MEET_STATES];
        for (int64_t i = 0; i < some; i++) {
            const REAL each = sum[from + i];
            part[i] = max[from + i] == (REAL)INFINITY && each == each ? (double)INFINITY : (double)each;
        }
        K(logsumexp_meet)(states + from, max + from, part, some);
    }
    (void)args, (void)at;
}

static inline void K(logsumexp_finish)(const void *args, const K(exponents) *state, int64_t o,
                                       int64_t n) {
    const reduce_args *a = args;
    (void)n;
    const REAL log = v_log(v_set1((REAL)state->sum))[0];
    ((REAL *)a->out.data)[o] = log + K(finite_or_zero)(state->max);
}

#define OP logsumexp
#define STATE K(exponents)
#define IN_ORDER 0
#define MERGE_ALL
/* sums of RISE_ROWS each are added one by one: no more than run adds elements in a lane */
#define SINGLE_ROWS (32 * RISE_ROWS)
#include "reduction_tpl.h"

/* Whether lines of few elements lie one after the other, and so do their results. */
static inline int K(are_short_rows)(const reduction *r) {
    const int64_t n = r->inputs;
    return n > 1 && n <= TILE_CLASSES && r->kept.ndim == 1 && r->reduced.ndim == 1 &&
           r->reduced.stride[0][0] == 1 && r->kept.stride[0][0] == n && r->kept.stride[1][0] == 1;
}

/* Of a strip's tiles, one row a lane; meanwhile asks for as much at `ahead`. */
static PYAD_ONCE void K(logsumexp_strip)(const REAL *tiles, REAL *out, int64_t n, int64_t rows,
                             const REAL *ahead) {
    for (int64_t r = 0; r < rows; r += VL, tiles += VL * n, ahead += VL * n) {
        vec best = -V_INF, sum = {0}, more = {0};
        for (int64_t j = 0; j < n; j++) best = v_max(v_load(tiles + j * VL), best);
        const vec shift = K(v_finite_or_zero)(best);
        for (int64_t j = 0; j < n; j++) {
            K(fetch_line)(ahead + j * VL);
            /* two sums, each of which waits for itself alone */
            const vec next = more + K(exp_shifted)(v_load(tiles + j * VL), shift);
            more = sum;
            sum = next;
        }
        sum += more;
        sum = v_select((best == V_INF) & ~v_isnan(sum), V_INF, sum);
        v_store_n(out + r, v_log(sum) + shift, pyad_min(VL, rows - r));
    }
}

static void K(logsumexp_short_rows)(const reduction *r, const REAL *x, REAL *out, const team *t) {
    const int64_t n = r->inputs, strip = K(strip_rows)(n);
    int64_t begin, end;
    REAL tiles[STRIP_SIZE];
    team_range(t, r->outputs, VL, &begin, &end);
    for (int64_t i = begin; i < end; i += strip) {
        const int64_t rows = pyad_min(strip, end - i);
        K(transpose_in)(x + i * n, tiles, n, rows, (r->outputs - i) * n);
        K(logsumexp_strip)(tiles, out + i, n, rows, x + (i + rows) * n);
    }
}

static int K(logsumexp)(const void *args, const team *t) {
    const reduce_args *a = args;
    reduction r;
    reduction_init(&r, &a->x, &a->out, 0);
    if (K(are_short_rows)(&r)) {
        K(logsumexp_short_rows)(&r, a->x.data, a->out.data, t);
    } else {
        K(logsumexp_reduce)(a, &a->x, &a->out, t);
    }
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(logsumexp, reduce_args, 16 * pyad_numel(&a->x), 0,
            reduction_partials(&a->x, &a->out) * (int64_t)sizeof(K(exponents)))
