/* What losses over classes share: where a row lies, its labels or probabilities and their checks, and
 * the value of VL rows: columns, a transposed tile, or one row after the other.
 */

typedef struct {
    const REAL *x;
    const int64_t *labels; /* one a row, or */
    const REAL *probs;     /* as x */
    const REAL *weight;
    axis_view v;
    int64_t rows, ignore, reduction;
    /* the target distribution is weight * (keep * target + spread) */
    REAL keep, spread, spread_mass;
} K(classes);

static K(classes) K(classes_of)(const pyad_array *x, const pyad_array *target,
                                const pyad_array *weight, int64_t ignore, int64_t reduction,
                                double smoothing) {
    K(classes) e = {x->data, NULL, NULL, weight->data, axis_of(x, x->ndim > 1), 0, ignore,
                    reduction, (REAL)(1 - smoothing), 0, 0};
    e.rows = e.v.outer * e.v.inner;
    if (target->dtype == PYAD_INT64) {
        e.labels = target->data;
    } else {
        e.probs = target->data;
    }
    if (smoothing != 0) {
        double mass = (double)e.v.n;
        if (e.weight != NULL) {
            mass = 0;
            for (int64_t c = 0; c < e.v.n; c++) mass += (double)e.weight[c];
        }
        e.spread = (REAL)(smoothing / (double)e.v.n);
        e.spread_mass = (REAL)(smoothing / (double)e.v.n * mass);
    }
    return e;
}

static inline int64_t K(element)(const K(classes) *e, int64_t row, int64_t c) {
    if (e->v.inner == 1) return row * e->v.n + c; /* divisions take long */
    return (row / e->v.inner * e->v.n + c) * e->v.inner + row % e->v.inner;
}

/* from a row of a unit to the next, and from class to class */
static inline int64_t K(row_step)(const K(classes) *e) { return e->v.inner > 1 ? 1 : e->v.n; }

static inline REAL K(class_weight)(const K(classes) *e, int64_t c) {
    return e->weight != NULL ? e->weight[c] : (REAL)1;
}

static inline int K(is_live)(const K(classes) *e, int64_t row) {
    return e->labels == NULL || e->labels[row] != e->ignore;
}

/* Whether labels [begin, end) are classes or ignored; without branches, so vectors of them. */
static inline int K(labels_fit)(const K(classes) *e, int64_t begin, int64_t end) {
    uint64_t outside = 0;
    for (int64_t r = begin; r < end; r++) {
        outside |= ((uint64_t)e->labels[r] >= (uint64_t)e->v.n) & (e->labels[r] != e->ignore);
    }
    return outside == 0;
}

/* Labels outside the classes are an error before anything is written. */
static int K(check_labels)(const K(classes) *e, const team *t) {
    if (e->labels == NULL) return PYAD_OK;
    int64_t begin, end;
    team_range(t, e->rows, 64, &begin, &end);
    if (!K(labels_fit)(e, begin, end)) {
        while (K(labels_fit)(e, begin, begin + 1)) begin++;
        team_fail(t, PYAD_ERROR_INDEX, begin, e->labels[begin], e->v.n);
    }
    team_barrier(t);
    return team_failed(t);
}

/* Units are up to VL rows whose elements lie side by side, or one after the other. */
static inline int64_t K(count_units)(const K(classes) *e) {
    if (e->v.inner == 1) return pyad_ceil_div(e->v.outer, VL);
    return e->v.outer * pyad_ceil_div(e->v.inner, VL);
}

static inline int64_t K(unit)(const K(classes) *e, int64_t u, int64_t *width) {
    if (e->v.inner == 1) {
        *width = pyad_min(VL, e->v.outer - u * VL);
        return u * VL;
    }
    int64_t tiles = pyad_ceil_div(e->v.inner, VL), column = u % tiles * VL;
    *width = pyad_min(VL, e->v.inner - column);
    return u / tiles * e->v.inner + column;
}

#define LANES (VL)

/* Of each row of a unit: its class, -1 where it is ignored or no row, and the weight of that class,
 * there 0. Where targets are probabilities, class 0 and weight 1. */
typedef struct {
    mask label;
    vec weight;
} K(unit_targets);

typedef int64_t K(unit_labels) __attribute__((vector_size(8 * VL)));

/* Of `width` rows; 0 behind. A vector of more bytes than the instruction set's can't be a result. */
V_INLINE void K(take_labels)(const int64_t *from, int64_t width, K(unit_labels) *labels) {
    *labels = (K(unit_labels)){0};
    if (width == VL) {
        memcpy(labels, from, sizeof *labels);
    } else {
        for (int64_t i = 0; i < width; i++) (*labels)[i] = from[i];
    }
}

