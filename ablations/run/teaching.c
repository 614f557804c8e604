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

struct live { /* an image's record on the device */
    struct df_record_layout layout;
    unsigned char *memory;
    size_t room;
};
struct df_teacher {
    const struct df_cell *student;
    const struct df_cell *cell;
    struct df_teacher_plan plan;
    struct df_model model;  /* empty when the cache serves */
    char hash[17];          /* of its weights */
    char contents_hash[17]; /* of its file */
    df_tape *tape;
    struct df_dataset *train;
    struct df_loader *loader; /* of its own canvas; NULL: it sees the student's images */
    struct df_taught_parts parts;
    struct df_cache *cache;
    char *cache_path;
    size_t batch;
    const struct df_record_layout **layout; /* [batch] */
    const void **record;                    /* [batch] */
    struct live *live;                      /* [batch]; NULL with a cache */
};

/* One image through the teacher; the loader's batch of one, or one image of a student's batch. */
static void forward(struct df_teacher *teacher, const struct df_batch *one, struct df_detection_state *state)
{
    df_tape_reset(teacher->tape);
    (teacher->cell->kind ? teacher->cell->kind : df_teacher_kinds[0])->say(&teacher->model, teacher->tape, one, state);
}

static size_t copies(const struct df_teacher *teacher) { return teacher->student->schedule.flip ? 2 : 1; }

/* What decides a cache's contents, as a hash. */
static void cache_key(const struct df_teacher *teacher, const struct df_dataset *train, char key[17])
{
    const struct df_cell *cell = teacher->student;
    const struct df_device_identity device = df_device_identity(cell->device);
    cJSON *canvas = df_options_write(df_canvas_option_table, &teacher->cell->canvas);
    cJSON *network = df_options_write(df_network_option_table, &teacher->cell->network);
    struct df_text text = DF_TEXT_INIT;
    char hash[17];

    df_text_addf(&text, "semantics %d teacher %s file %s ", DF_SEMANTICS, teacher->hash, teacher->contents_hash);
    df_json_canonical(network, &text);
    df_text_addf(&text, " detector %s %d data %d %s canvas ", teacher->cell->detector->name, teacher->cell->detector->revision,
                 cell->data->class->revision, df_hash_text(hash, train->hash));
    df_json_canonical(canvas, &text);
    df_text_add(&text, " needs ");
    df_needs_text(&teacher->plan.recorded, ",", &text);
    df_text_addf(&text, " copies %zu device %s", copies(teacher), device.kind);
    if (strcmp(device.kind, "cuda") == 0) /* its bits are the card's */
        df_text_addf(&text, " %s", device.isa);
    df_hash_text(key, df_hash(text.data, text.length));
    df_text_release(&text);
    cJSON_Delete(network);
    cJSON_Delete(canvas);
}

static df_status build_records(struct df_teacher *teacher, struct df_loader *loader, struct df_cache_writer *writer,
                               struct df_progress *progress, struct df_error *err)
{
    const size_t each = copies(teacher), count = teacher->train->size * each;
    size_t room = 0;
    void *record = NULL;
    df_status status = DF_OK;

    for (size_t i = 0; i < count && status == DF_OK; i++) {
        struct df_record_layout layout;
        struct df_detection_state state;
        const struct df_batch *batch;

        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted while building the teacher cache")
                             : df_loader_one(loader, i / each, i % each == 1, &batch, err);
        if (status != DF_OK)
            break;
        forward(teacher, batch, &state);
        df_record_layout_of(&state, &teacher->plan.recorded, &layout);
        if (layout.bytes > room)
            record = df_realloc(record, room = layout.bytes);
        df_record_take(&layout, &state, teacher->model.device, DF_RECORD_ON_HOST, record);
        status = df_cache_put(writer, i, record, err);
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    free(record);
    return status;
}

static df_status build_cache(struct df_teacher *teacher, const struct df_run_options *options, struct df_loader *loader, const char *key,
                             struct df_error *err)
{
    const size_t count = teacher->train->size * copies(teacher);
    struct df_cache_writer *writer;

    DF_TRY(df_cache_create(teacher->cache_path, key, count, &writer, err));

    struct df_progress *progress = options->quiet ? NULL : df_progress_new("teacher cache", "images", (double)count);
    const df_status status = build_records(teacher, loader, writer, progress, err);

