/* Slurm's commands, as child processes without a shell; what they print is read strictly: a line of another form is an error that shows it.
 *   sbatch --parsable            "12", or "12;cluster", which is refused: every other call would have to name that cluster
 *   squeue --array               "12_3|RUNNING|n1|None" a line: job, state, nodes, reason
 *   sacct --parsable2            "12_3|OUT_OF_MEMORY|0:125|n1" a line: of jobs that squeue does not know any more, where there is accounting;
 *   scontrol --oneliner show job "JobId=15 ArrayJobId=12 ArrayTaskId=3 ... JobState=FAILED ..." a line: where there is none, as long as Slurm
 *                                remembers them (MinJobAge, minutes) */
#ifndef DF_ABLATIONS_EXECUTORS_SLURM_CALLS_H
#define DF_ABLATIONS_EXECUTORS_SLURM_CALLS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/text.h"

enum df_slurm_phase { DF_SLURM_PENDING, DF_SLURM_RUNNING, DF_SLURM_ENDED };

struct df_slurm_task {
    int64_t job, index; /* index: in its array; -1: the job is none */
    enum df_slurm_phase phase;
    char state[24], node[128], reason[128]; /* Slurm's word; "" or where it runs; "" or why it waits, or what was special about its end */
    int exit;                               /* of an ended one: its exit status; -1: not known, or none */
};
struct df_slurm_tasks {
    size_t count;
    struct df_slurm_task *task; /* free() it */
};
/* The last task of that name, or NULL. */
const struct df_slurm_task *df_slurm_find(const struct df_slurm_tasks *tasks, int64_t job, int64_t index);

/* words: all of sbatch's behind its name and --parsable. What Slurm refuses is DF_ERR_CHECK in its words. */
df_status df_slurm_submit(const char *const *words, int64_t *job, struct df_error *err);
/* What the user has in the queue. */
df_status df_slurm_queue(struct df_slurm_tasks *out, struct df_error *err);
/* Adds what is known of jobs that are not in the queue any more. A job that nobody knows is not there. */
df_status df_slurm_ended(const int64_t *jobs, size_t count, struct df_slurm_tasks *out, struct df_error *err);
df_status df_slurm_cancel(const int64_t *jobs, size_t count, struct df_error *err);
/* Puts a task back into the queue: "12_3", "12". */
df_status df_slurm_requeue(const char *task, struct df_error *err);
/* The most tasks an array may have; 0: this Slurm has no arrays. */
df_status df_slurm_array_limit(size_t *out, struct df_error *err);
/* The state of a task that may have been told to end: Slurm's word. */
df_status df_slurm_state(const char *task, char state[24], struct df_error *err);
/* "job 12_3 on n1", where this process is a job's; else "". */
const char *df_slurm_here(char text[192]);
#endif
