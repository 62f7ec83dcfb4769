/* Augmentation: images moved by random numbers of pixels.
 *
 * The shift of an image comes from the block of random numbers that seed, epoch and the sample's
 * number name, so batches, workers and threads can't change it. Threads split the images; a row
 * of the output is a part filled and a part copied, for any strides.
 */
#include "philox.h"

#ifdef REAL
#define ELEM REAL
#else
#define ELEM INT
#endif

/* streams of augmentation, apart from those that shuffle */
#define AUGMENT_STREAM ((uint64_t)1 << 40)

/* A number from -most to most. */
static inline int64_t K(shift_of)(uint32_t word, int64_t most) {
    return (int64_t)(((uint64_t)word * (uint64_t)(2 * most + 1)) >> 32) - most;
}

/* One plane (h, w): out[i][j] = x[i - dy][j - dx], `fill` from outside. */
static void K(shift_plane)(const random_shift_args *a, const ELEM *x, ELEM *out, int64_t dy,
                           int64_t dx) {
    const int64_t h = a->x.shape[2], w = a->x.shape[3];
    const int64_t *xs = a->x.stride, *os = a->out.stride;
    for (int64_t i = 0; i < h; i++) {
        int64_t row = i - dy;
        for (int64_t j = 0; j < w; j++) {
            int64_t column = j - dx;
            int inside = row >= 0 && row < h && column >= 0 && column < w;
            out[i * os[2] + j * os[3]] =
                inside ? x[row * xs[2] + column * xs[3]] : (ELEM)a->fill;
        }
    }
}

static int K(random_shift)(const void *args, const team *t) {
    const random_shift_args *a = args;
    const int64_t *samples = a->samples.data;
    const philox p = {(uint64_t)a->seed, AUGMENT_STREAM + (uint64_t)a->epoch, 0};
    int64_t begin, end;
    team_range(t, a->x.shape[0], 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        uint32_t words[PHILOX_WORDS];
        philox_group(&p, (uint64_t)samples[n * a->samples.stride[0]], words);
        int64_t dy = K(shift_of)(words[0], a->max_shift);
        int64_t dx = K(shift_of)(words[PHILOX_LANES], a->max_shift);
        for (int64_t c = 0; c < a->x.shape[1]; c++) {
            const ELEM *x = (const ELEM *)a->x.data + n * a->x.stride[0] + c * a->x.stride[1];
            ELEM *out = (ELEM *)a->out.data + n * a->out.stride[0] + c * a->out.stride[1];
            K(shift_plane)(a, x, out, dy, dx);
        }
    }
    return PYAD_OK;
}

PYAD_RECORD(random_shift, random_shift_args, 2 * pyad_numel(&a->out), 0, 0)

#undef ELEM
