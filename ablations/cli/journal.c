/* `defeat journal import`: rows of another tree, or of an older version's runs.csv, become row files. */
#include <stdio.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/run/store.h"

struct journal_options {
    char out[DF_STRING_MAX];
};
static const df_option options_table[] = {
    { "out", DF_STRING_OPTION(struct journal_options, out), .text = "",
      .help = "tree that the rows go into, each under its spec; \"\": where they are" },
    { 0 },
};

static df_status import(const struct journal_options *options, const char *from, struct df_error *err)
{
    struct df_imported count;

    DF_TRY(df_store_import(from, options->out, &count, err));
    printf("%s: %zu finished and %zu failed rows imported, %zu were there already\n", from, count.finished, count.failed, count.known);
    return DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    static const char *const names[] = { "import", NULL };
    const char *near = df_nearest(arguments[0], names);
    struct df_error err = { 0 };
    df_status status = DF_OK;

    if (strcmp(arguments[0], names[0]) != 0)
        status = df_fail(&err, DF_ERR_USAGE, "journal: unknown action '%s' (%simport)", arguments[0], near ? "did you mean " : "expected ");
    for (int i = 1; i < count && status == DF_OK; i++)
        status = import(values, arguments[i], &err);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_journal = {
    .name = "journal",
    .summary = "bring rows of another tree, or of an older version, into this one",
    .usage = "defeat journal import FOLDER|RUNS.CSV... [--out FOLDER]",
    .example = "defeat journal import results/published/reproduce-table --out out",
    .notes = "A row that is there stays. On cuda a row of another GPU, driver or build is kept beside it. The CSV tables are made again; a "
             "runs.csv of an older version is replaced by one of today once every row of it has its file.",
    .options = options_table,
    .options_size = sizeof(struct journal_options),
    .arguments_min = 2,
    .arguments_max = 64,
    .run = run,
};
