#include "core/device/loops.h"
#include "core/device/ref/ref.h"

void df_loop_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    (void)device;
    DF_ASSERT((unsigned)kernel < DF_KERNEL_COUNT);
    df_loops[kernel](0, n, args);
}
