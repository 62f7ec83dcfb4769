/* Max and average pooling over up to three spatial axes, in channels-last memory.
 *
 * Forward: output pixel, then a vector of channels, then the cells of its window, so that the
 * running maximum or sum stays in registers and every load is contiguous over channels. Of fewer
 * channels than lanes, vectors run along a row of outputs, each lane of another channel or pixel.
 *
 * Backward: input row, then the output rows whose windows reach it, then their pixels, which add to
 * the row while it is in the cache, of averages of few channels all of them at once, cell by cell. A
 * thread owns whole input rows and each sum has one order, whatever the number of threads. Of few
 * channels, and of large windows, each winner is added by itself. Of windows side by side
 * each vector is written, past the caches if they are many, not added up.
 *
 * Windows of 2x2 and 3x3 pixels, which are nearly all there are, get loops of constant length.
 *
 * The winner of a max-pool window is kept as its cell number. It starts as the first cell and gives
 * way only to what is larger, or to NaN unless it is NaN itself: ties go to the first. With a ReLU
 * behind, a window whose largest is not positive has no winner, so that no gradient comes back.
 */
#ifdef REAL
#include "loops/moves.h"
#include "loops/past.h"
#include "pool/window.h"

#define POOL_INLINE static inline __attribute__((always_inline))

/* what an output pixel is: constants, so that the compiler drops the branches */
#define POOL_MAX 0
#define POOL_TAKE 1
#define POOL_AVERAGE 2

/* vectors of channels side by side in a window of many cells */
#define POOL_WIDE 4

#define pool_bytes K(pool_bytes)
#define pool_words K(pool_words)
#define pool_cells K(pool_cells)
#define pool_job K(pool_job)
#define pool_window K(pool_window)

/* cell numbers as they are kept, for VL channels */
typedef uint8_t pool_bytes __attribute__((vector_size(VL)));
typedef int32_t pool_words __attribute__((vector_size(4 * VL)));

/* Cell numbers of 1 or 4 bytes; 0 bytes: there are none. */
typedef struct {
    char *data;
    int64_t bytes;
} pool_cells;

typedef struct {
    window_geometry g;
    int64_t step[WINDOW_AXES];      /* elements between input positions */
    int64_t tap[WINDOW_AXES];       /* elements between cells */
    int64_t cell_step[WINDOW_AXES]; /* between cell numbers */
    pool_cells cells;
    int64_t *indices;
    int64_t with_padding;
    int64_t divisor;
    int64_t relu;
    int64_t first, last; /* channels of each pixel */
    const int64_t *places; /* of a window's cells, in input positions from the first one */
    int whole;           /* whether gradients are written as whole vectors, not added up */
    int past;            /* then whether past the caches */
} pool_job;

/* One pixel's window: cells inside along each axis, the first one's number and element. */
typedef struct {
    int64_t count[WINDOW_AXES];
    int64_t cell;
    int64_t at;
} pool_window;

static pool_job K(pool_job_of)(window_geometry g, const pyad_array *cell) {
    pool_job j = {.g = g, .last = g.c};
    int64_t step = g.c, cells = 1;
    for (int64_t i = WINDOW_AXES - 1; i >= 0; i--) {
        j.step[i] = step;
        j.tap[i] = step * (g.axis[i].adaptive ? 1 : g.axis[i].dilation);
        j.cell_step[i] = cells;
        step *= g.axis[i].in;
        cells *= g.axis[i].kernel;
    }
    if (cell != NULL && cell->data != NULL) {
        j.cells = (pool_cells){cell->data, cell->dtype == PYAD_UINT8 ? 1 : 4};
    }
    return j;
}

/* ---- VL channels, or the last few ---- */

POOL_INLINE mask K(pool_number)(int64_t cell) {
    return (mask){0} + (mask_item)cell;
}

/* A copy whose length is not a constant would be a call. */
POOL_INLINE void K(pool_copy)(char *to, const char *from, int64_t bytes) {
    for (; bytes >= 8; bytes -= 8, to += 8, from += 8) memcpy(to, from, 8);
    for (; bytes >= 2; bytes -= 2, to += 2, from += 2) memcpy(to, from, 2);
    if (bytes > 0) *to = *from;
}

