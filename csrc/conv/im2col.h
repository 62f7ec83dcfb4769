/* How the outputs of a convolution see its source: views, pixels, taps, runs of columns.
 *
 * The column matrix of a convolution has a row for each output pixel and a column for each (tap,
 * input channel). In channels-last memory the columns of neighbouring taps along the width lie side
 * by side (if dilation and groups are 1), so that a row is a few runs of plain memory: a 3x3 window
 * of 64 channels is three runs of 192 elements.
 *
 * The same view serves the forward convolution, which reads the image with a stride, and the
 * gradient by the image, which reads the output's gradient through those taps that meet it: one
 * view for each phase of the stride (im2col_forward, im2col_backward).
 */
#ifndef PYAD_IM2COL_H
#define PYAD_IM2COL_H

#include "core.h"

/* One spatial axis of a view: output i is pixel out_first + i out_step of the output array and
 * sees, through tap j, source pixel first + i step + j tap_step (outside of it: zero). Tap j is
 * tap index + j index_step of the weight. */
typedef struct {
    int64_t source, step, first, tap_step;
    int64_t taps, index, index_step;
    int64_t count, out_first, out_step, out_size;
} im2col_axis;

typedef struct {
    im2col_axis axis[3]; /* depth, height, width */
    int64_t images, inner;             /* see im2col_pixel */
    int64_t channels, group_channels;  /* of the source: all, those of one group */
    int64_t out_channels, group_width; /* of the output: likewise */
} im2col_view;

/* Columns k .. k+length-1 (counted within a block of them) are one run of memory in every row:
 * from tap (d, h, w) in source pixels and channel c on, `offset` elements from the first tap. */
typedef struct {
    int64_t k, length;
    int64_t tap_d, tap_h, place; /* its line of taps, where in the line's columns it begins */
    int64_t d, h, w, c;
    int64_t offset;
} im2col_run;

/* Taps begin .. end-1 of an axis. */
typedef struct {
    int64_t begin, end;
} im2col_range;

/* A pixel of the output in a view's own counting. The order of pixels is (image, place) if inner is
 * 1, else (block of `inner` images, place, image of the block): then neighbours have the same
 * place, and at the rim of the image leave out the same taps. */
typedef struct {
    int64_t n, d, h, w;
    int64_t block, images; /* of the block of images: the first, how many */
} im2col_pixel;

/* `count` pixels in order whose rows lie `source_step` apart, their outputs `out_step`. */
typedef struct {
    int64_t count, source_step, out_step;
} im2col_stretch;

/* Numbers of a convolution along one axis, as users give them. */
typedef struct {
    int64_t image, out, kernel, stride, padding, dilation;
} im2col_numbers;

/* The view through which the output sees the image. */
static inline im2col_axis im2col_forward(const im2col_numbers *a) {
    return (im2col_axis){.source = a->image,
                         .step = a->stride,
                         .first = -a->padding,
                         .tap_step = a->dilation,
                         .taps = a->kernel,
                         .index = 0,
                         .index_step = 1,
                         .count = a->out,
                         .out_first = 0,
                         .out_step = 1,
                         .out_size = a->out};
}

/* The view through which image pixels phase, phase + stride, ... see the output's gradient: pixel i
 * was read by output o through tap t where i = o stride - padding + t dilation. Taps fall, so that
 * the outputs rise. */
static inline im2col_axis im2col_backward(const im2col_numbers *a, int64_t phase) {
    im2col_axis axis = {.source = a->out,
                        .step = 1,
                        .tap_step = 1,
                        .index_step = -1,
                        .count = (a->image - phase + a->stride - 1) / a->stride,
                        .out_first = phase,
                        .out_step = a->stride,
                        .out_size = a->image};
    for (int64_t t = a->kernel - 1; t >= 0; t--) {
        int64_t reach = phase + a->padding - t * a->dilation;
        if (reach % a->stride != 0) continue;
        if (axis.taps == 0) {
            axis.index = t;
            axis.first = reach / a->stride;
        } else if (axis.taps == 1) {
            axis.index_step = t - axis.index;
            axis.tap_step = reach / a->stride - axis.first;
        }
        axis.taps++;
    }
    return axis;
}

static inline int64_t im2col_pixels(const im2col_view *v) {
    return v->images * v->axis[0].count * v->axis[1].count * v->axis[2].count;
}

