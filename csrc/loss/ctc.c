/* Connectionist temporal classification (Graves et al., "Connectionist temporal classification:
 * labelling unsegmented sequence data with recurrent neural networks", 2006).
 *
 * States are the labels with a blank before, between and after them. alpha[t][i] is the logarithm of
 * the probability of all that is seen up to time t by ways that are in state i then; beta the same of
 * what comes after. Both recursions go over times, then states, in double and in logarithms, so that
 * no probability is too small. All of alpha is kept for the gradient, of beta two rows.
 */
#include "loss/ctc.h"

#include <math.h>

#include "math/special.h"

static double at(const ctc_sequence *s, int64_t t, int64_t class) {
    int64_t i = t * s->stride + class;
    return s->wide ? ((const double *)s->log_probs)[i] : (double)((const float *)s->log_probs)[i];
}

static int64_t class_of(const ctc_sequence *s, int64_t state) {
    return state % 2 ? s->labels[state / 2] : s->blank;
}

/* Whether a way may go from state - 2 past the blank between: two labels, not the same ones. */
static int may_skip(const ctc_sequence *s, int64_t state) {
    return state % 2 && state > 1 && s->labels[state / 2] != s->labels[state / 2 - 1];
}

static double larger(double a, double b) { return a > b ? a : b; }

/* log(exp(a) + exp(b) + exp(c)) */
static double log_sum(double a, double b, double c) {
    double most = larger(larger(a, b), c);
    if (!(most > -INFINITY)) return a + b + c; /* -inf, or the NaN */
    double sum = 0, each[3] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        if (each[i] == most) {
            sum += 1;
        } else if (!(each[i] < most - 40)) {
            sum += pyad_exp(each[i] - most);
        }
    }
    return most + pyad_log(sum);
}

static double run_forward(const ctc_sequence *s, double *alpha) {
    const int64_t states = 2 * s->count + 1;
    for (int64_t t = 0; t < s->times; t++) {
        double *now = alpha + t * states;
        const double *before = now - states;
        for (int64_t i = 0; i < states; i++) {
            if (t == 0) {
                now[i] = i < 2 ? at(s, 0, class_of(s, i)) : -INFINITY;
                continue;
            }
            double sum = log_sum(before[i], i > 0 ? before[i - 1] : -INFINITY,
                                 may_skip(s, i) ? before[i - 2] : -INFINITY);
            now[i] = sum + at(s, t, class_of(s, i));
        }
    }
    const double *last = alpha + (s->times - 1) * states;
    return log_sum(last[states - 1], states > 1 ? last[states - 2] : -INFINITY, -INFINITY);
}

static void put_row(const ctc_sequence *s, int64_t t, const double *row, void *grad) {
    for (int64_t c = 0; c < s->classes; c++) {
        int64_t i = t * s->stride + c;
        if (s->wide) {
            ((double *)grad)[i] = row[c];
        } else {
            ((float *)grad)[i] = (float)row[c];
        }
    }
}

/* beta of one time from that of the next, whose `seen` is beta and what is seen there */
static void step_back(const ctc_sequence *s, const double *seen, double *beta) {
    const int64_t states = 2 * s->count + 1;
    for (int64_t i = 0; i < states; i++) {
        beta[i] = log_sum(seen[i], i + 1 < states ? seen[i + 1] : -INFINITY,
                          i + 2 < states && may_skip(s, i + 2) ? seen[i + 2] : -INFINITY);
    }
}

static void run_backward(const ctc_sequence *s, const double *alpha, double total, double *beta,
                         double *row, void *grad) {
    const int64_t states = 2 * s->count + 1;
    double *seen = beta + states;
    for (int64_t t = s->times - 1; t >= 0; t--) {
        if (t == s->times - 1) {
            for (int64_t i = 0; i < states; i++) beta[i] = i < states - 2 ? -INFINITY : 0;
        } else {
            step_back(s, seen, beta);
        }
        for (int64_t c = 0; c < s->classes; c++) row[c] = 0;
        for (int64_t i = 0; i < states; i++) {
            int64_t class = class_of(s, i);
            row[class] -= pyad_exp(alpha[t * states + i] + beta[i] - total);
            seen[i] = beta[i] + at(s, t, class);
        }
        put_row(s, t, row, grad);
    }
}

double pyad_ctc(const ctc_sequence *s, double *scratch, void *grad) {
    if (s->times == 0) return s->count ? INFINITY : 0;
    const int64_t states = 2 * s->count + 1;
    double *beta = scratch + s->times * states;
    double total = run_forward(s, scratch);
    if (grad) run_backward(s, scratch, total, beta, beta + 2 * states, grad);
    return -total;
}
