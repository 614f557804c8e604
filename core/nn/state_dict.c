/* State dicts of PyTorch. Older names: torchvision's own _load_from_state_dict (models/detection/retinanet.py, rpn.py,
 * ops/feature_pyramid_network.py) renames the same ones. */
#include "core/nn/state_dict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/nn/dtype.h"
#include "core/nn/safetensors.h"

#define TRACKED  ".num_batches_tracked"
#define VARIANCE ".running_var"

/* ---- names ---- */

/* "<before><number><after><rest>" is "<before><times x number>.<rest>" in files of older versions; times 0: the number is part of `before` */
static const struct {
    const char *before, *after;
    size_t times;
} renamed[] = {
    { "backbone.fpn.inner_blocks.", ".0.", 1 },     { "backbone.fpn.layer_blocks.", ".0.", 1 }, { "rpn.head.conv.", ".0.", 0 },
    { "head.classification_head.conv.", ".0.", 2 }, { "head.regression_head.conv.", ".0.", 2 },
};

/* false: the name was always what it is */
static bool older_name(const char *name, char older[128])
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        const size_t before = strlen(renamed[i].before);
        char *rest;

        if (strncmp(name, renamed[i].before, before) != 0)
            continue;
        const size_t number = strtoul(name + before, &rest, 10);

        if (rest == name + before || strncmp(rest, renamed[i].after, strlen(renamed[i].after)) != 0)
            return false;
        rest += strlen(renamed[i].after);
        if (renamed[i].times)
            snprintf(older, 128, "%s%zu.%s", renamed[i].before, renamed[i].times * number, rest);
        else
            snprintf(older, 128, "%s%s", renamed[i].before, rest);
        return renamed[i].times || number == 0;
    }
    return false;
}

/* What is read: of the first parameters those whose names begin with a prefix. */
struct part {
    struct df_parameters *parameters;
    size_t count;
    const char *prefix;
};

static bool in_part(const struct part *part, const char *name) { return strncmp(name, part->prefix, strlen(part->prefix)) == 0; }

