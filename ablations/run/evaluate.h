/* Evaluating a detector on a split, image by image: a prediction never depends on what else is in a batch, and the first k images of a
 * split give the same detections whether or not the rest follows. */
#ifndef DF_ABLATIONS_RUN_EVALUATE_H
#define DF_ABLATIONS_RUN_EVALUATE_H
#include "ablations/run/cell.h"
#include "core/data/coco_json.h"
#include "core/metrics/coco_eval.h"

/* Of which images. */
struct df_evaluation {
    const struct df_cell *cell; /* whose canvas it is */
    struct df_dataset *dataset;
    size_t limit;      /* the first so many; 0: all */
    const char *label; /* of the progress bar; NULL: none */
    bool keep_images;  /* decoded, from one run to the next */
};
struct df_evaluator; /* dataset's loader, a tape without recording, room for detections: kept from one run to the next */
df_status df_evaluator_new(const struct df_evaluation *what, struct df_device *device, struct df_evaluator **out, struct df_error *err);
void df_evaluator_free(struct df_evaluator *evaluator);
/* Finds what the detector says of the images, and COCO's numbers of that (df_coco_scores_release them). */
df_status df_evaluator_run(struct df_evaluator *evaluator, struct df_detector *detector, struct df_coco_scores *out, struct df_error *err);
/* The same of n networks on evaluators of the same images, in one pass: every image is read once, as the first
 * evaluator's cell prepares it. out: [n], to be released also where it fails. */
df_status df_evaluators_run(size_t n, struct df_evaluator *const *evaluator, struct df_detector *const *detector,
                            struct df_coco_scores *out, struct df_error *err);
/* Of the last run, in image order, owned by the evaluator until the next one. */
const struct df_detection *df_evaluator_detections(const struct df_evaluator *evaluator, size_t *count);
/* The mAP alone, of an evaluation that is needed once. */
df_status df_evaluate_map(const struct df_evaluation *what, struct df_detector *detector, struct df_device *device, double *map,
                          struct df_error *err);
/* A detection in image i of a batch as COCO has it: category id; x, y, width, height in pixels of the stored image, clipped to it. */
struct df_detection df_coco_detection(const struct df_found *found, const struct df_dataset *dataset, const struct df_batch *images,
                                      size_t i);
#endif
