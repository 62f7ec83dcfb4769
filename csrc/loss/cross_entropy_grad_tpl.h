/* The gradient of cross-entropy by the logits: softmax less the target, times the row's weight and the
 * gradient. Loops as in cross_entropy_tpl.h.
 */

/* what a row's gradient is multiplied by; 0 where its target is ignored */
static inline REAL K(row_factor)(const K(classes) *e, const REAL *g, REAL common, int64_t row) {
    if (!K(is_live)(e, row)) return 0;
    return e->reduction == PYAD_REDUCE_NONE ? g[row] : common;
}

/* the factor that all rows share unless the loss was not reduced */
static inline REAL K(common_factor)(const K(classes) *e, const REAL *g, const REAL *divisor) {
    return e->reduction == PYAD_REDUCE_NONE || *divisor == 0 ? 0 : g[0] / *divisor;
}

/* Of each row of a unit: largest logit, factor / sum of exp * mass, factor, and what is subtracted
 * at its own class; all 0 where it is ignored. */
typedef struct {
    REAL largest[LANES], scale[LANES], factor[LANES], own[LANES];
    mask label;
} K(unit_slopes);

/* factor * (mass * softmax(x) - q) */
V_INLINE void K(columns_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                                REAL *dx, int64_t step, int64_t width, int full,
                                const K(unit_slopes) *s) {
    const vec largest = v_load(s->largest), scale = v_load(s->scale), factor = v_load(s->factor);
    const vec own = v_load(s->own);
    const mask label = s->label;
    for (int64_t c = 0; c < e->v.n; c++) {
        vec d = K(exp_below)(K(take)(x + c * step, width, full) - largest) * scale;
        if (mixed) {
            vec p = probs != NULL ? K(take)(probs + c * step, width, full) : (vec){0};
            d = v_fma(-factor, K(distribution)(e, p, c), d);
        }
        d -= v_select(label == (mask_item)c, own, (vec){0});
        K(put)(dx + c * step, v_select(label >= 0, d, (vec){0}), width, full);
    }
}

/* the same but for the row's own class */
V_INLINE void K(row_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                            REAL *dx, int64_t i, const K(unit_slopes) *s) {
    int64_t n = e->v.n;
    vec largest = v_set1(s->largest[i]), scale = v_set1(s->scale[i]);
    for (int64_t c = 0; c < n; c += VL) {
        int64_t width = pyad_min(VL, n - c);
        int full = width == VL;
        K(fetch_line)(x + AHEAD + c);
        K(claim_ahead)(dx + AHEAD + c);
        vec d = K(exp_below)(K(take)(x + c, width, full) - largest) * scale;
        if (mixed) {
            d = v_fma(v_set1(-s->factor[i]), K(row_distribution)(e, probs, c, width), d);
        }
        K(put)(dx + c, d, width, full);
    }
}

static PYAD_ONCE void K(tile_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs, REAL *dx,
                         int64_t rows, const K(unit_slopes) *s) {
    REAL tx[STRIP_SIZE], tp[STRIP_SIZE];
    K(transpose_in)(x, tx, e->v.n, rows, rows * e->v.n);
    if (probs != NULL) K(transpose_in)(probs, tp, e->v.n, rows, rows * e->v.n);
    K(columns_slopes)(e, mixed, tx, probs != NULL ? tp : NULL, tx, VL, VL, 1, s);
    K(transpose_out)(tx, dx, e->v.n, rows);
}

/* Short rows as they lie, as one long row. */
static PYAD_ONCE void K(flat_slopes)(const REAL *x, REAL *dx, int64_t n, int64_t rows, const mask *row_of,
                         const K(unit_slopes) *s) {
    const vec largest = v_load(s->largest), scale = v_load(s->scale);
    const mask live = s->label >= 0;
    const int some_ignored = v_any(~live);
    for (int64_t i = 0; i < rows * n; i += VL, row_of++) {
        const int64_t width = pyad_min(VL, rows * n - i);
        const int full = width == VL;
        vec d = K(take)(x + i, width, full) - K(of_rows)(largest, *row_of);
        d = K(exp_below)(d) * K(of_rows)(scale, *row_of);
        K(fetch_line)(x + UNITS_AHEAD * VL * n + i);
        K(claim_ahead)(dx + VL * n + i);
        if (some_ignored) d = v_select((mask)K(of_rows)((vec)live, *row_of), d, (vec){0});
        K(put)(dx + i, d, width, full);
    }
    for (int64_t i = 0; i < rows; i++) {
        if (s->label[i] >= 0) dx[i * n + s->label[i]] -= s->own[i];
    }
}

