/* COCO evaluation of boxes: the numbers of pycocotools 2.0.11 (COCOeval, iouType 'bbox'), to the last bit.
 *
 * Per category and image: detections by falling score (stable), at most 100, each takes the free object of largest overlap at or above the
 * threshold; objects out of the area range or crowds come last and count neither way. Per category: detections of all images by falling
 * score (stable over rising image ids), precision made monotone, read at 101 recall levels. Everything in double; means as numpy sums.
 * Kept on purpose: a match is noted by the object's id, so an object with id 0 swallows its detection and leaves it counted as wrong.
 * Done once instead of often: the order at 10 detections an image is that at 100 with the later ranks left out, and precision is only
 * computed where one of the 12 numbers reads it. */
#include "core/metrics/coco_eval.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/metrics/matching.h"

enum { AREAS = 4, THRESHOLDS = 10, LEVELS = 101, MOST = 100 };
enum { MATCHED = 1, IGNORED = 2 };

static const double coco_borders[] = { 32 * 32, 96 * 96 };

/* The recalls that the 12 numbers read: (area range, detections per image). */
enum { RECALLS = 6 };
static const struct {
    int area;
    uint32_t most;
} recall_of[RECALLS] = { { 0, 1 }, { 0, 10 }, { 0, 100 }, { 1, 100 }, { 2, 100 }, { 3, 100 } };

const char *const df_coco_metric_names[DF_COCO_METRICS] = { "AP",  "AP50", "AP75",  "APs", "APm", "APl",
                                                            "AR1", "AR10", "AR100", "ARs", "ARm", "ARl" };

/* A detection or an object, with the places of its category and image in rising id order. */
struct entry {
    uint32_t category, image;
    double score;
    const double *bbox;
    double area;
    size_t place; /* in the file */
    bool crowd, id_is_zero;
};

/* What one category's detections came to; arrays over the detections that take part, image after image. */
struct work {
    const double *borders;
    size_t count, capacity;
    uint8_t *state; /* [AREAS * THRESHOLDS, capacity]: MATCHED | IGNORED */
    uint32_t *rank; /* within the image */
    double *score;
    uint32_t *order; /* by falling score */
    double *recall, *precision;
    size_t objects[AREAS]; /* that count */
    double *overlap;       /* [detections, objects] of one image */
    uint32_t *object_order;
    bool *taken, *ignore;
};

struct tables {
    size_t categories;
    const double *borders; /* between the area ranges */
    double *precision;     /* [AREAS, THRESHOLDS, LEVELS, categories], 100 detections per image; -1: nothing to measure */
    double *recall;        /* [RECALLS, THRESHOLDS, categories] */
};

/* numpy.linspace: i * step + start, the last one exact. */
static double linspace(double start, double stop, int count, int i)
{
    return i == count - 1 ? stop : i * ((stop - start) / (count - 1)) + start;
}

/* numpy.add.reduce over contiguous doubles: eight running sums within blocks of at most 128, blocks halved. */
static double pairwise_sum(const double *v, size_t n)
{
    if (n < 8) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += v[i];
        return sum;
    }
    if (n > 128) {
        const size_t half = n / 2 - n / 2 % 8;

        return pairwise_sum(v, half) + pairwise_sum(v + half, n - half);
    }
    double r[8];
    size_t i = 8;

    memcpy(r, v, sizeof r);
    for (; i < n - n % 8; i += 8)
        for (size_t j = 0; j < 8; j++)
            r[j] += v[i + j];
    double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));

    for (; i < n; i++)
        sum += v[i];
    return sum;
}

/* Mean of the values v[0], v[stride], ... that are not -1; -1 when there are none. */
static double mean_measured(const double *v, size_t n, size_t stride)
{
    double *measured = df_malloc(n * sizeof *measured + 1);
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (v[i * stride] > -1)
            measured[count++] = v[i * stride];
    const double mean = count ? pairwise_sum(measured, count) / (double)count : -1;

    free(measured);
    return mean;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->category != y->category)
        return x->category < y->category ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    const int by_score = df_compare_scores(x->score, y->score);

    return by_score ? by_score : (x->place > y->place) - (x->place < y->place);
}

