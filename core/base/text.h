/* A growable string, and the small file and number helpers everything uses. */
#ifndef DF_CORE_BASE_TEXT_H
#define DF_CORE_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* The name in `names` (NULL-terminated array, or count given by NULL) nearest to `word` by edit distance; NULL when none is near. */
const char *df_nearest(const char *word, const char *const *names);

/* Strict numbers, independent of the locale: the whole text must be the number, and it must be finite. */
bool df_parse_real(const char *text, double *out);
bool df_parse_int(const char *text, int64_t *out);
/* Shortest decimal form that reads back as the same double ("0.1", "1e-05", "3"). buffer >= 32 bytes. Returns buffer. */
char *df_format_real(char buffer[32], double value);
#endif
