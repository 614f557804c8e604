/* The command line: finding the command, its options from its table, its help, its errors. */
#include "ablations/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/shell.h"

int df_command_fail(const struct df_error *err)
{
    fflush(stdout);
    fprintf(stderr, "defeat: %s\n", err->text);
    return err->status == DF_ERR_USAGE ? 2 : err->status == DF_ERR_INTERRUPTED ? 130 : 1;
}

bool df_command_color(int stream)
{
    const char *kind = getenv("TERM"), *refused = getenv("NO_COLOR");

    return isatty(stream) && kind && strcmp(kind, "dumb") != 0 && !(refused && refused[0]);
}

static size_t option_count(const df_option *options)
{
    size_t count = 0;

    while (options && options[count].name)
        count++;
    return count;
}

/* The table as it is typed: "--dry-run" for dry_run, also in conditions. df_option is copied as it is. */
struct typed {
    df_option *option;
    struct df_text *name, *when; /* [options] */
};

/* Names are what stands before '=' or "!=" and after '&' or " or ": "--cache=auto&--dry-run!=1 or --jobs=1". */
static void add_typed(const char *condition, struct df_text *out)
{
    static const char either[] = " or ";
    bool name = true;

    df_text_add(out, "--");
    for (const char *c = condition; *c; c++) {
        if (strncmp(c, either, strlen(either)) == 0) {
            df_text_addf(out, "%s--", either);
            c += strlen(either) - 1;
            name = true;
            continue;
        }
        name = *c == '&' || (name && *c != '=' && *c != '!');
        df_text_addf(out, "%c%s", name && *c == '_' ? '-' : *c, *c == '&' ? "--" : "");
    }
}

static struct typed typed_new(const df_option *options)
{
    const size_t count = option_count(options);
    struct typed typed = { df_calloc(count + 1, sizeof *typed.option), df_calloc(count + 1, sizeof *typed.name),
                           df_calloc(count + 1, sizeof *typed.when) };

    for (size_t i = 0; i < count; i++) {
        add_typed(options[i].name, &typed.name[i]);
        typed.option[i] = options[i];
        typed.option[i].name = typed.name[i].data;
        if (options[i].when) {
            add_typed(options[i].when, &typed.when[i]);
            typed.option[i].when = typed.when[i].data;
        }
    }
    return typed;
}

static void typed_release(struct typed *typed)
{
    for (size_t i = 0; typed->option[i].name; i++) {
        df_text_release(&typed->name[i]);
        df_text_release(&typed->when[i]);
    }
    free(typed->option);
    free(typed->name);
    free(typed->when);
}

struct parse {
    const struct df_command *command;
    struct typed typed;
    const char **set; /* names of the options given, as typed */
    size_t sets;
    int next, count;
    char *const *words;
    struct df_error *err;
};

