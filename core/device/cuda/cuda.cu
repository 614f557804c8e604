/* `cuda`: one GPU, one stream. cuDNN for convolutions, cuBLAS for matrix products, our own kernels for the rest. The host runs ahead of the
 * device; only df_read and df_device_ops.sync wait for it. Devices of one name share all that: a teacher's and its student's tensors meet in
 * one stream and one pool. Not for several threads at once. */
#include "core/device/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "core/device/driver.h"
}

#ifndef DF_CUDA_OLDEST
#define DF_CUDA_OLDEST 80 /* compute capability of the oldest code in the build */
#endif
enum { BLAS_WORKSPACE = 32 << 20 /* bytes; what cuBLAS recommends for sm_90 */ };

void df_cuda_bug(const char *file, int line, const char *who, const char *call, const char *status)
{
    fprintf(stderr, "defeat: %s:%d: %s says '%s' to %s\n", file, line, who, status, call);
    abort();
}

/* "[:N][+tf32]", what follows the device's name */
static df_status parse(const char *options, struct df_cuda *cuda, struct df_error *err)
{
    const char *rest = options;

    if (*rest == ':' && rest[1] >= '0' && rest[1] <= '9') {
        char *end;
        const long index = strtol(rest + 1, &end, 10);

        cuda->index = index < INT32_MAX ? (int)index : INT32_MAX;
        rest = end;
    }
    cuda->tf32 = strcmp(rest, "+tf32") == 0;
    if (*rest && !cuda->tf32)
        return df_fail(err, DF_ERR_USAGE, "unknown device 'cuda%s', expected cuda[:N][+tf32], such as 'cuda', 'cuda:1', 'cuda+tf32'",
                       options);
    return DF_OK;
}

/* What the user can do about it, into text. */
static const char *remedy(cudaError_t status, char *text, size_t size)
{
    switch (status) {
    case cudaErrorInsufficientDriver:
        snprintf(text, size, "install NVIDIA's driver for CUDA %d", CUDART_VERSION / 1000);
        return text;
    case cudaErrorNoDevice:
        return "ask the queue for a GPU; CUDA_VISIBLE_DEVICES can hide one";
    case cudaErrorDevicesUnavailable:
        return "wait for the process that holds it ('nvidia-smi' names it), or take another, such as 'cuda:1'";
    default:
        return "see what 'nvidia-smi' says of it";
    }
}

static df_status unusable(cudaError_t status, struct df_error *err)
{
    char text[64];

    (void)cudaGetLastError(); /* forget it: it is told here */
    return df_fail(err, DF_ERR_UNSUPPORTED, "device 'cuda' cannot be used: %s (%s) [use 'cpu', or %s]", cudaGetErrorString(status),
                   cudaGetErrorName(status), remedy(status, text, sizeof text));
}

/* Whether the GPU is there and what it is; takes nothing from it. Asked once: sweeps ask for every cell. */
static df_status look_for(const struct df_cuda *cuda, const struct cudaDeviceProp **out, struct df_error *err)
{
    static struct cudaDeviceProp properties;
    static int count, known = -1;
    cudaError_t status = cudaSuccess;

    if (!count)
        status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && cuda->index >= count)
        return df_fail(err, DF_ERR_UNSUPPORTED, "there is no device 'cuda:%d': this machine has %d GPU%s [use a number below %d, or 'cpu']",
                       cuda->index, count, count == 1 ? "" : "s", count);
    if (status == cudaSuccess && known != cuda->index)
        status = cudaGetDeviceProperties(&properties, cuda->index);
    if (status != cudaSuccess)
        return unusable(status, err);
    known = cuda->index;
    *out = &properties;
    if (properties.major * 10 + properties.minor < DF_CUDA_OLDEST)
        return df_fail(
            err, DF_ERR_UNSUPPORTED,
            "device 'cuda:%d' is a %s (sm_%d%d), but this build's code begins at sm_%d [use 'cpu', or build with CUDA_ARCHS=%d%d]",
            cuda->index, properties.name, properties.major, properties.minor, DF_CUDA_OLDEST, properties.major, properties.minor);
    return DF_OK;
}

static df_status choose(struct df_cuda *cuda, struct df_error *err)
{
    const struct cudaDeviceProp *properties;

    DF_TRY(look_for(cuda, &properties, err));
    cudaError_t status = cudaSetDevice(cuda->index);

    if (status == cudaSuccess)
        status = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);
    return status == cudaSuccess ? DF_OK : unusable(status, err);
}

extern "C" df_status df_cuda_check(const char *options, struct df_device_identity *identity, struct df_error *err)
{
    const struct cudaDeviceProp *properties;
    struct df_cuda cuda = {};

    DF_TRY(parse(options, &cuda, err));
    snprintf(identity->kind, sizeof identity->kind, "cuda%s", cuda.tf32 ? "+tf32" : "");
    DF_TRY(look_for(&cuda, &properties, err));
    snprintf(identity->isa, sizeof identity->isa, "sm_%d%d", properties->major, properties->minor);
    return DF_OK;
}

static struct df_cuda *all_open;

