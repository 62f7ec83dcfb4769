/* The loops of one reduction, included once for each with
 *
 *   OP        its name: the functions below are OP_start, ... with the dtype's suffix
 *   STATE     the type of a running result
 *   IN_ORDER  1 if positions matter
 *
 *   STATE OP_start(args, o)               the result of nothing; o: offset of the output
 *   void  OP_run(args, state, x, n, at)   take in n <= REDUCE_SEGMENT elements side by side
 *   void  OP_rows(args, states, x, stride, rows, columns, at)
 *                                         take in rows of columns <= REDUCE_COLUMNS, each its own
 *   void  OP_merge(args, state, other)    take in a later piece
 *   void  OP_finish(args, state, o, n)    write the output; n: how many elements went in
 *   void  OP_finish_all(args, states, count, o, so, n)
 *                                         with FINISH_ALL defined, instead: outputs o, o + so, ...
 *
 *   void  OP_merge_all(args, states, others, count)
 *                                         with MERGE_ALL defined: OP_merge of each
 *
 * With STEPWISE defined OP_run and OP_rows (unless OWN_RUN, OWN_ROWS are, too) are made here from
 *
 *   void  OP_step(args, state, v)         take in one element
 *
 * and NO_LANES says that floats, too, may be taken in any order.
 *
 * SINGLE_ROWS, if defined, is how many rows OP_rows is given at most, instead of REDUCE_ROWS.
 *
 * `at` is the position of the first element or row on the reduced axis (if there is one).
 *
 * OP_rows may be PYAD_ONCE, unless its loops or those of OP_run are slower for that (sums, moments):
 * written out at both of its calls it took a twentieth of the library.
 *
 * Either lines are reduced along themselves (the innermost axis of x is reduced, or no axis is
 * dense: then a line is gathered first), or rows are added up column by column. Pieces are
 * fixed by the shape; partial results meet in order after a barrier.
 */
#define R(name) PYAD_JOIN(PYAD_JOIN(OP, name), SUFFIX)
/* Of narrow integers the compiler unrolls these loops so far that, repeated wherever they are called,
 * the reductions were a third of the library. */
#ifdef REAL
#define APART static inline
#else
#define APART static PYAD_ONCE
#endif

#ifndef SINGLE_ROWS
#define SINGLE_ROWS REDUCE_ROWS
#endif

#ifdef STEPWISE
#ifndef OWN_RUN
/* Lanes: independent running results, so that the compiler has vectors to fill. Whole numbers, which
 * may be taken in any order, it lays into vectors itself, and narrow ones far better than their
 * lanes, of which it moves every byte by itself; wide ones are few to a vector and gain from lanes,
 * as no vector waits for the last, once they are many. */
#if !defined NO_LANES && defined REAL
#define LANES 16
#define LANES_FROM LANES
#elif !defined NO_LANES && (DTYPE == PYAD_INT64 || DTYPE == PYAD_INT32)
#define LANES 16
#define LANES_FROM (4 * LANES)
#endif

#ifdef LANES
APART void R(run_lanes)(const void *args, STATE *state, const ELEM *x, int64_t n) {
    STATE lane[LANES];
    int64_t i = 0;
    for (int l = 0; l < LANES; l++) lane[l] = R(start)(args, 0);
    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) R(step)(args, &lane[l], x[i + l]);
    }
    for (int l = 0; i < n; i++, l++) R(step)(args, &lane[l], x[i]);
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) R(merge)(args, &lane[l], &lane[l + half]);
    }
    R(merge)(args, state, &lane[0]);
}
#endif

APART void R(run)(const void *args, STATE *state, const ELEM *x, int64_t n, int64_t at) {
    (void)at;
#ifdef LANES
    if (n >= LANES_FROM) {
        R(run_lanes)(args, state, x, n);
        return;
    }
#endif
    STATE result = *state;
    for (int64_t i = 0; i < n; i++) R(step)(args, &result, x[i]);
    *state = result;
}
#undef LANES
#undef LANES_FROM
#endif

