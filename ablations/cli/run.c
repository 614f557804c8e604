/* `defeat run SPEC --cell K`: one cell, and its row in the journal. What a sweep's workers execute. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/running.h"
#include "core/base/file.h"

struct run_options {
    struct df_common_options common;
    int64_t cell;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct run_options, common),
    { "cell", DF_INT_OPTION(struct run_options, cell), -1, -1, 1e6, "index of the cell, as 'defeat sweep SPEC --dry-run' lists them" },
    { 0 },
};

/* A failed cell leaves a row with its reason. */
static df_status journal_failure(const char *folder, const struct df_cell *cell, const char *started, const struct df_error *reason,
                                 struct df_error *err)
{
    struct df_text status = DF_TEXT_INIT;
    char finished[24];
    struct df_run_row row = { .schema = DF_JOURNAL_SCHEMA,
                              .semantics = DF_SEMANTICS,
                              .run = cell->id,
                              .spec = cell->spec,
                              .label = cell->label,
                              .axes = cell->axes,
                              .cell = df_text_get(&cell->json),
                              .seed = cell->seed,
                              .class_ap = "",
                              .train_seconds = NAN,
                              .eval_seconds = NAN,
                              .images_per_second = NAN,
                              .device = cell->device,
                              .isa = df_device_isa(),
                              .revision = df_run_revision(),
                              .started = started };

    for (size_t i = 0; i < DF_METRICS; i++)
        row.metric[i] = NAN;
    df_utc(finished);
    row.finished = finished;
    df_text_addf(&status, "failed: %s", reason->text);
    row.status = status.data;

    const df_status done = df_journal_append(folder, &row, NULL, 0, err);

    df_text_release(&status);
    return done;
}

static df_status run_and_journal(const struct df_cell *cell, const struct df_run_options *run, struct df_error *err)
{
    char *folder = df_path_join(run->out, cell->spec), started[24];
    struct df_run_result *result = NULL;
    struct df_error journal = { 0 };

    df_utc(started);

    df_status status = df_run_cell(cell, run, &result, err);

    if (status == DF_OK)
        status = df_journal_append(folder, &result->row, result->curve, result->curves, err);
    else if (status != DF_ERR_INTERRUPTED && journal_failure(folder, cell, started, err, &journal) != DF_OK)
        df_warn("the failure could not be journaled: %s", journal.text);
    df_run_result_free(result);
    free(folder);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct run_options *options = values;
    struct df_run_options run_with;
    struct df_error err = { 0 };
    struct df_spec *spec;
    struct df_cell *cell;

    (void)count;
    df_running_catch_signals();
    if (df_common_spec(&options->common, arguments[0], &spec, &err) != DF_OK)
        return df_command_fail(&err);
    df_common_run(&options->common, &run_with);

    df_status status = df_running_cell(spec, options->cell, &cell, &err);

    if (status == DF_OK)
        status = run_and_journal(cell, &run_with, &err);
    df_spec_free(spec);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_run = {
    .name = "run",
    .summary = "run one cell of a spec and write its row into the journal",
    .usage = "defeat run SPEC --cell K",
    .example = "defeat run ablations/specs/reproduce-quick.json --cell 0",
    .options = options_table,
    .options_size = sizeof(struct run_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
