/* The control word: MXCSR on x86-64 (AMD64 manual, volume 1, 4.2.2), FPCR on AArch64 (Arm architecture manual, C5.2.8). */
#include "core/base/fpu.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

#define CONTROL 0xffc0u /* flush to zero, rounding, six masks, denormals are zero; below them the six sticky flags */
#define WANTED  0x1f80u /* all six exceptions masked */

bool df_fpu_reset(void)
{
    const unsigned found = _mm_getcsr();

    _mm_setcsr((found & ~CONTROL) | WANTED);
    return (found & CONTROL) != WANTED;
}
#elif defined(__aarch64__)
#include <stdint.h>

#define CONTROL 0x07c89f00u /* AHP, DN, FZ, rounding, FZ16, trap enables: all 0 */

bool df_fpu_reset(void)
{
    uint64_t found;

    __asm__ volatile("mrs %0, fpcr" : "=r"(found));
    __asm__ volatile("msr fpcr, %0" : : "r"(found & ~(uint64_t)CONTROL));
    return (found & CONTROL) != 0;
}
#else
#include <fenv.h>

bool df_fpu_reset(void)
{
    fesetenv(FE_DFL_ENV);
    return false;
}
#endif
