/* Where values belong in lines that are in order, and whether they are there: by halving.
 *
 * A search waits for memory at each step and halves as often as every other one in its line, so that
 * SEARCH_SIDE of them go side by side, step by step, and no branch depends on a key.
 */
#define SEARCH_SIDE 16

/* One halving after another for each of `count` values. */
#define HALVINGS(before)                                                   \
    for (int64_t length = n; length > 0;) {                                \
        const int64_t half = (length + 1) / 2;                             \
        for (int64_t v = 0; v < count; v++) {                              \
            const ELEM key = keys[places[v] + half - 1], value = values[v]; \
            places[v] += half & -(int64_t)(before);                        \
        }                                                                  \
        length -= half;                                                    \
    }

/* How many of the n keys come before each of `count` values, or with `right` not behind it. */
static inline __attribute__((always_inline)) void K(search)(int64_t *places, const ELEM *values,
                                                            const int64_t count, const ELEM *keys,
                                                            int64_t n, int64_t right) {
    for (int64_t v = 0; v < count; v++) places[v] = 0;
    if (right) {
        HALVINGS(key <= value)
    } else {
        HALVINGS(key < value)
    }
}

#ifdef REAL
/* NaN, which the comparisons leave at the front, belongs behind all numbers. */
static void K(search_nan)(int64_t *places, const ELEM *values, int64_t count, const ELEM *keys, int64_t n,
                          int64_t right) {
    for (int64_t v = 0; v < count; v++) {
        if (values[v] == values[v]) continue;
        const ELEM most = (ELEM)INFINITY;
        places[v] = n;
        if (!right) K(search)(places + v, &most, 1, keys, n, 1);
    }
}
#endif

/* Of values of `lines` lines; `found` as bytes instead of places: whether a value is among its keys. */
static void K(search_lines)(const searchsorted_args *a, const team *t, int found) {
    const int64_t last = a->keys.ndim - 1, n = a->keys.shape[last], total = pyad_numel(&a->out);
    const int64_t each = last == 0 ? total : a->out.shape[last];
    int64_t begin, end, places[SEARCH_SIDE];
    team_range(t, total, SEARCH_SIDE, &begin, &end);
    while (begin < end) {
        const int64_t line = begin / each;
        const int64_t count = pyad_min(pyad_min(end, (line + 1) * each) - begin, SEARCH_SIDE);
        const ELEM *keys = (const ELEM *)a->keys.data + line * n;
        const ELEM *values = (const ELEM *)a->values.data + begin;
        if (count == SEARCH_SIDE) {
            K(search)(places, values, SEARCH_SIDE, keys, n, !found && a->flag);
        } else {
            K(search)(places, values, count, keys, n, !found && a->flag);
        }
#ifdef REAL
        K(search_nan)(places, values, count, keys, n, a->flag);
#endif
        if (found) {
            uint8_t *out = (uint8_t *)a->out.data + begin;
            for (int64_t v = 0; v < count; v++) {
                out[v] = (places[v] < n && keys[places[v]] == values[v]) != a->flag;
            }
        } else {
            memcpy((int64_t *)a->out.data + begin, places, (size_t)count * sizeof *places);
        }
        begin += count;
    }
}

static int K(searchsorted)(const void *args, const team *t) {
    K(search_lines)(args, t, 0);
    return PYAD_OK;
}
PYAD_RECORD(searchsorted, searchsorted_args, 32 * pyad_numel(&a->out))

static int K(isin_sorted)(const void *args, const team *t) {
    K(search_lines)(args, t, 1);
    return PYAD_OK;
}
PYAD_RECORD(isin_sorted, searchsorted_args, 32 * pyad_numel(&a->out))

#undef SEARCH_SIDE
#undef HALVINGS
