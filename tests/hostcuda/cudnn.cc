/* cuDNN: NHWC float convolutions, with bias and relu or without, and their gradients, sums in double; the algorithm lists begin with what a deterministic caller must skip. */
#include "cudnn.h"

#include <vector>

#include "hostcuda.h"
#include "tf32.h"

struct cudnnContext {
    cudaStream_t stream;
};
struct cudnnTensorStruct {
    bool set;
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    int n, c, h, w;
};
struct cudnnFilterStruct {
    bool set;
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    int k, c, h, w;
};
struct cudnnConvolutionStruct {
    bool set;
    int pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w;
    cudnnConvolutionMode_t mode;
    cudnnDataType_t compute;
    cudnnMathType_t math;
};
struct cudnnActivationStruct {
    bool set;
    cudnnActivationMode_t mode;
    cudnnNanPropagation_t nan;
};

using namespace hostcuda;

namespace
{
enum Pass { FORWARD, BACKWARD_DATA, BACKWARD_FILTER };

/* What a forward convolution adds to its sums, and what becomes of them. */
struct Rest {
    bool there = false;
    const float *bias = nullptr, *z = nullptr;
    float alpha2 = 0;
    cudnnActivationStruct activation = {};

    double after(double sum, size_t at, size_t filters) const;
};

/* An operation on checked descriptors; x, w, y stand for dx, dw, dy too. */
struct Convolution {
    cudnnTensorStruct x, y;
    cudnnFilterStruct w;
    cudnnConvolutionStruct conv;
    Pass pass;
    int algo;
    float *xs, *ws, *ys;
    void *workspace;
    size_t bytes;
    float alpha, beta;
    Rest rest = {};

