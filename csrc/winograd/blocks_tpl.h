/* Pixels mapped to points: windows of the image (B' d B) and tiles of the output's gradient (A y
 * A') go into blocks of some tiles.
 *
 * Loops: tiles, vectors of channels, pairs of rows of points, few enough vectors to stay in
 * registers. A window that lies whole in the image is read in place, one at its edge is copied
 * among zeros first. Each map asks for the pixels of the next tile, and products ask for those of
 * the next block (winograd_look_ahead).
 */

#ifndef PYAD_WINOGRAD_BLOCKS
#define PYAD_WINOGRAD_BLOCKS
#define WINOGRAD_BIAS WINOGRAD_POINTS /* a mapped gradient's point behind the last: its plain sum */

/* Rows of the 6 x 6 points that are mapped, as bits: row 0, rows 1 and 2, which share sums, rows 3
 * and 4, row 5. */
#define WINOGRAD_ALL_ROWS 15
#endif

/* Mapped pixels of some tiles: a vector of channels for each (point, panel of VL channels, tile).
 * Points lie an odd number of vectors apart, so that they do not share a set of the cache. */
typedef struct {
    REAL *data;
    int64_t panels, tiles;
} K(winograd_block);

static inline int64_t K(winograd_point_step)(const K(winograd_block) *b) {
    return (b->panels * b->tiles / 2 * 2 + 3) * VL;
}

static inline REAL *K(winograd_at)(const K(winograd_block) *b, int64_t point, int64_t panel,
                                   int64_t tile) {
    return b->data + point * K(winograd_point_step)(b) + (panel * b->tiles + tile) * VL;
}

static inline int64_t K(winograd_block_size)(int64_t points, int64_t channels,
                                               int64_t tiles) {
    K(winograd_block) b = {NULL, pyad_ceil_div(channels, VL), tiles};
    return points * K(winograd_point_step)(&b);
}

/* Pixels of an array. */
typedef struct {
    const REAL *data;
    int64_t height, width, channels;
} K(winograd_pixels);

/* Memory asked for while products run, so that the maps find it in the cache: `step` elements at a
 * time. */
typedef struct {
    const REAL *next, *end;
    int64_t step;
} K(winograd_ahead);

GEMM_INLINE void K(winograd_fetch)(K(winograd_ahead) *a) {
    const REAL *end = a->next + pyad_min(a->step, a->end - a->next);
    for (; a->next < end; a->next += LINE) {
        __builtin_prefetch(a->next, 0, 2);
    }
}

/* Elements up to the last that a row of tiles reads, `below` lines from a tile's first on. */
static int64_t K(winograd_reach)(const winograd_shape *s, const K(winograd_pixels) *p,
                                 int64_t below, int64_t tile) {
    winograd_place at = winograd_place_of(s, tile);
    return (at.n * p->height + pyad_min(p->height, at.y + below)) * p->width * p->channels;
}

/* The pixels that tiles begin .. end-1 read and those before do not, to be asked for in `turns`. */
static K(winograd_ahead) K(winograd_look_ahead)(const winograd_shape *s,
                                                const K(winograd_pixels) *p, int64_t below,
                                                int64_t begin, int64_t end, int64_t turns) {
    K(winograd_ahead) a = {p->data, p->data, 0};
    end = pyad_min(end, winograd_tiles(s));
    if (begin >= end) return a;
    a.next += K(winograd_reach)(s, p, below, begin - 1);
    a.end += K(winograd_reach)(s, p, below, end - 1);
    a.step = (a.end - a.next) / turns + LINE;
    return a;
}

/* A window, or a tile of gradients: its first pixel, steps between lines and between pixels. */
typedef struct {
    const REAL *first;
    int64_t line, pixel;
} K(winograd_source);

/* The side x side pixels from (y, x) on, `lanes` channels from `image` on: where they lie, or, if
 * some lie outside or have fewer channels than a vector, copied among zeros into `room`. */
