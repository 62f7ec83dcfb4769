/* sinh, cosh, tanh's inverse and theirs, by exp(x) - 1 and log(1 + x), which keep small x.
 */

V_INLINE vec v_sinh(vec x) {
    vec size = v_abs(x), half = v_exp((REAL)0.5 * size);
    vec e = K(v_expm1_clamped)(v_min(v_set1(PICK(88.0, 709.0)), size));
    vec near = (REAL)0.5 * (e + e / (e + (REAL)1));
    return v_copysign(v_select(size < v_set1(PICK(88.0, 709.0)), near, (REAL)0.5 * half * half), x);
}

V_INLINE vec v_cosh(vec x) {
    vec size = v_abs(x), half = v_exp((REAL)0.5 * size), e = v_exp(size);
    vec near = (REAL)0.5 * e + (REAL)0.5 / e;
    return v_select(size < v_set1(PICK(88.0, 709.0)), near, (REAL)0.5 * half * half);
}

V_INLINE vec v_asinh(vec x) {
    vec size = v_abs(x), root = v_sqrt(v_fma(size, size, v_set1((REAL)1)));
    vec near = v_log1p(size + size * size / ((REAL)1 + root));
    vec far = v_log(size) + v_set1(PICK(0.693147181, 0.69314718055994531));
    return v_copysign(v_select(size < v_set1(PICK(1e10, 1e20)), near, far), x);
}

V_INLINE vec v_acosh(vec x) {
    vec t = x - (REAL)1;
    vec near = v_log1p(t + v_sqrt(v_fma(t, t, t + t)));
    vec far = v_log(x) + v_set1(PICK(0.693147181, 0.69314718055994531));
    vec r = v_select(x < v_set1(PICK(1e10, 1e20)), near, far);
    return v_select(x < v_set1((REAL)1), V_NAN, r);
}

V_INLINE vec v_atanh(vec x) {
    vec size = v_abs(x);
    return v_copysign((REAL)0.5 * v_log1p((REAL)2 * size / ((REAL)1 - size)), x);
}
