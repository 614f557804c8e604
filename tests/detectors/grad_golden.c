/* The same as test_golden.c in double: what is left of the difference is the boxes and scores, which are float (6e-8 of them). */
#include "tests/detectors/golden_support.h"

static void test_retinanet(void **state)
{
    (void)state;
    golden_retinanet_case(&golden_retinanet, "ref", false, 1e-6);
}

static void test_faster_rcnn(void **state)
{
    (void)state;
    golden_faster_case(&golden_faster, "ref", false, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_retinanet), cmocka_unit_test(test_faster_rcnn) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
