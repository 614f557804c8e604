/* Faster R-CNN in double, by central differences along random directions: the whole loss on given proposals (a network's own ones move with its
 * weights, and get no gradient), and the student's features through another network's frozen head. */
#include <math.h>

#include "tests/detectors/faster_support.h"

enum { ROWS = 9 };
/* two images, a padding row in each; classes, background and nothing in between */
static struct df_box given[ROWS];
static const uint32_t given_image[ROWS] = { 0, 0, 0, 0, 1, 1, 1, 1, 1 };

/* Near the objects, far from them, and no box at all. */
static void choose_proposals(const struct test_batch *t)
{
    const struct df_box *a = t->boxes[0], *b = t->boxes[1];
    const struct df_box box[ROWS] = { { a->x0 + 1, a->y0 - 1, a->x1 + 2, a->y1 },
                                      { 0, 0, 9, 7 },
                                      *a,
                                      { 0 },
                                      { b->x0 - 1, b->y0, b->x1, b->y1 + 1 },
                                      { 3, 2, 60, 44 },
                                      { 30, 30, 34, 33 },
                                      b[1],
                                      { 0 } };

    memcpy(given, box, sizeof given);
}

static df_tensor *loss_of(struct test_model *model, df_tape *tape, const struct df_batch *batch, bool training)
{
    struct df_detection_state own, state;

    df_tape_reset(tape);
    df_detector_forward(model->detector, tape, batch, (training ? DF_TRAINING : 0) | DF_LABELS, &own);
    model->detector->class->run_head(model->detector, tape, &own, &(struct df_rois){ ROWS, given, given_image }, &state);

    const df_real *label = test_host(&state, "roi/label");

    assert_true(test_positives(&state) > 0 && label[0] >= 0 && label[1] == -1 && label[3] == -2);
    return model->detector->class->loss(model->detector, tape, &state, NULL);
}

/* What another network's frozen head says of this one's features, weighted. */
static df_tensor *foreign(struct test_model *model, struct test_model *other, df_tape *tape, const struct df_batch *batch)
{
    struct df_detection_state own, state;
    df_real weight[ROWS * 16];

    df_tape_reset(tape);
    df_detector_forward(model->detector, tape, batch, DF_LABELS, &own);
    other->detector->class->run_head(other->detector, tape, &own, &(struct df_rois){ ROWS, given, given_image }, &state);
    df_test_fill(weight, ROWS * 16, 6, 1);
    df_tensor *logits = df_part_tensor(&state, "roi/logits"), *deltas = df_part_tensor(&state, "roi/deltas");

    return df_add(tape, df_sum(tape, df_mul(tape, logits, df_tensor_from(tape, logits->shape, weight)), 15),
                  df_sum(tape, df_mul(tape, deltas, df_tensor_from(tape, deltas->shape, weight)), 15));
}

static df_tensor *value_of(struct test_model *model, struct test_model *other, df_tape *tape, const struct df_batch *batch, bool training)
{
    return other ? foreign(model, other, tape, batch) : loss_of(model, tape, batch, training);
}

/* `ref` keeps its memory on the host; values are moved in place. */
static void move(struct test_model *model, const struct df_parameter *p, const df_real *direction, double by)
{
    for (size_t k = 0; k < df_count(p->shape); k++)
        p->value[k] += by * direction[k];
    df_parameters_touch(model->parameters);
}

static double difference(struct test_model *model, struct test_model *other, df_tape *tape, const struct df_batch *batch, bool training,
                         const struct df_parameter *p, const df_real *direction, double h)
{
    double above, below;

    move(model, p, direction, h);
    above = df_item(tape, value_of(model, other, tape, batch, training));
    move(model, p, direction, -2 * h);
    below = df_item(tape, value_of(model, other, tape, batch, training));
    move(model, p, direction, h);
    return (above - below) / (2 * h);
}

/* Of two steps one must do: the larger has less rounding noise, the smaller fewer kinks between its ends. Returns the gradient's norm. */
static double check_parameter(struct test_model *model, struct test_model *other, df_tape *tape, const struct df_batch *batch,
                              bool training, const struct df_parameter *p, const df_real *grad, uint64_t seed)
{
    const size_t n = df_count(p->shape);
    df_real *direction = malloc(n * sizeof *direction);
    double analytic = 0, norm = 0, error;

    df_test_fill(direction, n, seed, 1);
    for (size_t k = 0; k < n; k++) {
        analytic += direction[k] * grad[k];
        norm += grad[k] * grad[k];
    }
    norm = sqrt(norm);
    error = fabs(difference(model, other, tape, batch, training, p, direction, 1e-5) - analytic);
    if (!(error <= 1e-5 * fabs(analytic)))
        error = fmin(error, fabs(difference(model, other, tape, batch, training, p, direction, 1e-6) - analytic));
    if (!(error <= 1e-5 * (fabs(analytic) + norm) + 1e-9))
        fail_msg("%s: derivative %.12g, differences are off by %.3g (gradient norm %.3g)", p->name, analytic, error, norm);
    free(direction);
    return norm;
}

