/* Max pooling of `cpu`: a window's best values and their places stay in registers, a few channels at a time. Nothing is summed. */
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/vector.h"

enum { LANES = 4 };
typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));

INLINE f4 load4(const float *p)
{
    f4 v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store4(float *p, f4 v) { memcpy(p, &v, sizeof v); }

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

static void forward_part(const void *context, size_t part, size_t parts)
{
    const struct df_max_pool_forward_args *a = context;
    const struct df_pool *pool = &a->pool;
    const df_shape in = pool->x, out = df_pool_shape(pool);
    size_t first, last;

    df_team_share(df_pixels(out), 1, part, parts, &first, &last);
    for (size_t p = first; p < last; p++) {
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

        pool_pixel(&at, a->x, a->y + p * in.c, a->argmax + p * in.c);
    }
}

/* A window's work: a comparison per tap and channel. */
void CPU(max_pool_forward)(struct df_device *device, const struct df_max_pool_forward_args *a)
{
    CPU(share)(device, 2.0 * (double)(df_count(df_pool_shape(&a->pool)) * a->pool.kernel * a->pool.kernel), forward_part, a);
}

/* Windows of two images never meet. */
static void backward_part(const void *context, size_t part, size_t parts)
{
    const struct df_max_pool_backward_args *a = context;
    const df_shape out = df_pool_shape(&a->pool);
    size_t first, last;

    df_team_share(out.n, 1, part, parts, &first, &last);
    for (size_t i = first * out.h * out.w * out.c; i < last * out.h * out.w * out.c; i++)
        a->dx[a->argmax[i]] += a->dy[i];
}

void CPU(max_pool_backward)(struct df_device *device, const struct df_max_pool_backward_args *a)
{
    CPU(share)(device, DF_FLOPS_OF_BYTE * 3.0 * sizeof(float) * (double)df_count(df_pool_shape(&a->pool)), backward_part, a);
}
