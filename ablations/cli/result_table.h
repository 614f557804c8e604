/* What `table --tide`, `--calibration`, `--conditions` add: the differences between methods by what their detections tell (ablations/result_scores.h); and
 * the scores alone, for whoever compares by one of them. */
#ifndef DF_ABLATIONS_CLI_RESULT_TABLE_H
#define DF_ABLATIONS_CLI_RESULT_TABLE_H
#include "ablations/cli/table_source.h"
#include "ablations/result_scores.h"

/* The table, and why rows are not in it; the journal's rows get the family's scores. Rows of an older semantics are a usage error. */
df_status df_result_table(const struct df_result_scores *scores, const struct df_common_options *options, struct df_table_source *source,
                          enum df_table_format format, struct df_text *out, struct df_error *err);
/* Where `metric` is one of a family's: the journal's rows get its scores, and a warning names those that did not. Anything else is left alone. Without
 * a spec (source->spec NULL), and of an older semantics, it is a usage error. */
df_status df_result_scores_of(const struct df_common_options *options, const char *metric, struct df_table_source *source,
                              struct df_error *err);
#endif
