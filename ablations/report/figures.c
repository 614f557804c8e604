#include "ablations/report/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/report/chart.h"
#include "ablations/result_scores.h"
#include "core/metrics/tide.h"
#include "results/csv_rows.h"
#include "results/gains.h"
#include "results/html.h"
#include "results/score_table.h"

#define PLUS_MINUS "\xc2\xb1"

/* The class of the style that says what an interval of a difference says. */
static const char *class_of(const struct df_interval *difference)
{
    return difference->low > 0 ? "better" : difference->high < 0 ? "worse" : "noise";
}

static void add_interval(const struct df_interval *interval, bool sign, struct df_text *out)
{
    if (!interval->n) {
        df_text_add(out, "-");
        return;
    }
    df_text_addf(out, sign ? "%+.2f" : "%.2f", interval->mean);
    if (isfinite(interval->low))
        df_text_addf(out, " " PLUS_MINUS " %.2f", (interval->high - interval->low) / 2);
}

static void widen(struct df_chart_range *range, const struct df_interval *interval)
{
    df_chart_widen(range, interval->n ? interval->mean : NAN);
    df_chart_widen(range, interval->n ? interval->low : NAN);
    df_chart_widen(range, interval->n ? interval->high : NAN);
}

static void add_whisker(const struct df_chart_range *range, const struct df_interval *interval, const char *class, struct df_text *out)
{
    if (interval->n)
        df_chart_whisker(range, &(struct df_chart_interval){ interval->mean, interval->low, interval->high }, class, out);
}

/* ---- bars ------------------------------------------------------------------------------------------------------------------------- */

static void add_name(const struct df_page *page, size_t line, const char *behind, struct df_text *out)
{
    df_text_add(out, "<div><div class=\"name\">");
    df_page_method(page, line, out);
    df_text_addf(out, " <small>%s</small></div>\n", behind);
}

static void add_bar(const struct df_page *page, size_t l, const struct df_chart_range *ap, const struct df_chart_range *difference,
                    struct df_text *out)
{
    const struct df_table_line *line = &page->table->line[l];
    const struct df_interval *mean = &line->metric[DF_TABLE_AP];
    struct df_text value = DF_TEXT_INIT, read = DF_TEXT_INIT;
    const bool baseline = l == line->baseline;

    add_interval(mean, false, &value);
    if (!baseline && line->difference.n) {
        df_text_add(&value, " (");
        add_interval(&line->difference, true, &value);
        df_text_add(&value, ")");
    }
    add_name(page, l, line->points ? value.data : "no finished run", out);
    df_text_addf(&read, "%s mAP of", df_text_get(&value));
    df_text_addf(&read, " %s", line->label);
    df_chart_strip_begin(ap, df_text_get(&read), out);
    if (line->points)
        df_chart_bar(ap, 0, mean->mean, baseline ? "plain" : "bar", out);
    for (size_t p = 0; p < line->points; p++)
        df_chart_dot(ap, line->point[p], line->points > 1 ? 32 + 36 * (double)p / (double)(line->points - 1) : 50, "seed", out);
    add_whisker(ap, mean, "mean-of", out);
    df_chart_strip_end(out);
    df_chart_strip_begin(difference, "difference", out);
    if (!baseline)
        add_whisker(difference, &line->difference, class_of(&line->difference), out);
    df_chart_strip_end(out);
    df_text_add(out, "</div>\n");
    df_text_release(&value);
    df_text_release(&read);
}

