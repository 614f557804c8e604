/* Inside `cuda`: the state that its files share, and the C headers of this room as C++ for nvcc. Float only.
 * Our kernels are compiled without contraction (nvcc -fmad=false) and with IEEE division and roots, their sums have a fixed order, and none
 * uses atomics: their bits are the same on every GPU. */
#ifndef DF_CORE_DEVICE_CUDA_CUDA_H
#define DF_CORE_DEVICE_CUDA_CUDA_H
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tuple>
#include <type_traits>

#define DF_KERNEL      __host__ __device__ static inline
#define DF_LANES(i, n) for (size_t i = threadIdx.x; i < (n); i += blockDim.x)
#define DF_REGISTERS   1
#define DF_LOSS_WIDTH  1
#define restrict __restrict__
#define _Noreturn [[noreturn]]
extern "C" {
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/device/cuda/cuda_open.h"
}

/* These calls can only fail through a bug of ours or a broken machine: say which call and why, and stop. */
#define DF_CUDA(call)                                                                                                                      \
    do {                                                                                                                                   \
        const cudaError_t cuda_ = (call);                                                                                                  \
        if (cuda_ != cudaSuccess)                                                                                                          \
            df_cuda_bug(__FILE__, __LINE__, "CUDA", #call, cudaGetErrorString(cuda_));                                                     \
    } while (0)
#define DF_CUBLAS(call)                                                                                                                    \
    do {                                                                                                                                   \
        const cublasStatus_t cublas_ = (call);                                                                                             \
        if (cublas_ != CUBLAS_STATUS_SUCCESS)                                                                                              \
            df_cuda_bug(__FILE__, __LINE__, "cuBLAS", #call, cublasGetStatusString(cublas_));                                              \
    } while (0)
#define DF_CUDNN(call)                                                                                                                     \
    do {                                                                                                                                   \
        const cudnnStatus_t cudnn_ = (call);                                                                                               \
        if (cudnn_ != CUDNN_STATUS_SUCCESS)                                                                                                \
            df_cuda_bug(__FILE__, __LINE__, "cuDNN", #call, cudnnGetErrorString(cudnn_));                                                  \
    } while (0)
[[noreturn]] void df_cuda_bug(const char *file, int line, const char *who, const char *call, const char *status);

struct df_cuda_block;  /* memory.cu: a piece of a slab */
struct df_cuda_plan;   /* conv.cu: descriptors and algorithm per shape */
struct df_cuda_replay; /* replay.cu: passes that were kept */

enum { DF_CUDA_HALVES = 2, DF_CUDA_PLANS = 256 /* buckets */ };
enum df_cuda_scratch {
    DF_CUDA_WORKSPACE, /* of cuDNN */
    DF_CUDA_PARTIALS,  /* of our sums */
    DF_CUDA_SORTED,
    DF_CUDA_X, /* operands that were moved: conv.cu */
    DF_CUDA_W,
    DF_CUDA_Y,
    DF_CUDA_OUT,
    DF_CUDA_BIAS,
    DF_CUDA_SCRATCHES
};
struct df_cuda {
    struct df_cuda *next; /* of those that are open */
    int index;            /* of the GPU */
    size_t users;
    bool tf32, graphs;
    cudaStream_t stream;
    cublasHandle_t blas;
    cudnnHandle_t dnn;
    void *blas_workspace;
    struct df_cuda_block *blocks;
    /* what goes to the device is copied to pinned memory first: two halves, one is filled while the other is under way */
    char *half[DF_CUDA_HALVES];
    size_t half_bytes[DF_CUDA_HALVES];
    cudaEvent_t sent[DF_CUDA_HALVES];
    bool under_way[DF_CUDA_HALVES];
    size_t current, used;
    char *arrivals; /* pinned memory for what comes from the device */
    void *scratch[DF_CUDA_SCRATCHES];
    size_t scratch_bytes[DF_CUDA_SCRATCHES];
    struct df_cuda_plan *plans[DF_CUDA_PLANS];
    struct df_cuda_replay *replay; /* NULL: nothing is kept */
};
static inline struct df_cuda *df_cuda_of(struct df_device *device) { return (struct df_cuda *)device->state; }

/* memory.cu: one pool. Memory that is given back may be handed out at once: all its users stand in the same stream. */
void df_cuda_memory_open(struct df_cuda *cuda);
void df_cuda_memory_close(struct df_cuda *cuda);
void *df_cuda_take(struct df_cuda *cuda, size_t bytes); /* 256-byte aligned; prints the sizes and stops when there is none */
void df_cuda_give(struct df_cuda *cuda, void *memory);
void *df_cuda_scratch(struct df_cuda *cuda, enum df_cuda_scratch which, size_t bytes);  /* grows; its contents last for one call */
void df_cuda_send(struct df_cuda *cuda, char *to, const void *from_host, size_t bytes); /* now: the stream must not be captured */
void df_cuda_read(struct df_device *device, void *to_host, const void *from, size_t bytes);

/* the table's primitives: conv.cu, norm.cu, select.cu */
#define DF_CUDA_PRIMITIVE(name) df_##name##_fn df_cuda_##name;
DF_PRIMITIVES(DF_CUDA_PRIMITIVE)
#undef DF_CUDA_PRIMITIVE
void df_cuda_conv_close(struct df_cuda *cuda);
void df_cuda_bias(struct df_cuda *cuda, const struct df_conv_forward_args *conv); /* y += bias, if any; relu */
void df_cuda_channel_sums(struct df_cuda *cuda, const df_real *x, size_t pixels, size_t channels, df_real *sums); /* sums[c] += */

/* peak.cu: of fused multiply-adds on all multiprocessors */
double df_cuda_peak_gflops(struct df_device *device);

/* kernels.cu */
void df_cuda_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);

/* replay.cu. What stands in the stream is work: an object whose bytes say all of it, and its kind, how to run it. Work is asked for, never run
 * by whoever wants it, so that it can be kept. */
struct df_cuda_kind {
    void (*run)(struct df_cuda *cuda, const void *work);
    /* Makes a node of a graph this work, if CUDA will; NULL: it must be as it was. */
    cudaError_t (*change)(struct df_cuda *cuda, cudaGraphExec_t graph, cudaGraphNode_t node, const void *work);
    size_t fixed; /* leading bytes that must */
};
void df_cuda_ask_kind(struct df_cuda *cuda, const struct df_cuda_kind *kind, const void *work, size_t bytes);
void df_cuda_write(struct df_device *device, void *to, const void *from_host, size_t bytes);
void df_cuda_replay_open(struct df_cuda *cuda);
void df_cuda_replay_close(struct df_cuda *cuda);
void df_cuda_replay_begin(struct df_device *device, uint64_t key);
void df_cuda_replay_end(struct df_device *device);
void df_cuda_replay_forget(struct df_device *device);
void df_cuda_replay_launch(struct df_cuda *cuda); /* all that was asked stands in the stream, which may be waited for */
void df_cuda_replay_taken(struct df_cuda *cuda);  /* memory is about to be asked of CUDA: it will not be, the next time */
void df_cuda_replay_moved(
    struct df_cuda *cuda); /* scratch memory is about to move, or memory to go back to CUDA: graphs hold its address */
/* A library will not have its call kept: false: it was not being kept. Else all before it has been asked, and it must be, again. */
bool df_cuda_replay_refuse(struct df_cuda *cuda);

template <class Work> struct df_cuda_kind_of {
    static void run(struct df_cuda *cuda, const void *work) { ((const Work *)work)->run(cuda); }
    static constexpr struct df_cuda_kind kind = { run, NULL, 0 };
};

/* Work of a library, or a copy: without a byte of padding, which could differ by chance. */
template <class Work> static void df_cuda_ask(struct df_cuda *cuda, const Work &work)
{
    static_assert(std::has_unique_object_representations<Work>::value, "what is compared byte by byte has no padding");
    df_cuda_ask_kind(cuda, &df_cuda_kind_of<Work>::kind, &work, sizeof work);
}

struct df_cuda_copy {
    void *to;
    const void *from;
    size_t bytes;

    void run(struct df_cuda *cuda) const { DF_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda->stream)); }
};

