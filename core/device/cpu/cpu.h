/* Inside `cpu`: the state that its files share. Every file here is compiled once per instruction set, with DF_ISA its name: nothing may have a
 * name of its own outside of its file but through CPU(). Float only. */
#ifndef DF_CORE_DEVICE_CPU_CPU_H
#define DF_CORE_DEVICE_CPU_CPU_H
#include "core/base/team.h"
#include "core/device/backend.h"
#include "core/device/isa.h"

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
void CPU(share)(struct df_device *device, double flops, df_team_fn *fn, const void *context); /* among the threads, if it is worth it */

extern const struct df_cpu_set CPU(set);
double CPU(peak_gflops)(struct df_device *device);
void CPU(loop)(enum df_kernel kernel, size_t n, const void *args);

void CPU(conv_forward)(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                       df_real *y);
void CPU(conv_backward_data)(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                             bool add);
void CPU(conv_backward_weights)(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                df_real *dbias);
void CPU(matmul)(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c);

void CPU(batch_norm_forward)(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                             const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std, df_real *y);
void CPU(batch_norm_backward)(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                              const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                              df_real *dgamma, df_real *dbeta);
void CPU(channel_sums)(const df_real *x, size_t pixels, size_t channels, df_real *sums); /* sums[c] += over pixels, in double */
void CPU(max_pool_forward)(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax);
void CPU(max_pool_backward)(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx);
void CPU(roi_align)(struct df_device *device, size_t rois, const struct df_roi_align_args *a);
void CPU(roi_align_backward)(struct df_device *device, size_t map_rows, const struct df_roi_align_backward_args *a);
#endif
