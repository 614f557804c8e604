/* Patches by hand: the budget to the pixel, regions, blocks, both choices and both searches, the steps, the scorer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/evasion.h"
#include "ablations/behaviour/patch_attack.h"
#include "tests/support/support.h"

static struct df_image image_of(int width, int height, uint8_t value)
{
    struct df_image image = { 0 };

    df_image_reserve(&image, width, height, 0);
    memset(image.pixels, value, 3 * (size_t)width * (size_t)height);
    return image;
}

static uint8_t *pixel(struct df_image *image, int x, int y) { return image->pixels + 3 * (y * image->width + x); }

/* ---- budget and regions ---- */

/* The challenge's own numbers: 500 x 500, 2 % are 5000 pixels. */
static void exactly_met_passes(void **state)
{
    struct df_image clean = image_of(500, 500, 7), patched = image_of(500, 500, 7);
    const struct df_patch_budget budget = { 0.02, 10 };
    struct df_patch_use use;

    (void)state;
    for (int i = 0; i < 5000; i++)
        pixel(&patched, i % 100, i / 100)[1] = 8;
    use = df_patch_measure(&clean, &patched);
    assert_int_equal(use.changed, 5000);
    assert_int_equal(use.regions, 1);
    assert_true(df_patch_within(use, budget, 250000));
    assert_close(df_evasion_score(&(struct df_evasion){ 4, 1, use, 250000 }, budget, true), 0.75, 1e-12, 0); /* A is 1 then */
    pixel(&patched, 499, 499)[2] = 0;
    use = df_patch_measure(&clean, &patched);
    assert_int_equal(use.changed, 5001);
    assert_int_equal(use.regions, 2);
    assert_false(df_patch_within(use, budget, 250000));
    assert_int_equal(df_patch_pixels((struct df_patch_budget){ 0.29, 1 }, 100), 29); /* 28.999999999999996 */
    assert_int_equal(df_patch_pixels((struct df_patch_budget){ 0.5, 1 }, 7), 3);
    df_image_release(&clean);
    df_image_release(&patched);
}

/* The challenge's scorer added the signed differences of the channels: this change was free. */
static void what_cancels_is_a_change(void **state)
{
    struct df_image clean = image_of(5, 4, 100), patched = image_of(5, 4, 100);

    (void)state;
    pixel(&patched, 2, 1)[0] = 130;
    pixel(&patched, 2, 1)[2] = 70;
    assert_int_equal(df_patch_measure(&clean, &patched).changed, 1);
    df_image_release(&clean);
    df_image_release(&patched);
}

static void corners_connect(void **state)
{
    static const int at[][2] = { { 0, 0 }, { 1, 1 }, { 2, 0 }, { 4, 2 }, { 0, 3 }, { 1, 3 } };
    struct df_image clean = image_of(5, 4, 100), patched = image_of(5, 4, 100);

    (void)state;
    assert_int_equal(df_patch_measure(&clean, &patched).regions, 0);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        pixel(&patched, at[i][0], at[i][1])[i % 3]++;
    assert_int_equal(df_patch_measure(&clean, &patched).regions, 3);
    assert_true(df_patch_within((struct df_patch_use){ 6, 3 }, (struct df_patch_budget){ 0.3, 3 }, 20));
    assert_false(df_patch_within((struct df_patch_use){ 6, 4 }, (struct df_patch_budget){ 0.3, 3 }, 20));
    assert_false(df_patch_within((struct df_patch_use){ 7, 3 }, (struct df_patch_budget){ 0.3, 3 }, 20));
    pixel(&patched, 3, 1)[0] = 0; /* joins the upper two of them */
    assert_int_equal(df_patch_measure(&clean, &patched).regions, 2);
    df_image_release(&clean);
    df_image_release(&patched);
}

/* ---- blocks ---- */

static void blocks_are_the_authors(void **state)
{
    const struct df_patch_grid grid = df_patch_grid_of((struct df_patch_budget){ 0.02, 10 }, 0, 500, 500);
    const struct df_patch_grid small = df_patch_grid_of((struct df_patch_budget){ 0.02, 10 }, 0, 96, 64);
    const struct df_patch_grid given = df_patch_grid_of((struct df_patch_budget){ 0.1, 10 }, 5, 23, 11);
    const struct df_patch_grid none = df_patch_grid_of((struct df_patch_budget){ 0.01, 10 }, 5, 23, 11);

    (void)state;
    assert_true(grid.side == 22 && grid.columns == 22 && grid.rows == 22 && grid.most == 10);
    assert_true(small.side == 2 && small.columns == 48 && small.rows == 32 && small.most == 10);
    assert_true(given.side == 5 && given.columns == 4 && given.rows == 2 && given.most == 1); /* 25 pixels are one block */
    assert_true(none.most == 0);
}

