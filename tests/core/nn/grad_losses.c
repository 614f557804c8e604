/* Losses in double: values against the formulas written with libm, gradients by signed central differences, special cases. */
#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/losses.h"
#include "core/nn/ops.h"

#define ROWS    90 /* [2,1,45,7]: 630 elements, no multiple of a tile; every row length differs from every other axis */
#define CLASSES 7
static const df_shape shape = { 2, 1, 45, CLASSES };

struct fixture {
    struct df_device *device;
    df_tape *tape;
    df_real x[ROWS * CLASSES], t[ROWS * CLASSES], w[ROWS * CLASSES];
    int32_t label[ROWS];
    uint8_t use[ROWS];
};
static struct fixture f;

static int setup(void **state)
{
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("ref", &f.device, &err));
    f.tape = df_tape_new(f.device, true);
    df_test_fill(f.x, ROWS * CLASSES, 1, 2.5);
    df_test_fill(f.t, ROWS * CLASSES, 2, 2.5);
    df_test_fill(f.w, ROWS * CLASSES, 3, 1);
    for (size_t r = 0; r < ROWS; r++) {
        f.label[r] = r % 5 == 0 ? (int32_t)(r * 3 % CLASSES) : r % 7 == 3 ? -2 : -1;
        f.use[r] = r % 3 != 1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    df_tape_free(f.tape);
    df_device_close(f.device);
    return 0;
}

typedef df_tensor *loss_fn(df_tape *tape, df_tensor *x);

static df_tensor *labels_of(df_tape *tape, const int32_t *label, size_t rows)
{
    df_real *values = df_tape_host(tape, rows * sizeof *values);

    for (size_t r = 0; r < rows; r++)
        values[r] = (df_real)label[r];
    return df_tensor_from(tape, (df_shape){ rows, 1, 1, 1 }, values);
}

static double value_of(loss_fn *loss, df_shape s, const df_real *x)
{
    df_tape_reset(f.tape);
    return df_item(f.tape, loss(f.tape, df_leaf(f.tape, s, x)));
}

/* Gradient of 3 loss(x) + loss(x): a factor from above, and a second gradient that adds to the first. */
static void check_gradient(loss_fn *loss, df_shape s, const df_real *x, double tolerance)
{
    const size_t n = df_count(s);
    df_real *moved = df_malloc(n * sizeof *moved), *grad = df_malloc(n * sizeof *grad);
    const double h = 1e-4; /* rounding 1e-13 / h, truncation h^2 f''' */
    double nonzero = 0;

    df_tape_reset(f.tape);
    df_tensor *leaf = df_leaf(f.tape, s, x);
    df_backward(f.tape, df_add(f.tape, df_scale(f.tape, loss(f.tape, leaf), 3), loss(f.tape, leaf)));
    assert_non_null(leaf->grad);
    df_read(f.device, grad, leaf->grad, n * sizeof *grad);
    memcpy(moved, x, n * sizeof *moved);
    for (size_t i = 0; i < n; i++) {
        moved[i] = x[i] + h;
        const double up = value_of(loss, s, moved);
        moved[i] = x[i] - h;
        const double down = value_of(loss, s, moved);
        moved[i] = x[i];
        assert_close(grad[i], 4 * (up - down) / (2 * h), tolerance, tolerance);
        nonzero += grad[i] != 0;
    }
    assert_true(nonzero > (double)n / 10);
    free(moved);
    free(grad);
}

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

static double focal_naive(double alpha, double gamma)
{
    double sum = 0;

    for (size_t i = 0; i < ROWS * CLASSES; i++) {
        const int32_t label = f.label[i / CLASSES];
        const double p = sigmoid(f.x[i]), pt = label == (int32_t)(i % CLASSES) ? p : 1 - p;
        const double at = alpha < 0 ? 1 : label == (int32_t)(i % CLASSES) ? alpha : 1 - alpha;

        if (label != -2)
            sum += at * pow(1 - pt, gamma) * -log(pt);
    }
    return sum;
}

