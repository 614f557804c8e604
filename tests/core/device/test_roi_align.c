/* RoIAlign of `cpu` (or another device), which sums axis by axis, against `ref`, which sums pixel by pixel. Samples per cell from few (kept as taps) to many (not
 * kept) and by size; boxes inside, across and beyond the border, without area, thinner than a pixel, wider than the map. */
#include "tests/core/device/devices.h"

enum { ROIS = 60, IMAGES = 3, LEVELS = 2, CHANNELS = 19 };
static const size_t height[LEVELS] = { 11, 6 }, width[LEVELS] = { 13, 7 };
static const df_real scale[LEVELS] = { 0.125F, 0.0625F };

static size_t map_values(size_t level) { return IMAGES * height[level] * width[level] * CHANNELS; }

struct rois {
    struct df_box box[ROIS];
    uint32_t image[ROIS];
    int32_t level[ROIS];
};

static void draw(struct rois *rois, uint64_t seed)
{
    struct df_rng rng;

    df_rng_init(&rng, seed, DF_RNG_TEST, 0);
    for (size_t r = 0; r < ROIS; r++) {
        const float most = r % 3 == 0 ? 4 : r % 3 == 1 ? 40 : 200;
        const float x0 = (float)df_rng_range(&rng, -40, 120), y0 = (float)df_rng_range(&rng, -40, 100);

        rois->box[r] =
            (struct df_box){ x0, y0, x0 + (float)df_rng_range(&rng, 0, (double)most), y0 + (float)df_rng_range(&rng, 0, (double)most) };
        rois->image[r] = df_rng_below(&rng, IMAGES);
        rois->level[r] = (int32_t)df_rng_below(&rng, LEVELS + 1) - 1;
    }
    rois->box[4] = (struct df_box){ 17, 9, 17, 9 };
    rois->box[5] = (struct df_box){ 400, 9, 500, 30 }; /* beyond the map */
    rois->level[4] = rois->level[5] = 0;
}

static void forward(struct df_device *device, const struct rois *rois, const struct df_roi_options *options, df_real *const x[LEVELS],
                    df_real *y)
{
    struct loan loan = { .device = device };
    struct df_roi_align_args args = { .box = lend(&loan, rois->box, sizeof rois->box, false),
                                      .image = lend(&loan, rois->image, sizeof rois->image, false),
                                      .level = lend(&loan, rois->level, sizeof rois->level, false),
                                      .y = lend(&loan, y, ROIS * options->size * options->size * CHANNELS * sizeof *y, true),
                                      .options = *options,
                                      .channels = CHANNELS };

    for (size_t l = 0; l < LEVELS; l++) {
        args.x[l] = lend(&loan, x[l], map_values(l) * sizeof *x[l], false);
        args.height[l] = height[l];
        args.width[l] = width[l];
        args.scale[l] = scale[l];
    }
    df_launch(device, DF_K_ROI_ALIGN, ROIS, &args);
    take_back(&loan);
}

static void backward(struct df_device *device, const struct rois *rois, const struct df_roi_options *options, const df_real *dy,
                     size_t level, bool add, df_real *dx)
{
    struct loan loan = { .device = device };
    const struct df_roi_align_backward_args args = { .dy = lend(&loan, dy, ROIS * options->size * options->size * CHANNELS * sizeof *dy,
                                                                false),
                                                     .dx = lend(&loan, dx, map_values(level) * sizeof *dx, true),
                                                     .box = lend(&loan, rois->box, sizeof rois->box, false),
                                                     .image = lend(&loan, rois->image, sizeof rois->image, false),
                                                     .level = lend(&loan, rois->level, sizeof rois->level, false),
                                                     .rois = ROIS,
                                                     .options = *options,
                                                     .channels = CHANNELS,
                                                     .height = height[level],
                                                     .width = width[level],
                                                     .this_level = (int32_t)level,
                                                     .scale = scale[level],
                                                     .add = add };

    df_launch(device, DF_K_ROI_ALIGN_BACKWARD, IMAGES * height[level], &args);
    take_back(&loan);
}

/* Sums of at most a few hundred float products of size 1, in two orders. */
static void compare(const struct df_roi_options *options)
{
    const size_t ny = ROIS * options->size * options->size * CHANNELS;
    df_real *x[LEVELS], *dy = filled(ny, 3, 1), *a = filled(ny, 4, 1), *b = filled(ny, 5, 1);
    struct rois rois;

    draw(&rois, 10 * options->size + options->sampling);
    for (size_t l = 0; l < LEVELS; l++)
        x[l] = filled(map_values(l), 20 + l, 1);
    forward(tested, &rois, options, x, a);
    forward(ref, &rois, options, x, b);
    assert_all_close(a, b, ny, 1e-5, 2e-6, "y");
    for (size_t l = 0; l < LEVELS; l++) {
        const size_t nx = map_values(l);
        df_real *da = filled(nx, 30 + l, 1), *db = copied(da, nx);

        backward(tested, &rois, options, dy, l, l == 0, da);
        backward(ref, &rois, options, dy, l, l == 0, db);
        assert_all_close(da, db, nx, 1e-5, 1e-5, "dx");
        release(da);
        release(db);
        release(x[l]);
    }
    release(dy);
    release(a);
    release(b);
}

static void test_against_ref(void **state)
{
    const size_t size[] = { 1, 5, 7 };

    (void)state;
    for (size_t k = 0; k < sizeof size / sizeof *size; k++)
        for (size_t sampling = 0; sampling <= 6; sampling++)
            for (int aligned = 0; aligned < 2; aligned++)
                compare(&(struct df_roi_options){ size[k], sampling, aligned });
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_ref) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
