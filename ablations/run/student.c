#include "ablations/run/student.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/nn/averages.h"

/* Before the parameters are built: distillers may add theirs. parts: with each teacher. */
static df_status add_distillers(struct df_student *student, const struct df_taught_parts *const *parts, struct df_error *err)
{
    static const struct df_parts none = { 0 };
    const struct df_cell *cell = student->cell;
    const bool taught = cell->teachers && parts[0];
    struct df_distiller_setup setup = { .parameters = student->model.parameters,
                                        .detector = cell->detector,
                                        .student = taught ? &parts[0]->student : &none };

    while (df_parts_at(setup.student, "neck", setup.levels))
        setup.levels++;
    for (size_t i = 0; i < cell->distillers; i++) {
        const struct df_distiller_class *class = cell->distiller[i].class;
        const size_t teacher = cell->distiller[i].teacher;
        char prefix[32];

        student->state[i] = df_calloc(1, class->state_size + 1);
        student->distillers = i + 1;
        snprintf(prefix, sizeof prefix, "distiller.%zu.", i);
        setup.options = cell->distiller[i].options;
        setup.state = student->state[i];
        setup.teacher = taught && teacher != DF_NO_TEACHER ? &parts[teacher]->teacher : &none;
        setup.prefix = prefix;
        if (class->init && class->init(&setup, err) != DF_OK)
            return df_fail_in(err, DF_ERR_USAGE, "distiller '%s' of '%s'", class->name, cell->label);
    }
    return DF_OK;
}

df_status df_student_open(struct df_student *student, const struct df_cell *cell, const struct df_student_setup *setup,
                          struct df_error *err)
{
    *student = (struct df_student){ .cell = cell, .steps = setup->steps, .steps_per_epoch = setup->steps_per_epoch };
    DF_TRY((setup->dry ? df_model_create_dry : df_model_create)(cell, setup->classes, &student->model, err));
    student->model.device->comm = setup->comm;
    student->own_parameters = student->model.parameters->count;
    DF_TRY(add_distillers(student, setup->parts, err));
    df_model_build(&student->model, cell, true);
    if (cell->schedule.ema > 0)
        df_averages_begin(student->model.parameters);
    student->tape = df_tape_new(student->model.device, true);
    return DF_OK;
}

void df_student_close(struct df_student *student)
{
    if (student->model.device)
        df_replay_forget(student->model.device);
    df_tape_free(student->tape);
    df_model_release(&student->model);
    for (size_t i = 0; i < DF_STACK_MAX; i++)
        free(student->state[i]);
}

/* A distiller's term that is called as one before it in the stack gets the distiller's number: "fg", "fg.2". */
static void rename_repeated_terms(struct df_loss_terms *terms, size_t before, size_t distiller)
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

/* Adds the distillers' losses to the student's. teacher: what each of the cell's says. */
static df_status distill(struct df_student *student, const struct df_detection_state *own, const struct df_detection_state *teacher,
                         struct df_step_view *view, struct df_error *err)
{
    static const struct df_detection_state nothing = { 0 };
    const struct df_cell *cell = student->cell;
    struct df_distill_context context = {
        .tape = student->tape,
        .step = student->step,
        .steps = student->steps,
        .epoch = student->step / student->steps_per_epoch,
        .epochs = (size_t)ceil(cell->schedule.epochs),
        .progress = (double)student->step / (double)student->steps,
        .seed = (uint64_t)cell->seed,
        .terms = &student->terms,
    };

    for (size_t i = 0; i < student->distillers; i++) {
        const size_t before = student->terms.count, t = cell->distiller[i].teacher;

        context.options = cell->distiller[i].options;
        context.state = student->state[i];

        const uint64_t reads = student->model.device->reads;
        df_tensor *one = cell->distiller[i].class->loss(&context, own, t == DF_NO_TEACHER ? &nothing : &teacher[t]);

        student->waits[i] = student->model.device->reads - reads;

        DF_TRY(df_distiller_result(cell->distiller[i].class, one, &student->terms, before, err));
        rename_repeated_terms(&student->terms, before, i);
        view->taught[i].loss = one;
        view->taught[i].first = before;
        view->taught[i].terms = student->terms.count - before;
        if (one)
            student->loss = df_add(student->tape, student->loss, one);
    }
    return DF_OK;
}

