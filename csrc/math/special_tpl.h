/* Functions of statistics and windows on vectors.
 *
 * All work on doubles; float32 gets the rounded result, but for erfinv, which has a polynomial of its
 * own. Where a function is not smooth enough for one formula, recurrences carry the argument to where a
 * series is exact to the last digits, and lanes for which there is none are computed along. Code
 * branches on data only where no lane needs a part.
 */
#ifdef REAL
#if DTYPE == PYAD_FLOAT64

/* speed is in the series, not in the calls */
#define SPECIAL static PYAD_ONCE vec_t_f64
#define ALL_LANES v_set1(1.0)

/* how far from the nearest whole number */
V_INLINE vec v_off_whole(vec x) { return x - v_round(x); }

/* sin(pi off), |off| <= 1/2 */
SPECIAL v_sin_turn(vec off) { return v_sin(off * 3.14159265358979323846); }

/* ---- the gamma function's logarithm and its derivatives ---- */

SPECIAL v_lgamma_positive(vec z) {
    const vec one = ALL_LANES, three = v_set1(3.0), ten = v_set1(10.0);
    const mask small = z < v_set1(0.5), below = z < one, far = z >= ten;
    /* lgamma(2 + t) and the logarithm of q */
    vec t = v_select(small, z, v_select(below, z - one, z - v_set1(2.0)));
    vec q = v_select(small, v_fma(z, z, z), v_select(below, z, one));
    if (v_any(z > three)) {
        vec rest = v_min(ten, z), product = one;
        for (int i = 0; i < 7; i++) {
            const mask more = rest > three;
            rest = v_select(more, rest - one, rest);
            product = v_select(more, product * rest, product);
        }
        t = v_select(z > three, rest - v_set1(2.0), t);
        q = v_select(z > three, v_select(far, z, product), q);
    }
    const vec log_q = v_log(q), near = v_fma(t * (t + one), v_poly(t, lgamma_near_c), v_set1(0.0));
    const vec result = near + v_select(below, -log_q, log_q);
    if (!v_any(far)) return result;
    const vec inverse = one / z, tail = inverse * v_poly(inverse * inverse, lgamma_far_c);
    return v_select(far, v_fma(z - v_set1(0.5), log_q - one, v_set1(0.41893853320467274178) + tail), result);
}

/* Below 0 by pi / |x sin(pi x)| = Gamma(-x) |Gamma(x)|. */
SPECIAL v_lgamma(vec x) {
    const vec size = v_abs(x), positive = v_lgamma_positive(size);
    const mask negative = (x <= v_set1(-0x1p-60)) & (size < V_INF);
    if (!v_any(negative)) return positive;
    const vec off = v_abs(v_off_whole(x)), wave = v_sin_turn(off);
    const vec reflected = v_set1(1.14472988584940017414) - v_log(size * wave) - positive;
    return v_select(negative, v_select(off == (vec){0}, V_INF, reflected), positive);
}

SPECIAL v_digamma(vec x) {
    const vec zero = {0}, one = ALL_LANES, ten = v_set1(10.0);
    vec z = v_select(x > zero, x, one - x);
    /* the sum of 1 / z as a fraction */
    vec top = zero, bottom = one;
    for (mask low = z < ten; v_any(low); low = z < ten) {
        top = v_select(low, v_fma(top, z, bottom), top);
        bottom = v_select(low, bottom * z, bottom);
        z = v_select(low, z + one, z);
    }
    const vec inverse = one / z, square = inverse * inverse;
    const vec series = v_fma(v_set1(0.5), inverse, square * v_poly(square, digamma_far_c));
    vec result = v_log(z) - series - top / bottom;
    if (!v_any(x <= zero)) return result;
    /* psi(1 - x) - pi / tan(pi x) */
    const vec off = v_off_whole(x), pi = v_set1(3.14159265358979323846);
    vec reflected = result - pi / v_tan(off * pi);
    reflected = v_select(off == zero, v_select(x == zero, v_copysign(V_INF, -x), V_NAN), reflected);
    return v_select(x <= zero, reflected, result);
}

static vec v_whole_power(vec x, int n) {
    vec y = ALL_LANES;
    for (; n > 0; n >>= 1, x *= x) {
        if (n & 1) y *= x;
    }
    return y;
}

