/* RetinaNet: thresholds, images alone against images in a batch, losses, repeatability, memory (test_golden.c compares it with
 * torchvision). */
#include <math.h>
#include <stdio.h>

#include "core/geometry/box.h"
#include "tests/detectors/golden_cases.h"
#include "tests/support/heap.h"

/* A threshold that is exactly the k-th score leaves the k better ones: suppression never looks down. */
static void test_score_threshold(void **state)
{
    struct test_batch *t = golden_batch(&golden_retinanet);
    struct df_found out[2][300];
    char threshold[64] = "score_threshold=0.05";
    size_t count[2];
    struct df_error err;

    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *const detector[] = { threshold, k ? "detections=20" : "detections=300", NULL };
        struct test_model model = test_model_new("ref", golden_retinanet_network, detector, GOLDEN_CLASSES, false);
        df_tape *tape = df_tape_new(model.device, false);
        struct df_detection_state s;

        assert_ok(df_state_dict_read(golden_retinanet.state, model.parameters, NULL, &err));
        df_detector_forward(model.detector, tape, &t->batch, 0, &s);
        assert_null(df_parts_find(&s.parts, "label"));

        const struct df_found *found = test_predict(model.detector, tape, &s, 0, &count[k]);

        assert_in_range(count[k], 1, k ? 20 : 300);
        memcpy(out[k], found, count[k] * sizeof *found);
        if (k == 0) {
            assert_true(count[0] > 40);
            snprintf(threshold, sizeof threshold, "score_threshold=%.17g", (double)out[0][17].score);
        }
        df_tape_free(tape);
        test_model_free(&model);
    }
    assert_int_equal(count[1], 17);
    assert_memory_equal(out[0], out[1], 17 * sizeof(struct df_found));
    test_batch_free(t);
}

/* Eight images at once and one by one: the same to 1e-5 (a library may choose another blocking for another batch). */
static void test_batch_is_images(void **state)
{
    struct test_model model = test_model_new("cpu", test_student_network, test_student_detector, 8, false);
    struct test_batch *t = test_batch_new(8, 96, 80, 8, false);
    df_tape *tape = df_tape_new(model.device, false), *single = df_tape_new(model.device, false);
    struct df_detection_state all, one;
    size_t rows;

    (void)state;
    test_model_stir(&model);
    df_detector_forward(model.detector, tape, &t->batch, 0, &all);
    rows = all.anchors;
    assert_int_equal(rows, 3 * (24 * 20 + 12 * 10 + 6 * 5));
    for (size_t n = 0; n < 8; n++) {
        struct df_batch batch = t->batch;

        batch.n = 1;
        batch.pixels += n * 96 * 80 * 3;
        batch.truth += n;
        df_tape_reset(single);
        df_detector_forward(model.detector, single, &batch, 0, &one);
        for (size_t i = 0; i < rows * 8; i++)
            assert_close((double)df_part_tensor(&all, "logits")->data[n * rows * 8 + i], (double)df_part_tensor(&one, "logits")->data[i],
                         1e-5, 1e-5);
        for (size_t i = 0; i < rows * 4; i++)
            assert_close((double)df_part_tensor(&all, "deltas")->data[n * rows * 4 + i], (double)df_part_tensor(&one, "deltas")->data[i],
                         1e-5, 1e-5);
    }
    df_tape_free(tape);
    df_tape_free(single);
    test_batch_free(t);
    test_model_free(&model);
}

/* loss_norm: with image, the mean over images of each image's own loss; with batch, sums over the positives of the batch. */
static void test_loss_norms(void **state)
{
    const char *const image[] = { "anchor_size=13,23,40", "anchor_scales=1", "loss_norm=image", NULL };
    const char *const whole[] = { "anchor_size=13,23,40", "anchor_scales=1", "loss_norm=batch", NULL };
    struct test_batch *t = test_batch_new(4, 48, 64, 3, false);
    double loss[2], mean = 0, sum = 0;
    size_t positives = 0;

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct test_model model = test_model_new("ref", test_tiny_network, k ? whole : image, 3, false);
        df_tape *tape = df_tape_new(model.device, false);
        struct df_detection_state s;

        df_detector_forward(model.detector, tape, &t->batch, DF_LABELS, &s);
        positives = test_positives(&s);
        loss[k] = df_item(tape, model.detector->class->loss(model.detector, tape, &s, NULL));
        for (size_t n = 0; k == 0 && n < 4; n++) {
            struct df_batch batch = t->batch;
            double alone;

            batch.n = 1;
            batch.pixels += n * 48 * 64 * 3;
            batch.truth += n;
            df_tape_reset(tape);
            df_detector_forward(model.detector, tape, &batch, DF_LABELS, &s);
            const size_t own = test_positives(&s);

            assert_int_equal(own == 0, n == 0);
            alone = df_item(tape, model.detector->class->loss(model.detector, tape, &s, NULL));
            mean += alone / 4;
            sum += alone * (double)(own ? own : 1);
        }
        df_tape_free(tape);
        test_model_free(&model);
    }
    assert_close(loss[0], mean, 1e-5, 0);
    assert_close(loss[1], sum / (double)positives, 1e-5, 0);
    assert_true(fabs(loss[0] - loss[1]) > 1e-3);
    test_batch_free(t);
}

