/* What the rest of this room sees of `cuda`, in builds with it. */
#ifndef DF_CORE_DEVICE_CUDA_CUDA_OPEN_H
#define DF_CORE_DEVICE_CUDA_CUDA_OPEN_H
#include "core/device/device.h"

/* options: "[:N][+tf32]". Fills in the device's table and its state. */
df_status df_cuda_open(struct df_device *device, const char *options, struct df_error *err);
/* Whether it is there, and what decides its numbers. */
df_status df_cuda_check(const char *options, struct df_device_identity *identity, struct df_error *err);
#endif
