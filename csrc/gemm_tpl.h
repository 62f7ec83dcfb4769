/* The packed matrix product C = A B that matmul, convolution and recurrent layers share.
 *
 * Include it in a template, inside #ifdef REAL. What it offers:
 *
 *   K(gemm_problem)    m, n, k; how A (m x k) and B (k x n) are packed; where C goes; the epilogue
 *   K(gemm_run)        by the whole team: every thread calls it with the same problem
 *   K(gemm_solo)       by one thread alone, for a batch whose products the threads share out
 *   K(gemm_strided)    either, for matrices with any strides: chooses ways without packing for
 *                      vectors, few rows and small products
 *   K(gemm_scratch_bytes), K(gemm_shared_bytes), K(gemm_solo_bytes)    for PYAD_RECORD; they
 *                      depend on nothing but ISA and dtype
 *
 * gemm_run(p, t, scratch, shared): `scratch` is gemm_scratch_bytes() of the thread's own, `shared`
 * gemm_shared_bytes() that all threads see. It returns when this thread's part of C is written; a
 * team_barrier must stand between two runs that use the same `shared`, or that read what the first
 * wrote. gemm_solo(p, scratch) needs gemm_solo_bytes() of scratch. All memory 64-byte aligned.
 *
 * Packing. A pack function writes one panel: `lanes` rows of A (or columns of B) from number `lane`
 * on, for the sum's indices k .. k+depth-1, as dst[d * width + l]; lanes <= width. What it writes
 * into lanes beyond `lanes` does not matter, and it may write up to VL - 1 elements past the end of
 * an A panel (not of a B panel, whose width is a multiple of VL). `lane`, `k` and `depth` are
 * arbitrary. For strided matrices there are K(gemm_pack_rows) and K(gemm_pack_cols) over a
 * K(gemm_matrix), both over K(gemm_pack_panel), which copies or transposes whole vectors; a
 * convolution brings its own and so never stores its column matrix.
 *
 * Epilogue, once the sum is complete: v = sum (+ old C) (+ bias of the column) (+ bias of the row)
 * (+ residual), then the activation. Absent pointers are NULL; zero-initialise the struct.
 *
 * Order of the sums. gemm_run sums every element of C over k one by one within blocks of GEMM_KC
 * and adds the blocks in order; nothing else (threads, tile, position in C, m, n) enters.
 * gemm_strided chooses among several orders by sizes and strides alone. So the bits never depend on
 * the threads.
 *
 * Loops (after Goto and van de Geijn, BLIS): columns by GEMM_NC, k by as many GEMM_KC as fit the
 * packed B; the team packs that part of B once (double-buffered: one barrier a part); then each
 * thread takes its own rows by GEMM_MC and k by GEMM_KC, packs that block of A for its L2, and runs
 * B panels (outer) by A panels (inner) through the tile of GEMM_MR x NR sums held in registers.
 */
#ifndef PYAD_GEMM_ACTIVATIONS
#define PYAD_GEMM_ACTIVATIONS
enum {
    GEMM_LINEAR = 0,
    GEMM_CLAMP = 1, /* to [p0, p1]; NaN stays NaN: ReLU is (0, INFINITY), ReLU6 (0, 6) */
    GEMM_LEAKY = 2, /* p0 * v where v < 0 */
};

/* rows that a tile may have are the even numbers up to GEMM_MR, and 1 */
#define GEMM_NR (GEMM_NV * VL)
#define GEMM_F64_SHARE (4 / (int64_t)sizeof(REAL) + 1) /* 2 for float32, 1 for float64 */
#define GEMM_MC_NOW (GEMM_MC * GEMM_F64_SHARE / 2)
#define GEMM_NC_NOW (GEMM_NC * GEMM_F64_SHARE / 2)
#define GEMM_AREA_NOW (GEMM_DIRECT_AREA * GEMM_F64_SHARE / 2)
#define GEMM_DEPTH (2 * GEMM_KC) /* of sums in place; a panel of B then fits the scratch */
#define GEMM_PART (GEMM_KC * GEMM_NC_NOW) /* elements of one buffer of packed B */
#define GEMM_INLINE static inline __attribute__((always_inline))
#define GEMM_UNROLL _Pragma("GCC unroll 16")
#endif

typedef void (*K(gemm_pack_fn))(const void *context, REAL *dst, int64_t width, int64_t lane,
                                int64_t lanes, int64_t k, int64_t depth);

typedef struct {
    int64_t m, n, k;
    K(gemm_pack_fn) pack_a; /* lanes are rows of A */
    const void *a;          /* its context */
    K(gemm_pack_fn) pack_b; /* lanes are columns of B */
    const void *b;
    REAL *c;
    int64_t c_row, c_col; /* strides in elements */
    int accumulate;       /* add to C instead of overwriting it */
    const REAL *bias_col; /* n values, one for each column */
    const REAL *bias_row; /* m values, one for each row */
    const REAL *residual; /* m x n, added before the activation */
    int64_t residual_row, residual_col;
    int activation; /* GEMM_... */
    REAL p0, p1;
} K(gemm_problem);

/* A strided matrix, as context of the two pack functions below. */
typedef struct {
    const REAL *data;
    int64_t row, col; /* strides in elements */
} K(gemm_matrix);

/* ---- packing ---- */

/* One step of a transpose: of each pair of vectors whose numbers differ in bit `half`, the lanes
 * with that bit of the first and those without it of the second change places. */
