/* Depthwise convolution: every channel by itself, so vectors run along the channels.
 *
 * Included by conv_tpl.h. Weights are packed as [tap][channel], padded to whole vectors.
 *
 * Forward and gradient by the image: for each output pixel (rows shared out to the threads) and
 * each DEPTHWISE_VECTORS vectors of channels the sum over the taps stays in registers.
 * Gradient by the weight: rows of output pixels are cut into slabs, each with a sum [tap][channel]
 * of its own; for each row, tap and vectors of channels the sum over the row stays in registers.
 */
#ifndef PYAD_DEPTHWISE
#define PYAD_DEPTHWISE
#define DEPTHWISE_VECTORS 4
#define DEPTHWISE_SLABS 16
#endif

/* n elements as DEPTHWISE_VECTORS vectors, zeros behind. */
GEMM_INLINE void K(depthwise_load)(const REAL *p, int64_t n, vec *v) {
    for (int64_t i = 0; i < DEPTHWISE_VECTORS; i++, p += VL, n -= VL) {
        v[i] = n >= VL ? v_load(p) : n > 0 ? v_load_n(p, n) : (vec){0};
    }
}

GEMM_INLINE void K(depthwise_store)(REAL *p, int64_t n, const vec *v) {
    for (int64_t i = 0; i < DEPTHWISE_VECTORS && n > 0; i++, p += VL, n -= VL) {
        if (n >= VL) {
            v_store(p, v[i]);
        } else {
            v_store_n(p, v[i], n);
        }
    }
}

/* This thread's share of the channels of the weight. */
static void K(depthwise_pack)(const REAL *weight, int64_t channels, int64_t taps, REAL *packed,
                              const team *t) {
    int64_t padded = pyad_ceil_div(channels, VL) * VL;
    int64_t begin, end;
    team_range(t, padded, VL, &begin, &end);
    for (int64_t tap = 0; tap < taps; tap++) {
        for (int64_t c = begin; c < end; c++) {
            packed[tap * padded + c] = c < channels ? weight[c * taps + tap] : 0;
        }
    }
}

/* What one call reads and writes. */
typedef struct {
    const im2col_view *view;
    const int64_t *kernel;
    const REAL *source, *packed, *bias;
    REAL *out;
} K(depthwise_job);

/* Taps begin .. end-1 of an axis, those that meet the source from pixel `first` on. */
static inline void K(depthwise_taps)(const im2col_axis *a, int64_t first, int64_t *begin,
                                     int64_t *end) {
    int64_t past = a->source - first;
    *begin = first >= 0 ? 0 : pyad_min(a->taps, pyad_ceil_div(-first, a->tap_step));
    *end = past <= 0 ? *begin : pyad_min(a->taps, pyad_ceil_div(past, a->tap_step));
    *end = pyad_max(*begin, *end);
}

/* The sum over all taps of one pixel, for n channels from c on. */
GEMM_INLINE void K(depthwise_pixel)(const K(depthwise_job) *job, const im2col_pixel *at,
                                    const int64_t range[3][2], int64_t c, int64_t n, vec *sum) {
    const im2col_view *v = job->view;
    const im2col_axis *a = v->axis;
    int64_t padded = pyad_ceil_div(v->channels, VL) * VL;
    int64_t w0 = a[2].first + at->w * a[2].step + range[2][0] * a[2].tap_step;
    for (int64_t i = range[0][0]; i < range[0][1]; i++) {
        int64_t d = a[0].first + at->d * a[0].step + i * a[0].tap_step;
        int64_t tap_d = a[0].index + i * a[0].index_step;
        for (int64_t j = range[1][0]; j < range[1][1]; j++) {
            int64_t h = a[1].first + at->h * a[1].step + j * a[1].tap_step;
            int64_t tap_h = tap_d * job->kernel[1] + a[1].index + j * a[1].index_step;
            int64_t tap = tap_h * job->kernel[2] + a[2].index + range[2][0] * a[2].index_step;
            const REAL *w = job->packed + tap * padded + c;
            const REAL *x = job->source + c + v->channels *
                (((at->n * a[0].source + d) * a[1].source + h) * a[2].source + w0);
            for (int64_t l = range[2][0]; l < range[2][1]; l++) {
                vec left[DEPTHWISE_VECTORS], right[DEPTHWISE_VECTORS];
                K(depthwise_load)(x, n, left);
                K(depthwise_load)(w, n, right);
                for (int64_t u = 0; u < DEPTHWISE_VECTORS; u++) {
                    sum[u] = v_fma(left[u], right[u], sum[u]);
                }
                x += a[2].tap_step * v->channels;
                w += a[2].index_step * padded;
            }
        }
    }
}

