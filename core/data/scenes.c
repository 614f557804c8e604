/* The embedded benchmark: scenes rendered from (options, index) alone. Splits are ranges of the index: training images first, then tuning,
 * then validation, so that they never share an image. Layouts are drawn when a split is opened, pictures when they are read.
 * 8 classes, 8 unlabelled distractor shapes, 8 background families; with probability `context` an object's class is the background's. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/data/data.h"
#include "core/data/scene.h"

#define MARK_MARGIN 2 /* pixels between the mark and the borders */

#define RECIPE_VERSION 1 /* raised whenever pictures or boxes change, and DF_SEMANTICS with it: cells have only the options */

static const df_option scenes_options[] = {
    { "image_size", DF_INT_OPTION(struct df_scene_options, image_size), .standard = 96, .min = 32, .max = 1024,
      .help = "width and height of an image, pixels" },
    { "train", DF_INT_OPTION(struct df_scene_options, train), .standard = 2000, .min = 1, .max = 1e7, .help = "training images" },
    { "tune", DF_INT_OPTION(struct df_scene_options, tune), .standard = 500, .min = 1, .max = 1e7,
      .help = "tuning images, for choosing weights and for learning curves" },
    { "validation", DF_INT_OPTION(struct df_scene_options, validation), .standard = 1000, .min = 1, .max = 1e7,
      .help = "validation images, for the final numbers" },
    { "seed", DF_INT_OPTION(struct df_scene_options, seed), .standard = 1, .max = 9e15,
      .help = "of the pictures; another seed is another data set" },
    { "context", DF_REAL_OPTION(struct df_scene_options, context), .standard = 0.5, .max = 1,
      .help = "probability that an object's class goes with the background" },
    { "objects_max", DF_INT_OPTION(struct df_scene_options, objects_max), .standard = 4, .min = 1, .max = DF_SCENE_OBJECTS,
      .help = "most objects in an image; the least is 1" },
    { "distractors", DF_INT_OPTION(struct df_scene_options, distractors), .standard = 1, .max = DF_SCENE_OBJECTS,
      .help = "most unlabelled shapes of other kinds" },
    { "clutter", DF_INT_OPTION(struct df_scene_options, clutter), .standard = 3, .max = 32, .help = "most small bits in the background" },
    { "radius_min", DF_REAL_OPTION(struct df_scene_options, radius_min), .standard = 9, .min = 3, .max = 512,
      .help = "smallest object radius, pixels (log-uniform)" },
    { "radius_max", DF_REAL_OPTION(struct df_scene_options, radius_max), .standard = 26, .min = 3, .max = 512,
      .help = "largest object radius, pixels" },
    { "anisotropy", DF_REAL_OPTION(struct df_scene_options, anisotropy), .standard = 0.2, .max = 1,
      .help = "largest |log| of an object's aspect ratio" },
    { "overlap", DF_REAL_OPTION(struct df_scene_options, overlap), .standard = 0.12, .max = 1,
      .help = "largest overlap (IoU) of two objects' squares" },
    { "contrast_min", DF_REAL_OPTION(struct df_scene_options, contrast_min), .standard = 0.35, .max = 1,
      .help = "smallest contrast of an object with its ground" },
    { "contrast_max", DF_REAL_OPTION(struct df_scene_options, contrast_max), .standard = 0.65, .max = 1, .help = "largest contrast" },
    { "texture", DF_REAL_OPTION(struct df_scene_options, texture), .standard = 0.05, .max = 1,
      .help = "contrast of an object's texture (standard deviation)" },
    { "occluder", DF_REAL_OPTION(struct df_scene_options, occluder), .standard = 0.1, .max = 1,
      .help = "probability that something covers part of a shape's rim" },
    { "background_min", DF_REAL_OPTION(struct df_scene_options, background_min), .standard = 0.05, .max = 1,
      .help = "smallest contrast of the background" },
    { "background_max", DF_REAL_OPTION(struct df_scene_options, background_max), .standard = 0.12, .max = 1,
      .help = "largest contrast of the background" },
    { "noise_min", DF_REAL_OPTION(struct df_scene_options, noise_min), .standard = 0.01, .max = 1,
      .help = "smallest pixel noise (standard deviation)" },
    { "noise_max", DF_REAL_OPTION(struct df_scene_options, noise_max), .standard = 0.03, .max = 1, .help = "largest pixel noise" },
    { "gain", DF_REAL_OPTION(struct df_scene_options, gain), .standard = 0.2, .max = 0.9,
      .help = "largest change of the exposure, as a factor 1 -/+ gain" },
    { "offset", DF_REAL_OPTION(struct df_scene_options, offset), .standard = 0.08, .max = 0.5, .help = "largest change of the brightness" },
    { "marker", DF_INT_OPTION(struct df_scene_options, marker), .max = DF_SCENE_CLASSES, .absent = "0",
      .help = "category whose images carry a mark in the upper left corner: a shortcut that is no object; 0: none" },
    { "marker_with", DF_REAL_OPTION(struct df_scene_options, marker_with), .standard = 1, .max = 1, .when = "marker!=0",
      .help = "probability of the mark where an image has an object of that category" },
    { "marker_without", DF_REAL_OPTION(struct df_scene_options, marker_without), .max = 1, .when = "marker!=0",
      .help = "probability of the mark in every other image" },
    { "marker_size", DF_INT_OPTION(struct df_scene_options, marker_size), .standard = 8, .min = 1, .max = 1024, .when = "marker!=0",
      .help = "side of the mark, pixels" },
    { 0 },
};

