/* Kernels of a second stage's rows: which proposals training looks at, what each of them learns, and from which map it is pooled. torchvision's
 * definitions (RoIHeads.select_training_samples, LevelMapper, fastrcnn_loss), in float: the same bits on every device. A proposal is matched with
 * the object that it overlaps most, of equal ones the first. Boxes without area are padding. */
#ifndef DF_CORE_DEVICE_KERNELS_PROPOSE_H
#define DF_CORE_DEVICE_KERNELS_PROPOSE_H
#include "core/device/kernels_box.h"
#include "core/device/kernels_match.h"

#define DF_KERNELS_PROPOSE(X)                                                                                                              \
    X(PROPOSE, propose)                                                                                                                    \
    X(PROPOSE_TAKE, propose_take)                                                                                                          \
    X(PROPOSE_ALL, propose_all)                                                                                                            \
    X(ROI_LABEL, roi_label)                                                                                                                \
    X(ROI_TARGET, roi_target)                                                                                                              \
    X(ROI_LEVEL, roi_level)

struct df_propose_rule { /* best IoU >= fg_iou: the object; < bg_iou: -1, background; between: -2, ignored */
    float fg_iou, bg_iou;
};
DF_KERNEL int32_t df_propose_match(const struct df_truth *truth, size_t image, struct df_box box, struct df_propose_rule rule)
{
    float most = 0;
    int32_t best = 0;

    for (uint32_t g = 0; g < truth->count[image]; g++) {
        const float iou = df_box_iou(truth->box[image * truth->room + g], box);

        best = iou > most ? (int32_t)g : best;
        most = iou > most ? iou : most;
    }
    if (truth->count[image] == 0 || most < rule.bg_iou)
        return -1;
    return most >= rule.fg_iou ? best : -2;
}

/* Index i = (image, candidate): the proposals of an image, then, if they are added, its objects; -2 where there is none. */
struct df_propose_args {
    const struct df_scored_box *from; /* [images][most], group -1 behind the last */
    size_t most;
    struct df_truth truth;
    bool add_truth;
    struct df_propose_rule rule;
    struct df_box *box; /* [images][most + truth.room] */
    df_real *label;     /* ... the object, -1 or -2 */
};
DF_KERNEL void df_k_propose(size_t i, const struct df_propose_args *a)
{
    const size_t room = a->most + a->truth.room, image = i / room, c = i % room;
    struct df_box box = { 0, 0, 0, 0 };
    int32_t label = -2;

    if (c < a->most && a->from[image * a->most + c].group >= 0) {
        box = a->from[image * a->most + c].box;
        label = df_propose_match(&a->truth, image, box, a->rule);
    } else if (c >= a->most && a->add_truth && c - a->most < a->truth.count[image]) {
        box = a->truth.box[image * a->truth.room + c - a->most];
        label = df_propose_match(&a->truth, image, box, a->rule);
    }
    a->box[i] = box;
    a->label[i] = (df_real)label;
}

/* Image i: those that were drawn, in their order, then padding. */
struct df_propose_take_args {
    const struct df_box *candidate; /* [images][room] */
    const df_real *weight;          /* [images][room] not 0 where drawn; at most `rows` of an image are */
    size_t room, rows;
    struct df_box *box; /* [images][rows] */
    uint32_t *image;    /* [images][rows] */
};
DF_KERNEL void df_k_propose_take(size_t i, const struct df_propose_take_args *a)
{
    const struct df_box none = { 0, 0, 0, 0 };
    struct df_box *box = a->box + i * a->rows;
    size_t n = 0;

    for (size_t c = 0; c < a->room; c++)
        if (a->weight[i * a->room + c] != 0)
            box[n++] = a->candidate[i * a->room + c];
    for (; n < a->rows; n++)
        box[n] = none;
    for (size_t r = 0; r < a->rows; r++)
        a->image[i * a->rows + r] = (uint32_t)i;
}

/* Row i: of an image's proposals the best, all that there are, then padding. */
struct df_propose_all_args {
    const struct df_scored_box *from; /* [images][most], group -1 behind the last */
    size_t most, rows;                /* most <= rows */
    struct df_box *box;               /* [images][rows] */
    uint32_t *image;                  /* [images][rows] */
};
DF_KERNEL void df_k_propose_all(size_t i, const struct df_propose_all_args *a)
{
    const size_t image = i / a->rows, r = i % a->rows;
    struct df_box box = { 0, 0, 0, 0 };

    if (r < a->most && a->from[image * a->most + r].group >= 0)
        box = a->from[image * a->most + r].box;
    a->box[i] = box;
    a->image[i] = (uint32_t)image;
}

/* Row i: the class of the object that it learns, -1 or -2, and that object's box, encoded; zeros where it learns none. */
struct df_roi_label_args {
    const struct df_box *box;
    const uint32_t *image;
    struct df_truth truth;
    struct df_propose_rule rule;
    float weights[4]; /* factors of the deltas */
    df_real *label, *target;
};
DF_KERNEL void df_k_roi_label(size_t i, const struct df_roi_label_args *a)
{
    const struct df_box box = a->box[i];
    const bool there = box.x1 > box.x0 && box.y1 > box.y0;
    const int32_t object = there ? df_propose_match(&a->truth, a->image[i], box, a->rule) : -2;
    float deltas[4] = { 0, 0, 0, 0 };

    a->label[i] = (df_real)object;
    if (object >= 0) {
        const size_t at = a->image[i] * a->truth.room + (size_t)object;

        a->label[i] = (df_real)a->truth.label[at];
        df_box_encode(box, a->truth.box[at], a->weights, deltas);
    }
    for (size_t k = 0; k < 4; k++)
        a->target[4 * i + k] = (df_real)deltas[k];
}

/* Row i: its label among columns whose first is background, and, in the column of its class, the target, which is used there alone. */
struct df_roi_target_args {
    const df_real *label, *encoded; /* roi_label's */
    size_t columns;
    df_real *column; /* [rows] -1: ignored */
    df_real *target; /* [rows][columns][4] */
    uint8_t *use;    /* [rows][columns] */
};
DF_KERNEL void df_k_roi_target(size_t i, const struct df_roi_target_args *a)
{
    DF_LANES(k, a->columns) {
        const bool own = k > 0 && a->label[i] + 1 == (df_real)k;

        a->use[i * a->columns + k] = own;
        for (size_t j = 0; j < 4; j++)
            a->target[4 * (i * a->columns + k) + j] = own ? a->encoded[4 * i + j] : 0;
        if (k == 0)
            a->column[i] = a->label[i] + 1;
    }
}

/* Row i: the last level whose stride is at most 2^floor(k0 + log2(side) + 1e-6), side = sqrt(area) / s0; -1: padding. */
struct df_roi_level_args {
    const struct df_box *box;
    size_t levels;
    double least[DF_BOX_LEVELS]; /* side that level l + 1 begins with */
    float canonical;             /* s0 */
    int32_t *level;
};
DF_KERNEL void df_k_roi_level(size_t i, const struct df_roi_level_args *a)
{
    const struct df_box box = a->box[i];
    const float side = sqrtf(df_box_area(box)) / a->canonical;
    int32_t level = 0;

    while ((size_t)level + 1 < a->levels && (double)side >= a->least[level])
        level++;
    a->level[i] = box.x1 > box.x0 && box.y1 > box.y0 ? level : -1;
}
#endif
