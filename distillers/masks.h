/* Masks over the cells of a feature map, one value per pixel, made on the host. ../reference of the formulas: the DeFeat authors' code,
 * where the comment says so. */
#ifndef DF_DISTILLERS_MASKS_H
#define DF_DISTILLERS_MASKS_H
#include "detectors/detector.h"

enum df_level_rule { DF_LEVEL_FPN, DF_LEVEL_ALL };     /* "fpn|all" */
enum df_rounding { DF_ROUND_AUTHORS, DF_ROUND_COVER }; /* "authors|cover" */

/* clamp(floor(log2(sqrt((x1-x0+1)(y1-y0+1)) / finest_scale + 1e-6)), 0, levels - 1); the authors: finest_scale = 56, levels = 5 */
size_t df_level_of(struct df_box box, double finest_scale, size_t levels);
/* Sets to 1 the cells of box in mask [h][w]. authors: int() truncation, end exclusive, a box that is thin in cells marks one cell;
 * cover: floor of the start to ceil of the end. Clipped to the map. */
void df_mask_box(df_real *mask, size_t h, size_t w, struct df_box box, double stride, enum df_rounding rounding);
/* 56 scaled to the image size: 56 * min(canvas_h, canvas_w) / 800 */
double df_finest_scale(const struct df_detection_state *state);
/* Ground-truth mask of one level, [N,h,w,1] as a constant on the tape. */
df_tensor *df_mask_ground_truth(df_tape *tape, const struct df_detection_state *student, size_t level, enum df_level_rule rule,
                                enum df_rounding rounding);
df_tensor *df_mask_ones(df_tape *tape, const struct df_detection_state *student, size_t level);
df_tensor *df_mask_inverse(df_tape *tape, const df_tensor *mask); /* 1 - m */
#endif
