/* Elementary functions on vectors, once for each float type.
 *
 * Include it at the top of a kernel template (it is empty for the integer types); v_exp(x) and its
 * kin then work on `vec`. Errors are about 2 ulp at most over the whole range, but for what is made of
 * several of them: sigmoid 2.5, tanh 2.7, erfc 4, gelu where it is nearly zero some 20. Infinities, NaN,
 * -0 and subnormal numbers come out as IEEE 754 and C99 say. Each lane is computed for itself, so the
 * element of a tail equals that of a full vector. Tables are looked up in registers alone, where the
 * instruction set can (V_TABLES). Code branches on data only for rare
 * cases: huge arguments of sin, cos and tan, edges of pow, subnormal results of exp and its kin.
 *
 * Polynomials were interpolated at Chebyshev nodes in 60 digits; the comment beside each says of
 * what, on which range.
 */
#ifdef REAL

#if DTYPE == PYAD_FLOAT32
#define PICK(single, twice) single##f
#define BITS uint32_t
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#else
#define PICK(single, twice) twice
#define BITS uint64_t
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#endif

#define bits_vec K(bits_vec_t)
typedef BITS bits_vec __attribute__((vector_size(VECTOR_BYTES)));

#define V_INLINE static inline __attribute__((always_inline))
/* what is seldom called: out of the way of the rest, whose registers it would take */
#define V_SELDOM static PYAD_ONCE __attribute__((cold))

#define v_copysign K(v_copysign)
#define v_round K(v_round)
#define v_trunc K(v_trunc)
#define v_floor K(v_floor)
#define v_ceil K(v_ceil)
#define v_exp K(v_exp)
#define v_exp2 K(v_exp2)
#define v_expm1 K(v_expm1)
#define v_log K(v_log)
#define v_log1p K(v_log1p)
#define v_log2 K(v_log2)
#define v_log10 K(v_log10)
#define v_pow K(v_pow)
#define v_tanh K(v_tanh)
#define v_sigmoid K(v_sigmoid)
#define v_sin K(v_sin)
#define v_cos K(v_cos)
#define v_tan K(v_tan)
#define v_asin K(v_asin)
#define v_acos K(v_acos)
#define v_atan K(v_atan)
#define v_atan2 K(v_atan2)
#define v_sinh K(v_sinh)
#define v_cosh K(v_cosh)
#define v_asinh K(v_asinh)
#define v_acosh K(v_acosh)
#define v_atanh K(v_atanh)
#define v_erf K(v_erf)
#define v_erfc K(v_erfc)

#define V_INF v_set1((REAL)INFINITY)
#define V_NAN v_set1((REAL)NAN)

/* in this order: each calls those before it */
#include "math/basics_tpl.h"
#include "math/exp_tpl.h"
#include "math/log_tpl.h"
#include "math/pow_tpl.h"
#include "math/trigonometric_tpl.h"
#include "math/inverse_trigonometric_tpl.h"
#include "math/hyperbolic_tpl.h"
#include "math/erf_tpl.h"

#undef ROUNDER
#undef LN2
#undef LOG2_E
#undef EXP_BEND
#undef EXP_ROUNDER
#undef LN2_HI
#undef LN2_LO
#undef PI_2
#undef PI_2_LO
#undef BITS
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef PICK
#endif
