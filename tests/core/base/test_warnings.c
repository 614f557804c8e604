/* Warnings by kind: what is one kind, what a process says of those that come again, what is read back from logs. */
#include "core/base/warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/support.h"

static void numbers_quotations_and_files_make_no_kind(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "img/a b.jpg: EXIF orientation 6 is not applied", "img/c.jpg: EXIF orientation 3 is not applied", true },
        { "a.jpg: no end marker", "b.jpg: no end marker", true },
        { "a.jpg: no end marker", "a.jpg: extraneous bytes", false },
        { "left out: 'x.jpg' is no image", "left out: 'y.png' is no image", true },
        { "left out: 'x.jpg' is no image", "skipped: 'x.jpg' is no image", false },
        { "3 of 0.25 (first: 'x')", "40 of 1.5 (first: 'y: z')", true },
        { "the run's position 'p' is damaged", "the run's position 'q' is damaged", true },
        { "the run's position", "the run's weights", false },
        { "an open 'quotation", "an open 'other", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *a = df_warning_kind(cases[i].a), *b = df_warning_kind(cases[i].b);

        if ((strcmp(a, b) == 0) != cases[i].same)
            fail_msg("'%s' and '%s': kinds '%s' and '%s'", cases[i].a, cases[i].b, a, b);
        free(a);
        free(b);
    }
}

static char *write_log(const char *name, const char *text)
{
    char *path = df_path_join(df_test_folder(), name);

    assert_int_equal(df_file_write(path, text, strlen(text), NULL), DF_OK);
    return path;
}

static void assert_text(const struct df_warning *warning, const char *expected)
{
    struct df_text text = DF_TEXT_INIT;

    df_warning_text(warning, &text);
    assert_string_equal(df_text_get(&text), expected);
    df_text_release(&text);
}

static void logs_are_counted_by_kind(void **state)
{
    char *one = write_log("one.log", "warning: a.jpg: 3 bytes left\nsteps\nwarning: a.jpg: 3 bytes left (2400 in all)\nwarning: torn");
    char *two = write_log("two.log", "warning: b.jpg: 4 bytes left\nwarning: once (2 tries)\n"), expected[1024];
    struct df_warnings found = { 0 };
    size_t from = 0, other = 0;

    (void)state;
    assert_int_equal(df_warnings_follow(&found, one, &from, NULL), DF_OK);
    assert_int_equal(df_warnings_follow(&found, one, &from, NULL), DF_OK); /* nothing is read twice */
    assert_int_equal(df_warnings_follow(&found, two, &other, NULL), DF_OK);
    assert_int_equal(found.count, 2);
    snprintf(expected, sizeof expected, "a.jpg: 3 bytes left (2401 in all, in 2 logs; first in '%s')", one);
    assert_text(&found.list[0], expected);
    snprintf(expected, sizeof expected, "once (2 tries) (first in '%s')", two);
    assert_text(&found.list[1], expected);
    free(one);
    one = write_log("one.log", "warning: a.jpg: 3 bytes left\nsteps\nwarning: a.jpg: 3 bytes left (2400 in all)\nwarning: torn no more\n"
                               "warning: c.jpg: 5 bytes left\n");
    assert_int_equal(df_warnings_follow(&found, one, &from, NULL), DF_OK); /* its last line has an end now */
    assert_int_equal(found.count, 3);
    assert_int_equal(found.list[0].count, 2402);
    assert_int_equal(found.list[0].logs, 2); /* logs are followed in turn: one that comes again is no other */
    df_warnings_release(&found);
    from = 0;
    assert_int_equal(df_warnings_follow(&found, "no/such.log", &from, NULL), DF_OK);
    assert_int_equal(found.count, 0);
    free(one);
    free(two);
}

/* What `work` writes to stderr. free() it. */
static char *stderr_of(void (*work)(void))
{
    FILE *file = tmpfile();
    const int kept = dup(2);

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), 2);
    work();
    fflush(stderr);
    dup2(kept, 2);
    close(kept);

    const long bytes = lseek(fileno(file), 0, SEEK_END);
    char *text = calloc(1, (size_t)bytes + 1);

    assert_int_equal(pread(fileno(file), text, (size_t)bytes, 0), bytes);
    fclose(file);
    return text;
}

static void warn_often(void)
{
    const struct df_warning said = { .kind = (char[]){ " bytes left" } }, not_said = { .kind = (char[]){ "twice" } };

    df_warnings_begin();
    for (int i = 0; i < 2400; i++)
        df_warn("img/%d.jpg: %d bytes left", i, i);
    df_warn("once");
    assert_true(df_warning_is_ours(&said) && !df_warning_is_ours(&not_said));
    df_warnings_end();
}

static void warn_of_all_kinds(void)
{
    df_warnings_begin();
    for (int i = 0; i < 50; i++) {
        char word[8] = { (char)('a' + i % 26), (char)('a' + i / 26), 0 };

        df_warn("%s", word);
    }
    df_warnings_end();
}

static size_t lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void a_process_tells_the_first_and_the_number(void **state)
{
    char *text = stderr_of(warn_often);

    (void)state;
    assert_string_equal(text, "warning: img/0.jpg: 0 bytes left\nwarning: once\nwarning: img/0.jpg: 0 bytes left (2400 in all)\n");
    free(text);
    text = stderr_of(warn_of_all_kinds);
    assert_int_equal(lines(text), DF_WARNINGS_TOLD + 1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_quotations_and_files_make_no_kind),
        cmocka_unit_test(logs_are_counted_by_kind),
        cmocka_unit_test(a_process_tells_the_first_and_the_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