static df_tensor *focal_2(df_tape *tape, df_tensor *x) { return df_sigmoid_focal(tape, x, labels_of(tape, f.label, ROWS), 0.25, 2, 11); }
static df_tensor *focal_15(df_tape *tape, df_tensor *x) { return df_sigmoid_focal(tape, x, labels_of(tape, f.label, ROWS), -1, 1.5, 1); }
static df_tensor *focal_0(df_tape *tape, df_tensor *x) { return df_sigmoid_focal(tape, x, labels_of(tape, f.label, ROWS), 0.9, 0, 2); }

static void test_focal(void **state)
{
    (void)state;
    assert_close(value_of(focal_2, shape, f.x), focal_naive(0.25, 2) / 11, 1e-12, 0);
    assert_close(value_of(focal_15, shape, f.x), focal_naive(-1, 1.5), 1e-12, 0);
    assert_close(value_of(focal_0, shape, f.x), focal_naive(0.9, 0) / 2, 1e-12, 0);
    check_gradient(focal_2, shape, f.x, 1e-7);
    check_gradient(focal_15, shape, f.x, 1e-7);
    check_gradient(focal_0, shape, f.x, 1e-7);
}

/* one logit 0: p = 1/2: alpha/4 log 2 at the label, (1 - alpha)/4 log 2 beside it */
static void test_focal_by_hand(void **state)
{
    const df_real zero[2] = { 0, 0 };
    const int32_t second = 1;

    (void)state;
    df_tape_reset(f.tape);
    df_tensor *z = df_leaf(f.tape, (df_shape){ 1, 1, 1, 2 }, zero);
    df_tensor *y = df_sigmoid_focal(f.tape, z, labels_of(f.tape, &second, 1), 0.25, 2, 1);
    df_backward(f.tape, y);
    assert_close(df_item(f.tape, y), 0.25 * log(2), 1e-14, 0);
    /* w s^2 (2 (1 - s) log 2 + s), s = 1/2 */
    assert_close(z->grad[0], 0.75 / 4 * (log(2) + 0.5), 1e-14, 0);
    assert_close(z->grad[1], -0.25 / 4 * (log(2) + 0.5), 1e-14, 0);
}

static df_tensor *bce(df_tape *tape, df_tensor *x)
{
    return df_bce_logits(tape, x, df_tensor_from(tape, shape, f.t), df_tensor_from(tape, shape, f.w), 3);
}
static df_tensor *bce_plain(df_tape *tape, df_tensor *x) { return df_bce_logits(tape, x, df_tensor_from(tape, shape, f.t), NULL, 1); }

static void test_bce(void **state)
{
    double weighted = 0, plain = 0;

    (void)state;
    for (size_t i = 0; i < ROWS * CLASSES; i++) {
        const double y = -(f.t[i] * log(sigmoid(f.x[i])) + (1 - f.t[i]) * log(sigmoid(-f.x[i])));

        plain += y;
        weighted += f.w[i] * y;
    }
    assert_close(value_of(bce, shape, f.x), weighted / 3, 1e-12, 1e-12);
    assert_close(value_of(bce_plain, shape, f.x), plain, 1e-12, 1e-12);
    check_gradient(bce, shape, f.x, 1e-7);
    check_gradient(bce_plain, shape, f.x, 1e-7);
}

static df_tensor *cross_entropy(df_tape *tape, df_tensor *x) { return df_cross_entropy(tape, x, labels_of(tape, f.label, ROWS), 5); }

static void test_cross_entropy(void **state)
{
    double expected = 0;

    (void)state;
    for (size_t r = 0; r < ROWS; r++) {
        double sum = 0;

        for (size_t k = 0; k < CLASSES; k++)
            sum += exp(f.x[r * CLASSES + k]);
        if (f.label[r] >= 0)
            expected -= log(exp(f.x[r * CLASSES + (size_t)f.label[r]]) / sum);
    }
    assert_close(value_of(cross_entropy, shape, f.x), expected / 5, 1e-12, 0);
    check_gradient(cross_entropy, shape, f.x, 1e-7);
}

