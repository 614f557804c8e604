/* `defeat predict SPEC`: COCO results of a trained network on a data set. `defeat predict IMAGE|FOLDER`: predict_images.c. */
#include <stdio.h>
#include <stdlib.h>

#include "ablations/cli/predict_images.h"
#include "ablations/cli/running.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/model.h"
#include "ablations/run/store.h"
#include "ablations/run/teacher_file.h"
#include "ablations/spec_teachers.h"
#include "core/base/file.h"
#include "core/base/shell.h"

struct predict_options {
    struct df_common_options common;
    int64_t cell, limit;
    bool teacher, json;
    double score;
    char which[DF_STRING_MAX], checkpoint[DF_STRING_MAX], output[DF_STRING_MAX];
    int split;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct predict_options, common),
    { "checkpoint", DF_STRING_OPTION(struct predict_options, checkpoint), .text = "",
      .help = "weights (safetensors); of images always; of a data set, none: those of the cell's run" },
    { "output", DF_STRING_OPTION(struct predict_options, output), .text = "",
      .help = "images: folder of the pictures with boxes; none: predicted; data set: COCO results; none: results.json" },
    { "json", DF_BOOL_OPTION(struct predict_options, json), .help = "print JSON" },
    { "score", DF_REAL_OPTION(struct predict_options, score), .standard = 0.3, .max = 1, .help = "images: boxes of at least this score" },
    { "cell", DF_INT_OPTION(struct predict_options, cell), .standard = -1, .min = -1, .max = 1e6, .when = "teacher=0",
      .help = "data set: index of the cell whose student predicts" },
    { "teacher", DF_BOOL_OPTION(struct predict_options, teacher), .help = "data set: the spec's teacher predicts" },
    { "which", DF_STRING_OPTION(struct predict_options, which), .text = "", .when = "teacher=1",
      .help = "data set: of several teachers the one of this name" },
    { "split", DF_CHOICE_OPTION(struct predict_options, split), .standard = DF_VALIDATION, .choices = "train|tune|validation",
      .help = "data set: on which images" },
    { "limit", DF_INT_OPTION(struct predict_options, limit), .max = 1e9, .help = "data set: only the first images; 0: all" },
    { 0 },
};

/* No weights yet: what makes them. */
static df_status no_weights(const struct df_spec *spec, const struct predict_options *options, const char *path, struct df_error *err)
{
    struct df_text command = DF_TEXT_INIT;

    df_common_command(&options->common, options->teacher ? "prepare" : "run", spec->path, &command);
    if (!options->teacher)
        df_text_addf(&command, " --cell %lld", (long long)options->cell);
    df_fail(err, DF_ERR_NOT_FOUND, "'%s': not there yet [to make it: %s%s]", path, df_text_get(&command),
            options->teacher ? "" : " --again");
    df_text_release(&command);
    return DF_ERR_NOT_FOUND;
}

/* Of the first variant that has some. */
static df_status choose_teacher(const struct df_spec *spec, const char *name, const struct df_cell **cell, struct df_error *err)
{
    const struct df_spec_teacher *teacher;
    size_t v = 0;

    while (v < spec->variants && !spec->variant[v].teachers)
        v++;
    if (v == spec->variants)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no teacher [--cell K for a student]", spec->path);
    DF_TRY(df_spec_teacher_find(spec, &spec->variant[v], name, &teacher, err));
    *cell = teacher->cell;
    return DF_OK;
}

/* Whose network, and where its weights are. */
static df_status choose(const struct df_spec *spec, const struct predict_options *options, const struct df_cell **cell, char **weights,
                        struct df_error *err)
{
    struct df_run_options run_with;
    struct df_cell *student = NULL;
    df_status status = DF_OK;

    df_common_run(&options->common, &run_with);
    if (options->teacher)
        DF_TRY(choose_teacher(spec, options->which, cell, err));
    else
        DF_TRY(df_running_cell(spec, options->cell, &student, err));
    *cell = student ? student : *cell;

    char *path = options->checkpoint[0] ? df_strdup(options->checkpoint)
                 : student              ? df_store_cell_file(run_with.out, student, DF_CELL_WEIGHTS)
                                        : df_teacher_path(*cell, &run_with);

    if (!options->checkpoint[0] && !df_file_exists(path))
        status = no_weights(spec, options, path, err);
    if (status == DF_OK)
        *weights = path;
    else
        free(path);
    return status;
}

static df_status write_detections(const struct df_evaluator *evaluator, const struct predict_options *options,
                                  const struct df_coco_scores *scores, struct df_error *err)
{
    const char *path = options->output[0] ? options->output : "results.json";
    size_t count;
    const struct df_detection *detections = df_evaluator_detections(evaluator, &count);

    DF_TRY(df_coco_results_write(path, detections, count, err));
    df_running_print_scores(scores->value, options->json);
    fprintf(options->json ? stderr : stdout, "%zu detections in %s\n", count, path);
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
        status = write_detections(evaluator, options, &scores, err);
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

/* What says nothing about images is not taken in silence. */
static df_status check_images(const struct predict_options *o, struct df_error *err)
{
    const struct df_common_options *c = &o->common;
    const struct {
        bool given;
        const char *name;
    } others[] = { { o->cell != -1, "--cell" },
                   { o->teacher, "--teacher" },
                   { o->split != DF_VALIDATION, "--split" },
                   { o->limit != 0, "--limit" },
                   { c->seeds[0] != 0, "--seeds" },
                   { c->set.count != 0, "--set" },
                   { c->data_path[0] != 0, "--data-path" },
                   { c->plugin.count != 0, "--plugin" } };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].given)
            return df_fail(err, DF_ERR_USAGE, "predict: %s has no effect on images, for they need no spec [remove it]", others[i].name);
    if (!o->checkpoint[0])
        return df_fail(err, DF_ERR_USAGE,
                       "predict: whose weights? [--checkpoint F.safetensors, such as '%s train SPEC --output F.safetensors' writes]",
                       df_program());
    return DF_OK;
}

static int run_images(const struct predict_options *options, const char *path)
{
    const char *device = df_common_device(options->common.device);
    const struct df_predict_images with = { .path = path,
                                            .checkpoint = options->checkpoint,
                                            .device = device ? device : "cpu",
                                            .output = options->output[0] ? options->output : "predicted",
                                            .score = options->score,
                                            .json = options->json,
                                            .skip_bad = options->common.on_bad_image == 1 };
    struct df_error err = { 0 };

    if (check_images(options, &err) != DF_OK || df_predict_images(&with, &err) != DF_OK)
        return df_command_fail(&err);
    return 0;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct predict_options *options = values;

    (void)count;
    if (df_predict_is_images(arguments[0]))
        return run_images(options, arguments[0]);
    if (options->score != 0.3) {
        struct df_error err = { 0 };

        df_fail(&err, DF_ERR_USAGE, "predict: --score has no effect on a data set, whose results keep every box [remove it]");
        return df_command_fail(&err);
    }
    return df_running_spec(&options->common, arguments[0], predict_chosen, values);
}

const struct df_command df_command_predict = {
    .name = "predict",
    .summary = "boxes of a trained network: drawn on images, or as COCO results of a data set",
    .usage = "defeat predict IMAGE|FOLDER --checkpoint F [--score S] [--output FOLDER] [--json]\n"
             "       defeat predict SPEC --cell K|--teacher [--which NAME] [--checkpoint F] [--split validation] [--output results.json]",
    .example = "defeat predict ablations/specs/reproduce-quick.json --teacher --output teacher.json",
    .options = options_table,
    .options_size = sizeof(struct predict_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
