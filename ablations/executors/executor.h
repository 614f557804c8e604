/* Who does a sweep's work: `local` in processes of its own, `list` nobody (it prints the commands), `slurm` a cluster. The sweep knows of an
 * executor only this: it starts pieces of work, polls for those that have ended, stops them, and has slots. A piece of work is a command line of
 * this program. */
#ifndef DF_ABLATIONS_EXECUTOR_H
#define DF_ABLATIONS_EXECUTOR_H
#include <stdbool.h>
#include <stddef.h>

#include "ablations/executors/work.h"
#include "ablations/run/cell.h"

struct df_executor_options {
    const char *program;  /* what is executed: "/proc/self/exe" is this very program, even if its file was replaced */
    const char *out;      /* the output tree */
    const char *spec;     /* the spec's name */
    size_t jobs;          /* local: worker processes; 0: one per core */
    struct df_text *list; /* list: where the commands go */
    struct df_slurm_options {
        const char *sbatch;     /* words for every sbatch, as a shell splits them; "" */
        size_t cells_per_task;  /* at least 1 */
        size_t throttle;        /* tasks of an array that run at a time; 0: as many as Slurm lets */
        const char *signal;     /* what Slurm sends before a time limit, "USR2@90": the signal, and how many seconds before; "" none */
        size_t requeues;        /* how often an interrupted task goes back into the queue by itself */
        struct df_text *report; /* what was submitted, told to people; NULL: not told */
    } slurm;
};

struct df_work {
    const char *title;          /* "teacher big", "DeFeat w_fg=2 seed 0" */
    const char *const *words;   /* the program's name and its arguments, NULL-terminated */
    const char *log;            /* where it says what it has to say; made, or added to */
    const struct df_cell *cell; /* whose row comes of it; NULL: what cells stand on */
    const size_t *after;        /* [afters] handles of work that must succeed first: of an executor that looks ahead, else none */
    size_t afters;
};
struct df_executor_class {
    const char *name, *summary;
    bool
        ahead; /* work may be started before that which it stands on has ended (df_work.after); the sweep need not stay until it has ended */
    bool prints; /* and nothing but that: no file is touched, no work ever ends */
    df_status (*open)(const struct df_executor_options *options, void **state, struct df_error *err);
    /* How many more pieces of work it takes now. */
    size_t (*slots)(const void *state);
    /* The work's words and log need not outlive the call; its cell does. handle: a small number, which may be given again when the work ended. */
    df_status (*start)(void *state, const struct df_work *work, size_t *handle, struct df_error *err);
    /* Whether a piece of work has ended since the last call: which. It does not wait. What was started ahead is sure to be on its way after the
     * first call. */
    df_status (*poll)(void *state, bool *ended, struct df_work_end *end, struct df_error *err);
    /* Asks all that runs to stop where it can go on later; at_once: ends it. */
    df_status (*stop)(void *state, bool at_once, struct df_error *err);
    void (*close)(void *state);
};
#endif
