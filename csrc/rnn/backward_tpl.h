/* Backward through time: the cells of a step give the gradients of the gates' sums, whose product with
 * the recurrent weights is the gradient of the step before's h. Loops as in forward_tpl.h.
 */

/* One row of a step: gates and what came of them; dh, the panel's gradients of h that come through
 * the recurrent weights; dc, the gradient of the cell's state, or the part of GRU's of h that goes
 * past the weights, which becomes that of the step before. d are the gradients of the gates' sums.
 */
typedef struct {
    const REAL *gates, *c, *c_before, *h_before, *y, *dy, *dh;
    REAL *dc, *d;
} K(rnn_back);

/* The gradient of h: unit j is column l of the panel. */
GEMM_INLINE vec K(rnn_dh)(const K(rnn_back) *w, int64_t j, int64_t l, int64_t n) {
    return v_load(w->dh + l) + K(rnn_load)(w->dy, j, n);
}

GEMM_INLINE void K(lstm_back)(const K(rnn_back) *w, int64_t hidden, int64_t j, int64_t l,
                             int64_t n) {
    const REAL *g = w->gates;
    vec i = K(rnn_load)(g, j, n), f = K(rnn_load)(g, j + hidden, n);
    vec u = K(rnn_load)(g, j + 2 * hidden, n), o = K(rnn_load)(g, j + 3 * hidden, n);
    vec one = v_set1(1), c = v_tanh(K(rnn_load)(w->c, j, n));
    vec dh = K(rnn_dh)(w, j, l, n);
    vec dc = v_fma(dh * o, one - c * c, K(rnn_load)(w->dc, j, n));
    v_store_live(w->d + j, dc * u * i * (one - i), n);
    v_store_live(w->d + j + hidden, dc * K(rnn_load)(w->c_before, j, n) * f * (one - f), n);
    v_store_live(w->d + j + 2 * hidden, dc * i * (one - u * u), n);
    v_store_live(w->d + j + 3 * hidden, dh * c * o * (one - o), n);
    v_store_live(w->dc + j, dc * f, n);
}

/* d has the slots r, z, the recurrent part of n, n: the first three meet the recurrent weights */
GEMM_INLINE void K(gru_back)(const K(rnn_back) *w, int64_t hidden, int64_t j, int64_t l,
                             int64_t n) {
    const REAL *g = w->gates;
    vec r = K(rnn_load)(g, j, n), z = K(rnn_load)(g, j + hidden, n);
    vec u = K(rnn_load)(g, j + 2 * hidden, n), back = K(rnn_load)(g, j + 3 * hidden, n);
    vec one = v_set1(1), dh = K(rnn_dh)(w, j, l, n) + K(rnn_load)(w->dc, j, n);
    vec du = dh * (one - z) * (one - u * u);
    vec dz = dh * (K(rnn_load)(w->h_before, j, n) - u) * z * (one - z);
    v_store_live(w->d + j, du * back * r * (one - r), n);
    v_store_live(w->d + j + hidden, dz, n);
    v_store_live(w->d + j + 2 * hidden, du * r, n);
    v_store_live(w->d + j + 3 * hidden, du, n);
    v_store_live(w->dc + j, dh * z, n);
}

GEMM_INLINE void K(plain_back)(const K(rnn_back) *w, int64_t kind, int64_t j, int64_t l,
                              int64_t n) {
    vec h = K(rnn_load)(w->y, j, n), dh = K(rnn_dh)(w, j, l, n);
    vec d = kind == PYAD_RNN_TANH ? dh * (v_set1(1) - h * h)
                                  : v_select(h <= (vec){0}, (vec){0}, dh); /* nan passes on */
    v_store_live(w->d + j, d, n);
}

/* Units begin .. end-1, a panel. */
static void K(rnn_cell_back)(const K(rnn) *r, const K(rnn_back) *w, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j += VL) {
        int64_t n = pyad_min(VL, end - j), l = j - begin;
        if (r->kind == PYAD_LSTM) {
            K(lstm_back)(w, r->hidden, j, l, n);
        } else if (r->kind == PYAD_GRU) {
            K(gru_back)(w, r->hidden, j, l, n);
        } else {
            K(plain_back)(w, r->kind, j, l, n);
        }
    }
}

/* Gradients of a block of sequences: of h, each panel like a panel's sums, and dc, whose rows stand
 * `step` apart. */
typedef struct {
    REAL *dh, *dc;
    int64_t step;
} K(rnn_grads_now);

/* The cells of one step: this thread's units of `count` sequences from `begin` on. */
static void K(rnn_bwd_cells)(const rnn_bwd_args *a, const K(rnn) *r, const K(rnn_part) *p,
                             int64_t now, int64_t begin, int64_t count,
                             const K(rnn_grads_now) *grads) {
    int64_t hidden = r->hidden;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = K(rnn_offset)(r, now) + begin + i, at = row * hidden;
        K(rnn_back) w = {.gates = (const REAL *)a->gates.data + row * r->row,
                         .y = (const REAL *)a->y.data + at,
                         .dc = grads->dc + i * grads->step,
                         .d = (REAL *)a->d.data + row * a->d.stride[0]};
        if (a->dy.data != NULL) w.dy = (const REAL *)a->dy.data + at;
        if (r->kind == PYAD_LSTM) {
            w.c = (const REAL *)a->cells.data + at;
            w.c_before = K(rnn_previous)(r, a->cells.data, a->c0.data, now, begin + i, hidden);
        }
        if (r->kind == PYAD_GRU) {
            w.h_before = K(rnn_previous)(r, a->y.data, a->h0.data, now, begin + i, hidden);
        }
        for (int64_t panel = p->first; panel < p->last; panel++) {
            w.dh = grads->dh + RNN_PANEL(panel) + i * GEMM_NR;
            K(rnn_cell_back)(r, &w, panel * GEMM_NR, pyad_min((panel + 1) * GEMM_NR, hidden));
        }
    }
}