static void importance_is_a_mean(void **state)
{
    const struct df_patch_grid grid = df_patch_grid_of((struct df_patch_budget){ 1, 10 }, 2, 5, 4);
    double noise[5 * 4 * 3] = { 0 }, importance[4] = { 0, 1, 0, 0 };
    bool chosen[4] = { true, true, false, true };
    uint8_t mask[20];

    (void)state;
    noise[3 * (2 * 5 + 0) + 1] = -6;   /* block 2 */
    noise[3 * (3 * 5 + 3) + 2] = 12;   /* block 3 */
    noise[3 * (0 * 5 + 4) + 2] = 1000; /* in none */
    df_patch_importance(&grid, noise, 2, importance);
    assert_true(importance[0] == 0 && importance[1] == 1 && importance[2] == 1 && importance[3] == 2);
    importance[0] = 1;
    df_patch_keep(&grid, importance, 2, chosen);
    assert_true(chosen[0] && !chosen[1] && !chosen[2] && chosen[3]); /* of equal ones the first; what was out stays out */
    df_patch_mask(&grid, chosen, mask);
    assert_memory_equal(mask, "\1\1\0\0\0\1\1\0\0\0\0\0\1\1\0\0\0\1\1\0", 20);
}

/* ---- the attack on made-up networks ---- */

/* Networks whose loss is a weighted sum of blocks' brightness: block b of a 4 x 4 grid of 2 x 2 pixels. */
struct toy {
    double weight[2][16], least; /* of the loss, which is never below 0 */
    const struct df_image *clean;
    size_t calls, most_changed[64]; /* blocks that were changed at each call */
};

static size_t block_of(size_t p) { return p / 8 / 2 * 4 + p % 8 / 2; }

static df_status toy_slope(void *self, size_t k, const struct df_image *image, double *loss, double *slope, struct df_error *err)
{
    struct toy *toy = self;
    bool changed[16] = { false };

    (void)err;
    *loss = -toy->least;
    for (size_t p = 0; p < 64; p++)
        for (size_t c = 0; c < 3; c++) {
            const double weight = toy->weight[k][block_of(p)];

            *loss += weight * image->pixels[3 * p + c];
            slope[3 * p + c] = weight;
            changed[block_of(p)] |= image->pixels[3 * p + c] != toy->clean->pixels[3 * p + c];
        }
    for (size_t b = 0; b < 16; b++)
        toy->most_changed[toy->calls % 64] += changed[b];
    toy->calls++;
    return DF_OK;
}

static struct df_attack_options options_for(size_t blocks)
{
    return (struct df_attack_options){ .budget = { (double)(4 * blocks) / 64, blocks },
                                       .side = 2,
                                       .select_steps = 3,
                                       .steps = 50,
                                       .patience = 5,
                                       .select_step = 2,
                                       .step = 6,
                                       .decay = 0.93,
                                       .least_step = 1 };
}

/* Blocks that the attack has changed, as bits. */
static unsigned attacked_blocks(struct toy *toy, size_t networks, const struct df_attack_options *options, struct df_attack_result *result)
{
    struct df_image clean = image_of(8, 8, 200), out = { 0 };
    const struct df_attacked attacked = { toy, networks, toy_slope };
    struct df_error err = { 0 };
    unsigned blocks = 0;

    toy->clean = &clean;
    toy->calls = 0;
    memset(toy->most_changed, 0, sizeof toy->most_changed);
    assert_ok(df_attack_image(options, &attacked, &clean, &out, result, &err));
    for (size_t p = 0; p < 64; p++)
        blocks |= memcmp(clean.pixels + 3 * p, out.pixels + 3 * p, 3) ? 1U << block_of(p) : 0;
    df_image_release(&clean);
    df_image_release(&out);
    return blocks;
}

/* One network shouts, the other one whispers: the mean of the losses hears the first alone, the consensus both. */
static void consensus_hears_everybody(void **state)
{
    struct toy toy = { .weight = { { [0] = 100, [1] = 60 }, { [5] = 1 } } };
    struct df_attack_options options = options_for(2);
    struct df_attack_result result;

    (void)state;
    assert_int_equal(attacked_blocks(&toy, 2, &options, &result), 1 << 0 | 1 << 1);
    assert_true(result.after < result.before);
    options.choice = DF_BLOCKS_CONSENSUS;
    assert_int_equal(attacked_blocks(&toy, 2, &options, &result), 1 << 0 | 1 << 5);
    assert_int_equal(attacked_blocks(&toy, 1, &options, &result), 1 << 0 | 1 << 1); /* of one network: the same */

    /* a network whose noise is spread thin has no more to say than one that knows where: of 3.7 against 1.5 in all, 1 is less than 0.5 */
    struct toy spread = { .weight = { { [0] = 1, [1] = 0.9, [2] = 0.9, [3] = 0.9 }, { [5] = 1, [6] = 0.5 } } };

    assert_int_equal(attacked_blocks(&spread, 2, &options, &result), 1 << 5 | 1 << 6);
}

