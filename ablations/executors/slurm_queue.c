#include "ablations/executors/slurm_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ablations/run/store.h"
#include "core/base/file.h"

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static df_status read_manifest(const char *folder, const char *name, struct df_slurm_queue *queue, struct df_error *err)
{
    char *path = df_path_join(folder, name);
    struct df_slurm_manifest manifest;
    const df_status status = df_slurm_manifest_read(path, &manifest, err);

    free(path);
    if (status == DF_ERR_NOT_FOUND) /* listed, and let go of since */
        return df_absent_is_fine(status, err);
    DF_TRY(status);
    if (!manifest.job) { /* being submitted, or sbatch refused it */
        df_slurm_manifest_release(&manifest);
        return DF_OK;
    }
    queue->manifest = df_realloc(queue->manifest, (queue->count + 1) * sizeof *queue->manifest);
    queue->manifest[queue->count++] = manifest;
    return DF_OK;
}

df_status df_slurm_queue_read(const char *out, const char *spec, struct df_slurm_queue *queue, struct df_error *err)
{
    char *folder = df_slurm_folder(out, spec), **names;
    df_status status = df_folder_list(folder, &names, err);

    *queue = (struct df_slurm_queue){ 0 };
    if (status == DF_OK) {
        for (char **name = names; *name && status == DF_OK; name++)
            if (ends_with(*name, ".json"))
                status = read_manifest(folder, *name, queue, err);
        df_names_free(names);
    } else {
        status = df_absent_is_fine(status, err);
    }
    free(folder);
    if (status != DF_OK)
        df_slurm_queue_release(queue);
    return status;
}

void df_slurm_queue_release(struct df_slurm_queue *queue)
{
    for (size_t m = 0; m < queue->count; m++)
        df_slurm_manifest_release(&queue->manifest[m]);
    free(queue->manifest);
    *queue = (struct df_slurm_queue){ 0 };
}

static size_t live_parts(const struct df_slurm_manifest *manifest)
{
    size_t n = 0;

    for (size_t p = 0; p < manifest->parts; p++)
        n += !manifest->part[p].seen;
    return n;
}

bool df_slurm_queue_lives(const struct df_slurm_queue *queue)
{
    for (size_t m = 0; m < queue->count; m++)
        if (live_parts(&queue->manifest[m]))
            return true;
    return false;
}

int64_t *df_slurm_queue_jobs(const struct df_slurm_queue *queue, size_t *count)
{
    int64_t *jobs = df_calloc(queue->count + 1, sizeof *jobs);

    *count = 0;
    for (size_t m = 0; m < queue->count; m++)
        if (live_parts(&queue->manifest[m]))
            jobs[(*count)++] = queue->manifest[m].job;
    return jobs;
}

const char *df_slurm_part_name(const struct df_slurm_manifest *manifest, const struct df_slurm_part *part, char text[48])
{
    if (manifest->array)
        snprintf(text, 48, "%lld_%zu", (long long)manifest->job, (size_t)(part - manifest->part));
    else
        snprintf(text, 48, "%lld", (long long)manifest->job);
    return text;
}

bool df_slurm_queue_find(const struct df_slurm_queue *queue, const char *key, struct df_slurm_place *out)
{
    for (size_t m = queue->count; m-- > 0;)
        for (size_t p = 0; p < queue->manifest[m].parts; p++)
            for (size_t w = 0; w < queue->manifest[m].part[p].works; w++)
                if (strcmp(queue->manifest[m].part[p].work[w].key, key) == 0) {
                    *out = (struct df_slurm_place){ &queue->manifest[m], &queue->manifest[m].part[p], &queue->manifest[m].part[p].work[w] };
                    return true;
                }
    return false;
}

/* ---- asking ---- */

/* What is said of the part, if it is. */
static void hear(struct df_slurm_part *part, const struct df_slurm_tasks *said)
{
    const struct df_slurm_task *task = df_slurm_find(said, part->now.job, part->now.index);

    if (part->seen || !task)
        return;
    part->known = true;
    part->now = *task;
}

/* Live parts of which the queue says nothing have ended, whatever else is known of them. */
static void note_end(struct df_slurm_part *part, int64_t now)
{
    if (part->known && part->now.phase != DF_SLURM_ENDED)
        return;
    if (!part->known) {
        part->now.exit = -1;
        snprintf(part->now.state, sizeof part->now.state, "forgotten");
    }
    part->now.phase = DF_SLURM_ENDED;
    part->known = true;
    part->seen = now;
}

static df_status hear_all(struct df_slurm_queue *queue, const struct df_slurm_tasks *said, bool last, struct df_error *err)
{
    for (size_t m = 0; m < queue->count; m++) {
        struct df_slurm_manifest *manifest = &queue->manifest[m];
        const size_t before = live_parts(manifest);

        for (size_t p = 0; p < manifest->parts && before; p++) {
            hear(&manifest->part[p], said);
            if (last && !manifest->part[p].seen)
                note_end(&manifest->part[p], (int64_t)time(NULL));
        }
        if (live_parts(manifest) != before)
            DF_TRY(df_slurm_job_write(manifest, err));
    }
    return DF_OK;
}

/* The live jobs that are not, or not wholly, in the queue. */
static int64_t *unknown_jobs(const struct df_slurm_queue *queue, size_t *count)
{
    int64_t *jobs = df_calloc(queue->count + 1, sizeof *jobs);

    *count = 0;
    for (size_t m = 0; m < queue->count; m++) {
        bool unknown = false;

        for (size_t p = 0; p < queue->manifest[m].parts; p++)
            unknown |= !queue->manifest[m].part[p].seen && !queue->manifest[m].part[p].known;
        if (unknown)
            jobs[(*count)++] = queue->manifest[m].job;
    }
    return jobs;
}