/* Panels first .. last-1 of dh, of `rows` sequences, from an array, or 0. */
static void K(rnn_fill_panels)(REAL *dh, const REAL *from, int64_t rows, const K(rnn_part) *p,
                               int64_t hidden) {
    for (int64_t i = p->first; i < p->last; i++) {
        int64_t begin = i * GEMM_NR, end = pyad_min(begin + GEMM_NR, hidden);
        /* column `begin` of the array to column 0 */
        const REAL *columns = from == NULL ? NULL : from + begin;
        K(rnn_fill)(dh + RNN_PANEL(i), GEMM_NR, columns, rows, 0, end - begin, hidden);
    }
}

/* The gradients of the first states of sequences `row` .. row+rows-1 of a block. */
static void K(rnn_bwd_drain)(const rnn_bwd_args *a, const K(rnn) *r, const K(rnn_part) *p,
                             const K(rnn_grads_now) *grads, int64_t begin, int64_t row,
                             int64_t rows) {
    int64_t hidden = r->hidden, step = grads->step, at = (begin + row) * hidden;
    int64_t from = p->first * GEMM_NR, to = pyad_min(p->last * GEMM_NR, hidden);
    REAL *dh0 = a->dh0.data == NULL ? NULL : (REAL *)a->dh0.data + at;
    REAL *dc0 = a->dc0.data == NULL ? NULL : (REAL *)a->dc0.data + at;
    const REAL *dc = grads->dc + row * step;
    K(rnn_drain)(dc0, hidden, dc, step, rows, from, to);
    for (int64_t i = 0; i < rows && dh0 != NULL; i++) {
        for (int64_t j = from; j < to; j += VL) {
            int64_t n = pyad_min(VL, to - j);
            const REAL *dh = grads->dh + RNN_PANEL(j / GEMM_NR) + (row + i) * GEMM_NR;
            vec v = v_load(dh + j % GEMM_NR);
            if (r->kind == PYAD_GRU) v += K(rnn_load)(dc + i * step, j, n);
            v_store_live(dh0 + i * hidden + j, v, n);
        }
    }
}

/* Sequences begin .. begin+rows-1 through all steps backwards, this thread's units. */
static void K(rnn_bwd_block)(const rnn_bwd_args *a, const K(rnn) *r, const K(rnn_part) *p,
                             const REAL *packed, REAL *buffer, int64_t begin, int64_t rows,
                             const team *t) {
    int64_t hidden = r->hidden, step = K(rnn_round)(hidden) + RNN_PAD, first = begin * hidden;
    int64_t from = p->first * GEMM_NR, to = pyad_min(p->last * GEMM_NR, hidden);
    int64_t depth = r->gates * hidden, d_row = a->d.stride[0], panels = p->last - p->first;
    int64_t whole = panels - (to - (p->last - 1) * GEMM_NR <= VL);
    K(rnn_grads_now) grads = {buffer, buffer + RNN_PANEL(K(rnn_panels)(hidden)), step};
    const REAL *dhn = a->dhn.data == NULL ? NULL : (const REAL *)a->dhn.data + first;
    const REAL *dcn = a->dcn.data == NULL ? NULL : (const REAL *)a->dcn.data + first;
    if (panels > 0) {
        K(rnn_fill_panels)(grads.dh, dhn, rows, p, hidden);
        K(rnn_fill)(grads.dc, step, dcn, rows, from, to, hidden);
    }
    if (r->steps == 0) K(rnn_bwd_drain)(a, r, p, &grads, begin, 0, rows);
    for (int64_t s = 0; s < r->steps; s++) {
        int64_t now = r->reverse ? s : r->steps - 1 - s, before = K(rnn_before)(r, now);
        int64_t count = K(rnn_active)(r, now, begin, begin + rows);
        int64_t left = K(rnn_active)(r, before, begin, begin + rows);
        K(rnn_bwd_cells)(a, r, p, now, begin, count, &grads);
        if (p->together) team_barrier(t);
        const REAL *d = (const REAL *)a->d.data + (K(rnn_offset)(r, now) + begin) * d_row;
        /* nobody asks for what goes on to the first state */
        int64_t needed = a->dh0.data == NULL ? pyad_min(left, count) : count;
        for (int64_t i = 0, together; i < panels && needed > 0; i += together) {
            together = needed == 1 && i < whole ? whole : 1;
            int64_t panel = s % 2 && needed > 1 ? p->last - 1 - i : p->first + i;
            K(rnn_multiply)(d, d_row, needed, depth, packed + panel * GEMM_NR * depth,
                            K(rnn_width)(pyad_min(GEMM_NR, hidden - panel * GEMM_NR)), together,
                            grads.dh + RNN_PANEL(panel));
        }
        if (left < count) K(rnn_bwd_drain)(a, r, p, &grads, begin, left, count - left);
    }
    if (p->together) team_barrier(t);
}
