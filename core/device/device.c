/* Opening a device by its name, and the calls that ops make: each forwards to the table, counts flops and, when asked, time and bytes.
 * Bytes are those of the operands, each once: what a perfect implementation would move. */
#include "core/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/team.h"
#include "core/base/text.h"
#include "core/device/backend.h"
#include "core/device/isa.h"

enum primitive {
    CONV_FORWARD,
    CONV_BACKWARD_DATA,
    CONV_BACKWARD_WEIGHTS,
    MATMUL,
    NORM_FORWARD,
    NORM_BACKWARD,
    POOL_FORWARD,
    POOL_BACKWARD,
    TOP_K,
    NMS,
    WRITE,
    READ,
    COPY,
    ZERO,
    PRIMITIVES
};
static const char *const primitive_names[PRIMITIVES] = {
    [CONV_FORWARD] = "conv_forward",
    [CONV_BACKWARD_DATA] = "conv_backward_data",
    [CONV_BACKWARD_WEIGHTS] = "conv_backward_weights",
    [MATMUL] = "matmul",
    [NORM_FORWARD] = "batch_norm_forward",
    [NORM_BACKWARD] = "batch_norm_backward",
    [POOL_FORWARD] = "max_pool_forward",
    [POOL_BACKWARD] = "max_pool_backward",
    [TOP_K] = "top_k",
    [NMS] = "nms",
    [WRITE] = "write",
    [READ] = "read",
    [COPY] = "copy",
    [ZERO] = "zero",
};
enum { HOST_ENTRIES = 32 }; /* at least */
_Static_assert((int)PRIMITIVES + (int)DF_KERNEL_COUNT + (int)HOST_ENTRIES <= DF_PROFILE_MAX, "DF_PROFILE_MAX is too small");

#ifndef DF_REAL_IS_DOUBLE
static df_status cpu_open(struct df_device *device, const char *options, struct df_error *err)
{
    const struct df_cpu_set *set;

    (void)options;
    DF_TRY(df_isa_choose(&set, err));
    device->ops = set->ops;
    set->open(device);
    return DF_OK;
}
#endif

