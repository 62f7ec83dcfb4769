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

V_INLINE vec K(v_exp_high)(vec x) {
    return K(v_exp_times)(v_min(EXP_MOST, x), (vec){0}, v_set1((REAL)1));
}

V_SELDOM vec K(v_exp_low)(vec x) {
    vec e = K(v_exp_high)(v_max(EXP_LOWEST, x));
    return K(v_exp_subnormal)(x, v_select(x < EXP_LOWEST, (vec){0}, e));
}

V_INLINE vec v_exp(vec x) {
    return v_any_less(x, EXP_LOWEST) ? K(v_exp_low)(x) : K(v_exp_high)(x);
}

/* exp(x) for EXP_LOWEST <= x <= 0; NaN passes */
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

/* exp(x) for x <= 0, as logits less the largest are: no overflow; NaN passes. What would be
 * subnormal is 0. */
V_INLINE vec K(exp_below)(vec x) {
    return v_select(x < EXP_LOWEST, (vec){0}, K(exp_normal)(v_max(EXP_LOWEST, x)));
}

V_SELDOM vec K(exp_deep)(vec x, vec counted) {
    return K(v_exp_subnormal)(counted, K(exp_below)(x));
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
/* 2^x to 28 bits, for |x| < 1000: what pow of float32 needs */
V_INLINE vec exp2_short(vec x) {
    static const REAL c[] = { /* 2^f, |f| <= 1/2 */
        1.0, 0.6931472067028326, 0.24022650922288757, 0.05550327226670302,
        0.009618056678524637, 0.0013400428177615838, 0.0001546144469856913};
    vec shifted = x + ROUNDER;
    vec p = v_long_poly(x - (shifted - ROUNDER), c);
    return (vec)((mask)p + ((mask)shifted << MANTISSA_BITS));
}
#endif

/* exp(x) - 1 for x no less than where it is -1 */
V_INLINE vec K(v_expm1_clamped)(vec x) {
    mask n;
    vec r, tail = K(v_exp_reduce)(x, (vec){0}, &r, &n);
    vec half = K(v_power_of_int)(n - 1); /* not 2^n, which overflows near the largest x */
    vec far = (REAL)2 * (v_fma(half, r, half - (REAL)0.5) + half * tail);
    return v_select(n == 0, r + tail, far);
}

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
