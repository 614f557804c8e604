/* A run from its cell to its row: training, the export, the evaluation of what was exported, the row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/run/environment.h"
#include "ablations/run/model.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"

#ifndef DF_REVISION
#define DF_REVISION "unknown"
#endif

volatile int df_run_stop;

const char *df_run_revision(void) { return DF_REVISION; }

struct run_paths {
    char *folder, *position, *weights, *results;
};

/* <out>/<spec>/runs/<id>, or <out>/teachers/<id> for a teacher. */
static void paths_init(struct run_paths *paths, const struct df_cell *cell, const char *out)
{
    struct df_text folder = DF_TEXT_INIT;

    if (cell->teacher_role)
        df_text_addf(&folder, "%s/teachers/%s", out, cell->id);
    else
        df_text_addf(&folder, "%s/%s/runs/%s", out, cell->spec, cell->id);
    paths->folder = folder.data;
    paths->position = df_path_join(folder.data, "position.safetensors");
    paths->weights = df_path_join(folder.data, "student.safetensors");
    paths->results = df_path_join(folder.data, "results.json");
}

static void paths_release(struct run_paths *paths)
{
    free(paths->folder);
    free(paths->position);
    free(paths->weights);
    free(paths->results);
}

static char *keep(struct df_arena *memory, const char *text)
{
    const size_t bytes = strlen(text) + 1;

    return memcpy(df_arena_alloc(memory, bytes), text, bytes);
}

/* "disk=0.31;ring=0.28"; a name's own ';' and '=' become '_' */
static char *class_ap_text(const struct df_dataset *dataset, const struct df_coco_scores *scores, struct df_arena *memory)
{
    struct df_text text = DF_TEXT_INIT;
    char number[32];

    for (size_t k = 0; k < scores->categories; k++) {
        df_text_add(&text, k ? ";" : "");
        for (const char *c = dataset->category[k].name; *c; c++)
            df_text_addf(&text, "%c", *c == ';' || *c == '=' ? '_' : *c);
        df_text_addf(&text, "=%s", df_format_real(number, scores->class_ap[k]));
    }

    char *copy = keep(memory, df_text_get(&text));

    df_text_release(&text);
    return copy;
}

static void score_row(const struct df_dataset *dataset, const struct df_coco_scores *scores, struct df_run_result *result)
{
    _Static_assert((int)DF_METRICS == (int)DF_COCO_METRICS, "the journal holds COCO's numbers");
    memcpy(result->row.metric, scores->value, sizeof result->row.metric);
    result->row.class_ap = class_ap_text(dataset, scores, result->memory);
}

/* Everybody else sees the exported file: so does the evaluation. */
static df_status evaluate_export(const struct df_cell *cell, const struct df_run_options *options, const struct run_paths *paths,
                                 struct df_run_result *result, struct df_error *err)
{
    const char *label = options->quiet ? NULL : "validation";
    const struct df_detection *detections = NULL;
    struct df_coco_scores scores = { 0 };
    struct df_evaluator *evaluator = NULL;
    struct df_dataset *validation;
    struct df_model model = { 0 };
    size_t count = 0;
    df_status status;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));
    status = df_model_open(cell, validation->categories, paths->weights, &model, err);
    if (status == DF_OK)
        status = df_evaluator_new(cell, validation, model.device, false, &evaluator, err);
    if (status == DF_OK)
        status = df_evaluator_run(evaluator, model.detector, 0, label, &detections, &count, err);
    if (status == DF_OK)
        status = df_evaluate_detections(validation, 0, detections, count, &scores, err);
    if (status == DF_OK)
        score_row(validation, &scores, result);
    if (status == DF_OK && options->export_results)
        status = df_coco_results_write(paths->results, detections, count, err);
    df_coco_scores_release(&scores);
    df_evaluator_free(evaluator);
    df_model_release(&model);
    return status;
}

