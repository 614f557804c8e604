/* Tables over a small made-up journal: numbers by hand, the four forms as golden text (tests/golden/tables), runs with expanded options. */
#include "results/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/csv_rows.h"
#include "tests/results/sample.h"
#include "tests/support/support.h"

static struct df_error err;

/* t of 2 degrees for each of four intervals that hold at once with 95 %: 1 - 0.05 / 8. */
#define T_OF_FOUR 8.860200034654316

static void numbers_by_hand(void **state)
{
    (void)state;
    struct sample s;
    struct df_table *t;

    sample_fill(&s);
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
    assert_close(t->line[0].metric[0].mean, 31, 1e-12, 0);
    assert_close(t->line[0].metric[0].sd, 1, 1e-12, 0);
    assert_close(t->line[0].metric[0].high, 31 + 4.30265272974946385 / sqrt(3), 1e-10, 0);
    assert_close(t->line[0].metric[11].mean, 42, 1e-12, 0);
    assert_int_equal(t->line[0].metric[3].n, 0); /* -1: nothing to measure */
    assert_int_equal(t->line[0].difference.n, 0);
    assert_int_equal(t->line[0].stale, 1);
    assert_close(t->line[0].seconds, 63, 1e-12, 0);
    /* differences 2, 2.1, 1.9: mean 2, sd 0.1 */
    assert_close(t->line[1].difference.mean, 2, 1e-12, 0);
    assert_close(t->line[1].difference.low, 2 - T_OF_FOUR * 0.1 / sqrt(3), 1e-10, 0);
    assert_int_equal(t->comparisons, 4);
    assert_close(t->confidence, 0.9875, 1e-14, 0);
    assert_close(t->line[1].p, 4 * 0.0008322931113192301, 1e-9, 0); /* Holm: the smallest of four, one of which has none */
    assert_false(t->line[1].inside_noise);
    /* 0.5, -0.5, 0.5 */
    assert_close(t->line[2].difference.mean, 0.5 / 3, 1e-12, 0);
    assert_true(t->line[2].inside_noise);
    /* the failed seed leaves pairs 3 and -2 */
    assert_int_equal(t->line[3].failed, 1);
    assert_int_equal(t->line[3].difference.n, 2);
    assert_close(t->line[3].difference.mean, 0.5, 1e-12, 0);
    assert_int_equal(t->line[4].points, 1);
    assert_int_equal(t->line[4].expected, 3);
    assert_close(t->line[4].difference.mean, 1.5, 1e-12, 0);
    assert_true(t->line[4].inside_noise && isnan(t->line[4].difference.low));
    assert_close(t->line[1].point[2], 33.9, 1e-12, 0);
    assert_int_equal(t->line[0].classes, 2);
    assert_string_equal(t->line[0].class_name[1], "a=b");
    assert_close(t->line[0].class_ap[0].mean, 170.0 / 3, 1e-12, 0);
    assert_int_equal(t->line[0].class_ap[1].n, 1);
    df_table_free(t);
}

/* Pairs are made by seed, not by place. */
static void pairs_by_seed(void **state)
{
    (void)state;
    struct sample s;
    struct df_table *t;

    sample_fill(&s);
    const int64_t swap = s.row[0].seed;

    s.row[0].seed = s.row[2].seed;
    s.row[2].seed = swap;
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err)); /* 32 - 32, 33.1 - 31, 33.9 - 30 */
    assert_close(t->line[1].difference.mean, 2, 1e-12, 0);
    assert_close(t->line[1].difference.sd, sqrt((4 + .01 + 1.9 * 1.9) / 2), 1e-12, 0);
    df_table_free(t);
}

