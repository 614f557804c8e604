/* Losses in float, on every device of this build: against the formulas in double, finite for huge logits, the same bits every time. */
#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/losses.h"
#include "core/nn/ops.h"

#define ROWS    701
#define CLASSES 3
static const df_shape shape = { 1, 1, ROWS, CLASSES };
static float x[ROWS * CLASSES], t[ROWS * CLASSES];
static int32_t label[ROWS];
static uint8_t use[ROWS];

static int setup(void **state)
{
    (void)state;
    df_test_fill(x, ROWS * CLASSES, 1, 4);
    df_test_fill(t, ROWS * CLASSES, 2, 4);
    for (size_t r = 0; r < ROWS; r++) {
        label[r] = r % 9 == 0 ? (int32_t)(r % CLASSES) : r % 11 == 3 ? -2 : -1;
        use[r] = r % 4 != 1;
    }
    return 0;
}

static df_tensor *labels_of(df_tape *tape, const int32_t *of, size_t rows)
{
    df_real *values = df_tape_host(tape, rows * sizeof *values);

    for (size_t r = 0; r < rows; r++)
        values[r] = (df_real)of[r];
    return df_tensor_from(tape, (df_shape){ rows, 1, 1, 1 }, values);
}

enum loss {
    FOCAL,
    FOCAL_GAMMA,
    BCE,
    CROSS_ENTROPY,
    SOFTMAX_KL,
    SOFT_CROSS_ENTROPY,
    PEARSON_ROWS,
    PEARSON_COLUMNS,
    BOUNDED_L2,
    CELLS_KL,
    SIGMOID_KL,
    QUALITY_FOCAL,
    LOSSES,
    SMOOTH_L1 = LOSSES,
    L1,
    GIOU,
    MASKED_MSE,
    MASKED_MSE_PER_IMAGE,
    SQUARED_ERROR,
    ALL_LOSSES
};
static df_tensor *loss_of(enum loss loss, df_tape *tape, df_tensor *z, const float *teacher)
{
    const df_tensor *q = df_tensor_from(tape, shape, teacher);

    switch (loss) {
    case FOCAL:
        return df_sigmoid_focal(tape, z, labels_of(tape, label, ROWS), 0.25, 2, 1);
    case FOCAL_GAMMA:
        return df_sigmoid_focal(tape, z, labels_of(tape, label, ROWS), 0.25, 0.5, 1);
    case BCE:
        return df_bce_logits(tape, z, df_sigmoid(tape, df_tensor_from(tape, shape, teacher)), NULL, 1);
    case CROSS_ENTROPY:
        return df_cross_entropy(tape, z, labels_of(tape, label, ROWS), 1);
    case SOFTMAX_KL:
        return df_softmax_kl(tape, z, q, use, 2, 1);
    case SOFT_CROSS_ENTROPY:
        return df_soft_cross_entropy(tape, z, df_softmax(tape, df_tensor_from(tape, shape, teacher)), 1);
    case PEARSON_ROWS:
        return df_pearson_rows(tape, z, q, use, 1);
    case PEARSON_COLUMNS:
        return df_pearson_columns(tape, z, q, use, 1);
    case BOUNDED_L2:
        return df_bounded_l2(tape, z, df_sigmoid(tape, df_tensor_from(tape, shape, teacher)), df_tape_device_copy(tape, use, ROWS),
                             (struct df_bound){ q, 0.5 }, df_norm(1));
    case CELLS_KL:
        return df_cells_kl(tape, z, q, 2, 1);
    case QUALITY_FOCAL:
        return df_quality_focal(tape, z, q, df_tape_device_copy(tape, use, ROWS), 1.5, df_norm(1));
    default:
        return df_sigmoid_kl(tape, z, q, use, 2, 1);
    }
}

/* d/dz and value of one element or row, in double with libm */
static double softplus(double z) { return fmax(z, 0) + log1p(exp(-fabs(z))); }
static double element(enum loss loss, size_t i, double *slope)
{
    const double z = (double)x[i], s = 1 / (1 + exp(-z)), q1 = 1 / (1 + exp(-(double)t[i]));
    const bool at_label = label[i / CLASSES] == (int32_t)(i % CLASSES);
    const double pt = at_label ? s : 1 - s, sign = at_label ? -1 : 1, gamma = loss == FOCAL ? 2 : 0.5;
    const double weight = label[i / CLASSES] == -2 ? 0 : at_label ? 0.25 : 0.75;
    const double p = 1 / (1 + exp(-z / 2)), q = 1 / (1 + exp(-(double)t[i] / 2));

    if (loss == BCE) {
        *slope = s - q1;
        return softplus(z) - z * q1;
    }
    if (loss == QUALITY_FOCAL) {
        const double e = s - q1, bce = softplus(z) - z * q1, power = use[i / CLASSES] ? copysign(sqrt(fabs(e)), e) : 0;

        *slope = power * (e * e + 1.5 * bce * s * (1 - s));
        return power * e * bce;
    }
    if (loss == SIGMOID_KL) {
        *slope = use[i / CLASSES] ? 2 * (p - q) : 0;
        return use[i / CLASSES] ? 4 * (q * log(q / p) + (1 - q) * log((1 - q) / (1 - p))) : 0;
    }
    *slope = weight * sign * pow(1 - pt, gamma) * (gamma * pt * -log(pt) + 1 - pt);
    return weight * pow(1 - pt, gamma) * -log(pt);
}

