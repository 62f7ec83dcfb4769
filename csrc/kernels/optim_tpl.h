/* Optimizer steps and gradient clipping over all parameters of a group in one call.
 *
 * Parameters, gradients and states come as tables of dense arrays that lie alike, so each is a flat
 * run of memory. The team splits each of them, but small ones, into equal parts in whole vectors, as
 * the kernels before and after do: a thread finds most of its part in its own cache, and what has left
 * the caches is shared evenly. One pass reads and writes every array once, which is what the step
 * costs.
 *
 * Hyperparameters are read from a float64 array that the optimizer keeps for each group, so that a
 * schedule works for a recorded step too.
 */
#ifdef REAL
#include "math_tpl.h"
#include "stream.h"

/* elements: parts begin at multiples of a cache line */
#define OPTIM_BLOCK 64
/* Tensors of fewer elements are the caller's alone, as most kernels that read them are: each line that
 * two threads write and read in turn takes longer on its way than its elements do. Of a great many of
 * them the rest is shared all the same. */
#define OPTIM_SMALL 16384
#define OPTIM_ALONE 65536
/* the gradients' norm is summed in so many parts, whatever the number of threads */
#define OPTIM_PARTS 64

static inline const pyad_array *K(table_entry)(const pyad_array *table, int64_t i) {
    return (const pyad_array *)table->data + i;
}

static inline REAL *K(table_data)(const pyad_array *table, int64_t i) {
    return K(table_entry)(table, i)->data;
}

static int64_t K(table_numel)(const pyad_array *table) {
    int64_t n = 0;
    for (int64_t i = 0; i < table->shape[0]; i++) n += pyad_numel(K(table_entry)(table, i));
    return n;
}

/* A thread's part of each tensor in turn. */
typedef struct {
    const pyad_array *table;
    const team *team;
    int64_t i, from, to; /* the tensor; elements of it */
    int64_t alone;       /* elements that were the caller's */
} K(walk);

static inline K(walk) K(walk_part)(const pyad_array *table, const team *t) {
    return (K(walk)){table, t, -1, 0, 0, 0};
}

/* Go on to the next tensor that has a part; 0 at the end. */
static inline int K(walk_next)(K(walk) *w) {
    while (++w->i < w->table->shape[0]) {
        int64_t n = pyad_numel(K(table_entry)(w->table, w->i));
        if (n < OPTIM_SMALL && w->alone + n <= OPTIM_ALONE) {
            w->from = 0, w->to = w->team->ith == 0 ? n : 0;
            w->alone += n;
        } else {
            team_range(w->team, n, OPTIM_BLOCK, &w->from, &w->to);
        }
        if (w->from < w->to) return 1;
    }
    return 0;
}

/* Whether the thread's parts together leave the caches (stream.h). */
static inline int K(parts_stream)(const pyad_array *grads, const team *t) {
    return streams(K(table_numel)(grads) / t->nth * (int64_t)sizeof(REAL));
}

/* What comes after element k, while that is worked on; states may be NULL. */
static inline void K(ask_ahead)(int64_t k, const REAL *grad, const REAL *param, const REAL *first,
                                const REAL *second) {
    k += STREAM_AHEAD / (int64_t)sizeof(REAL);
    ask_to_read(grad + k);
    ask_to_write(param + k);
    if (first != NULL) ask_to_write(first + k);
    if (second != NULL) ask_to_write(second + k);
}

/* v_load and v_store of the n elements that are left, if fewer than a vector. */
#define FOR_VECTORS(w, k, left) \
    for (int64_t k = (w).from, left = (w).to - k; left > 0; k += VL, left -= VL)

/* ---- SGD ---- */

