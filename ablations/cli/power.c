/* `defeat power`: how many seeds a difference takes, before they are run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/compare.h"
#include "ablations/cli/result_table.h"
#include "results/inference.h"

struct power_options {
    struct df_common_options common;
    struct df_which_rows which;
    char metric[DF_STRING_MAX], question[DF_STRING_MAX];
    double difference, sd, power;
    int64_t experiments;
    bool json;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct power_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct power_options, which),
    { "metric", DF_STRING_OPTION(struct power_options, metric), .text = "AP", .help = "the score whose spread is asked of the rows" },
    { "question", DF_STRING_OPTION(struct power_options, question), .text = "",
      .help = "of rows that explain, marker or attack made: those that answer this question" },
    { "difference", DF_REAL_OPTION(struct power_options, difference), .standard = 0.5, .min = 0.001, .max = 100,
      .help = "points: the smallest that matters" },
    { "sd", DF_REAL_OPTION(struct power_options, sd), .max = 100,
      .help = "points: standard deviation of one pair's difference; 0: that of the rows of SPEC A B" },
    { "power", DF_REAL_OPTION(struct power_options, power), .standard = 0.8, .min = 0.05, .max = 0.99, .help = "chance to be had" },
    { "experiments", DF_INT_OPTION(struct power_options, experiments), .max = 1000000,
      .help = "made-up experiments of each kind that show the error rates of 'compare --resolve'; 0: none" },
    { "json", DF_BOOL_OPTION(struct power_options, json), .help = "one JSON object" },
    { 0 },
};
enum { PAIRS_MOST = 1000 };

struct need {
    size_t find, equal, looks;           /* pairs; 0: more than is counted */
    double pairs_if_there, pairs_if_not; /* that the looks take on average */
};

static struct need need_of(const struct power_options *options, double sd)
{
    struct df_looks_plan plan = { .margin = options->difference, .level = 0.05 };
    struct df_experiments e = { .mean = options->difference, .sd = sd, .first = DF_LOOK_FEWEST, .count = 2000, .seed = 1 };
    const double effect = options->difference / sd;
    struct need need = { .find = df_pairs_to_find(effect, 0.05, options->power, PAIRS_MOST),
                         .equal = df_pairs_to_equal(effect, 0.025, options->power, PAIRS_MOST),
                         .looks = df_looks_needed(&plan, sd, DF_LOOK_FEWEST, options->power) };

    need.pairs_if_there = need.pairs_if_not = NAN;
    if (!need.looks)
        return need;
    plan.most = need.looks;
    need.pairs_if_there = df_looks_try(&plan, &e).pairs;
    e.mean = 0;
    need.pairs_if_not = df_looks_try(&plan, &e).pairs;
    return need;
}

/* The rows' own spread. */
static df_status sd_of_rows(const struct power_options *options, char *const *word, double *sd, struct df_error *err)
{
    const struct df_compare_options asked = { .which = options->which };
    struct df_compare_source source;
    struct df_compare_method a = { 0 }, b = { 0 };
    struct df_compare_score score;

    df_compare_score_split(options->metric, &score);
    DF_TRY(df_compare_source_open(&options->common, &options->which, word[0], &source, err));
    df_status status = df_result_scores_of(&options->common, score.metric, &source.rows, err);

    if (status == DF_OK)
        status = df_compare_method_find(&source, word[1], &a, err);
    if (status == DF_OK)
        status = df_compare_method_find(&source, word[2], &b, err);
    if (status == DF_OK)
        status = df_compare_methods_question(&a, &b, options->question, err);
    if (status == DF_OK) {
        const struct df_comparison_request request = df_compare_request(&asked, &score, 1);
        const struct df_compare_side one = df_compare_method_side(&a), other = df_compare_method_side(&b);
        struct df_comparison *c = df_compare(&one, &other, &request);

        *sd = c->interval.sd;
        if (!(*sd > 0))
            status = df_fail(err, DF_ERR_NOT_FOUND, "'%s': %zu pairs of '%s' and '%s' in %s show no spread [give one: --sd]", word[0],
                             c->pairs, word[1], word[2], options->metric);
        df_comparison_free(c);
    }
    df_compare_method_release(&a);
    df_compare_method_release(&b);
    df_compare_source_close(&source);
    return status;
}

