/* Every detector, one line each. */
#include "detectors/faster_rcnn.h"
#include "detectors/retinanet.h"

const struct df_detector_class *const df_detector_classes[] = {
    &df_detector_retinanet,
    &df_detector_faster_rcnn,
    NULL,
};
