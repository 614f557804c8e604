/* Means, areas and paired differences of a made-up study, by hand. */
#include <math.h>
#include <stdlib.h>

#include "ablations/behaviour/attack_study.h"
#include "tests/support/support.h"

enum { SEEDS = 3, IMAGES = 3 };

/* Of 4 boxes each: how many are left on every image; -1: nothing was found without the patch. */
static void tell(struct df_attack_told *told, const int left[IMAGES], double rate, double ap_clean, double ap)
{
    *told = (struct df_attack_told){ .images = IMAGES, .rate = rate, .score = 2 * rate, .ap_clean = ap_clean, .ap = ap, .left_out = 1 };
    told->image = calloc(IMAGES, sizeof *told->image);
    for (size_t i = 0; i < IMAGES; i++)
        told->image[i] = (struct df_evasion){ .clean = left[i] < 0 ? 0 : 4, .left = left[i] < 0 ? 3 : (size_t)left[i], .pixels = 100 };
}

static const double areas[] = { 0.01, 0.02 };

static struct df_attack_study study_of(size_t seeds)
{
    struct df_attack_study study = { .seeds = seeds, .attacks = 1, .networks = 2, .areas = 2, .area = areas };
    static const int first[SEEDS][IMAGES] = { { 0, 2, 4 }, { 1, 2, -1 }, { 0, 0, 2 } };
    static const int second[SEEDS][IMAGES] = { { 2, 4, 4 }, { 2, 4, 0 }, { 3, -1, 3 } };
    static const int small[SEEDS][IMAGES] = { { 3, 2, 4 }, { 1, 3, -1 }, { 4, 4, 3 } };

    study.told = calloc(seeds * 2, sizeof *study.told);
    study.own = calloc(seeds * 4, sizeof *study.own);
    for (size_t s = 0; s < seeds; s++) {
        tell(df_attack_told_of(&study, s, 0, 0), first[s], 0.25 * (double)s, 0.5, 0.3);
        tell(df_attack_told_of(&study, s, 0, 1), second[s], s == 1 ? (double)NAN : 0.5, s == 2 ? -1 : 0.4, 0.1);
        tell(df_attack_own_of(&study, s, 0, 0), small[s], 0, 0, 0);
        tell(df_attack_own_of(&study, s, 0, 1), first[s], 0, 0, 0);
    }
    return study;
}

static void means_leave_out_what_is_not_there(void **state)
{
    struct df_attack_study study = study_of(SEEDS);
    const struct df_attack_means first = df_attack_means_of(&study, 0, 0), second = df_attack_means_of(&study, 0, 1);

    (void)state;
    assert_close(first.rate, 0.25, 1e-12, 0);
    assert_close(first.score, 0.5, 1e-12, 0);
    assert_close(first.drop, 20, 1e-12, 0);
    assert_int_equal(first.left_out, 3);
    assert_int_equal(first.images, 9);
    assert_close(second.rate, 0.5, 1e-12, 0);
    assert_close(second.drop, 30, 1e-12, 0); /* without the seed that has nothing to measure */
    df_attack_study_release(&study);
    assert_null(study.told);
}

/* Over all seeds: seven images in two at 1 %, five more at 2 %, one not. */
static void area_is_over_all_seeds(void **state)
{
    struct df_attack_study study = study_of(SEEDS);

    (void)state;
    assert_true(df_attack_area_of(&study, 0) == 0.02);
    assert_true(isnan(df_attack_area_of(&study, 1))); /* never attacked alone */
    df_attack_study_release(&study);
}

/* Differences of the rates: seed 0: 0.5, 0.5, 0; seed 1: 0.25, 0.5, not both; seed 2: 0.75, not both, 0.25. */
static void differences_are_paired(void **state)
{
    struct df_attack_study study = study_of(SEEDS), one = study_of(1);
    const struct df_attack_side a = { 0, 0 }, b = { 0, 1 };
    const struct df_attack_difference seeds = df_attack_difference_of(&study, a, b, 0.95),
                                      images = df_attack_difference_of(&one, a, b, 0.95);
    const double by_seed[] = { 1.0 / 3, 0.375, 0.5 }, by_image[] = { 0.5, 0.5, 0 };
    const struct df_interval expected = df_mean_interval(by_seed, 3, 0.95), alone = df_mean_interval(by_image, 3, 0.95);

    (void)state;
    assert_false(seeds.of_images);
    assert_int_equal(seeds.interval.n, 3);
    assert_close(seeds.interval.mean, expected.mean, 1e-12, 0);
    assert_close(seeds.interval.low, expected.low, 1e-12, 0);
    assert_close(seeds.interval.high, expected.high, 1e-12, 0);
    assert_true(images.of_images);
    assert_close(images.interval.mean, alone.mean, 1e-12, 0);
    assert_close(images.interval.high, alone.high, 1e-12, 0);
    for (size_t i = 0; i < IMAGES; i++)
        df_attack_told_of(&one, 0, 0, 1)->image[i].clean = 0;
    assert_int_equal(df_attack_difference_of(&one, a, b, 0.95).interval.n, 0);
    assert_true(isnan(df_attack_difference_of(&one, a, b, 0.95).interval.mean));
    df_attack_study_release(&study);
    df_attack_study_release(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(means_leave_out_what_is_not_there), cmocka_unit_test(area_is_over_all_seeds),
                                        cmocka_unit_test(differences_are_paired) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
