/* Whether scores mean what they say: of the detections with a score of 0.7, are seven in ten right? Kueppers, Kronenberger, Shantia, Haselhoff:
 * "Multivariate Confidence Calibration for Object Detection", CVPR workshops 2020, arXiv:2004.13546, the part that looks at the score alone:
 *   D-ECE = sum over bins b of (n_b / n) |precision_b - confidence_b|
 * n_b detections whose score lies in bin b of equal width, confidence_b their mean score, precision_b the share of them that is right: by falling score
 * (ties: in their order) each takes the free object of its class with the largest IoU, if it is at least `iou`. Those that lie in a crowd of their class,
 * or in no image's known class, do not count. Scores below `least` are left out: a detector's long tail of near-zero scores hides everything else. */
#ifndef DF_CORE_METRICS_CALIBRATION_H
#define DF_CORE_METRICS_CALIBRATION_H
#include "core/metrics/coco_eval.h"

enum { DF_CALIBRATION_BINS = 10 };
struct df_calibration_options {
    double iou, least;
};
extern const struct df_calibration_options df_calibration_standard; /* 0.5, 0.05 */

enum df_calibration_score {
    DF_CALIBRATION_ECE,  /* D-ECE */
    DF_CALIBRATION_MCE,  /* the largest gap of a bin that has a detection */
    DF_CALIBRATION_OVER, /* mean score less precision: above 0 is overconfident */
    DF_CALIBRATION_SCORES
};
/* In long form: the scores, "calibration.D-ECE", ..., then of every bin "calibration.share.0.3", "calibration.confidence.0.3" (the bin from 0.3 on),
 * "calibration.precision.0.3". */
enum { DF_CALIBRATION_METRICS = DF_CALIBRATION_SCORES + 3 * DF_CALIBRATION_BINS };
extern const char *const df_calibration_metrics[DF_CALIBRATION_METRICS];

struct df_calibration {
    size_t count; /* detections that count; without one the scores are -1 */
    double value[DF_CALIBRATION_SCORES];
    struct df_calibration_bin { /* scores from b / 10 on, the last one with 1 */
        size_t count;
        double confidence, precision; /* NAN for an empty one */
    } bin[DF_CALIBRATION_BINS];
};
/* Detections in file order, scores 0 to 1; an unknown image is an error. */
df_status df_calibration_evaluate(const struct df_calibration_options *options, struct df_coco_set set,
                                  const struct df_detection *detections, size_t count, struct df_calibration *out, struct df_error *err);
/* In the order of the metrics; NAN of what an empty bin has not. */
void df_calibration_values(const struct df_calibration *calibration, double value[DF_CALIBRATION_METRICS]);
/* The reliability diagram as text: a line per bin with its gap, then the scores. */
void df_calibration_summary(const struct df_calibration *calibration, struct df_text *out);
/* {"D-ECE": 0.1, "MCE": ..., "overconfidence": ..., "bins": [[count, confidence, precision], ...]}, exact; no end of line. An empty bin: [0, null, null]. */
void df_calibration_json(const struct df_calibration *calibration, struct df_text *out);
#endif
