/* The sweep against workers that take milliseconds: this program is its own worker ("run", "prepare"), told by $DEFEAT_FAKE what to do. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ablations/executors/executors.h"
#include "ablations/run/store.h"
#include "ablations/sweep.h"
#include "ablations/watch.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/progress.h"
#include "results/journal_csv.h"
#include "tests/support/support.h"

static const char spec_text[] = "{\"name\":\"fake\",\"data\":{\"kind\":\"scenes\"},\"detector\":{\"kind\":\"retinanet\"},"
                                "\"student\":{\"network\":{\"depth\":18}},\"teacher\":{\"network\":{\"depth\":50}},"
                                "\"methods\":[{\"label\":\"none\",\"distillers\":[]},"
                                "{\"label\":\"DeFeat\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2]}]}],\"seeds\":[0,1,2]}";
enum { CELLS = 9, PLAIN = 3 };

static char spec_path[512];

/* ---- the worker ------------------------------------------------------------------------------------------------------------------- */

static const char *word_after(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return "";
}

static void write_pid(const char *out)
{
    char *path = df_path_join(out, "worker.pid"), text[32];

    snprintf(text, sizeof text, "%d", (int)getpid());
    if (df_file_write(path, text, strlen(text), NULL) != DF_OK)
        abort();
    free(path);
}

static int fake_row(const struct df_cell *cell, const char *out)
{
    const struct timespec pause = { 0, 30 * 1000 * 1000 };
    struct df_journal *journal = df_journal_new(); /* for its memory */
    struct df_run_row row = df_store_row(cell, journal->memory);

    df_scores_add(&row.scores, journal->memory, (struct df_score){ "AP", "", (double)(df_hash(cell->id, 16) % 1000003) / 1e7 });
    df_curve_add(&row.curve, journal->memory, (struct df_curve_point){ 1, 0.5, "tune", "AP", 0.25 });
    row.train_seconds = df_now(); /* not deterministic, and must not count */
    nanosleep(&pause, NULL);
    const df_status status = df_store_put(out, cell, &row, NULL);

    df_journal_free(journal);
    return status == DF_OK ? 0 : 1;
}

static int fake_cell(const struct df_spec *spec, size_t k, const char *mode, const char *out)
{
    if (strcmp(mode, "sleep") == 0) {
        write_pid(out);
        sleep(60);
    }
    if (strcmp(mode, "crash4") == 0 && k == 4)
        raise(SIGKILL);
    if (strcmp(mode, "exit3") == 0 && k == 0)
        return 3;
    if (strcmp(mode, "row2") == 0 && k == 1)
        return df_store_put_failure(out, spec->cell[k], "", "its own words", NULL) == DF_OK ? 2 : 1;
    if (strcmp(mode, "term") == 0 && k == 1)
        return 130;
    if (strcmp(mode, "warn") == 0)
        fprintf(stderr, "warning: img/%zu.jpg: torn\nwarning: img/%zu.jpg: torn (12 in all)\n%s", k, k, k == 2 ? "warning: rare\n" : "");
    return fake_row(spec->cell[k], out);
}

static int fake_run(int argc, char **argv, const char *mode)
{
    const char *out = word_after(argc, argv, "--out"), *seeds = word_after(argc, argv, "--seeds");
    const struct df_spec_overrides overrides = { .seeds = *seeds ? seeds : NULL };
    struct df_spec *spec;
    int64_t k;
    int status = 1;

    if (!df_parse_int(word_after(argc, argv, "--cell"), &k) || df_spec_read(argv[2], &overrides, &spec, NULL) != DF_OK)
        return 2;
    if (strcmp(word_after(argc, argv, "--id"), spec->cell[k]->id) != 0 || strcmp(argv[7], "--locked") != 0)
        fprintf(stderr, "defeat: another cell\n");
    else
        status = fake_cell(spec, (size_t)k, mode, out);
    df_spec_free(spec);
    return status;
}

static int worker(int argc, char **argv)
{
    const char *mode = getenv("DEFEAT_FAKE") ? getenv("DEFEAT_FAKE") : "ok";

    if (strcmp(argv[1], "run") == 0)
        return fake_run(argc, argv, mode);
    if (strcmp(mode, "gate") == 0 || strcmp(word_after(argc, argv, "--which"), mode) == 0) {
        fprintf(stderr, "defeat: teacher gate: recorded 0.5, found 0.4\n");
        return 1;
    }
    if (strcmp(mode, "killed") == 0 && strcmp(word_after(argc, argv, "--stage"), "cache") == 0)
        raise(SIGKILL);
    if (strcmp(mode, "leak") == 0 && strcmp(word_after(argc, argv, "--stage"), "identity") == 0) {
        fprintf(stderr, "defeat: 'DeFeat' with weights of 0 is not the plain student\n");
        return 1;
    }
    return 0;
}

