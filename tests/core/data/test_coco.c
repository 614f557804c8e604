/* The coco dataset on a folder of small PNG files: splits, missing files, sizes, hashes; finding datasets by name; contact sheets. */
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/data/contact_sheet.h"
#include "core/data/data.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"

extern const struct df_dataset_class df_dataset_scenes, df_dataset_coco;

enum { IMAGES = 11 };
static char warned[4096];
static void note_warning(void *context, const char *text)
{
    const size_t length = strlen(warned);

    (void)context;
    snprintf(warned + length, sizeof warned - length, "%s\n", text);
}

static void in_folder(char path[512], const char *name) { snprintf(path, 512, "%s/%s", df_test_folder(), name); }

/* Image i is (6 + i) x 5, filled with i; box i is at (1, 1), 2 x 3, of class i % 2. claim: added to the width that the JSON says. */
static void write_data(const char *json, int claim, bool with_sizes)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_error err;
    char path[512];

    df_text_add(&text, "{\"images\":[");
    for (int i = 0; i < IMAGES; i++) {
        uint8_t rgb[3 * 16 * 5];
        char name[64];

        snprintf(name, sizeof name, "image %d.png", i);
        in_folder(path, name);
        memset(rgb, i, sizeof rgb);
        assert_ok(df_png_write(path, rgb, 6 + i, 5, &err));
        df_text_addf(&text, "%s{\"id\":%d,\"file_name\":\"%s\"", i ? "," : "", 100 - i, name);
        if (with_sizes)
            df_text_addf(&text, ",\"width\":%d,\"height\":5", 6 + i + claim);
        df_text_add(&text, "}");
    }
    df_text_add(&text, "],\"categories\":[{\"id\":5,\"name\":\"five\"},{\"id\":9,\"name\":\"nine\"}],\"annotations\":[");
    for (int i = 0; i < IMAGES; i++)
        df_text_addf(&text, "%s{\"id\":%d,\"image_id\":%d,\"category_id\":%d,\"area\":6,\"bbox\":[1,1,2,3]}", i ? "," : "", i + 1, 100 - i,
                     i % 2 ? 9 : 5);
    df_text_add(&text, "]}");
    in_folder(path, json);
    assert_ok(df_file_write(path, text.data, text.length, &err));
    df_text_release(&text);
}

static void *options_of(const char *const *words)
{
    void *options = calloc(1, df_dataset_coco.options_size);
    struct df_error err;

    df_options_standard(df_dataset_coco.options, options);
    for (; words[0]; words += 2)
        assert_ok(df_options_set(df_dataset_coco.options, words[0], words[1], "test", options, &err));
    warned[0] = 0;
    return options;
}

static df_status open_split(const char *const *words, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    void *options = options_of(words);
    const df_status status = df_dataset_coco.open(
        &(struct df_data){ .class = &df_dataset_coco, .options = options, .base = (char *)df_test_folder() }, split, out, err);

    free(options);
    return status;
}

static void test_tuning_share(void **state)
{
    static const char *const words[] = { "train", "gt.json", "validation", "gt.json", "tune_every", "4", NULL };
    static const char *const other[] = { "train", "gt.json", "tune_every", "3", NULL };
    static const size_t sizes[DF_SPLITS] = { 9, 2, 11 };
    struct df_dataset *split[DF_SPLITS], *again;
    struct df_image image = { 0 };
    struct df_error err;
    bool seen[IMAGES] = { false };

    (void)state;
    write_data("gt.json", 0, true);
    for (int k = 0; k < DF_SPLITS; k++) {
        assert_ok(open_split(words, (enum df_split)k, &split[k], &err));
        assert_int_equal(split[k]->size, sizes[k]);
        for (size_t i = 0; i < split[k]->size; i++) {
            assert_ok(split[k]->class->read(split[k], i, &image, &err));
            const int number = image.pixels[0];

            assert_int_equal(image.width, 6 + number);
            assert_int_equal(split[k]->info[i].id, 100 - number);
            assert_int_equal(split[k]->info[i].objects[0].label, number % 2);
            if (k != DF_VALIDATION) {
                assert_false(seen[number]);
                seen[number] = true;
            }
        }
    }
    assert_int_equal(split[DF_TUNE]->info[0].id, 93); /* ids 90..100: the 4th and the 8th */
    assert_int_equal(split[DF_TUNE]->info[1].id, 97);
    assert_true(split[DF_TRAIN]->hash != split[DF_TUNE]->hash && split[DF_TRAIN]->hash != split[DF_VALIDATION]->hash);
    assert_ok(open_split(words, DF_TRAIN, &again, &err));
    assert_true(again->hash == split[DF_TRAIN]->hash);
    df_dataset_close(again);
    assert_ok(open_split(other, DF_TRAIN, &again, &err));
    assert_true(again->hash != split[DF_TRAIN]->hash);
    df_dataset_close(again);
    for (int k = 0; k < DF_SPLITS; k++)
        df_dataset_close(split[k]);
    df_dataset_close(NULL);
    df_image_release(&image);
    assert_string_equal(warned, "");
}

