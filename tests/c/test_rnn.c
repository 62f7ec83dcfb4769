/* The recurrent kernels: forward against plain loops in double; the gradient by its effect on the
 * loss; exactly as much scratch as they ask for; the same bits on any number of threads; every ISA.
 */
#include "testing.h"

#define CASES 24
#define ARRAYS 21

static const int64_t FLOATS[] = {PYAD_FLOAT32, PYAD_FLOAT64};

typedef struct {
    int64_t kind, reverse, dtype, steps, batch, rows, inputs, hidden, gates, slots;
    int64_t packed, bias, state;
    int64_t sizes[8];
    rnn_fwd_args fwd;
    rnn_bwd_args bwd;
    pyad_array *all[ARRAYS];
    int64_t count;
} layer;

/* ---- arrays ---- */

static void fill(const pyad_array *x, double size, uint64_t *random) {
    for (int64_t i = 0; i < pyad_numel(x); i++) {
        set(x, i, size * (double)number_in(random, -1000, 1000) / 1000);
    }
}

static void make(layer *l, pyad_array *a, int64_t rows, int64_t columns, uint64_t *random) {
    const int64_t shape[] = {rows, columns};
    *a = new_array(l->dtype, columns > 0 ? 2 : 1, shape, 0);
    fill(a, 0.7, random);
    l->all[l->count++] = a;
}

static void choose(layer *l, uint64_t *random) {
    static const int64_t widths[] = {1, 3, 8, 16, 17, 33, 40, 140};
    /* the last: too many weights for the input's part to be made in the steps */
    static const int64_t features[] = {1, 3, 8, 16, 17, 33, 140, 1000};
    static const int64_t batches[] = {1, 2, 5, 17, 60};
    l->steps = number_in(random, 1, 4);
    l->batch = batches[number_in(random, 0, 4)];
    l->inputs = features[number_in(random, 0, 7)];
    l->hidden = widths[number_in(random, 0, 7)];
    l->gates = l->kind == PYAD_LSTM ? 4 : l->kind == PYAD_GRU ? 3 : 1;
    l->slots = l->kind == PYAD_GRU ? 4 : l->gates;
    l->packed = number_in(random, 0, 1);
    l->bias = number_in(random, 0, 3) > 0;
    l->state = number_in(random, 0, 3) > 0;
    l->rows = 0;
    for (int64_t t = 0, n = l->batch; t < l->steps; t++) {
        l->sizes[t] = n;
        l->rows += n;
        if (l->packed) n = number_in(random, 1, n);
    }
}

/* `all` points into the layer, which therefore is filled where it stays. */
static void new_layer(layer *l, int64_t kind, int64_t reverse, int64_t dtype, uint64_t *random) {
    *l = (layer){.kind = kind, .reverse = reverse, .dtype = dtype};
    choose(l, random);
    int64_t width = l->gates * l->hidden;
    l->fwd = (rnn_fwd_args){.kind = kind, .reverse = reverse, .keep = 1};
    make(l, &l->fwd.x, l->rows, l->inputs, random);
    make(l, &l->fwd.w_ih, width, l->inputs, random);
    make(l, &l->fwd.w_hh, width, l->hidden, random);
    if (l->state) make(l, &l->fwd.h0, l->batch, l->hidden, random);
    if (l->state && kind == PYAD_LSTM) make(l, &l->fwd.c0, l->batch, l->hidden, random);
    if (l->bias) make(l, &l->fwd.b_ih, width, 0, random);
    if (l->bias) make(l, &l->fwd.b_hh, width, 0, random);
    make(l, &l->fwd.y, l->rows, l->hidden, random);
    make(l, &l->fwd.hn, l->batch, l->hidden, random);
    make(l, &l->fwd.gates, l->rows, l->slots * l->hidden, random);
    if (kind == PYAD_LSTM) make(l, &l->fwd.cn, l->batch, l->hidden, random);
    if (kind == PYAD_LSTM) make(l, &l->fwd.cells, l->rows, l->hidden, random);
    if (l->packed) {
        l->fwd.sizes = new_array(PYAD_INT64, 1, &l->steps, 0);
        memcpy(l->fwd.sizes.data, l->sizes, (size_t)l->steps * sizeof l->sizes[0]);
    }
}

