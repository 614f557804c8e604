/* Warnings by kind. What a process says at its end of those that came again is read back from its log: "(2400 in all)" counts the first one too. */
#include "core/base/warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

#define LOG_BYTES ((size_t)64 << 20)

static const char mark[] = "warning: ";

/* ---- kinds ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Behind a number, such as "0.25" or "12"; at itself where there is none. */
static const char *behind_number(const char *at)
{
    while (is_digit(*at) || (*at == '.' && is_digit(at[1])))
        at++;
    return at;
}

/* Behind what is quoted; at itself where no quotation begins or none ends. An apostrophe within a word is no quotation mark. */
static const char *behind_quoted(const char *text, const char *at)
{
    const bool begins = *at == '\'' && (at == text || at[-1] == ' ' || at[-1] == '(' || at[-1] == ':');
    const char *end = begins ? strchr(at + 1, '\'') : NULL;

    return end ? end + 1 : at;
}

/* Without what is quoted and without numbers. */
static char *without_names(const char *text)
{
    char *out = df_malloc(strlen(text) + 1), *to = out;

    for (const char *at = text; *at;) {
        const char *quoted = behind_quoted(text, at), *number = behind_number(at);

        if (quoted > at)
            at = quoted;
        else if (number > at)
            at = number;
        else
            *to++ = *at++;
    }
    *to = 0;
    return out;
}

/* A message about a file begins with its path: "img/a b.jpg: no end marker". */
char *df_warning_kind(const char *text)
{
    char *kind = without_names(text), *colon = strstr(kind, ": ");
    const size_t head = colon ? (size_t)(colon - kind) : 0;

    if (memchr(kind, '/', head) || memchr(kind, '.', head))
        memmove(kind, colon + 2, strlen(colon + 2) + 1);
    return kind;
}

/* ---- counting ---- */

static struct df_warning *find(struct df_warnings *warnings, const char *kind)
{
    for (size_t i = 0; i < warnings->count; i++)
        if (strcmp(warnings->list[i].kind, kind) == 0)
            return &warnings->list[i];
    return NULL;
}

static void note_log(struct df_warning *warning, const char *log)
{
    for (size_t i = warning->logs; log && i-- > 0;)
        if (strcmp(warning->log[i], log) == 0)
            return;
    if (!log)
        return;
    warning->log = df_realloc(warning->log, (warning->logs + 1) * sizeof *warning->log);
    warning->log[warning->logs++] = df_strdup(log);
}

bool df_warnings_add(struct df_warnings *warnings, const char *text, size_t times, const char *log)
{
    char *kind = df_warning_kind(text);
    struct df_warning *old = find(warnings, kind);
    const bool is_new = !old;

    if (is_new) {
        warnings->list = df_realloc(warnings->list, (warnings->count + 1) * sizeof *warnings->list);
        old = &warnings->list[warnings->count++];
        *old = (struct df_warning){ .kind = kind, .text = df_strdup(text) };
    } else {
        free(kind);
    }
    old->count += times;
    note_log(old, log);
    return is_new;
}

void df_warnings_release(struct df_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        free(warnings->list[i].kind);
        free(warnings->list[i].text);
        for (size_t k = 0; k < warnings->list[i].logs; k++)
            free(warnings->list[i].log[k]);
        free(warnings->list[i].log);
    }
    free(warnings->list);
    *warnings = (struct df_warnings){ 0 };
}

/* ---- logs ---- */

/* Cuts " (2400 in all)" off. The number, 0: there is none. */
static size_t cut_count(char *text)
{
    char *open = strrchr(text, '('), tail[16] = "";
    unsigned long long times = 0;

    if (!open || open == text || sscanf(open, "(%llu %15[^)])", &times, tail) != 2 || strcmp(tail, "in all") != 0 || times < 2)
        return 0;
    open[-1] = 0;
    return (size_t)times;
}

/* line: ended by 0, may be changed */
static void add_line(struct df_warnings *warnings, char *line, const char *log)
{
    char *text = line + sizeof mark - 1;

    if (strncmp(line, mark, sizeof mark - 1) != 0)
        return;
    const size_t times = cut_count(text);

    df_warnings_add(warnings, text, times ? times - 1 : 1, log);
}

df_status df_warnings_follow(struct df_warnings *warnings, const char *log, size_t *from, struct df_error *err)
{
    char *data;
    size_t bytes = 0;
    df_status status = df_file_size(log, &bytes, err);

    if (status == DF_OK && bytes == *from)
        return DF_OK;
    if (status == DF_OK)
        status = df_file_read(log, LOG_BYTES, &data, &bytes, err);
    if (status != DF_OK)
        return df_absent_is_fine(status, err);
    if (*from > bytes) /* another log by now */
        *from = 0;
    for (char *end; (end = memchr(data + *from, '\n', bytes - *from)); *from = (size_t)(end - data) + 1) {
        *end = 0;
        add_line(warnings, data + *from, log);
    }
    free(data);
    return DF_OK;
}

void df_warning_text(const struct df_warning *warning, struct df_text *out)
{
    df_text_add(out, warning->text);
    if (warning->count < 2 && !warning->logs)
        return;
    df_text_add(out, " (");
    if (warning->count > 1)
        df_text_addf(out, "%zu in all", warning->count);
    if (warning->logs > 1)
        df_text_addf(out, ", in %zu logs", warning->logs);
    if (warning->logs)
        df_text_addf(out, "%sfirst in '%s'", warning->count > 1 ? "; " : "", warning->log[0]);
    df_text_add(out, ")");
}

static struct df_warnings here; /* what this process has warned of */

bool df_warning_is_ours(const struct df_warning *warning) { return find(&here, warning->kind) != NULL; }

void df_warnings_tell(const struct df_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count && i < DF_WARNINGS_TOLD; i++) {
        struct df_text text = DF_TEXT_INIT;

        df_warning_text(&warnings->list[i], &text);
        if (!df_warning_is_ours(&warnings->list[i]))
            df_warn_print(df_text_get(&text));
        df_text_release(&text);
    }
    if (warnings->count > DF_WARNINGS_TOLD)
        df_warn("and %zu kinds of warnings more: the logs have them", warnings->count - DF_WARNINGS_TOLD);
}

/* ---- of this process ---- */

static void tell_first(void *context, const char *text)
{
    (void)context;
    if (!df_warnings_add(&here, text, 1, NULL))
        return;
    if (here.count <= DF_WARNINGS_TOLD)
        df_warn_print(text);
    else if (here.count == DF_WARNINGS_TOLD + 1)
        df_warn_print("more kinds of warnings than are told here");
}

void df_warnings_begin(void)
{
    df_warnings_release(&here);
    df_warn_set(tell_first, NULL);
}

void df_warnings_end(void)
{
    for (size_t i = 0; i < here.count && i < DF_WARNINGS_TOLD; i++) {
        struct df_text text = DF_TEXT_INIT;

        df_warning_text(&here.list[i], &text);
        if (here.list[i].count > 1)
            df_warn_print(df_text_get(&text));
        df_text_release(&text);
    }
    df_warn_set(NULL, NULL);
    df_warnings_release(&here);
}
