/* Depthwise convolution: every channel by itself, so vectors run along the channels.
 *
 * Weights are packed as [tap][channel], padded to whole vectors.
 *
 * Forward and gradient by the image: rows of output pixels are shared out to the threads. With
 * three neighbouring taps along the width, a patch of two pixels of up to DEPTHWISE_LINES rows is
 * computed at once, vector by vector of its channels: the sums and the weights stay in registers,
 * and each source pixel is loaded once for all taps that meet it. Channels are cut into runs of
 * DEPTHWISE_RUN, so that the next patch finds half of its source pixels in the nearest cache;
 * memory is read in runs, not in jumps from pixel to pixel. Otherwise, for two neighbouring pixels
 * and DEPTHWISE_VECTORS vectors of channels, the sums over the taps stay in registers.
 *
 * Gradient by the weight: rows of output pixels are cut into slabs, each with a sum [tap][channel]
 * of its own; for each row, tap and vectors of channels the sum over the row stays in registers.
 */
#ifndef PYAD_DEPTHWISE
#define PYAD_DEPTHWISE
#define DEPTHWISE_VECTORS 4
#define DEPTHWISE_SLABS 16
/* rows of a patch with step 1, and the lines of the source that they see */
#define DEPTHWISE_LINES 4
#define DEPTHWISE_SEEN 6
#define DEPTHWISE_RUN (512 / (int64_t)sizeof(REAL)) /* elements */
#define DEPTHWISE_ZEROS (1 << 13)                   /* bytes */
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
    int64_t padded = K(conv_padded)(channels), begin, end;
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
    const REAL *source, *packed;
    K(epilogue) end;
    REAL *out;
} K(depthwise_job);

/* The taps that one pixel sees: where the first lies in source and weight, and how far it is to the
 * next along depth, height and width. */
typedef struct {
    const REAL *x, *w;
    int64_t taps[3], x_step[3], w_step[3];
} K(depthwise_window);

/* Of a row of pixels: all but the taps along the width. */
static K(depthwise_window) K(depthwise_row_window)(const K(depthwise_job) *job,
                                                   const im2col_pixel *at) {
    const im2col_view *v = job->view;
    const im2col_axis *a = v->axis;
    const int64_t place[2] = {at->d, at->h};
    K(depthwise_window) win;
    int64_t line = at->n, tap = 0;
    int64_t x_step = v->channels, w_step = K(conv_padded)(v->channels);
    for (int64_t i = 2; i >= 0; i--) {
        win.x_step[i] = a[i].tap_step * x_step;
        win.w_step[i] = a[i].index_step * w_step;
        x_step *= a[i].source;
        w_step *= job->kernel[i];
    }
    for (int64_t i = 0; i < 2; i++) {
        int64_t first = a[i].first + place[i] * a[i].step;
        im2col_range r = im2col_taps_between(&a[i], first, first);
        win.taps[i] = r.end - r.begin;
        line = line * a[i].source + first + r.begin * a[i].tap_step;
        tap = tap * job->kernel[i] + a[i].index + r.begin * a[i].index_step;
    }
    win.x = job->source + line * a[2].source * v->channels;
    win.w = job->packed + (tap * job->kernel[2] + a[2].index) * K(conv_padded)(v->channels);
    return win;
}

/* sum[i] += the window's products for pixel i of `pixels`, for n channels. */
GEMM_INLINE void K(depthwise_sum)(const K(depthwise_window) *win, const REAL *x, const REAL *w,
                                  const int64_t pixels, int64_t pixel_step, int64_t n,
                                  vec sum[][DEPTHWISE_VECTORS]) {
    for (int64_t i = 0; i < win->taps[0]; i++, x += win->x_step[0], w += win->w_step[0]) {
        const REAL *x_line = x, *w_line = w;
        for (int64_t j = 0; j < win->taps[1]; j++) {
            const REAL *left = x_line, *right = w_line;
            for (int64_t l = 0; l < win->taps[2]; l++) {
                vec weight[DEPTHWISE_VECTORS], pixel[DEPTHWISE_VECTORS];
                K(depthwise_load)(right, n, weight);
                for (int64_t u = 0; u < pixels; u++) {
                    K(depthwise_load)(left + u * pixel_step, n, pixel);
                    for (int64_t k = 0; k < DEPTHWISE_VECTORS; k++) {
                        sum[u][k] = v_fma(pixel[k], weight[k], sum[u][k]);
                    }
                }
                left += win->x_step[2];
                right += win->w_step[2];
            }
            x_line += win->x_step[1];
            w_line += win->w_step[1];
        }
    }
}

