/* One line: "done total rate eta elapsed<TAB>unit<TAB>label<TAB>note", by one write from the beginning and a cut behind it. A reader that meets it half
 * done finds no end of line, or a tab missing, and looks again later. */
#include "core/base/progress_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

#define FILE_BYTES ((size_t)4096)

static struct {
    char *path;
    int fd; /* -1: not held */
    double next;
} telling = { .fd = -1 };

void df_progress_tell(const char *path)
{
    df_progress_untell();
    telling.path = df_strdup(path);
    telling.next = 0;
}

void df_progress_untell(void)
{
    if (telling.fd >= 0)
        unlink(telling.path);
    df_unlock(telling.fd);
    free(telling.path);
    telling.path = NULL;
    telling.fd = -1;
}

bool df_progress_telling(double now) { return telling.path && now >= telling.next; }

void df_progress_told(const struct df_progress_view *view)
{
    struct df_text text = DF_TEXT_INIT;

    telling.next = df_now() + 1;
    if (telling.fd < 0 && df_lock(telling.path, true, &telling.fd, NULL) != DF_OK)
        telling.fd = -1;
    if (telling.fd < 0)
        return;
    df_text_addf(&text, "%.17g %.17g %.17g %.17g %.17g\t%s\t", view->done, view->total, view->rate, view->eta, view->elapsed, view->unit);
    df_text_add_shown(&text, view->label);
    df_text_add(&text, "\t");
    df_text_add_shown(&text, view->note);
    df_text_add(&text, "\n");
    if (pwrite(telling.fd, text.data, text.length, 0) == (ssize_t)text.length && ftruncate(telling.fd, (off_t)text.length) != 0)
        telling.next = INFINITY; /* the file system cannot: no more of it */
    df_text_release(&text);
}

/* Up to the next `end`, which is stepped over; false: there is none. */
static bool word(char **at, char end, char *out, size_t room)
{
    char *stop = strchr(*at, end);

    if (!stop)
        return false;
    *stop = 0;
    snprintf(out, room, "%s", *at);
    *at = stop + 1;
    return true;
}

static bool parse(char *at, struct df_progress_view *out)
{
    double *const number[] = { &out->done, &out->total, &out->rate, &out->eta, &out->elapsed };

    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        char *end;

        *number[i] = strtod(at, &end);
        if (end == at)
            return false;
        at = end;
    }
    return *at++ == '\t' && word(&at, '\t', out->unit, sizeof out->unit) && word(&at, '\t', out->label, sizeof out->label) &&
           word(&at, '\n', out->note, sizeof out->note);
}

bool df_progress_read(const char *path, struct df_progress_view *out)
{
    char *data;
    size_t bytes;
    int fd = -1;

    if (!df_file_exists(path) || df_lock(path, true, &fd, NULL) != DF_OK)
        return false;
    if (fd >= 0) { /* nobody holds it: left by a process that was killed */
        df_unlock(fd);
        return false;
    }
    if (df_file_read(path, FILE_BYTES, &data, &bytes, NULL) != DF_OK)
        return false;
    const bool whole = parse(data, out);

    free(data);
    return whole;
}
