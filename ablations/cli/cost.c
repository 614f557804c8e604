/* `defeat cost SPEC`: what a spec's training steps cost on paper, at any scale, without training and without its data: operations and memory
 * traffic by part, a machine's two floors, the memory needed, the days of the whole table, and what the teacher cache would take.
 * The default machine is one NVIDIA H100 SXM by its data sheet: 67 TFLOP/s float32, 989 TFLOP/s TF32 with sparsity, so 495 dense, 3.35 TB/s, 80 GB. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/common.h"
#include "ablations/run/cache.h"
#include "ablations/run/cost.h"
#include "ablations/run/fits.h"
#include "core/base/progress.h"

#define H100_FLOAT32   67.0
#define H100_TF32      495.0
#define H100_BANDWIDTH 3.35
#define H100_MEMORY    80

struct cost_options {
    struct df_texts set;
    char method[DF_STRING_MAX], canvas[DF_STRING_MAX], seeds[DF_STRING_MAX], data_path[DF_STRING_MAX], plugin[DF_STRING_MAX];
    int64_t images, classes;
    double peak, tf32, bandwidth, memory, cache_limit;
    bool teacher, json;
};
#define O struct cost_options
static const df_option options_table[] = {
    { "method", DF_STRING_OPTION(O, method), .text = "", .help = "only the methods of this label" },
    { "images", DF_INT_OPTION(O, images), .max = 1e9, .help = "training images; 0: as many as the spec's data have" },
    { "classes", DF_INT_OPTION(O, classes), .max = 1e5, .help = "0: as many as the spec's data have" },
    { "canvas", DF_STRING_OPTION(O, canvas), .text = "", .help = "width x height in place of the spec's, such as 1344x800" },
    { "peak", DF_REAL_OPTION(O, peak), .standard = H100_FLOAT32, .min = 1e-6, .max = 1e6,
      .help = "the machine's float32 TFLOP/s; default: an H100 SXM's" },
    { "tf32", DF_REAL_OPTION(O, tf32), .standard = -1, .min = -1, .max = 1e6,
      .help = "its dense TF32 TFLOP/s; 0: none; -1: an H100 SXM's 495 if peak is its, else none" },
    { "bandwidth", DF_REAL_OPTION(O, bandwidth), .standard = H100_BANDWIDTH, .min = 1e-6, .max = 1e6, .help = "its memory's TB/s" },
    { "memory", DF_REAL_OPTION(O, memory), .standard = H100_MEMORY, .min = 1e-3, .max = 1e6, .help = "its memory, GB" },
    { "cache_limit", DF_REAL_OPTION(O, cache_limit), .standard = DF_CACHE_LIMIT_GIB, .max = 1e6,
      .help = "GiB that an automatic teacher cache may take on disk" },
    { "teacher", DF_BOOL_OPTION(O, teacher), .help = "count the teachers' own training too" },
    { "seeds", DF_STRING_OPTION(O, seeds), .text = "",
      .help = "in place of the spec's seeds: how many (5: 0 to 4), or a list (0,3,7; of one: 7,)" },
    { "data_path", DF_STRING_OPTION(O, data_path), .text = "", .help = "folder that the dataset's paths are relative to" },
    { "plugin", DF_STRING_OPTION(O, plugin), .text = "", .help = "shared object that exports `df_distiller`" },
    { "json", DF_BOOL_OPTION(O, json), .help = "print JSON" },
    { "set", DF_TEXTS_OPTION(O, set), .help = "KEY=VALUE put over the spec, such as schedule.batch=8; may be given again" },
    { 0 },
};
#undef O

enum { FLOAT32, TF32, PRECISIONS };

struct line {
    const struct df_cell *cell;
    struct df_cost cost;
    size_t images, runs;
    double steps; /* of a run */
    bool cached;
};
struct report {
    const struct cost_options *options;
    const struct df_spec *spec;
    struct df_cost_machine machine[PRECISIONS];
    size_t precisions;
    struct line *line;
    size_t lines;
};

/* ---- what the counts need to know ---- */

/* What the counts need of the data. */
struct facts {
    size_t images, classes;
    int width, height; /* of the first image; 0: nobody asks */
};

/* Whether an image's own size decides what student or teachers see. */
static bool sees_own_size(const struct df_cell *cell)
{
    bool own = !cell->canvas.fixed && !cell->canvas.min_side;

    for (size_t t = 0; t < cell->teachers; t++)
        own |= !cell->teacher[t].cell->canvas.fixed && !cell->teacher[t].cell->canvas.min_side;
    return own;
}

