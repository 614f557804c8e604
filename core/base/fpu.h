/* How a thread rounds. The program, and every thread that it starts, begins with df_fpu_reset: a library that is linked with -ffast-math flushes
 * denormal numbers to zero in the thread that loads it, and a new thread inherits that from the one that starts it. */
#ifndef DF_CORE_BASE_FPU_H
#define DF_CORE_BASE_FPU_H
#include <stdbool.h>

/* Gives the calling thread: round to nearest, ties to even; denormal numbers kept, as operands and as results; no exception traps. Returns
 * whether anything of that was otherwise (on processors other than x86-64 and AArch64: false). */
bool df_fpu_reset(void);
#endif