static void check_device(const char *name)
{
    struct df_device *device;
    struct df_error err;
    float grad[ROWS * CLASSES];

    assert_ok(df_device_open(name, &device, &err));
    df_tape *tape = df_tape_new(device, true);

    for (enum loss loss = FOCAL; loss < LOSSES; loss++) {
        double sum = 0, slope;

        if (loss > BCE && loss != SIGMOID_KL)
            continue; /* computed in double by the kernel itself: checked in the double build */
        df_tape_reset(tape);
        df_tensor *z = df_leaf(tape, shape, x), *y = loss_of(loss, tape, z, t);
        df_backward(tape, y);
        df_read(device, grad, z->grad, sizeof grad);
        for (size_t i = 0; i < ROWS * CLASSES; i++) {
            sum += element(loss, i, &slope);
            assert_close((double)grad[i], slope, 2e-6, 2e-7); /* a handful of float roundings */
        }
        assert_close(df_item(tape, y), sum, 1e-6, 0);
    }
    df_tape_free(tape);
    df_device_close(device);
}

static void test_precision(void **state)
{
    (void)state;
    check_device("ref");
    check_device(df_test_device());
}

static void test_finite_and_repeatable(void **state)
{
    static const float extreme[] = { 1e4f, -1e4f, 0, 1e-30f, -1e-30f, 88, -88, 104, -104, 17 };
    struct df_device *device;
    struct df_error err;
    float z[ROWS * CLASSES], q[ROWS * CLASSES], first[ROWS * CLASSES], grad[ROWS * CLASSES];

    (void)state;
    for (size_t i = 0; i < ROWS * CLASSES; i++) {
        z[i] = extreme[i % 10];
        q[i] = extreme[(i / 10 + i) % 10];
    }
    assert_ok(df_device_open(df_test_device(), &device, &err));
    df_tape *tape = df_tape_new(device, true);
    for (enum loss loss = FOCAL; loss < LOSSES; loss++) {
        double value = 0;

        for (int again = 0; again < 2; again++) {
            df_tape_reset(tape);
            df_tensor *leaf = df_leaf(tape, shape, z), *y = loss_of(loss, tape, leaf, q);
            df_backward(tape, y);
            df_read(device, grad, leaf->grad, sizeof grad);
            for (size_t i = 0; i < ROWS * CLASSES; i++)
                assert_true(isfinite(grad[i]));
            assert_true(isfinite(df_item(tape, y)) && df_item(tape, y) >= 0);
            if (again) {
                assert_memory_equal(first, grad, sizeof first);
                assert_true(value == df_item(tape, y));
            }
            memcpy(first, grad, sizeof first);
            value = df_item(tape, y);
        }
    }
    df_tape_free(tape);
    df_device_close(device);
}

/* Every loss, masked_mse and smooth_l1 too: value, then the gradients of x, on one device. */
static double loss_on(const char *name, size_t threads, enum loss loss, float *grad)
{
    struct df_device *device = df_test_open(name, threads);
    df_tape *tape = df_tape_new(device, true);
    const bool boxes = loss == SMOOTH_L1 || loss == L1 || loss == GIOU, masked = loss >= MASKED_MSE;
    const df_shape box_shape = { 2, 1, 256, 4 }, map_shape = { 3, 10, 7, 10 }; /* 2048 and 2100 of 2103 values */
    df_tensor *leaf = df_leaf(tape, boxes ? box_shape : masked ? map_shape : shape, x), *y;

    if (loss == GIOU) {
        static const float weights[4] = { 10, 10, 5, 5 };
        struct df_box anchor[256];

        for (size_t a = 0; a < 256; a++)
            anchor[a] = (struct df_box){ (float)(a % 16), (float)(a / 16), (float)(a % 16 + 3 + a % 5), (float)(a / 16 + 7) };
        y = df_giou(tape, leaf, df_tensor_from(tape, leaf->shape, t), df_tensor_from(tape, (df_shape){ 2, 1, 256, 1 }, t + 5),
                    (struct df_deltas_of){ anchor, weights }, df_norm(7));
    } else if (boxes) {
        y = df_smooth_l1(tape, leaf, df_tensor_from(tape, leaf->shape, t), use, loss == L1 ? 0 : 0.5, 7);
    } else if (masked) {
        float mask[3 * 10 * 7];

        for (size_t i = 0; i < 3 * 10 * 7; i++)
            mask[i] = i < 70 || i % 3 == 0 ? 0 : (float)(i % 5) / 4; /* the first image's is empty */
        const df_tensor *taught = df_tensor_from(tape, map_shape, t), *cells = df_tensor_from(tape, (df_shape){ 3, 10, 7, 1 }, mask);

        y = loss == SQUARED_ERROR ? df_squared_error(tape, leaf, taught, cells, df_tensor_from(tape, (df_shape){ 3, 1, 1, 10 }, t + 30), 7)
                                  : df_masked_mse(tape, leaf, taught, cells, 0.75, loss == MASKED_MSE_PER_IMAGE);
    } else {
        y = loss_of(loss, tape, leaf, t);
    }
    df_backward(tape, df_scale(tape, y, 3));
    df_read(device, grad, leaf->grad, df_count(leaf->shape) * sizeof *grad);
    const double value = df_item(tape, y);

    df_tape_free(tape);
    df_device_close(device);
    return value;
}

