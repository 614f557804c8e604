/* Selections: top-k and non-maximum suppression against their definitions, in segments, with ties, NaN, empty slots and more candidates than a
 * block of a GPU takes at once; the kernels that make candidates and gather what is kept give `ref`'s bits. */
#include <stdlib.h>

#include "tests/core/device/devices.h"

static void both(void (*check)(struct df_device *device))
{
    check(ref);
    check(tested);
}

/* ---- the k largest ---- */

/* By definition: whoever beats the value at i (larger, or as large and before it) stands before it. */
static size_t rank_of(const df_real *values, size_t n, size_t i, float minimum)
{
    size_t rank = 0;

    for (size_t j = 0; j < n; j++)
        rank += (float)values[j] > minimum && (values[j] > values[i] || (values[j] == values[i] && j < i));
    return rank;
}

static void check_top_k(struct df_device *device, struct df_select_top_k_args *top)
{
    const size_t room = top->segments * top->index_stride;
    uint32_t *index = malloc(room * sizeof *index);

    memset(index, 0x5a, room * sizeof *index);
    top->index = index;
    on_select_top_k(device, *top);
    for (size_t s = 0; s < top->segments; s++) {
        const df_real *own = top->values + s * top->value_stride;
        const uint32_t *out = index + s * top->index_stride;
        size_t passing = 0;

        for (size_t i = 0; i < top->count; i++) {
            if (!((float)own[i] > top->minimum))
                continue;
            const size_t rank = rank_of(own, top->count, i, top->minimum);

            passing++;
            if (rank < top->k)
                assert_int_equal(out[rank], i);
        }
        for (size_t i = passing; i < top->k; i++)
            assert_int_equal(out[i], UINT32_MAX);
        for (size_t i = top->k; i < top->index_stride; i++)
            assert_int_equal(out[i], 0x5a5a5a5a); /* not ours */
    }
    free(index);
}

static void top_k_on(struct df_device *device)
{
    enum { COUNT = 601, STRIDE = 640, SEGMENTS = 3 };
    static const size_t ks[] = { 1, 7, 256, 300, COUNT };
    static const float minima[] = { -INFINITY, -1, 0.5F, 9 };
    df_real *values = filled(SEGMENTS * STRIDE, 3, 1);

    for (size_t i = 0; i < SEGMENTS * STRIDE; i++)
        values[i] = i % 83 == 5   ? (df_real)NAN
                    : i % 71 == 3 ? (df_real)-INFINITY
                    : i % 5 == 0  ? rintf(values[i]) /* ties, zeros of both signs */
                                  : values[i];
    for (size_t k = 0; k < sizeof ks / sizeof *ks; k++)
        for (size_t m = 0; m < sizeof minima / sizeof *minima; m++) {
            struct df_select_top_k_args top = { SEGMENTS, COUNT, ks[k], STRIDE, ks[k] + 3, minima[m], values };

            check_top_k(device, &top);
        }
    release(values);
}

static void test_top_k(void **state)
{
    (void)state;
    both(top_k_on);
}

/* ---- suppression ---- */

enum { CANDIDATES = 900, NMS_SEGMENTS = 3 };
struct candidate_arrays {
    struct df_box box[NMS_SEGMENTS * CANDIDATES];
    float score[NMS_SEGMENTS * CANDIDATES];
    int32_t group[NMS_SEGMENTS * CANDIDATES];
    uint32_t row[NMS_SEGMENTS * CANDIDATES];
};

/* side: of the square that the boxes' corners are in; a small one leaves few of them */
static void draw(struct candidate_arrays *c, size_t segment, double side, int32_t groups)
{
    struct df_rng rng;

    df_rng_init(&rng, segment + 7, DF_RNG_TEST, 0);
    for (size_t i = segment * CANDIDATES; i < (segment + 1) * CANDIDATES; i++) {
        const float x = (float)df_rng_range(&rng, 0, side), y = (float)df_rng_range(&rng, 0, side);

        c->box[i] = (struct df_box){ x, y, x + (float)df_rng_range(&rng, 5, 25), y + (float)df_rng_range(&rng, 5, 25) };
        c->score[i] = i % 97 == 11 ? NAN : (float)df_rng_below(&rng, 200) / 256; /* many ties */
        c->group[i] = i % 6 == 2 ? -1 : (int32_t)df_rng_below(&rng, (uint32_t)groups);
    }
}

