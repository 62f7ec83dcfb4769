/* Softmax and log-softmax along any axis of a dense array, and their gradients.
 *
 * Memory is [outer][n][inner] (axis.h). The loop orders:
 *   inner > 1          columns: VL neighbours of `inner` at a time, down the n rows; of many rows,
 *                      blocks of columns row by row
 *   inner = 1, n = 2   pairs: each element and its partner are in one vector
 *   inner = 1, n = VL  rows of one vector (AVX-512): VL of them have their sums in one vector
 *   inner = 1, small n tiles: VL rows are transposed into a buffer and summed up as columns, since
 *                      a row alone would not fill a vector and end in a sum across its lanes;
 *                      what takes few operations is then done to the rows as they lie
 *   inner = 1          rows: along n
 * Each goes over its data three times (largest, sum, result), which stay in the cache. Every column
 * and row is computed for itself, so the split among threads changes nothing.
 */
#include "loops/axis.h"
#include "math/math_tpl.h"
#include "math/shifted_tpl.h"

#ifdef REAL

#ifndef PYAD_SOFTMAX_KINDS
#define PYAD_SOFTMAX_KINDS
enum { SOFTMAX, LOG_SOFTMAX, MASKED_SOFTMAX, SOFTMAX_BWD, LOG_SOFTMAX_BWD };
#endif

/* elements of rows whose logarithms are taken together: they stay in the first cache */
#define ROWS_TOGETHER 1024

#define IS_BWD(kind) ((kind) >= SOFTMAX_BWD)

/* ---- columns: element j of column i is at a[j * step + i] ---- */

/* the sums of exponentials, each of which is also stored in y but for the logarithm; meanwhile asks
 * for what will be read at `ahead` and written at `result`, if these are not NULL */
V_INLINE vec K(columns_exp)(int kind, const REAL *x, REAL *y, int64_t n, int64_t step,
                            int64_t width, int full, vec largest, const REAL *ahead,
                            const REAL *result) {
    vec sum = {0}, more = {0};
    for (int64_t j = 0; j < n; j++) {
        if (ahead != NULL) K(fetch_line)(ahead + j * VL);
        if (result != NULL) K(claim_ahead)(result + j * VL);
        vec e = K(exp_below)(K(take)(x + j * step, width, full) - largest);
        if (kind != LOG_SOFTMAX) K(put)(y + j * step, e, width, full);
        /* two sums, each of which waits for itself alone */
        vec next = more + e;
        more = sum;
        sum = next;
    }
    return sum + more;
}

V_INLINE void K(columns_fwd)(int kind, const REAL *x, REAL *y, int64_t n, int64_t step,
                             int64_t width, int full) {
    vec largest = K(columns_max)(x, n, step, width, full);
    /* a row whose entries are all masked */
    if (kind == MASKED_SOFTMAX) largest = v_select(largest == -V_INF, (vec){0}, largest);
    const vec sum = K(columns_exp)(kind, x, y, n, step, width, full, largest, NULL, NULL);
    vec scale = v_set1((REAL)1) / sum, shift = v_log(sum);
    if (kind == MASKED_SOFTMAX) scale = v_select(sum == (vec){0}, (vec){0}, scale);
    for (int64_t j = 0; j < n; j++) {
        vec out = kind == LOG_SOFTMAX ? (K(take)(x + j * step, width, full) - largest) - shift
                                      : K(take)(y + j * step, width, full) * scale;
        K(put)(y + j * step, out, width, full);
    }
}

/* what an element adds to the sum of its line: g, or g times the output at y */
V_INLINE vec K(add_slope)(int kind, vec sum, vec g, const REAL *y, int64_t width, int full) {
    return kind == LOG_SOFTMAX_BWD ? sum + g : v_fma(g, K(take)(y, width, full), sum);
}

/* g at a, the output at y; dx may be a */
V_INLINE void K(put_slope)(int kind, const REAL *a, const REAL *y, vec sum, REAL *dx, int64_t width,
                           int full) {
    const vec g = K(take)(a, width, full), out = K(take)(y, width, full);
    K(put)(dx, kind == LOG_SOFTMAX_BWD ? v_fma(-K(exp_below)(out), sum, g) : out * (g - sum), width,
           full);
}

