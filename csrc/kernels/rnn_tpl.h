/* Recurrent layers (LSTM, GRU, tanh and ReLU) over whole sequences, one direction of one layer.
 *
 * Rows are sequences, time runs outside: row b of step t stands at offset(t) + b of x, y, gates and
 * cells. Sequences of different lengths are sorted, longest first, so step t has the first rows(t)
 * of them (PyTorch's packed form); without `sizes` every step has all.
 *
 * Forward, step by step: the state times the recurrent weights, plus the input's part, and the cell
 * while the sums are in L1. The weights are packed once, in panels of GEMM_NR units of one gate; the
 * panel's tile comes from gemm_tpl.h and reads the state's rows in place, which therefore stand in a
 * buffer whose rows are not a multiple of 4096 bytes apart. While the input's weights are small,
 * they are packed before the recurrent ones and the input's rows copied before the state's: one
 * product then makes all sums, which are never written to memory; else one product over all steps
 * makes the input's part before. Every other step takes the panels in reverse, as the last ones are
 * still in the caches. Backward runs the steps the other way and leaves the gates' gradients, from
 * which products over all steps make those of x and the weights.
 *
 * Threads take sequences where there are enough, in blocks that run through all steps, and meet
 * only before the products; else they take units and meet after each step, unless that would cost
 * more than it saves: then one does all. A sum is over the units in order in any case, so the bits
 * are the same.
 */
#ifdef REAL
#include "gemm_tpl.h"
#include "math_tpl.h"

/* sequences that a thread runs through time together */
#define RNN_ROWS (4 * GEMM_MR)
/* threads share out sequences from so many for each */
#define RNN_ROWS_FOR_THREAD 8
/* and units from so many products of a step for each, which take a few microseconds */
#define RNN_PRODUCTS_FOR_THREAD 65536
/* between the rows of a buffer, so that they do not meet in one set of the L1 cache */
#define RNN_PAD VL
/* weights of the input that stay in L2 beside the recurrent ones */
#define RNN_INPUT_BYTES 524288
/* sums of a panel of all gates */
#define RNN_SUMS (4 * RNN_ROWS * GEMM_NR)

typedef struct {
    int64_t kind, gates, slots; /* gates: blocks of the weights; slots: blocks of a row of `gates` */
    int64_t hidden, inputs, batch, steps, rows;
    int64_t row;            /* elements from row to row of gates */
    const int64_t *offsets; /* of the steps; NULL: multiples of batch */
    int reverse;
    int64_t along; /* inputs whose part of the sums is made in the steps: all, or 0 */
} K(rnn);

static int64_t K(rnn_along)(int64_t hidden, int64_t gates, int64_t inputs) {
    return hidden * gates * inputs * (int64_t)sizeof(REAL) <= RNN_INPUT_BYTES ? inputs : 0;
}

static K(rnn) K(rnn_of)(const pyad_array *x, const pyad_array *w_hh, const pyad_array *gates,
                        const pyad_array *sizes, int64_t batch, int64_t kind, int64_t reverse) {
    K(rnn) r = {.kind = kind, .reverse = reverse != 0, .batch = batch};
    r.gates = kind == PYAD_LSTM ? 4 : kind == PYAD_GRU ? 3 : 1;
    r.slots = kind == PYAD_GRU ? 4 : r.gates;
    r.hidden = w_hh->shape[1];
    r.inputs = x->shape[1];
    r.rows = x->shape[0];
    r.row = gates->stride[0];
    r.along = K(rnn_along)(r.hidden, r.gates, r.inputs);
    r.steps = sizes->data != NULL ? sizes->shape[0] : batch > 0 ? r.rows / batch : 0;
    return r;
}

static inline int64_t K(rnn_offset)(const K(rnn) *r, int64_t t) {
    return r->offsets != NULL ? r->offsets[t] : t * r->batch;
}

/* How many of the sequences begin .. end-1 step t has; 0 outside of time. */
static inline int64_t K(rnn_active)(const K(rnn) *r, int64_t t, int64_t begin, int64_t end) {
    if (t < 0 || t >= r->steps) return 0;
    int64_t rows = K(rnn_offset)(r, t + 1) - K(rnn_offset)(r, t);
    return pyad_max(pyad_min(rows, end) - begin, 0);
}

