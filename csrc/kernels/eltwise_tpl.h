/* Elementwise kernels: one function of an element or of as many from each operand.
 *
 * MAP(name, reads, params, cost, expression) makes a kernel of the floats: the expression gives
 * vector x (y, z) and parameters p0 (p1, p2) their result. INT_MAP is the same for integers, on
 * scalars that the compiler vectorises; BOOL_MAP has a bool result. Walking the operands,
 * broadcasting and splitting over threads is map.h's. `cost` counts additions.
 *
 * Gradients: g is 0 exactly where it is 0, whatever the derivative there (GRAD).
 */
#include "loops/indices.h"
#include "loops/map.h"
#include "loops/stream.h"
#include "math/gamma.h"
#include "math/math_tpl.h"
#include "math/quantile.h"
#include "math/special.h"
#include "math/special_tpl.h"

#define READ_PARAMS_0
#define READ_PARAMS_1 PARAM(0)
#define READ_PARAMS_2 READ_PARAMS_1 PARAM(1)
#define READ_PARAMS_3 READ_PARAMS_2 PARAM(2)

#define KERNEL_OF_ROW(name, reads, cost)                                      \
    static int K(name)(const void *args, const team *t) {                     \
        return map_run(args, reads, cost, K(name##_row), t);  \
    }                                                                         \
    PYAD_RECORD(name, pyad_array, (cost) * pyad_numel(a + (reads)))

/* A row of scalars: `from` elements x (y, z) to elements `to`. */
#define SCALAR_MAP(name, from, to, reads, params, cost, expression)                           \
    static void K(name##_row)(void *out, const void *const *in, int64_t n,    \
                                              const double *param, int way) {                 \
        to *o = out;                                                                          \
        const from *a = in[0], *b = in[(reads) > 1 ? 1 : 0];                                  \
        (void)param, (void)way;                                                               \
        READ_PARAMS_##params for (int64_t i = 0; i < n; i++) {                                \
            const from x = a[i], y = b[i];                                                    \
            (void)x, (void)y;                                                                 \
            o[i] = (to)(expression);                                                          \
        }                                                                                     \
    }                                                                                         \
    KERNEL_OF_ROW(name, reads, cost)

#ifdef REAL
#define PARAM(i) const vec p##i = v_set1((REAL)param[i]);

/* Where the block of a row ends that begins at `from`: a far row goes by blocks, to ask meanwhile for
 * what comes STREAM_AHEAD later (stream.h), others are one. */
V_INLINE int64_t K(block_end)(const REAL *out, const void *const *in, int64_t reads, int64_t n,
                              int64_t from, int asks) {
    if (asks) {
        const int64_t bytes = STREAM_BLOCK * (int64_t)sizeof(REAL);
        const int64_t later = from + STREAM_AHEAD / (int64_t)sizeof(REAL);
        for (int64_t k = 0; k < reads; k++) ask_to_read_all((const REAL *)in[k] + later, bytes);
        ask_to_write_all(out + later, bytes);
    }
    return stream_end(from, n, asks);
}

#define MAP(name, reads, params, cost, expression)                                            \
    static void K(name##_row)(void *out, const void *const *in, int64_t n,    \
                                              const double *param, int way) {                 \
        REAL *o = out;                                                                        \
        const REAL *a = in[0], *b = in[(reads) > 1 ? 1 : 0], *c = in[(reads) > 2 ? 2 : 0];    \
        (void)param;                                                                          \
        READ_PARAMS_##params for (int64_t i = 0, end; i < n;) {                               \
            for (end = K(block_end)(o, in, reads, n, i, way != ROW_NEAR); i < end; i += VL) { \
                vec x, y, z;                                                                  \
                if (n - i >= VL) {                                                            \
                    x = v_load(a + i), y = v_load(b + i), z = v_load(c + i);                  \
                    v_store(o + i, expression);                                               \
                } else {                                                                      \
                    x = v_load_n(a + i, n - i), y = v_load_n(b + i, n - i);                   \
                    z = v_load_n(c + i, n - i);                                               \
                    v_store_n(o + i, expression, n - i);                                      \
                }                                                                             \
                (void)x, (void)y, (void)z;                                                    \
            }                                                                                 \
        }                                                                                     \
    }                                                                                         \
    KERNEL_OF_ROW(name, reads, cost)

