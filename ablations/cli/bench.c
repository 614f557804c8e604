/* `defeat bench [SPEC]`: how fast a spec's student trains here, plain and distilled, against what this machine can do, and where the time
 * goes. Networks are untrained (their values do not matter to the clock as long as they are numbers: batch norms get the statistics of some
 * images, as training would leave them, and the learning rate is 0) and the data few, or made up; teachers live in a scratch folder. Plain and
 * distilled steps alternate, so that what else the machine does falls on both; medians are reported. What distilling costs outside
 * convolutions and matrix products is told by the profiled steps alone: each step's time less its own convolutions. */
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/cli/bench_parts.h"
#include "ablations/cli/running.h"
#include "ablations/run/prepare.h"
#include "ablations/run/stop.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/device/open.h"
#include "core/device/rates.h"

#define BENCH_BATCHES  8 /* of training images; all of them are seen once before the clock runs */
#define PROFILED_STEPS 20
#define SETTLING       ((size_t)512 * 512) /* pixels that batch norms' statistics are made of, at least: one image of the usual canvases */

struct bench_options {
    struct df_texts set;
    char device[DF_STRING_MAX];
    int64_t cell, steps;
    bool json, methods, synthetic, live;
};
static const df_option options_table[] = {
    { "cell", DF_INT_OPTION(struct bench_options, cell), .standard = -1, .min = -1, .max = 1e6, .when = "methods=0",
      .help = "index of the distilled cell; -1: the spec's last" },
    { "steps", DF_INT_OPTION(struct bench_options, steps), .standard = 30, .min = 3, .max = 1e5, .help = "timed steps of each kind" },
    { "device", DF_STRING_OPTION(struct bench_options, device), .text = "", .help = "in place of the spec's: cpu, ref, cuda[:N][+tf32]" },
    { "json", DF_BOOL_OPTION(struct bench_options, json), .when = "methods=0", .help = "print JSON" },
    { "methods", DF_BOOL_OPTION(struct bench_options, methods), .help = "a line for each distilled method of the spec instead" },
    { "set", DF_TEXTS_OPTION(struct bench_options, set),
      .help = "KEY=VALUE put over the spec, such as schedule.batch=8; may be given again" },
    { "synthetic", DF_BOOL_OPTION(struct bench_options, synthetic),
      .help =
          "made-up images in place of the spec's data, which need not be there: noise, 640x480, 80 classes unless --set data.classes=K, "
          "data.width=W or data.height=H say else; teachers run live" },
    { "live", DF_BOOL_OPTION(struct bench_options, live), .when = "synthetic=0",
      .help = "teachers run live, as where their cache would be too large" },
    { 0 },
};

struct side {
    const char *label;
    struct df_trainer *trainer;
    double *seconds;                             /* [steps], sorted */
    double median, fastest, flops, convolutions; /* convolutions: seconds a step, profiled */
    double profiled, host;                       /* seconds a step while profiling; of them on the host, outside the devices' work */
    double rest[PROFILED_STEPS];                 /* seconds of the profiled steps outside convolutions and matrix products, sorted */
    struct df_profile_entry profile[DF_PROFILE_MAX];
    size_t entries;
    struct df_bench_parts parts;
    struct df_replays replays; /* in the timed steps */
    double loss;               /* the mean: of an untrained network, so around what a training begins with */
};