struct ids {
    struct df_id_place *image, *category; /* by rising id */
    size_t images, categories;
};

struct run { /* of entries */
    const struct entry *entry;
    size_t count;
};

static size_t collect_objects(const struct df_image_info *info, const struct ids *ids, struct entry *out)
{
    size_t n = 0, place = 0;

    for (size_t i = 0; i < ids->images; i++) {
        const struct df_image_info *image = &info[ids->image[i].place];

        for (size_t j = 0; j < image->count; j++, place++) {
            const struct df_object *o = &image->objects[j];
            const size_t k = df_find_id(ids->category, ids->categories, o->category_id);

            if (k < ids->categories)
                out[n++] = (struct entry){ .category = (uint32_t)k,
                                           .image = (uint32_t)i,
                                           .bbox = o->bbox,
                                           .area = o->area,
                                           .place = place,
                                           .crowd = o->crowd,
                                           .id_is_zero = o->id == 0 };
        }
    }
    qsort(out, n, sizeof *out, compare_entries);
    return n;
}

static df_status collect_detections(const struct df_detection *detections, size_t count, const struct ids *ids, struct entry *out,
                                    size_t *used, struct df_error *err)
{
    size_t n = 0;
    int64_t stranger = 0;

    for (size_t i = 0; i < count; i++) {
        const struct df_detection *d = &detections[i];
        const size_t image = df_find_id(ids->image, ids->images, d->image_id);
        const size_t k = df_find_id(ids->category, ids->categories, d->category_id);

        if (image == ids->images)
            return df_fail(err, DF_ERR_FORMAT,
                           "detection %zu is of image %lld, which the ground truth does not have (do the two files belong together?)",
                           i + 1, (long long)d->image_id);
        if (k < ids->categories)
            out[n++] = (struct entry){ .category = (uint32_t)k,
                                       .image = (uint32_t)image,
                                       .score = d->score,
                                       .bbox = d->bbox,
                                       .area = d->bbox[2] * d->bbox[3],
                                       .place = i };
        else
            stranger = d->category_id;
    }
    if (n < count)
        df_warn("%zu of %zu detections are of categories that the ground truth does not have (%lld, for one): ignored", count - n, count,
                (long long)stranger);
    qsort(out, n, sizeof *out, compare_entries);
    *used = n;
    return DF_OK;
}

/* Range 0 is all of them. */
static bool outside(const double *borders, double area, int range)
{
    const double low[AREAS] = { 0, 0, borders[0], borders[1] }, high[AREAS] = { 1e10, borders[0], borders[1], 1e10 };

    return area < low[range] || area > high[range];
}

/* Greedy matching of one image's detections at threshold t; fills their states. */
static void match(struct run det, struct run objects, int area, int t, struct work *work)
{
    const struct entry *object = objects.entry;
    uint8_t *state = work->state + (size_t)(area * THRESHOLDS + t) * work->capacity + work->count;

    memset(work->taken, 0, objects.count * sizeof *work->taken);
    for (size_t d = 0; d < det.count; d++) {
        const double *overlap = work->overlap + d * objects.count;
        size_t best = objects.count;
        double most = linspace(.5, .95, THRESHOLDS, t);

        for (size_t i = 0; i < objects.count; i++) {
            const uint32_t g = work->object_order[i];

            if (work->taken[g] && !object[g].crowd)
                continue;
            if (best < objects.count && !work->ignore[best] && work->ignore[g])
                break;
            if (overlap[g] < most)
                continue;
            most = overlap[g];
            best = g;
        }
        const bool matched = best < objects.count && !object[best].id_is_zero;
        const bool ignored = (best < objects.count && work->ignore[best]) || (!matched && outside(work->borders, det.entry[d].area, area));

        if (best < objects.count)
            work->taken[best] = true;
        state[d] = (uint8_t)((matched ? MATCHED : 0) | (ignored ? IGNORED : 0));
    }
}

