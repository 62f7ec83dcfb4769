/* Convolutions in channels-last memory, by implicit im2col (im2col_tpl.h) and tiles of MR x NR
 * sums as in gemm_tpl.h. All kernels take arrays (n, c, spatial...) of 3 to 5 axes.
 *
 * The folder conv has the loops: gather_tpl.h of the output (conv_fwd) and the image's gradient
 * (conv_bwd_x), weight_grad_tpl.h of the weight's (conv_bwd_w). Loops of their own have depthwise
 * (depthwise_tpl.h, of few channels flat_tpl.h), grouped (grouped_tpl.h), pointwise convolutions
 * (pointwise_tpl.h), few channels (planar_tpl.h), few to write (narrow_tpl.h), few pixels (few_tpl.h).
 *
 * Tiles, blocks and slabs depend on the shape and nothing else, so the bits do too. Scratch
 * depends on channels and kernel size: neither batch nor image enters.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "conv/im2col_tpl.h"
#include "conv/epilogue_tpl.h"
#include "conv/shape_tpl.h"
#include "conv/depthwise_tpl.h"
#include "conv/narrow_tpl.h"
#include "conv/tiles_tpl.h"
#include "conv/packing_tpl.h"
#include "conv/range_tpl.h"
#include "conv/unpacked_tpl.h"
#include "conv/pointwise_tpl.h"
#include "conv/gather_tpl.h"
#include "conv/planar_tpl.h"
#include "conv/flat_tpl.h"
#include "conv/few_tpl.h"
#include "conv/weight_grad_tpl.h"
#include "conv/grouped_tpl.h"

/* Products of the convolution, in units of the work that PYAD_WORK_GRAIN counts: eight of them in
 * the time of an element operation, of short sums (depthwise) four. */
static int64_t K(conv_work)(const pyad_array *out, const pyad_array *weight) {
    int64_t row = pyad_numel(weight) / pyad_max(1, weight->shape[0]);
    return pyad_numel(out) * pyad_max(1, row < 32 ? row / 4 : row / 8);
}

/* ---- conv_weight ---- */

/* A weight's shape with the smallest image that it fits. */
static conv_shape K(conv_weight_shape)(const conv_weight_args *a) {
    conv_shape s = {.images = 1, .out_channels = a->weight.shape[0], .groups = a->groups};
    int64_t missing = 5 - a->weight.ndim;
    s.channels = a->weight.shape[1] * a->groups;
    for (int64_t i = 0; i < 3; i++) {
        s.kernel[i] = i < missing ? 1 : a->weight.shape[i - missing + 2];
        s.axis[i] = (im2col_numbers){s.kernel[i], 1, s.kernel[i], 1, 0, 1};
    }
    return s;
}

static int K(conv_weight)(const void *args, const team *t) {
    const conv_weight_args *a = args;
    conv_shape s = K(conv_weight_shape)(a);
    if (conv_is_depthwise(&s)) {
        K(depthwise_pack)(a->weight.data, s.channels, conv_taps(&s), a->out.data, t);
    } else {
        K(conv_pack_all)(&s, 0, a->weight.data, a->out.data, t);
    }
    return 0;
}

PYAD_RECORD_MEMORY(conv_weight, conv_weight_args, 4 * pyad_numel(&a->weight), sizeof(K(conv_scratch)), 0)

/* ---- conv_fwd, conv_bwd_x ---- */

/* Whether one of the kernels goes along lines (flat_tpl.h). */
static PYAD_ONCE int K(conv_is_flat)(const pyad_array *image, const pyad_array *weight,
                                     const pyad_array *out, const int64_t *ints, int backward,
                                     flat_cut *cut) {
    const conv_shape s = conv_shape_of(image, weight, out, ints);
    const im2col_view v = conv_view(&s, backward, 0);
    return K(flat_cut_of)(&s, &v, cut);
}

/* By copied lines of the image, whose channels lie last or one after the other. */
static void K(conv_planar)(const conv_shape *s, int last, const K(conv_call) *call, const team *t) {
    const REAL *packed = call->packed->data;
    if (packed == NULL) {
        K(conv_pack_all)(s, 0, call->weight->data, t->shared, t);
        team_barrier(t);
        packed = t->shared;
    }
    K(planar_apply)(s, last, call->source->data, packed, &call->end, call->out, t);
}

