/* `order`: convolutions and products in naive loops, in the written order; all else as `cpu` does it with C alone. Slow. */
#include "core/device/order/order.h"
#ifndef DF_REAL_IS_DOUBLE
#include <math.h>
#include <string.h>

#include "core/device/isa.h"

/* A chain in blocks. */
struct chain {
    float sum, block;
    size_t terms, block_terms;
};

static void take(struct chain *chain, float a, float b)
{
    if (chain->terms++ == chain->block_terms) {
        chain->sum += chain->block;
        chain->block = 0;
        chain->terms = 1;
    }
    chain->block = fmaf(a, b, chain->block);
}

static float end(const struct chain *chain) { return chain->sum + chain->block; }

/* The image row or column that an output position meets with a tap; false: none */
static bool meets(size_t out, size_t stride, size_t tap, size_t pad, size_t size, size_t *in)
{
    *in = out * stride + tap - pad;
    return out * stride + tap >= pad && *in < size;
}

static const float *pixel(const float *map, df_shape shape, size_t n, size_t h, size_t w)
{
    return map + ((n * shape.h + h) * shape.w + w) * shape.c;
}

/* y at flat index i, before bias and relu */
static float forward_one(const struct df_conv_forward_args *a, size_t i)
{
    const struct df_conv *conv = &a->conv;
    const df_shape x = conv->x, y = df_conv_shape(conv);
    const size_t k = i % y.c, ow = i / y.c % y.w, oh = i / y.c / y.w % y.h, n = i / y.c / y.w / y.h;
    struct chain chain = { .block_terms = DF_CHAIN_TERMS };
    size_t h, v;

    for (size_t r = 0; r < conv->kernel_h; r++)
        for (size_t s = 0; s < conv->kernel_w; s++)
            if (meets(oh, conv->stride_h, r, conv->pad_h, x.h, &h) && meets(ow, conv->stride_w, s, conv->pad_w, x.w, &v))
                for (size_t c = 0; c < x.c; c++)
                    take(&chain, pixel(a->x, x, n, h, v)[c], a->w.data[((k * conv->kernel_h + r) * conv->kernel_w + s) * x.c + c]);
    return end(&chain);
}

static void conv_forward(struct df_device *device, const struct df_conv_forward_args *a)
{
    (void)device;
    for (size_t i = 0; i < df_count(df_conv_shape(&a->conv)); i++) {
        const float sum = forward_one(a, i), v = a->bias ? sum + a->bias[i % a->conv.filters] : sum;

        a->y[i] = a->conv.relu && v < 0 ? 0 : v;
    }
}

/* dx at flat index i; false: no tap hits */
static bool backward_one(const struct df_conv_backward_data_args *a, size_t i, float *sum)
{
    const struct df_conv *conv = &a->conv;
    const df_shape x = conv->x, y = df_conv_shape(conv);
    const size_t c = i % x.c, v = i / x.c % x.w, h = i / x.c / x.w % x.h, n = i / x.c / x.w / x.h;
    struct chain chain = { .block_terms = DF_CHAIN_TERMS };

    for (size_t r = 0; r < conv->kernel_h; r++)
        for (size_t s = 0; s < conv->kernel_w; s++) {
            const ptrdiff_t top = (ptrdiff_t)(h + conv->pad_h) - (ptrdiff_t)r, left = (ptrdiff_t)(v + conv->pad_w) - (ptrdiff_t)s;
            const size_t oh = (size_t)top / conv->stride_h, ow = (size_t)left / conv->stride_w;

            if (top < 0 || left < 0 || (size_t)top % conv->stride_h || (size_t)left % conv->stride_w || oh >= y.h || ow >= y.w)
                continue;
            for (size_t k = 0; k < y.c; k++)
                take(&chain, pixel(a->dy, y, n, oh, ow)[k], a->w.data[((k * conv->kernel_h + r) * conv->kernel_w + s) * x.c + c]);
        }
    *sum = end(&chain);
    return chain.terms > 0;
}

static void conv_backward_data(struct df_device *device, const struct df_conv_backward_data_args *a)
{
    (void)device;
    for (size_t i = 0; i < df_count(a->conv.x); i++) {
        float sum;

        if (backward_one(a, i, &sum))
            a->dx[i] = a->add ? a->dx[i] + sum : sum;
        else if (!a->add)
            a->dx[i] = 0;
    }
}

/* dw[k][r][s][c], at flat index i */
static float weight_one(const struct df_conv_backward_weights_args *a, size_t i)
{
    const struct df_conv *conv = &a->conv;
    const df_shape y = df_conv_shape(conv);
    const size_t pixels = df_pixels(y), c = i % conv->x.c, tap = i / conv->x.c % (conv->kernel_h * conv->kernel_w);
    const size_t k = i / conv->x.c / (conv->kernel_h * conv->kernel_w), r = tap / conv->kernel_w, s = tap % conv->kernel_w;
    float sum = 0;

    for (size_t first = 0; first < pixels; first += DF_BLOCK_PIXELS) {
        float block = 0;

        for (size_t p = first; p < pixels && p < first + DF_BLOCK_PIXELS; p++) {
            size_t h, w;

            if (meets(p / y.w % y.h, conv->stride_h, r, conv->pad_h, conv->x.h, &h) &&
                meets(p % y.w, conv->stride_w, s, conv->pad_w, conv->x.w, &w))
                block = fmaf(pixel(a->x, conv->x, p / y.w / y.h, h, w)[c], a->dy[p * y.c + k], block);
        }
        sum += block;
    }
    return sum;
}

static void conv_backward_weights(struct df_device *device, const struct df_conv_backward_weights_args *a)
{
    const size_t pixels = df_pixels(df_conv_shape(&a->conv)), filters = a->conv.filters;

    (void)device;
    for (size_t i = 0; i < df_conv_weights(&a->conv); i++)
        a->dw[i] += weight_one(a, i);
    for (size_t k = 0; a->dbias && k < filters; k++) {
        double sum = 0;

        for (size_t p = 0; p < pixels; p++)
            sum += (double)a->dy[p * filters + k];
        a->dbias[k] += (float)sum;
    }
}

static void matmul(struct df_device *device, const struct df_matmul_args *a)
{
    (void)device;
    for (size_t i = 0; i < a->m; i++)
        for (size_t j = 0; j < a->n; j++) {
            struct chain chain = { .block_terms = a->transpose_a ? DF_BLOCK_PIXELS : DF_CHAIN_TERMS };
            float *c = &a->c[i * a->n + j];

            for (size_t l = 0; l < a->k; l++)
                take(&chain, a->transpose_a ? a->a[l * a->m + i] : a->a[i * a->k + l],
                     a->transpose_b ? a->b.data[j * a->k + l] : a->b.data[l * a->n + j]);
            *c = a->add ? *c + end(&chain) : end(&chain);
        }
}

df_status df_order_open(struct df_device *device, const char *options, struct df_error *err)
{
    static struct df_device_ops ops;

    (void)options;
    (void)err;
    ops = *df_cpu_plain_set.ops;
    ops.name = "order";
    ops.conv_forward = conv_forward;
    ops.conv_backward_data = conv_backward_data;
    ops.conv_backward_weights = conv_backward_weights;
    ops.matmul = matmul;
    device->ops = &ops;
    df_cpu_plain_set.open(device);
    return DF_OK;
}
#else
typedef int df_order_is_float_only;
#endif
