/* Slurm as it is seen from here, on stand-ins for its commands that say what a test lets them say: what they are called with, how their output is
 * read, what is made of it. A task's work is this very program ("work"). A real Slurm: tests/slurm/run.sh. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ablations/executors/executors.h"
#include "ablations/executors/slurm_queue.h"
#include "ablations/executors/slurm_task.h"
#include "ablations/run/store.h"
#include "ablations/sweep.h"
#include "core/base/file.h"
#include "core/base/progress.h"
#include "tests/support/support.h"

static char fake[512]; /* folder of the stand-ins and of what they say */

/* ---- the stand-ins ---------------------------------------------------------------------------------------------------------------- */

/* Their words go to <name>.words, one a line; sbatch counts jobs up from 10, and refuses from the number in `refuse` on. */
static const char *const scripts[][2] = {
    { "sbatch", "for w; do printf '%s\\n' \"$w\"; done >>sbatch.words\n"
                "n=$(cat next 2>/dev/null || echo 10)\n"
                "[ \"$n\" = \"$(cat refuse 2>/dev/null)\" ] && { echo 'sbatch: error: Batch job submission failed: Job violates "
                "accounting/QOS policy' >&2; exit 1; }\n"
                "echo $((n + 1)) >next\n"
                "cat says 2>/dev/null || echo $n\n" },
    { "squeue",
      "[ -f down ] && { echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }\ncat queue 2>/dev/null\n" },
    { "sacct", "printf '%s ' \"$@\" >sacct.words\n"
               "[ -f accounts ] || { echo 'Slurm accounting storage is disabled' >&2; exit 1; }\ncat accounts\n" },
    { "scancel", "printf '%s ' \"$@\" >scancel.words\n" },
    { "scontrol", "case $1 in\n"
                  "requeue) echo \"$2\" >>requeued ;;\n"
                  "show) printf 'Configuration data\\nMaxArraySize            = %s\\nMaxDBDMsgs = 4\\n' \"$(cat arrays)\" ;;\n"
                  "*) cat \"job.$4\" 2>/dev/null || { echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1; } ;;\n"
                  "esac\n" },
};

static void put(const char *name, const char *text)
{
    char *path = df_path_join(fake, name);
    struct df_error err;

    assert_ok(df_file_write(path, text, strlen(text), &err));
    free(path);
}

/* What is there; "" where nothing is. free() it. */
static char *get(const char *name)
{
    char *path = df_path_join(fake, name), *data = NULL;
    size_t bytes;

    if (df_file_read(path, 0, &data, &bytes, NULL) != DF_OK)
        data = df_strdup("");
    free(path);
    return data;
}

/* Stand-ins in a folder of their own, where nothing was said yet, first on the PATH. */
static int set_up(void **state)
{
    static char first_path[4096];
    static int number;
    char path[5000];

    (void)state;
    snprintf(fake, sizeof fake, "%s/slurm%d", df_test_folder(), number++);
    if (!first_path[0])
        snprintf(first_path, sizeof first_path, "%s", getenv("PATH"));
    snprintf(path, sizeof path, "%s:%s", fake, first_path);
    setenv("PATH", path, 1);
    if (df_folder_make(fake, NULL) != DF_OK)
        return 1;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char text[2048], *file = df_path_join(fake, scripts[i][0]);

        snprintf(text, sizeof text, "#!/bin/sh\ncd '%s' || exit 9\n%s", fake, scripts[i][1]);
        put(scripts[i][0], text);
        chmod(file, 0755);
        free(file);
    }
    put("arrays", "1001");
    for (const char *const *name = (const char *const[]){ "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID",
                                                          "SLURM_RESTART_COUNT", "SLURMD_NODENAME", NULL };
         *name; name++)
        unsetenv(*name);
    return 0;
}

/* ---- reading what they say -------------------------------------------------------------------------------------------------------- */

