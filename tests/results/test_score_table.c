/* Differences in several scores over the made-up journal: numbers by hand, which rows make a pair, the forms as golden text (tests/golden/tables). */
#include "results/score_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/csv_rows.h"
#include "tests/results/sample.h"
#include "tests/support/support.h"

enum { AP75 = 2 };
static struct df_error err;

static const char *const metric[] = { "AP", "AP75" }, *const head[] = { "all", "a_b" };
static const struct df_score_columns columns = { .title = "errors", .count = 2, .metric = metric, .head = head, .notes = "What it is.\n" };

/* AP75 falls where AP rises: 90 - 2 AP. */
static void fill(struct sample *s)
{
    sample_fill(s);
    for (size_t i = 0; i < s->journal.runs; i++)
        s->score[i][AP75].value = .9 - 2 * s->score[i][0].value;
}

static struct df_score_table *table_of(const struct sample *s)
{
    struct df_score_table *table;

    assert_ok(df_score_table_build(&s->journal, &s->request, &columns, &table, &err));
    return table;
}

static void numbers_by_hand(void **state)
{
    struct sample s;

    (void)state;
    fill(&s);
    struct df_score_table *t = table_of(&s);
    const double p = 1 - .05 / 8 / 2, quantile = (2 * p - 1) / sqrt(2 * p * (1 - p)); /* of Student's t, 2 degrees of freedom */

    assert_int_equal(t->comparisons, 8); /* 4 lines to the first, 2 scores */
    assert_close(t->confidence, 1 - .05 / 8, 1e-15, 0);
    assert_true(t->line[0].pairs == 0 && t->line[0].runs == 3);
    assert_close(t->line[0].value[0].mean, 31, 1e-12, 0);
    assert_close(t->line[0].value[0].high, 31 + 4.30265272974946385 / sqrt(3), 1e-10, 0);
    assert_close(t->line[0].value[1].mean, 28, 1e-12, 0);
    /* 2, 2.1, 1.9, and twice that downwards */
    assert_int_equal(t->line[1].pairs, 3);
    assert_close(t->line[1].difference[0].mean, 2, 1e-12, 0);
    assert_close(t->line[1].difference[0].low, 2 - quantile * .1 / sqrt(3), 1e-9, 0);
    assert_close(t->line[1].difference[1].mean, -4, 1e-12, 0);
    assert_close(t->line[1].difference[1].high, -4 + quantile * .2 / sqrt(3), 1e-9, 0);
    assert_int_equal(t->line[3].pairs, 2); /* the failed row is in none */
    assert_close(t->line[3].difference[0].mean, .5, 1e-12, 0);
    assert_true(t->line[4].pairs == 1 && t->line[4].runs == 1 && isnan(t->line[4].difference[0].low));
    df_score_table_free(t);
}

/* Both rows have all the scores, one seed, one teacher. */
static void what_makes_a_pair(void **state)
{
    struct sample s;

    (void)state;
    fill(&s);
    s.score[4][AP75].value = -1; /* nothing to measure, line 1 */
    s.score[0][AP75].value = 0;  /* a score like any other */
    s.row[5].environment = "{\"teacher\":\"2\"}";
    s.row[2].environment = "{\"teacher\":\"1\"}";
    struct df_score_table *t = table_of(&s);

    assert_true(t->line[1].runs == 2 && t->line[1].pairs == 1 && t->line[1].unpaired == 1);
    assert_close(t->line[1].difference[1].mean, 90 - 2 * 32, 1e-12, 0);
    assert_int_equal(t->line[2].pairs, 3);
    df_score_table_free(t);

    fill(&s);
    s.row[0].seed = 20; /* and the third one's is 0 */
    s.row[2].seed = 0;
    t = table_of(&s);
    assert_int_equal(t->line[1].pairs, 3);
    assert_close(t->line[1].difference[0].sd, sqrt((4 + .01 + 1.9 * 1.9) / 2), 1e-12, 0); /* 32 - 32, 33.1 - 31, 33.9 - 30 */
    df_score_table_free(t);

    s.line[1].baseline = SAMPLE_LINES;
    assert_fails(df_score_table_build(&s.journal, &s.request, &columns, &t, &err), DF_ERR_USAGE, "line 1 has line 5");
    s.request.lines = 0;
    assert_fails(df_score_table_build(&s.journal, &s.request, &columns, &t, &err), DF_ERR_USAGE, "0 lines and 2 scores");
}

