#include "core/device/cpu/cpu.h"

#include <stdlib.h>

#include "core/device/cpu/pack.h"
#include "core/device/cpu/plan.h"
#include "core/device/host.h"

static void cpu_open(struct df_device *device)
{
    struct df_cpu *cpu = df_calloc(1, sizeof *cpu);

    cpu->plans = CPU(plans_new)();
    cpu->packs = CPU(packs_new)();
    device->state = cpu;
}

static void cpu_close(struct df_device *device)
{
    struct df_cpu *cpu = device->state;

    CPU(plans_free)(cpu->plans);
    CPU(packs_free)(cpu->packs);
    for (size_t i = 0; i < DF_SCRATCHES; i++)
        df_host_free(device, cpu->scratch[i]);
    free(cpu);
}

static void cpu_free(struct df_device *device, void *memory)
{
    const struct df_cpu *cpu = device->state;

    if (!memory)
        return;
    CPU(packs_forget)(cpu->packs, memory, df_host_bytes(memory));
    df_host_free(device, memory);
}

static void cpu_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    if (kernel == DF_K_ROI_ALIGN)
        CPU(roi_align)(device, n, args);
    else if (kernel == DF_K_ROI_ALIGN_BACKWARD)
        CPU(roi_align_backward)(device, n, args);
    else
        CPU(loop)(device, kernel, n, args);
}

void CPU(select_top_k)(struct df_device *device, const struct df_select_top_k_args *a) { df_host_top_k(device, a); }
void CPU(select_nms)(struct df_device *device, const struct df_select_nms_args *a) { df_host_nms(device, a); }

static const struct df_device_ops ops = {
    .name = "cpu",
    .close = cpu_close,
    .alloc = df_host_alloc,
    .free = cpu_free,
    .write = df_host_copy,
    .read = df_host_copy,
    .copy = df_host_copy,
    .zero = df_host_zero,
    .sync = df_host_sync,
#define SLOT(name) .name = CPU(name),
    DF_PRIMITIVES(SLOT).launch = cpu_launch,
    .peak_gflops = CPU(peak_gflops),
};
const struct df_cpu_set CPU(set) = { DF_ISA_TEXT(DF_ISA), &ops, cpu_open };
