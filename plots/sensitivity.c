/* What trials say of weights: a panel per method and weight, a point per trial. A method's other weights vary along, so that a panel shows how much
 * of the spread its weight explains. */
#include <math.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"

enum { COLUMNS = 4, PANEL_WIDTH = 250, PANEL_HEIGHT = 190, HEADING = 60 };

static const char *kind_of(const struct df_plot_weight *weight, size_t trial)
{
    return trial == weight->best ? "best" : trial == weight->start ? "start" : "trial";
}

/* Columns: panel, value, score, what the trial is, method, weight. */
static void add_data(const struct df_sensitivity *what, struct df_text *out)
{
    df_text_add(out, "panel,value,score,kind,method,weight\n");
    for (size_t w = 0; w < what->weights; w++) {
        const struct df_plot_weight *weight = &what->weight[w];

        for (size_t t = 0; t < weight->trials; t++) {
            if (isnan(weight->trial[t].score))
                continue;
            df_csv_add_int(out, (int64_t)w, true);
            df_csv_add_real(out, weight->trial[t].value, false);
            df_csv_add_real(out, weight->trial[t].score, false);
            df_csv_add(out, kind_of(weight, t), false);
            df_csv_add(out, weight->method, false);
            df_csv_add(out, weight->weight, false);
            df_text_add(out, "\n");
        }
    }
}

/* From the worst to the best of all panels, with room around them: here the differences are small against the distance to zero. */
static void add_range(const struct df_sensitivity *what, struct df_text *out)
{
    double low = what->reference ? what->reference_score : INFINITY, high = what->reference ? what->reference_score : -INFINITY;

    for (size_t w = 0; w < what->weights; w++)
        for (size_t t = 0; t < what->weight[w].trials; t++) {
            low = fmin(low, what->weight[w].trial[t].score); /* NAN changes nothing */
            high = fmax(high, what->weight[w].trial[t].score);
        }
    const double room = high > low ? 0.08 * (high - low) : 1;

    if (low <= high)
        df_text_addf(out, "set yrange [%.6g:%.6g]\n", low - room, high + room);
}

static void add_frame(const struct df_sensitivity *what, size_t rows, struct df_text *out)
{
    df_text_addf(out, "set multiplot layout %zu,%d title ", rows, COLUMNS);
    df_script_quote(out, what->title);
    df_text_add(out, ".\"\\nmAP (%) on the tuning split by weight; ring: where the search starts, filled: best\"");
    if (what->reference) {
        df_text_add(out, ".', line: '.");
        df_script_quote(out, what->reference);
    }
    df_text_add(out, " font ',11'\nset border 3 linecolor rgb '#444444'\nset tics nomirror font ',9'\nset logscale x\nunset key\n"
                     "set grid ytics linetype 1 linewidth 0.6 linecolor rgb '#dddddd'\nset datafile missing NaN\n");
    if (what->reference)
        df_text_addf(out, "set arrow 1 from graph 0,first %.6g to graph 1,first %.6g nohead linecolor rgb '#777777' linewidth 1\n",
                     what->reference_score, what->reference_score);
}

/* Each kind of trial has its mark; the best lies on top. */
static void add_panel(const struct df_plot_weight *weight, size_t panel, struct df_text *out)
{
    static const struct {
        const char *kind, *look;
    } marks[] = { { "trial", "pointtype 7 pointsize 0.5 linecolor rgb '#56b4e9'" },
                  { "start", "pointtype 6 pointsize 1.1 linewidth 1.6 linecolor rgb '#0072b2'" },
                  { "best", "pointtype 7 pointsize 1.1 linecolor rgb '#d55e00'" } };

    df_text_add(out, "set title ");
    df_script_quote(out, weight->method);
    df_text_add(out, " font ',10' offset 0,-0.6\nset xlabel ");
    df_script_quote(out, weight->weight);
    df_text_add(out, " font ',9' offset 0,0.6\nplot ");
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++)
        df_text_addf(out, "%sDATA skip 1 using ($1==%zu && strcol(4) eq '%s' ? $2 : 1/0):3 with points %s", m ? ", \\\n     " : "", panel,
                     marks[m].kind, marks[m].look);
    df_text_add(out, "\n");
}

static void add_value_range(const struct df_plot_weight *weight, struct df_text *out)
{
    double low = INFINITY, high = 0;

    for (size_t t = 0; t < weight->trials; t++) {
        low = fmin(low, weight->trial[t].value);
        high = fmax(high, weight->trial[t].value);
    }
    df_text_addf(out, "set xrange [%.6g:%.6g]\n", low / 1.5, high * 1.5);
}

df_status df_plot_sensitivity(const struct df_sensitivity *what, const char *folder, const char *name, struct df_error *err)
{
    const size_t rows = (what->weights + COLUMNS - 1) / COLUMNS;
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;

    if (!what->weights)
        return df_fail(err, DF_ERR_UNSUPPORTED, "sensitivity: no method has weights");
    add_data(what, &data);
    df_script_begin(&script, name, COLUMNS * PANEL_WIDTH, HEADING + rows * PANEL_HEIGHT);
    df_text_addf(&script, "DATA = '%s.csv'\n", name);
    add_frame(what, rows, &script);
    add_range(what, &script);
    for (size_t w = 0; w < what->weights; w++) {
        add_value_range(&what->weight[w], &script);
        add_panel(&what->weight[w], w, &script);
    }
    df_text_add(&script, "unset multiplot\n");
    df_script_end(&script);
    const df_status status = df_script_run(folder, name, &data, &script, err);

    df_text_release(&data);
    df_text_release(&script);
    return status;
}
