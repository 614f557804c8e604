/* Choosing by the tuning split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "results/tuning.h"
#include "tests/support/support.h"

static struct df_run_row run_row(const char *run, const char *label, const char *axes, double ap)
{
    struct df_run_row row = { .schema = DF_JOURNAL_SCHEMA,
                              .semantics = 1,
                              .run = run,
                              .spec = "s",
                              .label = label,
                              .axes = axes,
                              .cell = "{}",
                              .status = "ok",
                              .class_ap = "disk=0.5",
                              .revision = "",
                              .device = "",
                              .environment = "",
                              .started = "",
                              .finished = "" };

    for (size_t m = 0; m < DF_METRICS; m++)
        row.metric[m] = ap;
    return row;
}

static void the_last_tuning_point_counts_not_validation(void **state)
{
    struct df_run_row runs[] = { run_row("a", "x", "w=1", 0.9), run_row("b", "x", "w=2", 0.1), run_row("c", "y", "", 0.5) };
    struct df_curve_row curves[] = { { .run = "a", .step = 10, .split = "tune", .map = 0.8 },
                                     { .run = "b", .step = 20, .split = "tune", .map = 0.4 },
                                     { .run = "a", .step = 20, .split = "tune", .map = 0.3 },
                                     { .run = "a", .step = 30, .split = "other", .map = 0.99 } };
    struct df_journal journal = { .runs = 3, .curves = 4, .run = runs, .curve = curves };

    (void)state;
    df_journal_judge_by_curve(&journal, "tune");
    assert_close(runs[0].metric[0], 0.3, 0, 0);
    assert_close(runs[1].metric[0], 0.4, 0, 0);
    assert_true(isnan(runs[2].metric[0]));
    assert_true(isnan(runs[0].metric[1]));

    const char *const ids[] = { "a", "b", "c" };
    const int64_t seed = 0;
    struct df_table_line_request lines[] = { { "x", "w=1", 1, &ids[0], &seed },
                                             { "x", "w=2", 1, &ids[1], &seed },
                                             { "y", "", 1, &ids[2], &seed } };
    const struct df_table_request request = { .title = "t", .lines = 3, .line = lines, .semantics = 1, .teacher = "" };
    struct df_table *table;
    struct df_error err = { 0 };
    struct df_text text = DF_TEXT_INIT;

    assert_ok(df_table_build(&journal, &request, &table, &err));
    df_table_best(table, &text);
    assert_string_equal(df_text_get(&text), "x\tw=2\t40.00\t2 tried\n");
    df_text_release(&text);
    df_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_last_tuning_point_counts_not_validation) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