static void set_up(struct df_cuda *cuda)
{
    df_cuda_memory_open(cuda);
    cuda->blas_workspace = df_cuda_take(cuda, BLAS_WORKSPACE);
    DF_CUBLAS(cublasCreate(&cuda->blas));
    DF_CUBLAS(cublasSetStream(cuda->blas, cuda->stream));
    DF_CUBLAS(cublasSetWorkspace(cuda->blas, cuda->blas_workspace, BLAS_WORKSPACE));
    DF_CUBLAS(cublasSetMathMode(cuda->blas, cuda->tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
    DF_CUDNN(cudnnCreate(&cuda->dnn));
    DF_CUDNN(cudnnSetStream(cuda->dnn, cuda->stream));
    if (cuda->graphs)
        df_cuda_replay_open(cuda);
    cuda->next = all_open;
    all_open = cuda;
}

static void tear_down(struct df_cuda *cuda)
{
    struct df_cuda **link = &all_open;

    while (*link != cuda)
        link = &(*link)->next;
    *link = cuda->next;
    DF_CUDA(cudaStreamSynchronize(cuda->stream));
    df_cuda_replay_close(cuda);
    df_cuda_conv_close(cuda);
    DF_CUDNN(cudnnDestroy(cuda->dnn));
    DF_CUBLAS(cublasDestroy(cuda->blas));
    df_cuda_give(cuda, cuda->blas_workspace);
    df_cuda_memory_close(cuda);
    DF_CUDA(cudaStreamDestroy(cuda->stream));
    free(cuda);
}

static void cuda_close(struct df_device *device)
{
    struct df_cuda *cuda = df_cuda_of(device);

    if (--cuda->users == 0)
        tear_down(cuda);
}

static void *cuda_alloc(struct df_device *device, size_t bytes) { return df_cuda_take(df_cuda_of(device), bytes); }
static void cuda_free(struct df_device *device, void *memory) { df_cuda_give(df_cuda_of(device), memory); }

static void cuda_sync(struct df_device *device)
{
    df_cuda_replay_launch(df_cuda_of(device));
    DF_CUDA(cudaStreamSynchronize(df_cuda_of(device)->stream));
}

static void cuda_copy(struct df_device *device, void *to, const void *from, size_t bytes)
{
    if (bytes)
        df_cuda_ask(df_cuda_of(device), df_cuda_copy{ to, from, bytes });
}

namespace
{
struct zero {
    void *memory;
    size_t bytes;

    void run(struct df_cuda *cuda) const { DF_CUDA(cudaMemsetAsync(memory, 0, bytes, cuda->stream)); }
};
} // namespace

static void cuda_zero(struct df_device *device, void *memory, size_t bytes)
{
    if (bytes)
        df_cuda_ask(df_cuda_of(device), zero{ memory, bytes });
}

/* That of the kernel's module, "unknown" where it does not tell. */
static void driver_number(char *number, size_t size)
{
    char *text;
    size_t bytes;

    snprintf(number, size, "unknown");
    if (df_file_read("/proc/driver/nvidia/version", 4096, &text, &bytes, NULL) != DF_OK)
        return;
    df_driver_number(text, number, size);
    free(text);
}

static void cuda_describe(struct df_device *device, char *text, size_t size)
{
    const struct df_cuda *cuda = df_cuda_of(device);
    struct cudaDeviceProp properties;
    char number[32];
    int driver = 0;

    driver_number(number, sizeof number);
    DF_CUDA(cudaGetDeviceProperties(&properties, cuda->index));
    DF_CUDA(cudaDriverGetVersion(&driver));
    snprintf(text, size,
             "%s, %.0f GiB, sm_%d%d, %d multiprocessors, %s, CUDA %d.%d, driver %s for CUDA %d.%d, cuDNN %zu, deterministic algorithms by "
             "its estimate, operands on 64 bytes",
             properties.name, (double)properties.totalGlobalMem / (1 << 30), properties.major, properties.minor,
             properties.multiProcessorCount, cuda->tf32 ? "TF32" : "float32", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, number,
             driver / 1000, driver % 1000 / 10, cudnnGetVersion());
}

static const struct df_device_ops cuda_ops = {
    .name = "cuda",
    .runs_behind = true,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .write = df_cuda_write,
    .read = df_cuda_read,
    .copy = cuda_copy,
    .zero = cuda_zero,
    .sync = cuda_sync,
#define SLOT(name) .name = df_cuda_##name,
    DF_PRIMITIVES(SLOT).launch = df_cuda_launch,
    .replay_begin = df_cuda_replay_begin,
    .replay_end = df_cuda_replay_end,
    .replay_forget = df_cuda_replay_forget,
    .peak_gflops = df_cuda_peak_gflops,
    .describe = cuda_describe,
};

static df_status choose_graphs(struct df_cuda *cuda, struct df_error *err)
{
    const char *graphs = getenv("DEFEAT_GRAPHS");

    cuda->graphs = !graphs || strcmp(graphs, "1") == 0;
    if (!cuda->graphs && strcmp(graphs, "0") != 0)
        return df_fail(err, DF_ERR_USAGE, "DEFEAT_GRAPHS is '%s' (expected 0, or 1, as if it were not set)", graphs);
    return DF_OK;
}

extern "C" df_status df_cuda_open(struct df_device *device, const char *options, struct df_error *err)
{
    struct df_cuda wanted = {}, *cuda = all_open;

    DF_TRY(parse(options, &wanted, err));
    DF_TRY(choose_graphs(&wanted, err));
    if (cuda && cuda->index != wanted.index)
        return df_fail(err, DF_ERR_UNSUPPORTED, "device 'cuda%s' cannot be opened beside 'cuda:%d' [one GPU in a process]", options,
                       cuda->index);
    while (cuda && cuda->tf32 != wanted.tf32)
        cuda = cuda->next;
    if (!cuda) {
        DF_TRY(choose(&wanted, err));
        cuda = (struct df_cuda *)df_calloc(1, sizeof *cuda);
        *cuda = wanted;
        set_up(cuda);
    }
    cuda->users++;
    device->ops = &cuda_ops;
    device->state = cuda;
    return DF_OK;
}
