/* Strings, near names, numbers: strict, shortest, and the same in a locale with a decimal comma. */
#include "core/base/text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "tests/support/support.h"

static void text_grows(void **state)
{
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    assert_string_equal(df_text_get(&text), "");
    for (int i = 0; i < 1000; i++)
        df_text_addf(&text, "%d,", i % 10);
    assert_int_equal(text.length, 2000);
    assert_memory_equal(text.data + 1990, "5,6,7,8,9,", 11);
    df_text_clear(&text);
    assert_string_equal(df_text_get(&text), "");
    df_text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(text.length, 3);
    df_text_release(&text);
    assert_null(text.data);
}

static void nearest_finds_slips_and_nothing_far(void **state)
{
    static const char *const names[] = { "defeat", "full_feature", "foreground", "background", "head_kl", "none", NULL };
    static const char *const swap[] = { "dseta", "test", NULL }, *const no_names[] = { NULL };

    (void)state;
    assert_string_equal(df_nearest("defaet", names), "defeat");
    assert_string_equal(df_nearest("full-feature", names), "full_feature");
    assert_string_equal(df_nearest("FOREGROUND", names), "foreground");
    assert_string_equal(df_nearest("backgroud", names), "background");
    assert_string_equal(df_nearest("head_k", names), "head_kl");
    assert_string_equal(df_nearest("nome", names), "none");
    assert_string_equal(df_nearest("tset", swap), "test"); /* a swap of neighbours is one slip, not two */
    assert_null(df_nearest("quux", names));
    assert_null(df_nearest("", names));
    assert_null(df_nearest("x", names));
    assert_null(df_nearest("defeat", no_names));
    assert_null(df_nearest("a_word_of_more_than_sixty_three_letters_is_not_looked_at_because_it_is_long", names));
}

static const char *name_in(const void *names, size_t i) { return ((const char *const *)names)[i]; }

static void names_are_found_or_told(void **state)
{
    const char *names[101] = { NULL };
    char text[100][8];
    struct df_error err = { 0 };

    (void)state;
    for (int i = 0; i < 100; i++) { /* a table of any length, whose last name is as good as its first */
        snprintf(text[i], sizeof text[i], "item%d", 100 + i);
        names[i] = text[i];
    }
    assert_int_equal(df_find_name(name_in, names, "item100", "item", NULL, &err), 0);
    assert_int_equal(df_find_name(name_in, names, "item199", "item", NULL, &err), 99);
    assert_true(df_find_name(name_in, names, "item1999", "item", "'list' tells them", &err) == SIZE_MAX);
    assert_int_equal(err.status, DF_ERR_USAGE);
    assert_string_equal(err.text, "unknown item 'item1999' (did you mean 'item199'? 'list' tells them)");
    names[2] = NULL;
    assert_true(df_find_name(name_in, names, "quux", "item", NULL, &err) == SIZE_MAX);
    assert_string_equal(err.text, "unknown item 'quux' (there are: item100, item101)");
    assert_true(df_find_name(name_in, names, "quux", "item", NULL, NULL) == SIZE_MAX);
}

/* Each kind of character that a terminal would obey or not show, bytes that are no UTF-8, and what stays as it is. */
static void names_are_shown(void **state)
{
    static const struct {
        const char *name, *shown;
    } cases[] = {
        { "cat", "cat" },
        { "K\xc3\xa4"
          "fer \xe8\x87\xaa\xf0\x9f\x90\x9e",
          "K\xc3\xa4"
          "fer \xe8\x87\xaa\xf0\x9f\x90\x9e" },
        { "a\x1b[2Jb\n\x7f", "a\\x1b[2Jb\\x0a\\x7f" },
        { "\xc2\x9b", "\\u009b" }, /* CSI in one character */
        { "x\xe2\x80\xaegpj.exe", "x\\u202egpj.exe" },
        { "\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c\xef\xbb\xbf\xe2\x80\xa8", "\\u2066\\u200f\\u061c\\ufeff\\u2028" },
        { "\xe4", "\\xe4" },
        { "\xc0\x80\xed\xa0\x80", "\\xc0\\x80\\xed\\xa0\\x80" }, /* too long a form, half a surrogate pair */
        { "\\x1b", "\\x1b" },                                    /* shown before */
    };
    struct df_text text = DF_TEXT_INIT;
    struct df_error err;
    char name[2000], small[8];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(df_shown(cases[i].name).text, cases[i].shown);
        df_text_clear(&text);
        df_text_add_shown(&text, cases[i].name);
        assert_string_equal(df_text_get(&text), cases[i].shown);
        assert_int_equal(df_fail(&err, DF_ERR_IO, "no '%s'", cases[i].name), DF_ERR_IO); /* and so is every message */
        assert_memory_equal(err.text + 4, cases[i].shown, strlen(cases[i].shown));
    }
    assert_int_equal(df_shown("\xc3\xa4\x1b").columns, 5);
    assert_int_equal(df_show("ab\x1b!", small, 6), 7);
    assert_string_equal(small, "ab"); /* no half of it, and nothing behind it */
    memset(name, 1, sizeof name - 1);
    name[sizeof name - 1] = 0;
    df_text_clear(&text);
    df_text_add_shown(&text, name);
    assert_int_equal(text.length, 4 * (sizeof name - 1));
    assert_string_equal(df_shown(name).text + strlen(df_shown(name).text) - 7, "\\x01...");
    df_text_release(&text);
}

