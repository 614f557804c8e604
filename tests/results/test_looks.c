/* Repeated looks: bounds against t and against chains drawn by hand, error rates and power of made-up experiments with a fixed seed. */
#include "results/looks.h"

#include <math.h>
#include <stdlib.h>

#include "results/inference.h"
#include "tests/support/support.h"

/* One look is the t test; the level is spent by pairs; later bounds are those that spend what is left. */
static void bounds_spend_the_level(void **state)
{
    const struct df_looks_plan plan = { .margin = 1, .level = 0.05, .most = 20 };
    const size_t last[] = { 20 }, three[] = { 3, 8, 20 };
    double bound[3], spent[3];

    (void)state;
    df_looks_bounds(&plan, last, 1, bound, spent);
    assert_close(bound[0], 2.093024054408263, 1e-9, 0); /* t of 19 degrees */
    assert_close(spent[0], 0.05, 1e-15, 0);
    df_looks_bounds(&plan, three, 3, bound, spent);
    assert_close(spent[0], 0.0075, 1e-15, 0);
    assert_close(spent[1], 0.02, 1e-15, 0);
    assert_close(bound[0], df_student_t_quantile(1 - 0.0075 / 2, 2), 1e-12, 0);
    assert_true(bound[1] > df_student_t_quantile(1 - 0.02 / 2, 7) * 0.9 && bound[1] < df_student_t_quantile(1 - 0.0125 / 2, 7));
    assert_true(bound[2] > 2.093 && bound[2] < df_student_t_quantile(1 - 0.03 / 2, 19));
}

/* The chain of angles against pairs drawn one by one: 40,000 experiments end at each look as often as the level spent says (4 standard errors). */
static void bounds_are_exact(void **state)
{
    enum { EXPERIMENTS = 40000 };
    const struct df_looks_plan plan = { .level = 0.05, .most = 12 };
    const size_t looks[] = { 3, 4, 7, 12 };
    double bound[4], spent[4], value[12], out[4] = { 0 };

    (void)state;
    df_looks_bounds(&plan, looks, 4, bound, spent);
    for (size_t i = 0; i < EXPERIMENTS; i++) {
        struct df_rng rng;
        size_t k = 0;

        df_rng_init(&rng, 5, DF_RNG_TEST, i);
        for (size_t n = 0; n < 12; n++)
            value[n] = df_rng_normal(&rng);
        for (; k < 4; k++) {
            const struct df_interval interval = df_look_interval(value, looks[k], bound[k]);

            if (interval.low > 0 || interval.high < 0)
                break;
        }
        for (; k < 4; k++)
            out[k] += 1.0 / EXPERIMENTS;
    }
    for (size_t k = 0; k < 4; k++)
        assert_close(out[k], spent[k], 0, 4 * sqrt(spent[k] / EXPERIMENTS));
}

static void verdicts(void **state)
{
    (void)state;
    const struct {
        double low, high, margin;
        enum df_verdict verdict;
    } cases[] = { { 0.1, 0.7, 0, DF_BETTER },       { -0.7, -0.1, 1, DF_WORSE },      { -0.3, 0.4, 0.5, DF_EQUIVALENT },
                  { -0.3, 0.5, 0.5, DF_UNDECIDED }, { -0.5, 0.3, 0.5, DF_UNDECIDED }, { -0.3, 0.4, 0, DF_UNDECIDED },
                  { 0, 0.4, 0.3, DF_UNDECIDED },    { 0.1, 0.4, 0.5, DF_BETTER },     { NAN, NAN, 0.5, DF_UNDECIDED } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct df_interval interval = { .low = cases[i].low, .high = cases[i].high };

        assert_int_equal(df_verdict_of(&interval, cases[i].margin), cases[i].verdict);
    }
}

/* Level and heavy tails: with a true difference of 0 "better" or "worse" is wrong, with one of the margin "equivalent" or "worse". The documents'
 * figures are those of 10,000 experiments ('defeat power --experiments 10000'); DF_EXPERIMENTS=10000 asks for as many here. */
static void error_rates(void **state)
{
    const char *asked = getenv("DF_EXPERIMENTS");
    const size_t count = asked ? (size_t)strtoul(asked, NULL, 10) : 2000;
    const double most = 0.055 + (count < 10000 ? 2 * sqrt(0.05 * 0.95 / (double)count) : 0);

    (void)state;
    for (int tails = DF_TAILS_NORMAL; tails <= DF_TAILS_HEAVY; tails++)
        for (size_t pairs = 5; pairs <= 20; pairs *= 4) {
            const struct df_looks_plan plan = { .margin = 1, .level = 0.05, .most = pairs };
            struct df_experiments e = { .sd = 1.5, .tails = (enum df_tails)tails, .first = DF_LOOK_FEWEST, .count = count, .seed = 1 };
            struct df_experiments_result r = df_looks_try(&plan, &e);

            assert_true(r.verdict[DF_BETTER] + r.verdict[DF_WORSE] <= most);
            if (tails == DF_TAILS_NORMAL)
                assert_true(r.verdict[DF_BETTER] + r.verdict[DF_WORSE] >= 0.05 - 4 * sqrt(0.05 / (double)count)); /* all is spent */
            e.mean = plan.margin;
            r = df_looks_try(&plan, &e);
            assert_true(r.verdict[DF_EQUIVALENT] + r.verdict[DF_WORSE] <= most);
            assert_close(r.verdict[0] + r.verdict[1] + r.verdict[2] + r.verdict[3], 1, 0, 1e-9);
            assert_true(r.pairs >= DF_LOOK_FEWEST && r.pairs <= (double)pairs);
        }
}

/* As many pairs as are said to be needed find the difference and the equivalence, in other experiments than those that were asked. */
static void power_as_promised(void **state)
{
    (void)state;
    for (double sd = 0.5; sd < 2; sd *= 1.8) {
        struct df_looks_plan plan = { .margin = 1, .level = 0.05 };
        struct df_experiments e = { .sd = sd, .first = DF_LOOK_FEWEST, .count = 2000, .seed = 77 };
        const size_t fixed = df_pairs_to_equal(1 / sd, 0.025, 0.8, 500);

        plan.most = df_looks_needed(&plan, sd, DF_LOOK_FEWEST, 0.8);
        assert_true(plan.most >= fixed && plan.most <= 2 * fixed); /* looking often has its price, and it is bounded */
        e.mean = 1;
        assert_true(df_looks_try(&plan, &e).verdict[DF_BETTER] >= 0.8 - 0.03);
        e.mean = 0;
        const struct df_experiments_result r = df_looks_try(&plan, &e);

        assert_true(r.verdict[DF_EQUIVALENT] >= 0.8 - 0.03);
        assert_true(r.pairs < (double)plan.most);
    }
    assert_int_equal(df_looks_needed(&(struct df_looks_plan){ .margin = 0.01, .level = 0.05 }, 1, DF_LOOK_FEWEST, 0.8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bounds_spend_the_level), cmocka_unit_test(bounds_are_exact),
                                        cmocka_unit_test(verdicts), cmocka_unit_test(error_rates), cmocka_unit_test(power_as_promised) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
