/* `defeat plot SPEC`: bars, learning curves and, where the spec has them, a heat map of two axes and the gains over its variants; on request how
 * reliable scores are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/result_table.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "plots/plot.h"

struct plot_options {
    struct df_common_options common;
    struct df_which_rows which;
    char output[DF_STRING_MAX];
    bool calibration;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct plot_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct plot_options, which),
    { "output", DF_STRING_OPTION(struct plot_options, output), .text = "", .help = "folder of the plots; empty: plots/ beside the rows" },
    { "calibration", DF_BOOL_OPTION(struct plot_options, calibration), .help = "the reliability diagram too, from the runs' results.json" },
    { 0 }
};

static void report(const char *folder, const char *name)
{
    printf("%s/%s.svg %s/%s.png %s/%s.pdf\n", folder, name, folder, name, folder, name);
}

/* Rows without curves (of some only runs.csv is kept) still have their bars and heat map. */
static df_status plot_curves(const struct df_table_source *source, const char *folder, struct df_error *err)
{
    const df_status status = df_plot_curves(source->journal, &source->request, folder, "curves", err);

    if (status == DF_OK)
        report(folder, "curves");
    if (status != DF_ERR_NOT_FOUND)
        return status;
    df_warn("%s", err->text);
    return DF_OK;
}

static df_status plot_table(const struct df_table_source *source, const struct df_table *table, const char *folder, struct df_error *err)
{
    const struct df_spec *spec = source->spec;

    DF_TRY(df_plot_bars(table, folder, "bars", err));
    report(folder, "bars");
    DF_TRY(plot_curves(source, folder, err));
    if (spec->heat_x[0] && spec->heat_y[0]) {
        DF_TRY(df_plot_heat(table, spec->heat_x, spec->heat_y, folder, "heat", err));
        report(folder, "heat");
    }
    if (spec->variants > 1) {
        DF_TRY(df_plot_gain(table, folder, "gain", err));
        report(folder, "gain");
    }
    return DF_OK;
}

static df_status plot_reliability(const struct plot_options *options, struct df_table_source *source, const char *folder,
                                  struct df_error *err)
{
    DF_TRY(df_result_scores_of(&options->common, df_result_calibration.metric[0], source, err));
    DF_TRY(df_plot_reliability(source->journal, &source->request, folder, "reliability", err));
    report(folder, "reliability");
    return DF_OK;
}

static df_status plot_all(const struct plot_options *options, struct df_table_source *source, const char *folder, struct df_error *err)
{
    struct df_text why = DF_TEXT_INIT;
    struct df_table *table;

    if (df_table_source_empty(source, &why)) {
        df_fail(err, DF_ERR_NOT_FOUND, "nothing to plot: %s", why.data);
        df_text_release(&why);
        return DF_ERR_NOT_FOUND;
    }
    if (source->request.elsewhere)
        df_warn("rows of another GPU, driver or build left out: %zu (--environment chooses)", source->request.elsewhere);
    DF_TRY(df_folder_make(folder, err));
    DF_TRY(df_table_build(source->journal, &source->request, &table, err));
    df_status status = plot_table(source, table, folder, err);

    df_table_free(table);
    if (status == DF_OK && options->calibration)
        status = plot_reliability(options, source, folder, err);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct plot_options *options = values;
    struct df_error err = { 0 };
    struct df_table_source source;

    (void)count;
    if (df_table_source_open(&options->common, &options->which, arguments[0], "", &source, &err) != DF_OK)
        return df_command_fail(&err);
    char *folder = options->output[0] ? df_strdup(options->output) : df_store_plots(source.folder);
    const df_status status = plot_all(options, &source, folder, &err);

    free(folder);
    df_table_source_close(&source);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_plot = {
    .name = "plot",
    .summary = "bars, learning curves, heat map and gains over variants as SVG, PNG and PDF",
    .usage = "defeat plot SPEC [--output FOLDER] [--calibration] [--semantics N]",
    .example = "defeat plot ablations/specs/reproduce-table.json",
    .options = options_table,
    .options_size = sizeof(struct plot_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
