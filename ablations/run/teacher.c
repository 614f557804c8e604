#include "ablations/run/teacher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/cache.h"
#include "ablations/run/scratch.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/shell.h"
#include "core/device/open.h"

/* ---- opening ---- */

struct live { /* an image's record on the device */
    struct df_record_layout layout;
    unsigned char *memory;
    size_t room;
};
struct df_teacher {
    const struct df_cell *student;
    const struct df_cell_teacher *by;
    const struct df_cell *cell; /* the teacher's own */
    struct df_teacher_plan plan;
    char *path;
    struct df_teacher_facts facts;
    struct df_taught_parts parts;
    struct df_model model; /* empty when the cache serves */
    df_tape *tape;
    struct df_loader *loader; /* its own look at the images; NULL with a cache */
    bool own_canvas;          /* it does not see the student's images */
    struct df_cache *cache;
    char *cache_path;
    size_t batch;
    const struct df_record_layout **layout; /* [batch] */
    const void **record;                    /* [batch] */
    struct live *live;                      /* [batch]; NULL with a cache */
    void *made;                             /* by df_teacher_record */
    size_t made_room;
};

static size_t copies(const struct df_cell *student) { return student->schedule.flip ? 2 : 1; }

size_t df_teacher_records(const struct df_cell *student, const struct df_dataset *train) { return train->size * copies(student); }

void df_teacher_cache_key(const struct df_cell *student, const struct df_cell_teacher *by, const struct df_dataset *train,
                          const struct df_teacher_facts *facts, char key[17])
{
    const struct df_device_identity device = df_device_identity(student->device);
    const struct df_cell *teacher = by->cell;
    cJSON *canvas = df_options_write(df_canvas_option_table, &teacher->canvas);
    cJSON *network = df_options_write(df_network_option_table, &teacher->network);
    struct df_text text = DF_TEXT_INIT;
    struct df_teacher_plan plan;
    char hash[17];

    df_teacher_plan_of(by, &plan);
    df_text_addf(&text, "semantics %d teacher %s file %s ", DF_SEMANTICS, facts->parameters_hash, facts->contents_hash);
    df_json_canonical(network, &text);
    df_text_addf(&text, " detector %s %d data %d %s canvas ", teacher->detector->name, teacher->detector->revision,
                 student->data->class->revision, df_hash_text(hash, train->hash));
    df_json_canonical(canvas, &text);
    df_text_add(&text, " needs ");
    df_needs_text(&plan.recorded, ",", &text);
    df_text_addf(&text, " copies %zu device %s", copies(student), device.kind);
    if (df_device_varies(&device)) /* its bits are the card's */
        df_text_addf(&text, " %s", device.isa);
    df_hash_text(key, df_hash(text.data, text.length));
    df_text_release(&text);
    cJSON_Delete(network);
    cJSON_Delete(canvas);
}

/* The network, and what is known of it; what its file does not say is found out. */
static df_status open_network(struct df_teacher *teacher, const struct df_run_options *options, size_t classes, struct df_error *err)
{
    struct df_teacher_facts *facts = &teacher->facts;
    char hash[17];

    if (!teacher->cell->file[0] && !df_file_exists(teacher->path))
        return df_fail(err, DF_ERR_NOT_FOUND, "'%s' needs the teacher '%s', which is not there ['%s prepare' of its spec trains it]",
                       teacher->student->label, teacher->path, df_program());
    if (!teacher->cell->file[0])
        DF_TRY(df_teacher_check(teacher->cell, teacher->path, err));
    DF_TRY(df_teacher_facts_read(teacher->path, facts, err));
    DF_TRY(df_model_open(teacher->cell, classes, teacher->path, &teacher->model, err));
    df_hash_text(hash, df_parameters_hash(teacher->model.parameters));
    if (facts->parameters_hash[0] && strcmp(hash, facts->parameters_hash) != 0)
        return df_fail(err, DF_ERR_STALE, "the weights in teacher '%s' have hash %s, but %s is recorded [delete the file]", teacher->path,
                       hash, facts->parameters_hash);
    memcpy(facts->parameters_hash, hash, sizeof hash);
    df_detector_show(teacher->model.detector, &teacher->plan.recorded);
    teacher->tape = df_tape_new(teacher->model.device, false);
    if (facts->measured || !df_teacher_has_neck(teacher->cell))
        return DF_OK;
    return df_teacher_measure(teacher->cell, &teacher->model, options->skip_bad_images, facts, err);
}

/* The cache, where it is there. */
static df_status open_cache(struct df_teacher *teacher, const struct df_run_options *options, const struct df_dataset *train,
                            struct df_error *err)
{
    char key[17];

