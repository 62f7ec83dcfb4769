/* The pooling kernels against plain loops: random windows, every ISA, both floats, any number of
 * threads with the same bits.
 */
#include "testing.h"

#define AXES 3
#define CASES 60
#define LARGEST 16384 /* elements of the largest array below */

static const int64_t FLOATS[] = {PYAD_FLOAT32, PYAD_FLOAT64};

typedef struct {
    int64_t n, c, ndim, adaptive;
    int64_t in[AXES], out[AXES], kernel[AXES], stride[AXES], padding[AXES], dilation[AXES];
    int64_t with_padding, divisor;
} windows;

/* ---- random windows ---- */

static void random_axis(windows *w, int i, uint64_t *random) {
    for (;;) {
        int64_t kernel = number_in(random, 1, 4), stride = number_in(random, 1, 3);
        int64_t dilation = w->with_padding < 0 ? number_in(random, 1, 2) : 1;
        int64_t padding = number_in(random, 0, kernel / 2), in = number_in(random, 1, 7);
        int64_t room = in + 2 * padding - (kernel - 1) * dilation - 1;
        if (room < 0 || (dilation > 1 && dilation > in)) continue;
        w->in[i] = in, w->kernel[i] = kernel, w->stride[i] = stride;
        w->padding[i] = padding, w->dilation[i] = dilation;
        w->out[i] = room / stride + 1;
        /* as in ceil mode, where the last window still starts inside */
        int64_t next = w->out[i] * stride;
        if (room % stride && next < in + padding && number_in(random, 0, 1)) w->out[i]++;
        return;
    }
}

static void adaptive_axis(windows *w, int i, uint64_t *random) {
    int64_t in = number_in(random, 1, 7), out = number_in(random, 1, 5);
    w->in[i] = in, w->out[i] = out, w->stride[i] = 1, w->padding[i] = 0, w->dilation[i] = 1;
    w->kernel[i] = (in + out - 1) / out + (in % out != 0);
}

/* with_padding < 0 says that they are for max pooling, which has dilation */
static windows random_windows(uint64_t *random, int average) {
    static const int64_t channels[] = {1, 3, 8, 16, 17, 21};
    windows w = {.n = number_in(random, 0, 2), .ndim = number_in(random, 3, 5)};
    w.c = channels[number_in(random, 0, 5)];
    w.adaptive = number_in(random, 0, 3) == 0;
    w.with_padding = average ? number_in(random, 0, 1) : -1;
    w.divisor = average && number_in(random, 0, 3) == 0 ? -3 : 0;
    for (int i = 0; i < AXES; i++) {
        if (i < AXES - (w.ndim - 2)) {
            w.in[i] = w.out[i] = w.kernel[i] = w.stride[i] = w.dilation[i] = 1;
        } else if (w.adaptive) {
            adaptive_axis(&w, i, random);
        } else {
            random_axis(&w, i, random);
        }
    }
    return w;
}

static pyad_array array_for(const windows *w, const int64_t *size, int64_t dtype) {
    int64_t shape[5] = {w->n, w->c};
    for (int64_t i = 0; i < w->ndim - 2; i++) shape[2 + i] = size[AXES - (w->ndim - 2) + i];
    pyad_array a = new_array(dtype, w->ndim, shape, 1);
    assert_true(pyad_numel(&a) <= LARGEST);
    return a;
}

/* ---- plain loops ---- */

/* Input position of cell k of output o, -1 if outside. */
static int64_t position(const windows *w, int i, int64_t o, int64_t k) {
    if (w->adaptive) {
        int64_t at = o * w->in[i] / w->out[i] + k;
        return at < ((o + 1) * w->in[i] + w->out[i] - 1) / w->out[i] ? at : -1;
    }
    int64_t at = o * w->stride[i] - w->padding[i] + k * w->dilation[i];
    return at < 0 || at >= w->in[i] ? -1 : at;
}

/* The pixel of the input under cell (flat number) of one output pixel, -1 if outside. */
static int64_t pixel_under(const windows *w, const int64_t *o, int64_t cell) {
    int64_t k[AXES], pixel = 0;
    for (int i = AXES - 1; i >= 0; i--) {
        k[i] = cell % w->kernel[i];
        cell /= w->kernel[i];
    }
    for (int i = 0; i < AXES; i++) {
        int64_t at = position(w, i, o[i], k[i]);
        if (at < 0) return -1;
        pixel = pixel * w->in[i] + at;
    }
    return pixel;
}