static void bars_csv(const struct df_table *table, struct df_text *out)
{
    df_text_add(out, "method,options,baseline,seed_index,mAP_percent,low,high,difference,difference_low,difference_high,pairs\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];
        const struct df_interval *ap = &line->metric[DF_TABLE_AP], *d = &line->difference;

        for (size_t p = 0; p <= line->points; p++) {
            df_csv_add(out, line->label, true);
            df_csv_add(out, line->axes, false);
            df_csv_add_int(out, l == line->baseline, false);
            df_text_add(out, ",");
            if (p)
                df_text_addf(out, "%zu", p - 1);
            df_csv_add_real(out, p ? line->point[p - 1] : ap->mean, false);
            df_csv_add_real(out, p ? NAN : ap->low, false);
            df_csv_add_real(out, p ? NAN : ap->high, false);
            df_csv_add_real(out, p || !d->n ? NAN : d->mean, false);
            df_csv_add_real(out, p || !d->n ? NAN : d->low, false);
            df_csv_add_real(out, p || !d->n ? NAN : d->high, false);
            df_csv_add_int(out, p ? 0 : (int64_t)d->n, false);
            df_text_add(out, "\n");
        }
    }
}

df_status df_report_bars(struct df_page *page, struct df_error *err)
{
    struct df_chart_range ap = { 0, 0 }, difference = { 0, 0 };
    const struct df_table *table = page->table;
    struct df_text csv = DF_TEXT_INIT;
    bool interval = false;

    for (size_t l = 0; l < table->lines; l++) {
        widen(&ap, &table->line[l].metric[DF_TABLE_AP]);
        for (size_t p = 0; p < table->line[l].points; p++)
            df_chart_widen(&ap, table->line[l].point[p]);
        if (l != table->line[l].baseline)
            widen(&difference, &table->line[l].difference);
        interval |= table->line[l].difference.n > 1;
    }
    df_chart_round(&ap);
    df_chart_round(&difference);
    df_page_section_begin(page, "bars", "Bars");
    df_text_add(&page->body, "<div class=\"rows\">\n");
    for (size_t l = 0; l < table->lines; l++)
        add_bar(page, l, &ap, &difference, &page->body);
    df_text_add(&page->body, "<div><div class=\"name\"></div>\n");
    df_chart_strip_axis(&ap, "mAP (%)", &page->body);
    df_chart_strip_axis(&difference, interval ? "difference (points)" : "difference; one seed: no interval", &page->body);
    df_text_add(&page->body, "</div></div>\n");
    df_page_say(page, "note",
                "Bars: mean over seeds, each seed a dot, whiskers its 95 %% interval. Differences: to the baseline (grey bar), paired by "
                "seed, with intervals that all hold at once with 95 %%; hollow: the interval holds 0, or there is none.");
    bars_csv(table, &csv);
    const df_status status = df_page_csv(page, "bars", "bars", &csv, err);

    df_page_section_end(page);
    df_text_release(&csv);
    return status;
}

/* ---- gains over variants ---------------------------------------------------------------------------------------------------------- */

static void add_gain(const struct df_chart_frame *frame, double at, const struct df_interval *d, const double *before, struct df_text *out)
{
    const double x = df_chart_place(&frame->x, at), y = 100 - df_chart_place(&frame->y, d->mean);

    if (before)
        df_text_addf(out, "<line class=\"mark\" stroke-opacity=\"0.5\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.2f%%\" y2=\"%.2f%%\"/>",
                     before[0], x, before[1], y);
    if (isfinite(d->low))
        df_text_addf(out, "<line class=\"mark\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.2f%%\" y2=\"%.2f%%\"/>", x, x,
                     100 - df_chart_place(&frame->y, d->low), 100 - df_chart_place(&frame->y, d->high));
    df_text_addf(out, "<circle class=\"mark\" cx=\"%.2f%%\" cy=\"%.2f%%\" r=\"4\"/>\n", x, y);
}