/* sum over k >= 0 of 1 / (x + k)^s for x > 0, by Euler and Maclaurin; `precise`: beyond float32 */
SPECIAL v_zeta(vec x, int s, int precise) {
    static const double c[] = { /* B(2j) / (2j)! */
        0.08333333333333333333, -0.001388888888888888889, 0.00003306878306878306878,
        -8.267195767195767196e-7, 2.087675698786809898e-8, -5.284190138687493185e-10,
        1.338253653068467883e-11, -3.389680296322582867e-13, 8.586062056277844564e-15,
        -2.174868698558061873e-16, 5.509002828360229515e-18, -1.395446468581252334e-19};
    const vec one = ALL_LANES, enough = v_set1((precise ? 6.0 : 2.0) + s);
    vec sum = {0};
    mask done = sum < (vec){0};
    for (mask more = x < enough; v_any(more); more = (x < enough) & ~done) {
        const vec term = one / v_whole_power(x, s);
        sum = v_select(more, sum + term, sum);
        done |= more & (term < sum * 0x1p-60);
        x = v_select(more, x + one, x);
    }
    const vec step = one / x;
    vec factor = s * step, tail = v_fma(x, v_set1(1.0 / (s - 1)), v_set1(0.5));
    for (int j = 0; j < (int)(sizeof c / sizeof *c); j++) {
        tail = v_fma(v_set1(c[j]), factor, tail);
        factor *= (s + 2 * j + 1) * step * ((s + 2 * j + 2) * step);
    }
    return v_select(done, sum, v_fma(one / v_whole_power(x, s), tail, sum));
}

SPECIAL v_polygamma(vec x, double n, int precise) {
    if (!(n >= 1 && n < 1000)) return V_NAN;
    const vec zero = {0}, one = ALL_LANES;
    const int s = (int)n + 1;
    const double sign = s % 2 ? -1 : 1;
    double factorial = sign;
    for (int i = 2; i < s; i++) factorial *= i;
    const vec off = v_off_whole(x);
    const mask low = x <= zero;
    vec sum = v_zeta(v_select(low, one + off, x), s, precise);
    if (v_any(low)) {
        /* over all whole numbers, without those that are not met */
        const vec beside = sign * (v_zeta(one - off, s, precise) - v_zeta(v_select(low, one - x, one), s, precise));
        const vec all = one / v_whole_power(off, s) + sum + v_select(off == x, zero, beside);
        sum = v_select(low, v_select(off == zero, V_INF, all), sum);
    }
    sum = v_select(x == V_INF, zero, v_select(x == -V_INF, V_NAN, sum));
    return factorial * sum;
}

/* ---- the inverse of the normal distribution function: quantile.h's ---- */

SPECIAL v_quantile_from(vec q, vec tail) {
    const vec size = v_abs(q), r = v_set1(0.180625) - q * q;
    const vec inside = q * v_poly(r, quantile_inside[0]) / v_poly(r, quantile_inside[1]);
    const mask beyond = size > v_set1(0.425);
    if (!v_any(beyond)) return inside;
    const vec root = v_sqrt(-v_log(tail)), near = root - v_set1(1.6), far = root - v_set1(5.0);
    vec z = v_poly(near, quantile_tail[0]) / v_poly(near, quantile_tail[1]);
    if (v_any(far > (vec){0})) {
        const vec rest = v_poly(far, quantile_far[0]) / v_poly(far, quantile_far[1]);
        z = v_select(far > (vec){0}, rest, z);
    }
    return v_select(beyond, v_copysign(z, q), inside);
}

SPECIAL v_ndtri(vec p) {
    const vec zero = {0}, one = ALL_LANES, q = p - v_set1(0.5);
    const vec z = v_quantile_from(q, v_select(q < zero, p, one - p));
    const vec outside = v_select(p == zero, -V_INF, v_select(p == one, V_INF, V_NAN));
    return v_select((p > zero) & (p < one), z, outside);
}

/* what is outside (-1, 1) */
#define ERFINV_EDGES(x, inside)                                                                 \
    v_select(v_abs(x) < v_set1((REAL)1), inside,                                                \
             v_select(v_abs(x) == v_set1((REAL)1), v_copysign(V_INF, x), V_NAN))

