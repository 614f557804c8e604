/* The owner of data: what it opens and when, what its splits share, what a spec says of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/data/data.h"
#include "core/data/image_codec.h"
#include "tests/support/support.h"

/* ---- a class that counts ---- */

static struct df_dataset fake[DF_SPLITS];
static int opened[DF_SPLITS], closed, failures;
static struct df_dataset_class counting;

static df_status open_fake(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    opened[split]++;
    if (failures && failures--)
        return df_fail(err, DF_ERR_IO, "not yet");
    fake[split] = (struct df_dataset){ .class = data->class, .hash = 0x10 + split };
    *out = &fake[split];
    return DF_OK;
}

static void close_fake(struct df_dataset *dataset)
{
    assert_ptr_equal(dataset->class, &counting);
    closed++;
}

static const df_option no_options[] = { { 0 } };
static struct df_dataset_class counting = {
    .abi = DF_DATASET_ABI, .name = "counting", .options = no_options, .options_size = 1, .open = open_fake, .close = close_fake
};

static void splits_are_opened_when_asked_for_and_once(void **state)
{
    struct df_data *data = df_data_new(&counting, ".");
    struct df_dataset *split = &fake[0], *again;
    struct df_error err = { 0 };
    char hash[51];

    (void)state;
    assert_int_equal(opened[DF_TRAIN] + opened[DF_TUNE] + opened[DF_VALIDATION], 0);
    failures = 1;
    assert_fails(df_data_split(data, DF_TUNE, &split, &err), DF_ERR_IO, "not yet");
    assert_null(split);
    assert_ok(df_data_split(data, DF_TUNE, &split, &err)); /* what has failed is asked again */
    assert_ok(df_data_split(data, DF_TUNE, &again, &err));
    assert_ptr_equal(split, &fake[DF_TUNE]);
    assert_ptr_equal(split, again);
    assert_int_equal(opened[DF_TUNE], 2);
    assert_int_equal(opened[DF_TRAIN] + opened[DF_VALIDATION], 0);
    failures = 1;
    assert_fails(df_data_hash(data, hash, &err), DF_ERR_IO, "not yet");
    for (int k = 0; k < 2; k++) {
        assert_ok(df_data_hash(data, hash, &err));
        assert_string_equal(hash, "0000000000000010-0000000000000011-0000000000000012");
    }
    assert_int_equal(opened[DF_TRAIN], 2);
    assert_int_equal(opened[DF_TUNE], 2);
    assert_int_equal(opened[DF_VALIDATION], 1);
    df_data_free(data);
    assert_int_equal(closed, 3);
    df_data_free(NULL);
}

/* ---- files ---- */

enum { IMAGES = 6 };

static void write_file(const char *folder, const char *name)
{
    const uint8_t pixels[4 * 4 * 3] = { 9 };
    struct df_text json = DF_TEXT_INIT;
    struct df_error err = { 0 };
    char path[600];

    assert_ok(df_folder_make(folder, &err));
    df_text_add(&json, "{\"categories\":[{\"id\":1,\"name\":\"one\"}],\"annotations\":[],\"images\":[");
    for (int i = 0; i < IMAGES; i++) {
        df_text_addf(&json, "%s{\"id\":%d,\"file_name\":\"%d.png\",\"width\":4,\"height\":4}", i ? "," : "", i + 1, i);
        snprintf(path, sizeof path, "%s/%d.png", folder, i);
        assert_ok(df_png_write(path, pixels, 4, 4, &err));
    }
    df_text_add(&json, "]}");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(df_file_write(path, json.data, json.length, &err));
    df_text_release(&json);
}

static df_status read_spec(const char *text, const char *instead, struct df_data **out, struct df_error *err)
{
    char file[600];
    cJSON *root;

    snprintf(file, sizeof file, "%s/specs/a.json", df_test_folder());
    DF_TRY(df_json_parse(text, strlen(text), file, &root, err));
    const df_status status = df_data_read(root, file, instead, out, err);

    cJSON_Delete(root);
    return status;
}

static struct df_data *good(const char *text)
{
    struct df_data *data;
    struct df_error err = { 0 };

    assert_ok(read_spec(text, NULL, &data, &err));
    return data;
}

static const struct df_category *categories(struct df_data *data, enum df_split split, size_t size)
{
    struct df_dataset *dataset;
    struct df_error err = { 0 };

    assert_ok(df_data_split(data, split, &dataset, &err));
    assert_int_equal(dataset->size, size);
    return dataset->category;
}

#define FILES(more) "{\"base\":\"../files\",\"data\":{\"kind\":\"coco\",\"train\":\"all.json\",\"validation\":\"some.json\"" more "}}"

