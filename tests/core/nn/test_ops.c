/* Every op in float on the tested device against `ref`, values and gradients, and with threads against itself without; reductions of shapes that need many partials against plain sums;
 * what an op does with NaN and with ties. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/nn/op_cases.h"
#include "tests/support/support.h"

enum { MOST = 6000 };

struct outcome {
    size_t count[6];
    float *value[6]; /* the output, then the gradients of the inputs */
};

static struct outcome run(const char *device_name, const struct op_case *op, size_t threads)
{
    struct df_device *device = df_test_open(device_name, threads);
    struct outcome outcome = { .count = { 0 } };
    float buffer[MOST];
    df_tensor *in[5];
    df_tape *tape = df_tape_new(device, true);

    for (size_t k = 0; k < op->inputs; k++) {
        const size_t count = df_count(op->shape[k]);

        df_test_fill(buffer, count, 11 + k, 1);
        for (size_t i = 0; op->positive && i < count; i++)
            buffer[i] = 0.5f + fabsf(buffer[i]);
        in[k] = (op->constant[k] ? df_tensor_from : df_leaf)(tape, op->shape[k], buffer);
    }
    df_tensor *out = op->build(tape, in, op);

    assert_true(df_count(out->shape) <= MOST);
    df_test_fill(buffer, df_count(out->shape), 77, 1);
    df_backward(tape, df_sum(tape, df_mul(tape, out, df_tensor_from(tape, out->shape, buffer)), 15));
    for (size_t k = 0; k <= op->inputs; k++) {
        const df_tensor *t = k ? in[k - 1] : out;
        const df_real *from = k ? t->grad : t->data;

        if (!from)
            continue;
        outcome.count[k] = df_count(t->shape);
        outcome.value[k] = df_malloc(outcome.count[k] * sizeof(float));
        df_read(device, outcome.value[k], from, outcome.count[k] * sizeof(float));
    }
    df_tape_free(tape);
    df_device_close(device);
    return outcome;
}

static void test_against_ref(void **state)
{
    (void)state;
    for (size_t i = 0; i < OP_CASES; i++) {
        struct outcome tested = run(df_test_device(), &op_cases[i], 1), ref = run("ref", &op_cases[i], 1);

        for (size_t k = 0; k < 6; k++) {
            double difference = 0, size = 0;

            assert_int_equal(tested.count[k], ref.count[k]);
            for (size_t j = 0; j < tested.count[k]; j++) {
                difference += pow((double)tested.value[k][j] - (double)ref.value[k][j], 2);
                size += pow((double)ref.value[k][j], 2);
            }
            /* sums of at most a few hundred floats: some units of 6e-8 */
            if (!(sqrt(difference) <= 1e-6 * (1e-3 + sqrt(size))))
                fail_msg("%s, tensor %zu: the device and ref differ by %g of %g", op_cases[i].name, k, sqrt(difference), sqrt(size));
            free(tested.value[k]);
            free(ref.value[k]);
        }
    }
}

static void test_threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < OP_CASES; i++)
        for (size_t threads = 2; threads <= 4; threads++) {
            struct outcome alone = run(df_test_device(), &op_cases[i], 1), shared = run(df_test_device(), &op_cases[i], threads);

            for (size_t k = 0; k < 6; k++) {
                assert_int_equal(shared.count[k], alone.count[k]);
                if (alone.count[k] && memcmp(shared.value[k], alone.value[k], alone.count[k] * sizeof(float)) != 0)
                    fail_msg("%s, tensor %zu: other bits with %zu threads", op_cases[i].name, k, threads);
                free(shared.value[k]);
                free(alone.value[k]);
            }
        }
}

static struct df_device *device;
static df_tape *tape;

