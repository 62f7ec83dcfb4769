/* The gradients of x, weights and biases: products over the rows of all steps, once the steps are
 * through.
 */

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
