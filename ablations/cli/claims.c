/* `defeat claims FILE`: what a paper claims, and whether this benchmark's rows say so too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/compare.h"
#include "ablations/cli/result_table.h"
#include "core/base/file.h"
#include "results/claims.h"
#include "results/inference.h"

struct claims_options {
    struct df_common_options common;
    struct df_which_rows which;
    bool beyond, json;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct claims_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct claims_options, which),
    { "beyond_teachers", DF_BOOL_OPTION(struct claims_options, beyond), .help = "one mean per teacher, for claims beyond these teachers" },
    { "json", DF_BOOL_OPTION(struct claims_options, json), .help = "one JSON object" },
    { 0 },
};

/* The claims and their comparisons, in the file's order. */
struct work {
    const struct claims_options *options;
    const char *file;
    struct df_claims claims;
    struct df_comparison **comparison; /* [claims.count] */
};

static bool same_spec(const struct work *work, size_t i, size_t j)
{
    return strcmp(work->claims.claim[i].spec, work->claims.claim[j].spec) == 0;
}

/* How many claims are made of the spec of claim i. */
static size_t claims_of_spec(const struct work *work, size_t i)
{
    size_t n = 0;

    for (size_t j = 0; j < work->claims.count; j++)
        n += same_spec(work, i, j);
    return n;
}

static size_t first_of_spec(const struct work *work, size_t i)
{
    size_t first = 0;

    while (!same_spec(work, first, i))
        first++;
    return first;
}

/* ---- comparing -------------------------------------------------------------------------------------------------------------------- */

static df_status compare_claim(const struct work *work, struct df_compare_source *source, size_t i, struct df_error *err)
{
    const struct df_claim *claim = &work->claims.claim[i];
    const size_t comparisons = claims_of_spec(work, i);
    struct df_compare_method a = { 0 }, b = { 0 };
    struct df_compare_score score;

    df_compare_score_split(claim->metric, &score);
    df_status status = df_result_scores_of(&work->options->common, score.metric, &source->rows, err);

    if (status == DF_OK)
        status = df_compare_method_find(source, claim->a, &a, err);
    if (status == DF_OK)
        status = df_compare_method_find(source, claim->b, &b, err);
    if (status == DF_OK) {
        const struct df_comparison_request request = { .metric = score.metric,
                                                       .class = score.class,
                                                       .margin = claim->margin,
                                                       .confidence = df_simultaneous(0.95, comparisons),
                                                       .comparisons = comparisons,
                                                       .beyond = work->options->beyond };

        df_compare_methods_match(&a, &b);
        const struct df_compare_side one = df_compare_method_side(&a), other = df_compare_method_side(&b);

        work->comparison[i] = df_compare(&one, &other, &request);
    }
    df_compare_method_release(&a);
    df_compare_method_release(&b);
    return status == DF_OK ? status : df_fail_in(err, status, "%s/claims/%zu", work->file, i);
}

/* Holm's p over the claims of the spec of claim `first`. */
static void adjust(const struct work *work, size_t first)
{
    struct df_comparison **same = df_malloc((work->claims.count + 1) * sizeof(struct df_comparison *));
    size_t n = 0;

    for (size_t i = first; i < work->claims.count; i++)
        if (same_spec(work, first, i))
            same[n++] = work->comparison[i];
    df_comparisons_adjust(same, n);
    free(same);
}

static df_status compare_spec(const struct work *work, size_t first, struct df_compare_source *source, struct df_error *err)
{
    char *folder = df_path_folder(work->file), *path = df_path_join(folder, work->claims.claim[first].spec);
    df_status status = df_compare_source_open(&work->options->common, &work->options->which, path, source, err);

    for (size_t i = first; i < work->claims.count && status == DF_OK; i++)
        if (same_spec(work, first, i))
            status = compare_claim(work, source, i, err);
    if (status == DF_OK)
        adjust(work, first);
    if (status == DF_OK && source->rows.request.elsewhere)
        df_warn("%s: rows of another GPU, driver or build left out: %zu (--environment chooses)", path, source->rows.request.elsewhere);
    free(path);
    free(folder);
    return status;
}

/* ---- what is told ----------------------------------------------------------------------------------------------------------------- */

