/* A sweep as one page: an HTML file that needs nothing else (no script, no network, no other file), and beside it the data of each figure as CSV. It
 * tells what there is; what is missing, failed or was warned of is told as well. */
#ifndef DF_ABLATIONS_REPORT_REPORT_H
#define DF_ABLATIONS_REPORT_REPORT_H
#include "ablations/spec.h"
#include "results/table.h"

struct df_report_warnings {
    size_t count;
    const char *const *text;
};
struct df_report_request {
    const struct df_spec *spec; /* NULL: a folder of rows, whose spec is not known */
    struct df_journal *journal; /* its rows get TIDE's scores */
    const struct df_table_request *rows;
    const char *source; /* the spec's path or the folder */
    const char *out;    /* of the runs: where their detections are */
    const char *sweep, *run,
        *report;      /* commands: that made the rows, that makes one ("... --cell 3" follows), that makes the page; for a folder
                                         of rows the last one alone, else NULL */
    const char *path; /* of the page; data go to the folder of that name with "-data" in place of ".html" */
    bool detections;  /* read the runs' results.json: kinds of errors, images */
    size_t images;    /* that are shown; 0: none */
    const struct df_report_warnings *warnings; /* up to when they are told; may grow until then */
};
struct df_report_written {
    size_t bytes, files; /* of the page; CSV files beside it */
};
df_status df_report_write(const struct df_report_request *request, struct df_report_written *written, struct df_error *err);
#endif