/* ---- helpers ---------------------------------------------------------------------------------------------------------------------- */

static char *fresh_out(void)
{
    static int number;
    char name[32];

    snprintf(name, sizeof name, "out%d", number++);
    return df_path_join(df_test_folder(), name);
}

static df_status sweep(const char *out, size_t jobs, const char *only, struct df_text *list, struct df_sweep_summary *summary,
                       struct df_error *err)
{
    const struct df_sweep_options options = {
        .run = { .out = out }, .jobs = jobs, .only = only, .list = list, .program = "/proc/self/exe"
    };
    struct df_spec *spec;

    DF_TRY(df_spec_read(spec_path, NULL, &spec, err));
    const df_status status = df_sweep(spec, &options, summary, err);

    df_spec_free(spec);
    return status;
}

static char *deterministic(const char *out)
{
    struct df_error err;
    struct df_journal *journal;
    struct df_text text = DF_TEXT_INIT;
    char *folder = df_path_join(out, "fake");

    assert_ok(df_store_read(folder, &journal, &err));
    df_journal_deterministic(journal, &text);
    df_journal_free(journal);
    free(folder);
    return text.data ? text.data : df_strdup("");
}

static size_t ok_rows(const char *out)
{
    struct df_error err;
    struct df_journal *journal;
    char *folder = df_path_join(out, "fake");
    size_t n = 0;

    assert_ok(df_store_read(folder, &journal, &err));
    for (size_t i = 0; i < journal->runs; i++)
        n += strcmp(journal->run[i].status, "ok") == 0;
    df_journal_free(journal);
    free(folder);
    return n;
}

/* A sweep in a process of its own: exit status 0 ok, 7 interrupted, 1 else. */
static pid_t sweep_process(const char *out)
{
    const pid_t pid = fork();

    if (pid == 0) {
        struct df_sweep_summary summary;
        struct df_error err;
        const df_status status = sweep(out, 2, NULL, NULL, &summary, &err);

        _exit(status == DF_OK ? 0 : status == DF_ERR_INTERRUPTED ? 7 : 1);
    }
    return pid;
}

static pid_t wait_for_worker(const char *out)
{
    char *path = df_path_join(out, "worker.pid"), *data = NULL;
    const struct timespec pause = { 0, 10 * 1000 * 1000 };
    int64_t pid = 0;
    size_t bytes;

    for (int i = 0; i < 1000 && !df_file_exists(path); i++)
        nanosleep(&pause, NULL);
    assert_int_equal(df_file_read(path, 64, &data, &bytes, NULL), DF_OK);
    assert_true(df_parse_int(data, &pid));
    free(data);
    free(path);
    return (pid_t)pid;
}

static bool gone(pid_t pid)
{
    const struct timespec pause = { 0, 10 * 1000 * 1000 };

    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
        nanosleep(&pause, NULL);
    return kill(pid, 0) != 0;
}

/* ---- tests ------------------------------------------------------------------------------------------------------------------------ */

static void one_worker_or_three_leave_the_same_rows(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary one, three, again;
    char *a = fresh_out(), *b = fresh_out();

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(sweep(a, 1, NULL, NULL, &one, &err));
    assert_ok(sweep(b, 3, NULL, NULL, &three, &err));
    assert_int_equal(one.done, CELLS);
    assert_int_equal(three.done, CELLS);

    char *rows_a = deterministic(a), *rows_b = deterministic(b);

    assert_true(strlen(rows_a) > 100);
    assert_string_equal(rows_a, rows_b);
    assert_ok(sweep(a, 1, NULL, NULL, &again, &err));
    assert_int_equal(again.already, CELLS);
    assert_int_equal(again.done + again.failed + again.left, 0);
    free(rows_a);
    free(rows_b);
    free(a);
    free(b);
}

