/* Faster R-CNN: sampling, levels, options, fixed rows, repeatability, memory (test_golden.c compares it with torchvision). */
#include <math.h>
#include <stdio.h>

#include "core/geometry/box.h"
#include "detectors/sampling.h"
#include "tests/detectors/faster_support.h"
#include "tests/support/heap.h"

static bool padding(struct df_box box) { return box.x0 == 0 && box.y0 == 0 && box.x1 == 0 && box.y1 == 0; }

/* fasterrcnn_resnet50_fpn, 91 classes with the background: as it trains from scratch, and with frozen norms. */
static void test_counts(void **state)
{
    const char *const learned[] = { "fpn_stages=2,3,4,5", "extra=pool", NULL };
    const char *const frozen[] = { "fpn_stages=2,3,4,5", "extra=pool", "norm=frozen", NULL };
    struct test_model model = test_faster_new(NULL, learned, NULL, 90, false);

    (void)state;
    assert_int_equal(df_parameters_trainable(model.parameters, 0, model.parameters->count), 41808406);
    test_model_free(&model);
    model = test_faster_new(NULL, frozen, NULL, 90, false);
    assert_int_equal(df_parameters_trainable(model.parameters, 0, model.parameters->count), 41755286);
    test_model_free(&model);
}

static void refuse(const char *network, const char *detector, const char *message)
{
    const struct df_detector_class *class = df_detector_class_find("faster_rcnn", NULL);
    const char *own[16] = { NULL }, *const options[] = { detector ? detector : "anchor_size=13,23,40", NULL };
    struct df_parameters *parameters = df_parameters_new();
    struct df_network_options network_options;
    struct df_detector *out;
    struct df_error err;
    void *values = calloc(1, class->options_size);
    size_t n = 0;

    for (; faster_tiny_network[n]; n++)
        own[n] = faster_tiny_network[n];
    own[n] = network;
    test_set(df_network_option_table, own, &network_options);
    test_set(class->options, options, values);
    assert_fails(class->create(values, &network_options, 3, parameters, &out, &err), DF_ERR_USAGE, message);
    assert_null(out);
    assert_int_equal(parameters->count, 0);
    free(values);
    df_parameters_free(parameters);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse(NULL, "anchor_scales=1,2", "detector.anchor_size: 5 sizes for 3 levels");
    refuse("head_convs=2", NULL, "network.head_convs: 2 has no effect on detector 'faster_rcnn'");
}

/* What is drawn of image `image`, if every image of a batch has these labels; returns how many. */
static size_t sample(df_tape *tape, const struct df_sampler *sampler, struct df_batch *batch, size_t image, enum df_sample_part part,
                     size_t count, const df_real *labels, uint8_t *chosen)
{
    enum { IMAGES = 3, MOST = 10 };
    df_real all[IMAGES * MOST], weight[IMAGES * MOST];
    double drawn[IMAGES];
    struct df_sampled sampled;

    df_tape_reset(tape);
    for (size_t n = 0; n < IMAGES; n++)
        memcpy(all + n * count, labels, count * sizeof *labels);
    batch->n = IMAGES;
    sampled =
        df_sample_rows(sampler, tape, (struct df_sample_of){ batch, part }, df_tensor_from(tape, (df_shape){ IMAGES, 1, count, 1 }, all));
    df_read(df_tape_device(tape), weight, sampled.weight->data, IMAGES * count * sizeof *weight);
    df_read(df_tape_device(tape), drawn, sampled.count, sizeof drawn);
    for (size_t i = 0; i < count; i++)
        chosen[i] = weight[image * count + i] != 0;
    return (size_t)drawn[image];
}

