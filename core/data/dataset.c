/* What all datasets share: finding one by name, image buffers, export of the ground truth. */
#include "core/data/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

void df_image_release(struct df_image *image)
{
    free(image->pixels);
    *image = (struct df_image){ 0 };
}

void df_image_reserve(struct df_image *image, int width, int height, size_t extra)
{
    const size_t bytes = (size_t)width * (size_t)height * 3 + extra;

    if (bytes > image->capacity) {
        free(image->pixels);
        image->pixels = df_malloc(bytes);
        image->capacity = bytes;
    }
    image->width = width;
    image->height = height;
}

static const char *class_name(const void *table, size_t i)
{
    (void)table;
    return df_dataset_classes[i] ? df_dataset_classes[i]->name : NULL;
}

const struct df_dataset_class *df_dataset_class_find(const char *name, struct df_error *err)
{
    const size_t i = df_find_name(class_name, NULL, name, "data kind", NULL, err);

    return i == SIZE_MAX ? NULL : df_dataset_classes[i];
}

void df_dataset_close(struct df_dataset *dataset)
{
    if (dataset)
        dataset->class->close(dataset);
}

df_status df_dataset_same_categories(const struct df_dataset *a, const struct df_dataset *b, struct df_error *err)
{
    if (a->categories != b->categories)
        return df_fail(err, DF_ERR_FORMAT, "the splits have %zu and %zu categories, expected the same ones", a->categories, b->categories);
    for (size_t i = 0; i < a->categories; i++)
        if (a->category[i].id != b->category[i].id || strcmp(a->category[i].name, b->category[i].name) != 0)
            return df_fail(err, DF_ERR_FORMAT, "the splits have category %lld '%s' and %lld '%s' in the same place, expected the same ones",
                           (long long)a->category[i].id, a->category[i].name, (long long)b->category[i].id, b->category[i].name);
    return DF_OK;
}

void df_category_label(const struct df_category *category, size_t categories, size_t k, struct df_text *out)
{
    bool alone = category[k].name[0];

    for (size_t i = 0; i < categories && alone; i++)
        alone = i == k || strcmp(category[i].name, category[k].name) != 0;
    df_text_add(out, category[k].name);
    if (!alone)
        df_text_addf(out, "%s(id %lld)", category[k].name[0] ? " " : "", (long long)category[k].id);
}

/* text is UTF-8 */
static void add_json_string(struct df_text *out, const char *text)
{
    df_text_add(out, "\"");
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            df_text_add_bytes(out, "\\", 1);
        if (c < 0x20)
            df_text_addf(out, "\\u%04x", c);
        else
            df_text_add_bytes(out, text, 1);
    }
    df_text_add(out, "\"");
}

static void add_object(struct df_text *text, int64_t image_id, const struct df_object *object)
{
    char number[32];

    df_text_addf(text, "{\"id\":%lld,\"image_id\":%lld,\"category_id\":%lld,\"bbox\":[", (long long)object->id, (long long)image_id,
                 (long long)object->category_id);
    for (int k = 0; k < 4; k++)
        df_text_addf(text, "%s%s", k ? "," : "", df_format_real(number, object->bbox[k]));
    df_text_addf(text, "],\"area\":%s,\"iscrowd\":%d}", df_format_real(number, object->area), object->crowd);
}

df_status df_dataset_export_coco(const struct df_dataset *dataset, const char *path, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    bool any = false;

    df_text_add(&text, "{\"images\":[");
    for (size_t i = 0; i < dataset->size; i++) {
        const struct df_image_info *info = &dataset->info[i];

        df_text_addf(&text, "%s\n{\"id\":%lld,\"width\":%d,\"height\":%d,\"file_name\":", i ? "," : "", (long long)info->id, info->width,
                     info->height);
        add_json_string(&text, info->file_name);
        df_text_add(&text, "}");
    }
    df_text_add(&text, "],\n\"annotations\":[");
    for (size_t i = 0; i < dataset->size; i++)
        for (size_t k = 0; k < dataset->info[i].count; k++) {
            df_text_add(&text, any ? ",\n" : "\n");
            add_object(&text, dataset->info[i].id, &dataset->info[i].objects[k]);
            any = true;
        }
    df_text_add(&text, "],\n\"categories\":[");
    for (size_t c = 0; c < dataset->categories; c++) {
        df_text_addf(&text, "%s\n{\"id\":%lld,\"name\":", c ? "," : "", (long long)dataset->category[c].id);
        add_json_string(&text, dataset->category[c].name);
        df_text_add(&text, "}");
    }
    df_text_add(&text, "]}\n");
    const df_status status = df_file_write(path, df_text_get(&text), text.length, err);
    df_text_release(&text);
    return status;
}
