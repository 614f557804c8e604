/* From journal rows to a table's lines. Numbers in percent points; a metric of -1 (nothing to measure) counts as not measured. */
#include "results/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "results/cells.h"
#include "results/inference.h"
#include "results/pairs.h"

static const double confidence = 0.95;

const char *const df_table_metrics[DF_TABLE_METRICS] = { "AP",  "AP50", "AP75",  "APs", "APm", "APl",
                                                         "AR1", "AR10", "AR100", "ARs", "ARm", "ARl" };

/* A row of the line that another version made: of other semantics, or of the same and an older revision of a class. */
static bool is_stale(const struct df_run_row *row, const struct df_table_line_request *request, int64_t semantics)
{
    if (strcmp(row->label, request->label) != 0 || strcmp(row->axes, request->axes) != 0)
        return false;
    if (row->semantics != semantics)
        return true;
    for (size_t i = 0; request->cell && i < request->runs; i++)
        if (request->seed[i] == row->seed && df_cell_is_superseded(row->cell, request->cell[i]))
            return true;
    return false;
}

static void find_rows(const struct df_journal *journal, const struct df_table_line_request *request, int64_t semantics,
                      struct df_table_line *line, struct df_line_rows *rows)
{
    *rows = df_line_rows_find(journal, request->runs, request->run, semantics);
    for (size_t i = 0; i < request->runs; i++) {
        if (!rows->row[i] || df_run_row_ok(rows->row[i]))
            continue;
        line->failed++;
        if (!line->why) {
            line->why = rows->row[i]->status;
            line->why_seed = rows->row[i]->seed;
        }
    }
    for (size_t i = 0; i < journal->runs; i++)
        line->stale += is_stale(&journal->run[i], request, semantics);
}

static void fill_metrics(struct df_table_line *line, const struct df_line_rows *rows, struct df_arena *memory)
{
    double *value = df_arena_alloc(memory, rows->count * sizeof *value), seconds = 0;
    size_t n, timed = 0;

    for (size_t m = DF_TABLE_METRICS; m-- > 0;) { /* AP last: its values stay */
        n = df_row_percents(rows, df_table_metrics[m], "", value);
        line->metric[m] = df_mean_interval(value, n, confidence);
    }
    line->point = value;
    line->points = line->metric[DF_TABLE_AP].n;
    for (size_t i = 0; i < rows->count; i++) {
        const struct df_run_row *row = rows->row[i];

        if (df_run_row_ok(row) && !isnan(row->train_seconds + row->eval_seconds)) {
            seconds += row->train_seconds + row->eval_seconds;
            timed++;
        }
    }
    line->seconds = timed ? seconds / (double)timed : NAN;
}

static void fill_difference(struct df_table_line *line, const struct df_line_rows *rows, const struct df_line_rows *base,
                            double simultaneous)
{
    double *value = df_malloc(rows->count * sizeof *value + 1);
    const size_t n = df_row_differences(rows, base, df_table_metrics[DF_TABLE_AP], value, &line->unpaired);

    line->difference = df_mean_interval(value, n, simultaneous);
    line->p = df_paired_t_p(value, n);
    line->inside_noise = !(line->difference.low > 0 || line->difference.high < 0);
    free(value);
}

static bool is_among(const char *name, const char *const *names, size_t n)
{
    while (n > 0 && strcmp(names[n - 1], name) != 0)
        n--;
    return n > 0;
}

/* The classes that finished rows of any line have an AP of, in the order of their first appearance. */
static size_t class_names(const struct df_line_rows *rows, size_t lines, struct df_arena *memory, const char ***out)
{
    const char **names = NULL;
    size_t n = 0;

    for (size_t l = 0; l < lines; l++)
        for (size_t i = 0; i < rows[l].count; i++) {
            const struct df_run_row *row = rows[l].row[i];

            for (size_t k = 0; df_run_row_ok(row) && k < row->scores.count; k++) {
                const struct df_score *s = &row->scores.score[k];

                if (!s->class[0] || strcmp(s->metric, df_table_metrics[DF_TABLE_AP]) != 0 || is_among(s->class, names, n))
                    continue;
                names = df_realloc(names, (n + 1) * sizeof *names);
                names[n++] = df_arena_strdup(memory, s->class);
            }
        }
    *out = df_arena_alloc(memory, n * sizeof **out);
    if (n)
        memcpy(*out, names, n * sizeof *names);
    free(names);
    return n;
}

