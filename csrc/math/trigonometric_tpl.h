/* sin, cos, tan: x = n pi/2 + r with |r| <= pi/4, then polynomials in r. What is near a multiple of
 * pi/2 cancels but for r: double computes it in two parts, float32 in double, which takes less time
 * than two parts of its own.
 */

#if DTYPE == PYAD_FLOAT64

/* The part of x beyond multiples of pi/2, for any finite x above 2^11; Payne and Hanek. */
static inline double reduce_huge(double x, int64_t *quadrant) {
    /* 2 / pi: a word of integer part, then the bits after the point */
    static const uint64_t two_over_pi[] = {
        0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
        0xfe5163abdebbc561, 0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e,
        0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b,
        0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
        0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1075; /* x = m 2^exponent */
    uint64_t m = (bits & 0xfffffffffffffu) | 0x10000000000000u;
    /* 192 bits from the one that weighs 2 in x * 2 / pi; those above count multiples of 4 */
    int64_t first = exponent - 2 + 64, shift = first % 64;
    uint64_t window[3];
    for (int64_t i = 0; i < 3; i++) {
        uint64_t here = two_over_pi[first / 64 + i], next = two_over_pi[first / 64 + i + 1];
        window[i] = shift ? here << shift | next >> (64 - shift) : here;
    }
    /* m * window mod 2^192, its two upper words; the upper two bits are the quadrant */
    uint64_t carry = (uint64_t)(((unsigned __int128)m * window[2]) >> 64);
    unsigned __int128 low = (unsigned __int128)m * window[1] + carry;
    uint64_t high = m * window[0] + (uint64_t)(low >> 64);
    *quadrant = (int64_t)(high >> 62);
    uint64_t top = high << 2 | (uint64_t)low >> 62, rest = (uint64_t)low << 2;
    double sign = 1.5707963267948966;
    if (top >> 63) { /* nearer to the next quadrant */
        ++*quadrant;
        top = ~top;
        rest = ~rest;
        sign = -sign;
    }
    return ((double)top * 0x1p-64 + (double)rest * 0x1p-128) * sign;
}

/* x = n pi/2 + r, |r| <= pi/4, in two parts */
V_INLINE vec K(v_reduce_pi)(vec x, mask *n, vec *lo) {
    vec size = v_abs(x), lo1, lo2;
    vec k = K(v_round_small)(size * v_set1((REAL)0.63661977236758134), n);
    /* k times each part of pi/2 but the last is exact */
    vec r = v_fma(-k, v_set1((REAL)1.57079632673412561417e+00), size);
    r = K(v_two_sum)(r, -k * (REAL)6.07710050630396597660e-11, &lo1);
    r = K(v_two_sum)(r, -k * (REAL)2.02226624871116645580e-21, &lo2);
    vec rest = k * (REAL)8.47842766036889956997e-32;
    r = K(v_quick_sum)(r, lo1 + (lo2 - rest), lo);
    mask huge = size > v_set1((REAL)823549);
    if (v_any(huge)) {
        for (int64_t i = 0; i < VL; i++) {
            if (!huge[i] || !(size[i] < (REAL)INFINITY)) continue;
            int64_t quadrant;
            double exact = reduce_huge((double)size[i], &quadrant);
            r[i] = (REAL)exact;
            (*lo)[i] = (REAL)(exact - (double)r[i]);
            (*n)[i] = (int32_t)quadrant;
        }
    }
    /* of a negative x all is mirrored */
    mask sign = (mask)x & (mask)v_set1((REAL)-0.0), below = x < (vec){0};
    *n = (*n ^ below) - below;
    *lo = (vec)((mask)*lo ^ sign);
    return v_select(size < V_INF, (vec)((mask)r ^ sign), V_NAN);
}

V_INLINE vec K(v_sin_quarter)(vec r, vec lo) {
    static const REAL c[] = { /* (sin(r) - r) / r^3 in r^2 */
        -0.166666666666666646, 0.00833333333333092456, -0.000198412698367224178,
        2.75573160838163586e-6, -2.50511279440141876e-8, 1.5917848524808261e-10
    };
    vec z = r * r;
    vec bend = v_fma(r * z, v_poly(z, c), lo * v_fma(v_set1((REAL)-0.5), z, v_set1((REAL)1)));
    return v_select(r == (vec){0}, r, r + bend);
}

V_INLINE vec K(v_cos_quarter)(vec r, vec lo) {
    static const REAL c[] = { /* (cos(r) - 1 + r^2 / 2) / r^4 in r^2 */
        0.0416666666666666654, -0.00138888888888873823, 0.0000248015872987430693,
        -2.75573172600088382e-7, 2.08761438279931325e-9, -1.13824567780613058e-11
    };
    vec z = r * r, half = (REAL)0.5 * z, one = v_set1((REAL)1);
    vec w = one - half;
    return w + (((one - w) - half) + v_fma(z * z, v_poly(z, c), -r * lo));
}

V_INLINE vec v_sin(vec x) {
    mask n;
    vec lo, r = K(v_reduce_pi)(x, &n, &lo);
    vec s = v_select((n & 1) != 0, K(v_cos_quarter)(r, lo), K(v_sin_quarter)(r, lo));
    return v_select((n & 2) != 0, -s, s);
}

V_INLINE vec v_cos(vec x) {
    mask n;
    vec lo, r = K(v_reduce_pi)(x, &n, &lo);
    vec s = v_select((n & 1) != 0, K(v_sin_quarter)(r, lo), K(v_cos_quarter)(r, lo));
    return v_select(((n + 1) & 2) != 0, -s, s);
}

V_INLINE vec v_tan(vec x) {
    mask n;
    vec lo, r = K(v_reduce_pi)(x, &n, &lo);
    vec s = K(v_sin_quarter)(r, lo), c = K(v_cos_quarter)(r, lo);
    mask turned = (n & 1) != 0;
    return v_select(turned, -c, s) / v_select(turned, s, c);
}

/* ---- what float32 needs of these: it has 24 bits ---- */

/* x - k quarters of a turn, or halves, for |x| up to REDUCED_FAR, k or 2 k whole; k times the
 * first part is exact */
#define REDUCED_FAR 1048576.0f
V_INLINE vec less_turns_short(vec x, vec k, const double quarters) {
    x = v_fma(k, v_set1(quarters * -1.57079632673412561417e+00), x);
    return v_fma(k, v_set1(quarters * -6.07710050650619224932e-11), x);
}

/* x = n pi/2 + r, |r| <= pi/4; n stands in the low bits of *turns */
V_INLINE vec reduce_pi_short(vec x, mask *turns) {
    vec shifted = v_fma(x, v_set1(0.63661977236758134), v_set1(ROUNDER));
    *turns = (mask)shifted;
    return less_turns_short(x, shifted - ROUNDER, 1);
}

/* x + `quarters` pi/2 = n pi + r, |r| <= pi/2, `quarters` 0 or 1; n stands in the low bits of *halves */
V_INLINE vec reduce_half_short(vec x, const int quarters, mask *halves) {
    const vec share = v_set1(0.31830988618379067), whole = v_set1(ROUNDER);
    vec shifted = quarters ? v_fma(x, share, v_set1(0.5)) + whole : v_fma(x, share, whole);
    vec n = shifted - whole;
    *halves = (mask)shifted;
    return less_turns_short(x, quarters ? n - v_set1(0.5) : n, 2);
}

/* sin of a number `halves` halves and r from 0: longer than sin and cos of quarters, of which both would
 * be computed */
V_INLINE vec sin_short(vec r, mask halves) {
    static const REAL c[] = { /* (sin(r) - r) / r^3 in r^2, |r| <= pi/2 */
        -0.1666666662611715, 0.00833333110731997, -0.00019840868047502197, 2.7525376225394073e-06,
        -2.3888765884198193e-08};
    vec z = r * r, s = v_fma(z, v_poly(z, c), v_set1(1)) * r;
    return (vec)((mask)s ^ (halves << 63));
}

V_INLINE vec tan_short(vec r, mask turns) {
    static const REAL of_sin[] = { /* (sin(r) - r) / r^3 in r^2, |r| <= pi/4 */
        -0.1666666666385529, 0.008333331874710208, -0.00019840086735384846, 2.724992580305979e-06};
    static const REAL of_cos[] = { /* (cos(r) - 1) / r^2 in r^2 */
        -0.49999999969119313, 0.04166665064451703, -0.0013887589155600576, 2.4463788293265746e-05};
    vec z = r * r, one = v_set1(1);
    vec s = v_fma(z, v_poly(z, of_sin), one) * r, c = v_fma(z, v_poly(z, of_cos), one);
    mask turned = (turns & 1) != 0;
    return v_select(turned, -c, s) / v_select(turned, s, c);
}

/* x = *turns pi/2 + r, |r| <= pi/4, for a finite x beyond REDUCED_FAR */
static inline double reduce_far_short(float x, int64_t *turns) {
    double r = reduce_huge(fabs((double)x), turns);
    if (x > 0) return r;
    *turns = -*turns;
    return -r;
}

#else

/* Lanes beyond REDUCED_FAR: x + `quarters` pi/2 = turns pi/2 + r or, by `halves`, turns pi + r. */
V_SELDOM void K(v_reduce_lanes)(vec x, int quarters, int halves, vec_t_f64 *r, mask_t_f64 *turns) {
    for (int64_t i = 0; i < VL; i++) {
        if (!(v_abs(x)[i] > REDUCED_FAR && v_abs(x)[i] < (REAL)INFINITY)) continue;
        int64_t n, half = i / (VL / 2), lane = i % (VL / 2);
        double rest = reduce_far_short(x[i], &n);
        n += quarters;
        /* the cosine is the sine of what it lacks to pi/2 */
        if (halves && n % 2 != 0) rest = 1.5707963267948966 - fabs(rest);
        r[half][lane] = rest;
        turns[half][lane] = halves ? n >> 1 : n;
    }
}

/* the same of copies, or r and turns would lie in memory always */
V_INLINE void K(v_reduce_far)(vec x, int quarters, int halves, vec_t_f64 *r, mask_t_f64 *turns) {
    if (!v_any_less(v_set1(REDUCED_FAR), v_abs(x))) return;
    vec_t_f64 rests[] = {r[0], r[1]};
    mask_t_f64 counts[] = {turns[0], turns[1]};
    K(v_reduce_lanes)(x, quarters, halves, rests, counts);
    for (int i = 0; i < 2; i++) r[i] = rests[i], turns[i] = counts[i];
}

/* sin(x + quarters * pi/2) */
V_INLINE vec K(v_sin_turned)(vec x, const int quarters) {
    vec_t_f64 r[2];
    mask_t_f64 halves[2];
    v_widen_both(x, r);
    for (int i = 0; i < 2; i++) r[i] = reduce_half_short(r[i], quarters, &halves[i]);
    K(v_reduce_far)(x, quarters, 1, r, halves);
    for (int i = 0; i < 2; i++) r[i] = sin_short(r[i], halves[i]);
    return v_narrow_both(r);
}

V_INLINE vec v_sin(vec x) { return K(v_sin_turned)(x, 0); }
V_INLINE vec v_cos(vec x) { return K(v_sin_turned)(x, 1); }

V_INLINE vec v_tan(vec x) {
    vec_t_f64 r[2];
    mask_t_f64 turns[2];
    v_widen_both(x, r);
    for (int i = 0; i < 2; i++) r[i] = reduce_pi_short(r[i], &turns[i]);
    K(v_reduce_far)(x, 0, 0, r, turns);
    for (int i = 0; i < 2; i++) r[i] = tan_short(r[i], turns[i]);
    return v_narrow_both(r);
}

#endif
