/* `defeat table SPEC`: the table over a spec's runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/result_table.h"
#include "ablations/cli/table_source.h"
#include "results/groups.h"
#include "results/tuning.h"

struct table_options {
    struct df_common_options common;
    struct df_which_rows which;
    int format;
    char baseline[DF_STRING_MAX];
    bool classes, runs, tune, tide, calibration, conditions, groups;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct table_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct table_options, which),
    { "format", DF_CHOICE_OPTION(struct table_options, format), .choices = "text|markdown|csv|latex", .when = "runs=0",
      .help = "form of the table" },
    { "baseline", DF_STRING_OPTION(struct table_options, baseline), .text = "", .when = "groups=0 or format!=csv",
      .help = "differences are to this label; none: as the spec says" },
    { "classes", DF_BOOL_OPTION(struct table_options, classes),
      .when = "runs=0&tide=0&calibration=0&conditions=0&groups=0 or runs=0&format!=csv", .help = "AP of every class too" },
    { "runs", DF_BOOL_OPTION(struct table_options, runs),
      .help = "CSV with one row per run and a column per option; its scores are fractions, a table's are percent" },
    { "tune", DF_BOOL_OPTION(struct table_options, tune),
      .help = "AP on the tuning split (the last point of the learning curves), and the best options of every label: for choosing weights" },
    { "tide", DF_BOOL_OPTION(struct table_options, tide), .when = "runs=0&tune=0",
      .help = "a second table: what kinds of errors a method makes fewer of (TIDE), from the runs' results.json; as csv this one alone" },
    { "calibration", DF_BOOL_OPTION(struct table_options, calibration), .when = "runs=0&tune=0&format!=csv or runs=0&tune=0&tide=0",
      .help = "the same of calibration: whether scores mean what they say (D-ECE)" },
    { "conditions", DF_BOOL_OPTION(struct table_options, conditions),
      .when = "runs=0&tune=0&format!=csv or runs=0&tune=0&tide=0&calibration=0",
      .help = "the same of AP by the size of objects and by how many an image has" },
    { "groups", DF_BOOL_OPTION(struct table_options, groups),
      .when = "runs=0&tune=0&format!=csv or runs=0&tune=0&tide=0&calibration=0&conditions=0",
      .help = "a further table: which methods cannot be told apart, every one compared with every other of its variant; as csv this one "
              "alone" },
    { 0 }
};

/* Which families of scores have a table of their own. */
static bool wants(const struct table_options *options, const struct df_result_scores *scores)
{
    return scores == &df_result_tide ? options->tide : scores == &df_result_calibration ? options->calibration : options->conditions;
}

static df_status add_result_tables(const struct table_options *options, struct df_table_source *source, struct df_text *text,
                                   struct df_error *err)
{
    for (size_t f = 0; df_result_scores[f]; f++) {
        if (!wants(options, df_result_scores[f]))
            continue;
        if (text->length)
            df_text_add(text, "\n");
        DF_TRY(df_result_table(df_result_scores[f], &options->common, source, (enum df_table_format)options->format, text, err));
    }
    return DF_OK;
}

static df_status add_groups(const struct table_options *options, const struct df_table_source *source, struct df_text *text,
                            struct df_error *err)
{
    struct df_groups *groups;

    DF_TRY(df_groups_build(source->journal, &source->request, &groups, err));
    if (text->length)
        df_text_add(text, "\n");
    df_groups_print(groups, (enum df_table_format)options->format, text);
    df_groups_free(groups);
    return DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct table_options *options = values;
    struct df_error err = { 0 };
    struct df_table_source source;
    struct df_table *table = NULL;
    struct df_text text = DF_TEXT_INIT, why = DF_TEXT_INIT;
    const bool further = options->tide || options->calibration || options->conditions || options->groups;

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
    else if (!(further && options->format == DF_TABLE_CSV) && df_table_build(source.journal, &source.request, &table, &err) == DF_OK)
        df_table_print(table, (enum df_table_format)options->format, options->classes, &text);
    if (options->tune && table && options->format == DF_TABLE_TEXT) {
        df_text_add(&text, "\nbest by the tuning split:\n");
        df_table_best(table, &text);
    }
    if (further && err.status == DF_OK && add_result_tables(options, &source, &text, &err) == DF_OK && options->groups)
        add_groups(options, &source, &text, &err);
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
        "defeat table SPEC [--format text|markdown|csv|latex] [--baseline LABEL] [--classes] [--runs] [--tune] [--tide] [--calibration] "
        "[--conditions] [--groups] [--semantics N]",
    .example = "defeat table ablations/specs/reproduce-table.json --format markdown",
    .options = options_table,
    .options_size = sizeof(struct table_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
