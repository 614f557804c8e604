/* How a subject sees an image of whole numbers that stands in for one of its split: prepared as evaluation prepares every image, to the
 * last bit (resized, rounded, normalised, padded). And back: the slope of its score loss in the image's own pixels. */
#ifndef DF_ABLATIONS_BEHAVIOUR_VIEW_H
#define DF_ABLATIONS_BEHAVIOUR_VIEW_H
#include "ablations/behaviour/subject.h"

struct df_view;
/* The subject must outlive it. */
df_status df_view_new(struct df_subject *subject, struct df_view **out, struct df_error *err);
void df_view_free(struct df_view *view);

struct df_sight { /* until the subject is asked again */
    struct df_answer answer;
    const struct df_batch *batch; /* of one: scales, sizes */
};
/* What the subject finds where image `index` of its split looks like this; of the stored size. */
df_status df_view_ask(struct df_view *view, size_t index, const struct df_image *image, struct df_sight *out, struct df_error *err);
/* Its detector's score loss (detectors/detector.h) above the threshold, and slope [height,width,3] of the stored pixels: by grey level,
 * through the resizing, as if nothing was rounded. DF_ERR_UNSUPPORTED: a detector without a score loss. */
struct df_view_slope {
    double loss, *slope;
};
df_status df_view_slope(struct df_view *view, size_t index, const struct df_image *image, double threshold, struct df_view_slope *out,
                        struct df_error *err);
#endif
