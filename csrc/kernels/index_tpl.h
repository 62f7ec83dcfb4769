/* Reading and writing at places that an array of indices names.
 *
 * Every kernel checks its indices first. What may meet in one place (scatter, index_add) is split
 * over threads by the other axes, and each place takes its terms in the order of the indices: the
 * sum has the same bits for any number of threads.
 */
#include "loops/indices.h"

#ifdef REAL
#define ELEM REAL
#else
#define ELEM INT
#endif

#define INDEX_SIDE 256 /* neighbouring elements that one thread takes together */
#define SCATTER_SHORT 16 /* elements of lines that are not worth a call each */

#if DTYPE_MOVES
/* ---- gather ---- */

/* out[.., i, ..] = x[.., index[.., i, ..], ..], in the order of out's memory */
static int K(gather)(const void *args, const team *t) {
    const gather_args *a = args;
    const int status = indices_check(&a->index, 0, a->x.shape[a->axis], t);
    if (status != PYAD_OK || pyad_numel(&a->out) == 0) return status;
    pyad_array x = a->x;
    const int64_t step = x.stride[a->axis];
    x.stride[a->axis] = 0;
    walk w;
    walk_init_lines(&w, 3, (const pyad_array *const[]){&a->out, &a->index, &x});
    const walk_pieces p = walk_cut(&w, INDEX_SIDE);
    const int64_t so = w.stride[0][p.last], si = w.stride[1][p.last], sx = w.stride[2][p.last];
    int64_t begin, end;
    team_range(t, p.count, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        ELEM *out = (ELEM *)a->out.data + pieces_offset(&p, 0, item);
        const int64_t *index = (const int64_t *)a->index.data + pieces_offset(&p, 1, item);
        const ELEM *in = (const ELEM *)x.data + pieces_offset(&p, 2, item);
        const int64_t count = pieces_length(&p, item);
        for (int64_t i = 0; i < count; i++) out[i * so] = in[i * sx + index[i * si] * step];
    }
    return PYAD_OK;
}
PYAD_RECORD(gather, gather_args, 2 * pyad_numel(&a->out))

/* ---- index_select ---- */

/* out[.., j, ..] = x[.., index[j], ..]: whole lines where the elements of out beside the axis lie
 * together, whatever the steps in x (an expanded gradient has none); else one position beside the axis
 * after the other, the indices innermost */