GEMM_INLINE void K(gemm_exchange)(vec *v, const int half) {
    mask number, first, second;
    for (int i = 0; i < (int)VL; i++) number[i] = i;
    first = number + (((number & half) != 0) & ((int)VL - half));
    second = first + half;
    GEMM_UNROLL for (int i = 0; i < (int)VL; i++) {
        if (i & half) continue;
        vec a = v[i], b = v[i + half];
#if defined(__clang__)
        for (int l = 0; l < (int)VL; l++) {
            v[i][l] = first[l] < VL ? a[first[l]] : b[first[l] - VL];
            v[i + half][l] = second[l] < VL ? a[second[l]] : b[second[l] - VL];
        }
#else
        v[i] = __builtin_shuffle(a, b, first);
        v[i + half] = __builtin_shuffle(a, b, second);
#endif
    }
}

/* VL vectors become their transpose, in place so that they stay in registers. */
GEMM_INLINE void K(gemm_transpose)(vec *v) {
    if (VL > 8) K(gemm_exchange)(v, 8);
    if (VL > 4) K(gemm_exchange)(v, 4);
    if (VL > 2) K(gemm_exchange)(v, 2);
    K(gemm_exchange)(v, 1);
}

/* `count` <= VL elements of VL lanes, those past `lanes` zero, as `count` vectors. */
GEMM_INLINE void K(gemm_load_turned)(const REAL *src, int64_t lane_step, int64_t lanes,
                                     int64_t count, vec *v) {
    for (int64_t i = 0; i < VL; i++) {
        const REAL *from = src + i * lane_step;
        v[i] = i >= lanes ? (vec){0} : count == VL ? v_load(from) : v_load_n(from, count);
    }
    K(gemm_transpose)(v);
}

/* lanes side by side in memory: copy. */
static void K(gemm_pack_copy)(REAL *restrict dst, int64_t width, int64_t lanes, int64_t depth,
                              const REAL *restrict src, int64_t step) {
    int64_t whole = lanes / VL * VL;
    int64_t rest = lanes - whole;
    for (int64_t d = 0; d < depth; d++, src += step, dst += width) {
        for (int64_t l = 0; l < whole; l += VL) v_store(dst + l, v_load(src + l));
        if (rest > 0) v_store(dst + whole, v_load_n(src + whole, rest));
    }
}

/* Up to VL lanes that run along memory: transpose VL x VL blocks. Stores are whole vectors; lanes
 * beyond the last repeat it. */
GEMM_INLINE void K(gemm_pack_turn_group)(REAL *dst, int64_t width, int64_t lanes, int64_t depth,
                                         const REAL *src, int64_t lane_step) {
    vec v[VECTOR_BYTES / sizeof(REAL)];
    int64_t d = 0;
    for (; d + VL <= depth; d += VL, dst += VL * width) {
        GEMM_UNROLL for (int64_t i = 0; i < VL; i++) {
            v[i] = v_load(src + pyad_min(i, lanes - 1) * lane_step + d);
        }
        K(gemm_transpose)(v);
        GEMM_UNROLL for (int64_t i = 0; i < VL; i++) v_store(dst + i * width, v[i]);
    }
    if (d == depth) return;
    for (int64_t i = 0; i < VL; i++) {
        v[i] = v_load_n(src + pyad_min(i, lanes - 1) * lane_step + d, depth - d);
    }
    K(gemm_transpose)(v);
    for (int64_t i = 0; i < depth - d; i++) v_store(dst + i * width, v[i]);
}

/* The last group first: what its stores write past the panel's width, into the next d, the first
 * group then overwrites. */
static void K(gemm_pack_turn)(REAL *dst, int64_t width, int64_t lanes, int64_t depth,
                              const REAL *src, int64_t lane_step) {
    for (int64_t l = (lanes - 1) / VL * VL; l >= 0; l -= VL) {
        const REAL *from = src + l * lane_step;
        if (lanes - l >= VL) {
            K(gemm_pack_turn_group)(dst + l, width, VL, depth, from, lane_step);
        } else {
            K(gemm_pack_turn_group)(dst + l, width, lanes - l, depth, from, lane_step);
        }
    }
}

/* One panel of a strided matrix: dst[d * width + l] = src[l * lane_step + d * depth_step]. */
static void K(gemm_pack_panel)(REAL *restrict dst, int64_t width, int64_t lanes, int64_t depth,
                               const REAL *restrict src, int64_t lane_step, int64_t depth_step) {
    if (lane_step == 1) {
        K(gemm_pack_copy)(dst, width, lanes, depth, src, depth_step);
    } else if (depth_step == 1) {
        K(gemm_pack_turn)(dst, width, lanes, depth, src, lane_step);
    } else {
        for (int64_t d = 0; d < depth; d++) {
            for (int64_t l = 0; l < lanes; l++) {
                dst[d * width + l] = src[l * lane_step + d * depth_step];
            }
        }
    }
}

/* A K(gemm_matrix) as A. */
static __attribute__((unused)) void K(gemm_pack_rows)(const void *context, REAL *dst, int64_t width,
                                                      int64_t lane, int64_t lanes, int64_t k,
                                                      int64_t depth) {
    const K(gemm_matrix) *a = context;
    K(gemm_pack_panel)(dst, width, lanes, depth, a->data + lane * a->row + k * a->col, a->row,
                       a->col);
}

