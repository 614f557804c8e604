/* A device: memory and compute primitives behind one table. `ref` is naive and short, in any precision: the oracle of values. `cpu` (float
 * only) is fast, and compiled once per instruction set, which all give the same bits: those of `order`, the oracle of bits
 * (core/device/order/order.h is the order of their sums). A kernel that is a formula per element, pixel or row is written once, in kernels*.h, and
 * looped here (launched by a GPU). Data belongs to its device: only the device's kernels touch it, a host copy is made by df_read.
 * Nothing here fails: shapes are asserted; what can be wrong (an unknown device) fails in df_device_open.
 * All kernels are bitwise repeatable: same shapes and inputs, same bits. */
#ifndef DF_CORE_DEVICE_DEVICE_H
#define DF_CORE_DEVICE_DEVICE_H
#include "core/base/arena.h"
#include "core/base/real.h"
#include "core/base/status.h"
#include "core/device/kernels.h" /* enum df_kernel and the argument structs */

/* Geometry of a convolution. x is [N,H,W,C], weights are [filters, kernel_h, kernel_w, C], y is [N,OH,OW,filters]. */
struct df_conv {
    df_shape x;
    size_t filters, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    bool relu; /* y = max(0, conv + bias), fused */
};
df_shape df_conv_shape(const struct df_conv *conv); /* floor((H + 2 pad - kernel) / stride) + 1 */
double df_conv_flops(const struct df_conv *conv);   /* of the forward pass, 2 per multiply-add */

/* Weights with a version: a device may keep a reordered copy as long as (data, version) stays the same. Version 0: none is kept. */
struct df_weights {
    const df_real *data;
    uint64_t version;
};

/* c[m,n] (+)= op(a)[m,k] op(b)[k,n], row-major */
struct df_matmul {
    bool transpose_a, transpose_b; /* a is stored [k,m], b is stored [n,k] */
    size_t m, n, k;
    bool add; /* c += */
};

struct df_pool {
    df_shape x;
    size_t kernel, stride, pad;
};
df_shape df_pool_shape(const struct df_pool *pool);

/* Batch norm over N,H,W per channel. In training: batch mean and biased variance are computed in double, used, saved for backward, and the
 * running buffers move by momentum (running = (1-momentum) running + momentum new; the variance that moves them is the unbiased one).
 * Not training: the running buffers are used. eps inside the square root. relu: y = max(0, .) fused. PyTorch's definitions. */
struct df_batch_norm {
    df_shape x;
    double eps, momentum;
    bool training, relu;
    bool overwrite; /* backward: dx = instead of dx += */
};

/* Selections, of every segment on its own: the orders are those of core/geometry/box.h. */
struct df_top_k {
    size_t segments, count, k;       /* count: values of a segment */
    size_t value_stride, out_stride; /* from a segment's first value, or index, to the next segment's */
    float minimum;                   /* values above it; they are compared as floats */
};
struct df_nms {
    size_t segments, count, most; /* count: candidates of a segment; most of them are kept, at most */
    float threshold;
};

struct df_device;
struct df_device_ops {
    const char *name;
    bool runs_behind; /* the host runs ahead of it, and waits where it reads */
    void (*close)(struct df_device *device);
    void *(*alloc)(struct df_device *device, size_t bytes); /* 64-byte aligned, uninitialised */
    void (*free)(struct df_device *device, void *memory);   /* also forgets reordered weights that lay in it */
    void (*write)(struct df_device *device, void *to, const void *from_host, size_t bytes);
    void (*read)(struct df_device *device, void *to_host, const void *from, size_t bytes);
    void (*copy)(struct df_device *device, void *to, const void *from, size_t bytes);
    void (*zero)(struct df_device *device, void *memory, size_t bytes);
    void (*sync)(struct df_device *device);
    /* bias may be NULL. y is overwritten. */
    void (*conv_forward)(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                         df_real *y);
    /* dy is the gradient at the convolution's output (before a fused relu: the caller has masked it). add: dx += , else dx = . A dx that no
     * tap reaches stays as it is, or is 0. */
    void (*conv_backward_data)(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                               bool add);
    /* dw += , dbias += (dbias may be NULL) */
    void (*conv_backward_weights)(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                  df_real *dbias);
    void (*matmul)(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c);
    /* mean, inv_std: [C], written (if not NULL): the statistics that were used, 1 / sqrt(var + eps). backward reads them. */
    void (*batch_norm_forward)(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                               const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std,
                               df_real *y);
    /* dx += (= with bn->overwrite); dgamma +=, dbeta += (both may be NULL). y is read for the fused relu. mean, inv_std: what
     * forward used. */
    void (*batch_norm_backward)(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                                const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                                df_real *dgamma, df_real *dbeta);
    /* argmax: flat index into x per output element; padding never wins; ties: the first in scan order. backward: dx += */
    void (*max_pool_forward)(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax);
    void (*max_pool_backward)(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx);
    /* index: of the k largest values within their segment, falling, equal ones by rising index; then UINT32_MAX */
    void (*top_k)(struct df_device *device, const struct df_top_k *top, const df_real *values, uint32_t *index);
    /* keep [segments][most]: index of what greedy non-maximum suppression keeps within its segment, falling score, equal ones by rising
     * index; then UINT32_MAX. Candidates of group -1 are none. */
    void (*nms)(struct df_device *device, const struct df_nms *nms, struct df_candidates from, uint32_t *keep);
    void (*launch)(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);
    /* Both may be NULL: the host's own are meant then. */
    double (*peak_gflops)(struct df_device *device);
    void (*describe)(struct df_device *device, char *text, size_t size);
};

