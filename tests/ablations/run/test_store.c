/* The output tree: a row is there whole or not at all, a failure goes with success, what cannot be read is told, tables and import. */
#include "ablations/run/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "results/journal_csv.h"
#include "tests/support/support.h"

static struct df_error err;
static char warned[2048];
static int warnings;

static void remember(void *context, const char *text)
{
    (void)context;
    warnings++;
    snprintf(warned, sizeof warned, "%s", text);
}

static int quiet(void **state)
{
    (void)state;
    warnings = 0;
    df_warn_set(remember, NULL);
    return 0;
}

static int loud(void **state)
{
    (void)state;
    df_warn_set(NULL, NULL);
    return 0;
}

/* Of the spec "small"; k makes the id. */
static struct df_cell cell_of(unsigned k, const char *device)
{
    struct df_cell cell = { .seed = k, .threads = 1 };

    snprintf(cell.spec, sizeof cell.spec, "small");
    snprintf(cell.label, sizeof cell.label, "none");
    snprintf(cell.device, sizeof cell.device, "%s", device);
    snprintf(cell.id, sizeof cell.id, "%016x", k);
    return cell;
}

static char *fresh_out(void)
{
    static int number;
    char name[16];

    snprintf(name, sizeof name, "out%d", number++);
    return df_path_join(df_test_folder(), name);
}

static struct df_run_row row_of(const struct df_cell *cell, struct df_score *score, double ap)
{
    struct df_run_row row;

    df_run_row_init(&row);
    row.semantics = DF_SEMANTICS;
    row.run = cell->id;
    row.spec = cell->spec;
    row.label = cell->label;
    row.status = "ok";
    row.device = cell->device;
    row.environment = "{\"isa\":\"v3\"}";
    *score = (struct df_score){ "AP", "", ap };
    row.scores = (struct df_scores){ 1, score };
    return row;
}

static df_status put(const char *out, const struct df_cell *cell, const char *environment, double ap)
{
    struct df_score score;
    struct df_run_row row = row_of(cell, &score, ap);

    row.environment = environment ? environment : row.environment;
    return df_store_put(out, cell, &row, &err);
}

static struct df_journal *read_all(const char *out)
{
    char *folder = df_store_spec_folder(out, "small");
    struct df_journal *journal;

    assert_ok(df_store_read(folder, &journal, &err));
    free(folder);
    return journal;
}

static double ap_of(const struct df_journal *journal, size_t row) { return df_run_row_score(&journal->run[row], "AP", ""); }

static bool finished(const char *out, const struct df_cell *cell)
{
    bool is = false;

    assert_ok(df_store_finished(out, cell, &is, &err));
    return is;
}

static void write_file(const char *out, const struct df_cell *cell, enum df_cell_file file, const char *text)
{
    char *folder = df_store_cell_folder(out, cell), *path = df_store_cell_file(out, cell, file);

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_write(path, text, strlen(text), &err));
    free(folder);
    free(path);
}

/* ---- one cell ---------------------------------------------------------------------------------------------------------------------- */

static void success_removes_failure(void **state)
{
    const struct df_cell cell = cell_of(1, "cpu");
    char *out = fresh_out(), *failed = df_store_cell_file(out, &cell, DF_CELL_FAILED);
    struct df_journal *journal;

    (void)state;
    journal = read_all(out);
    assert_int_equal(journal->runs, 0);
    df_journal_free(journal);
    assert_false(finished(out, &cell));
    assert_ok(df_store_put_failure(out, &cell, "then", "killed", &err));
    assert_false(finished(out, &cell));
    journal = read_all(out);
    assert_int_equal(journal->runs, 1);
    assert_string_equal(journal->run[0].status, "failed: killed");
    assert_string_equal(journal->run[0].started, "then");
    assert_string_equal(journal->run[0].device, "cpu");
    df_journal_free(journal);
    assert_ok(put(out, &cell, NULL, 0.5));
    assert_true(finished(out, &cell));
    assert_false(df_file_exists(failed));
    journal = read_all(out);
    assert_int_equal(journal->runs, 1);
    assert_true(ap_of(journal, 0) == 0.5);
    df_journal_free(journal);
    assert_ok(df_store_put_failure(out, &cell, "", "done again, and failed", &err)); /* it stays finished */
    assert_ok(df_store_read_cell(out, &cell, &journal, &err));
    assert_int_equal(journal->runs, 1);
    assert_true(df_run_row_ok(&journal->run[0]));
    df_journal_free(journal);
    assert_ok(df_store_forget_failure(out, &cell, &err));
    assert_ok(df_store_forget_failure(out, &cell, &err)); /* there is none: fine */
    assert_false(df_file_exists(failed));
    free(failed);
    free(out);
}

