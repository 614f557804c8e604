/* The double itself: what it computes, and that each planted fault ends a child process with its message. Prints cmocka's lines. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "cub/device/device_radix_sort.cuh"
#include "cublas_v2.h"
#include "cudnn.h"

extern "C" size_t hostcuda_waits(void);

#if defined(__SANITIZE_THREAD__) /* the compiler's hooks are in: accesses of kernels are seen */
#define HOOKS true
#else
#define HOOKS false
#endif
enum { FAULT = 86, N = 1000 };

static void ok(int status, int line)
{
    if (status == 0)
        return;
    fprintf(stderr, "line %d: status %d\n", line, status);
    exit(1);
}
#define OK(call) ok(int(call), __LINE__)
#define CHECK(condition)                                                                                                                   \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                                                                \
            exit(1);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

/* ---- kernels ---- */

struct scale_args {
    const float *x;
    float *y;
    float factor;
    int n, stride;
};
__global__ void scale(const __grid_constant__ scale_args a)
{
    const int i = int(blockIdx.x * blockDim.x + threadIdx.x);

    if (i < a.n)
        a.y[i * a.stride] = a.factor * a.x[i];
}

/* Sums 64 values a block, by halves. barriers = false leaves out the waiting. */
__global__ void block_sum(const float *x, double *sum, bool barriers)
{
    __shared__ double part[64];
    const unsigned t = threadIdx.x;

    part[t] = double(x[blockIdx.x * 64 + t]);
    for (unsigned half = 32; half; half /= 2) {
        if (barriers)
            __syncthreads();
        if (t < half)
            part[t] += part[t + half];
    }
    if (t == 0)
        sum[blockIdx.x] = part[0];
}

__global__ void half_waits(float *y)
{
    if (threadIdx.x < 32)
        __syncthreads();
    y[threadIdx.x] = 1;
}

__global__ void all_write(float *y, int *last)
{
    y[threadIdx.x] = 1;
    *last = int(threadIdx.x);
}

__global__ void read_neighbour(float *y) { y[threadIdx.x] = y[threadIdx.x + 1]; }

/* ---- a device ---- */

struct Device {
    cudaStream_t stream;
    float *x, *y, *pinned;

    Device()
    {
        OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        OK(cudaMalloc(&x, N * sizeof *x));
        OK(cudaMalloc(&y, N * sizeof *y));
        OK(cudaMallocHost(&pinned, N * sizeof *pinned));
        for (int i = 0; i < N; i++)
            pinned[i] = float(i % 17) - 3;
        write(x, N);
    }
    void write(float *to, size_t n)
    {
        OK(cudaMemcpyAsync(to, pinned, n * sizeof *to, cudaMemcpyHostToDevice, stream));
        OK(cudaStreamSynchronize(stream));
    }
    void read(const void *from, size_t bytes) { OK(cudaMemcpyAsync(pinned, from, bytes, cudaMemcpyDeviceToHost, stream)); }
    template <typename... P, typename... A> void launch(unsigned blocks, unsigned threads, void (*kernel)(P...), A... args)
    {
        cudaLaunchConfig_t config = {};

        config.gridDim = dim3(blocks);
        config.blockDim = dim3(threads);
        config.stream = stream;
        OK(cudaLaunchKernelEx(&config, kernel, args...));
    }
    void run_scale(const float *from, float *to, int n = N, int stride = 1)
    {
        launch(8, 128, scale, scale_args{ from, to, 2, n, stride });
        sync();
    }
    void sync() { OK(cudaStreamSynchronize(stream)); }
    void close()
    {
        OK(cudaFree(x));
        OK(cudaFree(y));
        OK(cudaFreeHost(pinned));
        OK(cudaStreamDestroy(stream));
    }
};

/* x [2,5,6,3], 4 filters 3 x 2, strides 2 1, padding 1 0: y [2,3,5,4] */
struct Conv {
    enum { X = 2 * 5 * 6 * 3, W = 4 * 3 * 2 * 3, Y = 2 * 3 * 5 * 4 };
    cudnnHandle_t handle;
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t conv;
    size_t bytes;
    void *workspace;
    cudnnConvolutionFwdAlgo_t algo = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;

    explicit Conv(Device &device)
    {
        OK(cudnnCreate(&handle));
        OK(cudnnSetStream(handle, device.stream));
        OK(cudnnCreateTensorDescriptor(&x));
        OK(cudnnCreateTensorDescriptor(&y));
        OK(cudnnCreateFilterDescriptor(&w));
        OK(cudnnCreateConvolutionDescriptor(&conv));
        OK(cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 2, 3, 5, 6));
        OK(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 2, 4, 3, 5));
        OK(cudnnSetFilter4dDescriptor(w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, 4, 3, 3, 2));
        OK(cudnnSetConvolution2dDescriptor(conv, 1, 0, 2, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
        OK(cudnnSetConvolutionMathType(conv, CUDNN_FMA_MATH));
        OK(cudnnGetConvolutionForwardWorkspaceSize(handle, x, w, conv, y, algo, &bytes));
        OK(cudaMalloc(&workspace, bytes));
    }
    void forward(const float *xs, const float *ws, float *ys)
    {
        const float one = 1, zero = 0;

        OK(cudnnConvolutionForward(handle, &one, x, xs, w, ws, conv, algo, workspace, bytes, &zero, y, ys));
    }
    void close()
    {
        OK(cudaFree(workspace));
        OK(cudnnDestroyTensorDescriptor(x));
        OK(cudnnDestroyTensorDescriptor(y));
        OK(cudnnDestroyFilterDescriptor(w));
        OK(cudnnDestroyConvolutionDescriptor(conv));
        OK(cudnnDestroy(handle));
    }
};

