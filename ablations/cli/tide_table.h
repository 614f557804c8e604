/* What `table --tide` adds: the differences between methods by kind of error; and the scores alone, for whoever compares by one of them. */
#ifndef DF_ABLATIONS_CLI_TIDE_TABLE_H
#define DF_ABLATIONS_CLI_TIDE_TABLE_H
#include "ablations/cli/table_source.h"

/* The table, and why rows are not in it; the journal's rows get TIDE's scores. Rows of an older semantics are a usage error. */
df_status df_tide_table(const struct df_common_options *options, struct df_table_source *source, enum df_table_format format,
                        struct df_text *out, struct df_error *err);
/* Where `metric` is one of TIDE's: the journal's rows get its scores, and a warning names those that did not. Anything else is left alone. Without
 * a spec (source->spec NULL), and of an older semantics, it is a usage error. */
df_status df_tide_scores_of(const struct df_common_options *options, const char *metric, struct df_table_source *source,
                            struct df_error *err);
#endif
