/* Elementary functions on vectors, once for each float type.
 *
 * Include it at the top of a kernel template (it is empty for the integer types); v_exp(x) and its
 * kin then work on `vec`. Errors are below 2 ulp over the whole range; infinities, NaN, -0 and
 * subnormal numbers come out as IEEE 754 and C99 say. Each lane is computed for itself, without
 * tables, so the element of a tail equals that of a full vector. Branches on data are but for what is
 * seldom: huge arguments of sin, cos and tan, edges of pow, subnormal results of exp and its kin.
 *
 * Polynomials were interpolated at Chebyshev nodes in 60 digits; the comment beside each says of
 * what, on which range.
 */
#ifdef REAL

#if DTYPE == PYAD_FLOAT32
#define PICK(single, twice) single##f
#define BITS uint32_t
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#else
#define PICK(single, twice) twice
#define BITS uint64_t
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#endif

#define bits_vec K(bits_vec_t)
typedef BITS bits_vec __attribute__((vector_size(VECTOR_BYTES)));

#define V_INLINE static inline __attribute__((always_inline))

#define v_copysign K(v_copysign)
#define v_round K(v_round)
#define v_trunc K(v_trunc)
#define v_floor K(v_floor)
#define v_ceil K(v_ceil)
#define v_exp K(v_exp)
#define v_exp2 K(v_exp2)
#define v_expm1 K(v_expm1)
#define v_log K(v_log)
#define v_log1p K(v_log1p)
#define v_log2 K(v_log2)
#define v_log10 K(v_log10)
#define v_pow K(v_pow)
#define v_tanh K(v_tanh)
#define v_sigmoid K(v_sigmoid)
#define v_sin K(v_sin)
#define v_cos K(v_cos)
#define v_tan K(v_tan)
#define v_asin K(v_asin)
#define v_acos K(v_acos)
#define v_atan K(v_atan)
#define v_atan2 K(v_atan2)
#define v_sinh K(v_sinh)
#define v_cosh K(v_cosh)
#define v_asinh K(v_asinh)
#define v_acosh K(v_acosh)
#define v_atanh K(v_atanh)
#define v_erf K(v_erf)
#define v_erfc K(v_erfc)

#if DTYPE == PYAD_FLOAT32
#include "wide_math.h"
#endif

#define V_INF v_set1((REAL)INFINITY)
#define V_NAN v_set1((REAL)NAN)

/* c[0] + c[1] z + ... + c[n-1] z^(n-1) */
V_INLINE vec K(v_poly)(vec z, const REAL *c, int n) {
    vec p = v_set1(c[n - 1]);
#pragma GCC unroll 32
    for (int i = n - 2; i >= 0; i--) p = v_fma(p, z, v_set1(c[i]));
    return p;
}
#define v_poly(z, c) K(v_poly)(z, c, (int)(sizeof(c) / sizeof((c)[0])))

/* ---- signs, rounding, exponents ---- */

/* the size of a with the sign of b */
V_INLINE vec v_copysign(vec a, vec b) {
    const mask sign = (mask)v_set1((REAL)-0.0);
    return (vec)(((mask)a & ~sign) | ((mask)b & sign));
}

/* Adding this makes the sum's lowest bit 1: the processor rounds to an integer, halves to even, and
 * the integer stands in the low bits. For |x| < 2^(MANTISSA_BITS - 1). */
#define ROUNDER PICK(12582912.0, 6755399441055744.0)

V_INLINE vec K(v_round_small)(vec x, mask *n) {
    vec shifted = x + v_set1(ROUNDER);
    *n = (mask)shifted - (mask)v_set1(ROUNDER);
    return shifted - v_set1(ROUNDER);
}

V_INLINE vec K(v_of_int)(mask n) {
    return (vec)(n + (mask)v_set1(ROUNDER)) - v_set1(ROUNDER);
}

V_INLINE vec v_round(vec x) {
    vec whole = v_set1(PICK(8388608.0, 4503599627370496.0)); /* from here on all are integers */
    vec r = (v_abs(x) + whole) - whole;
    return v_select(v_abs(x) < whole, v_copysign(r, x), x);
}

V_INLINE vec v_floor(vec x) {
    vec r = v_round(x);
    return v_select(r > x, r - (REAL)1, r);
}

