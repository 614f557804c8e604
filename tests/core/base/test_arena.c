/* The arena: alignment, no overlap, and nothing taken from the source once a pattern of requests has repeated. */
#include "core/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

struct counted {
    size_t taken, given, bytes;
};

static void *counted_take(void *context, size_t bytes)
{
    struct counted *counted = context;

    counted->taken++;
    counted->bytes += bytes;
    return aligned_alloc(64, bytes);
}

static void counted_give(void *context, void *memory)
{
    ((struct counted *)context)->given++;
    free(memory);
}

static void pieces_are_aligned_and_apart(void **state)
{
    static const size_t sizes[] = { 1, 64, 65, 0, 4096, 63, 100000, 7, 5000, 128 };
    enum { N = sizeof sizes / sizeof *sizes };
    unsigned char *piece[N];
    struct df_arena arena;

    (void)state;
    df_arena_init(&arena, NULL, 1000);
    for (size_t i = 0; i < N; i++) {
        piece[i] = df_arena_alloc(&arena, sizes[i]);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 64, 0);
        memset(piece[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(piece[i][j], i + 1);
    assert_int_equal(arena.used_bytes, 64 + 64 + 128 + 64 + 4096 + 64 + 100032 + 64 + 5056 + 128);
    df_arena_release(&arena);
    assert_null(arena.first);
}

static void pattern(struct df_arena *arena, size_t scale)
{
    for (size_t i = 1; i <= 40; i++)
        df_arena_alloc(arena, scale * (i * 37 % 101 + 1));
}

static void a_repeated_pattern_takes_nothing(void **state)
{
    struct counted counted = { 0 };
    const struct df_arena_source source = { counted_take, counted_give, &counted };
    struct df_arena arena;
    size_t after_both;

    (void)state;
    df_arena_init(&arena, &source, 4096);
    pattern(&arena, 30);
    const size_t first = counted.taken, used = arena.used_bytes;

    assert_true(first > 2); /* several blocks: the case that matters */
    for (int i = 0; i < 5; i++) {
        df_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
        pattern(&arena, 30);
        assert_int_equal(arena.used_bytes, used);
    }
    assert_int_equal(counted.taken, first);
    /* two patterns in turn: after a round of both, nothing either */
    for (int i = 0; i < 3; i++) {
        df_arena_reset(&arena);
        pattern(&arena, i % 2 ? 30 : 90);
    }
    after_both = counted.taken;
    for (int i = 0; i < 6; i++) {
        df_arena_reset(&arena);
        pattern(&arena, i % 2 ? 30 : 90);
    }
    assert_int_equal(counted.taken, after_both);
    assert_int_equal(arena.takes, counted.taken);
    assert_int_equal(arena.taken_bytes, counted.bytes);
    assert_true(arena.peak_bytes > used);
    df_arena_release(&arena);
    assert_int_equal(counted.given, counted.taken);
}

static void a_large_piece_gets_a_block_of_its_own_size(void **state)
{
    struct counted counted = { 0 };
    const struct df_arena_source source = { counted_take, counted_give, &counted };
    struct df_arena arena;

    (void)state;
    df_arena_init(&arena, &source, 64);
    df_arena_alloc(&arena, 1 << 20);
    assert_int_equal(counted.bytes, 1 << 20);
    assert_int_equal(arena.block_bytes, 128); /* grown by one doubling, not to the piece */
    df_arena_release(&arena);
    df_arena_alloc(&arena, 10); /* an arena may be used again */
    df_arena_release(&arena);
    assert_int_equal(counted.given, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(a_repeated_pattern_takes_nothing),
        cmocka_unit_test(a_large_piece_gets_a_block_of_its_own_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
