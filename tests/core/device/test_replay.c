/* Passes that are kept and replayed have the bits of passes that are not, whatever is asked in them and between them; on a device that keeps
 * nothing this holds as well. */
#include <stdlib.h>

#include "tests/core/device/devices.h"

enum { MUCH = 300000, CELLS = 4096, FILTERS = 12, CHANNELS = 8, SIDE = 9, MAP = SIDE * SIDE, ROUNDS = 12 };

/* What a pass works on: two of them, with and without df_replay_begin. */
struct side {
    bool kept;
    df_real *values, *more, *x, *w, *y, *much;
    uint32_t *index;
    df_real seen[ROUNDS]; /* read inside passes */
};

static df_real *on_device(size_t n, uint64_t seed)
{
    df_real *host = df_malloc(n * sizeof *host), *memory = df_device_alloc(tested, n * sizeof *memory);

    df_test_fill(host, n, seed, 1);
    df_write(tested, memory, host, n * sizeof *host);
    free(host);
    return memory;
}

static struct side new_side(bool kept)
{
    struct side side = { .kept = kept,
                         .values = on_device(CELLS, 1),
                         .more = on_device(CELLS, 2),
                         .x = on_device(MAP * CHANNELS, 3),
                         .w = on_device((size_t)FILTERS * 9 * CHANNELS, 4),
                         .y = on_device(MAP * FILTERS, 5),
                         .much = on_device(MUCH + 5, 6),
                         .index = df_device_alloc(tested, CELLS * sizeof(uint32_t)) };

    return side;
}

static void free_side(struct side *side)
{
    void *const memory[] = { side->values, side->more, side->x, side->w, side->y, side->index, side->much };

    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        df_device_free(tested, memory[i]);
}

static void scale(const df_real *x, df_real *y, size_t n, double factor, bool add)
{
    const struct df_scale_args args = { .x = x, .y = y, .factor = factor, .add = add };

    df_launch(tested, DF_K_SCALE, n, &args);
}

static void convolve(const struct side *side, size_t size)
{
    const struct df_conv_forward_args args = { .conv = { .x = { 1, size, size, CHANNELS }, FILTERS, 3, 3, 1, 1, 1, 1, size % 2 },
                                               .x = side->x,
                                               .w = { side->w, 0 },
                                               .bias = side->more,
                                               .y = side->y };

    df_conv_forward(tested, &args);
}

/* n numbers of this round */
static void write_some(df_real *to, size_t n, size_t round)
{
    df_real host[CELLS];

    df_test_fill(host, n, 100 + round, 1);
    df_write(tested, to, host, n * sizeof *host);
}

static void choose(const struct side *side, size_t k)
{
    const struct df_select_top_k_args args = { .segments = 1,
                                               .count = CELLS,
                                               .k = k,
                                               .value_stride = CELLS,
                                               .index_stride = CELLS,
                                               .values = side->values,
                                               .index = side->index,
                                               .minimum = -INFINITY };

    df_select_top_k(tested, &args);
}

/* Written, scaled by what changes from round to round, convolved, added, chosen, copied, zeroed. */
static void usual(struct side *side, size_t round)
{
    write_some(side->values, CELLS, round);
    scale(side->values, side->more, CELLS, 0.5 + 0.25 * (double)round, true);
    df_copy(tested, side->x, side->more, MAP * CHANNELS * sizeof *side->x);
    convolve(side, SIDE);
    scale(side->y, side->values, MAP * FILTERS, 0.125, true);
    choose(side, 100);
    df_zero(tested, side->x, sizeof *side->x);
}

/* Launched on more cells every round. */
static void growing(struct side *side, size_t round)
{
    usual(side, round);
    scale(side->values, side->more, 100 + 300 * round, 0.5, true);
}

/* Reads in its middle, and writes what it has read. */
static void reading(struct side *side, size_t round)
{
    df_real half;

    usual(side, round);
    df_read(tested, &side->seen[round], side->values + 7, sizeof *side->values);
    half = side->seen[round] / 2;
    df_write(tested, side->more + 11, &half, sizeof half);
    scale(side->more, side->values, CELLS, 0.75, true);
}

/* Writes less every round, twice more, then less again. */
static void writing(struct side *side, size_t round)
{
    usual(side, round);
    write_some(side->more, round % 5 == 4 ? 2000 : 1000 - 13 * round, 50 + round);
    scale(side->more, side->values, CELLS, 0.5, true);
}

