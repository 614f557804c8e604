/* `defeat data show|inspect|export`: a dataset as a picture, as numbers, as COCO JSON. The dataset is that of a spec's "data" object, or
 * of --kind; words like context=0.8 (or --set "context=0.8 seed=2") change its options. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/spec_source.h"
#include "core/base/file.h"
#include "core/data/contact_sheet.h"
#include "core/data/data.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"

struct data_options {
    char kind[DF_STRING_MAX], set[DF_STRING_MAX], output[DF_STRING_MAX], data_path[DF_STRING_MAX];
    int split;
    int64_t count, from, columns, cell;
    bool boxes, json;
};
static const df_option options_table[] = {
    { "kind", DF_STRING_OPTION(struct data_options, kind), .text = "",
      .help = "kind of dataset, where no spec is given; none: the embedded one" },
    { "set", DF_STRING_OPTION(struct data_options, set), .text = "", .help = "options of the dataset: \"name=value name=value\"" },
    { "data_path", DF_STRING_OPTION(struct data_options, data_path), .text = "",
      .help = "folder that the dataset's paths are relative to" },
    { "split", DF_CHOICE_OPTION(struct data_options, split), .choices = "all|train|tune|validation",
      .help = "of the dataset; all: the training images where one is needed" },
    { "count", DF_INT_OPTION(struct data_options, count), .standard = 24, .min = 1, .max = 1e6,
      .help = "images: shown, or read for the channels' mean and deviation" },
    { "from", DF_INT_OPTION(struct data_options, from), .max = 1e9, .help = "show: the first of them, counted from 0" },
    { "columns", DF_INT_OPTION(struct data_options, columns), .standard = 6, .min = 1, .max = 100, .help = "show: images in a row" },
    { "cell", DF_INT_OPTION(struct data_options, cell), .standard = 288, .min = 32, .max = 2048,
      .help = "show: pixels of an image's longer side" },
    { "boxes", DF_BOOL_OPTION(struct data_options, boxes), .standard = 1, .help = "show: draw the boxes" },
    { "output", DF_STRING_OPTION(struct data_options, output), .text = "", .help = "show: PNG file; export: JSON file" },
    { "json", DF_BOOL_OPTION(struct data_options, json), .help = "inspect: print JSON" },
    { 0 },
};

static df_status set_word(struct df_data *data, const char *word, struct df_error *err)
{
    const char *equals = strchr(word, '=');
    char name[128];

    if (!equals || (size_t)(equals - word) >= sizeof name)
        return df_fail(err, DF_ERR_USAGE, "data: unexpected word '%s', expected name=value", word);
    memcpy(name, word, (size_t)(equals - word));
    name[equals - word] = 0;
    return df_options_set(data->class->options, name, equals + 1, data->class->name, data->options, err);
}

static df_status set_words(struct df_data *data, const char *words, struct df_error *err)
{
    df_status status = DF_OK;

    while (status == DF_OK && *(words += strspn(words, " "))) {
        const size_t length = strcspn(words, " ");
        char *word = strndup(words, length);

        status = set_word(data, word, err);
        free(word);
        words += length;
    }
    return status;
}

/* Of the spec, whose other members are left to those who run it. */
static df_status read_spec(const char *path, const char *data_path, struct df_data **out, struct df_error *err)
{
    struct df_text from = DF_TEXT_INIT;
    cJSON *root;
    df_status status = df_spec_source_read(path, NULL, &root, &from, err);

    if (status == DF_OK)
        status = df_data_read(root, path, data_path, out, err);
    cJSON_Delete(root);
    df_text_release(&from);
    return status;
}

/* Without a kind: the first that reads no files. */
static df_status of_kind(const char *kind, const char *data_path, struct df_data **out, struct df_error *err)
{
    const struct df_dataset_class *const *first = df_dataset_classes, *class;

    while (!kind[0] && (*first)->from_files)
        first++;
    class = kind[0] ? df_dataset_class_find(kind, err) : *first;
    if (!class)
        return DF_ERR_USAGE;
    *out = df_data_new(class, ".");
    return data_path ? df_data_move(*out, data_path, "--data-path", err) : DF_OK;
}

static df_status choose_data(const struct data_options *options, int count, char *const *words, struct df_data **out, struct df_error *err)
{
    const bool spec = count > 0 && (!strchr(words[0], '=') || df_file_exists(words[0]));
    const char *data_path = options->data_path[0] ? options->data_path : NULL;

    DF_TRY(spec ? read_spec(words[0], data_path, out, err) : of_kind(options->kind, data_path, out, err));
    DF_TRY(set_words(*out, options->set, err));
    for (int i = spec; i < count; i++)
        DF_TRY(set_word(*out, words[i], err));
    return DF_OK;
}

