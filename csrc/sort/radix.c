/* From the lowest byte to the highest: what is counted first says where each pair goes. Keys are taken
 * as what they exceed the least by, so that bytes above the largest difference, and others that all keys
 * share, cost nothing.
 */
#include "sort/radix.h"

#define VALUES 256

#define RADIX_SORT(name, pair, number)                                                            \
    pair *name(pair *p, pair *other, int64_t n, number least, number most) {                     \
        int64_t count[sizeof(number)][VALUES] = {{0}};                                           \
        unsigned digits = 0;                                                                     \
        for (number span = most - least; span != 0; span >>= 8) digits++;                        \
        for (int64_t i = 0; i < n; i++) {                                                        \
            number rest = p[i].key - least;                                                      \
            for (unsigned d = 0; d < digits; d++, rest >>= 8) count[d][rest % VALUES]++;         \
        }                                                                                        \
        for (unsigned d = 0; d < digits; d++) {                                                  \
            if (count[d][((p[0].key - least) >> 8 * d) % VALUES] == n) continue;                 \
            int64_t sum = 0;                                                                     \
            for (int v = 0; v < VALUES; v++) {                                                   \
                const int64_t here = count[d][v];                                                \
                count[d][v] = sum;                                                               \
                sum += here;                                                                     \
            }                                                                                    \
            for (int64_t i = 0; i < n; i++) {                                                    \
                other[count[d][((p[i].key - least) >> 8 * d) % VALUES]++] = p[i];                \
            }                                                                                    \
            pair *sorted = other;                                                                \
            other = p;                                                                           \
            p = sorted;                                                                          \
        }                                                                                        \
        return p;                                                                                \
    }

RADIX_SORT(pyad_radix_short, radix_short, uint32_t)
RADIX_SORT(pyad_radix_long, radix_long, uint64_t)