/* n <= DEPTHWISE_VECTORS * VL channels from c on of one pixel or two; out, win->x and win->w are
 * those of the first. */
GEMM_INLINE void K(depthwise_channels)(const K(depthwise_job) *job, const K(depthwise_window) *win,
                                       const int64_t pixels, int64_t c, int64_t n, REAL *out) {
    const im2col_view *v = job->view;
    vec sum[2][DEPTHWISE_VECTORS] = {{{0}}};
    K(depthwise_sum)(win, win->x + c, win->w + c, pixels, v->axis[2].step * v->channels, n, sum);
    for (int64_t u = 0; u < pixels; u++, out += v->axis[2].out_step * v->out_channels) {
        for (int64_t k = 0; k < DEPTHWISE_VECTORS && k * VL < n; k++) {
            int64_t at = c + k * VL;
            sum[u][k] = K(epilogue_apply)(&job->end, sum[u][k], at, out + at,
                                          pyad_min(VL, n - k * VL));
        }
        K(depthwise_store)(out + c, n, sum[u]);
    }
}

/* All channels of one pixel or two. */
GEMM_INLINE void K(depthwise_pixels)(const K(depthwise_job) *job, const K(depthwise_window) *win,
                                     const int64_t pixels, REAL *out) {
    const int64_t step = DEPTHWISE_VECTORS * VL;
    int64_t c = 0, channels = job->view->channels;
    for (; c + step <= channels; c += step) K(depthwise_channels)(job, win, pixels, c, step, out);
    if (c < channels) K(depthwise_channels)(job, win, pixels, c, channels - c, out);
}

/* Two neighbouring pixels of some rows, for whole vectors of a run of channels. */
typedef struct {
    const REAL *line[DEPTHWISE_SEEN]; /* the source's, at the first tap; NULL: none to read */
    const REAL *w[3];                 /* the weight's lines, at the first tap */
    const REAL *start;                /* what the sums begin with */
    REAL *out;
    int64_t pixel, tap;          /* from a source pixel to the next, from a tap to the next */
    int64_t out_line, out_pixel; /* likewise of the output */
    int64_t channels;
    REAL floor; /* what is stored is no less */
} K(depthwise_patch);

/* How many lines of the source `lines` rows see; likewise columns. */
#define DEPTHWISE_SEEN_BY(lines, step) (3 + ((lines) - 1) * (step))

GEMM_INLINE void K(depthwise_patch_of)(const K(depthwise_patch) *p, const int64_t lines,
                                       const int64_t step) {
    const vec floor = v_set1(p->floor);
    for (int64_t c = 0; c < p->channels; c += VL) {
        vec w[3][3], sum[DEPTHWISE_LINES][2], x[DEPTHWISE_SEEN_BY(2, 2)];
        GEMM_UNROLL for (int64_t k = 0; k < 3; k++) {
            GEMM_UNROLL for (int64_t j = 0; j < 3; j++) w[k][j] = v_load(p->w[k] + j * p->tap + c);
        }
        GEMM_UNROLL for (int64_t r = 0; r < lines; r++) sum[r][0] = sum[r][1] = v_load(p->start + c);
        GEMM_UNROLL for (int64_t i = 0; i < DEPTHWISE_SEEN_BY(lines, step); i++) {
            GEMM_UNROLL for (int64_t j = 0; j < DEPTHWISE_SEEN_BY(2, step); j++) {
                x[j] = v_load(p->line[i] + j * p->pixel + c);
            }
            GEMM_UNROLL for (int64_t r = 0; r < lines; r++) {
                const int64_t k = i - r * step;
                if (k < 0 || k >= 3) continue;
                GEMM_UNROLL for (int64_t j = 0; j < 3; j++) {
                    sum[r][0] = v_fma(x[j], w[k][j], sum[r][0]);
                    sum[r][1] = v_fma(x[step + j], w[k][j], sum[r][1]);
                }
            }
        }
        GEMM_UNROLL for (int64_t r = 0; r < lines; r++) {
            REAL *out = p->out + r * p->out_line + c;
            v_store(out, v_max(floor, sum[r][0]));
            v_store(out + p->out_pixel, v_max(floor, sum[r][1]));
        }
    }
}