/* An anchor's class and target are those of the object that it is matched with. */
static void assert_learns_matched(const struct df_batch *batch, const struct df_detection_state *s, size_t row)
{
    static const float weights[4] = { 1, 1, 1, 1 };
    const struct df_ground_truth *truth = &batch->truth[row / s->anchors];
    const int object = (int)test_host(s, "matched")[row];
    float deltas[4];

    assert_in_range(object, 0, truth->count - 1);
    assert_int_equal(test_host(s, "label")[row], truth->labels[object]);
    df_box_encode(s->anchor[row % s->anchors], truth->boxes[object], weights, deltas);
    for (size_t k = 0; k < 4; k++)
        assert_close((double)test_host(s, "target")[4 * row + k], (double)deltas[k], 0, 0);
}

/* The total is classification + weight * box, and the box loss is the formula on the state's own deltas and targets. */
static void loss_case(const char *kind, const char *beta_option, double beta)
{
    const char *const detector[] = { "anchor_size=13,23,40", "loss_norm=batch", "box_loss_weight=0.75", kind, beta_option, NULL };
    struct test_model model = test_model_new("ref", test_tiny_network, detector, 3, false);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, false);
    struct df_detection_state s;
    struct df_loss_terms terms = { 0 };
    double expected = 0, total;
    size_t linear = 0, quadratic = 0;

    test_model_stir(&model);
    df_detector_forward(model.detector, tape, &t->batch, DF_LABELS, &s);
    total = df_item(tape, model.detector->class->loss(model.detector, tape, &s, &terms));
    for (size_t i = 0; i < s.batch * s.anchors * 4; i++) {
        const double d = fabs((double)df_part_tensor(&s, "deltas")->data[i] - (double)test_host(&s, "target")[i]);

        if (test_host(&s, "label")[i / 4] < 0)
            continue;
        if (i % 4 == 0)
            assert_learns_matched(&t->batch, &s, i / 4);
        expected += d < beta ? d * d / (2 * beta) : d - beta / 2;
        linear += d >= beta;
        quadratic += d < beta;
    }
    assert_true(linear > 0 && (beta == 0 || quadratic > 0));
    assert_close(df_item(tape, terms.term[1].value), expected / (double)test_positives(&s), 1e-5, 0);
    assert_close(total, df_item(tape, terms.term[0].value) + 0.75 * df_item(tape, terms.term[1].value), 1e-6, 0);
    assert_true(terms.term[0].weight == 1 && terms.term[1].weight == 0.75);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_box_losses(void **state)
{
    (void)state;
    loss_case("box_loss=l1", NULL, 0);
    loss_case("box_loss=smooth_l1", "box_beta=0.5", 0.5);
}