static void check_all(const char *const *network, const char *const *detector, bool training, bool through_other)
{
    struct test_model model = test_faster_new("ref", network, detector, 3, true);
    struct test_model other = test_faster_new("ref", network, detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    df_real *grad = malloc(model.parameters->values * sizeof *grad);

    choose_proposals(t);
    test_model_stir(&model);
    other.detector->class->fold(other.detector);
    df_parameters_zero_grad(model.parameters);
    df_backward(tape, value_of(&model, through_other ? &other : NULL, tape, &t->batch, training));
    memcpy(grad, model.parameters->grad, model.parameters->values * sizeof *grad);
    for (size_t i = 0; i < other.parameters->values; i++)
        assert_true(other.parameters->grad[i] == 0);
    for (size_t i = 0; i < model.parameters->count; i++) {
        const struct df_parameter *p = model.parameters->items[i];
        const bool head = strncmp(p->name, "rpn.", 4) == 0 || strncmp(p->name, "roi_heads.", 10) == 0;
        double norm;

        if (p->buffer)
            continue;
        norm = check_parameter(&model, through_other ? &other : NULL, tape, &t->batch, training, p, grad + p->offset, 100 + i);
        if (through_other) /* everything below the heads matters, but the level that no box is pooled from */
            assert_true(head ? norm == 0 : norm > 0 || strstr(p->name, "layer_blocks"));
        else
            assert_true(norm > 0 || strstr(p->name, "norm") || strstr(p->name, "layer_blocks"));
    }
    free(grad);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&other);
    test_model_free(&model);
}

static void test_loss(void **state)
{
    const char *const normed[] = { "depth=0",        "block=basic",    "blocks=1,1", "widths=3,4",      "stem_width=4", "stem=small",
                                   "fpn_stages=2,3", "fpn_channels=4", "extra=pool", "head_norm=batch", "head_width=5", NULL };
    const char *const detector[] = {
        "anchor_size=12,20,32", "rpn_convs=2",           "rpn_batch=60",          "rpn_pre_nms_train=40",      "roi_size=3",
        "roi_aligned=1",        "roi_sampling=0",        "roi_canonical_size=30", "rpn_class_loss_weight=0.7", "rpn_box_loss_weight=1.3",
        "box_loss_weight=0.4",  "class_loss_weight=1.6", "box_weights=9,8,4,3",   "rpn_box_weights=2,3,1.5,1", NULL
    };

    (void)state;
    check_all(faster_tiny_network, faster_tiny_detector, true, false);
    check_all(normed, detector, true, false);
}

static void test_other_head(void **state)
{
    (void)state;
    check_all(faster_tiny_network, faster_tiny_detector, false, true);
}

/* On given boxes: a network's own move with its pixels, without a gradient. */
static df_tensor *loss_of_pixels(struct test_model *model, df_tape *tape, const struct df_batch *batch, df_tensor *pixels)
{
    struct df_detection_state own, state;

    model->detector->class->forward(model->detector, tape, batch, pixels, DF_LABELS, &own);
    model->detector->class->run_head(model->detector, tape, &own, &(struct df_rois){ ROWS, given, given_image }, &state);
    return model->detector->class->loss(model->detector, tape, &state, NULL);
}

/* Between the scores of its detections: some of them count. */
#define SCORE 0.3

static df_tensor *scores_of_pixels(struct test_model *model, df_tape *tape, const struct df_batch *batch, df_tensor *pixels)
{
    struct df_detection_state own, state;

    model->detector->class->forward(model->detector, tape, batch, pixels, DF_FIRST_STAGE, &own);
    model->detector->class->run_head(model->detector, tape, &own, &(struct df_rois){ ROWS, given, given_image }, &state);
    return model->detector->class->score_loss(model->detector, tape, &state, SCORE);
}

/* By hand: what the detections of both images score. */
static void test_score_loss(void **state)
{
    struct test_model model = test_faster_new("ref", faster_tiny_network, faster_tiny_detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);
    df_tape *tape = df_tape_new(model.device, true);
    struct df_detection_state s;
    size_t above[2] = { 0 }, below = 0;
    double sum = 0;

    (void)state;
    test_model_stir(&model);
    df_detector_forward(model.detector, tape, &t->batch, 0, &s);
    for (size_t n = 0; n < 2; n++) {
        size_t count;
        const struct df_found *found = test_predict(model.detector, tape, &s, n, &count);

        for (size_t i = 0; i < count; i++) {
            above[n] += found[i].score > (float)SCORE;
            below += found[i].score <= (float)SCORE;
            sum += found[i].score > (float)SCORE ? (double)found[i].score : 0;
        }
    }
    assert_true(above[0] > 0 && above[1] > 0 && below > 0);
    assert_close(df_item(tape, model.detector->class->score_loss(model.detector, tape, &s, SCORE)), sum, 0, 1e-5);
    assert_close(df_item(tape, model.detector->class->score_loss(model.detector, tape, &s, 1)), 0, 0, 0);
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_pixels(void **state)
{
    struct test_model model = test_faster_new("ref", faster_tiny_network, faster_tiny_detector, 3, true);
    struct test_batch *t = test_batch_new(2, 48, 64, 3, true);

    (void)state;
    choose_proposals(t);
    test_model_stir(&model);
    test_pixel_gradient(&model, t, loss_of_pixels);
    test_pixel_gradient(&model, t, scores_of_pixels);
    test_batch_free(t);
    test_model_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_loss), cmocka_unit_test(test_other_head), cmocka_unit_test(test_pixels),
                                        cmocka_unit_test(test_score_loss) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
