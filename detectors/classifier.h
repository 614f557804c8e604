/* An image classifier of the objects that the ground truth tells: what a teacher of kind "classifier" is. It has a detector's contract, boxes given
 * instead of found, and is in no registry: no student is one. */
#ifndef DF_DETECTORS_CLASSIFIER_H
#define DF_DETECTORS_CLASSIFIER_H
#include "detectors/detector.h"

extern const struct df_detector_class df_detector_classifier;
/* What it sees, [R,S,S,3]: the objects of a batch, image by image; of a batch without objects its first image. */
df_tensor *df_classifier_crops(const struct df_detector *detector, df_tape *tape, const struct df_batch *images);
#endif
