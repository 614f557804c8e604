/* Kernels that treat the cells of a map [N,H,W,C] as what a distribution is over: a softmax per image and channel (core/nn/ops_normalise.c).
 * log_sum [N,C]: log sum exp(x / T) over the cells. cells = H W; cold = 1 / T. */
#ifndef DF_CORE_DEVICE_KERNELS_CELLS_H
#define DF_CORE_DEVICE_KERNELS_CELLS_H
#include "core/base/portable_math.h"
#include "core/base/real.h"
#include "core/device/kernels_loss.h"

#define DF_KERNELS_CELLS(X)                                                                                                                \
    X(CELLS_LOG_SUM, cells_log_sum)                                                                                                        \
    X(CELLS_LOG_SUM_FINAL, cells_log_sum_final)                                                                                            \
    X(CELLS_SOFTMAX, cells_softmax)                                                                                                        \
    X(CELLS_SOFTMAX_BACKWARD, cells_softmax_backward)                                                                                      \
    X(CELLS_KL, cells_kl)

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

/* pixel i: T^2 sum_c q (log q - log p), d = T (p - q);  log p = s / T - its log_sum, log q likewise */
struct df_cells_kl_args {
    const df_real *s, *t;
    const double *s_log_sum, *t_log_sum;
    size_t cells, channels;
    double temperature;
    double *partial;
    df_real *d;
};
DF_KERNEL double df_cells_kl_term(df_real s, df_real t, double s_log_sum, double t_log_sum, double hot, df_real *d)
{
    const double cold = 1 / hot, log_p = (double)s * cold - s_log_sum, log_q = (double)t * cold - t_log_sum;
    const df_real p = df_rexp((df_real)log_p), q = df_rexp((df_real)log_q);

    *d = (df_real)hot * (p - q);
    return hot * hot * (double)q * (log_q - log_p);
}
DF_KERNEL double df_share_cells_kl(size_t i, const struct df_cells_kl_args *a)
{
    const size_t at = i * a->channels, image = i / a->cells * a->channels;
    double sum = 0;

    DF_LANES(c, a->channels)
        sum +=
            df_cells_kl_term(a->s[at + c], a->t[at + c], a->s_log_sum[image + c], a->t_log_sum[image + c], a->temperature, &a->d[at + c]);
    return sum;
}
DF_KERNEL void df_store_cells_kl(size_t i, const struct df_cells_kl_args *a, double sum) { a->partial[i] = sum; }
DF_KERNEL void df_k_cells_kl(size_t i, const struct df_cells_kl_args *a)
{
    const size_t n = a->channels, at = i * n, image = i / a->cells * n;
    const df_real *restrict s = a->s + at, *restrict t = a->t + at;
    const double *restrict s_log_sum = a->s_log_sum + image, *restrict t_log_sum = a->t_log_sum + image, hot = a->temperature;
    df_real *restrict d = a->d + at;
    double lane[DF_LOSS_LANES] = { 0 };
    size_t c = 0;

    for (; c + DF_LOSS_LANES <= n; c += DF_LOSS_LANES)
        for (size_t l = 0; l < DF_LOSS_LANES; l++)
            lane[l] += df_cells_kl_term(s[c + l], t[c + l], s_log_sum[c + l], t_log_sum[c + l], hot, &d[c + l]);
    for (size_t l = 0; l < n % DF_LOSS_LANES; l++)
        lane[l] += df_cells_kl_term(s[c + l], t[c + l], s_log_sum[c + l], t_log_sum[c + l], hot, &d[c + l]);
    df_store_cells_kl(i, a, df_loss_lanes(lane));
}
#endif
