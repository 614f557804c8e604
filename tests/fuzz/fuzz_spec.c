/* Specs: every key, down to the cells. Files that a spec names are looked for in /proc/self/fd, where they are not. */
#include "ablations/spec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct df_spec_overrides overrides = { .unread = true };
    struct df_spec *spec = NULL;
    struct df_error err;

    if (df_spec_read(fuzz_file(data, size), &overrides, &spec, &err) == DF_OK)
        DF_ASSERT(spec->count == spec->lines * spec->seeds);
    df_spec_free(spec);
    return 0;
}
