/* Every line has a matrix of its rows' scores; a difference is of two such rows. */
#include "results/score_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/csv_rows.h"
#include "results/environment.h"
#include "results/grid.h"
#include "results/inference.h"

#define PLUS_MINUS "\xc2\xb1"
static const double confidence = 0.95;

/* The rows of one line that have every score. */
struct line_rows {
    size_t count;
    const struct df_run_row **row;
    double *score; /* [count, columns] percent points */
};

/* false: a score is not there, or there was nothing to measure. */
static bool read_scores(const struct df_run_row *row, const struct df_score_columns *columns, double *score)
{
    for (size_t c = 0; c < columns->count; c++) {
        const double value = df_run_row_score(row, columns->metric[c], "");

        if (isnan(value) || value == -1)
            return false;
        score[c] = 100 * value;
    }
    return true;
}

static struct line_rows find_rows(const struct df_journal *journal, const struct df_table_line_request *request, int64_t semantics,
                                  const struct df_score_columns *columns)
{
    struct line_rows rows = { .row = df_malloc((request->runs + 1) * sizeof *rows.row) };

    rows.score = df_malloc((request->runs + 1) * columns->count * sizeof *rows.score + 1);
    for (size_t i = 0; i < request->runs; i++) {
        const struct df_run_row *row = df_journal_find(journal, request->run[i], semantics);

        if (df_run_row_ok(row) && read_scores(row, columns, rows.score + rows.count * columns->count))
            rows.row[rows.count++] = row;
    }
    return rows;
}

/* The column of a matrix [count, columns] as an interval. */
static struct df_interval interval_of(const double *matrix, size_t count, size_t columns, size_t column, double level)
{
    double *value = df_malloc(count * sizeof *value + 1);

    for (size_t i = 0; i < count; i++)
        value[i] = matrix[i * columns + column];
    const struct df_interval interval = df_mean_interval(value, count, level);

    free(value);
    return interval;
}

static void fill_line(struct df_score_table *table, struct df_score_line *line, const struct line_rows *rows, const struct line_rows *base)
{
    const size_t columns = table->columns;
    double *difference = df_malloc(rows->count * columns * sizeof *difference + 1);

    for (size_t i = 0; base && i < rows->count; i++)
        for (size_t j = 0; j < base->count; j++) {
            if (rows->row[i]->seed != base->row[j]->seed)
                continue;
            if (!df_rows_share_teacher(rows->row[i], base->row[j])) {
                line->unpaired++;
                break;
            }
            for (size_t c = 0; c < columns; c++)
                difference[line->pairs * columns + c] = rows->score[i * columns + c] - base->score[j * columns + c];
            line->pairs++;
            break;
        }
    line->runs = rows->count;
    for (size_t c = 0; c < columns; c++) {
        line->value[c] = interval_of(rows->score, rows->count, columns, c, confidence);
        line->difference[c] = interval_of(difference, line->pairs, columns, c, table->confidence);
    }
    free(difference);
}

static void fill_lines(const struct df_journal *journal, const struct df_table_request *request, struct df_score_table *table)
{
    struct line_rows *rows = df_calloc(table->lines, sizeof *rows);

    for (size_t l = 0; l < table->lines; l++)
        rows[l] = find_rows(journal, &request->line[l], request->semantics, table->column);
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line_request *from = &request->line[l];
        struct df_score_line *line = &table->line[l];

        *line = (struct df_score_line){ .label = df_arena_strdup(table->memory, from->label),
                                        .axes = df_arena_strdup(table->memory, from->axes),
                                        .variant = df_arena_strdup(table->memory, from->variant ? from->variant : ""),
                                        .baseline = from->baseline,
                                        .expected = from->runs };
        line->value = df_arena_alloc(table->memory, table->columns * sizeof *line->value);
        line->difference = df_arena_alloc(table->memory, table->columns * sizeof *line->difference);
        fill_line(table, line, &rows[l], from->baseline == l ? NULL : &rows[from->baseline]);
    }
    for (size_t l = 0; l < table->lines; l++) {
        free(rows[l].row);
        free(rows[l].score);
    }
    free(rows);
}

