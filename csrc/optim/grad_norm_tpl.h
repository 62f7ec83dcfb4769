/* The norm of all gradients, and gradients scaled or clamped to a limit. The norm is summed in
 * OPTIM_PARTS parts, shared out to the threads and then added in order.
 */

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
    const team as_thread = {.ith = part, .nth = OPTIM_PARTS};
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

PYAD_RECORD_MEMORY(grad_norm, grad_norm_args, 2 * K(table_numel)(&a->grads), 0,
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

PYAD_RECORD(grad_scale, grad_scale_args, K(table_numel)(&a->out))

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

PYAD_RECORD(grad_clamp, grad_clamp_args, K(table_numel)(&a->grads))

#undef LOAD_LANES
#undef SIZE_OF
