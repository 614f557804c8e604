/* Whether a teacher can teach a student: what is needed of it, and whether both networks have that alike. Nothing is trained, read from
 * checkpoints or computed for it. `by`: one of the student's teachers. */
#ifndef DF_ABLATIONS_RUN_FITS_H
#define DF_ABLATIONS_RUN_FITS_H
#include "ablations/run/parts.h"

/* What becomes of a student's needs of one teacher. */
struct df_teacher_plan {
    struct df_needs captured; /* parts that both networks must have alike */
    struct df_needs given;    /* parts that distillers are given: the captured ones, and the neck that the teacher's head runs over */
    struct df_needs recorded; /* ... and what other methods of a sweep are likely to need: they then share one cache */
    bool network;             /* the teacher's network stays: losses run its head, or show it crops */
};
void df_teacher_plan_of(const struct df_cell_teacher *by, struct df_teacher_plan *out);
bool df_same_canvas(const struct df_canvas_options *a, const struct df_canvas_options *b);
/* Whether what a student needs fits the teacher, on every image's canvas: asked before anybody is trained. out: of image 0, without
 * deviations; may be NULL. Errors say which teacher, if it has a name. */
df_status df_teacher_fits(const struct df_cell *student, const struct df_cell_teacher *by, const struct df_dataset *train,
                          struct df_taught_parts *out, struct df_error *err);
#endif
