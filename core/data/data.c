/* The owner of a spec's data. */
#include "core/data/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/hash.h"

const char *const df_split_name[DF_SPLITS] = { "train", "tune", "validation" };

struct df_data *df_data_new(const struct df_dataset_class *class, const char *base)
{
    struct df_data *data = df_calloc(1, sizeof *data);

    data->class = class;
    data->options = df_calloc(1, class->options_size);
    df_options_standard(class->options, data->options);
    data->base = df_strdup(base);
    return data;
}

df_status df_data_move(struct df_data *data, const char *base, const char *where, struct df_error *err)
{
    if (!data->class->from_files)
        return df_fail(err, DF_ERR_USAGE, "%s: has no effect, for %s are read from no files [remove it]", where, data->class->name);
    free(data->base);
    data->base = df_strdup(base);
    return DF_OK;
}

static df_status read_base(struct df_data *data, const cJSON *root, const char *file, const char *instead, struct df_error *err)
{
    const char *base = NULL;
    char where[1024];

    DF_TRY(df_json_string(root, "base", false, file, &base, err));
    if (instead)
        return df_data_move(data, instead, "--data-path", err);
    if (!base)
        return DF_OK;
    snprintf(where, sizeof where, "%s/base", file);

    char *path = df_path_join(data->base, base);
    const df_status status = df_data_move(data, path, where, err);

    free(path);
    return status;
}

df_status df_data_read(const cJSON *root, const char *file, const char *instead, struct df_data **out, struct df_error *err)
{
    static const char *const others[] = { "kind", NULL };
    const struct df_dataset_class *class;
    const cJSON *object;
    const char *kind;
    char where[1024];

    *out = NULL;
    DF_TRY(df_json_object(root, "data", true, file, &object, err));
    snprintf(where, sizeof where, "%s/data", file);
    DF_TRY(df_json_string(object, "kind", true, where, &kind, err));
    class = df_dataset_class_find(kind, err);
    if (!class)
        return df_fail_in(err, DF_ERR_USAGE, "%s/kind", where);

    char *folder = df_path_folder(file);
    struct df_data *data = df_data_new(class, folder);
    df_status status = df_options_read(class->options, object, others, where, data->options, err);

    free(folder);
    if (status == DF_OK)
        status = read_base(data, root, file, instead, err);
    if (status != DF_OK)
        df_data_free(data);
    else
        *out = data;
    return status;
}

void df_data_free(struct df_data *data)
{
    while (data) {
        struct df_data *older = data->older;

        for (int k = 0; k < DF_SPLITS; k++)
            df_dataset_close(data->split[k]);
        free(data->options);
        free(data->base);
        free(data);
        data = older;
    }
}

bool df_data_same(const struct df_data *a, const struct df_data *b)
{
    if (a->class != b->class || strcmp(a->base, b->base) != 0)
        return false;

    cJSON *one = df_options_write(a->class->options, a->options), *other = df_options_write(b->class->options, b->options);
    const bool same = cJSON_Compare(one, other, true);

    cJSON_Delete(one);
    cJSON_Delete(other);
    return same;
}

static int64_t *images_option(const struct df_data *data, enum df_split split)
{
    return (int64_t *)((char *)data->options + data->class->images[split]);
}

size_t df_data_images(const struct df_data *data, enum df_split split)
{
    return data->class->from_files ? 0 : (size_t)*images_option(data, split);
}

void df_data_resize(struct df_data *data, const int64_t images[DF_SPLITS])
{
    DF_ASSERT(!data->class->from_files);
    for (int k = 0; k < DF_SPLITS; k++) {
        DF_ASSERT(!data->split[k]);
        *images_option(data, (enum df_split)k) = images[k];
    }
}

df_status df_data_split(struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    *out = NULL;
    if (!data->split[split])
        DF_TRY(data->class->open(data, split, &data->split[split], err));
    *out = data->split[split];
    return DF_OK;
}

df_status df_data_hash(struct df_data *data, char hash[51], struct df_error *err)
{
    char text[DF_SPLITS][17];
    struct df_dataset *dataset;

    for (int k = 0; k < DF_SPLITS; k++) {
        DF_TRY(df_data_split(data, (enum df_split)k, &dataset, err));
        df_hash_text(text[k], dataset->hash);
    }
    snprintf(hash, 51, "%s-%s-%s", text[DF_TRAIN], text[DF_TUNE], text[DF_VALIDATION]);
    return DF_OK;
}
