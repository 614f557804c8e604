/* Convolutions: `cpu` against `ref` on odd geometries, `ref` against values by hand, repeatability, the cache of reordered weights. */
#include <stdlib.h>

#include "tests/core/device/devices.h"

/* x, filters, kernel h w, stride h w, pad h w, relu */
static const struct df_conv geometries[] = {
    { { 2, 7, 9, 5 }, 3, 1, 1, 1, 1, 0, 0, false },    { { 1, 8, 11, 16 }, 24, 1, 1, 2, 3, 0, 0, true },
    { { 3, 6, 7, 4 }, 9, 1, 1, 1, 1, 1, 1, false },    { { 2, 9, 8, 3 }, 16, 3, 3, 2, 2, 1, 1, true },
    { { 2, 10, 13, 8 }, 7, 3, 3, 3, 1, 0, 2, false },  { { 1, 11, 14, 19 }, 36, 3, 3, 1, 2, 1, 1, false },
    { { 3, 12, 6, 32 }, 40, 3, 3, 1, 1, 1, 1, true },  { { 2, 9, 10, 6 }, 5, 2, 2, 2, 1, 0, 1, false },
    { { 1, 13, 12, 17 }, 8, 2, 3, 1, 3, 1, 0, false }, { { 2, 12, 15, 10 }, 11, 5, 5, 2, 1, 2, 2, true },
    { { 1, 16, 18, 3 }, 13, 7, 7, 2, 2, 3, 3, false }, { { 1, 15, 17, 9 }, 6, 7, 5, 3, 2, 1, 4, false },
    { { 2, 4, 5, 1 }, 2, 3, 1, 1, 1, 1, 0, false },    { { 1, 3, 4, 48 }, 16, 3, 4, 1, 1, 0, 0, true },
    { { 1, 10, 11, 12 }, 9, 3, 3, 4, 3, 0, 0, false }, { { 1, 24, 32, 5 }, 6, 1, 1, 2, 2, 0, 0, false },
};
enum { GEOMETRIES = sizeof geometries / sizeof geometries[0] };

/* A float sum of k products of normal values: every one of its k roundings is at most 2^-24 of a partial sum of size sqrt(k) or less;
 * 2^-23 k is beyond four standard deviations of their sum. A wrong tap is off by about 1. */
static double tolerance(size_t k) { return 1e-6 + 1.2e-7 * (double)k; }
static size_t taps(const struct df_conv *c) { return c->kernel_h * c->kernel_w * c->x.c; }

static void test_forward(void **state)
{
    (void)state;
    for (int g = 0; g < GEOMETRIES; g++)
        for (int biased = 0; biased < 2; biased++) {
            const struct df_conv *conv = &geometries[g];
            const size_t ny = df_count(df_conv_shape(conv));
            df_real *x = filled(df_count(conv->x), 1, 1), *w = filled(conv->filters * taps(conv), 2, 1),
                    *bias = filled(conv->filters, 3, 5);
            df_real *a = filled(ny, 4, 1), *b = filled(ny, 5, 1);
            const struct df_weights weights = { w, 7 };

            ON(conv_forward, ref, *conv, x, weights, biased ? bias : NULL, b);
            ON(conv_forward, tested, *conv, x, weights, biased ? bias : NULL, a);
            assert_all_close(a, b, ny, 1e-6, tolerance(taps(conv)), "y");
            df_real *const all[] = { x, w, bias, a, b };
            for (int i = 0; i < 5; i++)
                release(all[i]);
        }
}

static void test_backward_data(void **state)
{
    (void)state;
    for (int g = 0; g < GEOMETRIES; g++)
        for (int add = 0; add < 2; add++) {
            const struct df_conv *conv = &geometries[g];
            const size_t nx = df_count(conv->x);
            df_real *dy = filled(df_count(df_conv_shape(conv)), 1, 1), *w = filled(conv->filters * taps(conv), 2, 1);
            df_real *a = filled(nx, 3, 9), *b = copied(a, nx);

            ON(conv_backward_data, ref, *conv, dy, (struct df_weights){ w, 7 }, b, add);
            ON(conv_backward_data, tested, *conv, dy, (struct df_weights){ w, 7 }, a, add);
            assert_all_close(a, b, nx, 1e-6, tolerance(conv->kernel_h * conv->kernel_w * conv->filters), "dx");
            df_real *const all[] = { dy, w, a, b };
            for (int i = 0; i < 4; i++)
                release(all[i]);
        }
}

