/* The output where tiles are few: mapped weights would be written and read once or twice, so they
 * had better not leave the thread's cache.
 *
 * Loops: all windows are mapped first, by the team; then panels of columns, which the threads take in
 * turns; channels by WINOGRAD_DEPTH, whose weights it maps; the points, vectors of columns,
 * tiles.
 */

#ifndef PYAD_WINOGRAD_FEW
#define PYAD_WINOGRAD_FEW
#define WINOGRAD_FEW_TILES 128 /* up to which mapped weights stay with the thread */
#define WINOGRAD_DEPTH 64      /* channels of them at a time */
/* elements from point to point of a thread's mapped weights: no two on one set of the cache */
#define WINOGRAD_POINT (WINOGRAD_DEPTH * WINOGRAD_WIDTH + LINE)
#endif

/* Whether mapped weights meet so few tiles that they had better not leave the thread's cache: by
 * shape alone. */
static int K(winograd_is_few)(const winograd_shape *s) {
    return winograd_tiles(s) <= WINOGRAD_FEW_TILES && s->channels >= WINOGRAD_DEPTH;
}

/* What a thread holds: sums of a panel for all tiles, a part of the panel's mapped weights. */
static int64_t K(winograd_few_scratch)(const winograd_shape *s) {
    return K(winograd_block_size)(s->points, WINOGRAD_WIDTH, winograd_tiles(s) + GEMM_MR) +
           s->points * WINOGRAD_POINT;
}

static int64_t K(winograd_few_shared)(const winograd_shape *s) {
    return K(winograd_block_size)(s->points, s->channels, winograd_tiles(s) + GEMM_MR);
}

/* Add to the sums of a panel the products with channels channel .. channel+count-1. */
static void K(winograd_add_panel)(const K(winograd_job) *job, int64_t tiles, int64_t channel,
                                  int64_t count, int64_t columns, const REAL *mapped) {
    int64_t height = K(gemm_height)(tiles);
    K(winograd_product) p = {.u = mapped, .channels = count, .v_panel = job->v.tiles * VL,
                             .m_panel = job->m.tiles * VL, .add = channel > 0};
    for (int64_t point = 0; point < job->shape->points; point++) {
        for (int64_t j = 0; j < columns; j += GEMM_NR) {
            p.u = mapped + point * WINOGRAD_POINT + j;
            for (int64_t i = 0; i < tiles; i += height) {
                p.v = K(winograd_at)(&job->v, point, channel / VL, i);
                p.m = K(winograd_at)(&job->m, point, j / VL, i);
                int64_t rows = pyad_min(height, tiles - i);
                K(winograd_tile_table)[(rows - 1) / 2][columns - j > VL](&p);
            }
        }
    }
}

/* A panel of columns, whose weights are mapped and used for WINOGRAD_DEPTH channels at a time. */
static void K(winograd_few_panel)(const K(winograd_job) *job, const K(winograd_weights) *w,
                                  int64_t panel, REAL *mapped) {
    const winograd_shape *s = job->shape;
    int64_t tiles = winograd_tiles(s), column = panel * WINOGRAD_WIDTH;
    int64_t columns = pyad_min(WINOGRAD_WIDTH, s->columns - column);
    for (int64_t c = 0; c < s->channels; c += WINOGRAD_DEPTH) {
        int64_t count = pyad_min(WINOGRAD_DEPTH, s->channels - c);
        K(winograd_map_weights)(w, s->step, panel, c, count, mapped, WINOGRAD_POINT);
        K(winograd_add_panel)(job, tiles, c, count, columns, mapped);
    }
    K(winograd_map_sums)(job, 0, tiles, column, columns);
}

/* All windows are mapped first; then the threads take panels of columns in turns. */
static void K(winograd_run_few)(K(winograd_job) *job, const K(winograd_weights) *w,
                                const team *t) {
    const winograd_shape *s = job->shape;
    K(winograd_pixels) x = {job->x, s->height, s->width, s->channels};
    int64_t tiles = winograd_tiles(s), begin, end;
    job->v = (K(winograd_block)){t->shared, pyad_ceil_div(s->channels, VL), tiles + GEMM_MR};
    job->m = (K(winograd_block)){t->scratch, WINOGRAD_WIDTH / VL, tiles + GEMM_MR};
    REAL *mapped =
        (REAL *)t->scratch + K(winograd_block_size)(s->points, WINOGRAD_WIDTH, tiles + GEMM_MR);
    team_range(t, tiles, 1, &begin, &end);
    K(winograd_map_windows)(s, &x, begin, end - begin, WINOGRAD_ALL_ROWS, &job->v, begin);
    team_barrier(t);
    team_turns turns = team_take(t, pyad_ceil_div(s->columns, WINOGRAD_WIDTH), 1, 1);
    for (int64_t panel; (panel = team_each(&turns)) >= 0;) {
        K(winograd_few_panel)(job, w, panel, mapped);
    }
}
