/* Which rows of a journal answer for a spec's cells. Rows of this semantics by the cell's id. Rows of an older one had other ids: by label, axes,
 * seed and everything that both know of the cell (df_cell_answers); so are those of cells whose files were not looked at, whose ids are nobody's. */
#ifndef DF_ABLATIONS_ROWS_H
#define DF_ABLATIONS_ROWS_H
#include "ablations/spec.h"
#include "core/base/arena.h"
#include "results/table.h"

struct df_rows_wanted {
    int64_t semantics;
    const char *environment; /* on `cuda`: see df_journal_keep_environment; NULL: rows of every machine */
};
/* The request of the spec's table. Rows of other machines leave the journal. It points into both. */
df_status df_rows_request(const struct df_spec *spec, struct df_journal *journal, const struct df_rows_wanted *wanted,
                          struct df_arena *memory, struct df_table_request *out, struct df_error *err);
size_t df_rows_found(const struct df_journal *journal, const struct df_table_request *request);
/* Adds what rows the journal holds that answer for none of the request's cells, asked for on this device: "35 of semantics 1 (--semantics 1 shows
 * them), 12 of cuda (--device cuda), 3 of other cells"; nothing where there is none. */
void df_rows_others(const struct df_journal *journal, const struct df_table_request *request, const char *device, struct df_text *out);
#endif
