/* Warnings counted by kind: of many that differ only in numbers, in what they quote and in the file they begin with, the first is told and the
 * others are counted. So in one process, and over the logs of many. */
#ifndef DF_CORE_BASE_WARNINGS_H
#define DF_CORE_BASE_WARNINGS_H
#include <stdbool.h>

#include "core/base/text.h"

#define DF_WARNINGS_TOLD 20 /* kinds: what there is beyond is told as a number */

struct df_warning {
    char *kind, *text;  /* text: of the first */
    char **log;         /* [logs] that it came from, the first one first */
    size_t count, logs; /* how often; in how many logs */
};
struct df_warnings {
    struct df_warning *list;
    size_t count;
};

/* What makes two of one kind; free() it. */
char *df_warning_kind(const char *text);
/* Counts `times` more of the text; log: where it was read, or NULL. True: the first of its kind. */
bool df_warnings_add(struct df_warnings *warnings, const char *text, size_t times, const char *log);
/* Adds what a log warns of from byte *from on, whole lines only, and moves *from behind them. No such log: nothing. */
df_status df_warnings_follow(struct df_warnings *warnings, const char *log, size_t *from, struct df_error *err);
/* "text (2400 in all, in 3 logs; first in 'out/x/runs/id/log.txt')" */
void df_warning_text(const struct df_warning *warning, struct df_text *out);
/* Whether this process has told of that kind by itself, since df_warnings_begin. */
bool df_warning_is_ours(const struct df_warning *warning);
/* One line of each kind, the first DF_WARNINGS_TOLD, on stderr; none of those that are ours. */
void df_warnings_tell(const struct df_warnings *warnings);
void df_warnings_release(struct df_warnings *warnings);

/* ---- of this process ---- */

/* From here on df_warn tells the first of each kind at once; df_warnings_end then says how many there were of those that came again, as
 * "warning: text (2400 in all)", which df_warnings_follow understands. */
void df_warnings_begin(void);
void df_warnings_end(void);
#endif
