/* Recurrent layers (LSTM, GRU, tanh and ReLU) over whole sequences, one direction of one layer.
 *
 * Rows are sequences, time runs outside: row b of step t stands at offset(t) + b of x, y, gates and
 * cells. Sequences of different lengths are sorted, longest first, so step t has the first rows(t)
 * of them (PyTorch's packed form); without `sizes` every step has all.
 *
 * Forward, step by step: the state times the recurrent weights, plus the input's part, and the cell
 * while the sums are in L1. The weights are packed once, in panels of GEMM_NR units of one gate; the
 * panel's tile comes from gemm_tpl.h and reads the state's rows in place, which therefore stand in a
 * buffer whose rows are not a multiple of 4096 bytes apart. While the input's weights are small,
 * they are packed before the recurrent ones and the input's rows copied before the state's: one
 * product then makes all sums, which are never written to memory; else one product over all steps
 * makes the input's part before. Every other step takes the panels in reverse, as the last ones are
 * still in the caches. Backward runs the steps the other way and leaves the gates' gradients, from
 * which products over all steps make those of x and the weights.
 *
 * Threads take sequences where there are enough, in blocks that run through all steps, and meet
 * only before the products; else they take units and meet after each step, unless that would cost
 * more than it saves: then one does all. A sum is over the units in order in any case, so the bits
 * are the same.
 *
 * The folder rnn has the parts: sequences_tpl.h says which rows there are, where they stand and who
 * does which, forward_tpl.h and backward_tpl.h are the steps, weight_grad_tpl.h the products after
 * them.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "math/math_tpl.h"

/* sequences that a thread runs through time together */
#define RNN_ROWS (4 * GEMM_MR)
/* threads share out sequences from so many for each */
#define RNN_ROWS_FOR_THREAD 8
/* a sequence's weight among what threads share out */
#define RNN_WEIGHT (1 << 20)
/* and units from so many products of a step for each, which take a few microseconds */
#define RNN_PRODUCTS_FOR_THREAD 65536
/* between the rows of a buffer, so that they do not meet in one set of the L1 cache */
#define RNN_PAD VL
/* weights of the input that the steps read beside the recurrent ones: beyond L2 it still takes less
 * time than to write their part of all sums and to read it again */
#define RNN_INPUT_BYTES 1048576
/* where the sums of panel number p begin: [row][column] */
#define RNN_PANEL(p) ((p) * RNN_ROWS * GEMM_NR)
/* sums of a panel of all gates */
#define RNN_SUMS RNN_PANEL(4)
/* panels that one row meets at once: the sums of one are too few to keep the processor busy */
#define RNN_TOGETHER 4

/* sequences of a single step whose sums are products with the weights as they lie */
#define RNN_ONCE 4
/* rows of those sums are counted from the first sequence on, where each block has to begin */
_Static_assert(RNN_ONCE <= RNN_ROWS && RNN_ONCE < 2 * RNN_ROWS_FOR_THREAD, "one block of sequences");

#include "rnn/sequences_tpl.h"
#include "rnn/forward_tpl.h"
#include "rnn/backward_tpl.h"
#include "rnn/weight_grad_tpl.h"

static int K(rnn_fwd)(const void *args, const team *t) {
    const rnn_fwd_args *a = args;
    K(rnn) r = K(rnn_of)(&a->x, &a->w_hh, &a->gates, &a->sizes, a->hn.shape[0], a->kind, a->reverse);
    K(rnn_memory) m = K(rnn_lay_out)(&r, t);
    K(rnn_add_offsets)(&r, &m, &a->sizes, t);
    const REAL *bias = K(rnn_bias)(a, &r, m.bias, t);
    if (r.along == 0) K(rnn_fwd_inputs)(a, &r, bias, t);
    r.once = K(rnn_is_once)(&r, &a->sizes);
    if (r.once) {
        K(rnn_once_make)(a, &r, m.packed, t);
    } else {
        K(rnn_pack_units)(a, &r, m.packed, t);
    }
    if (t->nth > 1) team_barrier(t);
    K(rnn_part) part = K(rnn_share)(&r, t);
    int64_t height = K(rnn_block)(&part);
    REAL *buffer = part.together ? m.state : (REAL *)t->scratch + RNN_SUMS;
    for (int64_t b = part.begin; b < part.end; b += height) {
        K(rnn_fwd_block)(a, &r, &part, &m, buffer, bias, b, pyad_min(height, part.end - b), t);
    }
    return PYAD_OK;
}

static int64_t K(rnn_gates)(int64_t kind) {
    return kind == PYAD_LSTM ? 4 : kind == PYAD_GRU ? 3 : 1;
}

static int64_t K(rnn_steps)(const pyad_array *x, const pyad_array *sizes, int64_t batch) {
    return sizes->data != NULL ? sizes->shape[0] : batch > 0 ? x->shape[0] / batch : 0;
}

PYAD_RECORD_FLUSHED(rnn_fwd, rnn_fwd_args,
                    K(rnn_work)(&a->x, &a->w_ih, &a->w_hh, a->hn.shape[0], 1),
                    K(rnn_scratch_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind), a->x.shape[1]),
                    K(rnn_shared_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind),
                                        K(rnn_steps)(&a->x, &a->sizes, a->hn.shape[0]), a->x.shape[1]))

static int K(rnn_bwd)(const void *args, const team *t) {
    const rnn_bwd_args *a = args;
    K(rnn) r = K(rnn_of)(&a->x, &a->w_hh, &a->gates, &a->sizes, a->batch, a->kind, a->reverse);
    K(rnn_memory) m = K(rnn_lay_out)(&r, t);
    K(rnn_add_offsets)(&r, &m, &a->sizes, t);
    int64_t depth = r.gates * r.hidden, begin, end;
    team_range(t, K(rnn_panels)(r.hidden), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t lanes = pyad_min(GEMM_NR, r.hidden - i * GEMM_NR);
        K(gemm_pack_panel)(m.packed + i * GEMM_NR * depth, K(rnn_width)(lanes), lanes, depth,
                           (const REAL *)a->w_hh.data + i * GEMM_NR, 1, r.hidden);
    }
    if (t->nth > 1) team_barrier(t);
    K(rnn_part) part = K(rnn_share)(&r, t);
    int64_t height = K(rnn_block)(&part);
    REAL *buffer = part.together ? m.state : (REAL *)t->scratch + RNN_SUMS;
    for (int64_t b = part.begin; b < part.end; b += height) {
        K(rnn_bwd_block)(a, &r, &part, m.packed, buffer, b, pyad_min(height, part.end - b), t);
    }
    team_barrier(t);
    if (a->dx.data != NULL) K(rnn_dx)(a, &r, t);
    K(rnn_weight_grads)(a, &r, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(rnn_bwd, rnn_bwd_args,
                    K(rnn_work)(&a->x, &a->w_ih, &a->w_hh, a->batch, 2),
                    K(rnn_scratch_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind), a->x.shape[1]),
                    K(rnn_shared_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind),
                                        K(rnn_steps)(&a->x, &a->sizes, a->batch), a->x.shape[1]))

#undef RNN_PAD
#undef RNN_PANEL
#endif
