/* What goes on inside a student, every N-th step, as points of its learning curve (split "train"):
 *   telemetry.loss.<term>       value of a term, unweighted, before the step
 *   telemetry.norm.<term>       L2 norm of its gradient at the neck, weight included: over all levels, what arrives from heads and distillers
 *   telemetry.cosine            between the gradients of the detector's terms and of the distillers' there; none where one of them is 0
 *   telemetry.share.<region>    share of the neck's cells, all levels together: object, background, padding
 *   telemetry.error.<region>    how far the student's neck is from the teacher's there: the mean over its cells of (|s| / r_s - |t| / r_t)^2, |.| a cell's
 *                               length over channels, r the root of the mean of |.|^2 over the level's cells; widths may differ, and a
 *                               factor on all of a map is no difference; of several teachers the first that shows its neck
 * A cell is an object's if a box touches it on the level of its size (masks.h: gt, fpn, cover), padding's if it lies outside of its image.
 * It reads, walks parts of the tape back and zeroes the gradients: no bit of the training moves. */
#ifndef DF_ABLATIONS_RUN_TELEMETRY_H
#define DF_ABLATIONS_RUN_TELEMETRY_H
#include "ablations/run/position.h"

struct df_telemetry {
    size_t every; /* 0: never */
    /* gradients at the neck, one level behind the other: of one term, and of all of the detector's and of the distillers' */
    df_real *one;
    double *sum[2];
    size_t room;
};
/* Adds the points of this step, if it is one of those. */
void df_telemetry_look(struct df_telemetry *telemetry, struct df_student *student, const struct df_step_view *view,
                       struct df_learning *learning);
void df_telemetry_release(struct df_telemetry *telemetry);
#endif
