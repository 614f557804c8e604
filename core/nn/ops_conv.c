/* Convolution, linear layer and batch norm: the device's primitives on the tape. */
#include <stdatomic.h>

#include "core/nn/ops.h"
#include "core/nn/ops_shared.h"
#include "core/nn/parameters.h"

/* Parameters carry their owner's version. Other weights are new each time they are used: versions from the upper half, never repeated. */
static struct df_weights weights_of(const df_tensor *w)
{
    static atomic_uint_least64_t used;

    if (w->parameter)
        return (struct df_weights){ w->data, w->parameter->owner->version };
    return (struct df_weights){ w->data, UINT64_C(1) << 63 | atomic_fetch_add(&used, 1) };
}

static df_real *zero_scratch(df_tape *tape, size_t count)
{
    df_real *memory = df_tape_device_memory(tape, count * sizeof *memory);

    df_zero(df_tape_device(tape), memory, count * sizeof *memory);
    return memory;
}

static void conv2d_backward(df_tape *tape, struct df_node *node)
{
    struct df_device *device = df_tape_device(tape);
    const struct df_conv *conv = node->args;
    const df_tensor *y = node->out;
    df_tensor *x = node->in[0], *w = node->in[1], *bias = node->in[2];
    const df_real *dy = y->grad;
    bool fresh;

    if (conv->relu) {
        df_real *masked = df_tape_device_memory(tape, df_count(y->shape) * sizeof *masked);
        const struct df_relu_backward_args args = { .v = y->data, .dy = dy, .dx = masked, .add = false };

        df_launch(device, DF_K_RELU_BACKWARD, df_count(y->shape), &args);
        dy = masked;
    }
    df_real *dx = df_grad_fresh(tape, x, &fresh);

    if (dx)
        df_conv_backward_data(device, conv, dy, weights_of(w), dx, !fresh);

    df_real *dw = df_grad(tape, w), *dbias = df_grad(tape, bias);

    if (dw)
        df_conv_backward_weights(device, conv, x->data, dy, dw, dbias);
    else if (dbias)
        df_reduce_into(tape, dy, y->shape, dbias, bias->shape, 1, true);
}

df_tensor *df_conv2d(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *bias, struct df_conv_options options)
{
    const struct df_conv conv = { .x = x->shape,
                                  .filters = w->shape.n,
                                  .kernel_h = w->shape.h,
                                  .kernel_w = w->shape.w,
                                  .stride_h = options.stride_h,
                                  .stride_w = options.stride_w,
                                  .pad_h = options.pad_h,
                                  .pad_w = options.pad_w,
                                  .relu = options.relu };

    DF_ASSERT(w->shape.c == x->shape.c && conv.stride_h && conv.stride_w);
    DF_ASSERT(x->shape.h + 2 * conv.pad_h >= conv.kernel_h && x->shape.w + 2 * conv.pad_w >= conv.kernel_w);
    DF_ASSERT(!bias || df_same_shape(bias->shape, (df_shape){ 1, 1, 1, conv.filters }));

    df_tensor *y = df_tensor_new(tape, df_conv_shape(&conv));

    df_conv_forward(df_tape_device(tape), &conv, x->data, weights_of(w), bias ? bias->data : NULL, y->data);
    return df_record(tape, conv2d_backward, y, (df_tensor *[]){ x, w, bias }, 3, &conv, sizeof conv);
}

static void linear_backward(df_tape *tape, struct df_node *node)
{
    struct df_device *device = df_tape_device(tape);
    df_tensor *x = node->in[0], *w = node->in[1], *bias = node->in[2];
    const df_shape ys = node->out->shape;
    const df_real *dy = node->out->grad;
    const size_t rows = ys.n, out = w->shape.n, in = df_count(w->shape) / out;
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);

    if (dx)
        df_matmul(device, &(struct df_matmul){ .m = rows, .n = in, .k = out, .add = !fresh }, dy, weights_of(w), dx);

    df_real *dw = df_grad_fresh(tape, w, &fresh);

    if (dw)
        df_matmul(device, &(struct df_matmul){ .transpose_a = true, .m = out, .n = in, .k = rows, .add = !fresh }, dy,
                  (struct df_weights){ x->data, 0 }, dw);

    df_real *dbias = df_grad_fresh(tape, bias, &fresh);

    if (dbias)
        df_reduce_into(tape, dy, ys, dbias, bias->shape, 1, !fresh);
}

