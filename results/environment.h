/* Rows by the machine that made them. A row's environment is a JSON object (ablations/run/environment.h): "teacher" is the hash of the weights
 * that taught it, all the rest is the machine. On `cpu` the machine moves no bit and counts for nothing; on `cuda` it may: a table holds rows
 * of one. */
#ifndef DF_RESULTS_ENVIRONMENT_H
#define DF_RESULTS_ENVIRONMENT_H
#include "results/table.h"

/* What taught a row: the hash of its weights, else what its cell names; "": nothing. free() it. */
char *df_row_teacher(const struct df_run_row *row);
/* False where either ran on `cuda` and the other elsewhere, or on another GPU, driver or build. */
bool df_rows_share_machine(const struct df_run_row *a, const struct df_run_row *b);
/* False only if both name a teacher, and not the same. */
bool df_rows_share_teacher(const struct df_run_row *a, const struct df_run_row *b);
/* Leaves of the finished `cuda` rows that the request asks for those of one machine in the journal: the one whose text holds `asked`, else ("")
 * the one with the most rows, of equals the first. *left_out: how many rows went. `asked` that no machine holds, that two hold, or that meets
 * rows of `cpu` alone is an error. */
df_status df_journal_keep_environment(struct df_journal *journal, const struct df_table_request *request, const char *asked,
                                      size_t *left_out, struct df_error *err);
#endif