static void test_against_ref(void **state)
{
    (void)state;
    for (enum loss loss = FOCAL; loss < ALL_LOSSES; loss++) {
        float grad[ROWS * CLASSES] = { 0 }, shared[ROWS * CLASSES] = { 0 }, expected[ROWS * CLASSES] = { 0 };
        const double value = loss_on(df_test_device(), 1, loss, grad);

        assert_true(loss_on(df_test_device(), 3, loss, shared) == value); /* threads change no bit */
        assert_memory_equal(shared, grad, sizeof grad);
        assert_close(value, loss_on("ref", 1, loss, expected), 1e-6, 0); /* sums in double, in another order: one float rounding */
        for (size_t i = 0; i < ROWS * CLASSES; i++)
            assert_close((double)grad[i], (double)expected[i], 1e-6, 1e-7);
    }
}

/* What the device counted divides as a number that the host knows: value and gradient, to the last bit. Nothing counted: as one. */
static void test_counted(void **state)
{
    static const double counts[][2] = { { 3, 4 }, { 0, 0 }, { 0, 1 } };
    struct df_device *device = df_test_open(df_test_device(), 1);
    df_tape *tape = df_tape_new(device, true);
    const df_shape boxes = { 2, 1, 256, 4 };

    (void)state;
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        const double sum = counts[k][0] + counts[k][1], norm = 2 * (sum > 1 ? sum : 1);
        double *count = df_tape_device_memory(tape, sizeof counts[k]);
        uint8_t *there = df_tape_device_memory(tape, 512);
        df_tensor *leaf[8], *y[8];
        float grad[2][ROWS * CLASSES];

        df_write(device, count, counts[k], sizeof counts[k]);
        df_write(device, there, use, 512);
        const struct df_counted_norm by = df_loss_norm_counted(tape, count, 2), twice = { 2 * by.factor, by.count, by.counts };

        for (size_t i = 0; i < 8; i++)
            leaf[i] = df_leaf(tape, i < 4 || i > 5 ? shape : boxes, x);
        const df_tensor *labels = labels_of(tape, label, ROWS), *soft = df_tensor_from(tape, shape, t),
                        *to = df_tensor_from(tape, boxes, t);

        y[0] = df_sigmoid_focal(tape, leaf[0], labels, 0.25, 2, norm);
        y[1] = df_sigmoid_focal_counted(tape, leaf[1], labels, 0.25, 2, twice);
        y[2] = df_bce_logits(tape, leaf[2], soft, NULL, norm);
        y[3] = df_bce_logits_counted(tape, leaf[3], soft, NULL, twice);
        y[4] = df_smooth_l1(tape, leaf[4], to, use, 0.5, norm);
        y[5] = df_smooth_l1_counted(tape, leaf[5], to, there, 0.5, twice);
        y[6] = df_sigmoid_kl(tape, leaf[6], soft, use, 2, norm);
        y[7] = df_sigmoid_kl_counted(tape, leaf[7], soft, df_tape_device_copy(tape, use, ROWS), 2, twice);
        for (size_t i = 0; i < 8; i++) {
            df_backward(tape, df_scale(tape, y[i], 3));
            df_read(device, grad[i % 2], leaf[i]->grad, df_count(leaf[i]->shape) * sizeof **grad);
            if (i % 2 == 0)
                continue;
            assert_true(df_item(tape, y[i]) == df_item(tape, y[i - 1]) && df_item(tape, y[i]) != 0);
            assert_memory_equal(grad[0], grad[1], df_count(leaf[i]->shape) * sizeof **grad);
        }
        df_tape_reset(tape);
    }
    df_tape_free(tape);
    df_device_close(device);
}

/* A tape that does not record computes the same values. */
static void test_without_gradient(void **state)
{
    struct df_device *device;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open(df_test_device(), &device, &err));
    df_tape *tape = df_tape_new(device, true), *still = df_tape_new(device, false);
    for (enum loss loss = FOCAL; loss < LOSSES; loss++) {
        df_tensor *frozen = df_tensor_from(tape, shape, x);

        assert_true(df_item(tape, loss_of(loss, tape, df_leaf(tape, shape, x), t)) ==
                    df_item(still, loss_of(loss, still, df_leaf(still, shape, x), t)));
        assert_false(loss_of(loss, tape, frozen, t)->requires_grad);
    }
    df_tape_free(tape);
    df_tape_free(still);
    df_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precision), cmocka_unit_test(test_against_ref),      cmocka_unit_test(test_finite_and_repeatable),
        cmocka_unit_test(test_counted),   cmocka_unit_test(test_without_gradient),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
