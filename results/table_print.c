/* Tables as text, Markdown, CSV, LaTeX. The three that people read are one grid of cells; the CSV has a column for every number instead. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/csv_rows.h"
#include "results/grid.h"
#include "results/table.h"

#define PLUS_MINUS "\xc2\xb1"

struct grid {
    size_t rows, columns, next;
    struct df_text *cell; /* [rows, columns] */
    bool *number;         /* [columns]: set right, in LaTeX as a formula */
};

/* The next cell of the grid, row by row. */
static struct df_text *next_cell(struct grid *grid) { return &grid->cell[grid->next++]; }

static void add_number(struct grid *grid, double value, int digits)
{
    struct df_text *cell = next_cell(grid);

    if (isnan(value))
        df_text_add(cell, "-");
    else
        df_text_addf(cell, "%.*f", digits, value);
}

static void add_mean(struct grid *grid, const struct df_interval *interval, bool difference)
{
    struct df_text *cell = next_cell(grid);

    if (interval->n == 0) {
        df_text_add(cell, "-");
        return;
    }
    df_text_addf(cell, difference ? "%+.2f" : "%.2f", interval->mean);
    if (interval->n > 1 && !isnan(interval->low))
        df_text_addf(cell, " " PLUS_MINUS " %.2f", (interval->high - interval->low) / 2);
}

/* A p as it is told: "0.021", "<0.001". */
static void add_p(struct grid *grid, double p)
{
    struct df_text *cell = next_cell(grid);

    if (isnan(p))
        df_text_add(cell, "-");
    else if (p < 0.001)
        df_text_add(cell, "<0.001");
    else
        df_text_addf(cell, "%.3f", p);
}

static bool has_axes(const struct df_table *table)
{
    for (size_t l = 0; l < table->lines; l++)
        if (table->line[l].axes[0])
            return true;
    return false;
}

/* In what people read: AP, and these behind the difference. */
enum { SHOWN_FIRST = DF_TABLE_AP + 1, SHOWN = 5 };

static void add_heads(struct grid *grid, const struct df_table *table, bool axes, bool classes)
{
    df_text_add(next_cell(grid), "method");
    if (axes)
        df_text_add(next_cell(grid), "options");
    df_text_add(next_cell(grid), "n");
    df_text_add(next_cell(grid), "mAP");
    df_text_add(next_cell(grid), "sd");
    df_text_add(next_cell(grid), "difference");
    df_text_add(next_cell(grid), "pairs");
    df_text_add(next_cell(grid), "p");
    df_text_add(next_cell(grid), "");
    for (size_t i = 0; i < SHOWN; i++)
        df_text_add(next_cell(grid), df_table_metrics[SHOWN_FIRST + i]);
    for (size_t k = 0; classes && k < table->line[0].classes; k++)
        df_text_add_shown(next_cell(grid), table->line[0].class_name[k]);
    df_text_add(next_cell(grid), "s/run");
}

static void add_line(struct grid *grid, const struct df_table_line *line, bool is_baseline, bool axes, bool classes)
{
    df_text_add_shown(next_cell(grid), line->label);
    if (axes)
        df_text_add(next_cell(grid), line->axes);
    if (line->points == line->expected)
        df_text_addf(next_cell(grid), "%zu", line->points);
    else
        df_text_addf(next_cell(grid), "%zu/%zu", line->points, line->expected);
    add_mean(grid, &line->metric[DF_TABLE_AP], false);
    add_number(grid, line->metric[DF_TABLE_AP].sd, 2);
    add_mean(grid, &line->difference, true);
    if (is_baseline)
        df_text_add(next_cell(grid), "-");
    else
        df_text_addf(next_cell(grid), "%zu", line->difference.n);
    add_p(grid, line->p);
    df_text_add(next_cell(grid), line->difference.n && line->inside_noise ? "~" : "");
    for (size_t i = 0; i < SHOWN; i++)
        add_number(grid, line->metric[SHOWN_FIRST + i].mean, 2);
    for (size_t k = 0; classes && k < line->classes; k++)
        add_number(grid, line->class_ap[k].mean, 2);
    add_number(grid, line->seconds, 1);
}

