/* The contract of a detector, and the detection state: what distillers see. One file per detector, one line in registry.c. */
#ifndef DF_DETECTORS_DETECTOR_H
#define DF_DETECTORS_DETECTOR_H
#include "core/data/coco_json.h"
#include "core/data/loader.h"
#include "core/nn/state_dict.h"
#include "detectors/network.h"

#define DF_DETECTOR_ABI 1

struct df_neck_level {
    size_t stride;      /* canvas pixels per cell */
    df_tensor *feature; /* [N,h,w,C] */
    double feature_std; /* the network's own, over training images, all cells and channels; 0: not measured */
};
struct df_stage_map {
    size_t stride;
    df_tensor *feature; /* C2..C5; NULL where the network has none */
};

/* Device tensors live on the tape of the pass that made them; host arrays until the detector's next forward. */
struct df_detection_state {
    size_t batch, canvas_h, canvas_w, classes;
    const struct df_batch *images; /* ground truth, valid region */
    struct df_stage_map stage[DF_STAGES];
    size_t levels;
    struct df_neck_level neck[DF_LEVELS];
    /* dense head */
    size_t anchors;              /* A, over all levels, finest level first, row by row, then per cell */
    const struct df_box *anchor; /* [A], the same for every image of a canvas */
    size_t level_anchors[DF_LEVELS];
    df_tensor *class_logits; /* [N,1,A,K]; RPN: K = 1 */
    df_tensor *box_deltas;   /* [N,1,A,4] */
    const int32_t *label;    /* [N*A]: class >= 0, -1 background, -2 ignored; NULL for a teacher */
    const df_real *target;   /* [N*A*4] encoded boxes, meaningful where label >= 0 */
    size_t positives;        /* anchors with label >= 0, whole batch */
    /* two-stage detectors: sampled proposals where labels were asked for, else the ones that detections are made from. Every image has R / N
     * rows, whatever it holds: its proposals, then padding rows, which are boxes without area. */
    size_t proposals;               /* R, whole batch; 0 for one-stage detectors */
    const struct df_box *proposal;  /* [R] canvas pixels */
    const uint32_t *proposal_image; /* [R] */
    const int32_t *proposal_label;  /* [R]: class >= 0, -1 background, -2 a padding row or ignored; NULL for a teacher */
    /* [R,1,1,K+1], [R,1,1,4(K+1)]: column 0 is background, column 1 + k class k (torchvision's order) */
    df_tensor *roi_logits, *roi_deltas;
    const df_real *proposal_target; /* [R*4] encoded boxes, meaningful where proposal_label >= 0; NULL for a teacher */
    struct df_detector *detector;   /* whose state this is; NULL for a teacher without DF_NEEDS_ROI_HEAD */
    const int32_t *matched;         /* [N*A] where label >= 0: which object of its image the anchor learns; NULL for a teacher */
};

#define DF_LOSS_TERMS 80 /* a full stack of distillers with eight terms each, and the detector's own */
struct df_loss_terms {   /* logged by name, gathered after the backward pass */
    size_t count;
    struct {
        char name[40];
        const df_tensor *value;
        double weight;
    } term[DF_LOSS_TERMS];
};
void df_loss_terms_add(struct df_loss_terms *terms, const char *name, const df_tensor *value, double weight);

struct df_detector;
struct df_detector_class {
    int abi;
    const char *name, *summary;
    unsigned offers;          /* DF_NEEDS_* bits of distillers/distiller.h that this detector's state can fill: see DF_OFFERS_* */
    const df_option *options; /* the spec's "detector" object besides "kind" */
    size_t options_size;
    df_status (*create)(const void *options, const struct df_network_options *network, size_t classes, struct df_parameters *parameters,
                        struct df_detector **out, struct df_error *err);
    void (*destroy)(struct df_detector *detector);
    /* Fills state. labels: assign ground truth to anchors and sample proposals (training, and wherever distillers need labels). */
    void (*forward)(struct df_detector *detector, df_tape *tape, const struct df_batch *batch, bool training, bool labels,
                    struct df_detection_state *state);
    df_tensor *(*loss)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *state, struct df_loss_terms *terms);
    /* Detections of one image of a state (host), in stored-image pixels: appended to out (room for max_detections). Returns how many. */
    size_t (*predict)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *state, size_t image,
                      const struct df_image_info *info, const struct df_category *category, struct df_detection *out);
    size_t (*max_detections)(const struct df_detector *detector);
    void (*fold)(struct df_detector *detector); /* freeze for inference: batch norms folded */
    /* Two-stage detectors (else NULL). This network's RoI head over the neck of `features`, which may be another network's of the same width
     * or come out of a cache, on given proposals, laid out as in a state; proposal NULL: on those that this network's training would sample
     * over these features. *out = *features with its RoI part replaced: proposals, labels and targets from the ground truth of
     * features->images, logits and deltas. Gradients reach the head (unless frozen) and the features. All arrays live on the tape. */
    void (*roi_head)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *features, size_t proposals,
                     const struct df_box *proposal, const uint32_t *proposal_image, struct df_detection_state *out);
    const struct df_class_rows *class_rows; /* the layers whose rows are classes: for weights that were trained on others */
    /* Two-stage detectors (else NULL): forward, not training, without labels, and without the second stage. Reads nothing from the device. */
    void (*first_stage)(struct df_detector *detector, df_tape *tape, const struct df_batch *batch, struct df_detection_state *state);
    int revision; /* raised when its numbers change: 0 and 1 are the first; in the cell beside its name from 2 on */
};
enum { DF_OFFERS_BACKBONE = 1, DF_OFFERS_NECK = 2, DF_OFFERS_DENSE_HEAD = 4, DF_OFFERS_BOX_DELTAS = 8, DF_OFFERS_ROI_HEAD = 16 };

struct df_detector { /* first member of a concrete detector */
    const struct df_detector_class *class;
    struct df_network *network;
    struct df_parameters *parameters;
    size_t classes;
};
extern const struct df_detector_class *const df_detector_classes[];
const struct df_detector_class *df_detector_class_find(const char *name, struct df_error *err);
void df_detector_free(struct df_detector *detector);
/* What can be said of images before proposals are chosen: all parts of the state but RoIs and labels; batch norms use their running statistics. */
void df_detector_first_stage(struct df_detector *detector, df_tape *tape, const struct df_batch *batch, struct df_detection_state *state);
#endif