static void fill_classes(struct df_table_line *line, const struct df_line_rows *rows, struct df_arena *memory)
{
    double *value = df_malloc(rows->count * sizeof *value + 1);

    line->class_ap = df_arena_alloc(memory, line->classes * sizeof *line->class_ap);
    for (size_t k = 0; k < line->classes; k++)
        line->class_ap[k] =
            df_mean_interval(value, df_row_percents(rows, df_table_metrics[DF_TABLE_AP], line->class_name[k], value), confidence);
    free(value);
}

/* Every comparison counts, those without a p too. */
static void adjust(struct df_table *table)
{
    double *p = df_malloc((table->lines + 1) * sizeof *p), *adjusted = df_malloc((table->lines + 1) * sizeof *adjusted);
    size_t n = 0;

    for (size_t l = 0; l < table->lines; l++)
        if (l != table->line[l].baseline)
            p[n++] = table->line[l].p;
    df_holm(p, n, adjusted);
    n = 0;
    for (size_t l = 0; l < table->lines; l++)
        if (l != table->line[l].baseline)
            table->line[l].p = adjusted[n++];
    free(p);
    free(adjusted);
}

static void fill_lines(const struct df_journal *journal, const struct df_table_request *request, struct df_table *table)
{
    struct df_line_rows *rows = df_calloc(request->lines + 1, sizeof *rows);
    const char **names;

    for (size_t l = 0; l < request->lines; l++) {
        struct df_table_line *line = &table->line[l];

        line->label = df_arena_strdup(table->memory, request->line[l].label);
        line->axes = df_arena_strdup(table->memory, request->line[l].axes);
        line->variant = df_arena_strdup(table->memory, request->line[l].variant ? request->line[l].variant : "");
        line->baseline = request->line[l].baseline;
        line->expected = request->line[l].runs;
        find_rows(journal, &request->line[l], request->semantics, line, &rows[l]);
        fill_metrics(line, &rows[l], table->memory);
    }
    const size_t classes = class_names(rows, request->lines, table->memory, &names);

    for (size_t l = 0; l < request->lines; l++) {
        struct df_table_line *line = &table->line[l];

        line->classes = classes;
        line->class_name = names;
        fill_classes(line, &rows[l], table->memory);
        line->p = NAN;
        if (l == line->baseline)
            line->difference = (struct df_interval){ .mean = NAN, .sd = NAN, .low = NAN, .high = NAN };
        else
            fill_difference(line, &rows[l], &rows[line->baseline], table->confidence);
    }
    adjust(table);
    for (size_t l = 0; l < request->lines; l++)
        df_line_rows_release(&rows[l]);
    free(rows);
}

df_status df_table_build(const struct df_journal *journal, const struct df_table_request *request, struct df_table **out,
                         struct df_error *err)
{
    *out = NULL;
    if (request->lines == 0)
        return df_fail(err, DF_ERR_USAGE, "a table of no lines: expected at least one");
    for (size_t l = 0; l < request->lines; l++)
        if (request->line[l].baseline >= request->lines)
            return df_fail(err, DF_ERR_USAGE, "a table of %zu lines, where line %zu has line %zu as its baseline", request->lines, l,
                           request->line[l].baseline);
    struct df_table *table = df_calloc(1, sizeof *table);

    table->memory = df_calloc(1, sizeof *table->memory);
    df_arena_init(table->memory, NULL, 16 * 1024);
    table->lines = request->lines;
    table->elsewhere = request->elsewhere;
    for (size_t l = 0; l < request->lines; l++)
        table->comparisons += request->line[l].baseline != l;
    table->confidence = df_simultaneous(confidence, table->comparisons);
    table->line = df_arena_alloc(table->memory, table->lines * sizeof *table->line);
    memset(table->line, 0, table->lines * sizeof *table->line);
    table->title = df_arena_strdup(table->memory, request->title ? request->title : "");
    table->teacher = df_arena_strdup(table->memory, request->teacher ? request->teacher : "");
    fill_lines(journal, request, table);
    *out = table;
    return DF_OK;
}

void df_table_free(struct df_table *table)
{
    if (!table)
        return;
    df_arena_release(table->memory);
    free(table->memory);
    free(table);
}
