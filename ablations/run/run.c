#include "ablations/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ablations/run/described.h"
#include "ablations/run/environment.h"
#include "ablations/run/store.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/nn/averages.h"
#include "core/nn/checkpoint.h"

/* A run at work. */
struct run {
    const struct df_cell *cell;
    const struct df_run_options *options;
    char *folder, *weights, *position;
    struct df_model last; /* the network as the last step left it, where the averaged one is exported; else there is none */
    struct df_run_result *result;
};

static void score_row(const struct df_dataset *dataset, const struct df_coco_scores *scores, struct df_run_result *result)
{
    struct df_scores *out = &result->row.scores;

    for (size_t m = 0; m < DF_COCO_METRICS; m++)
        df_scores_add(out, result->memory, (struct df_score){ df_coco_metric_names[m], "", scores->value[m] });
    for (size_t k = 0; k < scores->categories; k++) {
        struct df_text label = DF_TEXT_INIT;

        df_category_label(dataset->category, dataset->categories, k, &label);
        df_scores_add(out, result->memory, (struct df_score){ df_coco_metric_names[DF_AP], df_text_get(&label), scores->class_ap[k] });
        df_text_release(&label);
    }
}

static df_status write_results(const struct run *run, const struct df_evaluator *evaluator, struct df_error *err)
{
    char *path = df_store_cell_file(run->options->out, run->cell, DF_CELL_RESULTS);
    size_t count;
    const struct df_detection *detections = df_evaluator_detections(evaluator, &count);
    const df_status status = df_coco_results_write(path, detections, count, err);

    free(path);
    return status;
}

/* The scores of the networks that a run leaves: of the export's and, where that is the averaged one, of the last step's. */
static df_status score_run(const struct run *run, const struct df_coco_scores *scores, const struct df_evaluator *export,
                           const struct df_dataset *dataset, struct df_error *err)
{
    score_row(dataset, &scores[0], run->result);
    if (run->last.detector)
        df_scores_add(&run->result->row.scores, run->result->memory, (struct df_score){ DF_AP_LAST, "", scores[1].value[DF_AP] });
    return run->options->export_results ? write_results(run, export, err) : DF_OK;
}

static df_status evaluate_models(const struct run *run, const struct df_model *export, struct df_error *err)
{
    struct df_evaluation what = { .cell = run->cell, .label = run->options->quiet ? NULL : "validation" };
    const struct df_model *model[] = { export, &run->last };
    const size_t models = run->last.detector ? 2 : 1;
    struct df_detector *detector[] = { export->detector, run->last.detector };
    struct df_evaluator *evaluator[2] = { 0 };
    struct df_coco_scores scores[2] = { 0 };
    df_status status = DF_OK;

    DF_TRY(df_data_split(run->cell->data, DF_VALIDATION, &what.dataset, err));
    for (size_t k = 0; k < models && status == DF_OK; k++)
        status = df_evaluator_new(&what, model[k]->device, &evaluator[k], err);
    if (status == DF_OK)
        status = df_evaluators_run(models, evaluator, detector, scores, err);
    if (status == DF_OK)
        status = score_run(run, scores, evaluator[0], what.dataset, err);
    for (size_t k = 0; k < models; k++) {
        df_coco_scores_release(&scores[k]);
        df_evaluator_free(evaluator[k]);
    }
    return status;
}

/* Everybody else sees the exported file: so does the evaluation. */
static df_status evaluate_run(const struct run *run, struct df_error *err)
{
    const double start = df_now();
    struct df_model export;

    DF_TRY(df_model_load(run->cell, run->weights, &export, err));

    const df_status status = evaluate_models(run, &export, err);

    df_model_release(&export);
    run->result->row.eval_seconds = df_now() - start;
    return status;
}

