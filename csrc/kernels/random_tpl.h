/* Random numbers and dropout.
 *
 * Every kernel takes its blocks of Philox numbers from the state array, which it advances, and
 * walks over groups of elements in the order of memory: a group is what sixteen blocks give, so a
 * number depends on the element's position and on nothing else. philox_group writes its words to
 * the stack (L1), from where plain loops, which the compiler vectorises, make elements of them.
 */
#include "loops/stream.h"
#include "math/quantile.h"
#include "math/special.h"
#include "random/normal_tpl.h"

#ifdef REAL

typedef void (*K(fill))(const philox *p, uint64_t first, const double *how, REAL *out);

/* Fill `out` group by group; the last one through a buffer. */
static inline __attribute__((always_inline)) int K(fill_all)(const pyad_array *out,
                                                             const pyad_array *state,
                                                             const double *how, const team *t,
                                                             K(fill) fill) {
    int64_t n = pyad_numel(out), begin, end;
    REAL *restrict to = out->data;
    philox p = philox_take(t, state, pyad_ceil_div(n, GROUP) * PHILOX_LANES);
    team_range(t, n, GROUP, &begin, &end);
    for (int64_t i = begin; i < end; i += GROUP) {
        uint64_t first = (uint64_t)(i / GROUP * PHILOX_LANES);
        if (end - i >= GROUP) {
            fill(&p, first, how, to + i);
        } else {
            REAL last[GROUP];
            fill(&p, first, how, last);
            memcpy(to + i, last, (size_t)(end - i) * sizeof(REAL));
        }
    }
    return PYAD_OK;
}

/* 24 or 53 random bits as a number in [0, 1). */
static inline void K(units)(const philox *p, uint64_t first, REAL *out) {
#if DTYPE == PYAD_FLOAT32
    uint32_t words[PHILOX_WORDS];
    philox_group(p, first, words);
    for (int64_t i = 0; i < GROUP; i++) {
        out[i] = (REAL)(int32_t)(words[i] >> 8) * 0x1p-24f;
    }
#else
    uint64_t wide[PHILOX_WIDE];
    philox_group_wide(p, first, wide);
    for (int64_t i = 0; i < GROUP; i++) out[i] = (REAL)(int64_t)(wide[i] >> 11) * 0x1p-53;
#endif
}

/* ---- uniform ---- */

static inline void K(uniform_group)(const philox *p, uint64_t first, const double *how, REAL *out) {
    REAL unit[GROUP];
    REAL low = (REAL)how[0], high = (REAL)how[1], width = (REAL)(how[1] - how[0]);
    K(units)(p, first, unit);
    for (int64_t i = 0; i < GROUP; i++) {
        REAL x = low + unit[i] * width;
        out[i] = x < high ? x : low; /* rounding may reach the open end */
    }
}

static int K(random_uniform)(const void *args, const team *t) {
    const random_uniform_args *a = args;
    const double how[2] = {a->low, a->high};
    return K(fill_all)(&a->out, &a->state, how, t, K(uniform_group));
}

PYAD_RECORD_MEMORY(random_uniform, random_uniform_args, 2 * pyad_numel(&a->out), 0, PHILOX_SHARED)

/* ---- normal ---- */

static int K(random_normal)(const void *args, const team *t) {
    const random_normal_args *a = args;
    const double how[2] = {a->mean, a->std};
    return K(fill_all)(&a->out, &a->state, how, t, K(normal_group));
}

PYAD_RECORD_MEMORY(random_normal, random_normal_args, 6 * pyad_numel(&a->out), 0, PHILOX_SHARED)

/* ---- truncated normal ---- */

/* Through the inverse of the distribution function; for initialisation, so not vectorised. Falling
 * chances are those of the upper tail, where the distribution function itself is too near to 1. */