static const struct {
    const char *name;
    df_status (*open)(struct df_device *device, const char *options, struct df_error *err);
    /* Devices that take options (what follows the name, from ':' or '+' on): whether they are there, and what decides their numbers. */
    df_status (*check)(const char *options, struct df_device_identity *identity, struct df_error *err);
} devices[] = {
#ifndef DF_REAL_IS_DOUBLE
    { "cpu", cpu_open, NULL },
    { "order", df_order_open, NULL },
#endif
#ifdef DF_HAS_CUDA
    { "cuda", df_cuda_open, df_cuda_check },
#endif
    { "ref", df_ref_open, NULL },
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

static df_status unknown_device(const char *name, const char *base, struct df_error *err)
{
    static const char *const names[] = { "cpu", "ref", "cuda", "order", NULL };
    const char *near = df_nearest(base, names);

    if (strcmp(base, "cuda") == 0)
        return df_fail(err, DF_ERR_UNSUPPORTED, "device '%s' is not in this build [use 'cpu', or build with 'make CUDA=1']", name);
    if (strcmp(name, "cpu") == 0)
        return df_fail(err, DF_ERR_UNSUPPORTED, "device 'cpu' computes in float and this build's element is double (use 'ref')");
    if (near && strcmp(near, base) == 0)
        return df_fail(err, DF_ERR_USAGE, "unknown device '%s': '%s' takes no options [use '%s']", name, near, near);
    return df_fail_unknown(err, "device", name, near, "expected 'cpu', 'ref' or 'cuda[:N]'");
}

/* The row of `devices` that the name means; DEVICES if there is none. */
static size_t find_device(const char *name, char base[16])
{
    const size_t length = strcspn(name, ":+");
    size_t i = 0;

    snprintf(base, 16, "%.*s", length < 16 ? (int)length : 15, name);
    while (i < DEVICES && (strcmp(base, devices[i].name) != 0 || (name[length] && !devices[i].check)))
        i++;
    return i;
}

df_status df_device_open(const char *name, struct df_device **out, struct df_error *err)
{
    char base[16];
    const size_t i = find_device(name, base);

    *out = NULL;
    if (i == DEVICES)
        return unknown_device(name, base, err);
    struct df_device *device = df_calloc(1, sizeof *device);

    const df_status status = devices[i].open(device, name + strlen(base), err);

    if (status != DF_OK) {
        free(device);
        return status;
    }
    *out = device;
    return DF_OK;
}

df_status df_device_check(const char *name, struct df_error *err)
{
    struct df_device_identity identity;
    char base[16];
    const size_t i = find_device(name, base);

    if (i == DEVICES)
        return unknown_device(name, base, err);
    return devices[i].check ? devices[i].check(name + strlen(base), &identity, err) : DF_OK;
}

struct df_device_identity df_device_identity(const char *name)
{
    struct df_device_identity identity;
    char base[16];
    const size_t i = find_device(name, base);

    snprintf(identity.kind, sizeof identity.kind, "%s", base);
    snprintf(identity.isa, sizeof identity.isa, "%s", i < DEVICES && devices[i].check ? "none" : df_device_isa());
    if (i < DEVICES && devices[i].check)
        (void)devices[i].check(name + strlen(base), &identity, NULL);
    return identity;
}

const char *df_device_names(void)
{
    static char names[64];
    size_t used = 0;

    for (size_t i = 0; i < DEVICES && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", devices[i].name);
    return names;
}

void df_device_close(struct df_device *device)
{
    if (!device)
        return;
    device->ops->close(device);
    df_team_free(device->team);
    df_host_free(device, device->scratch);
    free(device);
}

df_status df_device_threads(struct df_device *device, size_t threads, struct df_error *err)
{
    df_team_free(device->team);
    return df_team_new(threads, &device->team, err);
}

static void *source_take(void *context, size_t bytes) { return df_device_alloc(context, bytes); }
static void source_give(void *context, void *memory) { df_device_free(context, memory); }

struct df_arena_source df_device_source(struct df_device *device) { return (struct df_arena_source){ source_take, source_give, device }; }

void df_device_profile(struct df_device *device, bool on)
{
    memset(device->profile, 0, sizeof device->profile);
    for (int i = 0; i < PRIMITIVES; i++)
        device->profile[i].name = primitive_names[i];
    for (int i = 0; i < (int)DF_KERNEL_COUNT; i++)
        device->profile[PRIMITIVES + i].name = df_kernel_name((enum df_kernel)i);
    device->profile_count = (size_t)PRIMITIVES + (size_t)DF_KERNEL_COUNT;
    device->profiled = 0;
    device->profiling = on;
}

static double start(struct df_device *device)
{
    if (!device->profiling)
        return 0;
    device->ops->sync(device);
    return df_now();
}

static void stop(struct df_device *device, int entry, double started, double flops, double bytes)
{
    device->flops += flops;
    if (!device->profiling)
        return;
    device->ops->sync(device);
    struct df_profile_entry *e = &device->profile[entry];
    const double seconds = df_now() - started;

    device->profiled += seconds;
    e->seconds += seconds;
    e->flops += flops;
    e->bytes += bytes;
    e->calls++;
}

/* A clock that stands still while an entry runs. */
double df_profile_begin(const struct df_device *device) { return device->profiling ? df_now() - device->profiled : 0; }

void df_profile_end(struct df_device *device, const char *name, double begun)
{
    size_t i = (size_t)PRIMITIVES + (size_t)DF_KERNEL_COUNT;

    if (!device->profiling)
        return;
    while (i < device->profile_count && strcmp(device->profile[i].name, name) != 0)
        i++;
    DF_ASSERT(i < DF_PROFILE_MAX);
    if (i == device->profile_count)
        device->profile[device->profile_count++].name = name;

    const double seconds = df_now() - device->profiled - begun;

    device->profiled += seconds;
    device->profile[i].seconds += seconds;
    device->profile[i].calls++;
}

df_shape df_conv_shape(const struct df_conv *conv)
{
    DF_ASSERT(conv->x.h + 2 * conv->pad_h >= conv->kernel_h && conv->x.w + 2 * conv->pad_w >= conv->kernel_w);
    return (df_shape){ conv->x.n, (conv->x.h + 2 * conv->pad_h - conv->kernel_h) / conv->stride_h + 1,
                       (conv->x.w + 2 * conv->pad_w - conv->kernel_w) / conv->stride_w + 1, conv->filters };
}

double df_conv_flops(const struct df_conv *conv)
{
    return 2.0 * (double)df_count(df_conv_shape(conv)) * (double)(conv->kernel_h * conv->kernel_w * conv->x.c);
}

df_shape df_pool_shape(const struct df_pool *pool)
{
    DF_ASSERT(pool->x.h + 2 * pool->pad >= pool->kernel && pool->x.w + 2 * pool->pad >= pool->kernel && 2 * pool->pad <= pool->kernel);
    return (df_shape){ pool->x.n, (pool->x.h + 2 * pool->pad - pool->kernel) / pool->stride + 1,
                       (pool->x.w + 2 * pool->pad - pool->kernel) / pool->stride + 1, pool->x.c };
}

static double reals(double count) { return count * (double)sizeof(df_real); }

static double weight_bytes(const struct df_conv *conv)
{
    return reals((double)(conv->filters * conv->kernel_h * conv->kernel_w * conv->x.c));
}

static double conv_bytes(const struct df_conv *conv)
{
    return reals((double)df_count(conv->x) + (double)df_count(df_conv_shape(conv))) + weight_bytes(conv);
}

void df_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    const double t = start(device);

    device->ops->launch(device, kernel, n, args);
    stop(device, PRIMITIVES + (int)kernel, t, 0, device->profiling ? df_kernel_bytes(kernel, n, args) : 0);
}

void *df_device_alloc(struct df_device *device, size_t bytes) { return device->ops->alloc(device, bytes); }
void df_device_free(struct df_device *device, void *memory) { device->ops->free(device, memory); }

void df_write(struct df_device *device, void *to, const void *from_host, size_t bytes)
{
    const double t = start(device);

    device->ops->write(device, to, from_host, bytes);
    stop(device, WRITE, t, 0, 2.0 * (double)bytes);
}

void df_read(struct df_device *device, void *to_host, const void *from, size_t bytes)
{
    const double t = start(device);

    device->ops->read(device, to_host, from, bytes);
    stop(device, READ, t, 0, 2.0 * (double)bytes);
}

void df_copy(struct df_device *device, void *to, const void *from, size_t bytes)
{
    const double t = start(device);

    device->ops->copy(device, to, from, bytes);
    stop(device, COPY, t, 0, 2.0 * (double)bytes);
}

void df_zero(struct df_device *device, void *memory, size_t bytes)
{
    const double t = start(device);

    device->ops->zero(device, memory, bytes);
    stop(device, ZERO, t, 0, (double)bytes);
}

void df_sync(struct df_device *device) { device->ops->sync(device); }

void df_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                     df_real *y)
{
    const double t = start(device);

    device->ops->conv_forward(device, conv, x, w, bias, y);
    stop(device, CONV_FORWARD, t, df_conv_flops(conv), conv_bytes(conv));
}

