/* `defeat run SPEC --cell K`: one cell, and its row. What a sweep's workers execute. */
#include <stdlib.h>

#include "ablations/cli/running.h"
#include "ablations/run/prepare.h"
#include "ablations/run/store.h"
#include "core/base/file.h"

struct run_options {
    struct df_common_options common;
    int64_t cell;
    char id[DF_STRING_MAX];
    bool locked, again;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct run_options, common),
    { "cell", DF_INT_OPTION(struct run_options, cell), .standard = -1, .min = -1, .max = 1e6,
      .help = "index of the cell, as 'defeat sweep SPEC --list' lists them" },
    { "id", DF_STRING_OPTION(struct run_options, id), .text = "",
      .help = "the run id that the cell must have, else nothing is run; \"\": any" },
    { "locked", DF_BOOL_OPTION(struct run_options, locked),
      .help = "no lock is taken: a sweep that calls this holds the cell's, a cluster's job has none" },
    { "again", DF_BOOL_OPTION(struct run_options, again), .help = "run also a cell that is finished" },
    { 0 },
};

static df_status run_once(const struct df_cell *cell, const struct run_options *options, struct df_error *err)
{
    struct df_run_options run_with;
    bool finished = false;
    int lock = -1;

    df_common_run(&options->common, &run_with);
    if (!options->locked)
        DF_TRY(df_running_lock(cell, &run_with, &lock, err));

    df_status status = options->again ? DF_OK : df_running_finished(cell, &run_with, &finished, err);

    if (status == DF_OK && !finished) {
        struct df_run_result *result;

        status = df_running_keep(cell, &run_with, &result, err);
        df_run_result_free(result);
    }
    if (lock >= 0)
        df_unlock(lock);
    return status;
}

static df_status run_chosen(struct df_spec *spec, const void *values, struct df_error *err)
{
    const struct run_options *options = values;
    struct df_cell *cell;

    DF_TRY(df_running_cell(spec, options->cell, &cell, err));
    DF_TRY(df_running_same(spec, cell, options->id, err));
    return run_once(cell, options, err);
}

static int run_run(const void *values, int count, char *const *arguments)
{
    (void)count;
    return df_running_spec(&((const struct run_options *)values)->common, arguments[0], run_chosen, values);
}

const struct df_command df_command_run = {
    .name = "run",
    .summary = "run one cell of a spec and write its row",
    .usage = "defeat run SPEC --cell K [--again]",
    .example = "defeat run ablations/specs/reproduce-quick.json --cell 0",
    .options = options_table,
    .options_size = sizeof(struct run_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_run,
};