static void a_submission_is_read_strictly(void **state)
{
    const char *const words[] = { "--wrap=exec 'a b' $x", "--array=0-3%2", NULL };
    int64_t job = 0;
    struct df_error err;

    (void)state;
    assert_ok(df_slurm_submit(words, &job, &err));
    assert_int_equal(job, 10);
    char *said = get("sbatch.words");
    assert_string_equal(said, "--parsable\n--wrap=exec 'a b' $x\n--array=0-3%2\n");
    free(said);
    put("says", "12;other\n");
    assert_fails(df_slurm_submit(words, &job, &err), DF_ERR_UNSUPPORTED, "another cluster: '12;other'");
    put("says", "Submitted batch job 12\n");
    assert_fails(df_slurm_submit(words, &job, &err), DF_ERR_FORMAT, "found 'Submitted batch job 12', expected a job's number");
    put("says", "");
    assert_fails(df_slurm_submit(words, &job, &err), DF_ERR_FORMAT, "found ''");
    put("refuse", "14");
    assert_fails(df_slurm_submit(words, &job, &err), DF_ERR_CHECK,
                 "exit status 1: sbatch: error: Batch job submission failed: Job violates");
    setenv("PATH", "/nowhere", 1);
    assert_fails(df_slurm_submit(words, &job, &err), DF_ERR_NOT_FOUND, "'sbatch' is not there");
}

static void the_queue_is_read_strictly(void **state)
{
    struct df_slurm_tasks tasks;
    const struct df_slurm_task *task;
    struct df_error err;

    (void)state;
    put("queue", "12_3|RUNNING|n1|None\n12_4|PENDING||Resources\n7|COMPLETING|n[1-2]|None\n");
    assert_ok(df_slurm_queue(&tasks, &err));
    assert_int_equal(tasks.count, 3);
    task = df_slurm_find(&tasks, 12, 3);
    assert_int_equal(task->phase, DF_SLURM_RUNNING);
    assert_string_equal(task->node, "n1");
    assert_string_equal(task->reason, "");
    task = df_slurm_find(&tasks, 12, 4);
    assert_int_equal(task->phase, DF_SLURM_PENDING);
    assert_string_equal(task->reason, "Resources");
    assert_int_equal(df_slurm_find(&tasks, 7, -1)->phase, DF_SLURM_RUNNING);
    assert_null(df_slurm_find(&tasks, 7, 0));
    free(tasks.task);

    static const char *const bad[] = { "12_3|RUNNING|n1\n",     "12_3|ASLEEP|n1|None\n",       "x|RUNNING|n1|None\n",
                                       "12_|RUNNING|n1|None\n", "12_3|RUNNING|n1|None|more\n", "-1|RUNNING|n1|None\n" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("queue", bad[i]);
        assert_fails(df_slurm_queue(&tasks, &err), DF_ERR_FORMAT, "expected job|state|nodes|reason");
        free(tasks.task);
    }
}

static void ends_come_from_accounting(void **state)
{
    const int64_t jobs[] = { 12, 13 };
    struct df_slurm_tasks tasks = { 0 };
    struct df_error err;

    (void)state;
    put("accounts", "12_3|OUT_OF_MEMORY|0:125|n1\n12_4|CANCELLED by 1000|0:0|None assigned\n12_[5-9%2]|PENDING|0:0|None assigned\n"
                    "14_[0-1,3-7:2]|CANCELLED by 1000|0:0|None assigned\n"
                    "13|FAILED|3:0|n2\n");
    assert_ok(df_slurm_ended(jobs, 2, &tasks, &err));
    assert_int_equal(tasks.count, 8);
    assert_int_equal(df_slurm_find(&tasks, 12, 3)->exit, -1);
    assert_string_equal(df_slurm_find(&tasks, 14, 7)->state, "CANCELLED");
    assert_null(df_slurm_find(&tasks, 14, 6));
    assert_string_equal(df_slurm_find(&tasks, 12, 3)->state, "OUT_OF_MEMORY");
    assert_string_equal(df_slurm_find(&tasks, 12, 4)->state, "CANCELLED");
    assert_string_equal(df_slurm_find(&tasks, 12, 4)->node, "");
    assert_int_equal(df_slurm_find(&tasks, 13, -1)->exit, 3);
    free(tasks.task);
    tasks = (struct df_slurm_tasks){ 0 };
    char *said = get("sacct.words");
    assert_non_null(strstr(said, "--jobs 12,13 "));
    free(said);
    static const char *const bad[] = { "12_3|FAILED|3|n1\n", "12_[0-x]|CANCELLED|0:0|\n", "12_[4-1]|CANCELLED|0:0|\n",
                                       "12_[]|CANCELLED|0:0|\n" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tasks = (struct df_slurm_tasks){ 0 };
        put("accounts", bad[i]);
        assert_fails(df_slurm_ended(jobs, 2, &tasks, &err), DF_ERR_FORMAT, "expected job|state|exit:signal|nodes");
        free(tasks.task);
    }
}