static int64_t cells_of(const windows *w) { return w->kernel[0] * w->kernel[1] * w->kernel[2]; }

static int64_t product(const int64_t *size) { return size[0] * size[1] * size[2]; }

static double divisor_of(const windows *w, const int64_t *o) {
    if (w->divisor) return (double)w->divisor;
    int64_t cells = 1;
    for (int i = 0; i < AXES; i++) {
        int64_t count = 0;
        for (int64_t k = 0; k < w->kernel[i]; k++) {
            int64_t padded = o[i] * w->stride[i] + k;
            int inside = position(w, i, o[i], k) >= 0;
            int counts = w->with_padding && padded < w->in[i] + 2 * w->padding[i];
            count += w->adaptive ? inside : inside || counts;
        }
        cells *= count;
    }
    return (double)cells;
}

/* A loop over the output elements: out is the place in memory, image, channel and o what it is of. */
#define FOR_EACH_OUTPUT(w, out, image, channel, o)                                               \
    for (int64_t out = 0, image = 0, channel = 0, o[AXES] = {0};                                 \
         out < (w)->n * product((w)->out) * (w)->c && place(w, out, &image, &channel, o); out++)

static int place(const windows *w, int64_t out, int64_t *image, int64_t *channel, int64_t *o) {
    *channel = out % w->c;
    int64_t pixel = out / w->c;
    for (int i = AXES - 1; i >= 0; i--) {
        o[i] = pixel % w->out[i];
        pixel /= w->out[i];
    }
    *image = pixel;
    return 1;
}

static int64_t element(const windows *w, int64_t image, int64_t pixel, int64_t channel) {
    return (image * product(w->in) + pixel) * w->c + channel;
}

/* ---- max ---- */

static double best_of(const windows *w, const pyad_array *x, int64_t image, int64_t channel,
                      const int64_t *o, int64_t *winner) {
    double best = NAN;
    *winner = -1;
    for (int64_t cell = 0; cell < cells_of(w); cell++) {
        int64_t pixel = pixel_under(w, o, cell);
        if (pixel < 0) continue;
        double v = get(x, element(w, image, pixel, channel));
        if (*winner < 0 || v > best || (isnan(v) && !isnan(best))) {
            best = v;
            *winner = cell;
        }
    }
    return best;
}

static int64_t cell_at(const pyad_array *cell, int64_t i) {
    return cell->dtype == PYAD_UINT8 ? ((const uint8_t *)cell->data)[i]
                                     : ((const int32_t *)cell->data)[i];
}

static max_pool_fwd_args max_args(const windows *w, int64_t dtype, int64_t cell_dtype) {
    max_pool_fwd_args a = {.x = array_for(w, w->in, dtype),
                           .y = array_for(w, w->out, dtype),
                           .cell = array_for(w, w->out, cell_dtype),
                           .indices = array_for(w, w->out, PYAD_INT64),
                           .adaptive = w->adaptive};
    memcpy(a.kernel, w->kernel, sizeof a.kernel);
    memcpy(a.stride, w->stride, sizeof a.stride);
    memcpy(a.padding, w->padding, sizeof a.padding);
    memcpy(a.dilation, w->dilation, sizeof a.dilation);
    return a;
}

static void free_max(max_pool_fwd_args *a) {
    free(a->x.data);
    free(a->y.data);
    free(a->cell.data);
    free(a->indices.data);
}

static void check_max(const windows *w, const max_pool_fwd_args *a) {
    FOR_EACH_OUTPUT(w, out, image, channel, o) {
        int64_t winner;
        double best = best_of(w, &a->x, image, channel, o, &winner);
        assert_true(close_to(get(&a->y, out), best, 0));
        assert_int_equal(cell_at(&a->cell, out), winner);
        assert_int_equal(((const int64_t *)a->indices.data)[out], pixel_under(w, o, winner));
    }
}

/* Few distinct values, so that there are many ties, and now and then NaN or an infinity. */
static void fill_with_ties(const pyad_array *x, uint64_t *random) {
    static const double odd[] = {NAN, INFINITY, -INFINITY};
    for (int64_t i = 0; i < pyad_numel(x); i++) {
        int64_t v = number_in(random, 0, 40);
        set(x, i, v < 3 ? odd[v] : (double)(v % 4));
    }
}

