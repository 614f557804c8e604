/* What a sweep says, in sentences: each method against the baseline, the table, and any two methods. */
#ifndef DF_ABLATIONS_REPORT_VERDICTS_H
#define DF_ABLATIONS_REPORT_VERDICTS_H
#include "ablations/report/page.h"
#include "results/comparison.h"

/* Two lines of the table, paired by seed. */
struct df_comparison *df_report_compare(const struct df_page *page, size_t a, size_t b, const struct df_comparison_request *request);
df_status df_report_verdicts(struct df_page *page, struct df_error *err);
df_status df_report_table(struct df_page *page, struct df_error *err);
/* Two lists of the methods, one of which is chosen in each, the sentence about these two, and the matrix of all. Inside of an element with the id
 * "two", whose descendants of class m<line> and p<line> the style shows by what is chosen; it is left open. */
df_status df_report_two_begin(struct df_page *page, struct df_error *err);
void df_report_two_end(struct df_page *page);
#endif