/* What a crash of the machine, or a hand, leaves in place of a row. */
static void a_torn_row_is_told_and_is_not_done(void **state)
{
    const struct df_cell cell = cell_of(1, "cpu"), other = cell_of(2, "cpu");
    char *out = fresh_out(), *path = df_store_cell_file(out, &cell, DF_CELL_ROW), *data;
    struct df_journal *journal;
    size_t bytes;

    (void)state;
    assert_ok(put(out, &cell, NULL, 0.5));
    assert_ok(put(out, &other, NULL, 0.25));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    data[bytes / 2] = 0;
    write_file(out, &cell, DF_CELL_ROW, data);
    journal = read_all(out);
    assert_int_equal(journal->runs, 1);
    assert_true(ap_of(journal, 0) == 0.25);
    df_journal_free(journal);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warned, path));
    assert_non_null(strstr(warned, "the cell counts as not done"));
    write_file(out, &cell, DF_CELL_ROW, ""); /* names alone tell that much */
    assert_false(finished(out, &cell));
    free(data);
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    assert_int_equal(bytes, 0);
    free(data);
    free(path);
    path = df_store_cell_file(out, &other, DF_CELL_ROW);
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    write_file(out, &cell, DF_CELL_ROW, data); /* a folder that was copied */
    journal = read_all(out);
    assert_int_equal(journal->runs, 1);
    df_journal_free(journal);
    assert_non_null(strstr(warned, "/run: found '0000000000000002', expected '0000000000000001'"));
    assert_ok(put(out, &cell, NULL, 0.5)); /* done again */
    journal = read_all(out);
    assert_int_equal(journal->runs, 2);
    df_journal_free(journal);
    free(data);
    free(path);
    free(out);
}

/* What may not be looked at is not absent. */
static void a_closed_door_is_an_error(void **state)
{
    const struct df_cell cell = cell_of(1, "cpu");
    char *out = fresh_out(), *folder = df_store_spec_folder(out, "small"), *runs = df_path_join(folder, "runs");
    struct df_journal *journal;
    bool is;

    (void)state;
    assert_ok(put(out, &cell, NULL, 0.5));
    assert_int_equal(rename(runs, folder), -1);
    struct df_text elsewhere = DF_TEXT_INIT;

    df_text_addf(&elsewhere, "%s/gone", out);
    assert_int_equal(rename(runs, elsewhere.data), 0);
    assert_int_equal(symlink("runs", runs), 0); /* a loop: root may look behind every other door */
    assert_fails(df_store_finished(out, &cell, &is, &err), DF_ERR_IO, "cannot look at '");
    assert_fails(df_store_read(folder, &journal, &err), DF_ERR_IO, "cannot open folder '");
    assert_null(journal);
    df_text_release(&elsewhere);
    free(runs);
    free(folder);
    free(out);
}

/* On `cuda` the first finished row stays, and another environment's has a place of its own. */
static void environments_on_cuda(void **state)
{
    const struct df_cell cell = cell_of(1, "cuda"), plain = cell_of(2, "cpu"), lost = cell_of(3, "cuda"), newer = cell_of(4, "cuda");
    char *out = fresh_out();
    struct df_journal *journal;

    (void)state;
    assert_ok(put(out, &plain, "{\"isa\":\"v3\"}", 0.125));
    assert_ok(put(out, &plain, "{\"isa\":\"v4\"}", 0.125)); /* replaced by its equal */
    assert_ok(put(out, &cell, "{\"card\":\"A\"}", 0.25));
    assert_ok(put(out, &cell, "{\"card\":\"B\"}", 0.5));
    assert_ok(put(out, &cell, "{\"card\":\"B\"}", 0.75));
    assert_ok(put(out, &cell, "{\"card\":\"A\"}", 1));
    write_file(out, &lost, DF_CELL_ROW, "{\"schema\":");
    assert_ok(put(out, &lost, NULL, 0.5)); /* a torn one has no rights */
    write_file(out, &newer, DF_CELL_ROW, "{\"schema\":4}");
    assert_fails(put(out, &newer, NULL, 0.5), DF_ERR_STALE, "another version wrote it");
    journal = read_all(out);
    assert_int_equal(journal->runs, 4);
    assert_string_equal(journal->run[0].environment, "{\"card\":\"A\"}");
    assert_true(ap_of(journal, 0) == 0.25 && ap_of(journal, 1) == 0.5);
    assert_string_equal(journal->run[2].environment, "{\"isa\":\"v4\"}");
    df_journal_free(journal);
    free(out);
}