/* ---- launching ---- */

enum { DF_CUDA_THREADS = 256 };
#define DF_CUDA_BOUNDS __launch_bounds__(DF_CUDA_THREADS, 1) /* one block per multiprocessor is enough: do not spill for more */

static inline unsigned df_cuda_blocks(size_t n, size_t per_block)
{
    const size_t blocks = (n + per_block - 1) / per_block;

    DF_ASSERT(blocks <= INT32_MAX);
    return (unsigned)blocks;
}

/* Indices whose work is `width` wide: blockDim = (lanes that share an index, indices of the block) */
static inline dim3 df_cuda_lanes(size_t width)
{
    unsigned lanes = 1;

    while (lanes < width && lanes < DF_CUDA_THREADS)
        lanes *= 2;
    return dim3(lanes, DF_CUDA_THREADS / lanes);
}

template <class... Formal> struct df_cuda_kernel {
    void (*function)(Formal...);
    dim3 grid, block;
    std::tuple<std::decay_t<Formal>...> args;

    void run(struct df_cuda *cuda) const
    {
        cudaLaunchConfig_t config = {};

        config.gridDim = grid;
        config.blockDim = block;
        config.stream = cuda->stream;
        std::apply([&](const auto &...value) { DF_CUDA(cudaLaunchKernelEx(&config, function, value...)); }, args);
    }
    cudaError_t change(cudaGraphExec_t graph, cudaGraphNode_t node) const
    {
        struct cudaKernelNodeParams params = {};
        void *values[sizeof...(Formal)];
        size_t i = 0;

        std::apply([&](const auto &...value) { ((values[i++] = (void *)&value), ...); }, args);
        params.func = (void *)function;
        params.gridDim = grid;
        params.blockDim = block;
        params.kernelParams = values;
        return cudaGraphExecKernelNodeSetParams(graph, node, &params);
    }
};
template <class Kernel> struct df_cuda_kernel_kind {
    static void run(struct df_cuda *cuda, const void *work) { ((const Kernel *)work)->run(cuda); }
    static cudaError_t change(struct df_cuda *, cudaGraphExec_t graph, cudaGraphNode_t node, const void *work)
    {
        return ((const Kernel *)work)->change(graph, node);
    }
    static constexpr struct df_cuda_kind kind = { run, change, sizeof(void (*)(void)) };
};

template <class... Formal, class... Actual>
static void df_cuda_run(struct df_cuda *cuda, void (*kernel)(Formal...), dim3 grid, dim3 block, Actual &&...args)
{
    typedef df_cuda_kernel<Formal...> Kernel;

    if (!grid.x)
        return;
    Kernel work;

    memset((void *)&work, 0, sizeof work); /* padding too: it is compared */
    work.function = kernel;
    work.grid = grid;
    work.block = block;
    work.args = std::tuple<std::decay_t<Formal>...>(static_cast<Actual &&>(args)...);
    df_cuda_ask_kind(cuda, &df_cuda_kernel_kind<Kernel>::kind, &work, sizeof work);
}
#endif
