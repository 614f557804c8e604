/* `ref`: the oracle. Definitions written as loops, in any precision, sums in double. */
#include <math.h>
#include <stdlib.h>

#include "core/device/host.h"
#include "core/device/ref/ref.h"

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

static void conv_forward(struct df_device *device, const struct df_conv_forward_args *a)
{
    const size_t count = df_count(df_conv_shape(&a->conv));
    struct conv_context context = { .x = a->x, .w = a->w.data, .sum = df_calloc(count, sizeof(double)) };

    (void)device;
    conv_walk(&a->conv, tap_forward, &context);
    for (size_t i = 0; i < count; i++) {
        const double v = context.sum[i] + (a->bias ? (double)a->bias[i % a->conv.filters] : 0);

        a->y[i] = (df_real)(a->conv.relu && v < 0 ? 0 : v);
    }
    free(context.sum);
}

static void conv_backward_data(struct df_device *device, const struct df_conv_backward_data_args *a)
{
    const size_t count = df_count(a->conv.x);
    struct conv_context context = { .dy = a->dy, .w = a->w.data, .sum = df_calloc(count, sizeof(double)) };

    (void)device;
    conv_walk(&a->conv, tap_backward_data, &context);
    for (size_t i = 0; i < count; i++)
        a->dx[i] = (df_real)(context.sum[i] + (a->add ? (double)a->dx[i] : 0));
    free(context.sum);
}

static void conv_backward_weights(struct df_device *device, const struct df_conv_backward_weights_args *a)
{
    const size_t count = df_conv_weights(&a->conv), filters = a->conv.filters, pixels = df_pixels(df_conv_shape(&a->conv));
    struct conv_context context = { .x = a->x, .dy = a->dy, .sum = df_calloc(count, sizeof(double)) };

    (void)device;
    conv_walk(&a->conv, tap_backward_weights, &context);
    for (size_t i = 0; i < count; i++)
        a->dw[i] = (df_real)((double)a->dw[i] + context.sum[i]);
    for (size_t f = 0; a->dbias && f < filters; f++) {
        double sum = 0;

        for (size_t p = 0; p < pixels; p++)
            sum += (double)a->dy[p * filters + f];
        a->dbias[f] = (df_real)((double)a->dbias[f] + sum);
    }
    free(context.sum);
}

static void matmul(struct df_device *device, const struct df_matmul_args *a)
{
    (void)device;
    for (size_t i = 0; i < a->m; i++)
        for (size_t j = 0; j < a->n; j++) {
            double sum = a->add ? (double)a->c[i * a->n + j] : 0;

            for (size_t l = 0; l < a->k; l++)
                sum += (double)(a->transpose_a ? a->a[l * a->m + i] : a->a[i * a->k + l]) *
                       (double)(a->transpose_b ? a->b.data[j * a->k + l] : a->b.data[l * a->n + j]);
            a->c[i * a->n + j] = (df_real)sum;
        }
}

static void batch_norm_statistics(const struct df_batch_norm_forward_args *a, size_t c, double *mean, double *var)
{
    const size_t pixels = df_pixels(a->shape);
    double sum = 0, squares = 0;

    for (size_t p = 0; p < pixels; p++)
        sum += (double)a->x[p * a->shape.c + c];
    *mean = sum / (double)pixels;
    for (size_t p = 0; p < pixels; p++) {
        const double d = (double)a->x[p * a->shape.c + c] - *mean;

        squares += d * d;
    }
    *var = squares / (double)pixels;
    const double unbiased = pixels > 1 ? squares / (double)(pixels - 1) : *var;

    a->running_mean[c] = (df_real)((1 - a->momentum) * (double)a->running_mean[c] + a->momentum * *mean);
    a->running_var[c] = (df_real)((1 - a->momentum) * (double)a->running_var[c] + a->momentum * unbiased);
}

static void batch_norm_forward(struct df_device *device, const struct df_batch_norm_forward_args *a)
{
    (void)device;
    for (size_t c = 0; c < a->shape.c; c++) {
        double mu = (double)a->running_mean[c], var = (double)a->running_var[c];

        if (a->training)
            batch_norm_statistics(a, c, &mu, &var);
        const double scale = 1 / sqrt(var + a->eps);

        if (a->mean)
            a->mean[c] = (df_real)mu;
        if (a->inv_std)
            a->inv_std[c] = (df_real)scale;
        for (size_t i = c; i < df_count(a->shape); i += a->shape.c) {
            df_real v = (df_real)(((double)a->x[i] - mu) * scale * (double)a->gamma[c] + (double)a->beta[c]);

            v = a->skip ? v + a->skip[i] : v;
            a->y[i] = a->relu && v < 0 ? 0 : v;
        }
    }
}

