/* Losses and gradients of fgd, mgd, reviewkd, crosskd and reduction=hcl against PyTorch's autograd on the formulas
 * (tests/golden/make_imitation.py), and of fgd and mgd against their authors' own code (tests/golden/imitation_originals.py). Run in float
 * (test_imitation.c) and in double (grad_imitation.c). */
#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/nn/ops.h"
#include "distillers/distiller.h"

static const bool is_double = sizeof(df_real) > sizeof(float);

enum { IMAGES = 2, LEVELS = 3, CANVAS_H = 40, CANVAS_W = 48, TEACHER = 6, CLASSES = 3, PER_CELL = 2, ANCHORS = 2 * (30 + 9 + 4) };
static const df_shape sizes[LEVELS] = { { IMAGES, 5, 6, 1 }, { IMAGES, 3, 3, 1 }, { IMAGES, 2, 2, 1 } };
static const struct df_box boxes[] = { { 3, 4, 6.5F, 7 }, { 10, 2, 33, 30 }, { 20, 17, 23, 39.5F } };
static const int32_t box_labels[] = { 0, 1, 2 };
static const struct df_ground_truth truth[] = { { 2, boxes, box_labels }, { 1, boxes + 2, box_labels + 2 } };

struct golden {
    const cJSON *file, *test;
    struct df_device *device;
    df_tape *tape;
    struct df_parameters *parameters;
    struct df_batch batch;
    struct df_detector teacher_detector;
    struct df_detection_state student, teacher;
    struct df_box anchor[ANCHORS];
    size_t listed; /* gradients of the file that were compared */
};
static struct golden golden; /* run_head has no other way to the file */

static df_real *numbers(const cJSON *array, size_t expected)
{
    df_real *out = df_malloc((expected + 1) * sizeof *out), *to = out;
    const cJSON *node;

    assert_int_equal(cJSON_GetArraySize(array), expected);
    cJSON_ArrayForEach(node, array) { *to++ = (df_real)node->valuedouble; }
    return out;
}

static df_tensor *tensor_of(const cJSON *object, const char *name, df_shape shape, bool leaf)
{
    df_real *values = numbers(cJSON_GetObjectItem(object, name), df_count(shape));
    df_tensor *tensor = leaf ? df_leaf(golden.tape, shape, values) : df_tensor_from(golden.tape, shape, values);

    free(values);
    return tensor;
}

static void part_name(char *name, size_t bytes, const char *kind, size_t level) { snprintf(name, bytes, "%s.%zu", kind, level); }

static df_shape map_shape(size_t level, size_t channels)
{
    df_shape shape = sizes[level];

    shape.c = channels;
    return shape;
}

/* ---- the networks ---- */

/* Of one branch, from its towers on, frozen. */
static df_tensor *finished_rows(df_tape *tape, const struct df_detection_state *features, const char *kind, size_t columns)
{
    const struct df_conv_options conv = { .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1, .relu = true }, out = { 1, 1, 0, 0, false };
    const cJSON *weights = cJSON_GetObjectItem(golden.file, "teacher");
    char name[3][40];
    df_tensor *rows[LEVELS];

    snprintf(name[0], sizeof name[0], "%s.conv", kind);
    snprintf(name[1], sizeof name[1], "%s.bias", kind);
    snprintf(name[2], sizeof name[2], "%s.out", kind);
    for (size_t l = 0; l < LEVELS; l++) {
        df_tensor *y = df_relu(tape, df_part(features, kind, l)->tensor);

        y = df_conv2d(tape, y, tensor_of(weights, name[0], (df_shape){ TEACHER, 3, 3, TEACHER }, false),
                      tensor_of(weights, name[1], (df_shape){ 1, 1, 1, TEACHER }, false), conv);
        y = df_conv2d(tape, y, tensor_of(weights, name[2], (df_shape){ PER_CELL * columns, 1, 1, TEACHER }, false), NULL, out);
        rows[l] = df_reshape(tape, y, (df_shape){ IMAGES, 1, y->shape.h * y->shape.w * PER_CELL, columns });
    }
    return df_concat(tape, rows, LEVELS, 2);
}

static void finish_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, struct df_detection_state *out)
{
    assert_ptr_equal(base, &golden.teacher_detector);
    *out = *features;
    df_parts_set(&out->parts, "logits", DF_NO_LEVEL, 0, finished_rows(tape, features, "class_tower", CLASSES));
    df_parts_set(&out->parts, "deltas", DF_NO_LEVEL, 0, finished_rows(tape, features, "box_tower", 4));
}

static const struct df_detector_class detector = { .name = "golden",
                                                   .offers = "neck/* class_tower/* box_tower/* logits deltas",
                                                   .on_request = "",
                                                   .class_logits = "logits",
                                                   .finish_head = finish_head };