df_status df_score_table_build(const struct df_journal *journal, const struct df_table_request *request,
                               const struct df_score_columns *columns, struct df_score_table **out, struct df_error *err)
{
    size_t compared = 0;

    *out = NULL;
    if (request->lines == 0 || columns->count == 0)
        return df_fail(err, DF_ERR_USAGE, "a table of %zu lines and %zu scores: expected at least one of each", request->lines,
                       columns->count);
    for (size_t l = 0; l < request->lines; l++) {
        if (request->line[l].baseline >= request->lines)
            return df_fail(err, DF_ERR_USAGE, "a table of %zu lines, where line %zu has line %zu as its baseline", request->lines, l,
                           request->line[l].baseline);
        compared += request->line[l].baseline != l;
    }
    struct df_score_table *table = df_calloc(1, sizeof *table);

    table->memory = df_calloc(1, sizeof *table->memory);
    df_arena_init(table->memory, NULL, 16 * 1024);
    table->lines = request->lines;
    table->columns = columns->count;
    table->column = columns;
    table->comparisons = compared * columns->count;
    table->confidence = df_simultaneous(confidence, table->comparisons);
    table->line = df_arena_alloc(table->memory, table->lines * sizeof *table->line);
    fill_lines(journal, request, table);
    *out = table;
    return DF_OK;
}

void df_score_table_free(struct df_score_table *table)
{
    if (!table)
        return;
    df_arena_release(table->memory);
    free(table->memory);
    free(table);
}

/* ---- printing ---- */

static bool is_baseline(const struct df_score_table *table, size_t line) { return table->line[line].baseline == line; }

/* Outside the noise: the interval does not hold 0. */
static bool is_clear(const struct df_interval *interval) { return interval->low > 0 || interval->high < 0; }

static void add_interval(struct df_text *cell, const struct df_interval *interval, bool difference)
{
    if (interval->n == 0) {
        df_text_add(cell, "-");
        return;
    }
    df_text_addf(cell, difference ? "%+.2f" : "%.2f", interval->mean);
    if (!isnan(interval->low))
        df_text_addf(cell, " " PLUS_MINUS " %.2f", (interval->high - interval->low) / 2);
    if (difference && !is_clear(interval))
        df_text_add(cell, " ~");
}

static bool has_axes(const struct df_score_table *table)
{
    for (size_t l = 0; l < table->lines; l++)
        if (table->line[l].axes[0])
            return true;
    return false;
}

/* Returns behind the cells that it fills. */
static struct df_text *add_heads(const struct df_score_table *table, bool axes, struct df_text *cell)
{
    df_text_add(cell++, "method");
    if (axes)
        df_text_add(cell++, "options");
    df_text_add(cell++, "pairs");
    for (size_t c = 0; c < table->columns; c++)
        df_text_add(cell++, table->column->head[c]);
    return cell;
}

static struct df_text *add_line(const struct df_score_table *table, size_t l, bool axes, struct df_text *cell)
{
    const struct df_score_line *line = &table->line[l];
    const bool difference = !is_baseline(table, l);

    df_text_add(cell++, line->label);
    if (axes)
        df_text_add(cell++, line->axes);
    if (difference)
        df_text_addf(cell++, "%zu", line->pairs);
    else
        df_text_add(cell++, "-");
    for (size_t c = 0; c < table->columns; c++)
        add_interval(cell++, difference ? &line->difference[c] : &line->value[c], difference);
    return cell;
}

/* What the table says, in a sentence: "Outside the noise: foreground: Loc -0.48, Bkg +0.85; background: Loc -0.46." */
static void add_verdict(const struct df_score_table *table, struct df_text *out)
{
    size_t clear = 0, pairs = 0;

    for (size_t l = 0; l < table->lines; l++) {
        const struct df_score_line *line = &table->line[l];
        bool named = false;

        pairs += line->pairs;
        for (size_t c = 0; c < table->columns; c++) {
            const struct df_interval *difference = &line->difference[c];

            if (!is_clear(difference))
                continue;
            if (named)
                df_text_add(out, ", ");
            else
                df_text_addf(out, "%s%s%s%s: ", clear ? "; " : "Outside the noise: ", line->label, line->axes[0] ? " " : "", line->axes);
            df_text_addf(out, "%s %+.2f", table->column->head[c], difference->mean);
            named = true;
            clear++;
        }
    }
    if (pairs == 0)
        df_text_add(out, "No pairs, so no differences.");
    else
        df_text_add(out, clear ? "." : "Every difference is inside the noise.");
}