static void a_killed_worker_costs_its_cell_only(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    struct df_journal *journal;
    char *out = fresh_out(), *folder = df_path_join(out, "fake");
    bool found = false;

    (void)state;
    setenv("DEFEAT_FAKE", "crash4", 1);
    assert_ok(sweep(out, 2, NULL, NULL, &summary, &err));
    assert_int_equal(summary.done, CELLS - 1);
    assert_int_equal(summary.failed, 1);
    assert_ok(df_store_read(folder, &journal, &err));
    for (size_t i = 0; i < journal->runs; i++)
        found |= strstr(journal->run[i].status, "failed: killed by signal 9") != NULL;
    assert_true(found);
    df_journal_free(journal);
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(sweep(out, 2, NULL, NULL, &summary, &err));
    assert_int_equal(summary.already, CELLS - 1);
    assert_int_equal(summary.done, 1);

    /* killed between cells and done again = never killed, once the failed row is superseded */
    assert_int_equal(ok_rows(out), CELLS);
    free(out);
    free(folder);
}

static void a_worker_without_a_row_is_a_failure(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    char *out = fresh_out();

    (void)state;
    setenv("DEFEAT_FAKE", "exit3", 1);
    assert_ok(sweep(out, 2, "^none", NULL, &summary, &err));
    assert_int_equal(summary.failed, 1);
    assert_int_equal(summary.done, PLAIN - 1);
    free(out);
}

/* The statuses of all rows, one a line, those of finished ones first. */
static char *statuses(const char *out)
{
    struct df_error err;
    struct df_journal *journal;
    struct df_text text = DF_TEXT_INIT;
    char *folder = df_path_join(out, "fake");

    assert_ok(df_store_read(folder, &journal, &err));
    for (int ok = 1; ok >= 0; ok--)
        for (size_t i = 0; i < journal->runs; i++)
            if (df_run_row_ok(&journal->run[i]) == ok)
                df_text_addf(&text, "%s\n", journal->run[i].status);
    df_journal_free(journal);
    free(folder);
    return text.data ? text.data : df_strdup("");
}

static void a_worker_that_wrote_its_row_gets_no_second_one(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    char *out = fresh_out(), *all;

    (void)state;
    setenv("DEFEAT_FAKE", "row2", 1);
    assert_ok(sweep(out, 1, "^none", NULL, &summary, &err));
    assert_ok(sweep(out, 1, "^none", NULL, &summary, &err));
    assert_int_equal(summary.failed, 1);
    all = statuses(out);
    assert_string_equal(all, "ok\nok\nfailed: its own words\n");
    free(all);
    free(out);
}

static void a_worker_that_somebody_else_stopped_has_failed(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    char *out = fresh_out(), *all;

    (void)state;
    setenv("DEFEAT_FAKE", "term", 1);
    assert_ok(sweep(out, 1, "^none", NULL, &summary, &err));
    assert_int_equal(summary.failed, 1);
    assert_int_equal(summary.left, 0);
    all = statuses(out);
    assert_string_equal(all, "ok\nok\nfailed: interrupted\n");
    free(all);
    free(out);
}

/* The sweep holds one spec, its workers read another from the same file. */
static void a_spec_that_changes_under_the_sweep_journals_no_other_cell(void **state)
{
    struct df_sweep_options options = { .jobs = 1, .only = "^none", .program = "/proc/self/exe" };
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    struct df_text other = DF_TEXT_INIT;
    struct df_spec *spec;
    char *out = fresh_out(), *all;

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    options.run.out = out;
    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));
    df_text_add(&other, spec_text);
    memcpy(strstr(other.data, "[0,1,2]"), "[0,1,9]", 7);
    assert_ok(df_file_write(spec_path, other.data, other.length, &err));
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_ok(df_file_write(spec_path, spec_text, strlen(spec_text), &err));
    assert_int_equal(summary.done, 2);
    assert_int_equal(summary.failed, 1);
    all = statuses(out);
    assert_string_equal(all, "ok\nok\nfailed: worker exited with status 1 without a result: another cell\n");
    df_spec_free(spec);
    df_text_release(&other);
    free(all);
    free(out);
}

/* What a sweep with workers of that mode writes to stderr. free() it. */
static char *stderr_of(const char *mode, const char *only, char *out)
{
    struct df_sweep_summary summary;
    struct df_error err = { 0 };
    FILE *file = tmpfile();
    const int kept = dup(2);

    assert_non_null(file);
    setenv("DEFEAT_FAKE", mode, 1);
    fflush(stderr);
    dup2(fileno(file), 2);
    const df_status status = sweep(out, 1, only, NULL, &summary, &err);

    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    assert_ok(status);

    const long bytes = lseek(fileno(file), 0, SEEK_END);
    char *text = calloc(1, (size_t)bytes + 1);

    assert_int_equal(pread(fileno(file), text, (size_t)bytes, 0), bytes);
    fclose(file);
    return text;
}

