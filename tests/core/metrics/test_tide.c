/* TIDE against tidecv 1.0.1 (tests/golden/tide, made by make_tide.py), and what tidecv cannot say or has from its files' order, by hand. */
#include "core/metrics/tide.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "tests/support/support.h"

static struct df_error err;

static void evaluate_files(const char *name, struct df_tide_scores *out)
{
    struct df_coco_truth *truth;
    struct df_detection *detections;
    size_t count;
    char path[128];

    snprintf(path, sizeof path, "tests/golden/tide/%s.gt.json", name);
    assert_ok(df_coco_truth_read(path, false, &truth, &err));
    snprintf(path, sizeof path, "tests/golden/tide/%s.dt.json", name);
    assert_ok(df_coco_results_read(path, &detections, &count, &err));
    assert_ok(df_tide_evaluate(truth->images, truth->image, detections, count, out, &err));
    free(detections);
    df_coco_truth_free(truth);
}

/* A dAP is a difference of means over classes, which tidecv adds up in another order. */
static void check(const char *name, const char *what, double got, FILE *file)
{
    double want;

    assert_int_equal(fscanf(file, "%lf", &want), 1);
    if (!(fabs(100 * got - want) <= 1e-11))
        fail_msg("%s: %s is %.17g percent, tidecv has %.17g", name, what, 100 * got, want);
}

static void equal_to_tidecv(void **state)
{
    FILE *file = fopen("tests/golden/tide/expected.txt", "r");
    size_t cases = 0, seen[DF_TIDE_ERRORS] = { 0 };
    char name[64];

    (void)state;
    assert_non_null(file);
    for (; fscanf(file, "%63s", name) == 1; cases++) {
        struct df_tide_scores scores;

        evaluate_files(name, &scores);
        check(name, "AP", scores.ap, file);
        for (int kind = 0; kind < DF_TIDE_KINDS; kind++)
            check(name, df_tide_metrics[kind], scores.dap[kind], file);
        for (int kind = 0; kind < DF_TIDE_ERRORS; kind++) {
            size_t want;

            assert_int_equal(fscanf(file, "%zu", &want), 1);
            if (scores.count[kind] != want)
                fail_msg("%s: %zu errors %s, tidecv has %zu", name, scores.count[kind], df_tide_metrics[kind], want);
            seen[kind] += want;
        }
    }
    fclose(file);
    assert_int_equal(cases, 20);
    for (int kind = 0; kind < DF_TIDE_ERRORS; kind++)
        assert_true(seen[kind] >= 20);
}

static const struct df_object object[] = {
    { .id = 1, .category_id = 3, .bbox = { 0, 0, 40, 40 }, .area = 1600 },
    { .id = 2, .category_id = 9, .bbox = { 50, 50, 10, 20 }, .area = 200 },
    { .id = 3, .category_id = 3, .bbox = { 0, 0, 90, 90 }, .area = 8100, .crowd = true },
};
static const struct df_image_info image[] = {
    { .id = 8, .file_name = "", .width = 100, .height = 100, .count = 1, .objects = object },
    { .id = 4, .file_name = "", .width = 100, .height = 100, .count = 1, .objects = object + 1 },
};

static void value_by_hand(void **state)
{
    /* class 3: found behind a Loc about nothing, for that is of class 9 in image 4; class 9: a Loc (IoU 80 / 200), no match. */
    const struct df_detection found[] = { { 8, 3, { 0, 0, 40, 32 }, .6 },
                                          { 8, 3, { 60, 60, 20, 20 }, .7 },
                                          { 4, 9, { 50, 50, 10, 8 }, .1 } };
    struct df_tide_scores s;

    (void)state;
    assert_ok(df_tide_evaluate(2, image, found, 3, &s, &err));
    assert_close(s.ap, .25, 0, 1e-12); /* (1/2 + 0) / 2 */
    assert_close(s.dap[DF_TIDE_LOC], .5, 0, 1e-12);
    assert_close(s.dap[DF_TIDE_BKG], .25, 0, 1e-12);
    assert_close(s.dap[DF_TIDE_FALSE_POS], .25, 0, 1e-12);
    assert_close(s.dap[DF_TIDE_FALSE_NEG], 0, 0, 1e-12); /* of class 9 a wrong detection stays */
    assert_true(s.dap[DF_TIDE_CLS] == 0 && s.dap[DF_TIDE_MISS] == 0 && s.dap[DF_TIDE_BOTH] == 0 && s.dap[DF_TIDE_DUPE] == 0);
    assert_true(s.count[DF_TIDE_LOC] == 1 && s.count[DF_TIDE_BKG] == 1 && s.count[DF_TIDE_MISS] == 0);
}

