/* What a convolution's geometry says of its forward pass and of its data gradient, found once and kept: classes of output pixels that take the
 * same taps, and for each pixel where its first tap lies. The number of images is no part of it: lists cover a group of images, and are
 * used again for the next. */
#ifndef DF_CORE_DEVICE_CPU_PLAN_H
#define DF_CORE_DEVICE_CPU_PLAN_H
#include "core/device/cpu/tile.h"
#include "core/device/order/order.h"

struct pixel_class {
    size_t first, per_image; /* its pixels in the lists: the first image's, then the second's, ... */
    size_t first_block, blocks;
};
struct block { /* of a chain: at most DF_CHAIN_TERMS terms */
    size_t first_piece, pieces;
};
struct plan {
    size_t images; /* of a group */
    size_t classes;
    struct pixel_class *class;
    struct block *block;
    struct piece *piece;
    int32_t *from, *to; /* per pixel of the group: its first tap, its place; in floats from the group's first */
};

struct df_plans;
struct df_plans *CPU(plans_new)(void);
void CPU(plans_free)(struct df_plans *plans);
/* backward: of the data gradient (pixels of x, taps in y), else of the forward pass */
const struct plan *CPU(plan)(struct df_plans *plans, const struct df_conv *conv, bool backward);
#endif
