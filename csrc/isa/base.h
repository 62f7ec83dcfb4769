/* What every machine has: SSE2 on x86-64, NEON on arm64, plain C elsewhere. */
#define VECTOR_BYTES 16
