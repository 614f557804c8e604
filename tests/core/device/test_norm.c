/* Batch norm: values by hand, and `cpu` against `ref` for every width of strip. */
#include "tests/core/device/devices.h"

/* Channel 0 is 1 3 5 7: mean 4, variance 5, unbiased 20/3; with eps 4 the divisor is 3. Channel 1 is constant: its y is beta. */
static void hand_forward(struct df_device *device)
{
    const df_real x[] = { 1, 5, 3, 5, 5, 5, 7, 5 }, gamma[] = { 2, 3 }, beta[] = { 1, -6 };
    const df_real expected[] = { -1, -6, 1 / 3.0f, -6, 5 / 3.0f, -6, 3, -6 }, rectified[] = { 0, 0, 1 / 3.0f, 0, 5 / 3.0f, 0, 3, 0 };
    df_real running_mean[] = { 0, 10 }, running_var[] = { 1, 2 }, mean[2], inv_std[2], y[8];

    struct df_batch_norm_forward_args args = { { 1, 2, 2, 2 }, 4,           0.1,  true,    false, x, gamma, beta,
                                               running_mean,   running_var, mean, inv_std, y };

    on_batch_norm_forward(device, args);
    assert_all_close(y, expected, 8, 0, 1e-6, "y");
    assert_all_close(mean, (df_real[]){ 4, 5 }, 2, 0, 0, "mean");
    assert_all_close(inv_std, (df_real[]){ 1 / 3.0f, 0.5f }, 2, 1e-7, 0, "inv_std");
    assert_all_close(running_mean, (df_real[]){ 0.4f, 9.5f }, 2, 1e-7, 0, "running mean");
    assert_all_close(running_var, (df_real[]){ 0.9f + 2 / 3.0f, 1.8f }, 2, 1e-7, 0, "running var");

    args.relu = true;
    args.mean = args.inv_std = NULL;
    on_batch_norm_forward(device, args);
    assert_all_close(y, rectified, 8, 0, 1e-6, "rectified y");

    const df_real six = 6, one = 1;
    df_real three = 3, eight = 8; /* y = (x - 3) / 3 * 6 + 1 */
    ON(batch_norm_forward, device, { 1, 1, 2, 1 }, 1, 0.1, false, false, x, &six, &one, &three, &eight, mean, inv_std, y);
    assert_all_close(y, (df_real[]){ -3, 5 }, 2, 0, 1e-6, "eval y");
    assert_all_close((df_real[]){ mean[0], inv_std[0], three, eight }, (df_real[]){ 3, 1 / 3.0f, 3, 8 }, 4, 1e-7, 0, "statistics");
}

/* x^ = -1 -1/3 1/3 1, g = 1 0 0 0: dx = gamma inv_std (g - 1/4 + x^ / 4) */
static void hand_backward(struct df_device *device)
{
    const df_real x[] = { 1, 3, 5, 7 }, y[] = { 2, 0, 1, -1 }, dy[] = { 1, 0, 0, 0 }, gamma = 2, mean = 4, inv_std = 1 / 3.0f;
    const df_real expected[] = { 1 / 3.0f, -2 / 9.0f, -1 / 9.0f, 0 };
    const df_real eval_dy[] = { 3, 6, 9, 12 };
    df_real dx[] = { 10, 20, 30, 40 }, dgamma = 5, dbeta = 6;
    struct df_batch_norm_backward_args args = { { 1, 4, 1, 1 }, true, false, x, y, dy, &gamma, &mean, &inv_std, dx, &dgamma, &dbeta, true };

    on_batch_norm_backward(device, args);
    for (int i = 0; i < 4; i++)
        assert_close((double)dx[i] - 10.0 * (i + 1), (double)expected[i], 0, 4e-6);
    assert_close((double)dgamma, 4, 0, 1e-6);
    assert_close((double)dbeta, 7, 0, 1e-6);

    args.add = false;
    args.dgamma = args.dbeta = NULL;
    on_batch_norm_backward(device, args);
    assert_all_close(dx, expected, 4, 0, 1e-6, "overwritten dx");

    args.training = false;
    args.relu = true; /* y > 0 at 0 and 2 */
    args.dy = eval_dy;
    args.dgamma = &dgamma;
    on_batch_norm_backward(device, args);
    args.dgamma = NULL; /* each on its own */
    args.dbeta = &dbeta;
    on_batch_norm_backward(device, args);
    assert_all_close(dx, (df_real[]){ 2, 0, 6, 0 }, 4, 0, 1e-6, "eval dx");
    assert_close((double)dgamma, 4 - 3 + 9 / 3.0, 0, 1e-6);
    assert_close((double)dbeta, 7 + 12, 0, 1e-6);
}

static void test_by_hand(void **state)
{
    (void)state;
    hand_forward(ref);
    hand_forward(tested);
    hand_backward(ref);
    hand_backward(tested);
}

