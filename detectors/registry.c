/* All detectors: one line each. */
#include "detectors/detector.h"

#define DETECTORS(X)                                                                                                                       \
    X(retinanet)                                                                                                                           \
    X(faster_rcnn)

#define DECLARE(name) extern const struct df_detector_class df_detector_##name;
#define LIST(name)    &df_detector_##name,
DETECTORS(DECLARE)
const struct df_detector_class *const df_detector_classes[] = { DETECTORS(LIST) NULL };
