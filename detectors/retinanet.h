/* RetinaNet's class, for the registry. */
#ifndef DF_DETECTORS_RETINANET_H
#define DF_DETECTORS_RETINANET_H
#include "detectors/detector.h"

extern const struct df_detector_class df_detector_retinanet;
#endif
