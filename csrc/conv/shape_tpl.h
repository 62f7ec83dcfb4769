/* The numbers of a call, and the views of im2col.h through which it reads: one forward; for
 * the gradient of the image one for each phase of the stride, so that no product with a zero
 * between pixels is computed.
 */

#ifndef PYAD_CONV
#define PYAD_CONV
#define CONV_DEPTH ((int64_t)(CONV_DEPTH_BYTES / sizeof(REAL))) /* columns of a packed tile */
#define CONV_RUNS CONV_DEPTH /* runs of so many columns, at most */

/* All numbers of a call, with three spatial axes. */
typedef struct {
    im2col_numbers axis[3];
    int64_t kernel[3];
    int64_t images, channels, out_channels, groups; /* channels of the image, of the output */
} conv_shape;

/* `image` is what the forward convolution reads, `out` what it writes. */
static inline conv_shape conv_shape_of(const pyad_array *image, const pyad_array *weight,
                                       const pyad_array *out, const int64_t *ints) {
    conv_shape s = {.images = image->shape[0],
                    .channels = image->shape[1],
                    .out_channels = out->shape[1],
                    .groups = ints[9]};
    int64_t missing = 5 - image->ndim;
    for (int64_t i = 0; i < 3; i++) {
        int64_t from = i - missing + 2;
        int present = i >= missing;
        s.kernel[i] = present ? weight->shape[from] : 1;
        s.axis[i] = (im2col_numbers){present ? image->shape[from] : 1,
                                     present ? out->shape[from] : 1,
                                     s.kernel[i],
                                     ints[i],
                                     ints[3 + i],
                                     ints[6 + i]};
    }
    return s;
}

static inline int64_t conv_taps(const conv_shape *s) {
    return s->kernel[0] * s->kernel[1] * s->kernel[2];
}

static inline int conv_is_depthwise(const conv_shape *s) {
    return s->groups > 1 && s->groups == s->channels && s->groups == s->out_channels;
}

static inline im2col_view conv_view_forward(const conv_shape *s) {
    im2col_view v = {.images = s->images,
                     .inner = 1,
                     .channels = s->channels,
                     .group_channels = s->channels / s->groups,
                     .out_channels = s->out_channels,
                     .group_width = s->out_channels / s->groups};
    for (int64_t i = 0; i < 3; i++) v.axis[i] = im2col_forward(&s->axis[i]);
    return v;
}

/* Phases of one axis: an image shorter than the stride has no more than it has pixels. */
static inline int64_t conv_axis_phases(const im2col_numbers *a) {
    return pyad_min(a->stride, a->image);
}

static inline int64_t conv_phases(const conv_shape *s, int backward) {
    if (!backward) return 1;
    return conv_axis_phases(&s->axis[0]) * conv_axis_phases(&s->axis[1]) *
           conv_axis_phases(&s->axis[2]);
}

static inline im2col_view conv_view_backward(const conv_shape *s, int64_t phase) {
    im2col_view v = {.images = s->images,
                     .inner = 1,
                     .channels = s->out_channels,
                     .group_channels = s->out_channels / s->groups,
                     .out_channels = s->channels,
                     .group_width = s->channels / s->groups};
    for (int64_t i = 2; i >= 0; i--) {
        int64_t phases = conv_axis_phases(&s->axis[i]);
        v.axis[i] = im2col_backward(&s->axis[i], phase % phases);
        phase /= phases;
    }
    return v;
}

static inline im2col_view conv_view(const conv_shape *s, int backward, int64_t phase) {
    return backward ? conv_view_backward(s, phase) : conv_view_forward(s);
}

/* Columns of the column matrix for one group. */
static inline int64_t conv_depth(const im2col_view *v) {
    return im2col_taps(v) * v->group_channels;
}
#endif

/* Elements of a row of packed weights: whole vectors. */
static inline int64_t K(conv_padded)(int64_t width) { return pyad_ceil_div(width, VL) * VL; }

/* The share of all (output, tap) pairs of a view that meet the image. */
static double K(conv_hits)(const im2col_view *v) {
    double hits = 1;
    for (int64_t i = 0; i < 3; i++) {
        const im2col_axis *a = &v->axis[i];
        int64_t met = 0;
        for (int64_t j = 0; j < a->count; j++) {
            int64_t first = a->first + j * a->step;
            im2col_range r = im2col_taps_between(a, first, first);
            met += r.end - r.begin;
        }
        hits *= (double)met / (double)pyad_max(1, a->count * a->taps);
    }
    return hits;
}

/* Whether the zeros around the image are worth leaving out. */
static int K(conv_has_zeros)(const im2col_view *v) {
    return K(conv_hits)(v) <= PYAD_TRIM_PERCENT / 100.0;
}
