/* The batch that tests/golden/make_retinanet.py and make_faster_rcnn.py feed torchvision, and reading their fixture, GOLDEN_FILE (defined by the
 * test before it includes this). */
#ifndef DF_TESTS_GOLDEN_SUPPORT_H
#define DF_TESTS_GOLDEN_SUPPORT_H
#include "core/nn/checkpoint.h"
#include "tests/detectors/detect_support.h"

enum { GOLDEN_H = 64, GOLDEN_W = 96, GOLDEN_CLASSES = 5 };

static struct test_batch *golden_batch(void)
{
    static const size_t valid[2][2] = { { 64, 96 }, { 60, 84 } };
    struct test_batch *t = test_batch_new(2, GOLDEN_H, GOLDEN_W, GOLDEN_CLASSES, true);
    df_real *out = t->batch.pixels;

    for (size_t n = 0; n < 2; n++)
        for (size_t y = 0; y < GOLDEN_H; y++)
            for (size_t x = 0; x < GOLDEN_W; x++)
                for (size_t c = 0; c < 3; c++) {
                    const size_t v = (37 * n + 11 * y * y + 7 * x * y + 53 * c + 5 * x) % 251;

                    *out++ = y < valid[n][0] && x < valid[n][1] ? (df_real)v / 128 - 1 : 0;
                }
    for (size_t n = 0; n < 2; n++) {
        t->valid_h[n] = valid[n][0];
        t->valid_w[n] = valid[n][1];
    }
    t->truth[0].count = 3;
    t->boxes[0][0] = (struct df_box){ 10, 12, 44, 40 };
    t->boxes[0][1] = (struct df_box){ 50.5F, 8.25F, 90, 60 };
    t->boxes[0][2] = (struct df_box){ 12, 14, 40, 44 };
    t->labels[0][0] = 1;
    t->labels[0][1] = 4;
    t->labels[0][2] = 0;
    t->truth[1].count = 1;
    t->boxes[1][0] = (struct df_box){ 30, 20, 70, 55 };
    t->labels[1][0] = 2;
    t->batch.seed = 11;
    t->batch.step = 5;
    return t;
}

/* A tensor of the fixture in our layout; free it. */
static df_real *golden_of(struct df_device *device, const char *name, enum df_parameter_kind kind, df_shape shape)
{
    struct df_parameters *parameters = df_parameters_new();
    df_real *values = malloc(df_count(shape) * sizeof *values);
    struct df_parameter *p = df_parameters_add(parameters, name, kind, shape, (struct df_initialiser){ DF_INIT_ZERO, 0 }, DF_RNG_INIT);
    struct df_error err;

    df_parameters_build(parameters, device, 0, false);
    assert_ok(df_checkpoint_read(GOLDEN_FILE, parameters, false, true, &err));
    df_read(device, values, p->value, df_count(shape) * sizeof *values);
    df_parameters_free(parameters);
    return values;
}

static df_real *golden(struct df_device *device, const char *name, size_t count)
{
    return golden_of(device, name, DF_VECTOR, (df_shape){ 1, 1, 1, count });
}

static void assert_golden(struct test_model *model, const char *name, const df_tensor *found, size_t count, double relative,
                          double absolute)
{
    df_real *expected = golden(model->device, name, count), *values = malloc(count * sizeof *values);

    df_read(model->device, values, found->data, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        assert_close((double)values[i], (double)expected[i], relative, absolute);
    free(expected);
    free(values);
}
#endif
