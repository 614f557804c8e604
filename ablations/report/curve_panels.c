#include "ablations/report/curve_panels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/report/chart.h"
#include "results/csv_rows.h"
#include "results/html.h"

enum { MOST_SERIES = 256, MOST_DRAWN_POINTS = 200, BYTES_PER_POINT = 30 };

/* What is drawn in one panel. */
struct series {
    const char *split, *metric;
};
struct all_series {
    size_t count;
    struct series of[MOST_SERIES];
    size_t left_out;
};
/* A method in a panel. */
struct curve {
    size_t points;
    struct df_chart_point *point;
    size_t *n; /* [points] runs behind each */
};

static const struct df_run_row *row_of(const struct df_page *page, size_t line, size_t run)
{
    const struct df_table_request *rows = page->request->rows;
    const struct df_run_row *row = df_journal_find(page->request->journal, rows->line[line].run[run], rows->semantics);

    return df_run_row_ok(row) ? row : NULL;
}

static void add_series(struct all_series *all, const struct df_curve_point *point)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->of[i].metric, point->metric) == 0 && strcmp(all->of[i].split, point->split) == 0)
            return;
    if (all->count < MOST_SERIES)
        all->of[all->count++] = (struct series){ point->split, point->metric };
    else
        all->left_out++;
}

/* In the order in which the rows have them. */
static void find_series(const struct df_page *page, struct all_series *all)
{
    const struct df_table_request *rows = page->request->rows;

    for (size_t l = 0; l < rows->lines; l++)
        for (size_t r = 0; r < rows->line[l].runs; r++) {
            const struct df_run_row *row = row_of(page, l, r);

            for (size_t i = 0; row && i < row->curve.count; i++)
                add_series(all, &row->curve.point[i]);
        }
}

static bool is_score(const struct series *series) { return strcmp(series->metric, "AP") == 0; }

/* The next point of the series, from *at on, which is moved behind it; NULL: there is none. */
static const struct df_curve_point *next_point(const struct df_curve *curve, const struct series *series, size_t *at)
{
    while (*at < curve->count) {
        const struct df_curve_point *point = &curve->point[(*at)++];

        if (strcmp(point->metric, series->metric) == 0 && strcmp(point->split, series->split) == 0)
            return point;
    }
    return NULL;
}

/* Mean and standard deviation over the runs of a line, point by point: all runs of a line have theirs at the same steps. */
static void fill_curve(const struct df_page *page, const struct series *series, size_t line, struct curve *out)
{
    const size_t runs = page->request->rows->line[line].runs;
    const struct df_run_row **row = df_calloc(runs + 1, sizeof *row);
    double *value = df_malloc((runs + 1) * sizeof *value);
    size_t *at = df_calloc(runs + 1, sizeof *at), most = 0;

    for (size_t r = 0; r < runs; r++) {
        row[r] = row_of(page, line, r);
        most = row[r] && row[r]->curve.count > most ? row[r]->curve.count : most;
    }
    *out = (struct curve){ .point = df_calloc(most + 1, sizeof *out->point), .n = df_calloc(most + 1, sizeof *out->n) };
    for (size_t p = 0; p < most; p++) {
        double epoch = 0;
        size_t n = 0, left = 0;

        for (size_t r = 0; r < runs; r++) {
            const struct df_curve_point *point = row[r] ? next_point(&row[r]->curve, series, &at[r]) : NULL;

            left += point != NULL;
            if (!point || !isfinite(point->value) || !isfinite(point->epoch))
                continue;
            value[n++] = is_score(series) ? 100 * point->value : point->value;
            epoch += point->epoch;
        }
        const struct df_interval i = df_mean_spread(value, n);

        if (!left)
            break;
        if (!n)
            continue;
        out->n[out->points] = n;
        out->point[out->points++] = (struct df_chart_point){ epoch / (double)n, i.mean, n > 1 ? i.sd : 0 };
    }
    free(at);
    free(value);
    free(row);
}

static void add_csv(const struct df_page *page, const struct series *series, const struct curve *curve, size_t line, struct df_text *csv)
{
    const struct df_table_line_request *of = &page->request->rows->line[line];

    for (size_t p = 0; p < curve->points; p++) {
        df_csv_add(csv, series->split, true);
        df_csv_add(csv, series->metric, false);
        df_csv_add(csv, of->label, false);
        df_csv_add(csv, of->axes, false);
        df_csv_add_real(csv, curve->point[p].x, false);
        df_csv_add_real(csv, curve->point[p].mean, false);
        df_csv_add_real(csv, curve->n[p] > 1 ? curve->point[p].half : NAN, false);
        df_csv_add_int(csv, (int64_t)curve->n[p], false);
        df_text_add(csv, "\n");
    }
}

/* Every k-th point, the last one kept: no screen shows more. */
static size_t thin_out(struct curve *curve)
{
    const size_t step = (curve->points + MOST_DRAWN_POINTS - 1) / MOST_DRAWN_POINTS;
    size_t kept = 0;

    for (size_t p = 0; step > 1 && p < curve->points; p++)
        if (p % step == 0 || p + 1 == curve->points)
            curve->point[kept++] = curve->point[p];
    return step > 1 ? kept : curve->points;
}

