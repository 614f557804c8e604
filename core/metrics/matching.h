/* What COCO's and TIDE's matching share: places of ids, the overlap of two boxes, the order of scores. */
#ifndef DF_CORE_METRICS_MATCHING_H
#define DF_CORE_METRICS_MATCHING_H
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct df_id_place {
    int64_t id;
    size_t place;
};

/* For qsort: by rising id. */
static inline int df_compare_ids(const void *a, const void *b)
{
    const struct df_id_place *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Where id stands in the rising order, or `count`. */
static inline size_t df_find_id(const struct df_id_place *ids, size_t count, int64_t id)
{
    size_t low = 0, high = count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (ids[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ids[low].id == id ? low : count;
}

/* Intersection over union of two boxes x, y, width, height, in the order of pycocotools' sums; over the detection's own area for a crowd. 0 where
 * they do not meet. */
static inline double df_overlap(const double *d, const double *g, bool crowd)
{
    const double w = fmin(d[2] + d[0], g[2] + g[0]) - fmax(d[0], g[0]);
    const double h = fmin(d[3] + d[1], g[3] + g[1]) - fmax(d[1], g[1]);

    if (w <= 0 || h <= 0)
        return 0;
    const double both = w * h, area = d[2] * d[3];
    return both / (crowd ? area : area + g[2] * g[3] - both);
}

/* Falling, NaN last. */
static inline int df_compare_scores(double a, double b)
{
    if (a != a || b != b)
        return (a != a) - (b != b);
    return (a < b) - (a > b);
}
#endif
