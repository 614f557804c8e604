/* Learning curves: one small panel per method, its mean over seeds with a band of one standard deviation, over the baseline in grey; curves
 * that differ by less than a band cannot be told apart in one common panel. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"

enum { PANEL_W = 330, PANEL_H = 288, TOP = 56, BOTTOM = 64, MOST_PANELS = 36 };

/* The points of one line: means over its finished runs. */
struct curve {
    size_t points;
    struct point {
        double epoch, mean, sd;
        size_t n;
    } * point;
};

/* The next point of the AP on the tuning split, from *at on, which is moved behind it; NULL: there is none. */
static const struct df_curve_point *next_point(const struct df_curve *curve, size_t *at)
{
    while (*at < curve->count) {
        const struct df_curve_point *point = &curve->point[(*at)++];

        if (strcmp(point->metric, "AP") == 0 && strcmp(point->split, "tune") == 0)
            return point;
    }
    return NULL;
}

static void fill_curve(const struct df_journal *journal, const struct df_table_request *request, size_t line, struct curve *out)
{
    const struct df_table_line_request *wanted = &request->line[line];
    const struct df_curve **of = df_calloc(wanted->runs + 1, sizeof *of); /* NULL: not finished */
    double *value = df_malloc((wanted->runs + 1) * sizeof *value);
    size_t *at = df_calloc(wanted->runs + 1, sizeof *at), most = 0;

    for (size_t r = 0; r < wanted->runs; r++) {
        const struct df_run_row *row = df_journal_find(journal, wanted->run[r], request->semantics);

        of[r] = df_run_row_ok(row) ? &row->curve : NULL;
        most = of[r] && row->curve.count > most ? row->curve.count : most;
    }
    *out = (struct curve){ .point = df_calloc(most + 1, sizeof *out->point) };
    for (size_t p = 0; p < most; p++) {
        double epoch = 0;
        size_t n = 0;

        for (size_t r = 0; r < wanted->runs; r++) {
            const struct df_curve_point *point = of[r] ? next_point(of[r], &at[r]) : NULL;

            if (!point || isnan(point->value) || isnan(point->epoch))
                continue;
            value[n++] = 100 * point->value;
            epoch += point->epoch;
        }
        const struct df_interval i = df_mean_interval(value, n, 0.95);

        if (n > 0)
            out->point[out->points++] = (struct point){ epoch / (double)n, i.mean, n > 1 ? i.sd : 0, n };
    }
    free(at);
    free(of);
    free(value);
}

static void add_data(const struct df_table_request *request, const struct curve *curves, struct df_text *out)
{
    df_text_add(out, "line,epoch,mAP_percent,sd,n,method,options\n");
    for (size_t l = 0; l < request->lines; l++)
        for (size_t p = 0; p < curves[l].points; p++) {
            const struct point *point = &curves[l].point[p];

            df_csv_add_int(out, (int64_t)l, true);
            df_csv_add_real(out, point->epoch, false);
            df_csv_add_real(out, point->mean, false);
            df_csv_add_real(out, point->sd, false);
            df_csv_add_int(out, (int64_t)point->n, false);
            df_csv_add(out, request->line[l].label, false);
            df_csv_add(out, request->line[l].axes, false);
            df_text_add(out, "\n");
        }
}

