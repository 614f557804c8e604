/* Networks: parameter counts and names against torchvision's, strides, what the options refuse, folding. */
#include "tests/detectors/detect_support.h"

static size_t body_count(const char *depth)
{
    const char *const network[] = { depth, NULL };
    struct test_model model = test_model_new(NULL, network, NULL, 91, false);
    size_t count = 0;

    for (size_t i = 0; i < model.parameters->count; i++) {
        const struct df_parameter *p = model.parameters->items[i];

        if (!p->buffer && strncmp(p->name, "backbone.body.", 14) == 0)
            count += df_count(p->shape);
    }
    test_model_free(&model);
    return count;
}

/* torchvision 0.29: sum of numel over the parameters of resnetN without fc; ResNet-10 by hand: 18 less one block a stage */
static void test_body_counts(void **state)
{
    (void)state;
    assert_int_equal(body_count("depth=18"), 11176512);
    assert_int_equal(body_count("depth=34"), 21284672);
    assert_int_equal(body_count("depth=50"), 23508032);
    assert_int_equal(body_count("depth=101"), 42500160);
    assert_int_equal(body_count("depth=152"), 58143808);
    assert_int_equal(body_count("depth=10"),
                     11176512 - (2 * 9 * (64 * 64 + 128 * 128 + 256 * 256 + 512 * 512) + 4 * (64 + 128 + 256 + 512)));
}

/* retinanet_resnet50_fpn, 91 classes: 34 014 999 with frozen batch norms (the published number), 34 068 119 with learning ones */
static void test_retinanet_counts(void **state)
{
    const char *const frozen[] = { "norm=frozen", NULL };
    struct test_model model = test_model_new(NULL, NULL, NULL, 91, false);
    const struct df_parameter *p;

    (void)state;
    assert_int_equal(df_parameters_trainable(model.parameters, 0, model.parameters->count), 34068119);
    assert_int_equal(df_network_levels(model.detector->network), 5);
    for (size_t l = 0; l < 5; l++) {
        assert_int_equal(df_network_stride(model.detector->network, l), (size_t)8 << l);
        assert_int_equal(df_network_channels(model.detector->network, l), 256);
    }
    assert_int_equal(df_network_stage_channels(model.detector->network, 3), 2048);
    p = df_parameters_find(model.parameters, "backbone.body.layer3.0.conv2.weight");
    assert_non_null(p);
    assert_true(df_same_shape(p->shape, (df_shape){ 256, 3, 3, 256 }));
    p = df_parameters_find(model.parameters, "backbone.fpn.extra_blocks.p6.weight");
    assert_non_null(p);
    assert_true(df_same_shape(p->shape, (df_shape){ 256, 3, 3, 256 }));
    p = df_parameters_find(model.parameters, "head.classification_head.cls_logits.weight");
    assert_non_null(p);
    assert_true(df_same_shape(p->shape, (df_shape){ 9 * 91, 3, 3, 256 }));
    test_model_free(&model);
    model = test_model_new(NULL, frozen, NULL, 91, false);
    assert_int_equal(df_parameters_trainable(model.parameters, 0, model.parameters->count), 34014999);
    test_model_free(&model);
}

/* By hand: stem 3x3 3->16; stages 16, 32, 64; FPN 32; two head branches with a norm per level; 3 anchors,
 * 8 classes and 4 deltas each. */
