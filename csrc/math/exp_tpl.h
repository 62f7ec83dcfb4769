/* exp, 2^x, exp(x) - 1, and what is a quotient of exponentials: tanh and sigmoid.
 *
 * exp(x) = 2^n exp(r) with x = n ln 2 + r; ln 2 stands in two parts, so that r is exact but for its
 * last bits. A power of two is a number's exponent.
 */

#define LN2 v_set1(PICK(0.693147181, 0.69314718055994531))
#define LOG2_E v_set1(PICK(1.44269504, 1.44269504088896341))
#define LN2_HI v_set1(PICK(0.693145751953125, 6.93147180369123816490e-01)) /* n * LN2_HI is exact */
#define LN2_LO v_set1(PICK(1.428606765330187045e-06, 1.90821492927058770002e-10))

/* exp(x) is 0 below EXP_NOTHING, a normal number from EXP_LOWEST on, infinite above EXP_MOST */
#define EXP_NOTHING v_set1(PICK(-105.0, -747.0))
#define EXP_LOWEST v_set1(PICK(-87.0, -708.0))
#define EXP_MOST v_set1(PICK(90.0, 711.0))

/* (exp(r) - 1 - r) / r^2, |r| <= ln(2) / 2 */
#if DTYPE == PYAD_FLOAT32
#define EXP_BEND 0.5f, 0.1666657685f, 0.04166655444f, 0.008363202972f, 0.001392621347f
#else
#define EXP_BEND                                                                                  \
    0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332611205,                       \
        0.00138888888888837318, 0.000198412698749012592, 2.48015873256053228e-05,                  \
        2.75572552979696444e-6, 2.75572735701021397e-7, 2.51052595384484934e-8,                    \
        2.0914717341716376e-9
#endif

/* x = n ln 2 + r, |r| <= ln(2) / 2; returns exp(r) - 1 - r */
V_INLINE vec K(v_exp_reduce)(vec x, vec x_lo, vec *r, mask *n) {
    static const REAL c[] = {EXP_BEND};
    vec k = K(v_round_small)(x * LOG2_E, n);
    *r = v_fma(k, -LN2_LO, v_fma(k, -LN2_HI, x)) + x_lo;
    return *r * *r * v_poly(*r, c);
}

/* factor * exp(x + x_lo) for x from EXP_NOTHING to EXP_MOST */
V_INLINE vec K(v_exp_times)(vec x, vec x_lo, vec factor) {
    mask n;
    vec r, tail = K(v_exp_reduce)(x, x_lo, &r, &n);
    return K(v_scale)(((r + tail) + (REAL)1) * factor, n);
}

/* Some processors take 150 cycles for an operation with a subnormal result: none is made but for a lane
 * that needs it, which is looked for where any lies below EXP_LOWEST. */

/* e, in which subnormal exp(x) are 0, with what they are */
V_INLINE vec K(v_exp_subnormal)(vec x, vec e) {
    mask deep = (x < EXP_LOWEST) & (x > EXP_NOTHING);
    if (!v_any(deep)) return e;
    vec inside = v_select(deep, x, (vec){0});
    return v_select(deep, K(v_exp_times)(inside, (vec){0}, v_set1((REAL)1)), e);
}

#ifdef V_TABLES
/* 2^(i / 16), which one register holds: what remains of x is so small that a polynomial of half the
 * length is enough */
static const REAL exp_step[] = {
    1.0f, 1.0442737f, 1.0905077f, 1.1387886f, 1.1892071f, 1.2418578f, 1.2968396f, 1.3542556f,
    1.4142135f, 1.4768262f, 1.5422108f, 1.6104903f, 1.6817929f, 1.7562522f, 1.8340081f, 1.9152066f};
/* 2^(i / 16) / exp_step[i] - 1 */
static const REAL exp_lost[] = {
    0.0f, 4.628547e-8f, -1.19921575e-8f, 4.7297824e-8f, 3.193418e-8f, 3.6210572e-8f,
    -3.099072e-8f, -7.475213e-9f, 1.7114271e-8f, -3.0476834e-8f, 5.233334e-9f,
    6.1075918e-9f, -1.4719605e-8f, -5.258795e-9f, -6.1282597e-9f, 5.1406093e-9f};

/* a multiple of 1/16 near log2(exp(x)), plus this: its lowest bits are the number of the step */
#define EXP_ROUNDER v_set1(ROUNDER / 16)
V_INLINE vec v_exp_shifted(vec x) { return v_fma(x, LOG2_E, EXP_ROUNDER); }

