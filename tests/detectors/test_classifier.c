/* The classifier of objects: its crops against PyTorch's grid_sample, its loss by hand, what it says of images with and without objects. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/device/open.h"
#include "detectors/classifier.h"
#include "tests/support/support.h"

enum { H = 9, W = 12, CLASSES = 4 };

static cJSON *golden;
static struct df_device *device;

static df_real *reals(const cJSON *array)
{
    const cJSON *item;
    df_real *out = df_calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *out);
    size_t i = 0;

    cJSON_ArrayForEach(item, array) out[i++] = (df_real)item->valuedouble;
    return out;
}

/* With options such as {"size":5}; the network is as small as they come. */
static struct df_detector *classifier(const char *options, struct df_parameters *parameters)
{
    const struct df_detector_class *class = &df_detector_classifier;
    struct df_network_options network;
    struct df_detector *detector;
    struct df_error err = { 0 };
    void *values = df_calloc(1, class->options_size);
    cJSON *object = cJSON_Parse(options),
          *body = cJSON_Parse("{\"depth\":0,\"blocks\":[1],\"base_width\":6,\"stem\":\"small\",\"fpn_stages\":[2]}");

    assert_ok(df_options_read(class->options, object, NULL, "test", values, &err));
    assert_ok(df_options_read(df_network_option_table, body, NULL, "test", &network, &err));
    assert_ok(class->create(values, &network, CLASSES, parameters, &detector, &err));
    df_parameters_build(parameters, device, 3, true);
    cJSON_Delete(object);
    cJSON_Delete(body);
    free(values);
    return detector;
}

static struct df_batch batch_of(size_t n, df_real *pixels, const struct df_ground_truth *truth)
{
    static const size_t valid_h[] = { 7, 7 }, valid_w[] = { 11, 11 };

    return (struct df_batch){ .n = n, .height = H, .width = W, .pixels = pixels, .truth = truth, .valid_h = valid_h, .valid_w = valid_w };
}

static void crops_are_those_of_grid_sample(void **state)
{
    const double tolerance = sizeof(df_real) > 4 ? 1e-12 : 1e-6;
    df_real *pixels = reals(cJSON_GetObjectItem(golden, "image"));
    const cJSON *one;

    (void)state;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "crops"))
    {
        const cJSON *corner = cJSON_GetObjectItem(one, "box")->child;
        float c[4];
        char options[64];

        for (int k = 0; k < 4; k++, corner = corner->next)
            c[k] = (float)corner->valuedouble;
        snprintf(options, sizeof options, "{\"size\":8,\"context\":%g}", cJSON_GetObjectItem(one, "context")->valuedouble);

        const struct df_box box = { c[0], c[1], c[2], c[3] };
        const int32_t label = 1;
        const struct df_ground_truth truth = { 1, &box, &label };
        const struct df_batch batch = batch_of(1, pixels, &truth);
        struct df_parameters *parameters = df_parameters_new();
        struct df_detector *detector = classifier(options, parameters);
        df_tape *tape = df_tape_new(device, false);
        df_real *expected = reals(cJSON_GetObjectItem(one, "pixels"));
        df_tensor *crop = df_classifier_crops(detector, tape, &batch);

        assert_int_equal(crop->shape.n, 1);
        assert_int_equal(crop->shape.h, 8);
        for (size_t i = 0; i < 8 * 8 * 3; i++)
            assert_close((double)crop->data[i], (double)expected[i], 0, tolerance);
        free(expected);
        df_tape_free(tape);
        df_detector_free(detector);
        df_parameters_free(parameters);
    }
    free(pixels);
}

/* What look_at cuts on the tape is what is cut on the host, of boxes inside, over the border of the valid part, and with context; the first layer
 * is half as large. */
static void both_ways_of_cutting_agree(void **state)
{
    static const struct df_box at[] = { { 1.25F, 2, 7.5F, 5.75F }, { 6, 4, 11, 7 }, { 2, 1, 9, 6 } };
    static const int32_t label[] = { 0, 1, 2 };
    const struct df_ground_truth truth[] = { { 1, at, label }, { 2, at + 1, label + 1 } };
    const char *const options[] = { "{\"size\":8}", "{\"size\":10,\"context\":0.5}" };
    df_real pixels[2 * H * W * 3];

    (void)state;
    df_test_fill(pixels, sizeof pixels / sizeof *pixels, 4, 1);
    for (size_t k = 0; k < 2; k++) {
        const struct df_batch batch = batch_of(2, pixels, truth);
        struct df_parameters *parameters = df_parameters_new();
        struct df_detector *detector = classifier(options[k], parameters);
        df_tape *tape = df_tape_new(device, false);
        df_tensor *expected = df_classifier_crops(detector, tape, &batch);
        struct df_crops crops = { .images = &batch, .image = (const uint32_t[]){ 0, 1, 1 } };
        df_real corners[12];
        struct df_seen seen;

        for (size_t i = 0; i < 12; i++)
            corners[i] = (df_real)((const float[]){ at[i / 4].x0, at[i / 4].y0, at[i / 4].x1, at[i / 4].y1 })[i % 4];
        crops.pixels = df_tensor_from(tape, (df_shape){ 2, H, W, 3 }, pixels);
        crops.boxes = df_tensor_from(tape, (df_shape){ 3, 1, 1, 4 }, corners);
        detector->class->look_at(detector, tape, &crops, &seen);
        assert_true(df_same_shape(seen.crop->shape, expected->shape));
        assert_int_equal(seen.stem->shape.h, expected->shape.h / 2);
        assert_int_equal(seen.stem->shape.c, 6);
        for (size_t i = 0; i < df_count(expected->shape); i++) /* positions are floats of the map's size: some units of 1e-7 */
            assert_close((double)seen.crop->data[i], (double)expected->data[i], 0, 1e-5);
        df_tape_free(tape);
        df_detector_free(detector);
        df_parameters_free(parameters);
    }
}