static void ends_come_from_scontrol_without_accounting(void **state)
{
    const int64_t jobs[] = { 12, 13, 14, 16 };
    struct df_slurm_tasks tasks = { 0 };
    char word[24];
    struct df_error err;

    (void)state;
    put("job.12", "JobId=15 ArrayJobId=12 ArrayTaskId=3 JobName=defeat tiny JobState=NODE_FAIL Reason=None ExitCode=0:0 ReqNodeList=(null) "
                  "NodeList=n2 BatchHost=n2\n"
                  "JobId=12 ArrayJobId=12 ArrayTaskId=4-9%2 JobState=PENDING Reason=Resources ExitCode=0:0\n");
    put("job.14", "JobId=14 ArrayJobId=14 ArrayTaskId=0-2%3 JobState=CANCELLED Reason=None ExitCode=0:0 NodeList=(null)\n");
    put("job.13", "JobId=13 JobName=x JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15 NodeList=n1\n");
    assert_ok(df_slurm_ended(jobs, 4, &tasks, &err)); /* 16 is forgotten */
    assert_int_equal(tasks.count, 5);
    assert_string_equal(df_slurm_find(&tasks, 14, 2)->state, "CANCELLED");
    assert_string_equal(df_slurm_find(&tasks, 12, 3)->state, "NODE_FAIL");
    assert_string_equal(df_slurm_find(&tasks, 12, 3)->node, "n2");
    assert_string_equal(df_slurm_find(&tasks, 13, -1)->reason, "TimeLimit");
    free(tasks.task);
    tasks = (struct df_slurm_tasks){ 0 };
    assert_ok(df_slurm_state("13", word, &err));
    assert_string_equal(word, "TIMEOUT");
    assert_fails(df_slurm_state("16", word, &err), DF_ERR_NOT_FOUND, "does not know job 16");
    put("job.13", "JobId=13 JobName=x\n");
    assert_fails(df_slurm_ended(jobs + 1, 1, &tasks, &err), DF_ERR_FORMAT, "expected JobId=, JobState= and ExitCode=");
    free(tasks.task);
}

static void the_array_limit_is_asked_for(void **state)
{
    size_t limit = 0;
    struct df_error err;

    (void)state;
    assert_ok(df_slurm_array_limit(&limit, &err));
    assert_int_equal(limit, 1001);
    put("arrays", "many");
    assert_fails(df_slurm_array_limit(&limit, &err), DF_ERR_FORMAT, "no 'MaxArraySize = <number>'");
}

static void where_we_are(void **state)
{
    char text[192];

    (void)state;
    assert_string_equal(df_slurm_here(text), "");
    setenv("SLURM_JOB_ID", "15", 1);
    setenv("SLURMD_NODENAME", "n2", 1);
    assert_string_equal(df_slurm_here(text), "job 15 on n2");
    setenv("SLURM_ARRAY_JOB_ID", "12", 1);
    setenv("SLURM_ARRAY_TASK_ID", "3", 1);
    assert_string_equal(df_slurm_here(text), "job 12_3 on n2");
}

/* ---- the sweep -------------------------------------------------------------------------------------------------------------------- */

static const char spec_text[] = "{\"name\":\"fake\",\"data\":{\"kind\":\"scenes\"},\"detector\":{\"kind\":\"retinanet\"},"
                                "\"student\":{\"network\":{\"depth\":18}},\"teacher\":{\"network\":{\"depth\":50}},"
                                "\"methods\":[{\"label\":\"none\",\"distillers\":[]},"
                                "{\"label\":\"DeFeat\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2]}]}],\"seeds\":[0,1,2]}";

static struct df_spec *read_spec(void)
{
    char *path = df_path_join(fake, "fake.json");
    struct df_spec *spec;
    struct df_error err;

    put("fake.json", spec_text);
    assert_ok(df_spec_read(path, NULL, &spec, &err));
    free(path);
    return spec;
}

