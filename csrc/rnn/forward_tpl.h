/* Forward through time: loops over blocks of a thread's sequences, steps, panels of units (every other
 * step in reverse), tiles of GEMM_MR sequences; the cells of a panel follow its sums.
 */

/* The cell of one row: its sums, and where the gates, the cell's state and h go. */
typedef struct {
    const REAL *own;  /* what the sums lack: the bias, or the input's part; NULL: nothing */
    const REAL *back; /* and of GRU's last gate the recurrent part: its bias, or NULL */
    const REAL *sums; /* of a panel: those of slot s at RNN_PANEL(s) */
    const REAL *h;    /* the state before */
    REAL *c, *cell;   /* the cell's state; where it is kept, or NULL */
    REAL *gates, *state, *y;
    int along, keep; /* the sums hold the input's part; keep the gates */
} K(rnn_row);

GEMM_INLINE vec K(rnn_sum)(const K(rnn_row) *w, int64_t slot, int64_t l) {
    return v_load(w->sums + RNN_PANEL(slot) + l);
}

/* unit j is column l of the panel */
GEMM_INLINE void K(lstm_cell)(const K(rnn_row) *w, int64_t hidden, int64_t j, int64_t l, int64_t n) {
    vec i = v_sigmoid(K(rnn_load)(w->own, j, n) + K(rnn_sum)(w, 0, l));
    vec f = v_sigmoid(K(rnn_load)(w->own, j + hidden, n) + K(rnn_sum)(w, 1, l));
    vec u = v_tanh(K(rnn_load)(w->own, j + 2 * hidden, n) + K(rnn_sum)(w, 2, l));
    vec o = v_sigmoid(K(rnn_load)(w->own, j + 3 * hidden, n) + K(rnn_sum)(w, 3, l));
    vec c = v_fma(f, v_load_live(w->c + j, n), i * u);
    vec h = o * v_tanh(c);
    v_store_live(w->c + j, c, n);
    v_store_live(w->state + j, h, n);
    v_store_live(w->y + j, h, n);
    if (!w->keep) return;
    REAL *g = w->gates + j;
    v_store_live(g, i, n);
    v_store_live(g + hidden, f, n);
    v_store_live(g + 2 * hidden, u, n);
    v_store_live(g + 3 * hidden, o, n);
    v_store_live(w->cell + j, c, n);
}

/* slots r, z, n and the recurrent part of n */
GEMM_INLINE void K(gru_cell)(const K(rnn_row) *w, int64_t hidden, int64_t j, int64_t l, int64_t n) {
    vec r = v_sigmoid(K(rnn_load)(w->own, j, n) + K(rnn_sum)(w, 0, l));
    vec z = v_sigmoid(K(rnn_load)(w->own, j + hidden, n) + K(rnn_sum)(w, 1, l));
    vec own = K(rnn_load)(w->own, j + 2 * hidden, n);
    if (w->along) own += K(rnn_sum)(w, 2, l);
    vec back = K(rnn_load)(w->back, j, n) + K(rnn_sum)(w, 3, l);
    vec u = v_tanh(v_fma(r, back, own));
    vec h = v_fma(z, v_load_live(w->h + j, n) - u, u);
    v_store_live(w->state + j, h, n);
    v_store_live(w->y + j, h, n);
    if (!w->keep) return;
    REAL *g = w->gates + j;
    v_store_live(g, r, n);
    v_store_live(g + hidden, z, n);
    v_store_live(g + 2 * hidden, u, n);
    v_store_live(g + 3 * hidden, back, n);
}

GEMM_INLINE void K(plain_cell)(const K(rnn_row) *w, int64_t kind, int64_t j, int64_t l, int64_t n) {
    vec sum = K(rnn_load)(w->own, j, n) + K(rnn_sum)(w, 0, l);
    vec h = kind == PYAD_RNN_TANH ? v_tanh(sum) : v_max((vec){0}, sum);
    v_store_live(w->state + j, h, n);
    v_store_live(w->y + j, h, n);
}

/* Units begin .. end-1, a panel. */
static void K(rnn_cell)(const K(rnn) *r, const K(rnn_row) *w, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j += VL) {
        int64_t n = pyad_min(VL, end - j), l = j - begin;
        if (r->kind == PYAD_LSTM) {
            K(lstm_cell)(w, r->hidden, j, l, n);
        } else if (r->kind == PYAD_GRU) {
            K(gru_cell)(w, r->hidden, j, l, n);
        } else {
            K(plain_cell)(w, r->kind, j, l, n);
        }
    }
}