/* "RetinaNet (specs/reproduce-table.json): of 5 claims 3 reproduced, 1 refuted, 1 not resolved." */
static void add_sentence(const struct work *work, size_t first, struct df_text *out)
{
    const struct df_claim *claim = &work->claims.claim[first];
    size_t answers[DF_CLAIM_ANSWERS] = { 0 };

    for (size_t i = first; i < work->claims.count; i++)
        if (same_spec(work, first, i))
            answers[df_claim_judge(&work->claims.claim[i], work->comparison[i])]++;
    df_text_addf(out, "%s (%s): of %zu claims %zu reproduced, %zu refuted, %zu not resolved.\n", claim->detector, claim->spec,
                 claims_of_spec(work, first), answers[DF_REPRODUCED], answers[DF_REFUTED], answers[DF_NOT_RESOLVED]);
}

static bool has_rows(const struct work *work, size_t first)
{
    for (size_t i = first; i < work->claims.count; i++)
        if (same_spec(work, first, i) && work->comparison[i]->pairs)
            return true;
    return false;
}

/* What would make rows of a spec that has none, as a command that works when pasted. */
static void add_remedy(const struct work *work, size_t first, struct df_text *out)
{
    char *folder = df_path_folder(work->file), *path = df_path_join(folder, work->claims.claim[first].spec);

    if (!has_rows(work, first)) {
        df_text_add(out, "  no pair has its rows yet: ");
        df_common_command(&work->options->common, "sweep", path, out);
        df_text_add(out, "\n");
    }
    free(path);
    free(folder);
}

static void add_spec(const struct work *work, size_t first, struct df_text *out)
{
    const double margin = work->claims.claim[first].margin;

    df_text_add(out, "\n");
    add_sentence(work, first, out);
    for (size_t i = first; i < work->claims.count; i++) {
        if (!same_spec(work, first, i))
            continue;
        df_text_add(out, "  ");
        df_claim_line(&work->claims.claim[i], work->comparison[i], out);
        if (work->claims.claim[i].margin != margin)
            df_text_addf(out, "; here %g points count", work->claims.claim[i].margin);
        df_text_add(out, ".\n");
    }
    df_text_addf(out,
                 "  A difference counts from %g points on. Intervals: %.4g %% (Student t), so that all of them hold at once with 95 %% "
                 "(Bonferroni).\n",
                 margin, 100 * work->comparison[first]->request.confidence);
    add_remedy(work, first, out);
}

static void print_text(const struct work *work)
{
    struct df_text text = DF_TEXT_INIT;

    df_text_addf(&text, "%s\n", work->claims.paper);
    for (size_t i = 0; i < work->claims.count; i++)
        if (first_of_spec(work, i) == i)
            add_spec(work, i, &text);
    df_text_add(&text, "\n\"a is better\": reproduced if the interval is above 0; refuted if it is not and ends below what counts.\n"
                       "The paper's figures are COCO's; here the direction is asked, not the size.\n");
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

static void print_json(const struct work *work)
{
    cJSON *root = cJSON_CreateObject(), *list;
    struct df_text text = DF_TEXT_INIT;

    cJSON_AddStringToObject(root, "paper", work->claims.paper);
    list = cJSON_AddArrayToObject(root, "claims");
    for (size_t i = 0; i < work->claims.count; i++)
        cJSON_AddItemToArray(list, df_claim_json(&work->claims.claim[i], work->comparison[i]));
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static int run(const void *values, int count, char *const *arguments)
{
    struct work work = { .options = values, .file = arguments[0] };
    struct df_error err = { 0 };
    df_status status = df_claims_read(work.file, &work.claims, &err);
    struct df_compare_source *source = df_calloc(work.claims.count + 1, sizeof *source);

    (void)count;
    work.comparison = df_calloc(work.claims.count + 1, sizeof(struct df_comparison *));
    for (size_t i = 0; i < work.claims.count && status == DF_OK; i++)
        if (first_of_spec(&work, i) == i)
            status = compare_spec(&work, i, &source[i], &err);
    if (status == DF_OK)
        (work.options->json ? print_json : print_text)(&work);
    for (size_t i = 0; i < work.claims.count; i++) {
        df_comparison_free(work.comparison[i]);
        df_compare_source_close(&source[i]);
    }
    free(work.comparison);
    free(source);
    df_claims_release(&work.claims);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_claims = {
    .name = "claims",
    .summary = "what a paper claims: reproduced, refuted, or not resolved",
    .usage = "defeat claims FILE [--json] [--beyond-teachers]",
    .example = "defeat claims ablations/claims.json --out results/published",
    .notes = "FILE lists claims: two methods of a spec, which of them is better (or that neither is), from how many points on a difference "
             "counts, and the paper's own figure. The answer is an interval's of paired differences; the intervals of one spec hold all at "
             "once. A claim that is refuted is an answer, not a failure: the exit status is 0.",
    .options = options_table,
    .options_size = sizeof(struct claims_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
