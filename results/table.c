/* From journal rows to a table's lines. Numbers in percent points; a metric of -1 (nothing to measure) counts as not measured. */
#include "results/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "results/cells.h"
#include "results/environment.h"

static const double confidence = 0.95;

/* The rows of one line, one per seed; NULL where there is none. */
struct line_rows {
    size_t count;
    const struct df_run_row **row;
};

static bool finished(const struct df_run_row *row) { return row && strcmp(row->status, "ok") == 0; }

/* Values of a finished row's metric as a percentage; NAN where not measured. */
static double percent(const struct df_run_row *row, size_t metric)
{
    return finished(row) && row->metric[metric] >= 0 ? 100 * row->metric[metric] : NAN;
}

static char *keep(struct df_arena *memory, const char *text, size_t length)
{
    char *copy = df_arena_alloc(memory, length + 1);

    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

/* A row of the line that another version made: of other semantics, or of the same and an older revision of a class. */
static bool is_stale(const struct df_run_row *row, const struct df_table_line_request *request, int64_t semantics)
{
    if (strcmp(row->label, request->label) != 0 || strcmp(row->axes, request->axes) != 0)
        return false;
    if (!df_journal_knows(row->schema) || row->semantics != semantics)
        return true;
    for (size_t i = 0; request->cell && i < request->runs; i++)
        if (request->seed[i] == row->seed && df_cell_is_superseded(row->cell, request->cell[i]))
            return true;
    return false;
}

static void find_rows(const struct df_journal *journal, const struct df_table_line_request *request, int64_t semantics,
                      struct df_table_line *line, struct line_rows *rows)
{
    rows->count = request->runs;
    rows->row = df_calloc(request->runs + 1, sizeof *rows->row);
    for (size_t i = 0; i < request->runs; i++) {
        rows->row[i] = df_journal_find(journal, request->run[i], semantics);
        line->failed += rows->row[i] && !finished(rows->row[i]);
    }
    for (size_t i = 0; i < journal->runs; i++)
        line->stale += is_stale(&journal->run[i], request, semantics);
}

static void fill_metrics(struct df_table_line *line, const struct line_rows *rows, struct df_arena *memory)
{
    double *value = df_arena_alloc(memory, rows->count * sizeof *value), seconds = 0;
    size_t n, timed = 0;

    for (size_t m = DF_METRICS; m-- > 0;) { /* AP last: its values stay */
        n = 0;
        for (size_t i = 0; i < rows->count; i++)
            if (!isnan(percent(rows->row[i], m)))
                value[n++] = percent(rows->row[i], m);
        line->metric[m] = df_mean_interval(value, n, confidence);
    }
    line->point = value;
    line->points = line->metric[0].n;
    for (size_t i = 0; i < rows->count; i++) {
        const struct df_run_row *row = rows->row[i];

        if (finished(row) && !isnan(row->train_seconds + row->eval_seconds)) {
            seconds += row->train_seconds + row->eval_seconds;
            timed++;
        }
    }
    line->seconds = timed ? seconds / (double)timed : NAN;
}

static void fill_difference(struct df_table_line *line, const struct line_rows *rows, const struct line_rows *base)
{
    double *value = df_malloc(rows->count * sizeof *value + 1);
    size_t n = 0;

    for (size_t i = 0; i < rows->count; i++)
        for (size_t j = 0; j < base->count; j++)
            if (finished(rows->row[i]) && finished(base->row[j]) && rows->row[i]->seed == base->row[j]->seed) {
                const double difference = percent(rows->row[i], 0) - percent(base->row[j], 0);

                if (!df_rows_share_teacher(rows->row[i], base->row[j]))
                    line->unpaired++;
                else if (!isnan(difference))
                    value[n++] = difference;
                break;
            }
    line->difference = df_mean_interval(value, n, confidence);
    line->inside_noise = n < 2 || (line->difference.low <= 0 && line->difference.high >= 0);
    free(value);
}

/* Next "name=value" of a class_ap text; false at its end. The name may hold '=' itself. */
static bool next_class(const char **text, const char **name, size_t *length, double *value)
{
    const char *end = strchr(*text, ';'), *equals = NULL;
    char number[40];

    if (!**text)
        return false;
    end = end ? end : *text + strlen(*text);
    for (const char *c = *text; c < end; c++)
        if (*c == '=')
            equals = c;
    *name = *text;
    *length = equals ? (size_t)(equals - *text) : (size_t)(end - *text);
    *value = NAN;
    if (equals && (size_t)(end - equals) <= sizeof number) {
        memcpy(number, equals + 1, (size_t)(end - equals - 1));
        number[end - equals - 1] = 0;
        if (!df_parse_real(number, value))
            *value = NAN;
    }
    *text = *end ? end + 1 : end;
    return true;
}

static double class_percent(const struct df_run_row *row, const char *wanted)
{
    const char *text = finished(row) ? row->class_ap : "", *name;
    size_t length;
    double value;

    while (next_class(&text, &name, &length, &value))
        if (strlen(wanted) == length && memcmp(name, wanted, length) == 0)
            return value >= 0 ? 100 * value : NAN;
    return NAN;
}

/* The classes of all finished rows of all lines, in the order of their first appearance. */
static size_t class_names(const struct line_rows *rows, size_t lines, struct df_arena *memory, const char ***out)
{
    const char **names = NULL, *text, *name;
    size_t n = 0, length, known;
    double value;

    for (size_t l = 0; l < lines; l++)
        for (size_t i = 0; i < rows[l].count; i++) {
            if (!finished(rows[l].row[i]))
                continue;
            for (text = rows[l].row[i]->class_ap; next_class(&text, &name, &length, &value);) {
                for (known = 0; known < n; known++)
                    if (strlen(names[known]) == length && memcmp(names[known], name, length) == 0)
                        break;
                if (known < n)
                    continue;
                names = df_realloc(names, (n + 1) * sizeof *names);
                names[n++] = keep(memory, name, length);
            }
        }
    *out = df_arena_alloc(memory, n * sizeof **out);
    if (n)
        memcpy(*out, names, n * sizeof *names);
    free(names);
    return n;
}

static void fill_classes(struct df_table_line *line, const struct line_rows *rows, struct df_arena *memory)
{
    double *value = df_malloc(rows->count * sizeof *value + 1);

    line->class_ap = df_arena_alloc(memory, line->classes * sizeof *line->class_ap);
    for (size_t k = 0; k < line->classes; k++) {
        size_t n = 0;

        for (size_t i = 0; i < rows->count; i++)
            if (!isnan(class_percent(rows->row[i], line->class_name[k])))
                value[n++] = class_percent(rows->row[i], line->class_name[k]);
        line->class_ap[k] = df_mean_interval(value, n, confidence);
    }
    free(value);
}

static void fill_lines(const struct df_journal *journal, const struct df_table_request *request, struct df_table *table)
{
    struct line_rows *rows = df_calloc(request->lines + 1, sizeof *rows);
    const char **names;

    for (size_t l = 0; l < request->lines; l++) {
        struct df_table_line *line = &table->line[l];

        line->label = keep(table->memory, request->line[l].label, strlen(request->line[l].label));
        line->axes = keep(table->memory, request->line[l].axes, strlen(request->line[l].axes));
        line->variant = request->line[l].variant ? keep(table->memory, request->line[l].variant, strlen(request->line[l].variant)) : "";
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
        if (l == line->baseline)
            line->difference = (struct df_interval){ .mean = NAN, .sd = NAN, .low = NAN, .high = NAN };
        else
            fill_difference(line, &rows[l], &rows[line->baseline]);
    }
    for (size_t l = 0; l < request->lines; l++)
        free(rows[l].row);
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
    table->line = df_arena_alloc(table->memory, table->lines * sizeof *table->line);
    memset(table->line, 0, table->lines * sizeof *table->line);
    table->title = keep(table->memory, request->title ? request->title : "", request->title ? strlen(request->title) : 0);
    table->teacher = keep(table->memory, request->teacher ? request->teacher : "", request->teacher ? strlen(request->teacher) : 0);
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