    df_progress_free(progress);
    if (status != DF_OK) {
        df_cache_abandon(writer);
        return status;
    }
    return df_cache_finish(writer, err);
}

/* Of all records, as the canvases' areas have it. */
static uint64_t record_bytes(const struct df_teacher *teacher, const struct df_detection_state *first)
{
    const double area = (double)first->canvas_h * (double)first->canvas_w;
    struct df_record_layout layout;
    double areas = 0;

    df_record_layout_of(first, &teacher->plan.recorded, &layout);
    for (size_t i = 0; i < teacher->train->size; i++) {
        const struct df_canvas_size canvas = df_canvas_of(&teacher->cell->canvas, &teacher->train->info[i]);

        areas += (double)canvas.height * (double)canvas.width / area;
    }
    return (uint64_t)((double)layout.bytes * areas) * copies(teacher);
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
static df_status use_cache(struct df_teacher *teacher, const struct df_run_options *options, struct df_loader *loader, const char *key,
                           struct df_error *err)
{
    df_status status = DF_OK;
    int fd = -1;

    if (!df_file_exists(teacher->cache_path)) {
        char *lock = df_store_cache_lock(options->out, key);

        status = df_lock_wait(lock, &fd, err);
        if (status == DF_OK && !df_file_exists(teacher->cache_path))
            status = build_cache(teacher, options, loader, key, err);
        if (fd >= 0)
            df_unlock(fd);
        free(lock);
    }
    if (status == DF_OK)
        status = df_cache_open(teacher->cache_path, key, teacher->train->size * copies(teacher), &teacher->cache, err);
    return status;
}

static df_status choose_cache(struct df_teacher *teacher, const struct df_run_options *options, struct df_loader *loader,
                              const struct df_detection_state *first, struct df_error *err)
{
    const uint64_t bytes = df_cache_bytes(record_bytes(teacher, first), teacher->train->size * copies(teacher));
    char *folder = df_store_caches(options->out), key[17];
    df_status status = DF_OK;

    cache_key(teacher, teacher->train, key);
    teacher->cache_path = df_store_cache(options->out, key);
    if (options->cache != DF_CACHE_OFF)
        status = df_folder_make(folder, err);
    if (status == DF_OK && wants_cache(teacher, options, folder, bytes))
        status = use_cache(teacher, options, loader, key, err);
    free(folder);
    return status;
}

static df_status open_model(struct df_teacher *teacher, const struct df_run_options *options, double neck_std[DF_LEVELS],
                            struct df_error *err)
{
    struct df_teacher_facts facts;
    size_t levels = 0;
    char *path = NULL;
    df_status status = DF_OK;

    if (teacher->cell->file[0])
        path = df_teacher_path(teacher->student, options);
    else
        status = df_teacher_ensure(teacher->cell, options, &path, err);
    if (status == DF_OK)
        status = df_teacher_facts_read(path, &facts, err);
    if (status == DF_OK)
        status = df_model_open(teacher->cell, teacher->train->categories, path, &teacher->model, err);
    if (status == DF_OK)
        df_hash_text(teacher->hash, df_parameters_hash(teacher->model.parameters));
    if (status == DF_OK && facts.parameters_hash[0] && strcmp(teacher->hash, facts.parameters_hash) != 0)
        status = df_fail(err, DF_ERR_STALE, "the weights in teacher '%s' have hash %s, but %s is recorded [delete the file]", path,
                         teacher->hash, facts.parameters_hash);
    free(path);
    if (status != DF_OK)
        return status;
    memcpy(neck_std, facts.neck_std, sizeof facts.neck_std);
    memcpy(teacher->contents_hash, facts.contents_hash, sizeof teacher->contents_hash);
    if (facts.measured)
        return DF_OK;
    return df_teacher_neck_std(teacher->cell, &teacher->model, teacher->train, options->skip_bad_images, &levels, neck_std, err);
}

/* A first look at image 0, then the cache. */
static df_status prepare(struct df_teacher *teacher, const struct df_run_options *options, struct df_error *err)
{
    const struct df_loader_config config = df_cell_loader(teacher->cell, teacher->train, options->skip_bad_images);
    struct df_detection_state state;
    const struct df_batch *batch;
    struct df_loader *loader;

    DF_TRY(df_loader_new(&config, &loader, err));
    teacher->tape = df_tape_new(teacher->model.device, false);
    teacher->layout = df_calloc(teacher->batch, sizeof *teacher->layout);
    teacher->record = df_calloc(teacher->batch, sizeof *teacher->record);

    df_status status = df_loader_one(loader, 0, false, &batch, err);

    if (status == DF_OK) {
        forward(teacher, batch, &state);
        status = choose_cache(teacher, options, loader, &state, err);
    }
    if (status == DF_OK && !teacher->cache)
        teacher->live = df_calloc(teacher->batch, sizeof *teacher->live);
    if (teacher->live && !df_same_canvas(&teacher->cell->canvas, &teacher->student->canvas))
        teacher->loader = loader;
    else
        df_loader_free(loader);
    return status;
}

/* With a cache nothing of the network is needed any more, but for a RoI head. */
static void release_network(struct df_teacher *teacher)
{
    df_tape_free(teacher->tape);
    for (size_t i = 0; teacher->live && i < teacher->batch; i++)
        if (teacher->live[i].memory)
            df_device_free(teacher->model.device, teacher->live[i].memory);
    df_model_release(&teacher->model);
    free(teacher->live);
    teacher->tape = NULL;
    teacher->live = NULL;
}

df_status df_teacher_open(const struct df_cell *student, const struct df_run_options *options, struct df_dataset *train,
                          struct df_teacher **out, struct df_error *err)
{
    struct df_teacher *teacher = df_calloc(1, sizeof *teacher);
    double neck_std[DF_LEVELS] = { 0 };
    df_status status;

    *out = NULL;
    teacher->student = student;
    teacher->cell = student->teacher;
    teacher->train = train;
    teacher->batch = (size_t)student->schedule.batch;
    df_teacher_plan_of(student, &teacher->plan);
    status = df_teacher_fits(student, train, &teacher->parts, err);
    if (status == DF_OK)
        status = open_model(teacher, options, neck_std, err);
    for (size_t i = 0; i < teacher->parts.teacher.count; i++) {
        struct df_part *part = &teacher->parts.teacher.part[i];

        part->std = strncmp(part->name, "neck/", 5) == 0 ? neck_std[part->level] : 0;
    }
    if (status == DF_OK)
        status = prepare(teacher, options, err);
    if (status != DF_OK) {
        df_teacher_close(teacher);
        return status;
    }
    if (teacher->cache && !teacher->plan.head)
        release_network(teacher);
    *out = teacher;
    return DF_OK;
}

void df_teacher_close(struct df_teacher *teacher)
{
    if (!teacher)
        return;
    df_cache_close(teacher->cache);
    df_loader_free(teacher->loader);
    release_network(teacher);
    free(teacher->cache_path);
    free(teacher->layout);
    free(teacher->record);
    free(teacher);
}

const struct df_taught_parts *df_teacher_parts(const struct df_teacher *teacher) { return &teacher->parts; }

const char *df_teacher_cache(const struct df_teacher *teacher) { return teacher->cache ? teacher->cache_path : NULL; }

const char *df_teacher_hash(const struct df_teacher *teacher) { return teacher->hash; }

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

/* Of a live teacher: its record of image i of the batch, on the device. */
static df_status make_record(struct df_teacher *teacher, const struct df_batch *batch, size_t i, struct df_error *err)
{
    struct df_device *device = teacher->model.device;
    struct live *live = &teacher->live[i];
    struct df_detection_state state;
    const struct df_batch own = one_of(batch, i), *one = &own;

    if (teacher->loader)
        DF_TRY(df_loader_one(teacher->loader, batch->index[i], batch->flipped[i], &one, err));
    forward(teacher, one, &state);
    df_record_layout_of(&state, &teacher->plan.given, &live->layout);
    if (live->layout.bytes > live->room) {
        if (live->memory)
            df_device_free(device, live->memory);
        live->room = live->layout.bytes;
        live->memory = df_device_alloc(device, live->room);
    }
    df_record_take(&live->layout, &state, device, DF_RECORD_ON_DEVICE, live->memory);
    teacher->layout[i] = &live->layout;
    teacher->record[i] = live->memory;
    return DF_OK;
}

static df_status find_record(struct df_teacher *teacher, const struct df_batch *batch, size_t i, struct df_error *err)
{
    if (!teacher->cache)
        return make_record(teacher, batch, i, err);
    DF_TRY(df_cache_record(teacher->cache, batch->index[i] * copies(teacher) + (batch->flipped[i] ? 1 : 0), &teacher->layout[i], err));
    teacher->record[i] = teacher->layout[i];
    return DF_OK;
}

df_status df_teacher_state(struct df_teacher *teacher, df_tape *tape, const struct df_detection_state *student,
                           struct df_detection_state *out, struct df_error *err)
{
    const struct df_records records = { teacher->cache ? DF_RECORD_ON_HOST : DF_RECORD_ON_DEVICE, teacher->layout, teacher->record };

    DF_ASSERT(student->batch <= teacher->batch);
    for (size_t i = 0; i < student->batch; i++)
        DF_TRY(find_record(teacher, student->images, i, err));
    DF_TRY(df_record_state(&records, &teacher->plan.given, &teacher->parts.teacher, student, tape, out, err));
    if (teacher->plan.head)
        out->detector = teacher->model.detector;
    return DF_OK;
}

/* A damaged record is found here, before the cells run. */
static df_status verify_cache(const struct df_teacher *teacher, size_t records, struct df_error *err)
{
    const struct df_record_layout *record;

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
    if (!student_cell->needs.count || options->cache == DF_CACHE_OFF)
        return DF_OK;
    DF_TRY(df_data_split(student_cell->data, DF_TRAIN, &train, err));
    DF_TRY(df_teacher_open(student_cell, options, train, &teacher, err));

    const df_status status = teacher->cache ? verify_cache(teacher, train->size * copies(teacher), err) : DF_OK;

    if (teacher->cache && status == DF_OK)
        *path = df_strdup(teacher->cache_path);
    df_teacher_close(teacher);
    return status;
}