V_INLINE vec K(columns_total)(int kind, const REAL *a, const REAL *y, int64_t n, int64_t step,
                              int64_t width, int full) {
    vec sum = {0};
    for (int64_t j = 0; j < n; j++) {
        const vec g = K(take)(a + j * step, width, full);
        sum = K(add_slope)(kind, sum, g, y + j * step, width, full);
    }
    return sum;
}

V_INLINE void K(columns_bwd)(int kind, const REAL *a, const REAL *y, REAL *dx, int64_t n,
                             int64_t step, int64_t width, int full) {
    const vec sum = K(columns_total)(kind, a, y, n, step, width, full);
    for (int64_t j = 0; j < n; j++) {
        K(put_slope)(kind, a + j * step, y + j * step, sum, dx + j * step, width, full);
    }
}

V_INLINE void K(columns)(int kind, const REAL *a, const REAL *b, REAL *out, int64_t n, int64_t step,
                         int64_t width, int full) {
    if (IS_BWD(kind)) {
        K(columns_bwd)(kind, a, b, out, n, step, width, full);
    } else {
        K(columns_fwd)(kind, a, out, n, step, width, full);
    }
}

/* ---- blocks of columns, row by row: many rows are in no cache, and come in long pieces ---- */

#define BLOCK_COLUMNS (64 * LINE)

/* a few columns of one row; `last` is a factor or, for the logarithm, what is subtracted */
V_INLINE void K(block_result)(int kind, const REAL *x, const REAL *largest, const REAL *last,
                              REAL *y, int64_t width, int full) {
    const vec d = K(take)(x, width, full) - K(take)(largest, width, full);
    const vec s = K(take)(last, width, full);
    K(put)(y, kind == LOG_SOFTMAX ? d - s : K(exp_below)(d) * s, width, full);
}

/* Twice over the data: the largest and the sum of exponentials below it, then the result. */
V_INLINE void K(block_fwd)(int kind, const REAL *x, REAL *y, int64_t n, int64_t step,
                           int64_t width) {
    REAL largest[BLOCK_COLUMNS], sum[BLOCK_COLUMNS];
    K(block_rise)(x, step, n, width, largest, sum);
    for (int64_t i = 0; i < width; i += VL) {
        const int64_t lanes = pyad_min(VL, width - i);
        vec top = v_load_n(largest + i, lanes);
        /* of an infinite logit nothing is known */
        const vec total = v_select(top == V_INF, V_NAN, v_load_n(sum + i, lanes));
        vec factor = v_set1((REAL)1) / total;
        if (kind == MASKED_SOFTMAX) {
            top = v_select(top == -V_INF, (vec){0}, top);
            factor = v_select(total == (vec){0}, (vec){0}, factor);
        }
        v_store_n(largest + i, top, lanes);
        v_store_n(sum + i, kind == LOG_SOFTMAX ? v_log(total) : factor, lanes);
    }
    for (int64_t j = 0; j < n; j++, x += step, y += step) {
        const int64_t next = j + RISE_ROWS < n;
        int64_t i = 0;
        for (; i + VL <= width; i += VL) {
            K(fetch_ahead)(x + RISE_ROWS * step + i, step, next);
            K(fetch_ahead)(y + RISE_ROWS * step + i, step, next);
            K(block_result)(kind, x + i, largest + i, sum + i, y + i, VL, 1);
        }
        if (i < width) K(block_result)(kind, x + i, largest + i, sum + i, y + i, width - i, 0);
    }
}

/* as columns_bwd: a few columns of one row */
V_INLINE void K(block_total)(int kind, const REAL *g, const REAL *y, REAL *sum, int64_t width,
                             int full) {
    const vec each = K(take)(g, width, full), s = K(take)(sum, width, full);
    K(put)(sum, K(add_slope)(kind, s, each, y, width, full), width, full);
}

