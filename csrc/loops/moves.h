/* Moving elements between places of different strides: what copies and the buffers of maps are made of.
 *
 * A block has a size and two steps in bytes along each axis, the innermost axis last. Where both
 * sides lie densely along that one, its elements are one run. The loop inside goes along the longest
 * of the other axes, so that short axes (pairs, pixels of three channels) cost no loop of their own;
 * blocks are to be so small that all loops stay in L1 or L2.
 */
#ifndef PYAD_MOVES_H
#define PYAD_MOVES_H

#include <string.h>

#include "core.h"
#include "simd.h"
#include "loops/walk.h"

typedef struct {
    char bytes[16];
} moves_16;
typedef struct {
    char bytes[32];
} moves_32;

/* Runs of 1 to 2 times the size of a word, as two words that may overlap. */
#define MOVES_RUNS(word)                                                               \
    do {                                                                               \
        const int64_t more = run - (int64_t)sizeof(word);                              \
        word first, second;                                                            \
        if (more == 0) {                                                               \
            _Pragma("GCC unroll 4")                                                    \
            for (int64_t i = 0; i < count; i++, to += to_step, from += from_step) {    \
                memcpy(&first, from, sizeof first);                                    \
                memcpy(to, &first, sizeof first);                                      \
            }                                                                          \
            break;                                                                     \
        }                                                                              \
        for (int64_t i = 0; i < count; i++, to += to_step, from += from_step) {        \
            memcpy(&first, from, sizeof first);                                        \
            memcpy(&second, from + more, sizeof second);                               \
            memcpy(to, &first, sizeof first);                                          \
            memcpy(to + more, &second, sizeof second);                                 \
        }                                                                              \
    } while (0)

/* An element over and over: eight bytes of it. */
static inline uint64_t moves_word(const char *from, int64_t item) {
    uint64_t word;
    uint32_t half;
    uint16_t quarter;
    switch (item) {
    case 8: memcpy(&word, from, sizeof word); return word;
    case 4: memcpy(&half, from, sizeof half); return half * 0x0000000100000001u;
    case 2: memcpy(&quarter, from, sizeof quarter); return quarter * 0x0001000100010001u;
    default: return (uint8_t)*from * 0x0101010101010101u;
    }
}

/* A run over and over, one behind the other. */
static inline void moves_repeat(char *to, const char *from, int64_t count, int64_t run) {
    const int64_t total = count * run, most = 4096;
    memcpy(to, from, (size_t)run);
    for (int64_t known = run, done = run; done < total;) {
        const int64_t more = pyad_min(known, total - done);
        memcpy(to + done, to, (size_t)more);
        done += more;
        if (known < most) known = done;
    }
}

#define MOVES_SPREAD(word)                                                             \
    for (int64_t i = 0; i < count; i++, to += to_step, from += from_step) {            \
        const word first = moves_word(from, item) - (word){0};                         \
        for (int64_t at = 0; at < more; at += (int64_t)sizeof(word)) {                 \
            memcpy(to + at, &first, sizeof first);                                     \
        }                                                                              \
        memcpy(to + more, &first, sizeof first);                                       \
    }

/* Runs of 8 bytes and more that each repeat one element: words, the last of which may overlap. */
static inline void moves_spread(char *to, int64_t to_step, const char *from, int64_t from_step,
                                int64_t count, int64_t run, int64_t item) {
    typedef uint64_t two __attribute__((vector_size(16)));
    typedef uint64_t vector __attribute__((vector_size(VECTOR_BYTES)));
    const int64_t size = run >= VECTOR_BYTES ? VECTOR_BYTES : run >= 16 ? 16 : 8;
    const int64_t more = run - size;
    if (size == VECTOR_BYTES) {
        MOVES_SPREAD(vector)
    } else if (size == 16) {
        MOVES_SPREAD(two)
    } else {
        MOVES_SPREAD(uint64_t)
    }
}
#undef MOVES_SPREAD

