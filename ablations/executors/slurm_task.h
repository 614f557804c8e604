/* A task of a job: the work of its part of a manifest, one piece after the other, each a process of its own. TERM and the manifest's signal make
 * the one that runs write its position and leave with 130; then the task puts itself back into the queue (scontrol requeue <array>_<task>), as
 * often as the manifest allows, and goes on from there on whatever node it is given. Whoever called the job off gets his way: only a task that
 * Slurm still calls RUNNING is put back. */
#ifndef DF_ABLATIONS_EXECUTORS_SLURM_TASK_H
#define DF_ABLATIONS_EXECUTORS_SLURM_TASK_H
#include "core/base/status.h"

/* manifest: its path. program: what the words are given to. Which part: $SLURM_ARRAY_TASK_ID, 0 where there is none. DF_ERR_INTERRUPTED; DF_ERR_CHECK:
 * some work failed, as its log says. */
df_status df_slurm_task_run(const char *manifest, const char *program, struct df_error *err);
#endif