static void test_backward_weights(void **state)
{
    (void)state;
    for (int g = 0; g < GEOMETRIES; g++)
        for (int biased = 0; biased < 2; biased++) {
            const struct df_conv *conv = &geometries[g];
            const df_shape y = df_conv_shape(conv);
            const size_t nw = conv->filters * taps(conv);
            df_real *x = filled(df_count(conv->x), 1, 1), *dy = filled(df_count(y), 2, 1);
            df_real *a = filled(nw, 3, 9), *b = copied(a, nw), *abias = filled(conv->filters, 4, 9), *bbias = copied(abias, conv->filters);

            ON(conv_backward_weights, ref, *conv, x, dy, b, biased ? bbias : NULL);
            ON(conv_backward_weights, tested, *conv, x, dy, a, biased ? abias : NULL);
            assert_all_close(a, b, nw, 1e-6, tolerance(df_pixels(y)), "dw");
            assert_all_close(abias, bbias, conv->filters, 1e-6, 1e-6, "dbias");
            df_real *const all[] = { x, dy, a, b, abias, bbias };
            for (int i = 0; i < 6; i++)
                release(all[i]);
        }
}

/* NaN stays NaN behind bias and relu. Where else an algorithm lets it appear (transforms spread it) is left open. */
static void test_not_a_number(void **state)
{
    (void)state;
    for (int g = 0; g < GEOMETRIES; g++)
        for (int biased = 0; biased < 2; biased++) {
            struct df_conv conv = geometries[g];
            const size_t ny = df_count(df_conv_shape(&conv)), nx = df_count(conv.x);
            df_real *x = filled(nx, 1, 1), *w = filled(conv.filters * taps(&conv), 2, 1), *bias = filled(conv.filters, 3, 1);
            df_real *a = filled(ny, 4, 1), *b = filled(ny, 5, 1);
            size_t lost = 0, found = 0;

            conv.relu = true;
            x[0] = x[nx / 2] = NAN;
            bias[conv.filters / 2] = NAN;
            ON(conv_forward, ref, conv, x, (struct df_weights){ w, 9 }, biased ? bias : NULL, b);
            ON(conv_forward, tested, conv, x, (struct df_weights){ w, 9 }, biased ? bias : NULL, a);
            for (size_t i = 0; i < ny; i++) {
                found += isnan(b[i]) ? 1 : 0;
                lost += isnan(b[i]) && !isnan(a[i]) ? 1 : 0;
            }
            assert_true(found > 0);
            assert_int_equal(lost, 0);
            df_real *const all[] = { x, w, bias, a, b };
            for (int i = 0; i < 5; i++)
                release(all[i]);
        }
}

/* The first call of a shape decides how it is made: later ones have its bits. The first of the tests: what fails then is a call of its shapes. */
static void test_first_call(void **state)
{
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        const struct df_conv conv = { { 2, 11, 7, 12 }, 20, 3, 3, 1, 1, 1, 1, relu };
        const size_t ny = df_count(df_conv_shape(&conv));
        df_real *x = filled(df_count(conv.x), 1, 1), *w = filled(conv.filters * taps(&conv), 2, 1), *bias = filled(conv.filters, 3, 1);
        df_real *first = filled(ny, 4, 1), *again = filled(ny, 5, 1);

        ON(conv_forward, tested, conv, x, (struct df_weights){ w, 3 }, bias, first);
        ON(conv_forward, tested, conv, x, (struct df_weights){ w, 3 }, bias, again);
        assert_memory_equal(again, first, ny * sizeof *first);
        df_real *const all[] = { x, w, bias, first, again };
        for (int i = 0; i < 5; i++)
            release(all[i]);
    }
}