POOL_INLINE void K(pool_store_cells)(pool_cells to, int64_t at, mask cell, int64_t live) {
    char part[VECTOR_BYTES], *p = to.data + at * to.bytes;
    if (to.bytes == 1) {
        pool_bytes narrow = __builtin_convertvector(cell, pool_bytes);
        memcpy(live == VL ? p : part, &narrow, sizeof narrow);
    } else if (to.bytes == 4) {
        pool_words narrow = __builtin_convertvector(cell, pool_words);
        memcpy(live == VL ? p : part, &narrow, sizeof narrow);
    }
    if (live < VL) K(pool_copy)(p, part, live * to.bytes);
}

POOL_INLINE mask K(pool_load_cells)(pool_cells from, int64_t at, int64_t live) {
    char part[VECTOR_BYTES] = {0}, *p = from.data + at * from.bytes;
    if (live < VL) K(pool_copy)(part, p, live * from.bytes);
    if (from.bytes == 1) return v_from_bytes(live == VL ? p : part);
    pool_words narrow;
    memcpy(&narrow, live == VL ? p : part, sizeof narrow);
    return __builtin_convertvector(narrow, mask);
}

/* ---- one output pixel ---- */

/* A vector of inputs: side by side, or `beside` each other. */
POOL_INLINE vec K(pool_load)(const REAL *x, const mask *beside, int64_t live) {
    if (beside == NULL) return v_load_live(x, live);
#if VECTOR_BYTES == 64 && DTYPE == PYAD_FLOAT32
    return v_gather_n(x, *beside, VL);
#else
    vec taken;
    for (int64_t l = 0; l < VL; l++) taken[l] = x[(*beside)[l]];
    return taken;
#endif
}

/* nd, nh, nw are w.count, as constants where they are known; out is the output's element. In a
 * window of many cells one vector's maxima or sums would wait for each other, so `wide` vectors of
 * channels go side by side. */
POOL_INLINE void K(pool_max)(const pool_job *j, const REAL *x, REAL *y, pool_window w, int64_t nd,
                             int64_t nh, int64_t nw, int64_t out, const mask *beside, int64_t wide,
                             int64_t live) {
    vec best[POOL_WIDE];
    mask winner[POOL_WIDE];
    for (int64_t k = 0; k < wide; k++) {
        best[k] = K(pool_load)(x + k * VL, beside, live);
        winner[k] = K(pool_number)(w.cell);
    }
    for (int64_t d = 0; d < nd; d++) {
        for (int64_t h = 0; h < nh; h++) {
            const REAL *row = x + d * j->tap[0] + h * j->tap[1];
            int64_t cell = w.cell + d * j->cell_step[0] + h * j->cell_step[1];
            for (int64_t i = 0; i < nw; i++) {
                mask number = K(pool_number)(cell + i);
                for (int64_t k = 0; k < wide; k++) {
                    vec v = K(pool_load)(row + i * j->tap[2] + k * VL, beside, live);
                    mask take = ~(v <= best[k]) & (best[k] == best[k]);
                    best[k] = v_select(take, v, best[k]);
                    winner[k] = (take & number) | (~take & winner[k]);
                }
            }
        }
    }
    for (int64_t k = 0; k < wide; k++) {
        if (j->relu) {
            winner[k] |= best[k] <= v_set1(0);
            best[k] = v_max(v_set1(0), best[k]);
        }
        v_store_live(y + out + k * VL, best[k], live);
        K(pool_store_cells)(j->cells, out + k * VL, winner[k], live);
    }
}

POOL_INLINE void K(pool_take)(const pool_job *j, const REAL *x, REAL *y, pool_window w, int64_t nd,
                              int64_t nh, int64_t nw, int64_t out, const mask *beside,
                              int64_t live) {
    vec taken = v_set1(0);
    mask winner = K(pool_load_cells)(j->cells, out, live);
    for (int64_t d = 0; d < nd; d++) {
        for (int64_t h = 0; h < nh; h++) {
            const REAL *row = x + d * j->tap[0] + h * j->tap[1];
            int64_t cell = w.cell + d * j->cell_step[0] + h * j->cell_step[1];
            for (int64_t i = 0; i < nw; i++) {
                vec v = K(pool_load)(row + i * j->tap[2], beside, live);
                taken = v_select(winner == K(pool_number)(cell + i), v, taken);
            }
        }
    }
    v_store_live(y + out, taken, live);
}

