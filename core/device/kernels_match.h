/* Kernels that give every anchor the object it learns: IoU, thresholds, low-quality matches, labels and encoded boxes. torchvision's definitions
 * (Matcher, BoxCoder), in float, as core/geometry/box.h has them: the same bits on every device. Ties: of objects with equal IoU the first is an
 * anchor's best; all anchors that have an object's largest IoU are forced by it; of the objects that force an anchor the last one owns it.
 * Deviation: an object that overlaps no anchor forces none (in torchvision every anchor with IoU 0). */
#ifndef DF_CORE_DEVICE_KERNELS_MATCH_H
#define DF_CORE_DEVICE_KERNELS_MATCH_H
#include "core/device/kernels_loss.h"
#include "core/geometry/box.h"

#define DF_KERNELS_MATCH(X)                                                                                                                \
    X(MATCH_MOST, match_most)                                                                                                              \
    X(MATCH_ROWS, match_rows)                                                                                                              \
    X(MATCH_COUNT, match_count)                                                                                                            \
    X(MARK_ROWS, mark_rows)

struct df_truth { /* a batch's ground truth: an image's objects, then room that nobody reads */
    size_t images, room;
    const struct df_box *box; /* [images][room] */
    const int32_t *label;     /* [images][room] classes */
    const uint32_t *count;    /* [images], each <= room */
};
/* Anchors by coordinate. Behind them stand empty boxes, up to whole tiles: their IoU with an object is 0. */
#define DF_MATCH_TILE DF_LOSS_TILE
struct df_anchor_sides {
    size_t count, padded;
    const float *side[4]; /* x0, y0, x1, y1: [padded] */
};
DF_KERNEL struct df_box df_anchor_at(const struct df_anchor_sides *a, size_t i)
{
    const struct df_box box = { a->side[0][i], a->side[1][i], a->side[2][i], a->side[3][i] };

    return box;
}

/* df_box_iou of an object, which has an area, without branches */
DF_KERNEL float df_match_iou(struct df_box anchor, struct df_box box)
{
    const float left = anchor.x0 > box.x0 ? anchor.x0 : box.x0, right = anchor.x1 < box.x1 ? anchor.x1 : box.x1;
    const float above = anchor.y0 > box.y0 ? anchor.y0 : box.y0, below = anchor.y1 < box.y1 ? anchor.y1 : box.y1;
    const float w = right > left ? right - left : 0, h = below > above ? below - above : 0, both = w * h;

    return both / (df_box_area(box) + df_box_area(anchor) - both);
}

/* Object i of [images][room]: the largest IoU that an anchor has with it, 0 where there is no object */
struct df_match_most_args {
    struct df_anchor_sides anchors;
    struct df_truth truth;
    float *most;
};
struct df_match_most { /* shares are not added: the largest counts */
    float iou;
};
DF_KERNEL struct df_match_most df_share_match_most(size_t i, const struct df_match_most_args *a)
{
    float top[DF_REGISTERS] = { 0 };
    struct df_match_most share = { 0 };

    if (i % a->truth.room >= a->truth.count[i / a->truth.room])
        return share;
    const struct df_box box = a->truth.box[i];
    DF_LANES(block, a->anchors.padded / DF_REGISTERS) {
        for (size_t k = 0; k < DF_REGISTERS; k++) {
            const float iou = df_match_iou(df_anchor_at(&a->anchors, block * DF_REGISTERS + k), box);

            top[k] = iou > top[k] ? iou : top[k];
        }
    }
    for (size_t k = 0; k < DF_REGISTERS; k++)
        share.iou = top[k] > share.iou ? top[k] : share.iou;
    return share;
}
DF_KERNEL void df_store_match_most(size_t i, const struct df_match_most_args *a, struct df_match_most share) { a->most[i] = share.iou; }
DF_SUM_KERNEL(match_most)