/* One image 2x3 with 1 channel, kernel 2x2 without padding, 2 filters; the second is -1 times a single tap. */
static void test_by_hand(void **state)
{
    const struct df_conv conv = {
        .x = { 1, 2, 3, 1 }, .filters = 2, .kernel_h = 2, .kernel_w = 2, .stride_h = 1, .stride_w = 1, .relu = true
    };
    const df_real x[] = { 1, 2, 3, 4, 5, 6 }, w[] = { 1, 10, 100, 1000, 0, 0, -1, 0 }, bias[] = { 0.5f, 4.5f };
    const df_real expected[] = { 5421.5f, 0.5f, 6532.5f, 0 }; /* 1 + 20 + 400 + 5000; 4.5 - 4; ...; max(0, 4.5 - 5) */
    df_real y[4];
    struct df_device *const devices[] = { ref, tested };

    (void)state;
    for (int i = 0; i < 2; i++) {
        ON(conv_forward, devices[i], conv, x, (struct df_weights){ w, 1 }, bias, y);
        assert_all_close(y, expected, 4, 0, 1e-3, "y");
    }
    assert_close(df_conv_flops(&conv), 2 * 4 * 4, 0, 0);
}

static size_t run_count(const struct df_conv *conv)
{
    return df_count(conv->x) + df_count(df_conv_shape(conv)) + conv->filters * (taps(conv) + 2);
}

enum { LINE = 64 / sizeof(df_real) };
static size_t lines(size_t n) { return (n + LINE - 1) / LINE * LINE; }

/* All three directions of a geometry into out; every operand lies `shift` elements behind a boundary of 64 bytes. */
static void run_all(struct df_device *device, const struct df_conv *conv, size_t shift, df_real *out)
{
    const size_t nx = df_count(conv->x), ny = df_count(df_conv_shape(conv)), nw = conv->filters * taps(conv), nb = conv->filters;
    const size_t all = 2 * lines(nx) + 2 * lines(ny) + 2 * lines(nw) + 2 * lines(nb);
    df_real *host = df_calloc(all, sizeof *host), *memory = df_device_alloc(device, (all + shift) * sizeof *memory);
    df_real *x = memory + shift, *dx = x + lines(nx), *y = dx + lines(nx), *dy = y + lines(ny), *w = dy + lines(ny), *dw = w + lines(nw),
            *bias = dw + lines(nw), *dbias = bias + lines(nb);

    df_test_fill(host, nx, 1, 1);
    df_test_fill(host + (dx - x), nx, 5, 1);
    df_test_fill(host + (dy - x), ny, 2, 1);
    df_test_fill(host + (w - x), nw, 3, 1);
    df_test_fill(host + (dw - x), nw, 6, 1);
    df_test_fill(host + (bias - x), nb, 4, 1);
    df_test_fill(host + (dbias - x), nb, 7, 1);
    df_write(device, x, host, all * sizeof *host);
    RUN(conv_forward, device, *conv, x, (struct df_weights){ w, 1 }, bias, y);
    RUN(conv_backward_data, device, *conv, dy, (struct df_weights){ w, 1 }, dx, true);
    RUN(conv_backward_weights, device, *conv, x, dy, dw, dbias);
    df_read(device, out, y, ny * sizeof *out);
    df_read(device, out + ny, dx, nx * sizeof *out);
    df_read(device, out + ny + nx, dw, nw * sizeof *out);
    df_read(device, out + ny + nx + nw, bias, nb * sizeof *out);
    df_read(device, out + ny + nx + nw + nb, dbias, nb * sizeof *out);
    df_device_free(device, memory);
    free(host);
}

enum { MOST = 32768 };

/* The same bits on a fresh device, after other work, and wherever the operands lie: at every place that an element can have between two
 * boundaries of 64 bytes. */
static void test_repeatable(void **state)
{
    static df_real first[GEOMETRIES][MOST], again[MOST];
    struct df_device *other;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open(df_test_device(), &other, &err));
    for (int g = 0; g < GEOMETRIES; g++)
        run_all(tested, &geometries[g], 0, first[g]);
    for (int g = GEOMETRIES - 1; g >= 0; g--)
        for (size_t shift = 0; shift <= 2 * LINE; shift += shift < LINE ? 1 : LINE) { /* and two boundaries that are no larger ones */
            run_all(shift % 2 ? tested : other, &geometries[g], shift, again);
            assert_memory_equal(again, first[g], run_count(&geometries[g]) * sizeof(df_real));
        }
    df_device_close(other);
}