/* The gradient's arrays; call after the addresses of `l` are settled and forward has run. */
static void add_gradient(layer *l, uint64_t *random) {
    int64_t width = l->gates * l->hidden;
    const rnn_fwd_args *f = &l->fwd;
    l->bwd = (rnn_bwd_args){.x = f->x, .h0 = f->h0, .c0 = f->c0, .w_ih = f->w_ih, .w_hh = f->w_hh,
                            .sizes = f->sizes, .y = f->y, .gates = f->gates, .cells = f->cells,
                            .kind = l->kind, .reverse = l->reverse, .batch = l->batch};
    make(l, &l->bwd.dy, l->rows, l->hidden, random);
    make(l, &l->bwd.dhn, l->batch, l->hidden, random);
    make(l, &l->bwd.d, l->rows, l->slots * l->hidden, random);
    make(l, &l->bwd.dx, l->rows, l->inputs, random);
    make(l, &l->bwd.dh0, l->batch, l->hidden, random);
    make(l, &l->bwd.dw_ih, width, l->inputs, random);
    make(l, &l->bwd.dw_hh, width, l->hidden, random);
    make(l, &l->bwd.db_ih, width, 0, random);
    make(l, &l->bwd.db_hh, width, 0, random);
}

static void free_layer(layer *l) {
    for (int64_t i = 0; i < l->count; i++) free(l->all[i]->data);
    free(l->fwd.sizes.data);
}

/* ---- plain loops ---- */

#define MOST_UNITS 1000

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double dot(const pyad_array *w, int64_t row, const double *x) {
    double sum = 0;
    for (int64_t k = 0; k < w->shape[1]; k++) sum += get(w, row * w->shape[1] + k) * x[k];
    return sum;
}

static double bias_at(const pyad_array *b, int64_t i) { return b->data == NULL ? 0 : get(b, i); }

/* One cell: h and c before become h and c after. */
static void plain_cell(const layer *l, const double *x, double *h, double *c) {
    int64_t n = l->hidden;
    double own[4][MOST_UNITS] = {{0}}, back[4][MOST_UNITS] = {{0}};
    for (int64_t g = 0; g < l->gates; g++) {
        for (int64_t j = 0; j < n; j++) {
            own[g][j] = dot(&l->fwd.w_ih, g * n + j, x) + bias_at(&l->fwd.b_ih, g * n + j);
            back[g][j] = dot(&l->fwd.w_hh, g * n + j, h) + bias_at(&l->fwd.b_hh, g * n + j);
        }
    }
    for (int64_t j = 0; j < n; j++) {
        double first = own[0][j] + back[0][j], second = own[1][j] + back[1][j];
        if (l->kind == PYAD_LSTM) {
            c[j] = sigmoid(second) * c[j] + sigmoid(first) * tanh(own[2][j] + back[2][j]);
            h[j] = sigmoid(own[3][j] + back[3][j]) * tanh(c[j]);
        } else if (l->kind == PYAD_GRU) {
            double u = tanh(own[2][j] + sigmoid(first) * back[2][j]), z = sigmoid(second);
            h[j] = (1 - z) * u + z * h[j];
        } else {
            h[j] = l->kind == PYAD_RNN_TANH ? tanh(first) : fmax(first, 0);
        }
    }
}

static void check_forward(const layer *l) {
    double tolerance = 30 * precision_of(l->dtype);
    for (int64_t b = 0; b < l->batch; b++) {
        double x[MOST_UNITS], h[MOST_UNITS] = {0}, c[MOST_UNITS] = {0};
        for (int64_t j = 0; j < l->hidden && l->state; j++) {
            h[j] = get(&l->fwd.h0, b * l->hidden + j);
            if (l->kind == PYAD_LSTM) c[j] = get(&l->fwd.c0, b * l->hidden + j);
        }
        for (int64_t s = 0; s < l->steps; s++) {
            int64_t t = l->reverse ? l->steps - 1 - s : s, row = b;
            if (b >= l->sizes[t]) continue;
            for (int64_t i = 0; i < t; i++) row += l->sizes[i];
            for (int64_t k = 0; k < l->inputs; k++) x[k] = get(&l->fwd.x, row * l->inputs + k);
            plain_cell(l, x, h, c);
            for (int64_t j = 0; j < l->hidden; j++) {
                assert_true(close_to(get(&l->fwd.y, row * l->hidden + j), h[j], tolerance));
            }
        }
        for (int64_t j = 0; j < l->hidden; j++) {
            assert_true(close_to(get(&l->fwd.hn, b * l->hidden + j), h[j], tolerance));
            if (l->kind != PYAD_LSTM) continue;
            assert_true(close_to(get(&l->fwd.cn, b * l->hidden + j), c[j], tolerance));
        }
    }
}

/* ---- the tests ---- */

/* Alone, with exactly as much memory as the kernel asks for, so that the sanitizer sees more. */
static void run_in_own_memory(int64_t id, const void *args, int64_t dtype) {
    const pyad_kernel *kernel = pyad_current_table()[id].of[dtype];
    size_t scratch = (size_t)kernel->scratch(args, 1), shared = (size_t)kernel->shared(args, 1);
    team alone = {.ith = 0, .nth = 1};
    assert_int_equal(posix_memalign(&alone.scratch, 64, scratch), 0);
    assert_int_equal(posix_memalign(&alone.shared, 64, shared), 0);
    assert_int_equal(kernel->run(args, &alone), PYAD_OK);
    free(alone.scratch);
    free(alone.shared);
}

