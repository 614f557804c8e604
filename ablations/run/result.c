/* A run from its cell to its row: training, the export, the evaluation of what was exported, the row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/run/environment.h"
#include "ablations/run/model.h"
#include "ablations/run/store.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"

volatile int df_run_stop;

static void score_row(const struct df_dataset *dataset, const struct df_coco_scores *scores, struct df_run_result *result)
{
    struct df_scores *out = &result->row.scores;

    for (size_t m = 0; m < DF_COCO_METRICS; m++)
        df_scores_add(out, result->memory, (struct df_score){ df_coco_metric_names[m], "", scores->value[m] });
    for (size_t k = 0; k < scores->categories; k++)
        df_scores_add(out, result->memory,
                      (struct df_score){ df_coco_metric_names[DF_AP], dataset->category[k].name, scores->class_ap[k] });
}

static df_status write_results(const struct df_cell *cell, const char *out, const struct df_detection *detections, size_t count,
                               struct df_error *err)
{
    char *path = df_store_cell_file(out, cell, DF_CELL_RESULTS);
    const df_status status = df_coco_results_write(path, detections, count, err);

    free(path);
    return status;
}

/* Everybody else sees the exported file: so does the evaluation. */
static df_status evaluate_export(const struct df_cell *cell, const struct df_run_options *options, const char *weights,
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
    status = df_model_open(cell, validation->categories, weights, &model, err);
    if (status == DF_OK)
        status = df_evaluator_new(cell, validation, model.device, false, &evaluator, err);
    if (status == DF_OK)
        status = df_evaluator_run(evaluator, model.detector, 0, label, &detections, &count, err);
    if (status == DF_OK)
        status = df_evaluate_detections(validation, 0, detections, count, &scores, err);
    if (status == DF_OK)
        score_row(validation, &scores, result);
    if (status == DF_OK && options->export_results)
        status = write_results(cell, options->out, detections, count, err);
    df_coco_scores_release(&scores);
    df_evaluator_free(evaluator);
    df_model_release(&model);
    return status;
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
    result->row.environment = df_arena_strdup(result->memory, text.data);
    df_text_release(&text);
}

/* Training and the export; what training held is given back before the evaluation. */
static df_status train_part(const struct df_cell *cell, const struct df_run_options *options, const char *position, const char *weights,
                            struct df_run_result *result, struct df_error *err)
{
    struct df_learning learning = { .memory = result->memory };
    struct df_trainer *trainer;
    double seconds = 0;

    DF_TRY(df_trainer_new(cell, options, &trainer, err));

    df_status status = df_train(trainer, options->resume ? position : NULL, &learning, &seconds, err);

    if (status == DF_OK)
        status = export_student(cell, trainer, weights, err);
    if (status == DF_OK) {
        add_environment(cell, trainer, result);
        result->row.curve = learning.curve;
        result->row.train_seconds = seconds;
        result->row.images_per_second = (double)trainer->steps * (double)cell->schedule.batch / seconds;
        if (df_loader_skipped(trainer->loader))
            df_warn("%zu training images could not be read and were replaced by empty ones", df_loader_skipped(trainer->loader));
    }
    (void)df_anonymous_peak_bytes();
    df_trainer_free(trainer);
    return status;
}

static char *keep_utc(struct df_arena *memory)
{
    char utc[24];

    df_utc(utc);
    return df_arena_strdup(memory, utc);
}

static df_status run_parts(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result *result,
                           struct df_error *err)
{
    char *folder = df_store_cell_folder(options->out, cell), *position = df_store_cell_file(options->out, cell, DF_CELL_POSITION);
    char *weights = df_store_cell_file(options->out, cell, DF_CELL_WEIGHTS);
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK)
        status = train_part(cell, options, position, weights, result, err);

    const double start = df_now();

    if (status == DF_OK)
        status = evaluate_export(cell, options, weights, result, err);
    if (status == DF_OK) {
        result->row.eval_seconds = df_now() - start;
        result->row.peak_anonymous_bytes = (int64_t)df_anonymous_peak_bytes();
        result->row.finished = keep_utc(result->memory);
        unlink(position);
    }
    free(folder);
    free(position);
    free(weights);
    return status;
}

df_status df_run_cell(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out, struct df_error *err)
{
    struct df_run_result *result = df_calloc(1, sizeof *result);

    *out = NULL;
    DF_ASSERT(cell->id[0]);
    result->memory = df_calloc(1, sizeof *result->memory);
    df_arena_init(result->memory, NULL, 4096);
    result->row = df_store_row(cell, result->memory);
    result->row.started = keep_utc(result->memory);

    const df_status status = run_parts(cell, options, result, err);

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