/* Three positives, five negatives, two that are neither. */
static void test_sampling(void **state)
{
    enum { COUNT = 10, STEPS = 4000 };
    const df_real labels[COUNT] = { -1, 4, -2, -1, 0, -1, -1, 2, -2, -1 };
    struct df_batch batch = { .seed = 3 };
    size_t times[COUNT] = { 0 }, changed[3] = { 0 };
    uint8_t chosen[COUNT], other[COUNT];
    struct df_device *device = df_test_open(df_test_device(), 1);
    df_tape *tape = df_tape_new(device, false);

    (void)state;
    for (size_t step = 0; step < STEPS; step++) {
        const struct df_sampler sampler = { 5, 0.5 }; /* 2 positives, 3 negatives */
        size_t positives = 0;

        batch.step = step;
        assert_int_equal(sample(tape, &sampler, &batch, 1, DF_SAMPLE_ANCHORS, COUNT, labels, chosen), 5);
        for (size_t i = 0; i < COUNT; i++) {
            times[i] += chosen[i];
            positives += chosen[i] && labels[i] >= 0;
        }
        assert_int_equal(positives, 2);
        sample(tape, &sampler, &batch, 1, DF_SAMPLE_ANCHORS, COUNT, labels, other);
        assert_memory_equal(chosen, other, COUNT);
        sample(tape, &sampler, &batch, 2, DF_SAMPLE_ANCHORS, COUNT, labels, other);
        changed[0] += memcmp(chosen, other, COUNT) != 0;
        sample(tape, &sampler, &batch, 1, DF_SAMPLE_PROPOSALS, COUNT, labels, other);
        changed[1] += memcmp(chosen, other, COUNT) != 0;
        batch.seed = 4;
        sample(tape, &sampler, &batch, 1, DF_SAMPLE_ANCHORS, COUNT, labels, other);
        changed[2] += memcmp(chosen, other, COUNT) != 0;
        batch.seed = 3;
    }
    for (size_t i = 0; i < COUNT; i++) { /* 4000 draws: the standard deviation is 31 */
        const double expected = labels[i] >= 0 ? STEPS * 2.0 / 3 : labels[i] == -1 ? STEPS * 3.0 / 5 : 0;

        assert_close((double)times[i], expected, 0, labels[i] == -2 ? 0 : 130);
    }
    for (size_t k = 0; k < 3; k++) /* one of 30 subsets comes again by chance */
        assert_close((double)changed[k], STEPS * 29.0 / 30, 0, 60);
    /* few of one kind: the others fill up; more room than rows: all */
    assert_int_equal(sample(tape, &(struct df_sampler){ 7, 0.9 }, &batch, 0, DF_SAMPLE_ANCHORS, COUNT, labels, chosen), 7);
    assert_int_equal(chosen[1] + chosen[4] + chosen[7], 3);
    assert_int_equal(sample(tape, &(struct df_sampler){ 50, 0.5 }, &batch, 0, DF_SAMPLE_ANCHORS, COUNT, labels, chosen), 8);
    assert_int_equal(sample(tape, &(struct df_sampler){ 4, 0 }, &batch, 0, DF_SAMPLE_ANCHORS, COUNT, labels, chosen), 4);
    assert_int_equal(chosen[1] + chosen[2] + chosen[4] + chosen[7] + chosen[8], 0);
    df_tape_free(tape);
    df_device_close(device);
}

