/* The walk of a cast: lines of two arrays of one shape, whose elements differ in type. */
#ifndef PYAD_CAST_H
#define PYAD_CAST_H

#include "dtypes.h"
#include "loops/walk.h"

#define CAST_LENGTH 16384 /* elements of a line that one thread takes at once */

/* n elements, so and si of them from one to the next. */
typedef void (*cast_line)(void *out, int64_t so, const void *in, int64_t si, int64_t n);

static PYAD_ONCE void cast_array(const pyad_array *out, const pyad_array *in, cast_line line, const team *t) {
    const int64_t size_out = pyad_element_bytes(out->dtype), size_in = pyad_element_bytes(in->dtype);
    if (pyad_numel(out) == 0) return;
    walk w;
    walk_init_lines(&w, 2, (const pyad_array *const[]){out, in});
    const walk_pieces p = walk_cut(&w, CAST_LENGTH);
    const int64_t so = w.stride[0][p.last], si = w.stride[1][p.last];
    int64_t begin, end;
    team_range(t, p.count, 1, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        line((char *)out->data + pieces_offset(&p, 0, item) * size_out, so,
             (const char *)in->data + pieces_offset(&p, 1, item) * size_in, si, pieces_length(&p, item));
    }
}

#endif