static df_tensor *smooth(df_tape *tape, df_tensor *x)
{
    return df_smooth_l1(tape, x, df_tensor_from(tape, x->shape, f.t), f.use, 1.0 / 3, 7);
}
static df_tensor *l1(df_tape *tape, df_tensor *x) { return df_smooth_l1(tape, x, df_tensor_from(tape, x->shape, f.t), f.use, 0, 7); }

static void test_smooth_l1(void **state)
{
    double expected = 0, expected_l1 = 0;

    (void)state;
    for (size_t i = 0; i < ROWS * CLASSES; i++) {
        const double d = fabs(f.x[i] - f.t[i]), beta = 1.0 / 3;

        expected += f.use[i / CLASSES] ? d < beta ? 0.5 * d * d / beta : d - 0.5 * beta : 0;
        expected_l1 += f.use[i / CLASSES] ? d : 0;
    }
    assert_close(value_of(smooth, shape, f.x), expected / 7, 1e-13, 0);
    assert_close(value_of(l1, shape, f.x), expected_l1 / 7, 1e-13, 0);
    check_gradient(smooth, shape, f.x, 1e-7);
    check_gradient(l1, shape, f.x, 1e-7);
}

static double kl_temperature;
static df_tensor *softmax_kl(df_tape *tape, df_tensor *x)
{
    return df_softmax_kl(tape, x, df_tensor_from(tape, shape, f.t), f.use, kl_temperature, 13);
}
static df_tensor *sigmoid_kl(df_tape *tape, df_tensor *x)
{
    return df_sigmoid_kl(tape, x, df_tensor_from(tape, shape, f.t), f.use, kl_temperature, 13);
}

static double softmax_kl_naive(double temperature)
{
    double sum = 0;

    for (size_t r = 0; r < ROWS; r++) {
        const df_real *s = f.x + r * CLASSES, *t = f.t + r * CLASSES;
        double p = 0, q = 0;

        for (size_t k = 0; k < CLASSES; k++) {
            p += exp(s[k] / temperature);
            q += exp(t[k] / temperature);
        }
        for (size_t k = 0; k < CLASSES && f.use[r]; k++)
            sum += exp(t[k] / temperature) / q * (log(exp(t[k] / temperature) / q) - log(exp(s[k] / temperature) / p));
    }
    return temperature * temperature * sum / 13;
}

static double sigmoid_kl_naive(double temperature)
{
    double sum = 0;

    for (size_t i = 0; i < ROWS * CLASSES; i++) {
        const double p = sigmoid(f.x[i] / temperature), q = sigmoid(f.t[i] / temperature);

        sum += f.use[i / CLASSES] ? q * log(q / p) + (1 - q) * log((1 - q) / (1 - p)) : 0;
    }
    return temperature * temperature * sum / 13;
}

static void test_kl(void **state)
{
    (void)state;
    for (kl_temperature = 1; kl_temperature < 5; kl_temperature += 1.5) {
        assert_close(value_of(softmax_kl, shape, f.x), softmax_kl_naive(kl_temperature), 1e-12, 0);
        assert_close(value_of(sigmoid_kl, shape, f.x), sigmoid_kl_naive(kl_temperature), 1e-11, 0);
        check_gradient(softmax_kl, shape, f.x, 1e-7);
        check_gradient(sigmoid_kl, shape, f.x, 1e-7);
    }
    kl_temperature = 2;
    df_tape_reset(f.tape); /* the same logits: 0, and no slope */
    df_tensor *s = df_leaf(f.tape, shape, f.t), *y = sigmoid_kl(f.tape, s);
    df_backward(f.tape, y);
    assert_close(df_item(f.tape, y), 0, 0, 1e-14);
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        assert_close(s->grad[i], 0, 0, 1e-14);
}

