/* Scans along one axis: running sums and products, and the linear recurrence out_k = b_k + a_k
 * out_(k-1). Totals are in double for floats, in int64 for integers.
 *
 * Lines are shared out to the threads. A line whose elements lie side by side runs by itself,
 * floats in vectors that are scanned within themselves; as much is computed between two loads, it
 * asks for memory ahead (stream.h). Otherwise SCAN_SIDE neighbouring lines run together, element by
 * element of the axis, so that memory is read as it lies. The linear recurrence takes one line at a
 * time.
 */

#ifdef REAL
typedef double K(total);
#define SCAN_OUT REAL
#else
typedef int64_t K(total);
#define SCAN_OUT int64_t
#endif
#define SCAN_SIDE 1024 /* neighbouring lines that run together, at most */
#define SCAN_APART 256 /* the same where each needs a cache line of its own */
#define SCAN_BATCH 128 /* of these, before the memory of some more is asked for */
#define SCAN_CACHE_LINE (PYAD_LINE_BYTES / (int64_t)sizeof(ELEM))

/* A total as it goes on. A product of many numbers below 1 would stay at the smallest subnormal double for
 * ever, where each step takes some processors fifty times as long: subnormal totals are 0. Of doubles the
 * total is the result. */
#define SCAN_FADE_EVERY (16 * SCAN_LANES)
#define SCAN_KEEP(total) (total)
#define SCAN_KEEP_LANES(total) (total)
#if defined(REAL) && DTYPE == PYAD_FLOAT32
#define SCAN_FADED 0x1p-1022
#define SCAN_FADE(total) K(scan_fade)(total)
#define SCAN_FADE_LANES(total) K(scan_fade_lanes)(total)
V_INLINE double K(scan_fade)(double v) { return fabs(v) < SCAN_FADED ? copysign(0, v) : v; }

V_INLINE vec_t_f64 K(scan_fade_lanes)(vec_t_f64 v) {
    const mask_t_f64 sign = (mask_t_f64)(-(vec_t_f64){0}), bits = (mask_t_f64)v;
    return (vec_t_f64)(bits & (sign | ~((vec_t_f64)(bits & ~sign) < SCAN_FADED)));
}
#else
#define SCAN_FADE(total) (total)
#define SCAN_FADE_LANES(total) (total)
#endif

/* A line whose elements lie side by side: total = total op x, in a register. vectors of
 * floats at once: each is combined with the one 1, 2, 4 ... places before it, then all with the
 * total. */
#ifdef REAL
#define SCAN_LANES (VECTOR_BYTES / (int)sizeof(double))
#define SCAN_STEPS (VECTOR_BYTES == 64 ? 3 : VECTOR_BYTES == 32 ? 2 : 1)
typedef REAL K(scan_part)
    __attribute__((vector_size(VECTOR_BYTES / sizeof(double) * sizeof(REAL))));

/* from[k]: where a shuffle with `first` finds lanes moved up, or down in reverse, by 2^k places */
V_INLINE void K(scan_shifts)(mask_t_f64 *from, int reverse) {
    for (int64_t by = 1; by < SCAN_LANES; by *= 2, from++) {
        int64_t index[SCAN_LANES];
        for (int64_t l = 0; l < SCAN_LANES; l++) {
            const int64_t source = reverse ? l + by : l - by;
            index[l] = source >= 0 && source < SCAN_LANES ? source : SCAN_LANES;
        }
        memcpy(from, index, sizeof *from);
    }
}

