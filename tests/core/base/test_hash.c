/* XXH64 against its published values (seed 0), streamed = at once, text form. */
#include "core/base/hash.h"

#include <string.h>

#include "tests/support/support.h"

static void known_values(void **state)
{
    (void)state;
    assert_true(df_hash("", 0) == 0xef46db3751d8e999);
    assert_true(df_hash("a", 1) == 0xd24ec4f1a98c6e5b);
    assert_true(df_hash("abc", 3) == 0x44bc2cf5ad770999);
    assert_true(df_hash("Nobody inspects the spammish repetition", 39) == 0xfbcea83c8a378bf1);
}

static void streamed_equals_at_once(void **state)
{
    unsigned char data[1000];
    struct df_hasher *hasher = df_hasher_new();

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 31 + i / 7);
    for (size_t at = 0, n = 0; at < sizeof data; at += n) {
        n = at % 13 < sizeof data - at ? at % 13 + (at == 0) : sizeof data - at;
        if (n == 0)
            n = 1;
        df_hasher_add(hasher, data + at, n);
        assert_true(df_hasher_value(hasher) == df_hash(data, at + n)); /* the value can be had at any time */
    }
    df_hasher_add(hasher, NULL, 0);
    assert_true(df_hasher_value(hasher) == df_hash(data, sizeof data));
    df_hasher_free(hasher);
    df_hasher_free(NULL);
    data[999] ^= 1;
    assert_true(df_hash(data, 1000) != df_hash(data, 999));
}

static void text_is_16_lower_case_digits(void **state)
{
    char text[17];

    (void)state;
    assert_ptr_equal(df_hash_text(text, 0x00ab), text);
    assert_string_equal(text, "00000000000000ab");
    assert_string_equal(df_hash_text(text, 0xef46db3751d8e999), "ef46db3751d8e999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(streamed_equals_at_once),
        cmocka_unit_test(text_is_16_lower_case_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
