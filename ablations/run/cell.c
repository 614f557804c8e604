/* The identity of a cell: its canonical JSON and that text's hash. Key order as cell.h says; of an option table stands there what has an effect
 * and is not what it was before the option existed. What a spec asks for is written by the same functions. */
#include "ablations/run/cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/hash.h"

typedef cJSON *options_writer(const df_option *table, const void *values);

struct named {
    const char *key, *name, *plugin; /* plugin: NULL unless it is one */
    int revision;
};

/* {"<key>":"<name>", "revision":2, "plugin":"<hash>", ...options...} */
static cJSON *named_object(struct named what, options_writer *write, const df_option *table, const void *values)
{
    cJSON *object = cJSON_CreateObject(), *options = table ? write(table, values) : NULL;

    cJSON_AddStringToObject(object, what.key, what.name);
    if (what.revision > 1)
        cJSON_AddNumberToObject(object, "revision", what.revision);
    if (what.plugin)
        cJSON_AddStringToObject(object, "plugin", what.plugin);
    while (options && options->child) {
        cJSON *item = cJSON_DetachItemViaPointer(options, options->child);

        cJSON_AddItemToObject(object, item->string, item);
    }
    cJSON_Delete(options);
    return object;
}

static df_status split_hash(const struct df_cell *cell, enum df_split split, uint64_t *hash, struct df_error *err)
{
    struct df_dataset *dataset;

    DF_TRY(cell->dataset->open(cell->dataset_options, split, cell->base ? cell->base : ".", &dataset, err));
    *hash = dataset->hash;
    df_dataset_close(dataset);
    return DF_OK;
}

/* The files' contents belong to the identity of data that is read from files. The cells of a spec share their data, so the last answer is
 * kept: without it every cell would read the annotations again. */
static df_status find_data_hash(struct df_cell *cell, const cJSON *data, struct df_error *err)
{
    static char *last_question, last_answer[sizeof cell->data_hash];
    struct df_text question = DF_TEXT_INIT;
    char text[DF_SPLITS][17];
    uint64_t hash;

    df_json_canonical(data, &question);
    df_text_addf(&question, " in %s", cell->base ? cell->base : ".");
    if (!last_question || strcmp(last_question, df_text_get(&question)) != 0) {
        df_status status = DF_OK;

        for (enum df_split split = DF_TRAIN; split < DF_SPLITS && status == DF_OK; split++) {
            status = split_hash(cell, split, &hash, err);
            if (status == DF_OK)
                df_hash_text(text[split], hash);
        }
        if (status != DF_OK) {
            df_text_release(&question);
            return status;
        }
        free(last_question);
        last_question = df_strdup(df_text_get(&question));
        snprintf(last_answer, sizeof last_answer, "%s-%s-%s", text[DF_TRAIN], text[DF_TUNE], text[DF_VALIDATION]);
    }
    snprintf(cell->data_hash, sizeof cell->data_hash, "%s", last_answer);
    df_text_release(&question);
    return DF_OK;
}

/* "<run id>" of the teacher's cell, or "file:<hash of the checkpoint>" (asked once per file). */
static df_status teacher_name(const struct df_cell *cell, char name[32], struct df_error *err)
{
    static char last_file[sizeof cell->teacher_file], last_hash[17];
    size_t bytes;
    char *data;

    if (cell->teacher) {
        DF_ASSERT(cell->teacher->id[0]);
        snprintf(name, 32, "%s", cell->teacher->id);
        return DF_OK;
    }
    if (!cell->teacher_file[0])
        return df_fail(err, DF_ERR_USAGE, "'%s' needs a teacher, but there is none [add \"teacher\" to the spec]", cell->label);
    if (cell->unread) {
        snprintf(name, 32, "file:");
        return DF_OK;
    }
    if (strcmp(last_file, cell->teacher_file) != 0) {
        DF_TRY(df_file_read(cell->teacher_file, 0, &data, &bytes, err));
        df_hash_text(last_hash, df_hash(data, bytes));
        memcpy(last_file, cell->teacher_file, sizeof last_file);
        free(data);
    }
    snprintf(name, 32, "file:%s", last_hash);
    return DF_OK;
}

