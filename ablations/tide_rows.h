/* TIDE's numbers of a spec's finished cells: computed from the results.json that each run leaves, when somebody asks, and put into the journal's rows
 * as scores like any other (TIDE.Cls, ..., TIDE.FalseNeg). No file is written, so no stored row changes. */
#ifndef DF_ABLATIONS_TIDE_ROWS_H
#define DF_ABLATIONS_TIDE_ROWS_H
#include "ablations/spec.h"
#include "results/journal.h"

struct df_tide_rows { /* finished rows of the spec, by what became of them */
    size_t added;
    size_t absent; /* no results.json beside them */
    size_t other;  /* one that is not theirs (its AP is not the row's, bit for bit), or that cannot be read: a warning says so */
    size_t first;  /* cell of the first one without numbers */
};
/* Of the rows of this version alone. Fails if the ground truth cannot be read. */
df_status df_tide_rows_add(const struct df_spec *spec, const char *out, struct df_journal *journal, struct df_tide_rows *found,
                           struct df_error *err);
#endif
