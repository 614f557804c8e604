/* Batch norm, pooling and bias of `cuda`. Sums over pixels: a block has 32 channels x 8 rows of threads; every thread sums the pixels of its
 * row of a chunk in double, the block adds its rows, and a second launch adds the chunks: a fixed order. */
#include "core/device/cuda/cuda.h"

enum { ACROSS = 32, DOWN = 8, MOST_CHUNKS = 1024 };
enum what { PLAIN, MOMENTS, SLOPES };

/* Per channel, over `rows` pixels:  PLAIN: sum x   MOMENTS: sum x, sum x x   SLOPES: sum g, sum g xhat, g = dy where y > 0 (relu) or dy */
struct sums {
    const float *x, *y, *dy, *mean, *inv_std;
    double *partial; /* [chunks,2,channels] */
    size_t rows, channels, chunk, chunks;
    enum what what;
    bool relu;
};

/* Adds the block's DOWN rows of values; the sum is in the first row. */
static __device__ void add_rows(double *value)
{
    __syncthreads();
    for (unsigned step = DOWN / 2; step; step /= 2) {
        if (threadIdx.y < step)
            value[threadIdx.y * ACROSS + threadIdx.x] += value[(threadIdx.y + step) * ACROSS + threadIdx.x];
        __syncthreads();
    }
}

static __global__ void __launch_bounds__(ACROSS *DOWN) sum_chunks(const __grid_constant__ struct sums a)
{
    __shared__ double first[ACROSS * DOWN], second[ACROSS * DOWN];
    const size_t c = (size_t)blockIdx.x * ACROSS + threadIdx.x, begin = blockIdx.y * a.chunk, place = threadIdx.y * ACROSS + threadIdx.x;
    const size_t end = c >= a.channels ? 0 : begin + a.chunk < a.rows ? begin + a.chunk : a.rows;
    const double mean = a.what == SLOPES && c < a.channels ? (double)a.mean[c] : 0;
    const double scale = a.what == SLOPES && c < a.channels ? (double)a.inv_std[c] : 0;
    double s = 0, t = 0;

    for (size_t r = begin + threadIdx.y; r < end; r += DOWN) {
        const size_t at = r * a.channels + c;

        if (a.what == SLOPES) {
            const double g = a.relu && !(a.y[at] > 0) ? 0 : (double)a.dy[at];

            s += g;
            t += g * ((double)a.x[at] - mean) * scale;
        } else {
            const double v = (double)a.x[at];

            s += v;
            t += v * v;
        }
    }
    first[place] = s;
    second[place] = t;
    add_rows(first);
    add_rows(second);
    if (threadIdx.y == 0 && c < a.channels) {
        a.partial[(2 * blockIdx.y) * a.channels + c] = first[threadIdx.x];
        a.partial[(2 * blockIdx.y + 1) * a.channels + c] = second[threadIdx.x];
    }
}

/* What becomes of the sums. PLAIN: out1 += sum. MOMENTS: statistics = mean, 1 / sqrt(var + eps); running buffers move.
 * SLOPES: statistics = the sums / rows; out1 += sum, out2 += dot. */
struct finish {
    struct sums sums;
    double *statistics; /* [2,channels] */
    float *out1, *out2, *running_mean, *running_var, *mean, *inv_std;
    double eps, momentum;
};

static __device__ void finish_moments(const struct finish *f, size_t c, double sum, double squares)
{
    const double rows = (double)f->sums.rows, mean = sum / rows, centred = squares - sum * mean;
    const double var = centred > 0 ? centred / rows : 0, unbiased = f->sums.rows > 1 ? var * rows / (rows - 1) : var;
    const double scale = 1 / sqrt(var + f->eps);

    f->running_mean[c] = (float)((1 - f->momentum) * (double)f->running_mean[c] + f->momentum * mean);
    f->running_var[c] = (float)((1 - f->momentum) * (double)f->running_var[c] + f->momentum * unbiased);
    f->statistics[c] = mean;
    f->statistics[f->sums.channels + c] = scale;
    if (f->mean)
        f->mean[c] = (float)mean;
    if (f->inv_std)
        f->inv_std[c] = (float)scale;
}

