/* defeat help [COMMAND] */
#include <stdio.h>
#include <unistd.h>

#include "ablations/cli/command.h"

static int run(const void *values, int count, char *const *arguments)
{
    const bool color = df_command_color(STDOUT_FILENO);
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };

    (void)values;
    if (count) {
        const struct df_command *command = df_command_find(df_commands, arguments[0], &err);

        if (!command)
            return df_command_fail(&err);
        df_command_help_text(command, color, &text);
    } else {
        df_command_list(df_commands, color, &text);
    }
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    return 0;
}

const struct df_command df_command_help = {
    .name = "help",
    .summary = "list the commands, or show one: options, defaults, an example",
    .usage = "defeat help [COMMAND]",
    .example = "defeat help sweep",
    .arguments_max = 1,
    .run = run,
};
