/* `defeat sweep SPEC`: runs the cells that have no row yet. */
#include <stdio.h>
#include <stdlib.h>

#include "ablations/cli/command.h"
#include "ablations/cli/common.h"
#include "ablations/run/store.h"
#include "ablations/spec_check.h"
#include "ablations/sweep.h"

struct sweep_options {
    struct df_common_options common;
    int64_t jobs;
    char only[DF_STRING_MAX];
    bool dry_run, list;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct sweep_options, common),
    { "jobs", DF_INT_OPTION(struct sweep_options, jobs), .max = 1024, .help = "worker processes, one thread each; 0: one per core" },
    { "only", DF_STRING_OPTION(struct sweep_options, only), .text = "",
      .help = "run only the cells whose 'label axes seed=K name.option=value...' match this regular expression" },
    { "dry_run", DF_BOOL_OPTION(struct sweep_options, dry_run), .when = "list=0",
      .help = "check all that can be known, then list what would run (index, id, label, axes, seed)" },
    { "list", DF_BOOL_OPTION(struct sweep_options, list),
      .help = "list every cell: index, id, state (done, failed, running, left), label, axes, seed" },
    { 0 }
};

static void print_next(const char *spec, const struct df_common_options *common)
{
    struct df_text command = DF_TEXT_INIT;

    df_common_command(common, "table", spec, &command);
    printf("next: %s\n", df_text_get(&command));
    df_text_release(&command);
}

static void print_logs(const char *out, const char *spec)
{
    struct df_cell any = { .id = "<run id>" };

    snprintf(any.spec, sizeof any.spec, "%s", spec);
    char *log = df_store_cell_file(out, &any, DF_CELL_LOG);

    printf("failed cells are tried again by the same command; their logs: %s\n", log);
    free(log);
}

static void print_end(const struct df_spec *spec, const struct sweep_options *options, const struct df_sweep_summary *summary,
                      df_status status)
{
    if (options->dry_run && status == DF_OK && summary->left == 0) /* not on stdout, where each line is a cell */
        fprintf(stderr, "nothing is left of the %zu selected cells of '%s'\n", summary->selected, spec->name);
    if (options->dry_run || options->list || status == DF_ERR_USAGE)
        return;
    printf("%s: %zu of %zu cells selected; %zu done before, %zu done now, %zu failed, %zu left; %.0f s\n", spec->name, summary->selected,
           summary->cells, summary->already, summary->done, summary->failed, summary->left, summary->seconds);
    if (status == DF_OK && summary->failed)
        print_logs(options->common.out, spec->name);
    else if (status == DF_OK)
        print_next(spec->path, &options->common);
}

/* Before anything is trained, and in a dry run: where something is left to do. */
static df_status check(const struct df_spec *spec, const struct sweep_options *options, const struct df_sweep_options *with,
                       struct df_error *err)
{
    struct df_sweep_options look = *with;
    struct df_sweep_summary summary;
    struct df_spec_checked checked;
    struct df_text list = DF_TEXT_INIT;

    look.list = &list;

    const df_status status = df_sweep(spec, &look, &summary, err);

    df_text_release(&list);
    if (status != DF_OK || options->list || summary.left == 0)
        return status;
    DF_TRY(df_spec_check(spec, options->common.on_bad_image == 1, &checked, err));
    if (checked.images < checked.of)
        fprintf(stderr, "of %zu image files %zu were decoded as a check\n", checked.of, checked.images);
    return DF_OK;
}

static df_status sweep(const struct df_spec *spec, const struct sweep_options *options, struct df_sweep_summary *summary,
                       struct df_error *err)
{
    struct df_text list = DF_TEXT_INIT;
    struct df_sweep_options with = { .jobs = (size_t)options->jobs,
                                     .only = options->only[0] ? options->only : NULL,
                                     .list = options->dry_run || options->list ? &list : NULL,
                                     .list_all = options->list,
                                     .program = "/proc/self/exe" };
    const char **pass = df_common_pass(&options->common);

    with.pass = pass;
    df_common_run(&options->common, &with.run);

    df_status status = check(spec, options, &with, err);

    if (status == DF_OK)
        status = df_sweep(spec, &with, summary, err);
    fputs(df_text_get(&list), stdout);
    df_text_release(&list);
    free(pass);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct sweep_options *options = values;
    struct df_sweep_summary summary = { 0 };
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)count;
    if (df_common_spec(&options->common, arguments[0], &spec, &err) != DF_OK)
        return df_command_fail(&err);

    const df_status status = sweep(spec, options, &summary, &err);
    const bool undone = summary.left && !options->dry_run && !options->list;

    print_end(spec, options, &summary, status);
    df_spec_free(spec);
    return status != DF_OK ? df_command_fail(&err) : summary.failed || undone ? 1 : 0;
}

const struct df_command df_command_sweep = {
    .name = "sweep",
    .summary = "run every cell of a spec that has no row yet",
    .usage = "defeat sweep SPEC [--jobs N] [--only PCRE] [--set KEY=VALUE] [--dry-run|--list]",
    .example = "defeat sweep ablations/specs/reproduce-table.json --only 'DeFeat.*seed=[01] '",
    .options = options_table,
    .options_size = sizeof(struct sweep_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