static bool stands_before(const struct candidate_arrays *c, size_t a, size_t b)
{
    const bool nan_a = isnan(c->score[a]), nan_b = isnan(c->score[b]);

    if (nan_a != nan_b)
        return nan_b;
    return c->score[a] > c->score[b] || ((nan_a || c->score[a] == c->score[b]) && a < b);
}

/* By definition: the first of those that are left is kept, and takes away what it overlaps. */
static size_t expected_nms(const struct candidate_arrays *c, size_t first, float threshold, size_t most, uint32_t *keep)
{
    bool left[CANDIDATES];
    size_t kept = 0;

    for (size_t i = 0; i < CANDIDATES; i++)
        left[i] = c->group[first + i] >= 0;
    while (kept < most) {
        size_t best = CANDIDATES;

        for (size_t i = 0; i < CANDIDATES; i++)
            if (left[i] && (best == CANDIDATES || stands_before(c, first + i, first + best)))
                best = i;
        if (best == CANDIDATES)
            break;
        keep[kept++] = (uint32_t)best;
        for (size_t i = 0; i < CANDIDATES; i++)
            left[i] = left[i] && i != best &&
                      (c->group[first + i] != c->group[first + best] || !(df_box_iou(c->box[first + best], c->box[first + i]) > threshold));
    }
    return kept;
}

static void nms_on(struct df_device *device)
{
    static const size_t mosts[] = { 1, 40, 400, CANDIDATES };
    struct candidate_arrays *c = malloc(sizeof *c);
    uint32_t keep[NMS_SEGMENTS * CANDIDATES], expected[CANDIDATES];
    size_t largest = 0, smallest = CANDIDATES;

    draw(c, 0, 40, 1);
    draw(c, 1, 400, 5);
    draw(c, 2, 150, 2);
    for (size_t i = 0; i < CANDIDATES; i++)
        c->group[2 * CANDIDATES + i] = i < 300 ? c->group[2 * CANDIDATES + i] : -1; /* mostly empty */
    for (size_t m = 0; m < sizeof mosts / sizeof *mosts; m++) {
        const float threshold = m % 2 ? 0.3F : 0.6F;

        ON(select_nms, device, NMS_SEGMENTS, CANDIDATES, mosts[m], threshold, { c->box, c->score, c->group }, keep);
        for (size_t s = 0; s < NMS_SEGMENTS; s++) {
            const size_t n = expected_nms(c, s * CANDIDATES, threshold, mosts[m], expected);

            assert_memory_equal(keep + s * mosts[m], expected, n * sizeof *keep);
            for (size_t i = n; i < mosts[m]; i++)
                assert_int_equal(keep[s * mosts[m] + i], UINT32_MAX);
            largest = n > largest ? n : largest;
            smallest = m == 3 && n < smallest ? n : smallest;
        }
    }
    assert_true(largest > 512 && smallest < 100); /* several rounds of a block, and much that is suppressed */
    free(c);
}

static void test_nms(void **state)
{
    (void)state;
    both(nms_on);
}

static void test_nothing_there(void **state)
{
    struct df_device *const devices[] = { ref, tested };

    (void)state;
    for (size_t d = 0; d < 2; d++) {
        struct df_box box[3] = { { 0 } };
        float score[3] = { 1, 2, 3 };
        int32_t group[3] = { -1, -1, -1 };
        uint32_t keep[2] = { 0, 0 };

        ON(select_nms, devices[d], 1, 3, 2, 0.5F, { box, score, group }, keep);
        assert_true(keep[0] == UINT32_MAX && keep[1] == UINT32_MAX);
    }
}

/* ---- the kernels ---- */

enum { IMAGES = 2, ANCHORS = 40, CLASSES = 7, ROOM = 50, MOST = 20 };

