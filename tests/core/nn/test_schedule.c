/* Learning-rate schedules and their option table. */
#include "tests/support/support.h"

#include <math.h>
#include <string.h>

#include "core/nn/optimiser.h"

static struct df_schedule standard(void)
{
    struct df_schedule schedule;

    df_options_standard(df_schedule_options, &schedule);
    return schedule;
}

static df_status read(const char *json, struct df_schedule *schedule, struct df_error *err)
{
    cJSON *object = cJSON_Parse(json);
    const df_status status = df_options_read(df_schedule_options, object, NULL, "/schedule", schedule, err);

    cJSON_Delete(object);
    return status;
}

/* 12 epochs of 100 steps: 0.01, from step 800 a tenth, from step 1100 a hundredth; warm-up over 500 steps from a thousandth */
static void test_step(void **state)
{
    const struct df_schedule schedule = standard();

    (void)state;
    assert_close(df_schedule_lr(&schedule, 0, 1200, 100), 0.01 * 0.001, 1e-14, 0);
    assert_close(df_schedule_lr(&schedule, 250, 1200, 100), 0.01 * (0.001 + 0.999 * 0.5), 1e-14, 0);
    assert_close(df_schedule_lr(&schedule, 499, 1200, 100), 0.01 * (0.001 + 0.999 * 0.998), 1e-14, 0);
    assert_close(df_schedule_lr(&schedule, 500, 1200, 100), 0.01, 0, 0);
    assert_close(df_schedule_lr(&schedule, 799, 1200, 100), 0.01, 0, 0);
    assert_close(df_schedule_lr(&schedule, 800, 1200, 100), 0.001, 1e-14, 0);
    assert_close(df_schedule_lr(&schedule, 1099, 1200, 100), 0.001, 1e-14, 0);
    assert_close(df_schedule_lr(&schedule, 1100, 1200, 100), 0.0001, 1e-14, 0);
}

static void test_cosine(void **state)
{
    struct df_schedule schedule;
    struct df_error err;

    (void)state;
    assert_ok(read("{\"lr\":3,\"decay\":\"cosine\",\"final_factor\":0.02,\"warmup_steps\":4,\"warmup_factor\":0.2}", &schedule, &err));
    assert_close(df_schedule_lr(&schedule, 100, 101, 7), 3 * 0.02, 1e-12, 0);
    assert_close(df_schedule_lr(&schedule, 50, 101, 7), 3 * 0.51, 1e-12, 0);
    assert_close(df_schedule_lr(&schedule, 25, 101, 7), 3 * (0.02 + 0.98 * 0.5 * (1 + sqrt(0.5))), 1e-12, 0);
    assert_close(df_schedule_lr(&schedule, 1, 101, 7), 3 * (0.02 + 0.98 * 0.5 * (1 + cos(acos(-1) / 100))) * 0.4, 1e-12, 0);
    assert_close(df_schedule_lr(&schedule, 0, 1, 1), 3 * 0.2, 1e-12, 0);
    schedule.warmup_steps = 0;
    assert_close(df_schedule_lr(&schedule, 0, 101, 7), 3, 0, 0);
}

static void test_options(void **state)
{
    struct df_schedule schedule;
    struct df_text help = DF_TEXT_INIT;
    struct df_error err;

    (void)state;
    df_options_markdown(df_schedule_options, &help);
    assert_non_null(strstr(help.data, "| `evaluations` | 5 | integer 5..1000 |"));
    df_text_release(&help);
    assert_ok(read("{\"optimiser\":\"adamw\",\"beta2\":0.99,\"decay\":\"none\",\"warmup_steps\":0}", &schedule, &err));
    assert_int_equal(schedule.optimiser, DF_ADAMW);
    assert_close(df_schedule_lr(&schedule, 99999, 100000, 10), 0.01, 0, 0);
    assert_int_equal(standard().decay_at.count, 2);
    assert_fails(read("{\"optimiser\":\"adamw\",\"momentum\":0.5}", &schedule, &err), DF_ERR_USAGE, "momentum");
    assert_fails(read("{\"beta1\":0.5}", &schedule, &err), DF_ERR_USAGE, "beta1");
    assert_fails(read("{\"decay\":\"cosine\",\"decay_at\":[1]}", &schedule, &err), DF_ERR_USAGE, "decay_at");
    assert_fails(read("{\"warmup_steps\":0,\"warmup_factor\":0.5}", &schedule, &err), DF_ERR_USAGE, "warmup_factor");
    assert_fails(read("{\"evaluations\":4}", &schedule, &err), DF_ERR_USAGE, "5..1000");
    assert_fails(read("{\"batch\":0}", &schedule, &err), DF_ERR_USAGE, "batch");
    assert_fails(read("{\"weight_decai\":0}", &schedule, &err), DF_ERR_USAGE, "weight_decay");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_step), cmocka_unit_test(test_cosine), cmocka_unit_test(test_options) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
