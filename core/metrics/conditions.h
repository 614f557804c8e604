/* AP by circumstances: of small, middle and large objects, and of images with few and many. Sizes are thirds of the data's own objects, for COCO's
 * 32^2 and 96^2 pixels cut a data set of other sizes badly; else they are COCO's small, medium and large: objects of another size, and what is found
 * of another size beside them, count neither way. Crowding is an image's: of the images with so many objects all detections count. */
#ifndef DF_CORE_METRICS_CONDITIONS_H
#define DF_CORE_METRICS_CONDITIONS_H
#include "core/metrics/coco_eval.h"

enum df_condition {
    DF_SIZE_SMALL,
    DF_SIZE_MIDDLE,
    DF_SIZE_LARGE,
    DF_CROWDING_ONE,  /* images with 1 object */
    DF_CROWDING_SOME, /* 2 or 3 */
    DF_CROWDING_MANY, /* 4 and more */
    DF_CONDITIONS
};
extern const char *const df_condition_metrics[DF_CONDITIONS]; /* "size.small", ..., "crowding.4+": each an AP */

struct df_conditions {
    double border[2];            /* areas, pixels of the stored image: between small and middle, between middle and large */
    size_t images[3];            /* with 1, 2 or 3, 4 and more objects */
    double value[DF_CONDITIONS]; /* 0..1; -1 where there is nothing to measure */
};
/* Crowds are no objects. Detections as in df_coco_evaluate. */
df_status df_conditions_evaluate(struct df_coco_set set, const struct df_detection *detections, size_t count, struct df_conditions *out,
                                 struct df_error *err);
void df_conditions_summary(const struct df_conditions *conditions, struct df_text *out);
/* {"size.small": 0.1, ..., "borders": [400, 900]}, exact; no end of line. */
void df_conditions_json(const struct df_conditions *conditions, struct df_text *out);
#endif
