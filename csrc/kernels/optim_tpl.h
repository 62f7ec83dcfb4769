/* Optimizer steps and gradient clipping over all parameters of a group in one call.
 *
 * Parameters, gradients and states come as tables of dense arrays that lie alike, so each is a flat
 * run of memory. The team splits each of them, but small ones, into equal parts in whole vectors, as
 * the kernels before and after do: a thread finds most of its part in its own cache, and what has left
 * the caches is shared evenly. One pass reads and writes every array once, which is what the step
 * costs.
 *
 * Hyperparameters are read from a float64 array that the optimizer keeps for each group, so that a
 * schedule works for a recorded step too.
 */
#ifdef REAL
#include "loops/stream.h"
#include "math/math_tpl.h"

/* elements: parts begin at multiples of a cache line */
#define OPTIM_BLOCK 64
/* Tensors of fewer elements are the caller's alone, as most kernels that read them are: each line that
 * two threads write and read in turn takes longer on its way than its elements do. Of a great many of
 * them the rest is shared all the same. */
#define OPTIM_SMALL 16384
#define OPTIM_ALONE 65536
/* the gradients' norm is summed in so many parts, whatever the number of threads */
#define OPTIM_PARTS 64

#include "optim/tables_tpl.h"
#include "optim/sgd_tpl.h"
#include "optim/adam_tpl.h"
#include "optim/adaptive_tpl.h"
#include "optim/grad_norm_tpl.h"

#undef FOR_VECTORS
#endif
