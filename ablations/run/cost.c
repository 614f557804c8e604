/* Counting a step. The networks are those of a run; their weights are not there, for counts do not depend on values. What does depend on the
 * images a little is fixed: how many objects one has. */
#include "ablations/run/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/cache.h"
#include "ablations/run/model.h"
#include "ablations/run/parts.h"

#define OBJECTS 7 /* as an image of COCO has, about */

const char *const df_cost_part_names[DF_COST_PARTS] = {
    [DF_COST_BODY] = "student: backbone and neck",
    [DF_COST_HEADS] = "student: heads",
    [DF_COST_LOSS] = "detector losses",
    [DF_COST_BACKWARD] = "student: backward",
    [DF_COST_TEACHER] = "teacher, live",
    [DF_COST_CACHED] = "teacher's cache",
    [DF_COST_DISTILL] = "distillers",
    [DF_COST_DISTILL_BACKWARD] = "distillers: backward",
    [DF_COST_UPDATE] = "optimiser",
};

/* ---- a batch that nobody photographed ---- */

struct made {
    struct df_batch batch;
    struct df_ground_truth *truth;
    struct df_box *box; /* [n][OBJECTS] */
    int32_t label[OBJECTS];
    size_t *index, *valid_h, *valid_w;
    bool *flipped;
    double *scale;
};

static struct df_box made_box(struct df_rng *rng, size_t height, size_t width)
{
    const double h = (double)height * df_rng_range(rng, 0.05, 0.6), w = (double)width * df_rng_range(rng, 0.05, 0.6);
    const double y = df_rng_range(rng, 0, (double)height - h), x = df_rng_range(rng, 0, (double)width - w);

    return (struct df_box){ (float)x, (float)y, (float)(x + w), (float)(y + h) };
}

/* look: whether anybody looks at the pixels. */
static void made_init(struct made *made, size_t n, size_t height, size_t width, size_t classes, bool look)
{
    const size_t pixels = n * height * width * 3;
    df_real *pixel = df_calloc(pixels, sizeof *pixel);
    struct df_rng rng;

    *made = (struct made){ .truth = df_calloc(n, sizeof *made->truth),
                           .box = df_calloc(n * OBJECTS, sizeof *made->box),
                           .index = df_calloc(n, sizeof *made->index),
                           .valid_h = df_calloc(n, sizeof *made->valid_h),
                           .valid_w = df_calloc(n, sizeof *made->valid_w),
                           .flipped = df_calloc(n, sizeof *made->flipped),
                           .scale = df_calloc(n, sizeof *made->scale) };
    df_rng_init(&rng, 0, DF_RNG_SCENE, 0);
    for (size_t i = 0; look && i < pixels; i++)
        pixel[i] = (df_real)df_rng_range(&rng, -2, 2); /* as normalised pixels are */
    for (size_t k = 0; k < OBJECTS; k++)
        made->label[k] = (int32_t)(k % classes);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < OBJECTS; k++)
            made->box[i * OBJECTS + k] = made_box(&rng, height, width);
        made->truth[i] = (struct df_ground_truth){ OBJECTS, made->box + i * OBJECTS, made->label };
        made->index[i] = i;
        made->valid_h[i] = height;
        made->valid_w[i] = width;
        made->scale[i] = 1;
    }
    made->batch = (struct df_batch){ .n = n,
                                     .height = height,
                                     .width = width,
                                     .pixels = pixel,
                                     .truth = made->truth,
                                     .index = made->index,
                                     .flipped = made->flipped,
                                     .valid_h = made->valid_h,
                                     .valid_w = made->valid_w,
                                     .scale_x = made->scale,
                                     .scale_y = made->scale };
}

static void made_release(struct made *made)
{
    free(made->batch.pixels);
    free(made->truth);
    free(made->box);
    free(made->index);
    free(made->valid_h);
    free(made->valid_w);
    free(made->flipped);
    free(made->scale);
}

/* Image i alone. */
static struct df_batch made_one(const struct made *made, size_t i)
{
    struct df_batch one = made->batch;

    one.n = 1;
    one.pixels += i * one.height * one.width * 3;
    one.truth += i;
    one.index += i;
    return one;
}