/* Asks for the line of each operand that comes STREAM_AHEAD after the one that begins at element i, and
 * for that of the results unless they go past the caches. */
V_INLINE void K(ask_for_line)(const REAL *out, const void *const *in, int64_t reads, int64_t i, int past) {
    if (i % LINE != 0) return;
    const int64_t later = i + STREAM_AHEAD / (int64_t)sizeof(REAL);
    for (int64_t k = 0; k < reads; k++) __builtin_prefetch((const REAL *)in[k] + later, 0, 3);
    if (!past) __builtin_prefetch(out + later, 1, 3);
}

/* The same for long expressions: one copy of them for full vectors, tails and rows that leave the caches,
 * which ask for each line: within a loop of blocks their constants would be loaded again for each. Of the
 * full vectors of other rows, those before `plain`, none of this is asked about. Narrow vectors store no
 * whole lines, and not past the caches. */
#define LONG_MAP(name, reads, params, cost, expression)                                       \
    static void K(name##_row)(void *out, const void *const *in, int64_t n,    \
                                              const double *param, int way) {                 \
        REAL *o = out;                                                                        \
        const REAL *a = in[0], *b = in[(reads) > 1 ? 1 : 0], *c = in[(reads) > 2 ? 2 : 0];    \
        const int far = way != ROW_NEAR, past = way == ROW_PAST && VL == LINE;                \
        const int64_t plain = far ? 0 : n / VL * VL;                                          \
        (void)param;                                                                          \
        READ_PARAMS_##params for (int64_t i = 0; i < n; i += VL) {                            \
            vec x, y, z;                                                                      \
            if (i < plain) {                                                                  \
                x = v_load(a + i), y = v_load(b + i), z = v_load(c + i);                      \
            } else {                                                                          \
                if (far) K(ask_for_line)(o, in, reads, i, past);                              \
                x = v_load_live(a + i, n - i), y = v_load_live(b + i, n - i);                 \
                z = v_load_live(c + i, n - i);                                                \
            }                                                                                 \
            const vec result = expression;                                                    \
            (void)y, (void)z;                                                                 \
            if (i < plain) {                                                                  \
                v_store(o + i, result);                                                       \
            } else if (past && n - i >= VL) {                                                 \
                store_past(o + i, &result);                                                   \
            } else {                                                                          \
                v_store_live(o + i, result, n - i);                                           \
            }                                                                                 \
        }                                                                                     \
    }                                                                                         \
    KERNEL_OF_ROW(name, reads, cost)

#define BOOL_MAP(name, reads, expression) \
    SCALAR_MAP(name, REAL, uint8_t, reads, 0, 1, expression)

#define ZERO ((vec){0})
#define ONE v_set1((REAL)1)
#define CONST(value) v_set1((REAL)(value))

/* ---- one operand ---- */

MAP(neg, 1, 0, 1, -x)
MAP(abs, 1, 0, 1, v_abs(x))
MAP(sign, 1, 0, 1, v_select(x > ZERO, ONE, v_select(x < ZERO, -ONE, ZERO)))
MAP(square, 1, 0, 1, x * x)
MAP(cube, 1, 0, 1, x * x * x)
MAP(sqrt, 1, 0, 4, v_sqrt(x))
MAP(rsqrt, 1, 0, 6, ONE / v_sqrt(x))
MAP(reciprocal, 1, 0, 4, ONE / x)
MAP(floor, 1, 0, 1, v_floor(x))
MAP(ceil, 1, 0, 1, v_ceil(x))
MAP(round, 1, 0, 1, v_round(x))
MAP(trunc, 1, 0, 1, v_trunc(x))
MAP(frac, 1, 0, 1, x - v_trunc(x))
LONG_MAP(exp, 1, 0, 8, v_exp(x))
LONG_MAP(exp2, 1, 0, 8, v_exp2(x))
LONG_MAP(expm1, 1, 0, 8, v_expm1(x))
LONG_MAP(log, 1, 0, 8, v_log(x))
LONG_MAP(log1p, 1, 0, 8, v_log1p(x))
LONG_MAP(log2, 1, 0, 16, v_log2(x))
LONG_MAP(log10, 1, 0, 16, v_log10(x))
LONG_MAP(sin, 1, 0, 12, v_sin(x))
LONG_MAP(cos, 1, 0, 12, v_cos(x))
LONG_MAP(tan, 1, 0, 16, v_tan(x))
LONG_MAP(asin, 1, 0, 16, v_asin(x))
LONG_MAP(acos, 1, 0, 16, v_acos(x))
LONG_MAP(atan, 1, 0, 12, v_atan(x))
LONG_MAP(sinh, 1, 0, 16, v_sinh(x))
LONG_MAP(cosh, 1, 0, 16, v_cosh(x))
LONG_MAP(tanh, 1, 0, 12, v_tanh(x))
LONG_MAP(asinh, 1, 0, 16, v_asinh(x))
LONG_MAP(acosh, 1, 0, 16, v_acosh(x))
LONG_MAP(atanh, 1, 0, 16, v_atanh(x))
LONG_MAP(erf, 1, 0, 24, v_erf(x))
LONG_MAP(erfc, 1, 0, 24, v_erfc(x))
LONG_MAP(special, 1, 0, 40, K(v_special)(x, (int)param[0], param[1]))
SCALAR_MAP(gamma_slope, REAL, REAL, 2, 0, 2000, pyad_gamma_slope((double)x, (double)y))

