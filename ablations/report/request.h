/* What a report is asked about. */
#ifndef DF_ABLATIONS_REPORT_REQUEST_H
#define DF_ABLATIONS_REPORT_REQUEST_H
#include "ablations/spec.h"
#include "results/claims.h"
#include "results/table.h"

struct df_report_warnings {
    size_t count;
    const char *const *text;
};
struct df_report_request {
    const struct df_spec *spec; /* NULL: a folder of rows, whose spec is not known */
    struct df_journal *journal; /* its rows get TIDE's scores */
    const struct df_table_request *rows;
    const char *source;      /* the spec's path or the folder */
    const char *out;         /* of the runs: where their detections are */
    const char *sweep, *run; /* the commands that made the rows, and that make one (" --cell 3" follows); NULL: a folder of rows */
    const char *report;      /* the command that makes the page */
    const char *path;        /* of the page; data go to the folder of that name with "-data" in place of ".html" */
    bool detections;         /* read the runs' results.json: kinds of errors, images */
    size_t images;           /* that are shown; 0: none */
    const struct df_claim *const *claim; /* [claims] of a paper, about methods of these rows */
    size_t claims;
    const struct df_report_warnings *warnings; /* up to when they are told; may grow until then */
};
#endif
