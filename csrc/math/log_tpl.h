/* log, log(1 + x), and the logarithms to the bases 2 and 10.
 *
 * x = m 2^k with m around 1. Other bases need more bits than the result has, or those of exact powers
 * would not be exact: float32 takes doubles, double two parts.
 */

/* log(1 + f) + k ln 2, 1 + f in [sqrt(1/2), sqrt(2)) */
V_INLINE vec K(v_log_core)(vec f, vec k) {
#if DTYPE == PYAD_FLOAT32
    static const REAL c[] = { /* (log(1 + f) - f) / f^2 */
        -0.4999999765f, 0.3333333003f, -0.2500078124f, 0.2000123446f, -0.1662664563f, 0.1420485595f,
        -0.1312755565f, 0.1272267279f, -0.07673641502f};
    return v_fma(k, LN2_HI, f + v_fma(f * v_long_poly(f, c), f, k * LN2_LO));
#else
    /* after FreeBSD's e_log.c */
    static const REAL c[] = { /* (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2 */
        0.666666666666666973, 0.399999999998982728, 0.285714286265336159, 0.222222110437768582,
        0.18182895750119194, 0.153315016111453277, 0.146191661348879714};
    vec s = f / (f + (REAL)2), z = s * s, half = (REAL)0.5 * f * f;
    vec r = z * v_poly(z, c);
    return v_fma(k, LN2_HI, f - (half - v_fma(s, half + r, k * LN2_LO)));
#endif
}

/* The logarithm's values outside (0, inf): of 0, negative numbers, infinity, NaN. */
V_INLINE vec K(v_log_edges)(vec x, vec result) {
    result = v_select(x < V_INF, result, x);
    return v_select(x > (vec){0}, result, v_select(x == (vec){0}, -V_INF, V_NAN));
}

#if VECTOR_BYTES == 64 && DTYPE == PYAD_FLOAT32
/* Two instructions split a number, be it subnormal, and of 0 and infinity make the k that their logarithms
 * are, of negative numbers NaN. */

