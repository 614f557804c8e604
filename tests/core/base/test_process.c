/* Other programs: what they say, how they end, what they are given. */
#include <stdlib.h>
#include <string.h>

#include "core/base/process.h"
#include "tests/support/support.h"

static void both_outputs_and_the_status(void **state)
{
    const char *const words[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
    struct df_process_end end;
    struct df_error err;

    (void)state;
    assert_ok(df_process_run(words, NULL, &end, &err));
    assert_int_equal(end.status, 3);
    assert_string_equal(df_text_get(&end.out), "out\n");
    assert_string_equal(df_text_get(&end.err), "err\n");
    df_process_end_release(&end);
}

static void words_are_not_a_shells(void **state)
{
    const char *const words[] = { "printf", "%s|", "a b", "$HOME", "*", "; echo no", "", NULL };
    struct df_process_end end;
    struct df_error err;

    (void)state;
    assert_ok(df_process_run(words, NULL, &end, &err));
    assert_string_equal(df_text_get(&end.out), "a b|$HOME|*|; echo no||");
    df_process_end_release(&end);
}

static void the_environment_is_put_over_ours(void **state)
{
    const char *const words[] = { "sh", "-c", "echo $DF_A $DF_AB $DF_C", NULL }, *const over[] = { "DF_A=new", "DF_C=also", NULL };
    struct df_process_end end;
    struct df_error err;

    (void)state;
    setenv("DF_A", "old", 1);
    setenv("DF_AB", "kept", 1);
    assert_ok(df_process_run(words, over, &end, &err));
    assert_string_equal(df_text_get(&end.out), "new kept also\n");
    df_process_end_release(&end);
    assert_string_equal(getenv("DF_A"), "old");
}

/* More than a pipe holds, on both. */
static void much_output_is_kept(void **state)
{
    const char *const words[] = { "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero | tr '\\0' y >&2", NULL };
    struct df_process_end end;
    struct df_error err;

    (void)state;
    assert_ok(df_process_run(words, NULL, &end, &err));
    assert_int_equal(end.out.length, 300000);
    assert_int_equal(end.err.length, 200000);
    assert_int_equal(end.err.data[199999], 'y');
    df_process_end_release(&end);
}

static void a_signal_and_no_program(void **state)
{
    const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL }, *const absent[] = { "no-such-program-here", NULL };
    struct df_process_end end;
    struct df_error err;

    (void)state;
    assert_ok(df_process_run(killed, NULL, &end, &err));
    assert_int_equal(end.status, 128 + 9);
    df_process_end_release(&end);
    assert_fails(df_process_run(absent, NULL, &end, &err), DF_ERR_NOT_FOUND, "cannot start 'no-such-program-here'");
    df_process_end_release(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_outputs_and_the_status),      cmocka_unit_test(words_are_not_a_shells),
        cmocka_unit_test(the_environment_is_put_over_ours), cmocka_unit_test(much_output_is_kept),
        cmocka_unit_test(a_signal_and_no_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
