/* Spec files -> cells: reads every part of the JSON through the option tables of the rooms below, expands the axes, seals the cells. */
#include "ablations/spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/teacher.h"
#include "ablations/spec_keys.h"
#include "ablations/spec_source.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/device/open.h"

#define MOST_CELLS    10000
#define MOST_SEEDS    1000
#define MOST_VARIANTS 64
#define MOST_SEED     9007199254740992.0 /* integers up to here are exact in JSON */

/* What all cells of a spec share, as it is read. */
struct reader {
    struct df_spec *spec;
    const cJSON *root;     /* of the variant: its members put over the spec's */
    struct df_cell common; /* student: data, canvas, detector, network, schedule */
    struct {
        char path[DF_STRING_MAX], hash[17];
    } known[1 + DF_SPEC_TEACHERS]; /* files of students and teachers: asked for once where variants name the same ones */
    size_t knows;
    struct df_spec_variant *variant;
    int64_t seed[MOST_SEEDS];
    size_t seeds;
    const char *init_from; /* whose neck and head the method's students start with, by name; NULL: there is one teacher, or nobody's */
};

/* One key of one distiller that the spec gives several values. */
struct axis {
    size_t distiller;
    const char *key; /* an option's, or "teacher" */
    const cJSON *values;
    size_t count, at;
};
/* Those of a method. */
struct axes {
    struct axis axis[DF_SPEC_AXES_MAX];
    size_t count;
    bool together; /* all of them step at once */
};

static df_status copy_text(char *to, size_t room, const char *from, const char *where, struct df_error *err)
{
    const size_t n = strlen(from);

    if (n >= room)
        return df_fail(err, DF_ERR_USAGE, "%s: text of %zu bytes is too long (at most %zu)", where, n, room - 1);
    memcpy(to, from, n + 1);
    return DF_OK;
}

/* Data that an earlier variant has as well are that variant's. */
static struct df_data *shared_data(struct df_spec *spec, struct df_data *data)
{
    for (struct df_data *older = spec->data; older; older = older->older)
        if (df_data_same(older, data)) {
            df_data_free(data);
            return older;
        }
    data->older = spec->data;
    return spec->data = data;
}

static df_status read_canvas(const cJSON *owner, const char *file, struct df_canvas_options *out, struct df_error *err)
{
    const cJSON *canvas = NULL;
    char where[1024];

    snprintf(where, sizeof where, "%s/canvas", file);
    DF_TRY(df_json_object(owner, "canvas", false, file, &canvas, err));
    return df_options_read(df_canvas_option_table, canvas, NULL, where, out, err);
}

static df_status read_data(struct reader *r, const char *file, const char *data_path, struct df_error *err)
{
    struct df_data *data;

    DF_TRY(df_data_read(r->root, file, data_path, &data, err));
    r->common.data = shared_data(r->spec, data);
    return read_canvas(r->root, file, &r->common.canvas, err);
}

/* In place of the cell's detector, if it has one. */
static df_status read_detector(const cJSON *owner, const char *file, struct df_cell *cell, struct df_error *err)
{
    static const char *const others[] = { "kind", NULL };
    const struct df_detector_class *class;
    const cJSON *object;
    const char *kind;
    char where[1024];

    DF_TRY(df_json_object(owner, "detector", true, file, &object, err));
    snprintf(where, sizeof where, "%s/detector", file);
    DF_TRY(df_json_string(object, "kind", true, where, &kind, err));
    class = df_detector_class_find(kind, err);
    if (!class)
        return df_fail_in(err, DF_ERR_USAGE, "%s/kind", where);
    free(cell->detector_options);
    cell->detector = class;
    cell->detector_options = df_calloc(1, class->options_size);
    return df_options_read(class->options, object, others, where, cell->detector_options, err);
}

/* neck: whether the network has one; else there is no option of it to check. */
static df_status read_network(const cJSON *owner, const char *where, bool neck, struct df_network_options *out, struct df_error *err)
{
    const cJSON *object;
    char place[1024];

    DF_TRY(df_json_object(owner, "network", true, where, &object, err));
    snprintf(place, sizeof place, "%s/network", where);
    DF_TRY(df_options_read(df_network_option_table, object, NULL, place, out, err));
    if (cJSON_GetObjectItemCaseSensitive(object, "base_width") && out->widths.count && out->stem_width)
        return df_fail(err, DF_ERR_USAGE, "%s/base_width: has no effect where widths and stem_width are given [remove it]", place);
    if (!neck)
        out->fpn_stages = (struct df_list){ 1, { 2 } }; /* C2, which every body has */
    return df_network_check(out, place, err);
}

/* The spec's schedule with the owner's members put over it. */
static df_status read_schedule(const cJSON *root, const cJSON *owner, const char *file, const char *where, struct df_schedule *out,
                               struct df_error *err)
{
    const cJSON *common = NULL, *own = NULL;
    char place[1024];

    DF_TRY(df_json_object(root, "schedule", false, file, &common, err));
    DF_TRY(df_json_object(owner, "schedule", false, where, &own, err));
    snprintf(place, sizeof place, "%s/schedule", own ? where : file);

    cJSON *schedule = df_spec_merged(common, own);
    const df_status status = df_options_read(df_schedule_options, schedule, NULL, place, out, err);

    cJSON_Delete(schedule);
    return status;
}

/* What would stop a worker is told here: the detector with this network, and a batch that the training images fill. */
static df_status try_network(const struct df_cell *cell, const struct df_network_options *network, const char *where, struct df_error *err)
{
    struct df_parameters *parameters = df_parameters_new();
    struct df_detector *detector;
    const df_status status = cell->detector->create(cell->detector_options, network, 3, parameters, &detector, err);

    if (status == DF_OK)
        df_detector_free(detector);
    df_parameters_free(parameters);
    return status == DF_OK ? status : df_fail_in(err, status, "%s/network", where);
}

static df_status try_batch(const struct df_cell *cell, const char *where, struct df_error *err)
{
    const size_t images = df_data_images(cell->data, DF_TRAIN); /* 0: it is known when they are read */

    if (images == 0 || images >= (size_t)cell->schedule.batch)
        return DF_OK;
    return df_fail(err, DF_ERR_USAGE, "%s/schedule/batch: the %zu training images are less than one batch of %lld", where, images,
                   (long long)cell->schedule.batch);
}

/* "file" of an object, relative to the spec's folder; "": none. */
static df_status read_file(const struct reader *r, const cJSON *owner, const char *where, char out[DF_STRING_MAX], struct df_error *err)
{
    const char *name = NULL;

    out[0] = 0;
    DF_TRY(df_json_string(owner, "file", false, where, &name, err));
    if (!name)
        return DF_OK;

    char *folder = df_path_folder(r->spec->path), *path = df_path_join(folder, name);
    const df_status status = copy_text(out, DF_STRING_MAX, path, where, err);

    free(path);
    free(folder);
    return status;
}

