/* The list of all templates, included once per ISA and dtype by isa/table.h, with SUFFIX and DTYPE
 * (a PYAD_ dtype code, for #if) defined, and REAL in the floats part or INT in the ints part (all
 * integer dtypes, and bool as uint8_t). A section per family; no include guards in templates.
 */
#ifdef REAL
/* ---- floats ---- */

/* ---- eltwise ---- */

/* ---- copy ---- */

/* ---- reduce ---- */

/* ---- sort ---- */

/* ---- index ---- */

/* ---- softmax ---- */

/* ---- loss ---- */

/* ---- matmul ---- */

/* ---- conv ---- */

/* ---- pool ---- */

/* ---- interpolate ---- */

/* ---- norm ---- */

/* ---- rnn ---- */

/* ---- random ---- */

/* ---- optim ---- */

#else
/* ---- ints ---- */

/* ---- eltwise ---- */

/* ---- copy ---- */

/* ---- reduce ---- */

/* ---- sort ---- */

/* ---- index ---- */

/* ---- softmax ---- */

/* ---- loss ---- */

/* ---- matmul ---- */

/* ---- conv ---- */

/* ---- pool ---- */

/* ---- interpolate ---- */

/* ---- norm ---- */

/* ---- rnn ---- */

/* ---- random ---- */

/* ---- optim ---- */

#endif
