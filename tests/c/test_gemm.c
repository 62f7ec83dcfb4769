/* The matrix product against a plain double loop.
 *
 * The matmul kernel is called through the door, in every instruction set of the machine, with 1, 2
 * and 4 threads, whose bits must agree. What it does not use of gemm_tpl.h (accumulation, biases of
 * rows, pack functions of others) is tested on the header itself, compiled for the base set.
 */
#include "testing.h"

#ifndef ISA_FILE
#define ISA base
#define ISA_FILE "isa/base.h"
#endif
#include "simd.h"

#define REAL float
#define SUFFIX f32
#include "simd_tpl.h"
#include "gemm_tpl.h"
#undef REAL
#undef SUFFIX
#define REAL double
#define SUFFIX f64
#include "simd_tpl.h"
#include "gemm_tpl.h"
#undef REAL
#undef SUFFIX

/* ---- numbers ---- */

static uint64_t state = 1;

static double next(void) { return (double)number_in(&state, -1000, 1000) / 1000; }

/* Exactly as large as it is, so that the sanitizer sees every step beyond. */
static void *memory(int64_t nbytes) {
    void *p = malloc((size_t)nbytes + (nbytes == 0));
    assert_non_null(p);
    return p;
}

/* Scratch is aligned. */
static void *scratch_of(int64_t nbytes) {
    void *p = aligned_alloc(64, (size_t)(nbytes + 63) / 64 * 64);
    assert_non_null(p);
    return p;
}

static double value_at(const void *data, int64_t dtype, int64_t i) {
    if (dtype == PYAD_FLOAT32) return ((const float *)data)[i];
    if (dtype == PYAD_FLOAT64) return ((const double *)data)[i];
    return (double)((const int64_t *)data)[i];
}

static void put_value(void *data, int64_t dtype, int64_t i, double value) {
    if (dtype == PYAD_FLOAT32) {
        ((float *)data)[i] = (float)value;
    } else if (dtype == PYAD_FLOAT64) {
        ((double *)data)[i] = value;
    } else {
        ((int64_t *)data)[i] = (int64_t)(value * 100);
    }
}

/* ---- through the door ---- */

/* How a matrix lies in memory. */
enum { ROWS, COLUMNS, GAPS, BACKWARDS, LAYOUTS };

/* A batch of count matrices of random numbers. */
static pyad_array matrices(int64_t dtype, int64_t count, int64_t rows, int64_t cols, int layout) {
    int64_t step = layout == GAPS ? 2 : 1;
    int64_t each = rows * cols * step * step;
    pyad_array x = {.dtype = dtype, .ndim = 3, .shape = {count, rows, cols}};
    x.data = memory(count * each * item_bytes(dtype));
    for (int64_t i = 0; i < count * each; i++) put_value(x.data, dtype, i, next());
    x.stride[0] = each;
    x.stride[1] = layout == COLUMNS ? 1 : cols * step * step;
    x.stride[2] = layout == COLUMNS ? rows : step;
    return x;
}

/* The same elements seen from the last column to the first. */
static pyad_array backwards(pyad_array x) {
    if (x.shape[2] == 0) return x;
    x.data = (char *)x.data + (x.shape[2] - 1) * x.stride[2] * item_bytes(x.dtype);
    x.stride[2] = -x.stride[2];
    return x;
}

static double element(const pyad_array *x, int64_t i, int64_t row, int64_t col) {
    return value_at(x->data, x->dtype, i * x->stride[0] + row * x->stride[1] + col * x->stride[2]);
}

static double wanted(const matmul_args *p, int64_t i, int64_t row, int64_t col) {
    double sum = 0;
    for (int64_t k = 0; k < p->a.shape[2]; k++) {
        sum += element(&p->a, i, row, k) * element(&p->b, i, k, col);
    }
    if (p->bias.data != NULL) sum += element(&p->bias, i, row, col);
    if (p->activation == PYAD_ACTIVATION_CLAMP) return fmin(fmax(sum, p->p0), p->p1);
    if (p->activation == PYAD_ACTIVATION_LEAKY) return sum < 0 ? sum * p->p0 : sum;
    return sum;
}

