/* Products are 1x1 convolutions over m pixels of one image: a b^T their forward pass, a b their data gradient, a^T b their weights' gradient. */
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/gather.h"

static struct df_conv product(size_t pixels, size_t channels, size_t filters)
{
    return (
        struct df_conv){ .x = { 1, 1, pixels, channels }, .filters = filters, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1 };
}

static const float *packed_factor(struct df_cpu *cpu, const struct pack_shape *shape, struct df_weights b)
{
    if (b.version)
        return CPU(packed)(cpu->packs, shape, b);
    float *to = CPU(scratch)(cpu, DF_SCRATCH_FACTOR, CPU(packed_floats)(shape) * sizeof *to);

    CPU(pack)(shape, b.data, to);
    return to;
}

static void gather_product(struct df_device *device, const struct df_matmul_args *a)
{
    struct df_cpu *cpu = device->state;
    const struct pack_shape shape = { a->transpose_b ? a->n : a->k, 1, a->transpose_b ? a->k : a->n, !a->transpose_b };
    const struct df_conv conv = product(a->m, shape.channels, shape.filters);
    const struct gather g = { .plan = CPU(plan)(cpu->plans, &conv, !a->transpose_b),
                              .from = a->a,
                              .packed = packed_factor(cpu, &shape, a->b),
                              .to = a->c,
                              .images = 1,
                              .from_image = a->m * a->k,
                              .to_image = a->m * a->n,
                              .lanes = a->n,
                              .terms = a->k,
                              .add = a->add };

    CPU(gather)(device, &g);
}

/* b [n][k] -> [k][n] */
static const float *transposed(struct df_cpu *cpu, const struct df_matmul_args *a)
{
    float *to = CPU(scratch)(cpu, DF_SCRATCH_FACTOR, a->n * a->k * sizeof *to);

    for (size_t i = 0; i < a->n; i++)
        for (size_t l = 0; l < a->k; l++)
            to[l * a->n + i] = a->b.data[i * a->k + l];
    return to;
}

void CPU(matmul)(struct df_device *device, const struct df_matmul_args *a)
{
    if (!a->add && (a->k == 0 || a->transpose_a))
        memset(a->c, 0, a->m * a->n * sizeof *a->c);
    if (a->k == 0)
        return;
    if (!a->transpose_a) {
        gather_product(device, a);
        return;
    }
    const struct df_conv_backward_weights_args weights = {
        .conv = product(a->k, a->n, a->m), .x = a->transpose_b ? transposed(device->state, a) : a->b.data, .dy = a->a, .dw = a->c
    };

    CPU(conv_backward_weights)(device, &weights);
}
