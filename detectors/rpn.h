/* The region proposal network of a two-stage detector. Used by faster_rcnn.c. */
#ifndef DF_DETECTORS_RPN_H
#define DF_DETECTORS_RPN_H
#include "detectors/anchors.h"
#include "detectors/conv_unit.h"
#include "detectors/detector.h"
#include "detectors/sampling.h"

#define DF_RPN_CONVS 8
enum { DF_PROPOSE_TEST, DF_PROPOSE_TRAIN, DF_PROPOSE_MODES };

struct df_rpn_options {
    struct df_anchor_options anchor;
    struct df_matcher matcher;
    struct df_sampler sampler; /* of the anchors that the losses look at */
    int64_t convs;             /* 3x3 convolutions before the outputs */
    double weight_std;
    struct df_list box_weights;
    int64_t pre_nms[DF_PROPOSE_MODES];  /* most candidates per level */
    int64_t post_nms[DF_PROPOSE_MODES]; /* most proposals per image */
    double nms_iou, score_threshold, min_size;
    double box_beta;
};

struct df_rpn {
    struct df_rpn_options options;
    float box_weights[4];
    size_t levels, convs;
    struct df_conv_unit *conv[DF_RPN_CONVS][DF_LEVELS]; /* one weight for all levels, a norm for each */
    struct df_conv_unit *logits, *deltas;
    struct df_anchor_set anchors;
};
void df_rpn_init(struct df_rpn *rpn, const struct df_rpn_options *options, struct df_conv_units *units,
                 const struct df_network_options *network, size_t levels);
void df_rpn_release(struct df_rpn *rpn);
/* From the state's neck its logits [N,1,A,1], deltas [N,1,A,4] and anchors. */
void df_rpn_forward(struct df_rpn *rpn, df_tape *tape, bool training, struct df_detection_state *state);
/* What anchors were assigned; label 0: an object. */
void df_rpn_assign(struct df_rpn *rpn, df_tape *tape, struct df_detection_state *state);
/* The best proposals of every image in canvas pixels: [batch][*most] on the device until the tape's reset, falling score, group -1 behind the
 * last. *most: post_nms[mode], or less where there are fewer candidates. */
const struct df_scored_box *df_rpn_propose(const struct df_rpn *rpn, df_tape *tape, const struct df_detection_state *state, int mode,
                                           size_t *most);
/* Both losses over sampled anchors, divided by the number of these in the batch. They depend on the state alone. */
void df_rpn_loss(const struct df_rpn *rpn, df_tape *tape, const struct df_detection_state *state, df_tensor **objectness, df_tensor **box);
#endif
