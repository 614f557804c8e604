/* Drawing rows against its definition: the members of each kind in a list, the first steps of a Fisher-Yates shuffle from the image's stream. */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/device/open.h"
#include "tests/core/device/devices.h"

enum { IMAGES = 6, ROWS = 3 * DF_DRAW_TILE - 41, TILES = 3 };

struct drawn {
    df_real weight[IMAGES * ROWS], target[IMAGES * ROWS];
    uint8_t positive[IMAGES * ROWS];
    double count[IMAGES];
};

static df_real label[IMAGES * ROWS];
static struct df_draw_stream stream[IMAGES];

/* Of the images some have no positives, some no negatives, one nothing that may be drawn. */
static void fill(void)
{
    struct df_rng rng;

    df_rng_init(&rng, 4, DF_RNG_TEST, 0);
    for (size_t i = 0; i < IMAGES * ROWS; i++) {
        const uint32_t one_of = df_rng_below(&rng, 10);
        const df_real kinds[IMAGES] = {
            one_of < 2 ? 7 : one_of < 8 ? -1 : -2, one_of ? -1 : 0, one_of < 9 ? 3 : -2, -2, one_of < 1 ? 0 : -2, -1
        };

        label[i] = kinds[i / ROWS];
    }
    for (size_t n = 0; n < IMAGES; n++)
        stream[n] = (struct df_draw_stream){ 0x123456789abULL + (n & 1), (uint64_t)5 << 20 | n << 1 };
}

static void draw_on(struct df_device *device, size_t size, size_t most, struct drawn *out)
{
    static uint32_t place[2 * IMAGES * (TILES + 1)], member[2 * IMAGES * ROWS];
    struct loan loan = { .device = device };
    const struct df_draw_args args = { .label = lend(&loan, label, sizeof label, false),
                                       .stream = lend(&loan, stream, sizeof stream, false),
                                       .images = IMAGES,
                                       .rows = ROWS,
                                       .size = size,
                                       .most = most,
                                       .place = lend(&loan, place, sizeof place, true),
                                       .member = lend(&loan, member, sizeof member, true),
                                       .weight = lend(&loan, out->weight, sizeof out->weight, true),
                                       .target = lend(&loan, out->target, sizeof out->target, true),
                                       .positive = lend(&loan, out->positive, sizeof out->positive, true),
                                       .count = lend(&loan, out->count, sizeof out->count, true) };

    assert_int_equal(df_draw_tiles(ROWS), TILES);
    df_launch(device, DF_K_DRAW_COUNT, IMAGES * TILES, &args);
    df_launch(device, DF_K_DRAW_PLACE, 2 * IMAGES, &args);
    df_launch(device, DF_K_DRAW_LIST, IMAGES * TILES, &args);
    df_launch(device, DF_K_DRAW_TAKE, IMAGES, &args);
    take_back(&loan);
}

/* Marks k of the rows that are positive, or negative; returns how many there were to choose from, k at most. */
static size_t take(struct df_rng *rng, size_t image, bool positive, size_t k, bool *taken)
{
    size_t list[ROWS], n = 0;

    for (size_t r = 0; r < ROWS; r++) {
        const df_real own = label[image * ROWS + r];

        if (positive ? own >= 0 : own == -1)
            list[n++] = r;
    }
    for (size_t i = 0; i < k && i < n; i++) {
        const size_t other = k < n ? i + df_rng_below(rng, (uint32_t)(n - i)) : i, chosen = list[other];

        list[other] = list[i];
        taken[chosen] = true;
    }
    return k < n ? k : n;
}

static void check(const struct drawn *drawn, size_t size, size_t most)
{
    for (size_t n = 0; n < IMAGES; n++) {
        bool taken[ROWS] = { false };
        struct df_rng rng;
        size_t count;

        df_rng_init(&rng, stream[n].seed, DF_RNG_SAMPLE, stream[n].index);
        count = take(&rng, n, true, most, taken);
        count += take(&rng, n, false, size - count, taken);
        assert_true(drawn->count[n] == (double)count);
        for (size_t r = 0; r < ROWS; r++) {
            const size_t row = n * ROWS + r;

            assert_true(drawn->weight[row] == (df_real)taken[r]);
            assert_true(drawn->target[row] == (df_real)(label[row] >= 0));
            assert_int_equal(drawn->positive[row], taken[r] && label[row] >= 0);
        }
    }
}

static void test_definition(void **state)
{
    static const size_t sizes[][2] = { { 256, 128 }, { 32, 0 }, { 17, 17 }, { 5000, 5000 }, { 600, 30 } };
    struct df_device *const devices[] = { ref, tested };
    struct drawn *drawn = calloc(1, sizeof *drawn);

    (void)state;
    fill();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t d = 0; d < 2; d++) {
            memset(drawn, 0x5a, sizeof *drawn);
            draw_on(devices[d], sizes[s][0], sizes[s][1], drawn);
            check(drawn, sizes[s][0], sizes[s][1]);
        }
    free(drawn);
}

static void test_threads(void **state)
{
    struct drawn *one = calloc(1, sizeof *one), *other = calloc(1, sizeof *other);

    (void)state;
    fill();
    draw_on(ref, 256, 128, one);
    for (size_t threads = 1; threads <= 4; threads *= 2) {
        memset(other, 0, sizeof *other);
        assert_int_equal(df_device_threads(tested, threads, NULL), DF_OK);
        tested->alone = 0; /* share even what is too small for it */
        draw_on(tested, 256, 128, other);
        assert_memory_equal(one, other, sizeof *one);
    }
    free(one);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_definition), cmocka_unit_test(test_threads) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
