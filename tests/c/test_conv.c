/* The convolution kernels against plain loops: implicit im2col and Winograd's algorithm, weights
 * packed in the call and before it, every part of the epilogue, every ISA, both floats, any number
 * of threads with the same bits.
 */
#include "testing.h"

#define CASES 40
#define KERNEL 3

static const int64_t FLOATS[] = {PYAD_FLOAT32, PYAD_FLOAT64};

/* Winograd's sums lose a digit. */
static double allowed(int64_t dtype) { return 20 * precision_of(dtype); }

/* ---- random convolutions: 3x3, stride 1 ---- */

typedef struct {
    int64_t n, c, o, h, w, pad_h, pad_w, out_h, out_w;
} numbers;

static numbers random_numbers(uint64_t *random) {
    static const int64_t channels[] = {1, 3, 8, 16, 17, 35, 70};
    numbers s = {.n = number_in(random, 1, 3)};
    s.c = channels[number_in(random, 0, 6)], s.o = channels[number_in(random, 0, 6)];
    s.h = number_in(random, 1, 13), s.w = number_in(random, 1, 13);
    s.pad_h = number_in(random, s.h < 3, 2), s.pad_w = number_in(random, s.w < 3, 2);
    s.out_h = s.h + 2 * s.pad_h - 2, s.out_w = s.w + 2 * s.pad_w - 2;
    return s;
}

static pyad_array random_array(int64_t dtype, int64_t ndim, const int64_t *shape, int last,
                               uint64_t *random) {
    pyad_array a = new_array(dtype, ndim, shape, last);
    for (int64_t i = 0; i < pyad_numel(&a); i++) {
        set(&a, i, (double)number_in(random, -1000, 1000) / 1000);
    }
    return a;
}

typedef struct {
    numbers s;
    int64_t dtype;
    pyad_array x, weight, scale, bias, residual, y, dx, dw, db;
} problem;

static problem random_problem(int64_t dtype, uint64_t *random) {
    problem p = {.s = random_numbers(random), .dtype = dtype};
    const numbers *s = &p.s;
    const int64_t x[] = {s->n, s->c, s->h, s->w}, y[] = {s->n, s->o, s->out_h, s->out_w};
    const int64_t weight[] = {s->o, s->c, KERNEL, KERNEL};
    p.x = random_array(dtype, 4, x, 1, random);
    p.weight = random_array(dtype, 4, weight, 0, random);
    p.scale = random_array(dtype, 1, &s->o, 0, random);
    p.bias = random_array(dtype, 1, &s->o, 0, random);
    p.residual = random_array(dtype, 4, y, 1, random);
    p.y = new_array(dtype, 4, y, 1);
    p.dx = new_array(dtype, 4, x, 1);
    p.dw = new_array(dtype, 4, weight, 0);
    p.db = new_array(dtype, 1, &s->o, 0);
    return p;
}

static void free_problem(problem *p) {
    pyad_array *all[] = {&p->x,        &p->weight, &p->scale, &p->bias, &p->residual,
                         &p->y, &p->dx,    &p->dw,    &p->db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->data);
}

/* ---- plain loops ---- */

static int64_t pixel_at(int64_t n, int64_t height, int64_t width, int64_t y, int64_t x) {
    return (n * height + y) * width + x;
}

/* Calls visit(p, where in x, where in y, where in the weight) for each product. */
typedef void (*visitor)(const problem *p, double *sums, int64_t x, int64_t y, int64_t weight);

static void each_product(const problem *p, double *sums, visitor visit) {
    const numbers *s = &p->s;
    for (int64_t i = 0; i < s->n * s->out_h * s->out_w * KERNEL * KERNEL; i++) {
        int64_t tap = i % 9, pixel = i / 9, col = pixel % s->out_w;
        int64_t row = pixel / s->out_w % s->out_h, n = pixel / s->out_w / s->out_h;
        int64_t h = row + tap / 3 - s->pad_h, w = col + tap % 3 - s->pad_w;
        if (h < 0 || h >= s->h || w < 0 || w >= s->w) continue;
        int64_t from = pixel_at(n, s->h, s->w, h, w);
        for (int64_t o = 0; o < s->o; o++) {
            for (int64_t c = 0; c < s->c; c++) {
                visit(p, sums, from * s->c + c, pixel * s->o + o, (o * s->c + c) * 9 + tap);
            }
        }
    }
}

