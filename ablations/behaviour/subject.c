#include "ablations/behaviour/subject.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "ablations/run/teacher_kind.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/checkpoint.h"

char *df_subject_file(const struct df_cell *cell, const char *out)
{
    if (cell->teacher_role)
        return cell->file[0] ? df_strdup(cell->file) : df_store_teacher(out, cell->id);
    return df_store_cell_file(out, cell, DF_CELL_WEIGHTS);
}

/* A file says which cell's run wrote it. One that is given as a teacher is what the spec says it is, whoever wrote it. */
static df_status check_owner(const struct df_cell *cell, const char *path, struct df_error *err)
{
    cJSON *metadata;

    if (cell->teacher_role && cell->file[0])
        return DF_OK;
    DF_TRY(df_checkpoint_metadata(path, &metadata, err));
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "id"));
    const df_status status = id && strcmp(id, cell->id) == 0
                                 ? DF_OK
                                 : df_fail(err, DF_ERR_STALE, "'%s': weights of run %.80s, expected those of '%s', run %s", path,
                                           id ? id : "(it says none)", cell->label, cell->id);

    cJSON_Delete(metadata);
    return status;
}

static df_status check_cell(const struct df_cell *cell, const struct df_dataset *images, struct df_error *err)
{
    if (cell->teacher_role && df_teacher_kind_of(cell)->class)
        return df_fail(err, DF_ERR_UNSUPPORTED, "'%s' is no detector: it says nothing of where things are", cell->label);
    if (cell->classes && cell->classes != images->categories)
        return df_fail(err, DF_ERR_UNSUPPORTED, "the network of '%s' knows %zu classes, the data have %zu (expected the same)", cell->label,
                       cell->classes, images->categories);
    return DF_OK;
}

static df_status open_file(const char *path, struct df_subject *subject, struct df_error *err)
{
    if (!df_file_exists(path))
        return df_fail(err, DF_ERR_NOT_FOUND, "'%s': the weights of '%s' are not there", path, subject->cell->label);
    DF_TRY(check_owner(subject->cell, path, err));
    DF_TRY(df_file_hash(path, subject->weights, err));
    DF_TRY(df_model_open(subject->cell, subject->images->categories, path, &subject->model, err));
    subject->tape = df_tape_new(subject->model.device, false);
    return DF_OK;
}

df_status df_subject_open_on(const struct df_cell *cell, struct df_data *data, enum df_split split, const char *weights, const char *out,
                             struct df_subject *subject, struct df_error *err)
{
    *subject = (struct df_subject){ .cell = cell };
    DF_TRY(df_data_split(data, split, &subject->images, err));
    DF_TRY(check_cell(cell, subject->images, err));
    char *path = weights ? df_strdup(weights) : df_subject_file(cell, out);
    const df_status status = open_file(path, subject, err);

    free(path);
    return status;
}

df_status df_subject_open(const struct df_cell *cell, enum df_split split, const char *weights, const char *out, struct df_subject *subject,
                          struct df_error *err)
{
    return df_subject_open_on(cell, cell->data, split, weights, out, subject, err);
}

void df_subject_close(struct df_subject *subject)
{
    df_tape_free(subject->tape);
    if (subject->model.device)
        df_model_release(&subject->model);
    *subject = (struct df_subject){ 0 };
}

/* ---- canvases ---- */

static size_t canvas_numbers(const struct df_batch *batch) { return batch->height * batch->width * 3; }

static void *take(char **at, size_t bytes)
{
    void *memory = *at;

    *at += (bytes + 63) / 64 * 64;
    return memory;
}

/* `room` times the element of that size. */
static void *repeat(char **at, const void *element, size_t bytes, size_t room)
{
    char *memory = take(at, room * bytes);

    for (size_t i = 0; i < room; i++)
        memcpy(memory + i * bytes, element, bytes);
    return memory;
}

void df_canvases_init(struct df_canvases *canvases, const struct df_batch *image, size_t room)
{
    const size_t pixels = canvas_numbers(image) * sizeof(df_real);
    const size_t each = pixels + sizeof *image->truth + sizeof *image->index + sizeof *image->flipped + sizeof *image->valid_h +
                        sizeof *image->valid_w + sizeof *image->scale_x + sizeof *image->scale_y;
    struct df_batch batch = *image;

    DF_ASSERT(image->n == 1);
    canvases->memory = df_malloc(room * each + 8 * 64);
    canvases->room = batch.n = room;
    char *at = canvases->memory;

    batch.pixels = take(&at, room * pixels);
    batch.truth = repeat(&at, image->truth, sizeof *image->truth, room);
    batch.index = repeat(&at, image->index, sizeof *image->index, room);
    batch.flipped = repeat(&at, image->flipped, sizeof *image->flipped, room);
    batch.valid_h = repeat(&at, image->valid_h, sizeof *image->valid_h, room);
    batch.valid_w = repeat(&at, image->valid_w, sizeof *image->valid_w, room);
    batch.scale_x = repeat(&at, image->scale_x, sizeof *image->scale_x, room);
    batch.scale_y = repeat(&at, image->scale_y, sizeof *image->scale_y, room);
    canvases->batch = batch;
}

void df_canvases_release(struct df_canvases *canvases)
{
    free(canvases->memory);
    *canvases = (struct df_canvases){ 0 };
}

df_real *df_canvas_pixels(struct df_canvases *canvases, size_t i) { return canvases->batch.pixels + i * canvas_numbers(&canvases->batch); }

df_real df_canvas_value(const struct df_canvas_options *canvas, double value, int c)
{
    return (df_real)((value / 255.0 - canvas->mean.value[c]) / canvas->std.value[c]);
}

/* ---- asking ---- */

const struct df_answer *df_subject_ask(struct df_subject *subject, const struct df_batch *batch)
{
    struct df_detector *detector = subject->model.detector;
    struct df_detection_state state;
    struct df_answer *answers;

    df_tape_reset(subject->tape);
    answers = df_tape_host(subject->tape, batch->n * sizeof *answers);
    df_detector_forward(detector, subject->tape, batch, 0, &state);
    for (size_t i = 0; i < batch->n; i++)
        answers[i].found = detector->class->predict(detector, subject->tape, &state, i, true, &answers[i].count);
    return answers;
}