/* ---- the networks ---- */

struct subject {
    struct df_trainer trainer; /* without data: what a step needs of it */
    struct df_model teacher;   /* device NULL: none needed */
    df_tape *teacher_tape;
    struct df_teacher_plan plan;
    struct df_taught_parts parts;
    size_t height, width;
    bool compute;
};

/* As df_model_create, on the device that counts. */
static df_status create(const struct subject *s, const struct df_cell *cell, size_t classes, struct df_model *out, struct df_error *err)
{
    struct df_model model = { 0 };

    if (s->compute)
        return df_model_create(cell, classes, out, err);
    model.device = df_device_dry();
    model.parameters = df_parameters_new();

    const df_status status = cell->detector->create(cell->detector_options, &cell->network, cell->classes ? cell->classes : classes,
                                                    model.parameters, &model.detector, err);

    if (status == DF_OK)
        *out = model;
    else
        df_model_release(&model);
    return status;
}

/* Weights that nobody looks at are not drawn. */
static void build(const struct subject *s, const struct df_model *model, uint64_t seed, bool gradients)
{
    for (size_t i = 0; !s->compute && i < model->parameters->count; i++)
        model->parameters->items[i]->init = (struct df_initialiser){ DF_INIT_ZERO, 0 };
    df_parameters_build(model->parameters, model->device, seed, gradients);
}

static df_status open_teacher(struct subject *s, const struct df_cell *cell, size_t classes, struct df_error *err)
{
    DF_TRY(create(s, cell->teacher, classes, &s->teacher, err));
    build(s, &s->teacher, 0, false);
    s->teacher.detector->class->fold(s->teacher.detector);
    s->teacher_tape = df_tape_new(s->teacher.device, false);
    return DF_OK;
}

/* The parts of both networks, for the distillers, as if deviations had been measured. */
static df_status both_parts(struct subject *s, const struct df_cell *cell, size_t classes, struct df_error *err)
{
    const struct df_canvas_size canvas = { s->height, s->width };

    df_teacher_plan_of(cell, &s->plan);
    DF_TRY(df_cell_parts(cell, classes, canvas, &s->parts.student, err));
    DF_TRY(df_cell_parts(cell->teacher, classes, canvas, &s->parts.teacher, err));
    for (size_t i = 0; i < s->parts.teacher.count; i++)
        s->parts.teacher.part[i].std = 1;
    return df_parts_fit(&s->plan.captured, &s->parts.teacher, &s->parts.student, err);
}

static df_status open_subject(struct subject *s, const struct df_cell *cell, size_t classes, struct df_error *err)
{
    struct df_trainer *trainer = &s->trainer;

    trainer->cell = cell;
    trainer->steps = trainer->steps_per_epoch = 1;
    DF_TRY(create(s, cell, classes, &trainer->model, err));
    trainer->own_parameters = trainer->model.parameters->count;
    if (cell->needs.count) {
        DF_TRY(both_parts(s, cell, classes, err));
        DF_TRY(open_teacher(s, cell, classes, err));
    }
    DF_TRY(df_trainer_add_distillers(trainer, &s->parts, err));
    build(s, &trainer->model, (uint64_t)cell->seed, true);
    trainer->tape = df_tape_new(trainer->model.device, true);
    return DF_OK;
}

static void close_subject(struct subject *s)
{
    df_tape_free(s->trainer.tape);
    df_model_release(&s->trainer.model);
    for (size_t i = 0; i < s->trainer.distillers; i++)
        free(s->trainer.distiller[i].state);
    df_tape_free(s->teacher_tape);
    df_model_release(&s->teacher);
}

/* ---- counting ---- */

static struct df_cost_amount plus(struct df_cost_amount a, double sign, struct df_cost_amount b)
{
    return (struct df_cost_amount){ a.flops + sign * b.flops, a.bytes + sign * b.bytes, a.copied + sign * b.copied };
}

static struct df_cost_amount times(double factor, struct df_cost_amount a)
{
    return (struct df_cost_amount){ factor * a.flops, factor * a.bytes, factor * a.copied };
}

