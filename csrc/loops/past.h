/* Writing past the caches.
 *
 * A store to a line that no cache holds fetches it first, which for a result that leaves the caches is
 * a third of a pass; a store past them does not. The next pass then finds nothing of it in the last
 * cache: with one of 300 MB, shared with strangers, that makes no difference to a chain of passes of two
 * threads over arrays of 4 to 16 MB, which of 32 MB are 1.2, of 64 MB 1.4 times as fast.
 *
 * On x86-64; elsewhere nothing is written so.
 */
#ifndef PYAD_PAST_H
#define PYAD_PAST_H

#include <string.h>

#include "core.h"
#include "simd.h"

/* bytes of a thread's part from which on it is done */
#define PAST_FROM ((int64_t)1 << 24)

#if defined(__SSE2__)
static inline int writes_past(const void *to, int64_t bytes) {
    return bytes >= PAST_FROM && (uintptr_t)to % PYAD_LINE_BYTES == 0;
}

/* before another thread may read what was written so */
static inline void end_writes_past(void) { _mm_sfence(); }
#else
static inline int writes_past(const void *to, int64_t bytes) {
    (void)to, (void)bytes;
    return 0;
}

static inline void end_writes_past(void) {}
#endif

/* The vector at `from` to where one begins. */
static inline void store_past(void *to, const void *from) {
#if VECTOR_BYTES == 64
    _mm512_stream_si512(to, _mm512_loadu_si512(from));
#elif VECTOR_BYTES == 32
    _mm256_stream_si256(to, _mm256_loadu_si256(from));
#elif defined(__SSE2__)
    _mm_stream_si128(to, _mm_loadu_si128(from));
#else
    memcpy(to, from, VECTOR_BYTES);
#endif
}

#endif
