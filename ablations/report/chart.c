#include "ablations/report/chart.h"

#include <math.h>

#include "results/html.h"

/* ---- ranges ----------------------------------------------------------------------------------------------------------------------- */

static bool is_empty(const struct df_chart_range *range) { return range->low > range->high; }

void df_chart_widen(struct df_chart_range *range, double value)
{
    if (!isfinite(value))
        return;
    if (is_empty(range))
        range->low = range->high = value;
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

void df_chart_round(struct df_chart_range *range)
{
    if (is_empty(range) || (range->low == 0 && range->high == 0))
        *range = (struct df_chart_range){ 0, 1 };
    if (range->low == range->high) {
        const double half = fabs(range->low) / 2;

        range->low -= half;
        range->high += half;
    }
    const double room = 0.05 * (range->high - range->low);

    range->low -= range->low == 0 ? 0 : room; /* what begins at 0 stands on the axis */
    range->high += range->high == 0 ? 0 : room;
}

double df_chart_place(const struct df_chart_range *range, double value) { return 100 * (value - range->low) / (range->high - range->low); }

void df_chart_ticks(const struct df_chart_range *range, size_t wanted, struct df_chart_ticks *out)
{
    static const double round[] = { 1, 2, 5, 10 }, most[] = { 1.5, 3.5, 7.5 };
    const double rough = (range->high - range->low) / (double)wanted, power = pow(10, floor(log10(rough)));
    size_t i = 0;

    out->count = 0;
    while (i < 3 && rough > most[i] * power)
        i++;
    const double step = round[i] * power;

    for (double k = ceil(range->low / step - 1e-9); k * step <= range->high + 1e-9 * step && out->count < DF_CHART_TICKS; k++)
        out->at[out->count++] = k == 0 ? 0 : k * step; /* no -0 */
}

/* ---- frames ----------------------------------------------------------------------------------------------------------------------- */

static void add_y_ticks(const struct df_chart_frame *frame, struct df_text *out)
{
    struct df_chart_ticks ticks;

    df_chart_ticks(&frame->y, 4, &ticks);
    for (size_t i = 0; i < ticks.count; i++) {
        const double y = 100 - df_chart_place(&frame->y, ticks.at[i]);

        df_text_addf(out, "<line class=\"%s\" x1=\"0\" x2=\"100%%\" y1=\"%.2f%%\" y2=\"%.2f%%\"/>", ticks.at[i] == 0 ? "zero" : "grid", y,
                     y);
        df_text_addf(out, "<text class=\"tick end\" x=\"-6\" y=\"%.2f%%\" dy=\"4\">%.6g</text>\n", y, ticks.at[i]);
    }
}

static void add_x_ticks(const struct df_chart_frame *frame, struct df_text *out)
{
    struct df_chart_ticks ticks = { 0 };

    for (size_t i = 0; i < frame->x_names; i++) {
        df_text_addf(out, "<text class=\"tick middle\" x=\"%.2f%%\" y=\"100%%\" dy=\"17\">", df_chart_place(&frame->x, (double)i));
        df_html_add(out, frame->x_name[i]);
        df_text_add(out, "</text>\n");
    }
    if (!frame->x_names)
        df_chart_ticks(&frame->x, 4, &ticks);
    for (size_t i = 0; i < ticks.count; i++)
        df_text_addf(out, "<text class=\"tick middle\" x=\"%.2f%%\" y=\"100%%\" dy=\"17\">%.6g</text>\n",
                     df_chart_place(&frame->x, ticks.at[i]), ticks.at[i]);
}

void df_chart_frame_begin(const struct df_chart_frame *frame, struct df_text *out)
{
    df_text_add(out, "<figure class=\"frame\"><figcaption>");
    df_html_add_name(out, frame->title);
    if (frame->y_title[0]) {
        df_text_add(out, " <small>");
        df_html_add(out, frame->y_title);
        df_text_add(out, "</small>");
    }
    df_text_add(out, "</figcaption><svg class=\"plot\" role=\"img\" aria-label=\"");
    df_html_add(out, frame->title);
    df_text_add(out, "\">\n");
    add_y_ticks(frame, out);
    add_x_ticks(frame, out);
    df_text_add(out, "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/>"
                     "<text class=\"tick end\" x=\"100%\" y=\"100%\" dy=\"32\">");
    df_html_add(out, frame->x_title);
    df_text_add(out, "</text>\n");
}

void df_chart_frame_end(struct df_text *out) { df_text_add(out, "</svg></figure>\n"); }

void df_chart_data_begin(struct df_text *out)
{
    df_text_add(out, "<svg class=\"data\" width=\"100%\" height=\"100%\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">\n");
}

void df_chart_data_end(struct df_text *out) { df_text_add(out, "</svg>\n"); }

static bool is_drawn(const struct df_chart_point *point) { return isfinite(point->x) && isfinite(point->mean); }

static void add_place(const struct df_chart_frame *frame, char command, double x, double y, struct df_text *out)
{
    df_text_addf(out, "%c%.0f %.0f", command, 10 * df_chart_place(&frame->x, x), 1000 - 10 * df_chart_place(&frame->y, y));
}

/* Out along the upper edge, back along the lower one. */
static void add_band(const struct df_chart_frame *frame, const struct df_chart_point *point, size_t points, struct df_text *out)
{
    for (size_t i = 0; i < points; i++)
        add_place(frame, i ? 'L' : 'M', point[i].x, point[i].mean + point[i].half, out);
    for (size_t i = points; i-- > 0;)
        add_place(frame, 'L', point[i].x, point[i].mean - point[i].half, out);
    df_text_add(out, "Z");
}

void df_chart_curve(const struct df_chart_frame *frame, const struct df_chart_point *point, size_t points, struct df_text *out)
{
    df_text_add(out, "<path class=\"band\" d=\"");
    for (size_t i = 0, next; i < points; i = next) {
        for (next = i; next < points && is_drawn(&point[next]); next++)
            ;
        if (next > i)
            add_band(frame, point + i, next - i, out);
        next += next == i;
    }
    df_text_add(out, "\"/><path class=\"mean\" d=\"");
    for (size_t i = 0; i < points; i++)
        if (is_drawn(&point[i]))
            add_place(frame, i && is_drawn(&point[i - 1]) ? 'L' : 'M', point[i].x, point[i].mean, out);
    df_text_add(out, "\"/>");
}

/* ---- strips ----------------------------------------------------------------------------------------------------------------------- */

static void add_vertical(const struct df_chart_range *range, double value, const char *class, struct df_text *out)
{
    const double x = df_chart_place(range, value);

    df_text_addf(out, "<line class=\"%s\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>", class, x, x);
}

void df_chart_strip_begin(const struct df_chart_range *range, const char *read_out, struct df_text *out)
{
    struct df_chart_ticks ticks;

    df_text_add(out, "<svg class=\"strip\" role=\"img\" aria-label=\"");
    df_html_add(out, read_out);
    df_text_add(out, "\">");
    df_chart_ticks(range, 4, &ticks);
    for (size_t i = 0; i < ticks.count; i++)
        add_vertical(range, ticks.at[i], ticks.at[i] == 0 ? "zero" : "grid", out);
}

void df_chart_strip_end(struct df_text *out) { df_text_add(out, "</svg>\n"); }

void df_chart_bar(const struct df_chart_range *range, double from, double to, const char *class, struct df_text *out)
{
    const double a = df_chart_place(range, fmin(from, to)), b = df_chart_place(range, fmax(from, to));

    df_text_addf(out, "<rect class=\"%s\" x=\"%.2f%%\" width=\"%.2f%%\" y=\"20%%\" height=\"60%%\"/>", class, a, b - a);
}

void df_chart_dot(const struct df_chart_range *range, double value, double y, const char *class, struct df_text *out)
{
    df_text_addf(out, "<circle class=\"%s\" cx=\"%.2f%%\" cy=\"%.0f%%\" r=\"3\"/>", class, df_chart_place(range, value), y);
}

void df_chart_whisker(const struct df_chart_range *range, const struct df_chart_interval *interval, const char *class, struct df_text *out)
{
    if (isfinite(interval->low) && isfinite(interval->high))
        df_text_addf(out, "<line class=\"whisker %s\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"50%%\" y2=\"50%%\"/>", class,
                     df_chart_place(range, interval->low), df_chart_place(range, interval->high));
    if (isfinite(interval->mean))
        df_text_addf(out, "<circle class=\"%s\" cx=\"%.2f%%\" cy=\"50%%\" r=\"4.5\"/>", class, df_chart_place(range, interval->mean));
}

void df_chart_strip_axis(const struct df_chart_range *range, const char *title, struct df_text *out)
{
    struct df_chart_ticks ticks;

    df_text_add(out, "<svg class=\"strip-axis\" aria-hidden=\"true\">");
    df_chart_ticks(range, 4, &ticks);
    for (size_t i = 0; i < ticks.count; i++)
        df_text_addf(out, "<text class=\"tick middle\" x=\"%.2f%%\" y=\"14\">%.6g</text>", df_chart_place(range, ticks.at[i]), ticks.at[i]);
    df_text_add(out, "<text class=\"tick middle\" x=\"50%\" y=\"30\">");
    df_html_add(out, title);
    df_text_add(out, "</text></svg>\n");
}
