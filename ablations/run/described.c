#include "ablations/run/described.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/shell.h"
#include "core/nn/checkpoint.h"

void df_classes_text(const struct df_dataset *dataset, struct df_text *out)
{
    cJSON *classes = cJSON_CreateObject();
    char id[32];

    for (size_t k = 0; k < dataset->categories; k++) {
        snprintf(id, sizeof id, "%lld", (long long)dataset->category[k].id);
        cJSON_AddStringToObject(classes, id, dataset->category[k].name);
    }
    df_json_canonical(classes, out);
    cJSON_Delete(classes);
}

void df_network_text(const struct df_cell *cell, struct df_text *out)
{
    cJSON *root = cJSON_CreateObject(), *detector = df_options_write(cell->detector->options, cell->detector_options);

    cJSON_AddStringToObject(detector, "kind", cell->detector->name);
    cJSON_AddItemToObject(root, "detector", detector);
    cJSON_AddItemToObject(root, "network", df_options_write(df_network_option_table, &cell->network));
    cJSON_AddItemToObject(root, "canvas", df_options_write(df_canvas_option_table, &cell->canvas));
    cJSON_AddNumberToObject(root, "seed", (double)cell->seed);
    df_json_canonical(root, out);
    cJSON_Delete(root);
}

/* ---- the network ---- */

static df_status read_detector(const cJSON *root, const char *where, struct df_cell *cell, struct df_error *err)
{
    static const char *const others[] = { "kind", "revision", NULL };
    const cJSON *object;
    const char *kind;

    DF_TRY(df_json_object(root, "detector", true, where, &object, err));
    DF_TRY(df_json_string(object, "kind", true, where, &kind, err));
    cell->detector = df_detector_class_find(kind, err);
    if (!cell->detector)
        return df_fail_in(err, DF_ERR_UNSUPPORTED, "%s", where);
    cell->detector_options = df_calloc(1, cell->detector->options_size);
    return df_options_restore(cell->detector->options, object, others, where, cell->detector_options, err);
}

static df_status read_part(const cJSON *root, const char *key, const df_option *table, const char *where, void *values,
                           struct df_error *err)
{
    const cJSON *object;

    DF_TRY(df_json_object(root, key, true, where, &object, err));
    return df_options_restore(table, object, NULL, where, values, err);
}

static df_status read_network(const cJSON *root, const char *where, struct df_cell *cell, struct df_error *err)
{
    DF_TRY(read_detector(root, where, cell, err));
    DF_TRY(read_part(root, "network", df_network_option_table, where, &cell->network, err));
    DF_TRY(read_part(root, "canvas", df_canvas_option_table, where, &cell->canvas, err));
    DF_TRY(df_network_check(&cell->network, where, err));
    return df_json_int(root, "seed", true, where, &cell->seed, err);
}

/* ---- the classes ---- */

static df_status read_class(const cJSON *item, const char *where, struct df_described *out, struct df_error *err)
{
    struct df_category *class = &out->category[out->classes];

    if (!cJSON_IsString(item) || !df_parse_int(item->string, &class->id))
        return df_fail(err, DF_ERR_FORMAT, "%s: '%s': expected a category id and its name", where, item->string);
    class->name = df_arena_strdup(&out->memory, item->valuestring);
    out->classes++;
    return DF_OK;
}

static df_status read_classes(const char *text, const char *path, struct df_described *out, struct df_error *err)
{
    cJSON *classes = NULL, *item;
    char where[1024];

    snprintf(where, sizeof where, "%s: classes", path);
    DF_TRY(df_json_parse(text, strlen(text), where, &classes, err));

    df_status status =
        cJSON_IsObject(classes) && classes->child ? DF_OK : df_fail(err, DF_ERR_FORMAT, "%s: expected an object of names", where);

    out->category = df_arena_alloc(&out->memory, ((size_t)cJSON_GetArraySize(classes) + 1) * sizeof *out->category);
    cJSON_ArrayForEach(item, classes)
    {
        if (status == DF_OK)
            status = read_class(item, where, out, err);
    }
    out->named = true;
    cJSON_Delete(classes);
    return status;
}

