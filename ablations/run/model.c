#include "ablations/run/model.h"

#include <stdlib.h>

#include "core/device/dry/dry.h"
#include "core/device/open.h"
#include "core/nn/checkpoint.h"
#include "core/nn/state_dict.h"

/* On the model's device, which it closes if that fails. */
static df_status create_on_device(struct df_model model, const struct df_cell *cell, size_t classes, struct df_model *out,
                                  struct df_error *err)
{
    df_status status = model.dry ? DF_OK : df_device_threads(model.device, (size_t)cell->threads, err);

    model.parameters = df_parameters_new();
    if (status == DF_OK)
        status = cell->detector->create(cell->detector_options, &cell->network, cell->classes ? cell->classes : classes, model.parameters,
                                        &model.detector, err);
    if (status != DF_OK) {
        df_model_release(&model);
        return status;
    }

    const struct df_needs needs = df_cell_needs(cell);

    df_detector_show(model.detector, &needs);
    *out = model;
    return DF_OK;
}

df_status df_model_create(const struct df_cell *cell, size_t classes, struct df_model *out, struct df_error *err)
{
    struct df_model model = { 0 };

    DF_TRY(df_device_open(cell->device, &model.device, err));
    return create_on_device(model, cell, classes, out, err);
}

df_status df_model_create_dry(const struct df_cell *cell, size_t classes, struct df_model *out, struct df_error *err)
{
    return create_on_device((struct df_model){ .device = df_device_dry(), .dry = true }, cell, classes, out, err);
}

void df_model_build(const struct df_model *model, const struct df_cell *cell, bool gradients)
{
    for (size_t i = 0; model->dry && i < model->parameters->count; i++)
        model->parameters->items[i]->init = (struct df_initialiser){ DF_INIT_ZERO, 0 };
    df_parameters_build(model->parameters, model->device, (uint64_t)cell->seed, gradients);
}

static df_status take_file(const struct df_cell *cell, const struct df_model *model, size_t own, struct df_text *said, struct df_error *err)
{
    struct df_taken taken;

    if (df_state_dict_take(cell->file, model->parameters, own, cell->take, &taken, err) != DF_OK)
        return df_fail_in(err, err ? err->status : DF_ERR_FORMAT, "the student of '%s' starts from a file", cell->label);
    df_text_addf(said, "starts from '%s': %zu tensors taken", cell->file, taken.tensors);
    if (cell->take[0])
        df_text_addf(said, ", those of '%s'; %zu of the network stay as drawn", cell->take, taken.kept);
    if (taken.left)
        df_text_addf(said, "; %zu of the file are left (the first is '%s')", taken.left, taken.first_left);
    return DF_OK;
}

static void copy_parameter(const struct df_parameter *from, const struct df_parameter *to)
{
    const size_t bytes = df_count(to->shape) * sizeof(df_real);
    df_real *values = df_malloc(bytes);

    df_read(from->owner->device, values, from->value, bytes);
    df_write(to->owner->device, to->value, values, bytes);
    free(values);
}

/* Everything but the body, where the teacher has it in the same shape. */
static df_status take_teacher(const struct df_cell *cell, const struct df_model *model, size_t own, const char *path, struct df_text *said,
                              struct df_error *err)
{
    static const char body[] = "backbone.body.";
    struct df_model teacher = { 0 };
    size_t taken = 0, kept = 0;

    DF_TRY(df_model_open(cell->teacher[cell->init_from].cell, model->detector->classes, path, &teacher, err));
    for (size_t i = 0; i < own; i++) {
        const struct df_parameter *item = model->parameters->items[i], *theirs = df_parameters_find(teacher.parameters, item->name);
        const bool fits = theirs && item->kind == theirs->kind && df_same_shape(item->shape, theirs->shape);

        if (strncmp(item->name, body, sizeof body - 1) == 0)
            continue;
        if (fits)
            copy_parameter(theirs, item);
        taken += fits;
        kept += !fits;
    }
    df_parameters_touch(model->parameters);
    df_model_release(&teacher);
    if (!taken)
        return df_fail(
            err, DF_ERR_UNSUPPORTED,
            "init_student: no tensor of the teacher's neck and head has the name and shape of one of the student's of '%s' [give "
            "both networks one fpn_channels, or remove init_student]",
            cell->label);
    df_text_addf(said, "%sstarts with %zu tensors of the teacher's neck and head; %zu stay as they were", said->length ? "; then " : "",
                 taken, kept);
    return DF_OK;
}

df_status df_model_start(const struct df_cell *cell, const struct df_model *model, size_t own, const char *teacher, struct df_text *said,
                         struct df_error *err)
{
    if (cell->file[0])
        DF_TRY(take_file(cell, model, own, said, err));
    return cell->init_student ? take_teacher(cell, model, own, teacher, said, err) : DF_OK;
}

/* A copy whose norms learn, and learn at once, sees the batch; its parameters are the model's first ones, for the cell is the same. */
df_status df_model_settle(const struct df_cell *cell, const struct df_model *model, const struct df_batch *batch, struct df_error *err)
{
    struct df_cell learning = *cell;
    struct df_detection_state state;
    struct df_model copy;

    learning.network.norm = DF_NETWORK_NORM_BATCH;
    learning.network.norm_momentum = 1;
    DF_TRY(df_model_create(&learning, model->detector->classes, &copy, err));
    df_model_build(&copy, &learning, false);
    for (size_t i = 0; i < copy.parameters->count; i++)
        copy_parameter(model->parameters->items[i], copy.parameters->items[i]);
    df_parameters_touch(copy.parameters);

    df_tape *tape = df_tape_new(copy.device, false);

    df_detector_forward(copy.detector, tape, batch, DF_TRAINING | DF_FIRST_STAGE, &state);
    for (size_t i = 0; i < copy.parameters->count; i++)
        if (copy.parameters->items[i]->buffer)
            copy_parameter(copy.parameters->items[i], model->parameters->items[i]);
    df_parameters_touch(model->parameters);
    df_tape_free(tape);
    df_model_release(&copy);
    return DF_OK;
}

df_status df_model_open(const struct df_cell *cell, size_t classes, const char *checkpoint, struct df_model *out, struct df_error *err)
{
    struct df_model model;

    DF_TRY(df_model_create(cell, classes, &model, err));
    df_model_build(&model, cell, false);

    const df_status status = df_checkpoint_read(checkpoint, model.parameters, false, false, err);

    if (status != DF_OK) {
        df_model_release(&model);
        return status;
    }
    model.detector->class->fold(model.detector);
    *out = model;
    return DF_OK;
}

df_status df_model_copy(const struct df_cell *cell, const struct df_model *from, struct df_model *out, struct df_error *err)
{
    struct df_model model;

    DF_TRY(df_model_create(cell, from->detector->classes, &model, err));
    df_model_build(&model, cell, false);
    for (size_t i = 0; i < model.parameters->count; i++)
        copy_parameter(from->parameters->items[i], model.parameters->items[i]);
    df_parameters_touch(model.parameters);
    model.detector->class->fold(model.detector);
    *out = model;
    return DF_OK;
}

df_status df_model_load(const struct df_cell *cell, const char *checkpoint, struct df_model *out, struct df_error *err)
{
    struct df_dataset *dataset;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &dataset, err));
    return df_model_open(cell, dataset->categories, checkpoint, out, err);
}

void df_model_release(struct df_model *model)
{
    df_detector_free(model->detector);
    df_parameters_free(model->parameters);
    df_device_close(model->device);
    *model = (struct df_model){ 0 };
}
