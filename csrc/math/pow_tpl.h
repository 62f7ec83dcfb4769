/* x^y = exp(y log|x|). The logarithm needs as many more bits than the result as that has before its
 * point: float32 takes doubles, which takes less time than two parts; double takes two parts.
 */

#if DTYPE == PYAD_FLOAT32
/* |x|^y for finite x != 0 */
V_INLINE vec K(v_pow_core)(vec x, vec y) {
    vec_t_f64 base[2], power[2];
    v_widen_both(v_abs(x), base);
    v_widen_both(y, power);
    for (int i = 0; i < 2; i++) base[i] = exp2_short(power[i] * log2_short(base[i]));
    return v_narrow_both(base);
}
#else
/* |x|^y for finite x != 0, by exp(y log|x|) in two parts */
V_INLINE vec K(v_pow_core)(vec x, vec y) {
    vec k, lo, m = K(v_log_two)(K(v_split)(v_abs(x), &k), &lo);
    m = K(v_add_exponent)(k, v_set1((REAL)0.69314718055994528623),
                          v_set1((REAL)2.3190468138462996e-17), m, lo, &lo);
    /* no larger y is needed: |log x| >= ulp(1) / 2; keeps the halves of y finite */
    const vec largest = v_set1((REAL)1e20);
    y = v_min(largest, v_max(-largest, y));
    vec e_lo, e = K(v_two_product)(m, lo, y, (vec){0}, &e_lo);
    vec inside = v_min(EXP_MOST, v_max(EXP_NOTHING, e));
    return K(v_exp_times)(inside, v_select(inside == e, e_lo, (vec){0}), v_set1((REAL)1));
}
#endif

/* Whether x is anything but positive and finite, or y not finite, in any lane. */
V_INLINE int K(v_pow_at_edge)(vec x, vec y) {
#if VECTOR_BYTES == 64 && DTYPE == PYAD_FLOAT32
    /* the classes are, from bit 0 on: quiet NaN, 0, -0, inf, -inf, subnormal, negative, other NaN */
    return (_mm512_fpclass_ps_mask((__m512)x, 0xdf) | _mm512_fpclass_ps_mask((__m512)y, 0x99)) != 0;
#else
    return v_any(~((x > (vec){0}) & (x < V_INF) & (v_abs(y) < V_INF)));
#endif
}

/* C99's pow, with its values at the edges */
V_INLINE vec v_pow(vec x, vec y) {
    const vec zero = {0}, one = v_set1((REAL)1);
    vec r = K(v_pow_core)(x, y);
    if (!K(v_pow_at_edge)(x, y)) return r;
    vec size = v_abs(x), half_y = (REAL)0.5 * y;
    mask whole = v_trunc(y) == y, odd = whole & (v_trunc(half_y) != half_y);
    odd &= v_abs(y) < V_INF;
    /* 0 and infinity to any power are 0 or infinity; y infinite depends on |x| and 1 */
    mask edge = (size == zero) | (size == V_INF);
    r = v_select(edge, v_select((size == zero) == (y > zero), zero, V_INF), r);
    mask endless = v_abs(y) == V_INF;
    vec limit = v_select((size > one) == (y > zero), V_INF, zero);
    r = v_select(endless, v_select(size == one, one, limit), r);
    mask negative = (mask)x < 0;
    r = v_select(negative & ~whole & ~edge, V_NAN, r);
    r = v_select(negative & odd, -r, r);
    r = v_select(v_isnan(x) | v_isnan(y), V_NAN, r);
    return v_select((x == one) | (y == zero), one, r);
}
