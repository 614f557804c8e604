/* Counting a step. The networks are those of a run; their weights are not there, for counts do not depend on values. What does depend on the
 * images a little is fixed: how many objects one has. */
#include "ablations/run/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/cache.h"
#include "ablations/run/fits.h"
#include "ablations/run/student.h"

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

/* ---- a made-up batch ---- */

struct made {
    struct df_batch batch;
    struct df_ground_truth *truth;
    struct df_box *box; /* [n][OBJECTS] */
    int32_t label[OBJECTS];
    uint8_t *bytes;
    df_real normal[3 * 256];
    struct df_placed_image *image;
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
static void made_init(struct made *made, size_t n, struct df_cost_images images, bool look)
{
    const size_t height = images.height, width = images.width, bytes = height * width * 3;
    struct df_rng rng;

    *made = (struct made){ .bytes = df_calloc(n * bytes, 1),
                           .image = df_calloc(n, sizeof *made->image),
                           .truth = df_calloc(n, sizeof *made->truth),
                           .box = df_calloc(n * OBJECTS, sizeof *made->box),
                           .index = df_calloc(n, sizeof *made->index),
                           .valid_h = df_calloc(n, sizeof *made->valid_h),
                           .valid_w = df_calloc(n, sizeof *made->valid_w),
                           .flipped = df_calloc(n, sizeof *made->flipped),
                           .scale = df_calloc(n, sizeof *made->scale) };
    df_rng_init(&rng, 0, DF_RNG_SCENE, 1); /* objects are the same, whoever looks */
    for (size_t i = 0; look && i < n * bytes; i++)
        made->bytes[i] = (uint8_t)df_rng_below(&rng, 256);
    for (size_t v = 0; v < 3 * 256; v++)
        made->normal[v] = (df_real)(v % 256) / 64 - 2; /* as normalised pixels are */
    df_rng_init(&rng, 0, DF_RNG_SCENE, 0);
    for (size_t k = 0; k < OBJECTS; k++)
        made->label[k] = (int32_t)(k % images.classes);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < OBJECTS; k++)
            made->box[i * OBJECTS + k] = made_box(&rng, height, width);
        made->image[i] = (struct df_placed_image){ i * bytes, width, height, width, height, false };
        made->truth[i] = (struct df_ground_truth){ OBJECTS, made->box + i * OBJECTS, made->label };
        made->index[i] = i;
        made->valid_h[i] = height;
        made->valid_w[i] = width;
        made->scale[i] = 1;
    }
    made->batch = (struct df_batch){ .n = n,
                                     .height = height,
                                     .width = width,
                                     .image = made->image,
                                     .bytes = made->bytes,
                                     .normal = made->normal,
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
    free(made->bytes);
    free(made->image);
    free(made->truth);
    free(made->box);
    free(made->index);
    free(made->valid_h);
    free(made->valid_w);
    free(made->flipped);
    free(made->scale);
}

/* ---- the networks ---- */

/* One pass over a batch, and what it took. */
struct counts {
    struct df_cost_amount part[DF_COST_PARTS];
    double tape, teacher_tape, live_record, record_flops;
    uint64_t cached_record, largest_record;
};

/* Which of a batch's steps is counted: without distillers; with them, the teachers live or in their caches. */
enum pass { PLAIN, LIVE, CACHED };

struct instructor {
    struct df_model model;
    bool own_canvas; /* it sees other images than the student */
    df_tape *tape;
    struct df_teacher_plan plan;
    struct df_taught_parts parts;
};

struct subject {
    struct df_cell cell; /* the one that is counted, with a learning rate of 0: made-up gradients make no good weights */
    struct df_student student;
    struct instructor teacher[DF_STACK_MAX]; /* each of the cell's */
    struct df_cost_images images;
    bool dry;
    /* while a step is made */
    enum pass pass;
    struct counts *counts;
};

static df_status open_teacher(const struct subject *s, const struct df_cell *cell, struct instructor *teacher, struct df_error *err)
{
    DF_TRY((s->dry ? df_model_create_dry : df_model_create)(cell, s->images.classes, &teacher->model, err));
    df_model_build(&teacher->model, cell, false);
    df_detector_show(teacher->model.detector, &teacher->plan.recorded);
    teacher->model.detector->class->fold(teacher->model.detector);
    teacher->tape = df_tape_new(teacher->model.device, false);
    return DF_OK;
}

