/* What norms of channels share. Sums for each channel over rows begin .. end-1, four rows at a time; then
 * y = max((x - mean) * scale + offset, low), row after row. Long passes ask for memory ahead (stream.h):
 * sums for the next four rows, the others for what lies `ahead` elements further, if that is not 0.
 *
 * Few channels fill no vector: so many of their rows count as one wide row that it is made of whole
 * vectors, with each channel's constants as often.
 */

/* ---- wide rows ---- */

#define WIDE_MOST (2 * VL * (VL > 4 ? VL : 4)) /* elements of a wide row, at most */

/* How many of the rows count as one; 1: each for itself. */
static inline int64_t K(wide_of)(int64_t rows, int64_t c) {
    if (c >= 2 * VL || (c >= VL && c % DL == 0)) return 1;
    int64_t together = pyad_max(1, VL / (c & -c));
    while (together * c < 4 * VL) together *= 2;
    return rows >= 8 * together ? together : 1;
}

/* the channels' constants for each of a wide row's rows */
static PYAD_SHARED const REAL *K(wide_constants)(REAL *to, const REAL *from, int64_t c, int64_t together) {
    moves_repeat((char *)to, (const char *)from, together, c * (int64_t)sizeof(REAL));
    return to;
}

/* a wide row's sums are added to the channels' */
static PYAD_SHARED void K(wide_collect)(const double *sums, int64_t c, int64_t together, double *to) {
    for (int64_t i = 0; i < together; i++) {
        for (int64_t j = 0; j < c; j++) to[j] += sums[i * c + j];
    }
}

/* four rows below p, while column j of them is read */
static inline void K(ask_for_rows)(const REAL *p, int64_t c, int64_t j) {
    const REAL *next = p + 4 * c + 4 * j;
    for (int64_t i = 0; i < 4 * DL; i += PYAD_LINE_BYTES / (int64_t)sizeof(REAL)) ask_to_read(next + i);
}

/* ---- sums ---- */