static __global__ void __launch_bounds__(ACROSS *DOWN) finish_sums(const __grid_constant__ struct finish f)
{
    __shared__ double first[ACROSS * DOWN], second[ACROSS * DOWN];
    const size_t c = (size_t)blockIdx.x * ACROSS + threadIdx.x, place = threadIdx.y * ACROSS + threadIdx.x;
    const size_t chunks = c < f.sums.channels ? f.sums.chunks : 0;
    double s = 0, t = 0;

    for (size_t k = threadIdx.y; k < chunks; k += DOWN) {
        s += f.sums.partial[2 * k * f.sums.channels + c];
        t += f.sums.partial[(2 * k + 1) * f.sums.channels + c];
    }
    first[place] = s;
    second[place] = t;
    add_rows(first);
    add_rows(second);
    if (threadIdx.y != 0 || c >= f.sums.channels)
        return;
    s = first[threadIdx.x];
    t = second[threadIdx.x];
    if (f.sums.what == MOMENTS) {
        finish_moments(&f, c, s, t);
        return;
    }
    if (f.statistics) {
        f.statistics[c] = s / (double)f.sums.rows;
        f.statistics[f.sums.channels + c] = t / (double)f.sums.rows;
    }
    if (f.out1)
        f.out1[c] = (float)((double)f.out1[c] + s);
    if (f.out2)
        f.out2[c] = (float)((double)f.out2[c] + t);
}

/* The statistics behind the partials in the scratch memory. */
static double *sum_up(struct df_cuda *cuda, struct finish *f)
{
    struct sums *s = &f->sums;
    const size_t least = 32 * DOWN, even = (s->rows + MOST_CHUNKS - 1) / MOST_CHUNKS;

    s->chunk = even > least ? even : least;
    s->chunks = (s->rows + s->chunk - 1) / s->chunk;
    s->partial = (double *)df_cuda_scratch(cuda, DF_CUDA_PARTIALS, 2 * (s->chunks + 1) * s->channels * sizeof(double));
    f->statistics = s->partial + 2 * s->chunks * s->channels;
    const dim3 block(ACROSS, DOWN), grid(df_cuda_blocks(s->channels, ACROSS), (unsigned)s->chunks);

    df_cuda_run(cuda, sum_chunks, grid, block, *s);
    df_cuda_run(cuda, finish_sums, dim3(grid.x), block, *f);
    return f->statistics;
}

void df_cuda_channel_sums(struct df_cuda *cuda, const df_real *x, size_t pixels, size_t channels, df_real *sums)
{
    struct finish f = { .sums = { .x = x, .rows = pixels, .channels = channels, .what = PLAIN }, .out1 = sums };

    sum_up(cuda, &f);
}

/* ---- bias ---- */

static __global__ void DF_CUDA_BOUNDS add_bias(size_t pixels, size_t channels, const float *bias, bool relu, float *__restrict__ y)
{
    const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y;

    if (i >= pixels)
        return;
    DF_LANES(c, channels) {
        const float v = y[i * channels + c] + (bias ? bias[c] : 0);

        y[i * channels + c] = relu && v < 0 ? 0 : v;
    }
}

void df_cuda_bias(struct df_cuda *cuda, const struct df_conv_forward_args *conv)
{
    const size_t pixels = df_pixels(df_conv_shape(&conv->conv)), channels = conv->conv.filters;
    const dim3 block = df_cuda_lanes(channels);

    df_cuda_run(cuda, add_bias, dim3(df_cuda_blocks(pixels, block.y)), block, pixels, channels, conv->bias, conv->conv.relu, conv->y);
}

/* ---- batch norm ---- */

