/* Rows of two machines and of two teachers: what a table takes, what it leaves out, what it says. */
#include "results/environment.h"
#include "results/machines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/results/sample.h"
#include "tests/support/support.h"

#define H100 "{\"isa\":\"sm_90\",\"card\":\"H100\"}"
#define A100 "{\"isa\":\"sm_80\",\"card\":\"A100\"}"

static struct df_error err;

static struct df_table *table_of(struct sample *s)
{
    struct df_table *table;

    assert_ok(df_table_build(&s->journal, &s->request, &table, &err));
    return table;
}

static bool table_says(const struct df_table *table, const char *words)
{
    struct df_text text = DF_TEXT_INIT;

    df_table_print(table, DF_TABLE_TEXT, false, &text);
    const bool says = strstr(text.data, words) != NULL;

    df_text_release(&text);
    return says;
}

/* Of several, those of the one row must be among the other's, in whatever order. */
static void rows_of_several_teachers(void **state)
{
    struct df_run_row row = { .environment = "",
                              .cell = "{\"teachers\":{\"big\":{\"teacher\":\"0a\"},\"wide\":{\"teacher\":\"file:1b\"}}}" };
    char *named = df_row_teacher(&row);

    (void)state;
    assert_string_equal(named, "0a file:1b");
    free(named);
    assert_true(df_teachers_pair("1 2", "2"));
    assert_true(df_teachers_pair("1", "2 1"));
    assert_true(df_teachers_pair("1 2", "2 1"));
    assert_true(df_teachers_pair("", "2 1"));
    assert_false(df_teachers_pair("1 2", "2 3"));
    assert_false(df_teachers_pair("1 2", "12"));
    assert_false(df_teachers_pair("1 22", "2"));
}

static void rows_of_two_teachers_are_no_pair(void **state)
{
    struct sample s;

    (void)state;
    sample_fill(&s);
    s.row[0].environment = "{\"isa\":\"a\"}"; /* none: no teacher, pairs with every row */
    s.row[3].environment = "{\"isa\":\"a\",\"teacher\":\"1\"}";
    assert_true(df_rows_share_teacher(&s.row[0], &s.row[3]));
    s.row[0].environment = "{\"teacher\":\"2\",\"isa\":\"b\"}";
    assert_false(df_rows_share_teacher(&s.row[0], &s.row[3]));
    s.row[3].environment = "{\"isa\":\"a\",\"teacher\":\"2\"}"; /* the machine does not count */
    assert_true(df_rows_share_teacher(&s.row[0], &s.row[3]));
    s.row[3].environment = ""; /* unknown */
    assert_true(df_rows_share_teacher(&s.row[0], &s.row[3]));

    s.row[3].environment = "{\"teacher\":\"3\"}";
    struct df_table *table = table_of(&s);

    assert_int_equal(table->line[1].unpaired, 1);
    assert_int_equal(table->line[1].difference.n, 2); /* 2.1 and 1.9 */
    assert_close(table->line[1].difference.mean, 2, 1e-12, 0);
    assert_int_equal(table->line[1].points, 3); /* the row itself counts */
    assert_int_equal(table->line[2].unpaired, 0);
    assert_true(table_says(table, "w_fg=4 w_bg=16: pairs left out, for other weights taught them: 1."));
    df_table_free(table);
}

static void put_on(struct sample *s, size_t first, size_t rows, const char *device, const char *environment)
{
    for (size_t i = first; i < first + rows; i++) {
        s->row[i].device = device;
        s->row[i].environment = environment;
    }
}

static void on_cpu_the_machine_does_not_count(void **state)
{
    struct sample s;
    size_t left_out;

    (void)state;
    sample_fill(&s);
    put_on(&s, 0, 2, "cpu", A100);
    const size_t runs = s.journal.runs;

    assert_ok(df_journal_keep_environment(&s.journal, &s.request, "", &left_out, &err));
    assert_int_equal(left_out, 0);
    assert_int_equal(s.journal.runs, runs);
    assert_fails(df_journal_keep_environment(&s.journal, &s.request, "A100", &left_out, &err), DF_ERR_USAGE, "has no effect");
    assert_int_equal(s.journal.runs, runs);
}

