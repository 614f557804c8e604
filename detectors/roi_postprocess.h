/* From the outputs of a RoI head to the detections of an image, on the host. */
#ifndef DF_DETECTORS_ROI_POSTPROCESS_H
#define DF_DETECTORS_ROI_POSTPROCESS_H
#include "detectors/detector.h"

struct df_roi_postprocess_options {
    double score_threshold; /* only scores above it */
    double min_size;        /* of a box, canvas pixels */
    double nms_iou;
    int64_t detections; /* most per image */
    float box_weights[4];
};
/* Detections of image `image` of the state, falling score, in stored-image pixels. Returns how many (<= options->detections). */
size_t df_roi_postprocess_run(const struct df_roi_postprocess_options *options, df_tape *tape, const struct df_detection_state *state,
                              size_t image, const struct df_image_info *info, const struct df_category *category, struct df_detection *out);
#endif
