/* The identity of a cell: its canonical JSON and that text's hash. Key order as cell.h says; of an option table stands there what has an effect
 * and is not what it was before the option existed. What a spec asks for is written by the same functions. */
#include "ablations/run/cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/device/open.h"

const df_option df_precision_option_table[] = {
    { "precision", DF_CHOICE_OPTION(struct df_precision_options, precision), .choices = "float32|tf32", .absent = "float32",
      .help =
          "of convolutions and matrix products; tf32: a GPU's tensor cores round their factors to 10 bits; --device cuda+tf32 says both" },
    { 0 },
};

typedef cJSON *options_writer(const df_option *table, const void *values);

struct named {
    const char *key, *name, *plugin; /* plugin: NULL unless it is one */
    const char *teacher;             /* NULL: it goes without saying */
    int revision;
};

/* Moves the members of an object, which is freed, to another. */
static void take_members(cJSON *from, cJSON *to)
{
    while (from && from->child) {
        cJSON *item = cJSON_DetachItemViaPointer(from, from->child);

        cJSON_AddItemToObject(to, item->string, item);
    }
    cJSON_Delete(from);
}

/* {"<key>":"<name>", "revision":2, "plugin":"<hash>", "teacher":"<name>", ...options...} */
static cJSON *named_object(struct named what, options_writer *write, const df_option *table, const void *values)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, what.key, what.name);
    if (what.revision > 1)
        cJSON_AddNumberToObject(object, "revision", what.revision);
    if (what.plugin)
        cJSON_AddStringToObject(object, "plugin", what.plugin);
    if (what.teacher)
        cJSON_AddStringToObject(object, "teacher", what.teacher);
    take_members(table ? write(table, values) : NULL, object);
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
static df_status add_teacher_name(const struct df_cell *cell, const struct df_cell *teacher, cJSON *owner, struct df_error *err)
{
    char name[32], hash[17];

    if (teacher->file[0]) {
        DF_TRY(hash_of_file(teacher, cell->unread, hash, err));
        snprintf(name, sizeof name, "file:%s", hash);
    } else {
        DF_ASSERT(teacher->id[0]);
        snprintf(name, sizeof name, "%s", teacher->id);
    }
    cJSON_AddStringToObject(owner, "teacher", name);
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
static void add_other(cJSON *owner, const char *key, cJSON *theirs, const cJSON *own)
{
    if (cJSON_Compare(theirs, own, true))
        cJSON_Delete(theirs);
    else
        cJSON_AddItemToObject(owner, key, theirs);
}

/* A teacher that was not trained for this has no cell that says what it is. root: of the student. */
static void add_given_teacher(const struct df_cell *teacher, options_writer *write, const cJSON *root, cJSON *owner)
{
    if (!teacher->file[0])
        return;
    cJSON_AddItemToObject(owner, "teacher_network", write(df_network_option_table, &teacher->network));
    add_other(owner, "teacher_detector", detector_object(teacher, write), cJSON_GetObjectItemCaseSensitive(root, "detector"));
    add_other(owner, "teacher_canvas", write(df_canvas_option_table, &teacher->canvas), cJSON_GetObjectItemCaseSensitive(root, "canvas"));
    if (teacher->classes)
        cJSON_AddNumberToObject(owner, "teacher_classes", (double)teacher->classes);
}

/* In the order in which the distillers ask for them, whatever the spec's is. named: with ids and hashes. */
static df_status add_teachers(const struct df_cell *cell, options_writer *write, bool named, cJSON *root, struct df_error *err)
{
    cJSON *all = cell->teachers > 1 ? cJSON_AddObjectToObject(root, "teachers") : NULL;

    for (size_t t = 0; t < cell->teachers; t++) {
        const struct df_cell_teacher *one = &cell->teacher[t];
        cJSON *owner = all ? cJSON_AddObjectToObject(all, one->name) : root;

        if (named)
            DF_TRY(add_teacher_name(cell, one->cell, owner, err));
        add_given_teacher(one->cell, write, root, owner);
    }
    return DF_OK;
}

static void add_init_student(const struct df_cell *cell, cJSON *root)
{
    if (cell->init_student && cell->teachers > 1)
        cJSON_AddStringToObject(root, "init_student", cell->teacher[cell->init_from].name);
    else if (cell->init_student)
        cJSON_AddTrueToObject(root, "init_student");
}

static cJSON *distiller_object(const struct df_cell *cell, const struct df_cell_distiller *distiller, options_writer *write)
{
    const struct df_distiller_class *class = distiller->class;
    const char *teacher = cell->teachers > 1 && distiller->teacher != DF_NO_TEACHER ? cell->teacher[distiller->teacher].name : NULL;
    const struct named name = { "name", class->name, df_distiller_plugin_hash(class), teacher, class->revision };

    return named_object(name, write, class->options, distiller->options);
}

/* The rest; of the device nothing that depends on the machine. */
static void add_method(const struct df_cell *cell, options_writer *write, cJSON *root)
{
    const struct df_precision_options precision = { strchr(cell->device, '+') ? DF_TF32 : DF_FLOAT32 };
    struct df_device_identity device = df_device_identity(cell->device);

    device.kind[strcspn(device.kind, "+")] = 0;
    add_init_student(cell, root);

    cJSON *distillers = cJSON_AddArrayToObject(root, "distillers");

    for (size_t i = 0; i < cell->distillers; i++)
        cJSON_AddItemToArray(distillers, distiller_object(cell, &cell->distiller[i], write));
    cJSON_AddNumberToObject(root, "seed", (double)cell->seed);
    cJSON_AddStringToObject(root, "device", device.kind);
    take_members(write(df_precision_option_table, &precision), root);
}

static df_status write_identity(struct df_cell *cell, cJSON *root, struct df_error *err)
{
    cJSON_AddNumberToObject(root, "semantics", DF_SEMANTICS);
    cJSON_AddStringToObject(root, "role", cell->teacher_role ? "teacher" : "student");
    add_data(cell, df_options_identity, root);
    DF_TRY(add_data_hash(cell, root, err));
    add_networks(cell, df_options_identity, root);
    DF_TRY(add_start(cell, root, err));
    DF_TRY(add_teachers(cell, df_options_identity, true, root, err));
    add_method(cell, df_options_identity, root);
    return DF_OK;
}

size_t df_cell_taught_by(struct df_cell *cell, const char *name, struct df_cell *teacher, const struct df_needs *needs)
{
    size_t t = 0;

    while (t < cell->teachers && cell->teacher[t].cell != teacher)
        t++;
    DF_ASSERT(t < DF_STACK_MAX);
    if (t == cell->teachers) {
        cell->teacher[t] = (struct df_cell_teacher){ .cell = teacher };
        snprintf(cell->teacher[t].name, sizeof cell->teacher[t].name, "%s", name);
        cell->teachers++;
    }
    df_needs_add_all(&cell->teacher[t].needs, needs);
    return t;
}

struct df_needs df_cell_needs(const struct df_cell *cell)
{
    struct df_needs all = { 0 };

    for (size_t t = 0; t < cell->teachers; t++)
        df_needs_add_all(&all, &cell->teacher[t].needs);
    return all;
}

cJSON *df_cell_asked(const struct df_cell *cell)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "role", cell->teacher_role ? "teacher" : "student");
    add_data(cell, df_options_asked, root);
    add_networks(cell, df_options_asked, root);
    (void)add_teachers(cell, df_options_asked, false, root, NULL);
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
        .dataset = dataset, .canvas = cell->canvas, .batch = 1, .seed = (uint64_t)cell->seed, .packed = true, .skip_bad = skip_bad
    };
}
