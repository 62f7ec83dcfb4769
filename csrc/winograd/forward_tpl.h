/* The output, tile by tile.
 *
 * Loops: columns by groups whose mapped weights fit the cache that threads share (mapped by the
 * team, one barrier, or `packed`); tiles, which the threads take in turns, or their own columns where
 * tiles are few, WINOGRAD_TILES at a time, whose windows it maps; WINOGRAD_SPAN columns, for which it runs the
 * products of each point (tiles x channels times channels x columns) and maps the sums to pixels
 * (A' m A). The maps would wait for memory most of their time; so while products run, which need little of it,
 * the pixels of the next windows and those to be written are asked for.
 */

#ifndef PYAD_WINOGRAD_FORWARD
#define PYAD_WINOGRAD_FORWARD
/* tiles of a thread, at a time: their points take some 1,000 vectors a panel of channels */
#define WINOGRAD_TILES(shape) ((shape)->step == WINOGRAD_STEP ? 28 : 56)
#define WINOGRAD_SPAN 64 /* columns whose sums are mapped to pixels at a time */
#endif

/* One of the products, a tile of it: rows x nv vectors of sums over channels; with `add`, they
 * continue those in m. */
typedef struct {
    const REAL *v, *u;
    REAL *m;
    int64_t channels, v_panel, m_panel;
    int add;
} K(winograd_product);

GEMM_INLINE void K(winograd_tile_of)(const K(winograd_product) *p, const int64_t rows,
                                     const int64_t nv) {
    vec sum[GEMM_MR][GEMM_NV];
    const REAL *u = p->u, *v = p->v;
    GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
            sum[i][j] = p->add ? v_load(p->m + j * p->m_panel + i * VL) : (vec){0};
        }
    }
    for (int64_t c = 0; c < p->channels; c += VL, v += p->v_panel) {
        const REAL *left = v;
        for (int64_t d = pyad_min(VL, p->channels - c); d > 0; d--, left++, u += WINOGRAD_WIDTH) {
            vec right[GEMM_NV];
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(u + j * VL);
            K(gemm_read_ahead)(u + GEMM_FAR_AHEAD * WINOGRAD_WIDTH, nv * VL);
            GEMM_UNROLL for (int64_t i = 0; i < rows; i++) {
                vec each = v_set1(left[i * VL]);
                GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                    sum[i][j] = v_fma(each, right[j], sum[i][j]);
                }
            }
        }
    }
    GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
        REAL *m = p->m + j * p->m_panel;
        GEMM_UNROLL for (int64_t i = 0; i < rows; i++) v_store(m + i * VL, sum[i][j]);
    }
}

