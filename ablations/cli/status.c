/* `defeat status SPEC`: per line of the table, how many cells are done, failed, left; who is at work, what a cluster has of
 * it, and what the runs warned of. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ablations/cli/command.h"
#include "ablations/cli/status_jobs.h"
#include "ablations/cli/table_source.h"
#include "ablations/run/store.h"
#include "ablations/watch.h"

struct status_options {
    struct df_common_options common;
    struct df_which_rows which;
    bool json, rows;
};
static const df_option options_table[] = { DF_SPEC_OPTION_ROWS(struct status_options, common),
                                           DF_WHICH_ROWS_OPTION_ROWS(struct status_options, which),
                                           { "json", DF_BOOL_OPTION(struct status_options, json), .help = "one JSON object" },
                                           { "rows", DF_BOOL_OPTION(struct status_options, rows),
                                             .help = "what of the rows must not vary: equal texts mean equal rows" },
                                           { 0 } };
struct tally {
    size_t done, failed, left, stale;
    const char *reason;
};

/* What the commands' forms are given: the spec, its rows, the request that joins them, what is stale (table). */
struct progress {
    const struct df_spec *spec;
    struct df_journal *journal;
    struct df_table_request request;
    struct df_table *table;
    struct df_running running;
    struct df_progress_view whole; /* of all cells */
    struct df_warnings warnings;
    struct df_text jobs; /* what a cluster has of it: as text, */
    cJSON *job_list;     /* and as JSON */
};

static void tally_line(const struct progress *p, size_t line, struct tally *out)
{
    const struct df_table_line_request *request = &p->request.line[line];

    *out = (struct tally){ .stale = p->table->line[line].stale };
    for (size_t i = 0; i < request->runs; i++) {
        const struct df_run_row *row = df_journal_find(p->journal, request->run[i], p->request.semantics);

        if (!row)
            out->left++;
        else if (df_run_row_ok(row))
            out->done++;
        else {
            out->failed++;
            out->reason = row->status;
        }
    }
}

/* The whole, as far as rows and running cells tell, and below it who is at work; what the sweep itself shows, seen from another terminal. */
static void print_running(const struct progress *p)
{
    const struct df_running *running = &p->running;
    struct df_text text = DF_TEXT_INIT;
    struct winsize size;
    const bool wide = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20;
    const size_t columns = wide ? size.ws_col - 1U : 99;
    size_t label = 0;

    if (!running->count)
        return;
    for (size_t i = 0; i < running->count; i++)
        label = df_text_columns(running->view[i].label) > label ? df_text_columns(running->view[i].label) : label;
    label = label < columns / 2 ? label : columns / 2;
    df_text_add(&text, "\n");
    df_progress_line(&p->whole, columns, label, &text);
    for (size_t i = 0; i < running->count; i++) {
        df_text_add(&text, "\n");
        df_progress_line(&running->view[i], columns, label, &text);
    }
    puts(df_text_get(&text));
    df_text_release(&text);
}

/* Cells that ended say how long one takes; while none has, those that run. */
static double cell_seconds(const struct progress *p)
{
    double seconds = 0, cells = 0;

    for (size_t r = 0; r < p->journal->runs; r++)
        if (df_run_row_ok(&p->journal->run[r])) {
            seconds += p->journal->run[r].train_seconds + p->journal->run[r].eval_seconds;
            cells++;
        }
    for (size_t i = 0; i < p->running.cells && cells == 0; i++)
        if (!isnan(p->running.view[i].eta))
            return p->running.view[i].elapsed + p->running.view[i].eta;
    return cells > 0 ? seconds / cells : NAN;
}

static void look_at_running(struct progress *p, const char *out)
{
    struct tally t, all = { 0 };

    df_watch_running(p->spec, out, &p->running);
    for (size_t line = 0; line < p->spec->lines; line++) {
        tally_line(p, line, &t);
        all.done += t.done;
        all.failed += t.failed;
        all.left += t.left;
    }

    const size_t left = all.failed + all.left, waiting = left > p->running.cells ? left - p->running.cells : 0;
    const double each = cell_seconds(p);
    double *busy = df_calloc(p->running.count + 1, sizeof *busy);

    for (size_t i = 0; i < p->running.count; i++) /* one that has just begun does not know yet */
        busy[i] = isnan(p->running.view[i].eta) && i < p->running.cells ? each : p->running.view[i].eta;
    p->whole = (struct df_progress_view){ .total = (double)p->spec->count, .done = (double)all.done };
    p->whole.eta = df_watch_eta(busy, p->running.count, waiting, each);
    snprintf(p->whole.label, sizeof p->whole.label, "sweep %s", p->spec->name);
    snprintf(p->whole.note, sizeof p->whole.note, "%zu running", p->running.count);
    free(busy);
}

static void add_counts(const struct tally *t, cJSON *object)
{
    cJSON_AddNumberToObject(object, "done", (double)t->done);
    cJSON_AddNumberToObject(object, "failed", (double)t->failed);
    cJSON_AddNumberToObject(object, "left", (double)t->left);
    cJSON_AddNumberToObject(object, "stale", (double)t->stale);
}

static void print_text(const struct progress *p)
{
    struct tally t;

    printf("%-44s %5s %6s %5s\n", p->spec->name, "done", "failed", "left");
    for (size_t line = 0; line < p->spec->lines; line++) {
        const struct df_table_line_request *request = &p->request.line[line];
        char name[320];

        tally_line(p, line, &t);
        snprintf(name, sizeof name, "%s%s%s", request->label, request->axes[0] ? " " : "", request->axes);
        printf("%-44s %5zu %6zu %5zu", df_shown(name).text, t.done, t.failed, t.left);
        if (t.stale)
            printf("  stale rows of another version: %zu", t.stale);
        printf("%s%s\n", t.reason ? "  " : "", t.reason ? df_shown(t.reason).text : "");
    }
    print_running(p);
    fputs(df_text_get(&p->jobs), stdout);
    fflush(stdout); /* before what stderr says */
    df_warnings_tell(&p->warnings);
}

