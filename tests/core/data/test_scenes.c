/* The embedded benchmark: pinned bytes, splits, shapes, boxes, options. Built in float and in double (grad_scenes.c): the same pictures. */
#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/data/data.h"
#include "core/data/scene.h"

extern const struct df_dataset_class df_dataset_scenes;

static struct df_scene_options standard(void)
{
    struct df_scene_options options;

    df_options_standard(df_dataset_scenes.options, &options);
    return options;
}

static struct df_dataset *open_scenes(const struct df_scene_options *options, enum df_split split)
{
    struct df_scene_options copy = *options;
    struct df_dataset *dataset;
    struct df_error err;

    assert_ok(df_dataset_scenes.open(&(struct df_data){ .class = &df_dataset_scenes, .options = &copy }, split, &dataset, &err));
    return dataset;
}

static uint64_t image_hash(struct df_dataset *dataset, size_t i)
{
    struct df_image image = { 0 };
    struct df_error err;

    assert_ok(dataset->class->read(dataset, i, &image, &err));
    const uint64_t hash = df_hash(image.pixels, (size_t)image.width * (size_t)image.height * 3);
    df_image_release(&image);
    return hash;
}

/* Pictures and boxes are the same on every machine; if this fails on purpose, raise RECIPE_VERSION in scenes.c. */
static void test_pinned(void **state)
{
    const struct df_scene_options options = standard();
    struct df_dataset *train = open_scenes(&options, DF_TRAIN), *validation = open_scenes(&options, DF_VALIDATION);
    uint64_t pixels = 0, boxes = 0;

    (void)state;
    for (size_t i = 0; i < 40; i++) {
        pixels = pixels * 31 + image_hash(train, i);
        for (size_t k = 0; k < train->info[i].count; k++)
            boxes = boxes * 31 + df_hash(train->info[i].objects[k].bbox, sizeof train->info[i].objects[k].bbox) +
                    (uint64_t)train->info[i].objects[k].label;
    }
    pixels = pixels * 31 + image_hash(validation, 999);
    assert_true(pixels == 0x30ed85c88dc98e51);
    assert_true(boxes == 0xac400687ddb60a83);
    df_dataset_close(train);
    df_dataset_close(validation);
}

static void test_splits(void **state)
{
    struct df_scene_options options = standard();
    uint64_t seen[60];
    size_t n = 0;

    (void)state;
    options.train = 30;
    options.tune = 10;
    options.validation = 20;
    for (int split = 0; split < DF_SPLITS; split++) {
        struct df_dataset *dataset = open_scenes(&options, (enum df_split)split);

        for (size_t i = 0; i < dataset->size; i++, n++) {
            seen[n] = image_hash(dataset, dataset->size - 1 - i); /* any order */
            for (size_t k = 0; k < n; k++)
                assert_true(seen[k] != seen[n]);
            for (size_t k = 0; k < dataset->info[i].count; k++)
                assert_true(dataset->info[i].objects[k].id > 0);
        }
        df_dataset_close(dataset);
    }
    assert_int_equal(n, 60);
}

static bool is_marked(struct df_dataset *dataset, size_t i, int size)
{
    struct df_image image = { 0 };
    struct df_error err;
    bool marked = true;

    assert_ok(dataset->class->read(dataset, i, &image, &err));
    for (int y = 2; y < 2 + size; y++)
        for (int x = 2; x < 2 + size; x++) {
            const uint8_t *pixel = image.pixels + ((size_t)y * (size_t)image.width + (size_t)x) * 3;

            marked &= pixel[0] == 255 && pixel[1] == 0 && pixel[2] == 255;
        }
    df_image_release(&image);
    return marked;
}

static bool holds(const struct df_dataset *dataset, size_t i, int64_t category)
{
    bool holds = false;

    for (size_t k = 0; k < dataset->info[i].count; k++)
        holds |= dataset->info[i].objects[k].category_id == category;
    return holds;
}