/* The data are opened only for what the command line does not say. */
static df_status find_data(const struct cost_options *options, const struct df_cell *cell, struct facts *out, struct df_error *err)
{
    struct df_error cause = { 0 };
    struct df_dataset *train;

    *out = (struct facts){ .images = (size_t)options->images, .classes = (size_t)options->classes };
    if (options->images && options->classes && (options->canvas[0] || !sees_own_size(cell)))
        return DF_OK;
    if (df_data_split(cell->data, DF_TRAIN, &train, &cause) != DF_OK)
        return df_fail(err, cause.status, "%.1800s [without the data: --images and --classes, of COCO 2017 118287 and 80]", cause.text);
    if (!out->images)
        out->images = train->size;
    if (!out->classes)
        out->classes = train->categories;
    out->width = train->info[0].width;
    out->height = train->info[0].height;
    return DF_OK;
}

/* "1344x800"; 32 pixels are the coarsest thing a network of the usual strides sees. */
static df_status parse_canvas(const char *text, struct df_cost_images *out, struct df_error *err)
{
    const char *cross = strpbrk(text, "xX");
    char first[24];
    int64_t w = 0, h = 0;

    snprintf(first, sizeof first, "%.*s", cross ? (int)(cross - text) : 0, text);
    if (!cross || !df_parse_int(first, &w) || !df_parse_int(cross + 1, &h) || w < 32 || h < 32 || w > 8192 || h > 8192)
        return df_fail(err, DF_ERR_USAGE, "--canvas '%s': expected width x height of 32 to 8192 pixels each, such as 1344x800", text);
    out->width = (size_t)w;
    out->height = (size_t)h;
    return DF_OK;
}

static size_t round_up(int64_t n, int64_t divisor) { return (size_t)((n + divisor - 1) / divisor * divisor); }

/* The fixed one; else the largest that a landscape image can get; else that of the data's first image. */
static void find_canvas(const struct df_canvas_options *canvas, const struct facts *data, struct df_cost_images *out)
{
    const int64_t long_side = canvas->max_side > canvas->min_side ? canvas->max_side : canvas->min_side;

    out->width = canvas->fixed      ? (size_t)canvas->canvas_width
                 : canvas->min_side ? round_up(long_side, canvas->divisor)
                                    : round_up(data->width, canvas->divisor);
    out->height = canvas->fixed      ? (size_t)canvas->canvas_height
                  : canvas->min_side ? round_up(canvas->min_side, canvas->divisor)
                                     : round_up(data->height, canvas->divisor);
}

/* Those of the teachers that see others than the student. */
static df_status find_teachers_canvases(const struct report *report, const struct df_cell *cell, const struct facts *data,
                                        struct df_cost_images *out, struct df_error *err)
{
    for (size_t t = 0; t < cell->teachers; t++) {
        const struct df_canvas_options *canvas = &cell->teacher[t].cell->canvas;
        struct df_cost_images seen = { 0 };

        if (df_same_canvas(canvas, &cell->canvas))
            continue;
        if (report->options->canvas[0])
            return df_fail(err, DF_ERR_USAGE, "--canvas: a teacher of '%s' has another canvas than the student [leave the option out]",
                           cell->label);
        find_canvas(canvas, data, &seen);
        out->teacher[t] = (struct df_canvas_size){ .height = seen.height, .width = seen.width };
    }
    return DF_OK;
}

static size_t copies(const struct line *line) { return line->cell->schedule.flip ? 2 : 1; }

static double cache_limit(const struct report *report) { return report->options->cache_limit * 1073741824.0; }

static df_status count_line(const struct report *report, struct line *line, struct df_error *err)
{
    const struct cost_options *options = report->options;
    const struct df_schedule *schedule = &line->cell->schedule;
    struct df_cost_images images = { 0 };
    struct facts data;

    DF_TRY(find_data(options, line->cell, &data, err));
    line->images = data.images;
    images.classes = data.classes;
    if (options->canvas[0])
        DF_TRY(parse_canvas(options->canvas, &images, err));
    else
        find_canvas(&line->cell->canvas, &data, &images);
    DF_TRY(find_teachers_canvases(report, line->cell, &data, &images, err));
    if (line->images < (size_t)schedule->batch)
        return df_fail(err, DF_ERR_USAGE, "%zu training images are less than one batch of %lld", line->images, (long long)schedule->batch);
    DF_TRY(df_cost_count(line->cell, images, false, &line->cost, err));
    line->steps = floor(schedule->epochs * (double)(line->images / (size_t)schedule->batch) + 0.5);
    line->cached = line->cost.record && line->images <= df_cost_cached_images(&line->cost, copies(line), cache_limit(report));
    return DF_OK;
}

