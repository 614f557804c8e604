/* Learning curves, telemetry and losses: a panel per metric with every method's mean in it; the style colours the two that are chosen
 * (verdicts.h), with a band of one standard deviation. */
#ifndef DF_ABLATIONS_REPORT_CURVE_PANELS_H
#define DF_ABLATIONS_REPORT_CURVE_PANELS_H
#include "ablations/report/page.h"

df_status df_report_curves(struct df_page *page, struct df_error *err);
#endif