/* A K(gemm_matrix) as B. */
static __attribute__((unused)) void K(gemm_pack_cols)(const void *context, REAL *dst, int64_t width,
                                                      int64_t lane, int64_t lanes, int64_t k,
                                                      int64_t depth) {
    const K(gemm_matrix) *b = context;
    K(gemm_pack_panel)(dst, width, lanes, depth, b->data + lane * b->col + k * b->row, b->col,
                       b->row);
}

/* ---- the tile ---- */

/* rows x nv vectors of sums: to[i * to_row + j] = sum over d of a[i, d] b[d, j], where a[i, d] lies
 * at a[i * a_lane + d * a_depth]; with `add`, what was there is added to the sum. rows, nv and the
 * strides of a packed panel are constants after inlining, which keeps the sums in registers. */
GEMM_INLINE void K(gemm_tile_of)(const int64_t rows, const int64_t nv, int64_t depth,
                                 const REAL *restrict a, int64_t a_lane, int64_t a_depth,
                                 const REAL *restrict b, int64_t b_depth, REAL *restrict to,
                                 int64_t to_row, int add) {
    vec sum[GEMM_MR][GEMM_NV];
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = (vec){0};
    }
    for (int64_t d = 0; d < depth; d++, a += a_depth, b += b_depth) {
        vec right[GEMM_NV];
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(b + j * VL);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            vec left = v_set1(a[i * a_lane]);
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                sum[i][j] = v_fma(left, right[j], sum[i][j]);
            }
        }
    }
    if (add) {
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                sum[i][j] += v_load(to + i * to_row + j * VL);
            }
        }
    }
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) v_store(to + i * to_row + j * VL, sum[i][j]);
    }
}

/* Each height with one vector of columns (n) and with GEMM_NV (w), for a_lane 1 (packed or
 * transposed A) and any. */
#define GEMM_TILE_(name, rows, nv, lane)                                                         \
    static void PYAD_JOIN(K(name), rows)(int64_t depth, const REAL *a, int64_t a_lane,           \
                                         int64_t a_depth, const REAL *b, int64_t b_depth,        \
                                         REAL *to, int64_t to_row, int add) {                    \
        (void)a_lane;                                                                            \
        K(gemm_tile_of)(rows, nv, depth, a, lane, a_depth, b, b_depth, to, to_row, add);         \
    }
#define GEMM_TILE(rows)                                                                          \
    GEMM_TILE_(gemm_tile_n, rows, 1, 1)                                                          \
    GEMM_TILE_(gemm_tile_w, rows, GEMM_NV, 1)                                                    \
    GEMM_TILE_(gemm_tile_lanes_n, rows, 1, a_lane)                                               \
    GEMM_TILE_(gemm_tile_lanes_w, rows, GEMM_NV, a_lane)
#define GEMM_PAIR(name, rows) {PYAD_JOIN(K(name##_n), rows), PYAD_JOIN(K(name##_w), rows)}

GEMM_TILE(1)
GEMM_TILE(2)
GEMM_TILE(4)
#if GEMM_MR > 4
GEMM_TILE(6)
#endif
#if GEMM_MR > 6
GEMM_TILE(8)
GEMM_TILE(10)
GEMM_TILE(12)
GEMM_TILE(14)
#endif

#if GEMM_MR == 4
#define GEMM_TILES(name) {GEMM_PAIR(name, 1), GEMM_PAIR(name, 2), GEMM_PAIR(name, 4)}
#elif GEMM_MR == 6
#define GEMM_TILES(name) \
    {GEMM_PAIR(name, 1), GEMM_PAIR(name, 2), GEMM_PAIR(name, 4), GEMM_PAIR(name, 6)}
#else
#define GEMM_TILES(name)                                                                     \
    {GEMM_PAIR(name, 1), GEMM_PAIR(name, 2), GEMM_PAIR(name, 4), GEMM_PAIR(name, 6),          \
     GEMM_PAIR(name, 8), GEMM_PAIR(name, 10), GEMM_PAIR(name, 12), GEMM_PAIR(name, 14)}
#endif

typedef void (*K(gemm_tile_fn))(int64_t depth, const REAL *a, int64_t a_lane, int64_t a_depth,
                                const REAL *b, int64_t b_depth, REAL *to, int64_t to_row,
                                int add);

/* [rows / 2][more than one vector] */
static const K(gemm_tile_fn) K(gemm_tiles)[GEMM_MR / 2 + 1][2] = GEMM_TILES(gemm_tile);
static const K(gemm_tile_fn) K(gemm_tiles_lanes)[GEMM_MR / 2 + 1][2] = GEMM_TILES(gemm_tile_lanes);

#undef GEMM_TILE_
#undef GEMM_TILE
#undef GEMM_PAIR
#undef GEMM_TILES

/* ---- the epilogue ---- */

GEMM_INLINE vec K(gemm_load_row)(const REAL *p, int64_t step, int64_t n) {
    if (step == 1) return n == VL ? v_load(p) : v_load_n(p, n);
    vec v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i * step];
    return v;
}

