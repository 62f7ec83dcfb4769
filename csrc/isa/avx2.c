/* x86-64 with AVX2 and FMA; compiled with -mavx2 -mfma. */
#define ISA avx2
#include "table.h"
