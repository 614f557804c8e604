#include "ablations/report/provenance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/environment.h"
#include "ablations/run/store.h"
#include "core/base/warnings.h"
#include "results/csv_rows.h"
#include "results/environment.h"
#include "results/html.h"

/* ---- troubles --------------------------------------------------------------------------------------------------------------------- */

enum { MOST_LINES_OF_A_KIND = 200 };

/* A list of lines, each told once, with how often it was said. */
struct lines {
    size_t count, capacity;
    struct line {
        char *text;
        size_t times;
    } * line;
};

static void lines_add(struct lines *lines, const char *text, size_t length)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strlen(lines->line[i].text) == length && memcmp(lines->line[i].text, text, length) == 0) {
            lines->line[i].times++;
            return;
        }
    if (lines->count == lines->capacity) {
        lines->capacity = 2 * lines->capacity + 8;
        lines->line = df_realloc(lines->line, lines->capacity * sizeof *lines->line);
    }
    lines->line[lines->count] = (struct line){ df_malloc(length + 1), 1 };
    memcpy(lines->line[lines->count].text, text, length);
    lines->line[lines->count++].text[length] = 0;
}

static void lines_release(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->line[i].text);
    free(lines->line);
}

static void tell_lines(struct df_page *page, const char *title, const struct lines *lines, struct df_text *csv)
{
    if (!lines->count)
        return;
    df_text_addf(&page->body, "<h3>%s</h3>\n<ul>\n", title);
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->line[i];

        df_csv_add(csv, title, true);
        df_csv_add(csv, line->text, false);
        df_csv_add_int(csv, (int64_t)line->times, false);
        df_text_add(csv, "\n");
        if (i >= MOST_LINES_OF_A_KIND)
            continue;
        df_text_add(&page->body, "<li>");
        df_html_add_name(&page->body, line->text);
        if (line->times > 1)
            df_text_addf(&page->body, " <small>(%zu times)</small>", line->times);
        df_text_add(&page->body, "</li>\n");
    }
    df_text_add(&page->body, "</ul>\n");
    if (lines->count > MOST_LINES_OF_A_KIND)
        df_page_say(page, "note", "%zu more in the CSV.", lines->count - MOST_LINES_OF_A_KIND);
}

static void find_failures(const struct df_page *page, struct lines *failed, struct lines *missing)
{
    const struct df_table_request *rows = page->request->rows;

    for (size_t l = 0; l < rows->lines; l++)
        for (size_t r = 0; r < rows->line[l].runs; r++) {
            const struct df_run_row *row = df_journal_find(page->request->journal, rows->line[l].run[r], rows->semantics);
            struct df_text text = DF_TEXT_INIT;

            if (df_run_row_ok(row))
                continue;
            df_page_method_text(page, l, &text);
            df_text_addf(&text, ", seed %lld", (long long)rows->line[l].seed[r]);
            if (row)
                df_text_addf(&text, " (%s): %s", row->run, row->status);
            lines_add(row ? failed : missing, df_text_get(&text), text.length);
            df_text_release(&text);
        }
}

/* What the runs' logs warn of, by kind. Logs that cannot be read are a warning like any other. */
static void find_warnings(const struct df_page *page, struct lines *warnings)
{
    const struct df_report_request *request = page->request;
    struct df_warnings found = { 0 };

    for (size_t i = 0; request->spec && request->rows->semantics == DF_SEMANTICS && i < request->spec->count; i++) {
        char *path = df_store_cell_file(request->out, request->spec->cell[i], DF_CELL_LOG);
        struct df_error err = { 0 };
        size_t from = 0;

        if (df_warnings_follow(&found, path, &from, &err) != DF_OK)
            df_warn("%s", err.text);
        free(path);
    }
    for (size_t i = 0; i < found.count; i++) {
        lines_add(warnings, found.list[i].text, strlen(found.list[i].text));
        warnings->line[warnings->count - 1].times = found.list[i].count;
    }
    df_warnings_release(&found);
    for (size_t i = 0; i < request->warnings->count; i++)
        lines_add(warnings, request->warnings->text[i], strlen(request->warnings->text[i]));
}

