/* The matrix product C = A B that matmul, linear layers and recurrent layers share.
 *
 * Include it in a template, inside #ifdef REAL. What it offers:
 *
 *   K(gemm_problem)      m, n, k; where C goes; the epilogue
 *   K(gemm_strided)      for matrices with any strides: chooses ways of their own for vectors, few
 *                        rows and outer products
 *   K(gemm_tiled)        for a B that only a function of yours can read
 *   K(gemm_sum_columns)  the sums beside such a product: the gradient of a bias
 *   K(gemm_scratch_bytes), for PYAD_RECORD; it depends on nothing but ISA and dtype
 *
 * The products are called by every thread of a team with the same problem, or by one alone
 * (nth == 1), and return when this thread's part of C is written; no thread reads what another
 * wrote. `scratch` is gemm_scratch_bytes() of the thread's own, 64-byte aligned.
 *
 * Packing. A pack function writes one panel: `lanes` columns of B from number `lane` on, for the
 * sum's indices k .. k+depth-1, as dst[d * width + l]; lanes <= width, a multiple of VL. What it
 * writes into lanes beyond `lanes` does not matter. For strided matrices there is
 * K(gemm_pack_panel), which copies or transposes whole vectors.
 *
 * Epilogue, once the sum is complete: v = sum (+ old C) (+ bias of the column) (+ bias of the row)
 * (+ residual), then the activation. Absent pointers are NULL; zero-initialise the struct.
 *
 * Order of the sums. gemm_tiled sums every element of C over k one by one within blocks that k
 * alone decides on, and adds the blocks in order; nothing else (threads, tile, position in C, m, n)
 * enters. gemm_strided chooses among several orders by sizes and strides alone. So the bits never
 * depend on the threads.
 *
 * Loops (after Goto and van de Geijn, BLIS): bands of rows, as many as make the largest part cheapest, its
 * packing included, of which the threads take panels of columns in turns; rows by GEMM_MC and k by
 * GEMM_KC, a block of A that stays in L2; panels of NR columns of B, each of which stays near L1; tiles of
 * GEMM_MR x NR sums held in registers. A block of A is read where it lies unless its rows displace each
 * other in the caches. A panel of B is, too, if its rows are whole lines; else the thread packs it for
 * itself once a block: what other threads have packed would have to come out of their caches, which takes
 * longer. A tile calls the lines of C that it will write while it sums, those of a C that lies far away a
 * few at a time.
 */
#ifndef PYAD_GEMM
#define PYAD_GEMM
#define GEMM_NR (GEMM_NV * VL)
/* X(name, rows) for each number of rows that a tile may have besides 1: the even ones up to GEMM_MR */
#if GEMM_MR == 4
#define GEMM_HEIGHTS(X, name) X(name, 2) X(name, 4)
#elif GEMM_MR == 6
#define GEMM_HEIGHTS(X, name) X(name, 2) X(name, 4) X(name, 6)
#elif GEMM_MR == 14
#define GEMM_HEIGHTS(X, name)                                                                    \
    X(name, 2) X(name, 4) X(name, 6) X(name, 8) X(name, 10) X(name, 12) X(name, 14)
#else
#error "GEMM_HEIGHTS lacks this GEMM_MR"
#endif
#define GEMM_F64_SHARE (4 / (int64_t)sizeof(REAL) + 1) /* 2 for float32, 1 for float64 */
#define GEMM_MC_NOW (GEMM_MC * GEMM_F64_SHARE / 2)
#define GEMM_NC_NOW (GEMM_NC * GEMM_F64_SHARE / 2)
#define GEMM_PAGE (4096 / (int64_t)sizeof(REAL)) /* rows so far apart fall on one set of L1 */
/* steps of a sum that take as long as reading from L2, and from beyond */
#define GEMM_AHEAD 8
#define GEMM_FAR_AHEAD 24
#define GEMM_CALLS 8   /* lines of a far C called at once: half of those a core can wait for */
#define GEMM_SPREAD 64 /* steps of a sum from which on it pays to call the rest of them later */
/* rows of a tile that one pointer reaches: 0, 1, 2, 4 and 3 distances on; or all of a few */
#define GEMM_GROUP (GEMM_MR > 8 ? 5 : GEMM_MR)
/* a value that is not to be computed anew from others */
#define GEMM_KEEP(value) __asm__("" : "+r"(value))
/* panels that a thread takes at a time: who takes them from another reads that one's rows of A from its
 * cache, as long as two panels take */
