/* Rows of a folder: which row of a run counts; the three tables are written and read; tables of older schemas are read; damage is named. */
#include "results/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/journal_csv.h"
#include "tests/support/support.h"

static struct df_error err;

static void count_warning(void *context, const char *text)
{
    (void)text;
    ++*(int *)context;
}

static char *id_of(struct df_journal *journal, unsigned k)
{
    char id[17];

    snprintf(id, sizeof id, "%016x", k);
    return df_arena_strdup(journal->memory, id);
}

/* Row k, by its numbers. */
static struct df_run_row *add(struct df_journal *journal, unsigned k, const char *status)
{
    struct df_run_row *row = df_journal_add(journal);

    row->semantics = 2;
    row->run = id_of(journal, k);
    row->spec = "small";
    row->label = "a \"b\", c\nd ";
    row->axes = " w=1,2";
    row->cell = "{\"w\":1}";
    row->seed = k;
    row->status = status;
    row->train_seconds = 1.5 + k;
    row->peak_anonymous_bytes = 1 << 20;
    row->device = "cpu";
    row->environment = "{\"isa\":\"avx2\"}";
    row->finished = "2026-02-01T00:00:09Z";
    if (!df_run_row_ok(row))
        return row;
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "", 1.0 / (k + 3) });
    df_scores_add(&row->scores, journal->memory, (struct df_score){ k % 2 ? "LRP" : "APs", "", -1 });
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "disk, \"a;b=c\"", 1.0 / (k + 7) });
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "ring", NAN });
    for (int64_t p = 0; p < 3; p++) {
        df_curve_add(&row->curve, journal->memory,
                     (struct df_curve_point){ 100 * (p + 1), (double)(p + 1) / 3, "tune", "AP", 0.1 * (double)p });
        df_curve_add(&row->curve, journal->memory,
                     (struct df_curve_point){ 100 * (p + 1), (double)(p + 1) / 3, "train", "loss", p == 1 ? INFINITY : 2.0 / 3 });
    }
    return row;
}

static char *same_rows(const struct df_journal *journal)
{
    struct df_text text = DF_TEXT_INIT;

    df_journal_deterministic(journal, &text);
    return text.data ? text.data : df_strdup("");
}

static char *fresh_folder(const char *name)
{
    char *folder = df_path_join(df_test_folder(), name);

    assert_ok(df_folder_make(folder, &err));
    return folder;
}

static void replace(const char *folder, const char *name, const char *text)
{
    char *path = df_path_join(folder, name);

    assert_ok(df_file_write(path, text, strlen(text), &err));
    free(path);
}

static char *file_of(const char *folder, const char *name)
{
    char *path = df_path_join(folder, name), *data;
    size_t bytes;

    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    free(path);
    return data;
}

static df_status read_tables(const char *folder, struct df_journal **journal)
{
    char *path = df_journal_csv_path(folder);

    *journal = df_journal_new();
    const df_status status = df_journal_csv_read(path, *journal, &err);

    df_journal_settle(*journal);
    free(path);
    return status;
}

static void tables_fail(const char *folder, const char *says)
{
    struct df_journal *journal;

    assert_fails(read_tables(folder, &journal), DF_ERR_FORMAT, says);
    df_journal_free(journal);
}

/* ---- which row counts -------------------------------------------------------------------------------------------------------------- */

static void the_row_that_counts(void **state)
{
    struct df_journal *journal = df_journal_new();

    (void)state;
    add(journal, 7, "failed: first")->seed = 1;
    add(journal, 5, "failed: before")->seed = 2;
    add(journal, 7, "failed: last")->seed = 3;
    add(journal, 5, "ok")->seed = 4;
    add(journal, 5, "ok")->seed = 5;
    add(journal, 5, "failed: done again")->seed = 6;
    add(journal, 3, "ok")->seed = 7;
    df_journal_settle(journal);
    assert_int_equal(journal->runs, 3);
    assert_int_equal(journal->run[0].seed, 7); /* by run */
    assert_int_equal(journal->run[1].seed, 4); /* the first that finished */
    assert_int_equal(journal->run[2].seed, 3); /* the last that failed */
    assert_ptr_equal(df_journal_find(journal, "0000000000000005", 2), &journal->run[1]);
    assert_null(df_journal_find(journal, "0000000000000005", 1));
    assert_null(df_journal_find(journal, "0000000000000006", 2));
    add(journal, 9, "ok"); /* there is room */
    assert_string_equal(journal->run[3].status, "ok");
    df_journal_free(journal);
}

