/* Products are 1x1 convolutions over m pixels of one image: a b^T their forward pass, a b their data gradient, a^T b their weights' gradient. */
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

static void gather_product(struct df_device *device, const struct df_matmul *mm, const float *a, struct df_weights b, float *c)
{
    struct df_cpu *cpu = device->state;
    const struct pack_shape shape = { mm->transpose_b ? mm->n : mm->k, 1, mm->transpose_b ? mm->k : mm->n, !mm->transpose_b };
    const struct df_conv conv = product(mm->m, shape.channels, shape.filters);
    const struct gather g = { .plan = CPU(plan)(cpu->plans, &conv, !mm->transpose_b),
                              .from = a,
                              .packed = packed_factor(cpu, &shape, b),
                              .to = c,
                              .images = 1,
                              .from_image = mm->m * mm->k,
                              .to_image = mm->m * mm->n,
                              .lanes = mm->n,
                              .terms = mm->k,
                              .add = mm->add };

    CPU(gather)(device, &g);
}

/* b [n][k] -> [k][n] */
static const float *transposed(struct df_cpu *cpu, const struct df_matmul *mm, const float *b)
{
    float *to = CPU(scratch)(cpu, DF_SCRATCH_FACTOR, mm->n * mm->k * sizeof *to);

    for (size_t i = 0; i < mm->n; i++)
        for (size_t l = 0; l < mm->k; l++)
            to[l * mm->n + i] = b[i * mm->k + l];
    return to;
}

void CPU(matmul)(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c)
{
    if (mm->k == 0) {
        if (!mm->add)
            memset(c, 0, mm->m * mm->n * sizeof *c);
    } else if (mm->transpose_a) {
        const struct df_conv conv = product(mm->k, mm->n, mm->m);

        if (!mm->add)
            memset(c, 0, mm->m * mm->n * sizeof *c);
        CPU(conv_backward_weights)(device, &conv, mm->transpose_b ? transposed(device->state, mm, b.data) : b.data, a, c, NULL);
    } else {
        gather_product(device, mm, a, b, c);
    }
}