static int setup(void **state)
{
    (void)state;
    if (df_device_open(df_test_device(), &device, NULL) != DF_OK)
        return -1;
    tape = df_tape_new(device, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    df_tape_free(tape);
    df_device_close(device);
    return 0;
}

static void read_all(const df_tensor *t, float *to) { df_read(device, to, t->data, df_count(t->shape) * sizeof *to); }

/* Sums and maxima over every set of axes, by the definition. */
static void check_reductions(df_shape s)
{
    const size_t count = df_count(s), size[4] = { s.n, s.h, s.w, s.c };
    float *x = df_malloc(count * sizeof *x), *found = df_malloc(count * sizeof *found);
    double *sum = df_malloc(count * sizeof *sum), *max = df_malloc(count * sizeof *max);

    df_test_fill(x, count, 21, 1);
    for (unsigned axes = 0; axes < 16; axes++) {
        df_tape_reset(tape);
        df_tensor *in = df_tensor_from(tape, s, x);
        const df_tensor *total = df_sum(tape, in, axes), *mean = df_mean(tape, in, axes), *largest = df_max(tape, in, axes);
        const size_t outputs = df_count(total->shape);

        for (size_t i = 0; i < count; i++) {
            sum[i] = 0;
            max[i] = -INFINITY;
        }
        for (size_t i = 0; i < count; i++) {
            size_t at = 0, rest = i, scale = 1;

            for (int axis = 3; axis >= 0; axis--) {
                if (!(axes >> axis & 1)) {
                    at += rest % size[axis] * scale;
                    scale *= size[axis];
                }
                rest /= size[axis];
            }
            sum[at] += (double)x[i];
            max[at] = fmax(max[at], (double)x[i]);
        }
        read_all(total, found);
        for (size_t i = 0; i < outputs; i++) /* both in double, then rounded to float once */
            assert_close((double)found[i], sum[i], 1e-7, 1e-12);
        read_all(mean, found);
        for (size_t i = 0; i < outputs; i++)
            assert_close((double)found[i], sum[i] * (double)outputs / (double)count, 1e-7, 1e-12);
        read_all(largest, found);
        for (size_t i = 0; i < outputs; i++)
            assert_true((double)found[i] == max[i]);
    }
    free(x);
    free(found);
    free(sum);
    free(max);
}

static void test_reductions(void **state)
{
    (void)state;
    check_reductions((df_shape){ 2, 71, 3, 5 });
    check_reductions((df_shape){ 3, 2, 90, 1 });
    check_reductions((df_shape){ 1, 2, 1, 9001 });
    check_reductions((df_shape){ 70, 2, 67, 3 });
    check_reductions((df_shape){ 1, 1, 1, 1 });
}

static void test_ties_and_nan(void **state)
{
    const float values[] = { 1, 7, 7, NAN, 2, -3 };
    float found[6];

    (void)state;
    df_tape_reset(tape);
    df_tensor *ties = df_leaf(tape, (df_shape){ 1, 1, 1, 3 }, values);

    df_backward(tape, df_max(tape, ties, 8));
    df_read(device, found, ties->grad, 3 * sizeof *found);
    assert_true(found[0] == 0 && found[1] == 1 && found[2] == 0); /* the first largest */

    df_tensor *x = df_tensor_from(tape, (df_shape){ 1, 2, 1, 3 }, values);

    read_all(df_relu(tape, x), found);
    assert_true(isnan(found[3]) && found[4] == 2 && found[5] == 0);
    read_all(df_max(tape, x, 10), found);
    assert_true(isnan(found[0]) && found[1] == 7 && found[2] == 7);
}

/* A constant channel has no spread: its output is 0 and its gradient finite. */
static void test_standardise_constant(void **state)
{
    const float values[] = { 3, 1, 3, 2, 3, 6 };
    float found[6];

    (void)state;
    df_tape_reset(tape);
    df_tensor *x = df_leaf(tape, (df_shape){ 1, 3, 1, 2 }, values);
    df_tensor *y = df_standardise(tape, x, 1e-6);

    read_all(y, found);
    /* channel 1: mean 3, unbiased variance (4 + 1 + 9) / 2 = 7 */
    for (size_t i = 0; i < 6; i++)
        assert_close((double)found[i], i % 2 ? ((double)values[i] - 3) / (sqrt(7) + 1e-6) : 0, 1e-6, 0);
    df_backward(tape, df_sum(tape, df_mul(tape, y, df_tensor_from(tape, y->shape, values)), 15));
    df_read(device, found, x->grad, sizeof found);
    for (size_t i = 0; i < 6; i++)
        assert_true(isfinite(found[i]));
}

/* Weights that are no parameter: new values at an old address must not meet what the device kept of the old ones. */
static void test_weights_that_change(void **state)
{
    const float x[] = { 1, 2, 3 };
    float found;

    (void)state;
    for (int step = 1; step < 4; step++) {
        const float w[] = { (float)step, 10, 0 };

        df_tape_reset(tape);
        df_tensor *image = df_tensor_from(tape, (df_shape){ 1, 1, 1, 3 }, x), *weight = df_tensor_from(tape, (df_shape){ 1, 1, 1, 3 }, w);

        read_all(df_conv2d(tape, image, weight, NULL, (struct df_conv_options){ .stride_h = 1, .stride_w = 1 }), &found);
        assert_close((double)found, step + 20, 1e-6, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_ref),         cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_ties_and_nan),        cmocka_unit_test(test_standardise_constant),
        cmocka_unit_test(test_weights_that_change), cmocka_unit_test(test_threads_change_no_bit),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
