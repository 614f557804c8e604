/* `defeat compare`: is one method better than another, by how much, how sure: a sentence first, then the numbers behind it. */
#include "ablations/cli/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/compare_images.h"
#include "ablations/cli/result_table.h"
#include "core/base/shell.h"
#include "results/inference.h"

static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct df_compare_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct df_compare_options, which),
    { "metric", DF_STRING_OPTION(struct df_compare_options, metric), .text = "AP",
      .help = "the score that is compared: AP, AP50, ..., of a class: AP.disk, or what errors cost: TIDE.Bkg (less is better)" },
    { "question", DF_STRING_OPTION(struct df_compare_options, question), .text = "",
      .help = "of rows that explain, marker or attack made: those that answer this question" },
    { "within", DF_REAL_OPTION(struct df_compare_options, within), .max = 100, .when = "resolve=0",
      .help = "points; a difference that is smaller counts as none: asks for equivalence too; 0: not asked" },
    { "beyond_teachers", DF_BOOL_OPTION(struct df_compare_options, beyond), .when = "resolve=0",
      .help = "one mean per teacher, for a claim beyond these teachers" },
    { "resolve", DF_REAL_OPTION(struct df_compare_options, resolve), .max = 100,
      .help = "points; run more seeds until a difference, or equivalence within so many points, is decided; 0: run nothing" },
    { "max_seeds", DF_INT_OPTION(struct df_compare_options, max_seeds), .standard = 20, .min = DF_LOOK_FEWEST, .max = DF_LOOKS_MOST,
      .when = "resolve!=0",
      .help = "seeds at most, those that are there included; part of the plan: it stays what it was at the first look" },
    { "jobs", DF_INT_OPTION(struct df_compare_options, jobs), .max = 1024, .when = "resolve!=0",
      .help = "worker processes, one thread each; 0: one per core" },
    { "images", DF_INT_OPTION(struct df_compare_options, images), .max = 100000, .when = "resolve=0",
      .help = "draws of the validation images, with repetition, that say how far the difference depends on them; 0: none" },
    { "json", DF_BOOL_OPTION(struct df_compare_options, json), .help = "one JSON object" },
    { 0 },
};

void df_compare_score_split(const char *text, struct df_compare_score *out)
{
    const char *dot = df_score_class_dot(text);

    snprintf(out->metric, sizeof out->metric, "%s", text);
    out->class = dot ? out->metric + (dot - text) + 1 : "";
    if (dot)
        out->metric[dot - text] = 0;
}

struct df_comparison_request df_compare_request(const struct df_compare_options *options, const struct df_compare_score *score,
                                                size_t comparisons)
{
    return (struct df_comparison_request){ .metric = score->metric,
                                           .class = score->class,
                                           .margin = options->resolve > 0 ? options->resolve : options->within,
                                           .confidence = df_simultaneous(0.95, comparisons),
                                           .comparisons = comparisons,
                                           .beyond = options->beyond };
}

/* ---- what is compared ------------------------------------------------------------------------------------------------------------- */

struct sides {
    struct df_compare_source source[2];
    size_t sources; /* 1: both sides are of it */
    size_t count;   /* of comparisons */
    struct df_compare_method *a, *b;
};

static void sides_release(struct sides *sides)
{
    for (size_t i = 0; i < sides->count; i++) {
        df_compare_method_release(&sides->a[i]);
        df_compare_method_release(&sides->b[i]);
    }
    for (size_t i = 0; i < sides->sources; i++)
        df_compare_source_close(&sides->source[i]);
    free(sides->a);
    free(sides->b);
}

/* Where both sides are called the same, each says where it is from. */
static void name_sources(struct sides *sides)
{
    for (size_t i = 0; i < sides->count && sides->sources == 2; i++) {
        struct df_compare_method *const side[] = { &sides->a[i], &sides->b[i] };
        const bool same = strcmp(side[0]->name, side[1]->name) == 0;

        for (int k = 0; k < 2 && same; k++) {
            struct df_text name = DF_TEXT_INIT;

            df_text_addf(&name, "%s of %s", side[k]->name, sides->source[k].path);
            free(side[k]->name);
            side[k]->name = name.data;
        }
    }
}

