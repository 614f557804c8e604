/* The calls that ops make: each forwards to the table, counts flops and, when asked, time and bytes.
 * Bytes are those of the operands, each once: what a perfect implementation would move. */
#include "core/device/device.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/team.h"
#include "core/device/kernel_bytes.h"

/* Entries of a profile: the primitives, what moves memory, then the kernels and the host's work. */
#define ENTRIES(X) DF_PRIMITIVES(X) X(write) X(read) X(copy) X(zero)
enum entry {
#define ENTRY(name) ENTRY_##name,
    ENTRIES(ENTRY) PRIMITIVES
};
static const char *const primitive_names[PRIMITIVES] = {
#define NAME(name) #name,
    ENTRIES(NAME)
};
enum { HOST_ENTRIES = 32 }; /* at least */
_Static_assert((int)PRIMITIVES + (int)DF_KERNEL_COUNT + (int)HOST_ENTRIES <= DF_PROFILE_MAX, "DF_PROFILE_MAX is too small");

void df_device_close(struct df_device *device)
{
    if (!device)
        return;
    if (device->scratch)
        device->ops->free(device, device->scratch);
    device->ops->close(device);
    df_team_free(device->team);
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

size_t df_conv_weights(const struct df_conv *conv) { return conv->filters * conv->kernel_h * conv->kernel_w * conv->x.c; }

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

void df_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    const double t = start(device);

    device->ops->launch(device, kernel, n, args);
    stop(device, PRIMITIVES + (int)kernel, t, 0, device->profiling ? df_kernel_bytes(kernel, n, args) : 0);
}

bool df_profile_copies(const struct df_profile_entry *entry)
{
    return strcmp(entry->name, "write") == 0 || strcmp(entry->name, "read") == 0;
}

void *df_device_alloc(struct df_device *device, size_t bytes) { return device->ops->alloc(device, bytes); }
void df_device_free(struct df_device *device, void *memory) { device->ops->free(device, memory); }

void df_write(struct df_device *device, void *to, const void *from_host, size_t bytes)
{
    const double t = start(device);

    device->ops->write(device, to, from_host, bytes);
    stop(device, ENTRY_write, t, 0, 2.0 * (double)bytes);
}

void df_read(struct df_device *device, void *to_host, const void *from, size_t bytes)
{
    const double t = start(device);

    device->ops->read(device, to_host, from, bytes);
    device->reads++;
    stop(device, ENTRY_read, t, 0, 2.0 * (double)bytes);
}

void df_copy(struct df_device *device, void *to, const void *from, size_t bytes)
{
    const double t = start(device);

    device->ops->copy(device, to, from, bytes);
    stop(device, ENTRY_copy, t, 0, 2.0 * (double)bytes);
}

void df_zero(struct df_device *device, void *memory, size_t bytes)
{
    const double t = start(device);

    device->ops->zero(device, memory, bytes);
    stop(device, ENTRY_zero, t, 0, (double)bytes);
}

void df_sync(struct df_device *device) { device->ops->sync(device); }

void df_replay_begin(struct df_device *device, uint64_t key)
{
    if (device->ops->replay_begin)
        device->ops->replay_begin(device, key);
}

void df_replay_end(struct df_device *device)
{
    if (device->ops->replay_end)
        device->ops->replay_end(device);
}

void df_replay_forget(struct df_device *device)
{
    if (device->ops->replay_forget)
        device->ops->replay_forget(device);
}

/* ---- primitives ---- */

struct cost {
    double flops, bytes;
};

static double reals(double count) { return count * (double)sizeof(df_real); }
static double weights(const struct df_conv *conv) { return (double)df_conv_weights(conv); }

static struct cost cost_conv(const struct df_conv *conv, double read_before)
{
    const double operands = (double)df_count(conv->x) + (double)df_count(df_conv_shape(conv)) + weights(conv);

    return (struct cost){ df_conv_flops(conv), reals(operands + read_before) };
}

static struct cost cost_conv_forward(const struct df_conv_forward_args *a) { return cost_conv(&a->conv, 0); }

static struct cost cost_conv_backward_data(const struct df_conv_backward_data_args *a)
{
    return cost_conv(&a->conv, a->add ? (double)df_count(a->conv.x) : 0);
}

static struct cost cost_conv_backward_weights(const struct df_conv_backward_weights_args *a)
{
    return cost_conv(&a->conv, weights(&a->conv));
}

static struct cost cost_matmul(const struct df_matmul_args *a)
{
    return (struct cost){ 2.0 * (double)a->m * (double)a->n * (double)a->k,
                          reals((double)(a->m * a->k + a->k * a->n + a->m * a->n * (a->add ? 2 : 1))) };
}

static struct cost cost_batch_norm_forward(const struct df_batch_norm_forward_args *a)
{
    return (struct cost){ 0, reals(((a->training ? 3.0 : 2.0) + (a->skip ? 1 : 0)) * (double)df_count(a->shape)) };
}

/* Arrays of x's size: dy, and y for a fused ReLU; x for dgamma; dx. Batch statistics ask for two passes over what is read. */
static struct cost cost_batch_norm_backward(const struct df_batch_norm_backward_args *a)
{
    const double read = (a->relu ? 2 : 1) + (a->training || a->dgamma ? 1 : 0), skip = a->dskip ? (a->add_skip ? 2 : 1) : 0;

    return (struct cost){ 0, reals(((a->training ? 2 * read : read) + (a->add ? 2 : 1) + skip) * (double)df_count(a->shape)) };
}

static struct cost cost_max_pool_forward(const struct df_max_pool_forward_args *a)
{
    DF_ASSERT(df_count(a->pool.x) <= UINT32_MAX);
    return (struct cost){ 0, reals((double)(df_count(a->pool.x) + 2 * df_count(df_pool_shape(&a->pool)))) };
}

static struct cost cost_max_pool_backward(const struct df_max_pool_backward_args *a)
{
    return (struct cost){ 0, reals((double)(2 * df_count(a->pool.x) + 2 * df_count(df_pool_shape(&a->pool)))) };
}

static struct cost cost_select_top_k(const struct df_select_top_k_args *a)
{
    DF_ASSERT(a->count < UINT32_MAX && a->k <= a->count);
    return (struct cost){ 0, (double)a->segments * (reals((double)a->count) + (double)a->k * (double)sizeof *a->index) };
}

static struct cost cost_select_nms(const struct df_select_nms_args *a)
{
    const double candidates = (double)a->count * (double)sizeof(struct df_scored_box), kept = (double)a->most * (double)sizeof *a->keep;

    DF_ASSERT(a->count < UINT32_MAX && a->most > 0);
    return (struct cost){ 0, (double)a->segments * (candidates + kept) };
}

#define CALL(name)                                                                                                                         \
    void df_##name(struct df_device *device, const struct df_##name##_args *args)                                                          \
    {                                                                                                                                      \
        const struct cost cost = cost_##name(args); /* asserts shapes */                                                                   \
        const double t = start(device);                                                                                                    \
                                                                                                                                           \
        device->ops->name(device, args);                                                                                                   \
        stop(device, ENTRY_##name, t, cost.flops, cost.bytes);                                                                             \
    }
DF_PRIMITIVES(CALL)

double df_device_peak_gflops(struct df_device *device) { return device->ops->peak_gflops ? device->ops->peak_gflops(device) : 0; }
