/* What softmax, cross-entropy and logsumexp share: exponentials less the largest, of rows and of
 * columns, and tiles in which short rows stand side by side. Included after math_tpl.h.
 */
#ifdef REAL

/* rows up to this long may be transposed into tiles */
#define TILE_CLASSES 32
/* rows of columns whose exponentials are taken in together */
#define RISE_ROWS 8
/* so many tiles are made together: the constants of long loops leave the registers for a call */
#define STRIP_TILES 16
#define STRIP_VECTORS (2 * TILE_CLASSES)
#define STRIP_SIZE (STRIP_VECTORS * VL)

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

/* what is subtracted: an infinite maximum would make NaN of itself */
V_INLINE vec K(v_finite_or_zero)(vec x) { return v_select(x - x == (vec){0}, x, (vec){0}); }

/* exp(x - shift) for x up to shift; where the largest x is infinite, shift is 0, and 1 */
V_INLINE vec K(exp_shifted)(vec x, vec shift) { return K(exp_below)(v_min((vec){0}, x - shift)); }

/* Ask for what a few rows hold at p and below it, where a cache line begins. Asked for between two
 * steps of arithmetic, memory works beside it; a whole row at once it would have to wait for. */
V_INLINE void K(fetch_ahead)(const REAL *p, int64_t stride, int64_t rows) {
    if ((uintptr_t)p % PYAD_LINE_BYTES >= VECTOR_BYTES) return;
    for (int64_t i = 0; i < rows; i++) __builtin_prefetch(p + i * stride, 0, 2);
}

/* The same of one row, into the first cache: lines of a few rows might all be in one place of it. */
V_INLINE void K(fetch_line)(const REAL *p) {
    if ((uintptr_t)p % PYAD_LINE_BYTES < VECTOR_BYTES) __builtin_prefetch(p, 0, 3);
}

/* Ask for the cache line that will be written at p, if one begins there: a burst of stores would wait
 * for line after line. */
V_INLINE void K(claim_ahead)(const REAL *p) {
    if ((uintptr_t)p % PYAD_LINE_BYTES < VECTOR_BYTES) __builtin_prefetch(p, 1, 3);
}

/* Take in a few rows of n <= VL columns: the maximum rises, and what was summed below it shrinks. */
V_INLINE void K(columns_rise)(const REAL *x, int64_t stride, int64_t rows, int64_t n, REAL *max,
                                REAL *sum) {
    const vec before = v_load_n(max, n);
    vec top = before, other = before;
    for (int64_t i = 0; i < rows; i += 2) {
        top = v_max(v_load_n(x + i * stride, n), top);
        if (i + 1 < rows) other = v_max(v_load_n(x + (i + 1) * stride, n), other);
    }
    top = v_max(top, other);
    const vec shift = K(v_finite_or_zero)(top);
    vec even = v_load_n(sum, n) * K(exp_shifted)(before, shift), odd = {0};
    for (int64_t i = 0; i < rows; i += 2) {
        even += K(exp_shifted)(v_load_n(x + i * stride, n), shift);
        if (i + 1 < rows) odd += K(exp_shifted)(v_load_n(x + (i + 1) * stride, n), shift);
    }
    v_store_n(max, top, n);
    v_store_n(sum, even + odd, n);
}

/* The maximum of each column, and the sum of exponentials below it: row by row, a few at a time,
 * since many rows are in no cache and come in long pieces. */
V_INLINE void K(block_rise)(const REAL *x, int64_t stride, int64_t rows, int64_t columns,
                            REAL *max, REAL *sum) {
    for (int64_t c = 0; c < columns; c++) {
        max[c] = (REAL)-INFINITY;
        sum[c] = 0;
    }
    for (int64_t i = 0; i < rows; i += RISE_ROWS, x += RISE_ROWS * stride) {
        const int64_t some = pyad_min(RISE_ROWS, rows - i);
        const int64_t next = pyad_max(0, pyad_min(RISE_ROWS, rows - i - RISE_ROWS));
        int64_t c = 0;
        for (; some == RISE_ROWS && c + VL <= columns; c += VL) {
            K(fetch_ahead)(x + RISE_ROWS * stride + c, stride, next);
            K(columns_rise)(x + c, stride, RISE_ROWS, VL, max + c, sum + c);
        }
        for (; c < columns; c += VL) {
            K(columns_rise)(x + c, stride, some, pyad_min(VL, columns - c), max + c, sum + c);
        }
    }
}

/* 0, 1, ... */
V_INLINE mask K(lanes)(void) {
    mask lane;
    for (int64_t i = 0; i < VL; i++) lane[i] = (mask_item)i;
    return lane;
}

/* all ones in the first n lanes */
V_INLINE mask K(first_lanes)(int64_t n) { return K(lanes)() < (mask_item)n; }

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

