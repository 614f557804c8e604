/* COCO JSON: exact numbers, order, oddities, messages, round trips, and all JSON cases of the shared collection of bad inputs. */
#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/coco_json.h"
#include "core/data/data.h"

extern const struct df_dataset_class df_dataset_scenes, df_dataset_coco;

static char warned[8192];
static void note_warning(void *context, const char *text)
{
    const size_t length = strlen(warned);

    (void)context;
    snprintf(warned + length, sizeof warned - length, "%s\n", text);
}

static const char *write_json(const char *text)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/a.json", df_test_folder());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    warned[0] = 0;
    return path;
}

static struct df_coco_truth *read_text(const char *text, bool for_training)
{
    struct df_coco_truth *truth;
    struct df_error err;

    assert_ok(df_coco_truth_read(write_json(text), for_training, &truth, &err));
    return truth;
}

static void refuse_text(const char *text, const char *part)
{
    struct df_coco_truth *truth;
    struct df_error err;

    assert_fails(df_coco_truth_read(write_json(text), true, &truth, &err), DF_ERR_FORMAT, part);
    assert_null(truth);
    assert_non_null(strstr(err.text, "a.json"));
}

#define IMAGES                                                                                                                             \
    "\"images\":[{\"id\":9007199254740993,\"file_name\":\"b.png\",\"width\":20,\"height\":10},"                                            \
    "{\"id\":-4,\"file_name\":\"a.png\",\"width\":8,\"height\":16,\"license\":{\"x\":[1,[2]]}}]"
#define CATEGORIES           "\"categories\":[{\"id\":70,\"name\":\"zebra\"},{\"id\":3,\"name\":\"\\u00e9mu\"}]"
#define ANNOTATION(id, rest) "{\"id\":" #id ",\"image_id\":9007199254740993,\"category_id\":70,\"bbox\":[1,2,3.25,4]" rest "}"

static void test_exact(void **state)
{
    struct df_coco_truth *truth = read_text(
        "{\"info\":{\"a\":[[[1e-400]]]}," CATEGORIES ",\"annotations\":[" ANNOTATION(
            12, ",\"area\":0.1,\"iscrowd\":1,\"segmentation\":{\"counts\":[1,2]}") ","
                                                                                   "{\"id\":5.0,\"image_id\":-4,\"category_id\":3,\"bbox\":"
                                                                                   "[0.30000000000000004,0,1,2],\"area\":2}," ANNOTATION(
                                                                                       7, ",\"area\":13") "]," IMAGES "}",
        false);

    (void)state;
    assert_string_equal(warned, "");
    assert_int_equal(truth->images, 2);
    assert_int_equal(truth->categories, 2);
    assert_int_equal(truth->objects, 3);
    assert_int_equal(truth->category[0].id, 3); /* by rising id */
    assert_string_equal(truth->category[0].name, "\xc3\xa9mu");
    assert_true(truth->image[0].id == -4 && truth->image[1].id == 9007199254740993);
    assert_string_equal(truth->image[1].file_name, "b.png");
    assert_int_equal(truth->image[0].count, 1);
    assert_int_equal(truth->image[1].count, 2);
    assert_int_equal(truth->image[0].objects[0].id, 5);
    assert_int_equal(truth->image[0].objects[0].label, 0);
    assert_true(truth->image[0].objects[0].bbox[0] == 0.30000000000000004);
    assert_int_equal(truth->image[1].objects[0].id, 12); /* in file order */
    assert_int_equal(truth->image[1].objects[1].id, 7);
    assert_int_equal(truth->image[1].objects[0].label, 1);
    assert_true(truth->image[1].objects[0].crowd && !truth->image[1].objects[1].crowd);
    assert_true(truth->image[1].objects[0].area == 0.1 && truth->image[1].objects[0].bbox[2] == 3.25);
    df_coco_truth_free(truth);
    df_coco_truth_free(NULL);
}