GEMM_INLINE void K(gemm_store_row)(REAL *p, int64_t step, vec v, int64_t n) {
    if (step == 1) {
        if (n == VL) {
            v_store(p, v);
        } else {
            v_store_n(p, v, n);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) p[i * step] = v[i];
}

GEMM_INLINE vec K(gemm_activate)(vec v, int activation, REAL p0, REAL p1) {
    if (activation == GEMM_CLAMP) return v_min(v_set1(p1), v_max(v_set1(p0), v));
    if (activation == GEMM_LEAKY) return v_select(v < (vec){0}, v * v_set1(p0), v);
    return v;
}

/* n <= VL elements of C from (row, col) on: what is there, biases, residual, activation. */
GEMM_INLINE vec K(gemm_finish)(const K(gemm_problem) *p, vec v, int64_t row, int64_t col,
                               int64_t n) {
    if (p->bias_col != NULL) v += K(gemm_load_row)(p->bias_col + col, 1, n);
    if (p->bias_row != NULL) v += v_set1(p->bias_row[row]);
    if (p->residual != NULL) {
        const REAL *r = p->residual + row * p->residual_row + col * p->residual_col;
        v += K(gemm_load_row)(r, p->residual_col, n);
    }
    return K(gemm_activate)(v, p->activation, p->p0, p->p1);
}

/* The usual case: C's rows along memory, nothing but the sums. */
static void K(gemm_update_plain)(REAL *restrict c, int64_t step, const REAL *restrict tile,
                                 int64_t rows, int64_t cols, int add) {
    int64_t whole = cols / VL * VL, rest = cols - whole;
    for (int64_t i = 0; i < rows; i++, tile += GEMM_NR, c += step) {
        for (int64_t j = 0; j < whole; j += VL) {
            vec v = v_load(tile + j);
            v_store(c + j, add ? v + v_load(c + j) : v);
        }
        if (rest > 0) {
            vec v = v_load(tile + whole);
            v_store_n(c + whole, add ? v + v_load_n(c + whole, rest) : v, rest);
        }
    }
}

/* Call the lines of C that a tile will be added to into L2, while the tile is computed. Not L1,
 * where rows at a distance of a power of two would displace each other and the packed panels. */
GEMM_INLINE void K(gemm_prefetch)(const K(gemm_problem) *p, int64_t row, int64_t rows,
                                  int64_t col) {
    const REAL *c = p->c + row * p->c_row + col * p->c_col;
    if (p->c_col != 1) return;
    for (int64_t i = 0; i < rows; i++, c += p->c_row) {
        for (int64_t j = 0; j < GEMM_NR; j += 64 / (int64_t)sizeof(REAL)) {
            __builtin_prefetch(c + j, 1, 2);
        }
    }
}

/* Bring n <= VL sums into C from (row, col) on: `add` to what is there, `last`: finish. */
GEMM_INLINE void K(gemm_put)(const K(gemm_problem) *p, vec v, int64_t row, int64_t col, int64_t n,
                             int add, int last) {
    REAL *c = p->c + row * p->c_row + col * p->c_col;
    if (add) v += K(gemm_load_row)(c, p->c_col, n);
    if (last) v = K(gemm_finish)(p, v, row, col, n);
    K(gemm_store_row)(c, p->c_col, v, n);
}

/* Whether the sums are all there is to C. */
GEMM_INLINE int K(gemm_is_plain)(const K(gemm_problem) *p) {
    return p->bias_col == NULL && p->bias_row == NULL && p->residual == NULL &&
           p->activation == GEMM_LINEAR;
}

/* Bring a tile of sums into C at (row, col). */
static void K(gemm_update)(const K(gemm_problem) *p, const REAL *restrict tile, int64_t row,
                           int64_t rows, int64_t col, int64_t cols, int add, int last) {
    if (p->c_col == 1 && (!last || K(gemm_is_plain)(p))) {
        K(gemm_update_plain)(p->c + row * p->c_row + col, p->c_row, tile, rows, cols, add);
        return;
    }
    for (int64_t i = 0; i < rows; i++, tile += GEMM_NR) {
        for (int64_t j = 0; j < cols; j += VL) {
            K(gemm_put)(p, v_load(tile + j), row + i, col + j, pyad_min(VL, cols - j), add, last);
        }
    }
}

/* A part of C, and what is known of it: `add` to what is there, `last`: finish. */
typedef struct {
    int64_t row, rows, col, cols;
    int add, last;
} K(gemm_patch);

/* The sums of a tile into C: straight from the registers where they are all there is to it. The
 * tile has rows for `s`, or one more, and a whole number of vectors. */
GEMM_INLINE void K(gemm_fill)(const K(gemm_problem) *p, const K(gemm_patch) *s,
                              const K(gemm_tile_fn)(*tiles)[2], int64_t depth, const REAL *a,
                              int64_t a_lane, int64_t a_depth, const REAL *b, int64_t b_depth) {
    const K(gemm_tile_fn) run = tiles[(s->rows + (s->rows > 1)) / 2][s->cols > VL];
    int whole = (s->cols == VL || s->cols == GEMM_NR) && (s->rows % 2 == 0 || s->rows == 1);
    if (whole && p->c_col == 1 && (!s->last || K(gemm_is_plain)(p))) {
        REAL *c = p->c + s->row * p->c_row + s->col;
        run(depth, a, a_lane, a_depth, b, b_depth, c, p->c_row, s->add);
        return;
    }
    _Alignas(64) REAL tile[GEMM_MR * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
    run(depth, a, a_lane, a_depth, b, b_depth, tile, GEMM_NR, 0);
    K(gemm_update)(p, tile, s->row, s->rows, s->col, s->cols, s->add, s->last);
}

/* ---- the loops of the packed product ---- */

static inline int64_t K(gemm_scratch_bytes)(void) {
    return ((GEMM_MC_NOW + GEMM_MR) * GEMM_KC + VL) * (int64_t)sizeof(REAL) / 64 * 64 + 64;
}

static inline int64_t K(gemm_shared_bytes)(void) { return 2 * GEMM_PART * (int64_t)sizeof(REAL); }

static inline __attribute__((unused)) int64_t K(gemm_solo_bytes)(void) {
    return K(gemm_scratch_bytes)() + GEMM_PART * (int64_t)sizeof(REAL);
}

/* How the threads share C: `down` x `across` parts, and the part of this thread. */
typedef struct {
    int64_t down, across, row, col;
} K(gemm_grid);

/* The grid whose largest part is the smallest; of equals the one with most threads over rows, since
 * the packed product packs B once for all but each thread its own rows of A. `packing` is how many
 * rows cost as much as packing a panel of B for oneself. */
static K(gemm_grid) K(gemm_choose_grid)(int64_t m, int64_t n, int64_t packing, const team *t) {
    K(gemm_grid) best = {1, 1, 0, 0};
    int64_t least = INT64_MAX;
    if (t->nth == 1) return best;
    for (int64_t down = t->nth; down >= 1; down--) {
        int64_t across = t->nth / down;
        int64_t rows = pyad_ceil_div(m, 2 * down) * 2;
        int64_t cols = pyad_ceil_div(pyad_ceil_div(n, GEMM_NR), across) * GEMM_NR;
        int64_t cost = (rows + packing) * cols;
        if (cost < least) {
            least = cost;
            best = (K(gemm_grid)){down, across, t->ith / across, t->ith % across};
        }
    }
    return best;
}

/* Where part number `index` of `of` begins. */
GEMM_INLINE int64_t K(gemm_cut)(int64_t count, int64_t index, int64_t of) {
    return of == 1 ? count * index : count * index / of;
}

/* The height of the panels into which `rows` rows are cut: even, near GEMM_MR, nearly no rest. */
static int64_t K(gemm_height)(int64_t rows) {
    if (rows <= GEMM_MR) return (rows + 1) / 2 * 2;
    int64_t panels = pyad_ceil_div(rows, GEMM_MR);
    return pyad_ceil_div(rows, 2 * panels) * 2;
}

/* One part of packed B: columns col .. col+cols-1, k .. k+depth-1. Its blocks of GEMM_KC follow one
 * another, in each the panels. */
typedef struct {
    REAL *data;
    int64_t col, cols, k, depth;
} K(gemm_part);

/* This thread's share of the panels of a part. */
static void K(gemm_pack_part)(const K(gemm_problem) *p, const K(gemm_part) *part, const team *t) {
    int64_t panels = pyad_ceil_div(part->cols, GEMM_NR);
    int64_t blocks = pyad_ceil_div(part->depth, GEMM_KC);
    int64_t begin, end;
    team_range(t, panels * blocks, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t k = i / panels * GEMM_KC;
        int64_t col = i % panels * GEMM_NR;
        int64_t depth = pyad_min(GEMM_KC, part->depth - k);
        int64_t lanes = pyad_min(GEMM_NR, part->cols - col);
        int64_t width = lanes <= VL ? VL : GEMM_NR;
        REAL *dst = part->data + k * panels * GEMM_NR + col * depth;
        p->pack_b(p->b, dst, width, part->col + col, lanes, part->k + k, depth);
    }
}

/* Rows row .. row+rows-1, packed in `a`, times panels begin .. end-1 of one block of packed B. */
static void K(gemm_block)(const K(gemm_problem) *p, const REAL *a, int64_t row, int64_t rows,
                          int64_t height, const REAL *b, const K(gemm_part) *part, int64_t begin,
                          int64_t end, int64_t k, int64_t depth) {
    K(gemm_patch) s = {.add = p->accumulate || k > 0, .last = k + depth == p->k};
    for (int64_t j = begin; j < end; j++) {
        s.col = part->col + j * GEMM_NR;
        s.cols = pyad_min(GEMM_NR, part->cols - j * GEMM_NR);
        for (int64_t i = 0; i < rows; i += height) {
            s.row = row + i;
            s.rows = pyad_min(height, rows - i);
            K(gemm_prefetch)(p, s.row, s.rows, s.col);
            K(gemm_fill)(p, &s, K(gemm_tiles), depth, a + i * depth, 1, height,
                         b + j * GEMM_NR * depth, s.cols > VL ? GEMM_NR : VL);
        }
    }
}

/* This thread's part of C, as far as the part of packed B goes. */
static void K(gemm_use_part)(const K(gemm_problem) *p, const K(gemm_part) *part,
                             const K(gemm_grid) *grid, REAL *a) {
    int64_t panels = pyad_ceil_div(part->cols, GEMM_NR);
    int64_t begin = K(gemm_cut)(panels, grid->col, grid->across);
    int64_t end = K(gemm_cut)(panels, grid->col + 1, grid->across);
    int64_t pairs = pyad_ceil_div(p->m, 2);
    int64_t row = K(gemm_cut)(pairs, grid->row, grid->down) * 2;
    int64_t row_end = pyad_min(p->m, K(gemm_cut)(pairs, grid->row + 1, grid->down) * 2);
    if (begin == end) return;
    for (int64_t i = row; i < row_end; i += GEMM_MC_NOW) {
        int64_t rows = pyad_min(GEMM_MC_NOW, row_end - i);
        int64_t height = K(gemm_height)(rows);
        for (int64_t k = 0; k < part->depth; k += GEMM_KC) {
            int64_t depth = pyad_min(GEMM_KC, part->depth - k);
            for (int64_t l = 0; l < rows; l += height) {
                p->pack_a(p->a, a + l * depth, height, i + l, pyad_min(height, rows - l),
                          part->k + k, depth);
            }
            K(gemm_block)(p, a, i, rows, height, part->data + k * panels * GEMM_NR, part, begin,
                          end, part->k + k, depth);
        }
    }
}

/* Sums of nothing: this thread's rows of C. */
static void K(gemm_empty)(const K(gemm_problem) *p, const team *t) {
    int64_t begin, end;
    REAL zeros[GEMM_NV * VECTOR_BYTES / sizeof(REAL)] = {0};
    team_range(t, p->m, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        for (int64_t j = 0; j < p->n; j += GEMM_NR) {
            K(gemm_update)(p, zeros, i, 1, j, pyad_min(GEMM_NR, p->n - j), p->accumulate, 1);
        }
    }
}

static void K(gemm_run)(const K(gemm_problem) *p, const team *t, void *scratch, void *shared) {
    if (p->k == 0) {
        K(gemm_empty)(p, t);
        return;
    }
    K(gemm_grid) grid = K(gemm_choose_grid)(p->m, p->n, 0, t);
    int64_t columns = pyad_min(pyad_ceil_div(p->n, GEMM_NR) * GEMM_NR, GEMM_NC_NOW);
    int64_t depth = columns == 0 ? p->k : GEMM_PART / columns / GEMM_KC * GEMM_KC;
    int64_t turn = 0;
    for (int64_t col = 0; col < p->n; col += columns) {
        for (int64_t k = 0; k < p->k; k += depth, turn ^= t->nth > 1) {
            K(gemm_part) part = {(REAL *)shared + turn * GEMM_PART, col,
                                 pyad_min(columns, p->n - col), k, pyad_min(depth, p->k - k)};
            K(gemm_pack_part)(p, &part, t);
            team_barrier(t);
            if (t->ith < grid.down * grid.across) K(gemm_use_part)(p, &part, &grid, scratch);
        }
    }
}

static __attribute__((unused)) void K(gemm_solo)(const K(gemm_problem) *p, void *scratch) {
    const team alone = {.ith = 0, .nth = 1};
    K(gemm_run)(p, &alone, scratch, (char *)scratch + K(gemm_scratch_bytes)());
}

/* ---- strided matrices: packed, in place, or what is too thin for tiles ---- */

/* Heights that have a tile: even, or 1. */
static int64_t K(gemm_fit)(int64_t rows) { return rows > 1 ? rows / 2 * 2 : rows; }

_Static_assert(GEMM_DEPTH * GEMM_NR <= GEMM_MC_NOW * GEMM_KC, "a panel of B fits the scratch");

/* What one step of the product in place does: rows row .. row_end-1, sums over k .. k+depth-1. */
typedef struct {
    int64_t row, row_end, k, depth;
} K(gemm_step);

/* One panel of columns (b, b_step) times the rows of A where they lie. */
static void K(gemm_direct_panel)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                                 const K(gemm_step) *step, const REAL *b, int64_t b_step,
                                 int64_t col, int64_t cols) {
    int64_t height = K(gemm_height)(step->row_end - step->row);
    const K(gemm_tile_fn)(*tiles)[2] = a->row == 1 ? K(gemm_tiles) : K(gemm_tiles_lanes);
    const REAL *from = a->data + step->k * a->col;
    K(gemm_patch) s = {.row = step->row, .col = col, .cols = cols,
                       .add = p->accumulate || step->k > 0,
                       .last = step->k + step->depth == p->k};
    for (; s.row < step->row_end; s.row += s.rows) {
        s.rows = K(gemm_fit)(pyad_min(height, step->row_end - s.row));
        K(gemm_fill)(p, &s, tiles, step->depth, from + s.row * a->row, a->row, a->col, b, b_step);
    }
}

/* Panels begin .. end-1 of B, in place if its rows lie along memory, but for a panel whose width is
 * no whole number of vectors; else each is packed for the rows of this step. */
static void K(gemm_direct_step)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                                const K(gemm_matrix) *b, const K(gemm_step) *s, int64_t begin,
                                int64_t end, REAL *scratch) {
    for (int64_t j = begin * GEMM_NR; j < pyad_min(p->n, end * GEMM_NR); j += GEMM_NR) {
        int64_t cols = pyad_min(GEMM_NR, p->n - j);
        const REAL *from = b->data + s->k * b->row + j * b->col;
        int64_t step = b->row;
        if (b->col != 1 || cols % VL != 0) {
            step = cols > VL ? GEMM_NR : VL;
            K(gemm_pack_panel)(scratch, step, cols, s->depth, from, b->col, b->row);
            from = scratch;
        }
        K(gemm_direct_panel)(p, a, s, from, step, j, cols);
    }
}

