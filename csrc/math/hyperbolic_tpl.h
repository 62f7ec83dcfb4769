/* sinh, cosh, tanh's inverse and theirs, by exp(x) - 1 and log(1 + x), which keep small x.
 */

/* from here on exp(x) may overflow, and half of it is the result */
#define SINH_FAR v_set1(PICK(88.0, 709.0))
/* from here on the 1 beside x^2 is lost */
#define ASINH_FAR v_set1(PICK(1e10, 1e20))

V_INLINE vec v_sinh(vec x) {
    vec size = v_abs(x), half = v_exp((REAL)0.5 * size);
    vec e = K(v_expm1_clamped)(v_min(SINH_FAR, size));
    vec near = (REAL)0.5 * (e + e / (e + (REAL)1));
    return v_copysign(v_select(size < SINH_FAR, near, (REAL)0.5 * half * half), x);
}

V_INLINE vec v_cosh(vec x) {
    vec size = v_abs(x), half = v_exp((REAL)0.5 * size), e = v_exp(size);
    vec near = (REAL)0.5 * e + (REAL)0.5 / e;
    return v_select(size < SINH_FAR, near, (REAL)0.5 * half * half);
}

V_INLINE vec v_asinh(vec x) {
    vec size = v_abs(x), root = v_sqrt(v_fma(size, size, v_set1((REAL)1)));
    vec near = v_log1p(size + size * size / ((REAL)1 + root));
    vec far = v_log(size) + LN2;
    return v_copysign(v_select(size < ASINH_FAR, near, far), x);
}

V_INLINE vec v_acosh(vec x) {
    vec t = x - (REAL)1;
    vec near = v_log1p(t + v_sqrt(v_fma(t, t, t + t)));
    vec far = v_log(x) + LN2;
    vec r = v_select(x < ASINH_FAR, near, far);
    return v_select(x < v_set1((REAL)1), V_NAN, r);
}

V_INLINE vec v_atanh(vec x) {
    vec size = v_abs(x);
    return v_copysign((REAL)0.5 * v_log1p((REAL)2 * size / ((REAL)1 - size)), x);
}

#undef SINH_FAR
#undef ASINH_FAR
