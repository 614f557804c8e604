/* Gains over a spec's variants: across the variants, one line per method with the paired difference to the baseline of that variant and its
 * interval. Methods stand a little beside each other. */
#include <math.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"
#include "results/gains.h"

enum { WIDTH = 860, HEIGHT = 460 };

static void add_data(const struct df_table *table, const struct df_gains *gains, struct df_text *out)
{
    df_text_add(out, "position,line,difference,low,high,n,variant,method\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];
        size_t v, m;

        if (!df_gains_place(gains, table, l, &v, &m))
            continue;
        const double beside = gains->methods > 1 ? 0.24 * ((double)m / (double)(gains->methods - 1) - 0.5) : 0;

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

static void add_lines(const struct df_gains *gains, struct df_text *out)
{
    static const char *const colors[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00" };

    df_text_add(out, "plot ");
    for (size_t m = 0; m < gains->methods; m++) {
        const char *color = colors[m % (sizeof colors / sizeof *colors)];

        df_text_addf(out,
                     "%sDATA skip 1 using ($2==%zu ? $1 : 1/0):3 with linespoints linecolor rgb '%s' linewidth 1.2 pointtype 7 pointsize "
                     "0.7 notitle, \\\n     ",
                     m ? ", \\\n     " : "", m, color);
        df_text_addf(out,
                     "DATA skip 1 using ($2==%zu ? $1 : 1/0):3:4:5 with yerrorbars linecolor rgb '%s' linewidth 1.6 pointtype 7 pointsize "
                     "0.7 title ",
                     m, color);
        df_script_quote(out, gains->method[m]);
    }
    df_text_add(out, "\n");
}

static void add_range(const struct df_table *table, const struct df_gains *gains, struct df_text *out)
{
    struct df_script_range range = { 0 };
    size_t v, m;

    for (size_t l = 0; l < table->lines; l++)
        if (df_gains_place(gains, table, l, &v, &m)) {
            df_script_widen(&range, table->line[l].difference.mean);
            df_script_widen(&range, table->line[l].difference.low);
            df_script_widen(&range, table->line[l].difference.high);
        }
    if (range.low < range.high) /* else every difference is 0: gnuplot finds a range */
        df_script_add_range(out, "y", &range);
}

static void add_frame(const struct df_table *table, const struct df_gains *gains, struct df_text *out)
{
    df_text_add(out, "set title ");
    df_script_quote(out, table->title);
    df_text_add(out, " font ',14'\nset key bmargin center horizontal noenhanced\nset border 3 linecolor rgb '#444444'\nset tics nomirror\n"
                     "set grid ytics linetype 1 linewidth 0.6 linecolor rgb '#dddddd'\nset ylabel 'paired difference (points)'\n"
                     "set errorbars 0.6\nset datafile missing NaN\nset xtics (");
    for (size_t v = 0; v < gains->variants; v++) {
        df_text_add(out, v ? ", " : "");
        df_script_quote_tic(out, gains->variant[v]);
        df_text_addf(out, " %zu", v);
    }
    df_text_addf(out, ")\nset xrange [-0.5:%.1f]\nset bmargin 6\n", (double)gains->variants - 0.5);
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
    struct df_gains gains;
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;

    df_gains_find(table, &gains);
    if (gains.variants < 2 || !gains.methods)
        return df_fail(err, DF_ERR_UNSUPPORTED, "gains over variants: %zu variants with %zu methods (expected at least 2 and 1)",
                       gains.variants, gains.methods);
    add_data(table, &gains, &data);
    df_script_begin(&script, name, WIDTH, HEIGHT);
    df_text_addf(&script, "DATA = '%s.csv'\n", name);
    add_frame(table, &gains, &script);
    add_range(table, &gains, &script);
    add_lines(&gains, &script);
    df_script_end(&script);
    const df_status status = df_script_run(folder, name, &data, &script, err);

    df_text_release(&data);
    df_text_release(&script);
    return status;
}