/* The name, the older one, or what follows the prefix. */
static const cJSON *find_tensor(const struct df_safetensors *opened, const struct part *part, const char *name)
{
    const cJSON *tensor = cJSON_GetObjectItemCaseSensitive(opened->header, name);
    const size_t n = strlen(part->prefix);
    char older[128];

    if (!tensor && older_name(name, older))
        tensor = cJSON_GetObjectItemCaseSensitive(opened->header, older);
    if (!tensor && n && name[n] == '.')
        tensor = cJSON_GetObjectItemCaseSensitive(opened->header, name + n + 1);
    return tensor;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* "module.", if every tensor's name begins with it and `item` is there behind it: bytes of the prefix; 0: no such thing. */
static size_t common_prefix(const struct df_safetensors *opened, const struct df_parameter *item)
{
    const char *first = NULL;
    size_t length = 0;
    const cJSON *tensor;

    cJSON_ArrayForEach(tensor, opened->header)
    {
        if (strcmp(tensor->string, "__metadata__") == 0)
            continue;
        const size_t n = strlen(tensor->string), m = strlen(item->name);

        if (n > m && tensor->string[n - m - 1] == '.' && strcmp(tensor->string + n - m, item->name) == 0) {
            first = tensor->string;
            length = n - m;
        }
    }
    cJSON_ArrayForEach(tensor, opened->header)
    {
        if (length && strcmp(tensor->string, "__metadata__") != 0 && strncmp(tensor->string, first, length) != 0)
            length = 0;
    }
    return length;
}

/* "'backbone.', 'neck.'": what the names in the file begin with, the first few. */
static void add_beginnings(const struct df_safetensors *opened, struct df_text *out)
{
    size_t told = 0;
    const cJSON *tensor;

    cJSON_ArrayForEach(tensor, opened->header)
    {
        const int n = (int)strcspn(tensor->string, ".");
        char word[64];

        snprintf(word, sizeof word, "'%.*s%s'", n < 48 ? n : 48, tensor->string, tensor->string[n] ? "." : "");
        if (strcmp(tensor->string, "__metadata__") == 0 || strstr(df_text_get(out), word))
            continue;
        if (told++ < 6)
            df_text_addf(out, "%s%s", told > 1 ? ", " : "", word);
    }
    if (told > 6)
        df_text_add(out, ", ...");
}

static df_status prefixed(const struct df_safetensors *opened, const struct df_parameter *item, size_t prefix, struct df_error *err)
{
    const char *name = opened->header->child->string;
    const cJSON *tensor;

    cJSON_ArrayForEach(tensor, opened->header)
    {
        if (strcmp(tensor->string, "__metadata__") != 0)
            name = tensor->string;
    }
    return df_fail(
        err, DF_ERR_FORMAT,
        "'%s': every name begins with '%.*s', '%s' too [take it away: python3 -c \"import sys; from safetensors.torch import load_file, "
        "save_file; save_file({k[%zu:]: v for k, v in load_file(sys.argv[1]).items()}, sys.argv[2])\" FILE NEW.safetensors]",
        opened->path, (int)prefix, name, item->name, prefix);
}

static df_status missing(const struct df_safetensors *opened, const struct df_parameter *item, size_t others, struct df_error *err)
{
    const size_t prefix = common_prefix(opened, item);

    if (prefix)
        return prefixed(opened, item, prefix, err);

    const size_t count = (size_t)cJSON_GetArraySize(opened->header);
    const char **names = df_calloc(count + 1, sizeof *names), *near;
    cJSON *wanted = df_stored_describe(item, 0, "F32");
    struct df_text beginnings = DF_TEXT_INIT;
    char shape[128], more[64] = "", nearest[192] = "";
    const cJSON *tensor;
    size_t n = 0;

    cJSON_ArrayForEach(tensor, opened->header)
    {
        if (strcmp(tensor->string, "__metadata__") != 0)
            names[n++] = tensor->string;
    }
    near = df_nearest(item->name, names);
    if (near)
        snprintf(nearest, sizeof nearest, "; the nearest name in the file is '%.96s'", near);
    if (others)
        snprintf(more, sizeof more, ", and so are %zu more", others);
    df_stored_shape_text(cJSON_GetObjectItemCaseSensitive(wanted, "shape"), shape, sizeof shape);
    cJSON_Delete(wanted);
    free(names);
    add_beginnings(opened, &beginnings);
    df_fail(err, DF_ERR_FORMAT,
            "'%s': tensor '%s' is missing, expected with shape %s%s%s; the file's %zu names begin with %s [is it a state dict of this "
            "network?]",
            opened->path, item->name, shape, more, nearest, n, df_text_get(&beginnings));
    df_text_release(&beginnings);
    return DF_ERR_FORMAT;
}

static df_status check_names(const struct df_safetensors *opened, const struct part *part, struct df_error *err)
{
    const struct df_parameter *first = NULL;
    size_t absent = 0, wanted = 0;

    for (size_t i = 0; i < part->count; i++) {
        const struct df_parameter *item = part->parameters->items[i];

        if (!in_part(part, item->name))
            continue;
        wanted++;
        if (!find_tensor(opened, part, item->name)) {
            first = first ? first : item;
            absent++;
        }
    }
    if (!wanted)
        return df_fail(err, DF_ERR_USAGE, "'%s': no tensor of the network begins with '%s' (its first is '%s')", opened->path, part->prefix,
                       part->parameters->items[0]->name);
    return first ? missing(opened, first, absent - 1, err) : DF_OK;
}

/* Whether a tensor of the file is a parameter's, under either name. */
static bool is_known(const char *const *older, const struct part *part, const char *name)
{
    const struct df_parameters *parameters = part->parameters;

    for (size_t i = 0; i < part->count; i++)
        if (strcmp(parameters->items[i]->name, name) == 0 || (older[i] && strcmp(older[i], name) == 0))
            return true;
    return false;
}

/* The same tensor under both its names is one too many as well. */
static df_status check_extra(const struct df_safetensors *opened, const struct part *part, struct df_error *err)
{
    const struct df_parameters *parameters = part->parameters;
    const char **names = df_calloc(parameters->count + 1, sizeof *names);
    char **older = df_calloc(parameters->count + 1, sizeof *older), word[128];
    const cJSON *tensor;
    df_status status = DF_OK;

    for (size_t i = 0; i < parameters->count; i++) {
        names[i] = parameters->items[i]->name;
        if (older_name(names[i], word) && !cJSON_GetObjectItemCaseSensitive(opened->header, names[i]))
            older[i] = df_strdup(word);
    }
    cJSON_ArrayForEach(tensor, opened->header)
    {
        const char *name = tensor->string, *near;

        if (status != DF_OK || strcmp(name, "__metadata__") == 0 || ends_with(name, TRACKED) || !in_part(part, name) ||
            is_known((const char *const *)older, part, name))
            continue;
        near = df_nearest(name, names);
        if (near)
            status = df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' is not one of this network's (its nearest is '%s')", opened->path, name,
                             near);
        else
            status = df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' is not one of this network's", opened->path, name);
    }
    for (size_t i = 0; i < parameters->count; i++)
        free(older[i]);
    free(older);
    free(names);
    return status;
}

