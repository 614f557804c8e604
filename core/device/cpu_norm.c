/* Batch norm and max pooling of `cpu`, on NHWC rows. Work goes strip by strip: up to 16 channels (one cache line), whose sums or factors
 * stay in registers while a block of pixels that fits the first cache passes by; so memory is read once and nearly in order, and every sum
 * is still taken in double and in pixel order. Variance: one pass over x - x[pixel 0], whose cancellation is harmless in double. */
#ifndef DF_REAL_IS_DOUBLE
#include <math.h>
#include <string.h>

#include "core/device/cpu.h"

enum { LANES = 4, GROUP = 512 /* channels whose sums lie on the stack */, BLOCK_FLOATS = 4096 };
typedef float f4 __attribute__((vector_size(16)));
typedef double d4 __attribute__((vector_size(32)));
typedef int32_t i4 __attribute__((vector_size(16)));
#define INLINE static inline __attribute__((always_inline))

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

/* A rectangle of pixels x channels inside NHWC tensors, and the per-channel vectors for it. Pointers are to its first element. */
struct tile {
    const float *x, *y, *dy;
    float *out;
    size_t pixels, stride;
    const double *shift;   /* moments: subtracted from x */
    double *a, *b;         /* the sums */
    const float *mean, *scale, *offset, *slope;
    bool relu;
};
typedef void tile_fn(const struct tile *tile, size_t width);

/* Moves the pointers that are used (not NULL) by `pixels` rows and `channels` columns. */
static struct tile tile_at(const struct tile *whole, size_t pixel, size_t pixels, size_t channel)
{
    struct tile t = *whole;
    const size_t move = pixel * t.stride + channel;

    t.pixels = pixels;
    t.x = t.x ? t.x + move : NULL;
    t.y = t.y ? t.y + move : NULL;
    t.dy = t.dy ? t.dy + move : NULL;
    t.out = t.out ? t.out + move : NULL;
    t.shift = t.shift ? t.shift + channel : NULL;
    t.a = t.a ? t.a + channel : NULL;
    t.b = t.b ? t.b + channel : NULL;
    t.mean = t.mean ? t.mean + channel : NULL;
    t.scale = t.scale ? t.scale + channel : NULL;
    t.offset = t.offset ? t.offset + channel : NULL;
    t.slope = t.slope ? t.slope + channel : NULL;
    return t;
}

/* Blocks of pixels, in them strips of 16, 8 or 4 channels and a rest. */
static void for_tiles(const struct tile *whole, size_t channels, tile_fn *fn)
{
    const size_t block = channels < BLOCK_FLOATS / 16 ? BLOCK_FLOATS / channels : 16;

    for (size_t p = 0; p < whole->pixels; p += block) {
        const size_t pixels = whole->pixels - p < block ? whole->pixels - p : block;

        for (size_t c = 0; c < channels;) {
            const size_t left = channels - c, width = left >= 16 ? 16 : left >= 8 ? 8 : left >= 4 ? 4 : left;
            const struct tile tile = tile_at(whole, p, pixels, c);

            fn(&tile, width);
            c += width;
        }
    }
}

/* Calls `body` with a constant number of vectors, or `rest` for fewer than 4 channels. */
#define BY_WIDTH(tile, width, body, rest)  \
    switch (width) {                       \
    case 16: body(tile, 4); break;         \
    case 8: body(tile, 2); break;          \
    case 4: body(tile, 1); break;          \
    default: rest(tile, width); break;     \
    }

/* ---- sums ---- */