/* The same with what follows the sums: x, filter and bias are pieces of d.x, each on a boundary of 64 bytes. */
struct Fused {
    Device d;
    Conv c;
    cudnnTensorDescriptor_t z, bias;
    cudnnActivationDescriptor_t activation;
    float alpha2 = 0;

    explicit Fused(cudnnActivationMode_t mode = CUDNN_ACTIVATION_RELU) : c(d)
    {
        OK(cudnnCreateTensorDescriptor(&z));
        OK(cudnnCreateTensorDescriptor(&bias));
        OK(cudnnCreateActivationDescriptor(&activation));
        OK(cudnnSetTensor4dDescriptor(z, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 2, 4, 3, 5));
        OK(cudnnSetTensor4dDescriptor(bias, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1, 4, 1, 1));
        OK(cudnnSetActivationDescriptor(activation, mode, CUDNN_PROPAGATE_NAN, 0));
    }
    const float *x() const { return d.x; }
    const float *w() const { return d.x + 512; }
    const float *b() const { return d.x + 704; }
    void forward(const float *zs, const float *biases, float *ys)
    {
        const float one = 1;

        OK(cudnnConvolutionBiasActivationForward(c.handle, &one, c.x, x(), c.w, w(), c.conv, c.algo, c.workspace, c.bytes, &alpha2, z, zs,
                                                 bias, biases, activation, c.y, ys));
    }
    void close()
    {
        OK(cudnnDestroyTensorDescriptor(z));
        OK(cudnnDestroyTensorDescriptor(bias));
        OK(cudnnDestroyActivationDescriptor(activation));
        c.close();
        d.close();
    }
};

/* ---- what it computes ---- */

static void runs_kernels()
{
    Device d;
    double *sums = reinterpret_cast<double *>(d.pinned);

    d.launch(8, 128, scale, scale_args{ d.x, d.y, 2, N, 1 });
    d.read(d.y, N * sizeof(float));
    d.sync();
    for (int i = 0; i < N; i++)
        CHECK(d.pinned[i] == 2 * (float(i % 17) - 3));
    d.launch(15, 64, block_sum, d.x, reinterpret_cast<double *>(d.y), true);
    d.read(d.y, 15 * sizeof(double));
    d.sync();
    for (int b = 0; b < 15; b++) {
        double expected = 0;

        for (int i = 64 * b; i < 64 * b + 64; i++)
            expected += i % 17 - 3;
        CHECK(sums[b] == expected);
    }
    d.close();
}

/* Nothing runs before something waits for it: the launch still sees the value that a copy queued before it brings. */
static void queues()
{
    Device d;
    cudaEvent_t event;
    float before = 0;

    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    OK(cudaMemsetAsync(d.y, 0, N * sizeof(float), d.stream));
    const size_t waits = hostcuda_waits();
    d.sync();
    CHECK(hostcuda_waits() == waits + 1);
    d.sync(); /* for nothing */
    d.launch(8, 128, scale, scale_args{ d.x, d.y, 2, N, 1 });
    OK(cudaEventRecord(event, d.stream));
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);
    OK(cudaEventSynchronize(event));
    OK(cudaEventQuery(event));
    CHECK(hostcuda_waits() == waits + 1);
    OK(cudaMemcpy(&before, d.y + 1, sizeof before, cudaMemcpyDeviceToHost));
    CHECK(before == -4);
    OK(cudaEventDestroy(event));
    d.close();
}

static float pattern(int i, int k) { return float((i * k) % 23 - 11) / 8; } /* sums of products are exact */

