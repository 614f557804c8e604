/* What can teach: a registry. All of them have a detector's contract (detectors/detector.h). */
#ifndef DF_ABLATIONS_RUN_TEACHER_KIND_H
#define DF_ABLATIONS_RUN_TEACHER_KIND_H
#include "ablations/run/model.h"

struct df_teacher_kind {
    const char *name, *summary;
    const struct df_detector_class
        *class;        /* its options are the spec's object of the kind's name; NULL: of a detector, which the spec names */
    const char *score; /* what its gate compares, also in its file's metadata: "map" */
    /* That score over the first images of the validation split; 0: all. */
    df_status (*measure)(const struct df_cell *cell, struct df_model *model, size_t images, double *score, struct df_error *err);
};
extern const struct df_teacher_kind *const df_teacher_kinds[]; /* NULL-terminated; the first is a detector */
const struct df_teacher_kind *df_teacher_kind_find(const char *name, struct df_error *err);
const struct df_teacher_kind *df_teacher_kind_of(const struct df_cell *teacher);
/* Whether its neck's deviation is measured. */
bool df_teacher_has_neck(const struct df_cell *teacher);
#endif
