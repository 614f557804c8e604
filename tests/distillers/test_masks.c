/* Masks: the reference's vectors for level assignment and the authors' rounding, the covering rounding, and whole masks of a batch. */
#include "tests/support/support.h"

#include <math.h>
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

    df_mask_box(mask, (struct df_cell_grid){ 8, 9, stride, rounding }, box);
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

/* Rows of an 8 x 9 mask's weights in hundredths */
static void assert_weights(const df_real *mask, size_t row, const int *expected)
{
    for (size_t x = 0; x < 9; x++)
        assert_int_equal((int)floor((double)mask[row * 9 + x] * 100 + 0.5), expected[x]);
}

/* Cells 1..4 by 1..2 of a box of 4 x 2: across exp(-((i-2)/2)^2/2) = .61 .88 1 .88, down exp(-((j-1)/1)^2/2) = .61 1 */
static void test_gaussian(void **state)
{
    static const int rows[][9] = { { 0, 37, 54, 61, 54, 0, 0, 0, 0 }, { 0, 61, 88, 100, 88, 0, 0, 0, 0 }, { 0 } };
    static const int thin[] = { 100, 0, 0, 0, 0, 0, 0, 0, 0 };
    static const struct df_cell_grid authors = { 8, 9, 4, DF_ROUND_AUTHORS }, cover = { 8, 9, 4, DF_ROUND_COVER };
    df_real mask[72] = { 0 };

    (void)state;
    df_mask_gaussian(mask, authors, (struct df_box){ 4, 4, 20, 12 });
    assert_weights(mask, 0, rows[2]);
    assert_weights(mask, 1, rows[0]);
    assert_weights(mask, 2, rows[1]);
    assert_weights(mask, 3, rows[2]);
    df_mask_gaussian(mask, authors, (struct df_box){ 2, 1, 3, 11 }); /* thin: one cell of weight 1 */
    assert_weights(mask, 0, thin);
    df_mask_gaussian(mask, authors, (struct df_box){ 4, 4, 8, 8 }); /* one cell, 0.37: the larger stays */
    df_mask_gaussian(mask, authors, (struct df_box){ 4, 4, 12, 12 });
    assert_weights(mask, 1, (const int[]){ 0, 37, 61, 61, 54, 0, 0, 0, 0 });
    df_mask_gaussian(mask, authors, (struct df_box){ 16, 8, 20, 12 }); /* 0.37 over 0.88 */
    assert_weights(mask, 2, (const int[]){ 0, 61, 100, 100, 88, 0, 0, 0, 0 });
    df_mask_gaussian(mask, cover, (struct df_box){ 24, 28, 99, 99 }); /* clipped first: 3 x 1 cells */
    assert_close((double)mask[7 * 9 + 6], exp(-1), 1e-6, 0);
    assert_close((double)mask[7 * 9 + 7], exp(-0.5 / 9 - 0.5), 1e-6, 0);
}

/* Three cells of two anchors; the best overlap is 0.5: with share 0.5 an anchor must have more than 0.25, not just as much. */
static void test_roi(void **state)
{
    static const struct df_box anchor[] = {
        { 0, 0, 4, 4 }, { 0, 0, 2, 1 }, { 4, 0, 8, 4 }, { 4, 0, 8, 2 }, { 4, 0, 6, 1 }, { 8, 8, 9, 9 }
    };
    const struct df_cell_anchors anchors = { anchor, 3, 2 };
    const struct df_box box = { 4, 0, 8, 2 }, half = { 4, 0, 8, 8 };
    df_real mask[4] = { 0, 0, 0, 7 };
    float iou[6];

    (void)state;
    df_mask_roi(mask, anchors, box, 0.5, iou); /* IoU 0 0 | 0.5 1 | 0.25 0 */
    assert_true(mask[0] == 0 && mask[1] == 1 && mask[2] == 0 && mask[3] == 7);
    df_mask_roi(mask, anchors, half, 0.5, iou); /* 0 0 | 0.5 0.25 | 0.0625 0 */
    assert_true(mask[0] == 0 && mask[2] == 0);
    df_mask_roi(mask, anchors, half, 0.1, iou);
    assert_true(mask[0] == 0 && mask[2] == 1);
    mask[2] = 0;
    df_mask_roi(mask, anchors, box, 0.25, iou); /* 0.25 is not above 0.25 */
    assert_true(mask[2] == 0);
    mask[1] = 0;
    df_mask_roi(mask, anchors, (struct df_box){ 20, 20, 30, 30 }, 0.5, iou); /* overlaps nothing */
    assert_true(mask[0] == 0 && mask[1] == 0 && mask[2] == 0);
}

