/* Convolutions and matrix products of `cuda`. NHWC throughout, filters as [K,R,S,C]: cuDNN's CUDNN_TENSOR_NHWC. A 1x1 convolution with stride
 * 1 is a matrix product on NHWC and goes to cuBLAS; all others have a plan per (direction, shape), made at first use and kept: descriptors
 * and the deterministic algorithms, fastest first by cuDNN's own estimate (measuring them would choose by chance). Bias and relu are part of the
 * convolution's call where cuDNN has one for the shape, else a pass of our own (norm.cu).
 * The libraries choose a kernel by the addresses of its operands as well: on an H200 cuBLAS answered with other bits when they were 12 bytes off.
 * Tensors and parameters begin at multiples of 64 bytes; what does not (a slice of a map) is moved to a place that does, and a result back, so
 * that bits depend on shapes and values alone. 64 bytes are enough: a thread loads at most 32 at once, a descriptor of TMA asks for at most 32
 * (CUDA's driver API, cuTensorMapEncodeTiled). */
#include <stdlib.h>

#include "core/device/cuda/cuda.h"

enum direction { FORWARD, FORWARD_BIAS, FORWARD_BIAS_RELU, BACKWARD_DATA, BACKWARD_WEIGHTS };
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
    cudnnTensorDescriptor_t bias; /* this and what follows it: NULL where the call is a convolution alone */
    cudnnActivationDescriptor_t activation;
    int algorithm[CANDIDATES], count, current;
    size_t workspace[CANDIDATES];
    bool proven; /* algorithm[current] has run */
    bool apart;  /* cuDNN has no such call for the shape: it takes two */
};

static bool is_fused(const struct df_cuda_plan *plan)
{
    return plan->key.direction == FORWARD_BIAS || plan->key.direction == FORWARD_BIAS_RELU;
}

static int narrow(size_t value)
{
    DF_ASSERT(value <= INT32_MAX);
    return (int)value;
}

/* ---- operands ---- */

static const uintptr_t boundary = 64;

static void move(struct df_cuda *cuda, float *to, const float *from, size_t count)
{
    df_cuda_ask(cuda, df_cuda_copy{ to, from, count * sizeof *to });
}

/* The operand, or its copy on the boundary. NULL stays NULL. */
static const float *placed(struct df_cuda *cuda, enum df_cuda_scratch place, const float *operand, size_t count)
{
    if ((uintptr_t)operand % boundary == 0)
        return operand;
    float *copy = (float *)df_cuda_scratch(cuda, place, count * sizeof *copy);

    move(cuda, copy, operand, count);
    return copy;
}

/* Where a result is made; added: to what is there. */
static float *place_of(struct df_cuda *cuda, float *result, size_t count, bool added)
{
    if ((uintptr_t)result % boundary == 0)
        return result;
    float *made = (float *)df_cuda_scratch(cuda, DF_CUDA_OUT, count * sizeof *made);

    if (added)
        move(cuda, made, result, count);
    return made;
}

static void bring_back(struct df_cuda *cuda, float *result, const float *made, size_t count)
{
    if (made != result)
        move(cuda, result, made, count);
}

namespace
{
/* Column-major */
struct product {
    const float *left, *right;
    float *c;
    int transpose_left, transpose_right, m, n, k, left_rows, right_rows, add;

    void run(struct df_cuda *cuda) const
    {
        const float one = 1, beta = add ? 1 : 0;

        DF_CUBLAS(cublasSgemm(cuda->blas, transpose_left ? CUBLAS_OP_T : CUBLAS_OP_N, transpose_right ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k,
                              &one, left, left_rows, right, right_rows, &beta, c, m));
    }
};
} // namespace

/* c = op(a) op(b), row-major, is c^T = op(b)^T op(a)^T in cuBLAS's column-major order. */
void df_cuda_matmul(struct df_device *device, const struct df_matmul_args *a)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const float *left = placed(cuda, DF_CUDA_X, a->a, a->m * a->k), *right = placed(cuda, DF_CUDA_W, a->b.data, a->k * a->n);
    float *c = place_of(cuda, a->c, a->m * a->n, a->add);

    df_cuda_ask(cuda, product{ .left = right,
                               .right = left,
                               .c = c,
                               .transpose_left = a->transpose_b,
                               .transpose_right = a->transpose_a,
                               .m = narrow(a->n),
                               .n = narrow(a->m),
                               .k = narrow(a->k),
                               .left_rows = narrow(a->transpose_b ? a->k : a->n),
                               .right_rows = narrow(a->transpose_a ? a->m : a->k),
                               .add = a->add });
    bring_back(cuda, a->c, c, a->m * a->n);
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

