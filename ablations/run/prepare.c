#include "ablations/run/prepare.h"

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ablations/run/cache.h"
#include "ablations/run/stop.h"
#include "ablations/run/store.h"
#include "ablations/run/teacher.h"
#include "core/base/file.h"
#include "core/base/progress.h"
#include "core/metrics/coco_eval.h"

/* ---- the teacher ---- */

/* The weights are read back as everybody will read them, then measured. */
static df_status write_trained(const struct df_cell *teacher, const struct df_run_options *options, const struct df_run_row *row,
                               const char *path, struct df_error *err)
{
    char *weights = df_store_cell_file(options->out, teacher, DF_CELL_WEIGHTS);
    const double map = df_run_row_score(row, df_coco_metric_names[DF_AP], "");
    struct df_model model = { 0 };
    df_status status = df_model_load(teacher, weights, &model, err);

    if (status == DF_OK)
        status = df_teacher_write(teacher, &model, map, options->skip_bad_images, path, err);
    if (status == DF_OK)
        unlink(weights);
    df_model_release(&model);
    free(weights);
    return status;
}

static df_status train_teacher(const struct df_cell *teacher, const struct df_run_options *options, const char *path, struct df_error *err)
{
    struct df_run_result *result;

    DF_TRY(df_run_cell(teacher, options, &result, err));

    const df_status status = write_trained(teacher, options, &result->row, path, err);

    df_run_result_free(result);
    return status;
}

/* Under the lock; another process may have trained it while this one waited. */
static df_status train_locked(const struct df_cell *teacher, const struct df_run_options *options, const char *path, struct df_error *err)
{
    char *folder = df_store_teachers(options->out), *lock = df_store_teacher_lock(options->out, teacher->id);
    int fd = -1;
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK)
        status = df_lock_wait(lock, &fd, err);
    if (status == DF_OK && !df_file_exists(path))
        status = train_teacher(teacher, options, path, err);
    df_unlock(fd);
    free(folder);
    free(lock);
    return status;
}

static df_status ensure_teacher(const struct df_cell *teacher, const struct df_run_options *options, const char *path, struct df_error *err)
{
    if (!df_file_exists(path))
        DF_TRY(train_locked(teacher, options, path, err));
    return df_teacher_check(teacher, path, err);
}

df_status df_prepare_teacher(const struct df_cell *teacher, const struct df_run_options *options, char **path, struct df_error *err)
{
    char *file = df_store_teacher(options->out, teacher->id);
    const df_status status = ensure_teacher(teacher, options, file, err);

    *path = status == DF_OK ? file : NULL;
    if (status != DF_OK)
        free(file);
    return status;
}

/* ---- its cache ---- */

/* A cache to be built, or not. */
struct plan {
    const struct df_cell *cell;
    const struct df_run_options *options;
    struct df_dataset *train;
    size_t records;
    char key[17];
    char *path;
};

static void name_cache(struct plan *plan, const struct df_teacher_facts *facts)
{
    df_teacher_cache_key(plan->cell, plan->train, facts, plan->key);
    free(plan->path);
    plan->path = df_store_cache(plan->options->out, plan->key);
}

/* Of all records, as the canvases' areas have it. */
static df_status estimate_bytes(const struct plan *plan, struct df_teacher *teacher, uint64_t *bytes, struct df_error *err)
{
    const struct df_record_layout *first;
    double areas = 0;

    DF_TRY(df_teacher_record(teacher, 0, &first, err));
    for (size_t i = 0; i < plan->train->size; i++) {
        const struct df_canvas_size canvas = df_canvas_of(&plan->cell->teacher->canvas, &plan->train->info[i]);

        areas += (double)canvas.height * (double)canvas.width / ((double)first->canvas_h * (double)first->canvas_w);
    }
    *bytes = df_cache_bytes((uint64_t)((double)first->bytes * areas) * (plan->records / plan->train->size), plan->records);
    return DF_OK;
}

/* Whether an automatic cache has room; says why not. */
static bool has_room(const struct df_run_options *options, const char *folder, uint64_t bytes)
{
    struct statvfs disk;

    if ((double)bytes > options->cache_limit_bytes) {
        df_warn("the teacher cache would take %.1f GB (limit %.1f GB): the teacher runs live [--cache on to have it anyway]",
                (double)bytes / 1e9, options->cache_limit_bytes / 1e9);
        return false;
    }
    if (statvfs(folder, &disk) == 0 && (double)disk.f_bavail * (double)disk.f_frsize < (double)bytes * 1.05) {
        df_warn("the teacher cache would take %.1f GB, more than is free in '%s': the teacher runs live", (double)bytes / 1e9, folder);
        return false;
    }
    return true;
}

