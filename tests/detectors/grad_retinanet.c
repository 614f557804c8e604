/* The whole detector's loss in double: for every parameter, the derivative along a random direction against central differences. */
#include <math.h>

#include "tests/detectors/detect_support.h"

static double loss_of(struct test_model *model, df_tape *tape, const struct df_batch *batch, bool training, bool backward)
{
    struct df_detection_state s;

    df_tape_reset(tape);
    df_detector_forward(model->detector, tape, batch, (training ? DF_TRAINING : 0) | DF_LABELS, &s);
    df_tensor *loss = model->detector->class->loss(model->detector, tape, &s, NULL);

    if (backward) {
        assert_true(test_positives(&s) > 0);
        df_parameters_zero_grad(model->parameters);
        df_backward(tape, loss);
    }
    return df_item(tape, loss);
}

/* `ref` keeps its memory on the host; values are moved in place. */
static void move(struct test_model *model, const struct df_parameter *p, const df_real *direction, double by)
{
    for (size_t k = 0; k < df_count(p->shape); k++)
        p->value[k] += by * direction[k];
    df_parameters_touch(model->parameters);
}

static double difference(struct test_model *model, df_tape *tape, const struct df_batch *batch, bool training, const struct df_parameter *p,
                         const df_real *direction, double h)
{
    double above, below;

    move(model, p, direction, h);
    above = loss_of(model, tape, batch, training, false);
    move(model, p, direction, -2 * h);
    below = loss_of(model, tape, batch, training, false);
    move(model, p, direction, h);
    return (above - below) / (2 * h);
}

/* Of two steps one must do: the larger has less rounding noise (the loss's 1e-16, amplified by batch norms over few values), the smaller fewer
 * kinks of ReLU and max pool between its ends. Relative to the derivative plus the norm of the gradient. */
static void check_parameter(struct test_model *model, df_tape *tape, const struct df_batch *batch, bool training,
                            const struct df_parameter *p, const df_real *grad, uint64_t seed)
{
    const size_t n = df_count(p->shape);
    df_real *direction = malloc(n * sizeof *direction);
    double analytic = 0, norm = 0, numeric, error;

    df_test_fill(direction, n, seed, 1);
    for (size_t k = 0; k < n; k++) {
        analytic += direction[k] * grad[k];
        norm += grad[k] * grad[k];
    }
    numeric = difference(model, tape, batch, training, p, direction, 1e-5);
    error = fabs(numeric - analytic);
    if (!(error <= 1e-5 * fabs(analytic)))
        error = fmin(error, fabs(difference(model, tape, batch, training, p, direction, 1e-6) - analytic));
    if (!(error <= 1e-5 * (fabs(analytic) + sqrt(norm)) + 1e-9))
        fail_msg("%s: derivative %.12g, by differences %.12g (gradient norm %.3g)", p->name, analytic, numeric, sqrt(norm));
    /* no anchor of the coarsest level need be positive; all else must matter */
    assert_true(norm > 0 || strstr(p->name, "regression_head.norm.0.2"));
    free(direction);
}