/* The step before t in the direction of the layer, or outside of time. */
static inline int64_t K(rnn_before)(const K(rnn) *r, int64_t t) { return r->reverse ? t + 1 : t - 1; }

/* The row of `values` (n x width) that sequence b had before step t, else its first one; NULL: 0. */
static const REAL *K(rnn_previous)(const K(rnn) *r, const REAL *values, const REAL *first,
                                   int64_t t, int64_t b, int64_t width) {
    int64_t s = K(rnn_before)(r, t);
    if (K(rnn_active)(r, s, b, b + 1)) return values + (K(rnn_offset)(r, s) + b) * width;
    return first != NULL ? first + b * width : NULL;
}

/* ---- memory that the team shares ---- */

static int64_t K(rnn_round)(int64_t n) { return (n + 15) / 16 * 16; }

static int64_t K(rnn_panels)(int64_t hidden) { return pyad_ceil_div(hidden, GEMM_NR); }

static int64_t K(rnn_packed_size)(int64_t hidden, int64_t depth, int64_t gates) {
    return K(rnn_panels)(hidden) * GEMM_NR * depth * gates;
}

/* Of the kernels: `each` for a row and a weight, but so little that no more threads take part than
 * there are sequences for, or else products of a step. */
static int64_t K(rnn_work)(const pyad_array *x, const pyad_array *w_ih, const pyad_array *w_hh,
                           int64_t batch, int64_t each) {
    int64_t recurrent = pyad_numel(w_hh), all = recurrent + pyad_numel(w_ih);
    int64_t threads = pyad_max(batch / RNN_ROWS_FOR_THREAD,
                               batch * recurrent / RNN_PRODUCTS_FOR_THREAD);
    return pyad_min(x->shape[0] * all / 8 * each, threads * PYAD_WORK_GRAIN);
}

/* Elements of the buffers of a block of sequences, each with an input of `along` elements: two
 * states and the cell, or dh and dc. */
static int64_t K(rnn_state_size)(int64_t hidden, int64_t along) {
    return RNN_ROWS * 3 * (K(rnn_round)(along + hidden) + RNN_PAD);
}

static int64_t K(rnn_scratch_bytes)(int64_t hidden, int64_t gates, int64_t inputs) {
    int64_t along = K(rnn_along)(hidden, gates, inputs);
    int64_t own = RNN_SUMS + K(rnn_state_size)(hidden, along);
    return pyad_max(K(gemm_scratch_bytes)(), own * (int64_t)sizeof(REAL));
}

/* offsets, bias, and what the steps or else the products use */
static int64_t K(rnn_shared_bytes)(int64_t hidden, int64_t gates, int64_t steps, int64_t inputs) {
    int64_t along = K(rnn_along)(hidden, gates, inputs);
    int64_t own = K(rnn_packed_size)(hidden, along + hidden, gates) +
                  K(rnn_state_size)(hidden, along);
    return K(rnn_round)(steps + 1) * 8 + K(rnn_round)(gates * hidden) * (int64_t)sizeof(REAL) +
           pyad_max(own * (int64_t)sizeof(REAL), K(gemm_shared_bytes)());
}

typedef struct {
    int64_t *offsets;
    REAL *bias;
    void *products; /* gemm's; the same memory as the next two */
    REAL *packed;
    REAL *state; /* of a block whose units the threads share out */
} K(rnn_memory);

static K(rnn_memory) K(rnn_lay_out)(const K(rnn) *r, const team *t) {
    K(rnn_memory) m;
    m.offsets = t->shared;
    m.bias = (REAL *)(m.offsets + K(rnn_round)(r->steps + 1));
    m.packed = m.bias + K(rnn_round)(r->gates * r->hidden);
    m.products = m.packed;
    m.state = m.packed + K(rnn_packed_size)(r->hidden, r->along + r->hidden, r->gates);
    return m;
}

