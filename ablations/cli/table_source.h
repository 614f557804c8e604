/* What `table` and `plot` read: a spec, its journal, and the request that joins them. */
#ifndef DF_ABLATIONS_CLI_TABLE_SOURCE_H
#define DF_ABLATIONS_CLI_TABLE_SOURCE_H
#include "ablations/cli/common.h"
#include "core/base/arena.h"

struct df_table_source {
    struct df_spec *spec;
    struct df_journal *journal;
    struct df_table_request request;
    struct df_arena memory;
    struct df_text teacher;
    char *folder; /* <out>/<spec name> */
};
/* baseline: label of the line that differences are to; "": the spec's. On failure there is nothing to close. */
df_status df_table_source_open(const struct df_common_options *options, const char *spec, const char *baseline, struct df_table_source *out,
                               struct df_error *err);
void df_table_source_close(struct df_table_source *source);
#endif