static void fill(const pyad_array *x, uint64_t *random) {
    for (int64_t i = 0; i < pyad_numel(x); i++) {
        set(x, i, (double)number_in(random, -1000, 1000) / 256);
    }
}

static void max_forward(uint64_t seed, int64_t dtype, int64_t cell_dtype, int64_t nth) {
    windows w = random_windows(&seed, 0);
    max_pool_fwd_args a = max_args(&w, dtype, cell_dtype);
    fill_with_ties(&a.x, &seed);
    run_kernel_ok(PYAD_ID_max_pool_fwd, a, nth);
    check_max(&w, &a);
    /* without cells and indices the values are the same */
    max_pool_fwd_args plain = a;
    plain.y = array_for(&w, w.out, dtype);
    plain.cell.data = plain.indices.data = NULL;
    run_kernel_ok(PYAD_ID_max_pool_fwd, plain, nth);
    size_t bytes = (size_t)(pyad_numel(&a.y) * item_bytes(dtype));
    assert_memory_equal(plain.y.data, a.y.data, bytes);
    free(plain.y.data);
    free_max(&a);
}

static void test_max_forward(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint64_t seed = 1; seed <= CASES; seed++) {
            max_forward(seed, FLOATS[seed % 2], seed % 3 ? PYAD_UINT8 : PYAD_INT32,
                        1 + (int64_t)(seed % 4));
        }
    }
}

static max_pool_bwd_args spread_args(const max_pool_fwd_args *f, const pyad_array *gy,
                                     const pyad_array *gx) {
    max_pool_bwd_args b = {.gy = *gy, .cell = f->cell, .gx = *gx, .adaptive = f->adaptive};
    memcpy(b.kernel, f->kernel, sizeof b.kernel);
    memcpy(b.stride, f->stride, sizeof b.stride);
    memcpy(b.padding, f->padding, sizeof b.padding);
    memcpy(b.dilation, f->dilation, sizeof b.dilation);
    return b;
}

/* The gradient against plain sums; and what take reads is where it was spread to. */
static void max_backward(uint64_t seed, int64_t dtype, int64_t cell_dtype) {
    windows w = random_windows(&seed, 0);
    max_pool_fwd_args f = max_args(&w, dtype, cell_dtype);
    pyad_array gy = array_for(&w, w.out, dtype), gx = array_for(&w, w.in, dtype);
    pyad_array again = array_for(&w, w.in, dtype);
    static double expected[LARGEST];
    fill_with_ties(&f.x, &seed);
    fill(&gy, &seed);
    run_kernel_ok(PYAD_ID_max_pool_fwd, f, 1);
    memset(expected, 0, sizeof expected);
    FOR_EACH_OUTPUT(&w, out, image, channel, o) {
        int64_t pixel = pixel_under(&w, o, cell_at(&f.cell, out));
        expected[element(&w, image, pixel, channel)] += get(&gy, out);
    }
    max_pool_bwd_args b = spread_args(&f, &gy, &gx);
    run_kernel_ok(PYAD_ID_max_pool_bwd, b, 1);
    for (int64_t i = 0; i < pyad_numel(&gx); i++) {
        assert_true(close_to(get(&gx, i), expected[i], precision_of(dtype)));
    }
    for (int64_t nth = 2; nth < 5; nth++) {
        b.gx = again;
        run_kernel_ok(PYAD_ID_max_pool_bwd, b, nth);
        assert_memory_equal(again.data, gx.data, (size_t)(pyad_numel(&gx) * item_bytes(dtype)));
    }
    max_pool_take_args t = {.x = f.x, .cell = f.cell, .y = gy, .adaptive = f.adaptive};
    memcpy(t.kernel, f.kernel, sizeof t.kernel);
    memcpy(t.stride, f.stride, sizeof t.stride);
    memcpy(t.padding, f.padding, sizeof t.padding);
    memcpy(t.dilation, f.dilation, sizeof t.dilation);
    run_kernel_ok(PYAD_ID_max_pool_take, t, 3);
    for (int64_t i = 0; i < pyad_numel(&gy); i++) {
        assert_true(close_to(get(&gy, i), get(&f.y, i), 0));
    }
    free(gy.data);
    free(gx.data);
    free(again.data);
    free_max(&f);
}

static void test_max_backward_and_take(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint64_t seed = 1; seed <= CASES; seed++) {
            max_backward(seed, FLOATS[seed % 2], seed % 3 ? PYAD_UINT8 : PYAD_INT32);
        }
    }
}

