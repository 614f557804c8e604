/* RoIAlign in float: values by hand, channels beyond and between the blocks of the kernel, the tested device against `ref`; a linear layer over a map. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/checkpoint.h"
#include "core/nn/ops.h"
#include "tests/support/support.h"

static df_tape *open_tape(const char *name, struct df_device **device)
{
    struct df_error err;

    assert_ok(df_device_open(name, device, &err));
    return df_tape_new(*device, true);
}

static void close_tape(df_tape *tape, struct df_device *device)
{
    df_tape_free(tape);
    df_device_close(device);
}

/* On a plane every sample is exact: a cell is the plane at its centre. Map value 2 y + 3 x + 10 c at the pixel (y, x); the box (2, 4, 14, 12)
 * at scale 1/2 covers x 1..7, y 2..6, so two by two cells are centred at x 2.5, 5.5 and y 3, 5. */
static void test_plane(void **state)
{
    enum { H = 8, W = 9, C = 2 };
    const struct df_box box[2] = { { 0, 0, 5, 5 }, { 2, 4, 14, 12 } };
    const double centre_y[2] = { 3, 5 }, centre_x[2] = { 2.5, 5.5 };
    struct df_device *device;
    df_tape *tape = open_tape(df_test_device(), &device);
    df_real map[H * W * C], found[8 * C];
    df_tensor *x, *y;

    (void)state;
    for (size_t i = 0; i < H * W * C; i++)
        map[i] = (df_real)(2 * (i / C / W) + 3 * (i / C % W) + 10 * (i % C));
    x = df_tensor_from(tape, (df_shape){ 1, H, W, C }, map);
    y = df_roi_align(tape, &x, (double[]){ 0.5 }, 1, &(struct df_rois){ 2, box, (uint32_t[]){ 0, 0 }, (int32_t[]){ -1, 0 } },
                     (struct df_roi_options){ 2, 3, false });
    df_read(device, found, y->data, sizeof found);
    for (size_t i = 0; i < 4 * C; i++)
        assert_true(found[i] == 0);
    for (size_t i = 0; i < 4 * C; i++)
        assert_close((double)found[4 * C + i], 2 * centre_y[i / C / 2] + 3 * centre_x[i / C % 2] + 10 * (double)(i % C), 1e-6, 0);
    close_tape(tape, device);
}

/* 37 channels: two blocks and a rest. Values and gradients, to what float sums of a few dozen terms allow. */
static void run(const char *name, size_t threads, df_real *values, df_real *gradient)
{
    enum { ROIS = 40, C = 37, SIZE = 5 };
    const df_shape shape[2] = { { 3, 11, 13, C }, { 3, 6, 7, C } };
    struct df_box box[ROIS];
    uint32_t image[ROIS];
    int32_t level[ROIS];
    struct df_device *device = df_test_open(name, threads);
    df_tape *tape = df_tape_new(device, true);
    df_real *host = malloc(df_count(shape[0]) * sizeof *host), *weight = malloc(ROIS * SIZE * SIZE * C * sizeof *weight);
    df_tensor *x[2], *y;
    struct df_rng rng;

    df_rng_init(&rng, 4, DF_RNG_TEST, 0);
    for (size_t r = 0; r < ROIS; r++) {
        const float x0 = (float)df_rng_range(&rng, 0, 70), y0 = (float)df_rng_range(&rng, 0, 60);

        box[r] = (struct df_box){ x0, y0, x0 + (float)df_rng_range(&rng, 0.1, 40), y0 + (float)df_rng_range(&rng, 0.1, 40) };
        image[r] = df_rng_below(&rng, 3);
        level[r] = (int32_t)df_rng_below(&rng, 3) - 1;
    }
    for (size_t l = 0; l < 2; l++) {
        df_test_fill(host, df_count(shape[l]), 30 + l, 1);
        x[l] = df_leaf(tape, shape[l], host);
    }
    df_test_fill(weight, ROIS * SIZE * SIZE * C, 33, 1);
    y = df_roi_align(tape, x, (double[]){ 0.125, 0.0625 }, 2, &(struct df_rois){ ROIS, box, image, level },
                     (struct df_roi_options){ SIZE, 0, true });
    df_backward(tape, df_sum(tape, df_mul(tape, y, df_tensor_from(tape, y->shape, weight)), 15));
    df_read(device, values, y->data, df_count(y->shape) * sizeof *values);
    df_read(device, gradient, x[0]->grad, df_count(shape[0]) * sizeof *gradient);
    free(host);
    free(weight);
    close_tape(tape, device);
}

