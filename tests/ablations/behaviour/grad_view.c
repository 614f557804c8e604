/* The slope of the score loss in an image's stored pixels, in double, against differences of one grey level: through the normalisation, and
 * through a resizing. What is shown is whole numbers, so the differences have a length: they are off by as much as the loss bends
 * within it, one or two in a hundred here. */
#include "ablations/behaviour/view.h"
#include "tests/ablations/run/tiny.h"

static struct df_subject untrained(struct df_cell *cell)
{
    struct df_subject subject = { .cell = cell };
    struct df_error err = { 0 };

    assert_ok(df_data_split(cell->data, DF_VALIDATION, &subject.images, &err));
    assert_ok(df_model_create(cell, subject.images->categories, &subject.model, &err));
    df_model_build(&subject.model, cell, false);
    subject.model.detector->class->fold(subject.model.detector);
    subject.tape = df_tape_new(subject.model.device, false);
    return subject;
}

/* The four values of a channel in a 2 x 2 square of pixels: they are moved together, so that no rounding of an image resized by half is in
 * the way. */
static size_t of_square(const struct df_image *image, size_t square, size_t c, size_t v)
{
    const size_t columns = (size_t)image->width / 2, x = 2 * (square % columns) + v % 2, y = 2 * (square / columns) + v / 2;

    return 3 * (y * (size_t)image->width + x) + c;
}

/* A random sixteenth of the squares goes up its slope by one grey level: `move` [values]. Returns what the loss should rise by. */
static double climb(const struct df_image *image, const double *slope, uint64_t seed, int *move)
{
    const size_t squares = (size_t)image->width * (size_t)image->height / 4;
    double rise = 0;
    struct df_rng rng;

    df_rng_init(&rng, seed, DF_RNG_TEST, 0);
    for (size_t k = 0; k < 3 * squares; k++) {
        const bool moves = df_rng_below(&rng, 16) == 0;
        double sum = 0;

        for (size_t v = 0; v < 4; v++)
            sum += slope[of_square(image, k / 3, k % 3, v)];
        for (size_t v = 0; v < 4; v++)
            move[of_square(image, k / 3, k % 3, v)] = !moves ? 0 : sum > 0 ? 1 : -1;
        rise += moves ? fabs(sum) : 0;
    }
    return rise;
}

static double loss_of(struct df_view *view, const struct df_image *image, const int *move, int times)
{
    const size_t values = 3 * (size_t)image->width * (size_t)image->height;
    struct df_view_slope at = { .slope = malloc(values * sizeof(double)) };
    struct df_image moved = { 0 };
    struct df_error err = { 0 };

    df_image_reserve(&moved, image->width, image->height, 0);
    for (size_t i = 0; i < values; i++)
        moved.pixels[i] = (uint8_t)(image->pixels[i] + times * move[i]);
    assert_ok(df_view_slope(view, 0, &moved, 0, &at, &err));
    df_image_release(&moved);
    free(at.slope);
    return at.loss;
}

static void check_direction(struct df_view *view, const struct df_image *image, uint64_t seed)
{
    const size_t values = 3 * (size_t)image->width * (size_t)image->height;
    struct df_view_slope at = { .slope = malloc(values * sizeof(double)) };
    int *move = malloc(values * sizeof *move);
    struct df_error err = { 0 };

    assert_ok(df_view_slope(view, 0, image, 0, &at, &err));

    const double rise = climb(image, at.slope, seed, move);

    assert_true(rise > 1e-3);
    assert_close((loss_of(view, image, move, 1) - loss_of(view, image, move, -1)) / 2, rise, 0.05, 0);
    free(at.slope);
    free(move);
}

static void check_view(struct df_cell *cell)
{
    struct df_subject subject = untrained(cell);
    struct df_image image = { 0 };
    struct df_view *view;
    struct df_error err = { 0 };

    assert_ok(df_view_new(&subject, &view, &err));
    assert_ok(subject.images->class->read(subject.images, 0, &image, &err));
    for (size_t i = 0; i < 3 * (size_t)image.width * (size_t)image.height; i++)
        image.pixels[i] = (uint8_t)(image.pixels[i] < 1 ? 1 : image.pixels[i] > 254 ? 254 : image.pixels[i]);
    for (uint64_t seed = 0; seed < 4; seed++)
        check_direction(view, &image, seed);
    df_view_free(view);
    df_subject_close(&subject);
    df_image_release(&image);
    df_cell_free(cell);
}

/* Channels of three scales. */
static struct df_cell *scaled_cell(void)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 0);

    cell->canvas.std.value[0] = 0.2;
    cell->canvas.std.value[1] = 0.4;
    cell->canvas.std.value[2] = 0.8;
    return cell;
}

static void test_stored_size(void **state)
{
    (void)state;
    check_view(scaled_cell());
}

static void test_resized(void **state)
{
    struct df_cell *cell = scaled_cell();

    (void)state;
    cell->canvas.min_side = 24; /* of 48 */
    cell->canvas.max_side = 100;
    check_view(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_stored_size), cmocka_unit_test(test_resized) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