static void test_put_right(void **state)
{
    static const char text[] = "{" IMAGES "," CATEGORIES ",\"annotations\":["
                               "{\"image_id\":-4,\"category_id\":3,\"bbox\":[0,0,2,3]},"
                               "{\"id\":41,\"image_id\":-4,\"category_id\":3,\"bbox\":[1,1,0,3],\"area\":0,\"iscrowd\":false},"
                               "{\"id\":42,\"image_id\":-4,\"category_id\":3,\"bbox\":[8,1,2,3],\"area\":-6},"
                               "{\"id\":43,\"image_id\":-4,\"category_id\":3,\"bbox\":[7,1,1e30,3],\"area\":6}]}";
    struct df_coco_truth *truth = read_text(text, true);

    (void)state;
    assert_int_equal(truth->objects, 4);                 /* the evaluation counts them all */
    assert_int_equal(truth->skipped, 2);                 /* the loader will */
    assert_int_equal(truth->image[0].objects[0].id, 44); /* the next free one */
    assert_close(truth->image[0].objects[0].area, 6, 0, 0);
    assert_int_equal(truth->image[0].objects[3].id, 43);
    assert_close(truth->image[0].objects[2].area, -6, 0, 0);
    assert_non_null(strstr(warned, "1 annotation without id"));
    assert_non_null(strstr(warned, "without area"));
    assert_non_null(strstr(warned, "true or false as iscrowd"));
    assert_non_null(strstr(warned, "of no extent: left out of training (first: annotation 2, id 41, line 1)"));
    assert_non_null(strstr(warned, "outside the image"));
    assert_non_null(strstr(warned, "clipped in training"));
    df_coco_truth_free(truth);
    truth = read_text(text, false); /* evaluation keeps everything as it is */
    assert_int_equal(truth->objects, 4);
    assert_int_equal(truth->skipped, 0);
    assert_close(truth->image[0].objects[2].area, -6, 0, 0);
    df_coco_truth_free(truth);
}

static void test_refused(void **state)
{
    (void)state;
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":[\n\n" ANNOTATION(1, "") ",\n" ANNOTATION(2, ",\"area\":\"x\"") "]}",
                "a.json:4: annotation 2 (id 2): 'area' is a string, expected a finite number");
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":[{\"id\":1,\"image_id\":5,\"category_id\":3,\"bbox\":[1,2,3,4]}]}",
                "annotation 1 (id 1): image_id 5 is not in 'images'");
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":[{\"id\":1,\"image_id\":-4,\"category_id\":4,\"bbox\":[1,2,3,4]}]}",
                "category_id 4 is not in 'categories'");
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":[{\"id\":1.5,\"image_id\":-4,\"category_id\":3,\"bbox\":[1,2,3,4]}]}",
                "'id' is 1.5, expected an integer");
    refuse_text("{" IMAGES "," CATEGORIES
                ",\"annotations\":[{\"id\":9223372036854775808,\"image_id\":-4,\"category_id\":3,\"bbox\":[1,2,3,4]}]}",
                "'id' is 9223372036854775808, expected an integer");
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":[{\"id\":1,\"image_id\":-4,\"category_id\":3,\"bbox\":[1,2,3,4,5]}]}",
                "has 5 numbers");
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":[7]}", "annotation 1 is 7, expected an object");
    refuse_text("{" IMAGES "," CATEGORIES ",\"annotations\":null}", "'annotations' is null, expected an array");
    refuse_text("{" IMAGES ",\"categories\":[{\"id\":1,\"name\":\"a\"},{\"id\":1,\"name\":\"b\"}],\"annotations\":[]}",
                "two categories have the id 1");
    refuse_text("{\"images\":[{\"id\":1,\"file_name\":\"../x.png\"}]," CATEGORIES ",\"annotations\":[]}", "leaves the image folder");
    refuse_text("{\"images\":[{\"id\":1,\"file_name\":\"a\"},{\"id\":1,\"file_name\":\"b\"}]," CATEGORIES ",\"annotations\":[]}",
                "two images have the id 1");
    refuse_text("{\"images\":[{\"id\":1,\"file_name\":\"a\",\"width\":-3}]," CATEGORIES ",\"annotations\":[]}", "size -3 x 0");
    refuse_text("[]", "found an array, expected an object");
    refuse_text("3", "found 3, expected an object");
    refuse_text("{} {}", "not JSON");
    refuse_text("{\"other\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]", "nested deeper than 64");
}

