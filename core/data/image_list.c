#include "core/data/image_list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "core/data/image_file.h"

struct list {
    struct df_dataset dataset;
    struct df_image_info *info;
    struct df_arena memory;
};

static df_status list_read(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    return df_image_read_upright(dataset->info[i].file_name, out, err);
}

static void list_close(struct df_dataset *dataset)
{
    struct list *list = (struct list *)dataset;

    free(list->info);
    df_arena_release(&list->memory);
    free(list);
}

/* No spec names it: it is opened by df_image_list_open alone. */
static const df_option no_options[] = { { 0 } };
static const struct df_dataset_class class = { .abi = DF_DATASET_ABI,
                                               .name = "images",
                                               .summary = "image files",
                                               .options = no_options,
                                               .from_files = true,
                                               .close = list_close,
                                               .read = list_read };

static df_status add_image(struct list *list, const char *path, struct df_image *scratch, struct df_error *err)
{
    DF_TRY(df_image_read_upright(path, scratch, err));
    list->info[list->dataset.size] = (struct df_image_info){ .id = (int64_t)list->dataset.size + 1,
                                                             .file_name = df_arena_strdup(&list->memory, path),
                                                             .width = scratch->width,
                                                             .height = scratch->height };
    list->dataset.size++;
    return DF_OK;
}

static df_status add_images(struct list *list, struct df_image_files files, struct df_error *err)
{
    struct df_image scratch = { 0 };
    df_status status = DF_OK;

    for (size_t i = 0; i < files.count && status == DF_OK; i++) {
        struct df_error why = { 0 };

        status = add_image(list, files.path[i], &scratch, &why);
        if (status != DF_OK && !files.skip_bad)
            df_fail(err, status, "%s", why.text);
        if (status != DF_OK && files.skip_bad) {
            df_warn("left out: %s", why.text);
            status = DF_OK;
        }
    }
    df_image_release(&scratch);
    if (status == DF_OK && list->dataset.size == 0)
        status = df_fail(err, DF_ERR_NOT_FOUND, "none of the %zu images can be read", files.count);
    return status;
}

static void copy_categories(struct list *list, const struct df_category *category, size_t categories)
{
    struct df_category *own = df_arena_alloc(&list->memory, (categories + 1) * sizeof *own);

    for (size_t k = 0; k < categories; k++)
        own[k] = (struct df_category){ .id = category[k].id, .name = df_arena_strdup(&list->memory, category[k].name) };
    list->dataset.category = own;
    list->dataset.categories = categories;
}

df_status df_image_list_open(struct df_image_files files, const struct df_category *category, size_t categories, struct df_dataset **out,
                             struct df_error *err)
{
    struct list *list = df_calloc(1, sizeof *list);

    *out = NULL;
    list->dataset.class = &class;
    df_arena_init(&list->memory, NULL, 4096);
    list->info = df_calloc(files.count + 1, sizeof *list->info);
    list->dataset.info = list->info;
    copy_categories(list, category, categories);

    const df_status status = add_images(list, files, err);

    if (status != DF_OK)
        list_close(&list->dataset);
    else
        *out = &list->dataset;
    return status;
}

static bool is_image_name(const char *name)
{
    static const char *const ends[] = { ".jpg", ".jpeg", ".png" };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (strcasecmp(dot, ends[i]) == 0)
            return true;
    return false;
}

df_status df_image_list_folder(const char *folder, char ***paths, size_t *count, struct df_error *err)
{
    char **names;
    size_t n = 0, names_count = 0;

    DF_TRY(df_folder_list(folder, &names, err));
    while (names[names_count])
        names_count++;

    char **found = df_calloc(names_count + 1, sizeof *found);

    for (size_t i = 0; i < names_count; i++)
        if (is_image_name(names[i]))
            found[n++] = df_path_join(folder, names[i]);
    df_names_free(names);
    if (n == 0) {
        df_names_free(found);
        return df_fail(err, DF_ERR_NOT_FOUND, "'%s' holds no image (expected names that end in .jpg, .jpeg or .png)", folder);
    }
    *paths = found;
    *count = n;
    return DF_OK;
}
