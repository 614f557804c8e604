/* Bars: on the left the mAP of each method with its interval and every seed as a dot, on the right the paired difference to the baseline. */
#include <math.h>
#include <string.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"

enum { ROW = 40, TOP = 64, BOTTOM = 112, WIDTH = 1080, LETTER = 9, MOST_LETTERS = 48 };

/* Rows: point 0 is a method's mean; point k its k-th seed, drawn a little beside the middle of the bar. */
static void add_data(const struct df_table *table, struct df_text *out)
{
    df_text_add(out,
                "position,point,mAP_percent,low,high,difference,difference_low,difference_high,inside_noise,baseline,method,options\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];
        const struct df_interval *ap = &line->metric[DF_TABLE_AP], *d = &line->difference;

        for (size_t p = 0; p <= line->points; p++) {
            const double spread = p == 0 || line->points < 2 ? 0 : 0.36 * ((double)(p - 1) / (double)(line->points - 1) - 0.5);

            df_csv_add_real(out, (double)l + spread, true);
            df_csv_add_int(out, (int64_t)p, false);
            df_csv_add_real(out, p ? line->point[p - 1] : ap->mean, false);
            df_csv_add_real(out, p ? NAN : ap->low, false);
            df_csv_add_real(out, p ? NAN : ap->high, false);
            df_csv_add_real(out, p || !d->n ? NAN : d->mean, false);
            df_csv_add_real(out, p ? NAN : d->low, false);
            df_csv_add_real(out, p ? NAN : d->high, false);
            df_csv_add_int(out, line->inside_noise, false);
            df_csv_add_int(out, l == line->baseline, false);
            df_csv_add(out, line->label, false);
            df_csv_add(out, line->axes, false);
            df_text_add(out, "\n");
        }
    }
}

/* Letters among the first `bytes` bytes of UTF-8. */
static size_t letters_in(const char *text, size_t bytes)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static size_t longest_label(const struct df_table *table)
{
    size_t most = 0;

    for (size_t l = 0; l < table->lines; l++) {
        const size_t a = letters_in(table->line[l].label, strlen(table->line[l].label)),
                     b = letters_in(table->line[l].axes, strlen(table->line[l].axes));

        most = a > most ? a : most;
        most = b > most ? b : most;
    }
    return most < MOST_LETTERS ? most : MOST_LETTERS + 1;
}

/* A name as far as it fits; the CSV has all of it. */
static void add_name(const char *name, struct df_text *out)
{
    struct df_text shown = DF_TEXT_INIT;
    size_t n = 0;

    while (name[n] && letters_in(name, n + 1) <= MOST_LETTERS)
        n++;
    df_text_add_bytes(&shown, name, n);
    df_text_add(&shown, name[n] ? "\xe2\x80\xa6" : "");
    df_script_quote(out, df_text_get(&shown));
    df_text_release(&shown);
}

/* Labels instead of tics, whose text gnuplot cuts off at 50 bytes. */
static void add_names(const struct df_table *table, struct df_text *out)
{
    df_text_add(out, "unset ytics\n");
    for (size_t l = 0; l < table->lines; l++) {
        const bool two = table->line[l].axes[0] != 0;

        df_text_addf(out, "set label %zu ", 10 + table->lines + l);
        add_name(table->line[l].label, out);
        if (two) {
            df_text_add(out, ".\"\\n\".");
            add_name(table->line[l].axes, out);
        }
        df_text_addf(out, " at graph 0,first %zu right offset -1,%s\n", l, two ? "0.5" : "0");
    }
}

static double largest(const struct df_table *table)
{
    double most = 1;

    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];

        most = fmax(most, fmax(line->metric[DF_TABLE_AP].mean, line->metric[DF_TABLE_AP].high)); /* fmax leaves NAN out */
        for (size_t p = 0; p < line->points; p++)
            most = fmax(most, line->point[p]);
    }
    return most;
}

/* "31.20 +- 0.61" behind the bar. */
static void add_values(const struct df_table *table, double most, struct df_text *out)
{
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];
        const struct df_interval *ap = &line->metric[DF_TABLE_AP];
        double end = fmax(ap->mean, ap->high);

        for (size_t p = 0; p < line->points; p++)
            end = fmax(end, line->point[p]);
        df_text_addf(out, "set label %zu '", l + 10);
        if (ap->n == 0)
            df_text_add(out, "no finished run");
        else if (isnan(ap->low))
            df_text_addf(out, "%.2f", ap->mean);
        else
            df_text_addf(out, "%.2f \xc2\xb1 %.2f", ap->mean, (ap->high - ap->low) / 2);
        df_text_addf(out, "' at first %.6g,%zu left font ',11'\n", ap->n ? end + 0.015 * most : 0.015 * most, l);
    }
}