static void grid_init(struct grid *grid, const struct df_table *table, bool classes)
{
    const bool axes = has_axes(table);
    const size_t more = (axes ? 1 : 0) + (classes ? table->line[0].classes : 0);

    *grid = (struct grid){ .rows = table->lines + 1, .columns = 9 + SHOWN + more };
    grid->cell = df_calloc(grid->rows * grid->columns, sizeof *grid->cell);
    grid->number = df_calloc(grid->columns, sizeof *grid->number);
    for (size_t c = axes ? 2 : 1; c < grid->columns; c++)
        grid->number[c] = true;
    add_heads(grid, table, axes, classes);
    for (size_t l = 0; l < table->lines; l++)
        add_line(grid, &table->line[l], l == table->line[l].baseline, axes, classes);
    DF_ASSERT(grid->next == grid->rows * grid->columns);
}

static void grid_release(struct grid *grid)
{
    for (size_t i = 0; i < grid->rows * grid->columns; i++)
        df_text_release(&grid->cell[i]);
    free(grid->cell);
    free(grid->number);
}

/* Of the first run of the line that failed. */
static void add_why(const struct df_table_line *line, struct df_text *out)
{
    static const char failed[] = "failed: ";
    const bool known = strncmp(line->why, failed, strlen(failed)) == 0;

    df_text_addf(out, " (seed %lld: %s)", (long long)line->why_seed, df_shown(line->why + (known ? strlen(failed) : 0)).text);
}

/* Every run that is not in the numbers. */
static void add_absent(const struct df_table_line *line, struct df_text *out)
{
    const size_t missing = line->expected - line->points - line->failed;
    const char *between = ": ";

    if (!missing && !line->failed && !line->stale && !line->unpaired)
        return;
    df_text_addf(out, "%s%s%s", line->label, line->axes[0] ? " " : "", line->axes);
    if (missing) {
        df_text_addf(out, "%s%zu of %zu runs missing", between, missing, line->expected);
        between = ", ";
    }
    if (line->failed) {
        df_text_addf(out, "%s%zu of %zu runs failed", between, line->failed, line->expected);
        add_why(line, out);
        between = ", ";
    }
    if (line->stale) {
        df_text_addf(out, "%sstale rows of another version left out: %zu", between, line->stale);
        between = ", ";
    }
    if (line->unpaired)
        df_text_addf(out, "%spairs left out, for other weights taught them: %zu", between, line->unpaired);
    df_text_add(out, ".\n");
}

/* Differences that no interval can be given of. */
static void add_without_interval(const struct df_table *table, struct df_text *out)
{
    size_t one = 0, equal = 0;

    for (size_t l = 0; l < table->lines; l++) {
        one += table->line[l].difference.n == 1;
        equal += table->line[l].difference.n > 1 && isnan(table->line[l].difference.low);
    }
    if (one)
        df_text_addf(out, "one seed: no interval (of %zu line%s).\n", one, one == 1 ? "" : "s");
    if (equal)
        df_text_addf(out, "differences that are all equal have no spread, and no interval (of %zu line%s).\n", equal,
                     equal == 1 ? "" : "s");
}

