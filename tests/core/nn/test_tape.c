/* The tape: gradients add over several uses, stop at detach and at frozen parameters; slices tile; nothing is recorded when nothing can
 * learn; and a training step takes nothing from the heap after the first one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/ops.h"
#include "core/nn/parameters.h"
#include "tests/support/heap.h"
#include "tests/support/support.h"

static struct df_device *device;
static df_tape *tape;
static const df_shape row = { 1, 1, 1, 3 };

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

static void assert_values(const df_real *device_data, const double *expected, size_t count)
{
    df_real found[64];

    assert_non_null(device_data);
    assert_true(count <= 64);
    df_read(device, found, device_data, count * sizeof *found);
    for (size_t i = 0; i < count; i++)
        assert_close((double)found[i], expected[i], 1e-6, 0);
}

/* loss = sum(x) + sum(x w) + sum(x^2): 1 + w + 2 x, by a view, a copy and the tensor itself */
static void test_uses_add(void **state)
{
    const df_real x[] = { 1, 2, -3 }, w[] = { 10, 20, 30 };

    (void)state;
    df_tape_reset(tape);
    df_tensor *leaf = df_leaf(tape, row, x), *view = df_reshape(tape, leaf, (df_shape){ 3, 1, 1, 1 });
    df_tensor *one = df_sum(tape, view, 15), *two = df_sum(tape, df_mul(tape, leaf, df_tensor_from(tape, row, w)), 15);
    df_tensor *three = df_sum(tape, df_mul(tape, leaf, leaf), 15), *loss = df_add(tape, df_add(tape, one, two), three);

    assert_close(df_item(tape, loss), 0 + (10 + 40 - 90) + (1 + 4 + 9), 1e-6, 0);
    df_backward(tape, loss);
    assert_values(leaf->grad, (const double[]){ 1 + 10 + 2, 1 + 20 + 4, 1 + 30 - 6 }, 3);
    df_backward(tape, loss); /* once more: leaves add, what lies between starts anew */
    assert_values(leaf->grad, (const double[]){ 26, 50, 50 }, 3);
}

/* A buffer handed from an op's output to its input must not be what a sibling still adds to. */
static void test_passed_gradients(void **state)
{
    const df_real x[] = { 1, 2, 3 }, y[] = { 5, 7, 11 };

    (void)state;
    df_tape_reset(tape);
    df_tensor *a = df_leaf(tape, row, x), *b = df_leaf(tape, row, y);
    df_tensor *sum = df_add(tape, a, b), *both = df_add(tape, sum, a);               /* 2a + b */
    df_tensor *loss = df_sum(tape, df_mul(tape, both, df_sub(tape, sum, both)), 15); /* (2a + b)(-a) = -2a^2 - ab */

    df_backward(tape, loss);
    assert_values(a->grad, (const double[]){ -4 - 5, -8 - 7, -12 - 11 }, 3);
    assert_values(b->grad, (const double[]){ -1, -2, -3 }, 3);
}

/* Thirty layers have thirty gradients, of which never more than three are there: dy, dx, and a branch's that waits. What a backward function
 * borrows, as the masked gradient of a convolution with ReLU, serves again, too. */
