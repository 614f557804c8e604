/* All distillers in double: gradients to 1e-6, the golden to 1e-9. */
#include "tests/distillers/cases.h"

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_conformance), cmocka_unit_test(test_golden) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