/* A is read where it lies, by as many rows as stay in L2, and B, a panel at a time, for each. */
static void K(gemm_direct)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                           const K(gemm_matrix) *b, const team *t, REAL *scratch) {
    K(gemm_grid) grid = K(gemm_choose_grid)(p->m, p->n, b->col == 1 ? 0 : 8, t);
    if (t->ith >= grid.down * grid.across) return;
    int64_t panels = pyad_ceil_div(p->n, GEMM_NR);
    int64_t begin = K(gemm_cut)(panels, grid.col, grid.across);
    int64_t end = K(gemm_cut)(panels, grid.col + 1, grid.across);
    int64_t pairs = pyad_ceil_div(p->m, 2);
    int64_t row_end = pyad_min(p->m, K(gemm_cut)(pairs, grid.row + 1, grid.down) * 2);
    int64_t depth = p->k, most = p->m;
    if (depth > GEMM_DEPTH) depth = pyad_ceil_div(depth, pyad_ceil_div(depth, GEMM_DEPTH));
    if (most * depth > GEMM_AREA_NOW) {
        most = pyad_max(GEMM_AREA_NOW / depth / GEMM_MR, 1) * GEMM_MR;
    }
    for (int64_t row = K(gemm_cut)(pairs, grid.row, grid.down) * 2; row < row_end; row += most) {
        for (int64_t k = 0; k < p->k; k += depth) {
            K(gemm_step) s = {row, pyad_min(row_end, row + most), k, pyad_min(depth, p->k - k)};
            K(gemm_direct_step)(p, a, b, &s, begin, end, scratch);
        }
    }
}