static void numbers_are_strict(void **state)
{
    static const char *const bad_reals[] = { "",   " 1", "1 ", "1,5",   "0x10",  "inf", "nan", "1e",
                                             "e5", ".",  "-",  "1e999", "1.2.3", "--1", "1f" };
    static const char *const bad_ints[] = { "", " 1", "1 ", "1.0", "0x10", "-", "+", "9223372036854775808", "-9223372036854775809", "1e3" };
    double real = 42;
    int64_t integer = 42;

    (void)state;
    for (size_t i = 0; i < sizeof bad_reals / sizeof *bad_reals; i++)
        assert_false(df_parse_real(bad_reals[i], &real));
    for (size_t i = 0; i < sizeof bad_ints / sizeof *bad_ints; i++)
        assert_false(df_parse_int(bad_ints[i], &integer));
    assert_true(real == 42 && integer == 42);
    assert_true(df_parse_real("-1.25e-3", &real) && real == -1.25e-3);
    assert_true(df_parse_real(".5", &real) && real == 0.5);
    assert_true(df_parse_real("1e-999", &real) && real == 0);
    assert_true(df_parse_int("9223372036854775807", &integer) && integer == INT64_MAX);
    assert_true(df_parse_int("-9223372036854775808", &integer) && integer == INT64_MIN);
    assert_true(df_parse_int("+007", &integer) && integer == 7);
    assert_true(df_parse_int("-0", &integer) && integer == 0);
}

static void times_have_units(void **state)
{
    static const struct {
        const char *text;
        double seconds;
    } good[] = { { "90", 90 }, { "90s", 90 }, { "15m", 900 }, { "2h", 7200 }, { "1.5d", 129600 } };
    static const char *const bad[] = {
        "", "h", "2 h", "-1m", "0", "0s", "2hm", "2H", "soon", "1e999d", "0000000000000000000000000000000000001"
    };
    double seconds = 42;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(df_parse_seconds(bad[i], &seconds));
    assert_true(seconds == 42);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(df_parse_seconds(good[i].text, &seconds) && seconds == good[i].seconds);
}

static void assert_form(double value, const char *form)
{
    char buffer[32];

    assert_string_equal(df_format_real(buffer, value), form);
}

static void reals_print_shortest_and_read_back(void **state)
{
    struct df_rng rng;

    (void)state;
    assert_form(0.1, "0.1");
    assert_form(1e-5, "1e-05");
    assert_form(3, "3");
    assert_form(-0.0, "-0");
    assert_form(0.1 + 0.2, "0.30000000000000004");
    assert_form(1e22, "1e+22");
    assert_form(123456, "123456");
    assert_form(0x1p53, "9007199254740992");
    assert_form(5e-324, "5e-324");
    assert_form(DBL_MAX, "1.7976931348623157e+308");
    assert_form(2.2250738585072014e-308, "2.2250738585072014e-308");
    df_rng_init(&rng, 5, DF_RNG_TEST, 0);
    for (int i = 0; i < 20000; i++) {
        const double value = ldexp(df_rng_range(&rng, -2, 2), (int)df_rng_below(&rng, 2098) - 1075);
        char buffer[32];
        double back = 0;

        assert_true(df_parse_real(df_format_real(buffer, value), &back) && memcmp(&back, &value, sizeof value) == 0);
    }
}

/* A locale of our own, since none with a decimal comma need be installed. */
static bool comma_locale(void)
{
    char path[400], command[1200];
    FILE *source;

    snprintf(path, sizeof path, "%s/comma.src", df_test_folder());
    source = fopen(path, "w");
    assert_non_null(source);
    fputs("LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n", source);
    fclose(source);
    snprintf(command, sizeof command, "localedef -c --no-archive -i '%s' '%s/xx_XX' >/dev/null 2>&1", path, df_test_folder());
    if (system(command) < 0)
        return false;
    setenv("LOCPATH", df_test_folder(), 1);
    return setlocale(LC_NUMERIC, "xx_XX") != NULL;
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_error err;
    cJSON *tree = NULL;
    double value = 0;
    char libc[8];

    (void)state;
    if (!comma_locale()) {
        setlocale(LC_NUMERIC, "C");
        skip();
    }
    snprintf(libc, sizeof libc, "%.1f", 1.5);
    assert_string_equal(libc, "1,5"); /* the locale does bite */
    assert_form(0.1, "0.1");
    assert_true(df_parse_real("2.5", &value) && value == 2.5);
    assert_false(df_parse_real("2,5", &value));
    df_text_addf(&text, "%.2f", 1234.5);
    assert_string_equal(text.data, "1234.50");
    df_text_clear(&text);
    assert_ok(df_json_parse("[1.5,2e-3]", 10, "x.json", &tree, &err));
    df_json_canonical(tree, &text);
    assert_string_equal(text.data, "[1.5,0.002]");
    snprintf(libc, sizeof libc, "%.1f", 1.5);
    assert_string_equal(libc, "1,5"); /* and was left as it was */
    setlocale(LC_NUMERIC, "C");
    cJSON_Delete(tree);
    df_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),
        cmocka_unit_test(nearest_finds_slips_and_nothing_far),
        cmocka_unit_test(names_are_found_or_told),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(names_are_shown),
        cmocka_unit_test(times_have_units),
        cmocka_unit_test(reals_print_shortest_and_read_back),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