static PYAD_SHARED void moves_runs(char *to, int64_t to_step, const char *from, int64_t from_step,
                                    int64_t count, int64_t run) {
    if (from_step == 0 && to_step == run) {
        moves_repeat(to, from, count, run);
    } else if (run > 64) {
        for (int64_t i = 0; i < count; i++) {
            memcpy(to + i * to_step, from + i * from_step, (size_t)run);
        }
    } else if (run >= 32) {
        MOVES_RUNS(moves_32);
    } else if (run >= 16) {
        MOVES_RUNS(moves_16);
    } else if (run >= 8) {
        MOVES_RUNS(uint64_t);
    } else if (run >= 4) {
        MOVES_RUNS(uint32_t);
    } else if (run >= 2) {
        MOVES_RUNS(uint16_t);
    } else {
        MOVES_RUNS(uint8_t);
    }
}
#undef MOVES_RUNS

/* A block of elements of `item` bytes. */
static PYAD_SHARED void moves_block(char *to, const int64_t *to_step, const char *from,
                                     const int64_t *from_step, const int64_t *size, int64_t ndim,
                                     int64_t item) {
    const int64_t last = ndim - 1, whole = item * size[last];
    const int dense = to_step[last] == item && from_step[last] == item;
    const int spread = to_step[last] == item && from_step[last] == 0 && whole >= 8;
    const int64_t run = dense || spread ? whole : item, axes = dense || spread ? last : ndim;
    int64_t along = axes - 1, index[PYAD_MAX_DIMS] = {0};
    for (int64_t d = along - 1; d >= 0; d--) {
        if (size[d] > size[along]) along = d;
    }
    for (int64_t d = 0; d >= 0;) {
        const int64_t count = axes ? size[along] : 1;
        const int64_t to_next = axes ? to_step[along] : 0, from_next = axes ? from_step[along] : 0;
        if (spread) {
            moves_spread(to, to_next, from, from_next, count, run, item);
        } else {
            moves_runs(to, to_next, from, from_next, count, run);
        }
        for (d = axes - 1; d >= 0; d--) {
            if (d == along) continue;
            to += to_step[d];
            from += from_step[d];
            if (++index[d] < size[d]) break;
            to -= size[d] * to_step[d];
            from -= size[d] * from_step[d];
            index[d] = 0;
        }
    }
}

/* Elements of a block of a copy, which is passed once for each element of its short axes, and of a
 * run. */
#define MOVES_BLOCK 4096
#define MOVES_RUN 16384

/* All of a walk (array 0 written, 1 read), this thread's share of its blocks. */
static inline void moves_walk(const walk *w, char *to, const char *from, int64_t item,
                              const team *t) {
    const int64_t last = w->ndim - 1;
    const int dense = w->stride[0][last] == 1 && w->stride[1][last] == 1;
    int64_t at = last, unit = 1, begin, end;
    while (at > 0 && unit * w->shape[at] < MOVES_BLOCK) unit *= w->shape[at--];
    const int64_t most = pyad_max(1, (dense && at == last ? MOVES_RUN : MOVES_BLOCK) / unit);
    const int64_t blocks = pyad_ceil_div(w->shape[at], most), ndim = w->ndim - at;
    int64_t size[PYAD_MAX_DIMS], to_step[PYAD_MAX_DIMS], from_step[PYAD_MAX_DIMS];
    for (int64_t i = 0; i < ndim; i++) {
        size[i] = w->shape[at + i];
        to_step[i] = w->stride[0][at + i] * item;
        from_step[i] = w->stride[1][at + i] * item;
    }
    team_range(t, walk_outer(w, at) * blocks, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const int64_t plane = i / blocks, row = i % blocks * most;
        size[0] = pyad_min(most, w->shape[at] - row);
        moves_block(to + walk_offset(w, 0, at, plane) * item + row * to_step[0], to_step,
                    from + walk_offset(w, 1, at, plane) * item + row * from_step[0], from_step, size,
                    ndim, item);
    }
}
#undef MOVES_BLOCK
#undef MOVES_RUN

#endif
