/* 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), and F(2x2, 3x3) where tiles are few, in
 * channels-last memory (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
 * All arrays have 4 axes.
 *
 * An output tile of 4 x 4 pixels sees an input window of 6 x 6. Both, and the 3 x 3 weights, are
 * mapped to 36 points, and there the convolution is one product of numbers a point:
 *
 *   output   Y = A' [(G g G') * (B' d B)] A      summed over input channels before the last map
 *   gradient of the weight   g = G' [(B' d B) * (A y A')] G      summed over tiles before it
 *
 * 36 multiplications do the work of 144; the maps cost additions, the more the fewer channels the
 * products have. The price is accuracy: sums of numbers larger than the result lose about a digit
 * against the exact algorithms (conv_tpl.h).
 *
 * winograd_fwd also computes the input gradient: a convolution of the output's gradient with the
 * weights turned around (`transposed`). It alone has tiles of 2 x 2 as well (small_tpl.h). Columns,
 * here, are the channels that are written.
 *
 * The loops stand in the folder winograd: forward_tpl.h and weight_grad_tpl.h, few_forward_tpl.h and
 * few_weight_grad_tpl.h where tiles are few. Weights are mapped in each call, or once by
 * winograd_weight (`packed`).
 *
 * Every number is computed in one order that only the shape enters, so bits do not depend on
 * threads. Scratch depends on channels: neither batch nor image enters.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "conv/epilogue_tpl.h"
#include "winograd/shape.h"
#include "winograd/maps_tpl.h"
#include "winograd/small_tpl.h"
#include "winograd/blocks_tpl.h"
#include "winograd/weights_tpl.h"
#include "winograd/forward_tpl.h"
#include "winograd/few_forward_tpl.h"
#include "winograd/weight_grad_tpl.h"
#include "winograd/few_weight_grad_tpl.h"

/* Products that are left, in units of the work that PYAD_WORK_GRAIN counts. */
static int64_t K(winograd_work)(const winograd_shape *s) {
    return winograd_tiles(s) * s->points * (s->channels * s->columns / 8 + s->channels);
}

/* ---- winograd_weight ---- */

static int K(winograd_weight)(const void *args, const team *t) {
    const winograd_weight_args *a = args;
    K(winograd_weights) w = K(winograd_weights_of)(&a->weight, (int)a->transposed);
    K(winograd_pack)(&w, a->step, 0, w.columns, a->out.data, t);
    return 0;
}

PYAD_RECORD_FLUSHED(winograd_weight, winograd_weight_args, 4 * pyad_numel(&a->out), 0, 0)

/* ---- winograd_fwd ---- */

static int K(winograd_fwd)(const void *args, const team *t) {
    const winograd_fwd_args *a = args;
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding, a->step);
    K(winograd_weights) w = K(winograd_weights_of)(&a->weight, (int)a->transposed);
    K(winograd_job) job = {.shape = &s, .x = a->x.data, .out = a->out.data};
    job.end = (K(epilogue)){a->scale.data, a->bias.data, a->residual.data, a->out.data,
                            (int)a->activation, (REAL)a->p0, (REAL)a->p1};
    if (a->packed.data == NULL && K(winograd_is_few)(&s)) {
        K(winograd_run_few)(&job, &w, t);
    } else {
        K(winograd_run_groups)(&job, &w, a->packed.data, t);
    }
    return 0;
}

static int64_t K(winograd_fwd_cost)(const winograd_fwd_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding, a->step);
    return K(winograd_work)(&s);
}

static int64_t K(winograd_fwd_scratch_bytes)(const winograd_fwd_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding, a->step);
    int64_t tiles = WINOGRAD_TILES(&s) + GEMM_MR;
    int64_t size = K(winograd_block_size)(s.points, s.channels, tiles) +
                   K(winograd_block_size)(s.points, WINOGRAD_SPAN, tiles);
    if (a->packed.data == NULL && K(winograd_is_few)(&s)) size = K(winograd_few_scratch)(&s);
    return size * (int64_t)sizeof(REAL);
}

static int64_t K(winograd_fwd_shared_bytes)(const winograd_fwd_args *a) {
    if (a->packed.data != NULL) return 0;
    winograd_shape s = winograd_shape_of(&a->x, &a->out, a->padding, a->step);
    int64_t size = s.group / WINOGRAD_WIDTH * K(winograd_panel_size)(s.points, s.channels);
    if (K(winograd_is_few)(&s)) size = K(winograd_few_shared)(&s);
    return size * (int64_t)sizeof(REAL);
}

PYAD_RECORD_FLUSHED(winograd_fwd, winograd_fwd_args, K(winograd_fwd_cost)(a),
                    K(winograd_fwd_scratch_bytes)(a), K(winograd_fwd_shared_bytes)(a))

/* ---- winograd_bwd_w ---- */

static int K(winograd_bwd_w)(const void *args, const team *t) {
    const winograd_bwd_w_args *a = args;
    winograd_shape s = winograd_shape_of(&a->x, &a->dy, a->padding, WINOGRAD_STEP);
    if (K(winograd_sums_few)(&s)) {
        K(winograd_weight_few)(&s, a, t);
        return 0;
    }
    K(winograd_pool) p = K(winograd_pool_of)(&s, t->shared);
    for (int64_t column = 0; column < s.columns; column += s.group) {
        /* the group before is collected, and the first finds columns it lacks at zero */
        if (column > 0) team_barrier(t);
        K(winograd_weight_group)(&s, &p, a, column, pyad_min(s.group, s.columns - column), t);
    }
    return 0;
}

static int64_t K(winograd_bwd_w_cost)(const winograd_bwd_w_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->dy, a->padding, WINOGRAD_STEP);
    return K(winograd_work)(&s);
}

static int64_t K(winograd_bwd_w_shared_bytes)(const winograd_bwd_w_args *a) {
    winograd_shape s = winograd_shape_of(&a->x, &a->dy, a->padding, WINOGRAD_STEP);
    int64_t size = K(winograd_pool_size)(&s);
    if (K(winograd_sums_few)(&s)) size = K(winograd_few_sums_shared)(&s);
    return size * (int64_t)sizeof(REAL);
}

PYAD_RECORD_FLUSHED(winograd_bwd_w, winograd_bwd_w_args, K(winograd_bwd_w_cost)(a),
                    WINOGRAD_POINTS * WINOGRAD_SQUARE * (int64_t)sizeof(REAL),
                    K(winograd_bwd_w_shared_bytes)(a))
#endif