static void dense_on(struct df_device *device, const df_real *logits, const df_real *deltas, const struct df_box *anchor, bool by_level,
                     struct candidate_arrays *out, struct df_scored_box *kept)
{
    static const float valid[IMAGES][2] = { { 64, 48 }, { 60, 40 } };
    uint32_t pair[IMAGES * ROOM], keep[IMAGES * MOST];
    struct loan loan = { .device = device };
    struct df_dense_candidates_args args = {
        .logits = lend(&loan, logits, IMAGES * ANCHORS * CLASSES * sizeof *logits, false),
        .deltas = lend(&loan, deltas, IMAGES * ANCHORS * 4 * sizeof *deltas, false),
        .anchor = lend(&loan, anchor, ANCHORS * sizeof *anchor, false),
        .valid = lend(&loan, valid, sizeof valid, false),
        .room = ROOM,
        .anchors = ANCHORS,
        .classes = CLASSES,
        .levels = 2,
        .slot = { 0, 30 },
        .first = { 0, 32 },
        .rule = { .weights = { 10, 10, 5, 5 }, .threshold = 0.5, .inclusive = by_level, .min_size = 2 },
        .by_level = by_level,
        .out = { lend(&loan, out->box, IMAGES * ROOM * sizeof *out->box, true),
                 lend(&loan, out->score, IMAGES * ROOM * sizeof *out->score, true),
                 lend(&loan, out->group, IMAGES * ROOM * sizeof *out->group, true),
                 lend(&loan, out->row, IMAGES * ROOM * sizeof *out->row, true) },
    };

    for (size_t i = 0; i < IMAGES * ROOM; i++)
        pair[i] = i % 9 == 4 ? UINT32_MAX : (uint32_t)(i * 37 % ((size_t)(i % ROOM < 30 ? 32 : ANCHORS - 32) * CLASSES));
    for (size_t i = 0; i < IMAGES * MOST; i++)
        keep[i] = i % 7 == 6 ? UINT32_MAX : (uint32_t)(i * 13 % ROOM);
    args.pair = lend(&loan, pair, sizeof pair, false);
    df_launch(device, DF_K_DENSE_CANDIDATES, IMAGES * ROOM, &args);

    const struct df_kept_boxes_args gather = { .keep = lend(&loan, keep, sizeof keep, false),
                                               .from = args.out,
                                               .most = MOST,
                                               .count = ROOM,
                                               .out = lend(&loan, kept, IMAGES * MOST * sizeof *kept, true) };

    df_launch(device, DF_K_KEPT_BOXES, IMAGES * MOST, &gather);
    take_back(&loan);
}

/* How many candidates there are: the same ones in both, with the same bits. */
static size_t same_candidates(const struct candidate_arrays *a, const struct candidate_arrays *b, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a->group[i], b->group[i]);
        if (a->group[i] < 0)
            continue;
        assert_memory_equal(&a->box[i], &b->box[i], sizeof a->box[i]);
        assert_memory_equal(&a->score[i], &b->score[i], sizeof a->score[i]);
        assert_int_equal(a->row[i], b->row[i]);
        found++;
    }
    return found;
}

static void test_dense(void **state)
{
    df_real *logits = filled(IMAGES * ANCHORS * CLASSES, 1, 2), *deltas = filled(IMAGES * ANCHORS * 4, 2, 3);
    struct candidate_arrays *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    struct df_scored_box kept_a[IMAGES * MOST], kept_b[IMAGES * MOST];
    struct df_box anchor[ANCHORS];

    (void)state;
    for (size_t i = 0; i < ANCHORS; i++)
        anchor[i] = (struct df_box){ (float)i, (float)i / 2, (float)i + 9, (float)i / 2 + 14 };
    for (size_t i = 0; i < IMAGES * ANCHORS * CLASSES; i += 4)
        logits[i] = 0; /* score 0.5: the threshold itself */
    for (int by_level = 0; by_level < 2; by_level++) {
        dense_on(ref, logits, deltas, anchor, by_level, a, kept_a);
        dense_on(tested, logits, deltas, anchor, by_level, b, kept_b);

        const size_t found = same_candidates(a, b, IMAGES * ROOM);
        size_t equal = 0;

        assert_true(found > 20 && found < IMAGES * ROOM - 20);
        for (size_t i = 0; i < IMAGES * MOST; i++) {
            assert_int_equal(kept_a[i].group, kept_b[i].group);
            if (kept_a[i].group < 0)
                continue;
            const size_t from = i / MOST * ROOM + i * 13 % ROOM; /* dense_on's keep */

            assert_memory_equal(&kept_a[i], &kept_b[i], sizeof kept_a[i]);
            assert_memory_equal(&kept_a[i].box, &a->box[from], sizeof kept_a[i].box);
            assert_true(kept_a[i].score == a->score[from] && kept_a[i].group == a->group[from] && kept_a[i].row == a->row[from]);
        }
        for (size_t i = 0; i < IMAGES * ROOM; i++) {
            const size_t level = i % ROOM >= 30, pair = i * 37 % ((size_t)(level ? ANCHORS - 32 : 32) * CLASSES);
            const size_t at = (i / ROOM * ANCHORS + (level ? 32 : 0)) * CLASSES + pair;
            const double score = 1 / (1 + exp(-(double)logits[at]));

            assert_true(a->group[i] == -1 ||
                        (score >= (by_level ? 0.5 : nextafter(0.5, 1)) && a->group[i] == (int32_t)(by_level ? level : pair % CLASSES)));
            equal += a->group[i] >= 0 && score == 0.5;
            if (a->group[i] < 0)
                continue;
            assert_close((double)a->score[i], score, 1e-6, 0);
            assert_int_equal(a->row[i], (level ? 32 : 0) + pair / CLASSES);
        }
        assert_true(by_level ? equal > 5 : equal == 0);
    }
    free(a);
    free(b);
    release(logits);
    release(deltas);
}

