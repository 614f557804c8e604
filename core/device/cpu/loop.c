/* The kernels that are written once, compiled for this instruction set. */
#include "core/device/loops.h"

#include "core/device/cpu/cpu.h"

void CPU(loop)(enum df_kernel kernel, size_t n, const void *args) { df_loops[kernel](n, args); }
