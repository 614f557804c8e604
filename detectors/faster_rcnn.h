/* Faster R-CNN: its class. */
#ifndef DF_DETECTORS_FASTER_RCNN_H
#define DF_DETECTORS_FASTER_RCNN_H
#include "detectors/detector.h"

extern const struct df_detector_class df_detector_faster_rcnn;
#endif