/* eta null: not known */
static void add_running(const struct progress *p, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "running");

    for (size_t i = 0; i < p->running.count; i++) {
        const struct df_progress_view *view = &p->running.view[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "what", view->label);
        cJSON_AddNumberToObject(object, "done", view->done);
        cJSON_AddNumberToObject(object, "total", view->total);
        cJSON_AddStringToObject(object, "unit", view->unit);
        cJSON_AddStringToObject(object, "note", view->note);
        cJSON_AddItemToObject(object, "eta_seconds", isnan(view->eta) ? cJSON_CreateNull() : cJSON_CreateNumber(view->eta));
        cJSON_AddItemToArray(list, object);
    }
}

static void add_warnings(const struct progress *p, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "warnings");

    for (size_t i = 0; i < p->warnings.count; i++) {
        const struct df_warning *warning = &p->warnings.list[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "text", warning->text);
        cJSON_AddNumberToObject(object, "count", (double)warning->count);
        cJSON_AddNumberToObject(object, "logs", (double)warning->logs);
        cJSON_AddStringToObject(object, "first", warning->logs ? warning->log[0] : "");
        cJSON_AddItemToArray(list, object);
    }
}

static void print_json(const struct progress *p)
{
    cJSON *root = cJSON_CreateObject(), *lines = cJSON_CreateArray();
    struct df_text text = DF_TEXT_INIT;
    struct tally t, all = { 0 };

    for (size_t line = 0; line < p->spec->lines; line++) {
        cJSON *object = cJSON_CreateObject();

        tally_line(p, line, &t);
        all = (struct tally){ all.done + t.done, all.failed + t.failed, all.left + t.left, all.stale + t.stale, NULL };
        cJSON_AddStringToObject(object, "label", p->request.line[line].label);
        cJSON_AddStringToObject(object, "axes", p->request.line[line].axes);
        add_counts(&t, object);
        cJSON_AddItemToArray(lines, object);
    }
    cJSON_AddStringToObject(root, "spec", p->spec->name);
    add_counts(&all, root);
    cJSON_AddItemToObject(root, "lines", lines);
    add_running(p, root);
    add_warnings(p, root);
    cJSON_AddItemReferenceToObject(root, "jobs", p->job_list);
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static void print_rows(const struct progress *p)
{
    struct df_text text = DF_TEXT_INIT;

    df_journal_deterministic(p->journal, &text);
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

/* Asks Slurm, if something is with it, and keeps the failures that it tells: before the rows are read. */
static df_status look_at_jobs(struct progress *p, const char *out, struct df_error *err)
{
    struct df_slurm_queue queue = { 0 };
    df_status status = df_status_jobs_open(p->spec, out, &queue, err);

    p->job_list = cJSON_CreateArray();
    if (status == DF_OK)
        status = df_status_jobs_text(&queue, p->spec, out, &p->jobs, err);
    if (status == DF_OK)
        status = df_status_jobs_json(&queue, p->spec, out, p->job_list, err);
    df_slurm_queue_release(&queue);
    return status;
}

/* A cell is done on whatever machine it was, unless one is asked for. */
static df_status tell(const struct status_options *options, const struct df_spec *spec, struct df_error *err)
{
    const struct df_rows_wanted wanted = { options->which.semantics, options->which.environment[0] ? options->which.environment : NULL };
    struct progress p = { .spec = spec };
    struct df_arena memory;
    char *folder = df_store_spec_folder(options->common.out, spec->name);
    df_status status = spec->cell[0]->unread ? DF_OK : look_at_jobs(&p, options->common.out, err);

    df_arena_init(&memory, NULL, 16 * 1024);
    if (status == DF_OK)
        status = df_store_read(folder, &p.journal, err);
    if (status == DF_OK)
        status = df_rows_request(spec, p.journal, &wanted, &memory, &p.request, err);
    if (status == DF_OK)
        status = df_table_build(p.journal, &p.request, &p.table, err);
    if (status == DF_OK && !options->rows && options->which.semantics == DF_SEMANTICS) {
        look_at_running(&p, options->common.out);
        status = df_watch_warnings(spec, options->common.out, &p.warnings, err);
    }
    if (status == DF_OK)
        (options->rows ? print_rows : options->json ? print_json : print_text)(&p);
    df_warnings_release(&p.warnings);
    df_text_release(&p.jobs);
    cJSON_Delete(p.job_list);
    free(p.running.view);
    df_table_free(p.table);
    df_journal_free(p.journal);
    df_arena_release(&memory);
    free(folder);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct status_options *options = values;
    const bool older = options->which.semantics < DF_SEMANTICS;
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)count;
    if ((older ? df_common_spec_unread : df_common_spec)(&options->common, arguments[0], &spec, &err) != DF_OK)
        return df_command_fail(&err);
    const df_status status = tell(options, spec, &err);

    df_spec_free(spec);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_status = {
    .name = "status",
    .summary = "how far a sweep is: cells done, failed, left; who is at work, here and on a cluster; what the runs warned of",
    .usage = "defeat status SPEC [--json|--rows] [--semantics N]",
    .example = "defeat status ablations/specs/reproduce-table.json",
    .options = options_table,
    .options_size = sizeof(struct status_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
