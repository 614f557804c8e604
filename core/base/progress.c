/* Progress: a bar on a terminal, with lines below it where there is more to tell, plain lines elsewhere. The rate is the mean since the first report, so
 * that work found done at the start (a resumed sweep) does not count as fast. */
#include "core/base/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/progress_file.h"
#include "core/base/progress_internal.h"
#include "core/base/text.h"

static const double quiet_seconds = 0.5, redraw_seconds = 0.1, line_seconds = 10;

struct df_progress {
    char *label, *unit, note[sizeof((struct df_progress_view *)NULL)->note]; /* note: a copy, cut; no heap memory per step */
    double total, done, first_done, started, shown;                          /* shown: time of the last drawing, < 0 when none */
    bool reported, knows_eta;
    double eta; /* where it is known from elsewhere */
    const struct df_progress_view *part;
    size_t parts;
};

static struct {
    bool on, injected, terminal, line_open;
    size_t above; /* lines of the drawing above the cursor's */
    int columns;
    FILE *stream;
    double (*clock)(void);
} screen = { .clock = df_now };

void df_progress_enable(bool on) { screen.on = on; }

void df_progress_inject(double (*clock)(void), FILE *stream, bool terminal, int columns)
{
    screen.clock = clock ? clock : df_now;
    screen.injected = stream != NULL;
    screen.stream = stream;
    screen.terminal = terminal;
    screen.columns = columns;
}

static FILE *stream(void) { return screen.injected ? screen.stream : stderr; }

static bool on_terminal(void)
{
    const char *kind = getenv("TERM");

    return screen.injected ? screen.terminal : isatty(STDERR_FILENO) && !(kind && strcmp(kind, "dumb") == 0);
}

/* Of the terminal, where it says so. */
static void size_of_screen(size_t *columns, size_t *rows)
{
    struct winsize size = { 0 };

    if (screen.injected)
        size.ws_col = (unsigned short)screen.columns;
    else if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0)
        size = (struct winsize){ 0 };
    *columns = screen.injected || size.ws_col > 20 ? size.ws_col : 80;
    *rows = size.ws_row > 3 ? size.ws_row : 24;
}

void df_progress_clear_line(void)
{
    if (!screen.line_open)
        return;
    fputs("\r", stream());
    if (screen.above)
        fprintf(stream(), "\033[%zuA\033[J", screen.above);
    else
        fputs("\033[K", stream());
    fflush(stream());
    screen.line_open = false;
    screen.above = 0;
}

struct df_progress *df_progress_new(const char *label, const char *unit, double total)
{
    struct df_progress *progress = df_malloc(sizeof *progress);

    df_warn_makes_room(df_progress_clear_line);
    *progress = (struct df_progress){
        .label = df_strdup(label), .unit = df_strdup(unit ? unit : ""), .total = total, .started = screen.clock(), .shown = -1
    };
    return progress;
}

static void make_view(const struct df_progress *p, double now, struct df_progress_view *view)
{
    *view = (struct df_progress_view){ .total = p->total, .done = p->done, .elapsed = now - p->started, .eta = NAN };
    snprintf(view->label, sizeof view->label, "%s", p->label);
    snprintf(view->unit, sizeof view->unit, "%s", p->unit);
    snprintf(view->note, sizeof view->note, "%s", p->note);
    if (!p->knows_eta && view->elapsed > 0 && p->done > p->first_done) {
        view->rate = (p->done - p->first_done) / view->elapsed;
        view->eta = p->total > p->done ? (p->total - p->done) / view->rate : NAN;
    } else if (p->knows_eta) {
        view->eta = p->eta;
    }
}

/* As many parts as the terminal has rows for, their labels in one column of at most half a line. */
static void draw_lines(const struct df_progress *progress, const struct df_progress_view *whole, struct df_text *text)
{
    size_t columns, rows, label = 0;

    size_of_screen(&columns, &rows);
    columns -= columns > 1;
    screen.above = progress->parts < rows - 2 ? progress->parts : rows - 2;
    for (size_t i = 0; i < screen.above; i++) {
        const size_t own = df_text_columns(progress->part[i].label);

        label = own > label ? own : label;
    }
    label = label < columns / 2 ? label : columns / 2;
    df_progress_line(whole, columns, label, text);
    for (size_t i = 0; i < screen.above; i++) {
        df_text_add(text, "\033[K\n");
        df_progress_line(&progress->part[i], columns, label, text);
    }
}

static void draw(struct df_progress *progress, double now)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_progress_view view;

    make_view(progress, now, &view);
    if (on_terminal()) {
        const size_t before = screen.line_open ? screen.above : 0;

        df_text_add(&text, "\r");
        if (before)
            df_text_addf(&text, "\033[%zuA", before);
        draw_lines(progress, &view, &text);
        fprintf(stream(), "%s%s", df_text_get(&text), before > screen.above ? "\033[J" : "\033[K");
        screen.line_open = true;
    } else {
        df_progress_plain(&view, &text);
        fprintf(stream(), "%s\n", df_text_get(&text));
    }
    fflush(stream());
    progress->shown = now;
    df_text_release(&text);
}

void df_progress_parts(struct df_progress *progress, double eta, const struct df_progress_view *part, size_t parts)
{
    progress->knows_eta = true;
    progress->eta = eta;
    progress->part = part;
    progress->parts = parts;
}

void df_progress_set(struct df_progress *progress, double done, const char *note)
{
    const double now = screen.clock();

    if (!progress)
        return;
    if (!progress->reported) {
        progress->reported = true;
        progress->first_done = done > 0 && now - progress->started < quiet_seconds ? done : 0;
    }
    progress->done = done;
    (void)df_show(note ? note : "", progress->note, sizeof progress->note);
    if (df_progress_telling(df_now())) {
        struct df_progress_view view;

        make_view(progress, now, &view);
        df_progress_told(&view);
    }
    if (!screen.on || now - progress->started < (on_terminal() ? quiet_seconds : line_seconds))
        return;
    if (progress->shown < 0 || now - progress->shown >= (on_terminal() ? redraw_seconds : line_seconds))
        draw(progress, now);
}

void df_progress_free(struct df_progress *progress)
{
    if (!progress)
        return;
    if (progress->shown >= 0 && screen.on) {
        progress->parts = 0; /* they are over */
        draw(progress, screen.clock());
        if (screen.line_open)
            fputs("\n", stream());
        fflush(stream());
        screen.line_open = false;
    }
    free(progress->label);
    free(progress->unit);
    free(progress);
}