#define GEMM_TURN 4
#define GEMM_PACKING 8 /* columns or rows whose sums take as long as packing a row or a column */
#define GEMM_NEAR_BYTES (1 << 19) /* of A's rows, or of C, that a thread's cache holds beside the panels */
/* dot products so short that adding up the lanes takes longer than packing, unless of one row alone */
#define GEMM_DOTS_SHORT (2 * VL)
#define GEMM_INLINE static inline __attribute__((always_inline))
#define GEMM_UNROLL _Pragma("GCC unroll 16")
#endif

typedef void (*K(gemm_pack_fn))(const void *context, REAL *dst, int64_t width, int64_t lane,
                                int64_t lanes, int64_t k, int64_t depth);

typedef struct {
    int64_t m, n, k;
    REAL *c;
    int64_t c_row, c_col; /* strides in elements */
    int accumulate;       /* add to C instead of overwriting it */
    const REAL *bias_col; /* n values, one for each column */
    const REAL *bias_row; /* m values, one for each row */
    const REAL *residual; /* m x n, added before the activation */
    int64_t residual_row, residual_col;
    int activation; /* PYAD_ACTIVATION_... */
    REAL p0, p1;
} K(gemm_problem);

typedef struct {
    const REAL *data;
    int64_t row, col; /* strides in elements */
} K(gemm_matrix);

/* B: a matrix, or, if `pack` is there, what it reads from its context. */
typedef struct {
    K(gemm_matrix) matrix;
    K(gemm_pack_fn) pack;
    const void *context;
} K(gemm_right);

/* ---- packing ---- */

