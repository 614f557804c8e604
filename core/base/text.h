/* A growable string, and the small file and number helpers everything uses. */
#ifndef DF_CORE_BASE_TEXT_H
#define DF_CORE_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/show.h"
#include "core/base/status.h"

struct df_text {
    char *data; /* always 0-terminated after the first add; NULL when empty (use df_text_get) */
    size_t length, capacity;
};
#define DF_TEXT_INIT                                                                                                                       \
    {                                                                                                                                      \
        0                                                                                                                                  \
    }
void df_text_add(struct df_text *text, const char *s);
void df_text_add_bytes(struct df_text *text, const void *bytes, size_t n);
void df_text_addf(struct df_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *df_text_get(const struct df_text *text); /* "" when empty */
void df_text_clear(struct df_text *text);            /* keeps the memory */
void df_text_release(struct df_text *text);

/* df_shown's form of all of it, however long. */
void df_text_add_shown(struct df_text *text, const char *name);

/* The name in `names` (NULL-terminated array, or count given by NULL) nearest to `word` by edit distance; NULL when none is near. */
const char *df_nearest(const char *word, const char *const *names);
/* Fails with "unknown <what> '<word>' (did you mean '<near>'? <hint>)". near NULL: no name is near. */
df_status df_fail_unknown(struct df_error *err, const char *what, const char *word, const char *near, const char *hint);
/* A table as its names: the i-th; NULL behind the last. */
typedef const char *df_name_at(const void *table, size_t i);
/* Where in the table the word stands. SIZE_MAX where it does not, with df_fail_unknown's error; hint NULL: all names are told. */
size_t df_find_name(df_name_at *name, const void *table, const char *word, const char *what, const char *hint, struct df_error *err);

/* Strict numbers, independent of the locale: the whole text must be the number, and it must be finite. */
bool df_parse_real(const char *text, double *out);
bool df_parse_int(const char *text, int64_t *out);
/* "90", "90s", "15m", "2h", "1.5d": seconds, above 0. */
bool df_parse_seconds(const char *text, double *out);
/* Shortest decimal form that reads back as the same double ("0.1", "1e-05", "3"). buffer >= 32 bytes. Returns buffer. */
char *df_format_real(char buffer[32], double value);
#endif