df_status df_report_troubles(struct df_page *page, struct df_error *err)
{
    struct lines failed = { 0 }, missing = { 0 }, warnings = { 0 };
    struct df_text csv = DF_TEXT_INIT;
    df_status status = DF_OK;

    find_failures(page, &failed, &missing);
    find_warnings(page, &warnings);
    df_page_section_begin(page, "troubles", "Troubles");
    if (failed.count + missing.count + warnings.count == 0)
        df_page_say(page, "", "None: every run of %zu methods is finished, and nothing was warned of.", page->request->rows->lines);
    else
        df_page_say(page, "", "Runs that failed: %zu; runs that are missing: %zu; warnings: %zu.", failed.count, missing.count,
                    warnings.count);
    df_text_add(&csv, "kind,text,times\n");
    tell_lines(page, "Failed", &failed, &csv);
    tell_lines(page, "Missing", &missing, &csv);
    tell_lines(page, "Warnings", &warnings, &csv);
    if (failed.count + missing.count + warnings.count)
        status = df_page_csv(page, "troubles", "troubles", &csv, err);
    df_page_section_end(page);
    df_text_release(&csv);
    lines_release(&failed);
    lines_release(&missing);
    lines_release(&warnings);
    return status;
}

/* ---- provenance ------------------------------------------------------------------------------------------------------------------- */

/* The rows that are asked for, in the order of the table. */
struct provenance {
    size_t rows;
    const struct df_run_row **row;
    size_t *line;
    struct lines machines, teachers, revisions;
};

static void find_rows(const struct df_page *page, struct provenance *out)
{
    const struct df_table_request *rows = page->request->rows;

    *out = (struct provenance){ 0 };
    for (size_t l = 0; l < rows->lines; l++)
        out->rows += rows->line[l].runs;
    out->row = df_calloc(out->rows + 1, sizeof *out->row);
    out->line = df_calloc(out->rows + 1, sizeof *out->line);
    out->rows = 0;
    for (size_t l = 0; l < rows->lines; l++)
        for (size_t r = 0; r < rows->line[l].runs; r++) {
            const struct df_run_row *row = df_journal_find(page->request->journal, rows->line[l].run[r], rows->semantics);

            if (!row)
                continue;
            out->line[out->rows] = l;
            out->row[out->rows++] = row;
        }
}

static void find_machines(struct provenance *of)
{
    for (size_t i = 0; i < of->rows; i++) {
        struct df_text machine = DF_TEXT_INIT;
        struct df_text teacher = DF_TEXT_INIT;

        df_environment_split(of->row[i], &machine, &teacher);
        if (machine.length)
            lines_add(&of->machines, machine.data, machine.length);
        if (teacher.length)
            lines_add(&of->teachers, teacher.data, teacher.length);
        lines_add(&of->revisions, of->row[i]->revision, strlen(of->row[i]->revision));
        df_text_release(&machine);
        df_text_release(&teacher);
    }
}

static void tell_list(struct df_page *page, const char *title, const struct lines *lines)
{
    if (!lines->count)
        return;
    df_text_addf(&page->body, "<h3>%s</h3>\n<ul>\n", title);
    for (size_t i = 0; i < lines->count; i++) {
        df_text_add(&page->body, "<li><code>");
        df_html_add_name(&page->body, lines->line[i].text[0] ? lines->line[i].text : "not kept");
        df_text_addf(&page->body, "</code> <small>%zu run%s</small></li>\n", lines->line[i].times, lines->line[i].times == 1 ? "" : "s");
    }
    df_text_add(&page->body, "</ul>\n");
}

static void add_pre(struct df_page *page, const char *summary, const char *text)
{
    df_text_addf(&page->body, "<details><summary>%s</summary><pre>", summary);
    df_html_add(&page->body, text);
    df_text_add(&page->body, "</pre></details>\n");
}

static void tell_command(struct df_page *page)
{
    const struct df_report_request *request = page->request;

    df_text_add(&page->body, "<h3>Again</h3>\n<pre>");
    if (request->sweep && request->rows->semantics == DF_SEMANTICS) {
        df_html_add(&page->body, request->sweep);
        df_text_add(&page->body, "\n");
    }
    df_html_add(&page->body, request->report);
    df_text_add(&page->body, "</pre>\n");
    df_page_say(page, "note", "This page was made by revision %s (semantics %d, %s).", df_run_revision(), DF_SEMANTICS, df_run_compiler());
}

static df_status tell_spec(struct df_page *page, struct df_error *err)
{
    const struct df_spec *spec = page->request->spec;
    struct df_text canonical = DF_TEXT_INIT;
    char hash[51];

    df_json_canonical(spec->source, &canonical);
    add_pre(page, "The spec as it was read: extended, set, canonical", df_text_get(&canonical));
    df_text_release(&canonical);
    if (page->request->rows->semantics != DF_SEMANTICS) /* its files were not looked at */
        return DF_OK;
    DF_TRY(df_data_hash(spec->data, hash, err));
    df_page_say(page, "", "Hash of the data (train, tune, validation): %s.", hash);
    return DF_OK;
}

