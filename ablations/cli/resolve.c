/* Looks and seeds in turn, until a difference is decided (results/looks.h). What a look sees is written before it is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/cli/compare.h"
#include "ablations/cli/result_table.h"
#include "ablations/run/store.h"
#include "ablations/sweep.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "results/look_journal.h"

/* What is resolved, and how far it is. */
struct resolving {
    struct df_compare_options options; /* their seeds grow from round to round */
    const char *spec, *a, *b;
    size_t before; /* units at the round before; SIZE_MAX: there was none */
    bool done;     /* there is nothing more to do */
};

/* The rows as they are now, and the comparison over them. */
struct view {
    struct df_compare_source source;
    struct df_compare_method a, b;
    struct df_comparison *comparison;
};

static void view_release(struct view *view)
{
    df_comparison_free(view->comparison);
    df_compare_method_release(&view->a);
    df_compare_method_release(&view->b);
    df_compare_source_close(&view->source);
}

static df_status view_open(const struct resolving *r, struct view *out, struct df_error *err)
{
    const struct df_compare_options *options = &r->options;
    struct df_compare_score score;

    *out = (struct view){ 0 };
    df_compare_score_split(options->metric, &score);
    df_status status = df_compare_source_open(&options->common, &options->which, r->spec, &out->source, err);

    if (status == DF_OK)
        status = df_result_scores_of(&options->common, score.metric, &out->source.rows, err);
    if (status == DF_OK)
        status = df_compare_method_find(&out->source, r->a, &out->a, err);
    if (status == DF_OK)
        status = df_compare_method_find(&out->source, r->b, &out->b, err);
    if (status != DF_OK) {
        view_release(out);
        return status;
    }
    const struct df_comparison_request request = df_compare_request(options, &score, 1);

    df_compare_methods_match(&out->a, &out->b);
    const struct df_compare_side one = df_compare_method_side(&out->a), other = df_compare_method_side(&out->b);

    out->comparison = df_compare(&one, &other, &request);
    return DF_OK;
}

/* ---- more seeds ------------------------------------------------------------------------------------------------------------------- */

/* "\Qlabel axes seed=\E": the beginning of what --only is matched with, for each line of both methods. */
static void add_only(const struct view *view, const struct df_compare_method *method, struct df_text *out)
{
    const struct df_table_request *request = &view->source.rows.request;

    for (size_t l = 0, found = 0; l < request->lines && found < method->lines; l++) {
        const struct df_table_line_request *line = &request->line[l];

        if (method->lines > 1 ? strcmp(line->label, request->line[method->line].label) != 0 : l != method->line)
            continue;
        df_text_add(out, out->length ? "|" : "^(?:");
        for (const char *c = line->label; *c; c++)
            df_text_addf(out, strchr("\\^$.|?*+()[]{}", *c) ? "\\%c" : "%c", *c);
        df_text_add(out, " ");
        for (const char *c = line->axes; *c; c++)
            df_text_addf(out, strchr("\\^$.|?*+()[]{}", *c) ? "\\%c" : "%c", *c);
        df_text_add(out, " seed=");
        found++;
    }
}

/* Those of the source and `more` behind the largest, as --seeds takes them. */
static df_status list_seeds(const struct view *view, size_t more, char out[DF_STRING_MAX], struct df_error *err)
{
    const struct df_table_line_request *line = &view->source.rows.request.line[view->a.line];
    struct df_text text = DF_TEXT_INIT;
    int64_t last = -1;

    for (size_t i = 0; i < line->runs; i++) {
        df_text_addf(&text, "%lld,", (long long)line->seed[i]);
        last = line->seed[i] > last ? line->seed[i] : last;
    }
    for (size_t i = 0; i < more; i++)
        df_text_addf(&text, "%lld,", (long long)++last);
    const bool fits = text.length < DF_STRING_MAX;

    snprintf(out, DF_STRING_MAX, "%s", df_text_get(&text));
    df_text_release(&text);
    return fits ? DF_OK : df_fail(err, DF_ERR_UNSUPPORTED, "more seeds than --seeds can name");
}

