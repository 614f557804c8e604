/* COCO evaluation against pycocotools 2.0.11, bit for bit (tests/golden/coco_eval, made by make_coco_eval.py), and published cases. */
#include "core/metrics/coco_eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/support.h"

static void evaluate_files(const char *truth_path, const char *results_path, struct df_coco_scores *out)
{
    struct df_error err;
    struct df_coco_truth *truth;
    struct df_detection *detections;
    size_t count;

    assert_ok(df_coco_truth_read(truth_path, false, &truth, &err));
    assert_ok(df_coco_results_read(results_path, &detections, &count, &err));
    assert_ok(df_coco_evaluate(df_coco_set_of(truth), detections, count, out, &err));
    free(detections);
    df_coco_truth_free(truth);
}

static void check_row(FILE *file, const char *name, const char *what, const double *got, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double want;

        assert_int_equal(fscanf(file, "%lf", &want), 1);
        if (!(got[i] == want))
            fail_msg("%s: %s[%zu] is %a, pycocotools has %a", name, what, i, got[i], want);
    }
}

static void silent(void *context, const char *text)
{
    (void)text;
    ++*(int *)context;
}

static void bit_equal_to_pycocotools(void **state)
{
    (void)state;
    FILE *file = fopen("tests/golden/coco_eval/expected.txt", "r");
    char name[64], truth[128], results[128];
    size_t categories, cases = 0;
    int warnings = 0;

    assert_non_null(file);
    df_warn_set(silent, &warnings);
    for (; fscanf(file, "%63s %zu", name, &categories) == 2; cases++) {
        struct df_coco_scores scores;

        snprintf(truth, sizeof truth, "tests/golden/coco_eval/%s.gt.json", name);
        snprintf(results, sizeof results, "tests/golden/coco_eval/%s.dt.json", name);
        evaluate_files(truth, results, &scores);
        assert_int_equal(scores.categories, categories);
        check_row(file, name, "metric", scores.value, DF_COCO_METRICS);
        check_row(file, name, "class AP", scores.class_ap, categories);
        check_row(file, name, "class AP50", scores.class_ap50, categories);
        df_coco_scores_release(&scores);
    }
    df_warn_set(NULL, NULL);
    assert_true(cases >= 18);
    assert_true(warnings >= 1); /* unknown_category */
    fclose(file);
}

/* The published numbers of a shared case: to their own tolerance. */
static void check_published(const char *folder)
{
    static const char *const keys[DF_COCO_METRICS] = { "AP",  "AP50", "AP75",  "APsmall", "APmedium", "APlarge",
                                                       "AR1", "AR10", "AR100", "ARsmall", "ARmedium", "ARlarge" };
    struct df_coco_scores scores;
    struct df_error err;
    double tolerance;
    cJSON *expected;
    char *truth = df_path_join(folder, "gt.json"), *results = df_path_join(folder, "dt.json"),
         *path = df_path_join(folder, "expected.json");

    evaluate_files(truth, results, &scores);
    assert_ok(df_json_read(path, &expected, &err));
    assert_ok(df_json_real(expected, "tolerance", true, path, &tolerance, &err));
    for (size_t i = 0; i < DF_COCO_METRICS; i++) {
        double want;

        assert_ok(df_json_real(expected, keys[i], true, path, &want, &err));
        assert_close(scores.value[i], want, 0, tolerance);
    }
    cJSON_Delete(expected);
    df_coco_scores_release(&scores);
    free(truth);
    free(results);
    free(path);
}

static void published_cases(void **state)
{
    (void)state;
    const char *folder = df_test_shared("data/evalcases/coco-4img");

    if (!folder)
        skip();
    check_published(folder);
    check_published(df_test_shared("data/evalcases/coco-ignore"));
}

/* Two images, two classes; image 8 comes first although its id is larger. */
static const struct df_object objects[] = {
    { .id = 1, .category_id = 3, .bbox = { 0, 0, 40, 40 }, .area = 1600 },
    { .id = 2, .category_id = 9, .bbox = { 50, 50, 10, 20 }, .area = 200 },
};
static const struct df_image_info images[] = {
    { .id = 8, .file_name = "", .width = 100, .height = 100, .count = 1, .objects = objects },
    { .id = 4, .file_name = "", .width = 100, .height = 100, .count = 1, .objects = objects + 1 },
};
static const struct df_category categories[] = { { 3, "disk" }, { 9, "ring" } };
static const struct df_coco_set set = { 2, 2, images, categories };

