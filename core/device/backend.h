/* What the devices of this room share with each other; nobody else includes it. */
#ifndef DF_CORE_DEVICE_BACKEND_H
#define DF_CORE_DEVICE_BACKEND_H
#include "core/device/device.h"

/* What opens a device fills in its table and its state. options: what follows the name, from ':' or '+' on. */
df_status df_ref_open(struct df_device *device, const char *options, struct df_error *err);
#ifndef DF_REAL_IS_DOUBLE
df_status df_order_open(struct df_device *device, const char *options, struct df_error *err);
#ifdef DF_WITH_CUDA
#define DF_HAS_CUDA 1
df_status df_cuda_open(struct df_device *device, const char *options /* "[:N][+tf32]" */, struct df_error *err);
df_status df_cuda_check(const char *options, struct df_device_identity *identity, struct df_error *err);
#endif
#endif

/* ref/loops.c: every kernel as a loop over its index. */
void df_loop_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);
const char *df_kernel_name(enum df_kernel kernel);

/* kernel_bytes.c: what a launch reads and writes, every operand once. */
double df_kernel_bytes(enum df_kernel kernel, size_t n, const void *args);

/* host.c: memory of a device that is the host itself. */
void *df_host_alloc(struct df_device *device, size_t bytes);
void df_host_free(struct df_device *device, void *memory);
size_t df_host_bytes(const void *memory); /* what was asked of df_host_alloc */
void df_host_copy(struct df_device *device, void *to, const void *from, size_t bytes);
void df_host_zero(struct df_device *device, void *memory, size_t bytes);
void df_host_sync(struct df_device *device);

/* select.c: the table's selections, by core/geometry. */
df_select_top_k_fn df_host_top_k;
df_select_nms_fn df_host_nms;

/* First and one-past-last kernel tap whose input lies inside [0, size) when the window starts at `start` (which may be negative). */
DF_KERNEL size_t df_tap_first(ptrdiff_t start) { return start < 0 ? (size_t)-start : 0; }
DF_KERNEL size_t df_tap_end(ptrdiff_t start, size_t kernel, size_t size)
{
    const ptrdiff_t room = (ptrdiff_t)size - start;

    return room <= 0 ? 0 : (size_t)room < kernel ? (size_t)room : kernel;
}
#endif
