/* Teachers: trained once, written with what was measured about them, checked by the gate before anything is taught. */
#include "ablations/run/teacher.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ablations/run/evaluate.h"
#include "ablations/run/model.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/checkpoint.h"

df_status df_lock_wait(const char *path, int *fd, struct df_error *err)
{
    const struct timespec pause = { 0, 100 * 1000 * 1000 };

    for (;;) {
        DF_TRY(df_lock(path, true, fd, err));
        if (*fd >= 0)
            return DF_OK;
        if (df_run_stop)
            return df_fail(err, DF_ERR_INTERRUPTED, "interrupted while waiting for '%s'", path);
        nanosleep(&pause, NULL);
    }
}

/* ---- kinds ---- */

static void detector_says(struct df_model *model, df_tape *tape, const struct df_batch *images, struct df_detection_state *state)
{
    df_detector_forward(model->detector, tape, images, DF_FIRST_STAGE, state);
}

static const struct df_teacher_kind detector_kind = { "detector", "a detector of this program", detector_says };
const struct df_teacher_kind *const df_teacher_kinds[] = { &detector_kind, NULL };

const struct df_teacher_kind *df_teacher_kind_find(const char *name, struct df_error *err)
{
    struct df_text names = DF_TEXT_INIT;

    for (size_t i = 0; df_teacher_kinds[i]; i++) {
        if (strcmp(df_teacher_kinds[i]->name, name) == 0)
            return df_teacher_kinds[i];
        df_text_addf(&names, "%s'%s'", i ? ", " : "", df_teacher_kinds[i]->name);
    }
    df_fail(err, DF_ERR_UNSUPPORTED, "teacher kind '%s' is none of this version's (there is %s)", name, df_text_get(&names));
    df_text_release(&names);
    return NULL;
}

/* ---- files ---- */

char *df_teacher_path(const struct df_cell *student, const struct df_run_options *options)
{
    const struct df_cell *teacher = student->teacher;

    return teacher->file[0] ? df_strdup(teacher->file) : df_store_teacher(options->out, teacher->id);
}

df_status df_teacher_neck_std(const struct df_cell *cell, struct df_model *model, struct df_dataset *train, bool skip_bad, size_t *levels,
                              double neck_std[DF_LEVELS], struct df_error *err)
{
    const struct df_loader_config config = df_cell_loader(cell, train, skip_bad);
    const size_t images = train->size < DF_NECK_STD_IMAGES ? train->size : DF_NECK_STD_IMAGES;
    double sum[DF_LEVELS] = { 0 }, squares[DF_LEVELS] = { 0 }, count[DF_LEVELS] = { 0 };
    struct df_loader *loader;
    df_status status = DF_OK;

    DF_TRY(df_loader_new(&config, &loader, err));

    df_tape *tape = df_tape_new(model->device, false);

    for (size_t i = 0; i < images && status == DF_OK; i++) {
        struct df_detection_state state = { 0 };
        const struct df_batch *batch;

        status = df_loader_one(loader, i, false, &batch, err);
        if (status != DF_OK)
            break;
        df_tape_reset(tape);
        df_detector_forward(model->detector, tape, batch, DF_FIRST_STAGE, &state);
        *levels = state.levels;
        for (size_t l = 0; l < state.levels; l++) {
            const struct df_part *neck = df_part(&state, "neck", l);
            const df_real *host = df_part_host(tape, neck);
            const size_t n = df_count(neck->shape);

            for (size_t j = 0; j < n; j++) {
                sum[l] += (double)host[j];
                squares[l] += (double)host[j] * (double)host[j];
            }
            count[l] += (double)n;
        }
    }
    for (size_t l = 0; l < DF_LEVELS && status == DF_OK; l++)
        neck_std[l] = count[l] > 0 ? sqrt(fmax(0, squares[l] / count[l] - sum[l] / count[l] * (sum[l] / count[l]))) : 0;
    df_tape_free(tape);
    df_loader_free(loader);
    return status;
}

/* mAP on the first images of the validation split. */
static df_status gate_map(const struct df_cell *cell, struct df_model *model, struct df_dataset *validation, size_t images, double *map,
                          struct df_error *err)
{
    struct df_coco_scores scores = { 0 };
    struct df_detection *detections;
    size_t count;

    DF_TRY(df_model_predict(model, cell, validation, images, true, &detections, &count, err));

    const df_status status = df_evaluate_detections(validation, images, detections, count, &scores, err);

    free(detections);
    if (status != DF_OK)
        return status;
    *map = scores.value[DF_AP];
    df_coco_scores_release(&scores);
    return DF_OK;
}

static void add_reals(struct df_text *text, const double *values, size_t n)
{
    char number[32];

    for (size_t i = 0; i < n; i++)
        df_text_addf(text, "%s%s", i ? "," : "", df_format_real(number, values[i]));
}