/* ---- average ---- */

static void average(uint64_t seed, int64_t dtype) {
    windows w = random_windows(&seed, 1);
    pyad_array x = array_for(&w, w.in, dtype), y = array_for(&w, w.out, dtype);
    pyad_array gx = array_for(&w, w.in, dtype), again = array_for(&w, w.in, dtype);
    static double expected[LARGEST];
    fill(&x, &seed);
    avg_pool_fwd_args a = {.x = x, .y = y, .adaptive = w.adaptive,
                           .with_padding = w.with_padding, .divisor = w.divisor};
    avg_pool_bwd_args b = {.gy = y, .gx = gx, .adaptive = w.adaptive,
                           .with_padding = w.with_padding, .divisor = w.divisor};
    memcpy(a.kernel, w.kernel, sizeof a.kernel);
    memcpy(a.stride, w.stride, sizeof a.stride);
    memcpy(a.padding, w.padding, sizeof a.padding);
    memcpy(b.kernel, w.kernel, sizeof b.kernel);
    memcpy(b.stride, w.stride, sizeof a.stride);
    memcpy(b.padding, w.padding, sizeof a.padding);
    run_kernel_ok(PYAD_ID_avg_pool_fwd, a, 1 + (int64_t)(seed % 3));
    memset(expected, 0, sizeof expected);
    FOR_EACH_OUTPUT(&w, out, image, channel, o) {
        double sum = 0, divisor = divisor_of(&w, o);
        for (int64_t cell = 0; cell < cells_of(&w); cell++) {
            int64_t pixel = pixel_under(&w, o, cell);
            if (pixel < 0) continue;
            sum += get(&x, element(&w, image, pixel, channel));
            expected[element(&w, image, pixel, channel)] += get(&y, out) / divisor;
        }
        assert_true(close_to(get(&y, out), sum / divisor, precision_of(dtype)));
    }
    run_kernel_ok(PYAD_ID_avg_pool_bwd, b, 1);
    for (int64_t i = 0; i < pyad_numel(&gx); i++) {
        assert_true(close_to(get(&gx, i), expected[i], precision_of(dtype)));
    }
    b.gx = again;
    run_kernel_ok(PYAD_ID_avg_pool_bwd, b, 3);
    assert_memory_equal(again.data, gx.data, (size_t)(pyad_numel(&gx) * item_bytes(dtype)));
    free(x.data);
    free(y.data);
    free(gx.data);
    free(again.data);
}

static void test_average(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint64_t seed = 1; seed <= CASES; seed++) average(seed, FLOATS[seed % 2]);
    }
}

/* ---- single cases ---- */

static void test_lecture_picture(void **state) {
    (void)state;
    static const float picture[16] = {22, 2, 19, 88, 2, 8, 20, 18, 3, 10, 19, 86, 12, 12, 20, 19};
    static const float wanted[4] = {22, 88, 12, 86};
    windows w = {.n = 1, .c = 1, .ndim = 4, .in = {1, 4, 4}, .out = {1, 2, 2},
                 .kernel = {1, 2, 2}, .stride = {1, 2, 2}, .dilation = {1, 1, 1}};
    FOR_EACH_ISA(isa) {
        max_pool_fwd_args a = max_args(&w, PYAD_FLOAT32, PYAD_UINT8);
        memcpy(a.x.data, picture, sizeof picture);
        run_kernel_ok(PYAD_ID_max_pool_fwd, a, 1);
        assert_memory_equal(a.y.data, wanted, sizeof wanted);
        /* the tie goes to the first */
        assert_int_equal(cell_at(&a.cell, 2), 2);
        free_max(&a);
    }
}

/* More than 255 cells, numbered beyond a byte. */
static void test_large_window(void **state) {
    (void)state;
    windows w = {.n = 1, .c = 3, .ndim = 4, .in = {1, 20, 19}, .out = {1, 3, 2},
                 .kernel = {1, 18, 18}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    uint64_t random = 3;
    FOR_EACH_ISA(isa) {
        max_pool_fwd_args a = max_args(&w, PYAD_FLOAT64, PYAD_INT32);
        fill(&a.x, &random);
        run_kernel_ok(PYAD_ID_max_pool_fwd, a, 2);
        check_max(&w, &a);
        free_max(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lecture_picture), cmocka_unit_test(test_large_window),
        cmocka_unit_test(test_max_forward),     cmocka_unit_test(test_max_backward_and_take),
        cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
