/* Augmentation: numbers for each sample, and images moved by an affine map.
 *
 * Numbers come from the blocks that seed, epoch and a sample's number name, so batches, workers and
 * threads can't change them.
 *
 * augment_move: threads split the output's rows. Of a piece of a row it first finds where each pixel
 * reads, which is the same for all channels, then goes through the channels, for any strides.
 * Positions are in double, so that flips, shifts and crops, whose maps are whole numbers, are copies,
 * and where a map turns nothing the columns of a sample are found once for all its rows. A move by whole
 * pixels finds none: of each row a run is copied, with channels that lie side by side all at once.
 */
#if DTYPE != PYAD_BOOL
#include "random/normal_tpl.h"

#ifdef REAL
#define ELEM REAL
#define MIX REAL
#else
#define ELEM INT
#define MIX float
#endif

/* streams of augmentation, apart from those that shuffle: a few numbers for a sample, and many */
#define UNIFORM_STREAM ((uint64_t)1 << 40)
#define NORMAL_STREAM ((uint64_t)1 << 43)
/* so many blocks are a sample's own where it takes many */
#define SAMPLE_BLOCK_BITS 32

#if DTYPE == PYAD_INT64
/* ---- numbers for each sample ---- */

/* Four words of a block, then four of the same block in the next stream beside it. */
static int K(augment_uniform)(const void *args, const team *t) {
    const augment_uniform_args *a = args;
    const int64_t *samples = a->samples.data, count = a->out.shape[1];
    const philox p = {(uint64_t)a->seed, UNIFORM_STREAM + (uint64_t)a->epoch, 0};
    int64_t begin, end;
    team_range(t, a->out.shape[0], 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        double *out = (double *)a->out.data + n * count;
        uint32_t words[PHILOX_WORDS];
        for (int64_t i = 0; i < count; i++) {
            if (i % 4 == 0) {
                const philox more = philox_more(p, (uint64_t)i / 4);
                philox_group(&more, (uint64_t)samples[n * a->samples.stride[0]], words);
            }
            out[i] = (double)words[i % 4 * PHILOX_LANES] * 0x1p-32;
        }
    }
    return PYAD_OK;
}

PYAD_RECORD(augment_uniform, augment_uniform_args, 40 * pyad_numel(&a->out))

/* A sample's numbers are those of its own blocks, in the order in which philox_group gives them. */
static int K(augment_normal)(const void *args, const team *t) {
    const augment_normal_args *a = args;
    const int64_t *samples = a->samples.data, count = a->out.shape[1];
    const double how[2] = {0, 1};
    int64_t begin, end;
    team_range(t, a->out.shape[0], 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        const uint64_t sample = (uint64_t)samples[n * a->samples.stride[0]];
        const philox p = {(uint64_t)a->seed, NORMAL_STREAM + (uint64_t)a->epoch,
                          sample << SAMPLE_BLOCK_BITS};
        float *out = (float *)a->out.data + n * count;
        for (int64_t i = 0; i < count; i += PHILOX_WORDS) {
            float group[PHILOX_WORDS];
            normal_group_f32(&p, (uint64_t)(i / PHILOX_WORDS * PHILOX_LANES), how, group);
            memcpy(out + i, group, (size_t)pyad_min(PHILOX_WORDS, count - i) * sizeof *out);
        }
    }
    return PYAD_OK;
}

PYAD_RECORD(augment_normal, augment_normal_args, 6 * pyad_numel(&a->out))
#endif

/* ---- move ---- */

/* pixels whose sources are found together, in loops that the compiler vectorises */
#define PIECE 64
#define CORNERS 4

/* Bring rows or columns outside into the image, which goes on turned over and over; a reflection does
 * not repeat the edge. */
static PYAD_ONCE void K(fold)(double *at, int64_t pixels, int64_t size, int64_t outside) {
    const int64_t again = outside == PYAD_OUTSIDE_REFLECT;
    const int64_t period = pyad_max(2 * (size - again), 1);
    for (int64_t k = 0; k < pixels; k++) {
        if (at[k] >= 0 && at[k] < (double)size) continue;
        if (outside == PYAD_OUTSIDE_EDGE) {
            at[k] = at[k] < 0 ? 0 : (double)(size - 1);
            continue;
        }
        const double near = at[k] < -0x1p52 ? -0x1p52 : at[k] > 0x1p52 ? 0x1p52 : at[k];
        const int64_t turn = ((int64_t)near % period + period) % period;
        at[k] = (double)(turn < size ? turn : period - 1 + again - turn);
    }
}