#define SCAN_LINE(name, start, combine, go_on)                                                   \
    V_INLINE void K(name##_way)(REAL *out, const REAL *x, int64_t n, int far, int reverse) {     \
        const vec_t_f64 first = start - (vec_t_f64){0};                                          \
        const int64_t whole = n / SCAN_LANES * SCAN_LANES;                                       \
        const int64_t later = (reverse ? -STREAM_AHEAD : STREAM_AHEAD) / (int64_t)sizeof(REAL);  \
        const mask_t_f64 end = (mask_t_f64){0} + (reverse ? 0 : SCAN_LANES - 1);                 \
        mask_t_f64 from[SCAN_STEPS];                                                             \
        vec_t_f64 total = first;                                                                 \
        K(scan_shifts)(from, reverse);                                                           \
        for (int64_t i = 0; i < whole; i += SCAN_LANES) {                                        \
            const int64_t at = reverse ? n - SCAN_LANES - i : i;                                 \
            K(scan_part) part;                                                                   \
            if (far && i % SCAN_CACHE_LINE == 0) {                                               \
                ask_to_read(x + at + later);                                                     \
                ask_to_write(out + at + later);                                                  \
            }                                                                                    \
            memcpy(&part, x + at, sizeof part);                                                  \
            vec_t_f64 v = __builtin_convertvector(part, vec_t_f64);                              \
            for (int k = 0; k < SCAN_STEPS; k++) {                                               \
                v = combine(v, V_SHUFFLE_TWO(v, first, from[k]));                                \
            }                                                                                    \
            part = __builtin_convertvector(combine(total, v), K(scan_part));                     \
            memcpy(out + at, &part, sizeof part);                                                \
            total = combine(total, V_SHUFFLE(v, end));                                           \
            /* seldom, as all wait for the total */                                              \
            if (i % SCAN_FADE_EVERY == 0) total = go_on##_LANES(total);                          \
        }                                                                                        \
        double rest = total[0];                                                                  \
        for (int64_t i = whole; i < n; i++) {                                                    \
            const int64_t at = reverse ? n - 1 - i : i;                                          \
            rest = go_on(combine(rest, (double)x[at]));                                          \
            out[at] = (REAL)rest;                                                                \
        }                                                                                        \
    }                                                                                            \
    static void K(name##_line)(REAL *out, const REAL *x, int64_t n, int far, int64_t reverse) {  \
        if (reverse) {                                                                           \
            K(name##_way)(out, x, n, far, 1);                                                    \
        } else {                                                                                 \
            K(name##_way)(out, x, n, far, 0);                                                    \
        }                                                                                        \
    }
#else
#define SCAN_LINE(name, start, combine, go_on)                                                   \
    static void K(name##_line)(SCAN_OUT *out, const ELEM *x, int64_t n, int far,                 \
                               int64_t reverse) {                                                \
        K(total) total = start;                                                                  \
        (void)far;                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                        \
            const int64_t at = reverse ? n - 1 - i : i;                                          \
            total = combine(total, (K(total))x[at]);                                             \
            out[at] = total;                                                                     \
        }                                                                                        \
    }
#endif

/* total[c] = total[c] op x for `side` lines at once, from the first element or from the last */
#define SCAN(name, first, combine, go_on)                                                        \
    SCAN_LINE(name, first, combine, go_on)                                                       \
    static void K(name##_side)(SCAN_OUT *restrict out, const ELEM *restrict x,                   \
                               const scan_lines *l, int64_t side, int64_t so, int64_t sx,        \
                               int64_t reverse) {                                                \
        K(total) total[SCAN_SIDE];                                                               \
        for (int64_t c = 0; c < side; c++) total[c] = first;                                     \
        for (int64_t i = 0; i < l->n; i++) {                                                     \
            const int64_t at = reverse ? l->n - 1 - i : i;                                       \
            const ELEM *restrict p = x + at * l->step[1];                                        \
            SCAN_OUT *restrict q = out + at * l->step[0];                                        \
            int64_t begin = 0;                                                                   \
            if (so == 1 && sx == 1) {                                                            \
                const int64_t ahead = (reverse ? -4 : 4) * (i + 4 < l->n);                       \
                for (; begin + SCAN_BATCH <= side; begin += SCAN_BATCH) {                        \
                    const ELEM *from = p + begin + ahead * l->step[1];                           \
                    SCAN_OUT *to = q + begin + ahead * l->step[0];                               \
                    for (int64_t c = 0; c < SCAN_BATCH; c += SCAN_CACHE_LINE) {                  \
                        __builtin_prefetch(from + c, 0, 2);                                      \
                        __builtin_prefetch(to + c, 1, 2);                                        \
                    }                                                                            \
                    for (int64_t c = begin; c < begin + SCAN_BATCH; c++) {                       \
                        total[c] = go_on(combine(total[c], (K(total))p[c]));                     \
                        q[c] = (SCAN_OUT)total[c];                                               \
                    }                                                                            \
                }                                                                                \
            }                                                                                    \
            for (int64_t c = begin; c < side; c++) {                                             \
                total[c] = go_on(combine(total[c], (K(total))p[c * sx]));                        \
                q[c * so] = (SCAN_OUT)total[c];                                                  \
            }                                                                                    \
        }                                                                                        \
    }                                                                                            \
    static int K(name)(const void *args, const team *t) {                                        \
        const scan_args *a = args;                                                               \
        if (pyad_numel(&a->out) == 0) return PYAD_OK;                                            \
        const scan_lines l = scan_lines_of(2, (const pyad_array *const[]){&a->out, &a->x}, a->axis); \
        const int alone = l.step[0] == 1 && l.step[1] == 1;                                      \
        const int64_t last = l.outer.ndim - 1;                                                   \
        const int64_t wide = last >= 0 ? l.outer.shape[last] : 1;                                \
        const int64_t so = last >= 0 ? l.outer.stride[0][last] : 0;                              \
        const int64_t sx = last >= 0 ? l.outer.stride[1][last] : 0;                              \
        const int64_t outer = walk_outer(&l.outer, pyad_max(last, 0));                           \
        const int64_t most = so == 1 && sx == 1 ? SCAN_SIDE : SCAN_APART;                        \
        const int64_t group = alone ? 1 : axis_columns(t, outer, wide, most, SCAN_CACHE_LINE);   \
        const int64_t blocks = pyad_ceil_div(wide, group);                                       \
        int64_t begin, end;                                                                      \
        team_range(t, outer * blocks, 1, &begin, &end);                                          \
        const int far = streams((end - begin) * l.n * (int64_t)sizeof(ELEM));                    \
        for (int64_t item = begin; item < end; item++) {                                         \
            const int64_t at = item % blocks * group;                                            \
            SCAN_OUT *out = (SCAN_OUT *)a->out.data + at * so;                                   \
            const ELEM *x = (const ELEM *)a->x.data + at * sx;                                   \
            if (last > 0) {                                                                      \
                out += walk_offset(&l.outer, 0, last, item / blocks);                            \
                x += walk_offset(&l.outer, 1, last, item / blocks);                              \
            }                                                                                    \
            if (alone) {                                                                         \
                K(name##_line)(out, x, l.n, far, a->reverse);                                    \
            } else {                                                                             \
                const int64_t side = pyad_min(group, wide - at);                                 \
                K(name##_side)(out, x, &l, side, so, sx, a->reverse);                            \
            }                                                                                    \
        }                                                                                        \
        return PYAD_OK;                                                                          \
    }                                                                                            \
    PYAD_RECORD(name, scan_args, 2 * pyad_numel(&a->out))

#ifdef REAL
#define SCAN_ADD(a, b) ((a) + (b))
#define SCAN_MUL(a, b) ((a) * (b))
#else
#define SCAN_ADD(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define SCAN_MUL(a, b) ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
#endif
SCAN(cumsum, 0, SCAN_ADD, SCAN_KEEP)
SCAN(cumprod, 1, SCAN_MUL, SCAN_FADE)

/* Up to EXTREMUM_SIDE lines that lie side by side run together, element by element of the axis; others one
 * after the other. */
#define EXTREMUM_SIDE 64

static inline __attribute__((always_inline)) void K(extremum_side)(
    ELEM *restrict values, int64_t *restrict indices, const ELEM *restrict x, const scan_lines *l, const int64_t side,
    int least) {
    const int64_t n = l->n, steps[SCAN_ARRAYS] = {l->step[0], l->step[1], l->step[2]};
    ELEM best[EXTREMUM_SIDE];
    int64_t place[EXTREMUM_SIDE];
    for (int64_t c = 0; c < side; c++) best[c] = x[c], place[c] = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 0; c < side; c++) {
            const ELEM v = x[c];
            const int wins = (least ? v <= best[c] : v >= best[c]) | (v != v);
            best[c] = wins ? v : best[c];
            place[c] = wins ? i : place[c];
            values[c] = best[c];
            indices[c] = place[c];
        }
        values += steps[0], indices += steps[1], x += steps[2];
        /* hides the steps, for each of which the compiler would write the loop out anew if it is 1 */
        __asm__("" : "+r"(values), "+r"(indices), "+r"(x));
    }
}

static void K(extremum_lines)(ELEM *values, int64_t *indices, const ELEM *x, const scan_lines *l, int64_t side,
                              int least) {
    const int64_t last = pyad_max(l->outer.ndim - 1, 0);
    const int64_t steps[3] = {l->outer.stride[0][last], l->outer.stride[1][last], l->outer.stride[2][last]};
    if (side > 1 && steps[0] == 1 && steps[1] == 1 && steps[2] == 1) {
        K(extremum_side)(values, indices, x, l, side, least);
        return;
    }
    for (int64_t c = 0; c < side; c++) {
        K(extremum_side)(values + c * steps[0], indices + c * steps[1], x + c * steps[2], l, 1, least);
    }
}

static int K(cumulative_extremum)(const void *args, const team *t) {
    const cumulative_extremum_args *a = args;
    if (pyad_numel(&a->values) == 0) return PYAD_OK;
    const scan_lines l =
        scan_lines_of(3, (const pyad_array *const[]){&a->values, &a->indices, &a->x}, a->axis);
    const int64_t last = pyad_max(l.outer.ndim - 1, 0), wide = l.outer.ndim > 0 ? l.outer.shape[last] : 1;
    const int64_t blocks = pyad_ceil_div(wide, EXTREMUM_SIDE);
    int64_t begin, end;
    team_range(t, walk_outer(&l.outer, last) * blocks, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        const int64_t first = item % blocks * EXTREMUM_SIDE, side = pyad_min(EXTREMUM_SIDE, wide - first);
        int64_t at[3];
        for (int i = 0; i < 3; i++) {
            at[i] = walk_offset(&l.outer, i, last, item / blocks) + first * l.outer.stride[i][last];
        }
        K(extremum_lines)((ELEM *)a->values.data + at[0], (int64_t *)a->indices.data + at[1],
                          (const ELEM *)a->x.data + at[2], &l, side, a->least != 0);
    }
    return PYAD_OK;
}
PYAD_RECORD(cumulative_extremum, cumulative_extremum_args, 4 * pyad_numel(&a->x))
#undef EXTREMUM_SIDE

#ifdef REAL
/* out_k = b_k + a_k out_(k-1), or in reverse b_k + a_(k+1) out_(k+1): one line at a time */
static int K(linear_scan)(const void *args, const team *t) {
    const linear_scan_args *a = args;
    if (pyad_numel(&a->out) == 0) return PYAD_OK;
    const scan_lines l =
        scan_lines_of(3, (const pyad_array *const[]){&a->out, &a->a, &a->b}, a->axis);
    int64_t begin, end;
    team_range(t, walk_outer(&l.outer, l.outer.ndim), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        REAL *out = (REAL *)a->out.data + walk_offset(&l.outer, 0, l.outer.ndim, line);
        const REAL *pa = (const REAL *)a->a.data + walk_offset(&l.outer, 1, l.outer.ndim, line);
        const REAL *pb = (const REAL *)a->b.data + walk_offset(&l.outer, 2, l.outer.ndim, line);
        double carry = 0;
        for (int64_t i = 0; i < l.n; i++) {
            const int64_t at = a->reverse ? l.n - 1 - i : i;
            const int64_t from = a->reverse ? at + 1 : at;
            const double factor = i > 0 ? (double)pa[from * l.step[1]] : 0;
            carry = (double)pb[at * l.step[2]] + (i > 0 ? factor * carry : 0);
            out[at * l.step[0]] = (REAL)carry;
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(linear_scan, linear_scan_args, 2 * pyad_numel(&a->out))

/* The logarithm of running sums of exponentials of lines from `line` on, as many as a vector has doubles at
 * most. Cold, as that makes it small: its time is v_logaddexp's. */
V_SELDOM void K(logcumsumexp_lines)(const scan_args *a, const scan_lines *l, int64_t line, int64_t lines) {
    REAL *to[SCAN_LANES];
    const REAL *from[SCAN_LANES];
    for (int64_t c = 0; c < lines; c++) {
        to[c] = (REAL *)a->out.data + walk_offset(&l->outer, 0, l->outer.ndim, line + c);
        from[c] = (const REAL *)a->x.data + walk_offset(&l->outer, 1, l->outer.ndim, line + c);
    }
    vec_t_f64 total = -(double)INFINITY - (vec_t_f64){0}, next = total;
    for (int64_t i = 0; i < l->n; i++) {
        const int64_t at = a->reverse ? l->n - 1 - i : i;
        for (int64_t c = 0; c < lines; c++) next[c] = (double)from[c][at * l->step[1]];
        total = v_logaddexp(total, next, 1.0);
        for (int64_t c = 0; c < lines; c++) to[c][at * l->step[0]] = (REAL)total[c];
    }
}

static int K(logcumsumexp)(const void *args, const team *t) {
    const scan_args *a = args;
    if (pyad_numel(&a->out) == 0) return PYAD_OK;
    const scan_lines l = scan_lines_of(2, (const pyad_array *const[]){&a->out, &a->x}, a->axis);
    int64_t begin, end;
    team_range(t, walk_outer(&l.outer, l.outer.ndim), SCAN_LANES, &begin, &end);
    for (int64_t line = begin; line < end; line += SCAN_LANES) {
        K(logcumsumexp_lines)(a, &l, line, pyad_min(SCAN_LANES, end - line));
    }
    return PYAD_OK;
}
PYAD_RECORD(logcumsumexp, scan_args, 24 * pyad_numel(&a->out))
#endif

#undef SCAN
#undef SCAN_LINE
#undef SCAN_CACHE_LINE
#undef SCAN_BATCH
#undef SCAN_LANES
#undef SCAN_STEPS
#undef SCAN_OUT
#undef SCAN_FADE_EVERY
#undef SCAN_KEEP
#undef SCAN_KEEP_LANES
#undef SCAN_FADE
#undef SCAN_FADE_LANES
#undef SCAN_FADED
#undef SCAN_SIDE
#undef SCAN_APART
#undef SCAN_ADD
#undef SCAN_MUL