static df_status export_student(const struct run *run, const struct df_student *student, struct df_error *err)
{
    struct df_text classes = DF_TEXT_INIT;
    struct df_dataset *train;

    DF_TRY(df_data_split(run->cell->data, DF_TRAIN, &train, err));
    df_classes_text(train, &classes);

    const struct df_metadata metadata[] = { { "format", "defeat student" },
                                            { "id", run->cell->id },
                                            { "cell", df_text_get(&run->cell->json) },
                                            { "classes", df_text_get(&classes) } };
    const struct df_checkpoint file = {
        .parameters = student->model.parameters, .count = student->own_parameters, .metadata = metadata, .metadata_count = 4
    };
    df_averages_swap(student->model.parameters); /* what a run leaves */

    const df_status status = df_checkpoint_write(run->weights, file, err);

    df_averages_swap(student->model.parameters);
    df_text_release(&classes);
    return status;
}

/* A teacher has no row that could tell its score. */
static df_status keep_last(struct run *run, const struct df_student *student, struct df_error *err)
{
    return student->model.parameters->average && !run->cell->teacher_role ? df_model_copy(run->cell, &student->model, &run->last, err)
                                                                          : DF_OK;
}

static void note_training(const struct run *run, const struct df_trainer *trainer)
{
    struct df_run_row *row = &run->result->row;
    struct df_text text = DF_TEXT_INIT, teachers = DF_TEXT_INIT;

    for (size_t t = 0; t < run->cell->teachers; t++)
        df_text_addf(&teachers, "%s%s", t ? " " : "", df_teacher_facts_of(trainer->teacher[t])->parameters_hash);
    df_run_environment(run->cell, trainer->student.model.device, df_text_get(&teachers), &text);
    df_text_release(&teachers);
    row->environment = df_arena_strdup(run->result->memory, text.data);
    df_text_release(&text);
    row->curve = trainer->learning.curve;
    row->train_seconds = trainer->learning.seconds;
    row->images_per_second = (double)trainer->student.steps * (double)run->cell->schedule.batch / row->train_seconds;
    if (df_loader_skipped(trainer->loader))
        df_warn("%zu training images could not be read and were replaced by empty ones", df_loader_skipped(trainer->loader));
}

/* Training and the export; what training held is given back before the evaluation. */
static df_status train_and_export(struct run *run, struct df_error *err)
{
    struct df_trainer *trainer;

    DF_TRY(df_trainer_new(run->cell, run->options, &trainer, err));

    df_status status = df_trainer_run(trainer, run->options->resume ? run->position : NULL, run->result->memory, err);

    if (status == DF_OK)
        status = export_student(run, &trainer->student, err);
    if (status == DF_OK)
        status = keep_last(run, &trainer->student, err);
    if (status == DF_OK)
        note_training(run, trainer);
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

static df_status run_parts(struct run *run, struct df_error *err)
{
    struct df_run_row *row = &run->result->row;

    DF_TRY(df_folder_make(run->folder, err));
    DF_TRY(train_and_export(run, err));
    DF_TRY(evaluate_run(run, err));
    row->peak_anonymous_bytes = (int64_t)df_anonymous_peak_bytes();
    row->finished = keep_utc(run->result->memory);
    unlink(run->position);
    return DF_OK;
}

df_status df_run_cell(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out, struct df_error *err)
{
    struct df_run_result *result = df_calloc(1, sizeof *result);
    struct run run = { .cell = cell,
                       .options = options,
                       .folder = df_store_cell_folder(options->out, cell),
                       .weights = df_store_cell_file(options->out, cell, DF_CELL_WEIGHTS),
                       .position = df_store_cell_file(options->out, cell, DF_CELL_POSITION),
                       .result = result };

    DF_ASSERT(cell->id[0]);
    result->memory = df_calloc(1, sizeof *result->memory);
    df_arena_init(result->memory, NULL, 4096);
    result->row = df_store_row(cell, result->memory);
    result->row.started = keep_utc(result->memory);

    const df_status status = run_parts(&run, err);

    *out = status == DF_OK ? result : NULL;
    if (status != DF_OK)
        df_run_result_free(result);
    df_model_release(&run.last);
    free(run.folder);
    free(run.weights);
    free(run.position);
    return status;
}

void df_run_result_free(struct df_run_result *result)
{
    if (!result)
        return;
    df_arena_release(result->memory);
    free(result->memory);
    free(result);
}
