/* The launch of `cuda`. Formulas per element or row come from kernels*.h as they are: one thread per index (EACH), or lanes that share an
 * index and split its DF_LANES loops (LANED), so that neighbouring threads read neighbouring addresses. Of a sum lanes have shares, which are
 * added as a tree, in fixed order (SUMMED), or threads have channels (COLUMNS). RoIAlign alone, where a host's index is a whole RoI, has a
 * kernel of its own here. */
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

/* One value of those of the lanes, joined two by two, for every index of the block; all threads come here. */
template <class Join> static __device__ double join_lanes(double value, double *shared, Join join)
{
    double *mine = shared + threadIdx.y * blockDim.x;

    __syncthreads();
    mine[threadIdx.x] = value;
    __syncthreads();
    for (unsigned step = blockDim.x / 2; step; step /= 2) {
        if (threadIdx.x < step)
            mine[threadIdx.x] = join(mine[threadIdx.x], mine[threadIdx.x + step]);
        __syncthreads();
    }
    return mine[0];
}

static __device__ double sum_lanes(double value, double *shared)
{
    return join_lanes(value, shared, [](double a, double b) { return a + b; });
}

static __device__ struct df_match_most sum_lanes(struct df_match_most value, double *shared)
{
    return { (float)join_lanes((double)value.iou, shared, [](double a, double b) { return a > b ? a : b; }) };
}

static __device__ struct df_masked_mse_sums sum_lanes(struct df_masked_mse_sums value, double *shared)
{
    const double partials = sum_lanes(value.partials, shared);

    return { partials, sum_lanes(value.cells, shared) };
}