#define WINOGRAD_TILE(name, rows)                                                                \
    static PYAD_ONCE void PYAD_JOIN(K(name##_x1), rows)(                                         \
        const K(winograd_product) *p) {                                                          \
        K(winograd_tile_of)(p, rows, 1);                                                         \
    }                                                                                            \
    static PYAD_ONCE void PYAD_JOIN(K(name##_xv), rows)(                                         \
        const K(winograd_product) *p) {                                                          \
        K(winograd_tile_of)(p, rows, GEMM_NV);                                                   \
    }
#define WINOGRAD_PAIR(name, rows) {PYAD_JOIN(K(name##_x1), rows), PYAD_JOIN(K(name##_xv), rows)},

GEMM_HEIGHTS(WINOGRAD_TILE, winograd_tile)

typedef void (*K(winograd_tile_fn))(const K(winograd_product) *p);

/* [rows / 2 - 1][more than one vector] */
static const K(winograd_tile_fn) K(winograd_tile_table)[GEMM_MR / 2][2] = {
    GEMM_HEIGHTS(WINOGRAD_PAIR, winograd_tile)};

#undef WINOGRAD_TILE
#undef WINOGRAD_PAIR

/* What one thread does: tiles and columns that are its own, where all lies. */
typedef struct {
    const winograd_shape *shape;
    const REAL *x;
    REAL *out;
    K(epilogue) end;
    const REAL *mapped;      /* weights, from column `column` on */
    int64_t column, columns; /* of the group */
    K(winograd_block) v, m;
} K(winograd_job);

/* Ask for a line of a tile's pixels in the output. */
GEMM_INLINE void K(winograd_expect)(const K(winograd_job) *job, winograd_place at, int64_t line,
                                    int64_t column, int64_t columns) {
    const winograd_shape *s = job->shape;
    int64_t pixel = (at.n * s->out_height + at.y + line) * s->out_width + at.x;
    const REAL *out = job->out + pixel * s->columns + column;
    for (int64_t j = 0; j < s->step; j++, out += s->columns) {
        for (int64_t l = 0; l < columns; l += LINE) {
            __builtin_prefetch(out + l, 1, 2);
        }
    }
}

/* The products of the tiles in v, one a point, with columns column .. column+columns-1 of the group. */
static void K(winograd_products)(const K(winograd_job) *job, int64_t first, int64_t tiles,
                                 int64_t column, int64_t columns, K(winograd_ahead) *ahead) {
    int64_t height = K(gemm_height)(tiles);
    K(winograd_product) p = {.channels = job->shape->channels,
                             .v_panel = job->v.tiles * VL,
                             .m_panel = job->m.tiles * VL};
    const winograd_shape *s = job->shape;
    int64_t asked = 0;
    for (int64_t point = 0; point < s->points; point++) {
        for (int64_t j = 0; j < columns; j += GEMM_NR) {
            int64_t panel = (column + j) / WINOGRAD_WIDTH;
            p.u = job->mapped + panel * K(winograd_panel_size)(s->points, p.channels) +
                  point * p.channels * WINOGRAD_WIDTH + (column + j) % WINOGRAD_WIDTH;
            for (int64_t i = 0; i < tiles; i += height) {
                K(winograd_fetch)(ahead);
                if (asked < tiles * s->step) {
                    winograd_place at = winograd_place_of(s, first + asked / s->step);
                    K(winograd_expect)(job, at, asked++ % s->step, job->column + column, columns);
                }
                p.v = K(winograd_at)(&job->v, point, 0, i);
                p.m = K(winograd_at)(&job->m, point, j / VL, i);
                int64_t rows = pyad_min(height, tiles - i);
                K(winograd_tile_table)[(rows - 1) / 2][columns - j > VL](&p);
            }
        }
    }
}

/* Write `lanes` channels of a tile's pixels that lie within the output, with the epilogue. */
static void K(winograd_write)(const K(winograd_job) *job, winograd_place at, int64_t column,
                              int64_t lanes, const vec *y) {
    const winograd_shape *s = job->shape;
    int64_t rows = pyad_min(s->step, s->out_height - at.y);
    int64_t cols = pyad_min(s->step, s->out_width - at.x);
    for (int64_t i = 0; i < rows; i++) {
        int64_t pixel = (at.n * s->out_height + at.y + i) * s->out_width + at.x;
        REAL *out = job->out + pixel * s->columns + column;
        for (int64_t j = 0; j < cols; j++, out += s->columns) {
            vec v = K(epilogue_apply)(&job->end, y[s->step * i + j], column, out, lanes);
            v_store_live(out, v, lanes);
        }
    }
}

/* A' m A: the sums at points `step` apart to 4 x 4 pixels. */
GEMM_INLINE void K(winograd_pixels_of)(const REAL *m, int64_t step, vec *y) {
    vec half[24], line[WINOGRAD_SIDE];
    for (int i = 0; i < WINOGRAD_SIDE; i++, m += WINOGRAD_SIDE * step) {
        GEMM_UNROLL for (int k = 0; k < WINOGRAD_SIDE; k++) line[k] = v_load(m + k * step);
        K(winograd_pixel_line)(line, 1, half + i * WINOGRAD_STEP, 1);
    }
    GEMM_UNROLL for (int k = 0; k < WINOGRAD_STEP; k++) {
        K(winograd_pixel_line)(half + k, WINOGRAD_STEP, y + k, WINOGRAD_STEP);
    }
}

/* Map the sums of tiles first .. first+tiles-1 to pixels. */
static void K(winograd_map_sums)(const K(winograd_job) *job, int64_t first, int64_t tiles,
                                 int64_t column, int64_t columns) {
    int64_t step = K(winograd_point_step)(&job->m);
    for (int64_t t = 0; t < tiles; t++) {
        winograd_place at = winograd_place_of(job->shape, first + t);
        for (int64_t j = 0; j < columns; j += VL) {
            vec y[WINOGRAD_STEP * WINOGRAD_STEP];
            const REAL *m = K(winograd_at)(&job->m, 0, j / VL, t);
            if (job->shape->step == WINOGRAD_STEP) {
                K(winograd_pixels_of)(m, step, y);
            } else {
                K(winograd_small_pixels)(m, step, y);
            }
            K(winograd_write)(job, at, column + j, pyad_min(VL, columns - j), y);
        }
    }
}

/* Tiles begin .. end-1 with the job's columns from `from` to `to`, counted in the group. */
static void K(winograd_run)(const K(winograd_job) *job, int64_t begin, int64_t end, int64_t from,
                            int64_t to) {
    const winograd_shape *s = job->shape;
    K(winograd_pixels) x = {job->x, s->height, s->width, s->channels};
    int64_t most = WINOGRAD_TILES(s);
    for (int64_t i = begin; i < end; i += most) {
        int64_t tiles = pyad_min(most, end - i);
        K(winograd_map_windows)(s, &x, i, tiles, WINOGRAD_ALL_ROWS, &job->v, 0);
        int64_t next = i + tiles;
        int64_t turns = s->points * pyad_ceil_div(to - from, GEMM_NR) *
                        pyad_ceil_div(tiles, GEMM_MR);
        K(winograd_ahead) ahead =
            K(winograd_look_ahead)(s, &x, s->side - s->pad_h, next, pyad_min(end, next + most),
                                   turns);
        for (int64_t j = from; j < to; j += WINOGRAD_SPAN) {
            int64_t columns = pyad_min(WINOGRAD_SPAN, to - j);
            K(winograd_products)(job, i, tiles, j, columns, &ahead);
            K(winograd_map_sums)(job, i, tiles, job->column + j, columns);
        }
    }
}

/* This thread's part of a group: some of the tiles, or of the panels where tiles are few. */
static void K(winograd_share)(const K(winograd_job) *job, const team *t) {
    int64_t tiles = winograd_tiles(job->shape);
    int64_t begin, end;
    if (tiles < 2 * GEMM_MR * t->nth && job->columns >= WINOGRAD_WIDTH * t->nth) {
        team_range(t, job->columns, WINOGRAD_WIDTH, &begin, &end);
        K(winograd_run)(job, 0, tiles, begin, end);
        return;
    }
    team_turns turns = team_take(t, tiles, 2, WINOGRAD_TILES(job->shape) / 4);
    while (team_next(&turns, &begin, &end)) K(winograd_run)(job, begin, end, 0, job->columns);
}

/* All columns, by groups. */
static void K(winograd_run_groups)(K(winograd_job) *job, const K(winograd_weights) *w,
                                   const REAL *packed, const team *t) {
    const winograd_shape *s = job->shape;
    int64_t tiles = WINOGRAD_TILES(s) + GEMM_MR;
    job->v = (K(winograd_block)){t->scratch, pyad_ceil_div(s->channels, VL), tiles};
    job->m = (K(winograd_block)){
        job->v.data + K(winograd_block_size)(s->points, s->channels, tiles), WINOGRAD_SPAN / VL,
        tiles};
    for (job->column = 0; job->column < s->columns; job->column += s->group) {
        job->columns = pyad_min(s->group, s->columns - job->column);
        job->mapped = packed;
        if (packed != NULL) {
            int64_t size = K(winograd_panel_size)(s->points, s->channels);
            job->mapped += job->column / WINOGRAD_WIDTH * size;
        } else {
            if (job->column > 0) team_barrier(t);
            K(winograd_pack)(w, s->step, job->column, job->columns, t->shared, t);
            team_barrier(t);
            job->mapped = t->shared;
        }
        K(winograd_share)(job, t);
    }
}