/* Runs what both methods have no row of, with `more` seeds beyond those that are there; *seeds: all of them. */
static df_status run_seeds(const struct resolving *r, const struct view *view, size_t more, char seeds[DF_STRING_MAX], struct df_error *err)
{
    struct df_common_options common = r->options.common;
    struct df_sweep_options sweep = { .jobs = (size_t)r->options.jobs, .program = "/proc/self/exe" };
    const char **pass = NULL;
    struct df_sweep_summary summary;
    struct df_text only = DF_TEXT_INIT;
    struct df_spec *spec = NULL;

    DF_TRY(list_seeds(view, more, common.seeds, err));
    df_status status = df_common_spec(&common, r->spec, &spec, err);

    add_only(view, &view->a, &only);
    add_only(view, &view->b, &only);
    df_text_add(&only, ")");
    sweep.only = only.data;
    sweep.pass = pass = df_common_pass(&common);
    df_common_run(&common, &sweep.run);
    if (status == DF_OK)
        status = df_sweep(spec, &sweep, &summary, err);
    if (status == DF_OK && summary.failed)
        df_warn("%zu runs failed: their seeds make no pair", summary.failed);
    memcpy(seeds, common.seeds, DF_STRING_MAX);
    free(pass);
    df_text_release(&only);
    df_spec_free(spec);
    return status;
}

/* ---- the looks -------------------------------------------------------------------------------------------------------------------- */

/* A comparison's file: named by what is compared. */
static char *looks_path(const struct view *view)
{
    const struct df_comparison *c = view->comparison;
    struct df_text text = DF_TEXT_INIT;
    char key[17];

    df_text_addf(&text, "%s\n%s\n%s\n%s", c->a, c->b, c->request.metric, c->request.class);
    df_hash_text(key, df_hash(text.data, text.length));
    df_text_release(&text);
    return df_store_looks(view->source.rows.folder, key);
}

static void tell(const struct df_look *look)
{
    fprintf(stderr, "look at %zu: %.2f to %.2f, %.4f of the level 0.05 spent: %s\n", look->units, look->interval.low, look->interval.high,
            look->spent, df_verdict_names[look->verdict]);
}

/* Looks once, and writes what was seen. */
static df_status look(const struct df_looks_plan *plan, const struct view *view, const char *path, struct df_look_journal **out,
                      struct df_error *err)
{
    size_t before;

    if (view->comparison->units > plan->most)
        return df_fail(err, DF_ERR_USAGE, "%zu are there to look at, more than the %zu of --max-seeds [--seeds names those that count]",
                       view->comparison->units, plan->most);
    DF_TRY(df_look_journal_read(path, plan, view->comparison, out, err));
    before = (*out)->looks;
    df_status status = df_look_journal_look(*out, view->comparison, err);

    if (status == DF_OK && (*out)->looks > before) {
        status = df_look_journal_write(*out, path, err);
        if (status == DF_OK)
            tell(df_look_journal_last(*out));
    } else if (status != DF_OK) {
        df_fail_in(err, status, "'%s'", path);
    }
    if (status != DF_OK) {
        df_look_journal_free(*out);
        *out = NULL;
    }
    return status;
}

/* The comparison says what the last look said. */
static void finish(const struct df_look_journal *journal, struct view *view, const char *path, struct df_resolved *out)
{
    const struct df_look *last = df_look_journal_last(journal);

    out->comparison = view->comparison;
    view->comparison = NULL;
    out->looks = journal->looks;
    out->look = df_malloc((journal->looks + 1) * sizeof *out->look);
    memcpy(out->look, journal->look, journal->looks * sizeof *out->look);
    out->file = df_strdup(path);
    out->most = journal->plan.most;
    if (last) {
        out->comparison->interval.low = last->interval.low;
        out->comparison->interval.high = last->interval.high;
        out->comparison->verdict = last->verdict;
        out->comparison->more = 0;
    }
}