/* Sums row by row first: a large window's error grows with its edge, not with its area. */
POOL_INLINE void K(pool_average)(const pool_job *j, const REAL *x, REAL *y, vec divisor,
                                 int64_t nd, int64_t nh, int64_t nw, int64_t out,
                                 const mask *beside, int64_t wide, int64_t live) {
    vec total[POOL_WIDE], sum[POOL_WIDE];
    for (int64_t k = 0; k < wide; k++) total[k] = v_set1(0);
    for (int64_t d = 0; d < nd; d++) {
        for (int64_t h = 0; h < nh; h++) {
            const REAL *row = x + d * j->tap[0] + h * j->tap[1];
            for (int64_t k = 0; k < wide; k++) sum[k] = K(pool_load)(row + k * VL, beside, live);
            for (int64_t i = 1; i < nw; i++) {
                for (int64_t k = 0; k < wide; k++) {
                    sum[k] += K(pool_load)(row + i * j->tap[2] + k * VL, beside, live);
                }
            }
            for (int64_t k = 0; k < wide; k++) total[k] += sum[k];
        }
    }
    for (int64_t k = 0; k < wide; k++) {
        v_store_live(y + out + k * VL, total[k] / divisor, live);
    }
}

POOL_INLINE void K(pool_vectors)(int64_t what, const pool_job *j, const REAL *x, REAL *y,
                                 pool_window w, vec divisor, int64_t nd, int64_t nh, int64_t nw,
                                 int64_t out, const mask *beside, int64_t wide, int64_t live) {
    if (what == POOL_MAX) K(pool_max)(j, x, y, w, nd, nh, nw, out, beside, wide, live);
    if (what == POOL_TAKE) K(pool_take)(j, x, y, w, nd, nh, nw, out, beside, live);
    if (what == POOL_AVERAGE) {
        K(pool_average)(j, x, y, divisor, nd, nh, nw, out, beside, wide, live);
    }
}

/* The job's channels of one output pixel. */
POOL_INLINE void K(pool_pixel)(int64_t what, const pool_job *j, const REAL *x, REAL *y,
                               pool_window w, vec divisor, int64_t nd, int64_t nh, int64_t nw,
                               int64_t wide, int64_t out) {
    int64_t c = j->first, channels = j->last;
    x += w.at;
    if (wide > 1) {
        for (; c + wide * VL <= channels; c += wide * VL) {
            K(pool_vectors)(what, j, x + c, y, w, divisor, nd, nh, nw, out + c, NULL, wide, VL);
        }
    }
    for (; c + VL <= channels; c += VL) {
        K(pool_vectors)(what, j, x + c, y, w, divisor, nd, nh, nw, out + c, NULL, 1, VL);
    }
    if (c < channels) {
        K(pool_vectors)(what, j, x + c, y, w, divisor, nd, nh, nw, out + c, NULL, 1,
                        channels - c);
    }
}

POOL_INLINE REAL K(pool_divisor)(const pool_job *j, const int64_t *o) {
    if (j->divisor != 0) return (REAL)j->divisor;
    int64_t cells = 1;
    for (int64_t i = 0; i < WINDOW_AXES; i++) {
        cells *= window_divisor(&j->g.axis[i], o[i], j->with_padding);
    }
    return (REAL)cells;
}

static int64_t K(pool_cell)(const pool_cells *from, int64_t at) {
    return from->bytes == 1 ? ((const uint8_t *)from->data)[at]
                            : ((const int32_t *)(const void *)from->data)[at];
}

/* Where a window's first cell would be, inside or not. */
static inline int64_t K(pool_start)(const window_axis *a, int64_t o) {
    return a->adaptive ? window_at(a, o).at : o * a->stride - a->padding;
}

#define POOL_PLACES 256 /* cell numbers of a byte */

/* How far a cell lies behind a window's first one, in elements; out of reach if there is no such
 * cell. */
static int64_t K(pool_place)(const pool_job *j, int64_t cell) {
    if (cell < 0 || cell >= j->cell_step[0] * j->g.axis[0].kernel) return INT64_MAX / 4;
    int64_t place = 0;
    for (int64_t i = 0; i < WINDOW_AXES; i++) {
        place += cell / j->cell_step[i] * j->tap[i];
        cell %= j->cell_step[i];
    }
    return place;
}

