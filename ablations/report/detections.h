/* The same validation images as the truth, two methods and the teacher see them. */
#ifndef DF_ABLATIONS_REPORT_DETECTIONS_H
#define DF_ABLATIONS_REPORT_DETECTIONS_H
#include "ablations/report/page.h"

/* The first images with objects: nobody has chosen them by what came out. Of each method its first run whose detections are its own (behind
 * df_report_errors, which looks at that). */
df_status df_report_detections(struct df_page *page, struct df_error *err);
#endif