/* Shapes that differ in one field only must not share a plan. */
static void test_every_field_counts(void **state)
{
    const struct df_conv base = {
        .x = { 1, 6, 6, 8 }, .filters = 8, .kernel_h = 3, .kernel_w = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1
    };
    struct df_conv variants[13];

    (void)state;
    for (size_t i = 0; i < 13; i++)
        variants[i] = base;
    variants[1].x.n = variants[2].pad_h = variants[3].pad_w = variants[4].stride_h = variants[5].stride_w = 2;
    variants[6].x.h = variants[7].x.w = 7;
    variants[8].x.c = variants[9].filters = 9;
    variants[10].kernel_h = variants[11].kernel_w = 2;
    variants[12].relu = true;
    for (size_t i = 0; i < 13; i++) {
        const struct df_conv *conv = &variants[i];
        const size_t count = run_count(conv);
        df_real *a = filled(count, 1, 1), *b = filled(count, 2, 1);

        run_all(ref, conv, 0, b);
        run_all(tested, conv, 0, a);
        assert_all_close(a, b, count, 1e-6, tolerance(200), "y, dx, dw, biases");
        release(a);
        release(b);
    }
}

/* More shapes than there are buckets for plans. */
static void test_many_shapes(void **state)
{
    df_real *x = filled(400 * 3, 1, 1), *w = filled(2 * 3 * 3, 2, 1), *a = filled(800, 3, 1), *b = filled(800, 4, 1);

    (void)state;
    for (int round = 0; round < 2; round++)
        for (size_t h = 3; h < 400; h++) {
            const struct df_conv conv = { .x = { 1, h, 1, 3 }, .filters = 2, .kernel_h = 3, .kernel_w = 1, .stride_h = 1, .stride_w = 1 };

            ON(conv_forward, ref, conv, x, (struct df_weights){ w, 1 }, NULL, b);
            ON(conv_forward, tested, conv, x, (struct df_weights){ w, 1 }, NULL, a);
            assert_all_close(a, b, df_count(df_conv_shape(&conv)), 1e-6, tolerance(9), "y");
        }
    df_real *const all[] = { x, w, a, b };
    for (int i = 0; i < 4; i++)
        release(all[i]);
}

static void check_forward(const struct df_conv *conv, const df_real *x, struct df_weights w)
{
    const size_t ny = df_count(df_conv_shape(conv)), nx = df_count(conv->x);
    df_real *a = filled(ny, 8, 1), *b = filled(ny, 9, 1), *da = filled(nx, 8, 1), *db = filled(nx, 9, 1);

    ON(conv_forward, ref, *conv, x, w, NULL, b);
    ON(conv_forward, tested, *conv, x, w, NULL, a);
    assert_all_close(a, b, ny, 1e-6, tolerance(taps(conv)), "y");
    ON(conv_backward_data, ref, *conv, b, w, db, false);
    ON(conv_backward_data, tested, *conv, b, w, da, false);
    assert_all_close(da, db, nx, 1e-5, 1e-2, "dx"); /* dy is of size sqrt(taps); a stale weight is off by tens */
    df_real *const all[] = { a, b, da, db };
    for (int i = 0; i < 4; i++)
        release(all[i]);
}

/* New values under a new version are seen, also by a second shape that shares the layout; freeing forgets. */
static void test_weight_versions(void **state)
{
    const struct df_conv small = {
        .x = { 1, 5, 6, 16 }, .filters = 24, .kernel_h = 3, .kernel_w = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1
    };
    struct df_conv large = small;
    df_real *x = filled(2 * 9 * 7 * 16, 1, 1);
    const size_t nw = 24 * 9 * 16;

    (void)state;
    large.x = (df_shape){ 2, 9, 7, 16 };
    for (uint64_t life = 0; life < 3; life++) {
        df_real *w = filled(2 * nw, 0, 1);

        for (uint64_t step = 0; step < 4; step++) { /* versions 3 1 2 3: a new life starts with the version that the last one ended with */
            const uint64_t version = step ? step : 3;

            df_test_fill(w, 2 * nw, 100 * life + step, 1);
            for (int twice = 0; twice < 2; twice++)
                for (size_t offset = 0; offset <= nw; offset += nw) {
                    check_forward(step % 2 ? &small : &large, x, (struct df_weights){ w + offset, version });
                    check_forward(step % 2 ? &large : &small, x, (struct df_weights){ w + offset, version });
                }
        }
        release(w);
    }
    release(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_call),    cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward_data), cmocka_unit_test(test_backward_weights),
        cmocka_unit_test(test_by_hand),       cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_repeatable),    cmocka_unit_test(test_every_field_counts),
        cmocka_unit_test(test_many_shapes),   cmocka_unit_test(test_weight_versions),
    };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