/* One per method: the seeds of a method differ in nothing else. */
static void tell_cells(struct df_page *page, const struct provenance *of)
{
    struct df_text cells = DF_TEXT_INIT;

    for (size_t i = 0; i < of->rows; i++) {
        if (i && of->line[i] == of->line[i - 1])
            continue;
        df_page_method_text(page, of->line[i], &cells);
        df_text_addf(&cells, " (%s)\n%s\n\n", of->row[i]->run, of->row[i]->cell);
    }
    if (cells.length && df_page_has_room(page, 2 * cells.length))
        add_pre(page, "The cell of each method, of its first seed (canonical JSON, whose hash is the run's id)", cells.data);
    else if (cells.length)
        df_page_say(page, "note", "The cells (canonical JSON) would make the page too large: they are in the CSV.");
    df_text_release(&cells);
}

static void add_runs_csv(struct df_page *page, const struct provenance *of, struct df_text *csv)
{
    df_text_add(csv, "run,method,options,seed,status,AP,revision,device,environment,started,finished,train_seconds,eval_seconds,cell\n");
    for (size_t i = 0; i < of->rows; i++) {
        const struct df_run_row *row = of->row[i];
        const struct df_table_line_request *line = &page->request->rows->line[of->line[i]];

        df_csv_add(csv, row->run, true);
        df_csv_add(csv, line->label, false);
        df_csv_add(csv, line->axes, false);
        df_csv_add_int(csv, row->seed, false);
        df_csv_add(csv, row->status, false);
        df_csv_add_real(csv, df_run_row_score(row, "AP", ""), false);
        df_csv_add(csv, row->revision, false);
        df_csv_add(csv, row->device, false);
        df_csv_add(csv, row->environment, false);
        df_csv_add(csv, row->started, false);
        df_csv_add(csv, row->finished, false);
        df_csv_add_real(csv, row->train_seconds, false);
        df_csv_add_real(csv, row->eval_seconds, false);
        df_csv_add(csv, row->cell, false);
        df_text_add(csv, "\n");
    }
}

static void tell_runs(struct df_page *page, const struct provenance *of)
{
    struct df_text *out = &page->body;

    if (!df_page_has_room(page, of->rows * 512)) {
        df_page_say(page, "note", "%zu runs: they are in the CSV.", of->rows);
        return;
    }
    df_text_addf(out, "<details><summary>%zu runs</summary><div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", of->rows);
    for (const char *const *head = (const char *const[]){ "run", "method", "seed", "status", "mAP", "revision", "finished", NULL }; *head;
         head++)
        df_text_addf(out, "<th scope=\"col\">%s</th>", *head);
    df_text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < of->rows; i++) {
        const struct df_run_row *row = of->row[i];
        const double ap = df_run_row_score(row, "AP", "");

        df_text_add(out, "<tr><th scope=\"row\"><code>");
        df_html_add(out, row->run);
        df_text_add(out, "</code></th><td>");
        df_page_method(page, of->line[i], out);
        df_text_addf(out, "</td><td class=\"number\">%lld</td><td>", (long long)row->seed);
        df_html_add_name(out, row->status);
        df_text_addf(out, isfinite(ap) ? "</td><td class=\"number\">%.2f</td><td><code>" : "</td><td>-</td><td><code>", 100 * ap);
        df_html_add(out, row->revision);
        df_text_add(out, "</code></td><td>");
        df_html_add(out, row->finished);
        df_text_add(out, "</td></tr>\n");
    }
    df_text_add(out, "</tbody></table></div></details>\n");
}

df_status df_report_provenance(struct df_page *page, struct df_error *err)
{
    struct df_text csv = DF_TEXT_INIT;
    struct provenance of;
    df_status status = DF_OK;

    find_rows(page, &of);
    find_machines(&of);
    df_page_section_begin(page, "provenance", "Provenance");
    tell_command(page);
    tell_list(page, "Machines and libraries", &of.machines);
    tell_list(page, "Teachers (hash of the weights)", &of.teachers);
    tell_list(page, "Revisions", &of.revisions);
    df_text_add(&page->body, "<h3>What was run</h3>\n");
    if (page->request->spec)
        status = tell_spec(page, err);
    tell_cells(page, &of);
    tell_runs(page, &of);
    add_runs_csv(page, &of, &csv);
    if (status == DF_OK)
        status = df_page_csv(page, "runs", "runs, with their cells", &csv, err);
    df_page_section_end(page);
    df_text_release(&csv);
    lines_release(&of.machines);
    lines_release(&of.teachers);
    lines_release(&of.revisions);
    free(of.row);
    free(of.line);
    return status;
}