static void test_student_count(void **state)
{
    struct test_model model = test_model_new(NULL, test_student_network, test_student_detector, 8, false);
    const size_t stem = 27 * 16 + 32, c2 = 2 * (9 * 16 * 16 + 32) + 16 * 16 + 32;
    const size_t c3 = 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 3 * 64, c4 = 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 3 * 128;
    const size_t fpn = (16 + 32 + 64) * 32 + 3 * 32 + 3 * (9 * 32 * 32 + 32);
    const size_t head = 2 * (9 * 32 * 32 + 3 * 64) + (9 * 32 + 1) * (24 + 12);

    (void)state;
    assert_int_equal(df_parameters_trainable(model.parameters, 0, model.parameters->count), stem + c2 + c3 + c4 + fpn + head);
    assert_non_null(df_parameters_find(model.parameters, "head.regression_head.norm.0.2.running_var"));
    assert_null(df_parameters_find(model.parameters, "head.regression_head.conv.0.0.bias"));
    for (size_t l = 0; l < 3; l++)
        assert_int_equal(df_network_stride(model.detector->network, l), (size_t)4 << l);
    assert_int_equal(df_network_stage_channels(model.detector->network, 2), 64);
    assert_int_equal(df_network_stage_channels(model.detector->network, 3), 0);
    test_model_free(&model);
}

static void refuse(const char *first, const char *second, const char *part)
{
    const char *const pairs[] = { first, second, NULL };
    struct df_parameters *parameters = df_parameters_new();
    struct df_network_options options;
    struct df_network *network = (struct df_network *)&options;
    struct df_error err;

    test_set(df_network_option_table, pairs, &options);
    assert_fails(df_network_new(&options, parameters, &network, &err), DF_ERR_USAGE, part);
    assert_null(network);
    assert_int_equal(parameters->count, 0);
    df_parameters_free(parameters);
}

static void test_refusals(void **state)
{
    struct df_parameters *parameters = df_parameters_new();
    struct df_network_options options;
    struct df_detector *detector;
    struct df_error err;
    const struct df_detector_class *class = df_detector_class_find("retinanet", &err);
    void *values = calloc(1, class->options_size);
    const char *const weights[] = { "box_weights=1,1,1", NULL }, *const iou[] = { "bg_iou=0.6", NULL };
    const char *const sizes[] = { "anchor_size=8,16", NULL };

    (void)state;
    refuse("depth=20", NULL, "network.depth: 20");
    refuse("depth=0", "blocks=1,1,1,1,1", "network.blocks: 5 stages");
    refuse("depth=18", "widths=8,16", "network.widths: 2 widths for 4 stages");
    refuse("fpn_stages=3,5,4", NULL, "network.fpn_stages[2]: 4 after 5");
    refuse("depth=0", "blocks=1,1", "network.fpn_stages[1]: C4 does not exist, the last stage is C3");
    df_options_standard(df_network_option_table, &options);
    test_set(class->options, weights, values);
    assert_fails(class->create(values, &options, 3, parameters, &detector, &err), DF_ERR_USAGE, "detector.box_weights: 3 numbers");
    test_set(class->options, iou, values);
    assert_fails(class->create(values, &options, 3, parameters, &detector, &err), DF_ERR_USAGE, "detector.bg_iou: 0.6 is above fg_iou 0.5");
    test_set(class->options, sizes, values);
    assert_fails(class->create(values, &options, 3, parameters, &detector, &err), DF_ERR_USAGE, "anchor_size: 2 sizes for 5 levels");
    assert_null(df_detector_class_find("retinanot", &err));
    assert_non_null(strstr(err.text, "did you mean 'retinanet'?"));
    free(values);
    df_parameters_free(parameters);
}

static void read_outputs(struct test_model *model, df_tape *tape, const struct df_batch *batch, df_real **logits, df_real **deltas,
                         size_t *rows)
{
    struct df_detection_state s;

    df_tape_reset(tape);
    df_detector_forward(model->detector, tape, batch, 0, &s);
    *rows = s.batch * s.anchors;
    *logits = realloc(*logits, *rows * s.classes * sizeof(df_real));
    *deltas = realloc(*deltas, *rows * 4 * sizeof(df_real));
    df_read(model->device, *logits, df_part_tensor(&s, "logits")->data, *rows * s.classes * sizeof(df_real));
    df_read(model->device, *deltas, df_part_tensor(&s, "deltas")->data, *rows * 4 * sizeof(df_real));
}

