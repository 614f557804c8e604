/* What a kernel is called, and what a launch reads and writes: every operand once. */
#ifndef DF_CORE_DEVICE_KERNEL_BYTES_H
#define DF_CORE_DEVICE_KERNEL_BYTES_H
#include "core/device/kernels.h"

const char *df_kernel_name(enum df_kernel kernel);
double df_kernel_bytes(enum df_kernel kernel, size_t n, const void *args);
#endif
