/* Anchors of a canvas, made on the host and resident on the device, and the matching of anchors with ground truth, which the device does. */
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

/* The anchors of a canvas: on the host, and on the device that asked for them, which is written to once. */
struct df_anchors {
    size_t canvas_h, canvas_w, levels;
    size_t height[DF_LEVELS], width[DF_LEVELS]; /* cells */
    size_t level_count[DF_LEVELS], count;
    struct df_box *box; /* [count]: levels in order, row by row, then per cell */
    struct df_device *device;
    struct df_box *resident;      /* [count] on the device, in one piece with the sides; NULL: not there yet */
    struct df_anchor_sides sides; /* on the device */
    uint64_t used;                /* when they were last asked for; 0: there are none */
};
/* Those of the canvases that were last seen; of more the one that was not asked for the longest makes room. */
#define DF_ANCHOR_CANVASES 8
struct df_anchor_set {
    const struct df_parameters *parameters; /* of the network that they belong to: they live on its device and as long */
    struct df_anchors canvas[DF_ANCHOR_CANVASES];
    uint64_t asked;
};
/* The anchors of this canvas and these level sizes, made at the first call; they stay until DF_ANCHOR_CANVASES others were asked for. */
struct df_anchors *df_anchor_set_find(struct df_anchor_set *set, const struct df_anchor_options *options, size_t canvas_h, size_t canvas_w,
                                      size_t levels, df_tensor *const level[DF_LEVELS]);
void df_anchors_send(struct df_anchors *anchors, struct df_device *device); /* to the device, if they are not there; always the same one */
void df_anchor_set_release(struct df_anchor_set *set);

enum { DF_FORCED_BEST, DF_FORCED_OWN };
struct df_matcher {
    double fg_iou, bg_iou;  /* best IoU >= fg_iou: positive; < bg_iou: background; between: ignored */
    bool low_quality;       /* a ground-truth box's best anchors (ties included) are positive whatever their IoU */
    double low_quality_iou; /* ... if it is above this */
    int low_quality_box;    /* such an anchor belongs to its own best box (torchvision) or to the box that forced it (mmdet) */
};
/* A dense head's outputs [N,1,A_l,K] and [N,1,A_l,4] of every level of the neck as the parts "logits" and "deltas", with their anchors. */
void df_dense_rows(struct df_anchor_set *set, const struct df_anchor_options *options, df_tape *tape, df_tensor *const *logits,
                   df_tensor *const *deltas, struct df_detection_state *state);
/* What the rows of df_dense_rows are assigned, on the device (core/device/kernels_match.h): the parts "label", "matched", "target" and
 * "positives", and state->assigned. Read from a device that computes nothing, these parts are what they would be. classes: a positive's label is its
 * object's class, else 0. */
struct df_assignment {
    const struct df_matcher *matcher;
    const float *box_weights; /* [4] */
    bool classes;
};
void df_assign_anchors(const struct df_assignment *how, df_tape *tape, struct df_detection_state *state);
#endif