/* Whether that is fast: what of A or of B is used again and again stays in L2, and the rows of a
 * tile do not displace each other in L1, as they do at a distance of 4 KiB. */
static int K(gemm_is_direct)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                             const K(gemm_matrix) *b) {
    int64_t depth = pyad_min(p->k, GEMM_DEPTH);
    if (b->col != 1 && b->row != 1) return 0;
    if (a->row * (int64_t)sizeof(REAL) % 4096 == 0 && p->m > 2 * GEMM_MR) return 0;
    return p->m * depth <= GEMM_AREA_NOW || p->n * depth <= GEMM_AREA_NOW / 2;
}

/* nv vectors of columns of a one-row product, B's rows along memory. */
GEMM_INLINE void K(gemm_row_of)(const int64_t nv, int64_t depth, const REAL *restrict a,
                                int64_t a_depth, const REAL *restrict b, int64_t b_depth,
                                REAL *restrict out) {
    vec sum[8];
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[j] = (vec){0};
    for (int64_t d = 0; d < depth; d++, a += a_depth, b += b_depth) {
        vec left = v_set1(*a);
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
            sum[j] = v_fma(left, v_load(b + j * VL), sum[j]);
        }
    }
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) v_store(out + j * VL, sum[j]);
}

/* The last columns, fewer than a vector. */
static void K(gemm_row_rest)(int64_t depth, const REAL *restrict a, int64_t a_depth,
                             const REAL *restrict b, int64_t b_depth, REAL *restrict out,
                             int64_t cols) {
    vec sum = {0};
    for (int64_t d = 0; d < depth; d++, a += a_depth, b += b_depth) {
        sum = v_fma(v_set1(*a), v_load_n(b, cols), sum);
    }
    v_store(out, sum);
}