/* One panel per method: places and intervals of several would cover each other. */
static void add_gain_panel(const struct df_page *page, const struct df_gains *gains, size_t method, const struct df_chart_range *y)
{
    const struct df_table *table = page->table;
    const struct df_chart_frame frame = { .x = { -0.5, (double)gains->variants - 0.5 },
                                          .y = *y,
                                          .x_title = "",
                                          .y_title = "difference (points)",
                                          .title = gains->method[method],
                                          .x_name = gains->variant,
                                          .x_names = gains->variants };
    struct df_text *out = &((struct df_page *)page)->body;
    double before[2];
    bool any = false;

    df_chart_frame_begin(&frame, out);
    df_text_add(out, "<g class=\"of-a\">\n");
    for (size_t v = 0; v < gains->variants; v++)
        for (size_t l = 0; l < table->lines; l++) {
            const struct df_table_line *line = &table->line[l];
            size_t of, m;

            if (!df_gains_place(gains, table, l, &of, &m) || of != v || m != method)
                continue;
            add_gain(&frame, (double)v, &line->difference, any ? before : NULL, out);
            before[0] = df_chart_place(&frame.x, (double)v);
            before[1] = 100 - df_chart_place(&frame.y, line->difference.mean);
            any = true;
        }
    df_text_add(out, "</g>\n");
    df_chart_frame_end(out);
}

static void gains_csv(const struct df_table *table, const struct df_gains *gains, struct df_chart_range *range, struct df_text *csv)
{
    size_t v, m;

    df_text_add(csv, "method,variant,difference,low,high,pairs\n");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_table_line *line = &table->line[l];

        if (!df_gains_place(gains, table, l, &v, &m))
            continue;
        widen(range, &line->difference);
        df_csv_add(csv, line->label, true);
        df_csv_add(csv, line->variant, false);
        df_csv_add_real(csv, line->difference.mean, false);
        df_csv_add_real(csv, line->difference.low, false);
        df_csv_add_real(csv, line->difference.high, false);
        df_csv_add_int(csv, (int64_t)line->difference.n, false);
        df_text_add(csv, "\n");
    }
}

df_status df_report_gains(struct df_page *page, struct df_error *err)
{
    struct df_chart_range range = { 0, 0 };
    struct df_gains gains;
    struct df_text csv = DF_TEXT_INIT;
    df_status status = DF_OK;

    df_gains_find(page->table, &gains);
    gains_csv(page->table, &gains, &range, &csv);
    if (gains.variants > 1 && gains.methods) {
        df_chart_round(&range);
        df_page_section_begin(page, "gains", "Gains over variants");
        df_text_add(&page->body, "<div class=\"frames\">\n");
        for (size_t m = 0; m < gains.methods; m++)
            add_gain_panel(page, &gains, m, &range);
        df_text_add(&page->body, "</div>\n");
        df_page_say(page, "note",
                    "Difference to the baseline of the same variant, paired by seed, with its %.4g %% interval (all hold at "
                    "once with 95 %%).",
                    100 * page->table->confidence);
        status = df_page_csv(page, "gains", "gains", &csv, err);
        df_page_section_end(page);
    }
    df_text_release(&csv);
    return status;
}

/* ---- heat map --------------------------------------------------------------------------------------------------------------------- */

enum { MOST_VALUES = 32, VALUE_BYTES = 64 };

struct heat {
    const char *name[2]; /* x, y */
    size_t count[2];
    char value[2][MOST_VALUES][VALUE_BYTES];
    struct {
        double sum;
        size_t lines;
    } cell[MOST_VALUES][MOST_VALUES]; /* [y][x] */
};

/* The value of an option in "w_fg=4 w_bg=16", or of "defeat.w_fg=4". */
static bool option_value(const char *axes, const char *name, char value[VALUE_BYTES])
{
    const size_t length = strlen(name);

    for (const char *word = axes; *word; word += strcspn(word, " "), word += strspn(word, " ")) {
        const size_t end = strcspn(word, " "), key = strcspn(word, "= ");

        if (key == end || key < length || memcmp(word + key - length, name, length) != 0 ||
            (key > length && word[key - length - 1] != '.') || end - key > VALUE_BYTES)
            continue;
        memcpy(value, word + key + 1, end - key - 1);
        value[end - key - 1] = 0;
        return true;
    }
    return false;
}