/* On `cuda` a run is there once per environment, elsewhere once. */
static void environments_on_cuda(void **state)
{
    (void)state;
    for (int cuda = 0; cuda < 2; cuda++) {
        struct df_journal *journal = df_journal_new();
        static const char *const environments[] = { "{\"card\":\"A\"}", "{\"card\":\"B\"}", "{\"card\":\"A\"}", "{\"card\":\"C\"}" };

        for (unsigned i = 0; i < 4; i++) {
            struct df_run_row *row = add(journal, 5, i == 3 ? "failed: no card" : "ok");

            row->device = cuda ? "cuda+tf32" : "cpu";
            row->environment = environments[i];
            row->seed = i;
        }
        df_journal_settle(journal);
        assert_int_equal(journal->runs, cuda ? 2 : 1);
        assert_int_equal(journal->run[0].seed, 0);
        if (cuda)
            assert_int_equal(journal->run[1].seed, 1);
        df_journal_free(journal);
    }
}

/* ---- the tables -------------------------------------------------------------------------------------------------------------------- */

/* Two kinds of rows with other metrics, a failed one, and a run of two environments: everything is read as it was. */
static void written_is_read(void **state)
{
    struct df_journal *journal = df_journal_new(), *read;
    char *folder = fresh_folder("tables"), *want, *got, *data, *again;
    struct df_run_row *cuda;

    (void)state;
    add(journal, 1, "ok");
    add(journal, 2, "ok");
    add(journal, 3, "failed: killed");
    cuda = add(journal, 4, "ok");
    cuda->device = "cuda";
    cuda = add(journal, 4, "ok");
    cuda->device = "cuda";
    cuda->environment = "{\"isa\":\"sm_90\"}";
    cuda->scores.score[2].value = 0.75;
    cuda->curve.point[5].value = 0.5;
    df_journal_settle(journal);
    assert_int_equal(journal->runs, 5);
    assert_ok(df_journal_csv_write(journal, folder, &err));
    assert_ok(read_tables(folder, &read));
    want = same_rows(journal);
    got = same_rows(read);
    assert_non_null(strstr(want, "a;b=c"));
    /* a score of all classes that is not a number is an empty cell, and no score any more: there is none here */
    assert_string_equal(got, want);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(read->run[i].environment, journal->run[i].environment);
        assert_true(read->run[i].train_seconds == journal->run[i].train_seconds && isnan(read->run[i].eval_seconds));
        assert_int_equal(read->run[i].peak_anonymous_bytes, 1 << 20);
    }
    data = file_of(folder, "runs.csv");
    assert_non_null(strstr(data, ",status,AP,LRP,APs,train_seconds,")); /* a metric is a column where any row has it */
    assert_ok(df_journal_csv_write(read, folder, &err));
    again = file_of(folder, "runs.csv");
    assert_string_equal(again, data);
    free(want);
    free(got);
    free(data);
    free(again);
    free(folder);
    df_journal_free(journal);
    df_journal_free(read);
}

/* Scores and points of runs that runs.csv has not, for it is written last; and only runs.csv. */
static void a_part_of_the_tables(void **state)
{
    struct df_journal *journal = df_journal_new(), *read;
    char *folder = fresh_folder("part"), *one, *want, *got;

    (void)state;
    add(journal, 1, "ok");
    assert_ok(df_journal_csv_write(journal, folder, &err));
    one = file_of(folder, "runs.csv");
    want = same_rows(journal);
    add(journal, 2, "ok");
    assert_ok(df_journal_csv_write(journal, folder, &err));
    replace(folder, "runs.csv", one);
    assert_ok(read_tables(folder, &read));
    got = same_rows(read);
    assert_string_equal(got, want);
    df_journal_free(read);
    free(folder);
    folder = fresh_folder("alone");
    replace(folder, "runs.csv", one);
    assert_ok(read_tables(folder, &read));
    assert_true(df_run_row_score(&read->run[0], "AP", "") == 0.25);
    assert_int_equal(read->run[0].curve.count, 0);
    df_journal_free(read);
    assert_fails(read_tables("/nonexistent", &read), DF_ERR_NOT_FOUND, "runs.csv");
    df_journal_free(read);
    df_journal_free(journal);
    free(one);
    free(want);
    free(got);
    free(folder);
}

/* ---- older schemas ----------------------------------------------------------------------------------------------------------------- */

#define OLDER_COLUMNS(machine)                                                                                                             \
    "schema,semantics,run,spec,label,axes,seed,status,AP,AP50,AP75,APs,APm,APl,AR1,AR10,AR100,ARs,ARm,ARl,class_ap,train_seconds,"         \
    "eval_seconds,images_per_second,peak_anonymous_bytes,revision,device," machine ",started,finished,cell\n"