/* All blocks are attacked first; then the half that stayed, and that half alone, and so on. */
static void bisection_halves(void **state)
{
    struct toy toy = { .weight = { { [3] = 9, [7] = 8 } } };
    struct df_attack_options options = options_for(2);
    struct df_attack_result result;

    (void)state;
    for (size_t b = 0; b < 16; b++)
        toy.weight[0][b] += 1;
    options.steps = 1;
    assert_int_equal(attacked_blocks(&toy, 1, &options, &result), 1 << 3 | 1 << 7);
    assert_int_equal(toy.calls, 3 + 2);
    options.search = DF_BLOCKS_BISECTION;
    assert_int_equal(attacked_blocks(&toy, 1, &options, &result), 1 << 3 | 1 << 7);
    assert_int_equal(toy.calls, 3 * 3 + 2);
    assert_true(toy.most_changed[0] == 0 && toy.most_changed[2] == 16);
    assert_true(toy.most_changed[3] == 0 && toy.most_changed[5] == 8); /* begun anew */
    assert_true(toy.most_changed[8] == 4 && toy.most_changed[10] == 2);
}

/* The image gets dark where the slope is up, and stops at 0; bright where it is down, and stops at 255. */
static void steps_go_down_the_slope(void **state)
{
    struct toy toy = { .weight = { { [10] = 1, [15] = -1 } }, .least = -255.0 * 12 };
    struct df_image clean = image_of(8, 8, 200), out = { 0 };
    const struct df_attacked attacked = { &toy, 1, toy_slope };
    struct df_attack_options options = options_for(2);
    struct df_attack_result result;
    struct df_error err = { 0 };

    (void)state;
    toy.clean = &clean;
    assert_ok(df_attack_image(&options, &attacked, &clean, &out, &result, &err));
    for (size_t i = 0; i < 3 * 64; i++)
        assert_int_equal(out.pixels[i], block_of(i / 3) == 10 ? 0 : block_of(i / 3) == 15 ? 255 : 200);
    assert_close(result.before, 255.0 * 12, 0, 1e-9);
    assert_close(result.after, 0, 0, 1e-9);
    df_image_release(&clean);
    df_image_release(&out);
}

/* One pixel's red is to reach a value; the loss is how far it is from there. */
struct goal {
    double value;
    size_t calls;
};

static df_status goal_slope(void *self, size_t k, const struct df_image *image, double *loss, double *slope, struct df_error *err)
{
    struct goal *goal = self;
    const double off = image->pixels[0] - goal->value;

    (void)k;
    (void)err;
    memset(slope, 0, 3 * (size_t)image->width * (size_t)image->height * sizeof *slope);
    slope[0] = off > 0 ? 1 : -1;
    *loss = fabs(off);
    goal->calls++;
    return DF_OK;
}

static uint8_t reach(double value, const struct df_attack_options *how, struct df_attack_result *result)
{
    struct df_image clean = image_of(4, 4, 100), out = { 0 };
    struct goal goal = { .value = value };
    const struct df_attacked attacked = { &goal, 1, goal_slope };
    struct df_error err = { 0 };
    uint8_t red;

    assert_ok(df_attack_image(how, &attacked, &clean, &out, result, &err));
    red = out.pixels[0];
    out.pixels[0] = 100;
    assert_memory_equal(out.pixels, clean.pixels, 48); /* nothing else has a slope */
    df_image_release(&clean);
    df_image_release(&out);
    return red;
}

static void steps_decay(void **state)
{
    struct df_attack_options how = {
        .budget = { 1.0 / 16, 1 }, .select_steps = 1, .steps = 20, .patience = 1, .select_step = 1, .step = 6, .decay = 0.5, .least_step = 1
    };
    struct df_attack_result result;

    (void)state;
    assert_int_equal(reach(97, &how, &result), 97); /* 100, 94: as far, the step is halved; 97 */
    assert_int_equal(result.iterations, 2);
    assert_true(result.before == 3 && result.after == 0);
    how.step = 3;
    how.decay = 0.01;
    assert_int_equal(reach(98, &how, &result), 98); /* 100, 97, 100: the step is 1, not 0.03; 99, 98 */
    assert_int_equal(result.iterations, 4);
    how.steps = 2;
    assert_int_equal(reach(98, &how, &result), 97); /* the best one, not the last */
    assert_true(result.after == 1);
    how.patience = 2;
    how.steps = 20;
    assert_int_equal(reach(98, &how, &result), 98); /* 100, 97, 100: not below what it was 2 before; 99, 98 */
    assert_int_equal(result.iterations, 4);
}

