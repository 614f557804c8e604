/* Boxes: torchvision's formulas (ops.nms, ops.boxes.batched_nms, models.detection._utils.BoxCoder), evaluated in float in its order of
 * operations. Deviations: exp and log are ours (same bits on every machine); groups are compared as such instead of being moved apart by
 * an offset, so that rounding cannot differ between groups; equal scores have a defined order. */
#include "core/geometry/box.h"

#include "core/base/portable_math.h"

float df_box_iou(struct df_box a, struct df_box b)
{
    const float width = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);
    const float height = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);

    if (!(width > 0 && height > 0))
        return 0;
    const float overlap = width * height, together = df_box_area(a) + df_box_area(b) - overlap;
    return together > 0 ? overlap / together : 0;
}

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

struct df_box df_box_clip(struct df_box b, float width, float height)
{
    return (struct df_box){ clamp(b.x0, 0, width), clamp(b.y0, 0, height), clamp(b.x1, 0, width), clamp(b.y1, 0, height) };
}

struct df_box df_box_flip(struct df_box b, float width) { return (struct df_box){ width - b.x1, b.y0, width - b.x0, b.y1 }; }

void df_box_encode(struct df_box reference, struct df_box box, const float weights[4], float deltas[4])
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

struct df_box df_box_decode(struct df_box reference, const float deltas[4], const float weights[4])
{
    const float most = 4.135166556742356f; /* log(1000 / 16) */
    const float aw = reference.x1 - reference.x0, ah = reference.y1 - reference.y0;
    const float dw = deltas[2] / weights[2], dh = deltas[3] / weights[3];
    const float x = deltas[0] / weights[0] * aw + (reference.x0 + 0.5f * aw);
    const float y = deltas[1] / weights[1] * ah + (reference.y0 + 0.5f * ah);
    const float half_w = 0.5f * (df_expf(dw > most ? most : dw) * aw);
    const float half_h = 0.5f * (df_expf(dh > most ? most : dh) * ah);

    return (struct df_box){ x - half_w, y - half_h, x + half_w, y + half_h };
}

/* a goes before b: falling score, NaN last, ties by rising index (the merge takes from the left run on a tie). */
static bool score_before(float a, float b) { return a > b || (b != b && a == a); }

/* Stable bottom-up merge sort of 0..n-1 by falling score; returns whichever buffer the result ended in. */
static uint32_t *order_by_score(size_t n, const float *scores, uint32_t *from, uint32_t *to)
{
    for (size_t i = 0; i < n; i++)
        from[i] = (uint32_t)i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            const size_t middle = low + width < n ? low + width : n;
            const size_t high = low + 2 * width < n ? low + 2 * width : n;
            size_t left = low, right = middle;

            for (size_t i = low; i < high; i++) {
                const bool take_right = right < high && (left == middle || score_before(scores[from[right]], scores[from[left]]));

                to[i] = take_right ? from[right++] : from[left++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

size_t df_nms(size_t n, const struct df_box *boxes, const float *scores, const int32_t *groups, float threshold, size_t most,
              uint32_t *keep, uint32_t *scratch)
{
    uint32_t *order = order_by_score(n, scores, scratch, keep);
    size_t kept = 0;

    if (order == keep) {
        for (size_t i = 0; i < n; i++)
            scratch[i] = keep[i];
        order = scratch;
    }
    for (size_t i = 0; i < n && (most == 0 || kept < most); i++) {
        const uint32_t candidate = order[i];
        size_t k = 0;

        for (; k < kept; k++)
            if ((!groups || groups[keep[k]] == groups[candidate]) && df_box_iou(boxes[keep[k]], boxes[candidate]) > threshold)
                break;
        if (k == kept)
            keep[kept++] = candidate;
    }
    return kept;
}

/* The heap's root is the worst index taken so far: smallest value, largest index among equals. */
static bool worse(const float *values, uint32_t a, uint32_t b) { return values[a] < values[b] || (values[a] == values[b] && a > b); }

static void sift_down(const float *values, uint32_t *heap, size_t n, size_t at)
{
    const uint32_t moved = heap[at];

    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && worse(values, heap[child + 1], heap[child]))
            child++;
        if (!worse(values, heap[child], moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

size_t df_top_k(size_t n, const float *values, size_t k, float minimum, uint32_t *indices)
{
    size_t taken = 0, i = 0;

    for (; i < n && taken < k; i++)
        if (values[i] > minimum)
            indices[taken++] = (uint32_t)i;
    for (size_t at = taken / 2; at-- > 0;)
        sift_down(values, indices, taken, at);
    for (; i < n && taken > 0; i++) {
        if (values[i] > minimum && values[i] > values[indices[0]]) {
            indices[0] = (uint32_t)i;
            sift_down(values, indices, taken, 0);
        }
    }
    for (size_t left = taken; left > 1; left--) { /* the worst goes to the end */
        const uint32_t worst = indices[0];

        indices[0] = indices[left - 1];
        indices[left - 1] = worst;
        sift_down(values, indices, left - 1, 0);
    }
    return taken;
}
