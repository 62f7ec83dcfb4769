/* Normal numbers from the words of Philox, a group of blocks at a time. Brings math_tpl.h and
 * philox.h; a template that includes it ends with #undef GROUP.
 */
#include "math/math_tpl.h"
#include "random/philox.h"

#ifdef REAL

/* elements that one group of blocks gives: a word for a float, two for a double */
#define GROUP ((int64_t)(PHILOX_WORDS * sizeof(uint32_t) / sizeof(REAL)))

#if DTYPE == PYAD_FLOAT32
#define UNSIGNED uint32_t
#define BITS 32
#else
#define UNSIGNED uint64_t
#define BITS 64
#endif
/* sine and cosine of 2 pi x / 2^BITS: the quarter of the turn from x's upper bits, exactly, and
 * polynomials on the rest, which is within an eighth of a turn. */
static inline void K(sin_cos)(bits_vec x, vec *sine, vec *cosine) {
    mask rest = (mask)(x << 2) >> 2;
    mask quarter = (mask)((x - (bits_vec)rest) >> (BITS - 2));
#if DTYPE == PYAD_FLOAT32
    vec y = __builtin_convertvector(rest, vec) * (REAL)(1.57079632679489662 * 0x1p-30);
    vec z = y * y;
    vec s = v_fma(v_set1(-1.9515295891e-4f), z, v_set1(8.3321608736e-3f));
    s = v_fma(s, z, v_set1(-1.6666654611e-1f));
    vec c = v_fma(v_set1(2.443315711809948e-5f), z, v_set1(-1.388731625493765e-3f));
    c = v_fma(c, z, v_set1(4.166664568298827e-2f));
#else
    vec y = __builtin_convertvector(rest, vec) * (REAL)(1.57079632679489662 * 0x1p-62);
    vec z = y * y;
    vec s = v_fma(v_set1(1.58969099521155010221e-10), z, v_set1(-2.50507602534068634195e-8));
    s = v_fma(s, z, v_set1(2.75573137070700676789e-6));
    s = v_fma(s, z, v_set1(-1.98412698298579493134e-4));
    s = v_fma(s, z, v_set1(8.33333333332248946124e-3));
    s = v_fma(s, z, v_set1(-1.66666666666666324348e-1));
    vec c = v_fma(v_set1(-1.13596475577881948265e-11), z, v_set1(2.08757232129817482790e-9));
    c = v_fma(c, z, v_set1(-2.75573143513906633035e-7));
    c = v_fma(c, z, v_set1(2.48015872894767294178e-5));
    c = v_fma(c, z, v_set1(-1.38888888888741095749e-3));
    c = v_fma(c, z, v_set1(4.16666666666666019037e-2));
#endif
    s = v_fma(s * z, y, y);
    c = v_fma(c * z, z, v_fma(v_set1((REAL)-0.5), z, v_set1(1)));
    mask swap = (quarter & 1) != 0;
    mask sine_sign = (quarter & 2) << (BITS - 2);
    mask cosine_sign = ((quarter + 1) & 2) << (BITS - 2);
    *sine = (vec)((mask)v_select(swap, c, s) ^ sine_sign);
    *cosine = (vec)((mask)v_select(swap, s, c) ^ cosine_sign);
}

/* Box and Muller: two independent normals from a length in (0, 1] and an angle. */
static inline void K(box_muller)(bits_vec length, bits_vec angle, REAL mean, REAL std, REAL *first,
                                 REAL *second) {
    const REAL ulp = (REAL)(BITS == 32 ? 0x1p-32 : 0x1p-64);
    vec u = __builtin_convertvector(length | 1, vec) * ulp, sine, cosine;
    vec r = v_sqrt(v_log(u) * (REAL)-2) * std;
    K(sin_cos)(angle, &sine, &cosine);
    v_store(first, r * cosine + mean);
    v_store(second, r * sine + mean);
}

/* how: mean and standard deviation */
static inline __attribute__((unused)) void K(normal_group)(const philox *p, uint64_t first,
                                                           const double *how, REAL *out) {
    UNSIGNED words[GROUP];
#if DTYPE == PYAD_FLOAT32
    philox_group(p, first, words);
#else
    philox_group_wide(p, first, words);
#endif
    REAL mean = (REAL)how[0], std = (REAL)how[1];
    for (int64_t i = 0; i < GROUP; i += 2 * PHILOX_LANES) {
        for (int64_t l = i; l < i + PHILOX_LANES; l += VL) {
            bits_vec length, angle;
            memcpy(&length, words + l, sizeof length);
            memcpy(&angle, words + l + PHILOX_LANES, sizeof angle);
            K(box_muller)(length, angle, mean, std, out + l, out + l + PHILOX_LANES);
        }
    }
}

#undef UNSIGNED
#undef BITS
#endif
