/* Numbers of the gamma, Poisson and binomial distributions: of one double each, compiled once for all
 * machines (special.c), as nothing in them is a loop over elements. And how functions of statistics are
 * counted, which are computed by vectors (special_tpl.h).
 */
#ifndef PYAD_SPECIAL_H
#define PYAD_SPECIAL_H

#include <stdint.h>

/* The functions; as ops/eltwise/special.py counts them. */
enum {
    SPECIAL_LGAMMA,
    SPECIAL_DIGAMMA,
    SPECIAL_POLYGAMMA, /* the derivative number n >= 1 of digamma */
    SPECIAL_ERFINV,
    SPECIAL_NDTRI,
    SPECIAL_I0,
    SPECIAL_I0E,
    SPECIAL_I1,
    SPECIAL_I1E,
    SPECIAL_SINC,
    SPECIAL_SINC_SLOPE
};

/* Those of two numbers; as ops/eltwise/special_pairs.py counts them. */
enum { PAIR_XLOGY, PAIR_XLOG1PY, PAIR_LOGADDEXP, PAIR_LOGADDEXP2, PAIR_HEAVISIDE, PAIR_NEXTAFTER };

/* As exp and log of the C library, but of the same bits everywhere. */
double pyad_exp(double x);
double pyad_log(double x);

/* The derivative of the logarithm of a gamma-distributed number to its shape. */
double pyad_gamma_slope(double shape, double log_x);

/* The kinds of draws; as ops/draws.py counts them. */
enum { DRAW_GAMMA, DRAW_LOG_GAMMA, DRAW_POISSON, DRAW_BINOMIAL };
/* The number of a kind at a place of Philox's sequence: `a` is the shape, the rate or how many trials,
 * `b` the chance of each trial. NaN where there is no such distribution. */
double pyad_draw(int kind, uint64_t seed, uint64_t stream, uint64_t place, double a, double b);

#endif
