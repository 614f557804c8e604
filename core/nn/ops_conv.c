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
        df_conv_backward_data(device, &(struct df_conv_backward_data_args){ *conv, dy, weights_of(w), dx, !fresh });

    df_real *dw = df_grad(tape, w), *dbias = df_grad(tape, bias);

    if (dw)
        df_conv_backward_weights(device, &(struct df_conv_backward_weights_args){ *conv, x->data, dy, dw, dbias });
    else if (dbias)
        df_reduce_into(tape, (struct df_operand){ dy, y->shape }, (struct df_result){ dbias, bias->shape, 1, true });
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

    const struct df_conv_forward_args args = {
        .conv = conv, .x = x->data, .w = weights_of(w), .bias = bias ? bias->data : NULL, .y = y->data
    };

    df_conv_forward(df_tape_device(tape), &args);
    return df_record(tape, conv2d_backward, y, (df_tensor *[]){ x, w, bias }, 3, DF_KEEP(conv));
}

static void linear_backward(df_tape *tape, struct df_node *node)
{
    struct df_device *device = df_tape_device(tape);
    df_tensor *x = node->in[0], *w = node->in[1], *bias = node->in[2];
    const df_real *dy = node->out->grad;
    const size_t rows = node->out->shape.n, out = w->shape.n, in = df_count(w->shape) / out;
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);

    if (dx)
        df_matmul(device, &(struct df_matmul_args){ .m = rows, .n = in, .k = out, .a = dy, .b = weights_of(w), .c = dx, .add = !fresh });

    df_real *dw = df_grad_fresh(tape, w, &fresh);

    if (dw)
        df_matmul(device, &(struct df_matmul_args){
                              .transpose_a = true, .m = out, .n = in, .k = rows, .a = dy, .b = { x->data, 0 }, .c = dw, .add = !fresh });

    df_real *dbias = df_grad_fresh(tape, bias, &fresh);

    if (dbias)
        df_reduce_into(tape, df_grad_of(node->out), (struct df_result){ dbias, bias->shape, 1, !fresh });
}

df_tensor *df_linear(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *bias)
{
    const size_t rows = x->shape.n, out = w->shape.n, in = df_count(w->shape) / out;
    df_tensor *y = df_tensor_new(tape, (df_shape){ rows, 1, 1, out });

    DF_ASSERT(df_count(x->shape) == rows * in);
    DF_ASSERT(!bias || df_same_shape(bias->shape, (df_shape){ 1, 1, 1, out }));
    if (bias)
        df_binary_into(tape, DF_BINARY_FIRST, df_data_of(bias), (struct df_operand){ 0 }, df_over(y));
    df_matmul(df_tape_device(tape),
              &(struct df_matmul_args){
                  .transpose_b = true, .m = rows, .n = out, .k = in, .a = x->data, .b = weights_of(w), .c = y->data, .add = bias != NULL });
    return df_record(tape, linear_backward, y, (df_tensor *[]){ x, w, bias }, 3, DF_KEEP_NOTHING);
}

static void batch_norm_backward(df_tape *tape, struct df_node *node)
{
    struct df_batch_norm_backward_args args = *(const struct df_batch_norm_backward_args *)node->args;
    bool fresh, fresh_skip;

    args.dy = node->out->grad;
    args.dx = df_grad_fresh(tape, node->in[0], &fresh);
    args.add = !fresh;
    args.dgamma = df_grad(tape, node->in[1]);
    args.dbeta = df_grad(tape, node->in[2]);
    args.dskip = df_grad_fresh(tape, node->in[3], &fresh_skip);
    args.add_skip = !fresh_skip;
    if (!args.dx) {
        args.dx = df_tape_device_memory(tape, df_count(args.shape) * sizeof *args.dx);
        args.add = false;
    }
    df_batch_norm_backward(df_tape_device(tape), &args);
}

df_tensor *df_batch_norm(df_tape *tape, df_tensor *x, df_tensor *gamma, df_tensor *beta, struct df_norm_options options)
{
    df_tensor *skip = options.skip;
    const size_t bytes = x->shape.c * sizeof(df_real);
    df_tensor *y = df_tensor_new(tape, x->shape);
    const struct df_batch_norm_forward_args args = {
        .shape = x->shape,
        .eps = options.eps,
        .momentum = options.momentum,
        .training = options.mode == DF_NORM_TRAIN,
        .relu = options.relu,
        .x = x->data,
        .gamma = gamma->data,
        .beta = beta->data,
        .running_mean = options.running_mean,
        .running_var = options.running_var,
        .mean = df_tape_device_memory(tape, bytes),
        .inv_std = df_tape_device_memory(tape, bytes),
        .y = y->data,
        .skip = skip ? skip->data : NULL,
    };
    const struct df_batch_norm_backward_args kept = { .shape = x->shape,
                                                      .training = args.training,
                                                      .relu = args.relu,
                                                      .x = x->data,
                                                      .y = y->data,
                                                      .gamma = gamma->data,
                                                      .mean = args.mean,
                                                      .inv_std = args.inv_std };

    DF_ASSERT(df_count(gamma->shape) == x->shape.c && df_count(beta->shape) == x->shape.c);
    DF_ASSERT(!skip || (df_same_shape(skip->shape, x->shape) && skip != x));
    df_batch_norm_forward(df_tape_device(tape), &args);
    return df_record(tape, batch_norm_backward, y, (df_tensor *[]){ x, gamma, beta, skip }, 4, DF_KEEP(kept));
}