/* The hash of its file, if it has one. */
static df_status know_file(struct reader *r, struct df_cell *cell, const char *where, struct df_error *err)
{
    const size_t most = sizeof r->known / sizeof *r->known;
    size_t i = 0;

    if (!cell->file[0] || cell->unread)
        return DF_OK;
    while (i < r->knows && i < most && strcmp(r->known[i].path, cell->file) != 0)
        i++;
    if (i == r->knows || i == most) {
        i = r->knows % most;

        const df_status status = df_file_hash(cell->file, r->known[i].hash, err);

        if (status != DF_OK)
            return df_fail_in(err, status, "%s/file", where);
        memcpy(r->known[i].path, cell->file, sizeof cell->file);
        r->knows++;
    }
    memcpy(cell->file_hash, r->known[i].hash, sizeof cell->file_hash);
    return DF_OK;
}

static df_status read_student(struct reader *r, const char *file, struct df_error *err)
{
    const cJSON *student;
    const char *take = "";
    char where[1024];

    snprintf(where, sizeof where, "%s/student", file);
    DF_TRY(df_json_object(r->root, "student", true, file, &student, err));
    DF_TRY(df_spec_only(DF_SPEC_STUDENT, student, where, err));
    DF_TRY(read_network(student, where, true, &r->common.network, err));
    DF_TRY(read_schedule(r->root, student, file, where, &r->common.schedule, err));
    DF_TRY(read_file(r, student, where, r->common.file, err));
    DF_TRY(df_json_string(student, "take", false, where, &take, err));
    if (*take && !r->common.file[0])
        return df_fail(err, DF_ERR_USAGE, "%s/take: has no effect without \"file\" [remove it]", where);
    DF_TRY(copy_text(r->common.take, sizeof r->common.take, take, where, err));
    DF_TRY(try_network(&r->common, &r->common.network, where, err));
    DF_TRY(try_batch(&r->common, where, err));
    return know_file(r, &r->common, where, err);
}

/* A copy of everything that cells share; what a cell owns is allocated anew. */
static struct df_cell *cell_new(const struct df_cell *common)
{
    struct df_cell *cell = df_malloc(sizeof *cell);
    const size_t bytes = common->detector->options_size;

    *cell = *common;
    cell->detector_options = memcpy(df_malloc(bytes), common->detector_options, bytes);
    return cell;
}

/* The options of a teacher that is no detector, in the object of its kind's name. */
static df_status read_kind(const cJSON *teacher, const char *where, struct df_cell *cell, struct df_error *err)
{
    const struct df_detector_class *class = cell->kind->class;
    const cJSON *object = NULL;
    char place[1024];

    DF_TRY(df_json_object(teacher, cell->kind->name, false, where, &object, err));
    snprintf(place, sizeof place, "%s/%s", where, cell->kind->name);
    free(cell->detector_options);
    cell->detector = class;
    cell->detector_options = df_calloc(1, class->options_size);
    return df_options_read(class->options, object, NULL, place, cell->detector_options, err);
}

/* Objects of other kinds, and keys of a network that stand for what a classifier has not. */
static df_status check_kind_keys(const cJSON *teacher, const struct df_teacher_kind *kind, const char *where, struct df_error *err)
{
    static const char *const of_detectors[] = { "fpn_stages", "fpn_channels", "extra", "head_convs", "head_norm", "head_width" };
    const cJSON *network = cJSON_GetObjectItemCaseSensitive(teacher, "network");

    for (size_t i = 0; df_teacher_kinds[i]; i++)
        if (df_teacher_kinds[i] != kind && cJSON_GetObjectItemCaseSensitive(teacher, df_teacher_kinds[i]->name))
            return df_fail(err, DF_ERR_USAGE, "%s/%s: has no effect, for the teacher's kind is '%s' [remove it]", where,
                           df_teacher_kinds[i]->name, kind->name);
    for (size_t i = 0; kind->class && i < sizeof of_detectors / sizeof *of_detectors; i++)
        if (cJSON_GetObjectItemCaseSensitive(network, of_detectors[i]))
            return df_fail(err, DF_ERR_USAGE, "%s/network/%s: has no effect on a %s [remove it]", where, of_detectors[i], kind->name);
    return DF_OK;
}

/* What trained and given teachers have. */
static df_status read_teacher_network(const cJSON *teacher, const char *where, struct df_cell *cell, struct df_error *err)
{
    const char *kind = "detector";

    DF_TRY(df_json_string(teacher, "kind", false, where, &kind, err));
    cell->kind = df_teacher_kind_find(kind, err);
    if (!cell->kind)
        return df_fail_in(err, err ? err->status : DF_ERR_UNSUPPORTED, "%s/kind", where);
    if (cell->kind->class)
        DF_TRY(read_kind(teacher, where, cell, err));
    else if (cJSON_GetObjectItemCaseSensitive(teacher, "detector"))
        DF_TRY(read_detector(teacher, where, cell, err));
    DF_TRY(check_kind_keys(teacher, cell->kind, where, err));
    if (cJSON_GetObjectItemCaseSensitive(teacher, "canvas"))
        DF_TRY(read_canvas(teacher, where, &cell->canvas, err));
    DF_TRY(read_network(teacher, where, !cell->kind->class, &cell->network, err));
    return try_network(cell, &cell->network, where, err);
}

/* One of several teachers of a name: that of the seeds k with k mod `of` = `at`. */
struct turn {
    const char *name;
    size_t at, of;
};

/* The teacher's "data" put over the spec's: other pictures of the same classes, which only data that are rendered promise. */
static df_status read_own_data(struct reader *r, const cJSON *teacher, const char *file, const char *where, struct df_cell *cell,
                               struct df_error *err)
{
    const cJSON *own = NULL;
    struct df_data *data;
    char place[1024];

    DF_TRY(df_json_object(teacher, "data", false, where, &own, err));
    if (!own)
        return DF_OK;
    snprintf(place, sizeof place, "%s/data", where);
    if (cell->data->class->from_files || cJSON_GetObjectItemCaseSensitive(own, "kind"))
        return df_fail(err, DF_ERR_USAGE, "%s%s: a teacher that learnt other data, whose classes may be others, is given as a \"file\"",
                       place, cell->data->class->from_files ? "" : "/kind");
    cJSON *root = cJSON_CreateObject();

    cJSON_AddItemToObject(root, "data", df_spec_merged(cJSON_GetObjectItemCaseSensitive(r->root, "data"), own));
    const df_status status = df_data_read(root, file, NULL, &data, err);

    cJSON_Delete(root);
    if (status != DF_OK)
        return df_fail_in(err, status, "%s", place);
    cell->data = shared_data(r->spec, data);
    return DF_OK;
}

static df_status read_given(struct reader *r, const cJSON *teacher, const char *where, struct df_cell *cell, struct df_error *err)
{
    int64_t classes = 0;

    DF_TRY(read_teacher_network(teacher, where, cell, err));
    DF_TRY(df_json_int(teacher, "classes", false, where, &classes, err));
    if (cJSON_GetObjectItemCaseSensitive(teacher, "classes") && (classes < 1 || classes > 100000))
        return df_fail(err, DF_ERR_USAGE, "%s/classes: %lld (expected 1..100000)", where, (long long)classes);
    cell->classes = (size_t)classes;
    return know_file(r, cell, where, err);
}

