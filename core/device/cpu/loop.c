/* The kernels that are written once, compiled for this instruction set. No index touches what another writes: threads take a range each. */
#include "core/device/loops.h"

#include "core/device/cpu/cpu.h"
#include "core/device/kernel_bytes.h"

enum { LINE = 16 /* indices that may share a cache line */, FEW = 1024 /* below, an index is a row or a tile */ };

struct launch {
    df_loop_fn *loop;
    size_t n;
    const void *args;
};

static void launch_part(const void *context, size_t part, size_t parts)
{
    const struct launch *launch = context;
    size_t first, last;

    df_team_share(launch->n, launch->n < FEW ? 1 : LINE, part, parts, &first, &last);
    launch->loop(first, last, launch->args);
}

void CPU(loop)(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    const struct launch launch = { df_loops[kernel], n, args };

    CPU(share)(device, device->team ? DF_FLOPS_OF_BYTE * df_kernel_bytes(kernel, n, args) : 0, launch_part, &launch);
}