/* What the device has done since it was last asked. The profile counts a copy on both sides. */
static struct df_cost_amount taken(struct df_device *device)
{
    struct df_cost_amount sum = { 0 };

    for (size_t i = 0; i < device->profile_count; i++) {
        const struct df_profile_entry *entry = &device->profile[i];
        const bool copy = strcmp(entry->name, "write") == 0 || strcmp(entry->name, "read") == 0;

        sum.flops += entry->flops;
        sum.bytes += copy ? entry->bytes / 2 : entry->bytes;
        sum.copied += copy ? entry->bytes / 2 : 0;
    }
    df_device_profile(device, true);
    return sum;
}

/* One pass over a batch, and what it took. */
struct counts {
    struct df_cost_amount part[DF_COST_PARTS];
    double tape, teacher_tape, live_record;
    uint64_t cached_record;
};

static void count_body(struct subject *s, const struct made *made, struct counts *counts)
{
    const struct df_batch *batch = &made->batch;
    df_tensor *stage[DF_STAGES], *level[DF_LEVELS];
    df_tape *tape = s->trainer.tape;

    df_tape_reset(tape);
    (void)taken(df_tape_device(tape));
    df_tensor *x = df_tensor_from(tape, (df_shape){ batch->n, batch->height, batch->width, 3 }, batch->pixels);

    df_network_forward(s->trainer.model.detector->network, tape, x, true, stage, level);
    counts->part[DF_COST_BODY] = taken(df_tape_device(tape));
}

/* The plain student: forward, losses. */
static df_tensor *plain_loss(struct subject *s, const struct made *made, struct df_detection_state *state, struct counts *counts)
{
    struct df_trainer *trainer = &s->trainer;
    struct df_detector *detector = trainer->model.detector;

    df_tape_reset(trainer->tape);
    trainer->terms.count = 0;
    df_detector_forward(detector, trainer->tape, &made->batch, DF_TRAINING | DF_LABELS, state);
    counts->part[DF_COST_HEADS] = plus(taken(trainer->model.device), -1, counts->part[DF_COST_BODY]);

    df_tensor *loss = detector->class->loss(detector, trainer->tape, state, &trainer->terms);

    counts->part[DF_COST_LOSS] = taken(trainer->model.device);
    return loss;
}

static void count_plain(struct subject *s, const struct made *made, struct counts *counts)
{
    struct df_detection_state state = { 0 };
    df_tensor *loss = plain_loss(s, made, &state, counts);

    df_backward(s->trainer.tape, loss);
    counts->part[DF_COST_BACKWARD] = taken(s->trainer.model.device);
    counts->tape = (double)df_tape_used(s->trainer.tape);
}

/* A live teacher's records of all images, image by image; and the layout that a cache would have. */
static void count_teacher(struct subject *s, const struct made *made, struct df_record_layout *cached, struct df_record_layout *live,
                          void ***records, struct counts *counts)
{
    struct df_detector *detector = s->teacher.detector;

    *records = df_calloc(made->batch.n, sizeof **records);
    (void)taken(s->teacher.device);
    for (size_t i = 0; i < made->batch.n; i++) {
        const struct df_batch one = made_one(made, i);
        struct df_detection_state state;

        df_tape_reset(s->teacher_tape);
        df_detector_forward(detector, s->teacher_tape, &one, DF_FIRST_STAGE, &state);
        df_record_layout_of(&state, &s->plan.recorded, cached);
        df_record_layout_of(&state, &s->plan.given, live);
        (*records)[i] = df_device_alloc(s->teacher.device, live->bytes);
        df_record_take(live, &state, s->teacher.device, DF_RECORD_ON_DEVICE, (*records)[i]); /* all images have one canvas */
    }
    counts->part[DF_COST_TEACHER] = taken(s->teacher.device);
    counts->teacher_tape = (double)df_tape_used(s->teacher_tape);
    counts->live_record = (double)live->bytes;
    counts->cached_record = cached->bytes;
}

