/* Memory of the host devices. A block is preceded by a 64-byte header that keeps the malloc pointer and the size. */
#include <stdlib.h>
#include <string.h>

#include "core/device/backend.h"

#define ALIGN 64

struct header {
    void *base;
    size_t bytes;
};

void *df_host_alloc(struct df_device *device, size_t bytes)
{
    char *base = df_malloc(bytes + 2 * ALIGN);
    char *memory = base + ALIGN + (ALIGN - (uintptr_t)base % ALIGN) % ALIGN;
    const struct header header = { base, bytes };

    (void)device;
    memcpy(memory - ALIGN, &header, sizeof header);
    return memory;
}

static struct header header_of(const void *memory)
{
    struct header header;

    memcpy(&header, (const char *)memory - ALIGN, sizeof header);
    return header;
}

void df_host_free(struct df_device *device, void *memory)
{
    (void)device;
    if (memory)
        free(header_of(memory).base);
}

size_t df_host_bytes(const void *memory) { return header_of(memory).bytes; }

void df_host_copy(struct df_device *device, void *to, const void *from, size_t bytes)
{
    (void)device;
    if (bytes)
        memcpy(to, from, bytes);
}

void df_host_zero(struct df_device *device, void *memory, size_t bytes)
{
    (void)device;
    if (bytes)
        memset(memory, 0, bytes);
}

void df_host_sync(struct df_device *device) { (void)device; }
