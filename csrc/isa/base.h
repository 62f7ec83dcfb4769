/* What every machine has: SSE2 on x86-64, NEON on arm64, plain C elsewhere. */
#define VECTOR_BYTES 16

/* gemm_tpl.h: 4 x 8 float tiles are 8 of SSE2's 16 registers, which has no broadcast from memory */
#define GEMM_MR 4
#define GEMM_NV 2
#define GEMM_KC 256
#define GEMM_MC 96
#define GEMM_NC 1024
/* dot products by tiles, for at most so many rows */
#define GEMM_DOT_ROWS 2
#define GEMM_DOT_COLS 4
#define GEMM_DOTS_MOST 4

/* conv_tpl.h: bytes of a row of a packed tile, which stays in L1 with the weights that meet it;
 * output pixels of a block of the weight's gradient, whose rows stay in L2 */
#define CONV_DEPTH_BYTES 1024
#define CONV_PIXELS 128
/* conv/few_tpl.h: tiles of outputs and vectors of pixels are 8 of SSE2's 16 registers */
#define FEW_ROWS 4
#define FEW_NV 2
