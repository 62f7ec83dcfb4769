/* Order along one axis: sort, the k best, the k-th, places in what is in order.
 *
 * To be sorted each line is copied into the thread's scratch as (key, index) pairs and sorted there: a
 * long one by the digits of its keys (radix.c), others by merging from the bottom up, runs of 16 by
 * insertion: stable, so that equal keys keep the order of their indices. For the k-th the keys alone are
 * copied and parted around pivots (Hoare's quickselect), each time what lies to one side of the k-th,
 * until a pivot is the k-th; its first index is looked for after. Places are found by halving
 * (search_tpl.h). NaN is larger than any number. The threads share the lines.
 */
#if DTYPE != PYAD_BOOL
#include "loops/indices.h"
#include "sort/radix.h"

#ifdef REAL
#define ELEM REAL
#define LESS(a, b) (((a) < (b)) | (((b) != (b)) & ((a) == (a))))
#define IS_NUMBER(a) ((a) == (a))
#define NO_NUMBER (REAL) NAN
#else
#define ELEM INT
#define LESS(a, b) ((a) < (b))
#define IS_NUMBER(a) 1
#define NO_NUMBER 0
#endif

#define SORT_RUN 16
#define TOPK_SHORT 32 /* so many are kept in order while the line is read, more are sorted */
#define RADIX_FROM 256 /* elements of a line from which on it is sorted by digits */

typedef struct {
    ELEM key;
    int64_t index;
} K(pair);

/* whether a comes before b: strictly, so that equal keys stay */
static inline int K(before)(ELEM a, ELEM b, int64_t descending) {
    return descending ? LESS(b, a) : LESS(a, b);
}

static void K(insertion)(K(pair) *p, int64_t n, int64_t descending) {
    for (int64_t i = 1; i < n; i++) {
        const K(pair) moved = p[i];
        int64_t j = i;
        for (; j > 0 && K(before)(moved.key, p[j - 1].key, descending); j--) p[j] = p[j - 1];
        p[j] = moved;
    }
}

static void K(merge)(K(pair) *out, const K(pair) *a, int64_t na, const K(pair) *b, int64_t nb,
                     int64_t descending) {
    int64_t i = 0, j = 0;
    while (i < na && j < nb) {
        *out++ = K(before)(b[j].key, a[i].key, descending) ? b[j++] : a[i++];
    }
    memcpy(out, a + i, (size_t)(na - i) * sizeof *a);
    memcpy(out + (na - i), b + j, (size_t)(nb - j) * sizeof *b);
}

/* Sort n pairs at p; `other` has room for as many. Returns where they are then. */
static K(pair) *K(merge_sort)(K(pair) *p, K(pair) *other, int64_t n, int64_t descending) {
    for (int64_t at = 0; at < n; at += SORT_RUN) {
        K(insertion)(p + at, pyad_min(SORT_RUN, n - at), descending);
    }
    for (int64_t run = SORT_RUN; run < n; run *= 2) {
        for (int64_t at = 0; at < n; at += 2 * run) {
            const int64_t na = pyad_min(run, n - at), nb = pyad_min(run, n - at - na);
            K(merge)(other + at, p + at, na, p + at + na, nb, descending);
        }
        K(pair) *sorted = other;
        other = p;
        p = sorted;
    }
    return p;
}

static void K(load_line)(K(pair) *p, const ELEM *x, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; i++) p[i] = (K(pair)){x[i * step], i};
}

/* The first k in order, kept sorted while the line is read; k is small. */
static void K(best_of_line)(K(pair) *best, int64_t k, const ELEM *x, int64_t step, int64_t n,
                            int64_t descending) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const ELEM key = x[i * step];
        if (kept == k && !K(before)(key, best[k - 1].key, descending)) continue;
        int64_t j = kept < k ? kept++ : k - 1;
        for (; j > 0 && K(before)(key, best[j - 1].key, descending); j--) best[j] = best[j - 1];
        best[j] = (K(pair)){key, i};
    }
}

/* ---- by digits ---- */

#if DTYPE == PYAD_FLOAT64 || DTYPE == PYAD_INT64
#define RADIX(name) PYAD_JOIN(name, long)
#define RADIX_NUMBER uint64_t
#define RADIX_INT int64_t
#define RADIX_MOST_KEYS INT64_MAX
#else
#define RADIX(name) PYAD_JOIN(name, short)
#define RADIX_NUMBER uint32_t
#define RADIX_INT int32_t
#define RADIX_MOST_KEYS UINT32_MAX
#endif
#define RADIX_HIGHEST ((RADIX_NUMBER)1 << (8 * sizeof(RADIX_NUMBER) - 1))