V_INLINE void K(block_bwd)(int kind, const REAL *a, const REAL *y, REAL *dx, int64_t n,
                           int64_t step, int64_t width) {
    REAL sum[BLOCK_COLUMNS] = {0};
    for (int64_t j = 0; j < n; j++, a += step, y += step) {
        const int64_t next = j + RISE_ROWS < n;
        int64_t i = 0;
        for (; i + VL <= width; i += VL) {
            K(fetch_ahead)(a + RISE_ROWS * step + i, step, next);
            if (kind != LOG_SOFTMAX_BWD) K(fetch_ahead)(y + RISE_ROWS * step + i, step, next);
            K(block_total)(kind, a + i, y + i, sum + i, VL, 1);
        }
        if (i < width) K(block_total)(kind, a + i, y + i, sum + i, width - i, 0);
    }
    a -= n * step;
    y -= n * step;
    for (int64_t j = 0; j < n; j++, a += step, y += step, dx += step) {
        const int64_t next = j + RISE_ROWS < n;
        int64_t i = 0;
        for (; i + VL <= width; i += VL) {
            K(fetch_ahead)(a + RISE_ROWS * step + i, step, next);
            K(fetch_ahead)(y + RISE_ROWS * step + i, step, next);
            K(fetch_ahead)(dx + RISE_ROWS * step + i, step, next);
            K(put_slope)(kind, a + i, y + i, v_load(sum + i), dx + i, VL, 1);
        }
        if (i < width) {
            const vec total = v_load_n(sum + i, width - i);
            K(put_slope)(kind, a + i, y + i, total, dx + i, width - i, 0);
        }
    }
}

V_INLINE void K(softmax_blocks)(int kind, const REAL *a, const REAL *b, REAL *out, axis_view v,
                                const team *t) {
    int64_t width = axis_columns(t, v.outer, v.inner, BLOCK_COLUMNS, LINE);
    int64_t blocks = pyad_ceil_div(v.inner, width), begin, end;
    team_range(t, v.outer * blocks, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t column = u % blocks * width, now = pyad_min(width, v.inner - column);
        int64_t at = u / blocks * v.n * v.inner + column;
        if (IS_BWD(kind)) {
            K(block_bwd)(kind, a + at, b + at, out + at, v.n, v.inner, now);
        } else {
            K(block_fwd)(kind, a + at, out + at, v.n, v.inner, now);
        }
    }
}

/* ---- which short rows are taken in tiles: those that take longer one by one ---- */

/* whole vectors from here on: to turn a tile back costs more than sums across lanes */
#define SOFTMAX_WHOLE (2 * VL)
/* to the last: the logarithms of many rows are one, and nothing is turned back */
#define LOG_SOFTMAX_TILES TILE_CLASSES
/* gradients: to transpose products for their sums pays while a vector holds a few rows; of the
 * logarithm there is less to transpose, and an exponential for each vector, be it full or not */
#define SOFTMAX_BWD_TILES (VL / 4)
#define LOG_SOFTMAX_BWD_TILES (VL / 2)

static inline int K(in_tiles)(int kind, int64_t n) {
    if (kind == LOG_SOFTMAX) return n <= LOG_SOFTMAX_TILES;
    if (kind == SOFTMAX_BWD) return n <= SOFTMAX_BWD_TILES;
    if (kind == LOG_SOFTMAX_BWD) return n <= LOG_SOFTMAX_BWD_TILES;
    return n <= TILE_CLASSES && (n < SOFTMAX_WHOLE || n % VL != 0);
}

/* ---- strips of short rows: sums from transposed tiles, results where a row's elements lie ---- */

/* the gradient of one row */
V_INLINE void K(row_slopes)(int kind, const REAL *g, const REAL *y, REAL *dx, int64_t n, vec sum) {
    for (int64_t i = 0; i < n; i += VL) {
        int64_t width = pyad_min(VL, n - i);
        K(put_slope)(kind, g + i, y + i, sum, dx + i, width, width == VL);
    }
}

/* of each row of a strip: the largest element and its factor or, for the logarithm, shift */
typedef struct {
    vec largest[STRIP_TILES], last[STRIP_TILES];
} K(strip_stats);