/* x - k ln 2 */
V_INLINE vec v_exp_remainder(vec x, vec k) { return v_fma(k, -LN2_LO, v_fma(k, -LN2_HI, x)); }

/* 2^-floor(k) exp(x) for x from EXP_LOWEST to EXP_MOST; of others only k counts. To 0.6 ulp if
 * `exact`, else to 1.1. */
V_INLINE vec v_exp_parts(vec x, vec *k, const int exact) {
    /* (exp(r) - 1) / r, |r| <= ln(2) / 32 */
    static const REAL c[] = {1.0f, 0.5000098f, 0.16666862f};
    const vec shifted = v_exp_shifted(x);
    *k = shifted - EXP_ROUNDER;
    const vec r = v_exp_remainder(x, *k), step = v_short_entry(exp_step, (mask)shifted);
    if (!exact) return v_fma(step * r, v_poly(r, c), step);
    return v_fma(step, v_fma(r, v_poly(r, c), v_short_entry(exp_lost, (mask)shifted)), step);
}

V_INLINE vec K(v_exp_high)(vec x) {
    vec k, part = v_exp_parts(v_min(EXP_MOST, x), &k, 1);
    return v_times_power(part, k);
}
#else
V_INLINE vec K(v_exp_high)(vec x) {
    return K(v_exp_times)(v_min(EXP_MOST, x), (vec){0}, v_set1((REAL)1));
}
#endif

V_SELDOM vec K(v_exp_low)(vec x) {
    vec e = K(v_exp_high)(v_max(EXP_LOWEST, x));
    return K(v_exp_subnormal)(x, v_select(x < EXP_LOWEST, (vec){0}, e));
}

V_INLINE vec v_exp(vec x) {
    return v_any_less(x, EXP_LOWEST) ? K(v_exp_low)(x) : K(v_exp_high)(x);
}

#ifdef V_TABLES
/* exp(x) for EXP_LOWEST <= x <= 0; NaN passes */
V_INLINE vec K(exp_normal)(vec x) {
    vec k, part = v_exp_parts(x, &k, 1);
    return v_times_power(part, k);
}

/* Lanes that would be subnormal are 0, and are not computed. */
V_INLINE vec v_exp_not_low(vec x, const int exact) {
    const __mmask16 some = _mm512_cmp_ps_mask((__m512)x, (__m512)EXP_LOWEST, _CMP_NLT_UQ);
    vec k, part = v_exp_parts(x, &k, exact);
    return (vec)_mm512_maskz_scalef_ps(some, (__m512)part, (__m512)k);
}

/* exp(x) for x <= 0, as logits less the largest are: no overflow; NaN passes. What would be
 * subnormal is 0. */
V_INLINE vec K(exp_below)(vec x) { return v_exp_not_low(x, 0); }

/* the same with the bits of exp_normal */
V_INLINE vec K(exp_normal_or_0)(vec x) { return v_exp_not_low(x, 1); }
#else
V_INLINE vec K(exp_normal)(vec x) {
#if VECTOR_BYTES == 64
    static const REAL c[] = {1, 1, EXP_BEND}; /* exp(r) */
    vec k = v_fma(x, LOG2_E, v_set1(ROUNDER)) - v_set1(ROUNDER);
    vec r = v_fma(k, -LN2_LO, v_fma(k, -LN2_HI, x));
    return v_times_power(v_poly(r, c), k);
#else
    mask n;
    vec r, tail = K(v_exp_reduce)(x, (vec){0}, &r, &n);
    return ((r + tail) + (REAL)1) * K(v_power_of_int)(n);
#endif
}

V_INLINE vec K(exp_below)(vec x) {
    return v_select(x < EXP_LOWEST, (vec){0}, K(exp_normal)(v_max(EXP_LOWEST, x)));
}

V_INLINE vec K(exp_normal_or_0)(vec x) { return K(exp_below)(x); }
#endif

V_SELDOM vec K(exp_deep)(vec x, vec counted) {
    return K(v_exp_subnormal)(counted, K(exp_normal_or_0)(x));
}

/* the same, where subnormal results count if `counted` is x, and not if it is 0 */
V_INLINE vec K(exp_tail_where)(vec x, vec counted) {
    return v_any_less(x, EXP_LOWEST) ? K(exp_deep)(x, counted) : K(exp_normal)(x);
}

V_INLINE vec K(exp_tail)(vec x) { return K(exp_tail_where)(x, x); }

