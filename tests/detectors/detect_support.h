/* What the tests of this room share: batches made by hand, detectors from a list of "name=value" options. */
#ifndef DF_TESTS_DETECT_SUPPORT_H
#define DF_TESTS_DETECT_SUPPORT_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/detector.h"
#include "tests/support/support.h"

#define TEST_IMAGES 8
struct test_batch {
    struct df_batch batch;
    struct df_ground_truth truth[TEST_IMAGES];
    struct df_box boxes[TEST_IMAGES][4];
    int32_t labels[TEST_IMAGES][4];
    size_t index[TEST_IMAGES], valid_h[TEST_IMAGES], valid_w[TEST_IMAGES];
    bool flipped[TEST_IMAGES];
    double scale_x[TEST_IMAGES], scale_y[TEST_IMAGES];
};

/* n images of noise, image i with i % 4 objects (1 + i % 4 where `all`) */
static inline struct test_batch *test_batch_new(size_t n, size_t height, size_t width, int32_t classes, bool all)
{
    struct test_batch *t = calloc(1, sizeof *t);
    struct df_rng rng;

    df_rng_init(&rng, 5, DF_RNG_TEST, 1);
    t->batch = (struct df_batch){ .n = n,
                                  .height = height,
                                  .width = width,
                                  .truth = t->truth,
                                  .index = t->index,
                                  .flipped = t->flipped,
                                  .valid_h = t->valid_h,
                                  .valid_w = t->valid_w,
                                  .scale_x = t->scale_x,
                                  .scale_y = t->scale_y };
    t->batch.pixels = malloc(n * height * width * 3 * sizeof(df_real));
    df_test_fill(t->batch.pixels, n * height * width * 3, 11, 1);
    for (size_t i = 0; i < n; i++) {
        t->truth[i] = (struct df_ground_truth){ i % 4 + all, t->boxes[i], t->labels[i] };
        t->valid_h[i] = height;
        t->valid_w[i] = width;
        t->scale_x[i] = t->scale_y[i] = 1;
        for (size_t g = 0; g < 4; g++) {
            const float w = (float)df_rng_range(&rng, 9, 0.6 * (double)width), h = (float)df_rng_range(&rng, 9, 0.6 * (double)height);
            const float x = (float)df_rng_range(&rng, 0, (double)((float)width - w)),
                        y = (float)df_rng_range(&rng, 0, (double)((float)height - h));

            t->boxes[i][g] = (struct df_box){ x, y, x + w, y + h };
            t->labels[i][g] = (int32_t)df_rng_below(&rng, (uint32_t)classes);
        }
    }
    return t;
}

static inline void test_batch_free(struct test_batch *t)
{
    free(t->batch.pixels);
    free(t);
}

struct test_model {
    struct df_device *device;
    struct df_parameters *parameters;
    struct df_detector *detector;
};

static inline void test_set(const df_option *table, const char *const *pairs, void *values)
{
    struct df_error err;

    df_options_standard(table, values);
    for (; pairs && *pairs; pairs++) {
        const char *equal = strchr(*pairs, '=');
        char name[64] = { 0 };

        memcpy(name, *pairs, (size_t)(equal - *pairs));
        assert_ok(df_options_set(table, name, equal + 1, "test", values, &err));
    }
}

/* A detector of that kind on a device; network and detector: NULL-terminated "name=value", may be NULL. device NULL: only the list of parameters. */
static inline struct test_model test_detector_new(const char *kind, const char *device, const char *const *network,
                                                  const char *const *detector, size_t classes, bool gradients)
{
    struct test_model model = { .parameters = df_parameters_new() };
    struct df_network_options options;
    struct df_error err;
    const struct df_detector_class *class = df_detector_class_find(kind, &err);
    void *values = calloc(1, class->options_size);

    test_set(df_network_option_table, network, &options);
    test_set(class->options, detector, values);
    assert_ok(class->create(values, &options, classes, model.parameters, &model.detector, &err));
    free(values);
    if (device) {
        assert_ok(df_device_open(device, &model.device, &err));
        df_parameters_build(model.parameters, model.device, 3, gradients);
    }
    return model;
}

static inline struct test_model test_model_new(const char *device, const char *const *network, const char *const *detector, size_t classes,
                                               bool gradients)
{
    return test_detector_new("retinanet", device, network, detector, classes, gradients);
}

/* The values of a part of rows: the devices of these tests are the host. */
static inline const df_real *test_host(const struct df_detection_state *state, const char *name)
{
    const struct df_part *part = df_part(state, name, DF_NO_LEVEL);

    return part->host ? part->host : part->tensor->data;
}