static __global__ void running_statistics(const __grid_constant__ struct finish f)
{
    const size_t c = (size_t)blockIdx.x * blockDim.x + threadIdx.x;

    if (c >= f.sums.channels)
        return;
    const double mean = (double)f.running_mean[c], scale = 1 / sqrt((double)f.running_var[c] + f.eps);

    f.statistics[c] = mean;
    f.statistics[f.sums.channels + c] = scale;
    if (f.mean)
        f.mean[c] = (float)mean;
    if (f.inv_std)
        f.inv_std[c] = (float)scale;
}

static __global__ void DF_CUDA_BOUNDS normalise(const __grid_constant__ struct df_batch_norm_forward_args a, const double *statistics)
{
    const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y, channels = a.shape.c;

    if (i >= df_pixels(a.shape))
        return;
    DF_LANES(c, channels) {
        const double xhat = ((double)a.x[i * channels + c] - statistics[c]) * statistics[channels + c];
        float v = (float)(xhat * (double)a.gamma[c] + (double)a.beta[c]);

        v = a.skip ? v + a.skip[i * channels + c] : v;
        a.y[i * channels + c] = a.relu && v < 0 ? 0 : v;
    }
}

void df_cuda_batch_norm_forward(struct df_device *device, const struct df_batch_norm_forward_args *a)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const size_t pixels = df_pixels(a->shape), channels = a->shape.c;
    const dim3 block = df_cuda_lanes(channels);
    struct finish f = { .sums = { .x = a->x, .rows = pixels, .channels = channels, .what = MOMENTS },
                        .running_mean = a->running_mean,
                        .running_var = a->running_var,
                        .mean = a->mean,
                        .inv_std = a->inv_std,
                        .eps = a->eps,
                        .momentum = a->momentum };

    if (a->training) {
        sum_up(cuda, &f);
    } else {
        f.statistics = (double *)df_cuda_scratch(cuda, DF_CUDA_PARTIALS, 2 * channels * sizeof(double));
        df_cuda_run(cuda, running_statistics, dim3(df_cuda_blocks(channels, DF_CUDA_THREADS)), dim3(DF_CUDA_THREADS), f);
    }
    df_cuda_run(cuda, normalise, dim3(df_cuda_blocks(pixels, block.y)), block, *a, f.statistics);
}

/* dx (+)= gamma inv_std (g - mean g - xhat mean(g xhat)); not training: the means take no part */
static __global__ void DF_CUDA_BOUNDS normalise_backward(const __grid_constant__ struct df_batch_norm_backward_args a, const double *means)
{
    const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y, channels = a.shape.c;

    if (i >= df_pixels(a.shape))
        return;
    DF_LANES(c, channels) {
        const size_t at = i * channels + c;
        const double scale = (double)a.inv_std[c], xhat = ((double)a.x[at] - (double)a.mean[c]) * scale;
        const double g = a.relu && !(a.y[at] > 0) ? 0 : (double)a.dy[at];
        const double centred = a.training ? g - means[c] - xhat * means[channels + c] : g;

        a.dx[at] = (float)((a.add ? (double)a.dx[at] : 0) + (double)a.gamma[c] * scale * centred);
        if (a.dskip)
            a.dskip[at] = (a.add_skip ? a.dskip[at] : 0) + (float)g;
    }
}

void df_cuda_batch_norm_backward(struct df_device *device, const struct df_batch_norm_backward_args *a)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const size_t pixels = df_pixels(a->shape), channels = a->shape.c;
    const dim3 block = df_cuda_lanes(channels);
    struct finish f = { .sums = { .x = a->x,
                                  .y = a->y,
                                  .dy = a->dy,
                                  .mean = a->mean,
                                  .inv_std = a->inv_std,
                                  .rows = pixels,
                                  .channels = channels,
                                  .what = SLOPES,
                                  .relu = a->relu },
                        .out1 = a->dbeta,
                        .out2 = a->dgamma };

    if (a->training || a->dgamma || a->dbeta)
        sum_up(cuda, &f);
    df_cuda_run(cuda, normalise_backward, dim3(df_cuda_blocks(pixels, block.y)), block, *a, f.statistics);
}