/* The flat input positions of the winners of one pixel, from their cell numbers. */
static void K(pool_positions)(const pool_job *j, const int64_t *o, int64_t out) {
    const window_axis *a = j->g.axis;
    int64_t start = 0;
    for (int64_t i = 0; i < WINDOW_AXES; i++) start = start * a[i].in + K(pool_start)(&a[i], o[i]);
    for (int64_t c = out + j->first; c < out + j->last; c++) {
        int64_t cell = K(pool_cell)(&j->cells, c);
        j->indices[c] =
            start + (j->cells.bytes == 1 ? j->places[cell] : K(pool_place)(j, cell) / j->g.c);
    }
}

/* ---- rows of few channels ---- */

/* Whether vectors run along the row: then beside[r] says how far the inputs of the VL outputs from
 * channel r of a pixel on lie behind its first one. Inputs apart are read one by one, in a window of
 * two or three axes of no more channels than pay for that. */
static int K(pool_lies_beside)(const pool_job *j, mask *beside) {
    const window_axis *a = &j->g.axis[2];
    const int64_t c = j->g.c, flat = a[-1].kernel * a[-2].kernel == 1;
    const int64_t most = a->stride == 1 ? VL - 1 : flat ? VL / 2 : VL / 4;
    if (c < 1 || c > most || a->adaptive || a->stride > INT32_MAX / (VL * VL)) return 0;
    for (int64_t r = 0; r < c; r++) {
        for (int64_t l = 0; l < VL; l++) {
            beside[r][l] = (mask_item)((r + l) / c * a->stride * c + (r + l) % c);
        }
    }
    return 1;
}

/* Of outputs first .. last-1 of a row, where those begin whose windows lie inside it, and where they
 * end; `last` twice if they fill no vector. */
static int64_t K(pool_inside)(const pool_job *j, int64_t first, int64_t last, int64_t *end) {
    const window_axis *a = &j->g.axis[2];
    const int64_t most = a->in + a->padding - (a->kernel - 1) * a->dilation - 1;
    const int64_t begin = pyad_max(first, pyad_ceil_div(a->padding, a->stride));
    *end = most < 0 ? 0 : pyad_min(last, most / a->stride + 1);
    if ((*end - begin) * j->g.c >= VL) return begin;
    return *end = last;
}

/* Outputs o[2] .. end-1 of row (n, o[0], o[1]), whose windows lie inside it. */
static PYAD_SHARED void K(pool_line)(int64_t what, const pool_job *j, const mask *beside,
                                      const REAL *x, REAL *y, int64_t n, const int64_t *o,
                                      int64_t end, int64_t out) {
    const window_axis *a = j->g.axis;
    const int64_t c = j->g.c, stride = a[2].stride, all = (end - o[2]) * c;
    const window_span d = window_at(&a[0], o[0]), h = window_at(&a[1], o[1]);
    const pool_window w = {{d.count, h.count, a[2].kernel},
                           d.cell * j->cell_step[0] + h.cell * j->cell_step[1],
                           (n * a[0].in + d.at) * j->step[0] + h.at * j->step[1] +
                               (o[2] * stride - a[2].padding) * c};
    const vec divisor = v_set1(what == POOL_AVERAGE ? K(pool_divisor)(j, o) : 1);
    for (int64_t e = 0; e < all; e += VL) {
        if (e > all - VL) e = all - VL; /* the last vector: some of it once more */
        const REAL *from = x + w.at + (stride == 1 ? e : e / c * stride * c);
        K(pool_vectors)(what, j, from, y, w, divisor, w.count[0], w.count[1], w.count[2], out + e,
                        stride == 1 ? NULL : beside + e % c, 1, VL);
    }
    if (what != POOL_MAX || j->indices == NULL) return;
    int64_t at[WINDOW_AXES] = {o[0], o[1], o[2]};
    for (; at[2] < end; at[2]++, out += c) K(pool_positions)(j, at, out);
}

