#include "ablations/run/identity.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/run/trainer.h"
#include "core/base/shell.h"

/* The student's own parameters and running statistics, one behind the other. */
static df_real *own_values(const struct df_student *student)
{
    const struct df_parameters *parameters = student->model.parameters;
    df_real *values = df_malloc((parameters->values + parameters->buffers) * sizeof *values), *to = values;

    for (size_t i = 0; i < student->own_parameters; i++) {
        const size_t count = df_count(parameters->items[i]->shape);

        df_read(parameters->device, to, parameters->items[i]->value, count * sizeof *to);
        to += count;
    }
    return values;
}

/* Both are of students that are built alike. */
static df_status compare(const struct df_student *student, const df_real *plain, const df_real *zero, struct df_error *err)
{
    const struct df_parameters *parameters = student->model.parameters;

    for (size_t i = 0; i < student->own_parameters; i++) {
        const size_t count = df_count(parameters->items[i]->shape);

        if (memcmp(plain, zero, count * sizeof *plain) != 0)
            return df_fail(
                err, DF_ERR_CHECK,
                "'%s' with weights of 0 is not the plain student: after %zu steps of the same batches '%s' differs [a distiller leaks: "
                "'%s distillers --check NAME'; --no-guards leaves this out]",
                student->cell->label, student->step, parameters->items[i]->name, df_program());
        plain += count;
        zero += count;
    }
    return DF_OK;
}

static df_status train(struct df_trainer *trainer, struct df_error *err)
{
    while (trainer->student.step < DF_IDENTITY_STEPS && trainer->student.step < trainer->student.steps)
        DF_TRY(df_trainer_step(trainer, err));
    return df_trainer_read_log(trainer, err);
}

/* against: what another student's training ended with, which is compared; NULL: *out is this one's (free it). */
static df_status train_one(const struct df_cell *cell, const struct df_run_options *options, const df_real *against, df_real **out,
                           size_t *steps, struct df_error *err)
{
    struct df_trainer *trainer;
    df_real *values;

    DF_TRY(df_trainer_new(cell, options, &trainer, err));
    df_status status = train(trainer, err);

    if (status == DF_OK) {
        *steps = trainer->student.step;
        values = own_values(&trainer->student);
        if (against)
            status = compare(&trainer->student, against, values, err);
        if (against)
            free(values);
        else
            *out = values;
    }
    df_trainer_free(trainer);
    return status;
}

/* A copy of distiller i's options with weights of 0. */
static df_status weigh_nothing(struct df_cell *cell, size_t i, struct df_error *err)
{
    const struct df_distiller_class *class = cell->distiller[i].class;
    void *options = df_malloc(class->options_size + 1);

    if (class->options_size)
        memcpy(options, cell->distiller[i].options, class->options_size);
    cell->distiller[i].options = options;
    if (!df_distiller_weigh_nothing(class, options) && class->options_size)
        return df_fail(err, DF_ERR_CHECK, "distiller '%s' of '%s' has no option w or w_*: it cannot be turned off [--no-guards]",
                       class->name, cell->label);
    return DF_OK;
}

df_status df_identity_check(const struct df_cell *cell, const struct df_run_options *options, size_t *steps, struct df_error *err)
{
    struct df_cell plain = *cell, zero = *cell;
    struct df_run_options quiet = *options;
    df_real *values = NULL;
    size_t made = 0;
    df_status status = DF_OK;

    quiet.quiet = true;
    quiet.guards = false;
    quiet.telemetry = 0;
    plain.distillers = plain.teachers = 0; /* none is asked; init_student may start from one all the same */
    while (made < zero.distillers && status == DF_OK)
        status = weigh_nothing(&zero, made++, err);
    if (status == DF_OK)
        status = train_one(&plain, &quiet, NULL, &values, steps, err);
    if (status == DF_OK)
        status = train_one(&zero, &quiet, values, NULL, steps, err);
    free(values);
    while (made > 0)
        free(zero.distiller[--made].options);
    return status;
}
