/* erf, erfc and the normal distribution: a polynomial near 0, beyond 1 the scaled complement
 * exp(x^2) erfc(x), which is smooth.
 */

/* erf(x) for |x| <= 1; the square of a small x would be subnormal */
V_INLINE vec K(v_erf_near)(vec x) {
    static const REAL c[] = { /* (erf(x) - x) / x in x^2 */
#if DTYPE == PYAD_FLOAT32
        0.1283791671f, -0.3761263847f, 0.112837825f, -0.02686543073f, 0.005221031808f,
        -0.0008484080406f, 0.0001126595903f, -9.667044571e-06f
#else
        0.128379167095512574, -0.376126389031837481, 0.112837916709548787, -0.0268661706450767932,
        0.00522397762481801447, -0.000854832698083378991, 0.000120553311116427109,
        -1.49255952668311816e-05, 1.6461000484121368e-6, -1.6350312701054695e-7,
        1.46597752740474358e-8, -1.13728488567916737e-9, 5.9571761477489114e-11
#endif
    };
    vec square = v_fma(x, x, v_set1(PICK(0x1p-80, 0x1p-200)));
    return v_fma(x, v_poly(square, c), x);
}

#define ERFC_CENTRE PICK(3.0, 4.0)

/* (x + ERFC_CENTRE) exp(x^2) erfc(x) for x >= 0, q = (x - ERFC_CENTRE) / (x + ERFC_CENTRE) */
V_INLINE vec K(v_erfcx)(vec q) {
    static const REAL c[] = {
#if DTYPE == PYAD_FLOAT32
        1.074006907f, -0.883394489f, 0.59022838f, -0.3104659436f, 0.1195280075f,
        -0.02684067132f, -0.001222069767f, 0.00308496267f, -0.0004881189083f,
        -0.0003333167845f, -2.561555966e-6f
#else
        1.09599566100049112, -0.976548729080882118, 0.773208702265237572,
        -0.540853831313220872, 0.330851587877981438, -0.17401093724042113,
        0.0763815149100318655, -0.0263700533325929501, 0.00611205564745776921,
        -0.000280958933892321649, -0.000455052633198246682, 0.000176813186765502479,
        -3.63534756167025691e-6, -1.88621427131436086e-05, 4.69474772989832074e-6,
        1.42691651756483413e-6, -8.46477784235610347e-7, -7.91534367129434235e-8,
        1.2410344017656976e-7, 3.55524037689998153e-9, -1.52276206956191315e-8,
        -7.09886238936470182e-10, 8.85272972688154021e-10
#endif
    };
    return v_poly(q, c);
}

/* exp(x^2) erfc(x) with one division, to 2 ulp more */
V_INLINE vec K(v_erfcx_quick)(vec x) {
    vec u = v_set1((REAL)1) / (x + ERFC_CENTRE);
    return K(v_erfcx)((x - ERFC_CENTRE) * u) * u;
}

/* the normal distribution up to x, accurate where it is small; *bell is exp(-x^2 / 2) */
V_INLINE vec K(v_normal)(vec x, vec *bell) {
    vec size = v_min(v_set1(PICK(14.5, 38.7)), v_abs(x));
    vec some = v_max(v_set1(PICK(0x1p-30, 0x1p-60)), size), square = (REAL)-0.5 * some * some;
    /* beside the 1 of a positive x no small one counts */
    *bell = K(exp_tail_where)(square, v_select(x < (vec){0}, square, (vec){0}));
    *bell = v_select(x > v_set1((REAL)9), (vec){0}, *bell);
    vec tail = (REAL)0.5 * *bell * K(v_erfcx_quick)(size * PICK(0.707106781, 0.70710678118654752));
    return v_select(x < (vec){0}, tail, (REAL)1 - tail);
}

V_INLINE vec v_erf(vec x) {
    const vec one = v_set1((REAL)1);
    vec size = v_min(v_set1(PICK(4.0, 6.0)), v_abs(x)), large = v_max(one, size);
    vec far = v_fma(-K(exp_tail)(-large * large), K(v_erfcx_quick)(large), one);
    return v_copysign(v_select(size < one, K(v_erf_near)(size), far), x);
}

V_INLINE vec v_erfc(vec x) {
    const vec near = v_set1((REAL)0.65);
    vec all = v_abs(x), size = v_max(near, v_min(v_set1(PICK(10.24, 27.3)), all));
    vec square = size * size;
    vec lost = K(v_product_error)(size, size, square);
    vec g = K(v_erfcx)((size - ERFC_CENTRE) / (size + ERFC_CENTRE)) / (size + ERFC_CENTRE);
    /* beyond the results are subnormal and then 0: as v_exp_subnormal */
    mask deep = size > v_set1(PICK(9.19, 26.5));
    vec far = K(v_exp_times)(v_select(deep, (vec){0}, -square), -lost, g);
    far = v_select(deep, (vec){0}, far);
    if (v_any(deep & (x > (vec){0}) & (x < v_set1(PICK(10.06, 27.23))))) {
        far = v_select(deep, K(v_exp_times)(-square, -lost, g), far);
    }
    far = v_select(x < (vec){0}, (REAL)2 - far, far);
    return v_select(all < near, (REAL)1 - K(v_erf_near)(x), far);
}

#undef ERFC_CENTRE