/* The reference's vectors: z_s = (2, .5, -1), z_t = (1, 1.5, -.5) */
static void test_kl_vectors(void **state)
{
    static const double expected[][2] = { { 1, 0.451092 }, { 2, 0.433669 }, { 4, 0.405106 } };
    const df_real zs[3] = { 2, 0.5, -1 }, zt[3] = { 1, 1.5, -0.5 };
    const df_shape three = { 1, 1, 1, 3 };
    const uint8_t yes = 1, no = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        df_tape_reset(f.tape);
        df_tensor *s = df_leaf(f.tape, three, zs), *t = df_tensor_from(f.tape, three, zt);
        assert_close(df_item(f.tape, df_softmax_kl(f.tape, s, t, &yes, expected[i][0], 1)), expected[i][1], 0, 1e-6);
        assert_close(df_item(f.tape, df_softmax_kl(f.tape, s, t, &no, expected[i][0], 1)), 0, 0, 0);
        assert_close(df_item(f.tape, df_sigmoid_kl(f.tape, s, t, &no, expected[i][0], 1)), 0, 0, 0);
    }
}

/* [3,2,5,11] features: a lane's tail; masks of 0, 1 and a fraction; the second image has no object at all */
static const df_shape map = { 3, 2, 5, 11 };
static df_real features[330], teachers[330], mask[30];
static bool per_image;
static df_tensor *mse(df_tape *tape, df_tensor *x)
{
    return df_masked_mse(tape, x, df_tensor_from(tape, map, teachers), df_tensor_from(tape, (df_shape){ 3, 2, 5, 1 }, mask), 0.7,
                         per_image);
}

static double mse_naive(size_t from, size_t to)
{
    double sum = 0, cells = 0;

    for (size_t p = from; p < to; p++) {
        cells += mask[p];
        for (size_t c = 0; c < 11; c++)
            sum += mask[p] * pow(features[p * 11 + c] - 0.7 * teachers[p * 11 + c], 2);
    }
    return sum / fmax(1, 2 * 11 * cells);
}

static void test_masked_mse(void **state)
{
    (void)state;
    df_test_fill(features, 330, 4, 1.5);
    df_test_fill(teachers, 330, 5, 1.5);
    for (size_t p = 0; p < 30; p++)
        mask[p] = p / 10 == 1 ? 0 : p % 3 == 0 ? 1 : p % 3 == 1 ? 0 : 0.25;
    per_image = false;
    assert_close(value_of(mse, map, features), mse_naive(0, 30), 1e-13, 0);
    check_gradient(mse, map, features, 1e-7);
    per_image = true;
    assert_close(value_of(mse, map, features), (mse_naive(0, 10) + mse_naive(20, 30)) / 3, 1e-13, 0);
    check_gradient(mse, map, features, 1e-7);
    memset(mask, 0, sizeof mask);
    assert_close(value_of(mse, map, features), 0, 0, 0);
}

/* N=1, C=2, 2x2: sums 2 and 12, divisors 4 and 12 (the reference's vector), in NHWC */
static void test_masked_mse_vector(void **state)
{
    const df_real s[8] = { 1, 0, 2, -1, 3, 2, 4, 1 }, t[8] = { 0, 1, 2, 1, 1, 2, 4, -1 }, m[4] = { 1, 0, 0, 0 },
                  inverse[4] = { 0, 1, 1, 1 };
    const df_shape two = { 1, 2, 2, 2 }, one = { 1, 2, 2, 1 };

    (void)state;
    df_tape_reset(f.tape);
    df_tensor *x = df_leaf(f.tape, two, s), *y = df_tensor_from(f.tape, two, t);
    df_tensor *objects = df_masked_mse(f.tape, x, y, df_tensor_from(f.tape, one, m), 1, false);
    df_tensor *background = df_masked_mse(f.tape, x, y, df_tensor_from(f.tape, one, inverse), 1, false);

    assert_close(df_item(f.tape, objects), 0.5, 0, 1e-15);
    assert_close(df_item(f.tape, background), 1, 0, 1e-15);
}