static const struct df_box boxes[] = { { 1, 1, 6, 5 }, { 4, 2, 10, 7 }, { 0, 0, 5, 5 } };
static const int32_t labels[] = { 2, 0, 3 };

/* -log softmax of each object's own class, their mean; a batch without objects costs nothing and has gradients of 0. */
static void the_loss_is_cross_entropy(void **state)
{
    const struct df_ground_truth truth[] = { { 2, boxes, labels }, { 1, boxes + 2, labels + 2 } }, none[] = { { 0 }, { 0 } };
    df_real *pixels = df_calloc((size_t)2 * H * W * 3, sizeof *pixels);
    struct df_parameters *parameters = df_parameters_new();
    struct df_detector *detector = classifier("{\"size\":8}", parameters);
    df_tape *tape = df_tape_new(device, true);
    struct df_detection_state s;
    struct df_loss_terms terms = { 0 };
    double expected = 0;

    (void)state;
    for (size_t i = 0; i < (size_t)2 * H * W * 3; i++)
        pixels[i] = (df_real)sin(0.37 * (double)i);

    struct df_batch batch = batch_of(2, pixels, truth);

    df_detector_forward(detector, tape, &batch, DF_TRAINING | DF_LABELS, &s);

    df_tensor *logits = df_part_tensor(&s, DF_OBJECT_LOGITS), *loss = detector->class->loss(detector, tape, &s, &terms);

    assert_int_equal(logits->shape.w, 3);
    for (size_t r = 0; r < 3; r++) {
        double sum = 0;

        for (size_t k = 0; k < CLASSES; k++)
            sum += exp((double)logits->data[r * CLASSES + k]);
        expected += (log(sum) - (double)logits->data[r * CLASSES + (size_t)labels[r]]) / 3;
    }
    assert_close(df_item(tape, loss), expected, 1e-5, 0);
    assert_int_equal(terms.count, 1);

    batch.truth = none;
    df_tape_reset(tape);
    df_parameters_zero_grad(parameters);
    df_detector_forward(detector, tape, &batch, DF_TRAINING | DF_LABELS, &s);
    assert_int_equal(df_part_tensor(&s, DF_OBJECT_LOGITS)->shape.w, 1);
    loss = detector->class->loss(detector, tape, &s, &terms);
    assert_true(df_item(tape, loss) == 0);
    df_backward(tape, loss);
    for (size_t i = 0; i < parameters->values; i++)
        assert_true(parameters->grad[i] == 0);
    df_tape_free(tape);
    df_detector_free(detector);
    df_parameters_free(parameters);
    free(pixels);
}

/* Image by image or in a batch: the same rows. Each object is found once, by falling score, with its likeliest class. */
static void it_says_the_same_of_an_image_alone(void **state)
{
    const struct df_ground_truth truth[] = { { 2, boxes, labels }, { 1, boxes + 2, labels + 2 } };
    df_real *pixels = df_calloc((size_t)2 * H * W * 3, sizeof *pixels);
    struct df_parameters *parameters = df_parameters_new();
    struct df_detector *detector = classifier("{\"size\":8}", parameters);
    df_tape *tape = df_tape_new(device, false);
    struct df_detection_state both, alone;
    size_t row = 0, count;

    (void)state;
    for (size_t i = 0; i < (size_t)2 * H * W * 3; i++)
        pixels[i] = (df_real)cos(0.21 * (double)i);
    detector->class->fold(detector);

    const struct df_batch batch = batch_of(2, pixels, truth);

    df_detector_forward(detector, tape, &batch, DF_FIRST_STAGE, &both);
    for (size_t n = 0; n < 2; n++) {
        const struct df_batch one = batch_of(1, pixels + n * H * W * 3, &truth[n]);

        df_detector_forward(detector, tape, &one, DF_FIRST_STAGE, &alone);

        const df_real *own = df_part_tensor(&alone, DF_OBJECT_LOGITS)->data, *of_all = df_part_tensor(&both, DF_OBJECT_LOGITS)->data;

        assert_memory_equal(own, of_all + row * CLASSES, truth[n].count * CLASSES * sizeof *own);
        row += truth[n].count;

        const struct df_found *found = detector->class->predict(detector, tape, &both, n, true, &count);

        assert_int_equal(count, truth[n].count);
        for (size_t i = 0; i < count; i++) {
            const df_real *z = own + found[i].row * CLASSES;
            double sum = 0;

            assert_memory_equal(&found[i].box, &truth[n].boxes[found[i].row], sizeof found[i].box);
            assert_true(i == 0 || found[i].score <= found[i - 1].score);
            for (size_t k = 0; k < CLASSES; k++) {
                assert_true(z[k] <= z[found[i].label]);
                sum += (double)found[i].scores[k];
            }
            assert_close(sum, 1, 1e-6, 0);
            assert_true(found[i].score == found[i].scores[found[i].label]);
        }
    }
    df_tape_free(tape);
    df_detector_free(detector);
    df_parameters_free(parameters);
    free(pixels);
}

static int set_up(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_json_read("tests/golden/classifier.json", &golden, &err));
    assert_ok(df_device_open("cpu", &device, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    df_device_close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_are_those_of_grid_sample),
        cmocka_unit_test(both_ways_of_cutting_agree),
        cmocka_unit_test(the_loss_is_cross_entropy),
        cmocka_unit_test(it_says_the_same_of_an_image_alone),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