static void older_schemas_are_read(void **state)
{
    static const char *const runs[] = {
        OLDER_COLUMNS("isa") "1,1,00000000deadbeef,s,\"a, b\",w=1,4,ok,0.5,,,-1,,,,,,,,,disk=0.25;a=b=-1,2,3,4,5,r,cpu,avx2,x,y,{}\n",
        OLDER_COLUMNS("environment") "2,1,00000000deadbeef,s,\"a, b\",w=1,4,ok,0.5,,,-1,,,,,,,,,disk=0.25;a=b=-1,2,3,4,5,r,cpu,"
                                     "\"{\"\"isa\"\":\"\"avx2\"\"}\",x,y,{}\n",
    };
    char *folder = fresh_folder("older"), *path = df_journal_csv_path(folder);
    struct df_journal *journal;
    bool older;

    (void)state;
    assert_ok(df_journal_csv_is_older(path, &older, &err));
    assert_false(older); /* there is none */
    replace(folder, "curves.csv",
            "schema,run,point,step,epoch,split,map,loss,lr,terms\n"
            "1,00000000deadbeef,0,100,0.5,tune,0.25,1.5,0.01,class=0.5;defeat.fg=2\n"
            "1,0000000000000001,0,100,0.5,tune,0.25,1.5,0.01,\n"
            "1,00000000deadbeef,1,200,1,tune,,1.25,0.001,\n");
    for (size_t i = 0; i < 2; i++) {
        struct df_text text = DF_TEXT_INIT;

        replace(folder, "runs.csv", runs[i]);
        assert_ok(df_journal_csv_is_older(path, &older, &err));
        assert_true(older);
        assert_ok(read_tables(folder, &journal));
        assert_int_equal(journal->runs, 1);
        assert_string_equal(journal->run[0].environment, "{\"isa\":\"avx2\"}");
        df_run_row_deterministic(&journal->run[0], &text);
        assert_string_equal(text.data, "1,00000000deadbeef,s,\"a, b\",w=1,4,ok,cpu,{}\n"
                                       "00000000deadbeef,AP,,0.5\n00000000deadbeef,APs,,-1\n"
                                       "00000000deadbeef,AP,disk,0.25\n00000000deadbeef,AP,a=b,-1\n"
                                       "00000000deadbeef,100,0.5,tune,AP,0.25\n00000000deadbeef,100,0.5,train,loss,1.5\n"
                                       "00000000deadbeef,100,0.5,train,lr,0.01\n00000000deadbeef,100,0.5,train,term.class,0.5\n"
                                       "00000000deadbeef,100,0.5,train,term.defeat.fg,2\n"
                                       "00000000deadbeef,200,1,train,loss,1.25\n00000000deadbeef,200,1,train,lr,0.001\n");
        df_text_release(&text);
        df_journal_free(journal);
    }
    free(path);
    free(folder);
}

/* ---- damage ------------------------------------------------------------------------------------------------------------------------ */

/* The text with the first `from` behind the first line as `to`, of the same length or shorter. */
static void damage(const char *folder, const char *name, const char *text, const char *from, const char *to)
{
    const char *at = strstr(strchr(text, '\n'), from);
    struct df_text bad = DF_TEXT_INIT;

    assert_non_null(at);
    df_text_add_bytes(&bad, text, (size_t)(at - text));
    df_text_addf(&bad, "%s%s", to, at + strlen(from));
    replace(folder, name, bad.data);
    df_text_release(&bad);
}

