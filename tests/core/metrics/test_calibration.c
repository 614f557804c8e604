/* Calibration and AP by circumstances against numpy and pycocotools (tests/golden/make_calibration.py), and what is not in them by hand. */
#include "core/metrics/calibration.h"
#include "core/metrics/conditions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static struct df_error err;

struct files {
    struct df_coco_truth *truth;
    struct df_detection *detections;
    size_t count;
};

static struct files read_files(const char *name)
{
    struct files files;
    char path[256];

    snprintf(path, sizeof path, "tests/golden/coco_eval/%s.gt.json", name);
    assert_ok(df_coco_truth_read(path, false, &files.truth, &err));
    snprintf(path, sizeof path, "tests/golden/coco_eval/%s.dt.json", name);
    assert_ok(df_coco_results_read(path, &files.detections, &files.count, &err));
    return files;
}

static double number(const cJSON *object, const char *name) { return cJSON_GetObjectItemCaseSensitive(object, name)->valuedouble; }

static void check_calibration(const struct files *files, const cJSON *expected)
{
    struct df_calibration c;
    size_t b = 0;
    const cJSON *bin;

    assert_ok(df_calibration_evaluate(&df_calibration_standard, df_coco_set_of(files->truth), files->detections, files->count, &c, &err));
    for (int k = 0; k < DF_CALIBRATION_SCORES; k++)
        assert_close(c.value[k], number(expected, strchr(df_calibration_metrics[k], '.') + 1), 0, 1e-12);
    cJSON_ArrayForEach(bin, cJSON_GetObjectItemCaseSensitive(expected, "bins"))
    {
        assert_int_equal(c.bin[b].count, (int)cJSON_GetArrayItem(bin, 0)->valuedouble);
        if (c.bin[b].count) {
            assert_close(c.bin[b].confidence, cJSON_GetArrayItem(bin, 1)->valuedouble, 0, 1e-12);
            assert_close(c.bin[b].precision, cJSON_GetArrayItem(bin, 2)->valuedouble, 0, 1e-12);
        } else {
            assert_true(isnan(c.bin[b].precision));
        }
        b++;
    }
    assert_int_equal(b, DF_CALIBRATION_BINS);
}

static void check_conditions(const struct files *files, const cJSON *expected)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(expected, "value"),
                *images = cJSON_GetObjectItemCaseSensitive(expected, "images");
    const cJSON *borders = cJSON_GetObjectItemCaseSensitive(expected, "borders");
    struct df_conditions c;

    assert_ok(df_conditions_evaluate(df_coco_set_of(files->truth), files->detections, files->count, &c, &err));
    for (int k = 0; k < DF_CONDITIONS; k++)
        assert_true(c.value[k] == cJSON_GetArrayItem(value, k)->valuedouble);
    for (int k = 0; k < 3; k++)
        assert_int_equal(c.images[k], (int)cJSON_GetArrayItem(images, k)->valuedouble);
    for (int k = 0; k < 2; k++)
        assert_true(c.border[k] == cJSON_GetArrayItem(borders, k)->valuedouble);
}

static void as_in_numpy_and_pycocotools(void **state)
{
    cJSON *golden, *one;

    (void)state;
    assert_ok(df_json_read("tests/golden/calibration.json", &golden, &err));
    cJSON_ArrayForEach(one, golden)
    {
        struct files files = read_files(one->string);

        check_calibration(&files, cJSON_GetObjectItemCaseSensitive(one, "calibration"));
        check_conditions(&files, cJSON_GetObjectItemCaseSensitive(one, "conditions"));
        free(files.detections);
        df_coco_truth_free(files.truth);
    }
    cJSON_Delete(golden);
}

