/* Boxes, classes and counts behind each other: one transfer a batch. */
#include "detectors/truth.h"

#include <string.h>

static size_t room_for(const struct df_batch *images)
{
    size_t room = DF_TRUTH_ROOM;

    for (size_t n = 0; n < images->n; n++)
        while (images->truth[n].count > room)
            room *= 2;
    return room;
}

static size_t bytes_of(size_t images, size_t room)
{
    return images * (room * (sizeof(struct df_box) + sizeof(int32_t)) + sizeof(uint32_t));
}

/* The view of a piece of memory, on either side. */
static struct df_truth lay_out(const struct df_box *box, size_t images, size_t room)
{
    const int32_t *label = (const int32_t *)(box + images * room);

    return (struct df_truth){ images, room, box, label, (const uint32_t *)(label + images * room) };
}

struct df_truth df_truth_of(df_tape *tape, const struct df_batch *images)
{
    const size_t n = images->n, room = room_for(images);
    struct df_box *box = df_tape_host(tape, bytes_of(n, room));
    int32_t *label = (int32_t *)(box + n * room);
    uint32_t *count = (uint32_t *)(label + n * room);

    memset(box, 0, bytes_of(n, room));
    for (size_t i = 0; i < n; i++) {
        const struct df_ground_truth *truth = &images->truth[i];

        count[i] = (uint32_t)truth->count;
        if (!truth->count)
            continue;
        memcpy(box + i * room, truth->boxes, truth->count * sizeof *box);
        memcpy(label + i * room, truth->labels, truth->count * sizeof *label);
    }
    return lay_out(box, n, room);
}

struct df_truth df_truth_send(df_tape *tape, const struct df_batch *images)
{
    const struct df_truth host = df_truth_of(tape, images);

    return lay_out(df_tape_device_copy(tape, host.box, bytes_of(host.images, host.room)), host.images, host.room);
}
