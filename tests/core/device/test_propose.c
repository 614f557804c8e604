/* The rows of a second stage against their definitions, on both devices: which proposals are candidates, which of them are taken, what they learn
 * and where they are pooled from. */
#include <stdlib.h>

#include "tests/core/device/devices.h"

enum { IMAGES = 3, MOST = 6, ROOM = 4, CANDIDATES = MOST + ROOM, ROWS = 5, CLASSES = 4 };

/* Image 0 has two objects that are the same box, and one more; image 1 has none; image 2 has one. What lies behind them nobody may read. */
static const struct df_box object[IMAGES * ROOM] = { { 10, 10, 30, 30 }, { 10, 10, 30, 30 }, { 50, 50, 70, 80 }, { 0, 0, 100, 100 },
                                                     { 0, 0, 100, 100 }, { 0, 0, 100, 100 }, { 0, 0, 100, 100 }, { 0, 0, 100, 100 },
                                                     { 5, 5, 9, 9 },     { 0, 0, 100, 100 }, { 0, 0, 100, 100 }, { 0, 0, 100, 100 } };
static const int32_t class[IMAGES * ROOM] = { 3, 1, 2, 7, 7, 7, 7, 7, 0, 7, 7, 7 };
static const uint32_t objects[IMAGES] = { 3, 0, 1 };
/* IoU with the first object: 1, 0.5, 0.4, 0.1; then two that overlap the third; image 1: four of six slots; image 2: none */
static const struct df_scored_box proposal[IMAGES * MOST] = {
    { { 10, 10, 30, 30 }, 1, 0, 0 }, { { 10, 10, 30, 20 }, 1, 0, 1 }, { { 10, 10, 30, 18 }, 1, 2, 2 }, { { 10, 10, 30, 12 }, 1, 1, 3 },
    { { 50, 50, 70, 80 }, 1, 0, 4 }, { { 50, 50, 70, 77 }, 1, 0, 5 }, { { 1, 1, 2, 2 }, 1, 0, 0 },     { { 3, 3, 4, 9 }, 1, 0, 1 },
    { { 0, 0, 100, 100 }, 1, 0, 2 }, { { 4, 4, 4, 9 }, 1, 0, 3 },     { { 9, 9, 19, 19 }, 0, -1, 0 },  { { 9, 9, 19, 19 }, 0, -1, 0 },
    { { 9, 9, 19, 19 }, 0, -1, 0 },  { { 9, 9, 19, 19 }, 0, -1, 0 },  { { 9, 9, 19, 19 }, 0, -1, 0 },  { { 9, 9, 19, 19 }, 0, -1, 0 },
    { { 9, 9, 19, 19 }, 0, -1, 0 },  { { 9, 9, 19, 19 }, 0, -1, 0 },
};
static const struct df_propose_rule rule = { 0.5F, 0.3F };

static struct df_truth truth_on(struct loan *loan)
{
    return (struct df_truth){ IMAGES, ROOM, lend(loan, object, sizeof object, false), lend(loan, class, sizeof class, false),
                              lend(loan, objects, sizeof objects, false) };
}

static void propose_on(struct df_device *device, bool add_truth, struct df_box *box, df_real *label)
{
    struct loan loan = { .device = device };
    const struct df_propose_args args = { .from = lend(&loan, proposal, sizeof proposal, false),
                                          .most = MOST,
                                          .truth = truth_on(&loan),
                                          .add_truth = add_truth,
                                          .rule = rule,
                                          .box = lend(&loan, box, IMAGES * CANDIDATES * sizeof *box, true),
                                          .label = lend(&loan, label, IMAGES * CANDIDATES * sizeof *label, true) };

    df_launch(device, DF_K_PROPOSE, IMAGES * CANDIDATES, &args);
    take_back(&loan);
}