/* Several machines that do not see each other's locks do the same cells: every reader finds whole rows, and one per cell is left. */
static void eight_writers_of_the_same_cells(void **state)
{
    enum { WRITERS = 8, CELLS = 12, ROUNDS = 4 };
    char *out = fresh_out(), *folder = df_store_spec_folder(out, "small");
    struct df_journal *journal;
    pid_t pid[WRITERS];

    (void)state;
    warnings = 0;
    warned[0] = 0;
    for (int w = 0; w < WRITERS; w++) {
        pid[w] = fork();
        if (pid[w] == 0) {
            for (unsigned i = 0; i < CELLS * ROUNDS; i++) {
                const struct df_cell cell = cell_of((i * 5 + (unsigned)w) % CELLS, "cpu");

                if (put(out, &cell, NULL, 1.0 / (double)(cell.seed + 1)) != DF_OK ||
                    (i % 7 == 0 && df_store_make_tables(folder, false, &err) != DF_OK) || warnings) {
                    fprintf(stderr, "%s%s\n", err.text, warned);
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;

        assert_int_equal(waitpid(pid[w], &status, 0), pid[w]);
        assert_int_equal(status, 0);
    }
    journal = read_all(out);
    assert_int_equal(journal->runs, CELLS);
    for (unsigned k = 0; k < CELLS; k++)
        assert_true(ap_of(journal, k) == 1.0 / (k + 1));
    df_journal_free(journal);
    free(folder);
    free(out);
}

/* ---- tables and import --------------------------------------------------------------------------------------------------------------- */

static char *same_rows(const char *folder)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_journal *journal;

    assert_ok(df_store_read(folder, &journal, &err));
    df_journal_deterministic(journal, &text);
    df_journal_free(journal);
    return text.data ? text.data : df_strdup("");
}

/* A folder of tables alone, as they are published, is read; where there are row files, they alone count. */
static void tables_stand_in_for_rows(void **state)
{
    const struct df_cell cell = cell_of(1, "cpu"), other = cell_of(2, "cpu");
    char *out = fresh_out(), *folder = df_store_spec_folder(out, "small"), *runs = df_path_join(folder, "runs");
    char *published = df_path_join(out, "published"), *want, *got;
    struct df_journal *journal;

    (void)state;
    assert_ok(put(out, &cell, NULL, 0.5));
    assert_ok(put(out, &other, NULL, 0.25));
    assert_ok(df_store_make_tables(folder, false, &err));
    want = same_rows(folder);
    assert_int_equal(rename(runs, published), 0);
    got = same_rows(folder);
    assert_string_equal(got, want);
    assert_ok(df_store_make_tables(folder, false, &err)); /* of no row files: what is there stays */
    assert_false(df_file_exists(runs));
    free(got);
    got = same_rows(folder);
    assert_string_equal(got, want);
    assert_ok(put(out, &cell, NULL, 0.75));
    journal = read_all(out);
    assert_int_equal(journal->runs, 1);
    assert_true(ap_of(journal, 0) == 0.75);
    df_journal_free(journal);
    free(want);
    free(got);
    free(published);
    free(runs);
    free(folder);
    free(out);
}

static void copy(const char *from, const char *folder, const char *name)
{
    char *source = df_path_join(from, name), *path = df_path_join(folder, name), *data;
    size_t bytes;

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_read(source, 0, &data, &bytes, &err));
    assert_ok(df_file_write(path, data, bytes, &err));
    free(data);
    free(path);
    free(source);
}

/* Published rows of schema 1 become row files that say the same; their runs.csv is not lost before that. */
static void older_journals_are_imported(void **state)
{
    static const char published[] = "results/edition-1/semantics-1/bccd";
    const struct df_cell cell = cell_of(1, "cpu");
    char *out = fresh_out(), *folder = df_store_spec_folder(out, "small"), *want = same_rows(published), *got;
    struct df_imported count;

    (void)state;
    copy(published, folder, "runs.csv");
    copy(published, folder, "curves.csv");
    assert_ok(put(out, &cell, NULL, 0.5));
    assert_fails(df_store_make_tables(folder, false, &err), DF_ERR_STALE, "[first: defeat journal import ");
    assert_fails(df_store_check(folder, &err), DF_ERR_STALE, folder);
    got = same_rows(folder); /* the old ones are read, and the new one */
    assert_non_null(strstr(got, want));
    assert_true(strlen(got) > strlen(want));
    assert_ok(df_store_import(folder, "", &count, &err));
    assert_int_equal(count.finished, 9);
    assert_int_equal(count.known, 1);
    assert_ok(df_store_check(folder, &err));
    char *again = same_rows(folder);

    assert_string_equal(again, got);
    assert_ok(df_store_import(folder, "", &count, &err));
    assert_int_equal(count.finished + count.failed, 0);
    assert_int_equal(count.known, 10);
    free(again);
    free(got);
    free(folder);

    /* from the file, into another tree, under the rows' own spec */
    folder = df_path_join(out, "bccd");
    assert_ok(df_store_import("results/edition-1/semantics-1/bccd/runs.csv", out, &count, &err));
    assert_int_equal(count.finished, 9);
    got = same_rows(folder);
    assert_string_equal(got, want);
    char *tables = df_path_join(folder, "scores.csv");

    assert_true(df_file_exists(tables));
    free(tables);
    free(got);
    free(want);
    free(folder);
    free(out);
}

/* Failures are imported where nothing is known yet; finished rows take their place. */
static void what_is_imported_again(void **state)
{
    const struct df_cell cell = cell_of(1, "cpu"), other = cell_of(2, "cpu");
    char *from = fresh_out(), *out = fresh_out(), *folder = df_store_spec_folder(from, "small");
    struct df_imported count;
    struct df_journal *journal;

    (void)state;
    assert_ok(df_store_put_failure(from, &cell, "", "first", &err));
    assert_ok(put(out, &other, NULL, 0.5));
    assert_ok(df_store_put_failure(from, &other, "", "here", &err));
    assert_ok(df_store_import(folder, out, &count, &err));
    assert_int_equal(count.failed, 1);
    assert_int_equal(count.known, 1);
    assert_ok(put(from, &cell, NULL, 0.25));
    assert_ok(df_store_import(folder, out, &count, &err));
    assert_int_equal(count.finished, 1);
    journal = read_all(out);
    assert_int_equal(journal->runs, 2);
    assert_true(ap_of(journal, 0) == 0.25 && ap_of(journal, 1) == 0.5);
    df_journal_free(journal);
    free(folder);
    free(from);
    free(out);
}

/* Names in a table are no way out of the tree. */
static void names_are_checked(void **state)
{
    static const struct {
        const char *run, *spec, *says;
    } cases[] = {
        { "../../../x", "small", "found run '" },
        { "0123456789abcde", "small", "expected 16 hex digits" },
        { "0123456789abcdef", "../up", "is no name of a folder" },
        { "0123456789abcdef", "", "is no name of a folder" },
    };
    char *out = fresh_out(), *folder = df_path_join(out, "tables");
    struct df_imported count;

    (void)state;
    assert_ok(df_folder_make(folder, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct df_journal *journal = df_journal_new();
        struct df_run_row *row = df_journal_add(journal);

        row->run = cases[i].run;
        row->spec = cases[i].spec;
        row->status = "ok";
        assert_ok(df_journal_csv_write(journal, folder, &err));
        df_journal_free(journal);
        if (i == 0)
            continue; /* a dot ends a run's name */
        assert_fails(df_store_import(folder, out, &count, &err), DF_ERR_FORMAT, cases[i].says);
    }
    assert_fails(df_store_import(df_test_folder(), out, &count, &err), DF_ERR_NOT_FOUND, "holds no rows");
    assert_fails(df_store_import("nowhere.csv", out, &count, &err), DF_ERR_NOT_FOUND, "nowhere.csv");
    free(folder);
    free(out);
}

int main(void)
{
    setenv("TMPDIR", "/dev/shm", 0); /* thousands of fsyncs: on a disk they would be all of the test's time */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_removes_failure),
        cmocka_unit_test(a_torn_row_is_told_and_is_not_done),
        cmocka_unit_test(a_closed_door_is_an_error),
        cmocka_unit_test(environments_on_cuda),
        cmocka_unit_test(eight_writers_of_the_same_cells),
        cmocka_unit_test(tables_stand_in_for_rows),
        cmocka_unit_test(older_journals_are_imported),
        cmocka_unit_test(what_is_imported_again),
        cmocka_unit_test(names_are_checked),
    };

    return cmocka_run_group_tests(tests, quiet, loud);
}