/* Two objects, three detections: 0.9 right, 0.8 on the same object, 0.04 is no detection; and a score of 1 that hits another class. */
static void by_hand(void **state)
{
    static const struct df_object objects[] = { { .id = 1, .category_id = 1, .bbox = { 0, 0, 10, 10 }, .area = 100 },
                                                { .id = 2, .category_id = 2, .bbox = { 50, 50, 10, 10 }, .area = 100 } };
    static const struct df_image_info info = { .id = 7, .file_name = "", .width = 100, .height = 100, .count = 2, .objects = objects };
    static const struct df_category category[] = { { 1, "a" }, { 2, "b" } };
    const struct df_coco_set set = { .images = 1, .categories = 2, .info = &info, .category = category };
    struct df_detection found[] = {
        { 7, 1, { 0, 0, 10, 10 }, 0.8 }, { 7, 1, { 0, 0, 10, 9 }, 0.9 }, { 7, 2, { 50, 50, 10, 10 }, 0.04 }, { 7, 1, { 50, 50, 10, 10 }, 1 }
    };
    struct df_calibration c;

    (void)state;
    assert_ok(df_calibration_evaluate(&df_calibration_standard, set, found, 4, &c, &err));
    assert_int_equal(c.count, 3);
    /* bins: 0.8 alone, wrong; 0.9 right and 1 wrong: mean 0.95, precision 0.5 */
    assert_int_equal(c.bin[8].count, 1);
    assert_int_equal(c.bin[9].count, 2);
    assert_close(c.value[DF_CALIBRATION_ECE], (1 * 0.8 + 2 * 0.45) / 3, 0, 1e-15);
    assert_close(c.value[DF_CALIBRATION_MCE], 0.8, 0, 1e-15);
    assert_close(c.value[DF_CALIBRATION_OVER], (0.8 + 0.9 + 1 - 1) / 3, 0, 1e-15);
    found[3].image_id = 8;
    assert_fails(df_calibration_evaluate(&df_calibration_standard, set, found, 4, &c, &err), DF_ERR_FORMAT, "detection 4 is of image 8");
}

static void nothing_is_no_score(void **state)
{
    struct df_calibration c;
    struct df_conditions conditions;

    (void)state;
    assert_ok(df_calibration_evaluate(&df_calibration_standard, (struct df_coco_set){ 0 }, NULL, 0, &c, &err));
    for (int k = 0; k < DF_CALIBRATION_SCORES; k++)
        assert_true(c.value[k] == -1);
    assert_ok(df_conditions_evaluate((struct df_coco_set){ 0 }, NULL, 0, &conditions, &err));
    for (int k = 0; k < DF_CONDITIONS; k++)
        assert_true(conditions.value[k] == -1);
}

/* What is told is what was measured. */
static void it_is_told(void **state)
{
    struct files files = read_files("plain");
    struct df_text text = DF_TEXT_INIT;
    struct df_conditions conditions;
    struct df_calibration c;
    cJSON *json;

    (void)state;
    assert_ok(df_calibration_evaluate(&df_calibration_standard, df_coco_set_of(files.truth), files.detections, files.count, &c, &err));
    df_calibration_json(&c, &text);
    assert_ok(df_json_parse(text.data, text.length, "calibration", &json, &err));
    assert_true(number(json, "D-ECE") == c.value[DF_CALIBRATION_ECE]);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "bins")), DF_CALIBRATION_BINS);
    cJSON_Delete(json);
    df_text_clear(&text);
    df_calibration_summary(&c, &text);
    assert_non_null(strstr(text.data, " D-ECE           0.2501\n"));
    df_text_clear(&text);
    assert_ok(df_conditions_evaluate(df_coco_set_of(files.truth), files.detections, files.count, &conditions, &err));
    df_conditions_json(&conditions, &text);
    assert_ok(df_json_parse(text.data, text.length, "conditions", &json, &err));
    assert_true(number(json, "crowding.4+") == conditions.value[DF_CROWDING_MANY]);
    cJSON_Delete(json);
    df_text_clear(&text);
    df_conditions_summary(&conditions, &text);
    assert_non_null(strstr(text.data, " 4 and more            0.506  3 images\n"));
    df_text_release(&text);
    free(files.detections);
    df_coco_truth_free(files.truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_numpy_and_pycocotools),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(nothing_is_no_score),
        cmocka_unit_test(it_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