SPECIAL v_erfinv(vec x) {
    const vec tail = v_set1(0.5) * (ALL_LANES - v_abs(x));
    const vec z = v_quantile_from(v_set1(0.5) * x, tail) * 0.70710678118654752440;
    return ERFINV_EDGES(x, z);
}

/* erfinv(x) / x of a float to 28 bits: a polynomial in sqrt(3 - log2(1 - x^2)) */
V_INLINE vec v_erfinv_short(vec x) {
    static const double c[] = {
        2.29239833439632826, 0.945178018508078466, -0.0107628731510747896, -0.0161091366026444135,
        0.0156093922689594485, -0.00655460501770884074, -0.000037653282516013862,
        0.00163938779977166744, -0.000786309847863347494, -0.0000476695474321976068,
        0.000216500033805981775, -0.0000722171080118450195, -0.0000258976364248057445,
        0.0000220364988684673475, -2.77505292800461739e-7, -3.10595275326029487e-6,
        4.76955286690663743e-7, 1.85012940192073625e-7, -4.30151938110982288e-8};
    const vec square = v_fma(-x, x, ALL_LANES);
    return v_long_poly(v_sqrt(v_set1(3.0) - log2_short(square)) - v_set1(3.420433358673399), c);
}

/* ---- modified Bessel functions of order 0 and 1 ---- */

/* exp(-x) I0(x), exp(-x) I1(x) / x for x in [0, 8], and sqrt(x) exp(-x) I(x) by 8 / x, as sums of
 * Chebyshev polynomials */
static const double bessel_0_near[] = {
    0.3383976372047380425, -0.30468267234319839868, 0.17162090152220877535,
    -0.094901097048047644421, 0.049305284239670708488, -0.023737414805899468816,
    0.010546460394594998318, -0.0043243099950505759443, 0.0016394756169413357984,
    -0.00057637557453858236588, 0.00018850288509584165573, -0.00005754195010082103704,
    0.000016448448070728897089, -4.4167383584587505636e-6, 1.1173875391201037182e-6,
    -2.6707938539406117339e-7, 6.0469950225419189493e-8, -1.3000250099862480421e-8,
    2.6598237246823866503e-9, -5.1897956016352629067e-10, 9.6758090353732369122e-11,
    -1.7268262914415557072e-11, 2.9550526631296398346e-12, -4.8564467831119294609e-13,
    7.6761854986049356169e-14, -1.1685332877993451681e-14, 1.7153912855551330306e-15,
    -2.4312798465479546936e-16, 3.3307945188222380978e-17};
static const double bessel_1_near[] = {
    0.12629359322181682741, -0.17641651835783405515, 0.10264365868984709538,
    -0.052945981208094991427, 0.024726449030626516828, -0.010564084894626198156,
    0.0041564229443128881567, -0.001513572450631253149, 0.0005122859561685757729,
    -0.00016176081582589674559, 0.000047815651075500542264, -0.000013273163656039435828,
    3.4702513081376784767e-6, -8.5687202646954547407e-7, 2.0032947535521352623e-7,
    -4.4450591287963280807e-8, 9.3815373864957717839e-9, -1.8872497517228292879e-9,
    3.625590281552117037e-10, -6.6634897235020277422e-11, 1.1736186298890901631e-11,
    -1.9839743977649437152e-12, 3.2237933659455747098e-13, -5.0421855047279116871e-14,
    7.6006842947354069341e-15, -1.105596947735386308e-15, 1.5536319577362004689e-16,
    -2.1114212143581660782e-17, 2.7779141127610463705e-18};
