/* Drawn images: each once is the plain evaluation; an image drawn twice counts twice, by hand; strangers are told. */
#include "core/metrics/drawn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static struct df_error err;

static void each_once_is_the_plain_evaluation(void **state)
{
    struct df_coco_truth *truth;
    struct df_detection *detections;
    struct df_coco_scores want, got;
    struct df_drawn *drawn;
    uint32_t draw[512];
    size_t count;

    (void)state;
    assert_ok(df_coco_truth_read("tests/golden/coco_eval/plain.gt.json", false, &truth, &err));
    assert_ok(df_coco_results_read("tests/golden/coco_eval/plain.dt.json", &detections, &count, &err));
    assert_true(truth->images > 3 && truth->images <= 512 && count > 0);
    for (uint32_t i = 0; i < truth->images; i++)
        draw[i] = i;
    assert_ok(df_coco_evaluate(df_coco_set_of(truth), detections, count, &want, &err));
    assert_ok(df_drawn_new(df_coco_set_of(truth), detections, count, &drawn, &err));
    assert_ok(df_drawn_evaluate(drawn, draw, truth->images, &got, &err));
    for (size_t m = 0; m < DF_COCO_METRICS; m++)
        assert_true(got.value[m] == want.value[m]);
    df_coco_scores_release(&got);
    draw[1] = draw[0]; /* another data set */
    assert_ok(df_drawn_evaluate(drawn, draw, truth->images, &got, &err));
    assert_true(got.value[DF_AP] != want.value[DF_AP] && got.value[DF_AP] >= 0);
    df_coco_scores_release(&got);
    df_coco_scores_release(&want);
    df_drawn_free(drawn);
    detections[0].image_id = 987654321;
    assert_fails(df_drawn_new(df_coco_set_of(truth), detections, count, &drawn, &err), DF_ERR_FORMAT, "image 987654321");
    assert_null(drawn);
    free(detections);
    df_coco_truth_free(truth);
}

/* Image 0's object is found, image 1's is not: the recall is the share of image 0 among what is drawn, and so is AP (101 levels: to 0.01). */
static void twice_drawn_counts_twice(void **state)
{
    const struct df_object object[] = { { .id = 1, .category_id = 1, .bbox = { 1, 1, 40, 40 }, .area = 1600 },
                                        { .id = 2, .category_id = 1, .bbox = { 1, 1, 40, 40 }, .area = 1600 } };
    const struct df_image_info info[] = { { .id = 5, .count = 1, .objects = &object[0] }, { .id = 3, .count = 1, .objects = &object[1] } };
    const struct df_category category = { 1, "thing" };
    const struct df_detection detection = { .image_id = 5, .category_id = 1, .bbox = { 1, 1, 40, 40 }, .score = 0.5 };
    static const uint32_t draws[][4] = { { 0, 0, 0, 0 }, { 0, 1, 0, 0 }, { 1, 1, 0, 0 }, { 1, 1, 0, 1 }, { 1, 1, 1, 1 } };
    struct df_drawn *drawn;

    (void)state;
    assert_ok(df_drawn_new((struct df_coco_set){ 2, 1, info, &category }, &detection, 1, &drawn, &err));
    for (size_t i = 0; i < 5; i++) {
        struct df_coco_scores scores;

        assert_ok(df_drawn_evaluate(drawn, draws[i], 4, &scores, &err));
        assert_close(scores.value[DF_AR100], 1 - (double)i / 4, 1e-12, 1e-12);
        assert_close(scores.value[DF_AP], 1 - (double)i / 4, 0, 0.01);
        df_coco_scores_release(&scores);
    }
    df_drawn_free(drawn);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_once_is_the_plain_evaluation), cmocka_unit_test(twice_drawn_counts_twice) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