void df_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                           bool add)
{
    const double t = start(device);

    device->ops->conv_backward_data(device, conv, dy, w, dx, add);
    stop(device, CONV_BACKWARD_DATA, t, df_conv_flops(conv), conv_bytes(conv) + (add ? reals((double)df_count(conv->x)) : 0));
}

void df_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                              df_real *dbias)
{
    const double t = start(device);

    device->ops->conv_backward_weights(device, conv, x, dy, dw, dbias);
    stop(device, CONV_BACKWARD_WEIGHTS, t, df_conv_flops(conv), conv_bytes(conv) + weight_bytes(conv)); /* dw is read too */
}

void df_matmul(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c)
{
    const double t = start(device);

    device->ops->matmul(device, mm, a, b, c);
    stop(device, MATMUL, t, 2.0 * (double)mm->m * (double)mm->n * (double)mm->k,
         reals((double)(mm->m * mm->k + mm->k * mm->n + mm->m * mm->n * (mm->add ? 2 : 1))));
}

void df_batch_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                           const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std, df_real *y)
{
    const double t = start(device);

    device->ops->batch_norm_forward(device, bn, x, gamma, beta, running_mean, running_var, mean, inv_std, y);
    stop(device, NORM_FORWARD, t, 0, reals((bn->training ? 3.0 : 2.0) * (double)df_count(bn->x)));
}