static df_status show(const struct data_options *options, struct df_data *data, struct df_error *err)
{
    const struct df_sheet_options sheet_options = { (size_t)options->from, (size_t)options->count, (int)options->columns,
                                                    (int)options->cell, options->boxes };
    const char *path = options->output[0] ? options->output : "sheet.png";
    struct df_dataset *dataset;
    struct df_image sheet = { 0 };

    DF_TRY(df_data_split(data, options->split ? (enum df_split)(options->split - 1) : DF_TRAIN, &dataset, err));
    df_status status = df_contact_sheet(dataset, &sheet_options, &sheet, err);
    if (status == DF_OK)
        status = df_png_write(path, sheet.pixels, sheet.width, sheet.height, err);
    if (status == DF_OK)
        printf("%s: %d x %d pixels\n", path, sheet.width, sheet.height);
    df_image_release(&sheet);
    return status;
}

static df_status export_truth(const struct data_options *options, struct df_data *data, struct df_error *err)
{
    struct df_dataset *dataset;

    if (options->split == 0 || !options->output[0])
        return df_fail(err, DF_ERR_USAGE, "data export: no %s",
                       options->split == 0 ? "--split (train, tune or validation)" : "--output FILE");
    DF_TRY(df_data_split(data, (enum df_split)(options->split - 1), &dataset, err));
    const df_status status = df_dataset_export_coco(dataset, options->output, err);
    if (status == DF_OK)
        printf("%s: %zu images\n", options->output, dataset->size);
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
    for (size_t c = 0; c < dataset->categories; c++) {
        const struct df_shown class = df_shown(dataset->category[c].name);

        printf("  %s%*s id %-6lld %8zu boxes\n", class.text, class.columns < 16 ? 16 - class.columns : 0, "",
               (long long)dataset->category[c].id, n->per_class[c]);
    }
}

static void print_json(const struct df_dataset *dataset, const char *name, const struct numbers *n)
{
    cJSON *root = cJSON_CreateObject(), *classes = cJSON_CreateArray(); /* a list: names are no keys */
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
    for (size_t c = 0; c < dataset->categories; c++) {
        cJSON *class = cJSON_CreateObject();

        cJSON_AddNumberToObject(class, "id", (double)dataset->category[c].id);
        cJSON_AddStringToObject(class, "name", dataset->category[c].name);
        cJSON_AddNumberToObject(class, "boxes", (double)n->per_class[c]);
        cJSON_AddItemToArray(classes, class);
    }
    cJSON_AddItemToObject(root, "classes", classes);
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static df_status inspect_split(const struct data_options *options, struct df_data *data, enum df_split split, struct df_error *err)
{
    struct df_dataset *dataset;
    struct numbers n = { 0 };

    DF_TRY(df_data_split(data, split, &dataset, err));
    n.per_class = df_calloc(dataset->categories + 1, sizeof *n.per_class);
    count_boxes(dataset, &n);
    const df_status status = measure_channels(dataset, (size_t)options->count, &n, err);
    if (status == DF_OK)
        (options->json ? print_json : print_text)(dataset, df_split_name[split], &n);
    free(n.per_class);
    return status;
}

static df_status inspect(const struct data_options *options, struct df_data *data, struct df_error *err)
{
    for (int split = 0; split < DF_SPLITS; split++)
        if (options->split == 0 || options->split - 1 == split)
            DF_TRY(inspect_split(options, data, (enum df_split)split, err));
    return DF_OK;
}

static const struct verb {
    const char *name;
    df_status (*run)(const struct data_options *options, struct df_data *data, struct df_error *err);
} verbs[] = { { "show", show }, { "inspect", inspect }, { "export", export_truth }, { 0 } };

static const char *verb_name(const void *table, size_t i) { return ((const struct verb *)table)[i].name; }

static int run(const void *values, int count, char *const *arguments)
{
    const struct data_options *options = values;
    struct df_data *data = NULL;
    struct df_error err = { 0 };
    const size_t verb = df_find_name(verb_name, verbs, arguments[0], "action", NULL, &err);
    df_status status = verb == SIZE_MAX ? df_fail_in(&err, DF_ERR_USAGE, "data") : DF_OK;

    if (status == DF_OK)
        status = choose_data(options, count - 1, arguments + 1, &data, &err);
    if (status == DF_OK)
        status = verbs[verb].run(options, data, &err);
    df_data_free(data);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_data = {
    .name = "data",
    .summary = "a dataset as a picture, as numbers, as COCO JSON",
    .usage = "defeat data show|inspect|export [SPEC] [name=value...] [--kind KIND] [--split S] [--output FILE]",
    .example = "defeat data show context=0.9 --count 24 --output sheet.png",
    .options = options_table,
    .options_size = sizeof(struct data_options),
    .arguments_min = 1,
    .arguments_max = 64,
    .run = run,
};
