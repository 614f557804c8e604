/* Kernels that treat the cells of a map [N,H,W,C] as what a distribution is over: a softmax per image and channel (core/nn/ops_normalise.c).
 * log_sum [N,C]: log sum exp(x / T) over the cells. cells = H W; cold = 1 / T. */
#ifndef DF_CORE_DEVICE_KERNELS_CELLS_H
#define DF_CORE_DEVICE_KERNELS_CELLS_H
#include "core/base/portable_math.h"
#include "core/base/real.h"

#define DF_KERNELS_CELLS(X)                                                                                                                \
    X(CELLS_LOG_SUM, cells_log_sum)                                                                                                        \
    X(CELLS_LOG_SUM_FINAL, cells_log_sum_final)                                                                                            \
    X(CELLS_SOFTMAX, cells_softmax)                                                                                                        \
    X(CELLS_SOFTMAX_BACKWARD, cells_softmax_backward)

/* Index i = (image, chunk of its cells), per channel: the largest x, and the sum of exp((x - largest) / T) */
struct df_cells_log_sum_args {
    const df_real *x;
    double *largest, *sum;
    size_t cells, channels, chunk, chunks;
    double cold;
};
DF_KERNEL const df_real *df_cells_chunk(size_t i, const struct df_cells_log_sum_args *a, size_t *rows)
{
    const size_t begin = i % a->chunks * a->chunk;

    *rows = a->cells - begin < a->chunk ? a->cells - begin : a->chunk;
    return a->x + (i / a->chunks * a->cells + begin) * a->channels;
}
DF_KERNEL void df_column_cells_log_sum(size_t i, size_t c, const struct df_cells_log_sum_args *a)
{
    size_t rows;
    const df_real *x = df_cells_chunk(i, a, &rows) + c, cold = (df_real)a->cold;
    df_real top = x[0];
    double sum = 0;

    for (size_t r = 1; r < rows; r++)
        top = x[r * a->channels] > top ? x[r * a->channels] : top;
    for (size_t r = 0; r < rows; r++)
        sum += (double)df_rexp((x[r * a->channels] - top) * cold);
    a->largest[i * a->channels + c] = (double)top;
    a->sum[i * a->channels + c] = sum;
}
/* All channels of a row while it is at hand. */
DF_KERNEL void df_k_cells_log_sum(size_t i, const struct df_cells_log_sum_args *a)
{
    size_t rows;
    const size_t channels = a->channels;
    const df_real *x = df_cells_chunk(i, a, &rows), cold = (df_real)a->cold;
    double *restrict top = a->largest + i * channels, *restrict sum = a->sum + i * channels;

    for (size_t c = 0; c < channels; c++) {
        top[c] = (double)x[c];
        sum[c] = 0;
    }
    for (size_t r = 1; r < rows; r++) {
        const df_real *restrict row = x + r * channels;

        for (size_t c = 0; c < channels; c++)
            top[c] = (double)row[c] > top[c] ? (double)row[c] : top[c];
    }
    for (size_t r = 0; r < rows; r++) {
        const df_real *restrict row = x + r * channels;

        for (size_t c = 0; c < channels; c++)
            sum[c] += (double)df_rexp((row[c] - (df_real)top[c]) * cold);
    }
}

/* Index i = (image, channel): the logarithm of the whole sum, of the chunks' */
struct df_cells_log_sum_final_args {
    const double *largest, *sum;
    double *out;
    size_t channels, chunks;
    double cold;
};
DF_KERNEL void df_k_cells_log_sum_final(size_t i, const struct df_cells_log_sum_final_args *a)
{
    const size_t first = i / a->channels * a->chunks * a->channels + i % a->channels;
    double top = a->largest[first], sum = 0;

    for (size_t j = 1; j < a->chunks; j++)
        top = a->largest[first + j * a->channels] > top ? a->largest[first + j * a->channels] : top;
    for (size_t j = 0; j < a->chunks; j++)
        sum += a->sum[first + j * a->channels] * df_exp((a->largest[first + j * a->channels] - top) * a->cold);
    a->out[i] = top * a->cold + df_log(sum);
}

/* pixel i: y = exp(x / T - log_sum) */
struct df_cells_softmax_args {
    const df_real *x;
    const double *log_sum;
    df_real *y;
    size_t cells, channels;
    double cold;
};
DF_KERNEL void df_k_cells_softmax(size_t i, const struct df_cells_softmax_args *a)
{
    const df_real *restrict x = a->x + i * a->channels;
    const double *restrict log_sum = a->log_sum + i / a->cells * a->channels;
    df_real *restrict y = a->y + i * a->channels;

    DF_LANES(c, a->channels)
        y[c] = df_rexp((df_real)((double)x[c] * a->cold - log_sum[c]));
}

/* pixel i: dx (+)= y (dy - dot) / T,  dot [N,C]: sum over the cells of dy y */
struct df_cells_softmax_backward_args {
    const df_real *y, *dy, *dot;
    df_real *dx;
    size_t cells, channels;
    double cold;
    bool add;
};
DF_KERNEL void df_k_cells_softmax_backward(size_t i, const struct df_cells_softmax_backward_args *a)
{
    const df_real *restrict y = a->y + i * a->channels, *restrict dy = a->dy + i * a->channels;
    const df_real *restrict dot = a->dot + i / a->cells * a->channels, cold = (df_real)a->cold;
    df_real *restrict dx = a->dx + i * a->channels;

    DF_LANES(c, a->channels)
        dx[c] = (a->add ? dx[c] : 0) + cold * y[c] * (dy[c] - dot[c]);
}
#endif
