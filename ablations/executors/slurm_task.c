#include "ablations/executors/slurm_task.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ablations/executors/slurm_manifest.h"
#include "ablations/executors/work.h"
#include "core/base/file.h"

#define INTERRUPTED 130

static volatile sig_atomic_t asked; /* to leave */

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

/* In a log of a piece of work, where it would look for what became of it. */
static void say(const char *log, const char *text)
{
    FILE *file = df_file_open(log, "ae");

    if (!file)
        return;
    fprintf(file, "defeat: %s\n", text);
    fclose(file);
}

/* Blocked but while it waits: none is missed. before: what was blocked. */
static void catch_signals(sigset_t *before)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD };
    struct sigaction action = { .sa_handler = on_signal }, child = { .sa_handler = SIG_DFL };
    sigset_t blocked;

    asked = 0;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&blocked, numbers[i]);
    sigprocmask(SIG_BLOCK, &blocked, before);
    for (size_t i = 0; i + 1 < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    sigaction(SIGCHLD, &child, NULL);
}

static void nothing(int number) { (void)number; }

/* Until the process has ended; tells it to leave when we are told. */
static int wait_for(int pid, const sigset_t *waiting)
{
    struct sigaction woken = { .sa_handler = nothing };
    bool told = false;
    int wait_status;

    sigaction(SIGCHLD, &woken, NULL);
    while (waitpid(pid, &wait_status, WNOHANG) != pid) {
        if (asked && !told) {
            kill(pid, SIGTERM);
            told = true;
        }
        sigsuspend(waiting);
    }
    return wait_status;
}

/* One piece of work. *status: its exit status, 128 + n where signal n ended it. */
static df_status run_work(const struct df_slurm_work *work, const char *program, const sigset_t *waiting, int *status, struct df_error *err)
{
    sigset_t blocked;
    int pid, wait_status;

    sigprocmask(SIG_SETMASK, waiting, &blocked); /* what we start has nothing blocked */
    const df_status started = df_work_spawn(program, work->words, work->log, &pid, err);

    sigprocmask(SIG_SETMASK, &blocked, NULL);
    DF_TRY(started);
    wait_status = wait_for(pid, waiting);
    if (WIFSIGNALED(wait_status)) {
        char text[96];

        snprintf(text, sizeof text, "killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
        say(work->log, text);
    }
    *status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    fprintf(stderr, "%s: %s\n", work->title, *status == 0 ? "done" : *status == INTERRUPTED ? "interrupted" : "failed");
    return DF_OK;
}

/* ---- back into the queue ---- */

/* How often this task has been put back into the queue, by whomever. */
static size_t restarts(void)
{
    const char *text = getenv("SLURM_RESTART_COUNT");
    int64_t n;

    return text && df_parse_int(text, &n) && n > 0 ? (size_t)n : 0;
}

/* "12_3", or "12"; "": this is no job. */
static void own_name(char name[64])
{
    const char *array = getenv("SLURM_ARRAY_JOB_ID"), *index = getenv("SLURM_ARRAY_TASK_ID"), *job = getenv("SLURM_JOB_ID");

    if (array && index)
        snprintf(name, 64, "%.24s_%.24s", array, index);
    else
        snprintf(name, 64, "%.24s", job ? job : "");
}

/* DF_ERR_INTERRUPTED: somebody goes on with it, or nobody is meant to. */
static df_status ask_for_more(const struct df_slurm_manifest *manifest, struct df_error *err)
{
    char name[64], state[24];

    own_name(name);
    if (!name[0])
        return df_fail(err, DF_ERR_INTERRUPTED, "interrupted; this is no job of Slurm's: nobody starts it again");
    DF_TRY(df_slurm_state(name, state, err));
    if (strcmp(state, "RUNNING") != 0)
        return df_fail(err, DF_ERR_INTERRUPTED, "interrupted; job %s is %s: Slurm sees to it", name, state);
    if (restarts() >= manifest->requeues)
        return df_fail(err, DF_ERR_CHECK, "interrupted after %zu starts, the most that --requeues %zu allows", restarts() + 1,
                       manifest->requeues);
    DF_TRY(df_slurm_requeue(name, err));
    return df_fail(err, DF_ERR_INTERRUPTED, "interrupted; job %s goes back into the queue", name);
}

/* After an interrupt. Where nobody goes on with the work, its log says why. */
static df_status put_back(const struct df_slurm_manifest *manifest, const struct df_slurm_work *work, struct df_error *err)
{
    struct df_error said = { 0 };
    const df_status status = ask_for_more(manifest, &said);

    if (status != DF_ERR_INTERRUPTED)
        say(work->log, said.text);
    return df_fail(err, status, "%s: %s", work->title, said.text);
}

/* ---- the task ---- */

static df_status run_works(const struct df_slurm_manifest *manifest, const struct df_slurm_part *part, const char *program,
                           const sigset_t *waiting, struct df_error *err)
{
    size_t failed = 0;

    for (size_t w = 0; w < part->works; w++) {
        int status = INTERRUPTED;

        if (!asked)
            DF_TRY(run_work(&part->work[w], program, waiting, &status, err));
        if (status == INTERRUPTED || (asked && status != 0))
            return put_back(manifest, &part->work[w], err);
        failed += status != 0;
    }
    return failed ? df_fail(err, DF_ERR_CHECK, "%zu of %zu failed; '%s' says why", failed, part->works, part->work[0].log) : DF_OK;
}

static df_status run_part(const struct df_slurm_manifest *manifest, const struct df_slurm_part *part, const char *program,
                          struct df_error *err)
{
    sigset_t before;

    catch_signals(&before);
    const df_status status = run_works(manifest, part, program, &before, err);

    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

static df_status choose_part(const struct df_slurm_manifest *manifest, const struct df_slurm_part **out, struct df_error *err)
{
    const char *text = getenv("SLURM_ARRAY_TASK_ID");
    int64_t index = 0;

    if (manifest->array && (!text || !df_parse_int(text, &index) || index < 0 || (uint64_t)index >= manifest->parts))
        return df_fail(err, DF_ERR_USAGE, "SLURM_ARRAY_TASK_ID is '%s', expected 0 to %zu: '%s.json' has no such part", text ? text : "",
                       manifest->parts - 1, manifest->stem);
    *out = &manifest->part[index];
    return DF_OK;
}

df_status df_slurm_task_run(const char *path, const char *program, struct df_error *err)
{
    struct df_slurm_manifest manifest;
    const struct df_slurm_part *part = NULL;

    DF_TRY(df_slurm_manifest_read(path, &manifest, err));
    df_status status = choose_part(&manifest, &part, err);

    if (status == DF_OK)
        status = run_part(&manifest, part, program, err);
    df_slurm_manifest_release(&manifest);
    return status;
}
