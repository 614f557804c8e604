/* add, sub, mul, div with broadcasting, and the residual join. Axes that both operands walk alike are merged, so that same shapes become one
 * long row and [1,1,1,C] or a scalar against [N,H,W,C] a plain row. */
#include "core/nn/ops.h"
#include "core/nn/ops_shared.h"

enum { LONG_ROW = 4096 };

static size_t step_of(df_shape s, df_shape y, int axis)
{
    const size_t step[4] = { s.h * s.w * s.c, s.w * s.c, s.c, 1 };

    DF_ASSERT(df_axis_size(s, axis) == df_axis_size(y, axis) || df_axis_size(s, axis) == 1);
    return df_axis_size(s, axis) == 1 ? 0 : step[axis];
}

/* Fills in size, steps and row from the shapes; returns the number of rows. */
static size_t plan(struct df_binary_args *args, df_shape as, df_shape bs, df_shape ys)
{
    size_t size[4] = { 1, 1, 1, 1 }, step_a[4] = { 0 }, step_b[4] = { 0 }, axes = 0; /* innermost first */

    for (int axis = 3; axis >= 0; axis--) {
        const size_t n = df_axis_size(ys, axis), sa = step_of(as, ys, axis), sb = step_of(bs, ys, axis);

        if (n == 1)
            continue;
        if (axes && sa == step_a[axes - 1] * size[axes - 1] && sb == step_b[axes - 1] * size[axes - 1]) {
            size[axes - 1] *= n;
            continue;
        }
        size[axes] = n;
        step_a[axes] = sa;
        step_b[axes++] = sb;
    }
    args->total = df_count(ys);
    args->row = size[0];
    if (axes <= 1 && size[0] > LONG_ROW) {
        args->row = LONG_ROW;
        size[1] = (size[0] + LONG_ROW - 1) / LONG_ROW;
        step_a[1] = LONG_ROW * step_a[0];
        step_b[1] = LONG_ROW * step_b[0];
    }
    for (size_t k = 0; k < 4; k++) {
        args->step_a[3 - k] = step_a[k];
        args->step_b[3 - k] = step_b[k];
        if (k > 0)
            args->size[3 - k] = size[k];
    }
    return size[1] * size[2] * size[3];
}

void df_binary_into(df_tape *tape, enum df_binary_op op, struct df_operand a, struct df_operand b, struct df_result y)
{
    const struct df_operand second = b.data ? b : a;
    struct df_binary_args args = { .a = a.data, .b = second.data, .y = y.data, .op = op, .factor = y.factor, .add = y.add };
    const size_t rows = plan(&args, a.shape, second.shape, y.shape);

    df_launch(df_tape_device(tape), DF_K_BINARY, rows, &args);
}

/* dx (+)= factor (dy op other), summed over the axes x was broadcast along; other NULL: dy alone */
static void pull(df_tape *tape, df_tensor *x, enum df_binary_op op, struct df_operand dy, const df_tensor *other, double factor)
{
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);
    const struct df_operand second = other ? df_data_of(other) : (struct df_operand){ NULL, dy.shape };
    const struct df_result to = { dx, x->shape, factor, !fresh };

    if (!dx)
        return;
    if (df_same_shape(x->shape, dy.shape)) {
        df_binary_into(tape, op, dy, second, to);
        return;
    }
    if (other) {
        df_real *product = df_tape_device_memory(tape, df_count(dy.shape) * sizeof *product);

        df_binary_into(tape, op, dy, second, (struct df_result){ product, dy.shape, 1, false });
        dy.data = product;
    }
    df_reduce_into(tape, dy, to);
}

static void sum_backward(df_tape *tape, struct df_node *node, double sign)
{
    df_tensor *a = node->in[0], *b = node->in[1];

    pull(tape, b, DF_BINARY_FIRST, df_grad_of(node->out), NULL, sign);
    if (df_same_shape(a->shape, node->out->shape))
        df_grad_pass(tape, a, node->out->grad);
    else
        pull(tape, a, DF_BINARY_FIRST, df_grad_of(node->out), NULL, 1);
}

static void add_backward(df_tape *tape, struct df_node *node) { sum_backward(tape, node, 1); }