static inline void K(trunc_group)(const philox *p, uint64_t first, const double *how, REAL *out) {
    REAL unit[GROUP];
    K(units)(p, first, unit);
    const double half = 0.25 * (sizeof(REAL) == 4 ? 0x1p-24 : 0x1p-53);
    const int upper = how[4] > how[5];
    const double std = upper ? -how[1] : how[1];
    for (int64_t i = 0; i < GROUP; i++) {
        double q = how[4] + ((double)unit[i] + half) * (how[5] - how[4]);
        double x = q <= 0   ? how[upper ? 3 : 2]
                   : q >= 1 ? how[upper ? 2 : 3]
                            : how[0] + std * quantile_normal(q);
        out[i] = (REAL)(x < how[2] ? how[2] : x > how[3] ? how[3] : x);
    }
}

static int K(random_trunc_normal)(const void *args, const team *t) {
    const random_trunc_normal_args *a = args;
    const double how[6] = {a->mean, a->std, a->low, a->high, a->chance_low, a->chance_high};
    return K(fill_all)(&a->out, &a->state, how, t, K(trunc_group));
}

PYAD_RECORD_MEMORY(random_trunc_normal, random_trunc_normal_args, 50 * pyad_numel(&a->out), 0,
            PHILOX_SHARED)

/* ---- bernoulli ---- */

static int K(random_bernoulli)(const void *args, const team *t) {
    const random_bernoulli_args *a = args;
    int64_t n = pyad_numel(&a->out), begin, end;
    const REAL *restrict chance = a->p.data;
    REAL *restrict out = a->out.data;
    team_range(t, n, PHILOX_WORDS, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (!(chance[i] >= 0 && chance[i] <= 1)) {
            team_fail(t, PYAD_ERROR_VALUE, i, 0, 1);
            break;
        }
    }
    if (t->nth > 1) team_barrier(t);
    if (team_failed(t)) return PYAD_ERROR_VALUE;
    philox p = philox_take(t, &a->state, pyad_ceil_div(n, PHILOX_WORDS) * PHILOX_LANES);
    for (int64_t i = begin; i < end; i += PHILOX_WORDS) {
        uint32_t words[PHILOX_WORDS];
        philox_group(&p, (uint64_t)(i / PHILOX_WORDS * PHILOX_LANES), words);
        for (int64_t j = 0; j < pyad_min(PHILOX_WORDS, end - i); j++) {
            out[i + j] = (double)words[j] * 0x1p-32 < (double)chance[i + j] ? 1 : 0;
        }
    }
    return PYAD_OK;
}

PYAD_RECORD_MEMORY(random_bernoulli, random_bernoulli_args, 3 * pyad_numel(&a->out), 0, PHILOX_SHARED)

/* ---- gamma, Poisson and binomial ---- */

/* An element has a block of its own for each try, so the others' tries do not move it. */
static int K(random_draw)(const void *args, const team *t) {
    const random_draw_args *a = args;
    int64_t n = pyad_numel(&a->out), begin, end;
    const REAL *first = a->first.data, *second = a->second.data;
    REAL *out = a->out.data;
    const philox p = philox_take(t, &a->state, n);
    team_range(t, n, PHILOX_WORDS, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        out[i] = (REAL)pyad_draw((int)a->kind, p.seed, p.stream, p.offset + (uint64_t)i,
                                 (double)first[i], (double)second[i]);
    }
    return PYAD_OK;
}

PYAD_RECORD_MEMORY(random_draw, random_draw_args, 200 * pyad_numel(&a->out), 0, PHILOX_SHARED)

/* ---- multinomial ---- */

/* Rows of non-negative, finite weights with a positive sum, or a failure at the row. */
static int K(check_weights)(const pyad_array *weights, const team *t) {
    int64_t k = weights->shape[1], begin, end;
    team_range(t, weights->shape[0], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const REAL *w = (const REAL *)weights->data + row * k;
        double sum = 0;
        int good = 1;
        for (int64_t i = 0; i < k; i++) {
            good &= w[i] >= 0 && w[i] - w[i] == 0;
            sum += (double)w[i];
        }
        if (!good || !(sum > 0 && sum - sum == 0)) {
            return team_fail(t, PYAD_ERROR_VALUE, row, 0, 0);
        }
    }
    return PYAD_OK;
}

/* The first category whose running sum exceeds x; the last possible one where rounding has none. */
static int64_t K(find_category)(const double *sums, const REAL *w, int64_t k, double x) {
    int64_t low = 0, high = k;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (sums[middle] > x) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (low == k) {
        do low--;
        while (low > 0 && !(w[low] > 0));
    }
    return low;
}

