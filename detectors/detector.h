/* The contract of a detector, and the detection state: what distillers see. One file per detector, one line in registry.c. */
#ifndef DF_DETECTORS_DETECTOR_H
#define DF_DETECTORS_DETECTOR_H
#include "core/data/loader.h"
#include "core/nn/ops.h"
#include "core/nn/state_dict.h"
#include "detectors/network.h"
#include "detectors/part.h"

#define DF_DETECTOR_ABI 2

/* Device tensors live on the tape of the pass that made them; host arrays as long, or until the detector's next forward.
 * The detectors here name their parts:
 *   backbone/2 .. /5    [N,h,w,C] the stages C2 .. C5 that there are
 *   neck/0 ..           [N,h,w,C] finest first
 *   class_tower, box_tower /0 ..  [N,h,w,C] what the last but one convolution of each branch of the dense head says of a level, before its
 *                       ReLU; where df_detector_show asked for them, and the branches have two or more
 *   logits, deltas      [N,1,A,K], [N,1,A,4] of the dense head, a row for every anchor: over all levels, row by row, then per cell; a proposal
 *                       network's K is 1
 *   roi/logits, deltas  [R,1,1,K+1], [R,1,1,4(K+1)]: column 0 is background, column 1 + k class k (torchvision's order)
 *   object/logits       [1,1,R,K] of a classifier, R all objects of the batch, image by image, one row where there are none; as a teacher's state
 *                       [N,1,W,K]: row g of an image is its object g, W the most of an image
 * and, where labels were asked for, what the rows were assigned (whole numbers; no teacher has these):
 *   label               [N,1,A,1] class >= 0, -1 background, -2 ignored
 *   matched             [N,1,A,1] where label >= 0: which object of its image the row learns
 *   target              [N,1,A,4] encoded boxes, meaningful where label >= 0
 *   positives           [N,1,1,1] rows of the image with label >= 0
 *   roi/label, /target  [R,1,1,1], [R,1,1,4]; label -2: a padding row, or ignored */
#define DF_OBJECT_LOGITS  "object/logits"  /* what a classifier says of the ground truth's objects: a teacher's alone */
#define DF_OBJECT_NETWORK "object/network" /* no part: the classifier itself, whose look_at is called; a teacher's alone */
bool df_teachers_alone(const char *name);  /* a name that no student has: these two */

struct df_assigned {         /* what the losses of a dense head divide by and look at, on the device beside the parts */
    const uint8_t *positive; /* [N][A] */
    const double *count;     /* [N] positives */
};
struct df_anchors;
struct df_detection_state {
    size_t batch, canvas_h, canvas_w, classes;
    const struct df_batch *images; /* ground truth, valid region */
    struct df_parts parts;
    size_t levels;                     /* of the neck */
    size_t anchors;                    /* A */
    const struct df_box *anchor;       /* [A], the same for every image of a canvas */
    const struct df_anchors *resident; /* the same, on the device (detectors/anchors.h); NULL where no dense head made the state */
    struct df_assigned assigned;       /* where labels were asked for */
    size_t level_anchors[DF_LEVELS];
    /* two-stage detectors: sampled proposals where labels were asked for, else the ones that detections are made from. Every image has
     * count / N rows, whatever it holds: its proposals, then padding. On the device; level: NULL, the head chooses. */
    struct df_rois rois;
    struct df_detector *detector; /* whose state this is; NULL for a teacher whose head nobody runs */
};
/* A part that must be there. */
const struct df_part *df_part(const struct df_detection_state *state, const char *kind, size_t level);
df_tensor *df_part_tensor(const struct df_detection_state *state, const char *name);
/* The valid region of a map: its cells that lie at least partly inside of image n. */
struct df_cells {
    size_t h, w;
};
struct df_cells df_valid_cells(const struct df_batch *images, size_t n, size_t stride);

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

struct df_found {      /* a detection, on the tape until its reset */
    struct df_box box; /* canvas pixels */
    int32_t label;
    float score;
    size_t row;          /* of its image: the anchor or the proposal that it comes from */
    const float *scores; /* [classes] what that row says of each; NULL: not asked for */
};
enum df_pass {                     /* what a forward pass is to do */
               DF_TRAINING = 1,    /* batch norms use the batch's statistics and move their own */
               DF_LABELS = 2,      /* assign ground truth to rows, sample proposals: training, and wherever distillers need labels */
               DF_FIRST_STAGE = 4, /* stop before proposals are chosen: without RoIs; reads nothing from the device */
               DF_BODY = 8         /* of df_detector_forward: stop at the neck, no head runs */
};

struct df_crops { /* boxes of a batch's images */
    const struct df_batch *images;
    df_tensor *pixels;     /* [N,H,W,3] the images, on the tape */
    df_tensor *boxes;      /* [R,1,1,4] corners x0 y0 x1 y1 (canvas pixels) */
    const uint32_t *image; /* [R] whose */
};
struct df_seen {
    df_tensor *crop; /* [R,S,S,3] what a classifier sees of each */
    df_tensor *stem; /* [R,h,w,C] what its first layer says of that: convolution, norm, ReLU and the pooling before the first stage */
};

