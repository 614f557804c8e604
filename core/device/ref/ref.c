/* `ref`: the oracle. Definitions written as loops, in any precision, sums in double. */
#include <math.h>
#include <stdlib.h>

#include "core/device/backend.h"

static ptrdiff_t window(size_t out, size_t stride, size_t pad) { return (ptrdiff_t)(out * stride) - (ptrdiff_t)pad; }
static size_t at(df_shape s, size_t n, size_t h, size_t w) { return ((n * s.h + h) * s.w + w) * s.c; }

/* One pair (output pixel, tap inside the image) of a convolution: where its rows start. */
typedef void tap_fn(const struct df_conv *conv, size_t x_at, size_t tap, size_t y_at, void *context);

static void conv_walk(const struct df_conv *conv, tap_fn *tap, void *context)
{
    const df_shape x = conv->x, y = df_conv_shape(conv);

    for (size_t n = 0; n < y.n; n++)
        for (size_t oh = 0; oh < y.h; oh++)
            for (size_t ow = 0; ow < y.w; ow++) {
                const ptrdiff_t h0 = window(oh, conv->stride_h, conv->pad_h), w0 = window(ow, conv->stride_w, conv->pad_w);

                for (size_t kh = df_tap_first(h0); kh < df_tap_end(h0, conv->kernel_h, x.h); kh++)
                    for (size_t kw = df_tap_first(w0); kw < df_tap_end(w0, conv->kernel_w, x.w); kw++)
                        tap(conv, at(x, n, (size_t)(h0 + (ptrdiff_t)kh), (size_t)(w0 + (ptrdiff_t)kw)), kh * conv->kernel_w + kw,
                            at(y, n, oh, ow), context);
            }
}

struct conv_context {
    const df_real *x, *w, *dy;
    double *sum; /* of y, dx or dw */
};

static size_t weight_at(const struct df_conv *conv, size_t filter, size_t tap)
{
    return (filter * conv->kernel_h * conv->kernel_w + tap) * conv->x.c;
}

static void tap_forward(const struct df_conv *conv, size_t x_at, size_t tap, size_t y_at, void *context)
{
    const struct conv_context *k = context;

    for (size_t f = 0; f < conv->filters; f++)
        for (size_t c = 0; c < conv->x.c; c++)
            k->sum[y_at + f] += (double)k->x[x_at + c] * (double)k->w[weight_at(conv, f, tap) + c];
}

static void tap_backward_data(const struct df_conv *conv, size_t x_at, size_t tap, size_t y_at, void *context)
{
    const struct conv_context *k = context;

    for (size_t f = 0; f < conv->filters; f++)
        for (size_t c = 0; c < conv->x.c; c++)
            k->sum[x_at + c] += (double)k->dy[y_at + f] * (double)k->w[weight_at(conv, f, tap) + c];
}

static void tap_backward_weights(const struct df_conv *conv, size_t x_at, size_t tap, size_t y_at, void *context)
{
    const struct conv_context *k = context;

    for (size_t f = 0; f < conv->filters; f++)
        for (size_t c = 0; c < conv->x.c; c++)
            k->sum[weight_at(conv, f, tap) + c] += (double)k->dy[y_at + f] * (double)k->x[x_at + c];
}

static void conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                         df_real *y)
{
    const size_t count = df_count(df_conv_shape(conv));
    struct conv_context context = { .x = x, .w = w.data, .sum = df_calloc(count, sizeof(double)) };

    (void)device;
    conv_walk(conv, tap_forward, &context);
    for (size_t i = 0; i < count; i++) {
        const double v = context.sum[i] + (bias ? (double)bias[i % conv->filters] : 0);

        y[i] = (df_real)(conv->relu && v < 0 ? 0 : v);
    }
    free(context.sum);
}

static void conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                               bool add)
{
    const size_t count = df_count(conv->x);
    struct conv_context context = { .dy = dy, .w = w.data, .sum = df_calloc(count, sizeof(double)) };

    (void)device;
    conv_walk(conv, tap_backward_data, &context);
    for (size_t i = 0; i < count; i++)
        dx[i] = (df_real)(context.sum[i] + (add ? (double)dx[i] : 0));
    free(context.sum);
}

static void conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                  df_real *dbias)
{
    const size_t count = conv->filters * conv->kernel_h * conv->kernel_w * conv->x.c, pixels = df_pixels(df_conv_shape(conv));
    struct conv_context context = { .x = x, .dy = dy, .sum = df_calloc(count, sizeof(double)) };

    (void)device;
    conv_walk(conv, tap_backward_weights, &context);
    for (size_t i = 0; i < count; i++)
        dw[i] = (df_real)((double)dw[i] + context.sum[i]);
    for (size_t f = 0; dbias && f < conv->filters; f++) {
        double sum = 0;

        for (size_t p = 0; p < pixels; p++)
            sum += (double)dy[p * conv->filters + f];
        dbias[f] = (df_real)((double)dbias[f] + sum);
    }
    free(context.sum);
}

static void matmul(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c)
{
    (void)device;
    for (size_t i = 0; i < mm->m; i++)
        for (size_t j = 0; j < mm->n; j++) {
            double sum = mm->add ? (double)c[i * mm->n + j] : 0;

            for (size_t l = 0; l < mm->k; l++)
                sum += (double)(mm->transpose_a ? a[l * mm->m + i] : a[i * mm->k + l]) *
                       (double)(mm->transpose_b ? b.data[j * mm->k + l] : b.data[l * mm->n + j]);
            c[i * mm->n + j] = (df_real)sum;
        }
}

