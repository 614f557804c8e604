/* Text of others as a terminal may see it. */
#ifndef DF_CORE_BASE_SHOW_H
#define DF_CORE_BASE_SHOW_H
#include <stddef.h>
#include <stdint.h>

/* Names come from files of others. As a terminal may see one: a control character, a mark that turns the direction of writing or hides itself, or a
 * byte that is no UTF-8 as "\x1b", "\u202e". All else, and what was shown before, stays as it is. Every print of a name goes through here. */
enum { DF_SHOWN_MAX = 512 };
struct df_shown {
    char text[DF_SHOWN_MAX]; /* cut with "..." */
    int columns;             /* of the terminal, a character each */
};
struct df_shown df_shown(const char *name); /* printf("%s", df_shown(name).text) */
/* Bytes of the character that text begins with, if df_shown would not let it pass; 0: it would, or it is no UTF-8. */
size_t df_hidden(const char *text, uint32_t *code);
/* Into room > 3 bytes, cut before the first character that does not fit. Returns the bytes that all of it needs. */
size_t df_show(const char *text, char *out, size_t room);
#endif
