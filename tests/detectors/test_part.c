/* Parts by name, and the names that are asked for. */
#include <string.h>

#include "detectors/part.h"
#include "tests/support/support.h"

static void names_and_stars(void **state)
{
    (void)state;
    assert_true(df_names_cover("backbone/3 neck/* logits", "neck/0"));
    assert_true(df_names_cover("backbone/3 neck/* logits", "backbone/3"));
    assert_true(df_names_cover("backbone/3 neck/* logits", "logits"));
    assert_true(df_names_cover("neck/*", "neck/*"));
    assert_false(df_names_cover("backbone/3 neck/* logits", "backbone/30"));
    assert_false(df_names_cover("backbone/3 neck/* logits", "roi/logits"));
    assert_false(df_names_cover("backbone/3 neck/* logits", "logit"));
    assert_false(df_names_cover("neck/*", "necklace/0"));
    assert_false(df_names_cover("neck/0", "neck/*"));
    assert_false(df_names_cover("", "neck/0"));
}

static void needs_are_a_set(void **state)
{
    struct df_needs a = { 0 }, b = { 0 };
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    df_needs_add(&a, "neck/* logits  neck/*");
    df_needs_add(&a, "backbone/4");
    df_needs_text(&a, ",", &text);
    assert_string_equal(df_text_get(&text), "backbone/4,logits,neck/*");
    df_text_release(&text);
    df_needs_add(&b, "logits backbone/4");
    assert_false(df_needs_same(&a, &b));
    df_needs_add(&b, "neck/*");
    assert_true(df_needs_same(&a, &b));
    df_needs_add_all(&b, &a);
    assert_int_equal(b.count, 3);
    assert_true(df_needs_has(&a, "neck/7") && !df_needs_has(&a, "backbone/3"));
}

/* A part is replaced by one of its name; what was made on the host is not read back, what was not is. */
static void parts_are_replaced_and_read(void **state)
{
    static const df_real made[] = { 3, -1 }, other[] = { 5, 7, 9 };
    struct df_parts parts = { 0 };
    struct df_device *device;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    df_tape *tape = df_tape_new(device, false);

    df_parts_set_host(&parts, tape, "label", (df_shape){ 2, 1, 1, 1 }, made);
    assert_ptr_equal(df_part_host(tape, df_parts_find(&parts, "label")), made);
    assert_true(df_parts_find(&parts, "label")->tensor->data[1] == -1);
    df_parts_set(&parts, "neck", 0, 8, df_tensor_from(tape, (df_shape){ 1, 1, 1, 3 }, other));
    df_parts_set(&parts, "label", DF_NO_LEVEL, 0, df_tensor_from(tape, (df_shape){ 1, 1, 1, 3 }, other));
    assert_int_equal(parts.count, 2);
    assert_memory_equal(df_part_host(tape, df_parts_find(&parts, "label")), other, sizeof other);
    assert_int_equal(df_parts_channels(&parts, "neck", 0), 3);
    assert_int_equal(df_parts_channels(&parts, "neck", 1), 0);
    assert_null(df_parts_at(&parts, "neck", DF_NO_LEVEL));
    df_tape_free(tape);
    df_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_and_stars), cmocka_unit_test(needs_are_a_set),
                                        cmocka_unit_test(parts_are_replaced_and_read) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
