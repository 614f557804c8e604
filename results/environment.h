/* A row's environment, a JSON object (ablations/run/environment.h): "teacher" is the hash of the weights that taught it (of several teachers
 * all, with blanks between), all the rest is the machine. */
#ifndef DF_RESULTS_ENVIRONMENT_H
#define DF_RESULTS_ENVIRONMENT_H
#include "core/base/text.h"
#include "results/run_row.h"

/* What taught a row: the hash of its weights, else what its cell names; of several all, with blanks between; "": nothing. free() it. */
char *df_row_teacher(const struct df_run_row *row);
/* False where either ran on `cuda` and the other elsewhere, or on another GPU, driver or build. */
bool df_rows_share_machine(const struct df_run_row *a, const struct df_run_row *b);
/* Adds the machine as text, and the teacher's hash; "" where there is none. */
void df_environment_split(const struct df_run_row *row, struct df_text *machine, struct df_text *teacher);
/* Whether rows that these taught, as df_row_teacher says it, may be paired: the teachers of the one are all among the other's. */
bool df_teachers_pair(const char *one, const char *other);
/* The same of two rows' weights, where both tell them. */
bool df_rows_share_teacher(const struct df_run_row *a, const struct df_run_row *b);
/* The hash of all of it, 16 hex digits. */
char *df_environment_hash(const struct df_run_row *row, char buffer[17]);
#endif
