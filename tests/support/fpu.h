/* A control word that moves bits, for tests of what must not let it. */
#ifndef DF_TESTS_FPU_H
#define DF_TESTS_FPU_H
#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* Denormal numbers become zero in this thread. false: not known how on this processor. */
static inline bool df_test_flush_denormals(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush to zero, denormals are zero */
    return true;
#elif defined(__aarch64__)
    uint64_t word;

    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    __asm__ volatile("msr fpcr, %0" : : "r"(word | 1 << 24));
    return true;
#else
    return false;
#endif
}

/* Whether this thread keeps them, as results and as operands. */
static inline bool df_test_keeps_denormals(void)
{
    volatile float least = 0x1p-126F, half = 0.5F, denormal = 0x1p-130F, large = 0x1p100F;

    return least * half != 0 && denormal * large != 0;
}
#endif
