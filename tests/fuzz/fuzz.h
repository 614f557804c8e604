/* What the fuzz targets share. Readers take paths: the input is a file in memory, under its name in /proc. Warnings go nowhere. A target per file,
 * fuzz_<reader>.c; where it starts from: tests/fuzz/run.sh. */
#ifndef DF_TESTS_FUZZ_H
#define DF_TESTS_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/json.h"

int LLVMFuzzerInitialize(int *count, char ***words);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* That is the input, until the next one. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[32];
    static int fd = -1;

    if (fd < 0)
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd = memfd_create("input", MFD_CLOEXEC));
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return path;
}

static inline void fuzz_silence(void *context, const char *text)
{
    (void)context;
    (void)text;
}
#endif