/* Frozen batch norms: a training pass says what an eval pass says and moves no statistics; a learning one does both. */
static void norm_case(const char *norm, bool frozen)
{
    const char *const network[] = { "depth=18", "base_width=8", "fpn_channels=8", "head_convs=1", norm, NULL };
    struct test_model model = test_model_new("ref", network, NULL, 3, true);
    struct test_batch *t = test_batch_new(2, 64, 96, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    struct df_detection_state eval, train;
    uint64_t before;

    test_model_stir(&model);
    before = df_parameters_hash(model.parameters);
    df_detector_forward(model.detector, tape, &t->batch, 0, &eval);
    assert_true(df_parameters_hash(model.parameters) == before);
    df_detector_forward(model.detector, tape, &t->batch, DF_TRAINING, &train);
    assert_true((df_parameters_hash(model.parameters) == before) == frozen);
    assert_true((memcmp(df_part_tensor(&eval, "logits")->data, df_part_tensor(&train, "logits")->data,
                        df_count(df_part_tensor(&eval, "logits")->shape) * sizeof(df_real)) == 0) == frozen);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_frozen_norm(void **state)
{
    (void)state;
    norm_case("norm=frozen", true);
    norm_case("norm=batch", false);
}

/* Towers move no bit of the head's outputs; the head that goes on from its own towers says the same. With one convolution a branch there are none. */
static void tower_case(const char *convs, const char *norm, bool expected)
{
    const char *const network[] = { "depth=18", "base_width=8", "fpn_channels=8", convs, norm, NULL };
    struct test_model model = test_model_new("ref", network, NULL, 3, true);
    struct test_batch *t = test_batch_new(2, 64, 96, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    struct df_needs towers = { 0 };
    struct df_detection_state plain, shown, finished;

    df_needs_add(&towers, "class_tower/* box_tower/*");
    df_detector_forward(model.detector, tape, &t->batch, 0, &plain);
    assert_null(df_parts_find(&plain.parts, "class_tower/0"));
    df_detector_show(model.detector, &towers);
    df_detector_forward(model.detector, tape, &t->batch, 0, &shown);
    assert_int_equal(df_parts_find(&shown.parts, "class_tower/0") != NULL, expected);
    for (int k = 0; k < 2; k++) {
        const df_tensor *a = df_part_tensor(&plain, k ? "deltas" : "logits"), *b = df_part_tensor(&shown, k ? "deltas" : "logits");

        assert_memory_equal(a->data, b->data, df_count(a->shape) * sizeof(df_real));
    }
    if (expected) {
        model.detector->class->finish_head(model.detector, tape, &shown, &finished);
        for (int k = 0; k < 2; k++) {
            const df_tensor *a = df_part_tensor(&shown, k ? "deltas" : "logits"), *b = df_part_tensor(&finished, k ? "deltas" : "logits");

            assert_ptr_not_equal(a, b);
            assert_memory_equal(a->data, b->data, df_count(a->shape) * sizeof(df_real));
        }
        const df_tensor *box = df_part(&shown, "box_tower", 0)->tensor, *class = df_part(&shown, "class_tower", 0)->tensor;
        size_t negative = 0;

        for (size_t i = 0; i < df_count(box->shape); i++)
            negative += box->data[i] < 0;
        assert_true(negative > 0 && memcmp(box->data, class->data, df_count(box->shape) * sizeof(df_real)) != 0); /* before the ReLU */
    }
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_towers(void **state)
{
    (void)state;
    tower_case("head_convs=3", "head_norm=batch", true);
    tower_case("head_convs=2", "head_norm=none", true);
    tower_case("head_convs=1", "head_norm=batch", false);
}

static double step(struct test_model *model, df_tape *tape, const struct df_batch *batch)
{
    struct df_detection_state s;
    double value;

    df_tape_reset(tape);
    df_parameters_zero_grad(model->parameters);
    df_detector_forward(model->detector, tape, batch, DF_TRAINING | DF_LABELS, &s);
    df_tensor *loss = model->detector->class->loss(model->detector, tape, &s, NULL);

    df_backward(tape, loss);
    value = df_item(tape, loss);
    test_predict(model->detector, tape, &s, 1, &(size_t){ 0 });
    return value;
}

static void test_repeatable_without_heap(void **state)
{
    const char *const detector[] = { "anchor_size=13,23,40", "score_threshold=0.001", NULL };
    struct test_model model = test_model_new("cpu", test_student_network, detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    double first;
    size_t before;

    (void)state;
    first = step(&model, tape, &t->batch);
    before = heap_ours;
    for (int k = 0; k < 3; k++)
        assert_true(step(&model, tape, &t->batch) == first);
    if (COUNT_HEAP) {
        assert_true(before > 0);
        assert_int_equal(heap_ours - before, 0);
    }
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

/* A new classifier gives every class the probability `prior`, and boxes stay anchors: output biases log(p / (1 - p)) and 0. */
static void test_prior(void **state)
{
    static const char *const name[2] = { "head.classification_head.cls_logits.bias", "head.regression_head.bbox_reg.bias" };
    struct test_model model =
        test_model_new("ref", test_tiny_network, (const char *[]){ "anchor_size=13,23,40", "prior=0.2", NULL }, 3, false);

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const struct df_parameter *bias = df_parameters_find(model.parameters, name[k]);
        const double expected = k ? 0 : log(0.25); /* 0.2 / 0.8 */

        assert_non_null(bias);
        for (size_t i = 0; i < df_count(bias->shape); i++) {
            df_real value;

            df_read(model.device, &value, bias->value + i, sizeof value);
            assert_close((double)value, expected, 1e-6, 0); /* a float */
        }
    }
    test_model_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_score_threshold), cmocka_unit_test(test_batch_is_images), cmocka_unit_test(test_loss_norms),
        cmocka_unit_test(test_box_losses),      cmocka_unit_test(test_frozen_norm),     cmocka_unit_test(test_repeatable_without_heap),
        cmocka_unit_test(test_prior),           cmocka_unit_test(test_towers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