/* The parts of both networks, for the distillers, as if deviations had been measured. */
static df_status find_parts(const struct subject *s, size_t which, struct instructor *teacher, struct df_error *err)
{
    const struct df_canvas_size own = { s->images.height, s->images.width }, theirs = s->images.teacher[which];
    const struct df_cell_teacher *by = &s->cell.teacher[which];
    struct df_taught_parts *parts = &teacher->parts;

    teacher->own_canvas = theirs.height && (theirs.height != own.height || theirs.width != own.width);
    df_teacher_plan_of(by, &teacher->plan);
    DF_TRY(df_cell_parts(&s->cell, s->images.classes, own, &parts->student, err));
    DF_TRY(df_cell_parts(by->cell, s->images.classes, teacher->own_canvas ? theirs : own, &parts->teacher, err));
    for (size_t i = 0; i < parts->teacher.count; i++)
        parts->teacher.part[i].std = 1;
    return df_parts_fit(&teacher->plan.captured, &parts->teacher, &parts->student, err);
}

static df_status open_subject(struct subject *s, struct df_error *err)
{
    struct df_student_setup setup = { .classes = s->images.classes, .steps = 1, .steps_per_epoch = 1, .dry = s->dry };

    for (size_t t = 0; t < s->cell.teachers; t++) {
        DF_TRY(find_parts(s, t, &s->teacher[t], err));
        DF_TRY(open_teacher(s, s->cell.teacher[t].cell, &s->teacher[t], err));
        setup.parts[t] = &s->teacher[t].parts;
    }
    return df_student_open(&s->student, &s->cell, &setup, err);
}

static void close_subject(struct subject *s)
{
    df_student_close(&s->student);
    for (size_t t = 0; t < DF_STACK_MAX; t++) {
        df_tape_free(s->teacher[t].tape);
        df_model_release(&s->teacher[t].model);
    }
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
        const bool copy = df_profile_copies(entry);

        sum.flops += entry->flops;
        sum.bytes += copy ? entry->bytes / 2 : entry->bytes;
        sum.copied += copy ? entry->bytes / 2 : 0;
    }
    df_device_profile(device, true);
    return sum;
}

/* Backbone and neck alone. */
static void count_body(struct subject *s, const struct df_batch *batch, struct counts *counts)
{
    df_tensor *stage[DF_STAGES], *level[DF_LEVELS];
    df_tape *tape = s->student.tape;

    if (!s->student.model.detector->network) /* a classifier, trained as a teacher: it is all head */
        return;
    df_tape_reset(tape);
    (void)taken(df_tape_device(tape));
    df_network_forward(s->student.model.detector->network, tape, df_detector_pixels(tape, batch), true, stage, level);
    counts->part[DF_COST_BODY] = taken(df_tape_device(tape));
}

/* What the teachers have done since they were last asked. */
static struct df_cost_amount taught(struct subject *s)
{
    struct df_cost_amount sum = { 0 };

    for (size_t t = 0; t < s->cell.teachers; t++)
        sum = plus(sum, 1, taken(s->teacher[t].model.device));
    return sum;
}

/* What a plain step also does is known from there. */
static void count_part(void *watcher, enum df_step_part part)
{
    struct subject *s = watcher;
    struct counts *counts = s->counts;
    const struct df_cost_amount amount = taken(s->student.model.device);

    if (part == DF_STEP_TEACH && s->pass == LIVE)
        counts->part[DF_COST_TEACHER] = plus(amount, 1, taught(s));
    if (part == DF_STEP_TEACH && s->pass == CACHED) { /* no step makes what is in a cache */
        counts->part[DF_COST_CACHED] = amount;
        counts->record_flops = taught(s).flops;
    }
    if (part == DF_STEP_DISTILL)
        counts->part[DF_COST_DISTILL] = amount;
    if (part == DF_STEP_BACKWARD && s->pass == LIVE)
        counts->part[DF_COST_DISTILL_BACKWARD] = plus(amount, -1, counts->part[DF_COST_BACKWARD]);
    if (s->pass != PLAIN)
        return;
    if (part == DF_STEP_FORWARD)
        counts->part[DF_COST_HEADS] = plus(amount, -1, counts->part[DF_COST_BODY]);
    if (part == DF_STEP_LOSS)
        counts->part[DF_COST_LOSS] = amount;
    if (part == DF_STEP_BACKWARD)
        counts->part[DF_COST_BACKWARD] = amount;
    if (part == DF_STEP_CLEAR || part == DF_STEP_UPDATE)
        counts->part[DF_COST_UPDATE] = plus(counts->part[DF_COST_UPDATE], 1, amount);
}