static void check_candidates(struct df_device *device)
{
    /* Of the two objects that are one box the first; 0.4 is neither; an IoU of just 0.5 is enough; without objects all is background. */
    static const int expected[IMAGES * CANDIDATES] = { 0,  0,  -2, -1, 2,  2,  0,  0,  2,  -2, -1, -1, -1, -1, -2,
                                                       -2, -2, -2, -2, -2, -2, -2, -2, -2, -2, -2, 0,  -2, -2, -2 };
    struct df_box box[IMAGES * CANDIDATES];
    df_real label[IMAGES * CANDIDATES];

    for (int add = 0; add < 2; add++) {
        propose_on(device, add, box, label);
        for (size_t i = 0; i < IMAGES * CANDIDATES; i++) {
            const size_t image = i / CANDIDATES, c = i % CANDIDATES;
            const bool there = c < MOST ? proposal[image * MOST + c].group >= 0 : add && c - MOST < objects[image];
            const struct df_box none = { 0 }, *from = c < MOST ? &proposal[image * MOST + c].box : &object[image * ROOM + c - MOST];

            assert_int_equal(label[i], there ? expected[i] : -2);
            assert_memory_equal(&box[i], there ? from : &none, sizeof none);
        }
    }
}

static void test_candidates(void **state)
{
    (void)state;
    check_candidates(ref);
    check_candidates(tested);
}

/* Of image 0 candidates 1, 4 and the last, of image 1 as many as there are rows, of image 2 none. */
static void check_taken(struct df_device *device)
{
    static const df_real weight[IMAGES * CANDIDATES] = { 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1 };
    struct df_box candidate[IMAGES * CANDIDATES], box[IMAGES * ROWS];
    uint32_t image[IMAGES * ROWS];
    struct loan loan = { .device = device };
    struct df_propose_take_args args = { .room = CANDIDATES, .rows = ROWS };

    for (size_t i = 0; i < IMAGES * CANDIDATES; i++)
        candidate[i] = (struct df_box){ (float)i, 0, (float)i + 1, 1 };
    args.candidate = lend(&loan, candidate, sizeof candidate, false);
    args.weight = lend(&loan, weight, sizeof weight, false);
    args.box = lend(&loan, box, sizeof box, true);
    args.image = lend(&loan, image, sizeof image, true);
    df_launch(device, DF_K_PROPOSE_TAKE, IMAGES, &args);
    take_back(&loan);
    for (size_t r = 0; r < IMAGES * ROWS; r++) {
        static const int from[IMAGES * ROWS] = { 1, 4, 9, -1, -1, 10, 11, 12, 14, 15, -1, -1, -1, -1, -1 };
        const struct df_box none = { 0 };

        assert_int_equal(image[r], r / ROWS);
        assert_memory_equal(&box[r], from[r] < 0 ? &none : &candidate[from[r]], sizeof none);
    }
}

static void test_taken(void **state)
{
    (void)state;
    check_taken(ref);
    check_taken(tested);
}

/* More rows than proposals: those that there are, then padding. */
static void check_all(struct df_device *device)
{
    enum { EACH = MOST + 2 };
    struct df_box box[IMAGES * EACH];
    uint32_t image[IMAGES * EACH];
    struct loan loan = { .device = device };
    const struct df_propose_all_args args = { .from = lend(&loan, proposal, sizeof proposal, false),
                                              .most = MOST,
                                              .rows = EACH,
                                              .box = lend(&loan, box, sizeof box, true),
                                              .image = lend(&loan, image, sizeof image, true) };

    df_launch(device, DF_K_PROPOSE_ALL, IMAGES * EACH, &args);
    take_back(&loan);
    for (size_t r = 0; r < IMAGES * EACH; r++) {
        static const size_t there[IMAGES] = { MOST, 4, 0 };
        const struct df_box none = { 0 };

        assert_int_equal(image[r], r / EACH);
        assert_memory_equal(&box[r], r % EACH < there[r / EACH] ? &proposal[r / EACH * MOST + r % EACH].box : &none, sizeof none);
    }
}

static void test_all(void **state)
{
    (void)state;
    check_all(ref);
    check_all(tested);
}

