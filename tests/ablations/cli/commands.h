/* Running commands from a test as a user types them. */
#ifndef DF_TESTS_COMMANDS_H
#define DF_TESTS_COMMANDS_H
#include <stdio.h>
#include <unistd.h>

#include "ablations/cli/command.h"
#include "tests/support/support.h"

/* Runs a command line; words end with NULL. Its results go to /dev/null. */
static inline int command(const char *const *words)
{
    char *argv[32] = { (char *)(uintptr_t) "defeat" };
    const int stdout_copy = dup(1);
    int argc = 1, status;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    fflush(stdout);
    assert_non_null(freopen("/dev/null", "w", stdout));
    status = df_command_main(df_commands, argc, argv);
    fflush(stdout);
    dup2(stdout_copy, 1);
    close(stdout_copy);
    return status;
}
#endif
