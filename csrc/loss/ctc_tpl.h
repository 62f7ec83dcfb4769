/* Connectionist temporal classification: threads share the sequences, each is computed by ctc.c. */

/* Lengths that fit and labels that are classes other than blank, or a failure. */
static int K(check_sequence)(const ctc_args *a, int64_t n, const team *t) {
    const int64_t most = a->targets.shape[1], classes = a->log_probs.shape[2];
    const int64_t *labels = (const int64_t *)a->targets.data + n * most;
    const int64_t times = ((const int64_t *)a->input_lengths.data)[n];
    const int64_t count = ((const int64_t *)a->target_lengths.data)[n];
    if (times < 0 || times > a->log_probs.shape[0] || count < 0 || count > most) {
        return team_fail(t, PYAD_ERROR_VALUE, n, 0, 0);
    }
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] < 0 || labels[i] >= classes) {
            return team_fail(t, PYAD_ERROR_INDEX, n * most + i, labels[i], classes);
        }
        if (labels[i] == a->blank) return team_fail(t, PYAD_ERROR_VALUE, n, 0, 0);
    }
    return PYAD_OK;
}

static int K(ctc)(const void *args, const team *t) {
    const ctc_args *a = args;
    const int64_t times = a->log_probs.shape[0], sequences = a->log_probs.shape[1];
    const int64_t classes = a->log_probs.shape[2], most = a->targets.shape[1];
    int64_t begin, end;
    team_range(t, sequences, 1, &begin, &end);
    for (int64_t n = begin; n < end && K(check_sequence)(a, n, t) == PYAD_OK;) n++;
    if (t->nth > 1) team_barrier(t);
    if (team_failed(t)) return PYAD_ERROR_VALUE;
    for (int64_t n = begin; n < end; n++) {
        const ctc_sequence s = {
            .log_probs = (const REAL *)a->log_probs.data + n * classes,
            .wide = sizeof(REAL) == sizeof(double),
            .stride = sequences * classes,
            .times = ((const int64_t *)a->input_lengths.data)[n],
            .classes = classes,
            .labels = (const int64_t *)a->targets.data + n * most,
            .count = ((const int64_t *)a->target_lengths.data)[n],
            .blank = a->blank,
        };
        REAL *grad = a->grad.data ? (REAL *)a->grad.data + n * classes : NULL;
        ((REAL *)a->loss.data)[n] = (REAL)pyad_ctc(&s, t->scratch, grad);
        /* beyond its length nothing counts */
        for (int64_t step = s.times; grad && step < times; step++) {
            memset(grad + step * s.stride, 0, (size_t)classes * sizeof(REAL));
        }
    }
    return PYAD_OK;
}
