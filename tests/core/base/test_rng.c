/* Philox against Random123's known answers (kat_vectors, philox4x32 10), streams against an independent computation, and the moments
 * of what is drawn. */
#include <math.h>
#include <string.h>

#include "tests/support/support.h"

static void philox_gives_the_known_answers(void **state)
{
    static const uint32_t cases[3][10] = {
        /* counter, key, out */
        { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 }
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];

        df_philox(cases[i], cases[i] + 4, out);
        assert_memory_equal(out, cases[i] + 6, sizeof out);
    }
}

static void a_stream_is_its_seed_purpose_and_index(void **state)
{
    static const uint32_t words[8] = { 0x03e00db3, 0x17f991a8, 0x1287f283, 0xb3ced9a1, 0x94bcddab, 0x8aa4e246, 0x7ffd104f, 0x53fbe05e };
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 0x0123456789abcdef, DF_RNG_TEST, 0x100000002);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(df_rng_u32(&rng), words[i]);
    df_rng_init(&rng, 0x0123456789abcdef, DF_RNG_TEST, 0x100000002);
    assert_true(df_rng_uniform(&rng) == 0.015137531561045803);
    assert_true(df_rng_range(&rng, -3, 5) == -3 + 8 * 0.07238689588289726);
    df_rng_init(&rng, 0x0123456789abcdef, DF_RNG_TEST, 0x100000002);
    assert_close(df_rng_normal(&rng), 0.15690517274026958, 1e-14, 0); /* a few roundings of df_log, sqrt, df_cos */
    assert_close(df_rng_normal(&rng), -1.3190152974871558, 1e-14, 0);
}

static void purpose_index_and_both_halves_of_the_seed_matter(void **state)
{
    struct df_rng rng[5];

    (void)state;
    df_rng_init(&rng[0], 7, DF_RNG_TEST, 3);
    df_rng_init(&rng[1], 7, DF_RNG_ORDER, 3);
    df_rng_init(&rng[2], 7, DF_RNG_TEST, 4);
    df_rng_init(&rng[3], 7 | (uint64_t)1 << 32, DF_RNG_TEST, 3);
    df_rng_init(&rng[4], 7, DF_RNG_TEST, 3 | (uint64_t)1 << 32);
    const uint32_t first = df_rng_u32(&rng[0]);

    for (size_t i = 1; i < 5; i++)
        assert_int_not_equal(df_rng_u32(&rng[i]), first);
}

static void a_stream_goes_on_past_its_32_bit_counter(void **state)
{
    struct df_rng rng, fresh;

    (void)state;
    df_rng_init(&rng, 1, DF_RNG_TEST, 0);
    df_rng_init(&fresh, 1, DF_RNG_TEST, 0);
    rng.counter[0] = 0xffffffff;
    for (int i = 0; i < 4; i++)
        df_rng_u32(&rng);
    assert_int_not_equal(df_rng_u32(&rng), df_rng_u32(&fresh)); /* not back at the start */
}

static void below_is_uniform_and_unbiased(void **state)
{
    enum { SIDES = 7, DRAWS = 70000 };
    struct df_rng rng;
    int count[SIDES] = { 0 }, low = 0;

    (void)state;
    df_rng_init(&rng, 11, DF_RNG_TEST, 0);
    for (int i = 0; i < DRAWS; i++)
        count[df_rng_below(&rng, SIDES)]++;
    for (int i = 0; i < SIDES; i++)
        assert_close(count[i], DRAWS / SIDES, 0, 5 * sqrt(DRAWS * 6.0 / 49)); /* five standard deviations */
    /* n = 3/4 of 2^32: without the refusal every third number would come twice as often */
    for (int i = 0; i < 30000; i++)
        low += df_rng_below(&rng, 0xc0000000u) % 3 == 0;
    assert_close(low, 10000, 0, 5 * sqrt(30000 * 2.0 / 9));
    for (int i = 0; i < 100; i++)
        assert_int_equal(df_rng_below(&rng, 1), 0);
}

static void normal_has_its_moments_and_tails(void **state)
{
    enum { DRAWS = 100000 };
    struct df_rng rng;
    double sum = 0, squares = 0, fourth = 0, beyond = 0;

    (void)state;
    df_rng_init(&rng, 12, DF_RNG_TEST, 0);
    for (int i = 0; i < DRAWS; i++) {
        const double x = df_rng_normal(&rng);

        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        beyond += x > 1.959963984540054;
    }
    assert_close(sum / DRAWS, 0, 0, 5 / sqrt(DRAWS));
    assert_close(squares / DRAWS, 1, 0, 5 * sqrt(2.0 / DRAWS));
    assert_close(fourth / DRAWS, 3, 0, 5 * sqrt(96.0 / DRAWS));
    assert_close(beyond / DRAWS, 0.025, 0, 5 * sqrt(0.025 * 0.975 / DRAWS));
}

static void permutations_are_complete_and_equally_likely(void **state)
{
    enum { N = 1000 };
    uint32_t order[N];
    bool seen[N] = { false };
    int count[6] = { 0 };
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 13, DF_RNG_ORDER, 0);
    df_rng_permutation(&rng, N, order);
    for (size_t i = 0; i < N; i++) {
        assert_true(order[i] < N && !seen[order[i]]);
        seen[order[i]] = true;
    }
    for (int i = 0; i < 12000; i++) {
        df_rng_permutation(&rng, 3, order);
        count[2 * order[0] + (order[1] > order[2])]++;
    }
    for (int i = 0; i < 6; i++)
        assert_close(count[i], 2000, 0, 5 * sqrt(12000 * 5.0 / 36));
    df_rng_permutation(&rng, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(a_stream_is_its_seed_purpose_and_index),
        cmocka_unit_test(purpose_index_and_both_halves_of_the_seed_matter),
        cmocka_unit_test(a_stream_goes_on_past_its_32_bit_counter),
        cmocka_unit_test(below_is_uniform_and_unbiased),
        cmocka_unit_test(normal_has_its_moments_and_tails),
        cmocka_unit_test(permutations_are_complete_and_equally_likely),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
