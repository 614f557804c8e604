/* Two journals side by side: equal rows, each kind of value that may differ, and rows that only one has. */
#include "results/journal_diff.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/support.h"

static struct df_run_row *add(struct df_journal *journal, const char *run, const char *device, const char *environment)
{
    struct df_run_row *row = df_journal_add(journal);

    row->semantics = 2;
    row->run = run;
    row->label = "DeFeat neck";
    row->axes = "w=1";
    row->seed = 3;
    row->status = "ok";
    row->device = device;
    row->environment = environment;
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "", 0.25 });
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "disk", NAN });
    df_curve_add(&row->curve, journal->memory, (struct df_curve_point){ 100, 0.5, "tune", "AP", 0.125 });
    return row;
}

struct pair {
    struct df_journal *here, *there;
    struct df_journal_diff diff;
    struct df_text said;
};

static int set_up(void **state)
{
    static struct pair pair;

    pair = (struct pair){ .here = df_journal_new(), .there = df_journal_new() };
    *state = &pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;

    df_journal_free(pair->here);
    df_journal_free(pair->there);
    df_text_release(&pair->said);
    return 0;
}

static void compare(struct pair *pair)
{
    pair->diff = (struct df_journal_diff){ 0 };
    df_text_clear(&pair->said);
    df_journal_compare(pair->here, pair->there, &pair->diff, &pair->said);
}

static void assert_counts(const struct pair *pair, size_t equal, size_t differ, size_t only_here, size_t only_there, size_t versions)
{
    assert_int_equal(pair->diff.equal, equal);
    assert_int_equal(pair->diff.differ, differ);
    assert_int_equal(pair->diff.only_here, only_here);
    assert_int_equal(pair->diff.only_there, only_there);
    assert_int_equal(pair->diff.versions, versions);
}

/* Times, machine, telemetry and the order of the scores are not compared. */
static void equal_rows_are_equal(void **state)
{
    struct pair *pair = *state;
    struct df_run_row *a = add(pair->here, "a", "cpu", "{\"isa\":\"v4\"}"), *b = add(pair->there, "a", "cpu", "{\"isa\":\"v3\"}");
    const struct df_score first = b->scores.score[0];

    df_curve_add(&a->curve, pair->here->memory, (struct df_curve_point){ 100, 0.5, "train", "telemetry.cosine", 0.5 });
    df_curve_add(&a->curve, pair->here->memory, (struct df_curve_point){ 200, 1, "tune", "AP", 0.25 });
    df_curve_add(&b->curve, pair->there->memory, (struct df_curve_point){ 200, 1, "tune", "AP", 0.25 });
    a->train_seconds = 1;
    b->revision = "other";
    b->scores.score[0] = b->scores.score[1];
    b->scores.score[1] = first;
    compare(pair);
    assert_counts(pair, 1, 0, 0, 0, 0);
    assert_string_equal(df_text_get(&pair->said), "");
}

static void assert_said(struct pair *pair, const char *what)
{
    compare(pair);
    assert_counts(pair, 0, 1, 0, 0, 0);
    if (!strstr(pair->said.data, what))
        fail_msg("said: %s", pair->said.data);
    assert_string_equal(strchr(pair->said.data, '\n'), "\n"); /* one line */
}

static void what_differs_is_named(void **state)
{
    struct pair *pair = *state;
    struct df_run_row *a = add(pair->here, "a", "cpu", ""), *b = add(pair->there, "a", "cpu", "");

    b->status = "failed: x";
    assert_said(pair, "DeFeat neck w=1 seed 3 (run a): 1 values differ; the first: status is ok here, failed: x there");
    b->status = "ok";
    b->scores.score[0].value = nextafter(0.25, 1);
    assert_said(pair, "1 values differ; the first: AP is 0.25 here, 0.25000000000000006 there");
    b->scores.score[0].value = 0.25;
    b->scores.score[1].class = "ring";
    assert_said(pair, "2 values differ; the first: AP of disk is nothing here, no such score there");
    b->scores.score[1].class = "disk";
    b->scores.score[1].value = 0.5;
    assert_said(pair, "1 values differ; the first: AP of disk is nothing here, 0.5 there");
    b->scores.score[1].value = NAN;
    a->curve.point[0].value = 0.1;
    assert_said(pair, "value 1 of the curve (epoch, value) is tune AP at step 100,0.5,0.1 here, tune AP at step 100,0.5,0.125 there");
    a->curve.count = 0;
    assert_said(pair, "is nothing here, tune AP at step 100,0.5,0.125 there");
    a->curve.count = b->curve.count = 0;
    compare(pair);
    assert_counts(pair, 1, 0, 0, 0, 0);
}

static void rows_of_one_journal_are_counted(void **state)
{
    struct pair *pair = *state;

    add(pair->here, "a", "cpu", "");
    add(pair->here, "b", "cpu", "");
    add(pair->there, "b", "cpu", "");
    add(pair->there, "c", "cpu", "");
    add(pair->there, "d", "cpu", "")->semantics = 1;
    compare(pair);
    assert_counts(pair, 1, 0, 1, 1, 1);
}

/* On a GPU another environment's row is another row. */
static void environments_count_on_cuda(void **state)
{
    struct pair *pair = *state;

    add(pair->here, "a", "cuda", "one");
    add(pair->there, "a", "cuda", "one");
    add(pair->there, "a", "cuda", "two");
    compare(pair);
    assert_counts(pair, 1, 0, 0, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_rows_are_equal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_differs_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_of_one_journal_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(environments_count_on_cuda, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