/* cuDNN and cuBLAS against loops that are written the other way round */
static void multiplies()
{
    Device d;
    Conv c(d);
    float x[Conv::X], w[Conv::W], *xs, *ws, *ys;

    for (int i = 0; i < Conv::X; i++)
        x[i] = pattern(i, 5);
    for (int i = 0; i < Conv::W; i++)
        w[i] = pattern(i, 7);
    OK(cudaMalloc(&xs, sizeof x));
    OK(cudaMalloc(&ws, sizeof w));
    OK(cudaMalloc(&ys, Conv::Y * sizeof(float)));
    OK(cudaMemcpy(xs, x, sizeof x, cudaMemcpyHostToDevice));
    OK(cudaMemcpy(ws, w, sizeof w, cudaMemcpyHostToDevice));
    c.forward(xs, ws, ys);
    d.read(ys, Conv::Y * sizeof(float));
    d.sync();
    for (int n = 0, at = 0; n < 2; n++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 5; j++)
                for (int f = 0; f < 4; f++, at++) {
                    float sum = 0;

                    for (int ch = 0; ch < 3; ch++)
                        for (int a = 0; a < 3; a++)
                            for (int b = 0; b < 2; b++)
                                if (2 * i + a >= 1 && 2 * i + a <= 5)
                                    sum += x[((n * 5 + 2 * i + a - 1) * 6 + j + b) * 3 + ch] * w[((f * 3 + a) * 2 + b) * 3 + ch];
                    CHECK(d.pinned[at] == sum);
                }

    /* C [3,4] = 2 A^T [3,5] B [5,4] + 1, leading dimensions beyond the columns */
    cublasHandle_t blas;
    const float two = 2, one = 1;

    OK(cublasCreate(&blas));
    OK(cublasSetStream(blas, d.stream));
    for (int i = 0; i < Conv::Y; i++)
        d.pinned[i] = 1;
    OK(cudaMemcpyAsync(ys, d.pinned, Conv::Y * sizeof(float), cudaMemcpyHostToDevice, d.stream));
    OK(cublasSgemm(blas, CUBLAS_OP_T, CUBLAS_OP_N, 3, 4, 5, &two, xs, 6, ws, 7, &one, ys, 8));
    d.sync();
    d.read(ys, Conv::Y * sizeof(float));
    d.sync();
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 8; i++) {
            float sum = 0;

            for (int p = 0; p < 5; p++)
                sum += x[i * 6 + p] * w[j * 7 + p];
            CHECK(d.pinned[j * 8 + i] == (i < 3 ? 2 * sum + 1 : 1));
        }
    OK(cublasDestroy(blas));
    OK(cudaFree(xs));
    OK(cudaFree(ws));
    OK(cudaFree(ys));
    c.close();
    d.close();
}

