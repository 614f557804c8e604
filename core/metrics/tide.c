/* TIDE as its header defines it. Detections are judged once, image by image; every AP is then one pass over a list of points made of them. */
#include "core/metrics/tide.h"

#include <stdlib.h>
#include <string.h>

#include "core/metrics/matching.h"

enum { LEVELS = 101, MOST = 100 };
enum { NOTHING = -1 }; /* is mended */
static const double foreground = 0.5, background = 0.1;

const char *const df_tide_metrics[DF_TIDE_KINDS] = { "TIDE.Cls", "TIDE.Loc",  "TIDE.Both",     "TIDE.Dupe",
                                                     "TIDE.Bkg", "TIDE.Miss", "TIDE.FalsePos", "TIDE.FalseNeg" };

static const char *short_name(int kind) { return strchr(df_tide_metrics[kind], '.') + 1; }

/* An object of the ground truth, or a crowd. */
struct object {
    uint32_t class;
    bool crowd, taken;
    const struct judged *aimed; /* the best Loc or Cls about it; NULL: none */
    const double *bbox;
};

struct judged {
    uint32_t class, image;
    double score;
    size_t place; /* in the file */
    const double *bbox;
    bool right, left_out;
    enum df_tide_kind kind; /* if not right */
    struct object *about;   /* of a Loc or Cls */
};

/* What an AP is made of. */
struct point {
    uint32_t class;
    bool right;
    double score;
    size_t place; /* among points */
};

struct work {
    size_t classes;
    struct df_id_place *class; /* [classes] by rising id: all that the truth or a detection has */
    size_t count, objects;
    struct judged *judged; /* [count] image after image, by falling score */
    struct object *object; /* [objects] image after image, in file order */
    size_t *first;         /* [images + 1] of the image's objects */
    double *overlap;       /* [MOST, objects of an image] */
    struct point *point;   /* [count] */
    double *recall, *precision;
};

/* One image: its detections and objects, and their overlaps. */
struct scene {
    struct judged *det;
    struct object *object;
    size_t dets, objects;
    double *overlap; /* [dets, objects] */
};

static int compare_judged(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;

    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    const int by_score = df_compare_scores(x->score, y->score);

    return by_score ? by_score : (x->place > y->place) - (x->place < y->place);
}

static int compare_points(const void *a, const void *b)
{
    const struct point *x = a, *y = b;

    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    const int by_score = df_compare_scores(x->score, y->score);

    return by_score ? by_score : (x->place > y->place) - (x->place < y->place);
}

/* ---- judging ---- */

/* Each detection takes the nearest free object of its class. */
static void match(const struct scene *scene)
{
    for (size_t d = 0; d < scene->dets; d++) {
        const double *overlap = scene->overlap + d * scene->objects;
        struct object *best = NULL;
        double most = 0;

        for (size_t g = 0; g < scene->objects; g++) {
            struct object *object = &scene->object[g];

            if (object->crowd || object->taken || object->class != scene->det[d].class || !(overlap[g] > most))
                continue;
            most = overlap[g];
            best = object;
        }
        scene->det[d].right = most >= foreground;
        if (scene->det[d].right)
            best->taken = true;
    }
}

static bool lies_in_crowd(const struct scene *scene, size_t d)
{
    for (size_t g = 0; g < scene->objects; g++)
        if (scene->object[g].crowd && scene->object[g].class == scene->det[d].class && scene->overlap[d * scene->objects + g] > foreground)
            return true;
    return false;
}

/* Objects that a detection is compared with. */
enum range { OWN, OTHER, OWN_TAKEN, ANY };

static bool in_range(const struct object *object, uint32_t class, enum range range)
{
    if (object->crowd)
        return false;
    switch (range) {
    case OWN:
        return object->class == class;
    case OTHER:
        return object->class != class;
    case OWN_TAKEN:
        return object->class == class && object->taken;
    default:
        return true;
    }
}

