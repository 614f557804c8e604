/* Inside `cpu`: the state that its files share. */
#ifndef DF_CORE_DEVICE_CPU_CPU_H
#define DF_CORE_DEVICE_CPU_CPU_H
#include <dnnl.h>

#include "core/device/backend.h"

/* A oneDNN call can only fail through a bug of ours (or out of memory): say which call and why, and stop. */
#define DF_DNNL(call)                                                                                                                      \
    do {                                                                                                                                   \
        const dnnl_status_t dnnl_ = (call);                                                                                                \
        if (dnnl_ != dnnl_success)                                                                                                         \
            df_dnnl_bug(__FILE__, __LINE__, #call, dnnl_);                                                                                 \
    } while (0)
_Noreturn void df_dnnl_bug(const char *file, int line, const char *call, dnnl_status_t status);

struct df_cpu_conv; /* conv.c: primitives per shape, reordered weights */
struct df_cpu {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct df_cpu_conv *conv;
    float *scratch[3]; /* grown when a primitive is made, never while one runs (RoIAlign: by its widest map) */
    size_t scratch_bytes[3];
};
enum { DF_SCRATCH_DNNL, DF_SCRATCH_DATA, DF_SCRATCH_WEIGHTS };
float *df_cpu_scratch(struct df_cpu *cpu, int which, size_t bytes);

void df_cpu_conv_open(struct df_cpu *cpu);
void df_cpu_conv_close(struct df_cpu *cpu);
void df_cpu_conv_forget(struct df_cpu *cpu, const void *memory, size_t bytes);
void df_cpu_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                         df_real *y);
void df_cpu_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                               bool add);
void df_cpu_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                  df_real *dbias);

void df_cpu_batch_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                               const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std,
                               df_real *y);
void df_cpu_batch_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                                const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                                df_real *dgamma, df_real *dbeta);
void df_cpu_channel_sums(const df_real *x, size_t pixels, size_t channels, df_real *sums); /* sums[c] += over pixels, in double */
void df_cpu_max_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax);
void df_cpu_max_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx);

void df_cpu_roi_align(struct df_device *device, size_t rois, const struct df_roi_align_args *a);
void df_cpu_roi_align_backward(struct df_device *device, size_t map_rows, const struct df_roi_align_backward_args *a);
#endif