static void add_left(const struct df_table *table, struct df_text *out)
{
    const double most = largest(table);
    double low = 0; /* a whisker of two seeds may go below zero: it is not cut */

    for (size_t l = 0; l < table->lines; l++)
        low = fmin(low, table->line[l].metric[DF_TABLE_AP].low);
    df_text_addf(out, "set xrange [%.6g:%.6g]\nset xlabel 'mAP (%%)'\n", 1.06 * low, 1.32 * most);
    add_names(table, out);
    add_values(table, most, out);
    df_text_add(out, "plot DATA skip 1 using ($2==0 ? $3 : NaN):1:(0):3:($1-0.32):($1+0.32):($10==1 ? 0xb3b3b3 : 0x9ccbe8) with boxxyerror "
                     "fillstyle solid 1 noborder linecolor rgb variable, \\\n"
                     "     DATA skip 1 using ($2>0 ? $3 : NaN):1 with points pointtype 7 pointsize 0.45 linecolor rgb '#0072b2', \\\n"
                     "     DATA skip 1 using ($2==0 ? $3 : NaN):1:4:5 with xerrorbars pointtype -1 linewidth 1.6 linecolor rgb '#000000'\n"
                     "unset label\n");
}

static void add_right(const struct df_table *table, struct df_text *out)
{
    struct df_script_range range = { 0 };
    bool interval = false;

    for (size_t l = 0; l < table->lines; l++) {
        const struct df_interval *d = &table->line[l].difference;

        if (d->n == 0)
            continue;
        df_script_widen(&range, d->mean);
        df_script_widen(&range, d->low);
        df_script_widen(&range, d->high);
        interval |= d->n > 1;
    }
    if (range.low == range.high) /* no difference, or none but 0 */
        range = (struct df_script_range){ -1, 1 };
    df_script_add_range(out, "x", &range);
    df_text_addf(out, "set xlabel '%s'\n", interval ? "paired difference (points)" : "points; one seed: no interval");
    df_text_addf(out, "set arrow 1 from 0,graph 0 to 0,graph 1 nohead linecolor rgb '#000000' linewidth 1\n");
    for (int noise = 0; noise < 2; noise++) { /* points of their own: an error bar without an interval is not drawn */
        const char *const style = noise ? "pointtype 6 pointsize 0.8 linewidth 1.6 linecolor rgb '#777777'"
                                        : "pointtype 7 pointsize 0.8 linewidth 1.6 linecolor rgb '#d55e00'";

        df_text_addf(out, "%sDATA skip 1 using ($9==%d && $2==0 ? $6 : NaN):1:7:8 with xerrorbars %s, \\\n", noise ? "     " : "plot ",
                     noise, style);
        df_text_addf(out, "     DATA skip 1 using ($9==%d && $2==0 && strlen(strcol(7))==0 ? $6 : NaN):1 with points %s%s\n", noise, style,
                     noise ? "" : ", \\");
    }
}

static void add_caption(const struct df_table *table, size_t height, struct df_text *out)
{
    const char *const style = "left font ',10' textcolor rgb '#444444'";

    df_text_add(out, "set label 1 ");
    df_script_quote(out, table->title);
    df_text_addf(out, " at screen 0.5,screen %.5f center font ',14'\n", 1 - 26.0 / (double)height);
    df_text_addf(out,
                 "set label 2 'Bars: mean over seeds. Whiskers: 95 %% interval of the mean (Student t). Dots: seeds.' at screen "
                 "0.012,screen %.5f %s\n",
                 40.0 / (double)height, style);
    df_text_add(out, "set label 3 'Right: difference to '.");
    df_script_quote(out, table->line[table->line[0].baseline].label);
    df_text_addf(out,
                 ".'%s, paired by seed, with its %.4g %% interval (all hold at once with 95 %%); hollow and grey: inside the noise.' at "
                 "screen 0.012,screen %.5f %s\n",
                 table->line[0].variant[0] ? " of the same variant" : "", 100 * table->confidence, 18.0 / (double)height, style);
}

df_status df_plot_bars(const struct df_table *table, const char *folder, const char *name, struct df_error *err)
{
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;
    const size_t height = TOP + BOTTOM + ROW * table->lines, wide = 30 + LETTER * longest_label(table);
    const size_t labels = wide < 120 ? 120 : wide;
    const double left = (double)labels / WIDTH, middle = left + 0.62 * (0.975 - left);

    add_data(table, &data);
    df_script_begin(&script, name, WIDTH, height);
    df_text_addf(&script, "DATA = '%s.csv'\nset multiplot\nunset key\nset border 1 linecolor rgb '#444444'\n", name);
    df_text_addf(&script,
                 "set yrange [%.1f:-0.5]\nset xtics nomirror\nset grid xtics linetype 1 linewidth 0.6 linecolor rgb '#dddddd'\nset "
                 "errorbars 0.6\n",
                 (double)table->lines - 0.5);
    df_text_addf(&script, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n", 1 - (double)TOP / (double)height,
                 (double)BOTTOM / (double)height);
    add_caption(table, height, &script);
    df_text_addf(&script, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", left, middle - 0.012);
    add_left(table, &script);
    df_text_addf(&script, "set lmargin at screen %.5f\nset rmargin at screen 0.975\n", middle + 0.012);
    add_right(table, &script);
    df_text_add(&script, "unset multiplot\n");
    df_script_end(&script);
    const df_status status = df_script_run(folder, name, &data, &script, err);

    df_text_release(&data);
    df_text_release(&script);
    return status;
}
