/* The gradient of the weight, and of the bias beside it: sums over all tiles of mapped windows
 * times mapped gradients, a number for each point, channel and column, then mapped to 3 x 3
 * weights (G' s G).
 *
 * Where all tiles are one block, few_weight_grad_tpl.h does better.
 *
 * Loops: groups of columns; blocks of tiles, which are mapped; points and columns, for each of which
 * a thread adds to the sums; channels by WINOGRAD_HEIGHT and tiles, for which the sums stay in
 * registers. Of two or three threads each maps and sums its own rows of points, so that nothing
 * goes from one's cache to the other's but the sums, in the end.
 */

#ifndef PYAD_WINOGRAD_WEIGHT_GRAD
#define PYAD_WINOGRAD_WEIGHT_GRAD
#define WINOGRAD_HEIGHT (VL < 8 ? VL : GEMM_MR < 8 ? 4 : 8) /* channels of a tile of sums */
#endif

/* What the team shares: mapped windows and gradients of some tiles, the sums of a group. */
typedef struct {
    K(winograd_block) v, w;
    REAL *sums; /* [point][channel][columns of a group] */
    REAL *bias; /* columns of a group */
} K(winograd_pool);

static K(winograd_pool) K(winograd_pool_of)(const winograd_shape *s, REAL *memory) {
    K(winograd_pool) p;
    p.v = (K(winograd_block)){memory, pyad_ceil_div(s->channels, VL), s->sum_tiles};
    p.w = (K(winograd_block)){
        memory + K(winograd_block_size)(WINOGRAD_BIAS + 1, s->channels, s->sum_tiles),
        s->group / VL, s->sum_tiles};
    p.sums = p.w.data + K(winograd_block_size)(WINOGRAD_BIAS + 1, s->group, s->sum_tiles);
    p.bias = p.sums + WINOGRAD_POINTS * pyad_ceil_div(s->channels, VL) * VL * s->group;
    return p;
}

static int64_t K(winograd_pool_size)(const winograd_shape *s) {
    K(winograd_pool) p = K(winograd_pool_of)(s, NULL);
    return p.bias - p.v.data + s->group;
}

/* One tile of sums: rows channels x nv vectors of columns, over the tiles of a block. */
GEMM_INLINE void K(winograd_sum_of)(const REAL *v, const REAL *w, int64_t w_panel, int64_t tiles,
                                    REAL *sums, int64_t step, const int64_t rows, int add) {
    vec sum[GEMM_MR][GEMM_NV];
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) sum[i][j] = (vec){0};
    }
    for (int64_t t = 0; t < tiles; t++, v += VL, w += VL) {
        vec right[GEMM_NV];
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
            right[j] = v_load(w + j * w_panel);
            K(gemm_read_ahead)(w + j * w_panel + GEMM_FAR_AHEAD * VL, VL);
        }
        K(gemm_read_ahead)(v + GEMM_FAR_AHEAD * VL, rows);
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
            vec each = v_set1(v[i]);
            GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
                sum[i][j] = v_fma(each, right[j], sum[i][j]);
            }
        }
    }
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        REAL *to = sums + i * step;
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
            v_store(to + j * VL, add ? sum[i][j] + v_load(to + j * VL) : sum[i][j]);
        }
    }
}

/* Add the products of a block's tiles to the sums of one point and GEMM_NR columns. */
static void K(winograd_add_products)(const winograd_shape *s, const K(winograd_pool) *p,
                                     int64_t point, int64_t column, int64_t tiles, int add,
                                     K(winograd_ahead) *ahead) {
    int64_t rows = p->v.panels * VL;
    const REAL *w = K(winograd_at)(&p->w, point, column / VL, 0);
    for (int64_t c = 0; c < rows; c += WINOGRAD_HEIGHT) {
        const REAL *v = K(winograd_at)(&p->v, point, c / VL, 0) + c % VL;
        REAL *sums = p->sums + (point * rows + c) * s->group + column;
        K(winograd_fetch)(ahead);
        K(winograd_fetch)(ahead + 1);
        K(winograd_sum_of)(v, w, p->w.tiles * VL, tiles, sums, s->group, WINOGRAD_HEIGHT, add);
    }
}

