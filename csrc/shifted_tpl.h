/* What softmax and cross-entropy share: exp of shifted logits, and tiles of short rows. Included
 * after math_tpl.h.
 */
#ifdef REAL

/* rows up to this long are transposed into tiles */
#define TILE_CLASSES 32
#define TILE_SIZE (TILE_CLASSES * VECTOR_BYTES / sizeof(REAL))

/* exp(x) for x <= 0, as logits less the largest are: no overflow, and what would be subnormal is 0.
 * NaN passes. */
V_INLINE vec K(exp_below)(vec x) {
#if DTYPE == PYAD_FLOAT32
    const REAL least = -87;
    const int bias = 127, shift = 23;
#else
    const REAL least = -708;
    const int bias = 1023, shift = 52;
#endif
    const vec lowest = v_set1(least);
    mask n;
    vec r, tail = K(v_exp_reduce)(v_max(lowest, x), (vec){0}, &r, &n);
    vec power = (vec)((n + bias) << shift);
    return v_select(x < lowest, (vec){0}, ((r + tail) + (REAL)1) * power);
}

V_INLINE vec K(take)(const REAL *p, int64_t width, int full) {
    return full ? v_load(p) : v_load_n(p, width);
}

V_INLINE void K(put)(REAL *p, vec a, int64_t width, int full) {
    if (full) {
        v_store(p, a);
    } else {
        v_store_n(p, a, width);
    }
}

/* all ones in the first n lanes */
V_INLINE mask K(first_lanes)(int64_t n) {
    mask m = {0};
    for (int64_t i = 0; i < VL; i++) m[i] = i < n ? -1 : 0;
    return m;
}

/* ---- tiles: element j of up to VL rows of length n is at tile[j * VL ...] ---- */

/* two classes: the even and the odd elements; loops of a fixed length become shuffles */
V_INLINE void K(split_pairs)(const REAL *restrict x, REAL *restrict tile) {
    for (int64_t i = 0; i < VL; i++) {
        tile[i] = x[2 * i];
        tile[VL + i] = x[2 * i + 1];
    }
}

V_INLINE void K(join_pairs)(const REAL *restrict tile, REAL *restrict y) {
    for (int64_t i = 0; i < VL; i++) {
        y[2 * i] = tile[i];
        y[2 * i + 1] = tile[VL + i];
    }
}

static void K(transpose_in)(const REAL *x, REAL *tile, int64_t n, int64_t rows) {
    if (n == 2 && rows == VL) {
        K(split_pairs)(x, tile);
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < VL; i++) tile[j * VL + i] = i < rows ? x[i * n + j] : (REAL)0;
    }
}

static void K(transpose_out)(const REAL *tile, REAL *y, int64_t n, int64_t rows) {
    if (n == 2 && rows == VL) {
        K(join_pairs)(tile, y);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) y[i * n + j] = tile[j * VL + i];
    }
}

/* ---- rows: n contiguous elements, n > TILE_CLASSES >= VL ---- */

V_INLINE REAL K(row_max)(const REAL *x, int64_t n) {
    vec a = v_load(x), b = a;
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        a = v_max(a, v_load(x + i));
        b = v_max(b, v_load(x + i + VL));
    }
    for (; i + VL <= n; i += VL) a = v_max(a, v_load(x + i));
    /* the last vector may overlap the one before */
    return v_hmax(v_max(v_max(a, b), v_load(x + n - VL)));
}

/* the sum of exp(x - largest), each of which is also stored in y if that is not NULL */
V_INLINE REAL K(row_exp)(const REAL *x, REAL largest, REAL *y, int64_t n) {
    vec a = {0}, b = {0}, shift = v_set1(largest);
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vec e = K(exp_below)(v_load(x + i) - shift);
        vec f = K(exp_below)(v_load(x + i + VL) - shift);
        if (y != NULL) v_store(y + i, e), v_store(y + i + VL, f);
        a += e;
        b += f;
    }
    for (; i < n; i += VL) {
        int64_t width = pyad_min(VL, n - i);
        vec e = K(exp_below)(v_load_n(x + i, width) - shift);
        if (y != NULL) v_store_n(y + i, e, width);
        a += v_select(K(first_lanes)(width), e, (vec){0});
    }
    return v_sum(a + b);
}

#endif
