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

/* a where m is set, else b; a and b are not computed with, so nothing of b leaks into a. */
static inline vec v_select(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

static inline vec v_abs(vec a) { return (vec)((mask)a & ~(mask)v_set1((REAL)-0.0)); }

static inline mask v_isnan(vec a) { return a != a; }

/* Every element's partner, `half` before or behind it; a shuffle, as `half` is constant. */
static inline vec K(v_partners)(vec a, const int half) {
    enum { lanes = VECTOR_BYTES / sizeof(REAL) };
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
    for (int half = VECTOR_BYTES / sizeof(REAL) / 2; half > 0; half /= 2) {
        a += K(v_partners)(a, half);
    }
    return a[0];
}

/* The largest element; without NaN. */
static inline REAL v_hmax(vec a) {
#pragma GCC unroll 4
    for (int half = VECTOR_BYTES / sizeof(REAL) / 2; half > 0; half /= 2) {
        a = v_max(a, K(v_partners)(a, half));
    }
    return a[0];
}
