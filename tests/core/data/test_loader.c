/* Batches from a made-up dataset whose pixel values say which image, row and column they are from. */
#include "tests/support/support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fpu.h"
#include "core/data/loader.h"
#include "tests/support/fpu.h"

enum { IMAGES = 7 };
static atomic_int reads, reads_of_others, reads_that_flush; /* all; in threads that are not the test's; those of them without denormals */
static pthread_t test_thread;
static size_t broken = SIZE_MAX;

static uint8_t pixel_of(size_t image, int x, int y, int c)
{
    return (uint8_t)(image * 31 + (size_t)x * 7 + (size_t)y * 3 + (size_t)c * 50);
}

static df_status fake_read(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    const struct df_image_info *info = &dataset->info[i];

    atomic_fetch_add(&reads, 1);
    if (!pthread_equal(pthread_self(), test_thread)) {
        atomic_fetch_add(&reads_of_others, 1);
        atomic_fetch_add(&reads_that_flush, !df_test_keeps_denormals());
    }
    if (i == broken)
        return df_fail(err, DF_ERR_FORMAT, "image %zu is broken", i);
    df_image_reserve(out, info->width, info->height, 0);
    for (int y = 0; y < info->height; y++)
        for (int x = 0; x < info->width; x++)
            for (int c = 0; c < 3; c++)
                out->pixels[(y * info->width + x) * 3 + c] = pixel_of(i, x, y, c);
    return DF_OK;
}

static const struct df_dataset_class fake_class = { .abi = DF_DATASET_ABI, .name = "fake", .read = fake_read };
static const struct df_object objects[] = {
    { .id = 1, .label = 2, .bbox = { 1, 2, 4, 3 } },
    { .id = 2, .label = 1, .bbox = { 0, 0, 5, 5 }, .crowd = true },
    { .id = 3, .label = 0, .bbox = { 3, 1, 0, 2 } },    /* no extent */
    { .id = 4, .label = 1, .bbox = { 6, 5, 1e30, 2 } }, /* reaches out on the right */
    { .id = 5, .label = 0, .bbox = { 1, 1, 2, 2 }, .difficult = true },
};
static struct df_image_info info[IMAGES];

static struct df_dataset fake_dataset(void)
{
    broken = SIZE_MAX;
    test_thread = pthread_self();
    atomic_store(&reads, 0);
    atomic_store(&reads_of_others, 0);
    atomic_store(&reads_that_flush, 0);
    for (size_t i = 0; i < IMAGES; i++) /* 10 x 8 and, every third, 8 x 10 */
        info[i] = (struct df_image_info){ (int64_t)i + 1, "", i % 3 == 2 ? 8 : 10, i % 3 == 2 ? 10 : 8, 5, objects };
    return (struct df_dataset){ .class = &fake_class, .size = IMAGES, .categories = 3, .info = info };
}

static struct df_loader_config standard(struct df_dataset *dataset)
{
    struct df_loader_config config = { .dataset = dataset, .batch = 3, .seed = 5, .shuffle = true, .flip = true, .memory_limit = 1 << 20 };

    df_options_standard(df_canvas_option_table, &config.canvas);
    config.canvas.divisor = 4;
    return config;
}

static struct df_loader *open_loader(const struct df_loader_config *config)
{
    struct df_loader *loader;
    struct df_error err;

    assert_ok(df_loader_new(config, &loader, &err));
    return loader;
}

static const struct df_batch *get(struct df_loader *loader, size_t step)
{
    const struct df_batch *batch;
    struct df_error err;

    assert_ok(df_loader_get(loader, step, &batch, &err));
    return batch;
}

static void expect_failure(struct df_loader_config config, const char *part)
{
    struct df_loader *loader;
    struct df_error err;

    assert_fails(df_loader_new(&config, &loader, &err), DF_ERR_USAGE, part);
    assert_null(loader);
}

/* Every pixel, its normalisation, its flip, the padding. */
static void check_pixels(const struct df_batch *batch, size_t k)
{
    static const double mean[3] = { 0.485, 0.456, 0.406 }, deviation[3] = { 0.229, 0.224, 0.225 };
    const size_t image = batch->index[k], width = batch->valid_w[k];

    assert_int_equal(width, info[image].width);
    assert_int_equal(batch->valid_h[k], info[image].height);
    for (size_t y = 0; y < batch->height; y++)
        for (size_t x = 0; x < batch->width; x++)
            for (size_t c = 0; c < 3; c++) {
                const size_t from = batch->flipped[k] ? width - 1 - x : x;
                const bool inside = x < width && y < batch->valid_h[k];
                const double value = inside ? (pixel_of(image, (int)from, (int)y, (int)c) / 255.0 - mean[c]) / deviation[c] : 0;

                assert_close((double)batch->pixels[((k * batch->height + y) * batch->width + x) * 3 + c], value, 1e-6, 1e-7);
            }
}