    if (options->cache == DF_CACHE_OFF)
        return DF_OK;
    df_teacher_cache_key(teacher->student, teacher->by, train, &teacher->facts, key);
    teacher->cache_path = df_store_cache(options->out, key);
    if (df_file_exists(teacher->cache_path)) {
        const size_t records = df_teacher_records(teacher->student, train);
        char *local = options->scratch ? df_scratch_copy(options->scratch, teacher->cache_path, key, records) : NULL;

        if (local) {
            free(teacher->cache_path);
            teacher->cache_path = local;
        }
        return df_cache_open(teacher->cache_path, key, records, &teacher->cache, err);
    }
    if (options->cache == DF_CACHE_ON)
        return df_fail(err, DF_ERR_NOT_FOUND,
                       "'%s' needs the teacher cache '%s', which is not there ['%s prepare' of its spec builds "
                       "it]",
                       teacher->student->label, teacher->cache_path, df_program());
    return DF_OK;
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

static df_status open_live(struct df_teacher *teacher, const struct df_run_options *options, struct df_dataset *train, struct df_error *err)
{
    const struct df_loader_config config = df_cell_loader(teacher->cell, train, options->skip_bad_images);

    teacher->own_canvas = !df_same_canvas(&teacher->cell->canvas, &teacher->student->canvas);
    teacher->live = df_calloc(teacher->batch, sizeof *teacher->live);
    return df_loader_new(&config, &teacher->loader, err);
}

static df_status set_up_teacher(struct df_teacher *teacher, const struct df_run_options *options, struct df_dataset *train,
                                struct df_error *err)
{
    DF_TRY(df_teacher_fits(teacher->student, teacher->by, train, &teacher->parts, err));
    DF_TRY(open_network(teacher, options, train->categories, err));
    for (size_t i = 0; i < teacher->parts.teacher.count; i++) {
        struct df_part *part = &teacher->parts.teacher.part[i];

        part->std = strncmp(part->name, "neck/", 5) == 0 ? teacher->facts.neck_std[part->level] : 0;
    }
    DF_TRY(open_cache(teacher, options, train, err));
    if (!teacher->cache)
        return open_live(teacher, options, train, err);
    if (!teacher->plan.network)
        release_network(teacher);
    return DF_OK;
}

df_status df_teacher_open(const struct df_cell *student, const struct df_cell_teacher *by, const struct df_run_options *options,
                          struct df_dataset *train, struct df_teacher **out, struct df_error *err)
{
    struct df_teacher *teacher = df_calloc(1, sizeof *teacher);

    *out = NULL;
    teacher->student = student;
    teacher->by = by;
    teacher->cell = by->cell;
    teacher->path = df_teacher_path(by->cell, options);
    teacher->batch = (size_t)student->schedule.batch;
    teacher->layout = df_calloc(teacher->batch, sizeof *teacher->layout);
    teacher->record = df_calloc(teacher->batch, sizeof *teacher->record);
    df_teacher_plan_of(by, &teacher->plan);

    const df_status status = set_up_teacher(teacher, options, train, err);

    if (status == DF_OK)
        *out = teacher;
    else
        df_teacher_close(teacher);
    return status;
}

void df_teacher_close(struct df_teacher *teacher)
{
    if (!teacher)
        return;
    df_cache_close(teacher->cache);
    df_loader_free(teacher->loader);
    release_network(teacher);
    free(teacher->path);
    free(teacher->cache_path);
    free(teacher->layout);
    free(teacher->record);
    free(teacher->made);
    free(teacher);
}

const struct df_taught_parts *df_teacher_parts(const struct df_teacher *teacher) { return &teacher->parts; }

const char *df_teacher_cache(const struct df_teacher *teacher) { return teacher->cache ? teacher->cache_path : NULL; }

const struct df_teacher_facts *df_teacher_facts_of(const struct df_teacher *teacher) { return &teacher->facts; }

struct df_device *df_teacher_device(const struct df_teacher *teacher) { return teacher->model.device; }

/* ---- asking ---- */

/* One image: the loader's batch of one, or one image of a student's batch. */
static void teacher_says(struct df_teacher *teacher, const struct df_batch *one, const struct df_needs *needs,
                         struct df_detection_state *state)
{
    struct df_detector *detector = teacher->model.detector;

    df_tape_reset(teacher->tape);
    df_detector_forward(detector, teacher->tape, one, df_detector_pass_for(detector, needs), state);
}

/* Of a live teacher: its record of image i of the batch, on the device. */
static df_status make_record(struct df_teacher *teacher, const struct df_batch *batch, size_t i, struct df_error *err)
{
    struct df_device *device = teacher->model.device;
    struct live *live = &teacher->live[i];
    struct df_detection_state state;
    const struct df_batch own = df_batch_one(batch, i), *one = &own;

    if (teacher->own_canvas)
        DF_TRY(df_loader_one(teacher->loader, batch->index[i], batch->flipped[i], &one, err));
    teacher_says(teacher, one, &teacher->plan.given, &state);
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
    DF_TRY(df_cache_record(teacher->cache, batch->index[i] * copies(teacher->student) + (batch->flipped[i] ? 1 : 0), &teacher->layout[i],
                           err));
    teacher->record[i] = teacher->layout[i];
    return DF_OK;
}

df_status df_teacher_state(struct df_teacher *teacher, df_tape *tape, const struct df_detection_state *student,
                           struct df_detection_state *out, struct df_error *err)
{
    const struct df_records records = { teacher->cache ? DF_RECORD_ON_HOST : DF_RECORD_ON_DEVICE, teacher->layout, teacher->record,
                                        &teacher->plan.given, &teacher->parts.teacher };

    DF_ASSERT(student->batch <= teacher->batch);
    for (size_t i = 0; i < student->batch; i++)
        DF_TRY(find_record(teacher, student->images, i, err));
    DF_TRY(df_record_state(&records, student, tape, out, err));
    if (teacher->plan.network)
        out->detector = teacher->model.detector;
    return DF_OK;
}

df_status df_teacher_record(struct df_teacher *teacher, size_t i, const struct df_record_layout **record, struct df_error *err)
{
    const size_t each = copies(teacher->student);
    struct df_detection_state state;
    struct df_record_layout layout;
    const struct df_batch *batch;

    DF_ASSERT(!teacher->cache);
    DF_TRY(df_loader_one(teacher->loader, i / each, i % each == 1, &batch, err));
    teacher_says(teacher, batch, &teacher->plan.recorded, &state);
    df_record_layout_of(&state, &teacher->plan.recorded, &layout);
    if (layout.bytes > teacher->made_room)
        teacher->made = df_realloc(teacher->made, teacher->made_room = layout.bytes);
    df_record_take(&layout, &state, teacher->model.device, DF_RECORD_ON_HOST, teacher->made);
    *record = teacher->made;
    return DF_OK;
}