/* ---- rows ---- */

static const struct df_class_rows *rows_of(const struct df_class_choice *choice, const char *name)
{
    const struct df_class_rows *rows = choice ? choice->rows : NULL;

    for (; rows && rows->layer; rows++) {
        const size_t n = strlen(rows->layer);

        if (strncmp(name, rows->layer, n) == 0 && (strcmp(name + n, ".weight") == 0 || strcmp(name + n, ".bias") == 0))
            return rows;
    }
    return NULL;
}

/* Where row r of a parameter is in the file's tensor of `total` rows a group; SIZE_MAX: it is not. */
static size_t file_row(const struct df_class_rows *rows, const struct df_class_choice *choice, size_t total, size_t r)
{
    const size_t column = r % rows->columns, slot = r / rows->columns % (rows->lead + choice->classes);
    const size_t group = r / rows->columns / (rows->lead + choice->classes);
    int64_t from = (int64_t)slot;

    if (slot >= rows->lead) {
        from = choice->number[slot - rows->lead];
        if (from < (int64_t)rows->lead || from >= (int64_t)total)
            return SIZE_MAX;
    }
    return (group * total + (size_t)from) * rows->columns + column;
}

/* The file's rows that belong to a parameter's, whose other axes agree: index [rows], free it. NULL: as they are. */
static df_status choose_rows(const struct df_safetensors *opened, const struct df_parameter *item, const cJSON *shape,
                             const struct df_class_choice *choice, size_t **index, struct df_error *err)
{
    const struct df_class_rows *rows = choice && choice->number ? rows_of(choice, item->name) : NULL;
    const size_t count = item->kind == DF_VECTOR ? df_count(item->shape) : item->shape.n;
    size_t size[4];

    *index = NULL;
    if (!rows || cJSON_GetArraySize(shape) != (int)df_stored_shape(item, size))
        return DF_OK;

    const size_t groups = count / rows->columns / (rows->lead + choice->classes), unit = groups * rows->columns;
    const size_t found = (size_t)cJSON_GetArrayItem(shape, 0)->valuedouble, total = found / unit;

    if (!found || total * unit != found)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has %zu rows, expected a multiple of %zu (%zu for every class)", opened->path,
                       item->name, found, unit, unit);
    *index = df_malloc(count * sizeof **index);
    for (size_t r = 0; r < count; r++) {
        (*index)[r] = file_row(rows, choice, total, r);
        if ((*index)[r] == SIZE_MAX) {
            const int64_t number = choice->number[r / rows->columns % (rows->lead + choice->classes) - rows->lead];

            free(*index);
            *index = NULL;
            return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has classes %zu to %zu, but class %lld is asked for", opened->path,
                           item->name, rows->lead, total - 1, (long long)number);
        }
    }
    return DF_OK;
}

