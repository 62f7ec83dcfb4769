/* Draws from distributions by rejection, and the slope of gamma-distributed numbers.
 *
 * Every function is of doubles and takes its logarithms, exponentials and lgamma from here rather than from
 * special_tpl.h, so that the bits are the same wherever it runs; float32 gets the rounded result. Where a
 * function is not smooth enough for one formula, recurrences carry the argument to where a series is exact
 * to the last digits: near 2 for lgamma, from 10 or 12 on for the asymptotic ones.
 */
#include "math/special.h"

#include <math.h>
#include <string.h>

#include "core.h"
#include "math/gamma.h"
#include "math/quantile.h"

#define LOG_2 0.69314718055994530942
#define HALF_LOG_2_PI 0.91893853320467274178
#define LENGTH(c) ((int)(sizeof(c) / sizeof *(c)))

static PYAD_ONCE double poly(double x, const double *c, int n) {
    double y = c[n - 1];
    for (int i = n - 2; i >= 0; i--) y = y * x + c[i];
    return y;
}

/* log x, also of subnormal numbers, 0 and infinity */
static PYAD_ONCE double logarithm(double x) {
    if (!(x > 0)) return x == 0 ? -INFINITY : NAN;
    if (x == INFINITY) return x;
    return x < 0x1p-1022 ? quantile_log(x * 0x1p54) - 54 * LOG_2 : quantile_log(x);
}

/* log(1 + x): what 1 + x lost is put back */
static double logarithm_1p(double x) {
    double all = 1 + x;
    return all <= 0 || all == INFINITY ? logarithm(all) : logarithm(all) - ((all - 1) - x) / all;
}