/* ---- max pooling: an index is a pixel, lanes take its channels ---- */

static __global__ void DF_CUDA_BOUNDS pool_forward(const __grid_constant__ struct df_max_pool_forward_args a, df_shape out)
{
    const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    const struct df_pool &pool = a.pool;
    const df_shape in = pool.x;

    if (i >= df_pixels(out))
        return;
    const size_t ow = i % out.w, oh = i / out.w % out.h, n = i / out.w / out.h;
    const ptrdiff_t h0 = (ptrdiff_t)(oh * pool.stride) - (ptrdiff_t)pool.pad, w0 = (ptrdiff_t)(ow * pool.stride) - (ptrdiff_t)pool.pad;
    const size_t h_end = df_tap_end(h0, pool.kernel, in.h), w_end = df_tap_end(w0, pool.kernel, in.w);

    DF_LANES(c, out.c) {
        size_t best = SIZE_MAX;

        for (size_t kh = df_tap_first(h0); kh < h_end; kh++)
            for (size_t kw = df_tap_first(w0); kw < w_end; kw++) {
                const size_t at = ((n * in.h + (size_t)(h0 + (ptrdiff_t)kh)) * in.w + (size_t)(w0 + (ptrdiff_t)kw)) * in.c + c;

                if (best == SIZE_MAX || a.x[at] > a.x[best] || a.x[at] != a.x[at])
                    best = at;
            }
        a.y[i * out.c + c] = a.x[best];
        a.argmax[i * out.c + c] = (uint32_t)best;
    }
}

void df_cuda_max_pool_forward(struct df_device *device, const struct df_max_pool_forward_args *a)
{
    const df_shape out = df_pool_shape(&a->pool);
    const dim3 block = df_cuda_lanes(out.c);

    df_cuda_run(df_cuda_of(device), pool_forward, dim3(df_cuda_blocks(df_pixels(out), block.y)), block, *a, out);
}

/* The first output position whose window reaches input position `at`, and one past the last. */
static __device__ size_t reach_begin(const struct df_pool *pool, size_t at)
{
    return at + pool->pad < pool->kernel ? 0 : (at + pool->pad - pool->kernel) / pool->stride + 1;
}
static __device__ size_t reach_end(const struct df_pool *pool, size_t at, size_t size)
{
    const size_t end = (at + pool->pad) / pool->stride + 1;

    return end < size ? end : size;
}

/* Pixel i of x: adds dy of the windows that it won, in scan order. */
static __global__ void DF_CUDA_BOUNDS pool_backward(const __grid_constant__ struct df_max_pool_backward_args a, df_shape out)
{
    const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    const df_shape in = a.pool.x;

    if (i >= df_pixels(in))
        return;
    const size_t w = i % in.w, h = i / in.w % in.h, n = i / in.w / in.h;
    const size_t h_end = reach_end(&a.pool, h, out.h), w_end = reach_end(&a.pool, w, out.w), w_begin = reach_begin(&a.pool, w);

    DF_LANES(c, in.c) {
        float sum = a.dx[i * in.c + c];

        for (size_t oh = reach_begin(&a.pool, h); oh < h_end; oh++)
            for (size_t ow = w_begin; ow < w_end; ow++) {
                const size_t at = ((n * out.h + oh) * out.w + ow) * out.c + c;

                if (a.argmax[at] == i * in.c + c)
                    sum += a.dy[at];
            }
        a.dx[i * in.c + c] = sum;
    }
}

void df_cuda_max_pool_backward(struct df_device *device, const struct df_max_pool_backward_args *a)
{
    const dim3 block = df_cuda_lanes(a->pool.x.c);

    df_cuda_run(df_cuda_of(device), pool_backward, dim3(df_cuda_blocks(df_pixels(a->pool.x), block.y)), block, *a, df_pool_shape(&a->pool));
}
