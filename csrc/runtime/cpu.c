/* Chooses among the kernel tables: which of them this machine and its system can run. */
#include <stdatomic.h>
#include <string.h>

#include "runtime.h"

/* The build says which tables it has compiled: PYAD_HAS_BASE, PYAD_HAS_AVX2, PYAD_HAS_AVX512. */
#if !defined(PYAD_HAS_BASE) && !defined(PYAD_HAS_AVX2) && !defined(PYAD_HAS_AVX512)
#error "no kernel table is built: see setup.py and tests/c/run.sh"
#endif

extern const pyad_kernel_row pyad_table_base[];

typedef struct {
    const char *name;
    const pyad_kernel_row *table;
    int (*present)(void);
    int wide; /* its vectors are wider than SSE's */
} isa;

#if defined(PYAD_HAS_BASE)
static int always(void) { return 1; }
#endif

#if defined(PYAD_HAS_AVX2) || defined(PYAD_HAS_AVX512)
#include <cpuid.h>

extern const pyad_kernel_row pyad_table_avx2[];
extern const pyad_kernel_row pyad_table_avx512[];

/* XCR0: which register states the operating system saves. */
static uint64_t saved_state(void) {
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE)) return 0;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (uint64_t)edx << 32 | eax;
}

static int has_avx2(void) {
    const uint64_t ymm = 0x6;
    uint32_t eax, ebx, ecx, edx;
    if ((saved_state() & ymm) != ymm) return 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_FMA)) return 0;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_AVX2);
}

#if defined(PYAD_HAS_AVX512)
static int has_avx512(void) {
    const uint64_t zmm = 0xe6;
    const uint32_t wanted = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    uint32_t eax, ebx, ecx, edx;
    if (!has_avx2() || (saved_state() & zmm) != zmm) return 0;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & wanted) == wanted;
}
#endif
#endif

/* best first */
static const isa isas[] = {
#if defined(PYAD_HAS_AVX512)
    {"avx512", pyad_table_avx512, has_avx512, 1},
#endif
#if defined(PYAD_HAS_AVX2)
    {"avx2", pyad_table_avx2, has_avx2, 1},
#endif
#if defined(PYAD_HAS_BASE)
    {"base", pyad_table_base, always, 0},
#endif
};

#define NUM_ISAS ((int64_t)(sizeof(isas) / sizeof(isas[0])))

static _Atomic(const isa *) current;

/* Chosen at first use; two threads that come first choose the same. */
static const isa *current_isa(void) {
    const isa *chosen = atomic_load_explicit(&current, memory_order_acquire);
    if (chosen == NULL) {
        chosen = isas;
        while (!chosen->present()) chosen++;
        atomic_store_explicit(&current, chosen, memory_order_release);
    }
    return chosen;
}

const pyad_kernel_row *pyad_current_table(void) { return current_isa()->table; }

void pyad_clear_upper_halves(void) {
#if defined(__x86_64__)
    if (current_isa()->wide) __asm__ volatile("vzeroupper");
#endif
}

int64_t pyad_isa_count(void) {
    int64_t count = 0;
    for (int64_t i = 0; i < NUM_ISAS; i++) count += isas[i].present();
    return count;
}

const char *pyad_isa_name(int64_t index) {
    for (int64_t i = 0; i < NUM_ISAS; i++) {
        if (isas[i].present() && index-- == 0) return isas[i].name;
    }
    return NULL;
}

int pyad_use_isa(const char *name) {
    for (int64_t i = 0; i < NUM_ISAS; i++) {
        if (strcmp(isas[i].name, name) == 0 && isas[i].present()) {
            atomic_store_explicit(&current, &isas[i], memory_order_release);
            return 0;
        }
    }
    return -1;
}

const char *pyad_current_isa(void) { return current_isa()->name; }
