/* Rows by the machine that made them. On `cpu` the machine moves no bit and counts for nothing; on `cuda` it may: a table holds rows of one. */
#ifndef DF_RESULTS_MACHINES_H
#define DF_RESULTS_MACHINES_H
#include "results/table.h"

/* Leaves of the finished `cuda` rows that the request asks for those of one machine in the journal: the one whose text holds `asked`, else ("")
 * the one with the most rows, of equals the first. *left_out: how many rows went. `asked` that no machine holds, that two hold, or that meets
 * rows of `cpu` alone is an error. */
df_status df_journal_keep_environment(struct df_journal *journal, const struct df_table_request *request, const char *asked,
                                      size_t *left_out, struct df_error *err);
#endif