static void check_values(const matmul_args *p) {
    double bound = p->out.dtype == PYAD_FLOAT32 ? 2e-6 : p->out.dtype == PYAD_FLOAT64 ? 1e-14 : 0;
    bound *= (double)(p->a.shape[2] + 2);
    for (int64_t i = 0; i < p->out.shape[0]; i++) {
        for (int64_t row = 0; row < p->out.shape[1]; row++) {
            for (int64_t col = 0; col < p->out.shape[2]; col++) {
                double found = element(&p->out, i, row, col);
                assert_true(fabs(found - wanted(p, i, row, col)) <= bound);
            }
        }
    }
}

/* The product with 1, 2 and 4 threads: right, and the same bits. */
static void check_product(matmul_args *p) {
    static const int64_t threads[] = {1, 2, 4};
    int64_t nbytes = p->out.shape[0] * p->out.stride[0] * item_bytes(p->out.dtype);
    void *first = memory(nbytes);
    for (int t = 0; t < 3; t++) {
        memset(p->out.data, 0x7f, (size_t)nbytes);
        run_kernel_ok(PYAD_ID_matmul, *p, threads[t]);
        if (t == 0) {
            memcpy(first, p->out.data, (size_t)nbytes);
            check_values(p);
        }
        assert_memory_equal(first, p->out.data, (size_t)nbytes);
    }
    free(first);
}

static void check_shape(int64_t dtype, int64_t count, int64_t m, int64_t n, int64_t k, int layout) {
    int left = layout % LAYOUTS, right = layout / LAYOUTS % LAYOUTS;
    matmul_args p = {.a = matrices(dtype, count, m, k, left),
                     .b = matrices(dtype, count, k, n, right),
                     .bias = matrices(dtype, count, m, n, ROWS),
                     .out = matrices(dtype, count, m, n, layout % 3 == 2 ? COLUMNS : ROWS)};
    void *blocks[] = {p.a.data, p.b.data, p.bias.data, p.out.data};
    if (left == BACKWARDS) p.a = backwards(p.a);
    if (right == BACKWARDS) p.b = backwards(p.b);
    /* no bias, one a column, one a row, one an element */
    if (layout % 4 == 0) p.bias.data = NULL;
    if (layout % 4 == 1) p.bias.stride[0] = p.bias.stride[1] = 0;
    if (layout % 4 == 2) p.bias.stride[2] = 0;
    if (dtype == PYAD_FLOAT32 || dtype == PYAD_FLOAT64) p.activation = layout % 3;
    p.p0 = p.activation == PYAD_ACTIVATION_CLAMP ? -0.5 : 0.25;
    p.p1 = 0.5;
    check_product(&p);
    for (int i = 0; i < 4; i++) free(blocks[i]);
}

static const int64_t shapes[][4] = {
    /* count, m, n, k: nothing, vectors, thin, odd, one more than blocks, several parts */
    {1, 0, 3, 4},    {1, 3, 0, 4},   {1, 3, 4, 0},      {0, 3, 4, 5},    {1, 1, 1, 1},
    {1, 1, 1, 300},  {1, 1, 200, 9}, {1, 200, 1, 70},   {1, 1, 37, 131}, {1, 2, 67, 45},
    {1, 5, 30, 260}, {1, 8, 33, 40}, {1, 9, 17, 400},   {1, 13, 31, 7},  {1, 15, 33, 65},
    {3, 7, 5, 9},    {5, 16, 40, 3}, {2, 170, 35, 390}, {1, 61, 95, 17}, {1, 400, 10, 20},
};

static void test_matmul_kernel(void **unused) {
    (void)unused;
    static const int64_t dtypes[] = {PYAD_FLOAT32, PYAD_FLOAT64, PYAD_INT64};
    FOR_EACH_ISA(isa) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            for (int layout = 0; layout < LAYOUTS * LAYOUTS; layout++) {
                const int64_t *sizes = shapes[s];
                check_shape(dtypes[layout % 3], sizes[0], sizes[1], sizes[2], sizes[3], layout);
            }
        }
    }
}

/* More rows, columns and terms of a sum than a block has, and, in both operands, rows that fall on
 * the same sets of the caches. */
static void test_many_blocks(void **unused) {
    (void)unused;
    FOR_EACH_ISA(isa) {
        check_shape(PYAD_FLOAT32, 1, 19, 2100, 70, COLUMNS * LAYOUTS);
        check_shape(PYAD_FLOAT32, 1, 18, 34, 14000, COLUMNS * LAYOUTS);
        check_shape(PYAD_FLOAT32, 1, 701, 1100, 9, COLUMNS * LAYOUTS);
        check_shape(PYAD_FLOAT32, 1, 70, 40, 1024, ROWS);
        check_shape(PYAD_FLOAT64, 1, 1024, 1024, 7, COLUMNS);
        check_shape(PYAD_FLOAT32, 1, 1024, 40, 33, COLUMNS);
    }
}

