/* Normalisation over the cells of a map: to deviation 1 per channel, to a distribution per image and channel. Statistics: one partial per
 * chunk of cells, then the partials in index order. */
#include "core/nn/ops.h"
#include "core/nn/ops_shared.h"

struct standardise {
    double *std, eps;
};

/* Per channel: the sum over chunks of a partial, divided, in device memory. */
static double *channel_stats(df_tape *tape, const double *partial, size_t chunks, size_t channels, double divisor, bool root)
{
    double *out = df_tape_device_memory(tape, channels * sizeof *out);
    const struct df_standardise_stats_args args = {
        .partial = partial, .out = out, .chunks = chunks, .channels = channels, .divisor = divisor, .root = root
    };

    df_launch(df_tape_device(tape), DF_K_STANDARDISE_STATS, channels, &args);
    return out;
}

static void standardise_backward(df_tape *tape, struct df_node *node)
{
    struct df_device *device = df_tape_device(tape);
    const struct standardise *standardise = node->args;
    const df_tensor *y = node->out;
    const size_t rows = df_pixels(y->shape), channels = y->shape.c, chunks = df_chunks_of(rows, DF_ROW_CHUNK);
    const size_t bytes = chunks * channels * sizeof(double);
    const struct df_channel_sums_args sums = { .u = y->grad,
                                               .v = y->data,
                                               .sum_u = df_tape_device_memory(tape, bytes),
                                               .sum_uv = df_tape_device_memory(tape, bytes),
                                               .rows = rows,
                                               .channels = channels,
                                               .chunk = DF_ROW_CHUNK };
    struct df_standardise_backward_args args = {
        .y = y->data, .dy = y->grad, .std = standardise->std, .channels = channels, .eps = standardise->eps
    };
    bool fresh;

    df_launch(device, DF_K_CHANNEL_SUMS, chunks, &sums);
    args.mean_dy = channel_stats(tape, sums.sum_u, chunks, channels, (double)rows, false);
    args.dot = channel_stats(tape, sums.sum_uv, chunks, channels, (double)(rows - 1), false);
    args.dx = df_grad_fresh(tape, node->in[0], &fresh);
    args.add = !fresh;
    df_launch(device, DF_K_STANDARDISE_BACKWARD, rows, &args);
}

df_tensor *df_standardise(df_tape *tape, df_tensor *x, double eps)
{
    struct df_device *device = df_tape_device(tape);
    df_tensor *y = df_tensor_new(tape, x->shape);
    const size_t rows = df_pixels(x->shape), channels = x->shape.c, chunks = df_chunks_of(rows, DF_ROW_CHUNK);
    double *partial = df_tape_device_memory(tape, chunks * channels * sizeof *partial);
    struct df_channel_sums_args sums = { .u = x->data, .sum_u = partial, .rows = rows, .channels = channels, .chunk = DF_ROW_CHUNK };
    struct df_standardise_args args = { .x = x->data, .y = y->data, .channels = channels, .eps = eps };

    DF_ASSERT(rows >= 2);
    df_launch(device, DF_K_CHANNEL_SUMS, chunks, &sums);
    args.mean = sums.mean = channel_stats(tape, partial, chunks, channels, (double)rows, false);
    sums.square = true;
    df_launch(device, DF_K_CHANNEL_SUMS, chunks, &sums);

    const struct standardise kept = { .std = channel_stats(tape, partial, chunks, channels, (double)(rows - 1), true), .eps = eps };

    args.std = kept.std;
    df_launch(device, DF_K_STANDARDISE, rows, &args);
    return df_record(tape, standardise_backward, y, &x, 1, DF_KEEP(kept));
}

/* ---- softmax over cells ---- */

double *df_cells_log_sums(df_tape *tape, const df_tensor *x, double temperature)
{
    struct df_device *device = df_tape_device(tape);
    const size_t cells = x->shape.h * x->shape.w, columns = x->shape.n * x->shape.c;
    struct df_cells_log_sum_args args = { .x = x->data, .cells = cells, .channels = x->shape.c, .chunk = DF_ROW_CHUNK };
    struct df_cells_log_sum_final_args last = { .channels = x->shape.c, .out = df_tape_device_memory(tape, columns * sizeof(double)) };

    DF_ASSERT(temperature > 0);
    args.cold = last.cold = 1 / temperature;
    args.chunks = last.chunks = df_chunks_of(cells, DF_ROW_CHUNK);
    last.largest = args.largest = df_tape_device_memory(tape, columns * args.chunks * sizeof(double));
    last.sum = args.sum = df_tape_device_memory(tape, columns * args.chunks * sizeof(double));
    df_launch(device, DF_K_CELLS_LOG_SUM, x->shape.n * args.chunks, &args);
    df_launch(device, DF_K_CELLS_LOG_SUM_FINAL, columns, &last);
    return last.out;
}

/* Of every image and channel, sum over the cells of u v: [N,1,1,C] */
static df_real *cells_dot(df_tape *tape, const df_real *u, const df_real *v, df_shape shape)
{
    const size_t cells = shape.h * shape.w, chunks = df_chunks_of(cells, DF_ROW_CHUNK), partials = chunks * shape.c;
    double *products = df_tape_device_memory(tape, shape.n * partials * sizeof *products);
    struct df_channel_sums_args sums = { .rows = cells, .channels = shape.c, .chunk = DF_ROW_CHUNK };
    struct df_reduce_final_args last = { .partial = products, .count = chunks, .width = shape.c, .factor = 1 };

    sums.sum_u = df_tape_device_memory(tape, partials * sizeof *sums.sum_u);
    for (size_t n = 0; n < shape.n; n++) {
        sums.u = u + n * cells * shape.c;
        sums.v = v + n * cells * shape.c;
        sums.sum_uv = products + n * partials;
        df_launch(df_tape_device(tape), DF_K_CHANNEL_SUMS, chunks, &sums);
    }
    last.y = df_tape_device_memory(tape, shape.n * shape.c * sizeof *last.y);
    df_launch(df_tape_device(tape), DF_K_REDUCE_FINAL, shape.n * shape.c, &last);
    return last.y;
}

static void softmax_cells_backward(df_tape *tape, struct df_node *node)
{
    const df_tensor *y = node->out;
    const double *temperature = node->args;
    struct df_cells_softmax_backward_args args = {
        .y = y->data, .dy = y->grad, .cells = y->shape.h * y->shape.w, .channels = y->shape.c, .cold = 1 / *temperature
    };
    bool fresh;

    args.dot = cells_dot(tape, y->grad, y->data, y->shape);
    args.dx = df_grad_fresh(tape, node->in[0], &fresh);
    args.add = !fresh;
    df_launch(df_tape_device(tape), DF_K_CELLS_SOFTMAX_BACKWARD, df_pixels(y->shape), &args);
}

df_tensor *df_softmax_cells(df_tape *tape, df_tensor *x, double temperature)
{
    df_tensor *y = df_tensor_new(tape, x->shape);
    struct df_cells_softmax_args args = {
        .x = x->data, .y = y->data, .cells = x->shape.h * x->shape.w, .channels = x->shape.c, .cold = 1 / temperature
    };

    args.log_sum = df_cells_log_sums(tape, x, temperature);
    df_launch(df_tape_device(tape), DF_K_CELLS_SOFTMAX, df_pixels(x->shape), &args);
    return df_record(tape, softmax_cells_backward, y, &x, 1, DF_KEEP(temperature));
}