/* `count` <= VL elements of VL lanes, those past `lanes` zero, as `count` vectors. */
GEMM_INLINE void K(gemm_load_turned)(const REAL *src, int64_t lane_step, int64_t lanes,
                                     int64_t count, vec *v) {
    for (int64_t i = 0; i < VL; i++) {
        const REAL *from = src + i * lane_step;
        v[i] = i >= lanes ? (vec){0} : count == VL ? v_load(from) : v_load_n(from, count);
    }
    K(v_transpose)(v, (int)VL);
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
    vec v[VL];
    int64_t d = 0;
    for (; d + VL <= depth; d += VL, dst += VL * width) {
        GEMM_UNROLL for (int64_t i = 0; i < VL; i++) {
            v[i] = v_load(src + pyad_min(i, lanes - 1) * lane_step + d);
        }
        K(v_transpose)(v, (int)VL);
        GEMM_UNROLL for (int64_t i = 0; i < VL; i++) v_store(dst + i * width, v[i]);
    }
    if (d == depth) return;
    for (int64_t i = 0; i < VL; i++) {
        v[i] = v_load_n(src + pyad_min(i, lanes - 1) * lane_step + d, depth - d);
    }
    K(v_transpose)(v, (int)VL);
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

/* A whole block of a matrix whose columns lie along memory, as panels of `height` rows: column by
 * column, so that what lies side by side is read at once. */
static void K(gemm_pack_columns)(REAL *restrict packed, int64_t height, int64_t rows, int64_t depth,
                                 const REAL *restrict from, int64_t step) {
    for (int64_t d = 0; d < depth; d++, from += step, packed += height) {
        REAL *to = packed;
        for (int64_t i = 0; i < rows; i += height, to += height * depth) {
            int64_t count = pyad_min(height, rows - i);
            for (int64_t l = 0; l < count; l += VL) {
                int64_t n = pyad_min(VL, count - l);
                v_store_n(to + l, v_load_n(from + i + l, n), n);
            }
        }
    }
}

/* ---- the tile ---- */

/* Ask for `count` elements that a tile reads some steps of the sum later. They may begin anywhere
 * in a line. */
GEMM_INLINE void K(gemm_read_ahead)(const REAL *later, const int64_t count) {
    GEMM_UNROLL for (int64_t j = 0; j < count; j += LINE) __builtin_prefetch(later + j);
    if (count % LINE > LINE / 2) __builtin_prefetch(later + count - 1);
}

/* Call `count` elements of a row of C into L2: in L1, rows at a distance of a power of two would displace
 * each other and the packed panels. */
GEMM_INLINE void K(gemm_await)(const REAL *row, const int64_t count) {
    GEMM_UNROLL for (int64_t j = 0; j < count; j += LINE) __builtin_prefetch(row + j, 1, 2);
}

/* What a tile is to do: to[i * to_row + j] = sum over d of a[i, d] b[d, j], where a[i, d] lies at
 * a[i * a_lane + d * a_depth] and b[d, j] at b[d * b_depth + j]; with `add`, what was there is added to
 * the sum. `awaited`, `awaited_row` apart, are the rows of C that the sums will go to, there or through
 * `to`; `spread`: they come from afar. */
typedef struct {
    int64_t depth;
    const REAL *a;
    int64_t a_lane, a_depth;
    const REAL *b;
    int64_t b_depth;
    REAL *to;
    int64_t to_row;
    const REAL *awaited;
    int64_t awaited_row;
    int add, spread;
} K(gemm_sums);

/* rows x nv vectors of sums. rows, nv and a_lane of a packed panel are constants after inlining, which
 * keeps the sums in registers. Of rows that stand apart, groups of GEMM_GROUP have a pointer each: within
 * a group one register and its multiples reach every row; the distances of all rows would be too many
 * for the registers.
 *
 * The lines of C are called while the sums are made. If they come from afar, some in each stretch of the
 * sum, so that the last have come by its end: all at once they would keep the lines of a and b waiting. */
GEMM_INLINE void K(gemm_tile_of)(const K(gemm_sums) *t, const int64_t rows, const int64_t nv,
                                 const int64_t a_lane) {
    const int side_by_side = __builtin_constant_p(a_lane) && a_lane == 1;
    const int64_t group = side_by_side ? rows : GEMM_GROUP;
    const int64_t a_depth = t->a_depth, b_depth = t->b_depth, to_row = t->to_row;
    const int64_t few = pyad_max(1, GEMM_CALLS * LINE / (nv * VL)), calls = (rows + few - 1) / few;
    const int spread = calls > 1 && t->spread;
    const int64_t at_once = spread ? few : rows; /* rows of C */
    const int64_t stretch = spread ? t->depth / (calls + 1) + 1 : t->depth;
    const REAL *left_of[(GEMM_MR + GEMM_GROUP - 1) / GEMM_GROUP], *b = t->b;
    const REAL *awaited = t->awaited;
    REAL *to = t->to;
    vec sum[GEMM_MR][GEMM_NV];
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = (vec){0};
    }
    GEMM_UNROLL for (int64_t i = 0; i * group < rows; i++) {
        left_of[i] = t->a + i * group * a_lane;
        if (rows > group) GEMM_KEEP(left_of[i]);
    }
    for (int64_t rest = t->depth, called = 0; rest > 0; rest -= stretch) {
        int64_t until = pyad_min(called + at_once, rows);
        for (; called < until; called++, awaited += t->awaited_row) K(gemm_await)(awaited, nv * VL);
        for (int64_t d = pyad_min(rest, stretch); d > 0; d--, b += b_depth) {
            vec right[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(b + j * VL);
            K(gemm_read_ahead)(b + GEMM_AHEAD * b_depth, nv * VL);
            if (side_by_side) K(gemm_read_ahead)(left_of[0] + GEMM_AHEAD * a_depth, rows);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec left = v_set1(left_of[i / group][i % group * a_lane]);
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    sum[i][j] = v_fma(left, right[j], sum[i][j]);
                }
            }
            GEMM_UNROLL for (int64_t i = 0; i * group < rows; i++) left_of[i] += a_depth;
        }
    }
    if (t->add) {
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
    static void PYAD_JOIN(K(name), rows)(const K(gemm_sums) *t) {                                \
        K(gemm_tile_of)(t, rows, nv, lane);                                                      \
    }
#define GEMM_TILE(none, rows)                                                                    \
    GEMM_TILE_(gemm_tile_n, rows, 1, 1)                                                          \
    GEMM_TILE_(gemm_tile_w, rows, GEMM_NV, 1)                                                    \
    GEMM_TILE_(gemm_tile_lanes_n, rows, 1, t->a_lane)                                            \
    GEMM_TILE_(gemm_tile_lanes_w, rows, GEMM_NV, t->a_lane)
#define GEMM_PAIR(name, rows) {PYAD_JOIN(K(name##_n), rows), PYAD_JOIN(K(name##_w), rows)},

GEMM_TILE(, 1)
GEMM_HEIGHTS(GEMM_TILE, )

#define GEMM_TILES(name) {GEMM_PAIR(name, 1) GEMM_HEIGHTS(GEMM_PAIR, name)}

typedef void (*K(gemm_tile_fn))(const K(gemm_sums) *t);

/* [rows / 2][more than one vector] */
static const K(gemm_tile_fn) K(gemm_tiles)[GEMM_MR / 2 + 1][2] = GEMM_TILES(gemm_tile);
static const K(gemm_tile_fn) K(gemm_tiles_lanes)[GEMM_MR / 2 + 1][2] = GEMM_TILES(gemm_tile_lanes);

#undef GEMM_TILE_
#undef GEMM_TILE
#undef GEMM_PAIR
#undef GEMM_TILES

/* ---- the epilogue ---- */

/* n <= VL elements `step` apart */
GEMM_INLINE vec K(gemm_load_row)(const REAL *p, int64_t step, int64_t n) {
    if (step == 1) return v_load_live(p, n);
    vec v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i * step];
    return v;
}

