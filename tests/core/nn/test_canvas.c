/* Images that reach the device as bytes: resized, mirrored, normalised and padded there, they are what the loader makes of them on the host, to
 * the last bit. */
#include <stdlib.h>
#include <string.h>

#include "core/data/loader.h"
#include "core/nn/ops.h"
#include "tests/support/support.h"

enum { IMAGES = 5, BROKEN = 3 };

static df_status drawn_read(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    const struct df_image_info *info = &dataset->info[i];
    struct df_rng rng;

    if (i == BROKEN)
        return df_fail(err, DF_ERR_FORMAT, "image %zu is broken", i);
    df_image_reserve(out, info->width, info->height, 0);
    df_rng_init(&rng, i, DF_RNG_SCENE, 0);
    for (int k = 0; k < 3 * info->width * info->height; k++)
        out->pixels[k] = (uint8_t)df_rng_below(&rng, 256);
    return DF_OK;
}

static const struct df_dataset_class drawn_class = { .abi = DF_DATASET_ABI, .name = "drawn", .read = drawn_read };
static struct df_image_info info[IMAGES] = { { .id = 1, .file_name = "", .width = 37, .height = 29 },
                                             { .id = 2, .file_name = "", .width = 40, .height = 24 },
                                             { .id = 3, .file_name = "", .width = 16, .height = 16 },
                                             { .id = 4, .file_name = "", .width = 30, .height = 31 },
                                             { .id = 5, .file_name = "", .width = 61, .height = 43 } };

struct look { /* at the same images by both ways */
    struct df_loader *packed, *made;
};

static struct look look(struct df_dataset *dataset, int64_t min_side, size_t memory, bool prefetch)
{
    struct df_loader_config config = {
        .dataset = dataset, .batch = 4, .seed = 7, .shuffle = true, .flip = true, .memory_limit = memory, .skip_bad = true
    };
    struct df_error err = { 0 };
    struct look l;

    df_options_standard(df_canvas_option_table, &config.canvas);
    config.canvas.min_side = min_side;
    config.canvas.max_side = 64;
    config.canvas.fixed = true;
    config.canvas.canvas_width = config.canvas.canvas_height = 64;
    assert_ok(df_loader_new(&config, &l.made, &err));
    config.packed = true;
    config.prefetch = prefetch;
    assert_ok(df_loader_new(&config, &l.packed, &err));
    return l;
}

static void compare(df_tape *tape, const struct df_batch *packed, const struct df_batch *made)
{
    const struct df_packed_images images = { packed->n, packed->height, packed->width, packed->image, packed->bytes, packed->normal };
    const size_t count = made->n * made->height * made->width * 3;
    df_real *found = malloc(count * sizeof *found), pixel[3];

    df_tape_reset(tape);
    assert_null(packed->pixels);
    df_read(df_tape_device(tape), found, df_canvas(tape, &images)->data, count * sizeof *found);
    assert_memory_equal(found, made->pixels, count * sizeof *found);
    for (size_t k = 0; k < count / 3; k++) {
        const struct df_batch *of = k % 2 ? packed : made;
        const size_t x = k % made->width, y = k / made->width % made->height;

        df_batch_pixel(of, k / made->width / made->height, y, x, pixel);
        assert_memory_equal(pixel, made->pixels + 3 * k, sizeof pixel);
    }
    free(found);
}

static void packed_images_are_what_the_host_makes(void **state)
{
    static const struct {
        int64_t min_side;
        size_t memory;
        bool prefetch;
    } by[] = { { 0, 0, false }, { 0, 1 << 20, true }, { 33, 0, true }, { 33, 1 << 20, false }, { 20, 0, false } };
    struct df_dataset dataset = { .class = &drawn_class, .size = IMAGES, .categories = 3, .info = info };
    struct df_device *device;
    struct df_error err = { 0 };
    size_t flips = 0;

    (void)state;
    assert_ok(df_device_open(df_test_device(), &device, &err));
    df_tape *tape = df_tape_new(device, false);

    for (size_t k = 0; k < sizeof by / sizeof *by; k++) {
        const struct look l = look(&dataset, by[k].min_side, by[k].memory, by[k].prefetch);

        const struct df_batch *packed, *made;

        assert_ok(df_loader_one(l.packed, BROKEN, true, &packed, &err)); /* before any other: there are no bytes yet */
        assert_ok(df_loader_one(l.made, BROKEN, true, &made, &err));
        compare(tape, packed, made);
        for (size_t step = 0; step < 6; step++) {
            assert_ok(df_loader_get(l.packed, step, &packed, &err));
            assert_ok(df_loader_get(l.made, step, &made, &err));
            compare(tape, packed, made);
            for (size_t i = 0; i < made->n; i++) {
                const struct df_batch one = df_batch_one(packed, i), alone = df_batch_one(made, i);

                compare(tape, &one, &alone);
                flips += made->flipped[i];
            }
        }
        assert_int_equal(df_loader_skipped(l.packed), df_loader_skipped(l.made));
        df_loader_free(l.packed);
        df_loader_free(l.made);
    }
    assert_true(flips > 0);
    df_tape_free(tape);
    df_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(packed_images_are_what_the_host_makes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