/* Numbers in a network of so many classes. */
static df_status numbers_with(const struct df_cell *cell, size_t classes, size_t *out, struct df_error *err)
{
    struct df_parameters *parameters = df_parameters_new();
    struct df_detector *detector = NULL;
    const df_status status = cell->detector->create(cell->detector_options, &cell->network, classes, parameters, &detector, err);

    *out = 0;
    for (size_t i = 0; i < parameters->count; i++)
        *out += df_count(parameters->items[i]->shape);
    df_detector_free(detector);
    df_parameters_free(parameters);
    return status;
}

static df_status numbers_in(const char *path, double *out, struct df_error *err)
{
    const cJSON *tensor, *size;
    cJSON *index;

    DF_TRY(df_checkpoint_index(path, &index, err));
    *out = 0;
    cJSON_ArrayForEach(tensor, index)
    {
        double n = 1;

        cJSON_ArrayForEach(size, cJSON_GetObjectItemCaseSensitive(tensor, "shape")) n *= size->valuedouble;
        *out += n;
    }
    cJSON_Delete(index);
    return DF_OK;
}

/* Every class adds as many numbers to a network as the one before: the file's size says how many there are. */
static df_status count_classes(const char *path, struct df_described *out, struct df_error *err)
{
    size_t one, two;
    double all;

    DF_TRY(numbers_with(&out->cell, 1, &one, err));
    DF_TRY(numbers_with(&out->cell, 2, &two, err));
    DF_TRY(numbers_in(path, &all, err));

    const double classes = 1 + (all - (double)one) / (double)(two - one);

    if (!(classes >= 1 && classes <= 1e6) || classes != (double)(size_t)classes)
        return df_fail(err, DF_ERR_FORMAT, "'%s': its %.0f numbers fit no number of classes of its network", path, all);
    out->classes = (size_t)classes;
    out->category = df_arena_alloc(&out->memory, out->classes * sizeof *out->category);
    for (size_t k = 0; k < out->classes; k++) {
        char name[32];

        snprintf(name, sizeof name, "%zu", k + 1);
        out->category[k] = (struct df_category){ .id = (int64_t)k + 1, .name = df_arena_strdup(&out->memory, name) };
    }
    return DF_OK;
}

/* ---- the file ---- */

static df_status read_cell(const cJSON *metadata, const char *path, struct df_described *out, struct df_error *err)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "cell"));
    struct df_shell_word word;
    char where[1024];
    cJSON *root = NULL;

    if (!text)
        return df_fail(err, DF_ERR_FORMAT,
                       "'%s' does not say what its network is (no \"cell\" in its metadata) [on a data set, with the spec of that network: "
                       "%s predict SPEC --cell K --checkpoint %s]",
                       path, df_program(), df_shell_word(&word, path));
    snprintf(where, sizeof where, "%s: cell", path);
    DF_TRY(df_json_parse(text, strlen(text), where, &root, err));

    const df_status status = read_network(root, where, &out->cell, err);

    cJSON_Delete(root);
    if (status == DF_ERR_USAGE && err) /* the file is off, not the caller's words */
        err->status = DF_ERR_FORMAT;
    return status == DF_ERR_USAGE ? DF_ERR_FORMAT : status;
}

static df_status read_metadata(const cJSON *metadata, const char *path, struct df_described *out, struct df_error *err)
{
    const char *classes = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "classes"));
    const char *run = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "id"));

    snprintf(out->run, sizeof out->run, "%s", run ? run : "");
    DF_TRY(read_cell(metadata, path, out, err));
    return classes ? read_classes(classes, path, out, err) : count_classes(path, out, err);
}

df_status df_described_read(const char *path, const char *device, struct df_described *out, struct df_error *err)
{
    cJSON *metadata = NULL;

    *out = (struct df_described){ .cell = { .threads = 1 } };
    df_arena_init(&out->memory, NULL, 4096);
    snprintf(out->cell.device, sizeof out->cell.device, "%s", device);

    df_status status = df_checkpoint_metadata(path, &metadata, err);

    if (status == DF_OK)
        status = read_metadata(metadata, path, out, err);
    cJSON_Delete(metadata);
    if (status != DF_OK)
        df_described_release(out);
    return status;
}

void df_described_release(struct df_described *described)
{
    free(described->cell.detector_options);
    df_arena_release(&described->memory);
    *described = (struct df_described){ 0 };
}
