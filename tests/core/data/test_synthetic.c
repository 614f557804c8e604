/* Made-up data: sizes, classes in turn, boxes inside of the image, splits that share nothing, bytes that are the same again. */
#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/data/data.h"

/* Of these options, the others at their defaults. */
static struct df_data *data_of(const char *options)
{
    struct df_data *data = df_data_new(df_dataset_class_find("synthetic", NULL), ".");
    struct df_error err;
    cJSON *object;

    assert_ok(df_json_parse(options, strlen(options), "synthetic", &object, &err));
    assert_ok(df_options_read(data->class->options, object, NULL, "synthetic", data->options, &err));
    cJSON_Delete(object);
    return data;
}

static struct df_dataset *split_of(struct df_data *data, enum df_split split)
{
    struct df_dataset *dataset;
    struct df_error err;

    assert_ok(df_data_split(data, split, &dataset, &err));
    return dataset;
}

static uint64_t image_hash(struct df_dataset *dataset, size_t i, struct df_image *image)
{
    struct df_error err;

    assert_ok(dataset->class->read(dataset, i, image, &err));
    return df_hash(image->pixels, (size_t)image->width * (size_t)image->height * 3);
}

/* An image of COCO, as `cost` takes one for granted. */
static void the_defaults(void **state)
{
    struct df_data *data = data_of("{}");
    const struct df_dataset *train = split_of(data, DF_TRAIN);

    (void)state;
    assert_int_equal(train->categories, 80);
    assert_int_equal(train->info[0].width, 640);
    assert_int_equal(train->info[0].height, 480);
    assert_int_equal(train->info[0].count, 7);
    df_data_free(data);
}

static void objects_lie_inside(void **state)
{
    struct df_data *data = data_of("{\"width\":50,\"height\":33,\"classes\":5,\"objects\":3,\"train\":40}");
    const struct df_dataset *train = split_of(data, DF_TRAIN);
    size_t seen = 0;

    (void)state;
    assert_int_equal(train->size, 40);
    for (size_t i = 0; i < train->size; i++)
        for (size_t k = 0; k < train->info[i].count; k++, seen++) {
            const struct df_object *object = &train->info[i].objects[k];

            assert_int_equal(object->id, seen + 1);
            assert_int_equal(object->label, seen % 5);
            assert_int_equal(object->category_id, train->category[object->label].id);
            assert_true(object->bbox[0] >= 0 && object->bbox[0] + object->bbox[2] <= 50 && object->bbox[2] >= 2.5);
            assert_true(object->bbox[1] >= 0 && object->bbox[1] + object->bbox[3] <= 33 && object->bbox[3] >= 1.65);
            assert_close(object->area, object->bbox[2] * object->bbox[3], 0, 0);
        }
    assert_int_equal(seen, 120);
    assert_string_equal(train->category[4].name, "class 5");
    df_data_free(data);
}

/* 17 x 19 x 3 bytes are no multiple of a word: the last byte is drawn as well. */
static void bytes_are_the_same_again(void **state)
{
    struct df_data *data = data_of("{\"width\":17,\"height\":19,\"train\":3,\"tune\":2,\"validation\":4}");
    struct df_image image = { 0 };
    uint64_t seen[9];
    size_t images = 0, total = 0;

    (void)state;
    for (int k = 0; k < DF_SPLITS; k++) {
        struct df_dataset *dataset = split_of(data, (enum df_split)k);

        for (size_t i = 0; i < dataset->size; i++, images++) {
            seen[images] = image_hash(dataset, i, &image);
            assert_true(image_hash(dataset, i, &image) == seen[images]);
            for (size_t j = 0; j < images; j++)
                assert_true(seen[j] != seen[images]);
        }
    }
    assert_int_equal(images, 9);
    for (size_t i = 0; i < 17 * 19 * 3; i++)
        total += image.pixels[i];
    assert_close((double)total / (17 * 19 * 3), 127.5, 0, 10); /* a mean of 969 even bytes deviates by 2.4 */
    df_image_release(&image);
    df_data_free(data);
}

static void the_hash_tells_options_and_splits_apart(void **state)
{
    static const char *const options[] = { "{}", "{\"width\":641}", "{\"height\":481}", "{\"classes\":79}", "{\"objects\":6}" };
    uint64_t seen[sizeof options / sizeof *options];

    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct df_data *data = data_of(options[i]);

        seen[i] = split_of(data, DF_TRAIN)->hash;
        assert_true(seen[i] != split_of(data, DF_TUNE)->hash);
        assert_true(split_of(data, DF_TUNE)->hash != split_of(data, DF_VALIDATION)->hash);
        for (size_t j = 0; j < i; j++)
            assert_true(seen[j] != seen[i]);
        df_data_free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults),
        cmocka_unit_test(objects_lie_inside),
        cmocka_unit_test(bytes_are_the_same_again),
        cmocka_unit_test(the_hash_tells_options_and_splits_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