/* lanes of a before `from`, of b from there on */
V_INLINE vec K(join_lanes)(vec a, vec b, const int from) {
    enum { lanes = VL };
    mask_item behind[lanes];
    mask m;
#pragma GCC unroll 16
    for (int l = 0; l < lanes; l++) behind[l] = l < from ? 0 : -1;
    memcpy(&m, behind, sizeof m);
    return v_select(m, b, a);
}

/* VL rows of n <= size: row i of each group of lanes beside the first. Reads VL elements more. */
V_INLINE void K(narrow_in)(const REAL *x, REAL *tile, int64_t n, const int size) {
    enum { lanes = VL };
    vec v[lanes];
#pragma GCC unroll 16
    for (int i = 0; i < size; i++) {
        v[i] = v_load(x + i * n);
#pragma GCC unroll 4
        for (int from = size; from < lanes; from += size) {
            v[i] = K(join_lanes)(v[i], v_load(x + (i + from) * n - from), from);
        }
    }
    K(v_transpose)(v, size);
#pragma GCC unroll 16
    for (int i = 0; i < size; i++) {
        if (i < n) v_store(tile + i * VL, v[i]);
    }
}

/* VL rows; reads up to VL elements more. */
V_INLINE void K(whole_in)(const REAL *x, REAL *tile, int64_t n) {
    enum { lanes = VL };
    if (n == 2) {
        K(split_pairs)(x, tile);
    } else if (n <= lanes / 4) {
        K(narrow_in)(x, tile, n, lanes / 4);
    } else if (n <= lanes / 2) {
        K(narrow_in)(x, tile, n, lanes / 2);
    } else {
        for (int64_t j = 0; j < n; j += lanes) {
            vec v[lanes];
#pragma GCC unroll 16
            for (int i = 0; i < lanes; i++) v[i] = v_load(x + i * n + j);
            K(v_transpose)(v, lanes);
#pragma GCC unroll 16
            for (int i = 0; i < lanes; i++) {
                if (j + i < n) v_store(tile + (j + i) * VL, v[i]);
            }
        }
    }
}

V_INLINE void K(part_in)(const REAL *x, REAL *tile, int64_t n, int64_t rows) {
    enum { lanes = VL };
    for (int64_t j = 0; j < n; j += lanes) {
        const int64_t width = pyad_min(lanes, n - j);
        vec v[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) v[i] = i < rows ? v_load_n(x + i * n + j, width) : (vec){0};
        K(v_transpose)(v, lanes);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) {
            if (i < width) v_store(tile + (j + i) * VL, v[i]);
        }
    }
}

/* rows of n elements to tiles, one behind the other; `readable` elements are at x */
static PYAD_ONCE void K(transpose_in)(const REAL *x, REAL *tiles, int64_t n, int64_t rows, int64_t readable) {
    for (int64_t r = 0; r < rows; r += VL) {
        if (rows - r >= VL && (r + VL) * n + VL <= readable) {
            K(whole_in)(x + r * n, tiles + r * n, n);
        } else {
            K(part_in)(x + r * n, tiles + r * n, n, pyad_min(VL, rows - r));
        }
    }
}

/* The columns from the last: a row's last vector may reach into the next row, which comes later. */
V_INLINE void K(tile_out)(const REAL *tile, REAL *y, int64_t n, int64_t rows) {
    enum { lanes = VL };
    for (int64_t j = (n - 1) / lanes * lanes; j >= 0; j -= lanes) {
        const int64_t width = pyad_min(lanes, n - j);
        vec v[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) v[i] = i < width ? v_load(tile + (j + i) * VL) : (vec){0};
        K(v_transpose)(v, lanes);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++) {
            if (i * n + j + lanes <= rows * n) {
                v_store(y + i * n + j, v[i]);
            } else if (i < rows) {
                v_store_n(y + i * n + j, v[i], width);
            }
        }
    }
}

static PYAD_ONCE void K(transpose_out)(const REAL *tiles, REAL *y, int64_t n, int64_t rows) {
    for (int64_t r = 0; r < rows; r += VL) {
        if (n == 2 && rows - r >= VL) {
            K(join_pairs)(tiles + r * n, y + r * n);
        } else {
            K(tile_out)(tiles + r * n, y + r * n, n, pyad_min(VL, rows - r));
        }
    }
}

/* how many rows of n elements are a strip */
static inline int64_t K(strip_rows)(int64_t n) { return pyad_min(STRIP_TILES, STRIP_VECTORS / n) * VL; }

/* Of VL short rows, which are n whole vectors as they lie: the row of each element. */
V_INLINE void K(rows_of_elements)(int64_t n, mask *row_of) {
    const vec share = v_set1((REAL)1) / v_set1((REAL)n);
    vec middle;
    for (int64_t i = 0; i < VL; i++) middle[i] = (REAL)i + (REAL)0.5;
    for (int64_t j = 0; j < n; j++, middle += v_set1((REAL)VL)) {
        row_of[j] = __builtin_convertvector(middle * share, mask);
    }
}

