/* x86-64 with AVX-512 F, DQ, BW, VL; compiled with 64-byte vectors preferred. */
#define VECTOR_BYTES 64

/* gemm_tpl.h: 14 x 32 float tiles are 28 of the 32 registers; a packed A block is 258 KB of L2 */
#define GEMM_MR 14
#define GEMM_NV 2
#define GEMM_KC 384
#define GEMM_MC 168
#define GEMM_NC 2048