/* "data":{...},"canvas":{...}; returns the former. */
static cJSON *add_data(const struct df_cell *cell, options_writer *write, cJSON *root)
{
    const struct named kind = { .key = "kind", .name = cell->dataset->name, .revision = cell->dataset->revision };
    cJSON *data = named_object(kind, write, cell->dataset->options, cell->dataset_options);

    cJSON_AddItemToObject(root, "data", data);
    cJSON_AddItemToObject(root, "canvas", write(df_canvas_option_table, &cell->canvas));
    return data;
}

static df_status add_data_hash(struct df_cell *cell, const cJSON *data, cJSON *root, struct df_error *err)
{
    if (cell->unread || strcmp(cell->dataset->name, "scenes") == 0) /* the latter are decided by their options */
        return DF_OK;
    if (!cell->data_hash[0])
        DF_TRY(find_data_hash(cell, data, err));
    cJSON_AddStringToObject(root, "data_hash", cell->data_hash);
    return DF_OK;
}

static void add_networks(const struct df_cell *cell, options_writer *write, cJSON *root)
{
    const struct named kind = { .key = "kind", .name = cell->detector->name, .revision = cell->detector->revision };

    cJSON_AddItemToObject(root, "detector", named_object(kind, write, cell->detector->options, cell->detector_options));
    cJSON_AddItemToObject(root, "network", write(df_network_option_table, &cell->network));
    cJSON_AddItemToObject(root, "schedule", write(df_schedule_options, &cell->schedule));
}

static df_status add_teacher(const struct df_cell *cell, cJSON *root, struct df_error *err)
{
    char name[32];

    if (!cell->needs)
        return DF_OK;
    DF_TRY(teacher_name(cell, name, err));
    cJSON_AddStringToObject(root, "teacher", name);
    return DF_OK;
}

/* The rest; of the device nothing that depends on the machine. */
static void add_method(const struct df_cell *cell, options_writer *write, cJSON *root)
{
    struct df_device_identity device = df_device_identity(cell->device);
    char *plus = strchr(device.kind, '+'); /* "cuda+tf32" */

    if (cell->needs && !cell->teacher)
        cJSON_AddItemToObject(root, "teacher_network", write(df_network_option_table, &cell->teacher_network));

    cJSON *distillers = cJSON_AddArrayToObject(root, "distillers");

    for (size_t i = 0; i < cell->distillers; i++) {
        const struct df_distiller_class *class = cell->distiller[i].class;
        const struct named name = { "name", class->name, df_distiller_plugin_hash(class), class->revision };

        cJSON_AddItemToArray(distillers, named_object(name, write, class->options, cell->distiller[i].options));
    }
    cJSON_AddNumberToObject(root, "seed", (double)cell->seed);
    if (plus)
        *plus = 0;
    cJSON_AddStringToObject(root, "device", device.kind);
    if (plus)
        cJSON_AddStringToObject(root, "precision", plus + 1);
}

static df_status fill(struct df_cell *cell, cJSON *root, struct df_error *err)
{
    cJSON_AddNumberToObject(root, "semantics", DF_SEMANTICS);
    cJSON_AddStringToObject(root, "role", cell->teacher_role ? "teacher" : "student");
    DF_TRY(add_data_hash(cell, add_data(cell, df_options_identity, root), root, err));
    add_networks(cell, df_options_identity, root);
    DF_TRY(add_teacher(cell, root, err));
    add_method(cell, df_options_identity, root);
    return DF_OK;
}

cJSON *df_cell_asked(const struct df_cell *cell)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "role", cell->teacher_role ? "teacher" : "student");
    add_data(cell, df_options_asked, root);
    add_networks(cell, df_options_asked, root);
    add_method(cell, df_options_asked, root);
    return root;
}

df_status df_cell_seal(struct df_cell *cell, struct df_error *err)
{
    cJSON *root = cJSON_CreateObject();
    const df_status status = fill(cell, root, err);

    if (status == DF_OK) {
        df_text_clear(&cell->json);
        df_json_canonical(root, &cell->json);
        df_hash_text(cell->id, df_hash(cell->json.data, cell->json.length));
    }
    cJSON_Delete(root);
    return status;
}

void df_cell_free(struct df_cell *cell)
{
    if (!cell)
        return;
    for (size_t i = 0; i < cell->distillers; i++)
        free(cell->distiller[i].options);
    free(cell->dataset_options);
    free(cell->detector_options);
    df_text_release(&cell->json);
    free(cell);
}