/* What follows the sums. NaN stays NaN behind a relu, as everywhere. */
static void describe_rest(struct df_cuda_plan *plan)
{
    const cudnnActivationMode_t mode = plan->key.direction == FORWARD_BIAS_RELU ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY;

    DF_CUDNN(cudnnCreateTensorDescriptor(&plan->bias));
    DF_CUDNN(cudnnSetTensor4dDescriptor(plan->bias, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1, (int)plan->key.filters, 1, 1));
    DF_CUDNN(cudnnCreateActivationDescriptor(&plan->activation));
    DF_CUDNN(cudnnSetActivationDescriptor(plan->activation, mode, CUDNN_PROPAGATE_NAN, 0));
}

static cudnnStatus_t ask_workspace(struct df_cuda *cuda, const struct df_cuda_plan *plan, int algorithm, size_t *bytes)
{
    switch ((enum direction)plan->key.direction) {
    case FORWARD:
    case FORWARD_BIAS:
    case FORWARD_BIAS_RELU:
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
    case FORWARD_BIAS:
    case FORWARD_BIAS_RELU:
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

/* The one call has the algorithm that the convolution alone begins with, or is not made: a slower one costs more than the pass that is saved.
 * Without relu cuDNN defines it for one algorithm only. */
static void choose_fused(struct df_cuda_plan *plan)
{
    plan->count = 1;
    plan->apart = plan->key.direction == FORWARD_BIAS && plan->algorithm[0] != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
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
    if (is_fused(plan)) {
        describe_rest(plan);
        choose_fused(plan);
    }
    plan->next = *bucket;
    *bucket = plan;
    return plan;
}

void df_cuda_conv_close(struct df_cuda *cuda)
{
    for (size_t i = 0; i < DF_CUDA_PLANS; i++)
        for (struct df_cuda_plan *plan = cuda->plans[i], *next; plan; plan = next) {
            next = plan->next;
            if (is_fused(plan)) {
                DF_CUDNN(cudnnDestroyActivationDescriptor(plan->activation));
                DF_CUDNN(cudnnDestroyTensorDescriptor(plan->bias));
            }
            DF_CUDNN(cudnnDestroyConvolutionDescriptor(plan->conv));
            DF_CUDNN(cudnnDestroyFilterDescriptor(plan->w));
            DF_CUDNN(cudnnDestroyTensorDescriptor(plan->y));
            DF_CUDNN(cudnnDestroyTensorDescriptor(plan->x));
            free(plan);
        }
}

/* Device memory of a plan's operands: `out` is that of its direction; add: to what is there. */
struct operands {
    const float *x, *w, *y, *bias;
    float *out;
    uint64_t add; /* bool, without padding: it is compared byte by byte */
};

static cudnnStatus_t execute(struct df_cuda *cuda, const struct df_cuda_plan *plan, const struct operands *o)
{
    const float one = 1, beta = o->add ? 1 : 0;
    const int algorithm = plan->algorithm[plan->current];
    const size_t bytes = plan->workspace[plan->current];
    void *workspace = bytes ? df_cuda_scratch(cuda, DF_CUDA_WORKSPACE, bytes) : NULL;

    switch ((enum direction)plan->key.direction) {
    case FORWARD:
        return cudnnConvolutionForward(cuda->dnn, &one, plan->x, o->x, plan->w, o->w, plan->conv, (cudnnConvolutionFwdAlgo_t)algorithm,
                                       workspace, bytes, &beta, plan->y, o->out);
    case FORWARD_BIAS:
    case FORWARD_BIAS_RELU: /* y stands for a second summand, times 0: it is not read */
        return cudnnConvolutionBiasActivationForward(cuda->dnn, &one, plan->x, o->x, plan->w, o->w, plan->conv,
                                                     (cudnnConvolutionFwdAlgo_t)algorithm, workspace, bytes, &beta, plan->y, o->out,
                                                     plan->bias, o->bias, plan->activation, plan->y, o->out);
    case BACKWARD_DATA:
        return cudnnConvolutionBackwardData(cuda->dnn, &one, plan->w, o->w, plan->y, o->y, plan->conv,
                                            (cudnnConvolutionBwdDataAlgo_t)algorithm, workspace, bytes, &beta, plan->x, o->out);
    default:
        return cudnnConvolutionBackwardFilter(cuda->dnn, &one, plan->x, o->x, plan->y, o->y, plan->conv,
                                              (cudnnConvolutionBwdFilterAlgo_t)algorithm, workspace, bytes, &beta, plan->w, o->out);
    }
}

/* There is no such call, and never will be; other failures may be this day's. */
static bool says_no(cudnnStatus_t status)
{
    return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED || CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_BAD_PARAM;
}

/* An algorithm that turns out not to take the shape, at its first call, makes way for the next; a fused call for the two, from then on. */
static void run_plan(struct df_cuda *cuda, struct df_cuda_plan *plan, const struct operands *operands)
{
    cudnnStatus_t status = execute(cuda, plan, operands);

    if (status != CUDNN_STATUS_SUCCESS && df_cuda_replay_refuse(cuda))
        status = execute(cuda, plan, operands);
    while (status != CUDNN_STATUS_SUCCESS && !plan->proven && plan->current + 1 < plan->count) {
        plan->current++;
        status = execute(cuda, plan, operands);
    }
    plan->apart = says_no(status) && !plan->proven && is_fused(plan);
    if (plan->apart)
        return;
    DF_CUDNN(status);
    plan->proven = true;
}

namespace
{
struct convolution {
    struct df_cuda_plan *plan;
    struct operands operands;

    void run(struct df_cuda *cuda) const { run_plan(cuda, plan, &operands); }
};
} // namespace

/* false: the plan's call takes two, and nothing was done. */
static bool convolve(struct df_cuda *cuda, enum direction direction, const struct df_conv *conv, const struct operands *operands)
{
    struct df_cuda_plan *plan = find_plan(cuda, direction, conv);

    if (plan->apart)
        return false;
    const size_t x = df_count(conv->x), w = df_conv_weights(conv), y = df_count(df_conv_shape(conv));
    const size_t result = direction == BACKWARD_DATA ? x : direction == BACKWARD_WEIGHTS ? w : y;
    const struct operands on_boundary = { .x = placed(cuda, DF_CUDA_X, operands->x, x),
                                          .w = placed(cuda, DF_CUDA_W, operands->w, w),
                                          .y = placed(cuda, DF_CUDA_Y, operands->y, y),
                                          .bias = placed(cuda, DF_CUDA_BIAS, operands->bias, conv->filters),
                                          .out = place_of(cuda, operands->out, result, operands->add),
                                          .add = operands->add };

    df_cuda_ask(cuda, convolution{ plan, on_boundary });
    if (plan->apart)
        return false;
    bring_back(cuda, operands->out, on_boundary.out, result);
    return true;
}

/* ---- the three directions ---- */

static bool is_matmul(const struct df_conv *conv)
{
    return conv->kernel_h == 1 && conv->kernel_w == 1 && conv->stride_h == 1 && conv->stride_w == 1 && !conv->pad_h && !conv->pad_w;
}

/* Convolution, bias and relu in one call; false: there is none, and nothing was done. */
static bool forward_fused(struct df_cuda *cuda, const struct df_conv_forward_args *a)
{
    const struct operands operands = { .x = a->x, .w = a->w.data, .bias = a->bias, .out = a->y };

    return a->bias && !is_matmul(&a->conv) && convolve(cuda, a->conv.relu ? FORWARD_BIAS_RELU : FORWARD_BIAS, &a->conv, &operands);
}

void df_cuda_conv_forward(struct df_device *device, const struct df_conv_forward_args *a)
{
    const struct df_conv *conv = &a->conv;
    const struct df_matmul_args mm = {
        .transpose_b = true, .m = df_pixels(conv->x), .n = conv->filters, .k = conv->x.c, .a = a->x, .b = a->w, .c = a->y
    };
    const struct operands operands = { .x = a->x, .w = a->w.data, .out = a->y };

    if (forward_fused(df_cuda_of(device), a))
        return;
    if (is_matmul(conv))
        df_cuda_matmul(device, &mm);
    else
        convolve(df_cuda_of(device), FORWARD, conv, &operands);
    if (a->bias || conv->relu)
        df_cuda_bias(df_cuda_of(device), a);
}

void df_cuda_conv_backward_data(struct df_device *device, const struct df_conv_backward_data_args *a)
{
    const struct df_conv *conv = &a->conv;
    const struct df_matmul_args mm = {
        .m = df_pixels(conv->x), .n = conv->x.c, .k = conv->filters, .a = a->dy, .b = a->w, .c = a->dx, .add = a->add
    };
    const struct operands operands = { .w = a->w.data, .y = a->dy, .out = a->dx, .add = a->add };

    if (is_matmul(conv))
        df_cuda_matmul(device, &mm);
    else
        convolve(df_cuda_of(device), BACKWARD_DATA, conv, &operands);
}

void df_cuda_conv_backward_weights(struct df_device *device, const struct df_conv_backward_weights_args *a)
{
    const struct df_conv *conv = &a->conv;
    const size_t pixels = df_pixels(df_conv_shape(conv));
    const struct df_matmul_args mm = {
        .transpose_a = true, .m = conv->filters, .n = conv->x.c, .k = pixels, .a = a->dy, .b = { a->x, 0 }, .c = a->dw, .add = true
    };
    const struct operands operands = { .x = a->x, .y = a->dy, .out = a->dw, .add = true };

    if (is_matmul(conv))
        df_cuda_matmul(device, &mm);
    else
        convolve(df_cuda_of(device), BACKWARD_WEIGHTS, conv, &operands);
    if (a->dbias)
        df_cuda_channel_sums(df_cuda_of(device), a->dy, pixels, conv->filters, a->dbias);
}