/* In the order of the cells: a kind at its first place, the cells' outcomes on a line each, the number of those that came again at the end. What a log
 * has of an earlier try does not count. */
static void warnings_of_workers_are_told_by_kind(void **state)
{
    char *out = fresh_out(), *text, expected[2048];
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));

    char *log = df_store_cell_file(out, spec->cell[0], DF_CELL_LOG), *third = df_store_cell_file(out, spec->cell[2], DF_CELL_LOG);
    char *folder = df_path_folder(log);

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_write(log, "warning: of yesterday\n", 22, &err));
    text = stderr_of("warn", "^none", out);
    snprintf(expected, sizeof expected, "warning: img/0.jpg: torn (12 in all; first in '%s')\nnone seed 0: ", log);
    assert_memory_equal(text, expected, strlen(expected));
    snprintf(expected, sizeof expected, "warning: rare (first in '%s')\nnone seed 2: ", third);
    assert_non_null(strstr(text, expected));
    snprintf(expected, sizeof expected, " s\nwarning: img/0.jpg: torn (36 in all, in 3 logs; first in '%s')\n", log);
    assert_true(strlen(text) > strlen(expected) && strcmp(text + strlen(text) - strlen(expected), expected) == 0);
    free(text);

    struct df_warnings found = { 0 };

    assert_ok(df_watch_warnings(spec, out, &found, &err)); /* as `status` and `table` find them: all of the logs */
    assert_int_equal(found.count, 3);
    assert_int_equal(found.list[0].count, 1);
    assert_int_equal(found.list[1].count, 36);
    df_warnings_release(&found);
    df_spec_free(spec);
    free(log);
    free(third);
    free(folder);
    free(out);
}

static void a_job_that_is_killed_has_its_reason(void **state)
{
    struct df_sweep_summary summary;
    struct df_error err = { 0 };
    char *out = fresh_out();

    (void)state;
    setenv("DEFEAT_FAKE", "killed", 1);
    assert_int_equal(sweep(out, 1, NULL, NULL, &summary, &err), DF_ERR_IO);
    assert_string_equal(err.text, "the teacher cache: no cell that needs the teacher was started: killed by signal 9 (Killed)");
    free(out);
}

static size_t count_text(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}

/* Of nine cells three are done; one has failed, and one is somebody's. */
static void check_states(const char *out)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    struct df_text list = DF_TEXT_INIT;
    struct df_sweep_options options = { .run = { .out = out }, .list = &list, .list_all = true };
    struct df_spec *spec;
    int lock;

    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));

    char *path = df_store_cell_file(out, spec->cell[2], DF_CELL_LOCK), *folder = df_path_folder(path);

    assert_ok(df_store_put_failure(out, spec->cell[0], "2026-01-01T00:00:00Z", "a test", &err));
    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_lock(path, true, &lock, &err));
    assert_ok(df_sweep(spec, &options, &summary, &err));
    df_unlock(lock);
    assert_int_equal(count_text(list.data, "\n"), 9);
    assert_int_equal(count_text(list.data, "\tdone\t"), 3);
    assert_int_equal(count_text(list.data, "\tfailed\t"), 1);
    assert_int_equal(count_text(list.data, "\trunning\t"), 1);
    assert_int_equal(count_text(list.data, "\tleft\t"), 4);
    assert_ok(df_store_forget_failure(out, spec->cell[0], &err));
    free(path);
    free(folder);
    df_text_release(&list);
    df_spec_free(spec);
}

