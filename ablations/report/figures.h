/* Figures of the final scores: bars, gains over variants, a heat map of two options, AP of each class, kinds of errors (TIDE). */
#ifndef DF_ABLATIONS_REPORT_FIGURES_H
#define DF_ABLATIONS_REPORT_FIGURES_H
#include "ablations/report/page.h"

df_status df_report_bars(struct df_page *page, struct df_error *err);
df_status df_report_gains(struct df_page *page, struct df_error *err);   /* of a spec with variants, else nothing */
df_status df_report_heat(struct df_page *page, struct df_error *err);    /* where the spec names two options, else nothing */
df_status df_report_classes(struct df_page *page, struct df_error *err); /* where there are classes, else nothing */
/* Reads the results.json of every finished run. */
df_status df_report_errors(struct df_page *page, struct df_error *err);
#endif
