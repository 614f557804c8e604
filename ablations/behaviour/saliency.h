/* D-RISE (Petsiuk et al., CVPR 2021, arXiv:2006.03204): which pixels a detector's finding of an object rests on, from its answers alone.
 *   w_i = max over the detections d of masked image i of s(t, d);  0 where there is none
 *   s(t, d) = IoU(box_t, box_d) cos(scores_t, scores_d)            (times d's own score, where that is asked for)
 *   saliency = 1 / (N p) sum_i (w_i - c) M_i                       c = 0, or the mean of w: then where masks fell by chance tells nothing
 * Deviates: no detector here says an objectness beside its class scores, so that factor is left out, as the paper does for such detectors; detections
 * are what `predict` gives, above the detector's own threshold and after suppression. */
#ifndef DF_ABLATIONS_BEHAVIOUR_SALIENCY_H
#define DF_ABLATIONS_BEHAVIOUR_SALIENCY_H
#include "ablations/behaviour/masks.h"
#include "ablations/behaviour/subject.h"

/* Whoever answers: a subject, or a test's own detector. */
struct df_answerer {
    const struct df_answer *(*ask)(void *who, const struct df_batch *batch); /* df_subject_ask's contract */
    void *who;
    size_t classes;
};
struct df_answerer df_answerer_of(struct df_subject *subject);

struct df_target {
    struct df_box box;   /* canvas pixels */
    const float *scores; /* [classes] */
};
/* 0 where the target's or the detection's scores are all 0. */
double df_similarity(const struct df_target *target, const struct df_found *found, size_t classes, bool confidence);
/* Of the answer's most similar detection; 0 where it has none. */
double df_best_similarity(const struct df_target *target, const struct df_answer *answer, size_t classes, bool confidence);

struct df_saliency_options {
    struct df_mask_options mask;
    bool centre, confidence;
};
/* An image, and what is asked about it. */
struct df_scene_asked {
    const struct df_canvas_options *canvas;
    const struct df_batch *image; /* of one */
    size_t targets;
    const struct df_target *target; /* [targets] */
};
/* weight [targets, N]: all targets share the passes. DF_ERR_INTERRUPTED when stopped. */
df_status df_saliency_ask(const struct df_saliency_options *options, const struct df_answerer *answerer, const struct df_scene_asked *asked,
                          float *weight, struct df_error *err);
/* The maps of those weights, [targets, 2, h, w], h x w the image's valid region: of the masks of even and of odd number; the map itself is the mean
 * of the two. */
void df_saliency_halves(const struct df_saliency_options *options, const float *weight, size_t targets, size_t h, size_t w, double *out);
#endif
