/* The sequences of a recurrent layer, the memory that the team shares, and who does what. */

typedef struct {
    int64_t kind, gates, slots; /* gates: blocks of the weights; slots: blocks of a row of `gates` */
    int64_t hidden, inputs, batch, steps, rows;
    int64_t row;            /* elements from row to row of gates */
    const int64_t *offsets; /* of the steps; NULL: multiples of batch */
    int reverse;
    int64_t along; /* inputs whose part of the sums is made in the steps: all, or 0 */
    int once;      /* forward: one step of few sequences, for which packing the weights takes longest */
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
           own * (int64_t)sizeof(REAL);
}

typedef struct {
    int64_t *offsets;
    REAL *bias;
    REAL *packed;
    REAL *state; /* of a block whose units the threads share out */
} K(rnn_memory);

static K(rnn_memory) K(rnn_lay_out)(const K(rnn) *r, const team *t) {
    K(rnn_memory) m;
    m.offsets = t->shared;
    m.bias = (REAL *)(m.offsets + K(rnn_round)(r->steps + 1));
    m.packed = m.bias + K(rnn_round)(r->gates * r->hidden);
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

/* The sequence at which the part of thread `ith` of all rows begins: long ones come first. */
static int64_t K(rnn_cut)(const K(rnn) *r, const team *t, int64_t ith) {
    /* a tile of an odd number of rows is two */
    if (r->offsets == NULL) {
        return pyad_min(r->batch, 2 * team_cut(t, pyad_ceil_div(r->batch, 2), ith, 0, t->nth));
    }
    int64_t wanted = team_cut(t, r->rows, ith, 0, t->nth), done = 0, b = 0;
    for (int64_t length = r->steps; b < r->batch && done < wanted; b++, done += length) {
        while (length > 0 && !K(rnn_active)(r, length - 1, b, b + 1)) length--;
    }
    return ith == t->nth ? r->batch : b;
}

static K(rnn_part) K(rnn_share)(const K(rnn) *r, const team *t) {
    int64_t panels = K(rnn_panels)(r->hidden);
    K(rnn_part) p = {0, r->batch, 0, panels, 0};
    if (t->nth == 1) return p;
    if (r->batch >= RNN_ROWS_FOR_THREAD * t->nth) {
        p.begin = K(rnn_cut)(r, t, t->ith);
        p.end = K(rnn_cut)(r, t, t->ith + 1);
        /* the steps take most of the time, whatever else is shared out */
        team_note(t, r->batch * RNN_WEIGHT, (p.end - p.begin) * RNN_WEIGHT);
    } else {
        p.first = panels * t->ith / t->nth; /* panels are few, so parts are even */
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

/* One row times whole panels: sums of panel p at RNN_PANEL(p). */
static void K(rnn_multiply_row)(const REAL *restrict a, int64_t depth, const REAL *restrict packed,
                                REAL *restrict sums) {
    vec sum[RNN_TOGETHER][GEMM_NV] = {{{0}}};
    for (int64_t d = 0; d < depth; d++, packed += GEMM_NR) {
        vec left = v_set1(a[d]);
        GEMM_UNROLL for (int64_t p = 0; p < RNN_TOGETHER; p++) {
            GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
                vec right = v_load(packed + p * GEMM_NR * depth + j * VL);
                sum[p][j] = v_fma(left, right, sum[p][j]);
            }
        }
    }
    GEMM_UNROLL for (int64_t p = 0; p < RNN_TOGETHER; p++) {
        GEMM_UNROLL for (int64_t j = 0; j < GEMM_NV; j++) {
            v_store(sums + RNN_PANEL(p) + j * VL, sum[p][j]);
        }
    }
}

/* rows x depth at `a` times `count` packed panels as wide as `width`: sums[i * GEMM_NR + l] of row
 * i, for panel p from RNN_PANEL(p) on. */
static void K(rnn_multiply)(const REAL *a, int64_t a_row, int64_t rows, int64_t depth,
                            const REAL *packed, int64_t width, int64_t count, REAL *sums) {
    int64_t height = K(gemm_height)(rows), p = 0;
    for (; rows == 1 && width > VL && count - p >= RNN_TOGETHER; p += RNN_TOGETHER) {
        K(rnn_multiply_row)(a, depth, packed + p * GEMM_NR * depth, sums + RNN_PANEL(p));
    }
    for (; p < count; p++) {
        const REAL *panel = packed + p * GEMM_NR * depth;
        REAL *to = sums + RNN_PANEL(p);
        for (int64_t i = 0, now; i < rows; i += now) {
            now = K(gemm_fit)(pyad_min(height, rows - i));
            K(gemm_tiles_lanes)[now / 2][width > VL](&(K(gemm_sums)){
                .depth = depth, .a = a + i * a_row, .a_lane = a_row, .a_depth = 1, .b = panel,
                .b_depth = width, .to = to + i * GEMM_NR, .to_row = GEMM_NR,
                .awaited = to + i * GEMM_NR, .awaited_row = GEMM_NR});
        }
    }
}

GEMM_INLINE vec K(rnn_load)(const REAL *p, int64_t j, int64_t n) {
    return p == NULL ? (vec){0} : v_load_live(p + j, n);
}