static void add_pairs(struct df_text *out, size_t pairs, size_t most)
{
    if (pairs)
        df_text_addf(out, "%zu pairs", pairs);
    else
        df_text_addf(out, "more than %zu pairs", most);
}

static void print_need(const struct power_options *options, double sd, const struct need *need)
{
    struct df_text text = DF_TEXT_INIT;
    const size_t shown[] = { 3, 5, 10, 20, 40 };

    add_pairs(&text, need->find, PAIRS_MOST);
    df_text_addf(&text,
                 " find a difference of %g points with a chance of %.3g %% (two-sided t at 5 %%, sd of a pair's difference %.3g points).\n",
                 options->difference, 100 * options->power, sd);
    add_pairs(&text, need->equal, PAIRS_MOST);
    df_text_addf(&text, " show one of 0 to be within %g with that chance (95 %% interval within it).\n", options->difference);
    df_text_addf(&text, "'compare --resolve %g' does both within ", options->difference);
    add_pairs(&text, need->looks, DF_LOOKS_MOST / 4);
    if (need->looks)
        df_text_addf(&text, " (--max-seeds %zu), stopping after %.1f on average where the difference is %g, after %.1f where it is 0",
                     need->looks, need->pairs_if_there, options->difference, need->pairs_if_not);
    df_text_addf(&text, ".\n\n%6s %12s %12s\n", "pairs", "find it", "show it is 0");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        df_text_addf(&text, "%6zu %10.1f %% %10.1f %%\n", shown[i], 100 * df_paired_power(options->difference / sd, shown[i], 0.05),
                     100 * df_equivalence_power(options->difference / sd, shown[i], 0.025));
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

/* ---- made-up experiments ---------------------------------------------------------------------------------------------------------- */

static const char *const tails_names[] = { [DF_TAILS_NORMAL] = "normal", [DF_TAILS_HEAVY] = "heavy" };

struct rates {
    struct df_experiments experiments;
    struct df_looks_plan plan;
    struct df_experiments_result result;
    double wrong;
};
enum { RATES = 2 * 4 * 2 };

/* Plans of 5 to 40 pairs, normal and heavy-tailed, a difference of 0 and one of what matters. */
static void try_rates(const struct power_options *options, double sd, struct rates rates[RATES])
{
    size_t n = 0;

    for (int tails = DF_TAILS_NORMAL; tails <= DF_TAILS_HEAVY; tails++)
        for (size_t most = 5; most <= 40; most *= 2)
            for (int there = 0; there < 2; there++) {
                struct rates *r = &rates[n++];

                r->plan = (struct df_looks_plan){ .margin = options->difference, .level = 0.05, .most = most };
                r->experiments = (struct df_experiments){ .mean = there ? options->difference : 0,
                                                          .sd = sd,
                                                          .tails = (enum df_tails)tails,
                                                          .first = DF_LOOK_FEWEST,
                                                          .count = (size_t)options->experiments,
                                                          .seed = 1 };
                r->result = df_looks_try(&r->plan, &r->experiments);
                r->wrong = r->result.verdict[DF_WORSE] + r->result.verdict[there ? DF_EQUIVALENT : DF_BETTER];
            }
}

static void print_rates(const struct rates rates[RATES])
{
    printf("\n%zu made-up experiments each (seed %llu), a look at %zu pairs and at every further one; heavy: t with 3 degrees.\n",
           rates->experiments.count, (unsigned long long)rates->experiments.seed, rates->experiments.first);
    printf("%-7s %5s %10s %10s %8s %8s %11s %8s %7s\n", "tails", "most", "difference", "undecided", "better", "worse", "equivalent",
           "wrong", "pairs");
    for (size_t i = 0; i < RATES; i++) {
        const double *share = rates[i].result.verdict;

        printf("%-7s %5zu %10g %8.2f %% %6.2f %% %6.2f %% %9.2f %% %6.2f %% %7.1f\n", tails_names[rates[i].experiments.tails],
               rates[i].plan.most, rates[i].experiments.mean, 100 * share[DF_UNDECIDED], 100 * share[DF_BETTER], 100 * share[DF_WORSE],
               100 * share[DF_EQUIVALENT], 100 * rates[i].wrong, rates[i].result.pairs);
    }
}

static void add_count(cJSON *object, const char *name, size_t pairs)
{
    if (pairs)
        cJSON_AddNumberToObject(object, name, (double)pairs);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_rates(const struct rates rates[RATES], cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "experiments");

    for (size_t i = 0; i < RATES; i++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "tails", tails_names[rates[i].experiments.tails]);
        cJSON_AddNumberToObject(one, "most", (double)rates[i].plan.most);
        cJSON_AddNumberToObject(one, "difference", rates[i].experiments.mean);
        cJSON_AddNumberToObject(one, "count", (double)rates[i].experiments.count);
        for (int v = DF_UNDECIDED; v <= DF_EQUIVALENT; v++)
            cJSON_AddNumberToObject(one, df_verdict_names[v], rates[i].result.verdict[v]);
        cJSON_AddNumberToObject(one, "wrong", rates[i].wrong);
        cJSON_AddNumberToObject(one, "pairs", rates[i].result.pairs);
        cJSON_AddItemToArray(list, one);
    }
}

