/* Vectors of one ISA, written once for both float types.
 *
 * In a template `vec` is VL elements of REAL and `mask` as many integers of its width, all ones or
 * zeros, as comparisons give them. + - * / and < <= == | & ~ work on them as they stand (vector
 * extensions of GCC and Clang); what the language lacks is v_...: see simd_tpl.h. A name like
 * v_load stands for v_load_f32 or v_load_f64, by the dtype for which the template is included.
 */
#ifndef PYAD_SIMD_H
#define PYAD_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include ISA_FILE

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define VL ((int64_t)(VECTOR_BYTES / sizeof(REAL)))
#define LINE ((int64_t)(PYAD_LINE_BYTES / sizeof(REAL))) /* elements of a line of the caches */
#define vec K(vec_t)
#define mask K(mask_t)
#define mask_item K(mask_item)
#define v_set1 K(v_set1)
#define v_load K(v_load)
#define v_store K(v_store)
#define v_load_n K(v_load_n)
#define v_load_live K(v_load_live)
#define v_store_live K(v_store_live)
#define v_store_n K(v_store_n)
#define v_gather_n K(v_gather_n)
#define v_fma K(v_fma)
#define v_select K(v_select)
#define v_times_power K(v_times_power)
#define v_max K(v_max)
#define v_min K(v_min)
#define v_abs K(v_abs)
#define v_sqrt K(v_sqrt)
#define v_isnan K(v_isnan)
#define v_any K(v_any)
#define v_any_less K(v_any_less)
#define v_sum K(v_sum)
#define v_hmax K(v_hmax)
#define v_widen K(v_widen)
#define v_from_bytes K(v_from_bytes)

/* Element number order[i] of a, or of a and then b, as element i. Clang has no name for a shuffle
 * whose order is a vector, and makes one of the loop. */
#if defined(__clang__)
#define V_SHUFFLE(a, order) V_SHUFFLE_TWO(a, a, order)
#define V_SHUFFLE_TWO(a, b, order)                                                               \
    ({                                                                                           \
        __typeof__((a) + (b)) first_ = (a), second_ = (b), shuffled_ = first_;                   \
        __typeof__(+(order)) order_ = (order);                                                   \
        enum { lanes_ = sizeof first_ / sizeof first_[0] };                                      \
        for (int lane_ = 0; lane_ < lanes_; lane_++) {                                           \
            shuffled_[lane_] = order_[lane_] & lanes_ ? second_[order_[lane_] % lanes_]          \
                                                      : first_[order_[lane_] % lanes_];          \
        }                                                                                        \
        shuffled_;                                                                               \
    })
#else
#define V_SHUFFLE(a, order) __builtin_shuffle(a, order)
#define V_SHUFFLE_TWO(a, b, order) __builtin_shuffle(a, b, order)
#endif

/* one element of a mask */
typedef int32_t mask_item_f32;
typedef int64_t mask_item_f64;

typedef float vec_t_f32 __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t mask_t_f32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vec_t_f64 __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t mask_t_f64 __attribute__((vector_size(VECTOR_BYTES)));