static void K(rnn_add_offsets)(K(rnn) *r, const K(rnn_memory) *m, const pyad_array *sizes,
                               const team *t) {
    if (sizes->data == NULL) return;
    if (t->ith == 0) {
        m->offsets[0] = 0;
        for (int64_t i = 0; i < r->steps; i++) {
            m->offsets[i + 1] = m->offsets[i] + ((const int64_t *)sizes->data)[i];
        }
    }
    if (t->nth > 1) team_barrier(t);
    r->offsets = m->offsets;
}

/* ---- who does what ---- */

/* A thread's part of the steps: sequences begin .. end-1 in blocks, panels first .. last-1. */
typedef struct {
    int64_t begin, end, first, last;
    int together; /* the threads share the units and meet after each step */
} K(rnn_part);

/* The sequence before which `share` of `of` of all rows lie: long ones come first. */
static int64_t K(rnn_cut)(const K(rnn) *r, int64_t share, int64_t of) {
    if (r->offsets == NULL) return r->batch * share / of;
    int64_t wanted = r->rows * share / of, done = 0, b = 0;
    for (int64_t length = r->steps; b < r->batch && done < wanted; b++, done += length) {
        while (length > 0 && !K(rnn_active)(r, length - 1, b, b + 1)) length--;
    }
    return share == of ? r->batch : b;
}

static K(rnn_part) K(rnn_share)(const K(rnn) *r, const team *t) {
    int64_t panels = K(rnn_panels)(r->hidden);
    K(rnn_part) p = {0, r->batch, 0, panels, 0};
    if (t->nth == 1) return p;
    if (r->batch >= RNN_ROWS_FOR_THREAD * t->nth) {
        p.begin = K(rnn_cut)(r, t->ith, t->nth);
        p.end = K(rnn_cut)(r, t->ith + 1, t->nth);
    } else {
        p.first = panels * t->ith / t->nth;
        p.last = panels * (t->ith + 1) / t->nth;
        p.together = 1;
    }
    return p;
}

/* The height of the blocks into which a part's sequences are cut. */
static int64_t K(rnn_block)(const K(rnn_part) *p) {
    int64_t rows = p->end - p->begin;
    return rows > 0 ? pyad_ceil_div(rows, pyad_ceil_div(rows, RNN_ROWS)) : 1;
}

static inline int64_t K(rnn_width)(int64_t lanes) { return lanes <= VL ? VL : GEMM_NR; }

/* rows x depth at `a` times a packed panel: sums[i * GEMM_NR + l]. */
static void K(rnn_multiply)(const REAL *a, int64_t a_row, int64_t rows, int64_t depth,
                            const REAL *panel, int64_t width, REAL *sums) {
    int64_t height = K(gemm_height)(rows);
    for (int64_t i = 0, now; i < rows; i += now) {
        now = K(gemm_fit)(pyad_min(height, rows - i));
        K(gemm_tiles_lanes)[now / 2][width > VL](depth, a + i * a_row, a_row, 1, panel, width,
                                                 sums + i * GEMM_NR, GEMM_NR, 0);
    }
}

GEMM_INLINE vec K(rnn_load)(const REAL *p, int64_t j, int64_t n) {
    return p == NULL ? (vec){0} : K(gemm_load_row)(p + j, 1, n);
}

/* ---- forward ---- */

/* The cell of one row: its sums, and where the gates, the cell's state and h go. */
typedef struct {
    const REAL *own;  /* what the sums lack: the bias, or the input's part; NULL: nothing */
    const REAL *back; /* and of GRU's last gate the recurrent part: its bias, or NULL */
    const REAL *sums; /* of a panel: those of slot s at s * RNN_ROWS * GEMM_NR */
    const REAL *h;    /* the state before */
    REAL *c, *cell;   /* the cell's state; where it is kept, or NULL */
    REAL *gates, *state, *y;
    int along, keep; /* the sums hold the input's part; keep the gates */
} K(rnn_row);

GEMM_INLINE vec K(rnn_sum)(const K(rnn_row) *w, int64_t slot, int64_t l) {
    return v_load(w->sums + slot * RNN_ROWS * GEMM_NR + l);
}

