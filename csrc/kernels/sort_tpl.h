/* Order along one axis: sort, the k best, the k-th.
 *
 * Each line is copied into the thread's scratch as (key, index) pairs and merge-sorted there from
 * the bottom up, runs of 16 by insertion: stable, so that equal keys keep the order of their
 * indices. NaN is larger than any number. The threads share the lines.
 */
#include "loops/indices.h"

#ifdef REAL
#define ELEM REAL
#define LESS(a, b) (((a) < (b)) | (((b) != (b)) & ((a) == (a))))
#else
#define ELEM INT
#define LESS(a, b) ((a) < (b))
#endif

#define SORT_RUN 16
#define TOPK_SHORT 32 /* so many are kept in order while the line is read, more are sorted */

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

/* The first k of each line in order, with their indices; k = n is a sort. */
static int K(topk)(const void *args, const team *t) {
    const topk_args *a = args;
    if (pyad_numel(&a->values) == 0) return PYAD_OK;
    const int64_t axis = a->axis, n = a->x.shape[axis], k = a->values.shape[axis];
    const pyad_array x = array_without(&a->x, axis), values = array_without(&a->values, axis);
    const pyad_array indices = array_without(&a->indices, axis);
    K(pair) *p = t->scratch, *other = p + n;
    int64_t begin, end;
    team_range(t, pyad_numel(&x), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        const ELEM *from = (const ELEM *)x.data + array_offset(&x, line);
        const K(pair) *best = p;
        if (k <= TOPK_SHORT && k < n) {
            K(best_of_line)(p, k, from, a->x.stride[axis], n, a->descending);
        } else {
            K(load_line)(p, from, a->x.stride[axis], n);
            best = K(merge_sort)(p, other, n, a->descending);
        }
        ELEM *value = (ELEM *)values.data + array_offset(&values, line);
        int64_t *index = (int64_t *)indices.data + array_offset(&indices, line);
        for (int64_t i = 0; i < k; i++) {
            value[i * a->values.stride[axis]] = best[i].key;
            index[i * a->indices.stride[axis]] = best[i].index;
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(topk, topk_args, 16 * pyad_numel(&a->x),
            2 * (int64_t)sizeof(K(pair)) * a->x.shape[a->axis], 0)

/* The k-th smallest of each line (k from 0) and the first index that has it; with `nan` a line
 * that has a NaN gives the first NaN. */
static int K(kthvalue)(const void *args, const team *t) {
    const kthvalue_args *a = args;
    const int64_t axis = a->axis, n = a->x.shape[axis];
    const pyad_array x = array_without(&a->x, axis);
    K(pair) *p = t->scratch;
    int64_t begin, end;
    team_range(t, pyad_numel(&x), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        const ELEM *from = (const ELEM *)x.data + array_offset(&x, line);
        K(load_line)(p, from, a->x.stride[axis], n);
        const K(pair) *sorted = K(merge_sort)(p, p + n, n, 0);
        int64_t at = a->nan && sorted[n - 1].key != sorted[n - 1].key ? n - 1 : a->k;
        /* equal keys are neighbours; two NaNs are not less than each other either */
        while (at > 0 && !LESS(sorted[at - 1].key, sorted[at].key)) at--;
        ((ELEM *)a->values.data)[array_offset(&a->values, line)] = sorted[at].key;
        ((int64_t *)a->indices.data)[array_offset(&a->indices, line)] = sorted[at].index;
    }
    return PYAD_OK;
}
PYAD_RECORD(kthvalue, kthvalue_args, 16 * pyad_numel(&a->x),
            2 * (int64_t)sizeof(K(pair)) * a->x.shape[a->axis], 0)

#undef LESS
#undef SORT_RUN
#undef TOPK_SHORT
#undef ELEM