/* Rows of one vector. */
static PYAD_ONCE void K(vectors_slopes)(const REAL *x, REAL *dx, int64_t rows, const K(unit_slopes) *s) {
    for (int64_t i = 0; i < rows; i++, x += VL, dx += VL) {
        K(fetch_line)(x + UNITS_AHEAD * VL * VL);
        K(claim_ahead)(dx + VL * VL);
        if (s->label[i] < 0) {
            v_store(dx, (vec){0});
            continue;
        }
        const vec d = K(exp_below)(v_load(x) - v_set1(s->largest[i])) * v_set1(s->scale[i]);
        const mask own = K(lanes)() == s->label[i];
        v_store(dx, d - v_select(own, v_set1(s->own[i]), (vec){0}));
    }
}

static PYAD_ONCE void K(rows_slopes)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs, REAL *dx,
                         int64_t rows, const K(unit_slopes) *s) {
    const int64_t n = e->v.n;
    for (int64_t i = 0; i < rows; i++, x += n, dx += n) {
        if (s->label[i] < 0) {
            memset(dx, 0, (size_t)n * sizeof(REAL));
            continue;
        }
        K(row_slopes)(e, mixed, x, probs != NULL ? probs + i * n : NULL, dx, i, s);
        dx[s->label[i]] -= s->own[i];
    }
}

V_INLINE void K(layout_slopes)(const K(classes) *e, int mixed, int64_t first, int64_t width,
                               const mask *row_of, const K(unit_slopes) *s, REAL *out) {
    int64_t at = K(element)(e, first, 0);
    const REAL *x = e->x + at, *probs = e->probs != NULL ? e->probs + at : NULL;
    REAL *dx = out + at;
    if (e->v.inner > 1) {
        if (width == VL) {
            K(columns_slopes)(e, mixed, x, probs, dx, e->v.inner, VL, 1, s);
        } else {
            K(columns_slopes)(e, mixed, x, probs, dx, e->v.inner, width, 0, s);
        }
    } else if (e->v.n > TILE_CLASSES) {
        K(rows_slopes)(e, mixed, x, probs, dx, width, s);
    } else if (mixed) {
        K(tile_slopes)(e, mixed, x, probs, dx, width, s);
    } else if (IS_VECTOR(e->v.n)) {
        K(vectors_slopes)(x, dx, width, s);
    } else {
        K(flat_slopes)(x, dx, e->v.n, width, row_of, s);
    }
}

/* the sum of a row's target distribution, of probabilities */
static REAL K(mass_of_row)(const K(classes) *e, int64_t row) {
    REAL mass = 0;
    const REAL *p = e->probs + K(element)(e, row, 0);
    for (int64_t c = 0; c < e->v.n; c++) {
        mass += (e->keep * p[c * e->v.inner] + e->spread) * K(class_weight)(e, c);
    }
    return mass;
}

static void K(unit_gradient)(const K(classes) *e, int64_t first, int64_t width, const REAL *g,
                             REAL common, const REAL *stats, const mask *row_of, REAL *dx) {
    const K(unit_targets) t = K(targets_of)(e, first, width);
    K(unit_slopes) s;
    s.label = t.label;
    const vec zero = {0}, weight = t.weight;
    vec factor = e->reduction == PYAD_REDUCE_NONE ? v_load_n(g + first, width) : v_set1(common);
    factor = v_select(s.label >= 0, factor, zero);
    vec mass = v_fma(v_set1(e->keep), weight, v_set1(e->spread_mass)), own = zero;
    if (e->labels != NULL) {
        own = factor * e->keep * weight;
    } else {
        REAL each[LANES] = {0};
        for (int64_t i = 0; i < width; i++) each[i] = K(mass_of_row)(e, first + i);
        mass = v_load(each);
    }
    const vec scale = factor * v_load_n(stats + e->rows + first, width) * mass;
    v_store(s.largest, v_load_n(stats + first, width));
    v_store(s.scale, scale);
    v_store(s.factor, factor);
    v_store(s.own, own);
    if (e->probs != NULL || e->spread != 0) {
        K(layout_slopes)(e, 1, first, width, row_of, &s, dx);
    } else {
        K(layout_slopes)(e, 0, first, width, row_of, &s, dx);
    }
}

static int K(cross_entropy_bwd)(const void *args, const team *t) {
    const cross_entropy_bwd_args *a = args;
    K(classes) e = K(classes_of)(&a->x, &a->target, &a->weight, a->ignore_index, a->reduction,
                                 a->smoothing);
    int64_t begin, end, width;
    mask row_of[TILE_CLASSES];
    REAL common = K(common_factor)(&e, a->g.data, a->divisor.data);
    if (e.v.inner == 1 && e.v.n <= TILE_CLASSES) K(rows_of_elements)(e.v.n, row_of);
    team_range(t, K(count_units)(&e), 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t row = K(unit)(&e, u, &width);
        K(unit_gradient)(&e, row, width, a->g.data, common, a->stats.data, row_of, a->dx.data);
    }
    return PYAD_OK;
}