static int K(sgd_step)(const void *args, const team *t) {
    const sgd_step_args *a = args;
    const double *h = a->hyper.data;
    const vec minus_lr = v_set1((REAL)-h[0]), momentum = v_set1((REAL)h[1]);
    const vec fresh = v_set1((REAL)(1 - h[2])), decay = v_set1((REAL)h[3]);
    const vec sign = v_set1(a->maximize ? (REAL)-1 : (REAL)1);
    const int decays = h[3] != 0, remembers = h[1] != 0;
    const int far = K(parts_stream)(&a->grads, t);
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict buffer = remembers ? K(table_data)(&a->buffers, w.i) : NULL;
        FOR_VECTORS(w, k, left) {
            if (far) K(ask_ahead)(k, grad, param, buffer, NULL);
            vec g = v_load_live(grad + k, left) * sign, p = v_load_live(param + k, left);
            if (decays) g = v_fma(decay, p, g);
            if (remembers) {
                vec b = a->first ? g : v_fma(momentum, v_load_live(buffer + k, left), fresh * g);
                v_store_live(buffer + k, b, left);
                g = a->nesterov ? v_fma(momentum, b, g) : b;
            }
            v_store_live(param + k, v_fma(minus_lr, g, p), left);
        }
    }
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(sgd_step, sgd_step_args, 2 * K(table_numel)(&a->grads), 0, 0)

/* ---- Adam ---- */

/* b^n for a whole n, by squaring */
static double K(power)(double b, double n) {
    double r = 1;
    for (int64_t k = (int64_t)n; k > 0; k >>= 1, b *= b) {
        if (k & 1) r *= b;
    }
    return r;
}

/* A number that the optimizer keeps for parameter i. */
static inline float *K(scalar)(const pyad_array *table, int64_t i) {
    return (float *)K(table_entry)(table, i)->data;
}

/* Every thread has read the old count of steps when the first one counts on. */
static void K(count_steps)(const pyad_array *steps, const team *t) {
    if (t->nth > 1) team_barrier(t);
    if (t->ith != 0) return;
    for (int64_t i = 0; i < steps->shape[0]; i++) *K(scalar)(steps, i) += 1;
}

static double K(next_step)(const pyad_array *steps, int64_t i) {
    return (double)*K(scalar)(steps, i) + 1;
}

/* What Adam and its relatives do before they step: the gradient with its decay, or the parameter's, and
 * the running means of the gradient and its square. hyper: lr, beta1, beta2, eps, weight decay. */
typedef struct {
    vec sign, decay, keep2, fresh1, fresh2;
    int decays, decoupled;
} K(moments);

static inline K(moments) K(moments_of)(const double *h, int64_t decoupled, int64_t maximize) {
    return (K(moments)){.sign = v_set1(maximize ? (REAL)-1 : (REAL)1),
                        .decay = v_set1((REAL)(decoupled ? 1 - h[0] * h[4] : h[4])),
                        .keep2 = v_set1((REAL)h[2]),
                        .fresh1 = v_set1((REAL)(1 - h[1])),
                        .fresh2 = v_set1((REAL)(1 - h[2])),
                        .decays = h[4] != 0,
                        .decoupled = decoupled != 0};
}

/* `left` elements at grad, param, mean and square; the means are also stored. */
V_INLINE void K(take_in)(const K(moments) *o, const REAL *grad, const REAL *param, REAL *mean,
                         REAL *square, int64_t left, vec *g, vec *p, vec *m, vec *s) {
    *g = v_load_live(grad, left) * o->sign;
    *p = v_load_live(param, left);
    if (o->decays && o->decoupled) *p *= o->decay;
    if (o->decays && !o->decoupled) *g = v_fma(o->decay, *p, *g);
    *m = v_load_live(mean, left);
    *s = v_load_live(square, left);
    *m = v_fma(o->fresh1, *g - *m, *m);
    *s = v_fma(o->fresh2, *g * *g, o->keep2 * *s);
    v_store_live(mean, *m, left);
    v_store_live(square, *s, left);
}