static void batch_norm_statistics(const struct df_batch_norm *bn, size_t c, const df_real *x, df_real *running_mean, df_real *running_var,
                                  double *mean, double *var)
{
    const size_t pixels = df_pixels(bn->x);
    double sum = 0, squares = 0;

    for (size_t p = 0; p < pixels; p++)
        sum += (double)x[p * bn->x.c + c];
    *mean = sum / (double)pixels;
    for (size_t p = 0; p < pixels; p++) {
        const double d = (double)x[p * bn->x.c + c] - *mean;

        squares += d * d;
    }
    *var = squares / (double)pixels;
    const double unbiased = pixels > 1 ? squares / (double)(pixels - 1) : *var;

    running_mean[c] = (df_real)((1 - bn->momentum) * (double)running_mean[c] + bn->momentum * *mean);
    running_var[c] = (df_real)((1 - bn->momentum) * (double)running_var[c] + bn->momentum * unbiased);
}

static void batch_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                               const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std,
                               df_real *y)
{
    (void)device;
    for (size_t c = 0; c < bn->x.c; c++) {
        double mu = (double)running_mean[c], var = (double)running_var[c];

        if (bn->training)
            batch_norm_statistics(bn, c, x, running_mean, running_var, &mu, &var);
        const double scale = 1 / sqrt(var + bn->eps);

        if (mean)
            mean[c] = (df_real)mu;
        if (inv_std)
            inv_std[c] = (df_real)scale;
        for (size_t i = c; i < df_count(bn->x); i += bn->x.c) {
            const double v = ((double)x[i] - mu) * scale * (double)gamma[c] + (double)beta[c];

            y[i] = (df_real)(bn->relu && v < 0 ? 0 : v);
        }
    }
}

static void batch_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                                const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                                df_real *dgamma, df_real *dbeta)
{
    const double pixels = (double)df_pixels(bn->x);

    (void)device;
    for (size_t c = 0; c < bn->x.c; c++) {
        const double mu = (double)mean[c], scale = (double)inv_std[c];
        double sum = 0, dot = 0; /* of g and of g xhat, g = dy behind the relu */

        for (size_t i = c; i < df_count(bn->x); i += bn->x.c) {
            const double g = bn->relu && !(y[i] > 0) ? 0 : (double)dy[i];

            sum += g;
            dot += g * ((double)x[i] - mu) * scale;
        }
        for (size_t i = c; i < df_count(bn->x); i += bn->x.c) {
            const double g = bn->relu && !(y[i] > 0) ? 0 : (double)dy[i], xhat = ((double)x[i] - mu) * scale;
            const double centred = bn->training ? g - sum / pixels - xhat * dot / pixels : g;

            dx[i] = (df_real)((bn->overwrite ? 0 : (double)dx[i]) + (double)gamma[c] * scale * centred);
        }
        if (dgamma)
            dgamma[c] = (df_real)((double)dgamma[c] + dot);
        if (dbeta)
            dbeta[c] = (df_real)((double)dbeta[c] + sum);
    }
}

static void max_pool_pixel(const struct df_pool *pool, size_t n, size_t oh, size_t ow, const df_real *x, df_real *y, uint32_t *argmax)
{
    const ptrdiff_t h0 = window(oh, pool->stride, pool->pad), w0 = window(ow, pool->stride, pool->pad);

    for (size_t c = 0; c < pool->x.c; c++) {
        size_t best = SIZE_MAX;

        for (size_t kh = df_tap_first(h0); kh < df_tap_end(h0, pool->kernel, pool->x.h); kh++)
            for (size_t kw = df_tap_first(w0); kw < df_tap_end(w0, pool->kernel, pool->x.w); kw++) {
                const size_t i = at(pool->x, n, (size_t)(h0 + (ptrdiff_t)kh), (size_t)(w0 + (ptrdiff_t)kw)) + c;

                if (best == SIZE_MAX || x[i] > x[best] || isnan(x[i]))
                    best = i;
            }
        y[c] = x[best];
        argmax[c] = (uint32_t)best;
    }
}

static void max_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax)
{
    const df_shape out = df_pool_shape(pool);

    (void)device;
    for (size_t n = 0; n < out.n; n++)
        for (size_t oh = 0; oh < out.h; oh++)
            for (size_t ow = 0; ow < out.w; ow++)
                max_pool_pixel(pool, n, oh, ow, x, y + at(out, n, oh, ow), argmax + at(out, n, oh, ow));
}

static void max_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx)
{
    const size_t count = df_count(df_pool_shape(pool));

    (void)device;
    for (size_t i = 0; i < count; i++)
        dx[argmax[i]] += dy[i];
}

static void ref_close(struct df_device *device) { (void)device; }

static const struct df_device_ops ref_ops = {
    .name = "ref",
    .close = ref_close,
    .alloc = df_host_alloc,
    .free = df_host_free,
    .write = df_host_copy,
    .read = df_host_copy,
    .copy = df_host_copy,
    .zero = df_host_zero,
    .sync = df_host_sync,
    .conv_forward = conv_forward,
    .conv_backward_data = conv_backward_data,
    .conv_backward_weights = conv_backward_weights,
    .matmul = matmul,
    .batch_norm_forward = batch_norm_forward,
    .batch_norm_backward = batch_norm_backward,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .top_k = df_host_top_k,
    .nms = df_host_nms,
    .launch = df_loop_launch,
};

df_status df_ref_open(struct df_device *device, const char *options, struct df_error *err)
{
    (void)options;
    (void)err;
    device->ops = &ref_ops;
    return DF_OK;
}
