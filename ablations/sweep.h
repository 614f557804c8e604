/* The sweep: skips what the journal holds, hands the rest to worker processes (exec of `defeat run SPEC --cell K`), one thread each. */
#ifndef DF_ABLATIONS_SWEEP_H
#define DF_ABLATIONS_SWEEP_H
#include "ablations/run/run.h"
#include "ablations/spec.h"

struct df_sweep_options {
    struct df_run_options run;
    size_t jobs;            /* 0: one per core */
    const char *only;       /* PCRE2 over "label axes seed=K distillers..." of a cell; NULL: all */
    bool dry_run, retry_failed;
    const char *program;    /* path of this executable */
    const char *const *pass;  /* further words for the workers, NULL-terminated: overrides */
};
struct df_sweep_summary { size_t cells, selected, already, done, failed, left; double seconds; };
df_status df_sweep(const struct df_spec *spec, const struct df_sweep_options *options, struct df_sweep_summary *out, struct df_error *err);
#endif
