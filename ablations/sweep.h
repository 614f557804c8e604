/* The sweep: skips the cells that have their row (a failed one is tried again), has an executor do the rest, each the exec of `defeat run SPEC
 * --cell K --id ID` (the id says what the sweep meant, should the spec change meanwhile), one thread each. */
#ifndef DF_ABLATIONS_SWEEP_H
#define DF_ABLATIONS_SWEEP_H
#include "ablations/executors/executor.h"
#include "ablations/run/options.h"
#include "ablations/spec.h"

struct df_sweep_options {
    struct df_run_options run;
    const struct df_executor_class *executor; /* NULL: local */
    size_t jobs;                              /* of local; 0: one per core */
    struct df_text *commands;                 /* of list: where they go */
    struct df_slurm_options slurm;
    void (*handed_over)(
        struct df_text *report); /* of an executor that looks ahead: told of slurm.report once it has everything; NULL: nobody */
    bool wait;                   /* stays until all work has ended, also of an executor that looks ahead */
    const char *only;            /* PCRE2 over "label axes seed=K distillers..." of a cell; NULL: all */
    struct df_text *list;        /* not NULL: nothing is run; lists the cells it would run: index, id, label, axes, seed, tab-separated */
    bool list_all;               /* with list: all that are selected, their state after the id: done, failed, running, left */
    const char *program;         /* what is executed: "/proc/self/exe" is this very program, even if its file was replaced */
    bool tuning;                 /* what a cell came to is told of the tuning split, not of validation */
    double seconds;              /* stops as if it was interrupted when so many have passed; 0: never */
    const char *const *pass;     /* further words for the workers, NULL-terminated: overrides */
};
/* cells of the spec; those selected by `only`; of these: done before or by others, done now, failed now, not run. */
struct df_sweep_summary {
    size_t cells, selected, already, done, failed, left;
    double seconds;
};
/* DF_OK even if cells failed (see the summary); DF_ERR_CHECK when the teacher gate says no; DF_ERR_INTERRUPTED. *out is always filled in. */
df_status df_sweep(const struct df_spec *spec, const struct df_sweep_options *options, struct df_sweep_summary *out, struct df_error *err);
/* Has the executor stop all that it has of this spec. */
df_status df_sweep_cancel(const struct df_spec *spec, const struct df_sweep_options *options, struct df_error *err);
#endif
