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
        status =
            df_teacher_write(teacher, &model, (struct df_teacher_writing){ .map = map, .skip_bad = options->skip_bad_images }, path, err);
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
    char *lock = df_store_teacher_lock(options->out, teacher->id);
    int fd = -1;
    df_status status = df_lock_wait(lock, &fd, err);

    free(lock);
    if (status == DF_OK && !df_file_exists(path))
        status = train_teacher(teacher, options, path, err);
    df_unlock(fd);
    return status;
}

static df_status ensure_teacher(const struct df_cell *teacher, const struct df_run_options *options, const char *path, struct df_error *err)
{
    if (!df_file_exists(path)) {
        char *folder = df_store_teachers(options->out);
        const df_status made = df_folder_make(folder, err);

        free(folder);
        DF_TRY(made);
        DF_TRY(train_locked(teacher, options, path, err));
    }
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

/* The cache of one of a cell's teachers, which may have to be built. */
struct plan {
    const struct df_cell *cell;
    const struct df_cell_teacher *by;
    const struct df_run_options *options;
    struct df_dataset *train;
    size_t records;
    char key[17];
    char *teacher, *folder, *path; /* path: NULL until the key is known */
};

static struct plan plan_of(const struct df_cell *cell, const struct df_cell_teacher *by, const struct df_run_options *options)
{
    return (struct plan){
        .cell = cell, .by = by, .options = options, .teacher = df_teacher_path(by->cell, options), .folder = df_store_caches(options->out)
    };
}

static void plan_release(struct plan *plan)
{
    free(plan->teacher);
    free(plan->folder);
    free(plan->path);
}

static void name_cache(struct plan *plan, const struct df_teacher_facts *facts)
{
    df_teacher_cache_key(plan->cell, plan->by, plan->train, facts, plan->key);
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
        const struct df_canvas_size canvas = df_canvas_of(&plan->by->cell->canvas, &plan->train->info[i]);

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

/* By a teacher that runs live. */
static df_status build_cache(struct plan *plan, struct df_teacher *teacher, struct df_error *err)
{
    uint64_t bytes = 0;

    name_cache(plan, df_teacher_facts_of(teacher));
    if (df_file_exists(plan->path))
        return DF_OK;
    DF_TRY(df_folder_make(plan->folder, err));
    if (plan->options->cache == DF_CACHE_AUTO) {
        DF_TRY(estimate_bytes(plan, teacher, &bytes, err));
        if (!has_room(plan->options, plan->folder, bytes))
            return DF_OK;
    }
    return write_locked(plan, teacher, err);
}

/* A teacher whose file says its weights' hash is not opened for a cache that is there. */
static df_status ensure_cache(struct plan *plan, const struct df_teacher_facts *facts, struct df_error *err)
{
    struct df_run_options live = *plan->options;
    struct df_teacher *teacher;

    plan->records = df_teacher_records(plan->cell, plan->train);
    name_cache(plan, facts);
    if (facts->parameters_hash[0] && df_file_exists(plan->path))
        return DF_OK;
    live.cache = DF_CACHE_OFF;
    DF_TRY(df_teacher_open(plan->cell, plan->by, &live, plan->train, &teacher, err));

    const df_status status = build_cache(plan, teacher, err);

    df_teacher_close(teacher);
    return status;
}

static df_status ensure_all(struct plan *plan, struct df_error *err)
{
    const struct df_cell *teacher = plan->by->cell;
    struct df_teacher_facts facts;

    DF_TRY(df_data_split(plan->cell->data, DF_TRAIN, &plan->train, err));
    DF_TRY(df_teacher_fits(plan->cell, plan->by, plan->train, NULL, err));
    if (!teacher->file[0])
        DF_TRY(ensure_teacher(teacher, plan->options, plan->teacher, err));
    DF_TRY(df_teacher_facts_read(plan->teacher, &facts, err));
    return plan->options->cache == DF_CACHE_OFF ? DF_OK : ensure_cache(plan, &facts, err);
}

/* Before the first of them is trained. */
static df_status fit_all(const struct df_cell *cell, struct df_error *err)
{
    struct df_dataset *train;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));
    for (size_t t = 0; t < cell->teachers; t++)
        DF_TRY(df_teacher_fits(cell, &cell->teacher[t], train, NULL, err));
    return DF_OK;
}

df_status df_prepare(const struct df_cell *cell, const struct df_run_options *options, struct df_error *err)
{
    df_status status = cell->teachers > 1 ? fit_all(cell, err) : DF_OK;

    for (size_t t = 0; t < cell->teachers && status == DF_OK; t++) {
        struct plan plan = plan_of(cell, &cell->teacher[t], options);

        status = ensure_all(&plan, err);
        plan_release(&plan);
    }
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

static df_status ensure_verified(struct plan *plan, char **path, struct df_error *err)
{
    DF_TRY(ensure_all(plan, err));
    if (!df_file_exists(plan->path))
        return DF_OK;
    DF_TRY(verify_cache(plan, err));
    *path = df_strdup(plan->path);
    return DF_OK;
}

df_status df_prepare_cache(const struct df_cell *cell, const struct df_cell_teacher *by, const struct df_run_options *options, char **path,
                           struct df_error *err)
{
    *path = NULL;
    if (options->cache == DF_CACHE_OFF)
        return DF_OK;

    struct plan plan = plan_of(cell, by, options);
    const df_status status = ensure_verified(&plan, path, err);

    plan_release(&plan);
    return status;
}

df_status df_prepare_and_run(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out,
                             struct df_error *err)
{
    *out = NULL;
    DF_TRY(df_prepare(cell, options, err));
    return df_run_cell(cell, options, out, err);
}