/* Below the smallest normal number a factor is 0, and so is a product; the caller's own arithmetic
 * stays as it was. */
static void test_subnormal_numbers_are_zero(void **unused) {
    (void)unused;
    static const double factors[][2] = {{1e-40, 1}, {1e-25, 1e-15}, {1e-310, 1}, {1e-200, 1e-110}};
    volatile float tiny = 1e-40f;
    FOR_EACH_ISA(isa) {
        for (int i = 0; i < 4; i++) {
            int64_t dtype = i < 2 ? PYAD_FLOAT32 : PYAD_FLOAT64;
            matmul_args p = {.a = matrices(dtype, 1, 64, 9, ROWS),
                             .b = matrices(dtype, 1, 9, 64, ROWS),
                             .out = matrices(dtype, 1, 64, 64, ROWS)};
            for (int64_t j = 0; j < 64 * 9; j++) {
                put_value(p.a.data, dtype, j, factors[i][0]);
                put_value(p.b.data, dtype, j, factors[i][1]);
            }
            run_kernel_ok(PYAD_ID_matmul, p, 2);
            for (int64_t j = 0; j < 64 * 64; j++) {
                assert_true(value_at(p.out.data, dtype, j) == 0);
            }
            assert_true(tiny * 0.5f != 0);
            free(p.a.data), free(p.b.data), free(p.out.data);
        }
    }
}

static void test_integers_wrap(void **unused) {
    (void)unused;
    uint8_t a[2] = {200, 3}, b[2] = {100, 7}, out[1];
    matmul_args p = {
        .a = {.data = a, .dtype = PYAD_UINT8, .ndim = 2, .shape = {1, 2}, .stride = {2, 1}},
        .b = {.data = b, .dtype = PYAD_UINT8, .ndim = 2, .shape = {2, 1}, .stride = {1, 1}},
        .out = {.data = out, .dtype = PYAD_UINT8, .ndim = 2, .shape = {1, 1}, .stride = {1, 1}}};
    run_kernel_ok(PYAD_ID_matmul, p, 1);
    assert_int_equal(out[0], (200 * 100 + 3 * 7) % 256);
}

/* ---- the header ---- */

/* A pack function for a B that is never stored, b[d, j] = j - 2 d. */
static void pack_ramp(const void *context, double *dst, int64_t width, int64_t lane, int64_t lanes,
                      int64_t k, int64_t depth) {
    assert_null(context);
    for (int64_t d = 0; d < depth; d++) {
        for (int64_t l = 0; l < lanes; l++) {
            dst[d * width + l] = (double)(lane + l) - 2 * (double)(k + d);
        }
    }
}

static const team alone = {.ith = 0, .nth = 1};

static void test_implicit_operand(void **unused) {
    (void)unused;
    enum { M = 101, N = 21, K_ = 600 };
    double *a = memory(M * K_ * 8), *c = memory(M * N * 8);
    for (int64_t i = 0; i < M * K_; i++) a[i] = next();
    gemm_matrix_f64 left = {a, K_, 1};
    gemm_right_f64 right = {.pack = pack_ramp};
    gemm_problem_f64 p = {.m = M, .n = N, .k = K_, .c = c, .c_row = N, .c_col = 1};
    void *scratch = scratch_of(gemm_scratch_bytes_f64());
    gemm_tiled_f64(&p, &left, &right, &alone, scratch);
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            double sum = 0;
            for (int64_t d = 0; d < K_; d++) sum += a[i * K_ + d] * (double)(j - 2 * d);
            assert_true(fabs(sum - c[i * N + j]) < 1e-8);
        }
    }
    free(a), free(c), free(scratch);
}

static void test_sums_of_columns(void **unused) {
    (void)unused;
    enum { ROWS_ = 300, COLS = 70, STEP = 3 };
    double *x = memory(ROWS_ * COLS * 8), out[COLS * STEP];
    for (int64_t i = 0; i < ROWS_ * COLS; i++) x[i] = next();
    for (int turned = 0; turned < 2; turned++) {
        gemm_matrix_f64 m = {x, turned ? 1 : COLS, turned ? ROWS_ : 1};
        for (int i = 0; i < COLS * STEP; i++) out[i] = -1;
        gemm_sum_columns_f64(&m, ROWS_, 5, COLS, out, STEP);
        for (int64_t j = 0; j < COLS; j++) {
            double sum = 0;
            for (int64_t i = 0; i < ROWS_; i++) sum += x[i * m.row + j * m.col];
            assert_true(j < 5 ? out[j * STEP] == -1 : fabs(out[j * STEP] - sum) < 1e-9);
            assert_true(out[j * STEP + 1] == -1);
        }
    }
    free(x);
}

