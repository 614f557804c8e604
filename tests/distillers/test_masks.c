/* Masks: the reference's vectors for level assignment and the authors' rounding, the covering rounding, and whole masks of a batch. */
#include "tests/support/support.h"

#include <string.h>

#include "distillers/masks.h"

static void test_levels(void **state)
{
    static const struct {
        struct df_box box;
        size_t level;
    } vectors[] = { { { 0, 0, 110, 110 }, 0 },   { { 0, 0, 111, 111 }, 1 }, { { 0, 0, 222, 222 }, 1 }, { { 0, 0, 223, 223 }, 2 },
                    { { 0, 0, 447, 447 }, 3 },   { { 0, 0, 895, 895 }, 4 }, { { 5, 5, 300, 8 }, 0 },   { { 0, 0, 5000, 5000 }, 4 },
                    { { 10, 10, 121, 121 }, 1 }, { { 7, 7, 7, 7 }, 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        assert_int_equal(df_level_of(vectors[i].box, 56, 5), vectors[i].level);
    assert_int_equal(df_level_of((struct df_box){ 0, 0, 895, 895 }, 56, 3), 2);
    assert_int_equal(df_level_of((struct df_box){ 0, 0, 895, 895 }, 112, 5), 3);
}

/* Rows of a mask of 8 x 9 cells as text */
static const char *drawn(struct df_box box, double stride, enum df_rounding rounding)
{
    static char text[8 * 10 + 1];
    df_real mask[72] = { 0 };
    char *to = text;

    df_mask_box(mask, 8, 9, box, stride, rounding);
    for (size_t y = 0; y < 8; y++) {
        for (size_t x = 0; x < 9; x++)
            *to++ = mask[y * 9 + x] == 1 ? '#' : mask[y * 9 + x] == 0 ? '.' : '?';
        *to++ = '/';
    }
    *to = 0;
    while (to > text && strspn(text, "./") == strlen(text))
        return "";
    return text;
}

static size_t marked(struct df_box box, enum df_rounding rounding)
{
    size_t n = 0;

    for (const char *c = drawn(box, 4, rounding); *c; c++)
        n += *c == '#';
    return n;
}

static void test_boxes(void **state)
{
    (void)state;
    assert_string_equal(drawn((struct df_box){ 4, 4, 20, 12 }, 4, DF_ROUND_AUTHORS),
                        "........./.####..../.####..../........./........./........./........./........./");
    assert_int_equal(marked((struct df_box){ 4, 4, 20, 12 }, DF_ROUND_AUTHORS), 8);
    assert_int_equal(marked((struct df_box){ 4, 4, 19.9F, 12 }, DF_ROUND_AUTHORS), 6);
    assert_int_equal(marked((struct df_box){ 5, 5, 7, 7 }, DF_ROUND_AUTHORS), 1);
    assert_int_equal(marked((struct df_box){ 2, 9, 30, 11 }, DF_ROUND_AUTHORS), 1); /* thin in one direction */
    assert_int_equal(marked((struct df_box){ 0, 0, 31.9F, 31.9F }, DF_ROUND_AUTHORS), 49);
    assert_int_equal(marked((struct df_box){ 4, 4, 20, 12 }, DF_ROUND_COVER), 8);
    assert_int_equal(marked((struct df_box){ 4, 4, 19.9F, 12 }, DF_ROUND_COVER), 8);
    assert_int_equal(marked((struct df_box){ 5, 5, 7, 7 }, DF_ROUND_COVER), 1);
    assert_int_equal(marked((struct df_box){ 2, 9, 30, 11 }, DF_ROUND_COVER), 8);
    assert_int_equal(marked((struct df_box){ 0, 0, 31.9F, 31.9F }, DF_ROUND_COVER), 64);
}

/* Beyond the map (36 x 32 pixels): clipped, never outside. */
static void test_outside(void **state)
{
    (void)state;
    assert_int_equal(marked((struct df_box){ -9, -9, 99, 99 }, DF_ROUND_AUTHORS), 72);
    assert_int_equal(marked((struct df_box){ -9, -9, 99, 99 }, DF_ROUND_COVER), 72);
    assert_int_equal(marked((struct df_box){ 50, 4, 60, 12 }, DF_ROUND_AUTHORS), 0);
    assert_int_equal(marked((struct df_box){ 50, 4, 60, 12 }, DF_ROUND_COVER), 0);
    assert_int_equal(marked((struct df_box){ -20, 4, -10, 12 }, DF_ROUND_COVER), 0);
    assert_string_equal(drawn((struct df_box){ 36, 30, 36, 40 }, 4, DF_ROUND_AUTHORS),
                        "........./........./........./........./........./........./........./........#/");
}

/* Two images, two levels of strides 8 and 16 on a canvas of 40 x 48; the border between the levels is at 5.6 pixels. */
static void test_batch(void **state)
{
    static const struct df_box boxes[] = { { 8, 8, 11, 12 }, { 16, 0, 48, 32 } };
    static const struct df_ground_truth truth[] = { { 2, boxes, NULL }, { 0, NULL, NULL } };
    const struct df_batch batch = { .n = 2, .truth = truth };
    struct df_detection_state student = { .batch = 2, .canvas_h = 40, .canvas_w = 48, .images = &batch, .levels = 2 };
    struct df_device *device;
    struct df_error err;
    df_real mask[60];

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    df_tape *tape = df_tape_new(device, true);
    student.neck[0] = (struct df_neck_level){ .stride = 8, .feature = df_tensor_new(tape, (df_shape){ 2, 5, 6, 3 }) };
    student.neck[1] = (struct df_neck_level){ .stride = 16, .feature = df_tensor_new(tape, (df_shape){ 2, 3, 3, 3 }) };
    assert_close(df_finest_scale(&student), 2.8, 1e-15, 0);

    static const struct {
        size_t level;
        enum df_level_rule rule;
        const char *rows; /* of image 0; image 1 is empty */
    } expected[] = { { 0, DF_LEVEL_FPN, "00000001000000000000000000000000000000" },
                     { 1, DF_LEVEL_FPN, "011011000" },
                     { 0, DF_LEVEL_ALL, "001111011111001111001111000000" },
                     { 1, DF_LEVEL_ALL, "111011000" } };
    for (size_t i = 0; i < 4; i++) {
        df_tensor *made = df_mask_ground_truth(tape, &student, expected[i].level, expected[i].rule, DF_ROUND_AUTHORS);
        df_tensor *inverse = df_mask_inverse(tape, made);
        const size_t n = df_count(made->shape), half = n / 2;

        assert_int_equal(made->shape.c, 1);
        assert_int_equal(half, expected[i].level ? 9 : 30);
        df_read(device, mask, made->data, n * sizeof *mask);
        for (size_t p = 0; p < n; p++)
            assert_true(mask[p] == (p < half && expected[i].rows[p] == '1' ? 1 : 0));
        df_read(device, mask, inverse->data, n * sizeof *mask);
        for (size_t p = 0; p < n; p++)
            assert_true(mask[p] == (p < half && expected[i].rows[p] == '1' ? 0 : 1));
        assert_false(inverse->requires_grad);
    }
    df_tensor *ones = df_mask_ones(tape, &student, 1);
    df_read(device, mask, ones->data, 18 * sizeof *mask);
    for (size_t p = 0; p < 18; p++)
        assert_true(mask[p] == 1);
    df_tape_free(tape);
    df_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels), cmocka_unit_test(test_boxes), cmocka_unit_test(test_outside),
                                        cmocka_unit_test(test_batch) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