struct df_detector;
struct df_detector_class {
    int abi;
    const char *name, *summary;
    const char *offers;       /* names of the parts that a first stage makes, "neck" and a star for all levels; separated by blanks */
    const char *on_request;   /* ... of those that run_head makes over a neck: they are not captured, their network is */
    const char *class_logits; /* the part that says the classes */
    const df_option *options; /* the spec's "detector" object besides "kind" */
    size_t options_size;
    df_status (*create)(const void *options, const struct df_network_options *network, size_t classes, struct df_parameters *parameters,
                        struct df_detector **out, struct df_error *err);
    void (*destroy)(struct df_detector *detector);
    /* Fills state. pixels [N,H,W,3]: the images, on the tape; gradients reach them if they ask for any. what: df_pass bits. */
    void (*forward)(struct df_detector *detector, df_tape *tape, const struct df_batch *images, df_tensor *pixels, unsigned what,
                    struct df_detection_state *state);
    df_tensor *(*loss)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *state, struct df_loss_terms *terms);
    /* Detections of one image of a state, falling score; scores: also each row's scores of all classes. */
    const struct df_found *(*predict)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *state, size_t image,
                                      bool scores, size_t *count);
    void (*fold)(struct df_detector *detector); /* freeze for inference: batch norms folded */
    /* This network's head over the neck of `features`, which may be another network's of the same width or come out of a cache; gradients
     * reach the head (unless frozen) and the features; batch norms use their running statistics. *out = *features with the head's parts
     * replaced. on NULL: the dense head. Else the RoI head (two-stage detectors only) on those boxes, laid out as in a state and on this tape,
     * or, if there are none, on those that this network's training would sample over these features; labels and targets from the ground truth
     * of features->images. All arrays live on the tape. */
    void (*run_head)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *features, const struct df_rois *on,
                     struct df_detection_state *out);
    /* The rest of the dense head, from the towers of `features` on, which may be another network's; else as run_head with on NULL. NULL: it has
     * no towers. */
    void (*finish_head)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *features,
                        struct df_detection_state *out);
    /* [1,1,1,1]: the sum, over all images of a state, of the detector's own scores above the threshold; none: 0. One-stage: of every row and class,
     * before suppression; two-stage: of the detections, after it. The slope goes through the scores; which of them count, and where proposals lie,
     * has none. What adversarial patches make small (the losses of Zhao, Yan and Wei, arXiv 2010.14974). NULL: it finds nothing by itself. */
    df_tensor *(*score_loss)(struct df_detector *detector, df_tape *tape, const struct df_detection_state *state, double threshold);
    const struct df_class_rows *class_rows; /* the layers whose rows are classes: for weights that were trained on others */
    int revision; /* raised when its numbers change: 0 and 1 are the first; in the cell beside its name from 2 on */
    /* A classifier's view of boxes; the gradient reaches the boxes. Batch norms use their running statistics. NULL: it is no classifier. */
    void (*look_at)(struct df_detector *detector, df_tape *tape, const struct df_crops *crops, struct df_seen *out);
};

struct df_detector { /* first member of a concrete detector */
    const struct df_detector_class *class;
    struct df_network *network;
    struct df_parameters *parameters;
    size_t classes;
    float delta_weights[4];     /* factors of the dense head's deltas (df_box_decode) */
    bool towers;                /* they are shown */
    float roi_delta_weights[4]; /* factors of the RoI head's deltas, where there is one */
};
extern const struct df_detector_class *const df_detector_classes[];
const struct df_detector_class *df_detector_class_find(const char *name, struct df_error *err);
void df_detector_free(struct df_detector *detector);
/* From now on passes leave the parts among `needs` that they else would not, because they cost something: the towers. No bit of the others
 * depends on it. */
void df_detector_show(struct df_detector *detector, const struct df_needs *needs);
/* The begin of every forward pass: *state with the parts of backbone and neck. */
void df_detector_body(struct df_detector *detector, df_tape *tape, const struct df_batch *images, df_tensor *pixels, unsigned what,
                      struct df_detection_state *state);
/* The images of a batch on the tape, [N,H,W,3]; packed ones are unpacked there. */
df_tensor *df_detector_pixels(df_tape *tape, const struct df_batch *images);
/* DF_FIRST_STAGE, or DF_BODY where the parts among `needs` are all of backbone and neck: what a pass must do for a state that others look at. */
unsigned df_detector_pass_for(const struct df_detector *detector, const struct df_needs *needs);
/* forward on a batch's own pixels. */
void df_detector_forward(struct df_detector *detector, df_tape *tape, const struct df_batch *images, unsigned what,
                         struct df_detection_state *state);
#endif