static void test_failures(void **state)
{
    static const char *const words[] = { "train", "gt.json", NULL }, *const none[] = { "train", "none.json", NULL };
    struct df_dataset *dataset;
    struct df_error err;
    char path[512];

    (void)state;
    write_data("gt.json", 0, true);
    assert_fails(open_split(words, DF_VALIDATION, &dataset, &err), DF_ERR_USAGE, "no 'validation'");
    assert_fails(open_split(none, DF_TRAIN, &dataset, &err), DF_ERR_NOT_FOUND, "none.json");
    in_folder(path, "image 3.png");
    assert_int_equal(unlink(path), 0);
    assert_ok(open_split(words, DF_TRAIN, &dataset, &err)); /* may be left out: whoever trains with all of them is stopped there */
    assert_int_equal(dataset->unreadable, 1);
    assert_non_null(strstr(dataset->first_unreadable, "image 3.png"));
    assert_non_null(strstr(warned, "1 of 9 image files are missing or unreadable"));
    assert_non_null(strstr(warned, "image 3.png"));
    warned[0] = 0;
    df_dataset_close(dataset);
}

static void test_sizes(void **state)
{
    static const char *const words[] = { "validation", "gt.json", NULL };
    struct df_dataset *dataset;
    struct df_error err;

    (void)state;
    write_data("gt.json", 0, false);
    assert_ok(open_split(words, DF_VALIDATION, &dataset, &err));
    assert_int_equal(dataset->info[0].width, 16); /* id 90 is image 10 */
    assert_int_equal(dataset->info[0].height, 5);
    assert_non_null(strstr(warned, "11 of 11 images have no size in the annotations")); /* in one line */
    assert_ptr_equal(strchr(warned, '\n'), strrchr(warned, '\n'));
    df_dataset_close(dataset);

    write_data("gt.json", 4, true);
    assert_fails(open_split(words, DF_VALIDATION, &dataset, &err), DF_ERR_FORMAT, "the file is 16 x 5, but its annotations say 20 x 5");
    assert_null(dataset);
}

/* Tuning and validation pictures may lie in folders of their own; those of training stay where they are. */
static void test_folders(void **state)
{
    static const char *const words[] = { "train",   "gt.json",     "tune",     "gt.json",           "validation",
                                         "gt.json", "tune_images", "for tune", "validation_images", "for validation",
                                         NULL };
    struct df_dataset *dataset;
    struct df_error err;

    (void)state;
    write_data("gt.json", 0, true);
    assert_ok(open_split(words, DF_TRAIN, &dataset, &err));
    df_dataset_close(dataset);
    assert_fails(open_split(words, DF_TUNE, &dataset, &err), DF_ERR_NOT_FOUND, "/for tune/image 10.png");
    assert_fails(open_split(words, DF_VALIDATION, &dataset, &err), DF_ERR_NOT_FOUND, "/for validation/image 10.png");
}

/* What cannot be read is told when the split is opened: refused where it would be evaluated, a warning where training may skip it. */
static void test_unreadable(void **state)
{
    static const char *const words[] = { "train", "gt.json", "validation", "gt.json", NULL };
    static const uint8_t picture[9 * 5 * 3];
    struct df_dataset *dataset;
    struct df_error err;
    char path[512];

    (void)state;
    write_data("gt.json", 0, true);
    in_folder(path, "image 3.png");
    assert_ok(df_file_write(path, "no picture", 10, &err));
    assert_fails(open_split(words, DF_VALIDATION, &dataset, &err), DF_ERR_FORMAT, "image 3.png: not an image");
    assert_ok(open_split(words, DF_TRAIN, &dataset, &err));
    assert_non_null(strstr(warned, "1 of 9 training images cannot be read, the first is "));
    assert_non_null(strstr(warned, "image 3.png: not an image"));
    df_dataset_close(dataset);
    assert_ok(df_png_write(path, picture, 9, 5, &err));
    assert_int_equal(truncate(path, 45), 0); /* the header is whole */
    assert_fails(open_split(words, DF_VALIDATION, &dataset, &err), DF_ERR_FORMAT, "image 3.png: damaged PNG");
    assert_int_equal(unlink(path), 0);
    in_folder(path, "IMAGE 3.png");
    assert_ok(df_file_write(path, "elsewhere", 9, &err));
    assert_fails(open_split(words, DF_VALIDATION, &dataset, &err), DF_ERR_NOT_FOUND, "its folder has 'IMAGE 3.png'");
    assert_int_equal(unlink(path), 0);
}

