/* The maps of F(2x2, 3x3), for tiles of 2 x 2 pixels: 16 points, and polynomials known at 0, +-1 and
 * infinity. 16 multiplications do the work of 36, not of 144; but weights at 16 points are sooner
 * mapped and read than at 36, which is more where a batch has few tiles.
 *
 * Each map goes along one axis and then the other, with all its vectors in registers.
 */

/* B' d B: the 4 x 4 pixels from d on, `line` and `pixel` apart, to points `step` apart. */
GEMM_INLINE void K(winograd_small_window)(const REAL *d, int64_t line, int64_t pixel, REAL *out,
                                          int64_t step) {
    vec v[4][4];
    GEMM_UNROLL for (int j = 0; j < 4; j++) {
        const REAL *at = d + j * pixel;
        vec d1 = v_load(at + line), d2 = v_load(at + 2 * line);
        v[0][j] = v_load(at) - d2;
        v[1][j] = d1 + d2;
        v[2][j] = d2 - d1;
        v[3][j] = d1 - v_load(at + 3 * line);
    }
    GEMM_UNROLL for (int i = 0; i < 4; i++, out += 4 * step) {
        v_store(out, v[i][0] - v[i][2]);
        v_store(out + step, v[i][1] + v[i][2]);
        v_store(out + 2 * step, v[i][2] - v[i][1]);
        v_store(out + 3 * step, v[i][1] - v[i][3]);
    }
}

/* G g G': 3 x 3 weights to points `step` apart. */
GEMM_INLINE void K(winograd_small_weight)(const vec *g, REAL *out, int64_t step) {
    const vec half = v_set1((REAL)0.5);
    vec u[4][3];
    GEMM_UNROLL for (int j = 0; j < 3; j++) {
        vec even = half * (g[j] + g[6 + j]), odd = half * g[3 + j];
        u[0][j] = g[j];
        u[1][j] = even + odd;
        u[2][j] = even - odd;
        u[3][j] = g[6 + j];
    }
    GEMM_UNROLL for (int i = 0; i < 4; i++, out += 4 * step) {
        vec even = half * (u[i][0] + u[i][2]), odd = half * u[i][1];
        v_store(out, u[i][0]);
        v_store(out + step, even + odd);
        v_store(out + 2 * step, even - odd);
        v_store(out + 3 * step, u[i][2]);
    }
}

/* A' m A: the sums at points `step` apart to 2 x 2 pixels. */
GEMM_INLINE void K(winograd_small_pixels)(const REAL *m, int64_t step, vec *y) {
    vec half[2][4];
    GEMM_UNROLL for (int j = 0; j < 4; j++) {
        const REAL *at = m + j * step;
        vec m1 = v_load(at + 4 * step), m2 = v_load(at + 8 * step);
        half[0][j] = v_load(at) + m1 + m2;
        half[1][j] = m1 - m2 - v_load(at + 12 * step);
    }
    GEMM_UNROLL for (int i = 0; i < 2; i++) {
        y[2 * i] = half[i][0] + half[i][1] + half[i][2];
        y[2 * i + 1] = half[i][1] - half[i][2] - half[i][3];
    }
}
