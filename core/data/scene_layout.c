/* What stands where in a scene, and the shapes. A shape is a function f(u, v) of the point in the shape's own frame: f < 0 inside, and
 * |f| never more than the distance to the outline (maxima and minima of such functions are such functions; so are foldings of the plane). A
 * pixel whose |f| at the centre exceeds its half diagonal is wholly in or out; only the others are sampled, 4 x 4. */
#include "core/data/scene.h"

#include <math.h>

#include "core/base/portable_math.h"
#include "core/base/rng.h"

#define TWO_PI 6.283185307179586

const char *const df_scene_class_name[DF_SCENE_CLASSES] = { "disk", "ring", "square", "triangle", "star", "cross", "crescent", "tee" };

static inline float larger(float a, float b) { return a > b ? a : b; }
static inline float smaller(float a, float b) { return a < b ? a : b; }
static inline float length(float u, float v) { return sqrtf(u * u + v * v); }

/* cos and sin of k / n turns, n = 3..6 */
static const float direction[4][6][2] = {
    { { 1, 0 }, { -0.5f, 0.86602540f }, { -0.5f, -0.86602540f } },
    { { 1, 0 }, { 0, 1 }, { -1, 0 }, { 0, -1 } },
    { { 1, 0 },
      { 0.30901699f, 0.95105652f },
      { -0.80901699f, 0.58778525f },
      { -0.80901699f, -0.58778525f },
      { 0.30901699f, -0.95105652f } },
    { { 1, 0 }, { 0.5f, 0.86602540f }, { -0.5f, 0.86602540f }, { -1, 0 }, { -0.5f, -0.86602540f }, { 0.5f, -0.86602540f } },
};

/* Folds the plane into the sector around the nearest of n directions: (along it, away from it). */
static void fold(int n, float *u, float *v)
{
    const float(*way)[2] = direction[n - 3];
    float along = -1e30f, beside = 0;

    for (int k = 0; k < n; k++) {
        const float a = *u * way[k][0] + *v * way[k][1];

        if (a > along) {
            along = a;
            beside = fabsf(*v * way[k][0] - *u * way[k][1]);
        }
    }
    *u = along;
    *v = beside;
}

static float polygon(int n, float apothem, float u, float v)
{
    fold(n, &u, &v);
    return u - apothem;
}

/* Edge from the tip (1.1, 0) to the notch 0.5 (c, s), half a sector on: its unit normal (nx, ny), its distance d. */
static float star(int n, float nx, float ny, float d, float u, float v)
{
    fold(n, &u, &v);
    return u * nx + v * ny - d;
}

static float box(float u, float v, float half_u, float half_v) { return larger(fabsf(u) - half_u, fabsf(v) - half_v); }

static float shape_distance(enum df_scene_shape shape, float u, float v)
{
    switch (shape) {
    case DF_SHAPE_DISK:
        return length(u, v) - 0.95f;
    case DF_SHAPE_RING:
        return fabsf(length(u, v) - 0.775f) - 0.225f;
    case DF_SHAPE_SQUARE:
        return box(u, v, 0.8f, 0.8f);
    case DF_SHAPE_TRIANGLE:
        return polygon(3, 0.55f, u, v);
    case DF_SHAPE_STAR:
        return star(5, 0.38924253f, 0.92113531f, 0.42816679f, u, v);
    case DF_SHAPE_CROSS:
        return smaller(box(u, v, 0.3f, 0.95f), box(u, v, 0.95f, 0.3f));
    case DF_SHAPE_CRESCENT:
        return larger(length(u, v) - 1, 0.75f - length(u - 0.5f, v));
    case DF_SHAPE_TEE:
        return larger(box(u, v, 0.9f, 0.9f), smaller(v + 0.35f, fabsf(u) - 0.3f));
    case DF_SHAPE_PENTAGON:
        return polygon(5, 0.80901699f, u, v);
    case DF_SHAPE_HALF_DISK:
        return larger(length(u, v) - 1, -u);
    case DF_SHAPE_ELL:
        return larger(box(u, v, 0.85f, 0.85f), smaller(u + 0.3f, v + 0.3f));
    case DF_SHAPE_HEXAGON:
        return polygon(6, 0.86602540f, u, v);
    case DF_SHAPE_STAR4:
        return star(4, 0.42806006f, 0.90375029f, 0.47086606f, u, v);
    case DF_SHAPE_BAR:
        return box(u, v, 1, 0.35f);
    case DF_SHAPE_OPEN_RING: /* a gap of 1.2 rad */
        return larger(fabsf(length(u, v) - 0.775f) - 0.225f, u * 0.56464247f - fabsf(v) * 0.82533561f);
    case DF_SHAPE_TRAPEZE:
        return larger(fabsf(v) - 0.7f, (fabsf(u) - 0.7f + 0.35f * v) * 0.94385836f);
    case DF_SHAPES:
        break;
    }
    return 1;
}

