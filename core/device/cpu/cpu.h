/* `cpu` on one instruction set: its table, and what stands in it. */
#ifndef DF_CORE_DEVICE_CPU_CPU_H
#define DF_CORE_DEVICE_CPU_CPU_H
#include "core/device/cpu/shared.h"
#include "core/device/isa.h"

extern const struct df_cpu_set CPU(set);
double CPU(peak_gflops)(struct df_device *device);
void CPU(loop)(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);

#define DF_CPU_PRIMITIVE(name) df_##name##_fn CPU(name);
DF_PRIMITIVES(DF_CPU_PRIMITIVE)
void CPU(roi_align)(struct df_device *device, size_t rois, const struct df_roi_align_args *a);
void CPU(roi_align_backward)(struct df_device *device, size_t map_rows, const struct df_roi_align_backward_args *a);
#endif
