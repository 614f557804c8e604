/* The control word is what the program wants, whatever was there. */
#include "core/base/fpu.h"

#include <fenv.h>
#include <pthread.h>

#include "core/base/team.h"
#include "tests/support/fpu.h"
#include "tests/support/support.h"

static void test_denormals(void **state)
{
    (void)state;
    (void)df_fpu_reset();
    assert_true(df_test_keeps_denormals());
    if (!df_test_flush_denormals())
        skip();
    assert_false(df_test_keeps_denormals());
    assert_true(df_fpu_reset());
    assert_true(df_test_keeps_denormals());
    assert_false(df_fpu_reset());
}

static void test_rounding(void **state)
{
    volatile double one = 1, little = 0x1p-60;

    (void)state;
    if (fesetround(FE_UPWARD) != 0)
        skip();
    assert_true(one + little > 1);
    assert_true(df_fpu_reset());
    assert_true(one + little == 1);
}

/* Sticky flags are no setting: a division by zero changes nothing. */
static void test_flags(void **state)
{
    volatile double zero = 0, quotient;

    (void)state;
    (void)df_fpu_reset();
    quotient = 1 / zero;
    assert_true(quotient > 0 && !df_fpu_reset());
}

static void *resets(void *answer)
{
    ((bool *)answer)[0] = df_test_keeps_denormals();
    ((bool *)answer)[1] = df_fpu_reset();
    ((bool *)answer)[2] = df_test_keeps_denormals();
    return NULL;
}

/* A thread inherits the word, and setting it back there leaves its parent alone. */
static void test_threads(void **state)
{
    bool answer[3];
    pthread_t thread;

    (void)state;
    (void)df_fpu_reset();
    if (!df_test_flush_denormals())
        skip();
    assert_int_equal(pthread_create(&thread, NULL, resets, answer), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(answer[0]);
    assert_true(answer[1] && answer[2]);
    assert_true(df_fpu_reset());
}

static void keeps(const void *context, size_t part, size_t parts)
{
    bool *const *kept = context;

    (void)parts;
    (*kept)[part] = df_test_keeps_denormals();
}

/* The threads of a team begin with the right word, though they are started by a thread that has another. */
static void test_team(void **state)
{
    bool kept[3] = { false, false, false }, *where = kept;
    struct df_team *team;
    struct df_error err;

    (void)state;
    if (!df_test_flush_denormals())
        skip();
    assert_ok(df_team_new(3, &team, &err));
    (void)df_fpu_reset();
    df_team_run(team, keeps, &where);
    df_team_free(team);
    assert_true(kept[0] && kept[1] && kept[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_denormals), cmocka_unit_test(test_rounding), cmocka_unit_test(test_flags),
                                        cmocka_unit_test(test_threads), cmocka_unit_test(test_team) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