static df_status read_trained(struct reader *r, const cJSON *teacher, const char *file, const char *where, struct df_cell *cell,
                              struct df_error *err)
{
    cell->seed = 1000;
    DF_TRY(read_own_data(r, teacher, file, where, cell, err));
    DF_TRY(read_teacher_network(teacher, where, cell, err));
    DF_TRY(read_schedule(r->root, teacher, file, where, &cell->schedule, err));
    DF_TRY(try_batch(cell, where, err));
    DF_TRY(df_json_int(teacher, "seed", false, where, &cell->seed, err));
    if (cell->seed < 0)
        return df_fail(err, DF_ERR_USAGE, "%s/seed: %lld is negative (expected 0 or more)", where, (long long)cell->seed);
    return df_cell_seal(cell, err);
}

/* Of a teacher that is given nothing is trained; of one that is trained nothing is somebody else's. */
static df_status check_teacher_keys(const cJSON *teacher, bool given, const char *where, struct df_error *err)
{
    static const char *const trained_only[] = { "schedule", "seed", "data" };

    for (size_t i = 0; given && i < sizeof trained_only / sizeof *trained_only; i++)
        if (cJSON_GetObjectItemCaseSensitive(teacher, trained_only[i]))
            return df_fail(err, DF_ERR_USAGE, "%s/%s: has no effect, for the teacher's \"file\" is not trained [remove one of both]", where,
                           trained_only[i]);
    if (!given && cJSON_GetObjectItemCaseSensitive(teacher, "classes"))
        return df_fail(err, DF_ERR_USAGE, "%s/classes: has no effect without \"file\": a trained teacher has those of the data [remove it]",
                       where);
    return DF_OK;
}

static df_status read_teacher(struct reader *r, const cJSON *teacher, const struct turn *turn, const char *file, const char *where,
                              struct df_error *err)
{
    struct df_spec_teacher *one = &r->variant->teacher[r->variant->teachers];
    char path[DF_STRING_MAX];

    DF_TRY(read_file(r, teacher, where, path, err));
    DF_TRY(check_teacher_keys(teacher, path[0], where, err));
    DF_TRY(copy_text(one->name, sizeof one->name, turn->name, where, err));
    if (turn->of > 1)
        snprintf(one->which, sizeof one->which, "%s%s%zu", turn->name, turn->name[0] ? "." : "", turn->at);
    else
        snprintf(one->which, sizeof one->which, "%s", turn->name);
    one->turn = turn->at;
    one->turns = turn->of;
    one->cell = cell_new(&r->common);
    r->variant->teachers++;
    one->cell->teacher_role = true;
    memcpy(one->cell->file, path, sizeof path);
    one->cell->take[0] = one->cell->file_hash[0] = 0;
    snprintf(one->cell->label, sizeof one->cell->label, "teacher%s%s", one->which[0] ? " " : "", one->which);
    return path[0] ? read_given(r, teacher, where, one->cell, err) : read_trained(r, teacher, file, where, one->cell, err);
}

static df_status check_teacher_name(const char *name, const char *file, struct df_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    if (!*name || name[strspn(name, allowed)])
        return df_fail(err, DF_ERR_USAGE, "%s/teachers: name '%s' (expected letters, digits, '-' and '_')", file, name);
    return DF_OK;
}

static const char *const by_seed[] = { "seed",
                                       "file" }; /* of a teacher: a list of them is as many teachers, which take turns by the seed */

static df_status count_turns(const cJSON *teacher, const char *where, size_t *out, struct df_error *err)
{
    *out = 0;
    for (size_t i = 0; i < sizeof by_seed / sizeof *by_seed; i++) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(teacher, by_seed[i]), *one, *other;

        if (!cJSON_IsArray(list))
            continue;
        *out = (size_t)cJSON_GetArraySize(list);
        if (!*out)
            return df_fail(err, DF_ERR_USAGE, "%s/%s: empty (expected one or more)", where, by_seed[i]);
        cJSON_ArrayForEach(
            one, list) for (other = list->child; other != one;
                            other = other->next) if (cJSON_Compare(one, other, true)) return df_fail(err, DF_ERR_USAGE,
                                                                                                     "%s/%s: the same one stands twice",
                                                                                                     where, by_seed[i]);
    }
    *out += !*out;
    return DF_OK;
}

/* The teacher, or those of its lists. */
static df_status read_turns(struct reader *r, const cJSON *teacher, const char *name, const char *file, struct df_error *err)
{
    struct turn turn = { .name = name };
    char where[1024];
    df_status status = DF_OK;

    snprintf(where, sizeof where, "%s/teacher%s%s", file, name[0] ? "s/" : "", name);
    DF_TRY(df_spec_only(DF_SPEC_TEACHER, teacher, where, err));
    DF_TRY(count_turns(teacher, where, &turn.of, err));
    if (r->variant->teachers + turn.of > DF_SPEC_TEACHERS)
        return df_fail(err, DF_ERR_USAGE, "%s: more than %d teachers", where, DF_SPEC_TEACHERS);
    for (; turn.at < turn.of && status == DF_OK; turn.at++) {
        cJSON *one = cJSON_Duplicate(teacher, true);

        for (size_t i = 0; i < sizeof by_seed / sizeof *by_seed; i++) {
            const cJSON *list = cJSON_GetObjectItemCaseSensitive(teacher, by_seed[i]);

            if (cJSON_IsArray(list))
                cJSON_ReplaceItemInObjectCaseSensitive(one, by_seed[i], cJSON_Duplicate(cJSON_GetArrayItem(list, (int)turn.at), true));
        }
        status = read_teacher(r, one, &turn, file, where, err);
        cJSON_Delete(one);
    }
    return status;
}

static df_status read_teachers(struct reader *r, const char *file, struct df_error *err)
{
    const cJSON *only = NULL, *several = NULL, *one;
    char where[1024];

    DF_TRY(df_json_object(r->root, "teacher", false, file, &only, err));
    DF_TRY(df_json_object(r->root, "teachers", false, file, &several, err));
    if (only && several)
        return df_fail(err, DF_ERR_USAGE, "%s/teachers: stands beside \"teacher\" (expected one of both)", file);
    if (several && !several->child)
        return df_fail(err, DF_ERR_USAGE, "%s/teachers: empty (expected a teacher or more, such as {\"big\": {...}})", file);
    if (only)
        return read_turns(r, only, "", file, err);
    snprintf(where, sizeof where, "%s/teachers", file);
    cJSON_ArrayForEach(one, several)
    {
        const cJSON *teacher;

        DF_TRY(check_teacher_name(one->string, file, err));
        DF_TRY(df_json_object(several, one->string, true, where, &teacher, err));
        DF_TRY(read_turns(r, teacher, one->string, file, err));
    }
    return DF_OK;
}

static df_status add_seed(struct reader *r, int64_t seed, const char *where, struct df_error *err)
{
    if (seed < 0)
        return df_fail(err, DF_ERR_USAGE, "%s: seed %lld is negative (expected 0 or more)", where, (long long)seed);
    for (size_t i = 0; i < r->seeds; i++)
        if (r->seed[i] == seed)
            return df_fail(err, DF_ERR_USAGE, "%s: seed %lld stands twice", where, (long long)seed);
    if (r->seeds == MOST_SEEDS)
        return df_fail(err, DF_ERR_USAGE, "%s: more than %d seeds", where, MOST_SEEDS);
    r->seed[r->seeds++] = seed;
    return DF_OK;
}

