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
/* The newest older semantics that the journal holds rows of, and how many; 0: none. */
int64_t df_rows_older(const struct df_journal *journal, int64_t semantics, size_t *rows);
#endif