/* unit j is column l of the panel */
GEMM_INLINE void K(lstm_cell)(const K(rnn_row) *w, int64_t hidden, int64_t j, int64_t l, int64_t n) {
    vec i = v_sigmoid(K(rnn_load)(w->own, j, n) + K(rnn_sum)(w, 0, l));
    vec f = v_sigmoid(K(rnn_load)(w->own, j + hidden, n) + K(rnn_sum)(w, 1, l));
    vec u = v_tanh(K(rnn_load)(w->own, j + 2 * hidden, n) + K(rnn_sum)(w, 2, l));
    vec o = v_sigmoid(K(rnn_load)(w->own, j + 3 * hidden, n) + K(rnn_sum)(w, 3, l));
    vec c = v_fma(f, K(gemm_load_row)(w->c + j, 1, n), i * u);
    vec h = o * v_tanh(c);
    K(gemm_store_row)(w->c + j, 1, c, n);
    K(gemm_store_row)(w->state + j, 1, h, n);
    K(gemm_store_row)(w->y + j, 1, h, n);
    if (!w->keep) return;
    REAL *g = w->gates + j;
    K(gemm_store_row)(g, 1, i, n);
    K(gemm_store_row)(g + hidden, 1, f, n);
    K(gemm_store_row)(g + 2 * hidden, 1, u, n);
    K(gemm_store_row)(g + 3 * hidden, 1, o, n);
    K(gemm_store_row)(w->cell + j, 1, c, n);
}

/* slots r, z, n and the recurrent part of n */
GEMM_INLINE void K(gru_cell)(const K(rnn_row) *w, int64_t hidden, int64_t j, int64_t l, int64_t n) {
    vec r = v_sigmoid(K(rnn_load)(w->own, j, n) + K(rnn_sum)(w, 0, l));
    vec z = v_sigmoid(K(rnn_load)(w->own, j + hidden, n) + K(rnn_sum)(w, 1, l));
    vec own = K(rnn_load)(w->own, j + 2 * hidden, n);
    if (w->along) own += K(rnn_sum)(w, 2, l);
    vec back = K(rnn_load)(w->back, j, n) + K(rnn_sum)(w, 3, l);
    vec u = v_tanh(v_fma(r, back, own));
    vec h = v_fma(z, K(gemm_load_row)(w->h + j, 1, n) - u, u);
    K(gemm_store_row)(w->state + j, 1, h, n);
    K(gemm_store_row)(w->y + j, 1, h, n);
    if (!w->keep) return;
    REAL *g = w->gates + j;
    K(gemm_store_row)(g, 1, r, n);
    K(gemm_store_row)(g + hidden, 1, z, n);
    K(gemm_store_row)(g + 2 * hidden, 1, u, n);
    K(gemm_store_row)(g + 3 * hidden, 1, back, n);
}