/* The output pixels [first, last) of row (n, o[0], o[1]). */
POOL_INLINE void K(pool_row)(int64_t what, const pool_job *j, const REAL *x, REAL *y, int64_t n,
                             int64_t *o, int64_t first, int64_t last, int64_t out) {
    const window_axis *a = j->g.axis;
    window_span d = window_at(&a[0], o[0]), h = window_at(&a[1], o[1]);
    int64_t row = n * a[0].in * j->step[0] + d.at * j->step[0] + h.at * j->step[1];
    int64_t cell = d.cell * j->cell_step[0] + h.cell * j->cell_step[1];
    for (o[2] = first; o[2] < last; o[2]++, out += j->g.c) {
        window_span s = window_at(&a[2], o[2]);
        pool_window w = {{d.count, h.count, s.count}, cell + s.cell, row + s.at * j->step[2]};
        vec divisor = v_set1(what == POOL_AVERAGE ? K(pool_divisor)(j, o) : 1);
        if (d.count == 1 && h.count == 2 && s.count == 2) {
            K(pool_pixel)(what, j, x, y, w, divisor, 1, 2, 2, 1, out);
        } else if (d.count == 1 && h.count == 3 && s.count == 3) {
            K(pool_pixel)(what, j, x, y, w, divisor, 1, 3, 3, 1, out);
        } else {
            int64_t wide = what == POOL_TAKE ? 1 : POOL_WIDE;
            K(pool_pixel)(what, j, x, y, w, divisor, d.count, h.count, s.count, wide, out);
        }
        if (what == POOL_MAX && j->indices != NULL) K(pool_positions)(j, o, out);
    }
}

/* This thread's part of all output pixels; of few (a global average has one an image) its part of the
 * channels. */
POOL_INLINE void K(pool_forward)(int64_t what, pool_job *j, const REAL *x, REAL *y,
                                 const team *t) {
    const window_axis *a = j->g.axis;
    int64_t at = 0, end = j->g.n * a[0].out * a[1].out * a[2].out;
    if (end < t->nth) {
        team_range(t, j->g.c, POOL_WIDE * VL, &j->first, &j->last);
    } else {
        team_range(t, end, 1, &at, &end);
    }
    /* a job that is handed on would be read anew for each pixel */
    const pool_job copy = *j;
    mask beside[VL];
    const int along = K(pool_lies_beside)(&copy, beside);
    while (at < end) {
        int64_t row = at / a[2].out, first = at % a[2].out;
        int64_t last = pyad_min(a[2].out, first + end - at);
        int64_t o[WINDOW_AXES] = {row / a[1].out % a[0].out, row % a[1].out, first};
        int64_t n = row / a[1].out / a[0].out, to = last, line = last;
        if (along) to = K(pool_inside)(&copy, first, last, &line);
        if (to == first && line > first) {
            K(pool_line)(what, &copy, beside, x, y, n, o, to = line, at * j->g.c);
        } else {
            K(pool_row)(what, j, x, y, n, o, first, to, at * j->g.c);
        }
        at += to - first;
    }
}

/* ---- one input row ---- */

/* Whole vectors of windows side by side, and what is added to what others gave. */
#define POOL_WHOLE 1
#define POOL_ADDED 0

POOL_INLINE void K(pool_give)(const pool_job *j, REAL *to, vec part, int whole, int64_t live) {
    if (!whole) {
        v_store_live(to, v_load_live(to, live) + part, live);
    } else if (j->past) {
        store_past(to, &part);
    } else {
        v_store(to, part);
    }
}

/* A pixel of gy gives to the cells of its window that lie in this row of gx. base is the number of
 * the first of them; nw their count, as a constant where it is known. */
POOL_INLINE void K(pool_max_spread)(const pool_job *j, const REAL *gy, REAL *gx, int64_t base,
                                    int64_t nw, int64_t out, int whole, int64_t live) {
    vec g = v_load_live(gy + out, live);
    mask winner = K(pool_load_cells)(j->cells, out, live);
    for (int64_t i = 0; i < nw; i++) {
        vec part = v_select(winner == K(pool_number)(base + i), g, v_set1(0));
        K(pool_give)(j, gx + i * j->tap[2], part, whole, live);
    }
}

POOL_INLINE void K(pool_average_spread)(const pool_job *j, const REAL *gy, REAL *gx, vec share,
                                        int64_t nw, int64_t out, int whole, int64_t live) {
    vec part = v_load_live(gy + out, live) * share;
    for (int64_t i = 0; i < nw; i++) K(pool_give)(j, gx + i * j->tap[2], part, whole, live);
}

/* The cells of an average lie one behind the other: a channel's share comes again every c elements. */
static PYAD_SHARED void K(pool_average_spread_few)(const REAL *gy, REAL *gx, REAL share, int64_t nw,
                                                    int64_t c) {
    REAL parts[2 * VL];
    const int64_t all = nw * c;
    for (int64_t i = 0; i < pyad_min(all, c + VL); i++) parts[i] = i < c ? gy[i] * share : parts[i - c];
    for (int64_t i = 0, phase = 0; i < all; i += VL, phase = (phase + VL) % c) {
        const int64_t live = pyad_min(VL, all - i);
        for (int64_t k = 0; live < VL && k < live; k++) gx[i + k] += parts[phase + k];
        if (live == VL) v_store(gx + i, v_load(gx + i) + v_load(parts + phase));
    }
}