/* "5" means 0..4; a text with a comma is the list itself ("7," is seed 7 alone). */
static df_status seeds_from_text(struct reader *r, const char *text, struct df_error *err)
{
    int64_t count;

    if (!strchr(text, ',')) {
        if (!df_parse_int(text, &count) || count < 1 || count > MOST_SEEDS)
            return df_fail(err, DF_ERR_USAGE, "--seeds '%s': expected how many (1..%d), or a list such as 0,3,7", text, MOST_SEEDS);
        for (int64_t i = 0; i < count; i++)
            DF_TRY(add_seed(r, i, "--seeds", err));
        return DF_OK;
    }
    while (*text) {
        char word[32];
        const size_t n = strcspn(text, ",");
        int64_t seed;

        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), text);
        if (!df_parse_int(word, &seed))
            return df_fail(err, DF_ERR_USAGE, "--seeds: '%s' is not an integer (expected a list such as 0,3,7)", word);
        DF_TRY(add_seed(r, seed, "--seeds", err));
        text += n + (text[n] == ',');
    }
    return DF_OK;
}

static df_status read_seeds(struct reader *r, const char *file, const char *override, struct df_error *err)
{
    const cJSON *array, *item;
    char where[1024];
    size_t at = 0;

    DF_TRY(df_json_array(r->root, "seeds", true, file, &array, err));
    if (override)
        return seeds_from_text(r, override, err);
    cJSON_ArrayForEach(item, array)
    {
        snprintf(where, sizeof where, "%s/seeds/%zu", file, at++);
        if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= MOST_SEED) || item->valuedouble != (double)(int64_t)item->valuedouble)
            return df_fail(err, DF_ERR_USAGE, "%s: expected an integer of at most 2^53", where);
        DF_TRY(add_seed(r, (int64_t)item->valuedouble, where, err));
    }
    return r->seeds ? DF_OK : df_fail(err, DF_ERR_USAGE, "%s/seeds: empty (expected at least one seed)", file);
}

static const char teacher_key[] = "teacher"; /* of a distiller, beside its options */

static const df_option *find_option(const df_option *table, const char *name)
{
    while (table && table->name && strcmp(table->name, name) != 0)
        table++;
    return table && table->name ? table : NULL;
}

/* An array is an axis, unless the option is itself a list: then an array of arrays is. option NULL: a key that is no option. */
static bool is_axis(const df_option *option, const cJSON *value)
{
    if (!option)
        return strcmp(value->string, teacher_key) == 0 && cJSON_IsArray(value);

    const bool list = option->type == DF_OPTION_INT_LIST || option->type == DF_OPTION_REAL_LIST;

    return cJSON_IsArray(value) && (!list || cJSON_IsArray(value->child));
}

/* No two lines of a method are the same: of an axis that multiplies no two values; of those that step together no two steps. */
static bool stands_twice(const struct axis *axis, size_t count)
{
    const cJSON *one[DF_SPEC_AXES_MAX], *other[DF_SPEC_AXES_MAX];

    for (size_t k = 0; k < count; k++)
        one[k] = axis[k].values->child;
    for (size_t i = 0; i < axis->count; i++) {
        for (size_t k = 0; k < count; k++)
            other[k] = axis[k].values->child;
        for (size_t j = 0; j < i; j++) {
            size_t same = 0;

            for (size_t k = 0; k < count; k++, other[k - 1] = other[k - 1]->next)
                same += cJSON_Compare(one[k], other[k], true) != 0;
            if (same == count)
                return true;
        }
        for (size_t k = 0; k < count; k++)
            one[k] = one[k]->next;
    }
    return false;
}

static df_status check_axes(const struct axes *axes, const char *where, struct df_error *err)
{
    const struct axis *first = axes->axis;

    for (size_t i = 0; i < axes->count; i++) {
        const struct axis *axis = &axes->axis[i];

        if (axes->together && axis->count != first->count)
            return df_fail(err, DF_ERR_USAGE,
                           "%s/distillers/%zu/%s: %zu values, but %s has %zu (\"axes\": \"together\" takes lists of one length)", where,
                           axis->distiller, axis->key, axis->count, first->key, first->count);
        if (!axes->together && stands_twice(axis, 1))
            return df_fail(err, DF_ERR_USAGE, "%s/distillers/%zu/%s: a value stands twice", where, axis->distiller, axis->key);
    }
    if (axes->together && !axes->count)
        return df_fail(err, DF_ERR_USAGE, "%s/axes: has no effect where no option is given as a list [remove it]", where);
    if (axes->together && stands_twice(first, axes->count))
        return df_fail(err, DF_ERR_USAGE, "%s/axes: the same values stand twice", where);
    return DF_OK;
}

/* "axes" of the method, and the options that are lists. */
static df_status find_axes(const cJSON *method, const cJSON *distillers, const char *where, struct axes *axes, struct df_error *err)
{
    size_t at = 0;
    const cJSON *object, *member;
    const char *how = "multiply";

    axes->count = 0;
    DF_TRY(df_json_string(method, "axes", false, where, &how, err));
    axes->together = strcmp(how, "together") == 0;
    if (!axes->together && strcmp(how, "multiply") != 0)
        return df_fail(err, DF_ERR_USAGE, "%s/axes: '%s' (expected multiply or together)", where, how);
    cJSON_ArrayForEach(object, distillers)
    {
        char place[1024];
        const char *name = NULL;

        snprintf(place, sizeof place, "%s/distillers/%zu", where, at);
        if (!cJSON_IsObject(object))
            return df_fail(err, DF_ERR_USAGE, "%s: expected an object such as {\"name\": \"defeat\"}", place);
        DF_TRY(df_json_string(object, "name", true, place, &name, err));

        const struct df_distiller_class *class = df_distiller_class_find(name, err);

        if (!class)
            return df_fail_in(err, DF_ERR_USAGE, "%s/name", place);
        cJSON_ArrayForEach(member, object)
        {
            const df_option *option = find_option(class->options, member->string);

            if (!is_axis(option, member))
                continue;
            if (!member->child)
                return df_fail(err, DF_ERR_USAGE, "%s/%s: empty list (an axis needs at least one value)", place, member->string);
            if (axes->count == DF_SPEC_AXES_MAX)
                return df_fail(err, DF_ERR_USAGE, "%s: more than %d axes in one method", where, DF_SPEC_AXES_MAX);
            axes->axis[axes->count++] = (struct axis){ at, member->string, member, (size_t)cJSON_GetArraySize(member), 0 };
        }
        at++;
    }
    return check_axes(axes, where, err);
}

/* The distillers array with every axis at its current value. */
static cJSON *at_axes(const cJSON *distillers, const struct axes *axes)
{
    cJSON *chosen = distillers ? cJSON_Duplicate(distillers, 1) : cJSON_CreateArray();

    for (size_t i = 0; i < axes->count; i++) {
        const struct axis *axis = &axes->axis[i];

        cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetArrayItem(chosen, (int)axis->distiller), axis->key,
                                               cJSON_Duplicate(cJSON_GetArrayItem(axis->values, (int)axis->at), 1));
    }
    return chosen;
}

