/* What an element type's code says. Behind pyautodl.h, which cffi reads and so has no guard. */
#ifndef PYAD_DTYPES_H
#define PYAD_DTYPES_H

#include <stdint.h>

/* Bytes of an element; 0: there is no such type. */
static inline int64_t pyad_element_bytes(int64_t dtype) {
    static const int8_t bytes[PYAD_NUM_DTYPES] = {4, 8, 8, 4, 2, 1, 1, 1};
    return dtype >= 0 && dtype < PYAD_NUM_DTYPES ? bytes[dtype] : 0;
}

#endif
