/* Inside `cpu`: names, state and threads. Every file here is compiled once per instruction set, with DF_ISA its name: nothing may have a
 * name of its own outside of its file but through CPU(). Float only. */
#ifndef DF_CORE_DEVICE_CPU_SHARED_H
#define DF_CORE_DEVICE_CPU_SHARED_H
#include "core/base/team.h"
#include "core/device/device.h"

#define DF_CPU_JOIN(isa, name) df_cpu_##isa##_##name
#define DF_CPU_NAME(isa, name) DF_CPU_JOIN(isa, name)
#define CPU(name)              DF_CPU_NAME(DF_ISA, name) /* df_cpu_v3_conv_forward */
#define DF_ISA_QUOTE(isa)      #isa
#define DF_ISA_TEXT(isa)       DF_ISA_QUOTE(isa)

struct df_plans; /* plan.h */
struct df_packs; /* pack.h */
struct df_cpu {
    struct df_plans *plans;
    struct df_packs *packs;
    float *scratch[4]; /* grown by the first call that needs more, kept */
    size_t scratch_bytes[4];
};
enum { DF_SCRATCH_WEIGHTS /* sums of gradients */, DF_SCRATCH_LISTS /* of pixels */, DF_SCRATCH_FACTOR, DF_SCRATCH_ROI, DF_SCRATCHES };
float *CPU(scratch)(struct df_cpu *cpu, int which, size_t bytes);
/* Among the threads, if it is worth waking them. What moves bytes takes as long as so many flops of a convolution: */
enum { DF_FLOPS_OF_BYTE = 4 };
void CPU(share)(struct df_device *device, double flops, df_team_fn *fn, const void *context);
#endif