df_tensor *df_linear(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *bias)
{
    const size_t rows = x->shape.n, out = w->shape.n, in = df_count(w->shape) / out;
    df_tensor *y = df_tensor_new(tape, (df_shape){ rows, 1, 1, out });

    DF_ASSERT(df_count(x->shape) == rows * in);
    DF_ASSERT(!bias || df_same_shape(bias->shape, (df_shape){ 1, 1, 1, out }));
    if (bias)
        df_binary_into(tape, DF_BINARY_FIRST, bias->data, bias->shape, NULL, bias->shape, y->data, y->shape, 1, false);
    df_matmul(df_tape_device(tape), &(struct df_matmul){ .transpose_b = true, .m = rows, .n = out, .k = in, .add = bias != NULL }, x->data,
              weights_of(w), y->data);
    return df_record(tape, linear_backward, y, (df_tensor *[]){ x, w, bias }, 3, NULL, 0);
}

struct norm {
    struct df_batch_norm bn;
    df_real *mean, *inv_std;
};

static void batch_norm_backward(df_tape *tape, struct df_node *node)
{
    const struct norm *norm = node->args;
    const df_tensor *y = node->out;
    df_tensor *x = node->in[0], *gamma = node->in[1], *beta = node->in[2];
    struct df_batch_norm bn = norm->bn;
    df_real *dx = df_grad_fresh(tape, x, &bn.overwrite), *dgamma = df_grad(tape, gamma), *dbeta = df_grad(tape, beta);

    if (!dx)
        dx = zero_scratch(tape, df_count(x->shape));
    if (!dgamma && dbeta)
        dgamma = zero_scratch(tape, x->shape.c);
    if (!dbeta && dgamma)
        dbeta = zero_scratch(tape, x->shape.c);
    df_batch_norm_backward(df_tape_device(tape), &bn, x->data, y->data, y->grad, gamma->data, norm->mean, norm->inv_std, dx, dgamma, dbeta);
}

df_tensor *df_batch_norm(df_tape *tape, df_tensor *x, df_tensor *gamma, df_tensor *beta, df_real *running_mean, df_real *running_var,
                         double eps, double momentum, enum df_norm_mode mode, bool relu)
{
    struct df_device *device = df_tape_device(tape);
    const size_t channels = x->shape.c, bytes = channels * sizeof(df_real);
    const struct norm norm = {
        .bn = { .x = x->shape, .eps = eps, .momentum = momentum, .training = mode == DF_NORM_TRAIN, .relu = relu },
        .mean = df_tape_device_memory(tape, bytes),
        .inv_std = df_tape_device_memory(tape, bytes),
    };
    df_tensor *y = df_tensor_new(tape, x->shape);

    DF_ASSERT(df_count(gamma->shape) == channels && df_count(beta->shape) == channels);
    df_batch_norm_forward(device, &norm.bn, x->data, gamma->data, beta->data, running_mean, running_var, norm.mean, norm.inv_std, y->data);
    df_record(tape, batch_norm_backward, y, (df_tensor *[]){ x, gamma, beta }, 3, &norm, sizeof norm);
    if (y->requires_grad && mode == DF_NORM_EVAL) {
        const struct df_inv_std_args args = { .var = running_var, .inv_std = norm.inv_std, .eps = eps };

        df_copy(device, norm.mean, running_mean, bytes);
        df_launch(device, DF_K_INV_STD, channels, &args);
    }
    return y;
}