static inline REAL K(size)(REAL x) { return x < 0 ? -x : x; }

BOOL_MAP(isnan, 1, x != x)
BOOL_MAP(isinf, 1, K(size)(x) == (REAL)INFINITY)
BOOL_MAP(isfinite, 1, K(size)(x) < (REAL)INFINITY)

/* p0 for NaN, p1 for infinity, p2 for -infinity */
MAP(nan_to_num, 1, 3, 1,
    v_select(v_isnan(x), p0, v_select(x == V_INF, p1, v_select(x == -V_INF, p2, x))))

/* ---- activations ---- */

#define INV_SQRT_2PI CONST(0.39894228040143268)
#define SQRT_2_PI CONST(0.79788456080286536)
#define GELU_CUBIC CONST(0.044715)

/* log(1 + exp(-|x|)), for x > 0 with 0 in place of subnormal results: they are added to x there */
V_INLINE vec K(v_softplus_tail)(vec x) {
    return K(v_log1p_unit)(K(exp_tail_where)(-v_abs(x), v_min(ZERO, x)));
}

V_INLINE vec K(v_logsigmoid)(vec x) { return v_min(ZERO, x) - K(v_softplus_tail)(-x); }

V_INLINE vec K(v_softplus)(vec x, vec beta, vec threshold) {
    vec scaled = x * beta;
    vec bent = (v_max(ZERO, scaled) + K(v_softplus_tail)(scaled)) * (ONE / beta);
    return v_select(scaled > threshold, x, bent);
}

V_INLINE vec K(v_elu)(vec x, vec alpha, vec scale, vec input_scale) {
    return v_select(x > ZERO, x * scale, v_expm1(x * input_scale) * (alpha * scale));
}

/* |x|, of a positive x up to where the normal distribution beyond it is lost beside 1 */
V_INLINE vec K(v_gelu_size)(vec x) { return v_abs(v_min(CONST(9), x)); }

V_INLINE vec K(v_gelu)(vec x) {
    vec bell, size = K(v_gelu_size)(x), beyond = K(v_normal_beyond)(size, &bell);
    return v_fma(-(size * beyond), bell, v_max(-ZERO, x));
}

/* (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, accurate where it is small */
V_INLINE vec K(v_normal_tanh)(vec x) {
    return v_sigmoid(CONST(2) * SQRT_2_PI * v_fma(GELU_CUBIC * x * x, x, x));
}

/* tanh(softplus(x)) = w / (w + 2), w = e (e + 2), e = exp(x); 1 where e would overflow */
V_INLINE vec K(v_tanh_softplus)(vec x, vec *e) {
    *e = v_exp(v_min(CONST(40), x));
    vec w = *e * (*e + CONST(2));
    return w / (w + CONST(2));
}

V_INLINE vec K(v_mish)(vec x) {
    vec e;
    return x * K(v_tanh_softplus)(x, &e);
}