/* Of the whole batch. */
static inline size_t test_positives(const struct df_detection_state *state)
{
    size_t sum = 0;

    for (size_t n = 0; n < state->batch; n++)
        sum += (size_t)test_host(state, "positives")[n];
    return sum;
}

static inline const struct df_found *test_predict(struct df_detector *detector, df_tape *tape, const struct df_detection_state *state,
                                                  size_t image, size_t *count)
{
    return detector->class->predict(detector, tape, state, image, false, count);
}

static inline void test_model_free(struct test_model *model)
{
    df_detector_free(model->detector);
    df_parameters_free(model->parameters);
    if (model->device)
        df_device_close(model->device);
}

/* Non-trivial running statistics, affine parameters and biases, so that folding and eval mode have something to do. */
static inline void test_model_stir(struct test_model *model)
{
    struct df_rng rng;

    df_rng_init(&rng, 9, DF_RNG_TEST, 2);
    for (size_t i = 0; i < model->parameters->count; i++) {
        const struct df_parameter *p = model->parameters->items[i];
        const bool positive = strstr(p->name, "running_var") != NULL;

        if (p->kind != DF_VECTOR || strstr(p->name, "cls_logits"))
            continue;
        for (size_t k = 0; k < df_count(p->shape); k++) {
            const df_real v = (df_real)(positive ? df_rng_range(&rng, 0.5, 2) : df_rng_range(&rng, 0.2, 1));

            df_write(model->device, p->value + k, &v, sizeof v);
        }
    }
    df_parameters_touch(model->parameters);
}

/* The small benchmark's student, and a smaller one. */
static const char *const test_student_network[] = { "depth=0",       "block=basic",  "blocks=1,1,1",     "widths=16,32,64",
                                                    "stem_width=16", "stem=small",   "fpn_stages=2,3,4", "fpn_channels=32",
                                                    "extra=none",    "head_convs=1", "head_norm=batch",  NULL };
static const char *const test_tiny_network[] = { "depth=0",      "block=basic",  "blocks=1,2,1",     "widths=6,4,8",
                                                 "stem_width=5", "stem=small",   "fpn_stages=2,3,4", "fpn_channels=6",
                                                 "extra=none",   "head_convs=1", "head_norm=batch",  NULL };
static const char *const test_student_detector[] = { "anchor_size=13,23,40",
                                                     "anchor_scales=1",
                                                     "anchor_ratios=0.6,1,1.67",
                                                     "anchor_rounding=0",
                                                     "anchor_offset=0.5",
                                                     "loss_norm=batch",
                                                     "box_loss=smooth_l1",
                                                     "box_beta=0.3333333333",
                                                     "box_weights=10,10,5,5",
                                                     "box_loss_weight=0.25",
                                                     NULL };

/* The derivative of a loss in the pixels along a random direction against its central difference: the loss sees the images as a leaf on the
 * tape. In double; norms use their running statistics, so that one pixel moves one image. */
static inline void test_pixel_gradient(struct test_model *model, const struct test_batch *t,
                                       df_tensor *(*loss)(struct test_model *, df_tape *, const struct df_batch *, df_tensor *pixels))
{
    const df_shape shape = { t->batch.n, t->batch.height, t->batch.width, 3 };
    const size_t n = df_count(shape);
    df_tape *tape = df_tape_new(model->device, true);
    df_real *pixels = malloc(n * sizeof *pixels), *direction = malloc(n * sizeof *direction);
    double analytic = 0, norm = 0, error = INFINITY, value[2];
    df_tensor *leaf = df_leaf(tape, shape, t->batch.pixels);

    df_test_fill(direction, n, 17, 1);
    df_backward(tape, loss(model, tape, &t->batch, leaf));
    for (size_t k = 0; k < n; k++) {
        analytic += (double)direction[k] * (double)leaf->grad[k];
        norm += (double)leaf->grad[k] * (double)leaf->grad[k];
    }
    norm = sqrt(norm);
    for (double h = 1e-5; h > 5e-8 && !(error <= 1e-5 * (fabs(analytic) + norm)); h /= 10) { /* the smaller, the fewer kinks */
        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < n; k++)
                pixels[k] = (df_real)((double)t->batch.pixels[k] + (side ? -h : h) * (double)direction[k]);
            df_tape_reset(tape);
            value[side] = df_item(tape, loss(model, tape, &t->batch, df_leaf(tape, shape, pixels)));
        }
        error = fabs((value[0] - value[1]) / (2 * h) - analytic);
    }
    if (!(norm > 0 && error <= 1e-5 * (fabs(analytic) + norm)))
        fail_msg("pixels: derivative %.12g, differences are off by %.3g (gradient norm %.3g)", analytic, error, norm);
    free(pixels);
    free(direction);
    df_tape_free(tape);
}
#endif
