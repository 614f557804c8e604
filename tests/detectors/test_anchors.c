/* Anchors and matching: hand cases of torchvision's rules. */
#include <math.h>

#include "detectors/anchors.h"
#include "tests/detectors/detect_support.h"

static struct df_device *device;

static int open_device(void **state)
{
    (void)state;
    return df_device_open("ref", &device, NULL) == DF_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    df_device_close(device);
    return 0;
}

static struct df_anchor_options plain_options(void)
{
    return (struct df_anchor_options){ .size = { 1, { 10 } }, .scales = { 1, { 1 } }, .ratios = { 1, { 1 } } };
}

static struct df_anchors *make(struct df_anchor_set *set, const struct df_anchor_options *options, size_t canvas_h, size_t canvas_w,
                               size_t height, size_t width)
{
    df_tensor level = { .shape = { 1, height, width, 1 } }, *levels[DF_LEVELS] = { &level };

    return df_anchor_set_find(set, options, canvas_h, canvas_w, 1, levels);
}

/* What the anchors are matched with, [images][anchors], on the host. Returns the positives. */
static size_t match_all(struct df_anchors *anchors, const struct df_matcher *matcher, const struct df_batch *images, int32_t *matched)
{
    static const float ones[4] = { 1, 1, 1, 1 };
    df_tape *tape = df_tape_new(device, false);
    struct df_detection_state state = { .batch = images->n, .images = images, .anchors = anchors->count, .resident = anchors };
    size_t positives = 0;

    df_anchors_send(anchors, device);
    df_assign_anchors(&(struct df_assignment){ matcher, ones, false }, tape, &state);
    for (size_t r = 0; r < images->n * anchors->count; r++) {
        matched[r] = (int32_t)test_host(&state, "matched")[r];
        assert_int_equal(test_host(&state, "label")[r], matched[r] < 0 ? matched[r] : 0);
    }
    for (size_t n = 0; n < images->n; n++) {
        positives += (size_t)test_host(&state, "positives")[n];
        assert_true(state.assigned.count[n] == (double)test_host(&state, "positives")[n]);
    }
    df_tape_free(tape);
    return positives;
}

static void assert_box(struct df_box box, double x0, double y0, double x1, double y1)
{
    assert_close((double)box.x0, x0, 1e-6, 0);
    assert_close((double)box.y0, y0, 1e-6, 0);
    assert_close((double)box.x1, x1, 1e-6, 0);
    assert_close((double)box.y1, y1, 1e-6, 0);
}

/* size 32, scales 1 and 2^(1/3) (cut to 40), ratios 0.5 and 2: torchvision's base anchors; strides 8 down and 16 across */
static void test_torchvision_cells(void **state)
{
    const struct df_anchor_options options = {
        .size = { 1, { 32 } }, .scales = { 2, { 1, 1.2599210498948732 } }, .ratios = { 2, { 0.5, 2 } }, .truncate = true, .rounding = true
    };
    struct df_anchor_set set = { 0 };
    const struct df_anchors *a;

    (void)state;
    a = make(&set, &options, 24, 64, 3, 4);
    assert_int_equal(a->count, 3 * 4 * 4);
    assert_box(a->box[0], -23, -11, 23, 11);
    assert_box(a->box[1], -28, -14, 28, 14);
    assert_box(a->box[2], -11, -23, 11, 23);
    assert_box(a->box[3], -14, -28, 14, 28);
    assert_box(a->box[4 * (4 * 2 + 3) + 1], 48 - 28, 16 - 14, 48 + 28, 16 + 14);
    df_anchor_set_release(&set);
}

static void test_centres_and_canvas_change(void **state)
{
    struct df_anchor_options options = plain_options();
    struct df_anchor_set set = { 0 };
    const struct df_anchors *a;

    (void)state;
    options.offset = 0.5;
    options.size.value[0] = 13;
    a = make(&set, &options, 20, 30, 2, 3);
    assert_int_equal(a->count, 6);
    assert_box(a->box[4], 15 - 6.5, 15 - 6.5, 15 + 6.5, 15 + 6.5);
    a = make(&set, &options, 40, 30, 4, 3);
    assert_int_equal(a->count, 12);
    assert_box(a->box[11], 25 - 6.5, 35 - 6.5, 25 + 6.5, 35 + 6.5);
    a = make(&set, &options, 20, 30, 2, 3);
    assert_int_equal(a->count, 6);
    a = make(&set, &options, 20, 30, 4, 3);
    assert_int_equal(a->count, 12);
    assert_box(a->box[3], 5 - 6.5, 7.5 - 6.5, 5 + 6.5, 7.5 + 6.5);
    a = make(&set, &options, 20, 30, 4, 5);
    assert_int_equal(a->count, 20);
    df_anchor_set_release(&set);
}