static const double bessel_0_far[] = {
    0.4022452055070544158, 0.0033691164782556940899, 0.000068897583469168239843,
    2.891370520834756483e-6, 2.0489185894690637418e-7, 2.2666689904981780646e-8,
    3.3962320257083863452e-9, 4.9406023882249695891e-10, 1.1889147107846438342e-11,
    -3.1499165279632413645e-11, -1.3215811840447713119e-11, -1.7941785315068061176e-12,
    7.1801244513836662315e-13, 3.8527783827421426993e-13, 1.5400862175214099371e-14,
    -4.1505693472872222104e-14, -9.554846698828309507e-15, 3.8116806693526301129e-15,
    1.7725601330565201705e-15, -3.4254856196773994653e-16, -2.8276239805160517351e-16,
    3.4612228676954782266e-17, 4.4656214202798509629e-17, -4.8305044855958481332e-18,
    -7.2331804877788667494e-18, 9.9214753971384948507e-19, 1.1936508928072933947e-18};
static const double bessel_1_far[] = {
    0.38928811750914006024, -0.0097610974913614684078, -0.00011058893876262371629,
    -3.8825648088776903935e-6, -2.5122362378702089253e-7, -2.6314688468895195068e-8,
    -3.835380385964237022e-9, -5.5897434621965838069e-10, -1.8974958123505412345e-11,
    3.2526035830154882386e-11, 1.4125807436613781332e-11, 2.0356285441470895071e-12,
    -7.1985517762459085099e-13, -4.0835511110921973164e-13, -2.1015418427726644245e-14,
    4.2724400167119514831e-14, 1.0420276984128804581e-14, -3.8144030724370156118e-15,
    -1.880354775510775883e-15, 3.3082023109211069896e-16, 2.9626289976454076856e-16,
    -3.2095259219912010563e-17, -4.6503053684724290354e-17, 4.4143483227136700145e-18,
    7.5172963107610029944e-18, -9.3141788521405170375e-19, -1.2421932772391838486e-18};
/* c[0] + c[1] T_1(t) + ... by Clenshaw's recurrence */
static vec v_chebyshev(vec t, const double *c, int n) {
    const vec twice = t + t;
    vec a = {0}, b = {0};
    for (int i = n - 1; i > 0; i--) {
        const vec next = v_fma(twice, a, v_set1(c[i]) - b);
        b = a;
        a = next;
    }
    return v_fma(t, a, v_set1(c[0]) - b);
}

/* exp(-|x|) I(x) */
SPECIAL v_bessel_scaled(vec x, int order, int precise) {
    const vec size = v_abs(x), eight = v_set1(8.0), one = ALL_LANES;
    const mask far = size > eight;
    const vec inside = v_fma(v_min(eight, size), v_set1(0.25), -one);
    vec near = v_chebyshev(inside, order ? bessel_1_near : bessel_0_near, precise ? 29 : 20);
    if (order) near *= x;
    if (!v_any(far)) return near;
    const vec t = v_fma(v_set1(16.0), one / v_max(eight, size), -one);
    vec beyond = v_chebyshev(t, order ? bessel_1_far : bessel_0_far, precise ? 27 : 9) / v_sqrt(size);
    if (order) beyond = v_copysign(beyond, x);
    return v_select(far, beyond, near);
}

SPECIAL v_bessel(vec x, int order, int precise) {
    const vec scaled = v_bessel_scaled(x, order, precise), size = v_abs(x);
    /* in two steps, as exp(x) overflows first */
    const vec half = v_exp(v_set1(0.5) * size);
    return v_select(size == V_INF, order ? x : size, scaled * half * half);
}

/* ---- sin(pi x) / (pi x) ---- */

/* -1 where the nearest whole number is odd, else 1 */
V_INLINE vec v_turn_sign(vec whole) {
    const vec half = v_set1(0.5) * whole;
    return v_select(half == v_round(half), ALL_LANES, -ALL_LANES);
}

SPECIAL v_sinc(vec x) {
    const vec whole = v_round(x), turns = x * 3.14159265358979323846;
    const vec wave = v_turn_sign(whole) * v_sin_turn(x - whole);
    return v_select(x == (vec){0}, ALL_LANES, wave / turns);
}

/* its derivative: where cos(pi x) and sinc(x) are nearly equal, a sum of powers */
SPECIAL v_sinc_slope(vec x) {
    static const double c[] = { /* sinc'(u / pi) / u in u^2, up to u = 1/2 */
        -1.04719755119659775, 0.104719755119659775, -0.00373999125427356338, 0.0000692590973013622848,
        -7.870351966063896e-7, 6.05411689697222769e-9, -3.36339827609568205e-11, 1.41319255298137901e-13};
    const vec u = x * 3.14159265358979323846, whole = v_round(x), off = v_abs(x - whole);
    const vec cosine = v_turn_sign(whole) * v_sin_turn(v_set1(0.5) - off);
    const vec far = (cosine - v_sinc(x)) / x;
    return v_select(v_abs(u) < v_set1(0.5), u * v_poly(u * u, c), far);
}

