/* Position checkpoints: everything that a run's next step depends on, and its learning curve so far. A run that is resumed from one makes the
 * bits of a run that was never stopped. On `cuda` one is taken only in the environment that wrote it (environment.h). */
#ifndef DF_ABLATIONS_RUN_POSITION_H
#define DF_ABLATIONS_RUN_POSITION_H
#include "ablations/run/step_log.h"
#include "ablations/run/student.h"
#include "results/run_row.h"

/* What a run has to show so far. */
struct df_learning {
    size_t points; /* how often it was looked at: every time leaves several points of the curve */
    struct df_curve curve;
    struct df_arena *memory; /* the curve's */
    double seconds;          /* of training, without evaluations, over all attempts */
};
/* The log has been read. */
df_status df_position_write(const char *path, const struct df_student *student, const struct df_step_log *log,
                            const struct df_learning *learning, struct df_error *err);
/* points: the most that the curve may have. A missing file leaves everything as it is; one of another cell or a broken one is left alone with a
 * warning. */
void df_position_read(const char *path, size_t points, struct df_student *student, struct df_step_log *log, struct df_learning *learning);
#endif
