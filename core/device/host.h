/* Memory and selections of the devices that are the host itself: slots of their tables. */
#ifndef DF_CORE_DEVICE_HOST_H
#define DF_CORE_DEVICE_HOST_H
#include "core/device/device.h"

void *df_host_alloc(struct df_device *device, size_t bytes);
void df_host_free(struct df_device *device, void *memory);
size_t df_host_bytes(const void *memory); /* what was asked of df_host_alloc */
void df_host_copy(struct df_device *device, void *to, const void *from, size_t bytes);
void df_host_zero(struct df_device *device, void *memory, size_t bytes);
void df_host_sync(struct df_device *device);

/* select.c: by core/geometry. */
df_select_top_k_fn df_host_top_k;
df_select_nms_fn df_host_nms;
#endif