/* The teacher's state out of them. */
static void give(struct subject *s, enum df_record_place place, const struct df_record_layout *layout, const void *const *record,
                 const struct df_detection_state *student, struct df_detection_state *out)
{
    const struct df_record_layout **layouts = df_calloc(student->batch, sizeof *layouts);
    struct df_error err;

    for (size_t i = 0; i < student->batch; i++)
        layouts[i] = layout;
    const df_status status = df_record_state(&(struct df_records){ place, layouts, record }, &s->plan.given, &s->parts.teacher, student,
                                             s->trainer.tape, out, &err);

    DF_ASSERT(status == DF_OK); /* all images have one canvas */
    free(layouts);
}

/* The same records, had they come from the host. */
static void count_cached(struct subject *s, const struct df_detection_state *student, const struct df_record_layout *layout,
                         struct counts *counts)
{
    struct df_device *device = s->trainer.model.device;
    const void **records = df_calloc(student->batch, sizeof *records);
    void *record = df_calloc(1, layout->bytes + 1);
    struct df_detection_state state;

    for (size_t i = 0; i < student->batch; i++)
        records[i] = record;
    (void)taken(device);
    give(s, DF_RECORD_ON_HOST, layout, records, student, &state);
    counts->part[DF_COST_CACHED] = taken(device);
    free(record);
    free(records);
}

static void count_distilled(struct subject *s, const struct made *made, struct counts *counts)
{
    struct df_trainer *trainer = &s->trainer;
    const bool needs = trainer->cell->needs.count;
    struct df_detection_state state, teacher = { 0 };
    struct df_record_layout cached, live;
    void **records = NULL;

    if (needs)
        count_teacher(s, made, &cached, &live, &records, counts);

    df_tensor *loss = plain_loss(s, made, &state, counts);

    if (needs) {
        give(s, DF_RECORD_ON_DEVICE, &live, (const void *const *)records, &state, &teacher);
        counts->part[DF_COST_TEACHER] = plus(counts->part[DF_COST_TEACHER], 1, taken(trainer->model.device));
    }
    if (s->plan.head)
        teacher.detector = s->teacher.detector;
    loss = df_trainer_distill(trainer, &state, &teacher, loss);
    counts->part[DF_COST_DISTILL] = taken(trainer->model.device);
    df_backward(trainer->tape, loss);
    counts->part[DF_COST_DISTILL_BACKWARD] = plus(taken(trainer->model.device), -1, counts->part[DF_COST_BACKWARD]);
    counts->tape = (double)df_tape_used(trainer->tape);
    for (size_t i = 0; records && i < made->batch.n; i++)
        df_device_free(s->teacher.device, records[i]);
    free(records);
    if (needs)
        count_cached(s, &state, &cached, counts);
}

static void count_pass(struct subject *s, size_t n, struct counts *counts)
{
    struct made made;

    *counts = (struct counts){ 0 };
    made_init(&made, n, s->height, s->width, s->trainer.model.detector->classes, s->compute);
    count_body(s, &made, counts);
    count_plain(s, &made, counts);
    if (s->trainer.distillers)
        count_distilled(s, &made, counts);
    made_release(&made);
}

/* Not scaled by anything; last, for made-up gradients make no good weights. */
static struct df_cost_amount count_update(struct subject *s)
{
    const struct df_schedule *schedule = &s->trainer.cell->schedule;
    struct df_parameters *parameters = s->trainer.model.parameters;

    (void)taken(s->trainer.model.device);
    df_parameters_zero_grad(parameters);
    df_optimiser_step(parameters, schedule, 0, df_gradient_norm(parameters, schedule->clip), 1);
    return taken(s->trainer.model.device);
}

static struct df_cost_amount not_negative(struct df_cost_amount a)
{
    return (struct df_cost_amount){ fmax(0, a.flops), fmax(0, a.bytes), fmax(0, a.copied) };
}

/* step = 2 f(1) - f(2), image = f(1) - step */
static void tell_apart(const struct counts *one, const struct counts *two, struct df_cost *out)
{
    for (int p = 0; p < DF_COST_PARTS; p++) {
        out->step[p] = not_negative(plus(times(2, one->part[p]), -1, two->part[p]));
        out->image[p] = plus(one->part[p], -1, out->step[p]);
    }
    out->tape_step = fmax(0, 2 * one->tape - two->tape);
    out->tape_image = one->tape - out->tape_step;
    out->teacher_tape = one->teacher_tape;
    out->live_record = one->live_record;
    out->record = one->cached_record;
}