/* Index i = (image, tile of anchors): what each row is assigned, as the parts of a detection state say it (detectors/detector.h) */
struct df_match_rule {
    float fg_iou, bg_iou;  /* best IoU >= fg_iou: positive; < bg_iou: background; between: ignored. No objects: all background. */
    float low_quality_iou; /* an object's best anchors are positive, if their IoU is above this */
    bool own;              /* such an anchor learns the object that forced it, else the one that it overlaps most */
    bool classes;          /* a positive's label is its object's class, else 0 */
    float weights[4];      /* factors of the deltas */
};
struct df_match_rows_args {
    struct df_anchor_sides anchors;
    struct df_truth truth;
    const float *most; /* match_most's; NULL: no anchor is forced */
    struct df_match_rule rule;
    df_real *label, *matched; /* [images][anchors] */
    df_real *target;          /* [images][anchors][4], 0 where no object is learnt */
    uint8_t *positive;        /* [images][anchors] */
};
DF_KERNEL void df_match_write(size_t row, struct df_box anchor, size_t image, int32_t g, const struct df_match_rows_args *a)
{
    float deltas[4] = { 0, 0, 0, 0 };
    df_real label = (df_real)g;

    if (g >= 0) {
        const size_t at = image * a->truth.room + (size_t)g;

        df_box_encode(anchor, a->truth.box[at], a->rule.weights, deltas);
        label = (df_real)(a->rule.classes ? a->truth.label[at] : 0);
    }
    a->label[row] = label;
    a->matched[row] = (df_real)g;
    a->positive[row] = g >= 0;
    for (size_t k = 0; k < 4; k++)
        a->target[4 * row + k] = (df_real)deltas[k];
}
/* Anchors begin .. begin + n of an image, DF_LOSS_WIDTH at most */
DF_KERNEL void df_match_tile(size_t image, size_t begin, size_t n, const struct df_match_rows_args *a)
{
    const size_t first = image * a->truth.room;
    const int32_t objects = (int32_t)a->truth.count[image];
    float best[DF_LOSS_WIDTH];
    int32_t nearest[DF_LOSS_WIDTH], forced[DF_LOSS_WIDTH];

    for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
        best[j] = 0;
        nearest[j] = 0;
        forced[j] = -1;
    }
    for (int32_t g = 0; g < objects; g++) {
        const struct df_box box = a->truth.box[first + (size_t)g];
        const float most = a->most && a->most[first + (size_t)g] > a->rule.low_quality_iou ? a->most[first + (size_t)g] : -1;

        for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
            const float iou = df_match_iou(df_anchor_at(&a->anchors, begin + j), box);

            nearest[j] = iou > best[j] ? g : nearest[j];
            best[j] = iou > best[j] ? iou : best[j];
            forced[j] = iou == most ? g : forced[j];
        }
    }
    for (size_t j = 0; j < n; j++) {
        const int32_t unforced = best[j] >= a->rule.fg_iou ? nearest[j] : best[j] < a->rule.bg_iou ? -1 : -2;
        const int32_t g = objects == 0 ? -1 : forced[j] < 0 ? unforced : a->rule.own ? forced[j] : nearest[j];

        df_match_write(image * a->anchors.count + begin + j, df_anchor_at(&a->anchors, begin + j), image, g, a);
    }
}
DF_KERNEL void df_k_match_rows(size_t i, const struct df_match_rows_args *a)
{
    const size_t tiles = df_loss_tiles(a->anchors.count), begin = i % tiles * DF_MATCH_TILE;
    const size_t n = df_loss_min(DF_MATCH_TILE, a->anchors.count - begin);

    DF_LANES(j, (n + DF_LOSS_WIDTH - 1) / DF_LOSS_WIDTH)
        df_match_tile(i / tiles, begin + j * DF_LOSS_WIDTH, df_loss_min(DF_LOSS_WIDTH, n - j * DF_LOSS_WIDTH), a);
}

/* Image i: how many rows are positive, for losses and as the part of that name */
struct df_match_count_args {
    const uint8_t *positive; /* [images][anchors] */
    size_t anchors;
    double *count;      /* [images] */
    df_real *positives; /* [images] */
};
DF_KERNEL double df_share_match_count(size_t i, const struct df_match_count_args *a)
{
    size_t count = 0;

    DF_LANES(j, a->anchors)
        count += a->positive[i * a->anchors + j];
    return (double)count;
}
DF_KERNEL void df_store_match_count(size_t i, const struct df_match_count_args *a, double sum)
{
    a->count[i] = sum;
    a->positives[i] = (df_real)sum;
}
DF_SUM_KERNEL(match_count)

/* Image i: the rows whose labels lie in a range, and how many they are */
struct df_mark_rows_args {
    const df_real *label; /* [images][rows] whole numbers */
    size_t rows;
    df_real lowest, highest;
    uint8_t *use;    /* [images][rows] */
    df_real *weight; /* [images][rows] the same as numbers; NULL: nobody asks */
    double *count;   /* [images] */
};
DF_KERNEL double df_share_mark_rows(size_t i, const struct df_mark_rows_args *a)
{
    const df_real *label = a->label + i * a->rows;
    uint8_t *use = a->use + i * a->rows;
    size_t count = 0;

    DF_LANES(j, a->rows) {
        use[j] = label[j] >= a->lowest && label[j] <= a->highest;
        count += use[j];
    }
    DF_LANES(j, a->weight ? a->rows : 0)
        a->weight[i * a->rows + j] = use[j];
    return (double)count;
}
DF_KERNEL void df_store_mark_rows(size_t i, const struct df_mark_rows_args *a, double sum) { a->count[i] = sum; }
DF_SUM_KERNEL(mark_rows)
#endif
