/* Tests of all distillers, run in float (test_distillers.c) and in double (grad_distillers.c): the conformance checks over the registry, and
 * the losses and gradients of their variants against PyTorch's autograd (tests/golden/make_distillers.py, make_peers.py). */
#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "distillers/check/check.h"

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

/* ---- the golden: canvas 40 x 48, strides 8 and 16, stages 2 and 4, two anchors per cell, five RoIs per image ---- */

enum { IMAGES = 2, LEVELS = 2, CANVAS_H = 40, CANVAS_W = 48, STUDENT = 3, TEACHER = 2, CLASSES = 3, ANCHORS = 2 * (30 + 9), ROIS = 10 };
static const struct df_box golden_boxes[] = { { 3, 4, 6.5F, 7 }, { 10, 2, 33, 30 }, { 20, 17, 23, 39.5F } };
static const struct df_ground_truth golden_truth[] = { { 2, golden_boxes, NULL }, { 1, golden_boxes + 2, NULL } };

/* A tensor of the student or the teacher; the teacher's shape where it is another */
static const struct golden_tensor {
    const char *name;
    df_shape shape;
    size_t teacher_channels;
} golden_tensors[] = {
    { "neck.0", { IMAGES, 5, 6, STUDENT }, TEACHER },
    { "neck.1", { IMAGES, 3, 3, STUDENT }, TEACHER },
    { "stage.2", { IMAGES, 10, 12, 2 }, 3 },
    { "stage.4", { IMAGES, 3, 3, 3 }, 2 },
    { "class_logits", { IMAGES, 1, ANCHORS, CLASSES }, 3 },
    { "roi.student", { ROIS, 1, 1, CLASSES + 1 }, 4 },
    { "roi.teacher", { ROIS, 1, 1, CLASSES + 1 }, 4 },
    { "deltas", { IMAGES, 1, ANCHORS, 4 }, 4 }, /* not in every file */
    { "roi.deltas", { ROIS, 1, 1, 4 * (CLASSES + 1) }, 4 * (CLASSES + 1) },
};
enum { NECK_0, NECK_1, STAGE_2, STAGE_4, CLASS_LOGITS, ROI_STUDENT, ROI_TEACHER, DELTAS, ROI_DELTAS, TENSORS };

struct golden_run;
struct golden_detector { /* whose RoI head says the golden's logits of two sets of RoIs, told apart by the array of boxes */
    struct df_detector base;
    const struct golden_run *run;
    df_tensor *const *leaf;
};
struct golden_run {
    const cJSON *golden;
    struct df_device *device;
    df_tape *tape;
    struct df_parameters *parameters;
    struct df_detection_state student, teacher;
    struct golden_detector student_detector, teacher_detector;
    df_tensor *leaf[TENSORS], *taught[TENSORS];
    struct df_batch batch;
    struct df_box anchor[ANCHORS];
    df_real label[IMAGES * ANCHORS], matched[IMAGES * ANCHORS], roi_label[2][ROIS];
};

static df_real *numbers(const cJSON *array, size_t expected)
{
    df_real *out = df_malloc((expected + 1) * sizeof *out), *to = out;
    const cJSON *node;

    assert_int_equal(cJSON_GetArraySize(array), expected);
    cJSON_ArrayForEach(node, array) { *to++ = (df_real)node->valuedouble; }
    return out;
}

static void integers(const cJSON *array, size_t expected, df_real *out)
{
    const cJSON *node;

    assert_int_equal(cJSON_GetArraySize(array), expected);
    cJSON_ArrayForEach(node, array) { *out++ = (df_real)node->valueint; }
}

/* NULL: the file has none */
static df_tensor *golden_leaf(const struct golden_run *run, const char *key, const char *name, df_shape shape)
{
    const cJSON *array = cJSON_GetObjectItem(cJSON_GetObjectItem(run->golden, key), name);

    if (!array)
        return NULL;
    df_real *values = numbers(array, df_count(shape));
    df_tensor *leaf = df_leaf(run->tape, shape, values);

    free(values);
    return leaf;
}

static const struct df_box student_rois[ROIS], teacher_rois[ROIS]; /* only their addresses are read */
static const uint32_t roi_image[ROIS] = { 0, 0, 0, 0, 0, 1, 1, 1, 1, 1 };

static void golden_run_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, const struct df_rois *on,
                            struct df_detection_state *out)
{
    const struct golden_detector *detector = (const struct golden_detector *)base;
    const bool own = on->box == student_rois;

