/* x86-64 with AVX2 and FMA; compiled with -mavx2 -mfma. */
#define VECTOR_BYTES 32