#define DEPTHWISE_PATCH(lines, step)                                                             \
    static PYAD_ONCE void PYAD_JOIN(                                                             \
        PYAD_JOIN(K(depthwise_patch), lines), step)(const K(depthwise_patch) *p) {               \
        K(depthwise_patch_of)(p, lines, step);                                                   \
    }
DEPTHWISE_PATCH(1, 1)
DEPTHWISE_PATCH(2, 1)
DEPTHWISE_PATCH(4, 1)
DEPTHWISE_PATCH(1, 2)
DEPTHWISE_PATCH(2, 2)
#undef DEPTHWISE_PATCH
#define DEPTHWISE_PATCH(lines, step) PYAD_JOIN(PYAD_JOIN(K(depthwise_patch), lines), step)

typedef void (*K(depthwise_patch_fn))(const K(depthwise_patch) *p);

/* [step - 1][lines / 2] */
static const K(depthwise_patch_fn) K(depthwise_patch_table)[2][3] = {
    {DEPTHWISE_PATCH(1, 1), DEPTHWISE_PATCH(2, 1), DEPTHWISE_PATCH(4, 1)},
    {DEPTHWISE_PATCH(1, 2), DEPTHWISE_PATCH(2, 2), NULL}};

#undef DEPTHWISE_PATCH

/* Where a thread puts together what lies beyond the image, and sums that are not stored as they are. */
typedef struct {
    REAL source[DEPTHWISE_SEEN][DEPTHWISE_SEEN_BY(2, 2)][DEPTHWISE_RUN];
    REAL out[DEPTHWISE_LINES][2][DEPTHWISE_RUN];
    REAL start[DEPTHWISE_RUN];
    REAL zeros[DEPTHWISE_ZEROS / sizeof(REAL)]; /* in place of a line beyond the image */
} K(depthwise_scratch);

/* The patches of some rows for a run of channels. */
typedef struct {
    const K(depthwise_job) *job;
    K(depthwise_scratch) *scratch;
    int64_t lines, step;         /* rows of a patch; pixels are `step` apart, down and along */
    int64_t channel, channels;   /* the first, how many */
    int64_t begin, past, pixels; /* columns of the source in the image; 1 at the end of rows */
    int64_t advance[DEPTHWISE_SEEN]; /* of each line, from a patch to the next */
    int whole, plain; /* all lines can be read; sums need at most a floor */
    K(depthwise_patch) patch;
} K(depthwise_run);

/* Copy n elements, and zeros up to whole vectors; all zeros from NULL. */
GEMM_INLINE void K(depthwise_fill)(REAL *to, const REAL *from, int64_t n) {
    for (int64_t k = 0; k < n; k += VL) {
        v_store(to + k, from == NULL ? (vec){0} : v_load_live(from + k, pyad_min(VL, n - k)));
    }
}

/* Take the source from the scratch, zeros where the image ends. */
static void K(depthwise_source_aside)(const K(depthwise_run) *run, K(depthwise_patch) *p) {
    K(depthwise_scratch) *scratch = run->scratch;
    for (int64_t i = 0; i < DEPTHWISE_SEEN_BY(run->lines, run->step); i++) {
        for (int64_t j = 0; j < DEPTHWISE_SEEN_BY(2, run->step); j++) {
            const int there = p->line[i] != NULL && j >= run->begin && j < run->past;
            const REAL *from = there ? p->line[i] + j * p->pixel : NULL;
            K(depthwise_fill)(scratch->source[i][j], from, run->channels);
        }
        p->line[i] = scratch->source[i][0];
    }
    p->pixel = DEPTHWISE_RUN;
}

/* Store the sums that are in the scratch. */
static void K(depthwise_finish)(const K(depthwise_run) *run) {
    const K(depthwise_patch) *p = &run->patch;
    K(epilogue) end = run->job->end;
    if (end.scale == NULL) end.bias = NULL; /* the sums began with it */
    for (int64_t r = 0; r < run->lines; r++) {
        for (int64_t u = 0; u < run->pixels; u++) {
            REAL *to = p->out + r * p->out_line + u * p->out_pixel;
            for (int64_t k = 0; k < run->channels; k += VL) {
                const int64_t n = pyad_min(VL, run->channels - k);
                vec y = v_load(run->scratch->out[r][u] + k);
                if (!run->plain) y = K(epilogue_apply)(&end, y, run->channel + k, to + k, n);
                v_store_live(to + k, y, n);
            }
        }
    }
}