static int K(conv_fwd)(const void *args, const team *t) {
    const conv_fwd_args *a = args;
    conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    K(conv_call) call = {&a->x, &a->weight, &a->packed,
                         {a->scale.data, a->bias.data, a->residual.data, a->out.data,
                          (int)a->activation, (REAL)a->p0, (REAL)a->p1},
                         a->out.data};
    if (planar_is(&a->x)) {
        if (!K(planar_fits)(&s)) {
            return team_fail(t, PYAD_ERROR_VALUE, 0, s.channels, PYAD_PLANAR_DEPTH);
        }
        K(conv_planar)(&s, 0, &call, t);
        return 0;
    }
    const im2col_view v = conv_view_forward(&s);
    flat_cut flat;
    if (K(flat_cut_of)(&s, &v, &flat)) {
        K(flat_apply)(&s, &v, &flat, a->x.data, a->weight.data, &call.end, a->out.data, t);
        return 0;
    }
    if (K(grouped_width)(&s)) {
        K(grouped_apply)(&s, 0, &call, t);
        return 0;
    }
    if (FEW_IS(&s)) {
        K(few_apply)(&s, a->x.data, a->weight.data, &call.end, a->out.data, t);
        return 0;
    }
    narrow_cut cut;
    if (K(narrow_cut_of)(&s, 0, &cut)) {
        K(narrow_gather)(&s, &cut, a->x.data, a->weight.data, &call.end, a->out.data, t);
        return 0;
    }
    if (K(planar_pays)(&s)) {
        K(conv_planar)(&s, 1, &call, t);
        return 0;
    }
    return K(conv_apply)(&s, 0, &call, t);
}

static int K(conv_bwd_x)(const void *args, const team *t) {
    const conv_bwd_x_args *a = args;
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    const im2col_view v = conv_view_backward(&s, 0);
    K(conv_call) call = {&a->dy, &a->weight, NULL,
                         {.bias = a->bias.data, .out = a->dx.data}, a->dx.data};
    flat_cut flat;
    if (K(flat_cut_of)(&s, &v, &flat)) {
        K(flat_apply)(&s, &v, &flat, a->dy.data, a->weight.data, &call.end, a->dx.data, t);
        return 0;
    }
    if (K(grouped_width)(&s)) {
        K(grouped_apply)(&s, 1, &call, t);
        return 0;
    }
    narrow_cut cut;
    if (K(narrow_cut_of)(&s, 1, &cut)) {
        K(narrow_gather)(&s, &cut, a->dy.data, a->weight.data, &call.end, a->dx.data, t);
        return 0;
    }
    return K(conv_apply)(&s, 1, &call, t);
}

static int64_t K(conv_fwd_shared_bytes)(const conv_fwd_args *a) {
    flat_cut flat;
    if (K(conv_is_flat)(&a->x, &a->weight, &a->out, a->stride, 0, &flat)) {
        return K(flat_spread_bytes)(&flat);
    }
    conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    if (K(grouped_width)(&s)) return K(grouped_packed)(&s) * (int64_t)sizeof(REAL);
    if (FEW_IS(&s) && !planar_is(&a->x)) return K(few_shared)(&s);
    narrow_cut cut;
    if (K(narrow_cut_of)(&s, 0, &cut)) return K(conv_gather_shared)(&s, 0);
    return a->packed.data != NULL ? 0 : K(conv_gather_shared)(&s, 0);
}

static int64_t K(conv_bwd_x_shared_bytes)(const conv_bwd_x_args *a) {
    flat_cut flat;
    if (K(conv_is_flat)(&a->dx, &a->weight, &a->dy, a->stride, 1, &flat)) {
        return K(flat_spread_bytes)(&flat);
    }
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    if (K(grouped_width)(&s)) return K(grouped_packed)(&s) * (int64_t)sizeof(REAL);
    return K(conv_gather_shared)(&s, 1);
}

static int64_t K(conv_bwd_x_scratch_bytes)(const conv_bwd_x_args *a) {
    flat_cut flat;
    if (K(conv_is_flat)(&a->dx, &a->weight, &a->dy, a->stride, 1, &flat)) {
        return sizeof(K(flat_scratch));
    }
    conv_shape s = conv_shape_of(&a->dx, &a->weight, &a->dy, a->stride);
    narrow_cut cut;
    if (K(grouped_width)(&s)) return sizeof(K(grouped_scratch));
    if (K(narrow_cut_of)(&s, 1, &cut)) return sizeof(K(narrow_scratch));
    return K(conv_apply_scratch)();
}

