/* Copies and casts.
 *
 * Loop order: the destination's axes from outermost to innermost, merged where both sides allow
 * (walk.h), in blocks of the inner ones that the threads share (moves.h). Where the source runs along
 * another axis than the destination (NCHW <-> NHWC) the two axes go in tiles, so that each cache
 * line of either side is used whole while it is there.
 */
#if DTYPE != PYAD_BOOL
#include "loops/cast.h"
#include "loops/moves.h"

#ifdef REAL
#define ELEM REAL
#else
#define ELEM INT
#endif

#if DTYPE_MOVES
#define COPY_WIDE 16  /* a tile: so many elements along the destination's lines */
#define COPY_HIGH 128 /* and along the source's, which are read whole */

/* ---- copy ---- */

static inline void K(copy_line)(ELEM *restrict out, int64_t so, const ELEM *restrict in,
                                int64_t si, int64_t n) {
    if (so == 1 && si == 1) {
        memcpy(out, in, (size_t)n * sizeof(ELEM));
    } else if (so == 1 && si == 0) {
        for (int64_t i = 0; i < n; i++) out[i] = in[0];
    } else if (so == 1) {
        for (int64_t i = 0; i < n; i++) out[i] = in[i * si];
    } else {
        for (int64_t i = 0; i < n; i++) out[i * so] = in[i * si];
    }
}