static struct df_scene_patch patch_of(const struct df_scene_item *item, int size)
{
    const float reach = item->radius * 1.3f * larger(item->stretch, 1 / item->stretch) + 1; /* no shape reaches 1.3 */
    const int x0 = (int)larger(floorf(item->x - reach), 0), y0 = (int)larger(floorf(item->y - reach), 0);
    const int x1 = (int)smaller(ceilf(item->x + reach), (float)size), y1 = (int)smaller(ceilf(item->y + reach), (float)size);

    return (struct df_scene_patch){ x0, y0, x1 > x0 ? x1 - x0 : 0, y1 > y0 ? y1 - y0 : 0 };
}

struct frame { /* pixels -> the shape's frame */
    enum df_scene_shape shape;
    float x, y, ux, uy, vx, vy;
};

static inline float frame_distance(const struct frame *f, float x, float y)
{
    const float dx = x - f->x, dy = y - f->y;

    return shape_distance(f->shape, dx * f->ux + dy * f->uy, dx * f->vx + dy * f->vy);
}

static float sampled(const struct frame *f, int x, int y)
{
    int inside = 0;

    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++)
            inside += frame_distance(f, (float)x + 0.125f + 0.25f * (float)i, (float)y + 0.125f + 0.25f * (float)j) < 0;
    return (float)inside / 16;
}

struct df_scene_patch df_scene_cover(const struct df_scene_item *item, int size, float *cover)
{
    const struct df_scene_patch patch = patch_of(item, size);
    const float a = item->radius * item->stretch, b = item->radius / item->stretch;
    const struct frame frame = { item->shape, item->x, item->y, item->cosine / a, item->sine / a, -item->sine / b, item->cosine / b };
    const float sure = 0.7072f / smaller(a, b);

    for (int y = 0; y < patch.height; y++)
        for (int x = 0; x < patch.width; x++) {
            const float d = frame_distance(&frame, (float)(patch.x + x) + 0.5f, (float)(patch.y + y) + 0.5f);

            *cover++ = d > sure ? 0 : d < -sure ? 1 : sampled(&frame, patch.x + x, patch.y + y);
        }
    return patch;
}

static float range(struct df_rng *rng, double low, double high) { return (float)df_rng_range(rng, low, high); }

static void unit3(const double v[3], float out[3])
{
    const double norm = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) + 1e-9;

    for (int c = 0; c < 3; c++)
        out[c] = (float)(v[c] / norm);
}

/* Everything about an item but its shape, place and size. */
static void draw_look(struct df_rng *rng, const struct df_scene_options *options, double contrast_min, double contrast_max,
                      struct df_scene_item *item)
{
    const double turn = df_rng_range(rng, 0, TWO_PI), stretch = df_rng_range(rng, -options->anisotropy, options->anisotropy);
    const double sign = df_rng_below(rng, 2) ? 1 : -1;
    double way[3];

    item->cosine = (float)df_cos(turn);
    item->sine = (float)df_sin(turn);
    item->stretch = (float)df_exp(stretch / 2);
    for (int c = 0; c < 3; c++)
        way[c] = 0.6 * df_rng_normal(rng) + sign;
    unit3(way, item->shift);
    const float contrast = 1.7f * range(rng, contrast_min, contrast_max);
    for (int c = 0; c < 3; c++) {
        item->shift[c] *= contrast;
        item->second[c] = (float)(options->texture * df_rng_normal(rng));
    }
    const double slant = df_rng_range(rng, 0, TWO_PI / 2);
    item->texture = (int)df_rng_below(rng, 5);
    item->texture_cosine = (float)df_cos(slant);
    item->texture_sine = (float)df_sin(slant);
    item->texture_turns = range(rng, 0.125, 0.3); /* periods of 3.3 to 8 pixels */
    item->shade = range(rng, -0.15, 0.15);
}

struct place {
    double x, y, radius;
};

static void add_extra(struct df_rng *rng, const struct df_scene_options *options, struct df_scene *scene, enum df_scene_shape shape,
                      struct place at, double contrast_max)
{
    struct df_scene_item *item = &scene->item[scene->items++];

    item->shape = shape;
    item->x = (float)at.x;
    item->y = (float)at.y;
    item->radius = (float)at.radius;
    draw_look(rng, options, 0.05, contrast_max, item);
}

static void add_clutter(struct df_rng *rng, const struct df_scene_options *options, struct df_scene *scene)
{
    static const enum df_scene_shape shapes[] = { DF_SHAPE_BAR, DF_SHAPE_DISK, DF_SHAPE_HALF_DISK, DF_SHAPE_TRAPEZE };
    const uint32_t n = df_rng_below(rng, (uint32_t)options->clutter + 1);
    const double size = (double)options->image_size;

    for (uint32_t i = 0; i < n; i++) {
        const double x = df_rng_range(rng, 0, size), y = df_rng_range(rng, 0, size), radius = df_rng_range(rng, 2, 5);

        add_extra(rng, options, scene, shapes[df_rng_below(rng, 4)], (struct place){ x, y, radius }, 0.25);
    }
}