    size_t x_bytes() const { return sizeof(float) * size_t(x.n) * size_t(x.h) * size_t(x.w) * size_t(x.c); }
    size_t y_bytes() const { return sizeof(float) * size_t(y.n) * size_t(y.h) * size_t(y.w) * size_t(y.c); }
    size_t w_bytes() const { return sizeof(float) * size_t(w.k) * size_t(w.h) * size_t(w.w) * size_t(w.c); }
    size_t bias_bytes() const { return sizeof(float) * size_t(w.k); }
    void check_pointers() const;
    void check_rest() const;
    void run() const;
};

double Rest::after(double sum, size_t at, size_t filters) const
{
    const double value = sum + (alpha2 != 0 ? double(alpha2) * double(z[at]) : 0) + double(bias[at % filters]);

    if (activation.mode == CUDNN_ACTIVATION_IDENTITY)
        return value;
    return activation.nan == CUDNN_PROPAGATE_NAN ? (value < 0 ? 0 : value) : (value > 0 ? value : 0);
}

void check_tensor(const char *what, const cudnnTensorDescriptor_t t)
{
    object_check(t, TENSOR_DESCRIPTOR);
    if (!t->set)
        fault("the descriptor of %s was never set", what);
    if (t->type != CUDNN_DATA_FLOAT)
        fault("the element type of %s is %d, the other operands are float", what, int(t->type));
    if (t->format != CUDNN_TENSOR_NHWC)
        fault("the layout of %s is NCHW, expected NHWC", what);
}

int out_size(int size, int pad, int kernel, int stride) { return (size + 2 * pad - kernel) / stride + 1; }

/* The descriptors fit each other, or a fault. */
Convolution checked(cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
                    const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t y)
{
    object_check(handle, CUDNN_HANDLE);
    check_tensor("x", x);
    check_tensor("y", y);
    object_check(w, FILTER_DESCRIPTOR);
    object_check(conv, CONVOLUTION_DESCRIPTOR);
    if (!w->set || !conv->set)
        fault("the descriptor of the %s was never set", w->set ? "convolution" : "filter");
    if (w->type != CUDNN_DATA_FLOAT || conv->compute != CUDNN_DATA_FLOAT)
        fault("the element type of the %s is not float", w->type != CUDNN_DATA_FLOAT ? "filter" : "convolution");
    if (w->format != CUDNN_TENSOR_NHWC)
        fault("the layout of the filter is NCHW, that of x is NHWC");
    if (conv->mode != CUDNN_CROSS_CORRELATION)
        fault("the mode is CUDNN_CONVOLUTION: it turns the kernel around");
    if (conv->dilation_h != 1 || conv->dilation_w != 1)
        fault("dilation is not part of the double");
    if (w->c != x->c)
        fault("the filter has %d channels, x has %d", w->c, x->c);
    const int h = out_size(x->h, conv->pad_h, w->h, conv->stride_h), width = out_size(x->w, conv->pad_w, w->w, conv->stride_w);
    if (y->n != x->n || y->c != w->k || y->h != h || y->w != width)
        fault("y is [%d,%d,%d,%d], this convolution gives [%d,%d,%d,%d]", y->n, y->h, y->w, y->c, x->n, h, width, w->k);
    return { *x, *y, *w, *conv, FORWARD, 0, nullptr, nullptr, nullptr, nullptr, 0, 1, 0 };
}

/* ... so do those of what follows the sums */
Rest checked_rest(const Convolution &c, int algo, const cudnnTensorDescriptor_t z, const cudnnTensorDescriptor_t bias,
                  const cudnnActivationDescriptor_t activation)
{
    Rest rest;

    check_tensor("z", z);
    check_tensor("the bias", bias);
    object_check(activation, ACTIVATION_DESCRIPTOR);
    if (z->n != c.y.n || z->c != c.y.c || z->h != c.y.h || z->w != c.y.w)
        fault("z is [%d,%d,%d,%d], y is [%d,%d,%d,%d]", z->n, z->h, z->w, z->c, c.y.n, c.y.h, c.y.w, c.y.c);
    if (bias->n != 1 || bias->c != c.w.k || bias->h != 1 || bias->w != 1)
        fault("the bias is [%d,%d,%d,%d], expected [1,1,1,%d]", bias->n, bias->h, bias->w, bias->c, c.w.k);
    if (!activation->set)
        fault("the descriptor of the activation was never set");
    if (activation->mode != CUDNN_ACTIVATION_RELU && activation->mode != CUDNN_ACTIVATION_IDENTITY)
        fault("activation %d does not follow a convolution", int(activation->mode));
    if (activation->mode == CUDNN_ACTIVATION_IDENTITY && algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
        fault("algorithm %d is not defined without an activation", algo);
    rest.there = true;
    rest.activation = *activation;
    return rest;
}

/* Sizes that no alignment rounds up: what is asked for must be there to the last byte. */
cudnnStatus_t workspace_of(const Convolution &c, int algo, size_t *bytes)
{
    *bytes = 0;
    switch (c.pass) {
    case FORWARD:
        if (algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
            *bytes = c.w_bytes() + 36;
        return algo <= CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
    case BACKWARD_DATA:
        if (algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)
            *bytes = c.w_bytes() + 20;
        return algo <= CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
    case BACKWARD_FILTER:
        if (algo == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1)
            *bytes = c.w_bytes() + 52;
        return algo <= CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
    }
    return CUDNN_STATUS_NOT_SUPPORTED;
}

bool deterministic(Pass pass, int algo)
{
    return !((pass == BACKWARD_DATA && algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_0) ||
             (pass == BACKWARD_FILTER && (algo == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0 || algo == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3)));
}

void Convolution::check_pointers() const
{
    check_device("x", xs, x_bytes());
    check_device("the filter", ws, w_bytes());
    check_device("y", ys, y_bytes());
    check_device("the workspace", workspace, bytes);
    if (overlap(xs, x_bytes(), ys, y_bytes()) || overlap(xs, x_bytes(), ws, w_bytes()) || overlap(ys, y_bytes(), ws, w_bytes()))
        fault("x, y and the filter overlap");
    if (bytes &&
        (overlap(workspace, bytes, xs, x_bytes()) || overlap(workspace, bytes, ys, y_bytes()) || overlap(workspace, bytes, ws, w_bytes())))
        fault("the workspace overlaps an operand");
    if (rest.there)
        check_rest();
}

/* z may be y; with nothing else may what is written meet. */
void Convolution::check_rest() const
{
    check_device("z", rest.z, y_bytes());
    check_device("the bias", rest.bias, bias_bytes());
    if ((rest.z != ys && overlap(rest.z, y_bytes(), ys, y_bytes())) || overlap(rest.bias, bias_bytes(), ys, y_bytes()))
        fault("y overlaps %s", overlap(rest.bias, bias_bytes(), ys, y_bytes()) ? "the bias" : "a part of z");
    if (bytes && (overlap(workspace, bytes, rest.z, y_bytes()) || overlap(workspace, bytes, rest.bias, bias_bytes())))
        fault("the workspace overlaps an operand");
}

/* sum(output pixel, tap): calls f(y pixel, tap, x pixel) for every tap that lies inside x. */
template <typename F> void for_taps(const Convolution &c, F f)
{
    for (int n = 0; n < c.y.n; n++)
        for (int i = 0; i < c.y.h; i++)
            for (int j = 0; j < c.y.w; j++)
                for (int a = 0; a < c.w.h; a++)
                    for (int b = 0; b < c.w.w; b++) {
                        const int row = i * c.conv.stride_h - c.conv.pad_h + a, column = j * c.conv.stride_w - c.conv.pad_w + b;

                        if (row >= 0 && row < c.x.h && column >= 0 && column < c.x.w)
                            f(size_t((n * c.y.h + i) * c.y.w + j), size_t(a * c.w.w + b), size_t((n * c.x.h + row) * c.x.w + column));
                    }
}

void finish(const Convolution &c, const std::vector<double> &sum, float *to)
{
    static uint32_t noise = 1;
    const bool stable = deterministic(c.pass, c.algo);
    const double other = other_kernel({ c.xs, c.ws, c.ys, c.rest.bias, c.rest.z });

    for (size_t i = 0; i < sum.size(); i++) {
        double value = other * double(c.alpha) * sum[i] + (c.beta != 0 ? double(c.beta) * double(to[i]) : 0);

        if (!stable) {
            noise = noise * 1664525u + 1013904223u;
            value *= 1 + (double(noise >> 8) / 16777216.0 - 0.5) * 1e-6;
        }
        to[i] = float(c.rest.there ? c.rest.after(value, i, size_t(c.w.k)) : value);
    }
    mark_written(to, sum.size() * sizeof *to);
}

std::vector<double> widened(const float *from, size_t n, bool tf32)
{
    std::vector<double> wide(n);

    for (size_t i = 0; i < n; i++)
        wide[i] = round_tf32(from[i], tf32);
    return wide;
}

void Convolution::run() const
{
    const size_t channels = size_t(x.c), filters = size_t(w.k), taps = size_t(w.h) * size_t(w.w);
    const bool tf32 = conv.math != CUDNN_FMA_MATH;
    float *const result = pass == FORWARD ? ys : pass == BACKWARD_DATA ? xs : ws;
    const size_t count = (pass == FORWARD ? y_bytes() : pass == BACKWARD_DATA ? x_bytes() : w_bytes()) / sizeof(float);
    std::vector<double> sum(count), xd, wd, yd, turned;

    check_pointers();
    if (pass != BACKWARD_DATA || beta != 0)
        check_written("x", xs, x_bytes());
    if (pass != BACKWARD_FILTER || beta != 0)
        check_written("the filter", ws, w_bytes());
    if (pass != FORWARD || beta != 0)
        check_written("y", ys, y_bytes());
    if (rest.there)
        check_written("the bias", rest.bias, bias_bytes());
    if (rest.alpha2 != 0)
        check_written("z", rest.z, y_bytes());
    if (bytes)
        scribble(workspace, bytes);
    xd = widened(xs, pass == BACKWARD_DATA ? 0 : x_bytes() / sizeof(float), tf32);
    wd = widened(ws, pass == BACKWARD_FILTER ? 0 : w_bytes() / sizeof(float), tf32);
    yd = widened(ys, pass == FORWARD ? 0 : y_bytes() / sizeof(float), tf32);
    switch (pass) {
    case FORWARD: /* turned[tap][c][f] = w[f][tap][c]: the inner loop runs over f */
        turned.resize(wd.size());
        for (size_t f = 0; f < filters; f++)
            for (size_t t = 0; t < taps * channels; t++)
                turned[t * filters + f] = wd[f * taps * channels + t];
        for_taps(*this, [&](size_t out, size_t tap, size_t from) {
            for (size_t c = 0; c < channels; c++)
                for (size_t f = 0; f < filters; f++)
                    sum[out * filters + f] += xd[from * channels + c] * turned[(tap * channels + c) * filters + f];
        });
        break;
    case BACKWARD_DATA:
        for_taps(*this, [&](size_t out, size_t tap, size_t from) {
            for (size_t f = 0; f < filters; f++)
                for (size_t c = 0; c < channels; c++)
                    sum[from * channels + c] += yd[out * filters + f] * wd[(f * taps + tap) * channels + c];
        });
        break;
    case BACKWARD_FILTER:
        for_taps(*this, [&](size_t out, size_t tap, size_t from) {
            for (size_t f = 0; f < filters; f++)
                for (size_t c = 0; c < channels; c++)
                    sum[(f * taps + tap) * channels + c] += yd[out * filters + f] * xd[from * channels + c];
        });
        break;
    }
    finish(*this, sum, result);
}

cudnnStatus_t queue(cudnnHandle_t handle, Convolution c, Pass pass, int algo, const void *x, const void *w, const void *y, void *workspace,
                    size_t bytes, const void *alpha, const void *beta)
{
    static const char *const names[] = { "cudnnConvolutionForward", "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter" };
    size_t needed;

    c.pass = pass;
    c.algo = algo;
    c.xs = static_cast<float *>(const_cast<void *>(x));
    c.ws = static_cast<float *>(const_cast<void *>(w));
    c.ys = static_cast<float *>(const_cast<void *>(y));
    c.workspace = workspace;
    c.bytes = bytes;
    c.alpha = *static_cast<const float *>(alpha);
    c.beta = *static_cast<const float *>(beta);
    if (workspace_of(c, algo, &needed) != CUDNN_STATUS_SUCCESS)
        fault("algorithm %d does not support these descriptors", algo);
    if (bytes < needed)
        fault("the workspace has %zu bytes, algorithm %d needs %zu", bytes, algo, needed);
    c.check_pointers();
    enqueue(handle->stream, c.rest.there ? "cudnnConvolutionBiasActivationForward" : names[pass], [c] { c.run(); });
    return CUDNN_STATUS_SUCCESS;
}

/* First what cannot run, or not repeatably; then what a deterministic caller takes: of strided convolutions another one than of the others. */
template <typename Perf>
void list_algorithms(Convolution c, Pass pass, std::initializer_list<int> order, int requested, int *returned, Perf *results)
{
    c.pass = pass;
    *returned = 0;
    for (const int algo : order) {
        if (*returned == requested)
            break;
        Perf &perf = results[(*returned)++];

        perf = {};
        perf.algo = static_cast<decltype(perf.algo)>(algo);
        perf.status = workspace_of(c, algo, &perf.memory);
        perf.time = -1;
        perf.determinism = deterministic(pass, algo) ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
        perf.mathType = c.conv.math;
    }
}
} // namespace

#define HOSTCUDA_ENTER(name)                                                                                                               \
    do {                                                                                                                                   \
        if (enter(name))                                                                                                                   \
            return CUDNN_STATUS_INTERNAL_ERROR;                                                                                            \
    } while (0)

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch (status) {
#define HOSTCUDA_NAME(value)                                                                                                               \
    case value:                                                                                                                            \
        return #value;
        HOSTCUDA_NAME(CUDNN_STATUS_SUCCESS)
        HOSTCUDA_NAME(CUDNN_STATUS_NOT_INITIALIZED)
        HOSTCUDA_NAME(CUDNN_STATUS_BAD_PARAM)
        HOSTCUDA_NAME(CUDNN_STATUS_NOT_SUPPORTED)
        HOSTCUDA_NAME(CUDNN_STATUS_INTERNAL_ERROR)
        HOSTCUDA_NAME(CUDNN_STATUS_EXECUTION_FAILED)
    }
    return "CUDNN_UNKNOWN_STATUS";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    HOSTCUDA_ENTER("cudnnCreate");
    *handle = new cudnnContext{ nullptr };
    object_made(*handle, CUDNN_HANDLE);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    HOSTCUDA_ENTER("cudnnDestroy");
    object_gone(handle, CUDNN_HANDLE);
    delete handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    HOSTCUDA_ENTER("cudnnSetStream");
    object_check(handle, CUDNN_HANDLE);
    if (stream)
        object_check(stream, STREAM);
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

#define HOSTCUDA_DESCRIPTOR(Name, type, kind)                                                                                              \
    cudnnStatus_t cudnnCreate##Name##Descriptor(type *descriptor)                                                                          \
    {                                                                                                                                      \
        HOSTCUDA_ENTER("cudnnCreate" #Name "Descriptor");                                                                                  \
        *descriptor = new std::remove_pointer_t<type>();                                                                                   \
        object_made(*descriptor, kind);                                                                                                    \
        return CUDNN_STATUS_SUCCESS;                                                                                                       \
    }                                                                                                                                      \
    cudnnStatus_t cudnnDestroy##Name##Descriptor(type descriptor)                                                                          \
    {                                                                                                                                      \
        HOSTCUDA_ENTER("cudnnDestroy" #Name "Descriptor");                                                                                 \
        object_gone(descriptor, kind);                                                                                                     \
        delete descriptor;                                                                                                                 \
        return CUDNN_STATUS_SUCCESS;                                                                                                       \
    }
HOSTCUDA_DESCRIPTOR(Tensor, cudnnTensorDescriptor_t, TENSOR_DESCRIPTOR)
HOSTCUDA_DESCRIPTOR(Filter, cudnnFilterDescriptor_t, FILTER_DESCRIPTOR)
HOSTCUDA_DESCRIPTOR(Convolution, cudnnConvolutionDescriptor_t, CONVOLUTION_DESCRIPTOR)
HOSTCUDA_DESCRIPTOR(Activation, cudnnActivationDescriptor_t, ACTIVATION_DESCRIPTOR)

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format, cudnnDataType_t type, int n, int c,
                                         int h, int w)
{
    HOSTCUDA_ENTER("cudnnSetTensor4dDescriptor");
    object_check(descriptor, TENSOR_DESCRIPTOR);
    if (n <= 0 || c <= 0 || h <= 0 || w <= 0)
        fault("n = %d, c = %d, h = %d, w = %d", n, c, h, w);
    *descriptor = { true, format, type, n, c, h, w };
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type, cudnnTensorFormat_t format, int k, int c,
                                         int h, int w)
{
    HOSTCUDA_ENTER("cudnnSetFilter4dDescriptor");
    object_check(descriptor, FILTER_DESCRIPTOR);
    if (k <= 0 || c <= 0 || h <= 0 || w <= 0)
        fault("k = %d, c = %d, h = %d, w = %d", k, c, h, w);
    *descriptor = { true, format, type, k, c, h, w };
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t descriptor, int pad_h, int pad_w, int stride_h, int stride_w,
                                              int dilation_h, int dilation_w, cudnnConvolutionMode_t mode, cudnnDataType_t compute)
{
    HOSTCUDA_ENTER("cudnnSetConvolution2dDescriptor");
    object_check(descriptor, CONVOLUTION_DESCRIPTOR);
    if (pad_h < 0 || pad_w < 0 || stride_h <= 0 || stride_w <= 0)
        fault("padding %d x %d, strides %d x %d", pad_h, pad_w, stride_h, stride_w);
    *descriptor = { true, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, mode, compute, CUDNN_DEFAULT_MATH };
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor, cudnnMathType_t math)
{
    HOSTCUDA_ENTER("cudnnSetConvolutionMathType");
    object_check(descriptor, CONVOLUTION_DESCRIPTOR);
    descriptor->math = math;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t descriptor, cudnnActivationMode_t mode, cudnnNanPropagation_t nan,
                                           double)
{
    HOSTCUDA_ENTER("cudnnSetActivationDescriptor");
    object_check(descriptor, ACTIVATION_DESCRIPTOR);
    *descriptor = { true, mode, nan };
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t x,
                                                    const cudnnFilterDescriptor_t w, int *n, int *c, int *h, int *width)
{
    HOSTCUDA_ENTER("cudnnGetConvolution2dForwardOutputDim");
    object_check(conv, CONVOLUTION_DESCRIPTOR);
    check_tensor("x", x);
    object_check(w, FILTER_DESCRIPTOR);
    *n = x->n;
    *c = w->k;
    *h = out_size(x->h, conv->pad_h, w->h, conv->stride_h);
    *width = out_size(x->w, conv->pad_w, w->w, conv->stride_w);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t y,
                                                     const int requested, int *returned, cudnnConvolutionFwdAlgoPerf_t *results)
{
    HOSTCUDA_ENTER("cudnnGetConvolutionForwardAlgorithm_v7");
    const Convolution c = checked(handle, x, w, conv, y);
    const bool strided = conv->stride_h > 1 || conv->stride_w > 1;

    list_algorithms(c, FORWARD,
                    { CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
                      strided ? CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM : CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                      strided ? CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM : CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                      CUDNN_CONVOLUTION_FWD_ALGO_FFT },
                    requested, returned, results);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
                                                          const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t conv,
                                                          const cudnnTensorDescriptor_t dx, const int requested, int *returned,
                                                          cudnnConvolutionBwdDataAlgoPerf_t *results)
{
    HOSTCUDA_ENTER("cudnnGetConvolutionBackwardDataAlgorithm_v7");
    list_algorithms(checked(handle, dx, w, conv, dy), BACKWARD_DATA,
                    { CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
                      CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT },
                    requested, returned, results);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                            const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t conv,
                                                            const cudnnFilterDescriptor_t dw, const int requested, int *returned,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t *results)
{
    HOSTCUDA_ENTER("cudnnGetConvolutionBackwardFilterAlgorithm_v7");
    list_algorithms(checked(handle, x, dw, conv, dy), BACKWARD_FILTER,
                    { CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
                      CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT },
                    requested, returned, results);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                      const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t conv,
                                                      const cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algo, size_t *bytes)
{
    HOSTCUDA_ENTER("cudnnGetConvolutionForwardWorkspaceSize");
    Convolution c = checked(handle, x, w, conv, y);

    return workspace_of(c, algo, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
                                                           const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t conv,
                                                           const cudnnTensorDescriptor_t dx, cudnnConvolutionBwdDataAlgo_t algo,
                                                           size_t *bytes)
{
    HOSTCUDA_ENTER("cudnnGetConvolutionBackwardDataWorkspaceSize");
    Convolution c = checked(handle, dx, w, conv, dy);

    c.pass = BACKWARD_DATA;
    return workspace_of(c, algo, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                             const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t conv,
                                                             const cudnnFilterDescriptor_t dw, cudnnConvolutionBwdFilterAlgo_t algo,
                                                             size_t *bytes)
{
    HOSTCUDA_ENTER("cudnnGetConvolutionBackwardFilterWorkspaceSize");
    Convolution c = checked(handle, x, dw, conv, dy);

    c.pass = BACKWARD_FILTER;
    return workspace_of(c, algo, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t x_desc, const void *x,
                                      const cudnnFilterDescriptor_t w_desc, const void *w, const cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algo, void *workspace, size_t bytes, const void *beta,
                                      const cudnnTensorDescriptor_t y_desc, void *y)
{
    HOSTCUDA_ENTER("cudnnConvolutionForward");
    return queue(handle, checked(handle, x_desc, w_desc, conv, y_desc), FORWARD, algo, x, w, y, workspace, bytes, alpha, beta);
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(cudnnHandle_t handle, const void *alpha1, const cudnnTensorDescriptor_t x_desc,
                                                    const void *x, const cudnnFilterDescriptor_t w_desc, const void *w,
                                                    const cudnnConvolutionDescriptor_t conv, cudnnConvolutionFwdAlgo_t algo,
                                                    void *workspace, size_t bytes, const void *alpha2, const cudnnTensorDescriptor_t z_desc,
                                                    const void *z, const cudnnTensorDescriptor_t bias_desc, const void *bias,
                                                    const cudnnActivationDescriptor_t activation, const cudnnTensorDescriptor_t y_desc,
                                                    void *y)
{
    if (enter("cudnnConvolutionBiasActivationForward"))
        return CUDNN_STATUS_NOT_SUPPORTED;
    const float zero = 0;
    Convolution c = checked(handle, x_desc, w_desc, conv, y_desc);

    c.rest = checked_rest(c, algo, z_desc, bias_desc, activation);
    c.rest.bias = static_cast<const float *>(bias);
    c.rest.z = static_cast<const float *>(z);
    c.rest.alpha2 = *static_cast<const float *>(alpha2);
    return queue(handle, c, FORWARD, algo, x, w, y, workspace, bytes, alpha1, &zero);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t w_desc, const void *w,
                                           const cudnnTensorDescriptor_t dy_desc, const void *dy, const cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algo, void *workspace, size_t bytes, const void *beta,
                                           const cudnnTensorDescriptor_t dx_desc, void *dx)
{
    HOSTCUDA_ENTER("cudnnConvolutionBackwardData");
    return queue(handle, checked(handle, dx_desc, w_desc, conv, dy_desc), BACKWARD_DATA, algo, dx, w, dy, workspace, bytes, alpha, beta);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t x_desc, const void *x,
                                             const cudnnTensorDescriptor_t dy_desc, const void *dy, const cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algo, void *workspace, size_t bytes, const void *beta,
                                             const cudnnFilterDescriptor_t dw_desc, void *dw)
{
    HOSTCUDA_ENTER("cudnnConvolutionBackwardFilter");
    return queue(handle, checked(handle, x_desc, dw_desc, conv, dy_desc), BACKWARD_FILTER, algo, x, dw, dy, workspace, bytes, alpha, beta);
}