/* The file may be cut anywhere: an error, never a crash. */
static void test_cut_anywhere(void **state)
{
    char text[] = "{" IMAGES "," CATEGORIES ",\"annotations\":[" ANNOTATION(12, ",\"area\":0.1,\"iscrowd\":1") "]}";
    struct df_coco_truth *truth;
    struct df_error err;

    (void)state;
    for (size_t n = strlen(text) - 1; n > 0; n--) {
        text[n] = 0;
        assert_int_equal(df_coco_truth_read(write_json(text), true, &truth, &err), DF_ERR_FORMAT);
    }
}

/* Larger than one chunk of the reader; line numbers still hold. */
static void test_large(void **state)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_coco_truth *truth;

    (void)state;
    df_text_add(&text, "{" IMAGES "," CATEGORIES ",\"annotations\":[");
    for (int i = 0; i < 5000; i++)
        df_text_addf(&text, "%s\n{\"id\":%d,\"image_id\":%s,\"category_id\":3,\"area\":4,\"bbox\":[%d,0.5,2,2]}", i ? "," : "", i + 1,
                     i % 3 ? "-4" : "9007199254740993", i % 7);
    df_text_add(&text, "\n]}");
    truth = read_text(text.data, true);
    assert_int_equal(truth->image[0].count, 3333);
    for (size_t k = 1; k < truth->image[0].count; k++)
        assert_true(truth->image[0].objects[k].id > truth->image[0].objects[k - 1].id);
    assert_close(truth->image[1].objects[1].bbox[0], 3, 0, 0);
    df_coco_truth_free(truth);
    memcpy(strstr(text.data, "\"id\":4321,"), "\"ID\":4321,", 10);
    df_coco_truth_free(read_text(text.data, true));
    assert_non_null(strstr(warned, "annotation 4321, id 0, line 4322"));
    df_text_release(&text);
}

static void test_results_round_trip(void **state)
{
    struct df_detection some[300], *back;
    struct df_rng rng;
    struct df_error err;
    size_t count;
    char path[512];

    (void)state;
    df_rng_init(&rng, 1, DF_RNG_TEST, 0);
    for (size_t i = 0; i < 300; i++) {
        some[i] = (struct df_detection){ .image_id = (int64_t)i << 50, .category_id = (int64_t)i % 7 - 1, .score = df_rng_uniform(&rng) };
        for (int k = 0; k < 4; k++)
            some[i].bbox[k] = df_rng_range(&rng, -1e6, 1e6) * df_rng_uniform(&rng);
    }
    snprintf(path, sizeof path, "%s/r.json", df_test_folder());
    for (size_t n = 0; n <= 300; n += 300) {
        assert_ok(df_coco_results_write(path, some, n, &err));
        assert_ok(df_coco_results_read(path, &back, &count, &err));
        assert_int_equal(count, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(back[i].image_id == some[i].image_id && back[i].category_id == some[i].category_id &&
                        back[i].score == some[i].score);
            assert_memory_equal(back[i].bbox, some[i].bbox, sizeof some[i].bbox);
        }
        free(back);
    }
    assert_fails(df_coco_results_read(write_json("[{\"image_id\":1,\"category_id\":2,\"bbox\":[1,2,3,4]}]"), &back, &count, &err),
                 DF_ERR_FORMAT, "detection 1: no 'score'");
    assert_null(back);
    assert_fails(
        df_coco_results_read(write_json("[{\"image_id\":1,\"category_id\":2,\"score\":NaN,\"bbox\":[1,2,3,4]}]"), &back, &count, &err),
        DF_ERR_FORMAT, "a.json:1: detection 1: 'score' is NaN, expected a finite number");
    assert_fails(df_coco_results_read(write_json("[\n{\"image_id\":1,\"category_id\":2,\"score\":1,\"bbox\":[1,2,-Infinity,4]}]"), &back,
                                      &count, &err),
                 DF_ERR_FORMAT, "a.json:2: detection 1: 'bbox' holds -Infinity");
}

