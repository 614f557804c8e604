/* `local`: W worker processes on this machine. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ablations/executors/executor.h"

struct local {
    const char *program;
    size_t workers, busy;
    struct worker {
        int pid; /* 0: idle */
        char *log;
    } * worker;
};

static df_status local_open(const struct df_executor_options *options, void **state, struct df_error *err)
{
    struct local *local = df_calloc(1, sizeof *local);

    (void)err;
    local->program = options->program;
    local->workers = options->jobs ? options->jobs : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    local->worker = df_calloc(local->workers, sizeof *local->worker);
    *state = local;
    return DF_OK;
}

static size_t local_slots(const void *state)
{
    const struct local *local = state;

    return local->workers - local->busy;
}

static df_status local_start(void *state, const struct df_work *work, size_t *handle, struct df_error *err)
{
    struct local *local = state;
    size_t i = 0;

    DF_ASSERT(local_slots(state) && !work->afters);
    while (local->worker[i].pid)
        i++;
    DF_TRY(df_work_spawn(local->program, work->words, work->log, &local->worker[i].pid, err));
    local->worker[i].log = df_strdup(work->log);
    local->busy++;
    *handle = i;
    return DF_OK;
}

static df_status local_poll(void *state, bool *ended, struct df_work_end *end, struct df_error *err)
{
    struct local *local = state;

    (void)err;
    *ended = false;
    for (size_t i = 0; i < local->workers && !*ended; i++) {
        struct worker *worker = &local->worker[i];
        int wait_status;

        if (!worker->pid || waitpid(worker->pid, &wait_status, WNOHANG) != worker->pid)
            continue;
        *ended = true;
        end->handle = i;
        df_work_ended(wait_status, worker->log, end);
        free(worker->log);
        *worker = (struct worker){ 0 };
        local->busy--;
    }
    return DF_OK;
}

static df_status local_stop(void *state, bool at_once, struct df_error *err)
{
    struct local *local = state;

    (void)err;
    for (size_t i = 0; i < local->workers; i++)
        if (local->worker[i].pid)
            kill(local->worker[i].pid, at_once ? SIGKILL : SIGTERM);
    return DF_OK;
}

static void local_close(void *state)
{
    struct local *local = state;

    for (size_t i = 0; i < local->workers; i++)
        free(local->worker[i].log);
    free(local->worker);
    free(local);
}

const struct df_executor_class df_executor_local = {
    .name = "local",
    .summary = "worker processes on this machine, one thread each",
    .open = local_open,
    .slots = local_slots,
    .start = local_start,
    .poll = local_poll,
    .stop = local_stop,
    .close = local_close,
};
