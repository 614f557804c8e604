/* In a training step none of our code takes heap memory after the first, and the libraries take the same number of pieces in every step:
 * plain and distilled, teacher cached and live. On `ref` the convolutions' own sums are left out of the promise (the oracle is kept short):
 * there the number may only not grow. Reading the log of the steps takes nothing either. */
#include "ablations/run/trainer.h"
#include "tests/ablations/run/tiny.h"
#include "tests/support/heap.h"

#if COUNT_HEAP
static struct df_cell *teacher;

static void count_steps(struct df_cell *cell, int cache, const char *out)
{
    struct df_run_options options = tiny_run(out);
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    const bool oracle = strcmp(cell->device, "ref") == 0;
    size_t library = 0, own = 0;

    options.guards = true; /* passed in the first steps */
    options.cache = cache ? DF_CACHE_ON : DF_CACHE_OFF;
    cell->schedule.epochs = 30;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    for (size_t step = 1; step < DF_LOG_STEPS + 2; step++) {
        atomic_store(&heap_ours, 0);
        atomic_store(&heap_others, 0);
        assert_ok(df_trainer_step(trainer, &err));
        if (step == 1) {
            library = atomic_load(&heap_others);
            own = oracle ? atomic_load(&heap_ours) : 0;
        }
        assert_int_equal(atomic_load(&heap_ours), own);
        assert_int_equal(atomic_load(&heap_others), library);
    }
    df_trainer_free(trainer);
    df_cell_free(cell);
}

static void plain_steps_take_nothing(void **state)
{
    (void)state;
    count_steps(tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), 1, tiny_out("plain"));
    count_steps(tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 1), 1, tiny_out("plain"));
}

static void averaged_steps_take_nothing(void **state)
{
    static const char *const devices[] = { "cpu", "ref" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, devices[i], 1);

        cell->schedule.ema = 0.9;
        count_steps(cell, 1, tiny_out("averaged"));
    }
}

static void distilled_steps_take_nothing(void **state)
{
    (void)state;
    for (int cache = 0; cache < 2; cache++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);

        tiny_add(cell, "defeat", "{\"head\":\"decoupled\",\"normalise_teacher\":true}", teacher);
        count_steps(cell, cache, tiny_out("distilled"));
    }
}

/* Every kind of mask, region, reduction and row that takes scratch memory. */
static void all_options_take_nothing(void **state)
{
    static const char *const options[] = {
        "{\"mask\":\"roi\",\"level_rule\":\"matched\",\"exclude_padding\":true,\"level_reduce\":\"cells\",\"norm\":\"image\","
        "\"bb_stages\":[2,4],\"head\":\"correct\"}",
        "{\"mask\":\"gaussian\",\"level_reduce\":\"cells\",\"head\":\"bg\",\"decay\":\"cosine\",\"warmup_steps\":3}",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);

        tiny_add(cell, "defeat", options[i], teacher);
        count_steps(cell, 1, tiny_out("options"));
    }
}

/* Those with layers of their own, random masks, statistics, the teacher's dense head. */
static void imitating_steps_take_nothing(void **state)
{
#define TWO_CONVS                                                                                                                          \
    "{\"depth\":0,\"blocks\":[1,1,1],\"base_width\":8,\"widths\":[8,8,16],\"stem\":\"small\",\"fpn_stages\":[2,3,4],"                      \
    "\"fpn_channels\":8,\"extra\":\"none\",\"head_convs\":2,\"head_norm\":\"batch\"}"
    static const char *const names[] = { "fgd", "mgd", "reviewkd", "crosskd" };
    struct df_cell *equal = tiny_cell(TWO_CONVS, TINY_SCHEDULE, "cpu", 1000);
    struct df_error err = { 0 };

    (void)state;
    equal->teacher_role = true;
    assert_ok(df_cell_seal(equal, &err));
    for (size_t i = 0; i < 2 * (sizeof names / sizeof *names); i++) {
        struct df_cell *cell = tiny_cell(TWO_CONVS, TINY_SCHEDULE, "cpu", 1);

        tiny_add(cell, names[i / 2], "{}", equal);
        count_steps(cell, i % 2, tiny_out("imitating"));
    }
    df_cell_free(equal);
}

/* The teacher's RoI head on both networks' proposals. */
static void two_stage_steps_take_nothing(void **state)
{
    struct df_cell *faster_teacher = tiny_faster(1000);
    struct df_error err = { 0 };

    (void)state;
    faster_teacher->teacher_role = true;
    assert_ok(df_cell_seal(faster_teacher, &err));
    for (int cache = 0; cache < 2; cache++) {
        struct df_cell *cell = tiny_faster(1);

        tiny_add(cell, "defeat", "{\"head\":\"decoupled\",\"rois\":\"both\",\"authors_labels\":true}", faster_teacher);
        count_steps(cell, cache, tiny_out("two-stage"));
    }
    df_cell_free(faster_teacher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_steps_take_nothing),     cmocka_unit_test(averaged_steps_take_nothing),
        cmocka_unit_test(distilled_steps_take_nothing), cmocka_unit_test(all_options_take_nothing),
        cmocka_unit_test(imitating_steps_take_nothing), cmocka_unit_test(two_stage_steps_take_nothing),
    };
    int failed;

    teacher = tiny_teacher("cpu");
    failed = cmocka_run_group_tests_name("heap", tests, NULL, NULL);
    df_cell_free(teacher);
    return failed;
}
#else
static void not_counted(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(not_counted) };

    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
#endif