/* Writes more from the fourth round on, but for one: the room is that of the most. */
static void swelling(struct side *side, size_t round)
{
    usual(side, round);
    write_some(side->more, round < 4 ? 500 : round == 7 ? 1000 : 1500, 50 + round);
    scale(side->more, side->values, CELLS, 0.5, true);
}

/* Writes more than is staged, beside what is. */
static void writing_much(struct side *side, size_t round)
{
    df_real *host = df_malloc(MUCH * sizeof *host), *memory = side->much;

    usual(side, round);
    df_test_fill(host, MUCH, 70 + round, 1);
    df_write(tested, memory, host, MUCH * sizeof *host);
    df_write(tested, memory + 5, host, MUCH / 2 * sizeof *host);
    scale(memory, side->values, CELLS, 0.5, true);
    free(host);
}

/* Every fourth asks for something else, at its beginning, its middle or its end, or ends early. */
static void changing(struct side *side, size_t round)
{
    if (round % 4 == 3 && round < 4)
        scale(side->more, side->values, CELLS, 2, false);
    usual(side, round);
    if (round % 4 == 3 && round >= 8)
        return;
    if (round % 4 == 3)
        choose(side, 50);
    scale(side->values, side->more, CELLS, 0.25, true);
}

/* ... and once it has read: what was launched before is not asked again. */
static void changing_late(struct side *side, size_t round)
{
    reading(side, round);
    if (round % 4 == 3)
        choose(side, 50);
    scale(side->values, side->more, CELLS, 0.25, true);
}

/* Another kernel, with the same arguments, every time. */
static void turning(struct side *side, size_t round)
{
    const struct df_unary_args args = { .x = side->values, .y = side->more };

    usual(side, round);
    df_launch(tested, round % 2 ? DF_K_RELU : DF_K_SIGMOID, CELLS, &args);
    scale(side->more, side->values, CELLS, 0.25, true);
}

/* Never the same work twice in a row. */
static void restless(struct side *side, size_t round)
{
    usual(side, round);
    convolve(side, 2 + round % 7);
}

/* Takes memory and gives it back. */
static void borrowing(struct side *side, size_t round)
{
    df_real *own = on_device(CELLS, 7);

    usual(side, round);
    scale(own, side->values, CELLS, 0.5, true);
    df_copy(tested, side->more, own, 100 * sizeof *own);
    df_device_free(tested, own);
}

/* Scratch memory that its kept convolution knows moves between two passes. */
static void moving(struct side *side, size_t round) { usual(side, round); }

static void between(struct side *side, size_t round)
{
    enum { ROOM = 64 };
    const size_t grown = ROOM + 8 * round;
    df_real *x = on_device(grown * grown * CHANNELS, 8), *w = on_device(9 * CHANNELS * 16 * round, 9),
            *y = on_device(grown * grown * 16 * round, 9);
    const struct df_conv_forward_args args = {
        .conv = { .x = { 1, grown, grown, CHANNELS }, 16 * round, 3, 3, 1, 1, 1, 1 }, .x = x, .w = { w, 0 }, .bias = side->more, .y = y
    };

    df_conv_forward(tested, &args);
    scale(y, side->values, CELLS, 0.5, true);
    df_device_free(tested, x);
    df_device_free(tested, w);
    df_device_free(tested, y);
}

/* ... or in the pass that is kept. */
static void moving_within(struct side *side, size_t round)
{
    usual(side, round);
    if (round == 1)
        between(side, 4);
    scale(side->values, side->more, CELLS, 0.25, true);
}

static void run(struct side *side, void (*pass)(struct side *, size_t), size_t round, uint64_t key)
{
    if (side->kept)
        df_replay_begin(tested, key);
    pass(side, round);
    if (side->kept)
        df_replay_end(tested);
}

static void assert_same(const void *a, const void *b, size_t bytes, size_t round)
{
    char *one = df_malloc(bytes), *other = df_malloc(bytes);

    df_read(tested, one, a, bytes);
    df_read(tested, other, b, bytes);
    if (memcmp(one, other, bytes) != 0)
        fail_msg("round %zu has other bits", round);
    free(one);
    free(other);
}