/* "w_fg=4 w_bg=16": the options that vary; "head_kl.w_pos=1" where two distillers of the stack vary the same one. */
static void axes_text(const cJSON *chosen, const struct axis *axes, size_t count, char *out, size_t room)
{
    struct df_text text = DF_TEXT_INIT;

    for (size_t i = 0; i < count; i++) {
        const cJSON *object = cJSON_GetArrayItem(chosen, (int)axes[i].distiller);
        bool twice = false;

        for (size_t j = 0; j < count; j++)
            twice |= j != i && strcmp(axes[i].key, axes[j].key) == 0;
        df_text_add(&text, i ? " " : "");
        if (twice)
            df_text_addf(&text, "%s.", cJSON_GetObjectItemCaseSensitive(object, "name")->valuestring);
        df_text_addf(&text, "%s=", axes[i].key);

        const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, axes[i].key);

        if (cJSON_IsString(value))
            df_text_add(&text, value->valuestring);
        else
            df_json_canonical(value, &text);
    }
    snprintf(out, room, "%s", df_text_get(&text));
    df_text_release(&text);
}

static const char *name_of_teacher(const void *variant, size_t i)
{
    const struct df_spec_variant *of = variant;

    return i < of->teachers ? of->teacher[i].name : NULL;
}

/* Of the teachers of a name the one whose turn it is with this seed; NULL: nobody has that name. */
static const struct df_spec_teacher *teacher_of_seed(const struct df_spec_variant *variant, const char *name, int64_t seed)
{
    for (size_t t = 0; t < variant->teachers; t++) {
        const struct df_spec_teacher *one = &variant->teacher[t];

        if (strcmp(one->name, name) == 0 && (uint64_t)seed % one->turns == one->turn)
            return one;
    }
    return NULL;
}

/* The one that a distiller names, or the spec's only one; else NULL. */
static df_status choose_teacher(const struct reader *r, const cJSON *distiller, const char *where, int64_t seed,
                                const struct df_spec_teacher **out, struct df_error *err)
{
    const struct df_spec_variant *variant = r->variant;
    const char *name = NULL;

    *out = variant->teachers == variant->teacher[0].turns ? teacher_of_seed(variant, variant->teacher[0].name, seed) : NULL;
    DF_TRY(df_json_string(distiller, teacher_key, false, where, &name, err));
    if (!name)
        return DF_OK;
    if (!variant->teachers || !variant->teacher[0].name[0])
        return df_fail(err, DF_ERR_USAGE, "%s/teacher: has no effect without \"teachers\" in the spec [remove it, or name the teachers]",
                       where);

    const size_t i = df_find_name(name_of_teacher, variant, name, teacher_key, NULL, err);

    if (i == SIZE_MAX)
        return df_fail_in(err, DF_ERR_USAGE, "%s/teacher", where);
    *out = teacher_of_seed(variant, name, seed);
    return DF_OK;
}

static df_status no_teacher(const struct df_spec_variant *variant, const char *method, const char *where, struct df_error *err)
{
    struct df_text names = DF_TEXT_INIT;

    if (!variant->teachers)
        return df_fail(err, DF_ERR_USAGE, "%s: needs a teacher, but the spec has none [add a \"teacher\" object]", method);
    for (size_t t = 0; t < variant->teachers; t++)
        if (variant->teacher[t].turn == 0)
            df_text_addf(&names, "%s'%s'", t ? ", " : "", variant->teacher[t].name);
    df_fail(err, DF_ERR_USAGE, "%s: needs a teacher, and the spec has several [add \"teacher\": one of %s]", where, df_text_get(&names));
    df_text_release(&names);
    return DF_ERR_USAGE;
}

/* What the cell's last distiller needs of whom. object: its own, at `where` in the method. */
static df_status teach(const struct reader *r, const cJSON *object, const char *method, const char *where, struct df_cell *cell,
                       struct df_error *err)
{
    struct df_cell_distiller *distiller = &cell->distiller[cell->distillers - 1];
    const struct df_spec_teacher *teacher;
    struct df_needs needs;

    distiller->teacher = DF_NO_TEACHER;
    DF_TRY(choose_teacher(r, object, where, cell->seed, &teacher, err));
    if (df_distiller_needs(distiller->class, distiller->options, cell->detector, teacher ? teacher->cell->detector : cell->detector, &needs,
                           err) != DF_OK)
        return df_fail_in(err, DF_ERR_UNSUPPORTED, "%s", where);
    if (!needs.count && cJSON_GetObjectItemCaseSensitive(object, teacher_key))
        return df_fail(err, DF_ERR_USAGE, "%s/teacher: has no effect, for the distiller needs nothing of a teacher [remove it]", where);
    if (!needs.count)
        return DF_OK;
    if (!teacher)
        return no_teacher(r->variant, method, where, err);
    distiller->teacher = df_cell_taught_by(cell, teacher->name, teacher->cell, &needs);
    return DF_OK;
}

static df_status add_distillers(struct reader *r, const cJSON *chosen, const char *where, struct df_cell *cell, struct df_error *err)
{
    static const char *const keys[] = { "name", teacher_key, NULL };
    const cJSON *object;

    cJSON_ArrayForEach(object, chosen)
    {
        struct df_cell_distiller *distiller = &cell->distiller[cell->distillers];
        char place[1024];

        snprintf(place, sizeof place, "%s/distillers/%zu", where, cell->distillers);
        if (cell->distillers == DF_STACK_MAX)
            return df_fail(err, DF_ERR_USAGE, "%s: more than %d distillers in one method", where, DF_STACK_MAX);
        distiller->class = df_distiller_class_find(cJSON_GetObjectItemCaseSensitive(object, "name")->valuestring, err);
        distiller->options = df_calloc(1, distiller->class->options_size ? distiller->class->options_size : 1);
        cell->distillers++;
        DF_TRY(df_options_read(distiller->class->options, object, keys, place, distiller->options, err));
        DF_TRY(teach(r, object, where, place, cell, err));
    }
    return DF_OK;
}

static const char *name_of_cells_teacher(const void *cell, size_t i)
{
    const struct df_cell *of = cell;

    return i < of->teachers ? of->teacher[i].name : NULL;
}

/* Whose neck and head the student starts with. */
static df_status choose_start(const struct reader *r, const char *where, struct df_cell *cell, struct df_error *err)
{
    if (!cell->init_student)
        return DF_OK;
    if (!cell->teachers)
        return df_fail(err, DF_ERR_USAGE, "%s/init_student: has no effect without a distiller that needs a teacher [remove it]", where);
    if (!r->init_from && cell->teachers > 1)
        return df_fail(err, DF_ERR_USAGE, "%s/init_student: expected the name of one of the method's %zu teachers", where, cell->teachers);
    if (!r->init_from)
        return DF_OK;
    if (!cell->teacher[0].name[0])
        return df_fail(err, DF_ERR_USAGE, "%s/init_student: '%s', but the spec's teacher has no name (expected true or false)", where,
                       r->init_from);
    cell->init_from = df_find_name(name_of_cells_teacher, cell, r->init_from, "teacher of the method", NULL, err);
    return cell->init_from == SIZE_MAX ? df_fail_in(err, DF_ERR_USAGE, "%s/init_student", where) : DF_OK;
}

