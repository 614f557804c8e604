/* A spec's student, without distillation, for a few steps of SGD: its first weights, and of every step the batch, the losses, and the
 * proposals that a two-stage detector had sampled, as safetensors for parity.py, which takes the same steps in PyTorch.
 * Usage: parity SPEC FOLDER STEPS (make parity) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/trainer.h"
#include "ablations/spec.h"
#include "core/nn/checkpoint.h"
#include "core/nn/state_dict.h"

#define MOST 32          /* vectors of a step */
enum { DECAY_NONE = 2 }; /* of df_schedule_options */

struct vector {
    char name[64];
    size_t count;
    df_real *values;
};
static struct vector vectors[MOST];
static size_t vector_count;
static const struct df_detector_class *watched_class; /* the detector's own */

static df_real *add(const char *name, size_t count)
{
    struct vector *v = &vectors[vector_count++];

    DF_ASSERT(vector_count <= MOST);
    snprintf(v->name, sizeof v->name, "%s", name);
    v->count = count;
    v->values = df_calloc(count + 1, sizeof *v->values);
    return v->values;
}

/* Empty vectors are left out. */
static df_status write_vectors(const char *path, struct df_device *device, struct df_error *err)
{
    struct df_parameters *parameters = df_parameters_new();
    const struct df_initialiser zero = { DF_INIT_ZERO, 0 };

    for (size_t i = 0; i < vector_count; i++)
        if (vectors[i].count)
            df_parameters_add(parameters, vectors[i].name, DF_VECTOR, (df_shape){ 1, 1, 1, vectors[i].count }, zero, DF_RNG_INIT);
    df_parameters_build(parameters, device, 0, false);
    for (size_t i = 0; i < vector_count; i++) {
        const struct df_parameter *p = df_parameters_find(parameters, vectors[i].name);

        if (p)
            df_write(device, p->value, vectors[i].values, vectors[i].count * sizeof *vectors[i].values);
        free(vectors[i].values);
    }
    vector_count = 0;

    const df_status status = df_checkpoint_write(path, (struct df_checkpoint){ .parameters = parameters }, err);

    df_parameters_free(parameters);
    return status;
}

static void add_batch(const struct df_batch *batch, df_tape *tape, const df_tensor *pixels)
{
    const size_t values = df_count(pixels->shape);
    df_real *shape = add("shape", 3), *valid = add("valid", 2 * batch->n), *objects;
    size_t count = 0, at = 0;

    df_read(df_tape_device(tape), add("pixels", values), pixels->data, values * sizeof(df_real));
    shape[0] = (df_real)batch->n;
    shape[1] = (df_real)batch->height;
    shape[2] = (df_real)batch->width;
    for (size_t n = 0; n < batch->n; n++)
        count += batch->truth[n].count;
    objects = add("objects", 6 * count); /* image, label, box */
    for (size_t n = 0; n < batch->n; n++) {
        valid[2 * n] = (df_real)batch->valid_h[n];
        valid[2 * n + 1] = (df_real)batch->valid_w[n];
        for (size_t g = 0; g < batch->truth[n].count; g++, at++) {
            const struct df_box b = batch->truth[n].boxes[g];
            const float row[6] = { (float)n, (float)batch->truth[n].labels[g], b.x0, b.y0, b.x1, b.y1 };

            for (size_t k = 0; k < 6; k++)
                objects[6 * at + k] = (df_real)row[k];
        }
    }
}

/* What the detector sees and samples. */
static void watch(struct df_detector *detector, df_tape *tape, const struct df_batch *batch, df_tensor *pixels, unsigned what,
                  struct df_detection_state *state)
{
    const df_real *label;
    struct df_box *box;
    df_real *rows;

