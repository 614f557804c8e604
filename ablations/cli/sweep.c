/* `defeat sweep SPEC`: runs the cells that have no row yet. */
#include <stdio.h>
#include <stdlib.h>

#include "ablations/cli/command.h"
#include "ablations/cli/common.h"
#include "ablations/run/store.h"
#include "ablations/sweep.h"

struct sweep_options {
    struct df_common_options common;
    int64_t jobs;
    char only[DF_STRING_MAX];
    bool dry_run;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct sweep_options, common),
    { "jobs", DF_INT_OPTION(struct sweep_options, jobs), 0, 0, 1024, "worker processes, one thread each; 0: one per core" },
    { "only", DF_STRING_OPTION(struct sweep_options, only), 0, 0, 0,
      "run only the cells whose 'label axes seed=K name.option=value...' match", .text = "" },
    { "dry_run", DF_BOOL_OPTION(struct sweep_options, dry_run), 0, 0, 1, "list what would run (index, id, label, axes, seed)" },
    { 0 }
};

static void print_next(const char *spec, const struct df_common_options *common)
{
    struct df_text words = DF_TEXT_INIT;

    df_common_repeat(common, &words);
    printf("next: defeat table %s%s\n", spec, df_text_get(&words));
    df_text_release(&words);
}

static void print_logs(const char *out, const char *spec)
{
    struct df_cell any = { .id = "<run id>" };

    snprintf(any.spec, sizeof any.spec, "%s", spec);
    char *log = df_store_cell_file(out, &any, DF_CELL_LOG);

    printf("failed cells are tried again by the same command; their logs: %s\n", log);
    free(log);
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct sweep_options *options = values;
    struct df_sweep_options sweep = { .jobs = (size_t)options->jobs, .only = options->only[0] ? options->only : NULL };
    struct df_sweep_summary summary = { 0 };
    struct df_error err = { 0 };
    struct df_text list = DF_TEXT_INIT;
    struct df_spec *spec;
    const char *pass[DF_COMMON_PASS_MAX];

    (void)count;
    if (df_common_spec(&options->common, arguments[0], &spec, &err) != DF_OK)
        return df_command_fail(&err);
    sweep.program = "/proc/self/exe";
    sweep.pass = pass;
    df_common_pass(&options->common, pass);
    df_common_run(&options->common, &sweep.run);
    sweep.list = options->dry_run ? &list : NULL;

    const df_status status = df_sweep(spec, &sweep, &summary, &err);

    fputs(df_text_get(&list), stdout);
    if (!options->dry_run && status != DF_ERR_USAGE)
        printf("%s: %zu of %zu cells selected; %zu done before, %zu done now, %zu failed, %zu left; %.0f s\n", spec->name, summary.selected,
               summary.cells, summary.already, summary.done, summary.failed, summary.left, summary.seconds);
    if (status == DF_OK && summary.failed)
        print_logs(options->common.out, spec->name);
    else if (status == DF_OK && !options->dry_run)
        print_next(arguments[0], &options->common);
    df_text_release(&list);
    df_spec_free(spec);
    return status != DF_OK ? df_command_fail(&err) : summary.failed || (summary.left && !options->dry_run) ? 1 : 0;
}

const struct df_command df_command_sweep = {
    .name = "sweep",
    .summary = "run every cell of a spec that has no row yet",
    .usage = "defeat sweep SPEC [--jobs N] [--only PCRE] [--dry-run]",
    .example = "defeat sweep ablations/specs/reproduce-table.json --only 'DeFeat.*seed=[01] '",
    .options = options_table,
    .options_size = sizeof(struct sweep_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