static df_status measure(const struct df_cell *cell, struct df_model *model, bool skip_bad, struct df_teacher_facts *facts,
                         struct df_error *err)
{
    struct df_dataset *train, *validation;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));
    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));
    DF_TRY(df_teacher_neck_std(cell, model, train, skip_bad, &facts->levels, facts->neck_std, err));
    facts->gate_images = validation->size < DF_GATE_IMAGES ? validation->size : DF_GATE_IMAGES;
    return gate_map(cell, model, validation, facts->gate_images, &facts->gate_map, err);
}

df_status df_teacher_write(const struct df_cell *cell, struct df_model *model, double map, bool skip_bad, const char *path,
                           struct df_error *err)
{
    const struct df_device_identity device = df_device_identity(cell->device);
    struct df_teacher_facts facts = { 0 };
    struct df_text neck = DF_TEXT_INIT;
    char hash[17], map_text[32], gate_text[32], images_text[32];

    DF_TRY(measure(cell, model, skip_bad, &facts, err));
    add_reals(&neck, facts.neck_std, facts.levels);
    snprintf(images_text, sizeof images_text, "%zu", facts.gate_images);

    const struct df_metadata metadata[] = {
        { "format", "defeat teacher" },
        { "id", cell->id },
        { "cell", df_text_get(&cell->json) },
        { "map", df_format_real(map_text, map) },
        { "gate_map", df_format_real(gate_text, facts.gate_map) },
        { "gate_images", images_text },
        { "neck_std", df_text_get(&neck) },
        { "parameters_hash", df_hash_text(hash, df_parameters_hash(model->parameters)) },
        { "device", device.kind },
        { "isa", device.isa },
    };
    const df_status status = df_checkpoint_write(path, model->parameters, 0, false, metadata, sizeof metadata / sizeof *metadata, err);

    df_text_release(&neck);
    return status;
}

