/* Half precision: every pattern comes back, and what lies between two of them goes to the nearer one, in the middle to the even one. */
#include "tests/support/support.h"

#include <math.h>
#include <string.h>

#include "core/nn/dtype.h"

#define LARGEST 0x7bff /* 65504 */

static void every_half_comes_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = df_half_value((uint16_t)bits);

        if (isnan(value))
            assert_true(isnan(df_half_value(df_half(value))));
        else
            assert_int_equal(df_half(value), bits);
    }
}

static void what_lies_between_goes_to_the_nearest(void **state)
{
    (void)state;
    for (uint16_t bits = 0; bits < LARGEST; bits++) {
        const float below = df_half_value(bits), above = df_half_value((uint16_t)(bits + 1)), middle = (below + above) / 2;
        const uint16_t even = (uint16_t)(bits + (bits & 1));

        assert_int_equal(df_half(middle), even);
        assert_int_equal(df_half(-middle), even | 0x8000);
        assert_int_equal(df_half(nextafterf(middle, below)), bits);
        assert_int_equal(df_half(nextafterf(middle, above)), bits + 1);
    }
    assert_int_equal(df_half(nextafterf(65520, 0)), LARGEST);
    assert_true(isinf(df_half_value(df_half(65520))));
    assert_true(df_half_value(df_half(-INFINITY)) == -INFINITY);
    assert_int_equal(df_half(0x1p-149f), 0);
}

static void unaligned_numbers_of_all_types(void **state)
{
    const double wide = -0.1;
    const float single = 3.5f;
    const uint16_t brain = 0x4049, half = 0xC101;
    char bytes[9];

    (void)state;
    assert_int_equal(df_dtype_bytes("F64"), sizeof wide);
    assert_int_equal(df_dtype_bytes("F32"), sizeof single);
    assert_int_equal(df_dtype_bytes("BF16"), sizeof brain);
    assert_int_equal(df_dtype_bytes("F16"), sizeof half);
    assert_int_equal(df_dtype_bytes("I16"), 0);
    memcpy(bytes + 1, &wide, sizeof wide);
    assert_true(df_dtype_value("F64", bytes + 1) == (float)wide);
    memcpy(bytes + 1, &single, sizeof single);
    assert_true(df_dtype_value("F32", bytes + 1) == single);
    memcpy(bytes + 1, &brain, sizeof brain);
    assert_true(df_dtype_value("BF16", bytes + 1) == 3.140625f);
    memcpy(bytes + 1, &half, sizeof half);
    assert_true(df_dtype_value("F16", bytes + 1) == -2.501953125f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(what_lies_between_goes_to_the_nearest),
        cmocka_unit_test(unaligned_numbers_of_all_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
