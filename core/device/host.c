/* Memory of the host devices. A block is preceded by a 64-byte header that keeps the malloc pointer and the size. */
#include "core/device/host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN     64
#define HUGE_PAGE ((size_t)2 << 20)

struct header {
    void *base;
    size_t bytes;
};

/* Large blocks begin on a large page and ask for more of them: a step walks through more memory than the processor can find small pages for.
 * It is only a wish. */
static char *base_of(size_t bytes)
{
    if (bytes < HUGE_PAGE)
        return df_malloc(bytes);
    const size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    char *base = aligned_alloc(HUGE_PAGE, whole);

    if (!base)
        return df_malloc(bytes); /* says what was asked for, and stops */
    (void)madvise(base, whole, MADV_HUGEPAGE);
    return base;
}

void *df_host_alloc(struct df_device *device, size_t bytes)
{
    char *base = base_of(bytes + 2 * ALIGN);
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