/* Exponentials stay in the tiles if these are to be turned back. */
static PYAD_ONCE void K(strip_sums)(int kind, REAL *tiles, int64_t n, int64_t rows, int keep,
                        const REAL *ahead, const REAL *result, K(strip_stats) *s) {
    for (int64_t r = 0; r < rows; r += VL, tiles += VL * n, ahead += VL * n, result += VL * n) {
        vec largest = K(columns_max)(tiles, n, VL, VL, 1), sum;
        /* a row whose entries are all masked */
        if (kind == MASKED_SOFTMAX) largest = v_select(largest == -V_INF, (vec){0}, largest);
        if (keep) {
            sum = K(columns_exp)(SOFTMAX, tiles, tiles, n, VL, VL, 1, largest, ahead, result);
        } else {
            sum = K(columns_exp)(LOG_SOFTMAX, tiles, NULL, n, VL, VL, 1, largest, ahead, result);
        }
        s->largest[r / VL] = largest;
        vec scale = v_set1((REAL)1) / sum;
        if (kind == MASKED_SOFTMAX) scale = v_select(sum == (vec){0}, (vec){0}, scale);
        s->last[r / VL] = kind == LOG_SOFTMAX ? v_log(sum) : scale;
    }
}

static PYAD_ONCE void K(strip_scale)(REAL *tiles, int64_t n, int64_t rows, const K(strip_stats) *s) {
    for (int64_t r = 0; r < rows; r += VL, tiles += VL * n) {
        const vec scale = s->last[r / VL];
        for (int64_t i = 0; i < VL * n; i += VL) v_store(tiles + i, v_load(tiles + i) * scale);
    }
}

static PYAD_ONCE void K(flat_results)(int kind, const REAL *x, REAL *y, int64_t n, int64_t rows,
                          const mask *row_of, const K(strip_stats) *s) {
    for (int64_t r = 0; r < rows; r += VL) {
        const vec largest = s->largest[r / VL], last = s->last[r / VL];
        const int64_t begin = r * n, end = pyad_min(VL, rows - r) * n;
        for (int64_t i = 0; i < end; i += VL) {
            const int64_t width = pyad_min(VL, end - i);
            const mask row = row_of[i / VL];
            const vec d = K(take)(x + begin + i, width, width == VL) - K(of_rows)(largest, row);
            const vec each = K(of_rows)(last, row);
            const vec result = kind == LOG_SOFTMAX ? d - each : K(exp_below)(d) * each;
            K(put)(y + begin + i, result, width, width == VL);
        }
    }
}

/* Whether exponentials are turned back; of narrow rows they are rather taken again. */
static inline int K(are_turned)(int kind, int64_t n) {
    return (kind == SOFTMAX || kind == MASKED_SOFTMAX) && n > VL / 2;
}

V_INLINE void K(strip_fwd)(int kind, const REAL *x, REAL *y, int64_t n, int64_t rows,
                           int64_t readable, const mask *row_of) {
    REAL tiles[STRIP_SIZE];
    K(strip_stats) stats;
    const int turned = K(are_turned)(kind, n);
    K(transpose_in)(x, tiles, n, rows, readable);
    K(strip_sums)(kind, tiles, n, rows, turned, x + rows * n, y, &stats);
    if (turned) {
        K(strip_scale)(tiles, n, rows, &stats);
        K(transpose_out)(tiles, y, n, rows);
    } else {
        K(flat_results)(kind, x, y, n, rows, row_of, &stats);
    }
}

static PYAD_ONCE void K(flat_slopes)(int kind, const REAL *g, const REAL *y, REAL *dx, int64_t n, int64_t rows,
                         const mask *row_of, const REAL *tiles) {
    for (int64_t r = 0; r < rows; r += VL, tiles += VL * n) {
        vec sum = {0};
        for (int64_t j = 0; j < n; j++) sum += v_load(tiles + j * VL);
        const int64_t begin = r * n, end = begin + pyad_min(VL, rows - r) * n;
        for (int64_t i = begin; i < end; i += VL) {
            const int64_t width = pyad_min(VL, end - i);
            K(fetch_line)(g + rows * n + i);
            K(fetch_line)(y + rows * n + i);
            K(claim_ahead)(dx + VL * n + i);
            K(put_slope)(kind, g + i, y + i, K(of_rows)(sum, row_of[(i - begin) / VL]), dx + i,
                         width, width == VL);
        }
    }
}