static int K(random_multinomial)(const void *args, const team *t) {
    const random_multinomial_args *a = args;
    int64_t k = a->weights.shape[1], draws = a->out.shape[1], begin, end;
    double *sums = t->scratch;
    K(check_weights)(&a->weights, t);
    if (t->nth > 1) team_barrier(t);
    if (team_failed(t)) return PYAD_ERROR_VALUE;
    int64_t n = pyad_numel(&a->out);
    philox p = philox_take(t, &a->state, pyad_ceil_div(n, PHILOX_WIDE) * PHILOX_LANES);
    team_range(t, a->out.shape[0], 1, &begin, &end);
    int64_t group = -1;
    uint64_t wide[PHILOX_WIDE];
    for (int64_t row = begin; row < end; row++) {
        const REAL *w = (const REAL *)a->weights.data + row * k;
        double sum = 0;
        for (int64_t i = 0; i < k; i++) sums[i] = sum += (double)w[i];
        for (int64_t i = row * draws; i < (row + 1) * draws; i++) {
            if (i / PHILOX_WIDE != group) {
                group = i / PHILOX_WIDE;
                philox_group_wide(&p, (uint64_t)(group * PHILOX_LANES), wide);
            }
            double x = (double)(int64_t)(wide[i % PHILOX_WIDE] >> 11) * 0x1p-53 * sum;
            ((int64_t *)a->out.data)[i] = K(find_category)(sums, w, k, x);
        }
    }
    return PYAD_OK;
}

PYAD_RECORD_MEMORY(random_multinomial, random_multinomial_args,
            2 * pyad_numel(&a->weights) + 20 * pyad_numel(&a->out), 8 * a->weights.shape[1],
            PHILOX_SHARED)

/* ---- dropout ---- */

/* out = kept ? x * scale : 0, by selection, so that no inf or NaN of a dropped element comes
 * through. kept is 0 or 1 for each element. */
static inline void K(select_scaled)(const REAL *restrict x, const uint8_t *restrict kept,
                                    REAL scale, REAL *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        REAL y = x[i] * scale;
        out[i] = kept[i] ? y : 0;
    }
}

#define DROPOUT_GROUP (2 * PHILOX_WORDS)

/* Whether each element of a group is kept: whether its number of 32 bits is `limit` or more. Numbers take
 * half a word; their lower halves, of a stream of their own, are drawn where one decides. */
static inline void K(draw_kept)(const philox *p, uint64_t first, uint32_t limit, uint8_t *kept) {
    uint32_t words[PHILOX_WORDS], equal = 0;
    uint16_t upper[DROPOUT_GROUP];
    const uint16_t high = (uint16_t)(limit >> 16), low = (uint16_t)limit;
    philox_group(p, first, words);
    philox_halves(words, upper);
    for (int64_t j = 0; j < DROPOUT_GROUP; j++) {
        kept[j] = upper[j] > high;
        equal |= upper[j] == high;
    }
    if (!equal) return;
    uint16_t lower[DROPOUT_GROUP];
    const philox more = philox_more(*p, 1);
    philox_group(&more, first, words);
    philox_halves(words, lower);
    for (int64_t j = 0; j < DROPOUT_GROUP; j++) kept[j] |= upper[j] == high && lower[j] >= low;
}