/* An interval that just holds 0, one that just does not, on either side. */
static void noise(void **state)
{
    (void)state;
    static const struct {
        double difference[SAMPLE_SEEDS];
        bool inside;
    } cases[] = {
        { { .05, -.05, .05 }, true }, { { .05, .04, .05 }, false }, { { -.05, -.04, -.05 }, false }, { { -.05, .05, -.05 }, true }
    };

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct sample s;
        struct df_table *t;

        sample_fill(&s);
        for (size_t i = 0; i < SAMPLE_SEEDS; i++)
            s.score[2 * SAMPLE_SEEDS + i][0].value = s.score[i][0].value + cases[c].difference[i] / 100;
        assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
        assert_int_equal(t->line[2].inside_noise, cases[c].inside ? 1 : 0);
        df_table_free(t);
    }
}

/* Lines 0 and 1 are one variant, 2 to 4 another with line 2 as its baseline. */
static void variants(void **state)
{
    (void)state;
    struct sample s;
    struct df_table *t;
    struct df_text text = DF_TEXT_INIT;

    sample_fill(&s);
    for (size_t l = 0; l < SAMPLE_LINES; l++) {
        s.line[l].variant = l < 2 ? "p=0" : "p=1";
        s.line[l].baseline = l < 2 ? 0 : 2;
    }
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
    assert_close(t->line[1].difference.mean, 2, 1e-12, 0);
    assert_int_equal(t->line[2].difference.n, 0);
    assert_close(t->line[3].difference.mean, 0.5, 1e-12, 0); /* 33 - 30.5, 29 - 30.5 */
    df_table_print(t, DF_TABLE_TEXT, false, &text);
    assert_non_null(strstr(text.data, "difference: to 'none' of the same variant"));
    df_text_release(&text);
    df_table_free(t);
    s.line[1].baseline = SAMPLE_LINES;
    assert_fails(df_table_build(&s.journal, &s.request, &t, &err), DF_ERR_USAGE, "line 1 has line 5");
}

/* Two equal differences are no certainty, and one seed says so. */
static void equal_differences(void **state)
{
    (void)state;
    struct sample s;
    struct df_table *t;
    struct df_text text = DF_TEXT_INIT;

    sample_fill(&s);
    for (size_t i = 0; i < SAMPLE_SEEDS; i++)
        s.score[2 * SAMPLE_SEEDS + i][0].value = s.score[i][0].value + 0.013;
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
    assert_close(t->line[2].difference.mean, 1.3, 1e-12, 0);
    assert_true(t->line[2].inside_noise && isnan(t->line[2].difference.low) && isnan(t->line[2].p));
    df_table_print(t, DF_TABLE_TEXT, false, &text);
    assert_non_null(strstr(text.data, "+1.30      3"));
    assert_null(strstr(text.data, "\xc2\xb1 0.00"));
    assert_non_null(strstr(text.data, "all equal have no spread, and no interval (of 1 line)."));
    assert_non_null(strstr(text.data, "one seed: no interval (of 1 line)."));
    df_text_release(&text);
    df_table_free(t);
}