#ifndef OWN_ROWS
static PYAD_ONCE void R(rows)(const void *args, STATE *restrict states, const ELEM *restrict x, int64_t stride,
                   int64_t rows, int64_t columns, int64_t at) {
    int64_t i = 0;
    (void)at;
    for (; i + 4 <= rows; i += 4) {
        const ELEM *restrict p = x + i * stride;
        for (int64_t c = 0; c < columns; c++) {
            STATE state = states[c];
            R(step)(args, &state, p[c]);
            R(step)(args, &state, p[c + stride]);
            R(step)(args, &state, p[c + 2 * stride]);
            R(step)(args, &state, p[c + 3 * stride]);
            states[c] = state;
        }
    }
    for (; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) R(step)(args, &states[c], x[i * stride + c]);
    }
}
#endif
#undef STEPWISE
#undef OWN_RUN
#undef NO_LANES
#undef OWN_ROWS
#endif

/* Segments [s0, s1) of the line or lines that make output `o`. */
static inline STATE R(lines)(const void *args, const reduction *r, const ELEM *x, int64_t o, int64_t s0,
                      int64_t s1) {
    STATE state = R(start)(args, o);
    const walk *w = &r->reduced;
    int64_t last = w->ndim - 1, length = w->shape[last], stride = w->stride[0][last];
    if (last == 0 && stride == 1 && length <= REDUCE_SEGMENT) {
        if (s0 < s1) R(run)(args, &state, x, length, 0);
        return state;
    }
    int64_t segments = pyad_ceil_div(length, REDUCE_SEGMENT);
    ELEM line[REDUCE_SEGMENT];
    for (int64_t s = s0; s < s1; s++) {
        int64_t at = s % segments * REDUCE_SEGMENT, n = pyad_min(REDUCE_SEGMENT, length - at);
        const ELEM *p = x + at * stride;
        if (last > 0) p += walk_offset(w, 0, last, s / segments);
        if (stride != 1 && n > 1) {
            for (int64_t i = 0; i < n; i++) line[i] = p[i * stride];
            p = line;
        }
        R(run)(args, &state, p, n, at);
    }
    return state;
}

/* Each of n states takes in another. */
static inline void R(merge_states)(const void *args, STATE *states, const STATE *others, int64_t n) {
#ifdef MERGE_ALL
    R(merge_all)(args, states, others, n);
#else
    for (int64_t i = 0; i < n; i++) R(merge)(args, &states[i], &others[i]);
#endif
}

/* Rows [begin, end) of `columns` neighbouring columns. A run of narrow rows without gaps is read
 * as wider rows, whose parts are merged in order (not where positions matter). */
static void R(columns)(const void *args, const reduction *r, const ELEM *x, int64_t columns,
                       int64_t begin, int64_t end, STATE *states, int64_t o, int64_t so) {
    const walk *w = &r->reduced;
    int64_t last = w->ndim - 1, length = w->shape[last], stride = w->stride[0][last];
    int64_t fold = !IN_ORDER && stride == columns ? REDUCE_COLUMNS / columns : 1;
    STATE wide[REDUCE_COLUMNS];
    for (int64_t c = 0; c < columns; c++) states[c] = R(start)(args, o + c * so);
    for (int64_t row = begin; row < end;) {
        int64_t at = row % length;
        int64_t rows = pyad_min(pyad_min(length - at, end - row), SINGLE_ROWS * fold);
        const ELEM *p = x + at * stride;
        if (last > 0) p += walk_offset(w, 0, last, row / length);
        int64_t folded = fold > 1 ? rows / fold : 0;
        if (folded > 1) {
            for (int64_t c = 0; c < fold * columns; c += columns) {
                for (int64_t i = 0; i < columns; i++) wide[c + i] = R(start)(args, o + i * so);
            }
            R(rows)(args, wide, p, fold * columns, folded, fold * columns, at);
            for (int64_t c = 0; c < fold * columns; c += columns) {
                R(merge_states)(args, states, wide + c, columns);
            }
            rows = folded * fold;
        } else {
            rows = pyad_min(rows, SINGLE_ROWS);
            R(rows)(args, states, p, stride, rows, columns, at);
        }
        row += rows;
    }
}