static void encoded(const char *bytes, size_t count, const char *part)
{
    struct df_coco_truth *truth;
    struct df_error err;
    char path[512];

    snprintf(path, sizeof path, "%s/encoded.json", df_test_folder());
    assert_ok(df_file_write(path, bytes, count, &err));
    if (part)
        assert_fails(df_coco_truth_read(path, false, &truth, &err), DF_ERR_FORMAT, part);
    else
        assert_ok(df_coco_truth_read(path, false, &truth, &err));
    df_coco_truth_free(truth);
}

/* A byte order mark changes nothing; other encodings are told by their names. */
static void test_encodings(void **state)
{
    static const char text[] = "\xef\xbb\xbf{\"images\":[],\"annotations\":[],\"categories\":[]}", latin[] = "{\"info\":\"K\xe4"
                                                                                                             "fer\"}";
    char wide[128] = "\xff\xfe";

    (void)state;
    encoded(text, sizeof text - 1, NULL);
    for (size_t i = 0; i < 40; i++)
        wide[2 + 2 * i] = text[3 + i];
    encoded(wide, 82, "found UTF-16, expected UTF-8 [iconv -f UTF-16 -t UTF-8 ");
    encoded(wide + 2, 80, "found UTF-16LE");
    encoded(latin, sizeof latin - 1, "iconv -f LATIN1");
}

/* What evaluation does not use may be anything, and what is listed twice or not at all is as pycocotools has it; training wants it in order. */
static void test_evaluation_reads_what_it_uses(void **state)
{
    static const char text[] =
        "{\"images\":[{\"id\":1,\"file_name\":7,\"width\":\"640\",\"height\":479.6},{\"id\":2,\"width\":null,"
        "\"height\":-1},{\"id\":1,\"file_name\":[\"x\"]}],"
        "\"categories\":[{\"id\":3,\"name\":\"a\"},{\"id\":4},{\"id\":5,\"name\":{\"en\":\"b\"}},{\"id\":3,\"name\":\"c\"}],"
        "\"annotations\":[{\"id\":1,\"image_id\":9,\"category_id\":3,\"bbox\":[1,2,3,4],\"area\":1},"
        "{\"id\":2,\"image_id\":2,\"category_id\":8,\"bbox\":[1,2,3,4],\"area\":1},"
        "{\"id\":3,\"image_id\":1,\"category_id\":5,\"bbox\":[1,2,3,4],\"area\":1}]}";
    struct df_coco_truth *truth = read_text(text, false);

    (void)state;
    assert_int_equal(truth->images, 2);
    assert_int_equal(truth->categories, 3);
    assert_string_equal(truth->category[0].name, "c"); /* the last one */
    assert_string_equal(truth->category[1].name, "");
    assert_string_equal(truth->category[2].name, "");
    assert_int_equal(truth->objects, 1);
    assert_int_equal(truth->image[0].objects[0].id, 3);
    assert_int_equal(truth->image[0].objects[0].label, 2);
    assert_non_null(
        strstr(warned, "2 annotations of an image or a category that is not listed: left out, as pycocotools does (first: annotation 1"));
    assert_non_null(strstr(warned, "1 images are listed twice"));
    assert_non_null(strstr(warned, "category 3 is listed twice"));
    df_coco_truth_free(truth);
    refuse_text(text, "'file_name' is 7, expected a string");
}

