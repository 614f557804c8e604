#include "core/metrics/drawn.h"

#include <stdlib.h>
#include <string.h>

struct df_drawn {
    struct df_coco_set set;
    struct df_detection *detection; /* by image, in the file's order within one */
    size_t *first;                  /* [images + 1]: an image's first detection */
};

struct place {
    int64_t id;
    size_t image;
};

static int by_id(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Counts into first[image + 1], then sums, then puts: a stable sort by image. */
static df_status sort_detections(struct df_drawn *d, const struct df_detection *detections, size_t count, const struct place *place,
                                 struct df_error *err)
{
    size_t *image = df_malloc((count + 1) * sizeof *image), *next = df_malloc((d->set.images + 1) * sizeof *next);
    df_status status = DF_OK;

    for (size_t i = 0; i < count && status == DF_OK; i++) {
        const struct place key = { .id = detections[i].image_id };
        const struct place *found = bsearch(&key, place, d->set.images, sizeof *place, by_id);

        if (!found) {
            status =
                df_fail(err, DF_ERR_FORMAT, "detection %zu is of image %lld, which the ground truth does not have", i, (long long)key.id);
        } else {
            image[i] = found->image;
            d->first[found->image + 1]++;
        }
    }
    for (size_t i = 0; i < d->set.images; i++)
        d->first[i + 1] += d->first[i];
    memcpy(next, d->first, d->set.images * sizeof *next);
    for (size_t i = 0; i < count && status == DF_OK; i++)
        d->detection[next[image[i]]++] = detections[i];
    free(image);
    free(next);
    return status;
}

df_status df_drawn_new(struct df_coco_set set, const struct df_detection *detections, size_t count, struct df_drawn **out,
                       struct df_error *err)
{
    struct df_drawn *d = df_calloc(1, sizeof *d);
    struct place *place = df_malloc((set.images + 1) * sizeof *place);

    *out = NULL;
    d->set = set;
    d->detection = df_malloc((count + 1) * sizeof *d->detection);
    d->first = df_calloc(set.images + 1, sizeof *d->first);
    for (size_t i = 0; i < set.images; i++)
        place[i] = (struct place){ set.info[i].id, i };
    qsort(place, set.images, sizeof *place, by_id);
    const df_status status = sort_detections(d, detections, count, place, err);

    free(place);
    if (status == DF_OK)
        *out = d;
    else
        df_drawn_free(d);
    return status;
}

void df_drawn_free(struct df_drawn *drawn)
{
    if (!drawn)
        return;
    free(drawn->detection);
    free(drawn->first);
    free(drawn);
}

df_status df_drawn_evaluate(const struct df_drawn *drawn, const uint32_t *draw, size_t draws, struct df_coco_scores *out,
                            struct df_error *err)
{
    struct df_image_info *info = df_malloc((draws + 1) * sizeof *info);
    size_t count = 0, n = 0;

    for (size_t i = 0; i < draws; i++)
        count += drawn->first[draw[i] + 1] - drawn->first[draw[i]];
    struct df_detection *detection = df_malloc((count + 1) * sizeof *detection);

    for (size_t i = 0; i < draws; i++) {
        info[i] = drawn->set.info[draw[i]];
        info[i].id = (int64_t)i + 1; /* of its own: twice drawn is two images */
        for (size_t k = drawn->first[draw[i]]; k < drawn->first[draw[i] + 1]; k++) {
            detection[n] = drawn->detection[k];
            detection[n++].image_id = info[i].id;
        }
    }
    const struct df_coco_set set = { draws, drawn->set.categories, info, drawn->set.category };
    const df_status status = df_coco_evaluate(set, detection, count, out, err);

    free(detection);
    free(info);
    return status;
}
