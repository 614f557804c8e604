/* A sweep as one page: an HTML file that needs nothing else (no script, no network, no other file), and beside it the data of each figure as CSV. It
 * tells what there is; what is missing, failed or was warned of is told as well. */
#ifndef DF_ABLATIONS_REPORT_REPORT_H
#define DF_ABLATIONS_REPORT_REPORT_H
#include "ablations/report/request.h"

struct df_report_written {
    size_t bytes, files; /* of the page; CSV files beside it */
};
df_status df_report_write(const struct df_report_request *request, struct df_report_written *written, struct df_error *err);
#endif
