/* `defeat table SPEC`: the table over a spec's runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/table_source.h"
#include "ablations/cli/tide_table.h"
#include "results/tuning.h"

struct table_options {
    struct df_common_options common;
    struct df_which_rows which;
    int format;
    char baseline[DF_STRING_MAX];
    bool classes, runs, tune, tide;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct table_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct table_options, which),
    { "format", DF_CHOICE_OPTION(struct table_options, format), .choices = "text|markdown|csv|latex", .when = "runs=0",
      .help = "form of the table" },
    { "baseline", DF_STRING_OPTION(struct table_options, baseline), .text = "",
      .help = "differences are to this label; none: as the spec says" },
    { "classes", DF_BOOL_OPTION(struct table_options, classes), .when = "runs=0&tide=0 or runs=0&format!=csv",
      .help = "AP of every class too" },
    { "runs", DF_BOOL_OPTION(struct table_options, runs),
      .help = "CSV with one row per run and a column per option; its scores are fractions, a table's are percent" },
    { "tune", DF_BOOL_OPTION(struct table_options, tune),
      .help = "AP on the tuning split (the last point of the learning curves), and the best options of every label: for choosing weights" },
    { "tide", DF_BOOL_OPTION(struct table_options, tide), .when = "runs=0&tune=0",
      .help = "a second table: what kinds of errors a method makes fewer of (TIDE), from the runs' results.json; as csv this one alone" },
    { 0 }
};

static int run(const void *values, int count, char *const *arguments)
{
    const struct table_options *options = values;
    struct df_error err = { 0 };
    struct df_table_source source;
    struct df_table *table = NULL;
    struct df_text text = DF_TEXT_INIT, why = DF_TEXT_INIT;

    (void)count;
    if (df_table_source_open(&options->common, &options->which, arguments[0], options->baseline, &source, &err) != DF_OK)
        return df_command_fail(&err);
    if (df_table_source_empty(&source, &why))
        df_warn("%s", why.data);
    df_table_source_warn(&source, options->common.out);
    if (source.request.elsewhere && (options->runs || options->format == DF_TABLE_CSV)) /* other forms say so themselves */
        df_warn("rows of another GPU, driver or build left out: %zu (--environment chooses)", source.request.elsewhere);
    if (options->tune)
        df_journal_judge_by_curve(source.journal, "tune");
    if (options->runs)
        df_table_runs_csv(source.journal, &source.request, &text);
    else if (!(options->tide && options->format == DF_TABLE_CSV) && df_table_build(source.journal, &source.request, &table, &err) == DF_OK)
        df_table_print(table, (enum df_table_format)options->format, options->classes, &text);
    if (options->tune && table && options->format == DF_TABLE_TEXT) {
        df_text_add(&text, "\nbest by the tuning split:\n");
        df_table_best(table, &text);
    }
    if (options->tide && err.status == DF_OK) {
        if (text.length)
            df_text_add(&text, "\n");
        df_tide_table(&options->common, &source, (enum df_table_format)options->format, &text, &err);
    }
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    df_text_release(&why);
    df_table_free(table);
    df_table_source_close(&source);
    return err.status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_table = {
    .name = "table",
    .summary = "mean, interval and paired difference per method",
    .usage =
        "defeat table SPEC [--format text|markdown|csv|latex] [--baseline LABEL] [--classes] [--runs] [--tune] [--tide] [--semantics N]",
    .example = "defeat table ablations/specs/reproduce-table.json --format markdown",
    .options = options_table,
    .options_size = sizeof(struct table_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