/* Two images, two levels of strides 8 and 16 on a canvas of 40 x 48; the border between image 0's levels is at 4.48 pixels. */
enum { ANCHORS = 2 * (30 + 9) };
struct scene {
    struct df_device *device;
    df_tape *tape;
    struct df_batch batch;
    struct df_detection_state student;
    struct df_box anchor[ANCHORS];
    df_real label[2 * ANCHORS], matched[2 * ANCHORS];
};

static void scene_init(struct scene *scene)
{
    static const struct df_box boxes[] = { { 8, 8, 11, 12 }, { 16, 0, 48, 32 } };
    static const struct df_ground_truth truth[] = { { 2, boxes, NULL }, { 0, NULL, NULL } };
    static const size_t valid_h[] = { 40, 17 }, valid_w[] = { 32, 48 };
    struct df_error err;

    assert_ok(df_device_open("ref", &scene->device, &err));
    scene->tape = df_tape_new(scene->device, true);
    scene->batch = (struct df_batch){ .n = 2, .truth = truth, .valid_h = valid_h, .valid_w = valid_w };
    scene->student = (struct df_detection_state){ .batch = 2,
                                                  .canvas_h = 40,
                                                  .canvas_w = 48,
                                                  .images = &scene->batch,
                                                  .levels = 2,
                                                  .anchors = ANCHORS,
                                                  .anchor = scene->anchor,
                                                  .level_anchors = { 60, 18 } };
    for (size_t l = 0; l < 2; l++) {
        const df_shape shape = l ? (df_shape){ 2, 3, 3, 3 } : (df_shape){ 2, 5, 6, 3 };

        df_parts_set(&scene->student.parts, "neck", l, 8U << l, df_tensor_new(scene->tape, shape));
    }
    for (size_t a = 0; a < 2 * ANCHORS; a++)
        scene->label[a] = -1, scene->matched[a] = -1;
    for (size_t a = 0; a < ANCHORS; a++) { /* per cell: the cell itself, and a speck in it */
        const size_t l = a >= 60, cell = (a - 60 * l) / 2, columns = l ? 3 : 6;
        const float s = l ? 16 : 8, x = (float)(cell % columns) * s, y = (float)(cell / columns) * s;

        scene->anchor[a] = (struct df_box){ x, y, x + (a % 2 ? 1 : s), y + (a % 2 ? 1 : s) };
    }
    scene->label[3] = 0, scene->matched[3] = 1; /* level 0 learns object 1 */
    scene->label[60] = 1, scene->matched[60] = 1;
    scene->label[77] = 1, scene->matched[77] = 0; /* level 1 learns both */
    scene->label[5] = -2, scene->matched[5] = 0;  /* ignored */
    df_parts_set_host(&scene->student.parts, scene->tape, "label", (df_shape){ 2, 1, ANCHORS, 1 }, scene->label);
    df_parts_set_host(&scene->student.parts, scene->tape, "matched", (df_shape){ 2, 1, ANCHORS, 1 }, scene->matched);
}

static void scene_release(struct scene *scene)
{
    df_tape_free(scene->tape);
    df_device_close(scene->device);
}

/* The weights of image 0 row by row; image 1 has no object. */
static void assert_marks(const df_real *mask, const char *rows)
{
    const size_t cells = strlen(rows);

    for (size_t p = 0; p < 2 * cells; p++)
        assert_true(mask[p] == (p < cells && rows[p] == '1' ? 1 : 0));
}

