#include "ablations/behaviour/patch_attack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"

struct attack {
    const struct df_attack_options *options;
    const struct df_attacked *attacked;
    const struct df_image *clean;
    struct df_patch_grid grid;
    size_t pixels;                  /* values are three times as many */
    double *slope, *single, *noise; /* [3 pixels] */
    double *importance;             /* [blocks] */
    bool *chosen;                   /* [blocks] */
    uint8_t *mask;                  /* [pixels] */
    struct df_image image;          /* what the networks are given */
};

static void attack_init(struct attack *a, const struct df_attack_options *options, const struct df_image *clean)
{
    *a = (struct attack){ .options = options,
                          .clean = clean,
                          .grid = df_patch_grid_of(options->budget, options->side, clean->width, clean->height),
                          .pixels = (size_t)clean->width * (size_t)clean->height };

    const size_t blocks = df_patch_blocks(&a->grid), values = 3 * a->pixels;

    a->slope = df_calloc(values, sizeof *a->slope);
    a->single = df_calloc(values, sizeof *a->single);
    a->noise = df_calloc(values, sizeof *a->noise);
    a->importance = df_calloc(blocks + 1, sizeof *a->importance);
    a->chosen = df_calloc(blocks + 1, sizeof *a->chosen);
    a->mask = df_calloc(a->pixels, 1);
    df_image_reserve(&a->image, clean->width, clean->height, 0);
}

static void attack_release(struct attack *a)
{
    free(a->slope);
    free(a->single);
    free(a->noise);
    free(a->importance);
    free(a->chosen);
    free(a->mask);
    df_image_release(&a->image);
}

