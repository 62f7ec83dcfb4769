/* x86-64 with AVX-512 F, DQ, BW, VL; compiled with 64-byte vectors preferred. */
#define VECTOR_BYTES 64

/* gemm_tpl.h: 14 x 32 float tiles are 28 of the 32 registers; a block of A is 538 KB of L2 */
#define GEMM_MR 14
#define GEMM_NV 2
#define GEMM_KC 400
#define GEMM_MC 336
#define GEMM_NC 1024
/* dot products by tiles, for at most so many rows */
#define GEMM_DOT_ROWS 4
#define GEMM_DOT_COLS 4
#define GEMM_DOTS_MOST 8

/* conv_tpl.h: bytes of a row of a packed tile, which stays in L1 with the weights that meet it;
 * output pixels of a block of the weight's gradient, whose rows stay in L2 */
#define CONV_DEPTH_BYTES 1024
#define CONV_PIXELS 128
/* conv/few_tpl.h: tiles of outputs and vectors of pixels are 24 of the 32 registers */
#define FEW_ROWS 8
#define FEW_NV 3
