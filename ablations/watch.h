/* What the runs of a spec are at, and what they warn of, as their files say it: for the sweep that started them and for `status` in another terminal. */
#ifndef DF_ABLATIONS_WATCH_H
#define DF_ABLATIONS_WATCH_H
#include "ablations/spec.h"
#include "core/base/progress_file.h"
#include "core/base/warnings.h"

enum df_job { DF_JOB_TEACHER, DF_JOB_CACHE, DF_JOB_IDENTITY, DF_JOBS };        /* in their order */
extern const char *const df_job_names[DF_JOBS], *const df_job_titles[DF_JOBS]; /* "cache", "teacher cache" */

/* A job's log, and the file of its progress; teacher: what tells it from the others, "" of the only one. free() them. */
char *df_watch_job_log(const char *out, const struct df_spec *spec, const struct df_spec_variant *variant, const char *teacher,
                       enum df_job job);
char *df_watch_job_progress(const char *out, const struct df_spec *spec, const struct df_spec_variant *variant, const char *teacher,
                            enum df_job job);
/* "DeFeat w_fg=2 seed 1"; "teacher big" */
void df_watch_cell_name(const struct df_cell *cell, char *out, size_t room);
void df_watch_job_name(const char *teacher, enum df_job job, char *out, size_t room);
/* The file's progress under that name; what is not a training's step says in its note what it is. False: nobody is at it. */
bool df_watch_read(const char *file, const char *name, struct df_progress_view *out);

/* Seconds until everything is done: `workers` of which each is busy for busy[i] more seconds, then `waiting` cells of `each` seconds, every one to whoever
 * is free first. NAN: not known (some busy[i] is NAN, or cells wait and `each` is NAN). */
double df_watch_eta(const double *busy, size_t workers, size_t waiting, double each);

struct df_running {
    struct df_progress_view *view;
    size_t count, cells; /* lines; of them cells, the others are jobs */
};
/* All that is at work on the spec's cells under `out`, in this process or another. */
void df_watch_running(const struct df_spec *spec, const char *out, struct df_running *running);
/* What all logs of the spec's cells and jobs warn of. */
df_status df_watch_warnings(const struct df_spec *spec, const char *out, struct df_warnings *warnings, struct df_error *err);
#endif