/* m == 1, B's rows along memory: columns by up to eight vectors, each a sum over k in order. */
static void K(gemm_row)(const K(gemm_problem) *p, const K(gemm_matrix) *a, const K(gemm_matrix) *b,
                        const team *t) {
    _Alignas(64) REAL out[8 * VECTOR_BYTES / sizeof(REAL)];
    int64_t begin, end;
    team_range(t, p->n, GEMM_NR, &begin, &end);
    for (int64_t j = begin, cols; j < end; j += cols) {
        const REAL *from = b->data + j;
        if (end - j >= 8 * VL) {
            cols = 8 * VL;
            K(gemm_row_of)(8, p->k, a->data, a->col, from, b->row, out);
        } else if (end - j >= 4 * VL) {
            cols = 4 * VL;
            K(gemm_row_of)(4, p->k, a->data, a->col, from, b->row, out);
        } else if (end - j >= VL) {
            cols = VL;
            K(gemm_row_of)(1, p->k, a->data, a->col, from, b->row, out);
        } else {
            cols = end - j;
            K(gemm_row_rest)(p->k, a->data, a->col, from, b->row, out, cols);
        }
        for (int64_t i = 0; i < cols; i += VL) {
            K(gemm_put)(p, v_load(out + i), 0, j + i, pyad_min(VL, cols - i), p->accumulate, 1);
        }
    }
}

/* k == 1: C is all that costs, so it is written row by row along memory. */
static void K(gemm_outer)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                          const K(gemm_matrix) *b, const team *t) {
    int64_t begin, end;
    team_range(t, p->m, 1, &begin, &end);
    int plain = K(gemm_is_plain)(p) && !p->accumulate && p->c_col == 1;
    for (int64_t i = begin; i < end; i++) {
        vec left = v_set1(a->data[i * a->row]);
        REAL *c = p->c + i * p->c_row;
        int64_t j = 0;
        for (; plain && j + VL <= p->n; j += VL) v_store(c + j, left * v_load(b->data + j));
        for (; j < p->n; j += VL) {
            int64_t n = pyad_min(VL, p->n - j);
            K(gemm_put)(p, left * K(gemm_load_row)(b->data + j, 1, n), i, j, n, p->accumulate, 1);
        }
    }
}

/* rows x cols dot products of vectors that lie along memory: VL partial sums over k in order, added
 * by v_sum. */
