#include "core/device/loops.h"

void df_loop_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    (void)device;
    DF_ASSERT((unsigned)kernel < DF_KERNEL_COUNT);
    df_loops[kernel](0, n, args);
}

const char *df_kernel_name(enum df_kernel kernel)
{
    static const char *const names[DF_KERNEL_COUNT] = {
#define NAME(ENUM, name) [DF_K_##ENUM] = #name,
        DF_KERNELS(NAME)
    };

    return names[kernel];
}