static df_status choose_lines(struct report *report, struct df_error *err)
{
    const struct df_spec *spec = report->spec;
    const struct cost_options *options = report->options;

    report->line = df_calloc(spec->lines + spec->variants * DF_SPEC_TEACHERS, sizeof *report->line);
    for (size_t v = 0; options->teacher && v < spec->variants; v++)
        for (size_t t = 0; t < spec->variant[v].teachers; t++)
            if (!spec->variant[v].teacher[t].cell->file[0])
                report->line[report->lines++] = (struct line){ .cell = spec->variant[v].teacher[t].cell, .runs = 1 };
    for (size_t i = 0; i < spec->lines; i++) {
        const struct df_cell *cell = spec->cell[i * spec->seeds];

        if (!options->method[0] || strcmp(cell->label, options->method) == 0)
            report->line[report->lines++] = (struct line){ .cell = cell, .runs = spec->seeds };
    }
    if (report->lines == 0)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no method '%s'", spec->path, options->method);
    return DF_OK;
}

static df_status count_lines(struct report *report, struct df_error *err)
{
    struct df_progress *bar;
    df_status status = DF_OK;

    DF_TRY(choose_lines(report, err));
    bar = df_progress_new("cost", "methods", (double)report->lines);
    for (size_t i = 0; i < report->lines && status == DF_OK; i++) {
        df_progress_set(bar, (double)i, report->line[i].cell->label);
        status = count_line(report, &report->line[i], err);
    }
    df_progress_free(bar);
    return status;
}

/* ---- printing ---- */

static double days(const struct report *report, const struct line *line, size_t precision)
{
    return (double)line->runs * line->steps *
           df_cost_step_seconds(&line->cost, (size_t)line->cell->schedule.batch, report->machine[precision], line->cached) / 86400;
}

static double record_bytes(const struct line *line)
{
    const size_t records = line->images * copies(line);

    return (double)df_cache_bytes(records * line->cost.record, records);
}

static double stretch(const struct line *line)
{
    return df_cost_stretch(&line->cost, (size_t)line->cell->schedule.batch, line->steps,
                           line->cost.record ? line->images * copies(line) : 0);
}

static void print_row(const struct report *report, const char *name, struct df_cost_amount amount, const double *floor_seconds)
{
    printf("  %-26s %10.5g %9.4g %9.4g %9.4g", name, amount.flops / 1e9, amount.bytes / 1e9, amount.copied / 1e9,
           1e3 * amount.bytes / report->machine[0].bandwidth);
    for (size_t k = 0; k < report->precisions; k++)
        printf(" %10.4g %8.4g", 1e3 * amount.flops / report->machine[k].flops, 1e3 * floor_seconds[k]);
    printf("\n");
}

static void print_total(const struct report *report, const struct line *line, const char *name, bool cached)
{
    const size_t batch = (size_t)line->cell->schedule.batch;
    struct df_cost_amount sum = { 0 };
    double seconds[PRECISIONS];

    for (int p = 0; p < DF_COST_PARTS; p++) {
        const struct df_cost_amount part = df_cost_part(&line->cost, (enum df_cost_part)p, batch);

        if (!df_cost_counts((enum df_cost_part)p, cached))
            continue;
        sum.flops += part.flops;
        sum.bytes += part.bytes;
        sum.copied += part.copied;
    }
    for (size_t k = 0; k < report->precisions; k++)
        seconds[k] = df_cost_step_seconds(&line->cost, batch, report->machine[k], cached);
    print_row(report, name, sum, seconds);
}

static void print_heading(const struct report *report)
{
    printf("  %-26s %10s %9s %9s %9s", "a step", "GFLOP", "GB", "copied GB", "memory ms");
    for (size_t k = 0; k < report->precisions; k++)
        printf(" %7s ms %8s", k == FLOAT32 ? "float32" : "TF32", "floor ms");
    printf("\n");
}

