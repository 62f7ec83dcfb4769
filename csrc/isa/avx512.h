/* x86-64 with AVX-512 F, DQ, BW, VL; compiled with 64-byte vectors preferred. */
#define VECTOR_BYTES 64
