/* What the functions of float32 that cancel compute in doubles: pow, whose logarithm needs eight bits
 * more than its result, and the distance of sin, cos and tan from a multiple of pi/2. Twice as many
 * vectors take less time than float32 in two parts. Included by math_tpl.h.
 */
#ifndef PYAD_WIDE_MATH
#define PYAD_WIDE_MATH

typedef uint64_t wide_bits __attribute__((vector_size(VECTOR_BYTES)));

#define WIDE_OF(x) ((x) - (vec_t_f64){0})
/* adding it rounds to an integer, which then stands in the low bits */
#define WIDE_ROUNDER 6755399441055744.0

V_INLINE vec_t_f64 wide_poly(vec_t_f64 z, const double *c, int n) {
    vec_t_f64 p = WIDE_OF(c[n - 1]);
#pragma GCC unroll 16
    for (int i = n - 2; i >= 0; i--) p = v_fma_f64(p, z, WIDE_OF(c[i]));
    return p;
}
#define wide_poly(z, c) wide_poly(z, c, (int)(sizeof(c) / sizeof((c)[0])))

/* The same of an odd number of coefficients, even and odd powers apart: two short chains of operations
 * that wait for each other in place of a long one. */
V_INLINE vec_t_f64 wide_long_poly(vec_t_f64 z, const double *c, int n) {
    vec_t_f64 square = z * z, even = WIDE_OF(c[n - 1]), odd = WIDE_OF(c[n - 2]);
#pragma GCC unroll 16
    for (int i = n - 3; i > 0; i -= 2) {
        even = v_fma_f64(even, square, WIDE_OF(c[i]));
        odd = v_fma_f64(odd, square, WIDE_OF(c[i - 1]));
    }
    return v_fma_f64(odd, z, v_fma_f64(even, square, WIDE_OF(c[0])));
}
#define wide_long_poly(z, c) wide_long_poly(z, c, (int)(sizeof(c) / sizeof((c)[0])))

/* log2(x) to 35 bits; x positive and normal */
V_INLINE vec_t_f64 wide_log2(vec_t_f64 x) {
    static const double c[] = { /* log2(1 + f) / f, 1 + f in [sqrt(1/2), sqrt(2)] */
        1.4426950408708794, -0.7213475209631551, 0.4808983601762459, -0.3606736553159396,
        0.28853739437873954, -0.24045433696411997, 0.20617283226751987, -0.1802710257711494,
        0.15878356832510718, -0.14349039375280995, 0.14495052999815844, -0.1414478821058739,
        0.07553790398013412};
    const mask_t_f64 one = (mask_t_f64)WIDE_OF(1.0), low = (mask_t_f64)WIDE_OF(0.70710678118654752);
    const mask_t_f64 fraction = (mask_t_f64){0} + 0xfffffffffffff;
    mask_t_f64 shifted = (mask_t_f64)x + (one - low);
    mask_t_f64 exponent = (mask_t_f64)((wide_bits)shifted >> 52) - 1023;
    vec_t_f64 k = (vec_t_f64)(exponent + (mask_t_f64)WIDE_OF(WIDE_ROUNDER)) - WIDE_ROUNDER;
    vec_t_f64 f = (vec_t_f64)((shifted & fraction) + low) - 1.0;
    return v_fma_f64(f, wide_long_poly(f, c), k);
}

/* 2^x to 28 bits, for |x| < 1000 */
V_INLINE vec_t_f64 wide_exp2(vec_t_f64 x) {
    static const double c[] = { /* 2^f, |f| <= 1/2 */
        1.0, 0.6931472067028326, 0.24022650922288757, 0.05550327226670302,
        0.009618056678524637, 0.0013400428177615838, 0.0001546144469856913};
    vec_t_f64 shifted = x + WIDE_ROUNDER;
    vec_t_f64 p = wide_long_poly(x - (shifted - WIDE_ROUNDER), c);
    return (vec_t_f64)((mask_t_f64)p + ((mask_t_f64)shifted << 52));
}

/* x = n pi/2 + r, |r| <= pi/4, for |x| up to WIDE_FAR; n stands in the low bits of *turns */
#define WIDE_FAR 1048576.0f
V_INLINE vec_t_f64 wide_reduce_pi(vec_t_f64 x, mask_t_f64 *turns) {
    vec_t_f64 shifted = v_fma_f64(x, WIDE_OF(0.63661977236758134), WIDE_OF(WIDE_ROUNDER));
    vec_t_f64 n = shifted - WIDE_ROUNDER;
    *turns = (mask_t_f64)shifted;
    /* n times each part of pi/2 but the last is exact */
    x = v_fma_f64(-n, WIDE_OF(1.57079632673412561417e+00), x);
    x = v_fma_f64(-n, WIDE_OF(6.07710050630396597660e-11), x);
    return v_fma_f64(-n, WIDE_OF(2.02226624879595063154e-21), x);
}

V_INLINE vec_t_f64 wide_sin_quarter(vec_t_f64 r) {
    static const double c[] = { /* (sin(r) - r) / r^3 in r^2, |r| <= pi/4 */
        -0.1666666666385529, 0.008333331874710208, -0.00019840086735384846, 2.724992580305979e-06};
    vec_t_f64 z = r * r;
    return v_fma_f64(z, wide_poly(z, c), WIDE_OF(1.0)) * r;
}

V_INLINE vec_t_f64 wide_cos_quarter(vec_t_f64 r) {
    static const double c[] = { /* (cos(r) - 1) / r^2 in r^2, |r| <= pi/4 */
        -0.49999999969119313, 0.04166665064451703, -0.0013887589155600576, 2.4463788293265746e-05};
    vec_t_f64 z = r * r;
    return v_fma_f64(z, wide_poly(z, c), WIDE_OF(1.0));
}

V_INLINE vec_t_f64 wide_select(mask_t_f64 m, vec_t_f64 a, vec_t_f64 b) {
    return (vec_t_f64)((m & (mask_t_f64)a) | (~m & (mask_t_f64)b));
}

/* sin of a number `turns` quarters and r from 0 */
V_INLINE vec_t_f64 wide_sin_of(vec_t_f64 r, mask_t_f64 turns) {
    vec_t_f64 s = wide_select((turns & 1) != 0, wide_cos_quarter(r), wide_sin_quarter(r));
    return (vec_t_f64)((mask_t_f64)s ^ ((mask_t_f64)((wide_bits)turns >> 1) << 63));
}

V_INLINE vec_t_f64 wide_tan_of(vec_t_f64 r, mask_t_f64 turns) {
    vec_t_f64 s = wide_sin_quarter(r), c = wide_cos_quarter(r);
    mask_t_f64 turned = (turns & 1) != 0;
    return wide_select(turned, -c, s) / wide_select(turned, s, c);
}

#endif
