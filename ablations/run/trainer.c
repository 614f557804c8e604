/* Setting up a training, a step, and the loop: points of the learning curve, positions to resume from. */
#include "ablations/run/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/stop.h"
#include "core/base/file.h"
#include "core/base/progress.h"
#include "core/device/open.h"
#include "core/nn/averages.h"

#define KEPT_IMAGES_BYTES ((size_t)160 << 20) /* decoded training images */
#define POSITION_SECONDS  600.0               /* between positions where points are further apart */

static df_status open_data(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_cell *cell = trainer->cell;
    const struct df_device_identity device = df_device_identity(cell->device);
    struct df_loader_config config;
    struct df_dataset *validation;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &trainer->train, err));
    DF_TRY(df_data_split(cell->data, DF_TUNE, &trainer->tune, err));
    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err)); /* its categories: found before the training, not after it */
    DF_TRY(df_dataset_same_categories(trainer->train, trainer->tune, err));
    DF_TRY(df_dataset_same_categories(trainer->train, validation, err));
    if (trainer->train->unreadable && !trainer->options->skip_bad_images)
        return df_fail(err, DF_ERR_FORMAT,
                       "%zu of %zu training images cannot be read, the first is '%s' [--on-bad-image skip trains without them]",
                       trainer->train->unreadable, trainer->train->size, trainer->train->first_unreadable);
    config = df_cell_loader(cell, trainer->train, trainer->options->skip_bad_images);
    config.batch = (size_t)cell->schedule.batch;
    config.shuffle = true;
    config.comm = trainer->options->comm;
    config.flip = cell->schedule.flip;
    config.prefetch = trainer->options->prefetch || df_device_is_gpu(&device); /* which does not wait for the images */
    config.memory_limit = KEPT_IMAGES_BYTES;
    return df_loader_new(&config, &trainer->loader, err);
}

/* Where the student starts from; said on stderr. */
static df_status start_from_file(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_student *student = &trainer->student;
    const struct df_cell *cell = trainer->cell;
    struct df_text said = DF_TEXT_INIT;
    char *teacher = cell->init_student ? df_teacher_path(cell->teacher[cell->init_from].cell, trainer->options) : NULL;
    const df_status status = df_model_start(cell, &student->model, student->own_parameters, teacher, &said, err);

    if (student->model.parameters->average)
        df_averages_begin(student->model.parameters); /* of what it starts with */
    if (said.length && !trainer->options->quiet)
        fprintf(stderr, "%s seed %lld %s\n", df_shown(cell->label).text, (long long)cell->seed, df_shown(df_text_get(&said)).text);
    df_text_release(&said);
    free(teacher);
    return status;
}

/* Who looks on before every backward pass. */
static df_status look_on(void *looker, struct df_student *student, const struct df_step_view *view, struct df_error *err)
{
    struct df_trainer *trainer = looker;

    if (trainer->options->guards)
        DF_TRY(df_guard_look(&trainer->guard, student, view, err));
    df_telemetry_look(&trainer->telemetry, student, view, &trainer->learning);
    return DF_OK;
}

static df_status open_student(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_schedule *schedule = &trainer->cell->schedule;
    const size_t steps_per_epoch = df_loader_steps_per_epoch(trainer->loader), points = (size_t)schedule->evaluations;
    const double steps = floor(schedule->epochs * (double)steps_per_epoch + 0.5);
    struct df_student_setup setup = { .classes = trainer->train->categories,
                                      .steps = steps < 1 ? 1 : (size_t)steps,
                                      .steps_per_epoch = steps_per_epoch,
                                      .comm = trainer->options->comm };

    for (size_t t = 0; t < trainer->cell->teachers; t++)
        setup.parts[t] = df_teacher_parts(trainer->teacher[t]);
    trainer->points = points < setup.steps ? points : setup.steps;
    DF_TRY(df_student_open(&trainer->student, trainer->cell, &setup, err));
    df_step_log_init(&trainer->log, trainer->student.model.device);
    trainer->telemetry.every = trainer->options->telemetry;
    trainer->student.look = look_on;
    trainer->student.looker = trainer;
    return start_from_file(trainer, err);
}

