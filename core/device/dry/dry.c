/* The dry device: whatever it is asked is counted (by device.c, as for every device) and not done. Its memory is addresses that nobody may
 * touch, so networks of any size fit; what is read from it is zeros. */
#include "core/device/dry/dry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
#define NOTHING(name)                                                                                                                      \
    static void dry_##name(struct df_device *device, const struct df_##name##_args *args) {}
DF_PRIMITIVES(NOTHING)
static void dry_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args) {}

static const struct df_device_ops dry_ops = {
    .name = "dry",
    .hollow = true,
    .close = dry_close,
    .alloc = dry_alloc,
    .free = dry_free,
    .write = dry_write,
    .read = dry_read,
    .copy = dry_write,
    .zero = dry_zero,
    .sync = dry_sync,
#define SLOT(name) .name = dry_##name,
    DF_PRIMITIVES(SLOT).launch = dry_launch,
};

struct df_device *df_device_dry(void)
{
    struct df_device *device = df_calloc(1, sizeof *device);

    device->ops = &dry_ops;
    return device;
}