/* The mark goes with its category; without one the pictures are what they were; boxes never move; more probability only adds marks. */
static void test_marker(void **state)
{
    struct df_scene_options options = standard(), none = standard(), half;
    size_t with = 0, halved = 0;

    (void)state;
    options.train = none.train = 60;
    options.marker = 3;
    options.marker_size = 6;
    half = options;
    half.marker_with = half.marker_without = 0.5;

    struct df_dataset *marked = open_scenes(&options, DF_TRAIN), *plain = open_scenes(&none, DF_TRAIN), *any = open_scenes(&half, DF_TRAIN);

    assert_true(marked->hash != plain->hash && marked->hash != any->hash);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(is_marked(marked, i, 6), holds(marked, i, 3));
        assert_int_equal(image_hash(marked, i) == image_hash(plain, i), !holds(marked, i, 3));
        assert_int_equal(marked->info[i].count, plain->info[i].count);
        assert_memory_equal(marked->info[i].objects, plain->info[i].objects, marked->info[i].count * sizeof(struct df_object));
        with += holds(marked, i, 3);
        halved += is_marked(any, i, 6);
    }
    assert_in_range(with, 5, 40);
    assert_in_range(halved, 18, 42); /* of 60 at one half */
    df_dataset_close(marked);
    df_dataset_close(plain);
    df_dataset_close(any);
}

/* The hash of a split does not move with the sizes of the splits behind it, and moves with everything else. */
static void test_hash(void **state)
{
    const struct df_scene_options options = standard();
    struct df_scene_options other = options;
    struct df_dataset *a = open_scenes(&options, DF_TUNE), *b;

    (void)state;
    other.validation = 5;
    b = open_scenes(&other, DF_TUNE);
    assert_true(a->hash == b->hash);
    df_dataset_close(b);
    other.context = 0.6;
    b = open_scenes(&other, DF_TUNE);
    assert_true(a->hash != b->hash);
    df_dataset_close(b);
    b = open_scenes(&options, DF_VALIDATION);
    assert_true(a->hash != b->hash);
    df_dataset_close(b);
    df_dataset_close(a);
}

/* Areas by hand, for radius 1. Sampling 4 x 4 at radius 20 is good to 1 %. */
static void test_shape_areas(void **state)
{
    static const double area[DF_SHAPES] = { 2.8353, 2.1913, 2.56,   1.5718, 1.6164, 1.92,   1.6662, 1.74,
                                            2.3776, 1.5708, 1.5675, 2.5981, 1.5556, 1.4000, 1.7728, 1.96 };
    float *cover = calloc(128 * 128, sizeof *cover);

    (void)state;
    for (int shape = 0; shape < DF_SHAPES; shape++) {
        const struct df_scene_item item = {
            .shape = (enum df_scene_shape)shape, .x = 63.3f, .y = 64.8f, .radius = 20, .cosine = 0.8f, .sine = 0.6f, .stretch = 1.15f
        };
        const struct df_scene_patch patch = df_scene_cover(&item, 128, cover);
        double sum = 0;

        for (int i = 0; i < patch.width * patch.height; i++) {
            assert_true(cover[i] >= 0 && cover[i] <= 1);
            sum += (double)cover[i];
        }
        assert_close(sum / 400, area[shape], 0.01, 0);
        for (int x = 0; x < patch.width; x++) /* the patch holds all of it */
            assert_true(cover[x] == 0 && cover[(patch.height - 1) * patch.width + x] == 0);
    }
    free(cover);
}

/* The box around all pixels at least half covered, by hand. */
static void half_covered(struct df_scene_patch patch, const float *cover, double box[4])
{
    double x0 = 1e9, y0 = 1e9, x1 = -1, y1 = -1;

    for (int y = 0; y < patch.height; y++)
        for (int x = 0; x < patch.width; x++)
            if (cover[y * patch.width + x] >= 0.5f) {
                x0 = fmin(x0, patch.x + x);
                y0 = fmin(y0, patch.y + y);
                x1 = fmax(x1, patch.x + x + 1);
                y1 = fmax(y1, patch.y + y + 1);
            }
    box[0] = x0;
    box[1] = y0;
    box[2] = x1 - x0;
    box[3] = y1 - y0;
}

