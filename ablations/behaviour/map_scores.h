/* What a saliency map comes to: numbers about one map and a box, and about two maps. A map is [h,w] doubles of any scale and offset. */
#ifndef DF_ABLATIONS_BEHAVIOUR_MAP_SCORES_H
#define DF_ABLATIONS_BEHAVIOUR_MAP_SCORES_H
#include <stdbool.h>
#include <stddef.h>

#include "core/base/real.h"

struct df_map {
    size_t h, w;
    const double *value;
};
/* Pixels by falling value (ties: row by row): order [h w]. */
void df_map_order(const struct df_map *map, size_t *order);
/* The pointing game: whether the first pixel of that order lies in the box (pixel centres). */
bool df_map_points_at(const struct df_map *map, struct df_box box);
/* The share of the map's energy inside of the box, 0 to 1: of the values above the smallest one (Score-CAM's EBPG). Of a map that says nothing: the
 * box's share of the pixels. */
double df_map_energy_in(const struct df_map *map, struct df_box box);
/* Spearman's rank correlation of n values, ties at their mean rank; 0 where one of them is constant. */
double df_rank_correlation(const double *a, const double *b, size_t n);
#endif