static void only_selects_and_dry_run_lists(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    struct df_text list = DF_TEXT_INIT;
    char *out = fresh_out();

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(sweep(out, 1, "defeat\\.w_fg=2 .*", &list, &summary, &err));
    assert_int_equal(summary.selected, 3);
    assert_non_null(strstr(df_text_get(&list), "w_fg=2\tseed=2"));
    assert_null(strstr(df_text_get(&list), "w_fg=1"));
    assert_false(df_file_exists(out)); /* nothing is written */
    assert_ok(sweep(out, 1, "seed=1( |$)", NULL, &summary, &err));
    assert_int_equal(summary.done, 3);
    check_states(out);
    assert_fails(sweep(out, 1, "(", NULL, &summary, &err), DF_ERR_USAGE, "--only '('");
    assert_fails(sweep(out, 1, "(*LIMIT_MATCH=1)(a|.)*[0-9]{9}", NULL, &summary, &err), DF_ERR_USAGE,
                 "cannot say whether it matches 'none  seed=0'"); /* giving up is no answer */
    assert_fails(sweep(out, 1, "nothing like it", NULL, &summary, &err), DF_ERR_USAGE, "selects none of the 9 cells");
    df_text_release(&list);
    free(out);
}

static void two_sweeps_share_a_journal(void **state)
{
    char *out = fresh_out(), *alone = fresh_out();
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    int status;

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    const pid_t first = sweep_process(out), second = sweep_process(out);

    assert_int_equal(waitpid(first, &status, 0), first);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(ok_rows(out), CELLS); /* no cell was done twice */
    assert_ok(sweep(alone, 1, NULL, NULL, &summary, &err));

    char *together = deterministic(out), *apart = deterministic(alone);

    assert_string_equal(together, apart);
    free(together);
    free(apart);
    free(out);
    free(alone);
}

static void an_interrupt_stops_cleanly_and_the_same_command_goes_on(void **state)
{
    char *out = fresh_out();
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    int status;

    (void)state;
    setenv("DEFEAT_FAKE", "sleep", 1);
    const pid_t pid = sweep_process(out), fake = wait_for_worker(out);

    kill(pid, SIGINT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(gone(fake));
    assert_int_equal(ok_rows(out), 0);
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(sweep(out, 2, NULL, NULL, &summary, &err));
    assert_int_equal(summary.done, CELLS);
    free(out);
}

static df_status sweep_with(const struct df_sweep_options *options, struct df_sweep_summary *summary, struct df_error *err)
{
    struct df_spec *spec;

    DF_TRY(df_spec_read(spec_path, NULL, &spec, err));
    const df_status status = df_sweep(spec, options, summary, err);

    df_spec_free(spec);
    return status;
}

static void when_the_time_is_over_it_stops_like_an_interrupt(void **state)
{
    char *out = fresh_out();
    struct df_sweep_options options = { .run = { .out = out }, .jobs = 2, .program = "/proc/self/exe", .seconds = 0.2 };
    struct df_error err = { 0 };
    struct df_sweep_summary summary;

    (void)state;
    setenv("DEFEAT_FAKE", "sleep", 1);
    assert_fails(sweep_with(&options, &summary, &err), DF_ERR_INTERRUPTED, "the time is over; the same command goes on with what is left");
    assert_int_equal(summary.left, CELLS);
    assert_true(summary.seconds >= 0.2 && summary.seconds < 30);
    setenv("DEFEAT_FAKE", "ok", 1);
    options.seconds = 600;
    assert_ok(sweep_with(&options, &summary, &err));
    assert_int_equal(summary.done, CELLS);
    free(out);
}

/* What tunes must not see what validation says. */
static void outcomes_are_of_the_tuning_split_where_it_tunes(void **state)
{
    char *out = fresh_out(), *log = df_path_join(df_test_folder(), "tuning.log"), *text;
    const struct df_sweep_options options = { .run = { .out = out }, .jobs = 1, .program = "/proc/self/exe", .tuning = true };
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    size_t bytes, told = 0;
    const int before = dup(2), file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    fflush(stderr);
    dup2(file, 2);
    const df_status status = sweep_with(&options, &summary, &err);

    fflush(stderr);
    dup2(before, 2);
    close(before);
    close(file);
    assert_int_equal(status, DF_OK);
    assert_ok(df_file_read(log, 0, &text, &bytes, &err));
    for (const char *at = text; (at = strstr(at, " mAP, ")); at++, told++)
        assert_memory_equal(at - 5, "25.00", 5); /* the curve's point; the score is another in every row */
    assert_int_equal(told, CELLS);
    free(text);
    free(log);
    free(out);
}

static void workers_do_not_outlive_a_killed_sweep(void **state)
{
    char *out = fresh_out();
    int status;

    (void)state;
    setenv("DEFEAT_FAKE", "sleep", 1);
    const pid_t pid = sweep_process(out), fake = wait_for_worker(out);

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(gone(fake));
    free(out);
}

static void a_teacher_that_fails_its_gate_starts_nothing_that_needs_it(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    struct df_spec *spec;
    char *out = fresh_out();

    (void)state;
    setenv("DEFEAT_FAKE", "gate", 1);
    assert_fails(sweep(out, 2, NULL, NULL, &summary, &err), DF_ERR_CHECK, "recorded 0.5, found 0.4");
    assert_int_equal(summary.done, PLAIN); /* there was no teacher: they ran while it trained */
    assert_int_equal(summary.left, CELLS - PLAIN);
    free(out);

    out = fresh_out();
    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));
    char *teacher = df_store_teacher(out, spec->variant[0].teacher[0].cell->id), *folder = df_store_teachers(out);

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_write(teacher, "x", 1, &err));
    assert_fails(sweep(out, 2, NULL, NULL, &summary, &err), DF_ERR_CHECK, "recorded 0.5, found 0.4");
    assert_int_equal(summary.done, 0); /* there was one: the gate comes before everything */
    assert_int_equal(summary.left, CELLS);
    df_spec_free(spec);
    free(teacher);
    free(folder);
    free(out);
}