static void assert_same_sides(const struct side *a, const struct side *b, size_t round)
{
    assert_same(a->values, b->values, CELLS * sizeof *a->values, round);
    assert_same(a->more, b->more, CELLS * sizeof *a->more, round);
    assert_same(a->y, b->y, MAP * FILTERS * sizeof *a->y, round);
    assert_same(a->index, b->index, 100 * sizeof *a->index, round);
    assert_memory_equal(a->seen, b->seen, sizeof a->seen);
}

static bool keeps(void) { return tested->ops->replay_begin && !(getenv("DEFEAT_GRAPHS") && strcmp(getenv("DEFEAT_GRAPHS"), "0") == 0); }

#define ANY SIZE_MAX /* it depends on where memory is found */

/* Rounds of a pass on both sides; replayed: how many of them are by a device that keeps something; pieces: the most of one of these. */
static void check(void (*pass)(struct side *, size_t), void (*meanwhile)(struct side *, size_t), size_t replayed, size_t pieces)
{
    struct side kept = new_side(true), plain = new_side(false);
    const struct df_replays before = tested->replays;

    tested->replays.pieces = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        run(&kept, pass, round, 1);
        run(&plain, pass, round, 1);
        if (meanwhile && round && round % 3 == 0) {
            meanwhile(&kept, round);
            meanwhile(&plain, round);
        }
        assert_same_sides(&kept, &plain, round);
    }
    df_replay_forget(tested);
    if (keeps() && replayed != ANY && !getenv("DEFEAT_TEST_UNCOUNTED")) { /* where what is kept is made to fail */
        assert_int_equal(tested->replays.passes - before.passes, ROUNDS);
        assert_int_equal(tested->replays.replayed - before.replayed, replayed);
        if (replayed)
            assert_int_equal(tested->replays.pieces, pieces);
    }
    free_side(&kept);
    free_side(&plain);
}

#define CHECK(pass, meanwhile, replayed, pieces)                                                                                           \
    static void test_##pass(void **state)                                                                                                  \
    {                                                                                                                                      \
        (void)state;                                                                                                                       \
        check(pass, meanwhile, replayed, pieces);                                                                                          \
    }
/* The first pass is looked at, the second is kept. */
CHECK(usual, NULL, ROUNDS - 2, 1)
CHECK(growing, NULL, ROUNDS - 2, 1)
CHECK(reading, NULL, ROUNDS - 2, 2)
CHECK(writing, NULL, ROUNDS - 4, 1)
CHECK(swelling, NULL, 6, 1)
CHECK(writing_much, NULL, ROUNDS - 2, 2)
CHECK(changing, NULL, ROUNDS - 5, 1)
CHECK(changing_late, NULL, ROUNDS - 5, 2)
CHECK(turning, NULL, 5, 1)
CHECK(restless, NULL, 0, 1)
CHECK(borrowing, NULL, ANY, 1)
CHECK(moving, between, 4, 1)
CHECK(moving_within, NULL, ANY, 1)

/* More kinds of passes than are kept, in turn; then the profile is on. */
static void test_many(void **state)
{
    enum { KEYS = 20 };
    struct side kept = new_side(true), plain = new_side(false);

    (void)state;
    for (size_t turn = 0; turn < 4; turn++)
        for (size_t key = 0; key < KEYS; key++) {
            run(&kept, key % 2 ? reading : growing, turn + key % 3, key);
            run(&plain, key % 2 ? reading : growing, turn + key % 3, key);
        }
    assert_same_sides(&kept, &plain, 4);

    const struct df_replays before = tested->replays;

    df_device_profile(tested, true);
    run(&kept, growing, 5, 0);
    run(&plain, growing, 5, 0);
    df_device_profile(tested, false);
    assert_int_equal(tested->replays.passes, before.passes);
    assert_same_sides(&kept, &plain, 5);
    df_replay_forget(tested);
    free_side(&kept);
    free_side(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),         cmocka_unit_test(test_growing),       cmocka_unit_test(test_reading),
        cmocka_unit_test(test_writing),       cmocka_unit_test(test_swelling),      cmocka_unit_test(test_writing_much),
        cmocka_unit_test(test_changing),      cmocka_unit_test(test_changing_late), cmocka_unit_test(test_turning),
        cmocka_unit_test(test_moving_within), cmocka_unit_test(test_restless),      cmocka_unit_test(test_borrowing),
        cmocka_unit_test(test_moving),        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
