/* Kernels that draw the rows a loss looks at: of every image some positives, then negatives, without replacement (torchvision's
 * BalancedPositiveNegativeSampler with the draws of detectors/sampling.c). The members of each kind are listed in the order of the rows: counted
 * tile by tile, placed, written. Then an index is an image: the first steps of a Fisher-Yates shuffle, from the image's own stream, positives
 * first; a kind that is taken whole draws nothing. So the same rows are drawn on every device. */
#ifndef DF_CORE_DEVICE_KERNELS_DRAW_H
#define DF_CORE_DEVICE_KERNELS_DRAW_H
#include "core/base/rng.h"
#include "core/device/kernels_loss.h"

#define DF_KERNELS_DRAW(X)                                                                                                                 \
    X(DRAW_COUNT, draw_count)                                                                                                              \
    X(DRAW_PLACE, draw_place)                                                                                                              \
    X(DRAW_LIST, draw_list)                                                                                                                \
    X(DRAW_TAKE, draw_take)

#define DF_DRAW_TILE DF_LOSS_TILE /* rows */
struct df_draw_stream {
    uint64_t seed, index;
};
/* All four take the same. Kind 0: positives, label >= 0; kind 1: negatives, label -1; other rows are never drawn. */
struct df_draw_args {
    const df_real *label;                /* [images][rows] whole numbers */
    const struct df_draw_stream *stream; /* [images] */
    size_t images, rows, size, most;     /* size: rows drawn of an image, at most; most: positives among them */
    uint32_t *place;                     /* [2][images][tiles + 1]: how many of a kind stand before a tile; behind the last: all */
    uint32_t *member;                    /* [2][images][rows] */
    df_real *weight, *target;            /* [images][rows]: 1 where drawn; 1 where positive */
    uint8_t *positive;                   /* [images][rows]: drawn and positive */
    double *count;                       /* [images]: drawn */
};
#define df_draw_count_args df_draw_args
#define df_draw_place_args df_draw_args
#define df_draw_list_args  df_draw_args
#define df_draw_take_args  df_draw_args

DF_KERNEL size_t df_draw_tiles(size_t rows) { return (rows + DF_DRAW_TILE - 1) / DF_DRAW_TILE; }
DF_KERNEL uint32_t *df_draw_places(const struct df_draw_args *a, size_t kind, size_t image)
{
    return a->place + (kind * a->images + image) * (df_draw_tiles(a->rows) + 1);
}
DF_KERNEL uint32_t *df_draw_members(const struct df_draw_args *a, size_t kind, size_t image)
{
    return a->member + (kind * a->images + image) * a->rows;
}

/* Index i = (image, tile): the tile's members of both kinds */
DF_KERNEL void df_k_draw_count(size_t i, const struct df_draw_args *a)
{
    const size_t tiles = df_draw_tiles(a->rows), image = i / tiles, tile = i % tiles, begin = tile * DF_DRAW_TILE;
    const size_t n = df_loss_min(DF_DRAW_TILE, a->rows - begin);
    const df_real *label = a->label + image * a->rows + begin;
    uint32_t positives = 0, negatives = 0;

    for (size_t j = 0; j < n; j++) {
        positives += label[j] >= 0;
        negatives += label[j] == -1;
    }
    df_draw_places(a, 0, image)[tile] = positives;
    df_draw_places(a, 1, image)[tile] = negatives;
}

/* Index i = (kind, image): from the members of the tiles to those before them */
DF_KERNEL void df_k_draw_place(size_t i, const struct df_draw_args *a)
{
    uint32_t *place = df_draw_places(a, i / a->images, i % a->images), before = 0;

    for (size_t tile = 0; tile < df_draw_tiles(a->rows); tile++) {
        const uint32_t members = place[tile];

        place[tile] = before;
        before += members;
    }
    place[df_draw_tiles(a->rows)] = before;
}

/* Index i = (image, tile): its members at their places; nothing is drawn yet */
DF_KERNEL void df_k_draw_list(size_t i, const struct df_draw_args *a)
{
    const size_t tiles = df_draw_tiles(a->rows), image = i / tiles, tile = i % tiles, begin = tile * DF_DRAW_TILE;
    const size_t end = begin + df_loss_min(DF_DRAW_TILE, a->rows - begin);
    uint32_t *positive = df_draw_members(a, 0, image) + df_draw_places(a, 0, image)[tile];
    uint32_t *negative = df_draw_members(a, 1, image) + df_draw_places(a, 1, image)[tile];

    for (size_t r = begin; r < end; r++) {
        const size_t row = image * a->rows + r;

        if (a->label[row] >= 0)
            *positive++ = (uint32_t)r;
        else if (a->label[row] == -1)
            *negative++ = (uint32_t)r;
        a->weight[row] = 0;
        a->positive[row] = 0;
        a->target[row] = a->label[row] >= 0;
    }
}

/* k of the n members of a kind */
DF_KERNEL void df_draw_some(struct df_rng *rng, size_t kind, size_t image, size_t k, const struct df_draw_args *a)
{
    const size_t n = df_draw_places(a, kind, image)[df_draw_tiles(a->rows)];
    uint32_t *member = df_draw_members(a, kind, image);

    for (size_t i = 0; i < k; i++) {
        const size_t j = k < n ? i + df_rng_below(rng, (uint32_t)(n - i)) : i;
        const uint32_t taken = member[j];

        member[j] = member[i];
        member[i] = taken;
        a->weight[image * a->rows + taken] = 1;
        a->positive[image * a->rows + taken] = kind == 0;
    }
}
DF_KERNEL void df_k_draw_take(size_t i, const struct df_draw_args *a)
{
    const size_t tiles = df_draw_tiles(a->rows);
    const size_t positives = df_loss_min(df_draw_places(a, 0, i)[tiles], a->most);
    const size_t negatives = df_loss_min(df_draw_places(a, 1, i)[tiles], a->size - positives);
    struct df_rng rng;

    df_rng_init(&rng, a->stream[i].seed, DF_RNG_SAMPLE, a->stream[i].index);
    df_draw_some(&rng, 0, i, positives, a);
    df_draw_some(&rng, 1, i, negatives, a);
    a->count[i] = (double)(positives + negatives);
}
#endif