V_INLINE K(unit_targets) K(targets_of)(const K(classes) *e, int64_t first, int64_t width) {
    mask label = {0}, live = K(first_lanes)(width);
    if (e->labels != NULL) {
        K(unit_labels) labels;
        K(take_labels)(e->labels + first, width, &labels);
        label = __builtin_convertvector(labels, mask);
        /* compilers make single elements of a comparison of so many, not of their halves */
        const K(unit_labels) differs = labels ^ e->ignore;
        live &= (__builtin_convertvector(differs, mask) |
                 __builtin_convertvector(differs >> 32, mask)) != 0;
    }
    K(unit_targets) t = {label | ~live, v_select(live, v_set1(1), (vec){0})};
    if (e->weight == NULL || e->labels == NULL) return t;
    REAL weight[LANES] = {0};
    for (int64_t i = 0; i < width; i++) {
        if (t.label[i] >= 0) weight[i] = e->weight[t.label[i]];
    }
    t.weight = v_load(weight);
    return t;
}

/* Of each row of a unit: its largest logit, the sum of exp(logit - largest), and of the target
 * distribution q its sum (mass) and the sum of q * (logit - largest) (dot). */
typedef struct {
    REAL largest[LANES], sum[LANES], mass[LANES], dot[LANES];
} K(unit_sums);

/* q of class c for each of the rows of a tile */
V_INLINE vec K(distribution)(const K(classes) *e, vec probs, int64_t c) {
    vec q = v_fma(v_set1(e->keep), probs, v_set1(e->spread));
    return e->weight != NULL ? q * v_set1(e->weight[c]) : q;
}

/* meanwhile asks for as much at `ahead`, if that is not NULL */
V_INLINE void K(columns_sums)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                              int64_t step, int64_t width, int full, const REAL *ahead,
                              K(unit_sums) *s) {
    int64_t n = e->v.n;
    vec largest = K(columns_max)(x, n, step, width, full), sum = {0}, mass = {0}, dot = {0};
    vec more = {0};
    for (int64_t c = 0; c < n; c++) {
        vec shifted = K(take)(x + c * step, width, full) - largest;
        if (ahead != NULL) K(fetch_line)(ahead + c * VL);
        /* two sums, each of which waits for itself alone */
        vec next = more + K(exp_below)(shifted);
        more = sum;
        sum = next;
        if (!mixed) continue;
        vec p = probs != NULL ? K(take)(probs + c * step, width, full) : (vec){0};
        vec q = K(distribution)(e, p, c);
        mass += q;
        dot = v_fma(q, shifted, dot);
    }
    v_store(s->largest, largest);
    v_store(s->sum, sum + more);
    v_store(s->mass, mass);
    v_store(s->dot, dot);
}

/* q of classes c .. c + VL of one row */
V_INLINE vec K(row_distribution)(const K(classes) *e, const REAL *probs, int64_t c, int64_t width) {
    vec p = probs != NULL ? v_load_n(probs + c, width) : (vec){0};
    vec q = v_fma(v_set1(e->keep), p, v_set1(e->spread));
    if (e->weight != NULL) q *= v_load_n(e->weight + c, width);
    return v_select(K(first_lanes)(width), q, (vec){0});
}

V_INLINE void K(row_sums)(const K(classes) *e, int mixed, const REAL *x, const REAL *probs,
                          int64_t i, K(unit_sums) *s) {
    int64_t n = e->v.n;
    s->largest[i] = K(row_max)(x, n);
    s->sum[i] = K(row_exp)(x, s->largest[i], NULL, 0, n);
    s->mass[i] = s->dot[i] = 0;
    if (!mixed) return;
    vec mass = {0}, dot = {0}, largest = v_set1(s->largest[i]);
    for (int64_t c = 0; c < n; c += VL) {
        int64_t width = pyad_min(VL, n - c);
        vec q = K(row_distribution)(e, probs, c, width);
        vec shifted = v_select(K(first_lanes)(width), v_load_n(x + c, width) - largest, (vec){0});
        mass += q;
        dot = v_fma(q, shifted, dot);
    }
    s->mass[i] = v_sum(mass);
    s->dot[i] = v_sum(dot);
}

/* of tiles */
static PYAD_ONCE void K(strip_sums)(const K(classes) *e, int mixed, const REAL *tx, const REAL *tp,
                        int64_t rows, const REAL *ahead, K(unit_sums) *s) {
    const int64_t size = VL * e->v.n;
    for (int64_t r = 0; r < rows; r += VL, tx += size, ahead += size, s++) {
        K(columns_sums)(e, mixed, tx, tp, VL, VL, 1, ahead, s);
        if (tp != NULL) tp += size;
    }
}