MAP(relu, 1, 0, 1, v_max(ZERO, x))
MAP(clamp, 1, 2, 1, v_min(p1, v_max(p0, x)))
MAP(leaky_relu, 1, 1, 1, v_select(x > ZERO, x, x * p0))
MAP(threshold, 1, 2, 1, v_select(x <= p0, p1, x))
MAP(hardshrink, 1, 1, 1, v_select(v_abs(x) <= p0, ZERO, x))
MAP(softshrink, 1, 1, 1, x - v_min(p0, v_max(-p0, x)))
MAP(hardswish, 1, 0, 2, x * v_min(CONST(6), v_max(ZERO, x + CONST(3))) / CONST(6))
MAP(hardsigmoid, 1, 0, 2, v_min(CONST(6), v_max(ZERO, x + CONST(3))) / CONST(6))
MAP(softsign, 1, 0, 4, x / (ONE + v_abs(x)))
LONG_MAP(sigmoid, 1, 0, 10, v_sigmoid(x))
LONG_MAP(logsigmoid, 1, 0, 16, K(v_logsigmoid)(x))
LONG_MAP(softplus, 1, 2, 16, K(v_softplus)(x, p0, p1))
LONG_MAP(elu, 1, 3, 10, K(v_elu)(x, p0, p1, p2))
LONG_MAP(gelu, 1, 0, 24, K(v_gelu)(x))
LONG_MAP(gelu_tanh, 1, 0, 12, x * K(v_normal_tanh)(x))
LONG_MAP(silu, 1, 0, 10, x * v_sigmoid(x))
LONG_MAP(mish, 1, 0, 10, K(v_mish)(x))

/* ---- two operands ---- */

V_INLINE vec K(v_maximum)(vec x, vec y) { return v_select(v_isnan(x), x, v_max(x, y)); }
V_INLINE vec K(v_minimum)(vec x, vec y) { return v_select(v_isnan(x), x, v_min(x, y)); }

#if DTYPE == PYAD_FLOAT64
#define FMOD_BITS 50
#define FMOD_HIGH 1e300
#else
#define FMOD_BITS 22
#define FMOD_HIGH 1e30f
#endif
/* a quotient below it is off by one at most, and its product with the divisor exact in two parts */
#define FMOD_NEAR ((REAL)(1ll << FMOD_BITS))

/* a mod b, exactly, for a quotient of a >= 0 and b > 0 below FMOD_NEAR, a below FMOD_HIGH */
V_INLINE vec K(v_near_fmod)(vec a, vec b, vec quotient) {
    vec whole = v_trunc(quotient), product = whole * b;
    vec r = (a - product) - K(v_product_error)(whole, b, product);
    r = v_select(r < ZERO, r + b, r); /* the quotient was rounded up to the next integer */
    return v_select(a < b, a, r);
}

/* a mod b, exactly, for any a >= 0 and b > 0 where `far` is set. In double it is that of a mod 2^k b,
 * which brings a down by FMOD_BITS - 2 bits at a time. */
V_SELDOM vec K(v_far_fmod)(vec a, vec b, mask far) {
    a = v_select(far, a, ONE);
    b = v_select(far, b, ONE);
#if DTYPE == PYAD_FLOAT64
    const vec base = b, down = CONST(0x1p-64), up = CONST(0x1p64);
    mask above;
    do {
        vec ka, kb;
        K(v_split)(a, &ka);
        K(v_split)(base, &kb);
        vec k = v_max(ZERO, ka - kb - CONST(FMOD_BITS - 2));
        above = k > ZERO;
        b = K(v_scale)(base, __builtin_convertvector(k, mask));
        mask high = a >= CONST(FMOD_HIGH);
        vec shrunk = v_select(high, a * down, a), by = v_select(high, b * down, b);
        vec r = K(v_near_fmod)(shrunk, by, shrunk / by);
        a = v_select(high, r * up, r);
    } while (v_any(above));
    return a;
#else
    vec_t_f64 top[2], bottom[2];
    v_widen_both(a, top);
    v_widen_both(b, bottom);
    for (int i = 0; i < 2; i++) top[i] = v_fmod_f64(top[i], bottom[i]);
    return v_narrow_both(top);
#endif
}

/* x - trunc(x / y) y, exactly */
V_INLINE vec K(v_fmod)(vec x, vec y) {
    vec a = v_abs(x), b = v_abs(y), quotient = a / b, r = K(v_near_fmod)(a, b, quotient);
    mask near = (a < b) | ((quotient < CONST(FMOD_NEAR)) & (a < CONST(FMOD_HIGH)));
    mask far = ~near & (b > ZERO) & (a < V_INF);
    if (v_any(far)) r = v_select(far, K(v_far_fmod)(a, b, far), r);
    r = v_select((b == ZERO) | (a == V_INF), V_NAN, r);
    return v_copysign(r, x);
}
#undef FMOD_BITS
#undef FMOD_HIGH
#undef FMOD_NEAR