static int K(index_select)(const void *args, const team *t) {
    const gather_args *a = args;
    const int64_t axis = a->axis, count = a->index.shape[0];
    const int status = indices_check(&a->index, 0, a->x.shape[axis], t);
    if (status != PYAD_OK || pyad_numel(&a->out) == 0) return status;
    const int64_t *index = a->index.data, stride = a->index.stride[0];
    const int64_t step_o = a->out.stride[axis], step_x = a->x.stride[axis];
    const pyad_array out = array_without(&a->out, axis), x = array_without(&a->x, axis);
    walk w;
    walk_init(&w, 2, (const pyad_array *const[]){&out, &x});
    const int64_t last = w.ndim - 1;
    const int lines = last >= 0 && w.stride[0][last] == 1;
    const int64_t step = last >= 0 ? w.stride[1][last] : 0;
    const int64_t axes = lines ? last : w.ndim, piece = lines ? 1 : INDEX_SIDE;
    const int64_t pieces = pyad_ceil_div(count, piece);
    int64_t begin, end;
    team_range(t, walk_outer(&w, axes) * pieces, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        const int64_t line = item / pieces, first = item % pieces * piece;
        ELEM *to = (ELEM *)out.data + walk_offset(&w, 0, axes, line);
        const ELEM *from = (const ELEM *)x.data + walk_offset(&w, 1, axes, line);
        if (lines) {
            to += first * step_o;
            from += index[first * stride] * step_x;
            if (step == 1) {
                memcpy(to, from, (size_t)w.shape[last] * sizeof(ELEM));
            } else {
                for (int64_t i = 0; i < w.shape[last]; i++) to[i] = from[i * step];
            }
            continue;
        }
        for (int64_t j = first; j < pyad_min(first + piece, count); j++) {
            to[j * step_o] = from[index[j * stride] * step_x];
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(index_select, gather_args, 2 * pyad_numel(&a->out))

/* ---- masks: an element's place depends on all before it, which every thread counts. What is set
 * is not foreseen, so loops have no branch for it: they write, and go on if it is. ---- */

static int K(masked_select)(const void *args, const team *t) {
    const masked_args *a = args;
    const ELEM *x = a->x.data;
    const uint8_t *chosen = a->chosen.data;
    ELEM *out = a->out.data;
    if (array_in_order(&a->chosen) && array_in_order(&a->x)) {
        mask_part p = mask_part_of(&a->chosen, t);
        out += p.before;
        for (int64_t i = p.begin; p.left > 0; i++) {
            const int64_t set = chosen[i] != 0;
            *out = x[i];
            out += set;
            p.left -= set;
        }
        return PYAD_OK;
    }
    if (t->ith != 0) return PYAD_OK;
    const int64_t n = pyad_numel(&a->chosen);
    for (int64_t i = 0; i < n; i++) {
        if (chosen[array_place(&a->chosen, i)]) *out++ = x[array_place(&a->x, i)];
    }
    return PYAD_OK;
}
PYAD_RECORD(masked_select, masked_args, 2 * pyad_numel(&a->chosen))

/* the elements of x go, one after the other, where chosen */
static int K(masked_scatter)(const void *args, const team *t) {
    const masked_args *a = args;
    const ELEM *x = a->x.data;
    const uint8_t *chosen = a->chosen.data;
    ELEM *out = a->out.data;
    if (array_in_order(&a->chosen) && array_in_order(&a->x) && array_in_order(&a->out)) {
        mask_part p = mask_part_of(&a->chosen, t);
        x += p.before;
        for (int64_t i = p.begin; p.left > 0; i++) {
            const int64_t set = chosen[i] != 0;
            const ELEM old = out[i], new = *x;
            out[i] = set ? new : old;
            x += set;
            p.left -= set;
        }
        return PYAD_OK;
    }
    if (t->ith != 0) return PYAD_OK;
    const int64_t n = pyad_numel(&a->chosen);
    for (int64_t i = 0, taken = 0; i < n; i++) {
        if (!chosen[array_place(&a->chosen, i)]) continue;
        out[array_place(&a->out, i)] = x[array_place(&a->x, taken++)];
    }
    return PYAD_OK;
}
PYAD_RECORD(masked_scatter, masked_args, 2 * pyad_numel(&a->chosen))
#endif /* moves */

/* ---- scatter ---- */

/* LARGER and SMALLER keep a NaN from either side */
#ifdef REAL
#define PLUS(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))
#define LARGER(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define SMALLER(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))
#else
#if DTYPE == PYAD_BOOL
#define PLUS(a, b) ((a) | (b))
#define TIMES(a, b) ((a) & (b))
#else
#define PLUS(a, b) ((INT)((uint64_t)(a) + (uint64_t)(b)))
#define TIMES(a, b) ((INT)((uint64_t)(a) * (uint64_t)(b)))
#endif
#define LARGER(a, b) ((b) > (a) ? (b) : (a))
#define SMALLER(a, b) ((b) < (a) ? (b) : (a))
#endif

#define SCATTER(VALUE)                                         \
    for (int64_t i = 0; i < count; i++) {                      \
        ELEM *to = out + i * so + index[i * si] * step;        \
        const ELEM old = *to, new = src[i * ss];               \
        (void)old;                                             \
        *to = (ELEM)(VALUE);                                   \
    }

/* Elements i of src go to place index[i] along the axis: of a line along it, or of neighbouring ones. */
static PYAD_SHARED void K(scatter_piece)(const ELEM *src, const int64_t *index, ELEM *out, int64_t ss,
                                    int64_t si, int64_t so, int64_t step, int64_t count,
                                    int64_t how) {
    if (how == PYAD_SCATTER_WRITE) {
        SCATTER(new)
    } else if (how == PYAD_SCATTER_ADD) {
        SCATTER(PLUS(old, new))
    } else if (how == PYAD_SCATTER_MULTIPLY) {
        SCATTER(TIMES(old, new))
    } else if (how == PYAD_SCATTER_MAX) {
        SCATTER(LARGER(old, new))
    } else {
        SCATTER(SMALLER(old, new))
    }
}

#if DTYPE == PYAD_FLOAT64 /* the first */
/* from one element to the next; none in `out` along the axis, where the index says it */
typedef struct {
    int64_t index, src, out;
} scatter_steps;
#endif

/* out[.., index[.., i, ..], ..] is joined with src[.., i, ..] for i in order: the threads share the lines
 * along the axis; neighbouring lines go together unless they are long and lie farther apart than their elements */
static int K(scatter)(const void *args, const team *t) {
    const scatter_args *a = args;
    const int64_t axis = a->axis, length = a->index.shape[axis];
    const int status = indices_check(&a->index, 0, a->out.shape[axis], t);
    if (status != PYAD_OK || pyad_numel(&a->index) == 0) return status;
    const pyad_array index = array_without(&a->index, axis);
    const pyad_array out = array_without(&a->out, axis), src = array_without(&a->src, axis);
    walk w;
    walk_init_lines(&w, 3, (const pyad_array *const[]){&index, &src, &out});
    const int64_t last = w.ndim - 1;
    const scatter_steps side = {w.stride[0][last], w.stride[1][last], w.stride[2][last]};
    const scatter_steps own = {a->index.stride[axis], a->src.stride[axis], 0};
    const int apart = length > SCATTER_SHORT && walk_abs(a->out.stride[axis]) <= walk_abs(side.out);
    const int along = w.shape[last] == 1 || apart;
    const scatter_steps inner = along ? own : side, outer = along ? side : own;
    const walk_pieces p = walk_cut(&w, along ? pyad_max(1, INDEX_SIDE / length) : INDEX_SIDE);
    int64_t begin, end;
    team_range(t, p.count, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        const int64_t *pi = (const int64_t *)index.data + pieces_offset(&p, 0, item);
        const ELEM *ps = (const ELEM *)src.data + pieces_offset(&p, 1, item);
        ELEM *po = (ELEM *)out.data + pieces_offset(&p, 2, item);
        const int64_t count = pieces_length(&p, item);
        const int64_t pieces = along ? count : length, each = along ? length : count;
        for (int64_t k = 0; k < pieces; k++) {
            K(scatter_piece)(ps, pi, po, inner.src, inner.index, inner.out, a->out.stride[axis], each, a->how);
            ps += outer.src, pi += outer.index, po += outer.out;
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(scatter, scatter_args, 2 * pyad_numel(&a->index))

/* ---- index_put ---- */

/* out[.., index[j], ..] = or += src[.., j, ..] for j in order, passing over index `skip`; the threads
 * share the elements beside the axis */
static int K(index_put)(const void *args, const team *t) {
    const index_put_args *a = args;
    const int64_t axis = a->axis, count = a->index.shape[0];
    const int status = indices_check(&a->index, 0, a->out.shape[axis], t);
    if (status != PYAD_OK || pyad_numel(&a->src) == 0) return status;
    const int64_t *index = a->index.data, stride = a->index.stride[0];
    const int64_t step_o = a->out.stride[axis], step_s = a->src.stride[axis];
    const pyad_array out = array_without(&a->out, axis), src = array_without(&a->src, axis);
    walk w;
    walk_init_lines(&w, 2, (const pyad_array *const[]){&out, &src});
    /* a line is cut so that every thread has a piece of it */
    const int64_t share = pyad_ceil_div(w.shape[w.ndim - 1], t->nth);
    const walk_pieces p = walk_cut(&w, pyad_max(16, pyad_min(INDEX_SIDE, share)));
    const int64_t so = w.stride[0][p.last], ss = w.stride[1][p.last];
    int64_t begin, end;
    team_range(t, p.count, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        ELEM *base = (ELEM *)out.data + pieces_offset(&p, 0, item);
        const ELEM *next = (const ELEM *)src.data + pieces_offset(&p, 1, item);
        const int64_t wide = pieces_length(&p, item);
        for (int64_t j = 0; wide == 1 && j < count; j++, next += step_s) {
            ELEM *to = base + index[j * stride] * step_o;
            const ELEM old = *to, written = a->add ? (ELEM)PLUS(old, *next) : *next;
            *to = index[j * stride] == a->skip ? old : written;
        }
        for (int64_t j = 0; wide > 1 && j < count; j++, next += step_s) {
            if (index[j * stride] == a->skip) continue;
            ELEM *restrict to = base + index[j * stride] * step_o;
            const ELEM *restrict from = next;
            if (a->add && so == 1 && ss == 1) {
                for (int64_t i = 0; i < wide; i++) to[i] = (ELEM)PLUS(to[i], from[i]);
            } else if (a->add) {
                for (int64_t i = 0; i < wide; i++) {
                    to[i * so] = (ELEM)PLUS(to[i * so], from[i * ss]);
                }
            } else {
                for (int64_t i = 0; i < wide; i++) to[i * so] = from[i * ss];
            }
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(index_put, index_put_args, 2 * pyad_numel(&a->src))

#if DTYPE == PYAD_BOOL
/* Of a mask in order: lines along the last axis, whose other indices stay. */
static void K(nonzero_lines)(const nonzero_args *a, const team *t) {
    const uint8_t *chosen = a->chosen.data;
    const int64_t last = a->chosen.ndim - 1, *shape = a->chosen.shape;
    mask_part p = mask_part_of(&a->chosen, t);
    int64_t *out = (int64_t *)a->out.data + p.before * (last + 1), at[PYAD_MAX_DIMS];
    for (int64_t i = p.begin; p.left > 0;) {
        int64_t rest = i;
        for (int64_t k = last; k >= 0; k--) {
            at[k] = rest % shape[k];
            rest /= shape[k];
        }
        for (; at[last] < shape[last] && p.left > 0; i++, at[last]++) {
            const int64_t set = chosen[i] != 0;
            for (int64_t k = 0; k <= last; k++) out[k] = at[k];
            out += set * (last + 1);
            p.left -= set;
        }
    }
}

/* the indices of each set element, a row for each */
static int K(nonzero)(const void *args, const team *t) {
    const nonzero_args *a = args;
    if (a->chosen.ndim > 0 && array_in_order(&a->chosen)) {
        K(nonzero_lines)(a, t);
        return PYAD_OK;
    }
    if (t->ith != 0) return PYAD_OK;
    const int64_t n = pyad_numel(&a->chosen);
    const uint8_t *chosen = a->chosen.data;
    int64_t *out = a->out.data;
    for (int64_t i = 0; i < n; i++) {
        if (!chosen[array_place(&a->chosen, i)]) continue;
        for (int64_t k = a->chosen.ndim - 1, at = i; k >= 0; k--) {
            out[k] = at % a->chosen.shape[k];
            at /= a->chosen.shape[k];
        }
        out += a->chosen.ndim;
    }
    return PYAD_OK;
}
PYAD_RECORD(nonzero, nonzero_args, 2 * pyad_numel(&a->chosen))
#endif

#if DTYPE == PYAD_INT64
/* one index for several: sum of index[k] times the sizes after k; negative ones count from the end */
static int K(ravel_index)(const void *args, const team *t) {
    const ravel_index_args *a = args;
    const pyad_array *indices = a->indices.data;
    const int64_t *sizes = a->sizes.data, count = a->indices.shape[0];
    for (int64_t k = 0; k < count; k++) {
        const int status = indices_check(&indices[k], -sizes[k], sizes[k], t);
        if (status != PYAD_OK) return status;
    }
    int64_t *out = a->out.data, begin, end;
    team_range(t, pyad_numel(&a->out), 1024, &begin, &end);
    for (int64_t k = 0; k < count; k++) {
        const int64_t *index = indices[k].data, step = array_step(&indices[k]), size = sizes[k];
        if (step == 1 && k == 0) {
            for (int64_t i = begin; i < end; i++) out[i] = index[i] < 0 ? index[i] + size : index[i];
            continue;
        }
        for (int64_t i = begin; i < end; i++) {
            const int64_t value = index[step != 0 ? i * step : array_offset(&indices[k], i)];
            out[i] = (k > 0 ? out[i] * size : 0) + (value < 0 ? value + size : value);
        }
    }
    return PYAD_OK;
}
PYAD_RECORD(ravel_index, ravel_index_args, 8 * pyad_numel(&a->out))
#endif

#undef SCATTER
#undef PLUS
#undef TIMES
#undef LARGER
#undef SMALLER
#undef INDEX_SIDE
#undef SCATTER_SHORT
#undef ELEM
