/* What a paper claims of these methods, and what the rows say of it. */
#ifndef DF_ABLATIONS_REPORT_CLAIM_ANSWERS_H
#define DF_ABLATIONS_REPORT_CLAIM_ANSWERS_H
#include "ablations/report/page.h"

/* Without claims nothing is added. A claim about a method that no line has is told as such. */
df_status df_report_claims(struct df_page *page, struct df_error *err);
#endif
