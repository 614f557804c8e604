/* kd_classifier against PyTorch's autograd on its formulas, over anchors and over RoIs: what the classifier says, and what it sees in boxes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/device/open.h"
#include "detectors/classifier.h"
#include "distillers/distiller.h"
#include "tests/support/support.h"

enum { IMAGES = 2, ROWS = 6, K = 4, OBJECTS = 2, HEIGHT = 32, WIDTH = 36, PIXELS = IMAGES * HEIGHT * WIDTH * 3 };

static cJSON *golden;
static struct df_device *device;
static struct df_parameters *parameters; /* of the classifier */
static struct df_detector *classifier;
static df_real pixels[PIXELS];

static df_real *reals(const cJSON *array)
{
    const cJSON *item;
    df_real *out = df_calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *out);
    size_t i = 0;

    cJSON_ArrayForEach(item, array) out[i++] = (df_real)item->valuedouble;
    return out;
}

/* [IMAGES][ROWS] */
static df_real *row_reals(const char *key)
{
    df_real *out = df_calloc((size_t)IMAGES * ROWS, sizeof *out);
    const cJSON *image, *item;
    size_t i = 0;

    cJSON_ArrayForEach(image, cJSON_GetObjectItem(golden, key)) cJSON_ArrayForEach(item, image) out[i++] = (df_real)item->valuedouble;
    return out;
}

/* Objects far from each other, and for every row the box of the one that it learns, a little off. */
static const struct df_box objects[IMAGES][OBJECTS] = { { { 0, 0, 8, 8 }, { 20, 20, 30, 30 } }, { { 5, 5, 15, 15 } } };
static const int32_t object_labels[IMAGES][OBJECTS] = { { 2, 0 }, { 3 } };

static const size_t valid_h[IMAGES] = { 30, 32 }, valid_w[IMAGES] = { 34, 36 };
static const float delta_weights[4] = { 2, 1.5F, 1, 0.75F };

struct lesson {
    struct df_ground_truth truth[IMAGES];
    struct df_batch batch;
    struct df_box box[IMAGES * ROWS];
    uint32_t image[IMAGES * ROWS];
    struct df_detector detector;
    struct df_detection_state student, teacher;
    df_real *label, *matched, *said;
};

static void lesson_init(struct lesson *l, df_tape *tape, bool rois)
{
    memset(l, 0, sizeof *l);
    l->label = row_reals("label");
    l->matched = row_reals("matched");
    l->said = reals(cJSON_GetObjectItem(golden, "teacher"));
    for (size_t n = 0; n < IMAGES; n++)
        l->truth[n] = (struct df_ground_truth){ n == 0 ? 2 : 1, objects[n], object_labels[n] };
    for (size_t r = 0; r < IMAGES * ROWS; r++) {
        const size_t n = r / ROWS;
        const struct df_box at = objects[n][l->matched[r] > 0 ? (size_t)l->matched[r] : 0];

        l->image[r] = (uint32_t)n;
        l->box[r] = (struct df_box){ at.x0 + 1, at.y0, at.x1 + 2, at.y1 + 1 };
    }
    l->batch = (struct df_batch){
        .n = IMAGES, .height = HEIGHT, .width = WIDTH, .pixels = pixels, .truth = l->truth, .valid_h = valid_h, .valid_w = valid_w
    };
    l->detector = (struct df_detector){ .class = df_detector_class_find(rois ? "faster_rcnn" : "retinanet", NULL), .classes = K };
    memcpy(rois ? l->detector.roi_delta_weights : l->detector.delta_weights, delta_weights, sizeof delta_weights);
    l->student = (struct df_detection_state){ .batch = IMAGES, .classes = K, .images = &l->batch, .detector = &l->detector };
    l->teacher = l->student;
    l->teacher.detector = classifier;
    l->student.anchor = l->box;
    l->student.anchors = ROWS;
    df_parts_set(&l->teacher.parts, DF_OBJECT_LOGITS, DF_NO_LEVEL, 0, df_tensor_from(tape, (df_shape){ IMAGES, 1, OBJECTS, K }, l->said));
    if (rois) {
        l->student.rois = (struct df_rois){ IMAGES * ROWS, l->box, l->image, NULL };
        df_parts_set_host(&l->student.parts, tape, "roi/label", (df_shape){ IMAGES * ROWS, 1, 1, 1 }, l->label);
    } else {
        df_parts_set_host(&l->student.parts, tape, "label", (df_shape){ IMAGES, 1, ROWS, 1 }, l->label);
        df_parts_set_host(&l->student.parts, tape, "matched", (df_shape){ IMAGES, 1, ROWS, 1 }, l->matched);
    }
}

static void lesson_release(struct lesson *l)
{
    free(l->label);
    free(l->matched);
    free(l->said);
}

