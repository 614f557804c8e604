/* COCO evaluation, bit-equal to pycocotools 2.0.11 (COCOeval, iouType 'bbox') on the same files, as long as no two annotations share an id: of such
 * pycocotools counts one several times; here each counts once, and reading the file tells. */
#ifndef DF_CORE_METRICS_COCO_EVAL_H
#define DF_CORE_METRICS_COCO_EVAL_H
#include "core/data/coco_json.h"

enum df_coco_metric { DF_AP, DF_AP50, DF_AP75, DF_APS, DF_APM, DF_APL, DF_AR1, DF_AR10, DF_AR100, DF_ARS, DF_ARM, DF_ARL, DF_COCO_METRICS };
extern const char *const df_coco_metric_names[DF_COCO_METRICS]; /* "AP", "AP50", ..., "ARl" */

struct df_coco_scores {
    double value[DF_COCO_METRICS]; /* 0..1; -1 where there is nothing to measure */
    size_t categories;
    double *class_ap, *class_ap50; /* [categories] in category order, -1 where there is no ground truth */
};
struct df_coco_set { /* what detections are held against; borrows */
    size_t images, categories;
    const struct df_image_info *info; /* [images]; its objects are the ground truth */
    const struct df_category *category;
    const double *borders; /* [2] areas between small, medium and large in place of COCO's 32^2 and 96^2; NULL: those */
};
struct df_coco_set df_coco_set_of(const struct df_coco_truth *truth);
struct df_coco_set df_coco_set_of_dataset(const struct df_dataset *dataset);
/* Detections of unknown images are an error, of unknown categories are ignored with one warning. Detections in file order (ties keep it), in
 * messages numbered from 1. */
df_status df_coco_evaluate(struct df_coco_set set, const struct df_detection *detections, size_t count, struct df_coco_scores *out,
                           struct df_error *err);
void df_coco_scores_release(struct df_coco_scores *scores);
void df_coco_summary(const struct df_coco_scores *scores, struct df_text *out); /* the 12 lines, as people know them */
/* "12.34 mAP" of 0.1234; where there was nothing to find: that there is none. Returns buffer. */
const char *df_coco_percent(double ap, char buffer[32]);
void df_coco_json(const struct df_coco_scores *scores, struct df_text *out); /* one JSON object, 17 digits */
#endif