/* ---- of two numbers ---- */

/* x log(y), or x log(1 + y): 0 where x is, unless y is NaN */
SPECIAL v_log_product(vec x, vec y, int plus_one) {
    const vec product = x * (plus_one ? v_log1p(y) : v_log(y));
    return v_select((x == (vec){0}) & ~v_isnan(y), (vec){0}, product);
}

V_INLINE vec v_special_pair_of(vec x, vec y, int which) {
    switch (which) {
    case PAIR_XLOGY: return v_log_product(x, y, 0);
    case PAIR_XLOG1PY: return v_log_product(x, y, 1);
    case PAIR_LOGADDEXP: return v_logaddexp(x, y, 1.0);
    default: return v_logaddexp(x, y, 0.69314718055994530942);
    }
}

V_INLINE vec v_special_of(vec x, int which, double n, int precise) {
    switch (which) {
    case SPECIAL_LGAMMA: return v_lgamma(x);
    case SPECIAL_DIGAMMA: return v_digamma(x);
    case SPECIAL_POLYGAMMA: return v_polygamma(x, n, precise);
    case SPECIAL_ERFINV: return v_erfinv(x);
    case SPECIAL_NDTRI: return v_ndtri(x);
    case SPECIAL_I0: return v_bessel(x, 0, precise);
    case SPECIAL_I0E: return v_bessel_scaled(x, 0, precise);
    case SPECIAL_I1: return v_bessel(x, 1, precise);
    case SPECIAL_I1E: return v_bessel_scaled(x, 1, precise);
    case SPECIAL_SINC: return v_sinc(x);
    default: return v_sinc_slope(x);
    }
}

V_INLINE vec K(v_special)(vec x, int which, double n) { return v_special_of(x, which, n, 1); }

V_INLINE vec K(v_wide_pair)(vec x, vec y, int which) { return v_special_pair_of(x, y, which); }

#undef SPECIAL
#undef ALL_LANES
#else

V_INLINE vec K(v_special)(vec x, int which, double n) {
    vec_t_f64 halves[2];
    v_widen_both(x, halves);
    if (which == SPECIAL_ERFINV) {
        for (int i = 0; i < 2; i++) halves[i] *= v_erfinv_short(halves[i]);
        return ERFINV_EDGES(x, v_narrow_both(halves));
    }
    for (int i = 0; i < 2; i++) halves[i] = v_special_of(halves[i], which, n, 0);
    return v_narrow_both(halves);
}

V_INLINE vec K(v_wide_pair)(vec x, vec y, int which) {
    vec_t_f64 first[2], second[2];
    v_widen_both(x, first);
    v_widen_both(y, second);
    for (int i = 0; i < 2; i++) first[i] = v_special_pair_of(first[i], second[i], which);
    return v_narrow_both(first);
}

#undef ERFINV_EDGES
#endif

/* the number next to x on the way to y */
V_INLINE vec K(v_nextafter)(vec x, vec y) {
    const vec zero = {0}, least = (vec)((mask){0} + 1);
    /* away from 0 the bits count up, of either sign */
    const mask shrinks = (x < y) != (x > zero);
    vec next = (vec)((mask)x + (shrinks | 1));
    next = v_select(x == zero, v_copysign(least, y), next);
    return v_select(x == y, y, v_select(x != x, x, v_select(y != y, y, next)));
}

V_INLINE vec K(v_special_pair)(vec x, vec y, int which) {
    if (which == PAIR_NEXTAFTER) return K(v_nextafter)(x, y);
    if (which == PAIR_HEAVISIDE) {
        const vec zero = {0}, one = v_set1((REAL)1);
        return v_select(x == zero, y, v_select(x > zero, one, zero));
    }
    return K(v_wide_pair)(x, y, which);
}
#endif
