/* Implicit im2col: rows of a convolution's column matrix (im2col.h), made when they are needed and
 * never stored as a whole.
 *
 * Include it in a template after gemm_tpl.h. Pixel by pixel, run by run: stretches of pixels whose
 * windows lie inside the source copy plain memory, a whole vector at a time; only those at the rim
 * look where a run leaves it.
 */
#include "conv/im2col.h"

/* Copy n elements; may write up to VL - 1 more. */
GEMM_INLINE void K(im2col_copy)(REAL *restrict dst, const REAL *restrict src, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(dst + i, v_load(src + i));
#if VECTOR_BYTES == 64
    if (i < n) v_store(dst + i, v_load_n(src + i, n - i));
#else
    for (; i < n; i++) dst[i] = src[i];
#endif
}

/* A row whose window leaves the source somewhere. */
static void K(im2col_edge)(const im2col_view *v, const REAL *image, int64_t d, int64_t h, int64_t w,
                           const im2col_run *runs, int64_t count, REAL *dst) {
    const im2col_axis *a = v->axis;
    int64_t line = a[2].source * v->channels;
    for (const im2col_run *run = runs; run < runs + count; run++) {
        int64_t row_d = d + run->d, row_h = h + run->h;
        int64_t start = (w + run->w) * v->channels + run->c;
        int64_t begin = 0, end = 0;
        if (row_d >= 0 && row_d < a[0].source && row_h >= 0 && row_h < a[1].source) {
            begin = pyad_min(run->length, pyad_max(0, -start));
            end = pyad_max(begin, pyad_min(run->length, line - start));
        }
        REAL *to = dst + run->k;
        for (int64_t i = 0; i < begin; i++) to[i] = 0;
        if (end > begin) {
            const REAL *from = image + (row_d * a[1].source + row_h) * line + start;
            K(im2col_copy)(to + begin, from + begin, end - begin);
        }
        for (int64_t i = end; i < run->length; i++) to[i] = 0;
    }
}

/* Rows of a stretch, all inside. */
static void K(im2col_inner)(const REAL *first, int64_t source_step, int64_t rows,
                            const im2col_run *runs, int64_t count, REAL *dst, int64_t step) {
    for (const im2col_run *run = runs; run < runs + count; run++) {
        const REAL *from = first + run->offset;
        REAL *to = dst + run->k;
        int64_t n = run->length;
#if VECTOR_BYTES == 64
        if (n <= VL) {
            for (int64_t i = 0; i < rows; i++) {
                v_store(to + i * step, v_load_n(from + i * source_step, n));
            }
            continue;
        }
#endif
        for (int64_t i = 0; i < rows; i++) {
            K(im2col_copy)(to + i * step, from + i * source_step, n);
        }
    }
}

/* Rows of the column matrix for `rows` pixels, row i at dst + i * step: the columns that `runs`
 * name, whose taps are within the box. Writes up to VL - 1 elements past a row's end. */
static void K(im2col_rows)(const im2col_view *v, const REAL *source, im2col_pixel at, int64_t rows,
                           const im2col_range *box, const im2col_run *runs, int64_t count,
                           REAL *dst, int64_t step) {
    const im2col_axis *a = v->axis;
    int64_t size = a[0].source * a[1].source * a[2].source * v->channels;
    while (rows > 0) {
        im2col_stretch s = im2col_stretch_at(v, &at, rows);
        int64_t d = a[0].first + at.d * a[0].step;
        int64_t h = a[1].first + at.h * a[1].step;
        int64_t w = a[2].first + at.w * a[2].step;
        const REAL *image = source + at.n * size;
        int64_t inside = 0;
        if (im2col_inside(&a[0], &box[0], d) && im2col_inside(&a[1], &box[1], h)) {
            inside = im2col_inside_count(v, &box[2], w, s.count);
        }
        if (inside > 0) {
            s.count = inside;
            int64_t first = ((d * a[1].source + h) * a[2].source + w) * v->channels;
            K(im2col_inner)(image + first, s.source_step, s.count, runs, count, dst, step);
        } else {
            s.count = 1;
            K(im2col_edge)(v, image, d, h, w, runs, count, dst);
        }
        im2col_advance(v, &at, s.count);
        dst += s.count * step;
        rows -= s.count;
    }
}