/* the remainder with the divisor's sign */
V_INLINE vec K(v_remainder)(vec x, vec y) {
    vec r = K(v_fmod)(x, y);
    return v_select((r != ZERO) & ((y < ZERO) != (r < ZERO)), r + y, r);
}

/* floor(x / y) of the exact quotient, as Python's // */
V_INLINE vec K(v_floor_divide)(vec x, vec y) {
    vec r = K(v_fmod)(x, y), quotient = (x - r) / y, plain = x / y;
    mask crossed = (r != ZERO) & ((y < ZERO) != (r < ZERO));
    quotient = v_select(crossed, quotient - ONE, quotient);
    vec whole = v_floor(quotient);
    whole = v_select(quotient - whole > CONST(0.5), whole + ONE, whole);
    whole = v_select(quotient == ZERO, v_copysign(ZERO, plain), whole);
    return v_select(y == ZERO, plain, whole);
}

#if DTYPE == PYAD_FLOAT64
#define HYPOT_LARGE 0x1p300
#else
#define HYPOT_LARGE 0x1p50
#endif

/* Sides are scaled by a power of two where their squares may over- or underflow; beside an infinite
 * one a NaN does not count. */
V_INLINE vec K(v_hypot)(vec x, vec y) {
    const vec up = CONST(HYPOT_LARGE * HYPOT_LARGE), down = CONST(1 / HYPOT_LARGE / HYPOT_LARGE);
    const vec a = v_abs(x), b = v_abs(y), larger = v_max(a, b);
    const mask large = larger > CONST(HYPOT_LARGE), small = larger < CONST(1 / HYPOT_LARGE);
    const vec by = v_select(large, down, v_select(small, up, ONE));
    const vec back = v_select(large, up, v_select(small, down, ONE));
    const vec p = a * by, q = b * by, size = v_sqrt(v_fma(p, p, q * q)) * back;
    return v_select((a == V_INF) | (b == V_INF), V_INF, size);
}
#undef HYPOT_LARGE

MAP(add, 2, 0, 1, x + y)
MAP(sub, 2, 0, 1, x - y)
MAP(mul, 2, 0, 1, x * y)
MAP(div, 2, 0, 4, x / y)
MAP(add_scaled, 2, 1, 1, x + p0 * y)
MAP(div_trunc, 2, 0, 4, v_trunc(x / y))
MAP(maximum, 2, 0, 1, K(v_maximum)(x, y))
MAP(minimum, 2, 0, 1, K(v_minimum)(x, y))
MAP(fmax, 2, 0, 1, v_select(v_isnan(y), x, v_max(x, y)))
MAP(fmin, 2, 0, 1, v_select(v_isnan(y), x, v_min(x, y)))
LONG_MAP(fmod, 2, 0, 12, K(v_fmod)(x, y))
LONG_MAP(remainder, 2, 0, 12, K(v_remainder)(x, y))
LONG_MAP(floor_divide, 2, 0, 16, K(v_floor_divide)(x, y))
LONG_MAP(pow, 2, 0, 32, v_pow(x, y))
LONG_MAP(atan2, 2, 0, 16, v_atan2(x, y))
LONG_MAP(hypot, 2, 0, 4, K(v_hypot)(x, y))
MAP(copysign, 2, 0, 1, v_copysign(x, y))
LONG_MAP(special_pair, 2, 0, 24, K(v_special_pair)(x, y, (int)param[0]))
LONG_MAP(prelu, 2, 0, 1, v_select(x > ZERO, x, x * y))

/* ---- three operands ---- */

V_INLINE vec K(v_lerp)(vec start, vec end, vec weight) {
    vec way = end - start;
    return v_select(v_abs(weight) < CONST(0.5), start + weight * way, end - way * (ONE - weight));
}

MAP(lerp, 3, 0, 2, K(v_lerp)(x, y, z))
MAP(addcmul, 3, 1, 1, x + p0 * y * z)
MAP(addcdiv, 3, 1, 4, x + p0 * y / z)

/* ---- gradients: x is the gradient of the result, y what was saved ---- */

/* g * d, but 0 where g is 0 */
V_INLINE vec K(v_grad)(vec g, vec d) { return v_select(g == ZERO, ZERO, g * d); }
#define GRAD(derivative) K(v_grad)(x, derivative)