/* 13 rows are asked for, one of them failed: 5 of an A100, 7 finished ones and the failed one of an H100, and one that nobody asks for. */
static void fill_cuda(struct sample *s)
{
    sample_fill(s);
    put_on(s, 0, s->journal.runs, "cuda+tf32", H100);
    put_on(s, 2, 5, "cuda", A100);
    s->row[2].environment = "{\"isa\":\"sm_80\",\"card\":\"A100\",\"teacher\":\"1\"}"; /* the same machine */
}

static void on_cuda_the_most_rows_of_one_machine(void **state)
{
    struct sample s;
    size_t left_out;

    (void)state;
    fill_cuda(&s);
    const size_t runs = s.journal.runs;

    assert_ok(df_journal_keep_environment(&s.journal, &s.request, "", &left_out, &err));
    assert_int_equal(left_out, 5);
    assert_int_equal(s.journal.runs, runs - 5);
    for (size_t i = 0; i < s.journal.runs; i++)
        assert_null(strstr(s.journal.run[i].environment, "A100"));
    s.request.elsewhere = left_out;
    struct df_table *table = table_of(&s);

    assert_int_equal(table->line[0].points, 2);
    assert_int_equal(table->line[1].difference.n, 0); /* none of its seeds is left */
    assert_int_equal(table->line[3].failed, 1);
    assert_true(table_says(table, "rows of another GPU, driver or build left out: 5 (--environment chooses)."));
    df_table_free(table);

    fill_cuda(&s);
    assert_ok(df_journal_keep_environment(&s.journal, &s.request, "A100", &left_out, &err));
    assert_int_equal(left_out, 7);
    table = table_of(&s);
    assert_int_equal(table->line[0].points, 1);
    assert_int_equal(table->line[1].points, 3);
    assert_int_equal(table->line[1].difference.n, 1);
    assert_int_equal(table->line[3].failed, 1); /* what failed is of no machine */
    df_table_free(table);
}

static void one_machine_must_be_meant(void **state)
{
    struct sample s;
    size_t left_out;

    (void)state;
    fill_cuda(&s);
    assert_fails(df_journal_keep_environment(&s.journal, &s.request, "sm_", &left_out, &err), DF_ERR_USAGE,
                 "is part of 2 environments, expected one [there are: " H100 ", " A100 "]");
    assert_fails(df_journal_keep_environment(&s.journal, &s.request, "V100", &left_out, &err), DF_ERR_USAGE, "is part of 0 environments");
    fill_cuda(&s); /* as many of both: the first */
    put_on(&s, 1, 6, "cuda", A100);
    assert_ok(df_journal_keep_environment(&s.journal, &s.request, "", &left_out, &err));
    assert_int_equal(left_out, 6);
    assert_string_equal(s.journal.run[0].environment, H100);
}

/* A row that only an older revision of a class tells from what is asked for is stale; others of the same label are not. */
static void rows_of_an_older_revision_are_stale(void **state)
{
    static const char now[] =
        "{\"data\":{\"kind\":\"s\"},\"detector\":{\"kind\":\"r\"},\"distillers\":[{\"name\":\"d\",\"revision\":2}],\"seed\":0}";
    static const char before[] = "{\"data\":{\"kind\":\"s\"},\"detector\":{\"kind\":\"r\"},\"distillers\":[{\"name\":\"d\"}],\"seed\":0}";
    static const char *cells[SAMPLE_SEEDS] = { now, now, now };
    struct sample s;

    (void)state;
    sample_fill(&s);
    s.line[1].cell = cells;
    s.row[3].cell = before;
    s.row[3].run = "eeeeeeeeeeeeeeee"; /* its id was another: it is not found */
    struct df_table *table = table_of(&s);

    assert_int_equal(table->line[1].stale, 1);
    assert_int_equal(table->line[1].points, 2);
    assert_int_equal(table->line[0].stale, 1); /* sample.h's row of an older semantics */
    assert_true(table_says(table, "w_fg=4 w_bg=16: 1 of 3 runs missing, stale rows of another version left out: 1."));
    df_table_free(table);
    s.row[3].seed = 99; /* a seed that nobody asks for */
    table = table_of(&s);
    assert_int_equal(table->line[1].stale, 0);
    df_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_two_teachers_are_no_pair),  cmocka_unit_test(rows_of_several_teachers),
        cmocka_unit_test(on_cpu_the_machine_does_not_count), cmocka_unit_test(on_cuda_the_most_rows_of_one_machine),
        cmocka_unit_test(one_machine_must_be_meant),         cmocka_unit_test(rows_of_an_older_revision_are_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
