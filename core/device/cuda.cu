/* `cuda`: one GPU, one stream. cuDNN for convolutions, cuBLAS for matrix products, our own kernels for the rest. The host runs ahead of the
 * device; only df_read and df_device_ops.sync wait for it. */
#include "core/device/cuda.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLAS_WORKSPACE = 32 << 20 /* bytes; what cuBLAS recommends for sm_90 */ };

void df_cuda_bug(const char *file, int line, const char *who, const char *call, const char *status)
{
    fprintf(stderr, "defeat: %s:%d: %s says '%s' to %s\n", file, line, who, status, call);
    abort();
}

/* "[:N][+tf32]", what follows the device's name */
static bool parse(const char *options, struct df_cuda *cuda)
{
    if (*options == ':') {
        char *end;
        const long index = strtol(options + 1, &end, 10);

        if (options[1] < '0' || options[1] > '9' || index > 1023)
            return false;
        cuda->index = (int)index;
        options = end;
    }
    cuda->tf32 = strcmp(options, "+tf32") == 0;
    return cuda->tf32 || !*options;
}

static df_status choose(struct df_cuda *cuda, struct df_error *err)
{
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);

    if (status == cudaSuccess && cuda->index >= count)
        return df_fail(err, DF_ERR_UNSUPPORTED, "there is no device 'cuda:%d': this machine has %d [use 'cuda:0'%s or 'cpu']", cuda->index,
                       count, count > 1 ? ", 'cuda:1', ..." : "");
    if (status == cudaSuccess)
        status = cudaSetDevice(cuda->index);
    if (status == cudaSuccess)
        status = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);
    if (status == cudaSuccess)
        return DF_OK;
    (void)cudaGetLastError();
    return df_fail(err, DF_ERR_UNSUPPORTED, "device 'cuda' cannot be used: %s (%s) [use 'cpu', or install NVIDIA's driver]",
                   cudaGetErrorString(status), cudaGetErrorName(status));
}

extern "C" df_status df_cuda_open(struct df_device *device, const char *options, struct df_error *err)
{
    struct df_cuda *cuda = (struct df_cuda *)df_calloc(1, sizeof *cuda);

    if (!parse(options, cuda)) {
        free(cuda);
        return df_fail(err, DF_ERR_USAGE, "unknown device 'cuda%s', expected cuda[:N][+tf32], such as 'cuda', 'cuda:1', 'cuda+tf32'",
                       options);
    }
    const df_status status = choose(cuda, err);

    if (status != DF_OK) {
        free(cuda);
        return status;
    }
    df_cuda_memory_open(cuda);
    cuda->blas_workspace = df_cuda_take(cuda, BLAS_WORKSPACE);
    DF_CUBLAS(cublasCreate(&cuda->blas));
    DF_CUBLAS(cublasSetStream(cuda->blas, cuda->stream));
    DF_CUBLAS(cublasSetWorkspace(cuda->blas, cuda->blas_workspace, BLAS_WORKSPACE));
    DF_CUBLAS(cublasSetMathMode(cuda->blas, cuda->tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
    DF_CUDNN(cudnnCreate(&cuda->dnn));
    DF_CUDNN(cudnnSetStream(cuda->dnn, cuda->stream));
    device->state = cuda;
    return DF_OK;
}

static void cuda_close(struct df_device *device)
{
    struct df_cuda *cuda = df_cuda_of(device);

    DF_CUDA(cudaStreamSynchronize(cuda->stream));
    df_cuda_conv_close(cuda);
    DF_CUDNN(cudnnDestroy(cuda->dnn));
    DF_CUBLAS(cublasDestroy(cuda->blas));
    df_cuda_give(cuda, cuda->blas_workspace);
    df_cuda_memory_close(cuda);
    DF_CUDA(cudaStreamDestroy(cuda->stream));
    free(cuda);
}

static void *cuda_alloc(struct df_device *device, size_t bytes) { return df_cuda_take(df_cuda_of(device), bytes); }
static void cuda_free(struct df_device *device, void *memory) { df_cuda_give(df_cuda_of(device), memory); }
static void cuda_sync(struct df_device *device) { DF_CUDA(cudaStreamSynchronize(df_cuda_of(device)->stream)); }

static void cuda_copy(struct df_device *device, void *to, const void *from, size_t bytes)
{
    if (bytes)
        DF_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, df_cuda_of(device)->stream));
}

static void cuda_zero(struct df_device *device, void *memory, size_t bytes)
{
    if (bytes)
        DF_CUDA(cudaMemsetAsync(memory, 0, bytes, df_cuda_of(device)->stream));
}

extern "C" const struct df_device_ops df_cuda_ops = {
    .name = "cuda",
    .close = cuda_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .write = df_cuda_write,
    .read = df_cuda_read,
    .copy = cuda_copy,
    .zero = cuda_zero,
    .sync = cuda_sync,
    .conv_forward = df_cuda_conv_forward,
    .conv_backward_data = df_cuda_conv_backward_data,
    .conv_backward_weights = df_cuda_conv_backward_weights,
    .matmul = df_cuda_matmul,
    .batch_norm_forward = df_cuda_batch_norm_forward,
    .batch_norm_backward = df_cuda_batch_norm_backward,
    .max_pool_forward = df_cuda_max_pool_forward,
    .max_pool_backward = df_cuda_max_pool_backward,
    .launch = df_cuda_launch,
};
