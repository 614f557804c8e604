/* Convolutions forward, and their gradient by the data: both gather for every output pixel the taps that hit it. */
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/gather.h"

enum { CHUNK_BYTES = 1 << 18 /* of what is read: all lanes pass over a chunk while a cache holds it */ };

/* +0 + sum, then what the end of a chain asks for */
static void finish(const struct tile *tile, const float *sum, float *to)
{
    for (size_t lane = 0; lane < tile->lanes; lane++) {
        const float biased = tile->bias ? sum[lane] + tile->bias[lane] : sum[lane], v = tile->relu && biased < 0 ? 0 : biased;

        to[lane] = tile->add ? to[lane] + v : v;
    }
}

/* Chains of several blocks: each block from +0, added in order to +0. */
static void run_blocks(const struct plan *plan, const struct pixel_class *class, const struct tile *tile, size_t vectors,
                       const int32_t *from_at, const int32_t *to_at, size_t count)
{
    float sum[TILE_PIXELS * TILE_VECTORS * V];
    int32_t sum_at[TILE_PIXELS];

    for (size_t p = 0; p < TILE_PIXELS; p++)
        sum_at[p] = (int32_t)(p * vectors * V);
    for (size_t first = 0; first < count; first += TILE_PIXELS) {
        const size_t n = count - first < TILE_PIXELS ? count - first : TILE_PIXELS;

        memset(sum, 0, sizeof sum);
        for (size_t b = 0; b < class->blocks; b++) {
            const struct block *block = &plan->block[class->first_block + b];
            const struct tile one = { .from = tile->from,
                                      .weights = tile->weights,
                                      .piece = plan->piece + block->first_piece,
                                      .pieces = block->pieces,
                                      .to = sum,
                                      .lanes = vectors * V,
                                      .add = true };

            CPU(run_tiles)(&one, vectors, from_at + first, sum_at, n);
        }
        for (size_t p = 0; p < n; p++)
            finish(tile, sum + p * vectors * V, tile->to + to_at[first + p]);
    }
}

/* Pixels of a class that no tap reaches: +0; to what is there nothing is added. */
static bool untouched(const struct pixel_class *class, const struct gather *g) { return !class->blocks && g->add; }

static void run_class(const struct gather *g, const struct pixel_class *class, struct tile *tile, size_t vectors, size_t first, size_t last)
{
    const struct plan *plan = g->plan;
    const int32_t *from_at = plan->from + class->first + first, *to_at = plan->to + class->first + first;

    if (first == last || untouched(class, g))
        return;
    if (class->blocks > 1) {
        run_blocks(plan, class, tile, vectors, from_at, to_at, last - first);
        return;
    }
    tile->piece = class->blocks ? plan->piece + plan->block[class->first_block].first_piece : NULL;
    tile->pieces = class->blocks ? plan->block[class->first_block].pieces : 0;
    CPU(run_tiles)(tile, vectors, from_at, to_at, last - first);
}

/* Some images from image n on: of every class the share that is chunk `chunk` of `chunks`, all lanes. */
static void run_chunk(const struct gather *g, size_t n, size_t images, size_t chunk, size_t chunks)
{
    const float *packed = g->packed;

    for (size_t at = 0; at < g->lanes;) {
        const size_t left = g->lanes - at, vectors = CPU(tile_vectors)(left), lanes = left < vectors * V ? left : vectors * V;
        float bias[TILE_VECTORS * V] = { 0 };
        struct tile tile = { .from = g->from + n * g->from_image,
                             .weights = packed,
                             .bias = g->bias ? bias : NULL,
                             .to = g->to + n * g->to_image + at,
                             .lanes = lanes,
                             .relu = g->relu,
                             .add = g->add };

        if (g->bias)
            memcpy(bias, g->bias + at, lanes * sizeof *bias);
        for (size_t i = 0; i < g->plan->classes; i++) {
            const struct pixel_class *class = &g->plan->class[i];
            size_t first, last;

            df_team_share(class->per_image * images, TILE_PIXELS, chunk, chunks, &first, &last);
            run_class(g, class, &tile, vectors, first, last);
        }
        packed += vectors * V * g->terms;
        at += lanes;
    }
}

static void gather_part(const void *context, size_t part, size_t parts)
{
    const struct gather *g = context;

    for (size_t n = 0; n < g->images; n += g->plan->images) {
        const size_t images = g->images - n < g->plan->images ? g->images - n : g->plan->images;
        const size_t chunks = images * g->from_image * sizeof(float) / (parts * CHUNK_BYTES) + 1;

        for (size_t chunk = 0; chunk < chunks; chunk++)
            run_chunk(g, n, images, part * chunks + chunk, parts * chunks);
    }
}

void CPU(gather)(struct df_device *device, const struct gather *g)
{
    CPU(share)(device, 2.0 * (double)(g->images * g->to_image) * (double)g->terms, gather_part, g);
}

static struct pack_shape shape_of(const struct df_conv *conv, bool backward)
{
    return (struct pack_shape){ conv->filters, conv->kernel_h * conv->kernel_w, conv->x.c, backward };
}

void CPU(conv_forward)(struct df_device *device, const struct df_conv_forward_args *a)
{
    const struct df_cpu *cpu = device->state;
    const struct pack_shape shape = shape_of(&a->conv, false);
    const df_shape x = a->conv.x, y = df_conv_shape(&a->conv);
    const struct gather g = { .plan = CPU(plan)(cpu->plans, &a->conv, false),
                              .from = a->x,
                              .packed = CPU(packed)(cpu->packs, &shape, a->w),
                              .bias = a->bias,
                              .to = a->y,
                              .images = y.n,
                              .from_image = x.h * x.w * x.c,
                              .to_image = y.h * y.w * y.c,
                              .lanes = y.c,
                              .terms = shape.taps * x.c,
                              .relu = a->conv.relu };

    CPU(gather)(device, &g);
}

void CPU(conv_backward_data)(struct df_device *device, const struct df_conv_backward_data_args *a)
{
    const struct df_cpu *cpu = device->state;
    const struct pack_shape shape = shape_of(&a->conv, true);
    const df_shape x = a->conv.x, y = df_conv_shape(&a->conv);
    const struct gather g = { .plan = CPU(plan)(cpu->plans, &a->conv, true),
                              .from = a->dy,
                              .packed = CPU(packed)(cpu->packs, &shape, a->w),
                              .to = a->dx,
                              .images = y.n,
                              .from_image = y.h * y.w * y.c,
                              .to_image = x.h * x.w * x.c,
                              .lanes = x.c,
                              .terms = shape.taps * y.c,
                              .add = a->add };

    CPU(gather)(device, &g);
}
