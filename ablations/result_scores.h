/* Scores that tell more of a spec's finished cells than their rows do: computed from the results.json that each run leaves, when somebody asks, and put
 * into the journal's rows as scores like any other (TIDE.Cls, calibration.D-ECE, size.small, ...). No file is written, so no stored row changes. */
#ifndef DF_ABLATIONS_RESULT_SCORES_H
#define DF_ABLATIONS_RESULT_SCORES_H
#include "ablations/spec.h"
#include "core/data/coco_json.h"
#include "results/journal.h"

enum { DF_RESULT_SCORES_MAX = 33 };
struct df_result_scores { /* a family of them, asked for at once */
    const char *name;     /* "tide": the option that shows its table */
    size_t count, shown;  /* shown: the first so many stand in the table */
    const char *const *metric;
    const char *title, *notes; /* of the table */
    df_status (*evaluate)(const struct df_dataset *validation, const struct df_detection *detections, size_t count, double *value,
                          struct df_error *err);
};
extern const struct df_result_scores df_result_tide, df_result_calibration, df_result_conditions;
extern const struct df_result_scores *const df_result_scores[]; /* all of them; ends with NULL */
/* The family that has the metric; NULL: none has. */
const struct df_result_scores *df_result_scores_of_metric(const char *metric);

struct df_result_rows { /* finished rows of the spec, by what became of them */
    size_t added;
    size_t absent; /* no results.json beside them */
    size_t other;  /* one that is not theirs (its AP is not the row's, bit for bit), or that cannot be read: a warning says so */
    size_t first;  /* cell of the first one without numbers */
};
/* Of the rows of this version alone. Fails if the ground truth cannot be read. */
df_status df_result_scores_add(const struct df_result_scores *scores, const struct df_spec *spec, const char *out,
                               struct df_journal *journal, struct df_result_rows *found, struct df_error *err);
#endif
