/* The identity of a cell: its canonical JSON and that text's hash. Key order as cell.h says; of an option table stands there what has an effect
 * and is not what it was before the option existed. What a spec asks for is written by the same functions. */
#include "ablations/run/cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* "<run id>" of the teacher's cell, or "file:<hash of the checkpoint>". */
static df_status teacher_name(const struct df_cell *cell, char name[32], struct df_error *err)
{
    if (cell->teacher) {
        DF_ASSERT(cell->teacher->id[0]);
        snprintf(name, 32, "%s", cell->teacher->id);
        return DF_OK;
    }
    if (!cell->teacher_file[0])
        return df_fail(err, DF_ERR_USAGE, "'%s' needs a teacher, but there is none [add \"teacher\" to the spec]", cell->label);
    snprintf(name, 32, "file:%s", cell->teacher_hash);
    return cell->unread || cell->teacher_hash[0] ? DF_OK : df_file_hash(cell->teacher_file, name + strlen("file:"), err);
}

static void add_data(const struct df_cell *cell, options_writer *write, cJSON *root)
{
    const struct df_dataset_class *class = cell->data->class;
    const struct named kind = { .key = "kind", .name = class->name, .revision = class->revision };

    cJSON_AddItemToObject(root, "data", named_object(kind, write, class->options, cell->data->options));
    cJSON_AddItemToObject(root, "canvas", write(df_canvas_option_table, &cell->canvas));
}

/* What files hold belongs to the identity of data that are read from files. */
static df_status add_data_hash(const struct df_cell *cell, cJSON *root, struct df_error *err)
{
    char hash[51];

    if (cell->unread || !cell->data->class->from_files)
        return DF_OK;
    DF_TRY(df_data_hash(cell->data, hash, err));
    cJSON_AddStringToObject(root, "data_hash", hash);
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

    if (!cell->needs.count)
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

    if (cell->needs.count && !cell->teacher)
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
    add_data(cell, df_options_identity, root);
    DF_TRY(add_data_hash(cell, root, err));
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
    free(cell->detector_options);
    df_text_release(&cell->json);
    free(cell);
}

struct df_loader_config df_cell_loader(const struct df_cell *cell, struct df_dataset *dataset, bool skip_bad)
{
    return (struct df_loader_config){
        .dataset = dataset, .canvas = cell->canvas, .batch = 1, .seed = (uint64_t)cell->seed, .skip_bad = skip_bad
    };
}