/* Sizes that are not known, by all the names that has; what is told of boxes and flags that look odd. */
static void test_told(void **state)
{
    struct df_coco_truth *truth =
        read_text("{\"images\":[{\"id\":1,\"file_name\":\"b/../a.png\",\"width\":-1,\"height\":null}]," CATEGORIES
                  ",\"annotations\":[{\"id\":0,\"image_id\":1,\"category_id\":3,\"bbox\":[0,0.5,0.25,0.4],\"area\":1,"
                  "\"ignore\":1}]}",
                  true);

    (void)state;
    assert_true(truth->image[0].width == 0 && truth->image[0].height == 0);
    assert_non_null(strstr(warned, "1 annotation with the id 0: pycocotools"));
    assert_non_null(strstr(warned, "1 annotation with 'ignore'"));
    assert_non_null(strstr(warned, "all 1 boxes lie within one pixel"));
    df_coco_truth_free(truth);
    df_coco_truth_free(read_text("{" IMAGES "," CATEGORIES ",\"annotations\":[]}", true));
    assert_non_null(strstr(warned, "no annotations: there is nothing to learn"));
    df_coco_truth_free(read_text("{" IMAGES "," CATEGORIES
                                 ",\"annotations\":[{\"id\":1,\"image_id\":-4,\"category_id\":3,\"bbox\":[6,8,9,12],"
                                 "\"area\":1,\"ignore\":false}]}",
                                 true));
    assert_non_null(strstr(warned, "1 of 1 boxes reach out of their images: corners?"));
    assert_null(strstr(warned, "'ignore'"));
    refuse_text("{\"images\":[{\"id\":1,\"file_name\":\"a/../../x.png\"}]," CATEGORIES ",\"annotations\":[]}", "leaves the image folder");
    refuse_text("{\"images\":[{\"id\":1,\"file_name\":\"http://a/x.png\"}]," CATEGORIES ",\"annotations\":[]}", "[download it]");
    refuse_text("{\"images\":[{\"id\":1,\"file_name\":\"C:\\\\x.png\"}]," CATEGORIES ",\"annotations\":[]}", "absolute path");
    df_coco_truth_free(read_text("{\"images\":[{\"id\":1,\"file_name\":\"a:1.png\"}]," CATEGORIES ",\"annotations\":[]}", true));
}

static void test_dataset_export(void **state)
{
    char options[sizeof(double) * 64]; /* more than the scenes' options need */
    struct df_dataset *dataset;
    struct df_coco_truth *truth;
    struct df_error err;
    char path[512];

    (void)state;
    assert_true(df_dataset_scenes.options_size <= sizeof options);
    df_options_standard(df_dataset_scenes.options, options);
    assert_ok(df_options_set(df_dataset_scenes.options, "tune", "30", "test", options, &err));
    assert_ok(df_dataset_scenes.open(&(struct df_data){ .class = &df_dataset_scenes, .options = options }, DF_TUNE, &dataset, &err));
    snprintf(path, sizeof path, "%s/gt.json", df_test_folder());
    assert_ok(df_dataset_export_coco(dataset, path, &err));
    warned[0] = 0;
    assert_ok(df_coco_truth_read(path, false, &truth, &err));
    assert_string_equal(warned, "");
    assert_int_equal(truth->images, 30);
    assert_int_equal(truth->categories, 8);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(truth->image[i].id, dataset->info[i].id);
        assert_int_equal(truth->image[i].count, dataset->info[i].count);
        for (size_t k = 0; k < truth->image[i].count; k++) {
            const struct df_object *a = &truth->image[i].objects[k], *b = &dataset->info[i].objects[k];

            assert_true(a->id == b->id && a->category_id == b->category_id && a->label == b->label && a->area == b->area);
            assert_memory_equal(a->bbox, b->bbox, sizeof a->bbox);
        }
    }
    df_coco_truth_free(truth);
    df_dataset_close(dataset);
}

