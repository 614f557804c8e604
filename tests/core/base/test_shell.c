/* Words for a shell: a real one must give them back. */
#include "core/base/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static const char *const words[] = { "plain-1.json", "a b", "",  "it's", "$HOME", "`id`", "*", "a\nb", "~",
                                     "\"q\"",        "\\",  "ä", "a=b",  "''",    "-",    ";", "#" };

static void a_shell_gives_the_words_back(void **state)
{
    struct df_text command = DF_TEXT_INIT, expected = DF_TEXT_INIT;
    char got[512] = "";

    (void)state;
    df_text_add(&command, "printf '<%s>'");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        df_shell_add(&command, words[i]);
        df_text_addf(&expected, "<%s>", words[i]);
    }
    FILE *pipe = popen(command.data, "r");

    assert_non_null(pipe);
    got[fread(got, 1, sizeof got - 1, pipe)] = 0;
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(got, expected.data);
    df_text_release(&command);
    df_text_release(&expected);
}

static void what_needs_no_quotes_has_none(void **state)
{
    struct df_shell_word word;
    char longest[3000];

    (void)state;
    assert_string_equal(df_shell_word(&word, "ablations/specs/tiny.json"), "ablations/specs/tiny.json");
    assert_string_equal(df_shell_word(&word, "w_fg=4"), "w_fg=4");
    assert_string_equal(df_shell_word(&word, "my spec"), "'my spec'");
    assert_string_equal(df_shell_word(&word, "it's"), "'it'\\''s'");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_ptr_equal(df_shell_word(&word, longest), longest);
}

static void the_program_is_named_as_it_was_called(void **state)
{
    (void)state;
    assert_string_equal(df_program(), "defeat");
    df_program_set("./my build/defeat");
    assert_string_equal(df_program(), "'./my build/defeat'");
    assert_string_equal(df_program_called(), "./my build/defeat");
    df_program_set("");
    df_program_set(NULL);
    assert_string_equal(df_program_called(), "./my build/defeat");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_shell_gives_the_words_back), cmocka_unit_test(what_needs_no_quotes_has_none),
                                        cmocka_unit_test(the_program_is_named_as_it_was_called) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