GEMM_INLINE K(winograd_source) K(winograd_see)(const K(winograd_pixels) *p, const REAL *image,
                                               int64_t y, int64_t x, const int64_t side,
                                               int64_t lanes, REAL *room) {
    int64_t line = p->width * p->channels;
    const REAL *first = image + y * line + x * p->channels;
    int64_t top = pyad_max(0, -y), bottom = pyad_min(side, p->height - y);
    int64_t left = pyad_max(0, -x), right = pyad_min(side, p->width - x);
    if (lanes == VL && top == 0 && left == 0 && bottom == side && right == side) {
        return (K(winograd_source)){first, line, p->channels};
    }
    for (int64_t i = 0; i < side; i++) {
        REAL *to = room + i * side * VL;
        int64_t begin = i < top || i >= bottom ? side : left;
        int64_t end = pyad_max(begin, right);
        for (int64_t j = 0; j < begin; j++) v_store(to + j * VL, (vec){0});
        for (int64_t j = begin; j < end; j++) {
            v_store(to + j * VL, v_load_live(first + i * line + j * p->channels, lanes));
        }
        for (int64_t j = end; j < side; j++) v_store(to + j * VL, (vec){0});
    }
    return (K(winograd_source)){room, side * VL, VL};
}

/* Ask for what the window or tile of the next one adds to that of this one, `right` pixels from its
 * left: one cache line each. It may lie outside the image. */
GEMM_INLINE void K(winograd_ask)(const K(winograd_pixels) *p, const REAL *next, const int side,
                                 const int right) {
    if ((uintptr_t)next % PYAD_LINE_BYTES >= VECTOR_BYTES) return;
    GEMM_UNROLL for (int i = 0; i < side; i++) {
        GEMM_UNROLL for (int j = right; j < side; j++) {
            __builtin_prefetch(next + (i * p->width + j) * p->channels);
        }
    }
}

/* The first pixel of a tile or, `pad_h` and `pad_w` before it, of its window, in channel 0. */
static inline const REAL *K(winograd_first)(const K(winograd_pixels) *p, winograd_place at,
                                            int64_t pad_h, int64_t pad_w) {
    int64_t line = at.n * p->height + at.y - pad_h;
    return p->data + (line * p->width + at.x - pad_w) * p->channels;
}

/* Row 0 or 5 of the 6 x 6 points of a window, or rows `row` and row + 1, which share sums: few
 * enough vectors to stay in registers. */
