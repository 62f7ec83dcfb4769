/* Depthwise convolution: every channel by itself, so vectors run along the channels.
 *
 * Weights are packed as [tap][channel], padded to whole vectors.
 *
 * Forward and gradient by the image: rows of output pixels are shared out to the threads. With
 * three neighbouring taps along the width, a vector of channels slides along up to DEPTHWISE_LINES
 * rows at once: its weights stay in registers, each pixel of a line is loaded once for all taps that
 * meet it, and a line once for all the rows that see it. Otherwise, for two
 * neighbouring pixels and DEPTHWISE_VECTORS vectors of channels, the sums over the taps stay in
 * registers. Gradient by the weight: rows of output pixels are cut into slabs, each with a sum
 * [tap][channel] of its own; for each row, tap and vectors of channels the sum over the row stays
 * in registers.
 */
#ifndef PYAD_DEPTHWISE
#define PYAD_DEPTHWISE
#define DEPTHWISE_VECTORS 4
#define DEPTHWISE_SLABS 16
/* rows that slide together with step 1, and the lines of the source that rows see at most */
#define DEPTHWISE_LINES 4
#define DEPTHWISE_SEEN 6
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

/* What is stored for the sum of n <= VL channels at `at`; `scale` and `bias` are theirs. A bias alone
 * is what the sum began with. */
GEMM_INLINE vec K(depthwise_finish)(const K(epilogue) *end, vec sum, vec scale, vec bias,
                                    const REAL *at, int64_t n) {
    if (end->scale != NULL) sum = v_fma(sum, scale, bias);
    if (end->residual != NULL) sum += v_load_live(end->residual + (at - end->out), n);
    if (end->activation == PYAD_ACTIVATION_NONE) return sum;
    if (end->activation == PYAD_ACTIVATION_CLAMP && end->p1 == (REAL)INFINITY) {
        return v_max(v_set1(end->p0), sum);
    }
    return K(gemm_activate)(sum, end->activation, end->p0, end->p1);
}

/* What slides along `lines` rows of output pixels for n <= VL channels: the weights of `rows` taps along
 * the height and 3 along the width, and of each of the source's lines that they see the two pixels that
 * came last. */
typedef struct {
    int64_t rows, lines, step, channels; /* pixels are `step` (1 or 2) apart, down and along */
    int64_t x_line, out_line, pixel;     /* from a line to the next, from a source pixel to the next */
    vec w[3][3], left[DEPTHWISE_SEEN], middle[DEPTHWISE_SEEN];
    vec scale, bias, start;
} K(depthwise_slider);

/* How many lines of the source they see. */
GEMM_INLINE int64_t K(depthwise_seen)(const K(depthwise_slider) *s) {
    return s->rows + (s->lines - 1) * s->step;
}

/* One pixel of each row, and on to the next; `taps` along the width (2 or 3) are in the image. x is where
 * the first tap lies. */
GEMM_INLINE void K(depthwise_slide)(const K(epilogue) *end, K(depthwise_slider) *s,
                                    const int64_t taps, const REAL *x, REAL *out) {
    const int64_t n = s->channels;
    vec sum[DEPTHWISE_LINES];
    for (int64_t r = 0; r < s->lines; r++) sum[r] = s->start;
    for (int64_t i = 0; i < K(depthwise_seen)(s); i++, x += s->x_line) {
        if (s->step == 2) s->middle[i] = v_load_live(x + s->pixel, n);
        const vec right = taps == 3 ? v_load_live(x + 2 * s->pixel, n) : (vec){0};
        for (int64_t r = 0; r < s->lines; r++) {
            const int64_t k = i - r * s->step;
            if (k < 0 || k >= s->rows) continue;
            sum[r] = v_fma(s->left[i], s->w[k][0], sum[r]);
            sum[r] = v_fma(s->middle[i], s->w[k][1], sum[r]);
            if (taps == 3) sum[r] = v_fma(right, s->w[k][2], sum[r]);
        }
        s->left[i] = s->step == 1 ? s->middle[i] : right;
        s->middle[i] = right;
    }
    for (int64_t r = 0; r < s->lines; r++, out += s->out_line) {
        v_store_live(out, K(depthwise_finish)(end, sum[r], s->scale, s->bias, out, n), n);
    }
}

/* The pixels of `lines` rows for n <= VL channels from c on. win->x is where the first pixel's first tap
 * lies, or would: `before` says that it misses the image, `behind` that the last pixel's last does. */
GEMM_INLINE void K(depthwise_slide_along)(const K(depthwise_job) *job,
                                          const K(depthwise_window) *win, const int64_t rows,
                                          const int64_t lines, const int64_t step, int before,
                                          int behind, int64_t c, int64_t n, REAL *out) {
    const K(epilogue) *end = &job->end;
    const im2col_axis *a = job->view->axis;
    const int64_t pixel = job->view->channels, along = a[2].out_step * pixel;
    K(depthwise_slider) s = {.rows = rows, .lines = lines, .step = step, .channels = n};
    s.x_line = win->x_step[1];
    s.out_line = a[1].out_step * a[2].out_size * pixel;
    s.pixel = pixel;
    s.scale = end->scale == NULL ? v_set1(1) : v_load_live(end->scale + c, n);
    s.bias = end->bias == NULL ? (vec){0} : v_load_live(end->bias + c, n);
    s.start = end->scale == NULL ? s.bias : (vec){0};
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < 3; j++) {
            s.w[i][j] = v_load_live(win->w + c + i * win->w_step[1] + j * win->w_step[2], n);
        }
    }
    const REAL *x = win->x + c;
    for (int64_t i = 0; i < K(depthwise_seen)(&s); i++) {
        const REAL *line = x + i * s.x_line;
        s.left[i] = before ? (vec){0} : v_load_live(line, n);
        if (step == 1) s.middle[i] = v_load_live(line + pixel, n);
    }
    out += c;
    for (int64_t p = behind; p < a[2].count; p++, x += step * pixel, out += along) {
        for (int64_t i = 0; i < lines * step; i++) {
            const REAL *next = x + (K(depthwise_seen)(&s) + i) * s.x_line;
            for (int64_t j = 0; j < step; j++) __builtin_prefetch(next + j * pixel, 0, 2);
        }
        K(depthwise_slide)(end, &s, 3, x, out);
    }
    if (behind) K(depthwise_slide)(end, &s, 2, x, out);
}