static PYAD_ONCE double exponential(double x) {
    if (x != x) return x;
    if (x > 709.79) return INFINITY;
    if (x < -745.2) return 0;
    static const double c[] = {1.0,        1.0,         1.0 / 2,       1.0 / 6,       1.0 / 24,
                               1.0 / 120,  1.0 / 720,   1.0 / 5040,    1.0 / 40320,   1.0 / 362880,
                               1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    double k = rint(x * 1.44269504088896340736);
    double rest = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    /* two powers of two, as one could over- or underflow before the end */
    int64_t whole = (int64_t)k, half = whole / 2, bits[2] = {half + 1023, whole - half + 1023};
    double scale[2];
    for (int i = 0; i < 2; i++) {
        bits[i] <<= 52;
        memcpy(scale + i, bits + i, sizeof *scale);
    }
    return poly(rest, c, LENGTH(c)) * scale[0] * scale[1];
}

double pyad_exp(double x) { return exponential(x); }

double pyad_log(double x) { return logarithm(x); }

/* ---- the gamma function's logarithm and its derivatives ---- */

/* log Gamma(2 + t), -1 <= t <= 1; exact zeros at both of the function's */
static PYAD_ONCE double lgamma_near(double t) {
    return t * (t + 1) * poly(t, lgamma_near_c, LENGTH(lgamma_near_c)) + 0.0; /* no -0 */
}

/* log Gamma(1 + x), 0 <= x <= 1; a small x stays what it is */
static double lgamma_1p(double x) {
    return x < 0.5 ? lgamma_near(x) - logarithm_1p(x) : lgamma_near(x - 1);
}

static PYAD_ONCE double lgamma_positive(double x) {
    if (x < 1) return lgamma_1p(x) - logarithm(x);
    if (x <= 3) return lgamma_near(x - 2);
    if (x >= 10) {
        double small = 1 / x;
        return (x - 0.5) * (logarithm(x) - 1) + (HALF_LOG_2_PI - 0.5) +
               small * poly(small * small, lgamma_far_c, LENGTH(lgamma_far_c));
    }
    double product = 1;
    for (; x > 3; product *= x) x -= 1;
    return logarithm(product) + lgamma_near(x - 2);
}

static PYAD_ONCE double digamma_positive(double x) {
    double sum = 0;
    for (; x < 10; x += 1) sum += 1 / x;
    double small = 1 / x, square = small * small;
    return logarithm(x) - 0.5 * small - square * poly(square, digamma_far_c, LENGTH(digamma_far_c)) - sum;
}

/* ---- the normal distribution ---- */

static PYAD_ONCE double normal_quantile(double p) { return quantile_normal(p); }

/* ---- the derivative of gamma draws ---- */

/* Implicit: with F the distribution function and u = F(shape, x) kept, dx / dshape is
 * -(dF / dshape) / (dF / dx) (Figurnov et al., "Implicit reparameterization gradients", 2018). Both
 * formulas below divide by the density before anything could vanish.
 */

/* By the series x^a exp(-x) / Gamma(a + 1) sum x^n / ((a + 1) ... (a + n)), x <= a + 1. */
static double slope_below(double a, double x, double log_x) {
    double term = 1, slope = 0, sum = 1, slopes = 0;
    for (int n = 1; n < 10000; n++) {
        term *= x / (a + n);
        slope += 1 / (a + n); /* of -log term */
        sum += term;
        slopes -= term * slope;
        if (term * (1 + slope) < 0x1p-56 * sum) break;
    }
    return -(sum * (log_x - digamma_positive(a + 1)) + slopes) / a;
}

/* By the continued fraction of the upper tail, x^a exp(-x) / Gamma(a) C, and its derivative, x > a + 1:
 * Lentz's algorithm, each quantity beside its derivative to a. */
static double slope_above(double a, double x, double log_x) {
    double b = x + 1 - a, db = -1;
    double d = 1 / b, dd = -d * d * db, c = 1e300, dc = 0, h = d, dh = dd;
    for (int n = 1; n < 10000; n++) {
        double p = -n * (n - a), dp = n;
        b += 2;
        double e = p * d + b, de = dp * d + p * dd + db;
        d = 1 / e, dd = -d * d * de;
        double f = b + p / c, df = db + dp / c - p / c * (dc / c);
        c = f, dc = df;
        double factor = c * d, dfactor = dc * d + c * dd;
        dh = dh * factor + h * dfactor;
        h *= factor;
        if (fabs(factor - 1) < 0x1p-52 && fabs(dfactor) * h < 0x1p-52 * fabs(dh)) break;
    }
    return h * (log_x - digamma_positive(a)) + dh;
}

/* For large shapes: w + log(u / w) / w is normal but for errors of a^-3/2 (Barndorff-Nielsen's r*). As
 * a function of d = log(x / a) it is sqrt(a) s(d) + f(d) / sqrt(a). */
static double slope_of_large(double a, double d) {
    static const double s_c[] = { /* s / d */
        1.0, 0.1666666666666666667, 0.02777777777777777777, 0.003703703703703703705,
        0.0003858024691358032065, 0.00003123162845385044572, 2.020870076375276229e-6,
        1.224769743445526885e-7};
    static const double f_c[] = {
        0.3333333333333333333, -0.02777777777777777778, -0.005246913580246913289,
        0.0001028806584362140484, 0.0001102292768958891103, 4.062152981895501645e-6,
        -1.983446552773904497e-6, -1.599004935411513466e-7};
    double s, ds, f, df;
    if (fabs(d) < 0.1) {
        s = d * poly(d, s_c, LENGTH(s_c)), f = poly(d, f_c, LENGTH(f_c));
        ds = 0, df = 0;
        for (int k = LENGTH(s_c) - 1; k >= 0; k--) ds = ds * d + (k + 1) * s_c[k];
        for (int k = LENGTH(f_c) - 1; k >= 1; k--) df = df * d + k * f_c[k];
    } else {
        double e = exponential(d);
        s = copysign(sqrt(2 * (e - 1 - d)), d);
        double ratio = logarithm((e - 1) / s);
        ds = (e - 1) / s;
        f = ratio / s;
        df = ((e / (e - 1) - ds / s) - f * ds) / s;
    }
    return 1 / a - 0.5 * (s - f / a) / (a * ds + df);
}

#define LARGE_SHAPE 1000

double pyad_gamma_slope(double shape, double log_x) {
    if (!(shape > 0) || log_x != log_x) return NAN;
    if (shape > LARGE_SHAPE) return slope_of_large(shape, log_x - logarithm(shape));
    double x = exponential(log_x);
    return x <= shape + 1 ? slope_below(shape, x, log_x) : slope_above(shape, x, log_x);
}

/* ---- draws ---- */

/* The place of a number in Philox's sequence (philox.h, whose vectors are not for one number). The
 * tries of a rejection, and a second purpose, have streams of their own. */
typedef struct {
    uint64_t seed, stream, place;
} source;

/* The most tries, which all but never happens, and where a second purpose has its numbers. */
#define MOST_TRIES 200
#define SECOND_PURPOSE 255

/* Two numbers in (0, 1), of 52 bits. */
static void draw_two(const source *from, uint64_t again, double u[2]) {
    uint64_t stream = from->stream + (again << 56);
    uint32_t c[4] = {(uint32_t)from->place, (uint32_t)(from->place >> 32), (uint32_t)stream,
                     (uint32_t)(stream >> 32)};
    uint32_t k0 = (uint32_t)from->seed, k1 = (uint32_t)(from->seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t p0 = (uint64_t)c[0] * 0xD2511F53u, p1 = (uint64_t)c[2] * 0xCD9E8D57u;
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)p0;
    }
    for (int i = 0; i < 2; i++) {
        uint64_t wide = c[2 * i] | (uint64_t)c[2 * i + 1] << 32;
        u[i] = ((double)(int64_t)(wide >> 12) + 0.5) * 0x1p-52;
    }
}