/* The file's shape is the parameter's; the first axis may differ where rows are chosen. */
static df_status check_shape(const struct df_safetensors *opened, const struct df_parameter *item, const cJSON *shape,
                             const struct df_class_choice *choice, bool chosen, struct df_error *err)
{
    char found[128], expected[128];
    cJSON *wanted = df_stored_describe(item, 0, "F32");
    cJSON *wanted_shape = cJSON_GetObjectItemCaseSensitive(wanted, "shape");

    if (chosen && cJSON_GetArraySize(shape) > 0)
        cJSON_SetNumberValue(cJSON_GetArrayItem(wanted_shape, 0), cJSON_GetArrayItem(shape, 0)->valuedouble);
    df_stored_shape_text(shape, found, sizeof found);
    df_stored_shape_text(wanted_shape, expected, sizeof expected);
    cJSON_Delete(wanted);
    if (strcmp(found, expected) == 0)
        return DF_OK;
    return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has shape %s, expected %s%s", opened->path, item->name, found, expected,
                   rows_of(choice, item->name) && !choice->number ? " [other classes? --classes id chooses them by category id]" : "");
}

/* ---- elements ---- */

/* One parameter's elements in PyTorch's order. */
static df_status take(const struct df_safetensors *opened, const struct part *part, const struct df_parameter *item,
                      const struct df_class_choice *choice, float *stored, struct df_error *err)
{
    const cJSON *tensor = find_tensor(opened, part, item->name), *shape = cJSON_GetObjectItemCaseSensitive(tensor, "shape");
    const char *dtype = cJSON_GetObjectItemCaseSensitive(tensor, "dtype")->valuestring;
    const size_t bytes = df_dtype_bytes(dtype), rows = item->kind == DF_VECTOR ? df_count(item->shape) : item->shape.n;
    const size_t row = df_count(item->shape) / rows;
    const char *data = opened->data + (size_t)cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(tensor, "data_offsets"), 0)->valuedouble;
    size_t *index;

    if (!bytes)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has dtype %s, expected F32, F64, F16 or BF16", opened->path, item->name,
                       dtype);
    DF_TRY(choose_rows(opened, item, shape, choice, &index, err));

    df_status status = check_shape(opened, item, shape, choice, index != NULL, err);

    for (size_t r = 0; r < rows && status == DF_OK; r++)
        for (size_t k = 0; k < row && status == DF_OK; k++) {
            const float value = df_dtype_value(dtype, data + ((index ? index[r] : r) * row + k) * bytes);

            if (!isfinite(value))
                status = df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' holds %g, expected numbers that float can hold", opened->path,
                                 item->name, (double)value);
            if (status == DF_OK && value < 0 && ends_with(item->name, VARIANCE))
                status = df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' holds %g, expected variances of 0 or more", opened->path,
                                 item->name, (double)value);
            stored[r * row + k] = value;
        }
    free(index);
    return status;
}

/* All of them into one vector first: nothing is written before everything fits. */
static df_status take_all(const struct df_safetensors *opened, const struct part *part, const struct df_class_choice *choice,
                          struct df_error *err)
{
    struct df_parameter **const items = part->parameters->items;
    size_t elements = 0, largest = 1;
    df_status status = DF_OK;

    for (size_t i = 0; i < part->count; i++) {
        const size_t n = df_count(items[i]->shape);

        elements += n;
        largest = n > largest ? n : largest;
    }
    float *stored = df_malloc((elements + 1) * sizeof *stored), *at = stored;
    df_real *values = df_malloc(largest * sizeof *values);

    for (size_t i = 0; i < part->count && status == DF_OK; i++)
        if (in_part(part, items[i]->name)) {
            status = take(opened, part, items[i], choice, at, err);
            at += df_count(items[i]->shape);
        }
    at = stored;
    for (size_t i = 0; i < part->count && status == DF_OK; i++) {
        const size_t n = df_count(items[i]->shape);

        if (!in_part(part, items[i]->name))
            continue;
        df_from_stored(items[i], at, values);
        df_write(part->parameters->device, items[i]->value, values, n * sizeof *values);
        at += n;
    }
    free(stored);
    free(values);
    return status;
}

/* Of the file's tensors those that nobody takes. */
static void count_taken(const struct df_safetensors *opened, const struct part *part, struct df_taken *out)
{
    size_t there = 0;
    const cJSON *tensor;

    *out = (struct df_taken){ 0 };
    for (size_t i = 0; i < part->count; i++)
        *(in_part(part, part->parameters->items[i]->name) ? &out->tensors : &out->kept) += 1;
    cJSON_ArrayForEach(tensor, opened->header)
    {
        bool taken = strcmp(tensor->string, "__metadata__") == 0 || ends_with(tensor->string, TRACKED);

        for (size_t i = 0; i < part->count && !taken; i++) {
            const char *name = part->parameters->items[i]->name;

            taken = in_part(part, name) && find_tensor(opened, part, name) == tensor;
        }
        if (!taken && there++ == 0)
            snprintf(out->first_left, sizeof out->first_left, "%s", tensor->string);
    }
    out->left = there;
}