static void test_devices(void **state)
{
    enum { VALUES = 40 * 25 * 37, GRADIENT = 3 * 11 * 13 * 37 };
    df_real *a = malloc(VALUES * sizeof *a), *b = malloc(VALUES * sizeof *b);
    df_real *da = malloc(GRADIENT * sizeof *da), *db = malloc(GRADIENT * sizeof *db);

    (void)state;
    run(df_test_device(), 1, a, da);
    run("ref", 1, b, db);
    for (size_t i = 0; i < VALUES; i++)
        assert_close((double)a[i], (double)b[i], 1e-6, 1e-6);
    for (size_t i = 0; i < GRADIENT; i++)
        assert_close((double)da[i], (double)db[i], 1e-5, 1e-5);
    run(df_test_device(), 3, b, db); /* again, and with threads */
    assert_memory_equal(a, b, VALUES * sizeof *a);
    assert_memory_equal(da, db, GRADIENT * sizeof *da);
    free(a);
    free(b);
    free(da);
    free(db);
}

/* A flat weight [out,h,w,in] stands in a file as PyTorch has it: [out, in h w], the channel slowest. */
static void test_flat_weight(void **state)
{
    enum { OUT = 2, H = 2, W = 3, IN = 4, N = OUT * H * W * IN };
    const df_shape shape = { OUT, H, W, IN };
    const struct df_initialiser normal = { DF_INIT_NORMAL, 1 };
    struct df_parameters *flat = df_parameters_new(), *back = df_parameters_new(), *rows = df_parameters_new();
    struct df_device *device;
    df_tape *tape = open_tape("ref", &device);
    struct df_parameter *a = df_parameters_add(flat, "fc.weight", DF_FLAT_WEIGHT, shape, normal, DF_RNG_INIT);
    struct df_parameter *b = df_parameters_add(back, "fc.weight", DF_FLAT_WEIGHT, shape, normal, DF_RNG_INIT);
    struct df_parameter *c =
        df_parameters_add(rows, "fc.weight", DF_LINEAR_WEIGHT, (df_shape){ OUT, 1, 1, H * W * IN }, normal, DF_RNG_INIT);
    char path[512];
    struct df_error err;
    df_real map[H * W * IN];
    df_tensor *y;

    (void)state;
    snprintf(path, sizeof path, "%s/flat.safetensors", df_test_folder());
    df_parameters_build(flat, device, 1, true);
    df_parameters_build(back, device, 2, false);
    df_parameters_build(rows, device, 3, false);
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = flat }, &err));
    assert_ok(df_checkpoint_read(path, back, false, false, &err));
    assert_ok(df_checkpoint_read(path, rows, false, false, &err));
    assert_memory_equal(a->value, b->value, N * sizeof(df_real));
    for (size_t o = 0; o < OUT; o++)
        for (size_t p = 0; p < H * W; p++)
            for (size_t k = 0; k < IN; k++)
                assert_true(c->value[(o * IN + k) * H * W + p] == a->value[(o * H * W + p) * IN + k]);
    df_test_fill(map, H * W * IN, 8, 1);
    y = df_linear(tape, df_tensor_from(tape, (df_shape){ 1, H, W, IN }, map), df_parameter_tensor(tape, a), NULL);
    for (size_t o = 0; o < OUT; o++) {
        double sum = 0;

        for (size_t i = 0; i < H * W * IN; i++)
            sum += (double)map[i] * (double)a->value[o * H * W * IN + i];
        assert_close((double)y->data[o], sum, 1e-5, 1e-6);
    }
    df_backward(tape, df_sum(tape, y, 15));
    for (size_t i = 0; i < N; i++)
        assert_true(a->grad[i] == map[i % (H * W * IN)]);
    df_parameters_free(flat);
    df_parameters_free(back);
    df_parameters_free(rows);
    close_tape(tape, device);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_plane), cmocka_unit_test(test_devices), cmocka_unit_test(test_flat_weight) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