static df_status set_up_trainer(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_cell *cell = trainer->cell;

    DF_TRY(open_data(trainer, err));
    for (size_t t = 0; t < cell->teachers; t++)
        DF_TRY(df_teacher_open(cell, &cell->teacher[t], trainer->options, trainer->train, &trainer->teacher[t], err));
    DF_TRY(open_student(trainer, err));
    if (!trainer->tune->size)
        return DF_OK;

    const struct df_evaluation tune = { .cell = trainer->cell, .dataset = trainer->tune, .keep_images = true };

    return df_evaluator_new(&tune, trainer->student.model.device, &trainer->evaluator, err);
}

df_status df_trainer_new(const struct df_cell *cell, const struct df_run_options *options, struct df_trainer **out, struct df_error *err)
{
    struct df_trainer *trainer = df_calloc(1, sizeof *trainer);

    *out = NULL;
    trainer->cell = cell;
    trainer->options = options;

    const df_status status = set_up_trainer(trainer, err);

    if (status == DF_OK)
        *out = trainer;
    else
        df_trainer_free(trainer);
    return status;
}

void df_trainer_free(struct df_trainer *trainer)
{
    if (!trainer)
        return;
    df_evaluator_free(trainer->evaluator);
    df_telemetry_release(&trainer->telemetry);
    df_step_log_release(&trainer->log);
    df_student_close(&trainer->student);
    for (size_t t = 0; t < DF_STACK_MAX; t++)
        df_teacher_close(trainer->teacher[t]);
    df_loader_free(trainer->loader);
    free(trainer);
}

/* ---- a step ---- */

static df_status ask_teacher(void *teachers, size_t which, df_tape *tape, const struct df_detection_state *student,
                             struct df_detection_state *out, struct df_error *err)
{
    struct df_teacher *const *teacher = teachers;
    const double asked = df_profile_begin(df_tape_device(tape));

    DF_TRY(df_teacher_state(teacher[which], tape, student, out, err));
    df_profile_end(df_tape_device(tape), "host: teacher's records", asked);
    return DF_OK;
}

df_status df_trainer_step(struct df_trainer *trainer, struct df_error *err)
{
    struct df_student *student = &trainer->student;
    const struct df_teaching teaching = { ask_teacher, trainer->teacher };
    const double begun = df_profile_begin(student->model.device);
    const struct df_batch *batch;

    DF_TRY(df_loader_get(trainer->loader, student->step, &batch, err));
    df_profile_end(student->model.device, "host: batch", begun);
    DF_TRY(df_student_step(student, batch, trainer->cell->teachers ? &teaching : NULL, err));
    df_step_log_add(&trainer->log, student->step - 1, student->loss, &student->terms, student->norm);
    return df_step_log_full(&trainer->log) ? df_trainer_read_log(trainer, err) : DF_OK;
}

df_status df_trainer_read_log(struct df_trainer *trainer, struct df_error *err)
{
    return df_step_log_read(&trainer->log, trainer->student.steps, err);
}

/* ---- the loop ---- */

/* Of the averaged network, where averages are kept. NaN without tune images. */
static df_status tune_map(struct df_trainer *trainer, double *map, struct df_error *err)
{
    const struct df_model *model = &trainer->student.model;
    struct df_coco_scores scores = { 0 };

    *map = NAN;
    if (!trainer->evaluator)
        return DF_OK;
    df_averages_swap(model->parameters);

    const df_status status = df_evaluator_run(trainer->evaluator, model->detector, &scores, err);

    df_averages_swap(model->parameters); /* whoever stops an evaluation goes on from the network in training */
    DF_TRY(status);
    *map = scores.value[DF_AP];
    df_coco_scores_release(&scores);
    return DF_OK;
}