GEMM_INLINE void K(plain_cell)(const K(rnn_row) *w, int64_t kind, int64_t j, int64_t l, int64_t n) {
    vec sum = K(rnn_load)(w->own, j, n) + K(rnn_sum)(w, 0, l);
    vec h = kind == PYAD_RNN_TANH ? v_tanh(sum) : v_max((vec){0}, sum);
    K(gemm_store_row)(w->state + j, 1, h, n);
    K(gemm_store_row)(w->y + j, 1, h, n);
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
    const int64_t slot = RNN_ROWS * GEMM_NR, along = r->along, depth = along + r->hidden;
    int64_t width = K(rnn_width)(pyad_min(GEMM_NR, r->hidden - panel * GEMM_NR));
    packed += panel * r->gates * GEMM_NR * depth;
    for (int64_t g = 0; g < r->gates; g++, packed += GEMM_NR * depth) {
        if (r->kind != PYAD_GRU || g < 2) {
            K(rnn_multiply)(state, step, rows, depth, packed, width, sums + g * slot);
            continue;
        }
        if (along > 0) K(rnn_multiply)(state, step, rows, along, packed, width, sums + 2 * slot);
        K(rnn_multiply)(state + along, step, rows, r->hidden, packed + along * width, width,
                        sums + 3 * slot);
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
    const int64_t line = 64 / (int64_t)sizeof(REAL);
    int64_t begin = panel * GEMM_NR, end = pyad_min(begin + GEMM_NR, r->hidden);
    for (int64_t i = row; i < row + rows; i++) {
        const REAL *gates = (const REAL *)a->gates.data + i * r->row;
        const REAL *y = (const REAL *)a->y.data + i * r->hidden;
        for (int64_t j = begin; j < end; j += line) {
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
            K(rnn_fwd_sums)(r, m->packed, panel, count, states.rows[s % 2], step, sums);
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
                              const team *t, void *products) {
    K(gemm_problem) p = {.m = r->rows, .n = r->gates * r->hidden, .k = r->inputs,
                         .c = a->gates.data, .c_row = r->row, .c_col = 1, .bias_col = bias};
    K(gemm_strided)(&p, (K(gemm_matrix)){a->x.data, a->x.stride[0], a->x.stride[1]},
                    (K(gemm_matrix)){a->w_ih.data, a->w_ih.stride[1], a->w_ih.stride[0]}, t,
                    t->scratch, products);
    if (t->nth > 1) team_barrier(t);
}

static int K(rnn_fwd)(const void *args, const team *t) {
    const rnn_fwd_args *a = args;
    K(rnn) r = K(rnn_of)(&a->x, &a->w_hh, &a->gates, &a->sizes, a->hn.shape[0], a->kind, a->reverse);
    K(rnn_memory) m = K(rnn_lay_out)(&r, t);
    K(rnn_add_offsets)(&r, &m, &a->sizes, t);
    const REAL *bias = K(rnn_bias)(a, &r, m.bias, t);
    if (r.along == 0) K(rnn_fwd_inputs)(a, &r, bias, t, m.products);
    K(rnn_pack_units)(a, &r, m.packed, t);
    if (t->nth > 1) team_barrier(t);
    K(rnn_part) part = K(rnn_share)(&r, t);
    int64_t height = K(rnn_block)(&part);
    REAL *buffer = part.together ? m.state : (REAL *)t->scratch + RNN_SUMS;
    for (int64_t b = part.begin; b < part.end; b += height) {
        K(rnn_fwd_block)(a, &r, &part, &m, buffer, bias, b, pyad_min(height, part.end - b), t);
    }
    return PYAD_OK;
}

static int64_t K(rnn_gates)(int64_t kind) {
    return kind == PYAD_LSTM ? 4 : kind == PYAD_GRU ? 3 : 1;
}

static int64_t K(rnn_steps)(const pyad_array *x, const pyad_array *sizes, int64_t batch) {
    return sizes->data != NULL ? sizes->shape[0] : batch > 0 ? x->shape[0] / batch : 0;
}

PYAD_RECORD(rnn_fwd, rnn_fwd_args,
            K(rnn_work)(&a->x, &a->w_ih, &a->w_hh, a->hn.shape[0], 1),
            K(rnn_scratch_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind), a->x.shape[1]),
            K(rnn_shared_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind),
                                K(rnn_steps)(&a->x, &a->sizes, a->hn.shape[0]), a->x.shape[1]))

/* ---- backward ---- */

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
    K(gemm_store_row)(w->d + j, 1, dc * u * i * (one - i), n);
    K(gemm_store_row)(w->d + j + hidden, 1, dc * K(rnn_load)(w->c_before, j, n) * f * (one - f), n);
    K(gemm_store_row)(w->d + j + 2 * hidden, 1, dc * i * (one - u * u), n);
    K(gemm_store_row)(w->d + j + 3 * hidden, 1, dh * c * o * (one - o), n);
    K(gemm_store_row)(w->dc + j, 1, dc * f, n);
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
    K(gemm_store_row)(w->d + j, 1, du * back * r * (one - r), n);
    K(gemm_store_row)(w->d + j + hidden, 1, dz, n);
    K(gemm_store_row)(w->d + j + 2 * hidden, 1, du * r, n);
    K(gemm_store_row)(w->d + j + 3 * hidden, 1, du, n);
    K(gemm_store_row)(w->dc + j, 1, dh * z, n);
}

