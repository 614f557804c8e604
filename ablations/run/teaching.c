/* The teacher at work: opening it, building its cache, giving its state of a batch. It always runs image by image, so that what it says of
 * an image never depends on the batch, and the cache holds exactly what a live teacher says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "ablations/run/cache.h"
#include "ablations/run/model.h"
#include "ablations/run/store.h"
#include "ablations/run/teacher.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/progress.h"

struct df_teacher {
    const struct df_cell *student;
    const struct df_cell *cell;
    struct df_cell storage;
    struct df_model model; /* empty when the cache serves */
    char hash[17];         /* of its weights */
    df_tape *tape;
    struct df_record_layout layout;
    double neck_std[DF_LEVELS];
    char contents_hash[17]; /* of its file */
    struct df_cache *cache;
    char *cache_path;
    size_t batch;
    const void **record; /* [batch] */
    unsigned char *live; /* [batch] records on the device; NULL with a cache */
};

/* One image through the teacher; the loader's batch of one, or one image of a student's batch. */
static void forward(struct df_teacher *teacher, const struct df_batch *one, struct df_detection_state *state)
{
    *state = (struct df_detection_state){ 0 };
    df_tape_reset(teacher->tape);
    df_detector_first_stage(teacher->model.detector, teacher->tape, one, state);
}

static df_status other_canvas(size_t index, struct df_error *err)
{
    return df_fail(
        err, DF_ERR_UNSUPPORTED,
        "image %zu has another canvas than image 0 (distilling needs one canvas for all) [set 'fixed' with a canvas size in the spec's "
        "\"canvas\"]",
        index);
}

static size_t copies(const struct df_teacher *teacher) { return teacher->student->schedule.flip ? 2 : 1; }

/* A RoI head says something else of each student's proposals: it is not recorded but runs when it is asked, over the recorded neck. */
unsigned df_teacher_given_needs(const struct df_cell *student)
{
    const unsigned needs = student->needs;

    return needs & DF_NEEDS_ROI_HEAD ? (needs & ~(unsigned)DF_NEEDS_ROI_HEAD) | DF_NEEDS_NECK : needs;
}

/* Neck and dense head are recorded together wherever either is wanted: the methods of a sweep then share one cache. */
unsigned df_teacher_recorded_needs(const struct df_cell *student)
{
    const unsigned common = DF_NEEDS_NECK | DF_NEEDS_DENSE_HEAD, needs = df_teacher_given_needs(student);

    return needs & common ? needs | (common & student->detector->offers) : needs;
}

/* What decides a cache's contents, as a hash. */
static void cache_key(const struct df_teacher *teacher, const struct df_dataset *train, char key[17])
{
    const struct df_cell *cell = teacher->student;
    const struct df_device_identity device = df_device_identity(cell->device);
    cJSON *canvas = df_options_write(df_canvas_option_table, &cell->canvas);
    cJSON *network = df_options_write(df_network_option_table, &teacher->cell->network);
    struct df_text text = DF_TEXT_INIT;
    char hash[17];

    df_text_addf(&text, "semantics %d teacher %s file %s ", DF_SEMANTICS, teacher->hash, teacher->contents_hash);
    df_json_canonical(network, &text);
    df_text_addf(&text, " detector %s %d data %d %s canvas ", cell->detector->name, cell->detector->revision, cell->data->class->revision,
                 df_hash_text(hash, train->hash));
    df_json_canonical(canvas, &text);
    df_text_addf(&text, " needs %u copies %zu device %s", df_teacher_recorded_needs(cell), copies(teacher), device.kind);
    if (strcmp(device.kind, "cuda") == 0) /* its bits are the card's */
        df_text_addf(&text, " %s", device.isa);
    df_hash_text(key, df_hash(text.data, text.length));
    df_text_release(&text);
    cJSON_Delete(network);
    cJSON_Delete(canvas);
}