static inline int64_t im2col_taps(const im2col_view *v) {
    return v->axis[0].taps * v->axis[1].taps * v->axis[2].taps;
}

/* The number of tap `tap` of a view in the weight, whose kernel is `kernel`. */
static inline int64_t im2col_tap_index(const im2col_view *v, const int64_t *kernel, int64_t tap) {
    int64_t at[3];
    for (int64_t i = 2; i >= 0; i--) {
        const im2col_axis *a = &v->axis[i];
        at[i] = a->index + tap % a->taps * a->index_step;
        tap /= a->taps;
    }
    return (at[0] * kernel[1] + at[1]) * kernel[2] + at[2];
}

static inline im2col_pixel im2col_at(const im2col_view *v, int64_t pixel) {
    im2col_pixel at;
    int64_t places = v->axis[0].count * v->axis[1].count * v->axis[2].count;
    int64_t whole = places * v->inner;
    at.block = pixel / whole * v->inner;
    at.images = pyad_min(v->inner, v->images - at.block);
    pixel %= whole;
    at.n = at.block + pixel % at.images;
    pixel /= at.images;
    at.w = pixel % v->axis[2].count;
    pixel /= v->axis[2].count;
    at.h = pixel % v->axis[1].count;
    at.d = pixel / v->axis[1].count;
    return at;
}

/* The place after this one. */
static inline void im2col_next_place(const im2col_view *v, im2col_pixel *at) {
    if (at->w < v->axis[2].count) return;
    at->w = 0;
    if (++at->h < v->axis[1].count) return;
    at->h = 0;
    if (++at->d < v->axis[0].count) return;
    at->d = 0;
    at->block += at->images;
    at->n = at->block;
    at->images = pyad_min(v->inner, v->images - at->block);
}

/* Skip `count` pixels of one stretch. */
static inline void im2col_advance(const im2col_view *v, im2col_pixel *at, int64_t count) {
    if (v->inner == 1) {
        at->w += count;
    } else {
        at->n += count;
        if (at->n < at->block + at->images) return;
        at->n = at->block;
        at->w++;
    }
    im2col_next_place(v, at);
}

/* The stretch of at most `most` pixels that begins here. */
static inline im2col_stretch im2col_stretch_at(const im2col_view *v, const im2col_pixel *at,
                                               int64_t most) {
    const im2col_axis *a = v->axis;
    if (v->inner == 1) {
        return (im2col_stretch){pyad_min(most, a[2].count - at->w), a[2].step * v->channels,
                                a[2].out_step * v->out_channels};
    }
    return (im2col_stretch){pyad_min(most, at->block + at->images - at->n),
                            a[0].source * a[1].source * a[2].source * v->channels,
                            a[0].out_size * a[1].out_size * a[2].out_size * v->out_channels};
}

/* Where the channels of a pixel begin in the output array. */
static inline int64_t im2col_out_offset(const im2col_view *v, const im2col_pixel *at) {
    const im2col_axis *a = v->axis;
    int64_t d = a[0].out_first + at->d * a[0].out_step;
    int64_t h = a[1].out_first + at->h * a[1].out_step;
    int64_t w = a[2].out_first + at->w * a[2].out_step;
    return (((at->n * a[0].out_size + d) * a[1].out_size + h) * a[2].out_size + w) *
           v->out_channels;
}

/* The runs of columns k .. k+depth-1 of a group; returns how many, at most depth. */
static inline int64_t im2col_runs(const im2col_view *v, int64_t group, int64_t k, int64_t depth,
                                  im2col_run *runs) {
    const im2col_axis *a = v->axis;
    int64_t channels = v->group_channels;
    int joined = channels == v->channels && a[2].tap_step == 1;
    int64_t longest = joined ? a[2].taps * channels : channels;
    int64_t count = 0;
    for (int64_t done = 0; done < depth; count++) {
        int64_t tap = (k + done) / channels;
        int64_t rest = longest - (k + done) % longest;
        im2col_run *run = &runs[count];
        run->k = done;
        run->length = pyad_min(rest, depth - done);
        run->tap_h = tap / a[2].taps % a[1].taps;
        run->tap_d = tap / a[2].taps / a[1].taps;
        run->place = (k + done) % (a[2].taps * channels);
        run->w = tap % a[2].taps * a[2].tap_step;
        run->h = run->tap_h * a[1].tap_step;
        run->d = run->tap_d * a[0].tap_step;
        run->c = group * channels + (k + done) % channels;
        run->offset =
            ((run->d * a[1].source + run->h) * a[2].source + run->w) * v->channels + run->c;
        done += run->length;
    }
    return count;
}