/* Where the time went, by kind of work; filled when df_device_profile(device, true) was called. Unused kinds have calls = 0. */
struct df_profile_entry {
    const char *name;
    double seconds, flops, bytes;
    uint64_t calls;
};
#define DF_PROFILE_MAX 256
struct df_device {
    const struct df_device_ops *ops;
    void *state;
    struct df_team *team; /* of threads, for the devices that are the host */
    void *scratch;        /* of the host's selections: grown, and kept */
    size_t scratch_bytes;
    bool profiling;
    size_t profile_count;
    struct df_profile_entry profile[DF_PROFILE_MAX];
    double profiled; /* seconds of all entries */
    double flops;    /* of convolutions and matrix products, since open: always counted */
};

/* name: "cpu", "order", "ref" (the double build has "ref" only) or "cuda[:N][+tf32]", N the number of the GPU (default 0), tf32: its tensor cores may
 * round the factors of convolutions and matrix products to 10 bits. An unknown one, "cuda" in a build without it or on a machine without a
 * GPU or driver fails and says what to do. `check` says the same without taking anything. */
df_status df_device_open(const char *name, struct df_device **out, struct df_error *err);
df_status df_device_check(const char *name, struct df_error *err);
/* Work is shared by so many threads from now on (1 when it is opened); no bit depends on it. Fails when they cannot be had. */
df_status df_device_threads(struct df_device *device, size_t threads, struct df_error *err);
/* kind: the name without the GPU's number. isa: what computes: "v4", "v3", "aarch64", "plain": the instruction set (core/device/isa.h), on
 * which no number of `cpu` depends; "sm_90", ...: of the GPU, on which they do; "none" when it is not there. */
struct df_device_identity {
    char kind[16], isa[16];
};
struct df_device_identity df_device_identity(const char *name);
const char *df_device_names(void); /* of this build: "cpu, order, ref" */
/* Counts what it is asked (flops, the profile) and does nothing; what is read from it is zeros. For costs on paper: no name opens it. */
struct df_device *df_device_dry(void);
void df_device_close(struct df_device *device);
struct df_arena_source df_device_source(struct df_device *device); /* for arenas of tensors */
void df_device_profile(struct df_device *device, bool on);         /* clears the counts */
/* Host work with an entry of its own ("host: sampling"), in seconds without those of the entries inside it. name is kept, not copied.
 * Nothing unless profiling. */
double df_profile_begin(const struct df_device *device);
void df_profile_end(struct df_device *device, const char *name, double begun);
/* One launch; wraps profiling. The same for all table entries: ops call these, not the table. */
void df_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);
/* ... df_conv_forward(), df_conv_backward_data(), ..., df_write(), df_read(), df_zero() etc. with the table's signatures */
void *df_device_alloc(struct df_device *device, size_t bytes);
void df_device_free(struct df_device *device, void *memory);
void df_write(struct df_device *device, void *to, const void *from_host, size_t bytes);
void df_read(struct df_device *device, void *to_host, const void *from, size_t bytes);
void df_copy(struct df_device *device, void *to, const void *from, size_t bytes);
void df_zero(struct df_device *device, void *memory, size_t bytes);
void df_sync(struct df_device *device); /* waits until all that was asked is done; only clocks need it */
void df_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                     df_real *y);
void df_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                           bool add);
void df_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                              df_real *dbias);
void df_matmul(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c);
void df_batch_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                           const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std, df_real *y);
void df_batch_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y, const df_real *dy,
                            const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx, df_real *dgamma,
                            df_real *dbeta);
void df_max_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax);
void df_max_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx);
void df_select_top_k(struct df_device *device, const struct df_top_k *top, const df_real *values, uint32_t *index);
void df_select_nms(struct df_device *device, const struct df_nms *nms, struct df_candidates from, uint32_t *keep);

const char *df_device_isa(void); /* of the host */
/* measured: the best float GFLOP/s that this binary reaches here, on one thread of the host or on the whole GPU */
double df_device_peak_gflops(struct df_device *device);
void df_device_describe(struct df_device *device, char *text, size_t size); /* "NVIDIA H100 80GB HBM3, sm_90, ..." */
#endif
