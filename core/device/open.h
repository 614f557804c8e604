/* Devices by their names. */
#ifndef DF_CORE_DEVICE_OPEN_H
#define DF_CORE_DEVICE_OPEN_H
#include "core/device/device.h"

/* name: "cpu", "order", "ref" (the double build has "ref" only) or "cuda[:N][+tf32]", N the number of the GPU (default 0), tf32: its tensor cores may
 * round the factors of convolutions and matrix products to 10 bits. An unknown one, "cuda" in a build without it or on a machine without a
 * GPU or driver fails and says what to do. `check` says the same without taking anything. */
df_status df_device_open(const char *name, struct df_device **out, struct df_error *err);
df_status df_device_check(const char *name, struct df_error *err);
struct df_device_identity df_device_identity(const char *name); /* the kind of any name, in any build: "cuda+tf32" where there is no GPU */
const char *df_device_names(void);                              /* of this build: "cpu, order, ref" */
const char *df_device_isa(void);                                /* of the host */
void df_device_describe(struct df_device *device, char *text, size_t size); /* "NVIDIA H100 80GB HBM3, sm_90, ..." */
#endif