static int64_t K(conv_fwd_scratch_bytes)(const conv_fwd_args *a) {
    flat_cut flat;
    if (K(conv_is_flat)(&a->x, &a->weight, &a->out, a->stride, 0, &flat)) {
        return sizeof(K(flat_scratch));
    }
    const conv_shape s = conv_shape_of(&a->x, &a->weight, &a->out, a->stride);
    narrow_cut cut;
    if (K(grouped_width)(&s)) return sizeof(K(grouped_scratch));
    if (K(narrow_cut_of)(&s, 0, &cut)) return sizeof(K(narrow_scratch));
    return pyad_max(K(conv_apply_scratch)(), sizeof(K(planar_scratch)));
}

PYAD_RECORD_FLUSHED(conv_fwd, conv_fwd_args, K(conv_work)(&a->out, &a->weight),
                    K(conv_fwd_scratch_bytes)(a), K(conv_fwd_shared_bytes)(a))
PYAD_RECORD_FLUSHED(conv_bwd_x, conv_bwd_x_args, K(conv_work)(&a->dy, &a->weight),
                    K(conv_bwd_x_scratch_bytes)(a), K(conv_bwd_x_shared_bytes)(a))

/* ---- conv_bwd_w ---- */

static int K(conv_bwd_w)(const void *args, const team *t) {
    const conv_bwd_w_args *a = args;
    conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    im2col_view v = conv_view_forward(&s);
    REAL *dw = a->dw.data, *db = a->db.data, *all = t->shared;
    int64_t begin, end;
    flat_cut flat;
    if (K(flat_cut_of)(&s, &v, &flat)) {
        K(flat_weight)(&v, &flat, a->x.data, a->dy.data, dw, db, t);
        return 0;
    }
    if (K(grouped_width)(&s)) {
        K(grouped_weight)(&s, &v, a->x.data, a->dy.data, dw, db, t);
        return 0;
    }
    if (conv_is_depthwise(&s)) {
        K(depthwise_weight)(&v, a->x.data, a->dy.data, dw, db, t);
        return 0;
    }
    if (im2col_pixels(&v) == 0) {
        team_range(t, pyad_numel(&a->dw), 1, &begin, &end);
        memset(dw + begin, 0, (size_t)(end - begin) * sizeof(REAL));
        if (db != NULL && t->ith == 0) memset(db, 0, (size_t)s.out_channels * sizeof(REAL));
        return 0;
    }
    if (s.out_channels == 0) return 0;
    conv_cut c = K(conv_cut_of)(&v);
    int64_t items = c.slabs * c.groups * c.down * c.across;
    K(conv_sums_scratch) *scratch = t->scratch;
    /* what tiles read beyond a part's columns, for a row that goes aside, must be finite */
    memset(scratch->rows, 0, sizeof scratch->rows);
    memset(scratch->aside, 0, sizeof scratch->aside);
    team_turns turns = team_take(t, items, 1, 1);
    for (int64_t i; (i = team_each(&turns)) >= 0;) {
        K(conv_weight_item)(&v, &c, a->x.data, a->dy.data, all, i, db != NULL, scratch);
    }
    team_barrier(t);
    K(conv_weight_collect)(&v, &c, all, dw, db, t);
    return 0;
}

static int64_t K(conv_bwd_w_shared_bytes)(const conv_bwd_w_args *a) {
    conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    im2col_view v = conv_view_forward(&s);
    int64_t elements;
    flat_cut flat;
    if (K(flat_cut_of)(&s, &v, &flat)) {
        elements = K(flat_slabs)(&v, &flat) * K(flat_slab_size)(&flat);
    } else if (K(grouped_width)(&s)) {
        elements = GROUPED_SLABS * K(grouped_slab)(&s);
    } else if (conv_is_depthwise(&s)) {
        elements = DEPTHWISE_SLABS * (conv_taps(&s) + 1) * K(conv_padded)(s.channels);
    } else {
        conv_cut c = K(conv_cut_of)(&v);
        elements = c.slabs * K(conv_slab)(&c);
    }
    return elements * (int64_t)sizeof(REAL);
}

static int64_t K(conv_bwd_w_scratch_bytes)(const conv_bwd_w_args *a) {
    flat_cut flat;
    if (K(conv_is_flat)(&a->x, &a->dw, &a->dy, a->stride, 0, &flat)) {
        return sizeof(K(flat_scratch));
    }
    const conv_shape s = conv_shape_of(&a->x, &a->dw, &a->dy, a->stride);
    if (K(grouped_width)(&s)) return sizeof(K(grouped_scratch));
    return sizeof(K(conv_sums_scratch));
}

PYAD_RECORD_FLUSHED(conv_bwd_w, conv_bwd_w_args, K(conv_work)(&a->dy, &a->dw),
                    K(conv_bwd_w_scratch_bytes)(a), K(conv_bwd_w_shared_bytes)(a))
#endif
