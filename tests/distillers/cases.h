/* Tests of all distillers, run in float (test_distillers.c) and in double (grad_distillers.c): the conformance checks over the registry, and
 * DeFeat's losses and gradients against PyTorch's autograd (tests/golden/make_distillers.py). */
#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "distillers/distiller.h"

static const bool is_double = sizeof(df_real) > sizeof(float);

static void test_conformance(void **state)
{
    struct df_device *device;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    for (size_t i = 0; df_distiller_classes[i]; i++) {
        struct df_text report = DF_TEXT_INIT;

        if (df_distiller_check(df_distiller_classes[i], device, &report, &err) != DF_OK)
            fail_msg("%s\n%s", err.text, df_text_get(&report));
        assert_null(strstr(df_text_get(&report), "FAIL"));
        assert_non_null(strstr(df_text_get(&report), "weight zero: loss and gradients are exactly 0"));
        df_text_release(&report);
    }
    df_device_close(device);
}

/* ---- the golden: canvas 40 x 48, strides 8 and 16 ---- */

enum { LEVELS = 2, CANVAS_H = 40, CANVAS_W = 48, STUDENT = 3, TEACHER = 2, CLASSES = 3, CELLS = 30 + 9, ANCHORS = CELLS };
static const struct df_box golden_boxes[] = { { 3, 4, 6.5F, 7 }, { 10, 2, 33, 30 }, { 20, 17, 23, 39.5F } };
static const struct df_ground_truth golden_truth[] = { { 2, golden_boxes, NULL }, { 1, golden_boxes + 2, NULL } };
static const df_shape level_shapes[LEVELS] = { { 2, 5, 6, STUDENT }, { 2, 3, 3, STUDENT } };

static df_real *numbers(const cJSON *array, size_t expected)
{
    df_real *out = df_malloc((expected + 1) * sizeof *out), *to = out;
    const cJSON *node;

    assert_int_equal(cJSON_GetArraySize(array), expected);
    cJSON_ArrayForEach(node, array) { *to++ = (df_real)node->valuedouble; }
    return out;
}

static df_tensor *golden_leaf(df_tape *tape, const cJSON *golden, const char *key, int index, df_shape shape)
{
    df_real *values = numbers(cJSON_GetArrayItem(cJSON_GetObjectItem(golden, key), index), df_count(shape));
    df_tensor *leaf = df_leaf(tape, shape, values);

    free(values);
    return leaf;
}

static void compare_gradient(struct df_device *device, const cJSON *gradients, int index, const df_real *grad, size_t n)
{
    df_real *expected = numbers(cJSON_GetArrayItem(gradients, index), n), *found = df_malloc(n * sizeof *found);

    assert_non_null(grad);
    df_read(device, found, grad, n * sizeof *found);
    for (size_t i = 0; i < n; i++)
        assert_close((double)found[i], (double)expected[i], is_double ? 1e-9 : 1e-5, is_double ? 1e-10 : 2e-6);
    free(expected);
    free(found);
}

struct golden_run {
    struct df_device *device;
    df_tape *tape;
    struct df_parameters *parameters;
    struct df_detection_state student, teacher;
    struct df_batch batch;
    int32_t label[2 * ANCHORS];
};

static void golden_states(struct golden_run *run, const cJSON *golden)
{
    const df_shape logits = { 2, 1, ANCHORS, CLASSES };
    const cJSON *std = cJSON_GetObjectItem(golden, "std"), *label = cJSON_GetObjectItem(golden, "label");

    run->batch = (struct df_batch){ .n = 2, .height = CANVAS_H, .width = CANVAS_W, .truth = golden_truth };
    run->student = (struct df_detection_state){ .batch = 2,
                                                .canvas_h = CANVAS_H,
                                                .canvas_w = CANVAS_W,
                                                .classes = CLASSES,
                                                .images = &run->batch,
                                                .levels = LEVELS,
                                                .anchors = ANCHORS,
                                                .label = run->label };
    run->teacher = run->student;
    run->teacher.label = NULL;
    for (int i = 0; i < 2 * ANCHORS; i++) {
        run->label[i] = cJSON_GetArrayItem(label, i)->valueint;
        run->student.positives += run->label[i] >= 0;
    }
    for (int l = 0; l < LEVELS; l++) {
        df_shape shape = level_shapes[l];

        run->student.neck[l] = (struct df_neck_level){ 8U << l, golden_leaf(run->tape, golden, "inputs", l, shape), 0 };
        shape.c = TEACHER;
        run->teacher.neck[l] =
            (struct df_neck_level){ 8U << l, golden_leaf(run->tape, golden, "teacher", l, shape), cJSON_GetArrayItem(std, l)->valuedouble };
    }
    run->student.class_logits = golden_leaf(run->tape, golden, "inputs", 6, logits);
    run->teacher.class_logits = golden_leaf(run->tape, golden, "teacher", LEVELS, logits);
}