static df_status guarded(const char *seeds, bool guards, struct df_sweep_summary *summary, struct df_error *err)
{
    const struct df_spec_overrides overrides = { .seeds = seeds };
    char *out = fresh_out();
    const char *const pass[] = { "--seeds", seeds, NULL };
    const struct df_sweep_options options = {
        .run = { .out = out, .guards = guards }, .jobs = 2, .program = "/proc/self/exe", .pass = pass
    };
    struct df_spec *spec;

    DF_TRY(df_spec_read(spec_path, &overrides, &spec, err));
    const df_status status = df_sweep(spec, &options, summary, err);

    df_spec_free(spec);
    free(out);
    return status;
}

/* Before more than ten cells; 0,1,2 of these fake ones make 9, four seeds 12. */
static void a_leak_stops_a_long_sweep(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;

    (void)state;
    setenv("DEFEAT_FAKE", "leak", 1);
    assert_fails(guarded("4", true, &summary, &err), DF_ERR_CHECK, "weights of 0: no cell that needs the teacher was started: 'DeFeat'");
    assert_int_equal(summary.done, 4); /* plain ones need no proof */
    assert_int_equal(summary.left, 8);
    assert_ok(guarded("3", true, &summary, &err));
    assert_int_equal(summary.done, CELLS);
    assert_ok(guarded("4", false, &summary, &err));
    assert_int_equal(summary.done, 12);
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(guarded("4", true, &summary, &err));
    assert_int_equal(summary.done, 12);
}

