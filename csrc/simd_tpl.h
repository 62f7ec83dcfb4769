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

/* The sum of the elements, halves first: a fixed order for each width. */
static inline REAL v_sum(vec a) {
    REAL part[VECTOR_BYTES / sizeof(REAL)];
    v_store(part, a);
    for (int64_t half = VL / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i < half; i++) part[i] += part[i + half];
    }
    return part[0];
}

/* The largest element; without NaN. */
static inline REAL v_hmax(vec a) {
    REAL part[VECTOR_BYTES / sizeof(REAL)];
    v_store(part, a);
    for (int64_t half = VL / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i < half; i++) part[i] = part[i] > part[i + half] ? part[i] : part[i + half];
    }
    return part[0];
}
