/* What convolutions do to a finished sum before it is stored: scale and shift by channel (a batch
 * norm at inference, a bias), add a residual, apply an activation. Included after gemm_tpl.h.
 */
typedef struct {
    const REAL *scale, *bias; /* by output channel; NULL: none */
    const REAL *residual;     /* lies as `out` does; NULL: none */
    const REAL *out;          /* its first element */
    int activation;           /* GEMM_... */
    REAL p0, p1;
} K(epilogue);

/* n <= VL sums of channels channel .. channel+n-1 that belong to `at` in the output. */
GEMM_INLINE vec K(epilogue_apply)(const K(epilogue) *e, vec sum, int64_t channel, const REAL *at,
                                  int64_t n) {
    vec bias = e->bias == NULL ? (vec){0} : v_load_live(e->bias + channel, n);
    if (e->scale != NULL) {
        sum = v_fma(sum, v_load_live(e->scale + channel, n), bias);
    } else {
        sum += bias;
    }
    if (e->residual != NULL) sum += v_load_live(e->residual + (at - e->out), n);
    return K(gemm_activate)(sum, e->activation, e->p0, e->p1);
}
