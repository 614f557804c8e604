/* Batch norm and max pooling of `cpu`, on NHWC rows. Work goes strip by strip: up to 16 channels (one cache line), whose sums or factors
 * stay in registers while a block of pixels that fits the first cache passes by; so memory is read once and nearly in order, and every sum
 * is still taken in double and in pixel order. Both moments come from one pass: sum x and sum x x, in double, where products of floats are
 * exact; the cancellation in var = E x x - (E x)^2 reaches float precision only when the mean is thousands of deviations away. */
#include <math.h>
#include <string.h>

#include "core/device/cpu/cpu.h"
#include "core/device/cpu/vector.h"
#ifdef __FMA__
#include <immintrin.h>
#endif

enum { LANES = 4, GROUP = 512 /* channels whose sums lie on the stack */, BLOCK_FLOATS = 1024 };
typedef float f4 __attribute__((vector_size(16)));
typedef double d4 __attribute__((vector_size(32)));
typedef int32_t i4 __attribute__((vector_size(16)));

INLINE f4 load4(const float *p)
{
    f4 v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE d4 load4d(const double *p)
{
    d4 v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store4(float *p, f4 v) { memcpy(p, &v, sizeof v); }
INLINE void store4d(double *p, d4 v) { memcpy(p, &v, sizeof v); }
INLINE f4 where4(i4 mask, f4 v) { return (f4)((i4)v & mask); }

/* c + a b for a, b that came from floats: the product is exact, so a fused multiply-add gives the same bits as two instructions. */
INLINE d4 add_product(d4 c, d4 a, d4 b)
{
#ifdef __FMA__
    return (d4)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return c + a * b;
#endif
}

/* What a pass over NHWC data reads and writes: tensors of `pixels` rows that lie `stride` apart, and vectors with one value per channel. */
struct pass {
    const float *x, *y, *dy;
    float *out;
    size_t pixels, stride;
    double *a, *b; /* the sums */
    const float *mean, *scale, *offset, *slope;
    bool relu, overwrite;
};
/* Pixels [first, last) of `width` channels from `channel` on. */
typedef void pass_fn(const struct pass *pass, size_t first, size_t last, size_t channel, size_t width);

/* Blocks of pixels, in them strips of 16, 8 or 4 channels and a rest. */
static void run(const struct pass *pass, size_t channels, pass_fn *fn)
{
    const size_t block = channels * 4 < BLOCK_FLOATS ? BLOCK_FLOATS / channels : 4;

    for (size_t p = 0; p < pass->pixels; p += block) {
        const size_t last = pass->pixels - p < block ? pass->pixels : p + block;

        for (size_t c = 0; c < channels;) {
            const size_t left = channels - c, width = left >= 16 ? 16 : left >= 8 ? 8 : left >= 4 ? 4 : left;

            fn(pass, p, last, c, width);
            c += width;
        }
    }
}

/* Calls `vectors` with a constant number of 4-channel vectors, or `rest` for fewer than 4 channels. */
#define BY_WIDTH(vectors, rest)                                                                                                            \
    switch (width) {                                                                                                                       \
    case 16:                                                                                                                               \
        vectors(pass, first, last, channel, 4);                                                                                            \
        break;                                                                                                                             \
    case 8:                                                                                                                                \
        vectors(pass, first, last, channel, 2);                                                                                            \
        break;                                                                                                                             \
    case 4:                                                                                                                                \
        vectors(pass, first, last, channel, 1);                                                                                            \
        break;                                                                                                                             \
    default:                                                                                                                               \
        rest(pass, first, last, channel, width);                                                                                           \
        break;                                                                                                                             \
    }

/* ---- sums ---- */

/* a += x, b += x x */
INLINE void moments_vectors(const struct pass *pass, size_t first, size_t last, size_t channel, int vectors)
{
    const float *x = pass->x + first * pass->stride + channel;
    d4 a[4], b[4];

    for (int k = 0; k < vectors; k++) {
        a[k] = load4d(pass->a + channel + LANES * k);
        b[k] = load4d(pass->b + channel + LANES * k);
    }
    for (size_t p = first; p < last; p++, x += pass->stride)
        for (int k = 0; k < vectors; k++) {
            const d4 v = __builtin_convertvector(load4(x + LANES * k), d4);

            a[k] += v;
            b[k] = add_product(b[k], v, v);
        }
    for (int k = 0; k < vectors; k++) {
        store4d(pass->a + channel + LANES * k, a[k]);
        store4d(pass->b + channel + LANES * k, b[k]);
    }
}

static void moments_rest(const struct pass *pass, size_t first, size_t last, size_t channel, size_t width)
{
    for (size_t p = first; p < last; p++)
        for (size_t c = channel; c < channel + width; c++) {
            const double v = (double)pass->x[p * pass->stride + c];

            pass->a[c] += v;
            pass->b[c] += v * v;
        }
}

static void moments(const struct pass *pass, size_t first, size_t last, size_t channel,
                    size_t width){ BY_WIDTH(moments_vectors, moments_rest) }

/* g = dy where y > 0 (relu) or dy; a += g, b += g x */
INLINE void slopes_vectors(const struct pass *pass, size_t first, size_t last, size_t channel, int vectors)
{
    const size_t stride = pass->stride, start = first * stride + channel;
    const float *x = pass->x + start, *y = pass->y + start, *dy = pass->dy + start;
    d4 a[4], b[4];

    for (int k = 0; k < vectors; k++) {
        a[k] = load4d(pass->a + channel + LANES * k);
        b[k] = load4d(pass->b + channel + LANES * k);
    }
    for (size_t p = first; p < last; p++, x += stride, y += stride, dy += stride)
        for (int k = 0; k < vectors; k++) {
            const f4 slope = load4(dy + LANES * k), masked = pass->relu ? where4(load4(y + LANES * k) > 0.0f, slope) : slope;
            const d4 g = __builtin_convertvector(masked, d4);

            a[k] += g;
            b[k] = add_product(b[k], g, __builtin_convertvector(load4(x + LANES * k), d4));
        }
    for (int k = 0; k < vectors; k++) {
        store4d(pass->a + channel + LANES * k, a[k]);
        store4d(pass->b + channel + LANES * k, b[k]);
    }
}

static void slopes_rest(const struct pass *pass, size_t first, size_t last, size_t channel, size_t width)
{
    for (size_t p = first; p < last; p++)
        for (size_t c = channel; c < channel + width; c++) {
            const size_t i = p * pass->stride + c;
            const double g = pass->relu && !(pass->y[i] > 0) ? 0 : (double)pass->dy[i];

            pass->a[c] += g;
            pass->b[c] += g * (double)pass->x[i];
        }
}

static void slopes(const struct pass *pass, size_t first, size_t last, size_t channel,
                   size_t width){ BY_WIDTH(slopes_vectors, slopes_rest) }

/* ---- passes that write ---- */

/* out = (x - mean) scale + offset, then relu */
INLINE void normalise_vectors(const struct pass *pass, size_t first, size_t last, size_t channel, int vectors)
{
    const size_t stride = pass->stride, start = first * stride + channel;
    const float *x = pass->x + start;
    float *out = pass->out + start;
    f4 mean[4], scale[4], offset[4];

    for (int k = 0; k < vectors; k++) {
        mean[k] = load4(pass->mean + channel + LANES * k);
        scale[k] = load4(pass->scale + channel + LANES * k);
        offset[k] = load4(pass->offset + channel + LANES * k);
    }
    for (size_t p = first; p < last; p++, x += stride, out += stride)
        for (int k = 0; k < vectors; k++) {
            const f4 v = (load4(x + LANES * k) - mean[k]) * scale[k] + offset[k];

            store4(out + LANES * k, pass->relu ? where4(~(v < 0.0f), v) : v);
        }
}

static void normalise_rest(const struct pass *pass, size_t first, size_t last, size_t channel, size_t width)
{
    for (size_t p = first; p < last; p++)
        for (size_t c = channel; c < channel + width; c++) {
            const float v = (pass->x[p * pass->stride + c] - pass->mean[c]) * pass->scale[c] + pass->offset[c];

            pass->out[p * pass->stride + c] = pass->relu && v < 0 ? 0 : v;
        }
}

static void normalise(const struct pass *pass, size_t first, size_t last, size_t channel,
                      size_t width){ BY_WIDTH(normalise_vectors, normalise_rest) }

/* out (+)= scale (g - offset - (x - mean) slope) */
INLINE void spread_vectors(const struct pass *pass, size_t first, size_t last, size_t channel, int vectors)
{
    const size_t stride = pass->stride, start = first * stride + channel;
    const float *x = pass->x + start, *y = pass->y + start, *dy = pass->dy + start;
    float *out = pass->out + start;
    f4 mean[4], scale[4], offset[4], slope[4];

    for (int k = 0; k < vectors; k++) {
        mean[k] = load4(pass->mean + channel + LANES * k);
        scale[k] = load4(pass->scale + channel + LANES * k);
        offset[k] = load4(pass->offset + channel + LANES * k);
        slope[k] = load4(pass->slope + channel + LANES * k);
    }
    for (size_t p = first; p < last; p++, x += stride, y += stride, dy += stride, out += stride)
        for (int k = 0; k < vectors; k++) {
            const f4 d = load4(dy + LANES * k), g = pass->relu ? where4(load4(y + LANES * k) > 0.0f, d) : d;
            const f4 dx = scale[k] * (g - offset[k] - (load4(x + LANES * k) - mean[k]) * slope[k]);

            store4(out + LANES * k, pass->overwrite ? dx : load4(out + LANES * k) + dx);
        }
}

static void spread_rest(const struct pass *pass, size_t first, size_t last, size_t channel, size_t width)
{
    for (size_t p = first; p < last; p++)
        for (size_t c = channel; c < channel + width; c++) {
            const size_t i = p * pass->stride + c;
            const float g = pass->relu && !(pass->y[i] > 0) ? 0 : pass->dy[i];
            const float dx = pass->scale[c] * (g - pass->offset[c] - (pass->x[i] - pass->mean[c]) * pass->slope[c]);

            pass->out[i] = pass->overwrite ? dx : pass->out[i] + dx;
        }
}

static void spread(const struct pass *pass, size_t first, size_t last, size_t channel, size_t width)
{
    BY_WIDTH(spread_vectors, spread_rest)
}

/* ---- batch norm ---- */

/* Mean and inv_std of n <= GROUP channels; moves the running buffers. */
static void statistics(const struct df_batch_norm *bn, const float *x, size_t n, float *running_mean, float *running_var, double *mean,
                       double *inv_std)
{
    const double pixels = (double)df_pixels(bn->x), keep = 1 - bn->momentum;
    double a[GROUP] = { 0 }, b[GROUP] = { 0 };
    const struct pass pass = { .x = x, .pixels = df_pixels(bn->x), .stride = bn->x.c, .a = a, .b = b };

    run(&pass, n, moments);
    for (size_t c = 0; c < n; c++) {
        mean[c] = a[c] / pixels;
        const double squares = fmax(b[c] - a[c] * mean[c], 0), unbiased = squares / (pixels > 1 ? pixels - 1 : 1);

        inv_std[c] = 1 / sqrt(squares / pixels + bn->eps);
        running_mean[c] = (float)(keep * (double)running_mean[c] + bn->momentum * mean[c]);
        running_var[c] = (float)(keep * (double)running_var[c] + bn->momentum * unbiased);
    }
}

static size_t group_at(size_t first, size_t channels) { return channels - first < GROUP ? channels - first : GROUP; }

void CPU(batch_norm_forward)(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                             const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std, df_real *y)
{
    (void)device;
    for (size_t first = 0; first < bn->x.c; first += GROUP) {
        const size_t n = group_at(first, bn->x.c);
        double mu[GROUP], sd[GROUP];
        float centre[GROUP], scale[GROUP];

        for (size_t c = 0; c < n && !bn->training; c++) {
            mu[c] = (double)running_mean[first + c];
            sd[c] = 1 / sqrt((double)running_var[first + c] + bn->eps);
        }
        if (bn->training)
            statistics(bn, x + first, n, running_mean + first, running_var + first, mu, sd);
        for (size_t c = 0; c < n; c++) {
            centre[c] = (float)mu[c];
            scale[c] = (float)(sd[c] * (double)gamma[first + c]);
            if (mean)
                mean[first + c] = centre[c];
            if (inv_std)
                inv_std[first + c] = (float)sd[c];
        }
        const struct pass pass = { .x = x + first,
                                   .out = y + first,
                                   .pixels = df_pixels(bn->x),
                                   .stride = bn->x.c,
                                   .mean = centre,
                                   .scale = scale,
                                   .offset = beta + first,
                                   .relu = bn->relu };

        run(&pass, n, normalise);
    }
}

void CPU(batch_norm_backward)(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                              const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                              df_real *dgamma, df_real *dbeta)
{
    const double pixels = (double)df_pixels(bn->x);

    (void)device;
    for (size_t first = 0; first < bn->x.c; first += GROUP) {
        const size_t n = group_at(first, bn->x.c);
        double a[GROUP] = { 0 }, b[GROUP] = { 0 };
        float scale[GROUP], offset[GROUP], slope[GROUP];
        const struct pass pass = { .x = x + first,
                                   .y = y + first,
                                   .dy = dy + first,
                                   .out = dx + first,
                                   .pixels = df_pixels(bn->x),
                                   .stride = bn->x.c,
                                   .a = a,
                                   .b = b,
                                   .mean = mean + first,
                                   .scale = scale,
                                   .offset = offset,
                                   .slope = slope,
                                   .relu = bn->relu,
                                   .overwrite = bn->overwrite };

        if (bn->training || dgamma || dbeta)
            run(&pass, n, slopes);
        for (size_t c = 0; c < n; c++) {
            const double sd = (double)inv_std[first + c], dot = (b[c] - (double)mean[first + c] * a[c]) * sd;

            scale[c] = (float)((double)gamma[first + c] * sd);
            offset[c] = bn->training ? (float)(a[c] / pixels) : 0;
            slope[c] = bn->training ? (float)(dot * sd / pixels) : 0;
            if (dgamma)
                dgamma[first + c] += (float)dot;
            if (dbeta)
                dbeta[first + c] += (float)a[c];
        }
        run(&pass, n, spread);
    }
}

void CPU(channel_sums)(const df_real *x, size_t pixels, size_t channels, df_real *sums)
{
    for (size_t first = 0; first < channels; first += GROUP) {
        const size_t n = group_at(first, channels);
        double a[GROUP] = { 0 }, b[GROUP] = { 0 };
        const struct pass pass = { .x = x + first, .pixels = pixels, .stride = channels, .a = a, .b = b };

        run(&pass, n, moments);
        for (size_t c = 0; c < n; c++)
            sums[first + c] += (float)a[c];
    }
}

/* ---- max pooling ---- */

/* The taps of one output pixel: its rows and columns of the image that starts at flat index `image`. */
struct window {
    size_t image, line, channels; /* line: floats in a row of pixels */
    size_t top, bottom, left, right;
};

/* Channels from `channel` on, 4 to a vector: values and indices stay in registers while the window passes. A NaN always wins. */
INLINE void pool_vectors(const struct window *at, const float *x, size_t channel, int vectors, float *y, uint32_t *argmax)
{
    const size_t start = at->image + at->top * at->line + at->left * at->channels + channel;
    f4 best[4];
    i4 index[4], flat[4];

    for (int k = 0; k < vectors; k++) {
        best[k] = load4(x + start + LANES * k);
        flat[k] = (i4){ 0, 1, 2, 3 } + LANES * k;
        index[k] = flat[k] + (int32_t)(uint32_t)start;
    }
    for (size_t h = at->top; h < at->bottom; h++) {
        size_t from = at->image + h * at->line + at->left * at->channels + channel;

        for (size_t w = at->left; w < at->right; w++, from += at->channels)
            for (int k = 0; k < vectors; k++) {
                const f4 v = load4(x + from + LANES * k);
                const i4 wins = (v > best[k]) | (v != v);

                best[k] = (f4)(((i4)v & wins) | ((i4)best[k] & ~wins));
                index[k] = ((flat[k] + (int32_t)(uint32_t)from) & wins) | (index[k] & ~wins);
            }
    }
    for (int k = 0; k < vectors; k++) {
        store4(y + channel + LANES * k, best[k]);
        memcpy(argmax + channel + LANES * k, &index[k], sizeof index[k]);
    }
}

static void pool_rest(const struct window *at, const float *x, size_t channel, size_t width, float *y, uint32_t *argmax)
{
    for (size_t c = channel; c < channel + width; c++) {
        size_t best = at->image + at->top * at->line + at->left * at->channels + c;

        for (size_t h = at->top; h < at->bottom; h++)
            for (size_t w = at->left; w < at->right; w++) {
                const size_t from = at->image + h * at->line + w * at->channels + c;

                best = x[from] > x[best] || x[from] != x[from] ? from : best;
            }
        y[c] = x[best];
        argmax[c] = (uint32_t)best;
    }
}

/* One output pixel: strips of 16, 8 or 4 channels and a rest. */
static void pool_pixel(const struct window *at, const float *x, float *y, uint32_t *argmax)
{
    for (size_t c = 0; c < at->channels;) {
        const size_t left = at->channels - c;

        if (left >= 16) {
            pool_vectors(at, x, c, 4, y, argmax);
            c += 16;
        } else if (left >= 8) {
            pool_vectors(at, x, c, 2, y, argmax);
            c += 8;
        } else if (left >= 4) {
            pool_vectors(at, x, c, 1, y, argmax);
            c += 4;
        } else {
            pool_rest(at, x, c, left, y, argmax);
            c += left;
        }
    }
}

void CPU(max_pool_forward)(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax)
{
    const df_shape in = pool->x, out = df_pool_shape(pool);

    (void)device;
    for (size_t p = 0; p < df_pixels(out); p++) {
        const size_t n = p / (out.h * out.w), oh = p / out.w % out.h, ow = p % out.w;
        const ptrdiff_t h0 = (ptrdiff_t)(oh * pool->stride) - (ptrdiff_t)pool->pad,
                        w0 = (ptrdiff_t)(ow * pool->stride) - (ptrdiff_t)pool->pad;
        const struct window at = { .image = n * in.h * in.w * in.c,
                                   .line = in.w * in.c,
                                   .channels = in.c,
                                   .top = (size_t)(h0 + (ptrdiff_t)df_tap_first(h0)),
                                   .bottom = (size_t)(h0 + (ptrdiff_t)df_tap_end(h0, pool->kernel, in.h)),
                                   .left = (size_t)(w0 + (ptrdiff_t)df_tap_first(w0)),
                                   .right = (size_t)(w0 + (ptrdiff_t)df_tap_end(w0, pool->kernel, in.w)) };

        pool_pixel(&at, x, y + p * in.c, argmax + p * in.c);
    }
}

void CPU(max_pool_backward)(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx)
{
    const size_t count = df_count(df_pool_shape(pool));

    (void)device;
    for (size_t i = 0; i < count; i++)
        dx[argmax[i]] += dy[i];
}
