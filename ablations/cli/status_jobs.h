/* What `defeat status` tells of a cluster's jobs: which wait, which run and where, which have failed and why, and where their logs are. */
#ifndef DF_ABLATIONS_CLI_STATUS_JOBS_H
#define DF_ABLATIONS_CLI_STATUS_JOBS_H
#include "ablations/executors/slurm_queue.h"

/* Asks Slurm, if something of the spec is with it, and keeps what it says; a Slurm that does not answer is a warning. */
df_status df_status_jobs_open(const struct df_spec *spec, const char *out, struct df_slurm_queue *queue, struct df_error *err);
/* What is not done: a line per piece of work that runs or has failed, one per job whose tasks wait. Nothing where all is done. */
df_status df_status_jobs_text(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out, struct df_text *text,
                              struct df_error *err);
/* All of it: [{"job":"12_3","state":"unknown"|"pending"|"running"|"ending"|"done"|"failed"|"cancelled","slurm":"TIMEOUT","node":"n1","reason":"...","title":"...",
 * "log":"..."}, ...]. */
df_status df_status_jobs_json(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out, cJSON *list,
                              struct df_error *err);
#endif
