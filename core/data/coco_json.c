/* COCO ground truth and results. Records come from record_stream.c; here they are checked against each other. Oddities that do not decide
 * what a box is (a missing id or area, an iscrowd of true) are put right and told once per kind, with the first place. For evaluation only what
 * it uses is read, and pycocotools' verdict holds wherever it has one: sizes and names may be anything, of an image or a category that is listed
 * twice the last counts, annotations of images and categories that are not listed are left out. */
#include "core/data/coco_json.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/data/record_stream.h"

enum { IMAGE_ID, IMAGE_FILE, IMAGE_WIDTH, IMAGE_HEIGHT };
enum { OBJECT_ID, OBJECT_IMAGE, OBJECT_CATEGORY, OBJECT_BBOX, OBJECT_AREA, OBJECT_CROWD, OBJECT_IGNORE };
enum { CATEGORY_ID, CATEGORY_NAME };
enum { RESULT_IMAGE, RESULT_CATEGORY, RESULT_BBOX, RESULT_SCORE };

static const struct df_field image_fields[] = {
    { "id", DF_FIELD_INT }, { "file_name", DF_FIELD_TEXT }, { "width", DF_FIELD_SIZE }, { "height", DF_FIELD_SIZE }, { 0 },
};
static const struct df_field evaluated_image_fields[] = { { "id", DF_FIELD_INT }, { "file_name", DF_FIELD_NAME }, { 0 } };
static const struct df_field object_fields[] = {
    { "id", DF_FIELD_INT },    { "image_id", DF_FIELD_INT }, { "category_id", DF_FIELD_INT }, { "bbox", DF_FIELD_BOX },
    { "area", DF_FIELD_REAL }, { "iscrowd", DF_FIELD_FLAG }, { "ignore", DF_FIELD_HINT },     { 0 },
};
static const struct df_field category_fields[] = { { "id", DF_FIELD_INT }, { "name", DF_FIELD_TEXT }, { 0 } };
static const struct df_field evaluated_category_fields[] = { { "id", DF_FIELD_INT }, { "name", DF_FIELD_NAME }, { 0 } };
static const struct df_field result_fields[] = {
    { "image_id", DF_FIELD_INT }, { "category_id", DF_FIELD_INT }, { "bbox", DF_FIELD_BOX }, { "score", DF_FIELD_REAL }, { 0 },
};

/* How often something odd was seen, and where first. */
struct tally {
    size_t count, position, line;
    int64_t id;
};
enum oddity { NO_ID, ZERO_ID, NO_AREA, BAD_AREA, ODD_CROWD, IGNORE, NO_EXTENT, OUTSIDE, CLIPPED, STRAY, ODDITIES };
static const char *const oddity_text[ODDITIES] = {
    "without id: given a free one",
    "with the id 0: pycocotools counts a detection that finds such an object as wrong, and so does this program",
    "without area: width * height is used",
    "with a negative area: evaluated as it is",
    "with true or false as iscrowd: 1 or 0",
    "with 'ignore': trained and evaluated like any other, as pycocotools does (iscrowd is what it heeds)",
    "with a box of no extent: left out of training",
    "with a box outside the image: left out of training",
    "with a box that reaches over a pixel out of the image: clipped in training",
    "of an image or a category that is not listed: left out, as pycocotools does",
};

struct annotation {
    struct df_object object;
    int64_t image_id;
    size_t line, position, image; /* position: in the file, from 1; image: index */
    bool has_id;
};

struct reading {
    const char *path;
    bool for_training;
    struct df_image_info *image;
    size_t images, images_room;
    struct df_category *category;
    size_t categories, categories_room;
    struct annotation *annotation;
    size_t annotations, annotations_room;
    struct tally odd[ODDITIES];
};

static void *grown(void *items, size_t count, size_t *room, size_t item)
{
    if (count < *room)
        return items;
    *room = *room ? 2 * *room : 64;
    return df_realloc(items, *room * item);
}

static df_status require(const struct df_record *record, const struct df_field *fields, unsigned needed, struct df_stream *stream)
{
    for (unsigned f = 0; fields[f].name; f++)
        if (needed & 1u << f && !(record->seen & 1u << f))
            return df_stream_fail(stream, "no '%s'", fields[f].name);
    return DF_OK;
}