/* The parts of `runs` within a box of taps, moved together, and in `from` the columns they had. */
static inline int64_t im2col_clip(const im2col_view *v, const im2col_range *box,
                                  const im2col_run *runs, int64_t count, im2col_run *clipped,
                                  int64_t *from) {
    int64_t kept = 0, done = 0;
    for (const im2col_run *run = runs; run < runs + count; run++) {
        int64_t begin = pyad_max(run->place, box[2].begin * v->group_channels);
        int64_t end = pyad_min(run->place + run->length, box[2].end * v->group_channels);
        int64_t cut = begin - run->place;
        if (run->tap_d < box[0].begin || run->tap_d >= box[0].end || run->tap_h < box[1].begin ||
            run->tap_h >= box[1].end || end <= begin) {
            continue;
        }
        clipped[kept] = *run;
        clipped[kept].k = done;
        clipped[kept].length = end - begin;
        clipped[kept].c += cut; /* along the line of pixels */
        clipped[kept].offset += cut;
        from[kept++] = run->k + cut;
        done += end - begin;
    }
    return kept;
}

/* The taps that meet the source for some window whose first tap is at first .. last. */
static inline im2col_range im2col_taps_between(const im2col_axis *a, int64_t first, int64_t last) {
    int64_t before = pyad_max(0, -last), past = a->source - first;
    if (a->tap_step > 1) {
        before = pyad_ceil_div(before, a->tap_step);
        past = past <= 0 ? 0 : pyad_ceil_div(past, a->tap_step);
    }
    im2col_range r = {pyad_min(before, a->taps), pyad_min(past, a->taps)};
    r.end = pyad_max(r.begin, r.end);
    return r;
}

/* The smallest box of taps that holds all those of `rows` pixels that meet the source. */
static inline void im2col_box(const im2col_view *v, im2col_pixel at, int64_t rows,
                              im2col_range *box) {
    for (int64_t i = 0; i < 3; i++) box[i] = (im2col_range){v->axis[i].taps, 0};
    while (rows > 0) {
        int64_t count = im2col_stretch_at(v, &at, rows).count;
        int64_t place[3] = {at.d, at.h, at.w};
        for (int64_t i = 0; i < 3; i++) {
            const im2col_axis *a = &v->axis[i];
            int64_t first = a->first + place[i] * a->step;
            int64_t last = i == 2 && v->inner == 1 ? first + (count - 1) * a->step : first;
            im2col_range r = im2col_taps_between(a, first, last);
            box[i].begin = pyad_min(box[i].begin, r.begin);
            box[i].end = pyad_max(box[i].end, r.end);
        }
        im2col_advance(v, &at, count);
        rows -= count;
    }
}

/* All taps; im2col_is_whole says if a box is that. */
static inline int im2col_is_whole(const im2col_view *v, const im2col_range *box) {
    int64_t missing = 0;
    for (int64_t i = 0; i < 3; i++) {
        missing += box[i].begin + v->axis[i].taps - box[i].end;
    }
    return missing == 0;
}

/* Whether the taps of a window whose first tap is source pixel `first` lie within the source. */
static inline int im2col_inside(const im2col_axis *a, const im2col_range *taps, int64_t first) {
    return first + taps->begin * a->tap_step >= 0 &&
           first + (taps->end - 1) * a->tap_step < a->source;
}

/* How many pixels of a stretch, from this one on, lie inside along the width. */
static inline int64_t im2col_inside_count(const im2col_view *v, const im2col_range *taps,
                                          int64_t w, int64_t count) {
    const im2col_axis *a = &v->axis[2];
    if (!im2col_inside(a, taps, w)) return 0;
    if (v->inner != 1 || im2col_inside(a, taps, w + (count - 1) * a->step)) return count;
    return (a->source - 1 - (taps->end - 1) * a->tap_step - w) / a->step + 1;
}

#endif