/* By number where both are numbers, else the later one behind. MOST_VALUES: there is no room. */
static void add_value(struct heat *heat, size_t side, const char *value)
{
    double a, b;
    size_t at = heat->count[side];

    for (size_t i = 0; i < heat->count[side]; i++)
        if (strcmp(heat->value[side][i], value) == 0)
            return;
    if (at == MOST_VALUES)
        return;
    while (at > 0 && df_parse_real(value, &a) && df_parse_real(heat->value[side][at - 1], &b) && a < b)
        at--;
    memmove(heat->value[side][at + 1], heat->value[side][at], (heat->count[side] - at) * VALUE_BYTES);
    memcpy(heat->value[side][at], value, strlen(value) + 1);
    heat->count[side]++;
}

static size_t find_value(const struct heat *heat, size_t side, const char *value)
{
    size_t i = 0;

    while (i < heat->count[side] && strcmp(heat->value[side][i], value) != 0)
        i++;
    return i;
}

static void fill_heat(const struct df_table *table, struct heat *heat)
{
    char value[2][VALUE_BYTES];

    for (int pass = 0; pass < 2; pass++)
        for (size_t l = 0; l < table->lines; l++) {
            const struct df_table_line *line = &table->line[l];

            if (!line->points || !option_value(line->axes, heat->name[0], value[0]) || !option_value(line->axes, heat->name[1], value[1]))
                continue;
            const size_t x = find_value(heat, 0, value[0]), y = find_value(heat, 1, value[1]);

            for (size_t side = 0; side < 2 && pass == 0; side++)
                add_value(heat, side, value[side]);
            if (pass == 1 && x < heat->count[0] && y < heat->count[1]) {
                heat->cell[y][x].sum += line->metric[DF_TABLE_AP].mean;
                heat->cell[y][x].lines++;
            }
        }
}

/* Between dark blue, green and yellow (after the palette viridis), and letters that can be read on it. */
static void add_colour(double share, struct df_text *out)
{
    static const int stop[][3] = { { 68, 1, 84 }, { 65, 68, 135 }, { 42, 120, 142 }, { 34, 168, 132 }, { 122, 209, 81 }, { 253, 231, 37 } };
    const double at = fmax(0, fmin(1, share)) * 5;
    const size_t i = at < 4 ? (size_t)at : 4;
    int c[3];

    for (size_t k = 0; k < 3; k++)
        c[k] = (int)(stop[i][k] + (at - (double)i) * (stop[i + 1][k] - stop[i][k]) + 0.5);
    df_text_addf(out, " style=\"background:#%02x%02x%02x;color:%s\"", (unsigned)c[0], (unsigned)c[1], (unsigned)c[2],
                 share > 0.55 ? "#000" : "#fff");
}

static void add_heat_rows(const struct heat *heat, double low, double high, struct df_text *out, struct df_text *csv)
{
    for (size_t y = heat->count[1]; y-- > 0;) {
        df_text_add(out, "<tr><th scope=\"row\">");
        df_html_add_name(out, heat->value[1][y]);
        df_text_add(out, "</th>");
        for (size_t x = 0; x < heat->count[0]; x++) {
            const size_t lines = heat->cell[y][x].lines;
            const double mean = heat->cell[y][x].sum / (double)lines;

            df_text_add(out, "<td");
            if (lines)
                add_colour((mean - low) / (high - low), out);
            df_text_addf(out, lines ? ">%.2f</td>" : ">-</td>", mean);
            df_csv_add(csv, heat->value[0][x], true);
            df_csv_add(csv, heat->value[1][y], false);
            df_csv_add_real(csv, lines ? mean : NAN, false);
            df_csv_add_int(csv, (int64_t)lines, false);
            df_text_add(csv, "\n");
        }
        df_text_add(out, "</tr>\n");
    }
}