/* Rows of a buffer from an array, or 0. */
static void K(rnn_fill)(REAL *to, int64_t step, const REAL *from, int64_t rows, int64_t begin,
                        int64_t end, int64_t hidden) {
    for (int64_t i = 0; i < rows; i++) {
        if (from != NULL) {
            memcpy(to + i * step + begin, from + i * hidden + begin,
                   (size_t)(end - begin) * sizeof(REAL));
        } else {
            memset(to + i * step + begin, 0, (size_t)(end - begin) * sizeof(REAL));
        }
    }
}

/* Rows of an array from a buffer. */
static void K(rnn_drain)(REAL *to, int64_t hidden, const REAL *from, int64_t step, int64_t rows,
                         int64_t begin, int64_t end) {
    for (int64_t i = 0; i < rows && to != NULL && end > begin; i++) {
        memcpy(to + i * hidden + begin, from + i * step + begin,
               (size_t)(end - begin) * sizeof(REAL));
    }
}

/* All sums of a panel of units in one step, from rows of the input and the state: of GRU's last
 * gate, the input's part into slot 2 and the recurrent one, which the reset gate will scale, into
 * slot 3. */
static void K(rnn_fwd_sums)(const K(rnn) *r, const REAL *packed, int64_t panel, int64_t rows,
                            const REAL *state, int64_t step, REAL *sums) {
    const int64_t along = r->along, depth = along + r->hidden;
    const int64_t full = r->kind == PYAD_GRU ? 2 : r->gates;
    int64_t width = K(rnn_width)(pyad_min(GEMM_NR, r->hidden - panel * GEMM_NR));
    packed += panel * r->gates * GEMM_NR * depth;
    K(rnn_multiply)(state, step, rows, depth, packed, width, full, sums);
    if (full == r->gates) return;
    packed += full * GEMM_NR * depth;
    if (along > 0) K(rnn_multiply)(state, step, rows, along, packed, width, 1, sums + RNN_PANEL(2));
    K(rnn_multiply)(state + along, step, rows, r->hidden, packed + along * width, width, 1,
                    sums + RNN_PANEL(3));
}

/* ---- one step of few sequences ---- */

/* Sums as they are made without packing: rows of all gates, the input's part and the recurrent one. */
typedef struct {
    REAL *in, *back; /* in: NULL if that part is in `gates` */
    int64_t width;
} K(rnn_once);

static K(rnn_once) K(rnn_once_of)(const K(rnn) *r, REAL *memory) {
    const int64_t width = r->gates * r->hidden;
    if (r->along == 0) return (K(rnn_once)){NULL, memory, width};
    return (K(rnn_once)){memory, memory + r->batch * width, width};
}

/* Whether they are made so, and have room where packed weights would be. */
static int K(rnn_is_once)(const K(rnn) *r, const pyad_array *sizes) {
    return sizes->data == NULL && r->steps == 1 && r->batch <= RNN_ONCE &&
           2 * r->batch <= r->along + r->hidden;
}

static void K(rnn_once_make)(const rnn_fwd_args *a, const K(rnn) *r, REAL *memory, const team *t) {
    const K(rnn_once) w = K(rnn_once_of)(r, memory);
    const REAL *h0 = a->h0.data;
    K(gemm_problem) p = {.m = r->batch, .n = w.width, .k = r->inputs, .c = w.in, .c_row = w.width,
                         .c_col = 1};
    if (w.in != NULL) {
        K(gemm_strided)(&p, (K(gemm_matrix)){a->x.data, a->x.stride[0], a->x.stride[1]},
                        (K(gemm_matrix)){a->w_ih.data, a->w_ih.stride[1], a->w_ih.stride[0]}, t,
                        t->scratch);
    }
    p.k = h0 == NULL ? 0 : r->hidden, p.c = w.back;
    K(gemm_strided)(&p, (K(gemm_matrix)){h0, r->hidden, 1},
                    (K(gemm_matrix)){a->w_hh.data, 1, r->hidden}, t, t->scratch);
}

/* As rnn_fwd_sums, from what was made. */
static void K(rnn_once_sums)(const K(rnn) *r, REAL *memory, int64_t panel, int64_t rows, REAL *sums) {
    const K(rnn_once) w = K(rnn_once_of)(r, memory);
    const int64_t begin = panel * GEMM_NR, n = pyad_min(GEMM_NR, r->hidden - begin);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t g = 0; g < r->gates; g++) {
            const int64_t at = i * w.width + g * r->hidden + begin;
            const int apart = r->kind == PYAD_GRU && g == 2;
            REAL *to = sums + RNN_PANEL(g) + i * GEMM_NR, *back = apart ? to + RNN_PANEL(1) : to;
            for (int64_t l = 0; l < n; l += VL) {
                const vec in = K(rnn_load)(w.in, at + l, n - l);
                const vec rest = v_load_live(w.back + at + l, n - l);
                if (apart) v_store(to + l, in);
                v_store(back + l, apart ? rest : rest + in);
            }
        }
    }
}

