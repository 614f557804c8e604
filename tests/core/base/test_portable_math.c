/* The portable functions against libm in long double, at their edges, and their bits (the same on every machine). */
#include "core/base/portable_math.h"

#include <float.h>
#include <stdlib.h>

#include "core/base/hash.h"
#include "tests/support/support.h"

enum { POINTS = 200000 };

/* largest |got - want| / |want| (relative) or |got - want| */
static double worst(double before, double got, long double want, bool relative)
{
    const double error = (double)fabsl(relative && want != 0 ? (got - want) / want : got - want);

    return error <= before ? before : error; /* NaN stays */
}

static double draw(struct df_rng *rng, double low, double high) { return df_rng_range(rng, low, high); }

static void double_forms_are_accurate(void **state)
{
    double e = 0, e1 = 0, l = 0, l1 = 0, s = 0, c = 0, a = 0, p = 0;
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 1, DF_RNG_TEST, 0);
    for (int i = 0; i < POINTS; i++) {
        const double wide = draw(&rng, -708, 709), small = draw(&rng, -1, 1), angle = draw(&rng, -1e5, 1e5), y = draw(&rng, -1, 1);
        const double positive = ldexp(draw(&rng, 1, 2), (int)draw(&rng, -1073, 1023)), near_one = draw(&rng, 0.7, 1.5);

        e = worst(e, df_exp(wide), expl(wide), true);
        e1 = worst(e1, df_exp(small), expl(small), true);
        l = worst(l, df_log(positive), logl(positive), true);
        l1 = worst(l1, df_log(near_one), logl(near_one), true);
        s = worst(s, df_sin(angle), sinl(angle), false);
        c = worst(c, df_cos(angle), cosl(angle), false);
        a = worst(a, df_atan2(y, small), atan2l(y, small), false);
        p = worst(p, df_pow(near_one, 8 * y), powl(near_one, 8 * y), true);
    }
    /* one last place is 1.1e-16 to 2.2e-16; the promise is 4e-15 */
    assert_true(e < 3e-16 && e1 < 3e-16);
    assert_true(l < 3e-16 && l1 < 3e-16);
    assert_true(s < 3e-16 && c < 3e-16);
    assert_true(a < 5e-16);
    assert_true(p < 4e-15);
}

static void float_forms_are_accurate(void **state)
{
    double e = 0, l = 0, l1 = 0;
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 2, DF_RNG_TEST, 0);
    for (int i = 0; i < POINTS; i++) {
        const float x = (float)draw(&rng, -87, 88.7), positive = (float)ldexp(draw(&rng, 1, 2), (int)draw(&rng, -148, 127));
        const float near_one = (float)draw(&rng, 0.7, 1.5);

        e = worst(e, df_expf(x), expl(x), true);
        l = worst(l, df_logf(positive), logl(positive), true);
        l1 = worst(l1, df_logf(near_one), logl(near_one), true);
    }
    assert_true(e < 1.2e-7 && l < 1.2e-7 && l1 < 1.2e-7); /* one last place; the promise is 3e-7 */
}