/* A patch, by way of the scratch where it must. */
static void K(depthwise_patch_any)(const K(depthwise_run) *run) {
    const K(depthwise_patch_fn) apply = K(depthwise_patch_table)[run->step - 1][run->lines / 2];
    const int full = run->channels % VL == 0;
    const int inside = run->whole && full && run->begin <= 0 &&
                       run->past >= DEPTHWISE_SEEN_BY(2, run->step);
    const int stored = run->plain && full && run->pixels == 2;
    if (inside && stored) {
        apply(&run->patch);
        return;
    }
    K(depthwise_patch) p = run->patch;
    if (!inside) K(depthwise_source_aside)(run, &p);
    if (!stored) {
        p.out = run->scratch->out[0][0];
        p.out_pixel = DEPTHWISE_RUN;
        p.out_line = 2 * p.out_pixel;
    }
    apply(&p);
    if (!stored) K(depthwise_finish)(run);
}

/* The first patch's lines of the source and of the weight. */
static void K(depthwise_begin_lines)(K(depthwise_run) *run, const K(depthwise_window) *win,
                                     const im2col_pixel *at) {
    const im2col_axis *a = run->job->view->axis;
    const int64_t channels = run->job->view->channels, c = run->channel;
    const int64_t first = a[1].first + at->h * a[1].step;
    const int64_t begin = im2col_taps_between(&a[1], first, first).begin;
    const int64_t reach = (DEPTHWISE_SEEN_BY(2, run->step) - 1) * channels + DEPTHWISE_RUN;
    const int is_short = reach * (int64_t)sizeof(REAL) <= DEPTHWISE_ZEROS;
    K(depthwise_patch) *p = &run->patch;
    run->whole = 1;
    for (int64_t i = 0; i < DEPTHWISE_SEEN_BY(run->lines, run->step); i++) {
        /* of one row, taps may be far apart, or fewer than three */
        const int64_t place = first + i * a[1].tap_step;
        const int there = place >= 0 && place < a[1].source && (run->lines > 1 || i < a[1].taps);
        const REAL *line = win->x + (i - begin) * win->x_step[1] + a[2].first * channels + c;
        p->line[i] = there ? line : is_short ? run->scratch->zeros : NULL;
        run->advance[i] = there ? 2 * run->step * channels : 0;
        run->whole &= there || is_short;
    }
    for (int64_t k = 0; k < 3; k++) {
        p->w[k] = win->w + ((k < a[1].taps ? k : 0) - begin) * win->w_step[1] + c;
    }
}

/* The first patch of a run. */
static void K(depthwise_begin)(K(depthwise_run) *run, const K(depthwise_window) *win,
                               const im2col_pixel *at, REAL *out) {
    const im2col_axis *a = run->job->view->axis;
    const K(epilogue) *end = &run->job->end;
    const int64_t channels = run->job->view->channels, c = run->channel;
    const int clamps = end->activation == PYAD_ACTIVATION_CLAMP && end->p1 == (REAL)INFINITY;
    K(depthwise_patch) *p = &run->patch;
    p->out = out + c;
    p->out_pixel = a[2].out_step * channels;
    p->out_line = a[1].out_step * a[2].out_size * channels;
    p->pixel = channels;
    p->tap = win->w_step[2];
    run->plain = end->scale == NULL && end->residual == NULL &&
                 (clamps || end->activation == PYAD_ACTIVATION_NONE);
    p->floor = run->plain && clamps ? end->p0 : -(REAL)INFINITY;
    p->channels = pyad_ceil_div(run->channels, VL) * VL;
    p->start = run->scratch->start;
    K(depthwise_fill)(run->scratch->start,
                      end->scale == NULL && end->bias != NULL ? end->bias + c : NULL,
                      run->channels);
    K(depthwise_begin_lines)(run, win, at);
}

