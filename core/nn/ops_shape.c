/* Concatenation, slices, views. A tensor cut at an axis is `outer` rows, one for each index of the axes before it. */
#include "core/nn/ops.h"
#include "core/nn/ops_shared.h"

enum { MOST_PARTS = 16 };

/* Elements before the axis, and in one step of it. */
static size_t outer_of(df_shape s, int axis)
{
    const size_t outer[4] = { 1, s.n, s.n * s.h, s.n * s.h * s.w };

    return outer[axis];
}

static df_shape with_axis(df_shape s, int axis, size_t size)
{
    switch (axis) {
    case 0:
        s.n = size;
        break;
    case 1:
        s.h = size;
        break;
    case 2:
        s.w = size;
        break;
    default:
        s.c = size;
        break;
    }
    return s;
}

/* Row r of y (+)= row r of x */
static void move_rows(df_tape *tape, size_t rows, struct df_rows_args args, bool add)
{
    struct df_device *device = df_tape_device(tape);

    if (rows == 1 && add)
        df_scale_into(tape, args.x, args.y, args.row, 1, true);
    else if (rows == 1)
        df_copy(device, args.y, args.x, args.row * sizeof *args.y);
    else
        df_launch(device, add ? DF_K_ADD_ROWS : DF_K_COPY_ROWS, rows, &args);
}

struct concat {
    size_t count;
    int axis;
    df_tensor *part[MOST_PARTS];
};

static void concat_backward(df_tape *tape, struct df_node *node)
{
    const struct concat *concat = node->args;
    const size_t rows = outer_of(node->out->shape, concat->axis), step = df_count(node->out->shape) / rows;
    const df_real *dy = node->out->grad;

    for (size_t i = 0; i < concat->count; i++) {
        const size_t row = df_count(concat->part[i]->shape) / rows;
        bool fresh;
        df_real *dx = df_grad_fresh(tape, concat->part[i], &fresh);

        if (dx)
            move_rows(tape, rows, (struct df_rows_args){ dy, dx, step, row, row }, !fresh);
        dy += row;
    }
}

df_tensor *df_concat(df_tape *tape, df_tensor *const *parts, size_t count, int axis)
{
    struct concat concat = { .count = count, .axis = axis };
    size_t total = 0;

    DF_ASSERT(count >= 1 && count <= MOST_PARTS && axis >= 0 && axis < 4);
    for (size_t i = 0; i < count; i++) {
        DF_ASSERT(df_same_shape(with_axis(parts[i]->shape, axis, 1), with_axis(parts[0]->shape, axis, 1)));
        concat.part[i] = parts[i];
        total += df_axis_size(parts[i]->shape, axis);
    }
    df_tensor *y = df_tensor_new(tape, with_axis(parts[0]->shape, axis, total));
    const size_t rows = outer_of(y->shape, axis), step = df_count(y->shape) / rows;
    df_real *to = y->data;

    for (size_t i = 0; i < count; i++) {
        const size_t row = df_count(parts[i]->shape) / rows;

        move_rows(tape, rows, (struct df_rows_args){ parts[i]->data, to, row, step, row }, false);
        to += row;
    }
    return df_record(tape, concat_backward, y, parts, count, DF_KEEP(concat));
}

struct slice {
    size_t rows, step, first; /* of x: rows, elements from one to the next, where the slice starts in each */
};

static void slice_backward(df_tape *tape, struct df_node *node)
{
    const struct slice *slice = node->args;
    const size_t row = df_count(node->out->shape) / slice->rows;
    df_real *dx = df_grad(tape, node->in[0]);

    move_rows(tape, slice->rows, (struct df_rows_args){ node->out->grad, dx + slice->first, row, slice->step, row }, true);
}

df_tensor *df_slice(df_tape *tape, df_tensor *x, int axis, size_t begin, size_t end)
{
    DF_ASSERT(axis >= 0 && axis < 4 && begin < end && end <= df_axis_size(x->shape, axis));

    const df_shape shape = with_axis(x->shape, axis, end - begin);
    struct slice slice = { .rows = outer_of(x->shape, axis) };

    slice.step = df_count(x->shape) / slice.rows;
    slice.first = slice.step / df_axis_size(x->shape, axis) * begin;

    df_tensor *y = slice.rows == 1 ? df_tensor_view(tape, shape, x->data + slice.first) : df_tensor_new(tape, shape);
    const size_t row = df_count(shape) / slice.rows;

    if (slice.rows > 1)
        move_rows(tape, slice.rows, (struct df_rows_args){ x->data + slice.first, y->data, slice.step, row, row }, false);
    return df_record(tape, slice_backward, y, &x, 1, DF_KEEP(slice));
}

static void reshape_backward(df_tape *tape, struct df_node *node) { df_grad_pass(tape, node->in[0], node->out->grad); }

df_tensor *df_reshape(df_tape *tape, df_tensor *x, df_shape shape)
{
    DF_ASSERT(df_count(shape) == df_count(x->shape));
    return df_record(tape, reshape_backward, df_tensor_view(tape, shape, x->data), &x, 1, DF_KEEP_NOTHING);
}

df_tensor *df_detach(df_tape *tape, df_tensor *x) { return df_tensor_view(tape, x->shape, x->data); }
