/* COCO evaluation of a data set whose images are drawn with repetition: for a bootstrap over images. An image that is drawn twice is two images. */
#ifndef DF_CORE_METRICS_DRAWN_H
#define DF_CORE_METRICS_DRAWN_H
#include "core/metrics/coco_eval.h"

/* Detections by image, so that a draw needs no search. Borrows everything it is made of. */
struct df_drawn;
/* Detections of unknown images are an error. */
df_status df_drawn_new(struct df_coco_set set, const struct df_detection *detections, size_t count, struct df_drawn **out,
                       struct df_error *err);
void df_drawn_free(struct df_drawn *drawn);
/* The scores of the set's images draw[0], draw[1], ...; each image once, in order, gives df_coco_evaluate's. */
df_status df_drawn_evaluate(const struct df_drawn *drawn, const uint32_t *draw, size_t draws, struct df_coco_scores *out,
                            struct df_error *err);
#endif