static double held_bytes(const struct df_parameters *parameters)
{
    const double vectors = 1 + (parameters->grad ? 1 : 0) + (parameters->moment1 ? 1 : 0) + (parameters->moment2 ? 1 : 0);

    return ((double)parameters->values * vectors + (double)parameters->buffers) * (double)sizeof(df_real);
}

static size_t count_values(const struct df_parameters *parameters, size_t from, size_t to)
{
    size_t sum = 0;

    for (size_t i = from; i < to; i++)
        sum += parameters->items[i]->buffer ? 0 : df_count(parameters->items[i]->shape);
    return sum;
}

static void note_sizes(const struct subject *s, struct df_cost *out)
{
    const struct df_parameters *own = s->trainer.model.parameters, *teacher = s->teacher.parameters;

    out->parameters = count_values(own, 0, s->trainer.own_parameters);
    out->adaptation = count_values(own, s->trainer.own_parameters, own->count);
    out->held = held_bytes(own);
    if (!teacher)
        return;
    out->teacher_parameters = count_values(teacher, 0, teacher->count);
    out->teacher_held = held_bytes(teacher);
}

df_status df_cost_count(const struct df_cell *cell, size_t classes, size_t height, size_t width, bool compute, struct df_cost *out,
                        struct df_error *err)
{
    struct subject *s = df_calloc(1, sizeof *s);
    struct df_cost cost = { .height = height, .width = width, .classes = classes };
    struct counts one, two;

    s->height = height;
    s->width = width;
    s->compute = compute;

    const df_status status = open_subject(s, cell, classes, err);

    if (status == DF_OK) {
        count_pass(s, 1, &one);
        count_pass(s, 2, &two);
        tell_apart(&one, &two, &cost);
        cost.step[DF_COST_UPDATE] = count_update(s);
        note_sizes(s, &cost);
        *out = cost;
    }
    close_subject(s);
    free(s);
    return status;
}

/* ---- what follows from the counts ---- */

struct df_cost_amount df_cost_part(const struct df_cost *cost, enum df_cost_part part, size_t batch)
{
    return plus(cost->step[part], (double)batch, cost->image[part]);
}

double df_cost_seconds(struct df_cost_amount amount, struct df_cost_machine machine)
{
    return fmax(amount.flops / machine.flops, amount.bytes / machine.bandwidth);
}

bool df_cost_counts(enum df_cost_part part, bool cached) { return part != (cached ? DF_COST_TEACHER : DF_COST_CACHED); }

double df_cost_step_seconds(const struct df_cost *cost, size_t batch, struct df_cost_machine machine, bool cached)
{
    double seconds = 0;

    for (int p = 0; p < DF_COST_PARTS; p++)
        if (df_cost_counts((enum df_cost_part)p, cached))
            seconds += df_cost_seconds(df_cost_part(cost, (enum df_cost_part)p, batch), machine);
    return seconds;
}

/* With a live teacher's record, which the tape's copy of the batch is made of. */
static double image_memory(const struct df_cost *cost) { return cost->tape_image + cost->live_record; }

double df_cost_memory(const struct df_cost *cost, size_t batch)
{
    return cost->tape_step + (double)batch * image_memory(cost) + cost->held + cost->teacher_tape + cost->teacher_held;
}

size_t df_cost_largest_batch(const struct df_cost *cost, double bytes)
{
    const double room = bytes - df_cost_memory(cost, 0);

    return room > 0 ? (size_t)(room / image_memory(cost)) : 0;
}

static double cache_bytes(const struct df_cost *cost, size_t records) { return (double)df_cache_bytes(records * cost->record, records); }

size_t df_cost_cached_images(const struct df_cost *cost, size_t copies, double limit)
{
    size_t low = 0, high = 1;

    while (cache_bytes(cost, high * copies) <= limit && high < (size_t)1 << 40)
        low = high, high *= 2;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;

        if (cache_bytes(cost, middle * copies) <= limit)
            low = middle;
        else
            high = middle;
    }
    return low;
}