static df_tensor *squares(df_tape *tape, df_tensor *x)
{
    return df_masked_squares(tape, x, df_tensor_from(tape, map, teachers), df_tensor_from(tape, (df_shape){ 3, 2, 5, 1 }, mask));
}

/* A mask whose sum is far below 1 still divides. */
static void test_masked_squares(void **state)
{
    double sum = 0, cells = 0;

    (void)state;
    df_test_fill(features, 330, 4, 1.5);
    df_test_fill(teachers, 330, 5, 1.5);
    for (size_t p = 0; p < 30; p++) {
        mask[p] = p % 3 == 1 ? 0 : 0.001 * (double)(1 + p);
        cells += mask[p];
        for (size_t c = 0; c < 11; c++)
            sum += mask[p] * pow(features[p * 11 + c] - teachers[p * 11 + c], 2);
    }
    assert_true(cells < 0.5);
    assert_close(value_of(squares, map, features), sum / cells, 1e-13, 0);
    check_gradient(squares, map, features, 1e-7);
    memset(mask, 0, sizeof mask);
    assert_close(value_of(squares, map, features), 0, 0, 0);
}

static df_tensor *cells_kl(df_tape *tape, df_tensor *x)
{
    return df_cells_kl(tape, x, df_tensor_from(tape, map, teachers), kl_temperature, 33);
}

static void test_cells_kl(void **state)
{
    (void)state;
    df_test_fill(features, 330, 4, 4);
    df_test_fill(teachers, 330, 5, 4);
    for (kl_temperature = 1; kl_temperature < 5; kl_temperature += 1.5) {
        double sum = 0;

        for (size_t n = 0; n < 3; n++)
            for (size_t c = 0; c < 11; c++) {
                double p = 0, q = 0;

                for (size_t i = 0; i < 10; i++) {
                    p += exp(features[(n * 10 + i) * 11 + c] / kl_temperature);
                    q += exp(teachers[(n * 10 + i) * 11 + c] / kl_temperature);
                }
                for (size_t i = 0; i < 10; i++) {
                    const double s = features[(n * 10 + i) * 11 + c] / kl_temperature, t = teachers[(n * 10 + i) * 11 + c] / kl_temperature;

                    sum += exp(t) / q * (t - log(q) - s + log(p));
                }
            }
        assert_close(value_of(cells_kl, map, features), kl_temperature * kl_temperature * sum / 33, 1e-12, 0);
        check_gradient(cells_kl, map, features, 1e-7);
    }
}

static df_tensor *soft(df_tape *tape, df_tensor *x)
{
    df_real q[ROWS * CLASSES];

    for (size_t i = 0; i < ROWS * CLASSES; i++)
        q[i] = f.use[i / CLASSES] ? fabs(f.w[i]) : 0; /* rows of any sum, and of zeros */
    return df_soft_cross_entropy(tape, x, df_tensor_from(tape, shape, q), 3);
}

static void test_soft_cross_entropy(void **state)
{
    double expected = 0;

    (void)state;
    for (size_t r = 0; r < ROWS; r++) {
        double sum = 0;

        for (size_t k = 0; k < CLASSES; k++)
            sum += exp(f.x[r * CLASSES + k]);
        for (size_t k = 0; k < CLASSES && f.use[r]; k++)
            expected -= fabs(f.w[r * CLASSES + k]) * log(exp(f.x[r * CLASSES + k]) / sum);
    }
    assert_close(value_of(soft, shape, f.x), expected / 3, 1e-12, 0);
    check_gradient(soft, shape, f.x, 1e-7);
}