static void check_truth(const struct df_batch *batch, size_t k)
{
    const struct df_ground_truth *truth = &batch->truth[k];
    const float width = (float)batch->valid_w[k];
    const float x0[2] = { 1, 6 }, x1[2] = { 5, width }, y0[2] = { 2, 5 }, y1[2] = { 5, 7 };

    assert_int_equal(truth->count, 2);
    assert_int_equal(truth->labels[0], 2);
    assert_int_equal(truth->labels[1], 1);
    for (int j = 0; j < 2; j++) {
        assert_close(truth->boxes[j].x0, batch->flipped[k] ? width - x1[j] : x0[j], 0, 0);
        assert_close(truth->boxes[j].x1, batch->flipped[k] ? width - x0[j] : x1[j], 0, 0);
        assert_close(truth->boxes[j].y0, y0[j], 0, 0);
        assert_close(truth->boxes[j].y1, y1[j], 0, 0);
    }
}

static void test_batches(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);

    config.batch = 2;
    struct df_loader *loader = open_loader(&config);
    int flips = 0, moved = 0;

    (void)state;
    assert_int_equal(df_loader_steps_per_epoch(loader), 3); /* 2 of the 5 landscapes, 1 of the 2 portraits */
    for (size_t epoch = 0; epoch < 20; epoch++) {
        bool seen[IMAGES] = { false };

        for (size_t step = 3 * epoch; step < 3 * epoch + 3; step++) {
            const struct df_batch *batch = get(loader, step);
            const bool portrait = batch->index[0] % 3 == 2;

            assert_int_equal(batch->n, 2);
            assert_int_equal(batch->seed, 5);
            assert_int_equal(batch->step, step);
            for (size_t k = 0; k < 2; k++) {
                assert_false(seen[batch->index[k]]);
                seen[batch->index[k]] = true;
                flips += batch->flipped[k];
                moved += batch->index[k] != 2 * (step % 3) + k;
                check_pixels(batch, k);
                check_truth(batch, k);
            }
            assert_int_equal(batch->height, portrait ? 12 : 8);
            assert_int_equal(batch->width, portrait ? 8 : 12);
        }
    }
    assert_true(flips > 40 && flips < 80); /* of 120; 3.6 standard deviations */
    assert_true(moved > 80);
    df_loader_free(loader);
}

static void test_not_shuffled(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);

    (void)state;
    config.shuffle = config.flip = false;
    struct df_loader *loader = open_loader(&config);
    assert_int_equal(df_loader_steps_per_epoch(loader), 5); /* 2 landscapes, a portrait, and again, and a landscape */
    for (size_t step = 0, at = 0; step < 5; step++) {
        const struct df_batch *batch = get(loader, step);

        assert_int_equal(batch->n, step % 2 || step == 4 ? 1 : 2);
        for (size_t k = 0; k < batch->n; k++) {
            assert_int_equal(batch->index[k], at++);
            assert_false(batch->flipped[k]);
            check_pixels(batch, k);
        }
    }
    df_loader_free(loader);
}

/* Prefetching, keeping images, the order of the steps, df_loader_one: the same bits. */
static void test_same_bits(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);
    struct df_loader *plain = open_loader(&config), *other;

    (void)state;
    config.prefetch = true;
    config.memory_limit = 0;
    (void)df_test_flush_denormals(); /* the thread must not inherit that */
    other = open_loader(&config);
    get(other, 17);
    for (size_t step = 0; step < 12; step++) {
        const struct df_batch *a = get(plain, step), *b = get(other, step), *one;
        struct df_error err;

        assert_int_equal(a->height * a->width, b->height * b->width);
        assert_memory_equal(a->pixels, b->pixels, a->n * a->height * a->width * 3 * sizeof *a->pixels);
        assert_memory_equal(a->index, b->index, a->n * sizeof *a->index);
        assert_memory_equal(a->truth[1].boxes, b->truth[1].boxes, a->truth[1].count * sizeof *a->truth[1].boxes);
        assert_ok(df_loader_one(other, a->index[2], a->flipped[2], &one, &err));
        assert_true(one->height == a->height && one->width == a->width);
        assert_memory_equal(one->pixels, a->pixels + 2 * a->height * a->width * 3, a->height * a->width * 3 * sizeof *a->pixels);
        assert_memory_equal(one->truth[0].boxes, a->truth[2].boxes, 2 * sizeof *one->truth[0].boxes);
    }
    (void)df_fpu_reset();
    assert_true(atomic_load(&reads_of_others) > 0);
    assert_int_equal(atomic_load(&reads_that_flush), 0);
    df_loader_free(plain);
    df_loader_free(other);
}

