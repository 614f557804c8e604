/* Teacher caches. The hashes are made right first: behind them is what is to be tried. */
#include "ablations/run/cache.h"
#include "core/base/hash.h"
#include "tests/fuzz/fuzz.h"

/* As ablations/run/cache.c lays them out. */
enum { PAGE = 4096, COUNT = 40, FILE_BYTES = 48, INDEX_HASH = 56, HEADER_HASH = 64, ENTRY = 24 };

int LLVMFuzzerInitialize(int *count, char ***words)
{
    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    return 0;
}

static uint64_t get(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static void put(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static void put_hashes(uint8_t *file, size_t size)
{
    const uint64_t count = get(file + COUNT);

    put(file + FILE_BYTES, size);
    if (count <= (size - PAGE) / ENTRY) {
        for (uint8_t *entry = file + PAGE; entry < file + PAGE + count * ENTRY; entry += ENTRY) {
            const uint64_t offset = get(entry), bytes = get(entry + 8);

            if (offset <= size && bytes <= size - offset)
                put(entry + 16, df_hash(file + offset, bytes));
        }
        put(file + INDEX_HASH, df_hash(file + PAGE, count * ENTRY));
    }
    put(file + HEADER_HASH, df_hash(file, HEADER_HASH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = df_malloc(size + 1);
    struct df_text text = DF_TEXT_INIT;

    memcpy(file, data, size);
    if (size > PAGE)
        put_hashes(file, size);
    (void)df_cache_describe(fuzz_file(file, size), true, &text, NULL);
    df_text_release(&text);
    free(file);
    return 0;
}
