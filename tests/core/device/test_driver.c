/* The kernel driver's number, in the texts of NVIDIA's two modules and in others. */
#include "core/device/driver.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define GCC "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"

static const struct {
    const char *text, *number; /* NULL: it has none */
} texts[] = {
    { "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.10  Tue Jan  7 01:21:52 UTC 2025\n" GCC, "570.86.10" },
    { "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (root@host)  Mon Oct 6\n" GCC, "580.159.04" },
    { "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  610.3  Release Build\n", "610.3" },
    { "Kernel Module 1.2", "1.2" },
    { "Kernel Module\t550.54\r\n", "550.54" },
    { "NVRM version 1.0 (Kernel Module 2.0 3.0)\n", "2.0" },
    { "Kernel Module 3.0\nKernel Module 4.0\n", "3.0" },
    { "", NULL },
    { "\n", NULL },
    { "570.86.10", NULL },
    { "Kernel Module", NULL },
    { "Kernel Module  ", NULL },
    { "570.86.10 Kernel Module\n", NULL },
    { "NVRM version: NVIDIA UNIX x86_64 Kernel Module\n" GCC, NULL },
    { "Kernel Module of Jan  7 2025\n", NULL },
    { "Kernel Module ... .5 5. 5..6 .5.6 5.6. 5.6a v5.6 -5.6 5,6 x86_64\n", NULL },
    { "kernel module 5.6\n", NULL },
    { "\xff\xfe Kernel Module \xff.1 1.\xff\n", NULL },
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char number[32] = "as it was";
        const bool found = df_driver_number(texts[i].text, number, sizeof number);

        if (found != (texts[i].number != NULL) || strcmp(number, found ? texts[i].number : "as it was") != 0)
            fail_msg("'%s' has '%s'", texts[i].text, found ? number : "none");
    }
}

/* The number and its 0 fit, or nothing is written. */
static void test_room(void **state)
{
    char number[16];

    (void)state;
    for (size_t size = 0; size < sizeof number; size++) {
        memset(number, '#', sizeof number);
        assert_int_equal(df_driver_number("Kernel Module 570.86.10 ", number, size), size > 9);
        for (size_t i = size > 9 ? 10 : 0; i < sizeof number; i++)
            assert_int_equal(number[i], '#');
        if (size > 9)
            assert_string_equal(number, "570.86.10");
    }
}

/* A megabyte of words that are none, the number behind them; then a number of a megabyte. */
static void test_long(void **state)
{
    enum { LENGTH = 1 << 20 };
    static const char head[] = "Kernel Module ";
    char *text = malloc(LENGTH + 64), number[32] = "";

    (void)state;
    strcpy(text, head);
    for (size_t at = sizeof head - 1; at < LENGTH; at += 2)
        memcpy(text + at, "7 ", 3);
    assert_false(df_driver_number(text, number, sizeof number));
    strcat(text, " 570.86.10");
    assert_true(df_driver_number(text, number, sizeof number));
    assert_string_equal(number, "570.86.10");
    for (size_t at = sizeof head - 1; at < LENGTH; at += 2)
        memcpy(text + at, "7.", 3);
    assert_false(df_driver_number(text, number, sizeof number));
    text[strlen(text) - 1] = 0;
    assert_false(df_driver_number(text, number, sizeof number));
    assert_string_equal(number, "570.86.10");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
