/* One procedural scene: its layout (what stands where) and its picture. Both are functions of (options, index) alone and the same on
 * every machine: single-precision +, -, *, /, sqrt and floor, portable_math.h, and df_rng. Used by scenes.c only. */
#ifndef DF_CORE_DATA_SCENE_H
#define DF_CORE_DATA_SCENE_H
#include "core/data/dataset.h"

enum { DF_SCENE_CLASSES = 8, DF_SCENE_FAMILIES = 8, DF_SCENE_ITEMS = 128, DF_SCENE_OBJECTS = 16 };

enum df_scene_shape { /* the classes first, then the distractors */
                      DF_SHAPE_DISK,
                      DF_SHAPE_RING,
                      DF_SHAPE_SQUARE,
                      DF_SHAPE_TRIANGLE,
                      DF_SHAPE_STAR,
                      DF_SHAPE_CROSS,
                      DF_SHAPE_CRESCENT,
                      DF_SHAPE_TEE,
                      DF_SHAPE_PENTAGON,
                      DF_SHAPE_HALF_DISK,
                      DF_SHAPE_ELL,
                      DF_SHAPE_HEXAGON,
                      DF_SHAPE_STAR4,
                      DF_SHAPE_BAR,
                      DF_SHAPE_OPEN_RING,
                      DF_SHAPE_TRAPEZE,
                      DF_SHAPES
};
extern const char *const df_scene_class_name[DF_SCENE_CLASSES];

struct df_scene_options {
    int64_t image_size, train, tune, validation, seed, objects_max, distractors, clutter;
    double context, radius_min, radius_max, anisotropy, overlap, contrast_min, contrast_max, texture, occluder, background_min,
        background_max, noise_min, noise_max, gain, offset;
    int64_t marker, marker_size;
    double marker_with, marker_without;
};

struct df_scene_item { /* lengths in pixels, colours in 0..1 */
    enum df_scene_shape shape;
    float x, y, radius, cosine, sine; /* centre, size, rotation */
    float stretch;                    /* half axes: radius * stretch, radius / stretch */
    float shift[3];                   /* colour minus the mean of what lies under it */
    float second[3];                  /* the texture's other colour minus the first */
    int texture;                      /* plain, stripes, checks, dots, grain */
    float texture_cosine, texture_sine, texture_turns, shade;
};

struct df_scene {
    uint64_t stream; /* index of the random numbers that paint it */
    int family;      /* of the background */
    size_t items, objects;
    struct df_scene_item item[DF_SCENE_ITEMS]; /* from back to front */
    struct df_object object[DF_SCENE_OBJECTS]; /* label, bbox and area; ids are left to the caller */
};

struct df_scene_patch {
    int x, y, width, height;
};

/* Where an item may cover the image, and how much of each pixel there: cover [height][width], room for the whole image. */
struct df_scene_patch df_scene_cover(const struct df_scene_item *item, int size, float *cover);

/* Draws until at least one object has found its place, at most 64 times; then objects = 0. cover: scratch, room for the image. */
void df_scene_layout(const struct df_scene_options *options, uint64_t index, float *cover, struct df_scene *scene);

struct df_scene_painter; /* scratch memory and tables; one thread at a time */
struct df_scene_painter *df_scene_painter_new(int size);
void df_scene_painter_free(struct df_scene_painter *painter);
float *df_scene_painter_cover(struct df_scene_painter *painter); /* scratch for df_scene_layout */
void df_scene_paint(struct df_scene_painter *painter, const struct df_scene_options *options, const struct df_scene *scene,
                    uint8_t *rgb /* [size][size][3] */);
#endif