static df_status read_part(const char *path, const struct part *part, const struct df_class_choice *choice, struct df_taken *out,
                           struct df_error *err)
{
    struct df_safetensors opened;

    DF_ASSERT(part->parameters->built);
    DF_TRY(df_safetensors_open(&opened, path, err));
    df_status status = check_names(&opened, part, err);

    if (status == DF_OK)
        status = check_extra(&opened, part, err);
    if (status == DF_OK)
        status = df_safetensors_load(&opened, err);
    if (status == DF_OK)
        status = take_all(&opened, part, choice, err);
    if (status == DF_OK)
        df_parameters_touch(part->parameters);
    if (status == DF_OK && out)
        count_taken(&opened, part, out);
    df_safetensors_close(&opened);
    return status;
}

df_status df_state_dict_read(const char *path, struct df_parameters *parameters, const struct df_class_choice *choice, struct df_error *err)
{
    return read_part(path, &(struct part){ parameters, parameters->count, "" }, choice, NULL, err);
}

df_status df_state_dict_take(const char *path, struct df_parameters *parameters, size_t count, const char *prefix, struct df_taken *out,
                             struct df_error *err)
{
    return read_part(path, &(struct part){ parameters, count, prefix }, NULL, out, err);
}

/* ---- writing ---- */

/* int64 scalar */
static void describe_tracked(cJSON *header, const char *variance, size_t begin)
{
    cJSON *tensor = cJSON_CreateObject(), *offsets = cJSON_CreateArray();
    char name[160];

    snprintf(name, sizeof name, "%.*s%s", (int)(strlen(variance) - strlen(VARIANCE)), variance, TRACKED);
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + sizeof(int64_t))));
    cJSON_AddStringToObject(tensor, "dtype", "I64");
    cJSON_AddItemToObject(tensor, "shape", cJSON_CreateArray());
    cJSON_AddItemToObject(tensor, "data_offsets", offsets);
    cJSON_AddItemToObject(header, name, tensor);
}

df_status df_state_dict_write(const char *path, const struct df_parameters *parameters, struct df_error *err)
{
    cJSON *header = cJSON_CreateObject();
    struct df_text file = DF_TEXT_INIT;
    size_t bytes = 0, largest = 1;

    DF_ASSERT(parameters->built);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(header, "__metadata__"), "format", "pt");
    for (size_t i = 0; i < parameters->count; i++) /* the widest elements first: all are aligned */
        if (ends_with(parameters->items[i]->name, VARIANCE)) {
            describe_tracked(header, parameters->items[i]->name, bytes);
            bytes += sizeof(int64_t);
        }
    const size_t floats_at = bytes;

    for (size_t i = 0; i < parameters->count; i++) {
        const size_t n = df_count(parameters->items[i]->shape);

        cJSON_AddItemToObject(header, parameters->items[i]->name, df_stored_describe(parameters->items[i], bytes, "F32"));
        bytes += n * sizeof(float);
        largest = n > largest ? n : largest;
    }
    df_safetensors_header(header, &file);
    cJSON_Delete(header);

    const size_t at = file.length;
    char *data = df_calloc(at + bytes + 1, 1);
    float *to = (float *)(void *)(data + at + floats_at);
    df_real *values = df_malloc(largest * sizeof *values);

    memcpy(data, file.data, at);
    for (size_t i = 0; i < parameters->count; i++) {
        const size_t n = df_count(parameters->items[i]->shape);

        df_read(parameters->device, values, parameters->items[i]->value, n * sizeof *values);
        df_to_stored(parameters->items[i], values, to);
        to += n;
    }
    const df_status status = df_file_write(path, data, at + bytes, err);

    free(values);
    free(data);
    df_text_release(&file);
    return status;
}
