/* `defeat predict SPEC`: COCO results of a trained network. */
#include <stdio.h>
#include <stdlib.h>

#include "ablations/cli/running.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/model.h"
#include "ablations/run/store.h"
#include "ablations/run/teacher_file.h"

struct predict_options {
    struct df_common_options common;
    int64_t cell, limit;
    bool teacher;
    char checkpoint[DF_STRING_MAX], output[DF_STRING_MAX];
    int split;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct predict_options, common),
    { "cell", DF_INT_OPTION(struct predict_options, cell), -1, -1, 1e6, "index of the cell whose student predicts", .when = "teacher=0" },
    { "teacher", DF_BOOL_OPTION(struct predict_options, teacher), 0, 0, 1, "the spec's teacher predicts" },
    { "checkpoint", DF_STRING_OPTION(struct predict_options, checkpoint), 0, 0, 0, "weights (safetensors); \"\": those of the cell's run",
      .text = "" },
    { "split", DF_CHOICE_OPTION(struct predict_options, split), DF_VALIDATION, 0, 2, "on which images",
      .choices = "train|tune|validation" },
    { "limit", DF_INT_OPTION(struct predict_options, limit), 0, 0, 1e9, "only the first images; 0: all" },
    { "output", DF_STRING_OPTION(struct predict_options, output), 0, 0, 0, "COCO results file", .text = "results.json" },
    { 0 },
};

/* Whose network, and where its weights are. */
static df_status choose(const struct df_spec *spec, const struct predict_options *options, const struct df_cell **cell, char **weights,
                        struct df_error *err)
{
    struct df_run_options run_with;
    struct df_cell *student = NULL;
    char *path;

    df_common_run(&options->common, &run_with);
    if (!options->teacher) {
        DF_TRY(df_running_cell(spec, options->cell, &student, err));
        path = df_store_cell_file(run_with.out, student, DF_CELL_WEIGHTS);
        *cell = student;
    } else {
        for (size_t i = 0; i < spec->count && !student; i++)
            student = spec->cell[i]->needs.count ? spec->cell[i] : NULL;
        if (!student)
            return df_fail(err, DF_ERR_USAGE, "'%s' has no teacher [--cell K for a student]", spec->path);
        path = df_teacher_path(student, &run_with);
        *cell = student->teacher;
    }
    *weights = df_strdup(options->checkpoint[0] ? options->checkpoint : path);
    free(path);
    return DF_OK;
}

static df_status write_detections(const struct df_evaluator *evaluator, const char *path, const struct df_coco_scores *scores,
                                  struct df_error *err)
{
    size_t count;
    const struct df_detection *detections = df_evaluator_detections(evaluator, &count);

    DF_TRY(df_coco_results_write(path, detections, count, err));
    df_running_print_scores(scores->value, false);
    printf("%zu detections in %s\n", count, path);
    return DF_OK;
}

static df_status predict(const struct df_cell *cell, const char *weights, const struct predict_options *options, struct df_error *err)
{
    struct df_evaluation what = { .cell = cell, .limit = (size_t)options->limit, .label = "predict" };
    struct df_evaluator *evaluator = NULL;
    struct df_coco_scores scores = { 0 };
    struct df_model model;
    df_status status;

    DF_TRY(df_data_split(cell->data, (enum df_split)options->split, &what.dataset, err));
    DF_TRY(df_model_open(cell, what.dataset->categories, weights, &model, err));
    status = df_evaluator_new(&what, model.device, &evaluator, err);
    if (status == DF_OK)
        status = df_evaluator_run(evaluator, model.detector, &scores, err);
    if (status == DF_OK)
        status = write_detections(evaluator, options->output, &scores, err);
    df_coco_scores_release(&scores);
    df_evaluator_free(evaluator);
    df_model_release(&model);
    return status;
}

static df_status predict_chosen(struct df_spec *spec, const void *values, struct df_error *err)
{
    const struct predict_options *options = values;
    const struct df_cell *cell = NULL;
    char *weights = NULL;
    df_status status = choose(spec, options, &cell, &weights, err);

    if (status == DF_OK)
        status = predict(cell, weights, options, err);
    free(weights);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    (void)count;
    return df_running_spec(&((const struct predict_options *)values)->common, arguments[0], predict_chosen, values);
}

const struct df_command df_command_predict = {
    .name = "predict",
    .summary = "COCO results of a trained student or teacher",
    .usage = "defeat predict SPEC --cell K|--teacher [--checkpoint F] [--split validation] [--output results.json]",
    .example = "defeat predict ablations/specs/reproduce-quick.json --teacher --output teacher.json",
    .options = options_table,
    .options_size = sizeof(struct predict_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