static const char taught_text[] = "{\"name\":\"fake\",\"data\":{\"kind\":\"scenes\"},\"detector\":{\"kind\":\"retinanet\"},"
                                  "\"student\":{\"network\":{\"depth\":18}},"
                                  "\"teachers\":{\"big\":{\"network\":{\"depth\":50}},\"wide\":{\"network\":{\"depth\":34}}},"
                                  "\"methods\":[{\"label\":\"none\"},"
                                  "{\"label\":\"one\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":[\"big\",\"wide\"]}]},"
                                  "{\"label\":\"both\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":\"big\"},"
                                  "{\"name\":\"full_feature\",\"teacher\":\"wide\"}]}],\"seeds\":[0,1]}";

/* Each teacher has its jobs and its logs; one that fails stops what it teaches, and nothing else. */
static void a_teacher_that_fails_stops_only_its_own(void **state)
{
    static const char *const log[] = { "teacher.big.log", "cache.big.log", "teacher.wide.log" };
    char before[sizeof spec_path], path[900];
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    char *out = fresh_out();

    (void)state;
    memcpy(before, spec_path, sizeof before);
    snprintf(spec_path, sizeof spec_path, "%s/taught.json", df_test_folder());
    assert_ok(df_file_write(spec_path, taught_text, strlen(taught_text), &err));
    setenv("DEFEAT_FAKE", "wide", 1);
    assert_fails(sweep(out, 2, NULL, NULL, &summary, &err), DF_ERR_CHECK,
                 "the teacher wide: no cell that needs the teacher was started: teacher gate");
    assert_int_equal(summary.done, 4); /* none, and those that are taught by big alone */
    assert_int_equal(summary.left, 4);
    for (size_t i = 0; i < sizeof log / sizeof *log; i++) {
        snprintf(path, sizeof path, "%s/fake/%s", out, log[i]);
        assert_true(df_file_exists(path));
    }
    snprintf(path, sizeof path, "%s/fake/cache.wide.log", out);
    assert_false(df_file_exists(path));
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(sweep(out, 2, NULL, NULL, &summary, &err));
    assert_int_equal(summary.done, 4);
    memcpy(spec_path, before, sizeof before);
    free(out);
}

/* A killed sweep's rows stand in files; the next one's last act is the tables, of all of them. */
static void the_tables_are_made_of_all_rows(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    char *out = fresh_out(), *runs = df_path_join(out, "fake/runs.csv"), *rows, *tables;
    struct df_journal *journal = df_journal_new();
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(sweep(out, 2, "^none", NULL, &summary, &err));
    assert_true(df_file_exists(runs));
    assert_int_equal(remove(runs), 0);
    setenv("DEFEAT_FAKE", "crash4", 1);
    assert_ok(sweep(out, 2, NULL, NULL, &summary, &err));
    assert_int_equal(summary.failed, 1);
    assert_ok(df_journal_csv_read(runs, journal, &err));
    df_journal_settle(journal);
    assert_int_equal(journal->runs, CELLS);
    df_journal_deterministic(journal, &text);
    rows = deterministic(out);
    tables = df_strdup(df_text_get(&text));
    assert_string_equal(tables, rows);
    df_journal_free(journal);
    df_text_release(&text);
    free(rows);
    free(tables);
    free(runs);
    free(out);
}

/* Rows in a runs.csv of an older schema would be run again: nothing is, until they are imported. */
static void an_older_journal_comes_first(void **state)
{
    struct df_error err = { 0 };
    struct df_sweep_summary summary;
    char *out = fresh_out(), *folder = df_path_join(out, "fake"), *runs = df_path_join(folder, "runs.csv"), *data;
    struct df_imported imported;
    size_t bytes;

    (void)state;
    setenv("DEFEAT_FAKE", "ok", 1);
    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_read("results/edition-1/semantics-1/bccd/runs.csv", 0, &data, &bytes, &err));
    assert_ok(df_file_write(runs, data, bytes, &err));
    free(data);
    assert_fails(sweep(out, 1, "^none", NULL, &summary, &err), DF_ERR_STALE, "[first: defeat journal import ");
    assert_int_equal(summary.selected, 0);
    assert_ok(df_store_import(folder, "", &imported, &err));
    assert_int_equal(imported.finished, 9);
    assert_ok(sweep(out, 1, "^none", NULL, &summary, &err));
    assert_int_equal(summary.done, PLAIN);
    assert_int_equal(ok_rows(out), 9 + PLAIN);
    free(runs);
    free(folder);
    free(out);
}

/* Names alone tell what is done: what stands in the files of 10,000 finished cells is not read. */
static void ten_thousand_finished_cells_are_skipped_at_once(void **state)
{
    enum { SEEDS = 1000, METHODS = 10 };
    struct df_sweep_options options = { .jobs = 1, .program = "/proc/self/exe" };
    char *out = fresh_out(), *path = df_path_join(df_test_folder(), "many.json");
    struct df_text text = DF_TEXT_INIT;
    struct df_sweep_summary summary;
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    setenv("DEFEAT_FAKE", "exit3", 1);
    df_text_add(&text, "{\"name\":\"many\",\"data\":{\"kind\":\"scenes\"},\"detector\":{\"kind\":\"retinanet\"},"
                       "\"student\":{\"network\":{\"depth\":18}},\"teacher\":{\"network\":{\"depth\":50}},\"methods\":[");
    for (int m = 0; m < METHODS; m++)
        df_text_addf(&text, "%s{\"label\":\"m%d\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":%d}]}", m ? "," : "", m, m + 1);
    df_text_add(&text, "],\"seeds\":[");
    for (int s = 0; s < SEEDS; s++)
        df_text_addf(&text, "%s%d", s ? "," : "", s);
    df_text_add(&text, "]}");
    assert_ok(df_file_write(path, text.data, text.length, &err));
    assert_ok(df_spec_read(path, NULL, &spec, &err));
    assert_int_equal(spec->count, SEEDS * METHODS);
    for (size_t i = 0; i < spec->count; i++) {
        char *folder = df_store_cell_folder(out, spec->cell[i]), *row = df_store_cell_file(out, spec->cell[i], DF_CELL_ROW);

        if (i == 0)
            assert_ok(df_folder_make(folder, &err));
        assert_true(i == 0 || mkdir(folder, 0777) == 0);
        FILE *file = fopen(row, "w");

        assert_non_null(file);
        fputs("x", file);
        fclose(file);
        free(row);
        free(folder);
    }
    options.run.out = out;
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_int_equal(summary.already, SEEDS * METHODS);
    assert_true(summary.seconds < 3); /* 0.1 on a quiet machine */
    df_spec_free(spec);
    df_text_release(&text);
    free(path);
    free(out);
}

