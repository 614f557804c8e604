/* From a detector's boxes to COCO's: stored pixels, clipped to the image, category ids. */
#include "ablations/run/evaluate.h"
#include "tests/support/support.h"

static void boxes_are_stored_pixels(void **state)
{
    static const struct df_category category[] = { { 3, "a" }, { 70, "b" } };
    static const struct df_image_info info[] = { { .id = 8 }, { .id = 9, .file_name = "", .width = 48, .height = 128 } };
    static const size_t index[] = { 0, 1 };
    static const double scale_x[] = { 1, 2 }, scale_y[] = { 1, 0.5 };
    const struct df_dataset dataset = { .size = 2, .categories = 2, .category = category, .info = info };
    const struct df_batch batch = { .n = 2, .index = index, .scale_x = scale_x, .scale_y = scale_y };
    const struct df_found found = { .box = { 10, 8, 99, 20 }, .label = 1, .score = 0.75F };
    const struct df_detection d = df_coco_detection(&found, &dataset, &batch, 1);

    (void)state;
    assert_int_equal(d.image_id, 9);
    assert_int_equal(d.category_id, 70);
    assert_true(d.score == 0.75);
    assert_true(d.bbox[0] == 5 && d.bbox[1] == 16 && d.bbox[2] == 43 && d.bbox[3] == 24); /* x to 49.5, cut at 48 */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(boxes_are_stored_pixels) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