static void damage_is_named(void **state)
{
    struct df_journal *journal = df_journal_new();
    char *folder = fresh_folder("damage"), *runs, *scores, *curves;

    (void)state;
    add(journal, 1, "ok");
    add(journal, 2, "ok");
    assert_ok(df_journal_csv_write(journal, folder, &err));
    runs = file_of(folder, "runs.csv");
    scores = file_of(folder, "scores.csv");
    curves = file_of(folder, "curves.csv");
    damage(folder, "runs.csv", runs, "\n3,2,", "\n3,2,2,");
    tables_fail(folder, "line 2: found 22 cells, expected 21");
    damage(folder, "runs.csv", runs, "1048576", "x048576");
    tables_fail(folder, "line 2, column 'peak_anonymous_bytes': found 'x048576', expected an integer");
    damage(folder, "runs.csv", runs, ",0.25,", ",0.x,");
    tables_fail(folder, "column 'AP': found '0.x', expected a number or nothing");
    damage(folder, "runs.csv", runs, ",0.25,", ",25,"); /* in percent, by hand? */
    tables_fail(folder, "line 2, column 'AP': found '25', expected a number or nothing (of COCO's 0 to 1, or -1)");
    damage(folder, "runs.csv", runs, ",0.25,", ",-0.5,");
    tables_fail(folder, "line 2, column 'AP': found '-0.5'");
    damage(folder, "runs.csv", runs, "\n3,", "\n4,");
    tables_fail(folder, "column 'schema': found '4', expected a schema from 1 to 3");
    replace(folder, "runs.csv", "hello\n");
    tables_fail(folder, "expected 'schema'");
    replace(folder, "runs.csv", "schema,run\n3,1\n");
    tables_fail(folder, "line 1: found no column 'semantics'");
    replace(folder, "runs.csv", runs);
    damage(folder, "scores.csv", scores, ",0.25\n", ",0.25,1\n");
    tables_fail(folder, "scores.csv': line 2: found 5 cells, expected 4");
    damage(folder, "scores.csv", scores, ",0.125\n", ",y\n");
    tables_fail(folder, "line 4, column 'value': found 'y'");
    damage(folder, "scores.csv", scores, ",0.125\n", ",1.125\n");
    tables_fail(folder, "line 4, column 'value': found '1.125'");
    replace(folder, "scores.csv", "run,class\n");
    tables_fail(folder, "expected the columns run,metric,class,value");
    replace(folder, "scores.csv", scores);
    damage(folder, "curves.csv", curves, ",100,", ",1.5,");
    tables_fail(folder, "line 2, column 'step': found '1.5', expected an integer");
    damage(folder, "curves.csv", curves, ",100,", ",9223372036854775806,");
    tables_fail(folder, "line 2, column 'step': found '9223372036854775806', expected an integer from 0 to 2^53");
    damage(folder, "curves.csv", curves, ",100,", ",-100,");
    tables_fail(folder, "line 2, column 'step': found '-100'");
    free(runs);
    free(scores);
    free(curves);
    free(folder);
    df_journal_free(journal);
}

/* Tables are made of rows: what was lost of them is there again, and told. */
static void lost_tables_are_made_again(void **state)
{
    struct df_journal *journal = df_journal_new();
    char *folder = fresh_folder("lost"), *curves, *again;
    int warnings = 0;

    (void)state;
    df_warn_set(count_warning, &warnings);
    add(journal, 1, "ok");
    assert_ok(df_journal_csv_write(journal, folder, &err)); /* the first time nothing was lost */
    add(journal, 2, "ok");
    assert_ok(df_journal_csv_write(journal, folder, &err)); /* nor where rows came */
    assert_int_equal(warnings, 0);
    curves = file_of(folder, "curves.csv");
    for (int how = 0; how < 3; how++) {
        char *path = df_path_join(folder, "curves.csv");

        if (how == 0)
            assert_ok(df_file_remove(path, &err));
        else
            assert_ok(df_file_write(path, curves, how == 1 ? 0 : strlen(curves) - 3, &err));
        assert_ok(df_journal_csv_write(journal, folder, &err));
        assert_int_equal(warnings, how + 1);
        again = file_of(folder, "curves.csv");
        assert_string_equal(again, curves);
        free(again);
        free(path);
    }
    df_warn_set(NULL, NULL);
    free(curves);
    free(folder);
    df_journal_free(journal);
}

/* Older tables were appended to: a crash may have torn the last line, which is left out with a warning. A stray quote joins everything behind it
 * into one row without an end: nothing is left out then. */
static void torn_lines_and_stray_quotes(void **state)
{
    struct df_journal *journal = df_journal_new(), *read;
    char *folder = fresh_folder("torn"), *runs;
    int warnings = 0;

    (void)state;
    for (unsigned k = 1; k < 4; k++)
        add(journal, k, "ok")->label = "plain";
    assert_ok(df_journal_csv_write(journal, folder, &err));
    runs = file_of(folder, "runs.csv");
    df_warn_set(count_warning, &warnings);
    runs[strlen(runs) - 1] = 0;
    replace(folder, "runs.csv", runs);
    assert_ok(read_tables(folder, &read));
    assert_int_equal(read->runs, 2);
    assert_int_equal(warnings, 1);
    df_journal_free(read);
    df_warn_set(NULL, NULL);
    damage(folder, "runs.csv", runs, "plain", "\"plain");
    tables_fail(folder, "line 2: found a row without an end and lines behind it");
    free(runs);
    free(folder);
    df_journal_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_that_counts),         cmocka_unit_test(environments_on_cuda),       cmocka_unit_test(written_is_read),
        cmocka_unit_test(a_part_of_the_tables),        cmocka_unit_test(older_schemas_are_read),     cmocka_unit_test(damage_is_named),
        cmocka_unit_test(torn_lines_and_stray_quotes), cmocka_unit_test(lost_tables_are_made_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