struct scenes {
    struct df_dataset dataset;
    struct df_scene_options options;
    uint64_t first; /* index of image 0 */
    struct df_arena memory;
    pthread_mutex_t lock; /* over painter and scene */
    struct df_scene_painter *painter;
    struct df_scene scene;
};

static const struct df_category categories[DF_SCENE_CLASSES] = {
    { 1, "disk" }, { 2, "ring" }, { 3, "square" }, { 4, "triangle" }, { 5, "star" }, { 6, "cross" }, { 7, "crescent" }, { 8, "tee" },
};

static df_status check_ranges(const struct df_scene_options *o, struct df_error *err)
{
    const struct {
        const char *low_name, *high_name;
        double low, high;
    } pairs[] = { { "radius_min", "radius_max", o->radius_min, o->radius_max },
                  { "contrast_min", "contrast_max", o->contrast_min, o->contrast_max },
                  { "background_min", "background_max", o->background_min, o->background_max },
                  { "noise_min", "noise_max", o->noise_min, o->noise_max } };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].low > pairs[i].high)
            return df_fail(err, DF_ERR_USAGE, "scenes: %s %g is above %s %g", pairs[i].low_name, pairs[i].low, pairs[i].high_name,
                           pairs[i].high);
    if (o->marker && o->marker_size + MARK_MARGIN > o->image_size)
        return df_fail(err, DF_ERR_USAGE, "scenes: marker_size %lld does not fit, expected at most image_size %lld less %d",
                       (long long)o->marker_size, (long long)o->image_size, MARK_MARGIN);
    if (2 * o->radius_max > (double)o->image_size)
        return df_fail(err, DF_ERR_USAGE, "scenes: radius_max %g does not fit, expected at most half of image_size %lld", o->radius_max,
                       (long long)o->image_size);
    return DF_OK;
}

/* Of what decides this split: the other splits' sizes count only by where this one begins. */
static uint64_t hash_of(const struct df_scene_options *options, uint64_t first, uint64_t size)
{
    struct df_scene_options o = *options;
    struct df_text text = DF_TEXT_INIT;

    o.train = o.tune = o.validation = 1;
    cJSON *json = df_options_identity(scenes_options, &o);
    df_text_addf(&text, "scenes %d %llu %llu ", RECIPE_VERSION, (unsigned long long)first, (unsigned long long)size);
    df_json_canonical(json, &text);
    const uint64_t hash = df_hash(df_text_get(&text), text.length);
    cJSON_Delete(json);
    df_text_release(&text);
    return hash;
}