static df_status build_records(struct df_teacher *teacher, struct df_loader *loader, size_t images, struct df_cache_writer *writer,
                               void *record, struct df_progress *progress, struct df_error *err)
{
    const size_t each = copies(teacher);

    for (size_t i = 0; i < images * each; i++) {
        struct df_detection_state state;
        const struct df_batch *batch;

        if (df_run_stop)
            return df_fail(err, DF_ERR_INTERRUPTED, "interrupted while building the teacher cache");
        DF_TRY(df_loader_one(loader, i / each, i % each == 1, &batch, err));
        forward(teacher, batch, &state);
        if (!df_record_take(&teacher->layout, &state, teacher->model.device, DF_RECORD_ON_HOST, record))
            return other_canvas(i / each, err);
        DF_TRY(df_cache_put(writer, i, record, err));
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    return DF_OK;
}

static df_status build_cache(struct df_teacher *teacher, const struct df_run_options *options, struct df_loader *loader, size_t images,
                             const char *key, struct df_error *err)
{
    const size_t count = images * copies(teacher);
    struct df_cache_writer *writer;

    DF_TRY(df_cache_create(teacher->cache_path, key, &teacher->layout, count, &writer, err));

    struct df_progress *progress = options->quiet ? NULL : df_progress_new("teacher cache", "images", (double)count);
    void *record = df_malloc(teacher->layout.bytes + 1);
    const df_status status = build_records(teacher, loader, images, writer, record, progress, err);

    free(record);
    df_progress_free(progress);
    if (status != DF_OK) {
        df_cache_abandon(writer);
        return status;
    }
    return df_cache_finish(writer, err);
}

/* Whether a cache is to be used; `auto` says why not. */
static bool wants_cache(const struct df_teacher *teacher, const struct df_run_options *options, const char *folder, uint64_t bytes)
{
    struct statvfs disk;

    if (options->cache != DF_CACHE_AUTO)
        return options->cache == DF_CACHE_ON;
    if (df_file_exists(teacher->cache_path))
        return true;
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

/* Opens the cache, building it first if it is missing: one builder, the others wait. */
static df_status use_cache(struct df_teacher *teacher, const struct df_run_options *options, struct df_loader *loader, size_t images,
                           const char *key, struct df_error *err)
{
    const size_t count = images * copies(teacher);
    df_status status = DF_OK;
    int fd = -1;

    if (!df_file_exists(teacher->cache_path)) {
        char *lock = df_store_cache_lock(options->out, key);

        status = df_lock_wait(lock, &fd, err);
        if (status == DF_OK && !df_file_exists(teacher->cache_path))
            status = build_cache(teacher, options, loader, images, key, err);
        if (fd >= 0)
            df_unlock(fd);
        free(lock);
    }
    if (status == DF_OK)
        status = df_cache_open(teacher->cache_path, key, &teacher->layout, count, &teacher->cache, err);
    return status;
}

static df_status choose_cache(struct df_teacher *teacher, const struct df_run_options *options, struct df_loader *loader,
                              struct df_dataset *train, struct df_error *err)
{
    char *folder = df_store_caches(options->out), key[17];
    df_status status = DF_OK;

    cache_key(teacher, train, key);
    teacher->cache_path = df_store_cache(options->out, key);
    if (options->cache != DF_CACHE_OFF)
        status = df_folder_make(folder, err);
    if (status == DF_OK && wants_cache(teacher, options, folder, df_cache_bytes(&teacher->layout, train->size * copies(teacher))))
        status = use_cache(teacher, options, loader, train->size, key, err);
    free(folder);
    return status;
}

static df_status open_model(struct df_teacher *teacher, const struct df_run_options *options, struct df_dataset *train,
                            struct df_error *err)
{
    struct df_teacher_facts facts;
    size_t levels = 0;
    char *path = NULL;
    df_status status = DF_OK;

    if (teacher->student->teacher)
        status = df_teacher_ensure(teacher->student->teacher, options, &path, err);
    else
        path = df_teacher_path(teacher->student, options);
    if (status == DF_OK)
        status = df_teacher_facts_read(path, &facts, err);
    if (status == DF_OK)
        status = df_model_open(teacher->cell, train->categories, path, &teacher->model, err);
    if (status == DF_OK)
        df_hash_text(teacher->hash, df_parameters_hash(teacher->model.parameters));
    if (status == DF_OK && facts.parameters_hash[0] && strcmp(teacher->hash, facts.parameters_hash) != 0)
        status = df_fail(err, DF_ERR_STALE, "the weights in teacher '%s' have hash %s, but %s is recorded [delete the file]", path,
                         teacher->hash, facts.parameters_hash);
    free(path);
    if (status != DF_OK)
        return status;
    memcpy(teacher->neck_std, facts.neck_std, sizeof teacher->neck_std);
    memcpy(teacher->contents_hash, facts.contents_hash, sizeof teacher->contents_hash);
    return facts.measured
               ? DF_OK
               : df_teacher_neck_std(teacher->cell, &teacher->model, train, options->skip_bad_images, &levels, teacher->neck_std, err);
}

/* Shapes from a first look at image 0, then the cache. */
static df_status prepare(struct df_teacher *teacher, const struct df_run_options *options, struct df_dataset *train, struct df_error *err)
{
    const struct df_loader_config config = df_cell_loader(teacher->student, train, options->skip_bad_images);
    struct df_detection_state state;
    const struct df_batch *batch;
    struct df_loader *loader;

    DF_TRY(df_loader_new(&config, &loader, err));
    teacher->tape = df_tape_new(teacher->model.device, false);

    df_status status = df_loader_one(loader, 0, false, &batch, err);

    if (status == DF_OK) {
        forward(teacher, batch, &state);
        df_record_layout_of(&state, df_teacher_recorded_needs(teacher->student), &teacher->layout);
        teacher->record = df_calloc(teacher->batch, sizeof *teacher->record);
        status = choose_cache(teacher, options, loader, train, err);
    }
    if (status == DF_OK && !teacher->cache) { /* only what is asked for stays on the device */
        df_record_layout_of(&state, df_teacher_given_needs(teacher->student), &teacher->layout);
        teacher->live = df_device_alloc(teacher->model.device, teacher->batch * teacher->layout.bytes);
    }
    df_loader_free(loader);
    return status;
}

/* With a cache nothing of the network is needed any more, but for a RoI head. */
static void release_network(struct df_teacher *teacher)
{
    df_tape_free(teacher->tape);
    if (teacher->live)
        df_device_free(teacher->model.device, teacher->live);
    df_model_release(&teacher->model);
    teacher->tape = NULL;
    teacher->live = NULL;
}

df_status df_teacher_open(const struct df_cell *student, const struct df_run_options *options, struct df_dataset *train,
                          struct df_teacher **out, struct df_error *err)
{
    struct df_teacher *teacher = df_calloc(1, sizeof *teacher);
    df_status status;

    *out = NULL;
    teacher->student = student;
    teacher->cell = df_teacher_cell(student, &teacher->storage);
    teacher->batch = (size_t)student->schedule.batch;
    if ((student->needs & DF_NEEDS_ROI_HEAD) && !student->detector->roi_head)
        status = df_fail(err, DF_ERR_UNSUPPORTED, "'%s' needs the teacher's RoI head, which detector '%s' does not have", student->label,
                         student->detector->name);
    else
        status = open_model(teacher, options, train, err);
    if (status == DF_OK)
        status = prepare(teacher, options, train, err);
    if (status != DF_OK) {
        df_teacher_close(teacher);
        return status;
    }
    if (teacher->cache && !(student->needs & DF_NEEDS_ROI_HEAD))
        release_network(teacher);
    *out = teacher;
    return DF_OK;
}

void df_teacher_close(struct df_teacher *teacher)
{
    if (!teacher)
        return;
    df_cache_close(teacher->cache);
    release_network(teacher);
    free(teacher->cache_path);
    free(teacher->record);
    free(teacher);
}

const struct df_record_layout *df_teacher_layout(const struct df_teacher *teacher) { return &teacher->layout; }

const char *df_teacher_cache(const struct df_teacher *teacher) { return teacher->cache ? teacher->cache_path : NULL; }

const char *df_teacher_hash(const struct df_teacher *teacher) { return teacher->hash; }

/* An image's own canvas must be the batch's: its record was, or would be, made with that one. */
static bool own_canvas(const struct df_teacher *teacher, const struct df_batch *batch, size_t i)
{
    const size_t divisor = (size_t)teacher->student->canvas.divisor;

    if (batch->height != teacher->layout.canvas_h || batch->width != teacher->layout.canvas_w)
        return false;
    return teacher->student->canvas.fixed || ((batch->valid_h[i] + divisor - 1) / divisor * divisor == batch->height &&
                                              (batch->valid_w[i] + divisor - 1) / divisor * divisor == batch->width);
}

static struct df_batch one_of(const struct df_batch *batch, size_t i)
{
    struct df_batch one = *batch;

    one.n = 1;
    one.pixels += i * batch->height * batch->width * 3;
    one.truth += i;
    one.index += i;
    one.flipped += i;
    one.valid_h += i;
    one.valid_w += i;
    one.scale_x += i;
    one.scale_y += i;
    return one;
}

static df_status find_record(struct df_teacher *teacher, const struct df_batch *batch, size_t i, struct df_error *err)
{
    if (!own_canvas(teacher, batch, i))
        return other_canvas(batch->index[i], err);
    if (teacher->cache)
        return df_cache_record(teacher->cache, batch->index[i] * copies(teacher) + (batch->flipped[i] ? 1 : 0), &teacher->record[i], err);

    const struct df_batch one = one_of(batch, i);
    unsigned char *record = teacher->live + i * teacher->layout.bytes;
    struct df_detection_state state;

    forward(teacher, &one, &state);
    if (!df_record_take(&teacher->layout, &state, teacher->model.device, DF_RECORD_ON_DEVICE, record))
        return other_canvas(batch->index[i], err);
    teacher->record[i] = record;
    return DF_OK;
}

df_status df_teacher_state(struct df_teacher *teacher, df_tape *tape, const struct df_detection_state *student,
                           struct df_detection_state *out, struct df_error *err)
{
    DF_ASSERT(student->batch <= teacher->batch);
    for (size_t i = 0; i < student->batch; i++)
        DF_TRY(find_record(teacher, student->images, i, err));
    df_record_state(&teacher->layout, df_teacher_given_needs(teacher->student), teacher->cache ? DF_RECORD_ON_HOST : DF_RECORD_ON_DEVICE,
                    teacher->record, student, teacher->neck_std, tape, out);
    if (teacher->student->needs & DF_NEEDS_ROI_HEAD)
        out->detector = teacher->model.detector;
    return DF_OK;
}

/* A damaged record is found here, before the cells run. */
static df_status verify_cache(const struct df_teacher *teacher, size_t records, struct df_error *err)
{
    const void *record;

    for (size_t i = 0; i < records; i++) {
        if (df_run_stop)
            return df_fail(err, DF_ERR_INTERRUPTED, "interrupted while checking teacher cache '%s'", teacher->cache_path);
        DF_TRY(df_cache_record(teacher->cache, i, &record, err));
    }
    return DF_OK;
}

df_status df_cache_ensure(const struct df_cell *student_cell, const struct df_run_options *options, char **path, struct df_error *err)
{
    struct df_teacher *teacher;
    struct df_dataset *train;

    *path = NULL;
    if (!student_cell->needs || options->cache == DF_CACHE_OFF)
        return DF_OK;
    DF_TRY(df_data_split(student_cell->data, DF_TRAIN, &train, err));
    DF_TRY(df_teacher_open(student_cell, options, train, &teacher, err));

    const df_status status = teacher->cache ? verify_cache(teacher, train->size * copies(teacher), err) : DF_OK;

    if (teacher->cache && status == DF_OK)
        *path = df_strdup(teacher->cache_path);
    df_teacher_close(teacher);
    return status;
}
