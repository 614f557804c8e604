/* Batch norm of `cpu`, on NHWC rows. Work goes strip by strip: a few vectors of channels, whose sums or factors stay in registers while a block
 * of pixels that fits the first cache passes by; so memory is read once and nearly in order, and every sum is still taken in double and in
 * pixel order. Both moments come from one pass: sum x and sum x x, in double, where products of floats are exact, so that a fused
 * multiply-add gives the bits of two instructions; the cancellation in var = E x x - (E x)^2 reaches float precision only when the mean is
 * thousands of deviations away. */
#include <math.h>

#include "core/device/cpu/cpu.h"
#include "core/device/cpu/norm.h"
#include "core/device/cpu/vector.h"

enum {
    GROUP = 512, /* channels whose sums lie on the stack */
    BLOCK_FLOATS = 1024,
    VECTORS = V < 8 ? 4 : 2, /* of a strip: with both halves and both sums, 8 chains of additions that do not wait for each other */
    LANES = V / HALVES       /* of a vd */
};

/* What a pass over NHWC data reads and writes: tensors of `pixels` rows that lie `stride` apart, and vectors with one value per channel, room
 * for whole vectors of them. */
struct pass {
    const float *x, *y, *dy, *skip;
    float *out, *out_skip;
    size_t pixels, stride;
    double *a, *b; /* the sums */
    const float *mean, *scale, *offset, *slope;
    bool relu, add, add_skip;
};
/* `rows` pixels of a strip of NV vectors of channels, from element `at` of the tensors and channel `channel` on. masked: the last vector is not
 * whole, and `mask` says how much of it is there. */
#define STRIP const struct pass *pass, size_t rows, size_t at, size_t channel, const int NV, const bool masked, vmask mask

INLINE vf load(const float *p, int v, const int NV, const bool masked, vmask mask)
{
    return masked && v == NV - 1 ? v_load_some(p + v * V, mask) : v_load(p + v * V);
}

INLINE void store(float *p, int v, const int NV, const bool masked, vmask mask, vf value)
{
    if (masked && v == NV - 1)
        v_store_some(p + v * V, mask, value);
    else
        v_store(p + v * V, value);
}

/* ---- sums ---- */

struct sums {
    vd a[VECTORS][HALVES], b[VECTORS][HALVES];
};

INLINE void load_sums(struct sums *s, const struct pass *pass, size_t channel, const int NV)
{
    UNROLL(4)
    for (int v = 0; v < NV; v++) {
        UNROLL(2)
        for (int h = 0; h < HALVES; h++) {
            s->a[v][h] = vd_load(pass->a + channel + v * V + h * LANES);
            s->b[v][h] = vd_load(pass->b + channel + v * V + h * LANES);
        }
    }
}

INLINE void store_sums(const struct sums *s, const struct pass *pass, size_t channel, const int NV)
{
    UNROLL(4)
    for (int v = 0; v < NV; v++) {
        UNROLL(2)
        for (int h = 0; h < HALVES; h++) {
            vd_store(pass->a + channel + v * V + h * LANES, s->a[v][h]);
            vd_store(pass->b + channel + v * V + h * LANES, s->b[v][h]);
        }
    }
}

/* a += g, b += g x */
INLINE void add_to_sums(struct sums *s, int v, vf g, vf x)
{
    UNROLL(2)
    for (int h = 0; h < HALVES; h++) {
        s->a[v][h] = vd_add(s->a[v][h], vd_half(g, h));
        s->b[v][h] = vd_fma(vd_half(g, h), vd_half(x, h), s->b[v][h]);
    }
}

/* a += x, b += x x */
INLINE void moments(STRIP)
{
    const float *x = pass->x + at;
    struct sums s;

    load_sums(&s, pass, channel, NV);
    for (size_t p = 0; p < rows; p++, x += pass->stride) {
        UNROLL(4)
        for (int v = 0; v < NV; v++) {
            const vf value = load(x, v, NV, masked, mask);

            add_to_sums(&s, v, value, value);
        }
    }
    store_sums(&s, pass, channel, NV);
}

/* dy where y > 0 (relu) or dy */
INLINE vf slope_at(const struct pass *pass, size_t at, int v, const int NV, const bool masked, vmask mask)
{
    const vf dy = load(pass->dy + at, v, NV, masked, mask);

    return pass->relu ? v_where_positive(load(pass->y + at, v, NV, masked, mask), dy) : dy;
}

/* g = dy behind the relu; a += g, b += g x */
INLINE void slopes(STRIP)
{
    struct sums s;

    load_sums(&s, pass, channel, NV);
    for (size_t p = 0; p < rows; p++, at += pass->stride) {
        UNROLL(4)
        for (int v = 0; v < NV; v++)
            add_to_sums(&s, v, slope_at(pass, at, v, NV, masked, mask), load(pass->x + at, v, NV, masked, mask));
    }
    store_sums(&s, pass, channel, NV);
}

/* ---- passes that write ---- */