/* The largest overlap with the objects of a range, and whose it is: of equals the first; NULL where it is 0. */
static double nearest(const struct scene *scene, size_t d, enum range range, struct object **whose)
{
    double most = 0;

    *whose = NULL;
    for (size_t g = 0; g < scene->objects; g++) {
        const double overlap = scene->overlap[d * scene->objects + g];

        if (overlap > most && in_range(&scene->object[g], scene->det[d].class, range)) {
            most = overlap;
            *whose = &scene->object[g];
        }
    }
    return most;
}

/* Why it is not right. Detections come by falling score, so the first one about an object is the best. */
static void name_error(const struct scene *scene, size_t d)
{
    struct judged *det = &scene->det[d];
    struct object *about, *ignored;
    const double own = nearest(scene, d, OWN, &about);

    if (own >= background && own <= foreground)
        det->kind = DF_TIDE_LOC;
    else if (nearest(scene, d, OTHER, &about) >= foreground)
        det->kind = DF_TIDE_CLS;
    else if (nearest(scene, d, OWN_TAKEN, &ignored) >= foreground)
        det->kind = DF_TIDE_DUPE;
    else
        det->kind = nearest(scene, d, ANY, &ignored) <= background ? DF_TIDE_BKG : DF_TIDE_BOTH;
    if (det->kind != DF_TIDE_LOC && det->kind != DF_TIDE_CLS)
        return;
    det->about = about;
    if (!about->taken && !about->aimed)
        about->aimed = det;
}

static void judge(const struct scene *scene)
{
    for (size_t d = 0; d < scene->dets; d++)
        for (size_t g = 0; g < scene->objects; g++)
            scene->overlap[d * scene->objects + g] = df_overlap(scene->det[d].bbox, scene->object[g].bbox, scene->object[g].crowd);
    match(scene);
    for (size_t d = 0; d < scene->dets; d++) {
        if (scene->det[d].right)
            continue;
        scene->det[d].left_out = lies_in_crowd(scene, d);
        name_error(scene, d);
    }
}

/* Every image that has detections; what is behind an image's MOST best ones leaves the list. */
static void judge_all(struct work *work)
{
    size_t kept = 0;

    for (size_t i = 0, next; i < work->count; i = next) {
        const uint32_t image = work->judged[i].image;
        struct scene scene = { .det = work->judged + kept, .object = work->object + work->first[image], .overlap = work->overlap };

        for (next = i; next < work->count && work->judged[next].image == image; next++)
            if (scene.dets < MOST)
                scene.det[scene.dets++] = work->judged[next];
        scene.objects = work->first[image + 1] - work->first[image];
        judge(&scene);
        kept += scene.dets;
    }
    work->count = kept;
}

static bool is_missed(const struct object *object) { return !object->crowd && !object->taken && !object->aimed; }

static void count_errors(const struct work *work, size_t count[DF_TIDE_ERRORS])
{
    memset(count, 0, DF_TIDE_ERRORS * sizeof *count);
    for (size_t i = 0; i < work->count; i++)
        if (!work->judged[i].right)
            count[work->judged[i].kind]++;
    for (size_t g = 0; g < work->objects; g++)
        count[DF_TIDE_MISS] += is_missed(&work->object[g]);
}

/* ---- mending ---- */

/* The point of a detection once errors of a kind are mended; false: it has none. */
static bool point_of(const struct judged *det, int mended, struct point *out)
{
    *out = (struct point){ .class = det->class, .right = det->right, .score = det->score };
    if (!det->right && (int)det->kind == mended) {
        if (!det->about || det->about->aimed != det)
            return false;
        out->class = det->about->class;
        out->right = true;
        return true;
    }
    if (mended == DF_TIDE_FALSE_POS)
        out->score = det->right;
    return !det->left_out;
}

static size_t make_points(const struct work *work, int mended)
{
    size_t n = 0;

    for (int pass = 0; pass < (mended == NOTHING ? 1 : 2); pass++) /* the wrong ones first */
        for (size_t i = 0; i < work->count; i++) {
            if (mended != NOTHING && work->judged[i].right != (pass == 1))
                continue;
            if (point_of(&work->judged[i], mended, &work->point[n])) {
                work->point[n].place = n;
                n++;
            }
        }
    qsort(work->point, n, sizeof *work->point, compare_points);
    return n;
}

