#include "ablations/behaviour/masks.h"

#include "core/base/rng.h"
#include "core/base/status.h"

/* One axis of the enlargement: a pixel's place among the grid's cells. */
struct axis {
    size_t cells, enlarged, shift;
};
struct tap {
    size_t low, high;
    double share; /* of the high one */
};

static struct tap tap_at(const struct axis *axis, size_t pixel, int edges)
{
    const double at = ((double)(pixel + axis->shift) + 0.5) * (double)axis->cells / (double)axis->enlarged;
    const size_t last = axis->cells - 1;

    if (edges == DF_MASK_NEAREST)
        return (struct tap){ (size_t)at, (size_t)at, 0 };
    if (at <= 0.5)
        return (struct tap){ 0, 0, 0 };

    const size_t low = (size_t)(at - 0.5);

    return low >= last ? (struct tap){ last, last, 0 } : (struct tap){ low, low + 1, at - 0.5 - (double)low };
}

static struct axis axis_of(const struct df_mask_options *options, size_t pixels, struct df_rng *rng)
{
    const size_t cells = (size_t)options->grid, size = (pixels + cells - 1) / cells;

    return (struct axis){ cells, (cells + 1) * size, options->shift ? df_rng_below(rng, (uint32_t)size) : 0 };
}

void df_mask_draw(const struct df_mask_options *options, size_t i, size_t h, size_t w, float *out)
{
    const size_t cells = (size_t)options->grid;
    double grid[DF_MASK_GRID_MAX * DF_MASK_GRID_MAX], row[DF_MASK_GRID_MAX];
    struct df_rng rng;

    DF_ASSERT(cells >= 1 && cells <= DF_MASK_GRID_MAX && h > 0 && w > 0);
    df_rng_init(&rng, (uint64_t)options->seed, DF_RNG_MASK, i);
    for (size_t k = 0; k < cells * cells; k++)
        grid[k] = df_rng_uniform(&rng) < options->keep;

    const struct axis down = axis_of(options, h, &rng), across = axis_of(options, w, &rng);

    for (size_t y = 0; y < h; y++) {
        const struct tap at = tap_at(&down, y, options->edges);

        for (size_t k = 0; k < cells; k++)
            row[k] = (1 - at.share) * grid[at.low * cells + k] + at.share * grid[at.high * cells + k];
        for (size_t x = 0; x < w; x++) {
            const struct tap t = tap_at(&across, x, options->edges);

            out[y * w + x] = (float)((1 - t.share) * row[t.low] + t.share * row[t.high]);
        }
    }
}
