/* What the machine adds to a run: the row's environment, written here and nowhere else; read by results/environment.h. On `cpu` it moves no
 * bit; on `cuda` it may.
 *   {"isa":"v3","threads":1,"card":"NVIDIA ..., driver ..., cuDNN ..."   (a GPU's),
 *    "libjpeg-turbo":"2.1.5","libpng":"1.6.39","compiler":"gcc 12.2.0","teacher":"<hash of its weights>"   (where there was one; of
 *    several all, in the order of the distillers, blanks between)} */
#ifndef DF_ABLATIONS_RUN_ENVIRONMENT_H
#define DF_ABLATIONS_RUN_ENVIRONMENT_H
#include "ablations/run/cell.h"

/* device: the run's own; NULL: it came to none, and there is no card. teacher: NULL or "": none. */
void df_run_environment(const struct df_cell *cell, struct df_device *device, const char *teacher, struct df_text *out);
const char *df_run_revision(void); /* of the source this was built from */
const char *df_run_compiler(void); /* that built this: "gcc 12.2.0" */
#endif