/* All pixels of `lines` rows; win->x is the begin of the line. */
static void K(depthwise_rows)(const K(depthwise_job) *job, const K(depthwise_window) *win,
                              const im2col_pixel *at, int64_t lines, REAL *out,
                              K(depthwise_scratch) *scratch) {
    const im2col_axis *a = &job->view->axis[2];
    const int64_t channels = job->view->channels, seen = DEPTHWISE_SEEN_BY(lines, a->step);
    K(depthwise_run) run = {.job = job, .scratch = scratch, .lines = lines, .step = a->step};
    for (int64_t c = 0; c < channels; c += DEPTHWISE_RUN) {
        run.channel = c;
        run.channels = pyad_min(DEPTHWISE_RUN, channels - c);
        K(depthwise_begin)(&run, win, at, out);
        for (int64_t u = 0; u < a->count; u += 2) {
            run.begin = -(a->first + u * a->step);
            run.past = a->source + run.begin;
            run.pixels = pyad_min(2, a->count - u);
            K(depthwise_patch_any)(&run);
            run.patch.out += 2 * run.patch.out_pixel;
            for (int64_t i = 0; i < seen; i++) {
                if (run.advance[i] > 0) run.patch.line[i] += run.advance[i];
            }
        }
    }
}

/* Whether the row from this window on is computed in patches. */
static inline int K(depthwise_patches)(const im2col_view *v, const K(depthwise_window) *win) {
    const im2col_axis *a = &v->axis[2];
    return a->taps == 3 && a->tap_step == 1 && (a->step == 1 || a->step == 2) &&
           win->taps[0] == 1 && win->taps[1] >= 1 && v->axis[1].taps <= 3;
}

/* How many of `most` rows from this one on a patch takes. */
static int64_t K(depthwise_lines)(const im2col_view *v, const im2col_pixel *at, int64_t most) {
    const im2col_axis *a = &v->axis[1];
    if (a->taps != 3 || a->tap_step != 1 || a->step != v->axis[2].step) return 1;
    const int64_t lines = pyad_min(most, a->count - at->h);
    if (lines >= DEPTHWISE_LINES && a->step == 1) return DEPTHWISE_LINES;
    return lines >= 2 ? 2 : 1;
}

/* One row of output pixels, or up to `most`; returns how many. */
static int64_t K(depthwise_line)(const K(depthwise_job) *job, im2col_pixel at, int64_t most,
                                 K(depthwise_scratch) *scratch) {
    const im2col_view *v = job->view;
    const im2col_axis *a = &v->axis[2];
    const im2col_range all = {0, a->taps};
    K(depthwise_window) win = K(depthwise_row_window)(job, &at);
    const REAL *x = win.x, *w = win.w;
    REAL *out = job->out + im2col_out_offset(v, &at);
    if (K(depthwise_patches)(v, &win)) {
        const int64_t lines = K(depthwise_lines)(v, &at, most);
        K(depthwise_rows)(job, &win, &at, lines, out, scratch);
        return lines;
    }
    while (at.w < a->count) {
        int64_t first = a->first + at.w * a->step;
        im2col_range r = im2col_taps_between(a, first, first);
        win.taps[2] = r.end - r.begin;
        win.x = x + (first + r.begin * a->tap_step) * v->channels;
        win.w = w + r.begin * win.w_step[2];
        int64_t pixels = im2col_inside_count(v, &all, first, a->count - at.w) > 1 ? 2 : 1;
        if (pixels > 1) {
            K(depthwise_pixels)(job, &win, 2, out);
        } else {
            K(depthwise_pixels)(job, &win, 1, out);
        }
        at.w += pixels;
        out += pixels * a->out_step * v->out_channels;
    }
    return 1;
}

/* Rows of the output pixels of a view, by the threads in turns. */
static void K(depthwise_gather)(const K(depthwise_job) *job, const team *t) {
    int64_t begin, end, width = job->view->axis[2].count;
    K(depthwise_scratch) *scratch = t->scratch;
    if (im2col_pixels(job->view) == 0) return;
    memset(scratch->zeros, 0, sizeof scratch->zeros);
    team_turns turns = team_take(t, im2col_pixels(job->view) / width, 1, 2 * DEPTHWISE_LINES);
    while (team_next(&turns, &begin, &end)) {
        while (begin < end) {
            im2col_pixel at = im2col_at(job->view, begin * width);
            begin += K(depthwise_line)(job, at, end - begin, scratch);
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
    int64_t padded = K(conv_padded)(channels), size = (taps + 1) * padded;
    int64_t rows = im2col_pixels(v) == 0 ? 0 : im2col_pixels(v) / v->axis[2].count;
    int64_t slabs = K(depthwise_slabs)(rows), begin, end;
    REAL *all = t->shared;
    team_turns turns = team_take(t, slabs, 1, 1);
    for (int64_t i; (i = team_each(&turns)) >= 0;) {
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
