/* Progress: a bar on a terminal, plain lines elsewhere. The rate is the mean since the first report, so that work found done at the start
 * (a resumed sweep) does not count as fast. */
#include "core/base/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/progress_internal.h"
#include "core/base/text.h"

static const double quiet_seconds = 0.5, redraw_seconds = 0.1, line_seconds = 10;

struct df_progress {
    char *label, *unit, note[160];                  /* note: a copy, cut; no heap memory per step */
    double total, done, first_done, started, shown; /* shown: time of the last drawing, < 0 when none */
    bool reported;
};

static struct {
    bool on, injected, terminal, line_open;
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

static size_t columns(void)
{
    struct winsize size;

    if (screen.injected)
        return (size_t)screen.columns;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void df_progress_clear_line(void)
{
    if (!screen.line_open)
        return;
    fputs("\r\033[K", stream());
    fflush(stream());
    screen.line_open = false;
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

static void add_bar(struct df_text *line, double fraction, size_t width)
{
    const size_t full = (size_t)(fraction * (double)width);

    df_text_add(line, " [");
    for (size_t i = 0; i < width; i++)
        df_text_add(line, i < full ? "=" : i == full ? ">" : " ");
    df_text_add(line, "]");
}

/* "label [===>   ] 42 %  12.3 images/s  eta 3m 20s  note" */
static void compose(const struct df_progress *p, double now, bool bar, struct df_text *line)
{
    const double fraction = p->total > 0 ? fmin(fmax(p->done / p->total, 0), 1) : 0;
    const double elapsed = now - p->started, rate = elapsed > 0 ? (p->done - p->first_done) / elapsed : 0;
    char duration[24];

    df_text_add_shown(line, p->label);
    if (bar && p->total > 0)
        add_bar(line, fraction, 24);
    if (p->total > 0)
        df_text_addf(line, "%s%3.0f %%", bar ? " " : ": ", floor(100 * fraction));
    else
        df_text_addf(line, ": %.0f %s", p->done, p->unit);
    if (rate > 0)
        df_text_addf(line, "  %.3g %s/s", rate, p->unit);
    if (rate > 0 && p->total > p->done)
        df_text_addf(line, "  eta %s", df_duration_text(duration, (p->total - p->done) / rate));
    else if (elapsed >= 1)
        df_text_addf(line, "  %s", df_duration_text(duration, elapsed));
    if (p->note[0])
        df_text_addf(line, "  %s", p->note);
}

static void draw(struct df_progress *progress, double now)
{
    const bool terminal = on_terminal();
    struct df_text line = DF_TEXT_INIT;

    compose(progress, now, terminal, &line);
    if (terminal) {
        const size_t room = columns() > 1 ? columns() - 1 : 1;

        fprintf(stream(), "\r%.*s\033[K", (int)(line.length < room ? line.length : room), df_text_get(&line));
    } else {
        fprintf(stream(), "%s\n", df_text_get(&line));
    }
    fflush(stream());
    screen.line_open = terminal;
    progress->shown = now;
    df_text_release(&line);
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
