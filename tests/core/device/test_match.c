/* Matching against its definition: for every image a plain loop over its objects and anchors. Drawn boxes lie on a grid, so that equal IoUs are
 * common; some reach out of the canvas. `ref`'s bits on every device and with any number of threads. */
#include <stdlib.h>

#include "core/device/open.h"
#include "tests/core/device/devices.h"

enum { IMAGES = 5, MOST_ROOM = 256, ANCHORS = 700, TILES = (ANCHORS + DF_MATCH_TILE - 1) / DF_MATCH_TILE, PADDED = TILES * DF_MATCH_TILE };

static const size_t objects_of[IMAGES] = { 0, 1, 7, 40, 150 }; /* the last ones are more than a room of 128 */
static struct df_box anchor[ANCHORS], truth_box[IMAGES * MOST_ROOM];
static float side[4][PADDED];
static int32_t truth_label[IMAGES * MOST_ROOM];

/* What matching says of a batch. */
struct answer {
    float most[IMAGES * MOST_ROOM];
    df_real label[IMAGES * ANCHORS], matched[IMAGES * ANCHORS], target[4 * IMAGES * ANCHORS], positives[IMAGES];
    uint8_t positive[IMAGES * ANCHORS];
    double count[IMAGES];
};

static struct df_box box_at(struct df_rng *rng, uint32_t cells, uint32_t sizes)
{
    const float x = 4 * (float)df_rng_below(rng, cells) - 16, y = 4 * (float)df_rng_below(rng, cells) - 16;

    return (struct df_box){ x, y, x + 4 * (float)(1 + df_rng_below(rng, sizes)), y + 4 * (float)(1 + df_rng_below(rng, sizes)) };
}

/* room: of an image; what lies behind its objects covers everything and must not be looked at */
static void draw(size_t room)
{
    struct df_rng rng;

    df_rng_init(&rng, 9, DF_RNG_TEST, room);
    memset(side, 0, sizeof side);
    for (size_t a = 0; a < ANCHORS; a++) {
        anchor[a] = box_at(&rng, 24, 6);
        side[0][a] = anchor[a].x0;
        side[1][a] = anchor[a].y0;
        side[2][a] = anchor[a].x1;
        side[3][a] = anchor[a].y1;
    }
    for (size_t i = 0; i < IMAGES * room; i++) {
        const bool there = i % room < objects_of[i / room];

        truth_box[i] = there ? box_at(&rng, 30, 8) : (struct df_box){ -100, -100, 200, 200 };
        truth_label[i] = there ? (int32_t)df_rng_below(&rng, 80) : 1000;
    }
}

/* The objects of the first images fit into a small room. */
static size_t images_in(size_t room)
{
    size_t n = 0;

    while (n < IMAGES && objects_of[n] <= room)
        n++;
    return n;
}

static void match_on(struct df_device *device, size_t room, bool low_quality, struct df_match_rule rule, struct answer *out)
{
    const size_t images = images_in(room), rows = images * ANCHORS;
    struct loan loan = { .device = device };
    uint32_t count[IMAGES];
    const float *sides = lend(&loan, side, sizeof side, false);

    for (size_t n = 0; n < images; n++)
        count[n] = (uint32_t)objects_of[n];
    const struct df_match_most_args most = {
        .anchors = { ANCHORS, PADDED, { sides, sides + PADDED, sides + 2 * PADDED, sides + 3 * PADDED } },
        .truth = { images, room, lend(&loan, truth_box, images * room * sizeof *truth_box, false),
                   lend(&loan, truth_label, images * room * sizeof *truth_label, false),
                   lend(&loan, count, images * sizeof *count, false) },
        .most = lend(&loan, out->most, images * room * sizeof *out->most, true)
    };
    const struct df_match_rows_args assign = { .anchors = most.anchors,
                                               .truth = most.truth,
                                               .most = low_quality ? most.most : NULL,
                                               .rule = rule,
                                               .label = lend(&loan, out->label, rows * sizeof *out->label, true),
                                               .matched = lend(&loan, out->matched, rows * sizeof *out->matched, true),
                                               .target = lend(&loan, out->target, 4 * rows * sizeof *out->target, true),
                                               .positive = lend(&loan, out->positive, rows, true) };
    const struct df_match_count_args counting = { assign.positive, ANCHORS, lend(&loan, out->count, images * sizeof *out->count, true),
                                                  lend(&loan, out->positives, images * sizeof *out->positives, true) };

    df_launch(device, DF_K_MATCH_MOST, images * room, &most);
    df_launch(device, DF_K_MATCH_ROWS, images * TILES, &assign);
    df_launch(device, DF_K_MATCH_COUNT, images, &counting);
    take_back(&loan);
}