GEMM_INLINE void K(gemm_dots_of)(const int64_t rows, const int64_t cols, int64_t depth,
                                 const REAL *restrict a, int64_t a_row, const REAL *restrict b,
                                 int64_t b_col, REAL *restrict tile) {
    vec sum[GEMM_DOT_ROWS][GEMM_DOT_COLS], right[GEMM_DOT_COLS];
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < cols; j++) sum[i][j] = (vec){0};
    }
    int64_t d = 0;
    for (; d + VL <= depth; d += VL) {
        GEMM_UNROLL for (int64_t j = 0; j < cols; j++) right[j] = v_load(b + j * b_col + d);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            vec left = v_load(a + i * a_row + d);
            GEMM_UNROLL for (int64_t j = 0; j < cols; j++) {
                sum[i][j] = v_fma(left, right[j], sum[i][j]);
            }
        }
    }
    if (d < depth) {
        GEMM_UNROLL for (int64_t j = 0; j < cols; j++) {
            right[j] = v_load_n(b + j * b_col + d, depth - d);
        }
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            vec left = v_load_n(a + i * a_row + d, depth - d);
            GEMM_UNROLL for (int64_t j = 0; j < cols; j++) {
                sum[i][j] = v_fma(left, right[j], sum[i][j]);
            }
        }
    }
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < cols; j++) tile[i * GEMM_NR + j] = v_sum(sum[i][j]);
    }
}

static void K(gemm_dots_tile)(int64_t depth, const REAL *a, int64_t a_row, const REAL *b,
                              int64_t b_col, REAL *tile) {
    K(gemm_dots_of)(GEMM_DOT_ROWS, GEMM_DOT_COLS, depth, a, a_row, b, b_col, tile);
}

static void K(gemm_dots_row)(int64_t depth, const REAL *a, int64_t a_row, const REAL *b,
                             int64_t b_col, REAL *tile) {
    K(gemm_dots_of)(1, GEMM_DOT_COLS, depth, a, a_row, b, b_col, tile);
}

static void K(gemm_dots_one)(int64_t depth, const REAL *a, int64_t a_row, const REAL *b,
                             int64_t b_col, REAL *tile) {
    K(gemm_dots_of)(1, 1, depth, a, a_row, b, b_col, tile);
}

/* Few rows of A against columns of B that lie along memory, as in x @ w.T: dot products. */
static void K(gemm_dots)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                         const K(gemm_matrix) *b, const team *t) {
    _Alignas(64) REAL tile[GEMM_DOT_ROWS * GEMM_NV * VECTOR_BYTES / sizeof(REAL)];
    int64_t begin, end;
    team_range(t, p->n, GEMM_DOT_COLS, &begin, &end);
    for (int64_t j = begin; j < end; j += GEMM_DOT_COLS) {
        int64_t cols = pyad_min(GEMM_DOT_COLS, end - j);
        for (int64_t i = 0, rows; i < p->m; i += rows) {
            rows = p->m - i >= GEMM_DOT_ROWS && cols == GEMM_DOT_COLS ? GEMM_DOT_ROWS : 1;
            const REAL *left = a->data + i * a->row;
            const REAL *right = b->data + j * b->col;
            if (rows > 1) {
                K(gemm_dots_tile)(p->k, left, a->row, right, b->col, tile);
            } else if (cols == GEMM_DOT_COLS) {
                K(gemm_dots_row)(p->k, left, a->row, right, b->col, tile);
            } else {
                for (int64_t c = 0; c < cols; c++) {
                    K(gemm_dots_one)(p->k, left, a->row, right + c * b->col, b->col, tile + c);
                }
            }
            K(gemm_update)(p, tile, i, rows, j, cols, p->accumulate, 1);
        }
    }
}

/* The same product transposed: C^T = B^T A^T. */
static void K(gemm_turn)(K(gemm_problem) *p, K(gemm_matrix) *a, K(gemm_matrix) *b) {
    K(gemm_problem) q = *p;
    K(gemm_matrix) left = *a;
    p->m = q.n, p->n = q.m;
    p->c_row = q.c_col, p->c_col = q.c_row;
    p->bias_col = q.bias_row, p->bias_row = q.bias_col;
    p->residual_row = q.residual_col, p->residual_col = q.residual_row;
    *a = (K(gemm_matrix)){b->data, b->col, b->row};
    *b = (K(gemm_matrix)){left.data, left.col, left.row};
}

/* C = A B for strided A and B, by the team (every thread calls it; a barrier between two runs, as
 * for gemm_run) or alone (t->nth == 1, shared then being scratch + gemm_scratch_bytes()). p says
 * everything but how to pack. The way taken depends on sizes and strides only. */
static __attribute__((unused)) void K(gemm_strided)(const K(gemm_problem) *problem,
                                                    K(gemm_matrix) a, K(gemm_matrix) b,
                                                    const team *t, void *scratch, void *shared) {
    K(gemm_problem) p = *problem;
    if (p.k == 0) {
        K(gemm_empty)(&p, t);
        return;
    }
    if ((p.n == 1 && p.m > 1) || (p.m > 1 && p.c_row == 1 && p.c_col != 1)) {
        K(gemm_turn)(&p, &a, &b);
    }
    if (p.k == 1 && b.col == 1) {
        K(gemm_outer)(&p, &a, &b, t);
    } else if (p.m == 1 && p.n > 1 && b.col == 1) {
        K(gemm_row)(&p, &a, &b, t);
    } else if (p.m <= GEMM_DOTS_MOST && a.col == 1 && b.row == 1) {
        K(gemm_dots)(&p, &a, &b, t);
    } else if (K(gemm_is_direct)(&p, &a, &b)) {
        K(gemm_direct)(&p, &a, &b, t, scratch);
    } else {
        p.pack_a = K(gemm_pack_rows), p.a = &a;
        p.pack_b = K(gemm_pack_cols), p.b = &b;
        K(gemm_run)(&p, t, scratch, shared);
    }
}
