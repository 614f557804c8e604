/* The control word is what the program wants, whatever was there. */
#include "core/base/fpu.h"

#include <fenv.h>
#include <pthread.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_denormals), cmocka_unit_test(test_rounding), cmocka_unit_test(test_flags),
                                        cmocka_unit_test(test_threads) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