static void edges_are_as_stated(void **state)
{
    const double inf = (double)INFINITY, nan = (double)NAN;

    (void)state;
    assert_true(df_exp(0) == 1 && df_exp(inf) == inf && df_exp(710) == inf && df_exp(-inf) == 0 && df_exp(-746) == 0);
    assert_true(df_exp(DBL_MAX) == inf && df_exp(-DBL_MAX) == 0 && isnan(df_exp(nan)));
    assert_true(df_exp(-745) == 0x1p-1074 && isfinite(df_exp(709.78)));
    assert_true(df_log(1) == 0 && df_log(0) == -inf && df_log(-0.0) == -inf && df_log(inf) == inf);
    assert_true(isnan(df_log(-1)) && isnan(df_log(-inf)) && isnan(df_log(nan)));
    assert_close(df_log(0x1p-1074), -744.4400719213812, 1e-15, 0);
    assert_true(df_expf(0) == 1 && df_expf(INFINITY) == INFINITY && df_expf(89) == INFINITY && df_expf(-INFINITY) == 0);
    assert_true(df_expf(FLT_MAX) == INFINITY && df_expf(-FLT_MAX) == 0 && isnan(df_expf(NAN)) && isfinite(df_expf(88.72f)));
    assert_true(df_expf(-103) == 0x1p-149f);
    assert_true(df_logf(1) == 0 && df_logf(0) == -INFINITY && df_logf(INFINITY) == INFINITY);
    assert_true(isnan(df_logf(-1)) && isnan(df_logf(-INFINITY)) && isnan(df_logf(NAN)));
    assert_close(df_logf(0x1p-149f), -103.27893, 1e-7, 0);
    assert_true(df_sin(0) == 0 && df_cos(0) == 1 && isnan(df_sin(inf)) && isnan(df_cos(nan)));
    assert_true(df_pow(2, 0) == 1 && df_pow(1, 5) == 1);
#ifdef DF_REAL_IS_DOUBLE
    assert_true(df_rexp(0.3) == df_exp(0.3) && df_rlog(0.3) == df_log(0.3));
#else
    assert_true(df_rexp(0.3f) == df_expf(0.3f) && df_rlog(0.3f) == df_logf(0.3f));
#endif
}

static void atan2_has_the_quadrants_of_c(void **state)
{
    static const double values[] = { 0.0, -0.0, 1, -1, 2.5, -2.5, 1e300, -1e-300, (double)INFINITY, -(double)INFINITY };
    const size_t n = sizeof values / sizeof *values;

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            const double got = df_atan2(values[i], values[j]), want = atan2(values[i], values[j]);

            assert_close(got, want, 0, 5e-16);
            assert_int_equal(signbit(got) != 0, signbit(want) != 0);
        }
    assert_true(isnan(df_atan2((double)NAN, 1)) && isnan(df_atan2(1, (double)NAN)));
}

/* Where the reduction changes its integer a function must not fall back; one last place is forgiven. */
static void exp_and_log_are_monotonic(void **state)
{
    float e = 0, l = -INFINITY;

    (void)state;
    for (int i = 0; i < POINTS; i++) {
        const float x = -20 + 40 * (float)i / POINTS, y = 0.01f + 20 * (float)i / POINTS;

        assert_true(df_expf(x) >= e * (1 - FLT_EPSILON));
        assert_true(df_logf(y) >= l - FLT_EPSILON * fabsf(l));
        e = df_expf(x);
        l = df_logf(y);
    }
}

/* The numbers are part of the promise "same bits on every machine": hashes of many values, from gcc and clang, with and without FMA. */
static void bits_are_the_same_everywhere(void **state)
{
    struct df_hasher *hasher = df_hasher_new();
    char text[17];

    (void)state;
    for (int i = 1; i < 20000; i++) {
        const double x = i * 0.0123 - 100;
        const double values[] = { df_exp(x), df_log(i * 0.37), df_sin(x), df_cos(x), df_atan2(x, i - 5000.5), df_pow(i * 0.01, 2.2) };
        const float floats[] = { df_expf((float)(x * 0.5)), df_logf((float)i * 0.37f) };

        df_hasher_add(hasher, values, sizeof values);
        df_hasher_add(hasher, floats, sizeof floats);
    }
    assert_string_equal(df_hash_text(text, df_hasher_value(hasher)), "738f2191adffd9dc");
    df_hasher_free(hasher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(double_forms_are_accurate), cmocka_unit_test(float_forms_are_accurate),
        cmocka_unit_test(edges_are_as_stated),       cmocka_unit_test(atan2_has_the_quadrants_of_c),
        cmocka_unit_test(exp_and_log_are_monotonic), cmocka_unit_test(bits_are_the_same_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