GEMM_INLINE void K(plain_back)(const K(rnn_back) *w, int64_t kind, int64_t j, int64_t l,
                              int64_t n) {
    vec h = K(rnn_load)(w->y, j, n), dh = K(rnn_dh)(w, j, l, n);
    vec d = kind == PYAD_RNN_TANH ? dh * (v_set1(1) - h * h)
                                  : v_select(h > (vec){0}, dh, (vec){0});
    K(gemm_store_row)(w->d + j, 1, d, n);
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

#define RNN_PANEL(i) ((i) * RNN_ROWS * GEMM_NR)

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
            K(gemm_store_row)(dh0 + i * hidden + j, 1, v, n);
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
        for (int64_t i = 0; i < panels && needed > 0; i++) {
            int64_t panel = s % 2 ? p->last - 1 - i : p->first + i;
            K(rnn_multiply)(d, d_row, needed, depth, packed + panel * GEMM_NR * depth,
                            K(rnn_width)(pyad_min(GEMM_NR, hidden - panel * GEMM_NR)),
                            grads.dh + RNN_PANEL(panel));
        }
        if (left < count) K(rnn_bwd_drain)(a, r, p, &grads, begin, left, count - left);
    }
    if (p->together) team_barrier(t);
}

/* The states before each row, as the right operand of a product over all rows. */
typedef struct {
    const K(rnn) *r;
    const REAL *y, *h0;
} K(rnn_states);