/* Maps of a kind that the object has: all levels, or none. */
static void add_maps(struct df_detection_state *state, const cJSON *object, const char *kind, size_t channels, bool leaf)
{
    const cJSON *std = cJSON_GetObjectItem(golden.file, "std");
    char name[40];

    for (size_t l = 0; l < LEVELS; l++) {
        part_name(name, sizeof name, kind, l);
        if (cJSON_GetObjectItem(object, name))
            df_parts_set(&state->parts, kind, l, (size_t)8 << l, tensor_of(object, name, map_shape(l, channels), leaf))->std =
                cJSON_GetArrayItem(std, (int)l)->valuedouble;
    }
}

static void make_states(size_t width)
{
    const cJSON *inputs = cJSON_GetObjectItem(golden.test, "inputs"), *taught = cJSON_GetObjectItem(golden.file, "teacher");
    const df_shape rows = { IMAGES, 1, ANCHORS, 1 };
    df_real *label = numbers(cJSON_GetObjectItem(golden.file, "label"), IMAGES * ANCHORS);
    df_real *kept = memcpy(df_tape_host(golden.tape, IMAGES * ANCHORS * sizeof *kept), label, IMAGES * ANCHORS * sizeof *kept);

    golden.student = (struct df_detection_state){ .batch = IMAGES,
                                                  .canvas_h = CANVAS_H,
                                                  .canvas_w = CANVAS_W,
                                                  .classes = CLASSES,
                                                  .images = &golden.batch,
                                                  .levels = LEVELS,
                                                  .anchors = ANCHORS,
                                                  .anchor = golden.anchor };
    golden.teacher = golden.student;
    add_maps(&golden.student, inputs, "neck", width, true);
    add_maps(&golden.teacher, taught, "neck", TEACHER, false);
    for (int k = 0; k < 2; k++) {
        add_maps(&golden.student, inputs, k ? "box_tower" : "class_tower", TEACHER, true);
        add_maps(&golden.teacher, taught, k ? "box_tower" : "class_tower", TEACHER, false);
    }
    df_parts_set_host(&golden.student.parts, golden.tape, "label", rows, kept);
    df_parts_set(&golden.teacher.parts, "logits", DF_NO_LEVEL, 0,
                 tensor_of(taught, "logits", (df_shape){ IMAGES, 1, ANCHORS, CLASSES }, false));
    df_parts_set(&golden.teacher.parts, "deltas", DF_NO_LEVEL, 0, tensor_of(taught, "deltas", (df_shape){ IMAGES, 1, ANCHORS, 4 }, false));
    golden.teacher_detector = (struct df_detector){ .class = &detector, .delta_weights = { 2, 2.5F, 1, 1.5F } };
    golden.teacher.detector = &golden.teacher_detector;
    free(label);
}

static void make_constants(void)
{
    static size_t valid_h[IMAGES], valid_w[IMAGES];
    const cJSON *anchors = cJSON_GetObjectItem(golden.file, "anchors"), *valid = cJSON_GetObjectItem(golden.file, "valid");

    assert_int_equal(cJSON_GetArraySize(anchors), ANCHORS);
    for (int a = 0; a < ANCHORS; a++) {
        df_real *box = numbers(cJSON_GetArrayItem(anchors, a), 4);

        golden.anchor[a] = (struct df_box){ (float)box[0], (float)box[1], (float)box[2], (float)box[3] };
        free(box);
    }
    for (int n = 0; n < IMAGES; n++) {
        valid_h[n] = (size_t)cJSON_GetArrayItem(cJSON_GetArrayItem(valid, n), 0)->valueint;
        valid_w[n] = (size_t)cJSON_GetArrayItem(cJSON_GetArrayItem(valid, n), 1)->valueint;
    }
    golden.batch =
        (struct df_batch){ .n = IMAGES, .height = CANVAS_H, .width = CANVAS_W, .truth = truth, .valid_h = valid_h, .valid_w = valid_w };
}

/* ---- the distiller ---- */

static void init(const struct df_distiller_class *class, const void *options, void *memory)
{
    struct df_distiller_setup setup = { .options = options,
                                        .state = memory,
                                        .prefix = "",
                                        .levels = LEVELS,
                                        .student = &golden.student.parts,
                                        .teacher = &golden.teacher.parts,
                                        .detector = &detector };
    const cJSON *inputs = cJSON_GetObjectItem(golden.test, "inputs");
    struct df_error err;

    golden.parameters = df_parameters_new();
    setup.parameters = golden.parameters;
    assert_ok(class->init(&setup, &err));
    df_parameters_build(golden.parameters, golden.device, 0, true);
    for (size_t i = 0; i < golden.parameters->count; i++) {
        const struct df_parameter *item = golden.parameters->items[i];

        if (item->buffer)
            continue;
        df_real *values = numbers(cJSON_GetObjectItem(inputs, item->name), df_count(item->shape));

        df_write(golden.device, item->value, values, df_count(item->shape) * sizeof *values);
        free(values);
    }
    df_parameters_touch(golden.parameters);
    df_parameters_zero_grad(golden.parameters);
}