static void test_gradients_share_memory(void **state)
{
    enum { LAYERS = 30, COUNT = 2 * 8 * 8 * 16 };
    const df_shape shape = { 2, 8, 8, 16 };
    const df_real one[1] = { 1 }, w[16 * 16] = { 1 };
    static df_real x[COUNT];
    size_t before;

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        x[i] = (df_real)i;
    df_tape_reset(tape);
    df_tensor *leaf = df_leaf(tape, shape, x), *y = leaf, *skip = leaf, *scale = df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, one);
    df_tensor *weight = df_leaf(tape, (df_shape){ 16, 1, 1, 16 }, w); /* channel 0 out of channel 0 */

    for (int i = 0; i < LAYERS / 3; i++) {
        y = df_mul(tape, df_scale(tape, y, 1), scale);
        y = df_add(tape, y, skip);
        skip = y;
    }
    y = df_conv2d(tape, df_conv2d(tape, y, weight, NULL, (struct df_conv_options){ 1, 1, 0, 0, true }), weight, NULL,
                  (struct df_conv_options){ 1, 1, 0, 0, true });
    df_tensor *loss = df_sum(tape, y, 15);

    before = df_tape_used(tape);
    df_backward(tape, loss);
    assert_true(df_tape_used(tape) - before < 5 * COUNT * sizeof(df_real)); /* with the leaf's own */
    df_backward(tape, loss);                                                /* the leaf keeps what it was passed */
    before = df_tape_used(tape);
    df_backward(tape, loss); /* all of it is there */
    assert_int_equal(df_tape_used(tape), before);

    df_tensor *const stops[] = { skip };

    df_backward_to(tape, loss, stops, 1);
    before = df_tape_used(tape);
    df_backward_to(tape, loss, stops, 1); /* what stands where a walk stops serves the next one */
    assert_int_equal(df_tape_used(tape), before);

    df_real *grad = df_tape_host(tape, sizeof x);

    df_read(device, grad, leaf->grad, sizeof x);
    for (size_t i = 1; i < COUNT; i++)
        assert_close((double)grad[i], i % 16 ? 0 : 3 << (LAYERS / 3), 0, 0); /* each add doubles; three passes */
}

static void test_detach_stops(void **state)
{
    const df_real x[] = { 1, 2, -3 };

    (void)state;
    df_tape_reset(tape);
    df_tensor *leaf = df_leaf(tape, row, x), *stopped = df_detach(tape, leaf);

    assert_ptr_equal(stopped->data, leaf->data);
    assert_false(df_exp_op(tape, stopped)->requires_grad);
    df_backward(tape, df_sum(tape, df_mul(tape, leaf, stopped), 15)); /* x without its own factor: not 2 x */
    assert_values(leaf->grad, (const double[]){ 1, 2, -3 }, 3);
    assert_null(stopped->grad);
}

static void test_slices_tile(void **state)
{
    df_real x[24], w[24];
    double expected[24];

    (void)state;
    df_test_fill(x, 24, 1, 1);
    df_test_fill(w, 24, 2, 1);
    for (int axis = 0; axis < 4; axis++) {
        const df_shape s = { 2, 2, 3, 2 };
        const size_t size[4] = { s.n, s.h, s.w, s.c };

        df_tape_reset(tape);
        df_tensor *leaf = df_leaf(tape, s, x);
        df_tensor *parts[] = { df_slice(tape, leaf, axis, 0, 1), df_slice(tape, leaf, axis, 1, size[axis]) };
        df_tensor *whole = df_concat(tape, parts, 2, axis);

        for (size_t i = 0; i < 24; i++)
            expected[i] = (double)x[i];
        assert_true(df_same_shape(whole->shape, s));
        assert_values(whole->data, expected, 24);
        df_backward(tape, df_sum(tape, df_mul(tape, whole, df_tensor_from(tape, s, w)), 15));
        for (size_t i = 0; i < 24; i++)
            expected[i] = (double)w[i];
        assert_values(leaf->grad, expected, 24);
    }
}

static void test_not_recording(void **state)
{
    const df_real x[] = { 1, 2, -3 };
    df_tape *silent = df_tape_new(device, false);

    (void)state;
    assert_false(df_tape_recording(silent));
    assert_false(df_relu(silent, df_leaf(silent, row, x))->requires_grad);
    df_tape_free(silent);

    df_tape_reset(tape); /* constants only: nothing to differentiate, nothing happens */
    df_tensor *constant = df_tensor_from(tape, row, x), *loss = df_sum(tape, constant, 15);

    df_backward(tape, loss);
    assert_null(loss->grad);
    assert_null(constant->grad);
}

