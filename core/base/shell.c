#include "core/base/shell.h"

#include <string.h>

static struct df_shell_word program = { "defeat" };
static const char *program_called = "defeat";

/* What no shell of POSIX takes for anything but itself. '~' is itself inside of a word only. */
static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";

    return *word && !word[strspn(word, plain)];
}

/* In single quotes all is itself but the quote: '\'' ends them, puts one, and begins again. */
static void add_quoted(const char *word, struct df_text *out)
{
    df_text_add(out, "'");
    for (; *word; word++) {
        if (*word == '\'')
            df_text_add(out, "'\\''");
        else
            df_text_add_bytes(out, word, 1);
    }
    df_text_add(out, "'");
}

static void add_word(const char *word, struct df_text *out)
{
    if (is_plain(word))
        df_text_add(out, word);
    else
        add_quoted(word, out);
}

void df_shell_add(struct df_text *command, const char *word)
{
    df_text_add(command, " ");
    add_word(word, command);
}

const char *df_shell_word(struct df_shell_word *room, const char *word)
{
    struct df_text text = DF_TEXT_INIT;
    const char *out = word;

    add_word(word, &text);
    if (text.length < sizeof room->text)
        out = memcpy(room->text, text.data, text.length + 1);
    df_text_release(&text);
    return out;
}

void df_program_set(const char *called)
{
    if (!called || !*called || df_shell_word(&program, called) != program.text)
        return;
    program_called = called;
}

const char *df_program(void) { return program.text; }

const char *df_program_called(void) { return program_called; }
