/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
 *
 * A block of four words is a pure function of the key (the seed) and the counter (offset, stream),
 * so the split over threads can't change a number. Sixteen blocks make a group: word w of block l
 * stands at words[16 w + l], which is the order in which a vector of counters gives them and the order
 * in which elements take them, whatever the vector width.
 */
#ifndef PYAD_PHILOX_H
#define PYAD_PHILOX_H

#include "core.h"
#include "simd.h"

#define PHILOX_LANES 16
#define PHILOX_WORDS (4 * PHILOX_LANES)
#define PHILOX_ROUNDS 10
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

/* where a kernel's numbers begin; the state array holds the same three */
typedef struct {
    uint64_t seed;
    uint64_t stream;
    uint64_t offset;
} philox;

typedef uint64_t philox_vec __attribute__((vector_size(VECTOR_BYTES)));
#define PHILOX_VL ((int64_t)(VECTOR_BYTES / sizeof(uint64_t)))

/* The products of the low halves of the elements. */
static inline philox_vec philox_mul(philox_vec a, philox_vec b) {
#if VECTOR_BYTES == 64
    return (philox_vec)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif VECTOR_BYTES == 32
    return (philox_vec)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (philox_vec)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/* Take `blocks` blocks: advance the state by them and return where they begin. A kernel calls it
 * once in every thread; `shared` of its record is PHILOX_SHARED. */
#define PHILOX_SHARED (nth > 1 ? 64 : 0)
static inline philox philox_take(const team *t, const pyad_array *state, int64_t blocks) {
    int64_t *s = state->data;
    int64_t offset;
    if (t->nth == 1) {
        offset = __atomic_fetch_add(&s[2], blocks, __ATOMIC_RELAXED);
    } else {
        int64_t *told = t->shared;
        if (t->ith == 0) *told = __atomic_fetch_add(&s[2], blocks, __ATOMIC_RELAXED);
        team_barrier(t);
        offset = *told;
    }
    return (philox){(uint64_t)s[0], (uint64_t)s[1], (uint64_t)offset};
}

/* Vectors of blocks that go through the rounds together: each waits for its own products. */
#define PHILOX_CHAINS 2

/* The words of the blocks offset + first ... + 15. The upper halves of the vectors hold rubbish
 * on the way, which the multiplication ignores. */
static inline void philox_group(const philox *p, uint64_t first, uint32_t words[PHILOX_WORDS]) {
    typedef uint32_t half __attribute__((vector_size(VECTOR_BYTES / 2)));
    const philox_vec m0 = PHILOX_M0 - (philox_vec){0}, m1 = PHILOX_M1 - (philox_vec){0};
    philox_vec step = {0};
    for (int64_t i = 0; i < PHILOX_VL; i++) step[i] = (uint64_t)i;
    for (int64_t lane = 0; lane < PHILOX_LANES; lane += PHILOX_CHAINS * PHILOX_VL) {
        philox_vec c[PHILOX_CHAINS][4];
        for (int i = 0; i < PHILOX_CHAINS; i++) {
            c[i][0] = step + (p->offset + first + (uint64_t)(lane + i * PHILOX_VL));
            c[i][1] = c[i][0] >> 32;
            c[i][2] = p->stream - (philox_vec){0};
            c[i][3] = c[i][2] >> 32;
        }
        uint32_t k0 = (uint32_t)p->seed, k1 = (uint32_t)(p->seed >> 32);
        for (int round = 0; round < PHILOX_ROUNDS; round++, k0 += PHILOX_W0, k1 += PHILOX_W1) {
            for (int i = 0; i < PHILOX_CHAINS; i++) {
                philox_vec p0 = philox_mul(c[i][0], m0), p1 = philox_mul(c[i][2], m1);
                c[i][0] = (p1 >> 32) ^ c[i][1] ^ k0;
                c[i][1] = p1;
                c[i][2] = (p0 >> 32) ^ c[i][3] ^ k1;
                c[i][3] = p0;
            }
        }
        for (int i = 0; i < PHILOX_CHAINS; i++) {
            for (int w = 0; w < 4; w++) {
                half word = __builtin_convertvector(c[i][w], half);
                memcpy(words + w * PHILOX_LANES + lane + i * PHILOX_VL, &word, sizeof word);
            }
        }
    }
}

/* Each word as two numbers, its lower half first, as it lies. */
static inline void philox_halves(const uint32_t words[PHILOX_WORDS],
                                 uint16_t halves[2 * PHILOX_WORDS]) {
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half lies first");
    memcpy(halves, words, PHILOX_WORDS * sizeof *words);
}

/* Where as many numbers for the same places are, if those of p do not decide: stream `again` beside it. */
static inline philox philox_more(philox p, uint64_t again) {
    p.stream += again << 56;
    return p;
}

/* Two words as one number: pair h (0 or 1) of the blocks stands at wide[16 h + lane]. */
#define PHILOX_WIDE (PHILOX_WORDS / 2)
static inline void philox_group_wide(const philox *p, uint64_t first, uint64_t wide[PHILOX_WIDE]) {
    uint32_t words[PHILOX_WORDS];
    philox_group(p, first, words);
    for (int h = 0; h < 2; h++) {
        for (int l = 0; l < PHILOX_LANES; l++) {
            wide[h * PHILOX_LANES + l] = words[2 * h * PHILOX_LANES + l] |
                (uint64_t)words[(2 * h + 1) * PHILOX_LANES + l] << 32;
        }
    }
}

/* Number `index` of the sequence that philox_group_wide gives, from try `again` of its own stream. */
static inline uint64_t philox_again(const philox *p, int64_t index, uint64_t again) {
    uint64_t wide[PHILOX_WIDE];
    const philox more = philox_more(*p, again);
    philox_group_wide(&more, (uint64_t)(index / PHILOX_WIDE * PHILOX_LANES), wide);
    return wide[index % PHILOX_WIDE];
}

/* A number below `range` (0: 2^64), each equally likely: the upper half of a product, drawn again
 * where the lower half falls into the incomplete part (Lemire, "Fast random integer generation in
 * an interval", 2019). x is number `index` of p. */
static inline uint64_t philox_below(const philox *p, uint64_t x, int64_t index, uint64_t range) {
    if (range == 0) return x;
    for (uint64_t again = 1;; again++) {
        unsigned __int128 product = (unsigned __int128)x * range;
        uint64_t low = (uint64_t)product;
        if (low >= range || low >= (0 - range) % range) return (uint64_t)(product >> 64);
        x = philox_again(p, index, again);
    }
}

#endif