/* The sum of the vectors of some tiles. */
static vec K(winograd_add_up)(const REAL *w, int64_t tiles) {
    vec sum = {0};
    for (int64_t t = 0; t < tiles; t++) sum += v_load(w + t * VL);
    return sum;
}

/* Add the sums of a block's pixels, the gradient of the bias. */
static void K(winograd_add_bias)(const K(winograd_pool) *p, int64_t column, int64_t tiles,
                                 int add) {
    for (int64_t j = 0; j < GEMM_NR; j += VL) {
        const REAL *w = K(winograd_at)(&p->w, WINOGRAD_BIAS, (column + j) / VL, 0);
        vec sum = add ? v_load(p->bias + column + j) : (vec){0};
        v_store(p->bias + column + j, sum + K(winograd_add_up)(w, tiles));
    }
}

/* The points of a thread, and who shares them with it. */
typedef struct {
    team team; /* this thread's number among those, and how many they are */
    int rows;  /* of points, as bits */
    int points[WINOGRAD_POINTS];
    int64_t count; /* of points */
} K(winograd_task);

/* The rows of points of part `part` of `parts` of the team, of so many threads each. Of two parts the
 * faster one may have more of them. */
static int K(winograd_rows_of)(int64_t part, int64_t parts, int64_t members, const team *t) {
    static const int thirds[3] = {1 | 8, 2, 4}, first[WINOGRAD_SIDE] = {0, 1, 2, 1 | 2, 2 | 4, 1 | 2 | 4};
    if (parts == 1) return WINOGRAD_ALL_ROWS;
    if (parts == 3) return thirds[part];
    int64_t count = team_cut(t, WINOGRAD_SIDE, members, 0, t->nth);
    int rows = first[pyad_max(1, pyad_min(WINOGRAD_SIDE - 1, count))];
    return part == 0 ? rows : WINOGRAD_ALL_ROWS & ~rows;
}

/* Rows of points need nothing of each other: two or three parts of the team, if its threads are that
 * many or a multiple of it. */
static K(winograd_task) K(winograd_task_of)(const team *t) {
    static const int bits[WINOGRAD_SIDE] = {1, 2, 2, 4, 4, 8};
    int64_t parts = t->nth % 2 == 0 ? 2 : t->nth % 3 == 0 ? 3 : 1, members = t->nth / parts;
    K(winograd_task) p = {.team = *t};
    p.rows = K(winograd_rows_of)(t->ith / members, parts, members, t);
    p.team.ith = t->ith % members;
    p.team.nth = members;
    p.team.cuts = NULL;
    p.team.tally = NULL;
    for (int point = 0; point < WINOGRAD_POINTS; point++) {
        if (p.rows & bits[point / WINOGRAD_SIDE]) p.points[p.count++] = point;
    }
    team_note(t, WINOGRAD_POINTS * members, p.count);
    return p;
}

/* Tiles of sums of one block that are this thread's, about. */
static int64_t K(winograd_turns)(const winograd_shape *s, int64_t columns,
                                 const K(winograd_task) *mine) {
    int64_t pairs = mine->count * pyad_ceil_div(columns, GEMM_NR) / mine->team.nth;
    return pyad_max(1, pairs) * pyad_ceil_div(s->channels, WINOGRAD_HEIGHT);
}

/* This thread's (point, columns) pairs of one block. */
static void K(winograd_sum_block)(const winograd_shape *s, const K(winograd_pool) *p,
                                  int64_t columns, int64_t tiles, int add,
                                  K(winograd_ahead) *ahead, const K(winograd_task) *mine) {
    int64_t across = pyad_ceil_div(columns, GEMM_NR);
    int64_t begin, end;
    team_range(&mine->team, mine->count * across, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t point = mine->points[i / across], column = i % across * GEMM_NR;
        K(winograd_add_products)(s, p, point, column, tiles, add, ahead);
        if (point == 0) K(winograd_add_bias)(p, column, tiles, add);
    }
}

/* Sums of some channels and VL columns: steps from point to point and from channel to channel. */
typedef struct {
    const REAL *data;
    int64_t point, channel;
} K(winograd_sums);