/* Without relu and z, with both, and NaN as the descriptor says; z is the result's place */
static void goes_on_after_sums()
{
    Fused f(CUDNN_ACTIVATION_IDENTITY);
    float sum[Conv::Y], plain[Conv::Y];
    const auto result = [&](float *to) {
        f.d.read(f.d.y, Conv::Y * sizeof *to);
        f.d.sync();
        memcpy(to, f.d.pinned, Conv::Y * sizeof *to);
    };

    f.c.forward(f.x(), f.w(), f.d.y);
    result(sum);
    f.forward(f.d.y, f.b(), f.d.y);
    result(plain);
    for (int i = 0; i < Conv::Y; i++)
        CHECK(plain[i] == sum[i] + float((704 + i % 4) % 17) - 3);
    f.alpha2 = -2;
    OK(cudnnSetActivationDescriptor(f.activation, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
    f.forward(f.d.y, f.b(), f.d.y);
    result(sum);
    int cut = 0;
    for (int i = 0; i < Conv::Y; i++) {
        CHECK(sum[i] == (plain[i] > 0 ? 0 : -plain[i]));
        cut += plain[i] > 0;
    }
    CHECK(cut > 0 && cut < Conv::Y);
    f.alpha2 = 0;
    f.d.pinned[0] = f.d.pinned[1] = f.d.pinned[2] = f.d.pinned[3] = NAN;
    f.d.write(f.d.x + 800, 4);
    f.forward(f.d.y, f.d.x + 800, f.d.y);
    result(sum);
    CHECK(isnan(sum[0]) && isnan(sum[Conv::Y - 1]));
    OK(cudnnSetActivationDescriptor(f.activation, CUDNN_ACTIVATION_RELU, CUDNN_NOT_PROPAGATE_NAN, 0));
    f.forward(f.d.y, f.d.x + 800, f.d.y);
    result(sum);
    CHECK(sum[0] == 0 && sum[Conv::Y - 1] == 0);
    f.close();
}

/* d.x as N keys; the values are their places */
struct Pairs {
    Device d;
    uint32_t *values, *sorted;
    void *work;
    size_t bytes = 0;

    Pairs()
    {
        OK(cudaMalloc(&values, N * sizeof *values));
        OK(cudaMalloc(&sorted, N * sizeof *sorted));
        OK(cub::DeviceRadixSort::SortPairs(nullptr, bytes, nullptr, nullptr, nullptr, nullptr, N, 0, 32, d.stream));
        OK(cudaMalloc(&work, bytes));
        for (uint32_t i = 0; i < N; i++)
            memcpy(d.pinned + i, &i, sizeof i);
        d.write(reinterpret_cast<float *>(values), N);
    }
    void sort(void *space, size_t size, const void *keys, void *out)
    {
        OK(cub::DeviceRadixSort::SortPairs(space, size, static_cast<const uint32_t *>(keys), static_cast<uint32_t *>(out), values, sorted,
                                           N, 0, 32, d.stream));
        d.sync();
    }
};

/* Keys i % 17 - 3 as the bits of floats: those of -3, -2, -1 come last, in that order backwards; equal ones stay in order */
static void sorts()
{
    static const int order[17] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 2, 1, 0 };
    Pairs p;
    int at = 0;

    p.sort(p.work, p.bytes, p.d.x, p.d.y);
    p.d.read(p.sorted, N * sizeof(uint32_t));
    p.d.sync();
    for (int rest : order)
        for (int i = rest; i < N; i += 17, at++) {
            uint32_t place;

            memcpy(&place, p.d.pinned + at, sizeof place);
            CHECK(place == uint32_t(i));
        }
    OK(cudaFree(p.values));
    OK(cudaFree(p.sorted));
    OK(cudaFree(p.work));
    p.d.close();
}

/* The default math of a convolution is TF32, and an algorithm may differ from run to run: both show in the numbers. */
static void is_inexact_when_asked()
{
    Device d;
    Conv c(d);
    float first[Conv::X];
    const float one = 1, zero = 0;
    const auto backward = [&](cudnnConvolutionBwdDataAlgo_t algo) {
        OK(cudnnConvolutionBackwardData(c.handle, &one, c.w, d.x + 200, c.y, d.x, c.conv, algo, c.workspace, c.bytes, &zero, c.x, d.y));
        d.read(d.y, sizeof first);
        d.sync();
    };

    for (int i = 0; i < N; i++)
        d.pinned[i] = 1 + float(i) / 8192; /* more than 10 bits */
    d.write(d.x, N);
    backward(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
    memcpy(first, d.pinned, sizeof first);
    backward(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
    CHECK(memcmp(first, d.pinned, sizeof first) == 0);
    backward(CUDNN_CONVOLUTION_BWD_DATA_ALGO_0);
    CHECK(memcmp(first, d.pinned, sizeof first) != 0);
    OK(cudnnSetConvolutionMathType(c.conv, CUDNN_DEFAULT_MATH));
    backward(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
    CHECK(memcmp(first, d.pinned, sizeof first) != 0);
    c.close();
    d.close();
}

static void has_limits()
{
    void *memory = NULL;
    size_t free_bytes = 0, total = 0;
    int count = 0;

    setenv("HOSTCUDA_MEMORY", "1000000", 1);
    setenv("HOSTCUDA_DEVICES", "none", 1);
    OK(cudaMalloc(&memory, 600000));
    OK(cudaMemGetInfo(&free_bytes, &total));
    CHECK(free_bytes == 400000 && total == 1000000);
    void *more = memory;
    CHECK(cudaMalloc(&more, 400001) == cudaErrorMemoryAllocation && !more);
    OK(cudaFree(memory));
    CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver && count == 0);
}

/* ---- planted faults ---- */

static void host_pointer_in_kernel()
{
    Device d;
    static float host[N];

    d.run_scale(host, d.y);
}

static void host_pointer_in_library()
{
    Device d;
    Conv c(d);
    static float host[Conv::X];

    c.forward(host, d.x, d.y);
}

static void null_pointer_in_library()
{
    Device d;
    Conv c(d);

    c.forward(d.x, NULL, d.y);
}

static void freed_pointer()
{
    Device d;

    OK(cudaFree(d.x));
    d.run_scale(d.x, d.y);
}

static void freed_twice()
{
    Device d;

    OK(cudaFree(d.x));
    OK(cudaFree(d.x));
}

static void wrong_stride()
{
    Device d;

    d.run_scale(d.x, d.y, N / 2, 3);
}

static void device_pointer_on_host()
{
    Device d;

    printf("%g\n", double(d.x[7]));
}

static void short_copy()
{
    Device d;
    float *x;

    OK(cudaMalloc(&x, N * sizeof *x));
    d.write(x, N - 10);
    d.run_scale(x, d.y);
}

static void long_copy()
{
    Device d;

    OK(cudaMemcpyAsync(d.y, d.x + 1, N * sizeof(float), cudaMemcpyDeviceToDevice, d.stream));
}

static void long_read()
{
    Device d;

    OK(cudaMemcpyAsync(d.pinned + 1, d.x, N * sizeof(float), cudaMemcpyDeviceToHost, d.stream));
}

static void pageable_copy()
{
    Device d;
    float host[4] = { 1, 2, 3, 4 };

    OK(cudaMemcpyAsync(d.x, host, sizeof host, cudaMemcpyHostToDevice, d.stream));
}

static void read_before_sync()
{
    Device d;

    d.read(d.x, N * sizeof(float));
    printf("%g\n", double(d.pinned[0]));
}

static void source_changed_before_sync()
{
    Device d;

    OK(cudaMemcpyAsync(d.x, d.pinned, N * sizeof(float), cudaMemcpyHostToDevice, d.stream));
    d.pinned[3] = 100;
    d.sync();
}

static void copy_that_does_not_wait()
{
    Device d;
    float value;

    d.launch(8, 128, scale, scale_args{ d.x, d.y, 2, N, 1 });
    OK(cudaMemcpy(&value, d.y, sizeof value, cudaMemcpyDeviceToHost));
}

static void handle_without_stream()
{
    Device d;
    Conv c(d);

    OK(cudnnSetStream(c.handle, NULL));
    d.launch(8, 128, scale, scale_args{ d.x, d.x, 2, N, 1 });
    c.forward(d.x, d.x + 500, d.y);
}

static void pinned_freed_before_sync()
{
    Device d;

    d.read(d.x, N * sizeof(float));
    OK(cudaFreeHost(d.pinned));
}

static void stream_destroyed_before_sync()
{
    Device d;

    OK(cudaMemsetAsync(d.x, 0, 4, d.stream));
    OK(cudaStreamDestroy(d.stream));
}

static void leak()
{
    Device d;
    cudnnHandle_t handle;

    OK(cudnnCreate(&handle));
    OK(cudaFree(d.x));
}

static void overlapping_write()
{
    Device d;

    d.launch(1, 64, all_write, d.y, reinterpret_cast<int *>(d.y + 200));
    d.sync();
}

static void neighbour_race()
{
    Device d;

    d.launch(1, 64, read_neighbour, d.x);
    d.sync();
}

static void missing_barrier()
{
    Device d;

    d.launch(2, 64, block_sum, d.x, reinterpret_cast<double *>(d.y), false);
    d.sync();
}

static void barrier_not_reached()
{
    Device d;

    d.launch(1, 64, half_waits, d.y);
    d.sync();
}

static void too_many_threads()
{
    Device d;

    d.launch(1, 1025, half_waits, d.y);
}

static void wrong_layout()
{
    Device d;
    Conv c(d);

    OK(cudnnSetTensor4dDescriptor(c.x, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 3, 5, 6));
    c.forward(d.x, d.x + 500, d.y);
}

static void wrong_element_type()
{
    Device d;
    Conv c(d);

    OK(cudnnSetFilter4dDescriptor(c.w, CUDNN_DATA_DOUBLE, CUDNN_TENSOR_NHWC, 4, 3, 3, 2));
    c.forward(d.x, d.x + 500, d.y);
}

static void wrong_convolution_stride()
{
    Device d;
    Conv c(d);

    OK(cudnnSetConvolution2dDescriptor(c.conv, 1, 0, 1, 2, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    c.forward(d.x, d.x + 500, d.y);
}

static void short_workspace()
{
    Device d;
    Conv c(d);

    c.bytes--;
    c.forward(d.x, d.x + 500, d.y);
}

static void workspace_beyond_its_memory()
{
    Device d;
    Conv c(d);

    OK(cudaFree(c.workspace));
    OK(cudaMalloc(&c.workspace, c.bytes - 1));
    c.forward(d.x, d.x + 500, d.y);
}

static void output_in_input()
{
    Device d;
    Conv c(d);

    c.forward(d.x, d.x + 500, d.x + Conv::X - 1);
}

static void destroyed_descriptor()
{
    Device d;
    Conv c(d);

    OK(cudnnDestroyTensorDescriptor(c.y));
    c.forward(d.x, d.x + 500, d.y);
}

static void unsupported_algorithm()
{
    Device d;
    Conv c(d);

    c.algo = CUDNN_CONVOLUTION_FWD_ALGO_FFT;
    c.forward(d.x, d.x + 500, d.y);
}

static void bias_of_another_shape()
{
    Fused f;

    OK(cudnnSetTensor4dDescriptor(f.bias, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1, 1, 1, 4));
    f.forward(f.d.y, f.b(), f.d.y);
}

static void bias_of_more_channels()
{
    Fused f;

    OK(cudnnSetTensor4dDescriptor(f.bias, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1, 5, 1, 1));
    f.forward(f.d.y, f.b(), f.d.y);
}

static void summand_of_another_shape()
{
    Fused f;

    OK(cudnnSetTensor4dDescriptor(f.z, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1, 4, 3, 5));
    f.forward(f.d.y, f.b(), f.d.y);
}

static void no_summand()
{
    Fused f;

    f.forward(NULL, f.b(), f.d.y);
}

static void no_bias()
{
    Fused f;

    f.forward(f.d.y, NULL, f.d.y);
}

static void bias_on_host()
{
    Fused f;
    static float host[4];

    f.forward(f.d.y, host, f.d.y);
}

static void bias_beyond_its_memory()
{
    Fused f;

    f.forward(f.d.y, f.d.x + N - 3, f.d.y);
}

static void unwritten_bias()
{
    Fused f;

    f.forward(f.d.y, f.d.y + 500, f.d.y);
    f.d.sync();
}

static void unwritten_summand()
{
    Fused f;

    f.alpha2 = 1;
    f.forward(f.d.y, f.b(), f.d.y);
    f.d.sync();
}

static void result_in_bias()
{
    Fused f;

    f.forward(f.d.y, f.d.y + Conv::Y - 1, f.d.y);
}

static void result_in_summand()
{
    Fused f;

    f.forward(f.d.y + 1, f.b(), f.d.y);
}

static void short_workspace_with_bias()
{
    Fused f;

    f.c.bytes--;
    f.forward(f.d.y, f.b(), f.d.y);
}

static void bias_in_workspace()
{
    Fused f;

    f.forward(f.d.y, static_cast<float *>(f.c.workspace), f.d.y);
}

static void no_activation_by_another_algorithm()
{
    Fused f(CUDNN_ACTIVATION_IDENTITY);

    f.c.algo = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
    f.forward(f.d.y, f.b(), f.d.y);
}

static void another_activation()
{
    Fused f(CUDNN_ACTIVATION_TANH);

    f.forward(f.d.y, f.b(), f.d.y);
}

static void activation_never_set()
{
    Fused f;

    OK(cudnnCreateActivationDescriptor(&f.activation));
    f.forward(f.d.y, f.b(), f.d.y);
}

static void destroyed_activation()
{
    Fused f;

    OK(cudnnDestroyActivationDescriptor(f.activation));
    f.forward(f.d.y, f.b(), f.d.y);
}

static void activation_leak()
{
    Fused f;

    f.close();
    OK(cudnnCreateActivationDescriptor(&f.activation));
}

static void multiply(int lda, int ldb, int ldc)
{
    Device d;
    cublasHandle_t blas;
    const float one = 1, zero = 0;

    OK(cublasCreate(&blas));
    OK(cublasSetStream(blas, d.stream));
    OK(cublasSgemm(blas, CUBLAS_OP_T, CUBLAS_OP_N, 20, 30, 25, &one, d.x, lda, d.x, ldb, &zero, d.y, ldc));
}
static void short_leading_dimension() { multiply(20, 25, 20); }
static void long_leading_dimension() { multiply(25, 25, 40); }

static void short_sorting_space()
{
    Pairs p;

    p.sort(p.work, p.bytes - 1, p.d.x, p.d.y);
}

static void sorting_unwritten_keys()
{
    Pairs p;

    p.sort(p.work, p.bytes, p.d.y, p.d.x);
}

static void sorting_in_place()
{
    Pairs p;

    p.sort(p.work, p.bytes, p.d.x, p.d.x);
}

/* y = 2 x, then x = y, kept as a graph */
struct Graph {
    Device d;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaGraphNode_t scaled, copied;

    cudaGraphNode_t last()
    {
        cudaStreamCaptureStatus status;
        const cudaGraphNode_t *node;
        const cudaGraphEdgeData *edge;
        size_t count = 0;

        OK(cudaStreamGetCaptureInfo(d.stream, &status, nullptr, nullptr, &node, &edge, &count));
        CHECK(status == cudaStreamCaptureStatusActive && count == 1);
        return node[0];
    }
    Graph()
    {
        OK(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeRelaxed));
        d.launch(8, 128, scale, scale_args{ d.x, d.y, 2, N, 1 });
        scaled = last();
        OK(cudaMemcpyAsync(d.x, d.y, N * sizeof(float), cudaMemcpyDeviceToDevice, d.stream));
        copied = last();
        OK(cudaStreamEndCapture(d.stream, &graph));
        OK(cudaGraphInstantiate(&exec, graph, 0));
    }
    float run()
    {
        OK(cudaGraphLaunch(exec, d.stream));
        d.read(d.x, N * sizeof(float));
        d.sync();
        return d.pinned[0]; /* of x[0] = -3 */
    }
    void become(void (*kernel)(scale_args), scale_args args)
    {
        cudaKernelNodeParams params = {};
        void *values[] = { &args };

        params.func = reinterpret_cast<void *>(kernel);
        params.gridDim = dim3(8);
        params.blockDim = dim3(128);
        params.kernelParams = values;
        OK(cudaGraphExecKernelNodeSetParams(exec, scaled, &params));
    }
    void close()
    {
        OK(cudaGraphExecDestroy(exec));
        OK(cudaGraphDestroy(graph));
        d.close();
    }
};

/* Captured is not run; as often as it is launched; a launch that waits keeps its arguments. */
static void replays_graphs()
{
    Graph g;

    CHECK(g.run() == -6);
    CHECK(g.run() == -12);
    OK(cudaGraphLaunch(g.exec, g.d.stream));
    g.become(scale, scale_args{ g.d.x, g.d.y, 3, N, 1 });
    CHECK(g.run() == -72);
    OK(cudaGraphExecMemcpyNodeSetParams1D(g.exec, g.copied, g.d.x, g.d.y + 1, sizeof(float), cudaMemcpyDeviceToDevice));
    CHECK(g.run() == -144); /* x[1] = -2, times 2, 2, 2, 3, 3 */
    g.close();
}

static void other_scale(scale_args) {}
static void kernel_becomes_another()
{
    Graph g;

    g.become(other_scale, scale_args{ g.d.x, g.d.y, 3, N, 1 });
}

static void node_of_another_graph()
{
    Graph one, other;

    one.scaled = other.scaled;
    one.become(scale, scale_args{ one.d.x, one.d.y, 3, N, 1 });
}

static void node_of_a_graph_that_is_gone()
{
    Graph g;

    OK(cudaGraphDestroy(g.graph));
    g.become(scale, scale_args{ g.d.x, g.d.y, 3, N, 1 });
}

static void stale_pointer_in_graph()
{
    Graph g;

    OK(cudaFree(g.d.x));
    OK(cudaMalloc(&g.d.x, N * sizeof(float)));
    g.d.write(g.d.x, N);
    g.run();
}

static void wait_while_captured()
{
    Device d;

    OK(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeRelaxed));
    d.sync();
}

static void free_while_captured()
{
    Device d;

    OK(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeRelaxed));
    OK(cudaFree(d.x));
}

static void read_while_captured()
{
    Device d;

    OK(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeRelaxed));
    d.read(d.x, sizeof(float));
}

static void graph_leak()
{
    Graph g;

    g.run();
    g.d.close();
}

struct Case {
    const char *name;
    void (*run)();
    const char *message; /* NULL: it must go well */
    bool hooks;          /* is seen by the compiler's hooks only */
};
#define WELL(name)                                                                                                                         \
    {                                                                                                                                      \
#name, name, NULL, false                                                                                                           \
    }
#define FAULTY(name, message)                                                                                                              \
    {                                                                                                                                      \
#name, name, message, false                                                                                                        \
    }
#define SEEN_BY_HOOK(name, message)                                                                                                        \
    {                                                                                                                                      \
#name, name, message, true                                                                                                         \
    }
static const Case cases[] = {
    WELL(runs_kernels),
    WELL(queues),
    WELL(multiplies),
    WELL(goes_on_after_sums),
    WELL(sorts),
    WELL(is_inexact_when_asked),
    WELL(has_limits),
    WELL(replays_graphs),
    SEEN_BY_HOOK(host_pointer_in_kernel,
                 "kernel 'scale(scale_args)', block (0,0,0), thread (0,0,0): illegal address: reads 4 bytes of host memory at 0x"),
    FAULTY(host_pointer_in_library, "cudnnConvolutionForward: x is the host address 0x"),
    FAULTY(null_pointer_in_library, "cudnnConvolutionForward: the filter is a null pointer, expected device memory"),
    FAULTY(freed_pointer, "byte 0 of the 4000-byte freed allocation #0"),
    FAULTY(freed_twice, "cudaFree: the pointer is byte 0 of the 4000-byte freed allocation #0"),
    SEEN_BY_HOOK(wrong_stride, "illegal address: writes 4 bytes at byte 4008 of the 4000-byte allocation #1"),
    FAULTY(device_pointer_on_host, "the host's code uses a device pointer: byte 28 of the 4000-byte allocation #0"),
    SEEN_BY_HOOK(short_copy, "reads byte 3960 of the 4000-byte allocation #2, which nothing has written"),
    FAULTY(long_copy, "cudaMemcpyAsync: the source: 4000 bytes at byte 4 of the 4000-byte allocation #0 reach beyond its end"),
    FAULTY(long_read, "cudaMemcpyAsync: 4000 bytes at byte 4 of a pinned allocation of 4000 bytes reach beyond its end"),
    FAULTY(pageable_copy, "the source is pageable host memory: such a copy is not asynchronous"),
    FAULTY(read_before_sync, "the host's code uses a pinned buffer before the copy to it has run"),
    FAULTY(source_changed_before_sync, "queued cudaMemcpyAsync #2: the pinned source of 4000 bytes has changed since the copy was queued"),
    FAULTY(copy_that_does_not_wait, "cudaMemcpy: work on the default stream does not wait for the 1 operations"),
    FAULTY(handle_without_stream, "cudnnConvolutionForward: work on the default stream does not wait for the 1 operations"),
    FAULTY(pinned_freed_before_sync, "cudaFreeHost: a copy that has not run uses this memory"),
    FAULTY(stream_destroyed_before_sync, "cudaStreamDestroy: the stream still holds 1 operations"),
    FAULTY(leak, "the process ends with 1 device allocation (4000 bytes), 1 pinned allocation, 1 stream, 1 cuDNN handle: not given back"),
    SEEN_BY_HOOK(overlapping_write,
                 "thread (1,0,0): overlapping access: this thread writes byte 800 of the 4000-byte allocation #1, which another thread of "
                 "the launch writes"),
    SEEN_BY_HOOK(neighbour_race, "overlapping access: this thread "),
    SEEN_BY_HOOK(missing_barrier, "reads shared memory that nothing has written"),
    FAULTY(barrier_not_reached, "32 of the 64 threads of a block wait at __syncthreads, the others have left the kernel"),
    FAULTY(too_many_threads, "cudaLaunchKernelEx: a grid of (1,1,1) blocks of (1025,1,1) threads cannot be launched"),
    FAULTY(wrong_layout, "the layout of x is NCHW, expected NHWC"),
    FAULTY(wrong_element_type, "the element type of the filter is not float"),
    FAULTY(wrong_convolution_stride, "y is [2,3,5,4], this convolution gives [2,5,3,4]"),
    FAULTY(short_workspace, "the workspace has 323 bytes, algorithm 1 needs 324"),
    FAULTY(workspace_beyond_its_memory, "the workspace: 324 bytes at byte 0 of the 323-byte allocation #3 reach beyond its end"),
    FAULTY(output_in_input, "x, y and the filter overlap"),
    FAULTY(destroyed_descriptor, "is no live tensor descriptor"),
    FAULTY(unsupported_algorithm, "algorithm 4 does not support these descriptors"),
    FAULTY(bias_of_another_shape, "cudnnConvolutionBiasActivationForward: the bias is [1,1,4,1], expected [1,1,1,4]"),
    FAULTY(bias_of_more_channels, "the bias is [1,1,1,5], expected [1,1,1,4]"),
    FAULTY(summand_of_another_shape, "z is [1,3,5,4], y is [2,3,5,4]"),
    FAULTY(no_summand, "cudnnConvolutionBiasActivationForward: z is a null pointer, expected device memory"),
    FAULTY(no_bias, "the bias is a null pointer, expected device memory"),
    FAULTY(bias_on_host, "the bias is the host address 0x"),
    FAULTY(bias_beyond_its_memory, "the bias: 16 bytes at byte 3988 of the 4000-byte allocation #0 reach beyond its end"),
    SEEN_BY_HOOK(unwritten_bias, "queued cudnnConvolutionBiasActivationForward #2: the bias: nothing has written byte 2000"),
    SEEN_BY_HOOK(unwritten_summand, "z: nothing has written byte 0 of the 4000-byte allocation #1"),
    FAULTY(result_in_bias, "y overlaps the bias"),
    FAULTY(result_in_summand, "y overlaps a part of z"),
    FAULTY(short_workspace_with_bias, "the workspace has 323 bytes, algorithm 1 needs 324"),
    FAULTY(bias_in_workspace, "the workspace overlaps an operand"),
    FAULTY(no_activation_by_another_algorithm, "algorithm 0 is not defined without an activation"),
    FAULTY(another_activation, "activation 2 does not follow a convolution"),
    FAULTY(activation_never_set, "the descriptor of the activation was never set"),
    FAULTY(destroyed_activation, "is no live activation descriptor"),
    FAULTY(activation_leak, "the process ends with 1 activation descriptor: not given back"),
    FAULTY(short_leading_dimension, "cublasSgemm: the leading dimension of A is 20, its columns have 25 rows"),
    FAULTY(long_leading_dimension, "cublasSgemm: C: 4720 bytes at byte 0 of the 4000-byte allocation #1 reach beyond its end"),
    FAULTY(short_sorting_space, "SortPairs: the work space has 8255 bytes, 1000 pairs need 8256"),
    SEEN_BY_HOOK(sorting_unwritten_keys, "the keys: nothing has written byte 0 of the 4000-byte allocation #1"),
    FAULTY(sorting_in_place, "SortPairs: an output overlaps an input"),
    FAULTY(kernel_becomes_another, "cudaGraphExecKernelNodeSetParams: the node's kernel would become another one"),
    FAULTY(node_of_another_graph, "is no node of this graph"),
    FAULTY(node_of_a_graph_that_is_gone, "is no live graph"),
    FAULTY(stale_pointer_in_graph, "of the 4000-byte freed allocation #0"),
    FAULTY(wait_while_captured, "cudaStreamSynchronize: waits while a stream is captured"),
    FAULTY(free_while_captured, "cudaFree: frees while a stream is captured"),
    FAULTY(read_while_captured, "cudaMemcpyAsync: copies from and to the host in graphs are not part of the double"),
    FAULTY(graph_leak, "the process ends with 1 graph, 1 graph ready to run: not given back"),
};

/* Runs a case in a child. What it wrote to stderr; the status of its end. */
static int run_case(const Case &test, std::string *text)
{
    int ends[2], status = 0;
    char buffer[4096];

    if (pipe(ends) != 0)
        return -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        test.run();
        exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        text->append(buffer, size_t(n));
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main()
{
    int failed = 0;

    for (const Case &test : cases) {
        std::string text;

        printf("[ RUN      ] %s\n", test.name);
        if (test.hooks && !HOOKS) {
            printf("[  SKIPPED ] %s\n", test.name);
            continue;
        }
        const int status = run_case(test, &text);
        const bool good = test.message ? status == FAULT && text.find("hostcuda: ") == 0 && text.find(test.message) != std::string::npos
                                       : status == 0 && text.empty();
        printf(good ? "[       OK ] %s\n" : "[  FAILED  ] %s\n", test.name);
        if (!good)
            printf("exit status %d, expected %d with '%s':\n%s\n", status, test.message ? FAULT : 0, test.message ? test.message : "",
                   text.c_str());
        failed += !good;
    }
    return failed != 0;
}
