/* Choosing by the tuning split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "results/tuning.h"
#include "tests/support/support.h"

static struct df_curve_point point(int64_t step, const char *split, const char *metric, double value)
{
    return (struct df_curve_point){ step, (double)step / 10, split, metric, value };
}

/* Finished rows of one seed, and another AP on validation. */
static void add_row(struct df_journal *journal, const char *run, const char *label, const char *axes, double ap)
{
    struct df_run_row *row = df_journal_add(journal);

    row->semantics = 1;
    row->run = run;
    row->label = label;
    row->axes = axes;
    row->status = "ok";
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "", ap });
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP50", "", ap });
}

static void the_last_tuning_point_counts_not_validation(void **state)
{
    struct df_journal *journal = df_journal_new();

    (void)state;
    add_row(journal, "a", "x", "w=1", 0.9);
    add_row(journal, "b", "x", "w=2", 0.1);
    add_row(journal, "c", "y", "", 0.5);

    struct df_run_row *run = journal->run;

    df_curve_add(&run[0].curve, journal->memory, point(10, "tune", "AP", 0.8));
    df_curve_add(&run[1].curve, journal->memory, point(20, "tune", "AP", 0.4));
    df_curve_add(&run[0].curve, journal->memory, point(20, "tune", "AP", 0.3));
    df_curve_add(&run[0].curve, journal->memory, point(30, "other", "AP", 0.99));
    df_curve_add(&run[0].curve, journal->memory, point(30, "tune", "AP50", 0.98));
    df_journal_judge_by_curve(journal, "tune");
    assert_close(df_run_row_score(&run[0], "AP", ""), 0.3, 0, 0);
    assert_close(df_run_row_score(&run[1], "AP", ""), 0.4, 0, 0);
    assert_true(isnan(df_run_row_score(&run[2], "AP", "")));
    assert_true(isnan(df_run_row_score(&run[0], "AP50", "")));

    const char *const ids[] = { "a", "b", "c" };
    const int64_t seed = 0;
    struct df_table_line_request lines[] = { { "x", "w=1", 1, &ids[0], &seed },
                                             { "x", "w=2", 1, &ids[1], &seed },
                                             { "y", "", 1, &ids[2], &seed } };
    const struct df_table_request request = { .title = "t", .lines = 3, .line = lines, .semantics = 1, .teacher = "" };
    struct df_table *table;
    struct df_error err = { 0 };
    struct df_text text = DF_TEXT_INIT;

    assert_ok(df_table_build(journal, &request, &table, &err));
    df_table_best(table, &text);
    assert_string_equal(df_text_get(&text), "x\tw=2\t40.00\t2 tried\n");
    df_text_release(&text);
    df_table_free(table);
    df_journal_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_last_tuning_point_counts_not_validation) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
