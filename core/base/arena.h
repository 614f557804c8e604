/* Arena: memory that is taken piece by piece and given back all at once. Blocks come from a source (the heap by default, a device for
 * tensors). After a reset the blocks are kept: a pattern of requests that repeats takes nothing from the source any more. */
#ifndef DF_CORE_BASE_ARENA_H
#define DF_CORE_BASE_ARENA_H
#include <stddef.h>

struct df_arena_source {
    void *(*take)(void *context, size_t bytes); /* 64-byte aligned, never NULL */
    void (*give)(void *context, void *memory);
    void *context;
};

struct df_arena_block;
struct df_arena {
    struct df_arena_source source;
    struct df_arena_block *first, *current;
    size_t block_bytes; /* smallest block asked of the source; doubles up to 64 MiB */
    size_t used_bytes;  /* since the last reset */
    size_t peak_bytes, taken_bytes, takes;
};

void df_arena_init(struct df_arena *arena, const struct df_arena_source *source /* NULL: heap */, size_t block_bytes);
void *df_arena_alloc(struct df_arena *arena, size_t bytes); /* 64-byte aligned, uninitialised, never NULL; bytes = 0 is legal */
char *df_arena_strdup(struct df_arena *arena, const char *text);
void df_arena_reset(struct df_arena *arena);
void df_arena_release(struct df_arena *arena);
#endif