static bool is_counted(const struct object *object, int mended)
{
    if (mended == DF_TIDE_MISS)
        return !object->crowd && !is_missed(object);
    return !object->crowd && (mended != DF_TIDE_FALSE_NEG || object->taken);
}

static double class_ap(const struct work *work, const struct point *point, size_t n, size_t objects)
{
    double right = 0, sum = 0;
    size_t at = 0;

    if (objects == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        right += point[i].right;
        work->precision[i] = right / (double)(i + 1);
        work->recall[i] = right / (double)objects;
    }
    for (size_t i = n; i-- > 1;)
        if (work->precision[i] > work->precision[i - 1])
            work->precision[i - 1] = work->precision[i];
    for (int level = 0; level < LEVELS; level++) {
        while (at < n && work->recall[at] < level / (double)(LEVELS - 1))
            at++;
        sum += at < n ? work->precision[at] : 0;
    }
    return sum / LEVELS;
}

/* -1: no class is left to measure. */
static double mean_ap(const struct work *work, int mended)
{
    size_t *objects = df_calloc(work->classes + 1, sizeof *objects), measured = 0;
    const size_t points = make_points(work, mended);
    double sum = 0;

    for (size_t g = 0; g < work->objects; g++)
        objects[work->object[g].class] += is_counted(&work->object[g], mended);
    for (size_t k = 0, i = 0, next; k < work->classes; k++, i = next) {
        for (next = i; next < points && work->point[next].class == k; next++)
            ;
        if (next > i || objects[k]) {
            sum += class_ap(work, work->point + i, next - i, objects[k]);
            measured++;
        }
    }
    free(objects);
    return measured ? sum / (double)measured : -1;
}

static void measure(const struct work *work, struct df_tide_scores *out)
{
    out->ap = mean_ap(work, NOTHING);
    count_errors(work, out->count);
    for (int kind = 0; kind < DF_TIDE_KINDS; kind++) {
        const double mended = mean_ap(work, kind), cost = (mended < 0 ? 1 : mended) - out->ap;

        out->dap[kind] = out->ap < 0 ? -1 : cost < 0 && kind < DF_TIDE_ERRORS ? 0 : cost;
    }
}

/* ---- collecting ---- */

static void collect_classes(size_t images, const struct df_image_info *info, const struct df_detection *detections, size_t count,
                            struct work *work)
{
    size_t n = 0, kept = 0;

    work->class = df_malloc((work->objects + count + 1) * sizeof *work->class);
    for (size_t i = 0; i < images; i++)
        for (size_t j = 0; j < info[i].count; j++)
            work->class[n++] = (struct df_id_place){ .id = info[i].objects[j].category_id };
    for (size_t i = 0; i < count; i++)
        work->class[n++] = (struct df_id_place){ .id = detections[i].category_id };
    qsort(work->class, n, sizeof *work->class, df_compare_ids);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || work->class[kept - 1].id != work->class[i].id)
            work->class[kept++] = work->class[i];
    work->classes = kept;
}

static uint32_t class_of(const struct work *work, int64_t id) { return (uint32_t)df_find_id(work->class, work->classes, id); }

/* Returns how many objects the image with the most has. */
static size_t collect_objects(size_t images, const struct df_image_info *info, struct work *work)
{
    size_t n = 0, most = 0;

    work->object = df_malloc((work->objects + 1) * sizeof *work->object);
    work->first = df_malloc((images + 1) * sizeof *work->first);
    for (size_t i = 0; i < images; i++) {
        work->first[i] = n;
        most = info[i].count > most ? info[i].count : most;
        for (size_t j = 0; j < info[i].count; j++) {
            const struct df_object *o = &info[i].objects[j];

            work->object[n++] = (struct object){ .class = class_of(work, o->category_id), .crowd = o->crowd, .bbox = o->bbox };
        }
    }
    work->first[images] = n;
    return most;
}