static void *options_of(const char *text)
{
    const struct df_distiller_class *class = df_distiller_class_find("kd_classifier", NULL);
    void *values = df_calloc(1, class->options_size);
    struct df_error err = { 0 };
    cJSON *object = cJSON_Parse(text);

    assert_ok(df_options_read(class->options, object, NULL, "test", values, &err));
    cJSON_Delete(object);
    return values;
}

static df_tensor *loss_of(df_tape *tape, struct lesson *l, const void *options)
{
    static struct df_loss_terms terms;
    const struct df_distill_context context = { .tape = tape, .options = options, .steps = 1, .epochs = 1, .terms = &terms };

    terms.count = 0;
    return df_distiller_class_find("kd_classifier", NULL)->loss(&context, &l->student, &l->teacher);
}

static void every_form_is_pytorchs(void **state)
{
    const bool precise = sizeof(df_real) > 4;
    const cJSON *one;
    size_t cases = 0;

    (void)state;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "cases"))
    {
        const char *mode = cJSON_GetStringValue(cJSON_GetObjectItem(one, "mode"));
        const bool rois = strcmp(mode, "softmax") == 0;
        const df_shape shape = rois ? (df_shape){ IMAGES * ROWS, 1, 1, K + 1 } : (df_shape){ IMAGES, 1, ROWS, K };
        df_real *z = reals(cJSON_GetObjectItem(one, "z")), *expected = reals(cJSON_GetObjectItem(one, "gradient"));
        df_tape *tape = df_tape_new(device, true);
        char text[96];
        struct lesson l;

        snprintf(text, sizeof text, "{\"w\":3,\"boxes\":false,\"temperature\":%g%s%s%s}",
                 cJSON_GetObjectItem(one, "temperature")->valuedouble, rois ? "" : ",\"sigmoid\":\"", rois ? "" : mode, rois ? "" : "\"");

        void *options = options_of(text);

        lesson_init(&l, tape, rois);

        df_tensor *leaf = df_leaf(tape, shape, z);

        df_parts_set(&l.student.parts, rois ? "roi/logits" : "logits", DF_NO_LEVEL, 0, leaf);

        df_tensor *loss = loss_of(tape, &l, options);

        assert_close(df_item(tape, loss), 3 * cJSON_GetObjectItem(one, "loss")->valuedouble, precise ? 1e-9 : 1e-6, 1e-6);
        df_backward(tape, loss);
        for (size_t i = 0; i < df_count(shape); i++)
            assert_close((double)leaf->grad[i], 3 * (double)expected[i], precise ? 1e-8 : 1e-5, 1e-6);
        lesson_release(&l);
        df_tape_free(tape);
        free(options);
        free(expected);
        free(z);
        cases++;
    }
    assert_int_equal(cases, 6);
}

/* Nothing is learned where no row learns an object, whatever logits there are. */
static void without_positives_there_is_no_loss(void **state)
{
    static const char *const forms[] = { "{\"sigmoid\":\"kl_bce\"}", "{\"sigmoid\":\"kl_ce\"}", "{}" };

    (void)state;
    for (size_t f = 0; f < 3; f++) {
        const bool rois = f == 2;
        const df_shape shape = rois ? (df_shape){ IMAGES * ROWS, 1, 1, K + 1 } : (df_shape){ IMAGES, 1, ROWS, K };
        df_real z[IMAGES * ROWS * (K + 1)];
        df_tape *tape = df_tape_new(device, true);
        void *options = options_of(forms[f]);
        struct lesson l;

        lesson_init(&l, tape, rois);
        for (size_t i = 0; i < sizeof z / sizeof *z; i++)
            z[i] = (df_real)(i % 5) * 30 - 200; /* sigmoids that are no number in float */
        for (size_t r = 0; r < IMAGES * ROWS; r++)
            l.label[r] = -1;
        df_parts_set_host(&l.student.parts, tape, rois ? "roi/label" : "label",
                          rois ? (df_shape){ IMAGES * ROWS, 1, 1, 1 } : (df_shape){ IMAGES, 1, ROWS, 1 }, l.label);

        df_tensor *leaf = df_leaf(tape, shape, z);

        df_parts_set(&l.student.parts, rois ? "roi/logits" : "logits", DF_NO_LEVEL, 0, leaf);
        df_parts_set(&l.student.parts, rois ? "roi/deltas" : "deltas", DF_NO_LEVEL, 0, leaf); /* nobody looks */

        df_tensor *loss = loss_of(tape, &l, options);

        assert_true(df_item(tape, loss) == 0);
        df_backward(tape, loss);
        for (size_t i = 0; i < df_count(shape); i++)
            assert_true(leaf->grad[i] == 0);
        lesson_release(&l);
        df_tape_free(tape);
        free(options);
    }
}

