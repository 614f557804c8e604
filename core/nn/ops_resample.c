/* Upsampling, resizing and pooling. A backward gathers: each source pixel adds up what it gave, in scan order. */
#include "core/nn/ops.h"

df_tensor *df_canvas(df_tape *tape, const struct df_packed_images *images)
{
    const struct df_placed_image *first = &images->image[0], *last = &images->image[images->n - 1];
    const size_t bytes = last->offset + last->height * last->width * 3 - first->offset;
    df_tensor *y = df_tensor_new(tape, (df_shape){ images->n, images->height, images->width, 3 });
    const size_t canvas = df_count(y->shape); /* as much as a batch sends at most, so that what follows lies where it lay the step before */
    uint8_t *sent = df_tape_device_memory(tape, bytes > canvas ? bytes : canvas);
    const struct df_canvas_args args = {
        .image = df_tape_device_copy(tape, images->image, images->n * sizeof *images->image),
        .bytes = sent,
        .normal = df_tape_device_copy(tape, images->normal, 3 * 256 * sizeof *images->normal),
        .y = y->data,
        .first = first->offset,
        .height = images->height,
        .width = images->width,
    };

    df_write(df_tape_device(tape), sent, images->bytes + first->offset, bytes);
    df_launch(df_tape_device(tape), DF_K_CANVAS, images->n * images->height, &args);
    return y;
}

static void nearest_into(df_tape *tape, const df_tensor *x, const df_tensor *fine, df_tensor *y)
{
    const struct df_nearest_args args = { .x = x->data, .fine = fine ? fine->data : NULL, .y = y->data, .from = x->shape, .to = y->shape };

    df_launch(df_tape_device(tape), DF_K_NEAREST, df_pixels(y->shape), &args);
}

static void nearest_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *x = node->in[0], *fine = node->in[1];
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);
    const struct df_nearest_backward_args args = {
        .dy = node->out->grad, .dx = dx, .from = x->shape, .to = node->out->shape, .add = !fresh
    };

    if (dx)
        df_launch(df_tape_device(tape), DF_K_NEAREST_BACKWARD, df_pixels(x->shape), &args);
    df_grad_pass(tape, fine, node->out->grad);
}

static df_shape resized(df_shape s, size_t h, size_t w)
{
    DF_ASSERT(h > 0 && w > 0);
    return (df_shape){ s.n, h, w, s.c };
}

df_tensor *df_upsample_nearest(df_tape *tape, df_tensor *x, size_t h, size_t w)
{
    df_tensor *y = df_tensor_new(tape, resized(x->shape, h, w));

    nearest_into(tape, x, NULL, y);
    return df_record(tape, nearest_backward, y, &x, 1, DF_KEEP_NOTHING);
}

df_tensor *df_upsample_add(df_tape *tape, df_tensor *coarse, df_tensor *fine)
{
    df_tensor *y = df_tensor_new(tape, fine->shape);

    DF_ASSERT(coarse->shape.n == fine->shape.n && coarse->shape.c == fine->shape.c);
    nearest_into(tape, coarse, fine, y);
    return df_record(tape, nearest_backward, y, (df_tensor *[]){ coarse, fine }, 2, DF_KEEP_NOTHING);
}

static void bilinear_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *x = node->in[0];
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);
    const struct df_bilinear_backward_args args = {
        .dy = node->out->grad, .dx = dx, .from = x->shape, .to = node->out->shape, .add = !fresh
    };

    df_launch(df_tape_device(tape), DF_K_BILINEAR_BACKWARD, df_pixels(x->shape), &args);
}

df_tensor *df_resize_bilinear(df_tape *tape, df_tensor *x, size_t h, size_t w)
{
    df_tensor *y = df_tensor_new(tape, resized(x->shape, h, w));
    const struct df_bilinear_args args = { .x = x->data, .y = y->data, .from = x->shape, .to = y->shape };

    df_launch(df_tape_device(tape), DF_K_BILINEAR, df_pixels(y->shape), &args);
    return df_record(tape, bilinear_backward, y, &x, 1, DF_KEEP_NOTHING);
}

static void adaptive_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *x = node->in[0];
    bool fresh;
    df_real *dx = df_grad_fresh(tape, x, &fresh);
    const struct df_adaptive_backward_args args = {
        .dy = node->out->grad, .dx = dx, .from = x->shape, .to = node->out->shape, .add = !fresh
    };

    df_launch(df_tape_device(tape), DF_K_ADAPTIVE_BACKWARD, df_pixels(x->shape), &args);
}

df_tensor *df_adaptive_avg_pool(df_tape *tape, df_tensor *x, size_t h, size_t w)
{
    df_tensor *y = df_tensor_new(tape, resized(x->shape, h, w));
    const struct df_adaptive_args args = { .x = x->data, .y = y->data, .from = x->shape, .to = y->shape };

    df_launch(df_tape_device(tape), DF_K_ADAPTIVE, df_pixels(y->shape), &args);
    return df_record(tape, adaptive_backward, y, &x, 1, DF_KEEP_NOTHING);
}

static void max_pool_backward(df_tape *tape, struct df_node *node)
{
    struct df_max_pool_backward_args args = *(const struct df_max_pool_backward_args *)node->args;

    args.dy = node->out->grad;
    args.dx = df_grad(tape, node->in[0]);
    df_max_pool_backward(df_tape_device(tape), &args);
}

df_tensor *df_max_pool(df_tape *tape, df_tensor *x, size_t kernel, size_t stride, size_t pad)
{
    const struct df_pool pool = { .x = x->shape, .kernel = kernel, .stride = stride, .pad = pad };

    DF_ASSERT(kernel > 0 && stride > 0 && 2 * pad <= kernel && x->shape.h + 2 * pad >= kernel && x->shape.w + 2 * pad >= kernel);

    df_tensor *y = df_tensor_new(tape, df_pool_shape(&pool));
    uint32_t *argmax = df_tape_device_memory(tape, df_count(y->shape) * sizeof *argmax);
    const struct df_max_pool_backward_args kept = { .pool = pool, .argmax = argmax };

    df_max_pool_forward(df_tape_device(tape), &(struct df_max_pool_forward_args){ pool, x->data, y->data, argmax });
    return df_record(tape, max_pool_backward, y, &x, 1, DF_KEEP(kept));
}
