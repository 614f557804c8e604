#include "ablations/behaviour/map_scores.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/status.h"

struct ranked {
    double value;
    size_t at;
};

static int falling(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static struct ranked *rank(const double *value, size_t n)
{
    struct ranked *out = df_malloc(n * sizeof *out + 1);

    for (size_t i = 0; i < n; i++)
        out[i] = (struct ranked){ value[i], i };
    qsort(out, n, sizeof *out, falling);
    return out;
}

void df_map_order(const struct df_map *map, size_t *order)
{
    const size_t n = map->h * map->w;
    struct ranked *ranked = rank(map->value, n);

    for (size_t i = 0; i < n; i++)
        order[i] = ranked[i].at;
    free(ranked);
}

static bool is_inside(const struct df_map *map, size_t pixel, struct df_box box)
{
    const float x = (float)(pixel % map->w) + 0.5f, y = (float)(pixel / map->w) + 0.5f;

    return x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1;
}

bool df_map_points_at(const struct df_map *map, struct df_box box)
{
    size_t top = 0;

    for (size_t i = 1; i < map->h * map->w; i++)
        top = map->value[i] > map->value[top] ? i : top;
    return is_inside(map, top, box);
}

double df_map_energy_in(const struct df_map *map, struct df_box box)
{
    const size_t n = map->h * map->w;
    double least = map->value[0], all = 0, inside = 0;
    size_t pixels = 0;

    for (size_t i = 1; i < n; i++)
        least = fmin(least, map->value[i]);
    for (size_t i = 0; i < n; i++) {
        const bool in = is_inside(map, i, box);

        all += map->value[i] - least;
        inside += in ? map->value[i] - least : 0;
        pixels += in;
    }
    return all > 0 ? inside / all : (double)pixels / (double)n;
}

/* Ranks less their mean, ties at their mean rank; times 2, so that they are whole numbers. */
static void centred_ranks(const double *value, size_t n, double *out)
{
    struct ranked *ranked = rank(value, n);

    for (size_t first = 0, next; first < n; first = next) {
        for (next = first + 1; next < n && ranked[next].value == ranked[first].value;)
            next++;
        for (size_t i = first; i < next; i++)
            out[ranked[i].at] = (double)(first + next - 1) - (double)(n - 1);
    }
    free(ranked);
}

double df_rank_correlation(const double *a, const double *b, size_t n)
{
    double *ra = df_malloc(2 * n * sizeof *ra + 1), *rb = ra + n, aa = 0, bb = 0, ab = 0;

    centred_ranks(a, n, ra);
    centred_ranks(b, n, rb);
    for (size_t i = 0; i < n; i++) {
        aa += ra[i] * ra[i];
        bb += rb[i] * rb[i];
        ab += ra[i] * rb[i];
    }
    free(ra);
    return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
}
