/* What a device reaches through its own primitives, measured: a floor of time stands on these and df_device_peak_gflops. */
#ifndef DF_CORE_DEVICE_RATES_H
#define DF_CORE_DEVICE_RATES_H
#include "core/device/device.h"

/* GFLOP/s of the largest square matrix product that takes no longer than a few milliseconds: where tensor cores round, theirs. */
double df_device_product_gflops(struct df_device *device);
/* Bytes read and written a second, copying a piece of memory that no cache holds; takes 512 MiB while it runs. */
double df_device_bandwidth(struct df_device *device);
#endif