/* Without FMA hardware the product is rounded before the sum. */
static inline vec_t_f32 v_fma_f32(vec_t_f32 a, vec_t_f32 b, vec_t_f32 c) {
#if VECTOR_BYTES == 64
    return (vec_t_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VECTOR_BYTES == 32
    return (vec_t_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vec_t_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

static inline vec_t_f64 v_fma_f64(vec_t_f64 a, vec_t_f64 b, vec_t_f64 c) {
#if VECTOR_BYTES == 64
    return (vec_t_f64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif VECTOR_BYTES == 32
    return (vec_t_f64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    return (vec_t_f64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

static inline vec_t_f32 v_sqrt_f32(vec_t_f32 a) {
#if VECTOR_BYTES == 64
    return (vec_t_f32)_mm512_sqrt_ps((__m512)a);
#elif VECTOR_BYTES == 32
    return (vec_t_f32)_mm256_sqrt_ps((__m256)a);
#else
    for (int i = 0; i < 4; i++) a[i] = sqrtf(a[i]);
    return a;
#endif
}

static inline vec_t_f64 v_sqrt_f64(vec_t_f64 a) {
#if VECTOR_BYTES == 64
    return (vec_t_f64)_mm512_sqrt_pd((__m512d)a);
#elif VECTOR_BYTES == 32
    return (vec_t_f64)_mm256_sqrt_pd((__m256d)a);
#else
    for (int i = 0; i < 2; i++) a[i] = sqrt(a[i]);
    return a;
#endif
}

#if VECTOR_BYTES == 64
/* a * 2^floor(n), rounded once where the result is subnormal */
static inline vec_t_f32 v_times_power_f32(vec_t_f32 a, vec_t_f32 n) {
    return (vec_t_f32)_mm512_scalef_ps((__m512)a, (__m512)n);
}

static inline vec_t_f64 v_times_power_f64(vec_t_f64 a, vec_t_f64 n) {
    return (vec_t_f64)_mm512_scalef_pd((__m512d)a, (__m512d)n);
}
#endif

/* As many elements at p as a vector has doubles. */
static inline vec_t_f64 v_widen_f32(const float *p) {
#if VECTOR_BYTES == 64
    return (vec_t_f64)_mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif VECTOR_BYTES == 32
    return (vec_t_f64)_mm256_cvtps_pd(_mm_loadu_ps(p));
#else
    vec_t_f64 a = {(double)p[0], (double)p[1]};
    return a;
#endif
}

static inline vec_t_f64 v_widen_f64(const double *p) {
    vec_t_f64 a;
    memcpy(&a, p, sizeof a);
    return a;
}

/* Both halves of a vector as doubles. */
static inline void v_widen_both(vec_t_f32 a, vec_t_f64 *halves) {
#if VECTOR_BYTES == 64
    halves[0] = (vec_t_f64)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)a));
    halves[1] = (vec_t_f64)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)a, 1));
#elif VECTOR_BYTES == 32
    halves[0] = (vec_t_f64)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)a));
    halves[1] = (vec_t_f64)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)a, 1));
#else
    halves[0] = (vec_t_f64){a[0], a[1]};
    halves[1] = (vec_t_f64){a[2], a[3]};
#endif
}

static inline vec_t_f32 v_narrow_both(const vec_t_f64 *halves) {
#if VECTOR_BYTES == 64
    __m256 low = _mm512_cvtpd_ps((__m512d)halves[0]), high = _mm512_cvtpd_ps((__m512d)halves[1]);
    return (vec_t_f32)_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
#elif VECTOR_BYTES == 32
    __m128 low = _mm256_cvtpd_ps((__m256d)halves[0]), high = _mm256_cvtpd_ps((__m256d)halves[1]);
    return (vec_t_f32)_mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
#else
    return (vec_t_f32){(float)halves[0][0], (float)halves[0][1], (float)halves[1][0],
                       (float)halves[1][1]};
#endif
}

/* As many bytes at p as a vector has elements, as whole numbers; compilers make a conversion that
 * widens so far of single elements. */
static inline mask_t_f32 v_from_bytes_f32(const void *p) {
#if VECTOR_BYTES == 64
    return (mask_t_f32)_mm512_cvtepu8_epi32(_mm_loadu_si128(p));
#elif VECTOR_BYTES == 32
    return (mask_t_f32)_mm256_cvtepu8_epi32(_mm_loadu_si64(p));
#else
    const uint8_t *b = p;
    return (mask_t_f32){b[0], b[1], b[2], b[3]};
#endif
}

static inline mask_t_f64 v_from_bytes_f64(const void *p) {
#if VECTOR_BYTES == 64
    return (mask_t_f64)_mm512_cvtepu8_epi64(_mm_loadu_si64(p));
#elif VECTOR_BYTES == 32
    return (mask_t_f64)_mm256_cvtepu8_epi64(_mm_loadu_si32(p));
#else
    const uint8_t *b = p;
    return (mask_t_f64){b[0], b[1]};
#endif
}

/* a > b ? a : b and a < b ? a : b: NaN of `a` is dropped, of `b` kept. */
static inline vec_t_f32 v_max_f32(vec_t_f32 a, vec_t_f32 b) {
#if VECTOR_BYTES == 64
    return (vec_t_f32)_mm512_max_ps((__m512)a, (__m512)b);
#elif VECTOR_BYTES == 32
    return (vec_t_f32)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec_t_f32)_mm_max_ps((__m128)a, (__m128)b);
#else
    mask_t_f32 m = a > b;
    return (vec_t_f32)((m & (mask_t_f32)a) | (~m & (mask_t_f32)b));
#endif
}

static inline vec_t_f64 v_max_f64(vec_t_f64 a, vec_t_f64 b) {
#if VECTOR_BYTES == 64
    return (vec_t_f64)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif VECTOR_BYTES == 32
    return (vec_t_f64)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    return (vec_t_f64)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    mask_t_f64 m = a > b;
    return (vec_t_f64)((m & (mask_t_f64)a) | (~m & (mask_t_f64)b));
#endif
}