static double margin;
static df_tensor *bounded(df_tape *tape, df_tensor *x)
{
    const struct df_bound bound = { df_tensor_from(tape, x->shape, f.t), margin };

    return df_bounded_l2(tape, x, df_tensor_from(tape, x->shape, f.w), f.use, bound, df_norm(7));
}

/* Some of the used rows are better than the teacher's by the margin: they count nothing, more of them the smaller it is. */
static void test_bounded_l2(void **state)
{
    size_t without[2] = { 0 };

    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        double expected = 0;

        margin = wide ? 8 : 0;
        for (size_t r = 0; r < ROWS; r++) {
            double own = 0, theirs = 0;

            for (size_t j = r * CLASSES; j < (r + 1) * CLASSES; j++) {
                own += pow(f.x[j] - f.w[j], 2);
                theirs += pow(f.t[j] - f.w[j], 2);
            }
            without[wide] += own + margin <= theirs;
            expected += f.use[r] && own + margin > theirs ? own : 0;
        }
        assert_close(value_of(bounded, shape, f.x), expected / 7, 1e-13, 0);
        check_gradient(bounded, shape, f.x, 1e-7);
    }
    assert_true(without[0] > without[1] && without[1] > 5);
}

static df_tensor *pearson_rows(df_tape *tape, df_tensor *x) { return df_pearson_rows(tape, x, df_tensor_from(tape, shape, f.t), f.use, 5); }
static df_tensor *pearson_columns(df_tape *tape, df_tensor *x)
{
    return df_pearson_columns(tape, x, df_tensor_from(tape, shape, f.t), f.use, 5);
}

/* 1 - r of n values in steps, of rows that are used */
static double pearson_naive(const df_real *x, const df_real *t, size_t n, size_t step, bool masked)
{
    double count = 0, mean_x = 0, mean_t = 0, xx = 0, tt = 0, xt = 0;

    for (size_t i = 0; i < n; i++)
        if (!masked || f.use[i]) {
            count++;
            mean_x += x[i * step];
            mean_t += t[i * step];
        }
    for (size_t i = 0; i < n; i++)
        if (!masked || f.use[i]) {
            xx += pow(x[i * step] - mean_x / count, 2);
            tt += pow(t[i * step] - mean_t / count, 2);
            xt += (x[i * step] - mean_x / count) * (t[i * step] - mean_t / count);
        }
    return 1 - xt / sqrt(xx * tt);
}

static void test_pearson(void **state)
{
    df_real flat[ROWS * CLASSES];
    double rows = 0, columns = 0;

    (void)state;
    for (size_t r = 0; r < ROWS; r++)
        rows += f.use[r] ? pearson_naive(f.x + r * CLASSES, f.t + r * CLASSES, CLASSES, 1, false) : 0;
    for (size_t c = 0; c < CLASSES; c++)
        columns += pearson_naive(f.x + c, f.t + c, ROWS, CLASSES, true);
    assert_close(value_of(pearson_rows, shape, f.x), rows / 5, 1e-8, 0); /* the 1e-8 in the divisor */
    assert_close(value_of(pearson_columns, shape, f.x), columns / 5, 1e-8, 0);
    check_gradient(pearson_rows, shape, f.x, 1e-7);
    check_gradient(pearson_columns, shape, f.x, 1e-7);
    /* constant logits: nothing correlates, and what would is finite */
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        flat[i] = 0.25;
    df_tape_reset(f.tape);
    df_tensor *x = df_leaf(f.tape, shape, flat), *y = pearson_columns(f.tape, x);
    df_backward(f.tape, y);
    assert_close(df_item(f.tape, y), CLASSES / 5.0, 1e-15, 0);
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        assert_true(isfinite(x->grad[i]));
}