static const df_option *typed_find(const struct parse *p, const char *name, size_t length)
{
    for (const df_option *option = p->typed.option; option->name; option++)
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

static df_status set_option(struct parse *p, const df_option *option, const char *value, void *values)
{
    p->set[p->sets++] = option->name;
    return df_options_set(p->typed.option, option->name, value, p->command->name, values, p->err);
}

/* "--no-flag": the option that it turns off, or NULL. */
static const df_option *find_negated(const struct parse *p, const char *word)
{
    char name[64];
    const df_option *option;

    if (strncmp(word, "--no-", 5) != 0 || strlen(word) >= sizeof name)
        return NULL;
    snprintf(name, sizeof name, "--%s", word + 5);
    option = typed_find(p, name, strlen(name));
    return option && option->type == DF_OPTION_BOOL ? option : NULL;
}

static df_status fail_without_value(const struct parse *p, const char *word)
{
    const bool end = p->next == p->count;

    return df_fail(p->err, DF_ERR_USAGE, "%s: option '%s' needs a value, found %s%s%s", p->command->name, word, end ? "the end" : "'",
                   end ? "" : p->words[p->next], end ? "" : "'");
}

/* Whether the word behind an option that wants a value is an option itself. What is meant for another program is not: --sbatch '--time=1 --mem=2G'. */
static bool is_no_value(const struct parse *p, const df_option *option, const char *word)
{
    if (strncmp(word, "--", 2) != 0)
        return false;
    return option->type != DF_OPTION_STRING || !strpbrk(word, "= ") || typed_find(p, word, strcspn(word, "="));
}

/* One word that begins with '-': "--jobs 4", "--jobs=4", "--flag", "--no-flag". */
static df_status parse_option(struct parse *p, void *values)
{
    const char *word = p->words[p->next++], *equals = strchr(word, '=');
    const int length = (int)(equals ? (size_t)(equals - word) : strlen(word));
    const df_option *option = typed_find(p, word, (size_t)length), *negated = find_negated(p, word);
    char name[128];

    if (option && equals)
        return set_option(p, option, equals + 1, values);
    if (option && option->type == DF_OPTION_BOOL)
        return set_option(p, option, "true", values);
    if (option && (p->next == p->count || is_no_value(p, option, p->words[p->next])))
        return fail_without_value(p, word);
    if (option)
        return set_option(p, option, p->words[p->next++], values);
    if (negated)
        return set_option(p, negated, "false", values);
    snprintf(name, sizeof name, "%.*s", length, word); /* unknown: the option table says so, and knows the near names */
    return df_options_set(p->typed.option, name, "", p->command->name, values, p->err);
}

static df_status check_count(const struct df_command *command, int given, char *const *arguments, struct df_error *err)
{
    if (given > command->arguments_max)
        return df_fail(err, DF_ERR_USAGE, "%s: unexpected argument '%s' (usage: %s)", command->name, arguments[command->arguments_max],
                       command->usage);
    if (given < command->arguments_min)
        return df_fail(err, DF_ERR_USAGE, "%s: found %d of %d arguments (usage: %s)", command->name, given, command->arguments_min,
                       command->usage);
    return DF_OK;
}

df_status df_command_parse(const struct df_command *command, int count, char *const *words, struct df_command_line *line,
                           struct df_error *err)
{
    static const df_option no_options[] = { { 0 } };
    const df_option *options = command->options ? command->options : no_options;
    struct parse p = { .command = command, .typed = typed_new(options), .count = count, .words = words, .err = err };
    df_status status = DF_OK;
    bool ended = false;

    p.set = df_calloc((size_t)count + 1, sizeof *p.set);
    line->given = 0;
    line->help = false;
    df_options_standard(options, line->values);
    for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
        line->help |= strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0;
    while (!line->help && p.next < count && status == DF_OK) {
        const char *word = words[p.next];

        if (!ended && strcmp(word, "--") == 0) {
            ended = true;
            p.next++;
        } else if (!ended && word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9')) {
            status = parse_option(&p, line->values);
        } else {
            line->arguments[line->given++] = words[p.next++];
        }
    }
    if (status == DF_OK && !line->help)
        status = check_count(command, line->given, line->arguments, err);
    if (status == DF_OK && !line->help)
        status = df_options_check(p.typed.option, line->values, p.set, command->name, err);
    free(p.set);
    typed_release(&p.typed);
    return status;
}

static const char *command_name(const void *table, size_t i)
{
    const struct df_command *command = ((const struct df_command *const *)table)[i];

    return command ? command->name : NULL;
}

const struct df_command *df_command_find(const struct df_command *const *table, const char *name, struct df_error *err)
{
    char hint[sizeof(struct df_shell_word) + 64];

    snprintf(hint, sizeof hint, "'%s help' lists them", df_program());

    const size_t i = df_find_name(command_name, table, name, "command", hint, err);

    return i == SIZE_MAX ? NULL : table[i];
}

static void heading(const char *text, bool color, struct df_text *out) { df_text_addf(out, color ? "\033[1m%s\033[0m" : "%s", text); }

void df_command_list(const struct df_command *const *table, bool color, struct df_text *out)
{
    size_t width = 0;

    for (size_t i = 0; table[i]; i++)
        width = strlen(table[i]->name) > width ? strlen(table[i]->name) : width;
    df_text_add(out, "DeFeat Bench: knowledge distillation for object detectors, measured.\n\n");
    heading("usage:", color, out);
    df_text_add(out, " defeat COMMAND [ARGUMENTS] [OPTIONS]\n\n");
    heading("commands:", color, out);
    df_text_add(out, "\n");
    for (size_t i = 0; table[i]; i++)
        df_text_addf(out, "  %-*s  %s\n", (int)width, table[i]->name, table[i]->summary);
    df_text_addf(out, "\n'%s help COMMAND' shows a command's options and an example, '%s help spec' every key of a spec.\n", df_program(),
                 df_program());
}

/* As it works here: by the name that the program was called by, and away from a checkout with the installed specs. */
static void add_example(const char *example, struct df_text *out)
{
    static const char name[] = "defeat ", folder[] = "ablations/specs/";
    const char *rest = example + strlen(name), *spec = df_file_exists("ablations/specs") ? NULL : strstr(rest, folder);

    DF_ASSERT(strncmp(example, name, strlen(name)) == 0);
    df_text_addf(out, " %s ", df_program());
    if (spec) {
        df_text_add_bytes(out, rest, (size_t)(spec - rest));
        rest = spec + strlen(folder);
    }
    df_text_addf(out, "%s\n", rest);
}

void df_command_help_text(const struct df_command *command, bool color, struct df_text *out)
{
    df_text_addf(out, "%s\n\n", command->summary);
    heading("usage:", color, out);
    df_text_addf(out, " %s\n", command->usage);
    if (option_count(command->options)) {
        struct typed typed = typed_new(command->options);

        df_text_add(out, "\n");
        heading("options:", color, out);
        df_text_add(out, " (name, default, range, what it does; true|false: --name or --no-name)\n");
        df_options_help(typed.option, out);
        typed_release(&typed);
    }
    if (command->example) {
        df_text_add(out, "\n");
        heading("example:", color, out);
        add_example(command->example, out);
    }
    if (command->notes)
        df_text_addf(out, "\n%s\n", command->notes);
}

static int print(struct df_text *text)
{
    fputs(df_text_get(text), stdout);
    df_text_release(text);
    return 0;
}

static int run_command(const struct df_command *command, int count, char *const *words)
{
    struct df_command_line line = { .values = df_calloc(1, command->options_size),
                                    .arguments = df_calloc((size_t)count + 1, sizeof *line.arguments) };
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    int exit_status;

    if (df_command_parse(command, count, words, &line, &err) != DF_OK) {
        exit_status = df_command_fail(&err);
    } else if (line.help) {
        df_command_help_text(command, df_command_color(STDOUT_FILENO), &text);
        exit_status = print(&text);
    } else {
        exit_status = command->run(line.values, line.given, line.arguments);
    }
    free(line.arguments);
    free(line.values);
    return exit_status;
}

int df_command_main(const struct df_command *const *table, int count, char *const *words)
{
    const struct df_command *command;
    struct df_error err = { 0 };
    const char *name;

    if (count < 2) { /* nothing was asked for: a slip of a script, as any other misuse */
        struct df_text text = DF_TEXT_INIT;

        df_command_list(table, df_command_color(STDERR_FILENO), &text);
        fputs(df_text_get(&text), stderr);
        df_text_release(&text);
        return 2;
    }
    name = words[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    command = df_command_find(table, name, &err);
    if (!command)
        return df_command_fail(&err);
    return run_command(command, count - 2, words + 2);
}
