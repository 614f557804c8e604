/* The command table: one file per command, one line in commands.c. The only room that prints results and exits. */
#ifndef DF_ABLATIONS_CLI_COMMAND_H
#define DF_ABLATIONS_CLI_COMMAND_H
#include "core/base/option.h"

struct df_command {
    const char *name, *summary; /* one line each */
    const char *usage;          /* "defeat sweep SPEC [--jobs N]" */
    const char *example;        /* a line that works */
    const char *notes;          /* paragraphs at the end of the help; NULL: none */
    const df_option *options;   /* parsed into a struct of options_size; "--jobs 4", "--jobs=4", "--dry-run" (bools), '_' written '-' */
    size_t options_size;
    int arguments_min, arguments_max;
    /* Returns the exit status: 0 done, 1 failed or a check says no, 2 usage, 130 interrupted. */
    int (*run)(const void *options, int count, char *const *arguments);
};
extern const struct df_command *const df_commands[]; /* in the order of the help; ends with NULL */
/* Prints "defeat: <text>" to stderr and returns the exit status that belongs to the error. */
int df_command_fail(const struct df_error *err);
/* Colour on this stream (1, 2): a terminal, not a dumb one, and NO_COLOR not set. */
bool df_command_color(int stream);

struct df_command_line { /* the words behind a command's name */
    void *values;        /* its options, over the defaults: the caller's, of options_size */
    char **arguments;    /* [given] in their order: the caller's, with room for every word */
    int given;
    bool help; /* --help or -h was there: nothing else is checked then */
};
/* For main, help and the tests. `--` ends the options. */
df_status df_command_parse(const struct df_command *command, int count, char *const *words, struct df_command_line *line,
                           struct df_error *err);
/* Finds the command and runs it; returns its exit status. words[0] is the program. */
int df_command_main(const struct df_command *const *table, int count, char *const *words);
const struct df_command *df_command_find(const struct df_command *const *table, const char *name, struct df_error *err);
void df_command_list(const struct df_command *const *table, bool color, struct df_text *out);
void df_command_help_text(const struct df_command *command, bool color, struct df_text *out);
#endif
