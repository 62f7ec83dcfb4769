/* Losses.
 *
 * Pairs (mean squared error, binary cross-entropy, ...): x and target are dense and of one layout,
 * so they are walked as they lie, VL at a time.
 *
 * Classes (cross-entropy): memory is [outer][classes][inner] (axis.h) and the row of (o, i) has
 * number o * inner + i, which is the C order of the targets both for (n, c, ...) and for
 * channels-last logits. VL rows at a time, as in softmax_tpl.h: columns if inner > 1, a transposed
 * tile if there are few classes, else row by row. Softmax, logarithm and choice of the target are
 * one pass over data in the cache; the gradient is another.
 *
 * Sums go over a fixed number of blocks, each summed in a fixed order in double, then over the
 * blocks in order: no bit depends on the number of threads.
 */
#include "loops/axis.h"
#include "loops/stream.h"
#include "loss/ctc.h"
#include "math/math_tpl.h"
#include "math/shifted_tpl.h"

#ifdef REAL

#ifndef PYAD_LOSS
#define PYAD_LOSS
#define LOSS_BLOCKS 64
/* so many elements are added in REAL before the sum goes on in double */
#define PAIR_RUN 1024
#define LOWEST_LOG (-100)
/* how far before its use a unit of rows is asked for */
#define UNITS_AHEAD 4
/* and an element of a long row */
#define AHEAD (STREAM_AHEAD / (int64_t)sizeof(REAL))
#endif

#if DTYPE == PYAD_FLOAT32
#define SMALLEST_NORMAL 1.17549435e-38f
#define LARGEST 3.40282347e+38f
#else
#define SMALLEST_NORMAL 2.2250738585072014e-308
#define LARGEST 1.7976931348623157e+308
#endif

#include "loss/pairs_tpl.h"
#include "loss/classes_tpl.h"
#include "loss/cross_entropy_tpl.h"
#include "loss/cross_entropy_grad_tpl.h"
#include "loss/nll_tpl.h"
#include "loss/ctc_tpl.h"

#define BLOCK_SUMS (LOSS_BLOCKS * 2 * sizeof(double))

PYAD_RECORD_MEMORY(pair_loss_fwd, pair_loss_fwd_args, 4 * pyad_numel(&a->x), 0, BLOCK_SUMS)
PYAD_RECORD(pair_loss_bwd, pair_loss_bwd_args, 4 * pyad_numel(&a->x))
PYAD_RECORD(clamped_log_fwd, clamped_log_fwd_args, 6 * pyad_numel(&a->x))
PYAD_RECORD_MEMORY(cross_entropy_fwd, cross_entropy_fwd_args, 8 * pyad_numel(&a->x), 0, BLOCK_SUMS)
PYAD_RECORD(cross_entropy_bwd, cross_entropy_bwd_args, 6 * pyad_numel(&a->x))
PYAD_RECORD_MEMORY(nll_fwd, nll_fwd_args, 8 * pyad_numel(&a->target), 0, BLOCK_SUMS)
PYAD_RECORD_MEMORY(ctc, ctc_args, 100 * a->log_probs.shape[0] * (2 * pyad_numel(&a->targets) + 1),
            8 * CTC_SCRATCH(a->log_probs.shape[0], a->targets.shape[1], a->log_probs.shape[2]), 0)
PYAD_RECORD(nll_bwd, nll_bwd_args, pyad_numel(&a->dx))

#undef BLOCK_SUMS
#undef WIDE
#undef LANES
#undef PAIR_SWITCH
#undef SMALLEST_NORMAL
#undef LARGEST
#endif
