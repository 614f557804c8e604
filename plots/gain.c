/* Gains over a spec's variants: across the variants, one line per method with the paired difference to the baseline of that variant and its
 * interval. Methods stand a little beside each other. */
#include <math.h>
#include <string.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"

enum { WIDTH = 860, HEIGHT = 460, MOST_METHODS = 12, MOST_VARIANTS = 64 };

struct layout {
    size_t variants, methods;
    const char *variant[MOST_VARIANTS], *method[MOST_METHODS];
};

static size_t place(const char **names, size_t *count, size_t most, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    if (*count == most)
        return most;
    names[*count] = name;
    return (*count)++;
}

/* Lines whose options vary besides the variant are no single line of the plot: left out. */
static bool shown(const struct df_table *table, size_t l)
{
    const struct df_table_line *line = &table->line[l];

    return line->variant[0] && l != line->baseline && line->difference.n > 0 && strcmp(line->axes, line->variant) == 0;
}

static void find_layout(const struct df_table *table, struct layout *layout)
{
    for (size_t l = 0; l < table->lines; l++)
        place(layout->variant, &layout->variants, MOST_VARIANTS, table->line[l].variant);
    for (size_t l = 0; l < table->lines; l++)
        if (shown(table, l))
            place(layout->method, &layout->methods, MOST_METHODS, table->line[l].label);
}

static void add_data(const struct df_table *table, struct layout *layout, struct df_text *out)
{
    df_text_add(out, "position,line,difference,low,high,n,variant,method\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];
        const size_t v = place(layout->variant, &layout->variants, MOST_VARIANTS, line->variant);
        const size_t m = shown(table, l) ? place(layout->method, &layout->methods, MOST_METHODS, line->label) : MOST_METHODS;

        if (v == MOST_VARIANTS || m == MOST_METHODS)
            continue;
        const double beside = layout->methods > 1 ? 0.24 * ((double)m / (double)(layout->methods - 1) - 0.5) : 0;

        df_csv_add_real(out, (double)v + beside, true);
        df_csv_add_int(out, (int64_t)m, false);
        df_csv_add_real(out, line->difference.mean, false);
        df_csv_add_real(out, line->difference.low, false);
        df_csv_add_real(out, line->difference.high, false);
        df_csv_add_int(out, (int64_t)line->difference.n, false);
        df_csv_add(out, line->variant, false);
        df_csv_add(out, line->label, false);
        df_text_add(out, "\n");
    }
}

static void add_lines(const struct layout *layout, struct df_text *out)
{
    static const char *const colors[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00" };

    df_text_add(out, "plot ");
    for (size_t m = 0; m < layout->methods; m++) {
        const char *color = colors[m % (sizeof colors / sizeof *colors)];

        df_text_addf(out,
                     "%sDATA skip 1 using ($2==%zu ? $1 : 1/0):3 with linespoints linecolor rgb '%s' linewidth 1.2 pointtype 7 pointsize "
                     "0.7 notitle, \\\n     ",
                     m ? ", \\\n     " : "", m, color);
        df_text_addf(out,
                     "DATA skip 1 using ($2==%zu ? $1 : 1/0):3:4:5 with yerrorbars linecolor rgb '%s' linewidth 1.6 pointtype 7 pointsize "
                     "0.7 title ",
                     m, color);
        df_script_quote(out, layout->method[m]);
    }
    df_text_add(out, "\n");
}

static void add_range(const struct df_table *table, struct df_text *out)
{
    struct df_script_range range = { 0 };

    for (size_t l = 0; l < table->lines; l++)
        if (shown(table, l)) {
            df_script_widen(&range, table->line[l].difference.mean);
            df_script_widen(&range, table->line[l].difference.low);
            df_script_widen(&range, table->line[l].difference.high);
        }
    if (range.low < range.high) /* else every difference is 0: gnuplot finds a range */
        df_script_add_range(out, "y", &range);
}

static void add_frame(const struct df_table *table, const struct layout *layout, struct df_text *out)
{
    df_text_add(out, "set title ");
    df_script_quote(out, table->title);
    df_text_add(out, " font ',14'\nset key bmargin center horizontal noenhanced\nset border 3 linecolor rgb '#444444'\nset tics nomirror\n"
                     "set grid ytics linetype 1 linewidth 0.6 linecolor rgb '#dddddd'\nset ylabel 'paired difference (points)'\n"
                     "set errorbars 0.6\nset datafile missing NaN\nset xtics (");
    for (size_t v = 0; v < layout->variants; v++) {
        df_text_add(out, v ? ", " : "");
        df_script_quote_tic(out, layout->variant[v]);
        df_text_addf(out, " %zu", v);
    }
    df_text_addf(out, ")\nset xrange [-0.5:%.1f]\nset bmargin 6\n", (double)layout->variants - 0.5);
    df_text_add(out, "set xlabel 'Difference to '.");
    df_script_quote(out, table->line[table->line[0].baseline].label);
    df_text_addf(out,
                 ".' of the same variant, paired by seed, with its %.4g %% interval (all hold at once with 95 %%).' font ',10' textcolor "
                 "rgb '#444444'\n",
                 100 * table->confidence);
    df_text_add(out, "set arrow 1 from graph 0,first 0 to graph 1,first 0 nohead linecolor rgb '#000000' linewidth 1\n");
}

df_status df_plot_gain(const struct df_table *table, const char *folder, const char *name, struct df_error *err)
{
    struct layout layout = { 0 };
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;

    find_layout(table, &layout);
    if (layout.variants < 2 || !layout.methods)
        return df_fail(err, DF_ERR_UNSUPPORTED, "gains over variants: %zu variants with %zu methods (expected at least 2 and 1)",
                       layout.variants, layout.methods);
    add_data(table, &layout, &data);
    df_script_begin(&script, name, WIDTH, HEIGHT);
    df_text_addf(&script, "DATA = '%s.csv'\n", name);
    add_frame(table, &layout, &script);
    add_range(table, &script);
    add_lines(&layout, &script);
    df_script_end(&script);
    const df_status status = df_script_run(folder, name, &data, &script, err);

    df_text_release(&data);
    df_text_release(&script);
    return status;
}
