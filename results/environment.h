/* A row's environment, a JSON object (ablations/run/environment.h): "teacher" is the hash of the weights that taught it, all the rest is the
 * machine. */
#ifndef DF_RESULTS_ENVIRONMENT_H
#define DF_RESULTS_ENVIRONMENT_H
#include "core/base/text.h"
#include "results/run_row.h"

/* What taught a row: the hash of its weights, else what its cell names; "": nothing. free() it. */
char *df_row_teacher(const struct df_run_row *row);
/* False where either ran on `cuda` and the other elsewhere, or on another GPU, driver or build. */
bool df_rows_share_machine(const struct df_run_row *a, const struct df_run_row *b);
/* Adds the machine as text, and the teacher's hash; "" where there is none. */
void df_environment_split(const struct df_run_row *row, struct df_text *machine, struct df_text *teacher);
/* False only if both name a teacher, and not the same. */
bool df_rows_share_teacher(const struct df_run_row *a, const struct df_run_row *b);
/* The hash of all of it, 16 hex digits. */
char *df_environment_hash(const struct df_run_row *row, char buffer[17]);
#endif
