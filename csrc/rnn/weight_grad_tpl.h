/* The gradients of x, weights and biases: products over the rows of all steps, once the steps are
 * through.
 */

/* The states before each row, as the right operand of a product over all rows. */
typedef struct {
    const K(rnn) *r;
    const REAL *y, *h0;
} K(rnn_states);

/* The step in which row k stands. */
static int64_t K(rnn_step_of)(const K(rnn) *r, int64_t k) {
    if (r->offsets == NULL) return k / r->batch;
    int64_t step = 0, high = r->steps;
    while (high - step > 1) {
        int64_t middle = (step + high) / 2;
        if (r->offsets[middle] <= k) {
            step = middle;
        } else {
            high = middle;
        }
    }
    return step;
}

/* Runs of rows whose states stand one after the other: those that the step before had, and those
 * that begin with the step. */
static void K(rnn_pack_states)(const void *context, REAL *dst, int64_t width, int64_t lane,
                               int64_t lanes, int64_t k, int64_t depth) {
    const K(rnn_states) *s = context;
    const K(rnn) *r = s->r;
    int64_t end = k + depth, count;
    for (int64_t step = K(rnn_step_of)(r, k); k < end; k += count, dst += count * width) {
        while (K(rnn_offset)(r, step + 1) <= k) step++;
        int64_t b = k - K(rnn_offset)(r, step);
        int64_t active = K(rnn_active)(r, K(rnn_before)(r, step), b, r->batch);
        count = pyad_min(end, K(rnn_offset)(r, step + 1)) - k;
        if (active > 0) count = pyad_min(count, active);
        const REAL *from = K(rnn_previous)(r, s->y, s->h0, step, b, r->hidden);
        if (from != NULL) {
            K(gemm_pack_copy)(dst, width, lanes, count, from + lane, r->hidden);
        } else {
            memset(dst, 0, (size_t)(count * width) * sizeof(REAL));
        }
    }
}

/* Columns of d whose products with the states and with x are rows of both weights' gradients: of
 * GRU, the last slot has no part in the one and the recurrent part of n none in the other. */
typedef struct {
    int64_t from, width;   /* columns of d */
    int64_t back, forward; /* first rows of the gradients of w_hh and of w_ih; -1: none */
} K(rnn_span);

#define RNN_SPANS 3

static int64_t K(rnn_spans)(const K(rnn) *r, K(rnn_span) *spans) {
    int64_t hidden = r->hidden;
    if (r->kind != PYAD_GRU) {
        spans[0] = (K(rnn_span)){0, r->gates * hidden, 0, 0};
        return 1;
    }
    spans[0] = (K(rnn_span)){0, 2 * hidden, 0, 0};
    spans[1] = (K(rnn_span)){2 * hidden, hidden, 2 * hidden, -1};
    spans[2] = (K(rnn_span)){3 * hidden, hidden, -1, 2 * hidden};
    return RNN_SPANS;
}

/* Columns of d from `from` on, as rows. */
static K(gemm_matrix) K(rnn_turned)(const rnn_bwd_args *a, int64_t from) {
    return (K(gemm_matrix)){(const REAL *)a->d.data + from, 1, a->d.stride[0]};
}

static void K(rnn_dx)(const rnn_bwd_args *a, const K(rnn) *r, const team *t) {
    K(rnn_span) spans[RNN_SPANS];
    int64_t count = K(rnn_spans)(r, spans);
    for (int64_t i = 0; i < count; i++) {
        if (spans[i].forward < 0) continue;
        K(gemm_problem) p = {.m = r->rows, .n = r->inputs, .k = spans[i].width, .c = a->dx.data,
                             .c_row = r->inputs, .c_col = 1, .accumulate = i > 0};
        K(gemm_matrix) d = {(const REAL *)a->d.data + spans[i].from, a->d.stride[0], 1};
        const REAL *weights = (const REAL *)a->w_ih.data + spans[i].forward * r->inputs;
        /* the ways of two products, and so the threads' parts, may differ */
        if (i > 0) team_barrier(t);
        K(gemm_strided)(&p, d, (K(gemm_matrix)){weights, r->inputs, 1}, t, t->scratch);
    }
}

/* Rows of the gradient of a weight, from `row` on: a span of d times the states or x. */
static void K(rnn_dw)(const rnn_bwd_args *a, const K(rnn) *r, const K(rnn_span) *span,
                      const K(gemm_right) *right, const pyad_array *dw, int64_t row,
                      const team *t) {
    if (dw->data == NULL || row < 0) return;
    int64_t width = dw->shape[1];
    K(gemm_matrix) d = K(rnn_turned)(a, span->from);
    K(gemm_problem) p = {.m = span->width, .n = width, .k = r->rows, .c_row = width, .c_col = 1,
                         .c = (REAL *)dw->data + row * width};
    K(gemm_tiled)(&p, &d, right, t, t->scratch);
}

/* The same of the biases: sums of the span's columns. */
static void K(rnn_db)(const rnn_bwd_args *a, const K(rnn) *r, const K(rnn_span) *span,
                      const team *t) {
    K(gemm_matrix) d = {(const REAL *)a->d.data + span->from, a->d.stride[0], 1};
    const pyad_array *db[2] = {&a->db_hh, &a->db_ih};
    int64_t row[2] = {span->back, span->forward}, begin, end;
    team_range(t, span->width, VL, &begin, &end);
    for (int i = 0; i < 2; i++) {
        if (db[i]->data == NULL || row[i] < 0) continue;
        K(gemm_sum_columns)(&d, r->rows, begin, end, (REAL *)db[i]->data + row[i], 1);
    }
}

static void K(rnn_weight_grads)(const rnn_bwd_args *a, const K(rnn) *r, const team *t) {
    K(rnn_states) states = {r, a->y.data, a->h0.data};
    K(gemm_right) before = {.pack = K(rnn_pack_states), .context = &states};
    K(gemm_right) x = {.matrix = {a->x.data, a->x.stride[0], a->x.stride[1]}};
    K(rnn_span) spans[RNN_SPANS];
    int64_t count = K(rnn_spans)(r, spans);
    for (int64_t i = 0; i < count; i++) {
        K(rnn_dw)(a, r, &spans[i], &before, &a->dw_hh, spans[i].back, t);
        K(rnn_dw)(a, r, &spans[i], &x, &a->dw_ih, spans[i].forward, t);
        K(rnn_db)(a, r, &spans[i], t);
    }
}