V_INLINE void K(strip_bwd)(int kind, const REAL *g, const REAL *y, REAL *dx, int64_t n,
                           int64_t rows, int64_t readable, const mask *row_of) {
    REAL tiles[STRIP_SIZE], products[STRIP_SIZE];
    if (kind == LOG_SOFTMAX_BWD) {
        K(transpose_in)(g, tiles, n, rows, readable);
    } else {
        for (int64_t i = 0; i < rows * n; i += VL) {
            const int64_t width = pyad_min(VL, rows * n - i);
            v_store(products + i, v_load_n(g + i, width) * v_load_n(y + i, width));
        }
        K(transpose_in)(products, tiles, n, rows, STRIP_SIZE);
    }
    K(flat_slopes)(kind, g, y, dx, n, rows, row_of, tiles);
}

/* ---- rows of one vector ---- */

/* VL rows; y may be x */
V_INLINE void K(vector_fwd)(int kind, const REAL *x, REAL *y) {
    REAL largest[VL], last[VL], buffer[VL * VL];
    const int64_t size = VL * VL;
    REAL *e = kind == LOG_SOFTMAX ? buffer : y;
    K(vector_rows)(x, e, 1, kind == MASKED_SOFTMAX, x + size, y + size, largest, last, VL);
    const vec sum = v_load(last);
    vec scale = v_set1((REAL)1) / sum;
    if (kind == MASKED_SOFTMAX) scale = v_select(sum == (vec){0}, (vec){0}, scale);
    v_store(last, kind == LOG_SOFTMAX ? v_log(sum) : scale);
    for (int64_t i = 0; i < VL; i++, x += VL, y += VL) {
        const vec each = v_set1(last[i]);
        v_store(y, kind == LOG_SOFTMAX ? (v_load(x) - v_set1(largest[i])) - each : v_load(y) * each);
    }
}

V_INLINE void K(vectors_fwd)(int kind, const REAL *x, REAL *y, int64_t rows) {
    REAL some[VL * VL] = {0};
    for (; rows >= VL; rows -= VL, x += VL * VL, y += VL * VL) K(vector_fwd)(kind, x, y);
    if (rows == 0) return;
    memcpy(some, x, (size_t)(rows * VL) * sizeof(REAL));
    K(vector_fwd)(kind, some, some);
    memcpy(y, some, (size_t)(rows * VL) * sizeof(REAL));
}

/* ---- rows of two: each element meets its partner in the vector ---- */

V_INLINE void K(pairs)(int kind, const REAL *a, const REAL *b, REAL *out, int64_t n) {
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t width = pyad_min(VL, n - i);
        const int full = width == VL;
        const vec x = K(take)(a + i, width, full);
        if (IS_BWD(kind)) {
            const vec each = K(add_slope)(kind, (vec){0}, x, b + i, width, full);
            const vec sum = each + K(v_partners)(each, 1);
            K(put_slope)(kind, a + i, b + i, sum, out + i, width, full);
            continue;
        }
        vec largest = v_max(x, K(v_partners)(x, 1));
        if (kind == MASKED_SOFTMAX) largest = v_select(largest == -V_INF, (vec){0}, largest);
        const vec e = K(exp_below)(x - largest), sum = e + K(v_partners)(e, 1);
        vec scale = v_set1((REAL)1) / sum;
        if (kind == MASKED_SOFTMAX) scale = v_select(sum == (vec){0}, (vec){0}, scale);
        K(put)(out + i, e * scale, width, full);
    }
}

/* Few classes in columns are copied, as three passes go over them and their stride is often a
 * multiple of 4096 bytes: all of a column's elements then compete for a few places of the cache. */

V_INLINE void K(copied_columns)(int kind, const REAL *x, REAL *y, int64_t n, int64_t step) {
    REAL tile[STRIP_SIZE];
    for (int64_t j = 0; j < n; j++) v_store(tile + j * VL, v_load(x + j * step));
    K(columns_fwd)(kind, tile, tile, n, VL, VL, 1);
    for (int64_t j = 0; j < n; j++) v_store(y + j * step, v_load(tile + j * VL));
}

/* ---- rows: n contiguous elements; forward n >= VL ---- */

V_INLINE void K(row_fwd)(int kind, const REAL *x, REAL *y, int64_t n) {
    REAL largest = K(row_max)(x, n);
    if (kind == MASKED_SOFTMAX && largest == (REAL)-INFINITY) largest = 0;
    const REAL sum = K(row_exp)(x, largest, y, 1, n);
    const REAL scale = kind == MASKED_SOFTMAX && sum == 0 ? 0 : 1 / sum;
    for (int64_t i = 0; i < n; i++) y[i] *= scale;
}

