/* `defeat data show|inspect|export`: a dataset as a picture, as numbers, as COCO JSON. The dataset is that of a spec's "data" object, or
 * --kind; words like context=0.8 (or --set "context=0.8 seed=2") change its options. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "core/base/file.h"
#include "core/data/contact_sheet.h"
#include "core/data/image_file.h"

struct data_options {
    char kind[DF_STRING_MAX], set[DF_STRING_MAX], output[DF_STRING_MAX], data_path[DF_STRING_MAX];
    int split;
    int64_t count, from, columns, cell;
    bool boxes, json;
};
static const df_option options_table[] = {
    { "kind", DF_STRING_OPTION(struct data_options, kind), .text = "scenes", .help = "kind of dataset, where no spec is given" },
    { "set", DF_STRING_OPTION(struct data_options, set), .text = "", .help = "options of the dataset: \"name=value name=value\"" },
    { "data_path", DF_STRING_OPTION(struct data_options, data_path), .text = "",
      .help = "folder that the dataset's paths are relative to" },
    { "split", DF_CHOICE_OPTION(struct data_options, split), 0, 0, 3, "of the dataset; all: the training images where one is needed",
      .choices = "all|train|tune|validation" },
    { "count", DF_INT_OPTION(struct data_options, count), 24, 1, 1e6, "images: shown, or read for the channels' mean and deviation" },
    { "from", DF_INT_OPTION(struct data_options, from), 0, 0, 1e9, "show: the first of them, counted from 0" },
    { "columns", DF_INT_OPTION(struct data_options, columns), 6, 1, 100, "show: images in a row" },
    { "cell", DF_INT_OPTION(struct data_options, cell), 288, 32, 2048, "show: pixels of an image's longer side" },
    { "boxes", DF_BOOL_OPTION(struct data_options, boxes), 1, 0, 1, "show: draw the boxes" },
    { "output", DF_STRING_OPTION(struct data_options, output), .text = "", .help = "show: PNG file; export: JSON file" },
    { "json", DF_BOOL_OPTION(struct data_options, json), 0, 0, 1, "inspect: print JSON" },
    { 0 },
};

static const char *const split_name[DF_SPLITS] = { "train", "tune", "validation" };

struct source {
    const struct df_dataset_class *class;
    void *options;
    char *base;
};

static void source_release(struct source *source)
{
    free(source->options);
    free(source->base);
}

/* "data" and "base" of a spec; everything else in it is left to those who run it. */
static df_status read_spec(struct source *source, const char *path, struct df_error *err)
{
    static const char *const others[] = { "kind", NULL };
    const cJSON *data;
    const char *kind, *base = "", *slash = strrchr(path, '/');
    char where[1024];
    cJSON *root = NULL;

    snprintf(where, sizeof where, "%s: /data", path);
    df_status status = df_json_read(path, &root, err);
    if (status == DF_OK)
        status = df_json_object(root, "data", true, path, &data, err);
    if (status == DF_OK)
        status = df_json_string(root, "base", false, path, &base, err);
    if (status == DF_OK)
        status = df_json_string(data, "kind", true, where, &kind, err);
    if (status == DF_OK && !(source->class = df_dataset_class_find(kind, err)))
        status = df_fail_in(err, DF_ERR_USAGE, "%s", where);
    if (status == DF_OK) {
        source->options = df_calloc(1, source->class->options_size);
        status = df_options_read(source->class->options, data, others, where, source->options, err);
    }
    if (status == DF_OK) {
        char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : df_strdup(".");

        source->base = df_path_join(folder, base);
        free(folder);
    }
    cJSON_Delete(root);
    return status;
}

static df_status set_word(struct source *source, const char *word, struct df_error *err)
{
    const char *equals = strchr(word, '=');
    char name[128];

    if (!equals || (size_t)(equals - word) >= sizeof name)
        return df_fail(err, DF_ERR_USAGE, "data: unexpected word '%s', expected name=value", word);
    memcpy(name, word, (size_t)(equals - word));
    name[equals - word] = 0;
    return df_options_set(source->class->options, name, equals + 1, source->class->name, source->options, err);
}

static df_status set_words(struct source *source, const char *words, struct df_error *err)
{
    df_status status = DF_OK;

    while (status == DF_OK && *(words += strspn(words, " "))) {
        const size_t length = strcspn(words, " ");
        char *word = strndup(words, length);

        status = set_word(source, word, err);
        free(word);
        words += length;
    }
    return status;
}

static df_status choose_source(const struct data_options *options, int count, char *const *words, struct source *source,
                               struct df_error *err)
{
    int first = 0;

