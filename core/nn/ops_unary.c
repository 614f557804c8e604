/* Elementwise functions of one tensor, scaling, softmax. */
#include "core/nn/ops.h"
#include "core/nn/ops_shared.h"

void df_scale_into(df_tape *tape, const df_real *x, df_real *y, size_t count, double factor, bool add)
{
    const struct df_scale_args args = { .x = x, .y = y, .factor = factor, .add = add };

    df_launch(df_tape_device(tape), DF_K_SCALE, count, &args);
}

static df_tensor *unary(df_tape *tape, enum df_kernel kernel, df_backward_fn *backward, df_tensor *x)
{
    df_tensor *y = df_tensor_new(tape, x->shape);
    const struct df_unary_args args = { .x = x->data, .y = y->data };

    df_launch(df_tape_device(tape), kernel, df_count(x->shape), &args);
    return df_record(tape, backward, y, &x, 1, DF_KEEP_NOTHING);
}

/* v: what the derivative is written in */
static void unary_backward(df_tape *tape, struct df_node *node, enum df_kernel kernel, const df_real *v)
{
    bool fresh;
    df_real *dx = df_grad_fresh(tape, node->in[0], &fresh);
    const struct df_unary_backward_args args = { .v = v, .dy = node->out->grad, .dx = dx, .add = !fresh };

    df_launch(df_tape_device(tape), kernel, df_count(node->out->shape), &args);
}

static void relu_backward(df_tape *tape, struct df_node *node) { unary_backward(tape, node, DF_K_RELU_BACKWARD, node->out->data); }

df_tensor *df_relu(df_tape *tape, df_tensor *x) { return unary(tape, DF_K_RELU, relu_backward, x); }

static void sigmoid_backward(df_tape *tape, struct df_node *node) { unary_backward(tape, node, DF_K_SIGMOID_BACKWARD, node->out->data); }

df_tensor *df_sigmoid(df_tape *tape, df_tensor *x) { return unary(tape, DF_K_SIGMOID, sigmoid_backward, x); }

static void exp_backward(df_tape *tape, struct df_node *node) { unary_backward(tape, node, DF_K_EXP_BACKWARD, node->out->data); }

df_tensor *df_exp_op(df_tape *tape, df_tensor *x) { return unary(tape, DF_K_EXP, exp_backward, x); }

static void log_backward(df_tape *tape, struct df_node *node) { unary_backward(tape, node, DF_K_LOG_BACKWARD, node->in[0]->data); }

df_tensor *df_log_op(df_tape *tape, df_tensor *x) { return unary(tape, DF_K_LOG, log_backward, x); }

static void sqrt_backward(df_tape *tape, struct df_node *node) { unary_backward(tape, node, DF_K_SQRT_BACKWARD, node->out->data); }

df_tensor *df_sqrt_op(df_tape *tape, df_tensor *x) { return unary(tape, DF_K_SQRT, sqrt_backward, x); }

static void abs_backward(df_tape *tape, struct df_node *node) { unary_backward(tape, node, DF_K_ABS_BACKWARD, node->in[0]->data); }

df_tensor *df_abs_op(df_tape *tape, df_tensor *x) { return unary(tape, DF_K_ABS, abs_backward, x); }

static void scale_backward(df_tape *tape, struct df_node *node)
{
    bool fresh;
    df_real *dx = df_grad_fresh(tape, node->in[0], &fresh);

    df_scale_into(tape, node->out->grad, dx, df_count(node->out->shape), *(const double *)node->args, !fresh);
}

df_tensor *df_scale(df_tape *tape, df_tensor *x, double factor)
{
    df_tensor *y = df_tensor_new(tape, x->shape);

    df_scale_into(tape, x->data, y->data, df_count(x->shape), factor, false);
    return df_record(tape, scale_backward, y, &x, 1, DF_KEEP(factor));
}

static void scale_by_into(df_tape *tape, const df_real *x, const df_real *scalar, df_real *y, size_t count, bool add)
{
    const struct df_scale_by_args args = { .x = x, .scalar = scalar, .y = y, .add = add };

    df_launch(df_tape_device(tape), DF_K_SCALE_BY, count, &args);
}

static void scale_by_backward(df_tape *tape, struct df_node *node)
{
    bool fresh;
    df_real *dx = df_grad_fresh(tape, node->in[0], &fresh);
    df_real *const *scalar = node->args;

    scale_by_into(tape, node->out->grad, *scalar, dx, df_count(node->out->shape), !fresh);
}

df_tensor *df_scale_by(df_tape *tape, df_tensor *x, const df_tensor *scalar)
{
    df_tensor *y = df_tensor_new(tape, x->shape);

    DF_ASSERT(df_count(scalar->shape) == 1);
    scale_by_into(tape, x->data, scalar->data, y->data, df_count(x->shape), false);
    return df_record(tape, scale_by_backward, y, &x, 1, DF_KEEP(scalar->data));
}

static void softmax_backward(df_tape *tape, struct df_node *node)
{
    const df_tensor *y = node->out;
    bool fresh;
    df_real *dx = df_grad_fresh(tape, node->in[0], &fresh);
    const struct df_softmax_backward_args args = { .y = y->data, .dy = y->grad, .dx = dx, .channels = y->shape.c, .add = !fresh };

    df_launch(df_tape_device(tape), DF_K_SOFTMAX_BACKWARD, df_pixels(y->shape), &args);
}

df_tensor *df_softmax(df_tape *tape, df_tensor *x)
{
    df_tensor *y = df_tensor_new(tape, x->shape);
    const struct df_softmax_args args = { .x = x->data, .y = y->data, .channels = x->shape.c };

    df_launch(df_tape_device(tape), DF_K_SOFTMAX, df_pixels(x->shape), &args);
    return df_record(tape, softmax_backward, y, &x, 1, DF_KEEP_NOTHING);
}
