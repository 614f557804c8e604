/* The dry device: whatever it is asked is counted (by device.c, as for every device) and not done. Its memory is addresses that nobody may
 * touch, so networks of any size fit; what is read from it is zeros. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/device/backend.h"

#pragma GCC diagnostic ignored "-Wunused-parameter" /* nearly all of them: that is the point */

static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* A page that holds the whole size, then the addresses that are given out. */
static void *dry_alloc(struct df_device *device, size_t bytes)
{
    const size_t whole = bytes + page();
    char *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    DF_ASSERT(base != MAP_FAILED && mprotect(base, page(), PROT_READ | PROT_WRITE) == 0);
    memcpy(base, &whole, sizeof whole);
    return base + page();
}

static void dry_free(struct df_device *device, void *memory)
{
    size_t whole;

    if (!memory)
        return;
    memcpy(&whole, (char *)memory - page(), sizeof whole);
    munmap((char *)memory - page(), whole);
}

static void dry_read(struct df_device *device, void *to_host, const void *from, size_t bytes)
{
    if (bytes)
        memset(to_host, 0, bytes);
}

static void dry_close(struct df_device *device) {}
static void dry_sync(struct df_device *device) {}
static void dry_write(struct df_device *device, void *to, const void *from, size_t bytes) {}
static void dry_zero(struct df_device *device, void *memory, size_t bytes) {}
static void dry_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w,
                             const df_real *bias, df_real *y)
{
}
static void dry_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w,
                                   df_real *dx, bool add)
{
}
static void dry_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy,
                                      df_real *dw, df_real *dbias)
{
}
static void dry_matmul(struct df_device *device, const struct df_matmul *mm, const df_real *a, struct df_weights b, df_real *c) {}
static void dry_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                             const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std, df_real *y)
{
}
static void dry_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                              const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                              df_real *dgamma, df_real *dbeta)
{
}
static void dry_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax) {}
static void dry_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax, df_real *dx)
{
}
static void dry_top_k(struct df_device *device, const struct df_top_k *top, const df_real *values, uint32_t *index) {}
static void dry_nms(struct df_device *device, const struct df_nms *nms, struct df_candidates from, uint32_t *keep) {}
static void dry_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args) {}

static const struct df_device_ops dry_ops = {
    .name = "dry",
    .close = dry_close,
    .alloc = dry_alloc,
    .free = dry_free,
    .write = dry_write,
    .read = dry_read,
    .copy = dry_write,
    .zero = dry_zero,
    .sync = dry_sync,
    .conv_forward = dry_conv_forward,
    .conv_backward_data = dry_conv_backward_data,
    .conv_backward_weights = dry_conv_backward_weights,
    .matmul = dry_matmul,
    .batch_norm_forward = dry_norm_forward,
    .batch_norm_backward = dry_norm_backward,
    .max_pool_forward = dry_pool_forward,
    .max_pool_backward = dry_pool_backward,
    .top_k = dry_top_k,
    .nms = dry_nms,
    .launch = dry_launch,
};

struct df_device *df_device_dry(void)
{
    struct df_device *device = df_calloc(1, sizeof *device);

    device->ops = &dry_ops;
    return device;
}