/* One box is wider than it may be and learns nothing of its width; some reach out of their image. The classifier learns nothing. */
static void boxes_are_pytorchs(void **state)
{
    const cJSON *one;
    size_t cases = 0;

    (void)state;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "boxes"))
    {
        const bool rois = cJSON_IsTrue(cJSON_GetObjectItem(one, "rois"));
        const df_shape shape = rois ? (df_shape){ IMAGES * ROWS, 1, 1, 4 * (K + 1) } : (df_shape){ IMAGES, 1, ROWS, 4 };
        const df_shape classes = rois ? (df_shape){ IMAGES * ROWS, 1, 1, K + 1 } : (df_shape){ IMAGES, 1, ROWS, K };
        df_real *deltas = reals(cJSON_GetObjectItem(one, "deltas")), *expected = reals(cJSON_GetObjectItem(one, "gradient"));
        df_real *z = df_calloc(df_count(classes), sizeof *z);
        df_tape *tape = df_tape_new(device, true);
        void *options = options_of("{\"w\":0,\"w_boxes\":3}");
        struct lesson l;

        lesson_init(&l, tape, rois);

        df_tensor *leaf = df_leaf(tape, shape, deltas);

        df_parts_set(&l.student.parts, rois ? "roi/deltas" : "deltas", DF_NO_LEVEL, 0, leaf);
        df_parts_set(&l.student.parts, rois ? "roi/logits" : "logits", DF_NO_LEVEL, 0, df_leaf(tape, classes, z));

        df_tensor *loss = loss_of(tape, &l, options);

        assert_close(df_item(tape, loss), 3 * cJSON_GetObjectItem(one, "loss")->valuedouble, 1e-6, 1e-6);
        df_backward(tape, loss);
        for (size_t i = 0; i < df_count(shape); i++)
            assert_close((double)leaf->grad[i], 3 * (double)expected[i], 1e-5, 1e-5);
        for (size_t i = 0; i < parameters->count; i++)
            assert_null(parameters->items[i]->grad);
        lesson_release(&l);
        df_tape_free(tape);
        free(options);
        free(expected);
        free(deltas);
        free(z);
        cases++;
    }
    assert_int_equal(cases, 2);
}

/* A first layer of six filters, its numbers from the golden file; the rest is not looked at. */
static void open_classifier(void)
{
    static const char *const items[][2] = { { "backbone.body.conv1.weight", "weight" },
                                            { "backbone.body.bn1.weight", "gamma" },
                                            { "backbone.body.bn1.bias", "beta" },
                                            { "backbone.body.bn1.running_mean", "mean" },
                                            { "backbone.body.bn1.running_var", "var" } };
    const struct df_detector_class *class = &df_detector_classifier;
    struct df_network_options network;
    struct df_error err = { 0 };
    void *values = df_calloc(1, class->options_size);
    cJSON *object = cJSON_Parse("{\"size\":8,\"context\":0.1}"),
          *body = cJSON_Parse("{\"depth\":0,\"blocks\":[1],\"base_width\":6,\"stem\":\"small\",\"fpn_stages\":[2]}");

    parameters = df_parameters_new();
    assert_ok(df_options_read(class->options, object, NULL, "test", values, &err));
    assert_ok(df_options_read(df_network_option_table, body, NULL, "test", &network, &err));
    assert_ok(class->create(values, &network, K, parameters, &classifier, &err));
    df_parameters_build(parameters, device, 3, false);
    for (size_t k = 0; k < sizeof items / sizeof *items; k++) {
        const struct df_parameter *item = df_parameters_find(parameters, items[k][0]);
        df_real *from = reals(cJSON_GetObjectItem(cJSON_GetObjectItem(golden, "stem"), items[k][1]));

        assert_non_null(item);
        memcpy(item->value, from, df_count(item->shape) * sizeof *from);
        free(from);
    }
    df_parameters_touch(parameters);
    class->fold(classifier);
    cJSON_Delete(object);
    cJSON_Delete(body);
    free(values);
}

static int set_up(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_json_read("tests/golden/classifier.json", &golden, &err));
    assert_ok(df_device_open("cpu", &device, &err));
    for (size_t i = 0; i < PIXELS; i++) {
        const size_t c = i % 3, x = i / 3 % WIDTH, y = i / 3 / WIDTH % HEIGHT, n = i / 3 / WIDTH / HEIGHT;

        pixels[i] = (df_real)((x + 2 * y + 5 * n) % (11 + 4 * c)) / 4 - 1;
    }
    open_classifier();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    df_detector_free(classifier);
    df_parameters_free(parameters);
    cJSON_Delete(golden);
    df_device_close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_form_is_pytorchs), cmocka_unit_test(without_positives_there_is_no_loss),
                                        cmocka_unit_test(boxes_are_pytorchs) };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
