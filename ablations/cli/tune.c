/* `defeat tune SPEC`: the same number of trials for the weights of every method, judged on the tuning split (ablations/tune.h). Trials are cells of
 * a spec of their own, which a sweep runs: what is done stays done, and the same command goes on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/table_source.h"
#include "ablations/run/store.h"
#include "ablations/spec_check.h"
#include "ablations/sweep.h"
#include "ablations/tune.h"
#include "core/base/file.h"
#include "core/base/shell.h"
#include "plots/plot.h"
#include "results/tuning.h"

#define FIRST_SEED 100 /* of the trials: none of those that specs commonly have */

struct tune_options {
    struct df_common_options common;
    int64_t jobs, trials;
    double span;
    char limit[DF_STRING_MAX], output[DF_STRING_MAX];
    bool json;
};
#define O struct tune_options
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(O, common),
    { "jobs", DF_INT_OPTION(O, jobs), .max = 1024, .help = "worker processes, one thread each; 0: one per core" },
    { "trials", DF_INT_OPTION(O, trials), .standard = 16, .min = 2, .max = DF_TUNE_TRIALS_MAX,
      .help = "of a round, for each method that has weights" },
    { "span", DF_REAL_OPTION(O, span), .standard = 32, .min = 1.1, .max = 1e6,
      .help = "factor to either side of a weight's start within which it is tried" },
    { "for", DF_STRING_OPTION(O, limit), .text = "", .help = "stop after so long (90s, 15m, 2h, 1d); the same command goes on" },
    { "output", DF_STRING_OPTION(O, output), .text = "", .help = "file of the chosen spec; none: beside the trials" },
    { "json", DF_BOOL_OPTION(O, json), .help = "one JSON object" },
    { 0 }
};
#undef O

struct tune {
    const struct tune_options *options;
    struct df_common_options common; /* for the trials, in whose file stands what --set and --seeds say */
    struct df_spec *spec;
    struct df_tuning *tuning;
    char *folder, *trials, *chosen;
    double end; /* on df_now's clock */
};

/* ---- seeds ------------------------------------------------------------------------------------------------------------------------- */

static bool is_own(const struct df_spec *spec, int64_t seed)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(spec->source, "seeds"))
    {
        if (item->valuedouble == (double)seed)
            return true;
    }
    return false;
}

