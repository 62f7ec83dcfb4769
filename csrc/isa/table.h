/* The body of each file of isa/: includes every template once per dtype and builds the kernel
 * table of one ISA. The including file defines ISA, the table's name.
 *
 * A record that no template defines stays a tentative definition, which C fills with zeros: its
 * run is NULL, "not built for this dtype". So kernels.def and the templates meet here and nowhere
 * else, and a kernel is listed once.
 */
#include "../core.h"

#define KERNEL(name, args, dtypes, reads, writes, ints, floats) \
    static const pyad_kernel name##_record_f32;                 \
    static const pyad_kernel name##_record_f64;                 \
    static const pyad_kernel name##_record_i64;                 \
    static const pyad_kernel name##_record_i32;                 \
    static const pyad_kernel name##_record_i16;                 \
    static const pyad_kernel name##_record_i8;                  \
    static const pyad_kernel name##_record_u8;                  \
    static const pyad_kernel name##_record_b8;
#include "../kernels.def"
#undef KERNEL

#define REAL float
#define SUFFIX f32
#define DTYPE PYAD_FLOAT32
#include "../templates.h"
#undef REAL
#undef SUFFIX
#undef DTYPE

#define REAL double
#define SUFFIX f64
#define DTYPE PYAD_FLOAT64
#include "../templates.h"
#undef REAL
#undef SUFFIX
#undef DTYPE

#define INT int64_t
#define SUFFIX i64
#define DTYPE PYAD_INT64
#include "../templates.h"
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT int32_t
#define SUFFIX i32
#define DTYPE PYAD_INT32
#include "../templates.h"
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT int16_t
#define SUFFIX i16
#define DTYPE PYAD_INT16
#include "../templates.h"
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT int8_t
#define SUFFIX i8
#define DTYPE PYAD_INT8
#include "../templates.h"
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT uint8_t
#define SUFFIX u8
#define DTYPE PYAD_UINT8
#include "../templates.h"
#undef INT
#undef SUFFIX
#undef DTYPE

#define INT uint8_t
#define SUFFIX b8
#define DTYPE PYAD_BOOL
#include "../templates.h"
#undef INT
#undef SUFFIX
#undef DTYPE

/* One row a kernel, one column a dtype code; the last row keeps the array from being empty. */
const pyad_kernel_row PYAD_JOIN(pyad_table, ISA)[PYAD_NUM_KERNELS + 1] = {
#define KERNEL(name, args, dtypes, reads, writes, ints, floats)                                  \
    {{&name##_record_f32, &name##_record_f64, &name##_record_i64, &name##_record_i32,            \
      &name##_record_i16, &name##_record_i8, &name##_record_u8, &name##_record_b8}},
#include "../kernels.def"
#undef KERNEL
    {{NULL}}};
