/* XXH64 (Yann Collet), seed 0, from libxxhash. */
#include "core/base/hash.h"

#include <stdlib.h>
#include <xxhash.h>

#include "core/base/file.h"

struct df_hasher {
    XXH64_state_t *state;
};

uint64_t df_hash(const void *data, size_t bytes) { return XXH64(data, bytes, 0); }

struct df_hasher *df_hasher_new(void)
{
    struct df_hasher *hasher = df_malloc(sizeof *hasher);

    hasher->state = XXH64_createState();
    if (!hasher->state)
        df_out_of_memory(0);
    DF_ASSERT(XXH64_reset(hasher->state, 0) == XXH_OK);
    return hasher;
}

void df_hasher_add(struct df_hasher *hasher, const void *data, size_t bytes)
{
    if (bytes)
        DF_ASSERT(XXH64_update(hasher->state, data, bytes) == XXH_OK);
}

uint64_t df_hasher_value(const struct df_hasher *hasher) { return XXH64_digest(hasher->state); }

void df_hasher_free(struct df_hasher *hasher)
{
    if (!hasher)
        return;
    XXH64_freeState(hasher->state);
    free(hasher);
}

char *df_hash_text(char buffer[17], uint64_t hash)
{
    for (int i = 0; i < 16; i++)
        buffer[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
    buffer[16] = 0;
    return buffer;
}

df_status df_file_hash(const char *path, char text[17], struct df_error *err)
{
    size_t bytes;
    char *data;

    DF_TRY(df_file_read(path, 0, &data, &bytes, err));
    df_hash_text(text, df_hash(data, bytes));
    free(data);
    return DF_OK;
}
