/* "Why is my distillation loss 0?": a distiller that teaches nothing stops its cell, with the reason. What is looked at are its first
 * DF_GUARD_STEPS steps in which it should teach: one of its terms has a weight above 0, and the batch has an object, so that no mask is empty for
 * want of one. In one of them its terms must have another value than in the first, and its gradient must reach a weight of the student (not its own
 * adaptation layers alone); a value that is not finite stops at once. Nothing here moves a bit: the distiller's loss is walked back alone, and the
 * gradients are zeroed, until they have reached the student, as a rule once in a run. */
#ifndef DF_ABLATIONS_RUN_GUARD_H
#define DF_ABLATIONS_RUN_GUARD_H
#include "ablations/run/student.h"

#define DF_GUARD_STEPS 50

struct df_guard { /* zeroed: nothing has been seen */
    struct {
        size_t steps; /* in which it should teach */
        double first; /* sum of its terms, unweighted, in the first of them */
        bool changes, reaches;
    } seen[DF_STACK_MAX]; /* of each distiller */
};
/* Error (DF_ERR_CHECK): one teaches nothing. Waits for the device until every distiller has passed. */
df_status df_guard_look(struct df_guard *guard, struct df_student *student, const struct df_step_view *view, struct df_error *err);
#endif