enum { TRAINING = 1, RELU = 2, ADD = 4, SKIP = 8 };
static void compare(df_shape shape, unsigned bits, double centre)
{
    const bool training = bits & TRAINING, relu = bits & RELU, add = bits & ADD;
    const size_t n = df_count(shape), c = shape.c;
    df_real *x = filled(n, 1, 2), *dy = filled(n, 2, 1), *gamma = filled(c, 3, 1), *beta = filled(c, 4, 1);
    df_real *statistics[2], *gradients[2], *y[2], *dx[2], *dskip[2], *skip = filled(n, 9, 2);
    struct df_device *const devices[] = { ref, tested };

    for (size_t i = 0; i < n; i++)
        x[i] += (df_real)(centre * (double)(1 + i % c % 3));
    for (int d = 0; d < 2; d++) {
        df_real *s = statistics[d] = filled(4 * c, 5, 1), *g = gradients[d] = filled(2 * c, 6, 1);

        for (size_t i = c; i < 2 * c; i++)
            s[i] = s[i] * s[i] + 1; /* running variance */
        y[d] = filled(n, 7, 1);
        dx[d] = filled(n, 8, 1);
        dskip[d] = filled(n, 10, 1);
        ON(batch_norm_forward, devices[d], shape, 1e-5, 0.2, training, relu, x, gamma, beta, s, s + c, s + 2 * c, s + 3 * c, y[d],
           bits & SKIP ? skip : NULL);
        ON(batch_norm_backward, devices[d], shape, training, relu, x, y[0], dy, gamma, s + 2 * c, s + 3 * c, dx[d], g, g + c, add,
           bits & SKIP ? dskip[d] : NULL, add);
    }
    /* y, dx: a few float roundings of values up to about 10, and the float mean's rounding (2^-24 |mean|) times gamma inv_std */
    assert_all_close(statistics[1], statistics[0], 4 * c, 1e-6, 1e-6, "statistics");
    assert_all_close(y[1], y[0], n, 1e-6, 4e-6 + 4e-7 * fabs(centre), "y");
    assert_all_close(gradients[1], gradients[0], 2 * c, 1e-5, 1e-5 * sqrt((double)df_pixels(shape)), "dgamma, dbeta");
    assert_all_close(dx[1], dx[0], n, 1e-5, 1e-5, "dx");
    assert_all_close(dskip[1], dskip[0], n, 0, 0, "dskip"); /* dy or 0, and one addition */
    df_real *const all[] = { x,    dy,   gamma, beta,  statistics[0], statistics[1], gradients[0], gradients[1],
                             y[0], y[1], dx[0], dx[1], dskip[0],      dskip[1],      skip };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        release(all[i]);
}

static void test_widths(void **state)
{
    const size_t channels[] = { 1, 3, 4, 5, 8, 12, 16, 19, 24, 31, 64, 300, 515 };

    (void)state;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
        for (unsigned bits = 0; bits < 16; bits++)
            compare((df_shape){ 2, 5, 7, channels[i] }, bits, 1);
    compare((df_shape){ 3, 31, 29, 16 }, TRAINING | RELU | ADD, 0); /* several blocks */
    compare((df_shape){ 3, 31, 29, 16 }, TRAINING | RELU | SKIP, 0);
    compare((df_shape){ 1, 1, 1, 6 }, TRAINING | ADD, 0); /* one pixel: variance 0 */
}

/* The mean a thousand deviations away: the one-pass variance holds. */
static void test_far_mean(void **state)
{
    (void)state;
    compare((df_shape){ 4, 9, 11, 18 }, TRAINING, 2000);
}

/* A join in the norm's pass has the bits of a join after it, forward and backward. */
static void test_join(void **state)
{
    const df_shape shape = { 2, 5, 7, 19 };
    const size_t n = df_count(shape), c = shape.c;
    df_real *x = filled(n, 1, 2), *dy = filled(n, 2, 1), *skip = filled(n, 3, 2), *vectors = filled(6 * c, 4, 1);
    df_real *gamma = vectors, *beta = vectors + c, *mean = vectors + 2 * c, *var = vectors + 3 * c, *at = vectors + 4 * c;
    df_real *joined = filled(n, 5, 1), *alone = filled(n, 6, 1), *g = filled(n, 7, 1), *dx[2] = { filled(n, 8, 1), filled(n, 8, 1) };
    df_real *dskip = filled(n, 9, 1);

    (void)state;
    ON(batch_norm_forward, tested, shape, 1e-5, 0.2, true, true, x, gamma, beta, mean, var, at, at + c, joined, skip);
    ON(batch_norm_backward, tested, shape, true, true, x, joined, dy, gamma, at, at + c, dx[0], NULL, NULL, false, dskip, false);
    ON(batch_norm_forward, tested, shape, 1e-5, 0.2, true, false, x, gamma, beta, mean, var, at, at + c, alone, NULL);
    for (size_t i = 0; i < n; i++) {
        const df_real sum = alone[i] + skip[i];

        assert_true(joined[i] == (sum < 0 ? 0 : sum));
        g[i] = joined[i] > 0 ? dy[i] : 0;
        assert_true(dskip[i] == g[i]);
    }
    ON(batch_norm_backward, tested, shape, true, false, x, alone, g, gamma, at, at + c, dx[1], NULL, NULL, false, NULL, false);
    assert_memory_equal(dx[0], dx[1], n * sizeof *x);
    df_real *const all[] = { x, dy, skip, vectors, joined, alone, g, dx[0], dx[1], dskip };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        release(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_by_hand), cmocka_unit_test(test_widths), cmocka_unit_test(test_far_mean),
                                        cmocka_unit_test(test_join) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