#define POOL_SPREAD 8192 /* elements of a row that is spread, at most */

/* Whether rows of a gradient of averages, of few channels, are added as wholes: if that is less, by an
 * output, than its cells by themselves, of which those that fill no vector are added one by one. */
static int K(pool_adds_rows)(const pool_job *j) {
    const window_axis *a = &j->g.axis[2];
    const int64_t c = j->g.c, cells = a->kernel * c;
    if (c >= VL || a->adaptive || (a->in + a->padding) * c > POOL_SPREAD) return 0;
    if (((a->out - 1) * a->stride + 1) * c < VL) return 0;
    return a->stride * cells + c * VL < cells + VL * (cells % VL + pyad_min(cells, c + VL));
}

/* An output row's part of gx's row: what each pixel gives lies aside a stride apart, zeros between,
 * and is added once for each cell of the width. */
static PYAD_SHARED void K(pool_add_row)(const pool_job *j, const REAL *gy, REAL *gx, int64_t *o,
                                         REAL *spread) {
    const window_axis *a = &j->g.axis[2];
    const int64_t c = j->g.c, all = ((a->out - 1) * a->stride + 1) * c;
    if (a->stride > 1) memset(spread, 0, (size_t)all * sizeof(REAL));
    for (o[2] = 0; o[2] < a->out; o[2]++, gy += c) {
        const REAL share = 1 / K(pool_divisor)(j, o);
        for (int64_t k = 0; k < c; k++) spread[o[2] * a->stride * c + k] = gy[k] * share;
    }
    for (int64_t i = 0; i < a->kernel; i++) {
        const int64_t shift = (i - a->padding) * c, end = pyad_min(all, a->in * c - shift);
        int64_t e = pyad_max(0, -shift);
        for (; e + VL <= end; e += VL) {
            v_store(gx + shift + e, v_load(gx + shift + e) + v_load(spread + e));
        }
        for (; e < end; e++) gx[shift + e] += spread[e];
    }
}

/* All channels of one pixel of gy. */
POOL_INLINE void K(pool_spread)(int64_t what, const pool_job *j, const REAL *gy, REAL *gx,
                                int64_t base, vec share, int64_t nw, int whole, int64_t out) {
    if (what == POOL_AVERAGE && !whole && j->g.c < VL) {
        K(pool_average_spread_few)(gy + out, gx, share[0], nw, j->g.c);
        return;
    }
    for (int64_t c = 0; c < j->g.c; c += VL) {
        int64_t live = whole ? VL : pyad_min(VL, j->g.c - c);
        if (what == POOL_MAX && live == VL) {
            K(pool_max_spread)(j, gy, gx + c, base, nw, out + c, whole, VL);
        } else if (what == POOL_MAX) {
            K(pool_max_spread)(j, gy, gx + c, base, nw, out + c, whole, live);
        } else if (live == VL) {
            K(pool_average_spread)(j, gy, gx + c, share, nw, out + c, whole, VL);
        } else {
            K(pool_average_spread)(j, gy, gx + c, share, nw, out + c, whole, live);
        }
    }
}

/* The pixels of output row (o[0], o[1]), starting at element out, give to one row of gx. */
POOL_INLINE void K(pool_spread_row)(int64_t what, const pool_job *j, const REAL *gy, REAL *gx,
                                    int64_t base, int64_t *o, int64_t out) {
    const window_axis *a = &j->g.axis[2];
    for (o[2] = 0; o[2] < a->out; o[2]++, out += j->g.c) {
        window_span s = window_at(a, o[2]);
        REAL *to = gx + s.at * j->step[2];
        vec share = v_set1(what == POOL_AVERAGE ? 1 / K(pool_divisor)(j, o) : 1);
        if (j->whole) {
            K(pool_spread)(what, j, gy, to, base + s.cell, share, s.count, POOL_WHOLE, out);
        } else if (s.count == 2) {
            K(pool_spread)(what, j, gy, to, base + s.cell, share, 2, POOL_ADDED, out);
        } else if (s.count == 3) {
            K(pool_spread)(what, j, gy, to, base + s.cell, share, 3, POOL_ADDED, out);
        } else {
            K(pool_spread)(what, j, gy, to, base + s.cell, share, s.count, POOL_ADDED, out);
        }
    }
}

