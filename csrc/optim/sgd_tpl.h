/* Steps along the gradient: SGD, and ASGD, which averages what it passes through.
 */

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
