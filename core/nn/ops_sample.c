/* Rows taken by number, boxes out of deltas, bilinear samples; the arithmetic stands in core/device/kernels_sample.h. */
#include "core/nn/ops.h"

/* ---- rows ---- */

struct taken {
    const uint32_t *row; /* on the device */
    size_t width;
};

static void take_rows_backward(df_tape *tape, struct df_node *node)
{
    const struct taken *taken = node->args;
    const struct df_taken_rows_args args = {
        .x = node->out->grad, .y = df_grad(tape, node->in[0]), .row = taken->row, .width = taken->width
    };

    df_launch(df_tape_device(tape), DF_K_GIVE_ROWS, df_pixels(node->out->shape), &args);
}

df_tensor *df_take_rows(df_tape *tape, df_tensor *x, const uint32_t *row, size_t count)
{
    df_tensor *y = df_tensor_new(tape, (df_shape){ count, 1, 1, x->shape.c });
    const struct taken taken = { df_tape_device_copy(tape, row, count * sizeof *row), x->shape.c };
    const struct df_taken_rows_args args = { .x = x->data, .y = y->data, .row = taken.row, .width = taken.width };

    for (size_t i = 0; i < count; i++)
        DF_ASSERT(row[i] < df_pixels(x->shape) && (!x->requires_grad || i == 0 || row[i - 1] < row[i]));
    df_launch(df_tape_device(tape), DF_K_TAKE_ROWS, count, &args);
    return df_record(tape, take_rows_backward, y, &x, 1, DF_KEEP(taken));
}

/* ---- boxes ---- */

static void box_corners_backward(df_tape *tape, struct df_node *node)
{
    const struct df_box_corners_args *kept = node->args;
    struct df_box_corners_backward_args args = { .x = kept->x, .dy = node->out->grad, .reference = kept->reference };
    bool fresh;

    args.dx = df_grad_fresh(tape, node->in[0], &fresh);
    args.add = !fresh;
    for (size_t k = 0; k < 4; k++)
        args.weights[k] = kept->weights[k];
    df_launch(df_tape_device(tape), DF_K_BOX_CORNERS_BACKWARD, node->out->shape.n, &args);
}

df_tensor *df_box_corners(df_tape *tape, df_tensor *deltas, const struct df_box *reference, const float weights[4])
{
    df_tensor *y = df_tensor_new(tape, deltas->shape);
    struct df_box_corners_args args = { .x = deltas->data, .y = y->data };

    DF_ASSERT(deltas->shape.c == 4 && deltas->shape.n == df_pixels(deltas->shape));
    args.reference = df_tape_device_copy(tape, reference, deltas->shape.n * sizeof *reference);
    for (size_t k = 0; k < 4; k++)
        args.weights[k] = (double)weights[k];
    df_launch(df_tape_device(tape), DF_K_BOX_CORNERS, deltas->shape.n, &args);
    return df_record(tape, box_corners_backward, y, &deltas, 1, DF_KEEP(args));
}

/* ---- samples ---- */

static void grid_sample_backward(df_tape *tape, struct df_node *node)
{
    const struct df_sampling *grid = node->args;
    struct df_device *device = df_tape_device(tape);
    struct df_grid_sample_backward_args to_x = { .grid = *grid, .dy = node->out->grad };
    struct df_grid_sample_slope_args to_grid = { .grid = *grid, .dy = node->out->grad };
    bool fresh;

    to_x.dx = df_grad_fresh(tape, node->in[0], &fresh);
    to_x.add = !fresh;
    if (to_x.dx)
        df_launch(device, DF_K_GRID_SAMPLE_BACKWARD, grid->from.n * grid->from.h, &to_x);
    to_grid.dgrid = df_grad_fresh(tape, node->in[1], &fresh);
    to_grid.add = !fresh;
    if (to_grid.dgrid)
        df_launch(device, DF_K_GRID_SAMPLE_SLOPE, df_pixels(grid->to), &to_grid);
}

df_tensor *df_grid_sample(df_tape *tape, df_tensor *x, df_tensor *grid, const uint32_t *image, struct df_grid_options options)
{
    const df_shape at = grid->shape, shape = { at.n, at.h, at.w, x->shape.c };
    df_tensor *y = df_tensor_new(tape, shape);
    struct df_grid_sample_args args = { .grid = { x->data, grid->data, NULL, x->shape, shape, options }, .y = y->data };

    DF_ASSERT(at.c == 2 && (image || at.n == x->shape.n));
    for (size_t r = 0; image && r < at.n; r++)
        DF_ASSERT(image[r] < x->shape.n);
    if (image)
        args.grid.image = df_tape_device_copy(tape, image, at.n * sizeof *image);
    df_launch(df_tape_device(tape), DF_K_GRID_SAMPLE, df_pixels(shape), &args);
    return df_record(tape, grid_sample_backward, y, (df_tensor *[]){ x, grid }, 2, DF_KEEP(args.grid));
}