static void print_parts(const struct report *report, const struct line *line)
{
    const size_t batch = (size_t)line->cell->schedule.batch;

    print_heading(report);
    for (int p = 0; p < DF_COST_PARTS; p++) {
        const struct df_cost_amount part = df_cost_part(&line->cost, (enum df_cost_part)p, batch);
        double seconds[PRECISIONS];

        if (part.flops == 0 && part.bytes == 0)
            continue;
        for (size_t k = 0; k < report->precisions; k++)
            seconds[k] = df_cost_seconds(part, report->machine[k]);
        print_row(report, df_cost_part_names[p], part, seconds);
    }
    print_total(report, line, line->cost.record ? "sum, teacher live" : "sum", false);
    if (line->cost.record)
        print_total(report, line, "sum, teacher cached", true);
}

static void print_memory(const struct report *report, const struct line *line)
{
    const struct df_cost *cost = &line->cost;
    const size_t batch = (size_t)line->cell->schedule.batch;
    const double needed = df_cost_memory(cost, batch), there = report->options->memory * 1e9;

    printf("  memory     %.4g GB %s %g: the largest batch is %zu\n", needed / 1e9, needed <= there ? "of" : "do not fit in",
           report->options->memory, df_cost_largest_batch(cost, there));
    printf("             activations and their gradients %.4g GB an image; parameters, gradients, moments%s %.4g GB",
           cost->tape_image / 1e9, line->cell->schedule.ema > 0 ? ", averages" : "", cost->held / 1e9);
    if (cost->teacher_held > 0)
        printf("; live teacher %.4g + %.4g GB, %.4g GB an image", cost->teacher_held / 1e9, cost->teacher_tape / 1e9,
               cost->live_record / 1e9);
    printf("\n");
}

static void print_cache(const struct report *report, const struct line *line)
{
    if (!line->cost.record)
        return;
    printf("  cache      %.4g MB an image%s: %.5g GB for %zu images; --cache auto %s (%g GiB hold %zu images of this canvas)\n",
           (double)line->cost.record / 1e6, copies(line) > 1 ? " and again for its mirror image" : "", record_bytes(line) / 1e9,
           line->images, line->cached ? "uses it" : "lets the teacher run live", report->options->cache_limit,
           df_cost_cached_images(&line->cost, copies(line), cache_limit(report)));
}

static void print_duration(double in_days, size_t precision)
{
    char text[24];

    printf("%.4g days (%s) at the %s floor", in_days, df_duration_text(text, 86400 * in_days), precision == FLOAT32 ? "float32" : "TF32");
}

static void print_days(const struct report *report, const struct line *line)
{
    printf("  runs       %zu of %.0f steps: ", line->runs, line->steps);
    for (size_t k = 0; k < report->precisions; k++) {
        printf(k ? ", " : "");
        print_duration(days(report, line, k), k);
    }
    printf("\n");
}

static void print_stretch(const struct line *line)
{
    if (line->cell->distillers)
        printf("  control    a plain student of as many multiply-adds: \"stretch\": %.4g (times the epochs; the teacher sees each image%s "
               "once)\n",
               stretch(line), copies(line) > 1 ? " and its mirror image" : "");
}

static void print_line(const struct report *report, const struct line *line)
{
    const struct df_cost *cost = &line->cost;
    const struct df_cell *cell = line->cell;

    printf("\n%s%s%s: %.2f M parameters", df_shown(cell->label).text, cell->axes[0] ? " " : "", cell->axes, (double)cost->parameters / 1e6);
    if (cost->adaptation)
        printf(", %.2f M in adaptation layers", (double)cost->adaptation / 1e6);
    if (cost->teacher_parameters)
        printf(", teacher %.2f M", (double)cost->teacher_parameters / 1e6);
    printf("; canvas %zux%zu, batch %lld, %zu classes, %zu images, %g epochs\n", cost->images.width, cost->images.height,
           (long long)cell->schedule.batch, cost->images.classes, line->images, cell->schedule.epochs);
    print_parts(report, line);
    print_memory(report, line);
    print_cache(report, line);
    print_days(report, line);
    print_stretch(line);
}

