/* The inner part of forward and data gradient: some output pixels whose taps have the same places relative to their first one, times up to three
 * vectors of lanes (filters, or channels of the gradient). */
#ifndef DF_CORE_DEVICE_CPU_TILE_H
#define DF_CORE_DEVICE_CPU_TILE_H
#include "core/device/cpu/shared.h"
#include "core/device/cpu/vector.h"

enum { TILE_VECTORS = 3, TILE_PIXELS = 12 }; /* at most */

/* A stretch of terms of a chain: x[from .. from + length) of a pixel, against rows [at, at + length) of the packed weights. */
struct piece {
    int32_t from;
    uint32_t at, length;
};
struct tile {
    const float *from, *weights; /* [term][vectors V]: packed */
    const struct piece *piece;   /* of one chain: from +0, in this order */
    size_t pieces;
    const float *bias; /* [vectors V], or NULL */
    float *to;
    size_t lanes; /* that are written, <= vectors V */
    bool relu, add;
};
/* to[to_at[p] + lane] (+)= relu(+0 + chain + bias) for p < count; from_at[p]: where the first tap of pixel p lies behind `from`. */
void CPU(run_tiles)(const struct tile *tile, size_t vectors, const int32_t *from_at, const int32_t *to_at, size_t count);
size_t CPU(tile_vectors)(size_t lanes); /* how many vectors the next lanes are taken by */
#endif
