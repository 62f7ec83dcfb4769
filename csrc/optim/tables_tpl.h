/* Tables of arrays that lie alike, each thread's part of them, and the numbers kept beside.
 */

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
