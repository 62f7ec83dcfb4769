/* The output, and with the output's gradient as source the gradient of the image: all ranges
 * (range_tpl.h) of all views and groups, shared out to the threads by pixels, or by outputs where
 * pixels are few. The weight is packed first, by the whole team, unless it comes so. Threads take pixels
 * in turns.
 *
 * Small images have many zeros around them (18 % of the products of 3x3 on 7x7). There a tile
 * takes one place in MR images, and taps outside the image are left out of its sums (conv_inner).
 */

#ifndef PYAD_CONV_GATHER
#define PYAD_CONV_GATHER
#define CONV_PIECE (1 << 20) /* products */
#endif

/* A range by the way that the job allows. */
static void K(conv_part_of)(const K(conv_job) *job, int64_t pixel, int64_t pixels, int64_t column,
                            int64_t columns, K(conv_scratch) *s) {
    if (K(pointwise_is)(job)) {
        K(pointwise_range)(job, pixel, pixels, column, columns);
    } else {
        K(conv_range)(job, pixel, pixels, column, columns, s);
    }
}

/* Tiles of a piece that a thread takes at a time: some microseconds' worth. */
static int64_t K(conv_least)(const K(conv_job) *job) {
    int64_t products = job->height * job->view->group_width * job->depth;
    return pyad_min(CONV_TILES, CONV_PIECE / pyad_max(1, products) + 1);
}

/* This thread's part of a job: some of the tiles, or of the outputs where tiles are few. */
static void K(conv_share)(const K(conv_job) *job, K(conv_scratch) *s, const team *t) {
    int64_t pixels = im2col_pixels(job->view), width = job->view->group_width;
    int64_t begin, end;
    if (pixels < 2 * GEMM_MR * t->nth && width >= GEMM_NR * t->nth) {
        team_range(t, width, GEMM_NR, &begin, &end);
        if (begin < end) K(conv_part_of)(job, 0, pixels, begin, end - begin, s);
        return;
    }
    team_turns turns = team_take(t, pixels, job->height, K(conv_least)(job));
    while (team_next(&turns, &begin, &end)) {
        K(conv_part_of)(job, begin, end - begin, 0, width, s);
    }
}

/* The images whose pixels are computed side by side: a tile's height of them if enough products
 * with the zeros around the image are saved so. */
static int64_t K(conv_inner)(const im2col_view *v) {
    if (v->images < PYAD_TRIM_IMAGES || !K(conv_has_zeros)(v)) return 1;
    return pyad_min(v->images, GEMM_MR);
}

/* What either direction reads and writes. */
typedef struct {
    const pyad_array *source, *weight, *packed; /* packed: NULL or maybe absent */
    K(epilogue) end;
    REAL *out;
} K(conv_call);

/* out = weight applied to source through all views of the shape. */
static void K(conv_gather)(const conv_shape *shape, int backward, const K(conv_call) *call,
                           const team *t) {
    int64_t phases = conv_phases(shape, backward);
    const REAL *packed = call->packed == NULL ? NULL : call->packed->data;
    if (packed == NULL) {
        K(conv_pack_all)(shape, backward, call->weight->data, t->shared, t);
        team_barrier(t);
        packed = t->shared;
    }
    for (int64_t i = 0; i < phases; i++) {
        im2col_view v = conv_view(shape, backward, i);
        int64_t size = K(conv_padded)(v.group_width) * conv_depth(&v);
        int64_t height = K(gemm_height)(pyad_max(1, im2col_pixels(&v)));
        v.inner = K(conv_inner)(&v);
        for (int64_t g = 0; g < shape->groups; g++) {
            K(conv_job) job = {&v, g, conv_depth(&v), height, call->source->data,
                               packed + g * size, call->end, call->out};
            K(conv_share)(&job, t->scratch, t);
        }
        packed += K(conv_packed)(&v);
    }
}

static int64_t K(conv_gather_shared)(const conv_shape *s, int backward) {
    int64_t width = backward ? s->channels : s->out_channels;
    int64_t channels = backward ? s->out_channels : s->channels;
    int64_t padded = conv_is_depthwise(s) ? K(conv_padded)(width)
                                          : channels * K(conv_padded)(width / s->groups);
    return conv_taps(s) * padded * (int64_t)sizeof(REAL);
}

/* A thread's own memory for either direction. */
static int64_t K(conv_apply_scratch)(void) {
    return pyad_max(sizeof(K(conv_scratch)), sizeof(K(depthwise_scratch)));
}

/* Either direction; fwd and bwd_x differ in who is the source. */
static int K(conv_apply)(const conv_shape *s, int backward, const K(conv_call) *call,
                         const team *t) {
    if (!conv_is_depthwise(s)) {
        K(conv_gather)(s, backward, call, t);
        return 0;
    }
    const REAL *packed = call->packed == NULL ? NULL : call->packed->data;
    if (packed == NULL) {
        K(depthwise_pack)(call->weight->data, s->channels, conv_taps(s), t->shared, t);
        team_barrier(t);
        packed = t->shared;
    }
    for (int64_t i = 0; i < conv_phases(s, backward); i++) {
        im2col_view v = conv_view(s, backward, i);
        K(depthwise_job) job = {&v, s->kernel, call->source->data, packed, call->end, call->out};
        K(depthwise_gather)(&job, t);
    }
    return 0;
}