/* accumulate, both biases and a residual, by both ways into C of any strides */
static void test_epilogue(void **unused) {
    (void)unused;
    enum { M = 9, N = 13, K_ = 5 };
    float a[M * K_], b[K_ * N], bias_col[N], bias_row[M], residual[M * N], c[2][M * N * 2];
    for (int i = 0; i < M * K_; i++) a[i] = (float)next();
    for (int i = 0; i < K_ * N; i++) b[i] = (float)next();
    for (int i = 0; i < M; i++) bias_row[i] = (float)next();
    for (int i = 0; i < N; i++) bias_col[i] = (float)next();
    for (int i = 0; i < M * N; i++) residual[i] = (float)next();
    gemm_matrix_f32 left = {a, K_, 1}, right = {b, N, 1};
    void *scratch = scratch_of(gemm_scratch_bytes_f32());
    for (int turned = 0; turned < 2; turned++) {
        for (int i = 0; i < M * N * 2; i++) c[0][i] = c[1][i] = (float)i;
        gemm_problem_f32 p = {.m = M, .n = N, .k = K_, .accumulate = 1,
                              .c_row = turned ? 2 : 2 * N, .c_col = turned ? 2 * M : 2,
                              .bias_col = bias_col, .bias_row = bias_row, .residual = residual,
                              .residual_row = N, .residual_col = 1};
        p.c = c[0];
        gemm_tiled_f32(&p, &left, &(gemm_right_f32){.matrix = right}, &alone, scratch);
        p.c = c[1];
        gemm_strided_f32(&p, left, right, &alone, scratch);
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                int64_t at = i * p.c_row + j * p.c_col;
                double sum = (double)at + bias_col[j] + bias_row[i] + residual[i * N + j];
                for (int d = 0; d < K_; d++) sum += (double)a[i * K_ + d] * b[d * N + j];
                assert_true(fabs(sum - c[0][at]) < 1e-4);
                assert_true(fabs(sum - c[1][at]) < 1e-4);
                assert_true(c[0][at + 1] == (float)(at + 1) && c[1][at + 1] == (float)(at + 1));
            }
        }
    }
    free(scratch);
}

static void test_transposing_pack(void **unused) {
    (void)unused;
    enum { LANES = 7, DEPTH = 23 };
    float src[LANES * DEPTH], dst[8 * DEPTH + 16];
    for (int i = 0; i < LANES * DEPTH; i++) src[i] = (float)i;
    gemm_pack_panel_f32(dst, 8, LANES, DEPTH, src, DEPTH, 1);
    for (int d = 0; d < DEPTH; d++) {
        for (int l = 0; l < LANES; l++) assert_true(dst[d * 8 + l] == src[l * DEPTH + d]);
    }
}

static void test_nan_passes_the_clamp(void **unused) {
    (void)unused;
    float a = NAN, b = 1, out;
    matmul_args p = {
        .a = {.data = &a, .dtype = PYAD_FLOAT32, .ndim = 2, .shape = {1, 1}, .stride = {1, 1}},
        .b = {.data = &b, .dtype = PYAD_FLOAT32, .ndim = 2, .shape = {1, 1}, .stride = {1, 1}},
        .out = {.data = &out, .dtype = PYAD_FLOAT32, .ndim = 2, .shape = {1, 1}, .stride = {1, 1}},
        .activation = PYAD_ACTIVATION_CLAMP, .p0 = 0, .p1 = 6};
    run_kernel_ok(PYAD_ID_matmul, p, 1);
    assert_true(isnan(out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul_kernel),    cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_subnormal_numbers_are_zero),
        cmocka_unit_test(test_integers_wrap),    cmocka_unit_test(test_implicit_operand),
        cmocka_unit_test(test_sums_of_columns),  cmocka_unit_test(test_epilogue),
        cmocka_unit_test(test_transposing_pack), cmocka_unit_test(test_nan_passes_the_clamp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