static void batch_norm_backward(struct df_device *device, const struct df_batch_norm_backward_args *a)
{
    const double pixels = (double)df_pixels(a->shape);

    (void)device;
    for (size_t c = 0; c < a->shape.c; c++) {
        const double mu = (double)a->mean[c], scale = (double)a->inv_std[c];
        double sum = 0, dot = 0; /* of g and of g xhat, g = dy behind the relu */

        for (size_t i = c; i < df_count(a->shape); i += a->shape.c) {
            const double g = a->relu && !(a->y[i] > 0) ? 0 : (double)a->dy[i];

            sum += g;
            dot += g * ((double)a->x[i] - mu) * scale;
        }
        for (size_t i = c; i < df_count(a->shape); i += a->shape.c) {
            const double g = a->relu && !(a->y[i] > 0) ? 0 : (double)a->dy[i], xhat = ((double)a->x[i] - mu) * scale;
            const double centred = a->training ? g - sum / pixels - xhat * dot / pixels : g;

            a->dx[i] = (df_real)((a->add ? (double)a->dx[i] : 0) + (double)a->gamma[c] * scale * centred);
            if (a->dskip)
                a->dskip[i] = (a->add_skip ? a->dskip[i] : 0) + (df_real)g;
        }
        if (a->dgamma)
            a->dgamma[c] = (df_real)((double)a->dgamma[c] + dot);
        if (a->dbeta)
            a->dbeta[c] = (df_real)((double)a->dbeta[c] + sum);
    }
}

static void max_pool_pixel(const struct df_max_pool_forward_args *a, size_t n, size_t oh, size_t ow, size_t to)
{
    const struct df_pool *pool = &a->pool;
    const ptrdiff_t h0 = window(oh, pool->stride, pool->pad), w0 = window(ow, pool->stride, pool->pad);

    for (size_t c = 0; c < pool->x.c; c++) {
        size_t best = SIZE_MAX;

        for (size_t kh = df_tap_first(h0); kh < df_tap_end(h0, pool->kernel, pool->x.h); kh++)
            for (size_t kw = df_tap_first(w0); kw < df_tap_end(w0, pool->kernel, pool->x.w); kw++) {
                const size_t i = at(pool->x, n, (size_t)(h0 + (ptrdiff_t)kh), (size_t)(w0 + (ptrdiff_t)kw)) + c;

                if (best == SIZE_MAX || a->x[i] > a->x[best] || isnan(a->x[i]))
                    best = i;
            }
        a->y[to + c] = a->x[best];
        a->argmax[to + c] = (uint32_t)best;
    }
}

static void max_pool_forward(struct df_device *device, const struct df_max_pool_forward_args *a)
{
    const df_shape out = df_pool_shape(&a->pool);

    (void)device;
    for (size_t n = 0; n < out.n; n++)
        for (size_t oh = 0; oh < out.h; oh++)
            for (size_t ow = 0; ow < out.w; ow++)
                max_pool_pixel(a, n, oh, ow, at(out, n, oh, ow));
}

static void max_pool_backward(struct df_device *device, const struct df_max_pool_backward_args *a)
{
    const size_t count = df_count(df_pool_shape(&a->pool));

    (void)device;
    for (size_t i = 0; i < count; i++)
        a->dx[a->argmax[i]] += a->dy[i];
}

static void select_top_k(struct df_device *device, const struct df_select_top_k_args *a) { df_host_top_k(device, a); }
static void select_nms(struct df_device *device, const struct df_select_nms_args *a) { df_host_nms(device, a); }

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
#define SLOT(name) .name = name,
    DF_PRIMITIVES(SLOT).launch = df_loop_launch,
};

df_status df_ref_open(struct df_device *device, const char *options, struct df_error *err)
{
    (void)options;
    (void)err;
    device->ops = &ref_ops;
    return DF_OK;
}
