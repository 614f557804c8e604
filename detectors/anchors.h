/* Anchors of a canvas, and the matching of anchors with ground truth. Host work; memory is taken once per canvas size and kept. */
#ifndef DF_DETECTORS_ANCHORS_H
#define DF_DETECTORS_ANCHORS_H
#include "core/base/option.h"
#include "detectors/detector.h"

struct df_anchor_options {
    struct df_list size;           /* per level, canvas pixels */
    struct df_list scales, ratios; /* an anchor per (ratio = height / width, scale): ratios outer, scales inner */
    bool truncate;                 /* size * scale is cut to an integer */
    bool rounding;                 /* corners around the cell's point are rounded, halves to even */
    double offset;                 /* of the cell's point, in cells: 0 its corner, 0.5 its centre */
};

struct df_anchor_set {
    size_t canvas_h, canvas_w, levels;
    size_t height[DF_LEVELS], width[DF_LEVELS]; /* cells */
    size_t level_count[DF_LEVELS], count;
    struct df_box *box;    /* [count]: levels in order, row by row, then per cell */
    size_t capacity;       /* padded: a multiple of the vector lanes */
    float *side[4], *area; /* the same boxes by coordinate; padding is empty */
    float *overlap, *best; /* scratch of matching */
    int32_t *best_box, *forced;
};
/* Fills the set for this canvas and these level sizes; does nothing when they have not changed. */
void df_anchor_set_make(struct df_anchor_set *set, const struct df_anchor_options *options, size_t canvas_h, size_t canvas_w, size_t levels,
                        df_tensor *const level[DF_LEVELS]);
void df_anchor_set_release(struct df_anchor_set *set);

enum { DF_FORCED_BEST, DF_FORCED_OWN };
struct df_matcher {
    double fg_iou, bg_iou;  /* best IoU >= fg_iou: positive; < bg_iou: background; between: ignored */
    bool low_quality;       /* a ground-truth box's best anchors (ties included) are positive whatever their IoU */
    double low_quality_iou; /* ... if it is above this */
    int low_quality_box;    /* such an anchor belongs to its own best box (torchvision) or to the box that forced it (mmdet) */
};
/* matched [count]: index into truth, -1 background, -2 ignored. Equal IoU: the first box. No boxes: all background. Returns the positives. */
size_t df_match_anchors(struct df_anchor_set *set, const struct df_matcher *matcher, const struct df_ground_truth *truth, int32_t *matched);
/* A dense head's outputs [N,1,A_l,K] and [N,1,A_l,4] of every level of the neck as the parts "logits" and "deltas", with their anchors. */
void df_dense_rows(struct df_anchor_set *set, const struct df_anchor_options *options, df_tape *tape, df_tensor *const *logits,
                   df_tensor *const *deltas, struct df_detection_state *state);
/* Into the parts "label", "matched", "target" and "positives". classes: a positive's label is its object's class, else 0. */
struct df_assignment {
    const struct df_matcher *matcher;
    const float *box_weights; /* [4] */
    bool classes;
};
void df_assign_anchors(struct df_anchor_set *set, const struct df_assignment *how, df_tape *tape, struct df_detection_state *state);
#endif
