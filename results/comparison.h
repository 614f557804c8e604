/* Two methods against each other: pairs of runs, what they say, in a sentence and as JSON. A pair is one seed of one group (a spec's variant), finished
 * on both sides and taught by the same weights. Pairs that share a run (a plain student is the same under every teacher) are no independent ones: then
 * the differences of one seed are averaged first. */
#ifndef DF_RESULTS_COMPARISON_H
#define DF_RESULTS_COMPARISON_H
#include "core/base/json.h"
#include "results/looks.h"
#include "results/run_row.h"

struct df_compare_run {
    int64_t seed;
    size_t group;
    const struct df_run_row *row; /* NULL: there is none */
};
struct df_compare_side {
    const char *name;
    size_t runs;
    const struct df_compare_run *run;
};
/* Of an error (TIDE's dAP, a calibration error, a distance to the teacher's explanation, what a mark or a patch does to a network, ...) less is
 * better; of every other score more is. */
bool df_score_is_cost(const char *metric);
/* The dot before the class in "AP.disk", "AP50.disk"; NULL: all of the text is a metric ("AP", "TIDE.Cls", "explain.agreement"): COCO's alone have classes. */
const char *df_score_class_dot(const char *text);

struct df_comparison_request {
    const char *metric, *class; /* "AP"; "": of all classes */
    double margin;              /* points; 0: none is asked */
    double confidence;          /* of the interval: 0.95 */
    size_t comparisons;         /* of which this is one; for what is said of the confidence */
    bool beyond;                /* one mean per teacher, for a claim beyond these */
};
struct df_compare_pair {
    int64_t seed;
    size_t group, teacher; /* which of the teachers; SIZE_MAX: none */
    const char *run_a, *run_b;
    double a, b; /* points */
};
/* Everything below is of a - b; where the score is a cost of b - a: above 0 means that a is better, whatever is compared. */
struct df_comparison {
    char *a, *b, *metric, *class;
    struct df_comparison_request request; /* whose metric and class are these */
    size_t pairs, teachers;
    struct df_compare_pair *pair; /* by seed, then group */
    bool averaged;                /* a run stands in several pairs */
    size_t units;                 /* what is counted as independent: pairs, seeds, or teachers */
    double *unit;                 /* [units] by how many points a is better */
    struct df_text *runs;         /* [units] the runs behind each: "a-b", several joined by "+" */
    struct df_interval interval;
    enum df_verdict verdict;
    double p, holm, equivalence, flip, improvement; /* holm: set by df_comparisons_adjust; NAN where nothing can be said */
    size_t more; /* units that would decide it with a chance of 80 %, about; 0: decided, or not to be told */
    /* pairs that are not there, by why */
    size_t missing_a, missing_b, failed_a, failed_b, other_teacher, unmeasured;
    size_t other_machine; /* pairs that are there, of two machines whose bits may differ */
    size_t per_seed;      /* units that one more seed gives; 0: another teacher is needed */
};

/* The strings of the rows must outlive it. */
struct df_comparison *df_compare(const struct df_compare_side *a, const struct df_compare_side *b,
                                 const struct df_comparison_request *request);
void df_comparison_free(struct df_comparison *comparison);
/* Holm's p of comparisons made at once. */
void df_comparisons_adjust(struct df_comparison *const *comparison, size_t count);
/* "X is 0.40 better than Y (0.10 to 0.70; 14 pairs, for these 5 teachers): better" and a full stop; no end of line. */
void df_comparison_sentence(const struct df_comparison *comparison, struct df_text *out);
/* "14 pairs, for these 5 teachers" */
void df_comparison_count(const struct df_comparison *comparison, struct df_text *out);
/* The numbers behind it, and what is not in them: lines. */
void df_comparison_details(const struct df_comparison *comparison, struct df_text *out);
cJSON *df_comparison_json(const struct df_comparison *comparison);
#endif
