/* What of a spec is with Slurm, or was: the manifests under <out>/<spec>/slurm, and what Slurm says of them. Whoever asks keeps the answer: what
 * has ended is written down, for Slurm forgets; no process has to stay. */
#ifndef DF_ABLATIONS_EXECUTORS_SLURM_QUEUE_H
#define DF_ABLATIONS_EXECUTORS_SLURM_QUEUE_H
#include "ablations/executors/slurm_manifest.h"
#include "ablations/executors/work.h"
#include "ablations/spec.h"

/* A job that is done and whose row is not seen counts as failed only so long after: another machine's file may be seen late (an attribute cache). */
#define DF_SLURM_NEWS_SECONDS 75

struct df_slurm_queue {
    size_t count;
    struct df_slurm_manifest *manifest; /* in the order of their submission; those that were never submitted are left out */
};
/* No folder: none. */
df_status df_slurm_queue_read(const char *out, const char *spec, struct df_slurm_queue *queue, struct df_error *err);
void df_slurm_queue_release(struct df_slurm_queue *queue);
bool df_slurm_queue_lives(const struct df_slurm_queue *queue); /* whether something of it has not ended, as far as is known */
/* Asks Slurm for what has not ended. */
df_status df_slurm_queue_ask(struct df_slurm_queue *queue, struct df_error *err);

/* A piece of work that was submitted. */
struct df_slurm_place {
    const struct df_slurm_manifest *manifest;
    const struct df_slurm_part *part;
    const struct df_slurm_work *work;
};
/* The last submission of the key; false: there is none. */
bool df_slurm_queue_find(const struct df_slurm_queue *queue, const char *key, struct df_slurm_place *out);
/* The jobs that have not ended, each once; free(). */
int64_t *df_slurm_queue_jobs(const struct df_slurm_queue *queue, size_t *count);
/* "12_3", as Slurm calls it. */
const char *df_slurm_part_name(const struct df_slurm_manifest *manifest, const struct df_slurm_part *part, char text[48]);

/* Whether the work has ended, and how; cell: the spec's, NULL: it is of none. Slurm says so, and of a cell also its row. */
df_status df_slurm_outcome(const struct df_slurm_place *place, const struct df_cell *cell, const char *out, bool *ended,
                           struct df_work_end *end, struct df_error *err);
/* Writes the failures of cells whose jobs ended without a row. */
df_status df_slurm_queue_settle(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out, struct df_error *err);
/* Removes the manifests of which everything has ended, and no row may still come to be seen; the logs stay. */
df_status df_slurm_queue_forget(const struct df_slurm_queue *queue, struct df_error *err);
#endif