/* Canvases that were seen are kept with what the device has of them, the last DF_ANCHOR_CANVASES of them. */
static void test_canvases_are_kept(void **state)
{
    struct df_anchor_options options = plain_options();
    struct df_anchor_set set = { 0 };
    const struct df_box *first, *box;

    (void)state;
    for (size_t k = 0; k < DF_ANCHOR_CANVASES; k++)
        df_anchors_send(make(&set, &options, 10 + 10 * k, 50, 1 + k, 5), device);
    first = make(&set, &options, 10, 50, 1, 5)->resident;
    box = make(&set, &options, 20, 50, 2, 5)->box;
    assert_non_null(first);
    make(&set, &options, 1000, 50, 100, 5); /* in the place of 30 x 50, which was not asked for the longest */
    assert_ptr_equal(make(&set, &options, 10, 50, 1, 5)->resident, first);
    assert_ptr_equal(make(&set, &options, 20, 50, 2, 5)->box, box);
    assert_null(make(&set, &options, 30, 50, 3, 5)->resident);
    assert_null(make(&set, &options, 10, 50, 1, 4)->resident);
    df_anchor_set_release(&set);
}

/* Five 10x10 anchors in a row, 10 apart, from x = -5 to 45, y -5 to 5. */
static size_t match(const struct df_matcher *matcher, const struct df_box *boxes, size_t count, int32_t matched[5])
{
    const struct df_anchor_options options = plain_options();
    const int32_t labels[4] = { 0 };
    const struct df_ground_truth truth = { count, boxes, labels };
    const struct df_batch batch = { .n = 1, .truth = &truth };
    struct df_anchor_set set = { 0 };
    const size_t positives = match_all(make(&set, &options, 10, 50, 1, 5), matcher, &batch, matched);

    df_anchor_set_release(&set);
    return positives;
}

static void assert_matched(const int32_t *matched, int32_t a, int32_t b, int32_t c, int32_t d, int32_t e)
{
    const int32_t expected[5] = { a, b, c, d, e };

    for (size_t k = 0; k < 5; k++)
        assert_int_equal(matched[k], expected[k]);
}

static void test_thresholds(void **state)
{
    const struct df_matcher matcher = { .fg_iou = 0.5, .bg_iou = 0.4 };
    /* IoU: anchor 0 exactly 0.5 (half its height), anchor 2 0.45, anchor 3 0.3, anchor 4 exactly 0.4 */
    const struct df_box boxes[] = { { -5, -5, 5, 0 }, { 15, -5, 25, -0.5F }, { 25, -5, 28, 5 }, { 35, -5, 39, 5 } };
    int32_t matched[5];

    (void)state;
    assert_int_equal(match(&matcher, boxes, 4, matched), 1);
    assert_matched(matched, 0, -1, -2, -1, -2);
    assert_int_equal(match(&matcher, boxes, 0, matched), 0);
    assert_matched(matched, -1, -1, -1, -1, -1);
}

/* box 0 lies between anchors 1 and 2: IoU 50 / 150 with both, a tie: both are forced. Box 1 overlaps anchor 3 with 0.3. Box 2 nothing. */
static void test_low_quality(void **state)
{
    struct df_matcher matcher = { .fg_iou = 0.5, .bg_iou = 0.4, .low_quality = true };
    const struct df_box boxes[] = { { 10, -5, 20, 5 }, { 25, -5, 28, 5 }, { 10, 100, 20, 120 } };
    int32_t matched[5];

    (void)state;
    assert_int_equal(match(&matcher, boxes, 3, matched), 3);
    assert_matched(matched, -1, 0, 0, 1, -1);
    matcher.low_quality_iou = 0.32;
    assert_int_equal(match(&matcher, boxes, 3, matched), 2);
    assert_matched(matched, -1, 0, 0, -1, -1);
}

/* Anchor 0 fits box 0 exactly and is also box 1's best: torchvision leaves it with its own best box, mmdet gives it to box 1. */
static void test_forced_owner(void **state)
{
    struct df_matcher matcher = { .fg_iou = 0.5, .bg_iou = 0.4, .low_quality = true };
    const struct df_box boxes[] = { { -5, -5, 5, 5 }, { -5, -5, 0, 0 } };
    int32_t matched[5];

    (void)state;
    assert_int_equal(match(&matcher, boxes, 2, matched), 1);
    assert_matched(matched, 0, -1, -1, -1, -1);
    matcher.low_quality_box = DF_FORCED_OWN;
    assert_int_equal(match(&matcher, boxes, 2, matched), 1);
    assert_matched(matched, 1, -1, -1, -1, -1);
}

