/* Heat map: mean mAP over two options of a sweep; a cell that several lines share (other options vary too) shows their mean. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"

enum { CELL_W = 104, CELL_H = 64, LEFT = 110, RIGHT = 140, TOP = 64, BOTTOM = 110, VALUE_BYTES = 64, MOST_VALUES = 64 };

struct axis {
    const char *name;
    size_t count;
    char value[MOST_VALUES][VALUE_BYTES];
};

struct heat_cell {
    double sum, half;
    size_t lines;
};

/* The value of `name` in "w_fg=4 w_bg=16"; also where the text has it as "defeat.w_fg=4". */
static bool axis_value(const char *axes, const char *name, char value[VALUE_BYTES])
{
    const size_t length = strlen(name);

    for (const char *word = axes; *word;) {
        const char *end = word + strcspn(word, " "), *equals = memchr(word, '=', (size_t)(end - word));
        const char *key = equals && (size_t)(equals - word) > length && equals[-(ptrdiff_t)length - 1] == '.' ? equals - length : word;

        if (equals && (size_t)(equals - key) == length && memcmp(key, name, length) == 0 && end - equals - 1 < VALUE_BYTES) {
            memcpy(value, equals + 1, (size_t)(end - equals - 1));
            value[end - equals - 1] = 0;
            return true;
        }
        word = end + strspn(end, " ");
    }
    return false;
}

static size_t find_value(const struct axis *axis, const char *value)
{
    size_t i = 0;

    while (i < axis->count && strcmp(axis->value[i], value) != 0)
        i++;
    return i;
}

/* By number where all are numbers, else in the order of appearance. */
static void sort_axis(struct axis *axis)
{
    double a, b;

    for (size_t i = 0; i < axis->count; i++)
        if (!df_parse_real(axis->value[i], &a))
            return;
    for (size_t i = 1; i < axis->count; i++)
        for (size_t j = i; j > 0 && df_parse_real(axis->value[j - 1], &a) && df_parse_real(axis->value[j], &b) && a > b; j--) {
            char swap[VALUE_BYTES];

            memcpy(swap, axis->value[j], VALUE_BYTES);
            memcpy(axis->value[j], axis->value[j - 1], VALUE_BYTES);
            memcpy(axis->value[j - 1], swap, VALUE_BYTES);
        }
}

static void find_axis(const struct df_table *table, const char *name, const char *other, struct axis *out)
{
    char value[VALUE_BYTES], ignored[VALUE_BYTES];

    out->name = name;
    for (size_t l = 0; l < table->lines; l++) {
        const char *axes = table->line[l].axes;

        if (!axis_value(axes, name, value) || !axis_value(axes, other, ignored) || !table->line[l].points)
            continue;
        if (find_value(out, value) == out->count && out->count < MOST_VALUES)
            memcpy(out->value[out->count++], value, VALUE_BYTES);
    }
    sort_axis(out);
}

static void fill_cells(const struct df_table *table, const struct axis *x, const struct axis *y, struct heat_cell *cells)
{
    char value[VALUE_BYTES], other[VALUE_BYTES];

    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];

        if (!axis_value(line->axes, x->name, value) || !axis_value(line->axes, y->name, other) || !line->points)
            continue;
        const size_t i = find_value(x, value), j = find_value(y, other);

        if (i == x->count || j == y->count)
            continue;
        struct heat_cell *cell = &cells[j * x->count + i];

        cell->sum += line->metric[DF_TABLE_AP].mean;
        cell->half = line->metric[DF_TABLE_AP].n > 1 ? (line->metric[DF_TABLE_AP].high - line->metric[DF_TABLE_AP].low) / 2 : NAN;
        cell->lines++;
    }
}

static void add_data(const struct axis *x, const struct axis *y, const struct heat_cell *cells, struct df_text *out)
{
    df_text_add(out, "x,y,mAP_percent,half_interval,lines,");
    df_csv_add(out, x->name, true);
    df_csv_add(out, y->name, false);
    df_text_add(out, "\n");
    for (size_t j = 0; j < y->count; j++)
        for (size_t i = 0; i < x->count; i++) {
            const struct heat_cell *cell = &cells[j * x->count + i];

            df_text_addf(out, "%zu,%zu", i, j);
            df_csv_add_real(out, cell->lines ? cell->sum / (double)cell->lines : NAN, false);
            df_csv_add_real(out, cell->lines == 1 ? cell->half : NAN, false);
            df_csv_add_int(out, (int64_t)cell->lines, false);
            df_csv_add(out, x->value[i], false);
            df_csv_add(out, y->value[j], false);
            df_text_add(out, "\n");
        }
}

