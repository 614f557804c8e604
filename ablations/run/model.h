/* Making models inside this room; df_model itself is in run.h. */
#ifndef DF_ABLATIONS_RUN_MODEL_H
#define DF_ABLATIONS_RUN_MODEL_H
#include "ablations/run/run.h"

/* Device, parameters and detector of a cell, the parameters not built yet: distillers may add theirs. classes: of the data. */
df_status df_model_create(const struct df_cell *cell, size_t classes, struct df_model *out, struct df_error *err);
/* The first `own` parameters from the file that the student starts from, if it does; said: which, and what was left. */
df_status df_model_start(const struct df_cell *cell, const struct df_model *model, size_t own, struct df_text *said, struct df_error *err);
/* df_model_load when the number of classes is known: weights read, frozen, folded. */
df_status df_model_open(const struct df_cell *cell, size_t classes, const char *checkpoint, struct df_model *out, struct df_error *err);
#endif