struct bench {
    struct df_run_options run;
    char folder[DF_STRING_MAX];
    size_t steps, profiled; /* timed, and profiled */
    double peak;            /* GFLOP/s */
    double products;        /* ... of matrix products */
    double bandwidth;       /* bytes a second */
    uint64_t memory;        /* anonymous bytes at the peak */
    struct side side[2];
    size_t sides;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static df_status scratch_folder(struct bench *bench, bool live, struct df_error *err)
{
    const char *base = getenv("TMPDIR");

    snprintf(bench->folder, sizeof bench->folder, "%s/defeat-bench-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(bench->folder))
        return df_fail(err, DF_ERR_IO, "cannot make a scratch folder like '%s' [set TMPDIR]", bench->folder);
    bench->run = (struct df_run_options){ .out = bench->folder, .cache = live ? DF_CACHE_OFF : DF_CACHE_ON, .quiet = true };
    return DF_OK;
}

/* Rendered data are cut down to a few of the plain student's batches; the schedule is stretched so that no step is the last, and no step moves a
 * weight: a student whose frozen norms wait for trained weights would run away from drawn ones within ten steps. */
static df_status shrink(struct df_cell *cell, struct df_error *err)
{
    const int64_t images[DF_SPLITS] = { BENCH_BATCHES * cell->schedule.batch, 1, 4 };

    cell->schedule.epochs = 1e4;
    cell->schedule.lr = 0;
    if (!cell->data->class->from_files && !cell->data->split[DF_TRAIN])
        df_data_resize(cell->data, images);
    return df_cell_seal(cell, err);
}

/* Batch norms as training would leave them, of the first training images. */
static df_status settle(const struct df_cell *cell, const struct df_model *model, struct df_error *err)
{
    const struct df_batch *batch;
    struct df_loader *loader;
    struct df_dataset *train;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));

    struct df_loader_config config = df_cell_loader(cell, train, false);
    const struct df_canvas_size canvas = df_canvas_of(&cell->canvas, train->info);

    config.batch = 1 + SETTLING / (canvas.height * canvas.width);
    config.batch = config.batch < train->size ? config.batch : train->size;
    DF_TRY(df_loader_new(&config, &loader, err));
    df_status status = df_loader_get(loader, 0, &batch, err);

    if (status == DF_OK)
        status = df_model_settle(cell, model, batch, err);
    df_loader_free(loader);
    return status;
}

/* An untrained network under the name of a teacher of the spec. */
static df_status write_teacher(struct bench *bench, struct df_cell *cell, struct df_error *err)
{
    struct df_dataset *train;
    struct df_model model;

    DF_TRY(shrink(cell, err)); /* and sealed anew */
    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));
    DF_TRY(df_model_create(cell, train->categories, &model, err));
    df_model_build(&model, cell, false);

    char *folder = df_store_teachers(bench->folder), *path = df_store_teacher(bench->folder, cell->id);
    df_status status = settle(cell, &model, err);

    model.detector->class->fold(model.detector);
    if (status == DF_OK)
        status = df_folder_make(folder, err);
    if (status == DF_OK)
        status = df_teacher_write(cell, &model, (struct df_teacher_writing){ 0 }, path, err);
    df_model_release(&model);
    free(path);
    free(folder);
    return status;
}

static df_status add_side(struct bench *bench, struct df_cell *cell, struct df_error *err)
{
    struct side *side = &bench->side[bench->sides];

    DF_TRY(shrink(cell, err));
    side->label = cell->label;
    DF_TRY(df_prepare(cell, &bench->run, err));
    DF_TRY(df_trainer_new(cell, &bench->run, &side->trainer, err));
    side->seconds = df_calloc(bench->steps, sizeof *side->seconds);
    bench->sides++;
    if (!cell->file[0])
        DF_TRY(settle(cell, &side->trainer->student.model, err));
    for (int i = 0; i < BENCH_BATCHES + 1; i++)
        DF_TRY(df_trainer_step(side->trainer, err));
    return DF_OK;
}

typedef void print_fn(const struct bench *bench);

/* What is measured, and how it is said. */
struct measured {
    const struct bench_options *options;
    int64_t cell; /* -1: the last */
    print_fn *print;
};

/* Made-up data have other classes than a given teacher: an untrained one of its shape serves the clock as well. */
static void forget_files(struct df_cell *cell)
{
    for (size_t t = 0; t < cell->teachers; t++) {
        cell->teacher[t].cell->file[0] = cell->teacher[t].cell->file_hash[0] = 0;
        cell->teacher[t].cell->classes = 0;
    }
}