static void test_parameters_on_the_tape(void **state)
{
    struct df_parameters *parameters = df_parameters_new();
    const struct df_initialiser two = { DF_INIT_CONSTANT, 2 };
    struct df_parameter *w = df_parameters_add(parameters, "w", DF_VECTOR, row, two, DF_RNG_INIT);
    struct df_parameter *frozen = df_parameters_add(parameters, "frozen", DF_VECTOR, row, two, DF_RNG_INIT);

    (void)state;
    frozen->trainable = false;
    df_parameters_build(parameters, device, 1, true);
    df_tape_reset(tape);
    df_tensor *t = df_parameter_tensor(tape, w);

    assert_ptr_equal(t, df_parameter_tensor(tape, w));
    assert_ptr_equal(t->grad, w->grad);
    assert_false(df_parameter_tensor(tape, frozen)->requires_grad);
    df_tensor *product = df_mul(tape, df_mul(tape, t, df_parameter_tensor(tape, w)), df_parameter_tensor(tape, frozen)); /* 2 w^2 */
    df_tensor *loss = df_sum(tape, product, 15);

    df_backward(tape, loss);
    assert_values(w->grad, (const double[]){ 8, 8, 8 }, 3);
    df_tape_reset(tape); /* another step before zero_grad: adds */
    df_backward(tape, df_sum(tape, df_parameter_tensor(tape, w), 15));
    assert_values(w->grad, (const double[]){ 9, 9, 9 }, 3);
    df_parameters_zero_grad(parameters);
    assert_values(w->grad, (const double[]){ 0, 0, 0 }, 3);
    df_parameters_free(parameters);
}

/* The table of parameters grows while it is asked. */
static void test_many_parameters(void **state)
{
    struct df_parameters *parameters = df_parameters_new();
    df_tensor *first[200];

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        char name[] = "p000";

        name[1] = (char)('0' + i / 100);
        name[2] = (char)('0' + i / 10 % 10);
        name[3] = (char)('0' + i % 10);
        df_parameters_add(parameters, name, DF_VECTOR, row, (struct df_initialiser){ DF_INIT_CONSTANT, (double)i }, DF_RNG_INIT);
    }
    df_parameters_build(parameters, device, 1, true);
    df_tape_reset(tape);
    for (size_t i = 0; i < 200; i++)
        first[i] = df_parameter_tensor(tape, parameters->items[i]);
    for (size_t i = 0; i < 200; i++) {
        assert_ptr_equal(df_parameter_tensor(tape, parameters->items[i]), first[i]);
        assert_ptr_equal(first[i]->parameter, parameters->items[i]);
    }
    df_parameters_free(parameters);
}

struct net {
    struct df_parameters *parameters;
    struct df_parameter *conv, *gamma, *beta, *mean, *var, *head, *bias;
};

static struct net net_new(void)
{
    struct net net = { .parameters = df_parameters_new() };
    struct df_parameters *p = net.parameters;
    const struct df_initialiser he = { DF_INIT_KAIMING_FAN_OUT, 0 }, one = { DF_INIT_ONE, 0 }, zero = { DF_INIT_ZERO, 0 };

    net.conv = df_parameters_add(p, "conv", DF_CONV_WEIGHT, (df_shape){ 8, 3, 3, 3 }, he, DF_RNG_INIT);
    net.gamma = df_parameters_add(p, "gamma", DF_VECTOR, (df_shape){ 1, 1, 1, 8 }, one, DF_RNG_INIT);
    net.beta = df_parameters_add(p, "beta", DF_VECTOR, (df_shape){ 1, 1, 1, 8 }, zero, DF_RNG_INIT);
    net.mean = df_parameters_add_buffer(p, "mean", 8, 0);
    net.var = df_parameters_add_buffer(p, "var", 8, 1);
    net.head = df_parameters_add(p, "head", DF_CONV_WEIGHT, (df_shape){ 5, 1, 1, 8 }, he, DF_RNG_INIT);
    net.bias = df_parameters_add(p, "bias", DF_VECTOR, (df_shape){ 1, 1, 1, 5 }, zero, DF_RNG_INIT);
    df_parameters_build(p, device, 3, true);
    return net;
}