static void add_heat(struct df_page *page, const struct heat *heat, struct df_text *csv)
{
    struct df_chart_range range = DF_CHART_RANGE_INIT;
    struct df_text *out = &page->body;

    for (size_t y = 0; y < heat->count[1]; y++)
        for (size_t x = 0; x < heat->count[0]; x++)
            df_chart_widen(&range, heat->cell[y][x].sum / (double)heat->cell[y][x].lines);
    if (range.high - range.low < 1) { /* colours span a point at least: noise shall not look like a landscape */
        range.low = (range.low + range.high) / 2 - 0.5;
        range.high = range.low + 1;
    }
    df_csv_add(csv, heat->name[0], true);
    df_csv_add(csv, heat->name[1], false);
    df_text_add(csv, ",mAP_percent,lines\n");
    df_text_add(out, "<div class=\"scroll heat\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">");
    df_html_add_name(out, heat->name[1]);
    df_text_add(out, " \xe2\x86\x93 ");
    df_html_add_name(out, heat->name[0]);
    df_text_add(out, " \xe2\x86\x92</th>");
    for (size_t x = 0; x < heat->count[0]; x++) {
        df_text_add(out, "<th scope=\"col\">");
        df_html_add_name(out, heat->value[0][x]);
        df_text_add(out, "</th>");
    }
    df_text_add(out, "</tr></thead>\n<tbody>\n");
    add_heat_rows(heat, range.low, range.high, out, csv);
    df_text_add(out, "</tbody></table></div>\n");
}

df_status df_report_heat(struct df_page *page, struct df_error *err)
{
    const struct df_spec *spec = page->request->spec;
    struct df_text csv = DF_TEXT_INIT;
    df_status status = DF_OK;

    if (!spec || !spec->heat_x[0] || !spec->heat_y[0])
        return DF_OK;
    struct heat *heat = df_calloc(1, sizeof *heat);

    heat->name[0] = spec->heat_x;
    heat->name[1] = spec->heat_y;
    fill_heat(page->table, heat);
    df_page_section_begin(page, "heat", "Heat map");
    if (heat->count[0] > 1 && heat->count[1] > 1) {
        add_heat(page, heat, &csv);
        df_page_say(page, "note", "Mean mAP (%%) over seeds; where further options vary, over these too.");
        status = df_page_csv(page, "heat", "heat map", &csv, err);
    } else {
        df_page_say(page, "", "No heat map: finished runs have %zu x %zu values of '%s' and '%s', expected at least 2 x 2.", heat->count[0],
                    heat->count[1], spec->heat_x, spec->heat_y);
    }
    df_page_section_end(page);
    df_text_release(&csv);
    free(heat);
    return status;
}

/* ---- classes ---------------------------------------------------------------------------------------------------------------------- */

/* The line's interval of that class; NULL: it was not measured. */
static const struct df_interval *class_interval(const struct df_table_line *line, const char *name)
{
    for (size_t k = 0; k < line->classes; k++)
        if (strcmp(line->class_name[k], name) == 0)
            return line->class_ap[k].n ? &line->class_ap[k] : NULL;
    return NULL;
}

/* The highest mean of a class among the lines of one variant, which are judged on the same images. */
static double best_of(const struct df_table *table, const char *class, const char *variant)
{
    double best = -INFINITY;

    for (size_t l = 0; l < table->lines; l++) {
        const struct df_interval *ap = class_interval(&table->line[l], class);

        if (ap && strcmp(table->line[l].variant, variant) == 0)
            best = fmax(best, ap->mean);
    }
    return best;
}

static void add_class_row(struct df_page *page, const char *name, struct df_text *csv)
{
    const struct df_table *table = page->table;

    df_text_add(&page->body, "<tr><th scope=\"row\">");
    df_html_add_name(&page->body, name);
    df_text_add(&page->body, "</th>");
    for (size_t l = 0; l < table->lines; l++) {
        const struct df_interval *ap = class_interval(&table->line[l], name), none = { NAN, NAN, NAN, NAN, 0 };
        const char *mark = ap && ap->mean == best_of(table, name, table->line[l].variant) ? "strong" : "span";
        const double number[] = { ap ? ap->mean : NAN, ap ? ap->sd : NAN, ap ? ap->low : NAN, ap ? ap->high : NAN };

        df_text_addf(&page->body, "<td class=\"number\"><%s>", mark);
        add_interval(ap ? ap : &none, false, &page->body);
        df_text_addf(&page->body, "</%s></td>", mark);
        df_csv_add(csv, name, true);
        df_csv_add(csv, table->line[l].label, false);
        df_csv_add(csv, table->line[l].axes, false);
        for (size_t k = 0; k < sizeof number / sizeof *number; k++)
            df_csv_add_real(csv, number[k], false);
        df_csv_add_int(csv, ap ? (int64_t)ap->n : 0, false);
        df_text_add(csv, "\n");
    }
    df_text_add(&page->body, "</tr>\n");
}

df_status df_report_classes(struct df_page *page, struct df_error *err)
{
    const struct df_table *table = page->table;
    const struct df_table_line *longest = &table->line[0];
    struct df_text csv = DF_TEXT_INIT;

    for (size_t l = 1; l < table->lines; l++)
        longest = table->line[l].classes > longest->classes ? &table->line[l] : longest;
    if (!longest->classes)
        return DF_OK;
    df_page_section_begin(page, "classes", "Classes");
    df_text_add(&page->body, "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">AP (%) of</th>");
    for (size_t l = 0; l < table->lines; l++) {
        df_text_add(&page->body, "<th scope=\"col\" class=\"number\">");
        df_page_method(page, l, &page->body);
        df_text_add(&page->body, "</th>");
    }
    df_text_add(&page->body, "</tr></thead>\n<tbody>\n");
    df_text_add(&csv, "class,method,options,AP_percent,sd,low,high,n\n");
    for (size_t k = 0; k < longest->classes; k++)
        add_class_row(page, longest->class_name[k], &csv);
    df_text_add(&page->body, "</tbody></table></div>\n");
    df_page_say(page, "note",
                "Mean " PLUS_MINUS " half of the 95 %% interval over seeds (Student t), each for itself; bold: the highest "
                "mean of a class, which need not be more than luck.");
    const df_status status = df_page_csv(page, "classes", "AP of each class", &csv, err);

    df_page_section_end(page);
    df_text_release(&csv);
    return status;
}

/* ---- kinds of errors -------------------------------------------------------------------------------------------------------------- */

static const char *const kind_colour[DF_TIDE_ERRORS] = { "#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00", "#009e73" };

static const char *kind_name(size_t kind) { return strchr(df_tide_metrics[kind], '.') + 1; }

/* What a line's errors cost, one beside the other. */
static void add_error_bars(struct df_page *page, const struct df_score_table *tide)
{
    struct df_chart_range range = { 0, 0 };
    struct df_text *out = &page->body;

    for (size_t l = 0; l < tide->lines; l++) {
        double sum = 0;

        for (size_t k = 0; k < tide->columns; k++)
            sum += tide->line[l].runs ? fmax(0, tide->line[l].value[k].mean) : 0;
        df_chart_widen(&range, sum);
    }
    df_chart_round(&range);
    df_text_add(out, "<p class=\"keys\">");
    for (size_t k = 0; k < tide->columns; k++)
        df_text_addf(out, "<span><i style=\"background:%s\"></i>%s</span>", kind_colour[k], kind_name(k));
    df_text_add(out, "</p>\n<div class=\"rows one\">\n");
    for (size_t l = 0; l < tide->lines; l++) {
        double from = 0;

        if (!tide->line[l].runs)
            continue;
        add_name(page, l, "", out);
        df_chart_strip_begin(&range, "dAP by kind of error", out);
        for (size_t k = 0; k < tide->columns; k++) {
            const double to = from + fmax(0, tide->line[l].value[k].mean);

            df_text_addf(out, "<g fill=\"%s\">", kind_colour[k]);
            df_chart_bar(&range, from, to, "kind", out);
            df_text_add(out, "</g>");
            from = to;
        }
        df_chart_strip_end(out);
        df_text_add(out, "</div>\n");
    }
    df_text_add(out, "<div><div class=\"name\"></div>\n");
    df_chart_strip_axis(&range, "dAP (points), kinds side by side", out);
    df_text_add(out, "</div></div>\n");
}

static df_status tell_errors(struct df_page *page, const struct df_result_rows *found, struct df_error *err)
{
    const char *head[DF_TIDE_ERRORS];
    const struct df_score_columns columns = { df_result_tide.title, DF_TIDE_ERRORS, df_tide_metrics, head, df_result_tide.notes };
    struct df_text csv = DF_TEXT_INIT;
    struct df_score_table *tide;

    for (size_t k = 0; k < DF_TIDE_ERRORS; k++)
        head[k] = kind_name(k);
    DF_TRY(df_score_table_build(page->request->journal, page->request->rows, &columns, &tide, err));
    add_error_bars(page, tide);
    df_score_table_print(tide, DF_TABLE_HTML, "", &page->body);
    if (found->absent + found->other)
        df_page_say(page, "note", "Of %zu finished runs %zu have no results.json here, and %zu one that is not theirs or cannot be read.",
                    found->added + found->absent + found->other, found->absent, found->other);
    df_score_table_print(tide, DF_TABLE_CSV, "", &csv);
    const df_status status = df_page_csv(page, "errors", "kinds of errors", &csv, err);

    df_text_release(&csv);
    df_score_table_free(tide);
    return status;
}

/* What else the same detections tell: a table of differences. */
static df_status tell_results(struct df_page *page, const struct df_result_scores *scores, struct df_error *err)
{
    const struct df_report_request *request = page->request;
    const struct df_score_columns columns = {
        .title = scores->title, .count = scores->shown, .metric = scores->metric, .head = scores->metric, .notes = scores->notes
    };
    struct df_text csv = DF_TEXT_INIT;
    struct df_result_rows found;
    struct df_score_table *table;

    DF_TRY(df_result_scores_add(scores, request->spec, request->out, request->journal, &found, err));
    DF_TRY(df_score_table_build(request->journal, request->rows, &columns, &table, err));
    df_score_table_print(table, DF_TABLE_HTML, "", &page->body);
    df_score_table_print(table, DF_TABLE_CSV, "", &csv);
    const df_status status = df_page_csv(page, scores->name, scores->title, &csv, err);

    df_text_release(&csv);
    df_score_table_free(table);
    return status;
}

df_status df_report_errors(struct df_page *page, struct df_error *err)
{
    const struct df_report_request *request = page->request;
    struct df_result_rows found = { 0 };
    df_status status = DF_OK;

    df_page_section_begin(page, "errors", "Kinds of errors");
    if (!request->detections)
        df_page_say(page, "", "Not counted, for detections were not to be read (--detections).");
    else if (!request->spec)
        df_page_say(page, "", "Not counted: a folder of rows does not say which data its runs were judged on ('defeat report SPEC' does).");
    else if (request->rows->semantics != DF_SEMANTICS)
        df_page_say(page, "", "Not counted: rows of semantics %lld, an older version's, have no detections.",
                    (long long)request->rows->semantics);
    else
        status = df_result_scores_add(&df_result_tide, request->spec, request->out, request->journal, &found, err);
    if (found.added && status == DF_OK)
        status = tell_errors(page, &found, err);
    for (size_t f = 0; f < 2 && found.added && status == DF_OK; f++)
        status = tell_results(page, f ? &df_result_conditions : &df_result_calibration, err);
    if (!found.added && found.absent + found.other)
        df_page_say(page, "",
                    "Not counted: of %zu finished runs none has its results.json here; published and imported rows have none. To make the "
                    "first: %s --cell %zu --again",
                    found.absent + found.other, request->run, found.first);
    df_page_section_end(page);
    return status;
}