static df_status put_records(const struct plan *plan, struct df_teacher *teacher, struct df_cache_writer *writer, struct df_error *err)
{
    struct df_progress *progress = plan->options->quiet ? NULL : df_progress_new("teacher cache", "images", (double)plan->records);
    df_status status = DF_OK;

    for (size_t i = 0; i < plan->records && status == DF_OK; i++) {
        const struct df_record_layout *record;

        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted while building the teacher cache")
                             : df_teacher_record(teacher, i, &record, err);
        if (status == DF_OK)
            status = df_cache_put(writer, i, record, err);
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    df_progress_free(progress);
    return status;
}

static df_status write_cache(const struct plan *plan, struct df_teacher *teacher, struct df_error *err)
{
    struct df_cache_writer *writer;

    DF_TRY(df_cache_create(plan->path, plan->key, plan->records, &writer, err));

    const df_status status = put_records(plan, teacher, writer, err);

    if (status == DF_OK)
        return df_cache_finish(writer, err);
    df_cache_abandon(writer);
    return status;
}

/* Under the lock; another process may have built it while this one waited. */
static df_status write_locked(const struct plan *plan, struct df_teacher *teacher, struct df_error *err)
{
    char *lock = df_store_cache_lock(plan->options->out, plan->key);
    int fd = -1;
    df_status status = df_lock_wait(lock, &fd, err);

    if (status == DF_OK && !df_file_exists(plan->path))
        status = write_cache(plan, teacher, err);
    df_unlock(fd);
    free(lock);
    return status;
}

static df_status build_if_wanted(const struct plan *plan, struct df_teacher *teacher, const char *folder, struct df_error *err)
{
    uint64_t bytes = 0;

    DF_TRY(df_folder_make(folder, err));
    if (plan->options->cache == DF_CACHE_AUTO) {
        DF_TRY(estimate_bytes(plan, teacher, &bytes, err));
        if (!has_room(plan->options, folder, bytes))
            return DF_OK;
    }
    return write_locked(plan, teacher, err);
}

/* With the teacher, live. */
static df_status build_cache(struct plan *plan, struct df_error *err)
{
    struct df_run_options live = *plan->options;
    char *folder = df_store_caches(plan->options->out);
    struct df_teacher *teacher = NULL;
    df_status status;

    live.cache = DF_CACHE_OFF;
    status = df_teacher_open(plan->cell, &live, plan->train, &teacher, err);
    if (status == DF_OK)
        name_cache(plan, df_teacher_facts_of(teacher));
    if (status == DF_OK && !df_file_exists(plan->path))
        status = build_if_wanted(plan, teacher, folder, err);
    df_teacher_close(teacher);
    free(folder);
    return status;
}

/* Fills in the plan. A teacher whose file says its weights' hash is not opened for a cache that is there. */
static df_status prepare(struct plan *plan, struct df_error *err)
{
    const struct df_cell *teacher = plan->cell->teacher;
    char *path = df_teacher_path(plan->cell, plan->options);
    struct df_teacher_facts facts;
    df_status status = df_data_split(plan->cell->data, DF_TRAIN, &plan->train, err);

    if (status == DF_OK)
        status = df_teacher_fits(plan->cell, plan->train, NULL, err);
    if (status == DF_OK && !teacher->file[0])
        status = ensure_teacher(teacher, plan->options, path, err);
    if (status == DF_OK)
        status = df_teacher_facts_read(path, &facts, err);
    free(path);
    if (status != DF_OK || plan->options->cache == DF_CACHE_OFF)
        return status;
    plan->records = df_teacher_records(plan->cell, plan->train);
    name_cache(plan, &facts);
    return facts.parameters_hash[0] && df_file_exists(plan->path) ? DF_OK : build_cache(plan, err);
}

df_status df_prepare(const struct df_cell *cell, const struct df_run_options *options, struct df_error *err)
{
    struct plan plan = { .cell = cell, .options = options };

    if (!cell->needs.count)
        return DF_OK;

    const df_status status = prepare(&plan, err);

    free(plan.path);
    return status;
}

/* A damaged record is found here, before the cells run. */
static df_status verify_cache(const struct plan *plan, struct df_error *err)
{
    struct df_cache *cache;
    df_status status = DF_OK;

    DF_TRY(df_cache_open(plan->path, plan->key, plan->records, &cache, err));
    for (size_t i = 0; i < plan->records && status == DF_OK; i++) {
        const struct df_record_layout *record;

        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted while checking teacher cache '%s'", plan->path)
                             : df_cache_record(cache, i, &record, err);
    }
    df_cache_close(cache);
    return status;
}

df_status df_prepare_cache(const struct df_cell *cell, const struct df_run_options *options, char **path, struct df_error *err)
{
    struct plan plan = { .cell = cell, .options = options };
    df_status status;

    *path = NULL;
    if (!cell->needs.count || options->cache == DF_CACHE_OFF)
        return DF_OK;
    status = prepare(&plan, err);

    const bool there = status == DF_OK && df_file_exists(plan.path);

    if (there)
        status = verify_cache(&plan, err);
    if (there && status == DF_OK)
        *path = plan.path;
    else
        free(plan.path);
    return status;
}

df_status df_prepare_and_run(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out,
                             struct df_error *err)
{
    *out = NULL;
    DF_TRY(df_prepare(cell, options, err));
    return df_run_cell(cell, options, out, err);
}
