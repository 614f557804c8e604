/* What is hidden of an image while a network is asked about it: RISE's masks (Petsiuk, Das, Saenko, BMVC 2018), which D-RISE takes over. A grid of
 * cells, each kept with probability p, enlarged to one cell more than the image has, shifted by less than a cell, cut to the image: 1 is shown, 0 is
 * black. Mask i is a function of (seed, i, size) alone, the same for every network: what they say of it can be compared pair by pair. */
#ifndef DF_ABLATIONS_BEHAVIOUR_MASKS_H
#define DF_ABLATIONS_BEHAVIOUR_MASKS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DF_MASK_GRID_MAX = 64 };
enum df_mask_edges { DF_MASK_BILINEAR, DF_MASK_NEAREST };
struct df_mask_options {
    int64_t count, grid, seed; /* masks; cells per side, at most DF_MASK_GRID_MAX */
    double keep;               /* p */
    int edges;                 /* df_mask_edges */
    bool shift;
};
/* Mask i of an image of h x w pixels: out [h,w], 0 to 1. Bilinear with half-pixel centres, beyond the outer centres constant. */
void df_mask_draw(const struct df_mask_options *options, size_t i, size_t h, size_t w, float *out);
#endif
