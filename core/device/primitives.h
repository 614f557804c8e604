/* The compute primitives of a device: their arguments, and nothing else says what they are. The list is X(name):
 *   X(matmul) -> struct df_matmul_args, the function type df_matmul_fn, the slot `matmul` of a device's table, the call df_matmul()
 * A new one is a struct, a line of the list, its cost (device.c), and an implementation in each of cpu/, ref/ and cuda/: what is forgotten does
 * not build. Shapes are asserted by the call, for all devices. */
#ifndef DF_CORE_DEVICE_PRIMITIVES_H
#define DF_CORE_DEVICE_PRIMITIVES_H
#include "core/device/kernels.h"

/* clang-format off */
#define DF_PRIMITIVES(X)                                                                                                        \
    X(conv_forward) X(conv_backward_data) X(conv_backward_weights) X(matmul)                                                    \
    X(batch_norm_forward) X(batch_norm_backward) X(max_pool_forward) X(max_pool_backward)                                       \
    X(select_top_k) X(select_nms)
/* clang-format on */

/* Weights with a version: a device may keep a reordered copy as long as (data, version) stays the same. Version 0: none is kept. */
struct df_weights {
    const df_real *data;
    uint64_t version;
};

/* Geometry of a convolution. x is [N,H,W,C], weights are [filters, kernel_h, kernel_w, C], y is [N,OH,OW,filters]. */
struct df_conv {
    df_shape x;
    size_t filters, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    bool relu; /* y = max(0, conv + bias), fused */
};
df_shape df_conv_shape(const struct df_conv *conv); /* of y: floor((H + 2 pad - kernel) / stride) + 1 */
size_t df_conv_weights(const struct df_conv *conv); /* how many */
double df_conv_flops(const struct df_conv *conv);   /* of the forward pass, 2 per multiply-add */

struct df_conv_forward_args {
    struct df_conv conv;
    const df_real *x;
    struct df_weights w;
    const df_real *bias; /* [filters] or NULL */
    df_real *y;          /* overwritten */
};
struct df_conv_backward_data_args {
    struct df_conv conv;
    const df_real *dy; /* at the convolution's output, before a fused relu: the caller has masked it */
    struct df_weights w;
    df_real *dx; /* what no tap reaches stays as it is, or is 0 */
    bool add;    /* dx += , else dx = */
};
struct df_conv_backward_weights_args {
    struct df_conv conv;
    const df_real *x, *dy; /* dy as above */
    df_real *dw, *dbias;   /* dw += , dbias += ; dbias [filters] or NULL */
};

/* c[m,n] (+)= op(a)[m,k] op(b)[k,n], row-major */
struct df_matmul_args {
    bool transpose_a, transpose_b; /* a is stored [k,m], b is stored [n,k] */
    size_t m, n, k;
    const df_real *a;
    struct df_weights b;
    df_real *c;
    bool add; /* c += */
};

/* Batch norm over N,H,W per channel: y = (x - mean) / sqrt(var + eps) gamma + beta. In training: batch mean and biased variance are computed in
 * double, used, and the running buffers move by momentum (running = (1-momentum) running + momentum new; the variance that moves them is the
 * unbiased one). Not training: the running buffers are used. PyTorch's definitions. Vectors are [C]. skip: a residual join in the same pass,
 * y + skip where y has been rounded, before the relu. */
struct df_batch_norm_forward_args {
    df_shape shape;
    double eps, momentum;
    bool training, relu; /* relu: y = max(0, .), fused */
    const df_real *x, *gamma, *beta;
    df_real *running_mean, *running_var;
    df_real *mean, *inv_std; /* written, if not NULL: the statistics that were used, 1 / sqrt(var + eps) */
    df_real *y;
    const df_real *skip; /* of y's shape, added; or NULL */
};
struct df_batch_norm_backward_args {
    df_shape shape;
    bool training, relu;                   /* as forward */
    const df_real *x, *y, *dy;             /* y is read for the fused relu alone */
    const df_real *gamma, *mean, *inv_std; /* what forward used */
    df_real *dx, *dgamma, *dbeta;          /* dgamma += , dbeta += , each if not NULL */
    bool add;                              /* dx += , else dx = */
    df_real *dskip;                        /* receives dy behind the relu; or NULL */
    bool add_skip;                         /* dskip += , else dskip = */
};

struct df_pool {
    df_shape x;
    size_t kernel, stride, pad;
};
df_shape df_pool_shape(const struct df_pool *pool);

struct df_max_pool_forward_args {
    struct df_pool pool;
    const df_real *x;
    df_real *y;
    uint32_t *argmax; /* flat index into x per output element; padding never wins, NaN does; ties: the first in scan order */
};
struct df_max_pool_backward_args {
    struct df_pool pool;
    const df_real *dy;
    const uint32_t *argmax;
    df_real *dx; /* += */
};

/* Selections, of every segment on its own: the orders are those of core/geometry/box.h. */
struct df_select_top_k_args {
    size_t segments, count, k;         /* count: values of a segment; k <= count */
    size_t value_stride, index_stride; /* from a segment's first value, or index, to the next segment's */
    float minimum;                     /* values above it; they are compared as floats */
    const df_real *values;
    uint32_t *index; /* of the k largest values within their segment, falling, equal ones by rising index; then UINT32_MAX */
};
struct df_select_nms_args {
    size_t segments, count, most; /* count: candidates of a segment; most > 0 of them are kept, at most */
    float threshold;
    struct df_candidates from; /* those of group -1 are none */
    uint32_t *keep; /* [segments][most]: index of what greedy non-maximum suppression keeps within its segment, falling score, equal
                                * ones by rising index; then UINT32_MAX */
};

/* First and one-past-last kernel tap whose input lies inside [0, size) when the window starts at `start` (which may be negative). */
DF_KERNEL size_t df_tap_first(ptrdiff_t start) { return start < 0 ? (size_t)-start : 0; }
DF_KERNEL size_t df_tap_end(ptrdiff_t start, size_t kernel, size_t size)
{
    const ptrdiff_t room = (ptrdiff_t)size - start;

    return room <= 0 ? 0 : (size_t)room < kernel ? (size_t)room : kernel;
}

struct df_device;
#define DF_PRIMITIVE_FN(name) typedef void df_##name##_fn(struct df_device *device, const struct df_##name##_args *args);
DF_PRIMITIVES(DF_PRIMITIVE_FN)
#undef DF_PRIMITIVE_FN
#endif
