/* The order of an epoch: with one canvas the permutation itself, with several whole batches of each, the same for the same seed, whatever was
 * asked before. */
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>

#include "core/base/rng.h"
#include "core/data/order.h"

static const struct df_canvas_size landscape = { 8, 12 }, portrait = { 12, 8 }, square = { 12, 12 };

static struct df_order *open_order(const struct df_order_config *config, const struct df_canvas_size *canvas)
{
    struct df_order *order;
    struct df_error err;

    assert_ok(df_order_new(config, canvas, &order, &err));
    return order;
}

/* What every run so far was made with: the permutation cut into batches, the rest dropped, a flip for each of its places. */
static void test_one_canvas(void **state)
{
    const struct df_order_config config = { .images = 23, .batch = 4, .seed = 9, .shuffle = true, .flip = true };
    struct df_canvas_size canvas[23];

    (void)state;
    for (size_t i = 0; i < 23; i++)
        canvas[i] = square;
    struct df_order *order = open_order(&config, canvas);

    assert_int_equal(df_order_steps(order), 5);
    for (size_t step = 0; step < 15; step++) {
        uint32_t drawn[23];
        bool flip[23];
        struct df_rng rng;
        size_t n;

        df_rng_init(&rng, 9, DF_RNG_ORDER, step / 5);
        df_rng_permutation(&rng, 23, drawn);
        df_rng_init(&rng, 9, DF_RNG_FLIP, step / 5);
        for (size_t i = 0; i < 23; i++)
            flip[i] = df_rng_uniform(&rng) < 0.5;
        const struct df_order_item *item = df_order_batch(order, step, &n);

        assert_int_equal(n, 4);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(item[k].image, drawn[step % 5 * 4 + k]);
            assert_true(item[k].flip == flip[step % 5 * 4 + k]);
        }
    }
    df_order_free(order);
}

/* 40 images of three canvases: 24, 12 and 4. */
static void mixed(struct df_canvas_size canvas[40])
{
    for (size_t i = 0; i < 40; i++)
        canvas[i] = i % 10 == 9 ? square : i % 3 == 1 ? portrait : landscape;
}

static void test_mixed_canvases(void **state)
{
    const struct df_order_config config = { .images = 40, .batch = 4, .seed = 3, .shuffle = true, .flip = true };
    struct df_canvas_size canvas[40];
    size_t used[40] = { 0 }, flips = 0, landscapes = 0, first[3] = { 0 };

    (void)state;
    mixed(canvas);
    for (size_t i = 0; i < 40; i++)
        landscapes += !memcmp(&canvas[i], &landscape, sizeof landscape);
    struct df_order *order = open_order(&config, canvas);

    assert_int_equal(landscapes, 24);
    assert_int_equal(df_order_steps(order), 6 + 3 + 1);
    for (size_t epoch = 0; epoch < 300; epoch++) {
        bool seen[40] = { false };

        for (size_t step = 10 * epoch; step < 10 * epoch + 10; step++) {
            size_t n;
            const struct df_order_item *item = df_order_batch(order, step, &n);

            assert_int_equal(n, 4);
            for (size_t k = 0; k < 4; k++) {
                assert_memory_equal(&canvas[item[k].image], &canvas[item[0].image], sizeof *canvas);
                assert_false(seen[item[k].image]);
                seen[item[k].image] = true;
                used[item[k].image]++;
                flips += item[k].flip;
            }
            if (step % 10 == 0)
                first[canvas[item[0].image].height == 8 ? 0 : canvas[item[0].image].width == 8 ? 1 : 2]++;
        }
    }
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(used[i], 300);                                                        /* 24, 12 and 4 are whole batches */
    assert_true(flips > 5780 && flips < 6220);                                                 /* of 12000; 4 standard deviations */
    assert_true(first[0] > first[1] && first[1] > 0 && first[0] + first[1] + first[2] == 300); /* not one canvas after the other */
    df_order_free(order);
}

/* What is left open at an epoch's end changes from epoch to epoch; 39 images of 23, 12 and 4. */
static void test_rest(void **state)
{
    const struct df_order_config config = { .images = 39, .batch = 5, .seed = 3, .shuffle = true };
    struct df_canvas_size canvas[40];
    size_t used[39] = { 0 };

    (void)state;
    mixed(canvas);
    struct df_order *order = open_order(&config, canvas);

    assert_int_equal(df_order_steps(order), 4 + 2);
    for (size_t step = 0; step < 6 * 60; step++) {
        size_t n;
        const struct df_order_item *item = df_order_batch(order, step, &n);

        assert_int_equal(n, 5);
        for (size_t k = 0; k < 5; k++) {
            used[item[k].image]++;
            assert_false(item[k].flip);
        }
    }
    for (size_t i = 0; i < 39; i++) {
        const bool is_square = canvas[i].height == canvas[i].width;

        assert_true(is_square ? used[i] == 0 : used[i] > 30 && used[i] < 60);
    }
    df_order_free(order);
}

