/* Implicit im2col against a plain loop: rows of the column matrix through the views of the forward
 * convolution and of each phase of its transpose, cut into runs at every place, in both orders of
 * pixels, with and without the taps that miss the image.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef ISA_FILE
#define ISA base
#define ISA_FILE "isa/base.h"
#endif
#include "core.h"
#include "simd.h"

#define REAL float
#define SUFFIX f32
#include "simd_tpl.h"
#include "gemm_tpl.h"
#include "conv/im2col_tpl.h"

#define MOST 4096 /* columns, pixels and elements of the cases below */

typedef struct {
    im2col_numbers axis[3];
    int64_t images, channels, groups;
} problem;

static const problem problems[] = {
    {{{1, 1, 1, 1, 0, 1}, {1, 1, 1, 1, 0, 1}, {7, 7, 3, 1, 1, 1}}, 2, 2, 1},
    {{{1, 1, 1, 1, 0, 1}, {5, 5, 3, 1, 1, 1}, {4, 4, 3, 1, 1, 1}}, 5, 3, 1},
    {{{1, 1, 1, 1, 0, 1}, {6, 3, 3, 2, 1, 1}, {7, 4, 2, 2, 1, 1}}, 1, 5, 1},
    {{{1, 1, 1, 1, 0, 1}, {9, 5, 2, 2, 2, 3}, {8, 3, 3, 3, 1, 2}}, 3, 4, 2},
    {{{1, 1, 1, 1, 0, 1}, {3, 1, 2, 4, 1, 2}, {3, 2, 1, 2, 0, 1}}, 2, 17, 1},
    {{{4, 3, 2, 1, 0, 1}, {3, 3, 3, 1, 1, 1}, {5, 3, 2, 2, 0, 1}}, 4, 2, 1},
    {{{1, 1, 1, 1, 0, 1}, {2, 6, 3, 1, 3, 1}, {1, 5, 3, 1, 3, 1}}, 6, 6, 3},
};

/* The source pixel under a tap for output pixel `at`, -1 outside. */
static int64_t source_of(const im2col_axis *a, int64_t at, int64_t tap) {
    int64_t pixel = a->first + at * a->step + tap * a->tap_step;
    return pixel >= 0 && pixel < a->source ? pixel : -1;
}

/* Element (pixel, column) of the column matrix. */
static float naive(const im2col_view *v, const float *source, int64_t group, im2col_pixel at,
                   int64_t column) {
    const im2col_axis *a = v->axis;
    int64_t tap = column / v->group_channels;
    int64_t c = group * v->group_channels + column % v->group_channels;
    int64_t w = source_of(&a[2], at.w, tap % a[2].taps);
    int64_t h = source_of(&a[1], at.h, tap / a[2].taps % a[1].taps);
    int64_t d = source_of(&a[0], at.d, tap / a[2].taps / a[1].taps);
    if (d < 0 || h < 0 || w < 0) return 0;
    int64_t pixel = ((at.n * a[0].source + d) * a[1].source + h) * a[2].source + w;
    return source[pixel * v->channels + c];
}

/* Columns k .. k+depth-1 of `rows` pixels, clipped to the taps that some of them see. */
static void check_rows(const im2col_view *v, const float *source, int64_t group, int64_t pixel,
                       int64_t rows, int64_t k, int64_t depth) {
    static im2col_run runs[MOST], clipped[MOST];
    static int64_t from[MOST];
    static float got[4 * (MOST + 16)];
    const int64_t step = depth + 16;
    im2col_range box[3];
    im2col_pixel at = im2col_at(v, pixel);
    int64_t count = im2col_runs(v, group, k, depth, runs);
    assert_true(count <= depth);
    im2col_box(v, at, rows, box);
    count = im2col_clip(v, box, runs, count, clipped, from);
    for (int64_t i = 0; i < rows * step; i++) got[i] = -1;
    K(im2col_rows)(v, source, at, rows, box, clipped, count, got, step);
    for (int64_t i = 0; i < rows; i++) {
        int64_t next = 0, packed = 0;
        for (int64_t r = 0; r < count; r++) {
            for (; next < from[r]; next++) {
                assert_true(naive(v, source, group, at, k + next) == 0); /* left out */
            }
            for (int64_t j = 0; j < clipped[r].length; j++, next++, packed++) {
                float want = naive(v, source, group, at, k + next);
                assert_true(got[i * step + packed] == want);
            }
        }
        for (; next < depth; next++) assert_true(naive(v, source, group, at, k + next) == 0);
        for (int64_t j = packed + VL; j < step; j++) assert_true(got[i * step + j] == -1);
        im2col_advance(v, &at, 1);
    }
}