/* ---- the definition ---- */

static const struct df_box *objects_at(size_t image, size_t room) { return truth_box + image * room; }

/* The largest IoU of an object with any anchor. */
static float most_by_definition(struct df_box object)
{
    float most = 0;

    for (size_t a = 0; a < ANCHORS; a++)
        most = fmaxf(most, df_box_iou(object, anchor[a]));
    return most;
}

static int32_t by_definition(size_t image, size_t room, size_t a, bool low_quality, const struct df_match_rule *rule)
{
    const struct df_box *object = objects_at(image, room);
    int32_t nearest = -1, owner = -1;
    float best = -1;

    for (size_t g = 0; g < objects_of[image]; g++) {
        const float iou = df_box_iou(object[g], anchor[a]), most = low_quality ? most_by_definition(object[g]) : 0;

        if (iou > best) {
            best = iou;
            nearest = (int32_t)g;
        }
        if (low_quality && iou > 0 && iou >= most && most > rule->low_quality_iou)
            owner = (int32_t)g;
    }
    if (nearest < 0)
        return -1;
    if (owner >= 0)
        return rule->own ? owner : nearest;
    return best >= rule->fg_iou ? nearest : best < rule->bg_iou ? -1 : -2;
}

struct seen { /* what the drawn cases must hold, or the test shows nothing */
    size_t positive, background, ignored, forced, stolen;
};

static void check_image(const struct answer *answer, size_t image, size_t room, bool low_quality, const struct df_match_rule *rule,
                        struct seen *seen)
{
    struct df_match_rule plain = *rule;
    size_t positives = 0;

    plain.own = false;
    for (size_t a = 0; a < ANCHORS; a++) {
        const size_t row = image * ANCHORS + a;
        const int32_t g = by_definition(image, room, a, low_quality, rule);
        float deltas[4] = { 0 };

        assert_int_equal((int32_t)answer->matched[row], g);
        assert_int_equal((int32_t)answer->label[row], g < 0 ? g : rule->classes ? truth_label[image * room + (size_t)g] : 0);
        assert_int_equal(answer->positive[row], g >= 0);
        if (g >= 0)
            df_box_encode(anchor[a], objects_at(image, room)[g], rule->weights, deltas);
        for (size_t k = 0; k < 4; k++)
            assert_true(answer->target[4 * row + k] == (df_real)deltas[k]);
        positives += g >= 0;
        seen->background += g == -1;
        seen->ignored += g == -2;
        seen->forced += g != by_definition(image, room, a, false, rule);
        seen->stolen += g != by_definition(image, room, a, low_quality, &plain);
    }
    seen->positive += positives;
    assert_true(answer->count[image] == (double)positives && answer->positives[image] == (df_real)positives);
    for (size_t g = 0; g < room; g++)
        assert_true(answer->most[image * room + g] == (g < objects_of[image] ? most_by_definition(objects_at(image, room)[g]) : 0));
}

static const struct {
    size_t room;
    bool low_quality;
    struct df_match_rule rule;
} cases[] = {
    { 256, true, { .fg_iou = 0.5F, .bg_iou = 0.4F, .classes = true, .weights = { 1, 1, 1, 1 } } },
    { 256, true, { .fg_iou = 0.7F, .bg_iou = 0.3F, .low_quality_iou = 0.3F, .own = true, .classes = true, .weights = { 10, 10, 5, 5 } } },
    { 40, false, { .fg_iou = 0.5F, .bg_iou = 0.5F, .weights = { 1, 2, 3, 4 } } },
    { 40, true, { .fg_iou = 0.25F, .bg_iou = 0, .weights = { 1, 1, 1, 1 } } },
};