/* Initialises defeat with the case's options and gives its four parameters the golden's values. */
static void golden_init(struct golden_run *run, const struct df_distiller_class *class, const void *options, void *memory,
                        const cJSON *golden)
{
    static const char *const names[] = { "adapt.0.weight", "adapt.1.weight", "adapt.0.bias", "adapt.1.bias" };
    struct df_distiller_setup setup = { .options = options, .state = memory, .prefix = "", .levels = LEVELS };
    struct df_error err;

    run->parameters = df_parameters_new();
    setup.parameters = run->parameters;
    for (size_t l = 0; l < LEVELS; l++)
        setup.student_channels[l] = STUDENT, setup.teacher_channels[l] = TEACHER;
    assert_ok(class->init(&setup, &err));
    df_parameters_build(run->parameters, run->device, 0, true);
    for (int i = 0; i < 4; i++) {
        const struct df_parameter *item = df_parameters_find(run->parameters, names[i]);
        const size_t n = df_count(item->shape);
        df_real *values = numbers(cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "inputs"), LEVELS + i), n);

        df_write(run->device, item->value, values, n * sizeof *values);
        free(values);
    }
    df_parameters_touch(run->parameters);
    df_parameters_zero_grad(run->parameters);
}

static void golden_case(struct golden_run *run, const cJSON *golden, const cJSON *test)
{
    static const char *const terms[] = { "defeat.fg", "defeat.bg", "defeat.pos", "defeat.neg" };
    static const char *const parameters[] = { "adapt.0.weight", "adapt.1.weight", "adapt.0.bias", "adapt.1.bias" };
    const cJSON *gradients = cJSON_GetObjectItem(test, "gradients");
    const struct df_distiller_class *class = df_distiller_class_find("defeat", NULL);
    void *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size);
    struct df_loss_terms log = { 0 };
    struct df_error err;

    df_tape_reset(run->tape);
    assert_ok(df_options_read(class->options, cJSON_GetObjectItem(test, "options"), NULL, "golden", options, &err));
    golden_init(run, class, options, memory, golden);
    golden_states(run, golden);
    const struct df_distill_context context = { .tape = run->tape, .options = options, .state = memory, .terms = &log };
    df_tensor *loss = class->loss(&context, &run->student, &run->teacher);
    df_backward(run->tape, loss);
    assert_close(df_item(run->tape, loss), cJSON_GetObjectItem(test, "loss")->valuedouble, is_double ? 1e-12 : 1e-6, 0);
    assert_int_equal(log.count, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(log.term[i].name, terms[i]);
        assert_close(df_item(run->tape, log.term[i].value), cJSON_GetArrayItem(cJSON_GetObjectItem(test, "terms"), i)->valuedouble,
                     is_double ? 1e-12 : 1e-6, 0);
    }
    for (int l = 0; l < LEVELS; l++)
        compare_gradient(run->device, gradients, l, run->student.neck[l].feature->grad, df_count(level_shapes[l]));
    for (int i = 0; i < 4; i++) {
        const struct df_parameter *item = df_parameters_find(run->parameters, parameters[i]);

        compare_gradient(run->device, gradients, LEVELS + i, item->grad, df_count(item->shape));
    }
    compare_gradient(run->device, gradients, 6, run->student.class_logits->grad, 2 * ANCHORS * CLASSES);
    assert_null(run->teacher.class_logits->grad);
    df_parameters_free(run->parameters);
    free(options);
    free(memory);
}

/* The distillers with one neck term, at weight 2, with those of the case's options that they have. */
static void golden_single(struct golden_run *run, const cJSON *golden, const cJSON *test, const cJSON *expected)
{
    static const char *const names[] = { "normalise_teacher", "norm", "level_rule" };
    const struct df_distiller_class *class = df_distiller_class_find(expected->string, NULL);
    void *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size);
    cJSON *given = cJSON_CreateObject();
    struct df_loss_terms log = { 0 };
    struct df_error err;

    df_tape_reset(run->tape);
    cJSON_AddNumberToObject(given, "w", 2);
    for (size_t i = 0; i < (class == df_distiller_class_find("full_feature", NULL) ? 2U : 3U); i++) {
        const cJSON *option = cJSON_GetObjectItem(cJSON_GetObjectItem(test, "options"), names[i]);

        if (option)
            cJSON_AddItemToObject(given, names[i], cJSON_Duplicate(option, true));
    }
    assert_ok(df_options_read(class->options, given, NULL, "golden", options, &err));
    golden_init(run, class, options, memory, golden);
    golden_states(run, golden);
    const struct df_distill_context context = { .tape = run->tape, .options = options, .state = memory, .terms = &log };
    df_tensor *loss = class->loss(&context, &run->student, &run->teacher);
    assert_close(df_item(run->tape, loss), 2 * expected->valuedouble, is_double ? 1e-12 : 1e-6, 0);
    assert_int_equal(log.count, 1);
    assert_close(log.term[0].weight, 2, 0, 0);
    df_parameters_free(run->parameters);
    cJSON_Delete(given);
    free(options);
    free(memory);
}

static void test_golden(void **state)
{
    struct golden_run run = { 0 };
    struct df_error err;
    cJSON *golden;
    const cJSON *test, *single;

    (void)state;
    assert_ok(df_json_read("tests/golden/distillers.json", &golden, &err));
    assert_ok(df_device_open(is_double ? "ref" : "cpu", &run.device, &err));
    run.tape = df_tape_new(run.device, true);
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(golden, "cases"))
    {
        golden_case(&run, golden, test);
        cJSON_ArrayForEach(single, cJSON_GetObjectItem(test, "neck")) { golden_single(&run, golden, test, single); }
    }
    df_tape_free(run.tape);
    df_device_close(run.device);
    cJSON_Delete(golden);
}