/* a += x - shift, b += (x - shift)^2 */
INLINE void moments_vectors(const struct tile *t, int vectors)
{
    const float *x = t->x;
    d4 a[4], b[4], shift[4];

    for (int k = 0; k < vectors; k++) {
        a[k] = load4d(t->a + LANES * k);
        b[k] = load4d(t->b + LANES * k);
        shift[k] = load4d(t->shift + LANES * k);
    }
    for (size_t p = 0; p < t->pixels; p++, x += t->stride)
        for (int k = 0; k < vectors; k++) {
            const d4 d = __builtin_convertvector(load4(x + LANES * k), d4) - shift[k];

            a[k] += d;
            b[k] += d * d;
        }
    for (int k = 0; k < vectors; k++) {
        store4d(t->a + LANES * k, a[k]);
        store4d(t->b + LANES * k, b[k]);
    }
}

static void moments_rest(const struct tile *t, size_t width)
{
    for (size_t p = 0; p < t->pixels; p++)
        for (size_t c = 0; c < width; c++) {
            const double d = (double)t->x[p * t->stride + c] - t->shift[c];

            t->a[c] += d;
            t->b[c] += d * d;
        }
}

static void moments(const struct tile *tile, size_t width) { BY_WIDTH(tile, width, moments_vectors, moments_rest) }

/* g = dy where y > 0 (relu) or dy; a += g, b += g (x - shift) */
INLINE void slopes_vectors(const struct tile *t, int vectors)
{
    const float *x = t->x, *y = t->y, *dy = t->dy;
    d4 a[4], b[4], shift[4];

    for (int k = 0; k < vectors; k++) {
        a[k] = load4d(t->a + LANES * k);
        b[k] = load4d(t->b + LANES * k);
        shift[k] = load4d(t->shift + LANES * k);
    }
    for (size_t p = 0; p < t->pixels; p++, x += t->stride, y += t->stride, dy += t->stride)
        for (int k = 0; k < vectors; k++) {
            const f4 masked = t->relu ? where4(load4(y + LANES * k) > 0.0f, load4(dy + LANES * k)) : load4(dy + LANES * k);
            const d4 g = __builtin_convertvector(masked, d4);

            a[k] += g;
            b[k] += g * (__builtin_convertvector(load4(x + LANES * k), d4) - shift[k]);
        }
    for (int k = 0; k < vectors; k++) {
        store4d(t->a + LANES * k, a[k]);
        store4d(t->b + LANES * k, b[k]);
    }
}

static void slopes_rest(const struct tile *t, size_t width)
{
    for (size_t p = 0; p < t->pixels; p++)
        for (size_t c = 0; c < width; c++) {
            const size_t i = p * t->stride + c;
            const double g = t->relu && !(t->y[i] > 0) ? 0 : (double)t->dy[i];

            t->a[c] += g;
            t->b[c] += g * ((double)t->x[i] - t->shift[c]);
        }
}

static void slopes(const struct tile *tile, size_t width) { BY_WIDTH(tile, width, slopes_vectors, slopes_rest) }

/* ---- passes that write ---- */

/* out = (x - mean) scale + offset, then relu */
INLINE void normalise_vectors(const struct tile *t, int vectors)
{
    const float *x = t->x;
    float *out = t->out;
    f4 mean[4], scale[4], offset[4];

    for (int k = 0; k < vectors; k++) {
        mean[k] = load4(t->mean + LANES * k);
        scale[k] = load4(t->scale + LANES * k);
        offset[k] = load4(t->offset + LANES * k);
    }
    for (size_t p = 0; p < t->pixels; p++, x += t->stride, out += t->stride)
        for (int k = 0; k < vectors; k++) {
            const f4 v = (load4(x + LANES * k) - mean[k]) * scale[k] + offset[k];

            store4(out + LANES * k, t->relu ? where4(~(v < 0.0f), v) : v);
        }
}

static void normalise_rest(const struct tile *t, size_t width)
{
    for (size_t p = 0; p < t->pixels; p++)
        for (size_t c = 0; c < width; c++) {
            const float v = (t->x[p * t->stride + c] - t->mean[c]) * t->scale[c] + t->offset[c];

            t->out[p * t->stride + c] = t->relu && v < 0 ? 0 : v;
        }
}