static void nothing_yet(void **state)
{
    (void)state;
    struct sample s;
    struct df_table *t;
    struct df_text text = DF_TEXT_INIT;

    sample_fill(&s);
    s.journal.runs = 0;
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
    df_table_print(t, DF_TABLE_TEXT, true, &text);
    assert_non_null(strstr(text.data, "0/3"));
    assert_non_null(strstr(text.data, "full feature: 3 of 3 runs missing."));
    assert_null(strstr(text.data, "nan"));
    df_text_release(&text);
    df_table_free(t);
    s.request.lines = 0;
    assert_fails(df_table_build(&s.journal, &s.request, &t, &err), DF_ERR_USAGE, "no lines");
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

/* Cell by cell, numbers to 1e-9: the last digits of an interval are the C library's. */
static void check_golden_csv(const char *name, const struct df_text *text)
{
    char *path = df_path_join("tests/golden/tables", name), *want;
    struct df_csv_row a = { 0 }, b = { 0 };
    size_t bytes, lines;

    if (getenv("DF_WRITE_GOLDEN"))
        assert_ok(df_file_write(path, text->data, text->length, &err));
    assert_ok(df_file_read(path, 0, &want, &bytes, &err));
    size_t i = 0, j = 0, n, m;

    for (; (n = df_csv_row_bytes(text->data + i, text->length - i, &lines)) > 0; i += n, j += m) {
        m = df_csv_row_bytes(want + j, bytes - j, &lines);
        assert_ok(df_csv_row_parse(&a, text->data + i, n, "got", &err));
        assert_ok(df_csv_row_parse(&b, want + j, m, "want", &err));
        assert_int_equal(a.count, b.count);
        for (size_t c = 0; c < a.count; c++) {
            double x, y;

            if (df_parse_real(a.cell[c], &x) && df_parse_real(b.cell[c], &y))
                assert_close(x, y, 1e-9, 1e-9);
            else
                assert_string_equal(a.cell[c], b.cell[c]);
        }
    }
    assert_int_equal(i, text->length);
    assert_int_equal(j, bytes);
    df_csv_row_release(&a);
    df_csv_row_release(&b);
    free(want);
    free(path);
}

static void golden_forms(void **state)
{
    (void)state;
    static const char *const name[] = { "table.txt", "table.md", "table.csv", "table.tex" };
    struct sample s;
    struct df_table *t;
    struct df_text text = DF_TEXT_INIT;

    sample_fill(&s);
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
    for (int f = DF_TABLE_TEXT; f <= DF_TABLE_LATEX; f++) {
        df_text_clear(&text);
        df_table_print(t, (enum df_table_format)f, true, &text);
        (f == DF_TABLE_CSV ? check_golden_csv : check_golden)(name[f], &text);
    }
    df_text_clear(&text);
    df_table_runs_csv(&s.journal, &s.request, &text);
    check_golden_csv("runs.csv", &text);
    df_text_release(&text);
    df_table_free(t);
}

/* Every CSV that we print is one that we can read: same number of cells in each row, options in columns of their own. */
static void csv_is_readable(void **state)
{
    (void)state;
    struct sample s;
    struct df_table *t;
    struct df_text text = DF_TEXT_INIT;
    struct df_csv_row row = { 0 };
    size_t cells = 0, rows = 0, lines, fg = 0, second = 0;

    sample_fill(&s);
    df_table_runs_csv(&s.journal, &s.request, &text);
    for (size_t at = 0, n; (n = df_csv_row_bytes(text.data + at, text.length - at, &lines)) > 0; at += n, rows++) {
        assert_ok(df_csv_row_parse(&row, text.data + at, n, "runs", &err));
        assert_true(rows == 0 || row.count == cells);
        for (size_t i = 0; rows == 0 && i < row.count; i++) {
            fg = strcmp(row.cell[i], "defeat.w_fg") == 0 ? i : fg;
            second = strcmp(row.cell[i], "defeat#2.w_fg") == 0 ? i : second;
        }
        cells = row.count;
        assert_true(fg > 0 && second > 0);
        if (rows == 4) {
            assert_string_equal(row.cell[fg], "4");
            assert_string_equal(row.cell[second], "0.5");
            assert_string_equal(row.cell[2], "DeFeat | 100% & {neck}_1");
        }
        if (rows == 7)
            assert_string_equal(row.cell[fg], "");
    }
    assert_int_equal(rows, 1 + 13);
    df_text_clear(&text);
    assert_ok(df_table_build(&s.journal, &s.request, &t, &err));
    df_table_print(t, DF_TABLE_CSV, true, &text);
    rows = 0;
    for (size_t at = 0, n; (n = df_csv_row_bytes(text.data + at, text.length - at, &lines)) > 0; at += n, rows++) {
        assert_ok(df_csv_row_parse(&row, text.data + at, n, "table", &err));
        assert_true(rows == 0 || row.count == cells);
        cells = row.count;
    }
    assert_int_equal(rows, 1 + SAMPLE_LINES);
    df_csv_row_release(&row);
    df_text_release(&text);
    df_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers_by_hand),   cmocka_unit_test(pairs_by_seed),  cmocka_unit_test(noise),
                                        cmocka_unit_test(equal_differences), cmocka_unit_test(nothing_yet),    cmocka_unit_test(variants),
                                        cmocka_unit_test(golden_forms),      cmocka_unit_test(csv_is_readable) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
