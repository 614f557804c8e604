/* Setting up a run, and one training step. */
#include "ablations/run/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/model.h"

#define KEPT_IMAGES_BYTES ((size_t)160 << 20) /* decoded training images */

static df_status open_data(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_cell *cell = trainer->cell;
    struct df_loader_config config;
    struct df_dataset *validation;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &trainer->train, err));
    DF_TRY(df_data_split(cell->data, DF_TUNE, &trainer->tune, err));
    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err)); /* its categories: found before the training, not after it */
    DF_TRY(df_dataset_same_categories(trainer->train, trainer->tune, err));
    DF_TRY(df_dataset_same_categories(trainer->train, validation, err));
    config = df_cell_loader(cell, trainer->train, trainer->options->skip_bad_images);
    config.batch = (size_t)cell->schedule.batch;
    config.shuffle = true;
    config.comm = trainer->options->comm;
    config.flip = cell->schedule.flip;
    config.prefetch = trainer->options->prefetch;
    config.memory_limit = KEPT_IMAGES_BYTES;
    DF_TRY(df_loader_new(&config, &trainer->loader, err));
    trainer->steps_per_epoch = df_loader_steps_per_epoch(trainer->loader);

    const double steps = floor(cell->schedule.epochs * (double)trainer->steps_per_epoch + 0.5);
    const size_t points = (size_t)cell->schedule.evaluations;

    trainer->steps = steps < 1 ? 1 : (size_t)steps;
    trainer->points = points < trainer->steps ? points : trainer->steps;
    return DF_OK;
}

df_status df_trainer_add_distillers(struct df_trainer *trainer, const struct df_taught_parts *parts, struct df_error *err)
{
    const struct df_cell *cell = trainer->cell;
    struct df_distiller_setup setup = {
        .parameters = trainer->model.parameters, .detector = cell->detector, .student = &parts->student, .teacher = &parts->teacher
    };

    while (df_parts_at(&parts->student, "neck", setup.levels))
        setup.levels++;
    for (size_t i = 0; i < cell->distillers; i++) {
        struct df_stacked *one = &trainer->distiller[i];
        char prefix[32];

        one->class = cell->distiller[i].class;
        one->options = cell->distiller[i].options;
        one->state = df_calloc(1, one->class->state_size + 1);
        trainer->distillers = i + 1;
        snprintf(prefix, sizeof prefix, "distiller.%zu.", i);
        setup.options = one->options;
        setup.state = one->state;
        setup.prefix = prefix;
        if (one->class->init && one->class->init(&setup, err) != DF_OK)
            return df_fail_in(err, DF_ERR_USAGE, "distiller '%s' of '%s'", one->class->name, cell->label);
    }
    return DF_OK;
}

/* Where the student starts from; said on stderr. */
static df_status start(struct df_trainer *trainer, struct df_error *err)
{
    struct df_text said = DF_TEXT_INIT;
    const df_status status = df_model_start(trainer->cell, &trainer->model, trainer->own_parameters, &said, err);

    if (said.length && !trainer->options->quiet)
        fprintf(stderr, "%s seed %lld %s\n", trainer->cell->label, (long long)trainer->cell->seed, df_text_get(&said));
    df_text_release(&said);
    return status;
}

static df_status set_up(struct df_trainer *trainer, struct df_error *err)
{
    const struct df_cell *cell = trainer->cell;
    const struct df_taught_parts none = { 0 };

    DF_TRY(open_data(trainer, err));
    if (cell->needs.count)
        DF_TRY(df_teacher_open(cell, trainer->options, trainer->train, &trainer->teacher, err));
    DF_TRY(df_model_create(cell, trainer->train->categories, &trainer->model, err));
    trainer->model.device->comm = trainer->options->comm;
    trainer->own_parameters = trainer->model.parameters->count;
    DF_TRY(df_trainer_add_distillers(trainer, trainer->teacher ? df_teacher_parts(trainer->teacher) : &none, err));
    df_parameters_build(trainer->model.parameters, trainer->model.device, (uint64_t)cell->seed, true);
    DF_TRY(start(trainer, err));
    trainer->tape = df_tape_new(trainer->model.device, true);
    df_step_log_init(&trainer->log, trainer->model.device);
    if (!trainer->tune->size)
        return DF_OK;
    return df_evaluator_new(cell, trainer->tune, trainer->model.device, true, &trainer->evaluator, err);
}

