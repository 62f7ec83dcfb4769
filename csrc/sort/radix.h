/* Stable sorting of unsigned keys by their digits, once for all machines (radix.c), as nothing in it
 * fills vectors.
 */
#ifndef PYAD_RADIX_H
#define PYAD_RADIX_H

#include <stdint.h>

/* A key and where it stood. */
typedef struct {
    uint32_t key, index;
} radix_short;

typedef struct {
    uint64_t key, index;
} radix_long;

/* Sort n pairs at p, whose keys are from least to most; `other` has room for as many. Returns where they
 * are then. */
radix_short *pyad_radix_short(radix_short *p, radix_short *other, int64_t n, uint32_t least, uint32_t most);
radix_long *pyad_radix_long(radix_long *p, radix_long *other, int64_t n, uint64_t least, uint64_t most);

#endif