GEMM_INLINE void K(gemm_store_row)(REAL *p, int64_t step, vec v, int64_t n) {
    if (step == 1) {
        v_store_live(p, v, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) p[i * step] = v[i];
}

GEMM_INLINE vec K(gemm_activate)(vec v, int activation, REAL p0, REAL p1) {
    if (activation == PYAD_ACTIVATION_CLAMP) return v_min(v_set1(p1), v_max(v_set1(p0), v));
    if (activation == PYAD_ACTIVATION_LEAKY) return v_select(v < (vec){0}, v * v_set1(p0), v);
    return v;
}

/* n <= VL sums of C from (row, col) on: biases, residual, activation. */
GEMM_INLINE vec K(gemm_finish)(const K(gemm_problem) *p, vec v, int64_t row, int64_t col,
                               int64_t n) {
    if (p->bias_col != NULL) v += v_load_live(p->bias_col + col, n);
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
           p->activation == PYAD_ACTIVATION_NONE;
}

/* A linear layer's case: C's rows along memory, a bias of the columns, at most a clamp, which is one
 * without bounds where there is none. */
GEMM_INLINE int K(gemm_is_linear)(const K(gemm_problem) *p) {
    return p->c_col == 1 && p->bias_col != NULL && p->bias_row == NULL && p->residual == NULL &&
           p->activation != PYAD_ACTIVATION_LEAKY;
}

static void K(gemm_update_linear)(const K(gemm_problem) *p, const REAL *restrict tile, int64_t row,
                                  int64_t rows, int64_t col, int64_t cols, int add) {
    int bounded = p->activation == PYAD_ACTIVATION_CLAMP;
    vec low = v_set1(bounded ? p->p0 : (REAL)-INFINITY);
    vec high = v_set1(bounded ? p->p1 : (REAL)INFINITY);
    for (int64_t j = 0; j < cols; j += VL) {
        int64_t n = pyad_min(VL, cols - j);
        REAL *restrict c = p->c + row * p->c_row + col + j;
        vec bias = v_load_live(p->bias_col + col + j, n);
        for (int64_t i = 0; i < rows; i++, c += p->c_row) {
            vec v = v_load(tile + i * GEMM_NR + j);
            if (add) v += v_load_live(c, n);
            v_store_live(c, v_min(high, v_max(low, v + bias)), n);
        }
    }
}

/* Bring a tile of sums into C at (row, col). */
static void K(gemm_update)(const K(gemm_problem) *p, const REAL *restrict tile, int64_t row,
                           int64_t rows, int64_t col, int64_t cols, int add, int last) {
    if (p->c_col == 1 && (!last || K(gemm_is_plain)(p))) {
        K(gemm_update_plain)(p->c + row * p->c_row + col, p->c_row, tile, rows, cols, add);
        return;
    }
    if (last && K(gemm_is_linear)(p)) {
        K(gemm_update_linear)(p, tile, row, rows, col, cols, add);
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
 * rows are as many as a tile may have, and the tile has a whole number of vectors. Where the sums go is
 * filled in here. */
GEMM_INLINE void K(gemm_fill)(const K(gemm_problem) *p, const K(gemm_patch) *s, K(gemm_tile_fn) run,
                              K(gemm_sums) *sums) {
    _Alignas(PYAD_LINE_BYTES) REAL tile[GEMM_MR * GEMM_NV * VL];
    REAL *c = p->c + s->row * p->c_row + s->col * p->c_col;
    int along = p->c_col == 1, whole = s->cols == VL || s->cols == GEMM_NR;
    int straight = along && whole && (!s->last || K(gemm_is_plain)(p));
    sums->awaited = along ? c : tile;
    sums->awaited_row = along ? p->c_row : GEMM_NR;
    sums->to = straight ? c : tile;
    sums->to_row = straight ? p->c_row : GEMM_NR;
    sums->add = straight && s->add;
    run(sums);
    if (!straight) K(gemm_update)(p, tile, s->row, s->rows, s->col, s->cols, s->add, s->last);
}

/* ---- sizes ---- */

/* A length of nearly equal parts of `count`, at most `most` (a multiple of `unit`) each. */
GEMM_INLINE int64_t K(gemm_even)(int64_t count, int64_t most, int64_t unit) {
    if (count <= most) return count;
    return pyad_ceil_div(count, pyad_ceil_div(count, most) * unit) * unit;
}

/* The height of the panels into which `rows` rows are cut: even, near GEMM_MR, nearly no rest. */
static int64_t K(gemm_height)(int64_t rows) {
    if (rows <= GEMM_MR) return (rows + 1) / 2 * 2;
    int64_t panels = pyad_ceil_div(rows, GEMM_MR);
    return pyad_ceil_div(rows, 2 * panels) * 2;
}

/* Heights that have a tile: even, or 1. */
static int64_t K(gemm_fit)(int64_t rows) { return rows > 1 ? rows / 2 * 2 : rows; }

/* ---- the loops ---- */

/* packed panels of B, then a block of A and what its packing writes past the end */
static inline int64_t K(gemm_scratch_bytes)(void) {
    int64_t elements = GEMM_KC * GEMM_NC_NOW + (GEMM_MC_NOW + GEMM_MR) * GEMM_KC + VL;
    return elements * (int64_t)sizeof(REAL) / PYAD_LINE_BYTES * PYAD_LINE_BYTES + PYAD_LINE_BYTES;
}

/* Rows row .. row_end-1, sums over k .. k+depth-1, panels begin .. end-1 of columns. Of several
 * blocks of rows, the first one packs what panels of B must be, and the others find them. */
typedef struct {
    int64_t row, row_end, k, depth, begin, end;
    int several, packed;
} K(gemm_block);

/* The block's rows of A, where they lie or packed, as panels of `height` rows. */
typedef struct {
    const REAL *data;
    int64_t height, panel, lane, step; /* rows; from panel to panel, row to row, k to k */
    const K(gemm_tile_fn) (*tiles)[2];
} K(gemm_left);

/* Whether elements a tile needs at once, or a block needs again, displace each other. */
static int K(gemm_collides)(const K(gemm_matrix) *a, const K(gemm_block) *s) {
    if (s->row_end - s->row <= 2 * GEMM_MR && s->end - s->begin <= 2) return 0;
    if (a->row != 1 && a->col != 1) return 1;
    if (a->row == 1 && GEMM_MR < LINE / 2) return 1;
    return (a->row == 1 ? a->col : a->row) % GEMM_PAGE == 0;
}

static K(gemm_left) K(gemm_take_rows)(const K(gemm_matrix) *a, const K(gemm_block) *s,
                                      REAL *packed) {
    const REAL *from = a->data + s->row * a->row + s->k * a->col;
    int64_t rows = s->row_end - s->row, height = K(gemm_height)(rows);
    if (!K(gemm_collides)(a, s)) {
        return (K(gemm_left)){from, height, height * a->row, a->row, a->col,
                              a->row == 1 ? K(gemm_tiles) : K(gemm_tiles_lanes)};
    }
    if (a->row == 1) {
        K(gemm_pack_columns)(packed, height, rows, s->depth, from, a->col);
    } else {
        for (int64_t i = 0; i < rows; i += height) {
            K(gemm_pack_panel)(packed + i * s->depth, height, pyad_min(height, rows - i), s->depth,
                               from + i * a->row, a->row, a->col);
        }
    }
    return (K(gemm_left)){packed, height, height * s->depth, 1, height, K(gemm_tiles)};
}

/* A panel of columns of B, where it lies or packed. */
typedef struct {
    const REAL *data;
    int64_t step, col, cols; /* from k to k; the columns */
} K(gemm_panel);

/* Whether many rows of A are worth packed panels of B. */
static int K(gemm_packs)(const K(gemm_right) *b) {
    if (b->pack != NULL || b->matrix.col != 1) return 1;
    return b->matrix.row % LINE != 0 || b->matrix.row % GEMM_PAGE == 0;
}

/* Whether panels of B are read where they lie: their rows are whole lines, or read so rarely that
 * packing would cost more, and do not displace each other before the next block of rows. */
static int K(gemm_in_place)(const K(gemm_right) *b, const K(gemm_block) *s, int64_t cols) {
    if (b->pack != NULL || b->matrix.col != 1 || cols % VL != 0) return 0;
    if (!s->several && s->row_end - s->row < 64) return 1;
    return !K(gemm_packs)(b);
}

static K(gemm_panel) K(gemm_take_columns)(const K(gemm_problem) *p, const K(gemm_right) *b,
                                          const K(gemm_block) *s, int64_t number, REAL *packed) {
    int64_t col = number * GEMM_NR, cols = pyad_min(GEMM_NR, p->n - col);
    const K(gemm_matrix) *m = &b->matrix;
    const REAL *from = m->data + s->k * m->row + col * m->col;
    if (K(gemm_in_place)(b, s, cols)) return (K(gemm_panel)){from, m->row, col, cols};
    int64_t width = cols > VL ? GEMM_NR : VL;
    if (s->several) packed += (number - s->begin) * GEMM_NR * s->depth;
    if (s->packed) return (K(gemm_panel)){packed, width, col, cols};
    if (b->pack != NULL) {
        b->pack(b->context, packed, width, col, cols, s->k, s->depth);
    } else {
        K(gemm_pack_panel)(packed, width, cols, s->depth, from, m->col, m->row);
    }
    return (K(gemm_panel)){packed, width, col, cols};
}

/* The block's rows times a panel. */
static void K(gemm_multiply)(const K(gemm_problem) *p, const K(gemm_block) *block,
                             const K(gemm_left) *a, const K(gemm_panel) *b) {
    K(gemm_patch) s = {.col = b->col, .cols = b->cols, .add = p->accumulate || block->k > 0,
                       .last = block->k + block->depth == p->k};
    int far = p->m * p->n * (int64_t)sizeof(REAL) > GEMM_NEAR_BYTES;
    K(gemm_sums) sums = {.depth = block->depth, .a_lane = a->lane, .a_depth = a->step, .b = b->data,
                         .b_depth = b->step, .spread = far && block->depth >= GEMM_SPREAD};
    const REAL *from = a->data;
    for (int64_t row = block->row; row < block->row_end; row += a->height, from += a->panel) {
        int64_t end = pyad_min(row + a->height, block->row_end);
        for (s.row = row; s.row < end; s.row += s.rows) {
            s.rows = K(gemm_fit)(end - s.row);
            sums.a = from + (s.row - row) * a->lane;
            K(gemm_fill)(p, &s, a->tiles[s.rows / 2][s.cols > VL], &sums);
        }
    }
}

/* Sums of nothing: this thread's rows of C. */
static void K(gemm_empty)(const K(gemm_problem) *p, const team *t) {
    int64_t begin, end;
    REAL zeros[GEMM_NV * VL] = {0};
    team_range(t, p->m, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        for (int64_t j = 0; j < p->n; j += GEMM_NR) {
            K(gemm_update)(p, zeros, i, 1, j, pyad_min(GEMM_NR, p->n - j), p->accumulate, 1);
        }
    }
}

static void K(gemm_do_block)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                             const K(gemm_right) *b, const K(gemm_block) *s, REAL *scratch) {
    K(gemm_left) left = K(gemm_take_rows)(a, s, scratch + GEMM_KC * GEMM_NC_NOW);
    for (int64_t j = s->begin; j < s->end; j++) {
        K(gemm_panel) right = K(gemm_take_columns)(p, b, s, j, scratch);
        K(gemm_multiply)(p, s, &left, &right);
    }
}

/* Rows row .. row_end-1 and panels begin .. end-1 of C. */
static void K(gemm_do_part)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                            const K(gemm_right) *b, int64_t row, int64_t row_end, int64_t begin,
                            int64_t end, REAL *scratch) {
    int64_t depth = K(gemm_even)(p->k, GEMM_KC, 1);
    int64_t rows = K(gemm_even)(row_end - row, GEMM_MC_NOW, GEMM_MR);
    K(gemm_block) s = {.begin = begin, .several = rows < row_end - row};
    for (; s.begin < end; s.begin = s.end) {
        s.end = pyad_min(end, s.begin + GEMM_NC_NOW / GEMM_NR);
        for (s.k = 0; s.k < p->k; s.k += s.depth) {
            s.depth = pyad_min(depth, p->k - s.k);
            for (s.row = row; s.row < row_end; s.row = s.row_end) {
                s.row_end = pyad_min(row_end, s.row + rows);
                s.packed = s.row > row;
                K(gemm_do_block)(p, a, b, &s, scratch);
            }
        }
    }
}

/* ---- who does what ---- */

/* How many bands of rows C is cut into, whose panels of columns the threads share out, so that the largest
 * part costs least, the packing of its rows of A and of its columns of B included; of equals the most bands,
 * whose parts are A's and C's memory in order. */
static int64_t K(gemm_bands)(const K(gemm_problem) *p, const K(gemm_matrix) *a, const K(gemm_right) *b,
                             const team *t) {
    const K(gemm_block) all = {.row_end = p->m, .end = pyad_ceil_div(p->n, GEMM_NR)};
    int64_t left = K(gemm_collides)(a, &all) ? GEMM_PACKING : 0;
    int64_t right = K(gemm_packs)(b) ? GEMM_PACKING : 0;
    int64_t best = 1, least = INT64_MAX;
    for (int64_t down = t->nth; down >= 1; down--) {
        int64_t across = t->nth / down;
        int64_t rows = pyad_ceil_div(p->m, 2 * down) * 2;
        int64_t cols = pyad_min(pyad_ceil_div(all.end, across) * GEMM_NR, pyad_ceil_div(p->n, VL) * VL);
        int64_t cost = (rows + right) * cols + left * rows * pyad_ceil_div(cols, GEMM_NC_NOW);
        if (cost < least) {
            least = cost;
            best = down;
        }
    }
    return best;
}

/* Panels of a piece that a thread takes: as many as a block has where its rows of A must be packed, or come
 * from afar, for each piece. */
static int64_t K(gemm_least)(const K(gemm_problem) *p, const K(gemm_matrix) *a, int64_t rows,
                             int64_t panels) {
    K(gemm_block) s = {.row_end = rows, .depth = p->k, .end = panels};
    int far = rows * p->k * (int64_t)sizeof(REAL) > GEMM_NEAR_BYTES || K(gemm_collides)(a, &s);
    return far ? GEMM_NC_NOW / GEMM_NR : GEMM_TURN;
}

static void K(gemm_tiled)(const K(gemm_problem) *p, const K(gemm_matrix) *a,
                          const K(gemm_right) *b, const team *t, REAL *scratch) {
    if (p->k == 0) {
        K(gemm_empty)(p, t);
        return;
    }
    int64_t bands = K(gemm_bands)(p, a, b, t), begin, end;
    int64_t panels = pyad_ceil_div(p->n, GEMM_NR), pairs = pyad_ceil_div(p->m, 2);
    team_turns turns = team_take(t, bands * panels, 1, K(gemm_least)(p, a, 2 * pairs / bands, panels));
    while (team_next(&turns, &begin, &end)) {
        for (int64_t next; begin < end; begin = next) {
            int64_t band = begin / panels, first = band * panels;
            next = pyad_min(end, first + panels);
            K(gemm_do_part)(p, a, b, pairs * band / bands * 2,
                            pyad_min(p->m, pairs * (band + 1) / bands * 2), begin - first,
                            next - first, scratch);
        }
    }
}

/* ---- what is too thin for tiles ---- */

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
    _Alignas(PYAD_LINE_BYTES) REAL out[8 * VL];
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
            K(gemm_put)(p, left * v_load_live(b->data + j, n), i, j, n, p->accumulate, 1);
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
    _Alignas(PYAD_LINE_BYTES) REAL tile[GEMM_DOT_ROWS * GEMM_NV * VL];
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

/* C = A B for strided A and B, by the team or alone. The way taken depends on sizes and strides
 * only. */
static __attribute__((unused)) void K(gemm_strided)(const K(gemm_problem) *problem,
                                                    K(gemm_matrix) a, K(gemm_matrix) b,
                                                    const team *t, void *scratch) {
    K(gemm_problem) p = *problem;
    if ((p.n == 1 && p.m > 1) || (p.m > 1 && p.c_row == 1 && p.c_col != 1)) {
        K(gemm_turn)(&p, &a, &b);
    }
    if (p.k == 1 && b.col == 1) {
        K(gemm_outer)(&p, &a, &b, t);
    } else if (p.k > 0 && p.m == 1 && p.n > 1 && b.col == 1) {
        K(gemm_row)(&p, &a, &b, t);
    } else if (p.k > 0 && p.m <= GEMM_DOTS_MOST && (p.m == 1 || p.k > GEMM_DOTS_SHORT) &&
               a.col == 1 && b.row == 1) {
        K(gemm_dots)(&p, &a, &b, t);
    } else {
        K(gemm_tiled)(&p, &a, &(K(gemm_right)){.matrix = b}, t, scratch);
    }
}

/* ---- sums of columns ---- */

#define GEMM_SUM_ROWS 128 /* rows before their sum is added to the total: keeps it precise */

/* nv vectors of columns of which the last one has `n`. */
GEMM_INLINE void K(gemm_sum_of)(const int64_t nv, const K(gemm_matrix) *x, int64_t rows,
                                int64_t col, int64_t n, REAL *out, int64_t step) {
    const REAL *from = x->data + col * x->col;
    vec total[4] = {{0}};
    for (int64_t i = 0; i < rows; i += GEMM_SUM_ROWS) {
        vec sum[4] = {{0}};
        for (int64_t r = i; r < pyad_min(rows, i + GEMM_SUM_ROWS); r++) {
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                const REAL *at = from + r * x->row + j * VL * x->col;
                sum[j] += K(gemm_load_row)(at, x->col, j == nv - 1 ? n : VL);
            }
        }
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) total[j] += sum[j];
    }
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        K(gemm_store_row)(out + (col + j * VL) * step, step, total[j], j == nv - 1 ? n : VL);
    }
}

/* Column number j of x into out[j * step], for begin <= j < end. */
static __attribute__((unused)) void K(gemm_sum_columns)(const K(gemm_matrix) *x, int64_t rows,
                                                        int64_t begin, int64_t end, REAL *out,
                                                        int64_t step) {
    int64_t j = begin;
    for (; j + 4 * VL <= end; j += 4 * VL) K(gemm_sum_of)(4, x, rows, j, VL, out, step);
    for (; j < end; j += VL) {
        K(gemm_sum_of)(1, x, rows, j, pyad_min(VL, end - j), out, step);
    }
}
