/* What the elementary functions are made of: polynomials, signs, rounding, exponents, and numbers in
 * two parts.
 */

/* c[0] + c[1] z + ... + c[n-1] z^(n-1) */
V_INLINE vec K(v_poly)(vec z, const REAL *c, int n) {
    vec p = v_set1(c[n - 1]);
#pragma GCC unroll 32
    for (int i = n - 2; i >= 0; i--) p = v_fma(p, z, v_set1(c[i]));
    return p;
}
#define v_poly(z, c) K(v_poly)(z, c, (int)(sizeof(c) / sizeof((c)[0])))

/* The same of an odd number of coefficients, even and odd powers apart: two short chains of operations
 * that wait for each other in place of a long one. */
V_INLINE vec K(v_long_poly)(vec z, const REAL *c, int n) {
    vec square = z * z, even = v_set1(c[n - 1]), odd = v_set1(c[n - 2]);
#pragma GCC unroll 16
    for (int i = n - 3; i > 0; i -= 2) {
        even = v_fma(even, square, v_set1(c[i]));
        odd = v_fma(odd, square, v_set1(c[i - 1]));
    }
    return v_fma(odd, z, v_fma(even, square, v_set1(c[0])));
}
#define v_long_poly(z, c) K(v_long_poly)(z, c, (int)(sizeof(c) / sizeof((c)[0])))

/* ---- tables ---- */

#if VECTOR_BYTES == 64 && DTYPE == PYAD_FLOAT32
/* Entry index % 32 of a table: two registers hold it, and one instruction looks up all lanes, so short
 * polynomials in pieces take less time than a long one. Other instruction sets have no such thing. */
#define V_TABLES
V_INLINE vec v_entry(const REAL *table, mask index) {
    const vec low = v_load(table), high = v_load(table + VL);
    return (vec)_mm512_permutex2var_ps((__m512)low, (__m512i)index, (__m512)high);
}

/* entry index % 16 of a table in one register */
V_INLINE vec v_short_entry(const REAL *table, mask index) {
    return (vec)_mm512_permutexvar_ps((__m512i)index, (__m512)v_load(table));
}

/* c[0] + c[1] t + ... + c[n-1] t^(n-1), where each is a table */
V_INLINE vec v_piece(vec t, mask index, const REAL (*c)[32], int n) {
    vec p = v_entry(c[n - 1], index);
#pragma GCC unroll 32
    for (int i = n - 2; i >= 0; i--) p = v_fma(p, t, v_entry(c[i], index));
    return p;
}
#endif

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

/* 2^n for a normal result */
V_INLINE vec K(v_power_of_int)(mask n) {
    return (vec)((n + EXPONENT_BIAS) << MANTISSA_BITS);
}

V_INLINE vec K(v_power)(vec n) {
    return K(v_power_of_int)(__builtin_convertvector(n, mask));
}

/* x * 2^n in two steps, so that subnormal results are rounded once and overflow is infinite */
V_INLINE vec K(v_scale)(vec x, mask n) {
#if VECTOR_BYTES == 64
    return v_times_power(x, __builtin_convertvector(n, vec));
#else
    mask half = n >> 1;
    return x * K(v_power_of_int)(half) * K(v_power_of_int)(n - half);
#endif
}

/* x = m * 2^k with m in [low, 2 low); x normal and positive, low from 1/2 to 1 */
V_INLINE vec K(v_split_from)(vec x, REAL lowest, vec *k) {
    const mask one = (mask)v_set1((REAL)1), low = (mask)v_set1(lowest);
    mask shifted = (mask)x + (one - low);
    *k = K(v_of_int)((mask)((bits_vec)shifted >> MANTISSA_BITS) - EXPONENT_BIAS);
    return (vec)((shifted & ((((mask){0} + 1) << MANTISSA_BITS) - 1)) + low);
}

/* x = m * 2^k with m in [sqrt(1/2), sqrt(2)); x normal and positive */
V_INLINE vec K(v_split_normal)(vec x, vec *k) {
    return K(v_split_from)(x, PICK(0.70710677, 0.70710678118654752), k);
}

/* the same for subnormal x, too */
V_INLINE vec K(v_split)(vec x, vec *k) {
    const REAL up = PICK(33554432.0, 18014398509481984.0); /* 2^(MANTISSA_BITS + 2) */
    mask tiny = x < v_set1(PICK(1.17549435e-38, 2.2250738585072014e-308));
    vec m = K(v_split_normal)(v_select(tiny, x * v_set1(up), x), k);
    *k -= (vec)(tiny & (mask)v_set1((REAL)(MANTISSA_BITS + 2)));
    return m;
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