static void test_definition(void **state)
{
    struct answer *answer = calloc(1, sizeof *answer);
    struct df_device *const devices[] = { ref, tested };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t d = 0; d < 2; d++) {
            struct seen seen = { 0 };

            draw(cases[c].room);
            match_on(devices[d], cases[c].room, cases[c].low_quality, cases[c].rule, answer);
            for (size_t n = 0; n < images_in(cases[c].room); n++)
                check_image(answer, n, cases[c].room, cases[c].low_quality, &cases[c].rule, &seen);
            assert_true(seen.positive > 20 && seen.background > 20);
            assert_true((seen.ignored > 20) == (cases[c].rule.bg_iou < cases[c].rule.fg_iou));
            assert_true((seen.forced > 5) == (cases[c].low_quality && cases[c].rule.bg_iou > 0));
            assert_true((seen.stolen > 0) == cases[c].rule.own);
        }
    free(answer);
}

/* The same bits, however many threads there are and in whatever room the objects stand. */
static void test_threads_and_room(void **state)
{
    struct answer *one = calloc(1, sizeof *one), *other = calloc(1, sizeof *other);
    const struct df_match_rule rule = cases[1].rule;

    (void)state;
    draw(256);
    match_on(ref, 256, true, rule, one);
    for (size_t threads = 1; threads <= 4; threads *= 2) {
        memset(other, 0, sizeof *other);
        assert_int_equal(df_device_threads(tested, threads, NULL), DF_OK);
        tested->alone = 0; /* share even what is too small for it */
        match_on(tested, 256, true, rule, other);
        assert_memory_equal(one, other, sizeof *one);
    }
    for (size_t n = 0; n < images_in(160); n++) {
        memmove(truth_box + n * 160, truth_box + n * 256, objects_of[n] * sizeof *truth_box);
        memmove(truth_label + n * 160, truth_label + n * 256, objects_of[n] * sizeof *truth_label);
    }
    match_on(tested, 160, true, rule, other);
    assert_memory_equal(one->label, other->label, sizeof one->label);
    assert_memory_equal(one->target, other->target, sizeof one->target);
    free(one);
    free(other);
}

/* Ranges of labels: their rows, marked in both forms, and how many an image has. */
static void test_ranges_of_labels(void **state)
{
    enum { MARKED = 3, ROWS = 2 * DF_MATCH_TILE + 77 };
    static const int ranges[][2] = { { -1, 1000 }, { 0, 1000 }, { -1, -1 }, { 3, 5 }, { 7, 6 } };
    static df_real label[MARKED * ROWS], weight[MARKED * ROWS];
    static uint8_t use[MARKED * ROWS];
    struct df_device *const devices[] = { ref, tested };
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 9, DF_RNG_TEST, 1);
    for (size_t i = 0; i < MARKED * ROWS; i++)
        label[i] = i / ROWS == 1 ? -2 : (df_real)df_rng_below(&rng, 12) - 2; /* of the second image all are ignored */
    for (size_t k = 0; k < 4 * sizeof ranges / sizeof *ranges; k++) {
        const int lowest = ranges[k / 4][0], highest = ranges[k / 4][1];
        struct loan loan = { .device = devices[k & 1] };
        double count[MARKED];
        const struct df_mark_rows_args args = { .label = lend(&loan, label, sizeof label, false),
                                                .rows = ROWS,
                                                .lowest = (df_real)lowest,
                                                .highest = (df_real)highest,
                                                .use = lend(&loan, use, sizeof use, true),
                                                .weight = k & 2 ? lend(&loan, weight, sizeof weight, true) : NULL,
                                                .count = lend(&loan, count, sizeof count, true) };
        size_t expected[MARKED] = { 0 };

        memset(weight, 0, sizeof weight);
        df_launch(devices[k & 1], DF_K_MARK_ROWS, MARKED, &args);
        take_back(&loan);
        for (size_t i = 0; i < MARKED * ROWS; i++) {
            const bool in = (int)label[i] >= lowest && (int)label[i] <= highest;

            assert_int_equal(use[i], in);
            assert_true(weight[i] == (k & 2 ? in : 0));
            expected[i / ROWS] += in;
        }
        for (size_t n = 0; n < MARKED; n++)
            assert_true(count[n] == (double)expected[n]);
        assert_true(lowest > highest || expected[0] > 20);
        assert_int_equal(expected[1], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_definition), cmocka_unit_test(test_threads_and_room),
                                        cmocka_unit_test(test_ranges_of_labels) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
