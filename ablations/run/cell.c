/* The identity of a cell: its canonical JSON and that text's hash. Key order as cell.h says; of an option table stands there what has an effect
 * and is not what it was before the option existed. What a spec asks for is written by the same functions. */
#include "ablations/run/cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/device/open.h"

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

/* Of the bytes of its file; "" where files are not looked at. */
static df_status hash_of_file(const struct df_cell *cell, bool unread, char hash[17], struct df_error *err)
{
    memcpy(hash, cell->file_hash, sizeof cell->file_hash);
    return unread || hash[0] ? DF_OK : df_file_hash(cell->file, hash, err);
}

static df_status add_start(const struct df_cell *cell, cJSON *root, struct df_error *err)
{
    char hash[17];

    if (cell->teacher_role || !cell->file[0])
        return DF_OK;
    DF_TRY(hash_of_file(cell, cell->unread, hash, err));

    cJSON *start = cJSON_AddObjectToObject(root, "start");

    cJSON_AddStringToObject(start, "file", hash);
    cJSON_AddStringToObject(start, "take", cell->take);
    return DF_OK;
}

/* "<run id>" of the teacher's cell, or "file:<hash of the checkpoint>". */
static df_status teacher_name(const struct df_cell *cell, char name[32], struct df_error *err)
{
    const struct df_cell *teacher = cell->teacher;
    char hash[17];

    if (!teacher)
        return df_fail(err, DF_ERR_USAGE, "'%s' needs a teacher, but there is none [add \"teacher\" to the spec]", cell->label);
    if (!teacher->file[0]) {
        DF_ASSERT(teacher->id[0]);
        snprintf(name, 32, "%s", teacher->id);
        return DF_OK;
    }
    DF_TRY(hash_of_file(teacher, cell->unread, hash, err));
    snprintf(name, 32, "file:%s", hash);
    return DF_OK;
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

static cJSON *detector_object(const struct df_cell *cell, options_writer *write)
{
    const struct named kind = { .key = "kind", .name = cell->detector->name, .revision = cell->detector->revision };

    return named_object(kind, write, cell->detector->options, cell->detector_options);
}

static void add_networks(const struct df_cell *cell, options_writer *write, cJSON *root)
{
    cJSON_AddItemToObject(root, "detector", detector_object(cell, write));
    cJSON_AddItemToObject(root, "network", write(df_network_option_table, &cell->network));
    cJSON_AddItemToObject(root, "schedule", write(df_schedule_options, &cell->schedule));
}

/* Where it is not what the student has. */
static void add_other(cJSON *root, const char *key, cJSON *theirs, const char *own)
{
    if (cJSON_Compare(theirs, cJSON_GetObjectItemCaseSensitive(root, own), true))
        cJSON_Delete(theirs);
    else
        cJSON_AddItemToObject(root, key, theirs);
}

/* A teacher that was not trained for this has no cell that says what it is. */
static void add_given_teacher(const struct df_cell *teacher, options_writer *write, cJSON *root)
{
    cJSON_AddItemToObject(root, "teacher_network", write(df_network_option_table, &teacher->network));
    add_other(root, "teacher_detector", detector_object(teacher, write), "detector");
    add_other(root, "teacher_canvas", write(df_canvas_option_table, &teacher->canvas), "canvas");
    if (teacher->classes)
        cJSON_AddNumberToObject(root, "teacher_classes", (double)teacher->classes);
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

    if (cell->needs.count && cell->teacher && cell->teacher->file[0])
        add_given_teacher(cell->teacher, write, root);
    if (cell->init_student)
        cJSON_AddTrueToObject(root, "init_student");

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

static df_status write_identity(struct df_cell *cell, cJSON *root, struct df_error *err)
{
    cJSON_AddNumberToObject(root, "semantics", DF_SEMANTICS);
    cJSON_AddStringToObject(root, "role", cell->teacher_role ? "teacher" : "student");
    add_data(cell, df_options_identity, root);
    DF_TRY(add_data_hash(cell, root, err));
    add_networks(cell, df_options_identity, root);
    DF_TRY(add_start(cell, root, err));
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
    const df_status status = write_identity(cell, root, err);

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