/* up to VL rows, whose logarithms are taken together */
V_INLINE void K(rows_logs)(const REAL *x, REAL *y, int64_t n, int64_t rows) {
    REAL largest[VL], last[VL];
    v_store(last, v_set1((REAL)1));
    for (int64_t i = 0; i < rows; i++) {
        largest[i] = K(row_max)(x + i * n, n);
        last[i] = K(row_exp)(x + i * n, largest[i], y + i * n, 0, n);
    }
    v_store(last, v_log(v_load(last)));
    for (int64_t i = 0; i < rows; i++, x += n, y += n) {
        for (int64_t j = 0; j < n; j += VL) {
            const int64_t width = pyad_min(VL, n - j);
            const vec d = K(take)(x + j, width, width == VL) - v_set1(largest[i]);
            K(put)(y + j, d - v_set1(last[i]), width, width == VL);
        }
    }
}

V_INLINE void K(row_bwd)(int kind, const REAL *g, const REAL *y, REAL *dx, int64_t n) {
    vec a = {0};
    for (int64_t i = 0; i < n; i += VL) {
        int64_t width = pyad_min(VL, n - i);
        a = K(add_slope)(kind, a, K(take)(g + i, width, width == VL), y + i, width, width == VL);
    }
    K(row_slopes)(kind, g, y, dx, n, v_set1(v_sum(a)));
}

/* ---- the whole array ---- */

V_INLINE void K(softmax_columns)(int kind, const REAL *a, const REAL *b, REAL *out, axis_view v,
                                 const team *t) {
    int64_t tiles = pyad_ceil_div(v.inner, VL), begin, end;
    team_range(t, v.outer * tiles, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t column = u % tiles * VL, width = pyad_min(VL, v.inner - column);
        int64_t at = u / tiles * v.n * v.inner + column;
        if (width == VL && v.n <= TILE_CLASSES && !IS_BWD(kind)) {
            K(copied_columns)(kind, a + at, out + at, v.n, v.inner);
        } else if (width == VL) {
            K(columns)(kind, a + at, b + at, out + at, v.n, v.inner, VL, 1);
        } else {
            K(columns)(kind, a + at, b + at, out + at, v.n, v.inner, width, 0);
        }
    }
}

V_INLINE void K(softmax_rows)(int kind, const REAL *a, const REAL *b, REAL *out, axis_view v,
                              const team *t) {
    int64_t begin, end;
    team_range(t, v.outer, VL, &begin, &end);
    if (v.n == 2 && kind != LOG_SOFTMAX) {
        K(pairs)(kind, a + 2 * begin, b + 2 * begin, out + 2 * begin, 2 * (end - begin));
        return;
    }
    if (IS_VECTOR(v.n) && !IS_BWD(kind)) {
        K(vectors_fwd)(kind, a + begin * v.n, out + begin * v.n, end - begin);
        return;
    }
    if (K(in_tiles)(kind, v.n)) {
        const int64_t strip = K(strip_rows)(v.n);
        mask row_of[TILE_CLASSES];
        if (!K(are_turned)(kind, v.n)) K(rows_of_elements)(v.n, row_of);
        for (int64_t r = begin; r < end; r += strip) {
            const int64_t at = r * v.n, rows = pyad_min(strip, end - r), readable = end * v.n - at;
            if (IS_BWD(kind)) {
                K(strip_bwd)(kind, a + at, b + at, out + at, v.n, rows, readable, row_of);
            } else {
                K(strip_fwd)(kind, a + at, out + at, v.n, rows, readable, row_of);
            }
        }
        return;
    }
    const int64_t together = kind == LOG_SOFTMAX ? pyad_max(1, pyad_min(VL, ROWS_TOGETHER / v.n)) : 1;
    for (int64_t r = begin; r < end; r += together) {
        const int64_t at = r * v.n;
        if (IS_BWD(kind)) {
            K(row_bwd)(kind, a + at, b + at, out + at, v.n);
        } else if (kind == LOG_SOFTMAX) {
            K(rows_logs)(a + at, out + at, v.n, pyad_min(together, end - r));
        } else {
            K(row_fwd)(kind, a + at, out + at, v.n);
        }
    }
}