static void normalise(const struct tile *tile, size_t width) { BY_WIDTH(tile, width, normalise_vectors, normalise_rest) }

/* out += scale (g - offset - (x - mean) slope) */
INLINE void spread_vectors(const struct tile *t, int vectors)
{
    const float *x = t->x, *y = t->y, *dy = t->dy;
    float *out = t->out;
    f4 mean[4], scale[4], offset[4], slope[4];

    for (int k = 0; k < vectors; k++) {
        mean[k] = load4(t->mean + LANES * k);
        scale[k] = load4(t->scale + LANES * k);
        offset[k] = load4(t->offset + LANES * k);
        slope[k] = load4(t->slope + LANES * k);
    }
    for (size_t p = 0; p < t->pixels; p++, x += t->stride, y += t->stride, dy += t->stride, out += t->stride)
        for (int k = 0; k < vectors; k++) {
            const f4 d = load4(dy + LANES * k), g = t->relu ? where4(load4(y + LANES * k) > 0.0f, d) : d;

            store4(out + LANES * k, load4(out + LANES * k) +
                                        scale[k] * (g - offset[k] - (load4(x + LANES * k) - mean[k]) * slope[k]));
        }
}

static void spread_rest(const struct tile *t, size_t width)
{
    for (size_t p = 0; p < t->pixels; p++)
        for (size_t c = 0; c < width; c++) {
            const size_t i = p * t->stride + c;
            const float g = t->relu && !(t->y[i] > 0) ? 0 : t->dy[i];

            t->out[i] += t->scale[c] * (g - t->offset[c] - (t->x[i] - t->mean[c]) * t->slope[c]);
        }
}

static void spread(const struct tile *tile, size_t width) { BY_WIDTH(tile, width, spread_vectors, spread_rest) }

/* ---- batch norm ---- */

/* Mean and inv_std of channels [0, n) of a group; moves the running buffers. */
static void statistics(const struct df_batch_norm *bn, const float *x, size_t n, float *running_mean, float *running_var, double *mean,
                       double *inv_std)
{
    const double pixels = (double)df_pixels(bn->x), keep = 1 - bn->momentum;
    double shift[GROUP], a[GROUP] = { 0 }, b[GROUP] = { 0 };

    for (size_t c = 0; c < n; c++)
        shift[c] = (double)x[c];
    const struct tile whole = { .x = x, .pixels = df_pixels(bn->x), .stride = bn->x.c, .shift = shift, .a = a, .b = b };

    for_tiles(&whole, n, moments);
    for (size_t c = 0; c < n; c++) {
        const double d = a[c] / pixels, squares = fmax(b[c] - a[c] * d, 0), unbiased = pixels > 1 ? squares / (pixels - 1) : 0;

        mean[c] = shift[c] + d;
        inv_std[c] = 1 / sqrt(squares / pixels + bn->eps);
        running_mean[c] = (float)(keep * (double)running_mean[c] + bn->momentum * mean[c]);
        running_var[c] = (float)(keep * (double)running_var[c] + bn->momentum * unbiased);
    }
}

void df_cpu_batch_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                               const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std,
                               df_real *y)
{
    (void)device;
    for (size_t first = 0; first < bn->x.c; first += GROUP) {
        const size_t n = bn->x.c - first < GROUP ? bn->x.c - first : GROUP;
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
        const struct tile whole = { .x = x + first, .out = y + first, .pixels = df_pixels(bn->x), .stride = bn->x.c, .mean = centre,
                                    .scale = scale, .offset = beta + first, .relu = bn->relu };

        for_tiles(&whole, n, normalise);
    }
}