static void test_forward(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint64_t seed = 1; seed <= CASES; seed++) {
            uint64_t random = seed * 7919;
            layer l;
            new_layer(&l, (int64_t)(seed % 4), (int64_t)(seed / 4 % 2), FLOATS[seed / 8 % 2],
                      &random);
            run_in_own_memory(PYAD_ID_rnn_fwd, &l.fwd, l.dtype);
            check_forward(&l);
            size_t bytes = (size_t)(pyad_numel(&l.fwd.y) * item_bytes(l.dtype));
            void *once = malloc(bytes);
            memcpy(once, l.fwd.y.data, bytes);
            for (int64_t nth = 2; nth <= 4; nth++) {
                memset(l.fwd.y.data, 0, bytes);
                run_kernel_ok(PYAD_ID_rnn_fwd, l.fwd, nth);
                assert_memory_equal(l.fwd.y.data, once, bytes);
            }
            free(once);
            free_layer(&l);
        }
    }
}

/* sum(dy y) + sum(dhn hn) */
static double loss_of(layer *l) {
    double sum = 0;
    run_kernel_ok(PYAD_ID_rnn_fwd, l->fwd, 1);
    for (int64_t i = 0; i < pyad_numel(&l->fwd.y); i++) {
        sum += get(&l->bwd.dy, i) * get(&l->fwd.y, i);
    }
    for (int64_t i = 0; i < pyad_numel(&l->fwd.hn); i++) {
        sum += get(&l->bwd.dhn, i) * get(&l->fwd.hn, i);
    }
    return sum;
}

/* The derivative along a random direction of one input. */
static void check_direction(layer *l, const pyad_array *x, const pyad_array *dx, uint64_t *random) {
    if (x->data == NULL) return;
    const double h = 1e-5;
    double expected = 0, values[2];
    int64_t n = pyad_numel(x);
    double *old = malloc((size_t)n * sizeof *old), *move = malloc((size_t)n * sizeof *move);
    for (int64_t i = 0; i < n; i++) {
        old[i] = get(x, i);
        move[i] = (double)number_in(random, -100, 100) / 100;
        expected += move[i] * get(dx, i);
    }
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++) set(x, i, old[i] + (k ? h : -h) * move[i]);
        values[k] = loss_of(l);
    }
    for (int64_t i = 0; i < n; i++) set(x, i, old[i]);
    assert_true(close_to((values[1] - values[0]) / (2 * h), expected, 1e-5));
    free(old);
    free(move);
}

static void check_gradient(layer *l, uint64_t *random) {
    check_direction(l, &l->fwd.x, &l->bwd.dx, random);
    check_direction(l, &l->fwd.h0, &l->bwd.dh0, random);
    check_direction(l, &l->fwd.w_ih, &l->bwd.dw_ih, random);
    check_direction(l, &l->fwd.w_hh, &l->bwd.dw_hh, random);
    check_direction(l, &l->fwd.b_ih, &l->bwd.db_ih, random);
    check_direction(l, &l->fwd.b_hh, &l->bwd.db_hh, random);
}

static void test_gradient(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint64_t seed = 1; seed <= CASES; seed++) {
            uint64_t random = seed * 104729;
            /* ReLU has kinks, which a difference would see */
            int64_t kind = (int64_t)(seed % 3), dtype = FLOATS[seed / 3 % 2];
            layer l;
            new_layer(&l, kind, (int64_t)(seed / 2 % 2), dtype, &random);
            run_kernel_ok(PYAD_ID_rnn_fwd, l.fwd, 1);
            add_gradient(&l, &random);
            run_in_own_memory(PYAD_ID_rnn_bwd, &l.bwd, l.dtype);
            if (dtype == PYAD_FLOAT64) check_gradient(&l, &random);
            run_kernel_ok(PYAD_ID_rnn_fwd, l.fwd, 1);
            size_t bytes = (size_t)(pyad_numel(&l.bwd.dw_hh) * item_bytes(dtype));
            void *once = malloc(bytes);
            memcpy(once, l.bwd.dw_hh.data, bytes);
            for (int64_t nth = 2; nth <= 4; nth++) {
                run_kernel_ok(PYAD_ID_rnn_bwd, l.bwd, nth);
                assert_memory_equal(l.bwd.dw_hh.data, once, bytes);
            }
            free(once);
            free_layer(&l);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