V_INLINE vec K(v_elu_slope)(vec x, vec alpha, vec scale, vec input_scale) {
    return v_select(x > ZERO, scale, v_exp(x * input_scale) * (alpha * scale * input_scale));
}

V_INLINE vec K(v_softplus_slope)(vec x, vec beta, vec threshold) {
    vec scaled = x * beta;
    return v_select(scaled > threshold, ONE, v_sigmoid(scaled));
}

V_INLINE vec K(v_hardswish_slope)(vec x) {
    vec inside = x / CONST(3) + CONST(0.5);
    return v_select(x <= CONST(-3), ZERO, v_select(x >= CONST(3), ONE, inside));
}

V_INLINE vec K(v_softsign_slope)(vec x) {
    vec bottom = ONE + v_abs(x);
    return ONE / (bottom * bottom);
}

V_INLINE vec K(v_gelu_slope)(vec x) {
    vec bell, size = K(v_gelu_size)(x), beyond = K(v_normal_beyond)(size, &bell);
    vec above = bell * v_fma(size, INV_SQRT_2PI, -beyond), sign = v_copysign(ZERO, x);
    return v_select((mask)x < 0, ZERO, ONE) + (vec)((mask)above ^ (mask)sign);
}

V_INLINE vec K(v_gelu_tanh_slope)(vec x) {
    vec s = K(v_normal_tanh)(x), inner = SQRT_2_PI * v_fma(CONST(3 * 0.044715) * x, x, ONE);
    return s + CONST(2) * x * s * (ONE - s) * inner;
}

V_INLINE vec K(v_silu_slope)(vec x) {
    vec s = v_sigmoid(x);
    return s * (ONE + x * (ONE - s));
}

V_INLINE vec K(v_mish_slope)(vec x) {
    vec e, t = K(v_tanh_softplus)(x, &e);
    return t + x * (ONE - t * t) * (e / (ONE + e));
}

MAP(grad_mul, 2, 0, 1, GRAD(y))
MAP(grad_div, 2, 0, 4, v_select(x == ZERO, ZERO, x / y))
/* x / norm comes first, so that neither overflows and an infinite x has no slope */
MAP(norm_grad, 3, 0, 4, v_select(z == ZERO, ZERO, GRAD(y / z)))
MAP(relu_grad, 2, 0, 1, v_select(y <= ZERO, ZERO, x))
MAP(leaky_relu_grad, 2, 1, 1, v_select(y > ZERO, x, x * p0))
MAP(threshold_grad, 2, 1, 1, v_select(y <= p0, ZERO, x))
/* of softshrink, too */
MAP(hardshrink_grad, 2, 1, 1, v_select(v_abs(y) <= p0, ZERO, x))
MAP(clamp_grad, 2, 2, 1, v_select((y >= p0) & (y <= p1), x, ZERO))
MAP(hardtanh_grad, 2, 2, 1, v_select((y <= p0) | (y >= p1), ZERO, x))
MAP(hardswish_grad, 2, 0, 4, GRAD(K(v_hardswish_slope)(y)))
MAP(hardsigmoid_grad, 2, 0, 4,
    v_select((y > CONST(-3)) & (y < CONST(3)), x / CONST(6), ZERO))
MAP(softsign_grad, 2, 0, 4, GRAD(K(v_softsign_slope)(y)))
MAP(sigmoid_grad, 2, 0, 1, GRAD(y * (ONE - y)))
MAP(tanh_grad, 2, 0, 1, GRAD(ONE - y * y))
LONG_MAP(logsigmoid_grad, 2, 0, 10, GRAD(v_sigmoid(-y)))
LONG_MAP(softplus_grad, 2, 2, 10, GRAD(K(v_softplus_slope)(y, p0, p1)))
LONG_MAP(elu_grad, 2, 3, 10, GRAD(K(v_elu_slope)(y, p0, p1, p2)))
LONG_MAP(gelu_grad, 2, 0, 32, GRAD(K(v_gelu_slope)(y)))
LONG_MAP(gelu_tanh_grad, 2, 0, 16, GRAD(K(v_gelu_tanh_slope)(y)))
LONG_MAP(silu_grad, 2, 0, 10, GRAD(K(v_silu_slope)(y)))
LONG_MAP(mish_grad, 2, 0, 16, GRAD(K(v_mish_slope)(y)))
/* of maximum(y, z) for y: half at a tie */
MAP(maximum_grad, 3, 0, 1, v_select(y < z, ZERO, v_select(y == z, CONST(0.5) * x, x)))

