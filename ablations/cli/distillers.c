/* defeat distillers: what there is, what each one computes, who published what with it, its options, and whether it keeps its contract. */
#include "ablations/cli/child.h"
#include "ablations/cli/command.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/device/open.h"
#include "distillers/check/check.h"

struct distillers_options {
    char check[DF_STRING_MAX];
    struct df_texts plugin;
    bool markdown;
};

static const df_option distillers_options[] = {
    { "check", DF_STRING_OPTION(struct distillers_options, check), .text = "",
      .help = "check this distiller, or all: contract, gradients" },
    { "plugin", DF_TEXTS_OPTION(struct distillers_options, plugin),
      .help = "shared object that exports `df_distiller`; may be given again" },
    { "markdown", DF_BOOL_OPTION(struct distillers_options, markdown), .help = "print the documentation tables" },
    { 0 },
};

static void add_list_line(const struct df_distiller_class *class, struct df_text *text)
{
    df_text_addf(text, "  %-16s %s\n", class->name, class->summary);
}

/* The formula as it stands: a block of its own. */
static void add_formula(const char *formula, bool markdown, struct df_text *text)
{
    if (!formula || !formula[0])
        return;
    df_text_add(text, markdown ? "```\n" : "loss:\n");
    while (*formula) {
        const size_t line = strcspn(formula, "\n");

        df_text_addf(text, "%s%.*s\n", markdown ? "" : "  ", (int)line, formula);
        formula += line + (formula[line] == '\n');
    }
    if (markdown)
        df_text_add(text, "```\n\n");
}

/* A line "source: ..." or a paragraph "Source: ...", if there is something to tell. */
static void add_line(const char *title, const char *value, bool markdown, struct df_text *text)
{
    if (value && value[0])
        df_text_addf(text, markdown ? "%c%s: %s\n\n" : "%c%s: %s\n", markdown ? toupper((unsigned char)title[0]) : title[0], title + 1,
                     value);
}

static void add_page(const struct df_distiller_class *class, bool markdown, struct df_text *text)
{
    df_text_addf(text, markdown ? "## `%s`\n\n%s.\n\n" : "%s: %s\n", class->name, class->summary);
    add_formula(class->formula, markdown, text);
    add_line("source", class->cite, markdown, text);
    add_line("deviates", class->deviation, markdown, text);
    add_line("published", class->published, markdown, text);
    add_line("tuned", class->tunable, markdown, text);
    add_line("needs of the teacher", class->needs[0] ? class->needs : "nothing", markdown, text);
    if (class->options->name) {
        df_text_add(text, markdown ? "| option | default | range | meaning |\n|---|---|---|---|\n" : "options:\n");
        (markdown ? df_options_markdown : df_options_help)(class->options, text);
        df_text_add(text, "\n");
    }
}

/* The command line and what was loaded for it. */
struct request {
    const struct distillers_options *options;
    int count;
    char *const *names;
    const struct df_distiller_class *plugin[DF_TEXTS_MAX];
};

static void list(const struct request *request, struct df_text *text)
{
    const struct distillers_options *options = request->options;

    df_text_add(text, options->markdown
                          ? "# Distillers\n\nPrinted by `defeat distillers --markdown` from the tables that the program reads.\n\n"
                          : "distillers ('defeat distillers NAME' shows formula, source and options of one):\n");
    for (size_t i = 0; df_distiller_classes[i]; i++) {
        if (options->markdown)
            add_page(df_distiller_classes[i], true, text);
        else
            add_list_line(df_distiller_classes[i], text);
    }
    for (size_t i = 0; i < options->plugin.count; i++) {
        if (options->markdown)
            add_page(request->plugin[i], true, text);
        else
            add_list_line(request->plugin[i], text);
    }
}

static df_status check_one(const struct df_distiller_class *class, struct df_error *err)
{
    struct df_text report = DF_TEXT_INIT;
    struct df_device *device;

    printf("%s\n", class->name);
    fflush(stdout);
    DF_TRY(df_device_open("ref", &device, err));
    df_distiller_check_watch(df_child_at);
    const df_status status = df_distiller_check(class, device, &report, err);

    printf("%s", df_text_get(&report));
    df_text_release(&report);
    df_device_close(device);
    return status;
}

/* All of them are checked even if one fails; the last failure counts. */
static df_status check(const struct request *request, struct df_error *err)
{
    const char *name = request->options->check;
    const struct df_distiller_class *class;
    df_status status = DF_OK;

    if (strcmp(name, "all") != 0) {
        class = df_distiller_class_find(name, err);
        return class ? check_one(class, err) : err->status;
    }
    for (size_t i = 0; df_distiller_classes[i]; i++) {
        if (check_one(df_distiller_classes[i], err) != DF_OK)
            status = err->status;
    }
    for (size_t i = 0; i < request->options->plugin.count; i++)
        if (check_one(request->plugin[i], err) != DF_OK)
            status = err->status;
    return status;
}

static df_status print_pages(const struct request *request, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    df_status status = DF_OK;

    if (request->count == 0)
        list(request, &text);
    for (int i = 0; i < request->count && status == DF_OK; i++) {
        const struct df_distiller_class *class = df_distiller_class_find(request->names[i], err);

        if (class)
            add_page(class, request->options->markdown, &text);
        else
            status = err->status;
    }
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    return status;
}

static df_status distillers(const void *context, struct df_error *err)
{
    struct request request = *(const struct request *)context;
    const struct distillers_options *options = request.options;

    for (size_t i = 0; i < options->plugin.count; i++)
        if (df_distiller_load_plugin(options->plugin.text[i], &request.plugin[i], err) != DF_OK)
            return err->status;
    return options->check[0] ? check(&request, err) : print_pages(&request, err);
}

/* A plugin is loaded and checked in a child: whatever it does, this program says how it ended. */
static int run(const void *values, int count, char *const *arguments)
{
    const struct distillers_options *options = values;
    const struct request request = { .options = options, .count = count, .names = arguments };
    struct df_error err = { 0 };
    const bool apart = options->check[0] && options->plugin.count;
    const df_status status = apart ? df_child_run(distillers, &request, &err) : distillers(&request, &err);

    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_distillers = {
    .name = "distillers",
    .summary = "list the distillers and their options; check one",
    .usage = "defeat distillers [NAME...] [--check NAME|all] [--markdown] [--plugin FILE]",
    .example = "defeat distillers --check defeat",
    .options = distillers_options,
    .options_size = sizeof(struct distillers_options),
    .arguments_max = 32,
    .run = run,
};