/* Where pixels are, counted from the first of their plane, which stands for those outside, too; and
 * which are inside. Overwrites row and column. */
static PYAD_ONCE void K(places)(const augment_move_args *a, double *row, double *column, int64_t pixels,
                         int64_t *place, int64_t *inside) {
    const double h = (double)a->x.shape[2], w = (double)a->x.shape[3];
    const double down = (double)a->x.stride[2], right = (double)a->x.stride[3];
    if (a->outside != PYAD_OUTSIDE_FILL) {
        K(fold)(row, pixels, a->x.shape[2], a->outside);
        K(fold)(column, pixels, a->x.shape[3], a->outside);
    }
    for (int64_t k = 0; k < pixels; k++) {
        const double at = row[k] * down + column[k] * right;
        inside[k] = (row[k] >= 0) & (row[k] < h) & (column[k] >= 0) & (column[k] < w);
        place[k] = (int64_t)(inside[k] ? at : 0);
    }
}

/* The rows, or columns, that pixels of row i read from column j on, by three numbers of their map. */
static PYAD_ONCE void K(positions)(const double *map, int64_t i, int64_t j, int64_t pixels,
                            double *at) {
    const double slope = map[1], row = map[0] * (double)i, shift = map[2], first = (double)j;
    for (int k = 0; k < (int)pixels; k++) at[k] = row + slope * (first + (double)k) + shift;
}

static PYAD_ONCE void K(put)(const ELEM *from, int64_t pixels, ELEM *to, int64_t step) {
    if (step == 1) {
        memcpy(to, from, (size_t)pixels * sizeof *to);
        return;
    }
    for (int64_t k = 0; k < pixels; k++) to[k * step] = from[k];
}

/* `pixels` pixels of row i from column j on, where `out` is. */
static void K(move_nearest)(const augment_move_args *a, const double *map, int64_t i, int64_t j,
                            int64_t pixels, const ELEM *x, ELEM *out) {
    double row[PIECE], column[PIECE];
    int64_t place[PIECE], inside[PIECE];
    ELEM found[PIECE];
    const ELEM fill = (ELEM)a->fill;
    K(positions)(map, i, j, pixels, row);
    K(positions)(map + 3, i, j, pixels, column);
    for (int64_t k = 0; k < pixels; k++) {
        row[k] = floor(row[k] + 0.5);
        column[k] = floor(column[k] + 0.5);
    }
    K(places)(a, row, column, pixels, place, inside);
    for (int64_t c = 0; c < a->x.shape[1]; c++) {
        const ELEM *plane = x + c * a->x.stride[1];
        for (int64_t k = 0; k < pixels; k++) {
            const ELEM value = plane[place[k]];
            found[k] = inside[k] ? value : fill;
        }
        K(put)(found, pixels, out + c * a->out.stride[1], a->out.stride[3]);
    }
}

/* types whose pixels may be mixed; the op lets no other come here with PYAD_LINEAR */
#if defined(REAL) || DTYPE == PYAD_UINT8
#define MIXED
/* Where pixels are mixed: the places of four, their weights, and what the fill adds for those
 * outside. What has weight 0 does not count: an infinite neighbour must not give NaN. */
typedef struct {
    int64_t place[CORNERS][PIECE];
    MIX weight[CORNERS][PIECE];
    MIX filled[PIECE];
} K(corners);

static void K(find_corners)(const augment_move_args *a, const double *map, int64_t i, int64_t j,
                            int64_t pixels, K(corners) *found) {
    double top[PIECE], left[PIECE], row[PIECE], column[PIECE];
    int64_t inside[PIECE];
    const MIX fill = (MIX)a->fill;
    K(positions)(map, i, j, pixels, row);
    K(positions)(map + 3, i, j, pixels, column);
    for (int64_t k = 0; k < pixels; k++) {
        top[k] = floor(row[k]);
        left[k] = floor(column[k]);
        const MIX down = (MIX)(row[k] - top[k]), right = (MIX)(column[k] - left[k]);
        found->weight[0][k] = (1 - down) * (1 - right);
        found->weight[1][k] = (1 - down) * right;
        found->weight[2][k] = down * (1 - right);
        found->weight[3][k] = down * right;
        found->filled[k] = 0;
    }
    for (int corner = 0; corner < CORNERS; corner++) {
        MIX *weight = found->weight[corner];
        for (int64_t k = 0; k < pixels; k++) {
            row[k] = top[k] + corner / 2;
            column[k] = left[k] + corner % 2;
        }
        K(places)(a, row, column, pixels, found->place[corner], inside);
        for (int64_t k = 0; k < pixels; k++) {
            const MIX part = weight[k] * fill;
            found->filled[k] += inside[k] || weight[k] == 0 ? 0 : part;
            weight[k] = inside[k] ? weight[k] : 0;
        }
    }
}