/* How many seeds to run before the next look: up to the fewest that are looked at; then as many as the workers do at once. */
static size_t next_seeds(const struct df_compare_options *options, const struct df_comparison *c, const struct df_look_journal *journal)
{
    const size_t workers = options->jobs ? (size_t)options->jobs : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    const size_t units = journal->units, per_seed = c->per_seed ? c->per_seed : 1;
    const size_t least = units < DF_LOOK_FEWEST ? (DF_LOOK_FEWEST - units + per_seed - 1) / per_seed : 1;
    const size_t at_once = workers / (2 * per_seed), left = (journal->plan.most - units + per_seed - 1) / per_seed;
    const size_t most = at_once > least ? at_once : least;

    return most < left ? most : left;
}

/* The plan is in units: pairs, or seeds where pairs share a run. */
static struct df_looks_plan plan_of(const struct df_compare_options *options, const struct df_comparison *c)
{
    const size_t most = (size_t)options->max_seeds * (c->per_seed ? c->per_seed : 1);

    return (struct df_looks_plan){ .margin = options->resolve, .level = 0.05, .most = most < DF_LOOKS_MOST ? most : DF_LOOKS_MOST };
}

/* One round: looks; if it goes on, runs seeds. Once it is done, *out is filled in. */
static df_status one_round(struct resolving *r, struct df_resolved *out, struct df_error *err)
{
    struct df_look_journal *journal = NULL;
    struct view view;

    DF_TRY(view_open(r, &view, err));
    const struct df_looks_plan plan = plan_of(&r->options, view.comparison);
    char *path = looks_path(&view);
    df_status status = look(&plan, &view, path, &journal, err);

    if (status == DF_OK) {
        const struct df_look *last = df_look_journal_last(journal);

        r->done = (last && last->verdict != DF_UNDECIDED) || journal->units >= plan.most;
        if (r->done) {
            finish(journal, &view, path, out);
        } else if (r->before != SIZE_MAX && journal->units <= r->before) {
            struct df_text command = DF_TEXT_INIT;

            df_common_command(&r->options.common, "status", r->spec, &command);
            status = df_fail(err, DF_ERR_CHECK, "no pair came of the seeds that were run: %zu, as before [the rows say why: %s]",
                             journal->units, df_text_get(&command));
            df_text_release(&command);
        } else {
            r->before = journal->units;
            status = run_seeds(r, &view, next_seeds(&r->options, view.comparison, journal), r->options.common.seeds, err);
        }
    }
    df_look_journal_free(journal);
    free(path);
    view_release(&view);
    return status;
}

/* Who looks at a comparison does it alone: two that look at once would each spend what the other does not know of. */
static df_status lock_looks(const char *path, int *lock, struct df_error *err)
{
    char *folder = df_path_folder(path);
    struct df_text file = DF_TEXT_INIT;

    df_text_addf(&file, "%s.lock", path);
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK)
        status = df_lock(file.data, true, lock, err);
    if (status == DF_OK && *lock < 0)
        status = df_fail(err, DF_ERR_UNSUPPORTED, "'%s' is held: somebody resolves this comparison now [wait for it]", file.data);
    df_text_release(&file);
    free(folder);
    return status;
}

df_status df_compare_resolve(const struct df_compare_options *options, const char *spec, const char *a, const char *b,
                             struct df_resolved *out, struct df_error *err)
{
    struct resolving r = { .options = *options, .spec = spec, .a = a, .b = b, .before = SIZE_MAX };
    char seeds[DF_STRING_MAX];
    struct view view;
    int lock = -1;

    *out = (struct df_resolved){ 0 };
    if (options->which.semantics != DF_SEMANTICS)
        return df_fail(err, DF_ERR_USAGE, "--resolve: runs make rows of semantics %d, not %lld [leave --semantics out]", DF_SEMANTICS,
                       (long long)options->which.semantics);
    DF_TRY(view_open(&r, &view, err));
    char *path = looks_path(&view);
    df_status status = lock_looks(path, &lock, err);

    if (status == DF_OK && !df_file_exists(path)) /* the spec's own seeds are there before the first look */
        status = run_seeds(&r, &view, 0, seeds, err);
    free(path);
    view_release(&view);
    while (status == DF_OK && !r.done)
        status = one_round(&r, out, err);
    if (lock >= 0)
        df_unlock(lock);
    return status;
}

void df_resolved_release(struct df_resolved *resolved)
{
    df_comparison_free(resolved->comparison);
    free(resolved->look);
    free(resolved->file);
}
