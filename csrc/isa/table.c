/* The kernel table of one ISA: a row for each line of kernels.def, a column for each dtype code.
 * A variant that kernels.def promises and no template defines does not link.
 */
#include "core.h"

#define VARIANT(name, suffix) PYAD_JOIN(name##_record_##suffix, ISA)

#define F_(name) VARIANT(name, f32), VARIANT(name, f64)
#define I_(name) \
    VARIANT(name, i64), VARIANT(name, i32), VARIANT(name, i16), VARIANT(name, i8), VARIANT(name, u8)
#define B_(name) VARIANT(name, b8)
#define NAMES_FLOATS(name) F_(name)
#define NAMES_NUMBERS(name) F_(name), I_(name)
#define NAMES_INTS(name) I_(name)
#define NAMES_BOOLS(name) B_(name)
#define NAMES_WHOLE(name) I_(name)
#define NAMES_WHOLE_LOGICAL(name) I_(name), B_(name)
#define NAMES_ALL(name) F_(name), I_(name)
#define NAMES_ALL_LOGICAL(name) F_(name), I_(name), B_(name)
#define NAMES_MOVED(name) \
    VARIANT(name, i64), VARIANT(name, i32), VARIANT(name, i16), VARIANT(name, u8)
#define NAMES_STATE(name) VARIANT(name, i64)

#define KERNEL(name, args, dtypes, reads, writes, ints, floats) \
    extern const pyad_kernel NAMES_##dtypes(name);
#include "kernels.def"
#undef KERNEL

#define F(name) &VARIANT(name, f32), &VARIANT(name, f64)
#define I(name)                                                                               \
    &VARIANT(name, i64), &VARIANT(name, i32), &VARIANT(name, i16), &VARIANT(name, i8),         \
        &VARIANT(name, u8)
#define ROW_FLOATS(name) {F(name), 0, 0, 0, 0, 0, 0}
#define ROW_NUMBERS(name) {F(name), I(name), 0}
#define ROW_INTS(name) {0, 0, I(name), 0}
#define ROW_BOOLS(name) {0, 0, 0, 0, 0, 0, 0, &VARIANT(name, b8)}
#define ROW_WHOLE(name) {0, 0, I(name), &VARIANT(name, u8)}
#define ROW_WHOLE_LOGICAL(name) {0, 0, I(name), &VARIANT(name, b8)}
#define ROW_ALL(name) {F(name), I(name), &VARIANT(name, u8)}
#define ROW_ALL_LOGICAL(name) {F(name), I(name), &VARIANT(name, b8)}
#define ROW_MOVED(name)                                                                       \
    {&VARIANT(name, i32), &VARIANT(name, i64), &VARIANT(name, i64), &VARIANT(name, i32),       \
     &VARIANT(name, i16), &VARIANT(name, u8),  &VARIANT(name, u8),  &VARIANT(name, u8)}
#define ROW_STATE(name) {0, 0, &VARIANT(name, i64), 0, 0, 0, 0, 0}

/* the last row keeps the array from being empty */
const pyad_kernel_row PYAD_JOIN(pyad_table, ISA)[PYAD_NUM_KERNELS + 1] = {
#define KERNEL(name, args, dtypes, reads, writes, ints, floats) {ROW_##dtypes(name)},
#include "kernels.def"
#undef KERNEL
    {{NULL}}};