    watched_class->forward(detector, tape, batch, pixels, what, state);
    add_batch(batch, tape, pixels);
    rows = add("proposals", 6 * state->rois.count); /* image, label, box */
    box = df_tape_host(tape, state->rois.count * sizeof *box);
    if (state->rois.count)
        df_read(df_tape_device(tape), box, state->rois.box, state->rois.count * sizeof *box);
    label = state->rois.count ? df_part_host(tape, df_part(state, "roi/label", DF_NO_LEVEL)) : NULL;
    for (size_t r = 0; r < state->rois.count; r++) {
        const struct df_box b = box[r];
        const float row[6] = { (float)(r / (state->rois.count / state->batch)), (float)label[r], b.x0, b.y0, b.x1, b.y1 };

        for (size_t k = 0; k < 6; k++)
            rows[6 * r + k] = (df_real)row[k];
    }
}

static df_status step(struct df_trainer *trainer, const char *folder, struct df_error *err)
{
    const size_t number = trainer->student.step;
    char path[1024], name[64];

    df_step_log_clear(&trainer->log);
    DF_TRY(df_trainer_step(trainer, err));
    DF_TRY(df_trainer_read_log(trainer, err));
    add("loss", 1)[0] = (df_real)trainer->log.loss_sum;
    add("lr", 1)[0] = (df_real)trainer->student.lr;
    for (size_t i = 0; i < trainer->student.terms.count; i++) {
        snprintf(name, sizeof name, "term.%s", trainer->student.terms.term[i].name);
        add(name, 1)[0] = (df_real)df_item(trainer->student.tape, trainer->student.terms.term[i].value);
    }
    snprintf(path, sizeof path, "%s/step%zu.safetensors", folder, number);
    return write_vectors(path, trainer->student.model.device, err);
}

/* Plain SGD in place of the spec's optimiser: what a wrong gradient does to the losses is not hidden by a normalised step. */
static void use_sgd(struct df_schedule *schedule)
{
    schedule->optimiser = DF_SGD;
    schedule->lr = 0.02;
    schedule->momentum = 0.9;
    schedule->weight_decay = 1e-4;
    schedule->decay = DECAY_NONE;
    schedule->warmup_steps = 5;
    schedule->warmup_factor = 0.2;
}

static df_status run(const char *path, const char *folder, size_t steps, struct df_error *err)
{
    const struct df_run_options options = { .out = folder, .quiet = true };
    struct df_trainer *trainer = NULL;
    struct df_detector_class watched;
    struct df_spec *spec;
    struct df_cell *cell = NULL;
    char initial[1024];
    df_status status;

    DF_TRY(df_spec_read(path, NULL, &spec, err));
    for (size_t i = 0; i < spec->count && !cell; i++)
        cell = spec->cell[i]->teachers ? NULL : spec->cell[i];
    if (!cell) {
        df_spec_free(spec);
        return df_fail(err, DF_ERR_USAGE, "every method of '%s' distils", path);
    }
    use_sgd(&cell->schedule);
    status = df_trainer_new(cell, &options, &trainer, err);
    if (status == DF_OK) {
        snprintf(initial, sizeof initial, "%s/initial.safetensors", folder);
        status = df_state_dict_write(initial, trainer->student.model.parameters, err);
        watched_class = trainer->student.model.detector->class;
        watched = *watched_class;
        watched.forward = watch;
        trainer->student.model.detector->class = &watched;
    }
    for (size_t i = 0; i < steps && status == DF_OK; i++)
        status = step(trainer, folder, err);
    if (trainer)
        trainer->student.model.detector->class = watched_class;
    df_trainer_free(trainer);
    df_spec_free(spec);
    return status;
}

int main(int count, char **words)
{
    struct df_error err = { 0 };

    if (count != 4) {
        fprintf(stderr, "usage: parity SPEC FOLDER STEPS\n");
        return 2;
    }
    if (run(words[1], words[2], strtoul(words[3], NULL, 10), &err) == DF_OK)
        return 0;
    fprintf(stderr, "parity: %s\n", err.text);
    return 1;
}
