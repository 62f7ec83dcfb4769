/* The maps between pixels, weights and points, along one axis of a tile; to map a tile, they go
 * along its rows and then its columns. Each takes vectors `from` apart to vectors `to` apart:
 * lanes are channels, or columns.
 */

/* The polynomials behind the maps are known at 0, +-NEAR, +-FAR and infinity. With the square roots
 * of 1/2 and 2 errors are a fifth of those with the usual 1 and 2. */
#ifndef WINOGRAD_NEAR
#define WINOGRAD_NEAR ((REAL)0.70710678118654752440)
#define WINOGRAD_FAR ((REAL)1.41421356237309504880)
#endif

/* B': six pixels to six points. */
GEMM_INLINE void K(winograd_window_line)(const vec *d, const int from, vec *v, const int to) {
    vec d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from];
    vec two = v_set1(2), half = v_set1((REAL)0.5), sum = v_set1((REAL)2.5);
    vec near_even = v_fma(-two, d2, d4), near_odd = v_set1(WINOGRAD_NEAR) * v_fma(-two, d1, d3);
    vec far_even = v_fma(-half, d2, d4), far_odd = v_set1(WINOGRAD_FAR) * v_fma(-half, d1, d3);
    v[0] = v_fma(-sum, d2, d[0] + d4);
    v[to] = near_even + near_odd;
    v[2 * to] = near_even - near_odd;
    v[3 * to] = far_even + far_odd;
    v[4 * to] = far_even - far_odd;
    v[5 * to] = v_fma(-sum, d3, d1 + d[5 * from]);
}

/* G: three weights to six points. */
GEMM_INLINE void K(winograd_weight_line)(const vec *g, const int from, vec *u, const int to) {
    vec g0 = g[0], g1 = g[from], g2 = g[2 * from];
    vec third = v_set1((REAL)(1.0 / 3)) * g2;
    vec near_even = v_fma(v_set1((REAL)(-2.0 / 3)), g0, -third);
    vec near_odd = v_set1(WINOGRAD_NEAR * (REAL)(-2.0 / 3)) * g1;
    vec far_even = v_fma(v_set1((REAL)(1.0 / 6)), g0, third);
    vec far_odd = v_set1(WINOGRAD_FAR / 6) * g1;
    u[0] = g0;
    u[to] = near_even + near_odd;
    u[2 * to] = near_even - near_odd;
    u[3 * to] = far_even + far_odd;
    u[4 * to] = far_even - far_odd;
    u[5 * to] = g2;
}

/* A': six points to four pixels. */
GEMM_INLINE void K(winograd_pixel_line)(const vec *m, const int from, vec *y, const int to) {
    vec m1 = m[from], m2 = m[2 * from], m3 = m[3 * from], m4 = m[4 * from];
    vec near_even = m1 + m2, near_odd = v_set1(WINOGRAD_NEAR) * (m1 - m2);
    vec far_even = m3 + m4, far_odd = v_set1(WINOGRAD_FAR) * (m3 - m4);
    vec two = v_set1(2), half = v_set1((REAL)0.5);
    y[0] = m[0] + near_even + far_even;
    y[to] = near_odd + far_odd;
    y[2 * to] = v_fma(two, far_even, half * near_even);
    y[3 * to] = v_fma(two, far_odd, v_fma(half, near_odd, m[5 * from]));
}

/* A: the gradients of four pixels to six points. */
GEMM_INLINE void K(winograd_gradient_line)(const vec *y, const int from, vec *w, const int to) {
    vec y0 = y[0], y1 = y[from], y2 = y[2 * from], y3 = y[3 * from];
    vec two = v_set1(2), half = v_set1((REAL)0.5);
    vec near_even = v_fma(half, y2, y0), near_odd = v_set1(WINOGRAD_NEAR) * v_fma(half, y3, y1);
    vec far_even = v_fma(two, y2, y0), far_odd = v_set1(WINOGRAD_FAR) * v_fma(two, y3, y1);
    w[0] = y0;
    w[to] = near_even + near_odd;
    w[2 * to] = near_even - near_odd;
    w[3 * to] = far_even + far_odd;
    w[4 * to] = far_even - far_odd;
    w[5 * to] = y3;
}

/* G': six points to the gradients of three weights. */
GEMM_INLINE void K(winograd_kernel_line)(const vec *s, const int from, vec *g, const int to) {
    vec s1 = s[from], s2 = s[2 * from], s3 = s[3 * from], s4 = s[4 * from];
    vec near_even = s1 + s2, far_even = s3 + s4;
    g[0] = v_fma(v_set1((REAL)(-2.0 / 3)), near_even,
                 v_fma(v_set1((REAL)(1.0 / 6)), far_even, s[0]));
    g[to] = v_fma(v_set1(WINOGRAD_NEAR * (REAL)(-2.0 / 3)), s1 - s2,
                  v_set1(WINOGRAD_FAR / 6) * (s3 - s4));
    g[2 * to] = v_fma(v_set1((REAL)(1.0 / 3)), far_even - near_even, s[5 * from]);
}