/* All channels of the rows. */
GEMM_INLINE void K(depthwise_slide_all)(const K(depthwise_job) *job,
                                        const K(depthwise_window) *win, const int64_t rows,
                                        const int64_t lines, const int64_t step, int before,
                                        int behind, REAL *out) {
    int64_t c = 0, channels = job->view->channels;
    for (; c + VL <= channels; c += VL) {
        K(depthwise_slide_along)(job, win, rows, lines, step, before, behind, c, VL, out);
    }
    if (c < channels) {
        K(depthwise_slide_along)(job, win, rows, lines, step, before, behind, c, channels - c, out);
    }
}

/* The same with constants for what decides the registers; win->x is the begin of the line. */
static void K(depthwise_span)(const K(depthwise_job) *job, K(depthwise_window) *win, int64_t lines,
                              REAL *out) {
    const im2col_axis *a = &job->view->axis[2];
    int64_t last = a->first + (a->count - 1) * a->step;
    int before = a->first < 0, behind = last + 2 >= a->source;
    win->x += a->first * job->view->channels;
    if (lines == DEPTHWISE_LINES) {
        K(depthwise_slide_all)(job, win, 3, DEPTHWISE_LINES, 1, before, behind, out);
        return;
    }
    if (lines == 2) {
        if (a->step == 1) {
            K(depthwise_slide_all)(job, win, 3, 2, 1, before, behind, out);
        } else {
            K(depthwise_slide_all)(job, win, 3, 2, 2, before, behind, out);
        }
        return;
    }
    switch (win->taps[1] * 2 + (a->step == 2)) {
        case 2: K(depthwise_slide_all)(job, win, 1, 1, 1, before, behind, out); break;
        case 3: K(depthwise_slide_all)(job, win, 1, 1, 2, before, behind, out); break;
        case 4: K(depthwise_slide_all)(job, win, 2, 1, 1, before, behind, out); break;
        case 5: K(depthwise_slide_all)(job, win, 2, 1, 2, before, behind, out); break;
        case 6: K(depthwise_slide_all)(job, win, 3, 1, 1, before, behind, out); break;
        default: K(depthwise_slide_all)(job, win, 3, 1, 2, before, behind, out);
    }
}

/* Whether vectors may slide along a row with this window: one tap at most misses the image at either
 * end. */
static inline int K(depthwise_slides)(const im2col_view *v, const K(depthwise_window) *win) {
    const im2col_axis *a = &v->axis[2];
    int64_t last = a->first + (a->count - 1) * a->step;
    return a->taps == 3 && a->tap_step == 1 && (a->step == 1 || a->step == 2) &&
           a->first >= -1 && a->first + 1 < a->source && last + 1 < a->source &&
           win->taps[0] == 1 && win->taps[1] >= 1 && win->taps[1] <= 3;
}

/* How many of `most` rows from this one on slide together: those whose windows all have three lines of
 * the image, of which neighbours share some. */
static int64_t K(depthwise_lines)(const im2col_view *v, const im2col_pixel *at, int64_t most) {
    const im2col_axis *a = &v->axis[1];
    if (a->taps != 3 || a->tap_step != 1 || a->step != v->axis[2].step) return 1;
    const int64_t first = a->first + at->h * a->step;
    if (first < 0) return 1;
    const int64_t inside = (a->source - 3 - first) / a->step + 1;
    const int64_t lines = pyad_min(most, pyad_min(inside, a->count - at->h));
    if (lines >= DEPTHWISE_LINES && a->step == 1) return DEPTHWISE_LINES;
    return lines >= 2 ? 2 : 1;
}

/* One row of output pixels, or up to `most`; returns how many. */
static int64_t K(depthwise_line)(const K(depthwise_job) *job, im2col_pixel at, int64_t most) {
    const im2col_view *v = job->view;
    const im2col_axis *a = &v->axis[2];
    const im2col_range all = {0, a->taps};
    K(depthwise_window) win = K(depthwise_row_window)(job, &at);
    const REAL *x = win.x, *w = win.w;
    REAL *out = job->out + im2col_out_offset(v, &at);
    if (K(depthwise_slides)(v, &win)) {
        const int64_t lines = K(depthwise_lines)(v, &at, most);
        K(depthwise_span)(job, &win, lines, out);
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

/* This thread's rows of the output pixels of a view. */
static void K(depthwise_gather)(const K(depthwise_job) *job, const team *t) {
    int64_t begin, end, width = job->view->axis[2].count;
    if (im2col_pixels(job->view) == 0) return;
    team_range(t, im2col_pixels(job->view) / width, 1, &begin, &end);
    while (begin < end) {
        begin += K(depthwise_line)(job, im2col_at(job->view, begin * width), end - begin);
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
