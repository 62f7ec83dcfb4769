/* Steps whose size each element finds by itself, from the sizes or the signs of its gradients.
 */

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