df_status df_trainer_new(const struct df_cell *cell, const struct df_run_options *options, struct df_trainer **out, struct df_error *err)
{
    struct df_trainer *trainer = df_calloc(1, sizeof *trainer);

    *out = NULL;
    trainer->cell = cell;
    trainer->options = options;

    const df_status status = set_up(trainer, err);

    if (status != DF_OK) {
        df_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return DF_OK;
}

void df_trainer_free(struct df_trainer *trainer)
{
    if (!trainer)
        return;
    df_evaluator_free(trainer->evaluator);
    df_tape_free(trainer->tape);
    df_step_log_release(&trainer->log);
    df_model_release(&trainer->model);
    for (size_t i = 0; i < trainer->distillers; i++)
        free(trainer->distiller[i].state);
    df_teacher_close(trainer->teacher);
    df_loader_free(trainer->loader);
    free(trainer);
}

/* A distiller's term that is called as one before it in the stack gets the distiller's number: "fg", "fg.2". */
static void tell_apart(struct df_loss_terms *terms, size_t before, size_t distiller)
{
    for (size_t i = before; i < terms->count; i++)
        for (size_t j = 0; j < before; j++)
            if (strcmp(terms->term[i].name, terms->term[j].name) == 0) {
                char name[sizeof terms->term->name];

                snprintf(name, sizeof name, "%.*s.%zu", (int)sizeof name - 6, terms->term[i].name, distiller + 1);
                memcpy(terms->term[i].name, name, sizeof name);
                break;
            }
}

df_tensor *df_trainer_distill(struct df_trainer *trainer, const struct df_detection_state *student,
                              const struct df_detection_state *teacher, df_tensor *loss)
{
    const double epochs = trainer->cell->schedule.epochs;
    struct df_distill_context context = {
        .tape = trainer->tape,
        .step = trainer->step,
        .steps = trainer->steps,
        .epoch = trainer->step / trainer->steps_per_epoch,
        .epochs = (size_t)ceil(epochs),
        .progress = (double)trainer->step / (double)trainer->steps,
        .seed = (uint64_t)trainer->cell->seed,
        .terms = &trainer->terms,
    };

    for (size_t i = 0; i < trainer->distillers; i++) {
        context.options = trainer->distiller[i].options;
        context.state = trainer->distiller[i].state;

        const size_t before = trainer->terms.count;
        df_tensor *one = trainer->distiller[i].class->loss(&context, student, teacher);

        tell_apart(&trainer->terms, before, i);

        if (one)
            loss = df_add(trainer->tape, loss, one);
    }
    return loss;
}

static void update(struct df_trainer *trainer, const df_tensor *loss)
{
    const struct df_schedule *schedule = &trainer->cell->schedule;
    const struct df_optim_norm *norm = df_gradient_norm(trainer->model.parameters, schedule->clip);

    trainer->lr = df_schedule_lr(schedule, trainer->step, trainer->steps, trainer->steps_per_epoch);
    df_step_log_add(&trainer->log, trainer->step, loss, &trainer->terms, norm);
    df_optimiser_step(trainer->model.parameters, schedule, trainer->lr, norm, trainer->step + 1);
    trainer->step++;
}

df_status df_trainer_read_log(struct df_trainer *trainer, struct df_error *err)
{
    return df_step_log_read(&trainer->log, trainer->steps, err);
}

df_status df_trainer_step(struct df_trainer *trainer, struct df_error *err)
{
    struct df_detector *detector = trainer->model.detector;
    struct df_detection_state state = { 0 }, teacher = { 0 };
    const struct df_batch *batch;
    const double begun = df_profile_begin(trainer->model.device);

    DF_TRY(df_loader_get(trainer->loader, trainer->step, &batch, err));
    df_profile_end(trainer->model.device, "host: batch", begun);
    df_tape_reset(trainer->tape);
    df_parameters_zero_grad(trainer->model.parameters);
    trainer->terms.count = 0;
    df_detector_forward(detector, trainer->tape, batch, DF_TRAINING | DF_LABELS, &state);

    df_tensor *loss = detector->class->loss(detector, trainer->tape, &state, &trainer->terms);

    if (trainer->teacher) {
        const double asked = df_profile_begin(trainer->model.device);

        DF_TRY(df_teacher_state(trainer->teacher, trainer->tape, &state, &teacher, err));
        df_profile_end(trainer->model.device, "host: teacher's records", asked);
    }
    loss = df_trainer_distill(trainer, &state, &teacher, loss);
    df_backward(trainer->tape, loss);
    update(trainer, loss);
    return df_step_log_full(&trainer->log) ? df_trainer_read_log(trainer, err) : DF_OK;
}
