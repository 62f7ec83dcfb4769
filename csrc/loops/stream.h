/* Asking ahead for what a long pass over memory will read and write.
 *
 * The processor's own prefetchers stop at the end of a page, and where much is computed between two
 * loads, too few lines are on their way. Beyond the caches a pass is 1.2 to 1.5 times as fast for it,
 * within them up to 1.3 times as slow: hence `streams`.
 */
#ifndef PYAD_STREAM_H
#define PYAD_STREAM_H

#include "core.h"

/* bytes; a pass of a thread over so many of each array leaves the caches */
#define STREAM_AHEAD 2048
#define STREAM_FROM ((int64_t)1 << 22)

static inline int streams(int64_t bytes) { return bytes >= STREAM_FROM; }

/* Elements of the blocks between which a pass asks, so that its inner loop stays as it is: more lines
 * at once would have to wait for each other. */
#define STREAM_BLOCK 32

/* Where the block ends that begins at `from`, of a pass over n elements that asks, or does not. */
static inline int64_t stream_end(int64_t from, int64_t n, int asks) {
    return asks ? pyad_min(n, from + STREAM_BLOCK) : n;
}

static inline void ask_to_read(const void *p) { __builtin_prefetch(p, 0, 2); }
static inline void ask_to_write(const void *p) { __builtin_prefetch(p, 1, 2); }

/* all lines of so many bytes */
static inline void ask_to_read_all(const void *p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += PYAD_LINE_BYTES) ask_to_read((const char *)p + i);
}

static inline void ask_to_write_all(const void *p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += PYAD_LINE_BYTES) ask_to_write((const char *)p + i);
}

#endif
