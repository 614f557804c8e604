/* What `table`, `plot` and `status` read: a spec, its rows, and the request that joins them. */
#ifndef DF_ABLATIONS_CLI_TABLE_SOURCE_H
#define DF_ABLATIONS_CLI_TABLE_SOURCE_H
#include "ablations/cli/common.h"
#include "ablations/rows.h"

struct df_which_rows {
    int64_t semantics;
    char environment[DF_STRING_MAX];
};
/* Rows for the table of a command whose struct has `struct df_which_rows member`. */
/* clang-format off */
#define DF_WHICH_ROWS_OPTION_ROWS(type_, member)                                                                                           \
    { "semantics", DF_INT_OPTION(type_, member.semantics), .standard = DF_SEMANTICS, .min = 1, .max = DF_SEMANTICS,                        \
      .help = "rows of this semantics; those of an older one are found by what both versions know of their cells" },                       \
    { "environment", DF_STRING_OPTION(type_, member.environment), .text = "",                                                              \
      .help = "of the GPUs, drivers and builds that made rows on cuda the one whose text has this in it; none: the one with the most rows" }
/* clang-format on */

struct df_table_source {
    const struct df_common_options *options; /* the caller's */
    struct df_spec *spec;
    struct df_journal *journal;
    struct df_table_request request;
    struct df_arena memory;
    struct df_text teacher;
    char *folder; /* <out>/<spec name> */
};
/* baseline: label of the line that differences are to; "": the spec's. On failure there is nothing to close. */
df_status df_table_source_open(const struct df_common_options *options, const struct df_which_rows *which, const char *spec,
                               const char *baseline, struct df_table_source *out, struct df_error *err);
/* Says why a table would be empty: no rows at all, or rows of another semantics, device or cell alone. False: it is not. */
bool df_table_source_empty(const struct df_table_source *source, struct df_text *why);
/* What the runs of the spec under `out` warned of, by kind, through df_warn. */
void df_table_source_warn(const struct df_table_source *source, const char *out);
void df_table_source_close(struct df_table_source *source);
#endif