/* A number that is in order as the key is: -0 as 0, every NaN as the largest. */
static inline RADIX_NUMBER K(radix_key)(ELEM key) {
#ifdef REAL
    RADIX_NUMBER bits;
    key += (REAL)0;
    memcpy(&bits, &key, sizeof bits);
    bits ^= bits & RADIX_HIGHEST ? (RADIX_NUMBER)-1 : RADIX_HIGHEST;
    return key == key ? bits : (RADIX_NUMBER)-1;
#else
    return (RADIX_NUMBER)(RADIX_INT)key ^ RADIX_HIGHEST;
#endif
}

static RADIX(radix) *K(radix_sort)(RADIX(radix) *p, const ELEM *x, int64_t step, int64_t n,
                                   int64_t descending) {
    RADIX_NUMBER least = (RADIX_NUMBER)-1, most = 0;
    for (int64_t i = 0; i < n; i++) {
        const RADIX_NUMBER key = K(radix_key)(x[i * step]), from = descending ? ~key : key;
        p[i] = (RADIX(radix)){from, (RADIX_NUMBER)i};
        least = from < least ? from : least;
        most = from > most ? from : most;
    }
    return RADIX(pyad_radix)(p, p + n, n, least, most);
}

/* A line where it lies, and where its elements and their indices go. */
typedef struct {
    const ELEM *x;
    ELEM *values;
    int64_t *indices;
    int64_t n, k, step, values_step, indices_step;
} K(sorted_line);

#define DELIVER(sorted)                                                     \
    for (int64_t i = 0; i < l->k; i++) {                                    \
        const int64_t index = (int64_t)(sorted)[i].index;                   \
        l->values[i * l->values_step] = l->x[index * l->step];              \
        l->indices[i * l->indices_step] = index;                            \
    }

static void K(sort_line)(const K(sorted_line) *l, void *scratch, int64_t descending) {
    K(pair) *p = scratch;
    if (l->k <= TOPK_SHORT && l->k < l->n) {
        K(best_of_line)(p, l->k, l->x, l->step, l->n, descending);
        DELIVER(p)
    } else if (l->n >= RADIX_FROM && l->n <= RADIX_MOST_KEYS) {
        const RADIX(radix) *sorted = K(radix_sort)(scratch, l->x, l->step, l->n, descending);
        DELIVER(sorted)
    } else {
        K(load_line)(p, l->x, l->step, l->n);
        const K(pair) *sorted = K(merge_sort)(p, p + l->n, l->n, descending);
        DELIVER(sorted)
    }
}
#undef DELIVER
#undef RADIX
#undef RADIX_NUMBER
#undef RADIX_INT
#undef RADIX_MOST_KEYS
#undef RADIX_HIGHEST

