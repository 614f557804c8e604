/* `order`: convolutions and products in naive loops, in the written order; all else as `cpu` does it with C alone. Slow. */
#include "core/device/order/order.h"
#ifndef DF_REAL_IS_DOUBLE
#include <math.h>
#include <string.h>

#include "core/device/backend.h"
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

static float forward_one(const struct df_conv *conv, const float *x, const float *w, size_t n, size_t oh, size_t ow)
{
    struct chain chain = { .block_terms = DF_CHAIN_TERMS };
    size_t h, v;

    for (size_t r = 0; r < conv->kernel_h; r++)
        for (size_t s = 0; s < conv->kernel_w; s++)
            if (meets(oh, conv->stride_h, r, conv->pad_h, conv->x.h, &h) && meets(ow, conv->stride_w, s, conv->pad_w, conv->x.w, &v))
                for (size_t c = 0; c < conv->x.c; c++)
                    take(&chain, pixel(x, conv->x, n, h, v)[c], w[(r * conv->kernel_w + s) * conv->x.c + c]);
    return end(&chain);
}

static void conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                         df_real *y)
{
    const df_shape out = df_conv_shape(conv);
    const size_t terms = conv->kernel_h * conv->kernel_w * conv->x.c;

    (void)device;
    for (size_t i = 0; i < df_count(out); i++) {
        const size_t k = i % out.c, p = i / out.c;
        const float sum = forward_one(conv, x, w.data + k * terms, p / out.w / out.h, p / out.w % out.h, p % out.w);
        const float v = bias ? sum + bias[k] : sum;

        y[i] = conv->relu && v < 0 ? 0 : v;
    }
}

/* false: no tap hits */
static bool backward_one(const struct df_conv *conv, const float *dy, const float *w, size_t n, size_t h, size_t v, size_t c, float *sum)
{
    const df_shape y = df_conv_shape(conv);
    struct chain chain = { .block_terms = DF_CHAIN_TERMS };

    for (size_t r = 0; r < conv->kernel_h; r++)
        for (size_t s = 0; s < conv->kernel_w; s++) {
            const ptrdiff_t top = (ptrdiff_t)(h + conv->pad_h) - (ptrdiff_t)r, left = (ptrdiff_t)(v + conv->pad_w) - (ptrdiff_t)s;
            const size_t oh = (size_t)top / conv->stride_h, ow = (size_t)left / conv->stride_w;

            if (top < 0 || left < 0 || (size_t)top % conv->stride_h || (size_t)left % conv->stride_w || oh >= y.h || ow >= y.w)
                continue;
            for (size_t k = 0; k < y.c; k++)
                take(&chain, pixel(dy, y, n, oh, ow)[k], w[((k * conv->kernel_h + r) * conv->kernel_w + s) * conv->x.c + c]);
        }
    *sum = end(&chain);
    return chain.terms > 0;
}

static void conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                               bool add)
{
    const df_shape x = conv->x;

    (void)device;
    for (size_t i = 0; i < df_count(x); i++) {
        const size_t p = i / x.c;
        float sum;

        if (backward_one(conv, dy, w.data, p / x.w / x.h, p / x.w % x.h, p % x.w, i % x.c, &sum))
            dx[i] = add ? dx[i] + sum : sum;
        else if (!add)
            dx[i] = 0;
    }
}

static float weight_one(const struct df_conv *conv, const float *x, const float *dy, size_t k, size_t r, size_t s, size_t c)
{
    const df_shape y = df_conv_shape(conv);
    const size_t pixels = df_pixels(y);
    float sum = 0;

    for (size_t first = 0; first < pixels; first += DF_BLOCK_PIXELS) {
        float block = 0;

        for (size_t p = first; p < pixels && p < first + DF_BLOCK_PIXELS; p++) {
            size_t h, w;

            if (meets(p / y.w % y.h, conv->stride_h, r, conv->pad_h, conv->x.h, &h) &&
                meets(p % y.w, conv->stride_w, s, conv->pad_w, conv->x.w, &w))
                block = fmaf(pixel(x, conv->x, p / y.w / y.h, h, w)[c], dy[p * y.c + k], block);
        }
        sum += block;
    }
    return sum;
}

static void conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                  df_real *dbias)
{
    const size_t pixels = df_pixels(df_conv_shape(conv)), taps = conv->kernel_h * conv->kernel_w;

    (void)device;
    for (size_t k = 0; k < conv->filters; k++)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t c = 0; c < conv->x.c; c++)
                dw[(k * taps + tap) * conv->x.c + c] += weight_one(conv, x, dy, k, tap / conv->kernel_w, tap % conv->kernel_w, c);
    for (size_t k = 0; dbias && k < conv->filters; k++) {
        double sum = 0;

        for (size_t p = 0; p < pixels; p++)
            sum += (double)dy[p * conv->filters + k];
        dbias[k] += (float)sum;
    }
}

static void matmul(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c)
{
    (void)device;
    for (size_t i = 0; i < mm->m; i++)
        for (size_t j = 0; j < mm->n; j++) {
            struct chain chain = { .block_terms = mm->transpose_a ? DF_BLOCK_PIXELS : DF_CHAIN_TERMS };

            for (size_t l = 0; l < mm->k; l++)
                take(&chain, mm->transpose_a ? a[l * mm->m + i] : a[i * mm->k + l],
                     mm->transpose_b ? b.data[j * mm->k + l] : b.data[l * mm->n + j]);
            c[i * mm->n + j] = mm->add ? c[i * mm->n + j] + end(&chain) : end(&chain);
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