/* What the option's choices say is what the registry holds; each has all it must. */
static void executors_are_as_they_are_called(void **state)
{
    struct df_text names = DF_TEXT_INIT;

    (void)state;
    for (const struct df_executor_class *const *executor = df_executors; *executor; executor++) {
        df_text_addf(&names, "%s%s", names.length ? "|" : "", (*executor)->name);
        assert_true((*executor)->summary && (*executor)->open && (*executor)->slots && (*executor)->start && (*executor)->poll &&
                    (*executor)->stop && (*executor)->close);
    }
    assert_string_equal(df_text_get(&names), DF_EXECUTOR_NAMES);
    df_text_release(&names);
}

/* A command a line, what cells stand on first; nothing is run, and nothing is touched. */
static void commands_are_listed(void **state)
{
    char *out = fresh_out();
    struct df_text commands = DF_TEXT_INIT;
    const struct df_sweep_options options = {
        .run = { .out = out }, .executor = df_executors[1], .only = "seed=0", .program = "/proc/self/exe", .commands = &commands
    };
    struct df_sweep_summary summary;
    struct df_spec *spec;
    struct df_error err;
    const char *at;

    (void)state;
    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_int_equal(summary.left, 3);
    at = df_text_get(&commands);
    assert_non_null(strstr(at, " prepare "));
    assert_true(strstr(at, " --stage teacher ") < strstr(at, " --stage cache "));
    assert_true(strstr(at, " --stage cache ") < strstr(at, " run "));
    assert_null(strstr(at, "--locked"));
    for (size_t i = 0; i < 5; i++, at++) {
        at = strchr(at, '\n');
        assert_non_null(at);
    }
    assert_int_equal(*at, 0);
    assert_false(df_file_exists(out));
    df_text_release(&commands);
    df_spec_free(spec);
    free(out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_or_three_leave_the_same_rows),
        cmocka_unit_test(a_killed_worker_costs_its_cell_only),
        cmocka_unit_test(a_worker_without_a_row_is_a_failure),
        cmocka_unit_test(a_worker_that_wrote_its_row_gets_no_second_one),
        cmocka_unit_test(a_worker_that_somebody_else_stopped_has_failed),
        cmocka_unit_test(a_spec_that_changes_under_the_sweep_journals_no_other_cell),
        cmocka_unit_test(warnings_of_workers_are_told_by_kind),
        cmocka_unit_test(a_job_that_is_killed_has_its_reason),
        cmocka_unit_test(only_selects_and_dry_run_lists),
        cmocka_unit_test(two_sweeps_share_a_journal),
        cmocka_unit_test(an_interrupt_stops_cleanly_and_the_same_command_goes_on),
        cmocka_unit_test(when_the_time_is_over_it_stops_like_an_interrupt),
        cmocka_unit_test(outcomes_are_of_the_tuning_split_where_it_tunes),
        cmocka_unit_test(workers_do_not_outlive_a_killed_sweep),
        cmocka_unit_test(a_teacher_that_fails_its_gate_starts_nothing_that_needs_it),
        cmocka_unit_test(a_leak_stops_a_long_sweep),
        cmocka_unit_test(a_teacher_that_fails_stops_only_its_own),
        cmocka_unit_test(the_tables_are_made_of_all_rows),
        cmocka_unit_test(an_older_journal_comes_first),
        cmocka_unit_test(ten_thousand_finished_cells_are_skipped_at_once),
        cmocka_unit_test(executors_are_as_they_are_called),
        cmocka_unit_test(commands_are_listed),
    };

    if (argc > 1)
        return worker(argc, argv);
    df_progress_enable(false);
    snprintf(spec_path, sizeof spec_path, "%s/fake.json", df_test_folder());
    if (df_file_write(spec_path, spec_text, strlen(spec_text), NULL) != DF_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