static void value_by_hand(void **state)
{
    (void)state;
    /* class 3: found with overlap 32/40 = 0.8 behind one wrong detection: right from threshold .5 to .8, 7 of 10; each precision 1/2.
     * class 9: found exactly. */
    const struct df_detection found[] = { { 8, 3, { 0, 0, 40, 32 }, .6 },
                                          { 4, 3, { 0, 0, 40, 32 }, .7 },
                                          { 4, 9, { 50, 50, 10, 20 }, .1 } };
    struct df_coco_scores s;
    struct df_error err;

    assert_ok(df_coco_evaluate(set, found, 3, &s, &err));
    assert_close(s.class_ap[0], .35, 0, 1e-12);
    assert_close(s.class_ap50[0], .5, 0, 1e-12);
    assert_close(s.class_ap[1], 1, 0, 1e-12);
    assert_close(s.value[DF_AP], .675, 0, 1e-12);
    assert_close(s.value[DF_AP75], .75, 0, 1e-12);
    assert_close(s.value[DF_APS], 1, 0, 1e-12); /* the 40x32 box outside the small range does not count */
    assert_close(s.value[DF_APM], .35, 0, 1e-12);
    assert_close(s.value[DF_APL], -1, 0, 0);
    assert_close(s.value[DF_AR1], .85, 0, 1e-12);
    df_coco_scores_release(&s);
}

static void nothing_found_and_nothing_there(void **state)
{
    (void)state;
    struct df_coco_scores s;
    struct df_error err;

    assert_ok(df_coco_evaluate(set, NULL, 0, &s, &err));
    assert_true(s.value[DF_AP] == 0 && s.value[DF_AR100] == 0 && s.value[DF_APL] == -1 && s.class_ap[1] == 0);
    df_coco_scores_release(&s);
    assert_ok(df_coco_evaluate((struct df_coco_set){ 0 }, NULL, 0, &s, &err));
    assert_true(s.value[DF_AP] == -1 && s.value[DF_ARL] == -1 && s.categories == 0);
    df_coco_scores_release(&s);
}

static void unknown_image_is_an_error(void **state)
{
    (void)state;
    const struct df_detection found[] = { { 8, 3, { 0, 0, 1, 1 }, .5 }, { 77, 3, { 0, 0, 1, 1 }, .5 } };
    struct df_coco_scores s;
    struct df_error err;

    assert_fails(df_coco_evaluate(set, found, 2, &s, &err), DF_ERR_FORMAT, "detection 2 is of image 77");
}

static void printed_forms(void **state)
{
    (void)state;
    struct df_coco_scores s = { .value = { .1, .2, -1, .4, .5, .6, .7, .8, .9, 1, 0, 1.0 / 3 } };
    struct df_text text = DF_TEXT_INIT;
    struct df_error err;
    cJSON *json;
    double value;

    df_coco_summary(&s, &text);
    assert_non_null(strstr(text.data, " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.100\n"));
    assert_non_null(strstr(text.data, " Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = -1.000\n"));
    assert_non_null(strstr(text.data, " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.700\n"));
    assert_non_null(strstr(text.data, " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.333\n"));
    df_text_clear(&text);
    df_coco_json(&s, &text);
    assert_non_null(strstr(text.data, "0.10000000000000001"));
    assert_ok(df_json_parse(text.data, text.length, "scores", &json, &err));
    for (size_t i = 0; i < DF_COCO_METRICS; i++) {
        assert_ok(df_json_real(json, df_coco_metric_names[i], true, "scores", &value, &err));
        assert_true(value == s.value[i]);
    }
    cJSON_Delete(json);
    df_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_equal_to_pycocotools),        cmocka_unit_test(published_cases),           cmocka_unit_test(value_by_hand),
        cmocka_unit_test(nothing_found_and_nothing_there), cmocka_unit_test(unknown_image_is_an_error), cmocka_unit_test(printed_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
