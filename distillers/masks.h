/* Masks over the cells of a feature map, one weight per cell, made on the host. Source of the formulas: the DeFeat authors' code, where the
 * comment says so. */
#ifndef DF_DISTILLERS_MASKS_H
#define DF_DISTILLERS_MASKS_H
#include "detectors/detector.h"

enum df_level_rule { DF_LEVEL_FPN, DF_LEVEL_MATCHED, DF_LEVEL_ALL };          /* "fpn|matched|all" */
enum df_rounding { DF_ROUND_AUTHORS, DF_ROUND_COVER };                        /* "authors|cover" */
enum df_mask_kind { DF_MASK_GT, DF_MASK_ROI, DF_MASK_GAUSSIAN, DF_MASK_ONE }; /* "gt|roi|gaussian|one" */
enum df_region { DF_REGION_ALL, DF_REGION_FOREGROUND, DF_REGION_BACKGROUND }; /* weight 1, m, 1 - m */

struct df_mask_options {
    int kind, level_rule, rounding;
    double roi_share; /* of an object's best anchor's IoU */
};

/* clamp(floor(log2(sqrt((x1-x0+1)(y1-y0+1)) / finest_scale + 1e-6)), 0, levels - 1); the authors: finest_scale = 56, levels = 5 */
size_t df_level_of(struct df_box box, double finest_scale, size_t levels);
struct df_cell_grid { /* the cells of a map, and which of them a box has */
    size_t h, w;
    double stride;
    enum df_rounding rounding;
};
/* Sets to 1 the cells of box in mask [h][w]. authors: int() truncation, end exclusive, a box that is thin in cells marks one cell;
 * cover: floor of the start to ceil of the end. Clipped to the map. */
void df_mask_box(df_real *mask, struct df_cell_grid grid, struct df_box box);
/* Raises the same cells to exp(-((x - cx)/cx)^2 / 2) exp(-((y - cy)/cy)^2 / 2), x = 0 .. cells - 1 from the box's first, cx = half its cells;
 * a box that is thin in cells raises one to 1. (TADF's mask in the authors' code.) */
void df_mask_gaussian(df_real *mask, struct df_cell_grid grid, struct df_box box);
struct df_cell_anchors {
    const struct df_box *anchor; /* [cells * per_cell] */
    size_t cells, per_cell;
};
/* Sets to 1 the cells [cells] any of whose anchors overlaps box by more than share * the largest IoU of an anchor with box
 * (Wang et al., CVPR 2019: share 0.5). iou: room for every anchor. */
void df_mask_roi(df_real *mask, struct df_cell_anchors anchors, struct df_box box, double share, float *iou);
/* The same over a pyramid, [N,h,w] for each level on the host until the tape's reset: an object's largest IoU is looked for on all levels, and
 * every level's cells are marked. */
void df_mask_anchors(df_tape *tape, const struct df_detection_state *student, double share, df_real *mask[DF_LEVELS]);
/* Of image n: 56 px at 800 px images, in proportion: 56 * min(valid_h, valid_w) / 800. The canvas has no say: an object's level must not hang
 * on padding. */
double df_finest_scale(const struct df_batch *images, size_t n);

/* Object weights of one level, [N,h,w] on the host until the tape's reset. An object marks, by level_rule: the level of its size, those of
 * the anchors that learn it (none, if there is none), or all. */
df_real *df_mask_objects(df_tape *tape, const struct df_detection_state *student, size_t level, const struct df_mask_options *options);
/* Object weights [N,h,w] for a backbone map of another size: boxes of all objects on the finest level's map, then nearest: row y of h takes
 * row floor(y H / h). */
df_real *df_mask_stage(df_tape *tape, const struct df_detection_state *student, df_shape map, enum df_rounding rounding);
struct df_padding { /* what lies wholly outside of an image's valid region, on a map of that stride */
    const struct df_batch *images;
    size_t stride;
};
/* The weights of a region, [N,h,w,1] on the tape, and in cells [N] their sum per image. objects: NULL for DF_REGION_ALL. padding: its
 * cells weigh 0; NULL: they are like any other. */
df_tensor *df_mask_region(df_tape *tape, df_shape map, const df_real *objects, enum df_region region, const struct df_padding *padding,
                          double *cells);
#endif