/* The first cell of the variant that each of its teachers teaches. */
static void note_first(struct df_spec_variant *variant, const struct df_cell *cell)
{
    if (cell->teachers && !variant->first)
        variant->first = cell;
    for (size_t t = 0; t < cell->teachers; t++)
        for (size_t i = 0; i < variant->teachers; i++)
            if (variant->teacher[i].cell == cell->teacher[t].cell && !variant->teacher[i].first)
                variant->teacher[i].first = cell;
}

static df_status add_line(struct reader *r, const char *label, const char *axes, const cJSON *chosen, const char *where,
                          struct df_error *err)
{
    struct df_spec *spec = r->spec;

    if (spec->count + r->seeds > MOST_CELLS)
        return df_fail(err, DF_ERR_USAGE, "%s: the spec has more than %d cells", where, MOST_CELLS);
    spec->cell = df_realloc(spec->cell, (spec->count + r->seeds) * sizeof *spec->cell);
    for (size_t i = 0; i < r->seeds; i++) {
        struct df_cell *cell = cell_new(&r->common);

        spec->cell[spec->count++] = cell;
        cell->seed = r->seed[i];
        snprintf(cell->axes, sizeof cell->axes, "%s", axes);
        DF_TRY(copy_text(cell->label, sizeof cell->label, label, where, err));
        DF_TRY(add_distillers(r, chosen, where, cell, err));
        DF_TRY(choose_start(r, where, cell, err));
        DF_TRY(df_cell_seal(cell, err));
        note_first(r->variant, cell);
    }
    spec->lines++;
    return DF_OK;
}

static bool next_axes(struct axes *axes)
{
    bool more = false;

    for (size_t i = axes->count; i-- > 0;) {
        struct axis *axis = &axes->axis[i];

        more = ++axis->at < axis->count;
        if (more && !axes->together)
            return true;
        axis->at = more ? axis->at : 0;
    }
    return more;
}

/* Whether the method's students start with a teacher's neck and head; a name says with whose. */
static df_status read_init_student(struct reader *r, const cJSON *method, const char *where, struct df_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(method, "init_student");

    if (item && !cJSON_IsBool(item) && !cJSON_IsString(item))
        return df_fail(err, DF_ERR_USAGE, "%s/init_student: expected true, false or the name of a teacher", where);
    r->init_from = cJSON_GetStringValue(item);
    r->common.init_student = cJSON_IsTrue(item) || r->init_from;
    return DF_OK;
}

/* Of the cells of one method: all that counts epochs. */
static df_status read_stretch(struct reader *r, const cJSON *method, const char *where, struct df_error *err)
{
    struct df_schedule *schedule = &r->common.schedule;
    double stretch = 1;

    DF_TRY(df_json_real(method, "stretch", false, where, &stretch, err));
    if (!(stretch >= 0.01 && stretch <= 100) || !(schedule->epochs * stretch <= 1e4))
        return df_fail(err, DF_ERR_USAGE, "%s/stretch: %g times %g epochs (expected 0.01..100 times, at most 10000 epochs)", where, stretch,
                       schedule->epochs);
    schedule->epochs *= stretch;
    for (size_t i = 0; i < schedule->decay_at.count; i++)
        schedule->decay_at.value[i] *= stretch;
    return DF_OK;
}

static df_status read_lines(struct reader *r, const cJSON *method, const char *where, struct df_error *err)
{
    const cJSON *distillers = NULL;
    const char *label;
    struct axes axes;

    if (!cJSON_IsObject(method))
        return df_fail(err, DF_ERR_USAGE, "%s: expected an object with \"label\" and \"distillers\"", where);
    DF_TRY(df_spec_only(DF_SPEC_METHODS, method, where, err));
    DF_TRY(df_json_string(method, "label", true, where, &label, err));
    DF_TRY(df_json_array(method, "distillers", false, where, &distillers, err));
    DF_TRY(read_init_student(r, method, where, err));
    DF_TRY(read_stretch(r, method, where, err));
    for (size_t i = r->variant->line * r->seeds; i < r->spec->count; i++)
        if (strcmp(r->spec->cell[i]->label, label) == 0)
            return df_fail(err, DF_ERR_USAGE, "%s/label: '%s' stands twice (labels name the lines of the table)", where, label);
    DF_TRY(find_axes(method, distillers, where, &axes, err));
    do {
        char text[256];
        cJSON *chosen = at_axes(distillers, &axes);
        const int used = snprintf(text, sizeof text, "%s%s", r->variant->label, r->variant->label[0] && axes.count ? " " : "");

        axes_text(chosen, axes.axis, axes.count, text + used, sizeof text - (size_t)used);

        const df_status status = add_line(r, label, text, chosen, where, err);

        cJSON_Delete(chosen);
        DF_TRY(status);
    } while (next_axes(&axes));
    return DF_OK;
}

static df_status read_method(struct reader *r, const cJSON *method, const char *where, struct df_error *err)
{
    const struct df_schedule schedule = r->common.schedule; /* a method may stretch it */
    const df_status status = read_lines(r, method, where, err);

    r->common.schedule = schedule;
    return status;
}

static bool teaches_a_seed(const struct df_spec_variant *variant, const char *name)
{
    bool teaches = false;

    for (size_t t = 0; t < variant->teachers; t++)
        teaches |= strcmp(variant->teacher[t].name, name) == 0 && variant->teacher[t].first;
    return teaches;
}

/* Whose turn comes with none of the seeds is not there. */
static void forget_idle(struct df_spec_variant *variant)
{
    size_t kept = 0;

    for (size_t t = 0; t < variant->teachers; t++)
        if (variant->teacher[t].first)
            variant->teacher[kept++] = variant->teacher[t];
        else
            df_cell_free(variant->teacher[t].cell);
    variant->teachers = kept;
}

static df_status check_all_teach(const struct df_spec_variant *variant, const char *file, struct df_error *err)
{
    for (size_t t = 0; t < variant->teachers; t++) {
        const struct df_spec_teacher *one = &variant->teacher[t];

        if (teaches_a_seed(variant, one->name))
            continue;
        if (one->name[0])
            return df_fail(err, DF_ERR_USAGE,
                           "%s/teachers/%s: has no effect, for no distiller is taught by it [remove it, or name it in one]", file,
                           one->name);
        return df_fail(err, DF_ERR_USAGE, "%s/teacher: has no effect, for no method needs a teacher [remove it, or add a distiller]", file);
    }
    return DF_OK;
}

static df_status read_methods(struct reader *r, const char *file, struct df_error *err)
{
    const cJSON *methods, *method;
    size_t at = 0;

    DF_TRY(df_json_array(r->root, "methods", true, file, &methods, err));
    cJSON_ArrayForEach(method, methods)
    {
        char where[1024];

        snprintf(where, sizeof where, "%s/methods/%zu", file, at++);
        DF_TRY(read_method(r, method, where, err));
    }
    r->variant->lines = r->spec->lines - r->variant->line;
    if (!r->variant->lines)
        return df_fail(err, DF_ERR_USAGE, "%s/methods: empty (expected at least one method)", file);
    DF_TRY(check_all_teach(r->variant, file, err));
    forget_idle(r->variant);
    return DF_OK;
}

