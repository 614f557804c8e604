/* Boxes: values by hand, torchvision's coding and NMS (tests/golden/geometry.txt), and the defined order of ties. */
#include "core/geometry/box.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static void iou_by_hand(void **state)
{
    (void)state;
    const struct df_box a = { 1, 2, 5, 8 };

    assert_close(df_box_area(a), 24, 0, 0);
    assert_close(df_box_iou(a, (struct df_box){ 3, 5, 9, 7 }), 4.0 / 32, 1e-7, 0); /* 2x2 of 24 + 12 - 4 */
    assert_close(df_box_iou(a, a), 1, 0, 0);
    assert_close(df_box_iou(a, (struct df_box){ 5, 2, 9, 8 }), 0, 0, 0);                             /* only touch */
    assert_close(df_box_iou(a, (struct df_box){ 7, 3, 9, 8 }), 0, 0, 0);                             /* beside */
    assert_close(df_box_iou(a, (struct df_box){ 2, 9, 4, 11 }), 0, 0, 0);                            /* below */
    assert_close(df_box_iou((struct df_box){ 3, 3, 3, 3 }, (struct df_box){ 3, 3, 3, 3 }), 0, 0, 0); /* empty union */
    assert_close(df_box_iou((struct df_box){ 5, 8, 1, 2 }, (struct df_box){ 0, 0, 9, 9 }), 0, 0, 0); /* inside out */
}

static void clip_and_flip(void **state)
{
    (void)state;
    const struct df_box c = df_box_clip((struct df_box){ -3, 4, 25, 31 }, 20, 30), f = df_box_flip((struct df_box){ 2, 3, 7, 11 }, 20);
    const struct df_box away = df_box_clip((struct df_box){ 40, -9, 50, -2 }, 20, 30);

    assert_true(c.x0 == 0 && c.y0 == 4 && c.x1 == 20 && c.y1 == 30);
    assert_true(away.x0 == 20 && away.y0 == 0 && away.x1 == 20 && away.y1 == 0);
    assert_true(f.x0 == 13 && f.y0 == 3 && f.x1 == 18 && f.y1 == 11);
}

static void read_floats(FILE *file, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fscanf(file, "%f", &to[i]), 1);
}

/* Sizes differ from torch's by exp and log: below 3e-7 each; a corner is a difference of sums, so its error scales with the box. */
static void check_coding(FILE *file, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        float v[24], encoded[4];

        read_floats(file, v, 24);
        const struct df_box reference = { v[0], v[1], v[2], v[3] }, box = { v[4], v[5], v[6], v[7] };
        const struct df_box decoded = df_box_decode(reference, v + 16, v + 8);
        const float got[4] = { decoded.x0, decoded.y0, decoded.x1, decoded.y1 };
        const double size = fmax(fabs(v[22] - v[20]), fabs(v[23] - v[21]));

        df_box_encode(reference, box, v + 8, encoded);
        for (size_t j = 0; j < 4; j++) {
            assert_close(encoded[j], v[12 + j], 1e-6, 1e-6);
            assert_close(got[j], v[20 + j], 1e-6, 1e-6 * size);
        }
    }
}

static void check_nms(FILE *file, size_t n, size_t expected, float threshold)
{
    struct df_box *boxes = malloc(n * sizeof *boxes);
    float *scores = malloc(n * sizeof *scores);
    int32_t *groups = malloc(n * sizeof *groups);
    uint32_t *keep = malloc(n * sizeof *keep), *scratch = malloc(n * sizeof *scratch), want;

    for (size_t i = 0; i < n; i++) {
        read_floats(file, &boxes[i].x0, 1);
        read_floats(file, &boxes[i].y0, 1);
        read_floats(file, &boxes[i].x1, 1);
        read_floats(file, &boxes[i].y1, 1);
        read_floats(file, &scores[i], 1);
        assert_int_equal(fscanf(file, "%d", &groups[i]), 1);
    }
    assert_int_equal(df_nms(&(struct df_suppression){ n, boxes, scores, groups, threshold, 0 }, keep, scratch), expected);
    for (size_t i = 0; i < expected; i++) {
        assert_int_equal(fscanf(file, "%u", &want), 1);
        assert_int_equal(keep[i], want);
    }
    want = keep[6];
    assert_int_equal(df_nms(&(struct df_suppression){ n, boxes, scores, groups, threshold, 7 }, keep, scratch), 7);
    assert_int_equal(keep[6], want);
    free(boxes);
    free(scores);
    free(groups);
    free(keep);
    free(scratch);
}

