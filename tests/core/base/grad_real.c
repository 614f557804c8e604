/* The double build: df_rexp and df_rlog are the double forms, good enough for central differences. */
#include <math.h>

#include "core/base/portable_math.h"
#include "tests/support/support.h"

static void the_element_type_is_double(void **state)
{
    (void)state;
    assert_int_equal(sizeof(df_real), 8);
    assert_true(df_rexp(0.3) == df_exp(0.3) && df_rlog(0.3) == df_log(0.3));
}

/* d/dx e^x = e^x, d/dx log x = 1/x. With h = 1e-5 the formula's own error is h^2 / 6 of the third derivative, and rounding adds about
 * 1e-16 / h: 1e-10 is a few times the sum. */
static void central_differences_come_out(void **state)
{
    const double h = 1e-5;

    (void)state;
    for (int i = 1; i < 400; i++) {
        const double x = 0.011 * i;

        assert_close((df_rexp(x + h) - df_rexp(x - h)) / (2 * h), exp(x), 1e-10, 0);
        if (x > 0.5)
            assert_close((df_rlog(x + h) - df_rlog(x - h)) / (2 * h), 1 / x, 5e-10, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_element_type_is_double), cmocka_unit_test(central_differences_come_out) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