void df_cpu_batch_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                                const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                                df_real *dgamma, df_real *dbeta)
{
    const double pixels = (double)df_pixels(bn->x);

    (void)device;
    for (size_t first = 0; first < bn->x.c; first += GROUP) {
        const size_t n = bn->x.c - first < GROUP ? bn->x.c - first : GROUP;
        double shift[GROUP], a[GROUP] = { 0 }, b[GROUP] = { 0 };
        float scale[GROUP], offset[GROUP], slope[GROUP];
        struct tile whole = { .x = x + first, .y = y + first, .dy = dy + first, .pixels = df_pixels(bn->x), .stride = bn->x.c,
                              .shift = shift, .a = a, .b = b, .relu = bn->relu };

        for (size_t c = 0; c < n; c++)
            shift[c] = (double)mean[first + c];
        if (bn->training || dgamma || dbeta)
            for_tiles(&whole, n, slopes);
        for (size_t c = 0; c < n; c++) {
            const double sd = (double)inv_std[first + c], dot = b[c] * sd;

            scale[c] = (float)((double)gamma[first + c] * sd);
            offset[c] = bn->training ? (float)(a[c] / pixels) : 0;
            slope[c] = bn->training ? (float)(dot * sd / pixels) : 0;
            if (dgamma)
                dgamma[first + c] += (float)dot;
            if (dbeta)
                dbeta[first + c] += (float)a[c];
        }
        whole.out = dx + first;
        whole.mean = mean + first;
        whole.scale = scale;
        whole.offset = offset;
        whole.slope = slope;
        for_tiles(&whole, n, spread);
    }
}

void df_cpu_channel_sums(const df_real *x, size_t pixels, size_t channels, df_real *sums)
{
    static const double zero[GROUP];

    for (size_t first = 0; first < channels; first += GROUP) {
        const size_t n = channels - first < GROUP ? channels - first : GROUP;
        double a[GROUP] = { 0 }, b[GROUP] = { 0 };
        const struct tile whole = { .x = x + first, .pixels = pixels, .stride = channels, .shift = zero, .a = a, .b = b };

        for_tiles(&whole, n, moments);
        for (size_t c = 0; c < n; c++)
            sums[first + c] += (float)a[c];
    }
}

/* ---- max pooling ---- */

/* best, argmax [C] against the row x that starts at flat index `at` */
static void pool_row(const float *restrict x, size_t channels, uint32_t at, bool first, float *restrict best, uint32_t *restrict argmax)
{
    for (size_t c = 0; c < channels; c++) {
        const bool wins = first || x[c] > best[c] || x[c] != x[c];

        best[c] = wins ? x[c] : best[c];
        argmax[c] = wins ? at + (uint32_t)c : argmax[c];
    }
}

void df_cpu_max_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax)
{
    const df_shape in = pool->x, out = df_pool_shape(pool);

    (void)device;
    for (size_t p = 0; p < df_pixels(out); p++) {
        const size_t n = p / (out.h * out.w), oh = p / out.w % out.h, ow = p % out.w;
        const ptrdiff_t h0 = (ptrdiff_t)(oh * pool->stride) - (ptrdiff_t)pool->pad, w0 = (ptrdiff_t)(ow * pool->stride) - (ptrdiff_t)pool->pad;
        bool first = true;

        for (size_t kh = df_tap_first(h0); kh < df_tap_end(h0, pool->kernel, in.h); kh++)
            for (size_t kw = df_tap_first(w0); kw < df_tap_end(w0, pool->kernel, in.w); kw++) {
                const size_t h = (size_t)(h0 + (ptrdiff_t)kh), w = (size_t)(w0 + (ptrdiff_t)kw), at = ((n * in.h + h) * in.w + w) * in.c;

                pool_row(x + at, in.c, (uint32_t)at, first, y + p * in.c, argmax + p * in.c);
                first = false;
            }
    }
}

void df_cpu_max_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx)
{
    const size_t count = df_count(df_pool_shape(pool));

    (void)device;
    for (size_t i = 0; i < count; i++)
        dx[argmax[i]] += dy[i];
}
#else
typedef int df_cpu_norm_is_float_only;
#endif