static double net_step(const struct net *net, const df_real *image)
{
    const struct df_conv_options three = { .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1 };
    const struct df_conv_options one = { .stride_h = 1, .stride_w = 1, .relu = true };

    df_tape_reset(tape);
    df_parameters_zero_grad(net->parameters);
    df_tensor *x = df_tensor_from(tape, (df_shape){ 2, 16, 12, 3 }, image);
    df_tensor *y = df_conv2d(tape, x, df_parameter_tensor(tape, net->conv), NULL, three);

    y = df_batch_norm(tape, y, df_parameter_tensor(tape, net->gamma), df_parameter_tensor(tape, net->beta),
                      (struct df_norm_options){ net->mean->value, net->var->value, 1e-5, 0.1, DF_NORM_TRAIN, true });
    y = df_conv2d(tape, y, df_parameter_tensor(tape, net->head), df_parameter_tensor(tape, net->bias), one);
    y = df_add(tape, df_max_pool(tape, y, 2, 2, 0), df_adaptive_avg_pool(tape, y, 4, 3));
    df_tensor *loss = df_mean(tape, df_mul(tape, y, y), 15);

    df_backward(tape, loss);
    df_parameters_touch(net->parameters);
    return df_item(tape, loss);
}

static void test_steps_take_nothing(void **state)
{
    struct net net = net_new();
    df_real image[2 * 16 * 12 * 3], grad[2][16];
    double loss[5];

    (void)state;
    df_test_fill(image, sizeof image / sizeof image[0], 9, 1);
    loss[0] = net_step(&net, image);
    df_read(device, grad[0], net.bias->grad, 5 * sizeof(df_real));
    const size_t bytes = df_tape_bytes(tape);
#if COUNT_HEAP
    size_t library[5] = { 0 };

    assert_true(heap_ours > 0); /* the count works */
#endif
    for (size_t step = 1; step < 5; step++) {
#if COUNT_HEAP
        const size_t ours_before = heap_ours, others_before = heap_others;
#endif
        loss[step] = net_step(&net, image);
#if COUNT_HEAP
        assert_int_equal(heap_ours - ours_before, 0);
        library[step] = heap_others - others_before;
        if (strcmp(df_test_device(), "cpu") == 0) /* what CUDA's libraries keep is theirs to know */
            assert_int_equal(library[step], library[1]);
#endif
        assert_int_equal(df_tape_bytes(tape), bytes);
        assert_true(loss[step] == loss[0]); /* the same step: the same bits */
    }
    df_read(device, grad[1], net.bias->grad, 5 * sizeof(df_real));
    assert_memory_equal(grad[0], grad[1], 5 * sizeof(df_real));
    assert_true(loss[0] > 0 && isfinite(loss[0]));
    df_parameters_free(net.parameters);
#if !COUNT_HEAP
    print_message("heap calls are not counted in this build\n");
#endif
}

/* loss = sum(y w), y = 2 x: y is where it stops, what lies before it is not reached. */
static void test_stops_at_tensors(void **state)
{
    const df_real x[] = { 1, 2, -3 }, w[] = { 10, 20, 30 };

    (void)state;
    df_tape_reset(tape);
    df_tensor *leaf = df_leaf(tape, row, x), *y = df_scale(tape, leaf, 2), *z = df_scale(tape, leaf, 3);
    df_tensor *const stops[] = { y, z };
    df_tensor *weight = df_leaf(tape, row, w), *loss = df_sum(tape, df_mul(tape, y, weight), 15);

    df_backward_to(tape, loss, stops, 2);
    assert_values(y->grad, (const double[]){ 10, 20, 30 }, 3);
    assert_values(weight->grad, (const double[]){ 2, 4, -6 }, 3); /* met on the way */
    assert_null(z->grad);
    assert_null(leaf->grad);
    df_backward_to(tape, df_sum(tape, df_tensor_from(tape, row, w), 15), stops, 2); /* a loss without gradient: nothing arrives */
    assert_null(y->grad);
    df_backward(tape, loss); /* the whole way, from anew */
    assert_values(leaf->grad, (const double[]){ 20, 40, 60 }, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses_add),
        cmocka_unit_test(test_passed_gradients),
        cmocka_unit_test(test_gradients_share_memory),
        cmocka_unit_test(test_detach_stops),
        cmocka_unit_test(test_slices_tile),
        cmocka_unit_test(test_not_recording),
        cmocka_unit_test(test_parameters_on_the_tape),
        cmocka_unit_test(test_many_parameters),
        cmocka_unit_test(test_stops_at_tensors),
        cmocka_unit_test(test_steps_take_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
