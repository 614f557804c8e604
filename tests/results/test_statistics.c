/* Student's t against values computed with 40 digits (mpmath: betainc, inverted by bisection), and intervals by hand. */
#include "results/statistics.h"

#include <math.h>

#include "tests/support/support.h"

static void quantiles(void **state)
{
    (void)state;
    static const double known[][3] = {
        /* p, degrees, t */
        { 0.975, 1, 12.7062047361747046 },    { 0.975, 2, 4.30265272974946385 },    { 0.975, 3, 3.18244630528370959 },
        { 0.975, 4, 2.77644510519779436 },    { 0.975, 9, 2.26215716279820554 },    { 0.95, 7, 1.89457860509000739 },
        { 0.995, 29, 2.75638590367060549 },   { 0.9995, 2.5, 18.2778935281306478 }, { 0.6, 120, 0.253909523214928564 },
        { 0.975, 1000, 1.96233908082640848 }, { 0.75, 49.5, 0.679478407150451275 }, { 0.975, 50.5, 2.0080664982950438 },
        { 0.02, 5, -2.75650852190947484 },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_close(df_student_t_quantile(known[i][0], known[i][1]), known[i][2], 1e-10, 0);
    assert_close(df_student_t_quantile(0.5, 3), 0, 0, 0);
    assert_close(df_student_t_quantile(0.9999999, 1), 3183098.861837802, 1e-8, 0); /* 1 - p holds 9 digits */
    assert_true(isnan(df_student_t_quantile(1, 3)) && isnan(df_student_t_quantile(0.9, 0)) && isnan(df_student_t_quantile(NAN, 3)));
}

static void two_sided(void **state)
{
    (void)state;
    assert_close(df_student_t_p_two_sided(2.5, 4), 0.066766544811988145, 1e-12, 0);
    assert_close(df_student_t_p_two_sided(-2.5, 4), 0.066766544811988145, 1e-12, 0);
    assert_close(df_student_t_p_two_sided(0.1, 3), 0.926652348800805825, 1e-12, 0);
    assert_close(df_student_t_p_two_sided(12, 1), 0.0529293521191797509, 1e-12, 0);
    assert_close(df_student_t_p_two_sided(1.96, 1e6), 0.0499960675852697907, 1e-10, 0);
    assert_close(df_student_t_p_two_sided(40, 10), 2.28085774308575464e-12, 1e-10, 0);
    assert_close(df_student_t_p_two_sided(0, 2), 1, 0, 0);
    assert_close(df_student_t_p_two_sided(INFINITY, 2), 0, 0, 0);
}

/* Both sides of the change from lgamma to its series, and back through the quantile. */
static void inverse(void **state)
{
    (void)state;
    for (double degrees = 0.5; degrees < 3000; degrees *= 1.37)
        for (double p = 0.55; p < 0.9999; p += 0.0321)
            assert_close(df_student_t_p_two_sided(df_student_t_quantile(p, degrees), degrees), 2 * (1 - p), 1e-11, 0);
}

static void interval_by_hand(void **state)
{
    (void)state;
    const double values[] = { 31, 34, 37, 30 }; /* mean 33, squares 4 + 1 + 16 + 9 = 30, sd sqrt(10) */
    const struct df_interval i = df_mean_interval(values, 4, 0.95);

    assert_close(i.mean, 33, 0, 1e-12);
    assert_close(i.sd, sqrt(10), 1e-14, 0);
    assert_close(i.high - 33, 3.18244630528370959 * sqrt(10) / 2, 1e-10, 0);
    assert_close(33 - i.low, 3.18244630528370959 * sqrt(10) / 2, 1e-10, 0);
    assert_int_equal(i.n, 4);
    const struct df_interval one = df_mean_interval(values, 1, 0.95), none = df_mean_interval(values, 0, 0.95);

    assert_true(one.mean == 31 && isnan(one.sd) && isnan(one.low) && isnan(one.high) && one.n == 1);
    assert_true(isnan(none.mean) && isnan(none.high) && none.n == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(quantiles), cmocka_unit_test(two_sided), cmocka_unit_test(inverse),
                                        cmocka_unit_test(interval_by_hand) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
