/* Boxes: area, IoU, coding, clipping, non-maximum suppression. torchvision's definitions. */
#ifndef DF_CORE_GEOMETRY_BOX_H
#define DF_CORE_GEOMETRY_BOX_H
#include "core/base/portable_math.h"
#include "core/base/real.h"

DF_KERNEL float df_box_area(struct df_box b) { return (b.x1 - b.x0) * (b.y1 - b.y0); }

/* 0 when the union is empty */
DF_KERNEL float df_box_iou(struct df_box a, struct df_box b)
{
    const float width = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);
    const float height = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);

    if (!(width > 0 && height > 0))
        return 0;
    const float overlap = width * height, together = df_box_area(a) + df_box_area(b) - overlap;
    return together > 0 ? overlap / together : 0;
}

DF_KERNEL float df_clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

DF_KERNEL struct df_box df_box_clip(struct df_box b, float width, float height)
{
    const struct df_box clipped = { df_clamp(b.x0, 0, width), df_clamp(b.y0, 0, height), df_clamp(b.x1, 0, width),
                                    df_clamp(b.y1, 0, height) };
    return clipped;
}

struct df_box df_box_flip(struct df_box b, float width); /* mirrored left-right in an image of that width */

/* (dx,dy,dw,dh) = weights * ((gx-ax)/aw, (gy-ay)/ah, log(gw/aw), log(gh/ah)), centres and sizes. torchvision BoxCoder.encode_single. */
DF_KERNEL void df_box_encode(struct df_box reference, struct df_box box, const float weights[4], float deltas[4])
{
    const float aw = reference.x1 - reference.x0, ah = reference.y1 - reference.y0;
    const float gw = box.x1 - box.x0, gh = box.y1 - box.y0;
    const float ax = reference.x0 + 0.5f * aw, ay = reference.y0 + 0.5f * ah;
    const float gx = box.x0 + 0.5f * gw, gy = box.y0 + 0.5f * gh;

    deltas[0] = weights[0] * (gx - ax) / aw;
    deltas[1] = weights[1] * (gy - ay) / ah;
    deltas[2] = weights[2] * df_logf(gw / aw);
    deltas[3] = weights[3] * df_logf(gh / ah);
}

/* Inverse; dw, dh are clamped to at most log(1000/16) after division by their weight. torchvision BoxCoder.decode_single. */
DF_KERNEL struct df_box df_box_decode(struct df_box reference, const float deltas[4], const float weights[4])
{
    const float most = 4.135166556742356f; /* log(1000 / 16) */
    const float aw = reference.x1 - reference.x0, ah = reference.y1 - reference.y0;
    const float dw = deltas[2] / weights[2], dh = deltas[3] / weights[3];
    const float x = deltas[0] / weights[0] * aw + (reference.x0 + 0.5f * aw);
    const float y = deltas[1] / weights[1] * ah + (reference.y0 + 0.5f * ah);
    const float half_w = 0.5f * (df_expf(dw > most ? most : dw) * aw);
    const float half_h = 0.5f * (df_expf(dh > most ? most : dh) * ah);
    const struct df_box box = { x - half_w, y - half_h, x + half_w, y + half_h };

    return box;
}

/* Falling values as rising keys; equal values (0 and -0 too) have equal keys. Only a NaN's key can be UINT32_MAX. */
DF_KERNEL uint32_t df_falling_key(float value)
{
    const uint32_t bits = df_bitsf(value + 0.0f);

    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

struct df_suppression {
    size_t n;
    const struct df_box *boxes;
    const float *scores;
    const int32_t *groups; /* may be NULL: one group. Boxes of different groups are never compared (torchvision's batched_nms) */
    float threshold;       /* in [0,1] */
    size_t most;           /* stops there; 0: no limit */
};
/* Greedy NMS: keeps a box unless its IoU with a kept box of the same group is > threshold. Order: falling score; equal scores by rising
 * index. keep: room for n indices, in that order. scratch: room for n uint32_t. Returns how many are kept. */
size_t df_nms(const struct df_suppression *s, uint32_t *keep, uint32_t *scratch);

/* Indices of the k largest values among those > minimum, falling; equal values by rising index. Returns how many (<= k). NaN is never
 * taken. indices: room for k; scratch: for n. */
size_t df_top_k(size_t n, const float *values, size_t k, float minimum, uint32_t *indices, uint32_t *scratch);
#endif