static const char *metadata_text(const cJSON *metadata, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(metadata, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static bool metadata_real(const cJSON *metadata, const char *key, double *out)
{
    const char *text = metadata_text(metadata, key);

    return text && df_parse_real(text, out);
}

/* "14.1,8.7,4.2" */
static size_t parse_reals(const char *text, double *out, size_t most)
{
    size_t n = 0;

    while (text && *text && n < most) {
        char word[40];
        const size_t length = strcspn(text, ",");

        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        if (!df_parse_real(word, &out[n]))
            return 0;
        n++;
        text += length + (text[length] == ',');
    }
    return n;
}

/* What the file says, which has been compared; of one from elsewhere the hash of its bytes. */
static df_status contents_hash(const char *path, const cJSON *metadata, char hash[17], struct df_error *err)
{
    const char *recorded = metadata_text(metadata, "contents_hash");

    if (!recorded)
        return df_file_hash(path, hash, err);
    snprintf(hash, 17, "%s", recorded);
    return DF_OK;
}

static void copy_word(char *to, size_t room, const char *from) { snprintf(to, room, "%s", from ? from : ""); }

df_status df_teacher_facts_read(const char *checkpoint, struct df_teacher_facts *out, struct df_error *err)
{
    struct df_teacher_facts facts = { 0 };
    cJSON *metadata;
    double images = 0;

    DF_TRY(df_checkpoint_metadata(checkpoint, &metadata, err));
    facts.map = NAN;
    (void)metadata_real(metadata, "map", &facts.map);
    facts.gated = metadata_real(metadata, "gate_map", &facts.gate_map) && metadata_real(metadata, "gate_images", &images) && images >= 1;
    facts.gate_images = facts.gated ? (size_t)images : 0;
    facts.levels = parse_reals(metadata_text(metadata, "neck_std"), facts.neck_std, DF_LEVELS);
    facts.measured = facts.levels > 0;
    copy_word(facts.id, sizeof facts.id, metadata_text(metadata, "id"));
    copy_word(facts.parameters_hash, sizeof facts.parameters_hash, metadata_text(metadata, "parameters_hash"));
    copy_word(facts.device, sizeof facts.device, metadata_text(metadata, "device"));
    copy_word(facts.isa, sizeof facts.isa, metadata_text(metadata, "isa"));

    const df_status status = contents_hash(checkpoint, metadata, facts.contents_hash, err);

    cJSON_Delete(metadata);
    if (status == DF_OK)
        *out = facts;
    return status;
}

/* A file under a teacher's name must be that teacher. */
static df_status check_identity(const struct df_cell *cell, const char *path, struct df_error *err)
{
    struct df_teacher_facts facts;

    DF_TRY(df_teacher_facts_read(path, &facts, err));
    if (strcmp(facts.id, cell->id) != 0)
        return df_fail(err, DF_ERR_STALE, "teacher '%s' says that it is '%s' (expected '%s') [delete the file: it will be trained again]",
                       path, facts.id, cell->id);
    return DF_OK;
}

/* Trains, reads the weights back as everybody will, measures, writes. */
static df_status train_teacher(const struct df_cell *cell, const struct df_run_options *options, const char *path, struct df_error *err)
{
    char *weights = df_store_cell_file(options->out, cell, DF_CELL_WEIGHTS);
    struct df_run_result *result = NULL;
    struct df_model model = { 0 };
    df_status status = df_run_cell(cell, options, &result, err);

    if (status == DF_OK)
        status = df_model_load(cell, weights, &model, err);
    if (status == DF_OK)
        status = df_teacher_write(cell, &model, df_run_row_score(&result->row, df_coco_metric_names[DF_AP], ""), options->skip_bad_images,
                                  path, err);
    if (status == DF_OK)
        unlink(weights);
    df_model_release(&model);
    df_run_result_free(result);
    free(weights);
    return status;
}

static df_status ensure_locked(const struct df_cell *cell, const struct df_run_options *options, const char *path, struct df_error *err)
{
    char *lock = df_store_teacher_lock(options->out, cell->id);
    df_status status;
    int fd = -1;

    status = df_lock_wait(lock, &fd, err);
    free(lock);
    if (status != DF_OK)
        return status;
    if (!df_file_exists(path)) /* else another process trained it while this one waited */
        status = train_teacher(cell, options, path, err);
    df_unlock(fd);
    return status;
}

df_status df_teacher_ensure(const struct df_cell *cell, const struct df_run_options *options, char **path, struct df_error *err)
{
    char *folder = df_store_teachers(options->out), *file = df_store_teacher(options->out, cell->id);
    df_status status = DF_OK;

    *path = NULL;
    if (!df_file_exists(file)) {
        status = df_folder_make(folder, err);
        if (status == DF_OK)
            status = ensure_locked(cell, options, file, err);
    }
    if (status == DF_OK)
        status = check_identity(cell, file, err);
    free(folder);
    if (status == DF_OK)
        *path = file;
    else
        free(file);
    return status;
}

/* The recorded number against the measured one. */
static df_status compare(const char *path, const struct df_teacher_facts *facts, const char *device, double map, struct df_error *err)
{
    const struct df_device_identity here = df_device_identity(device);
    const bool same_machine = strcmp(facts->device, here.kind) == 0 && strcmp(facts->isa, here.isa) == 0;
    const double allowed = same_machine ? 0 : 0.005;
    char found[32], expected[32];

    if (fabs(map - facts->gate_map) <= allowed)
        return DF_OK;
    return df_fail(
        err, DF_ERR_CHECK,
        "teacher gate: '%s' reaches %s mAP on the first %zu validation images, but %s is recorded (allowed difference %g on %s) [delete "
        "the teacher to train it again]",
        path, df_format_real(found, map), facts->gate_images, df_format_real(expected, facts->gate_map), allowed,
        same_machine ? "the same device and instruction set" : "another device or instruction set");
}

static df_status run_gate(const struct df_cell *cell, const char *path, const struct df_teacher_facts *facts, struct df_error *err)
{
    struct df_dataset *validation;
    struct df_model model = { 0 };
    char hash[17];
    double map = 0;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));

    df_status status = df_model_open(cell, validation->categories, path, &model, err);

    if (status == DF_OK && facts->parameters_hash[0] &&
        strcmp(df_hash_text(hash, df_parameters_hash(model.parameters)), facts->parameters_hash) != 0)
        status = df_fail(err, DF_ERR_CHECK,
                         "teacher gate: the weights in '%s' have hash %s, but %s is recorded [delete the teacher to train it again]", path,
                         hash, facts->parameters_hash);
    if (status == DF_OK)
        status = gate_map(cell, &model, validation, facts->gate_images, &map, err);
    if (status == DF_OK)
        status = compare(path, facts, cell->device, map, err);
    df_model_release(&model);
    return status;
}

df_status df_teacher_gate(const struct df_cell *student_cell, const struct df_run_options *options, struct df_error *err)
{
    const struct df_cell *cell = student_cell->teacher;
    char *path = df_teacher_path(student_cell, options);
    struct df_teacher_facts facts;
    df_status status = cell->file[0] ? DF_OK : check_identity(cell, path, err);

    if (status == DF_OK)
        status = df_teacher_facts_read(path, &facts, err);
    if (status == DF_OK && !facts.gated)
        df_warn("teacher '%s' has no recorded mAP: the teacher gate cannot check it", path);
    else if (status == DF_OK && cell->classes)
        df_warn("teacher '%s' has %zu classes of its own: the teacher gate cannot check it on these data", path, cell->classes);
    else if (status == DF_OK)
        status = run_gate(cell, path, &facts, err);
    free(path);
    return status;
}
