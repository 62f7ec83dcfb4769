/* The inverse of the normal distribution function, in double (Wichura, "Algorithm AS 241", 1988,
 * PPND16; relative error about 1e-16), with a logarithm of our own so that every machine of an ISA
 * gives the same bits.
 */
#ifndef PYAD_QUANTILE_H
#define PYAD_QUANTILE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline double quantile_poly(double x, const double c[8]) {
    double y = c[7];
    for (int i = 6; i >= 0; i--) y = y * x + c[i];
    return y;
}

/* log x for a normal, positive x: 2^k (1 + f) with 1 + f near 1, then a series in f / (2 + f). */
static inline double quantile_log(double x) {
    static const double c[8] = {0.0,
                                6.666666666666735130e-01,
                                3.999999999940941908e-01,
                                2.857142874366239149e-01,
                                2.222219843214978396e-01,
                                1.818357216161805012e-01,
                                1.531383769920937332e-01,
                                1.479819860511658591e-01};
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t k = (bits - 0x3FE6A09E667F3BCD) >> 52; /* of sqrt(1/2) */
    bits -= k << 52;
    memcpy(&x, &bits, sizeof bits);
    double f = x - 1, s = f / (2 + f), half = 0.5 * f * f;
    double tail = s * (half + quantile_poly(s * s, c));
    return (double)k * 6.93147180369123816490e-01 -
           ((half - (tail + (double)k * 1.90821492927058770002e-10)) - f);
}

/* Numerators and denominators: around 1/2, in the tails, far out in them. */
static const double quantile_inside[2][8] = {
    {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3},
    {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3}};
static const double quantile_tail[2][8] = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9}};
static const double quantile_far[2][8] = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}};

/* z with P(Z < z) = 1/2 + q, -1/2 < q < 1/2; `tail` is 1/2 - |q|, the chance on its side. */
static inline double quantile_from(double q, double tail) {
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * quantile_poly(r, quantile_inside[0]) / quantile_poly(r, quantile_inside[1]);
    }
    double r = sqrt(-quantile_log(tail));
    double z = r <= 5 ? quantile_poly(r - 1.6, quantile_tail[0]) / quantile_poly(r - 1.6, quantile_tail[1])
                      : quantile_poly(r - 5, quantile_far[0]) / quantile_poly(r - 5, quantile_far[1]);
    return q < 0 ? -z : z;
}

/* z with P(Z < z) = p, 0 < p < 1. */
static inline double quantile_normal(double p) {
    double q = p - 0.5;
    return quantile_from(q, q < 0 ? p : 1 - p);
}

#endif
