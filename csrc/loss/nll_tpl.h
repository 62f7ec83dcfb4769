/* Negative log-likelihood: cross-entropy of logarithms of probabilities in place of logits. Forward
 * reads one element of each row; backward writes zeros, then that element.
 */

static REAL K(nll_of_row)(const K(classes) *e, int64_t row) {
    if (!K(is_live)(e, row)) return 0;
    int64_t label = e->labels[row];
    REAL loss = -e->keep * K(class_weight)(e, label) * e->x[K(element)(e, row, label)];
    if (e->spread == 0) return loss;
    REAL all = 0;
    for (int64_t c = 0; c < e->v.n; c++) {
        all += K(class_weight)(e, c) * e->x[K(element)(e, row, c)];
    }
    return loss - e->spread * all;
}

static int K(nll_fwd)(const void *args, const team *t) {
    const nll_fwd_args *a = args;
    K(classes) e = K(classes_of)(&a->logp, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    if (K(check_labels)(&e, t)) return PYAD_ERROR_INDEX;
    double *sums = t->shared;
    int64_t first, last;
    REAL losses[LANES] = {0}, *out = a->loss.data;
    const int64_t units = pyad_ceil_div(e.rows, VL);
    K(own_blocks)(t, &first, &last);
    for (int64_t b = first; b < last; b++) {
        const int64_t start = units * b / LOSS_BLOCKS, stop = units * (b + 1) / LOSS_BLOCKS;
        if (start == stop) continue;
        K(block_sums) block = {0};
        for (int64_t r = start * VL; r < pyad_min(stop * VL, e.rows); r += VL) {
            const int64_t width = pyad_min(VL, e.rows - r);
            const K(unit_targets) targets = K(targets_of)(&e, r, width);
            for (int64_t i = 0; i < VL; i++) losses[i] = i < width ? K(nll_of_row)(&e, r + i) : 0;
            K(add_rows)(&e, r, width, losses, &targets, out, &block);
        }
        K(keep_sums)(&block, b, sums);
    }
    K(finish_loss)(&e, t, out, a->divisor.data);
    return PYAD_OK;
}

static int K(nll_bwd)(const void *args, const team *t) {
    const nll_bwd_args *a = args;
    K(classes) e = K(classes_of)(&a->dx, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    if (K(check_labels)(&e, t)) return PYAD_ERROR_INDEX;
    REAL *dx = a->dx.data;
    int64_t begin, end;
    REAL common = K(common_factor)(&e, a->g.data, a->divisor.data);
    team_range(t, e.rows, VL, &begin, &end);
    for (int64_t c = 0; e.v.inner > 1 && c < e.v.n; c++) {
        for (int64_t r = begin; r < end; r++) dx[K(element)(&e, r, c)] = 0;
    }
    if (e.v.inner == 1) {
        memset(dx + begin * e.v.n, 0, (size_t)((end - begin) * e.v.n) * sizeof(REAL));
    }
    for (int64_t r = begin; r < end; r++) {
        REAL factor = K(row_factor)(&e, a->g.data, common, r);
        if (!K(is_live)(&e, r)) continue;
        for (int64_t c = 0; e.spread != 0 && c < e.v.n; c++) {
            dx[K(element)(&e, r, c)] = -factor * e.spread * K(class_weight)(&e, c);
        }
        int64_t label = e.labels[r];
        dx[K(element)(&e, r, label)] -= factor * e.keep * K(class_weight)(&e, label);
    }
    return PYAD_OK;
}