static void test_kept_images(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);

    (void)state;
    config.batch = 1;
    for (int kept = 0; kept < 2; kept++) {
        config.memory_limit = IMAGES * 80 * 3 - (kept ? 0 : 1);
        struct df_loader *loader = open_loader(&config);

        atomic_store(&reads, 0);
        for (size_t step = 0; step < 40; step++)
            get(loader, step);
        assert_int_equal(atomic_load(&reads), kept ? IMAGES : 40);
        df_loader_free(loader);
    }
}

/* torchvision's rule: 800 x 600 at 40..50 -> 50 x 37 (the longer side decides), 10 x 8 at 16 -> 20 x 16. */
static void test_resizing(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);
    struct df_error err;
    const struct df_batch *batch;

    (void)state;
    info[1].width = 800;
    info[1].height = 600;
    config.canvas.min_side = 40;
    config.canvas.max_side = 50;
    struct df_loader *loader = open_loader(&config);
    assert_ok(df_loader_one(loader, 1, true, &batch, &err));
    assert_int_equal(batch->valid_w[0], 50);
    assert_int_equal(batch->valid_h[0], 37);
    assert_int_equal(batch->width, 52);
    assert_int_equal(batch->height, 40);
    assert_close(batch->scale_x[0], 50 / 800.0, 0, 0);
    assert_close(batch->scale_y[0], 37 / 600.0, 0, 0);
    assert_close(batch->truth[0].boxes[0].x0, 50 - 5 * 50 / 800.0, 1e-6, 0);
    assert_close(batch->truth[0].boxes[0].y1, 5 * 37 / 600.0, 1e-6, 0);
    df_loader_free(loader);

    info[1] = info[0];
    config.canvas.min_side = 16;
    config.canvas.max_side = 100;
    loader = open_loader(&config);
    assert_ok(df_loader_one(loader, 2, false, &batch, &err)); /* 8 x 10 */
    assert_int_equal(batch->valid_w[0], 16);
    assert_int_equal(batch->valid_h[0], 20);
    assert_close(batch->truth[0].boxes[0].x1, 10, 0, 0);
    df_loader_free(loader);
}

static void test_fixed_canvas(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);

    (void)state;
    config.canvas.fixed = true;
    config.canvas.canvas_width = 12;
    config.canvas.canvas_height = 16;
    struct df_loader *loader = open_loader(&config);
    for (size_t step = 0; step < 6; step++) {
        const struct df_batch *batch = get(loader, step);

        assert_int_equal(batch->width, 12);
        assert_int_equal(batch->height, 16);
        check_pixels(batch, 1);
    }
    df_loader_free(loader);
    config.canvas.canvas_width = 8;
    expect_failure(config, "does not fit");
    config.canvas.canvas_width = 13;
    expect_failure(config, "multiples of divisor 4");
}

static void test_bad_images(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);
    const struct df_batch *batch = NULL;
    struct df_error err;

    (void)state;
    broken = 4;
    for (size_t i = 0; i < IMAGES; i++)
        info[i].width = 10, info[i].height = 8; /* one canvas: three batches */
    config.shuffle = config.flip = false;
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        config.prefetch = prefetch;
        struct df_loader *loader = open_loader(&config);

        get(loader, 0);
        assert_fails(df_loader_get(loader, 1, &batch, &err), DF_ERR_FORMAT, "image 4 is broken");
        assert_null(batch);
        assert_int_equal(get(loader, 2)->n, 1);
        df_loader_free(loader);
    }
    config.skip_bad = true;
    struct df_loader *loader = open_loader(&config);
    for (int pass = 0; pass < 2; pass++) {
        batch = get(loader, 1);
        assert_int_equal(batch->truth[1].count, 0);
        for (size_t i = 0; i < batch->height * batch->width * 3; i++)
            assert_true(batch->pixels[batch->height * batch->width * 3 + i] == 0);
        check_pixels(batch, 0);
        check_truth(batch, 2);
    }
    get(loader, 2);
    assert_int_equal(df_loader_skipped(loader), 1);
    df_loader_free(loader);
}

static void test_bad_configs(void **state)
{
    struct df_dataset dataset = fake_dataset();
    struct df_loader_config config = standard(&dataset);

    (void)state;
    config.batch = 6;
    expect_failure(config, "none with as many as one batch of 6");
    for (size_t i = 0; i < IMAGES; i++)
        info[i].width = 10, info[i].height = 8;
    config.batch = 8;
    expect_failure(config, "less than one batch");
    config.batch = 0;
    expect_failure(config, "batch of 0");
    config = standard(&dataset);
    config.canvas.mean.count = 1;
    expect_failure(config, "expected 3");
}

static void quiet(void *context, const char *text)
{
    (void)context;
    (void)text;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),     cmocka_unit_test(test_not_shuffled), cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_kept_images), cmocka_unit_test(test_resizing),     cmocka_unit_test(test_fixed_canvas),
        cmocka_unit_test(test_bad_images),  cmocka_unit_test(test_bad_configs),
    };

    df_warn_set(quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
