/* What the C tests share: cmocka, the runtime's interface, arrays, numbers, every ISA. */
#ifndef PYAD_TESTING_H
#define PYAD_TESTING_H

/* cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* qemu-user can't start threads in a child that a process with threads has forked, and does not keep
 * the processor's time. */
static inline void skip_if_emulated(void) {
    if (getenv("PYAD_EMULATED") != NULL) skip();
}

/* ---- arrays ---- */

static inline int64_t item_bytes(int64_t dtype) {
    static const int64_t bytes[PYAD_NUM_DTYPES] = {4, 8, 8, 4, 2, 1, 1, 1};
    return bytes[dtype];
}

/* An array of its own memory, exactly as large as it is, so that the sanitizer sees every step
 * beyond. With channels_last the bytes of (n, c, ...) lie as (n, ..., c), else in C order. */
static inline pyad_array new_array(int64_t dtype, int64_t ndim, const int64_t *shape,
                                   int channels_last) {
    pyad_array a = {.dtype = dtype, .ndim = ndim};
    int64_t step = 1;
    for (int64_t k = ndim - 1; k >= 0; k--) {
        /* innermost first: the channels, then the other axes from the last one */
        int64_t axis = !channels_last || k == 0 ? k : k == ndim - 1 ? 1 : k + 1;
        a.shape[axis] = shape[axis];
        a.stride[axis] = step;
        step *= shape[axis];
    }
    a.data = malloc((size_t)(step * item_bytes(dtype)) + (step == 0));
    assert_non_null(a.data);
    return a;
}

/* ---- numbers ---- */

/* xorshift64*: the same numbers on every machine */
static inline uint64_t next_number(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

/* low <= number <= high */
static inline int64_t number_in(uint64_t *state, int64_t low, int64_t high) {
    return low + (int64_t)(next_number(state) >> 33) % (high - low + 1);
}

/* Element i of a float array, and setting it. */
static inline double get(const pyad_array *a, int64_t i) {
    return a->dtype == PYAD_FLOAT32 ? (double)((const float *)a->data)[i]
                                    : ((const double *)a->data)[i];
}

static inline void set(const pyad_array *a, int64_t i, double value) {
    if (a->dtype == PYAD_FLOAT32) {
        ((float *)a->data)[i] = (float)value;
    } else {
        ((double *)a->data)[i] = value;
    }
}

/* Equal to `relative`, or both NaN, or the same infinity. */
static inline int close_to(double a, double b, double relative) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= relative * (1 + fabs(b));
}

static inline double precision_of(int64_t dtype) { return dtype == PYAD_FLOAT32 ? 1e-5 : 1e-13; }

/* ---- every ISA ---- */

#define FOR_EACH_ISA(name)                                                                      \
    for (int64_t isa_ = 0; isa_ < pyad_isa_count(); isa_++)                                      \
        for (const char *name = pyad_isa_name(isa_); name != NULL && pyad_use_isa(name) == 0;    \
             name = NULL)

/* Run a kernel that must succeed. */
#define run_kernel_ok(id, args, nth) \
    assert_int_equal(pyad_run(id, (const char *)(const void *)&(args), nth), PYAD_OK)

#endif
