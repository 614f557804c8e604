/* Made-up data: noise with boxes of any size and number of classes. Nothing can be learnt from them; clocks and counts ask for no more. The
 * defaults are an image of COCO 2017: 640x480 pixels, 80 classes, 7 objects. Splits are ranges of the index, as of scenes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/data/data.h"

struct synthetic_options {
    int64_t width, height, classes, objects, train, tune, validation;
};
#define O struct synthetic_options
static const df_option synthetic_options[] = {
    { "width", DF_INT_OPTION(O, width), .standard = 640, .min = 16, .max = 8192, .help = "of an image, pixels" },
    { "height", DF_INT_OPTION(O, height), .standard = 480, .min = 16, .max = 8192, .help = "of an image, pixels" },
    { "classes", DF_INT_OPTION(O, classes), .standard = 80, .min = 1, .max = 1e5, .help = "how many; objects take them in turn" },
    { "objects", DF_INT_OPTION(O, objects), .standard = 7, .max = 1000, .help = "in every image" },
    { "train", DF_INT_OPTION(O, train), .standard = 128, .min = 1, .max = 1e7, .help = "training images" },
    { "tune", DF_INT_OPTION(O, tune), .standard = 16, .min = 1, .max = 1e7, .help = "tuning images" },
    { "validation", DF_INT_OPTION(O, validation), .standard = 16, .min = 1, .max = 1e7, .help = "validation images" },
    { 0 },
};
#undef O

struct synthetic {
    struct df_dataset dataset;
    uint64_t first; /* index of image 0 */
    struct df_arena memory;
};

/* A box of 5 to 60 % of either side, anywhere in the image. */
static void make_object(const struct synthetic_options *o, struct df_rng *rng, struct df_object *object)
{
    const double w = (double)o->width * df_rng_range(rng, 0.05, 0.6), h = (double)o->height * df_rng_range(rng, 0.05, 0.6);

    object->bbox[0] = df_rng_range(rng, 0, (double)o->width - w);
    object->bbox[1] = df_rng_range(rng, 0, (double)o->height - h);
    object->bbox[2] = w;
    object->bbox[3] = h;
    object->area = w * h;
}

static void make_images(struct synthetic *s, const struct synthetic_options *o)
{
    struct df_image_info *info = df_arena_alloc(&s->memory, s->dataset.size * sizeof *info);
    const size_t count = (size_t)o->objects;
    size_t made = 0;

    for (size_t i = 0; i < s->dataset.size; i++) {
        struct df_object *objects = df_arena_alloc(&s->memory, (count + 1) * sizeof *objects);
        struct df_rng rng;

        df_rng_init(&rng, 0, DF_RNG_SCENE, s->first + i);
        memset(objects, 0, (count + 1) * sizeof *objects);
        for (size_t k = 0; k < count; k++, made++) {
            make_object(o, &rng, &objects[k]);
            objects[k].id = (int64_t)made + 1;
            objects[k].label = (int32_t)(made % s->dataset.categories);
            objects[k].category_id = objects[k].label + 1;
        }
        info[i] = (struct df_image_info){ (int64_t)(s->first + i + 1), "", (int)o->width, (int)o->height, count, objects };
    }
    s->dataset.info = info;
}

static void make_categories(struct synthetic *s, size_t classes)
{
    struct df_category *category = df_arena_alloc(&s->memory, classes * sizeof *category);

    for (size_t k = 0; k < classes; k++) {
        char *name = df_arena_alloc(&s->memory, 24);

        snprintf(name, 24, "class %zu", k + 1);
        category[k] = (struct df_category){ (int64_t)k + 1, name };
    }
    s->dataset.categories = classes;
    s->dataset.category = category;
}

/* Of what decides this split: the other splits' sizes count only by where this one begins. */
static uint64_t hash_of(const struct synthetic_options *options, uint64_t first, uint64_t size)
{
    struct synthetic_options o = *options;
    struct df_text text = DF_TEXT_INIT;

    o.train = o.tune = o.validation = 1;
    cJSON *json = df_options_identity(synthetic_options, &o);

    df_text_addf(&text, "synthetic %llu %llu ", (unsigned long long)first, (unsigned long long)size);
    df_json_canonical(json, &text);
    const uint64_t hash = df_hash(df_text_get(&text), text.length);
    cJSON_Delete(json);
    df_text_release(&text);
    return hash;
}

static void synthetic_close(struct df_dataset *dataset)
{
    struct synthetic *s = (struct synthetic *)dataset;

    df_arena_release(&s->memory);
    free(s);
}

static df_status synthetic_open(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    const struct synthetic_options *o = data->options;
    const int64_t sizes[DF_SPLITS] = { o->train, o->tune, o->validation };
    struct synthetic *s = df_calloc(1, sizeof *s);

    (void)err;
    for (int k = 0; k < (int)split; k++)
        s->first += (uint64_t)sizes[k];
    s->dataset.class = data->class;
    s->dataset.size = (size_t)sizes[split];
    s->dataset.hash = hash_of(o, s->first, s->dataset.size);
    df_arena_init(&s->memory, NULL, 1 << 16);
    make_categories(s, (size_t)o->classes);
    make_images(s, o);
    *out = &s->dataset;
    return DF_OK;
}

/* Independent bytes, by the image's id: four of every word that is drawn. */
static df_status synthetic_read(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    const struct df_image_info *info = &dataset->info[i];
    const size_t bytes = (size_t)info->width * (size_t)info->height * 3;
    struct df_rng rng;

    (void)err;
    df_image_reserve(out, info->width, info->height, 0);
    df_rng_init(&rng, 1, DF_RNG_SCENE, (uint64_t)info->id);
    for (size_t at = 0; at < bytes; at += 4) {
        const uint32_t word = df_rng_u32(&rng);

        for (size_t k = at; k < at + 4 && k < bytes; k++)
            out->pixels[k] = (uint8_t)(word >> 8 * (k - at));
    }
    return DF_OK;
}

const struct df_dataset_class df_dataset_synthetic = {
    .abi = DF_DATASET_ABI,
    .name = "synthetic",
    .summary = "noise with boxes, of any size and number of classes: for clocks, nothing can be learnt from it",
    .options = synthetic_options,
    .options_size = sizeof(struct synthetic_options),
    .images = { offsetof(struct synthetic_options, train), offsetof(struct synthetic_options, tune),
                offsetof(struct synthetic_options, validation) },
    .open = synthetic_open,
    .close = synthetic_close,
    .read = synthetic_read,
};