    assert_true(!on->count || (on->count == ROIS && on->image == roi_image && (own || on->box == teacher_rois)));
    *out = *features;
    out->rois = (struct df_rois){ ROIS, own ? student_rois : teacher_rois, roi_image };
    df_parts_set_host(&out->parts, tape, "roi/label", (df_shape){ ROIS, 1, 1, 1 }, detector->run->roi_label[own ? 0 : 1]);
    df_parts_set(&out->parts, "roi/logits", DF_NO_LEVEL, 0, detector->leaf[own ? ROI_STUDENT : ROI_TEACHER]);
    if (own && detector->leaf[ROI_DELTAS])
        df_parts_set(&out->parts, "roi/deltas", DF_NO_LEVEL, 0, detector->leaf[ROI_DELTAS]);
}

static const struct df_detector_class golden_one_stage = {
    .name = "one", .offers = "backbone/* neck/* logits deltas", .on_request = "", .class_logits = "logits"
};
static const struct df_detector_class golden_two_stage = { .name = "two",
                                                           .offers = "backbone/* neck/* logits deltas",
                                                           .on_request = "roi/logits",
                                                           .class_logits = "roi/logits",
                                                           .run_head = golden_run_head };

static void golden_constants(struct golden_run *run)
{
    static const size_t valid_h[] = { 31, 40 }, valid_w[] = { 48, 30 };
    df_real *box = NULL;

    run->batch = (struct df_batch){
        .n = IMAGES, .height = CANVAS_H, .width = CANVAS_W, .truth = golden_truth, .valid_h = valid_h, .valid_w = valid_w
    };
    integers(cJSON_GetObjectItem(run->golden, "label"), IMAGES * ANCHORS, run->label);
    integers(cJSON_GetObjectItem(run->golden, "matched"), IMAGES * ANCHORS, run->matched);
    for (int a = 0; a < ANCHORS; a++) {
        box = numbers(cJSON_GetArrayItem(cJSON_GetObjectItem(run->golden, "anchors"), a), 4);
        run->anchor[a] = (struct df_box){ (float)box[0], (float)box[1], (float)box[2], (float)box[3] };
        free(box);
    }
}

/* One network's part of the state, out of its leaves */
static void golden_state(struct df_detection_state *state, df_tensor *const *leaf, struct df_detector *detector, const cJSON *std)
{
    for (size_t l = 0; l < LEVELS; l++)
        df_parts_set(&state->parts, "neck", l, 8U << l, leaf[NECK_0 + l])->std = std ? cJSON_GetArrayItem(std, (int)l)->valuedouble : 0;
    df_parts_set(&state->parts, "backbone", 2, 4, leaf[STAGE_2]);
    df_parts_set(&state->parts, "backbone", 4, 16, leaf[STAGE_4]);
    df_parts_set(&state->parts, "logits", DF_NO_LEVEL, 0, leaf[CLASS_LOGITS]);
    if (leaf[DELTAS])
        df_parts_set(&state->parts, "deltas", DF_NO_LEVEL, 0, leaf[DELTAS]);
    state->detector = detector;
}

/* Rows of four numbers that the boxes of the student's rows are to learn. A part keeps the host's array: it lives on the tape. */
static void golden_targets(struct golden_run *run, const char *key, const char *part, df_shape shape)
{
    const cJSON *array = cJSON_GetObjectItem(run->golden, key);

    if (!array)
        return;
    df_real *values = numbers(array, df_count(shape)), *kept = df_tape_host(run->tape, df_count(shape) * sizeof *kept);

    memcpy(kept, values, df_count(shape) * sizeof *kept);
    free(values);
    df_parts_set_host(&run->student.parts, run->tape, part, shape, kept);
}