/* Finish outputs o, o + so, ... of which the chunk is the only one, else keep them in `partial`. */
static void R(deliver)(const void *args, const reduction *r, const STATE *states, int64_t count,
                       int64_t o, int64_t so, STATE *partial) {
    if (partial != NULL) {
        memcpy(partial, states, (size_t)count * sizeof(STATE));
        return;
    }
#ifdef FINISH_ALL
    R(finish_all)(args, states, count, o, so, r->inputs);
#else
    for (int64_t c = 0; c < count; c++) R(finish)(args, &states[c], o + c * so, r->inputs);
#endif
}

/* Chunk `chunk` of unit `unit`: a block of outputs that are neighbours on the last kept axis. */
static void R(piece)(const void *args, const reduction *r, const ELEM *x, int64_t unit,
                     int64_t chunk, STATE *partial) {
    const walk *kept = &r->kept, *reduced = &r->reduced;
    const int64_t last = pyad_max(kept->ndim - 1, 0), blocks = pyad_ceil_div(r->side, r->block);
    const int64_t outer = unit / blocks, at = unit % blocks * r->block;
    const int64_t count = pyad_min(r->block, r->side - at);
    const int64_t sx = kept->ndim > 0 ? kept->stride[0][last] : 0;
    const int64_t so = kept->ndim > 0 ? kept->stride[1][last] : 0;
    const int64_t o = walk_offset(kept, 1, last, outer) + at * so;
    STATE states[REDUCE_COLUMNS];
    x += walk_offset(kept, 0, last, outer) + at * sx;
    if (partial != NULL) partial += chunk * r->outputs + outer * r->side + at;
    if (r->by_columns) {
        R(columns)(args, r, x, count, r->inputs * chunk / r->chunks,
                   r->inputs * (chunk + 1) / r->chunks, states, o, so);
    } else {
        const int64_t total = walk_outer(reduced, reduced->ndim - 1) *
                              pyad_ceil_div(reduced->shape[reduced->ndim - 1], REDUCE_SEGMENT);
        for (int64_t c = 0; c < count; c++) {
            states[c] = R(lines)(args, r, x + c * sx, o + c * so, total * chunk / r->chunks,
                                 total * (chunk + 1) / r->chunks);
        }
    }
    R(deliver)(args, r, states, count, o, so, partial);
}

static void R(reduce)(const void *args, const pyad_array *x, const pyad_array *out,
                      const team *t) {
    reduction r;
    reduction_init(&r, x, out, IN_ORDER);
    STATE *partial = r.chunks > 1 ? t->shared : NULL;
    int64_t begin, end;
    team_range(t, r.units * r.chunks, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        R(piece)(args, &r, x->data, item / r.chunks, item % r.chunks, partial);
    }
    if (partial == NULL) return;
    if (t->nth > 1) team_barrier(t);
    team_range(t, r.outputs, 1, &begin, &end);
#ifdef MERGE_ALL
    for (int64_t c = 1; c < r.chunks && begin < end; c++) {
        R(merge_all)(args, partial + begin, partial + c * r.outputs + begin, end - begin);
    }
#endif
    for (int64_t i = begin; i < end; i++) {
        STATE state = partial[i];
#ifndef MERGE_ALL
        for (int64_t c = 1; c < r.chunks; c++) R(merge)(args, &state, &partial[c * r.outputs + i]);
#endif
        R(deliver)(args, &r, &state, 1, walk_offset(&r.kept, 1, r.kept.ndim, i), 0, NULL);
    }
}

#undef SINGLE_ROWS
#undef APART
#undef R
#undef OP
#undef STATE
#undef IN_ORDER
#undef FINISH_ALL
#undef MERGE_ALL