static void add_occluder(struct df_rng *rng, const struct df_scene_options *options, struct df_scene *scene)
{
    static const enum df_scene_shape shapes[] = { DF_SHAPE_DISK, DF_SHAPE_BAR, DF_SHAPE_TRAPEZE };
    const struct df_scene_item on = scene->item[scene->items - 1];
    const double angle = df_rng_range(rng, 0, TWO_PI), far = 0.9 * (double)on.radius;
    const double radius = (double)on.radius * df_rng_range(rng, 0.25, 0.5);
    const struct place at = { (double)on.x + far * df_cos(angle), (double)on.y + far * df_sin(angle), radius };

    add_extra(rng, options, scene, shapes[df_rng_below(rng, 3)], at, 0.3);
}

static bool crowds(struct place a, struct place b, double most) /* IoU of the squares around both > most */
{
    const double w = fmin(a.x + a.radius, b.x + b.radius) - fmax(a.x - a.radius, b.x - b.radius);
    const double h = fmin(a.y + a.radius, b.y + b.radius) - fmax(a.y - a.radius, b.y - b.radius);
    const double both = w > 0 && h > 0 ? w * h : 0;

    return both > most * (4 * a.radius * a.radius + 4 * b.radius * b.radius - both);
}

static bool find_place(struct df_rng *rng, const struct df_scene_options *options, size_t taken, const struct place *others,
                       struct place *out)
{
    const double low = df_log(options->radius_min), high = df_log(options->radius_max);

    for (int attempt = 0; attempt < 20; attempt++) {
        struct place p = { 0, 0, df_exp(df_rng_range(rng, low, high)) };
        bool good = true;

        p.x = df_rng_range(rng, 0.6 * p.radius, (double)options->image_size - 0.6 * p.radius);
        p.y = df_rng_range(rng, 0.6 * p.radius, (double)options->image_size - 0.6 * p.radius);
        for (size_t k = 0; k < taken && good; k++)
            good = !crowds(p, others[k], options->overlap);
        if (good) {
            *out = p;
            return true;
        }
    }
    return false;
}

/* The smallest box around all pixels at least half covered; false if there are fewer than 9. */
static bool tight_box(struct df_scene_patch patch, const float *cover, double bbox[4])
{
    int x0 = patch.width, y0 = patch.height, x1 = -1, y1 = -1, count = 0;

    for (int y = 0; y < patch.height; y++)
        for (int x = 0; x < patch.width; x++)
            if (cover[y * patch.width + x] >= 0.5f) {
                x0 = x < x0 ? x : x0;
                x1 = x > x1 ? x : x1;
                y0 = y < y0 ? y : y0;
                y1 = y;
                count++;
            }
    if (count < 9)
        return false;
    bbox[0] = patch.x + x0;
    bbox[1] = patch.y + y0;
    bbox[2] = x1 + 1 - x0;
    bbox[3] = y1 + 1 - y0;
    return true;
}

static void add_things(struct df_rng *rng, const struct df_scene_options *options, float *cover, struct df_scene *scene)
{
    const uint32_t distractors = df_rng_below(rng, (uint32_t)options->distractors + 1);
    const uint32_t n = distractors + 1 + df_rng_below(rng, (uint32_t)options->objects_max);
    uint32_t order[2 * DF_SCENE_OBJECTS];
    struct place place[2 * DF_SCENE_OBJECTS];
    size_t placed = 0;

    df_rng_permutation(rng, n, order);
    for (uint32_t k = 0; k < n; k++) {
        const bool object = order[k] >= distractors;
        const bool fits = df_rng_uniform(rng) < options->context; /* the class goes with the background */
        const uint32_t any = df_rng_below(rng, DF_SCENE_CLASSES);
        struct df_scene_item *item = &scene->item[scene->items];
        struct df_object *truth = &scene->object[scene->objects];

        if (!find_place(rng, options, placed, place, &place[placed]))
            continue;
        item->shape = (enum df_scene_shape)(!object ? DF_SCENE_CLASSES + any : fits ? (uint32_t)scene->family : any);
        item->x = (float)place[placed].x;
        item->y = (float)place[placed].y;
        item->radius = (float)place[placed].radius;
        draw_look(rng, options, options->contrast_min, options->contrast_max, item);
        if (object) {
            *truth = (struct df_object){ .label = (int32_t)item->shape };
            if (!tight_box(df_scene_cover(item, (int)options->image_size, cover), cover, truth->bbox))
                continue;
            truth->area = truth->bbox[2] * truth->bbox[3];
            scene->objects++;
        }
        placed++;
        scene->items++;
        if (df_rng_uniform(rng) < options->occluder)
            add_occluder(rng, options, scene);
    }
}

void df_scene_layout(const struct df_scene_options *options, uint64_t index, float *cover, struct df_scene *scene)
{
    for (uint64_t attempt = 0; attempt < 64; attempt++) {
        struct df_rng rng;

        scene->stream = index | attempt << 48;
        scene->items = scene->objects = 0;
        df_rng_init(&rng, (uint64_t)options->seed, DF_RNG_SCENE, scene->stream);
        scene->family = (int)df_rng_below(&rng, DF_SCENE_FAMILIES);
        add_clutter(&rng, options, scene);
        add_things(&rng, options, cover, scene);
        if (scene->objects)
            return;
    }
}
