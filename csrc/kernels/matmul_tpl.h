/* Matrix products of any strides, batched: out = activation(a b + bias).
 *
 * a is (..., m, k), b (..., k, n), bias and out (..., m, n), all with the same number of axes and
 * leading shape; broadcast axes have stride 0. Several products are shared out among the threads if
 * there are enough of them, else the team does one after the other; the bits are the same. Floats
 * go to gemm_tpl.h, integers, whose sums wrap, through plain loops over rows of b.
 */
#if DTYPE != PYAD_BOOL

typedef struct {
    int64_t m, n, k, count; /* count: products */
} K(matmul_sizes);

static K(matmul_sizes) K(matmul_measure)(const matmul_args *p) {
    int64_t last = p->out.ndim - 1;
    K(matmul_sizes) s = {p->out.shape[last - 1], p->out.shape[last], p->a.shape[last], 1};
    for (int64_t i = 0; i < last - 1; i++) s.count *= p->out.shape[i];
    return s;
}

/* Where product number `index` of an array begins. */
static int64_t K(matmul_offset)(const pyad_array *x, int64_t index) {
    int64_t offset = 0;
    for (int64_t i = x->ndim - 3; i >= 0; i--) {
        offset += index % x->shape[i] * x->stride[i];
        index /= x->shape[i];
    }
    return offset;
}

#ifdef REAL

#include "gemm_tpl.h"

/* A bias that is the same in every row or column is read as a vector. */
static void K(matmul_bias)(K(gemm_problem) *p, const pyad_array *bias, int64_t index) {
    if (bias->data == NULL) return;
    const REAL *data = (const REAL *)bias->data + K(matmul_offset)(bias, index);
    int64_t row = bias->stride[bias->ndim - 2];
    int64_t col = bias->stride[bias->ndim - 1];
    if (row == 0 && col == 1) {
        p->bias_col = data;
    } else {
        p->residual = data;
        p->residual_row = row;
        p->residual_col = col;
    }
}

static void K(matmul_one)(const matmul_args *p, const K(matmul_sizes) *s, int64_t index,
                          const team *t) {
    int64_t r = p->out.ndim - 2, c = p->out.ndim - 1;
    K(gemm_problem) problem = {
        .m = s->m, .n = s->n, .k = s->k,
        .c = (REAL *)p->out.data + K(matmul_offset)(&p->out, index),
        .c_row = p->out.stride[r], .c_col = p->out.stride[c],
        .activation = (int)p->activation, .p0 = (REAL)p->p0, .p1 = (REAL)p->p1,
    };
    K(gemm_matrix) a = {(const REAL *)p->a.data + K(matmul_offset)(&p->a, index), p->a.stride[r],
                        p->a.stride[c]};
    K(gemm_matrix) b = {(const REAL *)p->b.data + K(matmul_offset)(&p->b, index), p->b.stride[r],
                        p->b.stride[c]};
    K(matmul_bias)(&problem, &p->bias, index);
    K(gemm_strided)(&problem, a, b, t, t->scratch);
}

static int K(matmul)(const void *args, const team *t) {
    const matmul_args *p = args;
    K(matmul_sizes) s = K(matmul_measure)(p);
    if (s.count >= t->nth && t->nth > 1) {
        const team alone = {.ith = 0, .nth = 1, .scratch = t->scratch};
        int64_t begin, end;
        team_range(t, s.count, 1, &begin, &end);
        for (int64_t i = begin; i < end; i++) K(matmul_one)(p, &s, i, &alone);
        return PYAD_OK;
    }
    for (int64_t i = 0; i < s.count; i++) K(matmul_one)(p, &s, i, t);
    return PYAD_OK;
}

/* multiplications and additions in the time of an element operation: two threads from 64^3 on */
#define MATMUL_SPEED 4

#else