/* Two classes of one name, and one without, are told apart. */
static void test_labels(void **state)
{
    static const struct df_category category[] = { { 3, "cat" }, { 7, "dog" }, { 9, "cat" }, { 11, "" } };
    static const char *const label[] = { "cat (id 3)", "dog", "cat (id 9)", "(id 11)" };

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        struct df_text text = DF_TEXT_INIT;

        df_category_label(category, 4, k, &text);
        assert_string_equal(df_text_get(&text), label[k]);
        df_text_release(&text);
    }
}

static void test_find(void **state)
{
    struct df_error err;

    (void)state;
    assert_ptr_equal(df_dataset_class_find("coco", &err), &df_dataset_coco);
    assert_ptr_equal(df_dataset_class_find("scenes", &err), &df_dataset_scenes);
    assert_null(df_dataset_class_find("scnes", &err));
    assert_int_equal(err.status, DF_ERR_USAGE);
    assert_non_null(strstr(err.text, "did you mean 'scenes'"));
    for (size_t i = 0; df_dataset_classes[i]; i++)
        assert_int_equal(df_dataset_classes[i]->abi, DF_DATASET_ABI);
}

static void test_same_categories(void **state)
{
    static const struct df_category some[] = { { 3, "cat" }, { 5, "dog" } }, other_id[] = { { 3, "cat" }, { 6, "dog" } },
                                    other_name[] = { { 3, "cat" }, { 5, "cow" } };
    const struct df_dataset a = { .categories = 2, .category = some }, b = { .categories = 2, .category = other_id },
                            c = { .categories = 2, .category = other_name }, d = { .categories = 1, .category = some };
    struct df_error err;

    (void)state;
    assert_ok(df_dataset_same_categories(&a, &a, &err));
    assert_fails(df_dataset_same_categories(&a, &b, &err), DF_ERR_FORMAT, "6 'dog'");
    assert_fails(df_dataset_same_categories(&a, &c, &err), DF_ERR_FORMAT, "'cow'");
    assert_fails(df_dataset_same_categories(&a, &d, &err), DF_ERR_FORMAT, "2 and 1 categories");
}

static const uint8_t *pixel(const struct df_image *image, int x, int y) { return image->pixels + 3 * (y * image->width + x); }

/* Image 90 is 16 x 5, enlarged 4 times in a cell of 64: its box covers (4, 4) to (12, 16) of the cell. */
static void test_contact_sheet(void **state)
{
    static const char *const words[] = { "validation", "gt.json", NULL };
    struct df_sheet_options options = { .from = 0, .count = 100, .columns = 4, .cell = 64, .boxes = true };
    struct df_image sheet = { 0 };
    struct df_dataset *dataset;
    struct df_error err;

    (void)state;
    write_data("gt.json", 0, true);
    assert_ok(open_split(words, DF_VALIDATION, &dataset, &err));
    assert_ok(df_contact_sheet(dataset, &options, &sheet, &err));
    assert_int_equal(sheet.width, 6 + 4 * 70);
    assert_true(pixel(&sheet, 6 + 60, 6 + 18)[0] == 10 && pixel(&sheet, 6 + 60, 6 + 18)[2] == 10); /* the image, filled with 10 */
    assert_true(pixel(&sheet, 6 + 7, 6 + 4)[0] > 200 && pixel(&sheet, 6 + 7, 6 + 4)[2] < 100);     /* the upper side of the box, red */
    assert_true(pixel(&sheet, 6 + 14, 6 + 4)[0] == 10);                                            /* outside the box */
    assert_true(pixel(&sheet, 2, 2)[0] == 24);                                                     /* between the images */
    options.from = 11;
    assert_fails(df_contact_sheet(dataset, &options, &sheet, &err), DF_ERR_USAGE, "there are 11");
    df_image_release(&sheet);
    df_dataset_close(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tuning_share), cmocka_unit_test(test_failures),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_folders),      cmocka_unit_test(test_unreadable),      cmocka_unit_test(test_labels),
        cmocka_unit_test(test_find),         cmocka_unit_test(test_same_categories), cmocka_unit_test(test_contact_sheet),
    };

    df_warn_set(note_warning, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