/* dw of VL columns, `lanes` of which are there, for VL channels from `channel` on. */
static void K(winograd_collect_square)(const winograd_shape *s, const K(winograd_sums) *sums,
                                       int64_t channel, int64_t lanes, REAL *dw) {
    vec taps[(9 + 1) * VL];
    int64_t count = pyad_min(VL, s->channels - channel);
    for (int64_t c = 0; c < count; c++) {
        vec half[18], line[WINOGRAD_SIDE];
        const REAL *from = sums->data + c * sums->channel;
        for (int i = 0; i < WINOGRAD_SIDE; i++) {
            GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++, from += sums->point) {
                line[j] = v_load(from);
            }
            K(winograd_kernel_line)(line, 1, half + 3 * i, 1);
        }
        GEMM_UNROLL for (int j = 0; j < 3; j++) {
            K(winograd_kernel_line)(half + j, 3, taps + 9 * c + j, 3);
        }
    }
    for (int64_t e = 0; e < 9 * count; e += VL) {
        int64_t n = pyad_min(VL, 9 * count - e);
        K(v_transpose)(taps + e, (int)VL);
        for (int64_t l = 0; l < lanes; l++) {
            v_store_live(dw + l * s->channels * 9 + e, taps[e + l], n);
        }
    }
}

/* This thread's rows of dw and elements of db of a group whose sums are complete. */
static void K(winograd_collect)(const winograd_shape *s, const K(winograd_pool) *p, int64_t first,
                                int64_t columns, REAL *dw, REAL *db, const team *t) {
    int64_t begin, end;
    team_range(t, columns, VL, &begin, &end);
    for (int64_t j = begin; j < end; j += VL) {
        int64_t lanes = pyad_min(VL, end - j);
        REAL *rows = dw + (first + j) * s->channels * 9;
        for (int64_t c = 0; c < s->channels; c += VL) {
            K(winograd_sums) sums = {p->sums + c * s->group + j, p->v.panels * VL * s->group,
                                     s->group};
            K(winograd_collect_square)(s, &sums, c, lanes, rows + 9 * c);
        }
        if (db != NULL) v_store_live(db + first + j, v_load(p->bias + j), lanes);
    }
}

/* Map the tiles of a block from number `first` on that are this thread's. */
static void K(winograd_map_block)(const winograd_shape *s, const K(winograd_pool) *p,
                                  const K(winograd_pixels) *x, const K(winograd_pixels) *dy,
                                  int64_t column, int64_t columns, int64_t first, int64_t tiles,
                                  const K(winograd_task) *mine) {
    int64_t begin, end;
    team_range(&mine->team, tiles, 1, &begin, &end);
    K(winograd_map_windows)(s, x, first + begin, end - begin, mine->rows, &p->v, begin);
    K(winograd_map_gradients)(s, dy, column, columns, first + begin, end - begin, mine->rows, &p->w,
                              begin);
}

/* Sums of a group over all tiles, then its weights. */
static void K(winograd_weight_group)(const winograd_shape *s, const K(winograd_pool) *p,
                                     const winograd_bwd_w_args *a, int64_t column, int64_t columns,
                                     const team *t) {
    K(winograd_pixels) x = {a->x.data, s->height, s->width, s->channels};
    K(winograd_pixels) dy = {a->dy.data, s->out_height, s->out_width, s->columns};
    K(winograd_task) mine = K(winograd_task_of)(t);
    int meet = mine.team.nth > 1;
    int64_t all = winograd_tiles(s), begin, end, turns = K(winograd_turns)(s, columns, &mine);
    for (int64_t i = 0; i < all; i += s->sum_tiles) {
        int64_t tiles = pyad_min(s->sum_tiles, all - i), next = i + tiles;
        K(winograd_map_block)(s, p, &x, &dy, column, columns, i, tiles, &mine);
        if (meet) team_barrier(t);
        team_range(&mine.team, pyad_max(0, pyad_min(s->sum_tiles, all - next)), 1, &begin, &end);
        K(winograd_ahead) ahead[2] = {
            K(winograd_look_ahead)(s, &x, WINOGRAD_SIDE - s->pad_h, next + begin, next + end,
                                   turns),
            K(winograd_look_ahead)(s, &dy, WINOGRAD_STEP, next + begin, next + end, turns)};
        K(winograd_sum_block)(s, p, columns, tiles, i > 0, ahead, &mine);
        if (meet) team_barrier(t);
    }
    if (!meet) team_barrier(t);
    K(winograd_collect)(s, p, column, columns, a->dw.data, a->db.data, t);
}