static df_status check_file_name(const char *name, struct df_stream *stream)
{
    const char *part = name;
    int depth = 0;

    if (!*name)
        return df_stream_fail(stream, "'file_name' is empty");
    if (strstr(name, "://"))
        return df_stream_fail(stream, "'file_name' is the address '%s', expected a file in the image folder [download it]", name);
    if (*name == '/' || *name == '\\' || (isalpha((unsigned char)name[0]) && name[1] == ':' && (name[2] == '/' || name[2] == '\\')))
        return df_stream_fail(stream, "'file_name' is the absolute path '%s', expected one relative to the image folder", name);
    while (part) {
        const size_t length = strcspn(part, "/");

        if (length == 2 && strncmp(part, "..", 2) == 0)
            depth--;
        else if (length && !(length == 1 && *part == '.'))
            depth++;
        if (depth < 0)
            return df_stream_fail(stream, "'file_name' is '%s', which leaves the image folder", name);
        part = part[length] ? part + length + 1 : NULL;
    }
    return DF_OK;
}

/* -1, as some write it, and null, which is absent: not known. */
static int64_t known(const struct df_value *value) { return value->integer == -1 ? 0 : value->integer; }

static df_status add_image(void *context, const struct df_record *record, struct df_stream *stream)
{
    struct reading *r = context;
    const int64_t width = known(&record->value[IMAGE_WIDTH]), height = known(&record->value[IMAGE_HEIGHT]);
    const bool named = record->seen & 1u << IMAGE_FILE;

    DF_TRY(require(record, image_fields, 1u << IMAGE_ID | (r->for_training ? 1u << IMAGE_FILE : 0), stream));
    if (width < 0 || height < 0 || width > 1 << 30 || height > 1 << 30)
        return df_stream_fail(stream, "size %lld x %lld, expected 1 to 2^30 each (0, -1 or null: not known)", (long long)width,
                              (long long)height);
    if (r->for_training)
        DF_TRY(check_file_name(record->value[IMAGE_FILE].text, stream));
    r->image = grown(r->image, r->images, &r->images_room, sizeof *r->image);
    r->image[r->images++] = (struct df_image_info){ .id = record->value[IMAGE_ID].integer,
                                                    .file_name = named ? record->value[IMAGE_FILE].text : "",
                                                    .width = (int)width,
                                                    .height = (int)height };
    return DF_OK;
}

static df_status add_category(void *context, const struct df_record *record, struct df_stream *stream)
{
    struct reading *r = context;
    const bool named = record->seen & 1u << CATEGORY_NAME;

    DF_TRY(require(record, category_fields, 1u << CATEGORY_ID | (r->for_training ? 1u << CATEGORY_NAME : 0), stream));
    for (size_t i = 0; i < r->categories && !r->for_training; i++)
        if (r->category[i].id == record->value[CATEGORY_ID].integer) {
            df_warn("%s:%zu: category %lld is listed twice: the last one counts", r->path, record->line, (long long)r->category[i].id);
            r->category[i].name = named ? record->value[CATEGORY_NAME].text : "";
            return DF_OK;
        }
    r->category = grown(r->category, r->categories, &r->categories_room, sizeof *r->category);
    r->category[r->categories++] =
        (struct df_category){ record->value[CATEGORY_ID].integer, named ? record->value[CATEGORY_NAME].text : "" };
    return DF_OK;
}

static void note(struct reading *r, enum oddity kind, size_t position)
{
    struct tally *tally = &r->odd[kind];

    if (tally->count++ == 0)
        *tally = (struct tally){ 1, r->annotation[position].position, r->annotation[position].line, r->annotation[position].object.id };
}

static df_status add_annotation(void *context, const struct df_record *record, struct df_stream *stream)
{
    struct reading *r = context;
    const struct df_value *value = record->value;
    const bool has_area = record->seen & 1u << OBJECT_AREA;

    DF_TRY(require(record, object_fields, 1u << OBJECT_IMAGE | 1u << OBJECT_CATEGORY | 1u << OBJECT_BBOX, stream));
    r->annotation = grown(r->annotation, r->annotations, &r->annotations_room, sizeof *r->annotation);
    struct annotation *a = &r->annotation[r->annotations];
    *a = (struct annotation){ .image_id = value[OBJECT_IMAGE].integer,
                              .line = record->line,
                              .position = record->position,
                              .has_id = record->seen & 1u << OBJECT_ID };
    a->object.id = a->has_id ? value[OBJECT_ID].integer : 0;
    a->object.category_id = value[OBJECT_CATEGORY].integer;
    memcpy(a->object.bbox, value[OBJECT_BBOX].box, sizeof a->object.bbox);
    a->object.area = has_area ? value[OBJECT_AREA].real : a->object.bbox[2] * a->object.bbox[3];
    a->object.crowd = record->seen & 1u << OBJECT_CROWD && value[OBJECT_CROWD].integer;
    if (!a->has_id)
        note(r, NO_ID, r->annotations);
    if (a->has_id && a->object.id == 0)
        note(r, ZERO_ID, r->annotations);
    if (value[OBJECT_IGNORE].integer)
        note(r, IGNORE, r->annotations);
    if (!has_area)
        note(r, NO_AREA, r->annotations);
    if (record->odd_flag)
        note(r, ODD_CROWD, r->annotations);
    if (a->object.area < 0 && r->for_training)
        note(r, BAD_AREA, r->annotations);
    r->annotations++;
    return DF_OK;
}