V_INLINE vec v_ceil(vec x) {
    vec r = v_round(x);
    return v_copysign(v_select(r < x, r + (REAL)1, r), x);
}

V_INLINE vec v_trunc(vec x) {
    return v_copysign(v_floor(v_abs(x)), x);
}

/* x * 2^n in two steps, so that subnormal results are rounded once and overflow is infinite */
V_INLINE vec K(v_scale)(vec x, mask n) {
#if VECTOR_BYTES == 64
    return v_times_power(x, __builtin_convertvector(n, vec));
#else
    mask half = n >> 1, bias = (mask){0} + EXPONENT_BIAS;
    vec a = (vec)((half + bias) << MANTISSA_BITS);
    vec b = (vec)((n - half + bias) << MANTISSA_BITS);
    return x * a * b;
#endif
}

/* x = m * 2^k with m in [sqrt(1/2), sqrt(2)); x finite and positive */
V_INLINE vec K(v_split)(vec x, vec *k) {
    const mask one = (mask)v_set1((REAL)1), low = (mask)v_set1(PICK(0.70710677, 0.70710678118654752));
    mask tiny = x < v_set1(PICK(1.17549435e-38, 2.2250738585072014e-308));
    x = v_select(tiny, x * v_set1(PICK(33554432.0, 18014398509481984.0)), x);
    mask shifted = (mask)x + (one - low);
    mask exponent = (mask)((bits_vec)shifted >> MANTISSA_BITS) - EXPONENT_BIAS;
    *k = K(v_of_int)(exponent - (tiny & (MANTISSA_BITS + 2)));
    return (vec)((shifted & ((((mask){0} + 1) << MANTISSA_BITS) - 1)) + low);
}

/* ---- sums and products of two parts: hi + lo, |lo| at most half an ulp of hi ---- */

/* what the rounding of a * b = product has lost */
V_INLINE vec K(v_product_error)(vec a, vec b, vec product) {
#if VECTOR_BYTES >= 32 || defined(__aarch64__)
    return v_fma(a, b, -product);
#else
    /* Dekker: halves of 12 (27) bits, whose products are exact */
    const REAL splitter = PICK(4097.0, 134217729.0);
    vec ca = a * splitter, cb = b * splitter;
    vec ah = ca - (ca - a), bh = cb - (cb - b);
    vec al = a - ah, bl = b - bh;
    return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#endif
}

/* a + b for |a| >= |b| */
V_INLINE vec K(v_quick_sum)(vec a, vec b, vec *lo) {
    vec hi = a + b;
    *lo = b - (hi - a);
    return hi;
}

V_INLINE vec K(v_two_sum)(vec a, vec b, vec *lo) {
    vec hi = a + b, part = hi - a;
    *lo = (a - (hi - part)) + (b - part);
    return hi;
}

/* (ah + al) * (bh + bl) */
V_INLINE vec K(v_two_product)(vec ah, vec al, vec bh, vec bl, vec *lo) {
    vec hi = ah * bh;
    vec rest = v_fma(ah, bl, v_fma(al, bh, K(v_product_error)(ah, bh, hi)));
    return K(v_quick_sum)(hi, rest, lo);
}

/* ---- exp ---- */

#define LN2_HI v_set1(PICK(0.693145751953125, 6.93147180369123816490e-01)) /* n * LN2_HI is exact */
#define LN2_LO v_set1(PICK(1.428606765330187045e-06, 1.90821492927058770002e-10))

/* exp(x) is 0 below EXP_NOTHING, a normal number from EXP_LOWEST on, infinite above EXP_MOST */
#define EXP_NOTHING v_set1(PICK(-105.0, -747.0))
#define EXP_LOWEST v_set1(PICK(-87.0, -708.0))
#define EXP_MOST v_set1(PICK(90.0, 711.0))

