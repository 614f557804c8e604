/* What a table reads of rows: scores in percent points, and the differences of two lines' rows. */
#ifndef DF_RESULTS_PAIRS_H
#define DF_RESULTS_PAIRS_H
#include "results/journal.h"

/* The rows of one line, one per seed; NULL where there is none. */
struct df_line_rows {
    size_t count;
    const struct df_run_row **row;
};
struct df_line_rows df_line_rows_find(const struct df_journal *journal, size_t count, const char *const *run,
                                      int64_t semantics); /* run: ids */
void df_line_rows_release(struct df_line_rows *rows);

/* A finished row's score as a percentage; NAN where not measured (-1: nothing to measure), not finished, or NULL. */
double df_row_percent(const struct df_run_row *row, const char *metric, const char *class);
/* What was measured, in the order of the rows: value has room for all. Returns how many. */
size_t df_row_percents(const struct df_line_rows *rows, const char *metric, const char *class, double *value);
/* a - b of a metric of all classes, in percent points, for every seed that both have measured and one teacher's weights taught.
 * difference: room for a->count. Returns how many; *unpaired grows by the seeds that are left out because other weights taught them. */
size_t df_row_differences(const struct df_line_rows *a, const struct df_line_rows *b, const char *metric, double *difference,
                          size_t *unpaired);
#endif