static void sub_backward(df_tape *tape, struct df_node *node) { sum_backward(tape, node, -1); }

static void mul_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *a = node->in[0], *b = node->in[1];

    pull(tape, a, DF_BINARY_MUL, df_grad_of(node->out), b, 1);
    pull(tape, b, DF_BINARY_MUL, df_grad_of(node->out), a, 1);
}

/* da = dy / b, db = -dy y / b */
static void div_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *a = node->in[0], *b = node->in[1];
    const df_tensor *y = node->out;
    df_real *product;

    pull(tape, a, DF_BINARY_DIV, df_grad_of(y), b, 1);
    if (!b->requires_grad)
        return;
    product = df_tape_device_memory(tape, df_count(y->shape) * sizeof *product);
    df_binary_into(tape, DF_BINARY_MUL, df_grad_of(y), df_data_of(y), (struct df_result){ product, y->shape, 1, false });
    pull(tape, b, DF_BINARY_DIV, (struct df_operand){ product, y->shape }, b, -1);
}

static size_t joint(size_t a, size_t b)
{
    DF_ASSERT(a == b || a == 1 || b == 1);
    return a > b ? a : b;
}

static df_tensor *binary(df_tape *tape, enum df_binary_op op, df_backward_fn *backward, df_tensor *a, df_tensor *b)
{
    const df_shape s = a->shape, t = b->shape, ys = { joint(s.n, t.n), joint(s.h, t.h), joint(s.w, t.w), joint(s.c, t.c) };
    df_tensor *y = df_tensor_new(tape, ys);

    df_binary_into(tape, op, df_data_of(a), df_data_of(b), df_over(y));
    return df_record(tape, backward, y, (df_tensor *[]){ a, b }, 2, DF_KEEP_NOTHING);
}

df_tensor *df_add(df_tape *tape, df_tensor *a, df_tensor *b) { return binary(tape, DF_BINARY_ADD, add_backward, a, b); }

df_tensor *df_sub(df_tape *tape, df_tensor *a, df_tensor *b) { return binary(tape, DF_BINARY_SUB, sub_backward, a, b); }

df_tensor *df_mul(df_tape *tape, df_tensor *a, df_tensor *b) { return binary(tape, DF_BINARY_MUL, mul_backward, a, b); }

df_tensor *df_div(df_tape *tape, df_tensor *a, df_tensor *b) { return binary(tape, DF_BINARY_DIV, div_backward, a, b); }

static void mask_into(df_tape *tape, const df_tensor *y, df_tensor *x)
{
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);
    const struct df_relu_backward_args args = { .v = y->data, .dy = y->grad, .dx = dx, .add = !fresh };

    if (dx)
        df_launch(df_tape_device(tape), DF_K_RELU_BACKWARD, df_count(y->shape), &args);
}

static void add_relu_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *a = node->in[0], *b = node->in[1];
    const df_tensor *y = node->out;
    bool fresh_a, fresh_b;

    if (a == b || !a->requires_grad || !b->requires_grad) {
        mask_into(tape, y, a);
        mask_into(tape, y, b);
        return;
    }
    struct df_add_relu_backward_args args = { .y = y->data, .dy = y->grad };

    args.da = df_grad_fresh(tape, a, &fresh_a);
    args.db = df_grad_fresh(tape, b, &fresh_b);
    args.add_a = !fresh_a;
    args.add_b = !fresh_b;
    df_launch(df_tape_device(tape), DF_K_ADD_RELU_BACKWARD, df_count(y->shape), &args);
}

df_tensor *df_add_relu(df_tape *tape, df_tensor *a, df_tensor *b)
{
    df_tensor *y = df_tensor_new(tape, a->shape);
    const struct df_add_relu_args args = { .a = a->data, .b = b->data, .y = y->data };

    DF_ASSERT(df_same_shape(a->shape, b->shape));
    df_launch(df_tape_device(tape), DF_K_ADD_RELU, df_count(y->shape), &args);
    return df_record(tape, add_relu_backward, y, (df_tensor *[]){ a, b }, 2, DF_KEEP_NOTHING);
}
