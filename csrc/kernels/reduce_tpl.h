/* Reductions over any set of axes, and scans along one.
 *
 * The loops of all reductions are those of reduction_tpl.h, fixed blocks in fixed order; a file
 * for each kind says what one step of it does. Sums of floats run in vector lanes over at most
 * 2048 elements (or 64 rows) and meet in double, so that a float32 sum is good to a few units in
 * the last place.
 */
#if DTYPE != PYAD_BOOL
#include "loops/axis.h"
#include "loops/stream.h"
#include "math/math_tpl.h"
#include "math/shifted_tpl.h"
#include "reduce/reduction.h"
#include "reduce/scans.h"

#ifdef REAL
#define ELEM REAL
/* x is taken if it is better, or NaN: once there, a NaN stays */
#define BETTER(x, than, is) (((x)is(than)) | ((x) != (x)))
#else
#define ELEM INT
#define BETTER(x, than, is) ((x)is(than))
#endif

#include "reduce/sums_tpl.h"
#include "reduce/products_tpl.h"
#include "reduce/extrema_tpl.h"
#include "reduce/truth_tpl.h"
#ifdef REAL
#include "reduce/norms_tpl.h"
#include "reduce/distances_tpl.h"
#include "reduce/moments_tpl.h"
#include "reduce/logsumexp_tpl.h"
#endif
#include "reduce/scans_tpl.h"

#undef BETTER
#undef ELEM
#endif