/* No row used: rows give nothing, columns a constant, and neither a gradient. */
static void test_pearson_unused(void **state)
{
    const uint8_t none[ROWS] = { 0 };

    (void)state;
    df_tape_reset(f.tape);
    df_tensor *x = df_leaf(f.tape, shape, f.x), *t = df_tensor_from(f.tape, shape, f.t);
    df_tensor *rows = df_pearson_rows(f.tape, x, t, none, 2), *columns = df_pearson_columns(f.tape, x, t, none, 2);

    df_backward(f.tape, df_add(f.tape, rows, columns));
    assert_close(df_item(f.tape, rows), 0, 0, 0);
    assert_close(df_item(f.tape, columns), CLASSES / 2.0, 0, 0);
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        assert_close(x->grad[i], 0, 0, 0);
}

/* ... with weights of cells and of an image's channels, either, or none */
static df_real channel_weight[33];
static bool with_cells, with_channels;
static df_tensor *squared(df_tape *tape, df_tensor *x)
{
    return df_squared_error(tape, x, df_tensor_from(tape, map, teachers),
                            with_cells ? df_tensor_from(tape, (df_shape){ 3, 2, 5, 1 }, mask) : NULL,
                            with_channels ? df_tensor_from(tape, (df_shape){ 3, 1, 1, 11 }, channel_weight) : NULL, 5);
}

static void test_squared_error(void **state)
{
    (void)state;
    df_test_fill(features, 330, 4, 1.5);
    df_test_fill(teachers, 330, 5, 1.5);
    df_test_fill(channel_weight, 33, 6, 2);
    for (size_t p = 0; p < 30; p++)
        mask[p] = (df_real)(p % 4);
    for (int k = 0; k < 4; k++) {
        double expected = 0;

        with_cells = k & 1;
        with_channels = k & 2;
        for (size_t i = 0; i < 330; i++)
            expected += (with_cells ? mask[i / 11] : 1) * (with_channels ? channel_weight[i / 110 * 11 + i % 11] : 1) *
                        pow(features[i] - teachers[i], 2);
        assert_close(value_of(squared, map, features), expected / 5, 1e-13, 1e-13);
        check_gradient(squared, map, features, 1e-7);
    }
}

static double focal_beta;
static df_tensor *quality(df_tape *tape, df_tensor *x)
{
    return df_quality_focal(tape, x, df_tensor_from(tape, shape, f.t), f.use, focal_beta, df_norm(13));
}

static void test_quality_focal(void **state)
{
    (void)state;
    for (focal_beta = 1; focal_beta < 4; focal_beta += 1.25) {
        double expected = 0;

        for (size_t i = 0; i < ROWS * CLASSES; i++) {
            const double p = sigmoid(f.x[i]), q = sigmoid(f.t[i]);

            expected += f.use[i / CLASSES] ? pow(fabs(p - q), focal_beta) * -(q * log(p) + (1 - q) * log(1 - p)) : 0;
        }
        assert_close(value_of(quality, shape, f.x), expected / 13, 1e-12, 0);
        check_gradient(quality, shape, f.x, 1e-7);
        df_tape_reset(f.tape); /* the same logits: 0, and no slope */
        df_tensor *z = df_leaf(f.tape, shape, f.t), *y = quality(f.tape, z);
        df_backward(f.tape, y);
        assert_close(df_item(f.tape, y), 0, 0, 0);
        for (size_t i = 0; i < ROWS * CLASSES; i++)
            assert_close(z->grad[i], 0, 0, 0);
    }
}

/* [3,1,7,4] deltas of seven anchors: boxes that overlap, that lie apart, one in the other, one without area */
static const df_shape boxes = { 3, 1, 7, 4 };
static const struct df_box anchors[7] = { { 0, 0, 10, 8 },   { 5, 3, 9, 15 },  { -4, 2, 20, 6 }, { 30, 30, 37, 33 },
                                          { 12, 1, 13, 19 }, { 0, 5, 16, 25 }, { 4, 4, 4, 9 } };