/* Of equal scores in two images the one of the image that stands first: ids do not matter. */
static void ties_go_by_the_order_of_images(void **state)
{
    const struct df_image_info other_way[] = { image[1], image[0] };
    const struct df_detection found[] = { { 4, 3, { 0, 0, 40, 40 }, .5 }, { 8, 3, { 0, 0, 40, 40 }, .5 } };
    struct df_tide_scores s;

    (void)state;
    assert_ok(df_tide_evaluate(2, image, found, 2, &s, &err));
    assert_close(s.ap, .5, 0, 1e-12); /* class 3: 1, class 9: 0 */
    assert_ok(df_tide_evaluate(2, other_way, found, 2, &s, &err));
    assert_close(s.ap, .25, 0, 1e-12);
}

/* Where a mending leaves nothing to measure, nothing is wrong any more. */
static void nothing_is_left(void **state)
{
    const struct df_detection stray = { 4, 9, { 0, 0, 5, 5 }, .5 };
    const struct df_image_info bare = { .id = 4, .file_name = "", .width = 100, .height = 100 };
    const struct df_image_info crowded = { .id = 4, .file_name = "", .width = 100, .height = 100, .count = 1, .objects = object + 2 };
    struct df_tide_scores s;

    (void)state;
    assert_ok(df_tide_evaluate(2, image, NULL, 0, &s, &err));
    assert_true(s.ap == 0 && s.dap[DF_TIDE_MISS] == 1 && s.dap[DF_TIDE_FALSE_NEG] == 1 && s.dap[DF_TIDE_FALSE_POS] == 0);
    assert_int_equal(s.count[DF_TIDE_MISS], 2);
    assert_ok(df_tide_evaluate(1, &bare, &stray, 1, &s, &err));
    assert_true(s.ap == 0 && s.dap[DF_TIDE_BKG] == 1 && s.dap[DF_TIDE_MISS] == 0);
    assert_ok(df_tide_evaluate(1, &crowded, NULL, 0, &s, &err));
    assert_true(s.ap == -1 && s.dap[DF_TIDE_MISS] == -1 && s.dap[DF_TIDE_FALSE_NEG] == -1 && s.count[DF_TIDE_MISS] == 0);
    assert_ok(df_tide_evaluate(0, NULL, NULL, 0, &s, &err));
    assert_true(s.ap == -1 && s.dap[DF_TIDE_CLS] == -1);
}

static void unknown_image_is_an_error(void **state)
{
    const struct df_detection found[] = { { 8, 3, { 0, 0, 1, 1 }, .5 }, { 77, 3, { 0, 0, 1, 1 }, .5 } };
    struct df_tide_scores s;

    (void)state;
    assert_fails(df_tide_evaluate(2, image, found, 2, &s, &err), DF_ERR_FORMAT, "detection 2 is of image 77");
}

static void printed_forms(void **state)
{
    struct df_tide_scores s = { .ap = .25, .dap = { .1, .2, 0, 1.0 / 3, .05, .06, .07, -.01 }, .count = { 3, 1, 0, 0, 0, 12 } };
    struct df_text text = DF_TEXT_INIT;
    cJSON *json;
    double value;

    (void)state;
    df_tide_summary(&s, &text);
    assert_non_null(strstr(text.data, "AP at IoU 0.50 = 25.00"));
    assert_non_null(strstr(text.data, " Dupe       33.33        0\n"));
    assert_non_null(strstr(text.data, " Miss        6.00       12\n"));
    assert_non_null(strstr(text.data, " FalseNeg   -1.00\n"));
    df_text_clear(&text);
    df_tide_json(&s, &text);
    assert_ok(df_json_parse(text.data, text.length, "scores", &json, &err));
    assert_ok(df_json_real(json, "AP", true, "scores", &value, &err));
    assert_true(value == s.ap);
    assert_ok(df_json_real(cJSON_GetObjectItem(json, "dAP"), "Dupe", true, "scores", &value, &err));
    assert_true(value == s.dap[DF_TIDE_DUPE]);
    assert_ok(df_json_real(cJSON_GetObjectItem(json, "dAP"), "FalseNeg", true, "scores", &value, &err));
    assert_true(value == s.dap[DF_TIDE_FALSE_NEG]);
    assert_ok(df_json_real(cJSON_GetObjectItem(json, "errors"), "Miss", true, "scores", &value, &err));
    assert_true(value == 12);
    cJSON_Delete(json);
    df_text_clear(&text);
    s.ap = -1;
    df_tide_summary(&s, &text);
    assert_non_null(strstr(text.data, "nothing to measure"));
    df_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_to_tidecv),
        cmocka_unit_test(value_by_hand),
        cmocka_unit_test(ties_go_by_the_order_of_images),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(unknown_image_is_an_error),
        cmocka_unit_test(printed_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