static void print_text(const struct report *report)
{
    printf("machine      %g TFLOP/s float32", report->machine[FLOAT32].flops / 1e12);
    if (report->precisions > 1)
        printf(", %g TFLOP/s TF32", report->machine[TF32].flops / 1e12);
    printf(", %g TB/s: floors, not predictions ('defeat help cost')\n", report->machine[FLOAT32].bandwidth / 1e12);
    for (size_t i = 0; i < report->lines; i++)
        print_line(report, &report->line[i]);
    if (report->lines < 2)
        return;
    printf("\nall of these: ");
    for (size_t k = 0; k < report->precisions; k++) {
        double sum = 0;

        for (size_t i = 0; i < report->lines; i++)
            sum += days(report, &report->line[i], k);
        printf(k ? ", " : "");
        print_duration(sum, k);
    }
    printf("\n");
}

static void add_amount(cJSON *object, struct df_cost_amount amount)
{
    cJSON_AddNumberToObject(object, "flops", amount.flops);
    cJSON_AddNumberToObject(object, "bytes", amount.bytes);
    cJSON_AddNumberToObject(object, "copied_bytes", amount.copied);
}

static void add_floors(const struct report *report, cJSON *object, const char *suffix, const double seconds[PRECISIONS])
{
    static const char *const name[PRECISIONS] = { "float32_floor_seconds", "tf32_floor_seconds" };

    for (size_t k = 0; k < report->precisions; k++) {
        char key[64];

        snprintf(key, sizeof key, "%s%s", name[k], suffix);
        cJSON_AddNumberToObject(object, key, seconds[k]);
    }
}

static void add_parts(const struct report *report, const struct line *line, cJSON *object)
{
    const size_t batch = (size_t)line->cell->schedule.batch;
    cJSON *parts = cJSON_AddArrayToObject(object, "parts");
    double seconds[PRECISIONS];

    for (int p = 0; p < DF_COST_PARTS; p++) {
        const struct df_cost_amount part = df_cost_part(&line->cost, (enum df_cost_part)p, batch);
        cJSON *row = cJSON_CreateObject();

        cJSON_AddStringToObject(row, "name", df_cost_part_names[p]);
        add_amount(row, part);
        for (size_t k = 0; k < report->precisions; k++)
            seconds[k] = df_cost_seconds(part, report->machine[k]);
        add_floors(report, row, "", seconds);
        cJSON_AddItemToArray(parts, row);
    }
    for (size_t k = 0; k < report->precisions; k++)
        seconds[k] = df_cost_step_seconds(&line->cost, batch, report->machine[k], false);
    add_floors(report, object, "", seconds);
    if (!line->cost.record)
        return;
    for (size_t k = 0; k < report->precisions; k++)
        seconds[k] = df_cost_step_seconds(&line->cost, batch, report->machine[k], true);
    add_floors(report, object, "_cached", seconds);
}

static cJSON *line_json(const struct report *report, const struct line *line)
{
    const struct df_cost *cost = &line->cost;
    const struct df_cell *cell = line->cell;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "label", cell->label);
    cJSON_AddStringToObject(object, "axes", cell->axes);
    cJSON_AddNumberToObject(object, "width", (double)cost->images.width);
    cJSON_AddNumberToObject(object, "height", (double)cost->images.height);
    cJSON_AddNumberToObject(object, "classes", (double)cost->images.classes);
    cJSON_AddNumberToObject(object, "images", (double)line->images);
    cJSON_AddNumberToObject(object, "batch", (double)cell->schedule.batch);
    cJSON_AddNumberToObject(object, "runs", (double)line->runs);
    cJSON_AddNumberToObject(object, "steps", line->steps);
    cJSON_AddNumberToObject(object, "parameters", (double)cost->parameters);
    cJSON_AddNumberToObject(object, "adaptation_parameters", (double)cost->adaptation);
    cJSON_AddNumberToObject(object, "teacher_parameters", (double)cost->teacher_parameters);
    add_parts(report, line, object);
    cJSON_AddNumberToObject(object, "memory_bytes", df_cost_memory(cost, (size_t)cell->schedule.batch));
    cJSON_AddNumberToObject(object, "memory_bytes_per_image", cost->tape_image);
    cJSON_AddNumberToObject(object, "largest_batch", (double)df_cost_largest_batch(cost, report->options->memory * 1e9));
    cJSON_AddNumberToObject(object, "record_bytes", (double)cost->record);
    cJSON_AddNumberToObject(object, "record_flops", cost->record_flops);
    if (cost->record) {
        cJSON_AddNumberToObject(object, "cache_bytes", record_bytes(line));
        cJSON_AddNumberToObject(object, "cache_images_max", (double)df_cost_cached_images(cost, copies(line), cache_limit(report)));
        cJSON_AddBoolToObject(object, "cached", line->cached);
    }
    if (line->cell->distillers)
        cJSON_AddNumberToObject(object, "stretch", stretch(line));
    cJSON_AddNumberToObject(object, "float32_days", days(report, line, FLOAT32));
    if (report->precisions > 1)
        cJSON_AddNumberToObject(object, "tf32_days", days(report, line, TF32));
    return object;
}