/* Every tile of three pixels, columns cut into pieces of 5, 7 and all. */
static void check_view(const im2col_view *v) {
    static float source[1 << 16];
    const im2col_axis *a = v->axis;
    int64_t size = v->images * a[0].source * a[1].source * a[2].source * v->channels;
    int64_t pixels = im2col_pixels(v), columns = im2col_taps(v) * v->group_channels;
    const int64_t pieces[] = {5, 7, columns};
    assert_true(size < (int64_t)(sizeof source / sizeof *source));
    for (int64_t i = 0; i < size; i++) source[i] = (float)(i + 1);
    for (int64_t group = 0; group < v->channels / v->group_channels; group++) {
        for (int64_t pixel = 0; pixel < pixels; pixel += 3) {
            for (int p = 0; p < 3; p++) {
                for (int64_t k = 0; k < columns; k += pieces[p]) {
                    int64_t depth = pyad_min(pieces[p], columns - k);
                    check_rows(v, source, group, pixel, pyad_min(3, pixels - pixel), k, depth);
                }
            }
        }
    }
}

/* Pixels in order: all of them once, and the next is what advance says. */
static void check_order(const im2col_view *v) {
    static char seen[MOST];
    int64_t pixels = im2col_pixels(v);
    const im2col_axis *a = v->axis;
    memset(seen, 0, sizeof seen);
    im2col_pixel walk = im2col_at(v, 0);
    for (int64_t i = 0; i < pixels; i++) {
        im2col_pixel at = im2col_at(v, i);
        int64_t place = (at.d * a[1].count + at.h) * a[2].count + at.w;
        int64_t number = at.n * a[0].count * a[1].count * a[2].count + place;
        assert_in_range(number, 0, MOST - 1);
        assert_int_equal(seen[number]++, 0);
        assert_memory_equal(&walk, &at, sizeof at);
        im2col_stretch s = im2col_stretch_at(v, &at, pixels - i);
        im2col_pixel last = im2col_at(v, i + s.count - 1);
        assert_int_equal(im2col_out_offset(v, &last) - im2col_out_offset(v, &at),
                         (s.count - 1) * s.out_step);
        im2col_advance(v, &walk, 1);
    }
}

static im2col_view empty_view(const problem *p) {
    return (im2col_view){.images = p->images,
                         .inner = 1,
                         .channels = p->channels,
                         .group_channels = p->channels / p->groups,
                         .out_channels = 1,
                         .group_width = 1};
}

static void in_both_orders(im2col_view v) {
    if (im2col_pixels(&v) == 0) return; /* a phase beyond the image */
    for (v.inner = 1; v.inner <= 4; v.inner += 3) {
        check_order(&v);
        check_view(&v);
    }
}

static void test_forward(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        im2col_view v = empty_view(&problems[i]);
        for (int j = 0; j < 3; j++) v.axis[j] = im2col_forward(&problems[i].axis[j]);
        in_both_orders(v);
    }
}

/* Output o reads image pixel x through tap t exactly if the phase of x sees o through t. */
static void check_transposed(const im2col_numbers *n) {
    for (int64_t x = 0; x < n->image; x++) {
        im2col_axis a = im2col_backward(n, x % n->stride);
        int64_t i = x / n->stride;
        assert_int_equal(a.out_first + i * a.out_step, x);
        assert_true(i < a.count);
        for (int64_t o = 0; o < n->out; o++) {
            for (int64_t t = 0; t < n->kernel; t++) {
                int meets = 0;
                for (int64_t j = 0; j < a.taps; j++) {
                    meets |= a.index + j * a.index_step == t && source_of(&a, i, j) == o;
                }
                assert_int_equal(meets, o * n->stride - n->padding + t * n->dilation == x);
            }
        }
    }
}

static void test_backward(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const im2col_numbers *n = problems[i].axis;
        for (int j = 0; j < 3; j++) check_transposed(&n[j]);
        for (int64_t phase = 0; phase < n[1].stride * n[2].stride; phase++) {
            im2col_view v = empty_view(&problems[i]);
            v.axis[0] = im2col_backward(&n[0], 0);
            v.axis[1] = im2col_backward(&n[1], phase / n[2].stride);
            v.axis[2] = im2col_backward(&n[2], phase % n[2].stride);
            in_both_orders(v);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
