/* Cross-entropy of logits: rows as classes_tpl.h has them, in blocks whose sums of losses and weights are
 * added in double.
 */

#define WIDE (sizeof(double) / sizeof(REAL))

/* of the rows of a block, lane by lane */
typedef struct {
    vec_t_f64 loss[WIDE], weight[WIDE];
} K(block_sums);

/* Adds a unit's losses and weights to the sums, or stores the losses in `out`. */
V_INLINE void K(add_rows)(const K(classes) *e, int64_t first, int64_t width, const REAL *loss,
                          const K(unit_targets) *t, REAL *out, K(block_sums) *sums) {
    if (e->reduction == PYAD_REDUCE_NONE) {
        v_store_n(out + first, v_load(loss), width);
        return;
    }
    REAL weight[LANES];
    v_store(weight, t->weight);
    for (int64_t p = 0; p < (int64_t)WIDE; p++) {
        sums->loss[p] += v_widen(loss + p * (VL / (int64_t)WIDE));
        sums->weight[p] += v_widen(weight + p * (VL / (int64_t)WIDE));
    }
}

/* The sums of a block of rows at its place in `sums`. */
static inline void K(keep_sums)(const K(block_sums) *block, int64_t b, double *sums) {
    for (int64_t i = 0; i < VL; i++) {
        const int64_t doubles = VL / (int64_t)WIDE;
        sums[2 * b] += block->loss[i / doubles][i % doubles];
        sums[2 * b + 1] += block->weight[i / doubles][i % doubles];
    }
}

/* This thread's blocks, whose sums are 0 as yet. */
static inline void K(own_blocks)(const team *t, int64_t *first, int64_t *last) {
    double *sums = t->shared;
    team_range(t, LOSS_BLOCKS, 1, first, last);
    memset(sums + 2 * *first, 0, (size_t)(*last - *first) * 2 * sizeof *sums);
}

/* The blocks' sums to the loss; divisor: what a mean was divided by, else 1. */
static void K(finish_loss)(const K(classes) *e, const team *t, REAL *loss, REAL *divisor) {
    team_barrier(t);
    if (t->ith != 0) return;
    const double *sums = t->shared;
    double total = 0, weight = 0;
    for (int64_t b = 0; b < LOSS_BLOCKS; b++) {
        total += sums[2 * b];
        weight += sums[2 * b + 1];
    }
    if (e->reduction != PYAD_REDUCE_MEAN) weight = 1;
    *divisor = (REAL)weight;
    if (e->reduction == PYAD_REDUCE_NONE) return;
    /* every target is ignored: 0, but the mean of nothing stays 0 / 0 */
    *loss = weight == 0 && e->rows > 0 ? 0 : (REAL)(total / weight);
}

static int K(cross_entropy_fwd)(const void *args, const team *t) {
    const cross_entropy_fwd_args *a = args;
    K(classes) e = K(classes_of)(&a->x, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    if (K(check_labels)(&e, t)) return PYAD_ERROR_INDEX;
    double *sums = t->shared;
    int64_t first, last, units = K(count_units)(&e), width;
    REAL losses[LANES], *out = a->loss.data;
    K(unit_sums) strip[STRIP_TILES];
    memset(strip, 0, sizeof *strip);
    const int tiled = e.v.inner == 1 && e.v.n <= TILE_CLASSES;
    const int64_t together = tiled ? K(strip_rows)(e.v.n) / VL : 1;
    K(own_blocks)(t, &first, &last);
    for (int64_t b = first; b < last; b++) {
        const int64_t start = units * b / LOSS_BLOCKS, stop = units * (b + 1) / LOSS_BLOCKS;
        if (start == stop) continue; /* most blocks of a small batch */
        K(block_sums) block = {0};
        for (int64_t u = start; u < stop; u += together) {
            const int64_t now = pyad_min(together, stop - u), row = K(unit)(&e, u, &width);
            const int64_t rows = tiled ? pyad_min(now * VL, e.rows - row) : width;
            K(sums_of_rows)(&e, row, rows, strip);
            for (int64_t i = 0; i < rows; i += VL) {
                width = pyad_min(VL, rows - i);
                const K(unit_targets) targets = K(targets_of)(&e, row + i, width);
                K(unit_losses)(&e, row + i, width, &targets, &strip[i / VL], a->stats.data, losses);
                K(add_rows)(&e, row + i, width, losses, &targets, out, &block);
            }
        }
        K(keep_sums)(&block, b, sums);
    }
    K(finish_loss)(&e, t, out, a->divisor.data);
    return PYAD_OK;
}
