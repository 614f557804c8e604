#include "ablations/cli/result_table.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/result_scores.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/shell.h"
#include "results/score_table.h"

/* The command that makes the first results file that is missing: the network predicts again if it is still there, else its run is run again. */
static void add_remedy(const struct df_common_options *options, const struct df_spec *spec, size_t cell, struct df_text *out)
{
    char *results = df_store_cell_file(options->out, spec->cell[cell], DF_CELL_RESULTS);
    char *weights = df_store_cell_file(options->out, spec->cell[cell], DF_CELL_WEIGHTS);

    const bool predicts = df_file_exists(weights);

    df_common_command(options, predicts ? "predict" : "run", spec->path, out);
    df_text_addf(out, " --cell %zu", cell);
    if (predicts) {
        df_shell_add(out, "--output");
        df_shell_add(out, results);
    } else {
        df_shell_add(out, "--again");
    }
    free(results);
    free(weights);
}

static void add_missing(const struct df_common_options *options, const struct df_spec *spec, const struct df_result_rows *found,
                        struct df_text *out)
{
    const size_t all = found->added + found->absent + found->other;

    if (found->absent)
        df_text_addf(out, "%zu of %zu finished runs have no results.json here: their detections are what is counted.\n", found->absent,
                     all);
    if (found->other)
        df_text_addf(out, "%zu of %zu finished runs have a results.json that is not theirs or cannot be read.\n", found->other, all);
    if (found->absent + found->other == 0)
        return;
    df_text_addf(out, "the first of them, cell %zu, gets it by: ", found->first);
    add_remedy(options, spec, found->first, out);
    df_text_add(out, "\n");
}

static df_status check_semantics(const struct df_table_source *source, const char *what, struct df_error *err)
{
    if (source->request.semantics == DF_SEMANTICS)
        return DF_OK;
    return df_fail(err, DF_ERR_USAGE, "%s reads the results of runs of this version (semantics %d), not of %lld", what, DF_SEMANTICS,
                   (long long)source->request.semantics);
}

df_status df_result_scores_of(const struct df_common_options *options, const char *metric, struct df_table_source *source,
                              struct df_error *err)
{
    const struct df_result_scores *scores = df_result_scores_of_metric(metric);
    struct df_text missing = DF_TEXT_INIT;
    struct df_result_rows found;

    if (!scores)
        return DF_OK;
    if (!source->spec)
        return df_fail(err, DF_ERR_USAGE, "--metric %s: only a spec says whose detections are counted [name a spec, not a folder of rows]",
                       metric);
    DF_TRY(check_semantics(source, metric, err));
    DF_TRY(df_result_scores_add(scores, source->spec, options->out, source->journal, &found, err));
    add_missing(options, source->spec, &found, &missing);
    if (missing.length)
        df_warn("%.*s", (int)(missing.length - 1), missing.data);
    df_text_release(&missing);
    return DF_OK;
}

df_status df_result_table(const struct df_result_scores *scores, const struct df_common_options *options, struct df_table_source *source,
                          enum df_table_format format, struct df_text *out, struct df_error *err)
{
    const char *head[DF_RESULT_SCORES_MAX];
    const struct df_score_columns columns = {
        .title = scores->title, .count = scores->shown, .metric = scores->metric, .head = head, .notes = scores->notes
    };
    struct df_text missing = DF_TEXT_INIT, option = DF_TEXT_INIT;
    struct df_score_table *table;
    struct df_result_rows found;

    df_text_addf(&option, "--%s", scores->name);
    df_status status = check_semantics(source, option.data, err);

    df_text_release(&option);
    DF_TRY(status);
    for (size_t k = 0; k < scores->shown; k++)
        head[k] = scores == &df_result_conditions ? scores->metric[k] : strchr(scores->metric[k], '.') + 1;
    DF_TRY(df_result_scores_add(scores, source->spec, options->out, source->journal, &found, err));
    DF_TRY(df_score_table_build(source->journal, &source->request, &columns, &table, err));
    add_missing(options, source->spec, &found, &missing);
    if (format == DF_TABLE_CSV && missing.length) /* other forms say so themselves */
        df_warn("%s", missing.data);
    df_score_table_print(table, format, df_text_get(&missing), out);
    df_score_table_free(table);
    df_text_release(&missing);
    return DF_OK;
}