static void clear_images(void *context) { ((struct reading *)context)->images = 0; }
static void clear_categories(void *context) { ((struct reading *)context)->categories = 0; }
static void clear_annotations(void *context)
{
    struct reading *r = context;

    r->annotations = 0;
    memset(r->odd, 0, sizeof r->odd);
}

static int by_image_id(const void *a, const void *b)
{
    const int64_t x = ((const struct df_image_info *)a)->id, y = ((const struct df_image_info *)b)->id;

    return (x > y) - (x < y);
}

static int by_category_id(const void *a, const void *b)
{
    const int64_t x = ((const struct df_category *)a)->id, y = ((const struct df_category *)b)->id;

    return (x > y) - (x < y);
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Of images of one id evaluation knows no more than that id. */
static void drop_doubles(struct reading *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->images; i++)
        if (!kept || r->image[kept - 1].id != r->image[i].id)
            r->image[kept++] = r->image[i];
    if (kept < r->images)
        df_warn("%s: %zu images are listed twice: each counts once", r->path, r->images - kept);
    r->images = kept;
}

static df_status sort_parts(struct reading *r, struct df_error *err)
{
    if (r->images)
        qsort(r->image, r->images, sizeof *r->image, by_image_id);
    if (r->categories)
        qsort(r->category, r->categories, sizeof *r->category, by_category_id);
    if (!r->for_training)
        drop_doubles(r);
    for (size_t i = 1; i < r->images; i++)
        if (r->image[i].id == r->image[i - 1].id)
            return df_fail(err, DF_ERR_FORMAT, "%s: two images have the id %lld", r->path, (long long)r->image[i].id);
    for (size_t i = 1; i < r->categories; i++)
        if (r->category[i].id == r->category[i - 1].id)
            return df_fail(err, DF_ERR_FORMAT, "%s: two categories have the id %lld", r->path, (long long)r->category[i].id);
    if (r->for_training && r->categories == 0)
        return df_fail(err, DF_ERR_FORMAT, "%s: no categories, nothing to learn", r->path);
    if (r->for_training && r->images == 0)
        return df_fail(err, DF_ERR_FORMAT, "%s: no images", r->path);
    return DF_OK;
}

/* A training box must have an extent and something of it inside the image (where its size is known): the loader leaves out the others, the
 * evaluation counts them as pycocotools does. */
static void judge(struct reading *r, size_t position)
{
    const struct annotation *a = &r->annotation[position];
    const struct df_image_info *image = &r->image[a->image];
    const double *b = a->object.bbox;

    if (!(b[2] > 0 && b[3] > 0)) {
        note(r, NO_EXTENT, position);
    } else if (image->width && image->height && (b[0] >= image->width || b[1] >= image->height || b[0] + b[2] <= 0 || b[1] + b[3] <= 0)) {
        note(r, OUTSIDE, position);
    } else if (image->width && image->height &&
               !(b[0] >= -1 && b[1] >= -1 && b[0] + b[2] <= image->width + 1 && b[1] + b[3] <= image->height + 1)) {
        note(r, CLIPPED, position);
    }
}

static df_status is_not_listed(const struct reading *r, const struct annotation *a, const char *what, int64_t id, struct df_error *err)
{
    return df_fail(err, DF_ERR_FORMAT, "%s:%zu: annotation %zu (id %lld): %s_id %lld is not in '%s'", r->path, a->line, a->position,
                   (long long)a->object.id, what, (long long)id, strcmp(what, "image") == 0 ? "images" : "categories");
}