static void K(move_linear)(const augment_move_args *a, const double *map, int64_t i, int64_t j,
                           int64_t pixels, const ELEM *x, ELEM *out) {
    K(corners) from;
    MIX sum[PIECE];
    ELEM found[PIECE];
    K(find_corners)(a, map, i, j, pixels, &from);
    for (int64_t c = 0; c < a->x.shape[1]; c++) {
        const ELEM *plane = x + c * a->x.stride[1];
        memcpy(sum, from.filled, (size_t)pixels * sizeof *sum);
        for (int corner = 0; corner < CORNERS; corner++) {
            const int64_t *place = from.place[corner];
            const MIX *weight = from.weight[corner];
            for (int64_t k = 0; k < pixels; k++) {
                const MIX part = weight[k] * (MIX)plane[place[k]];
                sum[k] += weight[k] == 0 ? 0 : part;
            }
        }
        for (int64_t k = 0; k < pixels; k++) {
#ifdef REAL
            found[k] = sum[k];
#else
            found[k] = (ELEM)rint((double)sum[k]);
#endif
        }
        K(put)(found, pixels, out + c * a->out.stride[1], a->out.stride[3]);
    }
}
#endif

/* A map that turns nothing, of whole rows: columns are found once for `rows` rows from i on. */
static void K(move_straight)(const augment_move_args *a, const double *map, int64_t i, int64_t rows,
                             int64_t j, int64_t pixels, const ELEM *x, ELEM *out) {
    double top[PIECE] = {0}, column[PIECE];
    int64_t place[PIECE], inside[PIECE];
    ELEM found[PIECE];
    const ELEM fill = (ELEM)a->fill;
    K(positions)(map + 3, 0, j, pixels, column);
    for (int64_t k = 0; k < pixels; k++) column[k] = floor(column[k] + 0.5);
    K(places)(a, top, column, pixels, place, inside);
    for (int64_t last = i + rows; i < last; i++, out += a->out.stride[2]) {
        double row;
        K(positions)(map, i, j, 1, &row);
        row = floor(row + 0.5);
        if (a->outside != PYAD_OUTSIDE_FILL) K(fold)(&row, 1, a->x.shape[2], a->outside);
        const int present = row >= 0 && row < (double)a->x.shape[2];
        const ELEM *line = x + (present ? (int64_t)row * a->x.stride[2] : 0);
        for (int64_t c = 0; c < a->x.shape[1]; c++, line += a->x.stride[1]) {
            for (int64_t k = 0; k < pixels; k++) {
                const ELEM value = line[place[k]];
                found[k] = present & inside[k] ? value : fill;
            }
            K(put)(found, pixels, out + c * a->out.stride[1], a->out.stride[3]);
        }
    }
}

/* `pixels` columns from j on of `rows` rows from i on, where `out` is. */
static void K(move)(const augment_move_args *a, const double *map, int64_t i, int64_t rows, int64_t j,
                    int64_t pixels, const ELEM *x, ELEM *out) {
    if (a->mode == PYAD_NEAREST && map[1] == 0 && map[3] == 0) {
        K(move_straight)(a, map, i, rows, j, pixels, x, out);
        return;
    }
    for (int64_t last = i + rows; i < last; i++, out += a->out.stride[2]) {
#ifdef MIXED
        if (a->mode == PYAD_LINEAR) {
            K(move_linear)(a, map, i, j, pixels, x, out);
            continue;
        }
#endif
        K(move_nearest)(a, map, i, j, pixels, x, out);
    }
}