static void update_weights(struct df_student *student)
{
    const struct df_schedule *schedule = &student->cell->schedule;
    struct df_parameters *parameters = student->model.parameters;

    student->norm = df_gradient_norm(parameters, schedule->clip);
    student->lr = df_schedule_lr(schedule, student->step, student->steps, student->steps_per_epoch);
    df_optimiser_step(parameters, schedule, student->lr, student->norm, ++student->step);
    if (schedule->ema > 0)
        df_averages_step(parameters, schedule->ema, student->step);
}

static void part_is_done(const struct df_student *student, enum df_step_part part)
{
    if (student->part_done)
        student->part_done(student->watcher, part);
}

/* Up to the loss, the distillers' with it. */
static df_status find_loss(struct df_student *student, const struct df_batch *batch, const struct df_teaching *teaching,
                           struct df_detection_state *own, struct df_detection_state *teacher, struct df_step_view *view,
                           struct df_error *err)
{
    struct df_detector *detector = student->model.detector;

    df_tape_reset(student->tape);
    df_parameters_zero_grad(student->model.parameters);
    student->terms.count = 0;
    part_is_done(student, DF_STEP_CLEAR);
    df_detector_forward(detector, student->tape, batch, DF_TRAINING | DF_LABELS, own);
    part_is_done(student, DF_STEP_FORWARD);
    student->loss = detector->class->loss(detector, student->tape, own, &student->terms);
    view->own_terms = student->terms.count;
    part_is_done(student, DF_STEP_LOSS);
    if (teaching) {
        for (size_t t = 0; t < student->cell->teachers; t++)
            DF_TRY(teaching->state(teaching->teachers, t, student->tape, own, &teacher[t], err));
        part_is_done(student, DF_STEP_TEACH);
    }
    if (student->distillers) {
        DF_TRY(distill(student, own, teacher, view, err));
        part_is_done(student, DF_STEP_DISTILL);
    }
    return DF_OK;
}

static void follow_gradient(struct df_student *student)
{
    df_backward(student->tape, student->loss);
    part_is_done(student, DF_STEP_BACKWARD);
    update_weights(student);
    part_is_done(student, DF_STEP_UPDATE);
}

/* Two passes that repeat themselves for every canvas; who looks on stands between them. */
df_status df_student_step(struct df_student *student, const struct df_batch *batch, const struct df_teaching *teaching,
                          struct df_error *err)
{
    struct df_device *device = student->model.device;
    struct df_detection_state own = { 0 }, teacher[DF_STACK_MAX] = { 0 };
    struct df_step_view view = { .own = &own, .teacher = teacher };
    const size_t what[] = { batch->n, batch->height, batch->width, (uintptr_t)student };
    const uint64_t key = df_hash(what, sizeof what);

    part_is_done(student, DF_STEP_BATCH);
    df_replay_begin(device, key);

    const df_status status = find_loss(student, batch, teaching, &own, teacher, &view, err);

    df_replay_end(device);
    DF_TRY(status);
    if (student->look)
        DF_TRY(student->look(student->looker, student, &view, err));
    df_replay_begin(device, key + 1);
    follow_gradient(student);
    df_replay_end(device);
    return DF_OK;
}

void df_student_say_waits(const struct df_student *student, const struct df_replays *replays, struct df_text *text)
{
    const struct df_device *device = student->model.device;
    enum { FEW = 40 }; /* passes of the first steps, which are kept, not replayed */

    for (size_t i = 0; device->ops->runs_behind && i < student->distillers; i++)
        if (student->waits[i])
            df_text_addf(text, "%sdistiller '%s' waits for the device %llu time%s a step", text->length ? ", " : "",
                         student->cell->distiller[i].class->name, (unsigned long long)student->waits[i], student->waits[i] == 1 ? "" : "s");
    if (replays->passes > FEW && 2 * replays->replayed < replays->passes)
        df_text_addf(text, "%sof %llu passes only %llu could be replayed, the others were asked for kernel by kernel",
                     text->length ? ", " : "", (unsigned long long)replays->passes, (unsigned long long)replays->replayed);
}