/* Every method that both have. */
static df_status all_methods(struct sides *sides, struct df_error *err)
{
    const struct df_table_request *a = &sides->source[0].rows.request, *b = &sides->source[1].rows.request;

    for (size_t l = 0; l < a->lines; l++)
        for (size_t m = 0; m < b->lines; m++) {
            if (strcmp(a->line[l].label, b->line[m].label) != 0 || strcmp(a->line[l].axes, b->line[m].axes) != 0)
                continue;
            sides->a = df_realloc(sides->a, (sides->count + 1) * sizeof *sides->a);
            sides->b = df_realloc(sides->b, (sides->count + 1) * sizeof *sides->b);
            df_compare_method_of_line(&sides->source[0], l, &sides->a[sides->count]);
            df_compare_method_of_line(&sides->source[1], m, &sides->b[sides->count]);
            df_compare_methods_match(&sides->a[sides->count], &sides->b[sides->count]);
            sides->count++;
        }
    return sides->count ? DF_OK
                        : df_fail(err, DF_ERR_USAGE, "'%s' and '%s' have no method in common [name one of each: SOURCE:METHOD]",
                                  sides->source[0].path, sides->source[1].path);
}

static df_status one_method(struct sides *sides, const char *a, const char *b, struct df_error *err)
{
    sides->a = df_calloc(1, sizeof *sides->a);
    sides->b = df_calloc(1, sizeof *sides->b);
    DF_TRY(df_compare_method_find(&sides->source[0], a, sides->a, err));
    sides->count = 1;
    DF_TRY(df_compare_method_find(&sides->source[sides->sources - 1], b, sides->b, err));
    df_compare_methods_match(sides->a, sides->b);
    return DF_OK;
}

static df_status open_source(const struct df_compare_options *options, const char *path, struct sides *sides, struct df_error *err)
{
    DF_TRY(df_compare_source_open(&options->common, &options->which, path, &sides->source[sides->sources], err));
    sides->sources++;
    return DF_OK;
}

static df_status keep_question(struct sides *sides, const char *asked, struct df_error *err)
{
    for (size_t i = 0; i < sides->count; i++)
        DF_TRY(df_compare_methods_question(&sides->a[i], &sides->b[i], asked, err));
    return DF_OK;
}

/* SOURCE A B, or SOURCE[:A] SOURCE[:B]. */
static df_status find_sides(const struct df_compare_options *options, int count, char *const *word, struct sides *sides,
                            struct df_error *err)
{
    char *path[2] = { NULL, NULL }, *method[2] = { NULL, NULL };
    df_status status = DF_OK;

    if (count == 3) {
        DF_TRY(open_source(options, word[0], sides, err));
        DF_TRY(one_method(sides, word[1], word[2], err));
        return keep_question(sides, options->question, err);
    }
    for (int k = 0; k < 2 && status == DF_OK; k++)
        status = df_compare_split(word[k], &path[k], &method[k], err);
    if (status == DF_OK && !method[0] != !method[1])
        status = df_fail(err, DF_ERR_USAGE, "'%s' names a method, '%s' none [both, or neither: then every method that both have]",
                         method[0] ? word[0] : word[1], method[0] ? word[1] : word[0]);
    for (int k = 0; k < 2 && status == DF_OK; k++)
        status = open_source(options, path[k], sides, err);
    if (status == DF_OK)
        status = method[0] ? one_method(sides, method[0], method[1], err) : all_methods(sides, err);
    if (status == DF_OK)
        status = keep_question(sides, options->question, err);
    for (int k = 0; k < 2; k++) {
        free(path[k]);
        free(method[k]);
    }
    return status;
}

/* ---- the score -------------------------------------------------------------------------------------------------------------------- */

struct score_names {
    size_t count;
    char **name;
};

static const char *name_at(const void *table, size_t i)
{
    const struct score_names *names = table;

    return i < names->count ? names->name[i] : NULL;
}

/* Every score that a row of the side has, once. */
static void add_names(const struct df_compare_method *side, struct score_names *names)
{
    for (size_t i = 0; i < side->runs; i++)
        for (size_t k = 0; side->run[i].row && k < side->run[i].row->scores.count; k++) {
            const struct df_score *score = &side->run[i].row->scores.score[k];
            struct df_text name = DF_TEXT_INIT;
            size_t at = 0;

            df_text_addf(&name, "%s%s%s", score->metric, score->class[0] ? "." : "", score->class);
            while (at < names->count && strcmp(names->name[at], name.data) != 0)
                at++;
            if (at == names->count) {
                names->name = df_realloc(names->name, (names->count + 1) * sizeof *names->name);
                names->name[names->count++] = df_strdup(name.data);
            }
            df_text_release(&name);
        }
}

/* A score that no row has is a slip of the pen; no rows at all are told otherwise. */
static df_status check_score(const struct sides *sides, const char *metric, struct df_error *err)
{
    struct score_names names = { 0 };
    df_status status = DF_OK;

    for (size_t i = 0; i < sides->count; i++) {
        add_names(&sides->a[i], &names);
        add_names(&sides->b[i], &names);
    }
    if (names.count && df_find_name(name_at, &names, metric, "metric", NULL, err) == SIZE_MAX)
        status = DF_ERR_USAGE;
    for (size_t i = 0; i < names.count; i++)
        free(names.name[i]);
    free(names.name);
    return status;
}

