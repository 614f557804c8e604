/* The launch of `cuda`. Formulas per element or row come from kernels*.h as they are: one thread per index (EACH), or lanes that share an
 * index and split its DF_LANES loops (LANED), so that neighbouring threads read neighbouring addresses. Sums and RoIAlign, where a host
 * kernel is one long loop, have their own kernels: lanes sum in double and are then added as a tree, in fixed order (SUMMED). */
#include "core/device/cuda/cuda.h"

typedef void launch_fn(struct df_cuda *cuda, size_t n, const void *args);

#define ARGS(name) struct df_##name##_args

#define EACH(name)                                                                                                                         \
    static __global__ void DF_CUDA_BOUNDS each_##name(size_t n, const __grid_constant__ ARGS(name) a)                                      \
    {                                                                                                                                      \
        const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;                                                                    \
                                                                                                                                           \
        if (i < n)                                                                                                                         \
            df_k_##name(i, &a);                                                                                                            \
    }                                                                                                                                      \
    static void launch_##name(struct df_cuda *cuda, size_t n, const void *args)                                                            \
    {                                                                                                                                      \
        df_cuda_run(cuda, each_##name, dim3(df_cuda_blocks(n, DF_CUDA_THREADS)), dim3(DF_CUDA_THREADS), n, *(const ARGS(name) *)args);     \
    }

/* width: of an index's work, from its arguments `a` */
#define LANED(name, width)                                                                                                                 \
    static __global__ void DF_CUDA_BOUNDS lanes_##name(size_t n, const __grid_constant__ ARGS(name) a)                                     \
    {                                                                                                                                      \
        const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y;                                                                    \
                                                                                                                                           \
        if (i < n)                                                                                                                         \
            df_k_##name(i, &a);                                                                                                            \
    }                                                                                                                                      \
    static void launch_##name(struct df_cuda *cuda, size_t n, const void *args)                                                            \
    {                                                                                                                                      \
        const ARGS(name) &a = *(const ARGS(name) *)args;                                                                                   \
        const dim3 block = df_cuda_lanes(width);                                                                                           \
                                                                                                                                           \
        df_cuda_run(cuda, lanes_##name, dim3(df_cuda_blocks(n, block.y)), block, n, a);                                                    \
    }

/* Sum of one value per lane, for every index of the block; all threads come here. */
static __device__ double sum_lanes(double value, double *shared)
{
    double *mine = shared + threadIdx.y * blockDim.x;

    __syncthreads();
    mine[threadIdx.x] = value;
    __syncthreads();
    for (unsigned step = blockDim.x / 2; step; step /= 2) {
        if (threadIdx.x < step)
            mine[threadIdx.x] += mine[threadIdx.x + step];
        __syncthreads();
    }
    return mine[0];
}

/* lane_<name>(i, a): what a lane sums of index i;  store_<name>(i, a, sum): by one of them */
#define SUMMED(name, width)                                                                                                                \
    static __global__ void DF_CUDA_BOUNDS sums_##name(size_t n, const __grid_constant__ ARGS(name) a)                                      \
    {                                                                                                                                      \
        __shared__ double shared[DF_CUDA_THREADS];                                                                                         \
        const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y;                                                                    \
        const double sum = sum_lanes(i < n ? lane_##name(i, &a) : 0, shared);                                                              \
                                                                                                                                           \
        if (i < n && threadIdx.x == 0)                                                                                                     \
            store_##name(i, &a, sum);                                                                                                      \
    }                                                                                                                                      \
    static void launch_##name(struct df_cuda *cuda, size_t n, const void *args)                                                            \
    {                                                                                                                                      \
        const ARGS(name) &a = *(const ARGS(name) *)args;                                                                                   \
        const dim3 block = df_cuda_lanes(width);                                                                                           \
                                                                                                                                           \
        df_cuda_run(cuda, sums_##name, dim3(df_cuda_blocks(n, block.y)), block, n, a);                                                     \
    }
#define LANE(name)  static __device__ double lane_##name(size_t i, const ARGS(name) * a)
#define STORE(name) static __device__ void store_##name(size_t i, const ARGS(name) * a, double sum)

EACH(fill)
EACH(scale)
EACH(scale_by)
EACH(relu)
EACH(sigmoid)
EACH(exp)
EACH(log)
EACH(sqrt)
EACH(relu_backward)
EACH(sigmoid_backward)
EACH(exp_backward)
EACH(log_backward)
EACH(sqrt_backward)
EACH(add_relu)
EACH(add_relu_backward)
EACH(max)
EACH(max_backward)
EACH(softmax)
EACH(softmax_backward)
EACH(cross_entropy)
EACH(softmax_kl)
EACH(smooth_l1)
EACH(dense_candidates)
EACH(kept_boxes)
EACH(optim_log)
LANED(binary, a.row)
LANED(copy_rows, a.row)
LANED(add_rows, a.row)
LANED(standardise, a.channels)
LANED(standardise_backward, a.channels)
LANED(nearest, a.to.c)
LANED(nearest_backward, a.to.c)
LANED(bilinear, a.to.c)
LANED(bilinear_backward, a.to.c)
LANED(adaptive, a.to.c)
LANED(adaptive_backward, a.to.c)
LANED(loss_spread, DF_LOSS_TILE)
LANED(masked_mse_backward, a.channels)
LANED(optim_sgd, DF_OPTIM_TILE)
LANED(optim_adamw, DF_OPTIM_TILE)
LANED(roi_align_backward, a.channels)
LANED(roi_candidates, a.classes)

/* ---- sums ---- */

LANE(reduce_runs)
{
    const size_t begin = i % a->chunks * a->chunk, outer = i / a->chunks % a->outer, o = i / a->chunks / a->outer;
    const size_t n = (begin + a->chunk < a->run ? begin + a->chunk : a->run) - begin;
    const float *x = a->x + o / a->keep[1] * a->keep_step[0] + o % a->keep[1] * a->keep_step[1] + outer * a->outer_step + begin;
    double sum = 0;

    DF_LANES(c, n)
        sum += (double)x[c];
    return sum;
}
STORE(reduce_runs) { a->partial[i] = sum; }
SUMMED(reduce_runs, a.run < a.chunk ? a.run : a.chunk)

LANE(reduce_final)
{
    const double *partial = a->partial + i / a->width * a->count * a->width + i % a->width;
    double sum = 0;

    DF_LANES(j, a->count)
        sum += partial[j * a->width];
    return sum;
}
STORE(reduce_final) { a->y[i] = (float)((a->add ? (double)a->y[i] : 0) + a->factor * sum); }
SUMMED(reduce_final, a.count)

LANE(standardise_stats)
{
    double sum = 0;

    DF_LANES(j, a->chunks)
        sum += a->partial[j * a->channels + i];
    return sum;
}
STORE(standardise_stats) { a->out[i] = a->root ? sqrt(sum / a->divisor) : sum / a->divisor; }
SUMMED(standardise_stats, a.chunks)

LANE(loss_total)
{
    double sum = 0;

    (void)i;
    DF_LANES(j, a->count)
        sum += a->partial[j];
    return sum;
}
STORE(loss_total)
{
    (void)i;
    *a->out = (float)(sum / a->norm);
}
SUMMED(loss_total, a.count)

LANE(optim_sum)
{
    double sum = 0;

    (void)i;
    DF_LANES(j, a->count)
        sum += a->partial[j];
    return sum;
}
STORE(optim_sum)
{
    (void)i;
    *a->out = df_optim_norm_of(sum, a->clip);
}
SUMMED(optim_sum, a.count)

LANE(optim_squares)
{
    const size_t begin = i * DF_OPTIM_TILE, left = a->count - begin, n = left < DF_OPTIM_TILE ? left : DF_OPTIM_TILE;
    double sum = 0;

    DF_LANES(j, n)
        sum += (double)a->grad[begin + j] * (double)a->grad[begin + j];
    return sum;
}
STORE(optim_squares) { a->partial[i] = sum; }
SUMMED(optim_squares, DF_OPTIM_TILE)

/* The losses that work on tiles: a lane takes single elements (DF_LOSS_WIDTH is 1 here). */
#define TILED(name)                                                                                                                        \
    LANE(name)                                                                                                                             \
    {                                                                                                                                      \
        const size_t begin = i * DF_LOSS_TILE, n = df_loss_min(DF_LOSS_TILE, a->count - begin);                                            \
        double sum = 0;                                                                                                                    \
                                                                                                                                           \
        DF_LANES(j, n)                                                                                                                     \
            sum += df_##name##_tile(begin + j, 1, a);                                                                                      \
        return sum;                                                                                                                        \
    }                                                                                                                                      \
    STORE(name) { a->partial[i] = sum; }                                                                                                   \
    SUMMED(name, DF_LOSS_TILE)
TILED(sigmoid_focal)
TILED(bce_logits)
TILED(sigmoid_kl)

LANE(masked_mse)
{
    const float *s = a->s + i * a->channels, *t = a->t + i * a->channels, k = (float)a->teacher_scale;
    double sum = 0;

    DF_LANES(c, a->m[i] == 0 ? 0 : a->channels) {
        const double d = (double)(s[c] - k * t[c]);

        sum += d * d;
    }
    return sum;
}
STORE(masked_mse) { a->partial[i] = a->m[i] == 0 ? 0 : (double)a->m[i] * sum; }
SUMMED(masked_mse, a.channels)

static __global__ void DF_CUDA_BOUNDS sums_masked_mse_group(const __grid_constant__ ARGS(masked_mse_group) a)
{
    __shared__ double shared[DF_CUDA_THREADS];
    const size_t begin = blockIdx.x * a.pixels;
    double sum = 0, cells = 0;

    DF_LANES(p, a.pixels) {
        sum += a.partial[begin + p];
        cells += (double)a.m[begin + p];
    }
    sum = sum_lanes(sum, shared);
    cells = sum_lanes(cells, shared);
    const double norm = 2 * (double)a.channels * cells;

    if (threadIdx.x == 0) {
        a.norm[blockIdx.x] = norm > 1 ? norm : 1;
        a.value[blockIdx.x] = sum / (norm > 1 ? norm : 1);
    }
}
static void launch_masked_mse_group(struct df_cuda *cuda, size_t n, const void *args)
{
    df_cuda_run(cuda, sums_masked_mse_group, dim3(df_cuda_blocks(n, 1)), dim3(DF_CUDA_THREADS), *(const ARGS(masked_mse_group) *)args);
}

/* ---- sums down the rows: a thread per (chunk of rows, channel) ---- */

static __global__ void DF_CUDA_BOUNDS rows_reduce_rows(size_t n, const __grid_constant__ ARGS(reduce_rows) a)
{
    const size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x, i = at / a.width, rows = a.size[0] * a.size[1];
    const size_t begin = i % a.chunks * a.chunk, end = begin + a.chunk < rows ? begin + a.chunk : rows;
    const float *x = a.x + i / a.chunks * a.keep_step + at % a.width;
    double sum = 0;

    if (at >= n)
        return;
    for (size_t r = begin; r < end; r++)
        sum += (double)x[r / a.size[1] * a.step[0] + r % a.size[1] * a.step[1]];
    a.partial[at] = sum;
}
static void launch_reduce_rows(struct df_cuda *cuda, size_t n, const void *args)
{
    const ARGS(reduce_rows) &a = *(const ARGS(reduce_rows) *)args;

    n *= a.width;
    df_cuda_run(cuda, rows_reduce_rows, dim3(df_cuda_blocks(n, DF_CUDA_THREADS)), dim3(DF_CUDA_THREADS), n, a);
}

static __global__ void DF_CUDA_BOUNDS rows_channel_sums(size_t n, const __grid_constant__ ARGS(channel_sums) a)
{
    const size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x, i = at / a.channels, c = at % a.channels;
    const size_t end = (i + 1) * a.chunk < a.rows ? (i + 1) * a.chunk : a.rows;
    double sum = 0, product = 0;

    if (at >= n)
        return;
    for (size_t r = i * a.chunk; r < end; r++) {
        const double u = (double)a.u[r * a.channels + c], centred = a.square ? u - a.mean[c] : 0;

        sum += a.square ? centred * centred : u;
        product += a.v ? u * (double)a.v[r * a.channels + c] : 0;
    }
    a.sum_u[at] = sum;
    if (a.v)
        a.sum_uv[at] = product;
}
static void launch_channel_sums(struct df_cuda *cuda, size_t n, const void *args)
{
    const ARGS(channel_sums) &a = *(const ARGS(channel_sums) *)args;

    n *= a.channels;
    df_cuda_run(cuda, rows_channel_sums, dim3(df_cuda_blocks(n, DF_CUDA_THREADS)), dim3(DF_CUDA_THREADS), n, a);
}

/* ---- RoIAlign: an index is a cell (RoI, row, column), lanes take its channels ---- */

static __global__ void DF_CUDA_BOUNDS cells_roi_align(size_t n, const __grid_constant__ ARGS(roi_align) a)
{
    const size_t at = (size_t)blockIdx.x * blockDim.y + threadIdx.y, j = at % a.size, cell = at / a.size % a.size, i = at / a.size / a.size;
    struct df_roi_tap rows[DF_ROI_TAPS], columns[DF_ROI_TAPS];
    float *y = a.y + at * a.channels;

    if (at >= n)
        return;
    DF_LANES(c, a.channels)
        y[c] = 0;
    if (a.level[i] < 0)
        return;
    const size_t level = (size_t)a.level[i], height = a.height[level], width = a.width[level];
    const struct df_box box = a.box[i];
    const float *x = a.x[level] + a.image[i] * height * width * a.channels;
    const struct df_roi_axis vertical = df_roi_axis_of(box.y0, box.y1, a.scale[level], height, a.size, a.sampling, a.aligned);
    const struct df_roi_axis across = df_roi_axis_of(box.x0, box.x1, a.scale[level], width, a.size, a.sampling, a.aligned);

    for (size_t u = 0; u < across.grid; u += DF_ROI_SAMPLES) {
        const size_t column_count = df_roi_taps(&across, j, u, columns);

        for (size_t v = 0; v < vertical.grid; v += DF_ROI_SAMPLES) {
            const size_t row_count = df_roi_taps(&vertical, cell, v, rows);

            df_roi_gather(x, width, a.channels, rows, row_count, columns, column_count, y);
        }
    }
}
static void launch_roi_align(struct df_cuda *cuda, size_t n, const void *args)
{
    const ARGS(roi_align) &a = *(const ARGS(roi_align) *)args;
    const dim3 block = df_cuda_lanes(a.channels);

    n *= a.size * a.size;
    df_cuda_run(cuda, cells_roi_align, dim3(df_cuda_blocks(n, block.y)), block, n, a);
}

void df_cuda_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
#define ROW(ENUM, name) launch_##name,
    static launch_fn *const launch[DF_KERNEL_COUNT] = { DF_KERNELS(ROW) };

    DF_ASSERT((unsigned)kernel < DF_KERNEL_COUNT);
    launch[kernel](df_cuda_of(device), n, args);
}