/* of rows of one vector, without probabilities */
V_INLINE void K(vectors_sums)(const REAL *x, int64_t rows, K(unit_sums) *s) {
    REAL e[STRIP_SIZE];
    const int64_t units = pyad_ceil_div(rows, VL), step = sizeof *s / sizeof(REAL);
    const REAL *ahead = x + rows * VL;
    if (rows < units * VL) { /* the last */
        memset(e, 0, sizeof e);
        memcpy(e, x, (size_t)(rows * VL) * sizeof(REAL));
        x = e;
    }
    K(vector_rows)(x, e, units, 0, ahead, NULL, s->largest, s->sum, step);
    for (int64_t u = 0; u < units; u++) {
        memset(s[u].mass, 0, sizeof s->mass);
        memset(s[u].dot, 0, sizeof s->dot);
    }
}

/* of `rows` rows from `first` on: a strip, or one unit */
V_INLINE void K(layout_sums)(const K(classes) *e, int mixed, int64_t first, int64_t rows,
                             K(unit_sums) *s) {
    int64_t at = K(element)(e, first, 0);
    const REAL *x = e->x + at, *probs = e->probs != NULL ? e->probs + at : NULL;
    if (e->v.inner > 1) {
        if (rows == VL) {
            K(columns_sums)(e, mixed, x, probs, e->v.inner, VL, 1, NULL, s);
        } else {
            K(columns_sums)(e, mixed, x, probs, e->v.inner, rows, 0, NULL, s);
        }
    } else if (IS_VECTOR(e->v.n) && !mixed) {
        K(vectors_sums)(x, rows, s);
    } else if (e->v.n <= TILE_CLASSES) {
        const int64_t readable = (e->rows - first) * e->v.n;
        REAL tx[STRIP_SIZE], tp[STRIP_SIZE];
        K(transpose_in)(x, tx, e->v.n, rows, readable);
        if (probs != NULL) K(transpose_in)(probs, tp, e->v.n, rows, readable);
        K(strip_sums)(e, mixed, tx, probs != NULL ? tp : NULL, rows, x + rows * e->v.n, s);
    } else {
        for (int64_t i = 0; i < rows; i++) {
            int64_t from = i * e->v.n;
            K(row_sums)(e, mixed, x + from, probs != NULL ? probs + from : NULL, i, s);
        }
    }
}

static void K(sums_of_rows)(const K(classes) *e, int64_t first, int64_t rows, K(unit_sums) *s) {
    if (e->probs != NULL || e->spread != 0) {
        K(layout_sums)(e, 1, first, rows, s);
    } else {
        K(layout_sums)(e, 0, first, rows, s);
    }
}

/* the logits of the rows' own classes */
V_INLINE vec K(own_logits)(const K(classes) *e, int64_t first, int64_t width,
                           const K(unit_targets) *t) {
    const REAL *x = e->x + K(element)(e, first, 0);
    const int64_t row = K(row_step)(e), inner = e->v.inner;
    const mask label = t->label & (t->label >= 0);
#if VECTOR_BYTES == 64 && DTYPE == PYAD_FLOAT32
    /* a vector of what was stored one by one would have to wait for all of it */
    if (e->v.n * inner <= INT32_MAX / VL) {
        const mask at = label * (mask_item)inner + K(lanes)() * (mask_item)row;
        return v_gather_n(x, at, width);
    }
#endif
    REAL own[LANES] = {0};
    for (int64_t i = 0; i < width; i++) {
        own[i] = x[i * row + (int64_t)label[i] * inner];
    }
    return v_load(own);
}

/* Losses of a unit's rows, 0 where they are ignored, and into `stats` what softmax needs again. */
V_INLINE void K(unit_losses)(const K(classes) *e, int64_t first, int64_t width,
                             const K(unit_targets) *t, const K(unit_sums) *s, REAL *stats,
                             REAL *loss) {
    const vec largest = v_load(s->largest), sum = v_load(s->sum);
    vec mass = v_load(s->mass), dot = v_load(s->dot);
    if (e->labels != NULL) {
        const vec q = v_set1(e->keep) * t->weight;
        mass += q;
        dot += q * (K(own_logits)(e, first, width, t) - largest);
    }
    v_store_n(stats + first, largest, width);
    v_store_n(stats + e->rows + first, v_set1((REAL)1) / sum, width);
    v_store(loss, v_select(t->label >= 0, v_fma(mass, v_log(sum), -dot), (vec){0}));
}