/* s[j] += x - shift, q[j] += (x - shift)^2 */
static PYAD_SHARED void K(sum_moments_of)(const REAL *restrict x, const REAL *restrict shift,
                                           int64_t begin, int64_t end, int64_t c, int far,
                                           double *restrict s, double *restrict q) {
    int64_t r = begin;
    for (; r + 4 <= end; r += 4) {
        const REAL *p0 = x + r * c, *p1 = p0 + c, *p2 = p1 + c, *p3 = p2 + c;
        int64_t j = 0;
        for (; j + DL <= c; j += DL) {
            if (far) K(ask_for_rows)(p0, c, j);
            const dvec base = v_widen(shift + j);
            const dvec d0 = v_widen(p0 + j) - base, d1 = v_widen(p1 + j) - base;
            const dvec d2 = v_widen(p2 + j) - base, d3 = v_widen(p3 + j) - base;
            dvec square = v_fma_f64(d1, d1, v_fma_f64(d0, d0, v_load_f64(q + j)));
            v_store_f64(s + j, v_load_f64(s + j) + ((d0 + d1) + (d2 + d3)));
            v_store_f64(q + j, v_fma_f64(d3, d3, v_fma_f64(d2, d2, square)));
        }
        for (; j < c; j++) {
            double base = (double)shift[j];
            double d0 = (double)p0[j] - base, d1 = (double)p1[j] - base;
            double d2 = (double)p2[j] - base, d3 = (double)p3[j] - base;
            s[j] += (d0 + d1) + (d2 + d3);
            q[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < end; r++) {
        const REAL *p = x + r * c;
        for (int64_t j = 0; j < c; j++) {
            double d = (double)p[j] - (double)shift[j];
            s[j] += d;
            q[j] += d * d;
        }
    }
}

static void K(sum_moments)(const REAL *x, const REAL *shift, int64_t begin, int64_t end, int64_t c,
                           int far, double *s, double *q) {
    const int64_t together = K(wide_of)(end - begin, c), rows = (end - begin) / together;
    if (together > 1) {
        REAL wide[WIDE_MOST];
        double sums[2][WIDE_MOST] = {{0}};
        K(sum_moments_of)(x + begin * c, K(wide_constants)(wide, shift, c, together), 0, rows,
                          c * together, far, sums[0], sums[1]);
        K(wide_collect)(sums[0], c, together, s);
        K(wide_collect)(sums[1], c, together, q);
        begin += rows * together;
    }
    K(sum_moments_of)(x, shift, begin, end, c, far, s, q);
}

/* s[j] += g, q[j] += g * (x - mean) */
static PYAD_SHARED void K(sum_slopes_of)(const REAL *restrict g, const REAL *restrict x,
                                          const double *restrict mean, int64_t begin, int64_t end,
                                          int64_t c, int far, double *restrict s,
                                          double *restrict q) {
    int64_t r = begin;
    for (; r + 4 <= end; r += 4) {
        const REAL *g0 = g + r * c, *g1 = g0 + c, *g2 = g1 + c, *g3 = g2 + c;
        const REAL *x0 = x + r * c, *x1 = x0 + c, *x2 = x1 + c, *x3 = x2 + c;
        int64_t j = 0;
        for (; j + DL <= c; j += DL) {
            if (far) K(ask_for_rows)(g0, c, j), K(ask_for_rows)(x0, c, j);
            const dvec base = v_load_f64(mean + j), a0 = v_widen(g0 + j), a1 = v_widen(g1 + j);
            const dvec a2 = v_widen(g2 + j), a3 = v_widen(g3 + j);
            dvec slope = v_fma_f64(a0, v_widen(x0 + j) - base, v_load_f64(q + j));
            slope = v_fma_f64(a1, v_widen(x1 + j) - base, slope);
            slope = v_fma_f64(a2, v_widen(x2 + j) - base, slope);
            v_store_f64(q + j, v_fma_f64(a3, v_widen(x3 + j) - base, slope));
            v_store_f64(s + j, v_load_f64(s + j) + ((a0 + a1) + (a2 + a3)));
        }
        for (; j < c; j++) {
            double a0 = (double)g0[j], a1 = (double)g1[j], a2 = (double)g2[j], a3 = (double)g3[j];
            double base = mean[j];
            s[j] += (a0 + a1) + (a2 + a3);
            q[j] += (a0 * ((double)x0[j] - base) + a1 * ((double)x1[j] - base)) +
                    (a2 * ((double)x2[j] - base) + a3 * ((double)x3[j] - base));
        }
    }
    for (; r < end; r++) {
        const REAL *gr = g + r * c, *xr = x + r * c;
        for (int64_t j = 0; j < c; j++) {
            double a = (double)gr[j];
            s[j] += a;
            q[j] += a * ((double)xr[j] - mean[j]);
        }
    }
}

static void K(sum_slopes)(const REAL *g, const REAL *x, const double *mean, int64_t begin,
                          int64_t end, int64_t c, int far, double *s, double *q) {
    const int64_t together = K(wide_of)(end - begin, c), rows = (end - begin) / together;
    if (together > 1) {
        double wide[WIDE_MOST], sums[2][WIDE_MOST] = {{0}};
        moves_repeat((char *)wide, (const char *)mean, together, c * (int64_t)sizeof(double));
        K(sum_slopes_of)(g + begin * c, x + begin * c, wide, 0, rows, c * together, far, sums[0],
                         sums[1]);
        K(wide_collect)(sums[0], c, together, s);
        K(wide_collect)(sums[1], c, together, q);
        begin += rows * together;
    }
    K(sum_slopes_of)(g, x, mean, begin, end, c, far, s, q);
}

/* ---- applying: y = max((x - mean) * scale + offset, low), for each channel ---- */

static PYAD_SHARED void K(apply_rows_of)(const REAL *restrict x, REAL *restrict y, int64_t begin,
                                          int64_t end, int64_t c, const REAL *restrict mean,
                                          const REAL *restrict scale, const REAL *restrict offset,
                                          REAL low, int64_t ahead) {
    const vec least = v_set1(low);
    for (int64_t r = begin; r < end; r++) {
        const REAL *p = x + r * c;
        REAL *out = y + r * c;
        int64_t j = 0;
        for (; j + VL <= c; j += VL) {
            if (ahead) ask_to_read(p + j + ahead), ask_to_write(out + j + ahead);
            vec d = v_load(p + j) - v_load(mean + j);
            v_store(out + j, v_max(least, v_fma(d, v_load(scale + j), v_load(offset + j))));
        }
        if (j < c) {
            vec d = v_load_n(p + j, c - j) - v_load_n(mean + j, c - j);
            vec o = v_fma(d, v_load_n(scale + j, c - j), v_load_n(offset + j, c - j));
            v_store_n(out + j, v_max(least, o), c - j);
        }
    }
}

static void K(apply_rows)(const REAL *x, REAL *y, int64_t begin, int64_t end, int64_t c,
                          const REAL *mean, const REAL *scale, const REAL *offset, REAL low,
                          int64_t ahead) {
    const int64_t n = K(wide_of)(end - begin, c), rows = (end - begin) / n;
    if (n > 1) {
        REAL wide[3][WIDE_MOST];
        K(apply_rows_of)(x + begin * c, y + begin * c, 0, rows, c * n,
                         K(wide_constants)(wide[0], mean, c, n),
                         K(wide_constants)(wide[1], scale, c, n),
                         K(wide_constants)(wide[2], offset, c, n), low, ahead);
        begin += rows * n;
    }
    K(apply_rows_of)(x, y, begin, end, c, mean, scale, offset, low, ahead);
}

/* The same for elements begin .. end-1 of channels that lie apart, in planes of `size` elements. */
static PYAD_SHARED void K(apply_planes)(const REAL *restrict x, REAL *restrict y, int64_t begin,
                                         int64_t end, int64_t size, int64_t c, const REAL *mean,
                                         const REAL *scale, const REAL *offset, REAL low,
                                         int64_t ahead) {
    const vec least = v_set1(low);
    for (int64_t i = begin; i < end;) {
        const int64_t j = i / size % c, stop = pyad_min(end, (i / size + 1) * size);
        const vec m = v_set1(mean[j]), s = v_set1(scale[j]), o = v_set1(offset[j]);
        for (; i + VL <= stop; i += VL) {
            if (ahead) ask_to_read(x + i + ahead), ask_to_write(y + i + ahead);
            v_store(y + i, v_max(least, v_fma(v_load(x + i) - m, s, o)));
        }
        if (i < stop) {
            vec d = v_load_n(x + i, stop - i) - m;
            v_store_n(y + i, v_max(least, v_fma(d, s, o)), stop - i);
            i = stop;
        }
    }
}

/* out = g where y = (x - mean) * scale + offset is above 0 or no number, else 0; y as apply_rows
 * computes it, to the bit */
static PYAD_SHARED void K(gate_rows_of)(const REAL *restrict g, const REAL *restrict x,
                                         REAL *restrict out, int64_t rows, int64_t c,
                                         const REAL *restrict mean, const REAL *restrict scale,
                                         const REAL *restrict offset, int far) {
    const vec zero = {0};
    int64_t r = 0, whole = c / VL * VL;
    for (; r + 4 <= rows; r += 4) {
        for (int64_t j = 0; j < whole; j += VL) {
            const vec m = v_load(mean + j), s = v_load(scale + j), o = v_load(offset + j);
            for (int64_t i = r * c + j; i < (r + 4) * c; i += c) {
                if (far) ask_to_read(x + i + 4 * c), ask_to_read(g + i + 4 * c);
                vec y = v_fma(v_load(x + i) - m, s, o);
                v_store(out + i, v_select(y <= zero, zero, v_load(g + i)));
            }
        }
    }
    for (int64_t i = 0; i < rows; i++, g += c, x += c, out += c) {
        int64_t j = i < r ? whole : 0;
        for (; j < whole; j += VL) {
            vec d = v_load(x + j) - v_load(mean + j);
            vec y = v_fma(d, v_load(scale + j), v_load(offset + j));
            v_store(out + j, v_select(y <= zero, zero, v_load(g + j)));
        }
        if (j < c) {
            int64_t n = c - j;
            vec d = v_load_n(x + j, n) - v_load_n(mean + j, n);
            vec y = v_fma(d, v_load_n(scale + j, n), v_load_n(offset + j, n));
            v_store_n(out + j, v_select(y <= zero, zero, v_load_n(g + j, n)), n);
        }
    }
}

static void K(gate_rows)(const REAL *g, const REAL *x, REAL *out, int64_t rows, int64_t c,
                         const REAL *mean, const REAL *scale, const REAL *offset, int far) {
    const int64_t n = K(wide_of)(rows, c), done = n > 1 ? rows / n * n : 0;
    if (n > 1) {
        REAL wide[3][WIDE_MOST];
        K(gate_rows_of)(g, x, out, rows / n, c * n, K(wide_constants)(wide[0], mean, c, n),
                        K(wide_constants)(wide[1], scale, c, n),
                        K(wide_constants)(wide[2], offset, c, n), far);
    }
    K(gate_rows_of)(g + done * c, x + done * c, out + done * c, rows - done, c, mean, scale, offset,
                    far);
}

/* dx = g * scale + (x - mean) * slope + offset, without slope g * scale alone, whatever x is; with
 * `gate`, g counts as in gate_rows, whose offset that is */
static PYAD_SHARED void K(apply_slopes_of)(const REAL *restrict g, const REAL *restrict x,
                                            REAL *restrict dx, int64_t begin, int64_t end,
                                            int64_t c, const REAL *restrict mean,
                                            const REAL *restrict scale, const REAL *restrict slope,
                                            const REAL *restrict offset, const REAL *restrict gate,
                                            int64_t ahead) {
    const vec zero = {0};
    for (int64_t r = begin; r < end; r++) {
        const REAL *gr = g + r * c, *xr = x + r * c;
        REAL *out = dx + r * c;
        for (int64_t j = 0; j < c; j += VL) {
            int64_t n = pyad_min(VL, c - j);
            if (ahead) {
                ask_to_read(gr + j + ahead), ask_to_read(xr + j + ahead);
                ask_to_write(out + j + ahead);
            }
            if (n == VL) {
                vec d = v_load(xr + j) - v_load(mean + j), s = v_load(scale + j), h = v_load(gr + j);
                if (gate != NULL) h = v_select(v_fma(d, s, v_load(gate + j)) <= zero, zero, h);
                if (slope == NULL) {
                    v_store(out + j, h * s);
                } else {
                    v_store(out + j, v_fma(h, s, v_fma(d, v_load(slope + j), v_load(offset + j))));
                }
            } else {
                vec d = v_load_n(xr + j, n) - v_load_n(mean + j, n), s = v_load_n(scale + j, n);
                vec h = v_load_n(gr + j, n);
                if (gate != NULL) h = v_select(v_fma(d, s, v_load_n(gate + j, n)) <= zero, zero, h);
                if (slope == NULL) {
                    v_store_n(out + j, h * s, n);
                } else {
                    vec o = v_load_n(offset + j, n);
                    v_store_n(out + j, v_fma(h, s, v_fma(d, v_load_n(slope + j, n), o)), n);
                }
            }
        }
    }
}

static void K(apply_slopes)(const REAL *g, const REAL *x, REAL *dx, int64_t begin, int64_t end,
                            int64_t c, const REAL *mean, const REAL *scale, const REAL *slope,
                            const REAL *offset, const REAL *gate, int64_t ahead) {
    const int64_t n = K(wide_of)(end - begin, c), rows = (end - begin) / n;
    if (n > 1) {
        REAL wide[5][WIDE_MOST];
        const REAL *each[5] = {mean, scale, slope, offset, gate};
        for (int i = 0; i < 5; i++) {
            if (each[i] != NULL) each[i] = K(wide_constants)(wide[i], each[i], c, n);
        }
        K(apply_slopes_of)(g + begin * c, x + begin * c, dx + begin * c, 0, rows, c * n, each[0],
                           each[1], each[2], each[3], each[4], ahead);
        begin += rows * n;
    }
    K(apply_slopes_of)(g, x, dx, begin, end, c, mean, scale, slope, offset, gate, ahead);
}

/* one channel's constants of apply_rows */
static inline void K(set_affine)(double mean, double rstd, const REAL *weight, const REAL *bias,
                                 int64_t j, REAL *mean_out, REAL *scale, REAL *offset) {
    double factor = weight != NULL ? rstd * (double)weight[j] : rstd;
    mean_out[j] = (REAL)mean;
    scale[j] = (REAL)factor;
    offset[j] = (REAL)((bias != NULL ? (double)bias[j] : 0.0) -
                       (mean - (double)mean_out[j]) * factor);
}

/* one channel's constants of apply_slopes, for dx = factor * (g - a - (x - mean) * b) */
static inline void K(set_slope)(double mean, double factor, double a, double b, int64_t j,
                                REAL *mean_out, REAL *scale, REAL *slope, REAL *offset) {
    mean_out[j] = (REAL)mean;
    scale[j] = (REAL)factor;
    slope[j] = (REAL)(-factor * b);
    offset[j] = (REAL)(-factor * a + factor * b * (mean - (double)mean_out[j]));
}