/* of copysign(y, z) for y: x, turned where their signs differ; 0 where y has no sign */
MAP(copysign_grad, 3, 0, 1,
    v_select(v_abs(y) > ZERO, (vec)((mask)x ^ (((mask)y ^ (mask)z) & (mask)-ZERO)), ZERO))

/* y: what was reduced; z: its mean, or the logarithm of its sum of exponentials */
MAP(var_grad, 3, 1, 2, GRAD(p0 * (y - z)))
LONG_MAP(logsumexp_grad, 3, 0, 10, GRAD(v_exp(y - z)))

#elif DTYPE == PYAD_BOOL
/* other kernels take a bool for uint8 */
SCALAR_MAP(add, uint8_t, uint8_t, 2, 0, 1, x | y)
SCALAR_MAP(mul, uint8_t, uint8_t, 2, 0, 1, x & y)
SCALAR_MAP(bitwise_not, uint8_t, uint8_t, 1, 0, 1, !x)

#else /* integers */
#define PARAM(i) const INT p##i = (INT)param[i];

#define INT_MAP(name, reads, params, cost, expression) \
    SCALAR_MAP(name, INT, INT, reads, params, cost, expression)
#define BOOL_MAP(name, reads, expression) SCALAR_MAP(name, INT, uint8_t, reads, 0, 1, expression)

/* integers wrap around, which is undefined for signed ones in C */
#if DTYPE == PYAD_INT64
#define WRAP uint64_t
#else
#define WRAP uint32_t
#endif

#if DTYPE == PYAD_UINT8
#define IS_NEGATIVE(x) 0
#else
#define IS_NEGATIVE(x) ((x) < 0)
#endif
#define NEGATED(x) ((INT)(0 - (WRAP)(x)))

/* Rounds towards zero; x / -1 of the smallest number wraps around. */
static inline INT K(quotient)(INT x, INT y) {
    if (IS_NEGATIVE(y) && y == (INT)-1) return NEGATED(x);
    return (INT)(x / y);
}

static inline INT K(rest)(INT x, INT y) {
    if (IS_NEGATIVE(y) && y == (INT)-1) return 0;
    return (INT)(x % y);
}

/* Whether the division leaves a rest of the other sign than the divisor's. */
static inline INT K(crosses)(INT x, INT y) {
    INT r = K(rest)(x, y);
    return r != 0 && IS_NEGATIVE(r) != IS_NEGATIVE(y);
}

static inline INT K(power)(INT x, INT y) {
    if (IS_NEGATIVE(y)) return (INT)(x == 1 ? 1 : x == (INT)-1 ? (y % 2 ? -1 : 1) : 0);
    WRAP result = 1, base = (WRAP)x;
    for (WRAP rest = (WRAP)y; rest; rest >>= 1) {
        if (rest & 1) result *= base;
        base *= base;
    }
    return (INT)result;
}

INT_MAP(neg, 1, 0, 1, NEGATED(x))
INT_MAP(abs, 1, 0, 1, IS_NEGATIVE(x) ? NEGATED(x) : x)
INT_MAP(sign, 1, 0, 1, IS_NEGATIVE(x) ? -1 : x != 0)
INT_MAP(square, 1, 0, 1, (WRAP)x * (WRAP)x)
INT_MAP(relu, 1, 0, 1, IS_NEGATIVE(x) ? 0 : x)
INT_MAP(add, 2, 0, 1, (WRAP)x + (WRAP)y)
INT_MAP(sub, 2, 0, 1, (WRAP)x - (WRAP)y)
INT_MAP(mul, 2, 0, 1, (WRAP)x * (WRAP)y)
INT_MAP(add_scaled, 2, 1, 1, (WRAP)x + (WRAP)p0 * (WRAP)y)
INT_MAP(pow, 2, 0, 32, K(power)(x, y))
INT_MAP(bitwise_not, 1, 0, 1, ~x)
INT_MAP(bitwise_left_shift, 2, 0, 1,
        (uint64_t)y >= 8 * sizeof(INT) ? 0 : (WRAP)x << (y & (INT)(8 * sizeof(INT) - 1)))
