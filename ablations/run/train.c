/* The training loop: steps, points of the learning learning, positions to resume from. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/base/progress.h"

#define POSITION_SECONDS 600.0 /* between positions where points are further apart */

static df_status tune_map(struct df_trainer *trainer, double *map, struct df_error *err)
{
    const struct df_detection *detections;
    struct df_coco_scores scores = { 0 };
    size_t count;

    *map = NAN;
    if (!trainer->evaluator)
        return DF_OK;
    DF_TRY(df_evaluator_run(trainer->evaluator, trainer->model.detector, 0, NULL, &detections, &count, err));
    DF_TRY(df_evaluate_detections(trainer->tune, 0, detections, count, &scores, err));
    *map = scores.value[DF_AP];
    df_coco_scores_release(&scores);
    return DF_OK;
}

static df_status add_point(struct df_trainer *trainer, struct df_learning *learning, struct df_error *err)
{
    const struct df_step_log *log = &trainer->log;
    const double steps = (double)log->mean_steps;
    struct df_curve_point point = { .step = (int64_t)trainer->step,
                                    .epoch = (double)trainer->step / (double)trainer->steps_per_epoch,
                                    .split = "tune",
                                    .metric = df_coco_metric_names[DF_AP] };
    char name[sizeof log->mean->name + 5];

    DF_TRY(tune_map(trainer, &point.value, err));
    if (trainer->evaluator)
        df_curve_add(&learning->curve, learning->memory, point);
    point.split = "train";
    point.metric = "loss";
    point.value = log->loss_sum / steps;
    df_curve_add(&learning->curve, learning->memory, point);
    point.metric = "lr";
    point.value = trainer->lr;
    df_curve_add(&learning->curve, learning->memory, point);
    point.metric = name;
    for (size_t i = 0; i < log->means; i++) {
        snprintf(name, sizeof name, "term.%s", log->mean[i].name);
        point.value = log->mean[i].sum / steps;
        df_curve_add(&learning->curve, learning->memory, point);
    }
    learning->points++;
    df_step_log_clear(&trainer->log);
    (void)df_anonymous_peak_bytes();
    return DF_OK;
}

/* Points are spread evenly; the last one is at the last step. */
static bool point_due(const struct df_trainer *trainer, const struct df_learning *learning)
{
    return learning->points < trainer->points && trainer->step >= (learning->points + 1) * trainer->steps / trainer->points;
}

/* Reads the log on the training's time: what has been asked of the device is done then. */
static df_status catch_up(struct df_trainer *trainer, double *seconds, struct df_error *err)
{
    const double start = df_now();
    const df_status status = df_trainer_read_log(trainer, err);

    *seconds += df_now() - start;
    return status;
}

static df_status interrupted(struct df_trainer *trainer, const char *position, const struct df_learning *learning, double *seconds,
                             struct df_error *err)
{
    DF_TRY(catch_up(trainer, seconds, err));
    if (position && trainer->step)
        DF_TRY(df_position_write(position, trainer, learning, *seconds, err));
    return df_fail(err, DF_ERR_INTERRUPTED, "interrupted at step %zu of %zu%s", trainer->step, trainer->steps,
                   position && trainer->step ? " (the same command goes on from there)" : "");
}

/* The mean loss, as far as it has been read; the last point's where nothing has. */
static void show(struct df_progress *progress, const struct df_trainer *trainer, const struct df_learning *learning)
{
    const struct df_step_log *log = &trainer->log;
    size_t last = learning->curve.count;
    char note[64] = "";

    if (!progress)
        return;
    while (last > 0 && strcmp(learning->curve.point[last - 1].metric, "loss") != 0)
        last--;
    if (log->mean_steps || last)
        snprintf(note, sizeof note, "loss %.4g",
                 log->mean_steps ? log->loss_sum / (double)log->mean_steps : learning->curve.point[last - 1].value);
    df_progress_set(progress, (double)trainer->step, note);
}

/* The point, and a position after it; a position before it if the user stops the evaluation. */
static df_status make_point(struct df_trainer *trainer, const char *position, struct df_learning *learning, double *seconds,
                            struct df_error *err)
{
    DF_TRY(catch_up(trainer, seconds, err));

    const df_status status = add_point(trainer, learning, err);

    if (status == DF_ERR_INTERRUPTED)
        return interrupted(trainer, position, learning, seconds, err);
    if (status == DF_OK && position && trainer->step < trainer->steps)
        return df_position_write(position, trainer, learning, *seconds, err);
    return status;
}

static df_status loop(struct df_trainer *trainer, const char *position, struct df_learning *learning, double *seconds,
                      struct df_progress *progress, struct df_error *err)
{
    double saved = df_now();

    for (;;) {
        if (df_run_stop)
            return interrupted(trainer, position, learning, seconds, err);
        if (point_due(trainer, learning)) {
            DF_TRY(make_point(trainer, position, learning, seconds, err));
            saved = df_now();
        }
        if (trainer->step == trainer->steps)
            return catch_up(trainer, seconds, err);

        const double start = df_now();

        DF_TRY(df_trainer_step(trainer, err));
        *seconds += df_now() - start;
        show(progress, trainer, learning);
        if (position && df_now() - saved > POSITION_SECONDS) {
            DF_TRY(catch_up(trainer, seconds, err));
            DF_TRY(df_position_write(position, trainer, learning, *seconds, err));
            saved = df_now();
        }
    }
}

df_status df_train(struct df_trainer *trainer, const char *position, struct df_learning *learning, double *seconds, struct df_error *err)
{
    struct df_text label = DF_TEXT_INIT;
    struct df_progress *progress = NULL;
    df_status status;

    if (position)
        df_position_read(position, trainer, learning, seconds);
    df_text_addf(&label, "%s seed %lld", trainer->cell->label, (long long)trainer->cell->seed);
    if (!trainer->options->quiet)
        progress = df_progress_new(label.data, "steps", (double)trainer->steps);
    status = loop(trainer, position, learning, seconds, progress, err);
    df_progress_free(progress);
    df_text_release(&label);
    return status;
}