#define SUMMED(name, width)                                                                                                                \
    static __global__ void DF_CUDA_BOUNDS sums_##name(size_t n, const __grid_constant__ ARGS(name) a)                                      \
    {                                                                                                                                      \
        __shared__ double shared[DF_CUDA_THREADS];                                                                                         \
        const size_t i = (size_t)blockIdx.x * blockDim.y + threadIdx.y;                                                                    \
        decltype(df_share_##name(i, &a)) share = {};                                                                                       \
                                                                                                                                           \
        if (i < n)                                                                                                                         \
            share = df_share_##name(i, &a);                                                                                                \
        share = sum_lanes(share, shared);                                                                                                  \
        if (i < n && threadIdx.x == 0)                                                                                                     \
            df_store_##name(i, &a, share);                                                                                                 \
    }                                                                                                                                      \
    static void launch_##name(struct df_cuda *cuda, size_t n, const void *args)                                                            \
    {                                                                                                                                      \
        const ARGS(name) &a = *(const ARGS(name) *)args;                                                                                   \
        const dim3 block = df_cuda_lanes(width);                                                                                           \
                                                                                                                                           \
        df_cuda_run(cuda, sums_##name, dim3(df_cuda_blocks(n, block.y)), block, n, a);                                                     \
    }

/* A thread per (index, channel): neighbours read neighbouring addresses. */
#define COLUMNS(name, width)                                                                                                               \
    static __global__ void DF_CUDA_BOUNDS columns_##name(size_t n, const __grid_constant__ ARGS(name) a)                                   \
    {                                                                                                                                      \
        const size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;                                                                   \
                                                                                                                                           \
        if (at < n)                                                                                                                        \
            df_column_##name(at / (width), at % (width), &a);                                                                              \
    }                                                                                                                                      \
    static void launch_##name(struct df_cuda *cuda, size_t n, const void *args)                                                            \
    {                                                                                                                                      \
        const ARGS(name) &a = *(const ARGS(name) *)args;                                                                                   \
                                                                                                                                           \
        n *= (width);                                                                                                                      \
        df_cuda_run(cuda, columns_##name, dim3(df_cuda_blocks(n, DF_CUDA_THREADS)), dim3(DF_CUDA_THREADS), n, a);                          \
    }

EACH(fill)
EACH(scale)
EACH(scale_by)
EACH(relu)
EACH(sigmoid)
EACH(exp)
EACH(log)
EACH(sqrt)
EACH(abs)
EACH(relu_backward)
EACH(sigmoid_backward)
EACH(exp_backward)
EACH(log_backward)
EACH(sqrt_backward)
EACH(abs_backward)
EACH(add_relu)
EACH(add_relu_backward)
EACH(max)
EACH(max_backward)
EACH(softmax)
EACH(softmax_backward)
EACH(cross_entropy)
EACH(softmax_kl)
EACH(soft_cross_entropy)
EACH(bounded_l2)
EACH(pearson_rows)
EACH(pearson_columns)
EACH(smooth_l1)
EACH(giou)
EACH(dense_candidates)
EACH(kept_boxes)
EACH(optim_log)
EACH(cells_log_sum_final)
EACH(box_corners)
EACH(box_corners_backward)
EACH(grid_sample_slope)
EACH(draw_count)
EACH(draw_place)
EACH(draw_list)
EACH(draw_take)
EACH(propose)
EACH(propose_take)
EACH(propose_all)
EACH(roi_label)
EACH(roi_level)
LANED(binary, a.row)
LANED(copy_rows, a.row)
LANED(add_rows, a.row)
LANED(standardise, a.channels)
LANED(standardise_backward, a.channels)
LANED(canvas, a.width)
LANED(nearest, a.to.c)
LANED(nearest_backward, a.to.c)
LANED(bilinear, a.to.c)
LANED(bilinear_backward, a.to.c)
LANED(adaptive, a.to.c)
LANED(adaptive_backward, a.to.c)
LANED(cells_softmax, a.channels)
LANED(cells_softmax_backward, a.channels)
LANED(pearson_columns_slope, a.width)
LANED(loss_spread, DF_LOSS_TILE)
LANED(masked_mse_backward, a.channels)
LANED(squared_error_backward, a.channels)
LANED(optim_sgd, DF_OPTIM_TILE)
LANED(optim_adamw, DF_OPTIM_TILE)
LANED(optim_average, DF_OPTIM_TILE)
LANED(roi_align_backward, a.channels)
LANED(roi_candidates, a.classes)
LANED(take_rows, a.width)
LANED(give_rows, a.width)
LANED(grid_sample, a.grid.to.c)
LANED(grid_sample_backward, a.grid.to.c)
LANED(match_rows, DF_MATCH_TILE)
LANED(roi_target, a.columns)

SUMMED(reduce_runs, a.run < a.chunk ? a.run : a.chunk)
SUMMED(reduce_final, a.count)
SUMMED(standardise_stats, a.chunks)
SUMMED(loss_total, a.count)
SUMMED(sigmoid_focal, DF_LOSS_TILE)
SUMMED(bce_logits, DF_LOSS_TILE)
SUMMED(sigmoid_kl, DF_LOSS_TILE)
SUMMED(cells_kl, a.channels)
SUMMED(quality_focal, DF_LOSS_TILE)
SUMMED(masked_mse, a.channels)
SUMMED(masked_mse_group, a.pixels)
SUMMED(squared_error, a.channels)
SUMMED(optim_squares, DF_OPTIM_TILE)
SUMMED(optim_sum, a.count)
SUMMED(match_most, a.anchors.padded)
SUMMED(match_count, a.anchors)
SUMMED(mark_rows, a.rows)
COLUMNS(reduce_rows, a.width)
COLUMNS(channel_sums, a.channels)
COLUMNS(cells_log_sum, a.channels)
COLUMNS(pearson_sums, a.width)

/* ---- RoIAlign: an index is a cell (RoI, row, column), lanes take its channels ---- */

static __global__ void DF_CUDA_BOUNDS cells_roi_align(size_t n, const __grid_constant__ ARGS(roi_align) a)
{
    const size_t at = (size_t)blockIdx.x * blockDim.y + threadIdx.y, j = at % a.options.size, cell = at / a.options.size % a.options.size,
                 i = at / a.options.size / a.options.size;
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
    const struct df_roi_axis vertical = df_roi_axis_of(box.y0, box.y1, a.scale[level], height, &a.options);
    const struct df_roi_axis across = df_roi_axis_of(box.x0, box.x1, a.scale[level], width, &a.options);

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

    n *= a.options.size * a.options.size;
    df_cuda_run(cuda, cells_roi_align, dim3(df_cuda_blocks(n, block.y)), block, n, a);
}

void df_cuda_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
#define ROW(ENUM, name) launch_##name,
    static launch_fn *const launch[DF_KERNEL_COUNT] = { DF_KERNELS(ROW) };

    DF_ASSERT((unsigned)kernel < DF_KERNEL_COUNT);
    launch[kernel](df_cuda_of(device), n, args);
}
