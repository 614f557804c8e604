/* Kernels of boxes: from a detector's outputs to candidates with box, score, group and row, and what selection leaves of them. A candidate of group
 * -1 is none: its box, score and row may hold anything. torchvision's definitions (core/geometry/box.h, detectors/). */
#ifndef DF_CORE_DEVICE_KERNELS_BOX_H
#define DF_CORE_DEVICE_KERNELS_BOX_H
#include "core/geometry/box.h"

#define DF_KERNELS_BOX(X)                                                                                                                  \
    X(DENSE_CANDIDATES, dense_candidates)                                                                                                  \
    X(ROI_CANDIDATES, roi_candidates)                                                                                                      \
    X(KEPT_BOXES, kept_boxes)

enum { DF_BOX_LEVELS = 8 };

struct df_scored_box {
    struct df_box box;
    float score;
    int32_t group;
    uint32_t row;
};
struct df_candidates { /* arrays of as many elements */
    struct df_box *box;
    float *score;
    int32_t *group;
    uint32_t *row; /* of its image: the anchor, the proposal */
};
struct df_box_rule { /* what makes a candidate of a decoded box */
    float weights[4];
    double threshold; /* score above it */
    bool inclusive;   /* ... or equal to it */
    float min_size;   /* both sides at least */
};

DF_KERNEL bool df_score_passes(const struct df_box_rule *rule, float score)
{
    return (double)score > rule->threshold || (rule->inclusive && (double)score == rule->threshold);
}

DF_KERNEL bool df_size_passes(const struct df_box_rule *rule, struct df_box box)
{
    return box.x1 - box.x0 >= rule->min_size && box.y1 - box.y0 >= rule->min_size;
}

DF_KERNEL struct df_box df_box_decode_real(struct df_box reference, const df_real *deltas, const float weights[4])
{
    const float d[4] = { (float)deltas[0], (float)deltas[1], (float)deltas[2], (float)deltas[3] };

    return df_box_decode(reference, d, weights);
}

/* Slot i of [images][room]: the (anchor, class) pair of a level that top-k put there; score: sigmoid of its logit; clipped to the image. */
struct df_dense_candidates_args {
    const uint32_t *pair;        /* anchor * classes + class within the level, UINT32_MAX: none */
    const df_real *logits;       /* [images][anchors][classes] */
    const df_real *deltas;       /* [images][anchors][4] */
    const struct df_box *anchor; /* [anchors] */
    const float *valid;          /* [images][2]: width, height */
    size_t room, anchors, classes, levels;
    size_t slot[DF_BOX_LEVELS], first[DF_BOX_LEVELS]; /* of each level: its first slot, its first anchor */
    struct df_box_rule rule;
    bool by_level; /* groups are levels, else classes */
    struct df_candidates out;
};
DF_KERNEL void df_k_dense_candidates(size_t i, const struct df_dense_candidates_args *a)
{
    const size_t image = i / a->room, slot = i % a->room, pair = a->pair[i];
    size_t level = a->levels - 1;

    a->out.group[i] = -1;
    if (pair == UINT32_MAX)
        return;
    while (slot < a->slot[level])
        level--;
    const size_t anchor = a->first[level] + pair / a->classes, row = image * a->anchors + anchor, k = pair % a->classes;
    const float score = 1 / (1 + df_expf(-(float)a->logits[row * a->classes + k]));
    const struct df_box box = df_box_clip(df_box_decode_real(a->anchor[anchor], a->deltas + 4 * row, a->rule.weights), a->valid[2 * image],
                                          a->valid[2 * image + 1]);

    if (!df_score_passes(&a->rule, score) || !df_size_passes(&a->rule, box))
        return;
    a->out.box[i] = box;
    a->out.score[i] = score;
    a->out.group[i] = (int32_t)(a->by_level ? level : k);
    a->out.row[i] = (uint32_t)anchor;
}

/* Row i of RoIs: candidates [i][classes], scores: softmax over the classes and, first, background; a box of its own for every class. */
struct df_roi_candidates_args {
    const df_real *logits;         /* [rows][1 + classes] */
    const df_real *deltas;         /* [rows][1 + classes][4] */
    const struct df_box *proposal; /* [rows]; one without area has no candidates */
    size_t classes;
    float width, height; /* of the image */
    struct df_box_rule rule;
    struct df_candidates out;
};
DF_KERNEL void df_k_roi_candidates(size_t i, const struct df_roi_candidates_args *a)
{
    const df_real *logits = a->logits + i * (a->classes + 1), *deltas = a->deltas + 4 * i * (a->classes + 1);
    const struct df_box proposal = a->proposal[i];
    const bool there = proposal.x1 > proposal.x0 && proposal.y1 > proposal.y0;
    float top = (float)logits[0];
    double sum = 0;

    for (size_t k = 1; k <= a->classes; k++)
        top = (float)logits[k] > top ? (float)logits[k] : top;
    for (size_t k = 0; k <= a->classes; k++)
        sum += (double)df_expf((float)logits[k] - top);
    DF_LANES(k, a->classes) {
        const size_t at = i * a->classes + k;
        const float score = (float)((double)df_expf((float)logits[k + 1] - top) / sum);

        a->out.group[at] = -1;
        if (!there || !df_score_passes(&a->rule, score))
            continue;
        const struct df_box box = df_box_clip(df_box_decode_real(proposal, deltas + 4 * (k + 1), a->rule.weights), a->width, a->height);

        if (!df_size_passes(&a->rule, box))
            continue;
        a->out.box[at] = box;
        a->out.score[at] = score;
        a->out.group[at] = (int32_t)k;
        a->out.row[at] = (uint32_t)i;
    }
}

/* Index i of [segments][most]: the candidate that selection put there; group -1: none. */
struct df_kept_boxes_args {
    const uint32_t *keep; /* index within the segment, UINT32_MAX: none */
    struct df_candidates from;
    size_t most, count; /* per segment: kept at most, candidates */
    struct df_scored_box *out;
};
DF_KERNEL void df_k_kept_boxes(size_t i, const struct df_kept_boxes_args *a)
{
    const size_t at = i / a->most * a->count + a->keep[i];
    struct df_scored_box out = { { 0, 0, 0, 0 }, 0, -1, 0 };

    if (a->keep[i] != UINT32_MAX) {
        out.box = a->from.box[at];
        out.score = a->from.score[at];
        out.group = a->from.group[at];
        out.row = a->from.row[at];
    }
    a->out[i] = out;
}
#endif
