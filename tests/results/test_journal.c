/* The journal: what is written is read; torn lines of every length, a crash between the two writes, eight writers at once. */
#include "results/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/support.h"

static struct df_error err;

static char *fresh_folder(const char *name) { return df_path_join(df_test_folder(), name); }

static void count_warning(void *context, const char *text)
{
    (void)text;
    ++*(int *)context;
}

/* Row k; every column has its own value. */
static struct df_run_row row_of(int k, char id[17])
{
    struct df_run_row row = { .schema = DF_JOURNAL_SCHEMA,
                              .semantics = 3,
                              .spec = "small",
                              .label = "a \"b\", c\nd ",
                              .axes = " w=1,2",
                              .cell = "{\"w\":1}",
                              .seed = k,
                              .status = "ok",
                              .class_ap = "disk=0.5;ring=0.25",
                              .train_seconds = 1.5 + k,
                              .eval_seconds = .25,
                              .images_per_second = 1e3 / 3,
                              .peak_anonymous_bytes = 1 << 20,
                              .revision = "abc-dirty",
                              .device = "cpu",
                              .environment = "{\"isa\":\"avx2\"}",
                              .started = "2026-01-31T23:59:59Z",
                              .finished = "2026-02-01T00:00:09Z" };

    snprintf(id, 17, "%016x", (unsigned)k * 2654435761u);
    row.run = id;
    for (int m = 0; m < DF_METRICS; m++)
        row.metric[m] = m == 7 ? NAN : (k + 1) / (m + 3.0);
    return row;
}

static void curves_of(const struct df_run_row *row, struct df_curve_row *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (struct df_curve_row){ .schema = DF_JOURNAL_SCHEMA,
                                        .run = row->run,
                                        .point = i,
                                        .step = 100 * (i + 1),
                                        .epoch = (double)(i + 1) / 3,
                                        .split = "tune",
                                        .map = 0.1 * (double)i,
                                        .loss = i == 1 ? INFINITY : 2.0 / (double)(i + 3),
                                        .lr = 1e-05,
                                        .terms = "class=0.71;box=0.22" };
}

static void append(const char *folder, int k)
{
    struct df_curve_row curve[3];
    char id[17];
    const struct df_run_row row = row_of(k, id);

    curves_of(&row, curve, 3);
    assert_ok(df_journal_append(folder, &row, curve, 3, &err));
}

static struct df_journal *read_journal(const char *folder)
{
    struct df_journal *journal;

    assert_ok(df_journal_read(folder, &journal, &err));
    return journal;
}

static char *same_rows(const char *folder)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_journal *journal = read_journal(folder);

    df_journal_deterministic(journal, &text);
    df_journal_free(journal);
    return text.data ? text.data : df_strdup("");
}

static char *file_of(const char *folder, const char *name, size_t *bytes)
{
    char *path = df_path_join(folder, name), *data;

    assert_ok(df_file_read(path, 0, &data, bytes, &err));
    free(path);
    return data;
}

static void replace(const char *folder, const char *name, const char *data, size_t bytes)
{
    char *path = df_path_join(folder, name);

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_write(path, data, bytes, &err));
    free(path);
}