static void check_all(const char *const *network, const char *const *detector, size_t height, size_t width, bool training)
{
    struct test_model model = test_model_new("ref", network, detector, 3, true);
    struct test_batch *t = test_batch_new(2, height, width, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    df_real *grad = malloc(model.parameters->values * sizeof *grad);

    test_model_stir(&model);
    loss_of(&model, tape, &t->batch, training, true);
    memcpy(grad, model.parameters->grad, model.parameters->values * sizeof *grad);
    for (size_t i = 0; i < model.parameters->count; i++) {
        const struct df_parameter *p = model.parameters->items[i];

        if (!p->buffer)
            check_parameter(&model, tape, &t->batch, training, p, grad + p->offset, 100 + i);
    }
    free(grad);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_student_shape(void **state)
{
    (void)state;
    check_all(test_tiny_network, test_student_detector, 48, 32, true);
    check_all(test_tiny_network, test_student_detector, 32, 48, false);
}

static void test_torchvision_shape(void **state)
{
    const char *const network[] = { "depth=0",        "block=bottleneck", "blocks=1,1,1,1",
                                    "widths=2,2,3,2", "stem_width=4",     "fpn_channels=4",
                                    "head_convs=2",   "extra_from=c5",    NULL };
    const char *const pool[] = { "depth=0",      "block=basic",    "blocks=1,1", "widths=3,4",   "fpn_stages=2,3",
                                 "stem_width=4", "fpn_channels=4", "extra=pool", "head_convs=0", NULL };
    const char *const sizes[] = { "anchor_size=12,20,32", NULL };

    (void)state;
    check_all(network, NULL, 64, 96, true);
    check_all(pool, sizes, 32, 48, true);
}

static df_tensor *loss_of_pixels(struct test_model *model, df_tape *tape, const struct df_batch *batch, df_tensor *pixels)
{
    struct df_detection_state s;

    model->detector->class->forward(model->detector, tape, batch, pixels, DF_LABELS, &s);
    return model->detector->class->loss(model->detector, tape, &s, NULL);
}

/* The stirred network's scores lie around 0.01: some of them count, some do not. */
#define SCORE 0.0101

static df_tensor *scores_of_pixels(struct test_model *model, df_tape *tape, const struct df_batch *batch, df_tensor *pixels)
{
    struct df_detection_state s;

    model->detector->class->forward(model->detector, tape, batch, pixels, 0, &s);
    return model->detector->class->score_loss(model->detector, tape, &s, SCORE);
}

/* Through a network that trains, and through a frozen one. */
static void test_pixels(void **state)
{
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        struct test_model model = test_model_new("ref", test_tiny_network, test_student_detector, 3, true);
        struct test_batch *t = test_batch_new(2, 48, 32, 3, true);

        test_model_stir(&model);
        if (frozen)
            model.detector->class->fold(model.detector);
        test_pixel_gradient(&model, t, loss_of_pixels);
        test_pixel_gradient(&model, t, scores_of_pixels);
        test_batch_free(t);
        test_model_free(&model);
    }
}

/* By hand: every score above the threshold, of all images; and none. */
static void test_score_loss(void **state)
{
    struct test_model model = test_model_new("ref", test_tiny_network, test_student_detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 32, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    struct df_detection_state s;
    size_t above = 0, below = 0;
    double sum = 0;

    (void)state;
    test_model_stir(&model);
    df_detector_forward(model.detector, tape, &t->batch, 0, &s);

    const df_tensor *logits = df_part_tensor(&s, "logits");

    for (size_t i = 0; i < df_count(logits->shape); i++) {
        const double score = 1 / (1 + exp(-logits->data[i]));

        above += score > SCORE;
        below += score <= SCORE;
        sum += score > SCORE ? score : 0;
    }
    assert_true(above > 10 && below > 10);
    assert_close(df_item(tape, model.detector->class->score_loss(model.detector, tape, &s, SCORE)), sum, 0, 1e-12);
    assert_close(df_item(tape, model.detector->class->score_loss(model.detector, tape, &s, 1)), 0, 0, 0);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static struct test_model *other_network;

/* What a frozen network's head says of this network's features, weighted. */
static df_tensor *foreign_head(struct test_model *model, df_tape *tape, const struct df_batch *batch, df_tensor *pixels)
{
    struct df_detection_state own, said;
    df_tensor *logits;
    df_real *weight;

    model->detector->class->forward(model->detector, tape, batch, pixels, 0, &own);
    other_network->detector->class->run_head(other_network->detector, tape, &own, NULL, &said);
    logits = df_part_tensor(&said, "logits");
    assert_ptr_not_equal(logits, df_part_tensor(&own, "logits"));
    assert_ptr_equal(df_part(&said, "neck", 0)->tensor, df_part(&own, "neck", 0)->tensor);
    assert_true(df_same_shape(logits->shape, df_part_tensor(&own, "logits")->shape));
    weight = df_tape_host(tape, df_count(logits->shape) * sizeof *weight);
    df_test_fill(weight, df_count(logits->shape), 6, 1);
    return df_sum(tape, df_mul(tape, logits, df_tensor_from(tape, logits->shape, weight)), 15);
}

static void test_other_head(void **state)
{
    struct test_model model = test_model_new("ref", test_tiny_network, test_student_detector, 3, true);
    struct test_model other = test_model_new("ref", test_tiny_network, test_student_detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 32, 3, true);

    (void)state;
    test_model_stir(&model);
    test_model_stir(&other);
    other.detector->class->fold(other.detector);
    other_network = &other;
    test_pixel_gradient(&model, t, foreign_head);
    for (size_t i = 0; i < other.parameters->values; i++)
        assert_true(other.parameters->grad[i] == 0);
    test_batch_free(t);
    test_model_free(&other);
    test_model_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_student_shape), cmocka_unit_test(test_torchvision_shape),
                                        cmocka_unit_test(test_pixels), cmocka_unit_test(test_score_loss),
                                        cmocka_unit_test(test_other_head) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
