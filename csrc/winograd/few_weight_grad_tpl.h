/* The gradient of the weight where tiles are few: the sums of a square of channels and columns are
 * complete at once, so they are mapped to weights while they are in the thread's cache.
 *
 * Loops: all windows and gradients are mapped first, by the team; then each thread takes its own
 * squares: columns by groups whose mapped gradients stay in L2, channels by vectors, columns by
 * GEMM_NR; the 36 points, channels by WINOGRAD_HEIGHT, tiles.
 */

#ifndef PYAD_WINOGRAD_FEW_WEIGHT_GRAD
#define PYAD_WINOGRAD_FEW_WEIGHT_GRAD
#define WINOGRAD_FEW_CHANNELS 2048     /* and columns: up to so many are mapped at once */
#define WINOGRAD_FEW_BYTES (3 << 18)   /* of mapped gradients that stay in L2 */
#define WINOGRAD_SQUARE (VL * GEMM_NR) /* sums of a point */
#endif

/* Whether all tiles are summed at once: by shape alone. */
static int K(winograd_sums_few)(const winograd_shape *s) {
    return winograd_tiles(s) <= WINOGRAD_SUM_TILES &&
           s->channels + s->columns <= WINOGRAD_FEW_CHANNELS;
}

/* Columns up to a whole number of squares. */
static int64_t K(winograd_few_columns)(const winograd_shape *s) {
    return pyad_ceil_div(s->columns, GEMM_NR) * GEMM_NR;
}

static int64_t K(winograd_few_sums_shared)(const winograd_shape *s) {
    int64_t tiles = winograd_tiles(s);
    return K(winograd_block_size)(WINOGRAD_BIAS + 1, s->channels, tiles) +
           K(winograd_block_size)(WINOGRAD_BIAS + 1, K(winograd_few_columns)(s), tiles);
}

/* The squares' order: groups of `span` squares side by side, in each rows of channels. */
typedef struct {
    int64_t down, across, span;
} K(winograd_squares);

static K(winograd_squares) K(winograd_squares_of)(const winograd_shape *s) {
    K(winograd_squares) q = {pyad_ceil_div(s->channels, VL),
                             K(winograd_few_columns)(s) / GEMM_NR, 1};
    int64_t bytes = WINOGRAD_POINTS * GEMM_NR * winograd_tiles(s) * (int64_t)sizeof(REAL);
    int64_t groups = pyad_ceil_div(q.across, pyad_max(1, WINOGRAD_FEW_BYTES / bytes));
    q.span = pyad_ceil_div(q.across, groups);
    return q;
}

/* The sums of a square: [point][channel][column]. */
static void K(winograd_sum_square)(const K(winograd_block) *v, const K(winograd_block) *w,
                                   int64_t panel, int64_t column, REAL *sums) {
    for (int64_t point = 0; point < WINOGRAD_POINTS; point++) {
        const REAL *right = K(winograd_at)(w, point, column / VL, 0);
        const REAL *left = K(winograd_at)(v, point, panel, 0);
        for (int64_t c = 0; c < VL; c += WINOGRAD_HEIGHT) {
            K(winograd_sum_of)(left + c, right, w->tiles * VL, w->tiles,
                               sums + point * WINOGRAD_SQUARE + c * GEMM_NR, GEMM_NR,
                               WINOGRAD_HEIGHT, 0);
        }
    }
}

/* Squares, by the threads in turns, mapped to weights. */
static void K(winograd_do_squares)(const winograd_shape *s, const winograd_bwd_w_args *a,
                                   const K(winograd_block) *v, const K(winograd_block) *w,
                                   const team *t) {
    K(winograd_squares) q = K(winograd_squares_of)(s);
    REAL *sums = t->scratch, *dw = a->dw.data, *db = a->db.data;
    team_turns turns = team_take(t, q.down * q.across, 1, q.span);
    for (int64_t i; (i = team_each(&turns)) >= 0;) {
        int64_t first = i / (q.span * q.down) * q.span;
        int64_t place = i - first * q.down, width = pyad_min(q.span, q.across - first);
        int64_t panel = place / width, column = (first + place % width) * GEMM_NR;
        K(winograd_sum_square)(v, w, panel, column, sums);
        for (int64_t l = 0; l < GEMM_NR && column + l < s->columns; l += VL) {
            int64_t lanes = pyad_min(VL, s->columns - column - l), channel = panel * VL;
            K(winograd_sums) square = {sums + l, WINOGRAD_SQUARE, GEMM_NR};
            K(winograd_collect_square)(s, &square, channel, lanes,
                                       dw + ((column + l) * s->channels + channel) * 9);
            if (db == NULL || panel > 0) continue;
            const REAL *bias = K(winograd_at)(w, WINOGRAD_BIAS, (column + l) / VL, 0);
            v_store_live(db + column + l, K(winograd_add_up)(bias, w->tiles), lanes);
        }
    }
}

static void K(winograd_weight_few)(const winograd_shape *s, const winograd_bwd_w_args *a,
                                   const team *t) {
    K(winograd_pixels) x = {a->x.data, s->height, s->width, s->channels};
    K(winograd_pixels) dy = {a->dy.data, s->out_height, s->out_width, s->columns};
    int64_t tiles = winograd_tiles(s), begin, end;
    K(winograd_block) v = {t->shared, pyad_ceil_div(s->channels, VL), tiles};
    K(winograd_block) w = {v.data + K(winograd_block_size)(WINOGRAD_BIAS + 1, s->channels, tiles),
                           K(winograd_few_columns)(s) / VL, tiles};
    team_range(t, tiles, 1, &begin, &end);
    K(winograd_map_windows)(s, &x, begin, end - begin, WINOGRAD_ALL_ROWS, &v, begin);
    K(winograd_map_gradients)(s, &dy, 0, s->columns, begin, end - begin, WINOGRAD_ALL_ROWS, &w,
                              begin);
    team_barrier(t);
    K(winograd_do_squares)(s, a, &v, &w, t);
}