static void start_row(const struct df_cell *cell, struct df_run_result *result)
{
    const struct df_device_identity device = df_device_identity(cell->device);
    char utc[24];

    df_utc(utc);
    result->row = (struct df_run_row){
        .schema = DF_JOURNAL_SCHEMA,
        .semantics = DF_SEMANTICS,
        .run = keep(result->memory, cell->id),
        .spec = keep(result->memory, cell->spec),
        .label = keep(result->memory, cell->label),
        .axes = keep(result->memory, cell->axes),
        .cell = keep(result->memory, df_text_get(&cell->json)),
        .seed = cell->seed,
        .status = "ok",
        .class_ap = "",
        .revision = df_run_revision(),
        .device = keep(result->memory, device.kind),
        .environment = "",
        .started = keep(result->memory, utc),
        .finished = "",
    };
    for (size_t i = 0; i < DF_METRICS; i++)
        result->row.metric[i] = NAN;
}

static df_status export_student(const struct df_cell *cell, const struct df_trainer *trainer, const char *path, struct df_error *err)
{
    const struct df_metadata metadata[] = { { "format", "defeat student" }, { "id", cell->id }, { "cell", df_text_get(&cell->json) } };

    return df_checkpoint_write(path, trainer->model.parameters, trainer->own_parameters, false, metadata, 3, err);
}

static void add_environment(const struct df_cell *cell, const struct df_trainer *trainer, struct df_run_result *result)
{
    struct df_text text = DF_TEXT_INIT;

    df_run_environment(cell, trainer->model.device, trainer->teacher ? df_teacher_hash(trainer->teacher) : NULL, &text);
    result->row.environment = keep(result->memory, text.data);
    df_text_release(&text);
}

/* Training and the export; what training held is given back before the evaluation. */
static df_status train_part(const struct df_cell *cell, const struct df_run_options *options, const struct run_paths *paths,
                            struct df_run_result *result, struct df_error *err)
{
    struct df_curve curve = { .memory = result->memory };
    struct df_trainer *trainer;
    double seconds = 0;

    DF_TRY(df_trainer_new(cell, options, &trainer, err));

    df_status status = df_train(trainer, options->resume ? paths->position : NULL, &curve, &seconds, err);

    if (status == DF_OK)
        status = export_student(cell, trainer, paths->weights, err);
    if (status == DF_OK) {
        add_environment(cell, trainer, result);
        for (size_t i = 0; i < curve.count; i++)
            curve.row[i].run = result->row.run;
        result->curve = curve.row;
        result->curves = curve.count;
        result->row.train_seconds = seconds;
        result->row.images_per_second = (double)trainer->steps * (double)cell->schedule.batch / seconds;
        if (df_loader_skipped(trainer->loader))
            df_warn("%zu training images could not be read and were replaced by empty ones", df_loader_skipped(trainer->loader));
    }
    (void)df_anonymous_peak_bytes();
    df_trainer_free(trainer);
    return status;
}

static df_status run_parts(const struct df_cell *cell, const struct df_run_options *options, const struct run_paths *paths,
                           struct df_run_result *result, struct df_error *err)
{
    char utc[24];
    double start;

    DF_TRY(df_folder_make(paths->folder, err));
    DF_TRY(train_part(cell, options, paths, result, err));
    start = df_now();
    DF_TRY(evaluate_export(cell, options, paths, result, err));
    result->row.eval_seconds = df_now() - start;
    result->row.peak_anonymous_bytes = (int64_t)df_anonymous_peak_bytes();
    df_utc(utc);
    result->row.finished = keep(result->memory, utc);
    unlink(paths->position);
    return DF_OK;
}

df_status df_run_cell(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out, struct df_error *err)
{
    struct df_run_result *result = df_calloc(1, sizeof *result);
    struct run_paths paths;

    *out = NULL;
    DF_ASSERT(cell->id[0]);
    result->memory = df_calloc(1, sizeof *result->memory);
    df_arena_init(result->memory, NULL, 4096);
    paths_init(&paths, cell, options->out);
    start_row(cell, result);

    const df_status status = run_parts(cell, options, &paths, result, err);

    paths_release(&paths);
    if (status != DF_OK) {
        df_run_result_free(result);
        return status;
    }
    *out = result;
    return DF_OK;
}

void df_run_result_free(struct df_run_result *result)
{
    if (!result)
        return;
    df_arena_release(result->memory);
    free(result->memory);
    free(result);
}