static struct df_sweep_options slurm_options(const char *out, struct df_text *report)
{
    return (struct df_sweep_options){ .run = { .out = out, .guards = true },
                                      .executor = df_executors[2],
                                      .program = "/proc/self/exe",
                                      .slurm = { .sbatch = "--partition=gpu \"--comment=a b\"",
                                                 .cells_per_task = 2,
                                                 .throttle = 3,
                                                 .signal = "USR2@90",
                                                 .requeues = 4,
                                                 .report = report } };
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

static void arrays_stand_behind_the_jobs(void **state)
{
    struct df_spec *spec = read_spec();
    struct df_text report = DF_TEXT_INIT;
    struct df_sweep_summary summary;
    struct df_sweep_options options;
    struct df_error err;
    char *out = df_path_join(fake, "out"), *said;

    (void)state;
    put("arrays", "2");
    options = slurm_options(out, &report);
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_int_equal(summary.left, 9);
    assert_string_equal(df_text_get(&report), "job 10: teacher\n"
                                              "job 11: teacher cache, after 10\n"
                                              "job 12: 3 cells in 2 tasks\n"
                                              "job 13: 4 cells in 2 tasks, after 11\n"
                                              "job 14: 2 cells in 1 tasks, after 11\n");
    said = get("sbatch.words");
    assert_int_equal(count_of(said, "--partition=gpu\n--comment=a b\n--wrap=exec "), 5);
    assert_int_equal(count_of(said, "--signal=B:USR2@90\n"), 5);
    assert_int_equal(count_of(said, "--array=0-1%3\n"), 2);
    assert_int_equal(count_of(said, "--dependency=afterok:11\n"), 2);
    assert_int_equal(count_of(said, "--dependency=afterok:10\n"), 1);
    assert_int_equal(count_of(said, "--kill-on-invalid-dep=yes\n"), 5);
    free(said);

    /* all of it is on its way: not again; then one array is lost, and only its cells go again */
    put("queue", "10|RUNNING|n1|None\n11|PENDING||Dependency\n12_0|PENDING||None\n12_1|PENDING||None\n"
                 "13_0|PENDING||Dependency\n13_1|PENDING||Dependency\n14|PENDING||Dependency\n");
    df_text_clear(&report);
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_string_equal(df_text_get(&report), "submitted before, and not again: 11\n");
    put("queue", "10|RUNNING|n1|None\n11|PENDING||Dependency\n12_0|PENDING||None\n12_1|PENDING||None\n14|PENDING||Dependency\n");
    put("job.13", "JobId=20 ArrayJobId=13 ArrayTaskId=0 JobState=CANCELLED ExitCode=0:0\n"
                  "JobId=13 ArrayJobId=13 ArrayTaskId=1 JobState=CANCELLED ExitCode=0:0\n");
    df_text_clear(&report);
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_string_equal(df_text_get(&report), "job 15: 4 cells in 2 tasks, after 11\nsubmitted before, and not again: 7\n");

    df_text_clear(&report);
    put("queue", "15_0|PENDING||Dependency\n15_1|PENDING||Dependency\n");
    assert_ok(df_sweep_cancel(spec, &options, &err));
    said = get("scancel.words");
    assert_string_equal(said, "15 ");
    free(said);
    df_text_release(&report);
    df_spec_free(spec);
    free(out);
}

static void a_refusal_leaves_what_was_submitted(void **state)
{
    struct df_spec *spec = read_spec();
    struct df_text report = DF_TEXT_INIT;
    struct df_sweep_summary summary;
    struct df_sweep_options options;
    struct df_slurm_queue queue;
    struct df_error err;
    char *out = df_path_join(fake, "out");

    (void)state;
    put("refuse", "12");
    options = slurm_options(out, &report);
    assert_fails(df_sweep(spec, &options, &summary, &err), DF_ERR_CHECK, "not everything was submitted [the same command submits the rest");
    assert_string_equal(df_text_get(&report), "job 10: teacher\njob 11: teacher cache, after 10\n");
    assert_ok(df_slurm_queue_read(out, "fake", &queue, &err));
    assert_int_equal(queue.count, 2);
    df_slurm_queue_release(&queue);
    df_text_release(&report);
    df_spec_free(spec);
    free(out);
}

static void what_is_asked_for_is_checked(void **state)
{
    struct df_spec *spec = read_spec();
    struct df_sweep_summary summary;
    struct df_sweep_options options;
    struct df_error err;
    char *out = df_path_join(fake, "out");

    (void)state;
    options = slurm_options(out, NULL);
    options.slurm.signal = "HUP@90";
    assert_fails(df_sweep(spec, &options, &summary, &err), DF_ERR_USAGE, "--signal 'HUP@90': expected TERM, USR1 or USR2");
    options.slurm.signal = "USR2@soon";
    assert_fails(df_sweep(spec, &options, &summary, &err), DF_ERR_USAGE, "--signal");
    options = slurm_options(out, NULL);
    options.slurm.sbatch = "--comment='open";
    assert_fails(df_sweep(spec, &options, &summary, &err), DF_ERR_USAGE, "a quote is not closed");
    options.slurm.sbatch = "--comment=$(date)";
    assert_fails(df_sweep(spec, &options, &summary, &err), DF_ERR_USAGE, "what only a shell may run");
    df_spec_free(spec);
    free(out);
}

/* Submitted: one task with two cells, and one with one. */
static void submit_plain(struct df_spec *spec, const char *out)
{
    struct df_sweep_options options = slurm_options(out, NULL);
    struct df_sweep_summary summary;
    struct df_error err;

    options.only = "^none";
    assert_ok(df_sweep(spec, &options, &summary, &err));
    assert_int_equal(summary.left, 3);
}

static void look(const char *out, struct df_spec *spec, struct df_slurm_queue *queue)
{
    struct df_error err;

    assert_ok(df_slurm_queue_read(out, spec->name, queue, &err));
    assert_ok(df_slurm_queue_ask(queue, &err));
    assert_ok(df_slurm_queue_settle(queue, spec, out, &err));
}

/* What the cell's row says; "": it has none. free() it. */
static char *row_of(const char *out, const struct df_cell *cell)
{
    struct df_journal *journal;
    struct df_error err;

    assert_ok(df_store_read_cell(out, cell, &journal, &err));
    char *status = df_strdup(journal->runs ? journal->run[0].status : "");

    df_journal_free(journal);
    return status;
}

static void check_row(const char *out, const struct df_cell *cell, const char *expected)
{
    char *status = row_of(out, cell);

    assert_string_equal(status, expected);
    free(status);
}

static void a_failure_is_kept_with_its_reason(void **state)
{
    struct df_spec *spec = read_spec();
    struct df_slurm_queue queue;
    struct df_error err;
    char *out = df_path_join(fake, "out"), *log;

    (void)state;
    submit_plain(spec, out);
    put("queue", "10_0|RUNNING|n1|None\n10_1|PENDING||Resources\n");
    look(out, spec, &queue);
    assert_int_equal(queue.manifest[0].part[0].now.phase, DF_SLURM_RUNNING);
    assert_true(df_slurm_queue_lives(&queue));
    df_slurm_queue_release(&queue);

    put("queue", "10_1|PENDING||Resources\n");
    put("accounts", "10_0|OUT_OF_MEMORY|0:125|n1\n");
    log = df_store_cell_file(out, spec->cell[0], DF_CELL_LOG);
    assert_ok(df_file_write(log, "step 3\nlast words\n", 18, &err));
    free(log);
    look(out, spec, &queue);
    df_slurm_queue_release(&queue);
    check_row(out, spec->cell[0], "failed: job 10_0 on n1: OUT_OF_MEMORY: last words");
    check_row(out, spec->cell[2], "");

    /* kept: Slurm may forget it */
    put("accounts", "");
    look(out, spec, &queue);
    assert_string_equal(queue.manifest[0].part[0].now.state, "OUT_OF_MEMORY");
    df_slurm_queue_release(&queue);

    /* a job that nobody knows any more, and one that was called off */
    put("queue", "");
    look(out, spec, &queue);
    df_slurm_queue_release(&queue);
    char *status = row_of(out, spec->cell[2]);
    assert_non_null(strstr(status, "failed: job 10_1: forgotten: "));
    free(status);
    df_spec_free(spec);
    free(out);
}

static void news_may_be_late_and_the_cancelled_have_not_failed(void **state)
{
    struct df_spec *spec = read_spec();
    struct df_slurm_queue queue;
    char *out = df_path_join(fake, "out");

    (void)state;
    submit_plain(spec, out);
    put("queue", "");
    put("accounts", "10_0|COMPLETED|0:0|n1\n10_1|CANCELLED|0:0|n1\n");
    look(out, spec, &queue);
    check_row(out, spec->cell[0], "");
    check_row(out, spec->cell[2], "");
    struct df_slurm_place place;
    struct df_work_end end = { 0 };
    struct df_error err;
    bool ended;

    assert_true(df_slurm_queue_find(&queue, spec->cell[0]->id, &place));
    assert_ok(df_slurm_outcome(&place, spec->cell[0], out, &ended, &end, &err));
    assert_false(ended);
    assert_true(df_slurm_queue_find(&queue, spec->cell[2]->id, &place));
    assert_ok(df_slurm_outcome(&place, spec->cell[2], out, &ended, &end, &err));
    assert_true(ended && !end.began);
    queue.manifest[0].part[0].seen -= DF_SLURM_NEWS_SECONDS + 1;
    assert_int_equal(df_slurm_job_write(&queue.manifest[0], NULL), DF_OK);
    df_slurm_queue_release(&queue);
    look(out, spec, &queue);
    df_slurm_queue_release(&queue);
    char *status = row_of(out, spec->cell[0]);
    assert_non_null(strstr(status, "failed: job 10_0 on n1: COMPLETED: "));
    free(status);
    check_row(out, spec->cell[2], "");
    df_spec_free(spec);
    free(out);
}

static void a_slurm_that_is_silent_ends_nothing(void **state)
{
    struct df_spec *spec = read_spec();
    struct df_slurm_queue queue;
    struct df_error err;
    char *out = df_path_join(fake, "out");

    (void)state;
    submit_plain(spec, out);
    put("down", "");
    assert_ok(df_slurm_queue_read(out, spec->name, &queue, &err));
    assert_fails(df_slurm_queue_ask(&queue, &err), DF_ERR_CHECK, "Unable to contact slurm controller");
    assert_true(df_slurm_queue_lives(&queue));
    assert_int_equal(queue.manifest[0].part[0].seen, 0);
    df_slurm_queue_release(&queue);
    df_spec_free(spec);
    free(out);
}

static void a_manifest_is_read_strictly(void **state)
{
    struct df_slurm_manifest manifest;
    struct df_error err;
    char *path = df_path_join(fake, "m.json");

    (void)state;
    put("m.json", "{\"schema\":2,\"signal\":\"\",\"requeues\":1,\"array\":false,\"parts\":[]}");
    assert_fails(df_slurm_manifest_read(path, &manifest, &err), DF_ERR_STALE, "/schema: found 2, expected 1");
    put("m.json", "{\"schema\":1,\"signal\":\"\",\"requeues\":1,\"array\":true,\"parts\":[[]]}");
    assert_fails(df_slurm_manifest_read(path, &manifest, &err), DF_ERR_FORMAT, "a part without work");
    put("m.json", "{\"schema\":1,\"signal\":\"\",\"requeues\":1,\"array\":false,\"parts\":[[{\"title\":\"t\",\"key\":\"k\",\"cell\":true,"
                  "\"log\":\"l\",\"words\":[3]}]]}");
    assert_fails(df_slurm_manifest_read(path, &manifest, &err), DF_ERR_FORMAT, "/words: expected texts");
    put("m.json", "{\"schema\":1,\"signal\":\"\",\"requeues\":1,\"array\":false,\"parts\":[[{\"title\":\"t\",\"key\":\"k\",\"cell\":true,"
                  "\"log\":\"l\",\"words\":[\"w\"]}]]}");
    assert_ok(df_slurm_manifest_read(path, &manifest, &err));
    assert_int_equal(manifest.job, 0);
    df_slurm_manifest_release(&manifest);
    put("m.job", "{\"job\":12,\"ended\":[null,null]}");
    assert_fails(df_slurm_manifest_read(path, &manifest, &err), DF_ERR_FORMAT, "/ended: found 2, expected 1");
    free(path);
}

/* ---- a task ----------------------------------------------------------------------------------------------------------------------- */

/* "work MODE FILE": what a task has run. */
static volatile sig_atomic_t told;

static void on_term(int number)
{
    (void)number;
    told = 1;
}

static int work(const char *mode, const char *file)
{
    const struct timespec pause = { 0, 10 * 1000 * 1000 };
    FILE *out = fopen(file, "a");

    fprintf(out, "%s\n", mode);
    fclose(out);
    if (strcmp(mode, "die") == 0)
        raise(SIGKILL);
    if (strcmp(mode, "wait") != 0)
        return atoi(mode);
    signal(SIGTERM, on_term);
    fclose(fopen("ready", "w"));
    while (!told)
        nanosleep(&pause, NULL);
    return 130;
}

/* The manifest of one task with these pieces of work, NULL-terminated, and what was run of it afterwards (free() it). */
static df_status run_task(const char *const *modes, char **ran, struct df_error *err)
{
    struct df_slurm_manifest manifest = { .stem = df_path_join(fake, "task"), .signal = "USR2", .requeues = 2, .parts = 1 };
    char *file = df_path_join(fake, "ran"), *log = df_path_join(fake, "work.log"), *path = df_slurm_path(&manifest, ".json");

    remove(file);
    manifest.part = df_calloc(1, sizeof *manifest.part);
    manifest.part->work = df_calloc(8, sizeof *manifest.part->work);
    for (size_t i = 0; modes[i]; i++) {
        const char *const words[] = { "test", "work", modes[i], file, NULL };

        manifest.part->work[manifest.part->works++] = df_slurm_work_new(modes[i], modes[i], log, true, words);
    }
    assert_int_equal(df_slurm_manifest_write(&manifest, NULL), DF_OK);
    const df_status status = df_slurm_task_run(path, "/proc/self/exe", err);

    *ran = get("ran");
    df_slurm_manifest_release(&manifest);
    free(file);
    free(log);
    free(path);
    return status;
}

static void check_task(const char *const *modes, df_status expected, const char *part, const char *expected_ran)
{
    struct df_error err = { 0 };
    char *ran;

    if (run_task(modes, &ran, &err) != expected || !strstr(err.text, part))
        fail_msg("status %d: %s", (int)err.status, err.text);
    assert_string_equal(ran, expected_ran);
    free(ran);
}

static void a_task_does_all_its_work(void **state)
{
    static const char *const good[] = { "0", "0", NULL }, *const bad[] = { "1", "0", NULL }, *const killed[] = { "die", "0", NULL };
    char *log;

    (void)state;
    check_task(good, DF_OK, "", "0\n0\n");
    check_task(bad, DF_ERR_CHECK, "1 of 2 failed", "1\n0\n");
    check_task(killed, DF_ERR_CHECK, "1 of 2 failed", "die\n0\n");
    log = get("work.log");
    assert_string_equal(log, "defeat: killed by signal 9 (Killed)\n");
    free(log);
}

static void an_interrupted_task_goes_back_into_the_queue(void **state)
{
    static const char *const interrupted[] = { "130", "0", NULL };
    char *requeued, *log;

    (void)state;
    check_task(interrupted, DF_ERR_INTERRUPTED, "no job of Slurm's", "130\n");
    setenv("SLURM_JOB_ID", "15", 1);
    setenv("SLURM_ARRAY_JOB_ID", "12", 1);
    setenv("SLURM_ARRAY_TASK_ID", "0", 1);
    put("job.12_0", "JobId=15 ArrayJobId=12 ArrayTaskId=0 JobState=RUNNING ExitCode=0:0\n");
    check_task(interrupted, DF_ERR_INTERRUPTED, "job 12_0 goes back into the queue", "130\n");
    setenv("SLURM_RESTART_COUNT", "1", 1);
    check_task(interrupted, DF_ERR_INTERRUPTED, "goes back", "130\n");
    requeued = get("requeued");
    assert_string_equal(requeued, "12_0\n12_0\n");
    free(requeued);
    setenv("SLURM_RESTART_COUNT", "2", 1);
    check_task(interrupted, DF_ERR_CHECK, "interrupted after 3 starts, the most that --requeues 2 allows", "130\n");
    log = get("work.log");
    assert_non_null(strstr(log, "defeat: interrupted after 3 starts"));
    free(log);

    /* somebody called it off, or Slurm has put it back already */
    setenv("SLURM_RESTART_COUNT", "0", 1);
    put("job.12_0", "JobId=15 ArrayJobId=12 ArrayTaskId=0 JobState=COMPLETING ExitCode=0:0\n");
    check_task(interrupted, DF_ERR_INTERRUPTED, "job 12_0 is COMPLETING: Slurm sees to it", "130\n");
    requeued = get("requeued");
    assert_string_equal(requeued, "12_0\n12_0\n");
    free(requeued);
}

/* TERM and the signals of a time limit reach the work as TERM; nothing more is begun. */
static void a_signal_reaches_the_work(void **state)
{
    static const int signals[] = { SIGTERM, SIGUSR1, SIGUSR2 };
    static const char *const waits[] = { "wait", "0", NULL };
    const struct timespec pause = { 0, 10 * 1000 * 1000 };
    char *ready = df_path_join(fake, "ready");

    (void)state;
    setenv("SLURM_JOB_ID", "15", 1);
    put("job.15", "JobId=15 JobState=RUNNING ExitCode=0:0\n");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        int wait_status;

        remove(ready);
        const pid_t pid = fork();

        if (pid == 0) {
            char *ran;
            struct df_error err = { 0 };

            if (chdir(fake) != 0)
                _exit(9);
            _exit(run_task(waits, &ran, &err) == DF_ERR_INTERRUPTED && strcmp(ran, "wait\n") == 0 ? 0 : 1);
        }
        while (!df_file_exists(ready))
            nanosleep(&pause, NULL);
        kill(pid, signals[i]);
        assert_int_equal(waitpid(pid, &wait_status, 0), pid);
        assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    }
    char *requeued = get("requeued");

