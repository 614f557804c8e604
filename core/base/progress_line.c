#include "core/base/progress_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR_LEAST = 8, BAR_MOST = 40, LABEL_END = 6 /* columns that stay of its end: a seed stands there */ };

char *df_duration_text(char buffer[24], double seconds)
{
    const double bounded = seconds > 0 ? fmin(seconds, 3.6e9) : 0;
    const long s = lround(bounded);

    if (!isfinite(seconds))
        snprintf(buffer, 24, "?");
    else if (s >= 3600)
        snprintf(buffer, 24, "%ldh %02ldm", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        snprintf(buffer, 24, "%ldm %02lds", s / 60, s % 60);
    else
        snprintf(buffer, 24, "%lds", s);
    return buffer;
}

/* Bytes that follow the first of a UTF-8 character have these bits. */
static bool follows(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

size_t df_text_columns(const char *text)
{
    size_t columns = 0;

    for (; *text; text++)
        columns += !follows(*text);
    return columns;
}

/* Bytes of the first `columns` characters. */
static size_t bytes_of(const char *text, size_t columns)
{
    size_t bytes = 0;

    while (text[bytes] && (columns || follows(text[bytes])))
        columns -= !follows(text[bytes++]);
    return bytes;
}

/* ---- the parts ---- */

struct parts {
    struct df_text label, rate, note;
    char percent[48], eta[40];
};

static double fraction_of(const struct df_progress_view *view) { return fmin(fmax(view->done / view->total, 0), 1); }

static void part_release(struct parts *parts)
{
    df_text_release(&parts->label);
    df_text_release(&parts->rate);
    df_text_release(&parts->note);
}

static void part_of(const struct df_progress_view *view, struct parts *out)
{
    char duration[24];

    *out = (struct parts){ .percent = "" };
    df_text_add_shown(&out->label, view->label);
    if (view->total > 0)
        snprintf(out->percent, sizeof out->percent, "%.0f %%", floor(100 * fraction_of(view)));
    else if (view->unit[0])
        snprintf(out->percent, sizeof out->percent, "%.0f %s", view->done, view->unit);
    if (view->rate > 0)
        df_text_addf(&out->rate, "  %.3g %s/s", view->rate, view->unit);
    if (view->total > view->done && isfinite(view->eta))
        snprintf(out->eta, sizeof out->eta, "  eta %s", df_duration_text(duration, view->eta));
    else if (view->elapsed >= 1)
        snprintf(out->eta, sizeof out->eta, "  %s", df_duration_text(duration, view->elapsed));
    if (view->note[0])
        df_text_add(&out->note, "  ");
    df_text_add_shown(&out->note, view->note);
}

/* ---- a line ---- */

static void add_bar(struct df_text *line, double fraction, size_t width)
{
    const size_t full = (size_t)(fraction * (double)width);

    df_text_add(line, " [");
    for (size_t i = 0; i < width; i++)
        df_text_add(line, i < full ? "=" : i == full ? ">" : " ");
    df_text_add(line, "]");
}

/* The label, filled up; one that is too long without its middle: "DeFeat ne..seed 1". */
static void add_label(struct df_text *line, const char *label, size_t columns)
{
    const size_t own = df_text_columns(label);

    if (own > columns && columns >= 2 * LABEL_END) {
        df_text_add_bytes(line, label, bytes_of(label, columns - LABEL_END - 2));
        df_text_addf(line, "..%s", label + bytes_of(label, own - LABEL_END));
        return;
    }
    df_text_add_bytes(line, label, bytes_of(label, columns));
    for (size_t i = own; i < columns; i++)
        df_text_add(line, " ");
}

void df_progress_line(const struct df_progress_view *view, size_t columns, size_t label_columns, struct df_text *line)
{
    const bool barred = view->total > 0;
    const size_t begin = line->length;
    struct parts parts;

    part_of(view, &parts);
    size_t percent = barred ? 6 : parts.percent[0] ? 2 + strlen(parts.percent) : 0; /* " 100 %", ": 6 files" */
    size_t rate = df_text_columns(df_text_get(&parts.rate)), note = df_text_columns(df_text_get(&parts.note));
    size_t label = df_text_columns(df_text_get(&parts.label)), bar = barred ? BAR_LEAST + 3 : 0;

    label = label > label_columns ? label : label_columns;
    percent += strlen(parts.eta);
    if (label + bar + percent + rate + note > columns)
        rate = 0;
    if (label + bar + percent + note > columns)
        bar = 0;
    if (label + percent + note > columns)
        note = 0;
    if (label + percent > columns)
        label = columns > percent ? columns - percent : 0;
    if (bar) {
        const size_t spare = columns - label - percent - rate - note - 3;

        bar = spare < BAR_MOST ? spare : BAR_MOST;
    }
    add_label(line, df_text_get(&parts.label), label);
    if (bar)
        add_bar(line, fraction_of(view), bar);
    df_text_addf(line, barred ? " %5s" : parts.percent[0] ? ": %s" : "%s", parts.percent);
    df_text_addf(line, "%s%s%s", rate ? df_text_get(&parts.rate) : "", parts.eta, note ? df_text_get(&parts.note) : "");
    part_release(&parts);

    const size_t fits = begin + bytes_of(df_text_get(line) + begin, columns);

    if (line->length > fits) { /* not even these */
        line->length = fits;
        line->data[fits] = 0;
    }
}

void df_progress_plain(const struct df_progress_view *view, struct df_text *line)
{
    struct parts parts;

    part_of(view, &parts);
    df_text_addf(line,
                 view->total > 0    ? "%s: %5s%s%s%s"
                 : parts.percent[0] ? "%s: %s%s%s%s"
                                    : "%s%s%s%s%s",
                 df_text_get(&parts.label), parts.percent, df_text_get(&parts.rate), parts.eta, df_text_get(&parts.note));
    part_release(&parts);
}
