/* The tables made of rows, which are what is published (RFC 4180, libcsv):
 *   runs.csv     schema, then df_run_columns; behind "status" a column for every metric of all classes ("AP", "AP50", ...)
 *   scores.csv   run,metric,class,value
 *   curves.csv   run,step,epoch,split,metric,value
 * A run that two environments finished (`cuda`) is called <run> and <run>.<hash of the environment>.
 * Older ones are read: schema 1 (runs.csv with "isa", the machine, in place of "environment") and 2, both with a column "class_ap"
 * ("disk=0.31;ring=0.28"), no scores.csv, and a line of curves.csv for every point (map, loss, lr, terms "class=0.7;box=0.2"). */
#ifndef DF_RESULTS_JOURNAL_CSV_H
#define DF_RESULTS_JOURNAL_CSV_H
#include "results/journal.h"

/* Adds the rows of a runs.csv (or of a file of another name), and of the two others that lie beside it. DF_ERR_NOT_FOUND: there is none. What does
 * not parse is an error that names file, line and column. Values of runs that runs.csv has not are left out. */
df_status df_journal_csv_read(const char *runs_path, struct df_journal *journal, struct df_error *err);
/* Whether there is a runs.csv of an older schema: no table made of rows, but all that there is of them. */
df_status df_journal_csv_is_older(const char *runs_path, bool *older, struct df_error *err);
/* Replaces the three files in the folder, runs.csv last, so that every run in it has its scores and curve; what would not change is left alone,
 * what was lost or torn is told. */
df_status df_journal_csv_write(const struct df_journal *journal, const char *folder, struct df_error *err);
/* The file in the folder that df_journal_csv_read wants: free it. */
char *df_journal_csv_path(const char *folder);
#endif
