/* Boxes: torchvision's formulas (ops.nms, ops.boxes.batched_nms, models.detection._utils.BoxCoder), evaluated in float in its order of
 * operations. Deviations: exp and log are ours (same bits on every machine); groups are compared as such instead of being moved apart by
 * an offset, so that rounding cannot differ between groups; equal scores have a defined order. */
#include "core/geometry/box.h"

#include <string.h>

struct df_box df_box_flip(struct df_box b, float width) { return (struct df_box){ width - b.x1, b.y0, width - b.x0, b.y1 }; }

/* ---- non-maximum suppression ---- */

/* a goes before b: falling score, NaN last, ties by rising index (the merge takes from the left run on a tie). */
static bool score_before(float a, float b) { return a > b || (b != b && a == a); }

/* Stable bottom-up merge sort of 0..n-1 by falling score; returns whichever buffer the result ended in. What is in order needs no pass. */
static uint32_t *order_by_score(size_t n, const float *scores, uint32_t *from, uint32_t *to)
{
    bool sorted = true;

    for (size_t i = 0; i < n; i++) {
        from[i] = (uint32_t)i;
        sorted = sorted && (i == 0 || !score_before(scores[i], scores[i - 1]));
    }
    for (size_t width = 1; width < n && !sorted; width *= 2) {
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

/* Some kept boxes by coordinate, in lanes; lanes beyond count are empty boxes. */
enum { LANES = 16, BLOCK = 128 };
struct kept_block {
    float x0[BLOCK], y0[BLOCK], x1[BLOCK], y1[BLOCK], area[BLOCK];
    int32_t group[BLOCK];
    size_t count;
};

static void block_add(struct kept_block *block, struct df_box box, int32_t group)
{
    const size_t k = block->count++;

    block->x0[k] = box.x0;
    block->y0[k] = box.y0;
    block->x1[k] = box.x1;
    block->y1[k] = box.y1;
    block->area[k] = df_box_area(box);
    block->group[k] = group;
}

static struct df_box block_box(const struct kept_block *block, size_t k)
{
    return (struct df_box){ block->x0[k], block->y0[k], block->x1[k], block->y1[k] };
}

/* may[k]: whether lane first + k may have IoU > threshold; without the division, with room for rounding. Returns whether any may. */
static bool lanes_may_suppress(const struct kept_block *block, size_t first, struct df_box box, int32_t group, float threshold,
                               int32_t may[LANES])
{
    const float area = df_box_area(box), share = 0.999f * threshold;
    int32_t any = 0;

    for (size_t k = first; k < first + LANES; k++) {
        const float width = (block->x1[k] < box.x1 ? block->x1[k] : box.x1) - (block->x0[k] > box.x0 ? block->x0[k] : box.x0);
        const float height = (block->y1[k] < box.y1 ? block->y1[k] : box.y1) - (block->y0[k] > box.y0 ? block->y0[k] : box.y0);
        const float overlap = (width > 0 ? width : 0) * (height > 0 ? height : 0);

        may[k - first] = (overlap > share * (block->area[k] + area - overlap)) & (block->group[k] == group);
        any |= may[k - first];
    }
    return any != 0;
}

static bool suppressed(const struct kept_block *block, struct df_box box, int32_t group, float threshold)
{
    for (size_t first = 0; first < block->count; first += LANES) {
        int32_t may[LANES];

        if (!lanes_may_suppress(block, first, box, group, threshold, may))
            continue;
        for (size_t k = first; k < first + LANES && k < block->count; k++)
            if (may[k - first] && df_box_iou(block_box(block, k), box) > threshold)
                return true;
    }
    return false;
}

/* Candidates in order against a block of kept boxes that grows as they are kept; when it is full, the rest is thinned out by it and goes on
 * with an empty one. So each is compared with every kept box of its group, as by the definition. */
size_t df_nms(const struct df_suppression *s, uint32_t *keep, uint32_t *scratch)
{
    uint32_t *order = order_by_score(s->n, s->scores, scratch, keep);
    size_t kept = 0, limit = s->most == 0 ? s->n : s->most;

    if (order == keep) {
        memcpy(scratch, keep, s->n * sizeof *keep);
        order = scratch;
    }
    for (size_t left = s->n, rest; left > 0 && kept < limit; left = rest) {
        struct kept_block block = { .count = 0 };

        rest = 0;
        for (size_t i = 0; i < left && kept < limit; i++) {
            const uint32_t candidate = order[i];
            const int32_t group = s->groups ? s->groups[candidate] : 0;

            if (suppressed(&block, s->boxes[candidate], group, s->threshold))
                continue;
            if (block.count < BLOCK) {
                block_add(&block, s->boxes[candidate], group);
                keep[kept++] = candidate;
            } else {
                order[rest++] = candidate;
            }
        }
    }
    return kept;
}

/* ---- the k largest ---- */

enum { DIGITS = 4, RADIX = 256 };
static uint32_t digit_of(uint32_t key, int digit) { return key >> (8 * digit) & (RADIX - 1); }

/* The key of the k-th (k >= 1) in falling order of the n values that are listed, digit by digit; *ties: how many of that key are taken. */
static uint32_t find_last_key(size_t n, const uint32_t *listed, const float *values, size_t k, size_t *ties)
{
    uint32_t found = 0, mask = 0;

    for (int digit = DIGITS - 1; digit >= 0; digit--) {
        size_t count[RADIX] = { 0 };
        uint32_t d = 0;

        for (size_t i = 0; i < n; i++) {
            const uint32_t key = df_falling_key(values[listed[i]]);

            count[digit_of(key, digit)] += (key & mask) == found;
        }
        for (; count[d] < k; d++)
            k -= count[d];
        found |= d << (8 * digit);
        mask |= (uint32_t)(RADIX - 1) << (8 * digit);
    }
    *ties = k;
    return found;
}

/* Stable radix sort of indices by falling value; a digit that all keys share needs no pass. */
static void sort_falling(size_t n, const float *values, uint32_t *indices, uint32_t *scratch)
{
    size_t count[DIGITS][RADIX] = { { 0 } };
    uint32_t *from = indices, *to = scratch;

    for (size_t i = 0; i < n; i++)
        for (int digit = 0; digit < DIGITS; digit++)
            count[digit][digit_of(df_falling_key(values[indices[i]]), digit)]++;
    for (int digit = 0; digit < DIGITS; digit++) {
        size_t at = 0;

        if (n == 0 || count[digit][digit_of(df_falling_key(values[indices[0]]), digit)] == n)
            continue;
        for (size_t d = 0; d < RADIX; d++) {
            const size_t begin = at;

            at += count[digit][d];
            count[digit][d] = begin;
        }
        for (size_t i = 0; i < n; i++)
            to[count[digit][digit_of(df_falling_key(values[from[i]]), digit)]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != indices)
        memcpy(indices, from, n * sizeof *indices);
}

size_t df_top_k(size_t n, const float *values, size_t k, float minimum, uint32_t *indices, uint32_t *scratch)
{
    uint32_t last = UINT32_MAX;
    size_t passing = 0, taken = 0, ties = n;

    for (size_t i = 0; i < n; i++) {
        scratch[passing] = (uint32_t)i;
        passing += values[i] > minimum;
    }
    if (k == 0 || passing == 0)
        return 0;
    if (passing > k)
        last = find_last_key(passing, scratch, values, k, &ties);
    for (size_t i = 0; i < passing; i++) {
        const uint32_t key = df_falling_key(values[scratch[i]]);

        if (key > last || (key == last && ties == 0))
            continue;
        ties -= key == last;
        indices[taken++] = scratch[i];
    }
    sort_falling(taken, values, indices, scratch);
    return taken;
}
