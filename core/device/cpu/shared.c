#include "core/device/cpu/shared.h"

#include "core/device/host.h"

float *CPU(scratch)(struct df_cpu *cpu, int which, size_t bytes)
{
    if (bytes > cpu->scratch_bytes[which]) {
        df_host_free(NULL, cpu->scratch[which]);
        cpu->scratch[which] = df_host_alloc(NULL, bytes);
        cpu->scratch_bytes[which] = bytes;
    }
    return cpu->scratch[which];
}

void CPU(share)(struct df_device *device, double flops, df_team_fn *fn, const void *context)
{
    df_team_run(flops < device->alone ? NULL : device->team, fn, context);
}