static df_status resolve(struct reading *r, struct df_error *err)
{
    size_t kept = 0;
    int64_t last = 0;

    for (size_t i = 0; i < r->annotations; i++)
        if (r->annotation[i].has_id && r->annotation[i].object.id > last)
            last = r->annotation[i].object.id;
    for (size_t i = 0; i < r->annotations; i++) {
        struct annotation *a = &r->annotation[i];
        const struct df_image_info image_key = { .id = a->image_id };
        const struct df_category category_key = { .id = a->object.category_id };
        const struct df_image_info *image = r->images ? bsearch(&image_key, r->image, r->images, sizeof image_key, by_image_id) : NULL;
        const struct df_category *category =
            r->categories ? bsearch(&category_key, r->category, r->categories, sizeof category_key, by_category_id) : NULL;

        if ((!image || !category) && r->for_training)
            return is_not_listed(r, a, image ? "category" : "image", image ? a->object.category_id : a->image_id, err);
        if (!image || !category) {
            note(r, STRAY, i);
            continue;
        }
        if (!a->has_id) {
            if (last == INT64_MAX)
                return df_fail(err, DF_ERR_FORMAT, "%s:%zu: annotation %zu: no 'id', and none above %lld is free", r->path, a->line,
                               a->position, (long long)last);
            a->object.id = ++last;
        }
        a->image = (size_t)(image - r->image);
        a->object.label = (int32_t)(category - r->category);
        r->annotation[kept] = *a;
        if (r->for_training)
            judge(r, kept);
        kept++;
    }
    r->annotations = kept;
    return DF_OK;
}

/* What is odd about the file as a whole. */
static void warn_doubles(const struct reading *r)
{
    int64_t *ids = df_malloc((r->annotations + 1) * sizeof *ids);
    const char **names = df_malloc((r->images + 1) * sizeof *names);
    size_t crowds = 0;

    for (size_t i = 0; i < r->annotations; i++) {
        ids[i] = r->annotation[i].object.id;
        crowds += r->annotation[i].object.crowd;
    }
    qsort(ids, r->annotations, sizeof *ids, by_value);
    for (size_t i = 1; i < r->annotations; i++)
        if (ids[i] == ids[i - 1]) {
            df_warn("%s: several annotations have the id %lld: all are kept (pycocotools mixes them up)", r->path, (long long)ids[i]);
            break;
        }
    for (size_t i = 0; i < r->images; i++)
        names[i] = r->image[i].file_name;
    qsort(names, r->images, sizeof *names, by_text);
    for (size_t i = 1; i < r->images && r->for_training; i++)
        if (strcmp(names[i], names[i - 1]) == 0) {
            df_warn("%s: several images share the file '%s': it counts several times", r->path, names[i]);
            break;
        }
    if (r->for_training && r->annotations == 0)
        df_warn("%s: no annotations: there is nothing to learn from it, and no AP on it", r->path);
    if (r->for_training && crowds && crowds == r->annotations)
        df_warn("%s: all %zu annotations are crowds: there is nothing to learn, and no AP", r->path, crowds);
    free(ids);
    free(names);
}

/* Boxes that are no [x, y, width, height] in pixels, as far as numbers can tell. */
static void warn_boxes(const struct reading *r)
{
    size_t relative = 0;

    for (size_t i = 0; i < r->annotations; i++) {
        const double *b = r->annotation[i].object.bbox;

        relative += b[0] >= 0 && b[1] >= 0 && b[0] <= 1 && b[1] <= 1 && b[2] <= 1 && b[3] <= 1;
    }
    if (r->annotations && relative == r->annotations)
        df_warn("%s: all %zu boxes lie within one pixel: fractions of the image? [expected x, y, width, height in pixels]", r->path,
                r->annotations);
    if (r->odd[CLIPPED].count + r->odd[OUTSIDE].count > r->annotations / 2)
        df_warn("%s: %zu of %zu boxes reach out of their images: corners? [expected x, y, width, height in pixels]", r->path,
                r->odd[CLIPPED].count + r->odd[OUTSIDE].count, r->annotations);
}

static void warn_odd(const struct reading *r)
{
    for (int k = 0; k < ODDITIES; k++) {
        const struct tally *t = &r->odd[k];

        if (t->count)
            df_warn("%s: %zu annotation%s %s (first: annotation %zu, id %lld, line %zu)", r->path, t->count, t->count > 1 ? "s" : "",
                    oddity_text[k], t->position, (long long)t->id, t->line);
    }
    warn_doubles(r);
    warn_boxes(r);
}

/* Moves what was read into the arena, each image's objects together, in file order. */
static void settle(const struct reading *r, struct df_coco_truth *truth)
{
    size_t *next = df_calloc(r->images + 1, sizeof *next);

    truth->images = r->images;
    truth->categories = r->categories;
    truth->image = df_arena_alloc(truth->memory, r->images * sizeof *truth->image);
    truth->category = df_arena_alloc(truth->memory, r->categories * sizeof *truth->category);
    if (r->images)
        memcpy(truth->image, r->image, r->images * sizeof *truth->image);
    if (r->categories)
        memcpy(truth->category, r->category, r->categories * sizeof *truth->category);
    for (size_t i = 0; i < r->annotations; i++) {
        truth->image[r->annotation[i].image].count++;
        truth->objects++;
    }
    truth->skipped = r->odd[NO_EXTENT].count + r->odd[OUTSIDE].count;
    truth->object = df_arena_alloc(truth->memory, truth->objects * sizeof *truth->object);
    for (size_t i = 0, at = 0; i < r->images; at += truth->image[i++].count) {
        truth->image[i].objects = truth->object + at;
        next[i] = at;
    }
    for (size_t i = 0; i < r->annotations; i++)
        truth->object[next[r->annotation[i].image]++] = r->annotation[i].object;
    free(next);
}