/* The i-th label of the variant; the lines of a label follow each other. */
static const char *label_at(const void *table, size_t i)
{
    const struct reader *r = table;
    const char *last = NULL;

    for (size_t line = r->variant->line; line < r->spec->lines; line++) {
        const char *label = r->spec->cell[line * r->seeds]->label;

        if (last && strcmp(label, last) == 0)
            continue;
        if (i-- == 0)
            return label;
        last = label;
    }
    return NULL;
}

static df_status unknown_baseline(const struct reader *r, const char *label, const char *file, struct df_error *err)
{
    df_find_name(label_at, r, label, "label of a method", NULL, err);
    return df_fail_in(err, DF_ERR_USAGE, "%s/baseline", file);
}

static df_status read_baseline(struct reader *r, const char *file, struct df_error *err)
{
    struct df_spec *spec = r->spec;
    const char *label = NULL;

    DF_TRY(df_json_string(r->root, "baseline", false, file, &label, err));
    for (size_t line = r->variant->line; line < spec->lines; line++) {
        const struct df_cell *cell = spec->cell[line * r->seeds];

        if (label ? strcmp(cell->label, label) == 0 : cell->teachers == 0) {
            r->variant->baseline = line;
            return DF_OK;
        }
    }
    if (label)
        return unknown_baseline(r, label, file, err);
    r->variant->baseline = r->variant->line;
    return DF_OK;
}

/* Whether "w_fg=4 defeat.w_bg=16" has this name, with or without what stands before its '.'. */
static bool has_axis(const char *axes, const char *name)
{
    const size_t length = strlen(name);

    for (const char *at = axes; length && (at = strstr(at, name)); at++)
        if ((at == axes || at[-1] == ' ' || at[-1] == '.') && at[length] == '=')
            return true;
    return false;
}

static df_status read_plots(struct reader *r, const char *file, struct df_error *err)
{
    const cJSON *plots = NULL, *heat = NULL;
    char where[1024];

    DF_TRY(df_json_object(r->root, "plots", false, file, &plots, err));
    if (!plots)
        return DF_OK;
    snprintf(where, sizeof where, "%s/plots", file);
    DF_TRY(df_spec_only(DF_SPEC_PLOTS, plots, where, err));
    DF_TRY(df_json_array(plots, "heat", true, where, &heat, err));
    if (cJSON_GetArraySize(heat) != 2 || !cJSON_IsString(heat->child) || !cJSON_IsString(heat->child->next))
        return df_fail(err, DF_ERR_USAGE, "%s/heat: expected two option names, such as [\"w_fg\", \"w_bg\"]", where);
    DF_TRY(copy_text(r->spec->heat_x, sizeof r->spec->heat_x, heat->child->valuestring, where, err));
    DF_TRY(copy_text(r->spec->heat_y, sizeof r->spec->heat_y, heat->child->next->valuestring, where, err));
    for (int k = 0; k < 2; k++) {
        const char *axis = k ? r->spec->heat_y : r->spec->heat_x;
        bool found = false;

        for (size_t i = 0; i < r->spec->count; i++)
            found |= has_axis(r->spec->cell[i]->axes, axis);
        if (!found)
            return df_fail(err, DF_ERR_USAGE, "%s/heat/%d: '%s' is no axis of this spec (an axis is an option given as a list)", where, k,
                           axis);
    }
    return DF_OK;
}

static df_status read_name(struct reader *r, const char *file, struct df_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *name, *title = "";

    DF_TRY(df_json_string(r->root, "name", true, file, &name, err));
    if (!*name || name[strspn(name, allowed)])
        return df_fail(err, DF_ERR_USAGE, "%s/name: '%s' (expected letters, digits, '-' and '_': it names a folder)", file, name);
    DF_TRY(copy_text(r->spec->name, sizeof r->spec->name, name, file, err));
    DF_TRY(df_json_string(r->root, "title", false, file, &title, err));
    return copy_text(r->spec->title, sizeof r->spec->title, *title ? title : name, file, err);
}

/* One word: it stands before the axes, which are words. */
static df_status read_variant_label(struct reader *r, const char *file, struct df_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.+";
    const struct df_spec *spec = r->spec;
    const char *label = "";

    if (!cJSON_GetObjectItemCaseSensitive(r->root, "variants"))
        return DF_OK;
    DF_TRY(df_json_string(r->root, "label", true, file, &label, err));
    if (!*label || label[strspn(label, allowed)])
        return df_fail(err, DF_ERR_USAGE, "label '%s': expected one word of letters, digits and -_=.+, such as 'context=0'", label);
    for (size_t i = 0; i + 1 < spec->variants; i++)
        if (strcmp(spec->variant[i].label, label) == 0)
            return df_fail(err, DF_ERR_USAGE, "label '%s' stands twice", label);
    return copy_text(r->variant->label, sizeof r->variant->label, label, file, err);
}

/* What the spec says of it, a member of the root; said: whether it says anything. */
static df_status read_precision(const struct reader *r, const char *file, struct df_precision_options *out, bool *said,
                                struct df_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->root, df_precision_option_table->name);
    cJSON *alone = cJSON_CreateObject();

    if (item)
        cJSON_AddItemToObject(alone, item->string, cJSON_Duplicate(item, true));
    const df_status status = df_options_read(df_precision_option_table, alone, NULL, file, out, err);

    cJSON_Delete(alone);
    *said = item != NULL;
    return status;
}

/* The device's name gets the spec's precision, unless it has its own: one that the command line gives stands over the spec's. */
static df_status add_precision(struct reader *r, const char *file, bool override, struct df_error *err)
{
    char *device = r->common.device;
    struct df_precision_options own;
    bool said;

    DF_TRY(read_precision(r, file, &own, &said, err));
    if (strchr(device, '+') && !override && said && own.precision == DF_FLOAT32)
        return df_fail(err, DF_ERR_USAGE, "%s/precision: float32, but /device is '%s' [remove one of both]", file, device);
    if (strchr(device, '+') || own.precision == DF_FLOAT32)
        return DF_OK;
    if (strncmp(device, "cuda", 4) != 0) /* nobody runs the cells of an unread spec */
        return r->common.unread ? DF_OK
                                : df_fail(err, DF_ERR_UNSUPPORTED,
                                          "%s/precision: tf32 is how a GPU's tensor cores round, and device '%s' has none [choose a GPU: "
                                          "--device cuda; or float32: --set precision=float32]",
                                          file, device);

    const size_t used = strlen(device);

    return copy_text(device + used, sizeof r->common.device - used, "+tf32", file, err);
}

static df_status read_device(struct reader *r, const char *file, const char *override, struct df_error *err)
{
    const char *device = "cpu";

    r->common.threads = 1;
    DF_TRY(df_json_string(r->root, "device", false, file, &device, err));
    DF_TRY(copy_text(r->common.device, sizeof r->common.device, override ? override : device, file, err));
    DF_TRY(add_precision(r, file, override, err));
    DF_TRY(df_json_int(r->root, "threads", false, file, &r->common.threads, err));
    const df_status found = df_device_check(r->common.device, err);

    if (found != DF_OK)
        return override ? found : df_fail_in(err, found, "%s/device", file);
    if (r->common.threads < 1 || r->common.threads > 256)
        return df_fail(err, DF_ERR_USAGE, "%s/threads: %lld (expected 1..256)", file, (long long)r->common.threads);
    return DF_OK;
}