/* All channels of one pixel. */
static void K(depthwise_channels)(const K(depthwise_job) *job, const im2col_pixel *at,
                                  const int64_t range[3][2]) {
    const int64_t step = DEPTHWISE_VECTORS * VL;
    int64_t channels = job->view->channels;
    REAL *out = job->out + im2col_out_offset(job->view, at);
    for (int64_t c = 0; c < channels; c += step) {
        vec sum[DEPTHWISE_VECTORS] = {{0}};
        int64_t n = channels - c;
        if (n >= step) {
            K(depthwise_pixel)(job, at, range, c, step, sum);
        } else {
            K(depthwise_pixel)(job, at, range, c, n, sum);
        }
        if (job->bias != NULL) {
            vec bias[DEPTHWISE_VECTORS];
            K(depthwise_load)(job->bias + c, n, bias);
            for (int64_t u = 0; u < DEPTHWISE_VECTORS; u++) sum[u] += bias[u];
        }
        K(depthwise_store)(out + c, n, sum);
    }
}

/* This thread's rows of the output pixels of a view. */
static void K(depthwise_gather)(const K(depthwise_job) *job, const team *t) {
    const im2col_view *v = job->view;
    const im2col_axis *a = v->axis;
    int64_t begin, end;
    if (im2col_pixels(v) == 0) return;
    team_range(t, im2col_pixels(v) / a[2].count, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t range[3][2];
        im2col_pixel at = im2col_at(v, row * a[2].count);
        K(depthwise_taps)(&a[0], a[0].first + at.d * a[0].step, &range[0][0], &range[0][1]);
        K(depthwise_taps)(&a[1], a[1].first + at.h * a[1].step, &range[1][0], &range[1][1]);
        for (; at.w < a[2].count; at.w++) {
            K(depthwise_taps)(&a[2], a[2].first + at.w * a[2].step, &range[2][0], &range[2][1]);
            K(depthwise_channels)(job, &at, range);
        }
    }
}

/* ---- gradient by the weight ---- */

/* A slab's sums: [tap][channel], after them those of dy for the bias. */
typedef struct {
    const im2col_view *view;
    const REAL *x, *dy;
    REAL *sums;
    int64_t padded;
    int bias;
} K(depthwise_slab);

/* Add sum over i < count of x[i * x_step] dy[i * dy_step] to sums, for n channels. */
GEMM_INLINE void K(depthwise_product)(const REAL *x, int64_t x_step, const REAL *dy,
                                      int64_t dy_step, int64_t count, int64_t n, REAL *sums) {
    vec sum[DEPTHWISE_VECTORS];
    K(depthwise_load)(sums, n, sum);
    for (int64_t i = 0; i < count; i++, x += x_step, dy += dy_step) {
        vec left[DEPTHWISE_VECTORS], right[DEPTHWISE_VECTORS];
        K(depthwise_load)(x, n, left);
        K(depthwise_load)(dy, n, right);
        for (int64_t u = 0; u < DEPTHWISE_VECTORS; u++) {
            sum[u] = v_fma(left[u], right[u], sum[u]);
        }
    }
    K(depthwise_store)(sums, n, sum);
}