    if (count > 0 && (!strchr(words[0], '=') || df_file_exists(words[0]))) {
        DF_TRY(read_spec(source, words[0], err));
        first = 1;
    } else {
        source->class = df_dataset_class_find(options->kind, err);
        if (!source->class)
            return DF_ERR_USAGE;
        source->options = df_calloc(1, source->class->options_size);
        df_options_standard(source->class->options, source->options);
        source->base = df_strdup(".");
    }
    if (options->data_path[0]) {
        free(source->base);
        source->base = df_strdup(options->data_path);
    }
    DF_TRY(set_words(source, options->set, err));
    for (int i = first; i < count; i++)
        DF_TRY(set_word(source, words[i], err));
    return DF_OK;
}

static df_status open_split(const struct source *source, int split, struct df_dataset **out, struct df_error *err)
{
    return source->class->open(source->options, (enum df_split)split, source->base, out, err);
}

static df_status show(const struct data_options *options, const struct source *source, struct df_error *err)
{
    const struct df_sheet_options sheet_options = { (size_t)options->from, (size_t)options->count, (int)options->columns,
                                                    (int)options->cell, options->boxes };
    const char *path = options->output[0] ? options->output : "sheet.png";
    struct df_dataset *dataset;
    struct df_image sheet = { 0 };

    DF_TRY(open_split(source, options->split ? options->split - 1 : DF_TRAIN, &dataset, err));
    df_status status = df_contact_sheet(dataset, &sheet_options, &sheet, err);
    if (status == DF_OK)
        status = df_png_write(path, sheet.pixels, sheet.width, sheet.height, err);
    if (status == DF_OK)
        printf("%s: %d x %d pixels\n", path, sheet.width, sheet.height);
    df_image_release(&sheet);
    df_dataset_close(dataset);
    return status;
}

static df_status export_truth(const struct data_options *options, const struct source *source, struct df_error *err)
{
    struct df_dataset *dataset;

    if (options->split == 0 || !options->output[0])
        return df_fail(err, DF_ERR_USAGE, "data export: no %s",
                       options->split == 0 ? "--split (train, tune or validation)" : "--output FILE");
    DF_TRY(open_split(source, options->split - 1, &dataset, err));
    const df_status status = df_dataset_export_coco(dataset, options->output, err);
    if (status == DF_OK)
        printf("%s: %zu images\n", options->output, dataset->size);
    df_dataset_close(dataset);
    return status;
}

struct numbers {
    size_t images, boxes, crowds, most, read;
    double size[3]; /* 10, 50, 90 % quantiles of sqrt(area) of those that are no crowds, pixels */
    size_t *per_class;
    double mean[3], deviation[3]; /* of the first `read` images, 0..1 */
};

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void count_boxes(const struct df_dataset *dataset, struct numbers *n)
{
    size_t sizes = 0;

    n->images = dataset->size;
    for (size_t i = 0; i < dataset->size; i++)
        n->boxes += dataset->info[i].count;
    double *size = df_malloc((n->boxes + 1) * sizeof *size);
    for (size_t i = 0; i < dataset->size; i++) {
        n->most = dataset->info[i].count > n->most ? dataset->info[i].count : n->most;
        for (size_t k = 0; k < dataset->info[i].count; k++) {
            const struct df_object *object = &dataset->info[i].objects[k];

            n->per_class[object->label]++;
            if (object->crowd)
                n->crowds++;
            else
                size[sizes++] = sqrt(fmax(object->bbox[2] * object->bbox[3], 0));
        }
    }
    if (sizes) {
        qsort(size, sizes, sizeof *size, by_size);
        for (int q = 0; q < 3; q++)
            n->size[q] = size[(size_t)((double)(sizes - 1) * (q == 0 ? 0.1 : q == 1 ? 0.5 : 0.9))];
    }
    free(size);
}

static df_status measure_channels(struct df_dataset *dataset, size_t count, struct numbers *n, struct df_error *err)
{
    double sum[3] = { 0 }, square[3] = { 0 }, pixels = 0;
    struct df_image image = { 0 };
    df_status status = DF_OK;

    for (; n->read < count && n->read < dataset->size; n->read++) {
        status = dataset->class->read(dataset, n->read, &image, err);
        if (status != DF_OK)
            break;
        const size_t size = (size_t)image.width * (size_t)image.height;
        for (size_t i = 0; i < size; i++)
            for (size_t c = 0; c < 3; c++) {
                const double v = image.pixels[3 * i + c] / 255.0;

                sum[c] += v;
                square[c] += v * v;
            }
        pixels += (double)size;
    }
    for (int c = 0; c < 3 && pixels > 0; c++) {
        n->mean[c] = sum[c] / pixels;
        n->deviation[c] = sqrt(fmax(square[c] / pixels - n->mean[c] * n->mean[c], 0));
    }
    df_image_release(&image);
    return status;
}

