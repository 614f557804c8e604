/* defeat help [COMMAND], defeat help spec [SECTION] */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ablations/cli/command.h"
#include "ablations/spec_keys.h"

static const char *section_name(const void *table, size_t i)
{
    (void)table;
    return i < DF_SPEC_SECTIONS ? df_spec_section[i].name : NULL;
}

/* The whole reference, or one section of it. */
static df_status spec_help(const char *section, struct df_text *out, struct df_error *err)
{
    const size_t one = section ? df_find_name(section_name, NULL, section, "section of a spec", NULL, err) : 0;

    if (section && one == SIZE_MAX)
        return DF_ERR_USAGE;
    if (!section)
        df_text_add(out, "A spec is one JSON object. Its keys: name, default, type and range, what it is (when it has an effect).\n"
                         "--set and 'defeat diff' write a key inside of objects with dots: --set schedule.epochs=8.\n");
    for (size_t i = 0; i < DF_SPEC_SECTIONS; i++) {
        if (section && i != one)
            continue;
        df_text_add(out, section ? "" : "\n");
        df_spec_help((enum df_spec_sections)i, out);
    }
    return DF_OK;
}

static df_status help(int count, char *const *arguments, struct df_text *out, struct df_error *err)
{
    const bool color = df_command_color(STDOUT_FILENO);
    const struct df_command *command;

    if (count && strcmp(arguments[0], "spec") == 0)
        return spec_help(count > 1 ? arguments[1] : NULL, out, err);
    if (count > 1)
        return df_fail(err, DF_ERR_USAGE, "help: unexpected argument '%s' (only 'help spec' has sections)", arguments[1]);
    if (count == 0) {
        df_command_list(df_commands, color, out);
        return DF_OK;
    }
    command = df_command_find(df_commands, arguments[0], err);
    if (!command)
        return DF_ERR_USAGE;
    df_command_help_text(command, color, out);
    return DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };

    (void)values;

    const df_status status = help(count, arguments, &text, &err);

    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_help = {
    .name = "help",
    .summary = "list the commands, show one (options, defaults, an example), or the keys of a spec",
    .usage = "defeat help [COMMAND | spec [SECTION]]",
    .example = "defeat help spec schedule",
    .arguments_max = 2,
    .run = run,
};