/* A row of out: rows of b, each times an element of a, in unsigned arithmetic, which wraps. */
static void K(matmul_row)(const matmul_args *p, const K(matmul_sizes) *s, int64_t index,
                          int64_t row) {
    int64_t r = p->out.ndim - 2, c = p->out.ndim - 1;
    const INT *a = (const INT *)p->a.data + K(matmul_offset)(&p->a, index) + row * p->a.stride[r];
    const INT *b = (const INT *)p->b.data + K(matmul_offset)(&p->b, index);
    INT *out = (INT *)p->out.data + K(matmul_offset)(&p->out, index) + row * p->out.stride[r];
    const INT *bias = p->bias.data;
    if (bias != NULL) bias += K(matmul_offset)(&p->bias, index) + row * p->bias.stride[r];
    int64_t a_step = p->a.stride[c], b_step = p->b.stride[c], out_step = p->out.stride[c];
    for (int64_t j = 0; j < s->n; j++) {
        out[j * out_step] = bias != NULL ? bias[j * p->bias.stride[c]] : 0;
    }
    for (int64_t i = 0; i < s->k; i++, b += p->b.stride[r]) {
        uint64_t left = (uint64_t)a[i * a_step];
        for (int64_t j = 0; j < s->n; j++) {
            uint64_t sum = (uint64_t)out[j * out_step] + left * (uint64_t)b[j * b_step];
            out[j * out_step] = (INT)sum;
        }
    }
}

static int K(matmul)(const void *args, const team *t) {
    const matmul_args *p = args;
    K(matmul_sizes) s = K(matmul_measure)(p);
    int64_t begin, end;
    team_range(t, s.count * s.m, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) K(matmul_row)(p, &s, i / s.m, i % s.m);
    return PYAD_OK;
}

#define MATMUL_SPEED 1

#endif

static int64_t K(matmul_cost)(const matmul_args *p) {
    K(matmul_sizes) s = K(matmul_measure)(p);
    int64_t moved = s.m * s.n + s.k * (s.m + s.n) / 2;
    return s.count * (s.m * s.n * s.k / MATMUL_SPEED + moved);
}

#ifdef REAL
/* One row against columns that lie along memory, as in x @ w.T, packs nothing. */
static int64_t K(matmul_scratch_bytes)(const matmul_args *a) {
    int64_t r = a->out.ndim - 2, c = a->out.ndim - 1;
    int packs_nothing = a->out.shape[r] == 1 && a->a.stride[c] == 1 && a->b.stride[r] == 1;
    return packs_nothing && a->a.shape[c] > 0 ? 0 : K(gemm_scratch_bytes)();
}

PYAD_RECORD_FLUSHED(matmul, matmul_args, K(matmul_cost)(a), K(matmul_scratch_bytes)(a), 0)

/* ---- the gradients of a linear layer's weight and bias ---- */

static int K(linear_grad)(const void *args, const team *t) {
    const linear_grad_args *p = args;
    int64_t begin, end;
    K(gemm_matrix) g = {p->g.data, p->g.stride[0], p->g.stride[1]};
    team_range(t, p->bias.shape[0], VL, &begin, &end);
    K(gemm_sum_columns)(&g, p->g.shape[0], begin, end, p->bias.data, p->bias.stride[0]);
    K(gemm_problem) problem = {
        .m = p->g.shape[1], .n = p->x.shape[1], .k = p->g.shape[0],
        .c = p->weight.data, .c_row = p->weight.stride[0], .c_col = p->weight.stride[1],
    };
    K(gemm_matrix) a = {g.data, g.col, g.row};
    K(gemm_matrix) b = {p->x.data, p->x.stride[0], p->x.stride[1]};
    K(gemm_strided)(&problem, a, b, t, t->scratch);
    return PYAD_OK;
}

PYAD_RECORD_FLUSHED(linear_grad, linear_grad_args,
                    pyad_numel(&a->weight) * a->g.shape[0] / MATMUL_SPEED + pyad_numel(&a->weight),
                    K(gemm_scratch_bytes)(), 0)
#else
PYAD_RECORD(matmul, matmul_args, K(matmul_cost)(a))
#endif

#undef MATMUL_SPEED
#endif