/* To 1e-5 of the tensor's largest (double: 1e-9, the digits of the file) and a share of the case's; what the file leaves out is 0 to that. */
static void compare(const char *name, df_shape shape, const df_real *grad, double most)
{
    const cJSON *expected = cJSON_GetObjectItem(cJSON_GetObjectItem(golden.test, "gradients"), name);
    const size_t n = df_count(shape);
    df_real *found = df_calloc(n, sizeof *found), *all = expected ? numbers(expected, n) : df_calloc(n, sizeof *all);
    double largest = 0;

    golden.listed += expected != NULL;
    if (grad)
        df_read(golden.device, found, grad, n * sizeof *found);
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)all[i]));
    for (size_t i = 0; i < n; i++)
        assert_close((double)found[i], (double)all[i], 0, is_double ? 1e-9 * largest + 1e-13 * most : 1e-5 * largest + 1e-7 * most);
    free(found);
    free(all);
}

static void compare_gradients(void)
{
    const cJSON *gradients = cJSON_GetObjectItem(golden.test, "gradients"), *one, *value;
    double most = 0;

    cJSON_ArrayForEach(one, gradients)
    {
        cJSON_ArrayForEach(value, one) { most = fmax(most, fabs(value->valuedouble)); }
    }
    golden.listed = 0;
    for (size_t i = 0; i < golden.student.parts.count; i++) {
        const struct df_part *part = &golden.student.parts.part[i];
        char name[40];

        if (!part->stride)
            continue;
        part_name(name, sizeof name,
                  strncmp(part->name, "neck", 4) == 0 ? "neck"
                  : part->name[0] == 'c'              ? "class_tower"
                                                      : "box_tower",
                  part->level);
        compare(name, part->shape, part->tensor->grad, most);
    }
    for (size_t i = 0; i < golden.parameters->count; i++) {
        const struct df_parameter *item = golden.parameters->items[i];

        if (!item->buffer)
            compare(item->name, item->shape, item->grad, most);
    }
    assert_int_equal(golden.listed, cJSON_GetArraySize(gradients));
}

static void compare_loss(df_tensor *loss, const struct df_loss_terms *log)
{
    const cJSON *terms = cJSON_GetObjectItem(golden.test, "terms"), *term;
    size_t i = 0;

    assert_close(df_item(golden.tape, loss), cJSON_GetObjectItem(golden.test, "loss")->valuedouble, is_double ? 1e-12 : 1e-6, 0);
    assert_int_equal(log->count, cJSON_GetArraySize(terms));
    cJSON_ArrayForEach(term, terms)
    {
        assert_string_equal(log->term[i].name, term->string);
        assert_close(df_item(golden.tape, log->term[i].value), cJSON_GetArrayItem(term, 0)->valuedouble, is_double ? 1e-12 : 1e-6, 0);
        assert_close(log->term[i++].weight, cJSON_GetArrayItem(term, 1)->valuedouble, 1e-14, 0);
    }
}

static void run_case(void)
{
    const struct df_distiller_class *class = df_distiller_class_find(cJSON_GetObjectItem(golden.test, "distiller")->valuestring, NULL);
    void *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size + 1);
    struct df_loss_terms log = { 0 };
    struct df_error err = { 0 };

    df_tape_reset(golden.tape);
    golden.batch.first = (size_t)cJSON_GetObjectItem(golden.test, "first")->valueint;
    assert_ok(df_options_read(class->options, cJSON_GetObjectItem(golden.test, "options"), NULL, "golden", options, &err));
    make_states((size_t)cJSON_GetObjectItem(golden.test, "width")->valueint);
    init(class, options, memory);

    const struct df_distill_context context = { .tape = golden.tape,
                                                .options = options,
                                                .state = memory,
                                                .step = (size_t)cJSON_GetObjectItem(golden.test, "step")->valueint,
                                                .epochs = 4,
                                                .seed = (uint64_t)cJSON_GetObjectItem(golden.test, "seed")->valuedouble,
                                                .terms = &log };
    df_tensor *loss = class->loss(&context, &golden.student, &golden.teacher);

    df_backward(golden.tape, loss);
    compare_loss(loss, &log);
    compare_gradients();
    df_parameters_free(golden.parameters);
    free(options);
    free(memory);
}

static void run_file(const char *path, int cases)
{
    struct df_error err;
    cJSON *file;

    assert_ok(df_json_read(path, &file, &err));
    assert_ok(df_device_open(is_double ? "ref" : "cpu", &golden.device, &err));
    golden.file = file;
    golden.tape = df_tape_new(golden.device, true);
    make_constants();
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(file, "cases")), cases);
    cJSON_ArrayForEach(golden.test, cJSON_GetObjectItem(file, "cases")) { run_case(); }
    df_tape_free(golden.tape);
    df_device_close(golden.device);
    cJSON_Delete(file);
}

static void test_formulas(void **state)
{
    (void)state;
    run_file("tests/golden/imitation.json", 15);
}

static void test_originals(void **state)
{
    (void)state;
    run_file("tests/golden/imitation_originals.json", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_formulas), cmocka_unit_test(test_originals) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
