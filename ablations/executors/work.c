#include "ablations/executors/work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"

/* They mean a worker's end from its start. */
static const int stopping[] = { SIGINT, SIGTERM, SIGHUP };

void df_work_log_tail(const char *log, char *out, size_t room)
{
    char *data = NULL;
    size_t bytes = 0;

    snprintf(out, room, "see '%s'", log ? log : "the log");
    if (!log || df_file_read(log, 0, &data, &bytes, NULL) != DF_OK)
        return;
    while (bytes && data[bytes - 1] == '\n')
        data[--bytes] = 0;
    const char *line = strrchr(data, '\n');

    line = line ? line + 1 : data;
    if (bytes)
        snprintf(out, room, "%.1200s", line + (strncmp(line, "defeat: ", 8) == 0 ? 8 : 0));
    free(data);
}

/* `mask`: what was blocked before the fork. A signal that came since then waits until it means the worker's end. */
static void become_worker(const char *program, const char *const *words, const char *log, const sigset_t *mask)
{
    const int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), in = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no orphan goes on training */
    setpgid(0, 0);                    /* Ctrl-C reaches the sweep, which tells its workers */
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        signal(stopping[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (out >= 0 && in >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
        execv(program, (char *const *)(uintptr_t)words);
    _exit(127);
}

df_status df_work_spawn(const char *program, const char *const *words, const char *log, int *pid, struct df_error *err)
{
    sigset_t ends, before;

    fflush(NULL);
    sigemptyset(&ends);
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        sigaddset(&ends, stopping[i]);
    sigprocmask(SIG_BLOCK, &ends, &before);

    const pid_t child = fork();
    const int number = errno;

    if (child == 0)
        become_worker(program, words, log, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return df_fail(err, DF_ERR_IO, "cannot start a worker: %s", strerror(number));
    *pid = child;
    return DF_OK;
}

static void tell_reason(int wait_status, const char *log, char *out, size_t room)
{
    char tail[1280];

    df_work_log_tail(log, tail, sizeof tail);
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT) /* it said why: out of memory, a bug */
        snprintf(out, room, "aborted: %s", tail);
    else if (WIFSIGNALED(wait_status))
        snprintf(out, room, "killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    else if (WEXITSTATUS(wait_status) == 127)
        snprintf(out, room, "the worker program could not be started");
    else if (WEXITSTATUS(wait_status) == 130)
        snprintf(out, room, "interrupted");
    else
        snprintf(out, room, "worker exited with status %d without a result: %s", WEXITSTATUS(wait_status), tail);
}

void df_work_ended(int wait_status, const char *log, struct df_work_end *end)
{
    end->began = true;
    end->exit = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    tell_reason(wait_status, log, end->reason, sizeof end->reason);
}