#if DTYPE == PYAD_INT32
/* A square of 4-byte elements, transposed in registers. */
#if VECTOR_BYTES >= 32
#define COPY_SQUARE 8
typedef int32_t K(square) __attribute__((vector_size(32)));
#define SHUFFLE __builtin_shufflevector
static inline void K(transpose_square)(ELEM *out, int64_t so, const ELEM *in, int64_t si) {
    K(square) r[8], s[8];
    for (int i = 0; i < 8; i++) memcpy(&r[i], in + i * si, sizeof r[i]);
    for (int i = 0; i < 8; i += 2) {
        s[i] = SHUFFLE(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = SHUFFLE(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 1] = SHUFFLE(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        r[i + 2] = SHUFFLE(s[i + 1], s[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 3] = SHUFFLE(s[i + 1], s[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) {
        s[i] = SHUFFLE(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        s[i + 4] = SHUFFLE(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (int i = 0; i < 8; i++) memcpy(out + i * so, &s[i], sizeof s[i]);
}
#undef SHUFFLE
#else
#define COPY_SQUARE 4
typedef int32_t K(square) __attribute__((vector_size(16)));
#define SHUFFLE __builtin_shufflevector
static inline void K(transpose_square)(ELEM *out, int64_t so, const ELEM *in, int64_t si) {
    K(square) r[4], s[4];
    for (int i = 0; i < 4; i++) memcpy(&r[i], in + i * si, sizeof r[i]);
    s[0] = SHUFFLE(r[0], r[1], 0, 4, 1, 5);
    s[1] = SHUFFLE(r[0], r[1], 2, 6, 3, 7);
    s[2] = SHUFFLE(r[2], r[3], 0, 4, 1, 5);
    s[3] = SHUFFLE(r[2], r[3], 2, 6, 3, 7);
    r[0] = SHUFFLE(s[0], s[2], 0, 1, 4, 5);
    r[1] = SHUFFLE(s[0], s[2], 2, 3, 6, 7);
    r[2] = SHUFFLE(s[1], s[3], 0, 1, 4, 5);
    r[3] = SHUFFLE(s[1], s[3], 2, 3, 6, 7);
    for (int i = 0; i < 4; i++) memcpy(out + i * so, &r[i], sizeof r[i]);
}
#undef SHUFFLE
#endif
#endif

/* out[j * so + i] = in[i * si + j] for i < wide, j < high: both run along their unit axis. */
static inline void K(copy_tile)(ELEM *restrict out, int64_t so, const ELEM *restrict in,
                                int64_t si, int64_t wide, int64_t high) {
    int64_t done = 0;
#ifdef COPY_SQUARE
    int64_t whole = high / COPY_SQUARE * COPY_SQUARE;
    for (; done + COPY_SQUARE <= wide; done += COPY_SQUARE) {
        for (int64_t j = 0; j < whole; j += COPY_SQUARE) {
            K(transpose_square)(out + j * so + done, so, in + done * si + j, si);
        }
        for (int64_t j = whole; j < high; j++) {
            for (int64_t i = done; i < done + COPY_SQUARE; i++) out[j * so + i] = in[i * si + j];
        }
    }
#endif
    for (int64_t j = 0; j < high; j++) {
        for (int64_t i = done; i < wide; i++) out[j * so + i] = in[i * si + j];
    }
}
#undef COPY_SQUARE

/* `across` is the axis along which the source has unit stride. */
static void K(copy_tiles)(const walk *w, int64_t across, ELEM *out, const ELEM *in,
                          const team *t) {
    int64_t last = w->ndim - 1, wide = w->shape[last], high = w->shape[across], begin, end;
    int64_t columns = pyad_ceil_div(wide, COPY_WIDE), rows = pyad_ceil_div(high, COPY_HIGH);
    walk outer = *w;
    outer.ndim = 0;
    for (int64_t i = 0; i < last; i++) {
        int64_t strides[2] = {w->stride[0][i], w->stride[1][i]};
        if (i != across) walk_push(&outer, w->shape[i], 2, strides);
    }
    team_range(t, walk_outer(&outer, outer.ndim) * rows * columns, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t plane = item / (rows * columns);
        int64_t j = item / columns % rows * COPY_HIGH, i = item % columns * COPY_WIDE;
        int64_t so = w->stride[0][across], si = w->stride[1][last];
        K(copy_tile)(out + walk_offset(&outer, 0, outer.ndim, plane) + j * so + i, so,
                     in + walk_offset(&outer, 1, outer.ndim, plane) + i * si + j, si,
                     pyad_min(COPY_WIDE, wide - i), pyad_min(COPY_HIGH, high - j));
    }
}

/* The axis to tile with the last one, -1 if lines are as good. */
static inline int64_t K(tiled_axis)(const walk *w) {
    int64_t last = w->ndim - 1;
    if (w->stride[0][last] != 1 || walk_abs(w->stride[1][last]) <= 1) return -1;
    for (int64_t i = 0; i < last; i++) {
        if (w->stride[1][i] == 1 && w->shape[i] >= 4) return i;
    }
    return -1;
}

static PYAD_ONCE void K(copy_array)(const pyad_array *out, const pyad_array *in, const team *t) {
    if (pyad_numel(out) == 0) return;
    walk w;
    walk_init_lines(&w, 2, (const pyad_array *const[]){out, in});
    int64_t across = K(tiled_axis)(&w);
    if (across >= 0) {
        K(copy_tiles)(&w, across, out->data, in->data, t);
    } else {
        moves_walk(&w, out->data, in->data, sizeof(ELEM), t);
    }
}

static int K(copy)(const void *args, const team *t) {
    const copy_args *a = args;
    K(copy_array)(&a->out, &a->x, t);
    return PYAD_OK;
}
PYAD_RECORD(copy, copy_args, pyad_numel(&a->out))

/* ---- cat ---- */

/* Each array goes into its part of out along `axis`; the threads share each of them. */
static int K(cat)(const void *args, const team *t) {
    const cat_args *a = args;
    const pyad_array *xs = a->xs.data;
    pyad_array part = a->out;
    for (int64_t i = 0; i < a->xs.shape[0]; i++) {
        part.shape[a->axis] = xs[i].shape[a->axis];
        K(copy_array)(&part, &xs[i], t);
        part.data = (ELEM *)part.data + xs[i].shape[a->axis] * part.stride[a->axis];
    }
    return PYAD_OK;
}
PYAD_RECORD(cat, cat_args, pyad_numel(&a->out))

/* ---- tri ---- */

/* The lower (upper == 0) or upper triangle of the last two axes, 0 elsewhere. A row keeps
 * columns up to row + diagonal, or from there on; the threads share the rows. */
static int K(tri)(const void *args, const team *t) {
    const tri_args *a = args;
    int64_t ndim = a->x.ndim, last = ndim - 1, n = a->x.shape[last], begin, end;
    int64_t so = a->out.stride[last], si = a->x.stride[last];
    const ELEM zero = 0;
    walk w = {.ndim = last};
    for (int64_t i = 0; i < last; i++) {
        w.shape[i] = a->x.shape[i];
        w.stride[0][i] = a->out.stride[i];
        w.stride[1][i] = a->x.stride[i];
    }
    team_range(t, walk_outer(&w, last), 1, &begin, &end);
    for (int64_t line = begin; line < end; line++) {
        int64_t row = line % a->x.shape[last - 1];
        int64_t edge = row + a->diagonal + (a->upper ? 0 : 1);
        edge = pyad_max(0, pyad_min(n, edge));
        ELEM *out = (ELEM *)a->out.data + walk_offset(&w, 0, last, line);
        const ELEM *in = (const ELEM *)a->x.data + walk_offset(&w, 1, last, line);
        int64_t from = a->upper ? edge : 0, to = a->upper ? n : edge;
        K(copy_line)(out, so, &zero, 0, from);
        K(copy_line)(out + from * so, so, in + from * si, si, to - from);
        K(copy_line)(out + to * so, so, &zero, 0, n - to);
    }
    return PYAD_OK;
}
PYAD_RECORD(tri, tri_args, pyad_numel(&a->out))

#undef COPY_WIDE
#undef COPY_HIGH
#endif /* moves */

/* ---- cast ---- */

#ifdef REAL
/* As the x86 instruction has it: what does not fit, NaN too, is the lowest integer. */
static inline int64_t K(to_int)(REAL x) {
    const REAL limit = (REAL)9223372036854775808.0;
    return x >= -limit && x < limit ? (int64_t)x : INT64_MIN;
}
#else
static inline int64_t K(to_int)(INT x) { return (int64_t)x; }
#endif

#define CAST_LINE(suffix, type, expression)                                                      \
    static void PYAD_JOIN(PYAD_JOIN(cast_line, suffix), SUFFIX)(                                 \
        void *out, int64_t so, const void *from, int64_t si, int64_t n) {                        \
        type *restrict p = out;                                                                  \
        const ELEM *restrict in = from;                                                          \
        if (so == 1 && si == 1) {                                                                \
            for (int64_t i = 0; i < n; i++) {                                                    \
                ELEM x = in[i];                                                                  \
                p[i] = (type)(expression);                                                       \
            }                                                                                    \
            return;                                                                              \
        }                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                        \
            ELEM x = in[i * si];                                                                 \
            p[i * so] = (type)(expression);                                                      \
        }                                                                                        \
    }
CAST_LINE(f32, float, x)
CAST_LINE(f64, double, x)
CAST_LINE(i64, int64_t, K(to_int)(x))
CAST_LINE(i32, int32_t, K(to_int)(x))
CAST_LINE(i16, int16_t, K(to_int)(x))
CAST_LINE(i8, int8_t, K(to_int)(x))
CAST_LINE(u8, uint8_t, K(to_int)(x))
CAST_LINE(b8, uint8_t, x != 0)
#undef CAST_LINE

static int K(cast)(const void *args, const team *t) {
    const cast_args *a = args;
    static const cast_line lines[PYAD_NUM_DTYPES] = {
        K(cast_line_f32), K(cast_line_f64), K(cast_line_i64), K(cast_line_i32),
        K(cast_line_i16), K(cast_line_i8),  K(cast_line_u8),  K(cast_line_b8)};
    cast_array(&a->out, &a->x, lines[a->out.dtype], t);
    return PYAD_OK;
}
PYAD_RECORD(cast, cast_args, pyad_numel(&a->out))

#undef ELEM
#endif