static const float box_factors[4] = { 10, 8, 5, 0.5F };
static df_real own_deltas[84], other_deltas[84], box_weight[21];
static df_tensor *giou(df_tape *tape, df_tensor *x)
{
    return df_giou(tape, x, df_tensor_from(tape, boxes, other_deltas), df_tensor_from(tape, (df_shape){ 3, 1, 7, 1 }, box_weight),
                   (struct df_deltas_of){ anchors, box_factors }, df_norm(3));
}

static void decode_naive(size_t row, const df_real *delta, double out[4])
{
    const struct df_box a = anchors[row % 7];
    const double w = (double)a.x1 - (double)a.x0, h = (double)a.y1 - (double)a.y0;
    const double x = (double)a.x0 + w / 2 + delta[0] / 10 * w, y = (double)a.y0 + h / 2 + delta[1] / 8 * h;
    const double half_w = w / 2 * exp(fmin(delta[2] / 5, log(62.5))), half_h = h / 2 * exp(fmin(delta[3] / 0.5, log(62.5)));

    out[0] = x - half_w, out[1] = y - half_h, out[2] = x + half_w, out[3] = y + half_h;
}

static double giou_naive(const double a[4], const double b[4])
{
    const double w = fmax(0, fmin(a[2], b[2]) - fmax(a[0], b[0])), h = fmax(0, fmin(a[3], b[3]) - fmax(a[1], b[1])), both = w * h;
    const double together = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
    const double whole = (fmax(a[2], b[2]) - fmin(a[0], b[0])) * (fmax(a[3], b[3]) - fmin(a[1], b[1]));

    return both / together - (whole - together) / whole;
}

static void test_giou(void **state)
{
    double expected = 0;
    size_t apart = 0;

    (void)state;
    df_test_fill(own_deltas, 84, 7, 4);
    df_test_fill(other_deltas, 84, 8, 4);
    df_test_fill(box_weight, 21, 9, 1);
    own_deltas[3 * 4 + 2] = 30; /* cut: a width of 437 */
    for (size_t r = 0; r < 21; r++) {
        double a[4], b[4];

        decode_naive(r, own_deltas + 4 * r, a);
        decode_naive(r, other_deltas + 4 * r, b);
        expected += r % 7 == 6 ? 0 : box_weight[r] * (1 - giou_naive(a, b));
        apart += r % 7 != 6 && giou_naive(a, b) < 0;
    }
    assert_in_range(apart, 3, 15);
    assert_close(value_of(giou, boxes, own_deltas), expected / 3, 1e-6, 0); /* log(1000 / 16) has 16 digits, the factors are floats */
    check_gradient(giou, boxes, own_deltas, 1e-7);
    df_tape_reset(f.tape); /* the same boxes: 0, and no slope */
    df_tensor *x = df_leaf(f.tape, boxes, other_deltas), *y = giou(f.tape, x);
    df_backward(f.tape, y);
    assert_close(df_item(f.tape, y), 0, 0, 1e-14);
    for (size_t i = 0; i < 84; i++)
        assert_close(x->grad[i], 0, 0, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_focal),          cmocka_unit_test(test_focal_by_hand), cmocka_unit_test(test_bce),
        cmocka_unit_test(test_cross_entropy),  cmocka_unit_test(test_smooth_l1),     cmocka_unit_test(test_kl),
        cmocka_unit_test(test_kl_vectors),     cmocka_unit_test(test_masked_mse),    cmocka_unit_test(test_masked_mse_vector),
        cmocka_unit_test(test_masked_squares), cmocka_unit_test(test_cells_kl),      cmocka_unit_test(test_soft_cross_entropy),
        cmocka_unit_test(test_bounded_l2),     cmocka_unit_test(test_pearson),       cmocka_unit_test(test_pearson_unused),
        cmocka_unit_test(test_squared_error),  cmocka_unit_test(test_quality_focal), cmocka_unit_test(test_giou),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