/* ---- winners one by one ---- */

/* Whether vectors would take longer: a large window is passed for each of them, most of it for nothing, and
 * what is stored under a mask, as of few channels, is slow to be loaded again. */
static inline int K(pool_scatters)(const pool_job *j) {
    const int64_t c = j->g.c, cells = j->cell_step[0] * j->g.axis[0].kernel;
    return cells * (c / VL + (c % VL != 0 ? 4 : 0)) > 2 * c;
}

/* Each winner's gradient is added to input rows [begin, end), if it lies there; output by output, so that
 * sums have the order that they have by rows. */
static PYAD_SHARED void K(pool_scatter)(const pool_job *j, const REAL *gy, REAL *gx, int64_t begin,
                                         int64_t end) {
    const window_axis *a = j->g.axis;
    const int64_t low = begin * j->step[1], size = (end - begin) * j->step[1], c = j->g.c;
    const int64_t outputs = a[0].out * a[1].out, image = a[0].in * a[1].in;
    /* elements from a window's first row to behind its last */
    const int64_t reach = (a[0].kernel - 1) * j->tap[0] + a[1].kernel * j->tap[1];
    int64_t places[POOL_PLACES];
    for (int64_t i = 0; i < POOL_PLACES; i++) places[i] = K(pool_place)(j, i);
    for (int64_t row = begin / image * outputs; row < pyad_ceil_div(end, image) * outputs; row++) {
        int64_t first = row / outputs * image * j->step[1] +
                        K(pool_start)(&a[0], row / a[1].out % a[0].out) * j->step[0] +
                        K(pool_start)(&a[1], row % a[1].out) * j->step[1] - low;
        if (first >= size || first + reach <= 0) continue;
        int64_t out = row * a[2].out * c;
        for (int64_t o = 0; o < a[2].out; o++) {
            const int64_t at = first + K(pool_start)(&a[2], o) * c;
            for (int64_t k = 0; k < c; k++, out++) {
                const int64_t cell = K(pool_cell)(&j->cells, out);
                const int64_t place = at + k + (j->cells.bytes == 1 ? places[cell] : K(pool_place)(j, cell));
                if ((uint64_t)place < (uint64_t)size) gx[low + place] += gy[out];
            }
        }
    }
}

/* This thread's part of the input rows. */
POOL_INLINE void K(pool_backward)(int64_t what, pool_job *j, const REAL *gy, REAL *gx,
                                  const team *t) {
    const window_axis *a = j->g.axis;
    int64_t begin, end, from[2], to[2], o[WINDOW_AXES];
    team_range(t, j->g.n * a[0].in * a[1].in, 1, &begin, &end);
    if (what == POOL_MAX && K(pool_scatters)(j)) {
        memset(gx + begin * j->step[1], 0, (size_t)((end - begin) * j->step[1]) * sizeof(REAL));
        K(pool_scatter)(j, gy, gx, begin, end);
        return;
    }
    gx += begin * j->step[1];
    /* a job that is handed on would be read anew for each pixel */
    const pool_job copy = *j;
    const int adds_rows = what == POOL_AVERAGE && K(pool_adds_rows)(&copy);
    j->whole = j->g.c % LINE == 0 && window_apart(&a[0]) && window_apart(&a[1]) &&
               window_apart(&a[2]);
    j->past = j->whole && writes_past(gx, (end - begin) * j->step[1] * (int64_t)sizeof(REAL));
    for (int64_t row = begin; row < end; row++, gx += j->step[1]) {
        int64_t n = row / a[1].in / a[0].in, d = row / a[1].in % a[0].in, h = row % a[1].in;
        window_outputs_over(&a[0], d, &from[0], &to[0]);
        window_outputs_over(&a[1], h, &from[1], &to[1]);
        const int reached = from[0] < to[0] && from[1] < to[1];
        const int64_t given = j->whole && reached ? window_reach(&a[2]) : 0;
        memset(gx + given * j->g.c, 0, (size_t)((a[2].in - given) * j->g.c) * sizeof(REAL));
        for (o[0] = from[0]; o[0] < to[0]; o[0]++) {
            int64_t cell_d = window_cell_of(&a[0], o[0], d);
            for (o[1] = from[1]; cell_d >= 0 && o[1] < to[1]; o[1]++) {
                int64_t cell_h = window_cell_of(&a[1], o[1], h);
                if (cell_h < 0) continue;
                int64_t base = cell_d * j->cell_step[0] + cell_h * j->cell_step[1];
                int64_t out = ((n * a[0].out + o[0]) * a[1].out + o[1]) * a[2].out * j->g.c;
                if (adds_rows) {
                    K(pool_add_row)(&copy, gy + out, gx, o, t->scratch);
                } else {
                    K(pool_spread_row)(what, j, gy, gx, base, o, out);
                }
            }
        }
    }
    if (j->past) end_writes_past();
}