/* Arrays of x's size: dy, and y for a fused ReLU; x for dgamma; dx. Batch statistics ask for two passes over what is read. */
static double norm_backward_streams(const struct df_batch_norm *bn, const df_real *dgamma)
{
    const double read = (bn->relu ? 2 : 1) + (bn->training || dgamma ? 1 : 0);

    return (bn->training ? 2 * read : read) + (bn->overwrite ? 1 : 2);
}

void df_batch_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y, const df_real *dy,
                            const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx, df_real *dgamma, df_real *dbeta)
{
    const double t = start(device);

    device->ops->batch_norm_backward(device, bn, x, y, dy, gamma, mean, inv_std, dx, dgamma, dbeta);
    stop(device, NORM_BACKWARD, t, 0, reals(norm_backward_streams(bn, dgamma) * (double)df_count(bn->x)));
}

void df_max_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax)
{
    const double t = start(device);

    DF_ASSERT(df_count(pool->x) <= UINT32_MAX);
    device->ops->max_pool_forward(device, pool, x, y, argmax);
    stop(device, POOL_FORWARD, t, 0, reals((double)(df_count(pool->x) + 2 * df_count(df_pool_shape(pool)))));
}

void df_max_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx)
{
    const double t = start(device);

    device->ops->max_pool_backward(device, pool, dy, argmax, dx);
    stop(device, POOL_BACKWARD, t, 0, reals((double)(2 * df_count(pool->x) + 2 * df_count(df_pool_shape(pool)))));
}

void df_select_top_k(struct df_device *device, const struct df_top_k *top, const df_real *values, uint32_t *index)
{
    const double t = start(device), segments = (double)top->segments;

    DF_ASSERT(top->count < UINT32_MAX && top->k <= top->count);
    device->ops->top_k(device, top, values, index);
    stop(device, TOP_K, t, 0, segments * (reals((double)top->count) + (double)top->k * (double)sizeof *index));
}

void df_select_nms(struct df_device *device, const struct df_nms *nms, struct df_candidates from, uint32_t *keep)
{
    const double t = start(device), segments = (double)nms->segments;

    DF_ASSERT(nms->count < UINT32_MAX && nms->most > 0);
    device->ops->nms(device, nms, from, keep);
    stop(device, NMS, t, 0,
         segments * ((double)nms->count * (double)sizeof(struct df_scored_box) + (double)nms->most * (double)sizeof *keep));
}

const char *df_device_isa(void)
{
#ifndef DF_REAL_IS_DOUBLE
    const struct df_cpu_set *set;

    return df_isa_choose(&set, NULL) == DF_OK ? set->name : "none";
#else
    return "plain";
#endif
}

double df_device_peak_gflops(struct df_device *device) { return device->ops->peak_gflops ? device->ops->peak_gflops(device) : 0; }

void df_device_describe(struct df_device *device, char *text, size_t size)
{
    if (device->ops->describe)
        device->ops->describe(device, text, size);
    else
        snprintf(text, size, "%s", df_device_isa());
}
