/* RoIAlign in double on `ref`: against torchvision (tests/golden/roi_align.txt), and by differences over a pyramid. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/ops.h"
#include "tests/support/support.h"

enum { ROIS = 7 };
static struct df_device *device;
static df_tape *tape;
/* the boxes of tests/golden/make_faster_rcnn.py */
static const struct df_box box[ROIS] = { { 4.5F, 3.25F, 21, 17.75F },
                                         { 0, 0, 40, 28 },
                                         { 30.5F, 2.25F, 39.75F, 27 },
                                         { -9, -7.5F, 50, 37 },
                                         { 12, 9, 13, 9.5F },
                                         { 8, 8, 8, 8 },
                                         { 4, 3, 28, 27 } };
static const uint32_t image[ROIS] = { 0, 1, 1, 0, 1, 0, 1 };

/* The next tensor of the file, which must have this name. */
static df_real *next(FILE *file, const char *name, df_shape *shape)
{
    char found[64], word[64];
    df_real *values;

    assert_int_equal(fscanf(file, "%63s %zu %zu %zu %zu", found, &shape->n, &shape->h, &shape->w, &shape->c), 5);
    assert_string_equal(found, name);
    values = malloc(df_count(*shape) * sizeof *values);
    for (size_t i = 0; i < df_count(*shape); i++) {
        assert_int_equal(fscanf(file, "%63s", word), 1);
        values[i] = (df_real)strtod(word, NULL);
    }
    return values;
}

/* Both sides compute in double; the file has 15 digits. */
static void compare(const df_real *found, const df_real *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_close((double)found[i], (double)expected[i], 1e-12, 1e-12);
}

static df_tensor *weigh(df_tensor *y, const df_real *dy) { return df_sum(tape, df_mul(tape, y, df_tensor_from(tape, y->shape, dy)), 15); }

static void golden_case(FILE *file, struct df_roi_options options)
{
    static const char *const part[4] = { "x", "y", "dy", "dx" };
    static const int32_t level[ROIS] = { 0 };
    df_real *value[4];
    df_shape shape[4];
    df_tensor *x, *y;

    for (size_t k = 0; k < 4; k++) {
        char name[32];

        snprintf(name, sizeof name, "%zu.%d.%zu.%s", options.sampling, options.aligned, options.size, part[k]);
        value[k] = next(file, name, &shape[k]);
    }
    for (int again = 0; again < 2; again++) { /* again: on top of a gradient that is there */
        df_tape_reset(tape);
        x = df_leaf(tape, shape[0], value[0]);
        y = df_roi_align(tape, &x, (double[]){ 0.25 }, 1, &(struct df_rois){ ROIS, box, image, level }, options);
        assert_true(df_same_shape(y->shape, shape[1]));
        compare(y->data, value[1], df_count(y->shape));

        df_tensor *loss = weigh(y, value[2]);

        df_backward(tape, again ? df_add(tape, loss, weigh(x, value[0])) : loss);
        for (size_t i = 0; again && i < df_count(shape[0]); i++)
            value[3][i] += value[0][i];
        compare(x->grad, value[3], df_count(shape[0]));
    }
    for (size_t k = 0; k < 4; k++)
        free(value[k]);
}

static void test_golden(void **state)
{
    static const size_t kinds[4][2] = { { 0, 3 }, { 1, 4 }, { 2, 7 }, { 5, 2 } };
    FILE *file = fopen("tests/golden/roi_align.txt", "r");

    (void)state;
    assert_non_null(file);
    for (size_t i = 0; i < 4; i++)
        for (int aligned = 0; aligned < 2; aligned++)
            golden_case(file, (struct df_roi_options){ .size = kinds[i][1], .sampling = kinds[i][0], .aligned = aligned });
    fclose(file);
}

/* sum(w y) over three maps of different size; with gradients of the maps, NULL where constant[l] */
static double pyramid(df_real *const value[3], df_real *const grad[3], bool frozen)
{
    static const df_shape shape[3] = { { 2, 9, 7, 5 }, { 2, 5, 4, 5 }, { 2, 2, 3, 5 } };
    static const int32_t level[ROIS] = { 0, 2, 1, -1, 0, 1, 0 };
    static df_real weight[ROIS * 4 * 4 * 5];
    df_tensor *x[3], *y;

    df_tape_reset(tape);
    for (size_t l = 0; l < 3; l++)
        x[l] = (frozen && l == 1 ? df_tensor_from : df_leaf)(tape, shape[l], value[l]);
    y = df_roi_align(tape, x, (double[]){ 0.25, 0.125, 0.0625 }, 3, &(struct df_rois){ ROIS, box, image, level },
                     (struct df_roi_options){ 4, 2, false });
    for (size_t i = 0; i < 4 * 4 * 5; i++)
        assert_true(y->data[3 * 4 * 4 * 5 + i] == 0); /* the row without a level */
    df_test_fill(weight, sizeof weight / sizeof *weight, 9, 1);
    df_tensor *loss = weigh(y, weight);

    if (grad) {
        df_backward(tape, loss);
        for (size_t l = 0; l < 3; l++) {
            assert_int_equal(x[l]->grad == NULL, frozen && l == 1);
            if (x[l]->grad)
                memcpy(grad[l], x[l]->grad, df_count(shape[l]) * sizeof(df_real));
        }
    }
    return df_item(tape, loss);
}

/* The op is linear in the maps: the central difference is exact but for rounding. */
static void test_differences(void **state)
{
    static const size_t count[3] = { 2 * 9 * 7 * 5, 2 * 5 * 4 * 5, 2 * 2 * 3 * 5 };
    df_real *value[3], *grad[3];

    (void)state;
    for (size_t l = 0; l < 3; l++) {
        value[l] = malloc(count[l] * sizeof(df_real));
        grad[l] = malloc(count[l] * sizeof(df_real));
        df_test_fill(value[l], count[l], 20 + l, 1);
    }
    pyramid(value, grad, true);
    pyramid(value, grad, false);
    for (size_t l = 0; l < 3; l++)
        for (size_t i = 0; i < count[l]; i += 1 + l % 2) {
            const df_real kept = value[l][i];

            value[l][i] = kept + 0.5;
            const double up = pyramid(value, NULL, false);

            value[l][i] = kept - 0.5;
            const double numeric = up - pyramid(value, NULL, false);

            value[l][i] = kept;
            assert_close((double)grad[l][i], numeric, 1e-10, 1e-11);
        }
    for (size_t l = 0; l < 3; l++) {
        free(value[l]);
        free(grad[l]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_golden), cmocka_unit_test(test_differences) };
    struct df_error err;
    int failed;

    if (df_device_open("ref", &device, &err) != DF_OK)
        return 1;
    tape = df_tape_new(device, true);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    df_tape_free(tape);
    df_device_close(device);
    return failed;
}