/* out = (x - mean) scale + offset, then + skip, then relu */
INLINE void normalise(STRIP)
{
    vf mean[VECTORS], scale[VECTORS], offset[VECTORS];

    UNROLL(4)
    for (int v = 0; v < NV; v++) {
        mean[v] = v_load(pass->mean + channel + v * V);
        scale[v] = v_load(pass->scale + channel + v * V);
        offset[v] = v_load(pass->offset + channel + v * V);
    }
    for (size_t p = 0; p < rows; p++, at += pass->stride) {
        UNROLL(4)
        for (int v = 0; v < NV; v++) {
            const vf x = load(pass->x + at, v, NV, masked, mask);
            vf y = v_add(v_mul(v_sub(x, mean[v]), scale[v]), offset[v]);

            if (pass->skip)
                y = v_add(y, load(pass->skip + at, v, NV, masked, mask));
            store(pass->out + at, v, NV, masked, mask, pass->relu ? v_relu(y) : y);
        }
    }
}

/* out (+)= scale (g - offset - (x - mean) slope), out_skip (+)= g */
INLINE void spread(STRIP)
{
    vf mean[VECTORS], scale[VECTORS], offset[VECTORS], slope[VECTORS];

    UNROLL(4)
    for (int v = 0; v < NV; v++) {
        mean[v] = v_load(pass->mean + channel + v * V);
        scale[v] = v_load(pass->scale + channel + v * V);
        offset[v] = v_load(pass->offset + channel + v * V);
        slope[v] = v_load(pass->slope + channel + v * V);
    }
    for (size_t p = 0; p < rows; p++, at += pass->stride) {
        UNROLL(4)
        for (int v = 0; v < NV; v++) {
            const vf g = slope_at(pass, at, v, NV, masked, mask), x = load(pass->x + at, v, NV, masked, mask);
            const vf dx = v_mul(scale[v], v_sub(v_sub(g, offset[v]), v_mul(v_sub(x, mean[v]), slope[v])));
            const vf sum = pass->add ? v_add(load(pass->out + at, v, NV, masked, mask), dx) : dx;

            store(pass->out + at, v, NV, masked, mask, sum);
            if (pass->out_skip)
                store(pass->out_skip + at, v, NV, masked, mask,
                      pass->add_skip ? v_add(load(pass->out_skip + at, v, NV, masked, mask), g) : g);
        }
    }
}

/* ---- strips ---- */

typedef void pass_fn(const struct pass *pass, size_t rows, size_t at, size_t channel, size_t vectors, vmask mask, bool masked);
/* A pass over a strip, compiled for each number of vectors. */
#define PASS(name)                                                                                                                         \
    static void name##_strip(const struct pass *pass, size_t rows, size_t at, size_t channel, size_t vectors, vmask mask, bool masked)     \
    {                                                                                                                                      \
        if (masked)                                                                                                                        \
            name(pass, rows, at, channel, 1, true, mask);                                                                                  \
        else if (vectors == 1)                                                                                                             \
            name(pass, rows, at, channel, 1, false, mask);                                                                                 \
        else                                                                                                                               \
            name(pass, rows, at, channel, VECTORS, false, mask);                                                                           \
    }
PASS(moments)
PASS(slopes)
PASS(normalise)
PASS(spread)

/* A pass that threads share: sums by channels, so that each is taken in pixel order by one of them, what is written by pixels. */
struct job {
    const struct pass *pass;
    size_t channels;
    pass_fn *fn;
    bool sums;
};

/* Blocks of pixels, in them strips of VECTORS whole vectors, then single ones, the last perhaps not whole. */
static void run_part(const void *context, size_t part, size_t parts)
{
    const struct job *job = context;
    const struct pass *pass = job->pass;
    const size_t block = job->channels * 4 < BLOCK_FLOATS ? BLOCK_FLOATS / job->channels : 4;
    size_t first = 0, last = pass->pixels, begin = 0, end = job->channels;

    if (job->sums)
        df_team_share(job->channels, (size_t)VECTORS * V, part, parts, &begin, &end);
    else
        df_team_share(pass->pixels, 1, part, parts, &first, &last);
    for (size_t p = first; p < last; p += block) {
        const size_t rows = last - p < block ? last - p : block;

        for (size_t c = begin; c < end;) {
            const size_t left = end - c, vectors = left >= VECTORS * V ? VECTORS : 1;

            job->fn(pass, rows, p * pass->stride + c, c, vectors, v_mask(left < V ? left : V), left < V);
            c += vectors * V;
        }
    }
}

static void run(struct df_device *device, const struct pass *pass, size_t channels, pass_fn *fn, bool sums)
{
    const struct job job = { pass, channels, fn, sums };

    CPU(share)(device, DF_FLOPS_OF_BYTE * 2.0 * sizeof(float) * (double)(pass->pixels * channels), run_part, &job);
}

/* ---- batch norm ---- */

static size_t group_at(size_t first, size_t channels) { return channels - first < GROUP ? channels - first : GROUP; }

