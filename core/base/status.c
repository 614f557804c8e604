/* Failing, our own bugs, memory that is never NULL, warnings. */
#include "core/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/show.h"

/* out: size bytes, at most MESSAGE_MAX. What an argument brings along that would move the cursor is shown instead. */
enum { MESSAGE_MAX = sizeof((struct df_error *)0)->text };
static void format_message(char *out, size_t size, const char *format, va_list arguments)
{
    char text[MESSAGE_MAX];
    const int n = vsnprintf(text, sizeof text, format, arguments);
    const size_t shown = df_show(text, out, size);

    if (n >= 0 && ((size_t)n >= sizeof text || shown >= size)) {
        const size_t length = strlen(out);

        memcpy(out + (length < size - 4 ? length : size - 4), "...", 4);
    }
}

df_status df_fail(struct df_error *err, df_status status, const char *format, ...)
{
    if (err) {
        char text[sizeof err->text]; /* the arguments may point into err */
        va_list arguments;

        va_start(arguments, format);
        format_message(text, sizeof text, format, arguments);
        va_end(arguments);
        memcpy(err->text, text, sizeof text);
        err->status = status;
    }
    return status;
}

df_status df_fail_in(struct df_error *err, df_status status, const char *format, ...)
{
    char prefix[1024];
    va_list arguments;

    if (!err)
        return status;
    va_start(arguments, format);
    format_message(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    return df_fail(err, err->status, "%s: %s", prefix, err->text);
}

void df_bug(const char *file, int line, const char *text)
{
    fprintf(stderr, "defeat: bug: %s:%d: %s does not hold\n", file, line, text);
    abort();
}

df_status df_absent_is_fine(df_status status, struct df_error *err)
{
    if (status != DF_ERR_NOT_FOUND)
        return status;
    if (err)
        *err = (struct df_error){ 0 };
    return DF_OK;
}

static const char *volatile unfinished;

void df_unfinished_file(const char *path) { unfinished = path; }

/* Without atexit: nothing that is half made is used any more, and standard output keeps what is whole. */
void df_out_of_memory(unsigned long bytes)
{
    if (bytes)
        fprintf(stderr, "defeat: out of memory: cannot get %lu bytes\n", bytes);
    else
        fprintf(stderr, "defeat: out of memory\n");
    if (unfinished)
        unlink(unfinished);
    _exit(1);
}

void *df_malloc(unsigned long bytes)
{
    void *memory = malloc(bytes ? bytes : 1);

    if (!memory)
        df_out_of_memory(bytes);
    return memory;
}

void *df_calloc(unsigned long count, unsigned long bytes)
{
    void *memory = count && bytes ? calloc(count, bytes) : calloc(1, 1);

    if (!memory)
        df_out_of_memory(bytes && count > SIZE_MAX / bytes ? SIZE_MAX : count * bytes);
    return memory;
}

void *df_realloc(void *old, unsigned long bytes)
{
    void *memory = realloc(old, bytes ? bytes : 1);

    if (!memory)
        df_out_of_memory(bytes);
    return memory;
}

char *df_strdup(const char *text)
{
    const size_t bytes = strlen(text) + 1;

    return memcpy(df_malloc(bytes), text, bytes);
}

static void (*make_room)(void);

void df_warn_makes_room(void (*fn)(void)) { make_room = fn; }

void df_warn_print(const char *text)
{
    if (make_room)
        make_room();
    fprintf(stderr, "warning: %s\n", text);
}

static void warn_stderr(void *context, const char *text)
{
    (void)context;
    df_warn_print(text);
}

static struct {
    df_warn_fn *fn;
    void *context;
} warn_sink = { warn_stderr, NULL };

void df_warn_set(df_warn_fn *fn, void *context)
{
    warn_sink.fn = fn ? fn : warn_stderr;
    warn_sink.context = context;
}

void df_warn(const char *format, ...)
{
    char text[2048];
    va_list arguments;

    va_start(arguments, format);
    format_message(text, sizeof text, format, arguments);
    va_end(arguments);
    warn_sink.fn(warn_sink.context, text);
}