static void roi_on(struct df_device *device, const df_real *logits, const df_real *deltas, const struct df_box *proposal,
                   struct candidate_arrays *out)
{
    struct loan loan = { .device = device };
    const struct df_roi_candidates_args args = {
        .logits = lend(&loan, logits, ANCHORS * (CLASSES + 1) * sizeof *logits, false),
        .deltas = lend(&loan, deltas, ANCHORS * (CLASSES + 1) * 4 * sizeof *deltas, false),
        .proposal = lend(&loan, proposal, ANCHORS * sizeof *proposal, false),
        .classes = CLASSES,
        .width = 64,
        .height = 48,
        .rule = { .weights = { 10, 10, 5, 5 }, .threshold = 0.1, .min_size = 2 },
        .out = { lend(&loan, out->box, ANCHORS * CLASSES * sizeof *out->box, true),
                 lend(&loan, out->score, ANCHORS * CLASSES * sizeof *out->score, true),
                 lend(&loan, out->group, ANCHORS * CLASSES * sizeof *out->group, true),
                 lend(&loan, out->row, ANCHORS * CLASSES * sizeof *out->row, true) },
    };

    df_launch(device, DF_K_ROI_CANDIDATES, ANCHORS, &args);
    take_back(&loan);
}

static void test_rois(void **state)
{
    df_real *logits = filled(ANCHORS * (CLASSES + 1), 5, 1), *deltas = filled(ANCHORS * (CLASSES + 1) * 4, 6, 3);
    struct candidate_arrays *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    struct df_box proposal[ANCHORS];
    size_t found;

    (void)state;
    for (size_t i = 0; i < ANCHORS; i++)
        proposal[i] = (struct df_box){ (float)i, (float)i / 2, (float)i + (i % 8 ? 9 : 0), (float)i / 2 + 14 };
    roi_on(ref, logits, deltas, proposal, a);
    roi_on(tested, logits, deltas, proposal, b);
    found = same_candidates(a, b, ANCHORS * CLASSES);
    assert_true(found > 40 && found < ANCHORS * CLASSES - 40);
    for (size_t i = 0; i < ANCHORS * CLASSES; i++) {
        const df_real *row = logits + i / CLASSES * (CLASSES + 1);
        double sum = 0;

        for (size_t k = 0; k <= CLASSES; k++)
            sum += exp((double)row[k]);
        if (a->group[i] >= 0) {
            assert_close((double)a->score[i], exp((double)row[i % CLASSES + 1]) / sum, 1e-6, 0);
            assert_int_equal(a->row[i], i / CLASSES);
        }
        assert_true(a->group[i] == -1 || (a->group[i] == (int32_t)(i % CLASSES) && i / CLASSES % 8 != 0));
    }
    free(a);
    free(b);
    release(logits);
    release(deltas);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_top_k), cmocka_unit_test(test_nms), cmocka_unit_test(test_nothing_there),
                                        cmocka_unit_test(test_dense), cmocka_unit_test(test_rois) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
