/* im2col: every patch of an image as a column, (n, c, spatial...) -> (n, c taps, patches).
 * col2im: its transpose, every column added to the image at its patch.
 *
 * The columns are C-ordered, the image has any strides. im2col goes through the rows of its output,
 * one for each (image, channel, tap), and col2im through the channels of its own, adding tap by
 * tap: each thread owns what it writes.
 */
#ifdef REAL

#ifndef PYAD_FOLD
#define PYAD_FOLD
/* An image with three spatial axes, and its patches. */
typedef struct {
    int64_t images, channels, image_step, channel_step;
    int64_t size[3], step[3];
    int64_t stride[3], padding[3], dilation[3], kernel[3], grid[3];
    int64_t taps, patches;
} fold_plan;

/* ints: stride, padding, dilation, kernel, grid, three of each. */
static inline fold_plan fold_plan_of(const pyad_array *x, const int64_t *ints) {
    fold_plan p = {.images = x->shape[0],
                   .channels = x->shape[1],
                   .image_step = x->stride[0],
                   .channel_step = x->stride[1],
                   .taps = 1,
                   .patches = 1};
    int64_t missing = 5 - x->ndim;
    for (int64_t i = 0; i < 3; i++) {
        int present = i >= missing;
        p.size[i] = present ? x->shape[i - missing + 2] : 1;
        p.step[i] = present ? x->stride[i - missing + 2] : 0;
        p.stride[i] = ints[i];
        p.padding[i] = ints[3 + i];
        p.dilation[i] = ints[6 + i];
        p.kernel[i] = ints[9 + i];
        p.grid[i] = ints[12 + i];
        p.taps *= p.kernel[i];
        p.patches *= p.grid[i];
    }
    return p;
}

/* Where tap `tap` of patch 0 lies. */
static inline void fold_tap(const fold_plan *p, int64_t tap, int64_t *at) {
    for (int64_t i = 2; i >= 0; i--) {
        at[i] = tap % p->kernel[i] * p->dilation[i] - p->padding[i];
        tap /= p->kernel[i];
    }
}

static inline int fold_inside(const fold_plan *p, int64_t axis, int64_t at) {
    return at >= 0 && at < p->size[axis];
}
#endif

/* One tap of all patches of one channel: column = image, or image += column. */
static inline __attribute__((always_inline)) void K(fold_row)(const fold_plan *p, int64_t tap,
                                                              REAL *image, REAL *column,
                                                              const int add) {
    int64_t at[3];
    fold_tap(p, tap, at);
    for (int64_t i = 0; i < p->grid[0]; i++) {
        int64_t d = at[0] + i * p->stride[0];
        for (int64_t j = 0; j < p->grid[1]; j++, column += p->grid[2]) {
            int64_t h = at[1] + j * p->stride[1];
            int inside = fold_inside(p, 0, d) && fold_inside(p, 1, h);
            REAL *line = image + (inside ? d * p->step[0] + h * p->step[1] : 0);
            for (int64_t l = 0; l < p->grid[2]; l++) {
                int64_t w = at[2] + l * p->stride[2];
                int here = inside && fold_inside(p, 2, w);
                if (!add) {
                    column[l] = here ? line[w * p->step[2]] : 0;
                } else if (here) {
                    line[w * p->step[2]] += column[l];
                }
            }
        }
    }
}

static int K(im2col)(const void *args, const team *t) {
    const im2col_args *a = args;
    fold_plan p = fold_plan_of(&a->x, a->stride);
    int64_t begin, end;
    team_range(t, p.images * p.channels * p.taps, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t channel = i / p.taps % p.channels, n = i / p.taps / p.channels;
        REAL *image = (REAL *)a->x.data + n * p.image_step + channel * p.channel_step;
        K(fold_row)(&p, i % p.taps, image, (REAL *)a->columns.data + i * p.patches, 0);
    }
    return 0;
}

static void K(fold_clear)(const fold_plan *p, REAL *image) {
    for (int64_t d = 0; d < p->size[0]; d++) {
        for (int64_t h = 0; h < p->size[1]; h++) {
            REAL *line = image + d * p->step[0] + h * p->step[1];
            for (int64_t w = 0; w < p->size[2]; w++) line[w * p->step[2]] = 0;
        }
    }
}

static int K(col2im)(const void *args, const team *t) {
    const col2im_args *a = args;
    fold_plan p = fold_plan_of(&a->x, a->stride);
    int64_t begin, end;
    team_range(t, p.images * p.channels, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        REAL *image = (REAL *)a->x.data + i / p.channels * p.image_step +
                      i % p.channels * p.channel_step;
        REAL *column = (REAL *)a->columns.data + i * p.taps * p.patches;
        K(fold_clear)(&p, image);
        for (int64_t tap = 0; tap < p.taps; tap++, column += p.patches) {
            K(fold_row)(&p, tap, image, column, 1);
        }
    }
    return 0;
}

PYAD_RECORD(im2col, im2col_args, pyad_numel(&a->columns))
PYAD_RECORD(col2im, col2im_args, pyad_numel(&a->columns))
#endif
