/* The teachers of a spec's variant: one by its name, and what each is needed for. */
#ifndef DF_ABLATIONS_SPEC_TEACHERS_H
#define DF_ABLATIONS_SPEC_TEACHERS_H
#include "ablations/spec.h"

/* By what tells it from the others (df_spec_teacher.which); "" is the only one. Errors name them all. */
df_status df_spec_teacher_find(const struct df_spec *spec, const struct df_spec_variant *variant, const char *which,
                               const struct df_spec_teacher **out, struct df_error *err);

/* A cell, one of its teachers, and so what the cell needs of that one. */
struct df_spec_lesson {
    const struct df_cell *cell;
    const struct df_cell_teacher *by;
    const char *which; /* what tells that one from the others, as in df_spec_teacher */
};
/* The variant's next lesson behind *lesson ({ NULL }: the first) that is not one before it again, in teacher and needs: each has to fit, and each
 * has a cache. false: there is none. */
bool df_spec_next_lesson(const struct df_spec *spec, const struct df_spec_variant *variant, struct df_spec_lesson *lesson);
#endif