static void add_axis(char letter, const struct axis *axis, struct df_text *out)
{
    df_text_addf(out, "set %crange [-0.5:%zu.5]\nset %clabel ", letter, axis->count - 1, letter);
    df_script_quote(out, axis->name);
    df_text_add(out, letter == 'y' ? " offset -1,0" : "");
    df_text_addf(out, "\nset %ctics scale 0 nomirror (", letter);
    for (size_t i = 0; i < axis->count; i++) {
        df_text_add(out, i ? ", " : "");
        df_script_quote_tic(out, axis->value[i]);
        df_text_addf(out, " %zu", i);
    }
    df_text_add(out, ")\n");
}

/* The number in each cell, dark on light colours and light on dark ones. */
static void add_numbers(const struct axis *x, const struct axis *y, const struct heat_cell *cells, double low, double high,
                        struct df_text *out)
{
    for (size_t j = 0; j < y->count; j++)
        for (size_t i = 0; i < x->count; i++) {
            const struct heat_cell *cell = &cells[j * x->count + i];
            const double mean = cell->lines ? cell->sum / (double)cell->lines : 0;

            if (!cell->lines)
                continue;
            df_text_addf(out, "set label '%.2f'", mean);
            if (cell->lines == 1 && !isnan(cell->half))
                df_text_addf(out, ".\"\\n\".'\xc2\xb1 %.2f'", cell->half);
            df_text_addf(out, " at first %zu,%zu center font ',11' offset 0,%s front textcolor rgb '%s'\n", i, j,
                         cell->lines == 1 && !isnan(cell->half) ? "0.5" : "0", mean - low > 0.55 * (high - low) ? "#000000" : "#ffffff");
        }
}

static void add_script(const struct df_table *table, const struct axis *x, const struct axis *y, const struct heat_cell *cells,
                       const char *name, struct df_text *out)
{
    const size_t width = LEFT + RIGHT + CELL_W * x->count < 640 ? 640 : LEFT + RIGHT + CELL_W * x->count,
                 height = TOP + BOTTOM + CELL_H * y->count;
    double low = INFINITY, high = -INFINITY;

    for (size_t i = 0; i < x->count * y->count; i++)
        if (cells[i].lines) {
            low = fmin(low, cells[i].sum / (double)cells[i].lines);
            high = fmax(high, cells[i].sum / (double)cells[i].lines);
        }
    if (high - low < 1) { /* colours span a point at least: noise shall not look like a landscape */
        low = fmax(0, (low + high) / 2 - 0.5);
        high = low + 1;
    }
    df_script_begin(out, name, width, height);
    df_text_add(out, "unset key\nunset border\nset title ");
    df_script_quote(out, table->title);
    df_text_add(out, " font ',14'\n");
    df_text_addf(out, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", (double)LEFT / (double)width,
                 1 - (double)RIGHT / (double)width);
    df_text_addf(out, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n", 1 - (double)TOP / (double)height,
                 (double)BOTTOM / (double)height);
    df_text_add(out, "set palette defined (0 '#440154', 1 '#414487', 2 '#2a788e', 3 '#22a884', 4 '#7ad151', 5 '#fde725')\n");
    df_text_addf(out, "set cbrange [%.9g:%.9g]\nset cblabel 'mAP (%%)' offset 2,0\nset colorbox noborder\n", low, high);
    df_text_add(out, "set cbtics scale 0\nset format cb '%g'\n");
    add_axis('x', x, out);
    add_axis('y', y, out);
    add_numbers(x, y, cells, low, high, out);
    df_text_addf(out,
                 "set label 'Mean mAP over seeds, \xc2\xb1 half of its 95 %% interval (Student t).' at screen 0.012,screen %.5f left font "
                 "',10' textcolor rgb '#444444'\n",
                 18.0 / (double)height);
    df_text_addf(out,
                 "plot '%s.csv' skip 1 using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror fillstyle solid 1 noborder "
                 "linecolor palette\n",
                 name);
    df_script_end(out);
}

df_status df_plot_heat(const struct df_table *table, const char *axis_x, const char *axis_y, const char *folder, const char *name,
                       struct df_error *err)
{
    struct axis *x = df_calloc(1, sizeof *x), *y = df_calloc(1, sizeof *y);
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;
    df_status status;

    find_axis(table, axis_x, axis_y, x);
    find_axis(table, axis_y, axis_x, y);
    struct heat_cell *cells = df_calloc(x->count * y->count + 1, sizeof *cells);

    if (x->count < 2 || y->count < 2) {
        status = df_fail(err, DF_ERR_UNSUPPORTED,
                         "a heat map over '%s' and '%s': found %zu x %zu values with finished runs, expected at least 2 x 2", axis_x,
                         axis_y, x->count, y->count);
    } else {
        fill_cells(table, x, y, cells);
        add_data(x, y, cells, &data);
        add_script(table, x, y, cells, name, &script);
        status = df_script_run(folder, name, &data, &script, err);
    }
    free(cells);
    free(x);
    free(y);
    df_text_release(&data);
    df_text_release(&script);
    return status;
}
