#include "core/metrics/conditions.h"

#include <stdlib.h>

#include "core/metrics/matching.h"

const char *const df_condition_metrics[DF_CONDITIONS] = { "size.small", "size.middle",  "size.large",
                                                          "crowding.1", "crowding.2-3", "crowding.4+" };

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The areas below which a third and two thirds of the objects lie. */
static void find_borders(struct df_coco_set set, double border[2])
{
    size_t n = 0;

    for (size_t i = 0; i < set.images; i++)
        n += set.info[i].count;
    double *area = df_malloc(n * sizeof *area + 1);

    n = 0;
    for (size_t i = 0; i < set.images; i++)
        for (size_t k = 0; k < set.info[i].count; k++)
            if (!set.info[i].objects[k].crowd)
                area[n++] = set.info[i].objects[k].area;
    qsort(area, n, sizeof *area, rising);
    border[0] = n ? area[n / 3] : 0;
    border[1] = n ? area[2 * n / 3] : 0;
    free(area);
}

/* 0: 1 object, 1: 2 or 3, 2: 4 and more; -1: none. */
static int crowding_of(const struct df_image_info *info)
{
    size_t objects = 0;

    for (size_t k = 0; k < info->count; k++)
        objects += !info->objects[k].crowd;
    return objects == 0 ? -1 : objects == 1 ? 0 : objects < 4 ? 1 : 2;
}

/* The AP of the images of one crowding and what was found in them. */
static df_status evaluate_crowding(struct df_coco_set set, const struct df_detection *detections, size_t count, int crowding,
                                   struct df_conditions *out, struct df_error *err)
{
    struct df_image_info *info = df_malloc(set.images * sizeof *info + 1);
    struct df_id_place *ids = df_malloc(set.images * sizeof *ids + 1);
    struct df_detection *among = df_malloc(count * sizeof *among + 1);
    struct df_coco_scores scores = { 0 };
    size_t images = 0, n = 0;

    for (size_t i = 0; i < set.images; i++)
        if (crowding_of(&set.info[i]) == crowding) {
            ids[images] = (struct df_id_place){ set.info[i].id, images };
            info[images++] = set.info[i];
        }
    qsort(ids, images, sizeof *ids, df_compare_ids);
    for (size_t k = 0; k < count; k++)
        if (df_find_id(ids, images, detections[k].image_id) < images)
            among[n++] = detections[k];
    out->images[crowding] = images;

    const struct df_coco_set some = { .images = images, .categories = set.categories, .info = info, .category = set.category };
    const df_status status = df_coco_evaluate(some, among, n, &scores, err);

    if (status == DF_OK)
        out->value[DF_CROWDING_ONE + crowding] = scores.value[DF_AP];
    df_coco_scores_release(&scores);
    free(info);
    free(ids);
    free(among);
    return status;
}

df_status df_conditions_evaluate(struct df_coco_set set, const struct df_detection *detections, size_t count, struct df_conditions *out,
                                 struct df_error *err)
{
    struct df_conditions all = { 0 };
    struct df_coco_scores scores;

    find_borders(set, all.border);
    set.borders = all.border;
    DF_TRY(df_coco_evaluate(set, detections, count, &scores, err));
    for (int k = 0; k < 3; k++)
        all.value[DF_SIZE_SMALL + k] = scores.value[DF_APS + k];
    df_coco_scores_release(&scores);
    set.borders = NULL;
    for (int k = 0; k < 3; k++)
        DF_TRY(evaluate_crowding(set, detections, count, k, &all, err));
    *out = all;
    return DF_OK;
}

void df_conditions_summary(const struct df_conditions *conditions, struct df_text *out)
{
    static const char *const size[] = { "the smallest third", "the middle third", "the largest third" };
    static const char *const crowd[] = { "1 object", "2 or 3 objects", "4 and more" };

    df_text_addf(out, "AP by size (area to %.0f, to %.0f, above) and by objects in an image\n", conditions->border[0],
                 conditions->border[1]);
    for (int k = 0; k < 3; k++)
        df_text_addf(out, " %-20s %6.3f\n", size[k], conditions->value[DF_SIZE_SMALL + k]);
    for (int k = 0; k < 3; k++)
        df_text_addf(out, " %-20s %6.3f  %zu images\n", crowd[k], conditions->value[DF_CROWDING_ONE + k], conditions->images[k]);
}

void df_conditions_json(const struct df_conditions *conditions, struct df_text *out)
{
    char number[2][32];

    for (int k = 0; k < DF_CONDITIONS; k++)
        df_text_addf(out, "%s\"%s\": %s", k ? ", " : "{", df_condition_metrics[k], df_format_real(number[0], conditions->value[k]));
    df_text_addf(out, ", \"borders\": [%s, %s]}", df_format_real(number[0], conditions->border[0]),
                 df_format_real(number[1], conditions->border[1]));
}
