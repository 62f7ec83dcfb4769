/* Adam and its relatives: steps along a running mean of gradients, measured by that of their squares.
 */

/* ---- Adam ---- */

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
