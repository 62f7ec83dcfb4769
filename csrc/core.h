/* What every C file of pyautodl shares: the interface, the worker team as a kernel sees it, and
 * the macros that name a kernel once per dtype and register it with its cost.
 */
#ifndef PYAD_CORE_H
#define PYAD_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "pyautodl.h"

/* Bytes of a line of the caches, and so of the widest vector: where memory for arrays and scratch
 * begins. */
#define PYAD_LINE_BYTES 64

/* One thread's view of the team that runs a kernel. */
typedef struct team {
    int64_t ith;        /* this thread */
    int64_t nth;        /* threads in the team */
    void *scratch;      /* this thread's own, 64-byte aligned, as the kernel's record asked */
    void *shared;       /* one for the whole team, 64-byte aligned */
    struct team_state *state;
} team;

/* All threads of the team meet here. */
void team_barrier(const team *t);

/* Note an error; the one with the lowest position wins. Returns code. */
int team_fail(const team *t, int64_t code, int64_t position, int64_t value, int64_t limit);

/* The code noted so far by any thread, 0 if none. Call after a barrier. */
int team_failed(const team *t);

/* The part [*begin, *end) of n items that is this thread's, in whole blocks of `block` items. */
static inline void team_range(const team *t, int64_t n, int64_t block, int64_t *begin,
                              int64_t *end) {
    int64_t blocks = (n + block - 1) / block;
    *begin = blocks * t->ith / t->nth * block;
    *end = blocks * (t->ith + 1) / t->nth * block;
    if (*begin > n) *begin = n;
    if (*end > n) *end = n;
}

static inline int64_t pyad_numel(const pyad_array *a) {
    int64_t n = 1;
    for (int64_t i = 0; i < a->ndim; i++) n *= a->shape[i];
    return n;
}

static inline int64_t pyad_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t pyad_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t pyad_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

typedef int (*pyad_kernel_fn)(const void *args, const team *t);
typedef int64_t (*pyad_size_fn)(const void *args, int64_t nth);

/* One kernel of one ISA and dtype. */
typedef struct {
    pyad_kernel_fn run;
    pyad_size_fn work;    /* about how many element operations: decides how many threads */
    pyad_size_fn scratch; /* bytes for each thread */
    pyad_size_fn shared;  /* bytes for the team */
} pyad_kernel;

/* The variants of one kernel by dtype code; NULL: not built for it. */
typedef struct {
    const pyad_kernel *of[PYAD_NUM_DTYPES];
} pyad_kernel_row;

/* Work below twice this stays on the caller's thread; above, one thread for each so many. The second
 * holds while the workers still spin for the next kernel, so that none must be woken,
 * and where so many such kernels follow each other that waking them pays. */
#define PYAD_WORK_GRAIN 131072
#define PYAD_WORK_GRAIN_AWAKE 16384

/* kernels.def's enumeration of the kernels */
enum {
#define KERNEL(name, args, dtypes, reads, writes, ints, floats) PYAD_ID_##name,
#include "kernels.def"
#undef KERNEL
    PYAD_NUM_KERNELS
};

/* ---- the floating-point mode of the thread ---- */

/* As the compiler may not move a load over these, a kernel that reads its args between them runs
 * wholly in the mode. */
static inline uint64_t pyad_float_mode(void) {
#if defined(__x86_64__)
    uint32_t mode;
    __asm__ volatile("stmxcsr %0" : "=m"(mode) : : "memory");
    return mode;
#elif defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode) : : "memory");
    return mode;
#else
    return 0;
#endif
}

static inline void pyad_set_float_mode(uint64_t mode) {
#if defined(__x86_64__)
    const uint32_t low = (uint32_t)mode;
    __asm__ volatile("ldmxcsr %0" : : "m"(low) : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
#else
    (void)mode;
#endif
}

/* Take subnormal numbers for 0, read and written; returns the mode before, to be set again. */
static inline uint64_t pyad_flush_subnormal(void) {
    const uint64_t mode = pyad_float_mode();
#if defined(__x86_64__)
    pyad_set_float_mode(mode | 0x8040); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    pyad_set_float_mode(mode | 1u << 24); /* FZ */
#endif
    return mode;
}

/* Templates are included once per dtype with these defined:
 *   REAL or INT   the element type       SUFFIX   f32, f64, i64, i32, i16, i8, u8, b8
 *   DTYPE         PYAD_FLOAT32 ... PYAD_BOOL, for #if
 * K(name) is then the kernel's symbol.
 */
#define PYAD_JOIN_(a, b) a##_##b
#define PYAD_JOIN(a, b) PYAD_JOIN_(a, b)
#define K(name) PYAD_JOIN(name, SUFFIX)

/* Registers kernel `name`, whose args struct is `args_type`; the three sizes are expressions over
 * `a` (the args) and `nth`. Stands after the kernel in its template. */
#define PYAD_RECORD(name, args_type, work_, scratch_, shared_)                                   \
    PYAD_RECORD_RUN(name, K(name), args_type, work_, scratch_, shared_)

/* The same for a kernel that runs with subnormal numbers taken for 0: sums of products, gradients of
 * norms and optimizer steps, where they count for nothing, yet cost some processors a hundred times
 * the work. */
#define PYAD_RECORD_FLUSHED(name, args_type, work_, scratch_, shared_)                           \
    static int PYAD_JOIN(name##_flushed, SUFFIX)(const void *args, const team *t) {              \
        const uint64_t mode = pyad_flush_subnormal();                                            \
        const int status = K(name)(args, t);                                                     \
        pyad_set_float_mode(mode);                                                               \
        return status;                                                                           \
    }                                                                                            \
    PYAD_RECORD_RUN(name, PYAD_JOIN(name##_flushed, SUFFIX), args_type, work_, scratch_, shared_)

#define PYAD_RECORD_RUN(name, run_, args_type, work_, scratch_, shared_)                         \
    static int64_t PYAD_JOIN(name##_work, SUFFIX)(const void *p, int64_t nth) {                  \
        const args_type *a = p;                                                                  \
        (void)a, (void)nth;                                                                      \
        return (int64_t)(work_);                                                                 \
    }                                                                                            \
    static int64_t PYAD_JOIN(name##_scratch, SUFFIX)(const void *p, int64_t nth) {               \
        const args_type *a = p;                                                                  \
        (void)a, (void)nth;                                                                      \
        return (int64_t)(scratch_);                                                              \
    }                                                                                            \
    static int64_t PYAD_JOIN(name##_shared, SUFFIX)(const void *p, int64_t nth) {                \
        const args_type *a = p;                                                                  \
        (void)a, (void)nth;                                                                      \
        return (int64_t)(shared_);                                                               \
    }                                                                                            \
    const pyad_kernel PYAD_JOIN(PYAD_JOIN(name##_record, SUFFIX), ISA) = {                       \
        run_, PYAD_JOIN(name##_work, SUFFIX), PYAD_JOIN(name##_scratch, SUFFIX),                 \
        PYAD_JOIN(name##_shared, SUFFIX)};

#endif