/* Where a block of sequences keeps its states, with rows `step` apart, the inputs before them. */
typedef struct {
    REAL *rows[2], *cell; /* rows: before and after each step in turn */
    int64_t step;
} K(rnn_states_now);

/* Call what the cells of a panel will write into L2 while its sums are made. */
static void K(rnn_fwd_fetch)(const rnn_fwd_args *a, const K(rnn) *r, int64_t panel, int64_t row,
                             int64_t rows) {
    int64_t begin = panel * GEMM_NR, end = pyad_min(begin + GEMM_NR, r->hidden);
    for (int64_t i = row; i < row + rows; i++) {
        const REAL *gates = (const REAL *)a->gates.data + i * r->row;
        const REAL *y = (const REAL *)a->y.data + i * r->hidden;
        for (int64_t j = begin; j < end; j += LINE) {
            __builtin_prefetch(y + j, 1, 2);
            if (!a->keep) continue;
            for (int64_t g = 0; g < r->slots; g++) {
                __builtin_prefetch(gates + g * r->hidden + j, 1, 2);
            }
            if (a->cells.data == NULL) continue;
            __builtin_prefetch((const REAL *)a->cells.data + i * r->hidden + j, 1, 2);
        }
    }
}

/* The cells of a panel of units in step number s. */
static void K(rnn_fwd_cells)(const rnn_fwd_args *a, const K(rnn) *r, int64_t s, int64_t panel,
                             int64_t row, int64_t rows, const K(rnn_states_now) *states,
                             const REAL *bias, const REAL *sums) {
    int64_t hidden = r->hidden, begin = panel * GEMM_NR, step = states->step;
    const REAL *b_hh = a->b_hh.data;
    K(rnn_row) w = {.along = r->along > 0, .keep = a->keep != 0, .own = bias};
    if (b_hh != NULL && r->kind == PYAD_GRU) w.back = b_hh + 2 * hidden;
    for (int64_t i = 0; i < rows; i++) {
        w.gates = (REAL *)a->gates.data + (row + i) * r->row;
        if (!w.along) w.own = w.gates;
        w.sums = sums + i * GEMM_NR;
        w.h = states->rows[s % 2] + i * step + r->along;
        w.c = states->cell + i * step;
        w.state = states->rows[(s + 1) % 2] + i * step + r->along;
        w.y = (REAL *)a->y.data + (row + i) * hidden;
        if (a->cells.data != NULL) w.cell = (REAL *)a->cells.data + (row + i) * hidden;
        K(rnn_cell)(r, &w, begin, pyad_min(begin + GEMM_NR, hidden));
    }
}

/* The inputs of step number s, of `rows` sequences from `begin` on, before their states. */
static void K(rnn_fwd_take)(const rnn_fwd_args *a, const K(rnn) *r, int64_t s, int64_t begin,
                            int64_t rows, const K(rnn_states_now) *states) {
    int64_t now = r->reverse ? r->steps - 1 - s : s;
    int64_t count = K(rnn_active)(r, now, begin, begin + rows);
    for (int64_t i = 0; i < count && r->along > 0; i++) {
        const REAL *x = (const REAL *)a->x.data +
                        (K(rnn_offset)(r, now) + begin + i) * a->x.stride[0];
        memcpy(states->rows[s % 2] + i * states->step, x, (size_t)r->along * sizeof(REAL));
    }
}