static void K(rnn_pack_states)(const void *context, REAL *dst, int64_t width, int64_t lane,
                               int64_t lanes, int64_t k, int64_t depth) {
    const K(rnn_states) *s = context;
    const K(rnn) *r = s->r;
    int64_t step = 0;
    if (r->offsets == NULL) {
        step = k / r->batch;
    } else {
        int64_t high = r->steps;
        while (high - step > 1) {
            int64_t middle = (step + high) / 2;
            if (r->offsets[middle] <= k) {
                step = middle;
            } else {
                high = middle;
            }
        }
    }
    for (int64_t d = 0; d < depth; d++, dst += width) {
        while (K(rnn_offset)(r, step + 1) <= k + d) step++;
        int64_t b = k + d - K(rnn_offset)(r, step);
        const REAL *from = K(rnn_previous)(r, s->y, s->h0, step, b, r->hidden);
        for (int64_t l = 0; l < lanes; l += VL) {
            int64_t n = pyad_min(VL, lanes - l);
            v_store(dst + l, K(rnn_load)(from, lane + l, n));
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

static void K(rnn_dx)(const rnn_bwd_args *a, const K(rnn) *r, const team *t, void *products) {
    K(rnn_span) spans[RNN_SPANS];
    int64_t count = K(rnn_spans)(r, spans);
    for (int64_t i = 0; i < count; i++) {
        if (spans[i].forward < 0) continue;
        K(gemm_problem) p = {.m = r->rows, .n = r->inputs, .k = spans[i].width, .c = a->dx.data,
                             .c_row = r->inputs, .c_col = 1, .accumulate = i > 0};
        K(gemm_matrix) d = {(const REAL *)a->d.data + spans[i].from, a->d.stride[0], 1};
        const REAL *weights = (const REAL *)a->w_ih.data + spans[i].forward * r->inputs;
        K(gemm_matrix) w = {weights, r->inputs, 1};
        K(gemm_strided)(&p, d, w, t, t->scratch, products);
        team_barrier(t);
    }
}

/* The two products that share the packed d: d^T times the states, and times x. */
typedef struct {
    K(gemm_problem) of[2];
    K(gemm_part) part[2];
    REAL *db[2];
} K(rnn_weights);

/* Add the sums of the columns of a packed panel to what the rows before gave: `first` of them. */
static void K(rnn_sum_panel)(const REAL *panel, int64_t width, int64_t lanes, int64_t depth,
                             int first, REAL *out) {
    for (int64_t l = 0; l < lanes; l += VL) {
        int64_t n = pyad_min(VL, lanes - l), d = 0;
        vec sum[4] = {{0}};
        for (; d + 4 <= depth; d += 4) {
            GEMM_UNROLL for (int64_t i = 0; i < 4; i++) {
                sum[i] += v_load(panel + (d + i) * width + l);
            }
        }
        for (; d < depth; d++) sum[0] += v_load(panel + d * width + l);
        vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        K(gemm_store_row)(out + l, 1, first ? all : all + K(gemm_load_row)(out + l, 1, n), n);
    }
}

/* Columns begin .. end-1 of a span of d, GEMM_MC at most, from row k of the parts on: pack, sum and
 * multiply. */
static void K(rnn_dw_block)(const rnn_bwd_args *a, const K(rnn_span) *span, const K(rnn_weights) *w,
                            int64_t begin, int64_t end, int64_t k, REAL *packed) {
    int64_t height = K(gemm_height)(end - begin), row[2] = {span->back, span->forward};
    int64_t at = w->part[0].k + k, depth = pyad_min(GEMM_KC, w->part[0].depth - k);
    const REAL *d = (const REAL *)a->d.data + span->from + at * a->d.stride[0];
    for (int64_t i = begin; i < end; i += height) {
        int64_t lanes = pyad_min(height, end - i);
        REAL *to = packed + (i - begin) * depth;
        K(gemm_pack_panel)(to, height, lanes, depth, d + i, 1, a->d.stride[0]);
        for (int j = 0; j < 2; j++) {
            if (row[j] < 0 || w->db[j] == NULL) continue;
            K(rnn_sum_panel)(to, height, lanes, depth, at == 0, w->db[j] + row[j] + i);
        }
    }
    for (int j = 0; j < 2; j++) {
        const K(gemm_part) *part = &w->part[j];
        int64_t panels = pyad_ceil_div(part->cols, GEMM_NR);
        if (row[j] < 0 || panels == 0) continue;
        K(gemm_block)(&w->of[j], packed, row[j] + begin, end - begin, height,
                      part->data + k * panels * GEMM_NR, part, 0, panels, at, depth);
    }
}

/* This thread's columns of d, of all spans laid side by side, times the parts of the states and x:
 * columns by GEMM_MC, rows by GEMM_KC. */
static void K(rnn_dw_part)(const rnn_bwd_args *a, const K(rnn) *r, K(rnn_weights) *w,
                           const team *t) {
    K(rnn_span) spans[RNN_SPANS];
    int64_t count = K(rnn_spans)(r, spans), before = 0, begin, end;
    team_range(t, r->slots * r->hidden, 2, &begin, &end);
    for (int64_t i = 0; i < count; before += spans[i++].width) {
        int64_t last = pyad_min(end - before, spans[i].width);
        for (int64_t j = pyad_max(begin - before, 0), now; j < last; j += now) {
            now = pyad_min(GEMM_MC_NOW, last - j);
            for (int64_t k = 0; k < w->part[0].depth; k += GEMM_KC) {
                K(rnn_dw_block)(a, &spans[i], w, j, j + now, k, t->scratch);
            }
        }
    }
}

/* Columns col .. col+most-1 of the states and x, which stand side by side from `start` on: those of
 * one of them. */
static K(gemm_part) K(rnn_dw_columns)(REAL *data, int64_t start, int64_t width, int64_t col,
                                      int64_t most) {
    int64_t begin = pyad_max(col - start, 0), end = pyad_min(col + most - start, width);
    return (K(gemm_part)){.data = data, .col = begin, .cols = pyad_max(end - begin, 0)};
}

/* Gradients of weights and biases: sums over all rows of d, packed once for both weights. */
static void K(rnn_dw)(const rnn_bwd_args *a, const K(rnn) *r, const team *t, REAL *products) {
    K(rnn_states) states = {r, a->y.data, a->h0.data};
    K(gemm_matrix) x = {a->x.data, a->x.stride[0], a->x.stride[1]};
    K(rnn_weights) w = {.of = {{.n = r->hidden, .k = r->rows, .pack_b = K(rnn_pack_states),
                                .b = &states, .c = a->dw_hh.data, .c_row = r->hidden, .c_col = 1},
                               {.n = r->inputs, .k = r->rows, .pack_b = K(gemm_pack_cols), .b = &x,
                                .c = a->dw_ih.data, .c_row = r->inputs, .c_col = 1}}};
    int64_t width[2] = {a->dw_hh.data == NULL ? 0 : r->hidden,
                        a->dw_ih.data == NULL ? 0 : r->inputs};
    int64_t start = pyad_ceil_div(width[0], GEMM_NR) * GEMM_NR;
    int64_t all = start + pyad_ceil_div(width[1], GEMM_NR) * GEMM_NR;
    int64_t columns = pyad_max(pyad_min(all, GEMM_NC_NOW), GEMM_NR);
    int64_t depth = GEMM_PART / columns / GEMM_KC * GEMM_KC;
    int64_t turn = 0, col = 0;
    do {
        w.db[0] = col > 0 ? NULL : a->db_hh.data;
        w.db[1] = col > 0 ? NULL : a->db_ih.data;
        for (int64_t k = 0; k < r->rows; k += depth, turn ^= t->nth > 1) {
            REAL *data = products + turn * GEMM_PART;
            for (int64_t j = 0; j < 2; j++) {
                w.part[j] = K(rnn_dw_columns)(data, j * start, width[j], col, columns);
                w.part[j].k = k;
                w.part[j].depth = pyad_min(depth, r->rows - k);
                K(gemm_pack_part)(&w.of[j], &w.part[j], t);
                data += pyad_ceil_div(w.part[j].cols, GEMM_NR) * GEMM_NR * w.part[j].depth;
            }
            team_barrier(t);
            K(rnn_dw_part)(a, r, &w, t);
        }
        col += columns;
    } while (col < all);
}

/* The same of no rows. */
static void K(rnn_dw_empty)(const rnn_bwd_args *a, const team *t) {
    const pyad_array *outs[] = {&a->dw_ih, &a->dw_hh, &a->db_ih, &a->db_hh};
    for (int i = 0; i < 4 && t->ith == 0; i++) {
        if (outs[i]->data == NULL) continue;
        memset(outs[i]->data, 0, (size_t)pyad_numel(outs[i]) * sizeof(REAL));
    }
}

static int K(rnn_bwd)(const void *args, const team *t) {
    const rnn_bwd_args *a = args;
    K(rnn) r = K(rnn_of)(&a->x, &a->w_hh, &a->gates, &a->sizes, a->batch, a->kind, a->reverse);
    K(rnn_memory) m = K(rnn_lay_out)(&r, t);
    K(rnn_add_offsets)(&r, &m, &a->sizes, t);
    int64_t depth = r.gates * r.hidden, begin, end;
    team_range(t, K(rnn_panels)(r.hidden), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t lanes = pyad_min(GEMM_NR, r.hidden - i * GEMM_NR);
        K(gemm_pack_panel)(m.packed + i * GEMM_NR * depth, K(rnn_width)(lanes), lanes, depth,
                           (const REAL *)a->w_hh.data + i * GEMM_NR, 1, r.hidden);
    }
    if (t->nth > 1) team_barrier(t);
    K(rnn_part) part = K(rnn_share)(&r, t);
    int64_t height = K(rnn_block)(&part);
    REAL *buffer = part.together ? m.state : (REAL *)t->scratch + RNN_SUMS;
    for (int64_t b = part.begin; b < part.end; b += height) {
        K(rnn_bwd_block)(a, &r, &part, m.packed, buffer, b, pyad_min(height, part.end - b), t);
    }
    team_barrier(t);
    if (a->dx.data != NULL) K(rnn_dx)(a, &r, t, m.products);
    if (r.rows == 0) {
        K(rnn_dw_empty)(a, t);
    } else if (a->dw_ih.data != NULL || a->dw_hh.data != NULL || a->db_ih.data != NULL ||
               a->db_hh.data != NULL) {
        K(rnn_dw)(a, &r, t, m.products);
    }
    return PYAD_OK;
}

PYAD_RECORD(rnn_bwd, rnn_bwd_args,
            K(rnn_work)(&a->x, &a->w_ih, &a->w_hh, a->batch, 2),
            K(rnn_scratch_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind), a->x.shape[1]),
            K(rnn_shared_bytes)(a->w_hh.shape[1], K(rnn_gates)(a->kind),
                                K(rnn_steps)(&a->x, &a->sizes, a->batch), a->x.shape[1]))

#undef RNN_PAD
#undef RNN_PANEL
#endif