/* for each element what its row has */
V_INLINE vec K(of_rows)(vec each, mask row_of) { return V_SHUFFLE(each, row_of); }

/* ---- rows of one vector: what is found of VL of them meets in one, without a transposed tile ---- */

#if VECTOR_BYTES == 64
#define IS_VECTOR(n) ((n) == VL)
#else
#define IS_VECTOR(n) 0
#endif

/* Of a the lanes without `by` in their number, of b the others, each with the lane `by` before or
 * behind: the larger one, or the sum if `add`. */
V_INLINE vec K(lanes_meet)(vec a, vec b, const int by, const int add) {
    enum { lanes = VL };
    mask_item own[lanes], partner[lanes];
    mask from_own, from_partner;
#pragma GCC unroll 16
    for (int l = 0; l < lanes; l++) {
        own[l] = l & by ? lanes + l : l;
        partner[l] = own[l] ^ by;
    }
    memcpy(&from_own, own, sizeof own);
    memcpy(&from_partner, partner, sizeof partner);
    const vec x = V_SHUFFLE_TWO(a, b, from_own), y = V_SHUFFLE_TWO(a, b, from_partner);
    return add ? x + y : v_max(x, y);
}

/* lane i: the largest element, or the sum, of row i */
V_INLINE vec K(rows_meet)(const REAL *x, const int add) {
    enum { lanes = VL };
    vec v[lanes];
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++) v[i] = v_load(x + i * lanes);
#pragma GCC unroll 4
    for (int by = 1; by < lanes; by *= 2) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i += 2 * by) v[i] = K(lanes_meet)(v[i], v[i + by], by, add);
    }
    return v[0];
}

/* Of `units` times VL rows: the largest of each, exponentials below it, and their sums, those of a unit
 * `step` behind those of the one before; where a row is -inf and `masked`, below 0. One thing of all
 * units after the other: within a unit each waits for the last. Meanwhile asks for as much at `ahead`
 * and, if not NULL, `result`. e may be x. */
static PYAD_ONCE void K(vector_rows)(const REAL *x, REAL *e, int64_t units, const int masked, const REAL *ahead,
                         const REAL *result, REAL *largest, REAL *sum, int64_t step) {
    for (int64_t u = 0; u < units; u++) {
        vec top = K(rows_meet)(x + u * VL * VL, 0);
        if (masked) top = v_select(top == -V_INF, (vec){0}, top);
        v_store(largest + u * step, top);
    }
    for (int64_t r = 0; r < units * VL; r++) {
        K(fetch_line)(ahead + r * VL);
        if (result != NULL) K(claim_ahead)(result + r * VL);
        const vec top = v_set1(largest[r / VL * step + r % VL]);
        v_store(e + r * VL, K(exp_below)(v_load(x + r * VL) - top));
    }
    for (int64_t u = 0; u < units; u++) {
        v_store(sum + u * step, K(rows_meet)(e + u * VL * VL, 1));
    }
}

/* ---- rows: n >= VL contiguous elements ---- */

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

/* Ask for what is one row of n after p, or if rows are only read, two, for the second cache. */
V_INLINE void K(fetch_next)(const REAL *p, int64_t n, int only_read) {
    if (only_read) {
        __builtin_prefetch(p + 2 * n, 0, 2);
    } else {
        __builtin_prefetch(p + n, 0, 3);
    }
}

/* The sum of exp(x - largest), each of which is also stored in y if `keep`; else y, if not NULL, is
 * asked for. Meanwhile the next row is on its way, of which the largest will be looked for at memory's pace;
 * of rows that are only read, which take less time, the one after it. */
V_INLINE REAL K(row_exp)(const REAL *x, REAL largest, REAL *y, int keep, int64_t n) {
    vec a = {0}, b = {0}, shift = v_set1(largest);
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vec e = K(exp_below)(v_load(x + i) - shift);
        vec f = K(exp_below)(v_load(x + i + VL) - shift);
        K(fetch_next)(x + i, n, y == NULL);
        K(fetch_next)(x + i + VL, n, y == NULL);
        if (keep) v_store(y + i, e), v_store(y + i + VL, f);
        if (!keep && y != NULL) K(claim_ahead)(y + i), K(claim_ahead)(y + i + VL);
        a += e;
        b += f;
    }
    for (; i < n; i += VL) {
        int64_t width = pyad_min(VL, n - i);
        vec e = K(exp_below)(v_load_n(x + i, width) - shift);
        if (keep) v_store_n(y + i, e, width);
        if (!keep && y != NULL) K(claim_ahead)(y + i);
        a += v_select(K(first_lanes)(width), e, (vec){0});
    }
    return v_sum(a + b);
}

#endif
