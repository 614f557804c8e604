/* Errors: filled, prefixed, cut with a mark; warnings reach the sink. */
#include "core/base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static void fail_fills_and_returns(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_int_equal(df_fail(&err, DF_ERR_FORMAT, "line %d: found '%s'", 3, "x"), DF_ERR_FORMAT);
    assert_int_equal(err.status, DF_ERR_FORMAT);
    assert_string_equal(err.text, "line 3: found 'x'");
    assert_int_equal(df_fail_in(&err, DF_ERR_IO, "spec '%s'", "a.json"), DF_ERR_FORMAT); /* err's own status */
    assert_string_equal(err.text, "spec 'a.json': line 3: found 'x'");
    assert_int_equal(df_fail(NULL, DF_ERR_IO, "nobody reads this"), DF_ERR_IO);
    assert_int_equal(df_fail_in(NULL, DF_ERR_IO, "nor this"), DF_ERR_IO);
    assert_int_equal(df_fail(&err, DF_ERR_IO, "again: %s", err.text), DF_ERR_IO); /* arguments may lie in err */
    assert_string_equal(err.text, "again: spec 'a.json': line 3: found 'x'");
}

static void long_messages_are_cut_with_a_mark(void **state)
{
    struct df_error err = { 0 };
    char *word = df_malloc(5000);

    (void)state;
    memset(word, 'w', 4999);
    word[4999] = 0;
    df_fail(&err, DF_ERR_IO, "%s", word);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_string_equal(err.text + sizeof err.text - 6, "ww...");
    df_fail_in(&err, DF_ERR_IO, "%s", word);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    free(word);
}

static char warned[128];
static void keep_warning(void *context, const char *text) { snprintf(warned, sizeof warned, "%s%s", (const char *)context, text); }

static void warnings_reach_the_sink(void **state)
{
    static char prefix[] = "seen: ";

    (void)state;
    df_warn_set(keep_warning, prefix);
    df_warn("%d boxes dropped", 3);
    df_warn_set(NULL, NULL);
    assert_string_equal(warned, "seen: 3 boxes dropped");
}

static df_status tried(int *reached, df_status status)
{
    DF_TRY(status);
    ++*reached;
    return DF_OK;
}

static void try_returns_the_first_failure(void **state)
{
    int reached = 0;

    (void)state;
    assert_int_equal(tried(&reached, DF_ERR_STALE), DF_ERR_STALE);
    assert_int_equal(reached, 0);
    assert_int_equal(tried(&reached, DF_OK), DF_OK);
    assert_int_equal(reached, 1);
}

static void memory_is_never_null(void **state)
{
    void *a = df_malloc(0), *b = df_calloc(0, 8), *c = df_realloc(NULL, 0);
    char *d = df_strdup("text");
    int *zeros = df_calloc(100, sizeof *zeros);

    (void)state;
    assert_true(a && b && c);
    assert_string_equal(d, "text");
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    free(a);
    free(b);
    free(c);
    free(d);
    free(zeros);
}

static void absence_is_fine_and_nothing_else(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_int_equal(df_absent_is_fine(df_fail(&err, DF_ERR_NOT_FOUND, "no '%s'", "x"), &err), DF_OK);
    assert_int_equal(err.status, DF_OK);
    assert_string_equal(err.text, "");
    assert_int_equal(df_absent_is_fine(df_fail(&err, DF_ERR_IO, "no room"), &err), DF_ERR_IO);
    assert_string_equal(err.text, "no room");
    assert_int_equal(df_absent_is_fine(DF_ERR_NOT_FOUND, NULL), DF_OK);
    assert_int_equal(df_absent_is_fine(DF_OK, &err), DF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_and_returns),  cmocka_unit_test(long_messages_are_cut_with_a_mark),
        cmocka_unit_test(warnings_reach_the_sink), cmocka_unit_test(try_returns_the_first_failure),
        cmocka_unit_test(memory_is_never_null),    cmocka_unit_test(absence_is_fine_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
