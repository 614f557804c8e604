/* The RoI head of a two-stage detector: RoIAlign, two linear layers, class logits and box deltas. Used by faster_rcnn.c. */
#ifndef DF_DETECTORS_BOX_HEAD_H
#define DF_DETECTORS_BOX_HEAD_H
#include "detectors/detector.h"

struct df_box_head_options {
    int64_t size, sampling; /* RoIAlign: cells per side; samples per cell and axis, 0: as many as pixels */
    bool aligned;
    double canonical_size;   /* side of a square (canvas pixels) that is pooled ... */
    int64_t canonical_level; /* ... from the map of stride 2^this */
    int64_t fc_width;
};
struct df_box_head {
    struct df_box_head_options options;
    size_t levels, channels;
    struct df_parameter *weight[4], *bias[4]; /* fc6, fc7, cls_score, bbox_pred */
};
struct df_box_head_sizes {
    size_t levels, channels; /* of the neck that it sees */
    size_t width;            /* of the two linear layers */
    size_t classes;          /* without the background */
};
void df_box_head_init(struct df_box_head *head, const struct df_box_head_options *options, struct df_parameters *parameters,
                      struct df_box_head_sizes sizes);
void df_box_head_freeze(struct df_box_head *head);
/* "roi/logits" and "roi/deltas" of state->rois, over the first levels of the neck of `features`. A box without area sees zeros. */
void df_box_head_forward(const struct df_box_head *head, df_tape *tape, const struct df_detection_state *features,
                         struct df_detection_state *state);
#endif