static void print_text(const struct df_dataset *dataset, const char *name, const struct numbers *n)
{
    printf("%s: %zu images, %zu boxes (%zu crowds; %zu left out), %.2f an image, at most %zu, hash %016llx\n", name, n->images, n->boxes,
           n->crowds, dataset->skipped_boxes, (double)n->boxes / (double)n->images, n->most, (unsigned long long)dataset->hash);
    printf("  sqrt(area) %.1f / %.1f / %.1f pixels (10 / 50 / 90 %%)\n", n->size[0], n->size[1], n->size[2]);
    printf("  mean %.3f %.3f %.3f, deviation %.3f %.3f %.3f (%zu images)\n", n->mean[0], n->mean[1], n->mean[2], n->deviation[0],
           n->deviation[1], n->deviation[2], n->read);
    for (size_t c = 0; c < dataset->categories; c++)
        printf("  %-16s id %-6lld %8zu boxes\n", dataset->category[c].name, (long long)dataset->category[c].id, n->per_class[c]);
}

static void print_json(const struct df_dataset *dataset, const char *name, const struct numbers *n)
{
    cJSON *root = cJSON_CreateObject(), *classes = cJSON_CreateObject();
    struct df_text text = DF_TEXT_INIT;
    char hash[24];

    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)dataset->hash);
    cJSON_AddStringToObject(root, "split", name);
    cJSON_AddStringToObject(root, "hash", hash);
    cJSON_AddNumberToObject(root, "images", (double)n->images);
    cJSON_AddNumberToObject(root, "boxes", (double)n->boxes);
    cJSON_AddNumberToObject(root, "crowds", (double)n->crowds);
    cJSON_AddNumberToObject(root, "left_out", (double)dataset->skipped_boxes);
    cJSON_AddItemToObject(root, "size_quantiles", cJSON_CreateDoubleArray(n->size, 3));
    cJSON_AddItemToObject(root, "mean", cJSON_CreateDoubleArray(n->mean, 3));
    cJSON_AddItemToObject(root, "deviation", cJSON_CreateDoubleArray(n->deviation, 3));
    for (size_t c = 0; c < dataset->categories; c++)
        cJSON_AddNumberToObject(classes, dataset->category[c].name, (double)n->per_class[c]);
    cJSON_AddItemToObject(root, "classes", classes);
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static df_status inspect_split(const struct data_options *options, const struct source *source, int split, struct df_error *err)
{
    struct df_dataset *dataset;
    struct numbers n = { 0 };

    DF_TRY(open_split(source, split, &dataset, err));
    n.per_class = df_calloc(dataset->categories + 1, sizeof *n.per_class);
    count_boxes(dataset, &n);
    const df_status status = measure_channels(dataset, (size_t)options->count, &n, err);
    if (status == DF_OK)
        (options->json ? print_json : print_text)(dataset, split_name[split], &n);
    free(n.per_class);
    df_dataset_close(dataset);
    return status;
}

static df_status inspect(const struct data_options *options, const struct source *source, struct df_error *err)
{
    for (int split = 0; split < DF_SPLITS; split++)
        if (options->split == 0 || options->split - 1 == split)
            DF_TRY(inspect_split(options, source, split, err));
    return DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    static const struct {
        const char *name;
        df_status (*run)(const struct data_options *options, const struct source *source, struct df_error *err);
    } verbs[] = { { "show", show }, { "inspect", inspect }, { "export", export_truth } };
    static const char *const names[] = { "show", "inspect", "export", NULL };
    const struct data_options *options = values;
    struct source source = { 0 };
    struct df_error err = { 0 };

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, arguments[0]) == 0) {
            df_status status = choose_source(options, count - 1, arguments + 1, &source, &err);

            if (status == DF_OK)
                status = verbs[i].run(options, &source, &err);
            source_release(&source);
            return status == DF_OK ? 0 : df_command_fail(&err);
        }
    const char *near = df_nearest(arguments[0], names);
    df_fail(&err, DF_ERR_USAGE, "data: unknown action '%s' (%s%s%sshow, inspect or export)", arguments[0], near ? "did you mean '" : "",
            near ? near : "", near ? "'? " : "");
    return df_command_fail(&err);
}

const struct df_command df_command_data = {
    .name = "data",
    .summary = "a dataset as a picture, as numbers, as COCO JSON",
    .usage = "defeat data show|inspect|export [SPEC] [name=value...] [--kind scenes] [--split S] [--output FILE]",
    .example = "defeat data show context=0.9 --count 24 --output sheet.png",
    .options = options_table,
    .options_size = sizeof(struct data_options),
    .arguments_min = 1,
    .arguments_max = 64,
    .run = run,
};