static df_status add_point(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_student *student = &trainer->student;
    const struct df_step_log *log = &trainer->log;
    struct df_learning *learning = &trainer->learning;
    const double steps = (double)log->mean_steps;
    struct df_curve_point point = { .step = (int64_t)student->step,
                                    .epoch = (double)student->step / (double)student->steps_per_epoch,
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
    point.value = student->lr;
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

/* The last point is at the last step. */
static bool point_due(const struct df_trainer *trainer)
{
    const size_t points = trainer->learning.points;

    return points < trainer->points && trainer->student.step >= (points + 1) * trainer->student.steps / trainer->points;
}

/* Reads the log on the training's time: what has been asked of the device is done then. */
static df_status catch_up(struct df_trainer *trainer, struct df_error *err)
{
    const double start = df_now();
    const df_status status = df_trainer_read_log(trainer, err);

    trainer->learning.seconds += df_now() - start;
    return status;
}

/* The log has been read. A disk that is full costs no more than the position: the run goes on, and says so. */
static bool write_position(const struct df_trainer *trainer)
{
    struct df_error err = { 0 };

    if (!trainer->position)
        return false;
    if (df_position_write(trainer->position, &trainer->student, &trainer->log, &trainer->learning, &err) == DF_OK)
        return true;
    df_warn("%s: the run goes on, but should it be stopped it begins again from an earlier position, or from its start", err.text);
    return false;
}

static df_status interrupted(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_student *student = &trainer->student;

    DF_TRY(catch_up(trainer, err));

    const bool kept = student->step && write_position(trainer);

    return df_fail(err, DF_ERR_INTERRUPTED, "interrupted at step %zu of %zu%s", student->step, student->steps,
                   kept ? " (the same command goes on from there)" : "");
}

/* The mean loss, as far as it has been read; the last point's where nothing has. */
static void show_progress(struct df_progress *progress, const struct df_trainer *trainer)
{
    const struct df_curve *curve = &trainer->learning.curve;
    const struct df_step_log *log = &trainer->log;
    size_t last = curve->count;
    char note[64] = "";

    if (!progress)
        return;
    while (last > 0 && strcmp(curve->point[last - 1].metric, "loss") != 0)
        last--;
    if (log->mean_steps || last)
        snprintf(note, sizeof note, "loss %.4g", log->mean_steps ? log->loss_sum / (double)log->mean_steps : curve->point[last - 1].value);
    df_progress_set(progress, (double)trainer->student.step, note);
}

/* The point, and a position after it; a position before it if the user stops the evaluation. */
static df_status make_point(struct df_trainer *trainer, struct df_error *err)
{
    DF_TRY(catch_up(trainer, err));

    const df_status status = add_point(trainer, err);

    if (status == DF_ERR_INTERRUPTED)
        return interrupted(trainer, err);
    DF_TRY(status);
    if (trainer->student.step < trainer->student.steps)
        (void)write_position(trainer);
    return DF_OK;
}

static df_status step_on_the_clock(struct df_trainer *trainer, struct df_error *err)
{
    const double start = df_now();
    const df_status status = df_trainer_step(trainer, err);

    trainer->learning.seconds += df_now() - start;
    return status;
}

static df_status train_to_the_end(struct df_trainer *trainer, struct df_progress *progress, struct df_error *err)
{
    double saved = df_now();

    for (;;) {
        if (df_run_stop)
            return interrupted(trainer, err);
        if (point_due(trainer)) {
            DF_TRY(make_point(trainer, err));
            saved = df_now();
        }
        if (trainer->student.step == trainer->student.steps)
            return catch_up(trainer, err);
        DF_TRY(step_on_the_clock(trainer, err));
        show_progress(progress, trainer);
        if (trainer->position && df_now() - saved > POSITION_SECONDS) {
            DF_TRY(catch_up(trainer, err));
            (void)write_position(trainer);
            saved = df_now();
        }
    }
}

/* What slows a device down that could run ahead of the host. */
static void say_waits(const struct df_trainer *trainer)
{
    struct df_text text = DF_TEXT_INIT;

    df_student_say_waits(&trainer->student, &trainer->student.model.device->replays, &text);
    if (text.length)
        fprintf(stderr, "%s seed %lld: %s\n", df_shown(trainer->cell->label).text, (long long)trainer->cell->seed, df_text_get(&text));
    df_text_release(&text);
}

df_status df_trainer_run(struct df_trainer *trainer, const char *position, struct df_arena *memory, struct df_error *err)
{
    struct df_text label = DF_TEXT_INIT;
    struct df_progress *progress = NULL;

    trainer->position = position;
    trainer->learning = (struct df_learning){ .memory = memory };
    if (position)
        df_position_read(position, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
    df_text_addf(&label, "%s seed %lld", trainer->cell->label, (long long)trainer->cell->seed);
    if (!trainer->options->quiet)
        progress = df_progress_new(label.data, "steps", (double)trainer->student.steps);

    const df_status status = train_to_the_end(trainer, progress, err);

    df_progress_free(progress);
    df_text_release(&label);
    if (status == DF_OK && !trainer->options->quiet)
        say_waits(trainer);
    return status;
}