/* The record of one image: made by a live teacher, which leaves it on the device; or as a cache has it, with nothing in it. */
static void *make_record(const struct subject *s, const struct instructor *teacher, const struct df_batch *one,
                         struct df_record_layout *layout)
{
    const struct df_needs *needs = s->pass == LIVE ? &teacher->plan.given : &teacher->plan.recorded;
    struct df_detector *detector = teacher->model.detector;
    struct df_detection_state state;
    void *record;

    df_tape_reset(teacher->tape);
    df_detector_forward(detector, teacher->tape, one, df_detector_pass_for(detector, needs), &state);
    df_record_layout_of(&state, needs, layout);
    if (s->pass == CACHED)
        return df_calloc(1, layout->bytes + 1);
    record = df_device_alloc(teacher->model.device, layout->bytes);
    df_record_take(layout, &state, teacher->model.device, DF_RECORD_ON_DEVICE, record);
    return record;
}

static void drop_record(const struct subject *s, const struct instructor *teacher, void *record)
{
    if (s->pass == LIVE)
        df_device_free(teacher->model.device, record);
    else
        free(record);
}

/* What one image takes, of all teachers. */
static void count_record(const struct subject *s, const struct instructor *teacher, const struct df_record_layout *layout)
{
    struct counts *counts = s->counts;

    if (s->pass == LIVE) {
        counts->live_record += (double)layout->bytes;
        counts->teacher_tape += (double)df_tape_used(teacher->tape);
    } else {
        counts->cached_record += layout->bytes;
        counts->largest_record = layout->bytes > counts->largest_record ? layout->bytes : counts->largest_record;
    }
}

/* What the teacher sees of the student's images; own: of a canvas of its own one image, which is as good as any. */
static const struct df_batch *images_of(const struct subject *s, size_t which, const struct df_batch *students, struct made *own)
{
    const struct df_canvas_size canvas = s->images.teacher[which];

    *own = (struct made){ .truth = NULL };
    if (!s->teacher[which].own_canvas)
        return students;
    made_init(own, 1, (struct df_cost_images){ .height = canvas.height, .width = canvas.width, .classes = s->images.classes }, !s->dry);
    return &own->batch;
}

/* Made records, one an image, and the teacher's state of them: a struct df_teaching. */
static df_status give_made_records(void *subject, size_t which, df_tape *tape, const struct df_detection_state *student,
                                   struct df_detection_state *out, struct df_error *err)
{
    struct subject *s = subject;
    struct instructor *teacher = &s->teacher[which];
    const size_t n = student->batch;
    void **record = df_calloc(n, sizeof *record);
    struct df_record_layout layout; /* all images have one canvas */
    const struct df_record_layout **layouts = df_calloc(n, sizeof *layouts);
    const struct df_records records = { s->pass == LIVE ? DF_RECORD_ON_DEVICE : DF_RECORD_ON_HOST, layouts, (const void *const *)record,
                                        &teacher->plan.given, &teacher->parts.teacher };

    struct made own;
    const struct df_batch *images = images_of(s, which, student->images, &own);

    (void)taken(teacher->model.device);
    for (size_t i = 0; i < n; i++) {
        const struct df_batch one = df_batch_one(images, teacher->own_canvas ? 0 : i);

        record[i] = make_record(s, teacher, &one, &layout);
        layouts[i] = &layout;
    }
    count_record(s, teacher, &layout);

    const df_status status = df_record_state(&records, student, tape, out, err);

    if (teacher->plan.network)
        out->detector = teacher->model.detector;
    for (size_t i = 0; i < n; i++)
        drop_record(s, teacher, record[i]);
    made_release(&own);
    free(record);
    free(layouts);
    return status;
}