static void golden(void **state)
{
    (void)state;
    FILE *file = fopen("tests/golden/geometry.txt", "r");
    char kind[8];
    size_t n, kept, seen = 0;
    float threshold;

    assert_non_null(file);
    for (; fscanf(file, "%7s", kind) == 1; seen++) {
        if (strcmp(kind, "code") == 0) {
            assert_int_equal(fscanf(file, "%zu", &n), 1);
            check_coding(file, n);
        } else {
            assert_int_equal(fscanf(file, "%zu %zu %f", &n, &kept, &threshold), 3);
            check_nms(file, n, kept, threshold);
        }
    }
    assert_int_equal(seen, 4);
    fclose(file);
}

/* Encoding and decoding are inverse: two float roundings of numbers up to 300. */
static void round_trip(void **state)
{
    (void)state;
    const struct df_box reference = { 10, 20, 58, 50 }, box = { 31, 7, 44, 103 };
    const float weights[4] = { 10, 9, 5, 4 };
    float deltas[4];

    df_box_encode(reference, box, weights, deltas);
    const struct df_box back = df_box_decode(reference, deltas, weights);

    assert_close(back.x0, box.x0, 0, 1e-4);
    assert_close(back.y0, box.y0, 0, 1e-4);
    assert_close(back.x1, box.x1, 0, 1e-4);
    assert_close(back.y1, box.y1, 0, 1e-4);
}

static void nms_ties_threshold_and_groups(void **state)
{
    (void)state;
    const struct df_box a = { 0, 0, 2, 1 }, half = { 0, 0, 1, 1 }, far = { 50, 0, 52, 1 };
    const struct df_box boxes[] = { half, a, a, far, a };
    const float scores[] = { .5f, .5f, .5f, NAN, .9f };
    const int32_t groups[] = { 0, 7, 0, 0, 7 };
    uint32_t keep[5], scratch[5];

    /* one group: 4 first; 0 overlaps it by exactly 0.5, which is not > 0.5; 1 and 2 are 4 again; NaN comes last */
    assert_int_equal(df_nms(&(struct df_suppression){ 5, boxes, scores, NULL, .5f, 0 }, keep, scratch), 3);
    assert_true(keep[0] == 4 && keep[1] == 0 && keep[2] == 3);
    /* two groups: 4, then 0 before 2 by index, which overlaps 0 by 0.5 only; 1 falls to 4 */
    assert_int_equal(df_nms(&(struct df_suppression){ 5, boxes, scores, groups, .5f, 0 }, keep, scratch), 4);
    assert_true(keep[0] == 4 && keep[1] == 0 && keep[2] == 2 && keep[3] == 3);
    /* just above the threshold */
    assert_int_equal(df_nms(&(struct df_suppression){ 5, boxes, scores, NULL, nextafterf(.5f, 0), 0 }, keep, scratch), 2);
    /* NaN last, wherever it stands */
    assert_int_equal(df_nms(&(struct df_suppression){ 2, boxes + 2, (const float[]){ NAN, -1 }, NULL, .5f, 0 }, keep, scratch), 2);
    assert_true(keep[0] == 1 && keep[1] == 0);
    assert_int_equal(df_nms(&(struct df_suppression){ 0, boxes, scores, groups, .5f, 0 }, keep, scratch), 0);
    assert_int_equal(df_nms(&(struct df_suppression){ 1, boxes, scores, groups, .5f, 0 }, keep, scratch), 1);
}

/* The definition in its own words: candidates in falling order, each against all that were kept. */
static size_t nms_by_definition(size_t n, const struct df_box *boxes, const float *scores, const int32_t *groups, float threshold,
                                size_t most, uint32_t *keep)
{
    bool used[512] = { false };
    size_t kept = 0;

    for (size_t round = 0; round < n && kept < most; round++) {
        size_t best = n;
        bool keeps = true;

        for (size_t i = 0; i < n; i++)
            if (!used[i] && (best == n || scores[i] > scores[best]))
                best = i;
        used[best] = true;
        for (size_t k = 0; k < kept; k++)
            keeps = keeps && !(groups[keep[k]] == groups[best] && df_box_iou(boxes[keep[k]], boxes[best]) > threshold);
        if (keeps)
            keep[kept++] = (uint32_t)best;
    }
    return kept;
}