/* ---- what is told ----------------------------------------------------------------------------------------------------------------- */

static cJSON *comparisons_json(struct df_comparison *const *comparison, size_t count, const struct df_images_interval *images)
{
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "comparisons");

    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, df_comparison_json(comparison[i]));
    if (images->draws) {
        cJSON *over = cJSON_AddObjectToObject(root, "images");

        cJSON_AddNumberToObject(over, "draws", (double)images->draws);
        cJSON_AddNumberToObject(over, "images", (double)images->images);
        cJSON_AddNumberToObject(over, "low", images->low);
        cJSON_AddNumberToObject(over, "high", images->high);
    }
    return root;
}

static void print_json(cJSON *root)
{
    struct df_text text = DF_TEXT_INIT;

    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static void print_text(struct df_comparison *const *comparison, size_t count)
{
    struct df_text text = DF_TEXT_INIT;

    for (size_t i = 0; i < count; i++) {
        df_comparison_sentence(comparison[i], &text);
        df_text_add(&text, "\n\n");
        df_comparison_details(comparison[i], &text);
        df_text_add(&text, i + 1 < count ? "\n" : "");
    }
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

/* More seeds, as a command that works when pasted: for a spec's methods that one more seed may decide. */
static void print_next(const struct df_compare_options *options, char *const *word, const struct df_comparison *c)
{
    struct df_text command = DF_TEXT_INIT;
    char number[32];

    df_common_command(&options->common, "compare", word[0], &command);
    df_shell_add(&command, word[1]);
    df_shell_add(&command, word[2]);
    if (strcmp(options->metric, "AP") != 0) {
        df_text_add(&command, " --metric");
        df_shell_add(&command, options->metric);
    }
    if (c->verdict == DF_UNDECIDED)
        printf("next: %s --resolve %s\n", df_text_get(&command), df_format_real(number, options->within > 0 ? options->within : 0.5));
    df_text_release(&command);
}

static void print_images(const struct df_images_interval *images)
{
    if (images->draws)
        printf("images: %.2f to %.2f in 95 %% of %zu draws of the %zu validation images, with repetition: for these trained students.\n",
               images->low, images->high, images->draws, images->images);
}

static df_status draw_images(const struct df_compare_options *options, const struct sides *sides, const struct df_comparison *c,
                             struct df_images_interval *out, struct df_error *err)
{
    *out = (struct df_images_interval){ 0 };
    if (!options->images || !c->pairs)
        return DF_OK;
    if (sides->sources != 1 || !sides->source[0].rows.spec)
        return df_fail(err, DF_ERR_USAGE, "--images: only a spec says which images and whose detections [defeat compare SPEC A B]");
    return df_compare_images(sides->source[0].rows.spec, options->common.out, c, (size_t)options->images, out, err);
}

static void say_elsewhere(const struct sides *sides)
{
    for (size_t i = 0; i < sides->sources; i++)
        if (sides->source[i].rows.request.elsewhere)
            df_warn("%s: rows of another GPU, driver or build left out: %zu (--environment chooses)", sides->source[i].path,
                    sides->source[i].rows.request.elsewhere);
}

static struct df_comparison **compare_sides(const struct df_compare_options *options, const struct sides *sides,
                                            const struct df_compare_score *score)
{
    const struct df_comparison_request request = df_compare_request(options, score, sides->count);
    struct df_comparison **comparison = df_calloc(sides->count + 1, sizeof(struct df_comparison *));

    for (size_t i = 0; i < sides->count; i++) {
        const struct df_compare_side a = df_compare_method_side(&sides->a[i]), b = df_compare_method_side(&sides->b[i]);

        comparison[i] = df_compare(&a, &b, &request);
    }
    df_comparisons_adjust(comparison, sides->count);
    return comparison;
}

static void print(const struct df_compare_options *options, const struct sides *sides, struct df_comparison *const *comparison,
                  const struct df_images_interval *images, char *const *word)
{
    if (options->json) {
        print_json(comparisons_json(comparison, sides->count, images));
        return;
    }
    print_text(comparison, sides->count);
    print_images(images);
    if (sides->sources == 1 && sides->source[0].rows.spec && !options->beyond && options->which.semantics == DF_SEMANTICS)
        print_next(options, word, comparison[0]);
}

static int compare(const struct df_compare_options *options, int count, char *const *word)
{
    struct df_comparison **comparison = NULL;
    struct df_images_interval images;
    struct sides sides = { 0 };
    struct df_compare_score score;
    struct df_error err = { 0 };
    df_status status = find_sides(options, count, word, &sides, &err);

    df_compare_score_split(options->metric, &score);
    for (size_t i = 0; i < sides.sources && status == DF_OK; i++)
        status = df_result_scores_of(&options->common, score.metric, &sides.source[i].rows, &err);
    if (status == DF_OK)
        status = check_score(&sides, options->metric, &err);
    if (status == DF_OK) {
        say_elsewhere(&sides);
        name_sources(&sides);
        comparison = compare_sides(options, &sides, &score);
        status = draw_images(options, &sides, comparison[0], &images, &err);
        if (status == DF_OK)
            print(options, &sides, comparison, &images, word);
        for (size_t i = 0; i < sides.count; i++)
            df_comparison_free(comparison[i]);
        free(comparison);
    }
    sides_release(&sides);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

/* ---- with more seeds -------------------------------------------------------------------------------------------------------------- */

static void print_looks(const struct df_resolved *r)
{
    printf("looks (level spent of 0.05, bound of t, interval):\n");
    for (size_t k = 0; k < r->looks; k++)
        printf("  %3zu  %.4f  %6.2f  %7.2f to %.2f  %s\n", r->look[k].units, r->look[k].spent, r->look[k].bound, r->look[k].interval.low,
               r->look[k].interval.high, df_verdict_names[r->look[k].verdict]);
    printf("journal of the looks: %s\n", r->file);
}

static cJSON *resolved_json(const struct df_resolved *r)
{
    cJSON *root = df_comparison_json(r->comparison), *list = cJSON_AddArrayToObject(root, "looks");

    for (size_t k = 0; k < r->looks; k++) {
        cJSON *look = cJSON_CreateObject();

        cJSON_AddNumberToObject(look, "units", (double)r->look[k].units);
        cJSON_AddNumberToObject(look, "spent", r->look[k].spent);
        cJSON_AddNumberToObject(look, "bound", r->look[k].bound);
        cJSON_AddStringToObject(look, "verdict", df_verdict_names[r->look[k].verdict]);
        cJSON_AddItemToArray(list, look);
    }
    cJSON_AddNumberToObject(root, "most", (double)r->most);
    cJSON_AddStringToObject(root, "journal", r->file);
    return root;
}

static int resolve(const struct df_compare_options *options, int count, char *const *word)
{
    struct df_resolved resolved;
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };

    if (count != 3)
        df_fail(&err, DF_ERR_USAGE, "--resolve runs seeds of one spec [defeat compare SPEC A B --resolve %g]", options->resolve);
    if (count != 3 || df_compare_resolve(options, word[0], word[1], word[2], &resolved, &err) != DF_OK)
        return df_command_fail(&err);
    if (options->json) {
        print_json(resolved_json(&resolved));
    } else {
        df_comparison_sentence(resolved.comparison, &text);
        puts(df_text_get(&text));
        if (resolved.comparison->verdict == DF_UNDECIDED)
            printf("All %zu that were planned are there: that the difference is neither told from 0 nor held within %g is the answer.\n",
                   resolved.most, options->resolve);
        puts("");
        print_looks(&resolved);
    }
    const bool decided = resolved.comparison->verdict != DF_UNDECIDED;

    df_text_release(&text);
    df_resolved_release(&resolved);
    return decided ? 0 : 1;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct df_compare_options *options = values;

    return options->resolve > 0 ? resolve(options, count, arguments) : compare(options, count, arguments);
}

const struct df_command df_command_compare = {
    .name = "compare",
    .summary = "is one method better than another, by how much, how sure",
    .usage = "defeat compare SPEC|FOLDER A B | SOURCE[:A] SOURCE[:B] [--metric AP50] [--within D] [--images N] [--resolve D [--max-seeds "
             "N]] [--json]",
    .example = "defeat compare results/published/reproduce-table 'DeFeat neck' 'full feature' --within 2",
    .notes =
        "A and B are labels of methods, labels with their options as the table shows them, or run ids. SOURCE is a spec, whose rows are "
        "under --out, or a "
        "folder of rows, such as another machine's out/SPEC. Two sources without methods are compared method by method; then the intervals "
        "hold all at once.\n"
        "A pair is a seed that both have finished, under one teacher's weights. The verdict is the 95 % interval's: all above 0: better; "
        "all "
        "below: worse; within --within D on both sides: equivalent.\n"
        "Looking again after every further seed and stopping when it pleases makes errors likely. --resolve D does it with wider "
        "intervals, "
        "which together err with 5 % at most: it looks, runs seeds of both methods, looks again, until the difference is told from 0 or "
        "held within D, or --max-seeds are there (exit status 1). What was looked at is kept in out/SPEC/looks, and cannot be taken back. "
        "'defeat power' says how many seeds that may take.",
    .options = options_table,
    .options_size = sizeof(struct df_compare_options),
    .arguments_min = 2,
    .arguments_max = 3,
    .run = run,
};
