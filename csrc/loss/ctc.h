/* Connectionist temporal classification of one sequence; compiled once for all machines (ctc.c). */
#ifndef PYAD_CTC_H
#define PYAD_CTC_H

#include <stdint.h>

/* A sequence: log-probabilities of classes at each time, `stride` elements from one to the next, of
 * doubles (wide) or floats; and the labels that it should give. */
typedef struct {
    const void *log_probs;
    int wide;
    int64_t stride, times, classes;
    const int64_t *labels;
    int64_t count, blank;
} ctc_sequence;

/* Doubles that pyad_ctc needs for so many times, labels and classes. */
#define CTC_SCRATCH(times, count, classes) (((times) + 2) * (2 * (count) + 1) + (classes))

/* Minus the logarithm of the probability of the labels. With a `grad`, of the type and stride of
 * log_probs, its derivatives go there; those of an impossible sequence are NaN. */
double pyad_ctc(const ctc_sequence *s, double *scratch, void *grad);

#endif
