/* Convolutions and matrix products of `cuda`. NHWC throughout, filters as [K,R,S,C]: cuDNN's CUDNN_TENSOR_NHWC. A 1x1 convolution with stride
 * 1 is a matrix product on NHWC and goes to cuBLAS; all others have a plan per (direction, shape), made at first use and kept: descriptors
 * and the deterministic algorithms, fastest first by cuDNN's own estimate (measuring them would choose by chance). */
#include <stdlib.h>

#include "core/device/cuda/cuda.h"

enum direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS };
enum { CANDIDATES = 8 };
static const size_t workspace_limit = (size_t)1 << 30; /* a constant: the choice must not depend on what else fills the memory */

struct plan_key {
    uint64_t direction;
    uint64_t n, h, w, c, filters, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

struct df_cuda_plan {
    struct df_cuda_plan *next;
    struct plan_key key;
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t conv;
    int algorithm[CANDIDATES], count, current;
    size_t workspace[CANDIDATES];
    bool proven; /* algorithm[current] has run */
};

static int narrow(size_t value)
{
    DF_ASSERT(value <= INT32_MAX);
    return (int)value;
}

/* c = op(a) op(b), row-major, is c^T = op(b)^T op(a)^T in cuBLAS's column-major order. */
void df_cuda_matmul(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c)
{
    const float one = 1, beta = mm->add ? 1 : 0;

    DF_CUBLAS(cublasSgemm(df_cuda_of(device)->blas, mm->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                          mm->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, narrow(mm->n), narrow(mm->m), narrow(mm->k), &one, b.data,
                          narrow(mm->transpose_b ? mm->k : mm->n), a, narrow(mm->transpose_a ? mm->m : mm->k), &beta, c, narrow(mm->n)));
}

/* ---- plans ---- */

static void describe(struct df_cuda *cuda, struct df_cuda_plan *plan, const struct df_conv *conv)
{
    const df_shape x = conv->x, y = df_conv_shape(conv);
    int n, h, w, c;

    DF_CUDNN(cudnnCreateTensorDescriptor(&plan->x));
    DF_CUDNN(cudnnSetTensor4dDescriptor(plan->x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, narrow(x.n), narrow(x.c), narrow(x.h), narrow(x.w)));
    DF_CUDNN(cudnnCreateTensorDescriptor(&plan->y));
    DF_CUDNN(cudnnSetTensor4dDescriptor(plan->y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, narrow(y.n), narrow(y.c), narrow(y.h), narrow(y.w)));
    DF_CUDNN(cudnnCreateFilterDescriptor(&plan->w));
    DF_CUDNN(cudnnSetFilter4dDescriptor(plan->w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, narrow(conv->filters), narrow(x.c),
                                        narrow(conv->kernel_h), narrow(conv->kernel_w)));
    DF_CUDNN(cudnnCreateConvolutionDescriptor(&plan->conv));
    DF_CUDNN(cudnnSetConvolution2dDescriptor(plan->conv, narrow(conv->pad_h), narrow(conv->pad_w), narrow(conv->stride_h),
                                             narrow(conv->stride_w), 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    /* FMA: float all the way. The default lets TF32 in. */
    DF_CUDNN(cudnnSetConvolutionMathType(plan->conv, cuda->tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH));
    DF_CUDNN(cudnnGetConvolution2dForwardOutputDim(plan->conv, plan->x, plan->w, &n, &c, &h, &w));
    DF_ASSERT((size_t)n == y.n && (size_t)c == y.c && (size_t)h == y.h && (size_t)w == y.w);
}

static cudnnStatus_t ask_workspace(struct df_cuda *cuda, const struct df_cuda_plan *plan, int algorithm, size_t *bytes)
{
    switch ((enum direction)plan->key.direction) {
    case FORWARD:
        return cudnnGetConvolutionForwardWorkspaceSize(cuda->dnn, plan->x, plan->w, plan->conv, plan->y,
                                                       (cudnnConvolutionFwdAlgo_t)algorithm, bytes);
    case BACKWARD_DATA:
        return cudnnGetConvolutionBackwardDataWorkspaceSize(cuda->dnn, plan->w, plan->y, plan->conv, plan->x,
                                                            (cudnnConvolutionBwdDataAlgo_t)algorithm, bytes);
    default:
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(cuda->dnn, plan->x, plan->y, plan->conv, plan->w,
                                                              (cudnnConvolutionBwdFilterAlgo_t)algorithm, bytes);
    }
}

static void add_candidate(struct df_cuda *cuda, struct df_cuda_plan *plan, int algorithm)
{
    size_t bytes;

    for (int i = 0; i < plan->count; i++)
        if (plan->algorithm[i] == algorithm)
            return;
    if (plan->count == CANDIDATES || ask_workspace(cuda, plan, algorithm, &bytes) != CUDNN_STATUS_SUCCESS || bytes > workspace_limit)
        return;
    plan->algorithm[plan->count] = algorithm;
    plan->workspace[plan->count++] = bytes;
}

#define ADD_CANDIDATES(perf, count)                                                                                                        \
    for (int i_ = 0; i_ < (count); i_++)                                                                                                   \
        if ((perf)[i_].status == CUDNN_STATUS_SUCCESS && (perf)[i_].determinism == CUDNN_DETERMINISTIC)                                    \
    add_candidate(cuda, plan, (int)(perf)[i_].algo)

/* The last candidate is the deterministic algorithm that takes every shape. */
static void choose(struct df_cuda *cuda, struct df_cuda_plan *plan)
{
    cudnnConvolutionFwdAlgoPerf_t forward[CANDIDATES];
    cudnnConvolutionBwdDataAlgoPerf_t data[CANDIDATES];
    cudnnConvolutionBwdFilterAlgoPerf_t weights[CANDIDATES];
    int count = 0;

    switch ((enum direction)plan->key.direction) {
    case FORWARD:
        DF_CUDNN(cudnnGetConvolutionForwardAlgorithm_v7(cuda->dnn, plan->x, plan->w, plan->conv, plan->y, CANDIDATES, &count, forward));
        ADD_CANDIDATES(forward, count);
        add_candidate(cuda, plan, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
        break;
    case BACKWARD_DATA:
        DF_CUDNN(cudnnGetConvolutionBackwardDataAlgorithm_v7(cuda->dnn, plan->w, plan->y, plan->conv, plan->x, CANDIDATES, &count, data));
        ADD_CANDIDATES(data, count);
        add_candidate(cuda, plan, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1);
        break;
    case BACKWARD_WEIGHTS:
        DF_CUDNN(
            cudnnGetConvolutionBackwardFilterAlgorithm_v7(cuda->dnn, plan->x, plan->y, plan->conv, plan->w, CANDIDATES, &count, weights));
        ADD_CANDIDATES(weights, count);
        add_candidate(cuda, plan, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1);
        break;
    }
    DF_ASSERT(plan->count > 0);
}

static struct df_cuda_plan *find_plan(struct df_cuda *cuda, enum direction direction, const struct df_conv *conv)
{
    const struct plan_key key = { .direction = (uint64_t)direction,
                                  .n = conv->x.n,
                                  .h = conv->x.h,
                                  .w = conv->x.w,
                                  .c = conv->x.c,
                                  .filters = conv->filters,
                                  .kernel_h = conv->kernel_h,
                                  .kernel_w = conv->kernel_w,
                                  .stride_h = conv->stride_h,
                                  .stride_w = conv->stride_w,
                                  .pad_h = conv->pad_h,
                                  .pad_w = conv->pad_w };
    struct df_cuda_plan **bucket = &cuda->plans[df_hash(&key, sizeof key) % DF_CUDA_PLANS];

    for (struct df_cuda_plan *plan = *bucket; plan; plan = plan->next)
        if (memcmp(&plan->key, &key, sizeof key) == 0)
            return plan;
    struct df_cuda_plan *plan = (struct df_cuda_plan *)df_calloc(1, sizeof *plan);

    plan->key = key;
    describe(cuda, plan, conv);
    choose(cuda, plan);
    plan->next = *bucket;
    *bucket = plan;
    return plan;
}

void df_cuda_conv_close(struct df_cuda *cuda)
{
    for (size_t i = 0; i < DF_CUDA_PLANS; i++)
        for (struct df_cuda_plan *plan = cuda->plans[i], *next; plan; plan = next) {
            next = plan->next;
            DF_CUDNN(cudnnDestroyConvolutionDescriptor(plan->conv));
            DF_CUDNN(cudnnDestroyFilterDescriptor(plan->w));
            DF_CUDNN(cudnnDestroyTensorDescriptor(plan->y));
            DF_CUDNN(cudnnDestroyTensorDescriptor(plan->x));
            free(plan);
        }
}

static cudnnStatus_t execute(struct df_cuda *cuda, const struct df_cuda_plan *plan, const float *x, const float *w, const float *y,
                             float *out, float beta)
{
    const float one = 1;
    const int algorithm = plan->algorithm[plan->current];
    const size_t bytes = plan->workspace[plan->current];
    void *workspace = bytes ? df_cuda_scratch(cuda, DF_CUDA_WORKSPACE, bytes) : NULL;

    switch ((enum direction)plan->key.direction) {
    case FORWARD:
        return cudnnConvolutionForward(cuda->dnn, &one, plan->x, x, plan->w, w, plan->conv, (cudnnConvolutionFwdAlgo_t)algorithm, workspace,
                                       bytes, &beta, plan->y, out);
    case BACKWARD_DATA:
        return cudnnConvolutionBackwardData(cuda->dnn, &one, plan->w, w, plan->y, y, plan->conv, (cudnnConvolutionBwdDataAlgo_t)algorithm,
                                            workspace, bytes, &beta, plan->x, out);
    default:
        return cudnnConvolutionBackwardFilter(cuda->dnn, &one, plan->x, x, plan->y, y, plan->conv,
                                              (cudnnConvolutionBwdFilterAlgo_t)algorithm, workspace, bytes, &beta, plan->w, out);
    }
}

/* out = (beta out +) the plan's product of the two operands that are not NULL. An algorithm that turns out not to take the shape, at its
 * first call, makes way for the next. */
static void run(struct df_cuda *cuda, enum direction direction, const struct df_conv *conv, const float *x, const float *w, const float *y,
                float *out, float beta)
{
    struct df_cuda_plan *plan = find_plan(cuda, direction, conv);
    cudnnStatus_t status = execute(cuda, plan, x, w, y, out, beta);

    while (status != CUDNN_STATUS_SUCCESS && !plan->proven && plan->current + 1 < plan->count) {
        plan->current++;
        status = execute(cuda, plan, x, w, y, out, beta);
    }
    DF_CUDNN(status);
    plan->proven = true;
}

/* ---- the three directions ---- */

static struct df_matmul product(size_t m, size_t n, size_t k, bool add)
{
    struct df_matmul mm = {};

    mm.m = m;
    mm.n = n;
    mm.k = k;
    mm.add = add;
    return mm;
}

static bool is_matmul(const struct df_conv *conv)
{
    return conv->kernel_h == 1 && conv->kernel_w == 1 && conv->stride_h == 1 && conv->stride_w == 1 && !conv->pad_h && !conv->pad_w;
}

void df_cuda_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                          df_real *y)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const size_t pixels = df_pixels(df_conv_shape(conv));

    struct df_matmul mm = product(pixels, conv->filters, conv->x.c, false);

    mm.transpose_b = true;
    if (is_matmul(conv))
        df_cuda_matmul(device, &mm, x, w, y);
    else
        run(cuda, FORWARD, conv, x, w.data, NULL, y, 0);
    if (bias || conv->relu)
        df_cuda_bias(cuda, pixels, conv->filters, bias, conv->relu, y);
}

void df_cuda_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                                bool add)
{
    const struct df_matmul mm = product(df_pixels(conv->x), conv->x.c, conv->filters, add);

    if (is_matmul(conv))
        df_cuda_matmul(device, &mm, dy, w, dx);
    else
        run(df_cuda_of(device), BACKWARD_DATA, conv, NULL, w.data, dy, dx, add ? 1 : 0);
}

void df_cuda_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                   df_real *dbias)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const size_t pixels = df_pixels(df_conv_shape(conv));

    struct df_matmul mm = product(conv->filters, conv->x.c, pixels, true);
    const struct df_weights factor = { x, 0 };

    mm.transpose_a = true;
    if (is_matmul(conv))
        df_cuda_matmul(device, &mm, dy, factor, dw);
    else
        run(cuda, BACKWARD_WEIGHTS, conv, x, NULL, dy, dw, 1);
    if (dbias)
        df_cuda_channel_sums(cuda, dy, pixels, conv->filters, dbias);
}
