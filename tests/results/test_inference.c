/* Paired tests, Holm and power against scipy and statsmodels (tests/golden/make_statistics.py), and what is not in them by hand. */
#include "results/inference.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/json.h"
#include "tests/support/support.h"

static cJSON *golden;

static int read_golden(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_json_read("tests/golden/statistics.json", &golden, &err));
    return 0;
}

static int free_golden(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

    assert_true(cJSON_IsNumber(member));
    return member->valuedouble;
}

static size_t list(const cJSON *object, const char *key, double out[32])
{
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, key))
    {
        assert_true(cJSON_IsNumber(item) && n < 32);
        out[n++] = item->valuedouble;
    }
    assert_true(n > 0);
    return n;
}

static void paired_tests(void **state)
{
    const cJSON *c;
    size_t flips = 0, cases = 0;

    (void)state;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(golden, "paired"))
    {
        double a[32], b[32], d[32];
        const size_t n = list(c, "a", a);

        assert_int_equal(list(c, "b", b), n);
        for (size_t i = 0; i < n; i++)
            d[i] = a[i] - b[i];
        const struct df_interval interval = df_mean_interval(d, n, 0.95);

        assert_close(interval.low, number(c, "low"), 1e-9, 1e-9);
        assert_close(interval.high, number(c, "high"), 1e-9, 1e-9);
        assert_close(df_paired_t_p(d, n), number(c, "p"), 1e-9, 0);
        assert_close(df_equivalence_p(d, n, number(c, "margin")), number(c, "equivalence"), 1e-9, 0);
        assert_close(df_improvement(a, n, b, n), number(c, "improvement"), 1e-14, 0);
        if (cJSON_IsNumber(cJSON_GetObjectItem(c, "flip"))) {
            assert_close(df_sign_flip_p(d, n), number(c, "flip"), 1e-12, 0);
            flips++;
        } else {
            assert_true(isnan(df_sign_flip_p(d, n)));
        }
        cases++;
    }
    assert_int_equal(cases, 6);
    assert_int_equal(flips, 3);
}

static void holm(void **state)
{
    const cJSON *c;
    double nothing[] = { 0.01, NAN, 0.02 }, adjusted[3];

    (void)state;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(golden, "holm"))
    {
        double p[32], want[32], got[32];
        const size_t n = list(c, "p", p);

        list(c, "adjusted", want);
        df_holm(p, n, got);
        for (size_t i = 0; i < n; i++)
            assert_close(got[i], want[i], 1e-12, 0);
    }
    df_holm(nothing, 3, adjusted); /* a comparison that could not be made was asked for all the same: times 3, times 2 */
    assert_close(adjusted[0], 0.03, 1e-14, 0);
    assert_true(isnan(adjusted[1]));
    assert_close(adjusted[2], 0.04, 1e-14, 0);
    assert_close(df_simultaneous(0.95, 6), 1 - 0.05 / 6, 1e-15, 0);
    assert_close(df_simultaneous(0.95, 0), 0.95, 1e-15, 0);
}

static void power(void **state)
{
    const cJSON *c;

    (void)state;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(golden, "power"))
        assert_close(df_paired_power(number(c, "effect"), (size_t)number(c, "n"), number(c, "level")), number(c, "power"), 1e-7, 0);
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(golden, "equivalence_power"))
        assert_close(df_equivalence_power(number(c, "margin"), (size_t)number(c, "n"), number(c, "level")), number(c, "power"), 1e-7, 0);
    assert_true(isnan(df_paired_power(1, 1, 0.05)) && isnan(df_equivalence_power(1, 1, 0.05)));
}

/* The number is enough, and one less is not. */
static void pairs_needed(void **state)
{
    (void)state;
    for (double effect = 0.3; effect < 4; effect *= 1.7) {
        const size_t find = df_pairs_to_find(effect, 0.05, 0.8, 500), equal = df_pairs_to_equal(effect, 0.05, 0.8, 500);

        assert_true(find > 2 && equal > 2);
        assert_true(df_paired_power(effect, find, 0.05) >= 0.8 && df_paired_power(effect, find - 1, 0.05) < 0.8);
        assert_true(df_equivalence_power(effect, equal, 0.05) >= 0.8 && df_equivalence_power(effect, equal - 1, 0.05) < 0.8);
    }
    assert_int_equal(df_pairs_to_find(0, 0.05, 0.8, 500), 0);
    assert_int_equal(df_pairs_to_find(0.1, 0.05, 0.8, 500), 0);
    assert_int_equal(df_pairs_to_find(50, 0.05, 0.8, 500), 2);
}

/* Halves that are counted by meeting in the middle, against every pattern of 2^n. */
static void sign_flips_by_hand(void **state)
{
    double d[17], same[12];

    (void)state;
    for (size_t i = 0; i < 17; i++)
        d[i] = (double)((i * 7919) % 23) / 10 - 0.9;
    for (size_t n = 8; n <= 17; n += 3) {
        double seen = 0;
        size_t far = 0;

        for (size_t i = 0; i < n; i++)
            seen += d[i];
        for (size_t p = 0; p < (size_t)1 << n; p++) {
            double sum = 0;

            for (size_t i = 0; i < n; i++)
                sum += p >> i & 1 ? d[i] : -d[i];
            far += fabs(sum) >= fabs(seen) - 1e-9;
        }
        assert_close(df_sign_flip_p(d, n), (double)far / (double)((size_t)1 << n), 1e-12, 0);
    }
    for (size_t i = 0; i < 12; i++)
        same[i] = 0.3;
    assert_close(df_sign_flip_p(same, 12), df_sign_flip_least(12), 1e-14, 0);
    assert_close(df_sign_flip_least(3), 0.25, 0, 0);
    for (size_t i = 0; i < 12; i++)
        same[i] = 0;
    assert_close(df_sign_flip_p(same, 12), 1, 0, 0);
    assert_true(isnan(df_sign_flip_p(same, 7)) && isnan(df_sign_flip_p(NULL, 41)));
}

/* 0.1 + 0.2 and 0.3 are one number here, and no certainty comes of it. */
static void equal_values_have_no_interval(void **state)
{
    const double equal[] = { 0.3, 0.1 + 0.2, 0.3 }, nearly[] = { 0.3, 0.3 + 1e-9 };
    const struct df_interval i = df_mean_interval(equal, 3, 0.95);

    (void)state;
    assert_true(i.sd == 0 && isnan(i.low) && isnan(i.high) && i.n == 3);
    assert_close(i.mean, 0.3, 1e-12, 0);
    assert_true(isnan(df_paired_t_p(equal, 3)) && isnan(df_equivalence_p(equal, 3, 1)));
    assert_true(df_mean_interval(nearly, 2, 0.95).low < 0.3);
    assert_true(isnan(df_paired_t_p(equal, 1)) && isnan(df_improvement(equal, 0, equal, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(paired_tests),
                                        cmocka_unit_test(holm),
                                        cmocka_unit_test(power),
                                        cmocka_unit_test(pairs_needed),
                                        cmocka_unit_test(sign_flips_by_hand),
                                        cmocka_unit_test(equal_values_have_no_interval) };

    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