/* All area ranges and thresholds for one image and category; its detections join the work's arrays. */
static void match_image(struct run det, struct run objects, struct work *work)
{
    const struct entry *object = objects.entry;

    det.count = det.count < MOST ? det.count : MOST;
    for (size_t d = 0; d < det.count; d++) {
        work->rank[work->count + d] = (uint32_t)d;
        work->score[work->count + d] = det.entry[d].score;
        for (size_t g = 0; g < objects.count; g++)
            work->overlap[d * objects.count + g] = df_overlap(det.entry[d].bbox, object[g].bbox, object[g].crowd);
    }
    for (int area = 0; area < AREAS; area++) {
        size_t place = 0;

        for (size_t g = 0; g < objects.count; g++) {
            work->ignore[g] = object[g].crowd || outside(work->borders, object[g].area, area);
            work->objects[area] += !work->ignore[g];
        }
        for (int last = 0; last < 2; last++)
            for (size_t g = 0; g < objects.count; g++)
                if (work->ignore[g] == (last == 1))
                    work->object_order[place++] = (uint32_t)g;
        for (int t = 0; t < THRESHOLDS; t++)
            match(det, objects, area, t, work);
    }
    work->count += det.count;
}

/* Stable merge sort of the detections by falling score. */
static void order_by_score(struct work *work, uint32_t *spare)
{
    uint32_t *from = work->order, *to = spare;
    const size_t n = work->count;

    for (size_t i = 0; i < n; i++)
        from[i] = (uint32_t)i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            const size_t middle = low + width < n ? low + width : n, high = low + 2 * width < n ? low + 2 * width : n;
            size_t left = low, right = middle;

            for (size_t i = low; i < high; i++) {
                const bool take_right =
                    right < high && (left == middle || df_compare_scores(work->score[from[right]], work->score[from[left]]) < 0);

                to[i] = take_right ? from[right++] : from[left++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != work->order)
        memcpy(work->order, from, n * sizeof *from);
}

/* Precision at the 101 recall levels, written levels[0], levels[stride], ... */
static void precision_levels(struct work *work, int area, int threshold, double *levels, size_t stride)
{
    const uint8_t *state = work->state + (size_t)(area * THRESHOLDS + threshold) * work->capacity;
    const double objects = (double)work->objects[area];
    double right = 0, wrong = 0;
    size_t at = 0;

    for (size_t i = 0; i < work->count; i++) {
        const uint8_t s = state[work->order[i]];

        right += s == MATCHED;
        wrong += s == 0;
        work->recall[i] = right / objects;
        work->precision[i] = right / (wrong + right + DBL_EPSILON);
    }
    for (size_t i = work->count; i-- > 1;)
        if (work->precision[i] > work->precision[i - 1])
            work->precision[i - 1] = work->precision[i];
    for (int level = 0; level < LEVELS; level++) {
        const double recall = linspace(0, 1, LEVELS, level);

        while (at < work->count && work->recall[at] < recall)
            at++;
        levels[(size_t)level * stride] = at < work->count ? work->precision[at] : 0;
    }
}

static double recall_at(const struct work *work, int area, int threshold, uint32_t most)
{
    const uint8_t *state = work->state + (size_t)(area * THRESHOLDS + threshold) * work->capacity;
    size_t right = 0;

    for (size_t i = 0; i < work->count; i++)
        right += state[i] == MATCHED && work->rank[i] < most;
    return (double)right / (double)work->objects[area];
}

static void accumulate(struct work *work, size_t category, struct tables *tables)
{
    const size_t stride = tables->categories;

    for (int t = 0; t < THRESHOLDS; t++) {
        for (int a = 0; a < AREAS; a++)
            if (work->objects[a] > 0)
                precision_levels(work, a, t, tables->precision + (size_t)((a * THRESHOLDS + t) * LEVELS) * stride + category, stride);
        for (int r = 0; r < RECALLS; r++)
            if (work->objects[recall_of[r].area] > 0)
                tables->recall[(size_t)(r * THRESHOLDS + t) * stride + category] = recall_at(work, recall_of[r].area, t, recall_of[r].most);
    }
}

/* The first entries of `all` that are of that category (and image): taken away from it. */
static struct run take_category(struct run *all, uint32_t category)
{
    struct run run = { all->entry, 0 };

    while (run.count < all->count && run.entry[run.count].category == category)
        run.count++;
    *all = (struct run){ all->entry + run.count, all->count - run.count };
    return run;
}

static struct run take_image(struct run *all, uint32_t image)
{
    struct run run = { all->entry, 0 };

    while (run.count < all->count && run.entry[run.count].image == image)
        run.count++;
    *all = (struct run){ all->entry + run.count, all->count - run.count };
    return run;
}

static void work_init(struct work *work, size_t detections, size_t objects)
{
    *work = (struct work){ .capacity = detections };
    work->state = df_malloc(AREAS * THRESHOLDS * detections + 1);
    work->rank = df_malloc(detections * sizeof *work->rank + 1);
    work->score = df_malloc(detections * sizeof *work->score + 1);
    work->order = df_malloc(2 * detections * sizeof *work->order + 1);
    work->recall = df_malloc(2 * detections * sizeof *work->recall + 1);
    work->precision = work->recall + detections;
    work->overlap = df_malloc(MOST * objects * sizeof *work->overlap + 1);
    work->object_order = df_malloc(objects * sizeof *work->object_order + 1);
    work->taken = df_malloc(2 * objects * sizeof *work->taken + 1);
    work->ignore = work->taken + objects;
}

static void work_release(struct work *work)
{
    free(work->state);
    free(work->rank);
    free(work->score);
    free(work->order);
    free(work->recall);
    free(work->overlap);
    free(work->object_order);
    free(work->taken);
}

/* One category: its entries, image after image. */
static void evaluate_category(struct run det, struct run objects, uint32_t category, struct tables *tables)
{
    struct work work;

    work_init(&work, det.count, objects.count);
    work.borders = tables->borders;
    while (det.count || objects.count) {
        const bool detected = !objects.count || (det.count && det.entry->image < objects.entry->image);
        const uint32_t image = detected ? det.entry->image : objects.entry->image;
        const struct run found = take_image(&det, image);

        match_image(found, take_image(&objects, image), &work);
    }
    order_by_score(&work, work.order + work.capacity);
    accumulate(&work, category, tables);
    work_release(&work);
}

static void summarise(const struct tables *tables, const struct df_id_place *category_ids, struct df_coco_scores *out)
{
    const size_t k = tables->categories, plane = LEVELS * k, all = THRESHOLDS * plane;

    out->categories = k;
    out->class_ap = df_malloc(k * sizeof *out->class_ap + 1);
    out->class_ap50 = df_malloc(k * sizeof *out->class_ap50 + 1);
    out->value[DF_AP] = mean_measured(tables->precision, all, 1);
    out->value[DF_AP50] = mean_measured(tables->precision, plane, 1);
    out->value[DF_AP75] = mean_measured(tables->precision + 5 * plane, plane, 1);
    for (size_t a = 1; a < AREAS; a++)
        out->value[DF_APS + a - 1] = mean_measured(tables->precision + a * all, all, 1);
    for (size_t r = 0; r < RECALLS; r++)
        out->value[DF_AR1 + r] = mean_measured(tables->recall + r * THRESHOLDS * k, THRESHOLDS * k, 1);
    for (size_t i = 0; i < k; i++) {
        out->class_ap[category_ids[i].place] = mean_measured(tables->precision + i, THRESHOLDS * LEVELS, k);
        out->class_ap50[category_ids[i].place] = mean_measured(tables->precision + i, LEVELS, k);
    }
}

static void evaluate_all(struct run det, struct run objects, const struct ids *ids, const double *borders, struct df_coco_scores *out)
{
    struct tables tables = { .categories = ids->categories, .borders = borders };
    const size_t precisions = AREAS * THRESHOLDS * LEVELS * ids->categories, recalls = RECALLS * THRESHOLDS * ids->categories;

    tables.precision = df_malloc((precisions + recalls) * sizeof *tables.precision + 1);
    tables.recall = tables.precision + precisions;
    for (size_t i = 0; i < precisions + recalls; i++)
        tables.precision[i] = -1;
    for (uint32_t k = 0; k < ids->categories; k++) {
        const struct run found = take_category(&det, k);

        evaluate_category(found, take_category(&objects, k), k, &tables);
    }
    summarise(&tables, ids->category, out);
    free(tables.precision);
}

struct df_coco_set df_coco_set_of(const struct df_coco_truth *truth)
{
    return (
        struct df_coco_set){ .images = truth->images, .categories = truth->categories, .info = truth->image, .category = truth->category };
}

struct df_coco_set df_coco_set_of_dataset(const struct df_dataset *dataset)
{
    return (struct df_coco_set){
        .images = dataset->size, .categories = dataset->categories, .info = dataset->info, .category = dataset->category
    };
}

df_status df_coco_evaluate(struct df_coco_set set, const struct df_detection *detections, size_t count, struct df_coco_scores *out,
                           struct df_error *err)
{
    size_t objects = 0, used = 0;

    for (size_t i = 0; i < set.images; i++)
        objects += set.info[i].count;
    struct ids ids = { .images = set.images, .categories = set.categories };
    struct entry *entries = df_malloc((objects + count + 1) * sizeof *entries), *det = entries + objects;

    ids.image = df_malloc((set.images + set.categories + 1) * sizeof *ids.image);
    ids.category = ids.image + set.images;
    for (size_t i = 0; i < set.images; i++)
        ids.image[i] = (struct df_id_place){ set.info[i].id, i };
    for (size_t k = 0; k < set.categories; k++)
        ids.category[k] = (struct df_id_place){ set.category[k].id, k };
    qsort(ids.image, set.images, sizeof *ids.image, df_compare_ids);
    qsort(ids.category, set.categories, sizeof *ids.category, df_compare_ids);
    objects = collect_objects(set.info, &ids, entries);
    const df_status status = collect_detections(detections, count, &ids, det, &used, err);

    if (status == DF_OK)
        evaluate_all((struct run){ det, used }, (struct run){ entries, objects }, &ids, set.borders ? set.borders : coco_borders, out);
    free(entries);
    free(ids.image);
    return status;
}

void df_coco_scores_release(struct df_coco_scores *scores)
{
    free(scores->class_ap);
    free(scores->class_ap50);
    scores->class_ap = scores->class_ap50 = NULL;
}

void df_coco_summary(const struct df_coco_scores *scores, struct df_text *out)
{
    static const char *const areas[] = { "all", "all", "all", "small", "medium", "large" };

    for (size_t i = 0; i < DF_COCO_METRICS; i++) {
        const bool recall = i >= DF_AR1;
        const char *overlap = i == DF_AP50 ? "0.50" : i == DF_AP75 ? "0.75" : "0.50:0.95";
        const int most = i == DF_AR1 ? 1 : i == DF_AR10 ? 10 : MOST;

        df_text_addf(out, " %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d ] = %0.3f\n", recall ? "Average Recall" : "Average Precision",
                     recall ? "(AR)" : "(AP)", overlap, areas[i % 6], most, scores->value[i]);
    }
}

const char *df_coco_percent(double ap, char buffer[32])
{
    if (ap < 0)
        snprintf(buffer, 32, "no mAP: nothing to find");
    else
        snprintf(buffer, 32, "%.2f mAP", 100 * ap);
    return buffer;
}

void df_coco_json(const struct df_coco_scores *scores, struct df_text *out)
{
    for (size_t i = 0; i < DF_COCO_METRICS; i++) {
        char number[32];

        snprintf(number, sizeof number, "%.17g", scores->value[i]);
        for (char *c = number; *c; c++) /* whatever the locale's decimal point is */
            if (*c == ',')
                *c = '.';
        df_text_addf(out, "%s\"%s\": %s", i ? ", " : "{", df_coco_metric_names[i], number);
    }
    df_text_add(out, "}\n");
}