static int K(dropout_fwd)(const void *args, const team *t) {
    const dropout_fwd_args *a = args;
    int64_t n = pyad_numel(&a->x), begin, end;
    const REAL *restrict x = a->x.data;
    REAL *restrict out = a->out.data;
    uint8_t *restrict kept = a->kept.data;
    REAL scale = (REAL)(a->p < 1 ? 1 / (1 - a->p) : 0);
    double drops = rint(a->p * 0x1p32); /* of 2^32 numbers */
    philox p = philox_take(t, &a->state, pyad_ceil_div(n, DROPOUT_GROUP) * PHILOX_LANES);
    team_range(t, n, DROPOUT_GROUP, &begin, &end);
    const int far = streams((end - begin) * (int64_t)sizeof(REAL));
    for (int64_t i = begin; i < end; i += DROPOUT_GROUP) {
        if (far) {
            const int64_t later = i + STREAM_AHEAD / (int64_t)sizeof(REAL);
            ask_to_read_all(x + later, DROPOUT_GROUP * (int64_t)sizeof(REAL));
            ask_to_write_all(out + later, DROPOUT_GROUP * (int64_t)sizeof(REAL));
        }
        uint8_t group[DROPOUT_GROUP] = {0};
        int64_t count = pyad_min(DROPOUT_GROUP, end - i);
        if (drops < 0x1p32) {
            K(draw_kept)(&p, (uint64_t)(i / DROPOUT_GROUP * PHILOX_LANES), (uint32_t)drops, group);
        }
        memcpy(kept + i, group, (size_t)count);
        K(select_scaled)(x + i, group, scale, out + i, count);
    }
    return PYAD_OK;
}

PYAD_RECORD_MEMORY(dropout_fwd, dropout_fwd_args, 3 * pyad_numel(&a->x), 0, PHILOX_SHARED)

static int K(dropout_bwd)(const void *args, const team *t) {
    const dropout_bwd_args *a = args;
    int64_t begin, end;
    team_range(t, pyad_numel(&a->g), PHILOX_WORDS, &begin, &end);
    K(select_scaled)((const REAL *)a->g.data + begin, (const uint8_t *)a->kept.data + begin,
                     (REAL)(a->p < 1 ? 1 / (1 - a->p) : 0), (REAL *)a->out.data + begin,
                     end - begin);
    return PYAD_OK;
}

PYAD_RECORD(dropout_bwd, dropout_bwd_args, pyad_numel(&a->g))

#undef GROUP

#elif DTYPE != PYAD_BOOL

/* ---- integers ---- */

static int K(random_integers)(const void *args, const team *t) {
    const random_integers_args *a = args;
    int64_t n = pyad_numel(&a->out), begin, end;
    INT *restrict out = a->out.data;
    uint64_t range = (uint64_t)a->high - (uint64_t)a->low;
    philox p = philox_take(t, &a->state, pyad_ceil_div(n, PHILOX_WIDE) * PHILOX_LANES);
    team_range(t, n, PHILOX_WIDE, &begin, &end);
    for (int64_t i = begin; i < end; i += PHILOX_WIDE) {
        uint64_t wide[PHILOX_WIDE];
        philox_group_wide(&p, (uint64_t)(i / PHILOX_WIDE * PHILOX_LANES), wide);
        for (int64_t j = 0; j < pyad_min(PHILOX_WIDE, end - i); j++) {
            out[i + j] = (INT)((uint64_t)a->low + philox_below(&p, wide[j], i + j, range));
        }
    }
    return PYAD_OK;
}

PYAD_RECORD_MEMORY(random_integers, random_integers_args, 4 * pyad_numel(&a->out), 0, PHILOX_SHARED)

#if DTYPE == PYAD_INT64
/* ---- permutation ---- */

/* Fisher and Yates; each step needs the one before, so one thread does it. Number i is for the
 * exchange at position i. */
static int K(random_permutation)(const void *args, const team *t) {
    const random_permutation_args *a = args;
    int64_t n = pyad_numel(&a->out), group = -1;
    int64_t *restrict out = a->out.data;
    philox p = philox_take(t, &a->state, pyad_ceil_div(n, PHILOX_WIDE) * PHILOX_LANES);
    if (t->ith != 0) return PYAD_OK;
    uint64_t wide[PHILOX_WIDE];
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        if (i / PHILOX_WIDE != group) {
            group = i / PHILOX_WIDE;
            philox_group_wide(&p, (uint64_t)(group * PHILOX_LANES), wide);
        }
        int64_t j = (int64_t)philox_below(&p, wide[i % PHILOX_WIDE], i, (uint64_t)i + 1);
        int64_t moved = out[i];
        out[i] = out[j];
        out[j] = moved;
    }
    return PYAD_OK;
}

PYAD_RECORD_MEMORY(random_permutation, random_permutation_args, 1, 0, PHILOX_SHARED)
#endif
#endif