/* What the reader must know, one sentence per line. */
static void add_notes(const struct df_table *table, bool classes, struct df_text *out)
{
    df_text_addf(out, "mAP in percent, mean " PLUS_MINUS " half of the 95 %% interval over n seeds (Student t); sd: standard deviation.\n");
    df_text_addf(out, "difference: to '%s'%s, paired by seed, over so many pairs; ", table->line[table->line[0].baseline].label,
                 table->line[0].variant[0] ? " of the same variant" : "");
    if (table->comparisons > 1)
        df_text_addf(out,
                     PLUS_MINUS
                     " half of its %.4g %% interval, so that all %zu hold at once with 95 %% (Bonferroni); p: two-sided t, Holm over the "
                     "%zu.\n",
                     100 * table->confidence, table->comparisons, table->comparisons);
    else
        df_text_add(out, PLUS_MINUS " half of its 95 % interval; p: two-sided t.\n");
    df_text_add(out, "~ marks a difference inside the noise: its interval holds 0, or there is none.\n");
    add_without_interval(table, out);
    if (classes && table->line[0].classes)
        df_text_add(out, "Columns after APl: AP of each class.\n");
    if (table->elsewhere)
        df_text_addf(out, "rows of another GPU, driver or build left out: %zu (--environment chooses).\n", table->elsewhere);
    for (size_t l = 0; l < table->lines; l++)
        add_absent(&table->line[l], out);
}

static void add_interval(struct df_text *row, const struct df_interval *interval)
{
    df_csv_add_real(row, interval->mean, false);
    df_csv_add_real(row, interval->sd, false);
    df_csv_add_real(row, interval->low, false);
    df_csv_add_real(row, interval->high, false);
}

static void add_interval_heads(struct df_text *row, const char *name)
{
    static const char *const parts[] = { "mean", "sd", "low", "high" };
    struct df_text head = DF_TEXT_INIT;

    for (size_t i = 0; i < 4; i++) {
        df_text_clear(&head);
        df_text_addf(&head, "%s_%s_percent", name, parts[i]);
        df_csv_add(row, head.data, false);
    }
    df_text_release(&head);
}

static void print_csv(const struct df_table *table, bool classes, struct df_text *out)
{
    static const char *const first[] = { "method", "options", "runs", "n", "failed", "stale" };

    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        df_csv_add(out, first[i], i == 0);
    for (size_t m = 0; m < DF_TABLE_METRICS; m++)
        add_interval_heads(out, df_table_metrics[m]);
    add_interval_heads(out, "difference");
    df_text_add(out, ",difference_n,difference_confidence,p_holm,inside_noise,seconds_per_run");
    for (size_t k = 0; classes && k < table->line[0].classes; k++)
        add_interval_heads(out, table->line[0].class_name[k]);
    df_text_add(out, "\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];

        df_csv_add(out, line->label, true);
        df_csv_add(out, line->axes, false);
        df_text_addf(out, ",%zu,%zu,%zu,%zu", line->expected, line->points, line->failed, line->stale);
        for (size_t m = 0; m < DF_TABLE_METRICS; m++)
            add_interval(out, &line->metric[m]);
        add_interval(out, &line->difference);
        df_text_addf(out, ",%zu", line->difference.n);
        df_csv_add_real(out, l == line->baseline ? NAN : table->confidence, false);
        df_csv_add_real(out, line->p, false);
        df_text_addf(out, ",%s", l == line->baseline ? "" : line->inside_noise ? "1" : "0");
        df_csv_add_real(out, line->seconds, false);
        for (size_t k = 0; classes && k < line->classes; k++)
            add_interval(out, &line->class_ap[k]);
        df_text_add(out, "\n");
    }
}

void df_table_print(const struct df_table *table, enum df_table_format format, bool classes, struct df_text *out)
{
    struct df_text notes = DF_TEXT_INIT;
    struct grid grid;

    if (format == DF_TABLE_CSV) {
        print_csv(table, classes, out);
        return;
    }
    grid_init(&grid, table, classes);
    add_notes(table, classes, &notes);
    df_grid_print(&(struct df_grid){ .rows = grid.rows,
                                     .columns = grid.columns,
                                     .cell = grid.cell,
                                     .number = grid.number,
                                     .title = table->title,
                                     .subtitle = table->teacher,
                                     .notes = df_text_get(&notes) },
                  format, out);
    grid_release(&grid);
    df_text_release(&notes);
}
