/* Every op with shapes whose axes all differ: one row each, used by the gradient check (double build) and by `cpu` against `ref`. */
#ifndef DF_TESTS_OP_CASES_H
#define DF_TESTS_OP_CASES_H
#include "core/nn/ops.h"

struct op_case {
    const char *name;
    df_tensor *(*build)(df_tape *tape, df_tensor **in, const struct op_case *op);
    size_t inputs;
    df_shape shape[5];
    bool positive;    /* inputs in [0.5, ...) */
    bool constant[5]; /* needs no gradient */
    int option;
};

enum { TRAIN = 1, RELU = 2, BIAS = 4, JOIN = 8 };

static df_tensor *case_conv(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    const struct df_conv_options options = { .stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 2, .relu = op->option & RELU };

    return df_conv2d(tape, in[0], in[1], op->option & BIAS ? in[2] : NULL, options);
}

static df_tensor *case_linear(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    return df_linear(tape, in[0], in[1], op->option & BIAS ? in[2] : NULL);
}

static df_tensor *case_batch_norm(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    df_tensor *skip = op->option & JOIN ? df_scale(tape, in[0], -0.7) : NULL;
    df_tensor *y = df_batch_norm(tape, in[0], in[1], in[2],
                                 (struct df_norm_options){ in[3]->data, in[4]->data, 0.01, 0.3,
                                                           op->option & TRAIN ? DF_NORM_TRAIN : DF_NORM_EVAL, op->option & RELU, skip });

    return skip ? df_add(tape, y, skip) : y; /* whose gradient comes from two sides */
}

#define CASE_UNARY(name)                                                                                                                   \
    static df_tensor *case_##name(df_tape *tape, df_tensor **in, const struct op_case *op)                                                 \
    {                                                                                                                                      \
        (void)op;                                                                                                                          \
        return df_##name(tape, in[0]);                                                                                                     \
    }
CASE_UNARY(relu)
CASE_UNARY(sigmoid)
CASE_UNARY(exp_op)
CASE_UNARY(log_op)
CASE_UNARY(sqrt_op)
CASE_UNARY(abs_op)
CASE_UNARY(softmax)
#define CASE_BINARY(name)                                                                                                                  \
    static df_tensor *case_##name(df_tape *tape, df_tensor **in, const struct op_case *op)                                                 \
    {                                                                                                                                      \
        return df_##name(tape, in[0], in[op->inputs - 1]);                                                                                 \
    }
CASE_BINARY(add)
CASE_BINARY(sub)
CASE_BINARY(mul)
CASE_BINARY(div)
CASE_BINARY(add_relu)
CASE_BINARY(upsample_add)
#define CASE_AXES(name)                                                                                                                    \
    static df_tensor *case_##name(df_tape *tape, df_tensor **in, const struct op_case *op)                                                 \
    {                                                                                                                                      \
        return df_##name(tape, in[0], (unsigned)op->option);                                                                               \
    }
CASE_AXES(sum)
CASE_AXES(mean)
CASE_AXES(max)
#define CASE_RESIZE(name)                                                                                                                  \
    static df_tensor *case_##name(df_tape *tape, df_tensor **in, const struct op_case *op)                                                 \
    {                                                                                                                                      \
        return df_##name(tape, in[0], (size_t)op->option / 16, (size_t)op->option % 16);                                                   \
    }
CASE_RESIZE(upsample_nearest)
CASE_RESIZE(resize_bilinear)
CASE_RESIZE(adaptive_avg_pool)

static df_tensor *case_scale(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    (void)op;
    return df_scale(tape, in[0], -1.75);
}

static df_tensor *case_scale_by(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    (void)op;
    return df_scale_by(tape, in[0], in[1]);
}

static df_tensor *case_concat(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    return df_concat(tape, (df_tensor *[]){ in[0], in[1], in[2], in[0] }, 4, op->option);
}

/* [1, 2) of two slices, the whole of it again: the overlap gets the sum */
static df_tensor *case_slice(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    df_tensor *part = df_slice(tape, in[0], op->option, 1, 2);

    return df_mul(tape, df_exp_op(tape, df_slice(tape, in[0], op->option, 0, 2)), part);
}

static df_tensor *case_reshape(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    (void)op;
    df_tensor *flat = df_reshape(tape, in[0], (df_shape){ 5, 1, 8, 3 });

    return df_mul(tape, df_exp_op(tape, flat), df_reshape(tape, in[0], (df_shape){ 5, 1, 8, 3 }));
}

static df_tensor *case_standardise(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    (void)op;
    return df_standardise(tape, in[0], 0.1);
}

static df_tensor *case_softmax_cells(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    return df_softmax_cells(tape, in[0], op->option / 10.0);
}

static df_tensor *case_max_pool(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    return df_max_pool(tape, in[0], (size_t)op->option / 100, (size_t)op->option / 10 % 10, (size_t)op->option % 10);
}