static void test_batch(void **state)
{
    static const char nothing[] = "000000000000000000000000000000", both[] = "001111011111001111001111000000";
    static const struct {
        size_t level;
        struct df_mask_options options;
        const char *rows;
    } expected[] = { { 0, { DF_MASK_GT, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 0 }, "000000010000000000000000000000" },
                     { 1, { DF_MASK_GT, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 0 }, "011011000" },
                     { 0, { DF_MASK_GT, DF_LEVEL_ALL, DF_ROUND_AUTHORS, 0 }, both },
                     { 1, { DF_MASK_GT, DF_LEVEL_ALL, DF_ROUND_AUTHORS, 0 }, "111011000" },
                     { 0, { DF_MASK_GT, DF_LEVEL_MATCHED, DF_ROUND_AUTHORS, 0 }, "001111001111001111001111000000" },
                     { 1, { DF_MASK_GT, DF_LEVEL_MATCHED, DF_ROUND_AUTHORS, 0 }, "111011000" },
                     { 0, { DF_MASK_GT, DF_LEVEL_FPN, DF_ROUND_COVER, 0 }, "000000010000000000000000000000" },
                     /* object 0 (8,8,11,12) against cell (8,8,16,16): the best */
                     { 0, { DF_MASK_ROI, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 0.5 }, "000000010000000000000000000000" },
                     /* object 1 holds four cells of level 1 whole: all are the best */
                     { 1, { DF_MASK_ROI, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 0.5 }, "011011000" },
                     { 1, { DF_MASK_ROI, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 1 }, "000000000" } };
    struct scene scene;

    (void)state;
    scene_init(&scene);
    assert_close(df_finest_scale(&scene.batch, 0), 2.24, 1e-15, 0);
    assert_close(df_finest_scale(&scene.batch, 1), 1.19, 1e-15, 0);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_marks(df_mask_objects(scene.tape, &scene.student, expected[i].level, &expected[i].options), expected[i].rows);
    scene.label[3] = scene.label[60] = scene.label[77] = -1; /* nothing is learnt: nothing is marked */
    assert_marks(df_mask_objects(scene.tape, &scene.student, 0, &expected[4].options), nothing);
    const df_real *ones =
        df_mask_objects(scene.tape, &scene.student, 1, &(struct df_mask_options){ DF_MASK_ONE, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 0 });
    for (size_t p = 0; p < 18; p++)
        assert_true(ones[p] == 1);
    scene_release(&scene);
}

/* Sides of squares in an image 800 px short, and their levels: each is marked there and on no other level, on a canvas of the image's own and on
 * a larger one, beside an image of half its size, which has the same levels at half the sides. */
static void test_image_not_canvas(void **state)
{
    static const size_t canvas[][2] = { { 800, 1344 }, { 1344, 1344 } }, valid_h[] = { 800, 666 }, valid_w[] = { 1333, 400 };
    static const struct {
        float side;
        size_t level;
    } squares[] = { { 110, 0 }, { 115, 1 }, { 150, 1 }, { 180, 1 }, { 222, 1 }, { 230, 2 }, { 300, 2 }, { 460, 3 }, { 799, 3 } };
    const struct df_mask_options options = { DF_MASK_GT, DF_LEVEL_FPN, DF_ROUND_COVER, 0 };
    struct df_box box[2];
    const struct df_ground_truth truth[] = { { 1, &box[0], NULL }, { 1, &box[1], NULL } };
    struct scene scene;

    (void)state;
    scene_init(&scene);
    scene.batch = (struct df_batch){ .n = 2, .truth = truth, .valid_h = valid_h, .valid_w = valid_w };
    scene.student.levels = 5;
    for (size_t i = 0; i < 2 * sizeof squares / sizeof *squares; i++) {
        const size_t *size = canvas[i % 2];
        const float side = squares[i / 2].side;

        box[0] = (struct df_box){ 0, 0, side, side };
        box[1] = (struct df_box){ 0, 0, (side - 1) / 2, (side - 1) / 2 }; /* sizes count one pixel more */
        df_tape_reset(scene.tape);
        scene.student.canvas_h = scene.batch.height = size[0];
        scene.student.canvas_w = scene.batch.width = size[1];
        for (size_t l = 0; l < 5; l++) {
            const size_t stride = 4U << l, cells = (size[0] + stride - 1) / stride * ((size[1] + stride - 1) / stride);
            const df_shape shape = { 2, (size[0] + stride - 1) / stride, (size[1] + stride - 1) / stride, 1 };

            df_parts_set(&scene.student.parts, "neck", l, stride, df_tensor_new(scene.tape, shape));
            const df_real *mask = df_mask_objects(scene.tape, &scene.student, l, &options);

            assert_true((mask[0] == 1) == (l == squares[i / 2].level));
            assert_true(mask[cells] == mask[0]);
        }
    }
    scene_release(&scene);
}

