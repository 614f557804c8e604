/* What was submitted, as files under <out>/<spec>/slurm: <name>.json, the manifest, before sbatch is called; <name>.job when it has answered, and
 * again when something of it has ended, for Slurm forgets; <name>.<task>.log (or <name>.log), what Slurm and our task say. Names sort by time.
 *
 * Manifest: {"schema":1,"signal":"USR2","requeues":10,"array":true,"parts":[[{"title":...,"key":...,"cell":true,"log":...,"words":[...]},...],...]}
 * Job:      {"job":12,"ended":[null,{"state":"TIMEOUT","node":"n1","exit":-1,"seen":1764331200},...]}, one per part */
#ifndef DF_ABLATIONS_EXECUTORS_SLURM_MANIFEST_H
#define DF_ABLATIONS_EXECUTORS_SLURM_MANIFEST_H
#include "ablations/executors/slurm_calls.h"

struct df_slurm_work {
    char *title, *key, *log; /* key: a cell's id; else the words joined */
    bool cell;
    const char **words; /* NULL-terminated; the words themselves are owned too */
};
struct df_slurm_part { /* a task of Slurm's */
    size_t works;
    struct df_slurm_work *work;
    bool known;               /* Slurm has said something of it: */
    struct df_slurm_task now; /* and what */
    int64_t seen;             /* when its end was seen (seconds since 1970); 0: it has not ended */
};
struct df_slurm_manifest {
    char *stem; /* of its files: <out>/<spec>/slurm/<name> */
    char signal[8];
    size_t requeues;
    bool array;
    int64_t job; /* 0: not submitted */
    size_t parts;
    struct df_slurm_part *part;
};

/* <out>/<spec>/slurm; free() it. */
char *df_slurm_folder(const char *out, const char *spec);
/* stem + suffix; free() it. part: of the log of that task. */
char *df_slurm_path(const struct df_slurm_manifest *manifest, const char *suffix);
char *df_slurm_part_log(const struct df_slurm_manifest *manifest, size_t part);

df_status df_slurm_manifest_write(const struct df_slurm_manifest *manifest, struct df_error *err);
df_status df_slurm_job_write(const struct df_slurm_manifest *manifest, struct df_error *err);
/* path: of <name>.json. Without a job file its job is 0. */
df_status df_slurm_manifest_read(const char *path, struct df_slurm_manifest *out, struct df_error *err);
/* A copy of the words. */
struct df_slurm_work df_slurm_work_new(const char *title, const char *key, const char *log, bool cell, const char *const *words);
void df_slurm_work_release(struct df_slurm_work *work);
void df_slurm_manifest_release(struct df_slurm_manifest *manifest);
#endif
