/* Selections of the devices that are the host itself: core/geometry's, segment by segment. */
#include <string.h>

#include "core/device/host.h"

static void *scratch_of(struct df_device *device, size_t bytes)
{
    if (bytes > device->scratch_bytes) {
        df_host_free(device, device->scratch);
        device->scratch = df_host_alloc(device, bytes);
        device->scratch_bytes = bytes;
    }
    return device->scratch;
}

static void fill_up(uint32_t *index, size_t taken, size_t room)
{
    for (; taken < room; taken++)
        index[taken] = UINT32_MAX;
}

void df_host_top_k(struct df_device *device, const struct df_select_top_k_args *a)
{
    float *value = scratch_of(device, a->count * (sizeof *value + sizeof(uint32_t)));
    uint32_t *work = (uint32_t *)(value + a->count);

    for (size_t s = 0; s < a->segments; s++) {
        uint32_t *out = a->index + s * a->index_stride;

        for (size_t i = 0; i < a->count; i++)
            value[i] = (float)a->values[s * a->value_stride + i];
        fill_up(out, df_top_k(a->count, value, a->k, a->minimum, out, work), a->k);
    }
}

struct gathered { /* the candidates of a segment that are some */
    struct df_box *box;
    float *score;
    int32_t *group;
    uint32_t *origin, *keep, *work;
};

static struct gathered room_for(struct df_device *device, size_t count)
{
    struct gathered g;

    g.box = scratch_of(device, count * (sizeof *g.box + sizeof *g.score + sizeof *g.group + 3 * sizeof(uint32_t)));
    g.score = (float *)(g.box + count);
    g.group = (int32_t *)(g.score + count);
    g.origin = (uint32_t *)(g.group + count);
    g.keep = g.origin + count;
    g.work = g.keep + count;
    return g;
}

static size_t gather(const struct df_candidates *from, size_t first, size_t count, const struct gathered *to)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (from->group[first + i] < 0)
            continue;
        to->box[n] = from->box[first + i];
        to->score[n] = from->score[first + i];
        to->group[n] = from->group[first + i];
        to->origin[n++] = (uint32_t)i;
    }
    return n;
}

void df_host_nms(struct df_device *device, const struct df_select_nms_args *a)
{
    const struct gathered g = room_for(device, a->count);

    for (size_t s = 0; s < a->segments; s++) {
        uint32_t *out = a->keep + s * a->most;
        const size_t n = gather(&a->from, s * a->count, a->count, &g);
        const size_t kept = df_nms(&(struct df_suppression){ n, g.box, g.score, g.group, a->threshold, a->most }, g.keep, g.work);

        for (size_t i = 0; i < kept; i++)
            out[i] = g.origin[g.keep[i]];
        fill_up(out, kept, a->most);
    }
}