/* x = m 2^k with m in [3/4, 3/2) */
V_INLINE vec v_parts(vec x, vec *k) {
    const __m512 m = _mm512_getmant_ps((__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    const __m512 one = _mm512_set1_ps(1), e = _mm512_getexp_ps((__m512)x);
    *k = (vec)_mm512_mask_add_ps(e, _mm512_cmp_ps_mask(m, one, _CMP_LT_OQ), e, one);
    return (vec)m;
}

/* log(1 + f) + k ln 2 + none, 1 + f in [3/4, 3/2) */
V_INLINE vec v_log_of_parts(vec f, vec k, vec none) {
    static const REAL c[] = { /* (log(1 + f) - f) / f^2 */
        -0.499999998f, 0.3333339545f, -0.2500015388f, 0.1999359251f,
        -0.1664764409f, 0.1443845675f, -0.1312287691f, 0.1062562921f, -0.04738242484f};
    return v_fma(k, LN2_HI, f + v_fma(f * v_long_poly(f, c), f, v_fma(k, LN2_LO, none)));
}

V_INLINE vec v_log(vec x) {
    vec k, m = v_parts(x, &k);
    return v_log_of_parts(m - (REAL)1, k, (vec){0});
}

V_SELDOM vec v_log1p_edges(vec x, vec inside) {
    const vec one = v_set1((REAL)1);
    vec outside = v_select(x < (vec){0}, v_select(x == -one, -V_INF, V_NAN), v_log(x));
    return v_select((x > -one) & (x < v_set1(0x1p125f)), inside, outside);
}

V_INLINE vec v_log1p(vec x) {
    const vec one = v_set1((REAL)1), u = x + one;
    vec k, m = v_parts(u, &k);
    /* 2^-k; (1 + x) 2^-k - 1 is rounded once */
    const vec share = (vec)((mask)m - (mask)u + (mask)one);
    /* the square of a small x would be subnormal */
    vec r = v_log_of_parts(v_fma(x, share, share - one), k, v_set1(0x1p-100f));
    r = v_select(v_abs(x) < v_set1(0x1p-30f), x, r);
    const __m512i most = _mm512_castps_si512(_mm512_set1_ps(0x1p125f));
    const __m512i below = _mm512_sub_epi32((__m512i)u, _mm512_set1_epi32(1));
    return _mm512_cmpge_epu32_mask(below, most) ? v_log1p_edges(x, r) : r;
}
#else
V_INLINE vec v_log(vec x) {
    vec k, m = K(v_split)(x, &k);
    return K(v_log_edges)(x, K(v_log_core)(m - (REAL)1, k));
}

V_INLINE vec v_log1p(vec x) {
    const vec one = v_set1((REAL)1);
    /* the square of a small x would be subnormal */
    mask tiny = v_abs(x) < v_set1(PICK(0x1p-30, 0x1p-60));
    vec some = v_select(tiny, (vec){0}, x), u = some + one;
    /* what u has lost of 1 + x */
    vec large = v_max(one, some), lost = v_min(one, some) - (u - large);
    vec k, m = K(v_split_normal)(u, &k);
    /* scaled as m is; of a large x it does not count */
    vec f = v_fma(lost, K(v_power)(v_max(v_set1((REAL)-64), -k)), m - one);
    return v_select(tiny, x, K(v_log_edges)(u, K(v_log_core)(f, k)));
}
#endif

/* log(1 + x) for 0 <= x <= 1 */
V_INLINE vec K(v_log1p_unit)(vec x) {
#if DTYPE == PYAD_FLOAT32
    static const REAL c[] = { /* (log(1 + x) - x) / x^2 */
        -0.4999999698f, 0.3333284189f, -0.2498652617f, 0.1985410623f, -0.1584756572f, 0.1156184545f,
        -0.06675772506f, 0.02522405435f, -0.004466211601f
    };
    return v_fma(x * v_poly(x, c), x, x); /* the square of a small x would be subnormal */
#else
    /* 1 + x is below sqrt(2), or halved it is */
    mask near = x < v_set1(0.41421356237309503);
    vec f = v_select(near, x, (REAL)0.5 * (x - (REAL)1));
    return K(v_log_core)(f, v_select(near, (vec){0}, v_set1((REAL)1)));
#endif
}

#if DTYPE == PYAD_FLOAT64
/* log(exp(x) + exp(y)) to base e, or where `scale` is log 2 to base 2; one copy, as speed is in the series */
static PYAD_SHARED vec v_logaddexp(vec x, vec y, double scale) {
    /* infinities may be equal */
    const vec gap = v_select(x == y, (vec){0}, v_abs(x - y) * -scale);
    return v_max(x, y) + K(v_log1p_unit)(v_exp(gap)) * (1 / scale);
}
#endif

#if DTYPE == PYAD_FLOAT32

/* log2(x) * scale: those of exact powers are exact */
V_INLINE vec K(v_log_to_base)(vec x, double scale) {
    vec_t_f64 halves[2];
    v_widen_both(x, halves);
    for (int i = 0; i < 2; i++) halves[i] = log2_short(halves[i]) * scale;
    return K(v_log_edges)(x, v_narrow_both(halves));
}

V_INLINE vec v_log2(vec x) { return K(v_log_to_base)(x, 1.0); }
V_INLINE vec v_log10(vec x) { return K(v_log_to_base)(x, 0.30102999566398119521); }

#else

/* x = m 2^k with m in [3/4, 3/2); x a positive float */
V_INLINE vec K(v_parts_short)(vec x, vec *k) {
#if VECTOR_BYTES == 64
    /* 4/3 of what is 3/4 of a power of two is that power */
    *k = (vec)_mm512_getexp_pd((__m512d)(x * v_set1(1.3333333333333335)));
    return (vec)_mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_zero);
#else
    return K(v_split_from)(x, 0.75, k);
#endif
}

/* log2(x) of a positive float to 35 bits: eight more than it has, as pow needs */
V_INLINE vec log2_short(vec x) {
    static const REAL c[] = { /* log2(1 + f) / f, 1 + f in [3/4, 3/2] */
        1.4426950409122061, -0.7213475207253306, 0.4808983316417251, -0.36067367232463055,
        0.28854054838917603, -0.2404575898440573, 0.2060514229808709, -0.18001330082554762,
        0.16060315205739292, -0.14927978678373, 0.13820869488357804, -0.10067562555030282,
        0.03709947479105998};
    vec k, f = K(v_parts_short)(x, &k) - (REAL)1;
    return v_fma(f, v_long_poly(f, c), k);
}

/* log(m) in two parts, m in [sqrt(1/2), sqrt(2)) */
V_INLINE vec K(v_log_two)(vec m, vec *lo) {
    /* (log((1 + s) / (1 - s)) - 2 s - 2/3 s^3) / s^5 in s^2 */
    static const REAL c[] = {
        0.4, 0.285714285714285645, 0.222222222222285144, 0.181818181796316521,
        0.153846157648487856, 0.133332962457260601, 0.117668255977803599, 0.104560479602255353,
        0.107649531351811867
    };
    vec top = m - (REAL)1, low, bottom = K(v_two_sum)(m, v_set1((REAL)1), &low);
    vec s = top / bottom;
    vec back = s * bottom;
    vec s_lo = ((top - back) - K(v_product_error)(s, bottom, back) - s * low) / bottom;
    vec z_lo, z = K(v_two_product)(s, s_lo, s, s_lo, &z_lo);
    vec q_lo, q = K(v_two_sum)(v_set1((REAL)0.66666666666666663),
                               z * v_poly(z, c), &q_lo);
    q_lo += v_set1((REAL)3.7007434154171883e-17);
    vec t_lo, t = K(v_two_product)(z, z_lo, q, q_lo, &t_lo);
    t = K(v_two_product)(t, t_lo, s, s_lo, &t_lo);
    vec sum_lo, sum = K(v_quick_sum)((REAL)2 * s, t, &sum_lo);
    return K(v_quick_sum)(sum, sum_lo + (t_lo + (REAL)2 * s_lo), lo);
}

/* k * (c_hi + c_lo) + (a + a_lo) */
V_INLINE vec K(v_add_exponent)(vec k, vec c_hi, vec c_lo, vec a, vec a_lo, vec *lo) {
    vec p_lo, p = K(v_two_product)(k, (vec){0}, c_hi, c_lo, &p_lo);
    vec s_lo, s = K(v_two_sum)(p, a, &s_lo);
    return K(v_quick_sum)(s, s_lo + (p_lo + a_lo), lo);
}

/* Logarithms to other bases go through two parts, so that those of exact powers are exact. */
V_INLINE vec v_log2(vec x) {
    vec k, lo, m = K(v_log_two)(K(v_split)(x, &k), &lo);
    m = K(v_two_product)(m, lo, v_set1((REAL)1.442695040888963387),
                         v_set1((REAL)2.035527374093103e-17), &lo);
    return K(v_log_edges)(x, (m + k) + ((m - ((m + k) - k)) + lo));
}

V_INLINE vec v_log10(vec x) {
    vec k, lo, m = K(v_log_two)(K(v_split)(x, &k), &lo);
    m = K(v_two_product)(m, lo, v_set1((REAL)0.43429448190325181667),
                         v_set1((REAL)1.0983196502167651e-17), &lo);
    m = K(v_add_exponent)(k, v_set1((REAL)0.30102999566398114251),
                          v_set1((REAL)5.270742310347265e-17), m, lo, &lo);
    return K(v_log_edges)(x, m + lo);
}

#endif
