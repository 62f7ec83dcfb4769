/* Pointwise convolution: a kernel of one tap, stride 1, no padding, one group. Pixel by pixel the
 * channels of the image times the packed weight, so that the image is the left matrix as it lies.
 *
 * It reads the weight of packing_tpl.h, for up to twice the channels of a packed tile's row:
 * copying the rows would cost as much as a tenth of so short a sum, and as they follow one another
 * without gaps, no two of them fall on one set of the cache.
 *
 * Loops: blocks of tiles whose rows stay in L2; in each all panels of NR outputs at once, if their
 * weights stay near, else one after the other, whose weights stay in L1; tiles of MR pixels and panels
 * (unpacked_tpl.h), one call for all of a block; channels.
 */
#ifndef PYAD_POINTWISE
#define PYAD_POINTWISE
#define POINTWISE_BYTES (1 << 17) /* of the rows of a block of tiles */
/* of a weight that meets tile by tile: in L1, or in L2 where tiles are tall, who use a line often */
#define POINTWISE_NEAR_BYTES (GEMM_MR > 8 ? 1 << 18 : 1 << 15)
#endif

/* Whether a job is one: every output pixel sees the source pixel of its own number, and the outputs
 * are whole vectors. */
static int K(pointwise_is)(const K(conv_job) *job) {
    const im2col_view *v = job->view;
    for (int64_t i = 0; i < 3; i++) {
        const im2col_axis *a = &v->axis[i];
        if (a->taps != 1 || a->step != 1 || a->first != 0 || a->count != a->source) return 0;
        if (a->out_step != 1 || a->out_first != 0 || a->out_size != a->count) return 0;
    }
    return v->group_channels == v->channels && v->inner == 1 && job->depth > 0 &&
           job->depth <= 2 * CONV_DEPTH && v->group_width % VL == 0;
}

/* Outputs column .. column+columns-1 of pixels pixel .. pixel+pixels-1. */
static void K(pointwise_range)(const K(conv_job) *job, int64_t pixel, int64_t pixels,
                               int64_t column, int64_t columns) {
    int64_t most = POINTWISE_BYTES / (int64_t)sizeof(REAL) / (job->depth * job->height);
    int64_t step = pyad_max(1, most) * job->height;
    int64_t width = job->view->out_channels, end = column + columns;
    int near = job->depth * columns * (int64_t)sizeof(REAL) <= POINTWISE_NEAR_BYTES;
    for (int64_t i = pixel; i < pixel + pixels; i += step) {
        int64_t rows = pyad_min(step, pixel + pixels - i);
        for (int64_t j = column, lanes; j < end; j += lanes) {
            lanes = near ? K(unpacked_lanes)(end - j) : pyad_min(GEMM_NR, end - j);
            K(unpacked_panel) p = K(unpacked_panel_of)(&job->end, job->out + i * width, width, j);
            p.a = job->source + i * job->depth;
            p.b = job->packed + j * job->depth;
            p.depth = p.step = job->depth;
            K(unpacked_pixels)(p, rows, job->height, lanes);
        }
    }
}
