/* Commands in messages: the program by the name that it was called by, words quoted where a shell would split or expand them. A cure that a
 * message names works when it is pasted. */
#ifndef DF_CORE_BASE_SHELL_H
#define DF_CORE_BASE_SHELL_H
#include "core/base/text.h"

/* argv[0], which must live as long as the program; main says it. */
void df_program_set(const char *called);
const char *df_program(void);        /* as a word of a shell; "defeat" where nobody said */
const char *df_program_called(void); /* as it was said: the argv[0] of a process like this one */

/* " word", quoted if it must be: a command grows word by word. */
void df_shell_add(struct df_text *command, const char *word);
/* The same for a message of df_fail: the word alone, in the caller's room. One that is too long for it stands as it is. */
struct df_shell_word {
    char text[2100];
};
const char *df_shell_word(struct df_shell_word *room, const char *word);
#endif
