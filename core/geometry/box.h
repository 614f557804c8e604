/* Boxes: area, IoU, coding, clipping, non-maximum suppression. torchvision's definitions. */
#ifndef DF_CORE_GEOMETRY_BOX_H
#define DF_CORE_GEOMETRY_BOX_H
#include "core/base/real.h"

static inline float df_box_area(struct df_box b) { return (b.x1 - b.x0) * (b.y1 - b.y0); }
float df_box_iou(struct df_box a, struct df_box b); /* 0 when the union is empty */
struct df_box df_box_clip(struct df_box b, float width, float height);
struct df_box df_box_flip(struct df_box b, float width); /* mirrored left-right in an image of that width */

/* (dx,dy,dw,dh) = weights * ((gx-ax)/aw, (gy-ay)/ah, log(gw/aw), log(gh/ah)), centres and sizes. torchvision BoxCoder.encode_single. */
void df_box_encode(struct df_box reference, struct df_box box, const float weights[4], float deltas[4]);
/* Inverse; dw, dh are clamped to at most log(1000/16) after division by their weight. torchvision BoxCoder.decode_single. */
struct df_box df_box_decode(struct df_box reference, const float deltas[4], const float weights[4]);

/* Greedy NMS: keeps a box unless its IoU with a kept box of the same group is > threshold. Order: falling score; equal scores by rising
 * index. keep: room for n indices, in that order. scratch: room for n uint32_t. Returns how many are kept; stops at `most` (0: no limit).
 * threshold in [0,1]. groups may be NULL (one group). Boxes of different groups are never compared (torchvision's batched_nms). */
size_t df_nms(size_t n, const struct df_box *boxes, const float *scores, const int32_t *groups, float threshold, size_t most,
              uint32_t *keep, uint32_t *scratch);

/* Indices of the k largest values among those > minimum, falling; equal values by rising index. Returns how many (<= k). NaN is never
 * taken. indices, scratch: room for k each. */
size_t df_top_k(size_t n, const float *values, size_t k, float minimum, uint32_t *indices, uint32_t *scratch);
#endif
