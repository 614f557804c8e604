/* Scripts are written so that nothing of a user's text is ever interpreted: single quotes only, enhanced text off. */
#include "plots/script.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"

extern char **environ;

static void quote(struct df_text *script, const char *text, char doubled)
{
    df_text_add(script, "'");
    for (; *text; text++) {
        if (*text == '\'' || *text == doubled)
            df_text_add_bytes(script, text, 1);
        df_text_add_bytes(script, (unsigned char)*text < ' ' || *text == 127 ? " " : text, 1);
    }
    df_text_add(script, "'");
}

void df_script_quote(struct df_text *script, const char *text) { quote(script, text, '\''); }

void df_script_quote_tic(struct df_text *script, const char *text) { quote(script, text, '%'); }

void df_script_begin(struct df_text *script, const char *name, size_t width, size_t height)
{
    df_text_addf(script,
                 "# gnuplot %s.gp (in this folder) draws %s.csv again\n"
                 "set encoding utf8\n"
                 "do for [kind in 'svg png pdf'] {\n"
                 "reset\n"
                 "set datafile separator comma\n"
                 "set format x '%%g'\nset format y '%%g'\n"
                 "set pointintervalbox 0\n" /* gnuplot 6 would blank the ground of error bars' points */
                 "if (kind eq 'svg') {\n"
                 "    set terminal svg size %zu,%zu noenhanced font 'sans-serif,12' background '#ffffff'\n"
                 "} else { if (kind eq 'pdf') {\n"
                 "    set terminal pdfcairo size %.3fin,%.3fin noenhanced font 'sans-serif,9' background '#ffffff'\n"
                 "} else {\n"
                 "    set terminal pngcairo size %zu,%zu noenhanced font 'sans-serif,12' fontscale 2 linewidth 2 pointscale 2\n"
                 "} }\n"
                 "set output '%s.'.kind\n",
                 name, name, width, height, (double)width / 96, (double)height / 96, 2 * width, 2 * height, name);
}

void df_script_widen(struct df_script_range *range, double value)
{
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

void df_script_add_range(struct df_text *script, const char *axis, const struct df_script_range *range)
{
    const double room = 0.06 * (range->high - range->low);

    df_text_addf(script, "set %srange [%.6g:%.6g]\n", axis, range->low < 0 ? range->low - room : 0,
                 range->high > 0 ? range->high + room : 0);
}

void df_script_end(struct df_text *script) { df_text_add(script, "unset output\n}\n"); }

static df_status write_beside(const char *folder, const char *name, const char *suffix, const struct df_text *text, struct df_error *err)
{
    struct df_text file = DF_TEXT_INIT;

    df_text_addf(&file, "%s/%s%s", folder, name, suffix);
    const df_status status = df_file_write(file.data, df_text_get(text), text->length, err);

    df_text_release(&file);
    return status;
}

/* Starts gnuplot in the folder with its messages going to `messages`. */
static int start(const char *folder, char *script, int messages, pid_t *pid)
{
    char *words[] = { (char[]){ "gnuplot" }, (char[]){ "-d" }, script, NULL }; /* -d: no user's start-up file */
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed)
        return failed;
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, messages, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, messages, STDERR_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_addchdir_np(&actions, folder);
    if (!failed)
        failed = posix_spawnp(pid, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* All that comes through the pipe; the first kilobyte is kept. */
static void collect(int from, char *text, size_t room)
{
    char buffer[1024];
    size_t length = 0;
    ssize_t n;

    while ((n = read(from, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n && length + 1 < room; i++)
            text[length++] = buffer[i] == '\n' ? ' ' : buffer[i];
    text[length] = 0;
}

static df_status run_gnuplot(const char *folder, char *script, struct df_error *err)
{
    char text[1024];
    int pipes[2], state = 0;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) != 0)
        return df_fail(err, DF_ERR_IO, "cannot start gnuplot: %s", strerror(errno));
    const int failed = start(folder, script, pipes[1], &pid);

    close(pipes[1]);
    if (failed) {
        close(pipes[0]);
        if (failed == ENOENT)
            return df_fail(err, DF_ERR_NOT_FOUND,
                           "program 'gnuplot' is not there, expected it on the PATH (Debian: apt install gnuplot-nox; the data and the "
                           "script are in '%s')",
                           folder);
        return df_fail(err, DF_ERR_IO, "cannot start gnuplot: %s", strerror(failed));
    }
    collect(pipes[0], text, sizeof text);
    close(pipes[0]);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return DF_OK;
    return df_fail(err, DF_ERR_IO, "gnuplot failed on '%s/%s' (status %d): %s", folder, script, WIFEXITED(state) ? WEXITSTATUS(state) : 128,
                   text);
}

df_status df_script_run(const char *folder, const char *name, const struct df_text *data, const struct df_text *script,
                        struct df_error *err)
{
    struct df_text file = DF_TEXT_INIT;

    DF_TRY(df_folder_make(folder, err));
    DF_TRY(write_beside(folder, name, ".csv", data, err));
    DF_TRY(write_beside(folder, name, ".gp", script, err));
    df_text_addf(&file, "%s.gp", name);
    const df_status status = run_gnuplot(folder, file.data, err);

    df_text_release(&file);
    return status;
}