static inline vec_t_f32 v_min_f32(vec_t_f32 a, vec_t_f32 b) {
#if VECTOR_BYTES == 64
    return (vec_t_f32)_mm512_min_ps((__m512)a, (__m512)b);
#elif VECTOR_BYTES == 32
    return (vec_t_f32)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec_t_f32)_mm_min_ps((__m128)a, (__m128)b);
#else
    mask_t_f32 m = a < b;
    return (vec_t_f32)((m & (mask_t_f32)a) | (~m & (mask_t_f32)b));
#endif
}

static inline vec_t_f64 v_min_f64(vec_t_f64 a, vec_t_f64 b) {
#if VECTOR_BYTES == 64
    return (vec_t_f64)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif VECTOR_BYTES == 32
    return (vec_t_f64)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    return (vec_t_f64)_mm_min_pd((__m128d)a, (__m128d)b);
#else
    mask_t_f64 m = a < b;
    return (vec_t_f64)((m & (mask_t_f64)a) | (~m & (mask_t_f64)b));
#endif
}

/* Whether any element of a mask is set. */
static inline int v_any_f32(mask_t_f32 m) {
#if VECTOR_BYTES == 64
    return _mm512_movepi32_mask((__m512i)m) != 0;
#elif VECTOR_BYTES == 32
    return _mm256_movemask_ps((__m256)m) != 0;
#else
    return (m[0] | m[1] | m[2] | m[3]) != 0;
#endif
}

static inline int v_any_f64(mask_t_f64 m) { return v_any_f32((mask_t_f32)m); }

/* Whether any element of a is less than that of b. */
static inline int v_any_less_f32(vec_t_f32 a, vec_t_f32 b) {
#if VECTOR_BYTES == 64
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ) != 0;
#else
    return v_any_f32(a < b);
#endif
}

static inline int v_any_less_f64(vec_t_f64 a, vec_t_f64 b) {
#if VECTOR_BYTES == 64
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ) != 0;
#else
    return v_any_f64(a < b);
#endif
}

/* The first n of a vector's elements at p, 0 <= n <= VL; the others are 0 and not touched. */
#if VECTOR_BYTES == 64
static inline vec_t_f32 v_load_n_f32(const float *p, int64_t n) {
    return (vec_t_f32)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

static inline vec_t_f64 v_load_n_f64(const double *p, int64_t n) {
    return (vec_t_f64)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}

/* the elements at p[at[0]], p[at[1]], ..., n of them */
static inline vec_t_f32 v_gather_n_f32(const float *p, mask_t_f32 at, int64_t n) {
    const __mmask16 live = (__mmask16)((1u << n) - 1);
    return (vec_t_f32)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), live, (__m512i)at, p, 4);
}

static inline void v_store_n_f32(float *p, vec_t_f32 a, int64_t n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)a);
}

static inline void v_store_n_f64(double *p, vec_t_f64 a, int64_t n) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)a);
}
#elif VECTOR_BYTES == 32
static inline __m256i v_first_32(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline __m256i v_first_64(int64_t n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}

static inline vec_t_f32 v_load_n_f32(const float *p, int64_t n) {
    return (vec_t_f32)_mm256_maskload_ps(p, v_first_32(n));
}

static inline vec_t_f64 v_load_n_f64(const double *p, int64_t n) {
    return (vec_t_f64)_mm256_maskload_pd(p, v_first_64(n));
}

static inline void v_store_n_f32(float *p, vec_t_f32 a, int64_t n) {
    _mm256_maskstore_ps(p, v_first_32(n), (__m256)a);
}

static inline void v_store_n_f64(double *p, vec_t_f64 a, int64_t n) {
    _mm256_maskstore_pd(p, v_first_64(n), (__m256d)a);
}
#else
/* a copy whose length is not a constant would be a call */
static inline vec_t_f32 v_load_n_f32(const float *p, int64_t n) {
    vec_t_f32 a = {n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0};
    return a;
}

static inline vec_t_f64 v_load_n_f64(const double *p, int64_t n) {
    vec_t_f64 a = {n > 0 ? p[0] : 0, n > 1 ? p[1] : 0};
    return a;
}

static inline void v_store_n_f32(float *p, vec_t_f32 a, int64_t n) {
    if (n > 0) p[0] = a[0];
    if (n > 1) p[1] = a[1];
    if (n > 2) p[2] = a[2];
    if (n > 3) p[3] = a[3];
}

static inline void v_store_n_f64(double *p, vec_t_f64 a, int64_t n) {
    if (n > 0) p[0] = a[0];
    if (n > 1) p[1] = a[1];
}
#endif

#endif
