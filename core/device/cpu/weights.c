/* The weights' gradient, block by block of output pixels, each block in parts that a cache holds while all taps and filters pass over it: the
 * chains wait in memory between the parts, so their order is that of the pixels. */
#include "core/device/cpu/weights.h"

#include "core/device/cpu/cpu.h"
#include "core/device/cpu/norm.h"
#include "core/device/order/order.h"

enum {
    FEW_CHANNELS = 8,                      /* below, lanes are filters */
    PART_BYTES = V == 16 ? 160000 : 40000, /* of x and dy: of the second cache, of the first */
    PART_LEAST = 64                        /* pixels: chains that wait in memory cost, too */
};

struct job {
    struct df_cpu *cpu;
    const struct df_conv *conv;
    df_shape y;
    const float *x, *dy;
    float *dw, *total, *chain; /* total: NULL where one block is all */
    size_t part_pixels;
};

/* Lanes run over a whole kernel row where a tap's channels would not fill a vector. */
static bool by_rows(const struct df_conv *conv) { return conv->x.c <= V || conv->x.c < FEW_CHANNELS; }
static size_t margin_floats(const struct df_conv *conv) { return by_rows(conv) ? conv->kernel_w * conv->x.c : 0; } /* of a pixel */

/* What a thread needs: lists of a part's pixels, kernel rows with margins. */
static size_t lists_bytes(const struct job *job)
{
    const size_t pixel = sizeof(float *) + sizeof(int32_t) + margin_floats(job->conv) * sizeof(float);

    return ((job->part_pixels + LIST_SLACK) * pixel + 63) / 64 * 64;
}

/* Filters [first, last) of a part. */
static void run_part(const struct job *job, const struct part *part, struct stretch s, size_t first, char *lists)
{
    const struct df_conv *conv = job->conv;
    const size_t c = conv->x.c, at = first * conv->kernel_h * conv->kernel_w * c, pixels = job->part_pixels + LIST_SLACK;
    float *margin = (float *)(lists + pixels * sizeof(float *)), *to = s.to + at;
    const float *chain = s.chain ? s.chain + at : NULL;
    const bool rows = by_rows(conv), few = c < FEW_CHANNELS;

    s.pixels = (struct pixels){ .x = (const float **)lists, .dy = (int32_t *)(margin + pixels * margin_floats(conv)) };
    s.dy = job->dy + part->begin * job->y.c + first;
    s.elements = rows ? conv->kernel_w * c : c;
    for (size_t r = 0; r < conv->kernel_h; r++)
        for (size_t tap = 0; tap < (rows ? 1 : conv->kernel_w); tap++) {
            const size_t element = (r * conv->kernel_w + tap) * c;

            if (rows)
                CPU(list_row)(part, r, margin, &s.pixels);
            else
                CPU(list_tap)(part, r, tap, &s.pixels);
            s.to = to + element;
            s.chain = chain ? chain + element : NULL;
            (few ? CPU(run_few) : CPU(run_stretch))(&s);
        }
}

/* A block is taken in parts, of whole rows where they hold one. */
static size_t part_end(const struct job *job, size_t at, size_t end)
{
    const size_t next = at + job->part_pixels, row = next - next % job->y.w;

    return next >= end ? end : row > at ? row : next;
}

static void weights_part(const void *context, size_t thread, size_t threads)
{
    const struct job *job = context;
    const size_t pixels = df_pixels(job->y), row = job->conv->kernel_h * job->conv->kernel_w * job->conv->x.c;
    char *lists = (char *)job->cpu->scratch[DF_SCRATCH_LISTS] + thread * lists_bytes(job);
    size_t first, last;

    df_team_share(job->conv->filters, 4, thread, threads, &first, &last);
    if (first == last)
        return;
    if (job->total)
        memset(job->total + first * row, 0, (last - first) * row * sizeof *job->total);
    for (size_t block = 0; block < pixels; block += DF_BLOCK_PIXELS) {
        const size_t end = pixels - block < DF_BLOCK_PIXELS ? pixels : block + DF_BLOCK_PIXELS;
        struct part part = { .conv = job->conv, .y = job->y, .x = job->x };

        for (part.begin = block; part.begin < end; part.begin = part.end) {
            part.end = part_end(job, part.begin, end);
            const bool done = part.end == end;
            const struct stretch s = { .filters = last - first,
                                       .stride = row,
                                       .chain = part.begin == block ? NULL : job->chain,
                                       .to = !done        ? job->chain
                                             : job->total ? job->total
                                                          : job->dw,
                                       .add = done };

            run_part(job, &part, s, first, lists);
        }
    }
    for (size_t i = first * row; job->total && i < last * row; i++)
        job->dw[i] += job->total[i];
}

void CPU(conv_backward_weights)(struct df_device *device, const struct df_conv_backward_weights_args *a)
{
    struct df_cpu *cpu = device->state;
    const struct df_conv *conv = &a->conv;
    const df_shape y = df_conv_shape(conv);
    const size_t count = df_conv_weights(conv);
    const size_t bytes = (conv->x.c * conv->stride_h * conv->stride_w + conv->filters) * sizeof(float); /* of a pixel */
    const size_t wanted = PART_BYTES / bytes > PART_LEAST ? PART_BYTES / bytes : PART_LEAST;
    struct job job = { .cpu = cpu, .conv = conv, .y = y, .x = a->x, .dy = a->dy, .dw = a->dw };

    job.part_pixels = wanted < DF_BLOCK_PIXELS ? wanted : DF_BLOCK_PIXELS;
    job.chain = CPU(scratch)(cpu, DF_SCRATCH_WEIGHTS, 2 * count * sizeof(float));
    job.total = df_pixels(y) > DF_BLOCK_PIXELS ? job.chain + count : NULL;
    CPU(scratch)(cpu, DF_SCRATCH_LISTS, lists_bytes(&job) * df_team_size(device->team));
    CPU(share)(device, df_conv_flops(conv), weights_part, &job);
    if (a->dbias)
        CPU(channel_sums)(device, a->dy, df_pixels(y), conv->filters, a->dbias);
}
