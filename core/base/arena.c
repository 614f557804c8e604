/* The arena. A block's description lives on the heap, apart from its memory: that may be a device's. */
#include "core/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/status.h"

enum { ALIGNMENT = 64 };
#define LARGEST_BLOCK ((size_t)64 << 20)

struct df_arena_block {
    struct df_arena_block *next;
    char *memory;
    size_t bytes, used;
};

static size_t round_up(size_t bytes)
{
    DF_ASSERT(bytes <= (size_t)-1 - ALIGNMENT);
    return bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
}

static void *heap_take(void *context, size_t bytes)
{
    void *memory = aligned_alloc(ALIGNMENT, bytes);

    (void)context;
    if (!memory)
        return df_malloc(bytes); /* says what was asked for, and aborts */
    return memory;
}

static void heap_give(void *context, void *memory)
{
    (void)context;
    free(memory);
}

void df_arena_init(struct df_arena *arena, const struct df_arena_source *source, size_t block_bytes)
{
    *arena = (struct df_arena){ .source = source ? *source : (struct df_arena_source){ heap_take, heap_give, NULL },
                                .block_bytes = round_up(block_bytes) };
}

static struct df_arena_block *block_new(struct df_arena *arena, size_t bytes)
{
    struct df_arena_block *block = df_malloc(sizeof *block);

    *block = (struct df_arena_block){ .bytes = bytes > arena->block_bytes ? bytes : arena->block_bytes };
    block->memory = arena->source.take(arena->source.context, block->bytes);
    arena->taken_bytes += block->bytes;
    arena->takes++;
    if (arena->block_bytes < LARGEST_BLOCK)
        arena->block_bytes = arena->block_bytes < LARGEST_BLOCK / 2 ? 2 * arena->block_bytes : LARGEST_BLOCK;
    return block;
}

/* The first block from the current one on with room for bytes; a new one at the end if there is none. The same requests after a reset
 * take the same way through the same blocks. */
static struct df_arena_block *block_with_room(struct df_arena *arena, size_t bytes)
{
    struct df_arena_block *block = arena->current, **end = &arena->first;

    for (; block; block = block->next) {
        if (block->bytes - block->used >= bytes)
            return block;
        end = &block->next;
    }
    return *end = block_new(arena, bytes);
}

void *df_arena_alloc(struct df_arena *arena, size_t bytes)
{
    void *memory;

    bytes = round_up(bytes);
    arena->current = block_with_room(arena, bytes);
    memory = arena->current->memory + arena->current->used;
    arena->current->used += bytes;
    arena->used_bytes += bytes;
    if (arena->used_bytes > arena->peak_bytes)
        arena->peak_bytes = arena->used_bytes;
    return memory;
}

char *df_arena_strdup(struct df_arena *arena, const char *text)
{
    const size_t bytes = strlen(text) + 1;

    return memcpy(df_arena_alloc(arena, bytes), text, bytes);
}

void df_arena_reset(struct df_arena *arena)
{
    for (struct df_arena_block *block = arena->first; block; block = block->next)
        block->used = 0;
    arena->current = arena->first;
    arena->used_bytes = 0;
}

void df_arena_release(struct df_arena *arena)
{
    struct df_arena_block *next;

    for (struct df_arena_block *block = arena->first; block; block = next) {
        next = block->next;
        arena->source.give(arena->source.context, block->memory);
        free(block);
    }
    arena->first = arena->current = NULL;
    arena->used_bytes = 0;
}