/* Whether a map moves by whole pixels alone, and how far. */
static int K(whole_move)(const augment_move_args *a, const double *map, int64_t *down,
                         int64_t *right) {
    const int straight = map[0] == 1 && map[1] == 0 && map[3] == 0 && map[4] == 1;
    const int near = fabs(map[2]) < 0x1p40 && fabs(map[5]) < 0x1p40;
    if (a->mode != PYAD_NEAREST || a->outside != PYAD_OUTSIDE_FILL || !straight || !near) return 0;
    *down = (int64_t)map[2];
    *right = (int64_t)map[5];
    return (double)*down == map[2] && (double)*right == map[5];
}

/* n elements of `from`, or with from_step 0 its one again and again. Only runs of elements that lie side
 * by side on both sides are many: the loop is kept small. */
static PYAD_ONCE __attribute__((cold)) void K(copy_run)(const ELEM *from, int64_t from_step, int64_t n,
                                                        ELEM *to, int64_t step) {
    if (from_step == 1 && step == 1) {
        memcpy(to, from, (size_t)n * sizeof *to);
        return;
    }
    for (int64_t k = 0; k < n; k++, from += from_step, to += step) *to = *from;
}

/* `rows` rows from i on, where `out` is, moved by whole pixels. */
static void K(move_whole)(const augment_move_args *a, int64_t down, int64_t right, int64_t i, int64_t rows,
                          const ELEM *x, ELEM *out) {
    const pyad_array *from = &a->x, *to = &a->out;
    const int64_t channels = from->shape[1], columns = to->shape[3];
    const int together = channels > 1 && from->stride[1] == 1 && from->stride[3] == channels &&
                         to->stride[1] == 1 && to->stride[3] == channels;
    const int64_t unit = together ? channels : 1;
    const ELEM fill = (ELEM)a->fill;
    const int64_t from_step = together ? 1 : from->stride[3], step = together ? 1 : to->stride[3];
    const int64_t first = pyad_min(pyad_max(-right, 0), columns);
    const int64_t end = pyad_max(pyad_min(from->shape[3] - right, columns), first);
    for (int64_t last = i + rows; i < last; i++, out += to->stride[2]) {
        const int64_t row = i + down;
        const int present = row >= 0 && row < from->shape[2] && first < end;
        const int64_t before = present ? first : columns, after = present ? end : columns;
        for (int64_t c = 0; c < channels; c += unit) {
            ELEM *line = out + c * to->stride[1];
            K(copy_run)(&fill, 0, before * unit, line, step);
            if (!present) continue;
            const ELEM *run = x + c * from->stride[1] + row * from->stride[2] +
                              (first + right) * unit * from_step;
            K(copy_run)(run, from_step, (after - before) * unit, line + before * unit * step, step);
            K(copy_run)(&fill, 0, (columns - after) * unit, line + after * unit * step, step);
        }
    }
}

static int K(augment_move)(const void *args, const team *t) {
    const augment_move_args *a = args;
    const int64_t height = a->out.shape[2], columns = a->out.shape[3];
    int64_t begin, end, rows;
    team_range(t, a->out.shape[0] * height, 1, &begin, &end);
    for (int64_t row = begin; row < end; row += rows) {
        const int64_t n = row / height, i = row % height;
        const double *map = (const double *)a->maps.data + n * 6;
        const ELEM *x = (const ELEM *)a->x.data + n * a->x.stride[0];
        ELEM *out = (ELEM *)a->out.data + n * a->out.stride[0] + i * a->out.stride[2];
        rows = pyad_min(height - i, end - row);
        int64_t down, right;
        if (K(whole_move)(a, map, &down, &right)) {
            K(move_whole)(a, down, right, i, rows, x, out);
            continue;
        }
        for (int64_t j = 0; j < columns; j += PIECE) {
            const int64_t pixels = pyad_min(PIECE, columns - j);
            K(move)(a, map, i, rows, j, pixels, x, out + j * a->out.stride[3]);
        }
    }
    return PYAD_OK;
}

PYAD_RECORD(augment_move, augment_move_args,
            (a->mode == PYAD_LINEAR ? 10 : 3) * pyad_numel(&a->out))

#undef PIECE
#undef CORNERS
#undef MIXED

#undef ELEM
#undef MIX
#undef GROUP
#undef UNIFORM_STREAM
#undef NORMAL_STREAM
#undef SAMPLE_BLOCK_BITS
#endif
