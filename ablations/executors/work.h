/* A piece of work as a process of this machine, and what is told of its end. */
#ifndef DF_ABLATIONS_EXECUTORS_WORK_H
#define DF_ABLATIONS_EXECUTORS_WORK_H
#include <stdbool.h>
#include <stddef.h>

#include "core/base/text.h"

/* How a piece of work ended. */
struct df_work_end {
    size_t handle;     /* the executor's */
    bool began;        /* false: it never did, for what it stands on failed, or somebody called it off */
    int exit;          /* its exit status; -1: it has none */
    char reason[1536]; /* in words, when exit is not 0: with the last line of its log */
};

/* The last line of a log, for the message about what failed; where there is none: where to look. NULL: no log. */
void df_work_log_tail(const char *log, char *out, size_t room);
/* Starts a process of its own group for the words, its output appended to the log, no input; it dies with us. TERM and INT mean its end from the
 * start: one that comes earlier waits. */
df_status df_work_spawn(const char *program, const char *const *words, const char *log, int *pid, struct df_error *err);
/* What a process's wait status says: exit, and reason with the log's tail. */
void df_work_ended(int wait_status, const char *log, struct df_work_end *end);
#endif