static df_status read_truth(struct reading *r, struct df_coco_truth *truth, struct df_error *err)
{
    const struct df_section sections[] = {
        { "images", "image", r->for_training ? image_fields : evaluated_image_fields, add_image, clear_images },
        { "annotations", "annotation", object_fields, add_annotation, clear_annotations },
        { "categories", "category", r->for_training ? category_fields : evaluated_category_fields, add_category, clear_categories },
        { 0 },
    };
    struct df_stream_seen seen;

    DF_TRY(df_stream_read(r->path, sections, r, truth->memory, &seen, err));
    truth->hash = seen.hash;
    for (unsigned k = 0; sections[k].name; k++)
        if (!(seen.sections & 1u << k))
            return df_fail(err, DF_ERR_FORMAT, "%s: no '%s', expected an array of them", r->path, sections[k].name);
    DF_TRY(sort_parts(r, err));
    DF_TRY(resolve(r, err));
    warn_odd(r);
    settle(r, truth);
    return DF_OK;
}

df_status df_coco_truth_read(const char *path, bool for_training, struct df_coco_truth **out, struct df_error *err)
{
    struct reading r = { .path = path, .for_training = for_training };
    struct df_coco_truth *truth = df_calloc(1, sizeof *truth);

    *out = NULL;
    truth->memory = df_malloc(sizeof *truth->memory);
    df_arena_init(truth->memory, NULL, 1 << 16);
    const df_status status = read_truth(&r, truth, err);
    free(r.image);
    free(r.category);
    free(r.annotation);
    if (status != DF_OK)
        df_coco_truth_free(truth);
    else
        *out = truth;
    return status;
}

void df_coco_truth_free(struct df_coco_truth *truth)
{
    if (!truth)
        return;
    df_arena_release(truth->memory);
    free(truth->memory);
    free(truth);
}

struct results {
    struct df_detection *detection;
    size_t count, room;
};

static df_status add_result(void *context, const struct df_record *record, struct df_stream *stream)
{
    struct results *r = context;

    DF_TRY(require(record, result_fields, 15, stream));
    r->detection = grown(r->detection, r->count, &r->room, sizeof *r->detection);
    struct df_detection *d = &r->detection[r->count++];
    d->image_id = record->value[RESULT_IMAGE].integer;
    d->category_id = record->value[RESULT_CATEGORY].integer;
    d->score = record->value[RESULT_SCORE].real;
    memcpy(d->bbox, record->value[RESULT_BBOX].box, sizeof d->bbox);
    return DF_OK;
}

df_status df_coco_results_read(const char *path, struct df_detection **out, size_t *count, struct df_error *err)
{
    static const struct df_section sections[] = { { NULL, "detection", result_fields, add_result, NULL }, { 0 } };
    struct results r = { 0 };
    struct df_arena memory;
    struct df_stream_seen seen;

    *out = NULL;
    df_arena_init(&memory, NULL, 1 << 12);
    const df_status status = df_stream_read(path, sections, &r, &memory, &seen, err);
    df_arena_release(&memory);
    if (status != DF_OK) {
        free(r.detection);
        return status;
    }
    *out = r.detection ? r.detection : df_malloc(sizeof **out);
    *count = r.count;
    return DF_OK;
}

df_status df_coco_results_write(const char *path, const struct df_detection *detections, size_t count, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    char number[32];

    df_text_add(&text, "[");
    for (size_t i = 0; i < count; i++) {
        const struct df_detection *d = &detections[i];

        df_text_addf(&text, "%s\n{\"image_id\":%lld,\"category_id\":%lld,\"bbox\":[", i ? "," : "", (long long)d->image_id,
                     (long long)d->category_id);
        for (int k = 0; k < 4; k++)
            df_text_addf(&text, "%s%s", k ? "," : "", df_format_real(number, d->bbox[k]));
        df_text_addf(&text, "],\"score\":%s}", df_format_real(number, d->score));
    }
    df_text_add(&text, "]\n");
    const df_status status = df_file_write(path, df_text_get(&text), text.length, err);
    df_text_release(&text);
    return status;
}