/* A RoI of each kind: an object's own box, one beside it, one between the thresholds, one far off, padding; then one of an image without objects. */
static void check_learnt(struct df_device *device)
{
    enum { ROIS = 6, COLUMNS = CLASSES + 1 };
    static const struct df_box box[ROIS] = { { 50, 50, 70, 80 }, { 10, 10, 30, 22 }, { 10, 10, 30, 18 },
                                             { 80, 80, 90, 90 }, { 10, 30, 30, 30 }, { 1, 1, 9, 9 } };
    static const uint32_t image[ROIS] = { 0, 0, 0, 0, 0, 1 };
    static const int expected[ROIS] = { 2, 3, -2, -1, -2, -1 };
    df_real label[ROIS], encoded[ROIS * 4], column[ROIS], target[ROIS * COLUMNS * 4];
    uint8_t use[ROIS * COLUMNS];
    struct loan loan = { .device = device };
    const struct df_roi_label_args args = { .box = lend(&loan, box, sizeof box, false),
                                            .image = lend(&loan, image, sizeof image, false),
                                            .truth = truth_on(&loan),
                                            .rule = rule,
                                            .weights = { 10, 10, 5, 5 },
                                            .label = lend(&loan, label, sizeof label, true),
                                            .target = lend(&loan, encoded, sizeof encoded, true) };
    const struct df_roi_target_args columns = { .label = args.label,
                                                .encoded = args.target,
                                                .columns = COLUMNS,
                                                .column = lend(&loan, column, sizeof column, true),
                                                .target = lend(&loan, target, sizeof target, true),
                                                .use = lend(&loan, use, sizeof use, true) };

    df_launch(device, DF_K_ROI_LABEL, ROIS, &args);
    df_launch(device, DF_K_ROI_TARGET, ROIS, &columns);
    take_back(&loan);
    for (size_t r = 0; r < ROIS; r++) {
        float deltas[4] = { 0 };

        assert_int_equal(label[r], expected[r]);
        assert_int_equal(column[r], expected[r] + 1);
        if (expected[r] >= 0)
            df_box_encode(box[r], object[r ? 0 : 2], args.weights, deltas);
        for (size_t k = 0; k < COLUMNS; k++)
            assert_int_equal(use[r * COLUMNS + k], expected[r] >= 0 && (int)k == expected[r] + 1);
        for (size_t i = 0; i < 4 * COLUMNS; i++)
            assert_true(target[r * COLUMNS * 4 + i] == (use[r * COLUMNS + i / 4] ? (df_real)deltas[i % 4] : 0));
        for (size_t k = 0; k < 4; k++)
            assert_true(encoded[4 * r + k] == (df_real)deltas[k]);
    }
}

static void test_learnt(void **state)
{
    (void)state;
    check_learnt(ref);
    check_learnt(tested);
}

/* Squares: below the first edge, on it, between the edges, on the last, far beyond; and two without an area. */
static void check_levels(struct df_device *device)
{
    enum { BOXES = 7 };
    static const struct df_box box[BOXES] = { { 0, 0, 55, 55 },   { 0, 0, 56, 56 }, { 5, 5, 66, 105 },   { 0, 0, 112, 112 },
                                              { 0, 0, 999, 999 }, { 4, 4, 4, 90 },  { 0, 0, -112, -112 } };
    static const int expected[BOXES] = { 0, 1, 1, 2, 2, -1, -1 };
    int32_t level[BOXES];
    struct loan loan = { .device = device };
    const struct df_roi_level_args args = { .box = lend(&loan, box, sizeof box, false),
                                            .levels = 3,
                                            .least = { 0.25, 0.5, 0 },
                                            .canonical = 224,
                                            .level = lend(&loan, level, sizeof level, true) };

    df_launch(device, DF_K_ROI_LEVEL, BOXES, &args);
    take_back(&loan);
    for (size_t i = 0; i < BOXES; i++)
        assert_int_equal(level[i], expected[i]);
}

static void test_levels(void **state)
{
    (void)state;
    check_levels(ref);
    check_levels(tested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates), cmocka_unit_test(test_taken),  cmocka_unit_test(test_all),
        cmocka_unit_test(test_learnt),     cmocka_unit_test(test_levels),
    };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
