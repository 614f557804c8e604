/* `ref`: naive and short, in any precision. */
#ifndef DF_CORE_DEVICE_REF_REF_H
#define DF_CORE_DEVICE_REF_REF_H
#include "core/device/device.h"

/* Fills in the device's table; there are no options. */
df_status df_ref_open(struct df_device *device, const char *options, struct df_error *err);
/* Every kernel as a loop over its index. */
void df_loop_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);
#endif
