/* Running commands from a test as a user types them. */
#ifndef DF_TESTS_COMMANDS_H
#define DF_TESTS_COMMANDS_H
#include <stdio.h>
#include <unistd.h>

#include "ablations/cli/command.h"
#include "core/base/file.h"
#include "tests/support/support.h"

/* Runs a command line; words end with NULL. Its results go to the file. */
static inline int command_into(const char *path, const char *const *words)
{
    char *argv[32] = { (char *)(uintptr_t) "defeat" };
    const int stdout_copy = dup(1);
    int argc = 1, status;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    fflush(stdout);
    assert_non_null(freopen(path, "w", stdout));
    status = df_command_main(df_commands, argc, argv);
    fflush(stdout);
    dup2(stdout_copy, 1);
    close(stdout_copy);
    return status;
}

static inline int command(const char *const *words) { return command_into("/dev/null", words); }

/* ... and are read from there: free() *output. */
static inline int command_says(const char *const *words, char **output)
{
    struct df_error err = { 0 };
    char path[600];
    size_t bytes;

    snprintf(path, sizeof path, "%s/output", df_test_folder());

    const int status = command_into(path, words);

    assert_ok(df_file_read(path, 0, output, &bytes, &err));
    return status;
}
#endif
