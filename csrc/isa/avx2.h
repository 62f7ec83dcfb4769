/* x86-64 with AVX2 and FMA; compiled with -mavx2 -mfma. */
#define VECTOR_BYTES 32

/* gemm_tpl.h: 6 x 16 float tiles are 12 of the 16 registers; a block of A is 147 KB of L2 */
#define GEMM_MR 6
#define GEMM_NV 2
#define GEMM_KC 256
#define GEMM_MC 144
#define GEMM_NC 1024
/* dot products by tiles, for at most so many rows */
#define GEMM_DOT_ROWS 2
#define GEMM_DOT_COLS 4
#define GEMM_DOTS_MOST 6

/* conv_tpl.h: bytes of a row of a packed tile, which stays in L1 with the weights that meet it;
 * output pixels of a block of the weight's gradient, whose rows stay in L2 */
#define CONV_DEPTH_BYTES 1024
#define CONV_PIXELS 128
/* conv/few_tpl.h: tiles of outputs and vectors of pixels are 12 of the 16 registers */
#define FEW_ROWS 4
#define FEW_NV 3
