/* torchvision's BalancedPositiveNegativeSampler with our own draws: the first k steps of a Fisher-Yates shuffle, from the stream
 * (seed, DF_RNG_SAMPLE, step * 2^20 + image of the batch * 2 + part), positives first; a group that is taken whole draws nothing. */
#include "detectors/sampling.h"

#include "core/base/status.h"
#include "core/device/device.h"

static struct df_draw_stream stream_of(struct df_sample_of of, size_t image)
{
    const struct df_batch *batch = of.batch;

    DF_ASSERT(batch->first + image < (size_t)1 << 19);
    return (struct df_draw_stream){ batch->seed, (uint64_t)batch->step << 20 | (batch->first + image) << 1 | (uint64_t)of.part };
}

struct df_sampled df_sample_rows(const struct df_sampler *sampler, df_tape *tape, struct df_sample_of of, const df_tensor *label)
{
    struct df_device *device = df_tape_device(tape);
    const size_t images = of.batch->n, rows = label->shape.w, tiles = df_draw_tiles(rows), bytes = images * sizeof(struct df_draw_stream);
    struct df_draw_stream *stream = df_tape_host(tape, bytes);
    df_tensor *weight = df_tensor_new(tape, label->shape), *target = df_tensor_new(tape, label->shape);

    DF_ASSERT(rows <= UINT32_MAX);
    for (size_t n = 0; n < images; n++)
        stream[n] = stream_of(of, n);
    const struct df_draw_args args = { .label = label->data,
                                       .stream = df_tape_device_copy(tape, stream, bytes),
                                       .images = images,
                                       .rows = rows,
                                       .size = (size_t)sampler->size,
                                       .most = (size_t)((double)sampler->size * sampler->positive),
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
