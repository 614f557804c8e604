/* `defeat effects SPEC`: which of a method's options matter, and whether they depend on each other. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/compare.h"
#include "ablations/cli/result_table.h"
#include "results/effects.h"

struct effects_options {
    struct df_common_options common;
    struct df_which_rows which;
    char method[DF_STRING_MAX], metric[DF_STRING_MAX];
    bool json;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct effects_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct effects_options, which),
    { "method", DF_STRING_OPTION(struct effects_options, method), .text = "",
      .help = "label of the method; \"\": the only one with several lines" },
    { "metric", DF_STRING_OPTION(struct effects_options, metric), .text = "AP",
      .help = "the score: AP, AP50, ..., of a class: AP.disk, or what errors cost: TIDE.Bkg" },
    { "json", DF_BOOL_OPTION(struct effects_options, json), .help = "one JSON object" },
    { 0 },
};

/* The method that was named, or the only one that has several lines. */
static df_status choose_method(const struct df_table_request *request, const char *asked, const char **out, struct df_error *err)
{
    const char *found = NULL;

    *out = asked;
    for (size_t l = 0; l < request->lines && !*asked; l++)
        for (size_t m = 0; m < l; m++)
            if (strcmp(request->line[l].label, request->line[m].label) == 0 && (!found || strcmp(found, request->line[l].label) != 0)) {
                if (found)
                    return df_fail(err, DF_ERR_USAGE, "'%s' and '%s' have several lines each [--method chooses]", found,
                                   request->line[l].label);
                found = request->line[l].label;
            }
    if (!*asked && !found)
        return df_fail(err, DF_ERR_USAGE, "no method of this spec has several lines: nothing to tell effects by");
    *out = *asked ? asked : found;
    return DF_OK;
}

static bool is_told(const struct df_effect *effect) { return effect->interval.low > 0 || effect->interval.high < 0; }

static void print_sentence(const struct df_effects *e, const char *method)
{
    struct df_text told = DF_TEXT_INIT;
    size_t n = 0;

    for (size_t i = 0; i < e->effects; i++) {
        if (!is_told(&e->effect[i]))
            continue;
        df_text_add(&told, n++ ? "; " : ": ");
        df_effect_name(e, &e->effect[i], &told);
        df_text_addf(&told, " (%+.2f)", e->effect[i].interval.mean);
    }
    printf("%s: %zu of %zu effects are told from 0%s.\n\n", method, n, e->effects, df_text_get(&told));
    df_text_release(&told);
}

/* "-" where there is no number. */
static void add_real(struct df_text *out, double value, int digits, bool sign)
{
    if (isnan(value))
        df_text_add(out, "-");
    else
        df_text_addf(out, sign ? "%+.*f" : "%.*f", digits, value);
}

static void print_text(const struct df_effects *e, const char *method)
{
    print_sentence(e, method);
    printf("%9s  %-18s %6s  effect\n", "points", "interval", "p");
    for (size_t i = 0; i < e->effects; i++) {
        const struct df_interval *interval = &e->effect[i].interval;
        struct df_text name = DF_TEXT_INIT, mean = DF_TEXT_INIT, range = DF_TEXT_INIT, p = DF_TEXT_INIT;

        df_effect_name(e, &e->effect[i], &name);
        add_real(&mean, interval->mean, 2, true);
        add_real(&p, e->effect[i].p, 3, false);
        if (isnan(interval->low))
            df_text_add(&range, "-");
        else
            df_text_addf(&range, "%.2f to %.2f", interval->low, interval->high);
        printf("%9s  %-18s %6s  %s\n", mean.data, range.data, p.data, name.data);
        df_text_release(&mean);
        df_text_release(&p);
        df_text_release(&name);
        df_text_release(&range);
    }
    printf("\n%zu lines x %zu seeds. Each interval: %.4g %% (Student t over seeds), so that all %zu hold at once with 95 %% (Bonferroni); "
           "p: Holm.\n",
           e->lines, e->seeds, 100 * e->confidence, e->effects);
    if (e->seeds < 2)
        printf("fewer than two whole seeds: no interval.\n");
    if (e->left_out)
        printf("seeds left out, for a line has no score of them: %zu.\n", e->left_out);
}

static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void print_json(const struct df_effects *e, const char *method)
{
    cJSON *root = cJSON_CreateObject(), *list;
    struct df_text text = DF_TEXT_INIT;

    cJSON_AddStringToObject(root, "method", method);
    add_number(root, "seeds", (double)e->seeds);
    add_number(root, "seeds_left_out", (double)e->left_out);
    add_number(root, "confidence", e->confidence);
    list = cJSON_AddArrayToObject(root, "effects");
    for (size_t i = 0; i < e->effects; i++) {
        cJSON *one = cJSON_CreateObject();

        df_text_clear(&text);
        df_effect_name(e, &e->effect[i], &text);
        cJSON_AddStringToObject(one, "effect", text.data);
        add_number(one, "points", e->effect[i].interval.mean);
        add_number(one, "low", e->effect[i].interval.low);
        add_number(one, "high", e->effect[i].interval.high);
        add_number(one, "p_holm", e->effect[i].p);
        cJSON_AddItemToArray(list, one);
    }
    df_text_clear(&text);
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct effects_options *options = values;
    struct df_table_source source;
    struct df_effects *effects = NULL;
    struct df_compare_score score;
    struct df_text why = DF_TEXT_INIT;
    struct df_error err = { 0 };
    struct df_effects_request request = { .table = &source.request, .metric = score.metric };

    (void)count;
    df_compare_score_split(options->metric, &score);
    request.class = score.class;
    if (df_table_source_open(&options->common, &options->which, arguments[0], "", &source, &err) != DF_OK)
        return df_command_fail(&err);
    if (df_table_source_empty(&source, &why))
        df_warn("%s", why.data);
    if (source.request.elsewhere)
        df_warn("rows of another GPU, driver or build left out: %zu (--environment chooses)", source.request.elsewhere);
    if (df_result_scores_of(&options->common, score.metric, &source, &err) == DF_OK &&
        choose_method(&source.request, options->method, &request.label, &err) == DF_OK &&
        df_effects_of(source.journal, &request, &effects, &err) == DF_OK)
        (options->json ? print_json : print_text)(effects, request.label);
    df_effects_free(effects);
    df_text_release(&why);
    df_table_source_close(&source);
    return err.status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_effects = {
    .name = "effects",
    .summary = "which options of a method matter, and whether they depend on each other",
    .usage = "defeat effects SPEC [--method LABEL] [--metric AP50] [--json]",
    .example = "defeat effects ablations/specs/ablate-weights.json",
    .notes = "For a method whose options have lists of values (a full factorial; variants are an axis too). Every value is held against "
             "its option's first, "
             "in the mean over all other options; an interaction says how much larger that difference is where another option has another "
             "value.",
    .options = options_table,
    .options_size = sizeof(struct effects_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