static void add_output(const problem *p, double *sums, int64_t x, int64_t y, int64_t weight) {
    sums[y] += get(&p->x, x) * get(&p->weight, weight);
}

/* the residual serves as the output's gradient */
static void add_image(const problem *p, double *sums, int64_t x, int64_t y, int64_t weight) {
    sums[x] += get(&p->residual, y) * get(&p->weight, weight);
}

static void add_weight(const problem *p, double *sums, int64_t x, int64_t y, int64_t weight) {
    sums[weight] += get(&p->residual, y) * get(&p->x, x);
}

static void check(const pyad_array *got, const double *want) {
    for (int64_t i = 0; i < pyad_numel(got); i++) {
        assert_true(close_to(get(got, i), want[i], allowed(got->dtype) * 10));
    }
}

/* Run with 1 to 4 threads: the values are those wanted, the bits the same. */
static void check_call(int64_t id, const void *args, const pyad_array *out,
                       const double *want) {
    size_t nbytes = (size_t)(pyad_numel(out) * item_bytes(out->dtype));
    void *first = malloc(nbytes + 1);
    for (int64_t nth = 1; nth <= 4; nth++) {
        memset(out->data, 0xff, nbytes);
        assert_int_equal(pyad_run(id, args, nth), PYAD_OK);
        if (nth == 1) {
            check(out, want);
            memcpy(first, out->data, nbytes);
        } else {
            assert_memory_equal(first, out->data, nbytes);
        }
    }
    free(first);
}

/* ---- the kernels ---- */

/* Which of the parts of the epilogue are there. */
enum { SCALE = 1, BIAS = 2, RESIDUAL = 4, CLAMP = 8, LEAKY = 16, PREPARED = 32, PARTS = 64 };

static void finish(const problem *p, int parts, double *sums) {
    for (int64_t i = 0; i < pyad_numel(&p->y); i++) {
        double v = sums[i];
        if (parts & SCALE) v *= get(&p->scale, i % p->s.o);
        if (parts & BIAS) v += get(&p->bias, i % p->s.o);
        if (parts & RESIDUAL) v += get(&p->residual, i);
        if (parts & CLAMP) v = v < -0.5 ? -0.5 : v > 1.5 ? 1.5 : v;
        if (!(parts & CLAMP) && (parts & LEAKY)) v = v < 0 ? v * -0.5 : v;
        sums[i] = v;
    }
}

static void fill_epilogue(const problem *p, int parts, pyad_array *scale, pyad_array *bias,
                          pyad_array *residual, int64_t *activation, double *p0, double *p1) {
    if (parts & SCALE) *scale = p->scale;
    if (parts & BIAS) *bias = p->bias;
    if (parts & RESIDUAL) *residual = p->residual;
    *activation = parts & CLAMP ? 1 : parts & LEAKY ? 2 : 0;
    *p0 = -0.5, *p1 = 1.5;
}

static void check_im2col(const problem *p, int parts, const double *want) {
    const numbers *s = &p->s;
    const int64_t room[] = {(s->o + 15) / 16 * 16 * s->c * 9};
    conv_fwd_args a = {.x = p->x, .weight = p->weight, .out = p->y,
                       .stride = {1, 1, 1}, .padding = {0, s->pad_h, s->pad_w},
                       .dilation = {1, 1, 1}, .groups = 1};
    conv_weight_args w = {.weight = p->weight, .groups = 1};
    fill_epilogue(p, parts, &a.scale, &a.bias, &a.residual, &a.activation, &a.p0, &a.p1);
    if (parts & PREPARED) {
        w.out = new_array(p->dtype, 1, room, 0);
        run_kernel_ok(PYAD_ID_conv_weight, w, 3);
        a.packed = w.out;
    }
    check_call(PYAD_ID_conv_fwd, &a, &p->y, want);
    free(w.out.data);
}