static void golden_states(struct golden_run *run, const cJSON *test)
{
    const bool two_stage = cJSON_IsTrue(cJSON_GetObjectItem(test, "two_stage"));
    const cJSON *pairs = cJSON_GetObjectItem(run->golden, "roi_labels");
    const cJSON *pair = cJSON_GetArrayItem(pairs, cJSON_GetObjectItem(test, "labels")->valueint);
    const struct df_detector_class *class = two_stage ? &golden_two_stage : &golden_one_stage;

    for (int i = 0; i < TENSORS; i++) {
        const struct golden_tensor *tensor = &golden_tensors[i];
        df_shape shape = tensor->shape;

        run->leaf[i] = golden_leaf(run, "student", tensor->name, shape);
        shape.c = tensor->teacher_channels;
        run->taught[i] = golden_leaf(run, "teacher", tensor->name, shape);
    }
    for (int i = 0; i < 2; i++)
        integers(cJSON_GetArrayItem(pair, i), ROIS, run->roi_label[i]);
    run->student_detector = (struct golden_detector){ { .class = class }, run, run->leaf };
    run->teacher_detector = (struct golden_detector){ { .class = class }, run, run->taught };
    run->student = (struct df_detection_state){ .batch = IMAGES,
                                                .canvas_h = CANVAS_H,
                                                .canvas_w = CANVAS_W,
                                                .classes = CLASSES,
                                                .images = &run->batch,
                                                .levels = LEVELS,
                                                .anchors = ANCHORS,
                                                .anchor = run->anchor,
                                                .level_anchors = { 60, 18 } };
    run->teacher = run->student;
    df_parts_set_host(&run->student.parts, run->tape, "label", (df_shape){ IMAGES, 1, ANCHORS, 1 }, run->label);
    df_parts_set_host(&run->student.parts, run->tape, "matched", (df_shape){ IMAGES, 1, ANCHORS, 1 }, run->matched);
    golden_targets(run, "target", "target", (df_shape){ IMAGES, 1, ANCHORS, 4 });
    golden_state(&run->student, run->leaf, &run->student_detector.base, NULL);
    golden_state(&run->teacher, run->taught, &run->teacher_detector.base, cJSON_GetObjectItem(run->golden, "std"));
    if (!two_stage)
        return;
    run->student.rois = (struct df_rois){ ROIS, student_rois, roi_image };
    df_parts_set_host(&run->student.parts, run->tape, "roi/label", (df_shape){ ROIS, 1, 1, 1 }, run->roi_label[0]);
    golden_targets(run, "roi_target", "roi/target", (df_shape){ ROIS, 1, 1, 4 });
    df_parts_set(&run->student.parts, "roi/logits", DF_NO_LEVEL, 0, run->leaf[ROI_STUDENT]);
    if (run->leaf[ROI_DELTAS])
        df_parts_set(&run->student.parts, "roi/deltas", DF_NO_LEVEL, 0, run->leaf[ROI_DELTAS]);
}

/* What init is told of a map. */
static void describe(struct df_parts *parts, const char *kind, size_t level, size_t channels, double std)
{
    df_tensor map = { .shape = { 1, 2, 2, channels } };

    df_parts_set(parts, kind, level, 8, &map)->std = std;
}

/* A parameter gets the golden's values of its name; a 1x1 kernel the centre of the golden's 3x3. */
static void golden_parameter(const struct golden_run *run, const struct df_parameter *item)
{
    const df_shape shape = item->shape;
    const size_t n = df_count(shape), factor = item->kind == DF_CONV_WEIGHT ? 9 / (shape.h * shape.w) : 1;
    df_real *all = numbers(cJSON_GetObjectItem(cJSON_GetObjectItem(run->golden, "student"), item->name), n * factor);

    for (size_t o = 0; factor == 9 && o < shape.n; o++)
        memmove(all + o * shape.c, all + (o * 9 + 4) * shape.c, shape.c * sizeof *all);
    df_write(run->device, item->value, all, n * sizeof *all);
    free(all);
}

static void golden_init(struct golden_run *run, const struct df_distiller_class *class, const void *options, void *memory)
{
    const struct df_detector_class *detector = run->student.detector->class;
    struct df_parts student = { 0 }, teacher = { 0 };
    struct df_distiller_setup setup = {
        .options = options, .state = memory, .prefix = "", .levels = LEVELS, .student = &student, .teacher = &teacher, .detector = detector
    };
    struct df_error err;

    run->parameters = df_parameters_new();
    setup.parameters = run->parameters;
    for (size_t l = 0; l < LEVELS; l++) {
        describe(&student, "neck", l, STUDENT, 0);
        describe(&teacher, "neck", l, TEACHER, 1);
    }
    for (size_t k = 0; k < 2; k++) {
        describe(&student, "backbone", 2 + 2 * k, golden_tensors[STAGE_2 + k].shape.c, 0);
        describe(&teacher, "backbone", 2 + 2 * k, golden_tensors[STAGE_2 + k].teacher_channels, 0);
    }
    if (class->init)
        assert_ok(class->init(&setup, &err));
    df_parameters_build(run->parameters, run->device, 0, true);
    for (size_t i = 0; i < run->parameters->count; i++)
        golden_parameter(run, run->parameters->items[i]);
    df_parameters_touch(run->parameters);
    df_parameters_zero_grad(run->parameters);
}

/* Whether the loss does not depend on it: its gradient is what rounding leaves. */
static bool is_rounding(const cJSON *test, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(test, "rounding"))
    {
        if (strcmp(item->valuestring, name) == 0)
            return true;
    }
    return false;
}

/* To 1e-5 of the largest element (double: 1e-9, the digits of the file); what the golden does not list is 0. Of a 1x1 kernel the golden has
 * a 3x3 with zeros around. */