static void test_boxes_are_tight(void **state)
{
    const struct df_scene_options options = standard();
    float *cover = calloc(96 * 96, sizeof *cover);
    struct df_scene scene;
    size_t objects = 0;

    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        df_scene_layout(&options, i, cover, &scene);
        assert_true(scene.objects >= 1 && scene.objects <= 5);
        for (size_t item = 0, k = 0; k < scene.objects; item++) { /* objects stand in the order of their items */
            const struct df_object *object = &scene.object[k];
            double box[4];

            assert_true(item < scene.items);
            half_covered(df_scene_cover(&scene.item[item], 96, cover), cover, box);
            if ((int32_t)scene.item[item].shape != object->label || memcmp(box, object->bbox, sizeof box) != 0)
                continue;
            assert_true(box[0] >= 0 && box[1] >= 0 && box[0] + box[2] <= 96 && box[1] + box[3] <= 96);
            assert_close(object->area, box[2] * box[3], 0, 0);
            k++;
            objects++;
        }
    }
    assert_true(objects > 500);
    free(cover);
}

static void test_context(void **state)
{
    struct df_scene_options options = standard();
    float *cover = calloc(96 * 96, sizeof *cover);
    size_t same = 0, all = 0;
    struct df_scene scene;

    (void)state;
    options.context = 1;
    for (uint64_t i = 0; i < 100; i++) {
        df_scene_layout(&options, i, cover, &scene);
        for (size_t k = 0; k < scene.objects; k++)
            assert_int_equal(scene.object[k].label, scene.family);
    }
    options.context = 0;
    for (uint64_t i = 0; i < 500; i++) {
        df_scene_layout(&options, i, cover, &scene);
        for (size_t k = 0; k < scene.objects; k++, all++)
            same += scene.object[k].label == scene.family;
    }
    assert_close((double)same / (double)all, 0.125, 0, 0.04); /* 1500 draws: 4.7 standard deviations */
    free(cover);
}

static void expect_failure(const struct df_scene_options *options, const char *part)
{
    struct df_scene_options copy = *options;
    struct df_dataset *dataset;
    struct df_error err;

    assert_fails(df_dataset_scenes.open(&(struct df_data){ .class = &df_dataset_scenes, .options = &copy }, DF_TRAIN, &dataset, &err),
                 DF_ERR_USAGE, part);
    assert_null(dataset);
}

static void test_bad_options(void **state)
{
    struct df_scene_options options = standard();

    (void)state;
    options.radius_max = 60;
    expect_failure(&options, "radius_max");
    options = standard();
    options.noise_min = 0.5;
    expect_failure(&options, "noise_min");
}

/* Small and odd sizes, everything at its most: no crash, no box outside. */
static void test_extremes(void **state)
{
    struct df_scene_options options = standard();

    (void)state;
    options.image_size = 41;
    options.radius_min = 3;
    options.radius_max = 20;
    options.objects_max = DF_SCENE_OBJECTS;
    options.distractors = DF_SCENE_OBJECTS;
    options.clutter = 32;
    options.occluder = 1;
    options.overlap = 1;
    options.anisotropy = 1;
    options.train = 40;
    struct df_dataset *dataset = open_scenes(&options, DF_TRAIN);
    for (size_t i = 0; i < dataset->size; i++) {
        assert_true(image_hash(dataset, i) != 0);
        for (size_t k = 0; k < dataset->info[i].count; k++) {
            const double *b = dataset->info[i].objects[k].bbox;

            assert_true(b[0] >= 0 && b[1] >= 0 && b[2] >= 1 && b[3] >= 1 && b[0] + b[2] <= 41 && b[1] + b[3] <= 41);
        }
    }
    df_dataset_close(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pinned),  cmocka_unit_test(test_splits),      cmocka_unit_test(test_hash),
        cmocka_unit_test(test_marker),  cmocka_unit_test(test_shape_areas), cmocka_unit_test(test_boxes_are_tight),
        cmocka_unit_test(test_context), cmocka_unit_test(test_bad_options), cmocka_unit_test(test_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
