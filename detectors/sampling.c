/* torchvision's BalancedPositiveNegativeSampler with our own draws: the first k steps of a Fisher-Yates shuffle, from the stream
 * (seed, DF_RNG_SAMPLE, step * 2^20 + image of the batch * 2 + part), positives first; a group that is taken whole draws nothing. */
#include "detectors/sampling.h"

#include <string.h>

#include "core/base/rng.h"
#include "core/base/status.h"
#include "core/device/device.h"

static struct df_draw_stream stream_of(struct df_sample_of of)
{
    const struct df_batch *batch = of.batch;

    DF_ASSERT(batch->first + of.image < (size_t)1 << 19);
    return (struct df_draw_stream){ batch->seed, (uint64_t)batch->step << 20 | (batch->first + of.image) << 1 | (uint64_t)of.part };
}

static size_t most_positives(const struct df_sampler *sampler) { return (size_t)((double)sampler->size * sampler->positive); }

static size_t collect(size_t count, const df_real *labels, bool positive, uint32_t *group)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (positive ? labels[i] >= 0 : labels[i] == -1)
            group[n++] = (uint32_t)i;
    return n;
}

/* k of the n members of a group */
static void choose(struct df_rng *rng, size_t n, size_t k, uint32_t *group, uint8_t *chosen)
{
    for (size_t i = 0; i < k; i++) {
        const size_t j = k < n ? i + df_rng_below(rng, (uint32_t)(n - i)) : i;
        const uint32_t taken = group[j];

        group[j] = group[i];
        group[i] = taken;
        chosen[taken] = 1;
    }
}

size_t df_sample(const struct df_sampler *sampler, struct df_sample_of of, size_t count, const df_real *labels, uint8_t *chosen,
                 uint32_t *scratch)
{
    const size_t size = (size_t)sampler->size, most = most_positives(sampler);
    const struct df_draw_stream stream = stream_of(of);
    struct df_rng rng;
    size_t n, positives, negatives;

    DF_ASSERT(count <= UINT32_MAX);
    df_rng_init(&rng, stream.seed, DF_RNG_SAMPLE, stream.index);
    memset(chosen, 0, count);
    n = collect(count, labels, true, scratch);
    positives = n < most ? n : most;
    choose(&rng, n, positives, scratch, chosen);
    n = collect(count, labels, false, scratch);
    negatives = n < size - positives ? n : size - positives;
    choose(&rng, n, negatives, scratch, chosen);
    return positives + negatives;
}

struct df_sampled df_sample_anchors(const struct df_sampler *sampler, df_tape *tape, const struct df_batch *batch, const df_tensor *label)
{
    struct df_device *device = df_tape_device(tape);
    const size_t images = batch->n, rows = label->shape.w, tiles = df_draw_tiles(rows), bytes = images * sizeof(struct df_draw_stream);
    struct df_draw_stream *stream = df_tape_host(tape, bytes);
    df_tensor *weight = df_tensor_new(tape, label->shape), *target = df_tensor_new(tape, label->shape);

    DF_ASSERT(rows <= UINT32_MAX);
    for (size_t n = 0; n < images; n++)
        stream[n] = stream_of((struct df_sample_of){ batch, n, DF_SAMPLE_ANCHORS });
    const struct df_draw_args args = { .label = label->data,
                                       .stream = df_tape_device_copy(tape, stream, bytes),
                                       .images = images,
                                       .rows = rows,
                                       .size = (size_t)sampler->size,
                                       .most = most_positives(sampler),
                                       .place = df_tape_device_memory(tape, 2 * images * (tiles + 1) * sizeof(uint32_t)),
                                       .member = df_tape_device_memory(tape, 2 * images * rows * sizeof(uint32_t)),
                                       .weight = weight->data,
                                       .target = target->data,
                                       .positive = df_tape_device_memory(tape, images * rows),
                                       .count = df_tape_device_memory(tape, images * sizeof(double)) };

    df_launch(device, DF_K_DRAW_COUNT, images * tiles, &args);
    df_launch(device, DF_K_DRAW_PLACE, 2 * images, &args);
    df_launch(device, DF_K_DRAW_LIST, images * tiles, &args);
    df_launch(device, DF_K_DRAW_TAKE, images, &args);
    return (struct df_sampled){ weight, target, args.positive, args.count };
}