/* 2^x is 0 below EXP2_NOTHING, a normal number from EXP2_LOWEST on, infinite from EXP2_MOST on */
#define EXP2_NOTHING v_set1(PICK(-151.0, -1076.0))
#define EXP2_LOWEST v_set1(PICK(-126.0, -1022.0))
#define EXP2_MOST v_set1(PICK(129.0, 1025.0))

/* 2^x for x from EXP2_NOTHING to EXP2_MOST */
V_INLINE vec K(v_exp2_inside)(vec x) {
    mask n, zero;
    vec rest = (x - K(v_round_small)(x, &n)) * LN2;
    vec r, tail = K(v_exp_reduce)(rest, (vec){0}, &r, &zero);
    return K(v_scale)((r + tail) + (REAL)1, n + zero);
}

/* as v_exp_low */
V_SELDOM vec K(v_exp2_low)(vec x) {
    mask low = x < EXP2_LOWEST, deep = low & (x > EXP2_NOTHING);
    vec power = v_select(low, (vec){0}, K(v_exp2_inside)(v_max(EXP2_LOWEST, x)));
    if (!v_any(deep)) return power;
    return v_select(deep, K(v_exp2_inside)(v_select(deep, x, (vec){0})), power);
}

V_INLINE vec v_exp2(vec x) {
    x = v_min(EXP2_MOST, x);
    return v_any_less(x, EXP2_LOWEST) ? K(v_exp2_low)(x) : K(v_exp2_inside)(x);
}

#if DTYPE == PYAD_FLOAT64
/* 2^x to 28 bits, as pow of float32 needs, for which 2^200 is infinite and 2^-200 is 0 */
V_INLINE vec exp2_short(vec x) {
    static const REAL c[] = { /* 2^f, |f| <= 1/2 */
        1.0, 0.6931472067028326, 0.24022650922288757, 0.05550327226670302,
        0.009618056678524637, 0.0013400428177615838, 0.0001546144469856913};
#if VECTOR_BYTES == 64
    const vec f = (vec)_mm512_reduce_pd((__m512d)x, 0); /* x less the nearest integer */
    return v_times_power(v_poly(f, c), x - f);
#else
    const vec largest = v_set1(200.0);
    x = v_min(v_max(x, -largest), largest); /* NaN is taken for one */
    vec shifted = x + ROUNDER;
    vec p = v_long_poly(x - (shifted - ROUNDER), c);
    return (vec)((mask)p + ((mask)shifted << MANTISSA_BITS));
#endif
}
#endif

/* exp(x) - 1 for x no less than where it is -1 */
#ifdef V_TABLES
V_INLINE vec K(v_expm1_clamped)(vec x) {
    static const REAL c[] = {0.5f, 0.16666862f, 0.041666992f}; /* (exp(r) - 1 - r) / r^2 */
    /* as far as 2^k is a number */
    const vec shifted = v_min(EXP_ROUNDER + v_set1(127.9375f), v_exp_shifted(x));
    const vec k = shifted - EXP_ROUNDER, r = v_exp_remainder(x, k);
    const vec power = v_times_power(v_short_entry(exp_step, (mask)shifted), k);
    const vec more = r + v_fma(r, r * v_poly(r, c), v_short_entry(exp_lost, (mask)shifted));
    return v_fma(power, more, power - (REAL)1);
}
#else
V_INLINE vec K(v_expm1_clamped)(vec x) {
    mask n;
    vec r, tail = K(v_exp_reduce)(x, (vec){0}, &r, &n);
    vec half = K(v_power_of_int)(n - 1); /* not 2^n, which overflows near the largest x */
    vec far = (REAL)2 * (v_fma(half, r, half - (REAL)0.5) + half * tail);
    return v_select(n == 0, r + tail, far);
}
#endif

V_INLINE vec v_expm1(vec x) {
    vec inside = v_max(v_set1(PICK(-20.0, -40.0)), x);
    inside = v_min(v_set1(PICK(89.0, 710.0)), inside);
    return v_copysign(K(v_expm1_clamped)(inside), x);
}

V_INLINE vec v_tanh(vec x) {
    vec e = K(v_expm1_clamped)(v_min(v_set1((REAL)44), (REAL)2 * v_abs(x)));
    return v_copysign(e / (e + (REAL)2), x);
}

V_INLINE vec v_sigmoid(vec x) {
    /* of a positive x no subnormal e counts */
    vec e = K(exp_tail_where)(-v_abs(x), v_min((vec){0}, x)), one = v_set1((REAL)1);
    return v_select(x < (vec){0}, e, one) / (one + e);
}