static void compare_gradient(const struct golden_run *run, const cJSON *test, const char *name, df_shape shape, const df_real *grad)
{
    const cJSON *expected = cJSON_GetObjectItem(cJSON_GetObjectItem(test, "gradients"), name);
    const double noise = is_rounding(test, name) ? (is_double ? 1e-12 : 1e-6) : 0;
    const size_t n = df_count(shape), stored = (size_t)cJSON_GetArraySize(expected);
    df_real *found = df_calloc(n, sizeof *found), *all = numbers(expected, stored);
    double largest = 0;

    if (grad)
        df_read(run->device, found, grad, n * sizeof *found);
    assert_true(stored == 0 || stored == n || stored == 9 * n);
    for (size_t o = 0; stored == 9 * n && o < shape.n; o++)
        memmove(all + o * shape.c, all + (o * 9 + 4) * shape.c, shape.c * sizeof *all);
    for (size_t i = 0; i < n && stored; i++)
        largest = fabs((double)all[i]) > largest ? fabs((double)all[i]) : largest;
    for (size_t i = 0; i < n; i++)
        assert_close((double)found[i], stored ? (double)all[i] : 0, 0, (is_double ? 1e-9 : 1e-5) * largest + noise);
    free(found);
    free(all);
}

static void golden_gradients(const struct golden_run *run, const cJSON *test)
{
    const cJSON *gradients = cJSON_GetObjectItem(test, "gradients");
    size_t listed = 0;

    for (int i = 0; i < TENSORS; i++) {
        const struct golden_tensor *tensor = &golden_tensors[i];

        if (!run->leaf[i])
            continue;
        listed += cJSON_GetObjectItem(gradients, tensor->name) != NULL;
        compare_gradient(run, test, tensor->name, tensor->shape, run->leaf[i]->grad);
        assert_null(run->taught[i]->grad);
    }
    for (size_t i = 0; i < run->parameters->count; i++) {
        const struct df_parameter *item = run->parameters->items[i];

        listed += cJSON_GetObjectItem(gradients, item->name) != NULL;
        compare_gradient(run, test, item->name, item->shape, item->grad);
    }
    assert_int_equal(listed, cJSON_GetArraySize(gradients));
}

static void golden_case(struct golden_run *run, const cJSON *test)
{
    const struct df_distiller_class *class = df_distiller_class_find(cJSON_GetObjectItem(test, "distiller")->valuestring, NULL);
    const cJSON *steps = cJSON_GetObjectItem(test, "context"), *term;
    void *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size + 1);
    struct df_loss_terms log = { 0 };
    struct df_error err = { 0 };
    struct df_needs needs;
    size_t i = 0;

    df_tape_reset(run->tape);
    assert_ok(df_options_read(class->options, cJSON_GetObjectItem(test, "options"), NULL, "golden", options, &err));
    golden_states(run, test);
    assert_ok(df_distiller_needs(class, options, run->student.detector->class, run->teacher.detector->class, &needs, &err));
    golden_init(run, class, options, memory);
    const struct df_distill_context context = { .tape = run->tape,
                                                .options = options,
                                                .state = memory,
                                                .step = (size_t)cJSON_GetArrayItem(steps, 0)->valueint,
                                                .epoch = (size_t)cJSON_GetArrayItem(steps, 1)->valueint,
                                                .epochs = (size_t)cJSON_GetArrayItem(steps, 2)->valueint,
                                                .terms = &log };
    df_tensor *loss = class->loss(&context, &run->student, &run->teacher);

    df_backward(run->tape, loss);
    assert_close(df_item(run->tape, loss), cJSON_GetObjectItem(test, "loss")->valuedouble, is_double ? 1e-12 : 1e-6, 0);
    assert_int_equal(log.count, cJSON_GetArraySize(cJSON_GetObjectItem(test, "terms")));
    cJSON_ArrayForEach(term, cJSON_GetObjectItem(test, "terms"))
    {
        assert_string_equal(log.term[i].name, term->string);
        assert_close(df_item(run->tape, log.term[i].value), cJSON_GetArrayItem(term, 0)->valuedouble, is_double ? 1e-12 : 1e-6, 0);
        assert_close(log.term[i++].weight, cJSON_GetArrayItem(term, 1)->valuedouble, 1e-14, 0);
    }
    golden_gradients(run, test);
    df_parameters_free(run->parameters);
    free(options);
    free(memory);
}

static void golden_file(const char *path)
{
    struct golden_run run = { 0 };
    struct df_error err;
    cJSON *golden;
    const cJSON *test;

    assert_ok(df_json_read(path, &golden, &err));
    assert_ok(df_device_open(is_double ? "ref" : "cpu", &run.device, &err));
    run.golden = golden;
    run.tape = df_tape_new(run.device, true);
    golden_constants(&run);
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(golden, "cases")) { golden_case(&run, test); }
    df_tape_free(run.tape);
    df_device_close(run.device);
    cJSON_Delete(golden);
}

static void test_golden(void **state)
{
    (void)state;
    golden_file("tests/golden/distillers.json");
    golden_file("tests/golden/peers.json");
    golden_file("tests/golden/originals.json"); /* by the authors' own code: originals.py */
}