static void check_winograd(const problem *p, int parts, int64_t step, const double *want) {
    const numbers *s = &p->s;
    const int64_t room[] = {(s->o + 31) / 32, (step + 2) * (step + 2), s->c, 32};
    winograd_fwd_args a = {.x = p->x, .weight = p->weight, .out = p->y,
                           .padding = {s->pad_h, s->pad_w}, .step = step};
    winograd_weight_args w = {.weight = p->weight, .step = step};
    fill_epilogue(p, parts, &a.scale, &a.bias, &a.residual, &a.activation, &a.p0, &a.p1);
    if (parts & PREPARED) {
        w.out = new_array(p->dtype, 4, room, 0);
        run_kernel_ok(PYAD_ID_winograd_weight, w, 3);
        a.packed = w.out;
    }
    check_call(PYAD_ID_winograd_fwd, &a, &p->y, want);
    free(w.out.data);
}

static void check_image_gradient(const problem *p) {
    const numbers *s = &p->s;
    double *want = calloc((size_t)pyad_numel(&p->dx), sizeof *want);
    each_product(p, want, add_image);
    conv_bwd_x_args exact = {.dy = p->residual, .weight = p->weight, .dx = p->dx,
                             .stride = {1, 1, 1}, .padding = {0, s->pad_h, s->pad_w},
                             .dilation = {1, 1, 1}, .groups = 1};
    check_call(PYAD_ID_conv_bwd_x, &exact, &p->dx, want);
    for (int64_t step = PYAD_WINOGRAD_SMALL_STEP; step <= PYAD_WINOGRAD_STEP; step += 2) {
        winograd_fwd_args turned = {.x = p->residual, .weight = p->weight, .out = p->dx,
                                    .padding = {2 - s->pad_h, 2 - s->pad_w},
                                    .transposed = 1, .step = step};
        check_call(PYAD_ID_winograd_fwd, &turned, &p->dx, want);
    }
    free(want);
}

static void check_weight_gradient(const problem *p) {
    const numbers *s = &p->s;
    double *want = calloc((size_t)pyad_numel(&p->dw), sizeof *want);
    double *bias = calloc((size_t)s->o, sizeof *bias);
    each_product(p, want, add_weight);
    for (int64_t i = 0; i < pyad_numel(&p->residual); i++) bias[i % s->o] += get(&p->residual, i);
    conv_bwd_w_args exact = {.x = p->x, .dy = p->residual, .dw = p->dw, .db = p->db,
                             .stride = {1, 1, 1}, .padding = {0, s->pad_h, s->pad_w},
                             .dilation = {1, 1, 1}, .groups = 1};
    check_call(PYAD_ID_conv_bwd_w, &exact, &p->dw, want);
    check(&p->db, bias);
    winograd_bwd_w_args a = {.x = p->x, .dy = p->residual, .dw = p->dw, .db = p->db,
                             .padding = {s->pad_h, s->pad_w}};
    check_call(PYAD_ID_winograd_bwd_w, &a, &p->dw, want);
    check_call(PYAD_ID_winograd_bwd_w, &a, &p->db, bias);
    free(want);
    free(bias);
}

/* ---- tests ---- */

static void test_forward(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        uint64_t random = 11;
        for (int i = 0; i < CASES; i++) {
            problem p = random_problem(FLOATS[i % 2], &random);
            int parts = (int)number_in(&random, 0, PARTS - 1);
            double *want = calloc((size_t)pyad_numel(&p.y), sizeof *want);
            each_product(&p, want, add_output);
            finish(&p, parts, want);
            check_im2col(&p, parts, want);
            check_winograd(&p, parts, PYAD_WINOGRAD_STEP, want);
            check_winograd(&p, parts, PYAD_WINOGRAD_SMALL_STEP, want);
            free(want);
            free_problem(&p);
        }
    }
}

static void test_gradients(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        uint64_t random = 12;
        for (int i = 0; i < CASES; i++) {
            problem p = random_problem(FLOATS[i % 2], &random);
            check_image_gradient(&p);
            check_weight_gradient(&p);
            free_problem(&p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