/* DF_WRITE_GOLDEN=1 writes the files anew; the diff is for a person to read. */
static void check_golden(const char *name, const struct df_text *text)
{
    char *path = df_path_join("tests/golden/tables", name), *want;
    size_t bytes;

    if (getenv("DF_WRITE_GOLDEN"))
        assert_ok(df_file_write(path, text->data, text->length, &err));
    assert_ok(df_file_read(path, 0, &want, &bytes, &err));
    assert_string_equal(text->data, want);
    free(want);
    free(path);
}

static void golden_forms(void **state)
{
    static const char *const name[] = { "scores.txt", "scores.md", NULL, "scores.tex" };
    struct sample s;
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    fill(&s);
    s.row[5].environment = "{\"teacher\":\"2\"}";
    s.row[2].environment = "{\"teacher\":\"1\"}";
    struct df_score_table *t = table_of(&s);

    for (int f = DF_TABLE_TEXT; f <= DF_TABLE_LATEX; f++) {
        df_text_clear(&text);
        df_score_table_print(t, (enum df_table_format)f, "And 100 % more.\n", &text);
        if (name[f])
            check_golden(name[f], &text);
    }
    df_text_release(&text);
    df_score_table_free(t);
}

static bool says(const struct sample *s, const char *words)
{
    struct df_score_table *t = table_of(s);
    struct df_text text = DF_TEXT_INIT;

    df_score_table_print(t, DF_TABLE_TEXT, "", &text);
    const bool said = strstr(text.data, words) != NULL;

    df_text_release(&text);
    df_score_table_free(t);
    return said;
}

static void the_answer_comes_first(void **state)
{
    struct sample s;

    (void)state;
    fill(&s);
    assert_true(says(&s, "errors\nOutside the noise: DeFeat | 100% & {neck}_1 w_fg=4 w_bg=16: all +2.00, a_b -4.00.\n"));
    for (size_t i = 0; i < SAMPLE_SEEDS; i++)
        s.score[2 * SAMPLE_SEEDS + i][AP75].value = s.score[i][AP75].value + .1 + .001 * (double)i;
    assert_true(says(&s, "a_b -4.00; full feature: a_b +10.10.\n"));
    for (size_t i = 0; i < SAMPLE_SEEDS; i++)
        s.score[2 * SAMPLE_SEEDS + i][AP75].value = s.score[SAMPLE_SEEDS + i][AP75].value = s.score[SAMPLE_SEEDS + i][0].value =
            i ? .3 : .2;
    assert_true(says(&s, "errors\nEvery difference is inside the noise.\n"));
    s.journal.runs = 0;
    assert_true(says(&s, "errors\nNo pairs, so no differences.\n"));
}

static void csv_is_readable(void **state)
{
    struct sample s;
    struct df_text text = DF_TEXT_INIT;
    struct df_csv_row row = { 0 };
    size_t rows = 0, lines;
    double value;

    (void)state;
    fill(&s);
    struct df_score_table *t = table_of(&s);

    df_score_table_print(t, DF_TABLE_CSV, "no notes\n", &text);
    for (size_t at = 0, n; (n = df_csv_row_bytes(text.data + at, text.length - at, &lines)) > 0; at += n, rows++) {
        assert_ok(df_csv_row_parse(&row, text.data + at, n, "scores", &err));
        assert_int_equal(row.count, 6 + 2 * 8);
        if (rows == 0)
            assert_string_equal(row.cell[18], "AP75_difference_mean_percent");
        if (rows == 1)
            assert_true(!row.cell[5][0] && !row.cell[18][0]); /* the baseline */
        if (rows == 2) {
            assert_string_equal(row.cell[4], "3");
            assert_true(df_parse_real(row.cell[18], &value));
            assert_close(value, -4, 1e-12, 0);
        }
    }
    assert_int_equal(rows, 1 + SAMPLE_LINES);
    df_csv_row_release(&row);
    df_text_release(&text);
    df_score_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers_by_hand), cmocka_unit_test(what_makes_a_pair),
                                        cmocka_unit_test(golden_forms), cmocka_unit_test(the_answer_comes_first),
                                        cmocka_unit_test(csv_is_readable) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
