/* Equal tuning: every method of a spec gets the same number of trials by the same rule, and is judged on the tuning split.
 *
 * What is tuned: the weights that a method's distillers call tunable (distillers/distiller.h), as far as they have an effect and are not 0. Their
 * values in the spec are where the search starts: the published ones, say. A method without such weights (none) has one trial.
 * A round: as many Sobol points as there are trials (ablations/sobol.h), stretched over the logarithms of the weights: in [start / span,
 * start span], to 3 digits, within an option's range. The first trial is the start itself. What is there already is passed over.
 * The best trial has the highest mean AP of the seeds, and of the variants where the spec has some; one that lacks a run is none. Of equal ones
 * the first is best.
 * An edge: a weight whose best value is the smallest or the largest that its method tried. If there is one anywhere, every method gets a second
 * round, of the sequence's next points; the windows of weights at an edge move there, so that their best value becomes the centre. After that an
 * edge is told and stays. */
#ifndef DF_ABLATIONS_TUNE_H
#define DF_ABLATIONS_TUNE_H
#include "ablations/sobol.h"
#include "ablations/spec.h"
#include "results/table.h"

#define DF_TUNE_ROUNDS     2
#define DF_TUNE_TRIALS_MAX 1024 /* of a round */
_Static_assert((int)DF_SOBOL_AXES == (int)DF_SPEC_AXES_MAX, "a method has as many axes as it may have weights");

struct df_tune_weight {
    size_t distiller;     /* in the method's stack */
    const char *option;   /* of its table */
    char name[96];        /* as the axes of a table say it: "w_fg", "head_kl.w_pos" where two of the stack have one of this name */
    double start, centre; /* of the spec; of the last round's window */
    double min, max;      /* of the option */
    bool edge;
};
struct df_tune_trial {
    double value[DF_SPEC_AXES_MAX];
    double score; /* mean AP in percent; NAN: a run is missing */
};
struct df_tune_method {
    const char *label;            /* the spec's */
    size_t weights, trials, best; /* best: SIZE_MAX before anything is judged, or where no trial has a score */
    struct df_tune_weight weight[DF_SPEC_AXES_MAX];
    struct df_tune_trial *trial;
    uint32_t next; /* Sobol point */
};
struct df_tuning {
    const struct df_spec *spec; /* must outlive it */
    size_t trials, rounds;      /* of a round, for each method that has weights; drawn so far */
    double span;
    size_t seeds;
    int64_t *seed;
    size_t methods;
    struct df_tune_method *method;
};
struct df_tuning_plan {
    size_t trials;       /* of a round, for each method that has weights */
    double span;         /* a window's end over its centre */
    const int64_t *seed; /* [seeds] that every trial runs with */
    size_t seeds;
};
/* The first round. Errors: a method has axes (what would be tuned?), too many weights, or there is nothing to tune; the data
 * have no tuning split. */
df_status df_tuning_new(const struct df_spec *spec, struct df_tuning_plan plan, struct df_tuning **out, struct df_error *err);
void df_tuning_free(struct df_tuning *tuning);
/* The next round, for every method. */
df_status df_tuning_extend(struct df_tuning *tuning, struct df_error *err);
bool df_tuning_at_edge(const struct df_tuning *tuning);

/* The spec of all trials so far, a line each in every variant: methods in order, trials in order. folder: the spec's, seen from the file that this
 * becomes. cJSON_Delete it. */
cJSON *df_tuning_trials(const struct df_tuning *tuning, const char *folder);
/* From the table over that spec, whose AP is the tuning split's (results/tuning.h). Error: a method has no trial with a score; names it. */
df_status df_tuning_judge(struct df_tuning *tuning, const struct df_table *table, struct df_error *err);
/* How the weights were chosen: rule, trials, and for each method what was tried and what is best. */
cJSON *df_tuning_report(const struct df_tuning *tuning);
/* The spec with the best weights, and the report as its member "tuned". */
cJSON *df_tuning_chosen(const struct df_tuning *tuning, const char *folder);
#endif