    assert_string_equal(requeued, "15\n15\n15\n");
    free(requeued);
    free(ready);
}

static void an_array_wants_its_index(void **state)
{
    struct df_error err;
    char *path = df_path_join(fake, "m.json");

    (void)state;
    put("m.json", "{\"schema\":1,\"signal\":\"\",\"requeues\":1,\"array\":true,\"parts\":[[{\"title\":\"t\",\"key\":\"k\",\"cell\":true,"
                  "\"log\":\"l\",\"words\":[\"w\"]}]]}");
    assert_fails(df_slurm_task_run(path, "/bin/true", &err), DF_ERR_USAGE, "SLURM_ARRAY_TASK_ID is ''");
    setenv("SLURM_ARRAY_TASK_ID", "1", 1);
    assert_fails(df_slurm_task_run(path, "/bin/true", &err), DF_ERR_USAGE, "SLURM_ARRAY_TASK_ID is '1', expected 0 to 0");
    free(path);
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "work") == 0)
        return work(argv[2], argv[3]);
    df_progress_enable(false);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_submission_is_read_strictly, set_up),
        cmocka_unit_test_setup(the_queue_is_read_strictly, set_up),
        cmocka_unit_test_setup(ends_come_from_accounting, set_up),
        cmocka_unit_test_setup(ends_come_from_scontrol_without_accounting, set_up),
        cmocka_unit_test_setup(the_array_limit_is_asked_for, set_up),
        cmocka_unit_test_setup(where_we_are, set_up),
        cmocka_unit_test_setup(arrays_stand_behind_the_jobs, set_up),
        cmocka_unit_test_setup(a_refusal_leaves_what_was_submitted, set_up),
        cmocka_unit_test_setup(what_is_asked_for_is_checked, set_up),
        cmocka_unit_test_setup(a_failure_is_kept_with_its_reason, set_up),
        cmocka_unit_test_setup(news_may_be_late_and_the_cancelled_have_not_failed, set_up),
        cmocka_unit_test_setup(a_slurm_that_is_silent_ends_nothing, set_up),
        cmocka_unit_test_setup(a_manifest_is_read_strictly, set_up),
        cmocka_unit_test_setup(a_task_does_all_its_work, set_up),
        cmocka_unit_test_setup(an_interrupted_task_goes_back_into_the_queue, set_up),
        cmocka_unit_test_setup(a_signal_reaches_the_work, set_up),
        cmocka_unit_test_setup(an_array_wants_its_index, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