static df_status set_up_sides(struct bench *bench, const struct df_spec *spec, const struct measured *what, struct df_error *err)
{
    struct df_cell *plain = NULL, *distilled = NULL;

    for (size_t i = 0; i < spec->count; i++) {
        if (!spec->cell[i]->teachers && !plain)
            plain = spec->cell[i];
        if (spec->cell[i]->teachers)
            distilled = spec->cell[i];
    }
    if (what->cell >= 0)
        DF_TRY(df_running_cell(spec, what->cell, &distilled, err));
    if (!plain)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no method without distillers to compare with", spec->path);
    DF_TRY(add_side(bench, plain, err));
    bench->peak = df_device_peak_gflops(bench->side[0].trainer->student.model.device);
    if (!distilled || !distilled->teachers)
        return DF_OK;
    if (what->options->synthetic)
        forget_files(distilled);
    for (size_t t = 0; t < distilled->teachers; t++)
        if (!distilled->teacher[t].cell->file[0])
            DF_TRY(write_teacher(bench, distilled->teacher[t].cell, err));
    return add_side(bench, distilled, err);
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* One that is interrupted still removes its scratch folder. */
static df_status step(struct side *side, struct df_error *err)
{
    if (df_run_stop)
        return df_fail(err, DF_ERR_INTERRUPTED, "interrupted");
    return df_trainer_step(side->trainer, err);
}

/* Whose work a side's steps are: the student's device, and those of teachers that run live. i: 0 and on; NULL: no more. */
static struct df_device *device_at(const struct side *side, size_t i)
{
    const struct df_trainer *trainer = side->trainer;

    if (i == 0)
        return trainer->student.model.device;
    for (size_t t = 0; t < trainer->cell->teachers; t++) {
        struct df_device *device = df_teacher_device(trainer->teacher[t]);

        if (device && --i == 0)
            return device;
    }
    return NULL;
}

static double flops_of(const struct side *side)
{
    const struct df_device *device;
    double flops = 0;

    for (size_t d = 0; (device = device_at(side, d)); d++)
        flops += device->flops;
    return flops;
}

/* Alternating steps by the clock, without the profile's own cost. */
static df_status time_steps(struct bench *bench, struct df_error *err)
{
    for (size_t k = 0; k < bench->sides; k++)
        bench->side[k].replays = bench->side[k].trainer->student.model.device->replays;
    for (size_t i = 0; i < bench->steps; i++)
        for (size_t k = 0; k < bench->sides; k++) {
            struct side *side = &bench->side[k];
            const double flops = flops_of(side), start = df_now();

            DF_TRY(step(side, err));
            df_sync(side->trainer->student.model.device);
            side->seconds[i] = df_now() - start;
            side->flops = flops_of(side) - flops;
        }
    for (size_t k = 0; k < bench->sides; k++) {
        struct side *side = &bench->side[k];

        DF_TRY(df_trainer_read_log(side->trainer, err));
        const struct df_replays *all = &side->trainer->student.model.device->replays;

        side->replays = (struct df_replays){ all->passes - side->replays.passes, all->replayed - side->replays.replayed, all->pieces };
        side->loss = side->trainer->log.loss_sum / (double)side->trainer->log.mean_steps;
        qsort(side->seconds, bench->steps, sizeof *side->seconds, rising);
        side->fastest = side->seconds[0];
        side->median = side->seconds[bench->steps / 2];
    }
    return DF_OK;
}

static bool is_convolution(const char *name) { return strncmp(name, "conv_", 5) == 0 || strcmp(name, "matmul") == 0; }

static double convolution_seconds(const struct side *side)
{
    const struct df_device *device;
    double seconds = 0;

    for (size_t d = 0; (device = device_at(side, d)); d++)
        for (size_t i = 0; i < device->profile_count; i++)
            if (is_convolution(device->profile[i].name))
                seconds += device->profile[i].seconds;
    return seconds;
}

static bool is_host(const char *name) { return strncmp(name, "host: ", 6) == 0; }

static int slowest_first(const void *a, const void *b)
{
    const struct df_profile_entry *x = a, *y = b;

    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Entries of one name are one, whoever's they are. */
static void add_entry(struct side *side, const struct df_profile_entry *entry)
{
    size_t i = 0;

    while (i < side->entries && strcmp(side->profile[i].name, entry->name) != 0)
        i++;
    if (i == side->entries) {
        DF_ASSERT(i < DF_PROFILE_MAX);
        side->profile[side->entries++] = (struct df_profile_entry){ .name = entry->name };
    }
    side->profile[i].seconds += entry->seconds;
    side->profile[i].flops += entry->flops;
    side->profile[i].bytes += entry->bytes;
    side->profile[i].calls += entry->calls;
}

/* A student that waits for the records of a live teacher waits for that one's device. */
static void take_from_records(struct side *side, double seconds)
{
    for (size_t i = 0; i < side->entries; i++)
        if (strcmp(side->profile[i].name, "host: teacher's records") == 0)
            side->profile[i].seconds -= seconds;
}

/* Seconds on the device. */
static double read_device(struct side *side, struct df_device *device)
{
    double seconds = 0;

    for (size_t i = 0; i < device->profile_count; i++) {
        if (!device->profile[i].calls)
            continue;
        add_entry(side, &device->profile[i]);
        seconds += is_host(device->profile[i].name) ? 0 : device->profile[i].seconds;
    }
    return seconds;
}

static void read_profile(struct side *side, size_t steps)
{
    struct df_device *device;
    double on_device = 0;

    for (size_t d = 0; (device = device_at(side, d)); d++) {
        on_device += read_device(side, device);
        if (d > 0)
            take_from_records(side, device->profiled);
    }
    side->host = side->profiled - on_device / (double)steps;
    side->convolutions = convolution_seconds(side) / (double)steps;
    qsort(side->rest, steps, sizeof *side->rest, rising);
    for (size_t d = 0; (device = device_at(side, d)); d++)
        df_device_profile(device, false);
    qsort(side->profile, side->entries, sizeof *side->profile, slowest_first);
}

static df_status profile_steps(struct bench *bench, struct df_error *err)
{
    struct df_device *device;

    for (size_t k = 0; k < bench->sides; k++)
        for (size_t d = 0; (device = device_at(&bench->side[k], d)); d++)
            df_device_profile(device, true);
    for (size_t i = 0; i < bench->profiled; i++)
        for (size_t k = 0; k < bench->sides; k++) {
            struct side *side = &bench->side[k];
            const double convolutions = convolution_seconds(side), start = df_now();

            DF_TRY(step(side, err));
            const double seconds = df_now() - start;

            side->profiled += seconds / (double)bench->profiled;
            side->rest[i] = seconds - (convolution_seconds(side) - convolutions);
        }
    for (size_t k = 0; k < bench->sides; k++)
        read_profile(&bench->side[k], bench->profiled);
    return DF_OK;
}

/* The parts of each side's steps, and their floors at the rates that the machine reaches here. */
static df_status time_parts(struct bench *bench, struct df_error *err)
{
    struct df_device *device = device_at(&bench->side[0], 0);
    struct df_cost_machine machine;

    for (size_t k = 0; k < bench->sides; k++)
        DF_TRY(df_bench_parts_time(&bench->side[k].parts, bench->side[k].trainer, bench->profiled, err));
    bench->memory = df_anonymous_peak_bytes();
    bench->products = df_device_product_gflops(device);
    bench->bandwidth = df_device_bandwidth(device);
    machine.flops =
        1e9 * fmax(bench->products, bench->peak * (device->ops->runs_behind ? 1 : (double)bench->side[0].trainer->cell->threads));
    machine.bandwidth = bench->bandwidth;
    for (size_t k = 0; k < bench->sides; k++)
        DF_TRY(df_bench_parts_floor(&bench->side[k].parts, machine, err));
    return DF_OK;
}

static double images_per_second(const struct side *side) { return (double)side->trainer->cell->schedule.batch / side->median; }

/* What distilling costs besides the convolutions of adaptation layers and the matrix products of RoI heads, in seconds. */
static double distilling_rest(const struct bench *bench)
{
    return bench->side[1].rest[bench->profiled / 2] - bench->side[0].rest[bench->profiled / 2];
}

static void print_waits(const struct side *side)
{
    struct df_text text = DF_TEXT_INIT;

    df_student_say_waits(&side->trainer->student, &side->replays, &text);
    if (text.length)
        printf("             %s\n", df_text_get(&text));
    df_text_release(&text);
}

static void print_side(const struct bench *bench, const struct side *side)
{
    const double gflops = side->flops / side->median / 1e9;

    printf("%-12s %7.2f ms a step (median of %zu; fastest %.2f): %.1f images/s, %.1f GFLOP/s, %.1f %% of the peak\n",
           df_shown(side->label).text, 1e3 * side->median, bench->steps, 1e3 * side->fastest, images_per_second(side), gflops,
           100 * gflops / bench->peak);
    if (side->replays.passes)
        printf("             %llu of %llu passes replayed (two a step), in %llu piece%s at most\n",
               (unsigned long long)side->replays.replayed, (unsigned long long)side->replays.passes,
               (unsigned long long)side->replays.pieces, side->replays.pieces == 1 ? "" : "s");
    print_waits(side);
}

/* Bytes of memory; of a copy between host and device, which the profile counts on both sides, those that cross. */
static double crossing(const struct df_profile_entry *entry) { return df_profile_copies(entry) ? entry->bytes / 2 : entry->bytes; }

static void print_profile(const struct bench *bench, const struct side *side)
{
    const double steps = (double)bench->profiled;
    double inside = 0;

    printf("\nwhere a step of '%s' spends its time (profiled: %.2f ms)\n", df_shown(side->label).text, 1e3 * side->profiled);
    for (size_t i = 0; i < side->entries; i++) {
        const struct df_profile_entry *e = &side->profile[i];

        inside += e->seconds / steps;
        if (e->seconds / steps < 0.002 * side->profiled)
            continue;
        printf("  %-28s %8.3f ms %5.1f %% %6.0f calls", e->name, 1e3 * e->seconds / steps, 100 * e->seconds / steps / side->profiled,
               (double)e->calls / steps);
        if (e->flops > 0)
            printf(" %7.1f GFLOP/s", e->flops / e->seconds / 1e9);
        else if (e->bytes > 0)
            printf(" %7.1f GB/s", crossing(e) / e->seconds / 1e9);
        printf("\n");
    }
    printf("  %-28s %8.3f ms %5.1f %%\n", "host: all else", 1e3 * (side->profiled - inside),
           100 * (side->profiled - inside) / side->profiled);
    printf("  on the host in all %.2f ms, %.1f %% of the step; convolutions and matrix products %.2f ms, %.1f %%\n", 1e3 * side->host,
           100 * side->host / side->profiled, 1e3 * side->convolutions, 100 * side->convolutions / side->profiled);
}

static void print_text(const struct bench *bench)
{
    const struct df_trainer *trainer = bench->side[0].trainer;

    char machine[256];

    df_device_describe(trainer->student.model.device, machine, sizeof machine);
    printf("machine      %s on %s, %lld thread%s: %.1f GFLOP/s at the peak (float, measured)\n", trainer->cell->device, machine,
           (long long)trainer->cell->threads, trainer->cell->threads == 1 ? "" : "s", bench->peak);
    printf("student      %zu parameters, batch %lld, %.2f GFLOP a step\n",
           df_parameters_trainable(trainer->student.model.parameters, 0, trainer->student.own_parameters),
           (long long)trainer->cell->schedule.batch, bench->side[0].flops / 1e9);
    if (bench->sides == 2)
        printf("teachers     %zu parameters; the distillers' own, trained with the student's: %zu\n", bench->side[1].parts.teachers,
               bench->side[1].parts.adaptation);
    for (size_t k = 0; k < bench->sides; k++)
        print_side(bench, &bench->side[k]);
    if (bench->sides == 2)
        printf("distilling   %.2f ms more, %.2f times a plain step; outside convolutions and matrix products %.2f ms more, %.1f %% of a "
               "plain step\n",
               1e3 * (bench->side[1].median - bench->side[0].median), bench->side[1].median / bench->side[0].median,
               1e3 * distilling_rest(bench), 100 * distilling_rest(bench) / bench->side[0].median);
    printf("memory       %.0f MB anonymous at the peak, both students together\n", (double)bench->memory / 1e6);
    printf("rates        %.1f GFLOP/s of matrix products, %.1f GB/s of copies (measured): the floors below stand on these and the peak\n",
           bench->products, bench->bandwidth / 1e9);
    for (size_t k = 0; k < bench->sides; k++)
        df_bench_parts_print(&bench->side[k].parts, bench->side[k].label, bench->side[k].median);
    for (size_t k = 0; k < bench->sides; k++)
        print_profile(bench, &bench->side[k]);
}

static cJSON *side_json(const struct bench *bench, const struct side *side)
{
    const double steps = (double)bench->profiled;
    cJSON *object = cJSON_CreateObject(), *profile;

    cJSON_AddStringToObject(object, "label", side->label);
    cJSON_AddNumberToObject(object, "loss", side->loss);
    cJSON_AddNumberToObject(object, "step_seconds", side->median);
    cJSON_AddNumberToObject(object, "fastest_step_seconds", side->fastest);
    cJSON_AddNumberToObject(object, "images_per_second", images_per_second(side));
    cJSON_AddNumberToObject(object, "flops", side->flops);
    cJSON_AddNumberToObject(object, "gflops", side->flops / side->median / 1e9);
    cJSON_AddNumberToObject(object, "share_of_peak", side->flops / side->median / 1e9 / bench->peak);
    cJSON_AddNumberToObject(object, "passes", (double)side->replays.passes);
    cJSON_AddNumberToObject(object, "replayed", (double)side->replays.replayed);
    cJSON_AddNumberToObject(object, "pieces", (double)side->replays.pieces);
    cJSON_AddNumberToObject(object, "profiled_seconds", side->profiled);
    cJSON_AddNumberToObject(object, "host_seconds", side->host);
    cJSON_AddNumberToObject(object, "convolution_seconds", side->convolutions);
    df_bench_parts_json(&side->parts, object);
    profile = cJSON_AddArrayToObject(object, "profile");
    for (size_t i = 0; i < side->entries; i++) {
        cJSON *row = cJSON_CreateObject();

        cJSON_AddStringToObject(row, "name", side->profile[i].name);
        cJSON_AddNumberToObject(row, "seconds", side->profile[i].seconds / steps);
        cJSON_AddNumberToObject(row, "calls", (double)side->profile[i].calls / steps);
        cJSON_AddNumberToObject(row, "flops", side->profile[i].flops / steps);
        cJSON_AddNumberToObject(row, "bytes", crossing(&side->profile[i]) / steps);
        cJSON_AddItemToArray(profile, row);
    }
    return object;
}

static void print_json(const struct bench *bench)
{
    const struct df_trainer *trainer = bench->side[0].trainer;
    const struct df_cell *cell = trainer->cell;
    struct df_text text = DF_TEXT_INIT;
    cJSON *root = cJSON_CreateObject();
    char machine[256];

    df_device_describe(bench->side[0].trainer->student.model.device, machine, sizeof machine);
    cJSON_AddStringToObject(root, "device", cell->device);
    cJSON_AddStringToObject(root, "isa", df_device_identity(cell->device).isa);
    cJSON_AddStringToObject(root, "machine", machine);
    cJSON_AddNumberToObject(root, "threads", (double)cell->threads);
    cJSON_AddNumberToObject(root, "peak_gflops", bench->peak);
    cJSON_AddNumberToObject(root, "batch", (double)cell->schedule.batch);
    cJSON_AddNumberToObject(root, "steps", (double)bench->steps);
    cJSON_AddNumberToObject(root, "profiled_steps", (double)bench->profiled);
    cJSON_AddNumberToObject(root, "parameters",
                            (double)df_parameters_trainable(trainer->student.model.parameters, 0, trainer->student.own_parameters));
    cJSON_AddNumberToObject(root, "peak_anonymous_bytes", (double)bench->memory);
    cJSON_AddNumberToObject(root, "product_gflops", bench->products);
    cJSON_AddNumberToObject(root, "bytes_per_second", bench->bandwidth);
    cJSON_AddItemToObject(root, "plain", side_json(bench, &bench->side[0]));
    if (bench->sides == 2) {
        cJSON_AddItemToObject(root, "distilled", side_json(bench, &bench->side[1]));
        cJSON_AddNumberToObject(root, "distilling_share", distilling_rest(bench) / bench->side[0].median);
    }
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

/* The medians' quotient is what a method costs; that of the fastest steps tells how much of it was another program's. */
static void print_row(const struct bench *bench)
{
    const struct side *plain = &bench->side[0], *distilled = &bench->side[1];

    printf("%-20s %8.2f ms a step, plain %8.2f ms: %5.2f times (fastest steps: %.2f)\n", distilled->label, 1e3 * distilled->median,
           1e3 * plain->median, distilled->median / plain->median, distilled->fastest / plain->fastest);
    fflush(stdout);
}

static df_status measure(struct bench *bench, const struct df_spec *spec, const struct measured *what, struct df_error *err)
{
    DF_TRY(scratch_folder(bench, what->options->live || what->options->synthetic, err));
    DF_TRY(set_up_sides(bench, spec, what, err));
    DF_TRY(time_steps(bench, err));
    if (what->print != print_row) {
        DF_TRY(profile_steps(bench, err));
        DF_TRY(time_parts(bench, err));
    }
    what->print(bench);
    return DF_OK;
}

/* Made-up data take the place of the spec's before the user sets anything. */
static df_status settings(const struct bench_options *options, struct df_texts *out, struct df_error *err)
{
    static const char *const made_up[] = { "data={\"kind\":\"synthetic\"}", "base=null" };
    const size_t more = sizeof made_up / sizeof *made_up;

    *out = (struct df_texts){ .count = 0 };
    for (size_t i = 0; options->synthetic && i < more; i++)
        out->text[out->count++] = made_up[i];
    if (options->set.count + out->count > DF_TEXTS_MAX)
        return df_fail(err, DF_ERR_USAGE, "--set: %zu of them beside --synthetic (at most %zu)", options->set.count, DF_TEXTS_MAX - more);
    for (size_t i = 0; i < options->set.count; i++)
        out->text[out->count++] = options->set.text[i];
    return DF_OK;
}

static df_status read_spec(const char *path, const struct bench_options *options, struct df_spec **out, struct df_error *err)
{
    struct df_texts set;
    const struct df_spec_overrides overrides = { .device = df_common_device(options->device), .set = &set };

    *out = NULL;
    DF_TRY(settings(options, &set, err));
    return df_spec_read(path, &overrides, out, err);
}

/* The spec is read anew: its cells are changed. */
static df_status bench_cell(const char *path, const struct measured *what, struct df_error *err)
{
    struct bench *bench = df_calloc(1, sizeof *bench);
    struct df_spec *spec;
    df_status status = read_spec(path, what->options, &spec, err);

    bench->steps = (size_t)what->options->steps;
    bench->profiled = bench->steps < PROFILED_STEPS ? bench->steps : PROFILED_STEPS;
    if (status == DF_OK)
        status = measure(bench, spec, what, err);
    for (size_t k = 0; k < 2; k++) {
        df_trainer_free(bench->side[k].trainer);
        free(bench->side[k].seconds);
    }
    if (bench->folder[0])
        nftw(bench->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    df_spec_free(spec);
    free(bench);
    return status;
}

static bool is_first_of_its_label(const struct df_spec *spec, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(spec->cell[j]->label, spec->cell[i]->label) == 0)
            return false;
    return true;
}

static df_status bench_methods(const char *path, const struct bench_options *options, struct df_error *err)
{
    struct df_spec *spec = NULL;
    size_t methods = 0;
    df_status status = read_spec(path, options, &spec, err);

    for (size_t i = 0; status == DF_OK && i < spec->count; i++)
        if (spec->cell[i]->teachers && is_first_of_its_label(spec, i)) {
            status = bench_cell(path, &(struct measured){ options, (int64_t)i, print_row }, err);
            methods++;
        }
    if (status == DF_OK && !methods)
        status = df_fail(err, DF_ERR_USAGE, "'%s' has no method that distils [choose a spec that has some, or leave --methods out]", path);
    df_spec_free(spec);
    return status;
}

static int run_bench(const void *values, int count, char *const *arguments)
{
    const struct bench_options *options = values;
    const char *path = count ? arguments[0] : "ablations/specs/reproduce-table.json";
    struct df_error err = { 0 };

    df_running_catch_signals();
    const struct measured what = { options, options->cell, options->json ? print_json : print_text };
    const df_status status = options->methods ? bench_methods(path, options, &err) : bench_cell(path, &what, &err);

    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_bench = {
    .name = "bench",
    .summary = "images/s, GFLOP/s, share of the machine's peak, the cost of distilling, where the time goes",
    .usage = "defeat bench [SPEC] [--cell K | --methods] [--steps N] [--device D] [--synthetic | --live] [--json]",
    .example = "defeat bench ablations/specs/reproduce-table.json --steps 100",
    .options = options_table,
    .options_size = sizeof(struct bench_options),
    .arguments_max = 1,
    .run = run_bench,
};