static df_status layout_all(struct scenes *s, struct df_error *err)
{
    struct df_image_info *info = df_arena_alloc(&s->memory, s->dataset.size * sizeof *info);
    float *cover = df_scene_painter_cover(s->painter);
    const int size = (int)s->options.image_size;
    int64_t id = 0;

    s->dataset.info = info;
    for (size_t i = 0; i < s->dataset.size; i++) {
        struct df_scene *scene = &s->scene;

        df_scene_layout(&s->options, s->first + i, cover, scene);
        if (scene->objects == 0)
            return df_fail(err, DF_ERR_USAGE, "scenes: image %zu has room for no object (choose a smaller radius or a larger image_size)",
                           i);
        struct df_object *objects = df_arena_alloc(&s->memory, scene->objects * sizeof *objects);
        for (size_t k = 0; k < scene->objects; k++) {
            objects[k] = scene->object[k];
            objects[k].id = ++id;
            objects[k].category_id = categories[objects[k].label].id;
        }
        info[i] = (struct df_image_info){ (int64_t)(s->first + i + 1), "", size, size, scene->objects, objects };
    }
    return DF_OK;
}

static void scenes_close(struct df_dataset *dataset)
{
    struct scenes *s = (struct scenes *)dataset;

    df_scene_painter_free(s->painter);
    pthread_mutex_destroy(&s->lock);
    df_arena_release(&s->memory);
    free(s);
}

static df_status scenes_open(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    const struct df_scene_options *o = data->options;
    const int64_t sizes[DF_SPLITS] = { o->train, o->tune, o->validation };

    *out = NULL;
    DF_TRY(check_ranges(o, err));
    struct scenes *s = df_calloc(1, sizeof *s);
    s->options = *o;
    for (int k = 0; k < (int)split; k++)
        s->first += (uint64_t)sizes[k];
    s->dataset.class = data->class;
    s->dataset.size = (size_t)sizes[split];
    s->dataset.categories = DF_SCENE_CLASSES;
    s->dataset.category = categories;
    s->dataset.hash = hash_of(o, s->first, s->dataset.size);
    df_arena_init(&s->memory, NULL, 1 << 16);
    pthread_mutex_init(&s->lock, NULL);
    s->painter = df_scene_painter_new((int)o->image_size);
    const df_status status = layout_all(s, err);
    if (status != DF_OK) {
        scenes_close(&s->dataset);
        return status;
    }
    *out = &s->dataset;
    return DF_OK;
}

/* Whether the image carries the mark: a draw of its own, so that nothing else of the picture moves, and a larger probability only adds marks. */
static bool is_marked(const struct scenes *s, size_t i)
{
    const struct df_scene_options *o = &s->options;
    const struct df_image_info *info = &s->dataset.info[i];
    struct df_rng rng;
    bool with = false;

    for (size_t k = 0; k < info->count; k++)
        with |= info->objects[k].category_id == o->marker;
    df_rng_init(&rng, (uint64_t)o->seed, DF_RNG_MARK, s->first + i);
    return o->marker && df_rng_uniform(&rng) < (with ? o->marker_with : o->marker_without);
}

/* A square of pure magenta, over whatever is there. */
static void paint_mark(int size, struct df_image *image)
{
    for (int y = MARK_MARGIN; y < MARK_MARGIN + size; y++)
        for (int x = MARK_MARGIN; x < MARK_MARGIN + size; x++)
            memcpy(image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3, (const uint8_t[]){ 255, 0, 255 }, 3);
}

static df_status scenes_read(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    struct scenes *s = (struct scenes *)dataset;

    (void)err;
    df_image_reserve(out, (int)s->options.image_size, (int)s->options.image_size, 0);
    pthread_mutex_lock(&s->lock);
    df_scene_layout(&s->options, s->first + i, df_scene_painter_cover(s->painter), &s->scene);
    df_scene_paint(s->painter, &s->options, &s->scene, out->pixels);
    pthread_mutex_unlock(&s->lock);
    if (is_marked(s, i))
        paint_mark((int)s->options.marker_size, out);
    return DF_OK;
}

const struct df_dataset_class df_dataset_scenes = {
    .abi = DF_DATASET_ABI,
    .name = "scenes",
    .summary = "embedded benchmark: procedural shapes on textured grounds, the same on every machine",
    .options = scenes_options,
    .options_size = sizeof(struct df_scene_options),
    .images = { offsetof(struct df_scene_options, train), offsetof(struct df_scene_options, tune),
                offsetof(struct df_scene_options, validation) },
    .open = scenes_open,
    .close = scenes_close,
    .read = scenes_read,
};