/* One tap along the width, one row: outputs whose source x0 + i step lies in the image. */
static void K(depthwise_tap)(const K(depthwise_slab) *s, const REAL *line, int64_t x0,
                             const REAL *dy, REAL *sums) {
    const im2col_axis *a = &s->view->axis[2];
    int64_t channels = s->view->channels;
    int64_t begin = x0 >= 0 ? 0 : pyad_min(a->count, pyad_ceil_div(-x0, a->step));
    int64_t past = a->source - x0;
    int64_t end = past <= 0 ? begin : pyad_min(a->count, pyad_ceil_div(past, a->step));
    if (end <= begin) return;
    const int64_t most = DEPTHWISE_VECTORS * VL;
    for (int64_t c = 0; c < channels; c += most) {
        const REAL *x = line + (x0 + begin * a->step) * channels + c;
        const REAL *g = dy + begin * channels + c;
        int64_t n = channels - c, step = a->step * channels;
        if (n >= most) {
            K(depthwise_product)(x, step, g, channels, end - begin, most, sums + c);
        } else {
            K(depthwise_product)(x, step, g, channels, end - begin, n, sums + c);
        }
    }
}

/* One row of output pixels. */
static void K(depthwise_row)(const K(depthwise_slab) *s, int64_t row) {
    const im2col_axis *a = s->view->axis;
    int64_t channels = s->view->channels;
    im2col_pixel at = im2col_at(s->view, row * a[2].count);
    const REAL *dy = s->dy + im2col_out_offset(s->view, &at);
    int64_t tap = 0;
    for (int64_t i = 0; i < a[0].taps; i++) {
        int64_t d = a[0].first + at.d * a[0].step + i * a[0].tap_step;
        for (int64_t j = 0; j < a[1].taps; j++, tap += a[2].taps) {
            int64_t h = a[1].first + at.h * a[1].step + j * a[1].tap_step;
            if (d < 0 || d >= a[0].source || h < 0 || h >= a[1].source) continue;
            const REAL *line = s->x + ((at.n * a[0].source + d) * a[1].source + h) *
                                          a[2].source * channels;
            for (int64_t l = 0; l < a[2].taps; l++) {
                K(depthwise_tap)(s, line, a[2].first + l * a[2].tap_step, dy,
                                 s->sums + (tap + l) * s->padded);
            }
        }
    }
    if (!s->bias) return;
    for (int64_t w = 0; w < a[2].count; w++, dy += channels) {
        for (int64_t c = 0; c < channels; c++) s->sums[tap * s->padded + c] += dy[c];
    }
}

static int64_t K(depthwise_slabs)(int64_t rows) { return pyad_min(rows, DEPTHWISE_SLABS); }

/* dw[c, tap] and db[c]: sums of all slabs, by all threads. */
static void K(depthwise_weight)(const im2col_view *v, const REAL *x, const REAL *dy, REAL *dw,
                                REAL *db, const team *t) {
    int64_t taps = im2col_taps(v), channels = v->channels;
    int64_t padded = pyad_ceil_div(channels, VL) * VL, size = (taps + 1) * padded;
    int64_t rows = im2col_pixels(v) == 0 ? 0 : im2col_pixels(v) / v->axis[2].count;
    int64_t slabs = K(depthwise_slabs)(rows), begin, end;
    REAL *all = t->shared;
    team_range(t, slabs, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        K(depthwise_slab) s = {v, x, dy, all + i * size, padded, db != NULL};
        memset(s.sums, 0, (size_t)size * sizeof(REAL));
        for (int64_t r = rows * i / slabs; r < rows * (i + 1) / slabs; r++) K(depthwise_row)(&s, r);
    }
    team_barrier(t);
    team_range(t, channels, 1, &begin, &end);
    for (int64_t c = begin; c < end; c++) {
        for (int64_t tap = 0; tap < taps + (db != NULL); tap++) {
            REAL sum = 0;
            for (int64_t i = 0; i < slabs; i++) sum += all[i * size + tap * padded + c];
            *(tap < taps ? &dw[c * taps + tap] : &db[c]) = sum;
        }
    }
}
