/* One translation unit for each family and ISA: includes the family's template once per dtype.
 *
 * The build (setup.py, tests/c/run.sh) defines
 *   ISA       base, avx2, avx512: the suffix of all symbols
 *   ISA_FILE  "isa/<ISA>.h": vector width and block sizes, in one place for each ISA
 *   TEMPLATE  "kernels/<family>_tpl.h"
 * A template is included with SUFFIX and DTYPE (a PYAD_ dtype code, for #if) defined, and REAL for
 * the floats or INT for the integer dtypes and bool (as uint8_t). Templates have no include guard.
 */
#include "core.h"
#include "simd.h"

/* first, as functions of float32 call those of double */
#define REAL double
#define SUFFIX f64
#define DTYPE PYAD_FLOAT64
#include "simd_tpl.h"
#include TEMPLATE
#undef REAL
#undef SUFFIX
#undef DTYPE

#define REAL float
#define SUFFIX f32
#define DTYPE PYAD_FLOAT32
#include "simd_tpl.h"
#include TEMPLATE
#undef REAL
#undef SUFFIX
#undef DTYPE

#define INT int64_t
#define SUFFIX i64
#define DTYPE PYAD_INT64
#include TEMPLATE
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT int32_t
#define SUFFIX i32
#define DTYPE PYAD_INT32
#include TEMPLATE
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT int16_t
#define SUFFIX i16
#define DTYPE PYAD_INT16
#include TEMPLATE
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT int8_t
#define SUFFIX i8
#define DTYPE PYAD_INT8
#include TEMPLATE
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT uint8_t
#define SUFFIX u8
#define DTYPE PYAD_UINT8
#include TEMPLATE
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT uint8_t
#define SUFFIX b8
#define DTYPE PYAD_BOOL
#include TEMPLATE
#undef INT
#undef SUFFIX
#undef DTYPE