/* Image 0's object is learnt on level 0, image 1's on level 1: neither marks where the other one's is. */
static void test_matches_of_each_image(void **state)
{
    static const struct df_box box = { 16, 0, 48, 32 };
    static const struct df_ground_truth truth[] = { { 1, &box, NULL }, { 1, &box, NULL } };
    const struct df_mask_options matched = { DF_MASK_GT, DF_LEVEL_MATCHED, DF_ROUND_AUTHORS, 0 };
    struct scene scene;

    (void)state;
    scene_init(&scene);
    scene.batch.truth = truth;
    for (size_t a = 0; a < 2 * ANCHORS; a++)
        scene.label[a] = scene.matched[a] = -1;
    scene.label[7] = 1, scene.matched[7] = 0;
    scene.label[ANCHORS + 65] = 1, scene.matched[ANCHORS + 65] = 0;
    assert_marks(df_mask_objects(scene.tape, &scene.student, 0, &matched), "001111001111001111001111000000");

    const df_real *mask = df_mask_objects(scene.tape, &scene.student, 1, &matched);

    for (size_t p = 0; p < 9; p++)
        assert_true(mask[p] == 0);
    for (size_t p = 0; p < 9; p++)
        assert_true(mask[9 + p] == ("011011000"[p] == '1' ? 1 : 0));
    scene_release(&scene);
}

/* Of a backbone map: all boxes on the finest level's 5 x 6 cells, nearest. */
static void test_stage(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene);
    assert_marks(df_mask_stage(scene.tape, &scene.student, (df_shape){ 2, 3, 3, 7 }, DF_ROUND_AUTHORS), "011011011"); /* rows 0 1 3 */
    assert_marks(df_mask_stage(scene.tape, &scene.student, (df_shape){ 2, 10, 6, 7 }, DF_ROUND_AUTHORS), "001111001111"
                                                                                                         "011111011111"
                                                                                                         "001111001111"
                                                                                                         "001111001111"
                                                                                                         "000000000000");
    scene_release(&scene);
}

/* Regions and padding: image 0 is 32 wide, so of its cells columns 0..3 of 6 and 0..1 of 3; image 1 is 17 high, rows 0..2 of 5, 0..1 of 3 */
static void test_regions(void **state)
{
    static const struct {
        size_t level;
        enum df_region region;
        bool exclude;
        double cells[2];
    } expected[] = { { 0, DF_REGION_ALL, false, { 30, 30 } },        { 0, DF_REGION_FOREGROUND, false, { 17, 0 } },
                     { 0, DF_REGION_BACKGROUND, false, { 13, 30 } }, { 0, DF_REGION_ALL, true, { 20, 18 } },
                     { 0, DF_REGION_FOREGROUND, true, { 9, 0 } },    { 0, DF_REGION_BACKGROUND, true, { 11, 18 } },
                     { 1, DF_REGION_ALL, true, { 6, 6 } },           { 1, DF_REGION_BACKGROUND, true, { 3, 6 } } };
    const struct df_mask_options every = { DF_MASK_GT, DF_LEVEL_ALL, DF_ROUND_AUTHORS, 0 };
    struct scene scene;

    (void)state;
    scene_init(&scene);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const size_t level = expected[i].level;
        const df_shape map = df_part(&scene.student, "neck", level)->shape;
        const df_real *objects = df_mask_objects(scene.tape, &scene.student, level, &every);
        double cells[2];
        df_real mask[60];
        const struct df_padding outside = { &scene.batch, 8U << level };
        df_tensor *made = df_mask_region(scene.tape, map, expected[i].region == DF_REGION_ALL ? NULL : objects, expected[i].region,
                                         expected[i].exclude ? &outside : NULL, cells);

        assert_true(made->shape.c == 1 && made->shape.h == map.h && !made->requires_grad);
        assert_true(cells[0] == expected[i].cells[0] && cells[1] == expected[i].cells[1]);
        df_read(scene.device, mask, made->data, df_count(made->shape) * sizeof *mask);
        for (size_t p = 0; p < df_count(made->shape); p++) {
            const size_t n = p / (map.h * map.w), y = p / map.w % map.h, x = p % map.w;
            const bool padding = n ? (y << level) >= 3 : (x << level) >= 4;
            const double object = (double)objects[p];
            const double all = expected[i].region == DF_REGION_ALL ? 1 : expected[i].region == DF_REGION_FOREGROUND ? object : 1 - object;

            assert_true((double)mask[p] == (expected[i].exclude && padding ? 0 : all));
        }
    }
    scene_release(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels),
                                        cmocka_unit_test(test_boxes),
                                        cmocka_unit_test(test_outside),
                                        cmocka_unit_test(test_gaussian),
                                        cmocka_unit_test(test_roi),
                                        cmocka_unit_test(test_batch),
                                        cmocka_unit_test(test_image_not_canvas),
                                        cmocka_unit_test(test_matches_of_each_image),
                                        cmocka_unit_test(test_stage),
                                        cmocka_unit_test(test_regions) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