static void add_panel(struct df_page *page, const struct series *series, const struct curve *curve)
{
    struct df_chart_frame frame = { .x = { 0, 0 },
                                    .y = DF_CHART_RANGE_INIT,
                                    .x_title = "epoch",
                                    .y_title = is_score(series) ? "(%)" : "",
                                    .title = is_score(series) ? "mAP on the tuning split" : series->metric };
    const size_t lines = page->request->rows->lines;

    for (size_t l = 0; l < lines; l++)
        for (size_t p = 0; p < curve[l].points; p++) {
            df_chart_widen(&frame.x, curve[l].point[p].x);
            df_chart_widen(&frame.y, curve[l].point[p].mean - curve[l].point[p].half);
            df_chart_widen(&frame.y, curve[l].point[p].mean + curve[l].point[p].half);
        }
    if (frame.x.high == 0)
        frame.x.high = 1;
    df_chart_round(&frame.y);
    if (is_score(series)) /* no band reaches below 0 */
        frame.y.low = fmax(0, frame.y.low);
    df_chart_frame_begin(&frame, &page->body);
    df_chart_data_begin(&page->body);
    for (size_t l = 0; l < lines; l++) {
        if (!curve[l].points)
            continue;
        struct df_text name = DF_TEXT_INIT; /* an SVG's title holds text alone */

        df_page_method_text(page, l, &name);
        df_text_addf(&page->body, "<g class=\"m m%zu\"><title>", l);
        df_html_add(&page->body, df_text_get(&name));
        df_text_release(&name);
        df_text_add(&page->body, "</title>");
        df_chart_curve(&frame, curve[l].point, curve[l].points, &page->body);
        df_text_add(&page->body, "</g>\n");
    }
    df_chart_data_end(&page->body);
    df_chart_frame_end(&page->body);
}

/* draw: false where the series is for the CSV alone. Returns false if there was no room. */
static bool add_one(struct df_page *page, const struct series *series, struct df_text *csv)
{
    const size_t lines = page->request->rows->lines;
    struct curve *curve = df_calloc(lines + 1, sizeof *curve);
    size_t points = 0;

    for (size_t l = 0; l < lines; l++) {
        fill_curve(page, series, l, &curve[l]);
        add_csv(page, series, &curve[l], l, csv);
        curve[l].points = thin_out(&curve[l]);
        points += curve[l].points;
    }
    const bool room = df_page_has_room(page, points * BYTES_PER_POINT + lines * 512);

    if (room && points)
        add_panel(page, series, curve);
    for (size_t l = 0; l < lines; l++) {
        free(curve[l].point);
        free(curve[l].n);
    }
    free(curve);
    return room;
}

/* The series that belong to a group, as panels. Returns how many found no room. */
static size_t add_group(struct df_page *page, const struct all_series *all, bool (*belongs)(const struct series *), const char *class,
                        struct df_text *csv)
{
    size_t left_out = 0;

    df_text_addf(&page->body, "<div class=\"frames%s\">\n", class);
    for (size_t i = 0; i < all->count; i++)
        if (belongs(&all->of[i]))
            left_out += !add_one(page, &all->of[i], csv);
    df_text_add(&page->body, "</div>\n");
    return left_out;
}

static bool is_telemetry(const struct series *series) { return strncmp(series->metric, "telemetry.", 10) == 0; }
static bool is_loss(const struct series *series)
{
    return !is_score(series) && !is_telemetry(series) && strcmp(series->metric, "lr") != 0; /* every method has the same lr */
}

static size_t count_of(const struct all_series *all, bool (*belongs)(const struct series *))
{
    size_t n = 0;

    for (size_t i = 0; i < all->count; i++)
        n += belongs(&all->of[i]);
    return n;
}

df_status df_report_curves(struct df_page *page, struct df_error *err)
{
    static const struct {
        const char *title, *class;
        bool (*belongs)(const struct series *);
    } group[] = { { "", " wide", is_score }, { "Telemetry", "", is_telemetry }, { "Losses", "", is_loss } };
    struct df_text csv = DF_TEXT_INIT;
    struct all_series *all = df_calloc(1, sizeof *all);
    size_t left_out;
    df_status status = DF_OK;

    find_series(page, all);
    left_out = all->left_out;
    df_page_section_begin(page, "curves", "Curves");
    df_text_add(&csv, "split,metric,method,options,epoch,mean,sd,n\n");
    for (size_t g = 0; g < sizeof group / sizeof *group; g++) {
        if (!count_of(all, group[g].belongs))
            continue;
        if (group[g].title[0])
            df_text_addf(&page->body, "<h3>%s</h3>\n", group[g].title);
        left_out += add_group(page, all, group[g].belongs, group[g].class, &csv);
    }
    if (all->count) {
        df_page_say(page, "note",
                    "Lines: mean over seeds of every method; in colour the two that are chosen, with a band of one standard "
                    "deviation.%s",
                    count_of(all, is_telemetry) ? "" : " These runs kept no telemetry.");
        status = df_page_csv(page, "curves", "curves", &csv, err);
    } else {
        df_page_say(page, "", "No finished run has a learning curve here.");
    }
    if (left_out)
        df_page_say(page, "note", "%zu metrics are not drawn: the page would be too large.", left_out);
    df_page_section_end(page);
    df_text_release(&csv);
    free(all);
    return status;
}
