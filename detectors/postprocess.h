/* From the dense outputs of an image to its detections, on the host. */
#ifndef DF_DETECTORS_POSTPROCESS_H
#define DF_DETECTORS_POSTPROCESS_H
#include "detectors/detector.h"

struct df_postprocess_options {
    double score_threshold; /* only scores above it */
    int64_t candidates;     /* most (anchor, class) pairs kept per level */
    double nms_iou;
    int64_t detections; /* most per image */
    float box_weights[4];
};
struct df_postprocess { /* scratch: taken once for a size and kept */
    size_t logits_room, deltas_room, room;
    df_real *logits, *deltas; /* of one level, of one image */
    float *values;            /* the logits as float */
    struct df_box *box;       /* [room] candidates of all levels */
    float *score;
    int32_t *label;
    uint32_t *index, *keep, *work;
};
void df_postprocess_release(struct df_postprocess *scratch);
/* A box in canvas pixels as a detection's bbox: pixels of the stored image, COCO's x, y, width, height; and the image's id. */
void df_detection_write(const struct df_batch *images, size_t image, const struct df_image_info *info, struct df_box box,
                        struct df_detection *out);
/* Detections of image `image` of the state, falling score, in stored-image pixels. Returns how many (<= options->detections). */
size_t df_postprocess_run(struct df_postprocess *scratch, const struct df_postprocess_options *options, df_tape *tape,
                          const struct df_detection_state *state, size_t image, const struct df_image_info *info,
                          const struct df_category *category, struct df_detection *out);
#endif