/* A split's categories are those of its file as it was parsed: the same ones where it was parsed once. */
static void a_file_is_parsed_once(void **state)
{
    struct df_data *data, *newer, *apart;
    struct df_error err = { 0 };
    char folder[512];

    (void)state;
    snprintf(folder, sizeof folder, "%s/specs", df_test_folder());
    assert_ok(df_folder_make(folder, &err));
    snprintf(folder, sizeof folder, "%s/files", df_test_folder());
    write_file(folder, "all.json");
    write_file(folder, "some.json");
    data = good(FILES(",\"tune_every\":3"));
    newer = good(FILES(",\"tune_every\":2"));
    apart = good(FILES(",\"tune_every\":2"));
    newer->older = data;

    const struct df_category *all = categories(data, DF_TRAIN, 4), *some = categories(data, DF_VALIDATION, 6);

    assert_ptr_not_equal(all, some);
    assert_ptr_equal(categories(data, DF_TUNE, 2), all);
    assert_ptr_equal(categories(newer, DF_VALIDATION, 6), some);
    assert_ptr_equal(categories(newer, DF_TUNE, 3), all);
    assert_ptr_not_equal(categories(apart, DF_TUNE, 3), all);
    assert_string_equal(categories(newer, DF_TRAIN, 3)->name, "one");
    df_data_free(newer); /* with `data` */
    df_data_free(apart);
}

/* ---- specs ---- */

static void the_spec_says_kind_options_and_base(void **state)
{
    static const struct {
        const char *text, *instead, *message;
    } bad[] = {
        { "{}", NULL, "data" },
        { "{\"data\":{\"image_size\":48}}", NULL, "/data" },
        { "{\"data\":{\"kind\":\"coca\"}}", NULL,
          "/data/kind: unknown data kind 'coca' (did you mean 'coco'? there are: scenes, coco, synthetic)" },
        { "{\"data\":{\"kind\":\"coco\",\"trian\":\"a\"}}", NULL, "did you mean 'train'" },
        { "{\"data\":{\"kind\":\"scenes\"},\"base\":\"a\"}", NULL, "specs/a.json/base: has no effect, for scenes are read from no files" },
        { "{\"data\":{\"kind\":\"scenes\"}}", "a", "--data-path: has no effect, for scenes are read from no files" },
        { "{\"data\":{\"kind\":\"coco\"},\"base\":3}", NULL, "base" },
    };
    struct df_data *data, *moved;
    struct df_error err = { 0 };
    char expected[600];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        data = (struct df_data *)&err;
        assert_fails(read_spec(bad[i].text, bad[i].instead, &data, &err), DF_ERR_USAGE, bad[i].message);
        assert_null(data);
    }
    data = good(FILES(""));
    snprintf(expected, sizeof expected, "%s/specs/../files", df_test_folder());
    assert_string_equal(data->base, expected);
    assert_ok(read_spec(FILES(""), "/elsewhere", &moved, &err));
    assert_string_equal(moved->base, "/elsewhere");
    assert_false(df_data_same(data, moved));
    df_data_free(moved);
    moved = good(FILES(",\"tune_every\":5")); /* which is the default */
    assert_true(df_data_same(data, moved));
    df_data_free(moved);
    moved = good(FILES(",\"tune_every\":6"));
    assert_false(df_data_same(data, moved));
    df_data_free(moved);
    moved = good("{\"data\":{\"kind\":\"coco\",\"train\":\"a\"}}");
    snprintf(expected, sizeof expected, "%s/specs", df_test_folder());
    assert_string_equal(moved->base, expected);
    df_data_free(moved);
    df_data_free(data);
}

/* Every class either reads files or says how many images its options ask for. */
static void sizes_are_known_where_no_file_decides(void **state)
{
    const int64_t images[DF_SPLITS] = { 3, 2, 4 };
    size_t rendered = 0;

    (void)state;
    for (size_t i = 0; df_dataset_classes[i]; i++) {
        struct df_data *data = df_data_new(df_dataset_classes[i], ".");

        for (int k = 0; k < DF_SPLITS; k++)
            assert_int_equal(df_data_images(data, (enum df_split)k) == 0, data->class->from_files);
        if (!data->class->from_files) {
            df_data_resize(data, images);
            for (int k = 0; k < DF_SPLITS; k++) {
                assert_int_equal(df_data_images(data, (enum df_split)k), images[k]);
                (void)categories(data, (enum df_split)k, (size_t)images[k]);
            }
            rendered++;
        }
        df_data_free(data);
    }
    assert_true(rendered > 0); /* `defeat data` takes one of them where no kind is given */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_are_opened_when_asked_for_and_once),
        cmocka_unit_test(a_file_is_parsed_once),
        cmocka_unit_test(the_spec_says_kind_options_and_base),
        cmocka_unit_test(sizes_are_known_where_no_file_decides),
    };

    return cmocka_run_group_tests_name("data", tests, NULL, NULL);
}
