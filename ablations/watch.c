#include "ablations/watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"

const char *const df_job_names[DF_JOBS] = { [DF_JOB_TEACHER] = "teacher", [DF_JOB_CACHE] = "cache", [DF_JOB_IDENTITY] = "identity" };
const char *const df_job_titles[DF_JOBS] = {
    [DF_JOB_TEACHER] = "teacher", [DF_JOB_CACHE] = "teacher cache", [DF_JOB_IDENTITY] = "weights of 0"
};

/* ---- names ---- */

/* "context=0.big": the variant's label, the teacher's name. */
static void whose(const struct df_spec_variant *variant, const char *teacher, char *out, size_t room)
{
    snprintf(out, room, "%s%s%s", variant->label, variant->label[0] && teacher[0] ? "." : "", teacher);
}

char *df_watch_job_log(const char *out, const struct df_spec *spec, const struct df_spec_variant *variant, const char *teacher,
                       enum df_job job)
{
    char name[sizeof variant->label + sizeof variant->teacher->which + 1];

    whose(variant, teacher, name, sizeof name);
    return df_store_job_log(out, spec->name, df_job_names[job], name);
}

char *df_watch_job_progress(const char *out, const struct df_spec *spec, const struct df_spec_variant *variant, const char *teacher,
                            enum df_job job)
{
    char name[sizeof variant->label + sizeof variant->teacher->which + 1];

    whose(variant, teacher, name, sizeof name);
    return df_store_job_progress(out, spec->name, df_job_names[job], name);
}

void df_watch_cell_name(const struct df_cell *cell, char *out, size_t room)
{
    snprintf(out, room, "%s %s%sseed %lld", cell->label, cell->axes, cell->axes[0] ? " " : "", (long long)cell->seed);
}

void df_watch_job_name(const char *teacher, enum df_job job, char *out, size_t room)
{
    snprintf(out, room, "%s%s%s", df_job_titles[job], teacher[0] ? " " : "", teacher);
}

bool df_watch_read(const char *file, const char *name, struct df_progress_view *out)
{
    if (!df_progress_read(file, out))
        return false;
    if (strcmp(out->unit, "steps") != 0)
        snprintf(out->note, sizeof out->note, "%.95s", out->label);
    snprintf(out->label, sizeof out->label, "%s", name);
    out->rate = 0; /* of images or steps: no line says which */
    return true;
}

/* ---- when it is over ---- */

/* Cells that the workers can begin and end before `time`. */
static double cells_before(double time, const double *busy, size_t workers, double each)
{
    double cells = 0;

    for (size_t i = 0; i < workers; i++)
        cells += busy[i] < time ? floor((time - busy[i]) / each * (1 + 1e-12)) : 0;
    return cells;
}

/* It is over when somebody ends a cell: at busy[i] + k each. Of these times the first by which all are done lies between two bounds, which close in on it. */
double df_watch_eta(const double *busy, size_t workers, size_t waiting, double each)
{
    double last = 0, least, most;

    for (size_t i = 0; i < workers; i++) {
        if (isnan(busy[i]))
            return NAN;
        last = fmax(last, busy[i]);
    }
    if (!waiting)
        return last;
    if (!(each >= 0) || !workers)
        return NAN;
    if (each <= 0)
        return last;
    least = 0;
    most = last + (double)waiting * each;
    for (int i = 0; i < 60; i++) {
        const double middle = (least + most) / 2;

        if (cells_before(middle, busy, workers, each) < (double)waiting)
            least = middle;
        else
            most = middle;
    }
    return fmax(last, most);
}

/* ---- of a whole spec ---- */

static void add_running(struct df_running *running, const char *file, const char *name)
{
    struct df_progress_view view;

    if (!df_watch_read(file, name, &view))
        return;
    running->view = df_realloc(running->view, (running->count + 1) * sizeof *running->view);
    running->view[running->count++] = view;
}

/* f(context, variant, what tells a teacher from the others, job) of every job that the spec can have. */
static void each_job(const struct df_spec *spec,
                     void (*f)(void *context, const struct df_spec_variant *variant, const char *teacher, enum df_job job), void *context)
{
    for (size_t v = 0; v < spec->variants; v++) {
        const struct df_spec_variant *variant = &spec->variant[v];

        for (size_t t = 0; t < variant->teachers; t++)
            for (int job = 0; job < DF_JOB_IDENTITY; job++)
                f(context, variant, variant->teacher[t].which, (enum df_job)job);
        if (variant->teachers)
            f(context, variant, "", DF_JOB_IDENTITY);
    }
}

struct looked {
    const struct df_spec *spec;
    const char *out;
    struct df_running *running;
    struct df_warnings *warnings;
    df_status status;
    struct df_error *err;
};

static void add_job(void *context, const struct df_spec_variant *variant, const char *teacher, enum df_job job)
{
    const struct looked *looked = context;
    char *file = df_watch_job_progress(looked->out, looked->spec, variant, teacher, job), name[256];

    df_watch_job_name(teacher, job, name, sizeof name);
    if (variant->label[0])
        snprintf(name + strlen(name), sizeof name - strlen(name), " of %s", variant->label);
    add_running(looked->running, file, name);
    free(file);
}

void df_watch_running(const struct df_spec *spec, const char *out, struct df_running *running)
{
    struct looked looked = { .spec = spec, .out = out, .running = running };

    *running = (struct df_running){ NULL };
    for (size_t i = 0; i < spec->count; i++) {
        char *file = df_store_cell_file(out, spec->cell[i], DF_CELL_PROGRESS), name[256];

        df_watch_cell_name(spec->cell[i], name, sizeof name);
        add_running(running, file, name);
        free(file);
    }
    running->cells = running->count;
    each_job(spec, add_job, &looked);
}

static void read_log(struct looked *looked, const char *log)
{
    size_t from = 0;

    if (looked->status == DF_OK)
        looked->status = df_warnings_follow(looked->warnings, log, &from, looked->err);
}

static void read_job_log(void *context, const struct df_spec_variant *variant, const char *teacher, enum df_job job)
{
    struct looked *looked = context;
    char *log = df_watch_job_log(looked->out, looked->spec, variant, teacher, job);

    read_log(looked, log);
    free(log);
}

df_status df_watch_warnings(const struct df_spec *spec, const char *out, struct df_warnings *warnings, struct df_error *err)
{
    struct looked looked = { .spec = spec, .out = out, .warnings = warnings, .err = err };

    for (size_t i = 0; i < spec->count; i++) {
        char *log = df_store_cell_file(out, spec->cell[i], DF_CELL_LOG);

        read_log(&looked, log);
        free(log);
    }
    each_job(spec, read_job_log, &looked);
    return looked.status;
}