/* Equal IoU with two boxes: the first. */
static void test_equal_boxes(void **state)
{
    const struct df_matcher matcher = { .fg_iou = 0.5, .bg_iou = 0.4, .low_quality = true };
    const struct df_box boxes[] = { { -5, -5, 5, 4 }, { -5, -4, 5, 5 } };
    int32_t matched[5];

    (void)state;
    assert_int_equal(match(&matcher, boxes, 2, matched), 1);
    assert_matched(matched, 0, -1, -1, -1, -1);
}

/* More objects than there is room for at first: the last one of 300 alone overlaps an anchor, and only in the second image. */
static void test_more_objects_than_room(void **state)
{
    enum { OBJECTS = 300 };
    const struct df_anchor_options options = plain_options();
    const struct df_matcher matcher = { .fg_iou = 0.5, .bg_iou = 0.4, .low_quality = true };
    static struct df_box boxes[OBJECTS];
    static const int32_t labels[OBJECTS];
    const struct df_ground_truth truth[2] = { { 1, boxes, labels }, { OBJECTS, boxes, labels } };
    const struct df_batch batch = { .n = 2, .truth = truth };
    struct df_anchor_set set = { 0 };
    int32_t matched[10];

    (void)state;
    for (size_t g = 0; g < OBJECTS; g++)
        boxes[g] = (struct df_box){ 1000, 1000, 1010, 1010 };
    boxes[OBJECTS - 1] = (struct df_box){ 35, -5, 45, 5 };
    assert_int_equal(match_all(make(&set, &options, 10, 50, 1, 5), &matcher, &batch, matched), 1);
    assert_matched(matched, -1, -1, -1, -1, -1);
    assert_matched(matched + 5, -1, -1, -1, -1, OBJECTS - 1);
    df_anchor_set_release(&set);
}

/* Against a plain double loop over the student's 2268 anchors: only pairs on a threshold could differ, and there are none. */
static void test_against_plain_loop(void **state)
{
    const struct df_anchor_options options = {
        .size = { 1, { 23 } }, .scales = { 1, { 1 } }, .ratios = { 3, { 0.6, 1, 1.67 } }, .offset = 0.5
    };
    const struct df_matcher matcher = { .fg_iou = 0.5, .bg_iou = 0.4 };
    struct test_batch *t = test_batch_new(8, 96, 88, 3, true);
    struct df_anchor_set set = { 0 };
    struct df_anchors *anchors = make(&set, &options, 96, 88, 12, 11);
    int32_t all[8 * 12 * 11 * 3];

    (void)state;
    assert_int_equal(anchors->count, 12 * 11 * 3);
    match_all(anchors, &matcher, &t->batch, all);
    for (size_t n = 0; n < 8; n++) {
        const int32_t *matched = all + n * anchors->count;

        for (size_t a = 0; a < anchors->count; a++) {
            const struct df_box p = anchors->box[a];
            double best = 0;
            int32_t expected = 0;

            for (size_t g = 0; g < t->truth[n].count; g++) {
                const struct df_box q = t->truth[n].boxes[g];
                const double w = fmin((double)p.x1, (double)q.x1) - fmax((double)p.x0, (double)q.x0);
                const double h = fmin((double)p.y1, (double)q.y1) - fmax((double)p.y0, (double)q.y0);
                const double inter = w > 0 && h > 0 ? w * h : 0;
                const double area_p = (double)(p.x1 - p.x0) * (double)(p.y1 - p.y0), area_q = (double)(q.x1 - q.x0) * (double)(q.y1 - q.y0);
                const double iou = inter / (area_p + area_q - inter);

                if (iou > best) {
                    best = iou;
                    expected = (int32_t)g;
                }
            }
            assert_int_equal(matched[a], best >= 0.5 ? expected : best < 0.4 ? -1 : -2);
        }
    }
    df_anchor_set_release(&set);
    test_batch_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torchvision_cells),
        cmocka_unit_test(test_centres_and_canvas_change),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_low_quality),
        cmocka_unit_test(test_forced_owner),
        cmocka_unit_test(test_equal_boxes),
        cmocka_unit_test(test_against_plain_loop),
        cmocka_unit_test(test_canvases_are_kept),
        cmocka_unit_test(test_more_objects_than_room),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
