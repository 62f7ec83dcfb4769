/* Images whose channels lie one after the other, (n, c, spatial...) in C order, where most lie last. */
#ifndef PYAD_PLANAR_H
#define PYAD_PLANAR_H

#include "core.h"

static inline int planar_is(const pyad_array *x) { return x->shape[1] > 1 && x->stride[1] != 1; }

#endif
