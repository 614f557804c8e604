/* The gradients of `ref` by signed central differences, in double: L = sum y r with a fixed random r. */
#include <math.h>
#include <string.h>

#include "core/device/device.h"
#include "tests/support/support.h"

enum { MOST = 1024 };
static struct df_device *ref;

static int open_ref(void **state)
{
    struct df_error err;

    (void)state;
    return df_device_open("ref", &ref, &err) != DF_OK;
}

static int close_ref(void **state)
{
    (void)state;
    df_device_close(ref);
    return 0;
}

typedef double loss_fn(void *context);

/* Every element of `values` against gradient; h = 1e-4: the error is of order h^2 = 1e-8 times the third derivative. */
static void check(loss_fn *loss, void *context, df_real *values, const df_real *gradient, size_t n, const char *what)
{
    const double h = 1e-4;

    for (size_t i = 0; i < n; i++) {
        const df_real kept = values[i];

        values[i] = kept + h;
        const double above = loss(context);
        values[i] = kept - h;
        const double below = loss(context);
        values[i] = kept;
        const double expected = (above - below) / (2 * h);

        if (!(fabs(gradient[i] - expected) <= 1e-6 + 1e-6 * fabs(expected)))
            fail_msg("%s[%zu] = %.12g, differences give %.12g", what, i, gradient[i], expected);
    }
}

static double dot(const df_real *a, const df_real *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

struct conv_case {
    struct df_conv conv;
    df_real x[MOST], w[MOST], bias[8], y[MOST], r[MOST];
};

static double conv_loss(void *context)
{
    struct conv_case *k = context;

    RUN(conv_forward, ref, k->conv, k->x, (struct df_weights){ k->w, 1 }, k->bias, k->y);
    return dot(k->y, k->r, df_count(df_conv_shape(&k->conv)));
}

static void test_conv(void **state)
{
    static struct conv_case k;
    static const struct df_conv convs[] = {
        { { 2, 5, 6, 3 }, 4, 3, 2, 2, 1, 1, 0, false },
        { { 1, 7, 4, 2 }, 5, 1, 3, 3, 2, 0, 1, false },
        { { 2, 4, 5, 3 }, 2, 2, 2, 1, 2, 1, 1, false },
    };
    static df_real dx[MOST], dw[MOST], dbias[8];

    (void)state;
    for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++) {
        const size_t nx = df_count(convs[i].x), nw = df_conv_weights(&convs[i]);

        k.conv = convs[i];
        df_test_fill(k.x, nx, 1, 1);
        df_test_fill(k.w, nw, 2, 1);
        df_test_fill(k.bias, 8, 3, 1);
        df_test_fill(k.r, df_count(df_conv_shape(&k.conv)), 4, 1);
        memset(dw, 0, sizeof dw);
        memset(dbias, 0, sizeof dbias);
        RUN(conv_backward_data, ref, k.conv, k.r, (struct df_weights){ k.w, 1 }, dx, false);
        RUN(conv_backward_weights, ref, k.conv, k.x, k.r, dw, dbias);
        check(conv_loss, &k, k.x, dx, nx, "dx");
        check(conv_loss, &k, k.w, dw, nw, "dw");
        check(conv_loss, &k, k.bias, dbias, convs[i].filters, "dbias");
        RUN(conv_backward_data, ref, k.conv, k.r, (struct df_weights){ k.w, 1 }, dx, true);
        for (size_t j = 0; j < nx; j++)
            dx[j] /= 2;
        check(conv_loss, &k, k.x, dx, nx, "dx, added twice");
    }
}

struct norm_case {
    struct df_batch_norm_forward_args args; /* but for what lies below */
    df_real x[MOST], gamma[8], beta[8], running_mean[8], running_var[8], mean[8], inv_std[8], y[MOST], r[MOST], skip[MOST];
};

static double norm_loss(void *context)
{
    struct norm_case *k = context;
    df_real running_mean[8], running_var[8];

    memcpy(running_mean, k->running_mean, sizeof running_mean);
    memcpy(running_var, k->running_var, sizeof running_var);
    k->args.running_mean = running_mean;
    k->args.running_var = running_var;
    df_batch_norm_forward(ref, &k->args);
    return dot(k->y, k->r, df_count(k->args.shape));
}

static void test_batch_norm(void **state)
{
    static struct norm_case k;
    static df_real dx[MOST], dskip[MOST];

    (void)state;
    for (int bits = 0; bits < 8; bits++) {
        const df_shape shape = { 2, 3, 4, 5 };
        const size_t n = df_count(shape);
        df_real dgamma[8] = { 0 }, dbeta[8] = { 0 };

        k.args = (struct df_batch_norm_forward_args){ .shape = shape,
                                                      .eps = 0.1,
                                                      .momentum = 0.1,
                                                      .training = bits & 1,
                                                      .relu = bits & 2,
                                                      .x = k.x,
                                                      .gamma = k.gamma,
                                                      .beta = k.beta,
                                                      .mean = k.mean,
                                                      .inv_std = k.inv_std,
                                                      .y = k.y,
                                                      .skip = bits & 4 ? k.skip : NULL };
        df_test_fill(k.skip, n, 7, 1);
        df_test_fill(k.x, n, 1, 1.5);
        df_test_fill(k.gamma, 8, 2, 1);
        df_test_fill(k.beta, 8, 3, 1);
        df_test_fill(k.running_mean, 8, 4, 1);
        df_test_fill(k.r, n, 6, 1);
        for (int c = 0; c < 8; c++)
            k.running_var[c] = 0.5 + 0.3 * c;
        norm_loss(&k);
        RUN(batch_norm_backward, ref, shape, k.args.training, k.args.relu, k.x, k.y, k.r, k.gamma, k.mean, k.inv_std, dx, dgamma, dbeta,
            false, bits & 4 ? dskip : NULL);
        if (bits & 4)
            check(norm_loss, &k, k.skip, dskip, n, "dskip");
        check(norm_loss, &k, k.x, dx, n, "dx");
        check(norm_loss, &k, k.gamma, dgamma, shape.c, "dgamma");
        check(norm_loss, &k, k.beta, dbeta, shape.c, "dbeta");
    }
}

struct pool_case {
    struct df_pool pool;
    df_real x[MOST], y[MOST], r[MOST];
    uint32_t argmax[MOST];
};

static double pool_loss(void *context)
{
    struct pool_case *k = context;

    RUN(max_pool_forward, ref, k->pool, k->x, k->y, k->argmax);
    return dot(k->y, k->r, df_count(df_pool_shape(&k->pool)));
}

static void test_max_pool(void **state)
{
    static struct pool_case k = { .pool = { { 2, 5, 7, 3 }, 3, 2, 1 } };
    static df_real dx[MOST];

    (void)state;
    df_test_fill(k.x, df_count(k.pool.x), 1, 1);
    df_test_fill(k.r, df_count(df_pool_shape(&k.pool)), 2, 1);
    pool_loss(&k);
    RUN(max_pool_backward, ref, k.pool, k.r, k.argmax, dx);
    check(pool_loss, &k, k.x, dx, df_count(k.pool.x), "dx");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_conv), cmocka_unit_test(test_batch_norm), cmocka_unit_test(test_max_pool) };

    return cmocka_run_group_tests(tests, open_ref, close_ref);
}
