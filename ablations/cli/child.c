#include "ablations/cli/child.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_BYTES = 256 };
static char *at; /* [AT_BYTES], memory that both share; NULL: outside of df_child_run, or there is none */

void df_child_at(const char *what)
{
    if (at)
        snprintf(at, AT_BYTES, "%s", what);
}

/* The child's part; does not return. */
static void work_and_tell(df_status (*work)(const void *context, struct df_error *err), const void *context, int to)
{
    struct df_error said = { 0 };

    if (work(context, &said) == DF_OK)
        said.status = DF_OK;
    fflush(NULL);
    for (size_t done = 0; done < sizeof said;) {
        const ssize_t n = write(to, (const char *)&said + done, sizeof said - done);

        if (n < 0 && errno != EINTR)
            _exit(1);
        done += n > 0 ? (size_t)n : 0;
    }
    _exit(0);
}

/* False: it ended before it had said all. */
static bool hear(int from, struct df_error *said)
{
    size_t have = 0;
    ssize_t n;

    do {
        n = read(from, (char *)said + have, sizeof *said - have);
        have += n > 0 ? (size_t)n : 0;
    } while (have < sizeof *said && (n > 0 || (n < 0 && errno == EINTR)));
    return have == sizeof *said;
}

/* How it ended without a word. */
static df_status fail_ended(int wait_status, const char *where, struct df_error *err)
{
    const char *in = where[0] ? " in the check of " : "";

    if (WIFSIGNALED(wait_status))
        return df_fail(err, DF_ERR_CHECK, "the code of the plugin crashed%s%s: signal %d (%s) [a debugger shows where: gdb --args]", in,
                       where, WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    return df_fail(err, DF_ERR_CHECK, "the code of the plugin ended the program%s%s with status %d", in, where, WEXITSTATUS(wait_status));
}

static df_status run_apart(df_status (*work)(const void *context, struct df_error *err), const void *context, struct df_error *err)
{
    struct df_error said = { 0 };
    int ends[2], wait_status = 0;
    pid_t child;

    fflush(NULL);
    if (pipe(ends) != 0)
        return df_fail(err, DF_ERR_IO, "cannot make a pipe: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        close(ends[0]);
        work_and_tell(work, context, ends[1]);
    }
    close(ends[1]);

    const bool whole = child > 0 && hear(ends[0], &said);
    const int failure = errno;

    close(ends[0]);
    if (child < 0)
        return df_fail(err, DF_ERR_IO, "cannot start a process: %s", strerror(failure));
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (whole)
        return said.status == DF_OK ? DF_OK : df_fail(err, said.status, "%s", said.text);
    return fail_ended(wait_status, at ? at : "", err);
}

df_status df_child_run(df_status (*work)(const void *context, struct df_error *err), const void *context, struct df_error *err)
{
    void *shared = mmap(NULL, AT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    at = shared == MAP_FAILED ? NULL : shared; /* new pages are zeros: nothing has been said */
    const df_status status = run_apart(work, context, err);

    if (at)
        munmap(at, AT_BYTES);
    at = NULL;
    return status;
}