/* The first k of each line in order, with their indices; k = n is a sort. */
static int K(topk)(const void *args, const team *t) {
    const topk_args *a = args;
    if (pyad_numel(&a->values) == 0) return PYAD_OK;
    const int64_t axis = a->axis;
    const pyad_array x = array_without(&a->x, axis), values = array_without(&a->values, axis);
    const pyad_array indices = array_without(&a->indices, axis);
    int64_t begin, end;
    team_range(t, pyad_numel(&x), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        const K(sorted_line) l = {(const ELEM *)x.data + array_offset(&x, line),
                                  (ELEM *)values.data + array_offset(&values, line),
                                  (int64_t *)indices.data + array_offset(&indices, line),
                                  a->x.shape[axis],
                                  a->values.shape[axis],
                                  a->x.stride[axis],
                                  a->values.stride[axis],
                                  a->indices.stride[axis]};
        K(sort_line)(&l, t->scratch, a->descending);
    }
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(topk, topk_args, 16 * pyad_numel(&a->x),
            2 * (int64_t)sizeof(K(pair)) * a->x.shape[a->axis], 0)

/* ---- the k-th ---- */

/* Part n keys: those before the pivot, or with `same` those not behind it, first; how many they are. No
 * branch depends on a key, as half of them would be foretold wrongly. */
static int64_t K(part_keys)(ELEM *keys, int64_t n, ELEM pivot, const int same) {
    int64_t first = 0;
    for (int64_t i = 0; i < n; i++) {
        const ELEM key = keys[i];
        keys[i] = keys[first];
        keys[first] = key;
        first += same ? key <= pivot : key < pivot;
    }
    return first;
}

static ELEM K(middle_of)(ELEM a, ELEM b, ELEM c) {
    const ELEM low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : high < c ? high : c;
}

/* The middle of three middles of three keys. Where they stand changes from call to call, so that no common
 * order of a line meets bad pivots again and again. */
static ELEM K(pivot_of)(const ELEM *keys, int64_t n, uint64_t *state) {
    ELEM middles[3];
    for (int i = 0; i < 3; i++) {
        ELEM three[3];
        for (int j = 0; j < 3; j++) {
            *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            three[j] = keys[(int64_t)((*state >> 33) % (uint64_t)n)];
        }
        middles[i] = K(middle_of)(three[0], three[1], three[2]);
    }
    return K(middle_of)(middles[0], middles[1], middles[2]);
}

static ELEM K(select_of_few)(ELEM *keys, int64_t n, int64_t k) {
    for (int64_t i = 1; i < n; i++) {
        const ELEM moved = keys[i];
        int64_t j = i;
        for (; j > 0 && moved < keys[j - 1]; j--) keys[j] = keys[j - 1];
        keys[j] = moved;
    }
    return keys[k];
}

/* The k-th smallest of n keys without a NaN. */
static ELEM K(select_key)(ELEM *keys, int64_t n, int64_t k) {
    uint64_t state = 0;
    while (n > SORT_RUN) {
        const ELEM pivot = K(pivot_of)(keys, n, &state);
        const int64_t less = K(part_keys)(keys, n, pivot, 0);
        if (k < less) {
            n = less;
            continue;
        }
        const int64_t same = K(part_keys)(keys + less, n - less, pivot, 1);
        if (k < less + same) return pivot;
        keys += less + same;
        n -= less + same;
        k -= less + same;
    }
    return K(select_of_few)(keys, n, k);
}

/* The keys of a line that are not NaN; how many they are. */
static int64_t K(load_keys)(ELEM *keys, const ELEM *x, int64_t step, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        keys[count] = x[i * step];
        count += IS_NUMBER(keys[count]);
    }
    return count;
}

/* Where a key stands first; NaN equals NaN here. */
static int64_t K(first_index)(const ELEM *x, int64_t step, ELEM key) {
    int64_t i = 0;
    while (LESS(x[i * step], key) | LESS(key, x[i * step])) i++;
    return i;
}

/* The k-th smallest of each line (k from 0) and the first index that has it; where the result is NaN,
 * the first NaN. */
static int K(kthvalue)(const void *args, const team *t) {
    const kthvalue_args *a = args;
    const int64_t axis = a->axis, n = a->x.shape[axis], step = a->x.stride[axis];
    const pyad_array x = array_without(&a->x, axis);
    ELEM *keys = t->scratch;
    int64_t begin, end;
    team_range(t, pyad_numel(&x), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        const ELEM *from = (const ELEM *)x.data + array_offset(&x, line);
        const int64_t count = K(load_keys)(keys, from, step, n);
        const int64_t k = a->nan == PYAD_KTH_MIDDLE_NUMBER ? pyad_max(count - 1, 0) / 2 : a->k;
        const int none = count < n && (a->nan == PYAD_KTH_OR_NAN || k >= count);
        const ELEM key = none ? NO_NUMBER : K(select_key)(keys, count, k);
        const int64_t index = K(first_index)(from, step, key);
        ((ELEM *)a->values.data)[array_offset(&a->values, line)] = from[index * step];
        ((int64_t *)a->indices.data)[array_offset(&a->indices, line)] = index;
    }
    return PYAD_OK;
}
PYAD_RECORD_MEMORY(kthvalue, kthvalue_args, 8 * pyad_numel(&a->x),
            (int64_t)sizeof(ELEM) * a->x.shape[a->axis], 0)

#include "sort/search_tpl.h"

#undef LESS
#undef IS_NUMBER
#undef NO_NUMBER
#undef SORT_RUN
#undef TOPK_SHORT
#undef RADIX_FROM
#undef ELEM
#endif
