#ifndef DF_CORE_DEVICE_CPU_NORM_H
#define DF_CORE_DEVICE_CPU_NORM_H
#include "core/device/cpu/shared.h"

/* sums[c] += over pixels, in double */
void CPU(channel_sums)(struct df_device *device, const df_real *x, size_t pixels, size_t channels, df_real *sums);
#endif