/* ---- kernels ---- */

#define POOL_NO_DILATION ((const int64_t[WINDOW_AXES]){1, 1, 1})

static int K(max_pool_fwd)(const void *args, const team *t) {
    const max_pool_fwd_args *a = args;
    pool_job j = K(pool_job_of)(window_geometry_of(&a->x, &a->y, a->kernel, a->stride, a->padding,
                                                   a->dilation, a->adaptive),
                                &a->cell);
    int64_t places[POOL_PLACES];
    j.indices = a->indices.data;
    j.relu = a->relu;
    if (j.indices != NULL && j.cells.bytes == 1) {
        for (int64_t i = 0; i < POOL_PLACES; i++) {
            places[i] = K(pool_place)(&j, i) / pyad_max(1, j.g.c);
        }
        j.places = places;
    }
    K(pool_forward)(POOL_MAX, &j, a->x.data, a->y.data, t);
    return PYAD_OK;
}
PYAD_RECORD(max_pool_fwd, max_pool_fwd_args, pyad_numel(&a->x))

static int K(max_pool_take)(const void *args, const team *t) {
    const max_pool_take_args *a = args;
    pool_job j = K(pool_job_of)(window_geometry_of(&a->x, &a->y, a->kernel, a->stride, a->padding,
                                                   a->dilation, a->adaptive),
                                &a->cell);
    K(pool_forward)(POOL_TAKE, &j, a->x.data, a->y.data, t);
    return PYAD_OK;
}
PYAD_RECORD(max_pool_take, max_pool_take_args, pyad_numel(&a->x))

static int K(max_pool_bwd)(const void *args, const team *t) {
    const max_pool_bwd_args *a = args;
    pool_job j = K(pool_job_of)(window_geometry_of(&a->gx, &a->gy, a->kernel, a->stride,
                                                   a->padding, a->dilation, a->adaptive),
                                &a->cell);
    K(pool_backward)(POOL_MAX, &j, a->gy.data, a->gx.data, t);
    return PYAD_OK;
}
PYAD_RECORD(max_pool_bwd, max_pool_bwd_args, pyad_numel(&a->gx))

static int K(avg_pool_fwd)(const void *args, const team *t) {
    const avg_pool_fwd_args *a = args;
    pool_job j = K(pool_job_of)(window_geometry_of(&a->x, &a->y, a->kernel, a->stride, a->padding,
                                                   POOL_NO_DILATION, a->adaptive),
                                NULL);
    j.with_padding = a->with_padding;
    j.divisor = a->divisor;
    K(pool_forward)(POOL_AVERAGE, &j, a->x.data, a->y.data, t);
    return PYAD_OK;
}
PYAD_RECORD(avg_pool_fwd, avg_pool_fwd_args, pyad_numel(&a->x))

static int K(avg_pool_bwd)(const void *args, const team *t) {
    const avg_pool_bwd_args *a = args;
    pool_job j = K(pool_job_of)(window_geometry_of(&a->gx, &a->gy, a->kernel, a->stride,
                                                   a->padding, POOL_NO_DILATION, a->adaptive),
                                NULL);
    j.with_padding = a->with_padding;
    j.divisor = a->divisor;
    K(pool_backward)(POOL_AVERAGE, &j, a->gy.data, a->gx.data, t);
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(avg_pool_bwd, avg_pool_bwd_args, pyad_numel(&a->gx), POOL_SPREAD * sizeof(REAL), 0)

#undef POOL_INLINE
#undef POOL_MAX
#undef POOL_TAKE
#undef POOL_AVERAGE
#undef POOL_WIDE
#undef POOL_WHOLE
#undef POOL_PLACES
#undef POOL_SPREAD
#undef POOL_ADDED
#undef POOL_NO_DILATION
#undef pool_bytes
#undef pool_words
#undef pool_cells
#undef pool_job
#undef pool_window
#endif
