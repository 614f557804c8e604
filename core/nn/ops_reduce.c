/* Sums, means and maxima over chosen axes. Sums: one partial per piece in double, then the partials in index order. */
#include "core/nn/ops.h"
#include "core/nn/ops_shared.h"

enum { RUN_CHUNK = 4096, ROW_CHUNK = DF_ROW_CHUNK };

struct axes {
    size_t count, size[4], step[4]; /* innermost first, neighbours of one kind merged; unused: size 1 */
    bool reduced[4];
};

static struct axes merge_axes(df_shape xs, df_shape ys)
{
    struct axes axes = { .size = { 1, 1, 1, 1 } };
    size_t step = 1;

    for (int axis = 3; axis >= 0; axis--) {
        const size_t n = df_axis_size(xs, axis);
        const bool reduced = df_axis_size(ys, axis) != n;

        DF_ASSERT(!reduced || df_axis_size(ys, axis) == 1);
        if (n == 1)
            continue;
        if (!axes.count || axes.reduced[axes.count - 1] != reduced) {
            axes.step[axes.count] = step;
            axes.reduced[axes.count++] = reduced;
        }
        axes.size[axes.count - 1] *= n;
        step *= n;
    }
    return axes;
}

void df_reduce_into(df_tape *tape, struct df_operand x, struct df_result y)
{
    struct df_device *device = df_tape_device(tape);
    const struct axes axes = merge_axes(x.shape, y.shape);
    const size_t *size = axes.size, *step = axes.step;
    struct df_reduce_final_args last = { .y = y.data, .factor = y.factor, .add = y.add };

    if (axes.count == 0 || (axes.count == 1 && !axes.reduced[0])) {
        df_scale_into(tape, x.data, y.data, df_count(x.shape), y.factor, y.add);
        return;
    }
    if (axes.reduced[0]) {
        struct df_reduce_runs_args args = { .x = x.data,
                                            .keep = { size[3], size[1] },
                                            .keep_step = { step[3], step[1] },
                                            .outer = size[2],
                                            .outer_step = step[2],
                                            .run = size[0],
                                            .chunk = RUN_CHUNK };

        args.chunks = df_chunks_of(size[0], RUN_CHUNK);
        last.count = size[2] * args.chunks;
        last.width = 1;
        last.partial = args.partial = df_tape_device_memory(tape, df_count(y.shape) * last.count * sizeof(double));
        df_launch(device, DF_K_REDUCE_RUNS, df_count(y.shape) * last.count, &args);
    } else {
        struct df_reduce_rows_args args = { .x = x.data,
                                            .keep_step = step[2],
                                            .size = { size[3], size[1] },
                                            .step = { step[3], step[1] },
                                            .width = size[0],
                                            .chunk = ROW_CHUNK };

        args.chunks = last.count = df_chunks_of(size[1] * size[3], ROW_CHUNK);
        last.width = size[0];
        last.partial = args.partial = df_tape_device_memory(tape, df_count(y.shape) * last.count * sizeof(double));
        df_launch(device, DF_K_REDUCE_ROWS, size[2] * args.chunks, &args);
    }
    df_launch(device, DF_K_REDUCE_FINAL, df_count(y.shape), &last);
}

static df_shape reduced_shape(df_shape s, unsigned axes)
{
    DF_ASSERT(axes < 16);
    return (df_shape){ axes & 1 ? 1 : s.n, axes & 2 ? 1 : s.h, axes & 4 ? 1 : s.w, axes & 8 ? 1 : s.c };
}

static void sum_backward(df_tape *tape, struct df_node *node)
{
    const df_tensor *y = node->out;
    bool fresh;
    df_real *dx = df_grad_fresh(tape, node->in[0], &fresh);

    df_binary_into(tape, DF_BINARY_FIRST, df_grad_of(y), (struct df_operand){ 0 },
                   (struct df_result){ dx, node->in[0]->shape, *(const double *)node->args, !fresh });
}

static df_tensor *sum_times(df_tape *tape, df_tensor *x, unsigned axes, double factor)
{
    df_tensor *y = df_tensor_new(tape, reduced_shape(x->shape, axes));

    df_reduce_into(tape, df_data_of(x), (struct df_result){ y->data, y->shape, factor, false });
    return df_record(tape, sum_backward, y, &x, 1, DF_KEEP(factor));
}

df_tensor *df_sum(df_tape *tape, df_tensor *x, unsigned axes) { return sum_times(tape, x, axes, 1); }

df_tensor *df_mean(df_tape *tape, df_tensor *x, unsigned axes)
{
    return sum_times(tape, x, axes, (double)df_count(reduced_shape(x->shape, axes)) / (double)df_count(x->shape));
}

static void max_backward(df_tape *tape, struct df_node *node)
{
    uint32_t *const *index = node->args;
    const struct df_max_backward_args args = { .dy = node->out->grad, .index = *index, .dx = df_grad(tape, node->in[0]) };

    df_launch(df_tape_device(tape), DF_K_MAX_BACKWARD, df_count(node->out->shape), &args);
}

df_tensor *df_max(df_tape *tape, df_tensor *x, unsigned axes)
{
    df_tensor *y = df_tensor_new(tape, reduced_shape(x->shape, axes));
    uint32_t *index = df_tape_device_memory(tape, df_count(y->shape) * sizeof *index);
    const struct df_max_args args = { .x = x->data, .y = y->data, .index = index, .shape = x->shape, .kept = y->shape };

    DF_ASSERT(df_count(x->shape) <= UINT32_MAX);
    df_launch(df_tape_device(tape), DF_K_MAX, df_count(y->shape), &args);
    return df_record(tape, max_backward, y, &x, 1, DF_KEEP(index));
}
