/* The part of simd.h that reads the same for both float types. */

static inline vec v_set1(REAL x) {
    return x - (vec){0};
}

static inline vec v_load(const REAL *p) {
    vec a;
    memcpy(&a, p, sizeof a);
    return a;
}

static inline void v_store(REAL *p, vec a) { memcpy(p, &a, sizeof a); }

/* The elements at p, of which n are there; where n < VL the others are 0 and not touched. */
static inline __attribute__((always_inline)) vec v_load_live(const REAL *p, int64_t n) {
    return n >= VL ? v_load(p) : v_load_n(p, n);
}

static inline __attribute__((always_inline)) void v_store_live(REAL *p, vec a, int64_t n) {
    if (n >= VL) {
        v_store(p, a);
    } else {
        v_store_n(p, a, n);
    }
}

/* a where m is set, else b; a and b are not computed with, so nothing of b leaks into a. */
static inline vec v_select(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

static inline vec v_abs(vec a) { return (vec)((mask)a & ~(mask)v_set1((REAL)-0.0)); }

static inline mask v_isnan(vec a) { return a != a; }

/* Every element's partner, `half` before or behind it; a shuffle, as `half` is constant. */
static inline vec K(v_partners)(vec a, const int half) {
    enum { lanes = VL };
    mask_item from[lanes];
    mask order;
#pragma GCC unroll 16
    for (int l = 0; l < lanes; l++) from[l] = l ^ half;
    memcpy(&order, from, sizeof order);
    return V_SHUFFLE(a, order);
}

/* The sum of the elements, halves first: a fixed order for each width. */
static inline REAL v_sum(vec a) {
#pragma GCC unroll 4
    for (int half = VL / 2; half > 0; half /= 2) {
        a += K(v_partners)(a, half);
    }
    return a[0];
}

/* The largest element; without NaN. */
static inline REAL v_hmax(vec a) {
#pragma GCC unroll 4
    for (int half = VL / 2; half > 0; half /= 2) {
        a = v_max(a, K(v_partners)(a, half));
    }
    return a[0];
}

/* Lane j of vector i becomes lane i of vector j: halves, quarters, ... of pairs change places. Of
 * fewer vectors than lanes, each group of as many lanes is turned for itself. In place, so that they
 * stay in registers. */
static inline __attribute__((always_inline)) void K(v_transpose)(vec *v, const int size) {
    enum { lanes = VL };
#pragma GCC unroll 4
    for (int by = 1; by < size; by *= 2) {
        mask_item low[lanes], high[lanes];
        mask from_low, from_high;
#pragma GCC unroll 16
        for (int l = 0; l < lanes; l++) {
            low[l] = l & by ? lanes + l - by : l;
            high[l] = l & by ? lanes + l : l + by;
        }
        memcpy(&from_low, low, sizeof low);
        memcpy(&from_high, high, sizeof high);
#pragma GCC unroll 16
        for (int i = 0; i < size; i++) {
            if (i & by) continue;
            const vec a = v[i], b = v[i + by];
            v[i] = V_SHUFFLE_TWO(a, b, from_low);
            v[i + by] = V_SHUFFLE_TWO(a, b, from_high);
        }
    }
}