static df_status collect_detections(size_t images, const struct df_image_info *info, const struct df_detection *detections, size_t count,
                                    struct work *work, struct df_error *err)
{
    struct df_id_place *image = df_malloc((images + 1) * sizeof *image);
    df_status status = DF_OK;

    for (size_t i = 0; i < images; i++)
        image[i] = (struct df_id_place){ info[i].id, i };
    qsort(image, images, sizeof *image, df_compare_ids);
    work->judged = df_malloc((count + 1) * sizeof *work->judged);
    for (size_t i = 0; i < count && status == DF_OK; i++) {
        const struct df_detection *d = &detections[i];
        const size_t at = df_find_id(image, images, d->image_id);

        if (at == images)
            status = df_fail(err, DF_ERR_FORMAT,
                             "detection %zu is of image %lld, which the ground truth does not have (do the two files belong together?)",
                             i + 1, (long long)d->image_id);
        else
            work->judged[i] = (struct judged){
                .class = class_of(work, d->category_id), .image = (uint32_t)image[at].place, .score = d->score, .place = i, .bbox = d->bbox
            };
    }
    free(image);
    work->count = count;
    if (status == DF_OK)
        qsort(work->judged, count, sizeof *work->judged, compare_judged);
    return status;
}

static void work_release(struct work *work)
{
    free(work->class);
    free(work->judged);
    free(work->object);
    free(work->first);
    free(work->overlap);
    free(work->point);
    free(work->recall);
}

df_status df_tide_evaluate(size_t images, const struct df_image_info *info, const struct df_detection *detections, size_t count,
                           struct df_tide_scores *out, struct df_error *err)
{
    struct work work = { 0 };

    for (size_t i = 0; i < images; i++)
        work.objects += info[i].count;
    collect_classes(images, info, detections, count, &work);
    work.overlap = df_malloc(MOST * collect_objects(images, info, &work) * sizeof *work.overlap + 1);
    const df_status status = collect_detections(images, info, detections, count, &work, err);

    if (status == DF_OK) {
        work.point = df_malloc((count + 1) * sizeof *work.point);
        work.recall = df_malloc(2 * (count + 1) * sizeof *work.recall);
        work.precision = work.recall + count + 1;
        judge_all(&work);
        measure(&work, out);
    }
    work_release(&work);
    return status;
}

/* ---- printing ---- */

void df_tide_summary(const struct df_tide_scores *scores, struct df_text *out)
{
    if (scores->ap < 0) {
        df_text_add(out, " TIDE: nothing to measure, no objects and no detections\n");
        return;
    }
    df_text_addf(out, " TIDE, in percent points: AP at IoU %.2f = %.2f, and what it would gain (dAP) without each kind of error\n",
                 foreground, 100 * scores->ap);
    df_text_addf(out, " %-9s %6s %8s\n", "error", "dAP", "errors");
    for (int kind = 0; kind < DF_TIDE_KINDS; kind++) {
        df_text_addf(out, " %-9s %6.2f", short_name(kind), 100 * scores->dap[kind]);
        if (kind < DF_TIDE_ERRORS)
            df_text_addf(out, " %8zu", scores->count[kind]);
        df_text_add(out, "\n");
    }
}

void df_tide_json(const struct df_tide_scores *scores, struct df_text *out)
{
    char number[32];

    df_text_addf(out, "{\"AP\": %s, \"dAP\": {", df_format_real(number, scores->ap));
    for (int kind = 0; kind < DF_TIDE_KINDS; kind++)
        df_text_addf(out, "%s\"%s\": %s", kind ? ", " : "", short_name(kind), df_format_real(number, scores->dap[kind]));
    df_text_add(out, "}, \"errors\": {");
    for (int kind = 0; kind < DF_TIDE_ERRORS; kind++)
        df_text_addf(out, "%s\"%s\": %zu", kind ? ", " : "", short_name(kind), scores->count[kind]);
    df_text_add(out, "}}");
}