/* torchvision's LevelMapper(2, 5): squares of these sides. Every level's map is a constant of its own, so logits tell the level. */
static void test_level_rule(void **state)
{
    enum { BOXES = 14, LEVELS = 4 };
    const char *const network[] = { "depth=0",        "block=basic", "blocks=1,1,1,1", "base_width=4", "fpn_stages=2,3,4,5", "extra=none",
                                    "fpn_channels=4", NULL };
    const char *const detector[] = { "anchor_size=8,16,32,64", "fc_width=7", NULL };
    static const float side[BOXES] = { 50, 150, 300, 600, 10, 111.9F, 112, 113, 223.9F, 224, 447.9F, 448, 30, 895 };
    static const size_t level[BOXES] = { 0, 1, 2, 3, 0, 0, 1, 1, 1, 2, 2, 3, 0, 3 };
    struct test_model model = test_faster_new("cpu", network, detector, 2, false);
    struct test_batch *t = test_batch_new(1, 900, 900, 2, true);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_detection_state s = { .batch = 1, .classes = 2, .images = &t->batch, .levels = LEVELS }, out;
    struct df_box box[BOXES];
    uint32_t image[BOXES] = { 0 };
    df_real *map = malloc(225 * 225 * 4 * sizeof *map);

    (void)state;
    for (size_t l = 0; l < LEVELS; l++) {
        const size_t cells = ((size_t)225 >> l) + 1;

        for (size_t i = 0; i < 225 * 225 * 4; i++)
            map[i] = (df_real)((l + 1) * (1 + i % 4));
        df_parts_set(&s.parts, "neck", l, (size_t)4 << l, df_tensor_from(tape, (df_shape){ 1, l ? cells : 225, l ? cells : 225, 4 }, map));
    }
    for (size_t i = 0; i < BOXES; i++)
        box[i] = (struct df_box){ 0, 0, side[i], side[i] };
    model.detector->class->run_head(model.detector, tape, &s, &(struct df_rois){ BOXES, box, image }, &out);

    const df_real *logits = df_part_tensor(&out, "roi/logits")->data;

    for (size_t i = 0; i < BOXES; i++)
        for (size_t l = 0; l < LEVELS; l++) {
            double difference = 0;

            for (size_t k = 0; k < 3; k++)
                difference += fabs((double)(logits[3 * i + k] - logits[3 * l + k]));
            if (level[i] == l)
                assert_close(difference, 0, 0, 1e-5);
            else
                assert_true(difference > 1e-3);
        }
    free(map);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static struct df_batch one_of(const struct df_batch *batch, size_t n)
{
    struct df_batch one = *batch;

    one.n = 1;
    one.pixels += n * one.height * one.width * 3;
    one.truth += n;
    return one;
}

/* Images together and one by one: the same proposals and detections, bit for bit on a device that adds in one order. */
static void test_batch_is_images(void **state)
{
    struct test_model model = test_faster_new("ref", faster_tiny_network, faster_tiny_detector, 3, false);
    struct test_batch *t = test_batch_new(3, 48, 64, 3, false);
    df_tape *tape = df_tape_new(model.device, false), *single = df_tape_new(model.device, false);
    struct df_detection_state all, one;
    size_t rows, real = 0;

    (void)state;
    test_model_stir(&model);
    model.detector->class->fold(model.detector);
    df_detector_forward(model.detector, tape, &t->batch, 0, &all);
    rows = all.rois.count / 3;
    assert_int_equal(rows, 50);
    for (size_t n = 0; n < 3; n++) {
        const struct df_batch batch = one_of(&t->batch, n);
        size_t count, own;

        df_tape_reset(single);
        df_detector_forward(model.detector, single, &batch, 0, &one);
        assert_int_equal(one.rois.count, rows);
        assert_memory_equal(all.rois.box + n * rows, one.rois.box, rows * sizeof *one.rois.box);
        assert_memory_equal(df_part_tensor(&all, "roi/logits")->data + n * rows * 4, df_part_tensor(&one, "roi/logits")->data,
                            rows * 4 * sizeof(df_real));

        const struct df_found *a = test_predict(model.detector, tape, &all, n, &count);
        const struct df_found *b = test_predict(model.detector, single, &one, 0, &own);

        assert_int_equal(count, own);
        assert_true(count > 5);
        assert_memory_equal(a, b, count * sizeof *a);
        for (size_t r = 0; r < rows; r++)
            real += !padding(one.rois.box[r]);
    }
    assert_true(real > 30);
    df_tape_free(tape);
    df_tape_free(single);
    test_batch_free(t);
    test_model_free(&model);
}

static double step(struct test_model *model, df_tape *tape, struct test_batch *t, size_t at)
{
    struct df_detection_state s;
    double value;

    t->batch.step = at;
    df_tape_reset(tape);
    df_parameters_zero_grad(model->parameters);
    df_detector_forward(model->detector, tape, &t->batch, DF_TRAINING | DF_LABELS, &s);
    df_tensor *loss = model->detector->class->loss(model->detector, tape, &s, NULL);

    df_backward(tape, loss);
    value = df_item(tape, loss);
    assert_int_equal(s.rois.count, 2 * 20);
    for (size_t r = 0; r < s.rois.count; r++)
        assert_int_equal(test_host(&s, "roi/label")[r] == -2, padding(s.rois.box[r]));
    test_predict(model->detector, tape, &s, 1, &(size_t){ 0 });
    return value;
}

/* The same step gives the same bits, another one samples others; rows stay fixed and the heap is left alone whatever the images hold. */
static void test_repeatable_without_heap(void **state)
{
    struct test_model model = test_faster_new("cpu", faster_tiny_network, faster_tiny_detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    double first, value;
    size_t before;

    (void)state;
    first = step(&model, tape, t, 1);
    before = heap_ours;
    assert_true(step(&model, tape, t, 1) == first);
    assert_true(step(&model, tape, t, 2) != first);
    t->truth[0].count = 0;
    t->truth[1].count = 4;
    value = step(&model, tape, t, 3);
    t->truth[1].count = 0;
    assert_true(isfinite(value) && isfinite(step(&model, tape, t, 4)));
    if (COUNT_HEAP) {
        assert_true(before > 0);
        assert_int_equal(heap_ours - before, 0);
    }
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

/* A positive anchor's target is the box of the object that it is said to be matched with. */
static void test_matched(void **state)
{
    static const float ones[4] = { 1, 1, 1, 1 };
    struct test_model model = test_faster_new("cpu", faster_tiny_network, faster_tiny_detector, 3, false);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_detection_state s;
    size_t positives = 0;

    (void)state;
    df_detector_forward(model.detector, tape, &t->batch, DF_LABELS, &s);
    for (size_t r = 0; r < 2 * s.anchors; r++) {
        const struct df_box *boxes = t->truth[r / s.anchors].boxes;
        float deltas[4];

        if (test_host(&s, "label")[r] != 0)
            continue;
        positives++;
        df_box_encode(s.anchor[r % s.anchors], boxes[(size_t)test_host(&s, "matched")[r]], ones, deltas);
        for (size_t k = 0; k < 4; k++)
            assert_close((double)test_host(&s, "target")[4 * r + k], (double)deltas[k], 0, 0);
    }
    assert_true(positives > 0);
    assert_int_equal(test_positives(&s), positives);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

/* What one option changes, beside the tiny detector's. */
static struct test_model model_with(const char *one, const char *two)
{
    const char *own[24] = { NULL };
    size_t n = 0;

    for (; faster_tiny_detector[n]; n++)
        own[n] = faster_tiny_detector[n];
    own[n++] = one;
    own[n] = two;
    return test_faster_new("ref", faster_tiny_network, own, 3, false);
}

static double loss_with(const char *one, const char *two, struct test_batch *t, struct df_loss_terms *terms, size_t *objects)
{
    struct test_model model = model_with(one, two);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_detection_state s;
    double sum = 0, value;

    df_detector_forward(model.detector, tape, &t->batch, DF_LABELS, &s);
    *terms = (struct df_loss_terms){ 0 };
    value = df_item(tape, model.detector->class->loss(model.detector, tape, &s, terms));
    for (size_t k = 0; k < terms->count; k++)
        sum += terms->term[k].weight * df_item(tape, terms->term[k].value);
    assert_close(value, sum, 1e-5, 0);
    *objects = 0;
    for (size_t g = 0; g < t->truth[1].count; g++)
        for (size_t r = 0; r < s.rois.count; r++)
            *objects += s.rois.image[r] == 1 && memcmp(&s.rois.box[r], &t->boxes[1][g], sizeof(struct df_box)) == 0;
    df_tape_free(tape);
    test_model_free(&model);
    return value;
}

/* Weights weigh; rows that hold nothing count nothing; the objects' boxes are among the proposals or are not. */
static void test_loss_options(void **state)
{
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    struct df_loss_terms terms;
    size_t objects;
    double few, many;

    (void)state;
    loss_with("rpn_class_loss_weight=0.5", "box_loss_weight=3", t, &terms, &objects);
    assert_true(terms.term[0].weight == 0.5 && terms.term[1].weight == 1 && terms.term[2].weight == 1 && terms.term[3].weight == 3);
    loss_with("rpn_box_loss_weight=0.25", "class_loss_weight=2", t, &terms, &objects);
    assert_true(terms.term[0].weight == 1 && terms.term[1].weight == 0.25 && terms.term[2].weight == 2 && terms.term[3].weight == 1);
    few = loss_with("roi_batch=80", "roi_positive=1", t, &terms, &objects);
    assert_int_equal(objects, 2); /* all that there is is sampled */
    many = loss_with("roi_batch=100", "roi_positive=1", t, &terms, &objects);
    assert_close(many, few, 1e-6, 0);
    loss_with("roi_batch=80", "add_truth=0", t, &terms, &objects);
    assert_int_equal(objects, 0);
    test_batch_free(t);
}

/* Of two objects in one place the first is matched; a network's head_width replaces fc_width. */
static void test_ties_and_width(void **state)
{
    struct test_model model = model_with("fc_width=30", NULL);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_detection_state s, given;
    struct df_box box;

    (void)state;
    assert_int_equal(df_parameters_find(model.parameters, "roi_heads.box_head.fc6.weight")->shape.n, 11);
    assert_int_equal(df_parameters_find(model.parameters, "roi_heads.box_predictor.cls_score.weight")->shape.c, 11);
    t->boxes[1][1] = t->boxes[1][0];
    t->labels[1][0] = 2;
    t->labels[1][1] = 1;
    box = t->boxes[1][0];
    box.x1 += 1;
    df_detector_forward(model.detector, tape, &t->batch, 0, &s);
    model.detector->class->run_head(model.detector, tape, &s, &(struct df_rois){ 1, &box, &(uint32_t){ 1 } }, &given);
    assert_int_equal(test_host(&given, "roi/label")[0], 2);
    model.detector->class->run_head(model.detector, tape, &s, NULL, &given); /* the dense head again */
    assert_memory_equal(df_part_tensor(&given, "logits")->data, df_part_tensor(&s, "logits")->data, 2 * s.anchors * sizeof(df_real));
    assert_ptr_not_equal(df_part_tensor(&given, "logits"), df_part_tensor(&s, "logits"));
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

/* A network that says nothing but not-a-number has no proposals: padding only, no detections, a loss that tells. */
static void test_not_a_number(void **state)
{
    struct test_model model = test_faster_new("ref", faster_tiny_network, faster_tiny_detector, 3, false);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_parameter *bias = df_parameters_find(model.parameters, "rpn.head.cls_logits.bias");
    struct df_detection_state s;
    size_t count;

    (void)state;
    for (size_t k = 0; k < df_count(bias->shape); k++)
        bias->value[k] = NAN;
    df_parameters_touch(model.parameters);
    df_detector_forward(model.detector, tape, &t->batch, 0, &s);
    for (size_t r = 0; r < s.rois.count; r++)
        assert_true(padding(s.rois.box[r]));
    test_predict(model.detector, tape, &s, 0, &count);
    assert_int_equal(count, 0);
    df_detector_forward(model.detector, tape, &t->batch, DF_LABELS, &s);
    assert_int_equal(test_host(&s, "roi/label")[0], t->labels[0][0]); /* the object itself */
    assert_true(isnan(df_item(tape, model.detector->class->loss(model.detector, tape, &s, NULL))));
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static size_t proposals_from(const char *threshold)
{
    const char *const options[] = { "anchor_size=13,23,40", "rpn_init_std=0", threshold, NULL };
    struct test_model model = test_faster_new("cpu", faster_tiny_network, options, 3, false);
    struct test_batch *t = test_batch_new(1, 64, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_detection_state s;
    size_t found = 0;

    df_detector_forward(model.detector, tape, &t->batch, 0, &s);
    for (size_t r = 0; r < s.rois.count; r++)
        found += !padding(s.rois.box[r]);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
    return found;
}

/* Without weights every logit is 0, every score exactly 0.5: a proposal has at least the threshold, as torchvision's. */
static void test_score_at_threshold(void **state)
{
    (void)state;
    assert_true(proposals_from("rpn_score_threshold=0.5") > 10);
    assert_int_equal(proposals_from("rpn_score_threshold=0.50001"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_level_rule),
        cmocka_unit_test(test_batch_is_images),
        cmocka_unit_test(test_repeatable_without_heap),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_matched),
        cmocka_unit_test(test_loss_options),
        cmocka_unit_test(test_ties_and_width),
        cmocka_unit_test(test_score_at_threshold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