static void forget_common(struct reader *r)
{
    free(r->common.detector_options);
    r->common = (struct df_cell){ .threads = r->common.threads };
}

/* The lines of one variant; r->root holds all of its members. */
static df_status read_variant(struct reader *r, const char *file, const struct df_spec_overrides *overrides, struct df_error *err)
{
    struct df_spec *spec = r->spec;

    spec->variant = df_realloc(spec->variant, (spec->variants + 1) * sizeof *spec->variant);
    r->variant = &spec->variant[spec->variants++];
    *r->variant = (struct df_spec_variant){ .line = spec->lines };
    forget_common(r);
    snprintf(r->common.spec, sizeof r->common.spec, "%s", spec->name);
    r->common.unread = overrides && overrides->unread;
    DF_TRY(read_variant_label(r, file, err));
    DF_TRY(read_device(r, file, overrides ? overrides->device : NULL, err));
    DF_TRY(read_data(r, file, overrides ? overrides->data_path : NULL, err));
    DF_TRY(read_detector(r->root, file, &r->common, err));
    DF_TRY(read_student(r, file, err));
    DF_TRY(read_teachers(r, file, err));
    DF_TRY(read_methods(r, file, err));
    return read_baseline(r, file, err);
}

/* The spec itself, or once per variant with the variant's members over its own. */
static df_status read_variants(struct reader *r, const char *file, const struct df_spec_overrides *overrides, struct df_error *err)
{
    const cJSON *root = r->root, *variants = NULL, *variant;
    char where[1024];
    size_t at = 0;

    DF_TRY(df_json_array(root, "variants", false, file, &variants, err));
    if (!variants)
        return read_variant(r, file, overrides, err);
    if (cJSON_GetArraySize(variants) < 1 || cJSON_GetArraySize(variants) > MOST_VARIANTS)
        return df_fail(err, DF_ERR_USAGE, "%s/variants: %d of them (expected 1 to %d)", file, cJSON_GetArraySize(variants), MOST_VARIANTS);
    cJSON_ArrayForEach(variant, variants)
    {
        snprintf(where, sizeof where, "%s/variants/%zu", file, at++);
        if (!cJSON_IsObject(variant))
            return df_fail(err, DF_ERR_USAGE, "%s: expected an object with a \"label\"", where);
        DF_TRY(df_spec_only(DF_SPEC_VARIANTS, variant, where, err));

        cJSON *whole = df_spec_merged(root, variant);

        r->root = whole;
        const df_status status = read_variant(r, file, overrides, err);

        r->root = root;
        cJSON_Delete(whole);
        if (status != DF_OK)
            return df_fail_in(err, status, "%s", where);
    }
    return DF_OK;
}

/* Shared objects, relative to the spec's folder; loaded before any distiller is looked for. */
static df_status read_plugins(struct reader *r, const char *file, struct df_error *err)
{
    const struct df_distiller_class *class;
    const cJSON *plugins = NULL, *plugin;
    char *folder = df_path_folder(file);
    df_status status = df_json_array(r->root, "plugins", false, file, &plugins, err);
    size_t at = 0;

    cJSON_ArrayForEach(plugin, plugins)
    {
        const char *name = cJSON_GetStringValue(plugin);
        char *path = name ? df_path_join(folder, name) : NULL;

        if (status == DF_OK && !path)
            status = df_fail(err, DF_ERR_USAGE, "expected the path of a shared object");
        else if (status == DF_OK)
            status = df_distiller_load_plugin(path, &class, err);
        free(path);
        if (status != DF_OK) {
            df_fail_in(err, status, "%s: /plugins/%zu", file, at);
            break;
        }
        at++;
    }
    free(folder);
    return status;
}

static df_status read_all(struct reader *r, const char *path, const struct df_spec_overrides *overrides, struct df_error *err)
{
    char file[1024];

    snprintf(file, sizeof file, "%s", path);
    DF_TRY(df_spec_only(DF_SPEC_ROOT, r->root, file, err));
    DF_TRY(read_name(r, file, err));
    DF_TRY(read_plugins(r, file, err));
    DF_TRY(read_seeds(r, file, overrides ? overrides->seeds : NULL, err));
    r->spec->seeds = r->seeds;
    DF_TRY(read_variants(r, file, overrides, err));
    return read_plots(r, file, err);
}

/* A fault may stand in a file that the named one extends. */
static void say_from(const struct df_text *from, struct df_error *err)
{
    const size_t used = err ? strlen(err->text) : 0;

    if (err && from->length)
        snprintf(err->text + used, sizeof err->text - used, " (the spec %s)", from->data);
}

df_status df_spec_read(const char *path, const struct df_spec_overrides *overrides, struct df_spec **out, struct df_error *err)
{
    struct reader *r = df_calloc(1, sizeof *r);
    struct df_text from = DF_TEXT_INIT;

    *out = NULL;
    r->spec = df_calloc(1, sizeof *r->spec);

    df_status status = df_spec_source_read(path, overrides ? overrides->set : NULL, &r->spec->source, &from, err);

    if (status == DF_OK)
        status = copy_text(r->spec->path, sizeof r->spec->path, path, path, err);
    if (status == DF_OK) {
        r->root = r->spec->source;
        status = read_all(r, path, overrides, err);
        if (status != DF_OK)
            say_from(&from, err);
    }
    df_text_release(&from);
    forget_common(r);
    if (status == DF_OK)
        *out = r->spec;
    else
        df_spec_free(r->spec);
    free(r);
    return status;
}

const struct df_spec_variant *df_spec_variant_of(const struct df_spec *spec, size_t cell)
{
    size_t v = 0;

    while (cell / spec->seeds >= spec->variant[v].line + spec->variant[v].lines)
        v++;
    return &spec->variant[v];
}

df_status df_spec_variant_find(const struct df_spec *spec, const char *label, const struct df_spec_variant **out, struct df_error *err)
{
    struct df_text labels = DF_TEXT_INIT;

    *out = NULL;
    for (size_t v = 0; v < spec->variants; v++) {
        if (strcmp(spec->variant[v].label, label) == 0 || (!label[0] && spec->variants == 1))
            *out = &spec->variant[v];
        df_text_addf(&labels, "%s%s", v ? ", " : "", spec->variant[v].label);
    }
    if (!*out)
        df_fail(err, DF_ERR_USAGE, "--variant '%s': %s%s", label, df_text_get(&labels)[0] ? "expected one of " : "the spec has none",
                df_text_get(&labels));
    df_text_release(&labels);
    return *out ? DF_OK : DF_ERR_USAGE;
}

void df_spec_free(struct df_spec *spec)
{
    if (!spec)
        return;
    for (size_t i = 0; i < spec->count; i++)
        df_cell_free(spec->cell[i]);
    for (size_t v = 0; v < spec->variants; v++)
        for (size_t t = 0; t < spec->variant[v].teachers; t++)
            df_cell_free(spec->variant[v].teacher[t].cell);
    free(spec->variant);
    free(spec->cell);
    df_data_free(spec->data);
    cJSON_Delete(spec->source);
    free(spec);
}
