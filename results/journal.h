/* The rows of a folder: those of its row files (ablations/run/store.h) or of the CSV tables made of them (results/journal_csv.h). */
#ifndef DF_RESULTS_JOURNAL_H
#define DF_RESULTS_JOURNAL_H
#include "results/run_row.h"

struct df_journal {
    size_t runs;
    struct df_run_row *run;
    struct df_arena *memory; /* the rows' strings */
};
struct df_journal *df_journal_new(void);
void df_journal_free(struct df_journal *journal);
/* An empty row behind the others, which move. */
struct df_run_row *df_journal_add(struct df_journal *journal);
/* Sorts the rows by run, and keeps of rows of one run the one that counts: a finished one before one that failed, of finished ones the first, of
 * failed ones the last. On `cuda` a run may be there once for every environment that finished it. */
void df_journal_settle(struct df_journal *journal);
/* The first row that is finished, else the last of any status; NULL: none. */
const struct df_run_row *df_journal_find(const struct df_journal *journal, const char *run, int64_t semantics);
/* The deterministic part of all rows as text: equal texts = the same rows. */
void df_journal_deterministic(const struct df_journal *journal, struct df_text *out);
#endif
