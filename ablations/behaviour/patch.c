#include "ablations/behaviour/patch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the budget ---- */

size_t df_patch_pixels(struct df_patch_budget budget, size_t pixels) { return (size_t)(budget.area * (double)pixels + 1e-6); }

/* Takes the region that pixel `start` is of out of the changed ones. stack: room for every pixel. */
static void take_region(uint8_t *changed, int width, int height, size_t start, size_t *stack)
{
    size_t n = 0;

    changed[start] = 0;
    stack[n++] = start;
    while (n > 0) {
        const size_t at = stack[--n];
        const int x = (int)(at % (size_t)width), y = (int)(at / (size_t)width);

        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < height; v++)
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < width; u++) {
                const size_t next = (size_t)v * (size_t)width + (size_t)u;

                if (!changed[next])
                    continue;
                changed[next] = 0;
                stack[n++] = next;
            }
    }
}

struct df_patch_use df_patch_measure(const struct df_image *clean, const struct df_image *patched)
{
    const size_t pixels = (size_t)clean->width * (size_t)clean->height;
    uint8_t *changed = df_malloc(pixels);
    size_t *stack = df_malloc(pixels * sizeof *stack);
    struct df_patch_use use = { 0 };

    DF_ASSERT(clean->width == patched->width && clean->height == patched->height);
    for (size_t i = 0; i < pixels; i++) {
        changed[i] = memcmp(clean->pixels + 3 * i, patched->pixels + 3 * i, 3) != 0;
        use.changed += changed[i];
    }
    for (size_t i = 0; i < pixels; i++)
        if (changed[i]) {
            take_region(changed, clean->width, clean->height, i, stack);
            use.regions++;
        }
    free(stack);
    free(changed);
    return use;
}

bool df_patch_within(struct df_patch_use use, struct df_patch_budget budget, size_t pixels)
{
    return use.changed <= df_patch_pixels(budget, pixels) && use.regions <= budget.regions;
}

/* ---- blocks ---- */

struct df_patch_grid df_patch_grid_of(struct df_patch_budget budget, int side, int width, int height)
{
    const size_t pixels = df_patch_pixels(budget, (size_t)width * (size_t)height);
    struct df_patch_grid grid = { .width = width, .height = height, .side = side };

    if (side == 0) {
        grid.side = 2 * (int)(0.5 * sqrt((double)pixels / (double)budget.regions));
        grid.side = grid.side < 1 ? 1 : grid.side;
    }
    grid.columns = width / grid.side;
    grid.rows = height / grid.side;
    grid.most = pixels / ((size_t)grid.side * (size_t)grid.side);
    grid.most = grid.most < budget.regions ? grid.most : budget.regions;
    grid.most = grid.most < df_patch_blocks(&grid) ? grid.most : df_patch_blocks(&grid);
    return grid;
}

size_t df_patch_blocks(const struct df_patch_grid *grid) { return (size_t)grid->columns * (size_t)grid->rows; }

/* Where block b's row y begins. */
static size_t row_of(const struct df_patch_grid *grid, size_t b, int y)
{
    const size_t column = b % (size_t)grid->columns, row = b / (size_t)grid->columns, side = (size_t)grid->side;

    return (row * side + (size_t)y) * (size_t)grid->width + column * side;
}

void df_patch_importance(const struct df_patch_grid *grid, const double *noise, double scale, double *importance)
{
    const size_t row = 3 * (size_t)grid->side, values = row * (size_t)grid->side;

    for (size_t b = 0; b < df_patch_blocks(grid); b++) {
        double sum = 0;

        for (int y = 0; y < grid->side; y++)
            for (size_t i = 0; i < row; i++)
                sum += fabs(noise[3 * row_of(grid, b, y) + i]);
        importance[b] += scale * sum / (double)values;
    }
}

struct ranked {
    double importance;
    size_t block;
};

static int by_importance(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->importance != y->importance)
        return x->importance > y->importance ? -1 : 1;
    return (x->block > y->block) - (x->block < y->block);
}

void df_patch_keep(const struct df_patch_grid *grid, const double *importance, size_t keep, bool *chosen)
{
    const size_t blocks = df_patch_blocks(grid);
    struct ranked *ranked = df_malloc((blocks + 1) * sizeof *ranked);
    size_t n = 0;

    for (size_t b = 0; b < blocks; b++)
        if (chosen[b])
            ranked[n++] = (struct ranked){ importance[b], b };
    qsort(ranked, n, sizeof *ranked, by_importance);
    for (size_t i = keep; i < n; i++)
        chosen[ranked[i].block] = false;
    free(ranked);
}

void df_patch_mask(const struct df_patch_grid *grid, const bool *chosen, uint8_t *mask)
{
    memset(mask, 0, (size_t)grid->width * (size_t)grid->height);
    for (size_t b = 0; b < df_patch_blocks(grid); b++)
        for (int y = 0; chosen[b] && y < grid->side; y++)
            memset(mask + row_of(grid, b, y), 1, (size_t)grid->side);
}