/* Sequences begin .. begin+rows-1 through all steps, this thread's units. */
static void K(rnn_fwd_block)(const rnn_fwd_args *a, const K(rnn) *r, const K(rnn_part) *p,
                             const K(rnn_memory) *m, REAL *buffer, const REAL *bias,
                             int64_t begin, int64_t rows, const team *t) {
    int64_t hidden = r->hidden, step = K(rnn_round)(r->along + hidden) + RNN_PAD;
    int64_t from = p->first * GEMM_NR, to = pyad_min(p->last * GEMM_NR, hidden);
    int64_t panels = p->last - p->first;
    K(rnn_states_now) states = {{buffer, buffer + RNN_ROWS * step}, buffer + 2 * RNN_ROWS * step,
                                step};
    REAL *h[2] = {states.rows[0] + r->along, states.rows[1] + r->along};
    const REAL *h0 = a->h0.data == NULL ? NULL : (const REAL *)a->h0.data + begin * hidden;
    const REAL *c0 = a->c0.data == NULL ? NULL : (const REAL *)a->c0.data + begin * hidden;
    REAL *hn = (REAL *)a->hn.data + begin * hidden;
    REAL *cn = a->cn.data == NULL ? NULL : (REAL *)a->cn.data + begin * hidden;
    int takes = p->first == 0 && panels > 0; /* one thread copies the inputs */
    if (panels > 0) {
        K(rnn_fill)(h[0], step, h0, rows, from, to, hidden);
        K(rnn_fill)(h[1], step, h0, rows, from, to, hidden);
        K(rnn_fill)(states.cell, step, c0, rows, from, to, hidden);
    }
    if (takes) K(rnn_fwd_take)(a, r, 0, begin, rows, &states);
    if (r->steps == 0) K(rnn_drain)(hn, hidden, h[0], step, rows, from, to);
    if (r->steps == 0) K(rnn_drain)(cn, hidden, states.cell, step, rows, from, to);
    for (int64_t s = 0; s < r->steps; s++) {
        int64_t now = r->reverse ? r->steps - 1 - s : s, after = r->reverse ? now - 1 : now + 1;
        int64_t count = K(rnn_active)(r, now, begin, begin + rows);
        int64_t row = K(rnn_offset)(r, now) + begin;
        if (p->together) team_barrier(t);
        if (takes) K(rnn_fwd_take)(a, r, s + 1, begin, rows, &states);
        for (int64_t i = 0; i < panels && count > 0; i++) {
            int64_t panel = s % 2 ? p->last - 1 - i : p->first + i;
            REAL *sums = t->scratch;
            K(rnn_fwd_fetch)(a, r, panel, row, count);
            if (r->once) {
                K(rnn_once_sums)(r, m->packed, panel, count, sums);
            } else {
                K(rnn_fwd_sums)(r, m->packed, panel, count, states.rows[s % 2], step, sums);
            }
            K(rnn_fwd_cells)(a, r, s, panel, row, count, &states, bias, sums);
        }
        /* those for which this was the last step */
        int64_t left = K(rnn_active)(r, after, begin, begin + rows);
        if (left < count) {
            int64_t shift = left * hidden, done = left * step;
            K(rnn_drain)(hn + shift, hidden, h[(s + 1) % 2] + done, step, count - left, from, to);
            K(rnn_drain)(cn == NULL ? NULL : cn + shift, hidden, states.cell + done, step,
                         count - left, from, to);
        }
    }
    if (p->together) team_barrier(t);
}

/* The sum of both biases; of GRU's last gate the input's alone, as the other is not added to it. */
static const REAL *K(rnn_bias)(const rnn_fwd_args *a, const K(rnn) *r, REAL *bias, const team *t) {
    const REAL *in = a->b_ih.data, *back = a->b_hh.data;
    if (in == NULL && back == NULL) return NULL;
    int64_t shared = (r->kind == PYAD_GRU ? 2 : r->gates) * r->hidden;
    if (t->ith == 0) {
        for (int64_t i = 0; i < r->gates * r->hidden; i++) {
            bias[i] = (in == NULL ? 0 : in[i]) + (back == NULL || i >= shared ? 0 : back[i]);
        }
    }
    if (t->nth > 1) team_barrier(t);
    return bias;
}

/* The weights as panels of units, for each the gates, those of the input first if they go along. */
static void K(rnn_pack_units)(const rnn_fwd_args *a, const K(rnn) *r, REAL *packed, const team *t) {
    int64_t begin, end, hidden = r->hidden, depth = r->along + hidden;
    team_range(t, K(rnn_panels)(hidden) * r->gates, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t unit = i / r->gates * GEMM_NR, lanes = pyad_min(GEMM_NR, hidden - unit);
        int64_t width = K(rnn_width)(lanes), row = i % r->gates * hidden + unit;
        REAL *to = packed + i * GEMM_NR * depth;
        if (r->along > 0) {
            K(gemm_pack_panel)(to, width, lanes, r->along,
                               (const REAL *)a->w_ih.data + row * r->inputs, r->inputs, 1);
        }
        K(gemm_pack_panel)(to + r->along * width, width, lanes, hidden,
                           (const REAL *)a->w_hh.data + row * hidden, hidden, 1);
    }
}

/* The input's part of all sums, into gates. */
static void K(rnn_fwd_inputs)(const rnn_fwd_args *a, const K(rnn) *r, const REAL *bias,
                              const team *t) {
    K(gemm_problem) p = {.m = r->rows, .n = r->gates * r->hidden, .k = r->inputs,
                         .c = a->gates.data, .c_row = r->row, .c_col = 1, .bias_col = bias};
    K(gemm_strided)(&p, (K(gemm_matrix)){a->x.data, a->x.stride[0], a->x.stride[1]},
                    (K(gemm_matrix)){a->w_ih.data, a->w_ih.stride[1], a->w_ih.stride[0]}, t,
                    t->scratch);
    if (t->nth > 1) team_barrier(t);
}