/* Mean and inv_std of n <= GROUP channels from `first` on; moves the running buffers. */
static void statistics(struct df_device *device, const struct df_batch_norm_forward_args *norm, size_t first, size_t n, double *mean,
                       double *inv_std)
{
    const double pixels = (double)df_pixels(norm->shape), keep = 1 - norm->momentum;
    float *running_mean = norm->running_mean + first, *running_var = norm->running_var + first;
    double a[GROUP] = { 0 }, b[GROUP] = { 0 };
    const struct pass pass = { .x = norm->x + first, .pixels = df_pixels(norm->shape), .stride = norm->shape.c, .a = a, .b = b };

    run(device, &pass, n, moments_strip, true);
    for (size_t c = 0; c < n; c++) {
        mean[c] = a[c] / pixels;
        const double squares = fmax(b[c] - a[c] * mean[c], 0), unbiased = squares / (pixels > 1 ? pixels - 1 : 1);

        inv_std[c] = 1 / sqrt(squares / pixels + norm->eps);
        running_mean[c] = (float)(keep * (double)running_mean[c] + norm->momentum * mean[c]);
        running_var[c] = (float)(keep * (double)running_var[c] + norm->momentum * unbiased);
    }
}

void CPU(batch_norm_forward)(struct df_device *device, const struct df_batch_norm_forward_args *a)
{
    for (size_t first = 0; first < a->shape.c; first += GROUP) {
        const size_t n = group_at(first, a->shape.c);
        double mu[GROUP], sd[GROUP];
        float centre[GROUP] = { 0 }, scale[GROUP] = { 0 }, offset[GROUP] = { 0 };

        for (size_t c = 0; c < n && !a->training; c++) {
            mu[c] = (double)a->running_mean[first + c];
            sd[c] = 1 / sqrt((double)a->running_var[first + c] + a->eps);
        }
        if (a->training)
            statistics(device, a, first, n, mu, sd);
        for (size_t c = 0; c < n; c++) {
            centre[c] = (float)mu[c];
            scale[c] = (float)(sd[c] * (double)a->gamma[first + c]);
            offset[c] = a->beta[first + c];
            if (a->mean)
                a->mean[first + c] = centre[c];
            if (a->inv_std)
                a->inv_std[first + c] = (float)sd[c];
        }
        const struct pass pass = { .x = a->x + first,
                                   .skip = a->skip ? a->skip + first : NULL,
                                   .out = a->y + first,
                                   .pixels = df_pixels(a->shape),
                                   .stride = a->shape.c,
                                   .mean = centre,
                                   .scale = scale,
                                   .offset = offset,
                                   .relu = a->relu };

        run(device, &pass, n, normalise_strip, false);
    }
}

void CPU(batch_norm_backward)(struct df_device *device, const struct df_batch_norm_backward_args *norm)
{
    const double pixels = (double)df_pixels(norm->shape);

    for (size_t first = 0; first < norm->shape.c; first += GROUP) {
        const size_t n = group_at(first, norm->shape.c);
        double a[GROUP] = { 0 }, b[GROUP] = { 0 };
        float centre[GROUP] = { 0 }, scale[GROUP] = { 0 }, offset[GROUP] = { 0 }, slope[GROUP] = { 0 };
        const struct pass pass = { .x = norm->x + first,
                                   .y = norm->y + first,
                                   .dy = norm->dy + first,
                                   .out = norm->dx + first,
                                   .out_skip = norm->dskip ? norm->dskip + first : NULL,
                                   .pixels = df_pixels(norm->shape),
                                   .stride = norm->shape.c,
                                   .a = a,
                                   .b = b,
                                   .mean = centre,
                                   .scale = scale,
                                   .offset = offset,
                                   .slope = slope,
                                   .relu = norm->relu,
                                   .add = norm->add,
                                   .add_skip = norm->add_skip };

        if (norm->training || norm->dgamma || norm->dbeta)
            run(device, &pass, n, slopes_strip, true);
        for (size_t c = 0; c < n; c++) {
            const double sd = (double)norm->inv_std[first + c], dot = (b[c] - (double)norm->mean[first + c] * a[c]) * sd;

            centre[c] = norm->mean[first + c];
            scale[c] = (float)((double)norm->gamma[first + c] * sd);
            offset[c] = norm->training ? (float)(a[c] / pixels) : 0;
            slope[c] = norm->training ? (float)(dot * sd / pixels) : 0;
            if (norm->dgamma)
                norm->dgamma[first + c] += (float)dot;
            if (norm->dbeta)
                norm->dbeta[first + c] += (float)a[c];
        }
        run(device, &pass, n, spread_strip, false);
    }
}

void CPU(channel_sums)(struct df_device *device, const df_real *x, size_t pixels, size_t channels, df_real *sums)
{
    for (size_t first = 0; first < channels; first += GROUP) {
        const size_t n = group_at(first, channels);
        double a[GROUP] = { 0 }, b[GROUP] = { 0 };
        const struct pass pass = { .x = x + first, .pixels = pixels, .stride = channels, .a = a, .b = b };

        run(device, &pass, n, moments_strip, true);
        for (size_t c = 0; c < n; c++)
            sums[first + c] += (float)a[c];
    }
}
