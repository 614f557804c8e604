/* Kernels of the optimisers, over tiles of the flat parameter vector: PyTorch's update rules, in its order of operations. What a step's
 * host would have to wait for, the gradient's norm and the losses, stays on the device.
 * Source: torch.optim.SGD, torch.optim.AdamW (PyTorch 2). */
#ifndef DF_CORE_DEVICE_KERNELS_OPTIM_H
#define DF_CORE_DEVICE_KERNELS_OPTIM_H
#include <math.h>

#include "core/base/real.h"

#define DF_KERNELS_OPTIM(X)                                                                                                                \
    X(OPTIM_SQUARES, optim_squares)                                                                                                        \
    X(OPTIM_SUM, optim_sum)                                                                                                                \
    X(OPTIM_SGD, optim_sgd)                                                                                                                \
    X(OPTIM_ADAMW, optim_adamw)                                                                                                            \
    X(OPTIM_AVERAGE, optim_average)                                                                                                        \
    X(OPTIM_LOG, optim_log)

#define DF_OPTIM_TILE  1024
#define DF_OPTIM_LANES 8
DF_KERNEL size_t df_optim_tiles(size_t elements) { return (elements + DF_OPTIM_TILE - 1) / DF_OPTIM_TILE; }

DF_KERNEL df_real df_optim_root(df_real x)
{
#ifdef DF_REAL_IS_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

/* tile i: partial = sum g^2 */
struct df_optim_squares_args {
    const df_real *grad;
    size_t count;
    double *partial;
};
DF_KERNEL size_t df_optim_tile(size_t i, size_t count) /* how many elements it has */
{
    return count - i * DF_OPTIM_TILE < DF_OPTIM_TILE ? count - i * DF_OPTIM_TILE : DF_OPTIM_TILE;
}
DF_KERNEL double df_share_optim_squares(size_t i, const struct df_optim_squares_args *a)
{
    const df_real *g = a->grad + i * DF_OPTIM_TILE;
    double sum = 0;

    DF_LANES(j, df_optim_tile(i, a->count))
        sum += (double)g[j] * (double)g[j];
    return sum;
}
DF_KERNEL void df_store_optim_squares(size_t i, const struct df_optim_squares_args *a, double sum) { a->partial[i] = sum; }
DF_KERNEL void df_k_optim_squares(size_t i, const struct df_optim_squares_args *a)
{
    const size_t n = df_optim_tile(i, a->count);
    const df_real *g = a->grad + i * DF_OPTIM_TILE;
    double lane[DF_OPTIM_LANES] = { 0 }, sum = 0;
    size_t j = 0;

    for (; j + DF_OPTIM_LANES <= n; j += DF_OPTIM_LANES) {
        for (size_t l = 0; l < DF_OPTIM_LANES; l++)
            lane[l] += (double)g[j + l] * (double)g[j + l];
    }
    for (size_t l = 0; l < n % DF_OPTIM_LANES; l++)
        lane[l] += (double)g[j + l] * (double)g[j + l];
    for (size_t l = 0; l < DF_OPTIM_LANES; l++)
        sum += lane[l];
    df_store_optim_squares(i, a, sum);
}

/* The gradient's norm, and what clipping multiplies gradients by: clip / norm where the norm is above clip > 0, else 1. NaN where the norm
 * is not finite: then optimisers move nothing. */
struct df_optim_norm {
    double norm, scale;
};
DF_KERNEL struct df_optim_norm df_optim_norm_of(double squares, double clip)
{
    const double norm = sqrt(squares), scale = clip > 0 && norm > clip ? clip / norm : 1;
    const struct df_optim_norm found = { norm, isfinite(norm) ? scale : (double)NAN };

    return found;
}

/* *out: of the root of the sum of partials; one index */
struct df_optim_sum_args {
    const double *partial;
    size_t count;
    double clip;
    struct df_optim_norm *out;
};
DF_KERNEL double df_share_optim_sum(size_t i, const struct df_optim_sum_args *a)
{
    double sum = 0;

    (void)i;
    DF_LANES(j, a->count)
        sum += a->partial[j];
    return sum;
}
DF_KERNEL void df_store_optim_sum(size_t i, const struct df_optim_sum_args *a, double sum)
{
    (void)i;
    *a->out = df_optim_norm_of(sum, a->clip);
}
DF_SUM_KERNEL(optim_sum)

/* tile i: b = momentum b + (scale grad + decay x); x -= lr b. b is 0 before the first step, as PyTorch's is then set to the gradient. */
struct df_optim_sgd_args {
    df_real *value, *moment;
    const df_real *grad;
    size_t count;
    double lr, momentum, decay;
    const struct df_optim_norm *norm;
};
DF_KERNEL void df_k_optim_sgd(size_t i, const struct df_optim_sgd_args *a)
{
    const size_t begin = i * DF_OPTIM_TILE, n = df_optim_tile(i, a->count);
    const df_real lr = (df_real)a->lr, momentum = (df_real)a->momentum, decay = (df_real)a->decay, scale = (df_real)a->norm->scale;
    const df_real *restrict grad = a->grad + begin;
    df_real *restrict x = a->value + begin, *restrict b = a->moment + begin;

    if (isnan(scale))
        return;
    DF_LANES(j, n) {
        b[j] = momentum * b[j] + (scale * grad[j] + decay * x[j]);
        x[j] -= lr * b[j];
    }
}

/* tile i: x *= 1 - lr decay; m += (1 - beta1)(g - m); v = beta2 v + (1 - beta2) g g; x -= step m / (sqrt(v) / root + eps)
 * with step = lr / (1 - beta1^t), root = sqrt(1 - beta2^t) */
struct df_optim_adamw_args {
    df_real *value, *moment1, *moment2;
    const df_real *grad;
    size_t count;
    double keep, beta1, beta2, step, root, eps;
    const struct df_optim_norm *norm;
};
DF_KERNEL void df_k_optim_adamw(size_t i, const struct df_optim_adamw_args *a)
{
    const size_t begin = i * DF_OPTIM_TILE, n = df_optim_tile(i, a->count);
    const df_real keep = (df_real)a->keep, new1 = (df_real)(1 - a->beta1), beta2 = (df_real)a->beta2, new2 = (df_real)(1 - a->beta2);
    const df_real step = (df_real)a->step, root = (df_real)a->root, eps = (df_real)a->eps, scale = (df_real)a->norm->scale;
    const df_real *restrict grad = a->grad + begin;
    df_real *restrict x = a->value + begin, *restrict m = a->moment1 + begin, *restrict v = a->moment2 + begin;

    if (isnan(scale))
        return;
    DF_LANES(j, n) {
        const df_real g = scale * grad[j];

        m[j] += new1 * (g - m[j]);
        v[j] = beta2 * v[j] + new2 * g * g;
        x[j] = keep * x[j] - step * m[j] / (df_optim_root(v[j]) / root + eps);
    }
}

/* tile i: a += fresh (x - a): the average keeps a share of 1 - fresh; what equals its average does not move */
struct df_optim_average_args {
    df_real *average;
    const df_real *value;
    size_t count;
    double fresh;
};
DF_KERNEL void df_k_optim_average(size_t i, const struct df_optim_average_args *a)
{
    const size_t begin = i * DF_OPTIM_TILE, n = df_optim_tile(i, a->count);
    const df_real fresh = (df_real)a->fresh;
    const df_real *restrict x = a->value + begin;
    df_real *restrict average = a->average + begin;

    DF_LANES(j, n)
        average[j] += fresh * (x[j] - average[j]);
}

/* A step's row of the log: row[0] = the gradient's norm, row[i] = value i - 1, a scalar somewhere on the device. */
#define DF_OPTIM_LOGGED 88
struct df_optim_log_args {
    const struct df_optim_norm *norm;
    const df_real *value[DF_OPTIM_LOGGED];
    double *row;
};
DF_KERNEL void df_k_optim_log(size_t i, const struct df_optim_log_args *a) { a->row[i] = i ? (double)*a->value[i - 1] : a->norm->norm; }
#endif