static void print_json(const struct power_options *options, double sd, const struct need *need, const struct rates *rates)
{
    cJSON *root = cJSON_CreateObject();
    struct df_text text = DF_TEXT_INIT;

    cJSON_AddNumberToObject(root, "difference", options->difference);
    cJSON_AddNumberToObject(root, "sd", sd);
    cJSON_AddNumberToObject(root, "power", options->power);
    add_count(root, "pairs_to_find", need->find);
    add_count(root, "pairs_to_show_equivalence", need->equal);
    add_count(root, "pairs_to_resolve", need->looks);
    if (rates)
        add_rates(rates, root);
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct power_options *options = values;
    struct rates rates[RATES];
    struct df_error err = { 0 };
    double sd = options->sd;

    if (count != 0 && count != 3)
        df_fail(&err, DF_ERR_USAGE, "expected SPEC A B, or --sd alone");
    else if ((count == 3) == (sd > 0))
        df_fail(&err, DF_ERR_USAGE,
                sd > 0 ? "--sd and SPEC A B both say what the spread is [one of them]" : "no spread [--sd, or SPEC A B]");
    else if (count == 3)
        sd_of_rows(options, arguments, &sd, &err);
    if (err.status != DF_OK)
        return df_command_fail(&err);
    const struct need need = need_of(options, sd);

    if (options->experiments)
        try_rates(options, sd, rates);
    if (options->json) {
        print_json(options, sd, &need, options->experiments ? rates : NULL);
    } else {
        print_need(options, sd, &need);
        if (options->experiments)
            print_rates(rates);
    }
    return 0;
}

const struct df_command df_command_power = {
    .name = "power",
    .summary = "how many seeds a difference takes",
    .usage = "defeat power [SPEC A B] [--difference D] [--sd S] [--power P] [--experiments N] [--json]",
    .example = "defeat power --difference 0.5 --sd 0.6",
    .notes = "The spread is --sd, or that of the pairs that SPEC's (or a folder's) methods A and B have. The chances of single looks are "
             "exact for normal "
             "differences; those of 'compare --resolve' are counted over made-up experiments, the same on every call.",
    .options = options_table,
    .options_size = sizeof(struct power_options),
    .arguments_min = 0,
    .arguments_max = 3,
    .run = run,
};