/* Kingma and Ba, "Adam", 2015; decoupled: Loshchilov and Hutter, "Decoupled weight decay", 2019 */
static int K(adam_step)(const void *args, const team *t) {
    const adam_step_args *a = args;
    const double *h = a->hyper.data;
    const double lr = h[0], beta1 = h[1], beta2 = h[2];
    const vec eps = v_set1((REAL)h[3]);
    const K(moments) o = K(moments_of)(h, a->decoupled, a->maximize);
    const int far = K(parts_stream)(&a->grads, t);
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const double step = K(next_step)(&a->steps, w.i);
        const vec size = v_set1((REAL)(-lr / (1 - K(power)(beta1, step))));
        const vec correct = v_set1((REAL)(1 / sqrt(1 - K(power)(beta2, step))));
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict mean = K(table_data)(&a->means, w.i);
        REAL *restrict square = K(table_data)(&a->squares, w.i);
        REAL *restrict largest = a->amsgrad ? K(table_data)(&a->largest, w.i) : NULL;
        FOR_VECTORS(w, k, left) {
            if (far) K(ask_ahead)(k, grad, param, mean, square);
            vec g, p, m, s;
            K(take_in)(&o, grad + k, param + k, mean + k, square + k, left, &g, &p, &m, &s);
            if (a->amsgrad) {
                s = v_max(v_load_live(largest + k, left), s);
                v_store_live(largest + k, s, left);
            }
            vec width = v_fma(v_sqrt(s), correct, eps);
            v_store_live(param + k, v_fma(size, m / width, p), left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(adam_step, adam_step_args, 5 * K(table_numel)(&a->grads), 0, 0)

/* ---- RMSprop ---- */

static int K(rmsprop_step)(const void *args, const team *t) {
    const rmsprop_step_args *a = args;
    const double *h = a->hyper.data;
    const vec minus_lr = v_set1((REAL)-h[0]), alpha = v_set1((REAL)h[1]);
    const vec fresh = v_set1((REAL)(1 - h[1])), eps = v_set1((REAL)h[2]);
    const vec decay = v_set1((REAL)h[3]), momentum = v_set1((REAL)h[4]);
    const vec sign = v_set1(a->maximize ? (REAL)-1 : (REAL)1);
    const int decays = h[3] != 0, remembers = h[4] != 0;
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict square = K(table_data)(&a->squares, w.i);
        REAL *restrict mean = a->centered ? K(table_data)(&a->means, w.i) : NULL;
        REAL *restrict buffer = remembers ? K(table_data)(&a->buffers, w.i) : NULL;
        FOR_VECTORS(w, k, left) {
            vec g = v_load_live(grad + k, left) * sign, p = v_load_live(param + k, left);
            if (decays) g = v_fma(decay, p, g);
            vec s = v_fma(fresh, g * g, alpha * v_load_live(square + k, left)), width = s;
            v_store_live(square + k, s, left);
            if (a->centered) {
                vec m = v_load_live(mean + k, left);
                m = v_fma(fresh, g - m, m);
                v_store_live(mean + k, m, left);
                width = v_fma(-m, m, s);
            }
            vec move = g / (v_sqrt(width) + eps);
            if (remembers) {
                move = v_fma(momentum, v_load_live(buffer + k, left), move);
                v_store_live(buffer + k, move, left);
            }
            v_store_live(param + k, v_fma(minus_lr, move, p), left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(rmsprop_step, rmsprop_step_args, 5 * K(table_numel)(&a->grads), 0, 0)

/* ---- Adagrad ---- */

static int K(adagrad_step)(const void *args, const team *t) {
    const adagrad_step_args *a = args;
    const double *h = a->hyper.data;
    const vec decay = v_set1((REAL)h[2]), eps = v_set1((REAL)h[3]);
    const vec sign = v_set1(a->maximize ? (REAL)-1 : (REAL)1);
    const int decays = h[2] != 0;
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const double done = K(next_step)(&a->steps, w.i) - 1;
        const vec minus_lr = v_set1((REAL)(-h[0] / (1 + done * h[1])));
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict sum = K(table_data)(&a->sums, w.i);
        FOR_VECTORS(w, k, left) {
            vec g = v_load_live(grad + k, left) * sign, p = v_load_live(param + k, left);
            if (decays) g = v_fma(decay, p, g);
            vec s = v_fma(g, g, v_load_live(sum + k, left));
            v_store_live(sum + k, s, left);
            v_store_live(param + k, v_fma(minus_lr, g / (v_sqrt(s) + eps), p), left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(adagrad_step, adagrad_step_args, 5 * K(table_numel)(&a->grads), 0, 0)

/* ---- Adadelta ---- */

/* Zeiler, "ADADELTA: an adaptive learning rate method", 2012 */
static int K(adadelta_step)(const void *args, const team *t) {
    const adadelta_step_args *a = args;
    const double *h = a->hyper.data;
    const vec minus_lr = v_set1((REAL)-h[0]), rho = v_set1((REAL)h[1]);
    const vec fresh = v_set1((REAL)(1 - h[1])), eps = v_set1((REAL)h[2]);
    const vec decay = v_set1((REAL)h[3]);
    const vec sign = v_set1(a->maximize ? (REAL)-1 : (REAL)1);
    const int decays = h[3] != 0;
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict square = K(table_data)(&a->squares, w.i);
        REAL *restrict moves = K(table_data)(&a->moves, w.i);
        FOR_VECTORS(w, k, left) {
            vec g = v_load_live(grad + k, left) * sign, p = v_load_live(param + k, left);
            if (decays) g = v_fma(decay, p, g);
            vec s = v_fma(fresh, g * g, rho * v_load_live(square + k, left));
            vec d = v_load_live(moves + k, left);
            vec move = v_sqrt(d + eps) / v_sqrt(s + eps) * g;
            v_store_live(square + k, s, left);
            v_store_live(moves + k, v_fma(fresh, move * move, rho * d), left);
            v_store_live(param + k, v_fma(minus_lr, move, p), left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(adadelta_step, adadelta_step_args, 8 * K(table_numel)(&a->grads), 0, 0)

/* ---- Adamax ---- */

/* Kingma and Ba, "Adam", 2015, section 7.1 */
static int K(adamax_step)(const void *args, const team *t) {
    const adamax_step_args *a = args;
    const double *h = a->hyper.data;
    const vec fresh = v_set1((REAL)(1 - h[1])), keep = v_set1((REAL)h[2]);
    const vec eps = v_set1((REAL)h[3]), decay = v_set1((REAL)h[4]);
    const vec sign = v_set1(a->maximize ? (REAL)-1 : (REAL)1);
    const int decays = h[4] != 0;
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const double step = K(next_step)(&a->steps, w.i);
        const vec size = v_set1((REAL)(-h[0] / (1 - K(power)(h[1], step))));
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict mean = K(table_data)(&a->means, w.i);
        REAL *restrict largest = K(table_data)(&a->largest, w.i);
        FOR_VECTORS(w, k, left) {
            vec g = v_load_live(grad + k, left) * sign, p = v_load_live(param + k, left);
            if (decays) g = v_fma(decay, p, g);
            vec m = v_load_live(mean + k, left);
            m = v_fma(fresh, g - m, m);
            vec top = v_max(v_load_live(largest + k, left) * keep, v_max(g, -g) + eps);
            v_store_live(mean + k, m, left);
            v_store_live(largest + k, top, left);
            v_store_live(param + k, v_fma(size, m / top, p), left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(adamax_step, adamax_step_args, 7 * K(table_numel)(&a->grads), 0, 0)

/* ---- RAdam ---- */

/* How far the step is trusted, 0 while its variance can't be known: Liu et al., "On the variance of
 * the adaptive learning rate and beyond", 2020 */
static double K(rectification)(double beta2, double step) {
    const double power = K(power)(beta2, step), most = 2 / (1 - beta2) - 1;
    const double length = most - 2 * step * power / (1 - power);
    if (length <= 5) return 0;
    return sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) *
           sqrt(1 - power);
}

static int K(radam_step)(const void *args, const team *t) {
    const radam_step_args *a = args;
    const double *h = a->hyper.data;
    const double lr = h[0], beta1 = h[1], beta2 = h[2];
    const vec eps = v_set1((REAL)h[3]);
    const K(moments) o = K(moments_of)(h, a->decoupled, a->maximize);
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const double step = K(next_step)(&a->steps, w.i);
        const double trust = K(rectification)(beta2, step);
        const double scale = -lr / (1 - K(power)(beta1, step));
        const vec size = v_set1((REAL)(trust > 0 ? scale * trust : scale));
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict mean = K(table_data)(&a->means, w.i);
        REAL *restrict square = K(table_data)(&a->squares, w.i);
        FOR_VECTORS(w, k, left) {
            vec g, p, m, s;
            K(take_in)(&o, grad + k, param + k, mean + k, square + k, left, &g, &p, &m, &s);
            if (trust > 0) m /= v_sqrt(s) + eps;
            v_store_live(param + k, v_fma(size, m, p), left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(radam_step, radam_step_args, 9 * K(table_numel)(&a->grads), 0, 0)

/* ---- NAdam ---- */

/* The momentum of a step, which grows from beta1 / 2 to beta1. */
static double K(momentum_of)(double beta1, double shrink, double step) {
    return beta1 * (1 - 0.5 * K(power)(shrink, step));
}

/* Dozat, "Incorporating Nesterov momentum into Adam", 2016 */
static int K(nadam_step)(const void *args, const team *t) {
    const nadam_step_args *a = args;
    const double *h = a->hyper.data;
    const double lr = h[0], beta1 = h[1], beta2 = h[2];
    const vec eps = v_set1((REAL)h[3]);
    const K(moments) o = K(moments_of)(h, a->decoupled, a->maximize);
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const double step = K(next_step)(&a->steps, w.i);
        const double now = K(momentum_of)(beta1, h[5], step);
        const double next = K(momentum_of)(beta1, h[5], step + 1);
        const double product = (double)(*K(scalar)(&a->products, w.i) * (float)now);
        const vec of_grad = v_set1((REAL)(-lr * (1 - now) / (1 - product)));
        const vec of_mean = v_set1((REAL)(-lr * next / (1 - product * next)));
        const vec correct = v_set1((REAL)(1 / sqrt(1 - K(power)(beta2, step))));
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict mean = K(table_data)(&a->means, w.i);
        REAL *restrict square = K(table_data)(&a->squares, w.i);
        FOR_VECTORS(w, k, left) {
            vec g, p, m, s;
            K(take_in)(&o, grad + k, param + k, mean + k, square + k, left, &g, &p, &m, &s);
            vec move = v_fma(of_mean, m, of_grad * g);
            v_store_live(param + k, p + move / v_fma(v_sqrt(s), correct, eps), left);
        }
    }
    K(count_steps)(&a->steps, t);
    for (int64_t i = 0; t->ith == 0 && i < a->steps.shape[0]; i++) {
        const double step = (double)*K(scalar)(&a->steps, i);
        *K(scalar)(&a->products, i) *= (float)K(momentum_of)(beta1, h[5], step);
    }
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(nadam_step, nadam_step_args, 9 * K(table_numel)(&a->grads), 0, 0)

/* ---- Rprop ---- */

/* Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning", 1993: of the
 * gradient only the sign counts; where it has changed, the parameter waits for a step */
static int K(rprop_step)(const void *args, const team *t) {
    const rprop_step_args *a = args;
    const double *h = a->hyper.data;
    const vec zero = {0}, one = v_set1((REAL)1), sign = a->maximize ? -one : one;
    const vec shrink = v_set1((REAL)h[0]), grow = v_set1((REAL)h[1]);
    const vec least = v_set1((REAL)h[2]), most = v_set1((REAL)h[3]);
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict before = K(table_data)(&a->before, w.i);
        REAL *restrict sizes = K(table_data)(&a->sizes, w.i);
        FOR_VECTORS(w, k, left) {
            vec g = v_load_live(grad + k, left) * sign;
            vec same = g * v_load_live(before + k, left);
            vec size = v_load_live(sizes + k, left);
            size *= v_select(same > zero, grow, v_select(same < zero, shrink, one));
            size = v_max(least, v_min(most, size));
            g = v_select(same < zero, zero, g);
            vec way = v_select(g > zero, one, v_select(g < zero, -one, g));
            v_store_live(before + k, g, left);
            v_store_live(sizes + k, size, left);
            v_store_live(param + k, v_load_live(param + k, left) - way * size, left);
        }
    }
    K(count_steps)(&a->steps, t);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(rprop_step, rprop_step_args, 5 * K(table_numel)(&a->grads), 0, 0)

/* ---- ASGD ---- */

/* Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992 */
static int K(asgd_step)(const void *args, const team *t) {
    const asgd_step_args *a = args;
    const double *h = a->hyper.data;
    const double lr = h[0], lambda = h[1], alpha = h[2], start = h[3];
    const vec decay = v_set1((REAL)h[4]), sign = v_set1(a->maximize ? (REAL)-1 : (REAL)1);
    const int decays = h[4] != 0;
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        const double rate = (double)*K(scalar)(&a->rates, w.i);
        const float part = *K(scalar)(&a->shares, w.i);
        const vec minus_rate = v_set1((REAL)-rate), keep = v_set1((REAL)(1 - lambda * rate));
        const vec share = v_set1((REAL)part);
        const REAL *restrict grad = K(table_data)(&a->grads, w.i);
        REAL *restrict param = K(table_data)(&a->params, w.i);
        REAL *restrict average = K(table_data)(&a->averages, w.i);
        FOR_VECTORS(w, k, left) {
            vec g = v_load_live(grad + k, left) * sign, p = v_load_live(param + k, left);
            if (decays) g = v_fma(decay, p, g);
            p = v_fma(minus_rate, g, keep * p);
            vec mean = p;
            if (part != 1) {
                mean = v_load_live(average + k, left);
                mean = v_fma(share, p - mean, mean);
            }
            v_store_live(param + k, p, left);
            v_store_live(average + k, mean, left);
        }
    }
    K(count_steps)(&a->steps, t);
    for (int64_t i = 0; t->ith == 0 && i < a->steps.shape[0]; i++) {
        const double step = (double)*K(scalar)(&a->steps, i), late = step - start;
        const vec_t_f64 base = v_set1_f64(1 + lambda * lr * step);
        *K(scalar)(&a->rates, i) = (float)(lr / v_pow_f64(base, v_set1_f64(alpha))[0]);
        *K(scalar)(&a->shares, i) = (float)(late > 1 ? 1 / late : 1);
    }
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(asgd_step, asgd_step_args, 5 * K(table_numel)(&a->grads), 0, 0)

/* ---- the norm of all gradients ---- */

/* eight elements, which are summed as doubles */
typedef REAL K(norm_raw) __attribute__((vector_size(8 * sizeof(REAL))));
typedef double K(norm_lanes) __attribute__((vector_size(64)));
typedef int64_t K(norm_bits) __attribute__((vector_size(64)));
#define SIZE_OF(x) ((K(norm_lanes))((K(norm_bits))(x) & INT64_MAX))

/* g[0 .. n), n <= 8, with zeros behind */
#define LOAD_LANES(g, n, to)                                                                     \
    do {                                                                                         \
        K(norm_raw) raw_ = {0};                                                                  \
        memcpy(&raw_, g, (size_t)(n) * sizeof(REAL));                                            \
        to = __builtin_convertvector(raw_, K(norm_lanes));                                       \
    } while (0)

/* The largest size of n elements; NaN if one is. */
static double K(largest_size)(const REAL *g, int64_t n) {
    K(norm_lanes) x, most = {0}, odd = {0};
    for (int64_t k = 0; k < n; k += 8) {
        if (n - k >= 8) {
            LOAD_LANES(g + k, 8, x);
        } else {
            LOAD_LANES(g + k, n - k, x);
        }
        odd += x - x; /* 0, or NaN where x is not finite */
        x = SIZE_OF(x);
        K(norm_bits) more = x > most;
        most = (K(norm_lanes))(((K(norm_bits))x & more) | ((K(norm_bits))most & ~more));
    }
    double r = 0, sum = 0;
    for (int i = 0; i < 8; i++) {
        r = most[i] > r ? most[i] : r;
        sum += odd[i];
    }
    for (int64_t k = 0; k < n && sum != 0; k++) {
        if (g[k] != g[k]) return (double)g[k];
    }
    return r;
}

/* The sum of |g * scale| or of its squares. */
static double K(sum_of_sizes)(const REAL *g, int64_t n, double scale, int squares) {
    K(norm_lanes) x, sum = {0};
    for (int64_t k = 0; k < n; k += 8) {
        if (n - k >= 8) {
            LOAD_LANES(g + k, 8, x);
        } else {
            LOAD_LANES(g + k, n - k, x);
        }
        x *= scale;
        if (squares) {
            sum += x * x;
        } else {
            sum += SIZE_OF(x);
        }
    }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* Part i of OPTIM_PARTS of each tensor: the largest size (p = 0), or the sum of the sizes (1) or
 * their squares (2), each size times `scale`. */
static double K(norm_of_part)(const pyad_array *grads, int64_t part, double p, double scale) {
    const team as_thread = {part, OPTIM_PARTS, NULL, NULL, NULL};
    K(walk) w = K(walk_part)(grads, &as_thread);
    double r = 0;
    while (K(walk_next)(&w)) {
        const REAL *g = K(table_data)(grads, w.i) + w.from;
        if (p != 0) {
            r += K(sum_of_sizes)(g, w.to - w.from, scale, p == 2);
            continue;
        }
        double x = K(largest_size)(g, w.to - w.from);
        if (x > r || x != x) r = x;
        if (r != r) break;
    }
    return r;
}

/* All parts, each by one thread. */
static void K(norm_pass)(const grad_norm_args *a, const team *t, double p, double scale,
                         double *parts) {
    int64_t begin, end;
    team_range(t, OPTIM_PARTS, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) parts[i] = K(norm_of_part)(&a->grads, i, p, scale);
    if (t->nth > 1) team_barrier(t);
}

/* The largest of the parts' values; NaN if there is one. */
static double K(norm_largest)(const double *parts) {
    double r = 0;
    for (int64_t i = 0; i < OPTIM_PARTS; i++) {
        double x = parts[i];
        if (x > r || x != x) r = x;
        if (r != r) break;
    }
    return r;
}

/* The elements are divided by the largest before they are squared, so the norm overflows only if it
 * is too large itself. */
static int K(grad_norm)(const void *args, const team *t) {
    const grad_norm_args *a = args;
    double *largest = t->shared, *sums = largest + OPTIM_PARTS;
    K(norm_pass)(a, t, 0, 1, largest);
    double norm = K(norm_largest)(largest), scale = norm;
    if (a->p != 0 && norm > 0 && norm - norm == 0) {
        if (scale < 0x1p-1022) scale = 0x1p-1022; /* of less the reciprocal is not finite */
        K(norm_pass)(a, t, a->p, 1 / scale, sums);
        double sum = 0;
        for (int64_t i = 0; i < OPTIM_PARTS; i++) sum += sums[i];
        norm = (a->p == 2 ? sqrt(sum) : sum) * scale;
    }
    if (t->ith == 0) *(double *)a->out.data = norm;
    return PYAD_OK;
}

PYAD_RECORD(grad_norm, grad_norm_args, 2 * K(table_numel)(&a->grads), 0,
            2 * OPTIM_PARTS * (int64_t)sizeof(double))

/* out *= min(1, max_norm / (norm + 1e-6)); grads are the same arrays as out */
static int K(grad_scale)(const void *args, const team *t) {
    const grad_scale_args *a = args;
    double factor = a->max_norm / (*(const double *)a->norm.data + 1e-6);
    if (factor >= 1) return PYAD_OK;
    const vec by = v_set1((REAL)factor);
    K(walk) w = K(walk_part)(&a->out, t);
    while (K(walk_next)(&w)) {
        REAL *restrict g = K(table_data)(&a->out, w.i);
        FOR_VECTORS(w, k, left) v_store_live(g + k, v_load_live(g + k, left) * by, left);
    }
    return PYAD_OK;
}

PYAD_RECORD(grad_scale, grad_scale_args, K(table_numel)(&a->out), 0, 0)

/* grads to [-limit, limit]; NaN stays */
static int K(grad_clamp)(const void *args, const team *t) {
    const grad_clamp_args *a = args;
    const vec high = v_set1((REAL)a->limit), low = -high;
    K(walk) w = K(walk_part)(&a->grads, t);
    while (K(walk_next)(&w)) {
        REAL *restrict g = K(table_data)(&a->grads, w.i);
        FOR_VECTORS(w, k, left) {
            vec x = v_load_live(g + k, left);
            v_store_live(g + k, v_max(low, v_min(high, x)), left);
        }
    }
    return PYAD_OK;
}

PYAD_RECORD(grad_clamp, grad_clamp_args, K(table_numel)(&a->grads), 0, 0)

#undef FOR_VECTORS
#undef LOAD_LANES
#undef SIZE_OF
#endif
