/* `defeat compare`: its options, for the file that runs more seeds. */
#ifndef DF_ABLATIONS_CLI_COMPARE_H
#define DF_ABLATIONS_CLI_COMPARE_H
#include "ablations/cli/compare_source.h"
#include "results/look_journal.h"

struct df_compare_options {
    struct df_common_options common;
    struct df_which_rows which;
    char metric[DF_STRING_MAX], question[DF_STRING_MAX];
    double within, resolve;
    int64_t max_seeds, jobs, images;
    bool beyond, json;
};
/* "AP", "AP50", "AP.disk": the metric and the class of --metric. */
struct df_compare_score {
    char metric[DF_STRING_MAX];
    const char *class; /* inside metric; "" */
};
void df_compare_score_split(const char *text, struct df_compare_score *out);
struct df_comparison_request df_compare_request(const struct df_compare_options *options, const struct df_compare_score *score,
                                                size_t comparisons);
/* `a` and `b` of the spec, looked at, with more seeds run in between, until it is decided or --max-seeds are there. Prints what came of every look to
 * stderr. *out: the comparison at the end, as it was looked at. */
struct df_resolved {
    struct df_comparison *comparison;
    struct df_look *look; /* [looks] */
    size_t looks;
    char *file; /* the journal of the looks */
    size_t most;
};
df_status df_compare_resolve(const struct df_compare_options *options, const char *spec, const char *a, const char *b,
                             struct df_resolved *out, struct df_error *err);
void df_resolved_release(struct df_resolved *resolved);
#endif
