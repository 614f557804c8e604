/* The command table: one file per command, one line in commands.c. The only room that prints results and exits. */
#ifndef DF_ABLATIONS_CLI_COMMAND_H
#define DF_ABLATIONS_CLI_COMMAND_H
#include "core/base/option.h"

struct df_command {
    const char *name, *summary;      /* one line each */
    const char *usage;               /* "defeat sweep SPEC [--jobs N]" */
    const char *example;             /* a line that works */
    const df_option *options;        /* parsed into a struct of options_size; "--jobs 4", "--jobs=4", "--dry-run" (bools), '_' written '-' */
    size_t options_size;
    int arguments_min, arguments_max;
    /* Returns the exit status: 0 done, 1 failed or a check says no, 2 usage, 130 interrupted. */
    int (*run)(const void *options, int count, char *const *arguments);
};
extern const struct df_command *const df_commands[];
/* Prints "defeat: <text>" to stderr and returns the exit status that belongs to the error. */
int df_command_fail(const struct df_error *err);
#endif