INT_MAP(bitwise_right_shift, 2, 0, 1,
        (uint64_t)y >= 8 * sizeof(INT) ? (IS_NEGATIVE(x) ? -1 : 0)
                                       : x >> (y & (INT)(8 * sizeof(INT) - 1)))

/* Divisions look for a 0 before anything is written, each thread in its part; 0 or a status. */
static int K(find_zero)(const pyad_array *y, const team *t) {
    const INT *p = y->data;
    const int64_t step = array_step(y);
    int64_t begin, end;
    team_range(t, pyad_numel(y), 4096, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (p[step != 0 ? i * step : array_offset(y, i)] != 0) continue;
        team_fail(t, PYAD_ERROR_VALUE, 1, 0, 0);
        break;
    }
    if (t->nth > 1) team_barrier(t);
    return team_failed(t);
}

#define DIVISION(name, expression)                                                            \
    static void K(name##_row)(void *out, const void *const *in, int64_t n,    \
                                              const double *param, int way) {                 \
        INT *o = out;                                                                         \
        const INT *a = in[0], *b = in[1];                                                     \
        (void)param, (void)way;                                                               \
        for (int64_t i = 0; i < n; i++) {                                                     \
            const INT x = a[i], y = b[i];                                                     \
            o[i] = (INT)(expression);                                                         \
        }                                                                                     \
    }                                                                                         \
    static int K(name)(const void *args, const team *t) {                                     \
        const pyad_array *arrays = args;                                                      \
        if (pyad_numel(&arrays[2]) == 0) return PYAD_OK;                                      \
        int status = K(find_zero)(&arrays[1], t);                                             \
        return status ? status : map_run(args, 2, 16, K(name##_row), t);      \
    }                                                                                         \
    PYAD_RECORD(name, pyad_array, 16 * pyad_numel(a + 2))

DIVISION(div_trunc, K(quotient)(x, y))
DIVISION(fmod, K(rest)(x, y))
DIVISION(floor_divide, K(quotient)(x, y) - K(crosses)(x, y))
DIVISION(remainder, K(rest)(x, y) + (K(crosses)(x, y) ? y : 0))

INT_MAP(maximum, 2, 0, 1, x > y ? x : y)
INT_MAP(minimum, 2, 0, 1, x < y ? x : y)
INT_MAP(bitwise_and, 2, 0, 1, x & y)
INT_MAP(bitwise_or, 2, 0, 1, x | y)
INT_MAP(bitwise_xor, 2, 0, 1, x ^ y)
#undef DIVISION
#undef NEGATED
#undef IS_NEGATIVE
#undef WRAP
#undef INT_MAP
#endif /* integers */

/* ---- every dtype ---- */

#if DTYPE != PYAD_BOOL
BOOL_MAP(eq, 2, x == y)
BOOL_MAP(ne, 2, x != y)
BOOL_MAP(lt, 2, x < y)
BOOL_MAP(le, 2, x <= y)
BOOL_MAP(gt, 2, x > y)
BOOL_MAP(ge, 2, x >= y)
BOOL_MAP(logical_not, 1, x == 0)
BOOL_MAP(logical_and, 2, (x != 0) & (y != 0))
BOOL_MAP(logical_or, 2, (x != 0) | (y != 0))
BOOL_MAP(logical_xor, 2, (x != 0) ^ (y != 0))
#endif

#if DTYPE_MOVES
/* The condition comes last: the first operand's dtype is the kernel's. */
static void K(where_row)(void *out, const void *const *in, int64_t n, const double *param, int way) {
    INT *o = out;
    const INT *a = in[0], *b = in[1];
    const uint8_t *condition = in[2];
    (void)param, (void)way;
    for (int64_t i = 0; i < n; i++) {
        const INT x = a[i], y = b[i];
        o[i] = condition[i] ? x : y;
    }
}
KERNEL_OF_ROW(where, 3, 1)
#endif

#undef PARAM
#undef BOOL_MAP
#undef SCALAR_MAP
#undef KERNEL_OF_ROW
#undef READ_PARAMS_0
#undef READ_PARAMS_1
#undef READ_PARAMS_2
#undef READ_PARAMS_3
#ifdef REAL
#undef MAP
#undef LONG_MAP
#undef GRAD
#undef ZERO
#undef ONE
#undef CONST
#undef INV_SQRT_2PI
#undef SQRT_2_PI
#undef GELU_CUBIC
#endif