static df_status count_step(struct subject *s, enum pass pass, const struct df_batch *batch, struct df_error *err)
{
    const struct df_teaching teaching = { give_made_records, s };

    s->pass = pass;
    s->student.distillers = pass == PLAIN ? 0 : s->cell.distillers;
    DF_TRY(df_student_step(&s->student, batch, pass != PLAIN && s->cell.teachers ? &teaching : NULL, err));
    if (pass != CACHED)
        s->counts->tape = (double)df_tape_used(s->student.tape);
    return DF_OK;
}

static df_status count_batch(struct subject *s, const struct df_batch *batch, struct df_error *err)
{
    count_body(s, batch, s->counts);
    DF_TRY(count_step(s, PLAIN, batch, err));
    if (s->cell.distillers)
        DF_TRY(count_step(s, LIVE, batch, err));
    return s->cell.teachers ? count_step(s, CACHED, batch, err) : DF_OK;
}

static df_status count_images(struct subject *s, size_t n, struct counts *counts, struct df_error *err)
{
    struct made made;

    *counts = (struct counts){ 0 };
    s->counts = counts;
    s->student.part_done = count_part;
    s->student.watcher = s;
    made_init(&made, n, s->images, !s->dry);

    const df_status status = count_batch(s, &made.batch, err);

    made_release(&made);
    return status;
}

static struct df_cost_amount not_negative(struct df_cost_amount a)
{
    return (struct df_cost_amount){ fmax(0, a.flops), fmax(0, a.bytes), fmax(0, a.copied) };
}

/* step = 2 f(1) - f(2), image = f(1) - step */
static void tell_step_from_image(const struct counts *one, const struct counts *two, struct df_cost *out)
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
    out->record_flops = one->record_flops;
    out->largest_record = one->largest_record;
}

static double held_bytes(const struct df_parameters *parameters)
{
    const double average = parameters->average ? 1 : 0;
    const double vectors = 1 + (parameters->grad ? 1 : 0) + (parameters->moment1 ? 1 : 0) + (parameters->moment2 ? 1 : 0) + average;

    return ((double)parameters->values * vectors + (double)parameters->buffers * (1 + average)) * (double)sizeof(df_real);
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
    const struct df_parameters *own = s->student.model.parameters;

    out->parameters = count_values(own, 0, s->student.own_parameters);
    out->adaptation = count_values(own, s->student.own_parameters, own->count);
    out->held = held_bytes(own);
    for (size_t t = 0; t < s->cell.teachers; t++) {
        const struct df_parameters *teacher = s->teacher[t].model.parameters;

        out->teacher_parameters += count_values(teacher, 0, teacher->count);
        out->teacher_held += held_bytes(teacher);
    }
}

static df_status count_subject(struct subject *s, struct df_cost *out, struct df_error *err)
{
    struct counts one, two;

    DF_TRY(open_subject(s, err));
    DF_TRY(count_images(s, 1, &one, err)); /* what is done once, as sending the anchors of a canvas, is done here */
    DF_TRY(count_images(s, 1, &one, err));
    DF_TRY(count_images(s, 2, &two, err));
    *out = (struct df_cost){ .images = s->images };
    tell_step_from_image(&one, &two, out);
    note_sizes(s, out);
    return DF_OK;
}

df_status df_cost_count(const struct df_cell *cell, struct df_cost_images images, bool compute, struct df_cost *out, struct df_error *err)
{
    struct subject *s = df_calloc(1, sizeof *s);

    s->cell = *cell;
    s->cell.schedule.lr = 0;
    s->images = images;
    s->dry = !compute;

    const df_status status = count_subject(s, out, err);

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

double df_cost_stretch(const struct df_cost *cost, size_t batch, double steps, size_t records)
{
    static const enum df_cost_part plain[] = { DF_COST_BODY, DF_COST_HEADS, DF_COST_LOSS, DF_COST_BACKWARD, DF_COST_UPDATE };
    double own = 0, more = (double)records * cost->record_flops;

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        own += steps * df_cost_part(cost, plain[i], batch).flops;
    more += steps * (df_cost_part(cost, DF_COST_DISTILL, batch).flops + df_cost_part(cost, DF_COST_DISTILL_BACKWARD, batch).flops);
    return 1 + more / own;
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

/* Each teacher has a cache, and each cache the limit. */
static double cache_bytes(const struct df_cost *cost, size_t records)
{
    return (double)df_cache_bytes(records * cost->largest_record, records);
}

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
