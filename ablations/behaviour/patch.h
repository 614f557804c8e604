/* Adversarial patches by the rules of the CIKM 2020 challenge on object detection: a share of an image's pixels may change, in few regions,
 * by any amount. How much a patch has used, and the blocks that it may be made of. Source: Zhao, Yan and Wei, arXiv 2010.14974, and the
 * challenge's scorer. */
#ifndef DF_ABLATIONS_BEHAVIOUR_PATCH_H
#define DF_ABLATIONS_BEHAVIOUR_PATCH_H
#include "core/data/dataset.h"

struct df_patch_budget {
    double area;    /* share of the image's pixels, 0..1 */
    size_t regions; /* most, of 8-connectivity */
};
/* Most pixels of an image: the area's, whole; what is short of a whole one by rounding alone counts as one (0.29 of 100 is 29). */
size_t df_patch_pixels(struct df_patch_budget budget, size_t pixels);

struct df_patch_use {
    size_t
        changed; /* pixels of which any channel differs. The challenge's scorer asked the sum of the differences: what cancels was free */
    size_t regions; /* of changed pixels, by sides and corners */
};
/* Both images have one size. */
struct df_patch_use df_patch_measure(const struct df_image *clean, const struct df_image *patched);
/* A budget that is exactly met is kept; so is an image that has not changed. */
bool df_patch_within(struct df_patch_use use, struct df_patch_budget budget, size_t pixels);

/* Squares that fill the image from its upper left corner; what is left at its right and lower sides is in none. */
struct df_patch_grid {
    int width, height; /* of the image */
    int side, columns, rows;
    size_t most; /* blocks that the budget pays for, one region each */
};
/* side: pixels; 0: the authors' rule, 2 floor(sqrt(pixels / regions) / 2), at least 1. *most is 0 where the budget does not pay for one. */
struct df_patch_grid df_patch_grid_of(struct df_patch_budget budget, int side, int width, int height);
size_t df_patch_blocks(const struct df_patch_grid *grid);
/* importance[b] += the mean of |noise| [height,width,3] over block b's pixels and channels, times scale. */
void df_patch_importance(const struct df_patch_grid *grid, const double *noise, double scale, double *importance);
/* Of the blocks that are in `chosen` the `keep` most important ones stay; of equal ones the first. */
void df_patch_keep(const struct df_patch_grid *grid, const double *importance, size_t keep, bool *chosen);
/* mask [height,width]: 1 in the chosen blocks, else 0. */
void df_patch_mask(const struct df_patch_grid *grid, const bool *chosen, uint8_t *mask);
#endif