static double grey(double value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

static void copy_pixels(const struct df_image *from, struct df_image *to)
{
    df_image_reserve(to, from->width, from->height, 0);
    memcpy(to->pixels, from->pixels, 3 * (size_t)from->width * (size_t)from->height);
}

/* The image that is left of the clean one when the noise is taken away: whole numbers. */
static void apply_noise(struct attack *a)
{
    for (size_t i = 0; i < 3 * a->pixels; i++)
        a->image.pixels[i] = (uint8_t)(grey((double)a->clean->pixels[i] - a->noise[i]) + 0.5);
}

/* Networks first .. first + count on a->image: the mean of their losses, and a->slope. */
static df_status mean_slope(struct attack *a, size_t first, size_t count, double *loss, struct df_error *err)
{
    *loss = 0;
    memset(a->slope, 0, 3 * a->pixels * sizeof *a->slope);
    for (size_t k = first; k < first + count; k++) {
        double one;

        DF_TRY(a->attacked->slope(a->attacked->self, k, &a->image, &one, a->single, err));
        *loss += one / (double)count;
        for (size_t i = 0; i < 3 * a->pixels; i++)
            a->slope[i] += a->single[i] / (double)count;
    }
    return DF_OK;
}

/* ---- where ---- */

/* noise += select_step g / rms(g) over the mask, per channel. A channel without slope stays. */
static void add_noise(struct attack *a)
{
    for (size_t c = 0; c < 3; c++) {
        double squares = 0;
        size_t count = 0;

        for (size_t p = 0; p < a->pixels; p++) {
            squares += a->mask[p] ? a->slope[3 * p + c] * a->slope[3 * p + c] : 0;
            count += a->mask[p];
        }
        if (!(squares > 0))
            continue;

        const double factor = a->options->select_step / sqrt(squares / (double)count);

        for (size_t p = 0; p < a->pixels; p++)
            a->noise[3 * p + c] += a->mask[p] ? factor * a->slope[3 * p + c] : 0;
    }
}

/* The noise of an attack without a bound on networks first .. first + count in the chosen blocks. */
static df_status spread_noise(struct attack *a, size_t first, size_t count, struct df_error *err)
{
    double loss = 1;

    memset(a->noise, 0, 3 * a->pixels * sizeof *a->noise);
    for (size_t t = 0; t < a->options->select_steps && loss > 0; t++) {
        apply_noise(a);
        DF_TRY(mean_slope(a, first, count, &loss, err));
        add_noise(a);
    }
    return DF_OK;
}

static df_status weigh_blocks(struct attack *a, struct df_error *err)
{
    const bool each = a->options->choice == DF_BLOCKS_CONSENSUS;
    const size_t parts = each ? a->attacked->count : 1, count = a->attacked->count / parts;

    memset(a->importance, 0, df_patch_blocks(&a->grid) * sizeof *a->importance);
    for (size_t part = 0; part < parts; part++) {
        double total = 0;

        DF_TRY(spread_noise(a, part * count, count, err));
        for (size_t i = 0; i < 3 * a->pixels; i++)
            total += fabs(a->noise[i]);
        df_patch_importance(&a->grid, a->noise, each && total > 0 ? 1 / total : 1, a->importance);
    }
    return DF_OK;
}

static df_status choose_blocks(struct attack *a, struct df_error *err)
{
    size_t left = a->grid.most ? df_patch_blocks(&a->grid) : 0; /* a budget that pays for no block chooses none */

    for (size_t b = 0; b < left; b++)
        a->chosen[b] = true;
    df_patch_mask(&a->grid, a->chosen, a->mask);
    while (left > a->grid.most) {
        const size_t half = (left + 1) / 2;

        left = a->options->search == DF_BLOCKS_BISECTION && half > a->grid.most ? half : a->grid.most;
        DF_TRY(weigh_blocks(a, err));
        df_patch_keep(&a->grid, a->importance, left, a->chosen);
        df_patch_mask(&a->grid, a->chosen, a->mask);
    }
    return DF_OK;
}

/* ---- what ---- */

/* noise holds what is taken from the clean image: always so that 0..255 is left. */
static void sign_step(struct attack *a, double step)
{
    for (size_t i = 0; i < 3 * a->pixels; i++) {
        const double clean = (double)a->clean->pixels[i], slope = a->slope[i];

        if (a->mask[i / 3] && slope != 0)
            a->noise[i] = clean - grey(clean - a->noise[i] - (slope > 0 ? step : -step));
    }
}

static df_status paint(struct attack *a, struct df_image *out, struct df_attack_result *result, struct df_error *err)
{
    const struct df_attack_options *options = a->options;
    double *losses = df_calloc(options->steps + 1, sizeof *losses), step = options->step;
    df_status status = DF_OK;

    *result = (struct df_attack_result){ .after = INFINITY };
    memset(a->noise, 0, 3 * a->pixels * sizeof *a->noise);
    for (size_t t = 0; t <= options->steps && result->after > 0 && status == DF_OK; t++) {
        apply_noise(a);
        status = mean_slope(a, 0, a->attacked->count, &losses[t], err);
        if (status != DF_OK)
            break;
        result->before = t ? result->before : losses[0];
        result->iterations = t;
        if (losses[t] < result->after) {
            result->after = losses[t];
            copy_pixels(&a->image, out);
        }
        if (t >= options->patience && losses[t] >= losses[t - options->patience])
            step = fmax(options->decay * step, options->least_step);
        sign_step(a, step);
    }
    free(losses);
    return status;
}

df_status df_attack_image(const struct df_attack_options *options, const struct df_attacked *attacked, const struct df_image *clean,
                          struct df_image *out, struct df_attack_result *result, struct df_error *err)
{
    struct attack a;

    attack_init(&a, options, clean);
    a.attacked = attacked;
    copy_pixels(clean, out);

    df_status status = choose_blocks(&a, err);

    if (status == DF_OK)
        status = paint(&a, out, result, err);
    DF_ASSERT(status != DF_OK || df_patch_within(df_patch_measure(clean, out), options->budget, a.pixels));
    attack_release(&a);
    return status;
}

void df_attack_at_random(const struct df_attack_options *options, uint64_t seed, uint64_t index, const struct df_image *clean,
                         struct df_image *out)
{
    struct attack a;
    struct df_rng rng;

    attack_init(&a, options, clean);

    const size_t blocks = df_patch_blocks(&a.grid);
    uint32_t *order = df_malloc((blocks + 1) * sizeof *order);

    df_rng_init(&rng, seed, DF_RNG_PATCH, index);
    df_rng_permutation(&rng, blocks, order);
    for (size_t b = 0; b < a.grid.most; b++)
        a.chosen[order[b]] = true;
    df_patch_mask(&a.grid, a.chosen, a.mask);
    copy_pixels(clean, out);
    for (size_t i = 0; i < 3 * a.pixels; i++)
        if (a.mask[i / 3])
            out->pixels[i] = (uint8_t)df_rng_below(&rng, 256);
    free(order);
    attack_release(&a);
}