static bool same_real(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void written_is_read(void **state)
{
    (void)state;
    char *folder = fresh_folder("round/trip"), id[17];
    const struct df_run_row want = row_of(1, id);
    struct df_journal *journal = read_journal(folder);

    assert_int_equal(journal->runs + journal->curves, 0); /* no folder: an empty journal */
    df_journal_free(journal);
    append(folder, 0);
    append(folder, 1);
    journal = read_journal(folder);
    assert_int_equal(journal->runs, 2);
    assert_int_equal(journal->curves, 6);

    const struct df_run_row *got = df_journal_find(journal, id, 3);

    assert_ptr_equal(got, &journal->run[1]);
    assert_null(df_journal_find(journal, id, 4));
    assert_null(df_journal_find(journal, "0123456789abcdef", 3));
    const char *const texts[][2] = { { got->run, want.run },           { got->spec, want.spec },
                                     { got->label, want.label },       { got->axes, want.axes },
                                     { got->cell, want.cell },         { got->status, want.status },
                                     { got->class_ap, want.class_ap }, { got->revision, want.revision },
                                     { got->device, want.device },     { got->environment, want.environment },
                                     { got->started, want.started },   { got->finished, want.finished } };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(texts[i][0], texts[i][1]);
    for (size_t m = 0; m < DF_METRICS; m++)
        assert_true(same_real(got->metric[m], want.metric[m]));
    assert_true(got->schema == want.schema && got->semantics == 3 && got->seed == 1 && got->peak_anonymous_bytes == 1 << 20);
    assert_true(got->train_seconds == 2.5 && got->eval_seconds == .25 && got->images_per_second == 1e3 / 3);
    const struct df_curve_row *c = &journal->curve[4];

    assert_string_equal(c->run, id);
    assert_string_equal(c->split, "tune");
    assert_string_equal(c->terms, "class=0.71;box=0.22");
    assert_true(c->schema == DF_JOURNAL_SCHEMA && c->point == 1 && c->step == 200 && c->epoch == 2.0 / 3 && c->map == .1 &&
                isnan(c->loss) && c->lr == 1e-05);
    df_journal_free(journal);
    free(folder);
}

/* runs.csv and curves.csv cut at every byte of what the last append wrote: the append of the same run again gives the whole journal's rows. */
static void torn_at_every_byte(void **state)
{
    (void)state;
    static const char *const files[] = { "runs.csv", "curves.csv" };
    char *whole = fresh_folder("whole"), *folder = fresh_folder("torn"), *one[2], *two[2];
    size_t one_bytes[2], two_bytes[2];
    int warnings = 0;

    append(whole, 0);
    for (int f = 0; f < 2; f++)
        one[f] = file_of(whole, files[f], &one_bytes[f]);
    append(whole, 1);
    for (int f = 0; f < 2; f++)
        two[f] = file_of(whole, files[f], &two_bytes[f]);
    char *want = same_rows(whole);

    df_warn_set(count_warning, &warnings);
    for (int f = 0; f < 2; f++)
        for (size_t cut = one_bytes[f]; cut < two_bytes[f]; cut++) {
            replace(folder, "runs.csv", f == 0 ? two[0] : one[0], f == 0 ? cut : one_bytes[0]); /* curves are written first */
            replace(folder, "curves.csv", two[1], f == 0 ? two_bytes[1] : cut);
            struct df_journal *journal = read_journal(folder);

            assert_int_equal(journal->runs, 1);
            df_journal_free(journal);
            append(folder, 1);
            char *got = same_rows(folder);

            assert_string_equal(got, want);
            free(got);
        }
    df_warn_set(NULL, NULL);
    assert_true(warnings > 100);
    for (int f = 0; f < 2; f++) {
        free(one[f]);
        free(two[f]);
    }
    free(want);
    free(whole);
    free(folder);
}

/* A header that was torn, an empty file; and what is cut off is kept. */
static void torn_header_and_kept_bytes(void **state)
{
    (void)state;
    char *folder = fresh_folder("header"), *kept;
    size_t bytes;
    int warnings = 0;

    replace(folder, "runs.csv", "schema,sem", 10);
    replace(folder, "curves.csv", "", 0);
    df_warn_set(count_warning, &warnings);
    append(folder, 2);
    df_warn_set(NULL, NULL);
    assert_int_equal(warnings, 1);
    struct df_journal *journal = read_journal(folder);

    assert_int_equal(journal->runs, 1);
    assert_int_equal(journal->curves, 3);
    df_journal_free(journal);
    kept = file_of(folder, "runs.csv.torn", &bytes);
    assert_string_equal(kept, "schema,sem");
    free(kept);
    free(folder);
}

/* A crash after curves.csv and before runs.csv leaves points without a row: they do not count, and the run done again counts once. */
static void crash_between_the_writes(void **state)
{
    (void)state;
    char *whole = fresh_folder("straight"), *folder = fresh_folder("crashed"), *runs, *want, *got;
    size_t bytes;

    append(whole, 5);
    append(whole, 6);
    append(folder, 5);
    runs = file_of(folder, "runs.csv", &bytes);
    append(folder, 6);
    replace(folder, "runs.csv", runs, bytes);
    got = same_rows(folder);
    want = same_rows(whole);
    assert_null(strstr(got, "\n3,"));
    assert_true(strlen(got) < strlen(want));
    free(got);
    append(folder, 6);
    got = same_rows(folder);
    assert_string_equal(got, want);
    struct df_journal *journal = read_journal(folder);

    assert_int_equal(journal->curves, 9);
    df_journal_free(journal);
    free(got);
    free(want);
    free(runs);
    free(whole);
    free(folder);
}

/* The order of the rows and the columns that vary do not matter; a deterministic column does. A retry replaces the failed row. */
static void the_same_rows(void **state)
{
    (void)state;
    char *a = fresh_folder("order a"), *b = fresh_folder("order b"), *c = fresh_folder("order c"), id[17];
    struct df_run_row row = row_of(8, id);

    append(a, 7);
    append(a, 9);
    append(a, 8);
    row.status = "failed: killed";
    assert_ok(df_journal_append(b, &row, NULL, 0, &err));
    append(b, 9);
    append(b, 8);
    append(b, 7);
    assert_ok(df_journal_append(b, &row, NULL, 0, &err)); /* done again, and failed: it stays finished */
    struct df_journal *journal = read_journal(b);

    assert_string_equal(df_journal_find(journal, id, 3)->status, "ok");
    df_journal_free(journal);
    append(c, 7);
    append(c, 9);
    row = row_of(8, id);
    row.train_seconds = 99;
    row.revision = "other";
    row.finished = "";
    struct df_curve_row curve[3];

    curves_of(&row, curve, 3);
    assert_ok(df_journal_append(c, &row, curve, 3, &err));
    char *text[3] = { same_rows(a), same_rows(b), same_rows(c) };

    assert_string_equal(text[0], text[1]);
    assert_string_equal(text[0], text[2]);
    row.metric[3] = nextafter(row.metric[3], 1);
    assert_ok(df_journal_append(c, &row, curve, 3, &err));
    free(text[2]);
    text[2] = same_rows(c);
    assert_string_not_equal(text[0], text[2]);
    for (int i = 0; i < 3; i++)
        free(text[i]);
    free(a);
    free(b);
    free(c);
}

static void eight_processes_at_once(void **state)
{
    (void)state;
    enum { WRITERS = 8, EACH = 12 };
    char *folder = fresh_folder("eight"), id[17];
    pid_t pid[WRITERS];

    for (int w = 0; w < WRITERS; w++) {
        pid[w] = fork();
        if (pid[w] == 0) {
            for (int i = 0; i < EACH; i++) {
                struct df_curve_row curve[3];
                const struct df_run_row row = row_of(w * EACH + i, id);

                curves_of(&row, curve, 3);
                if (df_journal_append(folder, &row, curve, 3, &err) != DF_OK)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;

        assert_int_equal(waitpid(pid[w], &status, 0), pid[w]);
        assert_int_equal(status, 0);
    }
    struct df_journal *journal = read_journal(folder);

    assert_int_equal(journal->runs, WRITERS * EACH);
    assert_int_equal(journal->curves, 3 * WRITERS * EACH);
    for (int k = 0; k < WRITERS * EACH; k++) {
        const struct df_run_row want = row_of(k, id);
        const struct df_run_row *got = df_journal_find(journal, id, want.semantics);

        assert_non_null(got);
        assert_int_equal(got->seed, k);
        assert_true(got->metric[11] == want.metric[11]);
    }
    for (size_t i = 0; i < journal->curves; i += 3) /* one append's points stand together */
        for (size_t j = 0; j < 3; j++) {
            assert_string_equal(journal->curve[i].run, journal->curve[i + j].run);
            assert_int_equal(journal->curve[i + j].point, j);
        }
    df_journal_free(journal);
    free(folder);
}

/* A file of schema 1, whose machine is a column "isa", is read, and becomes one of today with the next row; a torn tail of it is kept. */
static void schema_1_is_read_and_brought_up_to_date(void **state)
{
    (void)state;
    static const char old[] = "schema,semantics,run,spec,label,axes,seed,status,AP,AP50,AP75,APs,APm,APl,AR1,AR10,AR100,ARs,ARm,ARl,"
                              "class_ap,train_seconds,eval_seconds,images_per_second,peak_anonymous_bytes,revision,device,isa,started,"
                              "finished,cell\n"
                              "1,1,00000000deadbeef,s,\"a, b\",w=1,4,ok,0.5,,,,,,,,,,,,disk=1,2,3,4,5,r,cpu,avx2,x,y,{}\n";
    char *folder = fresh_folder("one"), *data, *want, *got, id[17];
    const struct df_run_row row = row_of(1, id);
    struct df_journal *journal;
    struct df_text torn = DF_TEXT_INIT;
    int warnings = 0;
    size_t bytes;

    df_text_addf(&torn, "%s1,1,0000", old);
    replace(folder, "runs.csv", torn.data, torn.length);
    df_warn_set(count_warning, &warnings);
    want = same_rows(folder);
    assert_ok(df_journal_append(folder, &row, NULL, 0, &err));
    df_warn_set(NULL, NULL);
    assert_int_equal(warnings, 2); /* of the reader and of who cut it off */
    data = file_of(folder, "runs.csv.torn", &bytes);
    assert_string_equal(data, "1,1,0000");
    free(data);
    data = file_of(folder, "runs.csv", &bytes);
    assert_null(strstr(data, ",isa,"));
    free(data);
    journal = read_journal(folder);
    assert_int_equal(journal->runs, 2);
    const struct df_run_row *first = df_journal_find(journal, "00000000deadbeef", 1);

    assert_ptr_equal(first, &journal->run[0]);
    assert_int_equal(first->schema, 1);
    assert_string_equal(first->environment, "{\"isa\":\"avx2\"}");
    assert_string_equal(first->device, "cpu");
    assert_string_equal(first->label, "a, b");
    assert_true(first->metric[0] == 0.5 && isnan(first->metric[1]) && first->peak_anonymous_bytes == 5);
    assert_ptr_equal(df_journal_find(journal, id, row.semantics), &journal->run[1]);
    df_journal_free(journal);
    got = same_rows(folder);
    assert_non_null(strstr(got, want)); /* the old row says what it said */
    free(got);
    free(want);
    df_text_clear(&torn);
    df_text_add(&torn, old);
    *strstr(torn.data, "0.5") = 'x';
    replace(folder, "runs.csv", torn.data, torn.length);
    assert_fails(df_journal_read(folder, &journal, &err), DF_ERR_FORMAT, "column 'AP': found 'x.5'");
    assert_fails(df_journal_append(folder, &row, NULL, 0, &err), DF_ERR_FORMAT, "column 'AP': found 'x.5'");
    df_text_release(&torn);
    free(folder);
}

/* Rows of another schema are read as far as their columns are known, never found, and not appended to. */
static void another_schema(void **state)
{
    (void)state;
    char *folder = fresh_folder("schema"), id[17];
    const struct df_run_row row = row_of(1, id);
    static const char old[] = "schema,run,label,colour,seed\n0,00000000deadbeef,DeFeat,blue,4\n";

    replace(folder, "runs.csv", old, sizeof old - 1);
    struct df_journal *journal = read_journal(folder);

    assert_int_equal(journal->runs, 1);
    assert_string_equal(journal->run[0].label, "DeFeat");
    assert_string_equal(journal->run[0].axes, "");
    assert_int_equal(journal->run[0].seed, 4);
    assert_true(isnan(journal->run[0].metric[0]));
    assert_null(df_journal_find(journal, "00000000deadbeef", 0));
    df_journal_free(journal);
    assert_fails(df_journal_append(folder, &row, NULL, 0, &err), DF_ERR_STALE, "runs.csv': line 1");
    free(folder);
}

static void damage_is_named(void **state)
{
    (void)state;
    char *folder = fresh_folder("damage"), *data, id[17];
    struct df_journal *journal;
    struct df_text bad = DF_TEXT_INIT;
    size_t bytes;
    struct df_run_row row = row_of(1, id);

    row.label = "two\nlines";
    assert_ok(df_journal_append(folder, &row, NULL, 0, &err));
    data = file_of(folder, "runs.csv", &bytes);
    df_text_addf(&bad, "%s1,x,y\n", data);
    replace(folder, "runs.csv", bad.data, bad.length);
    assert_fails(df_journal_read(folder, &journal, &err), DF_ERR_FORMAT, "line 4: found 3 cells, expected 31");
    assert_null(journal);
    df_text_clear(&bad);
    df_text_add(&bad, data);
    *strstr(bad.data + bytes / 2, "cpu") = '"'; /* a quote inside a bare cell */
    df_text_add(&bad, "\"\n");
    replace(folder, "runs.csv", bad.data, bad.length);
    assert_fails(df_journal_read(folder, &journal, &err), DF_ERR_FORMAT, "line 2: byte ");
    df_text_clear(&bad);
    df_text_add(&bad, data);
    *strstr(bad.data, "1048576") = 'x';
    replace(folder, "runs.csv", bad.data, bad.length);
    assert_fails(df_journal_read(folder, &journal, &err), DF_ERR_FORMAT,
                 "column 'peak_anonymous_bytes': found 'x048576', expected an integer");
    replace(folder, "runs.csv", "hello\n", 6);
    assert_fails(df_journal_read(folder, &journal, &err), DF_ERR_FORMAT, "expected 'schema'");
    df_text_release(&bad);
    free(data);
    free(folder);
}

/* A stray quote joins everything behind it into one row without an end: not a torn tail, for there are rows in it. */
static void a_stray_quote_is_no_torn_tail(void **state)
{
    (void)state;
    char *folder = fresh_folder("stray"), *data, id[17];
    struct df_text bad = DF_TEXT_INIT;
    struct df_journal *journal;
    size_t bytes;

    for (int k = 1; k < 4; k++) {
        struct df_run_row row = row_of(k, id);

        row.label = "plain";
        assert_ok(df_journal_append(folder, &row, NULL, 0, &err));
    }
    data = file_of(folder, "runs.csv", &bytes);
    df_text_add(&bad, data);
    *strstr(strstr(bad.data, "abc-dirty") + 1, "abc-dirty") = '"'; /* in the second of three rows */
    replace(folder, "runs.csv", bad.data, bytes);
    const struct df_run_row row = row_of(4, id);

    assert_fails(df_journal_read(folder, &journal, &err), DF_ERR_FORMAT, "line 3: found a row without an end");
    assert_fails(df_journal_append(folder, &row, NULL, 0, &err), DF_ERR_FORMAT, "line 3: found a row without an end");
    df_text_release(&bad);
    free(data);
    free(folder);
}

int main(void)
{
    setenv("TMPDIR", "/dev/shm", 0); /* thousands of fsyncs: on a disk they would be all of the test's time */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(torn_at_every_byte),
        cmocka_unit_test(torn_header_and_kept_bytes),
        cmocka_unit_test(crash_between_the_writes),
        cmocka_unit_test(the_same_rows),
        cmocka_unit_test(eight_processes_at_once),
        cmocka_unit_test(schema_1_is_read_and_brought_up_to_date),
        cmocka_unit_test(another_schema),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(a_stray_quote_is_no_torn_tail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
