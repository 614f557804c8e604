/* The harness for authors of distillers. */
#ifndef DF_DISTILLERS_CHECK_CHECK_H
#define DF_DISTILLERS_CHECK_CHECK_H
#include "distillers/distiller.h"

/* `defeat distillers --check NAME` and the conformance test: contract, options, gradients (a directional derivative by central difference),
 * weight-zero identity, teacher gets no gradient, empty ground truth, repeatability; with the default options and again with each other choice
 * of each choice option, other options set so that it has an effect; where a distiller may need a RoI head, as networks of a one-stage and of a
 * two-stage detector. In whatever precision this build has. Writes one line per check. */
df_status df_distiller_check(const struct df_distiller_class *class, struct df_device *device, struct df_text *report,
                             struct df_error *err);
/* From here on `begin` is told what each check is, "gradients (two-stage adapt=3x3)", before it runs: who asks for what may crash. NULL: nobody. */
void df_distiller_check_watch(void (*begin)(const char *what));
#endif
