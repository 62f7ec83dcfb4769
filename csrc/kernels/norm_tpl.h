/* Normalisation: batch, group (and instance) and layer norm, with their gradients.
 *
 * Channel norms see x as [samples][rows][c], channels innermost: (n, c) as it is, images and
 * volumes channels-last. Batch norm is one sample of all rows. Two passes: the first sums x - shift
 * and its square for each channel in double, where shift is the first row, so that nothing cancels
 * and a constant channel has variance 0 exactly; the second computes (x - mean) * scale + bias. The
 * mean is used as the nearest REAL, and what that leaves out goes into the bias. A ReLU behind batch
 * norm belongs to the second pass; its gradient needs no saved array, as what it let through follows
 * from x by the same arithmetic, so it costs no pass either.
 *
 * Row norms (layer, RMS) sum likewise over each contiguous row, then compute it from the cache.
 *
 * Statistics are kept as double arrays stats: mean, then 1 / sqrt(variance + eps). Sums over rows
 * go over a fixed number of blocks of rows, added up in order: no bit depends on the threads.
 */
#include "loops/moves.h"
#include "loops/planar.h"
#include "loops/stream.h"

#ifdef REAL

#ifndef PYAD_NORM_BLOCKS
#define PYAD_NORM_BLOCKS 16
/* rows up to this long have their sums over rows in blocks of rows, longer ones by columns */
#define LN_SHORT 4096
#define LN_CHUNK 128
/* samples or rows fewer than which are shared out, each from so many elements on; of a sample's parts
 * the fewest rows */
#define NORM_FEW 8
#define NORM_LARGE 32768
#define NORM_ROWS 16
/* elements of gradients behind a ReLU that are computed at a time; they stay in the first cache */
#define BN_GATED 2048
/* elements of the second pass at a time, enough for the memory to run along */
#define BN_BACK 8192
/* elements by which planes from afar are asked for */
#define BN_PLANES_AHEAD 512
#endif

/* ---- vectors of double ---- */

#define DL ((int64_t)(VECTOR_BYTES / sizeof(double)))
#define dvec vec_t_f64

/* 1 / sqrt(x) */
static inline double K(rsqrt)(double x) { return 1 / sqrt(x); }

#include "norm/channels_tpl.h"
#include "norm/batch_norm_tpl.h"
#include "norm/group_norm_tpl.h"
#include "norm/layer_norm_tpl.h"

#undef DL
#undef WIDE_MOST
#undef dvec
#undef BN_SHARED
#undef GN_SCRATCH
#undef AFFINE_SHARED
#endif
