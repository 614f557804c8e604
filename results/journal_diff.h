/* Two journals side by side: which rows of the same cells are the same. */
#ifndef DF_RESULTS_JOURNAL_DIFF_H
#define DF_RESULTS_JOURNAL_DIFF_H
#include "results/journal.h"

struct df_journal_diff {
    size_t equal, differ;         /* rows of the same cell (on `cuda`: of the same environment too) in both */
    size_t only_here, only_there; /* rows that the other journal has not */
    size_t versions;              /* rows there of a semantics that no row here has */
};
/* Counts, added to those of *diff. Of every row that differs a line is added to `said`: whose row it is, the first value that differs, how many
 * do. What is compared: the deterministic columns, the scores by name, the curve. Both journals are settled. */
void df_journal_compare(const struct df_journal *here, const struct df_journal *there, struct df_journal_diff *diff, struct df_text *said);
#endif