static df_tensor *case_take_rows(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    (void)op;
    return df_take_rows(tape, in[0], (const uint32_t[]){ 1, 2, 5, 23 }, 4);
}

/* Small weights of the sizes: some are beyond what a box may grow by and get no gradient. */
static df_tensor *case_box_corners(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    static const struct df_box reference[4] = { { 1, 2, 6, 4 }, { -3, 0.5F, 0, 9 }, { 2, 2, 2.5F, 3 }, { 0, 0, 0.25F, 0.125F } };

    (void)op;
    return df_box_corners(tape, in[0], reference, (const float[]){ 2, 1.5F, 0.1F, 0.25F });
}

/* option: 1 border, 2 aligned corners, 4 rows of other images than their own. The numbers reach beyond the map. */
static df_tensor *case_grid_sample(df_tape *tape, df_tensor **in, const struct op_case *op)
{
    static const uint32_t image[4] = { 1, 0, 1, 1 };

    return df_grid_sample(tape, in[0], in[1], op->option & 4 ? image : NULL,
                          (struct df_grid_options){ .border = op->option & 1, .align_corners = op->option & 2 });
}

/* clang-format off */
static const struct op_case op_cases[] = {
    { "conv2d", case_conv, 2, { { 2, 5, 7, 3 }, { 4, 3, 2, 3 } }, .option = 0 },
    { "conv2d bias", case_conv, 3, { { 2, 5, 7, 3 }, { 4, 3, 2, 3 }, { 1, 1, 1, 4 } }, .option = BIAS },
    { "conv2d bias relu", case_conv, 3, { { 2, 5, 7, 3 }, { 4, 3, 2, 3 }, { 1, 1, 1, 4 } }, .option = BIAS | RELU },
    { "conv2d frozen weight", case_conv, 3, { { 2, 5, 7, 3 }, { 4, 3, 2, 3 }, { 1, 1, 1, 4 } }, .option = BIAS | RELU, .constant = { false, true } },
    { "conv2d frozen input", case_conv, 3, { { 2, 5, 7, 3 }, { 4, 3, 2, 3 }, { 1, 1, 1, 4 } }, .option = BIAS, .constant = { true } },
    { "linear", case_linear, 2, { { 4, 1, 1, 6 }, { 5, 1, 1, 6 } }, .option = 0 },
    { "linear bias", case_linear, 3, { { 4, 2, 1, 3 }, { 5, 1, 1, 6 }, { 1, 1, 1, 5 } }, .option = BIAS },
    { "batch_norm train", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, 0, 0, true, true }, TRAIN },
    { "batch_norm train relu", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, 0, 0, true, true }, TRAIN | RELU },
    { "batch_norm train join", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, 0, 0, true, true }, TRAIN | RELU | JOIN },
    { "batch_norm eval join", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, 0, 0, true, true }, JOIN },
    { "batch_norm eval", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, 0, 0, true, true }, 0 },
    { "batch_norm eval relu", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, 0, 0, true, true }, RELU },
    { "batch_norm frozen gamma", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { 0, true, 0, true, true }, 0 },
    { "batch_norm frozen input", case_batch_norm, 5, { { 2, 3, 4, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 }, { 1, 1, 1, 5 } }, true, { true, 0, true, true, true }, TRAIN },
    { "relu", case_relu, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "sigmoid", case_sigmoid, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "exp", case_exp_op, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "log", case_log_op, 1, { { 2, 3, 4, 5 } }, .positive = true },
    { "sqrt", case_sqrt_op, 1, { { 2, 3, 4, 5 } }, .positive = true },
    { "abs", case_abs_op, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "softmax", case_softmax, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "scale", case_scale, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "scale_by", case_scale_by, 2, { { 2, 3, 4, 5 }, { 1, 1, 1, 1 } }, .constant = { false, true } },
    { "add x x", case_add, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "sub x x", case_sub, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "mul x x", case_mul, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "div x x", case_div, 1, { { 2, 3, 4, 5 } }, .positive = true },
    { "add long rows", case_add, 2, { { 1, 1, 6, 900 }, { 1, 1, 6, 900 } }, .constant = { true } },
    { "add_relu", case_add_relu, 2, { { 2, 3, 4, 5 }, { 2, 3, 4, 5 } }, .option = 0 },
    { "add_relu x x", case_add_relu, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "add_relu frozen a", case_add_relu, 2, { { 2, 3, 4, 5 }, { 2, 3, 4, 5 } }, .constant = { true } },
    { "sum n w", case_sum, 1, { { 2, 3, 4, 5 } }, .option = 5 },
    { "mean h c", case_mean, 1, { { 2, 3, 4, 5 } }, .option = 10 },
    { "max h w", case_max, 1, { { 2, 3, 4, 5 } }, .option = 6 },
    { "concat n", case_concat, 3, { { 2, 3, 4, 5 }, { 1, 3, 4, 5 }, { 3, 3, 4, 5 } }, .option = 0 },
    { "concat h", case_concat, 3, { { 2, 3, 4, 5 }, { 2, 1, 4, 5 }, { 2, 2, 4, 5 } }, .option = 1 },
    { "concat w", case_concat, 3, { { 2, 3, 4, 5 }, { 2, 3, 1, 5 }, { 2, 3, 2, 5 } }, .option = 2 },
    { "concat c", case_concat, 3, { { 2, 3, 4, 5 }, { 2, 3, 4, 1 }, { 2, 3, 4, 7 } }, .constant = { false, true }, .option = 3 },
    { "slice n", case_slice, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "slice h", case_slice, 1, { { 2, 3, 4, 5 } }, .option = 1 },
    { "slice w", case_slice, 1, { { 2, 3, 4, 5 } }, .option = 2 },
    { "slice c", case_slice, 1, { { 2, 3, 4, 5 } }, .option = 3 },
    { "reshape", case_reshape, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "standardise", case_standardise, 1, { { 2, 3, 4, 5 } }, .option = 0 },
    { "standardise many rows", case_standardise, 1, { { 2, 5, 8, 3 } }, .option = 0 },
    { "softmax_cells", case_softmax_cells, 1, { { 2, 3, 4, 5 } }, .option = 10 },
    { "softmax_cells many cells", case_softmax_cells, 1, { { 2, 11, 13, 3 } }, .option = 25 },
    { "upsample_nearest x2", case_upsample_nearest, 1, { { 2, 3, 4, 5 } }, .option = 6 * 16 + 8 },
    { "upsample_nearest odd", case_upsample_nearest, 1, { { 2, 3, 4, 5 } }, .option = 5 * 16 + 7 },
    { "upsample_nearest down", case_upsample_nearest, 1, { { 2, 5, 7, 3 } }, .option = 3 * 16 + 2 },
    { "upsample_add", case_upsample_add, 2, { { 2, 3, 4, 5 }, { 2, 6, 7, 5 } }, .option = 0 },
    { "upsample_add frozen coarse", case_upsample_add, 2, { { 2, 3, 4, 5 }, { 2, 6, 7, 5 } }, .constant = { true } },
    { "resize_bilinear up", case_resize_bilinear, 1, { { 2, 3, 4, 5 } }, .option = 7 * 16 + 9 },
    { "resize_bilinear down", case_resize_bilinear, 1, { { 2, 7, 9, 3 } }, .option = 3 * 16 + 2 },
    { "resize_bilinear mixed", case_resize_bilinear, 1, { { 2, 1, 6, 3 } }, .option = 4 * 16 + 1 },
    { "adaptive_avg_pool down", case_adaptive_avg_pool, 1, { { 2, 5, 7, 3 } }, .option = 3 * 16 + 4 },
    { "adaptive_avg_pool up", case_adaptive_avg_pool, 1, { { 2, 2, 3, 19 } }, .option = 4 * 16 + 5 },
    { "max_pool 3 2 1", case_max_pool, 1, { { 2, 5, 6, 3 } }, .option = 321 },
    { "max_pool 2 2 0", case_max_pool, 1, { { 2, 5, 6, 3 } }, .option = 220 },
    { "take_rows", case_take_rows, 1, { { 2, 3, 4, 5 } } },
    { "take_rows wide", case_take_rows, 1, { { 2, 3, 4, 37 } } },
    { "box_corners", case_box_corners, 1, { { 4, 1, 1, 4 } } },
    { "grid_sample", case_grid_sample, 2, { { 2, 5, 7, 3 }, { 2, 4, 6, 2 } }, .option = 0 },
    { "grid_sample border", case_grid_sample, 2, { { 2, 5, 7, 3 }, { 2, 4, 6, 2 } }, .option = 1 },
    { "grid_sample aligned", case_grid_sample, 2, { { 2, 5, 7, 37 }, { 2, 3, 2, 2 } }, .option = 2 },
    { "grid_sample of images", case_grid_sample, 2, { { 2, 5, 7, 3 }, { 4, 6, 2, 2 } }, .option = 4 },
    { "grid_sample of images aligned border", case_grid_sample, 2, { { 2, 5, 7, 3 }, { 4, 6, 2, 2 } }, .option = 7 },
    { "grid_sample frozen map", case_grid_sample, 2, { { 2, 5, 7, 3 }, { 4, 3, 2, 2 } }, .option = 4, .constant = { true } },
    { "grid_sample frozen grid", case_grid_sample, 2, { { 2, 5, 7, 3 }, { 2, 3, 2, 2 } }, .option = 0, .constant = { false, true } },
};
/* clang-format on */
enum { OP_CASES = sizeof op_cases / sizeof op_cases[0] };
#endif
