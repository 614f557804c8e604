/* Evaluating a detector on a split, image by image: a prediction never depends on what else is in a batch, and the first k images of a
 * split give the same detections whether or not the rest follows. */
#ifndef DF_ABLATIONS_RUN_EVALUATE_H
#define DF_ABLATIONS_RUN_EVALUATE_H
#include "ablations/run/run.h"
#include "core/metrics/coco_eval.h"

struct df_evaluator; /* dataset's loader, a tape without recording, room for detections: kept from one evaluation to the next */
df_status df_evaluator_new(const struct df_cell *cell, struct df_dataset *dataset, struct df_device *device, bool keep_images,
                           struct df_evaluator **out, struct df_error *err);
void df_evaluator_free(struct df_evaluator *evaluator);
/* Detections of the first `limit` images (0: all), owned by the evaluator until its next call. label: of the progress bar, NULL for none. */
df_status df_evaluator_run(struct df_evaluator *evaluator, struct df_detector *detector, size_t limit, const char *label,
                           const struct df_detection **detections, size_t *count, struct df_error *err);
/* A detection in image i of a batch as COCO has it: category id; x, y, width, height in pixels of the stored image, clipped to it. */
struct df_detection df_coco_detection(const struct df_found *found, const struct df_dataset *dataset, const struct df_batch *images,
                                      size_t i);
/* COCO's numbers of detections on the first `limit` images (0: all) of a dataset. */
df_status df_evaluate_detections(const struct df_dataset *dataset, size_t limit, const struct df_detection *detections, size_t count,
                                 struct df_coco_scores *out, struct df_error *err);
#endif