/* A step's images do not depend on what was asked before: a resumed run's order. */
static void test_any_step_first(void **state)
{
    const struct df_order_config config = { .images = 40, .batch = 4, .seed = 8, .shuffle = true, .flip = true };
    struct df_canvas_size canvas[40];

    (void)state;
    mixed(canvas);
    struct df_order *whole = open_order(&config, canvas);

    for (size_t step = 0; step < 35; step++) {
        struct df_order *resumed = open_order(&config, canvas);
        size_t n, m;
        const struct df_order_item *a = df_order_batch(whole, step, &n), *b = df_order_batch(resumed, step, &m);

        assert_int_equal(n, m);
        for (size_t k = 0; k < n; k++)
            assert_true(a[k].image == b[k].image && a[k].flip == b[k].flip);
        df_order_free(resumed);
    }
    df_order_free(whole);
}

static void test_in_turn(void **state)
{
    const struct df_order_config config = { .images = 9, .batch = 3, .seed = 8 };
    const struct df_canvas_size canvas[9] = { landscape, landscape, landscape, landscape, portrait, portrait, landscape, square, square };
    static const size_t begin[] = { 0, 3, 4, 6, 7, 9 };

    (void)state;
    struct df_order *order = open_order(&config, canvas);

    assert_int_equal(df_order_steps(order), 5);
    for (size_t step = 0; step < 5; step++) {
        size_t n;
        const struct df_order_item *item = df_order_batch(order, step, &n);

        assert_int_equal(n, begin[step + 1] - begin[step]);
        for (size_t k = 0; k < n; k++)
            assert_true(item[k].image == begin[step] + k && !item[k].flip);
    }
    df_order_free(order);
}

static void keep_warning(void *context, const char *text) { snprintf(context, 512, "%s", text); }

/* Too few of a canvas: told once with their number; an error where nothing is left. */
static void test_too_few(void **state)
{
    struct df_order_config config = { .images = 40, .batch = 5, .seed = 3, .shuffle = true };
    struct df_canvas_size canvas[40];
    char warning[512] = "";
    struct df_order *order;
    struct df_error err;

    (void)state;
    mixed(canvas);
    df_warn_set(keep_warning, warning);
    df_order_free(open_order(&config, canvas));
    assert_non_null(strstr(warning, "4 of 40 training images are never used: their canvases have fewer images than one batch of 5"));
    warning[0] = 0;
    config.batch = 4;
    df_order_free(open_order(&config, canvas));
    config.batch = 30;
    config.shuffle = false;
    df_order_free(open_order(&config, canvas));
    assert_string_equal(warning, "");
    df_warn_set(NULL, NULL);
    config.shuffle = true;
    assert_fails(df_order_new(&config, canvas, &order, &err), DF_ERR_USAGE, "3 different canvases, none with as many as one batch of 30");
    assert_null(order);
    config.images = 3;
    canvas[1] = canvas[2] = canvas[0];
    assert_fails(df_order_new(&config, canvas, &order, &err), DF_ERR_USAGE, "3 training images are less than one batch of 30");
    df_order_free(NULL);
}

/* Ranks have equal parts of every batch, in rank order, and the same number of steps. */
static void test_ranks(void **state)
{
    struct df_comm comm = { .size = 2 };
    struct df_order_config config = { .images = 40, .batch = 4, .seed = 3, .shuffle = true, .flip = true };
    struct df_canvas_size canvas[40];
    struct df_error err;

    (void)state;
    mixed(canvas);
    struct df_order *whole = open_order(&config, canvas);

    config.comm = &comm;
    for (comm.rank = 0; comm.rank < 2; comm.rank++) {
        struct df_order *part = open_order(&config, canvas);

        assert_int_equal(df_order_steps(part), df_order_steps(whole));
        for (size_t step = 0; step < 2 * df_order_steps(whole); step++) {
            size_t all, n;
            const struct df_order_item *expected = df_order_batch(whole, step, &all), *item = df_order_batch(part, step, &n);

            assert_int_equal(n, 2);
            for (size_t k = 0; k < n; k++)
                assert_true(item[k].image == expected[2 * comm.rank + k].image && item[k].flip == expected[2 * comm.rank + k].flip);
        }
        df_order_free(part);
    }
    df_order_free(whole);
    comm.size = 3;
    assert_fails(df_order_new(&config, canvas, &whole, &err), DF_ERR_USAGE, "a batch of 4 images has no equal parts for 3 ranks");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_canvas), cmocka_unit_test(test_mixed_canvases),
                                        cmocka_unit_test(test_rest),       cmocka_unit_test(test_any_step_first),
                                        cmocka_unit_test(test_in_turn),    cmocka_unit_test(test_too_few),
                                        cmocka_unit_test(test_ranks) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