static void add_panel(const struct df_table_request *request, size_t line, struct df_text *out)
{
    static const char *const colors[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00" };
    const char *color = colors[line % (sizeof colors / sizeof *colors)];
    const bool alone = line == request->line[line].baseline;

    df_text_add(out, "set title ");
    df_script_quote(out, request->line[line].label);
    if (request->line[line].axes[0]) {
        df_text_add(out, ".\"\\n\".");
        df_script_quote(out, request->line[line].axes);
    }
    df_text_add(out, " font ',11' offset 0,-0.5\nplot ");
    for (int own = alone ? 1 : 0; own < 2; own++) {
        const size_t l = own ? line : request->line[line].baseline;
        const char *c = alone ? "#777777" : own ? color : "#777777";

        df_text_addf(out,
                     "DATA skip 1 using ($1==%zu ? $2 : NaN):($3-$4):($3+$4) with filledcurves linecolor rgb '%s' fillstyle transparent "
                     "solid 0.22 noborder, \\\n     ",
                     l, c);
        df_text_addf(
            out,
            "DATA skip 1 using ($1==%zu ? $2 : NaN):3 with linespoints linecolor rgb '%s' linewidth 1.8 pointtype 7 pointsize 0.35%s\n", l,
            c, own ? "" : ", \\\n     ");
        if (!own)
            out->length--, out->data[out->length] = 0;
    }
}

static void add_caption(const struct df_table_request *request, size_t height, struct df_text *out)
{
    df_text_add(out, "set label 1 ");
    df_script_quote(out, request->title);
    df_text_addf(out, " at screen 0.5,screen %.5f center font ',14'\n", 1 - 22.0 / (double)height);
    df_text_add(out, "set label 2 'mAP on the tuning split. Lines: mean over seeds; bands: one standard deviation; grey: '.");
    df_script_quote(out, request->line[request->line[0].baseline].label);
    df_text_addf(out, ".'.' at screen 0.012,screen %.5f left font ',10' textcolor rgb '#444444'\n", 18.0 / (double)height);
}

static void range(const struct curve *curves, size_t lines, double *epoch, double *low, double *high)
{
    *epoch = *high = 0;
    *low = 100;
    for (size_t l = 0; l < lines; l++)
        for (size_t p = 0; p < curves[l].points; p++) {
            *epoch = fmax(*epoch, curves[l].point[p].epoch);
            *low = fmin(*low, curves[l].point[p].mean - curves[l].point[p].sd);
            *high = fmax(*high, curves[l].point[p].mean + curves[l].point[p].sd);
        }
    *low = fmax(0, *low - 0.05 * (*high - *low));
    *high += 0.05 * (*high - *low) + 1e-6;
}

/* A full last row where it can be had. */
static size_t columns_for(size_t panels)
{
    if (panels <= 4)
        return panels;
    return panels <= 6 || panels == 9 ? 3 : panels <= 16 ? 4 : 6;
}

static void add_panels(const struct df_table_request *request, const struct curve *curves, const size_t *panel, size_t panels,
                       const char *name, struct df_text *out)
{
    const size_t columns = columns_for(panels), rows = (panels + columns - 1) / columns;
    const size_t width = columns * PANEL_W + 30 < 660 ? 660 : columns * PANEL_W + 30, height = TOP + BOTTOM + rows * PANEL_H;
    double epoch, low, high;

    range(curves, request->lines, &epoch, &low, &high);
    df_script_begin(out, name, width, height);
    df_text_addf(out,
                 "DATA = '%s.csv'\nset multiplot\nunset key\nset border 3 linecolor rgb '#444444'\nset tics nomirror\nset grid linecolor "
                 "rgb '#dddddd'\n",
                 name);
    df_text_addf(out, "set xrange [0:%.6g]\nset yrange [%.6g:%.6g]\n", epoch, low, high);
    add_caption(request, height, out);
    for (size_t i = 0; i < panels; i++) {
        const double left = (double)(72 + (i % columns) * (width - 30) / columns) / (double)width;
        const double right = (double)((i % columns + 1) * (width - 30) / columns + 16) / (double)width;
        const double top = 1 - (double)(TOP + 52 + i / columns * PANEL_H) / (double)height;
        const double bottom = 1 - (double)(TOP - 34 + (i / columns + 1) * PANEL_H) / (double)height;
        const bool lowest = i + columns >= panels;

        df_text_addf(out,
                     "set lmargin at screen %.5f\nset rmargin at screen %.5f\nset tmargin at screen %.5f\nset bmargin at screen %.5f\n",
                     left, right, top, bottom);
        df_text_addf(out, "set xlabel '%s'\nset ylabel '%s' offset 0.5,0\n", lowest ? "epoch" : "", i % columns == 0 ? "mAP (%)" : "");
        add_panel(request, panel[i], out);
        df_text_add(out, i == 0 ? "unset label\n" : "");
    }
    df_text_add(out, "unset multiplot\n");
    df_script_end(out);
}

df_status df_plot_curves(const struct df_journal *journal, const struct df_table_request *request, const char *folder, const char *name,
                         struct df_error *err)
{
    struct curve *curves = df_calloc(request->lines + 1, sizeof *curves);
    size_t panel[MOST_PANELS], panels = 0, points = 0, left_out = 0;
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;
    df_status status;

    for (size_t l = 0; l < request->lines; l++) {
        fill_curve(journal, request, l, &curves[l]);
        points += curves[l].points;
        if (!curves[l].points || (l == request->line[l].baseline && request->lines > 1))
            continue;
        if (panels < MOST_PANELS)
            panel[panels++] = l;
        else
            left_out++;
    }
    if (points && !panels)
        panel[panels++] = request->line[0].baseline;
    if (left_out)
        df_warn("curves: %zu of %zu methods are not drawn (at most %d panels); the CSV has them", left_out, request->lines, MOST_PANELS);
    add_data(request, curves, &data);
    if (points) {
        add_panels(request, curves, panel, panels, name, &script);
        status = df_script_run(folder, name, &data, &script, err);
    } else {
        status =
            df_fail(err, DF_ERR_NOT_FOUND, "no learning curves of '%s' in the journal, expected points of finished runs", request->title);
    }
    for (size_t l = 0; l < request->lines; l++)
        free(curves[l].point);
    free(curves);
    df_text_release(&data);
    df_text_release(&script);
    return status;
}