static void print_json(const struct report *report)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *root = cJSON_CreateObject(), *methods;

    cJSON_AddStringToObject(root, "spec", report->spec->name);
    cJSON_AddNumberToObject(root, "float32_flops_per_second", report->machine[FLOAT32].flops);
    if (report->precisions > 1)
        cJSON_AddNumberToObject(root, "tf32_flops_per_second", report->machine[TF32].flops);
    cJSON_AddNumberToObject(root, "bytes_per_second", report->machine[FLOAT32].bandwidth);
    methods = cJSON_AddArrayToObject(root, "methods");
    for (size_t i = 0; i < report->lines; i++)
        cJSON_AddItemToArray(methods, line_json(report, &report->line[i]));
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

/* ---- the command ---- */

static void find_machine(const struct cost_options *options, struct report *report)
{
    const double tf32 = options->tf32 >= 0 ? options->tf32 : options->peak == H100_FLOAT32 ? H100_TF32 : 0;

    report->machine[FLOAT32] = (struct df_cost_machine){ options->peak * 1e12, options->bandwidth * 1e12 };
    report->machine[TF32] = (struct df_cost_machine){ tf32 * 1e12, options->bandwidth * 1e12 };
    report->precisions = tf32 > 0 ? 2 : 1;
}

static df_status read_spec(const struct cost_options *options, const char *path, struct df_spec **out, struct df_error *err)
{
    const struct df_spec_overrides overrides = { .seeds = options->seeds[0] ? options->seeds : NULL,
                                                 .data_path = options->data_path[0] ? options->data_path : NULL,
                                                 .device = "cpu",
                                                 .set = &options->set,
                                                 .unread = true };
    const struct df_distiller_class *plugin;

    *out = NULL;
    if (options->plugin[0])
        DF_TRY(df_distiller_load_plugin(options->plugin, &plugin, err));
    return df_spec_read(path, &overrides, out, err);
}

static int run_cost(const void *values, int count, char *const *arguments)
{
    struct report report = { .options = values };
    struct df_error err = { 0 };
    struct df_spec *spec;
    df_status status = read_spec(values, arguments[0], &spec, &err);

    (void)count;
    report.spec = spec;
    find_machine(values, &report);
    if (status == DF_OK)
        status = count_lines(&report, &err);
    if (status == DF_OK && report.options->json)
        print_json(&report);
    else if (status == DF_OK)
        print_text(&report);
    free(report.line);
    df_spec_free(spec);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_cost = {
    .name = "cost",
    .summary = "what a spec's training costs on paper: operations, memory traffic, floors of a machine, days, disk",
    .usage = "defeat cost SPEC [--images N --classes K] [--canvas WxH] [--peak T --bandwidth T] [--method LABEL] [--json]",
    .example = "defeat cost ablations/specs/coco-faster.json --images 118287 --classes 80",
    .notes =
        "One made-up image goes through the networks that would train; what they do is counted and scaled to the batch. Neither the data\n"
        "nor a trained teacher is needed, if --images and --classes say what the data would.\n"
        "\n"
        "A floor is not a prediction. GFLOP counts convolutions and matrix products (2 per multiply-add); GB counts every operand of "
        "every\n"
        "operation once, as if operations shared nothing. A part cannot take less time than its operations at the machine's peak, nor "
        "than\n"
        "its traffic at the memory's bandwidth; its floor is the larger of the two, and a step's floor is their sum. Real steps take "
        "longer:\n"
        "no kernel holds the peak, proposals are chosen on the host, and what is copied between host and device (counted apart) waits for "
        "a\n"
        "slower link. A program that fuses operations moves less than what is counted here, and may go below the memory floor. Evaluation "
        "is\n"
        "not in the days, and neither is the teacher's own training without --teacher.\n"
        "\n"
        "Distilling computes more than training. \"stretch\" of a method says how much longer a plain student may train for the same "
        "multiply-adds: a method {\"label\": \"none, equal compute\", \"stretch\": 1.2} is that control.",
    .options = options_table,
    .options_size = sizeof(struct cost_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_cost,
};
