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

/* Of a function with one copy for all who call it: small, where it is long, or out of the way. SHARED: not
 * even one that is cut to a caller's constants. */
#define PYAD_ONCE __attribute__((noinline, unused))
#ifdef __clang__
#define PYAD_SHARED PYAD_ONCE
#else
#define PYAD_SHARED __attribute__((noinline, noclone, unused))
#endif

/* What a thread did of one run: the largest number of items that were shared out, how many of them it
 * did, and how long it took, waiting for the others left out. */
typedef struct {
    int64_t items, own;
    int64_t waited, worked; /* ns */
    int64_t turns;          /* how many ranges it has begun to take in turns */
    int brief; /* not measured, and nobody takes from another: what goes from cache to cache costs more */
} team_tally;

/* One thread's view of the team that runs a kernel. */
typedef struct team {
    int64_t ith;        /* this thread */
    int64_t nth;        /* threads in the team */
    void *scratch;      /* this thread's own, 64-byte aligned, as the kernel's record asked */
    void *shared;       /* one for the whole team, 64-byte aligned */
    struct team_state *state;
    const int64_t *cuts; /* nth + 1 places of TEAM_WHOLE where the threads' shares begin; NULL: even */
    team_tally *tally;   /* NULL if nth is 1, and where only a part of the team is meant */
} team;

#define TEAM_WHOLE 65536

/* All threads of the team meet here. */
void team_barrier(const team *t);

/* Note an error; the one with the lowest position wins. Returns code. */
int team_fail(const team *t, int64_t code, int64_t position, int64_t value, int64_t limit);

/* The code noted so far by any thread, 0 if none. Call after a barrier. */
int team_failed(const team *t);

/* Where of `count` items, which threads first .. last-1 share out, the part of thread `ith` begins, and
 * for ith == last where they end. Faster threads have larger parts (runtime/shares.c), so no sum may be
 * cut where parts are. */
int64_t team_cut(const team *t, int64_t count, int64_t ith, int64_t first, int64_t last);

/* Note that `own` of n items are this thread's, where a kernel does not ask team_range. */
void team_note(const team *t, int64_t n, int64_t own);

/* Items begin .. end-1. As a value: a loop knows its bounds better if their addresses are not told. */
typedef struct {
    int64_t begin, end;
} team_span;

team_span team_span_of(const team *t, int64_t n, int64_t block);

/* The part [*begin, *end) of n items that is this thread's, in whole blocks of `block` items. */
static inline void team_range(const team *t, int64_t n, int64_t block, int64_t *begin,
                              int64_t *end) {
    const team_span own = team_span_of(t, n, block);
    *begin = own.begin;
    *end = own.end;
}

/* n items in blocks, which the threads take in turns: each its own part from the front, in smaller and
 * smaller pieces of `least` blocks or more, then what the others have not begun, from the back; in a brief
 * run its own part at once. So none waits long for another that is slow or away. For loops whose pieces
 * need little of each other; all threads take the same ranges in the same order. */
typedef struct {
    const team *team;
    int64_t n, block, least, blocks;
    int64_t number;    /* of the range in this run, from 1 */
    int64_t own;       /* items taken */
    int64_t next, end; /* of the piece that team_each goes through */
} team_turns;

team_turns team_take(const team *t, int64_t n, int64_t block, int64_t least);

/* The next piece; an empty one if all is begun. */
team_span team_piece(team_turns *turns);

/* The same; returns whether there is one. */
static inline int team_next(team_turns *turns, int64_t *begin, int64_t *end) {
    const team_span piece = team_piece(turns);
    *begin = piece.begin;
    *end = piece.end;
    return piece.begin < piece.end;
}

/* The next item, or -1. */
static inline int64_t team_each(team_turns *turns) {
    if (turns->next == turns->end && !team_next(turns, &turns->next, &turns->end)) return -1;
    return turns->next++;
}

/* The product of n sizes: one copy for all kernels, each of which asks for it. */
int64_t pyad_product(const int64_t *sizes, int64_t n);

static inline int64_t pyad_numel(const pyad_array *a) { return pyad_product(a->shape, a->ndim); }

static inline int64_t pyad_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t pyad_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t pyad_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

typedef int (*pyad_kernel_fn)(const void *args, const team *t);
typedef int64_t (*pyad_size_fn)(const void *args, int64_t nth);

/* One kernel of one ISA and dtype. */
typedef struct {
    pyad_kernel_fn run;
    pyad_size_fn work;    /* about how many element operations: decides how many threads */
    pyad_size_fn scratch; /* bytes for each thread; NULL: none */
    pyad_size_fn shared;  /* bytes for the team; NULL: none */
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

/* From so much work for each thread on, a run is measured, and threads take from each other. */
#define PYAD_WORK_LONG (4 * PYAD_WORK_GRAIN)

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
 *
 * What kernels.def calls MOVED is made where DTYPE_MOVES holds, what it calls ALL or WHOLE not for bool.
 */
#define DTYPE_MOVES                                                                              \
    (DTYPE == PYAD_INT64 || DTYPE == PYAD_INT32 || DTYPE == PYAD_INT16 || DTYPE == PYAD_UINT8)
#define PYAD_JOIN_(a, b) a##_##b
#define PYAD_JOIN(a, b) PYAD_JOIN_(a, b)
#define K(name) PYAD_JOIN(name, SUFFIX)

/* Registers kernel `name`, whose args struct is `args_type`; `work_` is an expression over `a` (the
 * args) and `nth`. Stands after the kernel in its template. */
#define PYAD_RECORD(name, args_type, work_)                                                      \
    PYAD_SIZE(name##_work, args_type, work_)                                                     \
    const pyad_kernel PYAD_JOIN(PYAD_JOIN(name##_record, SUFFIX), ISA) = {                       \
        K(name), PYAD_JOIN(name##_work, SUFFIX), NULL, NULL};

/* The same for a kernel that needs memory; its two sizes are expressions, too. */
#define PYAD_RECORD_MEMORY(name, args_type, work_, scratch_, shared_)                            \
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

#define PYAD_SIZE(name, args_type, size)                                                         \
    static int64_t PYAD_JOIN(name, SUFFIX)(const void *p, int64_t nth) {                         \
        const args_type *a = p;                                                                  \
        (void)a, (void)nth;                                                                      \
        return (int64_t)(size);                                                                  \
    }

#define PYAD_RECORD_RUN(name, run_, args_type, work_, scratch_, shared_)                         \
    PYAD_SIZE(name##_work, args_type, work_)                                                     \
    PYAD_SIZE(name##_scratch, args_type, scratch_)                                               \
    PYAD_SIZE(name##_shared, args_type, shared_)                                                 \
    const pyad_kernel PYAD_JOIN(PYAD_JOIN(name##_record, SUFFIX), ISA) = {                       \
        run_, PYAD_JOIN(name##_work, SUFFIX), PYAD_JOIN(name##_scratch, SUFFIX),                 \
        PYAD_JOIN(name##_shared, SUFFIX)};

#endif
