/* The portable functions in a source that is built with contraction: not one bit moves. */
#if defined(__clang__)
#pragma clang fp contract(fast)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=fast")
#endif
#include "core/base/portable_math.h"
#include "tests/support/support.h"

#if defined(__x86_64__)
#define FUSED __attribute__((noinline, target("fma")))
#else
#define FUSED __attribute__((noinline))
#endif

enum { FORMS = 7, POINTS = 20000 };
struct values {
    double y[FORMS];
    float f[2];
};

static bool has_fma(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

static inline struct values evaluate(double x, double y)
{
    return (struct values){ .y = { df_exp(x), df_log(y), df_sin(x), df_cos(x), df_atan2(x, y), df_pow(y, x) },
                            .f = { df_expf((float)x), df_logf((float)y) } };
}

FUSED static void fused(const double *x, const double *y, struct values *out)
{
#if defined(__clang__)
#pragma clang fp contract(fast)
#endif
    for (int i = 0; i < POINTS; i++) {
        out[i] = evaluate(x[i], y[i]);
        out[i].y[FORMS - 1] = x[i] * x[i] - y[i];
    }
}

static void contraction_moves_no_bit(void **state)
{
    static double x[POINTS], y[POINTS];
    static struct values found[POINTS];
    struct df_rng rng;
    int contracted = 0;

    (void)state;
    if (!has_fma())
        skip();
    df_rng_init(&rng, 3, DF_RNG_TEST, 0);
    for (int i = 0; i < POINTS; i++)
        x[i] = df_rng_range(&rng, -8, 8), y[i] = df_rng_range(&rng, 1e-3, 4);
    fused(x, y, found);
    for (int i = 0; i < POINTS; i++) {
        volatile double product = x[i] * x[i];
        double (*const unary[])(double) = { df_exp, df_log, df_sin, df_cos };
        const double arguments[] = { x[i], y[i], x[i], x[i] };

        for (int k = 0; k < 4; k++)
            assert_true(found[i].y[k] == unary[k](arguments[k]));
        assert_true(found[i].y[4] == df_atan2(x[i], y[i]) && found[i].y[5] == df_pow(y[i], x[i]));
        assert_true(found[i].f[0] == df_expf((float)x[i]) && found[i].f[1] == df_logf((float)y[i]));
        contracted += found[i].y[FORMS - 1] != product - y[i];
    }
    assert_true(contracted > POINTS / 10); /* this source is built with contraction */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(contraction_moves_no_bit) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