/* Those that were asked for, else one that the spec does not have: weights that suit its own seeds would flatter their rows. */
static df_status begin(struct tune *t, struct df_error *err)
{
    const struct df_spec *spec = t->spec;
    const bool asked = t->options->common.seeds[0] != 0;
    const size_t count = asked ? spec->seeds : 1;
    int64_t *seed = df_calloc(count, sizeof *seed);

    seed[0] = FIRST_SEED;
    while (!asked && is_own(spec, seed[0]))
        seed[0]++;
    for (size_t s = 0; asked && s < count; s++) {
        seed[s] = spec->cell[s]->seed;
        if (is_own(spec, seed[s]))
            df_warn("seed %lld is one of the spec's own: its rows will not be independent of the choice", (long long)seed[s]);
    }
    const struct df_tuning_plan plan = { (size_t)t->options->trials, t->options->span, seed, count };
    const df_status status = df_tuning_new(spec, plan, &t->tuning, err);

    free(seed);
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------- */

/* Makes a spec and writes it to the path. */
static df_status write_spec(const struct tune *t, const char *path, cJSON *make(const struct df_tuning *tuning, const char *folder),
                            struct df_error *err)
{
    char *own = df_path_folder(t->spec->path), *to = df_path_folder(path), *seen = NULL;
    df_status status = df_folder_make(to, err);

    if (status == DF_OK)
        status = df_path_from(own, to, &seen, err);
    if (status == DF_OK) {
        cJSON *root = make(t->tuning, seen);
        struct df_text file = DF_TEXT_INIT;

        df_json_pretty(root, &file);
        status = df_file_write(path, file.data, file.length, err);
        df_text_release(&file);
        cJSON_Delete(root);
    }
    free(seen);
    free(to);
    free(own);
    return status;
}

/* ---- a round ----------------------------------------------------------------------------------------------------------------------- */

static df_status sweep_trials(struct tune *t, const struct df_spec *trials, struct df_error *err)
{
    struct df_sweep_options with = { .jobs = (size_t)t->options->jobs, .tuning = true, .program = "/proc/self/exe" };
    struct df_sweep_summary summary;
    const char **pass;

    if (t->options->limit[0])
        with.seconds = fmax(t->end - df_now(), 1e-3);
    df_common_run(&t->common, &with.run);
    pass = df_common_pass(&t->common);
    with.pass = pass;
    df_status status = df_sweep(trials, &with, &summary, err);

    free(pass);
    if (status == DF_OK && summary.failed) {
        struct df_text command = DF_TEXT_INIT;

        df_common_command(&t->common, "status", trials->path, &command);
        df_warn("%zu runs failed: their trials have no score [why: %s]", summary.failed, df_text_get(&command));
        df_text_release(&command);
    }
    if (status == DF_OK && summary.left)
        status = df_fail(err, DF_ERR_INTERRUPTED, "%zu runs are somebody else's at the moment [wait, then the same command]", summary.left);
    return status;
}

static df_status judge(struct tune *t, struct df_error *err)
{
    const struct df_which_rows which = { .semantics = DF_SEMANTICS };
    struct df_table_source source;
    struct df_table *table;

    DF_TRY(df_table_source_open(&t->common, &which, t->trials, "", &source, err));
    if (source.request.elsewhere)
        df_warn("rows of another GPU, driver or build left out: %zu", source.request.elsewhere);
    df_journal_judge_by_curve(source.journal, "tune");

    df_status status = df_table_build(source.journal, &source.request, &table, err);

    if (status == DF_OK) {
        status = df_tuning_judge(t->tuning, table, err);
        df_table_free(table);
    }
    df_table_source_close(&source);
    return status == DF_OK ? status : df_fail_in(err, status, "%s", t->trials);
}

/* Its trials, whether they were run before or not. */
static df_status run_round(struct tune *t, struct df_error *err)
{
    struct df_spec_checked checked;
    struct df_spec *trials;

    DF_TRY(write_spec(t, t->trials, df_tuning_trials, err));
    DF_TRY(df_common_spec(&t->common, t->trials, &trials, err));

    df_status status = t->tuning->rounds == 1 ? df_spec_check(trials, t->options->common.on_bad_image == 1, &checked, err) : DF_OK;

    if (status == DF_OK)
        status = sweep_trials(t, trials, err);
    df_spec_free(trials);
    return status == DF_OK ? judge(t, err) : status;
}

static void tell_edges(const struct df_tuning *tuning, const char *what, FILE *to)
{
    for (size_t m = 0; m < tuning->methods; m++)
        for (size_t w = 0; w < tuning->method[m].weights; w++) {
            const struct df_tune_method *method = &tuning->method[m];
            char value[32];

            if (method->weight[w].edge)
                fprintf(to, "%s: %s=%s is at the edge of what was tried%s\n", method->label, method->weight[w].name,
                        df_format_real(value, method->trial[method->best].value[w]), what);
        }
}

static df_status run_rounds(struct tune *t, struct df_error *err)
{
    DF_TRY(run_round(t, err));
    while (t->tuning->rounds < DF_TUNE_ROUNDS && df_tuning_at_edge(t->tuning)) {
        tell_edges(t->tuning, ": every method gets as many trials again", stderr);
        DF_TRY(df_tuning_extend(t->tuning, err));
        DF_TRY(run_round(t, err));
    }
    return write_spec(t, t->chosen, df_tuning_chosen, err);
}

/* ---- the plot ---------------------------------------------------------------------------------------------------------------------- */

static void add_panels(const struct df_tune_method *method, struct df_plot_weight *panel)
{
    for (size_t w = 0; w < method->weights; w++) {
        struct df_plot_trial *trial = df_calloc(method->trials, sizeof *trial);

        for (size_t i = 0; i < method->trials; i++)
            trial[i] = (struct df_plot_trial){ method->trial[i].value[w], method->trial[i].score };
        panel[w] = (struct df_plot_weight){ method->label, method->weight[w].name, method->trials, trial, 0, method->best };
    }
}

/* Without gnuplot the weights are chosen nevertheless: a warning says that there is no picture. */
static void plot(const struct tune *t)
{
    const struct df_tuning *tuning = t->tuning;
    struct df_plot_weight *panel = df_calloc(tuning->methods * DF_SPEC_AXES_MAX, sizeof *panel);
    struct df_sensitivity what = { .title = t->spec->title, .weight = panel };
    struct df_error err;
    char *folder = df_store_plots(t->folder);

    for (size_t m = 0; m < tuning->methods; m++) {
        const struct df_tune_method *method = &tuning->method[m];

        if (!method->weights && !what.reference) {
            what.reference = method->label;
            what.reference_score = method->trial[method->best].score;
        }
        add_panels(method, panel + what.weights);
        what.weights += method->weights;
    }
    if (df_plot_sensitivity(&what, folder, "sensitivity", &err) != DF_OK)
        df_warn("no plot: %s", err.text);
    for (size_t w = 0; w < what.weights; w++)
        free((void *)(uintptr_t)panel[w].trial);
    free(panel);
    free(folder);
}

/* ---- what is printed --------------------------------------------------------------------------------------------------------------- */

enum { COLUMNS = 6 };

static void add_row(const struct df_tune_method *method, struct df_text cell[COLUMNS])
{
    size_t failed = 0;
    char value[32];

    for (size_t t = 0; t < method->trials; t++)
        failed += isnan(method->trial[t].score) != 0;
    df_text_add(&cell[0], method->label);
    for (size_t w = 0; w < method->weights; w++)
        df_text_addf(&cell[1], "%s%s=%s", w ? " " : "", method->weight[w].name,
                     df_format_real(value, method->trial[method->best].value[w]));
    df_text_addf(&cell[2], "%.2f", method->trial[method->best].score);
    df_text_addf(&cell[3], isnan(method->trial[0].score) ? "-" : "%.2f", method->trial[0].score);
    df_text_addf(&cell[4], "%zu", method->trials);
    df_text_addf(&cell[5], "%zu", failed);
}

static void print_table(const struct df_tuning *tuning)
{
    static const char *const heading[COLUMNS] = { "method", "chosen", "mAP", "at the start", "trials", "failed" };
    static const bool number[COLUMNS] = { false, false, true, true, true, true };
    const size_t rows = 1 + tuning->methods;
    struct df_text *cell = df_calloc(rows * COLUMNS, sizeof *cell), out = DF_TEXT_INIT;
    const struct df_grid grid = { rows, COLUMNS, cell, number, "", "", "" };

    for (size_t c = 0; c < COLUMNS; c++)
        df_text_add(&cell[c], heading[c]);
    for (size_t m = 0; m < tuning->methods; m++)
        add_row(&tuning->method[m], cell + (m + 1) * COLUMNS);
    df_grid_print(&grid, DF_TABLE_TEXT, &out);
    fputs(df_text_get(&out), stdout);
    for (size_t i = 0; i < rows * COLUMNS; i++)
        df_text_release(&cell[i]);
    df_text_release(&out);
    free(cell);
}

static void print_text(const struct tune *t)
{
    const struct df_tuning *tuning = t->tuning;
    struct df_text next = DF_TEXT_INIT;

    printf("%s: weights chosen on the tuning split, %zu trials for every method that has some, with %zu seed%s: %s\n\n", t->spec->name,
           tuning->trials * tuning->rounds, tuning->seeds, tuning->seeds > 1 ? "s" : "", t->chosen);
    print_table(tuning);
    tell_edges(tuning, "", stdout);
    df_common_command(&t->common, "sweep", t->chosen, &next);
    printf("next: %s\n", next.data);
    df_text_release(&next);
}

static void print_json(const struct tune *t)
{
    cJSON *report = df_tuning_report(t->tuning);
    struct df_text text = DF_TEXT_INIT;

    cJSON_AddStringToObject(report, "file", t->chosen);
    cJSON_AddStringToObject(report, "trials_file", t->trials);
    df_json_canonical(report, &text);
    puts(text.data);
    df_text_release(&text);
    cJSON_Delete(report);
}

/* ---- the command ------------------------------------------------------------------------------------------------------------------- */

static df_status tune(struct tune *t, const char *path, struct df_error *err)
{
    double seconds = 0;
    char name[sizeof t->spec->name + 8];

    if (t->options->limit[0] && !df_parse_seconds(t->options->limit, &seconds))
        return df_fail(err, DF_ERR_USAGE, "--for '%s': expected a time such as 90s, 15m, 2h or 1d", t->options->limit);
    t->end = df_now() + seconds;
    t->common.set.count = 0;
    t->common.seeds[0] = 0;
    DF_TRY(df_common_spec(&t->options->common, path, &t->spec, err));
    snprintf(name, sizeof name, "%s-tune", t->spec->name);
    t->folder = df_store_spec_folder(t->options->common.out, name);
    t->trials = df_store_trials(t->folder);
    t->chosen = t->options->output[0] ? df_strdup(t->options->output) : df_store_tuned(t->folder, t->spec->name);
    DF_TRY(begin(t, err));
    DF_TRY(run_rounds(t, err));
    plot(t);
    (t->options->json ? print_json : print_text)(t);
    return DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct tune_options *options = values;
    struct tune t = { .options = options, .common = options->common };
    struct df_error err = { 0 };

    (void)count;
    const df_status status = tune(&t, arguments[0], &err);

    df_tuning_free(t.tuning);
    df_spec_free(t.spec);
    free(t.folder);
    free(t.trials);
    free(t.chosen);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_tune = {
    .name = "tune",
    .summary = "choose the weights of every method by the same number of trials on the tuning split",
    .usage = "defeat tune SPEC [--trials N] [--span F] [--seeds 100,101] [--for 2h] [--output FILE] [--json]",
    .example = "defeat tune ablations/specs/league-retinanet.json --trials 16 --for 2h",
    .notes =
        "What is tuned: the weights that distillers call tunable, where they are not 0; the search starts at the spec's values. Trials are "
        "points of a Sobol sequence over the weights' logarithms, the first of them the start. Where the best value of a weight is the "
        "smallest or largest tried, every method gets as many trials again, around that value. Validation plays no part. --seeds are "
        "the trials' (none: one that the spec does not have). Rows: <out>/<spec>-tune, with trials.json, their spec, which sweep, "
        "status and table --tune read; the chosen spec is called <spec>-tuned; plots/sensitivity.svg shows mAP by weight.",
    .options = options_table,
    .options_size = sizeof(struct tune_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