static void nothing_to_hide_nothing_changes(void **state)
{
    struct df_attack_options how = {
        .budget = { 1.0 / 16, 1 }, .select_steps = 1, .steps = 20, .patience = 1, .select_step = 1, .step = 6, .decay = 0.5, .least_step = 1
    };
    struct df_attack_result result;

    (void)state;
    assert_int_equal(reach(100, &how, &result), 100);
    assert_true(result.iterations == 0 && result.after == 0);
    how.budget.area = 0.5 / 16; /* pays for no pixel */
    assert_int_equal(reach(0, &how, &result), 100);
    assert_true(result.after == 100);
    how.search = DF_BLOCKS_BISECTION;
    assert_int_equal(reach(0, &how, &result), 100);
}

/* ---- the control ---- */

static void control_covers_as_much(void **state)
{
    const struct df_attack_options options = options_for(3);
    struct df_image clean = image_of(8, 8, 100), out[4] = { { 0 } };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        df_attack_at_random(&options, i == 1 ? 6 : 5, i == 2, &clean, &out[i]); /* the same, another seed, another image, the same */
    for (size_t i = 0; i < 3; i++) {
        const struct df_patch_use use = df_patch_measure(&clean, &out[i]);

        assert_true(use.changed == 12 && use.regions >= 1 && use.regions <= 3);
    }
    assert_memory_not_equal(out[0].pixels, out[1].pixels, 192);
    assert_memory_not_equal(out[0].pixels, out[2].pixels, 192);
    assert_memory_equal(out[0].pixels, out[3].pixels, 192);
    for (size_t i = 0; i < 4; i++)
        df_image_release(&out[i]);
    df_image_release(&clean);
}

/* ---- the scorer ---- */

static void scorer_is_the_challenges(void **state)
{
    const struct df_patch_budget budget = { 0.02, 10 };
    const struct df_patch_use use = { 1250, 3 };

    (void)state;
    assert_true(df_evasion_rate(&(struct df_evasion){ .clean = 4, .left = 1 }) == 0.75);
    assert_true(df_evasion_rate(&(struct df_evasion){ .clean = 4, .left = 9 }) == 0); /* more boxes do not help */
    assert_true(df_evasion_rate(&(struct df_evasion){ .clean = 4, .left = 0 }) == 1);
    assert_true(isnan(df_evasion_rate(&(struct df_evasion){ .clean = 0, .left = 2 })));
    assert_close(df_evasion_score(&(struct df_evasion){ 4, 1, use, 250000 }, budget, true), 1.75 * 0.75, 1e-12, 0);
    assert_true(df_evasion_score(&(struct df_evasion){ 4, 1, use, 250000 }, budget, false) == 0);
    assert_true(df_evasion_score(&(struct df_evasion){ 4, 1, { 0, 0 }, 250000 }, budget, true) == 0); /* nothing changed */
    assert_true(isnan(df_evasion_score(&(struct df_evasion){ 0, 0, use, 250000 }, budget, true)));
}

static void area_is_a_median(void **state)
{
    static const double area[] = { 0.01, 0.02, 0.04 };
    static const double rate[][3] = { { 0, 0.5, 1 }, { 0.49, 0, 0.7 }, { 0, 0, 0.4 }, { 1, 0, 0 } };

    (void)state;
    assert_true(df_evasion_area(rate[0], 1, area, 3) == 0.02);
    assert_close(df_evasion_area(rate[0], 2, area, 3), 0.03, 1e-12, 0);
    assert_true(df_evasion_area(rate[0], 3, area, 3) == 0.04);
    assert_close(df_evasion_area(rate[0], 4, area, 3), 0.03, 1e-12, 0); /* 0.01, 0.02, 0.04, none */
    assert_true(isinf(df_evasion_area(rate[2], 1, area, 3)));
    assert_true(isnan(df_evasion_area(rate[0], 0, area, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_met_passes),
        cmocka_unit_test(what_cancels_is_a_change),
        cmocka_unit_test(corners_connect),
        cmocka_unit_test(blocks_are_the_authors),
        cmocka_unit_test(importance_is_a_mean),
        cmocka_unit_test(consensus_hears_everybody),
        cmocka_unit_test(bisection_halves),
        cmocka_unit_test(steps_go_down_the_slope),
        cmocka_unit_test(steps_decay),
        cmocka_unit_test(nothing_to_hide_nothing_changes),
        cmocka_unit_test(control_covers_as_much),
        cmocka_unit_test(scorer_is_the_challenges),
        cmocka_unit_test(area_is_a_median),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