/* x = n ln 2 + r, |r| <= ln(2) / 2; returns exp(r) - 1 - r */
V_INLINE vec K(v_exp_reduce)(vec x, vec x_lo, vec *r, mask *n) {
    /* (exp(r) - 1 - r) / r^2 */
    static const REAL c[] = {
#if DTYPE == PYAD_FLOAT32
        0.5f, 0.1666657685f, 0.04166655444f, 0.008363202972f, 0.001392621347f
#else
        0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332611205,
        0.00138888888888837318, 0.000198412698749012592, 2.48015873256053228e-05,
        2.75572552979696444e-6, 2.75572735701021397e-7, 2.51052595384484934e-8,
        2.0914717341716376e-9
#endif
    };
    vec k = K(v_round_small)(x * v_set1(PICK(1.44269504, 1.44269504088896341)), n);
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
#define V_SELDOM static __attribute__((noinline, cold, unused))

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
    static const REAL c[] = { /* exp(r) for |r| <= ln(2) / 2 */
#if DTYPE == PYAD_FLOAT32
        1.0f, 1.0f, 0.5f, 0.1666657685f, 0.04166655444f, 0.008363202972f, 0.001392621347f
#else
        1, 1, 0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332611205,
        0.00138888888888837318, 0.000198412698749012592, 2.48015873256053228e-05,
        2.75572552979696444e-6, 2.75572735701021397e-7, 2.51052595384484934e-8,
        2.0914717341716376e-9
#endif
    };
    const vec log2e = v_set1(PICK(1.44269504, 1.44269504088896341));
    vec k = v_fma(x, log2e, v_set1(ROUNDER)) - v_set1(ROUNDER);
    vec r = v_fma(k, -LN2_LO, v_fma(k, -LN2_HI, x));
    return v_times_power(v_poly(r, c), k);
#else
    mask n;
    vec r, tail = K(v_exp_reduce)(x, (vec){0}, &r, &n);
    return ((r + tail) + (REAL)1) * (vec)((n + EXPONENT_BIAS) << MANTISSA_BITS);
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

/* 2^x for x from PICK(-151, -1076) to PICK(129, 1025) */
V_INLINE vec K(v_exp2_inside)(vec x) {
    mask n, zero;
    vec rest = (x - K(v_round_small)(x, &n)) * v_set1(PICK(0.69314718, 0.69314718055994531));
    vec r, tail = K(v_exp_reduce)(rest, (vec){0}, &r, &zero);
    return K(v_scale)((r + tail) + (REAL)1, n + zero);
}

#define EXP2_LOWEST v_set1(PICK(-126.0, -1022.0))

/* as v_exp_low */
V_SELDOM vec K(v_exp2_low)(vec x) {
    mask low = x < EXP2_LOWEST, deep = low & (x > v_set1(PICK(-151.0, -1076.0)));
    vec power = v_select(low, (vec){0}, K(v_exp2_inside)(v_max(EXP2_LOWEST, x)));
    if (!v_any(deep)) return power;
    return v_select(deep, K(v_exp2_inside)(v_select(deep, x, (vec){0})), power);
}

V_INLINE vec v_exp2(vec x) {
    x = v_min(v_set1(PICK(129.0, 1025.0)), x);
    return v_any_less(x, EXP2_LOWEST) ? K(v_exp2_low)(x) : K(v_exp2_inside)(x);
}

/* exp(x) - 1 for x no less than where it is -1 */
V_INLINE vec K(v_expm1_clamped)(vec x) {
    mask n;
    vec r, tail = K(v_exp_reduce)(x, (vec){0}, &r, &n);
    vec half = (vec)((n + (EXPONENT_BIAS - 1)) << MANTISSA_BITS); /* 2^n / 2 */
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

/* ---- log ---- */

/* log(1 + f) + k ln 2 + c, 1 + f in [sqrt(1/2), sqrt(2)), c tiny; after FreeBSD's e_log.c */
V_INLINE vec K(v_log_core)(vec f, vec k, vec c) {
    /* (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2 */
    static const REAL coefficients[] = {
#if DTYPE == PYAD_FLOAT32
        0.6666666655f, 0.4000012258f, 0.2855073636f, 0.2333276296f
#else
        0.666666666666666973, 0.399999999998982728, 0.285714286265336159, 0.222222110437768582,
        0.18182895750119194, 0.153315016111453277, 0.146191661348879714
#endif
    };
    vec s = f / (f + (REAL)2), z = s * s, half = (REAL)0.5 * f * f;
    vec r = z * v_poly(z, coefficients);
    vec tail = v_fma(k, LN2_LO, c);
    return v_fma(k, LN2_HI, f - (half - v_fma(s, half + r, tail)));
}

/* The logarithm's values outside (0, inf): of 0, negative numbers, infinity, NaN. */
V_INLINE vec K(v_log_edges)(vec x, vec result) {
    result = v_select(x < V_INF, result, x);
    return v_select(x > (vec){0}, result, v_select(x == (vec){0}, -V_INF, V_NAN));
}

V_INLINE vec v_log(vec x) {
    vec k, m = K(v_split)(x, &k);
    return K(v_log_edges)(x, K(v_log_core)(m - (REAL)1, k, (vec){0}));
}

V_INLINE vec v_log1p(vec x) {
    vec u = x + (REAL)1, k, m = K(v_split)(u, &k);
    /* what u has lost of 1 + x, relative to u */
    vec lost = v_select(x < v_set1((REAL)1), x - (u - (REAL)1), (REAL)1 - (u - x)) / u;
    mask near = k == (vec){0};
    vec r = K(v_log_core)(v_select(near, x, m - (REAL)1), k, v_select(near, (vec){0}, lost));
    return v_select(x == (vec){0}, x, K(v_log_edges)(u, r));
}

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
    return K(v_log_core)(f, v_select(near, (vec){0}, v_set1((REAL)1)), (vec){0});
#endif
}

#if DTYPE == PYAD_FLOAT32

/* log2(x) * scale: those of exact powers are exact */
V_INLINE vec K(v_log_to_base)(vec x, double scale) {
    vec_t_f64 halves[2];
    v_widen_both(x, halves);
    for (int i = 0; i < 2; i++) halves[i] = wide_log2(halves[i]) * scale;
    return K(v_log_edges)(x, v_narrow_both(halves));
}

V_INLINE vec v_log2(vec x) { return K(v_log_to_base)(x, 1.0); }
V_INLINE vec v_log10(vec x) { return K(v_log_to_base)(x, 0.30102999566398119521); }

#else

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

/* ---- pow ---- */

#if DTYPE == PYAD_FLOAT32
/* |x|^y for finite x != 0 */
V_INLINE vec K(v_pow_core)(vec x, vec y) {
    vec_t_f64 base[2], power[2];
    v_widen_both(v_abs(x), base);
    v_widen_both(y, power);
    for (int i = 0; i < 2; i++) {
        /* beyond it float32 has no number; NaN is taken for one */
        const vec_t_f64 largest = WIDE_OF(200.0);
        vec_t_f64 e = power[i] * wide_log2(base[i]);
        e = v_min_f64(v_max_f64(e, -largest), largest);
        base[i] = wide_exp2(e);
    }
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

/* C99's pow, with its values at the edges */
V_INLINE vec v_pow(vec x, vec y) {
    const vec zero = {0}, one = v_set1((REAL)1);
    vec r = K(v_pow_core)(x, y);
    if (!v_any(~((x > zero) & (x < V_INF) & (v_abs(y) < V_INF)))) return r;
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

/* ---- sin, cos, tan ---- */

/* The part of x beyond multiples of pi/2, for any finite x above 2^11; Payne and Hanek. */
static inline double K(reduce_huge)(double x, int64_t *quadrant) {
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

#if DTYPE == PYAD_FLOAT32

/* x = n pi/2 + r, |r| <= pi/4: r of both halves, n in the low bits of turns */
V_INLINE void K(v_reduce_pi)(vec x, vec_t_f64 *r, mask_t_f64 *turns) {
    v_widen_both(x, r);
    for (int i = 0; i < 2; i++) r[i] = wide_reduce_pi(r[i], &turns[i]);
    mask huge = v_abs(x) > v_set1(WIDE_FAR);
    if (!v_any(huge)) return;
    for (int64_t i = 0; i < VL; i++) {
        if (!huge[i] || !(v_abs(x)[i] < INFINITY)) continue;
        int64_t quadrant, half = i / (VL / 2), lane = i % (VL / 2);
        double exact = K(reduce_huge)(fabs((double)x[i]), &quadrant);
        r[half][lane] = x[i] < 0 ? -exact : exact;
        turns[half][lane] = x[i] < 0 ? -quadrant : quadrant;
    }
}

/* sin(x + quarters * pi/2) */
V_INLINE vec K(v_sin_turned)(vec x, const int quarters) {
    vec_t_f64 r[2];
    mask_t_f64 turns[2];
    K(v_reduce_pi)(x, r, turns);
    for (int i = 0; i < 2; i++) r[i] = wide_sin_of(r[i], turns[i] + quarters);
    return v_narrow_both(r);
}

V_INLINE vec v_sin(vec x) { return K(v_sin_turned)(x, 0); }
V_INLINE vec v_cos(vec x) { return K(v_sin_turned)(x, 1); }

V_INLINE vec v_tan(vec x) {
    vec_t_f64 r[2];
    mask_t_f64 turns[2];
    K(v_reduce_pi)(x, r, turns);
    for (int i = 0; i < 2; i++) r[i] = wide_tan_of(r[i], turns[i]);
    return v_narrow_both(r);
}

#else

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
            double exact = K(reduce_huge)((double)size[i], &quadrant);
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

#endif

/* ---- the inverses of sin, cos, tan ---- */

#define PI_2 v_set1(PICK(1.57079637, 1.57079632679489656)) /* pi / 2 = PI_2 + PI_2_LO */
#define PI_2_LO v_set1(PICK(-4.37113883e-08, 6.12323399573676604e-17))

/* atan(top / bottom) for top, bottom >= 0; both may be infinite */
V_INLINE vec K(v_atan_ratio)(vec top, vec bottom) {
    static const REAL c[] = { /* (atan(t) - t) / t^3 in t^2, t <= tan(pi / 8) */
#if DTYPE == PYAD_FLOAT32
        -0.3333333328f, 0.1999997715f, -0.1428414555f, 0.1107126042f, -0.08623896475f,
        0.05046127665f
#else
        -0.333333333333333333, 0.199999999999999914, -0.142857142857114906, 0.111111111107514802,
        -0.0909090906681603225, 0.0769230672919319039, -0.0666664186909335772,
        0.058819230555636607, -0.0525802026732843714, 0.0471925915424817081,
        -0.041038874096164619, 0.0306229923766462276, -0.013905371321083136
#endif
    };
    const vec zero = {0}, one = v_set1((REAL)1);
    mask steep = top > bottom, equal = top == bottom;
    vec t = v_select(steep, bottom, top) / v_select(steep, top, bottom);
    t = v_select(equal, v_select(top == zero, zero, one), t);
    mask far = t > v_set1(PICK(0.41421357, 0.41421356237309503));
    vec near = v_select(far, (t - one) / (t + one), t), z = near * near;
    vec r = near * z * v_poly(z, c);
    /* pi/4 - ... or pi/2 - ...: the constant's own rounding is added to the small part */
    vec base = v_select(far, (REAL)0.5 * PI_2, zero), low = v_select(far, (REAL)0.5 * PI_2_LO, zero);
    base = v_select(steep, PI_2 - base, base);
    low = v_select(steep, PI_2_LO - low, low);
    near = v_select(steep, -near, near);
    r = v_select(steep, -r, r);
    return base + (near + (r + low));
}

V_INLINE vec v_atan(vec x) {
    return v_copysign(K(v_atan_ratio)(v_abs(x), v_set1((REAL)1)), x);
}

V_INLINE vec v_atan2(vec y, vec x) {
    vec a = K(v_atan_ratio)(v_abs(y), v_abs(x));
    a = v_select((mask)x < 0, (REAL)2 * PI_2 - (a - (REAL)2 * PI_2_LO), a);
    return v_select(v_isnan(x) | v_isnan(y), V_NAN, v_copysign(a, y));
}

/* asin(x) - x for 0 <= x <= 1/2 */
V_INLINE vec K(v_asin_bend)(vec x) {
    static const REAL c[] = { /* (asin(x) - x) / x^3 in x^2 */
#if DTYPE == PYAD_FLOAT32
        0.1666666634f, 0.07500094761f, 0.04459931916f, 0.03110172783f, 0.01714371682f,
        0.03370072632f
#else
        0.166666666666666678, 0.0749999999999842426, 0.0446428571463733809, 0.0303819441370852143,
        0.0223721730020055974, 0.0173523912659092279, 0.0139712353011245391,
        0.0114789526902573867, 0.010324318288744112, 0.00545087818772054995,
        0.0174193579648848572, -0.0148814093928180666, 0.0287784426125930408
#endif
    };
    vec z = x * x;
    return x * z * v_poly(z, c);
}

V_INLINE vec v_asin(vec x) {
    vec size = v_abs(x);
    mask far = size > v_set1((REAL)0.5);
    vec half = (REAL)0.5 * ((REAL)1 - size);
    vec t = v_select(far, v_sqrt(half), size), bend = K(v_asin_bend)(t);
    /* the root's rounding, doubled, would show beside pi / 2 */
    vec lost = (half - t * t - K(v_product_error)(t, t, t * t)) / (t + t);
    lost = v_select(far & (t > (vec){0}), lost, (vec){0});
    vec down = PI_2 - ((REAL)2 * t - (PI_2_LO - (REAL)2 * (bend + lost)));
    return v_copysign(v_select(far, down, t + bend), x);
}

V_INLINE vec v_acos(vec x) {
    vec size = v_abs(x);
    mask far = size > v_set1((REAL)0.5), below = x < (vec){0};
    vec half = (REAL)0.5 * ((REAL)1 - size);
    vec t = v_select(far, v_sqrt(half), size), bend = K(v_asin_bend)(t);
    vec lost = (half - t * t - K(v_product_error)(t, t, t * t)) / (t + t);
    lost = v_select(far & (t > (vec){0}), lost, (vec){0});
    vec up = (REAL)2 * (t + (bend + lost));
    up = v_select(below, (REAL)2 * PI_2 - (up - (REAL)2 * PI_2_LO), up);
    vec around = v_copysign(t + bend, x);
    return v_select(far, up, PI_2 - (around - PI_2_LO));
}

/* ---- hyperbolic functions and their inverses ---- */

V_INLINE vec v_sinh(vec x) {
    vec size = v_abs(x), half = v_exp((REAL)0.5 * size);
    vec e = K(v_expm1_clamped)(v_min(v_set1(PICK(88.0, 709.0)), size));
    vec near = (REAL)0.5 * (e + e / (e + (REAL)1));
    return v_copysign(v_select(size < v_set1(PICK(88.0, 709.0)), near, (REAL)0.5 * half * half), x);
}

V_INLINE vec v_cosh(vec x) {
    vec size = v_abs(x), half = v_exp((REAL)0.5 * size), e = v_exp(size);
    vec near = (REAL)0.5 * e + (REAL)0.5 / e;
    return v_select(size < v_set1(PICK(88.0, 709.0)), near, (REAL)0.5 * half * half);
}

V_INLINE vec v_asinh(vec x) {
    vec size = v_abs(x), root = v_sqrt(v_fma(size, size, v_set1((REAL)1)));
    vec near = v_log1p(size + size * size / ((REAL)1 + root));
    vec far = v_log(size) + v_set1(PICK(0.693147181, 0.69314718055994531));
    return v_copysign(v_select(size < v_set1(PICK(1e10, 1e20)), near, far), x);
}

V_INLINE vec v_acosh(vec x) {
    vec t = x - (REAL)1;
    vec near = v_log1p(t + v_sqrt(v_fma(t, t, t + t)));
    vec far = v_log(x) + v_set1(PICK(0.693147181, 0.69314718055994531));
    vec r = v_select(x < v_set1(PICK(1e10, 1e20)), near, far);
    return v_select(x < v_set1((REAL)1), V_NAN, r);
}

V_INLINE vec v_atanh(vec x) {
    vec size = v_abs(x);
    return v_copysign((REAL)0.5 * v_log1p((REAL)2 * size / ((REAL)1 - size)), x);
}

/* ---- erf ---- */

/* erf(x) for |x| <= 1 */
V_INLINE vec K(v_erf_near)(vec x) {
    static const REAL c[] = { /* (erf(x) - x) / x in x^2 */
#if DTYPE == PYAD_FLOAT32
        0.1283791671f, -0.3761263847f, 0.112837825f, -0.02686543073f, 0.005221031808f,
        -0.0008484080406f, 0.0001126595903f, -9.667044571e-06f
#else
        0.128379167095512574, -0.376126389031837481, 0.112837916709548787, -0.0268661706450767932,
        0.00522397762481801447, -0.000854832698083378991, 0.000120553311116427109,
        -1.49255952668311816e-05, 1.6461000484121368e-6, -1.6350312701054695e-7,
        1.46597752740474358e-8, -1.13728488567916737e-9, 5.9571761477489114e-11
#endif
    };
    return v_fma(x, v_poly(x * x, c), x);
}

#define ERFC_CENTRE PICK(3.0, 4.0)

/* (x + ERFC_CENTRE) exp(x^2) erfc(x) for x >= 0, q = (x - ERFC_CENTRE) / (x + ERFC_CENTRE) */
V_INLINE vec K(v_erfcx)(vec q) {
    static const REAL c[] = {
#if DTYPE == PYAD_FLOAT32
        1.074006907f, -0.883394489f, 0.59022838f, -0.3104659436f, 0.1195280075f,
        -0.02684067132f, -0.001222069767f, 0.00308496267f, -0.0004881189083f,
        -0.0003333167845f, -2.561555966e-6f
#else
        1.09599566100049112, -0.976548729080882118, 0.773208702265237572,
        -0.540853831313220872, 0.330851587877981438, -0.17401093724042113,
        0.0763815149100318655, -0.0263700533325929501, 0.00611205564745776921,
        -0.000280958933892321649, -0.000455052633198246682, 0.000176813186765502479,
        -3.63534756167025691e-6, -1.88621427131436086e-05, 4.69474772989832074e-6,
        1.42691651756483413e-6, -8.46477784235610347e-7, -7.91534367129434235e-8,
        1.2410344017656976e-7, 3.55524037689998153e-9, -1.52276206956191315e-8,
        -7.09886238936470182e-10, 8.85272972688154021e-10
#endif
    };
    return v_poly(q, c);
}

/* exp(x^2) erfc(x) with one division, to 2 ulp more */
V_INLINE vec K(v_erfcx_quick)(vec x) {
    vec u = v_set1((REAL)1) / (x + ERFC_CENTRE);
    return K(v_erfcx)((x - ERFC_CENTRE) * u) * u;
}

/* the normal distribution up to x, accurate where it is small; *bell is exp(-x^2 / 2) */
V_INLINE vec K(v_normal)(vec x, vec *bell) {
    vec size = v_min(v_set1(PICK(14.5, 38.7)), v_abs(x));
    vec square = (REAL)-0.5 * size * size;
    /* beside the 1 of a positive x no subnormal one counts */
    *bell = K(exp_tail_where)(square, v_select(x < (vec){0}, square, (vec){0}));
    vec tail = (REAL)0.5 * *bell * K(v_erfcx_quick)(size * PICK(0.707106781, 0.70710678118654752));
    return v_select(x < (vec){0}, tail, (REAL)1 - tail);
}

V_INLINE vec v_erf(vec x) {
    vec size = v_min(v_set1(PICK(4.0, 6.0)), v_abs(x));
    vec far = v_fma(-K(exp_tail)(-size * size), K(v_erfcx_quick)(size), v_set1((REAL)1));
    return v_copysign(v_select(size < v_set1((REAL)1), K(v_erf_near)(size), far), x);
}

V_INLINE vec v_erfc(vec x) {
    vec size = v_min(v_set1(PICK(10.24, 27.3)), v_abs(x)), square = size * size;
    vec lost = K(v_product_error)(size, size, square);
    vec g = K(v_erfcx)((size - ERFC_CENTRE) / (size + ERFC_CENTRE)) / (size + ERFC_CENTRE);
    /* beyond the results are subnormal and then 0: as v_exp_subnormal */
    mask deep = size > v_set1(PICK(9.19, 26.5));
    vec far = K(v_exp_times)(v_select(deep, (vec){0}, -square), -lost, g);
    far = v_select(deep, (vec){0}, far);
    if (v_any(deep & (x > (vec){0}) & (x < v_set1(PICK(10.06, 27.23))))) {
        far = v_select(deep, K(v_exp_times)(-square, -lost, g), far);
    }
    far = v_select(x < (vec){0}, (REAL)2 - far, far);
    return v_select(size < v_set1((REAL)0.65), (REAL)1 - K(v_erf_near)(x), far);
}

#undef ERFC_CENTRE
#undef ROUNDER
#undef LN2_HI
#undef LN2_LO
#undef PI_2
#undef PI_2_LO
#undef BITS
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef PICK
#endif