/* Crowded and sparse, so that few and that hundreds are kept; corners on a grid, so that IoUs equal thresholds. */
static void nms_against_definition(void **state)
{
    (void)state;
    enum { N = 470 };
    const float thresholds[] = { 0, 1.0f / 3, 0.5f, 0.7f, 1 };
    const uint32_t ranges[] = { 6, 17, 90 };
    struct df_box boxes[N];
    float scores[N];
    int32_t groups[N];
    uint32_t keep[N], scratch[N], expected[N];
    size_t largest = 0;
    struct df_rng rng;

    df_rng_init(&rng, 4, DF_RNG_TEST, 0);
    for (size_t c = 0; c < 3 * 5; c++) {
        for (size_t i = 0; i < N; i++) {
            const float x = (float)df_rng_below(&rng, ranges[c / 5]), y = (float)df_rng_below(&rng, ranges[c / 5]);

            boxes[i] = (struct df_box){ x, y, x + (float)df_rng_below(&rng, 5), y + 1 + (float)df_rng_below(&rng, 7) };
            scores[i] = c % 2 ? (float)df_rng_below(&rng, 100) : -(float)i;
            groups[i] = (int32_t)df_rng_below(&rng, 3) - 1;
        }
        for (size_t most = 40; most <= N; most += N - 40) {
            const size_t n = nms_by_definition(N, boxes, scores, groups, thresholds[c % 5], most, expected);

            assert_int_equal(df_nms(&(struct df_suppression){ N, boxes, scores, groups, thresholds[c % 5], most }, keep, scratch), n);
            assert_memory_equal(keep, expected, n * sizeof *keep);
            largest = n > largest ? n : largest;
        }
    }
    assert_true(largest > 300);
}

/* Every float has its place: signs, zeros, infinities, neighbours. */
static void top_k_of_all_kinds(void **state)
{
    (void)state;
    const float values[] = { 1, -0.0f, INFINITY, 0, -INFINITY, 1 + 0x1p-23f, -1, NAN, -1 - 0x1p-23f, 1e-45f, -1e-45f, 3e38f };
    const uint32_t expected[] = { 2, 11, 5, 0, 9, 1, 3, 10, 6, 8 };
    enum { N = sizeof values / sizeof *values, COUNT = sizeof expected / sizeof *expected };
    uint32_t got[N], scratch[N];

    for (size_t k = 0; k <= N; k++) {
        assert_int_equal(df_top_k(N, values, k, -INFINITY, got, scratch), k < COUNT ? k : COUNT);
        assert_memory_equal(got, expected, (k < COUNT ? k : COUNT) * sizeof *got);
    }
    assert_int_equal(df_top_k(N, values, N, 0, got, scratch), 5); /* what equals the minimum is not taken */
}

/* Against the definition: how many values go before this one. Few levels, so that there are many ties. */
static void top_k_against_definition(void **state)
{
    (void)state;
    enum { N = 97 };
    float values[N];
    uint32_t got[N], scratch[N];
    struct df_rng rng;

    df_rng_init(&rng, 3, DF_RNG_TEST, 0);
    for (size_t i = 0; i < N; i++)
        values[i] = i % 11 == 5 ? NAN : (float)df_rng_below(&rng, 9) - 2;
    for (size_t k = 0; k <= N; k++) {
        size_t above = 0;
        const size_t n = df_top_k(N, values, k, -1, got, scratch);

        for (size_t i = 0; i < N; i++) {
            size_t before = 0;

            if (!(values[i] > -1))
                continue;
            above++;
            for (size_t j = 0; j < N; j++)
                before += values[j] > values[i] || (values[j] == values[i] && j < i);
            if (before < k)
                assert_int_equal(got[before], i);
        }
        assert_int_equal(n, above < k ? above : k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iou_by_hand),
        cmocka_unit_test(clip_and_flip),
        cmocka_unit_test(golden),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(nms_ties_threshold_and_groups),
        cmocka_unit_test(nms_against_definition),
        cmocka_unit_test(top_k_against_definition),
        cmocka_unit_test(top_k_of_all_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