V_INLINE int K(softmax)(int kind, const REAL *a, const REAL *b, REAL *out, axis_view v,
                        const team *t) {
    if (v.outer * v.n * v.inner == 0) return PYAD_OK;
    if (v.inner > 1 && v.n > TILE_CLASSES) {
        K(softmax_blocks)(kind, a, b, out, v, t);
    } else if (v.inner > 1) {
        K(softmax_columns)(kind, a, b, out, v, t);
    } else {
        K(softmax_rows)(kind, a, b, out, v, t);
    }
    return PYAD_OK;
}

static int K(softmax_fwd)(const void *args, const team *t) {
    const softmax_fwd_args *a = args;
    const REAL *x = a->x.data;
    return K(softmax)(SOFTMAX, x, x, a->y.data, axis_of(&a->x, a->axis), t);
}

static int K(log_softmax_fwd)(const void *args, const team *t) {
    const softmax_fwd_args *a = args;
    const REAL *x = a->x.data;
    return K(softmax)(LOG_SOFTMAX, x, x, a->y.data, axis_of(&a->x, a->axis), t);
}

static int K(softmax_bwd)(const void *args, const team *t) {
    const softmax_bwd_args *a = args;
    return K(softmax)(SOFTMAX_BWD, a->g.data, a->y.data, a->dx.data, axis_of(&a->y, a->axis), t);
}

static int K(log_softmax_bwd)(const void *args, const team *t) {
    const softmax_bwd_args *a = args;
    return K(softmax)(LOG_SOFTMAX_BWD, a->g.data, a->y.data, a->dx.data, axis_of(&a->y, a->axis),
                      t);
}

/* out = m ? x : other, for this thread's part; x may be out */
static void K(select_mask)(const uint8_t *m, const REAL *x, REAL other, REAL *out, int64_t n,
                           const team *t) {
    int64_t begin, end;
    team_range(t, n, 64, &begin, &end);
    for (int64_t i = begin; i < end; i++) out[i] = m[i] ? x[i] : other;
}

static int K(masked_softmax_fwd)(const void *args, const team *t) {
    const masked_softmax_fwd_args *a = args;
    REAL *y = a->y.data;
    K(select_mask)(a->keep.data, a->x.data, (REAL)-INFINITY, y, pyad_numel(&a->x), t);
    team_barrier(t);
    K(softmax)(MASKED_SOFTMAX, y, y, y, axis_of(&a->x, a->axis), t);
    team_barrier(t);
    K(select_mask)(a->keep.data, y, 0, y, pyad_numel(&a->x), t);
    return PYAD_OK;
}

static int K(masked_softmax_bwd)(const void *args, const team *t) {
    const masked_softmax_bwd_args *a = args;
    REAL *dx = a->dx.data;
    K(select_mask)(a->keep.data, a->g.data, 0, dx, pyad_numel(&a->y), t);
    team_barrier(t);
    K(softmax)(SOFTMAX_BWD, dx, a->y.data, dx, axis_of(&a->y, a->axis), t);
    team_barrier(t);
    K(select_mask)(a->keep.data, dx, 0, dx, pyad_numel(&a->y), t);
    return PYAD_OK;
}

PYAD_RECORD(softmax_fwd, softmax_fwd_args, 8 * pyad_numel(&a->x))
PYAD_RECORD(log_softmax_fwd, softmax_fwd_args, 8 * pyad_numel(&a->x))
PYAD_RECORD(softmax_bwd, softmax_bwd_args, 3 * pyad_numel(&a->y))
PYAD_RECORD(log_softmax_bwd, softmax_bwd_args, 8 * pyad_numel(&a->y))
PYAD_RECORD(masked_softmax_fwd, masked_softmax_fwd_args, 10 * pyad_numel(&a->x))
PYAD_RECORD(masked_softmax_bwd, masked_softmax_bwd_args, 5 * pyad_numel(&a->y))

#undef SOFTMAX_WHOLE
#undef LOG_SOFTMAX_TILES
#undef SOFTMAX_BWD_TILES
#undef LOG_SOFTMAX_BWD_TILES
#undef ROWS_TOGETHER
#undef IS_BWD
#undef BLOCK_COLUMNS
#endif
