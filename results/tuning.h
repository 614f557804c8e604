/* Choosing options by the tuning split: a table of learning curves' last points in place of validation. */
#ifndef DF_RESULTS_TUNING_H
#define DF_RESULTS_TUNING_H
#include "results/table.h"

/* Every run's AP becomes the last point of its learning curve on `split` (0..1), and its only score; a run without such a point has none. */
void df_journal_judge_by_curve(struct df_journal *journal, const char *split);
/* One line per label with the options of its best line by mean AP (ties: the first), tab-separated: label, options, mAP in percent, how many
 * lines were tried. Labels in the table's order. */
void df_table_best(const struct df_table *table, struct df_text *out);
#endif