GEMM_INLINE void K(winograd_window_rows)(const K(winograd_source) *d, const int row, REAL *out,
                                         int64_t step) {
    vec first[WINOGRAD_SIDE], second[WINOGRAD_SIDE], line[WINOGRAD_SIDE];
    int64_t below = d->line;
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) {
        const REAL *at = d->first + j * d->pixel;
        if (row == 0 || row == 5) {
            if (row == 5) at += below;
            first[j] = v_fma(-v_set1((REAL)2.5), v_load(at + 2 * below),
                             v_load(at) + v_load(at + 4 * below));
        } else {
            vec scale = v_set1(row == 1 ? (REAL)-2 : (REAL)-0.5);
            vec even = v_fma(scale, v_load(at + 2 * below), v_load(at + 4 * below));
            vec odd = v_fma(scale, v_load(at + below), v_load(at + 3 * below));
            odd *= v_set1(row == 1 ? WINOGRAD_NEAR : WINOGRAD_FAR);
            first[j] = even + odd;
            second[j] = even - odd;
        }
    }
    out += row * WINOGRAD_SIDE * step;
    K(winograd_window_line)(first, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
    if (row == 0 || row == 5) return;
    out += WINOGRAD_SIDE * step;
    K(winograd_window_line)(second, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
}

/* Map the windows of tiles first .. first+count-1 into tiles `to` .. of a block: some rows of their
 * points. */
static void K(winograd_map_windows)(const winograd_shape *s, const K(winograd_pixels) *x,
                                    int64_t first, int64_t count, int rows,
                                    const K(winograd_block) *v, int64_t to) {
    _Alignas(PYAD_LINE_BYTES) REAL room[WINOGRAD_POINTS * VL];
    int64_t step = K(winograd_point_step)(v);
    for (int64_t t = 0; t < count; t++) {
        winograd_place at = winograd_place_of(s, first + t);
        const REAL *image = x->data + at.n * x->height * x->width * x->channels;
        const REAL *next =
            K(winograd_first)(x, winograd_place_of(s, first + t + 1), s->pad_h, s->pad_w);
        for (int64_t p = 0; p < v->panels; p++) {
            int64_t lanes = pyad_min(VL, x->channels - p * VL);
            if (s->step == WINOGRAD_STEP) K(winograd_ask)(x, next + p * VL, WINOGRAD_SIDE, 2);
            K(winograd_source) d = K(winograd_see)(x, image + p * VL, at.y - s->pad_h,
                                                   at.x - s->pad_w, s->side, lanes, room);
            REAL *out = K(winograd_at)(v, 0, p, to + t);
            if (s->step != WINOGRAD_STEP) {
                K(winograd_small_window)(d.first, d.line, d.pixel, out, step);
                continue;
            }
            if (rows & 1) K(winograd_window_rows)(&d, 0, out, step);
            if (rows & 2) K(winograd_window_rows)(&d, 1, out, step);
            if (rows & 4) K(winograd_window_rows)(&d, 3, out, step);
            if (rows & 8) K(winograd_window_rows)(&d, 5, out, step);
        }
    }
}

/* Rows of the 6 x 6 points of a tile of gradients, as winograd_window_rows. */
GEMM_INLINE void K(winograd_gradient_rows)(const K(winograd_source) *d, const int row, REAL *out,
                                           int64_t step) {
    vec first[WINOGRAD_STEP], second[WINOGRAD_STEP], line[WINOGRAD_SIDE];
    int64_t below = d->line;
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_STEP; j++) {
        const REAL *at = d->first + j * d->pixel;
        if (row == 0 || row == 5) {
            first[j] = v_load(row == 0 ? at : at + 3 * below);
        } else {
            vec scale = v_set1(row == 1 ? (REAL)0.5 : (REAL)2);
            vec even = v_fma(scale, v_load(at + 2 * below), v_load(at));
            vec odd = v_fma(scale, v_load(at + 3 * below), v_load(at + below));
            odd *= v_set1(row == 1 ? WINOGRAD_NEAR : WINOGRAD_FAR);
            first[j] = even + odd;
            second[j] = even - odd;
        }
    }
    out += row * WINOGRAD_SIDE * step;
    K(winograd_gradient_line)(first, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
    if (row == 0 || row == 5) return;
    out += WINOGRAD_SIDE * step;
    K(winograd_gradient_line)(second, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
}

/* The sum of a tile of gradients. */
GEMM_INLINE vec K(winograd_gradient_sum)(const K(winograd_source) *d) {
    vec sum = {0};
    GEMM_UNROLL for (int i = 0; i < WINOGRAD_STEP; i++) {
        GEMM_UNROLL for (int j = 0; j < WINOGRAD_STEP; j++) {
            sum += v_load(d->first + i * d->line + j * d->pixel);
        }
    }
    return sum;
}

/* Map the gradients of tiles first .. first+count-1, `columns` channels from `column` on: some rows
 * of their points, and the plain sum with the first. */
static void K(winograd_map_gradients)(const winograd_shape *s, const K(winograd_pixels) *dy,
                                      int64_t column, int64_t columns, int64_t first,
                                      int64_t count, int rows, const K(winograd_block) *w,
                                      int64_t to) {
    _Alignas(PYAD_LINE_BYTES) REAL room[16 * VL];
    int64_t step = K(winograd_point_step)(w);
    for (int64_t t = 0; t < count; t++) {
        winograd_place at = winograd_place_of(s, first + t);
        const REAL *image = dy->data + at.n * dy->height * dy->width * dy->channels + column;
        const REAL *next =
            K(winograd_first)(dy, winograd_place_of(s, first + t + 1), 0, 0) + column;
        for (int64_t p = 0; p * VL < columns; p++) {
            K(winograd_ask)(dy, next + p * VL, WINOGRAD_STEP, 0);
            K(winograd_source) d = K(winograd_see)(dy, image + p * VL, at.y, at.x, WINOGRAD_STEP,
                                                   pyad_min(VL, columns - p * VL), room);
            REAL *out = K(winograd_at)(w, 0, p, to + t);
            if (rows & 1) K(winograd_gradient_rows)(&d, 0, out, step);
            if (rows & 2) K(winograd_gradient_rows)(&d, 1, out, step);
            if (rows & 4) K(winograd_gradient_rows)(&d, 3, out, step);
            if (rows & 8) K(winograd_gradient_rows)(&d, 5, out, step);
            if (rows & 1) v_store(out + WINOGRAD_BIAS * step, K(winograd_gradient_sum)(&d));
        }
    }
}
