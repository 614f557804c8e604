/* What a program writes goes into files without a name, of any length: nobody has to read while it runs. */
#include "core/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether it sets the variable that "NAME=value" sets. */
static bool same_name(const char *a, const char *b)
{
    const size_t length = strcspn(b, "=");

    return strncmp(a, b, length) == 0 && a[length] == '=';
}

/* Ours, with those of `over` put over it; free() the array. */
static char **merged_environment(const char *const *over)
{
    size_t n = 0, m = 0;

    while (environ[n])
        n++;
    while (over && over[m])
        m++;

    char **merged = df_calloc(n + m + 1, sizeof *merged);
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool replaced = false;

        for (size_t k = 0; k < m; k++)
            replaced |= same_name(environ[i], over[k]);
        if (!replaced)
            merged[kept++] = environ[i];
    }
    for (size_t k = 0; k < m; k++)
        merged[kept++] = (char *)(uintptr_t)over[k];
    return merged;
}

static int spawn(const char *const *words, const char *const *environment, int out, int err, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed)
        return failed;

    char **variables = merged_environment(environment);

    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (!failed)
        failed = posix_spawnp(pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, variables);
    posix_spawn_file_actions_destroy(&actions);
    free(variables);
    return failed;
}

static void read_back(int fd, struct df_text *text)
{
    char buffer[4096];
    ssize_t n;

    if (lseek(fd, 0, SEEK_SET) != 0)
        return;
    while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            df_text_add_bytes(text, buffer, (size_t)n);
}

static df_status run_into(const char *const *words, const char *const *environment, int out, int errors, struct df_process_end *end,
                          struct df_error *err)
{
    int state = 0;
    pid_t pid, waited;
    const int failed = spawn(words, environment, out, errors, &pid);

    if (failed)
        return df_fail(err, failed == ENOENT ? DF_ERR_NOT_FOUND : DF_ERR_IO, "cannot start '%s': %s", words[0], strerror(failed));
    do {
        waited = waitpid(pid, &state, 0);
    } while (waited < 0 && errno == EINTR);
    if (waited != pid) /* who ignores SIGCHLD is not told */
        return df_fail(err, DF_ERR_IO, "cannot learn how '%s' ended: %s", words[0], strerror(errno));
    end->status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    read_back(out, &end->out);
    read_back(errors, &end->err);
    return DF_OK;
}

df_status df_process_run(const char *const *words, const char *const *environment, struct df_process_end *end, struct df_error *err)
{
    const int out = memfd_create("out", MFD_CLOEXEC), errors = memfd_create("err", MFD_CLOEXEC);
    df_status status;

    *end = (struct df_process_end){ 0 };
    if (out < 0 || errors < 0)
        status = df_fail(err, DF_ERR_IO, "cannot start '%s': no room for what it says: %s", words[0], strerror(errno));
    else
        status = run_into(words, environment, out, errors, end, err);
    if (out >= 0)
        close(out);
    if (errors >= 0)
        close(errors);
    return status;
}

void df_process_end_release(struct df_process_end *end)
{
    df_text_release(&end->out);
    df_text_release(&end->err);
}
