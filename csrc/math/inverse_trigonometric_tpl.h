/* asin, acos, atan, atan2: polynomials on a short range, to which the halves of angles lead.
 */

#define PI_2 v_set1(PICK(1.57079637, 1.57079632679489656)) /* pi / 2 = PI_2 + PI_2_LO */
#define PI_2_LO v_set1(PICK(-4.37113883e-08, 6.12323399573676604e-17))

/* atan(top / bottom) for top, bottom >= 0; both may be infinite */
V_INLINE vec K(v_atan_ratio)(vec top, vec bottom) {
    static const REAL c[] = { /* (atan(t) - t) / t^3 in t^2, t <= tan(pi / 8) */
#if DTYPE == PYAD_FLOAT32
        -0.3333333328f, 0.1999997715f, -0.1428414555f, 0.1107126042f, -0.08623896475f,
        0.05046127665f
#else
        -0.333333333333333333, 0.199999999999999914, -0.142857142857114906, 0.111111111107514802,
        -0.0909090906681603225, 0.0769230672919319039, -0.0666664186909335772,
        0.058819230555636607, -0.0525802026732843714, 0.0471925915424817081,
        -0.041038874096164619, 0.0306229923766462276, -0.013905371321083136
#endif
    };
    const vec zero = {0}, one = v_set1((REAL)1);
    mask steep = top > bottom, equal = top == bottom;
    vec t = v_select(steep, bottom, top) / v_select(steep, top, bottom);
    t = v_select(equal, v_select(top == zero, zero, one), t);
    mask far = t > v_set1(PICK(0.41421357, 0.41421356237309503));
    vec near = v_select(far, (t - one) / (t + one), t), z = near * near;
    vec r = near * z * v_poly(z, c);
    /* pi/4 - ... or pi/2 - ...: the constant's own rounding is added to the small part */
    vec base = v_select(far, (REAL)0.5 * PI_2, zero), low = v_select(far, (REAL)0.5 * PI_2_LO, zero);
    base = v_select(steep, PI_2 - base, base);
    low = v_select(steep, PI_2_LO - low, low);
    near = v_select(steep, -near, near);
    r = v_select(steep, -r, r);
    return base + (near + (r + low));
}

V_INLINE vec v_atan(vec x) {
    return v_copysign(K(v_atan_ratio)(v_abs(x), v_set1((REAL)1)), x);
}

V_INLINE vec v_atan2(vec y, vec x) {
    vec a = K(v_atan_ratio)(v_abs(y), v_abs(x));
    a = v_select((mask)x < 0, (REAL)2 * PI_2 - (a - (REAL)2 * PI_2_LO), a);
    return v_select(v_isnan(x) | v_isnan(y), V_NAN, v_copysign(a, y));
}

/* asin(x) - x for 0 <= x <= 1/2 */
V_INLINE vec K(v_asin_bend)(vec x) {
    static const REAL c[] = { /* (asin(x) - x) / x^3 in x^2 */
#if DTYPE == PYAD_FLOAT32
        0.1666666634f, 0.07500094761f, 0.04459931916f, 0.03110172783f, 0.01714371682f,
        0.03370072632f
#else
        0.166666666666666678, 0.0749999999999842426, 0.0446428571463733809, 0.0303819441370852143,
        0.0223721730020055974, 0.0173523912659092279, 0.0139712353011245391,
        0.0114789526902573867, 0.010324318288744112, 0.00545087818772054995,
        0.0174193579648848572, -0.0148814093928180666, 0.0287784426125930408
#endif
    };
    vec z = x * x;
    return x * z * v_poly(z, c);
}

/* What asin and acos of |x| = size come from: for size > 1/2, which is `far`, the root of (1 - size) / 2,
 * else size itself. */
typedef struct {
    mask far;
    vec root, bend; /* asin(root) = root + bend */
    vec lost;       /* of a far root by its rounding: doubled, it would show beside pi / 2 */
} K(arc);

V_INLINE K(arc) K(v_arc)(vec size) {
    K(arc) a = {.far = size > v_set1((REAL)0.5)};
    vec half = (REAL)0.5 * ((REAL)1 - size), t = v_select(a.far, v_sqrt(half), size);
    vec lost = (half - t * t - K(v_product_error)(t, t, t * t)) / (t + t);
    a.root = t;
    a.bend = K(v_asin_bend)(t);
    a.lost = v_select(a.far & (t > (vec){0}), lost, (vec){0});
    return a;
}

V_INLINE vec v_asin(vec x) {
    K(arc) a = K(v_arc)(v_abs(x));
    vec down = PI_2 - ((REAL)2 * a.root - (PI_2_LO - (REAL)2 * (a.bend + a.lost)));
    return v_copysign(v_select(a.far, down, a.root + a.bend), x);
}

V_INLINE vec v_acos(vec x) {
    K(arc) a = K(v_arc)(v_abs(x));
    vec up = (REAL)2 * (a.root + (a.bend + a.lost));
    up = v_select(x < (vec){0}, (REAL)2 * PI_2 - (up - (REAL)2 * PI_2_LO), up);
    vec around = v_copysign(a.root + a.bend, x);
    return v_select(a.far, up, PI_2 - (around - PI_2_LO));
}
