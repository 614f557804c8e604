/* `cpu`: oneDNN 2.x for convolutions and matrix products, our own loops for the rest. Float only. */
#ifndef DF_REAL_IS_DOUBLE
#include "core/device/cpu/cpu.h"

#include <dnnl_debug.h>
#include <stdio.h>
#include <stdlib.h>

void df_dnnl_bug(const char *file, int line, const char *call, dnnl_status_t status)
{
    fprintf(stderr, "%s:%d: oneDNN says '%s' to %s\n", file, line, dnnl_status2str(status), call);
    abort();
}

float *df_cpu_scratch(struct df_cpu *cpu, int which, size_t bytes)
{
    if (bytes > cpu->scratch_bytes[which]) {
        df_host_free(NULL, cpu->scratch[which]);
        cpu->scratch[which] = df_host_alloc(NULL, bytes);
        cpu->scratch_bytes[which] = bytes;
    }
    return cpu->scratch[which];
}

df_status df_cpu_open(struct df_device *device, const char *options, struct df_error *err)
{
    struct df_cpu *cpu = df_calloc(1, sizeof *cpu);

    (void)options;
    (void)err;
    DF_DNNL(dnnl_engine_create(&cpu->engine, dnnl_cpu, 0));
    DF_DNNL(dnnl_stream_create(&cpu->stream, cpu->engine, dnnl_stream_in_order));
    df_cpu_conv_open(cpu);
    device->state = cpu;
    return DF_OK;
}

static void cpu_close(struct df_device *device)
{
    struct df_cpu *cpu = device->state;

    df_cpu_conv_close(cpu);
    DF_DNNL(dnnl_stream_destroy(cpu->stream));
    DF_DNNL(dnnl_engine_destroy(cpu->engine));
    for (size_t i = 0; i < sizeof cpu->scratch / sizeof cpu->scratch[0]; i++)
        df_host_free(device, cpu->scratch[i]);
    free(cpu);
}

static void cpu_free(struct df_device *device, void *memory)
{
    if (!memory)
        return;
    df_cpu_conv_forget(device->state, memory, df_host_bytes(memory));
    df_host_free(device, memory);
}

static void cpu_matmul(struct df_device *device, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const df_real *a,
                       const df_real *b, df_real *c, bool add)
{
    (void)device;
    DF_DNNL(dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1.0f, a,
                       (dnnl_dim_t)(transpose_a ? m : k), b, (dnnl_dim_t)(transpose_b ? k : n), add ? 1.0f : 0.0f, c, (dnnl_dim_t)n));
}

static void cpu_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    if (kernel == DF_K_ROI_ALIGN)
        df_cpu_roi_align(device, n, args);
    else if (kernel == DF_K_ROI_ALIGN_BACKWARD)
        df_cpu_roi_align_backward(device, n, args);
    else
        df_loop_launch(device, kernel, n, args);
}

const struct df_device_ops df_cpu_ops = {
    .name = "cpu",
    .close = cpu_close,
    .alloc = df_host_alloc,
    .free = cpu_free,
    .write = df_host_copy,
    .read = df_host_copy,
    .copy = df_host_copy,
    .zero = df_host_zero,
    .sync = df_host_sync,
    .conv_forward = df_cpu_conv_forward,
    .conv_backward_data = df_cpu_conv_backward_data,
    .conv_backward_weights = df_cpu_conv_backward_weights,
    .matmul = cpu_matmul,
    .batch_norm_forward = df_cpu_batch_norm_forward,
    .batch_norm_backward = df_cpu_batch_norm_backward,
    .max_pool_forward = df_cpu_max_pool_forward,
    .max_pool_backward = df_cpu_max_pool_backward,
    .top_k = df_host_top_k,
    .nms = df_host_nms,
    .launch = cpu_launch,
};
#else
typedef int df_cpu_is_float_only;
#endif
