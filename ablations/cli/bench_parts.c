#include "ablations/cli/bench_parts.h"

#include <stdio.h>

#include "ablations/run/stop.h"
#include "core/base/file.h"
#include "core/base/text.h"

static const char *const names[DF_BENCH_PARTS] = {
    [DF_BENCH_BATCH] = "batch",      [DF_BENCH_FORWARD] = "student: forward", [DF_BENCH_LOSS] = "detector losses",
    [DF_BENCH_TEACH] = "teacher",    [DF_BENCH_DISTILL] = "distillers",       [DF_BENCH_BACKWARD] = "backward",
    [DF_BENCH_UPDATE] = "optimiser",
};

/* ---- by the clock ---- */

static void note_part(void *watcher, enum df_step_part part)
{
    static const enum df_bench_part goes_to[] = {
        [DF_STEP_BATCH] = DF_BENCH_BATCH,       [DF_STEP_CLEAR] = DF_BENCH_UPDATE,  [DF_STEP_FORWARD] = DF_BENCH_FORWARD,
        [DF_STEP_LOSS] = DF_BENCH_LOSS,         [DF_STEP_TEACH] = DF_BENCH_TEACH,   [DF_STEP_DISTILL] = DF_BENCH_DISTILL,
        [DF_STEP_BACKWARD] = DF_BENCH_BACKWARD, [DF_STEP_UPDATE] = DF_BENCH_UPDATE,
    };
    struct df_bench_parts *parts = watcher;

    df_sync(parts->trainer->student.model.device);
    for (size_t t = 0; t < parts->trainer->cell->teachers; t++) {
        struct df_device *device = df_teacher_device(parts->trainer->teacher[t]);

        if (device)
            df_sync(device);
    }
    const double now = df_now();

    parts->seconds[goes_to[part]] += now - parts->now;
    parts->now = now;
}

df_status df_bench_parts_time(struct df_bench_parts *parts, struct df_trainer *trainer, size_t steps, struct df_error *err)
{
    struct df_student *student = &trainer->student;
    df_status status = DF_OK;

    *parts = (struct df_bench_parts){ .trainer = trainer };
    df_sync(student->model.device);
    student->part_done = note_part;
    student->watcher = parts;
    for (size_t i = 0; i < steps && status == DF_OK; i++) {
        parts->now = df_now();
        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted") : df_trainer_step(trainer, err);
    }
    student->part_done = NULL;
    for (int p = 0; p < DF_BENCH_PARTS; p++)
        parts->seconds[p] /= (double)steps;
    return status;
}

/* ---- on paper ---- */

static enum df_bench_part part_of(enum df_cost_part part)
{
    static const enum df_bench_part part_of[DF_COST_PARTS] = {
        [DF_COST_BODY] = DF_BENCH_FORWARD,      [DF_COST_HEADS] = DF_BENCH_FORWARD, [DF_COST_LOSS] = DF_BENCH_LOSS,
        [DF_COST_BACKWARD] = DF_BENCH_BACKWARD, [DF_COST_TEACHER] = DF_BENCH_TEACH, [DF_COST_CACHED] = DF_BENCH_TEACH,
        [DF_COST_DISTILL] = DF_BENCH_DISTILL,   [DF_COST_UPDATE] = DF_BENCH_UPDATE, [DF_COST_DISTILL_BACKWARD] = DF_BENCH_BACKWARD,
    };

    return part_of[part];
}

/* What student and teachers see of the first image. */
static struct df_cost_images images_of(const struct df_trainer *trainer)
{
    const struct df_image_info *first = trainer->train->info;
    const struct df_canvas_size own = df_canvas_of(&trainer->cell->canvas, first);
    struct df_cost_images images = { .height = own.height, .width = own.width, .classes = trainer->train->categories };

    for (size_t t = 0; t < trainer->cell->teachers; t++)
        images.teacher[t] = df_canvas_of(&trainer->cell->teacher[t].cell->canvas, first);
    return images;
}

df_status df_bench_parts_floor(struct df_bench_parts *parts, struct df_cost_machine machine, struct df_error *err)
{
    const struct df_trainer *trainer = parts->trainer;
    const size_t batch = (size_t)trainer->cell->schedule.batch;
    struct df_cost cost;

    for (size_t t = 0; t < trainer->cell->teachers; t++)
        parts->live |= !df_teacher_cache(trainer->teacher[t]);
    DF_TRY(df_cost_count(trainer->cell, images_of(trainer), false, &cost, err));
    for (int p = 0; p < DF_COST_PARTS; p++) {
        const double seconds = df_cost_seconds(df_cost_part(&cost, (enum df_cost_part)p, batch), machine);

        if (df_cost_counts((enum df_cost_part)p, !parts->live))
            parts->floor[part_of((enum df_cost_part)p)] += seconds;
    }
    parts->step_floor = df_cost_step_seconds(&cost, batch, machine, !parts->live);
    parts->memory = df_cost_memory(&cost, batch);
    parts->adaptation = cost.adaptation;
    parts->teachers = cost.teacher_parameters;
    return DF_OK;
}

/* ---- said ---- */

static const char *name_of(const struct df_bench_parts *parts, int part)
{
    if (part == DF_BENCH_TEACH)
        return parts->live ? "teacher, live" : "teacher's cache";
    return names[part];
}

static void print_row(const char *name, double seconds, double share, double floor)
{
    printf("  %-28s %8.3f ms %5.1f %%", name, 1e3 * seconds, 100 * share);
    if (floor > 0)
        printf("  floor %8.3f ms, %5.2f times that", 1e3 * floor, seconds / floor);
    printf("\n");
}

void df_bench_parts_print(const struct df_bench_parts *parts, const char *label, double step)
{
    double sum = 0;

    for (int p = 0; p < DF_BENCH_PARTS; p++)
        sum += parts->seconds[p];
    printf("\nthe parts of a step of '%s' (waited for: %.2f ms) and what they cannot take less than\n", df_shown(label).text, 1e3 * sum);
    for (int p = 0; p < DF_BENCH_PARTS; p++)
        if (parts->seconds[p] > 0)
            print_row(name_of(parts, p), parts->seconds[p], parts->seconds[p] / sum, parts->floor[p]);
    print_row("a step, waited for nowhere", step, step / sum, parts->step_floor);
    printf("  memory on paper %.4g GB, of it on the tape now %.4g GB\n", parts->memory / 1e9,
           (double)df_tape_used(parts->trainer->student.tape) / 1e9);
}

void df_bench_parts_json(const struct df_bench_parts *parts, cJSON *side)
{
    cJSON *array = cJSON_AddArrayToObject(side, "parts");

    cJSON_AddNumberToObject(side, "floor_seconds", parts->step_floor);
    cJSON_AddNumberToObject(side, "memory_bytes", parts->memory);
    cJSON_AddNumberToObject(side, "adaptation_parameters", (double)parts->adaptation);
    cJSON_AddNumberToObject(side, "teacher_parameters", (double)parts->teachers);
    for (int p = 0; p < DF_BENCH_PARTS; p++) {
        cJSON *row = parts->seconds[p] > 0 ? cJSON_CreateObject() : NULL;

        if (!row)
            continue;
        cJSON_AddStringToObject(row, "name", name_of(parts, p));
        cJSON_AddNumberToObject(row, "seconds", parts->seconds[p]);
        cJSON_AddNumberToObject(row, "floor_seconds", parts->floor[p]);
        cJSON_AddItemToArray(array, row);
    }
}