static void add_absent(const struct df_score_line *line, struct df_text *out)
{
    if (line->runs < line->expected)
        df_text_addf(out, "%s%s%s: %zu of %zu runs without these scores.\n", line->label, line->axes[0] ? " " : "", line->axes,
                     line->expected - line->runs, line->expected);
    if (line->unpaired)
        df_text_addf(out, "%s%s%s: pairs left out, for other weights taught them: %zu.\n", line->label, line->axes[0] ? " " : "",
                     line->axes, line->unpaired);
}

static void add_notes(const struct df_score_table *table, struct df_text *out)
{
    const struct df_score_line *base = &table->line[table->line[0].baseline];

    df_text_add(out, table->column->notes);
    df_text_addf(out, "'%s': the scores themselves, mean " PLUS_MINUS " half of the 95 %% interval over seeds (Student t).\n", base->label);
    df_text_addf(out, "other lines: the difference to '%s'%s, paired by seed; ", base->label,
                 base->variant[0] ? " of the same variant" : "");
    if (table->comparisons > 1)
        df_text_addf(out, PLUS_MINUS " half of its %.4g %% interval, so that all %zu hold at once with 95 %% (Bonferroni).\n",
                     100 * table->confidence, table->comparisons);
    else
        df_text_add(out, PLUS_MINUS " half of its 95 % interval.\n");
    df_text_add(out, "~ marks a difference inside the noise: its interval holds 0, or there is none.\n");
    for (size_t l = 0; l < table->lines; l++)
        add_absent(&table->line[l], out);
}

static void add_numbers(struct df_text *row, const struct df_interval *interval)
{
    const double number[] = { interval->mean, interval->sd, interval->low, interval->high };

    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        df_csv_add_real(row, number[i], false);
}

static void add_number_heads(struct df_text *row, const char *metric, const char *what)
{
    static const char *const number[] = { "mean", "sd", "low", "high" };

    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        struct df_text head = DF_TEXT_INIT;

        df_text_addf(&head, "%s%s_%s_percent", metric, what, number[i]);
        df_csv_add(row, head.data, false);
        df_text_release(&head);
    }
}

static void print_csv(const struct df_score_table *table, struct df_text *out)
{
    df_text_add(out, "method,options,runs,n,pairs,difference_confidence");
    for (size_t c = 0; c < table->columns; c++) {
        add_number_heads(out, table->column->metric[c], "");
        add_number_heads(out, table->column->metric[c], "_difference");
    }
    df_text_add(out, "\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_score_line *line = &table->line[l];

        df_csv_add(out, line->label, true);
        df_csv_add(out, line->axes, false);
        df_text_addf(out, ",%zu,%zu,%zu", line->expected, line->runs, line->pairs);
        df_csv_add_real(out, is_baseline(table, l) ? NAN : table->confidence, false);
        for (size_t c = 0; c < table->columns; c++) {
            add_numbers(out, &line->value[c]);
            add_numbers(out, &line->difference[c]);
        }
        df_text_add(out, "\n");
    }
}

void df_score_table_print(const struct df_score_table *table, enum df_table_format format, const char *more, struct df_text *out)
{
    if (format == DF_TABLE_CSV) {
        print_csv(table, out);
        return;
    }
    const bool axes = has_axes(table);
    const size_t named = axes ? 3 : 2, columns = named + table->columns, rows = table->lines + 1;
    struct df_text *cell = df_calloc(rows * columns, sizeof *cell), *next, notes = DF_TEXT_INIT, verdict = DF_TEXT_INIT;
    bool *number = df_calloc(columns, sizeof *number);

    for (size_t c = named - 1; c < columns; c++)
        number[c] = true;
    next = add_heads(table, axes, cell);
    for (size_t l = 0; l < table->lines; l++)
        next = add_line(table, l, axes, next);
    DF_ASSERT(next == cell + rows * columns);
    add_verdict(table, &verdict);
    add_notes(table, &notes);
    df_text_add(&notes, more);
    df_grid_print(&(struct df_grid){ .rows = rows,
                                     .columns = columns,
                                     .cell = cell,
                                     .number = number,
                                     .title = table->column->title,
                                     .subtitle = verdict.data,
                                     .notes = notes.data },
                  format, out);
    for (size_t i = 0; i < rows * columns; i++)
        df_text_release(&cell[i]);
    free(cell);
    free(number);
    df_text_release(&verdict);
    df_text_release(&notes);
}