df_status df_slurm_queue_ask(struct df_slurm_queue *queue, struct df_error *err)
{
    struct df_slurm_tasks said = { 0 };
    size_t unknown;

    if (!df_slurm_queue_lives(queue))
        return DF_OK;
    df_status status = df_slurm_queue(&said, err);

    if (status == DF_OK)
        status = hear_all(queue, &said, false, err);
    said.count = 0;

    int64_t *jobs = unknown_jobs(queue, &unknown);

    if (status == DF_OK)
        status = df_slurm_ended(jobs, unknown, &said, err);
    if (status == DF_OK)
        status = hear_all(queue, &said, true, err);
    free(jobs);
    free(said.task);
    return status;
}

/* ---- what came of it ---- */

static bool is_called_off(const struct df_slurm_part *part) { return strcmp(part->now.state, "CANCELLED") == 0; }

/* Whether a row may still come to be seen. */
static bool news_may_come(const struct df_slurm_part *part)
{
    return !is_called_off(part) && part->now.exit >= 0 && (int64_t)time(NULL) < part->seen + DF_SLURM_NEWS_SECONDS;
}

/* By the task alone; rowless: of a cell that should have left a row, so that no exit is a good one. */
static void tell_end(const struct df_slurm_place *place, bool rowless, struct df_work_end *end)
{
    const struct df_slurm_task *now = &place->part->now;
    char name[48], tail[1280];

    end->began = !is_called_off(place->part);
    end->exit = strcmp(now->state, "COMPLETED") == 0 && !rowless ? 0 : now->exit > 0 ? now->exit : -1;
    df_work_log_tail(place->work->log, tail, sizeof tail);
    snprintf(end->reason, sizeof end->reason, "job %s%s%s: %s%s%s", df_slurm_part_name(place->manifest, place->part, name),
             now->node[0] ? " on " : "", now->node, now->state, end->began ? ": " : "", end->began ? tail : "");
}

/* By the cell's row: finished, or failed in its own words. */
static df_status read_outcome(const struct df_cell *cell, const char *out, bool *ended, struct df_work_end *end, struct df_error *err)
{
    static const char failed[] = "failed: ";
    struct df_journal *journal;

    DF_TRY(df_store_read_cell(out, cell, &journal, err));
    *ended = journal->runs > 0;
    if (*ended) {
        end->began = true;
        end->exit = df_run_row_ok(&journal->run[0]) ? 0 : 1;
        const char *status = journal->run[0].status;

        snprintf(end->reason, sizeof end->reason, "%.1500s",
                 strncmp(status, failed, strlen(failed)) == 0 ? status + strlen(failed) : status);
    }
    df_journal_free(journal);
    return DF_OK;
}

df_status df_slurm_outcome(const struct df_slurm_place *place, const struct df_cell *cell, const char *out, bool *ended,
                           struct df_work_end *end, struct df_error *err)
{
    *ended = false;
    if (cell)
        DF_TRY(read_outcome(cell, out, ended, end, err));
    if (*ended || !place->part->seen || (cell && news_may_come(place->part)))
        return DF_OK;
    tell_end(place, cell != NULL, end);
    *ended = true;
    return DF_OK;
}

/* Of a cell whose part has ended: its failure is written, unless a row says how it ended, or may still be seen to. */
static df_status settle_cell(const struct df_slurm_place *place, const struct df_cell *cell, const char *out, struct df_error *err)
{
    struct df_work_end end;
    bool has_row;

    DF_TRY(read_outcome(cell, out, &has_row, &end, err));
    if (has_row || news_may_come(place->part))
        return DF_OK;
    tell_end(place, true, &end);
    return end.began ? df_store_put_failure(out, cell, "", end.reason, err) : DF_OK;
}

df_status df_slurm_queue_settle(const struct df_slurm_queue *queue, const struct df_spec *spec, const char *out, struct df_error *err)
{
    for (size_t i = 0; i < spec->count; i++) {
        struct df_slurm_place place;

        if (df_slurm_queue_find(queue, spec->cell[i]->id, &place) && place.part->seen)
            DF_TRY(settle_cell(&place, spec->cell[i], out, err));
    }
    return DF_OK;
}

/* Whether a row of the manifest's may still come to be seen. */
static bool any_news(const struct df_slurm_manifest *manifest)
{
    for (size_t p = 0; p < manifest->parts; p++)
        for (size_t w = 0; w < manifest->part[p].works; w++)
            if (manifest->part[p].work[w].cell && news_may_come(&manifest->part[p]))
                return true;
    return false;
}

df_status df_slurm_queue_forget(const struct df_slurm_queue *queue, struct df_error *err)
{
    for (size_t m = 0; m < queue->count; m++) {
        const struct df_slurm_manifest *manifest = &queue->manifest[m];
        char *json = df_slurm_path(manifest, ".json"), *job = df_slurm_path(manifest, ".job");
        df_status status = DF_OK;

        if (!live_parts(manifest) && !any_news(manifest)) {
            status = df_file_remove(json, err); /* first: without its job it would be one that sbatch has refused */
            if (status == DF_OK)
                status = df_file_remove(job, err);
        }
        free(json);
        free(job);
        DF_TRY(status);
    }
    return DF_OK;
}
