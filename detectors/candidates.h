/* From a detector's outputs to its best boxes, on the device: candidates, then non-maximum suppression. Only the detections that are kept come to
 * the host, in one piece. Used by the detectors' proposals and detections. */
#ifndef DF_DETECTORS_CANDIDATES_H
#define DF_DETECTORS_CANDIDATES_H
#include "detectors/detector.h"

struct df_candidate_set { /* on the device, until the tape's reset */
    size_t images, room;  /* candidates of an image, those of group -1 included */
    struct df_candidates at;
};
struct df_dense_choice {
    size_t candidates; /* most (anchor, class) pairs per level */
    bool by_level;     /* groups are levels, else classes */
    struct df_box_rule rule;
};
/* Of the dense outputs of images first .. first + images: the best pairs of each level by logit, which orders those whose float scores are
 * equal too; remaining ties go by level, then by index. Logits that cannot pass the rule's threshold are left out from the start. */
struct df_candidate_set df_dense_candidates(df_tape *tape, const struct df_detection_state *state, size_t first, size_t images,
                                            const struct df_dense_choice *choice);
/* Of the RoI outputs of one image: every class of every row. Equal scores go by row, then by class. */
struct df_candidate_set df_roi_candidates(df_tape *tape, const struct df_detection_state *state, size_t image,
                                          const struct df_box_rule *rule);
/* What suppression keeps, at most *most an image, which is lowered to the candidates that there are: [images][*most] until the tape's reset,
 * falling score, group -1 behind the last. */
const struct df_scored_box *df_candidates_kept(df_tape *tape, const struct df_candidate_set *set, double iou, size_t *most);
/* ... on the host. */
const struct df_scored_box *df_candidates_keep(df_tape *tape, const struct df_candidate_set *set, double iou, size_t *most);

struct df_detection_options {
    double score_threshold; /* only scores above it */
    double nms_iou;
    int64_t detections; /* most per image */
};
struct df_row_logits {   /* of an image, on the device */
    const df_real *data; /* [rows][classes], or [rows][1 + classes], background first */
    size_t rows, classes;
    bool background;
};
/* An image's kept boxes as its detections; with the class scores of their rows (as the candidates' kernels have them), or NULL without. */
const struct df_found *df_candidates_found(df_tape *tape, const struct df_scored_box *kept, size_t most, const struct df_row_logits *logits,
                                           size_t *count);
#endif