/* Marsaglia and Tsang, "A simple method for generating gamma variables", 2000. A shape below 1 is that
 * of 1 more, times a power of a uniform number, which may be too small for any but its logarithm. */
static double draw_gamma(const source *from, double shape, int log_wanted) {
    if (!(shape >= 0)) return NAN;
    if (shape == 0) return log_wanted ? -INFINITY : 0;
    double u[2], v = 1, d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (uint64_t again = 0; again < MOST_TRIES; again++) {
        draw_two(from, again, u);
        double z = normal_quantile(u[0]);
        v = 1 + c * z;
        if (v <= 0) continue;
        v = v * v * v;
        if (logarithm(u[1]) < 0.5 * z * z + d - d * v + d * logarithm(v)) break;
    }
    if (shape >= 1) return log_wanted ? logarithm(d * v) : d * v;
    draw_two(from, SECOND_PURPOSE, u);
    double power_log = logarithm(u[0]) / shape;
    return log_wanted ? logarithm(d * v) + power_log : d * v * exponential(power_log);
}

/* By its distribution function, or of a large rate by Hoermann, "The transformed rejection method for
 * generating Poisson random variables", 1993. */
static double draw_poisson(const source *from, double rate) {
    if (!(rate >= 0 && rate < INFINITY)) return NAN;
    double u[2], k = 0;
    if (rate < 10) {
        draw_two(from, 0, u);
        double chance = exponential(-rate), sum = chance;
        while (u[0] > sum && chance > 0) {
            k += 1;
            chance *= rate / k;
            sum += chance;
        }
        return k;
    }
    double b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b, log_rate = logarithm(rate);
    double inverse = 1.1239 + 1.1328 / (b - 3.4), quick = 0.9277 - 3.6224 / (b - 2);
    for (uint64_t again = 0; again < MOST_TRIES; again++) {
        draw_two(from, again, u);
        double x = u[0] - 0.5, left = 0.5 - fabs(x);
        k = floor((2 * a / left + b) * x + rate + 0.43);
        if (left >= 0.07 && u[1] <= quick) return k;
        if (k < 0 || (left < 0.013 && u[1] > left)) continue;
        double most = k * log_rate - rate - lgamma_positive(k + 1);
        if (logarithm(u[1] * inverse / (a / (left * left) + b)) <= most) return k;
    }
    return floor(rate);
}

/* The same for p <= 1/2; of many trials by Hoermann, "The generation of binomial random variates",
 * 1993. */
static double draw_rare(const source *from, double n, double p) {
    double u[2], k = 0, q = 1 - p, odds = p / q;
    if (n * p < 10) {
        draw_two(from, 0, u);
        double chance = exponential(n * logarithm_1p(-p)), sum = chance;
        while (u[0] > sum && k < n && chance > 0) {
            k += 1;
            chance *= (n + 1 - k) / k * odds;
            sum += chance;
        }
        return k;
    }
    double spread = sqrt(n * p * q), b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
    double centre = n * p + 0.5, scale = (2.83 + 5.1 / b) * spread, quick = 0.92 - 4.2 / b;
    double m = floor((n + 1) * p), height = lgamma_positive(m + 1) + lgamma_positive(n - m + 1);
    for (uint64_t again = 0; again < MOST_TRIES; again++) {
        draw_two(from, again, u);
        double x = u[0] - 0.5, left = 0.5 - fabs(x);
        k = floor((2 * a / left + b) * x + centre);
        if (k < 0 || k > n) continue;
        if (left >= 0.07 && u[1] <= quick) return k;
        double most = height - lgamma_positive(k + 1) - lgamma_positive(n - k + 1) +
                      (k - m) * logarithm(odds);
        if (logarithm(u[1] * scale / (a / (left * left) + b)) <= most) return k;
    }
    return m;
}

static double draw_binomial(const source *from, double n, double p) {
    if (!(n >= 0 && n < INFINITY && p >= 0 && p <= 1)) return NAN;
    n = floor(n);
    return p <= 0.5 ? draw_rare(from, n, p) : n - draw_rare(from, n, 1 - p);
}

double pyad_draw(int kind, uint64_t seed, uint64_t stream, uint64_t place, double a, double b) {
    const source from = {seed, stream, place};
    if (kind == DRAW_POISSON) return draw_poisson(&from, a);
    if (kind == DRAW_BINOMIAL) return draw_binomial(&from, a, b);
    return draw_gamma(&from, a, kind == DRAW_LOG_GAMMA);
}