/* Folded = unfolded: float rounding through 11 layers of values near 1 stays below 1e-5 of the largest. Values that change are folded again. */
static void fold_case(const char *const *network, const char *const *options, size_t height, size_t width)
{
    struct test_model model = test_model_new("cpu", network, options, 5, false);
    struct test_batch *t = test_batch_new(2, height, width, 5, true);
    df_tape *tape = df_tape_new(model.device, false);
    df_real *logits[3] = { 0 }, *deltas[3] = { 0 }, half = (df_real)0.5;
    double most = 0;
    size_t rows;

    test_model_stir(&model);
    read_outputs(&model, tape, &t->batch, &logits[0], &deltas[0], &rows);
    model.detector->class->fold(model.detector);
    read_outputs(&model, tape, &t->batch, &logits[1], &deltas[1], &rows);
    for (size_t i = 0; i < rows * 5; i++)
        most = (double)logits[0][i] > most ? (double)logits[0][i] : most;
    for (size_t i = 0; i < rows * 5; i++)
        assert_close((double)logits[1][i], (double)logits[0][i], 1e-5, 1e-5 * most);
    for (size_t i = 0; i < rows * 4; i++)
        assert_close((double)deltas[1][i], (double)deltas[0][i], 1e-5, 1e-5 * most);
    df_write(model.device, df_parameters_find(model.parameters, "backbone.body.bn1.weight")->value, &half, sizeof half);
    df_parameters_touch(model.parameters);
    read_outputs(&model, tape, &t->batch, &logits[2], &deltas[2], &rows);
    assert_memory_not_equal(logits[1], logits[2], rows * 5 * sizeof(df_real));
    for (int k = 0; k < 3; k++) {
        free(logits[k]);
        free(deltas[k]);
    }
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_fold(void **state)
{
    const char *const narrow[] = { "depth=50", "base_width=4", "fpn_channels=6", "head_convs=2", "extra_from=c5", NULL };

    (void)state;
    fold_case(test_tiny_network, test_student_detector, 48, 64);
    fold_case(narrow, NULL, 96, 64);
}

/* The whole thing at full width: forward and backward run, every parameter gets a finite gradient that is not all zero. */
static void full_width(size_t height, size_t width)
{
    struct test_model model = test_model_new("cpu", NULL, NULL, 91, true);
    struct test_batch *t = test_batch_new(1, height, width, 91, true);
    df_tape *tape = df_tape_new(model.device, true);
    struct df_detection_state s;
    struct df_loss_terms terms = { 0 };
    df_tensor *loss;

    df_detector_forward(model.detector, tape, &t->batch, DF_TRAINING | DF_LABELS, &s);
    loss = model.detector->class->loss(model.detector, tape, &s, &terms);
    df_backward(tape, loss);
    assert_true(df_item(tape, loss) > 0 && df_item(tape, loss) < 1e4);
    assert_int_equal(terms.count, 2);
    for (size_t i = 0; i < model.parameters->count; i++) {
        const struct df_parameter *p = model.parameters->items[i];
        const size_t n = df_count(p->shape);
        df_real *grad = malloc(n * sizeof *grad);
        double sum = 0;

        if (!p->buffer) {
            df_read(model.device, grad, p->grad, n * sizeof *grad);
            for (size_t k = 0; k < n; k++)
                sum += (double)grad[k] * (double)grad[k];
            if (!(sum > 0 && sum < 1e12))
                fail_msg("gradient of %s: square sum %g", p->name, sum);
        }
        free(grad);
    }
    df_tape_free(tape);
    test_batch_free(t);
    test_model_free(&model);
}

static void test_full_width(void **state)
{
    (void)state;
    full_width(64, 96);
}

static void test_full_size(void **state)
{
    (void)state;
    if (!getenv("DEFEAT_SLOW"))
        skip();
    full_width(800, 1088);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_counts),   cmocka_unit_test(test_retinanet_counts),
        cmocka_unit_test(test_student_count), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_fold),          cmocka_unit_test(test_full_width),
        cmocka_unit_test(test_full_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
