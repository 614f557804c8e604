/* What went wrong, and where every number is from. */
#ifndef DF_ABLATIONS_REPORT_PROVENANCE_H
#define DF_ABLATIONS_REPORT_PROVENANCE_H
#include "ablations/report/page.h"

/* Runs that failed or are missing, warnings of the runs' logs and of the making of this page so far. */
df_status df_report_troubles(struct df_page *page, struct df_error *err);
/* The spec, the command that makes it again, machines, teachers, hashes, every run with its cell. */
df_status df_report_provenance(struct df_page *page, struct df_error *err);
#endif
