#include "ablations/cli/status_jobs.h"

#include <stdio.h>
#include <string.h>

#include "ablations/run/store.h"

df_status df_status_jobs_open(const struct df_spec *spec, const char *out, struct df_slurm_queue *queue, struct df_error *err)
{
    struct df_error said = { 0 };

    DF_TRY(df_slurm_queue_read(out, spec->name, queue, err));
    if (df_slurm_queue_ask(queue, &said) != DF_OK)
        df_warn("%s (what was known before is told)", said.text);
    const df_status status = df_slurm_queue_settle(queue, spec, out, err);

    if (status != DF_OK)
        df_slurm_queue_release(queue);
    return status;
}

/* A piece of work as it is told. */
struct told {
    struct df_slurm_place place;
    char job[48];
    enum { UNKNOWN /* Slurm did not say */, PENDING, RUNNING, ENDING /* its row is not seen yet */, DONE, FAILED, CANCELLED } state;
    struct df_work_end end; /* of what has failed */
};
static const char *const state_names[] = { "unknown", "pending", "running", "ending", "done", "failed", "cancelled" };

static const struct df_cell *cell_of(const struct df_spec *spec, const struct df_slurm_work *work)
{
    for (size_t i = 0; work->cell && i < spec->count; i++)
        if (strcmp(spec->cell[i]->id, work->key) == 0)
            return spec->cell[i];
    return NULL;
}

/* A cell that has its row is done whatever its task is at. One that the spec does not have any more is told by its task. */
static df_status look_at(struct told *told, const struct df_spec *spec, const char *out, struct df_error *err)
{
    const struct df_slurm_part *part = told->place.part;
    bool ended;

    df_slurm_part_name(told->place.manifest, part, told->job);
    DF_TRY(df_slurm_outcome(&told->place, cell_of(spec, told->place.work), out, &ended, &told->end, err));
    if (ended)
        told->state = told->end.exit == 0 ? DONE : told->end.began ? FAILED : CANCELLED;
    else
        told->state = !part->known ? UNKNOWN : part->seen ? ENDING : part->now.phase == DF_SLURM_PENDING ? PENDING : RUNNING;
    return DF_OK;
}

/* Calls f with every piece of work, in the order of their submission. */
static df_status each_told(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out,
                           void (*f)(void *context, const struct told *told), void *context, struct df_error *err)
{
    for (size_t m = 0; m < queue->count; m++)
        for (size_t p = 0; p < queue->manifest[m].parts; p++)
            for (size_t w = 0; w < queue->manifest[m].part[p].works; w++) {
                const struct df_slurm_part *part = &queue->manifest[m].part[p];
                struct told told = { .place = { &queue->manifest[m], part, &part->work[w] } };

                DF_TRY(look_at(&told, spec, out, err));
                f(context, &told);
            }
    return DF_OK;
}

/* ---- text ---- */

struct lines {
    struct df_text *text;
    const struct df_slurm_manifest *waiting; /* of the line that is counted up */
    size_t waits;
    char reason[128];
};

/* Those of one job that wait, together. */
static void tell_waiting(struct lines *lines)
{
    if (lines->waits)
        df_text_addf(lines->text, "job %lld: %zu pending%s%s%s\n", (long long)lines->waiting->job, lines->waits,
                     lines->reason[0] ? " (" : "", lines->reason, lines->reason[0] ? ")" : "");
    lines->waits = 0;
}

static void tell_line(void *context, const struct told *told)
{
    struct lines *lines = context;
    const struct df_slurm_task *now = &told->place.part->now;
    const char *title = told->place.work->title;

    if (told->state == PENDING) {
        if (lines->waiting != told->place.manifest)
            tell_waiting(lines);
        lines->waiting = told->place.manifest;
        lines->waits++;
        snprintf(lines->reason, sizeof lines->reason, "%s", now->reason);
    } else if (told->state == RUNNING) {
        tell_waiting(lines);
        df_text_addf(lines->text, "job %s: running on %s: %s: %s\n", told->job, now->node, df_shown(title).text, told->place.work->log);
    } else if (told->state == UNKNOWN) {
        tell_waiting(lines);
        df_text_addf(lines->text, "job %s: Slurm did not say: %s: %s\n", told->job, df_shown(title).text, told->place.work->log);
    } else if (told->state == ENDING) {
        tell_waiting(lines);
        df_text_addf(lines->text, "job %s: %s, its row is not seen yet: %s: %s\n", told->job, now->state, df_shown(title).text,
                     told->place.work->log);
    } else if (told->state != DONE) {
        tell_waiting(lines);
        df_text_addf(lines->text, "%s: %s: ", state_names[told->state], df_shown(title).text);
        df_text_add_shown(lines->text, told->end.reason);
        df_text_addf(lines->text, ": %s\n", told->place.work->log);
    }
}

df_status df_status_jobs_text(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out, struct df_text *text,
                              struct df_error *err)
{
    struct lines lines = { .text = text };

    DF_TRY(each_told(queue, spec, out, tell_line, &lines, err));
    tell_waiting(&lines);
    return DF_OK;
}

/* ---- JSON ---- */

static void add_object(void *context, const struct told *told)
{
    const struct df_slurm_task *now = &told->place.part->now;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "job", told->job);
    cJSON_AddStringToObject(object, "state", state_names[told->state]);
    cJSON_AddStringToObject(object, "slurm", now->state);
    cJSON_AddStringToObject(object, "node", now->node);
    cJSON_AddStringToObject(object, "reason", told->state == PENDING ? now->reason : told->state == FAILED ? told->end.reason : "");
    cJSON_AddStringToObject(object, "title", told->place.work->title);
    cJSON_AddStringToObject(object, "log", told->place.work->log);
    cJSON_AddItemToArray(context, object);
}

df_status df_status_jobs_json(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out, cJSON *list,
                              struct df_error *err)
{
    return each_told(queue, spec, out, add_object, list, err);
}