/* The cases that only the dataset can judge (are the files there?) go through it. */
static df_status open_case(const char *path, const char *folder, size_t *images, size_t *boxes, struct df_error *err)
{
    char *options = calloc(1, df_dataset_coco.options_size), pictures[1024];
    struct df_dataset *dataset;
    struct df_image image = { 0 };

    snprintf(pictures, sizeof pictures, "%s/images", folder);
    df_options_standard(df_dataset_coco.options, options);
    assert_int_equal(df_options_set(df_dataset_coco.options, "validation", path, "test", options, err), DF_OK);
    assert_int_equal(df_options_set(df_dataset_coco.options, "images", pictures, "test", options, err), DF_OK);
    df_status status =
        df_dataset_coco.open(&(struct df_data){ .class = &df_dataset_coco, .options = options, .base = "." }, DF_VALIDATION, &dataset, err);
    free(options);
    if (status != DF_OK)
        return status;
    *images = dataset->size;
    *boxes = 0;
    for (size_t i = 0; i < dataset->size && status == DF_OK; i++) {
        status = dataset->class->read(dataset, i, &image, err);
        *boxes += dataset->info[i].count;
    }
    *boxes -= dataset->skipped_boxes; /* the manifest counts what training is left with */
    df_image_release(&image);
    df_dataset_close(dataset);
    return status;
}

static void check_case(const cJSON *item, const char *folder)
{
    const char *file = cJSON_GetObjectItem(item, "file")->valuestring, *expect = cJSON_GetObjectItem(item, "expect")->valuestring;
    const cJSON *want_images = cJSON_GetObjectItem(item, "n_images"), *want_boxes = cJSON_GetObjectItem(item, "n_boxes");
    const bool results = strncmp(file, "results/", 8) == 0;
    struct df_error err = { 0 };
    size_t images = 0, boxes = 0;
    char path[1024];
    df_status status;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    warned[0] = 0;
    if (results) {
        struct df_detection *detections;

        status = df_coco_results_read(path, &detections, &boxes, &err);
        if (status == DF_OK)
            free(detections);
    } else {
        status = open_case(path, folder, &images, &boxes, &err);
    }
    if (status != DF_OK && !strstr(err.text, path) && !strstr(err.text, "image files are missing"))
        fail_msg("%s: the message does not name the file: %s", file, err.text);
    if (strcmp(expect, "error") == 0 && status == DF_OK)
        fail_msg("%s: accepted", file);
    if (strcmp(expect, "ok") == 0 && status != DF_OK)
        fail_msg("%s: refused: %s", file, err.text);
    if (strcmp(expect, "ok") == 0 && warned[0] && !strstr(file, "ann-missing-area") && !strstr(file, "ann-id-zero") &&
        !strstr(file, "no-annotations"))
        fail_msg("%s: a warning: %s", file, warned);
    if (strcmp(expect, "warn") == 0 && status == DF_OK && !warned[0] && !results && !strstr(file, "bbox-tiny"))
        fail_msg("%s: accepted without a warning", file);
    if (status == DF_OK && want_images && images != (size_t)want_images->valueint)
        fail_msg("%s: %zu images, expected %d", file, images, want_images->valueint);
    if (status == DF_OK && want_boxes && boxes != (size_t)want_boxes->valueint)
        fail_msg("%s: %zu boxes, expected %d", file, boxes, want_boxes->valueint);
}

static void test_collection(void **state)
{
    const char *manifest = df_test_shared("data/badinputs/manifest.json");
    struct df_error err;
    const cJSON *item;
    char folder[512];
    cJSON *root;
    int cases = 0;

    (void)state;
    if (!manifest)
        skip();
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(manifest, '/') - manifest), manifest);
    assert_ok(df_json_read(manifest, &root, &err));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "cases"))
    {
        const char *file = cJSON_GetObjectItem(item, "file")->valuestring;

        if (strncmp(file, "coco/", 5) == 0 || strncmp(file, "results/", 8) == 0) {
            check_case(item, folder);
            cases++;
        }
    }
    assert_true(cases > 55);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),          cmocka_unit_test(test_put_right),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_large),          cmocka_unit_test(test_results_round_trip),
        cmocka_unit_test(test_dataset_export), cmocka_unit_test(test_collection),
        cmocka_unit_test(test_encodings),      cmocka_unit_test(test_evaluation_reads_what_it_uses),
        cmocka_unit_test(test_told),
    };

    df_warn_set(note_warning, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
