/* What softmax and cross-entropy share: rows of shifted logits, and tiles of short rows. Included
 * after math_tpl.h.
 */
#ifdef REAL

/* large enough for a call */
#define TILE_CALL static __attribute__((noinline, unused)) void
/* rows up to this long are transposed into tiles */
#define TILE_CLASSES 32
/* rows of columns whose exponentials are taken in together */
#define RISE_ROWS 8
#define TILE_SIZE (TILE_CLASSES * VECTOR_BYTES / sizeof(REAL))

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

/* the largest of n rows at a distance of step */
V_INLINE vec K(columns_max)(const REAL *x, int64_t n, int64_t step, int64_t width, int full) {
    vec a = K(take)(x, width, full), b = a, c = a, d = a;
    int64_t j = 1;
    for (; j + 4 <= n; j += 4) {
        a = v_max(a, K(take)(x + j * step, width, full));
        b = v_max(b, K(take)(x + (j + 1) * step, width, full));
        c = v_max(c, K(take)(x + (j + 2) * step, width, full));
        d = v_max(d, K(take)(x + (j + 3) * step, width, full));
    }
    for (; j < n; j++) a = v_max(a, K(take)(x + j * step, width, full));
    return v_max(v_max(a, b), v_max(c, d));
}

/* exp(x - shift) for x up to shift; where the largest x is infinite, shift is 0, and 1 */
V_INLINE vec K(exp_shifted)(vec x, vec shift) { return K(exp_below)(v_min((vec){0}, x - shift)); }

/* Ask for what a few rows hold at p and below it, where a cache line begins. Asked for between two
 * steps of arithmetic, memory works beside it; a whole row at once it would have to wait for. */
V_INLINE void K(fetch_ahead)(const REAL *p, int64_t stride, int64_t rows) {
    if ((uintptr_t)p % 64 >= VECTOR_BYTES) return;
    for (int64_t i = 0; i < rows; i++) __builtin_prefetch(p + i * stride, 0, 2);
}

/* Take in a few rows of n <= VL columns: the maximum rises, and what was summed below it shrinks. */
V_INLINE void K(columns_rise)(const REAL *x, int64_t stride, int64_t rows, int64_t n, REAL *max,
                                REAL *sum) {
    const vec before = v_load_n(max, n);
    vec top = before;
    for (int64_t i = 0; i < rows; i++) top = v_max(v_load_n(x + i * stride, n), top);
    const vec shift = v_select(top - top == (vec){0}, top, (vec){0});
    vec even = v_load_n(sum, n) * K(exp_shifted)(before, shift), odd = {0};
    for (int64_t i = 0; i < rows; i += 2) {
        even += K(exp_shifted)(v_load_n(x + i * stride, n), shift);
        if (i + 1 < rows) odd += K(exp_shifted)(v_load_n(x + (i + 1) * stride, n), shift);
    }
    v_store_n(max, top, n);
    v_store_n(sum, even + odd, n);
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

/* Lane j of vector i becomes lane i of vector j: halves, quarters, ... of pairs change places. */
V_INLINE void K(transpose_square)(vec *v) {
    enum { lanes = VECTOR_BYTES / sizeof(REAL) };
#pragma GCC unroll 4
    for (int by = 1; by < lanes; by *= 2) {
        mask_item low[lanes], high[lanes];
        mask from_low, from_high;
#pragma GCC unroll 16
        for (int l = 0; l < lanes; l++) {
            low[l] = l & by ? lanes + l - by : l;
            high[l] = l & by ? lanes + l : l + by;
        }
        memcpy(&from_low, low, sizeof low);
        memcpy(&from_high, high, sizeof high);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) {
            if (i & by) continue;
            const vec a = v[i], b = v[i + by];
            v[i] = __builtin_shuffle(a, b, from_low);
            v[i + by] = __builtin_shuffle(a, b, from_high);
        }
    }
}

TILE_CALL K(transpose_in)(const REAL *x, REAL *tile, int64_t n, int64_t rows) {
    enum { lanes = VECTOR_BYTES / sizeof(REAL) };
    if (n == 2 && rows == VL) {
        K(split_pairs)(x, tile);
        return;
    }
    for (int64_t j = 0; j < n; j += lanes) {
        const int64_t width = pyad_min(lanes, n - j);
        vec v[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) v[i] = i < rows ? v_load_n(x + i * n + j, width) : (vec){0};
        K(transpose_square)(v);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) {
            if (i < width) v_store(tile + (j + i) * VL, v[i]);
        }
    }
}

TILE_CALL K(transpose_out)(const REAL *tile, REAL *y, int64_t n, int64_t rows) {
    enum { lanes = VECTOR_BYTES / sizeof(REAL) };
    if (n == 2 && rows == VL) {
        K(join_pairs)(tile, y);
        return;
    }
    for (int64_t j = 0; j < n; j += lanes) {
        const int64_t width = pyad_min(lanes, n - j);
        vec v[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) v[i] = i < width ? v_load(tile + (j + i) * VL) : (vec){0};
        K(transpose_square)(v);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) {
            if (i < rows) v_store_n(y + i * n + j, v[i], width);
        }
    }
}

/* Whether rows of n classes are whole vectors: then results that take few operations are made row by
 * row, which costs less than to turn a tile of them back. The bits are the same. */
static inline int K(fills_vectors)(int64_t n) { return n % VL == 0; }

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
